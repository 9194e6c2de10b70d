/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/life.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const life_files[DATABASES] = { "store.db", "other.db" };
const char *const life_schemas[DATABASES] = { "main", "other" };

int life_databases(const struct life *life)
{
    return life->configuration->two ? 2 : 1;
}

void life_fail(struct life *life, const char *what, const char *detail)
{
    if (life->failure[0] == '\0') {
        snprintf(life->failure, sizeof life->failure, "%s: %s", what, detail);
    }
}

static bool is_excused(const struct life *life)
{
    return life->excused != NULL && life->excused();
}

bool life_run(struct life *life, const char *sql)
{
    int result = sqlite3_exec(life->database, sql, NULL, NULL, NULL);
    if (result != SQLITE_OK && !is_excused(life)) {
        char text[200];
        snprintf(text, sizeof text, "%d %s", result,
                 sqlite3_errmsg(life->database));
        life_fail(life, sql, text);
    }
    return result == SQLITE_OK;
}

static bool run_on_model(struct life *life, const char *sql)
{
    if (sqlite3_exec(life->model, sql, NULL, NULL, NULL) != SQLITE_OK) {
        life_fail(life, "model", sqlite3_errmsg(life->model));
        return false;
    }
    return true;
}

static bool run_both(struct life *life, const char *sql)
{
    return run_on_model(life, sql) && life_run(life, sql);
}

void life_model(struct life *life)
{
    if (sqlite3_open(":memory:", &life->model) != SQLITE_OK) {
        life_fail(life, "model", "cannot be opened");
    } else if (life->configuration->two) {
        (void)run_on_model(life, "ATTACH ':memory:' AS other");
    }
}

bool life_open(struct life *life)
{
    char sql[SQL_BYTES];
    const char *name =
        life->vfs != NULL ? cb_vfs_name(life->vfs) : life->base_vfs;
    int result =
        sqlite3_open_v2(life_files[0], &life->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, name);
    if (result != SQLITE_OK) {
        if (!is_excused(life)) {
            life_fail(life, "open", sqlite3_errmsg(life->database));
        }
        return false;
    }
    sqlite3_extended_result_codes(life->database, 1);
    if (life->configuration->two &&
        !life_run(life, "ATTACH 'other.db' AS other")) {
        return false;
    }
    for (int i = 0; i < life_databases(life) && life->vfs != NULL; i++) {
        if (cb_vfs_prepare(life->database, life_schemas[i], NULL) != CB_OK) {
            life_fail(life, "prepare", life_schemas[i]);
            return false;
        }
    }
    for (int i = 0; i < life_databases(life); i++) {
        snprintf(sql, sizeof sql,
                 "PRAGMA %s.page_size=%d; PRAGMA %s.journal_mode=%s; "
                 "PRAGMA %s.synchronous=%s; PRAGMA %s.cache_size=%d",
                 life_schemas[i], life->page_size, life_schemas[i],
                 life->configuration->mode, life_schemas[i],
                 life->configuration->extra ? "EXTRA" : "FULL", life_schemas[i],
                 life->configuration->spill ? 10 : 2000);
        if (!life_run(life, sql)) {
            return false;
        }
    }
    return life_run(life, life->configuration->spill
                              ? "PRAGMA cache_spill=1"
                              : "PRAGMA cache_spill=OFF") &&
           life_run(life, "PRAGMA wal_autocheckpoint=25");
}

void life_close(struct life *life)
{
    (void)sqlite3_close(life->database);
    life->database = NULL;
}

static void hash_row(crypto_generichash_state *state, sqlite3_stmt *statement)
{
    for (int i = 0; i < sqlite3_data_count(statement); i++) {
        const unsigned char *text = sqlite3_column_text(statement, i);
        int size = sqlite3_column_bytes(statement, i);
        (void)crypto_generichash_update(state, (const uint8_t *)&size,
                                        sizeof size);
        (void)crypto_generichash_update(state, text, (unsigned long long)size);
    }
}

bool life_hash(sqlite3 *database, const char *schema, struct hash *ret_hash)
{
    char sql[SQL_BYTES];
    crypto_generichash_state state;
    int result = SQLITE_DONE;
    snprintf(sql, sizeof sql,
             "SELECT id, body, tag FROM %s.item ORDER BY id;"
             "SELECT tag, count(*) FROM %s.item GROUP BY tag ORDER BY tag;"
             "SELECT number FROM %s.head;",
             schema, schema, schema);
    (void)crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
    for (const char *rest = sql; *rest != '\0' && result == SQLITE_DONE;) {
        sqlite3_stmt *statement = NULL;
        if (sqlite3_prepare_v2(database, rest, -1, &statement, &rest) !=
            SQLITE_OK) {
            return false;
        }
        while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
            hash_row(&state, statement);
        }
        sqlite3_finalize(statement);
    }
    (void)crypto_generichash_final(&state, ret_hash->bytes, HASH_BYTES);
    return result == SQLITE_DONE;
}

static void remember(struct life *life, int number)
{
    for (int i = 0; i < life_databases(life); i++) {
        if (!life_hash(life->model, life_schemas[i],
                       &life->hashes[number][i])) {
            life_fail(life, "model", sqlite3_errmsg(life->model));
        }
    }
}

static void report(struct life *life, int number, bool acknowledged)
{
    struct witness witness = { .number = number, .acknowledged = acknowledged };
    memcpy(witness.hashes, life->hashes[number], sizeof witness.hashes);
    if (life->report_to != 0 &&
        write(life->report_to, &witness, sizeof witness) !=
            (ssize_t)sizeof witness) {
        life_fail(life, "report", "the pipe is closed");
    }
}

static void create_sql(char *sql, const char *schema)
{
    snprintf(sql, SQL_BYTES,
             "CREATE TABLE %s.item(id INTEGER PRIMARY KEY, body TEXT, tag);"
             "CREATE INDEX %s.item_tag ON item(tag);"
             "CREATE TABLE %s.head(number INTEGER);"
             "INSERT INTO %s.head VALUES(0)",
             schema, schema, schema, schema);
}

/* After the model: what is not acknowledged may be there, too. */
static bool commit(struct life *life, int number)
{
    report(life, number, false);
    if (!life_run(life, "COMMIT")) {
        return false;
    }
    life->acknowledged = number;
    report(life, number, true);
    return true;
}

static bool create_tables(struct life *life)
{
    char sql[SQL_BYTES];
    if (!run_both(life, "BEGIN")) {
        return false;
    }
    for (int i = 0; i < life_databases(life); i++) {
        create_sql(sql, life_schemas[i]);
        if (!run_both(life, sql)) {
            return false;
        }
    }
    if (!run_on_model(life, "COMMIT")) {
        return false;
    }
    remember(life, 0);
    return commit(life, 0);
}

/* One statement that changes a few rows or many. */
static void change_sql(struct life *life, char *sql)
{
    struct dice *dice = &life->dice;
    const char *schema =
        life_schemas[roll(dice, (uint64_t)life_databases(life))];
    int size = (int)roll(dice, 3 * (uint64_t)life->page_size);
    int tag = (int)roll(dice, 1000);
    if (size > 9000) {
        size = 9000;
    }
    switch (roll(dice, 6)) {
    case 0:
        snprintf(sql, SQL_BYTES, "DELETE FROM %s.item WHERE id %% %d = %d",
                 schema, 2 + (int)roll(dice, 9), (int)roll(dice, 2));
        break;
    case 1:
        snprintf(sql, SQL_BYTES,
                 "UPDATE %s.item SET tag = tag + 1, body = substr(body, 2) || "
                 "'%d' WHERE id %% %d = 0",
                 schema, tag, 1 + (int)roll(dice, 7));
        break;
    case 2:
        snprintf(sql, SQL_BYTES,
                 "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                 "FROM c WHERE i < %d) INSERT INTO %s.item(body, tag) "
                 "SELECT printf('%%0%dd', i), %d + i FROM c",
                 2 + (int)roll(dice, 30), schema, 1 + size / 4, tag);
        break;
    default:
        snprintf(sql, SQL_BYTES,
                 "INSERT INTO %s.item(body, tag) VALUES(printf('%%0%dd', %d), "
                 "%d)",
                 schema, 1 + size, tag, tag);
        break;
    }
}

static bool change_some(struct life *life, uint64_t most)
{
    char sql[SQL_BYTES];
    for (uint64_t i = roll(&life->dice, most) + 1; i > 0; i--) {
        change_sql(life, sql);
        if (!run_both(life, sql)) {
            return false;
        }
    }
    return true;
}

/* Something begun and rolled back, in part or as a whole. */
static bool abandon_some(struct life *life)
{
    if (!life->configuration->savepoints || roll(&life->dice, 2) == 0) {
        return true;
    }
    return run_both(life, "SAVEPOINT a") && change_some(life, 6) &&
           run_both(life, "ROLLBACK TO a") && change_some(life, 2) &&
           run_both(life, "RELEASE a");
}

/* Rows of a page each; the table's top holds 1,018 versions. */
static bool fill(struct life *life, int number)
{
    char sql[SQL_BYTES];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
             "WHERE i < 1200) INSERT INTO main.item(body, tag) "
             "SELECT printf('%%0%dd', i), i FROM c",
             life->page_size);
    return !life->configuration->large || number != 1 || run_both(life, sql);
}

static bool transact(struct life *life, int number)
{
    char sql[SQL_BYTES];
    if (!run_both(life, "BEGIN") || !fill(life, number) ||
        !change_some(life, 4) || !abandon_some(life) || !change_some(life, 2)) {
        return false;
    }
    for (int i = 0; i < life_databases(life); i++) {
        snprintf(sql, sizeof sql, "UPDATE %s.head SET number = %d",
                 life_schemas[i], number);
        if (!run_both(life, sql)) {
            return false;
        }
    }
    if (!run_on_model(life, "COMMIT")) {
        return false;
    }
    remember(life, number);
    return commit(life, number);
}

/* What happens between transactions. */
static bool do_chores(struct life *life)
{
    static const char *const checkpoints[] = {
        "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(FULL)",
        "PRAGMA wal_checkpoint(RESTART)", "PRAGMA wal_checkpoint(TRUNCATE)"
    };
    switch (roll(&life->dice, 12)) {
    case 0: return life_run(life, checkpoints[roll(&life->dice, 4)]);
    case 1:
        return life_run(life, life->configuration->two && roll(&life->dice, 2)
                                  ? "VACUUM other"
                                  : "VACUUM main");
    case 2: life_close(life); return life_open(life);
    case 3:
        return !life->configuration->savepoints ||
               (run_both(life, "BEGIN") && change_some(life, 5) &&
                run_both(life, "ROLLBACK"));
    default: return true;
    }
}

/* As the store does, right after the first transaction. */
static bool track(struct life *life)
{
    for (int i = 0; i < life_databases(life) && life->vfs != NULL &&
                    life->configuration->tracked;
         i++) {
        cb_error error = { .status = CB_OK };
        if (cb_vfs_track(life->database, life_schemas[i], &error) != CB_OK) {
            if (!is_excused(life)) {
                life_fail(life, "track", error.what);
            }
            return false;
        }
        life->tracking = i + 1 == life_databases(life);
    }
    return true;
}

void life_live(struct life *life)
{
    int count = 3 + (int)roll(&life->dice, TRANSACTIONS_MAX - 3);
    life->acknowledged = -1;
    if (!life_open(life) || !create_tables(life) || !track(life)) {
        return;
    }
    for (int number = 1; number <= count; number++) {
        if (!transact(life, number) || !do_chores(life)) {
            return;
        }
    }
}
