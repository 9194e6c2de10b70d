/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an argument vector to an exit code: find the command, read the options,
 * open what it needs, run it, say how it ended.
 */
#include "command.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <casebound/json.h>

#include "editor.h"
#include "help.h"
#include "output.h"

#define NAME_BYTES_MAX 256
#define DESCRIPTOR_MAX 65535

const cb_cli_option cb_cli_global_options[] = {
    { "store", 'C', "DIR", "the store's folder (else CASEBOUND_STORE)" },
    { "json", '\0', NULL, "answer with one JSON document" },
    { "no-input", '\0', NULL, "never ask; fail and name the option to give" },
    { "quiet", 'q', NULL, "no word about success" },
    { "verbose", 'v', NULL, "more about what is done, and why it failed" },
    { "passphrase-fd", '\0', "N",
      "read each passphrase as a line of descriptor N" },
    { "color", '\0', "WHEN",
      "colour: auto (never with NO_COLOR), always, never" },
    { "help", 'h', NULL, "examples, options and exit codes" },
    { "version", 'V', NULL, "print the version" },
    { NULL, '\0', NULL, NULL },
};

const cb_cli_command *cb_cli_find(const cb_cli_program *program,
                                  const char *name)
{
    for (size_t i = 0; i < program->count; i++) {
        if (strcmp(program->commands[i]->name, name) == 0) {
            return program->commands[i];
        }
    }
    return NULL;
}

bool cb_cli_is_required(const cb_cli_command *command,
                        const cb_cli_option *option)
{
    const char *const *name = command->required;
    for (; name != NULL && *name != NULL; name++) {
        if (strcmp(*name, option->name) == 0) {
            return true;
        }
    }
    return false;
}

bool cb_cli_is_noun(const cb_cli_program *program, const char *noun)
{
    size_t size = strlen(noun);
    for (size_t i = 0; i < program->count; i++) {
        const char *name = program->commands[i]->name;
        if (strncmp(name, noun, size) == 0 && name[size] == ' ') {
            return true;
        }
    }
    return false;
}

cb_status cb_cli_folder(const cb_cli_session *session, cb_buffer *path,
                        cb_error *reterr_error)
{
    const cb_cli_world *world = session->world;
    if (session->folder_option != NULL) {
        cb_buffer_append_text(path, session->folder_option);
    } else if (world->store_folder != NULL) {
        cb_buffer_append_text(path, world->store_folder);
    } else if (world->data_folder != NULL) {
        cb_buffer_append_format(path, "%s/casebound", world->data_folder);
    } else if (world->home_folder != NULL) {
        cb_buffer_append_format(path, "%s/.local/share/casebound",
                                world->home_folder);
    } else {
        cb_error_set(reterr_error, CB_USAGE,
                     "which store is meant is not known: HOME is not set");
        cb_error_next(reterr_error, "give -C DIR");
        return CB_USAGE;
    }
    return cb_buffer_check(path, reterr_error);
}

static cb_status refuse_command(cb_cli_session *session, const char *typed)
{
    const char *nearest = cb_cli_nearest_command(session->program, typed);
    if (nearest != NULL) {
        return cb_error_set(&session->error, CB_USAGE,
                            "unknown command '%.40s'; did you mean '%s'?",
                            typed, nearest);
    }
    return cb_error_set(&session->error, CB_USAGE, "unknown command '%.40s'",
                        typed);
}

/*
 * Takes the one or two words of a command's name off the arguments.  Leaves
 * session->command NULL, and CB_OK, for a bare noun (`ret_noun`).
 */
static cb_status find_command(cb_cli_session *session, cb_cli_parse *parse,
                              const char **ret_noun)
{
    const cb_cli_program *program = session->program;
    const char *first = parse->argv[parse->position++];
    const char *second =
        parse->position < parse->argc ? parse->argv[parse->position] : NULL;
    if (cb_cli_is_noun(program, first) && second != NULL && second[0] != '-') {
        char name[NAME_BYTES_MAX];
        int size = snprintf(name, sizeof name, "%s %s", first, second);
        if (size > 0 && (size_t)size < sizeof name) {
            session->command = cb_cli_find(program, name);
        }
        if (session->command != NULL) {
            parse->position++;
            return CB_OK;
        }
        if (cb_cli_find(program, first) == NULL) {
            return refuse_command(session, name);
        }
    }
    session->command = cb_cli_find(program, first);
    if (session->command == NULL && !cb_cli_is_noun(program, first)) {
        return refuse_command(session, first);
    }
    *ret_noun = first;
    return CB_OK;
}

static cb_status read_descriptor(cb_cli_session *session)
{
    const char *text =
        cb_cli_option_value(&session->arguments, "passphrase-fd");
    session->passphrase_descriptor = -1;
    if (text == NULL) {
        return CB_OK;
    }
    /* A secret given by mistake would be quoted here, so nothing is. */
    char *end = NULL;
    long number = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < 0 ||
        number > DESCRIPTOR_MAX) {
        return cb_error_set(&session->error, CB_USAGE,
                            "option '--passphrase-fd' takes the number of an "
                            "open file descriptor, such as 3");
    }
    session->passphrase_descriptor = (int)number;
    return CB_OK;
}

/* Also what an error is shown in that comes before the options are read. */
static void set_colour_auto(cb_cli_session *session)
{
    const cb_cli_world *world = session->world;
    session->out_colour = world->out_is_terminal && !world->colour_unwanted;
    session->err_colour = world->err_is_terminal && !world->colour_unwanted;
}

static cb_status read_colour(cb_cli_session *session)
{
    const char *when = cb_cli_option_value(&session->arguments, "color");
    bool is_always = when != NULL && strcmp(when, "always") == 0;
    if (when == NULL || strcmp(when, "auto") == 0) {
        return CB_OK;
    }
    if (!is_always && strcmp(when, "never") != 0) {
        return cb_error_set(&session->error, CB_USAGE,
                            "option '--color' takes auto, always or never");
    }
    session->out_colour = is_always;
    session->err_colour = is_always;
    return CB_OK;
}

static cb_status read_globals(cb_cli_session *session)
{
    const cb_cli_arguments *arguments = &session->arguments;
    session->json = cb_cli_option_given(arguments, "json");
    session->no_input = cb_cli_option_given(arguments, "no-input");
    session->quiet = cb_cli_option_given(arguments, "quiet");
    session->verbose = cb_cli_option_given(arguments, "verbose");
    session->folder_option = cb_cli_option_value(arguments, "store");
    if (session->folder_option != NULL && session->folder_option[0] == '\0') {
        return cb_error_set(&session->error, CB_USAGE,
                            "option '-C' needs the name of a folder");
    }
    cb_status status = read_colour(session);
    return status == CB_OK ? read_descriptor(session) : status;
}

static cb_status check_operands(cb_cli_session *session)
{
    const cb_cli_command *command = session->command;
    size_t count = session->arguments.operand_count;
    if (count < (size_t)command->operands_min) {
        return cb_error_set(&session->error, CB_USAGE, "'%s' needs %s",
                            command->name, command->operands);
    }
    if (command->operands_max != CB_CLI_ANY_NUMBER &&
        count > (size_t)command->operands_max) {
        return cb_error_set(&session->error, CB_USAGE,
                            command->operands_max == 0
                                ? "'%s' takes no arguments"
                                : "too many arguments for '%s'",
                            command->name);
    }
    return CB_OK;
}

/* Names all that are missing, so that nobody finds them one by one. */
static cb_status check_required(cb_cli_session *session)
{
    const cb_cli_command *command = session->command;
    const cb_cli_option *option = command->options;
    cb_status status = CB_OK;
    cb_buffer missing;
    cb_buffer_init(&missing, NAME_BYTES_MAX);
    for (; option != NULL && option->name != NULL; option++) {
        if (cb_cli_is_required(command, option) &&
            !cb_cli_option_given(&session->arguments, option->name)) {
            cb_buffer_append_format(
                &missing, "%s--%s%s%s", missing.size == 0 ? "" : " and ",
                option->name, option->value == NULL ? "" : " ",
                option->value == NULL ? "" : option->value);
        }
    }
    if (missing.size > 0) {
        status = cb_error_set(&session->error, CB_USAGE, "'%s' needs %s",
                              command->name, cb_buffer_text(&missing));
    }
    cb_buffer_clear(&missing);
    return status;
}

/*
 * True where `status` is how a command ended that did its work: the exit code
 * is told, and there is nothing to explain.  That a check found damage is one
 * where it has given its answer.
 */
static bool is_result(const cb_cli_session *session, cb_status status)
{
    return status == CB_OK || status == CB_CONFLICTS || status == CB_FINDINGS ||
           status == CB_UNCHECKED ||
           (status == CB_DAMAGED && session->document != NULL);
}

/* Opens what the command's mode asks for and runs it. */
static cb_status run_command(cb_cli_session *session)
{
    const cb_cli_program *program = session->program;
    const cb_cli_command *command = session->command;
    cb_status status = CB_OK;
    if (command->mode != CB_CLI_NO_STORE) {
        CB_ASSERT(program->open_store != NULL);
        status = program->open_store(session, command->mode);
    }
    if (status == CB_OK) {
        status = command->run(session);
    }
    cb_cli_edits_end(session, is_result(session, status));
    if (session->store != NULL) {
        program->close_store(session);
        session->store = NULL;
    }
    return status;
}

/* Reads the whole command line and does what it says. */
static cb_status run_arguments(cb_cli_session *session, int argc, char **argv)
{
    const char *noun = NULL;
    cb_cli_parse parse = { .tables = { cb_cli_global_options },
                           .argc = argc,
                           .argv = argv,
                           .position = 1,
                           .stops_at_operand = true };
    cb_status status =
        cb_cli_parse_options(&parse, &session->arguments, &session->error);
    if (status == CB_OK && parse.position < argc) {
        status = find_command(session, &parse, &noun);
    }
    if (status == CB_OK) {
        parse.stops_at_operand = false;
        parse.tables[1] =
            session->command == NULL ? NULL : session->command->options;
        status =
            cb_cli_parse_options(&parse, &session->arguments, &session->error);
    }
    if (status == CB_OK) {
        status = read_globals(session);
    }
    if (status != CB_OK) {
        return status;
    }
    if (session->command == NULL &&
        cb_cli_option_given(&session->arguments, "version")) {
        return cb_cli_run_version(session);
    }
    if (session->command == NULL && noun != NULL) {
        cb_cli_help_list(session, noun);
        return CB_OK;
    }
    if (session->command == NULL) {
        cb_cli_help_overview(session);
        return CB_OK;
    }
    if (cb_cli_option_given(&session->arguments, "help")) {
        cb_cli_help_command(session, session->command);
        return CB_OK;
    }
    status = check_operands(session);
    if (status == CB_OK) {
        status = check_required(session);
    }
    return status == CB_OK ? run_command(session) : status;
}

/* Whether the answer is wanted as JSON, though the options could not be read.
 */
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

int cb_cli_run_program(const cb_cli_program *program, int argc, char **argv,
                       const cb_cli_world *world)
{
    cb_cli_session session = { .world = world,
                               .program = program,
                               .passphrase_descriptor = -1 };
    cb_json_prepare();
    set_colour_auto(&session);
    cb_status status =
        cb_cli_arguments_init(&session.arguments, argc, &session.error);
    if (status == CB_OK) {
        status = run_arguments(&session, argc, argv);
    }
    if (status == CB_USAGE) {
        session.json = session.json || asks_for_json(argc, argv);
        if (session.command != NULL) {
            cb_error_next(&session.error, "casebound %s --help",
                          session.command->name);
        }
    }
    if (is_result(&session, status) && session.error.status == CB_OK) {
        cb_status finished = cb_cli_finish_output(&session, &session.error);
        status = finished == CB_OK ? status : finished;
    }
    if (!is_result(&session, status) || session.error.status != CB_OK) {
        /* For statuses that carry no text, such as "not found". */
        (void)cb_error_set(&session.error, status, "%s", "");
        cb_cli_report_error(&session, &session.error);
    }
    (void)fflush(world->out);
    (void)fflush(world->err);
    json_decref(session.document);
    json_decref(session.warnings);
    cb_cli_arguments_clear(&session.arguments);
    return cb_status_exit_code(status);
}

int cb_cli_main(int argc, char **argv, const cb_cli_world *world)
{
    return cb_cli_run_program(&cb_cli_casebound, argc, argv, world);
}
