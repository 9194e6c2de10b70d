/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the newest receipt says that the hub keeps apart, remembered as a mark:
 * a sync that brings no receipt still has to say it.
 *
 *     total (8) | own stream (16) | its first entry kept apart, or 0 (8) |
 *     rows: stream (16) | seq (8) | reason, with zeros to its bound
 */
#include "session/session.h"

#include <string.h>

#define WITHHELD_MARK "withheld"
#define REASON_BYTES  sizeof((cb_sync_withheld *)NULL)->reason
#define HEAD_BYTES    (8 + CB_IDENTIFIER_BYTES + 8)
#define ROW_BYTES     (CB_IDENTIFIER_BYTES + 8 + REASON_BYTES)
#define MARK_BYTES    (HEAD_BYTES + CB_SYNC_WITHHELD_MAX * ROW_BYTES)

static void append_number(cb_buffer *bytes, uint64_t number)
{
    uint8_t field[8];
    cb_put_u64(field, number);
    cb_buffer_append(bytes, field, sizeof field);
}

static uint64_t first_of(const cb_receipt *receipt, const cb_stream_id *stream)
{
    uint64_t first = 0;
    for (size_t i = 0; i < receipt->withheld_count; i++) {
        const cb_receipt_withheld *row = &receipt->withheld[i];
        if (memcmp(&row->stream, stream, sizeof *stream) == 0 &&
            (first == 0 || row->seq < first)) {
            first = row->seq;
        }
    }
    return first;
}

cb_status cb_withheld_put(cb_session *session, const cb_receipt *receipt,
                          cb_error *reterr_error)
{
    cb_buffer bytes;
    const cb_stream_id *own = &session->identity.stream;
    cb_buffer_init(&bytes, MARK_BYTES);
    append_number(&bytes, receipt->withheld_total);
    cb_buffer_append(&bytes, own->bytes, sizeof own->bytes);
    append_number(&bytes, first_of(receipt, own));
    for (size_t i = 0; i < receipt->withheld_count && i < CB_SYNC_WITHHELD_MAX;
         i++) {
        char reason[REASON_BYTES] = { 0 };
        const cb_receipt_withheld *row = &receipt->withheld[i];
        cb_words_copy(reason, sizeof reason, row->reason);
        cb_buffer_append(&bytes, row->stream.bytes, sizeof row->stream.bytes);
        append_number(&bytes, row->seq);
        cb_buffer_append(&bytes, reason, sizeof reason);
    }
    cb_status status = cb_buffer_check(&bytes, reterr_error);
    if (status == CB_OK) {
        status = cb_exchange_mark_put(session->store, WITHHELD_MARK,
                                      cb_span_of_buffer(&bytes), reterr_error);
    }
    cb_buffer_clear(&bytes);
    return status;
}

static void fill_report(const cb_session *session, const uint8_t *at,
                        size_t size)
{
    cb_sync_report *report = session->report;
    const cb_stream_id *own = &session->identity.stream;
    const uint64_t first = cb_get_u64(at + 8 + CB_IDENTIFIER_BYTES);
    if (memcmp(at + 8, own->bytes, sizeof own->bytes) == 0 && first > 0 &&
        report->safe_seq >= first) {
        report->safe_seq = first - 1;
    }
    report->withheld_total = cb_get_u64(at);
    report->withheld_count = (size - HEAD_BYTES) / ROW_BYTES;
    at += HEAD_BYTES;
    for (size_t i = 0; i < report->withheld_count; i++, at += ROW_BYTES) {
        cb_sync_withheld *row = &report->withheld[i];
        memcpy(row->stream.bytes, at, sizeof row->stream.bytes);
        row->seq = cb_get_u64(at + CB_IDENTIFIER_BYTES);
        memcpy(row->reason, at + CB_IDENTIFIER_BYTES + 8, sizeof row->reason);
        row->reason[sizeof row->reason - 1] = '\0';
    }
}

cb_status cb_withheld_report(const cb_session *session, cb_error *reterr_error)
{
    cb_buffer bytes;
    cb_buffer_init(&bytes, MARK_BYTES);
    cb_status status = cb_exchange_mark_get(session->store, WITHHELD_MARK,
                                            &bytes, reterr_error);
    if (status == CB_OK &&
        (bytes.size < HEAD_BYTES || bytes.size > MARK_BYTES ||
         (bytes.size - HEAD_BYTES) % ROW_BYTES != 0)) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "the store's mark '%s' has another form",
                              WITHHELD_MARK);
    }
    if (status == CB_OK) {
        fill_report(session, bytes.bytes, bytes.size);
    }
    cb_buffer_clear(&bytes);
    return status == CB_NOT_FOUND ? CB_OK : status;
}
