/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store with everything in it, copies of it that a test damages, and what a
 * check says of them.
 */
#ifndef CASEBOUND_TESTS_CHECK_KIT_H
#define CASEBOUND_TESTS_CHECK_KIT_H

#include "store/internal.h"
#include "support/exchange_fixture.h"
#include "support/expect.h"

#include <casebound/check.h>

/* Each Test is a process of its own, so these are one test's. */

extern cb_case_id check_case; /* Anna's */

/* A hub and two facilitators who have synced; all closed, in folders "hub",
 * "anna" and "bert". */
void check_begin(void);
void check_end(void);

/* A copy of a closed store's folder, over one that may be there. */
void check_copy(const char *from, const char *to);
/* Runs statements in a store, as whoever has its key could. */
void check_plant(const char *name, const char *sql);

/* The same check, without and with a repair.  Destroyed by the caller. */
cb_check_report *check_look(const char *name);
cb_check_report *check_repair(const char *name);

/* The finding of that code, or NULL. */
const cb_finding *check_find(const cb_check_report *report, const char *code);
/* All codes found, in a line, for a message. */
const char *check_codes(const cb_check_report *report);
/* That nothing is wrong with a store. */
void expect_well(const char *name, const char *when);

/* Bytes of a file of a store, and back; the caller frees. */
uint8_t *check_read(const char *name, const char *file, size_t *ret_size);
void check_write(const char *name, const char *file, const uint8_t *bytes,
                 size_t size);

#endif
