/* SPDX-License-Identifier: Apache-2.0 */
/* Of which pages the log holds a version, without SQLite and without writing */
#include "vfs/internal.h"
#include <string.h>

#define LOG_HEADER_BYTES   32
#define FRAME_HEADER_BYTES 24
#define SALTS_BYTES        8

struct log {
    sqlite3_file *file;
    uint64_t page_size;
    uint64_t count; /* frames that the file has room for */
    uint8_t salts[SALTS_BYTES];
};

/* False where there is no log to speak of. */
static bool read_header(struct log *log)
{
    uint8_t header[LOG_HEADER_BYTES];
    sqlite3_int64 size = 0;
    if (log->file->pMethods->xFileSize(log->file, &size) != SQLITE_OK ||
        size <= LOG_HEADER_BYTES ||
        log->file->pMethods->xRead(log->file, header, sizeof header, 0) !=
            SQLITE_OK) {
        return false;
    }
    log->page_size = cb_get_u32(header + 8);
    if (log->page_size < CB_VFS_PAGE_BYTES_MIN ||
        log->page_size > CB_VFS_PAGE_BYTES_MAX) {
        return false;
    }
    memcpy(log->salts, header + 16, SALTS_BYTES);
    log->count = (uint64_t)(size - LOG_HEADER_BYTES) /
                 (FRAME_HEADER_BYTES + log->page_size);
    return true;
}

static void walk(struct log *log, cb_vfs_log_callback callback, void *context,
                 uint64_t *ret_frames)
{
    for (uint64_t i = 0; i < log->count; i++) {
        uint8_t header[FRAME_HEADER_BYTES];
        uint64_t offset =
            LOG_HEADER_BYTES + i * (FRAME_HEADER_BYTES + log->page_size);
        /* What is left of an earlier round of the log has other salts. */
        if (log->file->pMethods->xRead(log->file, header, sizeof header,
                                       (sqlite3_int64)offset) != SQLITE_OK ||
            memcmp(header + 8, log->salts, SALTS_BYTES) != 0) {
            return;
        }
        (*ret_frames)++;
        if (callback != NULL) {
            callback(context, cb_get_u32(header));
        }
    }
}

cb_status cb_vfs_log_pages(cb_vfs *vfs, const char *path,
                           cb_vfs_log_callback callback, void *context,
                           uint64_t *ret_frames, cb_error *reterr_error)
{
    sqlite3_vfs *base = vfs->base;
    size_t full_size = (size_t)base->mxPathname + sizeof "-wal";
    cb_status status = CB_OK;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL;
    int exists = 0;
    sqlite3_filename name = NULL;
    char *full = sqlite3_malloc64(full_size);
    struct log log = { .file = sqlite3_malloc(base->szOsFile) };
    *ret_frames = 0;
    if (full == NULL || log.file == NULL) {
        status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    memset(log.file, 0, (size_t)base->szOsFile);
    if (base->xFullPathname(base, path, base->mxPathname + 1, full) !=
        SQLITE_OK) {
        status = cb_error_set(reterr_error, CB_IO, "'%s' has no path", path);
        goto out;
    }
    memcpy(full + strlen(full), "-wal", sizeof "-wal");
    if (base->xAccess(base, full, SQLITE_ACCESS_EXISTS, &exists) != SQLITE_OK ||
        exists == 0) {
        goto out;
    }
    name = sqlite3_create_filename(full, "", "", 0, NULL);
    if (name == NULL ||
        base->xOpen(base, name, log.file, flags, &flags) != SQLITE_OK) {
        status =
            cb_error_set(reterr_error, CB_IO, "'%s' cannot be opened", full);
        goto out;
    }
    if (read_header(&log)) {
        walk(&log, callback, context, ret_frames);
    }
out:
    if (log.file != NULL && log.file->pMethods != NULL) {
        (void)log.file->pMethods->xClose(log.file);
    }
    sqlite3_free(log.file);
    sqlite3_free_filename(name);
    sqlite3_free(full);
    return status;
}
