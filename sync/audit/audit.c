/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/clock.h"
#include "audit/raw.h"
#include "audit/run.h"

#include <casebound/json.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "git/reading.h"

/* ---------------------------------------------------------------- document */

static json_t *log_document(const cb_audit_run *run)
{
    char commit[CB_GIT_OID_TEXT_BYTES];
    cb_buffer root;
    cb_buffer_init(&root, 64);
    cb_buffer_append_base64(
        &root, (cb_span){ run->head.root.bytes, sizeof run->head.root.bytes });
    cb_git_oid_format(&run->commit, commit);
    json_t *document =
        json_pack("{s:s, s:s, s:I, s:I, s:s}", "ref", run->log_ref, "commit",
                  commit, "commits", (json_int_t)run->commits, "size",
                  (json_int_t)run->head.size, "root", cb_buffer_text(&root));
    cb_buffer_clear(&root);
    return document;
}

static json_t *stream_document(const cb_audit_stream *stream)
{
    static const char *const contents[] = { "absent", "partial", "present" };
    return json_pack(
        "{s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:I, s:s, s:I}", "stream",
        cb_json_hex(&stream->id, sizeof stream->id), "device",
        cb_json_hex(&stream->device, sizeof stream->device), "person",
        cb_json_hex(&stream->person, sizeof stream->person), "hub",
        (int)stream->hub, "entries", (json_int_t)stream->entries, "last_seq",
        (json_int_t)stream->seq, "last_claimed_ms",
        (json_int_t)cb_entry_time_ms(stream->time), "last_log_index",
        (json_int_t)stream->head_index, "content", contents[stream->content],
        "not_yet_merged", (json_int_t)stream->unmerged);
}

static json_t *streams_document(const cb_audit_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->streams.count; i++) {
        const cb_audit_stream *stream = cb_audit_table_at(&run->streams, i);
        if (stream->entries > 0) {
            (void)json_array_append_new(list, stream_document(stream));
        }
    }
    return list;
}

static json_t *counts_document(const cb_audit_run *run)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "entries",
        (json_int_t)run->index, "signatures_checked",
        (json_int_t)run->signatures_checked, "signatures_not_checked",
        (json_int_t)run->report.gaps[CB_GAP_SIGNATURES], "bodies",
        (json_int_t)run->bodies, "bodies_absent",
        (json_int_t)run->bodies_absent, "checkpoints",
        (json_int_t)run->head_count, "tiles", (json_int_t)run->tiles,
        "roster_version", (json_int_t)run->roster, "streams",
        (json_int_t)run->streams.count, "findings",
        (json_int_t)run->report.finding_count);
}

static cb_status make_document(cb_audit_run *run, json_t **ret_document,
                               cb_error *error)
{
    const cb_status result = cb_report_result(&run->report);
    static const char *const names[] = { "clean", "findings", "unchecked" };
    const char *name = result == CB_OK         ? names[0]
                       : result == CB_FINDINGS ? names[1]
                                               : names[2];
    json_t *document = json_pack(
        "{s:s, s:s, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:O}", "schema",
        "casebound.audit.v1", "result", name, "mode",
        run->full ? "full" : "fast", "realm",
        run->has_realm ? cb_json_hex(&run->realm, sizeof run->realm)
                       : json_null(),
        "pinned", (int)run->pinned, "log", log_document(run), "counts",
        counts_document(run), "streams", streams_document(run), "unchecked",
        cb_report_unchecked(&run->report), "findings", run->report.findings);
    if (document == NULL || run->report.out_of_memory) {
        json_decref(document);
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    *ret_document = document;
    return result;
}

/* ------------------------------------------------------------------- steps */

static cb_status open_log(cb_audit_run *run, const char *git_path,
                          cb_error *error)
{
    cb_status status =
        cb_git_repository_open(git_path, &run->repository, error);
    if (status != CB_OK) {
        return status;
    }
    (void)snprintf(run->log_ref, sizeof run->log_ref, "%.180slog", run->prefix);
    status = cb_git_ref_get(run->repository, run->log_ref, &run->commit, error);
    if (status == CB_NOT_FOUND) {
        status =
            cb_error_set(error, CB_NOT_FOUND, "'%.200s' holds no log of a hub",
                         run->options->path);
        cb_error_meaning(error, "the hub has written nothing there yet, or "
                                "this is another repository");
        cb_error_next(error, "name the log's folder, its log.git, or a clone "
                             "of that");
    }
    return status;
}

static cb_status add_held(cb_audit_run *run, cb_error *error)
{
    cb_status status = CB_OK;
    for (size_t i = 0; i < run->options->checkpoint_count && status == CB_OK;
         i++) {
        const cb_audit_checkpoint *held = &run->options->checkpoints[i];
        const cb_audit_head head = {
            .head = { .size = held->size, .root = held->root },
            .holder = held->holder == NULL ? "the caller" : held->holder,
        };
        status = cb_audit_heads_add(run, &head, error);
    }
    return status;
}

static cb_status check_log(cb_audit_run *run, cb_error *error)
{
    bool has_head = false;
    cb_status status = cb_audit_heads_load(run, &has_head, error);
    if (status != CB_OK || !has_head) {
        return status;
    }
    run->full = run->options->mode == CB_AUDIT_FULL ||
                (run->options->mode == CB_AUDIT_AUTO &&
                 run->head.size <= CB_AUDIT_FULL_ENTRIES_MAX);
    if ((status = cb_audit_trust_begin(run, error)) != CB_OK ||
        (status = cb_audit_heads_verify(run, error)) != CB_OK ||
        (status = cb_audit_outboxes(run, error)) != CB_OK ||
        (status = add_held(run, error)) != CB_OK) {
        return status;
    }
    cb_audit_heads_sort(run);
    if ((status = cb_audit_walk(run, error)) != CB_OK) {
        return status;
    }
    cb_audit_heads_finish(run);
    cb_audit_clock_finish(run);
    cb_audit_judge_finish(run);
    if ((status = cb_audit_again(run, error)) != CB_OK) {
        return status;
    }
    return cb_audit_branches(run, error);
}

static void count_signatures(cb_audit_run *run)
{
    uint64_t entries = 0;
    for (size_t i = 0; i < run->streams.count; i++) {
        const cb_audit_stream *stream = cb_audit_table_at(&run->streams, i);
        entries += stream->opened ? stream->entries : 0;
    }
    if (!run->full && entries > run->entries_checked) {
        cb_report_gap(&run->report, CB_GAP_SIGNATURES,
                      entries - run->entries_checked);
    }
}

static cb_status run_check(cb_audit_run *run, json_t **ret_document,
                           cb_error *error)
{
    char git_path[CB_RAW_PATH_BYTES];
    cb_git_reading reading;
    cb_status status = cb_raw_locate(run->options->path, git_path, error);
    if (status == CB_OK) {
        status = cb_raw_check(git_path, &run->report, run->prefix, error);
    }
    if (status != CB_OK) {
        return status;
    }
    if (run->report.finding_count > 0) {
        cb_report_gap(&run->report, CB_GAP_REFUSED, 1);
        return make_document(run, ret_document, error);
    }
    if ((status = cb_git_begin(error)) != CB_OK) {
        return status;
    }
    cb_git_reading_begin(&reading);
    status = open_log(run, git_path, error);
    if (status == CB_OK) {
        status = check_log(run, error);
    }
    if (status == CB_OK) {
        count_signatures(run);
        status = make_document(run, ret_document, error);
    }
    cb_audit_log_clear(&run->log);
    cb_git_repository_close(run->repository);
    cb_git_reading_end(&reading);
    cb_git_end();
    return status;
}

cb_status cb_audit_verify(const cb_audit_options *options,
                          json_t **ret_document, cb_error *reterr_error)
{
    cb_error why = { 0 };
    if (sodium_init() < 0) {
        return cb_error_set(reterr_error, CB_FAILED, "libsodium cannot start");
    }
    cb_audit_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    run->options = options;
    run->holders = json_array();
    cb_report_init(&run->report);
    cb_audit_table_init(&run->streams, sizeof(cb_audit_stream),
                        CB_AUDIT_STREAMS_MAX);
    cb_audit_table_init(&run->devices, sizeof(cb_audit_device),
                        CB_AUDIT_DEVICES_MAX);
    cb_status status = run_check(run, ret_document, &why);
    if (status != CB_OK && status != CB_FINDINGS && status != CB_UNCHECKED) {
        (void)cb_error_set(reterr_error, status, "%s", why.what);
        cb_error_meaning(reterr_error, "%s", why.meaning);
        cb_error_next(reterr_error, "%s", why.next);
    }
    cb_audit_table_clear(&run->streams);
    cb_audit_table_clear(&run->devices);
    cb_report_clear(&run->report);
    json_decref(run->holders);
    free(run->heads);
    free(run->anchors);
    free(run->accepted);
    free(run);
    return status;
}
