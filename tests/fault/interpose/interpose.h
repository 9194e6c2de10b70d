/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD that stands between a program and the C library: it
 * records what the program does to files and makes calls fail.  SQLite,
 * libgit2, stock git and the command reach the C library through the same
 * table of names, so all of them are covered.
 *
 * Nothing here allocates: an allocation may be what is made to fail.
 */
#ifndef CASEBOUND_TESTS_INTERPOSE_H
#define CASEBOUND_TESTS_INTERPOSE_H

#include "fault/oplog.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#define INTERPOSE_PATH_BYTES 1024

/* The next definition of a name, which is the C library's. */
void *interpose_real(const char *name);

/* ---- record.c */
/* Begins when main does: what happens before is the loader's affair. */
void interpose_begin(void);
void interpose_end(int exit_code);
bool interpose_is_armed(void);
oplog_control *interpose_control(void);

/* Whether a name lies below the root; its full path. */
bool interpose_path(int folder, const char *name,
                    char path[INTERPOSE_PATH_BYTES]);
/* The same for what is open, with its inode. */
bool interpose_file(int file, char path[INTERPOSE_PATH_BYTES],
                    struct stat *state);

void interpose_record(oplog_kind kind, uint64_t inode, uint64_t offset,
                      const char *path, const char *other, const void *data,
                      size_t size);

/* What is to become of the call at hand: 0, or a number for errno. */
typedef enum interpose_fate {
    INTERPOSE_GROWS, /* needs room: fails on a full disk */
    INTERPOSE_FLUSHES,
    INTERPOSE_SHRINKS /* a full disk does not hinder it */
} interpose_need;

int interpose_fate(interpose_need need);
/* As a write: `size` becomes what is let through where it is to be short. */
int interpose_write_fate(size_t *size);

/* ---- memory.c */
bool interpose_denies_memory(void);

#endif
