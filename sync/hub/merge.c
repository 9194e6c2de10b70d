/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/merge.h"

#include <string.h>

static cb_status require_hub(const cb_store_identity *identity, cb_error *error)
{
    if (identity->joined && identity->hub) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(error, CB_PERMISSION, "this store is not a hub's");
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "run it at the hub, or name the hub's store with -C");
    return status;
}

static cb_status reach(cb_hub_round *merge, cb_error *error)
{
    merge->address = merge->options->log_address != NULL
                         ? merge->options->log_address
                         : merge->identity.log_address;
    cb_status status =
        cb_transport_open(merge->address, &merge->transport, error);
    if (status == CB_OK) {
        status = cb_transport_list(merge->transport, CB_GIT_LOG, "refs/heads/",
                                   CB_REFS_MAX, &merge->log_refs, error);
    }
    if (status == CB_OK) {
        status = cb_place_open(merge->store, CB_PLACE_OUTGOING,
                               &merge->outgoing, error);
    }
    if (status == CB_OK) {
        status = cb_place_open(merge->store, CB_PLACE_INCOMING,
                               &merge->incoming, error);
    }
    return status;
}

/* Effects and places of all that was taken in: one transaction. */
static cb_status settle(cb_hub_round *merge, uint64_t *ret_size,
                        cb_error *error)
{
    cb_hub_report *report = merge->report;
    cb_status status = cb_store_begin(merge->store, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_exchange_permit_authors(merge->store, error);
    if (status == CB_OK) {
        status = cb_exchange_settle(merge->store, &report->cases_changed,
                                    &report->conflicts_new, error);
    }
    if (status == CB_OK) {
        status = cb_merge_extend(merge, ret_size, error);
    }
    if (status == CB_OK) {
        status = cb_store_commit(merge->store, error);
    }
    if (status != CB_OK) {
        cb_store_abort(merge->store);
    }
    return status;
}

/* The hub's own stream: opening, roster, and what the hub records. */
static cb_status publish_own(cb_hub_round *merge, cb_error *error)
{
    cb_own_stream own = { 0 };
    cb_own_sent sent = { 0 };
    size_t first = 0;
    cb_ref_name ref =
        cb_ref_make(CB_REF_DEVICE_PREFIX, merge->identity.stream.bytes);
    cb_status status = cb_exchange_cut(merge->store, error);
    if (status == CB_OK) {
        status = cb_own_stream_make(merge->store, merge->outgoing, &own, error);
    }
    if (status == CB_OK) {
        status = cb_own_stream_match(
            &own, cb_ref_find(&merge->log_refs, ref.text), &first);
        if (status == CB_NOT_FOUND) {
            status = cb_error_set(error, CB_DAMAGED,
                                  "ROLLBK: the log holds entries of this hub "
                                  "that its store does not know");
            cb_error_meaning(error, "this store is an older copy, or a copy of "
                                    "it has written elsewhere; the log was not "
                                    "changed");
            cb_error_next(error, "go on with the newest copy of the hub's "
                                 "store");
        }
    }
    if (status == CB_OK) {
        status = cb_own_stream_push(merge->store, merge->outgoing,
                                    merge->transport, &own, first,
                                    merge->options->progress, &sent, error);
    }
    cb_own_stream_clear(&own);
    return status;
}

/* What this hub wrote before it was put back and began anew. */
static cb_status publish_earlier(cb_hub_round *merge, cb_error *error)
{
    cb_error words = { 0 };
    cb_status status = CB_OK;
    while (status == CB_OK) {
        bool can_sign = false;
        status = cb_exchange_earlier_enter(merge->store, &can_sign, error);
        if (status != CB_OK) {
            break;
        }
        cb_store_identify(merge->store, &merge->identity);
        status = can_sign ? publish_own(merge, error) : CB_OK;
        cb_status left = cb_exchange_earlier_leave(
            merge->store, status == CB_OK, status == CB_OK ? error : &words);
        status = status == CB_OK ? left : status;
        cb_store_identify(merge->store, &merge->identity);
    }
    return status == CB_END ? CB_OK : status;
}

/* Before anything is changed: is this the store that wrote that log? */
static cb_status check_own(cb_hub_round *merge, cb_error *error)
{
    cb_own_stream own = { 0 };
    size_t first = 0;
    cb_ref_name ref =
        cb_ref_make(CB_REF_DEVICE_PREFIX, merge->identity.stream.bytes);
    cb_status status = cb_own_stream_read(merge->store, &own, error);
    if (status == CB_OK &&
        cb_own_stream_match(&own, cb_ref_find(&merge->log_refs, ref.text),
                            &first) == CB_NOT_FOUND) {
        status = publish_own(merge, error); /* makes sure, and says so */
    }
    cb_own_stream_clear(&own);
    return status;
}

static cb_status merge_all(cb_hub_round *merge, cb_error *error)
{
    uint64_t size = 0;
    cb_status status = cb_merge_find_log(merge, error);
    merge->report->log_size_before = merge->head.size;
    merge->report->log_size = merge->head.size;
    const cb_git_oid *shown = cb_ref_find(&merge->log_refs, CB_REF_LOG);
    merge->report->log_sent_again =
        status == CB_OK && merge->head.size > 0 &&
        (shown == NULL || !cb_git_oid_equal(shown, &merge->log_commit));
    if (status == CB_OK) {
        status = check_own(merge, error);
    }
    /* Streams, then keys: whoever sent an entry sent its key before it. */
    if (status == CB_OK) {
        status = cb_merge_accept(merge, error);
    }
    if (status == CB_OK) {
        status = cb_merge_mail_in(merge, error);
    }
    if (status == CB_OK) {
        status = settle(merge, &size, error);
    }
    if (status == CB_OK) {
        status = publish_earlier(merge, error);
    }
    if (status == CB_OK) {
        status = publish_own(merge, error);
    }
    if (status == CB_OK) {
        status = cb_merge_publish(merge, size, error);
    }
    if (status == CB_OK) {
        status = cb_merge_outboxes(merge, error);
    }
    if (status == CB_OK) {
        status = cb_merge_mail_out(merge, error);
    }
    return status == CB_OK ? cb_exchange_write_witness(merge->store, error)
                           : status;
}

cb_status cb_hub_merge(cb_store *store, const cb_hub_options *options,
                       cb_hub_report *ret_report, cb_error *reterr_error)
{
    cb_hub_round merge = {
        .store = store,
        .options = options,
        .report = ret_report,
    };
    memset(ret_report, 0, sizeof *ret_report);
    cb_store_identify(store, &merge.identity);
    cb_buffer_init(&merge.note, CB_CHECKPOINT_BYTES_MAX);
    cb_status status = require_hub(&merge.identity, reterr_error);
    if (status == CB_OK) {
        status = cb_log_key_init(&merge.identity.realm, merge.identity.hub_key,
                                 &merge.log_key, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_git_begin(reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    status = reach(&merge, reterr_error);
    if (status == CB_OK) {
        status = merge_all(&merge, reterr_error);
    }
    cb_git_ref_list_clear(&merge.log_refs);
    cb_git_ref_list_clear(&merge.mail_refs);
    cb_place_remove(merge.post);
    cb_git_repository_close(merge.incoming);
    cb_git_repository_close(merge.outgoing);
    cb_transport_close(merge.transport);
    cb_buffer_clear(&merge.note);
    cb_git_end();
    return status;
}
