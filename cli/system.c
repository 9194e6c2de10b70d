/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "terminal.h"

/* The one thing that changes behind everybody's back: a handler may touch
 * nothing but a flag of this type. */
static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool is_interrupted(void)
{
    return interrupted != 0;
}

static int64_t monotonic_ms(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cb_cli_catch_signals(void)
{
    /* The flag is looked at between transactions.  Who asks a second time does
     * not want to wait: then the signal does what it does by default, and what
     * was not committed is gone as after a power cut. */
    struct sigaction action = { .sa_handler = note_signal,
                                .sa_flags = (int)SA_RESETHAND };
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    (void)sigaction(SIGPIPE, &action, NULL);
}

void cb_cli_harden(void)
{
    /* Neither may stop the command: the store's own files are closed to others
     * whatever the mask is, and keys lie in memory that is left out of cores.
     */
    /* One byte and not none: too little for a core in a file, and the one value
     * that the kernel also heeds where cores go to a program.  What we start,
     * an editor with a text, has it too. */
    const struct rlimit none = { .rlim_cur = 1, .rlim_max = 1 };
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef CASEBOUND_SANITIZED
    /* Whatever the limit: no core, and no debugger or sibling may attach.  The
     * sanitizer's search for leaks has to attach to us. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    (void)umask(S_IRWXG | S_IRWXO);
}

static void look_at_swap(cb_swap *ret_swap)
{
    cb_swap_look("", ret_swap);
}

/* Whether the limit leaves room; the page is given back at once. */
static bool can_lock_memory(void)
{
    const char page = '\0';
    bool can = mlock(&page, sizeof page) == 0;
    if (can) {
        (void)munlock(&page, sizeof page);
    }
    return can;
}

/* An empty variable is as good as none. */
static const char *variable(const char *name)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing else runs yet. */
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* The XDG convention says that a relative one is to be ignored. */
static const char *absolute_variable(const char *name)
{
    const char *value = variable(name);
    return value != NULL && value[0] == '/' ? value : NULL;
}

void cb_cli_world_system(cb_cli_world *ret_world)
{
    const char *terminal = variable("TERM");
    *ret_world = (cb_cli_world){
        .environment = cb_environment_system(),
        .out = stdout,
        .err = stderr,
        .out_is_terminal = isatty(STDOUT_FILENO) == 1,
        .err_is_terminal = isatty(STDERR_FILENO) == 1,
        .columns = cb_cli_terminal_columns(),
        .colour_unwanted = variable("NO_COLOR") != NULL || terminal == NULL ||
                           strcmp(terminal, "dumb") == 0,
        .store_folder = variable("CASEBOUND_STORE"),
        .data_folder = absolute_variable("XDG_DATA_HOME"),
        .state_folder = absolute_variable("XDG_STATE_HOME"),
        .home_folder = variable("HOME"),
        .memory_folders = { variable("XDG_RUNTIME_DIR"), "/dev/shm" },
        .editor = variable("VISUAL") != NULL ? variable("VISUAL")
                                             : variable("EDITOR"),
        .search_path = variable("PATH"),
        .monotonic_ms = monotonic_ms,
        .look_at_swap = look_at_swap,
        .can_lock_memory = can_lock_memory,
        .is_interrupted = is_interrupted,
    };
}
