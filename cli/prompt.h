/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the person, on the terminal itself (/dev/tty), never on the
 * standard streams, which may be a pipe.  With --no-input, or without a
 * terminal, a question fails with CB_USAGE and names the option that would
 * have answered it.
 */
#ifndef CASEBOUND_CLI_PROMPT_H
#define CASEBOUND_CLI_PROMPT_H

#include "command.h"

#include <casebound/secret.h>

/*
 * A passphrase that exists already: the next line of --passphrase-fd, else
 * asked for without echo.  CB_USAGE, CB_INPUT, CB_LIMIT, CB_INTERRUPTED.
 */
CB_NODISCARD cb_status cb_cli_ask_passphrase(const cb_cli_session *session,
                                             const char *question,
                                             cb_secret **ret_passphrase,
                                             cb_error *reterr_error);

/*
 * A new one: at least CB_PASSPHRASE_CHARACTERS_MIN characters, and asked for
 * twice on a terminal.  The descriptor gives one line.
 */
CB_NODISCARD cb_status cb_cli_ask_new_passphrase(const cb_cli_session *session,
                                                 const char *question,
                                                 cb_secret **ret_passphrase,
                                                 cb_error *reterr_error);

/* One line of text, without its line break.  `option`: what to give instead. */
CB_NODISCARD cb_status cb_cli_ask_line(const cb_cli_session *session,
                                       const char *question, const char *option,
                                       cb_buffer *line, cb_error *reterr_error);

/* Yes or no; only y and yes are yes.  `option` such as "--yes". */
CB_NODISCARD cb_status cb_cli_ask_yes(const cb_cli_session *session,
                                      const char *question, const char *option,
                                      bool *ret_yes, cb_error *reterr_error);

/*
 * For what cannot be undone: the person types `name`.  CB_INTERRUPTED, with
 * nothing done, where something else is typed.
 */
CB_NODISCARD cb_status cb_cli_confirm_by_name(const cb_cli_session *session,
                                              const char *question,
                                              const char *name,
                                              const char *option,
                                              cb_error *reterr_error);

#endif
