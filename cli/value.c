/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DURATION_S_MAX   INT64_C(31536000)
#define INPUT_BLOCK_SIZE 4096

cb_status cb_cli_split_field(const char *operand, cb_span *ret_name,
                             const char **ret_value, cb_error *reterr_error)
{
    size_t size = strspn(operand, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (size == 0 || operand[size] != '=') {
        cb_error_set(reterr_error, CB_USAGE,
                     "a field is given as FIELD=VALUE, such as note=@FILE");
        return CB_USAGE;
    }
    *ret_name = (cb_span){ (const uint8_t *)operand, size };
    *ret_value = operand + size + 1;
    return CB_OK;
}

static cb_status refuse_length(const char *subject, size_t size_max,
                               cb_error *error)
{
    cb_error_set(error, CB_LIMIT, "'%s' is longer than %zu bytes", subject,
                 size_max);
    cb_error_meaning(error, "nothing was recorded");
    cb_error_next(error, "split it: one field holds %zu KiB", size_max / 1024);
    return CB_LIMIT;
}

static cb_status read_input(const cb_cli_session *session, const char *subject,
                            cb_buffer *text, cb_error *error)
{
    char block[INPUT_BLOCK_SIZE];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, block, sizeof block);
        if (got < 0 && errno == EINTR && !session->world->is_interrupted()) {
            continue;
        }
        if (got < 0 && errno == EINTR) {
            return cb_error_set(error, CB_INTERRUPTED,
                                "stopped while '%s' was read", subject);
        }
        if (got < 0) {
            return cb_error_set(error, CB_IO,
                                "cannot read '%s' from the input: error %d",
                                subject, errno);
        }
        if (got == 0) {
            return CB_OK;
        }
        cb_buffer_append(text, block, (size_t)got);
        if (text->failure != CB_OK) {
            return text->failure;
        }
    }
}

/* An editor ends a text with a line break that nobody typed. */
static void drop_last_break(cb_buffer *text, size_t from)
{
    if (text->size > from && text->bytes[text->size - 1] == '\n') {
        text->size--;
        if (text->size > from && text->bytes[text->size - 1] == '\r') {
            text->size--;
        }
        text->bytes[text->size] = '\0';
    }
}

cb_status cb_cli_read_text(const cb_cli_session *session, const char *subject,
                           const char *value, cb_buffer *text,
                           cb_error *reterr_error)
{
    const cb_environment *environment = session->world->environment;
    size_t from = text->size;
    cb_status status = CB_OK;
    if (strcmp(value, "-") == 0) {
        status = read_input(session, subject, text, reterr_error);
        drop_last_break(text, from);
    } else if (value[0] == '@' && value[1] != '@') {
        cb_error error = { 0 };
        status = environment->read_file(environment->context, value + 1, text,
                                        &error);
        if (status == CB_NOT_FOUND) {
            cb_error_set(reterr_error, status, "there is no file '%s'",
                         value + 1);
            cb_error_next(reterr_error, "check the name of the file; a text "
                                        "that begins with @ is given as @@");
        } else if (status != CB_OK && status != CB_LIMIT &&
                   reterr_error != NULL && reterr_error->status == CB_OK) {
            *reterr_error = error;
            cb_error_meaning(reterr_error, "nothing was recorded");
            cb_error_next(reterr_error, "give the name of a text file");
        }
        drop_last_break(text, from);
    } else {
        cb_buffer_append_text(text, value[0] == '@' ? value + 1 : value);
    }
    if (status == CB_OK) {
        status = cb_buffer_check(text, NULL);
    }
    if (status == CB_LIMIT) {
        return refuse_length(subject, text->size_max, reterr_error);
    }
    if (status == CB_NO_MEMORY) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "no memory for '%s'",
                            subject);
    }
    return status;
}

static int64_t seconds_of(char unit)
{
    switch (unit) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return 86400;
    default: return 0;
    }
}

cb_status cb_cli_parse_duration(const char *text, int64_t *ret_ms,
                                cb_error *reterr_error)
{
    int64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    /* Nine digits cannot overflow, whatever the unit. */
    for (size_t i = 0; i < digits && digits <= 9; i++) {
        number = number * 10 + (text[i] - '0');
    }
    int64_t unit_s = seconds_of(text[digits]);
    if (number == 0 || unit_s == 0 || text[digits + 1] != '\0' ||
        number > DURATION_S_MAX / unit_s) {
        cb_error_set(reterr_error, CB_INPUT,
                     "'%.40s' is not a length of time that can be used", text);
        cb_error_meaning(reterr_error, "nothing was changed");
        cb_error_next(reterr_error,
                      "give it as 90s, 15m, 8h or 2d; at most 365d");
        return CB_INPUT;
    }
    *ret_ms = number * unit_s * 1000;
    return CB_OK;
}
