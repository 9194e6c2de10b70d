/* SPDX-License-Identifier: Apache-2.0 */
/* How a store comes to be. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

#define FOLDER_BYTES_MAX 4096

/*
 * What making a store leaves where it does not come to its end: everything but
 * the mark, then the mark.
 */
static void remove_unfinished(const cb_environment *environment,
                              const char *folder)
{
    static const char *const names[] = {
        "casebook.db-wal",     "casebook.db-journal", "casebook.db-pages",
        "casebook.db-readers", "casebook.db",         "witness",
        CB_UNLOCK_BEGUN
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = cb_store_path(folder, names[i]);
        if (path != NULL) {
            (void)environment->remove_file(environment->context, path, NULL);
        }
        free(path);
    }
}

/*
 * Without its unlock.json a database is shut, not worthless; unless it was
 * never finished: then nobody ever had a key to it.  That it is held says that
 * somebody is about to finish it.
 */
static cb_status refuse_database(const cb_environment *environment,
                                 const char *folder, const char *path,
                                 const char *begun_path, cb_error *error)
{
    cb_buffer start;
    cb_buffer_init(&start, 1);
    cb_status status =
        environment->read_file(environment->context, begun_path, &start, NULL);
    cb_buffer_reset(&start);
    if ((status == CB_OK || status == CB_LIMIT) &&
        cb_database_is_held(environment, path)) {
        char holder[CB_HOLDER_WORDS_BYTES];
        cb_buffer_clear(&start);
        cb_holder_words(environment, path, holder);
        status =
            cb_error_set(error, CB_IN_USE,
                         "a store is being made at '%s' by %s", folder, holder);
        cb_error_meaning(error, "it was not touched");
        return status;
    }
    if (status == CB_OK || status == CB_LIMIT) {
        remove_unfinished(environment, folder);
    }
    status = environment->read_file(environment->context, path, &start, NULL);
    const bool empty = status == CB_OK && start.size == 0;
    cb_buffer_clear(&start);
    if (status == CB_NOT_FOUND || empty) {
        return CB_OK;
    }
    status = cb_error_set(error, CB_EXISTS,
                          "there is a database without its 'unlock.json' at "
                          "'%s'",
                          path);
    cb_error_meaning(error, "it was not touched");
    cb_error_next(error, "put back a copy of unlock.json, or choose "
                         "another folder with -C");
    return status;
}

/* The folder, and those above it that are missing, as in a new home. */
cb_status cb_store_make_path(const cb_environment *environment,
                             const char *folder, cb_error *error)
{
    cb_buffer path;
    cb_status status = CB_OK;
    cb_error ignored = { 0 };
    cb_buffer_init(&path, FOLDER_BYTES_MAX);
    for (const char *end = strchr(folder, '/'); end != NULL;
         end = strchr(end + 1, '/')) {
        if (end == folder) {
            continue;
        }
        cb_buffer_reset(&path);
        cb_buffer_append(&path, folder, (size_t)(end - folder));
        if (cb_buffer_check(&path, error) != CB_OK) {
            break;
        }
        /* What cannot be made here fails below, with the name in question. */
        (void)environment->make_folder(environment->context,
                                       cb_buffer_text(&path), &ignored);
        cb_error_clear(&ignored);
    }
    status = environment->make_folder(environment->context, folder, error);
    cb_buffer_clear(&path);
    return status;
}

static cb_status make_folder(const cb_environment *environment,
                             const char *folder, const char *unlock_path,
                             cb_error *error)
{
    uint8_t id[CB_IDENTIFIER_BYTES];
    cb_error ignored = { 0 };
    if (cb_unlock_read_id(environment, unlock_path, id, &ignored) !=
        CB_NO_STORE) {
        cb_status status = cb_error_set(
            error, CB_EXISTS, "there is a case store at '%s' already", folder);
        cb_error_meaning(error, "it was not touched");
        cb_error_next(error, "choose another folder with -C");
        return status;
    }
    cb_error_clear(&ignored);
    cb_status status =
        environment->make_folder(environment->context, folder, &ignored);
    if (status == CB_NOT_FOUND) {
        cb_error_clear(&ignored);
        status = cb_store_make_path(environment, folder, &ignored);
    }
    if (status == CB_OK || status == CB_EXISTS) {
        return CB_OK;
    }
    cb_error_meaning(&ignored, "no store was made");
    if (error != NULL) {
        *error = ignored;
    }
    return status;
}

/* Not counted as other transactions are: no witness speaks of a store before it
 * is one. */
cb_status cb_store_found(cb_store *store, cb_store_founder found,
                         cb_error *error)
{
    cb_status status = cb_database_begin(store->database, error);
    if (status == CB_OK) {
        status = cb_meta_put(store, "store.id", store->store_id,
                             sizeof store->store_id, error);
    }
    if (status == CB_OK) {
        status = found(store, error);
    }
    if (status == CB_OK) {
        status = cb_store_check_memory(store, error);
    }
    if (status == CB_OK) {
        status = cb_database_commit(store->database, error);
    }
    if (status != CB_OK) {
        cb_database_abort(store->database);
    }
    return status;
}

static cb_status fill_folder(const cb_store_options *options,
                             const cb_secret *passphrase, cb_store *store,
                             const char *begun_path, const char *unlock_path,
                             cb_error *error)
{
    const cb_environment *environment = store->environment;
    environment->random(environment->context, store->store_id,
                        sizeof store->store_id);
    cb_status status = cb_secret_create_random(environment, CB_KEY_BYTES,
                                               &store->master_key, error);
    if (status == CB_OK) {
        status = cb_store_open_database(options, store, true, error);
    }
    if (status == CB_OK) {
        status = cb_witness_open(store, options->witness_folder, error);
    }
    if (status == CB_OK) {
        status = cb_store_found(store, cb_identity_make, error);
    }
    if (status == CB_OK) {
        status = cb_identity_load(store, error);
    }
    if (status == CB_OK) {
        status = cb_keys_begin(store, options, begun_path, passphrase, error);
    }
    return status == CB_OK
               ? environment->move_file(environment->context, begun_path,
                                        unlock_path, error)
               : status;
}

/*
 * unlock.json comes last: until it is there, there is no store.  Before
 * anything else a file says that one is being made, and becomes unlock.json at
 * the end: so a database that a crash left is known from one that has lost its
 * unlock.json, and making a store may begin again.
 */
cb_status cb_store_create(const cb_store_options *options,
                          const cb_secret *passphrase, cb_store **ret_store,
                          cb_error *reterr_error)
{
    const cb_environment *environment = cb_store_environment_of(options);
    const char *folder = options->folder;
    cb_store *store = NULL;
    char *unlock_path = cb_store_path(folder, "unlock.json");
    char *begun_path = cb_store_path(folder, CB_UNLOCK_BEGUN);
    char *database_path = cb_store_path(folder, "casebook.db");
    bool begun = false;
    cb_status status = CB_OK;
    if (unlock_path == NULL || database_path == NULL || begun_path == NULL) {
        status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    status = cb_keys_check_passphrase(passphrase, reterr_error);
    if (status == CB_OK) {
        status = make_folder(environment, folder, unlock_path, reterr_error);
    }
    if (status == CB_OK) {
        status = refuse_database(environment, folder, database_path, begun_path,
                                 reterr_error);
    }
    if (status == CB_OK) {
        begun = true;
        status = environment->replace_file(environment->context, begun_path,
                                           (cb_span){ NULL, 0 }, reterr_error);
    }
    /* Made here so that it is this user's alone; its log inherits that. */
    if (status == CB_OK) {
        status = environment->replace_file(environment->context, database_path,
                                           (cb_span){ NULL, 0 }, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_store_allocate(options, &store, reterr_error);
    }
    if (status == CB_OK) {
        status = fill_folder(options, passphrase, store, begun_path,
                             unlock_path, reterr_error);
    }
    if (status == CB_OK) {
        cb_witness_note(store);
        *ret_store = store;
        store = NULL;
    }
out:
    cb_store_close(store);
    if (status != CB_OK && begun) {
        /* A move that failed may have been made all the same. */
        (void)environment->remove_file(environment->context, unlock_path, NULL);
        remove_unfinished(environment, folder);
    }
    free(unlock_path);
    free(begun_path);
    free(database_path);
    return status;
}
