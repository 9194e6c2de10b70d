/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views of a case as JSON documents, ready to be printed: ids have become
 * names, moments RFC 3339, records one line by their type's template.
 *
 * Every function gives a new reference, and fails only with CB_NO_MEMORY unless
 * it says more.  `naming` may be NULL.
 */
#ifndef CASEBOUND_VIEW_H
#define CASEBOUND_VIEW_H

#include <casebound/fold.h>
#include <casebound/rules.h>

/*
 * casebound.case_show.v1: reference, stage, complex flags, state and since
 * when, what blocks an event, what waits for whom, the timeline, corrections,
 * and the proof line as far as the case knows it (entries, devices, heads,
 * fingerprint).
 */
CB_NODISCARD CB_PUBLIC cb_status cb_view_case_show(const cb_case_state *state,
                                                   const cb_naming *naming,
                                                   json_t **ret_document,
                                                   cb_error *reterr_error);

/*
 * casebound.case_timeline.v1: one row for each entry and record, by when it is
 * said to have happened: happened and its precision, recorded, who, what,
 * marks ("!", "~suspended~", "replaced", "did not know of !", "+2d", "struck").
 * Only of entries of which neither knew the other is it said that they were not
 * known.  Rows of entries that wait or are quarantined come last and say so.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_view_case_timeline(const cb_case_state *state, const cb_naming *naming,
                      json_t **ret_document, cb_error *reterr_error);

/*
 * casebound.record_show.v1: a record with every value that its fields ever had,
 * struck through or in force, by whom, when and why; and what the rules say.
 * CB_NOT_FOUND.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_view_record_show(const cb_case_state *state,
                                                     const cb_record_id *record,
                                                     const cb_naming *naming,
                                                     json_t **ret_document,
                                                     cb_error *reterr_error);

/*
 * casebound.conflicts.v1 and casebound.tasks.v1: the open ones, or all.  Tasks
 * come with the alerts.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_view_conflicts(const cb_case_state *state,
                                                   const cb_naming *naming,
                                                   bool all,
                                                   json_t **ret_document,
                                                   cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_view_tasks(const cb_case_state *state,
                                               const cb_naming *naming,
                                               bool all, json_t **ret_document,
                                               cb_error *reterr_error);

/* casebound.verdicts.v1: what the rules said about a proposal. */
CB_NODISCARD CB_PUBLIC cb_status
cb_view_verdicts(const cb_verdict_list *verdicts, const cb_naming *naming,
                 json_t **ret_document, cb_error *reterr_error);

/*
 * casebound.knew.v1: what a colleague could know of the case at a moment: the
 * entries that her last entry claimed by then builds on, that entry included,
 * and those that she could not know; of those that say themselves that they
 * were written later there is the number only.  Her claimed clock picks her
 * last entry and nothing else.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_case_state_knew_document(
    const cb_case_state *state, const cb_person_id *person, int64_t at_ms,
    const cb_naming *naming, json_t **ret_document, cb_error *reterr_error);

#endif
