/* SPDX-License-Identifier: Apache-2.0 */
#include "support/expect.h"

#include "command.h"

#include <stdint.h>
#include <stdlib.h>

static const cb_cli_option globals[] = {
    { "json", '\0', NULL, "" },   { "quiet", 'q', NULL, "" },
    { "verbose", 'v', NULL, "" }, { "store", 'C', "DIR", "" },
    { NULL, '\0', NULL, NULL },
};

static const cb_cli_option options[] = {
    { "about", '\0', "PERSON", "" },
    { "output", 'o', "FILE", "" },
    { "dry-run", '\0', NULL, "" },
    { NULL, '\0', NULL, NULL },
};

#define WORDS_MAX 8

/* Reads words; the caller clears the arguments. */
static cb_status read_words(const char *const *words,
                            cb_cli_arguments *arguments, cb_error *error)
{
    static char *argv[WORDS_MAX + 2];
    int argc = 1;
    argv[0] = (char *)"casebound";
    while (words[argc - 1] != NULL) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    cb_cli_parse parse = { .tables = { globals, options },
                           .argc = argc,
                           .argv = argv,
                           .position = 1 };
    cb_status status = cb_cli_arguments_init(arguments, argc, error);
    return status == CB_OK ? cb_cli_parse_options(&parse, arguments, error)
                           : status;
}

/* What was read, in order: "output=x json | operand". */
static void describe(const cb_cli_arguments *arguments, cb_buffer *text)
{
    for (size_t i = 0; i < arguments->given_count; i++) {
        const cb_cli_given *given = &arguments->given[i];
        cb_buffer_append_format(text, "%s%s%s ", given->option->name,
                                given->value == NULL ? "" : "=",
                                given->value == NULL ? "" : given->value);
    }
    cb_buffer_append_text(text, "|");
    for (size_t i = 0; i < arguments->operand_count; i++) {
        cb_buffer_append_format(text, " %s", arguments->operands[i]);
    }
}

Test(option, reads_every_form)
{
    static const struct {
        const char *words[WORDS_MAX + 1];
        const char *read;
    } rows[] = {
        { { NULL }, "|" },
        { { "a", "b", NULL }, "| a b" },
        { { "--json", NULL }, "json |" },
        { { "--output=x", NULL }, "output=x |" },
        { { "--output", "x", NULL }, "output=x |" },
        { { "--output=", NULL }, "output= |" },
        { { "--output=a=b", NULL }, "output=a=b |" },
        { { "--output", "--json", NULL }, "output=--json |" },
        { { "-o", "x", NULL }, "output=x |" },
        { { "-ox", NULL }, "output=x |" },
        { { "-o=x", NULL }, "output==x |" },
        { { "-qv", NULL }, "quiet verbose |" },
        { { "-qvo", "x", NULL }, "quiet verbose output=x |" },
        { { "-qqq", "-q", NULL }, "quiet |" },
        { { "-", NULL }, "| -" },
        { { "--", NULL }, "|" },
        { { "--", "--json", "-q", "--", NULL }, "| --json -q --" },
        { { "a", "--json", "b", "--dry-run", "c", NULL },
          "json dry-run | a b c" },
        { { "--about", "A", "--about=B", NULL }, "about=A about=B |" },
        { { "text=-x", "note=@file", NULL }, "| text=-x note=@file" },
        { { "", NULL }, "| " },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_cli_arguments arguments = { 0 };
        cb_buffer text;
        cb_buffer_init(&text, 4096);
        expect_ok(read_words(rows[i].words, &arguments, test_error()));
        describe(&arguments, &text);
        expect_text(cb_buffer_text(&text), rows[i].read);
        cb_buffer_clear(&text);
        cb_cli_arguments_clear(&arguments);
    }
}

Test(option, refuses_and_offers_the_nearest)
{
    static const struct {
        const char *words[WORDS_MAX + 1];
        const char *what;
    } rows[] = {
        { { "--jsn", NULL }, "unknown option '--jsn'; did you mean '--json'?" },
        { { "--dryrun", NULL },
          "unknown option '--dryrun'; did you mean '--dry-run'?" },
        /* Abbreviations are understood, not accepted. */
        { { "--dry", NULL },
          "unknown option '--dry'; did you mean '--dry-run'?" },
        { { "--nothing-like-it", NULL }, "unknown option '--nothing-like-it'" },
        { { "--password=secret", NULL }, "unknown option '--password'" },
        { { "-x", NULL }, "unknown option '-x'" },
        { { "-qx", NULL }, "unknown option '-x'" },
        { { "--output", NULL }, "option '--output' needs a value: FILE" },
        { { "-o", NULL }, "option '-o' needs a value: FILE" },
        { { "--json=yes", NULL }, "option '--json' takes no value" },
        { { "---", NULL }, "unknown option '---'" },
        { { "--=x", NULL }, "unknown option '--'" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_cli_arguments arguments = { 0 };
        cb_error error = { 0 };
        cb_status status = read_words(rows[i].words, &arguments, &error);
        cr_expect(status == CB_USAGE, "row %zu", i);
        expect_text(error.what, rows[i].what);
        cb_cli_arguments_clear(&arguments);
    }
}

Test(option, gives_values_in_their_order)
{
    static const char *const words[] = { "--about", "A",    "--about=B",
                                         "--json",  "last", NULL };
    cb_cli_arguments arguments = { 0 };
    expect_ok(read_words(words, &arguments, test_error()));
    cr_expect(cb_cli_option_count(&arguments, "about") == 2);
    expect_text(cb_cli_option_nth(&arguments, "about", 0), "A");
    expect_text(cb_cli_option_nth(&arguments, "about", 1), "B");
    cr_expect(cb_cli_option_nth(&arguments, "about", 2) == NULL);
    expect_text(cb_cli_option_value(&arguments, "about"), "B");
    cr_expect(cb_cli_option_value(&arguments, "output") == NULL);
    cr_expect(cb_cli_option_given(&arguments, "json"));
    cr_expect(!cb_cli_option_given(&arguments, "quiet"));
    expect_text(cb_cli_operand(&arguments, 0), "last");
    cr_expect(cb_cli_operand(&arguments, 1) == NULL);
    cb_cli_arguments_clear(&arguments);
}

Test(option, measures_how_far_two_words_are_apart)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } rows[] = {
        { "", "", 0 },
        { "a", "", 1 },
        { "sync", "sync", 0 },
        { "snyc", "sync", 1 },
        { "syn", "sync", 1 },
        { "synch", "sync", 1 },
        { "show", "shop", 1 },
        { "kitten", "sitting", 3 },
        { "ab", "ba", 1 },
        { "abcdef", "", 6 },
        { "0123456789012345678901234567890123456789x", "x", SIZE_MAX },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(cb_cli_edit_distance(rows[i].a, rows[i].b) ==
                      rows[i].distance,
                  "'%s' '%s'", rows[i].a, rows[i].b);
        cr_expect(cb_cli_edit_distance(rows[i].b, rows[i].a) ==
                      rows[i].distance,
                  "'%s' '%s'", rows[i].b, rows[i].a);
    }
}

/* No option of a command may hide one that every command takes. */
static void expect_new_option(const cb_cli_command *command,
                              const cb_cli_option *option)
{
    const cb_cli_option *global = cb_cli_global_options;
    for (; global->name != NULL; global++) {
        cr_expect(strcmp(global->name, option->name) != 0, "%s --%s",
                  command->name, option->name);
        cr_expect(option->letter == '\0' || global->letter != option->letter,
                  "%s -%c", command->name, option->letter);
    }
    cr_expect(option->help != NULL && option->help[0] != '\0', "%s --%s",
              command->name, option->name);
}

Test(option, finds_every_row_of_the_command_table_complete)
{
    const cb_cli_program *program = &cb_cli_casebound;
    cr_assert(program->count > 0);
    for (size_t i = 0; i < program->count; i++) {
        const cb_cli_command *command = program->commands[i];
        cr_expect(cb_cli_find(program, command->name) == command,
                  "'%s' is there twice", command->name);
        cr_expect(command->purpose != NULL && command->run != NULL, "%s",
                  command->name);
        cr_expect(command->examples != NULL &&
                      command->examples[0].command != NULL,
                  "%s has no example", command->name);
        cr_expect(command->operands_max == CB_CLI_ANY_NUMBER ||
                      command->operands_max >= command->operands_min,
                  "%s", command->name);
        cr_expect((command->operands == NULL) == (command->operands_max == 0),
                  "%s: operands and their number differ", command->name);
        cr_expect(command->mode == CB_CLI_NO_STORE ||
                      program->open_store != NULL,
                  "%s", command->name);
        const cb_cli_option *option = command->options;
        for (; option != NULL && option->name != NULL; option++) {
            expect_new_option(command, option);
        }
        for (size_t j = 0; j < i; j++) {
            cr_expect(program->commands[j]->group <= command->group,
                      "%s: its group stands before", command->name);
        }
    }
}
