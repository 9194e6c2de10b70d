/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person's words into a value.  What was typed is never repeated in a message
 * about a personal field, for messages end up on screens and in logs.
 */
#include "model/internal.h"

#include "base/json.h"

#include <casebound/when.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest word that is looked at closely; longer ones are no code or date. */
#define WORD_BYTES_MAX 200

static cb_status refuse(const cb_field *field, const char *text,
                        const char *accepted, cb_error *error)
{
    cb_status status = CB_INPUT;
    if (field->personal) {
        status = cb_error_set(error, CB_INPUT,
                              "what was given for '%s' is not "
                              "%s",
                              field->name, accepted);
    } else {
        status = cb_error_set(error, CB_INPUT, "'%.60s' is not %s for '%s'",
                              text, accepted, field->name);
    }
    cb_error_meaning(error, "nothing was recorded");
    return status;
}

static bool is_blank(char letter)
{
    return letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r';
}

/* Without blanks at both ends; borrowed. */
static cb_span trim(cb_span text)
{
    while (text.size > 0 && is_blank((char)text.bytes[0])) {
        text.bytes++;
        text.size--;
    }
    while (text.size > 0 && is_blank((char)text.bytes[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* As a C text, or false where it is longer than any word that matters. */
static bool copy_word(cb_span span, char word[WORD_BYTES_MAX + 1])
{
    span = trim(span);
    if (span.size > WORD_BYTES_MAX) {
        return false;
    }
    memcpy(word, span.bytes, span.size);
    word[span.size] = '\0';
    return true;
}

static json_t *string_of(cb_span span)
{
    return json_stringn((const char *)span.bytes, span.size);
}

/* CR LF and CR, as files from elsewhere have them, become LF. */
static cb_status parse_text(const cb_field *field, cb_span span,
                            json_t **ret_value, cb_error *error)
{
    if (span.size > 2 * (size_t)CB_TEXT_BYTES_MAX) {
        return cb_error_set(error, CB_LIMIT,
                            "'%s' has %zu bytes, and may have %zu", field->name,
                            span.size, field->bytes_max);
    }
    cb_buffer text;
    cb_buffer_init(&text, 2 * (size_t)CB_TEXT_BYTES_MAX);
    for (size_t i = 0; i < span.size; i++) {
        char letter = (char)span.bytes[i];
        if (letter == '\r') {
            bool pair = i + 1 < span.size && span.bytes[i + 1] == '\n';
            if (pair) {
                continue;
            }
            letter = '\n';
        }
        cb_buffer_append(&text, &letter, 1);
    }
    cb_status status = cb_buffer_check(&text, error);
    if (status == CB_OK) {
        json_t *value = string_of(cb_span_of_buffer(&text));
        if (value == NULL) {
            status = cb_error_set(error, CB_INPUT, "'%s' is not in UTF-8",
                                  field->name);
            cb_error_next(error, "save the text as UTF-8 and try again");
        } else {
            *ret_value = value;
        }
    }
    cb_buffer_clear(&text);
    return status;
}

/* A suggestion's title where the words are one, so that it is spelt one way. */
static cb_span respell(const cb_field *field, cb_span span)
{
    char word[WORD_BYTES_MAX + 1] = "";
    if (field->codes == NULL || !copy_word(span, word)) {
        return span;
    }
    for (size_t i = 0; i < field->codes->count; i++) {
        const cb_code *code = &field->codes->codes[i];
        if (cb_words_equal(code->code, word) ||
            cb_words_equal(code->title, word)) {
            return cb_span_of_text(code->title);
        }
    }
    return span;
}

static cb_status parse_line(const cb_field *field, cb_span span,
                            json_t **ret_value, cb_error *error)
{
    span = respell(field, span);
    if (span.size > field->bytes_max) {
        return cb_error_set(error, CB_LIMIT,
                            "'%s' has %zu bytes, and may have %zu", field->name,
                            span.size, field->bytes_max);
    }
    json_t *value = string_of(span);
    if (value == NULL) {
        return cb_error_set(error, CB_INPUT, "'%s' is not in UTF-8",
                            field->name);
    }
    *ret_value = value;
    return CB_OK;
}

/* The codes in one sentence, as many as fit. */
static void list_codes(const cb_code_list *list, char *words, size_t size)
{
    size_t at = 0;
    words[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        const char *code = list->codes[i].code;
        if (at + strlen(code) + 8 > size) {
            (void)snprintf(words + at, size - at, ", ...");
            return;
        }
        at += (size_t)snprintf(words + at, size - at, "%s%s",
                               i == 0 ? "" : ", ", code);
    }
}

static cb_status parse_code(const cb_field *field, cb_span span,
                            json_t **ret_value, cb_error *error)
{
    char word[WORD_BYTES_MAX + 1] = "";
    bool fits = copy_word(span, word);
    for (size_t i = 0; fits && i < field->codes->count; i++) {
        const cb_code *code = &field->codes->codes[i];
        if (cb_words_equal(code->code, word) ||
            cb_words_equal(code->title, word)) {
            *ret_value = json_string(code->code);
            return *ret_value == NULL
                       ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                       : CB_OK;
        }
    }
    char words[CB_ERROR_TEXT_BYTES / 2];
    list_codes(field->codes, words, sizeof words);
    cb_status status = refuse(field, word, "a code", error);
    const cb_code *nearest = cb_code_list_nearest(field->codes, word);
    if (nearest != NULL) {
        cb_error_next(error, "did you mean '%s'? The codes are: %s",
                      nearest->code, words);
    } else {
        cb_error_next(error, "give one of: %s", words);
    }
    return status;
}

static cb_status parse_yesno(const cb_field *field, const char *text,
                             json_t **ret_value, cb_error *error)
{
    static const char *const yes[] = { "yes", "y", "true" };
    static const char *const no[] = { "no", "n", "false" };
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (cb_words_equal(text, yes[i])) {
            *ret_value = json_true();
            return CB_OK;
        }
        if (cb_words_equal(text, no[i])) {
            *ret_value = json_false();
            return CB_OK;
        }
    }
    cb_status status = refuse(field, text, "yes or no", error);
    cb_error_next(error, "give %s=yes or %s=no", field->name, field->name);
    return status;
}

/* Digits only, at most 15 of them, so that nothing overflows. */
static bool parse_digits(const char *text, size_t size, int64_t *ret_number)
{
    if (size == 0 || size > 15) {
        return false;
    }
    int64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (text[i] - '0');
    }
    *ret_number = number;
    return true;
}

static cb_status parse_integer(const cb_field *field, const char *text,
                               json_t **ret_value, cb_error *error)
{
    bool negative = text[0] == '-';
    const char *first = negative ? text + 1 : text;
    int64_t number = 0;
    if (!parse_digits(first, strlen(first), &number)) {
        cb_status status = refuse(field, text, "a whole number", error);
        cb_error_next(error, "give a number from %lld to %lld",
                      (long long)field->minimum, (long long)field->maximum);
        return status;
    }
    *ret_value = json_integer(negative ? -number : number);
    return CB_OK;
}

static cb_status parse_pence(const cb_field *field, const char *text,
                             json_t **ret_value, cb_error *error)
{
    static const char pound[] = "\xc2\xa3";
    const char *first = text;
    if (strncmp(first, pound, 2) == 0) {
        first += 2;
    }
    const char *point = strchr(first, '.');
    size_t whole = point == NULL ? strlen(first) : (size_t)(point - first);
    int64_t pounds = 0;
    int64_t pence = 0;
    bool right = whole <= 12 && parse_digits(first, whole, &pounds);
    if (point != NULL) {
        right =
            right && strlen(point) == 3 && parse_digits(point + 1, 2, &pence);
    }
    if (!right) {
        cb_status status = refuse(field, text, "an amount", error);
        cb_error_next(error, "give pounds and pence, such as 12.50");
        return status;
    }
    *ret_value = json_integer(pounds * 100 + pence);
    return CB_OK;
}

/* "yesterday": the day in London on which the moment lies. */
static cb_status resolve_date(const cb_model_resolver *resolver,
                              const char *text, char date[CB_DATE_TEXT_BYTES],
                              cb_error *error)
{
    int64_t ms = 0;
    const char *precision = NULL;
    cb_status status =
        resolver->moment(resolver->context, text, &ms, &precision, error);
    if (status != CB_OK) {
        return status;
    }
    cb_civil local = cb_when_local(ms);
    char whole[CB_WHEN_TEXT_BYTES];
    (void)snprintf(whole, sizeof whole, "%04d-%02d-%02d", (int)local.year,
                   local.month, local.day);
    int exact = cb_precision_index(precision);
    size_t size = exact == CB_WHEN_YEAR ? 4 : exact == CB_WHEN_MONTH ? 7 : 10;
    memcpy(date, whole, size);
    date[size] = '\0';
    return CB_OK;
}

static cb_status parse_date(const cb_field *field, const char *text,
                            const cb_model_resolver *resolver,
                            json_t **ret_value, cb_error *error)
{
    char date[CB_DATE_TEXT_BYTES] = "";
    cb_status status = CB_OK;
    if (cb_date_is_valid(text)) {
        memcpy(date, text, strlen(text) + 1);
    } else if (cb_date_rewrite(text, date)) {
        status = CB_OK;
    } else if (resolver != NULL && resolver->moment != NULL) {
        status = resolve_date(resolver, text, date, error);
    } else {
        status = refuse(field, text, "a date", error);
    }
    if (status != CB_OK) {
        cb_error_next(error, "give 2017-03-14, 14/03/2017, 2017-03 or 2017");
        return status;
    }
    *ret_value = json_string(date);
    return CB_OK;
}

static cb_status parse_when(const cb_field *field, const char *text,
                            const cb_model_resolver *resolver,
                            json_t **ret_value, cb_error *error)
{
    int64_t ms = 0;
    const char *precision = NULL;
    cb_status status = CB_INPUT;
    int64_t year = 0;
    if (resolver != NULL && resolver->moment != NULL) {
        status =
            resolver->moment(resolver->context, text, &ms, &precision, error);
    } else if (strlen(text) >= 4 && parse_digits(text, 4, &year)) {
        /* A text that begins with its year does not depend on the present. */
        cb_when when = { 0 };
        status = cb_when_parse(text, /* now_ms= */ 0, &when, error);
        ms = when.start_ms;
        precision = cb_precision_words[when.precision];
    } else {
        status = refuse(field, text, "a moment", error);
    }
    if (status != CB_OK) {
        cb_error_next(error, "give 2017-03-14 14:00, 2017-03-14 or 2017-03");
        return status;
    }
    *ret_value =
        json_pack("{s:I, s:s}", "ms", (json_int_t)ms, "precision", precision);
    return CB_OK;
}

static cb_status parse_reference(const cb_field *field, const char *text,
                                 const cb_model_resolver *resolver,
                                 json_t **ret_value, cb_error *error)
{
    char id[CB_HASH_TEXT_BYTES] = "";
    uint8_t bytes[CB_HASH_BYTES];
    size_t size =
        field->kind == CB_FIELD_HASH ? CB_HASH_BYTES : CB_IDENTIFIER_BYTES;
    cb_status status = CB_OK;
    /* A hash is what it is; an id must be one that the caller knows. */
    bool exact = cb_hex_parse(text, bytes, size);
    bool resolvable = resolver != NULL && resolver->reference != NULL;
    if (exact && (field->kind == CB_FIELD_HASH || !resolvable)) {
        cb_hex_format(bytes, size, id);
    } else if (resolvable) {
        status = resolver->reference(resolver->context, field, text, id, error);
    } else {
        status = refuse(field, text, "a known name", error);
        cb_error_next(error, "give %zu hexadecimal digits", 2 * size);
    }
    if (status == CB_OK) {
        *ret_value = json_string(id);
    }
    return status;
}

static cb_status parse_one(const cb_field *field, cb_span span,
                           const cb_model_resolver *resolver,
                           json_t **ret_value, cb_error *error)
{
    char word[WORD_BYTES_MAX + 1] = "";
    if (field->kind == CB_FIELD_TEXT) {
        return parse_text(field, span, ret_value, error);
    }
    if (field->kind == CB_FIELD_LINE || field->kind == CB_FIELD_LINES) {
        return parse_line(field, span, ret_value, error);
    }
    if (field->codes != NULL) {
        return parse_code(field, span, ret_value, error);
    }
    if (!copy_word(span, word)) {
        return cb_error_set(error, CB_INPUT,
                            "what was given for '%s' is too long", field->name);
    }
    switch (field->kind) {
    case CB_FIELD_YESNO: return parse_yesno(field, word, ret_value, error);
    case CB_FIELD_INTEGER: return parse_integer(field, word, ret_value, error);
    case CB_FIELD_PENCE: return parse_pence(field, word, ret_value, error);
    case CB_FIELD_DATE:
        return parse_date(field, word, resolver, ret_value, error);
    case CB_FIELD_WHEN:
        return parse_when(field, word, resolver, ret_value, error);
    case CB_FIELD_LINE:
    case CB_FIELD_TEXT:
    case CB_FIELD_LINES:
    case CB_FIELD_CODE:
    case CB_FIELD_CODES:
    case CB_FIELD_PERSON:
    case CB_FIELD_PERSONS:
    case CB_FIELD_RECORD:
    case CB_FIELD_RECORDS:
    case CB_FIELD_STAFF:
    case CB_FIELD_STAFFS:
    case CB_FIELD_HASH:
    case CB_FIELD_KIND_COUNT: break;
    }
    return parse_reference(field, word, resolver, ret_value, error);
}

/* Puts an item where it belongs by bytes; an equal one is there already. */
static cb_status insert_sorted(json_t *set, json_t *item, cb_error *error)
{
    size_t at = json_array_size(set);
    const char *text = json_string_value(item);
    while (at > 0) {
        int order =
            strcmp(json_string_value(json_array_get(set, at - 1)), text);
        if (order == 0) {
            json_decref(item);
            return CB_OK;
        }
        if (order < 0) {
            break;
        }
        at--;
    }
    if (json_array_insert_new(set, at, item) != 0) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    return CB_OK;
}

static cb_status parse_set(const cb_field *field, cb_span span,
                           const cb_model_resolver *resolver,
                           json_t **ret_value, cb_error *error)
{
    json_t *set = json_array();
    cb_status status = set == NULL
                           ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                           : CB_OK;
    size_t start = 0;
    size_t pieces = 0;
    while (status == CB_OK && start <= span.size) {
        size_t end = start;
        while (end < span.size && span.bytes[end] != ',') {
            end++;
        }
        cb_span piece =
            trim((cb_span){ .bytes = span.bytes + start, .size = end - start });
        json_t *item = NULL;
        start = end + 1;
        if (piece.size == 0) {
            continue;
        }
        pieces++;
        if (pieces > field->items_max) {
            status = cb_error_set(error, CB_LIMIT,
                                  "'%s' may have at most %zu members",
                                  field->name, field->items_max);
            break;
        }
        status = parse_one(field, piece, resolver, &item, error);
        if (status == CB_OK && item == NULL) {
            status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        if (status == CB_OK) {
            status = insert_sorted(set, item, error);
        }
    }
    if (status == CB_OK) {
        *ret_value = set;
        set = NULL;
    }
    json_decref(set);
    return status;
}

/* Titles may hold a comma: the whole is tried as one code first. */
static cb_status parse_codes(const cb_field *field, cb_span span,
                             const cb_model_resolver *resolver,
                             json_t **ret_value, cb_error *error)
{
    json_t *item = NULL;
    if (parse_code(field, span, &item, NULL) != CB_OK) {
        return parse_set(field, span, resolver, ret_value, error);
    }
    *ret_value = json_pack("[o]", item);
    return CB_OK;
}

static cb_status parse_any(const cb_field *field, cb_span span,
                           const cb_model_resolver *resolver,
                           json_t **ret_value, cb_error *error)
{
    if (field->kind == CB_FIELD_CODES) {
        return parse_codes(field, span, resolver, ret_value, error);
    }
    if (cb_kind_is_set(field->kind)) {
        return parse_set(field, span, resolver, ret_value, error);
    }
    return parse_one(field, span, resolver, ret_value, error);
}

cb_status cb_field_parse(const cb_field *field, const char *text,
                         const cb_model_resolver *resolver, json_t **ret_value,
                         cb_error *reterr_error)
{
    cb_span span = trim(cb_span_of_text(text));
    json_t *value = NULL;
    cb_status status = CB_OK;
    if (span.size == 0) {
        if (field->required) {
            status = cb_error_set(reterr_error, CB_INPUT,
                                  "'%s' (%s) cannot be empty", field->name,
                                  field->title);
        } else {
            value = json_null();
        }
    } else {
        status = parse_any(field, span, resolver, &value, reterr_error);
        if (status == CB_OK && value == NULL) {
            status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        }
        if (status == CB_OK) {
            status = cb_field_check(field, value, reterr_error);
        }
    }
    if (status == CB_OK) {
        *ret_value = value;
        value = NULL;
    } else {
        cb_error_meaning(reterr_error, "nothing was recorded");
    }
    json_decref(value);
    return status;
}
