/* SPDX-License-Identifier: Apache-2.0 */
/* Merge rows M1 to M5, by name, and stories A2 and A3. */
#include "support/case_builder.h"
#include "support/expect.h"

#include <casebound/view.h>
#include <stdlib.h>

#define WITHDRAW(id, scopes)                                             \
    "{'op':'create','record':'@" id "','type':'consent','about':'@ann'," \
    "'fields':{'scope':[" scopes "],'state':'withdrawn'}}"
#define GIVE(id, scopes)                                                 \
    "{'op':'create','record':'@" id "','type':'consent','about':'@ann'," \
    "'fields':{'scope':[" scopes "],'state':'given',"                    \
    "'form_version':'3','given_on':'2017-03-15'}}"
#define PLAN(id, method)                                        \
    "{'op':'create','record':'@" id "','type':'plan','fields':" \
    "{'method':'" method "','date':{'ms':1490004000000,"        \
    "'precision':'minute'},'participants':['@ann','@ben'],"     \
    "'state':'scheduled'}}"
#define EVENT                                                   \
    "{'op':'create','record':'@event','type':'event','fields':" \
    "{'method':'face_to_face','held':'held',"                   \
    "'participants':['@ann','@ben']}}"

static void expect_word(case_book *book, const char *word)
{
    cb_case_state *state = case_fold(book);
    expect_text(cb_case_state_word(state), word);
    cb_case_state_destroy(state);
}

static void expect_issue(const cb_case_state *state, const char *kind,
                         const char *row, const char *waits_for)
{
    const cb_issue *issue = case_issue(state, kind);
    cr_expect(issue != NULL, "no %s", kind);
    if (issue != NULL) {
        expect_text(issue->row, row);
        expect_contains(issue->waits_for, waits_for);
        cr_expect(issue->open, "%s is not open", kind);
        cr_expect(issue->sentence[0] != '\0' && issue->act[0] != '\0');
    }
}

Test(rows, m1_a_withdrawal_suspends_a_plan_made_without_knowing)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));
    case_write(book, "Y", "S", "2017-03-14T14:10",
               PLAN("plan", "face_to_face_prison"));

    cb_case_state *state = case_fold(book);
    int64_t since = 0;
    expect_text(cb_case_state_word(state),
                "SUSPENDED - CONSENT WITHDRAWN (direct meeting)");
    cr_expect(cb_case_state_since_ms(state, &since) &&
              since == case_ms("2017-03-14T14:00"));
    expect_issue(state, "plan.suspended_consent", "M1", "lead co coordinator");
    expect_issue(state, "plan.cancel_booking", "M1", "prison_liaison");
    cr_expect(case_issues(state, "plan.suspended_consent") == 1);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(rows, m1_only_a_new_consent_that_knew_lifts_it)
{
    case_book *book = case_book_prepared();
    const char *suspended = "SUSPENDED - CONSENT WITHDRAWN (direct meeting)";
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));
    case_write(book, "Y", "S", "2017-03-14T14:10",
               PLAN("plan", "face_to_face"));
    /* Nobody who did not know of it lifts it. */
    case_write(book, "Y", "V:ann", "2017-03-14T15:00",
               GIVE("again", "'direct_meeting'"));
    expect_word(book, suspended);
    /* Nor does a correction or a strike by somebody who did. */
    case_write(book, "X", "V:ann", "2017-03-14T16:00",
               "{'op':'set','record':'@withdrawal','fields':"
               "{'state':'given'}}");
    expect_word(book, suspended);
    case_write(book, "X", "V:ann", "2017-03-14T16:10",
               "{'op':'strike','record':'@withdrawal'}");
    expect_word(book, suspended);
    /* A new consent in knowledge of all that does. */
    case_exchange(book, "X", "Y");
    case_write(book, "Y", "V:ann", "2017-03-15T09:00",
               GIVE("anew", "'direct_meeting'"));
    expect_word(book, "OPEN");
    case_book_destroy(book);
}

Test(rows, m1_leaves_other_methods_alone)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));
    case_write(book, "Y", "S", "2017-03-14T14:10",
               PLAN("plan", "letter_delivered"));
    expect_word(book, "OPEN");
    case_book_destroy(book);
}

Test(rows, m1_a_cancelled_plan_asks_for_nothing)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));
    case_write(book, "Y", "S", "2017-03-14T14:10",
               PLAN("plan", "face_to_face"));
    case_exchange(book, "X", "Y");
    case_write(book, "Y", "S", "2017-03-15T09:00",
               "{'op':'set','record':'@plan','fields':"
               "{'state':'cancelled'}}");
    cb_case_state *state = case_fold(book);
    expect_text(cb_case_state_word(state), "OPEN");
    cr_expect(case_issue(state, "plan.cancel_booking") == NULL);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

/* Whether the timeline marks the plan of that name. */
static bool is_suspended(const cb_case_state *state, const char *name)
{
    json_t *document = NULL;
    bool suspended = false;
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_record_id record = case_id(name);
    cb_hex_format(record.bytes, sizeof record.bytes, id);
    expect_ok(cb_view_case_timeline(state, NULL, &document, test_error()));
    const json_t *rows = json_object_get(document, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char *text = json_dumps(json_object_get(row, "marks"), 0);
        const char *of = json_string_value(json_object_get(row, "record"));
        suspended =
            suspended || (strcmp(of, id) == 0 && strstr(text, "~suspended~"));
        free(text);
    }
    json_decref(document);
    return suspended;
}

Test(rows, m1_suspends_every_plan_that_is_not_cancelled)
{
    case_book *book = case_book_prepared();
    case_write(book, "Y", "S", "2017-03-14T13:00",
               PLAN("first", "face_to_face"));
    case_write(book, "Y", "S", "2017-03-14T13:10",
               PLAN("second", "face_to_face_prison"));
    case_write(book, "Y", "S", "2017-03-14T13:20",
               PLAN("gone", "face_to_face"));
    case_write(book, "Y", "S", "2017-03-14T13:30",
               "{'op':'strike','record':'@gone'}");
    case_write(book, "Y", "S", "2017-03-14T13:40",
               PLAN("letter", "letter_delivered"));
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));

    cb_case_state *state = case_fold(book);
    expect_text(cb_case_state_word(state),
                "SUSPENDED - CONSENT WITHDRAWN (direct meeting)");
    cr_expect(is_suspended(state, "first"));
    cr_expect(is_suspended(state, "second"));
    cr_expect(!is_suspended(state, "gone"));
    cr_expect(!is_suspended(state, "letter"));
    cr_expect(case_issues(state, "plan.suspended_consent") == 2);
    cr_expect(case_issues(state, "plan.cancel_booking") == 2);
    cb_case_state_destroy(state);

    case_exchange(book, "X", "Y");
    case_write(book, "Y", "S", "2017-03-15T09:00",
               "{'op':'set','record':'@first','fields':"
               "{'state':'cancelled'}}");
    state = case_fold(book);
    cr_expect(!is_suspended(state, "first"));
    cr_expect(is_suspended(state, "second"));
    cr_expect(case_issues(state, "plan.cancel_booking") == 1);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(rows, m1_calls_only_concurrent_entries_not_known)
{
    static const struct {
        bool exchanged;
        bool plan_first;
        const char *wanted;
    } rows[] = {
        { true, true, "The plan was made before that." },
        { true, false, "The plan was made in knowledge of it." },
        { false, true, "whoever made the plan did not know." },
        { false, false, "whoever made the plan did not know." },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        case_book *book = case_book_prepared();
        for (size_t turn = 0; turn < 2; turn++) {
            if ((turn == 0) == rows[i].plan_first) {
                case_write(book, "Y", "S", "2017-03-14T14:10",
                           PLAN("plan", "face_to_face"));
            } else {
                case_write(book, "X", "V:ann", "2017-03-14T14:00",
                           WITHDRAW("withdrawal", "'direct_meeting'"));
            }
            if (rows[i].exchanged) {
                case_exchange(book, "X", "Y");
            }
        }
        cb_case_state *state = case_fold(book);
        const cb_issue *alert = case_issue(state, "plan.suspended_consent");
        json_t *document = NULL;
        cr_assert(alert != NULL);
        expect_contains(alert->sentence, rows[i].wanted);
        expect_ok(cb_view_case_timeline(state, NULL, &document, test_error()));
        char *text = json_dumps(document, JSON_COMPACT);
        cr_expect((strstr(text, "did not know of !") != NULL) ==
                  !rows[i].exchanged);
        cr_expect((strstr(text, "\"!\"") != NULL) == !rows[i].exchanged);
        free(text);
        json_decref(document);
        cb_case_state_destroy(state);
        case_book_destroy(book);
    }
}

Test(rows, m2_an_event_held_stands_and_is_contested)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));
    case_write(book, "Y", "S", "2017-03-14T15:00", EVENT);
    case_write(book, "Y", "S", "2017-03-14T16:00",
               "[{'op':'create','record':'@agreement','type':'agreement',"
               "'fields':{'event':'@event'}},{'op':'create','record':'@item',"
               "'type':'agreement_item','fields':{'agreement':'@agreement',"
               "'kind':'explanation','text':'tell','owner':'@ben',"
               "'to':'@ann'}}]");

    cb_case_state *state = case_fold(book);
    expect_text(cb_case_state_word(state), "HELD-CONSENT-CONTESTED");
    expect_issue(state, "event.held_contested", "M2", "supervisor");
    expect_issue(state, "event.incident_review", "M2", "supervisor");
    expect_issue(state, "event.safeguarding_review", "M2", "designated_lead");
    expect_issue(state, "agreement.frozen", "M2", "lead");
    const cb_issue *review = case_issue(state, "event.incident_review");
    cr_expect(review != NULL && review->due_working_days == 1);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

/* Appends the decision that the issue's choice makes, by one device. */
static void decide(case_book *book, const char *device, const char *kind,
                   size_t choice, const char *place)
{
    cb_case_state *state = case_fold_of(book, device);
    const cb_issue *issue = case_issue(state, kind);
    json_t *op = NULL;
    cr_assert(issue != NULL, "%s", kind);
    expect_ok(
        cb_case_state_resolution(state, issue, choice, &op, test_error()));
    char *text = json_dumps(op, JSON_COMPACT);
    case_write(book, device, place, "2017-03-16T09:00", text);
    free(text);
    json_decref(op);
    cb_case_state_destroy(state);
}

Test(rows, m2_ends_when_a_supervisor_decides_and_not_when_two_differ)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));
    case_write(book, "Y", "S", "2017-03-14T15:00", EVENT);
    case_exchange(book, "X", "Y");

    decide(book, "Y", "event.held_contested", 0, "S");
    expect_word(book, "HELD-CONSENT-CONTESTED");
    case_role(book, "X", "supervisor");
    case_role(book, "Y", "supervisor");
    decide(book, "X", "event.held_contested", 0, "S");
    expect_word(book, "OPEN");
    decide(book, "Y", "event.held_contested", 1, "S");
    expect_word(book, "HELD-CONSENT-CONTESTED");
    case_book_destroy(book);
}

Test(rows, m2_is_not_raised_by_a_withdrawal_after_the_event)
{
    case_book *book = case_book_prepared();
    case_write(book, "Y", "S", "2017-03-14T15:00", EVENT);
    case_exchange(book, "X", "Y");
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'direct_meeting'"));
    expect_word(book, "OPEN");
    case_book_destroy(book);
}

Test(rows, m3_withdrawn_counts_and_the_person_is_asked_once)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal",
                        "'contact_by_service','direct_meeting','indirect'"));
    case_write(
        book, "Y", "V:ann", "2017-03-14T15:00",
        GIVE("again", "'contact_by_service','direct_meeting','indirect'"));

    cb_case_state *state = case_fold(book);
    const char *sentence = "";
    expect_issue(state, "consent.contested", "M3", "lead");
    expect_issue(state, "consent.ask_once", "M3", "lead");
    cr_expect(case_issues(state, "consent.ask_once") == 1);
    cb_verdict_list *verdicts =
        case_ask(book, state, "event", NULL, "2017-03-16", "facilitator",
                 "{'method':'face_to_face','held':'held',"
                 "'participants':['@ann']}");
    cr_expect(case_outcome(verdicts, "R5", &sentence) == CB_OUTCOME_BLOCKED);
    expect_contains(sentence, "withdrew");
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(rows, m4_a_contact_is_kept_and_marked_by_whether_the_caller_knew)
{
    case_book *book = case_book_prepared();
    static const char call[] =
        "{'op':'create','record':'@call','type':'contact','about':'@ann',"
        "'fields':{'channel':'telephone','direction':'outgoing',"
        "'outcome':'spoke'}}";
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAW("withdrawal", "'contact_by_service'"));
    case_write(book, "Y", "V:ann", "2017-03-14T15:00", call);

    cb_case_state *state = case_fold(book);
    expect_issue(state, "contact.while_withdrawn", "M4", "supervisor");
    cr_expect(strstr((const char *)cb_case_state_text(state).bytes,
                     "contact while withdrawn, not known to caller") != NULL);
    cb_case_state_destroy(state);

    case_exchange(book, "X", "Y");
    case_write(book, "Y", "V:ann", "2017-03-15T15:00",
               "{'op':'create','record':'@call2','type':'contact',"
               "'about':'@ann','fields':{'channel':'telephone',"
               "'direction':'outgoing','outcome':'spoke'}}");
    state = case_fold(book);
    expect_issue(state, "contact.against_consent", "M4", "supervisor");
    cr_expect(case_issues(state, "contact.while_withdrawn") == 1);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(rows, m5_denied_facts_beat_a_preparation_called_ready)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "O:ben", "2017-03-14T14:00",
               "{'op':'create','record':'@denial','type':'acknowledgement',"
               "'about':'@ben','fields':{'level':'none'}}");
    case_write(book, "Y", "O:ben", "2017-03-14T15:00",
               "{'op':'create','record':'@ready','type':'preparation',"
               "'about':'@ben','fields':{'readiness':'ready',"
               "'limits_explained':true}}");

    cb_case_state *state = case_fold(book);
    expect_issue(state, "facts.denied", "M5", "lead");
    cb_verdict_list *verdicts =
        case_ask(book, state, "event", NULL, "2017-03-16", "facilitator",
                 "{'method':'face_to_face','held':'held',"
                 "'participants':['@ann','@ben']}");
    cr_expect(case_outcome(verdicts, "R6", NULL) == CB_OUTCOME_BLOCKED);
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

/* One run of story A2; the clock of Y may be wrong. */
static cb_hash run_story(int64_t wrong_by_ms, char *word, size_t word_size)
{
    case_book *book = case_book_prepared();
    case_skew(book, "Y", wrong_by_ms);
    size_t withdrawal = case_write(book, "X", "V:ann", "2017-03-14T14:00",
                                   WITHDRAW("withdrawal", "'direct_meeting'"));
    size_t plan = case_write(book, "Y", "S", "2017-03-14T14:10",
                             PLAN("plan", "face_to_face"));
    case_exchange(book, "X", "Y");
    case_exchange(book, "Y", "Z");
    cb_case_state *x = case_fold_of(book, "X");
    cb_case_state *z = case_fold_of(book, "Z");
    cb_hash left = cb_case_state_fingerprint(x);
    cb_hash right = cb_case_state_fingerprint(z);
    const char *sentence = "";

    cr_expect(memcmp(&left, &right, sizeof left) == 0);
    snprintf(word, word_size, "%s", cb_case_state_word(x));
    cr_expect(!cb_case_state_knew(x, plan, withdrawal));
    cr_expect(!cb_case_state_knew(x, withdrawal, plan));
    expect_issue(x, "plan.cancel_booking", "M1", "lead");

    cb_verdict_list *verdicts =
        case_ask(book, x, "event", NULL, "2017-03-20", "facilitator",
                 "{'method':'face_to_face','held':'held',"
                 "'participants':['@ann','@ben']}");
    cr_expect(case_outcome(verdicts, "R5", &sentence) == CB_OUTCOME_BLOCKED);
    expect_contains(sentence, "withdrew consent to direct meeting");
    expect_status(CB_RULE, cb_verdict_list_check(verdicts, NULL, test_error()));
    expect_contains(test_error()->what, "2017-03-14 14:00");
    expect_status(CB_PERMISSION,
                  cb_verdict_list_override(verdicts, "R5", NULL, test_error()));
    expect_contains(test_error()->next, "a new consent");
    cr_expect(strchr(test_error()->next, '{') == NULL);
    cb_verdict_list_destroy(verdicts);
    verdicts = case_ask(book, x, "event", NULL, "2017-03-20", "facilitator",
                        "{'method':'letter_delivered','held':'held',"
                        "'participants':['@ann','@ben']}");
    cr_expect(cb_verdict_list_outcome(verdicts) == CB_OUTCOME_ALLOWED);
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(x);
    cb_case_state_destroy(z);
    case_book_destroy(book);
    return left;
}

Test(story, a2_withdrawal_meets_scheduling_with_right_and_wrong_clocks)
{
    char right[80];
    char fast[80];
    run_story(0, right, sizeof right);
    run_story(2 * 3600 * 1000, fast, sizeof fast);
    expect_text(right, "SUSPENDED - CONSENT WITHDRAWN (direct meeting)");
    expect_text(fast, right);
}
