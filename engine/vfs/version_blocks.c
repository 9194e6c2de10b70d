/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table's file: tops and blocks read, verified, sealed and written.
 */
#include "vfs/versions.h"
#include <sodium.h>
#include <string.h>

#define TOP_MAGIC         "CBPV"
#define TOP_MAGIC_BYTES   4
#define TOP_VERSION       1
#define TOP_POSITION      UINT64_MAX
#define TOP_FRAMES_OFFSET 4
#define TOP_GROUPS_OFFSET 8
#define TOP_SALTS_OFFSET  (CB_VFS_TOP_BODY - CB_VFS_SALT_BYTES)
#define BLOCKS_PER_GROUP  (1 + CB_VFS_BLOCK_ENTRIES)
#define BLOCKS_OFFSET     ((int64_t)2 * CB_VFS_TOP_BYTES)

/* The lowest bit of a block's version says which of its places it has. */
#define PLACE_BIT UINT64_C(1)

int cb_vfs_table_open(struct cb_vfs_versions *versions, bool create)
{
    sqlite3_vfs *base = versions->vfs->base;
    if (versions->table_path == NULL) {
        char *path = sqlite3_mprintf("%s" CB_VFS_TABLE_SUFFIX, versions->path);
        if (path != NULL) {
            versions->table_path =
                sqlite3_create_filename(path, "", "", 0, NULL);
        }
        sqlite3_free(path);
        if (versions->table_path == NULL) {
            return SQLITE_NOMEM;
        }
    }
    int exists = 0;
    int result = base->xAccess(base, versions->table_path, SQLITE_ACCESS_EXISTS,
                               &exists);
    if (result != SQLITE_OK || (exists == 0 && !create)) {
        return result;
    }
    versions->real = sqlite3_malloc(base->szOsFile);
    if (versions->real == NULL) {
        return SQLITE_NOMEM;
    }
    memset(versions->real, 0, (size_t)base->szOsFile);
    /* As a log: it gets the main file's owner and mode, and its folder is
       synced with it. */
    int flags =
        SQLITE_OPEN_WAL | (create ? SQLITE_OPEN_CREATE : 0) |
        (versions->vfs->reading ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    result =
        base->xOpen(base, versions->table_path, versions->real, flags, &flags);
    if (result != SQLITE_OK) {
        sqlite3_free(versions->real);
        versions->real = NULL;
    }
    return result;
}

static struct cb_vfs_place place_of(const struct cb_vfs_versions *versions,
                                    uint64_t position, const uint8_t *extra)
{
    return (struct cb_vfs_place){ .domain = CB_VFS_DOMAIN_VERSIONS,
                                  .head = &versions->head,
                                  .position = position,
                                  .extra = extra,
                                  .extra_size = extra == NULL
                                                    ? 0
                                                    : CB_VFS_TOP_HEAD_BYTES };
}

/* The opened top in the buffer becomes the state of the object. */
static int take_top(struct cb_vfs_versions *versions)
{
    const uint8_t *body = versions->buffer + CB_VFS_TOP_HEAD_BYTES;
    const uint8_t *recent = body + CB_VFS_TOP_FIXED_BYTES;
    uint32_t count = cb_get_u32(body);
    cb_vfs_recents_clear(&versions->recent);
    if (!cb_vfs_recents_reserve(&versions->recent, count)) {
        return SQLITE_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        cb_vfs_recents_put(&versions->recent, cb_get_u32(recent),
                           cb_get_u64(recent + 4));
        recent += CB_VFS_RECENT_BYTES;
    }
    for (size_t i = 0; i < CB_VFS_GROUPS; i++) {
        versions->groups[i] = cb_get_u64(body + TOP_GROUPS_OFFSET + 8 * i);
    }
    versions->log_frames = cb_get_u32(body + TOP_FRAMES_OFFSET);
    memcpy(versions->log_salts, body + TOP_SALTS_OFFSET, CB_VFS_SALT_BYTES);
    versions->generation = cb_get_u64(versions->buffer + 8);
    versions->state = CB_VFS_TABLE_LIVE;
    return SQLITE_OK;
}

/* Whether the top in the buffer verifies; it is open then. */
static bool open_top(struct cb_vfs_versions *versions)
{
    uint8_t *head = versions->buffer;
    uint8_t *body = head + CB_VFS_TOP_HEAD_BYTES;
    struct cb_vfs_trailer trailer;
    struct cb_vfs_place place = place_of(versions, TOP_POSITION, head);
    memcpy(trailer.bytes, body + CB_VFS_TOP_BODY, sizeof(trailer.bytes));
    return cb_vfs_unseal(versions->vfs, &place, body, CB_VFS_TOP_BODY,
                         &trailer) &&
           cb_get_u32(body) <= CB_VFS_RECENT_MAX;
}

/* What the clear head of a top says; generation 0 where there is none. */
static int peek_top(struct cb_vfs_versions *versions, int slot,
                    uint64_t *ret_generation)
{
    uint8_t head[CB_VFS_TOP_HEAD_BYTES] = { 0 };
    *ret_generation = 0;
    int result = versions->real->pMethods->xRead(
        versions->real, head, sizeof(head), (int64_t)slot * CB_VFS_TOP_BYTES);
    if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) {
        return result;
    }
    if (memcmp(head, TOP_MAGIC, TOP_MAGIC_BYTES) == 0) {
        if (head[TOP_MAGIC_BYTES] == TOP_VERSION) {
            *ret_generation = cb_get_u64(head + 8);
        } else if (head[TOP_MAGIC_BYTES] > TOP_VERSION &&
                   versions->state == CB_VFS_TABLE_BROKEN) {
            versions->state = CB_VFS_TABLE_NEWER;
        }
    }
    return SQLITE_OK;
}

int cb_vfs_table_peek(struct cb_vfs_versions *versions, bool *ret_newer)
{
    uint64_t first = 0;
    uint64_t second = 0;
    int result = peek_top(versions, 0, &first);
    if (result == SQLITE_OK) {
        result = peek_top(versions, 1, &second);
    }
    *ret_newer = (first > second ? first : second) != versions->generation;
    return result;
}

/*
 * The newer of two tops that verifies.  The other way round an interrupted
 * write of a top would take the table away, and with it the store.
 */
int cb_vfs_table_read_top(struct cb_vfs_versions *versions)
{
    uint64_t generations[2] = { 0, 0 };
    versions->state = CB_VFS_TABLE_BROKEN;
    versions->unsaved = false;
    cb_vfs_table_forget_blocks(versions);
    cb_vfs_recents_clear(&versions->recent);
    int result = peek_top(versions, 0, &generations[0]);
    if (result == SQLITE_OK) {
        result = peek_top(versions, 1, &generations[1]);
    }
    int slot = generations[1] > generations[0] ? 1 : 0;
    for (int i = 0; i < 2 && result == SQLITE_OK; i++, slot = 1 - slot) {
        if (generations[slot] == 0) {
            continue;
        }
        result = versions->real->pMethods->xRead(
            versions->real, versions->buffer, CB_VFS_TOP_BYTES,
            (int64_t)slot * CB_VFS_TOP_BYTES);
        if (result == SQLITE_OK && open_top(versions)) {
            return take_top(versions);
        }
        result = result == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : result;
    }
    return result;
}

bool cb_vfs_table_is_doubtful(struct cb_vfs_versions *versions)
{
    const int64_t slot = 1 - (int64_t)(versions->generation % 2);
    memset(versions->buffer, 0, CB_VFS_TOP_BYTES);
    int result = versions->real->pMethods->xRead(
        versions->real, versions->buffer, CB_VFS_TOP_BYTES,
        slot * CB_VFS_TOP_BYTES);
    return !sodium_is_zero(versions->buffer, CB_VFS_TOP_BYTES) &&
           (result != SQLITE_OK || !open_top(versions));
}

int cb_vfs_table_write_top(struct cb_vfs_versions *versions,
                           const uint64_t *groups,
                           const struct cb_vfs_recents *recent, int flags)
{
    CB_ASSERT(recent->count <= CB_VFS_RECENT_MAX);
    uint8_t *head = versions->buffer;
    uint8_t *body = head + CB_VFS_TOP_HEAD_BYTES;
    uint8_t *place_in_body = body + CB_VFS_TOP_FIXED_BYTES;
    uint64_t generation = versions->generation + 1;
    struct cb_vfs_trailer trailer;
    memset(head, 0, CB_VFS_TOP_BYTES);
    memcpy(head, TOP_MAGIC, TOP_MAGIC_BYTES);
    head[TOP_MAGIC_BYTES] = TOP_VERSION;
    cb_put_u64(head + 8, generation);
    cb_put_u32(body, (uint32_t)recent->count);
    cb_put_u32(body + TOP_FRAMES_OFFSET, versions->log_frames);
    memcpy(body + TOP_SALTS_OFFSET, versions->log_salts, CB_VFS_SALT_BYTES);
    for (size_t i = 0; i < CB_VFS_GROUPS; i++) {
        cb_put_u64(body + TOP_GROUPS_OFFSET + 8 * i, groups[i]);
    }
    for (size_t i = 0; i < recent->capacity; i++) {
        if (recent->places[i].page != 0) {
            cb_put_u32(place_in_body, (uint32_t)recent->places[i].page);
            cb_put_u64(place_in_body + 4, recent->places[i].version);
            place_in_body += CB_VFS_RECENT_BYTES;
        }
    }
    struct cb_vfs_place place = place_of(versions, TOP_POSITION, head);
    cb_vfs_seal(versions->vfs, &versions->nonces, &place, body, CB_VFS_TOP_BODY,
                body, &trailer);
    memcpy(body + CB_VFS_TOP_BODY, trailer.bytes, sizeof(trailer.bytes));
    int result = versions->real->pMethods->xWrite(
        versions->real, head, CB_VFS_TOP_BYTES,
        (int64_t)(generation % 2) * CB_VFS_TOP_BYTES);
    if (result == SQLITE_OK) {
        result = cb_vfs_sync(versions->vfs, versions->real, flags);
    }
    if (result == SQLITE_OK) {
        versions->generation = generation;
        versions->state = CB_VFS_TABLE_LIVE;
        versions->unsaved = false;
    }
    return result;
}

void cb_vfs_table_forget_blocks(struct cb_vfs_versions *versions)
{
    for (size_t i = 0; i < CB_VFS_CACHED_BLOCKS; i++) {
        sqlite3_free(versions->cache[i]);
        versions->cache[i] = NULL;
    }
}

static uint64_t group_number(uint64_t group)
{
    return group * BLOCKS_PER_GROUP;
}

static uint64_t leaf_number(uint64_t leaf)
{
    return leaf / CB_VFS_BLOCK_ENTRIES * BLOCKS_PER_GROUP + 1 +
           leaf % CB_VFS_BLOCK_ENTRIES;
}

static int64_t block_offset(uint64_t number, uint64_t version)
{
    return BLOCKS_OFFSET +
           (int64_t)(2 * number + (version & PLACE_BIT)) * CB_VFS_BLOCK_BYTES;
}

/* Reads and verifies one block that a parent names. */
static int read_block(struct cb_vfs_versions *versions, uint64_t number,
                      uint64_t version, uint8_t *body)
{
    uint8_t block[CB_VFS_BLOCK_BYTES];
    struct cb_vfs_trailer trailer;
    int result = versions->real->pMethods->xRead(
        versions->real, block, sizeof(block), block_offset(number, version));
    if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) {
        return result;
    }
    memcpy(trailer.bytes, block + CB_VFS_BLOCK_BODY, sizeof(trailer.bytes));
    struct cb_vfs_place place = place_of(versions, number, NULL);
    if (result == SQLITE_IOERR_SHORT_READ ||
        ((cb_vfs_version_of(&trailer) ^ version) & ~PLACE_BIT) != 0 ||
        !cb_vfs_unseal(versions->vfs, &place, block, CB_VFS_BLOCK_BODY,
                       &trailer)) {
        versions->bad_block = number + 1;
        return SQLITE_IOERR_DATA;
    }
    memcpy(body, block, CB_VFS_BLOCK_BODY);
    return SQLITE_OK;
}

/* Through the cache; the body is borrowed until the next call. */
static int find_block(struct cb_vfs_versions *versions, uint64_t number,
                      uint64_t version, const uint8_t **ret_body)
{
    struct cb_vfs_cached_block **place =
        &versions->cache[number % CB_VFS_CACHED_BLOCKS];
    if (*place == NULL) {
        *place = sqlite3_malloc((int)sizeof(**place));
        if (*place == NULL) {
            return SQLITE_IOERR_NOMEM;
        }
        (*place)->version = 0;
    }
    if ((*place)->number != number || (*place)->version != version) {
        (*place)->version = 0;
        int result = read_block(versions, number, version, (*place)->body);
        if (result != SQLITE_OK) {
            return result;
        }
        (*place)->number = number;
        (*place)->version = version;
    }
    *ret_body = (*place)->body;
    return SQLITE_OK;
}

/* The leaf that holds a page; NULL where none was ever written. */
static int find_leaf(struct cb_vfs_versions *versions, uint64_t leaf,
                     const uint8_t **ret_body)
{
    uint64_t group = leaf / CB_VFS_BLOCK_ENTRIES;
    const uint8_t *body = NULL;
    *ret_body = NULL;
    if (group >= CB_VFS_GROUPS || versions->groups[group] == 0) {
        return SQLITE_OK;
    }
    int result = find_block(versions, group_number(group),
                            versions->groups[group], &body);
    if (result != SQLITE_OK) {
        return result;
    }
    uint64_t version = cb_get_u64(body + leaf % CB_VFS_BLOCK_ENTRIES * 8);
    return version == 0
               ? SQLITE_OK
               : find_block(versions, leaf_number(leaf), version, ret_body);
}

int cb_vfs_table_find(struct cb_vfs_versions *versions, uint64_t page,
                      uint64_t *ret_version)
{
    const uint8_t *body = NULL;
    uint64_t index = page - 1;
    int result = find_leaf(versions, index / CB_VFS_BLOCK_ENTRIES, &body);
    *ret_version =
        body == NULL ? 0 : cb_get_u64(body + index % CB_VFS_BLOCK_ENTRIES * 8);
    return result;
}

int cb_vfs_table_read_leaf(struct cb_vfs_versions *versions, uint64_t leaf,
                           uint8_t *body)
{
    const uint8_t *found = NULL;
    int result = find_leaf(versions, leaf, &found);
    if (found != NULL) {
        memcpy(body, found, CB_VFS_BLOCK_BODY);
    } else {
        memset(body, 0, CB_VFS_BLOCK_BODY);
    }
    return result;
}

/* Seals a block for the place that its present version does not have. */
static int write_block(struct cb_vfs_versions *versions, uint64_t number,
                       const uint8_t *body, uint64_t present,
                       uint64_t *ret_version)
{
    uint8_t block[CB_VFS_BLOCK_BYTES];
    struct cb_vfs_trailer trailer;
    struct cb_vfs_place place = place_of(versions, number, NULL);
    cb_vfs_seal(versions->vfs, &versions->nonces, &place, body,
                CB_VFS_BLOCK_BODY, block, &trailer);
    memcpy(block + CB_VFS_BLOCK_BODY, trailer.bytes, sizeof(trailer.bytes));
    uint64_t version =
        (cb_vfs_version_of(&trailer) & ~PLACE_BIT) | (~present & PLACE_BIT);
    *ret_version = version;
    return versions->real->pMethods->xWrite(
        versions->real, block, sizeof(block), block_offset(number, version));
}

static int close_group(struct cb_vfs_versions *versions,
                       struct cb_vfs_rewrite *rewrite)
{
    if (!rewrite->open) {
        return SQLITE_OK;
    }
    rewrite->open = false;
    return write_block(versions, group_number(rewrite->group), rewrite->body,
                       versions->groups[rewrite->group],
                       &rewrite->groups[rewrite->group]);
}

static int open_group(struct cb_vfs_versions *versions,
                      struct cb_vfs_rewrite *rewrite, uint64_t group, bool anew)
{
    const uint8_t *body = NULL;
    int result = SQLITE_OK;
    memset(rewrite->body, 0, sizeof(rewrite->body));
    if (!anew && versions->groups[group] != 0) {
        result = find_block(versions, group_number(group),
                            versions->groups[group], &body);
        if (result == SQLITE_OK) {
            memcpy(rewrite->body, body, sizeof(rewrite->body));
        }
    }
    rewrite->group = group;
    rewrite->open = result == SQLITE_OK;
    return result;
}

int cb_vfs_table_write_leaf(struct cb_vfs_versions *versions,
                            struct cb_vfs_rewrite *rewrite, uint64_t leaf,
                            const uint8_t *body, bool anew)
{
    uint64_t group = leaf / CB_VFS_BLOCK_ENTRIES;
    int result = SQLITE_OK;
    if (group >= CB_VFS_GROUPS) {
        return SQLITE_FULL;
    }
    if (!rewrite->open || rewrite->group != group) {
        result = close_group(versions, rewrite);
        if (result == SQLITE_OK) {
            result = open_group(versions, rewrite, group, anew);
        }
    }
    if (result != SQLITE_OK) {
        return result;
    }
    uint8_t *entry = rewrite->body + leaf % CB_VFS_BLOCK_ENTRIES * 8;
    uint64_t version = 0;
    result = write_block(versions, leaf_number(leaf), body, cb_get_u64(entry),
                         &version);
    cb_put_u64(entry, version);
    return result;
}

int cb_vfs_table_finish(struct cb_vfs_versions *versions,
                        struct cb_vfs_rewrite *rewrite, int flags)
{
    const struct cb_vfs_recents none = { .places = NULL };
    int result = close_group(versions, rewrite);
    if (result == SQLITE_OK) {
        result = cb_vfs_sync(versions->vfs, versions->real, flags);
    }
    if (result == SQLITE_OK) {
        result =
            cb_vfs_table_write_top(versions, rewrite->groups, &none, flags);
    }
    if (result == SQLITE_OK) {
        memcpy(versions->groups, rewrite->groups, sizeof(versions->groups));
        cb_vfs_recents_clear(&versions->recent);
        cb_vfs_table_forget_blocks(versions);
    }
    return result;
}
