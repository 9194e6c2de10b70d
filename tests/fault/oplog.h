/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the interposed library and the programs that use it have in common: a
 * page of shared memory that says what is to fail, and a log of everything that
 * a run of the command and of the programs it starts did to the files below a
 * folder, in order.
 *
 * A record is written by one append, after its call has returned and before the
 * caller gets to know; so what a process did because it saw another's deed
 * stands after it.
 */
#ifndef CASEBOUND_TESTS_OPLOG_H
#define CASEBOUND_TESTS_OPLOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names of the variables by which a process learns where these are. */
#define OPLOG_CONTROL_VARIABLE "CASEBOUND_FAULT_CONTROL"
#define OPLOG_LOG_VARIABLE     "CASEBOUND_FAULT_LOG"
#define OPLOG_ROOT_VARIABLE    "CASEBOUND_FAULT_ROOT"

typedef enum oplog_kind {
    OPLOG_CREATE = 1, /* a new file of `inode` at `path`, `offset` its mode */
    OPLOG_WRITE,      /* `data` at `offset` */
    OPLOG_TRUNCATE,   /* to `offset` */
    OPLOG_MODE,       /* permissions `offset` */
    OPLOG_RENAME,     /* `path` becomes `other` */
    OPLOG_LINK,       /* `inode` is at `path`, too */
    OPLOG_UNLINK,
    OPLOG_MKDIR,
    OPLOG_RMDIR,
    OPLOG_SYMLINK,     /* at `path`, to `other` */
    OPLOG_SYNC,        /* the file of `inode` */
    OPLOG_SYNC_FOLDER, /* `path` */
    OPLOG_SYNC_FAILED, /* what was written since the last sync is gone */
    OPLOG_SAID,        /* `data` on the output or the error stream */
    OPLOG_EXIT         /* main returned `offset` */
} oplog_kind;

/* Followed by path, other path and data. */
typedef struct oplog_head {
    uint32_t size; /* of all of it */
    uint32_t kind;
    int32_t process;
    uint32_t path_bytes;
    uint32_t other_bytes;
    uint32_t data_bytes;
    uint64_t inode;
    uint64_t offset;
} oplog_head;

typedef enum oplog_mode {
    OPLOG_ONCE,    /* one call fails */
    OPLOG_FOREVER, /* that one and all that come after it */
    OPLOG_SHORT    /* half of it is written, without an error */
} oplog_mode;

/* Calls are counted from 1; 0 is never. */
typedef struct oplog_control {
    _Atomic uint64_t calls;
    _Atomic uint64_t allocations;
    _Atomic uint64_t fired;
    _Atomic int32_t first_process; /* whose allocations count */
    int32_t call_errno;
    uint64_t call_at;
    uint64_t allocation_at;
    uint32_t call_mode;
    uint32_t allocation_mode;
} oplog_control;

#endif
