/* SPDX-License-Identifier: Apache-2.0 */
#include "git/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "git/internal.h"
#include "git/ssh_signature.h"

static int compare_files(const void *a, const void *b)
{
    const cb_git_file *const *left = a;
    const cb_git_file *const *right = b;
    return strcmp((*left)->path, (*right)->path);
}

/* Every path of the accepted form, and none of them twice. */
static cb_status check_files(const cb_git_commit_plan *plan,
                             cb_error *reterr_error)
{
    if (plan->file_count == 0 || plan->file_count > CB_GIT_FILES_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "a commit changes between 1 and %d files",
                            CB_GIT_FILES_MAX);
    }
    const cb_git_file **sorted =
        calloc(plan->file_count, sizeof(const cb_git_file *));
    if (!sorted) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status = CB_OK;
    for (size_t i = 0; i < plan->file_count; i++) {
        const cb_git_file *file = &plan->files[i];
        sorted[i] = file;
        if (!cb_git_path_valid(file->path) ||
            (file->remove && !plan->keep_tree)) {
            status = cb_error_set(reterr_error, CB_INPUT,
                                  "'%s' is not a path that a commit may change",
                                  file->path);
            goto out;
        }
    }
    qsort(sorted, plan->file_count, sizeof(const cb_git_file *), compare_files);
    for (size_t i = 1; i < plan->file_count; i++) {
        if (strcmp(sorted[i - 1]->path, sorted[i]->path) == 0) {
            status = cb_error_set(reterr_error, CB_INPUT, "'%s' is there twice",
                                  sorted[i]->path);
            goto out;
        }
    }
out:
    free(sorted);
    return status;
}

static cb_status check_plan(const cb_git_commit_plan *plan,
                            cb_error *reterr_error)
{
    size_t length = strlen(plan->message);
    CB_ASSERT(cb_secret_size(plan->secret_key) == 64);
    if (length == 0 || length > CB_GIT_MESSAGE_BYTES_MAX ||
        plan->message[length - 1] != '\n') {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the message does not have the accepted form");
    }
    for (size_t i = 0; i < length; i++) {
        char c = plan->message[i];
        if (c != '\n' && (c < 0x20 || c > 0x7e)) {
            return cb_error_set(reterr_error, CB_INPUT,
                                "the message is not printable ASCII");
        }
    }
    if (plan->position > 1000000000 || (plan->keep_tree && !plan->parent)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the commit's place does not have the accepted "
                            "form");
    }
    return check_files(plan, reterr_error);
}

/* Writes the blobs and lists what happens to the tree. */
static int write_blobs(const cb_git_repository *repository,
                       const cb_git_commit_plan *plan, git_tree_update *updates)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        const cb_git_file *file = &plan->files[i];
        git_tree_update *update = &updates[i];
        update->path = file->path;
        update->action =
            file->remove ? GIT_TREE_UPDATE_REMOVE : GIT_TREE_UPDATE_UPSERT;
        update->filemode = GIT_FILEMODE_BLOB;
        if (file->remove) {
            continue;
        }
        /* libgit2 refuses NULL even for nothing. */
        const void *bytes =
            file->content.bytes ? file->content.bytes : (const uint8_t *)"";
        int code = git_blob_create_from_buffer(&update->id, repository->handle,
                                               bytes, file->content.size);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static cb_status write_tree(const cb_git_repository *repository,
                            const cb_git_commit_plan *plan,
                            const git_commit *parent, git_tree **ret_tree,
                            cb_error *reterr_error)
{
    git_tree *base = NULL;
    git_oid id;
    cb_status status = CB_OK;
    git_tree_update *updates = calloc(plan->file_count, sizeof *updates);
    if (!updates) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    int code = plan->keep_tree ? git_commit_tree(&base, parent) : 0;
    if (code == 0) {
        code = write_blobs(repository, plan, updates);
    }
    if (code < 0) {
        status = cb_git_fail(reterr_error, code, CB_IO, "write a file's bytes");
        goto out;
    }
    code = git_tree_create_updated(&id, repository->handle, base,
                                   plan->file_count, updates);
    if (code == 0) {
        code = git_tree_lookup(ret_tree, repository->handle, &id);
    }
    if (code < 0) {
        status = cb_git_fail(reterr_error, code, CB_INPUT, "write the folder");
    }
out:
    free(updates);
    git_tree_free(base);
    return status;
}

/* Signs the bytes and stores them with the signature. */
static cb_status write_signed(const cb_git_repository *repository,
                              const cb_git_commit_plan *plan,
                              const git_buf *payload, git_oid *ret_id,
                              cb_error *reterr_error)
{
    cb_buffer armored;
    cb_span message = { (const uint8_t *)payload->ptr, payload->size };
    cb_buffer_init(&armored, CB_GIT_COMMIT_BYTES_MAX);
    cb_status status =
        cb_ssh_sign(message, plan->secret_key, &armored, reterr_error);
    if (status == CB_OK) {
        status = cb_buffer_check(&armored, reterr_error);
    }
    if (status == CB_OK) {
        int code = git_commit_create_with_signature(
            ret_id, repository->handle, payload->ptr, cb_buffer_text(&armored),
            "gpgsig");
        if (code < 0) {
            status = cb_git_fail(reterr_error, code, CB_IO, "write a commit");
        }
    }
    cb_buffer_clear(&armored);
    return status;
}

cb_status cb_git_commit_create(cb_git_repository *repository,
                               const cb_git_commit_plan *plan,
                               cb_git_oid *ret_oid, cb_error *reterr_error)
{
    git_commit *parent = NULL;
    git_tree *tree = NULL;
    git_signature *person = NULL;
    git_buf payload = { 0 };
    git_oid id = { { 0 } };
    git_time_t date = 0;
    int code = 0;

    cb_status status = check_plan(plan, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (plan->parent) {
        git_oid parent_id = cb_git_oid_to(plan->parent);
        code = git_commit_lookup(&parent, repository->handle, &parent_id);
        if (code < 0) {
            return cb_git_fail(reterr_error, code, CB_NOT_FOUND,
                               "find the commit before this one");
        }
    }
    errno = 0;
    status = write_tree(repository, plan, parent, &tree, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    date = CB_GIT_DATE_START_S + (git_time_t)plan->position;
    code = git_signature_new(&person, CB_GIT_PERSON_NAME, CB_GIT_PERSON_EMAIL,
                             date, 0);
    if (code == 0) {
        const git_commit *parents[] = { parent };
        code = git_commit_create_buffer(&payload, repository->handle, person,
                                        person, NULL, plan->message, tree,
                                        parent ? 1 : 0, parents);
    }
    if (code < 0) {
        status = cb_git_fail(reterr_error, code, CB_IO, "write a commit");
        goto out;
    }
    status = write_signed(repository, plan, &payload, &id, reterr_error);
    if (status == CB_OK) {
        *ret_oid = cb_git_oid_from(&id);
    }
out:
    git_buf_dispose(&payload);
    git_signature_free(person);
    git_tree_free(tree);
    git_commit_free(parent);
    return status;
}
