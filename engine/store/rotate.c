/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another master key: the whole database written anew under it.
 *
 *   (a) the database is copied under the new key to casebook.db-next, durable
 *       and proved (copy.c)
 *   (b) unlock.json is replaced: its slots hold the new key, "previous" the old
 *       one sealed under the new.  The point of no return.
 *   (c) casebook.db-next is renamed to casebook.db, which takes the old
 * database away; what stood beside it (log, table of page versions) is removed
 *   (d) unlock.json is replaced: the old key is gone
 *
 * After a cut, the next opening finds one of two things.  No "previous": it was
 * before (b), the old key is in force, and casebook.db-next is rubbish.  Or a
 * "previous": from then on the new key is in force, and what is missing of (c)
 * and (d) is done.  Should casebook.db-next be gone or damaged then, as in a
 * backup made at that moment, it is written again from the old database.
 * casebook.db is never touched before (c), and never without a successor that
 * verifies in every page.
 *
 * While "previous" stands, casebook.db is either the old database or the new
 * one that nobody has used yet, because its use begins after (d).  So a log or
 * a table beside the new one is the old one's, and can go.
 *
 * Who has the lock.  The rotating process holds the old database's from its
 * opening to (c), and takes the new one's before (b), so at no time can another
 * process write into either.  One that waited for the old file gets the lock of
 * a file without a name; it finds unlock.json replaced, or the file moved, and
 * begins anew (keys.c).
 */
#include "store/internal.h"

#include <casebound/limits.h>
#include <stdlib.h>
#include <string.h>

#define DATABASE_NAME "casebook.db"
#define NEXT_NAME     "casebook.db-next"
/* Of SQLite's virtual machine, between two looks at the time and the person. */
#define STEPS         20000
/* What the copy may need beyond the size of the original. */
#define SPARE_BYTES   UINT64_C(1048576)

/* A database held against all others, without being used. */
struct hold {
    cb_vfs *vfs;
    sqlite3 *connection;
};

struct rotation {
    cb_store *store;
    const cb_rotation *wanted;
    char *path;
    char *next_path;
    struct hold next;
    uint64_t size; /* of the original */
};

static const char *const side_files[] = { "-wal", "-journal", "-shm",
                                          "-pages" };

static void remove_beside(const cb_environment *environment, const char *path)
{
    for (size_t i = 0; i < sizeof side_files / sizeof side_files[0]; i++) {
        char *name = NULL;
        size_t size = strlen(path) + strlen(side_files[i]) + 1;
        name = malloc(size);
        if (name != NULL) {
            (void)snprintf(name, size, "%s%s", path, side_files[i]);
            (void)environment->remove_file(environment->context, name, NULL);
        }
        free(name);
    }
}

/* Only of a database that nobody can have open. */
static void remove_database(const cb_environment *environment, const char *path)
{
    (void)environment->remove_file(environment->context, path, NULL);
    remove_beside(environment, path);
}

static bool is_there(const cb_environment *environment, const char *path)
{
    cb_file_facts facts;
    return environment->look_at(environment->context, path, &facts, NULL) ==
           CB_OK;
}

/* -------------------------------------------------------------------- locks */

static void release(struct hold *hold)
{
    (void)sqlite3_close(hold->connection);
    cb_vfs_destroy(hold->vfs);
    *hold = (struct hold){ .vfs = NULL };
}

/* Whether SQLite came to read the file, which it does under the lock. */
static bool is_about_content(int code)
{
    int primary = code & 0xff;
    return code == SQLITE_OK || primary == SQLITE_NOTADB ||
           primary == SQLITE_CORRUPT || code == SQLITE_IOERR_DATA;
}

/*
 * Locks the file at `path` for this process, whether or not the key fits.
 */
static cb_status hold(const cb_environment *environment, const char *path,
                      const cb_secret *key, struct hold *ret_hold,
                      cb_error *error)
{
    struct hold held = { .vfs = NULL };
    bool like_uri = strncmp(path, "file:", 5) == 0;
    char *name = sqlite3_mprintf("%s%s", like_uri ? "./" : "", path);
    cb_status status =
        name == NULL
            ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
            : cb_vfs_create(environment, key, cb_database_best_cipher(),
                            &held.vfs, error);
    if (status == CB_OK) {
        int code = sqlite3_open_v2(name, &held.connection,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                       SQLITE_OPEN_EXRESCODE,
                                   cb_vfs_name(held.vfs));
        if (code == SQLITE_OK) {
            (void)sqlite3_busy_timeout(held.connection, CB_STORE_WAIT_MS_MAX);
            status = cb_vfs_prepare(held.connection, "main", error);
            code = sqlite3_exec(held.connection,
                                "SELECT count(*) FROM sqlite_schema", NULL,
                                NULL, NULL);
        }
        if (status == CB_OK && !is_about_content(code)) {
            cb_database as_named = { .environment = environment,
                                     .connection = held.connection,
                                     .vfs = held.vfs };
            as_named.path = name;
            status = cb_database_failed(&as_named, code, error);
        }
    }
    sqlite3_free(name);
    if (status != CB_OK) {
        release(&held);
        return status;
    }
    *ret_hold = held;
    return CB_OK;
}

/* -------------------------------------------------------------- the course */

static cb_status begin(struct rotation *rotation, cb_store *store,
                       cb_error *error)
{
    *rotation = (struct rotation){ .store = store };
    rotation->path = cb_store_path(store->folder, DATABASE_NAME);
    rotation->next_path = cb_store_path(store->folder, NEXT_NAME);
    return rotation->path == NULL || rotation->next_path == NULL
               ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
               : CB_OK;
}

static void end(struct rotation *rotation)
{
    release(&rotation->next);
    free(rotation->path);
    free(rotation->next_path);
}

static cb_status check_room(struct rotation *rotation, cb_error *error)
{
    const cb_environment *environment = rotation->store->environment;
    cb_file_facts facts;
    cb_status status = environment->look_at(environment->context,
                                            rotation->path, &facts, error);
    if (status != CB_OK) {
        return status;
    }
    rotation->size = facts.size;
    if (facts.free_bytes >= facts.size + SPARE_BYTES) {
        return CB_OK;
    }
    /* Of what is short of one MiB, MiB would say that there is none. */
    bool small = facts.free_bytes < 2 * UINT64_C(1048576);
    uint64_t unit = small ? 1000 : 1048576;
    status = cb_error_set(
        error, CB_NO_SPACE,
        "writing the store anew needs %llu %s, and the disk of '%s' has %llu "
        "%s left",
        (unsigned long long)((facts.size + SPARE_BYTES) / unit + 1),
        small ? "kB" : "MiB", rotation->store->folder,
        (unsigned long long)(facts.free_bytes / unit), small ? "kB" : "MiB");
    cb_error_meaning(error, "nothing was changed");
    return status;
}

/* Called by SQLite while it copies; anything but 0 stops it. */
static int look_around(void *context)
{
    const struct rotation *rotation = context;
    const cb_rotation *wanted = rotation->wanted;
    const cb_environment *environment = rotation->store->environment;
    cb_file_facts facts;
    if (wanted->progress != NULL && rotation->size > 0 &&
        environment->look_at(environment->context, rotation->next_path, &facts,
                             NULL) == CB_OK) {
        wanted->progress(wanted->context, facts.size, rotation->size);
    }
    return wanted->is_stopped != NULL && wanted->is_stopped(wanted->context);
}

/* Up to (b) nothing has been changed. */
static cb_status heed(const struct rotation *rotation, cb_error *error)
{
    const cb_rotation *wanted = rotation->wanted;
    if (wanted->is_stopped == NULL || !wanted->is_stopped(wanted->context)) {
        return CB_OK;
    }
    cb_status status = cb_error_set(error, CB_INTERRUPTED,
                                    "writing the store anew was interrupted");
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "run it again when there is time for it");
    return status;
}

/* The cipher stays what it is: it may have been chosen for another machine. */
static enum cb_vfs_cipher present_cipher(const struct rotation *rotation)
{
    struct cb_vfs_scrub_result result = { 0 };
    cb_vfs *vfs = rotation->store->database->vfs;
    cb_status status =
        cb_vfs_scrub(vfs, rotation->path, NULL, NULL, &result, NULL);
    cb_vfs_forget_damage(vfs);
    return status == CB_OK ? result.cipher : cb_database_best_cipher();
}

static cb_status copy(struct rotation *rotation, const cb_secret *fresh,
                      cb_error *error)
{
    cb_database *database = rotation->store->database;
    enum cb_vfs_cipher cipher = present_cipher(rotation);
    sqlite3_progress_handler(database->connection, STEPS, look_around,
                             rotation);
    cb_status status =
        cb_database_copy(database, rotation->next_path, fresh, cipher, error);
    sqlite3_progress_handler(database->connection, 0, NULL, NULL);
    return status;
}

/*
 * (b).  A failure may have come after the file was replaced; then it counts,
 * and the copy must stay, because the next opening will want it.
 */
static cb_status decide(struct rotation *rotation, cb_unlock *unlock,
                        const cb_secret *fresh, cb_error *error)
{
    cb_store *store = rotation->store;
    cb_status status = cb_keys_save(store, unlock, fresh, error);
    if (status == CB_OK) {
        return CB_OK;
    }
    bool is_new = false;
    store->unlock = *unlock;
    if (cb_keys_look_again(store, &is_new, NULL) != CB_OK || is_new) {
        cb_error_meaning(error, "the new key may be in force already; the next "
                                "command will find out, and nothing is lost "
                                "either way");
    } else {
        release(&rotation->next);
        remove_database(store->environment, rotation->next_path);
        cb_error_meaning(error, "the old key is in force, and nothing was "
                                "changed");
    }
    return status;
}

static void swap_key(cb_store *store, cb_secret **fresh)
{
    cb_secret_destroy(store->master_key);
    store->master_key = *fresh;
    *fresh = NULL;
}

/* (d): from here on nothing opens what the old key has sealed. */
static cb_status forget_previous(cb_store *store, cb_error *error)
{
    cb_unlock unlock = store->unlock;
    unlock.previous = (cb_unlock_slot){ .used = false };
    return cb_keys_save(store, &unlock, store->master_key, error);
}

/* (c) and (d); the new database is held. */
static cb_status replace(struct rotation *rotation, cb_error *error)
{
    cb_store *store = rotation->store;
    const cb_environment *environment = store->environment;
    cb_status status = environment->move_file(
        environment->context, rotation->next_path, rotation->path, error);
    cb_database_close(store->database);
    store->database = NULL;
    if (status == CB_OK) {
        remove_beside(environment, rotation->path);
        remove_beside(environment, rotation->next_path);
        status = forget_previous(store, error);
    }
    return status;
}

static cb_status prepare(cb_store *store, const cb_store_options *options,
                         const cb_rotation *wanted, const cb_secret *fresh,
                         cb_unlock *ret_unlock, cb_error *error)
{
    cb_unlock unlock = { 0 };
    cb_unlock_cost cost;
    memcpy(unlock.store_id, store->store_id, sizeof unlock.store_id);
    cb_status status = cb_keys_demand(store, wanted->passphrase, error);
    if (status == CB_OK) {
        status = cb_keys_cost(store, options, &cost, error);
    }
    if (status == CB_OK) {
        status =
            cb_unlock_seal(store->environment, &unlock, CB_UNLOCK_PASSPHRASE,
                           cost, wanted->passphrase, fresh, error);
    }
    if (status == CB_OK && wanted->recovery_key != NULL) {
        status = cb_unlock_seal(store->environment, &unlock, CB_UNLOCK_RECOVERY,
                                cost, wanted->recovery_key, fresh, error);
    }
    if (status == CB_OK) {
        status = cb_unlock_keep_previous(store->environment, &unlock, fresh,
                                         store->master_key, error);
    }
    if (status == CB_OK) {
        *ret_unlock = unlock;
    }
    return status;
}

/* From (b) on; what remains undone the next opening does. */
static cb_status finish(struct rotation *rotation,
                        const cb_store_options *options, cb_secret **fresh,
                        cb_error *error)
{
    cb_store *store = rotation->store;
    /* While the old database is open: it brings its log to an end. */
    cb_witness_close(store);
    swap_key(store, fresh);
    cb_status status = replace(rotation, error);
    (void)cb_keyring_replace(store->environment, store->store_id,
                             store->master_key);
    if (status == CB_OK) {
        status = cb_store_open_database(options, store, false, error);
    }
    if (status != CB_OK) {
        cb_error_meaning(error, "the new key is in force; the next command "
                                "does what is left to do");
    }
    return status;
}

cb_status cb_store_rotate(cb_store *store, const cb_store_options *options,
                          const cb_rotation *wanted, cb_error *reterr_error)
{
    struct rotation rotation;
    cb_unlock unlock;
    cb_secret *fresh = NULL;
    cb_status status = begin(&rotation, store, reterr_error);
    rotation.wanted = wanted;
    if (status == CB_OK) {
        status = cb_secret_create_random(store->environment, CB_KEY_BYTES,
                                         &fresh, reterr_error);
    }
    if (status == CB_OK) {
        status = prepare(store, options, wanted, fresh, &unlock, reterr_error);
    }
    if (status == CB_OK) {
        status = check_room(&rotation, reterr_error);
    }
    if (status == CB_OK) {
        status = heed(&rotation, reterr_error);
    }
    if (status == CB_OK) {
        status = copy(&rotation, fresh, reterr_error);
    }
    if (status == CB_OK) {
        status = heed(&rotation, reterr_error);
        if (status == CB_OK) {
            status = hold(store->environment, rotation.next_path, fresh,
                          &rotation.next, reterr_error);
        }
        if (status != CB_OK) {
            remove_database(store->environment, rotation.next_path);
        }
    }
    if (status == CB_OK) {
        status = decide(&rotation, &unlock, fresh, reterr_error);
    }
    if (status == CB_OK) {
        status = finish(&rotation, options, &fresh, reterr_error);
    }
    cb_secret_destroy(fresh);
    end(&rotation);
    return status;
}

/* ---------------------------------------------------------- after a cut */

/* How much of a file verifies under a key: all pages, or some. */
enum verdict {
    NOTHING,
    SOME,
    ALL
};

static void count_unreadable(void *context, const struct cb_vfs_damage *damage)
{
    uint64_t *unreadable = context;
    *unreadable +=
        damage->kind == CB_VFS_MAIN && damage->fault == CB_VFS_FAULT_UNREADABLE;
}

static enum verdict verify(const cb_environment *environment, const char *path,
                           const cb_secret *key)
{
    struct cb_vfs_scrub_result result = { 0 };
    uint64_t unreadable = 0;
    cb_vfs *vfs = NULL;
    bool read = cb_vfs_create(environment, key, cb_database_best_cipher(), &vfs,
                              NULL) == CB_OK &&
                cb_vfs_scrub(vfs, path, count_unreadable, &unreadable, &result,
                             NULL) == CB_OK;
    cb_vfs_destroy(vfs);
    if (!read || unreadable >= result.pages) {
        return NOTHING;
    }
    return result.damaged == 0 ? ALL : SOME;
}

/* The copy is gone or of no use: made again of the old database. */
static cb_status copy_again(struct rotation *rotation,
                            const cb_secret *previous, cb_error *error)
{
    cb_store *store = rotation->store;
    cb_database *database = NULL;
    remove_database(store->environment, rotation->next_path);
    cb_status status = cb_database_open(store->environment, rotation->path,
                                        previous, false, &database, error);
    if (status == CB_OK) {
        status =
            cb_database_copy(database, rotation->next_path, store->master_key,
                             cb_database_best_cipher(), error);
    }
    cb_database_close(database);
    return status;
}

/* casebook.db is the old database, and held. */
static cb_status settle_old(struct rotation *rotation,
                            const cb_secret *previous, cb_error *error)
{
    cb_store *store = rotation->store;
    cb_status status = CB_OK;
    if (verify(store->environment, rotation->next_path, store->master_key) !=
        ALL) {
        status = copy_again(rotation, previous, error);
    }
    if (status == CB_OK) {
        status = hold(store->environment, rotation->next_path,
                      store->master_key, &rotation->next, error);
    }
    return status == CB_OK ? replace(rotation, error) : status;
}

/*
 * Which of the two casebook.db is, its pages say and nothing else: an old log
 * beside the new database would confuse SQLite.
 */
static cb_status settle(struct rotation *rotation, const cb_secret *previous,
                        cb_error *error)
{
    cb_store *store = rotation->store;
    const cb_environment *environment = store->environment;
    if (verify(environment, rotation->path, store->master_key) != NOTHING) {
        remove_beside(environment, rotation->path);
        remove_database(environment, rotation->next_path);
        return forget_previous(store, error);
    }
    if (verify(environment, rotation->path, previous) != NOTHING) {
        return settle_old(rotation, previous, error);
    }
    cb_status status = cb_error_set(error, CB_DAMAGED,
                                    "no page of '%s' verifies", rotation->path);
    cb_error_meaning(error, "the master key was being replaced when this "
                            "happened; nothing was changed now");
    cb_error_next(error, "put back a copy of the folder from a backup");
    return status;
}

cb_status cb_rotation_settle(cb_store *store, bool *ret_again,
                             cb_error *reterr_error)
{
    struct rotation rotation;
    struct hold present = { .vfs = NULL };
    cb_secret *previous = NULL;
    if (!store->unlock.previous.used) {
        return CB_OK;
    }
    cb_status status = begin(&rotation, store, reterr_error);
    if (status == CB_OK) {
        status = cb_unlock_take_previous(&store->unlock, store->master_key,
                                         &previous, reterr_error);
    }
    if (status == CB_OK) {
        status = hold(store->environment, rotation.path, previous, &present,
                      reterr_error);
    }
    if (status == CB_OK) {
        int moved = 0;
        (void)sqlite3_file_control(present.connection, "main",
                                   SQLITE_FCNTL_HAS_MOVED, &moved);
        bool current = false;
        status = cb_keys_look_again(store, &current, reterr_error);
        *ret_again = moved != 0 || (status == CB_OK && !current);
    }
    if (status == CB_OK && !*ret_again) {
        status = settle(&rotation, previous, reterr_error);
    }
    if (status == CB_OK && !*ret_again) {
        (void)cb_keyring_replace(store->environment, store->store_id,
                                 store->master_key);
    }
    release(&present);
    cb_secret_destroy(previous);
    end(&rotation);
    return status;
}

void cb_rotation_discard(const cb_store *store)
{
    char *path = cb_store_path(store->folder, NEXT_NAME);
    if (path != NULL && is_there(store->environment, path)) {
        remove_database(store->environment, path);
    }
    free(path);
}
