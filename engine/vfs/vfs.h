/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encrypting SQLite VFS: stock SQLite above, nothing readable below.
 *
 * One instance belongs to one master key.  It stands on another VFS (the
 * environment's, else "unix-excl"), keeps every offset and size as stock SQLite
 * has them, and leaves locking, journalling and crash recovery to SQLite.  It
 * must be the topmost VFS: it understands whole pages, not bytes.
 *
 * Main database.  Page n stands at (n - 1) * page size; its last 32 bytes are
 * SQLite's "reserved" bytes (header byte 20), which SQLite leaves to us:
 *
 *   page n > 1    | ciphertext                        | N 16 | tag 16 |
 *   page 1        | head 16 | ciphertext              | N 16 | tag 16 |
 *   head          | "CBDB" | version 1 | cipher 1 | log2 page size 1 |
 *                 | reserved bytes 1 | file identity 8, random |
 *   authenticated | 'D' | head 16 | page number 8 |
 *
 * The head stands where SQLite keeps its constant magic text, so nothing is
 * lost.  The identity makes a page of any other file fail.
 *
 * Write-ahead log.  The 32-byte header is clear; it holds page size and salts.
 * Each frame's checksum is a linear function of plaintext, so it is sealed with
 * the page.  The ciphertext is 8 bytes longer than its place in the page, and
 * these 8 go to the place of the checksum:
 *
 *   frame         | page number 4 | size 4 | salts 8 | end of ciphertext 8 |
 *                 | ciphertext                         | N 16 | tag 16 |
 *   authenticated | 'W' | head 16 | frame offset 8 | page number, size, salts |
 *
 * Rollback journal.  Header sectors and the trailer naming a super-journal are
 * clear (counts, sizes and file names).  Each record is sealed as one, with the
 * 4 bytes that are too many in the place of the checksum:
 *
 *   record        | page number 4 | ciphertext | N 16 | tag 16 | end of it 4 |
 *   authenticated | 'J' | head 16 | record offset 8 | page number 4 |
 *
 * Temporary files (temporary tables, sorters, statement journals): blocks of
 * 4 KiB under a random key of the file that only exists in memory, with nonce
 * and tag of every block in memory too.  Super-journals hold file names only
 * and are clear.
 *
 * Table of page versions, "-pages" behind the database's name, for a file that
 * is tracked (cb_vfs_track).  The version of a page is the first half of its
 * tag.  Blocks of 4 KiB hold 508 versions each, a leaf of pages, a group of
 * leaves; the top holds the versions of up to 512 groups and those pages that
 * were written since their leaf was.  Top and blocks have two places each, used
 * in turn, so that what stands is never written over:
 *
 *   top, twice    | "CBPV" | version 1 | zeros 3 | generation 8 |
 *                 | ciphertext: count 4, log frames 4, group versions 512 x 8,
 *                 |   count x (page number 4, version 8), zeros, log salts 8 |
 *                 | N 16 | tag 16 |                           16,384 in all
 *   block, twice  | ciphertext: 508 x version 8 | N 16 | tag 16 |
 *   authenticated | 'V' | head 16 | block number 8 (top: all ones) |
 *                 | first 16 bytes (top only) |
 *
 * Group g is block 509 g, its leaf l block 509 g + 1 + l; block b stands at
 * 32768 + 8192 b.  The lowest bit of a block's version is not its tag's, but
 * says which of the two places it has.
 *
 * The table is written when SQLite syncs the database, after it and before the
 * log may be emptied or the journal deleted; of versions.h, T1 to T3 say why
 * no cut leaves a sound page called stale.  Opening reads the top, a page the
 * two blocks above it, once.
 *
 * Keys.  crypto_kdf, context "casedb01", from the master key, one for each pair
 * of cipher and kind of file: number 3 * (cipher - 1) + 1 for the database, + 2
 * for the log, + 3 for the journal; 100 + cipher for the table.  N is epoch 10
 * | generation 2 | counter 4, see cipher.c for why it never repeats.
 * XChaCha20-Poly1305 takes N followed by 8 zero bytes as its nonce; AES-256-GCM
 * has a key of its own for each epoch (BLAKE2b of "casebound vfs epoch v1" and
 * the epoch, keyed) and takes 6 zero bytes, generation and counter.
 *
 * What is found: a changed, swapped, zeroed, missing or foreign page, frame or
 * record, a wrong key, and committed frames of the log that can no longer be
 * reached because one before them was damaged.  The error names file and page.
 * In a tracked file also an older version of a page put back in its place: when
 * it is read, and by the scrub in pages that nothing reads; and a log that is
 * shorter than when the database had last taken it in.  All its pages belong to
 * one state of the store.
 *
 * A table whose other top does not verify may be what is old itself, so it is
 * called damaged then, and no page stale.
 *
 * What is not found here: that this state is an older one.  Database and table
 * put back together, from one backup, agree with each other; so does a database
 * with the newer top of its table destroyed and its pages put back to the state
 * of the older top, one checkpoint before.  And a log cut off behind what the
 * database took in, or damaged in its last transaction only, looks like a power
 * cut.  The witness outside, which counts commits, finds these when the store
 * is opened, and the hub at the next sync.  An older database beside a newer
 * table is found here, page by page.
 *
 * That a table belongs to the file at all stands in the store itself (meta,
 * "pages.tracked"), on a page that the table covers.  A file that was never
 * tracked has the former protection: an older page of it is not found.
 *
 * What a thief of the disk still learns: sizes of files, page numbers and the
 * time and order of writes in log and journal, how many transactions were
 * written and how large, which pages changed between two copies, which cipher
 * is in use, file names.  The table adds how many checkpoints there were since
 * tracking began, and which ranges of 508 pages changed last; who has the pages
 * sees that anyway.  No byte of content and no length of a field.
 *
 * Demands on the connection: cb_vfs_prepare before the first write;
 * synchronous FULL or better (a record that the journal's header counts is
 * taken for durable); no change of the page size once the file has pages.  A
 * tracked file is written by one process at a time, and in WAL mode: with a
 * rollback journal it works, but a page that was free before and after a
 * transaction that a crash cut off may be called stale by the scrub.
 */
#ifndef CASEBOUND_VFS_VFS_H
#define CASEBOUND_VFS_VFS_H

#include <casebound/secret.h>
#include <sqlite3.h>

typedef struct cb_vfs cb_vfs;

/* Bytes at the end of each page that SQLite must leave to the VFS. */
#define CB_VFS_RESERVED_BYTES 32

/* The values stand in the head of each file and never change. */
enum cb_vfs_cipher {
    CB_VFS_XCHACHA20_POLY1305 = 1,
    CB_VFS_AES256_GCM = 2,
};

enum cb_vfs_kind {
    CB_VFS_MAIN,
    CB_VFS_WAL,
    CB_VFS_JOURNAL,
    CB_VFS_TEMPORARY,
    CB_VFS_SUPER_JOURNAL,
    CB_VFS_TABLE, /* of page versions */
};

enum cb_vfs_fault {
    CB_VFS_FAULT_UNREADABLE,  /* the number's page, frame or record does not
                                 verify; for page 1 also a wrong key */
    CB_VFS_FAULT_TRUNCATED,   /* the file ends before the number's page */
    CB_VFS_FAULT_LOST_FRAMES, /* durable commits stand behind the number's
                                 frame of the log (0: its header) and cannot
                                 be reached */
    CB_VFS_FAULT_NEWER,       /* the head names a version we do not know */
    CB_VFS_FAULT_CIPHER,      /* the head names a cipher this machine lacks */
    CB_VFS_FAULT_STALE,       /* the number's page is an older one of this
                                 file */
    CB_VFS_FAULT_MISSING,     /* there is no table where one must be */
};

#define CB_VFS_PATH_BYTES 512

/* Pages, frames, records and blocks count from 1; block 0 is the top. */
struct cb_vfs_damage {
    enum cb_vfs_kind kind;
    enum cb_vfs_fault fault;
    uint64_t number;
    char path[CB_VFS_PATH_BYTES];
};

/* Whether this machine can run the cipher. */
bool cb_vfs_cipher_available(enum cb_vfs_cipher cipher);

/*
 * Registers an instance under a name of its own.  `preferred` is for files that
 * it creates; a file that exists keeps the cipher in its head.  The environment
 * is borrowed until destroy, the key is copied.  CB_INPUT for a key that is not
 * CB_KEY_BYTES long or a cipher that this machine lacks, CB_NOT_FOUND where the
 * VFS below is not there, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_vfs_create(const cb_environment *environment,
                                     const cb_secret *master_key,
                                     enum cb_vfs_cipher preferred,
                                     cb_vfs **ret_vfs, cb_error *reterr_error);

/* Unregisters and zeroes all keys.  Every connection must be closed. */
void cb_vfs_destroy(cb_vfs *vfs);

/*
 * Before anything is opened: lets readers of other processes in while this
 * instance writes in WAL mode.  An empty file, "-readers" behind the database's
 * name, is locked by both sides; see readers.c.  While a reader is in, a
 * checkpoint is SQLITE_BUSY and the log grows; what is committed is durable all
 * the same.  Without it an instance knows nothing of readers and must be alone.
 */
void cb_vfs_admit_readers(cb_vfs *vfs);

/*
 * Before anything is opened: makes the instance a reader, which changes no file
 * and takes no lock but the shared one.  Opening is SQLITE_BUSY for the moment
 * of a checkpoint, SQLITE_CANTOPEN over any VFS but the usual one.  The
 * connection must be in "locking_mode=EXCLUSIVE" before it reads, so that the
 * index of the log is in its own memory, and must not checkpoint at its close.
 * It sees the last commit before it read first, and nothing later.
 *
 * A log that grows while it is being read may look damaged: lost frames are
 * only so if they are found again when the file is opened again.
 */
void cb_vfs_only_read(cb_vfs *vfs);

/* For sqlite3_open_v2; borrowed. */
const char *cb_vfs_name(const cb_vfs *vfs);

/*
 * Makes SQLite leave us the end of each page of `schema` ("main", or the name
 * of an attached database).  To be called after opening or attaching and before
 * anything is written; harmless on a file that exists.  CB_IO.
 */
CB_NODISCARD cb_status cb_vfs_prepare(sqlite3 *database, const char *schema,
                                      cb_error *reterr_error);

/* The last thing that did not verify; false where everything did. */
bool cb_vfs_damage(const cb_vfs *vfs, struct cb_vfs_damage *ret_damage);

/*
 * Whether a sync has failed.  Then every later write, sync and deletion through
 * this instance fails with SQLITE_IOERR_FSYNC: what was committed before is
 * durable, and what came after must be looked for when every database of the
 * instance has been closed and one is opened again.
 */
bool cb_vfs_sync_failed(const cb_vfs *vfs);

/* Makes it "everything verified" again. */
void cb_vfs_forget_damage(cb_vfs *vfs);

/*
 * Puts a damage into words: CB_DAMAGED, CB_NEWER, CB_REFUSED for a cipher that
 * this machine lacks.  A first page that does not verify is CB_WRONG_KEY: who
 * has checked the key elsewhere knows that it is CB_DAMAGED.
 */
cb_status cb_vfs_explain(const struct cb_vfs_damage *damage,
                         cb_error *reterr_error);

/* Tells one file from another; part of its head. */
#define CB_VFS_IDENTITY_BYTES 8

/*
 * Which file a connection has open, and whether the versions of its pages are
 * tracked.  CB_IO, also while the file has no page.
 */
CB_NODISCARD cb_status
cb_vfs_identify(sqlite3 *database, const char *schema,
                uint8_t ret_identity[CB_VFS_IDENTITY_BYTES], bool *ret_tracked,
                cb_error *reterr_error);

/*
 * Takes the present version of every page for the newest, and tracks from now
 * on.  Reads the end of every page once and empties the log.  Also makes a
 * damaged or lost table anew; by that it forgives an older page that was put
 * back before, so whoever repairs should have scrubbed, and say what it found.
 * Cut at any moment, a table that was there may be damaged, never the database.
 * CB_IN_USE, CB_NO_SPACE, CB_NO_MEMORY, CB_IO.
 */
CB_NODISCARD cb_status cb_vfs_track(sqlite3 *database, const char *schema,
                                    cb_error *reterr_error);

/*
 * For who knows that the file was tracked: CB_OK where it is, CB_DAMAGED, also
 * as cb_vfs_damage, where its table is missing or does not verify, CB_NEWER,
 * CB_IO.
 */
CB_NODISCARD cb_status cb_vfs_demand_tracking(sqlite3 *database,
                                              const char *schema,
                                              cb_error *reterr_error);

struct cb_vfs_scrub_result {
    uint64_t pages;
    uint64_t damaged;
    bool tracked; /* so stale pages were looked for, too */
    /* Half of the table's tops does not verify: pages that it calls stale may
     * be newer than it.  Unless a log holds them the table is what is wrong. */
    bool table_doubtful;
    enum cb_vfs_cipher cipher;
};

typedef void (*cb_vfs_scrub_callback)(void *context,
                                      const struct cb_vfs_damage *damage);

/*
 * Reads and checks every page of a database file, the unused ones too, which
 * SQLite's own integrity check never reads, and the table of a tracked file.
 * The file may be open through this VFS; a checkpoint must have emptied the
 * log, because a page that the log still holds may be torn in the file.  The
 * callback may be NULL. CB_OK also where pages are damaged: the result counts
 * them.  CB_IO where the file cannot be read, CB_NEWER, CB_REFUSED,
 * CB_WRONG_KEY where there is no head of ours.
 */
CB_NODISCARD cb_status cb_vfs_scrub(cb_vfs *vfs, const char *path,
                                    cb_vfs_scrub_callback callback,
                                    void *context,
                                    struct cb_vfs_scrub_result *ret_result,
                                    cb_error *reterr_error);

typedef void (*cb_vfs_log_callback)(void *context, uint64_t page);

/*
 * Calls with the page of each frame of the log of the database at `path`, for
 * as long as frames belong to the log's present round.  Reads what stands in
 * clear, so it proves nothing: a page named here may be torn in the database
 * without harm.  The callback may be NULL.  Zero frames where there is no log.
 * CB_IO, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_vfs_log_pages(cb_vfs *vfs, const char *path,
                                        cb_vfs_log_callback callback,
                                        void *context, uint64_t *ret_frames,
                                        cb_error *reterr_error);

#endif
