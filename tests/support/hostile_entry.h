/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an enrolled device with altered software can write: any body, in an
 * entry that is sealed and signed as it should be.
 */
#ifndef CASEBOUND_TESTS_HOSTILE_ENTRY_H
#define CASEBOUND_TESTS_HOSTILE_ENTRY_H

#include "store/internal.h"
#include "support/store_kit.h"

/* Appends a body (stolen) as it is, under a key of that compartment. */
cb_hash hostile_body(cb_store *store, const cb_compartment *compartment,
                     json_t *body);
/* An entry of class S, or another without a person; ops and deps are stolen. */
cb_hash hostile_entry(cb_store *store, const cb_case_id *case_id,
                      const char *class, json_t *ops, json_t *deps);
/* The body of such an entry; new reference. */
json_t *hostile_plan(cb_store *store, const cb_case_id *case_id,
                     const char *class, json_t *ops, json_t *deps);
/* Operations that change nothing, different for each number. */
json_t *hostile_nothing(int number);
/* The hub lets the device's person read these classes. */
void hostile_permit(cb_store *hub, cb_store *device, const cb_case_id *case_id,
                    const char *classes);

#endif
