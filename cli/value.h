/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values on the command line: FIELD=VALUE, and texts that come from elsewhere,
 * so that no case text need stand in argv or in a shell's history.
 */
#ifndef CASEBOUND_CLI_VALUE_H
#define CASEBOUND_CLI_VALUE_H

#include "command.h"

/*
 * Cuts FIELD=VALUE at its first "=".  The name is not empty and holds only
 * letters a to z, digits and "_".  CB_USAGE, without repeating what may be
 * case text.
 */
CB_NODISCARD cb_status cb_cli_split_field(const char *operand,
                                          cb_span *ret_name,
                                          const char **ret_value,
                                          cb_error *reterr_error);

/*
 * Appends what a value stands for: "@FILE" the file's text, "-" all of the
 * standard input, "@@x" and everything else the text itself ("@x", "x").  One
 * line break at the end of a file or of the input is not part of the text.
 * `subject` names it in messages.  CB_LIMIT where it is longer than the
 * buffer's maximum, CB_NOT_FOUND, CB_PERMISSION, CB_IO, CB_INTERRUPTED.
 */
CB_NODISCARD cb_status cb_cli_read_text(const cb_cli_session *session,
                                        const char *subject, const char *value,
                                        cb_buffer *text,
                                        cb_error *reterr_error);

/* "90s", "15m", "8h" or "2d", more than nothing, at most a year.  CB_INPUT. */
CB_NODISCARD cb_status cb_cli_parse_duration(const char *text, int64_t *ret_ms,
                                             cb_error *reterr_error);

#endif
