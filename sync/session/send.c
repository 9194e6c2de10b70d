/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending: our stream from where the log host really is, then keys.  Also the
 * plan of it, which changes nothing.
 */
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_COMMITS_MAX     1000000
#define LINE_BITS_PER_SECOND   1000000
#define EVIDENCE_PREFIX        "refs/heads/evidence/"
#define ENTRY_OVERHEAD_BYTES   2
#define SEGMENT_OVERHEAD_BYTES 700 /* commit, tree and manifest */

static const cb_git_oid *own_remote(const cb_session *session)
{
    cb_ref_name ref =
        cb_ref_make(CB_REF_DEVICE_PREFIX, session->identity.stream.bytes);
    return cb_ref_find(&session->log_refs, ref.text);
}

static cb_status fail_ahead(cb_error *error)
{
    cb_status status =
        cb_error_set(error, CB_REFUSED,
                     "this store is an older copy: another copy of it went on "
                     "writing and has synced");
    cb_error_meaning(error, "nothing was sent, so that the two cannot be mixed "
                            "up; what others wrote was received; nothing here "
                            "or there is lost");
    cb_error_next(error, "work on in the newer copy; where it is gone, enrol "
                         "this machine again as another device");
    return status;
}

/* ---------------------------------------------- the log host has other things
 */

enum comparison {
    SAME,
    OTHER
};

/* The remote's entries against ours, one commit. */
static cb_status compare_step(cb_session *session, const cb_stream_step *step,
                              enum comparison *ret_result, cb_error *error)
{
    cb_segment_reader reader;
    cb_buffer bytes;
    uint64_t seq = step->manifest.first_seq;
    cb_status status = CB_OK;
    cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
    cb_segment_reader_init(&reader, cb_span_of_buffer(&step->segment));
    *ret_result = SAME;
    while (status == CB_OK && *ret_result == SAME) {
        cb_span theirs;
        cb_entry ours;
        status = cb_segment_reader_next(&reader, &theirs, error);
        if (status != CB_OK || seq > session->identity.head_seq) {
            break;
        }
        status = cb_own_entry(session->store, &session->identity.stream, seq,
                              &bytes, &ours, error);
        if (status == CB_OK && !cb_span_equal(theirs, ours.bytes)) {
            *ret_result = OTHER;
        }
        seq++;
    }
    cb_buffer_clear(&bytes);
    return status == CB_END ? CB_OK : status;
}

static cb_status compare_history(cb_session *session,
                                 const cb_git_repository *repository,
                                 const cb_git_oid *tip,
                                 enum comparison *ret_result, cb_error *error)
{
    cb_git_oid_list history = { 0 };
    cb_status status = cb_git_history_read(repository, tip, NULL,
                                           STREAM_COMMITS_MAX, &history, error);
    *ret_result = SAME;
    for (size_t i = 0;
         status == CB_OK && *ret_result == SAME && i < history.count; i++) {
        cb_stream_step step;
        status = cb_stream_step_read(repository, &history.items[i],
                                     &session->identity.stream, &step, error);
        if (status == CB_OK) {
            status = compare_step(session, &step, ret_result, error);
            cb_stream_step_clear(&step);
        }
    }
    cb_git_oid_list_clear(&history);
    return status;
}

/* Two went on from one store: what the other wrote is kept as evidence. */
static cb_status fail_fork(cb_session *session, cb_git_fetch *fetch,
                           cb_error *error)
{
    cb_ref_name ref =
        cb_ref_make(EVIDENCE_PREFIX, session->identity.stream.bytes);
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    cb_status status = cb_git_fetch_accept(fetch, ref.text, NULL);
    if (status == CB_REFUSED) {
        status = cb_place_point(session->incoming, ref.text, &tip, error);
    }
    status = cb_error_set(error, CB_DAMAGED,
                          "FORK: at the log host, entries of this store's own "
                          "stream are not those that stand here");
    cb_error_meaning(error,
                     "a copy of this store has written under its name; "
                     "nothing was sent, and both halves are kept (the "
                     "other in '%s', ref '%s')",
                     CB_PLACE_INCOMING, ref.text);
    cb_error_next(error, "keep both machines as they are and tell the hub's "
                         "office");
    return status;
}

/* ------------------------------------------------ this store is an older copy
 */

static cb_status take_segment(cb_session *session, const cb_stream_step *step,
                              cb_error *error)
{
    const cb_ingest how = { .whole_stream = true, .log_index = -1 };
    cb_segment_reader reader;
    cb_status status = CB_OK;
    cb_segment_reader_init(&reader, cb_span_of_buffer(&step->segment));
    while (status == CB_OK) {
        cb_span entry;
        cb_ingest_outcome outcome = CB_INGEST_KNOWN;
        status = cb_segment_reader_next(&reader, &entry, error);
        if (status == CB_OK) {
            status = cb_exchange_ingest(session->store, entry, &how, &outcome,
                                        error);
        }
        session->report->received_entries +=
            status == CB_OK && outcome != CB_INGEST_KNOWN;
    }
    return status == CB_END ? CB_OK : status;
}

static cb_status settle(cb_session *session, cb_error *error)
{
    size_t cases = 0;
    size_t conflicts = 0;
    cb_status status =
        cb_exchange_settle(session->store, &cases, &conflicts, error);
    if (status == CB_OK) {
        session->report->cases_changed += cases;
        session->report->conflicts_new += conflicts;
    }
    return status;
}

/* One transaction for each segment of ours that the other copy sent. */
static cb_status take_back_step(cb_session *session,
                                const cb_git_repository *repository,
                                const cb_git_oid *oid, cb_error *error)
{
    cb_stream_step step;
    cb_status status = cb_stream_step_read(
        repository, oid, &session->identity.stream, &step, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_store_begin(session->store, error);
    if (status == CB_OK) {
        status = take_segment(session, &step, error);
        if (status == CB_OK) {
            status = settle(session, error);
        }
        if (status == CB_OK) {
            status = cb_store_commit(session->store, error);
        }
        if (status != CB_OK) {
            cb_store_abort(session->store);
        }
    }
    cb_stream_step_clear(&step);
    return status;
}

static cb_status take_back(cb_session *session, const cb_git_fetch *fetch,
                           cb_error *error)
{
    cb_git_oid_list history = { 0 };
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    const cb_git_repository *repository = cb_git_fetch_repository(fetch);
    cb_status status = cb_git_history_read(repository, &tip, NULL,
                                           STREAM_COMMITS_MAX, &history, error);
    for (size_t i = 0; status == CB_OK && i < history.count; i++) {
        status = take_back_step(session, repository, &history.items[i], error);
    }
    cb_git_oid_list_clear(&history);
    return status;
}

/* The log host's stream is not ours: whose is it, and what of it? */
static cb_status judge_stranger(cb_session *session, cb_error *error)
{
    cb_git_fetch *fetch = NULL;
    enum comparison result = SAME;
    cb_ref_name ref =
        cb_ref_make(CB_REF_DEVICE_PREFIX, session->identity.stream.bytes);
    cb_status status =
        cb_place_fetch(session->incoming, session->transport, CB_GIT_LOG,
                       ref.text, NULL, &fetch, error);
    if (status == CB_OK) {
        cb_git_oid tip = cb_git_fetch_tip(fetch);
        status = compare_history(session, cb_git_fetch_repository(fetch), &tip,
                                 &result, error);
    }
    if (status == CB_OK && result == OTHER) {
        status = fail_fork(session, fetch, error);
    } else if (status == CB_OK) {
        status = take_back(session, fetch, error);
    }
    if (status != CB_OK) {
        cb_error_meaning(error, "what the log host holds of this store's "
                                "stream does not verify; nothing was sent; "
                                "nothing here is lost");
    }
    cb_git_fetch_end(fetch);
    return status;
}

/* ------------------------------------------------------------------ sending */

/* What arrived but was not marked, because the last sync was cut off. */
static cb_status mark_pushed(cb_session *session, const cb_own_stream *own,
                             size_t count, cb_error *error)
{
    cb_status status = CB_OK;
    for (size_t i = 0; status == CB_OK && i < count; i++) {
        if (!own->steps[i].facts.pushed) {
            status = cb_exchange_segment_pushed(session->store,
                                                &own->steps[i].facts, error);
        }
    }
    return status;
}

static bool was_pushed(const cb_own_stream *own, size_t first)
{
    for (size_t i = first; i < own->count; i++) {
        if (own->steps[i].facts.pushed) {
            return true;
        }
    }
    return false;
}

/*
 * From which step on the log host lacks our stream.  `ret_copy`: it has more of
 * it than this store wrote, which was taken back in.
 */
static cb_status find_start(cb_session *session, bool can_sign,
                            cb_own_stream *own, size_t *ret_first,
                            bool *ret_copy, cb_error *error)
{
    cb_status status = cb_exchange_cut(session->store, error);
    *ret_copy = false;
    if (status == CB_OK) {
        status = can_sign ? cb_own_stream_make(session->store,
                                               session->outgoing, own, error)
                          : cb_own_stream_read(session->store, own, error);
    }
    if (status == CB_OK) {
        status = cb_own_stream_match(own, own_remote(session), ret_first);
        if (status == CB_NOT_FOUND) {
            *ret_copy = true;
            *ret_first = own->count;
            return judge_stranger(session, error);
        }
    }
    if (status == CB_OK && was_pushed(own, *ret_first)) {
        session->report->hub_behind = true;
    }
    return status;
}

static cb_status push_stream(cb_session *session, const cb_own_stream *own,
                             size_t first, cb_error *error)
{
    cb_own_sent sent = { 0 };
    cb_status status = mark_pushed(session, own, first, error);
    if (status == CB_OK) {
        status = cb_own_stream_push(session->store, session->outgoing,
                                    session->transport, own, first,
                                    session->options->progress, &sent, error);
    }
    session->report->sent_entries += sent.entries;
    session->report->sent_segments += sent.segments;
    return status;
}

/* Keys first: whoever sees an entry can then have its key as well. */
static cb_status send_stream(cb_session *session, bool *ret_copy,
                             cb_error *error)
{
    cb_own_stream own = { 0 };
    size_t first = 0;
    cb_status status = find_start(session, true, &own, &first, ret_copy, error);
    if (status == CB_OK && session->report->hub_behind) {
        status = cb_exchange_keys_doubted(session->store, error);
    }
    if (status == CB_OK) {
        status = cb_session_send_mail(session, error);
    }
    if (status == CB_OK && !*ret_copy) {
        status = push_stream(session, &own, first, error);
    }
    cb_own_stream_clear(&own);
    return status;
}

/*
 * What this store wrote before it began anew, far from the hub, and had not
 * sent: it goes to where it belongs, behind what the hub has of it.  What
 * another copy had sent of it meanwhile is taken back in first.
 */
static cb_status send_earlier(cb_session *session, cb_error *error)
{
    cb_error words = { 0 };
    cb_status status = CB_OK;
    while (status == CB_OK) {
        cb_own_stream own = { 0 };
        size_t first = 0;
        bool copy = false;
        bool can_sign = false;
        status = cb_exchange_earlier_enter(session->store, &can_sign, error);
        if (status != CB_OK) {
            break;
        }
        cb_store_identify(session->store, &session->identity);
        status = find_start(session, can_sign, &own, &first, &copy, error);
        if (status == CB_OK && can_sign && !copy) {
            status = push_stream(session, &own, first, error);
        }
        cb_own_stream_clear(&own);
        cb_status left = cb_exchange_earlier_leave(
            session->store, status == CB_OK, status == CB_OK ? error : &words);
        status = status == CB_OK ? left : status;
        cb_store_identify(session->store, &session->identity);
    }
    return status == CB_END ? CB_OK : status;
}

cb_status cb_session_send(cb_session *session, cb_error *reterr_error)
{
    bool copy = false;
    cb_status status = send_earlier(session, reterr_error);
    if (status == CB_OK) {
        status = send_stream(session, &copy, reterr_error);
    }
    if (status == CB_OK && session->ahead_elsewhere && !copy) {
        return fail_ahead(reterr_error);
    }
    if (status != CB_OK || (!copy && !session->identity.restored)) {
        return status;
    }
    /* All of the old stream that there is stands here and there. */
    status = cb_exchange_begin_incarnation(session->store, reterr_error);
    if (status == CB_OK) {
        session->report->began_anew = true;
        session->ahead_elsewhere = false;
        cb_store_identify(session->store, &session->identity);
        status = send_stream(session, &copy, reterr_error);
    }
    return status;
}

/* --------------------------------------------------------------------- plan */

static cb_status add_size(void *context, cb_span entry, uint64_t log_index,
                          cb_error *error)
{
    cb_sync_plan *plan = context;
    (void)log_index;
    (void)error;
    plan->send_entries++;
    plan->send_bytes += entry.size + ENTRY_OVERHEAD_BYTES;
    return CB_OK;
}

static cb_status plan_run(cb_session *session, uint64_t first, uint64_t count,
                          cb_error *error)
{
    const cb_segment_facts run = { .stream = session->identity.stream,
                                   .first_seq = first,
                                   .count = count };
    cb_sync_plan *plan = &session->report->plan;
    uint64_t before = plan->send_bytes;
    cb_status status = cb_exchange_segment_entries(session->store, &run,
                                                   add_size, plan, error);
    uint64_t bytes = plan->send_bytes - before;
    uint64_t by_bytes =
        (bytes + CB_SEGMENT_BYTES_MAX - 1) / CB_SEGMENT_BYTES_MAX;
    uint64_t by_count =
        (count + CB_SEGMENT_ENTRIES_MAX - 1) / CB_SEGMENT_ENTRIES_MAX;
    plan->send_segments += by_bytes > by_count ? by_bytes : by_count;
    return status;
}

static cb_status plan_sending(cb_session *session, cb_error *error)
{
    cb_own_stream own = { 0 };
    size_t first = 0;
    uint64_t next = 1;
    cb_status status = cb_own_stream_read(session->store, &own, error);
    if (status == CB_OK &&
        cb_own_stream_match(&own, own_remote(session), &first) != CB_OK) {
        status = fail_ahead(error);
    }
    for (size_t i = 0; status == CB_OK && i < own.count; i++) {
        const cb_segment_facts *facts = &own.steps[i].facts;
        next = facts->first_seq + facts->count;
        if (i >= first) {
            status = plan_run(session, facts->first_seq, facts->count, error);
        }
    }
    if (status == CB_OK && next <= session->identity.head_seq) {
        status = plan_run(session, next, session->identity.head_seq + 1 - next,
                          error);
    }
    cb_own_stream_clear(&own);
    return status;
}

static cb_status plan_receiving(cb_session *session, cb_error *error)
{
    cb_outbox_mark mark;
    cb_git_oid mail = { { 0 } };
    cb_ref_name outbox =
        cb_ref_make(CB_REF_OUTBOX_PREFIX, session->identity.device.bytes);
    cb_ref_name down =
        cb_ref_make(CB_REF_DOWN_PREFIX, session->identity.device.bytes);
    const cb_git_oid *outbox_now = cb_ref_find(&session->log_refs, outbox.text);
    const cb_git_oid *down_now = cb_ref_find(&session->mail_refs, down.text);
    cb_status status = cb_outbox_mark_get(session->store, &mark, error);
    if (status == CB_OK) {
        status = cb_mark_get(session->store, "mail.down.commit", mail.bytes,
                             sizeof mail.bytes, error);
        status = status == CB_NOT_FOUND ? CB_OK : status;
    }
    session->report->plan.receive =
        (outbox_now != NULL && !cb_git_oid_equal(outbox_now, &mark.commit)) ||
        (down_now != NULL && !cb_git_oid_equal(down_now, &mail));
    return status;
}

cb_status cb_session_plan(cb_session *session, cb_error *reterr_error)
{
    cb_hash digest;
    cb_sync_plan *plan = &session->report->plan;
    uint64_t speed = session->options->line_bits_per_second;
    speed = speed == 0 ? LINE_BITS_PER_SECOND : speed;
    cb_status status = plan_sending(session, reterr_error);
    if (status == CB_OK) {
        status = plan_receiving(session, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_session_mail_due(session, &plan->send_keys, &digest,
                                     reterr_error);
    }
    plan->send_bytes += plan->send_segments * SEGMENT_OVERHEAD_BYTES;
    plan->seconds = (plan->send_bytes * 8 + speed - 1) / speed;
    return status;
}
