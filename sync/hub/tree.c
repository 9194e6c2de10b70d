/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's log as the store keeps it: leaf hashes and the hashes of complete
 * subtrees, each computed once; and the published log held against it.
 */
#include "hub/merge.h"

#include "git/commit.h"
#include "proof/tile.h"

#include <string.h>

static cb_status get_hash(void *context, unsigned level, uint64_t index,
                          cb_hash *ret_hash, cb_error *error)
{
    cb_hub_round *merge = context;
    cb_status status =
        cb_exchange_log_hash_get(merge->store, level, index, ret_hash, error);
    if (status == CB_NOT_FOUND) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store lacks a hash of the hub's log");
    }
    return status;
}

cb_tree_source cb_merge_source(cb_hub_round *merge)
{
    return (cb_tree_source){ .context = merge, .get_hash = get_hash };
}

/* ------------------------------------------------------------------ growing */

struct growth {
    cb_hub_round *merge;
    uint64_t next;
    cb_buffer leaf;
};

/* A leaf, and every subtree that it completes. */
static cb_status put_leaf(struct growth *growth, cb_hash hash, cb_error *error)
{
    cb_store *store = growth->merge->store;
    uint64_t index = growth->next;
    unsigned level = 0;
    cb_status status =
        cb_exchange_log_hash_put(store, level, index, &hash, error);
    while (status == CB_OK && (index & 1) == 1) {
        cb_hash left;
        cb_hash node;
        status = get_hash(growth->merge, level, index - 1, &left, error);
        if (status != CB_OK) {
            break;
        }
        cb_tree_node_hash(&left, &hash, &node);
        hash = node;
        index >>= 1;
        level++;
        status = cb_exchange_log_hash_put(store, level, index, &hash, error);
    }
    return status;
}

static cb_status add_leaf(void *context, cb_span bytes, uint64_t log_index,
                          cb_error *error)
{
    struct growth *growth = context;
    cb_entry entry;
    cb_hash hash;
    if (log_index != growth->next) {
        return cb_error_set(error, CB_DAMAGED,
                            "the store lacks entry %llu of the hub's log",
                            (unsigned long long)growth->next);
    }
    cb_status status = cb_entry_decode(bytes, &entry, error);
    if (status == CB_OK) {
        cb_buffer_reset(&growth->leaf);
        cb_leaf_append(&entry, &growth->leaf);
        status = cb_buffer_check(&growth->leaf, error);
    }
    if (status == CB_OK) {
        cb_tree_leaf_hash(cb_span_of_buffer(&growth->leaf), &hash);
        status = put_leaf(growth, hash, error);
    }
    growth->next++;
    return status;
}

static cb_status hashed_size(cb_hub_round *merge, uint64_t *ret_size,
                             cb_error *error)
{
    uint8_t bytes[8];
    *ret_size = 0;
    cb_status status =
        cb_mark_get(merge->store, "log.hashed", bytes, sizeof bytes, error);
    if (status == CB_OK) {
        *ret_size = cb_get_u64(bytes);
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

cb_status cb_merge_extend(cb_hub_round *merge, uint64_t *ret_size,
                          cb_error *reterr_error)
{
    uint8_t bytes[8];
    uint64_t size = 0;
    struct growth growth = { .merge = merge };
    cb_buffer_init(&growth.leaf, 2 * (size_t)CB_ENTRY_BYTES_MAX);
    cb_status status = hashed_size(merge, &growth.next, reterr_error);
    if (status == CB_OK) {
        status = cb_exchange_log_extend(merge->store, &size, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_exchange_log_entries(merge->store, growth.next, size,
                                         add_leaf, &growth, reterr_error);
    }
    if (status == CB_OK && growth.next != size) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "the store lacks entries of the hub's log");
    }
    if (status == CB_OK) {
        cb_put_u64(bytes, size);
        status = cb_mark_put(merge->store, "log.hashed", bytes, sizeof bytes,
                             reterr_error);
    }
    if (status == CB_OK) {
        *ret_size = size;
    }
    cb_buffer_clear(&growth.leaf);
    return status;
}

/* ------------------------------------------------------------------ finding */

static cb_status fail_older(cb_error *error)
{
    cb_error_meaning(error, "nothing was published; the log at the log host "
                            "and this store stay as they are");
    cb_error_next(error, "this store is an older copy, or the log was "
                         "tampered with: go on with the newest copy of the "
                         "hub's store, and let an auditor compare");
    return CB_DAMAGED;
}

/* The checkpoint of a commit of the log, against what the store holds. */
static cb_status hold_against(cb_hub_round *merge,
                              const cb_git_repository *repository,
                              const cb_git_commit *commit, cb_error *error)
{
    cb_checkpoint checkpoint;
    cb_tree_edge edge;
    cb_tree_head head;
    cb_tree_source source = cb_merge_source(merge);
    uint64_t size = 0;
    cb_buffer_reset(&merge->note);
    cb_status status =
        cb_git_file_read(repository, &commit->tree, "checkpoint",
                         CB_CHECKPOINT_BYTES_MAX, &merge->note, error);
    if (status == CB_OK) {
        status = cb_checkpoint_verify(cb_span_of_buffer(&merge->note),
                                      &merge->log_key, &checkpoint, error);
    }
    if (status == CB_OK) {
        status = hashed_size(merge, &size, error);
    }
    if (status == CB_OK && checkpoint.head.size > size) {
        (void)cb_error_set(error, CB_DAMAGED,
                           "ROLLBK: the published log has %llu entries, and "
                           "this store knows of %llu",
                           (unsigned long long)checkpoint.head.size,
                           (unsigned long long)size);
        return fail_older(error);
    }
    if (status == CB_OK) {
        status = cb_tree_edge_load(&source, checkpoint.head.size, &edge, error);
    }
    if (status == CB_OK) {
        cb_tree_edge_head(&edge, &head);
        if (memcmp(&head.root, &checkpoint.head.root, sizeof head.root) != 0) {
            (void)cb_error_set(error, CB_DAMAGED,
                               "SPLIT: the published log of %llu entries is "
                               "not the one that this store holds",
                               (unsigned long long)head.size);
            return fail_older(error);
        }
        merge->head = head;
    }
    return status;
}

static cb_status use_commit(cb_hub_round *merge,
                            const cb_git_repository *repository,
                            const cb_git_oid *oid, cb_error *error)
{
    cb_git_commit commit;
    cb_status status = cb_git_commit_read(repository, oid, &commit, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_git_commit_verify(&commit, merge->identity.hub_key, error);
    if (status != CB_OK) {
        cb_error_meaning(error, "the log at the log host was not written by "
                                "this hub; nothing was published");
    }
    if (status == CB_OK) {
        status = hold_against(merge, repository, &commit, error);
    }
    if (status == CB_OK) {
        merge->has_log = true;
        merge->log_commit = *oid;
        merge->log_position = commit.date_s - CB_GIT_DATE_START_S + 1;
    }
    cb_git_commit_clear(&commit);
    return status;
}

static cb_status fetch_log(cb_hub_round *merge, const cb_git_oid *have,
                           cb_error *error)
{
    cb_git_fetch *fetch = NULL;
    cb_error words = { 0 };
    cb_status status =
        cb_place_fetch(merge->outgoing, merge->transport, CB_GIT_LOG,
                       CB_REF_LOG, have, &fetch, error);
    if (status != CB_OK) {
        return status;
    }
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    status = use_commit(merge, cb_git_fetch_repository(fetch), &tip, error);
    if (status == CB_OK) {
        status = cb_git_fetch_accept(fetch, CB_REF_LOG, &words);
        if (status == CB_REFUSED) {
            status = cb_place_point(merge->outgoing, CB_REF_LOG, &tip, error);
        } else if (status != CB_OK) {
            status = cb_error_set(error, status, "%s", words.what);
        }
    }
    cb_git_fetch_end(fetch);
    return status;
}

cb_status cb_merge_find_log(cb_hub_round *merge, cb_error *reterr_error)
{
    cb_git_oid local;
    bool held = cb_place_held(merge->outgoing, CB_REF_LOG, &local);
    const cb_git_oid *remote = cb_ref_find(&merge->log_refs, CB_REF_LOG);
    bool continues = held;
    if (held && remote != NULL && !cb_git_oid_equal(remote, &local)) {
        /* Cut off before the push, or a log host that was set back. */
        cb_git_oid_list between = { 0 };
        continues = cb_git_history_read(merge->outgoing, &local, remote,
                                        1000000, &between, NULL) == CB_OK;
        cb_git_oid_list_clear(&between);
    }
    if (continues) {
        return use_commit(merge, merge->outgoing, &local, reterr_error);
    }
    return remote == NULL
               ? CB_OK
               : fetch_log(merge, held ? &local : NULL, reterr_error);
}
