/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <casebound/json.h>

#include "text.h"

#define MESSAGE_BYTES_MAX ((size_t)1 << 20)
#define TABLE_BYTES_MAX   ((size_t)64 << 20)
#define PLAIN_BYTES       2048

static const char *role_start(cb_cli_role role)
{
    switch (role) {
    case CB_CLI_GOOD: return "\033[32m";
    case CB_CLI_ATTENTION: return "\033[33m";
    case CB_CLI_BAD: return "\033[31m";
    case CB_CLI_FAINT: return "\033[2m";
    case CB_CLI_PLAIN:
    default: return "";
    }
}

/*
 * The error stream, after what was said on the output before: where both are
 * one terminal or file, the order is the order of events.
 */
static FILE *error_stream(const cb_cli_session *session)
{
    (void)fflush(session->world->out);
    return session->world->err;
}

static void write_text(FILE *file, const char *text, size_t size)
{
    /* What is wrong with the stream is asked once, when all is written. */
    (void)fwrite(text, 1, size, file);
}

/*
 * Where no memory can be had, the words come out all the same: as much of them
 * as the stack holds, and of that only what needs no looking at.
 */
static void write_plainly(FILE *file, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        const bool plain = (*c >= ' ' && *c < 0x7f) || *c == '\n';
        write_text(file, plain ? c : "?", 1);
    }
}

static CB_PRINTF(2, 0) void append_formatted(cb_buffer *out, const char *format,
                                             va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size <= 0) {
        return;
    }
    char *text = (char *)cb_buffer_extend(out, (size_t)size + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)size + 1, format, arguments);
        out->size--; /* vsnprintf's zero is not part of the text */
    }
}

/* Cleans what the format gives and writes it in the colours of a role. */
static CB_PRINTF(4, 0) void print_formatted(FILE *file, bool has_colour,
                                            cb_cli_role role,
                                            const char *format,
                                            va_list arguments)
{
    const char *start = has_colour ? role_start(role) : "";
    const char *end = start[0] == '\0' ? "" : "\033[0m";
    cb_buffer raw;
    cb_buffer clean;
    va_list again;
    va_copy(again, arguments);
    cb_buffer_init(&raw, MESSAGE_BYTES_MAX);
    cb_buffer_init(&clean, MESSAGE_BYTES_MAX * 8);
    append_formatted(&raw, format, arguments);
    cb_cli_clean_lines(&clean, cb_span_of_buffer(&raw), 0);
    write_text(file, start, strlen(start));
    if (raw.failure == CB_NO_MEMORY || clean.failure == CB_NO_MEMORY) {
        char text[PLAIN_BYTES];
        (void)vsnprintf(text, sizeof text, format, again);
        write_plainly(file, text);
    } else {
        write_text(file, cb_buffer_text(&clean), clean.size);
    }
    write_text(file, end, strlen(end));
    va_end(again);
    cb_buffer_clear(&raw);
    cb_buffer_clear(&clean);
}

void cb_cli_print(const cb_cli_session *session, const char *format, ...)
{
    if (session->json) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_formatted(session->world->out, false, CB_CLI_PLAIN, format,
                    arguments);
    va_end(arguments);
}

void cb_cli_print_role(const cb_cli_session *session, cb_cli_role role,
                       const char *format, ...)
{
    if (session->json) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_formatted(session->world->out, session->out_colour, role, format,
                    arguments);
    va_end(arguments);
}

void cb_cli_print_buffer(const cb_cli_session *session, const cb_buffer *text)
{
    if (!session->json) {
        write_text(session->world->out, cb_buffer_text(text), text->size);
    }
}

void cb_cli_say(const cb_cli_session *session, const char *format, ...)
{
    if (session->json || session->quiet) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_formatted(error_stream(session), false, CB_CLI_PLAIN, format,
                    arguments);
    va_end(arguments);
    write_text(session->world->err, "\n", 1);
}

void cb_cli_explain(const cb_cli_session *session, const char *format, ...)
{
    if (session->json || !session->verbose) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    print_formatted(error_stream(session), session->err_colour, CB_CLI_FAINT,
                    format, arguments);
    va_end(arguments);
    write_text(session->world->err, "\n", 1);
}

/*
 * A string for JSON.  A message may have been cut inside a character, or quote
 * bytes that are not text; JSON cannot hold those, so it is cleaned.
 */
static json_t *clean_string(const char *text)
{
    cb_buffer clean;
    cb_buffer_init(&clean, MESSAGE_BYTES_MAX);
    cb_cli_clean(&clean, cb_span_of_text(text));
    json_t *string = json_string(cb_buffer_text(&clean));
    cb_buffer_clear(&clean);
    return string;
}

void cb_cli_warn(cb_cli_session *session, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (session->json) {
        cb_buffer text;
        cb_buffer_init(&text, MESSAGE_BYTES_MAX);
        append_formatted(&text, format, arguments);
        if (session->warnings == NULL) {
            session->warnings = json_array();
        }
        /* A warning that finds no memory is lost; the answer is not. */
        (void)json_array_append_new(session->warnings,
                                    clean_string(cb_buffer_text(&text)));
        cb_buffer_clear(&text);
    } else {
        const char *lead = "casebound: warning: ";
        write_text(error_stream(session), lead, strlen(lead));
        print_formatted(error_stream(session), session->err_colour,
                        CB_CLI_ATTENTION, format, arguments);
        write_text(session->world->err, "\n", 1);
    }
    va_end(arguments);
}

cb_status cb_cli_answer(cb_cli_session *session, json_t *document,
                        cb_error *reterr_error)
{
    if (document == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY,
                            "no memory for the answer");
    }
    CB_ASSERT(session->document == NULL);
    CB_ASSERT(json_is_string(json_object_get(document, "schema")));
    session->document = document;
    return CB_OK;
}

static int write_json(const char *text, size_t size, void *file)
{
    return fwrite(text, 1, size, file) == size ? 0 : -1;
}

/* Members in the order in which they were set: "schema" first. */
static bool print_json(FILE *file, const json_t *value, size_t indent)
{
    return json_dump_callback(value, write_json, file,
                              JSON_INDENT(indent) | JSON_ENSURE_ASCII) == 0 &&
           fputc('\n', file) != EOF;
}

cb_status cb_cli_finish_output(cb_cli_session *session, cb_error *reterr_error)
{
    FILE *out = session->world->out;
    errno = 0;
    bool written = true;
    /* Also what was printed without --json was taken from JSON values. */
    if (cb_json_failures() > 0) {
        cb_error_meaning(reterr_error, "what the command did stays done; its "
                                       "answer is not complete");
        return cb_error_set(reterr_error, CB_NO_MEMORY,
                            "no memory for the answer");
    }
    if (session->json && session->document != NULL) {
        if (session->warnings != NULL) {
            (void)json_object_set(session->document, "warnings",
                                  session->warnings);
        }
        written = print_json(out, session->document, 2);
    }
    if (fflush(out) == 0 && written && ferror(out) == 0) {
        return CB_OK;
    }
    int number = errno;
    /* Whoever read it has seen enough, as `head` does; nothing went wrong. */
    if (number == EPIPE) {
        return CB_OK;
    }
    cb_error_meaning(reterr_error, "what the command did stays done; its "
                                   "answer is not complete");
    if (number == ENOSPC) {
        return cb_error_set(reterr_error, CB_NO_SPACE,
                            "cannot write the answer: the disk is full");
    }
    return cb_error_set(reterr_error, CB_IO,
                        "cannot write the answer: error %d", number);
}

/* One part of an error as a line of its own; nothing where it is empty. */
static void report_part(const cb_cli_session *session, cb_cli_role role,
                        const char *lead, const char *text)
{
    if (text[0] == '\0') {
        return;
    }
    FILE *err = error_stream(session);
    const char *start = session->err_colour ? role_start(role) : "";
    cb_buffer line;
    cb_buffer_init(&line, MESSAGE_BYTES_MAX);
    cb_cli_clean(&line, cb_span_of_text(text));
    write_text(err, lead, strlen(lead));
    write_text(err, start, strlen(start));
    if (line.failure == CB_OK) {
        write_text(err, cb_buffer_text(&line), line.size);
    } else {
        write_plainly(err, text);
    }
    write_text(err, start[0] == '\0' ? "\n" : "\033[0m\n",
               start[0] == '\0' ? 1 : 5);
    cb_buffer_clear(&line);
}

static void report_json(const cb_cli_session *session, const cb_error *error,
                        const char *meaning, const char *next)
{
    json_t *steps = json_array();
    if (next[0] != '\0') {
        (void)json_array_append_new(steps, clean_string(next));
    }
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:o, s:o, s:o}", "schema", "casebound.error.v1",
        "status", cb_status_name(error->status), "exit",
        cb_status_exit_code(error->status), "what",
        clean_string(error->what[0] == '\0' ? cb_status_meaning(error->status)
                                            : error->what),
        "meaning", clean_string(meaning), "next", steps);
    if (object != NULL && session->warnings != NULL) {
        (void)json_object_set(object, "warnings", session->warnings);
    }
    if (object == NULL || !print_json(session->world->err, object, 0)) {
        report_part(session, CB_CLI_BAD, "casebound: ", error->what);
        report_part(session, CB_CLI_PLAIN, "    next: ", next);
    }
    json_decref(object);
}

/*
 * What the status itself says would repeat the first line of these two, so
 * that what it means for the data is said instead.
 */
static const char *default_meaning(cb_status status)
{
    if (status == CB_NOT_FOUND || status == CB_WRONG_KEY) {
        return "nothing was changed";
    }
    return status == CB_NO_STORE ? "nothing was read or changed"
                                 : cb_status_meaning(status);
}

void cb_cli_report_error(const cb_cli_session *session, const cb_error *error)
{
    const char *meaning = error->meaning;
    const char *next = error->next;
    if (meaning[0] == '\0') {
        meaning = default_meaning(error->status);
    }
    if (next[0] == '\0') {
        next = cb_status_next(error->status);
    }
    if (session->json) {
        report_json(session, error, meaning, next);
        return;
    }
    report_part(session, CB_CLI_BAD, "casebound: ",
                error->what[0] == '\0' ? cb_status_meaning(error->status)
                                       : error->what);
    if (error->status != CB_USAGE && error->what[0] != '\0') {
        report_part(session, CB_CLI_PLAIN, "    ", meaning);
    }
    report_part(session, CB_CLI_PLAIN, "    next: ", next);
    if (session->verbose) {
        (void)fprintf(session->world->err, "    status: %s (exit %d)\n",
                      cb_status_name(error->status),
                      cb_status_exit_code(error->status));
    }
}

void cb_cli_rows_init(cb_cli_rows *rows, const cb_cli_column *columns,
                      size_t column_count)
{
    CB_ASSERT(column_count > 0 && column_count <= CB_CLI_COLUMNS_MAX);
    *rows = (cb_cli_rows){ .columns = columns, .column_count = column_count };
    cb_buffer_init(&rows->cells, TABLE_BYTES_MAX);
}

void cb_cli_rows_clear(cb_cli_rows *rows)
{
    cb_buffer_clear(&rows->cells);
    rows->cell_count = 0;
}

void cb_cli_rows_add(cb_cli_rows *rows, const char *text)
{
    if (text != NULL) {
        cb_cli_clean(&rows->cells, cb_span_of_text(text));
    }
    cb_buffer_append(&rows->cells, "", 1);
    rows->cell_count++;
}

/* Takes columns away from those that may be cut until the row fits. */
static void shrink(const cb_cli_rows *rows, size_t *widths, size_t columns)
{
    size_t total = 2 * (rows->column_count - 1);
    for (size_t i = 0; i < rows->column_count; i++) {
        total += widths[i];
    }
    while (total > columns) {
        size_t widest = rows->column_count;
        for (size_t i = 0; i < rows->column_count; i++) {
            if (rows->columns[i].may_be_cut && widths[i] > 8 &&
                (widest == rows->column_count || widths[i] > widths[widest])) {
                widest = i;
            }
        }
        if (widest == rows->column_count) {
            return;
        }
        widths[widest]--;
        total--;
    }
}

static void append_spaces(cb_buffer *line, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cb_buffer_append_text(line, " ");
    }
}

static void append_cell(cb_buffer *line, const cb_cli_rows *rows, size_t column,
                        size_t width, const char *text)
{
    cb_span span = cb_span_of_text(text);
    bool is_cut = cb_cli_text_width(span) > width;
    if (is_cut) {
        span.size = cb_cli_text_fit(span, width - 2);
    }
    size_t shown = cb_cli_text_width(span) + (is_cut ? 2 : 0);
    if (rows->columns[column].is_number) {
        append_spaces(line, width - shown);
    }
    cb_buffer_append_span(line, span);
    if (is_cut) {
        cb_buffer_append_text(line, "..");
    }
    /* No blanks at the end of a line. */
    if (column + 1 < rows->column_count) {
        append_spaces(
            line, (rows->columns[column].is_number ? 0 : width - shown) + 2);
    }
}

static void measure(const cb_cli_rows *rows, bool is_terminal, size_t *widths)
{
    for (size_t i = 0; i < rows->column_count; i++) {
        widths[i] =
            is_terminal
                ? cb_cli_text_width(cb_span_of_text(rows->columns[i].title))
                : 0;
    }
    const char *cell = cb_buffer_text(&rows->cells);
    for (size_t i = 0; i < rows->cell_count; i++) {
        size_t width = cb_cli_text_width(cb_span_of_text(cell));
        size_t column = i % rows->column_count;
        widths[column] = width > widths[column] ? width : widths[column];
        cell += strlen(cell) + 1;
    }
}

cb_status cb_cli_rows_print(const cb_cli_session *session,
                            const cb_cli_rows *rows, cb_error *reterr_error)
{
    size_t widths[CB_CLI_COLUMNS_MAX] = { 0 };
    bool is_terminal = session->world->out_is_terminal;
    cb_status status = cb_buffer_check(&rows->cells, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    CB_ASSERT(rows->cell_count % rows->column_count == 0);
    measure(rows, is_terminal, widths);
    if (is_terminal) {
        shrink(rows, widths, (size_t)session->world->columns);
    }
    cb_buffer out;
    cb_buffer_init(&out, TABLE_BYTES_MAX * 4);
    for (size_t i = 0; is_terminal && i < rows->column_count; i++) {
        append_cell(&out, rows, i, widths[i], rows->columns[i].title);
    }
    if (is_terminal) {
        cb_buffer_append_text(&out, "\n");
    }
    const char *cell = cb_buffer_text(&rows->cells);
    for (size_t i = 0; i < rows->cell_count; i++) {
        size_t column = i % rows->column_count;
        append_cell(&out, rows, column, widths[column], cell);
        if (column + 1 == rows->column_count) {
            /* An empty last cell leaves the gap before it. */
            while (out.size > 0 && out.failure == CB_OK &&
                   out.bytes[out.size - 1] == ' ') {
                out.size--;
            }
            cb_buffer_append_text(&out, "\n");
        }
        cell += strlen(cell) + 1;
    }
    status = cb_buffer_check(&out, reterr_error);
    if (status == CB_OK) {
        cb_cli_print_buffer(session, &out);
    }
    cb_buffer_clear(&out);
    return status;
}
