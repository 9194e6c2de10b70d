/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of the kinds that SQLite knows, the one that stands alone. */
#define ALONE SQLITE_OPEN_SUPER_JOURNAL

static sqlite3_vfs *base_of(const cb_environment *environment)
{
    return sqlite3_vfs_find(
        environment->base_vfs == NULL ? "unix-excl" : environment->base_vfs);
}

static cb_status failed(const cb_backup_file *file, int code,
                        const char *action, cb_error *error)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return cb_error_set(error, CB_NO_SPACE,
                            "there is no room to %s '%s': the disk is full",
                            action, file->path);
    case SQLITE_NOMEM:
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return cb_error_set(error, CB_PERMISSION, "cannot %s '%s': %s", action,
                            file->path, sqlite3_errstr(code));
    default:
        return cb_error_set(error, CB_IO, "cannot %s '%s': %s", action,
                            file->path, sqlite3_errstr(code));
    }
}

/* As SQLite makes names, which a VFS may ask for parameters. */
static cb_status find_name(sqlite3_vfs *base, const char *path,
                           cb_backup_file *file, cb_error *error)
{
    char *full = malloc((size_t)base->mxPathname + 1);
    int code = full == NULL ? SQLITE_NOMEM
                            : base->xFullPathname(base, path,
                                                  base->mxPathname + 1, full);
    /* SQLITE_OK_SYMLINK is a success. */
    if ((code & 0xff) == SQLITE_OK) {
        file->path = sqlite3_create_filename(full, "", "", 0, NULL);
        code = file->path == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    free(full);
    if (code == SQLITE_NOMEM) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    return code == SQLITE_OK
               ? CB_OK
               : cb_error_set(error, CB_IO, "'%s' has no path", path);
}

static cb_status open_file(const cb_environment *environment, const char *path,
                           int flags, cb_backup_file *file, cb_error *error)
{
    sqlite3_vfs *base = base_of(environment);
    sqlite3_int64 size = 0;
    if (base == NULL) {
        return cb_error_set(error, CB_FAILED, "SQLite lacks its own VFS");
    }
    cb_status status = find_name(base, path, file, error);
    if (status == CB_OK) {
        file->file = calloc(1, (size_t)base->szOsFile);
        status = file->file == NULL
                     ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                     : CB_OK;
    }
    if (status == CB_OK) {
        int code = base->xOpen(base, file->path, file->file, flags, NULL);
        if (code == SQLITE_OK) {
            code = file->file->pMethods->xFileSize(file->file, &size);
        }
        status = code == SQLITE_OK ? CB_OK : failed(file, code, "open", error);
    }
    if (status != CB_OK) {
        cb_backup_file_close(file);
        return status;
    }
    file->size = (uint64_t)size;
    return CB_OK;
}

cb_status cb_backup_file_make(const cb_environment *environment,
                              const char *path, cb_backup_file *ret_file,
                              cb_error *reterr_error)
{
    cb_backup_file file = { 0 };
    cb_status status = environment->replace_file(
        environment->context, path, (cb_span){ NULL, 0 }, reterr_error);
    if (status == CB_OK) {
        status = open_file(environment, path, ALONE | SQLITE_OPEN_READWRITE,
                           &file, reterr_error);
    }
    if (status == CB_OK) {
        *ret_file = file;
    }
    return status;
}

static cb_status open_regular(const cb_environment *environment,
                              const char *path, int flags,
                              cb_backup_file *ret_file, cb_error *error)
{
    cb_backup_file file = { 0 };
    cb_file_facts facts = { .kind = CB_FILE_OTHER };
    cb_status status =
        environment->look_at(environment->context, path, &facts, error);
    if (status == CB_OK && facts.kind != CB_FILE_REGULAR) {
        status =
            cb_error_set(error, CB_INPUT, "'%s' is not a regular file", path);
        cb_error_meaning(error, "nothing was taken from it");
        cb_error_next(error, "name the file that 'casebound backup' wrote");
    }
    if (status == CB_OK) {
        status = open_file(environment, path, flags | SQLITE_OPEN_READONLY,
                           &file, error);
    }
    if (status == CB_OK) {
        *ret_file = file;
    }
    return status;
}

cb_status cb_backup_file_open(const cb_environment *environment,
                              const char *path, cb_backup_file *ret_file,
                              cb_error *reterr_error)
{
    return open_regular(environment, path, ALONE, ret_file, reterr_error);
}

cb_status cb_backup_file_open_locked(const cb_environment *environment,
                                     const char *path, cb_backup_file *ret_file,
                                     cb_error *reterr_error)
{
    return open_regular(environment, path, SQLITE_OPEN_MAIN_DB, ret_file,
                        reterr_error);
}

cb_status cb_backup_file_write(cb_backup_file *file, const void *bytes,
                               size_t size, cb_error *reterr_error)
{
    const uint8_t *next = bytes;
    while (size > 0) {
        size_t part =
            size < CB_BACKUP_CHUNK_BYTES ? size : CB_BACKUP_CHUNK_BYTES;
        int code = file->file->pMethods->xWrite(file->file, next, (int)part,
                                                (sqlite3_int64)file->offset);
        if (code != SQLITE_OK) {
            return failed(file, code, "write", reterr_error);
        }
        next += part;
        file->offset += part;
        size -= part;
    }
    return CB_OK;
}

cb_status cb_backup_file_read(cb_backup_file *file, void *bytes, size_t size,
                              cb_error *reterr_error)
{
    CB_ASSERT(size <= CB_BACKUP_CHUNK_BYTES);
    int code = file->file->pMethods->xRead(file->file, bytes, (int)size,
                                           (sqlite3_int64)file->offset);
    if (code == SQLITE_IOERR_SHORT_READ) {
        return cb_error_set(reterr_error, CB_DAMAGED,
                            "'%s' ends before it should", file->path);
    }
    if (code != SQLITE_OK) {
        return failed(file, code, "read", reterr_error);
    }
    file->offset += size;
    return CB_OK;
}

cb_status cb_backup_file_flush(cb_backup_file *file, cb_error *reterr_error)
{
    int code = file->file->pMethods->xSync(file->file, SQLITE_SYNC_FULL);
    return code == SQLITE_OK ? CB_OK
                             : failed(file, code, "write", reterr_error);
}

void cb_backup_file_close(cb_backup_file *file)
{
    if (file->file != NULL && file->file->pMethods != NULL) {
        (void)file->file->pMethods->xClose(file->file);
    }
    free(file->file);
    sqlite3_free_filename(file->path);
    *file = (cb_backup_file){ 0 };
}
