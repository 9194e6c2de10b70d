/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder for a text that must not touch a disk: in a file system that is
 * memory (tmpfs or ramfs, as the kernel says and not as its name says), for
 * this user alone.
 *
 * Whose process is gone is told by a lock on the folder, which every process
 * that works in it holds: what such a process left behind can be found again
 * by its label, and is never anybody's who still works on it.
 *
 * 1. Everything in the folder is overwritten before it is removed.
 * 2. A folder is only used while nobody but this user can reach into it.
 */
#ifndef CASEBOUND_CLI_SCRATCH_H
#define CASEBOUND_CLI_SCRATCH_H

#include "cli.h"

#include <casebound/buffer.h>

#define CB_CLI_SCRATCH_PATH_BYTES 512

typedef struct cb_cli_scratch {
    char path[CB_CLI_SCRATCH_PATH_BYTES];
    int folder; /* its descriptor, which holds the lock */
} cb_cli_scratch;

/*
 * Makes one.  The label says what the text is for, on one line and without any
 * of it.  CB_PERMISSION, with another way to give the text, where this machine
 * has no such file system; CB_NO_SPACE, CB_IO.
 */
CB_NODISCARD cb_status cb_cli_scratch_make(const cb_cli_world *world,
                                           const char *label,
                                           cb_cli_scratch *ret_scratch,
                                           cb_error *reterr_error);

/* Takes over one with that label that a process which is gone has left. */
bool cb_cli_scratch_find(const cb_cli_world *world, const char *label,
                         cb_cli_scratch *ret_scratch);

/* A file in it, for this user alone; replaced as a whole. */
CB_NODISCARD cb_status cb_cli_scratch_write(const cb_cli_scratch *scratch,
                                            const char *name, cb_span content,
                                            cb_error *reterr_error);

/*
 * Appends a file of it.  CB_NOT_FOUND without text where there is none,
 * CB_LIMIT, CB_INPUT where it is no plain file in memory, CB_IO.
 */
CB_NODISCARD cb_status cb_cli_scratch_read(const cb_cli_scratch *scratch,
                                           const char *name, cb_buffer *content,
                                           cb_error *reterr_error);

/* Leaves it as it lies, to be found again. */
void cb_cli_scratch_close(cb_cli_scratch *scratch);

/* Overwrites and removes it with all that is in it; false where some stayed. */
bool cb_cli_scratch_wipe(cb_cli_scratch *scratch);

#endif
