/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing the schema up, one numbered file of SQL after the other.
 */
#include "store/database.h"

#include <casebound/embedded.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number in "sql/migrations/0007-words.sql", or 0 for another file. */
static int migration_number(const char *name)
{
    const char prefix[] = "sql/migrations/";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) {
        return 0;
    }
    return (int)strtol(name + sizeof prefix - 1, NULL, 10);
}

int cb_database_newest_version(void)
{
    int newest = 0;
    for (size_t i = 0; i < cb_embedded_file_count; i++) {
        int number = migration_number(cb_embedded_files[i].name);
        newest = number > newest ? number : newest;
    }
    return newest;
}

static cb_status migrate_to(cb_database *database, int number, const char *sql,
                            cb_error *error)
{
    char mark[48];
    (void)snprintf(mark, sizeof mark, "PRAGMA user_version=%d", number);
    cb_status status = cb_database_begin(database, error);
    if (status == CB_OK) {
        status = cb_database_execute(database, sql, error);
    }
    if (status == CB_OK) {
        status = cb_database_execute(database, mark, error);
    }
    if (status == CB_OK) {
        status = cb_database_commit(database, error);
    }
    if (status != CB_OK) {
        cb_database_abort(database);
    }
    return status;
}

cb_status cb_database_migrate(cb_database *database, cb_error *reterr_error)
{
    int version = 0;
    int newest = cb_database_newest_version();
    cb_status status = cb_database_version(database, &version, reterr_error);
    for (size_t i = 0; i < cb_embedded_file_count && status == CB_OK; i++) {
        int number = migration_number(cb_embedded_files[i].name);
        if (number > version) {
            status = migrate_to(database, number,
                                (const char *)cb_embedded_files[i].bytes,
                                reterr_error);
            version = status == CB_OK ? number : version;
        }
    }
    if (status == CB_OK && version > newest) {
        status = cb_error_set(reterr_error, CB_NEWER,
                              "the store '%s' was made by a newer version "
                              "(schema %d, this version knows %d)",
                              database->path, version, newest);
        cb_error_meaning(reterr_error, "nothing was changed");
    }
    return status;
}
