/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASEBOUND_CLI_TERMINAL_H
#define CASEBOUND_CLI_TERMINAL_H

/* COLUMNS, else what the terminal says, else 80; from 40 to 500. */
int cb_cli_terminal_columns(void);

#endif
