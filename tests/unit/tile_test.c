/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log is grown through tiles kept in memory and compared, at each step, with
 * a tree that knows nothing of tiles.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "proof/tile.h"
#include "support/expect.h"

#define SIZE_MAX_TESTED 70000
#define KEPT_MAX        4096

/* The tiles of a log by path; the newest wins. */
typedef struct kept_tile {
    char path[CB_TILE_PATH_BYTES];
    cb_buffer content;
} kept_tile;

typedef struct shelf {
    size_t count;
    size_t reads;
    kept_tile tiles[KEPT_MAX];
} shelf;

static shelf *shelf_create(void)
{
    shelf *tiles = calloc(1, sizeof *tiles);
    cr_assert(tiles != NULL);
    return tiles;
}

static void shelf_destroy(shelf *tiles)
{
    for (size_t i = 0; i < tiles->count; i++) {
        cb_buffer_clear(&tiles->tiles[i].content);
    }
    free(tiles);
}

static kept_tile *shelf_find(shelf *tiles, const cb_tile *tile)
{
    char path[CB_TILE_PATH_BYTES];
    cb_tile_path_format(tile, path);
    for (size_t i = 0; i < tiles->count; i++) {
        if (strcmp(tiles->tiles[i].path, path) == 0) {
            return &tiles->tiles[i];
        }
    }
    return NULL;
}

static cb_status shelf_read(void *context, const cb_tile *tile,
                            cb_buffer *content, cb_error *reterr_error)
{
    shelf *tiles = context;
    const kept_tile *kept = shelf_find(tiles, tile);
    tiles->reads++;
    if (kept == NULL) {
        char path[CB_TILE_PATH_BYTES];
        cb_tile_path_format(tile, path);
        return cb_error_set(reterr_error, CB_NOT_FOUND, "no '%s'", path);
    }
    cb_buffer_append_span(content, cb_span_of_buffer(&kept->content));
    return CB_OK;
}

static cb_hash leaf_of(uint64_t index)
{
    uint8_t bytes[8];
    cb_hash hash;
    cb_put_u64(bytes, index);
    cb_tree_leaf_hash((cb_span){ .bytes = bytes, .size = sizeof bytes }, &hash);
    return hash;
}

/* Leaf hashes computed on the spot, everything else from the tiles. */
typedef struct growing {
    cb_tree_source tiles;
} growing;

static cb_status get_growing(void *context, unsigned level, uint64_t index,
                             cb_hash *ret_hash, cb_error *reterr_error)
{
    const growing *source = context;
    if (level == 0) {
        *ret_hash = leaf_of(index);
        return CB_OK;
    }
    return source->tiles.get_hash(source->tiles.context, level, index, ret_hash,
                                  reterr_error);
}

/* Writes the tiles that the growth names; returns how many. */
static size_t grow(shelf *tiles, uint64_t from, uint64_t to)
{
    const cb_tile_store store = { tiles, shelf_read };
    cb_tile_tree *tree = NULL;
    expect_ok(cb_tile_tree_create(&store, to, &tree, test_error()));
    growing context = { cb_tile_tree_source(tree) };
    const cb_tree_source source = { &context, get_growing };
    cb_tile_growth growth;
    cb_tile tile;
    size_t written = 0;
    cb_tile_growth_init(&growth, from, to);
    while (cb_tile_growth_next(&growth, &tile)) {
        cr_expect(cb_tile_in_tree(&tile, to));
        cr_expect(!cb_tile_in_tree(&tile, from));
        written++;
        if (tile.is_entries) {
            continue;
        }
        cr_assert(tiles->count < KEPT_MAX);
        cr_expect(shelf_find(tiles, &tile) == NULL, "written twice");
        kept_tile *kept = &tiles->tiles[tiles->count++];
        cb_tile_path_format(&tile, kept->path);
        cb_buffer_init(&kept->content, CB_TILE_BYTES);
        expect_ok(cb_tile_hashes(&tile, &source, &kept->content, test_error()));
        cr_expect(kept->content.size == tile.width * (size_t)CB_HASH_BYTES);
    }
    cb_tile_tree_destroy(tree);
    return written;
}

static const struct {
    const char *path;
    cb_tile tile;
} path_rows[] = {
    { "tile/0/000", { .width = 256 } },
    { "tile/0/000.p/1", { .width = 1 } },
    { "tile/0/x001/067", { .width = 256, .index = 1067 } },
    { "tile/3/x001/x234/067.p/255",
      { .level = 3, .width = 255, .index = 1234067 } },
    { "tile/1/999", { .level = 1, .width = 256, .index = 999 } },
    { "tile/entries/x001/x234/067",
      { .is_entries = true, .width = 256, .index = 1234067 } },
    { "tile/entries/273.p/112",
      { .is_entries = true, .width = 112, .index = 273 } },
    { "tile/0/x018/x014/x398/x509/x481/984",
      { .width = 256, .index = UINT64_C(18014398509481984) } },
};

static bool parse_path(const char *path, cb_tile *ret_tile)
{
    return cb_tile_path_parse(cb_span_of_text(path), ret_tile);
}

Test(tile, has_the_paths_of_c2sp_both_ways)
{
    for (size_t i = 0; i < sizeof path_rows / sizeof *path_rows; i++) {
        const cb_tile *wanted = &path_rows[i].tile;
        char path[CB_TILE_PATH_BYTES];
        cb_tile got;

        cb_tile_path_format(wanted, path);
        expect_text(path, path_rows[i].path);
        cr_assert(parse_path(path_rows[i].path, &got), "%s", path_rows[i].path);
        cr_expect(got.is_entries == wanted->is_entries);
        cr_expect(got.level == wanted->level);
        cr_expect(got.index == wanted->index);
        cr_expect(got.width == wanted->width);
    }
}

Test(tile, refuses_every_other_spelling_of_a_path)
{
    static const char *const rows[] = {
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/x001067",
        "tile/0/X001/067",
        "tile/00/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.q/1",
        "tile/0/000.p/1/",
        "tile/0/000 ",
        "tile/0/ 00",
        "tile/0/../000",
        "tile//000",
        "tiles/0/000",
        "tile/entries/000.p/256",
        "tile/data/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x004/x611/x686/x018/x427/x387/905",
        "tile/0/000000000000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cb_tile tile;
        cr_expect(!parse_path(rows[i], &tile), "%s", rows[i]);
    }
    static const uint8_t zeroed[] = { 't', 'i', 'l', 'e', '/', '0',
                                      '/', '0', '0', '0', 0 };
    cb_tile tile;
    cr_expect(!cb_tile_path_parse(
        (cb_span){ .bytes = zeroed, .size = sizeof zeroed }, &tile));
}

Test(tile, set_of_a_tree_is_that_of_the_specification)
{
    /* The worked example of C2SP tlog-tiles: 70,000 leaves, then 256. */
    static const struct {
        const char *path;
        uint64_t size;
        bool wanted;
    } rows[] = {
        { "tile/0/272", 70000, true },
        { "tile/0/273", 70000, false },
        { "tile/0/273.p/112", 70000, true },
        { "tile/0/273.p/111", 70000, false },
        { "tile/0/274.p/1", 70000, false },
        { "tile/1/000", 70000, true },
        { "tile/1/001.p/17", 70000, true },
        { "tile/2/000.p/1", 70000, true },
        { "tile/3/000.p/1", 70000, false },
        { "tile/entries/272", 70000, true },
        { "tile/entries/273.p/112", 70000, true },
        { "tile/0/000", 256, true },
        { "tile/1/000.p/1", 256, true },
        { "tile/0/001.p/1", 256, false },
        { "tile/0/000.p/1", 0, false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cb_tile tile;
        cr_assert(parse_path(rows[i].path, &tile));
        cr_expect(cb_tile_in_tree(&tile, rows[i].size) == rows[i].wanted,
                  "%s of %llu", rows[i].path, (unsigned long long)rows[i].size);
    }
}

Test(tile, tree_of_tiles_has_the_root_and_the_proofs_of_the_plain_tree)
{
    static const uint64_t sizes[] = { 1,
                                      2,
                                      3,
                                      7,
                                      255,
                                      256,
                                      257,
                                      258,
                                      511,
                                      512,
                                      600,
                                      1024,
                                      1025,
                                      65535,
                                      65536,
                                      65537,
                                      SIZE_MAX_TESTED };
    shelf *tiles = shelf_create();
    cb_tree_edge edge;
    cb_tree_edge_init(&edge);
    cb_tree_head before = { .size = 0 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const uint64_t size = sizes[i];
        cr_expect(grow(tiles, before.size, size) > 0);
        while (edge.size < size) {
            const cb_hash leaf = leaf_of(edge.size);
            expect_ok(cb_tree_edge_append(&edge, &leaf, test_error()));
        }
        cb_tree_head wanted;
        cb_tree_edge_head(&edge, &wanted);

        const cb_tile_store store = { tiles, shelf_read };
        cb_tile_tree *tree = NULL;
        expect_ok(cb_tile_tree_create(&store, size, &tree, test_error()));
        const cb_tree_source source = cb_tile_tree_source(tree);
        cb_tree_edge loaded;
        cb_tree_head got;
        expect_ok(cb_tree_edge_load(&source, size, &loaded, test_error()));
        cb_tree_edge_head(&loaded, &got);
        expect_bytes(got.root.bytes, 32, wanted.root.bytes, 32);

        const uint64_t indexes[] = { 0, size / 3, size / 2, size - 1 };
        for (size_t j = 0; j < sizeof indexes / sizeof *indexes; j++) {
            cb_tree_proof proof;
            const cb_hash leaf = leaf_of(indexes[j]);
            expect_ok(cb_tree_prove_inclusion(&source, indexes[j], size, &proof,
                                              test_error()));
            expect_ok(cb_tree_verify_inclusion(&leaf, indexes[j], &wanted,
                                               &proof, test_error()));
        }
        if (before.size > 0) {
            cb_tree_proof proof;
            expect_ok(cb_tree_prove_consistency(&source, before.size, size,
                                                &proof, test_error()));
            expect_ok(cb_tree_verify_consistency(&before, &wanted, &proof,
                                                 test_error()));
        }
        cb_tile_tree_destroy(tree);
        before = wanted;
    }
    shelf_destroy(tiles);
}

Test(tile, growth_names_exactly_what_changed)
{
    static const struct {
        uint64_t from;
        uint64_t to;
        const char *paths[8];
    } rows[] = {
        { 0, 0, { NULL } },
        { 256, 256, { NULL } },
        { 0, 1, { "tile/entries/000.p/1", "tile/0/000.p/1" } },
        { 1, 3, { "tile/entries/000.p/3", "tile/0/000.p/3" } },
        { 255, 256, { "tile/entries/000", "tile/0/000", "tile/1/000.p/1" } },
        { 256, 257, { "tile/entries/001.p/1", "tile/0/001.p/1" } },
        { 300,
          513,
          { "tile/entries/001", "tile/entries/002.p/1", "tile/0/001",
            "tile/0/002.p/1", "tile/1/000.p/2" } },
        { 65535,
          65536,
          { "tile/entries/255", "tile/0/255", "tile/1/000",
            "tile/2/000.p/1" } },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cb_tile_growth growth;
        cb_tile tile;
        size_t count = 0;
        cb_tile_growth_init(&growth, rows[i].from, rows[i].to);
        while (cb_tile_growth_next(&growth, &tile)) {
            char path[CB_TILE_PATH_BYTES];
            cb_tile_path_format(&tile, path);
            cr_assert(count < 8 && rows[i].paths[count] != NULL,
                      "row %zu: %s too much", i, path);
            expect_text(path, rows[i].paths[count]);
            count++;
        }
        cr_expect(count == 8 || rows[i].paths[count] == NULL,
                  "row %zu: %zu tiles", i, count);
        cr_expect(!cb_tile_growth_next(&growth, &tile), "the end is final");
    }
}

Test(tile, growth_at_the_largest_size_ends)
{
    cb_tile_growth growth;
    cb_tile tile;
    size_t count = 0;
    cb_tile_growth_init(&growth, CB_TREE_SIZE_MAX - 1, CB_TREE_SIZE_MAX);
    while (cb_tile_growth_next(&growth, &tile)) {
        count++;
    }
    cr_expect(count == 1 + CB_TILE_LEVELS, "%zu", count);
}

Test(tile, reading_refuses_damage_and_what_is_not_there)
{
    shelf *tiles = shelf_create();
    grow(tiles, 0, 300);
    const cb_tile_store store = { tiles, shelf_read };
    cb_tile_tree *tree = NULL;
    expect_ok(cb_tile_tree_create(&store, 300, &tree, test_error()));
    const cb_tree_source source = cb_tile_tree_source(tree);
    cb_hash hash;

    const struct {
        unsigned level;
        uint64_t index;
    } outside[] = { { 0, 300 },        { 8, 1 },          { 9, 0 },
                    { 63, 0 },         { 64, 0 },         { 255, 0 },
                    { 0, UINT64_MAX }, { 7, UINT64_MAX }, { 2, 75 } };

    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        expect_status(CB_INPUT,
                      source.get_hash(source.context, outside[i].level,
                                      outside[i].index, &hash, test_error()));
    }

    cb_tile first = { .width = 256 };
    kept_tile *kept = shelf_find(tiles, &first);
    kept->content.size--;
    expect_status(CB_DAMAGED,
                  source.get_hash(source.context, 0, 0, &hash, test_error()));
    expect_contains(test_error()->what, "tile/0/000");
    kept->content.size++;
    expect_ok(source.get_hash(source.context, 0, 0, &hash, test_error()));
    const cb_hash wanted = leaf_of(0);
    expect_bytes(hash.bytes, 32, wanted.bytes, 32);

    const size_t reads = tiles->reads;
    expect_ok(source.get_hash(source.context, 5, 3, &hash, test_error()));
    cr_expect(tiles->reads == reads, "one tile of a level is remembered");

    cb_tile last = { .width = 44, .index = 1 };
    (void)snprintf(shelf_find(tiles, &last)->path, CB_TILE_PATH_BYTES, "%s",
                   "elsewhere");
    expect_status(CB_NOT_FOUND,
                  source.get_hash(source.context, 0, 299, &hash, test_error()));
    cb_tile_tree_destroy(tree);
    cb_tile_tree_destroy(NULL);
    expect_status(CB_LIMIT, cb_tile_tree_create(&store, CB_TREE_SIZE_MAX + 1,
                                                &tree, test_error()));
    shelf_destroy(tiles);
}

Test(tile, bundle_gives_back_its_leaves)
{
    static const uint8_t huge[65536];
    cb_buffer bundle;
    cb_bundle_reader reader;
    cb_span leaf;
    cb_buffer_init(&bundle, 1 << 20);
    expect_ok(cb_bundle_append(&bundle, cb_span_of_text("one"), test_error()));
    expect_ok(cb_bundle_append(&bundle, cb_span_of_text(""), test_error()));
    expect_ok(cb_bundle_append(
        &bundle, (cb_span){ .bytes = huge, .size = 65535 }, test_error()));
    expect_status(CB_LIMIT,
                  cb_bundle_append(&bundle,
                                   (cb_span){ .bytes = huge, .size = 65536 },
                                   test_error()));
    expect_bytes(bundle.bytes, 7, "\0\3one\0\0", 7);

    cb_bundle_reader_init(&reader, cb_span_of_buffer(&bundle), 3);
    expect_ok(cb_bundle_reader_next(&reader, &leaf, test_error()));
    expect_bytes(leaf.bytes, leaf.size, "one", 3);
    expect_ok(cb_bundle_reader_next(&reader, &leaf, test_error()));
    cr_expect(leaf.size == 0);
    expect_ok(cb_bundle_reader_next(&reader, &leaf, test_error()));
    cr_expect(leaf.size == 65535);
    expect_status(CB_END, cb_bundle_reader_next(&reader, &leaf, test_error()));
    cb_buffer_clear(&bundle);
}

Test(tile, bundle_with_too_much_or_too_little_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
        size_t width;
        size_t good;
    } rows[] = {
        { "", 0, 1, 0 },        { "\0", 1, 1, 0 },
        { "\0\1", 2, 1, 0 },    { "\0\1a", 3, 2, 1 },
        { "\0\1a", 3, 0, 0 },   { "\0\1ab", 4, 1, 1 },
        { "\0\1a\0", 4, 2, 1 }, { "\377\377abc", 5, 1, 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cb_bundle_reader reader;
        cb_span leaf;
        cb_bundle_reader_init(
            &reader,
            (cb_span){ .bytes = (const uint8_t *)rows[i].bytes,
                       .size = rows[i].size },
            rows[i].width);
        for (size_t j = 0; j < rows[i].good; j++) {
            expect_ok(cb_bundle_reader_next(&reader, &leaf, test_error()));
        }
        expect_status(CB_DAMAGED,
                      cb_bundle_reader_next(&reader, &leaf, test_error()));
    }
}

static void write_entry(bool is_clear, cb_buffer *bytes)
{
    cr_assert(sodium_init() >= 0);
    cb_entry_header header = { .kind = is_clear ? CB_ENTRY_HEARTBEAT
                                                : CB_ENTRY_CASE,
                               .seq = 2 };
    cb_secret *signing = NULL;
    cb_secret *compartment = NULL;
    uint8_t public_key[32];
    memset(header.realm.bytes, 1, 16);
    memset(header.stream.bytes, 2, 16);
    memset(header.prev.bytes, 3, 32);
    memset(header.nonce, 4, sizeof header.nonce);
    if (!is_clear) {
        memset(header.key_id.bytes, 5, 16);
    }
    expect_ok(cb_secret_create(64, &signing, test_error()));
    expect_ok(cb_secret_create(32, &compartment, test_error()));
    crypto_sign_keypair(public_key, cb_secret_bytes(signing));
    const cb_span text = cb_span_of_text("{\"alive\":true}");
    if (is_clear) {
        expect_ok(
            cb_entry_write_clear(&header, text, signing, bytes, test_error()));
    } else {
        expect_ok(cb_entry_seal(&header, text, compartment, signing, bytes,
                                test_error()));
    }
    cb_secret_destroy(signing);
    cb_secret_destroy(compartment);
}

Test(tile, leaf_is_the_stub_and_the_body_only_where_it_is_in_clear)
{
    for (int is_clear = 0; is_clear <= 1; is_clear++) {
        cb_buffer bytes;
        cb_buffer leaf;
        cb_entry entry;
        cb_stub stub;
        cb_span body;
        cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
        cb_buffer_init(&leaf, CB_ENTRY_BYTES_MAX);
        write_entry(is_clear == 1, &bytes);
        expect_ok(
            cb_entry_decode(cb_span_of_buffer(&bytes), &entry, test_error()));

        cb_leaf_append(&entry, &leaf);
        const size_t wanted =
            CB_ENTRY_STUB_BYTES + (is_clear == 1 ? entry.body.size : 0);
        cr_expect(leaf.size == wanted, "%zu", leaf.size);
        expect_ok(cb_leaf_decode(cb_span_of_buffer(&leaf), &stub, &body,
                                 test_error()));
        expect_bytes(stub.hash.bytes, 32, entry.hash.bytes, 32);
        cr_expect(body.size == (is_clear == 1 ? entry.body.size : 0));

        cb_span shorter = cb_span_of_buffer(&leaf);
        shorter.size--;
        expect_status(CB_DAMAGED,
                      cb_leaf_decode(shorter, &stub, &body, test_error()));
        leaf.bytes[leaf.size - 1] ^= (uint8_t)is_clear;
        if (is_clear == 1) {
            expect_status(CB_DAMAGED,
                          cb_leaf_decode(cb_span_of_buffer(&leaf), &stub, &body,
                                         test_error()));
        }
        cb_buffer_append_text(&leaf, "x");
        expect_status(CB_DAMAGED, cb_leaf_decode(cb_span_of_buffer(&leaf),
                                                 &stub, &body, test_error()));
        cb_buffer_clear(&bytes);
        cb_buffer_clear(&leaf);
    }
}
