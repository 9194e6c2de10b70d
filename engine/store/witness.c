/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

#define WITNESS_BYTES_MAX 4096

/*
 * The witness outside the database says how far our stream had come.  A store
 * that is behind its witness is an older copy of itself.
 */
cb_status cb_witness_check(cb_store *store, cb_error *error)
{
    char *path = cb_store_path(store->folder, "witness");
    json_t *document = NULL;
    cb_buffer text;
    cb_buffer_init(&text, WITNESS_BYTES_MAX);
    cb_status status =
        path == NULL ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                     : store->environment->read_file(
                           store->environment->context, path, &text, error);
    if (status == CB_NOT_FOUND) {
        status = CB_OK;
        goto out;
    }
    if (status == CB_OK &&
        cb_json_parse(cb_span_of_buffer(&text), &document, NULL) == CB_OK) {
        cb_stream_id stream;
        int64_t seq = 0;
        if (cb_json_bytes(document, "stream", stream.bytes,
                          sizeof stream.bytes) &&
            cb_json_integer(document, "seq", &seq) &&
            memcmp(&stream, &store->identity.stream, sizeof stream) == 0 &&
            seq > (int64_t)store->identity.head_seq) {
            store->identity.restored = true;
        }
    }
out:
    json_decref(document);
    cb_buffer_clear(&text);
    free(path);
    return status;
}

cb_status cb_exchange_write_witness(cb_store *store, cb_error *reterr_error)
{
    const cb_store_identity *identity = &store->identity;
    /* What an older copy knows says less than what stands there. */
    if (identity->restored || !identity->joined) {
        return CB_OK;
    }
    char *path = cb_store_path(store->folder, "witness");
    json_t *document = json_pack(
        "{s:o, s:o, s:I, s:o, s:I, s:i}", "store",
        cb_json_hex(store->store_id, sizeof store->store_id), "stream",
        cb_json_hex(identity->stream.bytes, sizeof identity->stream.bytes),
        "seq", (json_int_t)identity->head_seq, "head",
        cb_json_hex(store->head_hash.bytes, sizeof store->head_hash.bytes),
        "checkpoint", (json_int_t)identity->seen_size, "version", 1);
    cb_buffer text;
    cb_buffer_init(&text, WITNESS_BYTES_MAX);
    cb_status status =
        path == NULL || document == NULL
            ? cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory")
            : cb_json_append(document, &text, reterr_error);
    if (status == CB_OK) {
        status = store->environment->replace_file(
            store->environment->context, path, cb_span_of_buffer(&text),
            reterr_error);
    }
    json_decref(document);
    cb_buffer_clear(&text);
    free(path);
    return status;
}
