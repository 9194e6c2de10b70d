/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of other processes beside the one that writes.
 *
 * SQLite's own way, an index of the log in shared memory, would put checksums
 * of plaintext into a file.  So a reader makes an index of its own, in its
 * memory, out of the log as it is when it opens the database; and while it
 * reads, the two files may only grow: nothing that it has an index of may be
 * written over.  A lock on an empty file beside the database, the gate, sees to
 * that.  Readers hold it shared from before they read anything until they
 * close.  The writer must have it alone
 *
 *   W1. for a checkpoint and for what follows it (SQLite's lock 1 of the
 *       index), which write the database and its table of page versions;
 *   W2. from the decision to begin the log anew (locks 4 to 7 at once) until
 *       the new header is in the file and the transaction is over: a reader in
 *       between would make an index of frames that are about to be written
 *       over.  If no header came, because something failed, it is kept;
 *   W3. while it holds the database exclusively: at closing, when the log is
 *       checkpointed and deleted, and with a rollback journal;
 *   W4. while a table of page versions is built.
 *
 * If a reader is there, the writer is told "busy": it appends to the log and
 * tries again next time.  SQLite lets go of a lock when a process ends, however
 * it ends.  The gate is locked through SQLite's plain "unix" VFS, so nothing
 * here knows how; with another VFS below than the usual one there are no other
 * processes, and no gate.
 */
#include "vfs/internal.h"
#include <string.h>

#define SUFFIX          "-readers"
#define PLAIN_VFS       "unix"
#define EXCLUSIVE_VFS   "unix-excl"
#define CHECKPOINT_LOCK 1
#define FIRST_MARK_LOCK 4
#define MARK_LOCK_COUNT 4

static int open_plainly(sqlite3_vfs *vfs, const char *name, int flags,
                        sqlite3_file **ret_file)
{
    sqlite3_file *file = sqlite3_malloc(vfs->szOsFile);
    if (file == NULL) {
        return SQLITE_NOMEM;
    }
    memset(file, 0, (size_t)vfs->szOsFile);
    int result = vfs->xOpen(vfs, name, file, flags, &flags);
    if (result != SQLITE_OK) {
        sqlite3_free(file);
        return result;
    }
    *ret_file = file;
    return SQLITE_OK;
}

static void close_plainly(sqlite3_file *file)
{
    if (file != NULL) {
        (void)file->pMethods->xClose(file);
        sqlite3_free(file);
    }
}

/* As a log first: so it gets the owner and mode of the database. */
static int open_gate(struct cb_vfs_file *file, sqlite3_vfs *plain)
{
    int exists = 0;
    int result =
        plain->xAccess(plain, file->gate_path, SQLITE_ACCESS_EXISTS, &exists);
    if (result == SQLITE_OK && exists == 0) {
        sqlite3_file *made = NULL;
        result = open_plainly(plain, file->gate_path,
                              SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE |
                                  SQLITE_OPEN_CREATE,
                              &made);
        close_plainly(made);
    }
    if (result == SQLITE_OK) {
        result = open_plainly(plain, file->gate_path,
                              SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE,
                              &file->gate);
    }
    return result;
}

int cb_vfs_gate_open(struct cb_vfs_file *file)
{
    sqlite3_vfs *plain = sqlite3_vfs_find(PLAIN_VFS);
    bool shared = strcmp(file->vfs->base->zName, EXCLUSIVE_VFS) == 0;
    if (plain == NULL || !shared) {
        return file->vfs->reading ? SQLITE_CANTOPEN : SQLITE_OK;
    }
    char *path = sqlite3_mprintf("%s" SUFFIX, file->path);
    file->gate_path =
        path == NULL ? NULL : sqlite3_create_filename(path, "", "", 0, NULL);
    sqlite3_free(path);
    int result =
        file->gate_path == NULL ? SQLITE_NOMEM : open_gate(file, plain);
    if (result == SQLITE_OK && file->vfs->reading) {
        result = file->gate->pMethods->xLock(file->gate, SQLITE_LOCK_SHARED);
    }
    return result;
}

void cb_vfs_gate_close(struct cb_vfs_file *file)
{
    close_plainly(file->gate);
    file->gate = NULL;
    sqlite3_free_filename(file->gate_path);
    file->gate_path = NULL;
}

int cb_vfs_gate_enter(struct cb_vfs_file *file, enum cb_vfs_gate_reason reason)
{
    int result = SQLITE_OK;
    if (file->gate != NULL && file->gate_reasons == 0) {
        static const int levels[] = { SQLITE_LOCK_SHARED, SQLITE_LOCK_RESERVED,
                                      SQLITE_LOCK_EXCLUSIVE };
        for (size_t i = 0; i < 3 && result == SQLITE_OK; i++) {
            result = file->gate->pMethods->xLock(file->gate, levels[i]);
        }
        if (result != SQLITE_OK) {
            (void)file->gate->pMethods->xUnlock(file->gate, SQLITE_LOCK_NONE);
        }
    }
    if (result == SQLITE_OK) {
        file->gate_reasons |= (unsigned)reason;
    }
    return result;
}

void cb_vfs_gate_leave(struct cb_vfs_file *file, enum cb_vfs_gate_reason reason)
{
    bool held = file->gate_reasons != 0;
    file->gate_reasons &= ~(unsigned)reason;
    if (file->gate != NULL && held && file->gate_reasons == 0) {
        (void)file->gate->pMethods->xUnlock(file->gate, SQLITE_LOCK_NONE);
    }
}

/* Which of W1 and W2 a lock of the index is about; 0 where it is about none. */
static unsigned reason_of_lock(int offset, int count, int flags)
{
    unsigned reason = 0;
    if ((flags & SQLITE_SHM_EXCLUSIVE) != 0) {
        if (offset == CHECKPOINT_LOCK && count == 1) {
            reason = CB_VFS_GATE_CHECKPOINT;
        } else if (offset == FIRST_MARK_LOCK && count == MARK_LOCK_COUNT) {
            reason = CB_VFS_GATE_NEW_LOG;
        }
    }
    return reason;
}

int cb_vfs_gate_lock_index(struct cb_vfs_file *file, int offset, int count,
                           int flags)
{
    const sqlite3_io_methods *methods = file->real->pMethods;
    unsigned reason = reason_of_lock(offset, count, flags);
    bool lock = (flags & SQLITE_SHM_LOCK) != 0;
    bool written = offset == 0 && (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    int result = SQLITE_OK;
    if (lock && reason != 0) {
        result = cb_vfs_gate_enter(file, (enum cb_vfs_gate_reason)reason);
    }
    if (result != SQLITE_OK) {
        return result;
    }
    result = methods->xShmLock(file->real, offset, count, flags);
    if (lock ? result != SQLITE_OK && reason != 0
             : reason == CB_VFS_GATE_CHECKPOINT) {
        cb_vfs_gate_leave(file, (enum cb_vfs_gate_reason)reason);
    } else if (lock && reason == CB_VFS_GATE_NEW_LOG) {
        file->new_log_due = true;
    } else if (!lock && written && !file->new_log_due) {
        cb_vfs_gate_leave(file, CB_VFS_GATE_NEW_LOG);
    }
    return result;
}

static int read_nothing(sqlite3_file *handle, void *bytes, int amount,
                        sqlite3_int64 offset)
{
    (void)handle;
    (void)offset;
    memset(bytes, 0, (size_t)amount);
    return SQLITE_IOERR_SHORT_READ;
}

static int write_nothing(sqlite3_file *handle, const void *bytes, int amount,
                         sqlite3_int64 offset)
{
    (void)handle;
    (void)bytes;
    (void)amount;
    (void)offset;
    return SQLITE_READONLY;
}

static int truncate_nothing(sqlite3_file *handle, sqlite3_int64 size)
{
    (void)handle;
    (void)size;
    return SQLITE_READONLY;
}

static int sync_nothing(sqlite3_file *handle, int flags)
{
    (void)handle;
    (void)flags;
    return SQLITE_OK;
}

static int size_of_nothing(sqlite3_file *handle, sqlite3_int64 *ret_size)
{
    (void)handle;
    *ret_size = 0;
    return SQLITE_OK;
}

static int close_nothing(sqlite3_file *handle)
{
    handle->pMethods = NULL;
    return SQLITE_OK;
}

static int control_nothing(sqlite3_file *handle, int operation, void *argument)
{
    (void)handle;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int number_of_nothing(sqlite3_file *handle)
{
    (void)handle;
    return 0;
}

/* The log that a reader does not find: it must not make one. */
const sqlite3_io_methods cb_vfs_empty_methods = {
    .iVersion = 1,
    .xClose = close_nothing,
    .xRead = read_nothing,
    .xWrite = write_nothing,
    .xTruncate = truncate_nothing,
    .xSync = sync_nothing,
    .xFileSize = size_of_nothing,
    .xFileControl = control_nothing,
    .xSectorSize = number_of_nothing,
    .xDeviceCharacteristics = number_of_nothing,
};
