/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions, asked on a pseudo-terminal and through a descriptor.
 *
 * A scene on the terminal is two processes: a child that has it as its
 * controlling terminal and asks, and this one, which waits for each question
 * and types the answer.
 */
#define _XOPEN_SOURCE 700

#include "support/expect.h"

#include "prompt.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <casebound/limits.h>

static bool is_interrupted(void)
{
    return false;
}

static const cb_cli_world world = { .columns = 80,
                                    .is_interrupted = is_interrupted };

static cb_cli_session session_of(int descriptor)
{
    return (cb_cli_session){ .world = &world,
                             .passphrase_descriptor = descriptor };
}

static int pipe_with(const char *text, size_t size)
{
    int ends[2];
    cr_assert(pipe(ends) == 0);
    cr_assert(write(ends[1], text, size) == (ssize_t)size);
    close(ends[1]);
    return ends[0];
}

static void expect_secret(cb_secret *secret, const char *text)
{
    expect_bytes(cb_secret_view(secret), cb_secret_size(secret), text,
                 strlen(text));
    cb_secret_destroy(secret);
}

Test(prompt, takes_one_line_of_the_descriptor_each_time)
{
    static const char text[] = "first words\nsecond words\r\n third \nlast";
    cb_cli_session session = session_of(pipe_with(text, sizeof text - 1));
    static const char *const lines[] = { "first words", "second words",
                                         " third ", "last" };
    /* The last two are too short for a new one. */
    for (size_t i = 0; i < 2; i++) {
        cb_secret *secret = NULL;
        expect_ok(
            cb_cli_ask_new_passphrase(&session, "x", &secret, test_error()));
        expect_secret(secret, lines[i]);
    }
    for (size_t i = 2; i < sizeof lines / sizeof lines[0]; i++) {
        cb_secret *secret = NULL;
        expect_ok(cb_cli_ask_passphrase(&session, "x", &secret, test_error()));
        expect_secret(secret, lines[i]);
    }
    cb_secret *secret = NULL;
    expect_status(CB_INPUT,
                  cb_cli_ask_passphrase(&session, "x", &secret, test_error()));
    cr_expect(secret == NULL);
}

Test(prompt, refuses_a_passphrase_that_cannot_be_one)
{
    static char text[CB_PASSPHRASE_BYTES_MAX + 2];
    memset(text, 'x', sizeof text);

    const struct {
        const char *text;
        size_t size;
        cb_status status;
    } rows[] = {
        { "", 0, CB_INPUT },
        { "\n", 1, CB_INPUT },
        { "\r\n", 2, CB_INPUT },
        { "zero\0byte\n", 10, CB_INPUT },
        { "seven..\n", 8, CB_INPUT },
        { "eight...\n", 9, CB_OK },
        /* Eight bytes, but four characters. */
        { "\xC3\xAB\xC3\xAB\xC3\xAB\xC3\xAB\n", 9, CB_INPUT },
        { text, CB_PASSPHRASE_BYTES_MAX, CB_OK },
        { text, CB_PASSPHRASE_BYTES_MAX + 1, CB_LIMIT },
        { text, CB_PASSPHRASE_BYTES_MAX + 2, CB_LIMIT },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_cli_session session =
            session_of(pipe_with(rows[i].text, rows[i].size));
        cb_secret *secret = NULL;
        cb_error error = { 0 };
        cb_status status =
            cb_cli_ask_new_passphrase(&session, "x", &secret, &error);
        cr_expect(status == rows[i].status, "row %zu: %s", i,
                  cb_status_name(status));
        cr_expect((secret != NULL) == (status == CB_OK), "row %zu", i);
        /* Whatever was given, no message repeats it. */
        cr_expect(strstr(error.what, "seven") == NULL &&
                  strstr(error.what, "xxx") == NULL);
        cb_secret_destroy(secret);
        close(session.passphrase_descriptor);
    }
    cb_cli_session session = session_of(987);
    cb_secret *secret = NULL;
    expect_status(CB_USAGE,
                  cb_cli_ask_passphrase(&session, "x", &secret, test_error()));
}

Test(prompt, names_the_option_when_it_may_not_ask)
{
    cb_cli_session session = session_of(-1);
    session.no_input = true;
    cb_secret *secret = NULL;
    expect_status(CB_USAGE,
                  cb_cli_ask_passphrase(&session, "x", &secret, test_error()));
    expect_text(test_error()->next, "give --passphrase-fd N");
    bool is_yes = true;
    expect_status(CB_USAGE, cb_cli_ask_yes(&session, "really?", "--yes",
                                           &is_yes, test_error()));
    expect_text(test_error()->next, "give --yes");
    cr_expect(is_yes);
}

typedef cb_status (*scene_function)(const cb_cli_session *session,
                                    cb_error *error);

typedef struct answer {
    const char *question;
    const char *typed;
} answer;

/* What the terminal shows until it ends in `wanted`; false after 5 s. */
static bool wait_for(int terminal, const char *wanted, char *shown,
                     size_t shown_size)
{
    size_t size = strlen(shown);
    while (strstr(shown, wanted) == NULL && size + 1 < shown_size) {
        struct pollfd ready = { .fd = terminal, .events = POLLIN };
        if (poll(&ready, 1, 5000) != 1 ||
            read(terminal, shown + size, 1) != 1) {
            return false;
        }
        shown[++size] = '\0';
    }
    return true;
}

/* In the child: takes the terminal, asks, and sends the error back. */
static _Noreturn void ask(const char *terminal, int result,
                          scene_function scene)
{
    cb_cli_session session = session_of(-1);
    /* Whatever happens, the test that waits for it goes on. */
    alarm(20);
    setsid();
    if (terminal != NULL && open(terminal, O_RDWR) < 0) {
        _exit(1);
    }
    cb_error error = { 0 };
    error.status = scene(&session, &error);
    _exit(write(result, &error, sizeof error) == (ssize_t)sizeof error ? 0 : 1);
}

/*
 * Plays a scene and returns how it ended.  `shown` gets all that the terminal
 * showed, what was typed included where it is echoed.
 */
static cb_status play(scene_function scene, const answer *answers,
                      cb_error *ret_error, char *shown, size_t shown_size)
{
    int result[2];
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(terminal >= 0 && grantpt(terminal) == 0 &&
              unlockpt(terminal) == 0 && pipe(result) == 0);
    const char *name = answers == NULL ? NULL : ptsname(terminal);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        ask(name, result[1], scene);
    }
    close(result[1]);
    shown[0] = '\0';
    for (; answers != NULL && answers->question != NULL; answers++) {
        char *seen = shown + strlen(shown);
        cr_assert(wait_for(terminal, answers->question, seen,
                           shown_size - (size_t)(seen - shown)),
                  "no '%s' in '%s'", answers->question, shown);
        size_t size = strlen(answers->typed);
        cr_assert(write(terminal, answers->typed, size) == (ssize_t)size);
    }
    cb_error error = { .status = CB_STATUS_COUNT };
    cr_expect(read(result[0], &error, sizeof error) == (ssize_t)sizeof error);
    /* The rest of what it showed, until the child has closed it. */
    if (name != NULL) {
        (void)wait_for(terminal, "\x01never", shown, shown_size);
    }
    waitpid(child, NULL, 0);
    close(terminal);
    *ret_error = error;
    return error.status;
}

static cb_status new_passphrase(const cb_cli_session *session, cb_error *error)
{
    cb_secret *secret = NULL;
    cb_status status =
        cb_cli_ask_new_passphrase(session, "new passphrase", &secret, error);
    if (status == CB_OK &&
        (cb_secret_size(secret) != 13 ||
         memcmp(cb_secret_view(secret), "correct horse", 13) != 0)) {
        status = CB_FAILED;
    }
    cb_secret_destroy(secret);
    return status;
}

static cb_status yes(const cb_cli_session *session, cb_error *error)
{
    bool is_yes = false;
    cb_status status =
        cb_cli_ask_yes(session, "go on?", "--yes", &is_yes, error);
    return status == CB_OK && !is_yes ? CB_NOT_FOUND : status;
}

static cb_status by_name(const cb_cli_session *session, cb_error *error)
{
    return cb_cli_confirm_by_name(session, "type the name:", "RL-7", "--name N",
                                  error);
}

Test(prompt, asks_on_the_terminal)
{
    static const struct {
        scene_function scene;
        answer answers[3];
        cb_status status;
    } rows[] = {
        { new_passphrase,
          { { "new passphrase: ", "correct horse\n" },
            { "the same again: ", "correct horse\n" } },
          CB_OK },
        { new_passphrase,
          { { "new passphrase: ", "correct horse\n" },
            { "the same again: ", "correct house\n" } },
          CB_INPUT },
        { new_passphrase, { { "new passphrase: ", "short\n" } }, CB_INPUT },
        { new_passphrase, { { "new passphrase: ", "\n" } }, CB_INPUT },
        { yes, { { "go on? ", "y\n" } }, CB_OK },
        { yes, { { "go on? ", "YES\n" } }, CB_OK },
        { yes, { { "go on? ", "yesterday\n" } }, CB_NOT_FOUND },
        { yes, { { "go on? ", "\n" } }, CB_NOT_FOUND },
        { yes, { { "go on? ", "\x04" } }, CB_INTERRUPTED },
        { by_name, { { "type the name: ", "RL-7\n" } }, CB_OK },
        { by_name, { { "type the name: ", "rl-7\n" } }, CB_INTERRUPTED },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char shown[512];
        cb_error error;
        cb_status status =
            play(rows[i].scene, rows[i].answers, &error, shown, sizeof shown);
        cr_expect(status == rows[i].status, "row %zu: %s: %s", i,
                  cb_status_name(status), error.what);
        cr_expect(strstr(shown, "correct") == NULL &&
                      strstr(shown, "short") == NULL,
                  "row %zu shows '%s'", i, shown);
    }
}

Test(prompt, says_what_to_give_where_there_is_no_terminal)
{
    char shown[512];
    cb_error error;
    cr_expect(play(new_passphrase, NULL, &error, shown, sizeof shown) ==
              CB_USAGE);
    expect_contains(error.what, "there is no terminal");
    expect_text(error.next, "give --passphrase-fd N");
    cr_expect(play(yes, NULL, &error, shown, sizeof shown) == CB_USAGE);
    expect_text(error.next, "give --yes");
}
