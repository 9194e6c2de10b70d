/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that this store wrote before its present one.
 *
 * A store that was put back begins a new stream, perhaps far from any network.
 * What it had written in the one before and not yet sent has to arrive at the
 * hub all the same, and the log host takes a stream's commits only with a
 * signature of that stream's key.  So the key stays until everything it signed
 * has been sent: `meta` "stream.earlier" holds, for each such stream, its id
 * (16) and key (64).  No entry is ever signed with it again, for nothing is
 * recorded while an earlier stream is entered.
 *
 * Where everything had been sent the key is zero.  The row is there all the
 * same until the next sync: another copy may have gone on with the stream and
 * sent that, and then it is taken back in.
 */
#include "store/internal.h"

#include <casebound/exchange.h>
#include <sodium.h>
#include <string.h>

#define NAME      "stream.earlier"
#define ROW_BYTES ((size_t)CB_IDENTIFIER_BYTES + CB_SIGNING_KEY_BYTES)

/* What is kept, and zeroed room for one more. */
static cb_status load(cb_store *store, cb_secret **ret_rows, size_t *ret_size,
                      cb_error *error)
{
    cb_secret *rows = NULL;
    cb_query query = cb_query_begin(store->database, "meta_get");
    cb_query_bind_text(&query, ":name", NAME);
    cb_status status = cb_query_step(&query, error);
    cb_span value = { NULL, 0 };
    if (status == CB_OK) {
        value = cb_query_blob(&query, 0);
    }
    if (value.size % ROW_BYTES != 0) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store's value '%s' does not have the form "
                              "expected",
                              NAME);
    }
    if (status == CB_OK || status == CB_END) {
        status = cb_secret_create(value.size + ROW_BYTES, &rows, error);
    }
    if (status == CB_OK) {
        if (value.size > 0) {
            memcpy(cb_secret_bytes(rows), value.bytes, value.size);
        }
        *ret_size = value.size;
        *ret_rows = rows;
    }
    cb_query_end(&query);
    return status;
}

/* Whether the hub may lack something that the present key has signed. */
static cb_status is_unsent(cb_store *store, bool *ret_unsent, cb_error *error)
{
    uint64_t unreceipted = 0;
    uint64_t unpushed = 0;
    cb_status status =
        cb_exchange_unsent(store, &unreceipted, &unpushed, error);
    /* Nobody gives a hub receipts for what it writes itself. */
    *ret_unsent = unpushed > 0 || (!store->identity.hub && unreceipted > 0);
    return status;
}

cb_status cb_earlier_gather(cb_store *store, cb_secret **ret_rows,
                            size_t *ret_size, cb_error *error)
{
    bool unsent = false;
    cb_secret *rows = NULL;
    size_t size = 0;
    cb_status status = load(store, &rows, &size, error);
    if (status == CB_OK && store->identity.joined) {
        status = is_unsent(store, &unsent, error);
    }
    if (status == CB_OK && store->identity.joined) {
        uint8_t *row = cb_secret_bytes(rows) + size;
        memcpy(row, store->identity.stream.bytes, CB_IDENTIFIER_BYTES);
        if (unsent) {
            memcpy(row + CB_IDENTIFIER_BYTES, cb_secret_view(store->stream_key),
                   CB_SIGNING_KEY_BYTES);
        }
        size += ROW_BYTES;
    }
    if (status != CB_OK) {
        cb_secret_destroy(rows);
        return status;
    }
    *ret_rows = rows;
    *ret_size = size;
    return CB_OK;
}

cb_status cb_earlier_keep(cb_store *store, cb_error *error)
{
    cb_secret *rows = NULL;
    size_t size = 0;
    cb_status status = cb_earlier_gather(store, &rows, &size, error);
    if (status == CB_OK && size > 0) {
        status = cb_meta_put(store, NAME, cb_secret_view(rows), size, error);
    }
    cb_secret_destroy(rows);
    return status;
}

/* Only memory may know yet that this is an older copy, see witness.c. */
static cb_status return_to_present(cb_store *store, cb_error *error)
{
    const bool restored = store->identity.restored;
    store->in_earlier = false;
    cb_status status = cb_identity_load(store, error);
    store->identity.restored = store->identity.restored || restored;
    store->stale = status != CB_OK;
    return status;
}

cb_status cb_exchange_earlier_enter(cb_store *store, bool *ret_can_sign,
                                    cb_error *reterr_error)
{
    cb_secret *rows = NULL;
    cb_secret *key = NULL;
    size_t size = 0;
    CB_ASSERT(!store->in_earlier);
    cb_status status = load(store, &rows, &size, reterr_error);
    if (status == CB_OK && size == 0) {
        status = CB_END;
    }
    if (status == CB_OK) {
        status = cb_secret_create(CB_SIGNING_KEY_BYTES, &key, reterr_error);
    }
    if (status == CB_OK) {
        store->in_earlier = true;
        memcpy(store->identity.stream.bytes, cb_secret_view(rows),
               CB_IDENTIFIER_BYTES);
        memcpy(cb_secret_bytes(key), cb_secret_view(rows) + CB_IDENTIFIER_BYTES,
               CB_SIGNING_KEY_BYTES);
        cb_secret_destroy(store->stream_key);
        store->stream_key = key;
        *ret_can_sign = !cb_is_zero(cb_secret_view(key), CB_SIGNING_KEY_BYTES);
        key = NULL;
        status = cb_identity_enter_stream(store, reterr_error);
    }
    if (status != CB_OK && store->in_earlier) {
        (void)return_to_present(store, NULL);
    }
    cb_secret_destroy(rows);
    cb_secret_destroy(key);
    return status;
}

static cb_status forget_first(cb_store *store, cb_error *error)
{
    cb_secret *rows = NULL;
    size_t size = 0;
    cb_status status = load(store, &rows, &size, error);
    if (status == CB_OK && size >= ROW_BYTES) {
        status = cb_store_begin(store, error);
        if (status == CB_OK) {
            status = cb_meta_put(store, NAME, cb_secret_view(rows) + ROW_BYTES,
                                 size - ROW_BYTES, error);
        }
        if (status == CB_OK) {
            status = cb_store_commit(store, error);
        }
        if (status != CB_OK) {
            cb_store_abort(store);
        }
    }
    cb_secret_destroy(rows);
    return status;
}

cb_status cb_exchange_earlier_leave(cb_store *store, bool done,
                                    cb_error *reterr_error)
{
    cb_status status = return_to_present(store, reterr_error);
    return status == CB_OK && done ? forget_first(store, reterr_error) : status;
}
