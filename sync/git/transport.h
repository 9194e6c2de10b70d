/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a log host.
 *
 * A log host is an address under which there are two bare repositories,
 * CB_GIT_LOG and CB_GIT_MAIL.  What can differ from one carrier to the next is
 * in `struct cb_transport`: how bytes reach git at the other side.  What is
 * the same for all (negotiation, packs, results of each ref) is in fetch.h and
 * push.h.  A test hands in a transport of its own, most simply one that passes
 * on to another and spoils something on the way.
 *
 * A carrier that libgit2 speaks itself (its own ssh and https) fills in
 * `configure` and leaves the stream functions NULL.
 */
#ifndef CASEBOUND_GIT_TRANSPORT_H
#define CASEBOUND_GIT_TRANSPORT_H

#include "git/repository.h"

#define CB_GIT_LOG  "log.git"
#define CB_GIT_MAIL "mail.git"

typedef enum cb_git_service {
    CB_GIT_SERVICE_FETCH, /* git upload-pack */
    CB_GIT_SERVICE_PUSH,  /* git receive-pack */
} cb_git_service;

typedef struct cb_transport cb_transport;

struct git_remote_callbacks;

struct cb_transport {
    void *context;

    /* For messages: the address, as printable ASCII. */
    const char *name;

    /*
     * Begins one conversation with git at the other side.  CB_UNREACHABLE,
     * CB_PERMISSION, CB_IN_USE.  The stream is ended with disconnect.
     */
    cb_status (*connect)(void *context, const char *repository,
                         cb_git_service service, void **ret_stream,
                         cb_error *reterr_error);

    /* Some bytes; 0 is a proper end.  An end that is a failure says so. */
    cb_status (*read)(void *stream, void *bytes, size_t size, size_t *ret_size,
                      cb_error *reterr_error);

    /* All bytes, or an error. */
    cb_status (*write)(void *stream, cb_span bytes, cb_error *reterr_error);

    void (*disconnect)(void *stream);

    /*
     * Instead of the four above: puts libgit2's URL of a repository into `url`
     * and its questions (credentials, certificates) into `callbacks`.  May be
     * NULL.  `payload` and the other callbacks belong to the caller.
     */
    cb_status (*configure)(void *context, const char *repository,
                           cb_git_service service, cb_buffer *url,
                           struct git_remote_callbacks *callbacks,
                           cb_error *reterr_error);

    /*
     * Asked after a push found a ref locked again and again: takes away locks
     * that a killed process left, where that can be known.  May be NULL.
     */
    void (*recover)(void *context, const char *repository);

    /* Frees context and name; may be NULL. */
    void (*destroy)(cb_transport *transport);
};

/*
 * A transport for an address as a person writes it: a folder, or file:// and
 * an absolute one.  CB_INPUT, naming the accepted forms, for anything else.
 * Nothing is contacted yet.  Closed with cb_transport_close.
 */
CB_NODISCARD cb_status cb_transport_open(const char *address,
                                         cb_transport **ret_transport,
                                         cb_error *reterr_error);

/*
 * Appends the absolute folder that such an address names, for the one who makes
 * the log host there.  CB_INPUT.
 */
CB_NODISCARD cb_status cb_transport_folder(const char *address,
                                           cb_buffer *folder,
                                           cb_error *reterr_error);

/* NULL is allowed.  Not for a transport that a test made on its own stack. */
void cb_transport_close(cb_transport *transport);

/*
 * The refs of a repository at the other side whose names begin with `prefix`,
 * at most count_max (CB_LIMIT); ones of a form that is never written are left
 * out.  Released with cb_git_ref_list_clear.
 */
CB_NODISCARD cb_status cb_transport_list(const cb_transport *transport,
                                         const char *repository,
                                         const char *prefix, size_t count_max,
                                         cb_git_ref_list *ret_list,
                                         cb_error *reterr_error);

#endif
