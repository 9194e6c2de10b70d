/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/merkle.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

static_assert(CB_HASH_BYTES == crypto_hash_sha256_BYTES,
              "a hash of the tree is a SHA-256 value");

void cb_tree_leaf_hash(cb_span leaf, cb_hash *ret_hash)
{
    static const uint8_t prefix = 0;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, &prefix, 1);
    crypto_hash_sha256_update(&state, leaf.bytes, leaf.size);
    crypto_hash_sha256_final(&state, ret_hash->bytes);
}

void cb_tree_node_hash(const cb_hash *left, const cb_hash *right,
                       cb_hash *ret_hash)
{
    uint8_t bytes[1 + 2 * CB_HASH_BYTES];
    bytes[0] = 1;
    memcpy(bytes + 1, left->bytes, CB_HASH_BYTES);
    memcpy(bytes + 1 + CB_HASH_BYTES, right->bytes, CB_HASH_BYTES);
    crypto_hash_sha256(ret_hash->bytes, bytes, sizeof bytes);
}

static bool hash_equal(const cb_hash *a, const cb_hash *b)
{
    return memcmp(a->bytes, b->bytes, CB_HASH_BYTES) == 0;
}

static bool bit_is_set(uint64_t value, unsigned bit)
{
    return (value >> bit & 1) != 0;
}

/* Number of bits that are needed to write the value; 0 for 0. */
static unsigned bit_length(uint64_t value)
{
    unsigned length = 0;
    while (value != 0) {
        value >>= 1;
        length++;
    }
    return length;
}

static unsigned trailing_zeros(uint64_t value)
{
    CB_ASSERT(value != 0);
    return (unsigned)__builtin_ctzll(value);
}

static cb_status check_size(uint64_t size, cb_error *reterr_error)
{
    if (size > CB_TREE_SIZE_MAX) {
        cb_status status = cb_error_set(
            reterr_error, CB_LIMIT,
            "a log of '%" PRIu64 "' entries is larger than any that can be",
            size);
        cb_error_meaning(reterr_error, "no log has that size; the text that "
                                       "names it is wrong or was made up");
        return status;
    }
    return CB_OK;
}

void cb_tree_edge_init(cb_tree_edge *edge)
{
    memset(edge, 0, sizeof *edge);
}

cb_status cb_tree_edge_append(cb_tree_edge *edge, const cb_hash *leaf_hash,
                              cb_error *reterr_error)
{
    cb_status status = check_size(edge->size + 1, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_hash hash = *leaf_hash;
    unsigned level = 0;
    while (bit_is_set(edge->size, level)) {
        cb_tree_node_hash(&edge->nodes[level], &hash, &hash);
        level++;
    }
    CB_ASSERT(level < CB_TREE_LEVELS);
    edge->nodes[level] = hash;
    edge->size++;
    return CB_OK;
}

void cb_tree_edge_head(const cb_tree_edge *edge, cb_tree_head *ret_head)
{
    ret_head->size = edge->size;
    if (edge->size == 0) {
        crypto_hash_sha256(ret_head->root.bytes, (const uint8_t *)"", 0);
        return;
    }
    unsigned level = trailing_zeros(edge->size);
    cb_hash hash = edge->nodes[level];
    for (level++; level < CB_TREE_LEVELS; level++) {
        if (bit_is_set(edge->size, level)) {
            cb_tree_node_hash(&edge->nodes[level], &hash, &hash);
        }
    }
    ret_head->root = hash;
}

cb_status cb_tree_edge_load(const cb_tree_source *source, uint64_t size,
                            cb_tree_edge *ret_edge, cb_error *reterr_error)
{
    cb_status status = check_size(size, reterr_error);
    cb_tree_edge edge;
    cb_tree_edge_init(&edge);
    edge.size = size;
    for (unsigned level = 0; level < CB_TREE_LEVELS && status == CB_OK;
         level++) {
        if (bit_is_set(size, level)) {
            status = source->get_hash(source->context, level, size >> level ^ 1,
                                      &edge.nodes[level], reterr_error);
        }
    }
    if (status == CB_OK) {
        *ret_edge = edge;
    }
    return status;
}

/*
 * Hash of the last, not complete, subtree of `level`: the leaves that remain
 * after the last multiple of 1 << level.
 */
static cb_status get_remainder_hash(const cb_tree_source *source,
                                    unsigned level, uint64_t size,
                                    cb_hash *ret_hash, cb_error *reterr_error)
{
    const uint64_t below = size & ((UINT64_C(1) << level) - 1);
    unsigned at = trailing_zeros(below);
    cb_hash hash;
    cb_status status = source->get_hash(source->context, at, size >> at ^ 1,
                                        &hash, reterr_error);
    for (at++; at < level && status == CB_OK; at++) {
        if (bit_is_set(size, at)) {
            cb_hash left;
            status = source->get_hash(source->context, at, size >> at ^ 1,
                                      &left, reterr_error);
            if (status == CB_OK) {
                cb_tree_node_hash(&left, &hash, &hash);
            }
        }
    }
    if (status == CB_OK) {
        *ret_hash = hash;
    }
    return status;
}

/*
 * Appends the siblings along the way from the subtree of `level` that holds
 * `leaf` up to the root.  Below the level where the ways to `leaf` and to the
 * last leaf part, each sibling is complete, but for the one just below it,
 * which may be the ragged right end; above it only left siblings count.
 */
static cb_status add_siblings(const cb_tree_source *source, unsigned level,
                              uint64_t leaf, uint64_t size,
                              cb_tree_proof *proof, cb_error *reterr_error)
{
    const unsigned meeting = bit_length(leaf ^ (size - 1));
    cb_status status = CB_OK;
    for (; level < CB_TREE_LEVELS && status == CB_OK; level++) {
        const uint64_t sibling = leaf >> level ^ 1;
        if (level >= meeting && (sibling & 1) != 0) {
            continue;
        }
        CB_ASSERT(proof->count < CB_PROOF_HASHES_MAX);
        cb_hash *place = &proof->hashes[proof->count++];
        if (sibling < size >> level) {
            status = source->get_hash(source->context, level, sibling, place,
                                      reterr_error);
        } else {
            status =
                get_remainder_hash(source, level, size, place, reterr_error);
        }
    }
    return status;
}

cb_status cb_tree_prove_inclusion(const cb_tree_source *source, uint64_t index,
                                  uint64_t size, cb_tree_proof *ret_proof,
                                  cb_error *reterr_error)
{
    cb_status status = check_size(size, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (index >= size) {
        return cb_error_set(
            reterr_error, CB_INPUT,
            "a log of %" PRIu64 " entries has no entry %" PRIu64, size, index);
    }
    cb_tree_proof proof = { .count = 0 };
    status = add_siblings(source, 0, index, size, &proof, reterr_error);
    if (status == CB_OK) {
        *ret_proof = proof;
    }
    return status;
}

cb_status cb_tree_prove_consistency(const cb_tree_source *source,
                                    uint64_t size_from, uint64_t size_to,
                                    cb_tree_proof *ret_proof,
                                    cb_error *reterr_error)
{
    cb_status status = check_size(size_to, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (size_from > size_to) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "a log of %" PRIu64 " entries cannot become one of "
                            "%" PRIu64,
                            size_from, size_to);
    }
    cb_tree_proof proof = { .count = 0 };
    if (size_from > 0 && size_from < size_to) {
        /*
         * The last complete subtree of the smaller tree stands at the start;
         * where it is the whole smaller tree, the verifier has it already.
         */
        const unsigned level = trailing_zeros(size_from);
        if (size_from >> level != 1) {
            status =
                source->get_hash(source->context, level, size_from >> level ^ 1,
                                 &proof.hashes[0], reterr_error);
            proof.count = 1;
        }
        if (status == CB_OK) {
            status = add_siblings(source, level, size_from - 1, size_to, &proof,
                                  reterr_error);
        }
    }
    if (status == CB_OK) {
        *ret_proof = proof;
    }
    return status;
}

static cb_status refuse_inclusion(uint64_t index, uint64_t size,
                                  cb_error *reterr_error)
{
    cb_status status =
        cb_error_set(reterr_error, CB_DAMAGED,
                     "the proof that entry %" PRIu64
                     " is in the log of %" PRIu64 " entries does not hold",
                     index, size);
    cb_error_meaning(reterr_error, "that the entry was received is not proved; "
                                   "the entry itself is untouched");
    return status;
}

/*
 * The two positions that RFC 9162 sections 2.1.3.2 and 2.1.4.2 walk upwards:
 * of the node whose hash is known so far, and of the last node of its level.
 */
typedef struct climb {
    uint64_t at;
    uint64_t last;
} climb;

/* Whether the next hash of the proof stands to the left. */
static bool climb_is_left(const climb *way)
{
    return (way->at & 1) != 0 || way->at == way->last;
}

static void climb_up(climb *way)
{
    if (climb_is_left(way)) {
        while ((way->at & 1) == 0 && way->at != 0) {
            way->at >>= 1;
            way->last >>= 1;
        }
    }
    way->at >>= 1;
    way->last >>= 1;
}

cb_status cb_tree_verify_inclusion(const cb_hash *leaf_hash, uint64_t index,
                                   const cb_tree_head *head,
                                   const cb_tree_proof *proof,
                                   cb_error *reterr_error)
{
    cb_status status = check_size(head->size, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (index >= head->size || proof->count > CB_PROOF_HASHES_MAX) {
        return refuse_inclusion(index, head->size, reterr_error);
    }
    climb way = { .at = index, .last = head->size - 1 };
    cb_hash hash = *leaf_hash;
    for (size_t i = 0; i < proof->count; i++) {
        if (way.last == 0) {
            return refuse_inclusion(index, head->size, reterr_error);
        }
        if (climb_is_left(&way)) {
            cb_tree_node_hash(&proof->hashes[i], &hash, &hash);
        } else {
            cb_tree_node_hash(&hash, &proof->hashes[i], &hash);
        }
        climb_up(&way);
    }
    if (way.last != 0 || !hash_equal(&hash, &head->root)) {
        return refuse_inclusion(index, head->size, reterr_error);
    }
    return CB_OK;
}

static bool consistency_holds(const cb_tree_head *from, const cb_tree_head *to,
                              const cb_tree_proof *proof)
{
    const unsigned level = trailing_zeros(from->size);
    climb way = { .at = (from->size - 1) >> level,
                  .last = (to->size - 1) >> level };
    const bool is_whole = from->size >> level == 1;
    size_t next = is_whole ? 0 : 1;
    if (next >= proof->count) {
        return false;
    }
    cb_hash hash_from = is_whole ? from->root : proof->hashes[0];
    cb_hash hash_to = hash_from;
    for (; next < proof->count; next++) {
        const cb_hash *hash = &proof->hashes[next];
        if (way.last == 0) {
            return false;
        }
        if (climb_is_left(&way)) {
            cb_tree_node_hash(hash, &hash_from, &hash_from);
            cb_tree_node_hash(hash, &hash_to, &hash_to);
        } else {
            cb_tree_node_hash(&hash_to, hash, &hash_to);
        }
        climb_up(&way);
    }
    return way.last == 0 && hash_equal(&hash_from, &from->root) &&
           hash_equal(&hash_to, &to->root);
}

cb_status cb_tree_verify_consistency(const cb_tree_head *from,
                                     const cb_tree_head *to,
                                     const cb_tree_proof *proof,
                                     cb_error *reterr_error)
{
    cb_status status = check_size(from->size, reterr_error);
    if (status == CB_OK) {
        status = check_size(to->size, reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    bool holds = false;
    if (from->size == to->size) {
        cb_tree_edge empty;
        cb_tree_head empty_head;
        cb_tree_edge_init(&empty);
        cb_tree_edge_head(&empty, &empty_head);
        holds = proof->count == 0 && hash_equal(&from->root, &to->root) &&
                (from->size != 0 || hash_equal(&from->root, &empty_head.root));
    } else if (from->size > 0 && from->size < to->size &&
               proof->count <= CB_PROOF_HASHES_MAX) {
        holds = consistency_holds(from, to, proof);
    }
    if (!holds) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "the log of %" PRIu64 " entries is not the "
                              "beginning of the log of %" PRIu64 " entries",
                              from->size, to->size);
        cb_error_meaning(reterr_error,
                         "the log may have been rewritten: what was received "
                         "before need not be in it any more");
        cb_error_next(reterr_error,
                      "keep both checkpoints and show them to an auditor");
    }
    return status;
}
