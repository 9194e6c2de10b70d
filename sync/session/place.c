/* SPDX-License-Identifier: Apache-2.0 */
#include "session/place.h"

#include "git/folder.h"
#include "git/object.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PATH_TEXT_BYTES = 4096,
    LOCK_WAIT_MS = 5000
};

cb_ref_name cb_ref_make(const char *prefix, const uint8_t *identifier)
{
    char hex[CB_IDENTIFIER_TEXT_BYTES];
    cb_ref_name name;
    cb_hex_format(identifier, CB_IDENTIFIER_BYTES, hex);
    (void)snprintf(name.text, sizeof name.text, "%s%s", prefix, hex);
    return name;
}

bool cb_ref_parse(const char *name, const char *prefix, uint8_t *ret_identifier)
{
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 &&
           strlen(name + length) == (size_t)2 * CB_IDENTIFIER_BYTES &&
           cb_hex_parse(name + length, ret_identifier, CB_IDENTIFIER_BYTES);
}

const cb_git_oid *cb_ref_find(const cb_git_ref_list *list, const char *name)
{
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->items[middle].name, name);
        if (order == 0) {
            return &list->items[middle].oid;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static cb_status place_path(const cb_store *store, const char *name,
                            char path[PATH_TEXT_BYTES], cb_error *error)
{
    int length =
        snprintf(path, PATH_TEXT_BYTES, "%s/%s", cb_store_folder(store), name);
    return length < 0 || length >= PATH_TEXT_BYTES
               ? cb_error_set(error, CB_INPUT,
                              "the path of the store is too long")
               : CB_OK;
}

cb_status cb_place_open(cb_store *store, const char *name,
                        cb_git_repository **ret_repository,
                        cb_error *reterr_error)
{
    char path[PATH_TEXT_BYTES];
    struct stat found;
    cb_git_repository *repository = NULL;
    cb_status status = place_path(store, name, path, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_error words = { 0 };
    status = cb_git_repository_open(path, &repository, &words);
    /* That says nothing about what is there. */
    if (status == CB_NO_MEMORY) {
        return cb_error_set(reterr_error, status, "%s", words.what);
    }
    if (status != CB_OK) {
        /* Cut off while it was made, or spoilt: it holds nothing of its own. */
        if (lstat(path, &found) == 0 && S_ISDIR(found.st_mode)) {
            cb_folder_remove(path);
        }
        status = cb_git_repository_create(path, "refs/heads/none", &repository,
                                          reterr_error);
    }
    if (status == CB_OK) {
        status = cb_git_repository_lock(repository, LOCK_WAIT_MS, reterr_error);
    }
    if (status != CB_OK) {
        cb_git_repository_close(repository);
        return status;
    }
    *ret_repository = repository;
    return CB_OK;
}

cb_status cb_place_open_empty(cb_store *store, const char *name,
                              cb_git_repository **ret_repository,
                              cb_error *reterr_error)
{
    char path[PATH_TEXT_BYTES];
    cb_status status = place_path(store, name, path, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_folder_remove(path);
    return cb_place_open(store, name, ret_repository, reterr_error);
}

void cb_place_remove(cb_git_repository *repository)
{
    char path[PATH_TEXT_BYTES];
    if (repository == NULL) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s", cb_git_repository_path(repository));
    cb_git_repository_close(repository);
    cb_folder_remove(path);
}

bool cb_place_held(const cb_git_repository *repository, const char *ref,
                   cb_git_oid *ret_oid)
{
    cb_git_oid oid;
    if (cb_git_ref_get(repository, ref, &oid, NULL) != CB_OK ||
        !cb_git_object_exists(repository, &oid)) {
        return false;
    }
    *ret_oid = oid;
    return true;
}

cb_status cb_place_point(cb_git_repository *repository, const char *ref,
                         const cb_git_oid *oid, cb_error *reterr_error)
{
    cb_git_oid old;
    cb_status status = cb_git_ref_get(repository, ref, &old, reterr_error);
    if (status == CB_NOT_FOUND) {
        return cb_git_ref_swap(repository, ref, oid, NULL, reterr_error);
    }
    if (status == CB_OK && !cb_git_oid_equal(&old, oid)) {
        status = cb_git_ref_swap(repository, ref, oid, &old, reterr_error);
    }
    return status;
}

cb_status cb_place_fetch(cb_git_repository *repository,
                         const cb_transport *transport, const char *remote,
                         const char *ref, const cb_git_oid *have,
                         cb_git_fetch **ret_fetch, cb_error *reterr_error)
{
    cb_git_fetch_request request = {
        .transport = transport,
        .repository = remote,
        .remote_ref = ref,
        .have = have,
    };
    if (have != NULL && !cb_git_object_exists(repository, have)) {
        request.have = NULL;
    }
    return cb_git_fetch_begin(repository, &request, ret_fetch, reterr_error);
}

cb_status cb_mark_get(cb_store *store, const char *name, void *bytes,
                      size_t size, cb_error *reterr_error)
{
    cb_buffer value;
    cb_buffer_init(&value, 4096);
    cb_status status = cb_exchange_mark_get(store, name, &value, reterr_error);
    if (status == CB_OK) {
        status = cb_buffer_check(&value, reterr_error);
    }
    if (status == CB_OK && value.size != size) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "the store's mark '%s' is damaged", name);
        cb_error_next(reterr_error, "casebound doctor");
    }
    if (status == CB_OK) {
        memcpy(bytes, value.bytes, size);
    }
    cb_buffer_clear(&value);
    return status;
}

cb_status cb_mark_put(cb_store *store, const char *name, const void *bytes,
                      size_t size, cb_error *reterr_error)
{
    return cb_exchange_mark_put(store, name, (cb_span){ bytes, size },
                                reterr_error);
}

void cb_words_copy(char *text, size_t size, const char *words)
{
    size_t used = 0;
    for (; words != NULL && *words != '\0' && used + 1 < size; words++) {
        bool printable = *words >= 0x20 && *words < 0x7f;
        text[used++] = printable ? *words : '?';
    }
    text[used] = '\0';
}

bool cb_progress_stop(const cb_sync_progress *progress, cb_error *reterr_error)
{
    if (progress == NULL || progress->interrupted == NULL ||
        !progress->interrupted(progress->context)) {
        return false;
    }
    (void)cb_error_set(reterr_error, CB_INTERRUPTED,
                       "stopped before everything was exchanged");
    cb_error_meaning(reterr_error, "what was exchanged so far stays");
    return true;
}

void cb_progress_step(const cb_sync_progress *progress, const char *phase,
                      uint64_t done, uint64_t total)
{
    if (progress != NULL && progress->step != NULL) {
        progress->step(progress->context, phase, done, total);
    }
}
