/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the database under another key, or another cipher.
 *
 * VACUUM INTO reads one snapshot and writes each table anew, so the copy holds
 * no page that is free, and with it nothing that was erased or struck out of
 * the original.  It goes through a VFS instance of the copy's own key, named in
 * a URI; the URI's path is escaped, because SQLite would take a '?', '#' or '%'
 * in a folder's name for its own.
 *
 * SQLite never flushes what VACUUM INTO wrote (it counts on a backup being made
 * again), so it is flushed here, and the name was made durable before.  Only
 * then is the copy proved: from the file, through a new connection, so nothing
 * is believed because it is still in memory.
 */
#include "store/database.h"

#include <stdlib.h>
#include <string.h>

#define COPY_URI_BYTES_MAX 16384

struct copy {
    cb_database *source;
    const char *path;
    cb_buffer uri;
    cb_vfs *vfs;
    sqlite3 *connection;
};

/* What SQLite, the VFS and we ourselves put beside a database. */
static const char *const side_files[] = { "-wal", "-journal", "-shm",
                                          "-pages" };

static void remove_file(const cb_environment *environment, const char *path,
                        const char *suffix)
{
    cb_buffer name;
    cb_buffer_init(&name, COPY_URI_BYTES_MAX);
    cb_buffer_append_format(&name, "%s%s", path, suffix);
    if (cb_buffer_check(&name, NULL) == CB_OK) {
        (void)environment->remove_file(environment->context,
                                       cb_buffer_text(&name), NULL);
    }
    cb_buffer_clear(&name);
}

/* The database first: what stands beside it means nothing without it. */
static void remove_all(const cb_environment *environment, const char *path)
{
    remove_file(environment, path, "");
    for (size_t i = 0; i < sizeof side_files / sizeof side_files[0]; i++) {
        remove_file(environment, path, side_files[i]);
    }
}

/* Makes the file, empty and this user's alone, and its name durable. */
static cb_status claim(const struct copy *copy, cb_error *error)
{
    const cb_environment *environment = copy->source->environment;
    cb_error trouble = { 0 };
    cb_buffer start;
    cb_buffer_init(&start, 1);
    cb_status status = environment->read_file(environment->context, copy->path,
                                              &start, &trouble);
    cb_buffer_clear(&start);
    if (status == CB_OK || status == CB_LIMIT) {
        status =
            cb_error_set(error, CB_EXISTS, "'%s' is there already", copy->path);
        cb_error_meaning(error, "it was not touched, and no copy was made");
        cb_error_next(error, "choose another name for the copy");
        return status;
    }
    if (status != CB_NOT_FOUND) {
        status = cb_error_set(error, status, "%s", trouble.what);
        cb_error_meaning(error, "no copy was made");
        return status;
    }
    remove_all(environment, copy->path);
    return environment->replace_file(environment->context, copy->path,
                                     (cb_span){ NULL, 0 }, error);
}

static cb_status copy_failed(const struct copy *copy, int code, cb_error *error)
{
    int primary = code & 0xff;
    cb_status status = CB_IO;
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ||
        primary == SQLITE_BUSY || primary == SQLITE_LOCKED ||
        primary == SQLITE_NOMEM || code == SQLITE_IOERR_DATA ||
        code == SQLITE_IOERR_NOMEM) {
        /* It is about what is read. */
        return cb_database_failed(copy->source, code, error);
    }
    if (primary == SQLITE_INTERRUPT) {
        status = cb_error_set(error, CB_INTERRUPTED,
                              "copying the store was interrupted");
        cb_error_next(error, "run it again when there is time for it");
    } else if (primary == SQLITE_FULL) {
        status = cb_error_set(error, CB_NO_SPACE,
                              "there is no room for a copy of the store at "
                              "'%s'",
                              copy->path);
    } else {
        status = cb_error_set(error, CB_IO,
                              "the copy '%s' could not be written or read: %s",
                              copy->path, sqlite3_errstr(code));
    }
    cb_error_meaning(error, "the unfinished copy was taken away; the store "
                            "itself was not changed");
    return status;
}

static cb_status make_uri(struct copy *copy, cb_error *error)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz"
                                "0123456789/._-~";
    /* An empty authority, or two slashes at the start would be taken for one */
    cb_buffer_append_text(&copy->uri,
                          copy->path[0] == '/' ? "file://" : "file:");
    for (const char *place = copy->path; *place != '\0'; place++) {
        if (strchr(plain, *place) != NULL) {
            cb_buffer_append(&copy->uri, place, 1);
        } else {
            cb_buffer_append_format(&copy->uri, "%%%02x",
                                    (unsigned char)*place);
        }
    }
    cb_buffer_append_format(&copy->uri, "?vfs=%s", cb_vfs_name(copy->vfs));
    return cb_buffer_check(&copy->uri, error);
}

static cb_status write_copy(const struct copy *copy, cb_error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(copy->source->connection,
                                  "VACUUM main INTO ?1", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(statement, 1, cb_buffer_text(&copy->uri), -1,
                                 SQLITE_TRANSIENT);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? CB_OK : copy_failed(copy, code, error);
}

static cb_status flush(const struct copy *copy, cb_error *error)
{
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(copy->connection, "main",
                                    SQLITE_FCNTL_FILE_POINTER, &file);
    if (code == SQLITE_OK) {
        code = file->pMethods->xSync(file, SQLITE_SYNC_FULL);
    }
    return code == SQLITE_OK ? CB_OK : copy_failed(copy, code, error);
}

/* One integer from a connection; `sql` is ours, `name` a table's. */
static int count_rows(sqlite3 *connection, const char *name, int64_t *ret_count)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", name);
    int code = sql == NULL
                   ? SQLITE_NOMEM
                   : sqlite3_prepare_v2(connection, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *ret_count = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    sqlite3_free(sql);
    return code;
}

static cb_status differs(const struct copy *copy, const char *what,
                         cb_error *error)
{
    cb_status status =
        cb_error_set(error, CB_IO, "the copy '%s' %s", copy->path, what);
    cb_error_meaning(error, "it was taken away; the store itself was not "
                            "changed");
    cb_error_next(error, "try again on another disk or stick");
    return status;
}

/* Every table is there with as many rows; virtual ones have theirs in others.
 */
static cb_status compare_tables(const struct copy *copy, cb_error *error)
{
    sqlite3_stmt *statement = NULL;
    cb_status status = CB_OK;
    int code = sqlite3_prepare_v2(copy->source->connection,
                                  "SELECT name FROM main.sqlite_schema "
                                  "WHERE type = 'table' AND rootpage > 0",
                                  -1, &statement, NULL);
    while (code == SQLITE_OK && status == CB_OK) {
        int64_t expected = 0;
        int64_t found = 0;
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            break;
        }
        const void *text = sqlite3_column_text(statement, 0);
        const char *name = text == NULL ? "" : text;
        code = count_rows(copy->source->connection, name, &expected);
        if (code == SQLITE_OK) {
            code = count_rows(copy->connection, name, &found);
        }
        if (code == SQLITE_OK && expected != found) {
            status = differs(copy, "has not got all rows", error);
        }
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_OK || code == SQLITE_DONE
               ? status
               : copy_failed(copy, code, error);
}

static cb_status check_integrity(const struct copy *copy, cb_error *error)
{
    sqlite3_stmt *statement = NULL;
    cb_status status = CB_OK;
    int code =
        sqlite3_prepare_v2(copy->connection, "PRAGMA main.integrity_check(1)",
                           -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_ROW) {
        status = copy_failed(copy, code, error);
    } else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") !=
               0) {
        status = differs(copy, "is not sound", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static cb_status open_copy(struct copy *copy, cb_error *error)
{
    int code = sqlite3_open_v2(cb_buffer_text(&copy->uri), &copy->connection,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI |
                                   SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                               NULL);
    if (code != SQLITE_OK) {
        return copy_failed(copy, code, error);
    }
    (void)sqlite3_db_config(copy->connection, SQLITE_DBCONFIG_DEFENSIVE, 1,
                            NULL);
    code = sqlite3_exec(copy->connection,
                        "PRAGMA temp_store=MEMORY;PRAGMA trusted_schema=OFF;"
                        "PRAGMA cell_size_check=ON;",
                        NULL, NULL, NULL);
    return code == SQLITE_OK ? cb_vfs_prepare(copy->connection, "main", error)
                             : copy_failed(copy, code, error);
}

static cb_status scrub(const struct copy *copy, enum cb_vfs_cipher cipher,
                       cb_error *error)
{
    struct cb_vfs_scrub_result result = { 0 };
    cb_status status =
        cb_vfs_scrub(copy->vfs, copy->path, NULL, NULL, &result, error);
    if (status == CB_OK && result.damaged != 0) {
        status = differs(copy, "does not hold what was written to it", error);
    }
    if (status == CB_OK && result.cipher != cipher) {
        status = differs(copy, "is not the file that was written", error);
    }
    return status;
}

cb_status cb_database_copy(cb_database *database, const char *path,
                           const cb_secret *key, enum cb_vfs_cipher cipher,
                           cb_error *reterr_error)
{
    CB_ASSERT(!cb_database_in_transaction(database));
    struct copy copy = { .source = database, .path = path };
    bool claimed = false;
    cb_buffer_init(&copy.uri, COPY_URI_BYTES_MAX);
    cb_status status = cb_vfs_create(database->environment, key, cipher,
                                     &copy.vfs, reterr_error);
    if (status == CB_OK) {
        status = make_uri(&copy, reterr_error);
    }
    if (status == CB_OK) {
        status = claim(&copy, reterr_error);
        claimed = status == CB_OK;
    }
    if (status == CB_OK) {
        status = write_copy(&copy, reterr_error);
    }
    if (status == CB_OK) {
        status = open_copy(&copy, reterr_error);
    }
    if (status == CB_OK) {
        status = flush(&copy, reterr_error);
    }
    if (status == CB_OK) {
        status = check_integrity(&copy, reterr_error);
    }
    if (status == CB_OK) {
        status = compare_tables(&copy, reterr_error);
    }
    (void)sqlite3_close(copy.connection);
    if (status == CB_OK) {
        status = scrub(&copy, cipher, reterr_error);
    }
    cb_vfs_destroy(copy.vfs);
    cb_buffer_clear(&copy.uri);
    if (status != CB_OK && claimed) {
        remove_all(database->environment, path);
    }
    return status;
}
