/* SPDX-License-Identifier: Apache-2.0 */
#include "support/case_twice.h"

#include "support/expect.h"

#include <casebound/view.h>

/* Beyond that only the last ones come one by one. */
#define ONE_BY_ONE_MAX 120
#define TEXT_BYTES_MAX 300000
#define LAST_ONES      4

static void expect_equal_json(json_t *left, json_t *right, const char *label,
                              const char *what)
{
    cr_assert(json_equal(left, right), "%s: %s differ", label, what);
    json_decref(left);
    json_decref(right);
}

static void compare_heads(const cb_case_state *extended,
                          const cb_case_state *folded, const char *label)
{
    json_t *left = NULL;
    json_t *right = NULL;
    expect_ok(cb_case_state_heads(extended, &left, test_error()));
    expect_ok(cb_case_state_heads(folded, &right, test_error()));
    expect_equal_json(left, right, label, "heads");
}

static void compare_timelines(const cb_case_state *extended,
                              const cb_case_state *folded, const char *label)
{
    static const cb_naming nobody = { 0 };
    json_t *left = NULL;
    json_t *right = NULL;
    expect_ok(cb_view_case_timeline(extended, &nobody, &left, test_error()));
    expect_ok(cb_view_case_timeline(folded, &nobody, &right, test_error()));
    expect_equal_json(left, right, label, "timelines");
}

static void compare_facts(const cb_case_state *extended,
                          const cb_case_state *folded, const char *label)
{
    size_t count = cb_case_state_fact_count(folded);
    cr_assert_eq(cb_case_state_fact_count(extended), count, "%s", label);
    const size_t stride = count / 128 + 1;
    for (size_t a = 0; a < count; a++) {
        cr_assert_eq(cb_case_state_standing(extended, a),
                     cb_case_state_standing(folded, a), "%s", label);
        for (size_t b = a % stride; b < count; b += stride) {
            cr_assert_eq(cb_case_state_knew(extended, a, b),
                         cb_case_state_knew(folded, a, b), "%s: %zu of %zu",
                         label, a, b);
        }
    }
}

void case_expect_same(cb_case_state *extended, const cb_case_state *folded,
                      const char *label)
{
    expect_ok(cb_case_state_write(extended, test_error()));
    const cb_span left = cb_case_state_text(extended);
    const cb_span right = cb_case_state_text(folded);
    cr_assert(left.size == right.size &&
                  memcmp(left.bytes, right.bytes, left.size) == 0,
              "%s: the texts differ:\n%.*s\n%.*s", label, (int)left.size,
              (const char *)left.bytes, (int)right.size,
              (const char *)right.bytes);
    const cb_hash one = cb_case_state_fingerprint(extended);
    const cb_hash other = cb_case_state_fingerprint(folded);
    cr_assert(memcmp(&one, &other, sizeof one) == 0, "%s", label);
    cr_assert_str_eq(cb_case_state_word(extended), cb_case_state_word(folded));
    compare_facts(extended, folded, label);
    compare_heads(extended, folded, label);
    /* A view of very many records takes its time. */
    if (left.size <= TEXT_BYTES_MAX) {
        compare_timelines(extended, folded, label);
    }
}

cb_status case_fold_twice(const cb_model *model, const cb_fact *facts,
                          size_t count, cb_case_state **ret_state,
                          cb_error *reterr_error)
{
    size_t done = 0;
    cb_case_state *growing = NULL;
    cb_case_state *folded = NULL;
    cb_status status = cb_fold(model, facts, count, &folded, reterr_error);
    if (status == CB_OK && (count > ONE_BY_ONE_MAX ||
                            cb_case_state_text(folded).size > TEXT_BYTES_MAX)) {
        done = count - (count < LAST_ONES ? count : LAST_ONES);
    }
    cb_status begun = status == CB_OK
                          ? cb_fold(model, facts, done, &growing, reterr_error)
                          : status;
    for (; done < count && begun == CB_OK; done++) {
        bool extended = false;
        begun = cb_fold_extend(growing, &facts[done], &extended, reterr_error);
        if (!extended) {
            cb_case_state_destroy(growing);
            growing = NULL;
            begun = cb_fold(model, facts, done + 1, &growing, reterr_error);
        }
    }
    if (status == CB_OK) {
        expect_ok(begun);
        case_expect_same(growing, folded, "folded twice");
        *ret_state = folded;
    }
    cb_case_state_destroy(growing);
    return status;
}
