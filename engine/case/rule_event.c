/* SPDX-License-Identifier: Apache-2.0 */
/* R4, R6, R8 and R9: what else an event needs. */
#include "base/json.h"
#include "case/rule.h"

#include <inttypes.h>
#include <string.h>

/* Only an event that was held, or may have been, is asked about. */
static bool is_held(const cb_question *question)
{
    const char *held = cb_json_text(question->fields, "held");
    return held == NULL || strcmp(held, "held") == 0;
}

/* --------------------------------------------------------------------- R4 */

static const char *const preparation_notes[] = { "needs", "questions",
                                                 "hopes", "off_limits",
                                                 "said",  "notes" };

#define PREPARATION_NOTES (sizeof preparation_notes / sizeof *preparation_notes)

static bool is_explained(const cb_question *question,
                         const cb_case_record *preparation)
{
    bool contested = false;
    return json_is_true(cb_basis_value(question->state, &question->basis,
                                       preparation, "limits_explained",
                                       &contested)) &&
           !contested;
}

static bool has_notes(const cb_case_record *preparation)
{
    for (size_t i = 0; i < PREPARATION_NOTES; i++) {
        const cb_merged *merged =
            cb_record_field(preparation, preparation_notes[i]);
        if (merged != NULL && merged->value_count > 0 &&
            !json_is_null(merged->values[0])) {
            return true;
        }
    }
    return false;
}

static bool is_preparation_of(const cb_question *question,
                              const cb_case_record *record,
                              const cb_record_id *person)
{
    return record->about_known &&
           memcmp(&record->about, person, sizeof *person) == 0 &&
           cb_basis_counts(question->state, &question->basis, record);
}

/* Each is compared with each. */
#define PREPARATIONS_MAX 512

/* Whether an earlier meeting, known when this one was recorded, explained. */
static bool was_explained(const cb_question *question,
                          const cb_record_id *person,
                          const cb_case_record *preparation)
{
    const cb_case_state *state = question->state;
    size_t count = 0;
    const size_t *meetings = cb_case_of_type(state, "preparation", &count);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *other = &state->records[meetings[r]];
        if (is_preparation_of(question, other, person) &&
            cb_case_knows(state, preparation->created, other->created) &&
            is_explained(question, other)) {
            return true;
        }
    }
    return false;
}

static void ask_limits(const cb_question *question, const cb_rule_row *row,
                       const cb_record_id *person)
{
    const cb_case_state *state = question->state;
    const char *name = cb_rule_hex(question, person);
    cb_arena *arena = &question->verdicts->arena;
    bool explained = false;
    size_t count = 0;
    const size_t *meetings = cb_case_of_type(state, "preparation", &count);
    cb_basis_spend(&question->basis, count);
    if (count > PREPARATIONS_MAX) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, person,
                    "this case holds more preparations than can be looked at",
                    "a supervisor who finds out what filled the case");
        return;
    }
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *record = &state->records[meetings[r]];
        if (!is_preparation_of(question, record, person)) {
            continue;
        }
        if (is_explained(question, record)) {
            explained = true;
        } else if (has_notes(record) &&
                   !was_explained(question, person, record)) {
            cb_rule_say(
                question, row, CB_OUTCOME_BLOCKED, record->created, person,
                cb_arena_format(arena,
                                "a preparation of {party:%s} was written down "
                                "before the limits of confidentiality were "
                                "explained, %s",
                                name, cb_rule_said(question, record->created)),
                "a correction of that record, if they were explained "
                "at that meeting, or its notes struck out");
            return;
        }
    }
    if (!explained) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, person,
                    cb_arena_format(arena,
                                    "nobody recorded that the limits of "
                                    "confidentiality were explained to "
                                    "{party:%s}",
                                    name),
                    "a preparation meeting in which they were explained");
    }
}

void cb_rule_ask_r4(const cb_question *question, const cb_rule_row *row)
{
    cb_record_id person;
    if (strcmp(question->type, "preparation") == 0) {
        bool notes = false;
        for (size_t i = 0; i < PREPARATION_NOTES; i++) {
            notes = notes || json_object_get(question->fields,
                                             preparation_notes[i]) != NULL;
        }
        if (notes && !json_is_true(json_object_get(question->fields,
                                                   "limits_explained"))) {
            cb_rule_say(question, row, CB_OUTCOME_WARNED, CB_NOTHING,
                        question->about,
                        "notes of a preparation, and nothing says that the "
                        "limits of confidentiality were explained first; no "
                        "event can follow",
                        "limits_explained=yes, if they were");
        }
        return;
    }
    for (size_t i = 0; is_held(question) &&
                       cb_rule_person(question, "participants", i, &person);
         i++) {
        ask_limits(question, row, &person);
    }
}

/* --------------------------------------------------------------------- R6 */

static void ask_facts(const cb_question *question, const cb_rule_row *row,
                      const cb_record_id *person)
{
    const cb_case_state *state = question->state;
    cb_arena *arena = &question->verdicts->arena;
    const char *name = cb_rule_hex(question, person);
    cb_standing standing =
        cb_basis_standing(state, &question->basis,
                          cb_case_register(state, "acknowledgement", name));
    if (standing.worst == CB_NOTHING) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, person,
                    cb_arena_format(arena,
                                    "nobody recorded that {party:%s} "
                                    "acknowledges the basic facts",
                                    name),
                    "an acknowledgement, full or partial");
        return;
    }
    const cb_case_record *facts = &state->records[standing.worst];
    bool contested = standing.contested;
    const char *level = json_string_value(
        cb_basis_value(state, &question->basis, facts, "level", &contested));
    bool viewed = false;
    for (size_t i = 0; i < standing.record_count; i++) {
        bool ignored = false;
        const json_t *view = cb_basis_value(
            state, &question->basis, &state->records[standing.records[i]],
            "facilitator_view", &ignored);
        viewed = viewed || view != NULL;
    }
    const char *gap = NULL;
    if (level == NULL ||
        (strcmp(level, "full") != 0 && strcmp(level, "partial") != 0)) {
        gap = "does not acknowledge the basic facts";
    } else if (contested) {
        gap = "acknowledges the basic facts to a degree that is contested";
    } else if (!viewed) {
        gap = "acknowledges the basic facts, but the facilitator's view of it "
              "is missing";
    }
    if (gap != NULL) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, facts->created, person,
                    cb_arena_format(arena, "{party:%s} %s, %s", name, gap,
                                    cb_rule_said(question, facts->created)),
                    "a new acknowledgement, full or partial, with the "
                    "facilitator's view");
    }
}

void cb_rule_ask_r6(const cb_question *question, const cb_rule_row *row)
{
    cb_record_id person;
    for (size_t i = 0; is_held(question) &&
                       cb_rule_person(question, "participants", i, &person);
         i++) {
        uint8_t side = cb_rule_side(question, &person);
        const char *role = cb_rule_role(question, &person);
        if (side == CB_SIDE_BOTH ||
            (side == 'O' && strcmp(role, "offender") == 0)) {
            ask_facts(question, row, &person);
        }
    }
}

/* --------------------------------------------------------------------- R8 */

/* Signed off by somebody who knew the assessment as it stands. */
static bool is_signed_off(const cb_question *question,
                          const cb_case_record *risk)
{
    const cb_case_state *state = question->state;
    const char *id = cb_rule_hex(question, &risk->id);
    size_t count = 0;
    const size_t *sign_offs = cb_case_of_type(state, "sign_off", &count);
    cb_basis_spend(&question->basis, count);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *sign_off = &state->records[sign_offs[r]];
        if (!cb_basis_counts(state, &question->basis, sign_off) ||
            strcmp(cb_record_code(sign_off, "record"), id) != 0 ||
            strncmp(cb_record_code(sign_off, "decision"), "approved", 8) != 0) {
            continue;
        }
        bool current = cb_case_knows(state, sign_off->created, risk->created);
        for (size_t f = 0; f < risk->field_count && current; f++) {
            const cb_merged *merged = &risk->fields[f];
            for (size_t h = 0; h < merged->head_count && current; h++) {
                size_t entry = merged->heads[h]->entry;
                current = !cb_basis_has(state, &question->basis, entry) ||
                          cb_case_knows(state, sign_off->created, entry);
            }
        }
        if (current) {
            return true;
        }
    }
    return false;
}

/* NULL where the assessment is a second one and in date. */
static const char *find_risk_gap(const cb_question *question,
                                 const cb_case_record *risk)
{
    const cb_case_state *state = question->state;
    cb_arena *arena = &question->verdicts->arena;
    bool contested = false;
    const char *stage = json_string_value(
        cb_basis_value(state, &question->basis, risk, "stage", &contested));
    const json_t *date = cb_basis_value(state, &question->basis, risk,
                                        "assessed_on", &contested);
    const json_t *until = cb_basis_value(state, &question->basis, risk,
                                         "valid_until", &contested);
    const char *setting = cb_rule_is_complex(question) ? "risk_validity_complex"
                                                       : "risk_validity";
    int64_t valid_days = cb_model_setting_days(question->model, setting);
    int64_t event_day = cb_rule_day(question->happened_ms);
    int64_t assessed = cb_rule_day(state->entries[risk->created].happened_ms);
    int64_t last = 0;
    if (stage == NULL ||
        (strcmp(stage, "second") != 0 && strcmp(stage, "pre_event") != 0)) {
        return "there is no second risk assessment in force";
    }
    if (contested || (date != NULL && !cb_rule_date(date, &assessed))) {
        return "the risk assessment is contested";
    }
    if ((until != NULL && (!cb_rule_date(until, &last) || last < event_day)) ||
        event_day - assessed > valid_days || assessed > event_day) {
        return cb_arena_format(arena,
                               "the risk assessment of {day:%" PRId64
                               "} is not in date: it is valid for %" PRId64
                               " days in this case",
                               assessed * 86400000, valid_days);
    }
    return NULL;
}

void cb_rule_ask_r8(const cb_question *question, const cb_rule_row *row)
{
    static const char lift[] = "a second or pre-event risk assessment, in date "
                               "and below very high";
    const cb_case_state *state = question->state;
    cb_arena *arena = &question->verdicts->arena;
    cb_standing standing =
        cb_basis_standing(state, &question->basis,
                          cb_case_register(state, "risk_assessment", ""));
    if (!is_held(question)) {
        return;
    }
    if (standing.worst == CB_NOTHING) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, NULL,
                    "there is no risk assessment here", lift);
        return;
    }
    const cb_case_record *risk = &state->records[standing.worst];
    const char *said = cb_rule_said(question, risk->created);
    bool contested = standing.contested;
    const char *level = json_string_value(
        cb_basis_value(state, &question->basis, risk, "overall", &contested));
    const char *gap = find_risk_gap(question, risk);
    if (level == NULL || strcmp(level, "VH") == 0) {
        gap = "the risk is very high";
    } else if (contested) {
        gap = cb_arena_format(
            arena, "the level of risk is contested; %s counts", level);
    }
    if (gap != NULL) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, risk->created, NULL,
                    cb_arena_format(arena, "%s, %s", gap, said), lift);
        return;
    }
    bool low = strcmp(level, "L") == 0 || strcmp(level, "M") == 0;
    if (!low && !is_signed_off(question, risk)) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, risk->created, NULL,
                    cb_arena_format(arena,
                                    "the risk is high and no supervisor "
                                    "signed it off as it stands, %s",
                                    said),
                    "a supervisor's sign-off of this assessment");
    }
}

/* --------------------------------------------------------------------- R9 */

static bool is_participant(const cb_question *question,
                           const cb_record_id *person)
{
    cb_record_id participant;
    for (size_t i = 0;
         cb_rule_person(question, "participants", i, &participant); i++) {
        if (memcmp(&participant, person, sizeof participant) == 0) {
            return true;
        }
    }
    return false;
}

void cb_rule_ask_r9(const cb_question *question, const cb_rule_row *row)
{
    const cb_case_state *state = question->state;
    size_t count = 0;
    const size_t *concerns =
        cb_case_of_type(state, "safeguarding_concern", &count);
    for (size_t r = 0; r < count && is_held(question); r++) {
        const cb_case_record *concern = &state->records[concerns[r]];
        bool contested = false;
        if (!cb_basis_counts(state, &question->basis, concern) ||
            (concern->about_known &&
             !is_participant(question, &concern->about))) {
            continue;
        }
        const char *status = json_string_value(cb_basis_value(
            state, &question->basis, concern, "status", &contested));
        if (status != NULL && strcmp(status, "closed") == 0 && !contested) {
            continue;
        }
        const cb_record_id *about =
            concern->about_known ? &concern->about : NULL;
        cb_rule_say(
            question, row, CB_OUTCOME_BLOCKED, concern->created, about,
            about != NULL
                ? cb_arena_format(&question->verdicts->arena,
                                  "a safeguarding concern about {party:%s} is "
                                  "open, %s",
                                  cb_rule_hex(question, about),
                                  cb_rule_said(question, concern->created))
                : cb_arena_format(&question->verdicts->arena,
                                  "a safeguarding concern in this case is "
                                  "open, %s",
                                  cb_rule_said(question, concern->created)),
            "the concern closed, or an override by the designated lead");
    }
}
