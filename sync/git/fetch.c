/* SPDX-License-Identifier: Apache-2.0 */
#include "git/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <git2/sys/odb_backend.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "git/connection.h"
#include "git/folder.h"
#include "git/object.h"

enum {
    PATH_TEXT_BYTES = 4096,
    /* Up to here objects are kept one by one: a pack for each sync would make
       every later read slower. */
    LOOSE_OBJECTS_MAX = 100,
};

struct cb_git_fetch {
    cb_git_repository *target; /* borrowed */
    cb_git_repository *scratch;
    char path[PATH_TEXT_BYTES]; /* of the scratch folder */
    cb_git_oid tip;
    cb_git_oid have;
    bool has_have;
    bool is_new;
    size_t objects;
};

static bool join_path(char path[PATH_TEXT_BYTES], const char *folder,
                      const char *name)
{
    int length = snprintf(path, PATH_TEXT_BYTES, "%s/%s", folder, name);
    return length > 0 && length < PATH_TEXT_BYTES;
}

static cb_status write_text(const char *folder, const char *name,
                            const char *text, cb_error *reterr_error)
{
    char path[PATH_TEXT_BYTES];
    if (!join_path(path, folder, name)) {
        return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
    }
    FILE *file = fopen(path, "wx");
    if (!file) {
        return cb_git_fail_errno(reterr_error, errno, "make '%s'", path);
    }
    bool written = fputs(text, file) >= 0;
    int number = errno;
    if (fclose(file) != 0) {
        written = false;
        number = errno;
    }
    return written
               ? CB_OK
               : cb_git_fail_errno(reterr_error, number, "write '%s'", path);
}

/* A bare repository of the fewest files that make one. */
static cb_status make_scratch(cb_git_fetch *fetch, cb_error *reterr_error)
{
    static const char *const folders[] = { "objects", "objects/pack",
                                           "objects/info", "refs" };
    char path[PATH_TEXT_BYTES];
    cb_status status = CB_OK;
    if (!join_path(fetch->path, fetch->target->path,
                   CB_GIT_SCRATCH_PREFIX "XXXXXX")) {
        fetch->path[0] = 0;
        return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
    }
    if (!mkdtemp(fetch->path)) {
        status = cb_git_fail_errno(reterr_error, errno, "make a folder in '%s'",
                                   fetch->target->path);
        fetch->path[0] = 0;
        return status;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (!join_path(path, fetch->path, folders[i]) ||
            mkdir(path, 0777) != 0) {
            return cb_git_fail_errno(reterr_error, errno,
                                     "make a folder in "
                                     "'%s'",
                                     fetch->path);
        }
    }
    status =
        write_text(fetch->path, "HEAD", "ref: refs/heads/none\n", reterr_error);
    if (status == CB_OK) {
        /* Relative to our objects, so that no path can break the line. */
        status = write_text(fetch->path, "objects/info/alternates",
                            "../../objects\n", reterr_error);
    }
    return status == CB_OK ? cb_git_repository_open(
                                 fetch->path, &fetch->scratch, reterr_error)
                           : status;
}

static cb_status set_have(cb_git_fetch *fetch, cb_error *reterr_error)
{
    if (!fetch->has_have) {
        return CB_OK;
    }
    if (!cb_git_object_exists(fetch->scratch, &fetch->have)) {
        return cb_error_set(reterr_error, CB_NOT_FOUND,
                            "the commit received last is no longer here");
    }
    return cb_git_ref_swap(fetch->scratch, "refs/have/t", &fetch->have, NULL,
                           reterr_error);
}

static cb_status download(cb_git_fetch *fetch, cb_git_connection *connection,
                          const char *remote_ref, cb_error *reterr_error)
{
    char refspec[2 * CB_GIT_REF_TEXT_BYTES];
    char *items[] = { refspec };
    git_strarray refspecs = { items, 1 };
    git_fetch_options options;
    (void)git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    (void)snprintf(refspec, sizeof refspec, "+%s:refs/have/t", remote_ref);
    options.callbacks = connection->callbacks;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;

    errno = 0;
    int code = git_remote_download(connection->remote, &refspecs, &options);
    if (code < 0) {
        return cb_git_connection_fail(connection, code, reterr_error);
    }
    fetch->objects = connection->objects;
    code = git_odb_refresh(fetch->scratch->odb);
    return code < 0 ? cb_git_fail(reterr_error, code, CB_IO,
                                  "read what was received")
                    : CB_OK;
}

static cb_status receive(cb_git_fetch *fetch,
                         const cb_git_fetch_request *request,
                         cb_error *reterr_error)
{
    cb_git_connection connection = {
        .transport = request->transport,
        .repository = request->repository,
        .service = CB_GIT_SERVICE_FETCH,
        .bytes_max =
            request->bytes_max ? request->bytes_max : CB_GIT_FETCH_BYTES_MAX,
        .objects_max = request->objects_max ? request->objects_max
                                            : CB_GIT_FETCH_OBJECTS_MAX,
    };
    cb_status status = cb_git_connection_open(
        &connection, fetch->scratch->handle, reterr_error);
    if (status == CB_OK) {
        status = cb_git_connection_find(&connection, request->remote_ref,
                                        &fetch->tip, reterr_error);
    }
    if (status == CB_OK) {
        fetch->is_new =
            !fetch->has_have || !cb_git_oid_equal(&fetch->tip, &fetch->have);
    }
    if (status == CB_OK && fetch->is_new) {
        status =
            download(fetch, &connection, request->remote_ref, reterr_error);
    }
    cb_git_connection_close(&connection);
    return status;
}

cb_status cb_git_fetch_begin(cb_git_repository *repository,
                             const cb_git_fetch_request *request,
                             cb_git_fetch **ret_fetch, cb_error *reterr_error)
{
    if (!cb_git_ref_name_valid(request->remote_ref)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the ref's name does not have the accepted form");
    }
    cb_git_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    fetch->target = repository;
    if (request->have) {
        fetch->have = *request->have;
        fetch->has_have = true;
    }
    cb_status status = make_scratch(fetch, reterr_error);
    if (status == CB_OK) {
        status = set_have(fetch, reterr_error);
    }
    if (status == CB_OK) {
        status = receive(fetch, request, reterr_error);
    }
    if (status != CB_OK) {
        cb_git_fetch_end(fetch);
        return status;
    }
    *ret_fetch = fetch;
    return CB_OK;
}

cb_git_oid cb_git_fetch_tip(const cb_git_fetch *fetch)
{
    return fetch->tip;
}

bool cb_git_fetch_is_new(const cb_git_fetch *fetch)
{
    return fetch->is_new;
}

size_t cb_git_fetch_object_count(const cb_git_fetch *fetch)
{
    return fetch->objects;
}

const cb_git_repository *cb_git_fetch_repository(const cb_git_fetch *fetch)
{
    return fetch->scratch;
}

typedef struct copy_context {
    git_odb *source;
    git_odb *target;
    git_oid commits[LOOSE_OBJECTS_MAX];
    size_t commit_count;
} copy_context;

static int copy_object(const copy_context *context, const git_oid *id)
{
    git_odb_object *object = NULL;
    git_oid written;
    int code = git_odb_read(&object, context->source, id);
    if (code == 0) {
        code = git_odb_write(
            &written, context->target, git_odb_object_data(object),
            git_odb_object_size(object), git_odb_object_type(object));
    }
    git_odb_object_free(object);
    return code;
}

static int copy_or_note(const git_oid *id, void *payload)
{
    copy_context *context = payload;
    git_object_t type = GIT_OBJECT_INVALID;
    size_t size = 0;
    int code = git_odb_read_header(&size, &type, context->source, id);
    if (code < 0 || type != GIT_OBJECT_COMMIT) {
        return code < 0 ? code : copy_object(context, id);
    }
    if (context->commit_count == LOOSE_OBJECTS_MAX) {
        return GIT_ERROR;
    }
    context->commits[context->commit_count++] = *id;
    return 0;
}

/* Whether a parent of this commit is still to be copied. */
static int waits_for_parent(const copy_context *context, git_repository *handle,
                            const git_oid *id, bool *ret_waits)
{
    git_commit *commit = NULL;
    int code = git_commit_lookup(&commit, handle, id);
    *ret_waits = false;
    for (unsigned i = 0; code == 0 && i < git_commit_parentcount(commit); i++) {
        for (size_t k = 0; k < context->commit_count; k++) {
            *ret_waits =
                *ret_waits || git_oid_equal(git_commit_parent_id(commit, i),
                                            &context->commits[k]);
        }
    }
    git_commit_free(commit);
    return code;
}

/*
 * Parents first, and all commits after what they name: wherever this is cut
 * off, a commit that is there is there with all its history.
 */
static int copy_commits(copy_context *context, git_repository *handle)
{
    int code = 0;
    bool moved = true;
    while (code == 0 && context->commit_count > 0 && moved) {
        moved = false;
        for (size_t i = 0; code == 0 && i < context->commit_count;) {
            bool waits = false;
            code =
                waits_for_parent(context, handle, &context->commits[i], &waits);
            if (code < 0 || waits) {
                i++;
                continue;
            }
            code = copy_object(context, &context->commits[i]);
            context->commits[i] = context->commits[--context->commit_count];
            moved = true;
        }
    }
    return code == 0 && context->commit_count > 0 ? GIT_ERROR : code;
}

/* Only what the scratch folder holds itself, not what it borrows. */
static int copy_objects(const cb_git_fetch *fetch, const char *objects)
{
    git_odb *own = NULL;
    git_odb_backend *packs = NULL;
    copy_context context = {
        .source = fetch->scratch->odb,
        .target = fetch->target->odb,
    };
    int code = git_odb_new(&own);
    if (code == 0) {
        code = git_odb_backend_pack(&packs, objects);
    }
    if (code == 0) {
        code = git_odb_add_backend(own, packs, 1);
        if (code < 0) {
            packs->free(packs);
        }
    }
    if (code == 0) {
        code = git_odb_foreach(own, copy_or_note, &context);
    }
    if (code == 0) {
        code = copy_commits(&context, fetch->scratch->handle);
    }
    git_odb_free(own);
    return code;
}

/* Moves the files of a kind: the pack before its index, which makes it seen. */
static cb_status move_files(const char *source, const char *target,
                            const char *suffix, cb_error *reterr_error)
{
    cb_status status = CB_OK;
    DIR *folder = opendir(source);
    if (!folder) {
        return cb_git_fail_errno(reterr_error, errno, "open '%s'", source);
    }
    while (status == CB_OK) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): a folder of our own. */
        const struct dirent *item = readdir(folder);
        if (!item) {
            break;
        }
        char from[PATH_TEXT_BYTES];
        char to[PATH_TEXT_BYTES];
        size_t length = strlen(item->d_name);
        size_t tail = strlen(suffix);
        if (length < tail ||
            strcmp(item->d_name + length - tail, suffix) != 0) {
            continue;
        }
        if (!join_path(from, source, item->d_name) ||
            !join_path(to, target, item->d_name)) {
            status =
                cb_error_set(reterr_error, CB_INPUT, "the path is too long");
        } else if (rename(from, to) != 0) {
            status = cb_git_fail_errno(reterr_error, errno, "move '%s'", from);
        }
    }
    (void)closedir(folder);
    return status;
}

static cb_status move_pack(const cb_git_fetch *fetch, cb_error *reterr_error)
{
    char source[PATH_TEXT_BYTES];
    char target[PATH_TEXT_BYTES];
    if (!join_path(source, fetch->path, "objects/pack") ||
        !join_path(target, fetch->target->path, "objects/pack")) {
        return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
    }
    cb_status status = move_files(source, target, ".pack", reterr_error);
    if (status == CB_OK) {
        status = move_files(source, target, ".idx", reterr_error);
    }
    return status == CB_OK ? cb_folder_flush(target, reterr_error) : status;
}

static cb_status keep_objects(const cb_git_fetch *fetch, cb_error *reterr_error)
{
    int code = 0;
    errno = 0;
    if (fetch->objects > LOOSE_OBJECTS_MAX) {
        cb_status status = move_pack(fetch, reterr_error);
        if (status != CB_OK) {
            return status;
        }
    } else {
        char objects[PATH_TEXT_BYTES];
        if (!join_path(objects, fetch->path, "objects")) {
            return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
        }
        code = copy_objects(fetch, objects);
    }
    if (code == 0) {
        code = git_odb_refresh(fetch->target->odb);
    }
    return code < 0 ? cb_git_fail(reterr_error, code, CB_IO,
                                  "keep what was received")
                    : CB_OK;
}

cb_status cb_git_fetch_accept(cb_git_fetch *fetch, const char *local_ref,
                              cb_error *reterr_error)
{
    if (!fetch->is_new) {
        return CB_OK;
    }
    cb_status status = keep_objects(fetch, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    return cb_git_ref_swap(fetch->target, local_ref, &fetch->tip,
                           fetch->has_have ? &fetch->have : NULL, reterr_error);
}

void cb_git_fetch_end(cb_git_fetch *fetch)
{
    if (!fetch) {
        return;
    }
    cb_git_repository_close(fetch->scratch);
    if (fetch->path[0]) {
        cb_folder_remove(fetch->path);
    }
    free(fetch);
}
