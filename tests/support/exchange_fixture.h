/* SPDX-License-Identifier: Apache-2.0 */
/* A hub and two facilitators' devices, for tests of their exchange. */
#ifndef CASEBOUND_TESTS_EXCHANGE_FIXTURE_H
#define CASEBOUND_TESTS_EXCHANGE_FIXTURE_H

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

/* Each Test is a process of its own, so these are one test's. */
extern store_kit kit;
extern cb_store *hub;
extern cb_store *anna;
extern cb_store *bert;

void exchange_begin(void);
void exchange_end(void);

cb_store_identity identity_of(const cb_store *store);
/* What one store knows of another's stream. */
cb_stream_facts stream_of(cb_store *where, const cb_store *whose);
/* The one number that a query gives. */
int64_t count_of(cb_store *store, const char *sql);
void expect_same_case(cb_store *a, cb_store *b, const cb_case_id *case_id);
/* One entry, in a transaction that is kept where it was taken in. */
cb_status take_one(cb_store *store, cb_span entry, bool whole_stream,
                   int64_t log_index, cb_ingest_outcome *ret_outcome);

#endif
