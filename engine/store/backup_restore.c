/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a store of a backup.
 *
 * All of the backup is verified before anything is made of it.  Its database is
 * written to "restoring.db", copied from there under a master key of the new
 * store's own (which proves it once more, page by page), given an id and an
 * incarnation of its own, and only then unlock.json makes a store of the
 * folder.  "restoring.db" goes last: while it is there without unlock.json,
 * everything in the folder is of a restore that was cut off and is made anew.
 */
#include "store/backup.h"

#include <casebound/limits.h>
#include <stdlib.h>
#include <string.h>

#define RESTORING_NAME "restoring.db"
#define DATABASE_NAME  "casebook.db"

struct work {
    const cb_store_options *options;
    const cb_environment *environment;
    const char *path; /* of the backup */
    char *restoring;
    char *database;
    char *unlock;
    cb_backup_head head;
    cb_secret *old_key; /* the backup's master key */
    cb_secret *master_key;
    uint8_t store_id[CB_IDENTIFIER_BYTES];
};

static void clear(struct work *work)
{
    free(work->restoring);
    free(work->database);
    free(work->unlock);
    cb_secret_destroy(work->old_key);
    cb_secret_destroy(work->master_key);
}

/* ---------------------------------------------------------------- the folder
 */

/* What the names in the folder say about it. */
struct content {
    bool restoring; /* a restore was cut off here */
    bool made;      /* what such a one makes beside that */
    bool foreign;
};

static cb_status look_at_name(void *context, const char *name, cb_error *error)
{
    static const char *const made[] = { DATABASE_NAME,
                                        DATABASE_NAME "-wal",
                                        DATABASE_NAME "-journal",
                                        DATABASE_NAME "-pages",
                                        DATABASE_NAME "-readers",
                                        DATABASE_NAME ".new",
                                        "unlock.json.new" };
    struct content *content = context;
    (void)error;
    if (strncmp(name, RESTORING_NAME, sizeof RESTORING_NAME - 1) == 0) {
        content->restoring = true;
        return CB_OK;
    }
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        if (strcmp(name, made[i]) == 0) {
            content->made = true;
            return CB_OK;
        }
    }
    content->foreign = true;
    return CB_OK;
}

static cb_status prepare_folder(struct work *work, cb_error *error)
{
    const cb_environment *environment = work->environment;
    const char *folder = work->options->folder;
    struct content content = { .restoring = false };
    cb_error words = { 0 };
    work->restoring = cb_store_path(folder, RESTORING_NAME);
    work->database = cb_store_path(folder, DATABASE_NAME);
    work->unlock = cb_store_path(folder, "unlock.json");
    if (work->restoring == NULL || work->database == NULL ||
        work->unlock == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status = cb_store_make_path(environment, folder, &words);
    if (status == CB_EXISTS) {
        cb_error_clear(&words);
        status = environment->list_folder(environment->context, folder,
                                          look_at_name, &content, &words);
    }
    if (status != CB_OK) {
        cb_error_set(error, status, "%s", words.what);
        cb_error_meaning(error, "nothing was restored");
        return status;
    }
    if (content.foreign || (content.made && !content.restoring)) {
        status = cb_error_set(error, CB_EXISTS, "the folder '%s' is not empty",
                              folder);
        cb_error_meaning(error,
                         "nothing in it was touched, and nothing restored");
        cb_error_next(error, "name a new folder: casebound -C NEWFOLDER "
                             "restore FILE");
        return status;
    }
    cb_backup_remove_database(environment, work->database);
    cb_backup_remove_database(environment, work->restoring);
    return CB_OK;
}

/* -------------------------------------------------------------- the database
 */

static cb_status extract(struct work *work, cb_error *error)
{
    cb_backup_file target = { 0 };
    cb_status status =
        cb_backup_file_make(work->environment, work->restoring, &target, error);
    if (status == CB_OK) {
        status = cb_backup_read(work->environment, work->path, work->old_key,
                                &target, &work->head, error);
    }
    if (status == CB_OK) {
        status = cb_backup_file_flush(&target, error);
    }
    cb_backup_file_close(&target);
    return status;
}

static cb_status copy(struct work *work, cb_error *error)
{
    cb_database *database = NULL;
    cb_secret *key = NULL;
    cb_status status = cb_backup_derive(&work->head, work->old_key,
                                        CB_BACKUP_KEY_DATABASE, &key, error);
    if (status == CB_OK) {
        status = cb_database_open(work->environment, work->restoring, key,
                                  false, &database, error);
    }
    if (status == CB_OK) {
        status = cb_database_copy(database, work->database, work->master_key,
                                  cb_database_best_cipher(), error);
    }
    cb_database_close(database);
    cb_secret_destroy(key);
    return status;
}

/* ----------------------------------------------------------------- the store
 */

static cb_status make_store(struct work *work, const cb_secret *passphrase,
                            cb_store **ret_store, cb_error *error)
{
    cb_store *store = NULL;
    cb_status status = cb_store_attach(work->options, work->store_id,
                                       work->master_key, &store, error);
    if (status == CB_OK) {
        work->master_key = NULL;
        status = cb_store_found(store, cb_identity_resume, error);
    }
    if (status == CB_OK) {
        status = cb_keys_begin(store, work->options, work->unlock, passphrase,
                               error);
    }
    if (status != CB_OK) {
        cb_store_close(store);
        return status;
    }
    cb_witness_note(store);
    *ret_store = store;
    return CB_OK;
}

static cb_status open_backup(struct work *work, const cb_secret *secret,
                             bool recovery, cb_error *error)
{
    cb_unlock unlock;
    cb_status status = cb_backup_look(work->environment, work->path,
                                      &work->head, &unlock, error);
    if (status == CB_OK) {
        status = cb_backup_unseal(work->environment, work->path, &unlock,
                                  secret, recovery, &work->old_key, error);
    }
    return status == CB_OK
               ? cb_backup_read(work->environment, work->path, work->old_key,
                                NULL, &work->head, error)
               : status;
}

static cb_status draw(struct work *work, cb_error *error)
{
    work->environment->random(work->environment->context, work->store_id,
                              sizeof work->store_id);
    return cb_secret_create_random(work->environment, CB_KEY_BYTES,
                                   &work->master_key, error);
}

cb_status cb_restore_backup(const cb_store_options *options, const char *path,
                            const cb_secret *secret, bool recovery,
                            const cb_secret *passphrase, cb_store **ret_store,
                            cb_backup_facts *ret_facts, cb_error *reterr_error)
{
    struct work work = { .options = options,
                         .environment = options->environment == NULL
                                            ? cb_environment_system()
                                            : options->environment,
                         .path = path };
    bool begun = false;
    cb_status status = cb_keys_check_passphrase(passphrase, reterr_error);
    if (status == CB_OK) {
        status = open_backup(&work, secret, recovery, reterr_error);
    }
    if (status == CB_OK) {
        status = draw(&work, reterr_error);
    }
    if (status == CB_OK) {
        status = prepare_folder(&work, reterr_error);
    }
    if (status == CB_OK) {
        begun = true;
        status = extract(&work, reterr_error);
    }
    if (status == CB_OK) {
        status = copy(&work, reterr_error);
    }
    if (status == CB_OK) {
        status = make_store(&work, passphrase, ret_store, reterr_error);
    }
    if (status != CB_OK && begun) {
        /* It may be there although writing it failed. */
        (void)work.environment->remove_file(work.environment->context,
                                            work.unlock, NULL);
        cb_backup_remove_database(work.environment, work.database);
    }
    if (begun) {
        cb_backup_remove_database(work.environment, work.restoring);
    }
    if (status == CB_OK) {
        *ret_facts = work.head.facts;
    }
    clear(&work);
    return status;
}
