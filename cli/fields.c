/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"

#include <casebound/when.h>

#include <string.h>

#include "access.h"
#include "editor.h"
#include "output.h"
#include "prompt.h"
#include "value.h"

#define QUESTION_BYTES_MAX 4000
#define ANSWER_BYTES_MAX   4096
#define LABEL_BYTES_MAX    256
#define LEAVE_OUT_THE_REST "."
#define IN_THE_EDITOR      "@"

/* Where the model's resolver looks. */
typedef struct scene {
    cb_cli_session *session;
    const cb_cli_case *one; /* or NULL */
} scene;

static cb_status find_staff(cb_cli_session *session, const char *text,
                            char *ret_id, cb_error *error)
{
    cb_person_id person;
    if (strcmp(text, "me") == 0) {
        cb_store_identity identity;
        cb_store_identify(cb_cli_store(session), &identity);
        person = identity.person;
    } else {
        cb_status status =
            cb_store_find_person(cb_cli_store(session), text, &person, error);
        if (status != CB_OK) {
            return status;
        }
    }
    cb_hex_format(person.bytes, sizeof person.bytes, ret_id);
    return CB_OK;
}

static cb_status find_reference(void *context, const cb_field *field,
                                const char *text,
                                char ret_id[CB_HASH_TEXT_BYTES],
                                cb_error *error)
{
    const scene *here = context;
    cb_record_id record;
    cb_status status = CB_OK;
    if (field->kind == CB_FIELD_STAFF || field->kind == CB_FIELD_STAFFS) {
        return find_staff(here->session, text, ret_id, error);
    }
    if (field->kind == CB_FIELD_HASH || here->one == NULL) {
        cb_error_set(error, CB_INPUT,
                     field->kind == CB_FIELD_HASH
                         ? "what was given for '%s' is not 64 hexadecimal "
                           "digits"
                         : "'%s' refers to a record, and the case has none yet",
                     field->name);
        cb_error_meaning(error, "nothing was recorded");
        return CB_INPUT;
    }
    if (field->kind == CB_FIELD_PERSON || field->kind == CB_FIELD_PERSONS) {
        status =
            cb_cli_case_person(here->session, here->one, text, &record, error);
    } else {
        status =
            cb_cli_case_find(here->one, field->target, text, &record, error);
    }
    if (status == CB_OK) {
        cb_hex_format(record.bytes, sizeof record.bytes, ret_id);
    }
    return status;
}

static cb_status find_moment(void *context, const char *text, int64_t *ret_ms,
                             const char **ret_precision, cb_error *error)
{
    static const char *const precisions[] = {
        [CB_WHEN_YEAR] = "year",     [CB_WHEN_MONTH] = "month",
        [CB_WHEN_DAY] = "day",       [CB_WHEN_MINUTE] = "minute",
        [CB_WHEN_SECOND] = "second",
    };
    const scene *here = context;
    const cb_environment *environment = here->session->world->environment;
    cb_when when = { 0 };
    cb_status status = cb_when_parse(
        text, environment->now_ms(environment->context), &when, error);
    if (status == CB_OK) {
        *ret_ms = when.start_ms;
        *ret_precision = precisions[when.precision];
    }
    return status;
}

/* Messages of ours and of the store quote what was typed, and it may be a name:
 * a message about a personal field says what is wrong without it. */
static void unquote(const cb_field *field, cb_error *error)
{
    const char *wrong = "cannot be read";
    cb_error plain = { 0 };
    if (error->status == CB_AMBIGUOUS) {
        wrong = "fits more than one";
    } else if (error->status == CB_NOT_FOUND) {
        wrong = "is not known here";
    }
    (void)cb_error_set(&plain, error->status, "what was given for '%s' %s",
                       field->name, wrong);
    cb_error_meaning(&plain, "%s", error->meaning);
    cb_error_next(&plain, "%s", error->next);
    *error = plain;
}

static bool is_resolved_here(cb_field_kind kind)
{
    return kind == CB_FIELD_DATE || kind == CB_FIELD_WHEN ||
           kind == CB_FIELD_PERSON || kind == CB_FIELD_PERSONS ||
           kind == CB_FIELD_RECORD || kind == CB_FIELD_RECORDS ||
           kind == CB_FIELD_STAFF || kind == CB_FIELD_STAFFS;
}

static cb_status parse_value(cb_cli_session *session, const cb_cli_case *one,
                             const cb_field *field, const char *text,
                             json_t **ret_value, cb_error *error)
{
    scene here = { session, one };
    const cb_model_resolver resolver = { .context = &here,
                                         .reference = find_reference,
                                         .moment = find_moment };
    json_t *value = NULL;
    cb_status status = cb_field_parse(field, text, &resolver, &value, error);
    /* null takes a value away; whether it may is the type's business. */
    if (status == CB_OK && !json_is_null(value)) {
        status = cb_field_check(field, value, error);
    }
    if (status != CB_OK && status != CB_NO_MEMORY && field->personal &&
        is_resolved_here(field->kind)) {
        unquote(field, error);
    }
    if (status != CB_OK) {
        json_decref(value);
        return status;
    }
    *ret_value = value;
    return CB_OK;
}

void cb_cli_point_at_type(const cb_type *type, cb_status status,
                          cb_error *error)
{
    if (status == CB_INPUT) {
        cb_error_next(error, "casebound types %s", type->name);
    }
}

static bool is_input(const char *value)
{
    return strcmp(value, "-") == 0;
}

static cb_status read_operand(cb_cli_session *session, const cb_cli_case *one,
                              const cb_type *type, const char *operand,
                              json_t *fields)
{
    cb_error *error = &session->error;
    cb_span name;
    const char *words = NULL;
    const cb_field *field = NULL;
    char field_name[CB_MODEL_NAME_BYTES_MAX + 1] = "";
    cb_status status = cb_cli_split_field(operand, &name, &words, error);
    if (status != CB_OK) {
        return status;
    }
    /* One that is too long is cut, and so is not the name of any field. */
    size_t size =
        name.size < sizeof field_name ? name.size : sizeof field_name - 1;
    memcpy(field_name, name.bytes, size);
    status = cb_type_find_field(type, field_name, &field, error);
    if (status != CB_OK) {
        return status;
    }
    if (json_object_get(fields, field->name) != NULL) {
        return cb_error_set(error, CB_USAGE, "'%s' was given twice",
                            field->name);
    }
    cb_buffer text;
    json_t *value = NULL;
    cb_buffer_init(&text, CB_TEXT_BYTES_MAX);
    status = cb_cli_read_text(session, field->name, words, &text, error);
    if (status == CB_OK && strlen(cb_buffer_text(&text)) != text.size) {
        status = cb_error_set(error, CB_INPUT,
                              "what was given for '%s' holds a zero byte",
                              field->name);
        cb_error_meaning(error, "nothing was recorded");
        cb_error_next(error, "give a text, not another kind of file");
    }
    if (status == CB_OK) {
        status = parse_value(session, one, field, cb_buffer_text(&text), &value,
                             error);
    }
    cb_cli_point_at_type(type, status, error);
    if (status == CB_OK &&
        json_object_set_new(fields, field->name, value) != 0) {
        status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_buffer_clear(&text);
    return status;
}

cb_status cb_cli_fields_read(cb_cli_session *session, const cb_cli_case *one,
                             const cb_type *type, size_t first,
                             json_t **ret_fields)
{
    const cb_cli_arguments *arguments = &session->arguments;
    const char *why = cb_cli_option_value(arguments, "why");
    bool reads_input = why != NULL && is_input(why);
    json_t *fields = json_object();
    cb_status status = CB_OK;
    for (size_t i = first; i < arguments->operand_count && status == CB_OK;
         i++) {
        const char *operand = arguments->operands[i];
        const char *value = strchr(operand, '=');
        bool asks_input = value != NULL && is_input(value + 1);
        if (asks_input && reads_input) {
            status = cb_error_set(&session->error, CB_USAGE,
                                  "the input can be read for one value only");
            break;
        }
        reads_input = reads_input || asks_input;
        status = read_operand(session, one, type, operand, fields);
    }
    if (status != CB_OK) {
        json_decref(fields);
        return status;
    }
    *ret_fields = fields;
    return CB_OK;
}

/* ---------------------------------------------------------------- editing */

/* Where a text becomes the value of its field. */
typedef struct edited {
    cb_cli_session *session;
    const cb_cli_case *one;
    const cb_field *field;
    json_t *value; /* or NULL; owned */
} edited;

static cb_status check_edited(void *context, const char *text, cb_error *error)
{
    edited *here = context;
    json_decref(here->value);
    here->value = NULL;
    return parse_value(here->session, here->one, here->field, text,
                       &here->value, error);
}

/*
 * Has the person write a field.  `record` is the record that it belongs to, or
 * NULL for a new one.
 */
static cb_status edit_field(cb_cli_session *session, const cb_cli_case *one,
                            const cb_type *type, const cb_field *field,
                            const json_t *record, json_t *fields)
{
    edited here = { .session = session, .one = one, .field = field };
    char owner[CB_IDENTIFIER_TEXT_BYTES] = "new";
    cb_buffer label;
    cb_buffer_init(&label, LABEL_BYTES_MAX);
    const char *id = json_string_value(json_object_get(record, "id"));
    if (id == NULL && one != NULL) {
        cb_hex_format(one->id.bytes, sizeof one->id.bytes, owner);
    }
    /* Not the store's folder: a case's id names it wherever it lies. */
    cb_buffer_append_format(&label, "%s %s %s", type->name, field->name,
                            id == NULL ? owner : id);
    const char *start =
        json_string_value(cb_cli_record_value(record, field->name));
    const cb_cli_edit_wish wish = { .label = cb_buffer_text(&label),
                                    .subject = field->name,
                                    .start = start == NULL ? "" : start,
                                    .check = check_edited,
                                    .context = &here };
    cb_status status = cb_cli_edit_text(session, &wish);
    if (status == CB_OK &&
        json_object_set(fields, field->name, here.value) != 0) {
        status = cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
    }
    json_decref(here.value);
    cb_buffer_clear(&label);
    return status;
}

cb_status cb_cli_fields_edit(cb_cli_session *session, const cb_cli_case *one,
                             const cb_type *type, const json_t *record,
                             json_t *fields)
{
    cb_error *error = &session->error;
    cb_status status = CB_OK;
    const char *name = NULL;
    for (size_t i = 0;
         status == CB_OK &&
         (name = cb_cli_option_nth(&session->arguments, "edit", i)) != NULL;
         i++) {
        const cb_field *field = NULL;
        status = cb_type_find_field(type, name, &field, error);
        if (status == CB_OK && field->kind != CB_FIELD_TEXT) {
            status = cb_error_set(error, CB_USAGE, "'%s' is no long text",
                                  field->name);
            cb_error_next(error, "give it as %s=VALUE", field->name);
        } else if (status == CB_OK &&
                   json_object_get(fields, field->name) != NULL) {
            status = cb_error_set(error, CB_USAGE, "'%s' was given twice",
                                  field->name);
        } else if (status == CB_OK) {
            status = edit_field(session, one, type, field, record, fields);
        }
        cb_cli_point_at_type(type, status, error);
    }
    return status;
}

/* ----------------------------------------------------------------- asking */

static void append_question(const cb_field *field, const cb_error *last,
                            cb_buffer *question)
{
    if (last->status != CB_OK) {
        cb_buffer_append_format(question, "%s\n", last->what);
        if (last->next[0] != '\0') {
            cb_buffer_append_format(question, "    %s\n", last->next);
        }
    } else {
        cb_buffer_append_text(question, "\n");
        for (size_t i = 0; field->codes != NULL && i < field->codes->count;
             i++) {
            const cb_code *code = &field->codes->codes[i];
            cb_buffer_append_format(question, "  %-24s  %s\n", code->code,
                                    code->title);
        }
        if (field->help[0] != '\0') {
            cb_buffer_append_format(question, "  %s\n", field->help);
        }
    }
    cb_buffer_append_format(
        question, "%s (%s%s%s):", field->title, cb_kind_name(field->kind),
        field->required ? ", needed" : "",
        field->kind == CB_FIELD_TEXT ? "; @ for the editor" : "");
}

static cb_status ask_field(cb_cli_session *session, const cb_cli_case *one,
                           const cb_type *type, const cb_field *field,
                           json_t *fields, bool *ret_leave)
{
    cb_error last = { 0 };
    cb_buffer question;
    cb_buffer answer;
    cb_status status = CB_OK;
    cb_buffer_init(&question, QUESTION_BYTES_MAX);
    cb_buffer_init(&answer, ANSWER_BYTES_MAX);
    for (bool done = false; !done && status == CB_OK;) {
        json_t *value = NULL;
        cb_buffer_reset(&question);
        cb_buffer_reset(&answer);
        append_question(field, &last, &question);
        cb_error_clear(&last);
        status = cb_cli_ask_line(session, cb_buffer_text(&question),
                                 "the record as FIELD=VALUE", &answer,
                                 &session->error);
        if (status != CB_OK) {
            break;
        }
        const char *text = cb_buffer_text(&answer);
        bool leaves = strcmp(text, LEAVE_OUT_THE_REST) == 0;
        if (text[0] == '\0' || leaves) {
            *ret_leave = *ret_leave || leaves;
            done = !field->required;
            continue;
        }
        if (field->kind == CB_FIELD_TEXT && strcmp(text, IN_THE_EDITOR) == 0) {
            status = edit_field(session, one, type, field, NULL, fields);
            done = true;
            continue;
        }
        cb_status parsed = CB_OK;
        cb_buffer whole;
        cb_buffer_init(&whole, CB_TEXT_BYTES_MAX);
        parsed =
            is_input(text)
                ? cb_error_set(&last, CB_INPUT, "- is for scripts")
                : cb_cli_read_text(session, field->name, text, &whole, &last);
        if (parsed == CB_OK) {
            parsed = parse_value(session, one, field, cb_buffer_text(&whole),
                                 &value, &last);
        }
        cb_buffer_clear(&whole);
        done = parsed == CB_OK;
        if (done && json_object_set_new(fields, field->name, value) != 0) {
            status =
                cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
        }
    }
    cb_buffer_clear(&question);
    cb_buffer_clear(&answer);
    return status;
}

cb_status cb_cli_fields_ask(cb_cli_session *session, const cb_cli_case *one,
                            const cb_type *type, json_t **ret_fields)
{
    json_t *fields = json_object();
    cb_status status = CB_OK;
    bool leaves = false;
    for (size_t i = 0; i < type->field_count && status == CB_OK; i++) {
        if (!leaves || type->fields[i].required) {
            status = ask_field(session, one, type, &type->fields[i], fields,
                               &leaves);
        }
    }
    if (status != CB_OK) {
        json_decref(fields);
        return status;
    }
    *ret_fields = fields;
    return CB_OK;
}

cb_status cb_cli_fields_get(cb_cli_session *session, const cb_cli_case *one,
                            const cb_type *type, size_t first,
                            json_t **ret_fields)
{
    return session->arguments.operand_count > first ||
                   cb_cli_option_given(&session->arguments, "edit")
               ? cb_cli_fields_read(session, one, type, first, ret_fields)
               : cb_cli_fields_ask(session, one, type, ret_fields);
}

void cb_cli_fields_drop_empty(json_t *fields)
{
    const char *name = NULL;
    void *next = NULL;
    json_t *value = NULL;
    json_object_foreach_safe(fields, next, name, value)
    {
        if (json_is_null(value)) {
            (void)json_object_del(fields, name);
        }
    }
}
