/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <casebound/json.h>
#include <casebound/when.h>

#include <string.h>

#include "text.h"

#define COLUMNS_PIPE     80
#define COLUMNS_MIN      60
#define COLUMNS_MAX      120
#define PIECE_BYTES_MAX  262144
#define SHORT_YEAR_RANGE 100

size_t cb_cli_page_columns(const cb_cli_session *session)
{
    const cb_cli_world *world = session->world;
    if (!world->out_is_terminal) {
        return COLUMNS_PIPE;
    }
    if (world->columns < COLUMNS_MIN) {
        return COLUMNS_MIN;
    }
    return world->columns > COLUMNS_MAX ? COLUMNS_MAX : (size_t)world->columns;
}

const char *cb_cli_member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

void cb_cli_page_clean(cb_buffer *page, const char *text)
{
    cb_cli_clean(page, cb_span_of_text(text));
}

void cb_cli_page_text(cb_buffer *page, size_t columns, const char *lead,
                      const char *text, size_t indent)
{
    cb_buffer piece;
    cb_buffer_init(&piece, PIECE_BYTES_MAX);
    cb_cli_clean(&piece, cb_span_of_text(text));
    cb_buffer_append_text(page, lead);
    /* Wrapping would make one blank of several. */
    size_t start = cb_cli_text_width(cb_span_of_text(lead));
    if (start + cb_cli_text_width(cb_span_of_buffer(&piece)) <= columns) {
        cb_buffer_append_span(page, cb_span_of_buffer(&piece));
    } else {
        cb_cli_wrap(page, cb_span_of_buffer(&piece), start, indent, columns);
    }
    cb_buffer_append_text(page, "\n");
    if (page->failure == CB_OK && piece.failure != CB_OK) {
        page->failure = piece.failure;
    }
    cb_buffer_clear(&piece);
}

void cb_cli_page_pad(cb_buffer *page, size_t column)
{
    size_t start = page->size;
    while (start > 0 && page->bytes[start - 1] != '\n') {
        start--;
    }
    cb_span line = { page->bytes + start, page->size - start };
    size_t width = page->size == 0 ? 0 : cb_cli_text_width(line);
    do {
        cb_buffer_append_text(page, " ");
        width++;
    } while (width < column);
}

void cb_cli_short_date(const cb_cli_session *session, int64_t instant_ms,
                       const char *precision,
                       char ret_text[CB_CLI_DATE_TEXT_BYTES])
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr",
                                          "May", "Jun", "Jul", "Aug",
                                          "Sep", "Oct", "Nov", "Dec" };
    const cb_environment *environment = session->world->environment;
    cb_civil now = cb_when_local(environment->now_ms(environment->context));
    cb_civil then = cb_when_local(instant_ms);
    const char *month = months[then.month - 1];
    char year[16] = "";
    bool has_time =
        strcmp(precision, "minute") == 0 || strcmp(precision, "second") == 0;
    if (strcmp(precision, "year") == 0) {
        (void)snprintf(ret_text, CB_CLI_DATE_TEXT_BYTES, "%d", (int)then.year);
        return;
    }
    if (strcmp(precision, "month") == 0) {
        (void)snprintf(ret_text, CB_CLI_DATE_TEXT_BYTES, "%s %d", month,
                       (int)then.year);
        return;
    }
    if (then.year != now.year) {
        (void)snprintf(year, sizeof year, has_time ? " %02d" : " %d",
                       has_time ? (int)(then.year % SHORT_YEAR_RANGE)
                                : (int)then.year);
    }
    if (has_time) {
        (void)snprintf(ret_text, CB_CLI_DATE_TEXT_BYTES, "%02d %s%s %02d:%02d",
                       then.day, month, year, then.hour, then.minute);
    } else {
        (void)snprintf(ret_text, CB_CLI_DATE_TEXT_BYTES, "%02d %s%s", then.day,
                       month, year);
    }
}

void cb_cli_short_name(const char *name, cb_buffer *text)
{
    const char *last = strrchr(name, ' ');
    if (last == NULL || last == name || last[1] == '\0') {
        cb_cli_page_clean(text, name);
        return;
    }
    /* The first character, however many bytes it has. */
    size_t size = 1;
    while ((name[size] & (char)0xc0) == (char)0x80) {
        size++;
    }
    cb_cli_clean(text, (cb_span){ (const uint8_t *)name, size });
    cb_buffer_append_text(text, ".");
    cb_cli_page_clean(text, last + 1);
}

void cb_cli_row_words(const json_t *row, cb_buffer *text)
{
    const char *name = cb_cli_member(row, "about_name");
    bool is_person = strcmp(cb_cli_member(row, "type"), "person") == 0;
    if (name[0] != '\0' && !is_person) {
        cb_cli_page_clean(text, name);
        cb_buffer_append_text(text, ": ");
    }
    cb_cli_page_clean(text, cb_cli_member(row, "what"));
    if (name[0] != '\0' && is_person) {
        cb_buffer_append_text(text, ": ");
        cb_cli_page_clean(text, name);
    }
}

const char *cb_cli_role_words(const char *role, char *ret_text, size_t size)
{
    if (strcmp(role, "co") == 0) {
        return "co-facilitator";
    }
    (void)snprintf(ret_text, size, "%s", role);
    for (char *at = ret_text; *at != '\0'; at++) {
        *at = *at == '_' ? ' ' : *at;
    }
    return ret_text;
}
