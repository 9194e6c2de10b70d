/* SPDX-License-Identifier: Apache-2.0 */
#include "git/connection.h"

#include <errno.h>
#include <git2/sys/transport.h>
#include <stdlib.h>
#include <string.h>

/* The stream that libgit2 sees; `parent` must be first. */
typedef struct smart_stream {
    git_smart_subtransport_stream parent;
    cb_git_connection *connection;
    void *stream;
} smart_stream;

/* `parent` must be first here too. */
typedef struct smart_carrier {
    git_smart_subtransport parent;
    cb_git_connection *connection;
    smart_stream *current;
} smart_carrier;

static int give_up(void)
{
    git_error_set_str(GIT_ERROR_NET, "the carrier failed");
    return GIT_ERROR;
}

static int read_stream(git_smart_subtransport_stream *parent, char *bytes,
                       size_t size, size_t *ret_size)
{
    smart_stream *stream = (smart_stream *)parent;
    cb_git_connection *connection = stream->connection;
    *ret_size = 0;
    cb_status status = connection->transport->read(
        stream->stream, bytes, size, ret_size, &connection->error);
    return status == CB_OK ? 0 : give_up();
}

static int write_stream(git_smart_subtransport_stream *parent,
                        const char *bytes, size_t size)
{
    smart_stream *stream = (smart_stream *)parent;
    cb_git_connection *connection = stream->connection;
    cb_span span = { (const uint8_t *)bytes, size };
    cb_status status =
        connection->transport->write(stream->stream, span, &connection->error);
    return status == CB_OK ? 0 : give_up();
}

static void free_stream(git_smart_subtransport_stream *parent)
{
    smart_stream *stream = (smart_stream *)parent;
    smart_carrier *carrier = (smart_carrier *)parent->subtransport;
    stream->connection->transport->disconnect(stream->stream);
    if (carrier->current == stream) {
        carrier->current = NULL;
    }
    free(stream);
}

static int begin_stream(smart_carrier *carrier)
{
    cb_git_connection *connection = carrier->connection;
    smart_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        (void)cb_error_set(&connection->error, CB_NO_MEMORY, "out of memory");
        return give_up();
    }
    cb_status status = connection->transport->connect(
        connection->transport->context, connection->repository,
        connection->service, &stream->stream, &connection->error);
    if (status != CB_OK) {
        free(stream);
        return give_up();
    }
    stream->parent.subtransport = &carrier->parent;
    stream->parent.read = read_stream;
    stream->parent.write = write_stream;
    stream->parent.free = free_stream;
    stream->connection = connection;
    carrier->current = stream;
    return 0;
}

/*
 * libgit2 asks for the list of refs first and for the service afterwards, and
 * expects the same stream.  It also asks for the upload service when it says
 * goodbye, whatever the conversation was.
 */
static int choose_stream(git_smart_subtransport_stream **ret_stream,
                         git_smart_subtransport *parent, const char *url,
                         git_smart_service_t action)
{
    smart_carrier *carrier = (smart_carrier *)parent;
    (void)url;
    bool begins = action == GIT_SERVICE_UPLOADPACK_LS ||
                  action == GIT_SERVICE_RECEIVEPACK_LS;
    if (begins && !carrier->current && begin_stream(carrier) != 0) {
        return GIT_ERROR;
    }
    if (!carrier->current) {
        return give_up();
    }
    *ret_stream = &carrier->current->parent;
    return 0;
}

static int close_carrier(git_smart_subtransport *parent)
{
    (void)parent;
    return 0;
}

static void free_carrier(git_smart_subtransport *parent)
{
    smart_carrier *carrier = (smart_carrier *)parent;
    if (carrier->current) {
        free_stream(&carrier->current->parent);
    }
    free(carrier);
}

static int make_carrier(git_smart_subtransport **ret_carrier,
                        git_transport *owner, void *parameter)
{
    (void)owner;
    smart_carrier *carrier = calloc(1, sizeof *carrier);
    if (!carrier) {
        git_error_set_oom();
        return GIT_ERROR;
    }
    carrier->connection = parameter;
    carrier->parent.action = choose_stream;
    carrier->parent.close = close_carrier;
    carrier->parent.free = free_carrier;
    *ret_carrier = &carrier->parent;
    return 0;
}

/* Asked for by each remote of ours alone: nothing is registered globally. */
static int make_transport(git_transport **ret_transport, git_remote *owner,
                          void *payload)
{
    git_smart_subtransport_definition definition = {
        .callback = make_carrier,
        .rpc = 0,
        .param = payload,
    };
    return git_transport_smart(ret_transport, owner, &definition);
}

static int hear_words(const char *text, int size, void *payload)
{
    cb_git_connection *connection = payload;
    if (size > 0) {
        cb_git_words_append(&connection->words, text, (size_t)size);
    }
    return 0;
}

static int watch_progress(const git_indexer_progress *progress, void *payload)
{
    cb_git_connection *connection = payload;
    connection->objects = progress->total_objects;
    connection->over_limit =
        (connection->bytes_max > 0 &&
         progress->received_bytes > connection->bytes_max) ||
        (connection->objects_max > 0 &&
         progress->total_objects > connection->objects_max);
    return connection->over_limit ? GIT_EUSER : 0;
}

static int hear_answer(const char *ref, const char *refusal, void *payload)
{
    cb_git_connection *connection = payload;
    if (!connection->ref || strcmp(ref, connection->ref) != 0) {
        return 0;
    }
    connection->answered = true;
    if (refusal) {
        connection->refused = true;
        cb_git_words_append(&connection->answer, refusal, strlen(refusal));
    }
    return 0;
}

cb_status cb_git_words_status(const char *words, cb_status otherwise)
{
    static const struct {
        const char *words;
        cb_status status;
    } rows[] = {
        { "No space left on device", CB_NO_SPACE },
        { "Disk quota exceeded", CB_NO_SPACE },
        { "dubious ownership", CB_PERMISSION },
        { "Permission denied", CB_PERMISSION },
        { "insufficient permission", CB_PERMISSION },
        { "Read-only file system", CB_PERMISSION },
        { "does not appear to be a git repository", CB_UNREACHABLE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strstr(words, rows[i].words)) {
            return rows[i].status;
        }
    }
    return otherwise;
}

cb_status cb_git_connection_fail(cb_git_connection *connection, int code,
                                 cb_error *reterr_error)
{
    int number = errno;
    const git_error *last = git_error_last();
    if (connection->error.status != CB_OK) {
        if (reterr_error && reterr_error->status == CB_OK) {
            *reterr_error = connection->error;
        }
        return connection->error.status;
    }
    if (connection->service == CB_GIT_SERVICE_FETCH &&
        (number == ENOSPC || number == EDQUOT)) {
        return cb_git_fail_errno(reterr_error, number,
                                 "keep what the log sends");
    }
    if (connection->over_limit) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "the log at '%s' sends more than is allowed",
                            connection->transport->name);
    }
    if (code == GIT_ENONFASTFORWARD) {
        return cb_error_set(reterr_error, CB_REFUSED,
                            "the log at '%s' holds something else in '%s'",
                            connection->transport->name,
                            connection->ref ? connection->ref : "a ref");
    }
    if (last && last->klass == GIT_ERROR_NOMEMORY) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    /* While receiving, what the other side says is progress; the fault is told
       by libgit2.  While sending, the other side knows better. */
    cb_git_words reason = { 0 };
    if (connection->service == CB_GIT_SERVICE_PUSH) {
        reason = connection->words;
    }
    if (reason.size == 0 && last && last->message) {
        cb_git_words_append(&reason, last->message, strlen(last->message));
    }
    return cb_error_set(reterr_error,
                        cb_git_words_status(reason.text, CB_UNREACHABLE),
                        "the exchange with the log at '%s' broke off: %s",
                        connection->transport->name, reason.text);
}

/*
 * No setting may turn the address into another.  (And looking for one costs
 * memory that libgit2 1.5 never gives back, some 20 kB for each setting.)
 */
static int begin_remote(cb_git_connection *connection,
                        git_repository *repository_handle, const char *url)
{
    git_remote_create_options creation;
    git_remote_connect_options options;
    (void)git_remote_create_options_init(&creation,
                                         GIT_REMOTE_CREATE_OPTIONS_VERSION);
    (void)git_remote_connect_options_init(&options,
                                          GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    creation.repository = repository_handle;
    creation.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF |
                     GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
    options.callbacks = connection->callbacks;
    int code = git_remote_create_with_opts(&connection->remote, url, &creation);
    if (code < 0) {
        return code;
    }
    return git_remote_connect_ext(connection->remote,
                                  connection->service == CB_GIT_SERVICE_PUSH
                                      ? GIT_DIRECTION_PUSH
                                      : GIT_DIRECTION_FETCH,
                                  &options);
}

cb_status cb_git_connection_open(cb_git_connection *connection,
                                 git_repository *repository_handle,
                                 cb_error *reterr_error)
{
    const cb_transport *transport = connection->transport;
    cb_buffer url;
    cb_status status = CB_OK;
    int code = 0;

    cb_buffer_init(&url, 4096);
    (void)git_remote_init_callbacks(&connection->callbacks,
                                    GIT_REMOTE_CALLBACKS_VERSION);
    connection->callbacks.payload = connection;
    connection->callbacks.sideband_progress = hear_words;
    connection->callbacks.transfer_progress = watch_progress;
    connection->callbacks.push_update_reference = hear_answer;
    if (transport->configure) {
        status = transport->configure(
            transport->context, connection->repository, connection->service,
            &url, &connection->callbacks, reterr_error);
    } else {
        connection->callbacks.transport = make_transport;
        /* Only a label: make_transport asks nobody for it. */
        cb_buffer_append_format(&url, "file:///%s", connection->repository);
    }
    if (status == CB_OK) {
        status = cb_buffer_check(&url, reterr_error);
    }
    if (status != CB_OK) {
        goto out;
    }
    code = begin_remote(connection, repository_handle, cb_buffer_text(&url));
    if (code < 0) {
        status = cb_git_connection_fail(connection, code, reterr_error);
    }
out:
    cb_buffer_clear(&url);
    return status;
}

void cb_git_connection_close(cb_git_connection *connection)
{
    if (connection->remote) {
        (void)git_remote_disconnect(connection->remote);
    }
    git_remote_free(connection->remote);
    connection->remote = NULL;
}

cb_status cb_git_connection_find(cb_git_connection *connection,
                                 const char *name, cb_git_oid *ret_oid,
                                 cb_error *reterr_error)
{
    const git_remote_head **heads = NULL;
    size_t count = 0;
    int code = git_remote_ls(&heads, &count, connection->remote);
    if (code < 0) {
        return cb_git_connection_fail(connection, code, reterr_error);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(heads[i]->name, name) == 0) {
            *ret_oid = cb_git_oid_from(&heads[i]->oid);
            return CB_OK;
        }
    }
    return CB_NOT_FOUND;
}
