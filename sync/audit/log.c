/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/log.h"

#include <string.h>

void cb_audit_log_init(cb_audit_log *log, const cb_git_repository *repository,
                       const cb_git_oid *tree)
{
    *log = (cb_audit_log){ .repository = repository, .tree = *tree };
}

static void close_folders(cb_audit_trail *trail, size_t depth)
{
    while (trail->depth > depth) {
        trail->depth--;
        cb_git_entry_list_clear(&trail->folders[trail->depth].list);
    }
}

void cb_audit_log_clear(cb_audit_log *log)
{
    for (size_t i = 0; i < sizeof log->trails / sizeof log->trails[0]; i++) {
        close_folders(&log->trails[i], 0);
    }
}

static const cb_git_entry *find_entry(const cb_git_entry_list *list,
                                      const char *name, size_t length)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i].name, name, length) == 0 &&
            list->items[i].name[length] == '\0') {
            return &list->items[i];
        }
    }
    return NULL;
}

/* The folder at `depth`, whose name is the path's part before it. */
static cb_status open_folder(const cb_git_repository *repository,
                             cb_audit_trail *trail, size_t depth, cb_span name,
                             const cb_git_oid *tree, cb_error *error)
{
    cb_audit_folder *folder = &trail->folders[depth];
    if (trail->depth > depth &&
        cb_span_equal(name, cb_span_of_text(folder->name))) {
        return CB_OK;
    }
    close_folders(trail, depth);
    cb_status status = cb_git_tree_read(
        repository, tree, CB_GIT_TREE_BYTES_MAX / 28, &folder->list, error);
    if (status == CB_OK) {
        memcpy(folder->name, name.bytes, name.size);
        folder->name[name.size] = '\0';
        trail->depth = depth + 1;
    }
    return status;
}

static cb_audit_trail *choose_trail(cb_audit_log *log, const char *path)
{
    static const char *const prefixes[] = { "tile/entries/", "tile/0/" };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) {
            return &log->trails[i];
        }
    }
    return &log->trails[2];
}

cb_status cb_audit_log_read(cb_audit_log *log, const char *path,
                            size_t size_max, cb_buffer *content,
                            cb_error *reterr_error)
{
    /* A size that no log has leads to a path deeper than any that is kept. */
    if (!cb_git_path_valid(path)) {
        return CB_NOT_FOUND;
    }
    cb_audit_trail *trail = choose_trail(log, path);
    cb_status status =
        open_folder(log->repository, trail, 0, cb_span_of_text(""), &log->tree,
                    reterr_error);
    for (size_t depth = 0; status == CB_OK; depth++) {
        const size_t length = strcspn(path, "/");
        const bool more = path[length] == '/';
        const cb_git_entry *entry =
            find_entry(&trail->folders[depth].list, path, length);
        if (entry == NULL || entry->is_folder != more) {
            return CB_NOT_FOUND;
        }
        if (!more) {
            return cb_git_blob_read(log->repository, &entry->oid, size_max,
                                    content, reterr_error);
        }
        CB_ASSERT(depth + 1 < CB_GIT_PATH_DEPTH_MAX);
        status = open_folder(log->repository, trail, depth + 1,
                             (cb_span){ (const uint8_t *)path, length },
                             &entry->oid, reterr_error);
        path += length + 1;
    }
    return status;
}

size_t cb_audit_tile_width(uint8_t level, uint64_t index, uint64_t size)
{
    const uint64_t hashes = size >> (CB_TILE_HEIGHT * level);
    const uint64_t first = index * CB_TILE_WIDTH;
    if (first >= hashes) {
        return 0;
    }
    return hashes - first < CB_TILE_WIDTH ? (size_t)(hashes - first)
                                          : CB_TILE_WIDTH;
}

cb_tile cb_audit_tile(bool is_entries, uint8_t level, uint64_t index,
                      uint64_t size)
{
    return (cb_tile){ .is_entries = is_entries,
                      .level = level,
                      .index = index,
                      .width =
                          (uint16_t)cb_audit_tile_width(level, index, size) };
}

cb_status cb_audit_log_tile(cb_audit_log *log, const cb_tile *tile,
                            char ret_path[CB_TILE_PATH_BYTES],
                            cb_buffer *content, cb_error *reterr_error)
{
    const size_t size_max =
        tile->is_entries ? CB_AUDIT_BUNDLE_BYTES_MAX : (size_t)CB_TILE_BYTES;
    cb_tile_path_format(tile, ret_path);
    return cb_audit_log_read(log, ret_path, size_max, content, reterr_error);
}
