/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small text files for people and machines: a first line that names kind and
 * version, lines of "name: value" in a fixed order, and a last line with the
 * signature over all bytes before it.  Pure.
 */
#ifndef CASEBOUND_ROSTER_LINES_H
#define CASEBOUND_ROSTER_LINES_H

#include <casebound/entry.h>

#define CB_LINES_MAX        24
/* One line with a zero in place of its end, format section 9. */
#define CB_LINES_LINE_BYTES 2048

/* Reading: the values of the names asked for, in their order. */
typedef struct cb_lines {
    const char *const *names;
    size_t count;
    char values[CB_LINES_MAX][CB_LINES_LINE_BYTES];
    size_t signed_bytes; /* how many of the text's bytes are signed */
    uint8_t signature[CB_SIGNATURE_BYTES];
} cb_lines;

void cb_lines_put(cb_buffer *text, const char *name, const char *value);
void cb_lines_put_hex(cb_buffer *text, const char *name, const void *bytes,
                      size_t size);
void cb_lines_put_base64(cb_buffer *text, const char *name, const void *bytes,
                         size_t size);
/* Appends the line with the signature over what is there. */
void cb_lines_sign(cb_buffer *text, const char *domain,
                   const cb_secret *signing_key);

/*
 * `title` is the first line without its version, such as "casebound admission".
 * CB_INPUT where it is another kind of file, CB_NEWER, CB_DAMAGED.
 */
cb_status cb_lines_parse(cb_span text, const char *title,
                         const char *const *names, size_t count,
                         cb_lines *lines, cb_error *error);
const char *cb_lines_value(const cb_lines *lines, const char *name);
bool cb_lines_hex(const cb_lines *lines, const char *name, void *bytes,
                  size_t size);
bool cb_lines_base64(const cb_lines *lines, const char *name, void *bytes,
                     size_t size);
bool cb_lines_verify(const cb_lines *lines, cb_span text, const char *domain,
                     const uint8_t *public_key);

#endif
