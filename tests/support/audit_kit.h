/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log with something planted in it, and the report that has to say so: a
 * planted tamper gives exactly its code and its place.
 */
#ifndef CASEBOUND_TESTS_AUDIT_KIT_H
#define CASEBOUND_TESTS_AUDIT_KIT_H

#include <casebound/audit.h>
#include <casebound/json.h>

#include "support/expect.h"
#include "support/log_builder.h"

/* What stands in a finding; NULL and numbers of -1 are not looked at. */
typedef struct audit_planted {
    const char *code;
    const char *path;
    const log_writer *writer;
    int seq;
    int log_index;
} audit_planted;

/* The report on the builder's log, its realm pinned.  New reference. */
json_t *audit_verify_with(const log_builder *log, cb_audit_options options);
json_t *audit_verify(const log_builder *log, cb_audit_mode mode);

/* As text; valid until the next call. */
const char *audit_dump(const json_t *document);
/* -1 where there is none. */
long audit_number(const json_t *object, const char *name);

/* These take the document over. */
void audit_expect_clean(json_t *document);
/* Exactly one finding, and it is this. */
void audit_expect_only(json_t *document, audit_planted wanted);

void audit_expect_place(const json_t *finding, const audit_planted *wanted);
/* The same one finding in both modes. */
void audit_expect_both(const log_builder *log, audit_planted wanted);

/*
 * A hub and two devices: hub 1 at leaf 0, roster at 1, roster and opening of
 * each at 2 to 5, four of ann, published; then, not published, ann 6 at leaf
 * 10 and bob 2 at leaf 11.
 */
void audit_begin(log_builder *log, log_writer **ann, log_writer **bob);
void audit_write_many(log_builder *log, log_writer *writer, size_t count);

#define ANN_6 10
#define BOB_2 11

#endif
