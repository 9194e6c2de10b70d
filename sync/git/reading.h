/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libgit2 as one long reading of a large repository wants it: nothing is kept,
 * so that memory does not grow with what is read, and objects are not hashed
 * again, for whoever proves content otherwise.  It holds for the process, until
 * the end.
 */
#ifndef CASEBOUND_GIT_READING_H
#define CASEBOUND_GIT_READING_H

#include <stddef.h>

typedef struct cb_git_reading {
    size_t mapped_bytes; /* what was set before */
} cb_git_reading;

/* Between cb_git_begin and cb_git_end. */
void cb_git_reading_begin(cb_git_reading *reading);
void cb_git_reading_end(const cb_git_reading *reading);

#endif
