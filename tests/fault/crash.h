/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the crash enumerator; see crash_main.c. */
#ifndef CASEBOUND_TESTS_CRASH_H
#define CASEBOUND_TESTS_CRASH_H

#include "fault/disk.h"
#include "fault/inspect.h"
#include "fault/story.h"

/* A file that is replaced as a whole, and what it held. */
typedef struct crash_file {
    char path[STORY_PATH_BYTES];
    bool there;
    unsigned char hash[32];
} crash_file;

#define CRASH_FILES_MAX 32

/* How things stood when so many records had happened. */
typedef struct crash_state {
    size_t records;
    bool is_said; /* somebody was told something just then */
    inspection found;
    crash_file files[CRASH_FILES_MAX];
    size_t file_count;
} crash_state;

typedef struct crash_history {
    crash_state *states;
    size_t count;
    size_t room;
} crash_history;

typedef struct crash_counts {
    size_t commands;
    size_t records;
    size_t images; /* that were made */
    size_t looked; /* of them different ones */
    size_t followed;
    size_t failures;
} crash_counts;

/* ---- crash_history.c */
/* Leaves in `live` whatever it looked at last. */
void crash_history_make(const story_world *story, const story_step *step,
                        const disk_model *base, const disk_log *log,
                        crash_history *history);
void crash_history_clear(crash_history *history);
/* NULL where the image is one that may be, else what is wrong with it. */
const char *crash_judge(const crash_history *history, size_t records,
                        const inspection *found, const crash_file *files,
                        size_t file_count);
size_t crash_list_files(const disk_image *image, const char *root,
                        crash_file *files);

/* ---- crash_follow.c */
/* The next command: NULL, or how it went wrong. */
const char *crash_follow(story_world *story, const story_step *step,
                         const inspection *found);

#endif
