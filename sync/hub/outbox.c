/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each device is to get: other people's entries that its person may read,
 * and the receipt.  A device gets its first outbox once its opening stands in
 * the log: that entry names the checkpoint from which the first receipt has to
 * prove the log's growth.
 */
#include "hub/outbox.h"

#include "git/commit.h"
#include "git/push.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define OUTBOX_MESSAGE    "outbox\n"
#define OUTBOX_MARK_BYTES (8 + CB_HASH_BYTES)

/* -------------------------------------------------------------------- marks */

static cb_status get_mark(cb_outbox *outbox, cb_error *error)
{
    uint8_t bytes[OUTBOX_MARK_BYTES];
    cb_mark_name name = cb_mark_for("outbox", &outbox->facts.device);
    cb_status status = cb_mark_get(outbox->merge->store, name.text, bytes,
                                   sizeof bytes, error);
    if (status == CB_OK) {
        outbox->number = cb_get_u64(bytes);
        memcpy(outbox->told.bytes, bytes + 8, CB_HASH_BYTES);
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

static cb_status put_mark(cb_outbox *outbox, cb_error *error)
{
    uint8_t bytes[OUTBOX_MARK_BYTES];
    cb_mark_name name = cb_mark_for("outbox", &outbox->facts.device);
    cb_put_u64(bytes, outbox->number);
    memcpy(bytes + 8, outbox->told.bytes, CB_HASH_BYTES);
    return cb_mark_put(outbox->merge->store, name.text, bytes, sizeof bytes,
                       error);
}

/* ------------------------------------------------- where the log host stands
 */

static void start_anew(cb_outbox *outbox)
{
    memset(outbox->facts.outbox_commit, 0, sizeof outbox->facts.outbox_commit);
    outbox->facts.outbox_log_index = 0;
    outbox->facts.receipt_size = 0;
    outbox->facts.receipt_seq = 0;
    outbox->number = 0;
    memset(&outbox->told, 0, sizeof outbox->told);
}

/* Whatever lies there: it is this device's receipt, or it is not taken up. */
static cb_status read_receipt(const cb_outbox *outbox,
                              const cb_git_repository *repository,
                              const cb_git_oid *oid, cb_receipt *ret_receipt,
                              cb_error *error)
{
    const cb_hub_round *merge = outbox->merge;
    cb_git_commit commit;
    cb_buffer text;
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    cb_status status = cb_git_commit_read(repository, oid, &commit, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_git_commit_verify(&commit, merge->identity.hub_key, error);
    if (status == CB_OK) {
        status = cb_git_file_read(repository, &commit.tree, "receipt",
                                  CB_RECEIPT_BYTES_MAX, &text, error);
    }
    if (status == CB_NOT_FOUND) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the device's outbox lacks a receipt");
    }
    if (status == CB_OK) {
        status = cb_receipt_read(cb_span_of_buffer(&text),
                                 merge->identity.hub_key, ret_receipt, error);
    }
    if (status == CB_OK && (memcmp(&ret_receipt->realm, &merge->identity.realm,
                                   sizeof ret_receipt->realm) != 0 ||
                            memcmp(&ret_receipt->device, &outbox->facts.device,
                                   sizeof ret_receipt->device) != 0)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the device's outbox holds another's receipt");
    }
    cb_git_commit_clear(&commit);
    cb_buffer_clear(&text);
    return status;
}

/* Invariant 3: the receipt that lies there says how far the outbox is. */
static cb_status adopt(cb_outbox *outbox, const char *ref, cb_error *error)
{
    cb_hub_round *merge = outbox->merge;
    cb_git_fetch *fetch = NULL;
    cb_receipt receipt;
    cb_receipt_init(&receipt);
    cb_status status = cb_place_fetch(merge->outgoing, merge->transport,
                                      CB_GIT_LOG, ref, NULL, &fetch, error);
    if (status != CB_OK) {
        return status;
    }
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    status = read_receipt(outbox, cb_git_fetch_repository(fetch), &tip,
                          &receipt, error);
    if (status == CB_OK) {
        status = cb_git_fetch_accept(fetch, ref, NULL);
        status = status == CB_REFUSED
                     ? cb_place_point(merge->outgoing, ref, &tip, error)
                     : status;
    }
    if (status == CB_OK) {
        uint64_t seen = outbox->facts.receipt_size;
        start_anew(outbox);
        memcpy(outbox->facts.outbox_commit, tip.bytes, sizeof tip.bytes);
        outbox->facts.outbox_log_index = receipt.upto;
        outbox->number = receipt.number;
        cb_checkpoint checkpoint;
        status = cb_checkpoint_verify(cb_span_of_buffer(&receipt.note),
                                      &merge->log_key, &checkpoint, error);
        if (status == CB_OK) {
            outbox->facts.receipt_size = checkpoint.head.size;
            outbox->lost_size = seen > checkpoint.head.size ? seen : 0;
        }
    }
    cb_receipt_clear(&receipt);
    cb_git_fetch_end(fetch);
    return status;
}

static cb_status find_place(cb_outbox *outbox, const char *ref, cb_error *error)
{
    const cb_git_oid *remote = cb_ref_find(&outbox->merge->log_refs, ref);
    cb_git_oid known;
    memcpy(known.bytes, outbox->facts.outbox_commit, sizeof known.bytes);
    bool some = !cb_is_zero(known.bytes, sizeof known.bytes);
    if (remote == NULL) {
        outbox->lost_size = outbox->facts.receipt_size;
        start_anew(outbox);
        return CB_OK;
    }
    if (some && cb_git_oid_equal(remote, &known) &&
        cb_git_object_exists(outbox->merge->outgoing, &known)) {
        return CB_OK;
    }
    return adopt(outbox, ref, error);
}

/* ------------------------------------------------------------------- commits
 */

static cb_status fill_receipt(cb_outbox *outbox, cb_span segment,
                              cb_receipt *receipt, cb_error *error)
{
    cb_hub_round *merge = outbox->merge;
    const cb_environment *environment = cb_store_environment(merge->store);
    cb_tree_source source = cb_merge_source(merge);
    receipt->realm = merge->identity.realm;
    receipt->device = outbox->facts.device;
    receipt->number = outbox->number + 1;
    receipt->from = outbox->facts.receipt_size;
    receipt->mail = outbox->facts.mail_version_in;
    receipt->upto = outbox->upto;
    receipt->accepted = outbox->accepted;
    receipt->accepted_count = outbox->accepted_count;
    receipt->withheld = outbox->withheld;
    receipt->withheld_count = outbox->withheld_count;
    receipt->withheld_total = outbox->withheld_total;
    receipt->positions = outbox->positions;
    receipt->position_count = outbox->builder.count;
    receipt->time_ms = environment->now_ms(environment->context);
    receipt->has_segment = segment.size > 0;
    if (receipt->has_segment) {
        (void)crypto_generichash(receipt->segment.bytes,
                                 sizeof receipt->segment.bytes, segment.bytes,
                                 segment.size, NULL, 0);
    }
    cb_buffer_append_span(&receipt->note, cb_span_of_buffer(&outbox->note));
    return receipt->from == 0
               ? cb_buffer_check(&receipt->note, error)
               : cb_tree_prove_consistency(&source, receipt->from,
                                           outbox->head.size,
                                           &receipt->consistency, error);
}

/* One commit: what the builder holds, and the receipt. */
static cb_status flush(cb_outbox *outbox, cb_error *error)
{
    cb_hub_round *merge = outbox->merge;
    cb_span segment = cb_span_of_buffer(&outbox->builder.bytes);
    cb_git_oid parent;
    cb_git_oid oid;
    cb_receipt receipt;
    cb_buffer text;
    cb_receipt_init(&receipt);
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    memcpy(parent.bytes, outbox->facts.outbox_commit, sizeof parent.bytes);
    bool some = !cb_is_zero(parent.bytes, sizeof parent.bytes);
    cb_status status = fill_receipt(outbox, segment, &receipt, error);
    if (status == CB_OK) {
        status = cb_receipt_write(
            &receipt, cb_exchange_device_key(merge->store), &text, error);
    }
    if (status == CB_OK) {
        const cb_git_file files[] = {
            { .path = "receipt", .content = cb_span_of_buffer(&text) },
            { .path = "segment", .content = segment },
        };
        const cb_git_commit_plan plan = {
            .parent = some ? &parent : NULL,
            .files = files,
            .file_count = segment.size > 0 ? 2 : 1,
            .message = OUTBOX_MESSAGE,
            .position = outbox->number,
            .secret_key = cb_exchange_device_key(merge->store),
        };
        status = cb_git_commit_create(merge->outgoing, &plan, &oid, error);
    }
    if (status == CB_OK) {
        memcpy(outbox->facts.outbox_commit, oid.bytes, sizeof oid.bytes);
        outbox->facts.receipt_size = outbox->head.size;
        outbox->number++;
        outbox->delivered += outbox->builder.count;
        cb_segment_builder_clear(&outbox->builder);
        cb_segment_builder_init(&outbox->builder);
    }
    cb_buffer_clear(&receipt.note); /* the lists are the outbox's */
    cb_buffer_clear(&text);
    return status;
}

static cb_status take_entry(void *context, cb_span entry, uint64_t log_index,
                            cb_error *error)
{
    cb_outbox *outbox = context;
    if (!cb_segment_has_room(&outbox->builder, entry.size)) {
        cb_status status = flush(outbox, error);
        if (status != CB_OK) {
            return status;
        }
    }
    outbox->positions[outbox->builder.count] = log_index;
    cb_status status = cb_segment_append(&outbox->builder, entry, error);
    /* The earlier ones that come first must not move it back. */
    if (status == CB_OK && log_index >= outbox->upto) {
        outbox->upto = log_index + 1;
    }
    return status;
}

static cb_status push_outbox(cb_outbox *outbox, const char *ref,
                             cb_error *error)
{
    cb_hub_round *merge = outbox->merge;
    cb_git_oid oid;
    const cb_git_push_request request = {
        .transport = merge->transport,
        .repository = CB_GIT_LOG,
        .local_ref = ref,
        .remote_ref = ref,
    };
    memcpy(oid.bytes, outbox->facts.outbox_commit, sizeof oid.bytes);
    cb_status status = cb_place_point(merge->outgoing, ref, &oid, error);
    return status == CB_OK ? cb_git_push(merge->outgoing, &request, NULL, error)
                           : status;
}

/* One transaction, after the log host has it. */
static cb_status remember(cb_outbox *outbox, bool sent, cb_error *error)
{
    cb_store *store = outbox->merge->store;
    cb_status status = cb_store_begin(store, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_exchange_device_remember(store, &outbox->facts, error);
    if (status == CB_OK && sent) {
        status = cb_exchange_outbox_done(store, &outbox->facts.device, error);
    }
    if (status == CB_OK) {
        status = put_mark(outbox, error);
    }
    if (status == CB_OK) {
        status = cb_store_commit(store, error);
    }
    if (status != CB_OK) {
        cb_store_abort(store);
    }
    return status;
}

static cb_status show(cb_outbox *outbox, const cb_tree_head *head, cb_span note,
                      cb_error *error)
{
    outbox->head = *head;
    cb_buffer_clear(&outbox->note);
    cb_buffer_init(&outbox->note, CB_CHECKPOINT_BYTES_MAX);
    cb_buffer_append_span(&outbox->note, note);
    return cb_buffer_check(&outbox->note, error);
}

/*
 * A receipt was lost with the log host's newest state.  The device proves the
 * log's growth from the checkpoint in it, so that one is shown again first.
 */
static cb_status bridge(cb_outbox *outbox, cb_error *error)
{
    cb_tree_head head = { 0 };
    cb_buffer note;
    size_t accepted_count = outbox->accepted_count;
    cb_buffer_init(&note, CB_CHECKPOINT_BYTES_MAX);
    cb_status status =
        cb_exchange_checkpoint(outbox->merge->store, outbox->lost_size,
                               &head.size, &head.root, &note, error);
    if (status == CB_NOT_FOUND ||
        (status == CB_OK && head.size != outbox->lost_size)) {
        cb_buffer_clear(&note);
        return CB_OK;
    }
    if (status == CB_OK) {
        status = show(outbox, &head, cb_span_of_buffer(&note), error);
    }
    if (status == CB_OK) {
        outbox->accepted_count = 0; /* they may lie behind it */
        outbox->upto = outbox->facts.outbox_log_index;
        status = flush(outbox, error);
        outbox->accepted_count = accepted_count;
    }
    cb_buffer_clear(&note);
    return status;
}

static cb_status write_outbox(cb_outbox *outbox, cb_error *error)
{
    cb_hub_round *merge = outbox->merge;
    cb_hash news = { { 0 } };
    uint64_t number = 0;
    cb_ref_name ref =
        cb_ref_make(CB_REF_OUTBOX_PREFIX, outbox->facts.device.bytes);
    cb_status status = find_place(outbox, ref.text, error);
    if (status == CB_OK) {
        status = cb_outbox_facts(outbox, &news, error);
    }
    if (status == CB_OK) {
        number = outbox->number;
        status = outbox->lost_size <= outbox->facts.receipt_size
                     ? CB_OK
                     : bridge(outbox, error);
    }
    if (status == CB_OK) {
        status =
            show(outbox, &merge->head, cb_span_of_buffer(&merge->note), error);
    }
    if (status == CB_OK) {
        outbox->upto = outbox->facts.outbox_log_index;
        status = cb_exchange_outbox_entries(
            merge->store, &outbox->facts.device, outbox->facts.outbox_log_index,
            merge->head.size, take_entry, outbox, error);
    }
    outbox->upto = merge->head.size;
    if (status == CB_OK && (outbox->builder.count > 0 ||
                            memcmp(&news, &outbox->told, sizeof news) != 0)) {
        status = flush(outbox, error);
    }
    bool sent = outbox->number != number;
    if (status == CB_OK && sent) {
        status = push_outbox(outbox, ref.text, error);
    }
    if (status == CB_OK) {
        outbox->facts.outbox_log_index = merge->head.size;
        outbox->told = news;
        status = remember(outbox, sent, error);
    }
    if (status == CB_OK && sent) {
        merge->report->outboxes++;
        merge->report->entries_delivered += outbox->delivered;
    }
    return status;
}

static cb_status one_device(cb_hub_round *merge, const cb_device_facts *facts,
                            const cb_stream_list *streams, cb_error *error)
{
    cb_error words = { 0 };
    cb_outbox *outbox = calloc(1, sizeof *outbox);
    if (outbox == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    outbox->merge = merge;
    outbox->facts = *facts;
    cb_segment_builder_init(&outbox->builder);
    bool ready = false;
    cb_status status = get_mark(outbox, &words);
    if (status == CB_OK) {
        status = cb_outbox_gather(outbox, streams, &ready, &words);
    }
    if (status == CB_OK && ready) {
        status = write_outbox(outbox, &words);
    }
    cb_segment_builder_clear(&outbox->builder);
    cb_buffer_clear(&outbox->note);
    free(outbox);
    if (cb_merge_is_theirs(status) || cb_merge_is_beyond(merge, status)) {
        cb_hub_stream_report row = { .device = facts->device,
                                     .person = facts->person,
                                     .status = status };
        cb_words_copy(row.reason, sizeof row.reason, words.what);
        return cb_merge_row(merge, &row, error);
    }
    if (status != CB_OK && error != NULL) {
        *error = words;
    }
    return status;
}

cb_status cb_merge_outboxes(cb_hub_round *merge, cb_error *reterr_error)
{
    cb_device_list devices = { 0 };
    cb_stream_list streams = { 0 };
    cb_status status =
        cb_device_list_read(merge->store, &devices, reterr_error);
    if (status == CB_OK) {
        status = cb_stream_list_read(merge->store, &streams, reterr_error);
    }
    for (size_t i = 0; status == CB_OK && i < devices.count; i++) {
        cb_progress_step(merge->options->progress, "outboxes", i,
                         devices.count);
        if (cb_progress_stop(merge->options->progress, reterr_error)) {
            status = CB_INTERRUPTED;
        } else if (!devices.items[i].hub) {
            status =
                one_device(merge, &devices.items[i], &streams, reterr_error);
        }
    }
    free(devices.items);
    free(streams.items);
    return status;
}
