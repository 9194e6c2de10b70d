/* SPDX-License-Identifier: Apache-2.0 */
/* The case, its timeline, its conflicts and tasks, and what somebody knew. */
#include "base/json.h"
#include "case/consent.h"
#include "case/view.h"

#include <stdlib.h>
#include <string.h>

static json_t *begin_document(cb_view *view, const char *schema)
{
    json_t *document = json_object();
    cb_view_text(view, document, "schema", schema);
    cb_view_hex(view, document, "case", view->state->id.bytes,
                sizeof view->state->id.bytes);
    cb_view_text(view, document, "reference", view->state->reference);
    return document;
}

/* ------------------------------------------------------------------ proof */

static json_t *show_proof(cb_view *view)
{
    const cb_case_state *state = view->state;
    json_t *proof = json_object();
    char text[CB_FINGERPRINT_SHORT_BYTES];
    size_t streams = 0;
    size_t waiting = 0;
    cb_fingerprint_short(&state->fingerprint, text);
    for (size_t i = 0; i < state->entry_count; i++) {
        bool first = true;
        for (size_t k = 0; k < i && first; k++) {
            first = memcmp(&state->entries[k].stream, &state->entries[i].stream,
                           sizeof(cb_stream_id)) != 0;
        }
        streams += first ? 1 : 0;
        waiting += i >= state->counted && state->entries[i].admitted ? 1 : 0;
    }
    cb_view_set(view, proof, "entries",
                json_integer((json_int_t)state->counted));
    cb_view_set(view, proof, "devices", json_integer((json_int_t)streams));
    cb_view_set(view, proof, "waiting", json_integer((json_int_t)waiting));
    cb_view_set(view, proof, "quarantined",
                json_integer((json_int_t)(state->entry_count - state->counted -
                                          waiting)));
    cb_view_hex(view, proof, "fingerprint", state->fingerprint.bytes,
                sizeof state->fingerprint.bytes);
    cb_view_text(view, proof, "fingerprint_short", text);
    return proof;
}

/* ---------------------------------------------------------------- summary */

static void add_titles(cb_view *view, json_t *flags, const char *list,
                       const json_t *value)
{
    const cb_code_list *codes = cb_model_code_list(view->state->model, list);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *code = json_string_value(json_array_get(value, i));
        if (code != NULL && codes != NULL) {
            cb_view_add(view, flags, json_string(cb_code_title(codes, code)));
        }
    }
}

static void set_flags(cb_view *view, json_t *document)
{
    const cb_case_state *state = view->state;
    json_t *flags = json_array();
    for (size_t r = 0; r < state->record_count; r++) {
        const cb_case_record *record = &state->records[r];
        if (strcmp(record->type_name, "referral") == 0 && !record->struck) {
            add_titles(view, flags, "case_flag",
                       cb_record_value(record, "flags"));
            add_titles(view, flags, "complex_trigger",
                       cb_record_value(record, "complex_triggers"));
        }
    }
    cb_view_set(view, document, "complex", flags);
}

static void set_parties(cb_view *view, json_t *document)
{
    const cb_case_state *state = view->state;
    json_t *parties = json_array();
    for (size_t r = 0; r < state->record_count; r++) {
        const cb_case_record *record = &state->records[r];
        const cb_merged *role = cb_record_field(record, "role");
        if (strcmp(record->type_name, "person") != 0 || record->struck) {
            continue;
        }
        json_t *party = json_object();
        cb_view_hex(view, party, "id", record->id.bytes,
                    sizeof record->id.bytes);
        cb_view_party(view, party, "name", &record->id);
        cb_view_text(view, party, "role", cb_record_code(record, "role"));
        cb_view_value(view, party, "role_title",
                      role != NULL ? role->field : NULL,
                      role != NULL ? role->value : NULL);
        cb_view_add(view, parties, party);
    }
    cb_view_set(view, document, "parties", parties);
}

static void set_allocation(cb_view *view, json_t *document)
{
    static const char *const roles[] = { "lead", "co", "supervisor" };
    const cb_case_state *state = view->state;
    const cb_register *held = cb_case_register(state, "allocation", "");
    json_t *allocation = json_object();
    for (size_t i = 0; held != NULL && held->in_force != CB_NOTHING &&
                       i < sizeof roles / sizeof *roles;
         i++) {
        const cb_merged *merged =
            cb_record_field(&state->records[held->in_force], roles[i]);
        if (merged != NULL) {
            cb_view_value(view, allocation, roles[i], merged->field,
                          merged->value);
        }
    }
    cb_view_set(view, allocation, "contested",
                json_boolean(held != NULL && held->contested));
    cb_view_set(view, document, "allocation", allocation);
}

static json_t *show_verdict(cb_view *view, const cb_verdict *verdict)
{
    json_t *one = json_object();
    cb_view_text(view, one, "rule", verdict->rule);
    cb_view_text(view, one, "outcome", cb_outcome_name(verdict->outcome));
    cb_view_sentence(view, one, "sentence", verdict->sentence);
    cb_view_sentence(view, one, "lift", verdict->lift);
    cb_view_set(view, one, "override_role",
                verdict->override_role != NULL
                    ? json_string(verdict->override_role)
                    : json_null());
    cb_view_set(view, one, "override_allowed",
                json_boolean(verdict->override_allowed));
    if (!cb_is_zero(&verdict->fact, sizeof verdict->fact)) {
        cb_view_hex(view, one, "fact", verdict->fact.bytes,
                    sizeof verdict->fact.bytes);
    }
    return one;
}

/* What the rules would say if the plan in force were held as it stands. */
static void set_blocked(cb_view *view, json_t *document)
{
    const cb_case_state *state = view->state;
    const cb_register *plans = cb_case_register(state, "plan", "");
    json_t *blocked = json_array();
    cb_verdict_list *verdicts = NULL;
    json_t *fields = json_object();
    cb_proposal proposal = { .type = "event",
                             .compartment_class = 'S',
                             .fields = fields };
    cb_view_set(view, document, "blocked", blocked);
    if (plans == NULL || plans->in_force == CB_NOTHING || fields == NULL) {
        json_decref(fields);
        return;
    }
    const cb_case_record *plan = &state->records[plans->in_force];
    const json_t *method = cb_record_value(plan, "method");
    const json_t *people = cb_record_value(plan, "participants");
    if (strcmp(cb_record_code(plan, "state"), "cancelled") == 0 ||
        !cb_json_integer(cb_record_value(plan, "date"), "ms",
                         &proposal.happened_ms)) {
        json_decref(fields);
        return;
    }
    if (method != NULL) {
        cb_view_set(view, fields, "method",
                    json_incref((json_t *)(uintptr_t)method));
    }
    if (people != NULL) {
        cb_view_set(view, fields, "participants",
                    json_incref((json_t *)(uintptr_t)people));
    }
    if (cb_rules_evaluate(state->model, state, &proposal, &verdicts, NULL) !=
        CB_OK) {
        view->failed = true;
    }
    for (size_t i = 0; verdicts != NULL && i < cb_verdict_list_count(verdicts);
         i++) {
        const cb_verdict *verdict = cb_verdict_list_get(verdicts, i);
        if (verdict->outcome != CB_OUTCOME_ALLOWED) {
            cb_view_add(view, blocked, show_verdict(view, verdict));
        }
    }
    cb_verdict_list_destroy(verdicts);
    json_decref(fields);
}

static json_t *show_issues(cb_view *view, bool conflicts, bool others, bool all)
{
    const cb_case_state *state = view->state;
    json_t *issues = json_array();
    for (size_t i = 0; i < state->issue_count; i++) {
        const cb_issue *issue = &state->issues[i];
        bool conflict = issue->form == CB_ISSUE_CONFLICT;
        bool finding = issue->form == CB_ISSUE_FINDING;
        bool wanted = conflict ? conflicts : others && (all || !finding);
        if (wanted && (all || issue->open)) {
            cb_view_add(view, issues, cb_view_issue(view, issue));
        }
    }
    return issues;
}

cb_status cb_view_case_show(const cb_case_state *state, const cb_naming *naming,
                            json_t **ret_document, cb_error *reterr_error)
{
    cb_view view;
    cb_view_begin(&view, state, naming);
    json_t *document = begin_document(&view, "casebound.case_show.v1");
    const cb_code_list *stages = cb_model_code_list(state->model, "stage");
    cb_view_text(&view, document, "stage", state->stage);
    cb_view_text(&view, document, "stage_title",
                 stages != NULL && state->stage[0] != '\0'
                     ? cb_code_title(stages, state->stage)
                     : state->stage);
    cb_view_text(&view, document, "state", cb_case_state_word(state));
    if (state->since_known) {
        cb_view_moment(&view, document, "since", state->since_ms);
        cb_view_set(&view, document, "since_ms", json_integer(state->since_ms));
    }
    set_flags(&view, document);
    set_parties(&view, document);
    set_allocation(&view, document);
    set_blocked(&view, document);
    cb_view_set(&view, document, "waiting",
                show_issues(&view, true, true, false));
    cb_view_set(&view, document, "timeline", cb_view_rows(&view));
    cb_view_set(&view, document, "proof", show_proof(&view));
    return cb_view_end(&view, document, ret_document, reterr_error);
}

cb_status cb_view_case_timeline(const cb_case_state *state,
                                const cb_naming *naming, json_t **ret_document,
                                cb_error *reterr_error)
{
    cb_view view;
    cb_view_begin(&view, state, naming);
    json_t *document = begin_document(&view, "casebound.case_timeline.v1");
    cb_view_set(&view, document, "rows", cb_view_rows(&view));
    cb_view_set(&view, document, "proof", show_proof(&view));
    return cb_view_end(&view, document, ret_document, reterr_error);
}

cb_status cb_view_conflicts(const cb_case_state *state, const cb_naming *naming,
                            bool all, json_t **ret_document,
                            cb_error *reterr_error)
{
    cb_view view;
    cb_view_begin(&view, state, naming);
    json_t *document = begin_document(&view, "casebound.conflicts.v1");
    cb_view_set(&view, document, "conflicts",
                show_issues(&view, true, false, all));
    return cb_view_end(&view, document, ret_document, reterr_error);
}

cb_status cb_view_tasks(const cb_case_state *state, const cb_naming *naming,
                        bool all, json_t **ret_document, cb_error *reterr_error)
{
    cb_view view;
    cb_view_begin(&view, state, naming);
    json_t *document = begin_document(&view, "casebound.tasks.v1");
    cb_view_set(&view, document, "tasks", show_issues(&view, false, true, all));
    return cb_view_end(&view, document, ret_document, reterr_error);
}

cb_status cb_view_verdicts(const cb_verdict_list *verdicts,
                           const cb_naming *naming, json_t **ret_document,
                           cb_error *reterr_error)
{
    cb_view view;
    /* Nothing of a case is needed: names come from the caller alone. */
    cb_case_state nothing = { 0 };
    cb_view_begin(&view, &nothing, naming);
    json_t *document = json_object();
    json_t *rows = json_array();
    cb_view_text(&view, document, "schema", "casebound.verdicts.v1");
    cb_view_text(&view, document, "outcome",
                 cb_outcome_name(cb_verdict_list_outcome(verdicts)));
    for (size_t i = 0; i < cb_verdict_list_count(verdicts); i++) {
        cb_view_add(&view, rows,
                    show_verdict(&view, cb_verdict_list_get(verdicts, i)));
    }
    cb_view_set(&view, document, "verdicts", rows);
    return cb_view_end(&view, document, ret_document, reterr_error);
}

/* ------------------------------------------------------------------- knew */

/* Marks what entries of `person` claimed by then build on, and themselves. */
static size_t mark_known(const cb_case_state *state, const cb_person_id *person,
                         int64_t at_ms, bool *known)
{
    size_t last = CB_NOTHING;
    for (size_t i = 0; i < state->counted; i++) {
        const cb_case_entry *entry = &state->entries[i];
        if (memcmp(&entry->author, person, sizeof *person) != 0 ||
            cb_view_recorded_ms(state, i) > at_ms) {
            continue;
        }
        if (last == CB_NOTHING ||
            cb_view_recorded_ms(state, i) >= cb_view_recorded_ms(state, last)) {
            last = i;
        }
        known[i] = true;
        for (size_t k = 0; k < i; k++) {
            known[k] = known[k] || cb_case_knows(state, i, k);
        }
    }
    return last;
}

cb_status cb_case_state_knew_document(const cb_case_state *state,
                                      const cb_person_id *person, int64_t at_ms,
                                      const cb_naming *naming,
                                      json_t **ret_document,
                                      cb_error *reterr_error)
{
    cb_view view;
    bool *known = calloc(state->counted + 1, sizeof *known);
    if (known == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    cb_view_begin(&view, state, naming);
    json_t *document = begin_document(&view, "casebound.knew.v1");
    json_t *rows = cb_view_rows(&view);
    json_t *knew = json_array();
    json_t *unknown = json_array();
    json_int_t later = 0;
    const char *counted_last = "";
    size_t last = mark_known(state, person, at_ms, known);
    cb_view_hex(&view, document, "person", person->bytes, sizeof person->bytes);
    const char *name = view.naming.person(view.naming.context, person);
    cb_view_text(&view, document, "who", name != NULL ? name : "");
    cb_view_moment(&view, document, "at", at_ms);
    if (last != CB_NOTHING) {
        cb_view_hex(&view, document, "last_entry",
                    state->entries[last].hash.bytes, sizeof(cb_hash));
        cb_view_moment(&view, document, "last_recorded",
                       cb_view_recorded_ms(state, last));
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        int64_t position = 0;
        json_t *row = json_array_get(rows, i);
        bool counts = cb_json_integer(row, "position", &position);
        bool is_known = counts && known[position];
        int64_t recorded_ms = 0;
        if (!is_known && cb_json_integer(row, "recorded_ms", &recorded_ms) &&
            recorded_ms > at_ms) {
            /* The rows of one entry stand together. */
            const char *entry = cb_json_text(row, "entry");
            later += strcmp(entry, counted_last) != 0 ? 1 : 0;
            counted_last = entry;
            continue;
        }
        cb_view_add(&view, is_known ? knew : unknown, json_incref(row));
    }
    json_decref(rows);
    cb_view_set(&view, document, "known", knew);
    cb_view_set(&view, document, "not_known", unknown);
    cb_view_set(&view, document, "written_later", json_integer(later));
    free(known);
    return cb_view_end(&view, document, ret_document, reterr_error);
}
