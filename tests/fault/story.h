/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world in which the real command runs: a hub, two facilitators and a
 * log between them, and what they do one after the other.
 *
 * The world's folder, most often in memory:
 *
 *     live/       what is recorded and made to fail: hub, kwame, judith, log,
 *                 home, and the files that are carried from one to the other
 *     state/      how often each command line ran (see tests/cli/world.c)
 *     phrase, phrases, control, log, out, err
 */
#ifndef CASEBOUND_TESTS_STORY_H
#define CASEBOUND_TESTS_STORY_H

#include "fault/oplog.h"

#include <sys/types.h>

#define STORY_PATH_BYTES      256
#define STORY_ARGUMENTS_MAX   20
#define STORY_WORD_BYTES      64
#define STORY_PASSPHRASE      "lantern copper seven meadow"
#define STORY_NEXT_PASSPHRASE "meadow seven copper lantern"

typedef struct story_step {
    const char *name;  /* of the command; with `checked` in every report */
    const char *store; /* the folder of the store below live */
    const char *arguments[STORY_ARGUMENTS_MAX];
    const char *save; /* first word of the output is kept under this name */
    bool checked;     /* put to the test, not only done */
    bool again;       /* after a crash the same command finishes it */
    bool exchanges;   /* with the log */
    bool conflicts;   /* exit code 3 is a success, too */
} story_step;

extern const story_step story_steps[];
extern const size_t story_step_count;

typedef struct story_value {
    char name[STORY_WORD_BYTES];
    char value[STORY_WORD_BYTES];
} story_value;

typedef struct story {
    char folder[STORY_PATH_BYTES]; /* of the world */
    char live[STORY_PATH_BYTES];
    const char *program;    /* the command of tests/cli/world.c */
    const char *interposer; /* the library that stands before it; or NULL */
    oplog_control *control; /* shared with what runs */
    story_value values[16];
    size_t value_count;
    int64_t now_ms;
    bool next_passphrase; /* kwame's is the second one */
} story_world;

typedef struct story_outcome {
    int exit_code; /* -1: ended by a signal, or by nobody in time */
    char out[4096];
    char err[4096];
} story_outcome;

/* Ends the program where the world cannot be made. */
void story_begin(story_world *story, const char *program,
                 const char *interposer);
void story_end(story_world *story);

/* Runs a step under what `control` asks for; with `log`, recorded in it. */
void story_run(story_world *story, const story_step *step, const char *log,
               story_outcome *outcome);
/* The outcome is what the step should have had. */
bool story_succeeded(const story_step *step, const story_outcome *outcome);
/* Remembers what later steps refer to, and what time it is. */
void story_note(story_world *story, const story_step *step,
                const story_outcome *outcome);
/* The control as it is where nothing fails and nothing has been counted. */
void story_calm(story_world *story);

/* Any other program; returns its exit code. */
int story_command(const char *const *arguments);
void story_remove(const char *path);
void story_copy(const char *from, const char *to);

#endif
