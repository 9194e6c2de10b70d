/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recovery key between the person and the store: shown where it was asked
 * to be shown, and nowhere else; read as a passphrase is.
 */
#ifndef CASEBOUND_CLI_RECOVERY_KEY_H
#define CASEBOUND_CLI_RECOVERY_KEY_H

#include "command.h"

#include <casebound/store.h>

/*
 * Before anything is made: whether a key can be shown at all.  Option `output`
 * names a new file, or "-" for the output; without it the output has to be a
 * terminal.  CB_USAGE, CB_EXISTS.
 */
CB_NODISCARD cb_status cb_cli_recovery_place(cb_cli_session *session);

/* Makes a key and shows it there.  CB_NO_SPACE, CB_IO, CB_PERMISSION. */
CB_NODISCARD cb_status cb_cli_recovery_show(cb_cli_session *session,
                                            const char *folder,
                                            cb_secret **ret_key);

/* Asks for one that exists.  CB_INPUT where it is mistyped. */
CB_NODISCARD cb_status cb_cli_recovery_ask(cb_cli_session *session,
                                           cb_secret **ret_key);

/* Says so where less memory is used for a passphrase than is usual. */
void cb_cli_tell_cost(cb_cli_session *session, const cb_store *store);

#endif
