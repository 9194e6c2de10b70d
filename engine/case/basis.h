/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On what a rule judges a record:
 *
 *   CB_BASIS_NOW     on all that is here: proposals, and plans, which are about
 *                    the future
 *   CB_BASIS_MERGED  on all that was not recorded in knowledge of the record:
 *                    what happened is not judged by what came of it
 *   CB_BASIS_KNOWN   on what its author knew when writing
 */
#ifndef CASEBOUND_CASE_BASIS_H
#define CASEBOUND_CASE_BASIS_H

#include "case/state.h"

typedef enum cb_basis_kind {
    CB_BASIS_NOW,
    CB_BASIS_MERGED,
    CB_BASIS_KNOWN
} cb_basis_kind;

typedef struct cb_basis {
    cb_basis_kind kind;
    size_t entry;  /* that wrote the record; of no meaning for NOW */
    size_t *steps; /* that are left for looking, or NULL: no bound */
} cb_basis;

/* Counts steps; below none left, what has to be searched is contested. */
void cb_basis_spend(const cb_basis *basis, size_t steps);

#define CB_STANDING_RECORDS_MAX 16

/* A register as it stands on a basis. */
typedef struct cb_standing {
    size_t records[CB_STANDING_RECORDS_MAX]; /* in force or contesting */
    size_t record_count;
    size_t worst; /* the most protective of them, CB_NOTHING for none */
    bool contested;
} cb_standing;

/* Whether a creation of a record is on the basis. */
bool cb_basis_has_record(const cb_case_state *state, const cb_basis *basis,
                         const cb_case_record *record);

bool cb_basis_has(const cb_case_state *state, const cb_basis *basis,
                  size_t entry);

/* Whether a record counts: created on the basis, and not struck out. */
bool cb_basis_counts(const cb_case_state *state, const cb_basis *basis,
                     const cb_case_record *record);

/* A field's value on the basis, or NULL; contested is never set to false. */
const json_t *cb_basis_value(const cb_case_state *state, const cb_basis *basis,
                             const cb_case_record *record, const char *name,
                             bool *contested);

/* Empty where `held` is NULL. */
cb_standing cb_basis_standing(const cb_case_state *state, const cb_basis *basis,
                              const cb_register *held);

#endif
