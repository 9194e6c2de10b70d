/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the log as a whole: its checksum, and how long it was when
 * the database had last taken in all of it.
 *
 * SQLite syncs the log, then writes its pages into the database, then syncs
 * that, which it does only when every committed frame has been written; then
 * the table of page versions is written, and with it this mark.  If the same
 * log is shorter later, its older frames would stand before newer pages of the
 * database: a state that never was.  A log begun anew has other salts.
 */
#include "vfs/versions.h"
#include <string.h>

void cb_vfs_log_checksum(bool big_endian, const uint8_t *bytes, size_t size,
                         uint32_t checksum[2])
{
    for (size_t i = 0; i < size; i += 8) {
        uint32_t a = cb_get_u32(bytes + i);
        uint32_t b = cb_get_u32(bytes + i + 4);
        if (!big_endian) {
            a = __builtin_bswap32(a);
            b = __builtin_bswap32(b);
        }
        checksum[0] += a + checksum[1];
        checksum[1] += b + checksum[0];
    }
}

static bool is_marked(const struct cb_vfs_file *log)
{
    return memcmp(log->versions->log_salts, log->state.wal.salts,
                  CB_VFS_SALT_BYTES) == 0;
}

/* The same log never becomes shorter, so what recovery finds only adds. */
void cb_vfs_log_note(struct cb_vfs_file *log, const char *suffix,
                     uint64_t frames)
{
    if (cb_vfs_versions_share(log, suffix) != SQLITE_OK) {
        return;
    }
    sqlite3_mutex_enter(log->vfs->mutex);
    if (!is_marked(log) || frames > log->versions->log_frames) {
        memcpy(log->versions->log_salts, log->state.wal.salts,
               CB_VFS_SALT_BYTES);
        log->versions->log_frames = (uint32_t)frames;
    }
    sqlite3_mutex_leave(log->vfs->mutex);
}

bool cb_vfs_log_was_longer(struct cb_vfs_file *log, const char *suffix,
                           uint64_t frames)
{
    bool longer = false;
    if (cb_vfs_versions_share(log, suffix) == SQLITE_OK) {
        sqlite3_mutex_enter(log->vfs->mutex);
        longer = log->versions->state == CB_VFS_TABLE_LIVE && is_marked(log) &&
                 frames < log->versions->log_frames;
        sqlite3_mutex_leave(log->vfs->mutex);
    }
    return longer;
}
