/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/rules.h>

#include "base/json.h"
#include "case/consent.h"
#include "case/rule.h"

#include <casebound/when.h>

#include <stdlib.h>
#include <string.h>

static const cb_rule rules[] = {
    { { .rule = "R3",
        .speaks_of = "contact preparation plan indirect_exchange side_release",
        .severity = "block",
        .meaning = "Nobody is approached before the side that began it, and "
                   "the other side learns nothing of a harmed person until a "
                   "supervisor releases it." },
      cb_rule_ask_r3 },
    { { .rule = "R4",
        .speaks_of = "event preparation",
        .severity = "block",
        .meaning = "The limits of confidentiality are explained to a party "
                   "before anything of a preparation is written down." },
      cb_rule_ask_r4 },
    { { .rule = "R5",
        .speaks_of = "event plan",
        .severity = "block",
        .meaning = "No event without everybody's current consent to its very "
                   "method." },
      cb_rule_ask_r5 },
    { { .rule = "R6",
        .speaks_of = "event",
        .severity = "block",
        .meaning = "The person responsible acknowledges the basic facts." },
      cb_rule_ask_r6 },
    { { .rule = "R8",
        .speaks_of = "event",
        .severity = "block",
        .meaning = "A second risk assessment is in date, is not very high, and "
                   "a supervisor signed off a high one." },
      cb_rule_ask_r8 },
    { { .rule = "R9",
        .speaks_of = "event",
        .severity = "override",
        .override_role = "designated_lead",
        .meaning = "No event while a safeguarding concern about a participant "
                   "is open." },
      cb_rule_ask_r9 },
};

#define RULES (sizeof rules / sizeof *rules)

size_t cb_rule_count(void)
{
    return RULES;
}

const cb_rule_row *cb_rule_get(size_t rule)
{
    return rule < RULES ? &rules[rule].row : NULL;
}

const char *cb_outcome_name(cb_outcome outcome)
{
    switch (outcome) {
    case CB_OUTCOME_ALLOWED: return "allowed";
    case CB_OUTCOME_WARNED: return "warned";
    case CB_OUTCOME_OVERRIDDEN: return "overridden";
    case CB_OUTCOME_BLOCKED: return "blocked";
    }
    return "blocked";
}

/* Whether `word` is one of `words`, which spaces separate. */
static bool is_among(const char *words, const char *word)
{
    size_t length = strlen(word);
    const char *at = words;
    while (at != NULL && *at != '\0') {
        const char *end = strchr(at, ' ');
        size_t size = end != NULL ? (size_t)(end - at) : strlen(at);
        if (size == length && memcmp(at, word, length) == 0) {
            return true;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return false;
}

/* ----------------------------------------------------------------- asking */

void cb_rule_say(const cb_question *question, const cb_rule_row *row,
                 cb_outcome outcome, size_t entry, const cb_record_id *party,
                 const char *sentence, const char *lift)
{
    cb_verdict_list *list = question->verdicts;
    cb_verdict verdict = { .rule = row->rule,
                           .outcome = outcome,
                           .sentence = sentence,
                           .lift = lift,
                           .override_role = row->override_role };
    for (size_t i = 0; i < question->role_count; i++) {
        verdict.override_allowed =
            verdict.override_allowed ||
            (row->override_role != NULL &&
             strcmp(row->override_role, question->roles[i]) == 0);
    }
    if (entry != CB_NOTHING) {
        verdict.fact = question->state->entries[entry].hash;
    }
    if (party != NULL) {
        verdict.party = *party;
    }
    list->items = cb_arena_grow(&list->arena, list->items, list->count,
                                &list->capacity, sizeof *list->items);
    if (list->items == NULL) {
        list->count = 0;
        list->capacity = 0;
        return;
    }
    list->items[list->count] = verdict;
    list->count++;
}

void cb_rules_ask(const cb_question *question)
{
    for (size_t i = 0; i < RULES; i++) {
        if (!is_among(rules[i].row.speaks_of, question->type)) {
            continue;
        }
        size_t before = question->verdicts->count;
        rules[i].ask(question, &rules[i].row);
        if (question->verdicts->count == before) {
            cb_rule_say(question, &rules[i].row, CB_OUTCOME_ALLOWED, CB_NOTHING,
                        NULL, "", "");
        }
    }
}

/* The record as it would be: its values now, and over them the new ones. */
static json_t *overlay(const cb_case_state *state, const cb_proposal *proposal)
{
    json_t *fields = json_object();
    size_t index = proposal->record != NULL
                       ? cb_case_find_record(state, proposal->record)
                       : CB_NOTHING;
    if (fields == NULL) {
        return NULL;
    }
    for (size_t i = 0;
         index != CB_NOTHING && i < state->records[index].field_count; i++) {
        const cb_merged *merged = &state->records[index].fields[i];
        if (merged->value != NULL &&
            json_object_set(fields, merged->name,
                            (json_t *)(uintptr_t)merged->value) != 0) {
            json_decref(fields);
            return NULL;
        }
    }
    if (proposal->fields != NULL &&
        json_object_update(fields, (json_t *)(uintptr_t)proposal->fields) !=
            0) {
        json_decref(fields);
        return NULL;
    }
    return fields;
}

cb_status cb_rules_evaluate(const cb_model *model, const cb_case_state *state,
                            const cb_proposal *proposal,
                            cb_verdict_list **ret_verdicts,
                            cb_error *reterr_error)
{
    cb_verdict_list *list = calloc(1, sizeof *list);
    json_t *fields = overlay(state, proposal);
    cb_status status = CB_OK;
    cb_question question = {
        .model = model,
        .state = state,
        .basis = { .kind = CB_BASIS_NOW, .entry = CB_NOTHING },
        .type = proposal->type,
        .about = proposal->about,
        .fields = fields,
        .happened_ms = proposal->happened_ms,
        .roles = proposal->roles,
        .role_count = proposal->role_count,
        .proposed = true,
        .verdicts = list,
    };
    if (list == NULL || fields == NULL) {
        status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    cb_rules_ask(&question);
    status = cb_arena_check(&list->arena, reterr_error);
    if (status == CB_OK) {
        *ret_verdicts = list;
        list = NULL;
    }
out:
    json_decref(fields);
    cb_verdict_list_destroy(list);
    return status;
}

/* ---------------------------------------------------------------- answers */

void cb_verdict_list_destroy(cb_verdict_list *verdicts)
{
    if (verdicts != NULL) {
        cb_arena_clear(&verdicts->arena);
        free(verdicts);
    }
}

size_t cb_verdict_list_count(const cb_verdict_list *verdicts)
{
    return verdicts->count;
}

const cb_verdict *cb_verdict_list_get(const cb_verdict_list *verdicts,
                                      size_t verdict)
{
    return verdict < verdicts->count ? &verdicts->items[verdict] : NULL;
}

cb_outcome cb_verdict_list_outcome(const cb_verdict_list *verdicts)
{
    cb_outcome worst = CB_OUTCOME_ALLOWED;
    for (size_t i = 0; i < verdicts->count; i++) {
        if (verdicts->items[i].outcome > worst) {
            worst = verdicts->items[i].outcome;
        }
    }
    return worst;
}

cb_status cb_verdict_list_body(const cb_verdict_list *verdicts,
                               json_t **ret_array, cb_error *reterr_error)
{
    json_t *array = json_array();
    bool complete = array != NULL;
    for (size_t r = 0; r < RULES && complete; r++) {
        cb_outcome worst = CB_OUTCOME_ALLOWED;
        bool asked = false;
        for (size_t i = 0; i < verdicts->count; i++) {
            const cb_verdict *verdict = &verdicts->items[i];
            if (strcmp(verdict->rule, rules[r].row.rule) == 0) {
                asked = true;
                worst = verdict->outcome > worst ? verdict->outcome : worst;
            }
        }
        if (asked) {
            complete = json_array_append_new(
                           array, json_pack("{s:s,s:s}", "outcome",
                                            cb_outcome_name(worst), "rule",
                                            rules[r].row.rule)) == 0;
        }
    }
    if (!complete) {
        json_decref(array);
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    *ret_array = array;
    return CB_OK;
}

/* A sentence of a verdict as an error says it. */
static void say_next(cb_error *error, const char *lift, const cb_naming *naming)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_TEXT_BYTES_MAX);
    cb_sentence_append(lift, naming, &text);
    cb_error_next(error, "%s", cb_buffer_text(&text));
    cb_buffer_clear(&text);
}

cb_status cb_verdict_list_override(cb_verdict_list *verdicts, const char *rule,
                                   const cb_naming *naming,
                                   cb_error *reterr_error)
{
    bool found = false;
    for (size_t i = 0; i < verdicts->count; i++) {
        cb_verdict *verdict = &verdicts->items[i];
        if (strcmp(verdict->rule, rule) != 0 ||
            verdict->outcome != CB_OUTCOME_BLOCKED) {
            continue;
        }
        found = true;
        if (!verdict->override_allowed) {
            cb_error_set(reterr_error, CB_PERMISSION,
                         verdict->override_role != NULL
                             ? "rule %s may be overridden by a %s only"
                             : "rule %s cannot be overridden by anybody%.0s",
                         verdict->rule,
                         verdict->override_role != NULL ? verdict->override_role
                                                        : "");
            cb_error_meaning(reterr_error, "nothing was recorded");
            say_next(reterr_error, verdict->lift, naming);
            return CB_PERMISSION;
        }
    }
    if (!found) {
        return cb_error_set(reterr_error, CB_NOT_FOUND,
                            "rule '%s' has nothing against this", rule);
    }
    for (size_t i = 0; i < verdicts->count; i++) {
        if (strcmp(verdicts->items[i].rule, rule) == 0 &&
            verdicts->items[i].outcome == CB_OUTCOME_BLOCKED) {
            verdicts->items[i].outcome = CB_OUTCOME_OVERRIDDEN;
        }
    }
    return CB_OK;
}

cb_status cb_verdict_list_check(const cb_verdict_list *verdicts,
                                const cb_naming *naming, cb_error *reterr_error)
{
    for (size_t i = 0; i < verdicts->count; i++) {
        const cb_verdict *verdict = &verdicts->items[i];
        cb_buffer text;
        if (verdict->outcome != CB_OUTCOME_BLOCKED) {
            continue;
        }
        cb_buffer_init(&text, CB_TEXT_BYTES_MAX);
        cb_sentence_append(verdict->sentence, naming, &text);
        cb_error_set(reterr_error, CB_RULE, "rule %s: %s", verdict->rule,
                     cb_buffer_text(&text));
        cb_error_meaning(reterr_error, "nothing was recorded");
        cb_buffer_clear(&text);
        say_next(reterr_error, verdict->lift, naming);
        return CB_RULE;
    }
    return CB_OK;
}
