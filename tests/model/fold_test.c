/* SPDX-License-Identifier: Apache-2.0 */
/* The laws of the merge. */
#include "base/json.h"
#include "support/case_builder.h"
#include "support/case_twice.h"
#include "support/expect.h"

#include <stdlib.h>

#define MEETING                                             \
    "{'method':'face_to_face','date':{'ms':1490698800000,"  \
    "'precision':'minute'},'participants':['@ann','@ben']," \
    "'state':'scheduled'}"
#define WITHDRAW                                              \
    "{'op':'create','record':'@withdrawal','type':'consent'," \
    "'about':'@ann','fields':{'scope':['direct_meeting'],"    \
    "'state':'withdrawn'}}"
#define PLAN \
    "{'op':'create','record':'@plan','type':'plan','fields':" MEETING "}"

static void expect_same(const cb_case_state *a, const cb_case_state *b)
{
    cb_span left = cb_case_state_text(a);
    cb_span right = cb_case_state_text(b);
    cb_hash left_hash = cb_case_state_fingerprint(a);
    cb_hash right_hash = cb_case_state_fingerprint(b);
    cr_expect(cb_span_equal(left, right), "%s\n%s", left.bytes, right.bytes);
    cr_expect(memcmp(&left_hash, &right_hash, sizeof left_hash) == 0);
}

static void expect_same_as(const case_book *book, const cb_case_state *wanted,
                           const cb_fact *facts, size_t count)
{
    cb_case_state *state = NULL;
    expect_ok(
        case_fold_twice(case_model(book), facts, count, &state, test_error()));
    expect_same(state, wanted);
    cb_case_state_destroy(state);
}

/* Six entries that neither side knew of the other's half. */
static case_book *book_of_six(void)
{
    case_book *book = case_book_create();
    case_write(book, "X", "A", "2017-03-01",
               "{'op':'create','record':'@referral','type':'referral',"
               "'fields':{'received':'2017-03-01','source':'self_victim',"
               "'stage':'historic','initiated_by':'victim'}}");
    case_exchange(book, "X", "Y");
    case_write(book, "X", "V:ann", "2017-03-14T14:00", WITHDRAW);
    case_write(book, "X", "A", "2017-03-14T14:05",
               "{'op':'set','record':'@referral','fields':"
               "{'source':'family'}}");
    case_write(book, "Y", "S", "2017-03-14T14:10", PLAN);
    case_write(book, "Y", "A", "2017-03-14T14:15",
               "{'op':'set','record':'@referral','fields':"
               "{'source':'btp'}}");
    case_exchange(book, "X", "Y");
    case_write(book, "Y", "S", "2017-03-15T09:00",
               "{'op':'set','record':'@plan','fields':{'room':'2'}}");
    return book;
}

Test(fold, gives_one_state_for_every_order)
{
    case_book *book = book_of_six();
    cb_case_state *wanted = case_fold(book);
    cb_fact facts[6];
    size_t order[6] = { 0, 1, 2, 3, 4, 5 };
    size_t at[6] = { 0 };
    size_t runs = 0;
    cr_assert(case_count(book) == 6);
    expect_text(cb_case_state_word(wanted),
                "SUSPENDED - CONSENT WITHDRAWN (direct meeting)");

    for (size_t i = 0; i < 6;) {
        if (at[i] == 0 || i == 0) {
            for (size_t k = 0; k < 6; k++) {
                facts[k] = case_facts(book)[order[k]];
            }
        }
        if (at[i] < i) {
            size_t other = i % 2 == 0 ? 0 : at[i];
            size_t swap = order[other];
            order[other] = order[i];
            order[i] = swap;
            for (size_t k = 0; k < 6; k++) {
                facts[k] = case_facts(book)[order[k]];
            }
            expect_same_as(book, wanted, facts, 6);
            runs++;
            at[i]++;
            i = 0;
        } else {
            at[i] = 0;
            i++;
        }
    }
    cr_expect(runs == 719);

    cb_case_state_destroy(wanted);
    case_book_destroy(book);
}

Test(fold, ignores_duplicates_and_times_of_receipt)
{
    case_book *book = book_of_six();
    cb_case_state *wanted = case_fold(book);
    cb_fact facts[18];
    for (size_t i = 0; i < 18; i++) {
        facts[i] = case_facts(book)[(i * 7 + 3) % 6];
        facts[i].received_ms = (int64_t)i * 1000;
    }
    expect_same_as(book, wanted, facts, 18);
    cb_case_state_destroy(wanted);
    case_book_destroy(book);
}

Test(fold, writes_canonical_text)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "V:ann", "2017-03-14T14:00", WITHDRAW);
    case_write(book, "Y", "S", "2017-03-14T14:10", PLAN);
    cb_case_state *state = case_fold(book);
    json_t *document = NULL;
    expect_ok(cb_json_parse_canonical(cb_case_state_text(state), &document,
                                      test_error()));
    expect_text(cb_json_text(document, "reference"), "RL-2017-00412-7");
    json_decref(document);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(fold, has_no_findings_in_an_honest_case)
{
    case_book *book = case_book_prepared();
    cb_case_state *state = case_fold(book);
    for (size_t i = 0; i < cb_case_state_issue_count(state); i++) {
        const cb_issue *issue = cb_case_state_issue(state, i);
        cr_expect(false, "%s %s: %s", issue->kind, issue->field,
                  issue->sentence);
    }
    expect_text(cb_case_state_word(state), "OPEN");
    cb_case_state_destroy(state);
    case_book_destroy(book);
}
