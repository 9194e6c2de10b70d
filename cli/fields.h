/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a record from the command line (FIELD=VALUE, FIELD=@FILE,
 * FIELD=-) or, one by one, from the person at the terminal.
 */
#ifndef CASEBOUND_CLI_FIELDS_H
#define CASEBOUND_CLI_FIELDS_H

#include "casework.h"

/*
 * Reads the operands from index `first` on as fields of the type.  `one` is
 * where references are looked up, NULL for a case that is not there yet.
 * CB_USAGE, CB_INPUT, CB_LIMIT, what cb_cli_read_text says.  New reference.
 */
CB_NODISCARD cb_status cb_cli_fields_read(cb_cli_session *session,
                                          const cb_cli_case *one,
                                          const cb_type *type, size_t first,
                                          json_t **ret_fields);

/*
 * Asks for them in the type's order.  No words at all leave a field out, a
 * single full stop all that may still be left out.  CB_USAGE where nobody can
 * be asked, CB_INTERRUPTED.
 */
CB_NODISCARD cb_status cb_cli_fields_ask(cb_cli_session *session,
                                         const cb_cli_case *one,
                                         const cb_type *type,
                                         json_t **ret_fields);

/*
 * Has the person write the fields that --edit names, each in the editor, and
 * adds them to `fields`.  `record` is the one to be amended, whose texts the
 * editor begins with; NULL for a new one.  The statuses of cb_cli_edit_text.
 */
CB_NODISCARD cb_status cb_cli_fields_edit(cb_cli_session *session,
                                          const cb_cli_case *one,
                                          const cb_type *type,
                                          const json_t *record, json_t *fields);

/* Reads the operands, or asks where there are none and no --edit. */
CB_NODISCARD cb_status cb_cli_fields_get(cb_cli_session *session,
                                         const cb_cli_case *one,
                                         const cb_type *type, size_t first,
                                         json_t **ret_fields);

/* An error about a value names the command that says what is accepted. */
void cb_cli_point_at_type(const cb_type *type, cb_status status,
                          cb_error *error);

/* A new record has no values to take away: what is null is left out. */
void cb_cli_fields_drop_empty(json_t *fields);

#endif
