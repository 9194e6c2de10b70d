/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help, made from the table of commands.
 */
#ifndef CASEBOUND_CLI_HELP_H
#define CASEBOUND_CLI_HELP_H

#include "command.h"

/* The purpose in a line, then the commands by what one wants to do. */
void cb_cli_help_overview(const cb_cli_session *session);

/* Every command with its purpose, those of a noun, or all for NULL. */
void cb_cli_help_list(const cb_cli_session *session, const char *noun);

/* Examples, usage, options, exit codes, see also. */
void cb_cli_help_command(const cb_cli_session *session,
                         const cb_cli_command *command);

/* "casebound case show [options] CASE" */
void cb_cli_append_usage(cb_buffer *text, const cb_cli_command *command);

/*
 * The nearest name of a command to what was typed, or NULL where none is near.
 * "shwo" finds "show"; "list" finds "case list".
 */
const char *cb_cli_nearest_command(const cb_cli_program *program,
                                   const char *typed);

/* The command `help`. */
cb_status cb_cli_run_help(cb_cli_session *session);

/* The command `completion`: bash, zsh or fish. */
cb_status cb_cli_run_completion(cb_cli_session *session);

/* The command `version`. */
cb_status cb_cli_run_version(cb_cli_session *session);

#endif
