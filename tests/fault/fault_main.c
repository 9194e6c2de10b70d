/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets every call of every command fail, one at a time.
 *
 *     faults --program COMMAND --interposer LIBRARY [--all] [--seed N] [--only
 *            WORDS] [--calls N] [--allocations N] [--one FAULT:N]
 *
 * Each command of the story is run without a fault first, to count its calls
 * that change files and its allocations.  Then it is run again and again from
 * where it began, with the same randomness, and each time one call fails: with
 * an I/O error or a full disk, once or from then on, by writing half of what
 * was asked for, by being interrupted; or an allocation gives nothing, once or
 * from then on.  Whatever happens:
 *
 *  1. the command ends by itself, with an exit code that is documented, and
 *     says what happened and what to do next unless all went well;
 *  2. the store opens, everything verifies, and it is in a state that the run
 *     without a fault was in; in its last one if the command says that it
 *     succeeded, and after a power cut, too;
 *  3. what a failed sync should have written is taken for lost: after a power
 *     cut the same holds;
 *  4. the next command works.
 *
 * By default a sample is tried, by a seed that is printed; --all tries every
 * call (CASEBOUND_FAULT_ALL=1 does the same), which takes hours.  --calls and
 * --allocations say how many a command, --one which ("no memory:24309").
 */
#include "fault/crash.h"

#include "fault/disk_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_CALLS       6
#define SAMPLE_ALLOCATIONS 6
#define FOLLOW_EVERY       6

typedef struct fault_kind {
    const char *name;
    bool is_allocation;
    int number; /* for errno */
    oplog_mode mode;
} fault_kind;

static const fault_kind faults[] = {
    { "I/O error", false, EIO, OPLOG_ONCE },
    { "I/O error from then on", false, EIO, OPLOG_FOREVER },
    { "full disk", false, ENOSPC, OPLOG_ONCE },
    { "full disk from then on", false, ENOSPC, OPLOG_FOREVER },
    { "short write", false, 0, OPLOG_SHORT },
    { "interrupted write", false, EINTR, OPLOG_ONCE },
    { "no memory", true, 0, OPLOG_ONCE },
    { "no memory from then on", true, 0, OPLOG_FOREVER },
};
#define FAULTS (sizeof faults / sizeof faults[0])

typedef struct fault_run {
    story_world *story;
    const story_step *step;
    const char *only;
    const char *one;
    bool all;
    uint64_t seed;
    uint64_t random;
    uint64_t sample[2]; /* of calls, of allocations */
    char log[2 * STORY_PATH_BYTES];
    crash_history history;
    size_t commands;
    size_t runs;
    size_t struck;
    size_t followed;
    size_t failures;
} fault_run;

static void in_world(const fault_run *run, const char *name, char *path)
{
    (void)snprintf(path, 2 * (size_t)STORY_PATH_BYTES, "%s/%s",
                   run->story->folder, name);
}

/* Puts away, or back, what the runs begin with. */
static void copy_world(const fault_run *run, bool back)
{
    static const char *const names[] = { "live", "state" };
    for (size_t i = 0; i < 2; i++) {
        char here[2 * STORY_PATH_BYTES];
        char kept[2 * STORY_PATH_BYTES];
        char name[32];
        (void)snprintf(name, sizeof name, "begin-%s", names[i]);
        in_world(run, names[i], here);
        in_world(run, name, kept);
        story_remove(back ? here : kept);
        story_copy(back ? kept : here, back ? here : kept);
    }
}

static void empty_log(const fault_run *run)
{
    FILE *file = fopen(run->log, "w");
    if (file == NULL || fclose(file) != 0) {
        disk_stop("cannot make", run->log);
    }
}

static void inspect(const fault_run *run, inspection *found)
{
    char folder[2 * STORY_PATH_BYTES];
    char home[2 * STORY_PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s/%s", run->story->live,
                   run->step->store);
    (void)snprintf(home, sizeof home, "%s/home", run->story->live);
    inspect_store(folder, home, run->story->now_ms, found);
}

/* ------------------------------------------------------------ what may be */

static bool is_documented(int exit_code)
{
#define CB_STATUS(name, code, json, meaning, next) code,
    static const int codes[] = {
#include <casebound/status.def>
    };
#undef CB_STATUS
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == exit_code) {
            return true;
        }
    }
    return false;
}

static const char *judge_words(const fault_run *run,
                               const story_outcome *outcome)
{
    if (!is_documented(outcome->exit_code)) {
        return outcome->exit_code < 0 ? "a signal ended it"
                                      : "its exit code is not documented";
    }
    /* A merge that had to leave a stream for later says so in its report. */
    if (run->step->exchanges && outcome->exit_code == 1 &&
        strstr(outcome->out, "\nstream ") != NULL &&
        strstr(outcome->err, "next: ") != NULL) {
        return NULL;
    }
    if (!story_succeeded(run->step, outcome) &&
        (strstr(outcome->err, "casebound: ") == NULL ||
         strstr(outcome->err, "    next: ") == NULL)) {
        return "it does not say what happened and what to do";
    }
    return NULL;
}

/*
 * What is sent for the second time is sealed anew and has other bytes: of an
 * exchange only the entries are compared.  So of a restored store, whose ids
 * and keys are drawn after the files were written that a fault may concern.
 */
static bool is_same(const fault_run *run, const inspection *state,
                    const inspection *found)
{
    return state->status == found->status &&
           state->restored == found->restored &&
           state->next_passphrase == found->next_passphrase &&
           (run->step->exchanges || strcmp(run->step->name, "restore") == 0
                ? state->entries == found->entries
                : memcmp(state->state, found->state, sizeof found->state) == 0);
}

/* From the last state on where all went well, else any. */
static const char *judge_state(const fault_run *run, bool succeeded,
                               const inspection *found)
{
    const crash_history *history = &run->history;
    if (found->problem[0] != '\0') {
        return found->problem;
    }
    for (size_t i = succeeded ? history->count - 1 : 0; i < history->count;
         i++) {
        if (is_same(run, &history->states[i].found, found)) {
            return NULL;
        }
    }
    for (size_t i = 0; i < history->count; i++) {
        const inspection *state = &history->states[i].found;
        if (memcmp(state->state, found->state, sizeof found->state) == 0 &&
            state->restored != found->restored) {
            return "it takes itself for an older copy";
        }
    }
    return succeeded ? "it says that it succeeded, and that is not so"
                     : "a state that never was";
}

/* What is left of it where the power goes right after it has ended. */
static const char *judge_cut(fault_run *run, const disk_model *base,
                             bool succeeded)
{
    disk_log log;
    inspection found;
    disk_model *disk = disk_copy(base);
    disk_log_read(run->log, &log);
    for (size_t i = 0; i < log.count; i++) {
        disk_apply(disk, &log.records[i]);
    }
    const size_t count = disk_promises(disk);
    disk_choice *choices = disk_memory(NULL, count * sizeof *choices);
    for (size_t i = 0; i < count; i++) {
        /* Stock git leaves names to the file system; see crash_main.c. */
        choices[i] = disk_promise_is_name(disk, i) &&
                     disk_promise_is_below(disk, i, "/log/");
    }
    disk_image *image = disk_image_make(disk, choices);
    story_remove(run->story->live);
    disk_image_write(image, run->story->live);
    inspect(run, &found);
    disk_image_destroy(image);
    disk_destroy(disk);
    disk_log_clear(&log);
    free(choices);
    return judge_state(run, succeeded, &found);
}

static void report(fault_run *run, const fault_kind *fault, uint64_t number,
                   const char *when, const char *problem,
                   const story_outcome *outcome)
{
    run->failures++;
    (void)printf("FAILED '%s' of %s, %s at %s %llu%s: %s\n"
                 "  exit code %d\n%s%s",
                 run->step->name, run->step->store, fault->name,
                 fault->is_allocation ? "allocation" : "call",
                 (unsigned long long)number, when, problem, outcome->exit_code,
                 outcome->out, outcome->err);
    (void)fflush(stdout);
}

static void try_fault(fault_run *run, const fault_kind *fault, uint64_t number)
{
    story_world *story = run->story;
    story_outcome outcome;
    inspection found;
    copy_world(run, true);
    /* Copied files are others: their numbers are in the log. */
    disk_model *base = fault->is_allocation ? NULL : disk_load(story->live);
    empty_log(run);
    story_calm(story);
    if (fault->is_allocation) {
        story->control->allocation_at = number;
        story->control->allocation_mode = fault->mode;
    } else {
        story->control->call_at = number;
        story->control->call_errno = fault->number;
        story->control->call_mode = fault->mode;
    }
    story_run(story, run->step, base == NULL ? NULL : run->log, &outcome);
    run->runs++;
    run->struck += story->control->fired > 0;
    story_calm(story);
    const bool succeeded = story_succeeded(run->step, &outcome);
    const char *when = "";
    const char *problem = judge_words(run, &outcome);
    inspect(run, &found);
    if (problem == NULL) {
        problem = judge_state(run, succeeded, &found);
    }
    if (problem == NULL &&
        (run->all || disk_random(&run->random) % FOLLOW_EVERY == 0)) {
        problem = crash_follow(story, run->step, &found);
        run->followed++;
    }
    if (problem == NULL && base != NULL) {
        when = " and a power cut";
        problem = judge_cut(run, base, succeeded);
    }
    if (problem != NULL) {
        report(run, fault, number, when, problem, &outcome);
    }
    if (base != NULL) {
        disk_destroy(base);
    }
}

static void try_all(fault_run *run, const fault_kind *fault, uint64_t total)
{
    const uint64_t sample = run->sample[fault->is_allocation];
    const uint64_t share = fault->is_allocation ? 2 : FAULTS - 2;
    const size_t size = strlen(fault->name);
    if (run->one != NULL) {
        if (strncmp(run->one, fault->name, size) == 0 &&
            run->one[size] == ':') {
            try_fault(run, fault, strtoull(run->one + size + 1, NULL, 10));
        }
        return;
    }
    for (uint64_t i = 1; run->all && i <= total; i++) {
        try_fault(run, fault, i);
    }
    for (uint64_t i = 0; !run->all && total > 0 && i < sample; i++) {
        /* Spread over the kinds, so that each step has some of most. */
        if (disk_random(&run->random) % share == 0) {
            try_fault(run, fault, 1 + disk_random(&run->random) % total);
        }
    }
}

static void test_step(fault_run *run, story_outcome *outcome)
{
    char after[2 * STORY_PATH_BYTES];
    disk_log log;
    story_world *story = run->story;
    const size_t runs = run->runs;
    copy_world(run, false);
    disk_model *base = disk_load(story->live);
    empty_log(run);
    story_calm(story);
    story_run(story, run->step, run->log, outcome);
    if (!story_succeeded(run->step, outcome)) {
        (void)printf("%s%s", outcome->out, outcome->err);
        disk_stop("this does not even work without a fault:", run->step->name);
    }
    const uint64_t calls = story->control->calls;
    const uint64_t allocations = story->control->allocations;
    in_world(run, "after", after);
    if (rename(story->live, after) != 0) {
        disk_stop("cannot move", story->live);
    }
    disk_log_read(run->log, &log);
    crash_history_make(story, run->step, base, &log, &run->history);
    for (size_t i = 0; i < FAULTS; i++) {
        try_all(run, &faults[i], faults[i].is_allocation ? allocations : calls);
    }
    crash_history_clear(&run->history);
    disk_log_clear(&log);
    disk_destroy(base);
    copy_world(run, true);
    story_remove(story->live);
    if (rename(after, story->live) != 0) {
        disk_stop("cannot move back", after);
    }
    run->commands++;
    (void)printf("%-7s %-16s %5llu calls, %6llu allocations: %zu runs\n",
                 run->step->store, run->step->name, (unsigned long long)calls,
                 (unsigned long long)allocations, run->runs - runs);
    (void)fflush(stdout);
}

static void run_step(fault_run *run)
{
    story_outcome outcome;
    if (run->step->checked &&
        (run->only == NULL || strstr(run->step->name, run->only) != NULL)) {
        test_step(run, &outcome);
    } else {
        story_calm(run->story);
        story_run(run->story, run->step, NULL, &outcome);
        if (!story_succeeded(run->step, &outcome)) {
            (void)printf("%s%s", outcome.out, outcome.err);
            disk_stop("this does not even work:", run->step->name);
        }
    }
    story_note(run->story, run->step, &outcome);
}

static bool read_arguments(fault_run *run, int argc, char **argv,
                           const char **values)
{
    static const char *const names[] = { "--program", "--interposer",
                                         "--only",    "--seed",
                                         "--calls",   "--allocations",
                                         "--one" };
    for (int i = 1; i < argc; i++) {
        bool known = strcmp(argv[i], "--all") == 0;
        run->all = run->all || known;
        for (size_t j = 0; j < 7 && i + 1 < argc && !known; j++) {
            known = strcmp(argv[i], names[j]) == 0;
            values[j] = known ? argv[++i] : values[j];
        }
        if (!known) {
            return false;
        }
    }
    run->only = values[2];
    run->one = values[6];
    run->seed = values[3] == NULL ? run->seed : strtoull(values[3], NULL, 10);
    for (size_t i = 0; i < 2; i++) {
        run->sample[i] = values[4 + i] == NULL
                             ? run->sample[i]
                             : strtoull(values[4 + i], NULL, 10);
    }
    return values[0] != NULL && values[1] != NULL;
}

int main(int argc, char **argv)
{
    const char *values[7] = { NULL };
    const char *all = getenv("CASEBOUND_FAULT_ALL");
    story_world story;
    fault_run run = { .story = &story,
                      .seed = (uint64_t)time(NULL),
                      .sample = { SAMPLE_CALLS, SAMPLE_ALLOCATIONS },
                      .all = all != NULL && strcmp(all, "1") == 0 };
    if (!read_arguments(&run, argc, argv, values) || sodium_init() < 0) {
        (void)fprintf(stderr,
                      "usage: faults --program COMMAND --interposer "
                      "LIBRARY [--all] [--seed N] [--only WORDS] "
                      "[--calls N] [--allocations N] [--one FAULT:N]\n");
        return 2;
    }
    run.random = run.seed;
    (void)printf("seed %llu\n", (unsigned long long)run.seed);
    story_begin(&story, values[0], values[1]);
    in_world(&run, "log", run.log);
    for (size_t i = 0; i < story_step_count; i++) {
        run.step = &story_steps[i];
        run_step(&run);
    }
    story_end(&story);
    (void)printf("%zu commands, %zu runs with a fault, %zu of them struck, "
                 "%zu went on, seed %llu\n",
                 run.commands, run.runs, run.struck, run.followed,
                 (unsigned long long)run.seed);
    (void)printf("%zu passed, %zu failed\n", run.runs - run.failures,
                 run.failures);
    return run.failures == 0 && run.struck > 0 ? 0 : 1;
}
