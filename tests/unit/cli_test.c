/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame around the commands, run with a table and a world of its own.
 */
#include "support/expect.h"

#include "command.h"
#include "output.h"
#include "progress.h"

#include <stdlib.h>
#include <unistd.h>

/* What the two streams got, for one run at a time. */
typedef struct captured {
    char *out;
    char *err;
    size_t out_size;
    size_t err_size;
} captured;

/* Milliseconds that a test lets pass. */
static int64_t passed_ms;

static int64_t monotonic_ms(void)
{
    return passed_ms;
}

static bool is_interrupted(void)
{
    return false;
}

/* Opening the store of these programs is writing down that it happened. */
static char opened[64];
static bool is_closed;

static cb_status open_store(cb_cli_session *session, cb_cli_mode mode)
{
    if (session->folder_option != NULL &&
        strcmp(session->folder_option, "absent") == 0) {
        cb_error_set(&session->error, CB_NO_STORE, "no store in '%s'",
                     session->folder_option);
        return CB_NO_STORE;
    }
    snprintf(opened, sizeof opened, "%d", (int)mode);
    session->store = opened;
    return CB_OK;
}

static void close_store(cb_cli_session *session)
{
    cr_assert(session->store == opened);
    is_closed = true;
}

static cb_status run_read(cb_cli_session *session)
{
    cr_expect(session->store == opened);
    cb_cli_print(session, "read\n");
    cb_cli_say(session, "said");
    cb_cli_explain(session, "explained");
    cb_cli_warn(session, "warned of '%s'", "a\033b");
    return cb_cli_answer(session,
                         json_pack("{s:s, s:i}", "schema", "test.v1", "n", 7),
                         &session->error);
}

static cb_status run_fail(cb_cli_session *session)
{
    cb_cli_warn(session, "first");
    cb_status status = cb_cli_answer(
        session, json_pack("{s:s}", "schema", "test.v1"), &session->error);
    cr_expect(status == CB_OK);
    cb_error_set(&session->error, CB_WRONG_KEY, "cannot open '%s'",
                 "a\nb\033[31m\xFF");
    cb_error_meaning(&session->error, "nothing was changed");
    return CB_WRONG_KEY;
}

/* Ends in the status whose JSON name is given, without a word about it. */
static cb_status run_end(cb_cli_session *session)
{
    const char *name = cb_cli_operand(&session->arguments, 0);
    for (int i = 0; i < CB_STATUS_COUNT; i++) {
        if (strcmp(cb_status_name((cb_status)i), name) == 0) {
            return (cb_status)i;
        }
    }
    return CB_OK;
}

static cb_status run_rows(cb_cli_session *session)
{
    static const cb_cli_column columns[] = {
        { .title = "name" },
        { .title = "n", .is_number = true },
        { .title = "text", .may_be_cut = true }
    };
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, 3);
    cb_cli_rows_add(&rows, "Zo\xC3\xAB");
    cb_cli_rows_add(&rows, "5");
    cb_cli_rows_add(&rows, "a long text that does not fit on the terminal");
    cb_cli_rows_add(&rows, "\xE6\xBC\xA2\xE5\xAD\x97");
    cb_cli_rows_add(&rows, "1234");
    cb_cli_rows_add(&rows, NULL);
    cb_cli_rows_add(&rows, "a\nb");
    cb_cli_rows_add(&rows, "");
    cb_cli_rows_add(&rows, "\033[31m");
    cb_status status = cb_cli_rows_print(session, &rows, &session->error);
    cb_cli_rows_clear(&rows);
    return status;
}

static cb_status run_progress(cb_cli_session *session)
{
    cb_cli_progress progress;
    cb_cli_progress_begin(&progress, session, "sending", "entries", 2000);
    for (uint64_t i = 1; i <= 2000; i++) {
        passed_ms++;
        cb_cli_progress_update(&progress, i, i * 1024);
    }
    cb_cli_progress_end(&progress);
    cb_cli_progress_end(&progress);
    return CB_OK;
}

static cb_status run_folder(cb_cli_session *session)
{
    cb_buffer path;
    cb_buffer_init(&path, 4096);
    cb_status status = cb_cli_folder(session, &path, &session->error);
    if (status == CB_OK) {
        cb_cli_print(session, "%s\n", cb_buffer_text(&path));
    }
    cb_buffer_clear(&path);
    return status;
}

static const cb_cli_example examples[] = { { "casebound x", "does x" },
                                           { NULL, NULL } };

#define COMMAND(command_name, command_mode, function)                      \
    &(const cb_cli_command)                                                \
    {                                                                      \
        .name = (command_name), .mode = (command_mode), .purpose = "test", \
        .examples = examples, .operands = "[X]", .operands_max = 1,        \
        .run = (function)                                                  \
    }

static const cb_cli_command *const commands[] = {
    COMMAND("read", CB_CLI_READ, run_read),
    COMMAND("fail", CB_CLI_NO_STORE, run_fail),
    COMMAND("end", CB_CLI_NO_STORE, run_end),
    COMMAND("rows", CB_CLI_NO_STORE, run_rows),
    COMMAND("progress", CB_CLI_NO_STORE, run_progress),
    COMMAND("folder", CB_CLI_NO_STORE, run_folder),
    COMMAND("case list", CB_CLI_NO_STORE, run_folder),
    COMMAND("case show", CB_CLI_NO_STORE, run_folder),
    COMMAND("hub", CB_CLI_NO_STORE, run_folder),
    COMMAND("hub people", CB_CLI_WRITE, run_read),
};

static const cb_cli_program program = {
    .commands = commands,
    .count = sizeof commands / sizeof commands[0],
    .open_store = open_store,
    .close_store = close_store,
};

static cb_cli_world plain_world(void)
{
    return (cb_cli_world){ .environment = cb_environment_system(),
                           .columns = 80,
                           .monotonic_ms = monotonic_ms,
                           .is_interrupted = is_interrupted };
}

/* Runs words, separated by spaces, in a world; the caller frees the texts. */
static int run_in(cb_cli_world world, const char *line, captured *ret_captured)
{
    char words[256];
    char *argv[16];
    int argc = 0;
    argv[argc++] = (char *)"casebound";
    snprintf(words, sizeof words, "%s", line);
    for (char *at = words; *at != '\0';) {
        argv[argc++] = at;
        at += strcspn(at, " ");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    *ret_captured = (captured){ 0 };
    opened[0] = '\0';
    is_closed = false;
    world.out = open_memstream(&ret_captured->out, &ret_captured->out_size);
    world.err = open_memstream(&ret_captured->err, &ret_captured->err_size);
    int code = cb_cli_run_program(&program, argc, argv, &world);
    fclose(world.out);
    fclose(world.err);
    return code;
}

static void expect_run(cb_cli_world world, const char *line, int code,
                       const char *out, const char *err)
{
    captured got;
    int got_code = run_in(world, line, &got);
    cr_expect(got_code == code, "'%s' ends with %d", line, got_code);
    expect_text(got.out, out);
    expect_text(got.err, err);
    free(got.out);
    free(got.err);
}

Test(cli, opens_what_the_mode_asks_for_and_closes_it)
{
    captured got;
    cr_expect(run_in(plain_world(), "read", &got) == 0);
    expect_text(opened, "1");
    cr_expect(is_closed);
    free(got.out);
    free(got.err);
    cr_expect(run_in(plain_world(), "hub people", &got) == 0);
    expect_text(opened, "2");
    cr_expect(is_closed);
    free(got.out);
    free(got.err);
    expect_run(
        plain_world(), "-C absent read", 10, "",
        "casebound: no store in 'absent'\n"
        "    nothing was read or changed\n"
        "    next: name its folder with -C, or make one: casebound init; of a "
        "backup: casebound restore FILE\n");
    cr_expect(!is_closed);
    /* Help and mistakes need no store. */
    cr_expect(run_in(plain_world(), "read --help", &got) == 0);
    free(got.out);
    free(got.err);
    cr_expect(run_in(plain_world(), "read a b", &got) == 2);
    free(got.out);
    free(got.err);
    expect_text(opened, "");
}

Test(cli, keeps_results_and_chatter_apart)
{
    const char *const warning = "casebound: warning: warned of 'a<U+001B>b'\n";
    char err[256];
    snprintf(err, sizeof err, "said\n%s", warning);
    expect_run(plain_world(), "read", 0, "read\n", err);
    expect_run(plain_world(), "-q read", 0, "read\n", warning);
    snprintf(err, sizeof err, "said\nexplained\n%s", warning);
    expect_run(plain_world(), "read -v", 0, "read\n", err);
    expect_run(plain_world(), "--json -v read", 0,
               "{\n"
               "  \"schema\": \"test.v1\",\n"
               "  \"n\": 7,\n"
               "  \"warnings\": [\n"
               "    \"warned of 'a<U+001B>b'\"\n"
               "  ]\n"
               "}\n",
               "");
}

Test(cli, tells_an_error_in_three_clean_lines)
{
    expect_run(plain_world(), "fail -q", 13, "",
               "casebound: warning: first\n"
               "casebound: cannot open 'a b<U+001B>[31m\xEF\xBF\xBD'\n"
               "    nothing was changed\n"
               "    next: try again\n");
    expect_run(plain_world(), "fail --json", 13, "",
               "{\"schema\": \"casebound.error.v1\", \"status\": "
               "\"wrong_key\", \"exit\": 13, \"what\": \"cannot open 'a "
               "b<U+001B>[31m\\uFFFD'\", \"meaning\": \"nothing was "
               "changed\", \"next\": [\"try again\"], "
               "\"warnings\": [\"first\"]}\n");
}

Test(cli, ends_with_the_code_of_the_status)
{
    for (int i = 0; i < CB_STATUS_COUNT; i++) {
        cb_status status = (cb_status)i;
        char line[64];
        captured got;
        snprintf(line, sizeof line, "end %s", cb_status_name(status));
        int code = run_in(plain_world(), line, &got);
        cr_expect(code == cb_status_exit_code(status), "%s: %d", line, code);
        bool is_result = status == CB_OK || status == CB_CONFLICTS ||
                         status == CB_FINDINGS || status == CB_UNCHECKED;
        cr_expect((got.err_size == 0) == is_result, "%s: '%s'", line, got.err);
        cr_expect(is_result || strncmp(got.err, "casebound: ", 11) == 0,
                  "%s: '%s'", line, got.err);
        free(got.out);
        free(got.err);
    }
}

Test(cli, finds_commands_of_one_and_of_two_words)
{
    cb_cli_world world = plain_world();
    world.store_folder = "here";
    expect_run(world, "case list", 0, "here\n", "");
    expect_run(world, "hub", 0, "here\n", "");
    expect_run(world, "hub people --help", 0,
               "casebound hub people: test\n\n"
               "Examples\n"
               "  casebound x  does x\n\n"
               "Usage\n"
               "  casebound hub people [X]\n\n"
               "See also\n"
               "  help options, help exit-codes\n",
               "");
    expect_run(world, "case", 0,
               "  case list             test\n"
               "  case show             test\n",
               "");
    expect_run(world, "case shwo", 2, "",
               "casebound: unknown command 'case shwo'; did you mean "
               "'case show'?\n"
               "    next: casebound help\n");
    expect_run(world, "list", 2, "",
               "casebound: unknown command 'list'; did you mean "
               "'case list'?\n"
               "    next: casebound help\n");
    /* "hub" is a command, so what follows is its argument. */
    expect_run(world, "hub poeple", 0, "here\n", "");
}

Test(cli, looks_for_the_store_in_the_documented_order)
{
    cb_cli_world world = plain_world();
    expect_run(world, "folder", 2, "",
               "casebound: which store is meant is not known: HOME is not "
               "set\n"
               "    next: give -C DIR\n");
    world.home_folder = "/home/x";
    expect_run(world, "folder", 0, "/home/x/.local/share/casebound\n", "");
    world.data_folder = "/data";
    expect_run(world, "folder", 0, "/data/casebound\n", "");
    world.store_folder = "/store";
    expect_run(world, "folder", 0, "/store\n", "");
    expect_run(world, "folder -C /given", 0, "/given\n", "");
    expect_run(world, "--store=/given folder", 0, "/given\n", "");
}

Test(cli, lays_out_rows)
{
    cb_cli_world world = plain_world();
    expect_run(world, "rows", 0,
               "Zo\xC3\xAB      5  a long text that does not fit on the "
               "terminal\n"
               "\xE6\xBC\xA2\xE5\xAD\x97  1234\n"
               "a b         <U+001B>[31m\n",
               "");
    world.out_is_terminal = true;
    world.columns = 40;
    expect_run(world, "rows", 0,
               "name     n  text\n"
               "Zo\xC3\xAB      5  a long text that does not ..\n"
               "\xE6\xBC\xA2\xE5\xAD\x97  1234\n"
               "a b         <U+001B>[31m\n",
               "");
    expect_run(world, "rows --json", 0, "", "");
}

Test(cli, colours_only_where_it_is_wanted)
{
    cb_cli_world world = plain_world();

    static const struct {
        const char *line;
        bool is_terminal;
        bool is_unwanted;
        bool has_colour;
    } rows[] = {
        { "nothing", false, false, false },
        { "nothing", true, false, true },
        { "nothing", true, true, false },
        { "--color=always folder", false, true, true },
        { "--color never folder", true, false, false },
        { "--color=auto folder", true, false, true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        captured got;
        world.err_is_terminal = rows[i].is_terminal;
        world.colour_unwanted = rows[i].is_unwanted;
        cr_expect(run_in(world, rows[i].line, &got) == 2);
        cr_expect((strchr(got.err, '\033') != NULL) == rows[i].has_colour,
                  "row %zu: '%s'", i, got.err);
        free(got.out);
        free(got.err);
    }
}

Test(cli, shows_progress_late_seldom_and_not_for_ever)
{
    cb_cli_world world = plain_world();
    captured got;
    expect_run(world, "progress", 0, "", "");
    world.err_is_terminal = true;
    expect_run(world, "progress -q", 0, "", "");
    cr_expect(run_in(world, "progress", &got) == 0);
    size_t draws = 0;
    for (size_t i = 0; i < got.err_size; i++) {
        draws += got.err[i] == '\r' ? 1 : 0;
    }
    /* From 1000 to 2000 ms every 100 ms, and once to take it away. */
    cr_expect(draws == 12, "%zu", draws);
    static const char first[] = "\rsending  1000/2000 entries  1000.0 KiB  "
                                "1000.0 KiB/s\033[K";
    expect_bytes(got.err, sizeof first - 1, first, sizeof first - 1);
    cr_assert(got.err_size > 4);
    expect_text(got.err + got.err_size - 4, "\r\033[K");
    free(got.out);
    free(got.err);
}
