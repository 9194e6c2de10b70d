/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt.h"

#include <bsd/readpassphrase.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <casebound/limits.h>

#include "text.h"

/* Room for one byte too many, so that a long one is refused and not cut. */
#define PASSPHRASE_ROOM ((size_t)CB_PASSPHRASE_BYTES_MAX + 2)
#define LINE_BYTES_MAX  4096

static cb_status refuse_question(cb_error *error, const char *subject,
                                 const char *option, const char *why)
{
    cb_error_set(error, CB_USAGE, "cannot ask for %s: %s", subject, why);
    cb_error_next(error, "give %s", option);
    return CB_USAGE;
}

static cb_status refuse_interrupted(cb_error *error)
{
    cb_error_set(error, CB_INTERRUPTED, "stopped at a question");
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "nothing; run it again if it is meant");
    return CB_INTERRUPTED;
}

static cb_status refuse_long_passphrase(cb_error *error)
{
    cb_error_set(error, CB_LIMIT, "the passphrase is longer than %d bytes",
                 CB_PASSPHRASE_BYTES_MAX);
    cb_error_meaning(error, "nothing was changed");
    return CB_LIMIT;
}

/*
 * A line, read byte by byte, so that what follows it stays for whoever reads
 * the descriptor next.
 */
static cb_status read_line_of(int descriptor, char *line, size_t line_size,
                              size_t *ret_size, cb_error *error)
{
    size_t size = 0;
    bool has_content = false;
    for (;;) {
        char byte = '\0';
        ssize_t got = read(descriptor, &byte, 1);
        if (got < 0 && errno == EINTR) {
            return refuse_interrupted(error);
        }
        if (got < 0 && errno == EBADF) {
            cb_error_set(error, CB_USAGE, "descriptor %d is not open",
                         descriptor);
            cb_error_next(error, "open it for the command, such as %d<FILE",
                          descriptor);
            return CB_USAGE;
        }
        if (got < 0) {
            return cb_error_set(error, CB_IO,
                                "cannot read descriptor %d: error %d",
                                descriptor, errno);
        }
        has_content = has_content || got == 1;
        if (got == 0 || byte == '\n') {
            break;
        }
        if (size + 1 >= line_size) {
            return CB_LIMIT;
        }
        line[size++] = byte;
    }
    if (!has_content) {
        return CB_END;
    }
    if (size > 0 && line[size - 1] == '\r') {
        size--;
    }
    line[size] = '\0';
    *ret_size = size;
    return CB_OK;
}

static cb_status read_passphrase_of(int descriptor, char *text, cb_error *error)
{
    size_t size = 0;
    cb_status status = read_line_of(
        descriptor, text, (size_t)CB_PASSPHRASE_BYTES_MAX + 1, &size, error);
    if (status == CB_LIMIT) {
        return refuse_long_passphrase(error);
    }
    if (status == CB_END || (status == CB_OK && size == 0)) {
        cb_error_set(error, CB_INPUT, "descriptor %d gives no passphrase",
                     descriptor);
        cb_error_meaning(error, "nothing was changed");
        cb_error_next(error, "write it there as one line");
        return CB_INPUT;
    }
    if (status == CB_OK && strlen(text) != size) {
        return cb_error_set(error, CB_INPUT,
                            "the passphrase holds a zero byte");
    }
    return status;
}

static cb_status read_passphrase_typed(const cb_cli_session *session,
                                       const char *question, char *text,
                                       cb_error *error)
{
    cb_buffer prompt;
    cb_buffer_init(&prompt, LINE_BYTES_MAX);
    cb_cli_clean(&prompt, cb_span_of_text(question));
    cb_buffer_append_text(&prompt, ": ");
    errno = 0;
    const char *typed = readpassphrase(cb_buffer_text(&prompt), text,
                                       PASSPHRASE_ROOM, RPP_REQUIRE_TTY);
    int number = errno;
    cb_buffer_clear(&prompt);
    if (session->world->is_interrupted()) {
        return refuse_interrupted(error);
    }
    if (typed == NULL) {
        return number == EINTR ? refuse_interrupted(error)
                               : refuse_question(error, "the passphrase",
                                                 "--passphrase-fd N",
                                                 "there is no terminal");
    }
    if (strlen(text) > CB_PASSPHRASE_BYTES_MAX) {
        return refuse_long_passphrase(error);
    }
    if (text[0] == '\0') {
        cb_error_set(error, CB_INPUT, "no passphrase was given");
        cb_error_meaning(error, "nothing was changed");
        cb_error_next(error, "run it again and type the passphrase");
        return CB_INPUT;
    }
    return CB_OK;
}

cb_status cb_cli_ask_passphrase(const cb_cli_session *session,
                                const char *question,
                                cb_secret **ret_passphrase,
                                cb_error *reterr_error)
{
    cb_secret *secret = NULL;
    cb_status status = cb_secret_create(PASSPHRASE_ROOM, &secret, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    char *text = (char *)cb_secret_bytes(secret);
    if (session->passphrase_descriptor >= 0) {
        status = read_passphrase_of(session->passphrase_descriptor, text,
                                    reterr_error);
    } else if (session->no_input) {
        status = refuse_question(reterr_error, "the passphrase",
                                 "--passphrase-fd N", "--no-input was given");
    } else {
        status = read_passphrase_typed(session, question, text, reterr_error);
    }
    if (status != CB_OK) {
        cb_secret_destroy(secret);
        return status;
    }
    cb_secret_shorten(secret, strlen(text));
    *ret_passphrase = secret;
    return CB_OK;
}

static cb_status check_length(const cb_secret *passphrase, cb_error *error)
{
    cb_span text = { cb_secret_view(passphrase), cb_secret_size(passphrase) };
    if (cb_cli_character_count(text) >= CB_PASSPHRASE_CHARACTERS_MIN) {
        return CB_OK;
    }
    cb_error_set(error, CB_INPUT,
                 "the passphrase is shorter than %d characters",
                 CB_PASSPHRASE_CHARACTERS_MIN);
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "choose a longer one; several words are easy to keep");
    return CB_INPUT;
}

cb_status cb_cli_ask_new_passphrase(const cb_cli_session *session,
                                    const char *question,
                                    cb_secret **ret_passphrase,
                                    cb_error *reterr_error)
{
    cb_secret *first = NULL;
    cb_secret *second = NULL;
    cb_status status =
        cb_cli_ask_passphrase(session, question, &first, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    status = check_length(first, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    if (session->passphrase_descriptor < 0) {
        status = cb_cli_ask_passphrase(session, "the same again", &second,
                                       reterr_error);
        if (status != CB_OK) {
            goto out;
        }
        /* Both were typed by the same person: no need to hide the timing. */
        if (cb_secret_size(first) != cb_secret_size(second) ||
            memcmp(cb_secret_view(first), cb_secret_view(second),
                   cb_secret_size(first)) != 0) {
            cb_error_set(reterr_error, CB_INPUT,
                         "the two passphrases are not the same");
            cb_error_meaning(reterr_error, "nothing was changed");
            cb_error_next(reterr_error, "run it again");
            status = CB_INPUT;
            goto out;
        }
    }
    *ret_passphrase = first;
    first = NULL;

out:
    cb_secret_destroy(first);
    cb_secret_destroy(second);
    return status;
}

static bool write_question(int terminal, const char *question)
{
    cb_buffer prompt;
    cb_buffer_init(&prompt, LINE_BYTES_MAX);
    cb_cli_clean_lines(&prompt, cb_span_of_text(question), 0);
    cb_buffer_append_text(&prompt, " ");
    ssize_t written = write(terminal, cb_buffer_text(&prompt), prompt.size);
    bool is_whole = written == (ssize_t)prompt.size;
    cb_buffer_clear(&prompt);
    return is_whole;
}

cb_status cb_cli_ask_line(const cb_cli_session *session, const char *question,
                          const char *option, cb_buffer *line,
                          cb_error *reterr_error)
{
    char text[LINE_BYTES_MAX];
    size_t size = 0;
    if (session->no_input) {
        return refuse_question(reterr_error, "an answer", option,
                               "--no-input was given");
    }
    int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) {
        return refuse_question(reterr_error, "an answer", option,
                               "there is no terminal");
    }
    cb_status status = CB_OK;
    if (!write_question(terminal, question)) {
        status =
            cb_error_set(reterr_error, CB_IO, "cannot write to the terminal");
    } else {
        status = read_line_of(terminal, text, sizeof text, &size, reterr_error);
    }
    (void)close(terminal);
    if (status == CB_LIMIT) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "the answer is longer than %d bytes",
                            LINE_BYTES_MAX - 1);
    }
    if (status == CB_END || session->world->is_interrupted()) {
        return refuse_interrupted(reterr_error);
    }
    if (status == CB_OK) {
        cb_buffer_append(line, text, size);
        status = cb_buffer_check(line, reterr_error);
    }
    return status;
}

cb_status cb_cli_ask_yes(const cb_cli_session *session, const char *question,
                         const char *option, bool *ret_yes,
                         cb_error *reterr_error)
{
    cb_buffer line;
    cb_buffer_init(&line, LINE_BYTES_MAX);
    cb_status status =
        cb_cli_ask_line(session, question, option, &line, reterr_error);
    if (status == CB_OK) {
        const char *text = cb_buffer_text(&line);
        *ret_yes = strcasecmp(text, "y") == 0 || strcasecmp(text, "yes") == 0;
    }
    cb_buffer_clear(&line);
    return status;
}

cb_status cb_cli_confirm_by_name(const cb_cli_session *session,
                                 const char *question, const char *name,
                                 const char *option, cb_error *reterr_error)
{
    cb_buffer line;
    cb_buffer_init(&line, LINE_BYTES_MAX);
    cb_status status =
        cb_cli_ask_line(session, question, option, &line, reterr_error);
    if (status == CB_OK && strcmp(cb_buffer_text(&line), name) != 0) {
        cb_error_set(reterr_error, CB_INTERRUPTED, "what was typed is not '%s'",
                     name);
        cb_error_meaning(reterr_error, "nothing was changed");
        cb_error_next(reterr_error, "run it again if it is meant");
        status = CB_INTERRUPTED;
    }
    cb_buffer_clear(&line);
    return status;
}
