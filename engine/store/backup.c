/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a backup.
 *
 * The copy of the database is made in the store's folder, where there is room
 * for one more of its kind, and not beside the target, which may be a full
 * stick.  It is under a key that only this backup has.  What it says is proved
 * before it is taken in (every page, SQLite's own check, every table's rows),
 * and the finished file is read again from its final name and compared with the
 * hash of what was proved; so when this says CB_OK, the file that is there has
 * every page of a sound database.
 *
 * Nothing here writes to the store's own database.
 */
#include "store/backup.h"

#include <stdlib.h>
#include <string.h>

#define COPY_NAME   "backup.db"
#define PART_SUFFIX ".part"
/* Of SQLite's virtual machine, between two looks at the person. */
#define STEPS       20000

struct work {
    cb_store *store;
    const char *path;
    const cb_backup_watch *watch; /* or NULL */
    char *part;                   /* the target until it is whole */
    char *copy;                   /* the database */
    char *unlock;                 /* the path of unlock.json */
    cb_buffer slots;              /* what stands in it */
    cb_backup_head head;
    cb_secret *copy_key;
    cb_secret *hash_key;
};

static char *join(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *joined = malloc(size);
    if (joined != NULL) {
        (void)snprintf(joined, size, "%s%s", path, suffix);
    }
    return joined;
}

static void clear(struct work *work)
{
    free(work->part);
    free(work->copy);
    free(work->unlock);
    cb_buffer_clear(&work->slots);
    cb_secret_destroy(work->copy_key);
    cb_secret_destroy(work->hash_key);
}

/*
 * The store may have been opened with the key that the kernel keeps, or before
 * somebody wrote to unlock.json: then nobody could open the backup.
 */
static cb_status check_slots(const struct work *work, cb_error *error)
{
    cb_unlock unlock;
    cb_status status =
        cb_unlock_parse(cb_span_of_buffer(&work->slots), &unlock, error);
    if (status == CB_NO_MEMORY ||
        (status == CB_OK &&
         cb_unlock_judge(&unlock, work->store->master_key) == CB_UNLOCK_FITS)) {
        return status;
    }
    status = cb_error_set(error, CB_DAMAGED, "'%s' is not as it was written",
                          work->unlock);
    cb_error_meaning(error, "a backup with it might open with no passphrase; "
                            "none was made");
    cb_error_next(error, "casebound doctor; where the passphrase still opens "
                         "the store: casebound passphrase --same");
    return status;
}

static cb_status prepare(struct work *work, cb_error *error)
{
    cb_store *store = work->store;
    const cb_environment *environment = store->environment;
    cb_buffer_init(&work->slots, CB_UNLOCK_FILE_BYTES_MAX);
    work->part = join(work->path, PART_SUFFIX);
    work->copy = cb_store_path(store->folder, COPY_NAME);
    work->unlock = cb_store_path(store->folder, "unlock.json");
    if (work->part == NULL || work->copy == NULL || work->unlock == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status = environment->read_file(
        environment->context, work->unlock, &work->slots, error);
    if (status == CB_NOT_FOUND) {
        status =
            cb_error_set(error, CB_DAMAGED, "'%s' is missing", work->unlock);
    }
    if (status == CB_OK) {
        status = check_slots(work, error);
    }
    if (status != CB_OK) {
        return status;
    }
    work->head.unlock_size = (uint32_t)work->slots.size;
    work->head.facts.hub = store->identity.hub;
    work->head.facts.made_ms = environment->now_ms(environment->context);
    environment->random(environment->context, work->head.salt,
                        sizeof work->head.salt);
    status = cb_backup_derive(&work->head, store->master_key,
                              CB_BACKUP_KEY_DATABASE, &work->copy_key, error);
    return status == CB_OK
               ? cb_backup_derive(&work->head, store->master_key,
                                  CB_BACKUP_KEY_HASH, &work->hash_key, error)
               : status;
}

/* ------------------------------------------------------------------ the copy
 */

static cb_status forget(cb_database *copy, const char *name, cb_error *error)
{
    cb_query query = cb_query_begin(copy, "meta_delete");
    cb_query_bind_text(&query, ":name", name);
    return cb_query_run(&query, error);
}

static cb_status keep_earlier(const struct work *work, cb_database *copy,
                              cb_error *error)
{
    cb_secret *rows = NULL;
    size_t size = 0;
    cb_status status = cb_earlier_gather(work->store, &rows, &size, error);
    if (status == CB_OK && size > 0) {
        cb_query query = cb_query_begin(copy, "meta_put");
        cb_query_bind_text(&query, ":name", "stream.earlier");
        cb_query_bind_blob(&query, ":value", cb_secret_view(rows), size);
        status = cb_query_run(&query, error);
    }
    cb_secret_destroy(rows);
    return status;
}

static cb_status count(cb_database *copy, const char *sql, uint64_t *ret_count,
                       cb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(copy->connection, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *ret_count = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? CB_OK : cb_database_failed(copy, code, error);
}

/*
 * What a restored store must not have: the key of the present stream; the
 * count that its witnesses compare, for it will have others; and that its pages
 * are tracked, for the table of them is not in the backup.  secure_delete
 * overwrites what is deleted, and the log that holds the pages from before is
 * not part of the backup.
 */
static cb_status change_copy(const struct work *work, cb_database *copy,
                             cb_error *error)
{
    static const char *const names[] = { "stream.key", "commits", "restored",
                                         "pages.tracked" };
    int code = sqlite3_exec(copy->connection, "PRAGMA secure_delete=ON", NULL,
                            NULL, NULL);
    cb_status status = code == SQLITE_OK
                           ? cb_database_begin(copy, error)
                           : cb_database_failed(copy, code, error);
    if (status == CB_OK) {
        status = keep_earlier(work, copy, error);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == CB_OK;
         i++) {
        status = forget(copy, names[i], error);
    }
    if (status == CB_OK) {
        status = cb_database_commit(copy, error);
    }
    if (status != CB_OK) {
        cb_database_abort(copy);
    } else if (!cb_database_empty_log(copy)) {
        status = cb_error_set(error, CB_IO, "the copy '%s' cannot be finished",
                              work->copy);
    }
    return status;
}

static cb_status count_damage(const struct work *work, cb_database *copy,
                              cb_error *error)
{
    struct cb_vfs_scrub_result result = { 0 };
    cb_status status =
        cb_vfs_scrub(copy->vfs, work->copy, NULL, NULL, &result, error);
    if (status == CB_OK && result.damaged != 0) {
        status =
            cb_error_set(error, CB_DAMAGED,
                         "the disk did not keep the copy '%s'", work->copy);
        cb_error_meaning(error, "there is no backup; the store was not "
                                "changed");
    }
    return status;
}

static bool is_stopped(const struct work *work)
{
    return work->watch != NULL && work->watch->is_stopped(work->watch->context);
}

/* Called by SQLite while it copies; anything but 0 stops it. */
static int look_around(void *context)
{
    return is_stopped(context);
}

static cb_status heed(const struct work *work, cb_error *error)
{
    if (!is_stopped(work)) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(error, CB_INTERRUPTED, "the backup was interrupted");
    cb_error_next(error, "run it again when there is time for it");
    return status;
}

static cb_status copy_database(struct work *work, cb_error *error)
{
    cb_database *database = work->store->database;
    sqlite3_progress_handler(database->connection, STEPS, look_around, work);
    cb_status status = cb_database_copy(database, work->copy, work->copy_key,
                                        CB_VFS_XCHACHA20_POLY1305, error);
    sqlite3_progress_handler(database->connection, 0, NULL, NULL);
    return status == CB_OK ? heed(work, error) : status;
}

static cb_status make_copy(struct work *work, cb_error *error)
{
    cb_database *copy = NULL;
    cb_store *store = work->store;
    /* What a backup that was cut off has left; nobody has its key. */
    cb_backup_remove_database(store->environment, work->copy);
    cb_status status = copy_database(work, error);
    if (status == CB_OK) {
        status = cb_database_open(store->environment, work->copy,
                                  work->copy_key, false, &copy, error);
    }
    if (status == CB_OK) {
        status = change_copy(work, copy, error);
    }
    if (status == CB_OK) {
        status = count(copy, "SELECT count(*) FROM entry",
                       &work->head.facts.entries, error);
    }
    if (status == CB_OK) {
        status = count(copy, "SELECT count(*) FROM case_file",
                       &work->head.facts.cases, error);
    }
    if (status == CB_OK) {
        status = count_damage(work, copy, error);
    }
    cb_database_close(copy);
    return status;
}

/* ------------------------------------------------------------------ the file
 */

static cb_status put(cb_backup_file *target, crypto_generichash_state *state,
                     const void *bytes, size_t size, cb_error *error)
{
    (void)crypto_generichash_update(state, bytes, size);
    return cb_backup_file_write(target, bytes, size, error);
}

static cb_status put_database(const struct work *work, cb_backup_file *target,
                              crypto_generichash_state *state,
                              cb_backup_file *source, cb_error *error)
{
    cb_status status = CB_OK;
    uint8_t *chunk = malloc(CB_BACKUP_CHUNK_BYTES);
    if (chunk == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    while (source->offset < source->size && status == CB_OK) {
        uint64_t left = source->size - source->offset;
        size_t part =
            left < CB_BACKUP_CHUNK_BYTES ? (size_t)left : CB_BACKUP_CHUNK_BYTES;
        status = heed(work, error);
        if (status == CB_OK) {
            status = cb_backup_file_read(source, chunk, part, error);
        }
        if (status == CB_OK) {
            status = put(target, state, chunk, part, error);
        }
    }
    free(chunk);
    return status;
}

static cb_status put_all(struct work *work, cb_backup_file *target,
                         cb_backup_file *source, cb_error *error)
{
    uint8_t head[CB_BACKUP_HEAD_BYTES];
    uint8_t hash[CB_BACKUP_HASH_BYTES];
    crypto_generichash_state state;
    work->head.database_size = source->size;
    cb_backup_format_head(&work->head, head);
    (void)crypto_generichash_init(&state, cb_secret_view(work->hash_key),
                                  CB_KEY_BYTES, sizeof hash);
    cb_status status = put(target, &state, head, sizeof head, error);
    if (status == CB_OK) {
        status =
            put(target, &state, work->slots.bytes, work->slots.size, error);
    }
    if (status == CB_OK) {
        status = put_database(work, target, &state, source, error);
    }
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    sodium_memzero(&state, sizeof state);
    if (status == CB_OK) {
        status = cb_backup_file_write(target, hash, sizeof hash, error);
    }
    return status == CB_OK ? cb_backup_file_flush(target, error) : status;
}

static cb_status write_part(struct work *work, cb_error *error)
{
    const cb_environment *environment = work->store->environment;
    cb_backup_file target = { 0 };
    cb_backup_file source = { 0 };
    cb_status status =
        cb_backup_file_make(environment, work->part, &target, error);
    if (status == CB_OK) {
        status = cb_backup_file_open(environment, work->copy, &source, error);
    }
    if (status == CB_OK) {
        status = put_all(work, &target, &source, error);
    }
    cb_backup_file_close(&source);
    cb_backup_file_close(&target);
    return status;
}

static cb_status look_like_backup(const struct work *work, uint64_t size,
                                  bool *ret_like, cb_error *error)
{
    uint8_t start[CB_BACKUP_MAGIC_BYTES];
    cb_backup_file file = { 0 };
    *ret_like = false;
    if (size < CB_BACKUP_HEAD_BYTES) {
        return CB_OK;
    }
    cb_status status = cb_backup_file_open_locked(work->store->environment,
                                                  work->path, &file, error);
    if (status == CB_OK) {
        status = cb_backup_file_read(&file, start, sizeof start, error);
    }
    *ret_like =
        status == CB_OK && memcmp(start, CB_BACKUP_MAGIC, sizeof start) == 0;
    cb_backup_file_close(&file);
    return status;
}

/* --replace with a name mistyped must not cost a letter, or the store. */
static cb_status refuse_existing(const struct work *work, bool replace,
                                 cb_error *error)
{
    const cb_environment *environment = work->store->environment;
    cb_file_facts facts;
    bool like = false;
    cb_status status =
        environment->look_at(environment->context, work->path, &facts, error);
    bool regular = status == CB_OK && facts.kind == CB_FILE_REGULAR;
    if (status == CB_NOT_FOUND) {
        return CB_OK;
    }
    if (regular && replace) {
        status = look_like_backup(work, facts.size, &like, error);
    }
    if (status != CB_OK || like) {
        return status;
    }
    if (regular && replace) {
        status =
            cb_error_set(error, CB_EXISTS, "'%s' is not a backup", work->path);
    } else {
        status = cb_error_set(error, CB_EXISTS, "there is %s at '%s' already",
                              regular ? "a file" : "something", work->path);
    }
    cb_error_meaning(error, "it was not touched, and no backup was made");
    cb_error_next(error, regular && !replace
                             ? "choose another name, or give --replace"
                             : "choose another name");
    return status;
}

static cb_status verify(struct work *work, cb_error *error)
{
    cb_backup_head found;
    cb_error words = { 0 };
    cb_status status =
        cb_backup_read(work->store->environment, work->path,
                       work->store->master_key, NULL, &found, &words);
    if (status == CB_OK) {
        work->head.facts.bytes = found.facts.bytes;
        return CB_OK;
    }
    cb_error_set(error, status, "%s",
                 status == CB_DAMAGED
                     ? "the disk gave back something else than was written"
                     : words.what);
    cb_error_meaning(error, "do not rely on '%s'; the store was not changed",
                     work->path);
    cb_error_next(error, "make the backup on another disk or stick");
    return status;
}

cb_status cb_backup_write(cb_store *store, const char *path, bool replace,
                          const cb_backup_watch *watch,
                          cb_backup_facts *ret_facts, cb_error *reterr_error)
{
    struct work work = { .store = store, .path = path, .watch = watch };
    const cb_environment *environment = store->environment;
    bool part = false;
    cb_status status = refuse_existing(&work, replace, reterr_error);
    if (status == CB_OK) {
        status = prepare(&work, reterr_error);
    }
    if (status == CB_OK) {
        status = make_copy(&work, reterr_error);
    }
    if (status == CB_OK) {
        part = true;
        status = write_part(&work, reterr_error);
    }
    if (status == CB_OK) {
        status = environment->move_file(environment->context, work.part, path,
                                        reterr_error);
        part = status != CB_OK;
    }
    if (work.copy != NULL) {
        cb_backup_remove_database(environment, work.copy);
    }
    if (part) {
        (void)environment->remove_file(environment->context, work.part, NULL);
    }
    if (status == CB_OK) {
        status = verify(&work, reterr_error);
    } else {
        cb_error_meaning(reterr_error, "no backup was made; the store was not "
                                       "changed");
        if (status == CB_NOT_FOUND) {
            cb_error_next(reterr_error, "name a folder that is there");
        }
    }
    if (status == CB_OK) {
        *ret_facts = work.head.facts;
    }
    clear(&work);
    return status;
}
