/* SPDX-License-Identifier: Apache-2.0 */
#include "session/session.h"

#include <string.h>

static cb_status refuse(cb_error *error, const char *what, const char *next)
{
    cb_status status = cb_error_set(error, CB_PERMISSION, "%s", what);
    cb_error_meaning(error, "nothing was exchanged; nothing is lost");
    cb_error_next(error, "%s", next);
    return status;
}

static cb_status find_hub(void *context, const cb_device_facts *facts,
                          cb_error *error)
{
    cb_session *session = context;
    (void)error;
    if (facts->hub && memcmp(facts->signing_key, session->identity.hub_key,
                             sizeof facts->signing_key) == 0) {
        session->hub_device = facts->device;
    }
    return CB_OK;
}

static cb_status prepare(cb_session *session, cb_error *error)
{
    const cb_store_identity *identity = &session->identity;
    if (!identity->joined) {
        return refuse(error, "this store does not belong to a service yet",
                      "casebound enrol request");
    }
    if (identity->hub) {
        return refuse(error,
                      "this store is the hub's, which has nobody to "
                      "sync with",
                      "casebound hub merge");
    }
    cb_status status =
        cb_exchange_devices(session->store, find_hub, session, error);
    if (status == CB_OK && cb_is_zero(session->hub_device.bytes,
                                      sizeof session->hub_device.bytes)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store does not know the hub's device");
    }
    return status == CB_OK
               ? cb_log_key_init(&identity->realm, identity->hub_key,
                                 &session->log_key, error)
               : status;
}

static cb_status reach(cb_session *session, cb_error *error)
{
    const char *address = session->options->log_address != NULL
                              ? session->options->log_address
                              : session->identity.log_address;
    cb_status status = cb_transport_open(address, &session->transport, error);
    if (status == CB_OK) {
        status =
            cb_transport_list(session->transport, CB_GIT_LOG, "refs/heads/",
                              CB_REFS_MAX, &session->log_refs, error);
    }
    if (status == CB_OK) {
        status =
            cb_transport_list(session->transport, CB_GIT_MAIL, "refs/heads/",
                              CB_REFS_MAX, &session->mail_refs, error);
    }
    return status;
}

/*
 * What the hub, or what keeps its objects, does wrong; all else ends the
 * session.  A log host that has lost objects reads as one that is away: where
 * it is, sending says so too.
 */
static bool is_hubs_fault(cb_status status)
{
    return status == CB_DAMAGED || status == CB_REFUSED || status == CB_NEWER ||
           status == CB_LIMIT || status == CB_INPUT || status == CB_NOT_FOUND ||
           status == CB_WRONG_KEY || status == CB_UNREACHABLE;
}

static cb_status exchange(cb_session *session, cb_error *error)
{
    cb_error words = { 0 };
    cb_status received = CB_OK;
    cb_status status = cb_place_open(session->store, CB_PLACE_INCOMING,
                                     &session->incoming, error);
    if (status == CB_OK) {
        status = cb_place_open(session->store, CB_PLACE_OUTGOING,
                               &session->outgoing, error);
    }
    if (status != CB_OK) {
        return status;
    }
    received = cb_session_receive(session, &words);
    if (received != CB_OK) {
        cb_error_meaning(&words, "not everything was received; what was "
                                 "recorded here is safe");
        cb_error_next(&words, "sync again; if it says the same, tell the hub's "
                              "office");
        session->report->hub_not_believed = received == CB_DAMAGED;
        if (error != NULL) {
            *error = words;
        }
        if (!is_hubs_fault(received)) {
            return received;
        }
    }
    status = cb_session_send(session, error);
    if (status == CB_OK) {
        status = cb_exchange_write_witness(session->store, error);
    }
    return received == CB_OK ? status : received;
}

static cb_status finish_report(cb_session *session, cb_error *error)
{
    cb_store_identity now;
    cb_store_identify(session->store, &now);
    session->report->head_seq = now.head_seq;
    session->report->safe_seq = now.accepted_seq;
    if (session->report->hub_size == 0) {
        session->report->hub_size = now.seen_size;
    }
    return cb_withheld_report(session, error);
}

cb_status cb_sync_run(cb_store *store, const cb_sync_options *options,
                      cb_sync_report *ret_report, cb_error *reterr_error)
{
    cb_session session = {
        .store = store,
        .options = options,
        .report = ret_report,
    };
    memset(ret_report, 0, sizeof *ret_report);
    cb_store_identify(store, &session.identity);
    cb_status status = prepare(&session, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_git_begin(reterr_error);
    if (status != CB_OK) {
        return status;
    }
    status = reach(&session, reterr_error);
    if (status == CB_OK) {
        status = options->dry_run ? cb_session_plan(&session, reterr_error)
                                  : exchange(&session, reterr_error);
    }
    cb_error words = { 0 };
    cb_status finished = finish_report(&session, &words);
    if (status == CB_OK && finished != CB_OK) {
        status = finished;
        if (reterr_error != NULL) {
            *reterr_error = words;
        }
    }
    cb_git_ref_list_clear(&session.log_refs);
    cb_git_ref_list_clear(&session.mail_refs);
    cb_git_repository_close(session.incoming);
    cb_git_repository_close(session.outgoing);
    cb_transport_close(session.transport);
    cb_git_end();
    return status;
}
