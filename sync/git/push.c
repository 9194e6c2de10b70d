/* SPDX-License-Identifier: Apache-2.0 */
#include "git/push.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "git/connection.h"

enum {
    ATTEMPTS_MAX = 6,
    FIRST_PAUSE_MS = 40
};

/*
 * What stock git says where a ref's lock is held or the ref moved in between.
 * Asking again tells the two apart: the list of refs is then new.
 */
static bool is_contention(const char *answer)
{
    static const char *const words[] = {
        "failed to update ref",     "failed to lock",  "cannot lock ref",
        "reference already exists", "failed to write",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(answer, words[i])) {
            return true;
        }
    }
    return false;
}

static cb_status fail_refused(const cb_git_connection *connection,
                              cb_error *reterr_error)
{
    cb_status status = cb_error_set(
        reterr_error, cb_git_words_status(connection->words.text, CB_REFUSED),
        "the log at '%s' refused '%s': %s", connection->transport->name,
        connection->ref, connection->answer.text);
    if (connection->words.size > 0) {
        cb_error_meaning(reterr_error, "it said: %s", connection->words.text);
    }
    return status;
}

/* The other side could not take the pack: that is an answer, not a break. */
static cb_status fail_upload(cb_git_connection *connection, int code,
                             cb_error *reterr_error)
{
    const git_error *last = git_error_last();
    if (connection->error.status == CB_OK && last && last->message &&
        strstr(last->message, "unpacking the sent packfile failed")) {
        const char *words = connection->words.text;
        cb_status status =
            cb_error_set(reterr_error, cb_git_words_status(words, CB_REFUSED),
                         "the log at '%s' did not take what was sent for '%s'",
                         connection->transport->name, connection->ref);
        if (*words) {
            cb_error_meaning(reterr_error, "it said: %s", words);
        }
        return status;
    }
    return cb_git_connection_fail(connection, code, reterr_error);
}

/* CB_IN_USE where it is worth asking again. */
static cb_status judge_answer(const cb_git_connection *connection,
                              cb_error *reterr_error)
{
    if (!connection->answered) {
        return cb_error_set(reterr_error, CB_UNREACHABLE,
                            "the log at '%s' did not confirm '%s'",
                            connection->transport->name, connection->ref);
    }
    if (!connection->refused) {
        return CB_OK;
    }
    if (is_contention(connection->answer.text)) {
        return CB_IN_USE;
    }
    return fail_refused(connection, reterr_error);
}

static cb_status upload(cb_git_connection *connection,
                        const cb_git_push_request *request,
                        cb_error *reterr_error)
{
    char refspec[2 * CB_GIT_REF_TEXT_BYTES + 4];
    char *items[] = { refspec };
    git_strarray refspecs = { items, 1 };
    git_push_options options;
    (void)git_push_options_init(&options, GIT_PUSH_OPTIONS_VERSION);
    (void)snprintf(refspec, sizeof refspec, "%s%s:%s",
                   request->replace ? "+" : "", request->local_ref,
                   request->remote_ref);
    options.callbacks = connection->callbacks;

    int code = git_remote_upload(connection->remote, &refspecs, &options);
    if (code < 0) {
        return fail_upload(connection, code, reterr_error);
    }
    return judge_answer(connection, reterr_error);
}

static cb_status attempt(cb_git_repository *repository,
                         const cb_git_push_request *request,
                         const cb_git_oid *local, cb_git_push_result *result,
                         cb_error *reterr_error)
{
    cb_git_connection connection = {
        .transport = request->transport,
        .repository = request->repository,
        .service = CB_GIT_SERVICE_PUSH,
        .ref = request->remote_ref,
    };
    cb_status status =
        cb_git_connection_open(&connection, repository->handle, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    status = cb_git_connection_find(&connection, request->remote_ref,
                                    &result->before, reterr_error);
    result->had_before = status == CB_OK;
    result->already =
        status == CB_OK && cb_git_oid_equal(&result->before, local);
    if (result->already || (status != CB_OK && status != CB_NOT_FOUND)) {
        goto out;
    }
    status = upload(&connection, request, reterr_error);
out:
    result->words = connection.words;
    cb_git_connection_close(&connection);
    return status;
}

static void pause_ms(int ms)
{
    struct timespec pause = {
        .tv_sec = ms / 1000,
        .tv_nsec = (long)(ms % 1000) * 1000000L,
    };
    (void)nanosleep(&pause, NULL);
}

cb_status cb_git_push(cb_git_repository *repository,
                      const cb_git_push_request *request,
                      cb_git_push_result *ret_result, cb_error *reterr_error)
{
    cb_git_push_result result = { 0 };
    cb_git_oid local;
    if (!cb_git_ref_name_valid(request->remote_ref)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the ref's name does not have the accepted form");
    }
    cb_status status =
        cb_git_ref_get(repository, request->local_ref, &local, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    int wait_ms = FIRST_PAUSE_MS;
    for (;;) {
        result.attempts++;
        status = attempt(repository, request, &local, &result, reterr_error);
        if (status != CB_IN_USE || result.attempts >= ATTEMPTS_MAX) {
            break;
        }
        if (result.attempts == ATTEMPTS_MAX - 1 &&
            request->transport->recover) {
            request->transport->recover(request->transport->context,
                                        request->repository);
        }
        pause_ms(wait_ms);
        wait_ms *= 2;
    }
    if (status == CB_IN_USE) {
        status = cb_error_set(reterr_error, CB_UNREACHABLE,
                              "'%s' is being written by somebody else",
                              request->remote_ref);
        cb_error_meaning(reterr_error, "nothing was changed there; nothing is "
                                       "lost");
        cb_error_next(reterr_error, "try again in a minute");
    }
    if (ret_result) {
        *ret_result = result;
    }
    return status;
}
