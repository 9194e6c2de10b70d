/* SPDX-License-Identifier: Apache-2.0 */
/* After a crash somebody starts the machine and goes on. */
#include "fault/crash.h"

#include <stdio.h>
#include <string.h>

static const story_step another_case = {
    .name = "case new",
    .arguments = { "case", "new", "received=2017-03-10", "source=self_victim",
                   "stage=historic", "initiated_by=victim", NULL },
};
static const story_step another_request = {
    .name = "enrol request",
    .arguments = { "enrol", "request", NULL },
};
static const story_step a_sync = { .name = "sync",
                                   .conflicts = true,
                                   .arguments = { "sync", NULL } };
static const story_step a_merge = { .name = "hub merge",
                                    .store = "hub",
                                    .conflicts = true,
                                    .arguments = { "hub", "merge", NULL } };

static const char *run(story_world *story, const story_step *step,
                       const char *store)
{
    static char text[6000];
    story_outcome outcome;
    story_step here = *step;
    here.store = store;
    story_calm(story);
    story_run(story, &here, NULL, &outcome);
    if (story_succeeded(&here, &outcome)) {
        return NULL;
    }
    (void)snprintf(text, sizeof text, "then '%s' of %s ends with %d:\n%s",
                   here.name, store, outcome.exit_code, outcome.err);
    return text;
}

/* They go on the next day, when what a dead git left locked is known to be
 * left over. */
static void let_time_pass(const story_world *story)
{
    static const char *const touch[] = { "-exec", "touch", "-d", "yesterday",
                                         "{}",    "+",     NULL };
    const char *arguments[6 + sizeof touch / sizeof *touch] = {
        "find", story->live, "-name", "*.lock"
    };
    memcpy(arguments + 4, touch, sizeof touch);
    /* Where it fails the exchange does. */
    (void)story_command(arguments);
}

/* A few rounds and everybody is where they should be. */
static const char *exchange(story_world *story)
{
    let_time_pass(story);
    static const char *const devices[] = { "kwame", "judith" };
    const char *problem = NULL;
    for (int round = 0; round < 2 && problem == NULL; round++) {
        for (int i = 0; i < 2 && problem == NULL; i++) {
            problem = run(story, &a_sync, devices[i]);
        }
        if (problem == NULL) {
            problem = run(story, &a_merge, "hub");
        }
    }
    return problem;
}

const char *crash_follow(story_world *story, const story_step *step,
                         const inspection *found)
{
    const bool next = story->next_passphrase;
    const char *problem = NULL;
    story->next_passphrase = found->next_passphrase;
    if (step->again && strcmp(step->name, "passphrase") != 0) {
        story_outcome outcome;
        story_calm(story);
        story_run(story, step, NULL, &outcome);
        /* What was finished is not made twice. */
        if (outcome.exit_code != 0 &&
            !(outcome.exit_code == 1 && found->status == CB_OK)) {
            static char text[6000];
            (void)snprintf(text, sizeof text,
                           "the same command then ends with %d:\n%s",
                           outcome.exit_code, outcome.err);
            problem = text;
        }
    }
    if (problem == NULL) {
        const bool joined = found->joined || strcmp(step->name, "join") == 0 ||
                            strcmp(step->name, "restore") == 0 ||
                            strcmp(step->name, "hub init") == 0;
        problem =
            run(story, joined ? &another_case : &another_request, step->store);
    }
    if (problem == NULL && step->exchanges) {
        problem = exchange(story);
    }
    story->next_passphrase = next;
    return problem;
}
