/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/run.h"

#include <casebound/json.h>

#include <string.h>

void cb_audit_remember_changed(cb_audit_run *run, uint64_t index)
{
    if (run->changed_count < CB_AUDIT_CHANGED_MAX) {
        run->changed[run->changed_count] = index;
        run->changed_count++;
    }
}

bool cb_audit_was_changed(const cb_audit_run *run, uint64_t index)
{
    for (size_t i = 0; i < run->changed_count; i++) {
        if (run->changed[i] == index) {
            return true;
        }
    }
    return false;
}

/* The other half of a fork, into its evidence. */
static void complete_forks(cb_audit_run *run, uint64_t index,
                           const cb_stub *stub)
{
    for (size_t i = 0; i < run->fork_count; i++) {
        cb_audit_fork *fork = &run->forks[i];
        if (fork->finding == NULL || fork->seq != stub->header.seq ||
            memcmp(&fork->stream, &stub->header.stream, sizeof fork->stream) !=
                0) {
            continue;
        }
        json_t *evidence = json_object_get(fork->finding, "evidence");
        (void)json_object_set_new(evidence, "other",
                                  cb_json_hex(&stub->hash, sizeof stub->hash));
        (void)json_object_set_new(evidence, "other_log_index",
                                  json_integer((json_int_t)index));
        fork->finding = NULL;
    }
}

static cb_status look_again(void *context, uint64_t index, cb_span leaf,
                            cb_error *error)
{
    cb_audit_run *run = context;
    cb_stub stub;
    cb_span body;
    (void)error;
    if (cb_leaf_decode(leaf, &stub, &body, NULL) != CB_OK ||
        cb_audit_was_changed(run, index)) {
        return CB_OK;
    }
    complete_forks(run, index, &stub);
    const cb_audit_stream *stream =
        cb_audit_table_find(&run->streams, &stub.header.stream);
    if (stream != NULL && stream->suspect && stream->opened &&
        !cb_audit_judge_signature(run, stream, &stub)) {
        (void)cb_report_find(
            &run->report, "SIG",
            &(cb_audit_place){ .ref = run->log_ref,
                               .stream = &stub.header.stream,
                               .seq = stub.header.seq,
                               .log_index = cb_audit_leaf(index) },
            cb_report_evidence("entry", &stub.hash, NULL, NULL),
            "the signature of an entry is not that of its stream");
    }
    return CB_OK;
}

cb_status cb_audit_again(cb_audit_run *run, cb_error *error)
{
    return run->look_again ? cb_audit_walk_again(run, look_again, run, error)
                           : CB_OK;
}
