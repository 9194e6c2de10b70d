/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One user action on a case, from words that the model accepts to entries: each
 * compartment that it touches gets one entry, all in one transaction, tied by
 * the action's id.
 */
#ifndef CASEBOUND_STORE_CHANGE_H
#define CASEBOUND_STORE_CHANGE_H

#include "store/internal.h"

#define CB_PARTS_MAX 8

/* The operations that go into one compartment. */
typedef struct cb_part {
    cb_compartment compartment;
    json_t *operations;
} cb_part;

typedef struct cb_action {
    cb_action_id id;
    const cb_change *change;
    const cb_type *type;
    cb_record_id record;
    bool has_about;
    cb_record_id about;
    cb_class side;
    cb_part parts[CB_PARTS_MAX]; /* the first is the record's own */
    size_t part_count;
    json_t *deps; /* what the next entry builds on */
    cb_verdict_list *verdicts;
} cb_action;

/* Whose roles may write W: those who supervise. */
cb_status cb_action_begin(cb_store *store, const cb_change *change,
                          cb_action *action, cb_error *error);
void cb_action_clear(cb_action *action);

/* The compartment of a field (NULL: of the record) of this action's record. */
cb_status cb_action_compartment(const cb_action *action, const cb_field *field,
                                cb_compartment *ret_compartment,
                                cb_error *error);

/* Sorts fields into operations by compartment; `first` names the op of the
 * record's own compartment, such as "create" or "set". */
cb_status cb_action_sort(cb_action *action, const char *first,
                         const char *other, const json_t *fields,
                         cb_error *error);

/* ---- deps.c */
cb_status cb_deps_of_case(cb_store *store, const cb_case_id *case_id,
                          json_t **ret_groups, cb_error *error);
/* An entry of that compartment was written that builds on all these. */
void cb_deps_advance(json_t *groups, const cb_compartment *compartment,
                     const cb_hash *hash);

/* Writes the entries of an action and settles the case. */
cb_status cb_action_write(cb_store *store, cb_action *action,
                          cb_recorded *ret_recorded, cb_error *error);

#endif
