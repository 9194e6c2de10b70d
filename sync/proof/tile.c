/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/tile.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof/decimal.h"

static_assert(CB_TREE_LEVELS <= CB_TILE_LEVELS * CB_TILE_HEIGHT,
              "each level of the tree is inside a tile");

/* Number of hashes that a level of tiles has in all. */
static uint64_t level_width(unsigned level, uint64_t size)
{
    return size >> (CB_TILE_HEIGHT * level);
}

/* How wide this tile is in the tree of `size` leaves; 0 where it is not. */
static uint16_t width_in_tree(unsigned level, uint64_t index, uint64_t size)
{
    const uint64_t hashes = level_width(level, size);
    if (index < hashes / CB_TILE_WIDTH) {
        return CB_TILE_WIDTH;
    }
    return index > hashes / CB_TILE_WIDTH ? 0
                                          : (uint16_t)(hashes % CB_TILE_WIDTH);
}

void cb_tile_path_format(const cb_tile *tile, char path[CB_TILE_PATH_BYTES])
{
    CB_ASSERT(tile->index <= CB_TREE_SIZE_MAX);
    CB_ASSERT(tile->width > 0 && tile->width <= CB_TILE_WIDTH);
    const size_t limit = CB_TILE_PATH_BYTES;
    int length = tile->is_entries
                     ? snprintf(path, limit, "tile/entries/")
                     : snprintf(path, limit, "tile/%u/", tile->level);
    uint64_t unit = 1;
    while (tile->index / unit >= 1000) {
        unit *= 1000;
    }
    for (; unit > 0; unit /= 1000) {
        length += snprintf(path + length, limit - (size_t)length, "%s%03u%s",
                           unit == 1 ? "" : "x",
                           (unsigned)(tile->index / unit % 1000),
                           unit == 1 ? "" : "/");
    }
    if (tile->width < CB_TILE_WIDTH) {
        length += snprintf(path + length, limit - (size_t)length, ".p/%u",
                           tile->width);
    }
    CB_ASSERT((size_t)length < limit);
}

/*
 * The spelling is checked by writing the tile out again: whatever else could
 * be read as the same tile differs there.
 */
bool cb_tile_path_parse(cb_span path, cb_tile *ret_tile)
{
    cb_tile tile = { .width = CB_TILE_WIDTH };
    cb_span rest = path;
    cb_span part;
    if (path.size >= CB_TILE_PATH_BYTES || !cb_text_split(&rest, '/', &part) ||
        !cb_text_split(&rest, '/', &part)) {
        return false;
    }
    uint64_t number = 0;
    tile.is_entries = cb_span_equal(part, cb_span_of_text("entries"));
    if (!tile.is_entries) {
        if (!cb_decimal_parse(part, CB_TILE_LEVELS - 1, &number)) {
            return false;
        }
        tile.level = (uint8_t)number;
    }
    size_t at = 0;
    for (; at < rest.size && rest.bytes[at] != '.'; at++) {
        const uint8_t byte = rest.bytes[at];
        if (byte >= '0' && byte <= '9') {
            if (tile.index > CB_TREE_SIZE_MAX / 10 - 1) {
                return false;
            }
            tile.index = tile.index * 10 + (uint64_t)(byte - '0');
        }
    }
    if (at < rest.size) {
        rest.bytes += at;
        rest.size -= at;
        if (!cb_text_split(&rest, '/', &part) ||
            !cb_decimal_parse(rest, CB_TILE_WIDTH - 1, &number) ||
            number == 0) {
            return false;
        }
        tile.width = (uint16_t)number;
    }
    char canonical[CB_TILE_PATH_BYTES];
    cb_tile_path_format(&tile, canonical);
    if (!cb_span_equal(path, cb_span_of_text(canonical))) {
        return false;
    }
    *ret_tile = tile;
    return true;
}

bool cb_tile_in_tree(const cb_tile *tile, uint64_t size)
{
    return tile->level < CB_TILE_LEVELS && tile->width != 0 &&
           !(tile->is_entries && tile->level != 0) &&
           width_in_tree(tile->level, tile->index, size) == tile->width;
}

/* The first tile of the step's level that the smaller tree has not in full. */
static void growth_enter(cb_tile_growth *growth, uint8_t step)
{
    growth->step = step;
    if (step <= CB_TILE_LEVELS) {
        const unsigned level = step == 0 ? 0U : step - 1U;
        growth->index = level_width(level, growth->size_from) / CB_TILE_WIDTH;
    }
}

void cb_tile_growth_init(cb_tile_growth *growth, uint64_t size_from,
                         uint64_t size_to)
{
    CB_ASSERT(size_from <= size_to);
    CB_ASSERT(size_to <= CB_TREE_SIZE_MAX);
    growth->size_from = size_from;
    growth->size_to = size_to;
    growth_enter(growth, 0);
}

bool cb_tile_growth_next(cb_tile_growth *growth, cb_tile *ret_tile)
{
    while (growth->step <= CB_TILE_LEVELS) {
        const uint8_t level =
            (uint8_t)(growth->step == 0 ? 0 : growth->step - 1);
        const uint16_t width =
            width_in_tree(level, growth->index, growth->size_to);
        if (width == 0) {
            growth_enter(growth, (uint8_t)(growth->step + 1));
            continue;
        }
        const uint64_t index = growth->index++;
        if (width != width_in_tree(level, index, growth->size_from)) {
            *ret_tile = (cb_tile){ .is_entries = growth->step == 0,
                                   .level = level,
                                   .width = width,
                                   .index = index };
            return true;
        }
    }
    return false;
}

cb_status cb_tile_hashes(const cb_tile *tile, const cb_tree_source *source,
                         cb_buffer *bytes, cb_error *reterr_error)
{
    CB_ASSERT(!tile->is_entries);
    const unsigned height = tile->level * (unsigned)CB_TILE_HEIGHT;
    for (uint64_t i = 0; i < tile->width; i++) {
        const uint64_t index = tile->index * CB_TILE_WIDTH + i;
        cb_hash hash;
        cb_status status = CB_OK;
        if (height == 0) {
            status = source->get_hash(source->context, 0, index, &hash,
                                      reterr_error);
        } else {
            cb_hash right;
            status = source->get_hash(source->context, height - 1, index * 2,
                                      &hash, reterr_error);
            if (status == CB_OK) {
                status = source->get_hash(source->context, height - 1,
                                          index * 2 + 1, &right, reterr_error);
            }
            if (status == CB_OK) {
                cb_tree_node_hash(&hash, &right, &hash);
            }
        }
        if (status != CB_OK) {
            return status;
        }
        cb_buffer_append(bytes, hash.bytes, sizeof hash.bytes);
    }
    return cb_buffer_check(bytes, reterr_error);
}

/* One remembered tile; width 0 where there is none yet. */
typedef struct remembered_tile {
    uint64_t index;
    uint16_t width;
    cb_hash hashes[CB_TILE_WIDTH];
} remembered_tile;

struct cb_tile_tree {
    cb_tile_store store;
    uint64_t size;
    remembered_tile tiles[CB_TILE_LEVELS];
};

cb_status cb_tile_tree_create(const cb_tile_store *store, uint64_t size,
                              cb_tile_tree **ret_tree, cb_error *reterr_error)
{
    if (size > CB_TREE_SIZE_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "a log of '%" PRIu64
                            "' entries is larger than any that can be",
                            size);
    }
    cb_tile_tree *tree = calloc(1, sizeof *tree);
    if (tree == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    tree->store = *store;
    tree->size = size;
    *ret_tree = tree;
    return CB_OK;
}

void cb_tile_tree_destroy(cb_tile_tree *tree)
{
    free(tree);
}

/* Makes the tile the remembered one of its level. */
static cb_status load_tile(cb_tile_tree *tree, const cb_tile *tile,
                           cb_error *reterr_error)
{
    remembered_tile *place = &tree->tiles[tile->level];
    if (place->width == tile->width && place->index == tile->index) {
        return CB_OK;
    }
    cb_buffer content;
    cb_buffer_init(&content, CB_TILE_BYTES + 1);
    cb_status status = tree->store.read_tile(tree->store.context, tile,
                                             &content, reterr_error);
    if (status == CB_OK) {
        status = cb_buffer_check(&content, reterr_error);
    }
    if (status == CB_OK &&
        content.size != tile->width * (size_t)CB_HASH_BYTES) {
        char path[CB_TILE_PATH_BYTES];
        cb_tile_path_format(tile, path);
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "'%s' in the hub's log has %zu bytes and not %zu",
                              path, content.size,
                              tile->width * (size_t)CB_HASH_BYTES);
        cb_error_meaning(reterr_error, "proofs that need this part of the log "
                                       "cannot be made from this copy");
        cb_error_next(reterr_error, "fetch the log again, then: casebound "
                                    "audit verify");
    }
    if (status == CB_OK) {
        memcpy(place->hashes, content.bytes, content.size);
        place->index = tile->index;
        place->width = tile->width;
    }
    cb_buffer_clear(&content);
    return status;
}

/* Folds 1 << height neighbouring hashes into the one above them. */
static void fold(const cb_hash *hashes, unsigned height, cb_hash *ret_hash)
{
    cb_hash row[CB_TILE_WIDTH / 2];
    size_t count = (size_t)1 << height;
    memcpy(row, hashes, count * sizeof *hashes);
    for (; count > 1; count /= 2) {
        for (size_t i = 0; i < count / 2; i++) {
            cb_tree_node_hash(&row[2 * i], &row[2 * i + 1], &row[i]);
        }
    }
    *ret_hash = row[0];
}

static cb_status get_tile_hash(void *context, unsigned level, uint64_t index,
                               cb_hash *ret_hash, cb_error *reterr_error)
{
    cb_tile_tree *tree = context;
    if (level >= CB_TREE_LEVELS || index >= tree->size >> level) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "a log of %" PRIu64 " entries has no part %" PRIu64
                            " of level %u",
                            tree->size, index, level);
    }
    const unsigned height = level % CB_TILE_HEIGHT;
    const uint64_t first = index << height;
    cb_tile tile = { .level = (uint8_t)(level / CB_TILE_HEIGHT),
                     .index = first / CB_TILE_WIDTH };
    tile.width = width_in_tree(tile.level, tile.index, tree->size);
    cb_status status = load_tile(tree, &tile, reterr_error);
    if (status == CB_OK) {
        const remembered_tile *place = &tree->tiles[tile.level];
        fold(place->hashes + first % CB_TILE_WIDTH, height, ret_hash);
    }
    return status;
}

cb_tree_source cb_tile_tree_source(cb_tile_tree *tree)
{
    return (cb_tree_source){ .context = tree, .get_hash = get_tile_hash };
}

cb_status cb_bundle_append(cb_buffer *bundle, cb_span leaf,
                           cb_error *reterr_error)
{
    if (leaf.size > UINT16_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "a leaf of the hub's log has %zu bytes, more than "
                            "%u",
                            leaf.size, (unsigned)UINT16_MAX);
    }
    uint8_t length[2];
    cb_put_u16(length, (uint16_t)leaf.size);
    cb_buffer_append(bundle, length, sizeof length);
    cb_buffer_append_span(bundle, leaf);
    return cb_buffer_check(bundle, reterr_error);
}

void cb_bundle_reader_init(cb_bundle_reader *reader, cb_span bundle,
                           size_t width)
{
    reader->rest = bundle;
    reader->left = width;
}

static cb_status refuse_bundle(const char *what, cb_error *reterr_error)
{
    cb_status status = cb_error_set(reterr_error, CB_DAMAGED,
                                    "a bundle of the hub's log %s", what);
    cb_error_meaning(reterr_error, "what was received cannot be read from this "
                                   "copy of the log");
    cb_error_next(reterr_error,
                  "fetch the log again, then: casebound audit verify");
    return status;
}

cb_status cb_bundle_reader_next(cb_bundle_reader *reader, cb_span *ret_leaf,
                                cb_error *reterr_error)
{
    if (reader->left == 0) {
        return reader->rest.size == 0
                   ? CB_END
                   : refuse_bundle("has bytes after its last leaf",
                                   reterr_error);
    }
    if (reader->rest.size < 2 ||
        cb_get_u16(reader->rest.bytes) > reader->rest.size - 2) {
        return refuse_bundle("ends inside a leaf", reterr_error);
    }
    const size_t size = cb_get_u16(reader->rest.bytes);
    *ret_leaf = (cb_span){ .bytes = reader->rest.bytes + 2, .size = size };
    reader->rest.bytes += 2 + size;
    reader->rest.size -= 2 + size;
    reader->left--;
    return CB_OK;
}

void cb_leaf_append(const cb_entry *entry, cb_buffer *leaf)
{
    cb_entry_append_stub(entry, leaf);
    if ((entry->header.flags & CB_ENTRY_FLAG_CLEAR) != 0) {
        cb_buffer_append_span(leaf, entry->body);
    }
}

cb_status cb_leaf_decode(cb_span leaf, cb_stub *ret_stub,
                         cb_span *ret_clear_body, cb_error *reterr_error)
{
    cb_span head = leaf;
    if (head.size > CB_ENTRY_STUB_BYTES) {
        head.size = CB_ENTRY_STUB_BYTES;
    }
    cb_stub stub;
    cb_status status = cb_stub_decode(head, &stub, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    const bool is_clear = (stub.header.flags & CB_ENTRY_FLAG_CLEAR) != 0;
    const cb_span body = { .bytes = leaf.bytes + head.size,
                           .size = leaf.size - head.size };
    cb_hash hash;
    cb_hash_domain("body", body, &hash);
    if (body.size != (is_clear ? stub.header.body_length : 0) ||
        (is_clear &&
         memcmp(hash.bytes, stub.body_hash.bytes, sizeof hash.bytes) != 0)) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "a leaf of the hub's log has a body that does "
                              "not belong to its stub");
        cb_error_meaning(reterr_error, "what this entry says in clear was "
                                       "changed or lost in this copy");
        cb_error_next(reterr_error,
                      "fetch the log again, then: casebound audit verify");
        return status;
    }
    *ret_stub = stub;
    *ret_clear_body = body;
    return CB_OK;
}
