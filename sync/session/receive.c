/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving: the outbox into a quarantine, every receipt of it verified, and
 * only then roster, keys and entries, in this order.
 */
#include "session/session.h"

#include <string.h>

#define OUTBOX_COMMITS_MAX 100000
#define OUTBOX_MARK_BYTES  (CB_GIT_OID_BYTES + 8)
#define UP_MARK_BYTES      (8 + 8 + CB_IDENTIFIER_BYTES + CB_HASH_BYTES)

cb_status cb_outbox_mark_get(cb_store *store, cb_outbox_mark *ret_mark,
                             cb_error *reterr_error)
{
    uint8_t bytes[OUTBOX_MARK_BYTES];
    memset(ret_mark, 0, sizeof *ret_mark);
    cb_status status =
        cb_mark_get(store, "outbox", bytes, sizeof bytes, reterr_error);
    if (status == CB_OK) {
        memcpy(ret_mark->commit.bytes, bytes, CB_GIT_OID_BYTES);
        ret_mark->number = cb_get_u64(bytes + CB_GIT_OID_BYTES);
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

static cb_status put_outbox_mark(cb_store *store, const cb_git_oid *commit,
                                 uint64_t number, cb_error *error)
{
    uint8_t bytes[OUTBOX_MARK_BYTES];
    memcpy(bytes, commit->bytes, CB_GIT_OID_BYTES);
    cb_put_u64(bytes + CB_GIT_OID_BYTES, number);
    return cb_mark_put(store, "outbox", bytes, sizeof bytes, error);
}

cb_status cb_up_mark_get(cb_store *store, cb_up_mark *ret_mark,
                         cb_error *reterr_error)
{
    uint8_t bytes[UP_MARK_BYTES];
    memset(ret_mark, 0, sizeof *ret_mark);
    cb_status status =
        cb_mark_get(store, "mail.up", bytes, sizeof bytes, reterr_error);
    if (status == CB_OK) {
        ret_mark->version = cb_get_u64(bytes);
        ret_mark->seq = cb_get_u64(bytes + 8);
        memcpy(ret_mark->stream.bytes, bytes + 16, CB_IDENTIFIER_BYTES);
        memcpy(ret_mark->digest.bytes, bytes + 32, CB_HASH_BYTES);
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

cb_status cb_up_mark_put(cb_store *store, const cb_up_mark *mark,
                         cb_error *reterr_error)
{
    uint8_t bytes[UP_MARK_BYTES];
    cb_put_u64(bytes, mark->version);
    cb_put_u64(bytes + 8, mark->seq);
    memcpy(bytes + 16, mark->stream.bytes, CB_IDENTIFIER_BYTES);
    memcpy(bytes + 32, mark->digest.bytes, CB_HASH_BYTES);
    return cb_mark_put(store, "mail.up", bytes, sizeof bytes, reterr_error);
}

/* ------------------------------------------------------------- one commit */

/* Kinds that say who may be believed, and which keys are dead. */
static bool is_first(cb_span entry)
{
    uint8_t kind = entry.size > 5 ? entry.bytes[5] : 0;
    return kind == CB_ENTRY_OPENING || kind == CB_ENTRY_ROSTER ||
           kind == CB_ENTRY_ERASURE;
}

static void count_outcome(cb_session *session, cb_ingest_outcome outcome)
{
    cb_sync_report *report = session->report;
    report->received_entries += outcome != CB_INGEST_KNOWN;
    report->waiting_entries += outcome == CB_INGEST_WAITING;
    report->quarantined_entries += outcome == CB_INGEST_QUARANTINED ||
                                   outcome == CB_INGEST_FORK ||
                                   outcome == CB_INGEST_REFUSED;
}

/*
 * The entries of one commit, or only those that come first.  One that cannot be
 * read, of a newer version or damaged, is kept as it is and counted as not
 * believed: it must not keep out all that follows.
 */
static cb_status take_entries(cb_session *session, const cb_outbox_step *step,
                              bool first_only, cb_error *error)
{
    cb_segment_reader reader;
    cb_status status = CB_OK;
    if (!step->receipt.has_segment) {
        return CB_OK;
    }
    cb_segment_reader_init(&reader, cb_span_of_buffer(&step->segment));
    while (status == CB_OK) {
        cb_span entry;
        cb_ingest_outcome outcome = CB_INGEST_KNOWN;
        size_t index = reader.count;
        status = cb_segment_reader_next(&reader, &entry, error);
        if (status != CB_OK || (first_only && !is_first(entry))) {
            continue;
        }
        const cb_ingest how = {
            .keep_unread = true,
            .log_index = (int64_t)step->receipt.positions[index],
        };
        status =
            cb_exchange_ingest(session->store, entry, &how, &outcome, error);
        if (status == CB_OK) {
            count_outcome(session, outcome);
        }
    }
    if (status != CB_END) {
        cb_error_meaning(error, "the hub has passed on an entry that does not "
                                "verify; nothing of this part was taken in");
    }
    return status == CB_END ? CB_OK : status;
}

/* Only what was in the mail that the hub says it has. */
static cb_status confirm_keys(cb_session *session, const cb_receipt *receipt,
                              cb_error *error)
{
    cb_up_mark mark;
    cb_status status = cb_up_mark_get(session->store, &mark, error);
    if (status != CB_OK || mark.version == 0 || receipt->mail < mark.version ||
        memcmp(&mark.stream, &session->identity.stream, sizeof mark.stream)) {
        return status;
    }
    return cb_exchange_keys_confirmed(session->store, mark.seq, error);
}

static cb_status keep_receipt(cb_session *session, const cb_outbox_step *step,
                              cb_error *error)
{
    cb_status status = CB_OK;
    if (step->head.size > 0) {
        status = cb_exchange_remember_checkpoint(
            session->store, step->head.size, &step->head.root,
            cb_buffer_text(&step->receipt.note), error);
    }
    if (status == CB_OK) {
        status = cb_exchange_remember_receipt(
            session->store, step->head.size,
            cb_buffer_text(&step->receipt_text), error);
    }
    if (status == CB_OK) {
        status = cb_withheld_put(session, &step->receipt, error);
    }
    if (status == CB_OK && step->has_own) {
        status = cb_exchange_accepted(session->store, &step->own.stream,
                                      step->own.seq, &step->own.hash, error);
    }
    return status == CB_OK ? confirm_keys(session, &step->receipt, error)
                           : status;
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

static void note_receipt(cb_session *session, const cb_outbox_step *step)
{
    cb_sync_report *report = session->report;
    const cb_receipt *receipt = &step->receipt;
    report->receipts++;
    report->hub_size = step->head.size;
    report->hub_time_ms = receipt->time_ms;
    report->withheld_total = receipt->withheld_total;
    report->withheld_count = 0;
    for (size_t i = 0; i < receipt->withheld_count &&
                       report->withheld_count < CB_SYNC_WITHHELD_MAX;
         i++) {
        cb_sync_withheld *row = &report->withheld[report->withheld_count++];
        row->stream = receipt->withheld[i].stream;
        row->seq = receipt->withheld[i].seq;
        cb_words_copy(row->reason, sizeof row->reason,
                      receipt->withheld[i].reason);
    }
}

/* Invariant 2: one transaction. */
static cb_status take_step(cb_session *session, const cb_outbox_step *step,
                           const cb_git_oid *commit, cb_error *error)
{
    cb_sync_report before = *session->report;
    cb_status status = cb_store_begin(session->store, error);
    if (status != CB_OK) {
        return status;
    }
    status = take_entries(session, step, false, error);
    if (status == CB_OK) {
        status = settle(session, error);
    }
    if (status == CB_OK) {
        status = keep_receipt(session, step, error);
    }
    if (status == CB_OK) {
        status = put_outbox_mark(session->store, commit, step->receipt.number,
                                 error);
    }
    if (status == CB_OK) {
        status = cb_store_commit(session->store, error);
    }
    if (status != CB_OK) {
        cb_store_abort(session->store);
        *session->report = before;
        return status;
    }
    note_receipt(session, step);
    return CB_OK;
}

static cb_status take_first(cb_session *session, const cb_outbox_step *step,
                            cb_error *error)
{
    cb_sync_report before = *session->report;
    cb_status status = cb_store_begin(session->store, error);
    if (status != CB_OK) {
        return status;
    }
    status = take_entries(session, step, true, error);
    if (status == CB_OK) {
        status = settle(session, error);
    }
    if (status == CB_OK) {
        status = cb_store_commit(session->store, error);
    }
    if (status != CB_OK) {
        cb_store_abort(session->store);
        *session->report = before;
    }
    return status;
}

/* -------------------------------------------------------------- all commits */

enum pass {
    PASS_VERIFY,
    PASS_FIRST,
    PASS_ALL
};

static cb_status run_pass(cb_session *session,
                          const cb_git_repository *repository,
                          const cb_git_oid_list *history,
                          cb_receipt_chain chain, enum pass pass,
                          cb_error *error)
{
    static const char *const phases[] = { "verifying", "roster", "receiving" };
    cb_status status = CB_OK;
    for (size_t i = 0; status == CB_OK && i < history->count; i++) {
        cb_outbox_step step;
        cb_progress_step(session->options->progress, phases[pass], i,
                         history->count);
        if (cb_progress_stop(session->options->progress, error)) {
            return CB_INTERRUPTED;
        }
        status = cb_outbox_step_read(session, repository, &history->items[i],
                                     &chain, &step, error);
        if (status != CB_OK) {
            break;
        }
        if (pass == PASS_VERIFY && i + 1 == history->count) {
            status = cb_receipt_chain_finish(session, &chain, &step, error);
        } else if (pass == PASS_FIRST) {
            status = take_first(session, &step, error);
        } else if (pass == PASS_ALL) {
            status = take_step(session, &step, &history->items[i], error);
        }
        cb_outbox_step_clear(&step);
    }
    return status;
}

/* What is new; or, where the hub began its outbox anew, all of it. */
static cb_status read_history(const cb_git_repository *repository,
                              const cb_git_oid *tip, const cb_outbox_mark *mark,
                              cb_git_oid_list *ret_history,
                              cb_receipt_chain *chain, cb_error *error)
{
    cb_error words = { 0 };
    bool some = !cb_is_zero(mark->commit.bytes, sizeof mark->commit.bytes);
    cb_status status =
        some ? cb_git_history_read(repository, tip, &mark->commit,
                                   OUTBOX_COMMITS_MAX, ret_history, &words)
             : CB_REFUSED;
    if (status == CB_OK) {
        chain->number = mark->number;
        return CB_OK;
    }
    if (status != CB_REFUSED) {
        return cb_error_set(error, status, "%s", words.what);
    }
    return cb_git_history_read(repository, tip, NULL, OUTBOX_COMMITS_MAX,
                               ret_history, error);
}

static cb_status take_outbox(cb_session *session, cb_git_fetch *fetch,
                             const cb_outbox_mark *mark, cb_error *error)
{
    const cb_git_repository *repository = cb_git_fetch_repository(fetch);
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    cb_git_oid_list history = { 0 };
    cb_receipt_chain chain = { 0 };
    cb_status status =
        read_history(repository, &tip, mark, &history, &chain, error);
    if (status == CB_OK) {
        status =
            run_pass(session, repository, &history, chain, PASS_VERIFY, error);
    }
    if (status == CB_OK) {
        status =
            run_pass(session, repository, &history, chain, PASS_FIRST, error);
    }
    if (status == CB_OK) {
        status = cb_session_receive_mail(session, error);
    }
    if (status == CB_OK) {
        status =
            run_pass(session, repository, &history, chain, PASS_ALL, error);
    }
    cb_git_oid_list_clear(&history);
    return status;
}

/* Objects last: without them the next sync receives them again, no more. */
static cb_status keep_objects(cb_session *session, cb_git_fetch *fetch,
                              const char *ref, cb_error *error)
{
    cb_error words = { 0 };
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    cb_status status = cb_git_fetch_accept(fetch, ref, &words);
    if (status == CB_REFUSED) {
        return cb_place_point(session->incoming, ref, &tip, error);
    }
    return status == CB_OK ? CB_OK
                           : cb_error_set(error, status, "%s", words.what);
}

static cb_status lost_outbox(cb_session *session, cb_error *error)
{
    session->report->hub_behind = true;
    cb_status status =
        cb_error_set(error, CB_DAMAGED,
                     "ROLLBK: the log host no longer has what the hub wrote "
                     "for this device");
    cb_error_meaning(error, "the log host was set back to an older state; what "
                            "was recorded here is safe and is sent again");
    cb_error_next(error, "tell the hub's office; sync again after its next "
                         "merge");
    return status;
}

cb_status cb_session_receive(cb_session *session, cb_error *reterr_error)
{
    cb_git_fetch *fetch = NULL;
    cb_outbox_mark mark;
    cb_ref_name ref =
        cb_ref_make(CB_REF_OUTBOX_PREFIX, session->identity.device.bytes);
    const cb_git_oid *remote = cb_ref_find(&session->log_refs, ref.text);
    cb_status status = cb_outbox_mark_get(session->store, &mark, reterr_error);
    bool some = !cb_is_zero(mark.commit.bytes, sizeof mark.commit.bytes);
    if (status != CB_OK) {
        return status;
    }
    if (remote == NULL || (some && cb_git_oid_equal(remote, &mark.commit))) {
        status = cb_session_receive_mail(session, reterr_error);
        return status == CB_OK && remote == NULL && some
                   ? lost_outbox(session, reterr_error)
                   : status;
    }
    status = cb_place_fetch(session->incoming, session->transport, CB_GIT_LOG,
                            ref.text, some ? &mark.commit : NULL, &fetch,
                            reterr_error);
    if (status == CB_OK) {
        status = take_outbox(session, fetch, &mark, reterr_error);
    }
    if (status == CB_OK) {
        status = keep_objects(session, fetch, ref.text, reterr_error);
    }
    cb_git_fetch_end(fetch);
    return status;
}
