/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the table, each defined beside what it runs. */
#ifndef CASEBOUND_CLI_COMMANDS_H
#define CASEBOUND_CLI_COMMANDS_H

#include "command.h"

extern const cb_cli_command cb_cli_command_init;
extern const cb_cli_command cb_cli_command_unlock;
extern const cb_cli_command cb_cli_command_lock;
extern const cb_cli_command cb_cli_command_passphrase;
extern const cb_cli_command cb_cli_command_recovery_new;
extern const cb_cli_command cb_cli_command_recovery_check;
extern const cb_cli_command cb_cli_command_recovery_remove;
extern const cb_cli_command cb_cli_command_key_rotate;
extern const cb_cli_command cb_cli_command_backup;
extern const cb_cli_command cb_cli_command_restore;
extern const cb_cli_command cb_cli_command_status;
extern const cb_cli_command cb_cli_command_doctor;

extern const cb_cli_command cb_cli_command_enrol_request;
extern const cb_cli_command cb_cli_command_join;
extern const cb_cli_command cb_cli_command_hub_init;
extern const cb_cli_command cb_cli_command_hub_enrol;
extern const cb_cli_command cb_cli_command_hub_people;
extern const cb_cli_command cb_cli_command_hub_grant;
extern const cb_cli_command cb_cli_command_hub_import;
extern const cb_cli_command cb_cli_command_hub_merge;
extern const cb_cli_command cb_cli_command_hub_check_push;
extern const cb_cli_command cb_cli_command_hub_signers;

extern const cb_cli_command cb_cli_command_case_new;
extern const cb_cli_command cb_cli_command_case_list;
extern const cb_cli_command cb_cli_command_case_show;
extern const cb_cli_command cb_cli_command_case_timeline;

extern const cb_cli_command cb_cli_command_add;
extern const cb_cli_command cb_cli_command_amend;
extern const cb_cli_command cb_cli_command_strike;
extern const cb_cli_command cb_cli_command_show;
extern const cb_cli_command cb_cli_command_types;

extern const cb_cli_command cb_cli_command_conflicts;
extern const cb_cli_command cb_cli_command_resolve;
extern const cb_cli_command cb_cli_command_tasks;

extern const cb_cli_command cb_cli_command_sync;

extern const cb_cli_command cb_cli_command_audit_verify;
extern const cb_cli_command cb_cli_command_audit_replay;
extern const cb_cli_command cb_cli_command_audit_timeline;
extern const cb_cli_command cb_cli_command_audit_knew;
extern const cb_cli_command cb_cli_command_audit_explain;

#endif
