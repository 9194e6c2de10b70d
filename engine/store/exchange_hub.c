/* SPDX-License-Identifier: Apache-2.0 */
/* What the hub keeps about its log and about each device's outbox. */
#include "store/internal.h"

#include <string.h>

static cb_status log_end(cb_store *store, uint64_t *ret_end, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_log_end");
    cb_status status = cb_query_step(&query, error);
    *ret_end = status == CB_OK && !cb_query_is_null(&query, 0)
                   ? (uint64_t)cb_query_integer(&query, 0) + 1
                   : 0;
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static cb_status next_unlogged(cb_store *store, int64_t after,
                               int64_t *ret_number, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_unlogged");
    cb_query_bind_integer(&query, ":after", after);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        *ret_number = cb_query_integer(&query, 0);
    }
    cb_query_end(&query);
    return status;
}

/* The order of rows is the order of receipt. */
cb_status cb_exchange_log_extend(cb_store *store, uint64_t *ret_size,
                                 cb_error *reterr_error)
{
    uint64_t size = 0;
    int64_t number = 0;
    cb_status status = log_end(store, &size, reterr_error);
    while (status == CB_OK) {
        status = next_unlogged(store, number, &number, reterr_error);
        if (status == CB_OK) {
            cb_query query = cb_query_begin(store->database, "entry_logged");
            cb_query_bind_integer(&query, ":log_index", (int64_t)size);
            cb_query_bind_integer(&query, ":number", number);
            status = cb_query_run(&query, reterr_error);
            size++;
        }
    }
    if (status == CB_END) {
        *ret_size = size;
        return CB_OK;
    }
    return status;
}

/* Calls for each row of (bytes, log_index). */
static cb_status each_entry(cb_query *query, cb_entry_callback callback,
                            void *context, int bytes_column, cb_error *error)
{
    cb_status status = cb_query_step(query, error);
    while (status == CB_OK) {
        status = callback(context, cb_query_blob(query, bytes_column),
                          (uint64_t)cb_query_integer(query, bytes_column + 1),
                          error);
        if (status == CB_OK) {
            status = cb_query_step(query, error);
        }
    }
    cb_query_end(query);
    return status == CB_END ? CB_OK : status;
}

cb_status cb_exchange_log_entries(cb_store *store, uint64_t first, uint64_t end,
                                  cb_entry_callback callback, void *context,
                                  cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "entry_of_log");
    cb_query_bind_integer(&query, ":first", (int64_t)first);
    cb_query_bind_integer(&query, ":end", (int64_t)end);
    return each_entry(&query, callback, context, 0, reterr_error);
}

cb_status cb_exchange_log_position(cb_store *store, const cb_stream_id *stream,
                                   uint64_t seq, uint64_t *ret_index,
                                   cb_hash *ret_hash, cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "entry_position");
    cb_query_bind_blob(&query, ":stream", stream->bytes, sizeof stream->bytes);
    cb_query_bind_integer(&query, ":seq", (int64_t)seq);
    cb_status status = cb_query_step(&query, reterr_error);
    if (status == CB_OK) {
        *ret_index = (uint64_t)cb_query_integer(&query, 0);
        (void)cb_query_copy(&query, 1, ret_hash->bytes, sizeof ret_hash->bytes);
    }
    cb_query_end(&query);
    return status == CB_END ? CB_NOT_FOUND : status;
}

cb_status cb_exchange_log_hash_get(cb_store *store, unsigned level,
                                   uint64_t position, cb_hash *ret_hash,
                                   cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "log_hash_get");
    cb_query_bind_integer(&query, ":level", level);
    cb_query_bind_integer(&query, ":position", (int64_t)position);
    cb_status status = cb_query_step(&query, reterr_error);
    if (status == CB_OK &&
        !cb_query_copy(&query, 0, ret_hash->bytes, sizeof ret_hash->bytes)) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "a hash of the hub's log is damaged");
    }
    cb_query_end(&query);
    return status == CB_END ? CB_NOT_FOUND : status;
}

cb_status cb_exchange_log_hash_put(cb_store *store, unsigned level,
                                   uint64_t position, const cb_hash *hash,
                                   cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "log_hash_put");
    cb_query_bind_integer(&query, ":level", level);
    cb_query_bind_integer(&query, ":position", (int64_t)position);
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    return cb_query_run(&query, reterr_error);
}

static void read_device(const cb_query *query, cb_device_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    (void)cb_query_copy(query, 0, facts->device.bytes,
                        sizeof facts->device.bytes);
    (void)cb_query_copy(query, 1, facts->person.bytes,
                        sizeof facts->person.bytes);
    (void)cb_query_copy(query, 2, facts->signing_key,
                        sizeof facts->signing_key);
    (void)cb_query_copy(query, 3, facts->sealing_key,
                        sizeof facts->sealing_key);
    facts->hub = cb_query_integer(query, 4) == 1;
    facts->revoked = cb_query_integer(query, 5) == 1;
    (void)cb_query_copy(query, 6, facts->outbox_commit,
                        sizeof facts->outbox_commit);
    facts->outbox_log_index = (uint64_t)cb_query_integer(query, 7);
    facts->receipt_size = (uint64_t)cb_query_integer(query, 8);
    facts->receipt_seq = (uint64_t)cb_query_integer(query, 9);
    facts->mail_version_in = (uint64_t)cb_query_integer(query, 10);
    facts->mail_version_out = (uint64_t)cb_query_integer(query, 11);
}

cb_status cb_device_find(cb_store *store, const cb_device_id *device,
                         cb_device_facts *ret_facts, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "device_find");
    cb_query_bind_blob(&query, ":id", device->bytes, sizeof device->bytes);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        read_device(&query, ret_facts);
    }
    cb_query_end(&query);
    return status == CB_END ? CB_NOT_FOUND : status;
}

cb_status cb_exchange_devices(cb_store *store, cb_device_callback callback,
                              void *context, cb_error *reterr_error)
{
    cb_device_id after = { { 0 } };
    cb_status status = CB_OK;
    while (status == CB_OK) {
        cb_device_facts facts;
        cb_query query = cb_query_begin(store->database, "device_list");
        cb_query_bind_blob(&query, ":after", after.bytes, sizeof after.bytes);
        status = cb_query_step(&query, reterr_error);
        if (status == CB_OK) {
            read_device(&query, &facts);
        }
        cb_query_end(&query);
        if (status == CB_OK) {
            after = facts.device;
            status = callback(context, &facts, reterr_error);
        }
    }
    return status == CB_END ? CB_OK : status;
}

cb_status cb_exchange_device_remember(cb_store *store,
                                      const cb_device_facts *facts,
                                      cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "device_remember");
    if (!cb_is_zero(facts->outbox_commit, sizeof facts->outbox_commit)) {
        cb_query_bind_blob(&query, ":outbox_commit", facts->outbox_commit,
                           sizeof facts->outbox_commit);
    }
    cb_query_bind_integer(&query, ":outbox_log_index",
                          (int64_t)facts->outbox_log_index);
    cb_query_bind_integer(&query, ":receipt_size",
                          (int64_t)facts->receipt_size);
    cb_query_bind_integer(&query, ":receipt_seq", (int64_t)facts->receipt_seq);
    cb_query_bind_integer(&query, ":mail_version_in",
                          (int64_t)facts->mail_version_in);
    cb_query_bind_integer(&query, ":mail_version_out",
                          (int64_t)facts->mail_version_out);
    cb_query_bind_blob(&query, ":id", facts->device.bytes,
                       sizeof facts->device.bytes);
    return cb_query_run(&query, reterr_error);
}

cb_status cb_exchange_outbox_entries(cb_store *store,
                                     const cb_device_id *device, uint64_t first,
                                     uint64_t end, cb_entry_callback callback,
                                     void *context, cb_error *reterr_error)
{
    cb_device_facts facts;
    cb_status status = cb_device_find(store, device, &facts, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_query query = cb_query_begin(store->database, "outbox_backlog_list");
    cb_query_bind_blob(&query, ":device", device->bytes, sizeof device->bytes);
    cb_query_bind_blob(&query, ":person", facts.person.bytes,
                       sizeof facts.person.bytes);
    status = each_entry(&query, callback, context, 0, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    query = cb_query_begin(store->database, "entry_for_outbox");
    cb_query_bind_integer(&query, ":first", (int64_t)first);
    cb_query_bind_integer(&query, ":end", (int64_t)end);
    cb_query_bind_blob(&query, ":device", device->bytes, sizeof device->bytes);
    cb_query_bind_blob(&query, ":person", facts.person.bytes,
                       sizeof facts.person.bytes);
    cb_query_bind_blob(&query, ":realm_key", store->realm_key_id.bytes,
                       sizeof store->realm_key_id.bytes);
    return each_entry(&query, callback, context, 1, reterr_error);
}

cb_status cb_exchange_outbox_done(cb_store *store, const cb_device_id *device,
                                  cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "outbox_backlog_clear");
    cb_query_bind_blob(&query, ":device", device->bytes, sizeof device->bytes);
    return cb_query_run(&query, reterr_error);
}

cb_status cb_exchange_quarantined(cb_store *store, const cb_stream_id *stream,
                                  cb_quarantine_callback callback,
                                  void *context, cb_error *reterr_error)
{
    cb_query query =
        cb_query_begin(store->database, "entry_quarantined_of_stream");
    cb_query_bind_blob(&query, ":stream", stream->bytes, sizeof stream->bytes);
    cb_status status = cb_query_step(&query, reterr_error);
    while (status == CB_OK) {
        cb_hash hash;
        (void)cb_query_copy(&query, 1, hash.bytes, sizeof hash.bytes);
        status = callback(context, (uint64_t)cb_query_integer(&query, 0), &hash,
                          cb_query_text(&query, 2), reterr_error);
        if (status == CB_OK) {
            status = cb_query_step(&query, reterr_error);
        }
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}
