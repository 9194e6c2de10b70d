/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/run.h"

#include <stdlib.h>
#include <string.h>

/* The hashes of one level above the leaves that are not yet a whole tile. */
typedef struct level_row {
    cb_hash hashes[CB_TILE_WIDTH];
    size_t count;
    uint64_t index;
} level_row;

typedef struct walker {
    cb_audit_run *run;
    level_row levels[CB_TILE_LEVELS]; /* [0] is not used */
    cb_buffer bundle;
    cb_buffer tile;
    bool has_tile;
    bool tile_blamed;
    size_t missing_run;
} walker;

cb_status cb_audit_progress(cb_audit_run *run, uint64_t done, cb_error *error)
{
    const cb_audit_options *options = run->options;
    if (options->progress != NULL &&
        !options->progress(options->progress_context, done, run->head.size)) {
        return cb_error_set(error, CB_INTERRUPTED, "the check was interrupted");
    }
    return CB_OK;
}

static void find_path(cb_audit_run *run, const char *code, const char *path,
                      const char *words)
{
    run->tile_findings++;
    (void)cb_report_find(&run->report, code,
                         &(cb_audit_place){ .ref = run->log_ref,
                                            .commit = &run->commit,
                                            .path = path },
                         NULL, "%s", words);
}

/*
 * Reads a tile or a bundle into the buffer.  False where it is not there or
 * cannot be read, which is reported; CB_NO_MEMORY ends the check.
 */
static cb_status read_part(walker *walk, const cb_tile *tile,
                           cb_buffer *content, bool *ret_there, cb_error *error)
{
    cb_audit_run *run = walk->run;
    char path[CB_TILE_PATH_BYTES];
    cb_error why = { 0 };
    cb_buffer_reset(content);
    *ret_there = false;
    cb_status status = cb_audit_log_tile(&run->log, tile, path, content, &why);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "out of memory");
    }
    const char *words = tile->is_entries ? "a bundle of leaves is missing"
                                         : "a tile of hashes is missing";
    if (status == CB_OK && !tile->is_entries &&
        content->size != tile->width * (size_t)CB_HASH_BYTES) {
        status = cb_error_set(&why, CB_DAMAGED,
                              "a tile of the log has another length than its "
                              "leaves call for");
    }
    if (status != CB_OK) {
        const bool missing = status == CB_NOT_FOUND;
        find_path(run, missing ? "NOPROOF" : "SIG", path,
                  missing ? words : why.what);
        return CB_OK;
    }
    *ret_there = true;
    run->tiles++;
    return CB_OK;
}

/* ------------------------------------------------------ tiles above level 0 */

static void fold(const cb_hash *hashes, cb_hash *ret_hash)
{
    cb_hash row[CB_TILE_WIDTH / 2];
    for (size_t i = 0; i < CB_TILE_WIDTH / 2; i++) {
        cb_tree_node_hash(&hashes[2 * i], &hashes[2 * i + 1], &row[i]);
    }
    for (size_t count = CB_TILE_WIDTH / 4; count > 0; count /= 2) {
        for (size_t i = 0; i < count; i++) {
            cb_tree_node_hash(&row[2 * i], &row[2 * i + 1], &row[i]);
        }
    }
    *ret_hash = row[0];
}

/* Compares what was computed for a level with the tile that is stored. */
static cb_status compare_level(walker *walk, uint8_t level, cb_error *error)
{
    cb_audit_run *run = walk->run;
    level_row *row = &walk->levels[level];
    const cb_tile tile =
        cb_audit_tile(false, level, row->index, run->head.size);
    bool there = false;
    cb_status status = read_part(walk, &tile, &walk->tile, &there, error);
    if (status == CB_OK && there && run->root_known &&
        memcmp(walk->tile.bytes, row->hashes, row->count * CB_HASH_BYTES) !=
            0) {
        char path[CB_TILE_PATH_BYTES];
        cb_tile_path_format(&tile, path);
        find_path(run, "SIG", path,
                  "a tile of the log is not what its leaves give");
    }
    return status;
}

static cb_status push_hash(walker *walk, const cb_hash *hash, cb_error *error)
{
    cb_hash carried = *hash;
    cb_status status = CB_OK;
    for (uint8_t level = 1; level < CB_TILE_LEVELS && status == CB_OK;
         level++) {
        level_row *row = &walk->levels[level];
        row->hashes[row->count] = carried;
        row->count++;
        if (row->count < CB_TILE_WIDTH) {
            break;
        }
        status = compare_level(walk, level, error);
        fold(row->hashes, &carried);
        row->count = 0;
        row->index++;
    }
    return status;
}

static cb_status finish_levels(walker *walk, cb_error *error)
{
    cb_status status = CB_OK;
    for (uint8_t level = 1; level < CB_TILE_LEVELS && status == CB_OK;
         level++) {
        if (walk->levels[level].count > 0) {
            status = compare_level(walk, level, error);
        }
    }
    return status;
}

/* ------------------------------------------------------------------ leaves */

/* Adds a leaf's hash; a whole tile's root goes up a level. */
static cb_status grow(walker *walk, const cb_hash *hash, cb_error *error)
{
    cb_audit_run *run = walk->run;
    const bool completes = (run->edge.size + 1) % CB_TILE_WIDTH == 0;
    cb_hash root = *hash;
    for (unsigned level = 0; completes && level < CB_TILE_HEIGHT; level++) {
        cb_tree_node_hash(&run->edge.nodes[level], &root, &root);
    }
    cb_status status = cb_tree_edge_append(&run->edge, hash, error);
    if (status == CB_OK && completes) {
        status = push_hash(walk, &root, error);
    }
    if (status == CB_OK) {
        cb_audit_heads_judge(run);
    }
    return status;
}

static void blame_tile(walker *walk)
{
    cb_audit_run *run = walk->run;
    char path[CB_TILE_PATH_BYTES];
    const uint64_t index = run->index / CB_TILE_WIDTH;
    const cb_tile tile = { .index = index,
                           .width = (uint16_t)cb_audit_tile_width(
                               0, index, run->head.size) };
    if (!walk->tile_blamed) {
        walk->tile_blamed = true;
        cb_tile_path_format(&tile, path);
        find_path(run, "SIG", path,
                  "a tile of the log is not what its leaves give");
    }
}

static cb_status judge_leaf(cb_audit_run *run, cb_span leaf, cb_error *error)
{
    cb_stub stub;
    cb_span body;
    cb_error why = { 0 };
    cb_status status = cb_leaf_decode(leaf, &stub, &body, &why);
    cb_audit_outbox_judge(run, status == CB_OK ? &stub : NULL);
    if (status == CB_OK) {
        return cb_audit_judge(run, &stub, body, error);
    }
    if (status == CB_NEWER) {
        cb_report_gap(&run->report, CB_GAP_NEWER, 1);
        run->losses++;
        return CB_OK;
    }
    (void)cb_report_find(
        &run->report, "SIG",
        &(cb_audit_place){ .ref = run->log_ref,
                           .log_index = cb_audit_leaf(run->index) },
        NULL, "%s", why.what);
    run->losses++;
    return CB_OK;
}

/*
 * A leaf whose hash is not the tile's: one of the two was changed.  A leaf that
 * its stream's key has signed is right.
 */
static cb_status take_leaf(walker *walk, cb_span leaf, const cb_hash *expected,
                           cb_error *error)
{
    cb_audit_run *run = walk->run;
    cb_hash hash;
    cb_status status = CB_OK;
    cb_tree_leaf_hash(leaf, &hash);
    const bool differs = expected != NULL && memcmp(hash.bytes, expected->bytes,
                                                    sizeof hash.bytes) != 0;
    const bool changed = differs && !cb_audit_judge_leaf(run, leaf);
    if (changed) {
        run->tile_findings++;
        cb_audit_remember_changed(run, run->index);
        status = cb_audit_judge_changed(run, leaf, error);
    } else {
        if (differs) {
            blame_tile(walk);
        }
        status = judge_leaf(run, leaf, error);
    }
    return status == CB_OK ? grow(walk, changed ? expected : &hash, error)
                           : status;
}

static const cb_hash *tile_hash(const walker *walk, size_t number)
{
    return walk->has_tile ? (const cb_hash *)walk->tile.bytes + number : NULL;
}

/* The rest of a bundle is not to be had; the tile may still know its hashes. */
static cb_status lose_leaves(walker *walk, size_t first, size_t width,
                             cb_error *error)
{
    cb_audit_run *run = walk->run;
    cb_status status = CB_OK;
    cb_report_gap(&run->report, CB_GAP_LOST, width - first);
    run->losses++;
    for (size_t i = first; i < width && status == CB_OK; i++) {
        const cb_hash *hash = tile_hash(walk, i);
        const cb_hash none = { { 0 } };
        run->root_known = run->root_known && hash != NULL;
        status = grow(walk, hash == NULL ? &none : hash, error);
        run->index++;
    }
    return status;
}

static cb_status walk_bundle(walker *walk, uint64_t index, cb_error *error)
{
    cb_audit_run *run = walk->run;
    const size_t width = cb_audit_tile_width(0, index, run->head.size);
    cb_bundle_reader reader;
    cb_span leaf = { 0 };
    bool there = false;
    size_t i = 0;
    const cb_tile leaves = cb_audit_tile(true, 0, index, run->head.size);
    const cb_tile hashes = cb_audit_tile(false, 0, index, run->head.size);
    cb_status status = read_part(walk, &leaves, &walk->bundle, &there, error);
    if (status == CB_OK) {
        status = read_part(walk, &hashes, &walk->tile, &walk->has_tile, error);
    }
    if (status != CB_OK) {
        return status;
    }
    walk->tile_blamed = false;
    walk->missing_run = there || walk->has_tile ? 0 : walk->missing_run + 1;
    if (!there) {
        return lose_leaves(walk, 0, width, error);
    }
    cb_error why = { 0 };
    cb_bundle_reader_init(&reader, cb_span_of_buffer(&walk->bundle), width);
    for (; i < width && status == CB_OK; i++) {
        status = cb_bundle_reader_next(&reader, &leaf, &why);
        if (status == CB_OK) {
            /* The tile's buffer is used again once the last leaf is in. */
            cb_hash expected;
            const cb_hash *hash = tile_hash(walk, i);
            if (hash != NULL) {
                expected = *hash;
            }
            status =
                take_leaf(walk, leaf, hash == NULL ? NULL : &expected, error);
            run->index++;
        } else {
            break;
        }
    }
    if (status == CB_OK) {
        status = cb_bundle_reader_next(&reader, &leaf, &why);
        if (status == CB_END) {
            return CB_OK;
        }
    }
    if (status != CB_DAMAGED) {
        return status;
    }
    char path[CB_TILE_PATH_BYTES];
    cb_tile_path_format(&leaves, path);
    find_path(run, "SIG", path, why.what);
    return i < width ? lose_leaves(walk, i, width, error) : CB_OK;
}

static uint64_t bundle_count(uint64_t size)
{
    return size / CB_TILE_WIDTH + (size % CB_TILE_WIDTH != 0);
}

cb_status cb_audit_walk(cb_audit_run *run, cb_error *error)
{
    walker *walk = calloc(1, sizeof *walk);
    if (walk == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    walk->run = run;
    cb_buffer_init(&walk->bundle, CB_AUDIT_BUNDLE_BYTES_MAX);
    cb_buffer_init(&walk->tile, (size_t)CB_TILE_BYTES);
    cb_tree_edge_init(&run->edge);
    run->root_known = true;
    cb_audit_heads_judge(run);
    cb_status status = CB_OK;
    const uint64_t count = bundle_count(run->head.size);
    for (uint64_t i = 0; i < count && status == CB_OK; i++) {
        status = walk_bundle(walk, i, error);
        if (walk->missing_run >= CB_AUDIT_MISSING_RUN_MAX) {
            /* A size that was made up, or a copy without the tiles. */
            cb_report_gap(&run->report, CB_GAP_LOST,
                          run->head.size - run->index);
            break;
        }
        if (status == CB_OK) {
            status = cb_audit_progress(run, run->index, error);
        }
    }
    if (status == CB_OK && walk->missing_run < CB_AUDIT_MISSING_RUN_MAX) {
        status = finish_levels(walk, error);
    }
    cb_buffer_clear(&walk->bundle);
    cb_buffer_clear(&walk->tile);
    free(walk);
    return status;
}

static cb_status walk_bundle_again(cb_audit_run *run, uint64_t index,
                                   cb_buffer *bundle,
                                   cb_audit_leaf_callback callback,
                                   void *context, cb_error *error)
{
    char path[CB_TILE_PATH_BYTES];
    const size_t width = cb_audit_tile_width(0, index, run->head.size);
    const cb_tile tile = cb_audit_tile(true, 0, index, run->head.size);
    cb_buffer_reset(bundle);
    if (cb_audit_log_tile(&run->log, &tile, path, bundle, NULL) != CB_OK) {
        return CB_OK; /* reported by the walk */
    }
    cb_bundle_reader reader;
    cb_span leaf;
    cb_status status = CB_OK;
    cb_bundle_reader_init(&reader, cb_span_of_buffer(bundle), width);
    for (uint64_t i = index * CB_TILE_WIDTH;
         status == CB_OK &&
         cb_bundle_reader_next(&reader, &leaf, NULL) == CB_OK;
         i++) {
        status = callback(context, i, leaf, error);
    }
    return status;
}

cb_status cb_audit_walk_again(cb_audit_run *run,
                              cb_audit_leaf_callback callback, void *context,
                              cb_error *error)
{
    cb_buffer bundle;
    cb_status status = CB_OK;
    const uint64_t end = bundle_count(run->index);
    cb_buffer_init(&bundle, CB_AUDIT_BUNDLE_BYTES_MAX);
    for (uint64_t i = 0; i < end && status == CB_OK; i++) {
        status = walk_bundle_again(run, i, &bundle, callback, context, error);
        if (status == CB_OK) {
            status = cb_audit_progress(run, run->head.size, error);
        }
    }
    cb_buffer_clear(&bundle);
    return status;
}
