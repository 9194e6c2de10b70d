/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a crash may leave: the state that was when the command last said
 * something, a later one, or the one that was on its way.
 */
#include "fault/crash.h"

#include "fault/disk_internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Files that somebody reads as a whole: all but those of SQLite and Git, the
 * witness, which may be behind, and what is on its way to its name. */
static bool is_whole(const char *path)
{
    static const char *const others[] = {
        "/casebook.db", "/backup.db", "/restoring.db", ".git/", "/witness",
        ".witness",     ".new",       ".part",         "/log/"
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strstr(path, others[i]) != NULL) {
            return false;
        }
    }
    return true;
}

size_t crash_list_files(const disk_image *image, const char *root,
                        crash_file *files)
{
    size_t count = 0;
    const char *path = disk_image_name(image, 0);
    for (size_t i = 0; path != NULL; path = disk_image_name(image, ++i)) {
        size_t size = 0;
        const char *name = path + strlen(root);
        const unsigned char *bytes = disk_image_file(image, path, &size);
        if (bytes == NULL || !is_whole(name) || count == CRASH_FILES_MAX) {
            continue;
        }
        (void)snprintf(files[count].path, sizeof files[count].path, "%s", name);
        crypto_generichash(files[count].hash, sizeof files[count].hash, bytes,
                           size, NULL, 0);
        files[count].there = true;
        count++;
    }
    return count;
}

static crash_state *add_state(crash_history *history, size_t records)
{
    if (history->count == history->room) {
        history->room = history->room * 2 + 16;
        history->states = disk_memory(history->states,
                                      history->room * sizeof *history->states);
    }
    crash_state *state = &history->states[history->count++];
    memset(state, 0, sizeof *state);
    state->records = records;
    return state;
}

static disk_image *make_kept(disk_model *disk)
{
    const size_t count = disk_promises(disk);
    disk_choice *choices = disk_memory(NULL, count * sizeof *choices);
    for (size_t i = 0; i < count; i++) {
        choices[i] = 1;
    }
    disk_image *image = disk_image_make(disk, choices);
    free(choices);
    return image;
}

static void look_now(const story_world *story, const story_step *step,
                     const disk_image *image, crash_state *state)
{
    char folder[2 * STORY_PATH_BYTES];
    char home[2 * STORY_PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s/%s", story->live, step->store);
    (void)snprintf(home, sizeof home, "%s/home", story->live);
    story_remove(story->live);
    disk_image_write(image, story->live);
    inspect_store(folder, home, story->now_ms, &state->found);
    state->file_count = crash_list_files(image, story->live, state->files);
}

/* Where something may have come to be, or was said to be. */
static bool is_edge(const disk_record *record)
{
    switch ((oplog_kind)record->head.kind) {
    case OPLOG_SAID: return record->head.data_bytes > 1;
    case OPLOG_SYNC:
    case OPLOG_SYNC_FOLDER:
    case OPLOG_EXIT: return true;
    default: return false;
    }
}

void crash_history_make(const story_world *story, const story_step *step,
                        const disk_model *base, const disk_log *log,
                        crash_history *history)
{
    unsigned char before[32] = { 0 };
    *history = (crash_history){ .states = NULL };
    disk_model *disk = disk_copy(base);
    for (size_t i = 0; i <= log->count; i++) {
        if (i > 0) {
            disk_apply(disk, &log->records[i - 1]);
        }
        if (i > 0 && !is_edge(&log->records[i - 1])) {
            continue;
        }
        unsigned char hash[32];
        char part[STORY_PATH_BYTES];
        disk_image *image = make_kept(disk);
        (void)snprintf(part, sizeof part, "/live/%s/", step->store);
        disk_image_hash(image, part, "/live/home/", hash);
        crash_state *state = add_state(history, i);
        const uint32_t kind = i == 0 ? 0 : log->records[i - 1].head.kind;
        if (i > 0 && memcmp(hash, before, sizeof hash) == 0) {
            const size_t records = state->records;
            *state = history->states[history->count - 2];
            state->records = records;
            state->file_count =
                crash_list_files(image, story->live, state->files);
        } else {
            look_now(story, step, image, state);
        }
        state->is_said = kind == OPLOG_SAID || kind == OPLOG_EXIT;
        memcpy(before, hash, sizeof before);
        disk_image_destroy(image);
    }
    disk_destroy(disk);
}

void crash_history_clear(crash_history *history)
{
    free(history->states);
    *history = (crash_history){ .states = NULL };
}

static bool is_state(const crash_state *state, const inspection *found)
{
    return state->found.status == found->status &&
           state->found.restored == found->restored &&
           state->found.next_passphrase == found->next_passphrase &&
           memcmp(state->found.state, found->state, sizeof found->state) == 0;
}

static bool is_file(const crash_state *state, const crash_file *file)
{
    for (size_t i = 0; i < state->file_count; i++) {
        if (strcmp(state->files[i].path, file->path) == 0) {
            return memcmp(state->files[i].hash, file->hash,
                          sizeof file->hash) == 0;
        }
    }
    return !file->there;
}

static const char *judge_files(const crash_history *history, size_t from,
                               size_t to, const crash_file *files,
                               size_t file_count)
{
    static char text[2 * STORY_PATH_BYTES];
    const crash_state *first = &history->states[from];
    crash_file wanted[2 * CRASH_FILES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < file_count; i++) {
        wanted[count++] = files[i];
    }
    /* Also those that were there and are gone. */
    for (size_t i = 0; i < first->file_count; i++) {
        bool there = false;
        for (size_t j = 0; j < file_count; j++) {
            there = there || strcmp(files[j].path, first->files[i].path) == 0;
        }
        if (!there) {
            wanted[count] = first->files[i];
            wanted[count++].there = false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        bool held = false;
        for (size_t j = from; j <= to; j++) {
            held = held || is_file(&history->states[j], &wanted[i]);
        }
        if (!held) {
            (void)snprintf(text, sizeof text, "'%s' %s", wanted[i].path,
                           wanted[i].there ? "holds what it never should"
                                           : "is gone");
            return text;
        }
    }
    return NULL;
}

const char *crash_judge(const crash_history *history, size_t records,
                        const inspection *found, const crash_file *files,
                        size_t file_count)
{
    size_t from = 0;
    size_t to = 0;
    if (found->problem[0] != '\0') {
        return found->problem;
    }
    for (size_t i = 0; i < history->count; i++) {
        if (history->states[i].records <= records &&
            history->states[i].is_said) {
            from = i;
        }
        if (to == 0 && history->states[i].records >= records) {
            to = i;
        }
    }
    to = to == 0 ? history->count - 1 : to;
    for (size_t i = from; i <= to; i++) {
        if (is_state(&history->states[i], found)) {
            return judge_files(history, from, to, files, file_count);
        }
    }
    for (size_t i = 0; i < from; i++) {
        if (is_state(&history->states[i], found)) {
            return "what the command had said is lost";
        }
    }
    return "a state that never was";
}
