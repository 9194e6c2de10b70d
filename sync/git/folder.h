/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing things inside a repository's folder.  Links are removed, never
 * followed; depth and therefore stack are bounded.
 */
#ifndef CASEBOUND_GIT_FOLDER_H
#define CASEBOUND_GIT_FOLDER_H

#include <casebound/buffer.h>

typedef struct cb_folder_entry {
    const char *name;
    bool is_folder;
    int64_t age_s; /* since the last change of its content */
} cb_folder_entry;

/* True: remove this one (a folder with everything in it). */
typedef bool (*cb_folder_choice)(const void *context,
                                 const cb_folder_entry *entry);

/*
 * Offers everything below `path`, at most depth_max folders down, and removes
 * what is chosen.  What cannot be removed stays: this is tidying up, and the
 * next run tries again.
 */
void cb_folder_sweep(const char *path, int depth_max, cb_folder_choice choose,
                     const void *context);

/* Removes a folder and everything in it, at most 16 folders deep. */
void cb_folder_remove(const char *path);

/* Flushes a folder, so that the names in it survive a power cut. */
CB_NODISCARD cb_status cb_folder_flush(const char *path,
                                       cb_error *reterr_error);

#endif
