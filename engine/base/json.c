/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <casebound/identifier.h>
#include <casebound/limits.h>

#include <sodium.h>
#include <string.h>

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/*
 * Debian's Jansson recurses up to 2,048 levels and takes some 100 bytes for
 * each value, however short; this bounds depth and number before it sees the
 * text, and refuses reals, which have no canonical form.
 */
static cb_status check_shape(cb_span text, cb_error *error)
{
    unsigned depth = 0;
    size_t values = 1;
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        if (in_string) {
            if (byte == '\\') {
                i++;
            } else if (byte == '"') {
                in_string = false;
            }
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == ',') {
            values++;
        } else if (byte == '{' || byte == '[') {
            depth++;
            values++;
            if (depth > CB_JSON_DEPTH_MAX) {
                return cb_error_set(error, CB_INPUT,
                                    "the JSON text is nested deeper than %d",
                                    CB_JSON_DEPTH_MAX);
            }
        } else if ((byte == '}' || byte == ']') && depth > 0) {
            depth--;
        } else if (byte == '.' || ((byte == 'e' || byte == 'E') && i > 0 &&
                                   is_digit(text.bytes[i - 1]))) {
            return cb_error_set(error, CB_INPUT,
                                "the JSON text holds a real number");
        }
        if (values > CB_JSON_VALUES_MAX) {
            return cb_error_set(error, CB_LIMIT,
                                "the JSON text holds more than %d values",
                                CB_JSON_VALUES_MAX);
        }
    }
    return CB_OK;
}

static cb_status parse_within(cb_span text, size_t bytes_max,
                              json_t **ret_value, cb_error *reterr_error)
{
    if (text.size > bytes_max) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "the JSON text is larger than %zu bytes",
                            bytes_max);
    }
    cb_status status = check_shape(text, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    json_error_t problem;
    const uint64_t failures = cb_json_failures();
    json_t *value = json_loadb((const char *)text.bytes, text.size,
                               JSON_REJECT_DUPLICATES, &problem);
    if (value == NULL && cb_json_failures() != failures) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    if (value == NULL) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the text is not the JSON expected: %.120s",
                            problem.text);
    }
    *ret_value = value;
    return CB_OK;
}

cb_status cb_json_parse(cb_span text, json_t **ret_value,
                        cb_error *reterr_error)
{
    return parse_within(text, CB_JSON_DOCUMENT_BYTES_MAX, ret_value,
                        reterr_error);
}

cb_status cb_json_append(const json_t *value, cb_buffer *text,
                         cb_error *reterr_error)
{
    const size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY;
    size_t size = json_dumpb(value, NULL, 0, flags);
    if (size == 0) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    uint8_t *place = cb_buffer_extend(text, size);
    if (place == NULL) {
        return cb_buffer_check(text, reterr_error);
    }
    (void)json_dumpb(value, (char *)place, size, flags);
    return CB_OK;
}

cb_status cb_json_parse_canonical(cb_span text, json_t **ret_value,
                                  cb_error *reterr_error)
{
    return cb_json_parse_canonical_within(text, CB_JSON_DOCUMENT_BYTES_MAX,
                                          ret_value, reterr_error);
}

cb_status cb_json_parse_canonical_within(cb_span text, size_t bytes_max,
                                         json_t **ret_value,
                                         cb_error *reterr_error)
{
    json_t *value = NULL;
    cb_buffer again;
    cb_buffer_init(&again, bytes_max);
    cb_status status = parse_within(text, bytes_max, &value, reterr_error);
    if (status == CB_OK) {
        status = cb_json_append(value, &again, reterr_error);
    }
    if (status == CB_OK && !cb_span_equal(text, cb_span_of_buffer(&again))) {
        status = cb_error_set(reterr_error, CB_INPUT,
                              "the JSON text is not in canonical form");
    }
    if (status == CB_OK) {
        *ret_value = json_incref(value);
    }
    json_decref(value);
    cb_buffer_clear(&again);
    return status;
}

const char *cb_json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool cb_json_integer(const json_t *object, const char *name, int64_t *ret_value)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value)) {
        return false;
    }
    *ret_value = (int64_t)json_integer_value(value);
    return true;
}

const json_t *cb_json_array(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_array(value) ? value : NULL;
}

const json_t *cb_json_object(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_object(value) ? value : NULL;
}

bool cb_json_bytes(const json_t *object, const char *name, uint8_t *ret_bytes,
                   size_t size)
{
    const char *text = cb_json_text(object, name);
    return text != NULL && cb_hex_parse(text, ret_bytes, size);
}

json_t *cb_json_hex(const void *bytes, size_t size)
{
    char text[CB_HASH_TEXT_BYTES * 2];
    CB_ASSERT(size * 2 < sizeof text);
    cb_hex_format(bytes, size, text);
    json_t *value = json_string(text);
    sodium_memzero(text, sizeof text); /* keys are written this way too */
    return value;
}
