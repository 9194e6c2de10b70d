/* SPDX-License-Identifier: Apache-2.0 */
#include "case/view.h"

#include "base/json.h"

#include <casebound/entry.h>
#include <casebound/when.h>

#include <stdlib.h>
#include <string.h>

#define SHORT_ID_DIGITS 8

/* --------------------------------------------------------------- the names */

static const char *name_person(void *context, const cb_person_id *person)
{
    const cb_view *view = context;
    return view->outer != NULL && view->outer->person != NULL
               ? view->outer->person(view->outer->context, person)
               : NULL;
}

/* The names of a record, kept by the view; NULL for none. */
static const char *join_names(cb_view *view, size_t record)
{
    cb_buffer text;
    const char *joined = NULL;
    cb_buffer_init(&text, CB_TEXT_BYTES_MAX);
    cb_case_state_append_name(view->state, record, &text);
    if (text.size > 0 && cb_buffer_check(&text, NULL) == CB_OK) {
        json_t *kept = json_string(cb_buffer_text(&text));
        view->failed = json_object_set_new(view->names, cb_buffer_text(&text),
                                           kept) != 0 ||
                       view->failed;
        joined = json_string_value(
            json_object_get(view->names, cb_buffer_text(&text)));
    }
    cb_buffer_clear(&text);
    return joined;
}

/* While people differ on a name, all that they say is shown, not one. */
static const char *name_party(void *context, const cb_record_id *party)
{
    cb_view *view = context;
    size_t record = cb_case_find_typed(view->state, party, "person");
    bool is_contested =
        record != CB_NOTHING &&
        cb_record_contested(&view->state->records[record], "name");
    const char *name = NULL;
    if (!is_contested && view->outer != NULL && view->outer->party != NULL) {
        name = view->outer->party(view->outer->context, party);
    }
    return name == NULL && record != CB_NOTHING ? join_names(view, record)
                                                : name;
}

static const char *name_stream(void *context, const cb_stream_id *stream)
{
    const cb_view *view = context;
    return view->outer != NULL && view->outer->stream != NULL
               ? view->outer->stream(view->outer->context, stream)
               : NULL;
}

static bool word_reference(void *context, const cb_field *field, const char *id,
                           cb_buffer *text)
{
    cb_record_id record;
    cb_person_id person;
    const char *name = NULL;
    if (!cb_hex_parse(id, record.bytes, sizeof record.bytes)) {
        return false;
    }
    memcpy(person.bytes, record.bytes, sizeof person.bytes);
    name = field->kind == CB_FIELD_STAFF || field->kind == CB_FIELD_STAFFS
               ? name_person(context, &person)
               : name_party(context, &record);
    if (name == NULL) {
        cb_buffer_append_format(text, "%.*s", SHORT_ID_DIGITS, id);
    } else {
        cb_buffer_append_text(text, name);
    }
    return true;
}

void cb_view_begin(cb_view *view, const cb_case_state *state,
                   const cb_naming *naming)
{
    *view = (cb_view){ .state = state, .outer = naming };
    view->names = json_object();
    view->failed = view->names == NULL;
    view->naming = (cb_naming){ .context = view,
                                .person = name_person,
                                .party = name_party,
                                .stream = name_stream };
    view->words =
        (cb_model_words){ .context = view, .reference = word_reference };
}

cb_status cb_view_end(cb_view *view, json_t *document, json_t **ret_document,
                      cb_error *reterr_error)
{
    json_decref(view->names);
    view->names = NULL;
    if (view->failed || document == NULL) {
        json_decref(document);
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    *ret_document = document;
    return CB_OK;
}

/* --------------------------------------------------------------- the parts */

void cb_view_set(cb_view *view, json_t *object, const char *key, json_t *value)
{
    view->failed = json_object_set_new(object, key, value) != 0 || view->failed;
}

void cb_view_add(cb_view *view, json_t *array, json_t *value)
{
    view->failed = json_array_append_new(array, value) != 0 || view->failed;
}

void cb_view_text(cb_view *view, json_t *object, const char *key,
                  const char *text)
{
    cb_view_set(view, object, key, json_string(text));
}

void cb_view_hex(cb_view *view, json_t *object, const char *key,
                 const void *bytes, size_t size)
{
    cb_view_set(view, object, key, cb_json_hex(bytes, size));
}

void cb_view_moment(cb_view *view, json_t *object, const char *key, int64_t ms)
{
    char text[CB_WHEN_TEXT_BYTES];
    cb_when_format_instant(ms, text);
    cb_view_text(view, object, key, text);
}

/* Keeps a text that was put together, if all of it is there. */
static void set_buffer(cb_view *view, json_t *object, const char *key,
                       cb_buffer *text)
{
    view->failed = cb_buffer_check(text, NULL) != CB_OK || view->failed;
    cb_view_text(view, object, key, cb_buffer_text(text));
    cb_buffer_clear(text);
}

void cb_view_sentence(cb_view *view, json_t *object, const char *key,
                      const char *sentence)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_JSON_DOCUMENT_BYTES_MAX);
    cb_sentence_append(sentence, &view->naming, &text);
    set_buffer(view, object, key, &text);
}

static void set_name(cb_view *view, json_t *object, const char *key,
                     const char *name, const void *id)
{
    char text[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(id, CB_IDENTIFIER_BYTES, text);
    text[SHORT_ID_DIGITS] = '\0';
    cb_view_text(view, object, key, name != NULL ? name : text);
}

void cb_view_author(cb_view *view, json_t *object, size_t entry)
{
    const cb_case_entry *said = &view->state->entries[entry];
    cb_view_hex(view, object, "author", said->author.bytes,
                sizeof said->author.bytes);
    set_name(view, object, "who", name_person(view, &said->author),
             said->author.bytes);
    cb_view_hex(view, object, "stream", said->stream.bytes,
                sizeof said->stream.bytes);
    set_name(view, object, "device", name_stream(view, &said->stream),
             said->stream.bytes);
    cb_view_set(view, object, "seq", json_integer((json_int_t)said->seq));
}

void cb_view_party(cb_view *view, json_t *object, const char *key,
                   const cb_record_id *party)
{
    set_name(view, object, key, name_party(view, party), party->bytes);
}

void cb_view_value(cb_view *view, json_t *object, const char *key,
                   const cb_field *field, const json_t *value)
{
    cb_buffer text;
    if (value == NULL || json_is_null(value)) {
        cb_view_text(view, object, key, "");
        return;
    }
    if (field == NULL) {
        char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        cb_view_set(view, object, key, json_string(dump));
        free(dump);
        return;
    }
    cb_buffer_init(&text, CB_JSON_DOCUMENT_BYTES_MAX);
    cb_field_format(field, value, &view->words, &text);
    set_buffer(view, object, key, &text);
}

int64_t cb_view_recorded_ms(const cb_case_state *state, size_t entry)
{
    return cb_entry_time_ms(state->entries[entry].time);
}

/* --------------------------------------------------------------- the issues */

static const char *find_part(const char *at, char *name, size_t size)
{
    const char *close = *at == '{' ? strchr(at, '}') : NULL;
    if (close == NULL || (size_t)(close - at) > size) {
        return NULL;
    }
    memcpy(name, at + 1, (size_t)(close - at) - 1);
    name[close - at - 1] = '\0';
    return close + 1;
}

void cb_view_act(cb_view *view, json_t *object, const char *key,
                 const cb_issue *issue)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_TEXT_BYTES_MAX);
    for (const char *at = issue->act; *at != '\0';) {
        char name[16];
        char id[CB_IDENTIFIER_TEXT_BYTES];
        const char *after = find_part(at, name, sizeof name);
        const void *bytes = NULL;
        if (after != NULL && strcmp(name, "issue") == 0) {
            bytes = issue->id;
        } else if (after != NULL && strcmp(name, "record") == 0) {
            bytes = issue->record.bytes;
        } else if (after != NULL && strcmp(name, "about") == 0) {
            bytes = issue->about.bytes;
        } else if (after != NULL && strcmp(name, "case") == 0) {
            bytes = view->state->id.bytes;
        }
        if (bytes == NULL) {
            cb_buffer_append(&text, at, 1);
            at++;
            continue;
        }
        cb_hex_format(bytes, CB_IDENTIFIER_BYTES, id);
        if (strcmp(name, "case") == 0 && view->state->reference[0] != '\0') {
            cb_buffer_append_text(&text, view->state->reference);
        } else {
            cb_buffer_append_format(&text, "%.*s", SHORT_ID_DIGITS, id);
        }
        at = after;
    }
    set_buffer(view, object, key, &text);
}

static void set_choice_words(cb_view *view, json_t *object,
                             const cb_field *field,
                             const cb_issue_choice *choice)
{
    if (choice->shown == choice->value) {
        cb_view_value(view, object, "words", field, choice->value);
        return;
    }
    const char *start = cb_json_text(choice->shown, "start");
    cb_view_set(view, object, "words",
                start != NULL && start[0] != '\0'
                    ? json_sprintf("%s...", start)
                    : json_sprintf("(value %.8s)",
                                   cb_json_text(choice->shown, "hash")));
}

static json_t *show_choices(cb_view *view, const cb_issue *issue)
{
    json_t *choices = json_array();
    size_t record = cb_case_find_record(view->state, &issue->record);
    const cb_field *field = NULL;
    if (record != CB_NOTHING && view->state->records[record].type != NULL) {
        field = cb_type_field(view->state->records[record].type, issue->field);
    }
    for (size_t i = 0; i < issue->choice_count; i++) {
        const cb_issue_choice *choice = &issue->choices[i];
        json_t *one = json_object();
        cb_view_set(view, one, "choice", json_integer((json_int_t)i + 1));
        cb_view_set(view, one, "value",
                    json_incref((json_t *)(uintptr_t)choice->shown));
        set_choice_words(view, one, field, choice);
        cb_view_hex(view, one, "record", choice->record.bytes,
                    sizeof choice->record.bytes);
        json_t *said = json_array();
        for (size_t h = 0; h < choice->head_count; h++) {
            size_t entry = cb_case_find_entry(view->state, &choice->heads[h]);
            json_t *who = json_object();
            if (entry != CB_NOTHING) {
                cb_view_author(view, who, entry);
                cb_view_moment(view, who, "recorded",
                               cb_view_recorded_ms(view->state, entry));
            }
            cb_view_add(view, said, who);
        }
        cb_view_set(view, one, "said", said);
        cb_view_add(view, choices, one);
    }
    return choices;
}

json_t *cb_view_issue(cb_view *view, const cb_issue *issue)
{
    static const char *const forms[] = { [CB_ISSUE_CONFLICT] = "conflict",
                                         [CB_ISSUE_ALERT] = "alert",
                                         [CB_ISSUE_TASK] = "task",
                                         [CB_ISSUE_FINDING] = "finding" };
    json_t *one = json_object();
    json_t *heads = json_array();
    cb_view_hex(view, one, "id", issue->id, sizeof issue->id);
    cb_view_text(view, one, "form", forms[issue->form]);
    cb_view_text(view, one, "kind", issue->kind);
    cb_view_text(view, one, "row", issue->row);
    cb_view_sentence(view, one, "sentence", issue->sentence);
    cb_view_text(view, one, "waits_for", issue->waits_for);
    cb_view_act(view, one, "act", issue);
    cb_view_text(view, one, "field", issue->field);
    cb_view_set(view, one, "open", json_boolean(issue->open));
    cb_view_hex(view, one, "case", view->state->id.bytes,
                sizeof view->state->id.bytes);
    cb_view_text(view, one, "reference", view->state->reference);
    if (!cb_is_zero(&issue->record, sizeof issue->record)) {
        cb_view_hex(view, one, "record", issue->record.bytes,
                    sizeof issue->record.bytes);
    }
    if (!cb_is_zero(&issue->about, sizeof issue->about)) {
        cb_view_hex(view, one, "about", issue->about.bytes,
                    sizeof issue->about.bytes);
        cb_view_party(view, one, "about_name", &issue->about);
    }
    if (issue->due_working_days > 0) {
        cb_view_set(view, one, "due_working_days",
                    json_integer(issue->due_working_days));
    }
    for (size_t i = 0; i < issue->head_count; i++) {
        cb_view_add(view, heads,
                    cb_json_hex(&issue->heads[i], sizeof issue->heads[i]));
    }
    cb_view_set(view, one, "heads", heads);
    if (issue->form == CB_ISSUE_CONFLICT) {
        cb_view_set(view, one, "choices", show_choices(view, issue));
    }
    return one;
}
