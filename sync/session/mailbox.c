/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys travel in mail.git: one commit without a parent for each direction,
 * replaced each time, so that no key outlives its erasure in a history.
 */
#include "session/session.h"

#include "git/commit.h"
#include "git/push.h"

#include <string.h>

#define MAIL_MESSAGE "mail\n"
#define POSTED_MARK  "mail.up.commit"

cb_status cb_mail_read(const cb_git_repository *repository,
                       const cb_git_oid *oid, const uint8_t *public_key,
                       cb_buffer *message, cb_error *reterr_error)
{
    static const char *const names[] = { CB_KEYS_FILE };
    cb_git_commit commit;
    cb_git_oid file;
    cb_status status =
        cb_git_commit_read(repository, oid, &commit, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_git_commit_verify(&commit, public_key, reterr_error);
    if (status == CB_OK) {
        status = cb_git_tree_expect(repository, &commit.tree, names, 1, &file,
                                    reterr_error);
    }
    if (status == CB_OK) {
        status = cb_git_blob_read(repository, &file, CB_MAIL_BYTES_MAX, message,
                                  reterr_error);
    }
    cb_git_commit_clear(&commit);
    return status;
}

cb_status cb_mail_post(cb_store *store, cb_git_repository *repository,
                       const cb_transport *transport, const char *ref,
                       const char *mark, cb_span message,
                       cb_error *reterr_error)
{
    cb_git_oid oid;
    const cb_git_file file = { .path = CB_KEYS_FILE, .content = message };
    const cb_git_commit_plan plan = {
        .files = &file,
        .file_count = 1,
        .message = MAIL_MESSAGE,
        .secret_key = cb_exchange_device_key(store),
    };
    const cb_git_push_request request = {
        .transport = transport,
        .repository = CB_GIT_MAIL,
        .local_ref = ref,
        .remote_ref = ref,
        .replace = true,
    };
    cb_status status =
        cb_git_commit_create(repository, &plan, &oid, reterr_error);
    if (status == CB_OK) {
        status = cb_place_point(repository, ref, &oid, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_git_push(repository, &request, NULL, reterr_error);
    }
    return status == CB_OK ? cb_mark_put(store, mark, oid.bytes,
                                         sizeof oid.bytes, reterr_error)
                           : status;
}

cb_status cb_mail_lies_there(cb_store *store, const char *mark,
                             const cb_git_oid *remote, bool *ret_lies_there,
                             cb_error *reterr_error)
{
    cb_git_oid posted;
    cb_status status = cb_mark_get(store, mark, posted.bytes,
                                   sizeof posted.bytes, reterr_error);
    if (status == CB_OK) {
        *ret_lies_there = remote != NULL && cb_git_oid_equal(remote, &posted);
    } else if (status == CB_NOT_FOUND) {
        *ret_lies_there = remote != NULL; /* by a version without the mark */
        status = CB_OK;
    }
    return status;
}

uint64_t cb_mail_next_version(const cb_store *store, uint64_t last)
{
    const cb_environment *environment = cb_store_environment(store);
    int64_t now_ms = environment->now_ms(environment->context);
    return now_ms > 0 && (uint64_t)now_ms > last ? (uint64_t)now_ms : last + 1;
}

/* ---------------------------------------------------------------- receiving */

static cb_status get_version(cb_store *store, const char *name,
                             uint64_t *ret_version, cb_error *error)
{
    uint8_t bytes[8];
    *ret_version = 0;
    cb_status status = cb_mark_get(store, name, bytes, sizeof bytes, error);
    if (status == CB_OK) {
        *ret_version = cb_get_u64(bytes);
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

static cb_status take_message(cb_session *session, cb_span message,
                              const cb_git_oid *oid, cb_error *error)
{
    uint8_t bytes[8];
    uint64_t version = 0;
    size_t keys = 0;
    size_t cases = 0;
    size_t conflicts = 0;
    cb_status status =
        get_version(session->store, "mail.down", &version, error);
    if (status == CB_OK) {
        status =
            cb_exchange_read_mail(session->store, &session->hub_device, message,
                                  version, &version, &keys, error);
        status = status == CB_END ? CB_OK : status;
    }
    if (status == CB_OK) {
        status = cb_exchange_settle(session->store, &cases, &conflicts, error);
    }
    if (status == CB_OK) {
        cb_put_u64(bytes, version);
        status = cb_mark_put(session->store, "mail.down", bytes, sizeof bytes,
                             error);
    }
    if (status == CB_OK) {
        status = cb_mark_put(session->store, "mail.down.commit", oid->bytes,
                             sizeof oid->bytes, error);
    }
    if (status == CB_OK) {
        session->report->received_keys += keys;
        session->report->cases_changed += cases;
        session->report->conflicts_new += conflicts;
    }
    return status;
}

static cb_status take_mail(cb_session *session, cb_git_fetch *fetch,
                           cb_error *error)
{
    cb_git_oid oid = cb_git_fetch_tip(fetch);
    cb_sync_report before = *session->report;
    cb_buffer message;
    cb_buffer_init(&message, CB_MAIL_BYTES_MAX);
    cb_status status = cb_mail_read(cb_git_fetch_repository(fetch), &oid,
                                    session->identity.hub_key, &message, error);
    if (status == CB_OK) {
        status = cb_store_begin(session->store, error);
    }
    if (status == CB_OK) {
        status =
            take_message(session, cb_span_of_buffer(&message), &oid, error);
        if (status == CB_OK) {
            status = cb_store_commit(session->store, error);
        }
        if (status != CB_OK) {
            cb_store_abort(session->store);
            *session->report = before;
        }
    }
    cb_buffer_clear(&message);
    return status;
}

cb_status cb_session_receive_mail(cb_session *session, cb_error *reterr_error)
{
    cb_git_fetch *fetch = NULL;
    cb_git_oid last;
    cb_ref_name ref =
        cb_ref_make(CB_REF_DOWN_PREFIX, session->identity.device.bytes);
    const cb_git_oid *remote = cb_ref_find(&session->mail_refs, ref.text);
    if (remote == NULL) {
        return CB_OK;
    }
    cb_status status = cb_mark_get(session->store, "mail.down.commit",
                                   last.bytes, sizeof last.bytes, reterr_error);
    if (status == CB_OK && cb_git_oid_equal(&last, remote)) {
        return CB_OK;
    }
    if (status != CB_OK && status != CB_NOT_FOUND) {
        return status;
    }
    status = cb_place_fetch(session->incoming, session->transport, CB_GIT_MAIL,
                            ref.text, NULL, &fetch, reterr_error);
    if (status == CB_OK) {
        status = take_mail(session, fetch, reterr_error);
    }
    /* Never accepted: what a mailbox held is in the store or nowhere. */
    cb_git_fetch_end(fetch);
    return status == CB_NOT_FOUND ? CB_OK : status;
}

/* ------------------------------------------------------------------ sending */

cb_status cb_session_mail_due(cb_session *session, bool *ret_due,
                              cb_hash *ret_digest, cb_error *reterr_error)
{
    bool there = false;
    cb_up_mark mark;
    cb_ref_name ref =
        cb_ref_make(CB_REF_UP_PREFIX, session->identity.device.bytes);
    *ret_due = false;
    cb_status status = cb_exchange_mail_digest(
        session->store, &session->hub_device, ret_digest, reterr_error);
    if (status == CB_END) {
        return CB_OK;
    }
    if (status == CB_OK) {
        status = cb_up_mark_get(session->store, &mark, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_mail_lies_there(session->store, POSTED_MARK,
                                    cb_ref_find(&session->mail_refs, ref.text),
                                    &there, reterr_error);
    }
    if (status == CB_OK) {
        *ret_due = memcmp(&mark.digest, ret_digest, sizeof mark.digest) != 0 ||
                   session->report->hub_behind || !there;
    }
    return status;
}

/*
 * No version is used twice, whatever the clock does: it is taken before the
 * message is made, for the hub may have got a message that we do not know of.
 */
static cb_status take_version(cb_session *session, uint64_t *ret_version,
                              cb_error *error)
{
    uint8_t bytes[8];
    uint64_t last = 0;
    cb_status status =
        get_version(session->store, "mail.up.version", &last, error);
    if (status == CB_OK) {
        *ret_version = cb_mail_next_version(session->store, last);
        cb_put_u64(bytes, *ret_version);
        status = cb_mark_put(session->store, "mail.up.version", bytes,
                             sizeof bytes, error);
    }
    return status;
}

/* The message and what was in it, once it has arrived. */
cb_status cb_session_send_mail(cb_session *session, cb_error *reterr_error)
{
    bool due = false;
    cb_up_mark mark = { 0 };
    cb_hash digest;
    cb_store_identity identity;
    cb_buffer message;
    cb_git_repository *post = NULL;
    cb_ref_name ref =
        cb_ref_make(CB_REF_UP_PREFIX, session->identity.device.bytes);
    cb_status status =
        cb_session_mail_due(session, &due, &digest, reterr_error);
    if (status == CB_OK && due) {
        status = take_version(session, &mark.version, reterr_error);
    }
    if (status != CB_OK || !due) {
        return status;
    }
    cb_store_identify(session->store, &identity);
    mark.seq = identity.head_seq;
    mark.stream = identity.stream;
    mark.digest = digest;
    cb_buffer_init(&message, CB_MAIL_BYTES_MAX);
    status = cb_exchange_write_mail(session->store, &session->hub_device,
                                    mark.version, &message, reterr_error);
    if (status == CB_OK) {
        status = cb_place_open_empty(session->store, CB_PLACE_POST, &post,
                                     reterr_error);
    }
    if (status == CB_OK) {
        status = cb_mail_post(session->store, post, session->transport,
                              ref.text, POSTED_MARK,
                              cb_span_of_buffer(&message), reterr_error);
    }
    if (status == CB_OK) {
        status = cb_up_mark_put(session->store, &mark, reterr_error);
    }
    if (status == CB_REFUSED) {
        cb_error_next(reterr_error, "sync again; if it says the same, tell the "
                                    "hub's office what stands here");
    }
    session->report->sent_keys = status == CB_OK;
    cb_place_remove(post);
    cb_buffer_clear(&message);
    return status;
}
