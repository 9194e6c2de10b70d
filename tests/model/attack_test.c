/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that holds keys of the case and follows no rule: M.  Its entries can
 * have any hash, since it may try until one is low enough.
 */
#include "base/json.h"
#include "support/case_builder.h"
#include "support/case_twice.h"
#include "support/expect.h"

#include <stdlib.h>
#include <time.h>

#define PLAN                                                  \
    "{'op':'create','record':'@plan','type':'plan','fields':" \
    "{'method':'face_to_face','date':{'ms':1490004000000,"    \
    "'precision':'minute'},'participants':['@ann','@ben']}}"
#define WITHDRAWAL(scopes)                                           \
    "{'op':'create','record':'@no','type':'consent','about':'@ann'," \
    "'fields':{'scope':[" scopes "],'state':'withdrawn'}}"
#define EVENT                                                                 \
    "{'op':'create','record':'@event','type':'event',"                        \
    "'fields':{'method':'face_to_face','held':'held','participants':['@ann'," \
    "'@ben']}}"
#define SUSPENDED "SUSPENDED - CONSENT WITHDRAWN (direct meeting)"

/* A plan, and then a withdrawal in knowledge of it. */
static case_book *book_withdrawn(void)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "S", "2017-03-14T13:00", PLAN);
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAWAL("'direct_meeting'"));
    return book;
}

/* By a device that names nothing it knew, under a hash of its choice. */
static size_t attack(case_book *book, const char *place, const char *operations,
                     int first_byte)
{
    size_t fact = case_write(book, "M", place, "2017-03-14T15:00", operations);
    json_object_set_new(case_body(book, fact), "deps", json_array());
    case_facts(book)[fact].entry.bytes[0] = (uint8_t)first_byte;
    return fact;
}

static void expect_state(case_book *book, const char *word, const char *kind)
{
    cb_case_state *state = case_fold(book);
    expect_text(cb_case_state_word(state), word);
    if (kind != NULL) {
        cr_expect(case_issue(state, kind) != NULL, "no %s", kind);
    }
    cb_case_state_destroy(state);
}

static double seconds_of(const cb_model *model, const cb_fact *facts,
                         size_t count)
{
    struct timespec start;
    struct timespec end;
    cb_case_state *state = NULL;
    clock_gettime(CLOCK_MONOTONIC, &start);
    expect_ok(cb_fold(model, facts, count, &state, test_error()));
    clock_gettime(CLOCK_MONOTONIC, &end);
    cb_case_state_destroy(state);
    return (double)(end.tv_sec - start.tv_sec) +
           (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

Test(attack, an_entry_that_names_too_many_causes_counts_all_the_same)
{
    case_book *book = book_withdrawn();
    size_t last = case_count(book) - 1;
    json_t *heads = json_array();
    for (int i = 0; i < 2 * CB_DEPENDENCIES_MAX; i++) {
        json_array_append_new(heads, json_sprintf("%064x", i));
    }
    json_array_insert_new(json_object_get(case_body(book, last), "deps"), 0,
                          json_pack("{s:s,s:o}", "class", "C", "heads", heads));
    expect_state(book, SUSPENDED, "entry.too_many_causes");
    case_book_destroy(book);
}

Test(attack, a_person_put_on_the_other_side_too_keeps_what_she_said)
{
    for (int first_byte = 0; first_byte <= 255; first_byte += 255) {
        case_book *book = book_withdrawn();
        attack(book, "O:ann",
               "{'op':'create','record':'@ann','type':'person','fields':"
               "{'role':'offender'}}",
               first_byte);
        expect_state(book, SUSPENDED, "person.two_sides");
        expect_state(book, SUSPENDED, "record.created_twice");
        /* Nor does a consent on that side replace the withdrawal on this. */
        case_write(
            book, "X", "O:ann", "2017-03-15",
            "{'op':'create','record':'@yes','type':'consent','about':'@ann',"
            "'fields':{'scope':['direct_meeting'],'state':'given'}}");
        expect_state(book, SUSPENDED, "person.two_sides");
        /* What she says after that counts as well. */
        case_write(book, "X", "V:ann", "2017-03-16",
                   "{'op':'create','record':'@yes2','type':'consent',"
                   "'about':'@ann','fields':{'scope':['direct_meeting'],"
                   "'state':'given'}}");
        case_write(book, "X", "V:ann", "2017-03-17",
                   "{'op':'set','record':'@yes2','fields':"
                   "{'state':'withdrawn'}}");
        expect_state(book, SUSPENDED, NULL);
        case_book_destroy(book);
    }
}

Test(attack, a_withdrawal_that_is_created_again_stays_withdrawn)
{
    static const struct {
        const char *place;
        const char *operations;
    } rows[] = {
        { "V:ann",
          "{'op':'create','record':'@no','type':'consent','about':'@ann',"
          "'fields':{'scope':['direct_meeting'],'state':'given'}}" },
        { "V:ann",
          "{'op':'create','record':'@no','type':'consent','about':'@ann',"
          "'fields':{'scope':['storage'],'state':'given'}}" },
        { "V:ann",
          "{'op':'create','record':'@no','type':'contact','about':'@ann',"
          "'fields':{'channel':'letter','direction':'incoming'}}" },
        { "R",
          "{'op':'create','record':'@no','type':'risk_assessment','fields':"
          "{'stage':'second','overall':'L'}}" },
        { "S", "{'op':'create','record':'@no','type':'hologram','fields':{}}" },
        { "V:eve",
          "[{'op':'create','record':'@eve','type':'person','fields':"
          "{'role':'victim'}},{'op':'create','record':'@no','type':'consent',"
          "'about':'@eve','fields':{'scope':['direct_meeting'],"
          "'state':'given'}}]" },
        { "R",
          "[{'op':'create','record':'@no','type':'risk_assessment','fields':{}},"
          "{'op':'strike','record':'@no'}]" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int first_byte = 0; first_byte <= 255; first_byte += 255) {
            case_book *book = book_withdrawn();
            attack(book, rows[i].place, rows[i].operations, first_byte);
            expect_state(book, SUSPENDED, "record.created_twice");
            case_book_destroy(book);
        }
    }
}

Test(attack, a_flood_of_creations_under_one_id_pushes_no_other_out)
{
    case_book *book = book_withdrawn();
    for (int i = 0; i < 40; i++) {
        char ops[300];
        snprintf(ops, sizeof ops,
                 "{'op':'create','record':'@no','type':'risk_assessment',"
                 "'about':'@p%d','fields':{'overall':'L'}}",
                 i);
        attack(book, "R", ops, 0);
    }
    expect_state(book, SUSPENDED, "record.created_twice");
    case_write(book, "X", "V:ann", "2017-03-17",
               "{'op':'set','record':'@no','fields':{'own_words':'a'}}");
    expect_state(book, SUSPENDED, NULL);
    case_book_destroy(book);
}

Test(attack, invented_scopes_do_not_hide_the_one_withdrawn)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "S", "2017-03-14T13:00", PLAN);
    size_t fact = case_write(book, "X", "V:ann", "2017-03-14T14:00",
                             WITHDRAWAL("'direct_meeting'"));
    json_t *op =
        json_array_get(json_object_get(case_body(book, fact), "ops"), 0);
    json_t *scopes = json_object_get(json_object_get(op, "fields"), "scope");
    for (int i = 0; i < 1000; i++) {
        json_array_insert_new(scopes, 0, json_sprintf("aa%d", i));
        json_array_append_new(scopes, json_sprintf("zz%d", i));
    }
    expect_state(book, SUSPENDED, "newer.value");
    case_book_destroy(book);
}

Test(attack, thirty_thousand_records_of_one_register_take_little_time)
{
    case_book *book = case_book_prepared();

    enum {
        ENTRIES = 480,
        EACH = 64
    };

    cb_fact *facts = calloc(case_count(book) + ENTRIES, sizeof *facts);
    json_t *bodies[ENTRIES];
    size_t count = case_count(book);
    cr_assert(facts != NULL);
    memcpy(facts, case_facts(book), count * sizeof *facts);
    json_t *plan = case_json(PLAN);
    for (size_t i = 0; i < ENTRIES; i++) {
        json_t *ops = json_array();
        for (size_t k = 0; k < EACH; k++) {
            json_t *one = json_copy(plan);
            json_object_set_new(
                one, "record",
                json_sprintf("%032x", (unsigned)(i * EACH + k + 1)));
            json_array_append_new(ops, one);
        }
        bodies[i] = json_copy(case_body(book, 0));
        json_object_set_new(bodies[i], "ops", ops);
        json_object_set_new(bodies[i], "deps", json_array());
        json_object_set_new(bodies[i], "compartment",
                            json_pack("{s:s}", "class", "S"));
        facts[count] = facts[0];
        facts[count].seq = 1000 + i;
        facts[count].body = bodies[i];
        facts[count].entry.bytes[0] = (uint8_t)i;
        facts[count].entry.bytes[1] = (uint8_t)(i >> 8);
        facts[count].entry.bytes[2] ^= 1;
        count++;
    }
    double seconds = seconds_of(case_model(book), facts, count);
    cr_expect(seconds < 20, "a fold of %d plans takes %.2f s", ENTRIES * EACH,
              seconds);
    for (size_t i = 0; i < ENTRIES; i++) {
        json_decref(bodies[i]);
    }
    json_decref(plan);
    free(facts);
    case_book_destroy(book);
}

Test(attack, a_decision_that_names_less_than_the_conflict_decides_nothing)
{
    case_book *book = case_book_prepared();
    case_role(book, "X", "coordinator");
    size_t a = case_write(book, "X", "W", "2017-03-14",
                          "{'op':'create','record':'@a1','type':'allocation',"
                          "'fields':{'lead':'@x'}}");
    size_t b = case_write(book, "Y", "W", "2017-03-14",
                          "{'op':'create','record':'@a2','type':'allocation',"
                          "'fields':{'lead':'@y'}}");
    case_exchange(book, "X", "Y");
    cb_case_state *state = case_fold(book);
    const cb_issue *issue = case_issue(state, "register.exclusive");
    cr_assert(issue != NULL);
    for (int named = 0; named < 4; named++) {
        json_t *op = NULL;
        expect_ok(cb_case_state_resolution(state, issue, 0, &op, test_error()));
        char text[CB_HASH_TEXT_BYTES];
        json_t *heads = json_array();
        if ((named & 1) != 0) {
            cb_hex_format(case_facts(book)[a].entry.bytes, CB_HASH_BYTES, text);
            json_array_append_new(heads, json_string(text));
        }
        if ((named & 2) != 0) {
            cb_hex_format(case_facts(book)[b].entry.bytes, CB_HASH_BYTES, text);
            json_array_append_new(heads, json_string(text));
        }
        json_object_set_new(op, "heads", heads);
        char *words = json_dumps(op, JSON_COMPACT);
        case_write(book, "X", "W", "2017-03-15", words);
        expect_state(book, named == 3 ? "OPEN" : "ALLOCATION CONTESTED",
                     named == 0 ? "decision.empty" : NULL);
        free(words);
        json_decref(op);
    }
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(attack,
     a_counter_decision_leaves_the_conflict_standing_and_a_later_ends_it)
{
    case_book *book = case_book_prepared();
    case_role(book, "X", "coordinator");
    case_role(book, "Y", "coordinator");
    case_write(book, "X", "W", "2017-03-14",
               "{'op':'create','record':'@a1','type':'allocation','fields':"
               "{'lead':'@x'}}");
    case_write(book, "Y", "W", "2017-03-14",
               "{'op':'create','record':'@a2','type':'allocation','fields':"
               "{'lead':'@y'}}");
    case_exchange(book, "X", "Y");
    for (int round = 0; round < 3; round++) {
        cb_case_state *state = case_fold(book);
        const cb_issue *issue = case_issue(state, "register.exclusive");
        cr_assert(issue != NULL);
        for (size_t side = 0; side < (round == 1 ? 1 : 2); side++) {
            json_t *op = NULL;
            expect_ok(cb_case_state_resolution(state, issue, side, &op,
                                               test_error()));
            char *words = json_dumps(op, JSON_COMPACT);
            case_write(book, side == 0 ? "X" : "Y", "W", "2017-03-15", words);
            free(words);
            json_decref(op);
        }
        cb_case_state_destroy(state);
        case_exchange(book, "X", "Y");
        expect_state(book, round == 1 ? "OPEN" : "ALLOCATION CONTESTED", NULL);
        if (round == 1) {
            break;
        }
    }
    case_book_destroy(book);
}

Test(attack, without_the_role_nothing_is_decided_released_or_approved)
{
    static const struct {
        const char *role;
        const char *finding;
    } rows[] = { { "facilitator", "role.missing" }, { "supervisor", NULL } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        case_book *book = case_book_prepared();
        case_role(book, "X", rows[i].role);
        case_write(book, "X", "W", "2017-03-14",
                   "{'op':'create','record':'@r','type':'side_release',"
                   "'about':'@ann','fields':{'state':'released'}}");
        cb_case_state *state = case_fold(book);
        cr_expect((case_issue(state, "role.missing") == NULL) ==
                  (rows[i].finding == NULL));
        cb_case_state_destroy(state);
        case_write(book, "X", "W", "2017-03-15",
                   "{'op':'set','record':'@r','fields':"
                   "{'state':'held_back'}}");
        state = case_fold(book);
        json_t *document = NULL;
        expect_ok(cb_case_state_document(state, &document, test_error()));
        char *text =
            json_dumps(json_object_get(document, "records"), JSON_COMPACT);
        cr_expect(strstr(text, "\"held_back\"") != NULL);
        free(text);
        json_decref(document);
        cb_case_state_destroy(state);
        case_book_destroy(book);
    }
}

Test(attack, an_override_takes_the_role_too)
{
    for (int entitled = 0; entitled < 2; entitled++) {
        case_book *book = case_book_prepared();
        case_write(book, "X", "R", "2017-03-14",
                   "{'op':'create','record':'@worry','type':"
                   "'safeguarding_concern','about':'@ann','fields':{'group':"
                   "'adult','status':'open','details':'a'}}");
        if (entitled) {
            case_role(book, "X", "designated_lead");
        }
        case_write(book, "X", "S", "2017-03-15",
                   "[" EVENT
                   ",{'op':'override','record':'@event','rule':'R9'}]");
        cb_case_state *state = case_fold(book);
        cr_expect((case_issue(state, "role.missing") != NULL) == !entitled);
        bool reported = false;
        for (size_t i = 0; i < cb_case_state_issue_count(state); i++) {
            const cb_issue *issue = cb_case_state_issue(state, i);
            reported = reported || (strncmp(issue->kind, "rule.", 5) == 0 &&
                                    strcmp(issue->field, "R9") == 0);
        }
        cr_expect(reported == !entitled);
        cb_case_state_destroy(state);
        case_book_destroy(book);
    }
}

Test(attack, a_case_too_full_to_judge_is_reported_and_blocks)
{
    case_book *book = case_book_prepared();
    for (int entry = 0; entry < 9; entry++) {
        char text[64 * 200] = "[";
        size_t size = 1;
        for (int i = 0; i < 64; i++) {
            size += (size_t)snprintf(
                text + size, sizeof text - size,
                "%s{'op':'create','record':'@k%d-%d','type':'contact',"
                "'about':'@ann','fields':{'channel':'letter',"
                "'direction':'incoming'}}",
                i > 0 ? "," : "", entry, i);
        }
        snprintf(text + size, sizeof text - size, "]");
        attack(book, "V:ann", text, 0);
    }
    cb_case_state *state = case_fold(book);
    cr_expect(case_issue(state, "rules.not_all_judged") != NULL);
    cb_verdict_list *verdicts =
        case_ask(book, state, "event", NULL, "2017-03-16", "facilitator",
                 "{'method':'face_to_face','held':'held','participants':"
                 "['@ann','@ben']}");
    const char *sentence = "";
    cr_expect(case_outcome(verdicts, "R5", &sentence) == CB_OUTCOME_BLOCKED);
    expect_contains(sentence, "more than the rules can look at");
    cb_verdict_list_destroy(verdicts);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(attack, only_the_latest_decisions_have_to_agree)
{
    case_book *book = case_book_prepared();
    case_role(book, "X", "supervisor");
    case_role(book, "Y", "supervisor");
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               WITHDRAWAL("'direct_meeting'"));
    case_write(book, "Y", "S", "2017-03-14T15:00", EVENT);
    case_exchange(book, "X", "Y");
    cb_case_state *state = case_fold(book);
    const cb_issue *issue = case_issue(state, "event.held_contested");
    cr_assert(issue != NULL);

    static const struct {
        const char *device;
        size_t choice;
    } rows[] = { { "X", 1 }, { "X", 0 }, { "Y", 0 } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *op = NULL;
        expect_ok(cb_case_state_resolution(state, issue, rows[i].choice, &op,
                                           test_error()));
        char *text = json_dumps(op, JSON_COMPACT);
        case_write(book, rows[i].device, "S", "2017-03-16", text);
        free(text);
        json_decref(op);
    }
    cb_case_state_destroy(state);
    /* Whichever of the two latest lies first in the order. */
    size_t last = case_count(book) - 1;
    for (int first_byte = 0; first_byte <= 255; first_byte += 255) {
        case_facts(book)[last].entry.bytes[0] = (uint8_t)first_byte;
        expect_state(book, "OPEN", NULL);
    }
    case_book_destroy(book);
}

Test(attack, moments_that_nobody_can_mean_are_not_known)
{
    static const json_int_t moments[] = { INT64_MIN, INT64_MAX, INT64_MIN + 1,
                                          -3000000000000000, 8000000000000000 };
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        case_book *book = case_book_prepared();
        for (size_t k = 0; k < case_count(book); k++) {
            json_object_set_new(json_object_get(case_body(book, k), "happened"),
                                "ms", json_integer(moments[i]));
        }
        size_t plan = case_write(book, "X", "S", "2017-03-14T13:00", PLAN);
        json_t *op =
            json_array_get(json_object_get(case_body(book, plan), "ops"), 0);
        json_object_set_new(
            json_object_get(json_object_get(op, "fields"), "date"), "ms",
            json_integer(moments[i]));
        case_write(book, "X", "S", "2017-03-14T14:00", EVENT);
        cb_case_state *state = case_fold(book);
        cb_verdict_list *verdicts =
            case_ask(book, state, "event", NULL, "2017-03-20", "facilitator",
                     "{'method':'face_to_face','held':'held','participants':"
                     "['@ann','@ben']}");
        cr_expect(cb_verdict_list_count(verdicts) > 0);
        cb_verdict_list_destroy(verdicts);
        cb_case_state_destroy(state);
        case_book_destroy(book);
    }
}

Test(attack, what_is_too_long_is_not_repeated_in_a_conflict)
{
    case_book *book = case_book_prepared();
    static const char *const lengths[] = { "X", "Y" };
    for (size_t i = 0; i < 2; i++) {
        char *text = malloc(30001);
        cr_assert(text != NULL);
        memset(text, i == 0 ? 'q' : 'w', 30000);
        text[i == 0 ? 30000 : 400] = '\0';
        size_t fact = case_write(book, lengths[i], "A", "2017-03-14",
                                 "{'op':'set','record':'@referral','fields':"
                                 "{'source':'btp','summary':'a'}}");
        json_t *op =
            json_array_get(json_object_get(case_body(book, fact), "ops"), 0);
        json_object_set_new(json_object_get(op, "fields"), "source",
                            json_string(text));
        free(text);
    }
    cb_case_state *state = case_fold(book);
    const cb_issue *issue = case_issue(state, "field.multi");
    cr_assert(issue != NULL && issue->choice_count == 2);
    json_t *document = NULL;
    expect_ok(cb_case_state_document(state, &document, test_error()));
    char *text = json_dumps(json_object_get(document, "issues"), JSON_COMPACT);
    cr_expect(strstr(text, "qqqqqqqqqq") == NULL);
    cr_expect(strstr(text, "wwwwwwwwww") == NULL);
    cr_expect(strstr(text, "\"newer\":true") != NULL);
    free(text);
    json_decref(document);
    cr_expect(case_issue(state, "newer.value") != NULL);
    json_t *op = NULL;
    expect_ok(cb_case_state_resolution(state, issue, 0, &op, test_error()));
    cr_expect(
        json_equal(json_object_get(op, "value"), issue->choices[0].value));
    json_decref(op);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(attack, more_values_than_anybody_can_choose_between_are_cut)
{
    case_book *book = case_book_prepared();
    for (int i = 0; i < 50; i++) {
        char ops[200];
        snprintf(ops, sizeof ops,
                 "{'op':'set','record':'@referral','fields':{'source':"
                 "'x%d'}}",
                 i);
        attack(book, "A", ops, i);
    }
    cb_case_state *state = case_fold(book);
    const cb_issue *issue = case_issue(state, "field.multi");
    cr_assert(issue != NULL);
    cr_expect_eq(issue->choice_count, 32);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(attack, whatever_is_created_again_folds_alike_in_every_order)
{
    case_book *book = book_withdrawn();
    case_role(book, "X", "supervisor");
    for (int i = 0; i < 24; i++) {
        char ops[300];
        snprintf(ops, sizeof ops,
                 "{'op':'create','record':'@no','type':'%s','about':'@p%d',"
                 "'fields':{'overall':'L','scope':['direct_meeting'],"
                 "'state':'given'}}",
                 i % 3 == 0   ? "risk_assessment"
                 : i % 3 == 1 ? "consent"
                              : "hologram",
                 i / 4);
        char place[16];
        snprintf(place, sizeof place, i % 3 == 1 ? "V:p%d" : "R", i / 4);
        attack(book, place, ops, i * 37);
        if (i % 5 == 0) {
            case_write(book, "X", "V:ann", "2017-03-18",
                       "{'op':'set','record':'@no','fields':"
                       "{'own_words':'b'}}");
        }
    }
    size_t count = case_count(book);
    cb_case_state *state = case_fold(book);
    cb_hash wanted = cb_case_state_fingerprint(state);
    cb_case_state_destroy(state);
    cb_fact *facts = calloc(count, sizeof *facts);
    cr_assert(facts != NULL);
    for (size_t step = 1; step < count; step += 2) {
        for (size_t i = 0; i < count; i++) {
            facts[i] = case_facts(book)[(count - 1 - i + step) % count];
        }
        expect_ok(case_fold_twice(case_model(book), facts, count, &state,
                                  test_error()));
        cb_hash got = cb_case_state_fingerprint(state);
        cr_expect(memcmp(&got, &wanted, sizeof got) == 0, "step %zu", step);
        cb_case_state_destroy(state);
    }
    free(facts);
    expect_state(book, SUSPENDED, "record.created_twice");
    case_book_destroy(book);
}
