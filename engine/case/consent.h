/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people agreed to, as the merge rows and the rules ask it.
 */
#ifndef CASEBOUND_CASE_CONSENT_H
#define CASEBOUND_CASE_CONSENT_H

#include "case/state.h"

/* Scopes that a method needs; NULL for a method that the model does not know.
 */
const json_t *cb_method_scopes(const cb_model *model, const char *method);

/* The register of a person's consent to a scope, or NULL: nothing recorded. */
const cb_register *cb_consent_register(const cb_case_state *state,
                                       const cb_record_id *person,
                                       const char *scope);

/* The state that a consent record says: "given", "refused", "withdrawn". */
const char *cb_consent_state(const cb_case_record *record);

/*
 * The refusal or withdrawal that stood when an entry was written, whether its
 * author knew of it or not; what was recorded in knowledge of that entry does
 * not count.  CB_NOTHING where there is none; else a record.
 */
size_t cb_consent_against(const cb_case_state *state,
                          const cb_record_id *person, const char *scope,
                          size_t entry);

/* The entry that says so: the head of the record's state. */
size_t cb_consent_entry(const cb_case_state *state, size_t record);

/* "recorded by {person:..}, {ms:..}", of the arena. */
const char *cb_case_said(cb_arena *arena, const cb_case_state *state,
                         size_t entry);

/* A code in words: underscores are spaces. */
const char *cb_case_words(cb_arena *arena, const char *code);

#endif
