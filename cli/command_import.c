/* SPDX-License-Identifier: Apache-2.0 */
/* hub import: a file of referrals, all or nothing. */
#include "commands.h"

#include "access.h"
#include "carry.h"
#include "csv.h"
#include "output.h"

#include <inttypes.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Columns of one record: of the referral, or of a person with a role. */
typedef struct target {
    const char *prefix; /* "", "victim.", "offender." */
    const char *type;
    const char *role; /* NULL for the referral */
} target;

static const target targets[] = {
    { "victim.", "person", "victim" },
    { "offender.", "person", "offender" },
    { "", "referral", NULL },
};

#define TARGET_COUNT (sizeof targets / sizeof targets[0])

typedef struct column {
    const target *target;
    const cb_field *field;
} column;

typedef struct import {
    cb_cli_session *session;
    cb_store *store;
    cb_cli_csv csv;
    column columns[CB_CLI_CSV_FIELDS_MAX];
    size_t column_count;
    size_t cases;
    size_t people;
} import;

static cb_status find_column(import *work, const char *name, column *ret_column)
{
    cb_error *error = &work->session->error;
    for (size_t i = 0; i < TARGET_COUNT; i++) {
        size_t size = strlen(targets[i].prefix);
        if (strncmp(name, targets[i].prefix, size) != 0) {
            continue;
        }
        const cb_type *type =
            cb_model_type(cb_store_model(work->store), targets[i].type);
        CB_ASSERT(type != NULL);
        ret_column->target = &targets[i];
        return cb_type_find_field(type, name + size, &ret_column->field, error);
    }
    return cb_error_set(error, CB_INPUT, "a column has no name");
}

/* Comments, then the names. */
static cb_status read_names(import *work)
{
    cb_error *error = &work->session->error;
    cb_status status = cb_cli_csv_next(&work->csv, error);
    while (status == CB_OK && work->csv.fields[0][0] == '#') {
        status = cb_cli_csv_next(&work->csv, error);
    }
    if (status == CB_END) {
        return cb_error_set(error, CB_INPUT, "the file is empty");
    }
    for (size_t i = 0; i < work->csv.field_count && status == CB_OK; i++) {
        status = find_column(work, work->csv.fields[i], &work->columns[i]);
    }
    work->column_count = work->csv.field_count;
    return status;
}

static cb_status collect(import *work, const target *wanted,
                         json_t **ret_fields)
{
    cb_error *error = &work->session->error;
    json_t *fields = json_object();
    cb_status status = CB_OK;
    for (size_t i = 0; i < work->column_count && status == CB_OK; i++) {
        json_t *value = NULL;
        if (work->columns[i].target != wanted ||
            work->csv.fields[i][0] == '\0') {
            continue;
        }
        status = cb_field_parse(work->columns[i].field, work->csv.fields[i],
                                NULL, &value, error);
        if (status == CB_OK) {
            (void)json_object_set_new(fields, work->columns[i].field->name,
                                      value);
        }
    }
    if (status != CB_OK) {
        json_decref(fields);
        return status;
    }
    *ret_fields = fields;
    return CB_OK;
}

static cb_status add_person(import *work, const cb_change *change,
                            const target *wanted)
{
    json_t *fields = NULL;
    cb_recorded recorded = { 0 };
    cb_status status = collect(work, wanted, &fields);
    if (status == CB_OK && json_object_size(fields) > 0) {
        (void)json_object_set_new(fields, "role", json_string(wanted->role));
        status = cb_store_add(work->store, change, wanted->type, NULL, fields,
                              &recorded, &work->session->error);
        work->people += status == CB_OK;
    }
    cb_recorded_clear(&recorded);
    json_decref(fields);
    return status;
}

static cb_status take_row(import *work)
{
    const target *referral = &targets[TARGET_COUNT - 1];
    json_t *fields = NULL;
    cb_recorded recorded = { 0 };
    cb_change change = { .precision = NULL };
    cb_error *error = &work->session->error;
    if (work->csv.field_count != work->column_count) {
        return cb_error_set(error, CB_INPUT,
                            "there are %zu fields where the first line names "
                            "%zu",
                            work->csv.field_count, work->column_count);
    }
    cb_status status = collect(work, referral, &fields);
    if (status == CB_OK) {
        status =
            cb_store_open_case(work->store, &change, fields, &recorded, error);
    }
    if (status == CB_OK) {
        work->cases++;
        change.case_id = recorded.case_id;
    }
    for (size_t i = 0; i + 1 < TARGET_COUNT && status == CB_OK; i++) {
        status = add_person(work, &change, &targets[i]);
    }
    cb_recorded_clear(&recorded);
    json_decref(fields);
    return status;
}

/* Says on which line it was; the first error's words are kept. */
static void name_line(import *work)
{
    cb_error *error = &work->session->error;
    cb_error before = *error;
    cb_error_clear(error);
    (void)cb_error_set(error, before.status, "line %zu: %.280s", work->csv.line,
                       before.what);
    cb_error_meaning(error, "nothing of the file was taken in");
    if (before.next[0] != '\0') {
        cb_error_next(error, "%s", before.next);
    }
}

static cb_status take_rows(import *work)
{
    cb_status status = CB_OK;
    while (status == CB_OK) {
        if (work->session->world->is_interrupted()) {
            return cb_error_set(&work->session->error, CB_INTERRUPTED,
                                "interrupted");
        }
        status = cb_cli_csv_next(&work->csv, &work->session->error);
        if (status == CB_OK) {
            status = take_row(work);
            if (status != CB_OK) {
                name_line(work);
            }
        }
    }
    return status == CB_END ? CB_OK : status;
}

static cb_status run_import(cb_cli_session *session)
{
    import work = {.session = session, .store = cb_cli_store(session) };
    cb_buffer text;
    cb_buffer_init(&text, FILE_BYTES_MAX);
    cb_status status =
        cb_cli_read_file(session, "file of referrals",
                         cb_cli_operand(&session->arguments, 0), &text);
    cb_cli_csv_init(&work.csv, cb_span_of_buffer(&text));
    if (status == CB_OK) {
        status = read_names(&work);
    }
    if (status == CB_OK) {
        status = cb_store_begin(work.store, &session->error);
        if (status == CB_OK) {
            status = take_rows(&work);
        }
        if (status == CB_OK) {
            status = cb_store_commit(work.store, &session->error);
        }
        if (status != CB_OK) {
            cb_store_abort(work.store);
        }
    }
    if (status == CB_OK) {
        char cases[CB_CLI_COUNT_BYTES];
        char people[CB_CLI_COUNT_BYTES];
        cb_cli_say(session, "took in %s with %s",
                   cb_cli_count(cases, work.cases, "case", "cases"),
                   cb_cli_count(people, work.people, "person", "people"));
        status = cb_cli_answer(session,
                               json_pack("{s:s, s:I, s:I}", "schema",
                                         "casebound.import.v1", "cases",
                                         (json_int_t)work.cases, "people",
                                         (json_int_t)work.people),
                               &session->error);
    }
    cb_error_meaning(&session->error, "nothing of the file was taken in");
    cb_cli_csv_clear(&work.csv);
    cb_buffer_clear(&text);
    return status;
}

const cb_cli_command cb_cli_command_hub_import = {
    .name = "hub import",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "take in a file of referrals",
    .mode = CB_CLI_HUB,
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "Opens a case for each line of a file of comma-separated values. The "
        "first line names the columns: fields of a referral (casebound types "
        "referral) and, with victim. or offender. in front, fields of a person "
        "(casebound types person). All lines are taken in, or none.",
    .examples =
        (const cb_cli_example[]){ { "casebound hub import referrals.csv",
                                    "source,stage,received,victim.name,..." },
                                  { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_INPUT, "a line is not understood" },
                                    { CB_PERMISSION, "not a hub's store" },
                                    { CB_OK, NULL } },
    .see_also = "case new, types",
    .run = run_import,
};
