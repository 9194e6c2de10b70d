/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "store/internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Each time somebody else has finished a rotation: it is not going to happen
 * twice. */
#define OPEN_ATTEMPTS 3

char *cb_store_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + 1 + strlen(name) + 1;
    char *path = malloc(size);
    if (path != NULL) {
        (void)snprintf(path, size, "%s/%s", folder, name);
    }
    return path;
}

const cb_environment *cb_store_environment_of(const cb_store_options *options)
{
    return options->environment == NULL ? cb_environment_system()
                                        : options->environment;
}

cb_status cb_store_allocate(const cb_store_options *options,
                            cb_store **ret_store, cb_error *error)
{
    if (sodium_init() < 0) {
        return cb_error_set(error, CB_FAILED, "libsodium cannot start");
    }
    cb_json_prepare();
    cb_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    store->json_failures = cb_json_failures();
    store->environment = cb_store_environment_of(options);
    store->folder = strdup(options->folder);
    memcpy(store->service, "RL", sizeof "RL");
    cb_names_begin(store);
    cb_status status = store->folder == NULL
                           ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                           : cb_model_create_builtin(&store->model, error);
    if (status == CB_OK) {
        status = cb_secret_create(CB_KEY_BYTES, &store->key_in_use, error);
    }
    if (status != CB_OK) {
        cb_store_close(store);
        return status;
    }
    *ret_store = store;
    return CB_OK;
}

void cb_store_close(cb_store *store)
{
    if (store == NULL) {
        return;
    }
    /* There is none where opening failed, or a rotation halfway. */
    if (store->database != NULL) {
        cb_settle_rest(store);
        cb_witness_close(store);
    }
    cb_facts_forget_all(store);
    cb_database_close(store->database);
    cb_witness_destroy(store->witness);
    cb_model_destroy(store->model);
    cb_secret_destroy(store->master_key);
    cb_secret_destroy(store->device_key);
    cb_secret_destroy(store->sealing_key);
    cb_secret_destroy(store->stream_key);
    cb_secret_destroy(store->key_in_use);
    sodium_memzero(store->name, sizeof store->name);
    free(store->folder);
    free(store);
}

cb_status cb_store_open_database(const cb_store_options *options,
                                 cb_store *store, bool create, cb_error *error)
{
    const cb_patience patience = { options->waiting, options->waiting_context };
    char *path = cb_store_path(store->folder, "casebook.db");
    cb_status status = CB_REFUSED;
    cb_error ignored = { 0 };
    if (path == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    if (options->read_only && !create &&
        cb_database_is_held(store->environment, path)) {
        status = cb_database_open_reading(store->environment, path,
                                          store->master_key, &patience,
                                          &store->database, &ignored);
    }
    /* Whatever stands in a reader's way, a writer waits for or explains. */
    if (status != CB_OK) {
        status = cb_database_open_patiently(store->environment, path,
                                            store->master_key, create,
                                            &patience, &store->database, error);
    }
    free(path);
    return status;
}

cb_status cb_store_attach(const cb_store_options *options,
                          const uint8_t *store_id, cb_secret *master_key,
                          cb_store **ret_store, cb_error *error)
{
    cb_store *store = NULL;
    cb_status status = cb_store_allocate(options, &store, error);
    if (status == CB_OK) {
        memcpy(store->store_id, store_id, sizeof store->store_id);
        store->master_key = master_key;
        status = cb_store_open_database(options, store, false, error);
    }
    if (status == CB_OK) {
        status = cb_witness_open(store, options->witness_folder, error);
    }
    if (status != CB_OK) {
        if (store != NULL) {
            store->master_key = NULL; /* still the caller's */
        }
        cb_store_close(store);
        return status;
    }
    *ret_store = store;
    return CB_OK;
}

static cb_status check_content(cb_store *store, cb_error *error)
{
    uint8_t id[CB_IDENTIFIER_BYTES];
    cb_status status =
        cb_meta_get_bytes(store, "store.id", id, sizeof id, error);
    if (status == CB_NOT_FOUND ||
        (status == CB_OK && memcmp(id, store->store_id, sizeof id) != 0)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the database in '%s' is not the one that "
                              "unlock.json belongs to",
                              store->folder);
        cb_error_meaning(error, "nothing was changed");
        cb_error_next(error, "casebound doctor");
    }
    if (status == CB_OK) {
        status = cb_identity_load(store, error);
    }
    if (status == CB_OK) {
        status = cb_witness_check(store, error);
    }
    return status == CB_OK ? cb_store_check_memory(store, error) : status;
}

/* The database, and then what was read without its lock once more. */
static cb_status open_locked(const cb_store_options *options, cb_store *store,
                             bool *ret_again, cb_error *error)
{
    bool current = false;
    cb_error trouble = { 0 };
    cb_status status = cb_store_open_database(options, store, false, error);
    cb_status looked = cb_keys_look_again(store, &current, &trouble);
    *ret_again = (looked == CB_OK && !current) ||
                 (status == CB_OK && cb_database_has_moved(store->database));
    if (status == CB_OK && looked != CB_OK) {
        status = cb_error_set(error, looked, "%s", trouble.what);
        cb_error_meaning(error, "nothing was changed");
    }
    return status;
}

/*
 * *ret_again: another process has replaced the master key or the database while
 * this one waited for it; nothing is open then, whatever the status.
 */
static cb_status open_once(const cb_store_options *options,
                           const cb_credential *credential,
                           cb_store **ret_store, bool *ret_again,
                           cb_error *error)
{
    cb_store *store = NULL;
    *ret_again = false;
    cb_status status = cb_store_allocate(options, &store, error);
    if (status == CB_OK) {
        status = cb_keys_take(store, credential, error);
    }
    if (status == CB_OK) {
        status = cb_rotation_settle(store, ret_again, error);
    }
    if (status == CB_OK && !*ret_again) {
        status = cb_witness_open(store, options->witness_folder, error);
    }
    if (status == CB_OK && !*ret_again) {
        status = open_locked(options, store, ret_again, error);
    }
    if (status == CB_OK && !*ret_again) {
        if (!store->database->reading) {
            cb_rotation_discard(store);
        }
        status = check_content(store, error);
    }
    if (status != CB_OK || *ret_again) {
        cb_store_close(store);
        return status;
    }
    *ret_store = store;
    return CB_OK;
}

cb_status cb_keys_open(const cb_store_options *options,
                       const cb_credential *credential, cb_store **ret_store,
                       cb_error *error)
{
    cb_error trouble = { 0 };
    cb_status status = CB_IN_USE;
    bool again = true;
    for (int i = 0; i < OPEN_ATTEMPTS && again; i++) {
        cb_error_clear(&trouble);
        status = open_once(options, credential, ret_store, &again, &trouble);
    }
    if (again) {
        cb_error_clear(&trouble);
        status = cb_error_set(&trouble, CB_IN_USE,
                              "the store '%s' is being written anew by another "
                              "process",
                              options->folder);
        cb_error_meaning(&trouble, "nothing was changed");
    }
    if (status != CB_OK && error != NULL && error->status == CB_OK) {
        *error = trouble;
    }
    return status;
}

cb_status cb_store_open(const cb_store_options *options,
                        const cb_secret *passphrase, cb_store **ret_store,
                        cb_error *reterr_error)
{
    const cb_credential credential = { passphrase == NULL
                                           ? CB_CREDENTIAL_KEPT
                                           : CB_CREDENTIAL_PASSPHRASE,
                                       passphrase };
    return cb_keys_open(options, &credential, ret_store, reterr_error);
}

cb_status cb_store_open_recovery(const cb_store_options *options,
                                 const cb_secret *recovery_key,
                                 cb_store **ret_store, cb_error *reterr_error)
{
    const cb_credential credential = { CB_CREDENTIAL_RECOVERY, recovery_key };
    return cb_keys_open(options, &credential, ret_store, reterr_error);
}

const cb_environment *cb_store_environment(const cb_store *store)
{
    return store->environment;
}

const cb_model *cb_store_model(const cb_store *store)
{
    return store->model;
}

const char *cb_store_folder(const cb_store *store)
{
    return store->folder;
}

void cb_store_identify(const cb_store *store, cb_store_identity *ret_identity)
{
    *ret_identity = store->identity;
}

cb_status cb_store_require_joined(const cb_store *store, cb_error *error)
{
    if (store->identity.joined) {
        return CB_OK;
    }
    cb_status status = cb_error_set(
        error, CB_PERMISSION, "this store does not belong to a service yet");
    cb_error_meaning(error, "nothing was recorded");
    cb_error_next(error, "casebound enrol request");
    return status;
}

cb_status cb_store_require_hub(const cb_store *store, cb_error *error)
{
    if (store->identity.joined && store->identity.hub) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(error, CB_PERMISSION, "this store is not a hub's");
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "run it at the hub, or name the hub's store with -C");
    return status;
}

/* Invariant 1: what memory holds is read again. */
static cb_status reload(cb_store *store, cb_error *error)
{
    bool restored = store->identity.restored;
    cb_status status = cb_identity_load(store, error);
    store->identity.restored = store->identity.restored || restored;
    store->stale = status != CB_OK;
    return status;
}

/*
 * Jansson leaves out what finds no memory.  What led to a change may have been
 * built long before it began (the fields that somebody typed, a cached fold),
 * so every failure since the last transaction counts.
 */
cb_status cb_store_check_memory(const cb_store *store, cb_error *error)
{
    if (cb_json_failures() == store->json_failures) {
        return CB_OK;
    }
    cb_status status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
    cb_error_meaning(error, "this was not recorded; everything recorded "
                            "before is safe");
    return status;
}

cb_status cb_store_begin(cb_store *store, cb_error *reterr_error)
{
    if (store->stale) {
        cb_status status = reload(store, reterr_error);
        if (status != CB_OK) {
            return status;
        }
    }
    return cb_database_begin(store->database, reterr_error);
}

/* What is known to be an older copy stays one until it begins anew. */
static cb_status count_commit(cb_store *store, uint64_t commits,
                              cb_error *error)
{
    return store->identity.restored
               ? cb_identity_mark_restored(store, error)
               : cb_meta_put_number(store, "commits", commits, error);
}

cb_status cb_store_commit(cb_store *store, cb_error *reterr_error)
{
    const uint64_t commits = cb_witness_next(store);
    cb_status status = cb_store_check_memory(store, reterr_error);
    if (status == CB_OK) {
        status = count_commit(store, commits, reterr_error);
    }
    if (status == CB_OK && store->clock_followed) {
        status =
            cb_meta_put_number(store, "clock", store->last_time, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_database_commit(store->database, reterr_error);
    }
    if (status == CB_OK) {
        store->clock_followed = false;
    }
    if (status == CB_OK && !store->identity.restored) {
        store->commits = commits;
        cb_witness_note(store);
    }
    return status;
}

void cb_store_abort(cb_store *store)
{
    cb_database_abort(store->database);
    cb_facts_forget_all(store);
    store->json_failures = cb_json_failures();
    (void)reload(store, NULL);
}
