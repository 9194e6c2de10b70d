/* SPDX-License-Identifier: Apache-2.0 */
/* What the views share. */
#ifndef CASEBOUND_CASE_VIEW_H
#define CASEBOUND_CASE_VIEW_H

#include "case/state.h"

#include <casebound/view.h>

/* One view being made.  A failure sticks; cb_view_end tells. */
typedef struct cb_view {
    const cb_case_state *state;
    const cb_naming *outer; /* the caller's */
    cb_naming naming;       /* with the names in the case behind it */
    cb_model_words words;
    json_t *names; /* that were put together for this view */
    /* While rows are made: the record that was written without knowledge of an
     * entry, and whether a record was written so. */
    size_t *warned;
    bool *unaware;
    bool failed;
} cb_view;

void cb_view_begin(cb_view *view, const cb_case_state *state,
                   const cb_naming *naming);

/* Hands the document out, or gives it back and says CB_NO_MEMORY. */
CB_NODISCARD cb_status cb_view_end(cb_view *view, json_t *document,
                                   json_t **ret_document,
                                   cb_error *reterr_error);

/* Each takes what it is given; NULL is a failure. */
void cb_view_set(cb_view *view, json_t *object, const char *key, json_t *value);
void cb_view_add(cb_view *view, json_t *array, json_t *value);
void cb_view_text(cb_view *view, json_t *object, const char *key,
                  const char *text);
void cb_view_hex(cb_view *view, json_t *object, const char *key,
                 const void *bytes, size_t size);
void cb_view_moment(cb_view *view, json_t *object, const char *key, int64_t ms);
void cb_view_sentence(cb_view *view, json_t *object, const char *key,
                      const char *sentence);

/* Name of a colleague, party or device, or the start of its id. */
void cb_view_author(cb_view *view, json_t *object, size_t entry);
void cb_view_party(cb_view *view, json_t *object, const char *key,
                   const cb_record_id *party);

/* A value as people read it. */
void cb_view_value(cb_view *view, json_t *object, const char *key,
                   const cb_field *field, const json_t *value);

/* When an entry was recorded, as it claims. */
int64_t cb_view_recorded_ms(const cb_case_state *state, size_t entry);

/* The rows of the timeline, sorted: new array. */
json_t *cb_view_rows(cb_view *view);

/* One issue: new object. */
json_t *cb_view_issue(cb_view *view, const cb_issue *issue);

/* "act" with {case}, {issue}, {record} and {about} filled in. */
void cb_view_act(cb_view *view, json_t *object, const char *key,
                 const cb_issue *issue);

#endif
