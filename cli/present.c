/* SPDX-License-Identifier: Apache-2.0 */
/* A case and its timeline. */
#include "present.h"

#include <casebound/json.h>
#include <casebound/store.h>
#include <casebound/when.h>

#include <string.h>

#include "access.h"
#include "layout.h"
#include "output.h"
#include "text.h"

#define PAGE_BYTES_MAX    67108864
#define CELL_BYTES_MAX    65536
#define HAPPENED_WIDTH    16
#define RECORDED_WIDTH    14
#define WHO_WIDTH         10
#define MARK_COLUMN       75
#define DATE_WIDTH_LARGE  17
#define ID_DIGITS         8
#define ROLE_BYTES_MAX    64
#define ID_WIDTH          10
#define CONTINUED_INDENT  2
#define CORRECTION_INDENT 4

/* Where the columns of a timeline begin. */
typedef struct frame {
    size_t happened; /* after the ids, if they are wanted */
    size_t recorded;
    size_t who;
    size_t what;
    size_t columns;
} frame;

static cb_status print_page(cb_cli_session *session, cb_buffer *page)
{
    cb_status status = cb_buffer_check(page, &session->error);
    if (status == CB_OK) {
        cb_cli_print_buffer(session, page);
    }
    cb_buffer_clear(page);
    return status;
}

static int64_t member_ms(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* ------------------------------------------------------------------- rows */

/* Other years need the longer form of a date, and so a wider column. */
static frame measure(const cb_cli_session *session, const json_t *rows)
{
    size_t widest = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char text[CB_CLI_DATE_TEXT_BYTES];
        cb_cli_short_date(session, member_ms(row, "recorded_ms"), "minute",
                          text);
        widest = strlen(text) > widest ? strlen(text) : widest;
    }
    bool has_ids = cb_cli_option_given(&session->arguments, "ids");
    frame made = { .happened = has_ids ? ID_WIDTH : 0,
                   .columns = cb_cli_page_columns(session) };
    made.recorded = made.happened + HAPPENED_WIDTH;
    made.who = made.recorded + (widest + 2 > RECORDED_WIDTH ? DATE_WIDTH_LARGE
                                                            : RECORDED_WIDTH);
    made.what = made.who + WHO_WIDTH;
    return made;
}

static void append_marks(const json_t *row, cb_buffer *text)
{
    const json_t *marks = json_object_get(row, "marks");
    for (size_t i = 0; i < json_array_size(marks); i++) {
        const char *mark = json_string_value(json_array_get(marks, i));
        if (mark != NULL) {
            cb_buffer_append_text(text, i == 0 ? "" : "  ");
            cb_cli_page_clean(text, mark);
        }
    }
}

static void append_cut(cb_buffer *page, const cb_buffer *text, size_t columns)
{
    cb_span span = cb_span_of_buffer(text);
    span.size = cb_cli_text_fit(span, columns);
    cb_buffer_append_span(page, span);
}

static void append_start(const cb_cli_session *session, cb_buffer *page,
                         const frame *at, const json_t *row)
{
    char happened[CB_CLI_DATE_TEXT_BYTES];
    char recorded[CB_CLI_DATE_TEXT_BYTES];
    cb_buffer who;
    cb_buffer_init(&who, CELL_BYTES_MAX);
    cb_cli_short_date(session, member_ms(row, "happened_ms"),
                      cb_cli_member(row, "precision"), happened);
    cb_cli_short_date(session, member_ms(row, "recorded_ms"), "minute",
                      recorded);
    cb_cli_short_name(cb_cli_member(row, "who"), &who);
    if (at->happened > 0) {
        cb_buffer_append_format(page, "%.*s", ID_DIGITS,
                                cb_cli_member(row, "record"));
        cb_cli_page_pad(page, at->happened);
    }
    cb_buffer_append_text(page, happened);
    cb_cli_page_pad(page, at->recorded);
    cb_buffer_append_text(page, recorded);
    cb_cli_page_pad(page, at->who);
    append_cut(page, &who, WHO_WIDTH - 1);
    cb_cli_page_pad(page, at->what);
    cb_buffer_clear(&who);
}

/* What happened, and its marks: in one line where they fit. */
static void append_row(const cb_cli_session *session, cb_buffer *page,
                       const frame *at, const json_t *row)
{
    cb_buffer what;
    cb_buffer marks;
    cb_buffer_init(&what, CELL_BYTES_MAX);
    cb_buffer_init(&marks, CELL_BYTES_MAX);
    cb_cli_row_words(row, &what);
    append_marks(row, &marks);
    size_t what_end = at->what + cb_cli_text_width(cb_span_of_buffer(&what));
    size_t marks_width = cb_cli_text_width(cb_span_of_buffer(&marks));
    bool is_short =
        what_end < MARK_COLUMN && MARK_COLUMN + marks_width <= at->columns;
    size_t marks_at = is_short ? MARK_COLUMN : what_end + 2;
    append_start(session, page, at, row);
    cb_cli_wrap(page, cb_span_of_buffer(&what), at->what,
                at->what + CONTINUED_INDENT, at->columns);
    if (marks.size > 0 && marks_at + marks_width <= at->columns) {
        cb_cli_page_pad(page, marks_at);
        cb_buffer_append_text(page, cb_buffer_text(&marks));
    } else if (marks.size > 0) {
        cb_buffer_append_text(page, "\n");
        cb_cli_page_pad(page, at->what + CONTINUED_INDENT);
        cb_cli_wrap(page, cb_span_of_buffer(&marks),
                    at->what + CONTINUED_INDENT, at->what + CONTINUED_INDENT,
                    at->columns);
    }
    cb_buffer_append_text(page, "\n");
    cb_buffer_clear(&what);
    cb_buffer_clear(&marks);
}

/* Who, and why: "(corrected by J.Lind: new information)" */
static void append_reason(const json_t *row, const char *did, cb_buffer *text)
{
    const char *why = cb_cli_member(row, "why");
    cb_buffer_append_format(text, "(%s by ", did);
    cb_cli_short_name(cb_cli_member(row, "who"), text);
    if (why[0] != '\0') {
        cb_buffer_append_text(text, ": ");
        cb_cli_page_clean(text, why);
    }
    cb_buffer_append_text(text, ")");
}

/* `    14 Mar  was "risk M" -> "risk H"  (corrected by J.Lind: why)` */
static void append_correction(const cb_cli_session *session, cb_buffer *page,
                              const frame *at, const json_t *row,
                              const json_t *change)
{
    char date[CB_CLI_DATE_TEXT_BYTES];
    char lead[CB_CLI_DATE_TEXT_BYTES + CORRECTION_INDENT + 3];
    const char *title = cb_cli_member(change, "title");
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES_MAX);
    cb_cli_short_date(session, member_ms(row, "recorded_ms"), "day", date);
    if (cb_cli_member(row, "about_name")[0] != '\0') {
        cb_cli_page_clean(&text, cb_cli_member(row, "about_name"));
        cb_buffer_append_text(&text, ": ");
    }
    cb_buffer_append_format(&text, "was \"%s: %s\" -> \"%s\"  ", title,
                            cb_cli_member(change, "was"),
                            cb_cli_member(change, "now"));
    append_reason(row, "corrected", &text);
    (void)snprintf(lead, sizeof lead, "    %s  ", date);
    cb_cli_page_text(page, at->columns, lead, cb_buffer_text(&text),
                     strlen(lead));
    cb_buffer_clear(&text);
}

/* An entry has one reason, however many rows it makes: under the last. */
static bool has_reason(const json_t *row, const json_t *next)
{
    return cb_cli_member(row, "why")[0] != '\0' &&
           (next == NULL || strcmp(cb_cli_member(row, "entry"),
                                   cb_cli_member(next, "entry")) != 0);
}

static void append_any(const cb_cli_session *session, cb_buffer *page,
                       const frame *at, const json_t *row, const json_t *next)
{
    const char *op = cb_cli_member(row, "op");
    const json_t *changes = json_object_get(row, "changes");
    if (strcmp(op, "set") == 0 && json_array_size(changes) > 0) {
        for (size_t i = 0; i < json_array_size(changes); i++) {
            append_correction(session, page, at, row,
                              json_array_get(changes, i));
        }
        return;
    }
    append_row(session, page, at, row);
    if (has_reason(row, next)) {
        const char *did = strcmp(op, "strike") == 0     ? "struck"
                          : strcmp(op, "override") == 0 ? "overridden"
                                                        : "recorded";
        cb_buffer text;
        cb_buffer_init(&text, CELL_BYTES_MAX);
        append_reason(row, did, &text);
        cb_cli_page_text(page, at->columns, "    ", cb_buffer_text(&text),
                         CORRECTION_INDENT);
        cb_buffer_clear(&text);
    }
}

static void append_rows(const cb_cli_session *session, cb_buffer *page,
                        const json_t *rows)
{
    const frame at = measure(session, rows);
    if (at.happened > 0) {
        cb_buffer_append_text(page, "record");
        cb_cli_page_pad(page, at.happened);
    }
    cb_buffer_append_text(page, "when happened");
    cb_cli_page_pad(page, at.recorded);
    cb_buffer_append_text(page, "recorded");
    cb_cli_page_pad(page, at.who);
    cb_buffer_append_text(page, "who");
    cb_cli_page_pad(page, at.what);
    cb_buffer_append_text(page, "what");
    cb_cli_page_pad(page, MARK_COLUMN);
    cb_buffer_append_text(page, "mark\n");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        append_any(session, page, &at, json_array_get(rows, i),
                   json_array_get(rows, i + 1));
    }
}

/* ------------------------------------------------------------------ proof */

cb_status cb_cli_add_witness(cb_cli_session *session, const json_t *rows,
                             json_t *proof)
{
    cb_store_identity identity;
    char ours[CB_IDENTIFIER_TEXT_BYTES];
    int64_t newest_ms = INT64_MIN;
    const json_t *newest = NULL;
    uint64_t last_seq = 0;
    json_int_t missing = 0;
    cb_store_identify(cb_cli_store(session), &identity);
    cb_hex_format(identity.stream.bytes, sizeof identity.stream.bytes, ours);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        uint64_t seq = (uint64_t)member_ms(row, "seq");
        bool is_ours = strcmp(cb_cli_member(row, "stream"), ours) == 0;
        if (is_ours && seq > identity.accepted_seq) {
            /* One entry can make several rows, which stand by its time. */
            missing += seq != last_seq ? 1 : 0;
            last_seq = seq;
        } else if (member_ms(row, "recorded_ms") > newest_ms) {
            newest_ms = member_ms(row, "recorded_ms");
            newest = row;
        }
    }
    int failed =
        json_object_set_new(proof, "not_witnessed", json_integer(missing));
    if (newest != NULL) {
        failed |= json_object_set_new(
            proof, "witnessed", json_string(cb_cli_member(newest, "recorded")));
        failed |=
            json_object_set_new(proof, "witnessed_ms", json_integer(newest_ms));
    }
    return failed == 0
               ? CB_OK
               : cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
}

static void append_count(cb_buffer *page, const json_t *proof,
                         const char *member, const char *words)
{
    json_int_t count = json_integer_value(json_object_get(proof, member));
    if (count > 0) {
        cb_buffer_append_format(page, ", %" JSON_INTEGER_FORMAT " %s", count,
                                words);
    }
}

static void append_proof(const cb_cli_session *session, cb_buffer *page,
                         const json_t *proof)
{
    json_int_t entries = member_ms(proof, "entries");
    json_int_t devices = member_ms(proof, "devices");
    bool is_whole = member_ms(proof, "waiting") == 0 &&
                    member_ms(proof, "quarantined") == 0;
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES_MAX);
    cb_buffer_append_format(
        &text,
        "%" JSON_INTEGER_FORMAT " event%s, %" JSON_INTEGER_FORMAT
        " device%s, head %s",
        entries, entries == 1 ? "" : "s", devices, devices == 1 ? "" : "s",
        cb_cli_member(proof, "fingerprint_short"));
    append_count(&text, proof, "waiting", "waiting for others");
    append_count(&text, proof, "quarantined", "in quarantine");
    if (json_object_get(proof, "witnessed_ms") != NULL) {
        char date[CB_CLI_DATE_TEXT_BYTES];
        cb_cli_short_date(session, member_ms(proof, "witnessed_ms"), "minute",
                          date);
        cb_buffer_append_format(&text, ", last witnessed %s", date);
    }
    append_count(&text, proof, "not_witnessed", "not witnessed yet");
    cb_buffer_append_text(&text, is_whole ? "   OK" : "   NOT WHOLE");
    cb_cli_page_text(page, cb_cli_page_columns(session),
                     "Proof: ", cb_buffer_text(&text), strlen("Proof: "));
    cb_buffer_clear(&text);
}

/* ------------------------------------------------------------------- case */

static bool is_capital(char letter)
{
    return letter >= 'A' && letter <= 'Z';
}

/* "Domestic abuse" inside a line as "domestic abuse"; "MAPPA" stays. */
static void append_lower(cb_buffer *text, const char *title)
{
    if (is_capital(title[0]) && !is_capital(title[1])) {
        char first = (char)(title[0] - 'A' + 'a');
        cb_buffer_append(text, &first, 1);
        title++;
    }
    cb_buffer_append_text(text, title);
}

static void append_heading(cb_buffer *page, size_t columns,
                           const json_t *document)
{
    const json_t *flags = json_object_get(document, "complex");
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES_MAX);
    cb_buffer_append_format(&text, "%s   STAGE %s",
                            cb_cli_member(document, "reference"),
                            cb_cli_member(document, "stage"));
    for (size_t i = 0; i < json_array_size(flags); i++) {
        cb_buffer_append_text(&text, i == 0 ? "   COMPLEX: " : ", ");
        append_lower(&text, json_string_value(json_array_get(flags, i)));
    }
    cb_cli_page_text(page, columns, "CASE ", cb_buffer_text(&text),
                     strlen("CASE "));
    cb_buffer_clear(&text);
}

static void append_state(const cb_cli_session *session, cb_buffer *page,
                         size_t columns, const json_t *document)
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed",
                                        "Thu", "Fri", "Sat" };
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES_MAX);
    cb_buffer_append_text(&text, cb_cli_member(document, "state"));
    if (json_object_get(document, "since_ms") != NULL) {
        char date[CB_CLI_DATE_TEXT_BYTES];
        int64_t since_ms = member_ms(document, "since_ms");
        cb_cli_short_date(session, since_ms, "minute", date);
        cb_buffer_append_format(&text, "   since %s %s",
                                days[cb_when_local(since_ms).weekday], date);
    }
    cb_cli_page_text(page, columns, "STATE  ", cb_buffer_text(&text),
                     strlen("STATE  "));
    cb_buffer_clear(&text);
}

static void append_blocked(cb_buffer *page, size_t columns,
                           const json_t *blocked)
{
    for (size_t i = 0; i < json_array_size(blocked); i++) {
        const json_t *verdict = json_array_get(blocked, i);
        bool blocks = strcmp(cb_cli_member(verdict, "outcome"), "blocked") == 0;
        cb_buffer text;
        cb_buffer_init(&text, CELL_BYTES_MAX);
        cb_buffer_append_format(&text, "%s %s", cb_cli_member(verdict, "rule"),
                                cb_cli_member(verdict, "sentence"));
        cb_cli_page_text(page, columns, blocks ? "BLOCKED: " : "Warning: ",
                         cb_buffer_text(&text), strlen("BLOCKED: "));
        cb_buffer_clear(&text);
    }
}

/* True where the role is the reader's in this case. */
static bool is_reader(const cb_cli_session *session, const json_t *document,
                      const char *role)
{
    cb_store_identity identity;
    const json_t *allocation = json_object_get(document, "allocation");
    cb_store_identify(cb_cli_store(session), &identity);
    return (strcmp(role, "hub") == 0 && identity.hub) ||
           strcmp(cb_cli_member(allocation, role), identity.person_name) == 0;
}

/* The roles that are waited for, "you" for the reader's: "you, co". */
static void append_waited(const cb_cli_session *session, const json_t *document,
                          const char *roles, cb_buffer *text)
{
    char role[ROLE_BYTES_MAX];
    char words[ROLE_BYTES_MAX];
    if (roles[0] == '\0') {
        cb_buffer_append_text(text, "anyone");
    }
    for (const char *at = roles; *at != '\0';) {
        size_t size = strcspn(at, " ");
        (void)snprintf(role, sizeof role, "%.*s", (int)size, at);
        cb_buffer_append_format(
            text, "%s%s", at == roles ? "" : ", ",
            is_reader(session, document, role)
                ? "you"
                : cb_cli_role_words(role, words, sizeof words));
        at += size + strspn(at + size, " ");
    }
}

static void append_waiting(const cb_cli_session *session, cb_buffer *page,
                           size_t columns, const json_t *document)
{
    const json_t *waiting = json_object_get(document, "waiting");
    for (size_t i = 0; i < json_array_size(waiting); i++) {
        const json_t *issue = json_array_get(waiting, i);
        cb_buffer text;
        cb_buffer_init(&text, CELL_BYTES_MAX);
        append_waited(session, document, cb_cli_member(issue, "waits_for"),
                      &text);
        cb_buffer_append_format(&text, " - %s [%.*s]",
                                cb_cli_member(issue, "sentence"), ID_DIGITS,
                                cb_cli_member(issue, "id"));
        cb_cli_page_text(page, columns, "Waiting: ", cb_buffer_text(&text),
                         strlen("Waiting: "));
        cb_buffer_clear(&text);
    }
}

cb_status cb_cli_present_case(cb_cli_session *session, const json_t *document)
{
    size_t columns = cb_cli_page_columns(session);
    cb_buffer page;
    cb_buffer_init(&page, PAGE_BYTES_MAX);
    append_heading(&page, columns, document);
    append_state(session, &page, columns, document);
    append_blocked(&page, columns, json_object_get(document, "blocked"));
    append_waiting(session, &page, columns, document);
    append_rows(session, &page, json_object_get(document, "timeline"));
    append_proof(session, &page, json_object_get(document, "proof"));
    return print_page(session, &page);
}

cb_status cb_cli_present_timeline(cb_cli_session *session,
                                  const json_t *document)
{
    cb_buffer page;
    cb_buffer_init(&page, PAGE_BYTES_MAX);
    cb_cli_page_text(&page, cb_cli_page_columns(session), "CASE ",
                     cb_cli_member(document, "reference"), strlen("CASE "));
    append_rows(session, &page, json_object_get(document, "rows"));
    append_proof(session, &page, json_object_get(document, "proof"));
    return print_page(session, &page);
}
