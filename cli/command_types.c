/* SPDX-License-Identifier: Apache-2.0 */
/* types: what can be recorded. */
#include "commands.h"

#include "output.h"

#include <casebound/model.h>

#define CELL_BYTES 4096

static cb_status list_types(cb_cli_session *session, const cb_model *model)
{
    static const cb_cli_column columns[] = {
        { .title = "type" },
        { .title = "class" },
        { .title = "what it is for", .may_be_cut = true },
    };
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < cb_model_type_count(model); i++) {
        const cb_type *type = cb_model_type_at(model, i);
        cb_cli_rows_add(&rows, type->name);
        cb_cli_rows_add(&rows, cb_class_name(type->class));
        cb_cli_rows_add(&rows, type->help);
    }
    cb_status status = cb_cli_rows_print(session, &rows, &session->error);
    cb_cli_rows_clear(&rows);
    return status;
}

/* "code, needed; seen by risk and intelligence; from least ...: L M H VH" */
static void describe_field(const cb_type *type, const cb_field *field,
                           cb_buffer *text)
{
    cb_buffer_append_text(text, field->title);
    if (field->required) {
        cb_buffer_append_text(text, " (needed)");
    }
    if (field->class != type->class) {
        cb_buffer_append_format(text, "; kept with %s",
                                cb_class_title(field->class));
    }
}

static cb_status print_fields(cb_cli_session *session, const cb_type *type)
{
    static const cb_cli_column columns[] = {
        { .title = "field" },
        { .title = "kind" },
        { .title = "codes" },
        { .title = "what", .may_be_cut = true },
    };
    cb_cli_rows rows;
    cb_buffer text;
    cb_buffer_init(&text, CELL_BYTES);
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < type->field_count; i++) {
        const cb_field *field = &type->fields[i];
        cb_buffer_reset(&text);
        describe_field(type, field, &text);
        cb_cli_rows_add(&rows, field->name);
        cb_cli_rows_add(&rows, cb_kind_name(field->kind));
        cb_cli_rows_add(&rows, field->codes == NULL ? "" : field->codes->name);
        cb_cli_rows_add(&rows, cb_buffer_text(&text));
    }
    cb_status status = cb_cli_rows_print(session, &rows, &session->error);
    cb_cli_rows_clear(&rows);
    cb_buffer_clear(&text);
    return status;
}

/* True where an earlier field has the same list. */
static bool is_printed(const cb_type *type, size_t before)
{
    for (size_t i = 0; i < before; i++) {
        if (type->fields[i].codes == type->fields[before].codes) {
            return true;
        }
    }
    return false;
}

static cb_status print_lists(cb_cli_session *session, const cb_type *type)
{
    static const cb_cli_column columns[] = {
        { .title = "" },
        { .title = "code" },
        { .title = "means", .may_be_cut = true },
    };
    cb_status status = CB_OK;
    for (size_t i = 0; i < type->field_count && status == CB_OK; i++) {
        const cb_code_list *list = type->fields[i].codes;
        if (list == NULL || is_printed(type, i)) {
            continue;
        }
        cb_cli_rows rows;
        cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
        for (size_t c = 0; c < list->count; c++) {
            cb_cli_rows_add(&rows, "");
            cb_cli_rows_add(&rows, list->codes[c].code);
            cb_cli_rows_add(&rows, list->codes[c].title);
        }
        cb_cli_print(session, "\n%s: %s\n", list->name, list->title);
        status = cb_cli_rows_print(session, &rows, &session->error);
        cb_cli_rows_clear(&rows);
    }
    return status;
}

static cb_status print_type(cb_cli_session *session, const cb_type *type)
{
    static const char *const abouts[] = {
        [CB_ABOUT_NONE] = "the case",
        [CB_ABOUT_OPTIONAL] = "a person (--about), or the case",
        [CB_ABOUT_REQUIRED] = "a person (--about)",
        [CB_ABOUT_SELF] = "the person that it adds",
    };
    cb_cli_print(session, "%s: %s\n", type->title, type->help);
    cb_cli_print(session, "about     %s\n", abouts[type->about]);
    cb_cli_print(session, "kept with %s%s%s\n\n", cb_class_title(type->class),
                 type->about == CB_ABOUT_OPTIONAL ? "; without a person, " : "",
                 type->about == CB_ABOUT_OPTIONAL
                     ? cb_class_title(type->class_without_about)
                     : "");
    cb_status status = print_fields(session, type);
    return status == CB_OK ? print_lists(session, type) : status;
}

/* The model's document behind the name of its form. */
static json_t *name_form(const char *schema, json_t *document)
{
    json_t *named = json_pack("{s:s}", "schema", schema);
    if (named != NULL && (document == NULL ||
                          json_object_update_missing(named, document) != 0)) {
        json_decref(named);
        named = NULL;
    }
    json_decref(document);
    return named;
}

static cb_status run_types(cb_cli_session *session)
{
    const char *name = cb_cli_operand(&session->arguments, 0);
    const cb_type *type = NULL;
    cb_model *model = NULL;
    cb_status status = cb_model_create_builtin(&model, &session->error);
    if (status == CB_OK && name != NULL) {
        status = cb_model_find_type(model, name, &type, &session->error);
    }
    if (status == CB_OK && session->json) {
        json_t *document =
            type == NULL
                ? name_form("casebound.types.v1",
                            cb_model_types_document(model))
                : name_form("casebound.type.v1", cb_model_type_document(type));
        status = cb_cli_answer(session, document, &session->error);
    } else if (status == CB_OK) {
        status = type == NULL ? list_types(session, model)
                              : print_type(session, type);
    }
    cb_model_destroy(model);
    return status;
}

const cb_cli_command cb_cli_command_types = {
    .name = "types",
    .group = CB_CLI_GROUP_RECORDS,
    .purpose = "say what can be recorded",
    .mode = CB_CLI_NO_STORE,
    .operands = "[TYPE]",
    .operands_max = 1,
    .description =
        "Without a type: all of them, with the class of records that each "
        "belongs to, which decides who sees it. With one: its fields, their "
        "kinds, and the codes of their lists.",
    .examples = (const cb_cli_example[]){ { "casebound types", "" },
                                          { "casebound types consent",
                                            "fields and lists of one type" },
                                          { NULL, NULL } },
    .see_also = "add, amend",
    .run = run_types,
};
