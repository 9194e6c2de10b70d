/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginning to track the versions of pages, and asking whether they are.
 */
#include "vfs/internal.h"
#include <string.h>

/* The file of ours behind a connection's schema, with its head known. */
static cb_status find_file(sqlite3 *database, const char *schema,
                           struct cb_vfs_file **ret_file,
                           cb_error *reterr_error)
{
    sqlite3_file *handle = NULL;
    bool known = false;
    int result = sqlite3_file_control(database, schema,
                                      SQLITE_FCNTL_FILE_POINTER, &handle);
    if (result != SQLITE_OK || handle == NULL ||
        handle->pMethods != &cb_vfs_main_methods) {
        return cb_error_set(reterr_error, CB_IO,
                            "'%s' is not an encrypted database", schema);
    }
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    result = cb_vfs_head_read(file->vfs, file->real, file->path, &file->head,
                              &known);
    if (result != SQLITE_OK || !known) {
        return cb_error_set(reterr_error, CB_IO, "'%s' has no page to track",
                            file->path);
    }
    file->head_known = true;
    if (cb_vfs_versions_attach(file->vfs, file->path, &file->head,
                               &file->versions) != SQLITE_OK) {
        return cb_error_set(reterr_error, CB_IO,
                            "'%s" CB_VFS_TABLE_SUFFIX "' cannot be read",
                            file->path);
    }
    *ret_file = file;
    return CB_OK;
}

cb_status cb_vfs_identify(sqlite3 *database, const char *schema,
                          uint8_t ret_identity[CB_VFS_IDENTITY_BYTES],
                          bool *ret_tracked, cb_error *reterr_error)
{
    struct cb_vfs_file *file = NULL;
    cb_status status = find_file(database, schema, &file, reterr_error);
    if (status == CB_OK) {
        memcpy(ret_identity, file->head.bytes + 8, CB_VFS_IDENTITY_BYTES);
        *ret_tracked = cb_vfs_versions_live(file->versions);
    }
    return status;
}

cb_status cb_vfs_demand_tracking(sqlite3 *database, const char *schema,
                                 cb_error *reterr_error)
{
    struct cb_vfs_file *file = NULL;
    struct cb_vfs_damage damage;
    cb_status status = find_file(database, schema, &file, reterr_error);
    if (status != CB_OK || cb_vfs_versions_live(file->versions)) {
        return status;
    }
    cb_vfs_versions_note_absence(file->versions);
    return cb_vfs_damage(file->vfs, &damage)
               ? cb_vfs_explain(&damage, reterr_error)
               : CB_DAMAGED;
}

static cb_status track_failed(int result, const char *path,
                              cb_error *reterr_error)
{
    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return cb_error_set(reterr_error, CB_IN_USE,
                            "'%s' is in use by another process", path);
    case SQLITE_FULL:
        return cb_error_set(reterr_error, CB_NO_SPACE,
                            "there is no room for '%s" CB_VFS_TABLE_SUFFIX "'",
                            path);
    case SQLITE_NOMEM:
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    default:
        return cb_error_set(reterr_error, CB_IO,
                            "'%s" CB_VFS_TABLE_SUFFIX
                            "' could not be written: %s",
                            path, sqlite3_errstr(result));
    }
}

cb_status cb_vfs_track(sqlite3 *database, const char *schema,
                       cb_error *reterr_error)
{
    struct cb_vfs_file *file = NULL;
    cb_status status = find_file(database, schema, &file, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    /*
     * What stands in the log only would be missing in the new table; and the
     * old one, which may be damaged, must not be in the way of that.
     */
    int result = cb_vfs_gate_enter(file, CB_VFS_GATE_TABLE);
    if (result == SQLITE_OK) {
        cb_vfs_versions_suspend(file->versions);
        result = sqlite3_wal_checkpoint_v2(
            database, schema, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    if (result == SQLITE_OK) {
        result = sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    }
    if (result == SQLITE_OK) {
        result = cb_vfs_versions_build(file->versions, file->real);
        int ended = sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
        result = result == SQLITE_OK ? ended : result;
    }
    cb_vfs_gate_leave(file, CB_VFS_GATE_TABLE);
    if (result == SQLITE_OK) {
        return CB_OK;
    }
    cb_vfs_versions_restart(file->versions);
    status = track_failed(result, file->path, reterr_error);
    cb_error_meaning(reterr_error, "nothing that was recorded is concerned");
    return status;
}
