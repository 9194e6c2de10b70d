/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge rows: each looks at the merged case and adds issues, marks on
 * records, and what it has to say about the state of the case.
 */
#ifndef CASEBOUND_CASE_ROWS_H
#define CASEBOUND_CASE_ROWS_H

#include "case/state.h"

/* The graver word stands; of equal ones that with the lower entry hash. */
void cb_case_set_word(cb_case_state *state, const char *word, size_t since,
                      cb_word_weight weight);

void cb_row_plans(cb_case_state *state);    /* M1 */
void cb_row_events(cb_case_state *state);   /* M2 */
void cb_row_consents(cb_case_state *state); /* M3 */
void cb_row_contacts(cb_case_state *state); /* M4 */
void cb_row_facts(cb_case_state *state);    /* M5 */

#endif
