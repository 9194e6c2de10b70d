/* SPDX-License-Identifier: Apache-2.0 */
/* From what a person says (a reference, the start of an id) to the thing. */
#include "store/internal.h"

#include <ctype.h>
#include <string.h>

#define PREFIX_DIGITS_MIN 4

/* The smallest and largest id that start with these digits. */
static bool prefix_range(const char *text, uint8_t *low, uint8_t *high)
{
    size_t digits = strlen(text);
    if (digits < PREFIX_DIGITS_MIN || digits > 2 * CB_IDENTIFIER_BYTES ||
        strspn(text, "0123456789abcdefABCDEF") != digits) {
        return false;
    }
    memset(low, 0, CB_IDENTIFIER_BYTES);
    memset(high, 0xff, CB_IDENTIFIER_BYTES);
    for (size_t i = 0; i < digits; i++) {
        int c = tolower((unsigned char)text[i]);
        unsigned value = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        unsigned shift = i % 2 == 0 ? 4 : 0;
        unsigned mask = 0x0fU << shift;
        low[i / 2] = (uint8_t)((low[i / 2] & ~mask) | (value << shift));
        high[i / 2] = (uint8_t)((high[i / 2] & ~mask) | (value << shift));
    }
    return true;
}

static cb_status not_found(const char *kind, const char *text, const char *next,
                           cb_error *error)
{
    cb_status status = cb_error_set(error, CB_NOT_FOUND,
                                    "there is no %s '%.64s' here", kind, text);
    size_t size = strlen(text);
    if (size < PREFIX_DIGITS_MIN &&
        strspn(text, "0123456789abcdefABCDEF") == size) {
        cb_error_next(error, "give at least four digits of the id; see: %s",
                      next);
    }
    cb_error_next(error, "%s", next);
    return status;
}

/* Two of those that fit, as far as it takes to tell them apart. */
static void name_candidates(cb_error *error, const uint8_t *a, const uint8_t *b)
{
    char first[CB_IDENTIFIER_TEXT_BYTES];
    char second[CB_IDENTIFIER_TEXT_BYTES];
    int digits = 8;
    cb_hex_format(a, CB_IDENTIFIER_BYTES, first);
    cb_hex_format(b, CB_IDENTIFIER_BYTES, second);
    while (digits < 2 * CB_IDENTIFIER_BYTES &&
           strncmp(first, second, (size_t)digits) == 0) {
        digits++;
    }
    cb_error_next(error, "name it by its id, such as %.*s or %.*s", digits,
                  first, digits, second);
}

/*
 * Runs a query that returns at most two rows whose first column is an id;
 * a second row makes the text ambiguous.  `ret_second` takes column 1, or NULL.
 */
static cb_status only_row(cb_query *query, const char *kind, const char *text,
                          uint8_t *ret_id, uint8_t *ret_second, cb_error *error)
{
    uint8_t id[CB_IDENTIFIER_BYTES];
    uint8_t second[CB_IDENTIFIER_BYTES] = { 0 };
    cb_status status = cb_query_step(query, error);
    if (status == CB_OK) {
        (void)cb_query_copy(query, 0, id, sizeof id);
        if (ret_second != NULL) {
            (void)cb_query_copy(query, 1, second, sizeof second);
        }
        status = cb_query_step(query, error);
        if (status == CB_OK) {
            uint8_t other[CB_IDENTIFIER_BYTES] = { 0 };
            (void)cb_query_copy(query, 0, other, sizeof other);
            status = cb_error_set(error, CB_AMBIGUOUS,
                                  "'%.64s' fits more than one %s", text, kind);
            name_candidates(error, id, other);
        } else if (status == CB_END) {
            memcpy(ret_id, id, sizeof id);
            if (ret_second != NULL) {
                memcpy(ret_second, second, sizeof second);
            }
            status = CB_OK;
        }
    } else if (status == CB_END) {
        status = CB_NOT_FOUND;
    }
    cb_query_end(query);
    return status;
}

static cb_status by_prefix(cb_store *store, const char *statement,
                           const char *kind, const char *text, uint8_t *ret_id,
                           uint8_t *ret_second, cb_error *error)
{
    uint8_t low[CB_IDENTIFIER_BYTES];
    uint8_t high[CB_IDENTIFIER_BYTES];
    if (!prefix_range(text, low, high)) {
        return CB_NOT_FOUND;
    }
    cb_query query = cb_query_begin(store->database, statement);
    cb_query_bind_blob(&query, ":low", low, sizeof low);
    cb_query_bind_blob(&query, ":high", high, sizeof high);
    return only_row(&query, kind, text, ret_id, ret_second, error);
}

cb_status cb_store_find_case(cb_store *store, const char *text,
                             cb_case_id *ret_case, cb_error *reterr_error)
{
    static const char next[] = "casebound case list";
    cb_status status = CB_OK;
    if (cb_reference_is_like(text)) {
        cb_reference reference;
        char canonical[CB_REFERENCE_TEXT_BYTES];
        status = cb_reference_parse(text, &reference, reterr_error);
        if (status == CB_OK) {
            status = cb_reference_format(&reference, canonical, reterr_error);
        }
        if (status != CB_OK) {
            return status;
        }
        cb_query query = cb_query_begin(store->database, "case_by_reference");
        cb_query_bind_text(&query, ":reference", canonical);
        status =
            only_row(&query, "case", text, ret_case->bytes, NULL, reterr_error);
    } else {
        status = by_prefix(store, "case_by_prefix", "case", text,
                           ret_case->bytes, NULL, reterr_error);
    }
    return status == CB_NOT_FOUND ? not_found("case", text, next, reterr_error)
                                  : status;
}

cb_status cb_store_find_record(cb_store *store, const char *text,
                               cb_record_id *ret_record, cb_case_id *ret_case,
                               cb_error *reterr_error)
{
    cb_status status =
        by_prefix(store, "record_by_prefix", "record", text, ret_record->bytes,
                  ret_case->bytes, reterr_error);
    return status == CB_NOT_FOUND
               ? not_found("record", text, "casebound case show CASE",
                           reterr_error)
               : status;
}

cb_status cb_store_find_issue(cb_store *store, const char *text,
                              cb_case_id *ret_case, cb_error *reterr_error)
{
    uint8_t id[CB_IDENTIFIER_BYTES];
    cb_status status = by_prefix(store, "conflict_by_prefix", "conflict", text,
                                 id, ret_case->bytes, reterr_error);
    if (status == CB_NOT_FOUND) {
        status = by_prefix(store, "task_by_prefix", "task", text, id,
                           ret_case->bytes, reterr_error);
    }
    return status == CB_NOT_FOUND
               ? not_found("conflict or task", text, "casebound conflicts",
                           reterr_error)
               : status;
}

cb_status cb_store_find_person(cb_store *store, const char *text,
                               cb_person_id *ret_person, cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "person_by_name");
    cb_query_bind_text(&query, ":name", text);
    cb_status status =
        only_row(&query, "person", text, ret_person->bytes, NULL, reterr_error);
    if (status == CB_NOT_FOUND) {
        status = by_prefix(store, "person_by_prefix", "person", text,
                           ret_person->bytes, NULL, reterr_error);
    }
    if (status == CB_NOT_FOUND) {
        status = by_prefix(store, "device_by_prefix", "device", text,
                           ret_person->bytes, NULL, reterr_error);
    }
    return status == CB_NOT_FOUND
               ? not_found("person or device", text, "casebound hub people",
                           reterr_error)
               : status;
}
