/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One set of facts folded in two ways: at once, and fact by fact.  Tests that
 * fold call these, so that what they prove holds for both.
 */
#ifndef CASEBOUND_TESTS_CASE_TWICE_H
#define CASEBOUND_TESTS_CASE_TWICE_H

#include <casebound/fold.h>

/* Takes the place of cb_fold; fails the test where the two ways differ. */
cb_status case_fold_twice(const cb_model *model, const cb_fact *facts,
                          size_t count, cb_case_state **ret_state,
                          cb_error *reterr_error);

/* Whether all that can be asked of two states of the same facts is equal. */
void case_expect_same(cb_case_state *extended, const cb_case_state *folded,
                      const char *label);

#endif
