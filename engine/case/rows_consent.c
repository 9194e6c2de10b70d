/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merge rows about consent:
 *
 *   M1  a plan and a withdrawal      -> every plan that is not cancelled is
 *       suspended, one that a later plan replaced too: its booking may stand
 *   M2  an event held and a withdrawal -> the event stands, contested
 *   M3  a withdrawal and a new consent -> withdrawn; the person is asked once
 *   M4  a withdrawal and a contact   -> the contact stands, marked
 *
 * Whether they knew of each other is read from causality.  The times that
 * people claim are shown and decide nothing.
 */
#include "base/json.h"
#include "case/consent.h"
#include "case/names.h"
#include "case/rows.h"

#include <inttypes.h>
#include <string.h>

/* Everything that a participant has to say to one use of one scope. */
typedef struct use {
    size_t record; /* plan, event or contact */
    cb_record_id person;
    const char *scope;
    size_t against; /* consent record */
    size_t entries[2];
} use;

static const char *hex(cb_case_state *state, const cb_record_id *id)
{
    return cb_arena_hex(&state->arena, id->bytes, sizeof id->bytes);
}

static cb_issue draft_of(const cb_case_state *state, const use *one,
                         cb_issue_form form, const char *kind, const char *row)
{
    return (cb_issue){ .form = form,
                       .kind = kind,
                       .row = row,
                       .record = state->records[one->record].id,
                       .about = one->person,
                       .field = one->scope };
}

typedef void (*use_visitor)(cb_case_state *state, const use *one);

static void visit_person(cb_case_state *state, size_t record,
                         const char *person, const json_t *scopes,
                         use_visitor visit)
{
    use one = { .record = record };
    if (person == NULL ||
        !cb_case_hex(person, one.person.bytes, sizeof one.person.bytes)) {
        return;
    }
    for (size_t s = 0; s < json_array_size(scopes); s++) {
        one.scope = json_string_value(json_array_get(scopes, s));
        if (one.scope != NULL) {
            visit(state, &one);
        }
    }
}

/*
 * Every use of a scope by a record with a method and participants.  Where
 * either is contested, all that is claimed is looked at.
 */
static void visit_uses(cb_case_state *state, size_t record, use_visitor visit)
{
    const cb_case_record *target = &state->records[record];
    const cb_merged *methods = cb_record_field(target, "method");
    const cb_merged *people = cb_record_field(target, "participants");
    for (size_t m = 0; methods != NULL && m < methods->value_count; m++) {
        const json_t *scopes = cb_method_scopes(
            state->model, json_string_value(methods->values[m]));
        for (size_t v = 0; people != NULL && v < people->value_count; v++) {
            const json_t *set = people->values[v];
            for (size_t p = 0; p < json_array_size(set); p++) {
                visit_person(state, record,
                             json_string_value(json_array_get(set, p)), scopes,
                             visit);
            }
        }
    }
}

/* ------------------------------------------------------------------- M1 */

static void suspend(cb_case_state *state, const char *consent_word,
                    const use *one)
{
    bool refused = strcmp(consent_word, "refused") == 0;
    cb_case_set_word(state,
                     cb_arena_format(&state->arena,
                                     "SUSPENDED - CONSENT %s (%s)",
                                     refused ? "REFUSED" : "WITHDRAWN",
                                     cb_case_words(&state->arena, one->scope)),
                     one->entries[1], CB_WORD_SUSPENDED);
}

/* " of 2017-03-28 15:00": there may be several plans. */
static const char *plan_moment(cb_case_state *state, const cb_case_record *plan)
{
    const json_t *date = cb_record_value(plan, "date");
    const char *precision = cb_json_text(date, "precision");
    int64_t ms = 0;
    if (!cb_json_integer(date, "ms", &ms) || !cb_case_is_moment(ms) ||
        precision == NULL) {
        return "";
    }
    bool to_the_minute =
        strcmp(precision, "minute") == 0 || strcmp(precision, "second") == 0;
    return cb_arena_format(&state->arena, " of {%s:%" PRId64 "}",
                           to_the_minute ? "ms" : "day", ms);
}

/* Nobody is said not to have known who wrote before there was anything. */
static const char *plan_knowledge(const cb_case_state *state, const use *one)
{
    if (cb_case_knows(state, one->entries[0], one->entries[1])) {
        return ". The plan was made in knowledge of it";
    }
    if (cb_case_knows(state, one->entries[1], one->entries[0])) {
        return ". The plan was made before that";
    }
    return "; whoever made the plan did not know";
}

static void add_plan_issues(cb_case_state *state, const use *one)
{
    cb_case_record *plan = &state->records[one->record];
    const char *word = cb_consent_state(&state->records[one->against]);
    const char *moment = plan_moment(state, plan);
    cb_issue alert =
        draft_of(state, one, CB_ISSUE_ALERT, "plan.suspended_consent", "M1");
    alert.waits_for = "lead co coordinator";
    alert.act = "casebound case show {case}";
    alert.sentence = cb_arena_format(
        &state->arena,
        "{party:%s} has %s consent to %s (%s). The plan%s that needs it is "
        "suspended%s. Other ways of communicating are not affected. Only a new "
        "consent, recorded in knowledge of this, lifts it.",
        hex(state, &one->person), word,
        cb_case_words(&state->arena, one->scope),
        cb_case_said(&state->arena, state, one->entries[1]), moment,
        plan_knowledge(state, one));
    (void)cb_case_add_issue(state, &alert, one->entries, 2);
    bool prison =
        cb_value_has(cb_record_value(plan, "method"), "face_to_face_prison");
    cb_issue task =
        draft_of(state, one, CB_ISSUE_TASK, "plan.cancel_booking", "M1");
    task.waits_for = prison ? "prison_liaison" : "lead";
    task.act = "casebound amend {record} state=cancelled --why TEXT";
    task.sentence = cb_arena_format(
        &state->arena,
        "Cancel the booking%s%s: {party:%s} has %s consent to %s.", moment,
        prison ? " with the prison" : "", hex(state, &one->person), word,
        cb_case_words(&state->arena, one->scope));
    (void)cb_case_add_issue(state, &task, one->entries, 2);
    plan->mark = "~suspended~";
    suspend(state, word, one);
}

static void look_at_plan(cb_case_state *state, const use *one)
{
    const cb_register *held =
        cb_consent_register(state, &one->person, one->scope);
    for (size_t i = 0; held != NULL && i < held->head_count; i++) {
        size_t record = held->heads[i];
        if (strcmp(cb_consent_state(&state->records[record]), "given") == 0) {
            continue;
        }
        use found = *one;
        found.against = record;
        found.entries[0] = state->records[one->record].created;
        found.entries[1] = cb_consent_entry(state, record);
        add_plan_issues(state, &found);
        /* The plan in force gives every reason; of old ones there are many. */
        if (state->records[one->record].replaced) {
            return;
        }
    }
}

/*
 * That a later plan is the one in force cancels no booking: whoever made the
 * old one may still act on it.  So each is looked at until it is cancelled.
 */
void cb_row_plans(cb_case_state *state)
{
    const cb_register *plans = cb_case_register(state, "plan", "");
    for (size_t i = 0; plans != NULL && i < plans->record_count; i++) {
        state->records[plans->records[i]].replaced = true;
    }
    for (size_t i = 0; plans != NULL && i < plans->head_count; i++) {
        state->records[plans->heads[i]].replaced = false;
    }
    for (size_t i = 0; plans != NULL && i < plans->record_count; i++) {
        const cb_case_record *plan = &state->records[plans->records[i]];
        if (strcmp(cb_record_code(plan, "state"), "cancelled") != 0) {
            visit_uses(state, plans->records[i], look_at_plan);
        }
    }
}

/* ------------------------------------------------------------------- M2 */

static const char *const held_choices[] = { "consent_stood",
                                            "consent_did_not_stand" };

#define HELD_CHOICES (sizeof held_choices / sizeof *held_choices)

static void add_held_choices(cb_case_state *state, cb_issue *issue)
{
    cb_issue_choice *choices =
        cb_arena_allocate(&state->arena, HELD_CHOICES, sizeof *choices);
    for (size_t i = 0; i < HELD_CHOICES && choices != NULL; i++) {
        json_t *value = json_string(held_choices[i]);
        choices[i].value = value;
        choices[i].shown = value;
        choices[i].record = issue->record;
        state->arena.failed = json_array_append_new(state->owned, value) != 0 ||
                              state->arena.failed;
    }
    issue->choices = choices;
    issue->choice_count = choices != NULL ? HELD_CHOICES : 0;
}

static void freeze_items(cb_case_state *state, const use *one)
{
    size_t count = 0;
    const size_t *items = cb_case_of_type(state, "agreement_item", &count);
    for (size_t r = 0; r < count; r++) {
        cb_case_record *item = &state->records[items[r]];
        cb_record_id agreement;
        if (item->struck || item->created == CB_NOTHING ||
            !cb_case_hex(cb_record_code(item, "agreement"), agreement.bytes,
                         sizeof agreement.bytes)) {
            continue;
        }
        size_t whole = cb_case_find_typed(state, &agreement, "agreement");
        const char *event =
            whole != CB_NOTHING
                ? cb_record_code(&state->records[whole], "event")
                : "";
        const char *person = hex(state, &one->person);
        bool ours =
            event[0] == '\0' ||
            strcmp(event, hex(state, &state->records[one->record].id)) == 0;
        if (!ours || (strcmp(cb_record_code(item, "owner"), person) != 0 &&
                      strcmp(cb_record_code(item, "to"), person) != 0)) {
            continue;
        }
        item->mark = "~frozen~";
        size_t entries[] = { item->created, one->entries[1] };
        cb_issue alert =
            draft_of(state, one, CB_ISSUE_ALERT, "agreement.frozen", "M2");
        alert.record = item->id;
        alert.waits_for = "lead";
        alert.act = "casebound show {record}";
        alert.sentence = cb_arena_format(
            &state->arena,
            "This agreed item involves {party:%s}, whose consent to the event "
            "is contested. Do not act on it until that is decided.",
            person);
        (void)cb_case_add_issue(state, &alert, entries, 2);
    }
}

static void add_reviews(cb_case_state *state, const use *one, bool open)
{
    static const struct {
        const char *kind;
        const char *waits_for;
        const char *before;
        const char *after;
    } reviews[] = {
        { "event.incident_review", "supervisor",
          "An incident is open: review how the event came to be held although",
          "had said no to it." },
        { "event.safeguarding_review", "designated_lead",
          "Review the safety of",
          "who had said no to an event that was held." },
    };

    const cb_setting *due = cb_model_setting(state->model, "suspended_review");
    for (size_t i = 0; i < sizeof reviews / sizeof *reviews; i++) {
        cb_issue task =
            draft_of(state, one, CB_ISSUE_TASK, reviews[i].kind, "M2");
        task.waits_for = reviews[i].waits_for;
        task.act = "casebound show {record}";
        task.due_working_days = due != NULL ? (uint32_t)due->value : 1;
        task.sentence = cb_arena_format(
            &state->arena, "%s {party:%s} %s", reviews[i].before,
            hex(state, &one->person), reviews[i].after);
        cb_issue *added = cb_case_add_issue(state, &task, one->entries, 2);
        if (added != NULL) {
            added->open = open;
        }
    }
}

static void look_at_event(cb_case_state *state, const use *one)
{
    use found = *one;
    cb_case_record *event = &state->records[one->record];
    found.entries[0] = event->created;
    found.against =
        cb_consent_against(state, &one->person, one->scope, event->created);
    if (found.against == CB_NOTHING) {
        return;
    }
    found.entries[1] = cb_consent_entry(state, found.against);
    bool knew = cb_case_knows(state, event->created, found.entries[1]);
    cb_issue draft = draft_of(
        state, &found, CB_ISSUE_CONFLICT,
        knew ? "event.held_against_consent" : "event.held_contested", "M2");
    draft.waits_for = "supervisor";
    draft.act = "casebound resolve {issue} --keep CHOICE --why TEXT";
    add_held_choices(state, &draft);
    draft.sentence = cb_arena_format(
        &state->arena,
        "An event was recorded as held, and {party:%s} had %s consent to %s "
        "(%s); whoever recorded the event %s. Both stand. A supervisor has to "
        "decide what it means.",
        hex(state, &one->person),
        cb_consent_state(&state->records[found.against]),
        cb_case_words(&state->arena, one->scope),
        cb_case_said(&state->arena, state, found.entries[1]),
        knew ? "knew of it" : "did not know of it");
    cb_issue *issue = cb_case_add_issue(state, &draft, found.entries, 2);
    if (issue == NULL) {
        return;
    }
    size_t at = (size_t)(issue - state->issues);
    const cb_decision *decision = cb_case_decision(state, issue);
    bool stood =
        decision != NULL && cb_value_has(decision->value, held_choices[0]);
    if (at < state->issue_count) {
        state->issues[at].open = decision == NULL;
    }
    add_reviews(state, &found, decision == NULL);
    if (stood) {
        return;
    }
    event->mark = "~consent contested~";
    freeze_items(state, &found);
    cb_case_set_word(state,
                     decision == NULL ? "HELD-CONSENT-CONTESTED"
                                      : "HELD WITHOUT CONSENT",
                     found.entries[1], CB_WORD_HELD_CONTESTED);
}

void cb_row_events(cb_case_state *state)
{
    size_t count = 0;
    const size_t *events = cb_case_of_type(state, "event", &count);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *event = &state->records[events[r]];
        if (event->struck || event->type == NULL ||
            event->created == CB_NOTHING) {
            continue;
        }
        const cb_merged *held = cb_record_field(event, "held");
        bool happened = held == NULL;
        for (size_t i = 0; held != NULL && i < held->value_count; i++) {
            happened = happened || cb_value_has(held->values[i], "held");
        }
        if (happened) {
            visit_uses(state, events[r], look_at_event);
        }
    }
}

/* ------------------------------------------------------------------- M3 */

static bool same_heads(const cb_register *a, const cb_register *b)
{
    return a->head_count == b->head_count &&
           memcmp(a->heads, b->heads, a->head_count * sizeof *a->heads) == 0;
}

static bool same_person(const cb_register *a, const cb_register *b)
{
    return strncmp(a->key, b->key, CB_IDENTIFIER_TEXT_BYTES - 1) == 0;
}

/* "direct meeting, indirect": the scopes of all registers alike to the first.
 */
static const char *name_scopes(cb_case_state *state, size_t first)
{
    const cb_register *held = &state->registers[first];
    const char *words = "";
    size_t named = 0;
    for (size_t i = first; i < state->register_count; i++) {
        const cb_register *other = &state->registers[i];
        if (other->type != held->type || !same_person(held, other)) {
            break;
        }
        if (other->contested && same_heads(held, other)) {
            const char *scope = other->key + CB_IDENTIFIER_TEXT_BYTES;
            words = cb_arena_format(&state->arena, "%s%s%s", words,
                                    named > 0 ? ", " : "",
                                    cb_case_words(&state->arena, scope));
            named++;
        }
    }
    return words;
}

static void report_consent(cb_case_state *state, size_t first)
{
    const cb_register *held = &state->registers[first];
    size_t entries[CB_DEPENDENCIES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < held->head_count && count < CB_DEPENDENCIES_MAX;
         i++) {
        entries[count] = cb_consent_entry(state, held->heads[i]);
        count++;
    }
    const cb_case_record *record = &state->records[held->in_force];
    const char *person = hex(state, &record->about);
    const char *scopes = name_scopes(state, first);
    cb_issue alert = { .form = CB_ISSUE_ALERT,
                       .kind = "consent.contested",
                       .row = "M3",
                       .record = record->id,
                       .about = record->about,
                       .waits_for = "lead co",
                       .act = "casebound show {record}" };
    alert.sentence = cb_arena_format(
        &state->arena,
        "People who did not know of each other recorded different answers of "
        "{party:%s} about: %s. The most protective one counts: %s.",
        person, scopes, cb_consent_state(record));
    (void)cb_case_add_issue(state, &alert, entries, count);
    cb_issue task = alert;
    task.form = CB_ISSUE_TASK;
    task.kind = "consent.ask_once";
    task.waits_for = "lead";
    task.act = "casebound add consent --case {case} --about {about} "
               "scope=SCOPE state=STATE";
    task.sentence = cb_arena_format(
        &state->arena,
        "Ask {party:%s} once, by a safe route, what is wanted about: %s. Then "
        "record the answer as a new consent.",
        person, scopes);
    (void)cb_case_add_issue(state, &task, entries, count);
}

void cb_row_consents(cb_case_state *state)
{
    for (size_t i = 0; i < state->register_count; i++) {
        const cb_register *held = &state->registers[i];
        if (!held->contested || !cb_is_consent(held->type)) {
            continue;
        }
        bool told = false;
        for (size_t k = i; k > 0 && !told; k--) {
            const cb_register *earlier = &state->registers[k - 1];
            if (earlier->type != held->type || !same_person(earlier, held)) {
                break;
            }
            told = earlier->contested && same_heads(earlier, held);
        }
        if (!told) {
            report_consent(state, i);
        }
    }
}

/* ------------------------------------------------------------------- M4 */

static void look_at_contact(cb_case_state *state, size_t record)
{
    cb_case_record *contact = &state->records[record];
    use one = { .record = record,
                .person = contact->about,
                .scope = "contact_by_service" };
    one.against =
        cb_consent_against(state, &one.person, one.scope, contact->created);
    if (one.against == CB_NOTHING) {
        return;
    }
    one.entries[0] = contact->created;
    one.entries[1] = cb_consent_entry(state, one.against);
    bool knew = cb_case_knows(state, contact->created, one.entries[1]);
    cb_issue alert = draft_of(
        state, &one, CB_ISSUE_ALERT,
        knew ? "contact.against_consent" : "contact.while_withdrawn", "M4");
    alert.waits_for = "supervisor";
    alert.act = "casebound show {record}";
    alert.sentence = cb_arena_format(
        &state->arena,
        "{party:%s} was contacted (%s) while consent to be contacted was %s "
        "(%s); the caller %s.",
        hex(state, &one.person),
        cb_case_said(&state->arena, state, contact->created),
        cb_consent_state(&state->records[one.against]),
        cb_case_said(&state->arena, state, one.entries[1]),
        knew ? "knew of it" : "did not know of it");
    contact->mark = knew ? "contact while withdrawn"
                         : "contact while withdrawn, not known to caller";
    (void)cb_case_add_issue(state, &alert, one.entries, 2);
}

/* Whether anybody ever said no to anything. */
static bool is_anything_refused(const cb_case_state *state)
{
    bool refused = false;
    for (size_t i = 0; i < state->register_count && !refused; i++) {
        refused = state->registers[i].against != CB_NOTHING;
    }
    return refused;
}

void cb_row_contacts(cb_case_state *state)
{
    size_t count = 0;
    const size_t *contacts = cb_case_of_type(state, "contact", &count);
    bool refused = is_anything_refused(state);
    for (size_t r = 0; r < count && refused; r++) {
        const cb_case_record *contact = &state->records[contacts[r]];
        if (contact->created != CB_NOTHING && contact->about_known &&
            contact->type != NULL && !contact->struck &&
            strcmp(cb_record_code(contact, "direction"), "incoming") != 0) {
            look_at_contact(state, contacts[r]);
        }
    }
}
