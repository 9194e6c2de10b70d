/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a table before it was built anew, against those after. */
#include "store/check.h"

#include <sodium.h>
#include <string.h>

struct row {
    uint8_t key[CB_CHECK_KEY_BYTES];
    uint8_t hash[16];
};

static void hash_column(crypto_generichash_state *state, const cb_query *query,
                        int column)
{
    uint8_t head[9] = { cb_query_is_null(query, column) ? 0 : 1 };
    cb_span value = cb_query_blob(query, column);
    cb_put_u64(head + 1, value.size);
    (void)crypto_generichash_update(state, head, sizeof head);
    if (value.size > 0) {
        (void)crypto_generichash_update(state, value.bytes, value.size);
    }
}

static void read_row(const cb_query *query, bool pair, struct row *row)
{
    crypto_generichash_state state;
    int keys = pair ? 2 : 1;
    memset(row, 0, sizeof *row);
    for (int i = 0; i < keys; i++) {
        (void)cb_query_copy(query, i,
                            row->key + (size_t)i * CB_IDENTIFIER_BYTES,
                            CB_IDENTIFIER_BYTES);
    }
    (void)crypto_generichash_init(&state, NULL, 0, sizeof row->hash);
    for (int i = keys; i < sqlite3_column_count(query->statement); i++) {
        hash_column(&state, query, i);
    }
    (void)crypto_generichash_final(&state, row->hash, sizeof row->hash);
}

cb_status cb_check_rows_take(cb_check *check, cb_query *query, bool pair,
                             cb_check_list *rows, cb_error *words)
{
    rows->size = sizeof(struct row);
    rows->count = 0;
    cb_status status = cb_query_step(query, words);
    while (status == CB_OK) {
        struct row row;
        read_row(query, pair, &row);
        status = cb_check_keep(check, rows, &row);
        if (status == CB_OK) {
            status = cb_query_step(query, words);
        } else {
            (void)cb_error_set(words, status, "out of memory");
        }
    }
    cb_query_end(query);
    return status == CB_END ? CB_OK : status;
}

/* Reports what was there before and sorts in front of `key` (NULL: the end). */
static cb_status pass_extra(cb_check *check, const cb_check_list *rows,
                            size_t *next, const uint8_t *key,
                            cb_check_row_callback callback, void *context)
{
    cb_status status = CB_OK;
    while (status == CB_OK && *next < rows->count) {
        const struct row *row = cb_check_kept(rows, *next);
        if (key != NULL && memcmp(row->key, key, sizeof row->key) >= 0) {
            break;
        }
        status = callback(check, context, row->key, CB_CHECK_ROW_EXTRA);
        (*next)++;
    }
    return status;
}

cb_status cb_check_rows_compare(cb_check *check, cb_query *query, bool pair,
                                const cb_check_list *rows,
                                cb_check_row_callback callback, void *context,
                                cb_error *words)
{
    size_t next = 0;
    cb_status status = cb_query_step(query, words);
    while (status == CB_OK) {
        struct row now;
        read_row(query, pair, &now);
        status = pass_extra(check, rows, &next, now.key, callback, context);
        const struct row *before =
            next < rows->count ? cb_check_kept(rows, next) : NULL;
        bool same_key =
            before != NULL && memcmp(before->key, now.key, sizeof now.key) == 0;
        if (status == CB_OK && !same_key) {
            status = callback(check, context, now.key, CB_CHECK_ROW_MISSING);
        } else if (status == CB_OK &&
                   memcmp(before->hash, now.hash, sizeof now.hash) != 0) {
            status = callback(check, context, now.key, CB_CHECK_ROW_CHANGED);
        }
        next += same_key;
        if (status == CB_OK) {
            status = cb_query_step(query, words);
        }
    }
    cb_query_end(query);
    return status == CB_END
               ? pass_extra(check, rows, &next, NULL, callback, context)
               : status;
}

const char *cb_check_change_words(enum cb_check_change change)
{
    switch (change) {
    case CB_CHECK_ROW_MISSING: return "is missing";
    case CB_CHECK_ROW_EXTRA: return "should not be there";
    case CB_CHECK_ROW_CHANGED:
    default: return "was changed";
    }
}
