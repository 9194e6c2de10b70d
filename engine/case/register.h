/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of merging registers share. */
#ifndef CASEBOUND_CASE_REGISTER_H
#define CASEBOUND_CASE_REGISTER_H

#include "case/state.h"

/* The entries that hold what a record says in its register, one by one. */
typedef struct cb_words {
    const cb_case_record *record;
    bool begun;
    size_t field;
    size_t head;
} cb_words;

cb_words cb_words_of(const cb_case_record *record);
bool cb_words_next(cb_words *words, size_t *ret_entry);

/* Takes from the heads those that people gave up: see decide.c. */
void cb_register_decide(cb_case_state *state, cb_register *target);

#endif
