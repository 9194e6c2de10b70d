/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One commit of the log: its note, and the tree that it stands in. */
typedef struct log_commit {
    cb_git_commit commit;
    cb_buffer note;
} log_commit;

static void log_commit_clear(log_commit *found)
{
    cb_git_commit_clear(&found->commit);
    cb_buffer_clear(&found->note);
}

static void find_at(cb_audit_run *run, const char *code, const cb_git_oid *oid,
                    const char *path, const char *words)
{
    (void)cb_report_find(
        &run->report, code,
        &(cb_audit_place){ .ref = run->log_ref, .commit = oid, .path = path },
        NULL, "%s", words);
}

/* A log's tree has a checkpoint and tiles, and nothing else. */
static cb_status read_tree(cb_audit_run *run, const cb_git_commit *commit,
                           cb_buffer *note, cb_error *error)
{
    cb_git_entry_list list = { 0 };
    cb_status status =
        cb_git_tree_read(run->repository, &commit->tree, 64, &list, error);
    const cb_git_oid *found = NULL;
    for (size_t i = 0; i < list.count; i++) {
        const cb_git_entry *entry = &list.items[i];
        if (strcmp(entry->name, "checkpoint") == 0 && !entry->is_folder) {
            found = &entry->oid;
        } else if (strcmp(entry->name, "tile") != 0 || !entry->is_folder) {
            find_at(run, "GITX", &commit->oid, entry->name,
                    "the log's commit holds a file that no log has");
        }
    }
    if (status == CB_OK && found == NULL) {
        status = cb_error_set(error, CB_NOT_FOUND, "there is no checkpoint");
    }
    if (status == CB_OK) {
        status = cb_git_blob_read(run->repository, found,
                                  CB_CHECKPOINT_BYTES_MAX, note, error);
    }
    cb_git_entry_list_clear(&list);
    return status;
}

/*
 * CB_END where the commit has no checkpoint that can be read; that is
 * reported.
 */
static cb_status read_commit(cb_audit_run *run, const cb_git_oid *oid,
                             log_commit *ret_found, cb_note *ret_note,
                             cb_error *error)
{
    cb_error why = { 0 };
    log_commit found = { 0 };
    cb_buffer_init(&found.note, CB_CHECKPOINT_BYTES_MAX);
    cb_status status =
        cb_git_commit_read(run->repository, oid, &found.commit, &why);
    if (status == CB_OK) {
        status = read_tree(run, &found.commit, &found.note, &why);
    }
    if (status == CB_OK) {
        status =
            cb_checkpoint_parse(cb_span_of_buffer(&found.note), ret_note, &why);
        if (status != CB_OK && status != CB_NO_MEMORY) {
            find_at(run, "SIG", oid, "checkpoint",
                    "the checkpoint is not in the form that is written");
            log_commit_clear(&found);
            return CB_END;
        }
    }
    if (status == CB_OK) {
        *ret_found = found;
        return CB_OK;
    }
    log_commit_clear(&found);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "%s", why.what);
    }
    find_at(run, status == CB_NOT_FOUND ? "NOPROOF" : "SIG", oid, "checkpoint",
            why.what);
    return CB_END;
}

cb_status cb_audit_heads_add(cb_audit_run *run, const cb_audit_head *head,
                             cb_error *error)
{
    if (run->head_count >= CB_AUDIT_HISTORY_MAX) {
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
        return CB_OK;
    }
    if (run->head_count == run->head_capacity) {
        size_t capacity = run->head_capacity == 0 ? 64 : run->head_capacity * 2;
        cb_audit_head *grown =
            realloc(run->heads, capacity * sizeof *run->heads);
        if (grown == NULL) {
            return cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        run->heads = grown;
        run->head_capacity = capacity;
    }
    run->heads[run->head_count] = *head;
    run->heads[run->head_count].order = run->head_count;
    run->head_count++;
    return CB_OK;
}

static cb_status load_commit(cb_audit_run *run, const cb_git_oid *oid,
                             bool newest, uint64_t *size, cb_error *error)
{
    log_commit found;
    cb_note note;
    cb_status status = read_commit(run, oid, &found, &note, error);
    if (status != CB_OK) {
        return status;
    }
    const cb_audit_head head = { .head = note.checkpoint.head, .commit = *oid };
    if (head.head.size < *size) {
        (void)cb_report_find(
            &run->report, "ROLLBK",
            &(cb_audit_place){
                .ref = run->log_ref, .commit = oid, .path = "checkpoint" },
            cb_report_evidence("root", &head.head.root, NULL, NULL),
            "the log went back from %" PRIu64 " entries to %" PRIu64, *size,
            head.head.size);
    } else {
        *size = head.head.size;
    }
    status = cb_audit_heads_add(run, &head, error);
    if (newest) {
        run->head = note.checkpoint.head;
        cb_audit_log_init(&run->log, run->repository, &found.commit.tree);
    }
    log_commit_clear(&found);
    return status;
}

cb_status cb_audit_heads_load(cb_audit_run *run, bool *ret_done,
                              cb_error *error)
{
    cb_git_oid_list history = { 0 };
    cb_error why = { 0 };
    uint64_t size = 0;
    *ret_done = false;
    cb_status status =
        cb_git_history_read(run->repository, &run->commit, NULL,
                            CB_AUDIT_HISTORY_MAX, &history, &why);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "%s", why.what);
    }
    if (status != CB_OK) {
        /* The newest alone can still be looked at. */
        find_at(run, status == CB_DAMAGED ? "SIG" : "NOPROOF", &run->commit,
                NULL, why.what);
        status = load_commit(run, &run->commit, true, &size, error);
        *ret_done = status == CB_OK;
        return status == CB_END ? CB_OK : status;
    }
    run->commits = history.count;
    for (size_t i = 0; i < history.count; i++) {
        const bool newest = i + 1 == history.count;
        status = load_commit(run, &history.items[i], newest, &size, error);
        if (status != CB_OK && status != CB_END) {
            break;
        }
        *ret_done = newest && status == CB_OK;
        status = CB_OK;
    }
    cb_git_oid_list_clear(&history);
    return status;
}

static cb_status verify_commit(cb_audit_run *run, const cb_git_oid *oid,
                               cb_error *error)
{
    log_commit found;
    cb_note parsed;
    cb_checkpoint checkpoint;
    cb_status status = read_commit(run, oid, &found, &parsed, error);
    if (status != CB_OK) {
        return status == CB_END ? CB_OK : status;
    }
    cb_error why = { 0 };
    run->signatures_checked += 2;
    status = cb_audit_trust_note(run, cb_span_of_buffer(&found.note),
                                 &checkpoint, &why);
    if (status != CB_OK && status != CB_NO_MEMORY) {
        find_at(run, "SIG", oid, "checkpoint",
                "the checkpoint is not signed by the hub of this service");
    } else if (status == CB_OK) {
        status = cb_audit_trust_commit(run, &found.commit, &why);
        if (status != CB_OK && status != CB_NO_MEMORY) {
            find_at(run, "SIG", oid, NULL,
                    "the log's commit is not signed by the hub");
        }
    }
    log_commit_clear(&found);
    return status == CB_NO_MEMORY ? cb_error_set(error, status, "%s", why.what)
                                  : CB_OK;
}

cb_status cb_audit_heads_verify(cb_audit_run *run, cb_error *error)
{
    cb_status status = CB_OK;
    if (run->hub_count == 0) {
        cb_report_gap(&run->report, CB_GAP_TRUST, run->commits);
        return CB_OK;
    }
    for (size_t i = 0; i < run->head_count && status == CB_OK; i++) {
        const cb_audit_head *head = &run->heads[i];
        if (head->holder == NULL &&
            (run->full || cb_git_oid_equal(&head->commit, &run->commit))) {
            status = verify_commit(run, &head->commit, error);
        } else if (head->holder == NULL) {
            cb_report_gap(&run->report, CB_GAP_SIGNATURES, 2);
        }
    }
    return status;
}

static int compare_heads(const void *a, const void *b)
{
    const cb_audit_head *left = a;
    const cb_audit_head *right = b;
    if (left->head.size != right->head.size) {
        return left->head.size < right->head.size ? -1 : 1;
    }
    return left->order < right->order ? -1 : 1;
}

void cb_audit_heads_sort(cb_audit_run *run)
{
    if (run->head_count > 1) {
        qsort(run->heads, run->head_count, sizeof *run->heads, compare_heads);
    }
    run->head_next = 0;
}

static cb_audit_place place_of(const cb_audit_run *run,
                               const cb_audit_head *head)
{
    cb_audit_place place = { .holder = head->holder };
    if (head->holder == NULL) {
        place.ref = run->log_ref;
        place.commit = &head->commit;
        place.path = "checkpoint";
    }
    return place;
}

static void find_other_root(cb_audit_run *run, const cb_audit_head *head,
                            const cb_hash *root, bool confirmed)
{
    const cb_audit_place place = place_of(run, head);
    const bool newest =
        head->holder == NULL && cb_git_oid_equal(&head->commit, &run->commit);
    json_t *evidence =
        cb_report_evidence("checkpoint", &head->head.root, "tree", root);
    if (newest) {
        /* Where a leaf or a tile does not fit, that was said there. */
        if (run->tile_findings == 0) {
            (void)cb_report_find(&run->report, "SIG", &place, evidence,
                                 "the newest checkpoint names another root "
                                 "than its leaves have");
        } else {
            json_decref(evidence);
        }
    } else if (confirmed) {
        (void)cb_report_find(&run->report, "SPLIT", &place, evidence,
                             "there are two trees of %" PRIu64 " entries",
                             head->head.size);
    } else {
        (void)cb_report_find(&run->report, "REORD", &place, evidence,
                             "the log does not grow out of the checkpoint of "
                             "%" PRIu64 " entries",
                             head->head.size);
    }
}

void cb_audit_heads_judge(cb_audit_run *run)
{
    size_t first = run->head_next;
    size_t end = first;
    bool confirmed = false;
    cb_tree_head tree;
    if (first >= run->head_count ||
        run->heads[first].head.size != run->edge.size) {
        return;
    }
    cb_tree_edge_head(&run->edge, &tree);
    for (; end < run->head_count && run->heads[end].head.size == run->edge.size;
         end++) {
        cb_audit_head *head = &run->heads[end];
        head->judged = run->root_known;
        head->holds =
            memcmp(&head->head.root, &tree.root, sizeof tree.root) == 0;
        confirmed = confirmed || (head->holds && head->holder == NULL);
    }
    run->head_next = end;
    for (size_t i = first; i < end && run->root_known; i++) {
        if (!run->heads[i].holds) {
            find_other_root(run, &run->heads[i], &tree.root, confirmed);
        }
    }
}

void cb_audit_heads_finish(cb_audit_run *run)
{
    for (size_t i = run->head_next; i < run->head_count; i++) {
        const cb_audit_head *head = &run->heads[i];
        const cb_audit_place place = place_of(run, head);
        /* A history that went back was reported where it did. */
        if (head->head.size > run->head.size && head->holder != NULL) {
            (void)cb_report_find(
                &run->report, "ROLLBK", &place,
                cb_report_evidence("checkpoint", &head->head.root, "newest",
                                   &run->head.root),
                "the log has %" PRIu64 " entries, and a checkpoint of %" PRIu64
                " is held",
                run->head.size, head->head.size);
        }
    }
}

/* First of the size, or head_count. */
static size_t lower_bound(const cb_audit_run *run, uint64_t size)
{
    size_t low = 0;
    size_t high = run->head_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (run->heads[middle].head.size < size) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- the tree of an earlier size, out of the tiles of the newest */

static cb_status read_tile(void *context, const cb_tile *tile,
                           cb_buffer *content, cb_error *reterr_error)
{
    cb_audit_run *run = context;
    char path[CB_TILE_PATH_BYTES];
    cb_tile_path_format(tile, path);
    return cb_audit_log_read(&run->log, path, (size_t)CB_TILE_BYTES, content,
                             reterr_error);
}

static int compare_with_tiles(cb_audit_run *run, uint64_t size,
                              const cb_hash *root)
{
    const cb_tile_store store = { .context = run, .read_tile = read_tile };
    cb_tile_tree *tree = NULL;
    cb_tree_edge edge;
    cb_tree_head head;
    cb_status status = cb_tile_tree_create(&store, run->head.size, &tree, NULL);
    if (status == CB_OK) {
        const cb_tree_source source = cb_tile_tree_source(tree);
        status = cb_tree_edge_load(&source, size, &edge, NULL);
    }
    cb_tile_tree_destroy(tree);
    if (status != CB_OK) {
        return -1;
    }
    cb_tree_edge_head(&edge, &head);
    return memcmp(&head.root, root, sizeof *root) == 0 ? 1 : 0;
}

int cb_audit_heads_seen(cb_audit_run *run, uint64_t size, const cb_hash *root)
{
    bool some = false;
    for (size_t i = lower_bound(run, size);
         i < run->head_count && run->heads[i].head.size == size; i++) {
        if (memcmp(&run->heads[i].head.root, root, sizeof *root) == 0) {
            return 1;
        }
        some = some || run->heads[i].judged;
    }
    if (some || run->lookups >= CB_AUDIT_LOOKUPS_MAX) {
        return some ? 0 : -1;
    }
    run->lookups++;
    return compare_with_tiles(run, size, root);
}
