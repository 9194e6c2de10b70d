/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/place.h"
#include "session/receipt.h"

static cb_status keep_accepted(cb_audit_run *run,
                               const cb_receipt_accepted *accepted,
                               const char *holder, cb_error *error)
{
    if (run->accepted_count >= CB_AUDIT_ACCEPTED_MAX) {
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
        return CB_OK;
    }
    if (run->accepted_count == run->accepted_capacity) {
        const size_t capacity =
            run->accepted_capacity == 0 ? 64 : run->accepted_capacity * 2;
        cb_audit_accepted *grown =
            realloc(run->accepted, capacity * sizeof *run->accepted);
        if (grown == NULL) {
            return cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        run->accepted = grown;
        run->accepted_capacity = capacity;
    }
    run->accepted[run->accepted_count] =
        (cb_audit_accepted){ .index = accepted->index,
                             .stream = accepted->stream,
                             .seq = accepted->seq,
                             .hash = accepted->hash,
                             .holder = holder };
    run->accepted_count++;
    return cb_audit_hear(run, &accepted->stream, accepted->seq, 0, error);
}

static int compare_accepted(const void *a, const void *b)
{
    const cb_audit_accepted *left = a;
    const cb_audit_accepted *right = b;
    if (left->index != right->index) {
        return left->index < right->index ? -1 : 1;
    }
    const int order =
        memcmp(&left->stream, &right->stream, sizeof left->stream);
    if (order != 0) {
        return order;
    }
    return left->seq < right->seq ? -1 : left->seq > right->seq;
}

void cb_audit_outbox_judge(cb_audit_run *run, const cb_stub *stub)
{
    for (; run->accepted_next < run->accepted_count; run->accepted_next++) {
        const cb_audit_accepted *said = &run->accepted[run->accepted_next];
        if (said->index > run->index) {
            return;
        }
        if (stub == NULL ||
            memcmp(&said->hash, &stub->hash, sizeof said->hash) == 0) {
            continue;
        }
        (void)cb_report_find(
            &run->report, "NOPROOF",
            &(cb_audit_place){ .holder = said->holder,
                               .stream = &said->stream,
                               .seq = said->seq,
                               .log_index = cb_audit_leaf(run->index) },
            cb_report_evidence("in_receipt", &said->hash, "in_log",
                               &stub->hash),
            "the log has another entry where a receipt says that this one "
            "stands");
    }
}

/* What a receipt says of the log and of its reader's streams. */
static cb_status take_receipt(cb_audit_run *run, const cb_receipt *receipt,
                              const char *holder, cb_error *error)
{
    cb_checkpoint checkpoint;
    cb_error why = { 0 };
    run->signatures_checked++;
    cb_status status = cb_audit_trust_note(
        run, cb_span_of_buffer(&receipt->note), &checkpoint, &why);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "out of memory");
    }
    if (status != CB_OK) {
        (void)cb_report_find(&run->report, "SIG",
                             &(cb_audit_place){ .holder = holder }, NULL,
                             "the checkpoint of a receipt is not signed by the "
                             "hub of this service");
        return CB_OK;
    }
    status = cb_audit_heads_add(
        run, &(cb_audit_head){ .head = checkpoint.head, .holder = holder },
        error);
    for (size_t i = 0; i < receipt->accepted_count && status == CB_OK; i++) {
        status = keep_accepted(run, &receipt->accepted[i], holder, error);
    }
    return status;
}

static cb_status read_receipt(cb_audit_run *run, cb_span text,
                              cb_receipt *receipt, cb_error *why)
{
    cb_status status = CB_DAMAGED;
    for (size_t i = 0; i < run->hub_count && status == CB_DAMAGED; i++) {
        cb_error_clear(why);
        run->signatures_checked++;
        status = cb_receipt_read(text, run->hub_keys[i], receipt, why);
    }
    return status;
}

/* The hub signs each commit of an outbox as well as the receipt in it. */
static cb_status check_signature(cb_audit_run *run, const cb_git_ref *ref,
                                 const cb_git_commit *commit, cb_error *error)
{
    cb_error why = { 0 };
    cb_status status = cb_audit_trust_commit(run, commit, &why);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "out of memory");
    }
    if (status != CB_OK) {
        (void)cb_report_find(
            &run->report, "SIG",
            &(cb_audit_place){ .ref = ref->name, .commit = &commit->oid }, NULL,
            "the hub of this service has not signed this commit of an outbox");
    }
    return CB_OK;
}

/*
 * A receipt proves something to the device that it names, and in its place: put
 * into another branch, or into another order, it is the hub's word about
 * something else.  `number`: the one that has to come next.
 */
static bool belongs_here(cb_audit_run *run, const cb_git_ref *ref,
                         const cb_git_oid *oid, const cb_receipt *receipt,
                         uint64_t number)
{
    cb_device_id device;
    char prefix[CB_GIT_REF_TEXT_BYTES + 8];
    const char *code = NULL;
    const char *words = NULL;
    (void)snprintf(prefix, sizeof prefix, "%soutbox/", run->prefix);
    bool is_here =
        memcmp(&receipt->realm, &run->realm, sizeof receipt->realm) == 0;
    if (!is_here) {
        code = "NOPROOF";
        words = "the receipt belongs to another service";
    } else if (!cb_ref_parse(ref->name, prefix, device.bytes) ||
               memcmp(&receipt->device, &device, sizeof device) != 0) {
        code = "NOPROOF";
        words = "the receipt is for another device than the outbox";
    } else if (receipt->number < number) {
        code = "ROLLBK";
        words = "an older receipt stands where a newer one has to be";
    } else if (receipt->number > number) {
        code = "NOPROOF";
        words = "receipts before this one are missing";
    }
    if (code != NULL) {
        (void)cb_report_find(&run->report, code,
                             &(cb_audit_place){ .ref = ref->name,
                                                .commit = oid,
                                                .path = "receipt" },
                             NULL, "%s", words);
    }
    return is_here;
}

/* `number`: of the receipt that has to be here; then of the one after it. */
static cb_status check_commit(cb_audit_run *run, const cb_git_ref *ref,
                              const cb_git_oid *oid, const char *holder,
                              uint64_t *number, cb_error *error)
{
    cb_git_commit commit = { 0 };
    cb_receipt receipt;
    cb_buffer text;
    cb_error why = { 0 };
    cb_receipt_init(&receipt);
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    uint64_t expected = (*number)++;
    cb_status status = cb_git_commit_read(run->repository, oid, &commit, &why);
    if (status == CB_OK) {
        status = check_signature(run, ref, &commit, &why);
    }
    if (status == CB_OK) {
        status = cb_git_file_read(run->repository, &commit.tree, "receipt",
                                  CB_RECEIPT_BYTES_MAX, &text, &why);
    }
    if (status == CB_OK) {
        status = read_receipt(run, cb_span_of_buffer(&text), &receipt, &why);
    }
    if (status == CB_OK) {
        /* What is missing is told once. */
        *number = receipt.number + 1;
        /* The hub's word about its log counts wherever it is found. */
        if (belongs_here(run, ref, oid, &receipt, expected)) {
            status = take_receipt(run, &receipt, holder, error);
        }
    } else if (status == CB_NEWER) {
        cb_report_gap(&run->report, CB_GAP_RECEIPTS, 1);
        status = CB_OK;
    } else if (status == CB_NO_MEMORY) {
        (void)cb_error_set(error, status, "out of memory");
    } else {
        (void)cb_report_find(
            &run->report, status == CB_NOT_FOUND ? "NOPROOF" : "SIG",
            &(cb_audit_place){
                .ref = ref->name, .commit = oid, .path = "receipt" },
            NULL, "%s",
            why.what[0] == '\0' ? "the receipt is missing" : why.what);
        status = CB_OK;
    }
    cb_receipt_clear(&receipt);
    cb_buffer_clear(&text);
    cb_git_commit_clear(&commit);
    return status;
}

static cb_status check_outbox(cb_audit_run *run, const cb_git_ref *ref,
                              const char *holder, cb_error *error)
{
    cb_git_oid_list history = { 0 };
    cb_error why = { 0 };
    cb_status status = cb_git_history_read(
        run->repository, &ref->oid, NULL, CB_AUDIT_HISTORY_MAX, &history, &why);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "out of memory");
    }
    if (status != CB_OK) {
        (void)cb_report_find(
            &run->report, status == CB_DAMAGED ? "SIG" : "NOPROOF",
            &(cb_audit_place){ .ref = ref->name, .commit = &ref->oid }, NULL,
            "%s", why.what);
        return CB_OK;
    }
    /* The newest receipt leads on from all before it. */
    size_t first = run->full || history.count == 0 ? 0 : history.count - 1;
    uint64_t number = (uint64_t)first + 1;
    for (size_t i = first; i < history.count && status == CB_OK; i++) {
        status =
            check_commit(run, ref, &history.items[i], holder, &number, error);
    }
    cb_git_oid_list_clear(&history);
    return status;
}

cb_status cb_audit_outboxes(cb_audit_run *run, cb_error *error)
{
    char prefix[CB_GIT_REF_TEXT_BYTES + 8];
    cb_git_ref_list list = { 0 };
    (void)snprintf(prefix, sizeof prefix, "%soutbox/", run->prefix);
    cb_status status = cb_git_ref_list_read(run->repository, prefix,
                                            CB_AUDIT_DEVICES_MAX, &list, error);
    if (status == CB_LIMIT) {
        cb_error_clear(error);
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
        return CB_OK;
    }
    if (status == CB_OK && run->hub_count == 0) {
        cb_report_gap(&run->report, CB_GAP_TRUST, list.count);
        list.count = 0;
    }
    for (size_t i = 0; i < list.count && status == CB_OK; i++) {
        json_t *holder = json_sprintf("receipt in %s", list.items[i].name);
        if (json_array_append_new(run->holders, holder) != 0) {
            status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
            break;
        }
        status =
            check_outbox(run, &list.items[i], json_string_value(holder), error);
    }
    cb_git_ref_list_clear(&list);
    if (run->accepted_count > 1) {
        qsort(run->accepted, run->accepted_count, sizeof *run->accepted,
              compare_accepted);
    }
    return status;
}
