/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that nobody honest would write, and large random cases. */
#include "base/json.h"
#include "support/case_builder.h"
#include "support/case_twice.h"
#include "support/expect.h"

#include <stdlib.h>
#include <time.h>

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

static uint64_t find_seed(void)
{
    const char *text = getenv("CB_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 20170314;
    cr_log_info("CB_TEST_SEED=%llu", (unsigned long long)seed);
    return seed;
}

static cb_fact *shuffled(const cb_fact *facts, size_t count, uint64_t *seed)
{
    cb_fact *copy = malloc(count * sizeof *copy);
    cr_assert(copy != NULL);
    memcpy(copy, facts, count * sizeof *copy);
    for (size_t i = count; i > 1; i--) {
        size_t other = next_random(seed) % i;
        cb_fact swap = copy[i - 1];
        copy[i - 1] = copy[other];
        copy[other] = swap;
    }
    return copy;
}

static cb_hash fingerprint_of(const case_book *book, const cb_fact *facts,
                              size_t count)
{
    cb_case_state *state = NULL;
    expect_ok(
        case_fold_twice(case_model(book), facts, count, &state, test_error()));
    cb_hash hash = cb_case_state_fingerprint(state);
    cb_case_state_destroy(state);
    return hash;
}

/* One of the things that devices do, chosen by the seed. */
static void act(case_book *book, uint64_t *seed, size_t step)
{
    static const char *const devices[] = { "X", "Y", "Z" };
    static const char *const states[] = { "given", "refused", "withdrawn" };
    static const char *const levels[] = { "L", "M", "H", "VH" };
    const char *device = devices[next_random(seed) % 3];
    char ops[600];
    const char *place = "V:ann";
    switch (next_random(seed) % 8) {
    case 0:
        snprintf(ops, sizeof ops,
                 "{'op':'create','record':'@c%zu','type':'consent',"
                 "'about':'@ann','fields':{'scope':['direct_meeting'],"
                 "'state':'%s'}}",
                 step, states[next_random(seed) % 3]);
        break;
    case 1:
        place = "S";
        snprintf(ops, sizeof ops,
                 "{'op':'create','record':'@p%zu','type':'plan','fields':"
                 "{'method':'face_to_face','date':{'ms':1490004000000,"
                 "'precision':'minute'},'participants':['@ann','@ben']}}",
                 step);
        break;
    case 2:
        place = "S";
        snprintf(ops, sizeof ops,
                 "{'op':'create','record':'@e%zu','type':'event','fields':"
                 "{'method':'face_to_face','held':'held',"
                 "'participants':['@ann','@ben']}}",
                 step);
        break;
    case 3:
        place = "R";
        snprintf(ops, sizeof ops,
                 "{'op':'create','record':'@r%zu','type':'risk_assessment',"
                 "'fields':{'stage':'second','overall':'%s'}}",
                 step, levels[next_random(seed) % 4]);
        break;
    case 4:
        snprintf(ops, sizeof ops,
                 "{'op':'create','record':'@k%zu','type':'contact',"
                 "'about':'@ann','fields':{'channel':'letter',"
                 "'direction':'outgoing','outcome':'message'}}",
                 step);
        break;
    case 5:
        place = "A";
        snprintf(ops, sizeof ops,
                 "{'op':'set','record':'@referral','fields':{'source':'%s',"
                 "'summary':'%zu'}}",
                 next_random(seed) % 2 ? "btp" : "cps", step);
        break;
    case 6:
        place = "V:ann";
        snprintf(ops, sizeof ops, "{'op':'strike','record':'@prep-ann'}");
        break;
    default:
        case_exchange(book, device, devices[next_random(seed) % 3]);
        return;
    }
    case_write(book, device, place, "2017-03-14T14:00", ops);
}

Test(fold, converges_for_random_cases_partitions_and_orders)
{
    uint64_t seed = find_seed();
    for (int run = 0; run < 12; run++) {
        case_book *book = case_book_prepared();
        case_exchange(book, "H", "Z");
        for (size_t step = 0; step < 60; step++) {
            act(book, &seed, step);
        }
        size_t count = case_count(book);
        cb_hash wanted = fingerprint_of(book, case_facts(book), count);
        for (int order = 0; order < 6; order++) {
            cb_fact *facts = shuffled(case_facts(book), count, &seed);
            cb_hash got = fingerprint_of(book, facts, count);
            cr_expect(memcmp(&got, &wanted, sizeof got) == 0, "run %d", run);
            free(facts);
        }
        case_book_destroy(book);
    }
}

Test(fold, entries_wait_for_what_they_build_on_and_all_after_them)
{
    case_book *book = case_book_prepared();
    size_t missing = case_write(book, "X", "V:ann", "2017-03-14T14:00",
                                "{'op':'set','record':'@prep-ann','fields':"
                                "{'notes':'a'}}");
    size_t waits = case_write(book, "X", "V:ann", "2017-03-14T14:01",
                              "{'op':'set','record':'@prep-ann','fields':"
                              "{'notes':'b'}}");
    size_t after = case_write(book, "X", "S", "2017-03-14T14:02",
                              "{'op':'create','record':'@e','type':'event',"
                              "'fields':{'method':'shuttle'}}");
    cb_fact *facts = case_facts(book);
    cb_fact kept = facts[missing];
    facts[missing] = facts[0];
    cb_case_state *state = case_fold(book);
    cr_expect(cb_case_state_standing(state, missing) == CB_FACT_REPEATED ||
              cb_case_state_standing(state, 0) == CB_FACT_REPEATED);
    cr_expect(cb_case_state_standing(state, waits) == CB_FACT_WAITS);
    cr_expect(cb_case_state_standing(state, after) == CB_FACT_WAITS);
    cb_case_state_destroy(state);

    facts[missing] = kept;
    facts[missing].admitted = false;
    state = case_fold(book);
    cr_expect(cb_case_state_standing(state, missing) == CB_FACT_QUARANTINED);
    cr_expect(cb_case_state_standing(state, waits) == CB_FACT_WAITS);
    cb_case_state_destroy(state);

    facts[missing].admitted = true;
    state = case_fold(book);
    cr_expect(cb_case_state_standing(state, after) == CB_FACT_COUNTS);
    cr_expect(cb_case_state_knew(state, after, missing));
    cr_expect(!cb_case_state_knew(state, missing, after));
    cr_expect(!cb_case_state_knew(state, after, after));
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(fold, passes_over_what_the_reader_may_not_see)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "S", "2017-03-14T14:00",
               "{'op':'create','record':'@e','type':'event','fields':"
               "{'method':'shuttle'}}");
    cb_fact seen[64];
    size_t count = 0;
    for (size_t i = 0; i < case_count(book); i++) {
        const char *class = cb_json_text(
            cb_json_object(case_body(book, i), "compartment"), "class");
        if (strcmp(class, "V") != 0 && strcmp(class, "R") != 0) {
            seen[count] = case_facts(book)[i];
            count++;
        }
    }
    cb_case_state *state = NULL;
    expect_ok(
        case_fold_twice(case_model(book), seen, count, &state, test_error()));
    for (size_t i = 0; i < count; i++) {
        cr_expect(cb_case_state_standing(state, i) == CB_FACT_COUNTS);
    }
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

/* What each hostile or newer entry leaves behind, and that nothing else moves.
 */
Test(fold, keeps_what_it_cannot_apply_as_a_finding)
{
    static const struct {
        const char *place;
        const char *operations;
        const char *kind;
    } rows[] = {
        { "S", "{'op':'teleport','record':'@ann'}", "newer.operation" },
        { "S", "{'op':'set'}", "entry.malformed" },
        { "S", "{'record':'@ann'}", "newer.operation" },
        { "S", "{'op':'set','record':'@nobody','fields':{'a':1}}",
          "record.unknown" },
        { "S", "{'op':'create','record':'@n','type':'hologram','fields':{}}",
          "newer.type" },
        { "A", "{'op':'set','record':'@referral','fields':{'aura':'x'}}",
          "newer.field" },
        { "A", "{'op':'set','record':'@referral','fields':{'source':'x'}}",
          "newer.value" },
        { "A", "{'op':'set','record':'@referral','fields':{'source':{}}}",
          "newer.value" },
        { "S", "{'op':'set','record':'@referral','fields':{'source':'btp'}}",
          "field.wrong_place" },
        { "O:ann",
          "{'op':'create','record':'@c9','type':'consent','about':'@ann',"
          "'fields':{'scope':['direct_meeting'],'state':'given'}}",
          "field.wrong_place" },
        { "S",
          "{'op':'create','record':'@c9','type':'consent','about':'@ann',"
          "'fields':{'scope':['direct_meeting'],'state':'given'}}",
          "record.wrong_place" },
        { "V:ann",
          "{'op':'create','record':'@c9','type':'consent','about':'@ben',"
          "'fields':{'scope':['direct_meeting'],'state':'given'}}",
          "record.wrong_place" },
        { "V:ann",
          "{'op':'create','record':'@ann','type':'person','fields':"
          "{'role':'victim'}}",
          "record.created_twice" },
        { "S", "{'op':'strike','record':'@prep-ann'}", "record.wrong_place" },
        { "V:ann", "{'op':'resolve','record':'@prep-ann'}", "entry.malformed" },
        { "V:ann",
          "{'op':'resolve','conflict':'@x','record':'@nobody','field':'a',"
          "'heads':[],'value':1}",
          "record.unknown" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        case_book *book = case_book_prepared();
        case_write(book, "X", rows[i].place, "2017-03-14T14:00",
                   rows[i].operations);
        cb_case_state *state = case_fold(book);
        json_t *document = NULL;
        cr_expect(case_issue(state, rows[i].kind) != NULL, "%s: no %s",
                  rows[i].operations, rows[i].kind);
        expect_ok(cb_json_parse_canonical(cb_case_state_text(state), &document,
                                          test_error()));
        expect_text(cb_case_state_word(state), "OPEN");
        json_decref(document);
        cb_case_state_destroy(state);
        case_book_destroy(book);
    }
}

Test(fold, survives_bodies_of_any_shape)
{
    static const char *const members[] = {
        "author", "case", "compartment", "deps", "happened", "ops", "schema",
    };
    static const char *const values[] = {
        "null",
        "[]",
        "{}",
        "'x'",
        "-1",
        "[[[]]]",
        "[{'op':[]}]",
        "[{'heads':['zz'],'class':'S'}]",
        "{'class':'V'}",
        "{'class':'S','person':'@ann'}",
        "{'ms':'x'}",
        "[{'heads':'x'}]",
        "9223372036854775807",
    };
    for (size_t m = 0; m < sizeof members / sizeof *members; m++) {
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            case_book *book = case_book_prepared();
            size_t last = case_count(book) - 1;
            char text[200];
            snprintf(text, sizeof text, "[%s]", values[v]);
            json_t *value = case_json(text);
            json_object_set(case_body(book, last), members[m],
                            json_array_get(value, 0));
            json_decref(value);
            cb_case_state *state = case_fold(book);
            cr_expect(cb_case_state_text(state).size > 0);
            cb_case_state_destroy(state);
            case_book_destroy(book);
        }
    }
}

Test(fold, cycles_and_self_references_only_wait)
{
    case_book *book = case_book_prepared();
    size_t last = case_count(book) - 1;
    char text[CB_HASH_TEXT_BYTES];
    cb_hex_format(case_facts(book)[last].entry.bytes, CB_HASH_BYTES, text);
    json_t *deps =
        json_pack("[{s:s,s:[s,s]}]", "class", "R", "heads", text, text);
    json_object_set_new(case_body(book, last), "deps", deps);
    cb_case_state *state = case_fold(book);
    cr_expect(cb_case_state_standing(state, last) == CB_FACT_WAITS);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(fold, refuses_two_cases_and_takes_none)
{
    case_book *book = case_book_prepared();
    cb_case_state *state = NULL;
    expect_ok(case_fold_twice(case_model(book), NULL, 0, &state, test_error()));
    expect_text(cb_case_state_word(state), "OPEN");
    expect_text(cb_case_state_reference(state), "");
    cb_case_state_destroy(state);
    json_object_set_new(case_body(book, 0), "case",
                        json_string("00000000000000000000000000000000"));
    expect_status(CB_INPUT,
                  case_fold_twice(case_model(book), case_facts(book),
                                  case_count(book), &state, test_error()));
    case_book_destroy(book);
}

Test(fold, shows_a_forked_stream_and_keeps_both_halves)
{
    case_book *book = case_book_prepared();
    size_t a = case_write(book, "X", "S", "2017-03-14T14:00",
                          "{'op':'create','record':'@e1','type':'event',"
                          "'fields':{'method':'shuttle'}}");
    size_t b = case_write(book, "Y", "S", "2017-03-14T14:00",
                          "{'op':'create','record':'@e2','type':'event',"
                          "'fields':{'method':'shuttle'}}");
    case_facts(book)[b].stream = case_facts(book)[a].stream;
    case_facts(book)[b].seq = case_facts(book)[a].seq;
    cb_case_state *state = case_fold(book);
    const cb_issue *issue = case_issue(state, "device.forked");
    cr_expect(issue != NULL && issue->head_count == 2);
    cr_expect(cb_case_state_standing(state, a) == CB_FACT_COUNTS);
    cr_expect(cb_case_state_standing(state, b) == CB_FACT_COUNTS);
    cr_expect(!cb_case_state_knew(state, a, b));
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

/* Where a name is resolved twice alike, that is one; differently, a conflict.
 */
Test(fold, two_equal_decisions_are_one_and_two_different_ones_a_conflict)
{
    for (int equal = 0; equal < 2; equal++) {
        case_book *book = case_book_prepared();
        case_write(book, "X", "A", "2017-03-14",
                   "{'op':'set','record':'@referral','fields':"
                   "{'source':'btp'}}");
        case_write(book, "Y", "A", "2017-03-14",
                   "{'op':'set','record':'@referral','fields':"
                   "{'source':'cps'}}");
        case_exchange(book, "X", "Y");
        cb_case_state *state = case_fold(book);
        const cb_issue *issue = case_issue(state, "field.multi");
        cr_assert(issue != NULL && issue->choice_count == 2);
        for (int side = 0; side < 2; side++) {
            json_t *op = NULL;
            size_t choice = equal ? 0 : (size_t)side;
            expect_ok(cb_case_state_resolution(state, issue, choice, &op,
                                               test_error()));
            char *text = json_dumps(op, JSON_COMPACT);
            case_write(book, side == 0 ? "X" : "Y", "A", "2017-03-15", text);
            free(text);
            json_decref(op);
        }
        cb_case_state *after = case_fold(book);
        cr_expect((case_issue(after, "field.multi") == NULL) == equal);
        json_t *op = NULL;
        expect_status(CB_INPUT, cb_case_state_resolution(state, issue, 9, &op,
                                                         test_error()));
        cb_case_state_destroy(after);
        cb_case_state_destroy(state);
        case_book_destroy(book);
    }
}

Test(fold, contested_allocations_wait_for_the_hub_and_its_decision_ends_it)
{
    case_book *book = case_book_prepared();
    case_role(book, "X", "coordinator");
    case_write(book, "X", "W", "2017-03-14",
               "{'op':'create','record':'@a1','type':'allocation','fields':"
               "{'lead':'@x'}}");
    case_write(book, "Y", "W", "2017-03-14",
               "{'op':'create','record':'@a2','type':'allocation','fields':"
               "{'lead':'@y'}}");
    case_exchange(book, "X", "Y");
    cb_case_state *state = case_fold(book);
    const cb_issue *issue = case_issue(state, "register.exclusive");
    json_t *op = NULL;
    cr_assert(issue != NULL && issue->choice_count == 2);
    expect_text(issue->row, "M11");
    expect_text(issue->waits_for, "coordinator");
    expect_text(cb_case_state_word(state), "ALLOCATION CONTESTED");
    expect_ok(cb_case_state_resolution(state, issue, 1, &op, test_error()));
    char *text = json_dumps(op, JSON_COMPACT);
    case_write(book, "X", "W", "2017-03-15", text);
    free(text);
    json_decref(op);
    cb_case_state *after = case_fold(book);
    expect_text(cb_case_state_word(after), "OPEN");
    cb_case_state_destroy(after);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

/* Not a benchmark: it would notice a fold that became quadratic. */
Test(fold, takes_two_hundred_facts_in_good_time)
{
    uint64_t seed = 7;
    case_book *book = case_book_prepared();
    case_exchange(book, "H", "Z");
    while (case_count(book) < 200) {
        act(book, &seed, case_count(book));
        if (case_count(book) % 5 == 0) {
            case_exchange(book, "X", "Y");
            case_exchange(book, "Y", "Z");
            case_exchange(book, "X", "Z");
        }
    }
    struct timespec start;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 20; i++) {
        cb_case_state *state = NULL;
        expect_ok(cb_fold(case_model(book), case_facts(book), case_count(book),
                          &state, test_error()));
        cb_case_state_destroy(state);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ms = ((double)(end.tv_sec - start.tv_sec) * 1e3 +
                 (double)(end.tv_nsec - start.tv_nsec) / 1e6) /
                20;
    cr_log_info("a fold of 200 facts takes %.2f ms", ms);
    cr_expect(ms < 500, "%.2f ms", ms);
    case_book_destroy(book);
}
