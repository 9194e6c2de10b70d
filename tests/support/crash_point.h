/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something that is cut short at its nth change of a file through SQLite's own
 * VFS, in a process of its own.
 */
#ifndef CASEBOUND_TESTS_CRASH_POINT_H
#define CASEBOUND_TESTS_CRASH_POINT_H

#include <stdbool.h>

enum crash_point_kind {
    CRASH_POINT_KILL, /* the process is gone before the nth change */
    CRASH_POINT_FULL, /* the disk is full from the nth change on */
};

/* Counted from 1.  True where the action ended before it came to the nth. */
bool crash_point_run(enum crash_point_kind kind, unsigned point,
                     void (*action)(void *context), void *context);

#endif
