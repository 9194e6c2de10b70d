/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One conversation of libgit2 with a log host over a cb_transport.
 *
 * libgit2's callbacks can only return a number; the first failure of the
 * carrier is therefore kept here with its words, and what libgit2 makes of it
 * later is not asked.  What the other side says (progress of git, the words of
 * a hook) is kept up to a bound.
 */
#ifndef CASEBOUND_GIT_CONNECTION_H
#define CASEBOUND_GIT_CONNECTION_H

#include "git/internal.h"
#include "git/process.h"
#include "git/transport.h"

typedef struct cb_git_connection {
    const cb_transport *transport;
    const char *repository;
    cb_git_service service;
    git_remote *remote;
    git_remote_callbacks callbacks;
    cb_error error;
    cb_git_words words;

    /* Receiving: more than this ends it.  0: no bound. */
    size_t bytes_max;
    size_t objects_max;
    size_t objects;
    bool over_limit;

    /* Sending: the ref, and what the other side answered about it. */
    const char *ref;
    bool answered;
    bool refused;
    cb_git_words answer;
} cb_git_connection;

/*
 * Connects and reads the list of refs.  `repository_handle` is what objects
 * come from or go to, or NULL where none will.  The caller has filled in
 * transport, repository, service and bounds; the connection must stay where it
 * is until it is closed.  Closing is right also after a failure.
 */
CB_NODISCARD cb_status cb_git_connection_open(cb_git_connection *connection,
                                              git_repository *repository_handle,
                                              cb_error *reterr_error);
void cb_git_connection_close(cb_git_connection *connection);

/* What the other side's ref names; CB_NOT_FOUND without text. */
CB_NODISCARD cb_status cb_git_connection_find(cb_git_connection *connection,
                                              const char *name,
                                              cb_git_oid *ret_oid,
                                              cb_error *reterr_error);

/* The error of a libgit2 call on this connection that returned `code`. */
cb_status cb_git_connection_fail(cb_git_connection *connection, int code,
                                 cb_error *reterr_error);

/* The status that git's own words speak of, or `otherwise`. */
cb_status cb_git_words_status(const char *words, cb_status otherwise);

#endif
