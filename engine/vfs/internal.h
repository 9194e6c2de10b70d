/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share.  vfs.h has the concept and the layouts.
 */
#ifndef CASEBOUND_VFS_INTERNAL_H
#define CASEBOUND_VFS_INTERNAL_H

#include "vfs/vfs.h"
#include <assert.h>
#include <casebound/identifier.h>
#include <sys/types.h>

#define CB_VFS_VERSION        1
#define CB_VFS_HEAD_BYTES     16
#define CB_VFS_EPOCH_BYTES    10
#define CB_VFS_NONCE_BYTES    16
#define CB_VFS_TAG_BYTES      16
#define CB_VFS_PAGE_BYTES_MIN 512
#define CB_VFS_PAGE_BYTES_MAX 65536
#define CB_VFS_TABLE_SUFFIX   "-pages"

/* The first 16 bytes of page 1, as they stand in the file. */
struct cb_vfs_head {
    uint8_t bytes[CB_VFS_HEAD_BYTES];
};

/* Also the first byte of what is authenticated. */
enum cb_vfs_domain {
    CB_VFS_DOMAIN_MAIN = 'D',
    CB_VFS_DOMAIN_WAL = 'W',
    CB_VFS_DOMAIN_JOURNAL = 'J',
    CB_VFS_DOMAIN_VERSIONS = 'V',
};

/* Where the nonces of one open file come from; zeroed when opened. */
struct cb_vfs_nonces {
    bool drawn;
    pid_t owner;
    uint8_t epoch[CB_VFS_EPOCH_BYTES];
    uint16_t generation;
    uint32_t counter;
};

/* Nonce and tag, as they stand at the end of a page. */
struct cb_vfs_trailer {
    uint8_t bytes[CB_VFS_NONCE_BYTES + CB_VFS_TAG_BYTES];
};

/* What a sealed piece is bound to. */
struct cb_vfs_place {
    enum cb_vfs_domain domain;
    const struct cb_vfs_head *head;
    uint64_t position;
    const uint8_t *extra;
    size_t extra_size;
};

struct cb_vfs_wal {
    bool pending; /* a frame header waits for its page */
    uint64_t pending_index;
    uint8_t pending_header[24];
    bool reread; /* the last operation read and verified this frame */
    uint64_t reread_index;
    bool authentic;       /* some frame has verified: the key is right */
    bool commit_unsynced; /* the frame written last ends a transaction */
    uint64_t committed;   /* frames up to the last such */
    bool recovering;      /* SQLite walks the log from its start */
    uint64_t walk_index;
    uint32_t walk_checksum[2];
    bool big_endian;
    uint8_t salts[8];
};

struct cb_vfs_journal {
    int collected; /* parts of a record at hand: 0, page number, page */
    uint64_t record_offset;
    bool super_journal; /* the trailer is being written */
    bool authentic;
    bool opened; /* checksum of the record read last */
    bool opened_valid;
    uint64_t opened_checksum_offset;
    uint8_t opened_checksum[4];
    bool header_seen;
    uint64_t header_offset;
    uint32_t header_records;
};

struct cb_vfs_block {
    uint64_t counter; /* 0: never written, reads as zeros */
    uint8_t tag[CB_VFS_TAG_BYTES];
};

struct cb_vfs_temporary {
    sqlite3_mutex *mutex;
    struct cb_vfs_block *blocks;
    uint64_t block_count;
    uint64_t block_capacity;
    uint64_t counter;
    uint64_t size;
    uint64_t cached; /* block in the buffer, counted from 1; 0 is none */
    bool dirty;
    uint8_t key[CB_KEY_BYTES];
};

struct cb_vfs_file {
    sqlite3_file base; /* must be first: SQLite knows only this */
    cb_vfs *vfs;
    sqlite3_file *real;
    const char *path; /* SQLite's, valid while open; NULL for temporary */
    enum cb_vfs_kind kind;
    struct cb_vfs_nonces nonces;
    struct cb_vfs_head head;
    bool head_known;
    uint8_t *buffer;
    size_t buffer_size;
    struct cb_vfs_file *next;         /* list of open main files */
    struct cb_vfs_versions *versions; /* of a main file that has been read */
    sqlite3_file *gate;               /* of a main file, see readers.c */
    sqlite3_filename gate_path;
    unsigned gate_reasons; /* why it is held alone */
    bool new_log_due;      /* decided, and no header written yet */

    union {
        struct cb_vfs_wal wal;
        struct cb_vfs_journal journal;
        struct cb_vfs_temporary temporary;
    } state;
};

struct cb_vfs_epoch_keys;
struct cb_vfs_versions;

struct cb_vfs {
    sqlite3_vfs vfs;
    char name[40];
    sqlite3_vfs *base;
    const cb_environment *environment;
    enum cb_vfs_cipher preferred;
    size_t file_offset;   /* of the VFS below's file inside ours */
    uint32_t lock_offset; /* of the bytes that SQLite locks; a test moves it */
    cb_secret *keys;
    cb_secret *epochs; /* expanded AES keys, most recently needed */
    size_t epoch_next;
    sqlite3_mutex *mutex; /* lists, page versions, epochs, damage */
    struct cb_vfs_file *main_files;
    struct cb_vfs_versions *versions;
    bool damaged;
    struct cb_vfs_damage damage;
    bool sync_failed; /* for good */
    bool reading;     /* writes nothing, beside another process that may */
    bool admits;      /* lets such readers in */
};

/* cipher.c */
CB_NODISCARD cb_status cb_vfs_keys_create(cb_vfs *vfs,
                                          const cb_secret *master_key,
                                          cb_error *reterr_error);
void cb_vfs_keys_destroy(cb_vfs *vfs);

/*
 * Seals `size` bytes under the file's next nonce.  The result may be written
 * over what is read.
 */
void cb_vfs_seal(cb_vfs *vfs, struct cb_vfs_nonces *nonces,
                 const struct cb_vfs_place *place, const uint8_t *plain,
                 size_t size, uint8_t *sealed, struct cb_vfs_trailer *trailer);

/* In place; false, and the bytes are zeroed, where it does not verify. */
CB_NODISCARD bool cb_vfs_unseal(cb_vfs *vfs, const struct cb_vfs_place *place,
                                uint8_t *bytes, size_t size,
                                const struct cb_vfs_trailer *trailer);

/* main.c */
uint32_t cb_vfs_head_page_size(const struct cb_vfs_head *head);
enum cb_vfs_cipher cb_vfs_head_cipher(const struct cb_vfs_head *head);

/*
 * Reads the head out of an open file.  SQLITE_OK with *ret_known false where
 * the file is empty or has none of ours; SQLITE_NOTADB with the damage noted
 * where it cannot be read here.
 */
int cb_vfs_head_read(cb_vfs *vfs, sqlite3_file *real, const char *path,
                     struct cb_vfs_head *ret_head, bool *ret_known);

/* Verifies a whole page in place; afterwards it is as SQLite wants it. */
CB_NODISCARD bool cb_vfs_page_unseal(cb_vfs *vfs,
                                     const struct cb_vfs_head *head,
                                     uint64_t page_number, uint8_t *page);

/* Whether SQLite may write this page: reserved bytes zero, page 1 as ours. */
CB_NODISCARD bool cb_vfs_page_acceptable(const struct cb_vfs_head *head,
                                         uint64_t page_number,
                                         const uint8_t *page);

/*
 * Takes the head of the main file that a journal or log belongs to.  False
 * where that is not open, empty, or has no readable head.
 */
bool cb_vfs_head_find(struct cb_vfs_file *file, const char *suffix);

/*
 * Whether page 1 of the main file verifies, which tells a wrong key from a
 * torn tail of log or journal.
 */
bool cb_vfs_key_fits(struct cb_vfs_file *file, const char *suffix);

/* Attaches a log to the page versions of its main file; SQLite's codes. */
int cb_vfs_versions_share(struct cb_vfs_file *file, const char *suffix);

/* versions.c; SQLite's codes. */

/* The version of a page or block: its tag, of which half is enough. */
static inline uint64_t cb_vfs_version_of(const struct cb_vfs_trailer *trailer)
{
    return cb_get_u64(trailer->bytes + CB_VFS_NONCE_BYTES);
}

/*
 * Finds or makes the object of a main file if *versions is NULL, and reads the
 * top of its table where the head is another one than before.
 */
int cb_vfs_versions_attach(cb_vfs *vfs, const char *path,
                           const struct cb_vfs_head *head,
                           struct cb_vfs_versions **versions);
void cb_vfs_versions_release(struct cb_vfs_versions *versions);

/*
 * Whether a page that has verified is the newest of its kind; it is where there
 * is no table.  SQLITE_IOERR_DATA, with the damage noted, where the table does
 * not verify.
 */
int cb_vfs_versions_check(struct cb_vfs_versions *versions, uint64_t page,
                          const struct cb_vfs_trailer *trailer,
                          bool *ret_newest);

/* Whether the table itself is damaged where it calls a page stale. */
bool cb_vfs_versions_doubtful(struct cb_vfs_versions *versions);

/* Notes that a page is not the newest, or that the table is damaged. */
void cb_vfs_versions_note_stale(struct cb_vfs_versions *versions,
                                uint64_t page);

/* Before a page is written, and after it was: the second cannot fail. */
int cb_vfs_versions_reserve(struct cb_vfs_versions *versions);
void cb_vfs_versions_note(struct cb_vfs_versions *versions, uint64_t page,
                          const struct cb_vfs_trailer *trailer);

/* After the main file was synced; durable when it returns. */
int cb_vfs_versions_sync(struct cb_vfs_versions *versions, int flags);

/* A lock was taken: another process may have written in between. */
void cb_vfs_versions_expire(struct cb_vfs_versions *versions);

/* Whether there is a table. */
bool cb_vfs_versions_live(struct cb_vfs_versions *versions);

/* There should be one and is not: notes why. */
void cb_vfs_versions_note_absence(struct cb_vfs_versions *versions);

/* Nothing is compared or noted until a new table stands. */
void cb_vfs_versions_suspend(struct cb_vfs_versions *versions);

/* The main file was emptied: its table belongs to nothing any more. */
void cb_vfs_versions_restart(struct cb_vfs_versions *versions);

/* A table of all pages as they are now, under the head attached last. */
int cb_vfs_versions_build(struct cb_vfs_versions *versions,
                          sqlite3_file *main_real);

/* readers.c; SQLite's codes. */
enum cb_vfs_gate_reason {
    CB_VFS_GATE_CHECKPOINT = 1,
    CB_VFS_GATE_NEW_LOG = 2,
    CB_VFS_GATE_EXCLUSIVE = 4,
    CB_VFS_GATE_TABLE = 8,
};

/* A reader is in when this returns; SQLITE_BUSY where it must wait. */
int cb_vfs_gate_open(struct cb_vfs_file *file);
void cb_vfs_gate_close(struct cb_vfs_file *file);

/* For the writer.  SQLITE_BUSY where a reader is in; leaving is always legal.
 */
int cb_vfs_gate_enter(struct cb_vfs_file *file, enum cb_vfs_gate_reason reason);
void cb_vfs_gate_leave(struct cb_vfs_file *file,
                       enum cb_vfs_gate_reason reason);

/* A lock of the log's index, handed on with what it means for readers. */
int cb_vfs_gate_lock_index(struct cb_vfs_file *file, int offset, int count,
                           int flags);

/*
 * If the result is good, the log has a new header, or nothing in it: no reader
 * can find the old one.  Hands the result on.
 */
int cb_vfs_log_begun(struct cb_vfs_file *log, const char *suffix, int result);

/* register.c */
void cb_vfs_note_damage(cb_vfs *vfs, enum cb_vfs_kind kind,
                        enum cb_vfs_fault fault, const char *path,
                        uint64_t number);

/*
 * SQLITE_IOERR_FSYNC once any sync through this instance has failed,
 * SQLITE_READONLY for a reader.
 */
int cb_vfs_may_write(const cb_vfs *vfs);
int cb_vfs_sync(cb_vfs *vfs, sqlite3_file *real, int flags);

/* False where there is no memory. */
CB_NODISCARD bool cb_vfs_file_reserve(struct cb_vfs_file *file, size_t size);

/* Common parts of all tables of methods. */
struct cb_vfs_file *cb_vfs_file_of(sqlite3_file *file);
int cb_vfs_file_close(sqlite3_file *handle);
int cb_vfs_file_truncate(sqlite3_file *handle, sqlite3_int64 size);
int cb_vfs_file_sync(sqlite3_file *handle, int flags);
int cb_vfs_file_size(sqlite3_file *handle, sqlite3_int64 *ret_size);
int cb_vfs_file_lock(sqlite3_file *handle, int level);
int cb_vfs_file_unlock(sqlite3_file *handle, int level);
int cb_vfs_file_check_reserved_lock(sqlite3_file *handle, int *ret_held);
int cb_vfs_file_control(sqlite3_file *handle, int operation, void *argument);
int cb_vfs_file_sector_size(sqlite3_file *handle);
int cb_vfs_file_characteristics(sqlite3_file *handle);

extern const sqlite3_io_methods cb_vfs_main_methods;
extern const sqlite3_io_methods cb_vfs_wal_methods;
extern const sqlite3_io_methods cb_vfs_journal_methods;
extern const sqlite3_io_methods cb_vfs_temporary_methods;
extern const sqlite3_io_methods cb_vfs_plain_methods;
extern const sqlite3_io_methods cb_vfs_empty_methods;

/* log_mark.c: SQLite's checksum over `size` bytes, a multiple of 8. */
void cb_vfs_log_checksum(bool big_endian, const uint8_t *bytes, size_t size,
                         uint32_t checksum[2]);

/*
 * How many frames of the present log are committed, for the table
 * of page versions; and whether the log with these salts had more frames than
 * `frames` when the database had last taken them all in.
 */
void cb_vfs_log_note(struct cb_vfs_file *log, const char *suffix,
                     uint64_t frames);
bool cb_vfs_log_was_longer(struct cb_vfs_file *log, const char *suffix,
                           uint64_t frames);

/* temporary.c; SQLITE_OK or SQLITE_NOMEM. */
int cb_vfs_temporary_init(struct cb_vfs_file *file);

#endif
