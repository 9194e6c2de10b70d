/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite says of its own file, and whether the tables are ours. */
#include "store/check.h"

#include <casebound/embedded.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEMS_MAX 100

/* Rows of one column of text; a row that says "ok" says nothing. */
static cb_status run_check(cb_check *check, const char *statement,
                           enum cb_check_code code, const char *subject)
{
    cb_error words = { .status = CB_OK };
    cb_vfs_forget_damage(check->store->database->vfs);
    cb_query query = cb_query_begin(check->store->database, statement);
    cb_status status = cb_query_step(&query, &words);
    for (size_t i = 0; status == CB_OK && i < PROBLEMS_MAX; i++) {
        const char *text = cb_query_text(&query, 0);
        if (strcmp(text, "ok") != 0) {
            status =
                cb_check_found(check, code, NULL, "%s: %.200s", subject, text);
        }
        if (status == CB_OK) {
            status = cb_query_step(&query, &words);
        }
    }
    cb_query_end(&query);
    return status == CB_END || status == CB_OK
               ? CB_OK
               : cb_check_bear(check, status, &words, NULL, subject);
}

/* A row of table, row, parent. */
static cb_status check_references(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    cb_query query = cb_query_begin(check->store->database, "check_references");
    cb_status status = cb_query_step(&query, &words);
    while (status == CB_OK) {
        const cb_check_place place =
            cb_check_at_subject(cb_query_text(&query, 0));
        status = cb_check_found(
            check, CB_CHECK_STRUCTURE_REFERENCE, &place,
            "row %lld of table '%.40s' points at a row of '%.40s' that is not "
            "there",
            (long long)cb_query_integer(&query, 1), cb_query_text(&query, 0),
            cb_query_text(&query, 2));
        if (status == CB_OK) {
            status = cb_query_step(&query, &words);
        }
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK
                            : cb_check_bear(check, status, &words, NULL,
                                            "the references between rows");
}

/* ------------------------------------------------------------------- schema */

/* What the migrations make of nothing, in memory. */
static cb_status make_fresh(cb_check *check, cb_database **ret_fresh)
{
    cb_error *error = &check->error;
    cb_database *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    fresh->environment = check->environment;
    fresh->path = strdup("memory");
    cb_status status =
        fresh->path == NULL ||
                sqlite3_open_v2(":memory:", &fresh->connection,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                    SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
                                "memdb") != SQLITE_OK
            ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
            : cb_database_index(fresh, error);
    if (status == CB_OK) {
        status = cb_database_migrate(fresh, error);
    }
    if (status != CB_OK) {
        cb_database_close(fresh);
        return status;
    }
    *ret_fresh = fresh;
    return CB_OK;
}

/* Whether `other` has the same object; its row is name, type, text. */
static cb_status compare_object(cb_database *other, const cb_query *row,
                                bool *ret_same, cb_error *error)
{
    cb_query query = cb_query_begin(other, "check_schema_find");
    cb_query_bind_text(&query, ":name", cb_query_text(row, 0));
    cb_status status = cb_query_step(&query, error);
    *ret_same = status == CB_OK &&
                strcmp(cb_query_text(&query, 1), cb_query_text(row, 1)) == 0 &&
                strcmp(cb_query_text(&query, 2), cb_query_text(row, 2)) == 0;
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static cb_status compare_schema(cb_check *check, cb_database *from,
                                cb_database *with, const char *words_format)
{
    cb_error words = { .status = CB_OK };
    cb_query query = cb_query_begin(from, "check_schema");
    cb_status status = cb_query_step(&query, &words);
    while (status == CB_OK) {
        bool same = false;
        status = compare_object(with, &query, &same, &words);
        if (status == CB_OK && !same) {
            const cb_check_place place =
                cb_check_at_subject(cb_query_text(&query, 0));
            status =
                cb_check_found(check, CB_CHECK_STRUCTURE_SCHEMA, &place,
                               "the %.10s '%.40s' %s", cb_query_text(&query, 1),
                               cb_query_text(&query, 0), words_format);
        }
        if (status == CB_OK) {
            status = cb_query_step(&query, &words);
        }
    }
    cb_query_end(&query);
    return status == CB_END
               ? CB_OK
               : cb_check_bear(check, status, &words, NULL, "the schema");
}

static cb_status check_schema(cb_check *check)
{
    cb_database *fresh = NULL;
    cb_database *database = check->store->database;
    cb_status status = make_fresh(check, &fresh);
    if (status == CB_OK) {
        status = compare_schema(check, fresh, database,
                                "is missing, or is not as this version makes "
                                "it");
    }
    if (status == CB_OK &&
        cb_check_seen(check, CB_CHECK_STRUCTURE_SCHEMA) == 0) {
        status = compare_schema(check, database, fresh,
                                "is not one that this version makes");
    }
    cb_database_close(fresh);
    return status;
}

/* Nothing is migrated on top of damage. */
static cb_status check_version(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    int version = 0;
    int newest = cb_database_newest_version();
    const cb_check_place place = cb_check_at_file("casebook.db");
    cb_status status =
        cb_database_version(check->store->database, &version, &words);
    if (status != CB_OK) {
        check->readable = false;
        return cb_check_bear(check, status, &words, &place,
                             "the version of the schema");
    }
    if (version > newest) {
        check->report->unfinished = true;
        return cb_check_found(check, CB_CHECK_STRUCTURE_NEWER, &place,
                              "the store was made by a newer version (schema "
                              "%d, this version knows %d)",
                              version, newest);
    }
    check->has_current = version == newest;
    return CB_OK;
}

/* As an opening does; what was found sound stays so. */
static cb_status migrate(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    cb_status status = cb_database_migrate(check->store->database, &words);
    check->has_current = status == CB_OK;
    return cb_check_bear(check, status, &words, NULL, "the older schema");
}

/* That the file is tracked stands on one of its pages. */
static cb_status check_table(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    const cb_check_place place = cb_check_at_file("casebook.db-pages");
    cb_status status = cb_database_demand_pages(check->store->database, &words);
    cb_vfs_forget_damage(check->store->database->vfs);
    return status == CB_DAMAGED ? cb_check_found(check, CB_CHECK_PAGES_TABLE,
                                                 &place, "%s", words.what)
                                : cb_check_bear(check, status, &words, &place,
                                                "the table of page versions");
}

cb_status cb_check_structure(cb_check *check)
{
    if (!check->readable) {
        return CB_OK;
    }
    cb_status status = cb_check_step(check, "checking structure", 0, 0);
    if (status == CB_OK) {
        status = check_version(check);
    }
    /* Where pages are damaged, SQLite would only say the same once more. */
    if (status == CB_OK && check->readable && check->pages_sound) {
        status = run_check(check, "check_integrity", CB_CHECK_STRUCTURE_DAMAGED,
                           "the database");
    }
    if (status == CB_OK && check->readable && check->pages_sound) {
        status = check_references(check);
    }
    if (status == CB_OK && check->readable && !check->has_current &&
        !check->report->unfinished && check->pages_sound &&
        !cb_check_report_refuses(check->report)) {
        status = migrate(check);
    }
    if (status == CB_OK && check->readable && check->has_current) {
        status = check_schema(check);
    }
    if (status == CB_OK && check->readable && check->has_current) {
        status = check_table(check);
    }
    return status;
}
