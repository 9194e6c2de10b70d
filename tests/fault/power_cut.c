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
#include "fault/life.h"
#include "fault/power_cut_vfs.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct configuration configurations[] = {
    { "wal", "WAL", .savepoints = true },
    { "wal-spill", "WAL", .spill = true },
    { "wal-tracked", "WAL", .savepoints = true, .tracked = true },
    { "wal-spill-tracked", "WAL", .spill = true, .tracked = true },
    { "wal-large-tracked", "WAL", .savepoints = true, .tracked = true,
      .large = true },
    { "delete", "DELETE", .extra = true, .savepoints = true },
    { "delete-tracked", "DELETE", .extra = true, .savepoints = true,
      .tracked = true },
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
    life_check(life);
}

/* True where nothing was lost. */
static bool live_and_die(struct life *life, const cb_environment *environment,
                         const cb_secret *key, bool encrypted)
{
    static const int spans[] = { 40, 200, 1000, 4000, 20000 };
    life->dice = dice_of_seed(life->seed);
    life->page_size =
        512 << roll(&life->dice, life->configuration->large ? 3 : 8);
    life->base_vfs = POWER_CUT_VFS;
    life->excused = power_cut_happened;
    power_cut_begin();
    if (encrypted &&
        cb_vfs_create(environment, key,
                      roll(&life->dice, 2) == 0 ? CB_VFS_XCHACHA20_POLY1305
                                                : CB_VFS_AES256_GCM,
                      &life->vfs, NULL) != CB_OK) {
        life_fail(life, "vfs", "cannot be made");
    }
    life_model(life);
    power_cut_lie(life->configuration->lies);
    uint64_t span = life->configuration->large ? 3 + roll(&life->dice, 2)
                                               : roll(&life->dice, 4);
    power_cut_arm(roll(&life->dice, (uint64_t)spans[span]) + 1);
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
    uint64_t acknowledged;
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
        row.acknowledged +=
            life.acknowledged > 0 ? (uint64_t)life.acknowledged : 0;
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
    printf("%-20s %5llu cuts, %6llu transactions acknowledged; lost: stock "
           "SQLite %u, ours %u%s",
           configuration->name, 2 * (unsigned long long)options->seeds,
           (unsigned long long)(stock.acknowledged + ours.acknowledged),
           stock.lost, ours.lost, configuration->may_fail ? " (expected)" : "");
    if (ours.free_torn > 0) {
        printf("; %llu free pages torn", (unsigned long long)ours.free_torn);
    }
    printf("\n");
    fflush(stdout);
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
