/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: borrowed (cb_span) and owned (cb_buffer).
 *
 * A buffer is born with the most it may ever hold.  A failure (no memory, over
 * the limit) sticks: later appends do nothing, and the one check at the end,
 * cb_buffer_check, tells.  The bytes are always followed by a zero, which is
 * not counted, so that text can be handed to C.
 */
#ifndef CASEBOUND_BUFFER_H
#define CASEBOUND_BUFFER_H

#include <casebound/error.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cb_span {
    const uint8_t *bytes;
    size_t size;
} cb_span;

typedef struct cb_buffer {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    size_t size_max;
    cb_status failure;
} cb_buffer;

/* Borrowed view of a text, without its terminating zero. */
CB_PUBLIC cb_span cb_span_of_text(const char *text);

/* Borrowed view of a buffer's bytes, valid until the buffer changes. */
CB_PUBLIC cb_span cb_span_of_buffer(const cb_buffer *buffer);

CB_PUBLIC bool cb_span_equal(cb_span a, cb_span b);

/* An empty buffer that will hold at most size_max bytes. */
CB_PUBLIC void cb_buffer_init(cb_buffer *buffer, size_t size_max);

/* Frees what it holds and leaves it as after init.  Safe on a zeroed one. */
CB_PUBLIC void cb_buffer_clear(cb_buffer *buffer);

/* Forgets content and failure but keeps the memory. */
CB_PUBLIC void cb_buffer_reset(cb_buffer *buffer);

CB_PUBLIC void cb_buffer_append(cb_buffer *buffer, const void *bytes,
                                size_t size);
CB_PUBLIC void cb_buffer_append_span(cb_buffer *buffer, cb_span span);
CB_PUBLIC void cb_buffer_append_text(cb_buffer *buffer, const char *text);
CB_PUBLIC void cb_buffer_append_format(cb_buffer *buffer, const char *format,
                                       ...) CB_PRINTF(2, 3);
CB_PUBLIC void cb_buffer_append_hex(cb_buffer *buffer, cb_span span);
/* Standard base64 with padding, RFC 4648 section 4, on one line. */
CB_PUBLIC void cb_buffer_append_base64(cb_buffer *buffer, cb_span span);

/*
 * Appends `size` bytes that the caller will fill, and returns where they are,
 * or NULL after a failure.
 */
CB_PUBLIC uint8_t *cb_buffer_extend(cb_buffer *buffer, size_t size);

/* The text so far, never NULL. */
CB_PUBLIC const char *cb_buffer_text(const cb_buffer *buffer);

/* CB_OK, CB_NO_MEMORY or CB_LIMIT: whether everything appended is there. */
CB_NODISCARD CB_PUBLIC cb_status cb_buffer_check(const cb_buffer *buffer,
                                                 cb_error *reterr_error);

/* a + b or a * b, or false where the result does not fit. */
CB_NODISCARD CB_PUBLIC bool cb_add_size(size_t a, size_t b, size_t *ret_sum);
CB_NODISCARD CB_PUBLIC bool cb_multiply_size(size_t a, size_t b,
                                             size_t *ret_product);

/* Big-endian integers, as everywhere in the format. */
CB_PUBLIC void cb_put_u16(uint8_t *bytes, uint16_t value);
CB_PUBLIC void cb_put_u32(uint8_t *bytes, uint32_t value);
CB_PUBLIC void cb_put_u64(uint8_t *bytes, uint64_t value);
CB_PUBLIC uint16_t cb_get_u16(const uint8_t *bytes);
CB_PUBLIC uint32_t cb_get_u32(const uint8_t *bytes);
CB_PUBLIC uint64_t cb_get_u64(const uint8_t *bytes);

/*
 * Lower-case hexadecimal.  `text` takes 2 * size + 1 bytes.  Parsing accepts
 * exactly 2 * size digits, lower case only, and nothing else.
 */
CB_PUBLIC void cb_hex_format(const uint8_t *bytes, size_t size, char *text);
CB_NODISCARD CB_PUBLIC bool cb_hex_parse(const char *text, uint8_t *ret_bytes,
                                         size_t size);

/* Exactly `size` bytes out of canonical padded base64, or false. */
CB_NODISCARD CB_PUBLIC bool cb_base64_parse(cb_span text, uint8_t *ret_bytes,
                                            size_t size);

#endif
