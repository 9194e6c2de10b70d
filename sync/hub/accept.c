/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What devices have sent: each stream by itself, each segment in one
 * transaction.  What is wrong with one stream is said and delays no other; it
 * stays in Git as it is, and the next merge looks again.
 */
#include "hub/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_COMMITS_MAX 1000000

struct intake {
    cb_hub_round *merge;
    cb_stream_facts facts;
    cb_hub_stream_report row;
    bool rewritten; /* the ref no longer continues what was taken in */
    cb_entry *entries;
};

/* ------------------------------------------------------------- one segment */

static cb_status decode_all(struct intake *intake, const cb_stream_step *step,
                            cb_error *error)
{
    cb_segment_reader reader;
    cb_status status = CB_OK;
    size_t count = 0;
    cb_segment_reader_init(&reader, cb_span_of_buffer(&step->segment));
    while (status == CB_OK) {
        cb_span bytes;
        status = cb_segment_reader_next(&reader, &bytes, error);
        if (status != CB_OK) {
            break;
        }
        cb_entry *entry = &intake->entries[count];
        status = cb_entry_decode(bytes, entry, error);
        if (status == CB_OK &&
            (memcmp(&entry->header.stream, &step->manifest.stream,
                    sizeof entry->header.stream) != 0 ||
             entry->header.seq != step->manifest.first_seq + count)) {
            status = cb_error_set(error, CB_DAMAGED,
                                  "GAP: a segment's entries are not those that "
                                  "its manifest names");
        }
        count++;
    }
    return status == CB_END ? CB_OK : status;
}

static void count_outcome(struct intake *intake, cb_ingest_outcome outcome)
{
    cb_hub_stream_report *row = &intake->row;
    row->accepted +=
        outcome == CB_INGEST_APPLIED || outcome == CB_INGEST_WAITING;
    row->waiting += outcome == CB_INGEST_WAITING;
    row->quarantined += outcome == CB_INGEST_QUARANTINED;
    row->forked += outcome == CB_INGEST_FORK;
}

static cb_status ingest_one(struct intake *intake, const cb_entry *entry,
                            bool verified, cb_error *error)
{
    cb_ingest_outcome outcome = CB_INGEST_KNOWN;
    const cb_ingest how = {
        .whole_stream = true,
        .verified = verified,
        .log_index = -1,
    };
    cb_status status = cb_exchange_ingest(intake->merge->store, entry->bytes,
                                          &how, &outcome, error);
    if (status == CB_OK) {
        count_outcome(intake, outcome);
    }
    return status;
}

/* The opening says, certified, which key this stream is written with. */
static cb_status learn_stream(struct intake *intake, const cb_stream_step *step,
                              cb_error *error)
{
    cb_status status = ingest_one(intake, &intake->entries[0], false, error);
    if (status == CB_OK) {
        status =
            cb_exchange_stream(intake->merge->store, &step->manifest.stream,
                               &intake->facts, error);
    }
    if (status == CB_OK) {
        intake->row.known = true;
        intake->row.device = intake->facts.device;
        intake->row.person = intake->facts.person;
    }
    return status;
}

static cb_status take_segment(struct intake *intake, const cb_stream_step *step,
                              cb_error *error)
{
    size_t first = 0;
    cb_status status = decode_all(intake, step, error);
    if (status == CB_OK && !intake->row.known) {
        status = learn_stream(intake, step, error);
        first = 1;
    }
    if (status == CB_OK) {
        status = cb_git_commit_verify(&step->commit, intake->facts.public_key,
                                      error);
    }
    if (status == CB_OK) {
        status = cb_pool_verify(intake->entries, step->manifest.count,
                                intake->facts.public_key, error);
    }
    for (size_t i = first; status == CB_OK && i < step->manifest.count; i++) {
        /* Behind a fork nothing follows what is held here. */
        if (intake->rewritten &&
            intake->entries[i].header.seq > intake->facts.head_seq) {
            break;
        }
        status = ingest_one(intake, &intake->entries[i], true, error);
    }
    return status;
}

static cb_status take_step(struct intake *intake,
                           const cb_git_repository *repository,
                           const cb_git_oid *oid, cb_error *error)
{
    cb_stream_step step;
    struct intake before = *intake;
    cb_store *store = intake->merge->store;
    cb_status status =
        cb_stream_step_read(repository, oid, &intake->row.stream, &step, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_store_begin(store, error);
    if (status == CB_OK) {
        status = take_segment(intake, &step, error);
        if (status == CB_OK && !intake->rewritten) {
            status = cb_exchange_set_fetched(store, &intake->row.stream,
                                             oid->bytes, error);
        }
        if (status == CB_OK) {
            status = cb_store_commit(store, error);
        }
        if (status != CB_OK) {
            cb_store_abort(store);
            *intake = before;
        }
    }
    cb_stream_step_clear(&step);
    return status;
}

/* --------------------------------------------------------------- one stream */

static cb_status judge_rewritten(const struct intake *intake, cb_error *error)
{
    if (intake->row.forked > 0) {
        (void)cb_error_set(error, CB_DAMAGED,
                           "FORK: the stream has two entries of one number, "
                           "both signed; it is frozen and both are kept");
    } else {
        (void)cb_error_set(error, CB_DAMAGED,
                           "GITX: the log host shows an older or rewritten "
                           "history of the stream; what was taken in before "
                           "stays");
    }
    return CB_DAMAGED;
}

static cb_status take_history(struct intake *intake,
                              const cb_git_repository *repository,
                              const cb_git_oid *tip, cb_error *error)
{
    cb_git_oid_list history = { 0 };
    cb_git_oid known;
    cb_error words = { 0 };
    bool some = !cb_is_zero(intake->facts.fetched_commit,
                            sizeof intake->facts.fetched_commit);
    memcpy(known.bytes, intake->facts.fetched_commit, sizeof known.bytes);
    cb_status status =
        cb_git_history_read(repository, tip, some ? &known : NULL,
                            STREAM_COMMITS_MAX, &history, &words);
    if (status == CB_REFUSED) {
        intake->rewritten = true;
        status = cb_git_history_read(repository, tip, NULL, STREAM_COMMITS_MAX,
                                     &history, error);
    } else if (status != CB_OK) {
        status = cb_error_set(error, status, "%s", words.what);
    }
    for (size_t i = 0; status == CB_OK && i < history.count; i++) {
        status = take_step(intake, repository, &history.items[i], error);
    }
    if (status == CB_OK && intake->rewritten) {
        status = judge_rewritten(intake, error);
    }
    cb_git_oid_list_clear(&history);
    return status;
}

static cb_status take_stream(struct intake *intake, cb_error *error)
{
    cb_hub_round *merge = intake->merge;
    cb_git_fetch *fetch = NULL;
    cb_git_oid have;
    cb_ref_name ref =
        cb_ref_make(CB_REF_DEVICE_PREFIX, intake->row.stream.bytes);
    bool some = !cb_is_zero(intake->facts.fetched_commit,
                            sizeof intake->facts.fetched_commit);
    memcpy(have.bytes, intake->facts.fetched_commit, sizeof have.bytes);
    cb_status status =
        cb_place_fetch(merge->incoming, merge->transport, CB_GIT_LOG, ref.text,
                       some ? &have : NULL, &fetch, error);
    if (status == CB_OK) {
        cb_git_oid tip = cb_git_fetch_tip(fetch);
        status =
            take_history(intake, cb_git_fetch_repository(fetch), &tip, error);
        /* Kept also where it is bad: it is evidence. */
        if (status == CB_OK || intake->row.forked > 0) {
            cb_error words = { 0 };
            cb_status kept = cb_git_fetch_accept(fetch, ref.text, &words);
            if (kept == CB_REFUSED) {
                kept = cb_place_point(merge->incoming, ref.text, &tip, &words);
            }
            if (kept != CB_OK && status == CB_OK) {
                status = cb_error_set(error, kept, "%s", words.what);
            }
        }
    }
    cb_git_fetch_end(fetch);
    return status;
}

static cb_status finish_row(struct intake *intake, cb_status status,
                            const cb_error *words, cb_error *error)
{
    cb_hub_stream_report *row = &intake->row;
    cb_hub_report *report = intake->merge->report;
    cb_stream_facts now;
    if (cb_exchange_stream(intake->merge->store, &row->stream, &now, NULL) ==
        CB_OK) {
        row->head_seq = now.head_seq;
    }
    row->status = status;
    cb_words_copy(row->reason, sizeof row->reason,
                  status == CB_OK ? "" : words->what);
    report->accepted += row->accepted;
    report->quarantined += row->quarantined + row->forked;
    report->refused_streams += status != CB_OK;
    return row->accepted + row->quarantined + row->forked > 0 || status != CB_OK
               ? cb_merge_row(intake->merge, row, error)
               : CB_OK;
}

static cb_status accept_ref(cb_hub_round *merge, const cb_git_ref *ref,
                            cb_entry *entries, cb_error *error)
{
    struct intake intake = { .merge = merge, .entries = entries };
    cb_error words = { 0 };
    if (!cb_ref_parse(ref->name, CB_REF_DEVICE_PREFIX,
                      intake.row.stream.bytes)) {
        return CB_OK; /* no ref of ours; the host's hook takes no such */
    }
    merge->report->stream_total++;
    cb_status status = cb_exchange_stream(merge->store, &intake.row.stream,
                                          &intake.facts, error);
    if (status == CB_OK) {
        intake.row.known = true;
        intake.row.device = intake.facts.device;
        intake.row.person = intake.facts.person;
        if (intake.facts.own || memcmp(intake.facts.fetched_commit,
                                       ref->oid.bytes, CB_GIT_OID_BYTES) == 0) {
            return CB_OK;
        }
    } else if (status != CB_NOT_FOUND) {
        return status;
    }
    status = take_stream(&intake, &words);
    if (status != CB_OK && !cb_merge_is_theirs(status) &&
        !cb_merge_is_beyond(merge, status)) {
        if (error != NULL) {
            *error = words;
        }
        return status;
    }
    return finish_row(&intake, status, &words, error);
}

cb_status cb_merge_accept(cb_hub_round *merge, cb_error *reterr_error)
{
    const cb_git_ref_list *refs = &merge->log_refs;
    cb_status status = CB_OK;
    cb_entry *entries = calloc(CB_SEGMENT_ENTRIES_MAX, sizeof *entries);
    if (entries == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; status == CB_OK && i < refs->count; i++) {
        cb_progress_step(merge->options->progress, "taking in", i, refs->count);
        if (cb_progress_stop(merge->options->progress, reterr_error)) {
            status = CB_INTERRUPTED;
            break;
        }
        status = accept_ref(merge, &refs->items[i], entries, reterr_error);
    }
    free(entries);
    return status;
}
