/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing the log: tiles, read back and computed again, then the signed
 * checkpoint, then the push.
 */
#include "hub/merge.h"

#include "git/commit.h"
#include "git/push.h"
#include "proof/tile.h"

#include <stdlib.h>
#include <string.h>

#define LOG_MESSAGE "log\n"

/* Entries in one commit: what a log host takes at once. */
#define COMMIT_ENTRIES 32768
#define ENTRIES_TILE_BYTES_MAX \
    (CB_TILE_WIDTH * (CB_CLEAR_BODY_BYTES_MAX + CB_ENTRY_STUB_BYTES + 2))

struct file {
    char path[CB_TILE_PATH_BYTES];
    cb_tile tile;
    cb_buffer content;
    bool remove;
};

struct edition {
    cb_hub_round *merge;
    uint64_t size; /* of the log that is published with it */
    struct file *files;
    size_t count;
    size_t capacity;
};

static void clear_edition(struct edition *edition)
{
    for (size_t i = 0; i < edition->count; i++) {
        cb_buffer_clear(&edition->files[i].content);
    }
    free(edition->files);
}

static struct file *add_file(struct edition *edition, const cb_tile *tile,
                             cb_error *error)
{
    if (edition->count == edition->capacity) {
        size_t capacity = edition->capacity == 0 ? 32 : 2 * edition->capacity;
        struct file *grown =
            realloc(edition->files, capacity * sizeof *edition->files);
        if (grown == NULL) {
            (void)cb_error_set(error, CB_NO_MEMORY, "out of memory");
            return NULL;
        }
        edition->files = grown;
        edition->capacity = capacity;
    }
    struct file *file = &edition->files[edition->count++];
    memset(file, 0, sizeof *file);
    file->tile = *tile;
    cb_tile_path_format(tile, file->path);
    cb_buffer_init(&file->content,
                   tile->is_entries ? ENTRIES_TILE_BYTES_MAX : CB_TILE_BYTES);
    return file;
}

/* ------------------------------------------------------------------- tiles */

struct bundle {
    cb_buffer *content;
    cb_buffer leaf;
    uint64_t count;
};

static cb_status add_leaf(void *context, cb_span bytes, uint64_t log_index,
                          cb_error *error)
{
    struct bundle *bundle = context;
    cb_entry entry;
    (void)log_index;
    cb_status status = cb_entry_decode(bytes, &entry, error);
    if (status != CB_OK) {
        return status;
    }
    cb_buffer_reset(&bundle->leaf);
    cb_leaf_append(&entry, &bundle->leaf);
    status = cb_buffer_check(&bundle->leaf, error);
    if (status == CB_OK) {
        status = cb_bundle_append(bundle->content,
                                  cb_span_of_buffer(&bundle->leaf), error);
    }
    bundle->count++;
    return status;
}

static cb_status fill_bundle(cb_hub_round *merge, const cb_tile *tile,
                             cb_buffer *content, cb_error *error)
{
    struct bundle bundle = { .content = content };
    uint64_t first = tile->index * CB_TILE_WIDTH;
    cb_buffer_init(&bundle.leaf, 2 * (size_t)CB_ENTRY_BYTES_MAX);
    cb_status status = cb_exchange_log_entries(
        merge->store, first, first + tile->width, add_leaf, &bundle, error);
    if (status == CB_OK && bundle.count != tile->width) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store lacks entries of the hub's log");
        cb_error_next(error, "casebound doctor");
    }
    cb_buffer_clear(&bundle.leaf);
    return status;
}

static cb_status add_tiles(struct edition *edition, cb_error *error)
{
    cb_hub_round *merge = edition->merge;
    cb_tree_source source = cb_merge_source(merge);
    cb_tile_growth growth;
    cb_tile tile;
    cb_status status = CB_OK;
    cb_tile_growth_init(&growth, merge->head.size, edition->size);
    while (status == CB_OK && cb_tile_growth_next(&growth, &tile)) {
        struct file *file = add_file(edition, &tile, error);
        if (file == NULL) {
            return CB_NO_MEMORY;
        }
        status = tile.is_entries
                     ? fill_bundle(merge, &tile, &file->content, error)
                     : cb_tile_hashes(&tile, &source, &file->content, error);
    }
    return status;
}

/* Partial tiles of the last checkpoint: they stay in its commit. */
static cb_status drop_partial(struct edition *edition, cb_error *error)
{
    uint64_t size = edition->merge->head.size;
    for (int step = 0; step <= CB_TILE_LEVELS; step++) {
        unsigned level = step == 0 ? 0 : (unsigned)step - 1;
        uint64_t hashes = size >> (CB_TILE_HEIGHT * level);
        cb_tile tile = {
            .is_entries = step == 0,
            .level = (uint8_t)level,
            .width = (uint16_t)(hashes % CB_TILE_WIDTH),
            .index = hashes / CB_TILE_WIDTH,
        };
        if (tile.width == 0 || cb_tile_in_tree(&tile, edition->size)) {
            continue;
        }
        struct file *file = add_file(edition, &tile, error);
        if (file == NULL) {
            return CB_NO_MEMORY;
        }
        file->remove = true;
    }
    return CB_OK;
}

/* ------------------------------------------------------------------ commits */

/* `note` NULL: the tiles alone, to be read back before anything is signed. */
static cb_status make_commit(struct edition *edition, const cb_buffer *note,
                             cb_git_oid *ret_oid, cb_error *error)
{
    cb_hub_round *merge = edition->merge;
    size_t count = 0;
    cb_git_file *files = calloc(edition->count + 1, sizeof *files);
    if (files == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < edition->count; i++) {
        files[count++] = (cb_git_file){
            .path = edition->files[i].path,
            .content = cb_span_of_buffer(&edition->files[i].content),
            .remove = edition->files[i].remove,
        };
    }
    if (note != NULL) {
        files[count++] = (cb_git_file){
            .path = "checkpoint",
            .content = cb_span_of_buffer(note),
        };
    }
    const cb_git_commit_plan plan = {
        .parent = merge->has_log ? &merge->log_commit : NULL,
        .keep_tree = merge->has_log,
        .files = files,
        .file_count = count,
        .message = LOG_MESSAGE,
        .position = merge->log_position,
        .secret_key = cb_exchange_device_key(merge->store),
    };
    cb_status status =
        cb_git_commit_create(merge->outgoing, &plan, ret_oid, error);
    free(files);
    return status;
}

struct reading {
    const cb_git_repository *repository;
    cb_git_oid tree;
};

static cb_status read_tile(void *context, const cb_tile *tile,
                           cb_buffer *content, cb_error *error)
{
    const struct reading *reading = context;
    char path[CB_TILE_PATH_BYTES];
    cb_tile_path_format(tile, path);
    cb_status status =
        cb_git_file_read(reading->repository, &reading->tree, path,
                         ENTRIES_TILE_BYTES_MAX, content, error);
    return status == CB_NOT_FOUND
               ? cb_error_set(error, CB_DAMAGED, "the log lacks '%s'", path)
               : status;
}

/* The leaves of one tile of entries, hashed again. */
static cb_status check_leaves(struct reading *reading, const cb_tile *tile,
                              cb_error *error)
{
    cb_bundle_reader reader;
    cb_tile hashes = *tile;
    cb_buffer bundle;
    cb_buffer level0;
    cb_status status = CB_OK;
    size_t offset = 0;
    hashes.is_entries = false;
    cb_buffer_init(&bundle, ENTRIES_TILE_BYTES_MAX);
    cb_buffer_init(&level0, CB_TILE_BYTES);
    status = read_tile(reading, tile, &bundle, error);
    if (status == CB_OK) {
        status = read_tile(reading, &hashes, &level0, error);
    }
    cb_bundle_reader_init(&reader, cb_span_of_buffer(&bundle), tile->width);
    while (status == CB_OK) {
        cb_span leaf;
        cb_hash hash;
        status = cb_bundle_reader_next(&reader, &leaf, error);
        if (status != CB_OK) {
            break;
        }
        cb_tree_leaf_hash(leaf, &hash);
        if (offset + CB_HASH_BYTES > level0.size ||
            memcmp(level0.bytes + offset, hash.bytes, CB_HASH_BYTES) != 0) {
            status = cb_error_set(error, CB_DAMAGED,
                                  "what was written of the log is not what was "
                                  "read back");
        }
        offset += CB_HASH_BYTES;
    }
    cb_buffer_clear(&bundle);
    cb_buffer_clear(&level0);
    return status == CB_END ? CB_OK : status;
}

/* Invariant 2: the root out of what was stored, against the store's own. */
static cb_status read_back(struct edition *edition, const cb_git_oid *oid,
                           cb_tree_head *ret_head, cb_error *error)
{
    cb_hub_round *merge = edition->merge;
    cb_git_commit commit;
    cb_tree_edge edge;
    cb_tree_head stored;
    cb_tile_tree *tree = NULL;
    struct reading reading = { .repository = merge->outgoing };
    const cb_tile_store tiles = { .context = &reading, .read_tile = read_tile };
    cb_tree_source source = cb_merge_source(merge);
    cb_status status = cb_git_commit_read(merge->outgoing, oid, &commit, error);
    if (status != CB_OK) {
        return status;
    }
    reading.tree = commit.tree;
    cb_git_commit_clear(&commit);
    for (size_t i = 0; status == CB_OK && i < edition->count; i++) {
        const struct file *file = &edition->files[i];
        if (file->tile.is_entries && !file->remove) {
            status = check_leaves(&reading, &file->tile, error);
        }
    }
    if (status == CB_OK) {
        status = cb_tree_edge_load(&source, edition->size, &edge, error);
    }
    if (status == CB_OK) {
        cb_tree_edge_head(&edge, ret_head);
        status = cb_tile_tree_create(&tiles, edition->size, &tree, error);
    }
    if (status == CB_OK) {
        cb_tree_source stored_source = cb_tile_tree_source(tree);
        status = cb_tree_edge_load(&stored_source, edition->size, &edge, error);
    }
    if (status == CB_OK) {
        cb_tree_edge_head(&edge, &stored);
        if (memcmp(&stored.root, &ret_head->root, sizeof stored.root) != 0) {
            status = cb_error_set(error, CB_DAMAGED,
                                  "the log that was written is not the log "
                                  "that the store holds");
        }
    }
    cb_tile_tree_destroy(tree);
    return status;
}

static cb_status sign_edition(struct edition *edition, cb_error *error)
{
    cb_hub_round *merge = edition->merge;
    cb_git_oid oid;
    cb_checkpoint checkpoint = { 0 };
    cb_status status = make_commit(edition, NULL, &oid, error);
    if (status == CB_OK) {
        status = read_back(edition, &oid, &checkpoint.head, error);
    }
    if (status != CB_OK) {
        cb_error_meaning(error, "nothing was signed or published");
        return status;
    }
    memcpy(checkpoint.origin, merge->log_key.name, sizeof checkpoint.origin);
    cb_buffer_reset(&merge->note);
    status = cb_checkpoint_sign(&checkpoint, &merge->log_key,
                                cb_exchange_device_key(merge->store),
                                &merge->note, error);
    if (status == CB_OK) {
        status = make_commit(edition, &merge->note, &oid, error);
    }
    if (status == CB_OK) {
        status = cb_place_point(merge->outgoing, CB_REF_LOG, &oid, error);
    }
    if (status == CB_OK) {
        merge->has_log = true;
        merge->log_commit = oid;
        merge->log_position++;
        merge->head = checkpoint.head;
    }
    return status;
}

static cb_status push_log(cb_hub_round *merge, cb_error *error)
{
    const cb_git_push_request request = {
        .transport = merge->transport,
        .repository = CB_GIT_LOG,
        .local_ref = CB_REF_LOG,
        .remote_ref = CB_REF_LOG,
    };
    const cb_git_oid *remote = cb_ref_find(&merge->log_refs, CB_REF_LOG);
    if (remote != NULL && cb_git_oid_equal(remote, &merge->log_commit)) {
        return CB_OK;
    }
    return cb_git_push(merge->outgoing, &request, NULL, error);
}

cb_status cb_merge_publish(cb_hub_round *merge, uint64_t size,
                           cb_error *reterr_error)
{
    cb_status status = CB_OK;
    while (status == CB_OK && merge->head.size < size) {
        uint64_t left = size - merge->head.size;
        struct edition edition = {
            .merge = merge,
            .size = left > COMMIT_ENTRIES ? merge->head.size + COMMIT_ENTRIES
                                          : size,
        };
        cb_progress_step(merge->options->progress, "publishing",
                         merge->head.size, size);
        status = add_tiles(&edition, reterr_error);
        if (status == CB_OK) {
            status = drop_partial(&edition, reterr_error);
        }
        if (status == CB_OK) {
            status = sign_edition(&edition, reterr_error);
        }
        clear_edition(&edition);
        if (status == CB_OK && merge->head.size < size) {
            status = push_log(merge, reterr_error);
        }
    }
    if (status == CB_OK) {
        status = push_log(merge, reterr_error);
    }
    if (status == CB_OK) {
        merge->report->log_size = merge->head.size;
        status = cb_exchange_remember_checkpoint(
            merge->store, merge->head.size, &merge->head.root,
            cb_buffer_text(&merge->note), reterr_error);
    }
    return status;
}
