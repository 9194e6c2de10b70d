/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R5: every participant's consent covers that very method, is given, not
 * refused or withdrawn, not expired, on a current form, and confirmed within
 * the days before the event.  No override.
 *
 * A plan is not an event yet: there, what can still be put right only warns.
 */
#include "base/json.h"
#include "case/consent.h"
#include "case/rule.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct part {
    const cb_question *question;
    const cb_rule_row *row;
    const cb_record_id *person;
    const char *scope;
    int64_t event_ms;
    cb_outcome missing; /* what a gap that can be closed means */
} part;

static void say(const part *one, cb_outcome outcome, size_t entry,
                const char *sentence, const char *lift)
{
    cb_rule_say(one->question, one->row, outcome, entry, one->person, sentence,
                lift);
}

static const char *lift_of(const part *one, const char *what)
{
    return cb_arena_format(&one->question->verdicts->arena,
                           "%s from {party:%s} to %s", what,
                           cb_rule_hex(one->question, one->person),
                           cb_rule_words(one->question, one->scope));
}

/* The last day on which the person said yes. */
static bool find_confirmed(const cb_question *question,
                           const cb_case_record *consent, int64_t *ret_day)
{
    bool contested = false;
    int64_t given = 0;
    int64_t confirmed = 0;
    bool has_given =
        cb_rule_date(cb_basis_value(question->state, &question->basis, consent,
                                    "given_on", &contested),
                     &given);
    bool has_confirmed =
        cb_rule_date(cb_basis_value(question->state, &question->basis, consent,
                                    "confirmed_on", &contested),
                     &confirmed);
    const cb_case_entry *created = &question->state->entries[consent->created];
    if (contested) {
        return false;
    }
    if (!has_given && created->happened_known) {
        given = cb_rule_day(created->happened_ms);
        has_given = true;
    }
    *ret_day =
        has_confirmed && (!has_given || confirmed > given) ? confirmed : given;
    return has_given || has_confirmed;
}

/* The number at the end of "3", "v3", "CF-3". */
static bool read_version(const json_t *value, int64_t *ret_version)
{
    const char *text = json_string_value(value);
    size_t length = text != NULL ? strlen(text) : 0;
    size_t start = length;
    while (start > 0 && isdigit((unsigned char)text[start - 1])) {
        start--;
    }
    if (start == length || length - start > 9) {
        return false;
    }
    *ret_version = strtoll(text + start, NULL, 10);
    return true;
}

/* NULL where the consent is current on the day of the event, else why not. */
static const char *find_gap(const part *one, const cb_case_record *consent)
{
    const cb_question *question = one->question;
    cb_arena *arena = &question->verdicts->arena;
    const char *person = cb_rule_hex(question, one->person);
    const char *scope = cb_rule_words(question, one->scope);
    int64_t event_day = cb_rule_day(one->event_ms);
    int64_t within =
        cb_model_setting_days(question->model, "consent_reconfirm");
    bool contested = false;
    int64_t expires = 0;
    int64_t confirmed = 0;
    int64_t version = 0;
    const json_t *expiry = cb_basis_value(question->state, &question->basis,
                                          consent, "expires", &contested);
    const json_t *form = cb_basis_value(question->state, &question->basis,
                                        consent, "form_version", &contested);
    const cb_setting *current =
        cb_model_setting(question->model, "consent_form_current");
    if (contested) {
        return cb_arena_format(arena,
                               "what was recorded about the consent of "
                               "{party:%s} to %s is contested",
                               person, scope);
    }
    if (expiry != NULL &&
        (!cb_rule_date(expiry, &expires) || expires < event_day)) {
        return cb_arena_format(arena,
                               "the consent of {party:%s} to %s expires "
                               "before the event, on {day:%" PRId64 "}",
                               person, scope, expires * 86400000);
    }
    if (!read_version(form, &version) ||
        (current != NULL && version < current->value)) {
        return cb_arena_format(arena,
                               "the consent of {party:%s} to %s is not on a "
                               "current form",
                               person, scope);
    }
    if (!find_confirmed(question, consent, &confirmed) ||
        event_day - confirmed > within || confirmed > event_day) {
        return cb_arena_format(
            arena,
            "the consent of {party:%s} to %s was last confirmed on "
            "{day:%" PRId64 "}; it has to be within %" PRId64
            " days before the event",
            person, scope, confirmed * 86400000, within);
    }
    return NULL;
}

static void ask_given(const part *one, const cb_standing *standing)
{
    const char *gap = NULL;
    size_t entry = CB_NOTHING;
    for (size_t i = 0; i < standing->record_count; i++) {
        const cb_case_record *consent =
            &one->question->state->records[standing->records[i]];
        gap = find_gap(one, consent);
        entry = consent->created;
        if (gap == NULL) {
            return;
        }
    }
    say(one, one->missing, entry,
        cb_arena_format(&one->question->verdicts->arena, "%s, %s", gap,
                        cb_rule_said(one->question, entry)),
        lift_of(one, "a consent confirmed anew"));
}

static void ask_scope(const part *one)
{
    const cb_question *question = one->question;
    cb_arena *arena = &question->verdicts->arena;
    const char *person = cb_rule_hex(question, one->person);
    const char *scope = cb_rule_words(question, one->scope);
    cb_standing standing = cb_basis_standing(
        question->state, &question->basis,
        cb_consent_register(question->state, one->person, one->scope));
    if (standing.worst == CB_NOTHING) {
        bool known = cb_rule_side(question, one->person) != 0;
        say(one, one->missing, CB_NOTHING,
            cb_arena_format(arena,
                            known ? "{party:%s} has not consented to %s"
                                  : "nothing is held here about {party:%s}, so "
                                    "consent to %s cannot be seen",
                            person, scope),
            lift_of(one, "a recorded consent"));
        return;
    }
    const char *word = cb_rule_consent(question, standing.worst);
    size_t entry = cb_consent_entry(question->state, standing.worst);
    if (strcmp(word, "given") != 0) {
        say(one, CB_OUTCOME_BLOCKED, entry,
            cb_arena_format(arena, "{party:%s} %s consent to %s, %s", person,
                            strcmp(word, "withdrawn") == 0
                                ? "withdrew"
                                : (strcmp(word, "refused") == 0
                                       ? "refused"
                                       : "did not clearly give"),
                            scope, cb_rule_said(question, entry)),
            lift_of(one, "a new consent, recorded in knowledge of this,"));
        return;
    }
    if (standing.contested) {
        say(one, CB_OUTCOME_BLOCKED, entry,
            cb_arena_format(arena,
                            "the consent of {party:%s} to %s is contested",
                            person, scope),
            lift_of(one, "one new consent"));
        return;
    }
    ask_given(one, &standing);
}

static bool find_event_ms(const cb_question *question, int64_t *ret_ms)
{
    if (strcmp(question->type, "plan") == 0) {
        return cb_json_integer(cb_json_object(question->fields, "date"), "ms",
                               ret_ms) &&
               cb_case_is_moment(*ret_ms);
    }
    *ret_ms = question->happened_ms;
    return cb_case_is_moment(*ret_ms);
}

void cb_rule_ask_r5(const cb_question *question, const cb_rule_row *row)
{
    bool plan = strcmp(question->type, "plan") == 0;
    const char *held = cb_json_text(question->fields, "held");
    const char *standing = cb_json_text(question->fields, "state");
    const char *method = cb_json_text(question->fields, "method");
    const json_t *scopes = cb_method_scopes(question->model, method);
    cb_record_id person;
    part one = { .question = question,
                 .row = row,
                 .person = &person,
                 .missing = plan ? CB_OUTCOME_WARNED : CB_OUTCOME_BLOCKED };
    if ((!plan && held != NULL && strcmp(held, "held") != 0 &&
         strcmp(held, "") != 0) ||
        (plan && standing != NULL && strcmp(standing, "cancelled") == 0)) {
        return; /* what did not take place needs nobody's consent */
    }
    if (scopes == NULL) {
        cb_rule_say(question, row, one.missing, CB_NOTHING, NULL,
                    "it is not certain by which method, so no consent covers "
                    "it",
                    "one method");
        return;
    }
    if (!find_event_ms(question, &one.event_ms)) {
        cb_rule_say(question, row, one.missing, CB_NOTHING, NULL,
                    "it is not certain on which day", "one date");
        one.event_ms = cb_case_is_moment(question->happened_ms)
                           ? question->happened_ms
                           : 0;
    }
    if (question->proposed && !question->state->judged_all) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, NULL,
                    "this case holds more than the rules can look at, so "
                    "nobody can be sure of what they would say",
                    "a supervisor who finds out what filled the case");
    }
    if (json_array_size(cb_json_array(question->fields, "participants")) >
        CB_RULE_PERSONS_MAX) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, NULL,
                    "it names more participants than can be asked about",
                    "fewer participants");
    }
    if (!cb_rule_person(question, "participants", 0, &person)) {
        cb_rule_say(question, row, one.missing, CB_NOTHING, NULL,
                    "it does not say who takes part", "the participants");
    }
    for (size_t i = 0; cb_rule_person(question, "participants", i, &person);
         i++) {
        for (size_t s = 0; s < json_array_size(scopes); s++) {
            one.scope = json_string_value(json_array_get(scopes, s));
            if (one.scope != NULL) {
                ask_scope(&one);
            }
        }
    }
}
