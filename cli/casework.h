/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands about cases share: from the words of a command line to a
 * case, a person or a record of it; the options of everything that records; and
 * how it is told that something was recorded.
 */
#ifndef CASEBOUND_CLI_CASEWORK_H
#define CASEBOUND_CLI_CASEWORK_H

#include "command.h"

#include <casebound/store.h>

/* The digits of an id that are shown, and that are enough to name it. */
#define CB_CLI_SHORT_ID_DIGITS 8

/* A case as it stands here.  Zeroed is none. */
typedef struct cb_cli_case {
    cb_case_id id;
    const char *reference; /* of the state; "" while it is not known here */
    cb_case_state *state;
    json_t *document; /* casebound.case_state.v1 */
} cb_cli_case;

/* Folds a case.  The statuses of cb_store_case_state. */
CB_NODISCARD cb_status cb_cli_case_load(cb_cli_session *session,
                                        const cb_case_id *case_id,
                                        cb_cli_case *ret_case);

/* As cb_cli_case_load, by the reference or the start of the id. */
CB_NODISCARD cb_status cb_cli_case_open(cb_cli_session *session,
                                        const char *text,
                                        cb_cli_case *ret_case);
void cb_cli_case_clear(cb_cli_case *one);

/* The member of the state's records with that id, or NULL. */
const json_t *cb_cli_case_record(const cb_cli_case *one,
                                 const cb_record_id *id);

/* The value in force of a record's field, or NULL. */
const json_t *cb_cli_record_value(const json_t *record, const char *field);

/*
 * A record of the case of that type (NULL: of any) by the start of its id, at
 * least four digits.  CB_NOT_FOUND, CB_AMBIGUOUS.
 */
CB_NODISCARD cb_status cb_cli_case_find(const cb_cli_case *one,
                                        const char *type, const char *text,
                                        cb_record_id *ret_id, cb_error *error);

/*
 * A person of the case by role ("victim") where one alone has it, or by the
 * start of the id.  Names are never asked for.  CB_NOT_FOUND, CB_AMBIGUOUS.
 */
CB_NODISCARD cb_status cb_cli_case_person(cb_cli_session *session,
                                          const cb_cli_case *one,
                                          const char *text,
                                          cb_record_id *ret_id,
                                          cb_error *error);

/* Appends "harmed person 1a2b3c4d" for each person of the case, one a line. */
void cb_cli_case_people(cb_cli_session *session, const cb_cli_case *one,
                        cb_buffer *text);

/* The options --happened, --why and --override of a command that records. */
typedef struct cb_cli_change {
    cb_change change;
    cb_buffer why;
    const char **overrides;
} cb_cli_change;

/*
 * Reads those that were given; which are needed is told by the command's row.
 * Clear it whatever the answer.
 */
CB_NODISCARD cb_status cb_cli_change_read(cb_cli_session *session,
                                          const cb_case_id *case_id,
                                          cb_cli_change *ret_change);
void cb_cli_change_clear(cb_cli_change *change);

/* What was recorded, for cb_cli_report_recorded. */
typedef struct cb_cli_recorded {
    const char *verb;      /* "recorded", "corrected", "struck" */
    const char *type;      /* or "" */
    const char *reference; /* of the case */
    const char *summary;   /* what was recorded, in a line; or "" */
    const char *result;    /* what the output gets; NULL: start of the id */
} cb_cli_recorded;

/*
 * Tells it after the store has made it durable: warnings of the rules, a line
 * about success, the id; casebound.recorded.v1 under --json.
 */
CB_NODISCARD cb_status cb_cli_report_recorded(cb_cli_session *session,
                                              const cb_cli_recorded *what,
                                              const cb_recorded *recorded);

/* A record in one line by its type's template, with names and local times. */
void cb_cli_summarise(cb_cli_session *session, const cb_type *type,
                      const json_t *fields, cb_buffer *text);

/* A value as people read it; `field` may be NULL. */
void cb_cli_append_value(cb_cli_session *session, const cb_field *field,
                         const json_t *value, cb_buffer *text);

#endif
