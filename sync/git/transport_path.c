/* SPDX-License-Identifier: Apache-2.0 */
#include "git/transport_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "git/connection.h"
#include "git/process.h"

enum {
    PATH_TEXT_BYTES = 4096,
    LOCK_WAIT_MS = 5000,
    STALE_LOCK_AGE_S = 30,
};

typedef struct path_context {
    char *folder;
    cb_git_words name;
} path_context;

typedef struct path_stream {
    cb_process *process;
    const path_context *context;
} path_stream;

static bool join_path(const path_context *context, const char *repository,
                      char path[PATH_TEXT_BYTES])
{
    int length =
        snprintf(path, PATH_TEXT_BYTES, "%s/%s", context->folder, repository);
    return length > 0 && length < PATH_TEXT_BYTES;
}

static cb_status fail_absent(const path_context *context, int number,
                             cb_error *reterr_error)
{
    const char *name = context->name.text;
    if (number == EACCES || number == EPERM) {
        return cb_error_set(reterr_error, CB_PERMISSION,
                            "'%s' may not be opened", name);
    }
    cb_status status = number == ENOENT
                           ? cb_error_set(reterr_error, CB_UNREACHABLE,
                                          "there is no folder '%s'", name)
                           : cb_error_set(reterr_error, CB_UNREACHABLE,
                                          "'%s' is not a folder", name);
    cb_error_meaning(reterr_error, "the log could not be reached; nothing is "
                                   "lost");
    cb_error_next(reterr_error, "check the address and whether the share is "
                                "mounted");
    return status;
}

/* What git would say in its own words, said in ours where it is common. */
static cb_status check_folder(const path_context *context,
                              const char *repository, cb_git_service service,
                              cb_error *reterr_error)
{
    struct stat status;
    char path[PATH_TEXT_BYTES];
    if (stat(context->folder, &status) != 0) {
        return fail_absent(context, errno, reterr_error);
    }
    if (!S_ISDIR(status.st_mode)) {
        return fail_absent(context, ENOTDIR, reterr_error);
    }
    if (!join_path(context, repository, path)) {
        return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
    }
    size_t length = strlen(path);
    (void)snprintf(path + length, sizeof path - length, "/objects");
    if (stat(path, &status) != 0 && (errno == EACCES || errno == EPERM)) {
        return fail_absent(context, errno, reterr_error);
    }
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        cb_status result =
            cb_error_set(reterr_error, CB_UNREACHABLE, "'%s' holds no log",
                         context->name.text);
        cb_error_meaning(reterr_error,
                         "a log host has a repository '%s' there; nothing is "
                         "lost",
                         repository);
        cb_error_next(reterr_error, "check the address of the log");
        return result;
    }
    if (service == CB_GIT_SERVICE_PUSH &&
        faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0) {
        cb_status result =
            cb_error_set(reterr_error, CB_PERMISSION,
                         "'%s' may not be written to", context->name.text);
        cb_error_meaning(reterr_error, "nothing was sent; nothing is lost");
        cb_error_next(reterr_error,
                      "see who may, or the permissions of the folder");
        return result;
    }
    return CB_OK;
}

/* Busy there is no different from being away: one comes again. */
static cb_status fail_locked(const path_context *context,
                             const cb_error *reason, cb_error *reterr_error)
{
    if (reason->status != CB_IN_USE) {
        return cb_error_set(reterr_error, reason->status, "%s", reason->what);
    }
    cb_status status =
        cb_error_set(reterr_error, CB_UNREACHABLE,
                     "the log at '%s' is being tidied up", context->name.text);
    cb_error_meaning(reterr_error, "nothing was sent; nothing is lost");
    cb_error_next(reterr_error, "try again in a minute");
    return status;
}

static cb_status connect_path(void *context_pointer, const char *repository,
                              cb_git_service service, void **ret_stream,
                              cb_error *reterr_error)
{
    const path_context *context = context_pointer;
    char path[PATH_TEXT_BYTES];
    const char *const fetching[] = { "upload-pack", "--strict", path, NULL };
    const char *const pushing[] = { "receive-pack", path, NULL };
    path_stream *stream = NULL;
    int lock_fd = -1;
    cb_status status = check_folder(context, repository, service, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    bool fits = join_path(context, repository, path);
    CB_ASSERT(fits);
    /* Pruning takes this lock alone; the child keeps it while it works. */
    cb_error reason = { 0 };
    status =
        cb_git_lock_take(path, false, false, LOCK_WAIT_MS, &lock_fd, &reason);
    if (status != CB_OK) {
        return fail_locked(context, &reason, reterr_error);
    }
    stream = calloc(1, sizeof *stream);
    if (!stream) {
        status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    stream->context = context;
    status =
        cb_process_start(service == CB_GIT_SERVICE_PUSH ? pushing : fetching,
                         lock_fd, &stream->process, reterr_error);
    if (status == CB_OK) {
        *ret_stream = stream;
        stream = NULL;
    }
out:
    free(stream);
    if (lock_fd >= 0) {
        (void)close(lock_fd);
    }
    return status;
}

/* The child has gone although the conversation was not over. */
static cb_status fail_ended(path_stream *stream, cb_error *reterr_error)
{
    int code = cb_process_wait(stream->process);
    const char *words = cb_process_words(stream->process);
    cb_status status = cb_git_words_status(words, CB_UNREACHABLE);
    status = cb_error_set(reterr_error, status, "git at '%s' ended with %d: %s",
                          stream->context->name.text, code,
                          *words ? words : "it said nothing");
    cb_error_meaning(reterr_error, "the exchange broke off; what is here is "
                                   "safe and will be sent again");
    return status;
}

static cb_status read_path(void *stream_pointer, void *bytes, size_t size,
                           size_t *ret_size, cb_error *reterr_error)
{
    path_stream *stream = stream_pointer;
    cb_status status =
        cb_process_read(stream->process, bytes, size, ret_size, reterr_error);
    if (status == CB_OK && *ret_size == 0 &&
        cb_process_wait(stream->process) != 0) {
        return fail_ended(stream, reterr_error);
    }
    return status;
}

static cb_status write_path(void *stream_pointer, cb_span bytes,
                            cb_error *reterr_error)
{
    path_stream *stream = stream_pointer;
    cb_status status = cb_process_write(stream->process, bytes, reterr_error);
    /* It stopped listening in order to say why: reading comes next. */
    return status == CB_END ? CB_OK : status;
}

static void disconnect_path(void *stream_pointer)
{
    path_stream *stream = stream_pointer;
    cb_process_destroy(stream->process);
    free(stream);
}

/*
 * A push that was killed leaves the lock of its ref.  Nobody writes through us
 * while we hold the repository's lock alone; somebody who pushes past us holds
 * a ref's lock for an instant, hence the age.
 */
static void recover_path(void *context_pointer, const char *repository)
{
    const path_context *context = context_pointer;
    char path[PATH_TEXT_BYTES];
    int lock_fd = -1;
    if (!join_path(context, repository, path) ||
        cb_git_lock_take(path, true, false, 0, &lock_fd, NULL) != CB_OK ||
        lock_fd < 0) {
        return;
    }
    cb_git_sweep_locks(path, STALE_LOCK_AGE_S);
    (void)close(lock_fd);
}

static void destroy_path(cb_transport *transport)
{
    path_context *context = transport->context;
    if (context) {
        free(context->folder);
    }
    free(context);
    free(transport);
}

cb_status cb_transport_path_create(const char *folder,
                                   cb_transport **ret_transport,
                                   cb_error *reterr_error)
{
    cb_transport *transport = calloc(1, sizeof *transport);
    path_context *context = calloc(1, sizeof *context);
    char *copy = strdup(folder);
    CB_ASSERT(folder[0] == '/');
    if (!transport || !context || !copy) {
        free(transport);
        free(context);
        free(copy);
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    context->folder = copy;
    cb_git_words_append(&context->name, folder, strlen(folder));
    *transport = (cb_transport){
        .context = context,
        .name = context->name.text,
        .connect = connect_path,
        .read = read_path,
        .write = write_path,
        .disconnect = disconnect_path,
        .recover = recover_path,
        .destroy = destroy_path,
    };
    *ret_transport = transport;
    return CB_OK;
}
