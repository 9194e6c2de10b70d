/* SPDX-License-Identifier: Apache-2.0 */
#include "store/database.h"

#include <casebound/embedded.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENT_MARK "-- name: "

/*
 * The policy of the connection.  cache_spill=OFF keeps a page from being sealed
 * twice in one transaction and avoids a defect of SQLite 3.40.1 by which a
 * committed transaction can be lost after a crash; the large cache makes the
 * cipher's cost on reads vanish.  An entry touches a dozen pages in as many
 * trees, so a log of 8 MiB saves twice as often what is written back twice.
 */
static const char policy[] = "PRAGMA journal_mode=WAL;"
                             "PRAGMA synchronous=FULL;"
                             "PRAGMA cache_spill=OFF;"
                             "PRAGMA cache_size=-65536;"
                             "PRAGMA temp_store=MEMORY;"
                             "PRAGMA mmap_size=0;"
                             "PRAGMA foreign_keys=ON;"
                             "PRAGMA trusted_schema=OFF;"
                             "PRAGMA cell_size_check=ON;"
                             "PRAGMA secure_delete=OFF;"
                             "PRAGMA wal_autocheckpoint=2000;";

static int compare_statements(const void *a, const void *b)
{
    const cb_statement *left = a;
    const cb_statement *right = b;
    return cb_statement_compare(left, right->name, right->name_size);
}

/*
 * A reader's: the index of the log is in its own memory, and its close must not
 * touch the log of the one that writes.
 */
static const char reading_policy[] = "PRAGMA locking_mode=EXCLUSIVE;"
                                     "PRAGMA query_only=ON;"
                                     "PRAGMA cache_size=-65536;"
                                     "PRAGMA temp_store=MEMORY;"
                                     "PRAGMA mmap_size=0;"
                                     "PRAGMA trusted_schema=OFF;"
                                     "PRAGMA cell_size_check=ON;";

#define LOST_ATTEMPTS 5
#define LOST_PAUSE_MS 20

/* What a database is opened for. */
enum purpose {
    TO_WRITE,
    TO_CREATE,
    TO_REBUILD, /* the table of page versions is made anew, not demanded */
    TO_READ,    /* beside another process that may be writing */
};

static cb_status index_file(cb_database *database, const char *name,
                            cb_error *error)
{
    const cb_embedded_file *file = cb_embedded_find(name);
    CB_ASSERT(file != NULL);
    const char *place = strstr((const char *)file->bytes, STATEMENT_MARK);
    while (place != NULL) {
        if (database->statement_count == CB_DATABASE_STATEMENTS_MAX) {
            return cb_error_set(error, CB_FAILED, "too many statements");
        }
        const char *start = place + strlen(STATEMENT_MARK);
        size_t name_size = strcspn(start, "\n");
        const char *sql = start + name_size;
        const char *next = strstr(sql, STATEMENT_MARK);
        database->statements[database->statement_count++] = (cb_statement){
            .name = start,
            .name_size = name_size,
            .sql = sql,
            .sql_size = next == NULL ? strlen(sql) : (size_t)(next - sql),
        };
        place = next;
    }
    return CB_OK;
}

cb_status cb_database_index(cb_database *database, cb_error *error)
{
    cb_status status = index_file(database, "sql/queries.sql", error);
    if (status == CB_OK) {
        status = index_file(database, "sql/check.sql", error);
    }
    qsort(database->statements, database->statement_count,
          sizeof *database->statements, compare_statements);
    return status;
}

/* What the pages themselves say, put into words; CB_OK where they verify. */
static cb_status explain_damage(const cb_database *database, cb_error *error)
{
    struct cb_vfs_damage damage;
    if (database->vfs == NULL || !cb_vfs_damage(database->vfs, &damage)) {
        return CB_OK;
    }
    cb_error words = { 0 };
    cb_status status = cb_vfs_explain(&damage, &words);
    if (status == CB_WRONG_KEY) {
        /* unlock.json has vouched for the key already. */
        status = cb_error_set(error, CB_DAMAGED,
                              "the first page of '%s' does not verify",
                              database->path);
    } else {
        status = cb_error_set(error, status, "%s", words.what);
    }
    bool content = status == CB_DAMAGED && damage.kind == CB_VFS_MAIN &&
                   damage.fault != CB_VFS_FAULT_STALE;
    cb_error_meaning(error, "%s",
                     words.meaning[0] == '\0' || content
                         ? "what is on that page cannot be trusted; "
                           "nothing was changed, and what was synced is "
                           "safe at the hub"
                         : words.meaning);
    if (words.next[0] != '\0') {
        cb_error_next(error, "%s", words.next);
    } else if (status == CB_DAMAGED) {
        cb_error_next(error, "copy the folder away as it is, then: casebound "
                             "doctor");
    }
    return status;
}

static cb_status report_damage(cb_database *database, cb_error *error)
{
    cb_status status = explain_damage(database, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_error_set(error, CB_DAMAGED, "the store '%s' is damaged",
                          database->path);
    cb_error_meaning(error, "nothing was changed, and what was synced is safe "
                            "at the hub");
    cb_error_next(error, "casebound doctor");
    return status;
}

static cb_status refuse_use(const cb_database *database, cb_error *error)
{
    char holder[CB_HOLDER_WORDS_BYTES];
    cb_holder_words(database->environment, database->path, holder);
    cb_status status =
        cb_error_set(error, CB_IN_USE, "the store '%s' is in use by %s",
                     database->path, holder);
    cb_error_meaning(error, "nothing was changed");
    return status;
}

/*
 * Whether the last transaction is there, only the disk knows: it was handed
 * over, but not confirmed.
 */
static cb_status report_failed_sync(const cb_database *database,
                                    cb_error *error)
{
    cb_status status =
        cb_error_set(error, CB_IO,
                     "the disk of the store '%s' did not confirm that it had "
                     "written",
                     database->path);
    cb_error_meaning(error, "this was not recorded for certain; everything "
                            "recorded before is safe, and nothing more is "
                            "written to that disk now");
    cb_error_next(error, "close this program, make a copy of the folder on "
                         "another disk, run it again and look what is there");
    return status;
}

cb_status cb_database_failed(cb_database *database, int code,
                             cb_error *reterr_error)
{
    int extended = database->connection == NULL
                       ? code
                       : sqlite3_extended_errcode(database->connection);
    cb_status status = CB_FAILED;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return refuse_use(database, reterr_error);
    case SQLITE_FULL:
        status =
            cb_error_set(reterr_error, CB_NO_SPACE,
                         "the disk of the store '%s' is full", database->path);
        cb_error_meaning(reterr_error,
                         "this was not recorded; everything recorded before "
                         "is safe");
        return status;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        status = cb_error_set(reterr_error, CB_PERMISSION,
                              "the store '%s' cannot be written: %s",
                              database->path, sqlite3_errstr(code));
        cb_error_meaning(reterr_error, "nothing was changed");
        cb_error_next(reterr_error, "check who owns the folder and whether "
                                    "the disk is read-only");
        return status;
    case SQLITE_NOMEM:
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    case SQLITE_CONSTRAINT:
        status =
            cb_error_set(reterr_error, CB_DAMAGED,
                         "what was given contradicts what the store '%s' "
                         "holds: %s",
                         database->path, sqlite3_errmsg(database->connection));
        cb_error_meaning(reterr_error, "it was not taken in");
        return status;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return report_damage(database, reterr_error);
    case SQLITE_IOERR:
        if (extended == SQLITE_IOERR_NOMEM) {
            return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        }
        if (database->vfs != NULL && cb_vfs_sync_failed(database->vfs)) {
            return report_failed_sync(database, reterr_error);
        }
        status = explain_damage(database, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        status = cb_error_set(reterr_error, CB_IO,
                              "the store '%s' could not be read or written: "
                              "%s",
                              database->path, sqlite3_errstr(extended));
        cb_error_meaning(reterr_error, "this was not recorded; everything "
                                       "recorded before is safe");
        return status;
    case SQLITE_INTERRUPT:
        return cb_error_set(reterr_error, CB_INTERRUPTED,
                            "reading the store '%s' was interrupted",
                            database->path);
    default:
        return cb_error_set(reterr_error, CB_FAILED,
                            "the store '%s' failed: %s", database->path,
                            database->connection == NULL
                                ? sqlite3_errstr(code)
                                : sqlite3_errmsg(database->connection));
    }
}

cb_status cb_database_execute(cb_database *database, const char *sql,
                              cb_error *error)
{
    int code = sqlite3_exec(database->connection, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? CB_OK
                             : cb_database_failed(database, code, error);
}

cb_status cb_database_version(cb_database *database, int *ret_version,
                              cb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->connection, "PRAGMA user_version",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *ret_version = sqlite3_column_int(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? CB_OK
                              : cb_database_failed(database, code, error);
}

/* Where there is nothing, a store that should be here has been lost. */
static cb_status demand_database(cb_database *database, cb_error *error)
{
    int version = 0;
    cb_status status = cb_database_version(database, &version, error);
    if (status == CB_OK && version == 0) {
        status = cb_error_set(error, CB_DAMAGED, "the database '%s' is empty",
                              database->path);
        cb_error_meaning(error, "it was left as it is; what was synced is "
                                "safe at the hub");
        cb_error_next(error, "casebound doctor; then restore a backup: "
                             "casebound -C NEWFOLDER restore FILE");
    }
    return status;
}

static cb_status open_failed(cb_database *database, int code, bool create,
                             cb_error *error)
{
    if (create || (code & 0xff) != SQLITE_CANTOPEN ||
        sqlite3_system_errno(database->connection) != ENOENT) {
        return cb_database_failed(database, code, error);
    }
    cb_status status = cb_error_set(
        error, CB_DAMAGED, "the database '%s' is missing", database->path);
    cb_error_meaning(error, "none was made in its place; what was synced is "
                            "safe at the hub");
    cb_error_next(error, "casebound doctor; then restore a backup: casebound "
                         "-C NEWFOLDER restore FILE");
    return status;
}

/*
 * URIs are allowed, because a copy names its VFS in one; so a path that looks
 * like one must not be taken for it.
 */
static int open_path(cb_database *database, enum purpose purpose)
{
    bool like_uri = strncmp(database->path, "file:", 5) == 0;
    char *path = sqlite3_mprintf("%s%s", like_uri ? "./" : "", database->path);
    if (path == NULL) {
        return SQLITE_NOMEM;
    }
    int flags =
        purpose == TO_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int code = sqlite3_open_v2(
        path, &database->connection,
        flags | (purpose == TO_CREATE ? SQLITE_OPEN_CREATE : 0) |
            SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        cb_vfs_name(database->vfs));
    sqlite3_free(path);
    return code;
}

static cb_status open_connection(cb_database *database, enum purpose purpose,
                                 cb_error *error)
{
    int code = open_path(database, purpose);
    if (code != SQLITE_OK) {
        return open_failed(database, code, purpose == TO_CREATE, error);
    }
    (void)sqlite3_busy_handler(database->connection, cb_database_wait,
                               database);
    cb_status status = cb_vfs_prepare(database->connection, "main", error);
    if (status == CB_OK && purpose == TO_READ) {
        (void)sqlite3_db_config(database->connection,
                                SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        status = cb_database_execute(database, reading_policy, error);
    }
    if (status == CB_OK && purpose != TO_CREATE) {
        status = demand_database(database, error);
    }
    if (status != CB_OK) {
        return status;
    }
    (void)sqlite3_db_config(database->connection, SQLITE_DBCONFIG_DEFENSIVE, 1,
                            NULL);
    return purpose == TO_READ ? CB_OK
                              : cb_database_execute(database, policy, error);
}

/* A moment of the writer's, or frames that were written while we looked. */
static bool is_passing(const cb_database *database, cb_status status)
{
    struct cb_vfs_damage damage;
    return status == CB_IN_USE ||
           (status == CB_DAMAGED && cb_vfs_damage(database->vfs, &damage) &&
            damage.fault == CB_VFS_FAULT_LOST_FRAMES);
}

static cb_status open_to_read(cb_database *database, cb_error *error)
{
    cb_error trouble = { 0 };
    cb_status status = CB_IN_USE;
    bool again = true;
    int lost = 0;
    for (int turns = 0; again; turns++) {
        cb_error_clear(&trouble);
        cb_vfs_forget_damage(database->vfs);
        status = open_connection(database, TO_READ, &trouble);
        again = is_passing(database, status);
        if (again && status == CB_IN_USE) {
            again = cb_database_wait(database, turns) != 0;
        } else if (again) {
            lost++;
            again = lost < LOST_ATTEMPTS;
            (void)sqlite3_sleep(LOST_PAUSE_MS);
        }
        if (again) {
            (void)sqlite3_close(database->connection);
            database->connection = NULL;
        }
    }
    if (status != CB_OK && error != NULL) {
        *error = trouble;
    }
    return status;
}

enum cb_vfs_cipher cb_database_best_cipher(void)
{
    return cb_vfs_cipher_available(CB_VFS_AES256_GCM)
               ? CB_VFS_AES256_GCM
               : CB_VFS_XCHACHA20_POLY1305;
}

cb_status cb_database_open(const cb_environment *environment, const char *path,
                           const cb_secret *master_key, bool create,
                           cb_database **ret_database, cb_error *reterr_error)
{
    const cb_patience silent = { 0 };
    return cb_database_open_patiently(environment, path, master_key, create,
                                      &silent, ret_database, reterr_error);
}

/* Schema and table of page versions as they have to be. */
static cb_status settle(cb_database *database, enum purpose purpose,
                        cb_error *error)
{
    int version = 0;
    cb_status status = CB_OK;
    if (purpose == TO_WRITE || purpose == TO_READ) {
        status = cb_database_demand_pages(database, error);
    }
    if (status == CB_OK && purpose != TO_READ) {
        status = cb_database_migrate(database, error);
        if (status == CB_OK) {
            status =
                cb_database_track_pages(database, purpose == TO_REBUILD, error);
        }
        return status;
    }
    if (status == CB_OK) {
        status = cb_database_version(database, &version, error);
    }
    if (status == CB_OK && version >= cb_database_newest_version()) {
        return cb_database_migrate(database, error); /* which only looks */
    }
    if (status == CB_OK) {
        status = cb_error_set(error, CB_REFUSED,
                              "the store '%s' was last used by another version",
                              database->path);
        cb_error_meaning(error, "nothing was changed; it cannot be read before "
                                "it was opened for writing");
    }
    return status;
}

static cb_status open_database(const cb_environment *environment,
                               const char *path, const cb_secret *master_key,
                               enum purpose purpose,
                               const cb_patience *patience,
                               cb_database **ret_database,
                               cb_error *reterr_error)
{
    cb_database *database = calloc(1, sizeof *database);
    if (database == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status = CB_OK;
    database->environment = environment;
    database->patience = *patience;
    database->path = strdup(path);
    if (database->path == NULL) {
        status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    status = cb_database_index(database, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    status = cb_vfs_create(environment, master_key, cb_database_best_cipher(),
                           &database->vfs, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    if (purpose == TO_READ) {
        database->reading = true;
        cb_vfs_only_read(database->vfs);
        status = open_to_read(database, reterr_error);
    } else {
        cb_vfs_admit_readers(database->vfs);
        status = open_connection(database, purpose, reterr_error);
    }
    if (status == CB_OK) {
        status = settle(database, purpose, reterr_error);
    }
    if (status == CB_OK) {
        /* Whom it tells may be gone before the database is closed. */
        database->patience = (cb_patience){ 0 };
        *ret_database = database;
        database = NULL;
    }
out:
    cb_database_close(database);
    return status;
}

cb_status cb_database_open_patiently(const cb_environment *environment,
                                     const char *path,
                                     const cb_secret *master_key, bool create,
                                     const cb_patience *patience,
                                     cb_database **ret_database,
                                     cb_error *reterr_error)
{
    return open_database(environment, path, master_key,
                         create ? TO_CREATE : TO_WRITE, patience, ret_database,
                         reterr_error);
}

cb_status cb_database_open_reading(const cb_environment *environment,
                                   const char *path,
                                   const cb_secret *master_key,
                                   const cb_patience *patience,
                                   cb_database **ret_database,
                                   cb_error *reterr_error)
{
    return open_database(environment, path, master_key, TO_READ, patience,
                         ret_database, reterr_error);
}

cb_status cb_database_rebuild_pages(const cb_environment *environment,
                                    const char *path,
                                    const cb_secret *master_key,
                                    cb_error *reterr_error)
{
    const cb_patience silent = { 0 };
    cb_database *database = NULL;
    cb_status status = open_database(environment, path, master_key, TO_REBUILD,
                                     &silent, &database, reterr_error);
    cb_database_close(database);
    return status;
}

void cb_database_close(cb_database *database)
{
    if (database == NULL) {
        return;
    }
    for (size_t i = 0; i < database->statement_count; i++) {
        (void)sqlite3_finalize(database->statements[i].prepared);
    }
    (void)sqlite3_close(database->connection);
    cb_vfs_destroy(database->vfs);
    free(database->path);
    free(database);
}

bool cb_database_has_moved(const cb_database *database)
{
    int moved = 0;
    return sqlite3_file_control(database->connection, "main",
                                SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
           moved != 0;
}

bool cb_database_empty_log(cb_database *database)
{
    (void)sqlite3_busy_handler(database->connection, NULL, NULL);
    return sqlite3_wal_checkpoint_v2(database->connection, "main",
                                     SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                     NULL) == SQLITE_OK;
}

static cb_status refuse_to_write(const cb_database *database, cb_error *error)
{
    char words[CB_HOLDER_WORDS_BYTES];
    cb_holder_words(database->environment, database->path, words);
    cb_status status =
        cb_error_set(error, CB_IN_USE, "the store '%s' is in use by %s",
                     database->path, words);
    cb_error_meaning(error, "nothing was recorded; it could only be read");
    cb_error_next(error, "try again when that is done");
    return status;
}

cb_status cb_database_begin(cb_database *database, cb_error *reterr_error)
{
    if (database->reading) {
        return refuse_to_write(database, reterr_error);
    }
    cb_query query = cb_query_begin(database, "transaction_begin");
    return cb_query_run(&query, reterr_error);
}

cb_status cb_database_commit(cb_database *database, cb_error *reterr_error)
{
    cb_query query = cb_query_begin(database, "transaction_commit");
    return cb_query_run(&query, reterr_error);
}

void cb_database_abort(cb_database *database)
{
    if (cb_database_in_transaction(database)) {
        (void)sqlite3_exec(database->connection, "ROLLBACK", NULL, NULL, NULL);
    }
}

bool cb_database_in_transaction(const cb_database *database)
{
    return sqlite3_get_autocommit(database->connection) == 0;
}
