/* SPDX-License-Identifier: Apache-2.0 */
#include "support/log_builder.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <casebound/json.h>

#include "git/folder.h"
#include "log/segment.h"
#include "store/internal.h"
#include "support/expect.h"

/* 2026-01-01: the hub's clock at the beginning. */
#define FIRST_MS INT64_C(1767225600000)

static void make_bytes(log_builder *log, void *bytes, size_t size)
{
    unsigned char seed[randombytes_SEEDBYTES] = { 0 };
    log->counter++;
    memcpy(seed, &log->counter, sizeof log->counter);
    randombytes_buf_deterministic(bytes, size, seed);
}

static cb_secret *make_key(log_builder *log, uint8_t *public_key)
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    cb_secret *key = NULL;
    make_bytes(log, seed, sizeof seed);
    expect_ok(cb_secret_create(crypto_sign_SECRETKEYBYTES, &key, test_error()));
    crypto_sign_seed_keypair(public_key, cb_secret_bytes(key), seed);
    return key;
}

static log_writer *make_writer(log_builder *log, bool hub)
{
    log_writer *writer = &log->writers[log->writer_count++];
    cr_assert(log->writer_count <= 64);
    make_bytes(log, &writer->device, sizeof writer->device);
    make_bytes(log, &writer->person, sizeof writer->person);
    make_bytes(log, &writer->stream, sizeof writer->stream);
    make_bytes(log, writer->sealing_public, sizeof writer->sealing_public);
    writer->device_key = make_key(log, writer->device_public);
    writer->stream_key = make_key(log, writer->stream_public);
    writer->hub = hub;
    writer->segment_seq = 1;
    writer->now_ms = log->writers[0].now_ms;
    return writer;
}

static json_t *certificate_of(const log_builder *log, const log_writer *writer)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    expect_ok(cb_certificate_sign(
        &log->realm, &writer->device, &writer->person, writer->device_public,
        writer->sealing_public, writer->hub,
        writer->hub ? log->root_key : log->writers[0].device_key, signature,
        test_error()));
    return cb_json_hex(signature, sizeof signature);
}

json_t *log_device_operation(const log_builder *log, const log_writer *writer)
{
    return json_pack(
        "{s:s, s:o, s:o, s:b, s:o, s:o, s:o}", "op", "device", "certificate",
        certificate_of(log, writer), "device",
        cb_json_hex(&writer->device, sizeof writer->device), "hub",
        (int)writer->hub, "person",
        cb_json_hex(&writer->person, sizeof writer->person), "sealing_key",
        cb_json_hex(writer->sealing_public, CB_PUBLIC_KEY_BYTES), "signing_key",
        cb_json_hex(writer->device_public, CB_PUBLIC_KEY_BYTES));
}

static json_t *opening_of(const log_builder *log, const log_writer *writer)
{
    uint8_t message[2 * CB_IDENTIFIER_BYTES + CB_PUBLIC_KEY_BYTES];
    uint8_t signature[CB_SIGNATURE_BYTES];
    memcpy(message, &log->realm, CB_IDENTIFIER_BYTES);
    memcpy(message + CB_IDENTIFIER_BYTES, &writer->stream, CB_IDENTIFIER_BYTES);
    memcpy(message + 2 * CB_IDENTIFIER_BYTES, writer->stream_public,
           CB_PUBLIC_KEY_BYTES);
    cb_sign("stream", (cb_span){ message, sizeof message }, writer->device_key,
            signature);
    return json_pack(
        "{s:o, s:o, s:o, s:b, s:o, s:o, s:i, s:o, s:o, s:o}", "certificate",
        certificate_of(log, writer), "device",
        cb_json_hex(&writer->device, sizeof writer->device), "device_key",
        cb_json_hex(writer->device_public, CB_PUBLIC_KEY_BYTES), "hub",
        (int)writer->hub, "person",
        cb_json_hex(&writer->person, sizeof writer->person), "root_key",
        cb_json_hex(log->root_public, CB_PUBLIC_KEY_BYTES), "schema", 1,
        "sealing_key", cb_json_hex(writer->sealing_public, CB_PUBLIC_KEY_BYTES),
        "stream_key", cb_json_hex(writer->stream_public, CB_PUBLIC_KEY_BYTES),
        "stream_signature", cb_json_hex(signature, sizeof signature));
}

/* ----------------------------------------------------------------- entries */

static void *grow(void *rows, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return rows;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = realloc(rows, *capacity * size);
    cr_assert(grown != NULL);
    return grown;
}

static void add_leaf(log_builder *log, const cb_entry *entry)
{
    log->leaves = grow(log->leaves, log->leaf_count, &log->leaf_capacity,
                       sizeof *log->leaves);
    cb_buffer *leaf = &log->leaves[log->leaf_count++];
    cb_buffer_init(leaf, CB_ENTRY_BYTES_MAX);
    cb_leaf_append(entry, leaf);
}

static void add_entry(log_writer *writer, cb_span bytes)
{
    writer->entries = grow(writer->entries, writer->entry_count,
                           &writer->entry_capacity, sizeof *writer->entries);
    cb_buffer *entry = &writer->entries[writer->entry_count++];
    cb_buffer_init(entry, CB_ENTRY_BYTES_MAX);
    cb_buffer_append_span(entry, bytes);
}

static void append(log_builder *log, log_writer *writer, uint8_t kind,
                   cb_span text, bool sealed, bool logged)
{
    cb_entry entry;
    cb_buffer bytes;
    cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
    writer->now_ms += 1000;
    cb_entry_header header = { .kind = kind,
                               .flags = CB_CLOCK_SET_BY_SYNC,
                               .realm = log->realm,
                               .stream = writer->stream,
                               .seq = writer->seq + 1,
                               .prev = writer->head,
                               .time = (uint64_t)writer->now_ms << 16,
                               .seen_size = writer->seen_size,
                               .seen_root = writer->seen_root,
                               .roster = writer->roster };
    if (sealed) {
        make_bytes(log, header.nonce, sizeof header.nonce);
        memset(&header.key_id, 7, sizeof header.key_id);
        expect_ok(cb_entry_seal(&header, text, log->compartment,
                                writer->stream_key, &bytes, test_error()));
    } else {
        expect_ok(cb_entry_write_clear(&header, text, writer->stream_key,
                                       &bytes, test_error()));
    }
    expect_ok(cb_entry_decode(cb_span_of_buffer(&bytes), &entry, test_error()));
    writer->seq = header.seq;
    writer->head = entry.hash;
    if (logged) {
        add_leaf(log, &entry);
    }
    if (!writer->quiet) {
        add_entry(writer, cb_span_of_buffer(&bytes));
    }
    cb_buffer_clear(&bytes);
}

void log_write_clear(log_builder *log, log_writer *writer, uint8_t kind,
                     json_t *body)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_CLEAR_BODY_BYTES_MAX);
    cr_assert(body != NULL);
    expect_ok(cb_json_append(body, &text, test_error()));
    json_decref(body);
    append(log, writer, kind, cb_span_of_buffer(&text), false, true);
    cb_buffer_clear(&text);
}

void log_write(log_builder *log, log_writer *writer)
{
    append(log, writer, CB_ENTRY_CASE, cb_span_of_text("{\"schema\":1}"), true,
           true);
}

void log_write_unlogged(log_builder *log, log_writer *writer)
{
    append(log, writer, CB_ENTRY_CASE, cb_span_of_text("{\"schema\":1}"), true,
           false);
}

void log_roster(log_builder *log, json_t *operations)
{
    log_writer *hub = &log->writers[0];
    log_write_clear(
        log, hub, CB_ENTRY_ROSTER,
        json_pack("{s:o, s:o, s:i, s:i}", "ops", operations, "previous",
                  cb_json_hex(&log->roster_hash, sizeof log->roster_hash),
                  "schema", 1, "version", (int)log->roster + 1));
    log->roster++;
    log->roster_hash = hub->head;
    hub->roster = log->roster;
}

log_writer *log_enrol(log_builder *log)
{
    log_writer *writer = make_writer(log, false);
    log_roster(log, json_pack("[o]", log_device_operation(log, writer)));
    log_sync(log, writer);
    log_write_clear(log, writer, CB_ENTRY_OPENING, opening_of(log, writer));
    return writer;
}

void log_sync(log_builder *log, log_writer *writer)
{
    writer->seen_size = log->head.size;
    writer->seen_root = log->head.root;
    if (log->head.size == 0) {
        memset(&writer->seen_root, 0, sizeof writer->seen_root);
    }
    writer->roster = log->roster;
    if (writer->now_ms < log->writers[0].now_ms) {
        writer->now_ms = log->writers[0].now_ms;
    }
}

/* -------------------------------------------------------------------- tree */

static void push_hash(log_builder *log, unsigned level, const cb_hash *hash)
{
    log->levels[level] =
        grow(log->levels[level], log->level_counts[level],
             &log->level_capacities[level], sizeof **log->levels);
    log->levels[level][log->level_counts[level]++] = *hash;
}

static void hash_leaves(log_builder *log)
{
    for (; log->hashed < log->leaf_base + log->leaf_count; log->hashed++) {
        cb_hash hash;
        unsigned level = 0;
        cb_tree_leaf_hash(cb_span_of_buffer(log_leaf(log, log->hashed)), &hash);
        push_hash(log, 0, &hash);
        while (log->level_counts[level] % 2 == 0) {
            const cb_hash *pair =
                &log->levels[level][log->level_counts[level] - 2];
            cb_tree_node_hash(&pair[0], &pair[1], &hash);
            level++;
            push_hash(log, level, &hash);
        }
    }
}

static cb_status get_hash(void *context, unsigned level, uint64_t index,
                          cb_hash *ret_hash, cb_error *reterr_error)
{
    const log_builder *log = context;
    (void)reterr_error;
    cr_assert(index < log->level_counts[level]);
    *ret_hash = log->levels[level][index];
    return CB_OK;
}

static cb_tree_source source_of(log_builder *log)
{
    return (cb_tree_source){ .context = log, .get_hash = get_hash };
}

cb_buffer *log_leaf(log_builder *log, uint64_t index)
{
    cr_assert(index >= log->leaf_base &&
              index < log->leaf_base + log->leaf_count);
    return &log->leaves[index - log->leaf_base];
}

void log_rehash(log_builder *log)
{
    memset(log->level_counts, 0, sizeof log->level_counts);
    log->hashed = 0;
    log->published = 0;
}

void log_remove_leaf(log_builder *log, uint64_t index)
{
    cb_buffer *leaf = log_leaf(log, index);
    cb_buffer_clear(leaf);
    memmove(leaf, leaf + 1,
            (log->leaf_count - (size_t)index - 1) * sizeof *leaf);
    log->leaf_count--;
}

/* ------------------------------------------------------------------ commits */

enum {
    FILES_MAX = 4000
};

typedef struct files {
    cb_git_file list[FILES_MAX + 1];
    char paths[FILES_MAX + 1][CB_TILE_PATH_BYTES];
    cb_buffer contents[FILES_MAX + 1];
    size_t count;
} files;

static void make_tile(log_builder *log, const cb_tile *tile, cb_buffer *content)
{
    const cb_tree_source source = source_of(log);
    if (!tile->is_entries) {
        cb_buffer_init(content, CB_TILE_BYTES);
        expect_ok(cb_tile_hashes(tile, &source, content, test_error()));
        return;
    }
    cb_buffer_init(content, SIZE_MAX / 2);
    for (uint64_t i = 0; i < tile->width; i++) {
        const cb_buffer *leaf = log_leaf(log, tile->index * CB_TILE_WIDTH + i);
        expect_ok(
            cb_bundle_append(content, cb_span_of_buffer(leaf), test_error()));
    }
}

static void make_checkpoint(log_builder *log, cb_buffer *note)
{
    cb_note_key key;
    cb_checkpoint checkpoint = { .head = log->head };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "casebound/");
    cb_hex_format(log->realm.bytes, sizeof log->realm.bytes,
                  checkpoint.origin + strlen(checkpoint.origin));
    expect_ok(cb_note_key_init(&key, checkpoint.origin,
                               log->writers[0].device_public, test_error()));
    cb_buffer_init(note, CB_CHECKPOINT_BYTES_MAX);
    expect_ok(cb_checkpoint_sign(&checkpoint, &key, log->writers[0].device_key,
                                 note, test_error()));
}

void log_move_ref(log_builder *log, const char *ref, const cb_git_oid *oid,
                  const cb_git_oid *old)
{
    expect_ok(cb_git_ref_swap(log->repository, ref, oid, old, test_error()));
}

static void commit_log(log_builder *log, const cb_git_file *list, size_t count,
                       bool keep_tree)
{
    cb_git_oid oid;
    const bool first = log->commits == 0;
    const cb_git_commit_plan plan = {
        .parent = first ? NULL : &log->tip,
        .keep_tree = keep_tree && !first,
        .files = list,
        .file_count = count,
        .message = "log\n",
        .position = log->commits,
        .secret_key = log->writers[0].device_key,
    };
    expect_ok(cb_git_commit_create(log->repository, &plan, &oid, test_error()));
    log_move_ref(log, "refs/heads/log", &oid, first ? NULL : &log->tip);
    log->tip = oid;
    log->commits++;
}

static void add_file(files *all, const char *path, cb_buffer content)
{
    cr_assert(all->count <= FILES_MAX);
    snprintf(all->paths[all->count], CB_TILE_PATH_BYTES, "%s", path);
    all->contents[all->count] = content;
    all->list[all->count] =
        (cb_git_file){ .path = all->paths[all->count],
                       .content = cb_span_of_buffer(&content) };
    all->count++;
}

static void forget_leaves(log_builder *log)
{
    const uint64_t keep_from =
        log->published / CB_TILE_WIDTH * CB_TILE_WIDTH - log->leaf_base;
    for (size_t i = 0; i < keep_from; i++) {
        cb_buffer_clear(&log->leaves[i]);
    }
    memmove(log->leaves, log->leaves + keep_from,
            (log->leaf_count - keep_from) * sizeof *log->leaves);
    log->leaf_count -= keep_from;
    log->leaf_base += keep_from;
}

static void publish_log(log_builder *log)
{
    files *all = calloc(1, sizeof *all);
    cb_tree_edge edge;
    cb_tile_growth growth;
    cb_tile tile;
    cb_buffer note;
    cr_assert(all != NULL);
    hash_leaves(log);
    const cb_tree_source source = source_of(log);
    expect_ok(cb_tree_edge_load(&source, log->hashed, &edge, test_error()));
    cb_tree_edge_head(&edge, &log->head);
    make_checkpoint(log, &note);
    add_file(all, "checkpoint", note);
    cb_tile_growth_init(&growth, log->published, log->hashed);
    while (cb_tile_growth_next(&growth, &tile)) {
        char path[CB_TILE_PATH_BYTES];
        cb_buffer content;
        make_tile(log, &tile, &content);
        cb_tile_path_format(&tile, path);
        add_file(all, path, content);
    }
    commit_log(log, all->list, all->count, log->published != 0);
    log->published = log->hashed;
    for (size_t i = 0; i < all->count; i++) {
        cb_buffer_clear(&all->contents[i]);
    }
    free(all);
    if (log->forget) {
        forget_leaves(log);
    }
}

void log_ref_of(const log_writer *writer, char ref[CB_GIT_REF_TEXT_BYTES])
{
    snprintf(ref, CB_GIT_REF_TEXT_BYTES, "refs/heads/device/");
    cb_hex_format(writer->stream.bytes, sizeof writer->stream.bytes,
                  ref + strlen(ref));
}

static void commit_segment(log_builder *log, log_writer *writer,
                           const cb_segment_builder *segment)
{
    cb_segment_manifest manifest;
    cb_buffer line;
    cb_git_oid oid;
    char ref[CB_GIT_REF_TEXT_BYTES];
    const bool first = writer->commits == 0;
    cb_buffer_init(&line, CB_SEGMENT_MANIFEST_BYTES_MAX);
    expect_ok(cb_segment_manifest_make(&writer->stream, writer->segment_seq,
                                       cb_span_of_buffer(&segment->bytes),
                                       &manifest, test_error()));
    cb_segment_manifest_format(&manifest, &line);
    const cb_git_file list[] = {
        { .path = "manifest", .content = cb_span_of_buffer(&line) },
        { .path = "segment", .content = cb_span_of_buffer(&segment->bytes) },
    };

    const cb_git_commit_plan plan = { .parent = first ? NULL : &writer->tip,
                                      .files = list,
                                      .file_count = 2,
                                      .message = "segment\n",
                                      .position = writer->commits,
                                      .secret_key = writer->stream_key };
    expect_ok(cb_git_commit_create(log->repository, &plan, &oid, test_error()));
    log_ref_of(writer, ref);
    log_move_ref(log, ref, &oid, first ? NULL : &writer->tip);
    writer->tip = oid;
    writer->commits++;
    writer->segment_seq += segment->count;
    cb_buffer_clear(&line);
}

void log_publish_branch(log_builder *log, log_writer *writer)
{
    cb_segment_builder segment;
    cb_segment_builder_init(&segment);
    for (size_t i = 0; i < writer->entry_count; i++) {
        cb_span bytes = cb_span_of_buffer(&writer->entries[i]);
        if (!cb_segment_has_room(&segment, bytes.size)) {
            commit_segment(log, writer, &segment);
            cb_segment_builder_clear(&segment);
            cb_segment_builder_init(&segment);
        }
        expect_ok(cb_segment_append(&segment, bytes, test_error()));
        cb_buffer_clear(&writer->entries[i]);
    }
    if (segment.count > 0) {
        commit_segment(log, writer, &segment);
    }
    cb_segment_builder_clear(&segment);
    writer->entry_count = 0;
}

void log_publish(log_builder *log)
{
    publish_log(log);
    for (size_t i = 0; i < log->writer_count; i++) {
        log_publish_branch(log, &log->writers[i]);
    }
}

void log_replace_file(log_builder *log, const char *path,
                      const cb_buffer *content)
{
    cb_git_file file = { .path = path, .remove = content == NULL };
    if (content != NULL) {
        file.content = cb_span_of_buffer(content);
    }
    commit_log(log, &file, 1, true);
}

/* ---------------------------------------------------------- begin and end */

void log_begin(log_builder *log)
{
    const char *base = getenv("TMPDIR");
    cb_hash hash;
    memset(log, 0, sizeof *log);
    cr_assert(sodium_init() >= 0);
    snprintf(log->root, sizeof log->root, "%s/casebound-log-XXXXXX",
             base != NULL ? base : "/tmp");
    cr_assert(mkdtemp(log->root) != NULL);
    snprintf(log->path, sizeof log->path, "%s/log.git", log->root);
    expect_ok(cb_git_begin(test_error()));
    expect_ok(cb_git_repository_create(log->path, "refs/heads/log",
                                       &log->repository, test_error()));
    log->root_key = make_key(log, log->root_public);
    cb_hash_domain("realm", (cb_span){ log->root_public, CB_PUBLIC_KEY_BYTES },
                   &hash);
    memcpy(&log->realm, &hash, sizeof log->realm);
    expect_ok(cb_secret_create(CB_KEY_BYTES, &log->compartment, test_error()));
    log_writer *hub = make_writer(log, true);
    hub->now_ms = FIRST_MS;
    log_write_clear(log, hub, CB_ENTRY_OPENING, opening_of(log, hub));
    log_roster(log, json_pack("[o]", log_device_operation(log, hub)));
}

void log_end(log_builder *log)
{
    for (size_t i = 0; i < log->writer_count; i++) {
        log_writer *writer = &log->writers[i];
        for (size_t k = 0; k < writer->entry_count; k++) {
            cb_buffer_clear(&writer->entries[k]);
        }
        free(writer->entries);
        cb_secret_destroy(writer->device_key);
        cb_secret_destroy(writer->stream_key);
    }
    for (size_t i = 0; i < log->leaf_count; i++) {
        cb_buffer_clear(&log->leaves[i]);
    }
    for (size_t i = 0; i < CB_TREE_LEVELS; i++) {
        free(log->levels[i]);
    }
    free(log->leaves);
    cb_secret_destroy(log->root_key);
    cb_secret_destroy(log->compartment);
    cb_git_repository_close(log->repository);
    cb_git_end();
    cb_folder_remove(log->root);
}
