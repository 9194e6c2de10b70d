/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share and nobody else sees: the libgit2 side
 * of the handles, and the one place where its errors become ours.
 */
#ifndef CASEBOUND_GIT_INTERNAL_H
#define CASEBOUND_GIT_INTERNAL_H

#include "git/repository.h"

#include <git2.h>

/* The file whose flock orders writers; see cb_git_repository_lock. */
#define CB_GIT_LOCK_FILE "casebound.lock"

/* Scratch folders of receiving, inside the receiving repository. */
#define CB_GIT_SCRATCH_PREFIX "fetch-"

struct cb_git_repository {
    git_repository *handle;
    git_odb *odb;
    char *path;
    int lock_fd;
};

/*
 * Sets an error from libgit2's last one: "cannot <doing>: <its words>".  The
 * status follows from libgit2's code, class and words, or is `otherwise` where
 * these say nothing.  A full disk is known by errno, which the caller has set
 * to zero before it wrote.  Returns the status.
 */
cb_status cb_git_fail(cb_error *error, int code, cb_status otherwise,
                      const char *format, ...) CB_PRINTF(4, 5);

/* The same for a failed system call, from errno. */
cb_status cb_git_fail_errno(cb_error *error, int number, const char *format,
                            ...) CB_PRINTF(3, 4);

/* memory.c: has libgit2 survive an allocation that fails; libgit2's code. */
int cb_git_set_memory(void);

/* Takes over a handle; on failure the handle is freed. */
CB_NODISCARD cb_status cb_git_repository_wrap(
    git_repository *handle, cb_git_repository **ret_repository,
    cb_error *reterr_error);

/*
 * Takes the flock of a repository's lock file, shared or exclusive, within
 * wait_ms.  With `create` the file is made where absent; without, an absent
 * file gives CB_OK and -1, for a repository that nobody prunes.
 */
CB_NODISCARD cb_status cb_git_lock_take(const char *repository_path,
                                        bool exclusive, bool create,
                                        int wait_ms, int *ret_fd,
                                        cb_error *reterr_error);

/* Removes stale lock files of refs that are older than age_s seconds. */
void cb_git_sweep_locks(const char *repository_path, int age_s);

static inline cb_git_oid cb_git_oid_from(const git_oid *oid)
{
    cb_git_oid result = { { 0 } };
    for (size_t i = 0; i < CB_GIT_OID_BYTES; i++) {
        result.bytes[i] = oid->id[i];
    }
    return result;
}

static inline git_oid cb_git_oid_to(const cb_git_oid *oid)
{
    git_oid result = { { 0 } };
    for (size_t i = 0; i < CB_GIT_OID_BYTES; i++) {
        result.id[i] = oid->bytes[i];
    }
    return result;
}

#endif
