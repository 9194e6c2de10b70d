/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R3: who may be approached, and who may learn of it.
 *
 * Begun by the harmed person (or by an agency): nobody approaches the person
 * responsible before a harmed person's consent to approach_other_party.
 *
 * Begun by the person responsible: the harmed person is approached only by the
 * agency route that the referral records, and after the initial risk
 * assessment; and no record that the offender side sees may tell whether the
 * harmed person was reached, or said no, until a supervisor has released it.
 * Once the harmed person has agreed to be contacted, the route is free.
 *
 * Where it is contested who began it, both halves hold.
 */
#include "base/json.h"
#include "case/consent.h"
#include "case/rule.h"

#include <string.h>

typedef struct beginning {
    bool by_victim; /* the first half holds */
    bool by_offender;
    const cb_case_record *referral;
} beginning;

static beginning find_beginning(const cb_question *question)
{
    const cb_case_state *state = question->state;
    beginning found = { 0 };
    size_t count = 0;
    const size_t *referrals = cb_case_of_type(state, "referral", &count);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *record = &state->records[referrals[r]];
        if (!cb_basis_counts(state, &question->basis, record)) {
            continue;
        }
        bool contested = false;
        const char *by = json_string_value(cb_basis_value(
            state, &question->basis, record, "initiated_by", &contested));
        bool offender = by != NULL && strcmp(by, "offender") == 0;
        found.referral = record;
        found.by_offender = found.by_offender || offender || by == NULL;
        found.by_victim = found.by_victim || !offender;
    }
    if (found.referral == NULL) {
        found.by_victim = true;
        found.by_offender = true;
    }
    return found;
}

static bool is_harmed(const cb_question *question, const cb_record_id *person)
{
    const char *role = cb_rule_role(question, person);
    return cb_rule_side(question, person) == 'V' &&
           (strcmp(role, "victim") == 0 || strcmp(role, "bereaved") == 0);
}

/* For what protects: somebody put on both sides may be harmed. */
static bool may_be_harmed(const cb_question *question,
                          const cb_record_id *person)
{
    return cb_rule_side(question, person) == CB_SIDE_BOTH ||
           is_harmed(question, person);
}

/* Whether a person's consent to a scope is given and nobody contests it. */
static bool is_given(const cb_question *question, const cb_record_id *person,
                     const char *scope)
{
    const cb_case_state *state = question->state;
    cb_standing standing = cb_basis_standing(
        state, &question->basis, cb_consent_register(state, person, scope));
    if (standing.worst == CB_NOTHING || standing.contested) {
        return false;
    }
    return strcmp(cb_rule_consent(question, standing.worst), "given") == 0;
}

static void ask_approach_to_offender(const cb_question *question,
                                     const cb_rule_row *row)
{
    const cb_case_state *state = question->state;
    size_t count = 0;
    const size_t *people = cb_case_of_type(state, "person", &count);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *person = &state->records[people[r]];
        if (is_harmed(question, &person->id) &&
            is_given(question, &person->id, "approach_other_party")) {
            return;
        }
    }
    cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, question->about,
                "no harmed person's consent to approach the other party is in "
                "force",
                "a harmed person's consent with scope approach_other_party");
}

static bool has_initial_risk(const cb_question *question)
{
    const cb_case_state *state = question->state;
    size_t count = 0;
    const size_t *risks = cb_case_of_type(state, "risk_assessment", &count);
    cb_basis_spend(&question->basis, count / 4);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *risk = &state->records[risks[r]];
        if (cb_basis_counts(state, &question->basis, risk) &&
            !cb_record_contested(risk, "overall") &&
            cb_record_value(risk, "overall") != NULL) {
            return true;
        }
    }
    return false;
}

/* By the channel, or by a route of that kind. */
static bool is_by_agency(const cb_question *question)
{
    const char *channel = cb_json_text(question->fields, "channel");
    const char *route = cb_json_text(question->fields, "route");
    cb_record_id id;
    if (channel != NULL && strcmp(channel, "through_agency") == 0) {
        return true;
    }
    if (route == NULL || !cb_case_hex(route, id.bytes, sizeof id.bytes)) {
        return false;
    }
    size_t index = cb_case_find_typed(question->state, &id, "contact_route");
    return index != CB_NOTHING &&
           strcmp(cb_record_code(&question->state->records[index], "kind"),
                  "through_agency") == 0;
}

static void ask_approach_to_victim(const cb_question *question,
                                   const cb_rule_row *row,
                                   const cb_case_record *referral)
{
    bool contested = false;
    const char *route = referral == NULL
                            ? NULL
                            : json_string_value(cb_basis_value(
                                  question->state, &question->basis, referral,
                                  "victim_contact_route", &contested));
    const char *gap = NULL;
    const char *lift = "";
    if (is_given(question, question->about, "contact_by_service")) {
        return;
    }
    if (route == NULL || route[0] == '\0' || contested) {
        gap = "the person responsible began this referral, and it records no "
              "one agency route to the harmed person";
        lift = "victim_contact_route in the referral";
    } else if (!is_by_agency(question)) {
        gap = "the person responsible began this referral, so the harmed "
              "person is approached only by the agency that the referral "
              "records";
        lift = "contact through that agency, or the harmed person's consent to "
               "contact_by_service";
    } else if (!has_initial_risk(question)) {
        gap = "the person responsible began this referral, and there is no "
              "initial risk assessment yet";
        lift = "an initial risk assessment";
    }
    if (gap != NULL) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED,
                    referral != NULL ? referral->created : CB_NOTHING,
                    question->about, gap, lift);
    }
}

static bool is_released(const cb_question *question, const cb_record_id *person)
{
    const cb_case_state *state = question->state;
    cb_standing standing = cb_basis_standing(
        state, &question->basis,
        cb_case_register(state, "side_release", cb_rule_hex(question, person)));
    bool contested = standing.contested;
    if (standing.worst == CB_NOTHING) {
        return false;
    }
    const char *word = json_string_value(
        cb_basis_value(state, &question->basis, &state->records[standing.worst],
                       "state", &contested));
    return word != NULL && strcmp(word, "released") == 0 && !contested;
}

static void ask_release_of(const cb_question *question, const cb_rule_row *row,
                           const cb_record_id *person)
{
    if (!is_released(question, person)) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING, person,
                    "this would tell the offender side whether a harmed "
                    "person was reached or what was answered, and no "
                    "supervisor has released that",
                    "a side_release record about that person by a supervisor");
    }
}

/* A contact or preparation on the offender side that tells of the other. */
static void ask_telling(const cb_question *question, const cb_rule_row *row)
{
    const cb_case_state *state = question->state;
    if (!json_is_true(json_object_get(question->fields, "tells_other_side")) ||
        question->about == NULL ||
        cb_rule_side(question, question->about) == 'V') {
        return;
    }
    bool known = false;
    size_t count = 0;
    const size_t *people = cb_case_of_type(state, "person", &count);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *person = &state->records[people[r]];
        if (may_be_harmed(question, &person->id)) {
            known = true;
            ask_release_of(question, row, &person->id);
        }
    }
    if (!known) {
        ask_release_of(question, row, question->about);
    }
}

/* A shared record that names a harmed person tells of them by being there. */
static void ask_shared(const cb_question *question, const cb_rule_row *row)
{
    static const char *const fields[] = { "from", "to" };
    cb_record_id person;
    for (size_t i = 0; cb_rule_person(question, "participants", i, &person);
         i++) {
        if (cb_rule_side(question, &person) != 'O') {
            ask_release_of(question, row, &person);
        }
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *text = cb_json_text(question->fields, fields[i]);
        if (text != NULL &&
            cb_case_hex(text, person.bytes, sizeof person.bytes) &&
            cb_rule_side(question, &person) != 'O') {
            ask_release_of(question, row, &person);
        }
    }
}

/* Only a supervisor releases; nothing else is asked of a release. */
static void ask_releaser(const cb_question *question, const cb_rule_row *row)
{
    const char *word = cb_json_text(question->fields, "state");
    bool supervisor =
        !question->proposed || word == NULL || strcmp(word, "released") != 0;
    for (size_t i = 0; i < question->role_count; i++) {
        supervisor =
            supervisor || strcmp(question->roles[i], "supervisor") == 0;
    }
    if (!supervisor) {
        cb_rule_say(question, row, CB_OUTCOME_BLOCKED, CB_NOTHING,
                    question->about,
                    "only a supervisor releases to the offender side what a "
                    "harmed person answered",
                    "a release recorded by a supervisor");
    }
}

void cb_rule_ask_r3(const cb_question *question, const cb_rule_row *row)
{
    beginning began = find_beginning(question);
    const char *direction = cb_json_text(question->fields, "direction");
    if (strcmp(question->type, "side_release") == 0) {
        ask_releaser(question, row);
        return;
    }
    if (strcmp(question->type, "plan") == 0 ||
        strcmp(question->type, "indirect_exchange") == 0) {
        if (began.by_offender) {
            ask_shared(question, row);
        }
        return;
    }
    if (began.by_offender) {
        ask_telling(question, row);
    }
    if (question->about == NULL ||
        (direction != NULL && strcmp(direction, "incoming") == 0)) {
        return; /* who comes to us was not approached */
    }
    uint8_t side = cb_rule_side(question, question->about);
    if ((side == 'V' || side == CB_SIDE_BOTH) && began.by_offender) {
        ask_approach_to_victim(question, row, began.referral);
    }
    if (side != 'V' && began.by_victim) {
        ask_approach_to_offender(question, row);
    }
}
