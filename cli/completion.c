/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions for three shells, written from the table of commands.  Files are
 * offered wherever no word of ours fits.
 */
#include "help.h"

#include <string.h>

#include "output.h"

#define SCRIPT_BYTES_MAX ((size_t)1 << 20)

/* " word word" for each option of a table. */
static void append_option_words(cb_buffer *out, const cb_cli_option *option)
{
    for (; option != NULL && option->name != NULL; option++) {
        cb_buffer_append_format(out, " --%s", option->name);
        if (option->letter != '\0') {
            cb_buffer_append_format(out, " -%c", option->letter);
        }
    }
}

/* The first words of all commands, each once; names of a noun stand together
 * in the table, but a word seen anywhere before is left out too. */
static bool is_first_of_its_word(const cb_cli_program *program, size_t index)
{
    size_t size = strcspn(program->commands[index]->name, " ");
    for (size_t i = 0; i < index; i++) {
        const char *name = program->commands[i]->name;
        if (strcspn(name, " ") == size &&
            strncmp(name, program->commands[index]->name, size) == 0) {
            return false;
        }
    }
    return true;
}

static void append_first_words(cb_buffer *out, const cb_cli_program *program)
{
    for (size_t i = 0; i < program->count; i++) {
        if (is_first_of_its_word(program, i)) {
            const char *name = program->commands[i]->name;
            cb_buffer_append_format(out, " %.*s", (int)strcspn(name, " "),
                                    name);
        }
    }
}

/* The second words that follow a noun. */
static void append_second_words(cb_buffer *out, const cb_cli_program *program,
                                const char *noun, size_t size)
{
    for (size_t i = 0; i < program->count; i++) {
        const char *name = program->commands[i]->name;
        if (strncmp(name, noun, size) == 0 && name[size] == ' ') {
            cb_buffer_append_format(out, " %s", name + size + 1);
        }
    }
}

/* bash, and zsh through its bashcompinit. */
static void append_bash(cb_buffer *out, const cb_cli_program *program)
{
    cb_buffer_append_text(out, "_casebound()\n{\n"
                               "    local word=${COMP_WORDS[COMP_CWORD]}\n"
                               "    local words=''\n"
                               "    case \"$COMP_CWORD ${COMP_WORDS[1]} "
                               "${COMP_WORDS[2]}\" in\n"
                               "    '1 '*) words='");
    append_first_words(out, program);
    append_option_words(out, cb_cli_global_options);
    cb_buffer_append_text(out, "' ;;\n");
    for (size_t i = 0; i < program->count; i++) {
        const char *name = program->commands[i]->name;
        int size = (int)strcspn(name, " ");
        if (name[size] == ' ' && is_first_of_its_word(program, i)) {
            cb_buffer_append_format(out, "    '2 %.*s '*) words='", size, name);
            append_second_words(out, program, name, (size_t)size);
            cb_buffer_append_text(out, "' ;;\n");
        }
    }
    for (size_t i = 0; i < program->count; i++) {
        const cb_cli_command *command = program->commands[i];
        bool is_one_word = strchr(command->name, ' ') == NULL;
        cb_buffer_append_format(out, "    *' %s%s) words='", command->name,
                                is_one_word ? " '*" : "'");
        append_option_words(out, command->options);
        append_option_words(out, cb_cli_global_options);
        cb_buffer_append_text(out, "' ;;\n");
    }
    cb_buffer_append_text(
        out, "    esac\n"
             "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
             "}\n"
             "complete -o bashdefault -o default -F _casebound casebound\n");
}

/* In single quotes; what our own texts hold of them is doubled the fish way. */
static void append_quoted(cb_buffer *out, const char *text)
{
    cb_buffer_append_text(out, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            cb_buffer_append_text(out, "\\");
        }
        cb_buffer_append(out, text, 1);
    }
    cb_buffer_append_text(out, "'");
}

static void append_fish_options(cb_buffer *out, const cb_cli_option *option,
                                const char *command_name)
{
    for (; option != NULL && option->name != NULL; option++) {
        cb_buffer_append_text(out, "complete -c casebound");
        if (command_name != NULL) {
            cb_buffer_append_format(
                out, " -n 'string match -q -- \"* %s *\" (commandline -cp)'",
                command_name);
        }
        cb_buffer_append_format(out, " -l %s", option->name);
        if (option->letter != '\0') {
            cb_buffer_append_format(out, " -s %c", option->letter);
        }
        cb_buffer_append_text(out, option->value == NULL ? " -d " : " -r -d ");
        append_quoted(out, option->help);
        cb_buffer_append_text(out, "\n");
    }
}

static void append_fish(cb_buffer *out, const cb_cli_program *program)
{
    append_fish_options(out, cb_cli_global_options, NULL);
    for (size_t i = 0; i < program->count; i++) {
        const cb_cli_command *command = program->commands[i];
        int size = (int)strcspn(command->name, " ");
        bool has_noun = command->name[size] == ' ';
        if (has_noun && is_first_of_its_word(program, i)) {
            cb_buffer_append_format(
                out, "complete -c casebound -n __fish_use_subcommand -a %.*s\n",
                size, command->name);
        }
        if (has_noun) {
            cb_buffer_append_format(
                out,
                "complete -c casebound -n '__fish_seen_subcommand_from %.*s'"
                " -a %s -d ",
                size, command->name, command->name + size + 1);
        } else {
            cb_buffer_append_format(
                out, "complete -c casebound -n __fish_use_subcommand -a %s -d ",
                command->name);
        }
        append_quoted(out, command->purpose);
        cb_buffer_append_text(out, "\n");
        append_fish_options(out, command->options, command->name);
    }
}

cb_status cb_cli_run_completion(cb_cli_session *session)
{
    const char *shell = cb_cli_operand(&session->arguments, 0);
    cb_buffer out;
    cb_buffer_init(&out, SCRIPT_BYTES_MAX);
    cb_status status = CB_OK;
    if (strcmp(shell, "bash") == 0) {
        append_bash(&out, session->program);
    } else if (strcmp(shell, "zsh") == 0) {
        cb_buffer_append_text(&out, "#compdef casebound\n"
                                    "autoload -U +X bashcompinit\n"
                                    "bashcompinit\n");
        append_bash(&out, session->program);
    } else if (strcmp(shell, "fish") == 0) {
        append_fish(&out, session->program);
    } else {
        status = cb_error_set(&session->error, CB_USAGE,
                              "no completion for '%.40s'; there is bash, zsh "
                              "and fish",
                              shell);
    }
    if (status == CB_OK) {
        status = cb_buffer_check(&out, &session->error);
    }
    if (status == CB_OK) {
        cb_cli_print_buffer(session, &out);
    }
    cb_buffer_clear(&out);
    return status;
}
