/* SPDX-License-Identifier: Apache-2.0 */
/* audit replay, audit timeline, audit knew: looking back into a store. */
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include <casebound/audit.h>
#include <casebound/when.h>

#include "access.h"
#include "layout.h"
#include "output.h"

#define CELL_BYTES_MAX 65536

/* The last millisecond of the stretch that a person named. */
static cb_status read_moment(cb_cli_session *session, const char *text,
                             int64_t *ret_ms)
{
    const cb_environment *environment = session->world->environment;
    cb_when when = { 0 };
    cb_status status =
        cb_when_parse(text, environment->now_ms(environment->context), &when,
                      &session->error);
    if (status == CB_OK) {
        *ret_ms = cb_when_end_ms(&when) - 1;
    }
    return status;
}

static void say_moment(const cb_cli_session *session, const char *words,
                       int64_t at_ms)
{
    const cb_when when = { .start_ms = at_ms, .precision = CB_WHEN_SECOND };
    char text[CB_WHEN_TEXT_BYTES];
    cb_when_format_local(&when, text);
    cb_cli_say(session, "%s %s", words, text);
}

static int64_t member_ms(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void add_date(const cb_cli_session *session, cb_cli_rows *rows,
                     const json_t *object, const char *name,
                     const char *precision)
{
    char text[CB_CLI_DATE_TEXT_BYTES];
    cb_cli_short_date(session, member_ms(object, name), precision, text);
    cb_cli_rows_add(rows, text);
}

static void add_name(cb_cli_rows *rows, const char *name)
{
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES_MAX);
    cb_cli_short_name(name, &text);
    cb_cli_rows_add(rows, cb_buffer_text(&text));
    cb_buffer_clear(&text);
}

static void add_words(cb_cli_rows *rows, const json_t *row)
{
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES_MAX);
    cb_cli_row_words(row, &text);
    cb_cli_rows_add(rows, cb_buffer_text(&text));
    cb_buffer_clear(&text);
}

static cb_status end_rows(cb_cli_session *session, cb_cli_rows *rows)
{
    cb_status status = cb_cli_rows_print(session, rows, &session->error);
    cb_cli_rows_clear(rows);
    return status;
}

/* Hands the document over under --json, else lets it go. */
static cb_status end_document(cb_cli_session *session, cb_status status,
                              json_t *document)
{
    if (status != CB_OK) {
        json_decref(document);
        return status;
    }
    return cb_cli_answer(session, document, &session->error);
}

/* ----------------------------------------------------------------- replay */

static cb_status print_replay(cb_cli_session *session, const json_t *document)
{
    static const cb_cli_column columns[] = {
        { .title = "case" },        { .title = "stage", .may_be_cut = true },
        { .title = "state" },       { .title = "entries", .is_number = true },
        { .title = "fingerprint" },
    };
    const json_t *cases = json_object_get(document, "cases");
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        char entries[24];
        (void)snprintf(entries, sizeof entries, "%" JSON_INTEGER_FORMAT,
                       json_integer_value(json_object_get(one, "entries")));
        cb_cli_rows_add(&rows, cb_cli_member(one, "reference"));
        cb_cli_rows_add(&rows, cb_cli_member(one, "stage"));
        cb_cli_rows_add(&rows, cb_cli_member(one, "state"));
        cb_cli_rows_add(&rows, entries);
        cb_cli_rows_add(&rows, cb_cli_member(one, "fingerprint"));
    }
    return end_rows(session, &rows);
}

static cb_status run_audit_replay(cb_cli_session *session)
{
    const cb_cli_arguments *arguments = &session->arguments;
    const char *received = cb_cli_option_value(arguments, "as-received");
    const char *claimed = cb_cli_option_value(arguments, "as-claimed");
    const char *one = cb_cli_operand(arguments, 0);
    cb_store *store = cb_cli_store(session);
    json_t *document = NULL;
    cb_case_id case_id = { 0 };
    int64_t at_ms = 0;
    if ((received == NULL) == (claimed == NULL)) {
        return cb_error_set(&session->error, CB_USAGE,
                            "'audit replay' needs --as-received WHEN or "
                            "--as-claimed WHEN");
    }
    cb_status status =
        read_moment(session, received == NULL ? claimed : received, &at_ms);
    if (status == CB_OK && one != NULL) {
        status = cb_store_find_case(store, one, &case_id, &session->error);
    }
    if (status == CB_OK) {
        status = cb_audit_replay_document(
            store, received == NULL ? CB_AS_CLAIMED : CB_AS_RECEIVED, at_ms,
            one == NULL ? NULL : &case_id, &document, &session->error);
    }
    if (status == CB_OK && !session->json) {
        status = print_replay(session, document);
        say_moment(session,
                   received == NULL ? "as their writers say it was at"
                                    : "as this store had received it by",
                   at_ms);
    }
    return end_document(session, status, document);
}

const cb_cli_command cb_cli_command_audit_replay = {
    .name = "audit replay",
    .group = CB_CLI_GROUP_AUDIT,
    .purpose = "show the cases as they stood at a moment",
    .mode = CB_CLI_READ,
    .options =
        (const cb_cli_option[]){ { "as-received", '\0', "WHEN",
                                   "by when this store took an entry in" },
                                 { "as-claimed", '\0', "WHEN",
                                   "by when the writers say that they wrote" },
                                 { NULL, '\0', NULL, NULL } },
    .operands = "[CASE]",
    .operands_max = 1,
    .description =
        "Builds the cases again from the entries of that moment, and shows "
        "one line for each with its fingerprint: the same entries give the "
        "same fingerprint on every machine. At the hub, 'received' is when "
        "the hub received it. A date stands for its whole stretch: 2017-03 "
        "means to the end of March.",
    .examples =
        (const cb_cli_example[]){
            { "casebound audit replay --as-received 2017-03-14",
              "what was here at the end of that day" },
            { "casebound audit replay --as-claimed yesterday RL-2017-00412-7",
              "one case, by what people say" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_NOT_FOUND, "there is no such case" },
                               { CB_INPUT, "the moment is not understood" },
                               { CB_OK, NULL } },
    .see_also = "audit timeline, audit knew, help times",
    .run = run_audit_replay,
};

/* --------------------------------------------------------------- timeline */

/* "log 11-14": after the log's first 11 entries, before it had 14. */
static void add_bracket(cb_cli_rows *rows, const json_t *bracket)
{
    char text[64];
    const json_t *before = json_object_get(bracket, "before_size");
    int used =
        snprintf(text, sizeof text, "log %" JSON_INTEGER_FORMAT "-",
                 json_integer_value(json_object_get(bracket, "after_size")));
    if (before != NULL && used > 0 && (size_t)used < sizeof text) {
        (void)snprintf(text + used, sizeof text - (size_t)used,
                       "%" JSON_INTEGER_FORMAT, json_integer_value(before));
    }
    cb_cli_rows_add(rows, text);
}

static void add_moments(const cb_cli_session *session, cb_cli_rows *rows,
                        const json_t *row)
{
    add_date(session, rows, row, "written_ms", "minute");
    add_date(session, rows, row, "received_ms", "minute");
    add_bracket(rows, json_object_get(row, "bracket"));
}

static cb_status print_timeline(cb_cli_session *session, const json_t *document)
{
    static const cb_cli_column columns[] = {
        { .title = "written" }, { .title = "received" },
        { .title = "log" },     { .title = "happened" },
        { .title = "who" },     { .title = "what", .may_be_cut = true },
    };
    const json_t *list = json_object_get(document, "rows");
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const json_t *did = json_object_get(row, "did");
        for (size_t k = 0; k < json_array_size(did); k++) {
            const json_t *one = json_array_get(did, k);
            add_moments(session, &rows, row);
            /* RFC 3339; the date is what fits, --json has it whole. */
            char happened[17];
            (void)snprintf(happened, sizeof happened, "%.10s",
                           cb_cli_member(one, "happened"));
            cb_cli_rows_add(&rows, happened);
            add_name(&rows, cb_cli_member(one, "who"));
            add_words(&rows, one);
        }
        if (json_array_size(did) == 0) {
            add_moments(session, &rows, row);
            cb_cli_rows_add(&rows, "");
            cb_cli_rows_add(&rows, "");
            cb_cli_rows_add(&rows, "(cannot be read here)");
        }
    }
    return end_rows(session, &rows);
}

static cb_status run_audit_timeline(cb_cli_session *session)
{
    cb_store *store = cb_cli_store(session);
    json_t *document = NULL;
    cb_case_id case_id = { 0 };
    cb_status status =
        cb_store_find_case(store, cb_cli_operand(&session->arguments, 0),
                           &case_id, &session->error);
    if (status == CB_OK) {
        status = cb_audit_timeline_document(store, &case_id, &document,
                                            &session->error);
    }
    if (status == CB_OK && !session->json) {
        status = print_timeline(session, document);
    }
    return end_document(session, status, document);
}

const cb_cli_command cb_cli_command_audit_timeline = {
    .name = "audit timeline",
    .group = CB_CLI_GROUP_AUDIT,
    .purpose = "show every entry of a case with all its times",
    .mode = CB_CLI_READ,
    .operands = "CASE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "One line for each thing that an entry did, in the order in which the "
        "entries are claimed to be written: when it was written (as claimed), "
        "when this store received it, the bracket (\"log 19-21\": written after "
        "the log had 19 entries, and in it by when it had 21), when it happened "
        "(as claimed), who, and what. No clock proves anything here but the "
        "bracket.",
    .examples =
        (const cb_cli_example[]){
            { "casebound audit timeline RL-2017-00412-7", "one case" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_NOT_FOUND, "there is no such case" },
                                    { CB_OK, NULL } },
    .see_also = "case timeline, audit knew, audit replay",
    .run = run_audit_timeline,
};

/* ------------------------------------------------------------------- knew */

static cb_status print_rows(cb_cli_session *session, const json_t *list)
{
    static const cb_cli_column columns[] = {
        { .title = "recorded" },
        { .title = "who" },
        { .title = "what", .may_be_cut = true },
    };
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        add_date(session, &rows, row, "recorded_ms", "minute");
        add_name(&rows, cb_cli_member(row, "who"));
        add_words(&rows, row);
    }
    return end_rows(session, &rows);
}

static cb_status print_knew(cb_cli_session *session, const json_t *document)
{
    const json_t *known = json_object_get(document, "known");
    const json_t *unknown = json_object_get(document, "not_known");
    const json_int_t later = member_ms(document, "written_later");
    const char *who = cb_cli_member(document, "who");
    who = who[0] == '\0' ? cb_cli_member(document, "person") : who;
    if (json_object_get(document, "last_entry") == NULL) {
        cb_cli_print(session, "%s had written nothing in this case by then\n",
                     who);
    }
    cb_cli_print(session, "known to %s (%zu)\n", who, json_array_size(known));
    cb_status status = print_rows(session, known);
    if (status == CB_OK) {
        cb_cli_print(session, "\nnot known (%zu)\n", json_array_size(unknown));
        status = print_rows(session, unknown);
    }
    if (status == CB_OK && later > 0) {
        cb_cli_print(session,
                     "\n%" JSON_INTEGER_FORMAT
                     " entr%s written later than that\n",
                     later, later == 1 ? "y was" : "ies were");
    }
    return status;
}

static cb_status run_audit_knew(cb_cli_session *session)
{
    const cb_cli_arguments *arguments = &session->arguments;
    const char *at = cb_cli_option_value(arguments, "at");
    const char *by = cb_cli_option_value(arguments, "by");
    cb_store *store = cb_cli_store(session);
    json_t *document = NULL;
    cb_case_id case_id = { 0 };
    cb_person_id person = { 0 };
    int64_t at_ms = 0;
    cb_status status = read_moment(session, at, &at_ms);
    if (status == CB_OK) {
        status = cb_store_find_case(store, cb_cli_operand(arguments, 0),
                                    &case_id, &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_find_person(store, by, &person, &session->error);
    }
    if (status == CB_OK) {
        status = cb_audit_knew_document(store, &case_id, &person, at_ms,
                                        &document, &session->error);
    }
    if (status == CB_OK && !session->json) {
        status = print_knew(session, document);
        say_moment(session, "by what was written until", at_ms);
    }
    return end_document(session, status, document);
}

const cb_cli_command cb_cli_command_audit_knew = {
    .name = "audit knew",
    .group = CB_CLI_GROUP_AUDIT,
    .purpose = "show what a person knew of a case at a moment",
    .mode = CB_CLI_READ,
    .options =
        (const cb_cli_option[]){
            { "at", '\0', "WHEN", "the moment" },
            { "by", '\0', "PERSON", "by name, or by the start of the id" },
            { NULL, '\0', NULL, NULL } },
    .required = (const char *const[]){ "at", "by", NULL },
    .operands = "CASE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "Shows which entries of a case a person had before them, and which "
        "were not known to them: by what the entries build on that they had "
        "written until then, which no clock can change. What somebody only "
        "read leaves no trace in this. Entries that their writers claim to "
        "have written later than the moment are only counted.",
    .examples =
        (const cb_cli_example[]){
            { "casebound audit knew RL-2017-00412-7 --at 14:05 --by 'Ann "
              "Baker'",
              "what she knew at five past two" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_NOT_FOUND, "no such case or person" },
                               { CB_INPUT, "the moment is not understood" },
                               { CB_OK, NULL } },
    .see_also = "audit timeline, audit replay, hub people",
    .run = run_audit_knew,
};
