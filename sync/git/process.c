/* SPDX-License-Identifier: Apache-2.0 */
#include "git/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "git/internal.h"

enum {
    ARGUMENTS_MAX = 16,
    SILENCE_MS_MAX = 300000, /* a hook on a slow machine may think */
    PATH_TEXT_BYTES = 4096,
};

struct cb_process {
    pid_t pid;    /* 0 once it was waited for */
    int input_fd; /* a socket: writing to it cannot raise SIGPIPE */
    int output_fd;
    int error_fd;
    int exit_status;
    cb_git_words words;
};

void cb_git_words_append(cb_git_words *words, const void *bytes, size_t size)
{
    const unsigned char *text = bytes;
    for (size_t i = 0; i < size && words->size + 1 < sizeof words->text; i++) {
        bool is_space = text[i] == ' ' || text[i] == '\n' || text[i] == '\t' ||
                        text[i] == '\r';
        bool is_printable = text[i] > 0x20 && text[i] < 0x7f;
        if (is_space &&
            (words->size == 0 || words->text[words->size - 1] == ' ')) {
            continue;
        }
        words->text[words->size++] = (char)(is_space       ? ' '
                                            : is_printable ? text[i]
                                                           : '?');
    }
    words->text[words->size] = 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

/* Above 2, so that putting one in place in the child cannot cover another. */
static bool settle_fds(int fds[2])
{
    for (size_t i = 0; i < 2; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            return false;
        }
        (void)close(fds[i]);
        fds[i] = fd;
    }
    return true;
}

static bool make_pipe(int fds[2])
{
    if (pipe(fds) != 0) {
        fds[0] = fds[1] = -1;
        return false;
    }
    return settle_fds(fds);
}

static bool make_socket(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
        fds[0] = fds[1] = -1;
        return false;
    }
    return settle_fds(fds);
}

/*
 * posix_spawn with the child's three streams in place.  Signals are as a
 * program expects them at its start: we ignore SIGPIPE, git must not.
 */
static int spawn_git(const char *const *arguments, const int child_fds[3],
                     int keep_fd, pid_t *ret_pid)
{
    char path[PATH_TEXT_BYTES];
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody here sets variables. */
    const char *search = getenv("PATH");
    (void)snprintf(path, sizeof path, "PATH=%s",
                   search ? search : "/usr/local/bin:/usr/bin:/bin");
    char no_system[] = "GIT_CONFIG_NOSYSTEM=1";
    char no_global[] = "GIT_CONFIG_GLOBAL=/dev/null";
    char no_prompt[] = "GIT_TERMINAL_PROMPT=0";
    char no_replace[] = "GIT_NO_REPLACE_OBJECTS=1";
    char no_language[] = "LC_ALL=C";
    char *environment[] = { path,       no_system,   no_global, no_prompt,
                            no_replace, no_language, NULL };
    char *vector[ARGUMENTS_MAX + 2] = { 0 };
    char program[] = "git";
    vector[0] = program;
    int code = 0;
    for (size_t i = 0; arguments[i]; i++) {
        CB_ASSERT(i < ARGUMENTS_MAX);
        if (!(vector[i + 1] = strdup(arguments[i]))) {
            code = ENOMEM;
            break;
        }
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGPIPE);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigdefault(&attributes, &signals);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    for (int i = 0; code == 0 && i < 3; i++) {
        code = posix_spawn_file_actions_adddup2(&actions, child_fds[i], i);
    }
    if (code == 0 && keep_fd >= 0) {
        /* To itself: clears close-on-exec in the child alone. */
        code = posix_spawn_file_actions_adddup2(&actions, keep_fd, keep_fd);
    }
    if (code == 0) {
        code = posix_spawnp(ret_pid, program, &actions, &attributes, vector,
                            environment);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    for (size_t i = 1; vector[i]; i++) {
        free(vector[i]);
    }
    return code;
}

static cb_status fail_start(int number, cb_error *reterr_error)
{
    if (number == ENOENT) {
        cb_status status = cb_error_set(reterr_error, CB_UNREACHABLE,
                                        "the program 'git' is not installed");
        cb_error_meaning(reterr_error,
                         "a log in a folder is reached through it");
        cb_error_next(reterr_error, "apt install git");
        return status;
    }
    return cb_git_fail_errno(reterr_error, number, "start 'git'");
}

cb_status cb_process_start(const char *const *arguments, int keep_fd,
                           cb_process **ret_process, cb_error *reterr_error)
{
    int input[2] = { -1, -1 };
    int output[2] = { -1, -1 };
    int words[2] = { -1, -1 };
    int number = 0;
    cb_process *process = calloc(1, sizeof *process);
    if (!process) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    process->input_fd = process->output_fd = process->error_fd = -1;
    if (!make_socket(input) || !make_pipe(output) || !make_pipe(words) ||
        fcntl(words[0], F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(input[1], F_SETFL, O_NONBLOCK) != 0) {
        number = errno ? errno : EMFILE;
    }
    if (number == 0) {
        const int child_fds[] = { input[0], output[1], words[1] };
        number = spawn_git(arguments, child_fds, keep_fd, &process->pid);
    }
    if (number == 0) {
        process->input_fd = input[1];
        process->output_fd = output[0];
        process->error_fd = words[0];
        input[1] = output[0] = words[0] = -1;
    }
    for (size_t i = 0; i < 2; i++) {
        close_fd(&input[i]);
        close_fd(&output[i]);
        close_fd(&words[i]);
    }
    if (number != 0) {
        free(process);
        return fail_start(number, reterr_error);
    }
    *ret_process = process;
    return CB_OK;
}

/* Takes what is on stderr now; -1 for the descriptor once it has ended. */
static void drain_words(cb_process *process)
{
    char bytes[512];
    while (process->error_fd >= 0) {
        ssize_t got = read(process->error_fd, bytes, sizeof bytes);
        if (got > 0) {
            cb_git_words_append(&process->words, bytes, (size_t)got);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            close_fd(&process->error_fd);
        } else {
            return;
        }
    }
}

/* Waits until one stream is ready, emptying stderr meanwhile. */
static cb_status wait_ready(cb_process *process, int fd, short events,
                            cb_error *reterr_error)
{
    for (;;) {
        struct pollfd wanted[] = {
            { .fd = fd, .events = events },
            { .fd = process->error_fd, .events = POLLIN },
        };
        int ready = poll(wanted, 2, SILENCE_MS_MAX);
        if (ready < 0 && errno != EINTR) {
            return cb_git_fail_errno(reterr_error, errno, "wait for 'git'");
        }
        if (ready == 0) {
            return cb_error_set(reterr_error, CB_UNREACHABLE,
                                "'git' has been silent for %d seconds",
                                SILENCE_MS_MAX / 1000);
        }
        if (ready > 0 && wanted[1].revents) {
            drain_words(process);
        }
        if (ready > 0 && wanted[0].revents) {
            return CB_OK;
        }
    }
}

cb_status cb_process_read(cb_process *process, void *bytes, size_t size,
                          size_t *ret_size, cb_error *reterr_error)
{
    for (;;) {
        cb_status status =
            wait_ready(process, process->output_fd, POLLIN, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        ssize_t got = read(process->output_fd, bytes, size);
        if (got >= 0) {
            *ret_size = (size_t)got;
            return CB_OK;
        }
        if (errno != EINTR) {
            return cb_git_fail_errno(reterr_error, errno, "read from 'git'");
        }
    }
}

cb_status cb_process_write(cb_process *process, cb_span bytes,
                           cb_error *reterr_error)
{
    while (bytes.size > 0) {
        if (process->input_fd < 0) {
            return CB_END;
        }
        cb_status status =
            wait_ready(process, process->input_fd, POLLOUT, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        ssize_t sent =
            send(process->input_fd, bytes.bytes, bytes.size, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.bytes += (size_t)sent;
            bytes.size -= (size_t)sent;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return CB_END;
        } else if (errno != EINTR && errno != EAGAIN) {
            return cb_git_fail_errno(reterr_error, errno, "write to 'git'");
        }
    }
    return CB_OK;
}

int cb_process_wait(cb_process *process)
{
    int status = 0;
    close_fd(&process->input_fd);
    if (process->pid == 0) {
        return process->exit_status;
    }
    /* Its last words, before and after it has gone: a grandchild may keep
       stderr open, so the end of the stream is not waited for. */
    while (process->error_fd >= 0) {
        struct pollfd wanted[] = {
            { .fd = process->error_fd, .events = POLLIN },
        };
        siginfo_t info = { 0 };
        drain_words(process);
        if (waitid(P_PID, (id_t)process->pid, &info,
                   WEXITED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid != 0) {
            break;
        }
        (void)poll(wanted, 1, 10);
    }
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
    }
    drain_words(process);
    process->pid = 0;
    process->exit_status =
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return process->exit_status;
}

const char *cb_process_words(const cb_process *process)
{
    return process->words.text;
}

/*
 * A child whose input has ended goes by itself, and a receiving one finishes
 * what it has already accepted; only one that stays is ended.
 */
void cb_process_destroy(cb_process *process)
{
    enum {
        STEPS = 500,
        STEP_MS = 10
    };

    if (!process) {
        return;
    }
    close_fd(&process->input_fd);
    close_fd(&process->output_fd);
    for (int i = 0; process->pid != 0 && i < STEPS; i++) {
        siginfo_t info = { 0 };
        drain_words(process);
        if (waitid(P_PID, (id_t)process->pid, &info,
                   WEXITED | WNOHANG | WNOWAIT) != 0 ||
            info.si_pid != 0) {
            break;
        }
        struct timespec pause = { .tv_nsec = STEP_MS * 1000000L };
        (void)nanosleep(&pause, NULL);
        if (i == STEPS - 1) {
            (void)kill(process->pid, SIGTERM);
        }
    }
    (void)cb_process_wait(process);
    close_fd(&process->error_fd);
    free(process);
}
