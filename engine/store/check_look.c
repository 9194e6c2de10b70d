/* SPDX-License-Identifier: Apache-2.0 */
/* A database opened to be looked at, before anything may be written to it. */
#include "store/database.h"

#include <stdlib.h>
#include <string.h>

#define URI_BYTES_MAX 16384

/* As of any connection, but for the journal: changing its mode writes. */
static const char look_policy[] = "PRAGMA synchronous=FULL;"
                                  "PRAGMA cache_spill=OFF;"
                                  "PRAGMA cache_size=-65536;"
                                  "PRAGMA temp_store=MEMORY;"
                                  "PRAGMA mmap_size=0;"
                                  "PRAGMA foreign_keys=ON;"
                                  "PRAGMA trusted_schema=OFF;"
                                  "PRAGMA cell_size_check=ON;";

static int open_path(cb_database *database, const char *path, int flags)
{
    (void)sqlite3_close(database->connection);
    database->connection = NULL;
    return sqlite3_open_v2(path, &database->connection,
                           flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                           cb_vfs_name(database->vfs));
}

static int open_as(cb_database *database, int flags)
{
    bool like_uri = strncmp(database->path, "file:", 5) == 0;
    char *path = sqlite3_mprintf("%s%s", like_uri ? "./" : "", database->path);
    int code = path == NULL ? SQLITE_NOMEM : open_path(database, path, flags);
    sqlite3_free(path);
    return code;
}

static cb_status set_up(cb_database *database, cb_error *error)
{
    (void)sqlite3_busy_handler(database->connection, cb_database_wait,
                               database);
    (void)sqlite3_db_config(database->connection,
                            SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_db_config(database->connection, SQLITE_DBCONFIG_DEFENSIVE, 1,
                            NULL);
    /* What a damaged first page makes fail here fails again when asked. */
    (void)sqlite3_exec(database->connection, look_policy, NULL, NULL, NULL);
    return cb_vfs_prepare(database->connection, "main", error);
}

static cb_status open_connection(cb_database *database, cb_error *error)
{
    int code = open_as(database, SQLITE_OPEN_READWRITE);
    if (code != SQLITE_OK) {
        code = open_as(database, SQLITE_OPEN_READONLY);
    }
    return code == SQLITE_OK ? set_up(database, error)
                             : cb_database_failed(database, code, error);
}

cb_status cb_database_look_frozen(cb_database *database, cb_error *reterr_error)
{
    cb_buffer uri;
    cb_buffer_init(&uri, URI_BYTES_MAX);
    cb_buffer_append_text(&uri, database->path[0] == '/' ? "file://" : "file:");
    for (const char *c = database->path; *c != '\0'; c++) {
        if (strchr("?#%", *c) != NULL) {
            cb_buffer_append_format(&uri, "%%%02x", (unsigned char)*c);
        } else {
            cb_buffer_append(&uri, c, 1);
        }
    }
    cb_buffer_append_text(&uri, "?immutable=1");
    cb_status status = cb_buffer_check(&uri, reterr_error);
    if (status == CB_OK) {
        int code = open_path(database, cb_buffer_text(&uri),
                             SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
        status = code == SQLITE_OK
                     ? set_up(database, reterr_error)
                     : cb_database_failed(database, code, reterr_error);
    }
    cb_buffer_clear(&uri);
    return status;
}

cb_status cb_database_look(const cb_environment *environment, const char *path,
                           const cb_secret *master_key,
                           const cb_patience *patience,
                           cb_database **ret_database, cb_error *reterr_error)
{
    cb_database *database = calloc(1, sizeof *database);
    if (database == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    database->environment = environment;
    database->patience = *patience;
    database->path = strdup(path);
    cb_status status =
        database->path == NULL
            ? cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory")
            : cb_database_index(database, reterr_error);
    if (status == CB_OK) {
        status =
            cb_vfs_create(environment, master_key, cb_database_best_cipher(),
                          &database->vfs, reterr_error);
    }
    if (status == CB_OK) {
        status = open_connection(database, reterr_error);
    }
    if (status != CB_OK) {
        cb_database_close(database);
        return status;
    }
    database->patience = (cb_patience){ 0 };
    *ret_database = database;
    return CB_OK;
}

void cb_database_settle_on_close(cb_database *database)
{
    (void)sqlite3_db_config(database->connection,
                            SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
}
