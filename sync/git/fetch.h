/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving one ref.
 *
 * What arrives goes into a scratch repository inside the receiving one, which
 * borrows its objects and has one ref: the commit we hold already.  So the
 * negotiation is exact (libgit2's is not where there are several histories),
 * and the scratch repository is also the quarantine: nothing of it can be seen
 * from the receiving repository until it is accepted, and a crash leaves a
 * folder that cb_git_repository_lock removes.
 *
 *     begin -> look at cb_git_fetch_repository -> accept, or not -> end
 */
#ifndef CASEBOUND_GIT_FETCH_H
#define CASEBOUND_GIT_FETCH_H

#include "git/transport.h"

#include <casebound/limits.h>

typedef struct cb_git_fetch cb_git_fetch;

typedef struct cb_git_fetch_request {
    const cb_transport *transport;
    const char *repository; /* CB_GIT_LOG or CB_GIT_MAIL */
    const char *remote_ref;
    /* The commit of this ref that is here already, or NULL. */
    const cb_git_oid *have;
    /* More than this is CB_LIMIT; 0 means the default. */
    size_t bytes_max;
    size_t objects_max;
} cb_git_fetch_request;

/*
 * Receives what is new.  CB_NOT_FOUND without text where the other side has no
 * such ref; CB_UNREACHABLE, CB_PERMISSION, CB_LIMIT.  The repository must stay
 * open until the end.
 */
CB_NODISCARD cb_status cb_git_fetch_begin(cb_git_repository *repository,
                                          const cb_git_fetch_request *request,
                                          cb_git_fetch **ret_fetch,
                                          cb_error *reterr_error);

/* What the other side's ref names.  The object need not be there: ask. */
cb_git_oid cb_git_fetch_tip(const cb_git_fetch *fetch);

/* False where the other side holds what we hold. */
bool cb_git_fetch_is_new(const cb_git_fetch *fetch);

/* Objects that were received. */
size_t cb_git_fetch_object_count(const cb_git_fetch *fetch);

/* The quarantine; borrowed until the end. */
const cb_git_repository *cb_git_fetch_repository(const cb_git_fetch *fetch);

/*
 * Moves the objects into the receiving repository, flushed, and then its ref
 * from `have` to the tip.  Allowed once.  CB_REFUSED where the ref was changed
 * meanwhile; the objects are then there, and harmless.
 */
CB_NODISCARD cb_status cb_git_fetch_accept(cb_git_fetch *fetch,
                                           const char *local_ref,
                                           cb_error *reterr_error);

/* Removes the scratch repository; NULL is allowed. */
void cb_git_fetch_end(cb_git_fetch *fetch);

#endif
