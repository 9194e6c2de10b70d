/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include "base/json.h"

#include <casebound/when.h>

#include <stdlib.h>
#include <string.h>

const char *const cb_precision_words[] = {
    [CB_WHEN_YEAR] = "year",     [CB_WHEN_MONTH] = "month",
    [CB_WHEN_DAY] = "day",       [CB_WHEN_MINUTE] = "minute",
    [CB_WHEN_SECOND] = "second",
};

int cb_precision_index(const char *word)
{
    for (int i = CB_WHEN_YEAR; word != NULL && i <= CB_WHEN_SECOND; i++) {
        if (strcmp(cb_precision_words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

static cb_status wrong(const cb_field *field, cb_error *error,
                       const char *accepted)
{
    return cb_error_set(error, CB_INPUT, "'%s' is not %s", field->name,
                        accepted);
}

static cb_status check_text(const cb_field *field, const json_t *value,
                            cb_error *error)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);
    if (text == NULL || size == 0) {
        return wrong(field, error, "a text that says something");
    }
    if (size > field->bytes_max) {
        return cb_error_set(error, CB_LIMIT,
                            "'%s' has %zu bytes, and may have %zu", field->name,
                            size, field->bytes_max);
    }
    switch (cb_text_check(text, size, field->kind == CB_FIELD_TEXT)) {
    case CB_TEXT_NOT_UTF8: return wrong(field, error, "a text in UTF-8");
    case CB_TEXT_CONTROL:
        return wrong(field, error,
                     field->kind == CB_FIELD_TEXT
                         ? "a text without control characters"
                         : "one line without control characters");
    case CB_TEXT_GOOD: break;
    }
    return CB_OK;
}

static cb_status check_code(const cb_field *field, const json_t *value,
                            cb_error *error)
{
    const char *code = json_string_value(value);
    if (code == NULL || strlen(code) != json_string_length(value) ||
        cb_code_list_find(field->codes, code) == NULL) {
        return cb_error_set(error, CB_INPUT,
                            "'%s' is not a code of the list '%s'", field->name,
                            field->codes->title);
    }
    return CB_OK;
}

static cb_status check_hex(const cb_field *field, const json_t *value,
                           size_t size, cb_error *error)
{
    uint8_t bytes[CB_HASH_BYTES];
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) != 2 * size ||
        !cb_hex_parse(text, bytes, size)) {
        return cb_error_set(error, CB_INPUT,
                            "'%s' is not %zu hexadecimal digits", field->name,
                            2 * size);
    }
    return CB_OK;
}

static cb_status check_when(const cb_field *field, const json_t *value,
                            cb_error *error)
{
    int64_t ms = 0;
    bool right = json_object_size(value) == 2 &&
                 cb_json_integer(value, "ms", &ms) &&
                 cb_precision_index(cb_json_text(value, "precision")) >= 0;
    int64_t first_ms = cb_when_days(CB_WHEN_YEAR_MIN, 1, 1) * 86400000;
    int64_t after_ms = cb_when_days(CB_WHEN_YEAR_MAX + 1, 1, 1) * 86400000;
    if (!right || ms < first_ms || ms >= after_ms) {
        return wrong(field, error, "a moment with its precision");
    }
    return CB_OK;
}

static cb_status check_number(const cb_field *field, const json_t *value,
                              cb_error *error)
{
    if (!json_is_integer(value) || json_integer_value(value) < field->minimum ||
        json_integer_value(value) > field->maximum) {
        return cb_error_set(
            error, CB_INPUT, "'%s' is not a whole number from %lld to %lld",
            field->name, (long long)field->minimum, (long long)field->maximum);
    }
    return CB_OK;
}

/* A value by itself, or one member of a set. */
static cb_status check_one(const cb_field *field, const json_t *value,
                           cb_error *error)
{
    const char *date = NULL;
    switch (field->kind) {
    case CB_FIELD_LINE:
    case CB_FIELD_TEXT:
    case CB_FIELD_LINES: return check_text(field, value, error);
    case CB_FIELD_CODE:
    case CB_FIELD_CODES: return check_code(field, value, error);
    case CB_FIELD_YESNO:
        return json_is_boolean(value) ? CB_OK
                                      : wrong(field, error, "yes or no");
    case CB_FIELD_INTEGER:
    case CB_FIELD_PENCE: return check_number(field, value, error);
    case CB_FIELD_DATE:
        date = json_string_value(value);
        if (date == NULL || strlen(date) != json_string_length(value) ||
            !cb_date_is_valid(date)) {
            return wrong(field, error,
                         "a date such as 2017-03-14, 2017-03 or 2017");
        }
        return CB_OK;
    case CB_FIELD_WHEN: return check_when(field, value, error);
    case CB_FIELD_PERSON:
    case CB_FIELD_PERSONS:
    case CB_FIELD_RECORD:
    case CB_FIELD_RECORDS:
    case CB_FIELD_STAFF:
    case CB_FIELD_STAFFS:
        return check_hex(field, value, CB_IDENTIFIER_BYTES, error);
    case CB_FIELD_HASH: return check_hex(field, value, CB_HASH_BYTES, error);
    case CB_FIELD_KIND_COUNT: break;
    }
    cb_assertion_failed(__FILE__, __LINE__, field->name);
}

cb_status cb_field_check(const cb_field *field, const json_t *value,
                         cb_error *reterr_error)
{
    if (!cb_kind_is_set(field->kind)) {
        return check_one(field, value, reterr_error);
    }
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count == 0) {
        return wrong(field, reterr_error, "a set of one or more");
    }
    if (count > field->items_max) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "'%s' has %zu members, and may have %zu",
                            field->name, count, field->items_max);
    }
    const char *before = "";
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(value, i);
        cb_status status = check_one(field, item, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        const char *text = json_string_value(item);
        if (strcmp(before, text) >= 0) {
            return wrong(field, reterr_error, "a set in order, each once");
        }
        before = text;
        bytes += json_string_length(item);
    }
    if (bytes > CB_TEXT_BYTES_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "'%s' has %zu bytes in all, and may have %d",
                            field->name, bytes, CB_TEXT_BYTES_MAX);
    }
    return CB_OK;
}

cb_status cb_type_check(const cb_type *type, const json_t *fields,
                        bool complete, cb_error *reterr_error)
{
    if (!json_is_object(fields)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the fields of '%s' are not an object",
                            type->title);
    }
    if (json_object_size(fields) > CB_FIELDS_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "'%s' has more than %d fields", type->title,
                            CB_FIELDS_MAX);
    }
    size_t known = 0;
    for (size_t i = 0; i < type->field_count; i++) {
        const cb_field *field = &type->fields[i];
        const json_t *value = json_object_get(fields, field->name);
        known += value == NULL ? 0 : 1;
        if (field->required &&
            (json_is_null(value) || (complete && value == NULL))) {
            cb_status status =
                cb_error_set(reterr_error, CB_INPUT, "'%s' needs '%s' (%s)",
                             type->title, field->name, field->title);
            cb_error_next(reterr_error,
                          "give %s=VALUE; the forms: casebound "
                          "types %s",
                          field->name, type->name);
            return status;
        }
        if (value == NULL || (!complete && json_is_null(value))) {
            continue;
        }
        cb_status status = cb_field_check(field, value, reterr_error);
        if (status != CB_OK) {
            return status;
        }
    }
    if (known == json_object_size(fields)) {
        return CB_OK;
    }
    for (void *at = json_object_iter((json_t *)(uintptr_t)fields); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)fields, at)) {
        const cb_field *field = NULL;
        cb_status status = cb_type_find_field(type, json_object_iter_key(at),
                                              &field, reterr_error);
        if (status != CB_OK) {
            return status;
        }
    }
    return wrong(&type->fields[0], reterr_error, "spelt as the model has it");
}

/* Where the order puts a code, or beyond it. */
static size_t rank_of(const cb_field *field, const char *word)
{
    size_t i = 0;
    while (i < field->order_count && strcmp(field->order[i], word) != 0) {
        i++;
    }
    return i;
}

/* A moment or a number, for comparing; false where it is not one. */
static bool number_of(const cb_field *field, const json_t *value,
                      int64_t *ret_number)
{
    if (field->kind == CB_FIELD_WHEN) {
        return cb_json_integer(value, "ms", ret_number);
    }
    *ret_number = (int64_t)json_integer_value(value);
    return json_is_integer(value);
}

/* Whatever cannot be ranked is ordered by its text, only to be total. */
static int compare_texts(const json_t *a, const json_t *b)
{
    const size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY;
    if (json_is_string(a) && json_is_string(b)) {
        size_t a_size = json_string_length(a);
        size_t b_size = json_string_length(b);
        int order = memcmp(json_string_value(a), json_string_value(b),
                           a_size < b_size ? a_size : b_size);
        return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
    }
    char *a_text = json_dumps(a, flags);
    char *b_text = json_dumps(b, flags);
    int order =
        strcmp(a_text == NULL ? "" : a_text, b_text == NULL ? "" : b_text);
    free(a_text);
    free(b_text);
    return order;
}

int cb_field_compare(const cb_field *field, const json_t *a, const json_t *b)
{
    bool no_a = a == NULL || json_is_null(a);
    bool no_b = b == NULL || json_is_null(b);
    if (no_a || no_b) {
        return (no_a ? 0 : 1) - (no_b ? 0 : 1);
    }
    if (json_equal(a, b)) {
        return 0;
    }
    bool knows_a = cb_field_check(field, a, NULL) == CB_OK;
    bool knows_b = cb_field_check(field, b, NULL) == CB_OK;
    if (!knows_a || !knows_b || field->order_count == 0) {
        int order = (knows_a ? 0 : 1) - (knows_b ? 0 : 1);
        return order != 0 ? order : compare_texts(a, b);
    }
    if (field->kind == CB_FIELD_CODE) {
        size_t rank_a = rank_of(field, json_string_value(a));
        size_t rank_b = rank_of(field, json_string_value(b));
        return (rank_a > rank_b) - (rank_a < rank_b);
    }
    if (field->kind == CB_FIELD_YESNO) {
        size_t rank_a = rank_of(field, json_is_true(a) ? "yes" : "no");
        size_t rank_b = rank_of(field, json_is_true(b) ? "yes" : "no");
        return (rank_a > rank_b) - (rank_a < rank_b);
    }
    int order = 0;
    int64_t number_a = 0;
    int64_t number_b = 0;
    if (number_of(field, a, &number_a) && number_of(field, b, &number_b)) {
        order = (number_a > number_b) - (number_a < number_b);
    }
    if (order == 0) {
        order = compare_texts(a, b);
    }
    bool falling = strcmp(field->order[0], "latest") == 0 ||
                   strcmp(field->order[0], "highest") == 0;
    return falling ? -order : order;
}
