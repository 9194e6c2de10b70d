/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/story.h"

#include "fault/disk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN_S_MAX             120
#define FIRST_MS              INT64_C(1489496400000)
#define STEP_MS               INT64_C(60000)
#define PASSPHRASE_DESCRIPTOR 9

static const char referrals[] =
    "received,source,stage,initiated_by\n"
    "2017-03-01,prison_omu,post_sentence_custody,offender\n"
    "2017-03-02,self_victim,historic,victim\n"
    "2017-03-03,met_police,pre_sentence_deferred,victim\n";

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[2 * STORY_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
        disk_stop("cannot write", path);
    }
}

static void make_folder(const char *folder, const char *name)
{
    char path[2 * STORY_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (mkdir(path, 0700) != 0) {
        disk_stop("cannot make", path);
    }
}

static void share_control(story_world *story)
{
    char path[2 * STORY_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/control", story->folder);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *map = MAP_FAILED;
    if (file >= 0 && ftruncate(file, sizeof *story->control) == 0) {
        map = mmap(NULL, sizeof *story->control, PROT_READ | PROT_WRITE,
                   MAP_SHARED, file, 0);
    }
    if (map == MAP_FAILED) {
        disk_stop("cannot share", path);
    }
    (void)close(file);
    story->control = map;
}

/*
 * The command starts git with few variables, so that nothing of ours gets
 * through; a program of that name gives them back.
 */
static void make_git(const story_world *story)
{
    static const char *const real_path = "/usr/bin/git";
    char text[8 * STORY_PATH_BYTES];
    char path[2 * STORY_PATH_BYTES];
    make_folder(story->folder, "bin");
    (void)snprintf(text, sizeof text,
                   "#!/bin/sh\n[ ! -s '%s/recording' ] || "
                   "export " OPLOG_LOG_VARIABLE "='%s/log'\n"
                   "export " OPLOG_ROOT_VARIABLE "='%s' " OPLOG_CONTROL_VARIABLE
                   "='%s/control'\nLD_PRELOAD='%s' exec %s \"$@\"\n",
                   story->folder, story->folder, story->live, story->folder,
                   story->interposer, real_path);
    write_text(story->folder, "bin/git", text);
    (void)snprintf(path, sizeof path, "%s/bin/git", story->folder);
    if (chmod(path, 0700) != 0) {
        disk_stop("cannot make", path);
    }
}

void story_begin(story_world *story, const char *program,
                 const char *interposer)
{
    const char *parent = getenv("TMPDIR");
    struct stat state;
    /* Memory, where there is some: nothing here needs a disk to be true. */
    if (parent == NULL) {
        parent = stat("/dev/shm", &state) == 0 && access("/dev/shm", W_OK) == 0
                     ? "/dev/shm"
                     : "/tmp";
    }
    memset(story, 0, sizeof *story);
    (void)snprintf(story->folder, sizeof story->folder, "%s/fault-XXXXXX",
                   parent);
    if (mkdtemp(story->folder) == NULL) {
        disk_stop("cannot make a folder in", parent);
    }
    (void)snprintf(story->live, sizeof story->live, "%s/live", story->folder);
    make_folder(story->folder, "live");
    make_folder(story->folder, "state");
    make_folder(story->live, "home");
    write_text(story->folder, "phrase", STORY_PASSPHRASE "\n");
    write_text(story->folder, "phrases",
               STORY_PASSPHRASE "\n" STORY_NEXT_PASSPHRASE "\n");
    write_text(story->folder, "next", STORY_NEXT_PASSPHRASE "\n");
    write_text(story->live, "referrals.csv", referrals);
    story->program = program;
    story->interposer = interposer;
    story->now_ms = FIRST_MS;
    if (interposer != NULL) {
        make_git(story);
    }
    share_control(story);
    story_calm(story);
}

void story_calm(story_world *story)
{
    memset(story->control, 0, sizeof *story->control);
}

int story_command(const char *const *arguments)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int remove_one(const char *path, const struct stat *state, int type,
                      struct FTW *place)
{
    (void)state;
    (void)type;
    (void)place;
    return remove(path);
}

void story_remove(const char *path)
{
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0 &&
        errno != ENOENT) {
        disk_stop("cannot remove", path);
    }
}

void story_copy(const char *from, const char *to)
{
    const char *const arguments[] = { "cp", "-a", "--", from, to, NULL };
    if (story_command(arguments) != 0) {
        disk_stop("cannot copy", from);
    }
}

void story_end(story_world *story)
{
    (void)munmap(story->control, sizeof *story->control);
    story_remove(story->folder);
}

/* ----------------------------------------------------------------- running */

/* "$name" is what was kept, "%name" a path below live. */
static const char *expand(const story_world *story, const char *word,
                          char *text, size_t size)
{
    if (word[0] == '%') {
        (void)snprintf(text, size, "%s/%s", story->live, word + 1);
        return text;
    }
    for (size_t i = 0; word[0] == '$' && i < story->value_count; i++) {
        if (strcmp(story->values[i].name, word + 1) == 0) {
            return story->values[i].value;
        }
    }
    return word;
}

static int open_in(const story_world *story, const char *name, int flags)
{
    char path[2 * STORY_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", story->folder, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static const char *phrase_of(const story_world *story, const story_step *step)
{
    if (strcmp(step->name, "passphrase") == 0) {
        return "phrases";
    }
    return story->next_passphrase && strcmp(step->store, "kwame") == 0
               ? "next"
               : "phrase";
}

static char **make_environment(const story_world *story, const char *log,
                               char (*texts)[3 * STORY_PATH_BYTES])
{
    static char *variables[16];
    size_t count = 0;

    const struct {
        const char *name;
        const char *folder;
        const char *value;
    } rows[] = {
        { "HOME", story->live, "/home" },
        { "PATH", story->folder, "/bin:/usr/bin:/bin" },
        { "TZ", "UTC", "" },
        { "LC_ALL", "C.UTF-8", "" },
        { "CASEBOUND_TEST_STATE", story->folder, "/state" },
        { OPLOG_ROOT_VARIABLE, story->live, "" },
        { OPLOG_CONTROL_VARIABLE, story->folder, "/control" },
        { "LD_PRELOAD", story->interposer, "" },
        { OPLOG_LOG_VARIABLE, log, "" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].folder != NULL) {
            (void)snprintf(texts[count], sizeof texts[count], "%s=%s%s",
                           rows[i].name, rows[i].folder, rows[i].value);
            variables[count] = texts[count];
            count++;
        }
    }
    (void)snprintf(texts[count], sizeof texts[count],
                   "CASEBOUND_TEST_CLOCK=%lld", (long long)story->now_ms);
    variables[count] = texts[count];
    variables[count + 1] = NULL;
    return variables;
}

static _Noreturn void become(const story_world *story, const story_step *step,
                             const char *log)
{
    char texts[16][3 * STORY_PATH_BYTES];
    char words[STORY_ARGUMENTS_MAX][2 * STORY_PATH_BYTES];
    const char *arguments[STORY_ARGUMENTS_MAX + 6];
    size_t count = 0;
    const int phrase = open_in(story, phrase_of(story, step), O_RDONLY);
    const int out = open_in(story, "out", O_WRONLY | O_CREAT | O_TRUNC);
    const int err = open_in(story, "err", O_WRONLY | O_CREAT | O_TRUNC);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    arguments[count++] = "casebound";
    arguments[count++] = "-C";
    arguments[count++] = step->store;
    arguments[count++] = "--passphrase-fd";
    arguments[count++] = "9";
    for (size_t i = 0; step->arguments[i] != NULL; i++) {
        arguments[count++] =
            expand(story, step->arguments[i], words[i], sizeof words[i]);
    }
    arguments[count] = NULL;
    if (chdir(story->live) != 0 || dup2(nothing, 0) != 0 || dup2(out, 1) != 1 ||
        dup2(err, 2) != 2 ||
        dup2(phrase, PASSPHRASE_DESCRIPTOR) != PASSPHRASE_DESCRIPTOR) {
        _exit(126);
    }
    (void)execve(story->program, (char *const *)(uintptr_t)arguments,
                 make_environment(story, log, texts));
    _exit(127);
}

static void read_back(const story_world *story, const char *name, char *text,
                      size_t size)
{
    const int file = open_in(story, name, O_RDONLY);
    const ssize_t got = file < 0 ? 0 : read(file, text, size - 1);
    text[got < 0 ? 0 : got] = '\0';
    (void)close(file);
}

static int wait_for(pid_t child)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    int status = 0;
    for (long i = 0; i < RUN_S_MAX * 1000L; i++) {
        if (waitpid(child, &status, WNOHANG) == child) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        (void)nanosleep(&pause, NULL);
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return -1;
}

void story_run(story_world *story, const story_step *step, const char *log,
               story_outcome *outcome)
{
    write_text(story->folder, "recording", log == NULL ? "" : "yes");
    pid_t child = fork();
    if (child == 0) {
        become(story, step, log);
    }
    if (child < 0) {
        disk_stop("cannot run", step->name);
    }
    outcome->exit_code = wait_for(child);
    read_back(story, "out", outcome->out, sizeof outcome->out);
    read_back(story, "err", outcome->err, sizeof outcome->err);
}

bool story_succeeded(const story_step *step, const story_outcome *outcome)
{
    return outcome->exit_code == 0 ||
           (step->conflicts && outcome->exit_code == 3);
}

void story_note(story_world *story, const story_step *step,
                const story_outcome *outcome)
{
    story->now_ms += STEP_MS;
    if (strcmp(step->name, "passphrase") == 0) {
        story->next_passphrase = true;
    }
    if (step->save != NULL) {
        story_value *value = &story->values[story->value_count++];
        const size_t size = strcspn(outcome->out, " \n");
        (void)snprintf(value->name, sizeof value->name, "%s", step->save);
        (void)snprintf(value->value, sizeof value->value, "%.*s", (int)size,
                       outcome->out);
    }
}
