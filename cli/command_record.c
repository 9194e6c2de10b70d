/* SPDX-License-Identifier: Apache-2.0 */
/* add, amend, strike. */
#include "commands.h"

#include "access.h"
#include "casework.h"
#include "fields.h"
#include "output.h"
#include "prompt.h"

#define LINE_BYTES     4096
#define QUESTION_BYTES 4000

/* True where the operands are missing, and are to be asked for instead. */
static bool asks(const cb_cli_session *session, size_t first)
{
    return session->arguments.operand_count <= first &&
           !cb_cli_option_given(&session->arguments, "edit");
}

static cb_status ask_about(cb_cli_session *session, const cb_cli_case *one,
                           const cb_type *type, cb_record_id *ret_about,
                           bool *ret_given)
{
    cb_buffer question;
    cb_buffer answer;
    cb_buffer_init(&question, QUESTION_BYTES);
    cb_buffer_init(&answer, LINE_BYTES);
    cb_cli_case_people(session, one, &question);
    cb_buffer_append_format(
        &question,
        "About whom%s:", type->about == CB_ABOUT_REQUIRED ? " (needed)" : "");
    cb_status status =
        cb_cli_ask_line(session, cb_buffer_text(&question), "--about PERSON",
                        &answer, &session->error);
    if (status == CB_OK && answer.size > 0) {
        status = cb_cli_case_person(session, one, cb_buffer_text(&answer),
                                    ret_about, &session->error);
        *ret_given = true;
    }
    cb_buffer_clear(&question);
    cb_buffer_clear(&answer);
    return status;
}

static cb_status read_about(cb_cli_session *session, const cb_cli_case *one,
                            const cb_type *type, cb_record_id *ret_about,
                            bool *ret_given)
{
    const char *text = cb_cli_option_value(&session->arguments, "about");
    bool may =
        type->about == CB_ABOUT_REQUIRED || type->about == CB_ABOUT_OPTIONAL;
    cb_status status = CB_OK;
    *ret_given = text != NULL;
    if (text != NULL) {
        status =
            cb_cli_case_person(session, one, text, ret_about, &session->error);
    } else if (may && asks(session, 1)) {
        status = ask_about(session, one, type, ret_about, ret_given);
    }
    if (status == CB_OK && !*ret_given && type->about == CB_ABOUT_REQUIRED) {
        status =
            cb_error_set(&session->error, CB_INPUT,
                         "a record of type '%s' is about a person", type->name);
        cb_error_meaning(&session->error, "nothing was recorded");
        cb_error_next(&session->error,
                      "name the person with --about, such as --about victim");
    }
    return status;
}

/* Runs the change that was read and tells what became of it. */
static cb_status add_record(cb_cli_session *session, const cb_cli_case *one,
                            const cb_type *type, const cb_record_id *about,
                            const json_t *fields, const cb_change *change)
{
    cb_recorded recorded = { 0 };
    cb_buffer summary;
    cb_buffer_init(&summary, LINE_BYTES);
    cb_status status = cb_store_add(cb_cli_store(session), change, type->name,
                                    about, fields, &recorded, &session->error);
    if (status == CB_OK) {
        cb_cli_summarise(session, type, fields, &summary);
        const cb_cli_recorded what = { .verb = "recorded",
                                       .type = type->name,
                                       .reference = one->reference,
                                       .summary = cb_buffer_text(&summary) };
        status = cb_cli_report_recorded(session, &what, &recorded);
    }
    cb_cli_point_at_type(type, status, &session->error);
    cb_buffer_clear(&summary);
    cb_recorded_clear(&recorded);
    return status;
}

static cb_status run_add(cb_cli_session *session)
{
    cb_cli_case one = { 0 };
    cb_cli_change change = { 0 };
    const cb_type *type = NULL;
    json_t *fields = NULL;
    cb_record_id about;
    bool has_about = false;
    const char *case_text = cb_cli_option_value(&session->arguments, "case");
    cb_status status = cb_model_find_type(
        cb_store_model(cb_cli_store(session)),
        cb_cli_operand(&session->arguments, 0), &type, &session->error);
    if (status == CB_OK) {
        status = cb_cli_case_open(session, case_text, &one);
    }
    if (status == CB_OK) {
        status = cb_cli_change_read(session, &one.id, &change);
    }
    if (status == CB_OK) {
        status = read_about(session, &one, type, &about, &has_about);
    }
    if (status == CB_OK) {
        status = cb_cli_fields_get(session, &one, type, 1, &fields);
    }
    if (status == CB_OK) {
        status = cb_cli_fields_edit(session, &one, type, NULL, fields);
    }
    if (status == CB_OK) {
        cb_cli_fields_drop_empty(fields);
        status = add_record(session, &one, type, has_about ? &about : NULL,
                            fields, &change.change);
    }
    json_decref(fields);
    cb_cli_change_clear(&change);
    cb_cli_case_clear(&one);
    return status;
}

const cb_cli_command cb_cli_command_add = {
    .name = "add",
    .group = CB_CLI_GROUP_RECORDS,
    .purpose = "record something in a case",
    .mode = CB_CLI_WRITE,
    .options =
        (const cb_cli_option[]){
            { "case", '\0', "CASE", "its reference, or the start of its id" },
            { "about", '\0', "PERSON",
              "whom it is about: a role, or the start of the person's id" },
            { "happened", '\0', "WHEN",
              "when it happened, where that is not now" },
            { "edit", '\0', "FIELD",
              "write this long text in your editor; no disk sees it" },
            { "why", '\0', "TEXT", "the reason; @FILE and - work too" },
            { "override", '\0', "RULE",
              "let it pass a rule, where you may; needs --why" },
            { NULL, '\0', NULL, NULL } },
    .required = (const char *const[]){ "case", NULL },
    .operands = "TYPE [FIELD=VALUE...]",
    .operands_min = 1,
    .operands_max = CB_CLI_ANY_NUMBER,
    .description =
        "Prints the start of the new record's id once the record is safe on "
        "the disk. FIELD=@FILE and FIELD=- read long text, so that none of it "
        "need stand in the command or in a shell's history; --edit FIELD opens "
        "your editor for it, on a file in memory. Without fields, "
        "and on a terminal, it asks for them one by one. What can be recorded "
        "is told by casebound types.",
    .examples =
        (const cb_cli_example[]){
            { "casebound add person --case RL-2017-00412-7 role=victim",
              "a name may come later" },
            { "casebound add consent --case RL-2017-00412-7 --about victim "
              "scope=direct_meeting state=given",
              "" },
            { "casebound add contact --case RL-2017-00412-7 --about victim "
              "--happened 'yesterday 14:00'",
              "asks for the rest" },
            { "casebound add preparation --case RL-2017-00412-7 --about victim "
              "readiness=ready --edit notes",
              "the notes in your editor" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_INPUT, "a type, field or value is not known" },
            { CB_RULE, "a rule does not allow it; nothing was recorded" },
            { CB_OK, NULL } },
    .see_also = "amend, strike, types, case show",
    .run = run_add,
};

/* -------------------------------------------------------- amend and strike */

static cb_status open_record(cb_cli_session *session, cb_record_id *ret_record,
                             cb_cli_case *ret_case, const cb_type **ret_type)
{
    cb_case_id case_id;
    const char *text = cb_cli_operand(&session->arguments, 0);
    cb_status status = cb_store_find_record(
        cb_cli_store(session), text, ret_record, &case_id, &session->error);
    if (status == CB_OK) {
        status = cb_cli_case_load(session, &case_id, ret_case);
    }
    if (status != CB_OK) {
        return status;
    }
    const json_t *record = cb_cli_case_record(ret_case, ret_record);
    const char *name = json_string_value(json_object_get(record, "type"));
    *ret_type =
        name == NULL
            ? NULL
            : cb_model_type(cb_store_model(cb_cli_store(session)), name);
    if (*ret_type == NULL) {
        cb_error_set(&session->error, CB_NEWER,
                     "the record is of a type that this version does "
                     "not know");
        cb_error_meaning(&session->error, "it is kept as it is; nothing was "
                                          "changed");
        return CB_NEWER;
    }
    return CB_OK;
}

static cb_status run_amend(cb_cli_session *session)
{
    cb_cli_case one = { 0 };
    cb_cli_change change = { 0 };
    cb_record_id record;
    const cb_type *type = NULL;
    json_t *fields = NULL;
    cb_recorded recorded = { 0 };
    cb_status status = open_record(session, &record, &one, &type);
    if (status == CB_OK) {
        status = cb_cli_change_read(session, &one.id, &change);
    }
    if (status == CB_OK) {
        status = cb_cli_fields_read(session, &one, type, 1, &fields);
    }
    if (status == CB_OK) {
        status = cb_cli_fields_edit(session, &one, type,
                                    cb_cli_case_record(&one, &record), fields);
    }
    if (status == CB_OK && json_object_size(fields) == 0) {
        status = cb_error_set(&session->error, CB_USAGE,
                              "'amend' needs a field to correct");
    }
    if (status == CB_OK) {
        status = cb_store_amend(cb_cli_store(session), &change.change, &record,
                                fields, &recorded, &session->error);
        cb_cli_point_at_type(type, status, &session->error);
    }
    if (status == CB_OK) {
        const cb_cli_recorded what = { .verb = "corrected",
                                       .type = type->name,
                                       .reference = one.reference,
                                       .summary = type->title };
        status = cb_cli_report_recorded(session, &what, &recorded);
    }
    cb_recorded_clear(&recorded);
    json_decref(fields);
    cb_cli_change_clear(&change);
    cb_cli_case_clear(&one);
    return status;
}

const cb_cli_command cb_cli_command_amend = {
    .name = "amend",
    .group = CB_CLI_GROUP_RECORDS,
    .purpose = "correct fields of a record",
    .mode = CB_CLI_WRITE,
    .options =
        (const cb_cli_option[]){
            { "edit", '\0', "FIELD",
              "write this long text in your editor; no disk sees it" },
            { "why", '\0', "TEXT", "the reason; @FILE and - work too" },
            { "happened", '\0', "WHEN",
              "when it became known, where that is not now" },
            { "override", '\0', "RULE", "let it pass a rule, where you may" },
            { NULL, '\0', NULL, NULL } },
    .required = (const char *const[]){ "why", NULL },
    .operands = "RECORD [FIELD=VALUE...]",
    .operands_min = 1,
    .operands_max = CB_CLI_ANY_NUMBER,
    .description =
        "The old values stay, struck through, with the reason. FIELD= without "
        "a value takes one away. RECORD is the start of its id.",
    .examples =
        (const cb_cli_example[]){
            { "casebound amend 3f2a91c0 overall=H --why 'new information'",
              "" },
            { "casebound amend 3f2a91c0 --edit notes --why 'left out a part'",
              "" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_NOT_FOUND, "there is no such record" },
            { CB_RULE, "a rule does not allow it; nothing was recorded" },
            { CB_OK, NULL } },
    .see_also = "show, strike, add",
    .run = run_amend,
};

static cb_status run_strike(cb_cli_session *session)
{
    cb_cli_case one = { 0 };
    cb_cli_change change = { 0 };
    cb_record_id record;
    const cb_type *type = NULL;
    cb_recorded recorded = { 0 };
    cb_status status = open_record(session, &record, &one, &type);
    if (status == CB_OK) {
        status = cb_cli_change_read(session, &one.id, &change);
    }
    if (status == CB_OK) {
        status = cb_store_strike(cb_cli_store(session), &change.change, &record,
                                 &recorded, &session->error);
    }
    if (status == CB_OK) {
        const cb_cli_recorded what = { .verb = "struck",
                                       .type = type->name,
                                       .reference = one.reference,
                                       .summary = type->title };
        status = cb_cli_report_recorded(session, &what, &recorded);
    }
    cb_recorded_clear(&recorded);
    cb_cli_change_clear(&change);
    cb_cli_case_clear(&one);
    return status;
}

const cb_cli_command cb_cli_command_strike = {
    .name = "strike",
    .group = CB_CLI_GROUP_RECORDS,
    .purpose = "strike a record through",
    .mode = CB_CLI_WRITE,
    .options =
        (const cb_cli_option[]){
            { "why", '\0', "TEXT", "the reason; @FILE and - work too" },
            { "happened", '\0', "WHEN",
              "when it became known, where that is not now" },
            { NULL, '\0', NULL, NULL } },
    .required = (const char *const[]){ "why", NULL },
    .operands = "RECORD",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "For what should never have been recorded. It stays readable, struck "
        "through, with the reason; nothing is deleted.",
    .examples =
        (const cb_cli_example[]){
            { "casebound strike 3f2a91c0 --why 'belongs to another case'", "" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_NOT_FOUND, "there is no such record" },
                                    { CB_OK, NULL } },
    .see_also = "amend, show",
    .run = run_strike,
};
