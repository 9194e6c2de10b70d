/* SPDX-License-Identifier: Apache-2.0 */
/* How a device's own entries stand in the hub's log. */
#include "hub/outbox.h"

#include <string.h>

struct opening {
    uint64_t seen_size;
    bool found;
};

static cb_status read_opening(void *context, cb_span bytes, uint64_t log_index,
                              cb_error *error)
{
    struct opening *opening = context;
    cb_entry entry;
    (void)log_index;
    cb_status status = cb_entry_decode(bytes, &entry, error);
    if (status == CB_OK) {
        opening->found = true;
        opening->seen_size = entry.header.seen_size;
    }
    return status;
}

/* The newest entry of the stream that has a place below the log's size. */
static cb_status find_newest(cb_outbox *outbox, const cb_stream_facts *facts,
                             cb_receipt_accepted *row, bool *ret_found,
                             cb_error *error)
{
    cb_tree_source source = cb_merge_source(outbox->merge);
    uint64_t size = outbox->merge->head.size;
    cb_status status = CB_NOT_FOUND;
    row->stream = facts->stream;
    row->seq = facts->head_seq;
    while (row->seq > 0 && status == CB_NOT_FOUND) {
        status =
            cb_exchange_log_position(outbox->merge->store, &facts->stream,
                                     row->seq, &row->index, &row->hash, error);
        if (status == CB_NOT_FOUND || (status == CB_OK && row->index >= size)) {
            status = CB_NOT_FOUND;
            row->seq--;
        }
    }
    *ret_found = status == CB_OK;
    if (status == CB_OK) {
        status = cb_tree_prove_inclusion(&source, row->index, size, &row->proof,
                                         error);
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

/* Which checkpoint the device held when it joined: the oldest opening. */
static cb_status note_first(cb_outbox *outbox, const cb_stream_facts *facts,
                            uint64_t *oldest, cb_error *error)
{
    struct opening opening = { 0 };
    uint64_t index = 0;
    cb_hash hash;
    cb_status status = cb_exchange_log_position(
        outbox->merge->store, &facts->stream, 1, &index, &hash, error);
    if (status == CB_NOT_FOUND || (status == CB_OK && index >= *oldest)) {
        return CB_OK;
    }
    if (status == CB_OK) {
        status = cb_exchange_log_entries(outbox->merge->store, index, index + 1,
                                         read_opening, &opening, error);
    }
    if (status == CB_OK && opening.found) {
        *oldest = index;
        outbox->first_size = opening.seen_size;
    }
    return status;
}

static cb_status add_withheld(void *context, uint64_t seq, const cb_hash *hash,
                              const char *reason, cb_error *error)
{
    cb_outbox *outbox = context;
    (void)hash;
    (void)error;
    outbox->withheld_total++;
    if (outbox->withheld_count < CB_RECEIPT_WITHHELD_MAX) {
        cb_receipt_withheld *row = &outbox->withheld[outbox->withheld_count++];
        row->seq = seq;
        cb_words_copy(row->reason, sizeof row->reason, reason);
    }
    return CB_OK;
}

static cb_status gather_stream(cb_outbox *outbox, const cb_stream_facts *facts,
                               uint64_t *oldest, cb_error *error)
{
    bool found = false;
    size_t first = outbox->withheld_count;
    cb_receipt_accepted *row = &outbox->accepted[outbox->accepted_count];
    cb_status status = find_newest(outbox, facts, row, &found, error);
    if (status == CB_OK && found) {
        outbox->accepted_count++;
        status = note_first(outbox, facts, oldest, error);
    }
    if (status == CB_OK) {
        status = cb_exchange_quarantined(outbox->merge->store, &facts->stream,
                                         add_withheld, outbox, error);
    }
    for (size_t i = first; i < outbox->withheld_count; i++) {
        outbox->withheld[i].stream = facts->stream;
    }
    return status;
}

cb_status cb_outbox_gather(cb_outbox *outbox, const cb_stream_list *streams,
                           bool *ret_ready, cb_error *reterr_error)
{
    uint64_t oldest = UINT64_MAX;
    cb_status status = CB_OK;
    for (size_t i = 0; status == CB_OK && i < streams->count &&
                       outbox->accepted_count < CB_RECEIPT_STREAMS_MAX;
         i++) {
        const cb_stream_facts *facts = &streams->items[i];
        if (memcmp(&facts->device, &outbox->facts.device,
                   sizeof facts->device) == 0) {
            status = gather_stream(outbox, facts, &oldest, reterr_error);
        }
    }
    *ret_ready = oldest != UINT64_MAX;
    return status;
}

cb_status cb_outbox_facts(cb_outbox *outbox, cb_hash *ret_news,
                          cb_error *reterr_error)
{
    cb_buffer text;
    cb_buffer_init(&text, 65536);
    if (outbox->number == 0) {
        outbox->facts.receipt_size = outbox->first_size;
    }
    if (outbox->facts.receipt_size > outbox->merge->head.size) {
        return cb_error_set(reterr_error, CB_DAMAGED,
                            "ROLLBK: the device has seen a log of %llu "
                            "entries, and this one has %llu",
                            (unsigned long long)outbox->facts.receipt_size,
                            (unsigned long long)outbox->merge->head.size);
    }
    for (size_t i = 0; i < outbox->accepted_count; i++) {
        const cb_receipt_accepted *row = &outbox->accepted[i];
        cb_buffer_append(&text, row->stream.bytes, sizeof row->stream.bytes);
        cb_buffer_append(&text, row->hash.bytes, sizeof row->hash.bytes);
    }
    for (size_t i = 0; i < outbox->withheld_count; i++) {
        const cb_receipt_withheld *row = &outbox->withheld[i];
        cb_buffer_append(&text, row->stream.bytes, sizeof row->stream.bytes);
        cb_buffer_append_format(&text, "%llu ", (unsigned long long)row->seq);
    }
    cb_buffer_append_format(&text, "%llu %llu",
                            (unsigned long long)outbox->withheld_total,
                            (unsigned long long)outbox->facts.mail_version_in);
    cb_status status = cb_buffer_check(&text, reterr_error);
    if (status == CB_OK) {
        cb_hash_domain("receipt news", cb_span_of_buffer(&text), ret_news);
    }
    cb_buffer_clear(&text);
    return status;
}
