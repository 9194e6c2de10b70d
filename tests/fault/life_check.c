/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/life.h"

#include <stdio.h>
#include <string.h>

/* How far a database has come: -1 where it has no tables. */
static int read_number(struct life *life, const char *schema)
{
    char sql[SQL_BYTES];
    sqlite3_stmt *statement = NULL;
    int number = -1;
    snprintf(sql, sizeof sql, "SELECT number FROM %s.head", schema);
    int result = sqlite3_prepare_v2(life->database, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
        number = sqlite3_column_int(statement, 0);
    } else if (result == SQLITE_ERROR) {
        return -1; /* no such table */
    }
    sqlite3_finalize(statement);
    if (result != SQLITE_ROW) {
        life_fail(life, "after the cut", sqlite3_errmsg(life->database));
    }
    return number;
}

static void check_database(struct life *life, int which)
{
    char sql[SQL_BYTES];
    char text[200];
    sqlite3_stmt *statement = NULL;
    struct hash hash;
    int number = read_number(life, life_schemas[which]);
    if (number != life->acknowledged && number != life->acknowledged + 1) {
        snprintf(text, sizeof text, "%s is at %d, acknowledged was %d",
                 life_schemas[which], number, life->acknowledged);
        life_fail(life, "lost", text);
        return;
    }
    if (number >= 0 &&
        (!life_hash(life->database, life_schemas[which], &hash) ||
         memcmp(&hash, &life->hashes[number][which], sizeof hash) != 0)) {
        snprintf(text, sizeof text, "%s at %d", life_schemas[which], number);
        life_fail(life, "half a transaction", text);
    }
    snprintf(sql, sizeof sql, "PRAGMA %s.integrity_check", life_schemas[which]);
    (void)sqlite3_prepare_v2(life->database, sql, -1, &statement, NULL);
    const char *verdict = sqlite3_step(statement) == SQLITE_ROW
                              ? (const char *)sqlite3_column_text(statement, 0)
                              : sqlite3_errmsg(life->database);
    if (strcmp(verdict, "ok") != 0) {
        life_fail(life, "integrity", verdict);
    }
    sqlite3_finalize(statement);
    if (which == 1 && number != read_number(life, life_schemas[0])) {
        life_fail(life, "half a transaction", "one database without the other");
    }
}

/*
 * With a rollback journal, SQLite neither journals nor ever reads a free page
 * that it takes into use, so a cut may leave one torn, or newer than its
 * version says; a log heals it.
 */
static void judge_damage(void *context, const struct cb_vfs_damage *damage)
{
    struct life *life = context;
    char sql[SQL_BYTES];
    char text[60];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql, "SELECT 1 FROM dbstat('%s') WHERE pageno = %llu",
             life_schemas[life->scrubbed], (unsigned long long)damage->number);
    int result = sqlite3_prepare_v2(life->database, sql, -1, &statement, NULL);
    if (result == SQLITE_OK) {
        result = sqlite3_step(statement);
    }
    bool free_page = result == SQLITE_DONE;
    sqlite3_finalize(statement);
    if (free_page && strcmp(life->configuration->mode, "WAL") != 0 &&
        (damage->fault == CB_VFS_FAULT_UNREADABLE ||
         damage->fault == CB_VFS_FAULT_STALE)) {
        life->free_torn++;
        return;
    }
    snprintf(text, sizeof text, "page %llu of '%s'",
             (unsigned long long)damage->number, life_files[life->scrubbed]);
    life_fail(life, "scrub", text);
}

static void scrub(struct life *life)
{
    struct cb_vfs_scrub_result result = { .pages = 0 };
    cb_error error = { .status = CB_OK };
    if (life->tracking &&
        cb_vfs_demand_tracking(life->database, life_schemas[life->scrubbed],
                               &error) != CB_OK) {
        life_fail(life, "tracking", error.what);
    }
    if (read_number(life, life_schemas[life->scrubbed]) >= 0 &&
        cb_vfs_scrub(life->vfs, life_files[life->scrubbed], judge_damage, life,
                     &result, &error) != CB_OK) {
        life_fail(life, "scrub", error.what);
    }
}

void life_check(struct life *life)
{
    if (life_open(life)) {
        for (int i = 0; i < life_databases(life); i++) {
            check_database(life, i);
        }
        (void)life_run(life, "PRAGMA wal_checkpoint(TRUNCATE)");
        for (int i = 0; i < life_databases(life) && life->vfs != NULL; i++) {
            life->scrubbed = i;
            scrub(life);
        }
    }
    life_close(life);
}
