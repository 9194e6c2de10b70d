/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: taken out of what devices sent, and sent to those who may read. */
#include "hub/merge.h"

#include "git/hosting.h"
#include "session/mailbox.h"

#include <stdlib.h>
#include <string.h>

#define PRUNE_WAIT_MS   2000
#define DOWN_MARK_BYTES CB_HASH_BYTES

static cb_status refuse_mail(cb_hub_round *merge, const cb_device_facts *facts,
                             cb_status status, const cb_error *words,
                             cb_error *error)
{
    cb_hub_stream_report row = {
        .known = true,
        .device = facts->device,
        .person = facts->person,
        .status = status,
    };
    if (!cb_merge_is_theirs(status)) {
        if (error != NULL) {
            *error = *words;
        }
        return status;
    }
    cb_words_copy(row.reason, sizeof row.reason, words->what);
    return cb_merge_row(merge, &row, error);
}

/* ----------------------------------------------------------------------- in */

static cb_status take_message(cb_hub_round *merge, cb_device_facts *facts,
                              cb_span message, const cb_git_oid *oid,
                              cb_error *error)
{
    cb_mark_name mark = cb_mark_for("mail.up", &facts->device);
    size_t keys = 0;
    cb_status status = cb_store_begin(merge->store, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_exchange_read_mail(merge->store, &facts->device, message,
                                   facts->mail_version_in,
                                   &facts->mail_version_in, &keys, error);
    status = status == CB_END ? CB_OK : status;
    if (status == CB_OK) {
        status = cb_exchange_device_remember(merge->store, facts, error);
    }
    if (status == CB_OK) {
        status = cb_mark_put(merge->store, mark.text, oid->bytes,
                             sizeof oid->bytes, error);
    }
    if (status == CB_OK) {
        status = cb_store_commit(merge->store, error);
    }
    if (status != CB_OK) {
        cb_store_abort(merge->store);
        return status;
    }
    merge->report->keys_received += keys;
    return CB_OK;
}

static cb_status fetch_message(cb_hub_round *merge, cb_device_facts *facts,
                               const char *ref, cb_error *error)
{
    cb_git_fetch *fetch = NULL;
    cb_buffer message;
    cb_status status = cb_place_fetch(merge->incoming, merge->transport,
                                      CB_GIT_MAIL, ref, NULL, &fetch, error);
    if (status != CB_OK) {
        return status == CB_NOT_FOUND ? CB_OK : status;
    }
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    cb_buffer_init(&message, CB_MAIL_BYTES_MAX);
    status = cb_mail_read(cb_git_fetch_repository(fetch), &tip,
                          facts->signing_key, &message, error);
    if (status == CB_OK) {
        status = take_message(merge, facts, cb_span_of_buffer(&message), &tip,
                              error);
    }
    cb_buffer_clear(&message);
    cb_git_fetch_end(fetch);
    return status;
}

static cb_status mail_in(cb_hub_round *merge, cb_device_facts *facts,
                         cb_error *error)
{
    cb_git_oid last;
    cb_error words = { 0 };
    cb_mark_name mark = cb_mark_for("mail.up", &facts->device);
    cb_ref_name ref = cb_ref_make(CB_REF_UP_PREFIX, facts->device.bytes);
    const cb_git_oid *remote = cb_ref_find(&merge->mail_refs, ref.text);
    if (remote == NULL) {
        return CB_OK;
    }
    cb_status status = cb_mark_get(merge->store, mark.text, last.bytes,
                                   sizeof last.bytes, error);
    if (status == CB_OK && cb_git_oid_equal(&last, remote)) {
        return CB_OK;
    }
    if (status != CB_OK && status != CB_NOT_FOUND) {
        return status;
    }
    status = fetch_message(merge, facts, ref.text, &words);
    return status == CB_OK ? CB_OK
                           : refuse_mail(merge, facts, status, &words, error);
}

cb_status cb_merge_mail_in(cb_hub_round *merge, cb_error *reterr_error)
{
    cb_device_list devices = { 0 };
    cb_status status =
        cb_transport_list(merge->transport, CB_GIT_MAIL, "refs/heads/",
                          CB_REFS_MAX, &merge->mail_refs, reterr_error);
    if (status == CB_OK) {
        status = cb_device_list_read(merge->store, &devices, reterr_error);
    }
    for (size_t i = 0; status == CB_OK && i < devices.count; i++) {
        if (!devices.items[i].hub && !devices.items[i].revoked) {
            status = mail_in(merge, &devices.items[i], reterr_error);
        }
    }
    free(devices.items);
    return status;
}

/* ---------------------------------------------------------------------- out */

static cb_status post_message(cb_hub_round *merge, cb_device_facts *facts,
                              const char *ref, cb_error *error)
{
    cb_buffer message;
    cb_status status = CB_OK;
    if (merge->post == NULL) {
        status = cb_place_open_empty(merge->store, CB_PLACE_POST, &merge->post,
                                     error);
    }
    if (status != CB_OK) {
        return status;
    }
    facts->mail_version_out =
        cb_mail_next_version(merge->store, facts->mail_version_out);
    /* Before it is used: no version is ever used twice. */
    status = cb_exchange_device_remember(merge->store, facts, error);
    if (status != CB_OK) {
        return status;
    }
    cb_buffer_init(&message, CB_MAIL_BYTES_MAX);
    status = cb_exchange_write_mail(merge->store, &facts->device,
                                    facts->mail_version_out, &message, error);
    if (status == CB_OK) {
        cb_mark_name mark = cb_mark_for("mail.posted", &facts->device);
        status = cb_mail_post(merge->store, merge->post, merge->transport, ref,
                              mark.text, cb_span_of_buffer(&message), error);
    }
    cb_buffer_clear(&message);
    return status;
}

static cb_status remember_mail(cb_hub_round *merge,
                               const cb_device_facts *facts,
                               const cb_hash *digest, cb_error *error)
{
    cb_mark_name mark = cb_mark_for("mail.down", &facts->device);
    cb_status status = cb_store_begin(merge->store, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_exchange_device_remember(merge->store, facts, error);
    if (status == CB_OK) {
        status = cb_mark_put(merge->store, mark.text, digest->bytes,
                             DOWN_MARK_BYTES, error);
    }
    if (status == CB_OK) {
        status = cb_store_commit(merge->store, error);
    }
    if (status != CB_OK) {
        cb_store_abort(merge->store);
    }
    return status;
}

static cb_status mail_out(cb_hub_round *merge, cb_device_facts *facts,
                          cb_error *error)
{
    cb_hash digest;
    cb_hash sent = { { 0 } };
    bool there = false;
    cb_mark_name mark = cb_mark_for("mail.down", &facts->device);
    cb_mark_name posted = cb_mark_for("mail.posted", &facts->device);
    cb_ref_name ref = cb_ref_make(CB_REF_DOWN_PREFIX, facts->device.bytes);
    cb_status status =
        cb_exchange_mail_digest(merge->store, &facts->device, &digest, error);
    if (status == CB_END) {
        return CB_OK;
    }
    if (status == CB_OK) {
        status = cb_mark_get(merge->store, mark.text, sent.bytes,
                             sizeof sent.bytes, error);
        status = status == CB_NOT_FOUND ? CB_OK : status;
    }
    if (status == CB_OK) {
        status = cb_mail_lies_there(merge->store, posted.text,
                                    cb_ref_find(&merge->mail_refs, ref.text),
                                    &there, error);
    }
    if (status != CB_OK ||
        (memcmp(&sent, &digest, sizeof sent) == 0 && there)) {
        return status;
    }
    status = post_message(merge, facts, ref.text, error);
    if (status == CB_OK) {
        merge->report->mailboxes++;
        status = remember_mail(merge, facts, &digest, error);
    }
    return status;
}

/* What was replaced must not lie about at the log host; next time, if busy. */
static void prune(cb_hub_round *merge)
{
    cb_buffer folder;
    cb_buffer_init(&folder, 8192);
    cb_status status = cb_transport_folder(merge->address, &folder, NULL);
    if (status == CB_OK) {
        status = cb_git_host_prune_mail(cb_buffer_text(&folder), PRUNE_WAIT_MS,
                                        NULL);
    }
    cb_progress_step(merge->options->progress, "pruning", status == CB_OK, 1);
    cb_buffer_clear(&folder);
}

cb_status cb_merge_mail_out(cb_hub_round *merge, cb_error *reterr_error)
{
    cb_device_list devices = { 0 };
    cb_status status =
        cb_device_list_read(merge->store, &devices, reterr_error);
    for (size_t i = 0; status == CB_OK && i < devices.count; i++) {
        cb_progress_step(merge->options->progress, "keys", i, devices.count);
        if (cb_progress_stop(merge->options->progress, reterr_error)) {
            status = CB_INTERRUPTED;
        } else if (!devices.items[i].hub && !devices.items[i].revoked) {
            status = mail_out(merge, &devices.items[i], reterr_error);
        }
    }
    if (merge->report->mailboxes > 0) {
        prune(merge);
    }
    cb_place_remove(merge->post);
    merge->post = NULL;
    free(devices.items);
    return status;
}
