/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/power_cut_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct handle {
    sqlite3_file base; /* must be first */
    struct node *node;
    bool temporary;
};

static sqlite3_vfs registered;

static struct handle *handle_of(sqlite3_file *file)
{
    void *memory = file;
    return memory;
}

static int file_close(sqlite3_file *file)
{
    struct node *node = handle_of(file)->node;
    node->handles--;
    for (size_t i = 0; i < REGIONS_MAX && node->handles == 0; i++) {
        free(node->regions[i]);
        node->regions[i] = NULL;
    }
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *bytes, int amount,
                     sqlite3_int64 offset)
{
    const struct content *content = &handle_of(file)->node->now;
    size_t at = (size_t)offset;
    size_t present = at < content->size ? content->size - at : 0;
    if (disk.dead) {
        return SQLITE_IOERR_READ;
    }
    if (present >= (size_t)amount) {
        memcpy(bytes, content->bytes + at, (size_t)amount);
        return SQLITE_OK;
    }
    memset(bytes, 0, (size_t)amount);
    if (present > 0) {
        memcpy(bytes, content->bytes + at, present);
    }
    return SQLITE_IOERR_SHORT_READ;
}

/* What is on its way when the power fails may arrive, or a part of it. */
static int file_write(sqlite3_file *file, const void *bytes, int amount,
                      sqlite3_int64 offset)
{
    struct handle *handle = handle_of(file);
    if (disk.dead) {
        return SQLITE_IOERR_WRITE;
    }
    bool alive = handle->temporary || disk_operate();
    disk_change(handle->node, bytes, (size_t)amount, (size_t)offset);
    return alive ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct handle *handle = handle_of(file);
    if (disk.dead) {
        return SQLITE_IOERR_TRUNCATE;
    }
    bool alive = handle->temporary || disk_operate();
    disk_change(handle->node, NULL, (size_t)size, 0);
    return alive ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct node *node = handle_of(file)->node;
    (void)flags;
    if (disk.dead || !disk_operate()) {
        return SQLITE_IOERR_FSYNC;
    }
    if (!disk.lies) {
        disk_sync_node(node);
        disk_sync_names(disk.changes.count);
    }
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    *ret_size = (sqlite3_int64)handle_of(file)->node->now.size;
    return disk.dead ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int file_check_reserved_lock(sqlite3_file *file, int *ret_held)
{
    (void)file;
    *ret_held = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    (void)file;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return SECTOR_BYTES;
}

static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int shared_map(sqlite3_file *file, int region, int size, int extend,
                      void volatile **ret_map)
{
    struct node *node = handle_of(file)->node;
    *ret_map = NULL;
    if (region >= REGIONS_MAX) {
        return SQLITE_IOERR_SHMMAP;
    }
    if (node->regions[region] == NULL && extend) {
        node->regions[region] = grow(NULL, (size_t)size);
        memset(node->regions[region], 0, (size_t)size);
    }
    *ret_map = node->regions[region];
    return SQLITE_OK;
}

static int shared_lock(sqlite3_file *file, int offset, int count, int flags)
{
    (void)file;
    (void)offset;
    (void)count;
    (void)flags;
    return SQLITE_OK;
}

static void shared_barrier(sqlite3_file *file)
{
    (void)file;
}

static int shared_unmap(sqlite3_file *file, int remove)
{
    (void)file;
    (void)remove;
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = shared_map,
    .xShmLock = shared_lock,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = shared_unmap,
};

static int disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file,
                     int flags, int *ret_flags)
{
    struct handle *handle = handle_of(file);
    struct name *name = path != NULL ? disk_find_name(&disk.now, path) : NULL;
    (void)vfs;
    memset(handle, 0, sizeof *handle);
    if (disk.dead) {
        return SQLITE_CANTOPEN;
    }
    if (path == NULL) {
        handle->temporary = true;
        handle->node = disk_create_node();
    } else if (name != NULL) {
        handle->node = name->node;
    } else if ((flags & SQLITE_OPEN_CREATE) == 0) {
        return SQLITE_CANTOPEN;
    } else {
        bool alive = disk_operate();
        handle->node = disk_create_node();
        disk_change_name(path, handle->node);
        if (!alive) {
            return SQLITE_CANTOPEN;
        }
    }
    handle->node->handles++;
    handle->base.pMethods = &methods;
    if (ret_flags != NULL) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    (void)vfs;
    if (disk.dead) {
        return SQLITE_IOERR_DELETE;
    }
    if (disk_find_name(&disk.now, path) == NULL) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    bool alive = disk_operate();
    disk_change_name(path, NULL);
    if (alive && sync_folder && !disk.lies) {
        disk_sync_names(disk.changes.count);
    }
    return alive ? SQLITE_OK : SQLITE_IOERR_DELETE;
}

static int disk_access(sqlite3_vfs *vfs, const char *path, int flags,
                       int *ret_result)
{
    (void)vfs;
    (void)flags;
    *ret_result = disk_find_name(&disk.now, path) != NULL;
    return disk.dead ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int disk_full_pathname(sqlite3_vfs *vfs, const char *path, int size,
                              char *ret_path)
{
    (void)vfs;
    snprintf(ret_path, (size_t)size, "%s", path);
    return SQLITE_OK;
}

static int disk_randomness(sqlite3_vfs *vfs, int size, char *bytes)
{
    (void)vfs;
    struct dice dice = dice_of_seed(disk.operations);
    for (int i = 0; i < size; i++) {
        bytes[i] = (char)roll(&dice, 256);
    }
    return size;
}

static int disk_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int disk_time(sqlite3_vfs *vfs, double *ret_days)
{
    (void)vfs;
    *ret_days = 2461000.5;
    return SQLITE_OK;
}

void power_cut_begin(void)
{
    registered = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(struct handle),
        .mxPathname = PATH_BYTES - 1,
        .zName = POWER_CUT_VFS,
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_full_pathname,
        .xRandomness = disk_randomness,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
    };
    if (sqlite3_vfs_register(&registered, 0) != SQLITE_OK) {
        fprintf(stderr, "power_cut: the VFS cannot be registered\n");
        abort();
    }
}

void power_cut_end(void)
{
    disk_clear();
    (void)sqlite3_vfs_unregister(&registered);
}
