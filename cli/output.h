/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a command says.
 *
 * Results go to the output, everything else to the error stream.  Nothing is
 * written past these functions, and all of them clean what they write (see
 * text.h), so that no byte of somebody's text can steer a terminal.  Our own
 * line breaks in a format are kept; a person's text goes through
 * cb_cli_clean first where it must stay on one line.
 *
 * Under --json the output holds one document, printed when the command has
 * succeeded, and the error stream nothing or one casebound.error.v1 object.
 */
#ifndef CASEBOUND_CLI_OUTPUT_H
#define CASEBOUND_CLI_OUTPUT_H

#include "command.h"

/* Never the only sign of anything: colour may be off. */
typedef enum cb_cli_role {
    CB_CLI_PLAIN,
    CB_CLI_GOOD,
    CB_CLI_ATTENTION,
    CB_CLI_BAD,
    CB_CLI_FAINT
} cb_cli_role;

/* Writes to the output; says nothing under --json. */
void cb_cli_print(const cb_cli_session *session, const char *format, ...)
    CB_PRINTF(2, 3);
void cb_cli_print_role(const cb_cli_session *session, cb_cli_role role,
                       const char *format, ...) CB_PRINTF(3, 4);

/* Writes a text that is clean already, such as one from cb_cli_wrap. */
void cb_cli_print_buffer(const cb_cli_session *session, const cb_buffer *text);

/* Success in one line on the error stream; silent with -q and --json. */
void cb_cli_say(const cb_cli_session *session, const char *format, ...)
    CB_PRINTF(2, 3);

/* As cb_cli_say, but only with -v. */
void cb_cli_explain(const cb_cli_session *session, const char *format, ...)
    CB_PRINTF(2, 3);

/*
 * "casebound: warning: ..." on the error stream, also with -q; a member
 * "warnings" of the document under --json.
 */
void cb_cli_warn(cb_cli_session *session, const char *format, ...)
    CB_PRINTF(2, 3);

/*
 * The answer under --json: takes over the object, whose first member is
 * "schema" (such as "casebound.status.v1").  At most one a command; forgotten
 * without --json.  NULL, from a json_pack that failed, is CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_cli_answer(cb_cli_session *session, json_t *document,
                                     cb_error *reterr_error);

/*
 * Prints the document and flushes; CB_IO, CB_NO_SPACE where that failed.  That
 * nobody reads on is no failure.
 */
CB_NODISCARD cb_status cb_cli_finish_output(cb_cli_session *session,
                                            cb_error *reterr_error);

/*
 * The error in three parts:
 *
 *     casebound: what happened
 *         what it means for the data
 *         next: what to do
 *
 * Parts that the error leaves empty come from its status.  An error of usage
 * has no second part.
 */
void cb_cli_report_error(const cb_cli_session *session, const cb_error *error);

/*
 * Rows in plain columns, two spaces apart, numbers to the right.  A header
 * only on a terminal; there the widest column that may be cut is cut until the
 * row fits.  Elsewhere nothing is cut.
 */
typedef struct cb_cli_column {
    const char *title;
    bool is_number;
    bool may_be_cut;
} cb_cli_column;

#define CB_CLI_COLUMNS_MAX 12

typedef struct cb_cli_rows {
    const cb_cli_column *columns;
    size_t column_count;
    cb_buffer cells; /* cleaned texts, each followed by a zero */
    size_t cell_count;
} cb_cli_rows;

void cb_cli_rows_init(cb_cli_rows *rows, const cb_cli_column *columns,
                      size_t column_count);
void cb_cli_rows_clear(cb_cli_rows *rows);

/* The next cell, from left to right; NULL is an empty one. */
void cb_cli_rows_add(cb_cli_rows *rows, const char *text);

/* CB_NO_MEMORY, CB_LIMIT (a million cells' worth of text). */
CB_NODISCARD cb_status cb_cli_rows_print(const cb_cli_session *session,
                                         const cb_cli_rows *rows,
                                         cb_error *reterr_error);

#endif
