/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An editor that cannot leave anything behind: its home, its folder for
 * temporary files and its working folder are the folder in memory, it is told
 * by its own switches to write no swap, undo, backup or history, and it reaches
 * no instance of itself that runs elsewhere.
 *
 * The switches are a second fence: an editor that is not known here still has
 * no other home to write to.
 */
#include "editor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define HOME_NAME       "home"
#define LINKS_MAX       16
#define SWITCHES_MAX    8
#define DESCRIPTORS_MAX 65536
#define ENVIRONMENT_MAX 1024
#define VARIABLE_BYTES  1024
#define EXEC_FAILED     127
#define DEFAULT_PATH    "/usr/local/bin:/usr/bin:/bin"

extern char **environ;

/* Each setting by itself: small builds do not know all of them. */
static const char vim_settings[] =
    "silent! set nobackup|silent! set nowritebackup|silent! set noundofile"
    "|silent! set noswapfile";
static const char emacs_settings[] =
    "(setq make-backup-files nil auto-save-default nil "
    "auto-save-list-file-prefix nil create-lockfiles nil)";

/* An editor by the start of its program's real name. */
static const struct {
    const char *name;
    const char *switches[SWITCHES_MAX];
} known_editors[] = {
    { "vim",
      { "-n", "-i", "NONE", "--cmd", "set nomodeline", "-c", vim_settings } },
    { "nvim",
      { "-n", "-i", "NONE", "--cmd", "set nomodeline", "-c", vim_settings } },
    { "nano", { "--ignorercfiles" } },
    { "emacs", { "-nw", "-Q", "--eval", emacs_settings } },
};

/* What would lead it back to the person's home, or to another process. */
static const char *const removed_variables[] = {
    "HOME",
    "TMPDIR",
    "TMP",
    "TEMP",
    "TEMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "VIMINIT",
    "GVIMINIT",
    "EXINIT",
    "NEXINIT",
    "MYVIMRC",
    "NVIM",
    "NVIM_LISTEN_ADDRESS",
    "EMACS_SOCKET_NAME",
    "EMACS_SERVER_FILE",
    "DBUS_SESSION_BUS_ADDRESS",
    "OLDPWD",
    "PWD",
};

/* Its own values for them; nvi keeps its files where NEXINIT says. */
static const struct {
    const char *name;
    const char *before;
    const char *after;
} own_variables[] = {
    { "HOME", "", "/" HOME_NAME },
    { "PWD", "", "" },
    { "TMPDIR", "", "/" HOME_NAME },
    { "TMP", "", "/" HOME_NAME },
    { "TEMP", "", "/" HOME_NAME },
    { "XDG_CONFIG_HOME", "", "/" HOME_NAME "/.config" },
    { "XDG_CACHE_HOME", "", "/" HOME_NAME "/.cache" },
    { "XDG_DATA_HOME", "", "/" HOME_NAME "/.local/share" },
    { "XDG_STATE_HOME", "", "/" HOME_NAME "/.local/state" },
    { "XDG_RUNTIME_DIR", "", "/" HOME_NAME },
    { "NEXINIT", "set recdir=", "/" HOME_NAME },
};

#define OWN_COUNT (sizeof own_variables / sizeof own_variables[0])

/* ------------------------------------------------------------ which editor */

static bool is_program(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode) &&
           access(path, X_OK) == 0;
}

/* As a shell finds it. */
static bool find_program(const cb_cli_world *world, const char *name,
                         char *path, size_t size)
{
    const char *folders =
        world->search_path == NULL ? DEFAULT_PATH : world->search_path;
    if (strchr(name, '/') != NULL) {
        return (size_t)snprintf(path, size, "%s", name) < size &&
               is_program(path);
    }
    for (const char *at = folders; at != NULL;) {
        const char *end = strchr(at, ':');
        size_t folder_size = end == NULL ? strlen(at) : (size_t)(end - at);
        /* A relative folder of the path is no place to look for programs. */
        if (at[0] == '/' && folder_size < size &&
            (size_t)snprintf(path, size, "%.*s/%s", (int)folder_size, at,
                             name) < size &&
            is_program(path)) {
            return true;
        }
        at = end == NULL ? NULL : end + 1;
    }
    return false;
}

/* The program's name behind links such as /usr/bin/vi and /etc/alternatives.
 */
static void real_name(const char *path, char *name, size_t size)
{
    char at[4096];
    (void)snprintf(at, sizeof at, "%s", path);
    for (int i = 0; i < LINKS_MAX; i++) {
        char target[4096];
        ssize_t length = readlink(at, target, sizeof target - 1);
        if (length <= 0) {
            break;
        }
        target[length] = '\0';
        char *slash = strrchr(at, '/');
        if (target[0] == '/' || slash == NULL) {
            (void)snprintf(at, sizeof at, "%s", target);
        } else {
            size_t kept = (size_t)(slash - at) + 1;
            (void)snprintf(slash + 1, sizeof at - kept, "%s", target);
        }
    }
    const char *slash = strrchr(at, '/');
    (void)snprintf(name, size, "%s", slash == NULL ? at : slash + 1);
}

static void add_switches(cb_cli_editor *editor)
{
    char name[64];
    real_name(editor->path, name, sizeof name);
    for (size_t i = 0; i < sizeof known_editors / sizeof known_editors[0];
         i++) {
        const char *known = known_editors[i].name;
        if (strncmp(name, known, strlen(known)) != 0) {
            continue;
        }
        for (size_t k = 0;
             k < SWITCHES_MAX && known_editors[i].switches[k] != NULL &&
             editor->argument_count + 2 < CB_CLI_EDITOR_WORDS_MAX;
             k++) {
            editor->arguments[editor->argument_count++] =
                known_editors[i].switches[k];
        }
        return;
    }
}

cb_status cb_cli_editor_find(const cb_cli_world *world,
                             cb_cli_editor *ret_editor, cb_error *reterr_error)
{
    static const char *const usual[] = { "editor", "nano", "vi", "vim.tiny" };
    cb_cli_editor *editor = ret_editor;
    size_t asked = 0;
    *editor = (cb_cli_editor){ .argument_count = 0 };
    (void)snprintf(editor->words, sizeof editor->words, "%s",
                   world->editor == NULL ? "" : world->editor);
    for (char *at = editor->words;
         *at != '\0' && asked + 12 < CB_CLI_EDITOR_WORDS_MAX;) {
        at += strspn(at, " \t");
        if (*at != '\0') {
            editor->arguments[asked++] = at;
        }
        at += strcspn(at, " \t");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    bool found = asked > 0 && find_program(world, editor->arguments[0],
                                           editor->path, sizeof editor->path);
    for (size_t i = 0;
         asked == 0 && !found && i < sizeof usual / sizeof usual[0]; i++) {
        found =
            find_program(world, usual[i], editor->path, sizeof editor->path);
    }
    if (!found) {
        cb_error_set(reterr_error, CB_USAGE,
                     asked > 0 ? "there is no editor '%.80s'"
                               : "there is no editor%.0s",
                     asked > 0 ? editor->arguments[0] : "");
        cb_error_meaning(reterr_error, "nothing was recorded");
        cb_error_next(reterr_error, "name one with EDITOR, or give the text as "
                                    "FIELD=-");
        return CB_USAGE;
    }
    editor->arguments[0] = editor->path;
    editor->argument_count = asked == 0 ? 1 : asked;
    add_switches(editor);
    return CB_OK;
}

/* --------------------------------------------------------------- running it */

/* Its environment; what the variables of our own hold lies in `own`. */
typedef struct surroundings {
    char *variables[ENVIRONMENT_MAX + OWN_COUNT + 1];
    char own[OWN_COUNT][VARIABLE_BYTES];
} surroundings;

static bool is_removed(const char *variable)
{
    size_t size = strcspn(variable, "=");
    for (size_t i = 0;
         i < sizeof removed_variables / sizeof removed_variables[0]; i++) {
        if (strlen(removed_variables[i]) == size &&
            strncmp(removed_variables[i], variable, size) == 0) {
            return true;
        }
    }
    return strncmp(variable, "CASEBOUND_", 10) == 0;
}

static void surround(surroundings *around, const char *folder_path)
{
    size_t count = 0;
    for (char **at = environ; *at != NULL && count < ENVIRONMENT_MAX; at++) {
        if (!is_removed(*at)) {
            around->variables[count++] = *at;
        }
    }
    for (size_t i = 0; i < OWN_COUNT; i++) {
        (void)snprintf(around->own[i], VARIABLE_BYTES, "%s=%s%s%s",
                       own_variables[i].name, own_variables[i].before,
                       folder_path, own_variables[i].after);
        around->variables[count++] = around->own[i];
    }
    around->variables[count] = NULL;
}

/* In the child: only what may be called between fork and exec. */
static _Noreturn void become(const cb_cli_editor *editor, char *const *words,
                             char *const *variables,
                             const cb_cli_editor_place *place)
{
    static const int signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGHUP };
    struct sigaction action = { .sa_handler = SIG_DFL };
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)sigaction(signals[i], &action, NULL);
    }
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        (void)dup2(place->terminal, i);
    }
    /* A passphrase may still wait on a descriptor that is none of its
     * business.  The folder's stays, for it holds the lock. */
    long limit = sysconf(_SC_OPEN_MAX);
    for (int i = STDERR_FILENO + 1; i < limit && i < DESCRIPTORS_MAX; i++) {
        if (i != place->folder) {
            (void)close(i);
        }
    }
    if (fchdir(place->folder) == 0) {
        (void)execve(editor->path, words, variables);
    }
    _exit(EXEC_FAILED);
}

/* Waits for it; passes on a wish to stop. */
static cb_status wait_for(const cb_cli_world *world, pid_t child,
                          int *ret_status, cb_error *error)
{
    bool is_told = false;
    while (waitpid(child, ret_status, 0) < 0) {
        if (errno != EINTR) {
            return cb_error_set(error, CB_FAILED,
                                "cannot wait for the editor: error %d", errno);
        }
        if (world->is_interrupted() && !is_told) {
            (void)kill(child, SIGTERM);
            is_told = true;
        }
    }
    return CB_OK;
}

static cb_status judge(const cb_cli_world *world, const cb_cli_editor *editor,
                       int ended, cb_error *error)
{
    if (world->is_interrupted()) {
        return cb_error_set(error, CB_INTERRUPTED, "stopped in the editor");
    }
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0) {
        return CB_OK;
    }
    if (WIFEXITED(ended)) {
        cb_error_set(error, CB_FAILED, "the editor '%.120s' ended with %d",
                     editor->path, WEXITSTATUS(ended));
    } else {
        cb_error_set(error, CB_FAILED,
                     "the editor '%.120s' was ended by signal %d", editor->path,
                     WIFSIGNALED(ended) ? WTERMSIG(ended) : 0);
    }
    cb_error_next(error, "run it again, name another editor with EDITOR, or "
                         "give the text as FIELD=-");
    return CB_FAILED;
}

/* Runs it; how it ended, as waitpid tells. */
static cb_status start(const cb_cli_world *world, const cb_cli_editor *editor,
                       const cb_cli_editor_place *place, int *ret_ended,
                       cb_error *error)
{
    char *words[CB_CLI_EDITOR_WORDS_MAX + 2] = { NULL };
    char file[4096];
    pid_t child = -1;
    cb_status status = CB_OK;
    surroundings *around = calloc(1, sizeof *around);
    for (size_t i = 0; i < editor->argument_count; i++) {
        words[i] = strdup(editor->arguments[i]);
        if (words[i] == NULL) {
            status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
    }
    if (around == NULL) {
        status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    if (status != CB_OK) {
        goto out;
    }
    surround(around, place->folder_path);
    (void)snprintf(file, sizeof file, "%s/%s", place->folder_path,
                   place->file_name);
    words[editor->argument_count] = file;
    child = fork();
    if (child == 0) {
        become(editor, words, around->variables, place);
    }
    status = child < 0
                 ? cb_error_set(error, CB_FAILED,
                                "cannot start the editor: error %d", errno)
                 : wait_for(world, child, ret_ended, error);
out:
    for (size_t i = 0; i < editor->argument_count; i++) {
        free(words[i]);
    }
    free(around);
    return status;
}

cb_status cb_cli_editor_run(const cb_cli_world *world,
                            const cb_cli_editor *editor,
                            const cb_cli_editor_place *place,
                            cb_error *reterr_error)
{
    struct sigaction ignored = { .sa_handler = SIG_IGN };
    struct sigaction before_int;
    struct sigaction before_quit;
    struct termios terminal_before;
    int ended = 0;
    (void)mkdirat(place->folder, HOME_NAME, 0700);
    bool has_terminal = tcgetattr(place->terminal, &terminal_before) == 0;
    /* Ctrl-C is the editor's as long as it runs. */
    (void)sigemptyset(&ignored.sa_mask);
    (void)sigaction(SIGINT, &ignored, &before_int);
    (void)sigaction(SIGQUIT, &ignored, &before_quit);
    cb_status status = start(world, editor, place, &ended, reterr_error);
    (void)sigaction(SIGINT, &before_int, NULL);
    (void)sigaction(SIGQUIT, &before_quit, NULL);
    if (status == CB_OK) {
        status = judge(world, editor, ended, reterr_error);
    }
    if (status != CB_OK && has_terminal) {
        /* One that died leaves the terminal as it was at work. */
        (void)tcsetattr(place->terminal, TCSADRAIN, &terminal_before);
    }
    return status;
}
