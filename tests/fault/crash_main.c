/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts the power at every operation of every command, and looks at what is
 * left.
 *
 *     crash --program COMMAND --interposer LIBRARY [--all] [--seed N] [--only
 *           WORDS] [--keep] [--lying-disk]
 *
 * Each command of the story is run once and recorded: everything that it, and
 * the programs that it starts, do to files.  Then, for each moment of the
 * record, disks are made that a power cut may have left (disk.h): with nothing
 * of what was only promised, with all of it, with a beginning of it, with any
 * part of it, with a last write that is torn, with all writes torn.  On each:
 *
 *  1. the store opens, or says that there is none before there was one;
 *  2. it is in a state that it has been in, and not in one before the last word
 *     that the command had said;
 *  3. every page, chain and signature verifies, and it does not take itself for
 *     an older copy;
 *  4. files that are replaced as a whole are whole;
 *  5. the next command works, and so does the same one again where it says so.
 *
 * With --lying-disk no sync is believed, and it is a failure if that is not
 * noticed.  By default a sample is looked at, by a seed that is printed; --all
 * looks at everything (CASEBOUND_FAULT_ALL=1 does the same).
 */
#include "fault/crash.h"

#include "fault/disk_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_IMAGES  16
#define FOLLOW_EVERY   5
#define EXCHANGE_EVERY 12
#define SEEN_MAX       ((size_t)1 << 16)

enum {
    ALL_LOST,
    ALL_KEPT,
    PREFIX,
    SUBSET,
    TORN,
    ALL_TORN,
    VARIANTS
};

static const char *const variant_names[] = {
    "all lost", "all kept", "prefix", "subset", "torn", "all torn"
};

typedef struct seen_image {
    unsigned char hash[32];
    inspection found;
} seen_image;

typedef struct crash_run {
    story_world *story;
    const story_step *step;
    bool all;
    bool keep;
    bool lying; /* a disk that does not do what a sync asks for */
    uint64_t seed;
    uint64_t random;
    crash_counts counts;
    disk_model *base; /* the disk as it was before the step */
    crash_history history;
    seen_image *seen;
    size_t seen_count;
} crash_run;

static size_t below(crash_run *run, size_t limit)
{
    return limit == 0 ? 0 : (size_t)(disk_random(&run->random) % limit);
}

/* Rules of disk.h leave this open; what stock git writes to the log keeps the
 * order of its names, as every journal of a file system does. */
static void choose(crash_run *run, const disk_model *disk, int variant,
                   disk_choice *choices)
{
    const size_t count = disk_promises(disk);
    const size_t edge = below(run, count + 1);
    const size_t last = disk_last_write(disk);
    for (size_t i = 0; i < count; i++) {
        const uint64_t draw = disk_random(&run->random) | 2;
        switch (variant) {
        case ALL_LOST: choices[i] = 0; break;
        case PREFIX: choices[i] = i < edge; break;
        case SUBSET: choices[i] = (draw >> 32) & 1; break;
        case TORN: choices[i] = i > last ? 0 : i == last ? draw : 1; break;
        case ALL_TORN:
            choices[i] = disk_promise_is_name(disk, i) ? 1 : draw;
            break;
        case ALL_KEPT:
        default: choices[i] = 1; break;
        }
        if (disk_promise_is_name(disk, i) &&
            disk_promise_is_below(disk, i, "/log/")) {
            choices[i] = variant == ALL_LOST ? 0 : i < edge;
        }
    }
}

static void report(crash_run *run, size_t records, int variant,
                   const char *problem)
{
    char kept[2 * STORY_PATH_BYTES];
    run->counts.failures++;
    (void)snprintf(kept, sizeof kept, "%s/failure-%zu", run->story->folder,
                   run->counts.failures);
    if (run->lying) {
        return;
    }
    (void)printf("FAILED '%s' of %s after %zu operations, %s: %s\n",
                 run->step->name, run->step->store, records,
                 variant_names[variant], problem);
    if (run->keep) {
        story_copy(run->story->live, kept);
        (void)printf("       kept in %s\n", kept);
    }
}

static seen_image *find_seen(crash_run *run, const unsigned char *hash)
{
    for (size_t i = 0; i < run->seen_count; i++) {
        if (memcmp(run->seen[i].hash, hash, sizeof run->seen[i].hash) == 0) {
            return &run->seen[i];
        }
    }
    return NULL;
}

static void write_live(crash_run *run, const disk_image *image)
{
    story_remove(run->story->live);
    disk_image_write(image, run->story->live);
}

static seen_image *look_at(crash_run *run, const disk_image *image,
                           const unsigned char *hash)
{
    char folder[2 * STORY_PATH_BYTES];
    char home[2 * STORY_PATH_BYTES];
    seen_image *seen = &run->seen[run->seen_count++];
    if (run->seen_count == SEEN_MAX) {
        disk_stop("too many different images of", run->step->name);
    }
    memcpy(seen->hash, hash, sizeof seen->hash);
    write_live(run, image);
    (void)snprintf(folder, sizeof folder, "%s/%s", run->story->live,
                   run->step->store);
    (void)snprintf(home, sizeof home, "%s/home", run->story->live);
    inspect_store(folder, home, run->story->now_ms, &seen->found);
    return seen;
}

/* Two images may differ only in what the store is not concerned with. */
static const inspection *find_out(crash_run *run, const disk_image *image)
{
    unsigned char hash[32];
    char part[STORY_PATH_BYTES];
    (void)snprintf(part, sizeof part, "/live/%s/", run->step->store);
    disk_image_hash(image, part, "/live/home/", hash);
    seen_image *seen = find_seen(run, hash);
    return seen == NULL ? &look_at(run, image, hash)->found : &seen->found;
}

static bool is_fresh(crash_run *run, const disk_image *image)
{
    unsigned char hash[32];
    disk_image_hash(image, NULL, NULL, hash);
    if (find_seen(run, hash) != NULL) {
        return false;
    }
    memcpy(run->seen[run->seen_count++].hash, hash, sizeof hash);
    run->counts.looked++;
    return true;
}

static void try_image(crash_run *run, disk_model *disk, size_t records,
                      int variant)
{
    crash_file files[CRASH_FILES_MAX];
    disk_choice *choices =
        disk_memory(NULL, disk_promises(disk) * sizeof *choices);
    choose(run, disk, variant, choices);
    disk_image *image = disk_image_make(disk, choices);
    free(choices);
    run->counts.images++;
    const bool fresh = is_fresh(run, image);
    const inspection *found = find_out(run, image);
    const size_t file_count = crash_list_files(image, run->story->live, files);
    const char *problem =
        crash_judge(&run->history, records, found, files, file_count);
    const size_t every = run->step->exchanges ? EXCHANGE_EVERY : FOLLOW_EVERY;
    if (problem == NULL && fresh && (run->all || below(run, every) == 0)) {
        write_live(run, image);
        problem = crash_follow(run->story, run->step, found);
        run->counts.followed++;
    }
    if (problem != NULL) {
        report(run, records, variant, problem);
    }
    disk_image_destroy(image);
}

/* Everything that may be left, or as much of it as a sample takes. */
static void enumerate(crash_run *run, const disk_log *log)
{
    disk_model *disk = disk_copy(run->base);
    const size_t total = (log->count + 1) * VARIANTS;
    for (size_t records = 0; records <= log->count; records++) {
        const uint32_t kind =
            records == 0 ? 0 : log->records[records - 1].head.kind;
        const bool told = kind == OPLOG_SAID || kind == OPLOG_EXIT;
        const bool lies =
            run->lying && (kind == OPLOG_SYNC || kind == OPLOG_SYNC_FOLDER);
        if (records > 0 && !lies) {
            disk_apply(disk, &log->records[records - 1]);
        }
        for (int variant = 0; variant < VARIANTS; variant++) {
            const int times = variant == PREFIX || variant == SUBSET ? 3 : 1;
            for (int i = 0; run->all && i < times; i++) {
                try_image(run, disk, records, variant);
            }
            if (!run->all && (below(run, total) < SAMPLE_IMAGES ||
                              (told && variant == ALL_LOST))) {
                try_image(run, disk, records, variant);
            }
        }
    }
    disk_destroy(disk);
}

/* The record is complete where it leads to what is there. */
static void check_record(crash_run *run, const disk_log *log, const char *after)
{
    char path[2 * STORY_PATH_BYTES];
    disk_model *disk = disk_copy(run->base);
    for (size_t i = 0; i < log->count; i++) {
        disk_apply(disk, &log->records[i]);
    }
    const size_t count = disk_promises(disk);
    disk_choice *choices = disk_memory(NULL, count * sizeof *choices);
    for (size_t i = 0; i < count; i++) {
        choices[i] = 1;
    }
    disk_image *image = disk_image_make(disk, choices);
    (void)snprintf(path, sizeof path, "%s/replayed", run->story->folder);
    disk_image_write(image, path);
    const char *const difference[] = { "diff", "-r",  "-q", "--no-dereference",
                                       path,   after, NULL };
    (void)fflush(stdout);
    if (story_command(difference) != 0) {
        disk_stop("the record is not complete, of", run->step->name);
    }
    story_remove(path);
    disk_image_destroy(image);
    free(choices);
    disk_destroy(disk);
}

static void test_step(crash_run *run, const disk_log *log)
{
    char after[2 * STORY_PATH_BYTES];
    story_world *story = run->story;
    (void)snprintf(after, sizeof after, "%s/after", story->folder);
    if (rename(story->live, after) != 0) {
        disk_stop("cannot move", story->live);
    }
    check_record(run, log, after);
    const crash_counts before = run->counts;
    run->seen = disk_memory(NULL, SEEN_MAX * sizeof *run->seen);
    run->seen_count = 0;
    crash_history_make(story, run->step, run->base, log, &run->history);
    enumerate(run, log);
    crash_history_clear(&run->history);
    free(run->seen);
    story_remove(story->live);
    if (rename(after, story->live) != 0) {
        disk_stop("cannot move back", after);
    }
    run->counts.commands++;
    run->counts.records += log->count;
    (void)printf("%-7s %-16s %5zu operations %6zu images, %5zu different, "
                 "%zu went on\n",
                 run->step->store, run->step->name, log->count,
                 run->counts.images - before.images,
                 run->counts.looked - before.looked,
                 run->counts.followed - before.followed);
    (void)fflush(stdout);
}

static void run_step(crash_run *run, const char *only)
{
    char path[2 * STORY_PATH_BYTES];
    story_outcome outcome;
    story_world *story = run->story;
    (void)snprintf(path, sizeof path, "%s/log", story->folder);
    FILE *file = fopen(path, "w");
    if (file == NULL || fclose(file) != 0) {
        disk_stop("cannot make", path);
    }
    const bool tested = run->step->checked &&
                        (only == NULL || strstr(run->step->name, only) != NULL);
    run->base = tested ? disk_load(story->live) : NULL;
    story_calm(story);
    story_run(story, run->step, path, &outcome);
    if (!story_succeeded(run->step, &outcome)) {
        (void)printf("%s%s", outcome.out, outcome.err);
        disk_stop("this does not even work without a crash:", run->step->name);
    }
    if (tested) {
        disk_log log;
        disk_log_read(path, &log);
        test_step(run, &log);
        disk_log_clear(&log);
        disk_destroy(run->base);
    }
    story_note(story, run->step, &outcome);
}

/* What the arguments say; false where they are not understood. */
static bool read_arguments(crash_run *run, int argc, char **argv,
                           const char **values)
{
    static const char *const names[] = { "--program", "--interposer", "--only",
                                         "--seed" };
    for (int i = 1; i < argc; i++) {
        bool known = true;
        if (strcmp(argv[i], "--all") == 0) {
            run->all = true;
        } else if (strcmp(argv[i], "--keep") == 0) {
            run->keep = true;
        } else if (strcmp(argv[i], "--lying-disk") == 0) {
            run->lying = true;
        } else {
            known = false;
            for (size_t j = 0; j < 4 && i + 1 < argc && !known; j++) {
                known = strcmp(argv[i], names[j]) == 0;
                values[j] = known ? argv[++i] : values[j];
            }
        }
        if (!known) {
            return false;
        }
    }
    return values[0] != NULL && values[1] != NULL;
}

static bool tell(const crash_run *run)
{
    const crash_counts *counts = &run->counts;
    (void)printf("%zu commands, %zu operations, %zu images, %zu of them "
                 "different, %zu went on, seed %llu\n",
                 counts->commands, counts->records, counts->images,
                 counts->looked, counts->followed,
                 (unsigned long long)run->seed);
    if (run->lying) {
        const bool noticed = counts->failures > 0;
        (void)printf("the lies %s\n%d passed, %d failed\n",
                     noticed ? "were noticed" : "went unnoticed", noticed,
                     !noticed);
        return noticed;
    }
    (void)printf("%zu passed, %zu failed\n", counts->images - counts->failures,
                 counts->failures);
    return counts->failures == 0 && counts->images > 0;
}

int main(int argc, char **argv)
{
    const char *values[4] = { NULL };
    const char *all = getenv("CASEBOUND_FAULT_ALL");
    story_world story;
    crash_run run = { .story = &story,
                      .seed = (uint64_t)time(NULL),
                      .all = all != NULL && strcmp(all, "1") == 0 };
    if (!read_arguments(&run, argc, argv, values) || sodium_init() < 0) {
        (void)fprintf(stderr, "usage: crash --program COMMAND --interposer "
                              "LIBRARY [--all] [--seed N] [--only WORDS] "
                              "[--keep] [--lying-disk]\n");
        return 2;
    }
    if (values[3] != NULL) {
        run.seed = strtoull(values[3], NULL, 10);
    }
    run.random = run.seed;
    (void)printf("seed %llu\n", (unsigned long long)run.seed);
    story_begin(&story, values[0], values[1]);
    for (size_t i = 0; i < story_step_count; i++) {
        run.step = &story_steps[i];
        run_step(&run, values[2]);
    }
    const bool passed = tell(&run);
    if (passed || !run.keep) {
        story_end(&story);
    }
    return passed ? 0 : 1;
}
