/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of RFC 6962 and RFC 9162 over SHA-256, as values.
 *
 * Leaves are numbered from 0.  A complete subtree is named by its level and its
 * index in that level: (level, index) covers the leaves from index << level up
 * to (index + 1) << level.  Each hash of the tree is either that of a complete
 * subtree or follows from such hashes alone, so that one callback that looks
 * complete subtrees up is all that a proof is made from, wherever they are
 * kept.
 *
 * Invariants:
 * 1. A leaf and a node are hashed with different first bytes, 0 and 1: no leaf
 *    can pass for a node.
 * 2. Sizes are at most 2^62, so that no sum of a size, an index and a width
 *    overflows, and a proof has at most 63 hashes.
 * 3. Checking a proof takes time proportional to its length and nothing else.
 */
#ifndef CASEBOUND_PROOF_MERKLE_H
#define CASEBOUND_PROOF_MERKLE_H

#include <casebound/identifier.h>

#define CB_TREE_SIZE_MAX    (UINT64_C(1) << 62)
#define CB_TREE_LEVELS      63
#define CB_PROOF_HASHES_MAX 63

/* A tree as a checkpoint names it. */
typedef struct cb_tree_head {
    uint64_t size;
    cb_hash root;
} cb_tree_head;

/* Plain value; hashes in the order of RFC 9162. */
typedef struct cb_tree_proof {
    size_t count;
    cb_hash hashes[CB_PROOF_HASHES_MAX];
} cb_tree_proof;

/*
 * Looks up the hash of the complete subtree (level, index).  Asked only for
 * subtrees that end at or before the size in question.
 */
typedef struct cb_tree_source {
    void *context;
    cb_status (*get_hash)(void *context, unsigned level, uint64_t index,
                          cb_hash *ret_hash, cb_error *reterr_error);
} cb_tree_source;

/*
 * A tree that only grows: the complete subtrees along its right edge.  nodes[n]
 * means something where bit n of the size is set.
 */
typedef struct cb_tree_edge {
    uint64_t size;
    cb_hash nodes[CB_TREE_LEVELS];
} cb_tree_edge;

void cb_tree_leaf_hash(cb_span leaf, cb_hash *ret_hash);
void cb_tree_node_hash(const cb_hash *left, const cb_hash *right,
                       cb_hash *ret_hash);

/* The empty tree. */
void cb_tree_edge_init(cb_tree_edge *edge);

/* Takes one leaf more.  CB_LIMIT at the largest size. */
CB_NODISCARD cb_status cb_tree_edge_append(cb_tree_edge *edge,
                                           const cb_hash *leaf_hash,
                                           cb_error *reterr_error);

/* Size and root as they are now; the empty tree's root is SHA-256 of "". */
void cb_tree_edge_head(const cb_tree_edge *edge, cb_tree_head *ret_head);

/*
 * The edge of a tree of `size` leaves that is kept elsewhere.  CB_LIMIT, or
 * what the source returned.
 */
CB_NODISCARD cb_status cb_tree_edge_load(const cb_tree_source *source,
                                         uint64_t size, cb_tree_edge *ret_edge,
                                         cb_error *reterr_error);

/*
 * Proof that leaf `index` is in the tree of `size` leaves.  CB_INPUT where
 * there is no such leaf, CB_LIMIT, or what the source returned.
 */
CB_NODISCARD cb_status cb_tree_prove_inclusion(const cb_tree_source *source,
                                               uint64_t index, uint64_t size,
                                               cb_tree_proof *ret_proof,
                                               cb_error *reterr_error);

/*
 * Proof that the tree of `size_from` leaves is the beginning of that of
 * `size_to`.  The proof from the empty tree, and between equal sizes, is empty.
 * CB_INPUT where the tree would shrink, CB_LIMIT, or what the source returned.
 */
CB_NODISCARD cb_status cb_tree_prove_consistency(const cb_tree_source *source,
                                                 uint64_t size_from,
                                                 uint64_t size_to,
                                                 cb_tree_proof *ret_proof,
                                                 cb_error *reterr_error);

/* CB_OK only where the proof holds; CB_LIMIT, else CB_DAMAGED. */
CB_NODISCARD cb_status cb_tree_verify_inclusion(const cb_hash *leaf_hash,
                                                uint64_t index,
                                                const cb_tree_head *head,
                                                const cb_tree_proof *proof,
                                                cb_error *reterr_error);

/*
 * CB_OK only where the proof holds; CB_LIMIT, else CB_DAMAGED.  Equal sizes
 * need equal roots and an empty proof.  From the empty tree to a larger one
 * nothing can be proved, which is refused: whoever holds no checkpoint yet has
 * to say so, and not come here.
 */
CB_NODISCARD cb_status cb_tree_verify_consistency(const cb_tree_head *from,
                                                  const cb_tree_head *to,
                                                  const cb_tree_proof *proof,
                                                  cb_error *reterr_error);

#endif
