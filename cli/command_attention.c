/* SPDX-License-Identifier: Apache-2.0 */
/* conflicts, resolve, tasks: what waits for a person. */
#include "commands.h"

#include <casebound/json.h>
#include <casebound/view.h>

#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "casework.h"
#include "layout.h"
#include "output.h"
#include "present.h"

#define WORDS_BYTES_MAX 65536

/* Conflicts, or tasks and alerts. */
typedef struct kind {
    const char *schema;
    const char *member;
    cb_status (*view)(const cb_case_state *state, const cb_naming *naming,
                      bool all, json_t **ret_document, cb_error *reterr_error);
    const char *none;
} kind;

static const kind conflict_kind = { "casebound.conflicts.v1", "conflicts",
                                    cb_view_conflicts,
                                    "no conflict waits for anybody" };
static const kind task_kind = { "casebound.tasks.v1", "tasks", cb_view_tasks,
                                "nothing is to be done" };

static cb_status collect_case(cb_cli_session *session, const kind *what,
                              const cb_case_id *case_id, json_t *issues)
{
    cb_cli_case one = { 0 };
    json_t *document = NULL;
    cb_status status = cb_cli_case_load(session, case_id, &one);
    if (status == CB_OK) {
        status = what->view(one.state, cb_store_naming(cb_cli_store(session)),
                            false, &document, &session->error);
    }
    if (status == CB_OK &&
        json_array_extend(issues, json_object_get(document, what->member)) !=
            0) {
        status = cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
    }
    json_decref(document);
    cb_cli_case_clear(&one);
    return status;
}

/* The list of cases says which of them have any. */
static cb_status collect_all(cb_cli_session *session, const kind *what,
                             json_t *issues)
{
    json_t *list = NULL;
    cb_status status =
        cb_store_case_list(cb_cli_store(session), &list, &session->error);
    const json_t *cases = json_object_get(list, "cases");
    for (size_t i = 0; i < json_array_size(cases) && status == CB_OK; i++) {
        const json_t *one = json_array_get(cases, i);
        cb_case_id case_id;
        if (json_integer_value(json_object_get(one, what->member)) > 0 &&
            cb_json_bytes(one, "case", case_id.bytes, sizeof case_id.bytes)) {
            status = collect_case(session, what, &case_id, issues);
        }
    }
    json_decref(list);
    return status;
}

static cb_status run_list(cb_cli_session *session, const kind *what,
                          size_t *ret_count)
{
    const char *text = cb_cli_operand(&session->arguments, 0);
    json_t *issues = json_array();
    cb_case_id case_id;
    cb_status status = CB_OK;
    if (text == NULL) {
        status = collect_all(session, what, issues);
    } else {
        status = cb_store_find_case(cb_cli_store(session), text, &case_id,
                                    &session->error);
        if (status == CB_OK) {
            status = collect_case(session, what, &case_id, issues);
        }
    }
    if (status != CB_OK) {
        json_decref(issues);
        return status;
    }
    *ret_count = json_array_size(issues);
    if (*ret_count == 0) {
        cb_cli_say(session, "%s", what->none);
    } else if (!session->json) {
        status = cb_cli_present_issues(session, issues);
    }
    json_t *document =
        json_pack("{s:s, s:o}", "schema", what->schema, what->member, issues);
    if (status != CB_OK) {
        json_decref(document);
        return status;
    }
    return cb_cli_answer(session, document, &session->error);
}

static cb_status run_conflicts(cb_cli_session *session)
{
    size_t count = 0;
    cb_status status = run_list(session, &conflict_kind, &count);
    return status == CB_OK && count > 0 ? CB_CONFLICTS : status;
}

static cb_status run_tasks(cb_cli_session *session)
{
    size_t count = 0;
    return run_list(session, &task_kind, &count);
}

const cb_cli_command cb_cli_command_conflicts = {
    .name = "conflicts",
    .group = CB_CLI_GROUP_ATTENTION,
    .purpose = "list what two people recorded differently",
    .mode = CB_CLI_READ,
    .operands = "[CASE]",
    .operands_max = 1,
    .description =
        "Values that were recorded without knowledge of each other, and that "
        "a person has to decide between. The choices are numbered for "
        "casebound resolve. Until it is decided, a contested value counts as "
        "not given, and blocks.",
    .examples =
        (const cb_cli_example[]){
            { "casebound conflicts", "of all cases" },
            { "casebound conflicts RL-2017-00412-7", "of one" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_CONFLICTS, "there are some" },
                                    { CB_OK, NULL } },
    .see_also = "resolve, tasks, case show",
    .run = run_conflicts,
};

const cb_cli_command cb_cli_command_tasks = {
    .name = "tasks",
    .group = CB_CLI_GROUP_ATTENTION,
    .purpose = "list what is to be done or known",
    .mode = CB_CLI_READ,
    .operands = "[CASE]",
    .operands_max = 1,
    .description =
        "Tasks and alerts as they follow from what was recorded, with whom "
        "they wait for and the command that acts on them. They go away when "
        "it is done.",
    .examples = (const cb_cli_example[]){ { "casebound tasks", "of all cases" },
                                          { "casebound tasks RL-2017-00412-7",
                                            "of one" },
                                          { NULL, NULL } },
    .see_also = "conflicts, case show",
    .run = run_tasks,
};

/* ---------------------------------------------------------------- resolve */

static const cb_field *field_of(cb_cli_session *session, const cb_cli_case *one,
                                const cb_issue *issue)
{
    const char *name = json_string_value(
        json_object_get(cb_cli_case_record(one, &issue->record), "type"));
    const cb_type *type =
        name == NULL
            ? NULL
            : cb_model_type(cb_store_model(cb_cli_store(session)), name);
    return type == NULL ? NULL : cb_type_field(type, issue->field);
}

/* Whether the words are how this choice is stored, shown, or named by its id.
 */
static bool means(cb_cli_session *session, const cb_field *field,
                  const cb_issue_choice *choice, const char *text)
{
    char record[CB_IDENTIFIER_TEXT_BYTES];
    cb_buffer words;
    const char *code = json_string_value(choice->value);
    cb_hex_format(choice->record.bytes, sizeof choice->record.bytes, record);
    cb_buffer_init(&words, WORDS_BYTES_MAX);
    cb_cli_append_value(session, field, choice->value, &words);
    bool is_same = strcmp(cb_buffer_text(&words), text) == 0 ||
                   (code != NULL && strcmp(code, text) == 0) ||
                   (strlen(text) >= CB_CLI_SHORT_ID_DIGITS &&
                    strncmp(record, text, strlen(text)) == 0);
    cb_buffer_clear(&words);
    return is_same;
}

static cb_status find_choice(cb_cli_session *session, const cb_cli_case *one,
                             const cb_issue *issue, const char *text,
                             size_t *ret_choice)
{
    const cb_field *field = field_of(session, one, issue);
    size_t found = 0;
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] >= '1' && text[0] <= '9' && *end == '\0' &&
        number <= issue->choice_count) {
        *ret_choice = number - 1;
        return CB_OK;
    }
    for (size_t i = 0; i < issue->choice_count; i++) {
        if (means(session, field, &issue->choices[i], text)) {
            *ret_choice = i;
            found++;
        }
    }
    if (found == 1) {
        return CB_OK;
    }
    cb_error_set(&session->error, found > 1 ? CB_AMBIGUOUS : CB_INPUT,
                 found > 1 ? "'%.60s' fits more than one choice"
                           : "'%.60s' is not a choice of this conflict",
                 text);
    cb_error_meaning(&session->error, "nothing was recorded");
    cb_error_next(&session->error,
                  "give a number from 1 to %zu; see: "
                  "casebound conflicts %s",
                  issue->choice_count, one->reference);
    return found > 1 ? CB_AMBIGUOUS : CB_INPUT;
}

static cb_status decide(cb_cli_session *session, const cb_cli_case *one,
                        const cb_change *change, const char *keep)
{
    const cb_issue *issue = NULL;
    cb_recorded recorded = { 0 };
    cb_buffer words;
    size_t choice = 0;
    cb_buffer_init(&words, WORDS_BYTES_MAX);
    cb_status status = cb_case_state_find_issue(
        one->state, cb_cli_operand(&session->arguments, 0), &issue,
        &session->error);
    if (status == CB_OK && issue->form != CB_ISSUE_CONFLICT) {
        status = cb_error_set(&session->error, CB_INPUT,
                              "there is nothing to choose there");
        cb_error_meaning(&session->error, "nothing was recorded");
        cb_error_next(&session->error, "casebound tasks %s", one->reference);
    }
    if (status == CB_OK) {
        status = find_choice(session, one, issue, keep, &choice);
    }
    if (status == CB_OK) {
        cb_cli_append_value(session, field_of(session, one, issue),
                            issue->choices[choice].value, &words);
        status = cb_store_resolve(cb_cli_store(session), change, issue, choice,
                                  &recorded, &session->error);
    }
    if (status == CB_OK) {
        const cb_cli_recorded what = { .verb = "decided",
                                       .type = "",
                                       .reference = one->reference,
                                       .summary = cb_buffer_text(&words) };
        status = cb_cli_report_recorded(session, &what, &recorded);
    }
    cb_recorded_clear(&recorded);
    cb_buffer_clear(&words);
    return status;
}

static cb_status run_resolve(cb_cli_session *session)
{
    const char *keep = cb_cli_option_value(&session->arguments, "keep");
    cb_cli_case one = { 0 };
    cb_cli_change change = { 0 };
    cb_case_id case_id;
    cb_status status = cb_store_find_issue(
        cb_cli_store(session), cb_cli_operand(&session->arguments, 0), &case_id,
        &session->error);
    if (status == CB_OK) {
        status = cb_cli_case_load(session, &case_id, &one);
    }
    if (status == CB_OK) {
        status = cb_cli_change_read(session, &one.id, &change);
    }
    if (status == CB_OK) {
        status = decide(session, &one, &change.change, keep);
    }
    cb_cli_change_clear(&change);
    cb_cli_case_clear(&one);
    return status;
}

const cb_cli_command cb_cli_command_resolve = {
    .name = "resolve",
    .group = CB_CLI_GROUP_ATTENTION,
    .purpose = "decide a conflict",
    .mode = CB_CLI_WRITE,
    .options =
        (const cb_cli_option[]){
            { "keep", '\0', "CHOICE",
              "the number of what stands, or its value" },
            { "why", '\0', "TEXT", "the reason; @FILE and - work too" },
            { NULL, '\0', NULL, NULL } },
    .required = (const char *const[]){ "keep", "why", NULL },
    .operands = "CONFLICT",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "The decision is a signed entry of its own that names what it decides "
        "between; what was not chosen stays, struck through. CONFLICT is the "
        "start of its id, as casebound conflicts prints it.",
    .examples =
        (const cb_cli_example[]){
            { "casebound resolve 3f2a91c0 --keep 1 --why 'rang and asked'",
              "" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_NOT_FOUND, "there is no such conflict" },
                               { CB_INPUT, "that is not one of the choices" },
                               { CB_OK, NULL } },
    .see_also = "conflicts, show",
    .run = run_resolve,
};
