/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that the library does to, or learns from, the world outside its
 * arguments: the clock, randomness, files, the log.
 *
 * One structure of functions is handed in when a store is opened and borrowed
 * for as long as it is open.  The command uses cb_environment_system(); tests,
 * crash enumerators and simulators hand in their own.  SQLite's files go
 * through the SQLite VFS named by `base_vfs`, below our encrypting one.
 *
 * A log event is a name such as "entry.append", never prose and never content.
 */
#ifndef CASEBOUND_ENVIRONMENT_H
#define CASEBOUND_ENVIRONMENT_H

#include <casebound/buffer.h>

#define CB_HOLDER_PROGRAM_BYTES 64

/* A process that holds a lock on a file. */
typedef struct cb_holder {
    int64_t process; /* its id; 0 where the system does not tell it */
    /* Its program and the first word it was given, where that is a plain word
     * ("casebound sync"); never what follows, which may be case text. */
    char program[CB_HOLDER_PROGRAM_BYTES];
} cb_holder;

/* What memory can be had; UINT64_MAX where that is not known. */
typedef struct cb_memory {
    uint64_t free_bytes;      /* without anything having to be swapped out */
    uint64_t reachable_bytes; /* at the very most */
} cb_memory;

typedef struct cb_environment cb_environment;

typedef enum cb_file_kind {
    CB_FILE_REGULAR,
    CB_FILE_FOLDER,
    CB_FILE_LINK,
    CB_FILE_OTHER
} cb_file_kind;

/* What a path is, without following a final link. */
typedef struct cb_file_facts {
    cb_file_kind kind;
    unsigned permissions; /* the nine bits of owner, group and others */
    uint64_t size;        /* bytes */
    uint64_t free_bytes;  /* of the disk that holds it, for this user */
} cb_file_facts;

/* One name of a folder; anything but CB_OK ends the listing with it. */
typedef cb_status (*cb_name_callback)(void *context, const char *name,
                                      cb_error *reterr_error);

struct cb_environment {
    void *context;

    /* Milliseconds since 1970 UTC; may be wrong, may go backwards. */
    int64_t (*now_ms)(void *context);

    /* Fills with bytes fit for keys; cannot fail. */
    void (*random)(void *context, void *bytes, size_t size);

    /*
     * Appends the whole of a regular file, opened without following a final
     * link.  CB_NOT_FOUND without text where there is none, CB_LIMIT where it
     * is larger than the buffer's maximum, CB_PERMISSION, CB_IO.
     */
    cb_status (*read_file)(void *context, const char *path, cb_buffer *content,
                           cb_error *reterr_error);

    /*
     * Replaces a file as a whole, durably: written beside it with mode 0600,
     * flushed, renamed over it, folder flushed.  After a failure or a crash
     * the path holds the old content or the new, never a mixture.
     * CB_NO_SPACE, CB_PERMISSION, CB_IO.
     */
    cb_status (*replace_file)(void *context, const char *path, cb_span content,
                              cb_error *reterr_error);

    /*
     * Writes over a part of a regular file, opened without following a final
     * link.  The file has to reach as far already: it neither grows nor is it
     * made.  Another process sees the change at once; a crash of the machine
     * may leave the old bytes, the new, or some of each, until a call with
     * `flush` has returned, which makes this and earlier ones durable.
     * CB_NOT_FOUND without text where there is none or it is too short,
     * CB_PERMISSION, CB_NO_SPACE, CB_IO.
     */
    cb_status (*mark_file)(void *context, const char *path, uint64_t offset,
                           cb_span content, bool flush, cb_error *reterr_error);

    /* Makes one folder with mode 0700 and flushes its parent.  CB_EXISTS. */
    cb_status (*make_folder)(void *context, const char *path,
                             cb_error *reterr_error);

    /* Removes one file; CB_OK also where there was none. */
    cb_status (*remove_file)(void *context, const char *path,
                             cb_error *reterr_error);

    /*
     * Gives a file another name, durably, in place of whatever has that name;
     * the folders are flushed.  After a failure or a crash `to` is the one file
     * or the other.  CB_NOT_FOUND, CB_NO_SPACE, CB_PERMISSION, CB_IO.
     */
    cb_status (*move_file)(void *context, const char *from, const char *to,
                           cb_error *reterr_error);

    /* May be NULL, and then nothing is known. */
    void (*find_memory)(void *context, cb_memory *ret_memory);

    /*
     * Which other process holds a lock on any of `size` bytes of a file, a
     * writer's before a reader's.  A process of another namespace or machine
     * is there without an id.  Leaves the locks of this process alone.
     * CB_NOT_FOUND without text where there is none, or no such file.  May be
     * NULL, and then nothing is known.
     */
    cb_status (*find_holder)(void *context, const char *path, int64_t start,
                             int64_t size, cb_holder *ret_holder);

    /* CB_NOT_FOUND without text where there is none, CB_PERMISSION, CB_IO. */
    cb_status (*look_at)(void *context, const char *path,
                         cb_file_facts *ret_facts, cb_error *reterr_error);

    /*
     * Calls once for each name but "." and "..", in no order.  CB_NOT_FOUND,
     * CB_PERMISSION, CB_IO.
     */
    cb_status (*list_folder)(void *context, const char *path,
                             cb_name_callback callback, void *callback_context,
                             cb_error *reterr_error);

    /* Debug only; may be NULL. */
    void (*log)(void *context, const char *event, cb_span detail);

    /* SQLite VFS to stand on; NULL means "unix-excl". */
    const char *base_vfs;
};

/* The real machine.  A constant; needs no release. */
CB_PUBLIC const cb_environment *cb_environment_system(void);

#endif
