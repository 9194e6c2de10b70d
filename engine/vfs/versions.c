/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page versions: noted when written, compared when read, made durable when
 * SQLite has made the main file durable.  versions.h has the invariants.
 *
 * The instance's mutex covers everything here, as one object serves all
 * connections to a file.
 */
#include "vfs/versions.h"
#include <string.h>

/* The table of a main file whose head has changed or was not known. */
static int load(struct cb_vfs_versions *versions,
                const struct cb_vfs_head *head)
{
    versions->head = *head;
    versions->head_known = true;
    versions->generation = 0;
    versions->state = CB_VFS_TABLE_ABSENT;
    memset(versions->groups, 0, sizeof(versions->groups));
    int result = SQLITE_OK;
    if (versions->real == NULL) {
        result = cb_vfs_table_open(versions, /* create= */ false);
    }
    if (result == SQLITE_OK && versions->real != NULL) {
        result = cb_vfs_table_read_top(versions);
    }
    if (result != SQLITE_OK) {
        versions->head_known = false;
    }
    return result;
}

static void destroy(struct cb_vfs_versions *versions)
{
    if (versions->real != NULL) {
        (void)versions->real->pMethods->xClose(versions->real);
    }
    sqlite3_free(versions->real);
    sqlite3_free_filename(versions->table_path);
    cb_vfs_recents_clear(&versions->recent);
    cb_vfs_table_forget_blocks(versions);
    sqlite3_free(versions->buffer);
    sqlite3_free(versions->path);
    sqlite3_free(versions);
}

static struct cb_vfs_versions *create(cb_vfs *vfs, const char *path)
{
    struct cb_vfs_versions *versions = sqlite3_malloc((int)sizeof(*versions));
    if (versions == NULL) {
        return NULL;
    }
    memset(versions, 0, sizeof(*versions));
    versions->vfs = vfs;
    versions->path = sqlite3_mprintf("%s", path);
    versions->buffer = sqlite3_malloc(CB_VFS_TOP_BYTES);
    if (versions->path == NULL || versions->buffer == NULL) {
        destroy(versions);
        return NULL;
    }
    versions->next = vfs->versions;
    vfs->versions = versions;
    return versions;
}

int cb_vfs_versions_attach(cb_vfs *vfs, const char *path,
                           const struct cb_vfs_head *head,
                           struct cb_vfs_versions **versions)
{
    int result = SQLITE_OK;
    sqlite3_mutex_enter(vfs->mutex);
    if (*versions == NULL) {
        struct cb_vfs_versions *found = vfs->versions;
        while (found != NULL && strcmp(found->path, path) != 0) {
            found = found->next;
        }
        found = found != NULL ? found : create(vfs, path);
        if (found != NULL) {
            found->references++;
        }
        *versions = found;
    }
    if (*versions == NULL) {
        result = SQLITE_IOERR_NOMEM;
    } else if (!(*versions)->head_known ||
               memcmp(&(*versions)->head, head, sizeof(*head)) != 0) {
        result = load(*versions, head);
    }
    sqlite3_mutex_leave(vfs->mutex);
    return result;
}

void cb_vfs_versions_release(struct cb_vfs_versions *versions)
{
    if (versions == NULL) {
        return;
    }
    cb_vfs *vfs = versions->vfs;
    sqlite3_mutex_enter(vfs->mutex);
    versions->references--;
    if (versions->references == 0) {
        struct cb_vfs_versions **link = &vfs->versions;
        while (*link != versions) {
            link = &(*link)->next;
        }
        *link = versions->next;
        destroy(versions);
    }
    sqlite3_mutex_leave(vfs->mutex);
}

static int find(struct cb_vfs_versions *versions, uint64_t page,
                uint64_t *ret_version)
{
    *ret_version = cb_vfs_recents_find(&versions->recent, page);
    return *ret_version != 0 ? SQLITE_OK
                             : cb_vfs_table_find(versions, page, ret_version);
}

/* Takes what another process has written since, if anything. */
static int refresh(struct cb_vfs_versions *versions, bool *ret_changed)
{
    bool newer = false;
    int result = cb_vfs_table_peek(versions, &newer);
    versions->expired = false;
    *ret_changed = newer;
    return result == SQLITE_OK && newer ? cb_vfs_table_read_top(versions)
                                        : result;
}

static int look_up(struct cb_vfs_versions *versions, uint64_t page,
                   uint64_t *ret_version)
{
    bool changed = false;
    int result = SQLITE_OK;
    versions->bad_block = 0;
    if (versions->expired && !versions->unsaved) {
        result = refresh(versions, &changed);
    }
    if (result == SQLITE_OK && versions->state == CB_VFS_TABLE_LIVE) {
        result = find(versions, page, ret_version);
    }
    return result;
}

void cb_vfs_versions_expire(struct cb_vfs_versions *versions)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    versions->expired = true;
    sqlite3_mutex_leave(versions->vfs->mutex);
}

int cb_vfs_versions_check(struct cb_vfs_versions *versions, uint64_t page,
                          const struct cb_vfs_trailer *trailer,
                          bool *ret_newest)
{
    uint64_t found = cb_vfs_version_of(trailer);
    uint64_t wanted = found;
    bool changed = false;
    int result = SQLITE_OK;
    sqlite3_mutex_enter(versions->vfs->mutex);
    if (versions->state == CB_VFS_TABLE_LIVE) {
        result = look_up(versions, page, &wanted);
    }
    if ((wanted != found || versions->bad_block != 0) && !versions->unsaved &&
        refresh(versions, &changed) == SQLITE_OK && changed) {
        result = look_up(versions, page, &wanted);
    }
    if (versions->state == CB_VFS_TABLE_BROKEN && changed) {
        result = SQLITE_IOERR_DATA;
    }
    if (result == SQLITE_IOERR_DATA) {
        cb_vfs_note_damage(versions->vfs, CB_VFS_TABLE, CB_VFS_FAULT_UNREADABLE,
                           versions->table_path, versions->bad_block);
    }
    sqlite3_mutex_leave(versions->vfs->mutex);
    *ret_newest = found == wanted;
    return result;
}

bool cb_vfs_versions_doubtful(struct cb_vfs_versions *versions)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    bool doubtful = versions->state == CB_VFS_TABLE_LIVE &&
                    cb_vfs_table_is_doubtful(versions);
    sqlite3_mutex_leave(versions->vfs->mutex);
    return doubtful;
}

void cb_vfs_versions_note_stale(struct cb_vfs_versions *versions, uint64_t page)
{
    if (cb_vfs_versions_doubtful(versions)) {
        cb_vfs_note_damage(versions->vfs, CB_VFS_TABLE, CB_VFS_FAULT_UNREADABLE,
                           versions->table_path, 0);
    } else {
        cb_vfs_note_damage(versions->vfs, CB_VFS_MAIN, CB_VFS_FAULT_STALE,
                           versions->path, page);
    }
}

int cb_vfs_versions_reserve(struct cb_vfs_versions *versions)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    bool reserved = versions->state != CB_VFS_TABLE_LIVE ||
                    cb_vfs_recents_reserve(&versions->recent, 1);
    sqlite3_mutex_leave(versions->vfs->mutex);
    return reserved ? SQLITE_OK : SQLITE_IOERR_NOMEM;
}

void cb_vfs_versions_note(struct cb_vfs_versions *versions, uint64_t page,
                          const struct cb_vfs_trailer *trailer)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    if (versions->state == CB_VFS_TABLE_LIVE) {
        cb_vfs_recents_put(&versions->recent, page, cb_vfs_version_of(trailer));
        versions->unsaved = true;
    }
    sqlite3_mutex_leave(versions->vfs->mutex);
}

bool cb_vfs_versions_live(struct cb_vfs_versions *versions)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    bool live = versions->state == CB_VFS_TABLE_LIVE;
    sqlite3_mutex_leave(versions->vfs->mutex);
    return live;
}

void cb_vfs_versions_note_absence(struct cb_vfs_versions *versions)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    enum cb_vfs_fault fault = CB_VFS_FAULT_UNREADABLE;
    if (versions->state == CB_VFS_TABLE_ABSENT) {
        fault = CB_VFS_FAULT_MISSING;
    } else if (versions->state == CB_VFS_TABLE_NEWER) {
        fault = CB_VFS_FAULT_NEWER;
    }
    cb_vfs_note_damage(versions->vfs, CB_VFS_TABLE, fault, versions->table_path,
                       0);
    sqlite3_mutex_leave(versions->vfs->mutex);
}

/* Moves the recent versions into leaves. */
static int fold(struct cb_vfs_versions *versions, int flags)
{
    uint8_t body[CB_VFS_BLOCK_BODY];
    int result = SQLITE_OK;
    size_t count = versions->recent.count;
    struct cb_vfs_rewrite *rewrite = sqlite3_malloc((int)sizeof(*rewrite));
    struct cb_vfs_recent *sorted = cb_vfs_recents_sorted(&versions->recent);
    if (rewrite == NULL || sorted == NULL) {
        result = SQLITE_IOERR_NOMEM;
        goto out;
    }
    rewrite->open = false;
    memcpy(rewrite->groups, versions->groups, sizeof(rewrite->groups));
    for (size_t i = 0; i < count && result == SQLITE_OK;) {
        uint64_t leaf = (sorted[i].page - 1) / CB_VFS_BLOCK_ENTRIES;
        result = cb_vfs_table_read_leaf(versions, leaf, body);
        for (; i < count && (sorted[i].page - 1) / CB_VFS_BLOCK_ENTRIES == leaf;
             i++) {
            cb_put_u64(body + (sorted[i].page - 1) % CB_VFS_BLOCK_ENTRIES * 8,
                       sorted[i].version);
        }
        if (result == SQLITE_OK) {
            result = cb_vfs_table_write_leaf(versions, rewrite, leaf, body,
                                             /* anew= */ false);
        }
    }
    if (result == SQLITE_OK) {
        result = cb_vfs_table_finish(versions, rewrite, flags);
    }
out:
    sqlite3_free(sorted);
    sqlite3_free(rewrite);
    return result;
}

int cb_vfs_versions_sync(struct cb_vfs_versions *versions, int flags)
{
    int result = SQLITE_OK;
    sqlite3_mutex_enter(versions->vfs->mutex);
    bool wanted = versions->state == CB_VFS_TABLE_LIVE && versions->unsaved;
    if (wanted) {
        result = cb_vfs_may_write(versions->vfs);
    }
    if (wanted && result == SQLITE_OK) {
        result = versions->recent.count <= CB_VFS_RECENT_MAX
                     ? cb_vfs_table_write_top(versions, versions->groups,
                                              &versions->recent, flags)
                     : fold(versions, flags);
    }
    sqlite3_mutex_leave(versions->vfs->mutex);
    return result;
}

void cb_vfs_versions_suspend(struct cb_vfs_versions *versions)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    versions->state = CB_VFS_TABLE_ABSENT;
    versions->unsaved = false;
    cb_vfs_recents_clear(&versions->recent);
    sqlite3_mutex_leave(versions->vfs->mutex);
}

void cb_vfs_versions_restart(struct cb_vfs_versions *versions)
{
    sqlite3_mutex_enter(versions->vfs->mutex);
    versions->head_known = false;
    versions->unsaved = false;
    versions->state = CB_VFS_TABLE_ABSENT;
    sqlite3_mutex_leave(versions->vfs->mutex);
}

/* One leaf's worth of trailers out of the main file. */
static int scan_leaf(sqlite3_file *main_real, const struct cb_vfs_head *head,
                     uint64_t leaf, uint64_t page_count, uint8_t *body)
{
    uint32_t page_size = cb_vfs_head_page_size(head);
    struct cb_vfs_trailer trailer;
    uint64_t first = leaf * CB_VFS_BLOCK_ENTRIES;
    int result = SQLITE_OK;
    memset(body, 0, CB_VFS_BLOCK_BODY);
    for (uint64_t i = 0; i < CB_VFS_BLOCK_ENTRIES && first + i < page_count &&
                         result == SQLITE_OK;
         i++) {
        result = main_real->pMethods->xRead(
            main_real, trailer.bytes, sizeof(trailer.bytes),
            (int64_t)((first + i + 1) * page_size - CB_VFS_RESERVED_BYTES));
        cb_put_u64(body + 8 * i, cb_vfs_version_of(&trailer));
    }
    return result;
}

int cb_vfs_versions_build(struct cb_vfs_versions *versions,
                          sqlite3_file *main_real)
{
    uint8_t body[CB_VFS_BLOCK_BODY];
    sqlite3_int64 size = 0;
    int result = SQLITE_OK;
    struct cb_vfs_rewrite *rewrite = sqlite3_malloc((int)sizeof(*rewrite));
    if (rewrite == NULL) {
        return SQLITE_NOMEM;
    }
    memset(rewrite, 0, sizeof(*rewrite));
    sqlite3_mutex_enter(versions->vfs->mutex);
    if (versions->real == NULL) {
        result = cb_vfs_table_open(versions, /* create= */ true);
    }
    if (result == SQLITE_OK) {
        result = main_real->pMethods->xFileSize(main_real, &size);
    }
    uint64_t count = (uint64_t)size / cb_vfs_head_page_size(&versions->head);
    for (uint64_t leaf = 0;
         leaf * CB_VFS_BLOCK_ENTRIES < count && result == SQLITE_OK; leaf++) {
        result = scan_leaf(main_real, &versions->head, leaf, count, body);
        if (result == SQLITE_OK) {
            result = cb_vfs_table_write_leaf(versions, rewrite, leaf, body,
                                             /* anew= */ true);
        }
    }
    if (result == SQLITE_OK) {
        result = cb_vfs_table_finish(versions, rewrite, SQLITE_SYNC_NORMAL);
    }
    sqlite3_mutex_leave(versions->vfs->mutex);
    sqlite3_free(rewrite);
    return result;
}
