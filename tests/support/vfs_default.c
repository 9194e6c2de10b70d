/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that does not know of us asks for no reserved bytes.  SQLite tells
 * each database file which connection opened it (SQLITE_FCNTL_PDB); before the
 * first lock, when neither a page is in memory nor one is written, that
 * connection is asked to leave the bytes, for attached files as for the first.
 *
 * Clock, randomness, extensions and system calls are those of the VFS below,
 * which the suite bends and breaks to see what happens.
 */
#include "support/vfs_default.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/internal.h"

#define NAME      "casebound-test"
#define BASE_NAME "unix"

/* Behind the encrypting VFS's own file, in the memory that SQLite gave. */
struct owner {
    sqlite3 **connection; /* SQLite's, valid while the file is open */
    const char *path;     /* the same */
};

/* One for a process, as a VFS that is built in has; SQLite starts once. */
static struct {
    cb_environment environment;
    cb_vfs *vfs;
    sqlite3_vfs *inner;
    sqlite3_vfs outer;
    const sqlite3_io_methods *inner_methods;
    sqlite3_io_methods methods;
} installed;

static struct owner *owner_of(sqlite3_file *file)
{
    void *memory = (char *)file + installed.inner->szOsFile;
    return memory;
}

static void reserve_bytes(sqlite3_file *file)
{
    struct owner *owner = owner_of(file);
    sqlite3 *database = owner->connection != NULL ? *owner->connection : NULL;
    owner->connection = NULL;
    for (int i = 0; database != NULL; i++) {
        const char *schema = sqlite3_db_name(database, i);
        if (schema == NULL) {
            return;
        }
        /* Not by its handle: the suite puts VFSes of its own above. */
        const char *path = sqlite3_db_filename(database, schema);
        if (path != NULL && strcmp(path, owner->path) == 0) {
            int reserve = CB_VFS_RESERVED_BYTES;
            (void)sqlite3_file_control(database, schema,
                                       SQLITE_FCNTL_RESERVE_BYTES, &reserve);
            return;
        }
    }
}

static int test_lock(sqlite3_file *file, int level)
{
    reserve_bytes(file);
    return installed.inner_methods->xLock(file, level);
}

/* With "nolock=1" this comes first. */
static int test_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    reserve_bytes(file);
    return installed.inner_methods->xFileSize(file, ret_size);
}

static int test_control(sqlite3_file *file, int operation, void *argument)
{
    if (operation == SQLITE_FCNTL_PDB) {
        owner_of(file)->connection = argument;
    }
    return installed.inner_methods->xFileControl(file, operation, argument);
}

static int test_open(sqlite3_vfs *handle, const char *path, sqlite3_file *file,
                     int flags, int *ret_flags)
{
    (void)handle;
    *owner_of(file) = (struct owner){ .path = path };
    if (installed.vfs != NULL) {
        /* The suite moves SQLite's locks, so that small files reach them. */
        installed.vfs->lock_offset =
            (uint32_t)sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, 0);
    }
    int result =
        installed.inner->xOpen(installed.inner, path, file, flags, ret_flags);
    if (result == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0 &&
        path != NULL) {
        installed.inner_methods = file->pMethods;
        installed.methods = *file->pMethods;
        installed.methods.xLock = test_lock;
        installed.methods.xFileSize = test_size;
        installed.methods.xFileControl = test_control;
        file->pMethods = &installed.methods;
    }
    return result;
}

static int install(sqlite3_vfs *inner)
{
    sqlite3_vfs *base = sqlite3_vfs_find(BASE_NAME);
    sqlite3_vfs *outer = &installed.outer;
    installed.inner = inner;
    *outer = *installed.inner;
    outer->iVersion = 3;
    outer->zName = NAME;
    outer->szOsFile += (int)sizeof(struct owner);
    outer->xOpen = test_open;
    outer->xDlOpen = base->xDlOpen;
    outer->xDlError = base->xDlError;
    outer->xDlSym = base->xDlSym;
    outer->xDlClose = base->xDlClose;
    outer->xRandomness = base->xRandomness;
    outer->xCurrentTime = base->xCurrentTime;
    outer->xCurrentTimeInt64 = base->xCurrentTimeInt64;
    outer->xSetSystemCall = base->xSetSystemCall;
    outer->xGetSystemCall = base->xGetSystemCall;
    outer->xNextSystemCall = base->xNextSystemCall;
    return sqlite3_vfs_register(outer, 1);
}

int casebound_vfs(const char *unused)
{
    const char *wanted = getenv("CASEBOUND_TEST_CIPHER");
    (void)unused;
    if (wanted != NULL && strcmp(wanted, "none") == 0) {
        return SQLITE_OK;
    }
    if (wanted != NULL && strcmp(wanted, "reserved") == 0) {
        return install(sqlite3_vfs_find(BASE_NAME));
    }
    if (sodium_init() < 0) {
        return SQLITE_ERROR;
    }
    installed.environment = *cb_environment_system();
    installed.environment.base_vfs = BASE_NAME;
    enum cb_vfs_cipher cipher = wanted != NULL && strcmp(wanted, "aes256") == 0
                                    ? CB_VFS_AES256_GCM
                                    : CB_VFS_XCHACHA20_POLY1305;
    cb_secret *key = NULL;
    if (cb_secret_create(CB_KEY_BYTES, &key, NULL) != CB_OK) {
        return SQLITE_ERROR;
    }
    memset(cb_secret_bytes(key), 0x42, CB_KEY_BYTES);
    cb_status status = cb_vfs_create(&installed.environment, key, cipher,
                                     &installed.vfs, NULL);
    cb_secret_destroy(key);
    return status == CB_OK
               ? install(sqlite3_vfs_find(cb_vfs_name(installed.vfs)))
               : SQLITE_ERROR;
}

void casebound_vfs_end(void)
{
    if (installed.inner != NULL) {
        (void)sqlite3_vfs_unregister(&installed.outer);
    }
    cb_vfs_destroy(installed.vfs);
    installed.vfs = NULL;
    installed.inner = NULL;
}
