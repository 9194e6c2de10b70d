/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "store/internal.h"

#include <string.h>

static cb_status insert_entry(cb_store *store, const cb_entry_header *header,
                              const cb_key *key, const cb_case_id *case_id,
                              const cb_hash *hash, cb_span bytes,
                              int64_t now_ms, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_insert");
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":seq", (int64_t)header->seq);
    cb_query_bind_integer(&query, ":kind", header->kind);
    if (key != NULL) {
        cb_query_bind_blob(&query, ":key_id", key->id.bytes,
                           sizeof key->id.bytes);
        cb_query_bind_integer(&query, ":key", key->number);
    }
    if (case_id != NULL) {
        cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                           sizeof case_id->bytes);
    }
    cb_query_bind_integer(&query, ":received_ms", now_ms);
    cb_query_bind_text(&query, ":state", "applied");
    cb_query_bind_blob(&query, ":bytes", bytes.bytes, bytes.size);
    return cb_query_run(&query, error);
}

static cb_status move_head(cb_store *store, const cb_entry_header *header,
                           const cb_hash *hash, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_head");
    cb_query_bind_integer(&query, ":seq", (int64_t)header->seq);
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    cb_query_bind_integer(&query, ":number", store->stream_number);
    cb_status status = cb_query_run(&query, error);
    if (status == CB_OK) {
        store->identity.head_seq = header->seq;
        store->head_hash = *hash;
        store->last_time = header->time;
    }
    return status;
}

/*
 * The nonce is 24 random bytes for a key that is itself made for this one
 * entry (of stream, number and nonce): it cannot repeat under one key unless
 * the random generator repeats 192 bits, and a restored copy of the store
 * writes under another stream.
 */
static void fill_header(cb_store *store, cb_entry_kind kind,
                        const cb_key_id *key_id, int64_t now_ms,
                        cb_entry_header *header)
{
    const cb_store_identity *identity = &store->identity;
    *header = (cb_entry_header){
        .kind = (uint8_t)kind,
        .flags = now_ms < CB_CLOCK_PLAUSIBLE_MS ? CB_CLOCK_UNSET
                                                : CB_CLOCK_SET_BY_USER,
        .realm = identity->realm,
        .stream = identity->stream,
        .seq = identity->head_seq + 1,
        .prev = store->head_hash,
        .time = cb_entry_time_next(store->last_time, now_ms),
        .seen_size = identity->seen_size,
        .seen_root = identity->seen_root,
        .roster = identity->roster,
    };
    if (key_id != NULL) {
        header->key_id = *key_id;
        store->environment->random(store->environment->context, header->nonce,
                                   sizeof header->nonce);
    }
}

cb_status cb_append(cb_store *store, cb_entry_kind kind, const cb_key *key,
                    const cb_case_id *case_id, const json_t *body,
                    cb_appended *ret_appended, cb_error *error)
{
    CB_ASSERT(cb_database_in_transaction(store->database));
    int64_t now_ms = store->environment->now_ms(store->environment->context);
    cb_entry_header header;
    cb_entry entry;
    cb_compartment compartment;
    cb_buffer plaintext;
    cb_buffer bytes;
    cb_buffer_init(&plaintext, CB_PLAINTEXT_BYTES_MAX);
    cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
    fill_header(store, kind, key == NULL ? NULL : &key->id, now_ms, &header);
    cb_status status = cb_identity_require_current(store, error);
    if (status == CB_OK) {
        status = cb_json_append(body, &plaintext, error);
    }
    if (status == CB_LIMIT) {
        cb_error_meaning(error, "this was not recorded");
    }
    if (status == CB_OK && key != NULL) {
        status =
            cb_compartment_load_number(store, key->number, &compartment, error);
        CB_ASSERT(status != CB_NOT_FOUND);
    }
    if (status == CB_OK) {
        cb_span text = cb_span_of_buffer(&plaintext);
        status = key == NULL
                     ? cb_entry_write_clear(&header, text, store->stream_key,
                                            &bytes, error)
                     : cb_entry_seal(&header, text, store->key_in_use,
                                     store->stream_key, &bytes, error);
    }
    /* What is stored is what a reader will accept: read it back first. */
    if (status == CB_OK) {
        status = cb_entry_decode(cb_span_of_buffer(&bytes), &entry, error);
    }
    if (status == CB_OK) {
        status = insert_entry(store, &entry.header, key, case_id, &entry.hash,
                              entry.bytes, now_ms, error);
    }
    if (status == CB_OK) {
        status = move_head(store, &entry.header, &entry.hash, error);
    }
    if (status == CB_OK) {
        *ret_appended = (cb_appended){
            .seq = entry.header.seq,
            .hash = entry.hash,
            .number = sqlite3_last_insert_rowid(store->database->connection),
        };
    }
    cb_buffer_clear(&plaintext);
    cb_buffer_clear(&bytes);
    return status;
}
