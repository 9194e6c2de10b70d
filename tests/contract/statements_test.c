/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every statement of the store against the schema that the migrations make: it
 * can be prepared, and none scans a table that grows, but for those listed here
 * with the reason.
 */
#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

static const struct {
    const char *statement;
    const char *why;
} permitted[] = {
    { "case_list",
      "a list of all cases shows all cases, in order of the index" },
    { "case_counts", "one row a case, and only for the overview" },
    { "entry_counts",
      "partial indexes that hold what waits, and nothing else" },
    { "case_changed", "partial index of cases changed since the last fold" },
    { "permission_missing", "partial index of cases changed" },
    { "conflict_list",
      "walks cases in order of reference for their conflicts" },
    { "task_list", "walks cases in order of reference for their tasks" },
    { "key_unacknowledged", "partial index of keys not sent yet" },
    { "key_acknowledge", "partial index of keys not sent yet" },
    { "key_doubt", "once, after the hub lost part of its log" },
    { "entry_of_case_part",
      "the entries of one case, that it has just ranked" },
    { "person_list", "people of one service" },
    { "person_by_name", "people of one service" },
    { "check_key_count", "a check counts what it looked at" },
    { "check_person", "a check compares the roster as a whole" },
    { "check_person_forget", "a check replays the roster as a whole" },
    { "check_person_void", "a check replays the roster as a whole" },
    { "check_permission", "a check compares the roster as a whole" },
    { "check_device", "a check compares the roster as a whole" },
};

static bool used[sizeof permitted / sizeof permitted[0]];

/* The tables that grow with the work. */
static const char *const growing[] = {
    "entry",   "record",     "held",     "ranked",         "compartment_key",
    "stream",  "conflict",   "task",     "permission",     "receipt",
    "segment", "checkpoint", "log_hash", "outbox_backlog", "case_file",
    "first",   "device",     "person",
};

/* Its place in that list, or NULL. */
static bool *find_permission(const cb_statement *statement)
{
    for (size_t i = 0; i < sizeof permitted / sizeof permitted[0]; i++) {
        if (strlen(permitted[i].statement) == statement->name_size &&
            memcmp(permitted[i].statement, statement->name,
                   statement->name_size) == 0) {
            return &used[i];
        }
    }
    return NULL;
}

/* "SCAN entry ..." of one of those tables. */
static bool scans(const char *detail)
{
    if (strncmp(detail, "SCAN ", 5) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof growing / sizeof growing[0]; i++) {
        size_t size = strlen(growing[i]);
        if (strncmp(detail + 5, growing[i], size) == 0 &&
            (detail[5 + size] == ' ' || detail[5 + size] == '\0')) {
            return true;
        }
    }
    return false;
}

static void check_plan(sqlite3 *connection, const cb_statement *statement)
{
    sqlite3_stmt *plan = NULL;
    char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %.*s",
                                (int)statement->sql_size, statement->sql);
    cr_expect(sqlite3_prepare_v2(connection, sql, -1, &plan, NULL) == SQLITE_OK,
              "%.*s: %s", (int)statement->name_size, statement->name,
              sqlite3_errmsg(connection));
    while (plan != NULL && sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        bool *permission = find_permission(statement);
        if (scans(detail) && permission != NULL) {
            *permission = true;
        } else {
            cr_expect(!scans(detail), "'%.*s' scans: %s",
                      (int)statement->name_size, statement->name, detail);
        }
    }
    sqlite3_finalize(plan);
    sqlite3_free(sql);
}

Test(statements, are_prepared_and_scan_nothing_that_grows)
{
    store_kit kit;
    store_kit_begin(&kit);
    cb_store *store = store_kit_create(&kit, "a");
    const cb_database *database = store->database;
    cr_assert(database->statement_count > 80);
    for (size_t i = 0; i < database->statement_count; i++) {
        const cb_statement *statement = &database->statements[i];
        sqlite3_stmt *prepared = NULL;
        const char *rest = NULL;
        cr_expect(sqlite3_prepare_v2(database->connection, statement->sql,
                                     (int)statement->sql_size, &prepared,
                                     &rest) == SQLITE_OK,
                  "%.*s: %s", (int)statement->name_size, statement->name,
                  sqlite3_errmsg(database->connection));
        sqlite3_finalize(prepared);
        check_plan(database->connection, statement);
    }
    for (size_t i = 0; i < sizeof permitted / sizeof permitted[0]; i++) {
        cr_expect(used[i], "'%s' scans nothing any more",
                  permitted[i].statement);
    }
    cb_store_close(store);
    store_kit_end(&kit);
}

/* Two of one name would hide each other. */
Test(statements, have_names_of_their_own)
{
    store_kit kit;
    store_kit_begin(&kit);
    cb_store *store = store_kit_create(&kit, "a");
    const cb_database *database = store->database;
    for (size_t i = 0; i < database->statement_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const cb_statement *a = &database->statements[i];
            const cb_statement *b = &database->statements[j];
            cr_expect(a->name_size != b->name_size ||
                          memcmp(a->name, b->name, a->name_size) != 0,
                      "%.*s", (int)a->name_size, a->name);
        }
    }
    cb_store_close(store);
    store_kit_end(&kit);
}
