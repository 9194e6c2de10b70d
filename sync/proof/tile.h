/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub log's files, as C2SP tlog-tiles lays them out:
 *
 *     tile/<level>/<index>[.p/<width>]    up to 256 hashes of 32 bytes
 *     tile/entries/<index>[.p/<width>]    up to 256 leaves, each with a 2-byte
 *                                         length before it
 *
 * The hashes of a tile of level n are those of complete subtrees of 256^n
 * leaves, so a tile of level 1 or more holds the roots of full tiles below it.
 * The index is written in groups of three digits, all but the last with an `x`
 * before them: x001/x234/067.
 *
 * Invariants:
 * 1. The set of tiles follows from the size of the tree alone.
 * 2. A full tile never changes; a partial one is a beginning of what follows.
 * 3. A tile read from outside is used only where it has exactly the bytes its
 *    width calls for.
 *
 * A Git commit of the log holds the tiles of the one checkpoint beside them;
 * the partial tiles of earlier checkpoints are in the earlier commits.
 */
#ifndef CASEBOUND_PROOF_TILE_H
#define CASEBOUND_PROOF_TILE_H

#include <casebound/entry.h>

#include "proof/merkle.h"

#define CB_TILE_HEIGHT     8
#define CB_TILE_WIDTH      256
#define CB_TILE_LEVELS     8
#define CB_TILE_BYTES      (CB_TILE_WIDTH * CB_HASH_BYTES)
#define CB_TILE_PATH_BYTES 64

typedef struct cb_tile {
    bool is_entries;
    uint8_t level;  /* 0 for entries */
    uint16_t width; /* 1 to 256 */
    uint64_t index;
} cb_tile;

/* Writes the path, with its terminating zero. */
void cb_tile_path_format(const cb_tile *tile, char path[CB_TILE_PATH_BYTES]);

/* The one tile with exactly this path, or false. */
CB_NODISCARD bool cb_tile_path_parse(cb_span path, cb_tile *ret_tile);

/* Whether the tree of `size` leaves has this tile with just this width. */
bool cb_tile_in_tree(const cb_tile *tile, uint64_t size);

/*
 * The tiles that the tree of `size_to` leaves has and that of `size_from` has
 * not: entries first, then level by level, so that each tile stands after all
 * that it is computed from.  Sizes as CB_TREE_SIZE_MAX allows.
 */
typedef struct cb_tile_growth {
    uint64_t size_from;
    uint64_t size_to;
    uint64_t index; /* next tile of the level */
    uint8_t step;   /* 0 entries, then 1 + level */
} cb_tile_growth;

void cb_tile_growth_init(cb_tile_growth *growth, uint64_t size_from,
                         uint64_t size_to);

/* False after the last. */
CB_NODISCARD bool cb_tile_growth_next(cb_tile_growth *growth,
                                      cb_tile *ret_tile);

/*
 * Appends the bytes of a tile of hashes.  The source is asked for leaf hashes
 * for level 0, and for nothing above the tiles of the level below otherwise.
 * What the source returned, CB_LIMIT, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_tile_hashes(const cb_tile *tile,
                                      const cb_tree_source *source,
                                      cb_buffer *bytes, cb_error *reterr_error);

/* Gives the content of a tile, wherever tiles are kept. */
typedef struct cb_tile_store {
    void *context;
    cb_status (*read_tile)(void *context, const cb_tile *tile,
                           cb_buffer *content, cb_error *reterr_error);
} cb_tile_store;

/* A tree that is kept as tiles.  Remembers one tile of each level. */
typedef struct cb_tile_tree cb_tile_tree;

/* Borrows the store's context.  CB_LIMIT, CB_NO_MEMORY. */
CB_NODISCARD cb_status cb_tile_tree_create(const cb_tile_store *store,
                                           uint64_t size,
                                           cb_tile_tree **ret_tree,
                                           cb_error *reterr_error);
void cb_tile_tree_destroy(cb_tile_tree *tree);

/*
 * The tree as a source of hashes, valid until it is destroyed.  The source
 * returns CB_INPUT for a subtree that does not end within the size, CB_DAMAGED
 * for a tile of a wrong length, or what the store returned.
 */
cb_tree_source cb_tile_tree_source(cb_tile_tree *tree);

/* Adds one leaf to a bundle.  CB_LIMIT where the length does not fit. */
CB_NODISCARD cb_status cb_bundle_append(cb_buffer *bundle, cb_span leaf,
                                        cb_error *reterr_error);

/* Reads a bundle that must hold exactly `width` leaves and nothing more. */
typedef struct cb_bundle_reader {
    cb_span rest;
    size_t left;
} cb_bundle_reader;

void cb_bundle_reader_init(cb_bundle_reader *reader, cb_span bundle,
                           size_t width);

/* The next leaf, borrowed; CB_END after the last, CB_DAMAGED. */
CB_NODISCARD cb_status cb_bundle_reader_next(cb_bundle_reader *reader,
                                             cb_span *ret_leaf,
                                             cb_error *reterr_error);

/*
 * Appends the leaf of an entry in the hub log: its stub, and behind it the body
 * where it is in clear.  Failures stick in the buffer.
 */
void cb_leaf_append(const cb_entry *entry, cb_buffer *leaf);

/*
 * Reads a leaf: a stub, and just the body that it calls for, borrowed, or an
 * empty one where the body is sealed.  CB_DAMAGED, CB_NEWER.
 */
CB_NODISCARD cb_status cb_leaf_decode(cb_span leaf, cb_stub *ret_stub,
                                      cb_span *ret_clear_body,
                                      cb_error *reterr_error);

#endif
