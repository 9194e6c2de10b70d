/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases on a disk that loses its power at any moment, with our VFS between
 * SQLite and the disk and, for comparison, without it.
 *
 *     power_cut [--seeds N] [--from SEED] [--only NAME] [--verbose]
 *
 * One seed is one life of a database: transactions with savepoints, large and
 * small rows, checkpoints, VACUUM, closing and opening again, then a cut.  The
 * same statements are run in a database in memory, whose content after each
 * transaction is remembered as a hash.  After the cut, and sometimes a second
 * one during recovery, the database must hold exactly what it held after the
 * last acknowledged transaction, or after the one that was being committed;
 * SQLite's integrity check and our scrub must pass.
 *
 * Two rows show that this can fail: a drive that lies about its syncs, and a
 * bug of SQLite 3.40.1 (savepoint rolled back after the cache spilled into the
 * log) that loses transactions with and without our VFS, and for which the
 * store sets cache_spill=OFF.
 */
#include "fault/power_cut_life.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct configuration configurations[] = {
    { "wal", "WAL", .savepoints = true },
    { "wal-spill", "WAL", .spill = true },
    { "delete", "DELETE", .extra = true, .savepoints = true },
    { "delete-spill", "DELETE", .extra = true, .spill = true,
      .savepoints = true },
    { "truncate-spill", "TRUNCATE", .spill = true, .savepoints = true },
    { "persist-spill", "PERSIST", .spill = true, .savepoints = true },
    { "delete-two", "DELETE", .extra = true, .spill = true, .savepoints = true,
      .two = true },
    { "truncate-two", "TRUNCATE", .extra = true, .savepoints = true,
      .two = true },
    { "persist-two", "PERSIST", .extra = true, .savepoints = true,
      .two = true },
    { "wal-lying-drive", "WAL", .lies = true, .may_fail = true },
    { "wal-spill-savepoints", "WAL", .spill = true, .savepoints = true,
      .may_fail = true },
};

#define CONFIGURATIONS (sizeof configurations / sizeof configurations[0])

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
 * that it takes into use, so a cut may leave one torn; a log heals it.
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
        damage->fault == CB_VFS_FAULT_UNREADABLE) {
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
    if (read_number(life, life_schemas[life->scrubbed]) >= 0 &&
        cb_vfs_scrub(life->vfs, life_files[life->scrubbed], judge_damage, life,
                     &result, &error) != CB_OK) {
        life_fail(life, "scrub", error.what);
    }
}

/* Power again: recovery, which may be cut off too, and everything checked. */
static void return_and_check(struct life *life)
{
    while (roll(&life->dice, 3) == 0) {
        power_cut_arm(roll(&life->dice, 40) + 1);
        if (life_open(life)) {
            (void)life_run(life, "SELECT * FROM sqlite_schema");
            (void)life_run(life, "PRAGMA wal_checkpoint(TRUNCATE)");
        }
        life_close(life);
        power_cut_restore(&life->dice);
    }
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

/* True where nothing was lost. */
static bool live_and_die(struct life *life, const cb_environment *environment,
                         const cb_secret *key, bool encrypted)
{
    static const int spans[] = { 40, 200, 1000, 4000 };
    life->dice = dice_of_seed(life->seed);
    life->page_size = 512 << roll(&life->dice, 8);
    power_cut_begin();
    if (encrypted &&
        cb_vfs_create(environment, key,
                      roll(&life->dice, 2) == 0 ? CB_VFS_XCHACHA20_POLY1305
                                                : CB_VFS_AES256_GCM,
                      &life->vfs, NULL) != CB_OK) {
        life_fail(life, "vfs", "cannot be made");
    }
    if (sqlite3_open(":memory:", &life->model) != SQLITE_OK ||
        (life->configuration->two &&
         sqlite3_exec(life->model, "ATTACH ':memory:' AS other", NULL, NULL,
                      NULL) != SQLITE_OK)) {
        life_fail(life, "model", "cannot be opened");
    }
    power_cut_lie(life->configuration->lies);
    power_cut_arm(roll(&life->dice, (uint64_t)spans[roll(&life->dice, 4)]) + 1);
    if (life->failure[0] == '\0') {
        life_live(life);
        /* Without power, nothing that closing does can help. */
        power_cut_arm(1);
        life_close(life);
        power_cut_restore(&life->dice);
    }
    if (life->failure[0] == '\0') {
        return_and_check(life);
    }
    (void)sqlite3_close(life->model);
    cb_vfs_destroy(life->vfs);
    power_cut_end();
    return life->failure[0] == '\0';
}

struct options {
    uint64_t seeds;
    uint64_t from;
    const char *only;
    bool verbose;
};

struct row {
    unsigned lost;
    uint64_t free_torn;
};

static struct row run_row(const struct options *options,
                          const struct configuration *configuration,
                          bool encrypted, const cb_environment *environment,
                          const cb_secret *key)
{
    static struct life life;
    struct row row = { .lost = 0 };
    for (uint64_t i = 0; i < options->seeds; i++) {
        memset(&life, 0, sizeof life);
        life.configuration = configuration;
        life.seed = options->from + i;
        if (!live_and_die(&life, environment, key, encrypted)) {
            row.lost++;
            if (options->verbose || !configuration->may_fail) {
                printf("    seed %llu, pages of %d: %s\n",
                       (unsigned long long)life.seed, life.page_size,
                       life.failure);
            }
        }
        row.free_torn += life.free_torn;
    }
    return row;
}

static void run_configuration(const struct options *options,
                              const struct configuration *configuration,
                              const cb_environment *environment,
                              const cb_secret *key, unsigned *passed,
                              unsigned *failed)
{
    struct row stock = run_row(options, configuration, false, environment, key);
    struct row ours = run_row(options, configuration, true, environment, key);
    printf("%-22s %6llu cuts: lost %u with stock SQLite, %u with ours%s",
           configuration->name, (unsigned long long)options->seeds, stock.lost,
           ours.lost, configuration->may_fail ? " (expected)" : "");
    if (ours.free_torn > 0) {
        printf("; %llu free pages torn", (unsigned long long)ours.free_torn);
    }
    printf("\n");
    bool good = configuration->may_fail
                    ? !configuration->lies || (stock.lost > 0 && ours.lost > 0)
                    : stock.lost == 0 && ours.lost == 0;
    (*passed) += good;
    (*failed) += !good;
}

int main(int count, char **arguments)
{
    struct options options = { .seeds = 40, .from = 0 };
    for (int i = 1; i < count; i++) {
        bool more = i + 1 < count;
        if (strcmp(arguments[i], "--seeds") == 0 && more) {
            options.seeds = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--from") == 0 && more) {
            options.from = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--only") == 0 && more) {
            options.only = arguments[++i];
        } else if (strcmp(arguments[i], "--verbose") == 0) {
            options.verbose = true;
        } else {
            fprintf(stderr, "usage: power_cut [--seeds N] [--from SEED] "
                            "[--only NAME] [--verbose]\n");
            return 2;
        }
    }
    cb_environment environment = *cb_environment_system();
    environment.base_vfs = POWER_CUT_VFS;
    cb_secret *key = NULL;
    unsigned passed = 0;
    unsigned failed = 0;
    if (sodium_init() < 0 || sqlite3_initialize() != SQLITE_OK ||
        cb_secret_create_random(&environment, CB_KEY_BYTES, &key, NULL) !=
            CB_OK) {
        return 1;
    }
    for (size_t i = 0; i < CONFIGURATIONS; i++) {
        if (options.only == NULL ||
            strcmp(options.only, configurations[i].name) == 0) {
            run_configuration(&options, &configurations[i], &environment, key,
                              &passed, &failed);
        }
    }
    cb_secret_destroy(key);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
