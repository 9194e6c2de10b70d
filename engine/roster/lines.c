/* SPDX-License-Identifier: Apache-2.0 */
#include "roster/lines.h"

#include <stdio.h>
#include <string.h>

#define LINES_VERSION      "1"
#define VERSION_DIGITS_MAX 9

void cb_lines_put(cb_buffer *text, const char *name, const char *value)
{
    cb_buffer_append_format(text, "%s: %s\n", name, value);
}

void cb_lines_put_hex(cb_buffer *text, const char *name, const void *bytes,
                      size_t size)
{
    cb_buffer_append_format(text, "%s: ", name);
    cb_buffer_append_hex(text, (cb_span){ bytes, size });
    cb_buffer_append_text(text, "\n");
}

void cb_lines_put_base64(cb_buffer *text, const char *name, const void *bytes,
                         size_t size)
{
    cb_buffer_append_format(text, "%s: ", name);
    cb_buffer_append_base64(text, (cb_span){ bytes, size });
    cb_buffer_append_text(text, "\n");
}

void cb_lines_sign(cb_buffer *text, const char *domain,
                   const cb_secret *signing_key)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    cb_sign(domain, cb_span_of_buffer(text), signing_key, signature);
    cb_lines_put_base64(text, "signature", signature, sizeof signature);
}

/* One line without its end, or false where there is none or it is too long. */
static bool next_line(cb_span text, size_t *position, char *line)
{
    size_t start = *position;
    size_t end = start;
    while (end < text.size && text.bytes[end] != '\n') {
        uint8_t byte = text.bytes[end];
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
        end++;
    }
    if (end == text.size || end - start >= CB_LINES_LINE_BYTES) {
        return false;
    }
    memcpy(line, text.bytes + start, end - start);
    line[end - start] = '\0';
    *position = end + 1;
    return true;
}

/* "name: value" into value, or false. */
static bool take_value(const char *line, const char *name, char *value)
{
    size_t size = strlen(name);
    if (strncmp(line, name, size) != 0 || line[size] != ':' ||
        line[size + 1] != ' ') {
        return false;
    }
    (void)snprintf(value, CB_LINES_LINE_BYTES, "%s", line + size + 2);
    return true;
}

static cb_status damaged(const char *title, const char *what, cb_error *error)
{
    cb_status status =
        cb_error_set(error, CB_DAMAGED, "the %s is damaged at '%s'",
                     title + strlen("casebound "), what);
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "ask for the file again");
    return status;
}

static cb_status other_kind(const char *title, cb_error *error)
{
    cb_status status = cb_error_set(error, CB_INPUT, "the file is no %s",
                                    title + strlen("casebound "));
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "check which file it is");
    return status;
}

static cb_status check_title(const char *line, const char *title,
                             cb_error *error)
{
    size_t size = strlen(title);
    if (strncmp(line, title, size) != 0 || line[size] != ' ') {
        return other_kind(title, error);
    }
    /* One number has one form: no sign, no space, no zero in front. */
    const char *version = line + size + 1;
    size_t digits = strspn(version, "0123456789");
    if (digits == 0 || digits > VERSION_DIGITS_MAX || version[digits] != '\0' ||
        version[0] == '0') {
        return damaged(title, "version", error);
    }
    if (strcmp(version, LINES_VERSION) != 0) {
        cb_status status =
            cb_error_set(error, CB_NEWER, "the %s was made by a newer version",
                         title + strlen("casebound "));
        cb_error_meaning(error, "nothing was changed");
        return status;
    }
    return CB_OK;
}

cb_status cb_lines_parse(cb_span text, const char *title,
                         const char *const *names, size_t count,
                         cb_lines *lines, cb_error *error)
{
    CB_ASSERT(count <= CB_LINES_MAX);
    char line[CB_LINES_LINE_BYTES];
    char value[CB_LINES_LINE_BYTES];
    size_t position = 0;
    lines->names = names;
    lines->count = count;
    if (text.size > CB_ENROLMENT_FILE_BYTES_MAX) {
        return cb_error_set(error, CB_LIMIT, "the file is larger than %d bytes",
                            CB_ENROLMENT_FILE_BYTES_MAX);
    }
    if (!next_line(text, &position, line)) {
        return other_kind(title, error);
    }
    cb_status status = check_title(line, title, error);
    for (size_t i = 0; i < count && status == CB_OK; i++) {
        if (!next_line(text, &position, line) ||
            !take_value(line, names[i], lines->values[i])) {
            status = damaged(title, names[i], error);
        }
    }
    if (status != CB_OK) {
        return status;
    }
    lines->signed_bytes = position;
    if (!next_line(text, &position, line) ||
        !take_value(line, "signature", value) ||
        !cb_base64_parse(cb_span_of_text(value), lines->signature,
                         sizeof lines->signature) ||
        position != text.size) {
        return damaged(title, "signature", error);
    }
    return CB_OK;
}

const char *cb_lines_value(const cb_lines *lines, const char *name)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (strcmp(lines->names[i], name) == 0) {
            return lines->values[i];
        }
    }
    cb_assertion_failed("lines", 0, name);
}

bool cb_lines_hex(const cb_lines *lines, const char *name, void *bytes,
                  size_t size)
{
    return cb_hex_parse(cb_lines_value(lines, name), bytes, size);
}

bool cb_lines_base64(const cb_lines *lines, const char *name, void *bytes,
                     size_t size)
{
    return cb_base64_parse(cb_span_of_text(cb_lines_value(lines, name)), bytes,
                           size);
}

bool cb_lines_verify(const cb_lines *lines, cb_span text, const char *domain,
                     const uint8_t *public_key)
{
    return cb_sign_verify(domain, (cb_span){ text.bytes, lines->signed_bytes },
                          lines->signature, public_key);
}
