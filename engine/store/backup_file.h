/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large file that is written or read once from its start to its end, through
 * SQLite's VFS below ours: so the same tests can cut the power under it.
 */
#ifndef CASEBOUND_STORE_BACKUP_FILE_H
#define CASEBOUND_STORE_BACKUP_FILE_H

#include "store/database.h"

#define CB_BACKUP_CHUNK_BYTES 65536

typedef struct cb_backup_file {
    const char *path;   /* of SQLite */
    sqlite3_file *file; /* NULL: not open */
    uint64_t offset;    /* of what comes next */
    uint64_t size;      /* when it was opened */
} cb_backup_file;

/* Made anew, empty, this user's alone where the disk knows of users; whatever
 * had the name is gone.  CB_NO_SPACE, CB_PERMISSION, CB_NOT_FOUND, CB_IO. */
CB_NODISCARD cb_status cb_backup_file_make(const cb_environment *environment,
                                           const char *path,
                                           cb_backup_file *ret_file,
                                           cb_error *reterr_error);
/* CB_NOT_FOUND without text. */
CB_NODISCARD cb_status cb_backup_file_open(const cb_environment *environment,
                                           const char *path,
                                           cb_backup_file *ret_file,
                                           cb_error *reterr_error);
/*
 * The same for a file that may turn out to be an open database: to close it
 * otherwise would let go of this process's lock on it.
 */
CB_NODISCARD cb_status
cb_backup_file_open_locked(const cb_environment *environment, const char *path,
                           cb_backup_file *ret_file, cb_error *reterr_error);
CB_NODISCARD cb_status cb_backup_file_write(cb_backup_file *file,
                                            const void *bytes, size_t size,
                                            cb_error *reterr_error);
/* Exactly as many; CB_DAMAGED where the file ends before. */
CB_NODISCARD cb_status cb_backup_file_read(cb_backup_file *file, void *bytes,
                                           size_t size, cb_error *reterr_error);
/* Makes what was written durable. */
CB_NODISCARD cb_status cb_backup_file_flush(cb_backup_file *file,
                                            cb_error *reterr_error);
/* NULL-safe in all its parts; may be called twice. */
void cb_backup_file_close(cb_backup_file *file);

#endif
