/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the shipped command.  Commands of one noun stand together, and
 * groups in the order of their enumeration.
 */
#include "commands.h"

#include "access.h"
#include "help.h"

static const cb_cli_command help_command = {
    .name = "help",
    .group = CB_CLI_GROUP_HELP,
    .purpose = "explain a command or a topic",
    .operands = "[COMMAND|TOPIC]",
    .operands_max = 2,
    .examples =
        (const cb_cli_example[]){
            { "casebound help", "the commands, by what one wants to do" },
            { "casebound help times", "how to say when something happened" },
            { "casebound help version",
              "the same as casebound version --help" },
            { NULL, NULL } },
    .run = cb_cli_run_help,
};

static const cb_cli_command completion_command = {
    .name = "completion",
    .group = CB_CLI_GROUP_HELP,
    .purpose = "print the completions for a shell",
    .operands = "bash|zsh|fish",
    .operands_min = 1,
    .operands_max = 1,
    .examples =
        (const cb_cli_example[]){
            { "eval \"$(casebound completion bash)\"",
              "in ~/.bashrc: complete commands and options with Tab" },
            { NULL, NULL } },
    .run = cb_cli_run_completion,
};

static const cb_cli_command version_command = {
    .name = "version",
    .group = CB_CLI_GROUP_HELP,
    .purpose = "print the version, and the limits it keeps",
    .options =
        (const cb_cli_option[]){
            { "limits", '\0', NULL, "also every limit, and why it is there" },
            { NULL, '\0', NULL, NULL } },
    .examples = (const cb_cli_example[]){ { "casebound version", "one line" },
                                          { "casebound version --limits",
                                            "how large things may be" },
                                          { NULL, NULL } },
    .run = cb_cli_run_version,
};

static const cb_cli_command *const commands[] = {
    &cb_cli_command_init,
    &cb_cli_command_unlock,
    &cb_cli_command_lock,
    &cb_cli_command_status,
    &cb_cli_command_enrol_request,
    &cb_cli_command_join,
    &cb_cli_command_backup,
    &cb_cli_command_restore,
    &cb_cli_command_doctor,
    &cb_cli_command_passphrase,
    &cb_cli_command_recovery_new,
    &cb_cli_command_recovery_check,
    &cb_cli_command_recovery_remove,
    &cb_cli_command_key_rotate,
    &cb_cli_command_case_new,
    &cb_cli_command_case_list,
    &cb_cli_command_case_show,
    &cb_cli_command_case_timeline,
    &cb_cli_command_add,
    &cb_cli_command_amend,
    &cb_cli_command_strike,
    &cb_cli_command_show,
    &cb_cli_command_types,
    &cb_cli_command_conflicts,
    &cb_cli_command_resolve,
    &cb_cli_command_tasks,
    &cb_cli_command_sync,
    &cb_cli_command_hub_init,
    &cb_cli_command_hub_enrol,
    &cb_cli_command_hub_people,
    &cb_cli_command_hub_grant,
    &cb_cli_command_hub_merge,
    &cb_cli_command_hub_signers,
    &cb_cli_command_hub_check_push,
    &cb_cli_command_hub_import,
    &cb_cli_command_audit_verify,
    &cb_cli_command_audit_explain,
    &cb_cli_command_audit_replay,
    &cb_cli_command_audit_timeline,
    &cb_cli_command_audit_knew,
    &help_command,
    &completion_command,
    &version_command,
};

const cb_cli_program cb_cli_casebound = {
    .commands = commands,
    .count = sizeof commands / sizeof commands[0],
    .open_store = cb_cli_open_store,
    .close_store = cb_cli_close_store,
};
