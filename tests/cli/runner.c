/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs transcripts (see transcript.h) and says which of them do not hold.
 *
 *     transcripts --binary PROGRAM FILE-OR-FOLDER...
 *
 * A file is one scene: a folder of its own, an empty home, the same clock and
 * the same randomness each time.  In it `casebound` is PROGRAM, $FIXTURES the
 * folder of the file, and there is neither a terminal nor an input.  The
 * temporary folder reads as "/test" in what is printed.  With
 * CASEBOUND_BLESS=1 the files are rewritten with what was printed; texts that
 * hold stay as they are, wildcards and all.
 *
 * Finding nothing to run is a failure: no files, or a file without a
 * transcript.
 */
#include "transcript.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <keyutils.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_CANNOT_BE_SHOWN 77
#define PATH_BYTES           4096
#define TEXT_BYTES_MAX       ((size_t)8 << 20)
#define STEP_S_MAX           120
#define POLL_MS              2
#define FIRST_CLOCK          "2017-03-14T14:00:00Z"

/* One file while it is run. */
struct scene {
    const char *path;
    const char *binary;
    char folder[PATH_BYTES]; /* temporary, holds all of what follows */
    char fixtures[PATH_BYTES];
    char clock[64];
    bool blesses;
    size_t steps;
    size_t failures;
    cb_buffer blessed;
};

struct outcome {
    int exit_code;
    bool timed_out;
    cb_buffer out;
    cb_buffer err;
};

static _Noreturn void stop(const char *what, const char *subject)
{
    (void)fprintf(stderr, "transcripts: %s '%s': %s\n", what, subject,
                  strerror(errno));
    exit(2);
}

static void join(char *path, const char *folder, const char *name)
{
    int size = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    if (size < 0 || size >= PATH_BYTES) {
        errno = ENAMETOOLONG;
        stop("cannot use", folder);
    }
}

static void read_file(const char *path, cb_buffer *content)
{
    char block[1 << 14];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        stop("cannot open", path);
    }
    for (size_t got = 1; got > 0;) {
        got = fread(block, 1, sizeof block, file);
        cb_buffer_append(content, block, got);
    }
    (void)fclose(file);
    if (cb_buffer_check(content, NULL) != CB_OK) {
        errno = EFBIG;
        stop("too much text in", path);
    }
}

/* The bytes of a file, with the temporary folder called /test. */
static void read_output(const struct scene *scene, const char *name,
                        cb_buffer *out)
{
    char path[PATH_BYTES];
    cb_buffer raw;
    size_t prefix = strlen(scene->folder);
    join(path, scene->folder, name);
    cb_buffer_init(&raw, TEXT_BYTES_MAX);
    read_file(path, &raw);
    for (size_t i = 0; i < raw.size;) {
        if (raw.size - i >= prefix &&
            memcmp(raw.bytes + i, scene->folder, prefix) == 0) {
            cb_buffer_append_text(out, "/test");
            i += prefix;
        } else {
            cb_buffer_append(out, raw.bytes + i++, 1);
        }
    }
    cb_buffer_clear(&raw);
}

static void set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0) {
        stop("cannot set", name);
    }
}

static void set_path(const struct scene *scene, const char *name,
                     const char *below)
{
    char path[PATH_BYTES];
    join(path, scene->folder, below);
    set(name, path);
}

/* Only what is set here is known to a command, and what sanitizers need. */
static void set_environment(const struct scene *scene)
{
    static const char *const kept[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS",
                                        "LSAN_OPTIONS" };
    char *values[sizeof kept / sizeof kept[0]];
    char path[PATH_BYTES];
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        values[i] = getenv(kept[i]) == NULL ? NULL : strdup(getenv(kept[i]));
    }
    static char *nothing[] = { NULL };
    extern char **environ;
    environ = nothing;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        if (values[i] != NULL) {
            set(kept[i], values[i]);
        }
    }
    int size = snprintf(path, sizeof path,
                        "%s/bin:/usr/local/bin:/usr/bin:/bin", scene->folder);
    if (size < 0 || (size_t)size >= sizeof path) {
        stop("cannot use", scene->folder);
    }
    set("PATH", path);
    set_path(scene, "HOME", "home");
    set_path(scene, "TMPDIR", "tmp");
    set_path(scene, "CASEBOUND_TEST_STATE", "state");
    set("CASEBOUND_TEST_CLOCK", scene->clock);
    const char *name = strrchr(scene->path, '/');
    set("CASEBOUND_TEST_SEED", name == NULL ? scene->path : name + 1);
    set("FIXTURES", scene->fixtures);
    set("TZ", "UTC");
    set("LC_ALL", "C.UTF-8");
    set("COLUMNS", "80");
    set("NO_COLOR", "1");
}

static void redirect(int descriptor, const char *path, int flags)
{
    int file = open(path, flags, 0600);
    if (file < 0 || dup2(file, descriptor) < 0) {
        stop("cannot open", path);
    }
    if (file != descriptor) {
        (void)close(file);
    }
}

/* In the child: a session without a terminal, and files for the streams. */
static _Noreturn void become_shell(const struct scene *scene,
                                   const char *command,
                                   transcript_stream stream)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND;
    char path[PATH_BYTES];
    (void)setsid();
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    join(path, scene->folder, "err");
    redirect(STDERR_FILENO, path, flags);
    join(path, scene->folder, "out");
    redirect(STDOUT_FILENO, path, flags);
    if (stream == TRANSCRIPT_BOTH && dup2(STDOUT_FILENO, STDERR_FILENO) < 0) {
        stop("cannot join", "the streams");
    }
    join(path, scene->folder, "here");
    if (chdir(path) != 0) {
        stop("cannot enter", path);
    }
    set_environment(scene);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    stop("cannot run", "/bin/sh");
}

static void await(pid_t child, struct outcome *outcome)
{
    const struct timespec pause = { 0, POLL_MS * 1000000L };
    int state = 0;
    for (int waited_ms = 0; waitpid(child, &state, WNOHANG) == 0;
         waited_ms += POLL_MS) {
        if (waited_ms >= STEP_S_MAX * 1000) {
            outcome->timed_out = true;
            (void)kill(-child, SIGKILL);
            (void)waitpid(child, &state, 0);
            break;
        }
        (void)nanosleep(&pause, NULL);
    }
    /* Whatever the command left running ends with it. */
    (void)kill(-child, SIGKILL);
    outcome->exit_code =
        WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

static void run_step(const struct scene *scene, const char *command,
                     transcript_stream stream, struct outcome *outcome)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        stop("cannot run", command);
    }
    if (child == 0) {
        become_shell(scene, command, stream);
    }
    await(child, outcome);
    read_output(scene, "out", &outcome->out);
    if (stream != TRANSCRIPT_BOTH) {
        read_output(scene, "err", &outcome->err);
    }
}

/* One command, its place in the file and the text that is wanted of it. */
struct step {
    size_t line;
    const char *command;
    const cb_span *wanted;
    size_t wanted_count;
    int exit_code;
    transcript_stream stream;
};

static void report(const struct scene *scene, const struct step *step,
                   const struct outcome *outcome)
{
    (void)printf("%s:%zu: $ %s\n", scene->path, step->line, step->command);
    if (outcome->timed_out) {
        (void)printf("  took longer than %d s\n", STEP_S_MAX);
    }
    if (outcome->exit_code != step->exit_code) {
        (void)printf("  ended with %d, not %d\n", outcome->exit_code,
                     step->exit_code);
    }
    (void)printf("  wanted\n");
    transcript_print_lines("- ", step->wanted, step->wanted_count);
    (void)printf("  printed\n");
    transcript_print_text("+ ", &outcome->out);
    if (outcome->err.size > 0) {
        (void)printf("  on the error stream\n");
        transcript_print_text("! ", &outcome->err);
    }
}

/* Appends lines to what the file would be with our blessing. */
static void keep_lines(struct scene *scene, const cb_span *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cb_buffer_append_span(&scene->blessed, lines[i]);
        cb_buffer_append_text(&scene->blessed, "\n");
    }
}

/*
 * A step that this machine cannot show ends with 77 and says why: it is left
 * out and counted as such, and whatever stands in the file stays.
 */
static bool is_left_out(struct scene *scene, const struct step *step,
                        const struct outcome *outcome)
{
    if (outcome->exit_code != EXIT_CANNOT_BE_SHOWN ||
        step->exit_code == EXIT_CANNOT_BE_SHOWN) {
        return false;
    }
    const char *why = cb_buffer_text(&outcome->err);
    (void)printf("skipped: %s:%zu: %.*s\n", scene->path, step->line,
                 (int)strcspn(why, "\n"), why);
    keep_lines(scene, step->wanted, step->wanted_count);
    return true;
}

/* Runs a step; true where it holds.  What it printed goes to `blessed`. */
static bool check_step(struct scene *scene, const struct step *step,
                       bool is_last, int *ret_exit_code)
{
    struct outcome outcome = { 0 };
    cb_buffer_init(&outcome.out, TEXT_BYTES_MAX);
    cb_buffer_init(&outcome.err, TEXT_BYTES_MAX);
    run_step(scene, step->command, step->stream, &outcome);
    if (is_left_out(scene, step, &outcome)) {
        *ret_exit_code = step->exit_code;
        cb_buffer_clear(&outcome.out);
        cb_buffer_clear(&outcome.err);
        return true;
    }
    const cb_buffer *text =
        step->stream == TRANSCRIPT_ERR ? &outcome.err : &outcome.out;
    transcript_lines got = transcript_split(cb_span_of_buffer(text));
    bool text_holds = transcript_lines_match(step->wanted, step->wanted_count,
                                             got.lines, got.count);
    bool streams_hold = step->stream != TRANSCRIPT_ERR || outcome.out.size == 0;
    bool exit_holds = outcome.exit_code == step->exit_code;
    const cb_span *kept = text_holds ? step->wanted : got.lines;
    size_t kept_count = text_holds ? step->wanted_count : got.count;
    keep_lines(scene, kept, kept_count);
    /* The fence names one exit code: only the last command's can be blessed. */
    bool is_blessed = scene->blesses && streams_hold && !outcome.timed_out &&
                      (exit_holds || is_last);
    bool holds = text_holds && streams_hold && exit_holds && !outcome.timed_out;
    if (!holds && !is_blessed) {
        report(scene, step, &outcome);
    }
    *ret_exit_code = outcome.exit_code;
    transcript_lines_clear(&got);
    cb_buffer_clear(&outcome.out);
    cb_buffer_clear(&outcome.err);
    return holds || is_blessed;
}

/* Runs the block of lines [first, end), which begins with a command. */
static void run_block(struct scene *scene, const transcript_lines *file,
                      size_t first, size_t end, transcript_fence *fence)
{
    size_t at = first;
    while (at < end) {
        cb_buffer command;
        struct step step = { .line = at + 1, .stream = fence->stream };
        cb_buffer_init(&command, TEXT_BYTES_MAX);
        const char *lead = "$ ";
        while (at < end && transcript_starts_with(file->lines[at], lead)) {
            cb_span line = file->lines[at++];
            cb_buffer_append_span(&scene->blessed, line);
            cb_buffer_append_text(&scene->blessed, "\n");
            cb_buffer_append_text(&command, command.size > 0 ? "\n" : "");
            cb_buffer_append(&command, line.bytes + 2, line.size - 2);
            lead = "> ";
        }
        step.command = cb_buffer_text(&command);
        step.wanted = file->lines + at;
        while (at < end && !transcript_starts_with(file->lines[at], "$ ")) {
            at++;
            step.wanted_count++;
        }
        bool is_last = at == end;
        int exit_code = 0;
        step.exit_code = is_last ? fence->exit_code : 0;
        scene->steps++;
        if (!check_step(scene, &step, is_last, &exit_code)) {
            scene->failures++;
        }
        if (is_last) {
            fence->exit_code = exit_code;
        }
        cb_buffer_clear(&command);
    }
}

static void fail(struct scene *scene, size_t line, const char *why)
{
    (void)printf("%s:%zu: %s\n", scene->path, line + 1, why);
    scene->failures++;
}

static void copy_lines(struct scene *scene, const transcript_lines *file,
                       size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        cb_buffer_append_span(&scene->blessed, file->lines[i]);
        cb_buffer_append_text(&scene->blessed, "\n");
    }
}

/* The fenced block that opens at a line; returns the line after it. */
static size_t run_fence(struct scene *scene, const transcript_lines *file,
                        size_t open)
{
    transcript_fence fence = { 0 };
    size_t close = open + 1;
    while (close < file->count &&
           !transcript_starts_with(file->lines[close], "```")) {
        close++;
    }
    if (close == file->count) {
        fail(scene, open, "this block has no end");
        copy_lines(scene, file, open, close);
        return close;
    }
    bool is_known = transcript_read_fence(file->lines[open], &fence);
    bool is_transcript = transcript_starts_with(file->lines[open + 1], "$ ");
    bool has_marks =
        memchr(file->lines[open].bytes, '(', file->lines[open].size) != NULL;
    if (!is_transcript && has_marks) {
        fail(scene, open, "this block begins with no '$ '");
    } else if (is_transcript && !is_known) {
        fail(scene, open, "this fence is not understood");
    }
    if (!is_transcript || !is_known) {
        copy_lines(scene, file, open, close + 1);
        return close + 1;
    }
    if (fence.clock[0] != '\0') {
        (void)snprintf(scene->clock, sizeof scene->clock, "%s", fence.clock);
    }
    /* The exit code is known only when the block has run, and stands first. */
    cb_buffer before = scene->blessed;
    cb_buffer_init(&scene->blessed, TEXT_BYTES_MAX);
    int wanted = fence.exit_code;
    run_block(scene, file, open + 1, close, &fence);
    if (fence.exit_code == wanted) {
        cb_buffer_append_span(&before, file->lines[open]);
        cb_buffer_append_text(&before, "\n");
    } else {
        transcript_write_fence(&before, &fence);
    }
    cb_buffer_append_span(&before, cb_span_of_buffer(&scene->blessed));
    cb_buffer_append_text(&before, "```\n");
    cb_buffer_clear(&scene->blessed);
    scene->blessed = before;
    return close + 1;
}

static void make_folders(struct scene *scene)
{
    static const char *const names[] = { "bin", "home", "tmp", "state",
                                         "here" };
    const char *parent = getenv("TMPDIR");
    char path[PATH_BYTES];
    char self[PATH_BYTES];
    join(scene->folder, parent == NULL ? "/tmp" : parent, "transcript-XXXXXX");
    if (mkdtemp(scene->folder) == NULL) {
        stop("cannot make", scene->folder);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        join(path, scene->folder, names[i]);
        if (mkdir(path, 0700) != 0) {
            stop("cannot make", path);
        }
    }
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0) {
        stop("cannot read", "/proc/self/exe");
    }
    self[size] = '\0';
    join(path, scene->folder, "bin/transcripts");
    if (symlink(self, path) != 0) {
        stop("cannot link", path);
    }
    join(path, scene->folder, "bin/casebound");
    if (symlink(scene->binary, path) != 0) {
        stop("cannot link", path);
    }
}

static void remove_folders(const struct scene *scene)
{
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/bin/rm", "rm", "-rf", "--", scene->folder, (char *)NULL);
        stop("cannot run", "/bin/rm");
    }
    if (child > 0) {
        (void)waitpid(child, NULL, 0);
    }
}

static void write_blessed(const struct scene *scene, const cb_buffer *before)
{
    if (cb_span_equal(cb_span_of_buffer(&scene->blessed),
                      cb_span_of_buffer(before))) {
        return;
    }
    FILE *file = fopen(scene->path, "wb");
    if (file == NULL) {
        stop("cannot write", scene->path);
    }
    size_t size =
        fwrite(cb_buffer_text(&scene->blessed), 1, scene->blessed.size, file);
    if (fclose(file) != 0 || size != scene->blessed.size) {
        stop("cannot write", scene->path);
    }
    (void)printf("blessed %s\n", scene->path);
}

/* True where every transcript of a file holds, and there is one. */
static bool run_file(const char *path, const char *binary)
{
    struct scene scene = { .path = path,
                           .binary = binary,
                           .clock = FIRST_CLOCK };
    const char *bless = getenv("CASEBOUND_BLESS");
    char absolute[PATH_BYTES];
    cb_buffer text;
    scene.blesses = bless != NULL && strcmp(bless, "1") == 0;
    if (realpath(path, absolute) == NULL) {
        stop("cannot find", path);
    }
    char *slash = strrchr(absolute, '/');
    slash[slash == absolute ? 1 : 0] = '\0';
    (void)snprintf(scene.fixtures, sizeof scene.fixtures, "%s", absolute);
    /* Keys that a command leaves with the kernel end with this file.  Where
     * the kernel refuses (in some containers), commands cannot leave any. */
    (void)keyctl_join_session_keyring(NULL);
    make_folders(&scene);
    cb_buffer_init(&scene.blessed, TEXT_BYTES_MAX);
    cb_buffer_init(&text, TEXT_BYTES_MAX);
    read_file(path, &text);
    transcript_lines file = transcript_split(cb_span_of_buffer(&text));
    for (size_t i = 0; i < file.count;) {
        if (transcript_starts_with(file.lines[i], "```")) {
            i = run_fence(&scene, &file, i);
        } else {
            copy_lines(&scene, &file, i, i + 1);
            i++;
        }
    }
    if (scene.steps == 0) {
        fail(&scene, 0, "there is no transcript in this file");
    }
    if (scene.blesses && scene.failures == 0) {
        write_blessed(&scene, &text);
    }
    (void)printf("%s %s (%zu commands)\n",
                 scene.failures == 0 ? "ok    " : "FAILED", path, scene.steps);
    remove_folders(&scene);
    transcript_lines_clear(&file);
    cb_buffer_clear(&text);
    cb_buffer_clear(&scene.blessed);
    return scene.failures == 0;
}

static int is_markdown(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 3 && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + size - 3, ".md") == 0;
}

/* Every transcript of a folder, by name, or one file. */
static void run_path(const char *path, const char *binary, size_t *passed,
                     size_t *failed)
{
    struct dirent **entries = NULL;
    struct stat path_stat = { 0 };
    if (stat(path, &path_stat) != 0) {
        stop("cannot find", path);
    }
    if (!S_ISDIR(path_stat.st_mode)) {
        (*(run_file(path, binary) ? passed : failed))++;
        return;
    }
    int count = scandir(path, &entries, is_markdown, alphasort);
    for (int i = 0; i < count; i++) {
        char file[PATH_BYTES];
        join(file, path, entries[i]->d_name);
        (*(run_file(file, binary) ? passed : failed))++;
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    size_t passed = 0;
    size_t failed = 0;
    char binary[PATH_BYTES];
    if (argc < 4 || strcmp(argv[1], "--binary") != 0) {
        (void)fprintf(stderr, "usage: transcripts --binary PROGRAM "
                              "FILE-OR-FOLDER...\n");
        return 2;
    }
    if (realpath(argv[2], binary) == NULL) {
        stop("cannot find", argv[2]);
    }
    for (int i = 3; i < argc; i++) {
        run_path(argv[i], binary, &passed, &failed);
    }
    (void)printf("%zu passed, %zu failed\n", passed, failed);
    if (passed + failed == 0) {
        (void)printf("there was nothing to run\n");
        return 1;
    }
    return failed == 0 ? 0 : 1;
}
