/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/buffer.h>

#include "base/json.h"

#include <casebound/identifier.h>

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cb_span cb_span_of_text(const char *text)
{
    return (cb_span){ (const uint8_t *)text, strlen(text) };
}

cb_span cb_span_of_buffer(const cb_buffer *buffer)
{
    return (cb_span){ buffer->bytes, buffer->size };
}

bool cb_span_equal(cb_span a, cb_span b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

void cb_buffer_init(cb_buffer *buffer, size_t size_max)
{
    *buffer = (cb_buffer){ .size_max = size_max };
}

void cb_buffer_clear(cb_buffer *buffer)
{
    if (buffer->bytes != NULL) {
        sodium_memzero(buffer->bytes, buffer->capacity);
        free(buffer->bytes);
    }
    cb_buffer_init(buffer, buffer->size_max);
}

void cb_buffer_reset(cb_buffer *buffer)
{
    buffer->size = 0;
    buffer->failure = CB_OK;
    if (buffer->bytes != NULL) {
        buffer->bytes[0] = 0;
    }
}

/*
 * A buffer may hold case text, so growing never leaves a copy behind: the old
 * memory is zeroed, which realloc would not do.
 */
static bool grow(cb_buffer *buffer, size_t capacity)
{
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL) {
        /* Whoever overlooks it must not make the half of it last. */
        cb_json_note_failure();
        return false;
    }
    if (buffer->bytes != NULL) {
        memcpy(bytes, buffer->bytes, buffer->size);
        sodium_memzero(buffer->bytes, buffer->capacity);
        free(buffer->bytes);
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

uint8_t *cb_buffer_extend(cb_buffer *buffer, size_t size)
{
    if (buffer->failure != CB_OK) {
        return NULL;
    }
    if (size > buffer->size_max - buffer->size) {
        buffer->failure = CB_LIMIT;
        return NULL;
    }
    size_t needed = 0;
    if (!cb_add_size(buffer->size + size, 1, &needed)) {
        buffer->failure = CB_LIMIT;
        return NULL;
    }
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
        while (capacity < needed) {
            capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
        }
        if (!grow(buffer, capacity)) {
            buffer->failure = CB_NO_MEMORY;
            return NULL;
        }
    }
    uint8_t *place = buffer->bytes + buffer->size;
    buffer->size += size;
    buffer->bytes[buffer->size] = 0;
    return place;
}

void cb_buffer_append(cb_buffer *buffer, const void *bytes, size_t size)
{
    uint8_t *place = cb_buffer_extend(buffer, size);
    if (place != NULL && size > 0) {
        memcpy(place, bytes, size);
    }
}

void cb_buffer_append_span(cb_buffer *buffer, cb_span span)
{
    cb_buffer_append(buffer, span.bytes, span.size);
}

void cb_buffer_append_text(cb_buffer *buffer, const char *text)
{
    cb_buffer_append(buffer, text, strlen(text));
}

void cb_buffer_append_format(cb_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buffer->failure = CB_LIMIT;
        return;
    }
    uint8_t *place = cb_buffer_extend(buffer, (size_t)length);
    if (place == NULL) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf((char *)place, (size_t)length + 1, format, arguments);
    va_end(arguments);
}

void cb_buffer_append_hex(cb_buffer *buffer, cb_span span)
{
    uint8_t *place = cb_buffer_extend(buffer, span.size * 2);
    if (place != NULL) {
        cb_hex_format(span.bytes, span.size, (char *)place);
    }
}

void cb_buffer_append_base64(cb_buffer *buffer, cb_span span)
{
    const int variant = sodium_base64_VARIANT_ORIGINAL;
    size_t length = sodium_base64_encoded_len(span.size, variant) - 1;
    uint8_t *place = cb_buffer_extend(buffer, length);
    if (place != NULL) {
        (void)sodium_bin2base64((char *)place, length + 1, span.bytes,
                                span.size, variant);
    }
}

const char *cb_buffer_text(const cb_buffer *buffer)
{
    return buffer->bytes == NULL ? "" : (const char *)buffer->bytes;
}

cb_status cb_buffer_check(const cb_buffer *buffer, cb_error *reterr_error)
{
    if (buffer->failure == CB_LIMIT) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "something is larger than its limit of %zu bytes",
                            buffer->size_max);
    }
    if (buffer->failure != CB_OK) {
        return cb_error_set(reterr_error, buffer->failure, "out of memory");
    }
    return CB_OK;
}

bool cb_add_size(size_t a, size_t b, size_t *ret_sum)
{
    return !__builtin_add_overflow(a, b, ret_sum);
}

bool cb_multiply_size(size_t a, size_t b, size_t *ret_product)
{
    return !__builtin_mul_overflow(a, b, ret_product);
}

static void put_big_endian(uint8_t *bytes, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
}

static uint64_t get_big_endian(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

void cb_put_u16(uint8_t *bytes, uint16_t value)
{
    put_big_endian(bytes, value, 2);
}

void cb_put_u32(uint8_t *bytes, uint32_t value)
{
    put_big_endian(bytes, value, 4);
}

void cb_put_u64(uint8_t *bytes, uint64_t value)
{
    put_big_endian(bytes, value, 8);
}

uint16_t cb_get_u16(const uint8_t *bytes)
{
    return (uint16_t)get_big_endian(bytes, 2);
}

uint32_t cb_get_u32(const uint8_t *bytes)
{
    return (uint32_t)get_big_endian(bytes, 4);
}

uint64_t cb_get_u64(const uint8_t *bytes)
{
    return get_big_endian(bytes, 8);
}

void cb_hex_format(const uint8_t *bytes, size_t size, char *text)
{
    (void)sodium_bin2hex(text, size * 2 + 1, bytes, size);
}

bool cb_hex_parse(const char *text, uint8_t *ret_bytes, size_t size)
{
    if (strlen(text) != size * 2 ||
        strspn(text, "0123456789abcdef") != size * 2) {
        return false;
    }
    size_t parsed = 0;
    return sodium_hex2bin(ret_bytes, size, text, size * 2, NULL, &parsed,
                          NULL) == 0 &&
           parsed == size;
}

/*
 * libsodium refuses both missing padding and bits that are not zero, but where
 * char is signed, 1.0.18 reads each byte above 127 as a slash.
 */
bool cb_base64_parse(cb_span text, uint8_t *ret_bytes, size_t size)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] > 127) {
            return false;
        }
    }
    size_t parsed = 0;
    const char *end = NULL;
    return sodium_base642bin(ret_bytes, size, (const char *)text.bytes,
                             text.size, NULL, &parsed, &end,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           parsed == size && end == (const char *)text.bytes + text.size;
}

bool cb_is_zero(const void *bytes, size_t size)
{
    return sodium_is_zero(bytes, size) == 1;
}
