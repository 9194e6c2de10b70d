/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a check has found so far, as it will stand in the report.
 *
 * A failure of memory sticks, so that the code that checks reads as prose;
 * cb_report_document tells.
 */
#ifndef CASEBOUND_AUDIT_REPORT_H
#define CASEBOUND_AUDIT_REPORT_H

#include <casebound/identifier.h>

#include <jansson.h>

#include "git/repository.h"

/* Where something was found: those parts that apply. */
typedef struct cb_audit_place {
    const char *ref;          /* or NULL */
    const cb_git_oid *commit; /* or NULL */
    const char *path;         /* or NULL */
    const char *holder;       /* whose checkpoint, or NULL */
    const cb_stream_id *stream;
    uint64_t seq;       /* 0: none */
    uint64_t log_index; /* from 1; 0: none */
} cb_audit_place;

/* The number of a leaf as a place keeps it. */
static inline uint64_t cb_audit_leaf(uint64_t index)
{
    return index + 1;
}

/* What could not be, or by choice was not, looked at. */
typedef enum cb_audit_gap {
    CB_GAP_SIGNATURES,
    CB_GAP_SEALED,
    CB_GAP_CONTENT,
    CB_GAP_UNMERGED,
    CB_GAP_CLOCK,
    CB_GAP_TRUST,
    CB_GAP_LOST,
    CB_GAP_NEWER,
    CB_GAP_RECEIPTS,
    CB_GAP_LIMIT,
    CB_GAP_REFUSED,
    CB_GAP_COUNT
} cb_audit_gap;

typedef struct cb_report {
    json_t *findings;
    uint64_t finding_count; /* those beyond the limit included */
    uint64_t gaps[CB_GAP_COUNT];
    bool out_of_memory;
} cb_report;

void cb_report_init(cb_report *report);
void cb_report_clear(cb_report *report);

/* One or two hashes under their names; NULL for none.  New reference. */
json_t *cb_report_evidence(const char *name, const cb_hash *hash,
                           const char *other_name, const cb_hash *other);

/*
 * Adds a finding; `evidence` is stolen and may be NULL.  Returns the finding,
 * borrowed, to which evidence can be added later; NULL where it was only
 * counted.
 */
json_t *cb_report_find(cb_report *report, const char *code,
                       const cb_audit_place *place, json_t *evidence,
                       const char *format, ...) CB_PRINTF(5, 6);

/* Counts what was not looked at. */
void cb_report_gap(cb_report *report, cb_audit_gap gap, uint64_t count);

/* CB_OK, CB_FINDINGS or CB_UNCHECKED, and the parts of the document. */
cb_status cb_report_result(const cb_report *report);
json_t *cb_report_unchecked(const cb_report *report);

#endif
