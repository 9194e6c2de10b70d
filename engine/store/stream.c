/* SPDX-License-Identifier: Apache-2.0 */
#include "store/stream.h"

#include "base/json.h"

#include <string.h>

static void read_stream(const cb_query *query, cb_stream_row *row)
{
    cb_stream_facts *facts = &row->facts;
    memset(row, 0, sizeof *row);
    row->number = cb_query_integer(query, 0);
    (void)cb_query_copy(query, 1, facts->stream.bytes,
                        sizeof facts->stream.bytes);
    (void)cb_query_copy(query, 2, facts->device.bytes,
                        sizeof facts->device.bytes);
    (void)cb_query_copy(query, 3, facts->person.bytes,
                        sizeof facts->person.bytes);
    (void)cb_query_copy(query, 4, facts->public_key, sizeof facts->public_key);
    facts->own = cb_query_integer(query, 5) == 1;
    facts->head_seq = (uint64_t)cb_query_integer(query, 6);
    (void)cb_query_copy(query, 7, facts->head_hash.bytes,
                        sizeof facts->head_hash.bytes);
    facts->accepted_seq = (uint64_t)cb_query_integer(query, 8);
    facts->frozen = !cb_query_is_null(query, 9);
    row->frozen_from = (uint64_t)cb_query_integer(query, 9);
    row->has_cut = !cb_query_is_null(query, 10);
    row->cut_seq = (uint64_t)cb_query_integer(query, 10);
    facts->revoked = row->has_cut;
    (void)cb_query_copy(query, 11, facts->fetched_commit,
                        sizeof facts->fetched_commit);
    row->hub = cb_query_integer(query, 12) == 1;
}

cb_status cb_stream_find(cb_store *store, const cb_stream_id *stream,
                         cb_stream_row *ret_row, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_find");
    cb_query_bind_blob(&query, ":id", stream->bytes, sizeof stream->bytes);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        read_stream(&query, ret_row);
    }
    cb_query_end(&query);
    return status == CB_END ? CB_NOT_FOUND : status;
}

cb_status cb_exchange_stream(cb_store *store, const cb_stream_id *stream,
                             cb_stream_facts *ret_facts, cb_error *reterr_error)
{
    cb_stream_row row;
    cb_status status = cb_stream_find(store, stream, &row, reterr_error);
    if (status == CB_OK) {
        *ret_facts = row.facts;
    }
    return status;
}

cb_status cb_exchange_streams(cb_store *store, cb_stream_callback callback,
                              void *context, cb_error *reterr_error)
{
    cb_stream_id after = { { 0 } };
    cb_status status = CB_OK;
    while (status == CB_OK) {
        cb_stream_row row;
        cb_query query = cb_query_begin(store->database, "stream_list");
        cb_query_bind_blob(&query, ":after", after.bytes, sizeof after.bytes);
        status = cb_query_step(&query, reterr_error);
        if (status == CB_OK) {
            read_stream(&query, &row);
        }
        cb_query_end(&query);
        if (status == CB_OK) {
            after = row.facts.stream;
            status = callback(context, &row.facts, reterr_error);
        }
    }
    return status == CB_END ? CB_OK : status;
}

struct opening {
    cb_device_id device;
    cb_person_id person;
    uint8_t device_key[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_key[CB_PUBLIC_KEY_BYTES];
    uint8_t stream_key[CB_PUBLIC_KEY_BYTES];
    uint8_t certificate[CB_SIGNATURE_BYTES];
    uint8_t stream_signature[CB_SIGNATURE_BYTES];
    bool hub;
};

static bool parse_opening(const json_t *body, struct opening *opening)
{
    opening->hub = json_is_true(json_object_get(body, "hub"));
    return cb_json_bytes(body, "device", opening->device.bytes,
                         sizeof opening->device.bytes) &&
           cb_json_bytes(body, "person", opening->person.bytes,
                         sizeof opening->person.bytes) &&
           cb_json_bytes(body, "device_key", opening->device_key,
                         sizeof opening->device_key) &&
           cb_json_bytes(body, "sealing_key", opening->sealing_key,
                         sizeof opening->sealing_key) &&
           cb_json_bytes(body, "stream_key", opening->stream_key,
                         sizeof opening->stream_key) &&
           cb_json_bytes(body, "certificate", opening->certificate,
                         sizeof opening->certificate) &&
           cb_json_bytes(body, "stream_signature", opening->stream_signature,
                         sizeof opening->stream_signature);
}

static bool opening_holds(const cb_store_identity *identity,
                          const cb_stream_id *stream,
                          const struct opening *opening)
{
    return (!opening->hub || memcmp(opening->device_key, identity->hub_key,
                                    sizeof opening->device_key) == 0) &&
           cb_certificate_holds(
               &identity->realm, &opening->device, &opening->person,
               opening->device_key, opening->sealing_key, opening->hub,
               opening->certificate,
               opening->hub ? identity->root_key : identity->hub_key) &&
           cb_certificate_stream_holds(
               &identity->realm, stream, opening->stream_key,
               opening->stream_signature, opening->device_key);
}

/*
 * A device that the roster names has one pair of keys and one person; an
 * opening that says otherwise wears somebody else's name.
 */
static cb_status check_device(cb_store *store, const struct opening *opening,
                              cb_error *error)
{
    cb_device_facts known;
    cb_status status = cb_device_find(store, &opening->device, &known, error);
    if (status == CB_NOT_FOUND) {
        return CB_OK;
    }
    if (status != CB_OK) {
        return status;
    }
    if (memcmp(known.signing_key, opening->device_key,
               sizeof known.signing_key) != 0 ||
        memcmp(known.sealing_key, opening->sealing_key,
               sizeof known.sealing_key) != 0 ||
        memcmp(&known.person, &opening->person, sizeof known.person) != 0) {
        status = cb_error_set(error, CB_REFUSED,
                              "the opening of a stream gives a device other "
                              "keys than the roster");
        cb_error_meaning(error, "nothing of it was taken in");
    }
    return status;
}

static cb_status insert_stream(cb_store *store, const cb_stream_id *stream,
                               const struct opening *opening, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_insert");
    cb_query_bind_blob(&query, ":id", stream->bytes, sizeof stream->bytes);
    cb_query_bind_blob(&query, ":device", opening->device.bytes,
                       sizeof opening->device.bytes);
    cb_query_bind_blob(&query, ":person", opening->person.bytes,
                       sizeof opening->person.bytes);
    cb_query_bind_blob(&query, ":public_key", opening->stream_key,
                       sizeof opening->stream_key);
    cb_query_bind_integer(&query, ":own", 0);
    cb_query_bind_integer(&query, ":hub", opening->hub);
    return cb_query_run(&query, error);
}

/* Certified by this service and signed by the stream's own key. */
static cb_status read_opening(const cb_store_identity *identity,
                              const cb_entry *entry, struct opening *opening,
                              cb_error *error)
{
    json_t *body = NULL;
    if (entry->header.kind != CB_ENTRY_OPENING || entry->header.seq != 1 ||
        (entry->header.flags & CB_ENTRY_FLAG_CLEAR) == 0) {
        return cb_error_set(error, CB_REFUSED,
                            "the entry is of a stream that nobody has opened");
    }
    cb_status status = cb_json_parse_canonical(entry->body, &body, NULL);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    if (status != CB_OK || !parse_opening(body, opening)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the opening of a stream is not complete");
    }
    json_decref(body);
    if (status == CB_OK &&
        !opening_holds(identity, &entry->header.stream, opening)) {
        status = cb_error_set(error, CB_REFUSED,
                              "the opening of a stream is not certified by "
                              "this service");
        cb_error_meaning(error, "nothing of it was taken in");
    }
    return status == CB_OK ? cb_entry_verify(entry, opening->stream_key, error)
                           : status;
}

cb_status cb_stream_read_opening(const cb_store_identity *identity,
                                 const cb_entry *entry,
                                 cb_stream_opening *ret_opening,
                                 cb_error *error)
{
    struct opening opening;
    cb_status status = read_opening(identity, entry, &opening, error);
    if (status == CB_OK) {
        *ret_opening = (cb_stream_opening){ .device = opening.device,
                                            .person = opening.person,
                                            .hub = opening.hub };
        memcpy(ret_opening->public_key, opening.stream_key,
               sizeof ret_opening->public_key);
    }
    return status;
}

cb_status cb_stream_open(cb_store *store, const cb_entry *entry,
                         cb_stream_row *ret_row, cb_error *error)
{
    struct opening opening;
    cb_status status = read_opening(&store->identity, entry, &opening, error);
    if (status == CB_OK) {
        status = check_device(store, &opening, error);
    }
    if (status == CB_OK) {
        status = insert_stream(store, &entry->header.stream, &opening, error);
    }
    return status == CB_OK
               ? cb_stream_find(store, &entry->header.stream, ret_row, error)
               : status;
}

cb_status cb_stream_move_head(cb_store *store, int64_t number, uint64_t seq,
                              const cb_hash *hash, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_head");
    cb_query_bind_integer(&query, ":seq", (int64_t)seq);
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    cb_query_bind_integer(&query, ":number", number);
    return cb_query_run(&query, error);
}

cb_status cb_stream_freeze(cb_store *store, int64_t number, uint64_t from,
                           cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_freeze");
    cb_query_bind_integer(&query, ":from", (int64_t)from);
    cb_query_bind_integer(&query, ":number", number);
    return cb_query_run(&query, error);
}
