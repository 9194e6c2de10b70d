/* SPDX-License-Identifier: Apache-2.0 */
/* A record with its history, and issues. */
#include "present.h"

#include <casebound/when.h>

#include <string.h>

#include "layout.h"
#include "output.h"

#define PAGE_BYTES_MAX 67108864
#define CELL_BYTES_MAX 262144
#define ID_DIGITS      8
#define ROLE_BYTES_MAX 64

static cb_status print_page(cb_cli_session *session, cb_buffer *page)
{
    cb_status status = cb_buffer_check(page, &session->error);
    if (status == CB_OK) {
        cb_cli_print_buffer(session, page);
    }
    cb_buffer_clear(page);
    return status;
}

/* Who, when, and why: "J.Lind, 14 Mar 14:10: new information" */
static void append_said(const cb_cli_session *session, const json_t *said,
                        const char *did, cb_buffer *text)
{
    const char *why = cb_cli_member(said, "why");
    cb_when recorded = { 0 };
    cb_buffer_append_text(text, did);
    cb_cli_short_name(cb_cli_member(said, "who"), text);
    if (cb_when_parse(cb_cli_member(said, "recorded"), 0, &recorded, NULL) ==
        CB_OK) {
        char date[CB_CLI_DATE_TEXT_BYTES];
        cb_cli_short_date(session, recorded.start_ms, "minute", date);
        cb_buffer_append_format(text, ", %s", date);
    }
    if (why[0] != '\0') {
        cb_buffer_append_text(text, ": ");
        cb_cli_page_clean(text, why);
    }
}

static void append_head(const cb_cli_session *session, cb_buffer *page,
                        size_t columns, const json_t *document)
{
    const json_t *struck = json_object_get(document, "struck");
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES_MAX);
    cb_buffer_append_format(
        &text, "%s %.*s in %s", cb_cli_member(document, "title"), ID_DIGITS,
        cb_cli_member(document, "id"), cb_cli_member(document, "reference"));
    if (json_object_get(document, "about_name") != NULL) {
        cb_buffer_append_format(&text, ", about %s",
                                cb_cli_member(document, "about_name"));
    }
    if (cb_cli_member(document, "mark")[0] != '\0') {
        cb_buffer_append_format(&text, "   %s",
                                cb_cli_member(document, "mark"));
    }
    cb_cli_page_text(page, columns, "", cb_buffer_text(&text), 4);
    cb_buffer_reset(&text);
    if (json_object_get(document, "created") != NULL) {
        append_said(session, json_object_get(document, "created"),
                    "recorded by ", &text);
        cb_cli_page_text(page, columns, "  ", cb_buffer_text(&text), 4);
    }
    if (struck != NULL) {
        cb_buffer_reset(&text);
        append_said(session, struck, "STRUCK THROUGH by ", &text);
        cb_cli_page_text(page, columns, "  ", cb_buffer_text(&text), 4);
    }
    cb_buffer_clear(&text);
}

/* What a field was and is; what is struck stands between strokes. */
static void append_history(const cb_cli_session *session, cb_buffer *page,
                           size_t columns, const json_t *history)
{
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *write = json_array_get(history, i);
        bool is_struck = json_is_true(json_object_get(write, "struck"));
        const char *words = cb_cli_member(write, "words");
        cb_buffer text;
        cb_buffer_init(&text, CELL_BYTES_MAX);
        cb_buffer_append_format(&text, "%s%s%s  (", is_struck ? "-" : "",
                                words[0] == '\0' ? "(taken away)" : words,
                                is_struck ? "-" : "");
        append_said(session, write,
                    json_is_true(json_object_get(write, "decision"))
                        ? "decided by "
                        : "",
                    &text);
        cb_buffer_append_text(&text, ")");
        cb_cli_page_text(page, columns, is_struck ? "    was  " : "    ",
                         cb_buffer_text(&text), 9);
        cb_buffer_clear(&text);
    }
}

static void append_fields(const cb_cli_session *session, cb_buffer *page,
                          size_t columns, const json_t *document)
{
    const json_t *fields = json_object_get(document, "fields");
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        const json_t *history = json_object_get(field, "history");
        bool is_contested = json_is_true(json_object_get(field, "contested"));
        cb_buffer text;
        cb_buffer_init(&text, CELL_BYTES_MAX);
        cb_buffer_append_format(
            &text, "%s: %s%s", cb_cli_member(field, "title"),
            cb_cli_member(field, "words"), is_contested ? "   CONTESTED" : "");
        cb_cli_page_text(page, columns, "  ", cb_buffer_text(&text), 4);
        cb_buffer_clear(&text);
        if (json_array_size(history) > 1) {
            append_history(session, page, columns, history);
        }
    }
}

static void append_rules(const cb_cli_session *session, cb_buffer *page,
                         size_t columns, const json_t *document)
{
    const json_t *rules = json_object_get(document, "rules");
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        const json_t *overridden = json_object_get(rule, "overridden");
        cb_buffer text;
        cb_buffer_init(&text, CELL_BYTES_MAX);
        cb_buffer_append_format(&text, "%s on what was known, %s now: %s",
                                cb_cli_member(rule, "known"),
                                cb_cli_member(rule, "now"),
                                cb_cli_member(rule, "sentence"));
        if (overridden != NULL) {
            append_said(session, overridden, "; overridden by ", &text);
        }
        cb_buffer lead;
        cb_buffer_init(&lead, 64);
        cb_buffer_append_format(&lead, "  %-4s ", cb_cli_member(rule, "rule"));
        cb_cli_page_text(page, columns, cb_buffer_text(&lead),
                         cb_buffer_text(&text), 7);
        cb_buffer_clear(&lead);
        cb_buffer_clear(&text);
    }
}

static void append_choices(const cb_cli_session *session, cb_buffer *page,
                           size_t columns, const json_t *choices)
{
    for (size_t i = 0; i < json_array_size(choices); i++) {
        const json_t *choice = json_array_get(choices, i);
        const json_t *said = json_object_get(choice, "said");
        char lead[32];
        cb_buffer text;
        cb_buffer_init(&text, CELL_BYTES_MAX);
        cb_buffer_append_text(&text, cb_cli_member(choice, "words"));
        for (size_t s = 0; s < json_array_size(said); s++) {
            cb_buffer_append_text(&text, s == 0 ? "  (" : "; ");
            append_said(session, json_array_get(said, s), "", &text);
        }
        cb_buffer_append_text(&text, json_array_size(said) > 0 ? ")" : "");
        (void)snprintf(lead, sizeof lead, "    %" JSON_INTEGER_FORMAT "  ",
                       json_integer_value(json_object_get(choice, "choice")));
        cb_cli_page_text(page, columns, lead, cb_buffer_text(&text), 7);
        cb_buffer_clear(&text);
    }
}

/* Roles stand between blanks in the document, between commas on the page. */
static void append_roles(cb_buffer *page, const char *roles)
{
    char role[ROLE_BYTES_MAX];
    char words[ROLE_BYTES_MAX];
    for (const char *at = roles; *at != '\0';) {
        size_t size = strcspn(at, " ");
        (void)snprintf(role, sizeof role, "%.*s", (int)size, at);
        cb_buffer_append_format(page, "%s%s", at == roles ? "" : ", ",
                                cb_cli_role_words(role, words, sizeof words));
        at += size + strspn(at + size, " ");
    }
}

static void append_issue(const cb_cli_session *session, cb_buffer *page,
                         size_t columns, const json_t *issue)
{
    const char *waits_for = cb_cli_member(issue, "waits_for");
    const char *act = cb_cli_member(issue, "act");
    json_int_t due =
        json_integer_value(json_object_get(issue, "due_working_days"));
    cb_buffer_append_format(
        page, "%.*s  %-8s  %s", ID_DIGITS, cb_cli_member(issue, "id"),
        cb_cli_member(issue, "form"), cb_cli_member(issue, "reference"));
    if (waits_for[0] != '\0') {
        cb_buffer_append_text(page, "  waits for: ");
        append_roles(page, waits_for);
    }
    if (due > 0) {
        cb_buffer_append_format(
            page, "  within %" JSON_INTEGER_FORMAT " working day%s", due,
            due == 1 ? "" : "s");
    }
    cb_buffer_append_text(page, "\n");
    cb_cli_page_text(page, columns, "    ", cb_cli_member(issue, "sentence"),
                     4);
    append_choices(session, page, columns, json_object_get(issue, "choices"));
    if (act[0] != '\0') {
        cb_cli_page_text(page, columns, "    next: ", act, 10);
    }
}

cb_status cb_cli_present_issues(cb_cli_session *session, const json_t *issues)
{
    size_t columns = cb_cli_page_columns(session);
    cb_buffer page;
    cb_buffer_init(&page, PAGE_BYTES_MAX);
    for (size_t i = 0; i < json_array_size(issues); i++) {
        cb_buffer_append_text(&page, i == 0 ? "" : "\n");
        append_issue(session, &page, columns, json_array_get(issues, i));
    }
    return print_page(session, &page);
}

cb_status cb_cli_present_record(cb_cli_session *session, const json_t *document)
{
    const json_t *issues = json_object_get(document, "issues");
    size_t columns = cb_cli_page_columns(session);
    cb_buffer page;
    cb_buffer_init(&page, PAGE_BYTES_MAX);
    append_head(session, &page, columns, document);
    append_fields(session, &page, columns, document);
    append_rules(session, &page, columns, document);
    for (size_t i = 0; i < json_array_size(issues); i++) {
        append_issue(session, &page, columns, json_array_get(issues, i));
    }
    return print_page(session, &page);
}
