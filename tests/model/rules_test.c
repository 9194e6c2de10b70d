/* SPDX-License-Identifier: Apache-2.0 */
/* The rules by name: allowed, blocked, expired, contested. */
#include "support/case_builder.h"
#include "support/expect.h"

#include <stdlib.h>

#define EVENT \
    "{'method':'face_to_face','held':'held','participants':['@ann','@ben']}"

/* One entry on top of the prepared case, then a question. */
typedef struct row {
    const char *what;
    const char *place; /* NULL: nothing is added */
    const char *operations;
    const char *type;
    const char *about;
    const char *when;
    const char *fields;
    cb_outcome wanted;
    const char *sentence; /* part of it */
} row;

static void check(const char *rule, const row *one)
{
    case_book *book = case_book_prepared();
    if (one->place != NULL) {
        case_write(book, "X", one->place, "2017-03-14T14:00", one->operations);
    }
    cb_case_state *state = case_fold(book);
    const char *sentence = "";
    cb_verdict_list *verdicts = case_ask(book, state, one->type, one->about,
                                         one->when, "facilitator", one->fields);
    cb_outcome got = case_outcome(verdicts, rule, &sentence);
    cr_expect(got == one->wanted, "%s %s: %s, not %s (%s)", rule, one->what,
              cb_outcome_name(got), cb_outcome_name(one->wanted), sentence);
    cr_expect(strstr(sentence, one->sentence) != NULL, "%s %s: '%s'", rule,
              one->what, sentence);
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

#define CHECK_ALL(rule, rows)                                    \
    for (size_t i = 0; i < sizeof(rows) / sizeof *(rows); i++) { \
        check(rule, &(rows)[i]);                                 \
    }

#define NEW_CONSENT(fields)                                          \
    "{'op':'create','record':'@c2','type':'consent','about':'@ann'," \
    "'fields':{'scope':['direct_meeting']," fields "}}"

Test(rules, r5_everybody_consents_to_that_very_method)
{
    static const row rows[] = {
        { "allowed", NULL, NULL, "event", NULL, "2017-03-20", EVENT,
          CB_OUTCOME_ALLOWED, "" },
        { "on the last day", NULL, NULL, "event", NULL, "2017-03-24", EVENT,
          CB_OUTCOME_ALLOWED, "" },
        { "too long ago", NULL, NULL, "event", NULL, "2017-03-25", EVENT,
          CB_OUTCOME_BLOCKED, "last confirmed" },
        { "before it was given", NULL, NULL, "event", NULL, "2017-03-09", EVENT,
          CB_OUTCOME_BLOCKED, "last confirmed" },
        { "another method", NULL, NULL, "event", NULL, "2017-03-20",
          "{'method':'video_link','held':'held','participants':['@ann']}",
          CB_OUTCOME_BLOCKED, "has not consented to video" },
        { "a method that needs none", NULL, NULL, "event", NULL, "2017-03-20",
          "{'method':'conflict_coaching','held':'held',"
          "'participants':['@ann']}",
          CB_OUTCOME_ALLOWED, "" },
        { "no certain method", NULL, NULL, "event", NULL, "2017-03-20",
          "{'held':'held','participants':['@ann']}", CB_OUTCOME_BLOCKED,
          "by which method" },
        { "nobody named", NULL, NULL, "event", NULL, "2017-03-20",
          "{'method':'face_to_face','held':'held'}", CB_OUTCOME_BLOCKED,
          "who takes part" },
        { "somebody unknown", NULL, NULL, "event", NULL, "2017-03-20",
          "{'method':'face_to_face','held':'held','participants':['@eve']}",
          CB_OUTCOME_BLOCKED, "nothing is held here" },
        { "not held", NULL, NULL, "event", NULL, "2017-06-20",
          "{'method':'face_to_face','held':'not_started',"
          "'participants':['@ann']}",
          CB_OUTCOME_ALLOWED, "" },
        { "withdrawn", "V:ann", NEW_CONSENT("'state':'withdrawn'"), "event",
          NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "withdrew" },
        { "refused", "V:ann", NEW_CONSENT("'state':'refused'"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "refused" },
        { "of a newer version", "V:ann", NEW_CONSENT("'state':'paused'"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED,
          "did not clearly give" },
        { "expired", "V:ann",
          NEW_CONSENT("'state':'given','form_version':'3',"
                      "'expires':'2017-03-19'"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "expires" },
        { "expires that day", "V:ann",
          NEW_CONSENT("'state':'given','form_version':'3',"
                      "'expires':'2017-03-20'"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_ALLOWED, "" },
        { "no form", "V:ann", NEW_CONSENT("'state':'given'"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "current form" },
        { "an old form", "V:ann",
          NEW_CONSENT("'state':'given','form_version':'v0'"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "current form" },
        { "confirmed again", "V:ann",
          "{'op':'set','record':'@consent-ann','fields':"
          "{'confirmed_on':'2017-03-28'}}",
          "event", NULL, "2017-04-01",
          "{'method':'face_to_face','held':'held','participants':['@ann']}",
          CB_OUTCOME_ALLOWED, "" },
    };
    CHECK_ALL("R5", rows)
}

#define PLAN_ON(ms)                                             \
    "{'method':'face_to_face','date':{'ms':" ms ",'precision':" \
    "'minute'},'participants':['@ann','@ben']}"

Test(rules, r5_warns_about_a_plan_and_blocks_it_when_somebody_said_no)
{
    static const row rows[] = {
        { "allowed", NULL, NULL, "plan", NULL, "2017-03-11",
          PLAN_ON("1490004000000"), CB_OUTCOME_ALLOWED, "" },
        { "later", NULL, NULL, "plan", NULL, "2017-03-11",
          PLAN_ON("1491004000000"), CB_OUTCOME_WARNED, "last confirmed" },
        { "withdrawn", "V:ann", NEW_CONSENT("'state':'withdrawn'"), "plan",
          NULL, "2017-03-14", PLAN_ON("1490004000000"), CB_OUTCOME_BLOCKED,
          "withdrew" },
        { "missing", NULL, NULL, "plan", NULL, "2017-03-14",
          "{'method':'video_link','date':{'ms':1490004000000,'precision':"
          "'minute'},'participants':['@ann']}",
          CB_OUTCOME_WARNED, "has not consented" },
    };
    CHECK_ALL("R5", rows)
}

Test(rules, r5_contested_consent_blocks)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14",
               NEW_CONSENT("'state':'given',"
                           "'form_version':"
                           "'3'"));
    case_write(book, "Y", "V:ann", "2017-03-14",
               "{'op':'set','record':'@consent-ann','fields':"
               "{'expires':'2017-03-31'}}");
    case_exchange(book, "X", "Y");
    case_write(book, "X", "V:ann", "2017-03-15",
               "{'op':'set','record':'@c2','fields':{'form_version':'4'}}");
    case_write(book, "Y", "V:ann", "2017-03-15",
               "{'op':'set','record':'@c2','fields':{'form_version':'5'}}");
    cb_case_state *state = case_fold(book);
    const char *sentence = "";
    cb_verdict_list *verdicts = case_ask(book, state, "event", NULL,
                                         "2017-03-20", "facilitator", EVENT);
    cr_expect(case_outcome(verdicts, "R5", &sentence) == CB_OUTCOME_BLOCKED);
    expect_contains(sentence, "contested");
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

#define FACTS(fields)                                                        \
    "{'op':'create','record':'@f2','type':'acknowledgement','about':'@ben'," \
    "'fields':" fields "}"

Test(rules, r6_the_facts_are_acknowledged)
{
    static const row rows[] = {
        { "full", NULL, NULL, "event", NULL, "2017-03-20", EVENT,
          CB_OUTCOME_ALLOWED, "" },
        { "partial", "O:ben",
          FACTS("{'level':'partial','facilitator_view':'so'}"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_ALLOWED, "" },
        { "none", "O:ben", FACTS("{'level':'none','facilitator_view':'so'}"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED,
          "does not acknowledge" },
        { "no view", "O:ben", FACTS("{'level':'full'}"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "view" },
        { "struck out", "O:ben", "{'op':'strike','record':'@facts'}", "event",
          NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "nobody recorded" },
        { "without the person responsible", "O:ben", FACTS("{'level':'none'}"),
          "event", NULL, "2017-03-20",
          "{'method':'face_to_face','held':'held','participants':['@ann']}",
          CB_OUTCOME_ALLOWED, "" },
    };
    CHECK_ALL("R6", rows)
}

Test(rules, r6_contested_facts_block)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "O:ben", "2017-03-14",
               FACTS("{'level':'partial','facilitator_view':'so'}"));
    case_write(book, "Y", "O:ben", "2017-03-14",
               "{'op':'create','record':'@f3','type':'acknowledgement',"
               "'about':'@ben','fields':{'level':'full',"
               "'facilitator_view':'so'}}");
    cb_case_state *state = case_fold(book);
    const char *sentence = "";
    cb_verdict_list *verdicts = case_ask(book, state, "event", NULL,
                                         "2017-03-20", "facilitator", EVENT);
    cr_expect(case_outcome(verdicts, "R6", &sentence) == CB_OUTCOME_BLOCKED);
    expect_contains(sentence, "contested");
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

#define RISK(fields)                                                             \
    "{'op':'create','record':'@risk2','type':'risk_assessment','fields':" fields \
    "}"

Test(rules, r8_the_second_risk_assessment_is_in_date)
{
    static const row rows[] = {
        { "allowed", NULL, NULL, "event", NULL, "2017-03-20", EVENT,
          CB_OUTCOME_ALLOWED, "" },
        { "28 days", NULL, NULL, "event", NULL, "2017-04-07", EVENT,
          CB_OUTCOME_ALLOWED, "" },
        { "29 days", NULL, NULL, "event", NULL, "2017-04-08", EVENT,
          CB_OUTCOME_BLOCKED, "not in date" },
        { "complex, 15 days", "A",
          "{'op':'set','record':'@referral','fields':"
          "{'flags':['domestic_abuse']}}",
          "event", NULL, "2017-03-25", EVENT, CB_OUTCOME_BLOCKED,
          "14 days in this case" },
        { "very high", "R",
          RISK("{'stage':'second','overall':'VH',"
               "'assessed_on':'2017-03-14'}"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "very high" },
        { "high", "R",
          RISK("{'stage':'second','overall':'H','assessed_on':'2017-03-14'}"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED,
          "signed it off" },
        { "only a first one", "R",
          RISK("{'stage':'initial','overall':'L',"
               "'assessed_on':'2017-03-14'}"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "no second" },
        { "its own end", "R",
          RISK("{'stage':'second','overall':'L','assessed_on':'2017-03-14',"
               "'valid_until':'2017-03-19'}"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED,
          "not in date" },
        { "struck out", "R", "{'op':'strike','record':'@risk'}", "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "no risk assessment" },
    };
    CHECK_ALL("R8", rows)
}

Test(rules, r8_a_sign_off_holds_until_the_assessment_changes)
{
    case_book *book = case_book_prepared();
    static const char sign[] =
        "{'op':'create','record':'@s1','type':'sign_off','fields':"
        "{'subject':'risk_assessment','record':'@risk2','version_hash':"
        "'@va@vb','decision':'approved'}}";
    case_write(book, "X", "R", "2017-03-14",
               RISK("{'stage':'second','overall':'H',"
                    "'assessed_on':'2017-03-14'}"));
    case_role(book, "X", "supervisor");
    case_write(book, "X", "W", "2017-03-15", sign);
    for (int changed = 0; changed < 2; changed++) {
        cb_case_state *state = case_fold(book);
        cb_verdict_list *verdicts = case_ask(
            book, state, "event", NULL, "2017-03-20", "facilitator", EVENT);
        cr_expect(case_outcome(verdicts, "R8", NULL) ==
                      (changed ? CB_OUTCOME_BLOCKED : CB_OUTCOME_ALLOWED),
                  "changed %d", changed);
        cb_verdict_list_destroy(verdicts);
        cb_case_state_destroy(state);
        case_write(book, "Y", "R", "2017-03-14",
                   "{'op':'set','record':'@risk2','fields':"
                   "{'factor_self_harm':'2'}}");
        case_exchange(book, "X", "Y");
    }
    case_book_destroy(book);
}

#define CONCERN(about, status)                                               \
    "{'op':'create','record':'@concern','type':'safeguarding_concern'" about \
    ",'fields':{'group':'adult','category':['other'],'details':'d',"         \
    "'status':'" status "'}}"

Test(rules, r9_no_event_while_a_safeguarding_concern_is_open)
{
    static const row rows[] = {
        { "none", NULL, NULL, "event", NULL, "2017-03-20", EVENT,
          CB_OUTCOME_ALLOWED, "" },
        { "open", "R", CONCERN(",'about':'@ann'", "open"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "is open" },
        { "closed", "R", CONCERN(",'about':'@ann'", "closed"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_ALLOWED, "" },
        { "about nobody in particular", "R", CONCERN("", "open"), "event", NULL,
          "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "in this case" },
        { "about somebody else", "R", CONCERN(",'about':'@eve'", "open"),
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_ALLOWED, "" },
    };
    CHECK_ALL("R9", rows)
}

Test(rules, r9_only_the_designated_lead_overrides)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "R", "2017-03-14",
               CONCERN(",'about':'@ann'", "open"));
    cb_case_state *state = case_fold(book);
    cb_verdict_list *verdicts = case_ask(book, state, "event", NULL,
                                         "2017-03-20", "facilitator", EVENT);
    expect_status(CB_PERMISSION,
                  cb_verdict_list_override(verdicts, "R9", NULL, test_error()));
    cr_expect(case_outcome(verdicts, "R9", NULL) == CB_OUTCOME_BLOCKED);
    cb_verdict_list_destroy(verdicts);
    verdicts = case_ask(book, state, "event", NULL, "2017-03-20",
                        "designated_lead", EVENT);
    expect_status(CB_NOT_FOUND,
                  cb_verdict_list_override(verdicts, "R8", NULL, test_error()));
    expect_ok(cb_verdict_list_override(verdicts, "R9", NULL, test_error()));
    expect_ok(cb_verdict_list_check(verdicts, NULL, test_error()));
    json_t *body = NULL;
    expect_ok(cb_verdict_list_body(verdicts, &body, test_error()));
    char *text = json_dumps(body, JSON_SORT_KEYS | JSON_COMPACT);
    expect_contains(text, "{\"outcome\":\"overridden\",\"rule\":\"R9\"}");
    expect_contains(text, "{\"outcome\":\"allowed\",\"rule\":\"R5\"}");
    free(text);
    json_decref(body);
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(rules, r4_limits_are_explained_before_anything_is_written_down)
{
    static const row rows[] = {
        { "explained", NULL, NULL, "event", NULL, "2017-03-20", EVENT,
          CB_OUTCOME_ALLOWED, "" },
        { "never", "V:ann", "{'op':'strike','record':'@prep-ann'}", "event",
          NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED, "nobody recorded" },
        { "later notes", "V:ann",
          "{'op':'create','record':'@p2','type':'preparation','about':'@ann',"
          "'fields':{'notes':'n'}}",
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_ALLOWED, "" },
        { "taken back", "V:ann",
          "{'op':'set','record':'@prep-ann','fields':"
          "{'limits_explained':false,'notes':'n'}}",
          "event", NULL, "2017-03-20", EVENT, CB_OUTCOME_BLOCKED,
          "before the limits" },
        { "a preparation with notes", NULL, NULL, "preparation", "ann",
          "2017-03-20", "{'notes':'n'}", CB_OUTCOME_WARNED, "limits" },
        { "one without", NULL, NULL, "preparation", "ann", "2017-03-20",
          "{'notes':'n','limits_explained':true}", CB_OUTCOME_ALLOWED, "" },
    };
    CHECK_ALL("R4", rows)
}

#define CALL "{'channel':'telephone','direction':'outgoing','outcome':'spoke'}"
#define BY_OFFENDER \
    "{'op':'set','record':'@referral','fields':{'initiated_by':'offender'"

Test(rules, r3_the_offender_is_not_approached_before_a_harmed_person_agrees)
{
    static const row rows[] = {
        { "agreed", NULL, NULL, "contact", "ben", "2017-03-14", CALL,
          CB_OUTCOME_ALLOWED, "" },
        { "withdrawn", "V:ann",
          "{'op':'create','record':'@c2','type':'consent','about':'@ann',"
          "'fields':{'scope':['approach_other_party'],"
          "'state':'withdrawn'}}",
          "contact", "ben", "2017-03-14", CALL, CB_OUTCOME_BLOCKED,
          "approach the other party" },
        { "who calls us", "V:ann",
          "{'op':'create','record':'@c2','type':'consent','about':'@ann',"
          "'fields':{'scope':['approach_other_party'],'state':'refused'}}",
          "contact", "ben", "2017-03-14",
          "{'channel':'telephone','direction':'incoming','outcome':'spoke'}",
          CB_OUTCOME_ALLOWED, "" },
        { "a preparation", "V:ann",
          "{'op':'create','record':'@c2','type':'consent','about':'@ann',"
          "'fields':{'scope':['approach_other_party'],'state':'refused'}}",
          "preparation", "ben", "2017-03-14", "{}", CB_OUTCOME_BLOCKED,
          "approach the other party" },
        { "the harmed person", NULL, NULL, "contact", "ann", "2017-03-14", CALL,
          CB_OUTCOME_ALLOWED, "" },
    };
    CHECK_ALL("R3", rows)
}

/* Begun by the person responsible, and nobody has agreed to anything yet. */
static case_book *book_by_offender(void)
{
    case_book *book = case_book_create();
    case_role(book, "X", "supervisor");
    case_write(book, "X", "A", "2017-03-01",
               "{'op':'create','record':'@referral','type':'referral',"
               "'fields':{'received':'2017-03-01','source':'prison_omu',"
               "'stage':'post_sentence_custody','initiated_by':'offender'}}");
    case_write(book, "X", "V:ann", "2017-03-01",
               "{'op':'create','record':'@ann','type':'person','fields':"
               "{'role':'victim','name':'Ann'}}");
    case_write(book, "X", "O:ben", "2017-03-01",
               "{'op':'create','record':'@ben','type':'person','fields':"
               "{'role':'offender','name':'Ben'}}");
    return book;
}

static void expect_r3(case_book *book, const char *type, const char *about,
                      const char *role, const char *fields, cb_outcome wanted,
                      const char *part)
{
    cb_case_state *state = case_fold(book);
    const char *sentence = "";
    cb_verdict_list *verdicts =
        case_ask(book, state, type, about, "2017-03-14", role, fields);
    cb_outcome got = case_outcome(verdicts, "R3", &sentence);
    cr_expect(got == wanted, "%s %s: %s %s", type, fields, cb_outcome_name(got),
              sentence);
    expect_contains(sentence, part);
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
}

Test(rules, r3_begun_by_the_offender_the_harmed_person_is_reached_by_agency)
{
    static const char by_agency[] =
        "{'channel':'through_agency','direction':'outgoing',"
        "'outcome':'spoke'}";
    case_book *book = book_by_offender();
    expect_r3(book, "contact", "ben", "facilitator", CALL, CB_OUTCOME_ALLOWED,
              "");
    expect_r3(book, "contact", "ann", "facilitator", by_agency,
              CB_OUTCOME_BLOCKED, "agency route");
    case_write(book, "X", "A", "2017-03-02",
               "{'op':'set','record':'@referral','fields':"
               "{'victim_contact_route':'VLO'}}");
    expect_r3(book, "contact", "ann", "facilitator", by_agency,
              CB_OUTCOME_BLOCKED, "initial risk");
    case_write(book, "X", "R", "2017-03-02",
               RISK("{'stage':'initial','overall':'L'}"));
    expect_r3(book, "contact", "ann", "facilitator", by_agency,
              CB_OUTCOME_ALLOWED, "");
    expect_r3(book, "contact", "ann", "facilitator", CALL, CB_OUTCOME_BLOCKED,
              "only by the agency");
    case_write(book, "X", "V:ann", "2017-03-03",
               "{'op':'create','record':'@c1','type':'consent','about':'@ann',"
               "'fields':{'scope':['contact_by_service'],'state':'given'}}");
    expect_r3(book, "contact", "ann", "facilitator", CALL, CB_OUTCOME_ALLOWED,
              "");
    case_book_destroy(book);
}

Test(rules, r3_the_offender_side_learns_nothing_until_a_supervisor_releases)
{
    static const char telling[] =
        "{'channel':'telephone','direction':'outgoing','outcome':'spoke',"
        "'tells_other_side':true}";
    static const char plan[] =
        "{'method':'face_to_face','date':{'ms':1490004000000,'precision':"
        "'minute'},'participants':['@ann','@ben']}";
    case_book *book = book_by_offender();
    expect_r3(book, "contact", "ben", "facilitator", telling,
              CB_OUTCOME_BLOCKED, "released");
    expect_r3(book, "plan", NULL, "facilitator", plan, CB_OUTCOME_BLOCKED,
              "released");
    expect_r3(book, "side_release", "ann", "facilitator",
              "{'state':'released'}", CB_OUTCOME_BLOCKED, "only a supervisor");
    expect_r3(book, "side_release", "ann", "supervisor", "{'state':'released'}",
              CB_OUTCOME_ALLOWED, "");
    case_write(book, "X", "W", "2017-03-05",
               "{'op':'create','record':'@r1','type':'side_release',"
               "'about':'@ann','fields':{'state':'released'}}");
    expect_r3(book, "contact", "ben", "facilitator", telling,
              CB_OUTCOME_ALLOWED, "");
    expect_r3(book, "plan", NULL, "facilitator", plan, CB_OUTCOME_ALLOWED, "");
    case_book_destroy(book);
}

Test(rules, r3_where_it_is_contested_who_began_both_halves_hold)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "A", "2017-03-14", BY_OFFENDER "}}");
    case_write(book, "Y", "A", "2017-03-14",
               "{'op':'set','record':'@referral','fields':"
               "{'initiated_by':'agency'}}");
    expect_r3(book, "plan", NULL, "facilitator",
              "{'participants':['@ann','@ben']}", CB_OUTCOME_BLOCKED,
              "released");
    case_book_destroy(book);
}

Test(rules, keep_both_answers_about_what_is_there)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               NEW_CONSENT("'state':'withdrawn'"));
    case_write(book, "Y", "S", "2017-03-14T15:00",
               "{'op':'create','record':'@event','type':'event','fields':" EVENT
               "}");
    cb_case_state *state = case_fold(book);
    expect_contains((const char *)cb_case_state_text(state).bytes,
                    "{\"known\":\"allowed\",\"now\":\"blocked\"");
    cb_case_state_destroy(state);

    /* What is recorded in knowledge of an event does not judge it. */
    case_book *other = case_book_prepared();
    case_write(other, "Y", "S", "2017-03-14T15:00",
               "{'op':'create','record':'@event','type':'event','fields':" EVENT
               "}");
    case_write(other, "Y", "R", "2017-03-20",
               RISK("{'stage':'post','overall':'VH'}"));
    state = case_fold(other);
    expect_contains((const char *)cb_case_state_text(state).bytes,
                    "\"verdicts\":[]");
    cb_case_state_destroy(state);
    case_book_destroy(other);
    case_book_destroy(book);
}
