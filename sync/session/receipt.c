/* SPDX-License-Identifier: Apache-2.0 */
#include "session/receipt.h"

#include <casebound/json.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BASE64_BYTES 44

void cb_receipt_init(cb_receipt *receipt)
{
    memset(receipt, 0, sizeof *receipt);
    cb_buffer_init(&receipt->note, CB_CHECKPOINT_BYTES_MAX);
}

void cb_receipt_clear(cb_receipt *receipt)
{
    cb_buffer_clear(&receipt->note);
    free(receipt->accepted);
    free(receipt->withheld);
    free(receipt->positions);
    cb_receipt_init(receipt);
}

cb_status cb_log_key_init(const cb_realm_id *realm, const uint8_t *hub_public,
                          cb_note_key *ret_key, cb_error *reterr_error)
{
    char hex[CB_IDENTIFIER_TEXT_BYTES];
    char name[CB_NOTE_NAME_BYTES_MAX + 1];
    cb_hex_format(realm->bytes, sizeof realm->bytes, hex);
    (void)snprintf(name, sizeof name, "casebound/%s", hex);
    return cb_note_key_init(ret_key, name, hub_public, reterr_error);
}

/* ---------------------------------------------------------------- writing */

static json_t *write_proof(const cb_tree_proof *proof)
{
    json_t *list = json_array();
    cb_buffer text;
    cb_buffer_init(&text, HASH_BASE64_BYTES);
    for (size_t i = 0; i < proof->count; i++) {
        cb_buffer_reset(&text);
        cb_buffer_append_base64(
            &text, (cb_span){ proof->hashes[i].bytes, CB_HASH_BYTES });
        (void)json_array_append_new(list, json_string(cb_buffer_text(&text)));
    }
    cb_buffer_clear(&text);
    return list;
}

static json_t *write_accepted(const cb_receipt *receipt)
{
    json_t *list = json_array();
    for (size_t i = 0; i < receipt->accepted_count; i++) {
        const cb_receipt_accepted *row = &receipt->accepted[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:I, s:o, s:I, s:o}", "hash",
                      cb_json_hex(row->hash.bytes, CB_HASH_BYTES), "index",
                      (json_int_t)row->index, "proof", write_proof(&row->proof),
                      "seq", (json_int_t)row->seq, "stream",
                      cb_json_hex(row->stream.bytes, CB_IDENTIFIER_BYTES)));
    }
    return list;
}

static json_t *write_withheld(const cb_receipt *receipt)
{
    json_t *list = json_array();
    for (size_t i = 0; i < receipt->withheld_count; i++) {
        const cb_receipt_withheld *row = &receipt->withheld[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:I, s:o}", "reason", row->reason, "seq",
                      (json_int_t)row->seq, "stream",
                      cb_json_hex(row->stream.bytes, CB_IDENTIFIER_BYTES)));
    }
    return list;
}

static json_t *write_positions(const cb_receipt *receipt)
{
    json_t *list = json_array();
    for (size_t i = 0; i < receipt->position_count; i++) {
        (void)json_array_append_new(
            list, json_integer((json_int_t)receipt->positions[i]));
    }
    return list;
}

static json_t *write_body(const cb_receipt *receipt)
{
    return json_pack(
        "{s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:i, s:o, "
        "s:I, s:I}",
        "accepted", write_accepted(receipt), "checkpoint",
        cb_buffer_text(&receipt->note), "consistency",
        write_proof(&receipt->consistency), "device",
        cb_json_hex(receipt->device.bytes, CB_IDENTIFIER_BYTES), "from",
        (json_int_t)receipt->from, "mail", (json_int_t)receipt->mail, "number",
        (json_int_t)receipt->number, "positions", write_positions(receipt),
        "quarantined", write_withheld(receipt), "quarantined_total",
        (json_int_t)receipt->withheld_total, "realm",
        cb_json_hex(receipt->realm.bytes, CB_IDENTIFIER_BYTES), "schema", 1,
        "segment",
        receipt->has_segment
            ? cb_json_hex(receipt->segment.bytes, CB_HASH_BYTES)
            : json_null(),
        "time_ms", (json_int_t)receipt->time_ms, "upto",
        (json_int_t)receipt->upto);
}

cb_status cb_receipt_write(const cb_receipt *receipt, const cb_secret *hub_key,
                           cb_buffer *text, cb_error *reterr_error)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    cb_buffer signed_text;
    cb_buffer_init(&signed_text, CB_RECEIPT_BYTES_MAX);
    json_t *body = write_body(receipt);
    json_t *envelope = NULL;
    cb_status status =
        body == NULL ? cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory")
                     : cb_json_append(body, &signed_text, reterr_error);
    if (status == CB_OK) {
        cb_sign("receipt", cb_span_of_buffer(&signed_text), hub_key, signature);
        envelope = json_pack("{s:O, s:o}", "receipt", body, "signature",
                             cb_json_hex(signature, sizeof signature));
        status = envelope == NULL
                     ? cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory")
                     : cb_json_append(envelope, text, reterr_error);
    }
    json_decref(body);
    json_decref(envelope);
    cb_buffer_clear(&signed_text);
    return status;
}

/* ---------------------------------------------------------------- reading */

static cb_status incomplete(const char *member, cb_error *error)
{
    return cb_error_set(error, CB_DAMAGED,
                        "the receipt's member '%s' does not have the accepted "
                        "form",
                        member);
}

static bool read_number(const json_t *object, const char *name,
                        uint64_t *ret_number)
{
    int64_t value = 0;
    if (!cb_json_integer(object, name, &value) || value < 0) {
        return false;
    }
    *ret_number = (uint64_t)value;
    return true;
}

static bool read_proof(const json_t *object, const char *name,
                       cb_tree_proof *ret_proof)
{
    const json_t *list = cb_json_array(object, name);
    if (list == NULL || json_array_size(list) > CB_PROOF_HASHES_MAX) {
        return false;
    }
    ret_proof->count = json_array_size(list);
    for (size_t i = 0; i < ret_proof->count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL ||
            !cb_base64_parse(cb_span_of_text(text), ret_proof->hashes[i].bytes,
                             CB_HASH_BYTES)) {
            return false;
        }
    }
    return true;
}

/* A zeroed list for the members of `name`, at most count_max of them. */
static cb_status begin_list(const json_t *object, const char *name,
                            size_t count_max, size_t item_size,
                            const json_t **ret_list, void **ret_items,
                            size_t *ret_count, cb_error *error)
{
    const json_t *list = cb_json_array(object, name);
    if (list == NULL || json_array_size(list) > count_max) {
        return incomplete(name, error);
    }
    *ret_list = list;
    *ret_count = json_array_size(list);
    *ret_items = calloc(*ret_count + 1, item_size);
    return *ret_items == NULL
               ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
               : CB_OK;
}

static cb_status read_accepted(const json_t *body, cb_receipt *receipt,
                               cb_error *error)
{
    const json_t *list = NULL;
    void *items = NULL;
    cb_status status = begin_list(body, "accepted", CB_RECEIPT_STREAMS_MAX,
                                  sizeof *receipt->accepted, &list, &items,
                                  &receipt->accepted_count, error);
    receipt->accepted = items;
    for (size_t i = 0; status == CB_OK && i < receipt->accepted_count; i++) {
        const json_t *item = json_array_get(list, i);
        cb_receipt_accepted *row = &receipt->accepted[i];
        if (!cb_json_bytes(item, "hash", row->hash.bytes, CB_HASH_BYTES) ||
            !cb_json_bytes(item, "stream", row->stream.bytes,
                           CB_IDENTIFIER_BYTES) ||
            !read_number(item, "index", &row->index) ||
            !read_number(item, "seq", &row->seq) || row->seq == 0 ||
            !read_proof(item, "proof", &row->proof)) {
            status = incomplete("accepted", error);
        }
    }
    return status;
}

static cb_status read_withheld(const json_t *body, cb_receipt *receipt,
                               cb_error *error)
{
    const json_t *list = NULL;
    void *items = NULL;
    cb_status status = begin_list(body, "quarantined", CB_RECEIPT_WITHHELD_MAX,
                                  sizeof *receipt->withheld, &list, &items,
                                  &receipt->withheld_count, error);
    receipt->withheld = items;
    for (size_t i = 0; status == CB_OK && i < receipt->withheld_count; i++) {
        const json_t *item = json_array_get(list, i);
        cb_receipt_withheld *row = &receipt->withheld[i];
        const char *reason = cb_json_text(item, "reason");
        if (reason == NULL ||
            !cb_json_bytes(item, "stream", row->stream.bytes,
                           CB_IDENTIFIER_BYTES) ||
            !read_number(item, "seq", &row->seq)) {
            status = incomplete("quarantined", error);
        } else {
            (void)snprintf(row->reason, sizeof row->reason, "%s", reason);
        }
    }
    return status;
}

static cb_status read_positions(const json_t *body, cb_receipt *receipt,
                                cb_error *error)
{
    const json_t *list = NULL;
    void *items = NULL;
    cb_status status = begin_list(body, "positions", CB_SEGMENT_ENTRIES_MAX,
                                  sizeof *receipt->positions, &list, &items,
                                  &receipt->position_count, error);
    receipt->positions = items;
    for (size_t i = 0; status == CB_OK && i < receipt->position_count; i++) {
        json_int_t value = json_integer_value(json_array_get(list, i));
        if (!json_is_integer(json_array_get(list, i)) || value < 0) {
            status = incomplete("positions", error);
        }
        receipt->positions[i] = (uint64_t)value;
    }
    return status;
}

static cb_status read_segment(const json_t *body, cb_receipt *receipt,
                              cb_error *error)
{
    if (json_is_null(json_object_get(body, "segment"))) {
        return receipt->position_count == 0 ? CB_OK
                                            : incomplete("positions", error);
    }
    receipt->has_segment = true;
    return cb_json_bytes(body, "segment", receipt->segment.bytes,
                         CB_HASH_BYTES) &&
                   receipt->position_count > 0
               ? CB_OK
               : incomplete("segment", error);
}

static cb_status read_body(const json_t *body, cb_receipt *receipt,
                           cb_error *error)
{
    int64_t schema = 0;
    const char *note = cb_json_text(body, "checkpoint");
    if (!cb_json_integer(body, "schema", &schema) || schema < 1) {
        return incomplete("schema", error);
    }
    if (schema > 1) {
        return cb_error_set(error, CB_NEWER,
                            "the receipt was made by a newer version");
    }
    if (note == NULL ||
        !cb_json_bytes(body, "realm", receipt->realm.bytes,
                       CB_IDENTIFIER_BYTES) ||
        !cb_json_bytes(body, "device", receipt->device.bytes,
                       CB_IDENTIFIER_BYTES) ||
        !read_number(body, "number", &receipt->number) ||
        !read_number(body, "from", &receipt->from) ||
        !read_number(body, "mail", &receipt->mail) ||
        !read_number(body, "upto", &receipt->upto) ||
        !read_number(body, "quarantined_total", &receipt->withheld_total) ||
        !cb_json_integer(body, "time_ms", &receipt->time_ms) ||
        !read_proof(body, "consistency", &receipt->consistency)) {
        return cb_error_set(error, CB_DAMAGED, "the receipt is not complete");
    }
    cb_buffer_append_text(&receipt->note, note);
    cb_status status = cb_buffer_check(&receipt->note, error);
    if (status == CB_OK) {
        status = read_accepted(body, receipt, error);
    }
    if (status == CB_OK) {
        status = read_withheld(body, receipt, error);
    }
    if (status == CB_OK) {
        status = read_positions(body, receipt, error);
    }
    return status == CB_OK ? read_segment(body, receipt, error) : status;
}

static cb_status check_signature(const json_t *envelope,
                                 const uint8_t *hub_public, cb_error *error)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    const json_t *body = cb_json_object(envelope, "receipt");
    cb_buffer text;
    if (body == NULL ||
        !cb_json_bytes(envelope, "signature", signature, sizeof signature)) {
        return cb_error_set(error, CB_DAMAGED, "the receipt is not complete");
    }
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    cb_status status = cb_json_append(body, &text, error);
    if (status == CB_OK && !cb_sign_verify("receipt", cb_span_of_buffer(&text),
                                           signature, hub_public)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the receipt is not signed by the hub");
    }
    cb_buffer_clear(&text);
    return status;
}

cb_status cb_receipt_read(cb_span text, const uint8_t *hub_public,
                          cb_receipt *ret_receipt, cb_error *reterr_error)
{
    json_t *envelope = NULL;
    cb_receipt receipt;
    cb_error words = { 0 };
    cb_receipt_init(&receipt);
    cb_status status = cb_json_parse_canonical(text, &envelope, &words);
    if (status == CB_INPUT) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "the receipt is not canonical JSON: %.200s",
                              words.what);
    } else if (status != CB_OK && reterr_error != NULL) {
        (void)cb_error_set(reterr_error, status, "%s", words.what);
    }
    if (status == CB_OK) {
        status = check_signature(envelope, hub_public, reterr_error);
    }
    if (status == CB_OK) {
        status = read_body(cb_json_object(envelope, "receipt"), &receipt,
                           reterr_error);
    }
    json_decref(envelope);
    if (status != CB_OK) {
        cb_receipt_clear(&receipt);
        return status;
    }
    *ret_receipt = receipt;
    return CB_OK;
}
