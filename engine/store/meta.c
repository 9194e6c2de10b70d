/* SPDX-License-Identifier: Apache-2.0 */
#include "store/internal.h"

#include <string.h>

cb_status cb_meta_get(cb_store *store, const char *name, cb_buffer *value,
                      cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "meta_get");
    cb_query_bind_text(&query, ":name", name);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        cb_buffer_append_span(value, cb_query_blob(&query, 0));
        status = cb_buffer_check(value, error);
    } else if (status == CB_END) {
        status = CB_NOT_FOUND;
    }
    cb_query_end(&query);
    return status;
}

cb_status cb_meta_get_bytes(cb_store *store, const char *name, void *bytes,
                            size_t size, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "meta_get");
    cb_query_bind_text(&query, ":name", name);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_END) {
        status = CB_NOT_FOUND;
    } else if (status == CB_OK && !cb_query_copy(&query, 0, bytes, size)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store's value '%s' does not have the form "
                              "expected",
                              name);
        cb_error_next(error, "casebound doctor");
    }
    cb_query_end(&query);
    return status;
}

cb_status cb_meta_put(cb_store *store, const char *name, const void *bytes,
                      size_t size, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "meta_put");
    cb_query_bind_text(&query, ":name", name);
    cb_query_bind_blob(&query, ":value", bytes, size);
    return cb_query_run(&query, error);
}

cb_status cb_meta_get_number(cb_store *store, const char *name,
                             uint64_t *ret_value, cb_error *error)
{
    uint8_t bytes[8];
    cb_status status =
        cb_meta_get_bytes(store, name, bytes, sizeof bytes, error);
    if (status == CB_OK) {
        *ret_value = cb_get_u64(bytes);
    }
    return status;
}

cb_status cb_meta_put_number(cb_store *store, const char *name, uint64_t value,
                             cb_error *error)
{
    uint8_t bytes[8];
    cb_put_u64(bytes, value);
    return cb_meta_put(store, name, bytes, sizeof bytes, error);
}

cb_status cb_meta_get_text(cb_store *store, const char *name, char *text,
                           size_t size, cb_error *error)
{
    cb_buffer value;
    cb_buffer_init(&value, size - 1);
    cb_status status = cb_meta_get(store, name, &value, error);
    if (status == CB_OK) {
        memcpy(text, cb_buffer_text(&value), value.size + 1);
    }
    cb_buffer_clear(&value);
    return status;
}

cb_status cb_meta_put_text(cb_store *store, const char *name, const char *text,
                           cb_error *error)
{
    return cb_meta_put(store, name, text, strlen(text), error);
}
