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
 * Keys.  crypto_kdf, context "casedb01", from the master key, one for each pair
 * of cipher and kind of file: number 3 * (cipher - 1) + 1 for the database, + 2
 * for the log, + 3 for the journal.  N is epoch 10 | generation 2 | counter 4,
 * see cipher.c for why it never repeats.  XChaCha20-Poly1305 takes N followed
 * by 8 zero bytes as its nonce; AES-256-GCM has a key of its own for each epoch
 * (BLAKE2b of "casebound vfs epoch v1" and the epoch, keyed) and takes 6 zero
 * bytes, generation and counter.
 *
 * What is found: a changed, swapped, zeroed, missing or foreign page, frame or
 * record, a wrong key, and committed frames of the log that can no longer be
 * reached because one before them was damaged.  The error names file and page.
 *
 * What is not found here: an older version of the same page put back in its
 * place, an older copy of the whole file, and a log cut off at its end or
 * damaged in its last transaction only, which looks like a power cut.  A page
 * cipher has no memory; the chain of entries inside the store and the witness
 * outside it must find these.
 *
 * What a thief of the disk still learns: sizes of files, page numbers and the
 * time and order of writes in log and journal, how many transactions were
 * written and how large, which pages changed between two copies, which cipher
 * is in use, file names.  No byte of content and no length of a field.
 *
 * Demands on the connection: cb_vfs_prepare before the first write;
 * synchronous FULL or better (a record that the journal's header counts is
 * taken for durable); no change of the page size once the file has pages.
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
};

#define CB_VFS_PATH_BYTES 512

/* Pages, frames and records count from 1. */
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

/* Makes it "everything verified" again. */
void cb_vfs_forget_damage(cb_vfs *vfs);

/*
 * Puts a damage into words: CB_DAMAGED, CB_NEWER, CB_REFUSED for a cipher that
 * this machine lacks.  A first page that does not verify is CB_WRONG_KEY: who
 * has checked the key elsewhere knows that it is CB_DAMAGED.
 */
cb_status cb_vfs_explain(const struct cb_vfs_damage *damage,
                         cb_error *reterr_error);

struct cb_vfs_scrub_result {
    uint64_t pages;
    uint64_t damaged;
    enum cb_vfs_cipher cipher;
};

typedef void (*cb_vfs_scrub_callback)(void *context,
                                      const struct cb_vfs_damage *damage);

/*
 * Reads and checks every page of a database file, the unused ones too, which
 * SQLite's own integrity check never reads.  The file may be open through this
 * VFS; a checkpoint must have emptied the log, because a page that the log
 * still holds may be torn in the file.  The callback may be NULL.
 * CB_OK also where pages are damaged: the result counts them.  CB_IO where the
 * file cannot be read, CB_NEWER, CB_REFUSED, CB_WRONG_KEY where there is no
 * head of ours.
 */
CB_NODISCARD cb_status cb_vfs_scrub(cb_vfs *vfs, const char *path,
                                    cb_vfs_scrub_callback callback,
                                    void *context,
                                    struct cb_vfs_scrub_result *ret_result,
                                    cb_error *reterr_error);

#endif
