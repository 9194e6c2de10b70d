/* SPDX-License-Identifier: Apache-2.0 */
/* One record with all that was ever written in it. */
#include "base/json.h"
#include "case/view.h"

#include <string.h>

static json_t *show_write(cb_view *view, const cb_merged *merged,
                          const cb_write *write)
{
    json_t *one = json_object();
    const cb_case_entry *entry = &view->state->entries[write->entry];
    const char *why = cb_json_text(entry->body, "why");
    cb_view_hex(view, one, "entry", entry->hash.bytes, sizeof entry->hash);
    cb_view_set(view, one, "value",
                json_incref((json_t *)(uintptr_t)write->value));
    cb_view_value(view, one, "words", merged->field, write->value);
    cb_view_set(view, one, "struck", json_boolean(!write->head));
    cb_view_set(view, one, "decision",
                json_boolean(write->kind == CB_OP_RESOLVE));
    cb_view_author(view, one, write->entry);
    cb_view_moment(view, one, "recorded",
                   cb_view_recorded_ms(view->state, write->entry));
    if (why != NULL) {
        cb_view_text(view, one, "why", why);
    }
    return one;
}

static json_t *show_field(cb_view *view, const cb_merged *merged)
{
    json_t *one = json_object();
    json_t *history = json_array();
    cb_view_text(view, one, "field", merged->name);
    cb_view_text(view, one, "title",
                 merged->field != NULL ? merged->field->title : merged->name);
    cb_view_set(view, one, "value",
                merged->value != NULL
                    ? json_incref((json_t *)(uintptr_t)merged->value)
                    : json_null());
    cb_view_value(view, one, "words", merged->field, merged->value);
    cb_view_set(view, one, "contested", json_boolean(merged->contested));
    cb_view_set(view, one, "newer", json_boolean(merged->field == NULL));
    for (size_t i = 0; i < merged->write_count; i++) {
        cb_view_add(view, history,
                    show_write(view, merged, &merged->writes[i]));
    }
    cb_view_set(view, one, "history", history);
    return one;
}

static void set_rules(cb_view *view, json_t *document, size_t record)
{
    const cb_case_state *state = view->state;
    json_t *rules = json_array();
    for (size_t i = 0; i < state->judgement_count; i++) {
        const cb_judgement *judgement = &state->judgements[i];
        if (judgement->record != record) {
            continue;
        }
        json_t *one = json_object();
        cb_view_text(view, one, "rule", judgement->rule);
        cb_view_text(view, one, "written", judgement->written);
        cb_view_text(view, one, "known", cb_outcome_name(judgement->known));
        cb_view_text(view, one, "now", cb_outcome_name(judgement->now));
        cb_view_sentence(view, one, "sentence", judgement->sentence);
        if (judgement->override_entry != CB_NOTHING) {
            json_t *by = json_object();
            const cb_case_entry *entry =
                &state->entries[judgement->override_entry];
            const char *why = cb_json_text(entry->body, "why");
            cb_view_author(view, by, judgement->override_entry);
            cb_view_text(view, by, "why", why != NULL ? why : "");
            cb_view_set(view, one, "overridden", by);
        }
        cb_view_add(view, rules, one);
    }
    cb_view_set(view, document, "rules", rules);
}

static void set_about(cb_view *view, json_t *document,
                      const cb_case_record *record)
{
    if (record->about_known) {
        cb_view_hex(view, document, "about", record->about.bytes,
                    sizeof record->about.bytes);
        cb_view_party(view, document, "about_name", &record->about);
    }
    if (record->created != CB_NOTHING) {
        char class[2] = {
            (char)view->state->entries[record->created].place.class, '\0'
        };
        cb_view_text(view, document, "class", class);
        json_t *created = json_object();
        cb_view_author(view, created, record->created);
        cb_view_moment(view, created, "recorded",
                       cb_view_recorded_ms(view->state, record->created));
        if (view->state->entries[record->created].happened_known) {
            cb_view_moment(view, created, "happened",
                           view->state->entries[record->created].happened_ms);
        }
        cb_view_set(view, document, "created", created);
    }
    if (record->struck) {
        json_t *struck = json_object();
        const char *why =
            cb_json_text(view->state->entries[record->struck_by].body, "why");
        cb_view_author(view, struck, record->struck_by);
        cb_view_text(view, struck, "why", why != NULL ? why : "");
        cb_view_set(view, document, "struck", struck);
    }
}

cb_status cb_view_record_show(const cb_case_state *state,
                              const cb_record_id *record,
                              const cb_naming *naming, json_t **ret_document,
                              cb_error *reterr_error)
{
    cb_view view;
    size_t index = cb_case_find_record(state, record);
    if (index == CB_NOTHING) {
        return cb_error_set(reterr_error, CB_NOT_FOUND,
                            "the case has no such record");
    }
    const cb_case_record *target = &state->records[index];
    cb_view_begin(&view, state, naming);
    json_t *document = json_object();
    json_t *fields = json_array();
    json_t *issues = json_array();
    cb_view_text(&view, document, "schema", "casebound.record_show.v1");
    cb_view_hex(&view, document, "id", target->id.bytes,
                sizeof target->id.bytes);
    cb_view_hex(&view, document, "case", state->id.bytes,
                sizeof state->id.bytes);
    cb_view_text(&view, document, "reference", state->reference);
    cb_view_text(&view, document, "type", target->type_name);
    cb_view_text(&view, document, "title",
                 target->type != NULL ? target->type->title
                                      : target->type_name);
    cb_view_set(&view, document, "newer", json_boolean(target->type == NULL));
    cb_view_text(&view, document, "mark",
                 target->mark != NULL ? target->mark : "");
    set_about(&view, document, target);
    for (size_t i = 0; i < target->field_count; i++) {
        cb_view_add(&view, fields, show_field(&view, &target->fields[i]));
    }
    for (size_t i = 0; i < state->issue_count; i++) {
        if (memcmp(&state->issues[i].record, record, sizeof *record) == 0) {
            cb_view_add(&view, issues, cb_view_issue(&view, &state->issues[i]));
        }
    }
    cb_view_set(&view, document, "fields", fields);
    cb_view_set(&view, document, "issues", issues);
    set_rules(&view, document, index);
    return cb_view_end(&view, document, ret_document, reterr_error);
}
