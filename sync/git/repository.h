/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bare Git repositories: bytes and refs, and nothing of what they mean.
 *
 * What is true of every repository opened here:
 *
 * 1. No configuration of the machine or of its user has a say: only what this
 *    library wrote into the repository itself.
 * 2. What was written is flushed to the disk before a ref names it.
 * 3. A ref moves by compare-and-swap only: whoever moves it says what it held.
 * 4. What comes out of a repository is input from a stranger.  Sizes are known
 *    before anything is inflated, counts are bounded, and a shape that this
 *    library does not write is CB_DAMAGED.
 *
 * A handle belongs to one thread.
 */
#ifndef CASEBOUND_GIT_REPOSITORY_H
#define CASEBOUND_GIT_REPOSITORY_H

#include <casebound/buffer.h>

#define CB_GIT_OID_BYTES      20
#define CB_GIT_OID_TEXT_BYTES 41
#define CB_GIT_REF_TEXT_BYTES 192

/* Name of a Git object.  Never a base of trust: SHA-1 only finds things. */
typedef struct cb_git_oid {
    uint8_t bytes[CB_GIT_OID_BYTES];
} cb_git_oid;

typedef struct cb_git_ref {
    char name[CB_GIT_REF_TEXT_BYTES];
    cb_git_oid oid;
} cb_git_ref;

/* Sorted by name. */
typedef struct cb_git_ref_list {
    cb_git_ref *items;
    size_t count;
} cb_git_ref_list;

typedef struct cb_git_repository cb_git_repository;

/*
 * Sets up the process: libgit2 reads no configuration but the repository's,
 * flushes what it writes, and a connection that closes early cannot kill the
 * process (SIGPIPE is ignored from here on).  Every begin that succeeded needs
 * its end; they may be nested.
 */
CB_NODISCARD cb_status cb_git_begin(cb_error *reterr_error);
void cb_git_end(void);

bool cb_git_oid_equal(const cb_git_oid *a, const cb_git_oid *b);
void cb_git_oid_format(const cb_git_oid *oid, char text[CB_GIT_OID_TEXT_BYTES]);
CB_NODISCARD bool cb_git_oid_parse(const char *text, cb_git_oid *ret_oid);

/*
 * Makes an empty bare repository whose HEAD names `head_ref`, and opens it.
 * The folder above must exist.  CB_EXISTS where the path is taken,
 * CB_PERMISSION, CB_NO_SPACE.
 */
CB_NODISCARD cb_status cb_git_repository_create(
    const char *path, const char *head_ref, cb_git_repository **ret_repository,
    cb_error *reterr_error);

/*
 * Opens a bare repository of this machine.  Nothing in it is run: no hook, no
 * program named in its configuration.  CB_NOT_FOUND where there is none.
 */
CB_NODISCARD cb_status
cb_git_repository_open(const char *path, cb_git_repository **ret_repository,
                       cb_error *reterr_error);

/* Gives up the lock, if held, and closes; NULL is allowed. */
void cb_git_repository_close(cb_git_repository *repository);

/* Borrowed; absolute. */
const char *cb_git_repository_path(const cb_git_repository *repository);

/*
 * Makes this process the only writer until the repository is closed, waiting
 * at most wait_ms, and removes what a killed writer left behind: lock files,
 * half-written objects and packs, scratch folders of receiving.  CB_IN_USE
 * where somebody else writes.
 */
CB_NODISCARD cb_status cb_git_repository_lock(cb_git_repository *repository,
                                              int wait_ms,
                                              cb_error *reterr_error);

/*
 * A name this library uses for a ref: "refs/" and parts of letters, digits,
 * '.', '-' and '_', accepted by Git, shorter than CB_GIT_REF_TEXT_BYTES.
 */
bool cb_git_ref_name_valid(const char *name);

/*
 * What a ref names.  CB_NOT_FOUND without text where there is none; a ref that
 * points to another ref is CB_DAMAGED.
 */
CB_NODISCARD cb_status cb_git_ref_get(const cb_git_repository *repository,
                                      const char *name, cb_git_oid *ret_oid,
                                      cb_error *reterr_error);

/*
 * Moves a ref from `old` to `new_oid`, durably.  `old` NULL: the ref must not
 * exist yet; `new_oid` NULL: the ref is removed.  CB_REFUSED where it holds
 * something else than `old`, CB_IN_USE where another process is moving it; in
 * both cases nothing was changed.
 */
CB_NODISCARD cb_status cb_git_ref_swap(cb_git_repository *repository,
                                       const char *name,
                                       const cb_git_oid *new_oid,
                                       const cb_git_oid *old,
                                       cb_error *reterr_error);

/*
 * The refs whose names begin with `prefix`.  CB_LIMIT where there are more
 * than count_max.  Released with cb_git_ref_list_clear.
 */
CB_NODISCARD cb_status cb_git_ref_list_read(const cb_git_repository *repository,
                                            const char *prefix,
                                            size_t count_max,
                                            cb_git_ref_list *ret_list,
                                            cb_error *reterr_error);
void cb_git_ref_list_clear(cb_git_ref_list *list);

#endif
