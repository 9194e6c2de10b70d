/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include "base/json.h"

#include <casebound/when.h>

#include <string.h>

#define SUMMARY_FIELD_BYTES_MAX 120

/* Eight digits are enough to find a record by, and short enough to read. */
#define SHORT_ID_DIGITS 8

static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr",
                                           "May", "Jun", "Jul", "Aug",
                                           "Sep", "Oct", "Nov", "Dec" };

/* From a valid date: "14 Mar 2017", "Mar 2017", "2017". */
static void format_date(const char *date, cb_buffer *text)
{
    size_t size = strlen(date);
    if (size == 10) {
        const char *day = date[8] == '0' ? date + 9 : date + 8;
        cb_buffer_append_format(text, "%s ", day);
    }
    if (size >= 7) {
        int month = (date[5] - '0') * 10 + (date[6] - '0');
        cb_buffer_append_format(text, "%s ", month_names[month - 1]);
    }
    cb_buffer_append(text, date, 4);
}

static void format_when(const json_t *value, const cb_model_words *words,
                        cb_buffer *text)
{
    int64_t ms = 0;
    const char *precision = cb_json_text(value, "precision");
    (void)cb_json_integer(value, "ms", &ms);
    if (words != NULL && words->moment != NULL &&
        words->moment(words->context, ms, precision, text)) {
        return;
    }
    cb_civil local = cb_when_local(ms);
    int exact = cb_precision_index(precision);
    if (exact >= CB_WHEN_DAY) {
        cb_buffer_append_format(text, "%d ", local.day);
    }
    if (exact >= CB_WHEN_MONTH) {
        cb_buffer_append_format(text, "%s ", month_names[local.month - 1]);
    }
    cb_buffer_append_format(text, "%lld", (long long)local.year);
    if (exact >= CB_WHEN_MINUTE) {
        cb_buffer_append_format(text, " %02d:%02d", local.hour, local.minute);
    }
    if (exact == CB_WHEN_SECOND) {
        cb_buffer_append_format(text, ":%02d", local.second);
    }
}

static void format_pence(json_int_t pence, cb_buffer *text)
{
    json_int_t size = pence < 0 ? -pence : pence;
    cb_buffer_append_format(text, "%s\xc2\xa3%lld.%02lld", pence < 0 ? "-" : "",
                            (long long)(size / 100), (long long)(size % 100));
}

static void format_reference(const cb_field *field, const char *id,
                             const cb_model_words *words, cb_buffer *text)
{
    if (words != NULL && words->reference != NULL &&
        words->reference(words->context, field, id, text)) {
        return;
    }
    cb_buffer_append(text, id, SHORT_ID_DIGITS);
}

static void format_one(const cb_field *field, const json_t *value,
                       const cb_model_words *words, cb_buffer *text)
{
    const char *word = json_string_value(value);
    switch (field->kind) {
    case CB_FIELD_LINE:
    case CB_FIELD_TEXT:
    case CB_FIELD_LINES:
        cb_buffer_append(text, word, json_string_length(value));
        break;
    case CB_FIELD_CODE:
    case CB_FIELD_CODES:
        cb_buffer_append_text(text, cb_code_title(field->codes, word));
        break;
    case CB_FIELD_YESNO:
        cb_buffer_append_text(text, json_is_true(value) ? "yes" : "no");
        break;
    case CB_FIELD_INTEGER:
        cb_buffer_append_format(text, "%lld",
                                (long long)json_integer_value(value));
        break;
    case CB_FIELD_PENCE: format_pence(json_integer_value(value), text); break;
    case CB_FIELD_DATE: format_date(word, text); break;
    case CB_FIELD_WHEN: format_when(value, words, text); break;
    case CB_FIELD_PERSON:
    case CB_FIELD_PERSONS:
    case CB_FIELD_RECORD:
    case CB_FIELD_RECORDS:
    case CB_FIELD_STAFF:
    case CB_FIELD_STAFFS:
    case CB_FIELD_HASH: format_reference(field, word, words, text); break;
    case CB_FIELD_KIND_COUNT: break;
    }
}

/* A newer version's value: its text, or its JSON. */
static void format_unknown(const json_t *value, cb_buffer *text)
{
    if (json_is_string(value)) {
        cb_buffer_append(text, json_string_value(value),
                         json_string_length(value));
        return;
    }
    /* A failure sticks in the buffer, as any other. */
    cb_status status = cb_json_append(value, text, NULL);
    (void)status;
}

void cb_field_format(const cb_field *field, const json_t *value,
                     const cb_model_words *words, cb_buffer *text)
{
    if (value == NULL || json_is_null(value)) {
        cb_buffer_append_text(text, "-");
        return;
    }
    if (cb_field_check(field, value, NULL) != CB_OK) {
        format_unknown(value, text);
        return;
    }
    if (!cb_kind_is_set(field->kind)) {
        format_one(field, value, words, text);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        cb_buffer_append_text(text, i == 0 ? "" : ", ");
        format_one(field, json_array_get(value, i), words, text);
    }
}

/* ---------------------------------------------------------------- summary */

typedef enum modifier {
    MODIFIER_NONE,
    MODIFIER_UPPER,
    MODIFIER_LOWER,
    MODIFIER_CODE,
    MODIFIER_WRONG
} modifier;

/* "{name:upper}" taken apart. */
typedef struct placeholder {
    const cb_field *field;
    modifier modifier;
    size_t size; /* of all of it, braces included; 0: not closed */
} placeholder;

static modifier modifier_of(const char *word, size_t size)
{
    static const struct {
        const char *word;
        modifier modifier;
    } rows[] = {
        { ":upper", MODIFIER_UPPER },
        { ":lower", MODIFIER_LOWER },
        { ":code", MODIFIER_CODE },
        { "", MODIFIER_NONE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i].word) == size &&
            memcmp(rows[i].word, word, size) == 0) {
            return rows[i].modifier;
        }
    }
    return MODIFIER_WRONG;
}

static placeholder read_placeholder(const cb_type *type, const char *at)
{
    placeholder read = { .field = NULL, .modifier = MODIFIER_WRONG };
    const char *end = strchr(at, '}');
    if (end == NULL) {
        return read;
    }
    const char *word = at + 1;
    size_t size = strcspn(word, ":}");
    read.size = (size_t)(end - at) + 1;
    read.modifier = modifier_of(word + size, (size_t)(end - word) - size);
    for (size_t i = 0; i < type->field_count; i++) {
        const cb_field *field = &type->fields[i];
        if (strlen(field->name) == size &&
            memcmp(field->name, word, size) == 0) {
            read.field = field;
        }
    }
    return read;
}

cb_status cb_summary_check(const cb_type *type, const cb_model_place *place,
                           cb_error *error)
{
    bool inside = false;
    const char *at = type->summary;
    while (*at != '\0') {
        if (*at == '[' || *at == ']') {
            if (inside == (*at == '[')) {
                return cb_model_complain(place, error,
                                         "has a summary whose brackets do not "
                                         "pair");
            }
            inside = !inside;
        }
        size_t step = 1;
        if (*at == '{') {
            placeholder read = read_placeholder(type, at);
            if (read.size == 0 || read.field == NULL ||
                read.modifier == MODIFIER_WRONG) {
                return cb_model_complain(place, error,
                                         "has a summary with an unknown field "
                                         "or modifier at '%.40s'",
                                         at);
            }
            if (read.field->class != type->class) {
                return cb_model_complain(place, error,
                                         "has a summary that shows '%s', which "
                                         "is of another class",
                                         read.field->name);
            }
            step = read.size;
        }
        at += step;
    }
    return inside ? cb_model_complain(place, error,
                                      "has a summary whose brackets do not "
                                      "pair")
                  : CB_OK;
}

/* Its first line, cut between characters where it is long. */
static cb_span first_line(cb_span span, bool *ret_cut)
{
    size_t size = 0;
    while (size < span.size && span.bytes[size] != '\n') {
        size++;
    }
    *ret_cut = size < span.size || size > SUMMARY_FIELD_BYTES_MAX;
    if (size > SUMMARY_FIELD_BYTES_MAX) {
        size = SUMMARY_FIELD_BYTES_MAX;
        while (size > 0 && (span.bytes[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    return (cb_span){ .bytes = span.bytes, .size = size };
}

static bool is_upper(uint8_t letter)
{
    return letter >= 'A' && letter <= 'Z';
}

static void append_modified(cb_span span, modifier how, cb_buffer *text)
{
    for (size_t i = 0; i < span.size; i++) {
        uint8_t letter = span.bytes[i];
        bool second_is_upper = span.size > 1 && is_upper(span.bytes[1]);
        if (how == MODIFIER_UPPER && letter >= 'a' && letter <= 'z') {
            letter = (uint8_t)(letter - 'a' + 'A');
        } else if (how == MODIFIER_LOWER && i == 0 && is_upper(letter) &&
                   !second_is_upper) {
            /* "HMP" and "ISVA" stay as they are. */
            letter = (uint8_t)(letter - 'A' + 'a');
        }
        cb_buffer_append(text, &letter, 1);
    }
}

static void append_codes(const json_t *value, cb_buffer *text)
{
    if (json_is_string(value)) {
        cb_buffer_append_text(text, json_string_value(value));
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *code = json_string_value(json_array_get(value, i));
        cb_buffer_append_text(text, i == 0 ? "" : ", ");
        cb_buffer_append_text(text, code == NULL ? "?" : code);
    }
}

static void append_field(placeholder read, const json_t *fields,
                         const cb_model_words *words, cb_buffer *text)
{
    const json_t *value = json_object_get(fields, read.field->name);
    bool cut = false;
    cb_buffer formatted;
    cb_buffer_init(&formatted, 4 * (size_t)CB_PLAINTEXT_BYTES_MAX);
    if (read.modifier == MODIFIER_CODE &&
        cb_field_check(read.field, value, NULL) == CB_OK) {
        append_codes(value, &formatted);
    } else {
        cb_field_format(read.field, value, words, &formatted);
    }
    cb_span line = first_line(cb_span_of_buffer(&formatted), &cut);
    append_modified(line, read.modifier, text);
    cb_buffer_append_text(text, cut ? "..." : "");
    cb_buffer_clear(&formatted);
}

static bool says_something(const json_t *value)
{
    return value != NULL && !json_is_null(value) && !json_is_false(value) &&
           !(json_is_array(value) && json_array_size(value) == 0);
}

/* Whether every field up to the closing bracket says something. */
static bool section_speaks(const cb_type *type, const char *at,
                           const json_t *fields)
{
    while (*at != ']') {
        size_t step = 1;
        if (*at == '{') {
            placeholder read = read_placeholder(type, at);
            if (!says_something(json_object_get(fields, read.field->name))) {
                return false;
            }
            step = read.size;
        }
        at += step;
    }
    return true;
}

void cb_type_summary(const cb_type *type, const json_t *fields,
                     const cb_model_words *words, cb_buffer *text)
{
    const char *at = type->summary;
    while (*at != '\0') {
        size_t step = 1;
        if (*at == '{') {
            placeholder read = read_placeholder(type, at);
            append_field(read, fields, words, text);
            step = read.size;
        } else if (*at == '[') {
            if (!section_speaks(type, at, fields)) {
                step = strcspn(at, "]") + 1;
            }
        } else if (*at != ']') {
            cb_buffer_append(text, at, 1);
        }
        at += step;
    }
}
