/* SPDX-License-Identifier: Apache-2.0 */
/* case new, case list, case show, case timeline; show. */
#include "commands.h"

#include <casebound/view.h>

#include "access.h"
#include "casework.h"
#include "fields.h"
#include "layout.h"
#include "output.h"
#include "present.h"

#define NUMBER_BYTES  24
#define SUMMARY_BYTES 4096

static const cb_cli_option show_options[] = {
    { "ids", '\0', NULL, "begin each line with the start of the record's id" },
    { NULL, '\0', NULL, NULL },
};

static cb_status record_case(cb_cli_session *session, const cb_type *type,
                             const json_t *fields, const cb_change *change)
{
    cb_recorded recorded = { 0 };
    cb_cli_case one = { 0 };
    cb_buffer summary;
    cb_buffer_init(&summary, SUMMARY_BYTES);
    cb_status status = cb_store_open_case(cb_cli_store(session), change, fields,
                                          &recorded, &session->error);
    if (status == CB_OK) {
        /* It is recorded: that it cannot be read back now is no failure. */
        if (cb_cli_case_load(session, &recorded.case_id, &one) != CB_OK) {
            cb_error_clear(&session->error);
        }
        cb_cli_summarise(session, type, fields, &summary);
        const cb_cli_recorded what = { .verb = "recorded",
                                       .type = type->name,
                                       .reference = one.reference == NULL
                                                        ? ""
                                                        : one.reference,
                                       .summary = cb_buffer_text(&summary),
                                       .result = one.reference };
        status = cb_cli_report_recorded(session, &what, &recorded);
    }
    cb_buffer_clear(&summary);
    cb_cli_case_clear(&one);
    cb_recorded_clear(&recorded);
    return status;
}

static cb_status run_case_new(cb_cli_session *session)
{
    cb_cli_change change = { 0 };
    const cb_type *type = NULL;
    json_t *fields = NULL;
    cb_status status = cb_model_find_type(cb_store_model(cb_cli_store(session)),
                                          "referral", &type, &session->error);
    if (status == CB_OK) {
        status = cb_cli_change_read(session, NULL, &change);
    }
    if (status == CB_OK) {
        status = cb_cli_fields_get(session, NULL, type, 0, &fields);
    }
    if (status == CB_OK) {
        cb_cli_fields_drop_empty(fields);
        status = record_case(session, type, fields, &change.change);
    }
    json_decref(fields);
    cb_cli_change_clear(&change);
    return status;
}

const cb_cli_command cb_cli_command_case_new = {
    .name = "case new",
    .group = CB_CLI_GROUP_CASES,
    .purpose = "open a case with its referral",
    .mode = CB_CLI_WRITE,
    .options =
        (const cb_cli_option[]){
            { "happened", '\0', "WHEN",
              "when the referral came, where that is not now" },
            { "why", '\0', "TEXT", "the reason; @FILE and - work too" },
            { NULL, '\0', NULL, NULL } },
    .operands = "[FIELD=VALUE...]",
    .operands_max = CB_CLI_ANY_NUMBER,
    .description =
        "Prints the reference of the new case once it is safe on the disk. "
        "The fields are those of casebound types referral; without any, and on "
        "a terminal, it asks for them one by one.",
    .examples =
        (const cb_cli_example[]){
            { "casebound case new", "asks for what is needed" },
            { "casebound case new received=today source=prison_omu "
              "stage=post_sentence_custody initiated_by=offender",
              "" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_INPUT, "a field or value is not known, or one is missing" },
            { CB_OK, NULL } },
    .see_also = "types, add, case list",
    .run = run_case_new,
};

/* ------------------------------------------------------------------- list */

static void add_number(cb_cli_rows *rows, const json_t *object,
                       const char *member)
{
    char text[NUMBER_BYTES];
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT,
                   json_integer_value(json_object_get(object, member)));
    cb_cli_rows_add(rows, text);
}

static cb_status print_cases(cb_cli_session *session, const json_t *cases)
{
    static const cb_cli_column columns[] = {
        { .title = "case" },
        { .title = "stage", .may_be_cut = true },
        { .title = "state", .may_be_cut = true },
        { .title = "conflicts", .is_number = true },
        { .title = "tasks", .is_number = true },
        { .title = "head" },
    };
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        const char *reference = cb_cli_member(one, "reference");
        char id[CB_CLI_SHORT_ID_DIGITS + 1];
        (void)snprintf(id, sizeof id, "%s", cb_cli_member(one, "case"));
        cb_cli_rows_add(&rows, reference[0] == '\0' ? id : reference);
        cb_cli_rows_add(&rows, cb_cli_member(one, "stage"));
        cb_cli_rows_add(&rows, cb_cli_member(one, "state"));
        add_number(&rows, one, "conflicts");
        add_number(&rows, one, "tasks");
        cb_cli_rows_add(&rows, cb_cli_member(one, "fingerprint"));
    }
    cb_status status = cb_cli_rows_print(session, &rows, &session->error);
    cb_cli_rows_clear(&rows);
    return status;
}

static cb_status run_case_list(cb_cli_session *session)
{
    json_t *document = NULL;
    cb_status status =
        cb_store_case_list(cb_cli_store(session), &document, &session->error);
    if (status != CB_OK) {
        return status;
    }
    if (session->json) {
        return cb_cli_answer(session, document, &session->error);
    }
    const json_t *cases = json_object_get(document, "cases");
    if (json_array_size(cases) == 0) {
        cb_cli_say(session, "there is no case here; next: casebound case new");
    } else {
        status = print_cases(session, cases);
    }
    json_decref(document);
    return status;
}

const cb_cli_command cb_cli_command_case_list = {
    .name = "case list",
    .group = CB_CLI_GROUP_CASES,
    .purpose = "list the cases",
    .mode = CB_CLI_READ,
    .description =
        "One line a case: its reference, stage and state, how many conflicts "
        "and tasks wait, and the head that two people with the same access "
        "can compare over the telephone.",
    .examples = (const cb_cli_example[]){ { "casebound case list", "" },
                                          { NULL, NULL } },
    .see_also = "case show, tasks, conflicts",
    .run = run_case_list,
};

/* ------------------------------------------------------------------- show */

static cb_status show_case(cb_cli_session *session, const cb_cli_case *one)
{
    json_t *document = NULL;
    cb_status status =
        cb_view_case_show(one->state, cb_store_naming(cb_cli_store(session)),
                          &document, &session->error);
    if (status == CB_OK) {
        status =
            cb_cli_add_witness(session, json_object_get(document, "timeline"),
                               json_object_get(document, "proof"));
    }
    if (status == CB_OK && !session->json) {
        status = cb_cli_present_case(session, document);
    }
    if (status != CB_OK) {
        json_decref(document);
        return status;
    }
    return cb_cli_answer(session, document, &session->error);
}

static cb_status show_timeline(cb_cli_session *session, const cb_cli_case *one)
{
    json_t *document = NULL;
    cb_status status = cb_view_case_timeline(
        one->state, cb_store_naming(cb_cli_store(session)), &document,
        &session->error);
    if (status == CB_OK) {
        status = cb_cli_add_witness(session, json_object_get(document, "rows"),
                                    json_object_get(document, "proof"));
    }
    if (status == CB_OK && !session->json) {
        status = cb_cli_present_timeline(session, document);
    }
    if (status != CB_OK) {
        json_decref(document);
        return status;
    }
    return cb_cli_answer(session, document, &session->error);
}

static cb_status run_case_show(cb_cli_session *session)
{
    cb_cli_case one = { 0 };
    cb_status status =
        cb_cli_case_open(session, cb_cli_operand(&session->arguments, 0), &one);
    if (status == CB_OK) {
        status = show_case(session, &one);
    }
    cb_cli_case_clear(&one);
    return status;
}

static cb_status run_case_timeline(cb_cli_session *session)
{
    cb_cli_case one = { 0 };
    cb_status status =
        cb_cli_case_open(session, cb_cli_operand(&session->arguments, 0), &one);
    if (status == CB_OK) {
        status = show_timeline(session, &one);
    }
    cb_cli_case_clear(&one);
    return status;
}

const cb_cli_command cb_cli_command_case_show = {
    .name = "case show",
    .group = CB_CLI_GROUP_CASES,
    .purpose = "show a case",
    .mode = CB_CLI_READ,
    .options = show_options,
    .operands = "CASE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "Where the case stands, what blocks it and what waits for whom; then "
        "everything that was recorded, by when it happened; then what proves "
        "it. CASE is a reference, or the start of an id.",
    .examples =
        (const cb_cli_example[]){ { "casebound case show RL-2017-00412-7", "" },
                                  { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_NOT_FOUND, "there is no such case" },
                                    { CB_OK, NULL } },
    .see_also = "case timeline, show, tasks",
    .run = run_case_show,
};

const cb_cli_command cb_cli_command_case_timeline = {
    .name = "case timeline",
    .group = CB_CLI_GROUP_CASES,
    .purpose = "show what happened in a case, and who knew",
    .mode = CB_CLI_READ,
    .options = show_options,
    .operands = "CASE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "One line a record, by when it is said to have happened, beside when "
        "it was recorded and by whom. The marks: ! others did not know of it, "
        "\"did not know of !\" its author did not (neither is said of an "
        "entry that the other one was written in knowledge of), "
        "~suspended~ a plan without the consent that it needs, replaced a "
        "plan that a later one took the place of, +2d recorded two days "
        "late.",
    .examples =
        (const cb_cli_example[]){
            { "casebound case timeline RL-2017-00412-7", "" }, { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_NOT_FOUND, "there is no such case" },
                                    { CB_OK, NULL } },
    .see_also = "case show, show",
    .run = run_case_timeline,
};

static cb_status run_show(cb_cli_session *session)
{
    cb_record_id record;
    cb_case_id case_id;
    cb_cli_case one = { 0 };
    json_t *document = NULL;
    cb_status status = cb_store_find_record(
        cb_cli_store(session), cb_cli_operand(&session->arguments, 0), &record,
        &case_id, &session->error);
    if (status == CB_OK) {
        status = cb_cli_case_load(session, &case_id, &one);
    }
    if (status == CB_OK) {
        status = cb_view_record_show(one.state, &record,
                                     cb_store_naming(cb_cli_store(session)),
                                     &document, &session->error);
    }
    if (status == CB_OK && !session->json) {
        status = cb_cli_present_record(session, document);
    }
    cb_cli_case_clear(&one);
    if (status != CB_OK) {
        json_decref(document);
        return status;
    }
    return cb_cli_answer(session, document, &session->error);
}

const cb_cli_command cb_cli_command_show = {
    .name = "show",
    .group = CB_CLI_GROUP_RECORDS,
    .purpose = "show a record with its history",
    .mode = CB_CLI_READ,
    .operands = "RECORD",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "Every value that its fields ever had, those no longer in force struck "
        "through, with who wrote them, when and why; and what the rules say, "
        "on what was known then and now. RECORD is the start of its id.",
    .examples = (const cb_cli_example[]){ { "casebound show 3f2a91c0", "" },
                                          { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_NOT_FOUND, "there is no such record" },
                                    { CB_OK, NULL } },
    .see_also = "case show, amend, strike",
    .run = run_show,
};
