/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all kinds of files have in common, most of it handed on unchanged.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <string.h>

int cb_vfs_file_close(sqlite3_file *handle)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    cb_vfs *vfs = file->vfs;
    sqlite3_mutex_enter(vfs->mutex);
    struct cb_vfs_file **link = &vfs->main_files;
    while (*link != NULL && *link != file) {
        link = &(*link)->next;
    }
    if (*link == file) {
        *link = file->next;
    }
    sqlite3_mutex_leave(vfs->mutex);
    cb_vfs_versions_release(file->versions);
    cb_vfs_gate_close(file);
    int result = file->real->pMethods != NULL
                     ? file->real->pMethods->xClose(file->real)
                     : SQLITE_OK;
    if (file->buffer != NULL) {
        sodium_memzero(file->buffer, file->buffer_size);
        sqlite3_free(file->buffer);
    }
    sodium_memzero(file, sizeof(*file));
    return result;
}

/*
 * What a failed sync did not make durable, the kernel may have dropped, and the
 * next sync says that all is well.  So the first failure is final: nothing is
 * written through this instance any more, and what was synced before stays as
 * it is.  Reading goes on, so that a program can still show and explain.
 */
int cb_vfs_may_write(const cb_vfs *vfs)
{
    if (vfs->reading) {
        return SQLITE_READONLY;
    }
    return cb_vfs_sync_failed(vfs) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

int cb_vfs_sync(cb_vfs *vfs, sqlite3_file *real, int flags)
{
    int result = cb_vfs_may_write(vfs);
    if (result == SQLITE_OK) {
        result = real->pMethods->xSync(real, flags);
        if (result != SQLITE_OK) {
            sqlite3_mutex_enter(vfs->mutex);
            vfs->sync_failed = true;
            sqlite3_mutex_leave(vfs->mutex);
        }
    }
    return result;
}

bool cb_vfs_sync_failed(const cb_vfs *vfs)
{
    sqlite3_mutex_enter(vfs->mutex);
    bool failed = vfs->sync_failed;
    sqlite3_mutex_leave(vfs->mutex);
    return failed;
}

int cb_vfs_file_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int result = cb_vfs_may_write(file->vfs);
    return result == SQLITE_OK
               ? file->real->pMethods->xTruncate(file->real, size)
               : result;
}

int cb_vfs_file_sync(sqlite3_file *handle, int flags)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    return cb_vfs_sync(file->vfs, file->real, flags);
}

int cb_vfs_file_size(sqlite3_file *handle, sqlite3_int64 *ret_size)
{
    sqlite3_file *real = cb_vfs_file_of(handle)->real;
    return real->pMethods->xFileSize(real, ret_size);
}

int cb_vfs_file_lock(sqlite3_file *handle, int level)
{
    sqlite3_file *real = cb_vfs_file_of(handle)->real;
    return real->pMethods->xLock(real, level);
}

int cb_vfs_file_unlock(sqlite3_file *handle, int level)
{
    sqlite3_file *real = cb_vfs_file_of(handle)->real;
    return real->pMethods->xUnlock(real, level);
}

int cb_vfs_file_check_reserved_lock(sqlite3_file *handle, int *ret_held)
{
    sqlite3_file *real = cb_vfs_file_of(handle)->real;
    return real->pMethods->xCheckReservedLock(real, ret_held);
}

int cb_vfs_file_control(sqlite3_file *handle, int operation, void *argument)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    switch (operation) {
    case SQLITE_FCNTL_SIZE_HINT:
    case SQLITE_FCNTL_CHUNK_SIZE:
        /* Would make the file longer than its sealed pages. */
        return SQLITE_OK;
    case SQLITE_FCNTL_MMAP_SIZE:
        *(sqlite3_int64 *)argument = 0;
        return SQLITE_OK;
    case SQLITE_FCNTL_VFSNAME:
        *(char **)argument =
            sqlite3_mprintf("%s/%s", file->vfs->name, file->vfs->base->zName);
        return SQLITE_OK;
    default: break;
    }
    return file->real->pMethods->xFileControl(file->real, operation, argument);
}

int cb_vfs_file_sector_size(sqlite3_file *handle)
{
    sqlite3_file *real = cb_vfs_file_of(handle)->real;
    return real->pMethods->xSectorSize(real);
}

/*
 * Atomic batches would hand the journal over in other pieces than records, so
 * they are not offered.  Without "powersafe overwrite" SQLite would split and
 * pad frames of the log.
 */
int cb_vfs_file_characteristics(sqlite3_file *handle)
{
    sqlite3_file *real = cb_vfs_file_of(handle)->real;
    int kept = SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN | SQLITE_IOCAP_IMMUTABLE;
    return (real->pMethods->xDeviceCharacteristics(real) & kept) |
           SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int plain_read(sqlite3_file *handle, void *bytes, int amount,
                      sqlite3_int64 offset)
{
    sqlite3_file *real = cb_vfs_file_of(handle)->real;
    return real->pMethods->xRead(real, bytes, amount, offset);
}

static int plain_write(sqlite3_file *handle, const void *bytes, int amount,
                       sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int result = cb_vfs_may_write(file->vfs);
    return result == SQLITE_OK
               ? file->real->pMethods->xWrite(file->real, bytes, amount, offset)
               : result;
}

/* Super-journals: names of files, nothing of their content. */
const sqlite3_io_methods cb_vfs_plain_methods = {
    .iVersion = 1,
    .xClose = cb_vfs_file_close,
    .xRead = plain_read,
    .xWrite = plain_write,
    .xTruncate = cb_vfs_file_truncate,
    .xSync = cb_vfs_file_sync,
    .xFileSize = cb_vfs_file_size,
    .xLock = cb_vfs_file_lock,
    .xUnlock = cb_vfs_file_unlock,
    .xCheckReservedLock = cb_vfs_file_check_reserved_lock,
    .xFileControl = cb_vfs_file_control,
    .xSectorSize = cb_vfs_file_sector_size,
    .xDeviceCharacteristics = cb_vfs_file_characteristics,
};
