/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layouts of a case, a timeline, a record and of what waits: documents of
 * the engine's views as text for 80 columns, in black and white.
 */
#ifndef CASEBOUND_CLI_PRESENT_H
#define CASEBOUND_CLI_PRESENT_H

#include "command.h"

/* casebound.case_show.v1 with the members of cb_cli_add_witness. */
CB_NODISCARD cb_status cb_cli_present_case(cb_cli_session *session,
                                           const json_t *document);

/* casebound.case_timeline.v1, likewise. */
CB_NODISCARD cb_status cb_cli_present_timeline(cb_cli_session *session,
                                               const json_t *document);

/* casebound.record_show.v1 */
CB_NODISCARD cb_status cb_cli_present_record(cb_cli_session *session,
                                             const json_t *document);

/* The issues of casebound.conflicts.v1 or casebound.tasks.v1. */
CB_NODISCARD cb_status cb_cli_present_issues(cb_cli_session *session,
                                             const json_t *issues);

/*
 * Adds to the proof of a case what the store knows of the hub: "witnessed",
 * when the newest entry was recorded that the hub has signed for, and
 * "not_witnessed", how many of ours it has not.  `rows` are the timeline's.
 */
CB_NODISCARD cb_status cb_cli_add_witness(cb_cli_session *session,
                                          const json_t *rows, json_t *proof);

#endif
