/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending one ref.
 *
 * One ref for each push: what the other side answers is then about this ref
 * and nothing else.  Only its explicit "ok" counts; libgit2's own success says
 * no more than that the conversation ended well.
 */
#ifndef CASEBOUND_GIT_PUSH_H
#define CASEBOUND_GIT_PUSH_H

#include "git/process.h"
#include "git/transport.h"

typedef struct cb_git_push_request {
    const cb_transport *transport;
    const char *repository; /* CB_GIT_LOG or CB_GIT_MAIL */
    const char *local_ref;
    const char *remote_ref;
    /* True: what is there is replaced, whatever it is (the mailbox). */
    bool replace;
} cb_git_push_request;

typedef struct cb_git_push_result {
    bool already;    /* the other side held it before */
    bool had_before; /* the ref was there before, and named `before` */
    cb_git_oid before;
    int attempts;
    cb_git_words words; /* what git and the hook said, fit for a terminal */
} cb_git_push_result;

/*
 * CB_OK: the other side has confirmed that its ref names our commit.
 * CB_REFUSED: it holds something that we do not continue, or its hook said no
 * (the words of the hook are the error's meaning); nothing was changed there.
 * CB_UNREACHABLE: not reached, broken off, busy, or not confirmed; sending it
 * again is right.  CB_NO_SPACE, CB_PERMISSION: of the other side.  CB_NOT_FOUND
 * where there is no local ref.  A ref that somebody else holds locked is tried
 * again a few times, within about two seconds.
 *
 * ret_result may be NULL; it is filled in also where the push was refused.
 */
CB_NODISCARD cb_status cb_git_push(cb_git_repository *repository,
                                   const cb_git_push_request *request,
                                   cb_git_push_result *ret_result,
                                   cb_error *reterr_error);

#endif
