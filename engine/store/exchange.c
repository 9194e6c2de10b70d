/* SPDX-License-Identifier: Apache-2.0 */
#include "store/internal.h"

#include <string.h>

const cb_secret *cb_exchange_stream_key(const cb_store *store)
{
    return store->stream_key;
}

const cb_secret *cb_exchange_device_key(const cb_store *store)
{
    return store->device_key;
}

void cb_exchange_device_public_key(const cb_store *store, uint8_t *ret_key)
{
    memcpy(ret_key, store->device_public, sizeof store->device_public);
}

cb_status cb_exchange_set_fetched(cb_store *store, const cb_stream_id *stream,
                                  const uint8_t *commit, cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "stream_fetched");
    cb_query_bind_blob(&query, ":commit", commit, 20);
    cb_query_bind_blob(&query, ":id", stream->bytes, sizeof stream->bytes);
    return cb_query_run(&query, reterr_error);
}

/* ---------------------------------------------------------------- sending */

static cb_status segment_end(cb_store *store, const char *statement,
                             uint64_t *ret_end, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, statement);
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_status status = cb_query_step(&query, error);
    *ret_end = status == CB_OK ? (uint64_t)cb_query_integer(&query, 0) : 1;
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static cb_status add_segment(cb_store *store, uint64_t first, uint64_t count,
                             cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "segment_add");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":first_seq", (int64_t)first);
    cb_query_bind_integer(&query, ":count", (int64_t)count);
    return cb_query_run(&query, error);
}

/* Boundaries follow from the sizes alone: the same entries, the same cuts. */
static cb_status cut_from(cb_store *store, uint64_t first, cb_error *error)
{
    size_t bytes = 0;
    uint64_t begin = first;
    uint64_t next = first;
    cb_query query = cb_query_begin(store->database, "entry_sizes");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":first", (int64_t)first);
    cb_status status = cb_query_step(&query, error);
    while (status == CB_OK) {
        size_t size = 2 + (size_t)cb_query_integer(&query, 1);
        if (next > begin && (bytes + size > CB_SEGMENT_BYTES_MAX ||
                             next - begin == CB_SEGMENT_ENTRIES_MAX)) {
            status = add_segment(store, begin, next - begin, error);
            begin = next;
            bytes = 0;
        }
        bytes += size;
        next++;
        if (status == CB_OK) {
            status = cb_query_step(&query, error);
        }
    }
    cb_query_end(&query);
    if (status == CB_END && next > begin) {
        return add_segment(store, begin, next - begin, error);
    }
    return status == CB_END ? CB_OK : status;
}

cb_status cb_exchange_cut(cb_store *store, cb_error *reterr_error)
{
    uint64_t end = 0;
    bool own = !cb_database_in_transaction(store->database);
    cb_status status = own ? cb_store_begin(store, reterr_error) : CB_OK;
    if (status == CB_OK) {
        status = segment_end(store, "segment_last", &end, reterr_error);
    }
    if (status == CB_OK) {
        status = cut_from(store, end, reterr_error);
    }
    if (status == CB_OK && own) {
        status = cb_store_commit(store, reterr_error);
    }
    if (status != CB_OK && own) {
        cb_store_abort(store);
    }
    return status;
}

cb_status cb_exchange_segment(cb_store *store, uint64_t first_seq,
                              cb_segment_facts *ret_facts,
                              cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "segment_next");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":first_seq", (int64_t)first_seq);
    cb_status status = cb_query_step(&query, reterr_error);
    if (status == CB_OK) {
        *ret_facts = (cb_segment_facts){
            .stream = store->identity.stream,
            .first_seq = (uint64_t)cb_query_integer(&query, 0),
            .count = (uint64_t)cb_query_integer(&query, 1),
            .pushed = cb_query_integer(&query, 3) == 1,
        };
        (void)cb_query_copy(&query, 2, ret_facts->commit,
                            sizeof ret_facts->commit);
    }
    cb_query_end(&query);
    return status;
}

cb_status cb_exchange_segment_entries(cb_store *store,
                                      const cb_segment_facts *segment,
                                      cb_entry_callback callback, void *context,
                                      cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "entry_of_stream");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":first", (int64_t)segment->first_seq);
    cb_query_bind_integer(&query, ":end",
                          (int64_t)(segment->first_seq + segment->count));
    cb_status status = cb_query_step(&query, reterr_error);
    while (status == CB_OK) {
        status = callback(context, cb_query_blob(&query, 0), 0, reterr_error);
        if (status == CB_OK) {
            status = cb_query_step(&query, reterr_error);
        }
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

cb_status cb_exchange_segment_made(cb_store *store,
                                   const cb_segment_facts *segment,
                                   const uint8_t *commit,
                                   cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "segment_commit");
    cb_query_bind_blob(&query, ":commit_id", commit, 20);
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":first_seq", (int64_t)segment->first_seq);
    return cb_query_run(&query, reterr_error);
}

cb_status cb_exchange_segment_pushed(cb_store *store,
                                     const cb_segment_facts *segment,
                                     cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "segment_pushed");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":first_seq", (int64_t)segment->first_seq);
    return cb_query_run(&query, reterr_error);
}

cb_status cb_exchange_unsent(cb_store *store, uint64_t *ret_unreceipted,
                             uint64_t *ret_unpushed, cb_error *reterr_error)
{
    uint64_t end = 1;
    cb_status status =
        segment_end(store, "segment_pushed_end", &end, reterr_error);
    if (status == CB_OK) {
        const cb_store_identity *identity = &store->identity;
        *ret_unreceipted = identity->head_seq - identity->accepted_seq;
        *ret_unpushed = identity->head_seq + 1 - end;
    }
    return status;
}

/* --------------------------------------------------- checkpoints, receipts */

cb_status cb_exchange_remember_checkpoint(cb_store *store, uint64_t size,
                                          const cb_hash *root, const char *note,
                                          cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "checkpoint_put");
    cb_query_bind_integer(&query, ":size", (int64_t)size);
    cb_query_bind_blob(&query, ":root", root->bytes, sizeof root->bytes);
    cb_query_bind_text(&query, ":note", note);
    cb_query_bind_integer(
        &query, ":received_ms",
        store->environment->now_ms(store->environment->context));
    cb_status status = cb_query_run(&query, reterr_error);
    if (status == CB_OK && size > store->identity.seen_size) {
        store->identity.seen_size = size;
        store->identity.seen_root = *root;
    }
    return status;
}

cb_status cb_exchange_checkpoint(cb_store *store, uint64_t size_max,
                                 uint64_t *ret_size, cb_hash *ret_root,
                                 cb_buffer *note, cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "checkpoint_find");
    cb_query_bind_integer(&query, ":size",
                          size_max > INT64_MAX ? INT64_MAX : (int64_t)size_max);
    cb_status status = cb_query_step(&query, reterr_error);
    if (status == CB_OK) {
        *ret_size = (uint64_t)cb_query_integer(&query, 0);
        (void)cb_query_copy(&query, 1, ret_root->bytes, sizeof ret_root->bytes);
        if (note != NULL) {
            cb_buffer_append_text(note, cb_query_text(&query, 2));
        }
    }
    cb_query_end(&query);
    return status == CB_END ? CB_NOT_FOUND : status;
}

cb_status cb_exchange_accepted(cb_store *store, const cb_stream_id *stream,
                               uint64_t seq, const cb_hash *hash,
                               cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "stream_accepted");
    cb_query_bind_integer(&query, ":seq", (int64_t)seq);
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    cb_query_bind_blob(&query, ":id", stream->bytes, sizeof stream->bytes);
    cb_status status = cb_query_run(&query, reterr_error);
    if (status == CB_OK &&
        memcmp(stream, &store->identity.stream, sizeof *stream) == 0 &&
        seq > store->identity.accepted_seq) {
        store->identity.accepted_seq = seq;
    }
    return status;
}

cb_status cb_exchange_remember_receipt(cb_store *store, uint64_t size,
                                       const char *document,
                                       cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "receipt_put");
    cb_query_bind_integer(&query, ":size", (int64_t)size);
    cb_query_bind_integer(
        &query, ":received_ms",
        store->environment->now_ms(store->environment->context));
    cb_query_bind_text(&query, ":document", document);
    return cb_query_run(&query, reterr_error);
}

static cb_status mark_name(const char *name, cb_buffer *full, cb_error *error)
{
    cb_buffer_init(full, 256);
    cb_buffer_append_format(full, "sync.%s", name);
    return cb_buffer_check(full, error);
}

cb_status cb_exchange_mark_get(cb_store *store, const char *name,
                               cb_buffer *value, cb_error *reterr_error)
{
    cb_buffer full;
    cb_status status = mark_name(name, &full, reterr_error);
    if (status == CB_OK) {
        status = cb_meta_get(store, cb_buffer_text(&full), value, reterr_error);
    }
    cb_buffer_clear(&full);
    return status;
}

cb_status cb_exchange_mark_put(cb_store *store, const char *name, cb_span value,
                               cb_error *reterr_error)
{
    cb_buffer full;
    cb_status status = mark_name(name, &full, reterr_error);
    if (status == CB_OK) {
        status = cb_meta_put(store, cb_buffer_text(&full), value.bytes,
                             value.size, reterr_error);
    }
    cb_buffer_clear(&full);
    return status;
}
