/* SPDX-License-Identifier: Apache-2.0 */
#include "casework.h"

#include <casebound/json.h>
#include <casebound/when.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "access.h"
#include "output.h"
#include "text.h"
#include "value.h"

#define ID_DIGITS_MIN     4
#define SENTENCE_BYTES    4096
#define PERSON_TYPE       "person"
#define PERSON_ROLE_FIELD "role"

/* A day on which the clocks go back has 25 hours. */
#define DAY_MS_MAX (INT64_C(25) * 3600 * 1000)

/* ------------------------------------------------------------------ cases */

cb_status cb_cli_case_load(cb_cli_session *session, const cb_case_id *case_id,
                           cb_cli_case *ret_case)
{
    cb_cli_case one = { .id = *case_id };
    cb_status status = cb_store_case_state(cb_cli_store(session), case_id,
                                           &one.state, &session->error);
    if (status == CB_OK) {
        status =
            cb_case_state_document(one.state, &one.document, &session->error);
    }
    if (status != CB_OK) {
        cb_cli_case_clear(&one);
        return status;
    }
    one.reference = cb_case_state_reference(one.state);
    *ret_case = one;
    return CB_OK;
}

cb_status cb_cli_case_open(cb_cli_session *session, const char *text,
                           cb_cli_case *ret_case)
{
    cb_case_id case_id;
    cb_status status = cb_store_find_case(cb_cli_store(session), text, &case_id,
                                          &session->error);
    return status == CB_OK ? cb_cli_case_load(session, &case_id, ret_case)
                           : status;
}

void cb_cli_case_clear(cb_cli_case *one)
{
    json_decref(one->document);
    cb_case_state_destroy(one->state);
    *one = (cb_cli_case){ 0 };
}

const json_t *cb_cli_case_record(const cb_cli_case *one, const cb_record_id *id)
{
    const json_t *records = json_object_get(one->document, "records");
    char text[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(id->bytes, sizeof id->bytes, text);
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *record = json_array_get(records, i);
        const char *other = cb_json_text(record, "id");
        if (other != NULL && strcmp(other, text) == 0) {
            return record;
        }
    }
    return NULL;
}

const json_t *cb_cli_record_value(const json_t *record, const char *field)
{
    const json_t *fields = json_object_get(record, "fields");
    return json_object_get(json_object_get(fields, field), "value");
}

static bool is_of_type(const json_t *record, const char *type)
{
    const char *other = cb_json_text(record, "type");
    return type == NULL || (other != NULL && strcmp(other, type) == 0);
}

static bool is_struck(const json_t *record)
{
    return json_object_get(record, "struck_by") != NULL;
}

/* True where the text can be the start of an id. */
static bool is_id_start(const char *text)
{
    size_t size = strlen(text);
    return size >= ID_DIGITS_MIN && size < CB_IDENTIFIER_TEXT_BYTES &&
           strspn(text, "0123456789abcdefABCDEF") == size;
}

cb_status cb_cli_case_find(const cb_cli_case *one, const char *type,
                           const char *text, cb_record_id *ret_id,
                           cb_error *error)
{
    const json_t *records = json_object_get(one->document, "records");
    size_t found = 0;
    cb_record_id id = { 0 };
    const char *noun = type == NULL ? "record" : type;
    for (size_t i = 0; is_id_start(text) && i < json_array_size(records); i++) {
        const json_t *record = json_array_get(records, i);
        const char *other = cb_json_text(record, "id");
        if (other != NULL && is_of_type(record, type) &&
            strncasecmp(other, text, strlen(text)) == 0) {
            found += cb_json_bytes(record, "id", id.bytes, sizeof id.bytes);
        }
    }
    if (found == 1) {
        *ret_id = id;
        return CB_OK;
    }
    if (found > 1) {
        cb_error_set(error, CB_AMBIGUOUS,
                     "'%.40s' fits more than one %s of this case", text, noun);
        cb_error_next(error, "give more digits of the id");
        return CB_AMBIGUOUS;
    }
    cb_error_set(error, CB_NOT_FOUND, "this case has no %s '%.40s'", noun,
                 text);
    cb_error_meaning(error, "nothing was recorded");
    cb_error_next(error, "casebound case show --ids %s", one->reference);
    return CB_NOT_FOUND;
}

/* ----------------------------------------------------------------- people */

static const cb_code_list *roles_of(cb_cli_session *session)
{
    const cb_type *type =
        cb_model_type(cb_store_model(cb_cli_store(session)), PERSON_TYPE);
    const cb_field *field =
        type == NULL ? NULL : cb_type_field(type, PERSON_ROLE_FIELD);
    return field == NULL ? NULL : field->codes;
}

static const char *role_of(const json_t *person)
{
    const char *role =
        json_string_value(cb_cli_record_value(person, PERSON_ROLE_FIELD));
    return role == NULL ? "" : role;
}

void cb_cli_case_people(cb_cli_session *session, const cb_cli_case *one,
                        cb_buffer *text)
{
    const json_t *records = json_object_get(one->document, "records");
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *record = json_array_get(records, i);
        if (is_of_type(record, PERSON_TYPE) && !is_struck(record)) {
            const char *role = role_of(record);
            cb_buffer_append_format(text, "  %.*s  %-20s  %s\n",
                                    CB_CLI_SHORT_ID_DIGITS,
                                    cb_json_text(record, "id"), role,
                                    cb_code_title(roles_of(session), role));
        }
    }
}

static bool has_role(const cb_code_list *roles, const json_t *person,
                     const char *text)
{
    const char *role = role_of(person);
    return role[0] != '\0' &&
           (strcasecmp(role, text) == 0 ||
            (roles != NULL &&
             strcasecmp(cb_code_title(roles, role), text) == 0));
}

/* The role that was probably meant, or NULL. */
static const char *nearest_role(const cb_code_list *roles, const char *text)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; roles != NULL && i < roles->count; i++) {
        const char *code = roles->codes[i].code;
        size_t distance = cb_cli_edit_distance(text, code);
        if (distance < least && cb_cli_is_near(text, code, distance)) {
            least = distance;
            nearest = code;
        }
    }
    return nearest;
}

/*
 * What was typed may be a name, and messages end in logs: only a role or what
 * can be nothing but an id is repeated.
 */
static void refuse_person(const cb_cli_case *one, const cb_code_list *roles,
                          const char *text, cb_error *error)
{
    size_t size = strlen(text);
    bool is_id = strspn(text, "0123456789abcdefABCDEF") == size &&
                 strpbrk(text, "0123456789") != NULL;
    const char *near = nearest_role(roles, text);
    if (near != NULL && strcmp(near, text) == 0) {
        cb_error_set(error, CB_NOT_FOUND, "nobody in this case is '%s'", text);
    } else if (is_id) {
        cb_error_set(error, CB_NOT_FOUND, "this case has no person '%.40s'",
                     text);
    } else if (near != NULL) {
        cb_error_set(error, CB_NOT_FOUND,
                     "this case has no person of that role or id; did you "
                     "mean '%s'?",
                     near);
    } else {
        cb_error_set(error, CB_NOT_FOUND,
                     "this case has no person of that role or id");
    }
    cb_error_meaning(error, "nothing was recorded");
    if (is_id && size < ID_DIGITS_MIN) {
        cb_error_next(error,
                      "give at least four digits of the id; see: "
                      "casebound case show --ids %s",
                      one->reference);
    }
    cb_error_next(error, "casebound case show --ids %s", one->reference);
}

cb_status cb_cli_case_person(cb_cli_session *session, const cb_cli_case *one,
                             const char *text, cb_record_id *ret_id,
                             cb_error *error)
{
    const json_t *records = json_object_get(one->document, "records");
    const cb_code_list *roles = roles_of(session);
    size_t found = 0;
    cb_record_id id = { 0 };
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *record = json_array_get(records, i);
        if (is_of_type(record, PERSON_TYPE) && !is_struck(record) &&
            has_role(roles, record, text)) {
            found += cb_json_bytes(record, "id", id.bytes, sizeof id.bytes);
        }
    }
    if (found == 1) {
        *ret_id = id;
        return CB_OK;
    }
    if (found > 1) {
        cb_error_set(error, CB_AMBIGUOUS,
                     "more than one person of this case is '%.40s'", text);
        cb_error_meaning(error, "nothing was recorded");
        cb_error_next(error,
                      "give the start of the person's id; see: "
                      "casebound case show --ids %s",
                      one->reference);
        return CB_AMBIGUOUS;
    }
    if (cb_cli_case_find(one, PERSON_TYPE, text, ret_id, error) == CB_OK) {
        return CB_OK;
    }
    if (error->status == CB_NOT_FOUND) {
        cb_error_clear(error);
        refuse_person(one, roles, text, error);
    }
    return error->status;
}

/* --------------------------------------------------------------- a change */

static cb_status read_why(cb_cli_session *session, cb_cli_change *change)
{
    const char *text = cb_cli_option_value(&session->arguments, "why");
    if (text == NULL) {
        return CB_OK;
    }
    cb_status status =
        cb_cli_read_text(session, "why", text, &change->why, &session->error);
    if (status == CB_OK && change->why.size == 0) {
        return cb_error_set(&session->error, CB_INPUT, "the reason is empty");
    }
    change->change.why = cb_buffer_text(&change->why);
    return status;
}

/*
 * A slip of the finger makes a year of the next century.  It is no business of
 * the store's to refuse it, for it is signed as it was meant, but whoever typed
 * it should see it while it is fresh.
 */
static void warn_of_slip(cb_cli_session *session, const char *text,
                         int64_t start_ms, int64_t now_ms)
{
    cb_when tomorrow = { 0 };
    if (cb_when_parse("tomorrow", now_ms, &tomorrow, NULL) != CB_OK) {
        return;
    }
    if (start_ms >= tomorrow.start_ms + DAY_MS_MAX) {
        cb_cli_warn(session,
                    "'%s' lies in the future; if that is a slip, strike the "
                    "record and add it again",
                    text);
    }
}

static cb_status read_happened(cb_cli_session *session, cb_change *change)
{
    static const char *const precisions[] = {
        [CB_WHEN_YEAR] = "year",     [CB_WHEN_MONTH] = "month",
        [CB_WHEN_DAY] = "day",       [CB_WHEN_MINUTE] = "minute",
        [CB_WHEN_SECOND] = "second",
    };
    const cb_environment *environment = session->world->environment;
    const char *text = cb_cli_option_value(&session->arguments, "happened");
    cb_when when = { 0 };
    if (text == NULL) {
        return CB_OK;
    }
    int64_t now_ms = environment->now_ms(environment->context);
    cb_status status = cb_when_parse(text, now_ms, &when, &session->error);
    if (status == CB_OK) {
        warn_of_slip(session, text, when.start_ms, now_ms);
        change->happened_ms = when.start_ms;
        change->precision = precisions[when.precision];
    }
    return status;
}

cb_status cb_cli_change_read(cb_cli_session *session, const cb_case_id *case_id,
                             cb_cli_change *ret_change)
{
    const cb_cli_arguments *arguments = &session->arguments;
    size_t count = cb_cli_option_count(arguments, "override");
    *ret_change = (cb_cli_change){ 0 };
    cb_buffer_init(&ret_change->why, CB_TEXT_BYTES_MAX);
    if (case_id != NULL) {
        ret_change->change.case_id = *case_id;
    }
    ret_change->overrides = calloc(count + 1, sizeof(const char *));
    if (ret_change->overrides == NULL) {
        return cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        ret_change->overrides[i] = cb_cli_option_nth(arguments, "override", i);
    }
    ret_change->change.overrides = ret_change->overrides;
    ret_change->change.override_count = count;
    cb_status status = read_why(session, ret_change);
    return status == CB_OK ? read_happened(session, &ret_change->change)
                           : status;
}

void cb_cli_change_clear(cb_cli_change *change)
{
    cb_buffer_clear(&change->why);
    free(change->overrides);
    *change = (cb_cli_change){ 0 };
}

/* ------------------------------------------------------------------ words */

static bool name_reference(void *context, const cb_field *field, const char *id,
                           cb_buffer *text)
{
    const cb_naming *naming = cb_store_naming(cb_cli_store(context));
    cb_record_id record;
    cb_person_id person;
    const char *name = NULL;
    if ((field->kind == CB_FIELD_STAFF || field->kind == CB_FIELD_STAFFS) &&
        cb_hex_parse(id, person.bytes, sizeof person.bytes)) {
        name = naming->person(naming->context, &person);
    } else if ((field->kind == CB_FIELD_PERSON ||
                field->kind == CB_FIELD_PERSONS) &&
               cb_hex_parse(id, record.bytes, sizeof record.bytes)) {
        name = naming->party(naming->context, &record);
    }
    if (name != NULL) {
        cb_buffer_append_text(text, name);
    } else {
        cb_buffer_append_format(text, "%.*s", CB_CLI_SHORT_ID_DIGITS, id);
    }
    return true;
}

static cb_model_words words_of(cb_cli_session *session)
{
    return (cb_model_words){ .context = session, .reference = name_reference };
}

void cb_cli_summarise(cb_cli_session *session, const cb_type *type,
                      const json_t *fields, cb_buffer *text)
{
    const cb_model_words words = words_of(session);
    cb_type_summary(type, fields, &words, text);
}

void cb_cli_append_value(cb_cli_session *session, const cb_field *field,
                         const json_t *value, cb_buffer *text)
{
    const cb_model_words words = words_of(session);
    if (field != NULL) {
        cb_field_format(field, value, &words, text);
    } else if (json_is_string(value)) {
        cb_buffer_append_text(text, json_string_value(value));
    } else if (cb_json_append(value, text, NULL) != CB_OK) {
        cb_buffer_append_text(text, "?");
    }
}

/* --------------------------------------------------------------- recorded */

static json_t *describe_verdict(cb_cli_session *session,
                                const cb_verdict *verdict)
{
    const cb_naming *naming = cb_store_naming(cb_cli_store(session));
    cb_buffer sentence;
    cb_buffer lift;
    cb_buffer_init(&sentence, SENTENCE_BYTES);
    cb_buffer_init(&lift, SENTENCE_BYTES);
    cb_sentence_append(verdict->sentence, naming, &sentence);
    cb_sentence_append(verdict->lift, naming, &lift);
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s}", "rule", verdict->rule, "outcome",
                  cb_outcome_name(verdict->outcome), "sentence",
                  cb_buffer_text(&sentence), "lift", cb_buffer_text(&lift));
    cb_buffer_clear(&sentence);
    cb_buffer_clear(&lift);
    return row;
}

/* What the rules said; what they warn of is said aloud too. */
static json_t *tell_verdicts(cb_cli_session *session,
                             const cb_verdict_list *verdicts)
{
    json_t *rows = json_array();
    size_t count = verdicts == NULL ? 0 : cb_verdict_list_count(verdicts);
    for (size_t i = 0; i < count; i++) {
        const cb_verdict *verdict = cb_verdict_list_get(verdicts, i);
        json_t *row = describe_verdict(session, verdict);
        if (verdict->outcome != CB_OUTCOME_ALLOWED && row != NULL) {
            /* "warning:" stands in front already. */
            bool is_warned = verdict->outcome == CB_OUTCOME_WARNED;
            cb_cli_warn(session, "%s%s%s: %s", verdict->rule,
                        is_warned ? "" : " ",
                        is_warned ? "" : cb_outcome_name(verdict->outcome),
                        cb_json_text(row, "sentence"));
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

cb_status cb_cli_report_recorded(cb_cli_session *session,
                                 const cb_cli_recorded *what,
                                 const cb_recorded *recorded)
{
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_buffer summary;
    cb_hex_format(recorded->record.bytes, sizeof recorded->record.bytes, id);
    cb_buffer_init(&summary, SENTENCE_BYTES);
    cb_cli_clean(&summary, cb_span_of_text(what->summary));
    json_t *verdicts = tell_verdicts(session, recorded->verdicts);
    cb_cli_say(session, "%s in %s%s%s", what->verb,
               what->reference[0] == '\0' ? "the case" : what->reference,
               summary.size == 0 ? "" : ": ", cb_buffer_text(&summary));
    if (recorded->conflicts > 0) {
        cb_cli_explain(session,
                       "%zu conflicts await a person: casebound "
                       "conflicts %s",
                       recorded->conflicts, what->reference);
    }
    cb_buffer_clear(&summary);
    if (what->result != NULL) {
        cb_cli_print(session, "%s\n", what->result);
    } else {
        cb_cli_print(session, "%.*s\n", CB_CLI_SHORT_ID_DIGITS, id);
    }
    json_t *document = json_pack(
        "{s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:o}", "schema",
        "casebound.recorded.v1", "did", what->verb, "case",
        cb_json_hex(recorded->case_id.bytes, sizeof recorded->case_id.bytes),
        "reference", what->reference, "type", what->type, "record", id,
        "action",
        cb_json_hex(recorded->action.bytes, sizeof recorded->action.bytes),
        "first_entry", (json_int_t)recorded->first_seq, "last_entry",
        (json_int_t)recorded->last_seq, "conflicts",
        (json_int_t)recorded->conflicts, "verdicts", verdicts);
    return cb_cli_answer(session, document, &session->error);
}
