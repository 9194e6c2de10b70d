/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sync that fails is final: the kernel may have dropped what was not written,
 * and says at the next sync that all is well.
 */
#include "store/database.h"
#include "support/expect.h"
#include "support/vfs_fixture.h"

#include <stdlib.h>
#include <unistd.h>

#define TABLES 4

/* SQLite's own VFS, but the nth sync fails; methods have no context. */
static sqlite3_vfs failing;
static sqlite3_vfs *real;

static struct {
    const sqlite3_io_methods *of;
    sqlite3_io_methods methods;
} tables[TABLES];

static unsigned syncs_left;  /* 0: none fails */
static unsigned writes_left; /* likewise */
static unsigned failures;

static int fail_sync(sqlite3_file *file, int flags)
{
    for (size_t i = 0; i < TABLES; i++) {
        if (file->pMethods == &tables[i].methods) {
            if (syncs_left == 1) {
                syncs_left = 0;
                failures++;
                return SQLITE_IOERR_FSYNC;
            }
            syncs_left -= syncs_left > 0;
            return tables[i].of->xSync(file, flags);
        }
    }
    return SQLITE_INTERNAL;
}

static int fail_write(sqlite3_file *file, const void *bytes, int amount,
                      sqlite3_int64 offset)
{
    for (size_t i = 0; i < TABLES; i++) {
        if (file->pMethods == &tables[i].methods) {
            if (writes_left == 1) {
                writes_left = 0;
                failures++;
                return SQLITE_FULL;
            }
            writes_left -= writes_left > 0;
            return tables[i].of->xWrite(file, bytes, amount, offset);
        }
    }
    return SQLITE_INTERNAL;
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *file,
                     int flags, int *ret_flags)
{
    (void)vfs;
    int result = real->xOpen(real, path, file, flags, ret_flags);
    for (size_t i = 0; i < TABLES && file->pMethods != NULL; i++) {
        if (tables[i].of == NULL) {
            tables[i].of = file->pMethods;
            tables[i].methods = *file->pMethods;
            tables[i].methods.xSync = fail_sync;
            tables[i].methods.xWrite = fail_write;
        }
        if (tables[i].of == file->pMethods) {
            file->pMethods = &tables[i].methods;
            break;
        }
    }
    return result;
}

static void begin_failing(void)
{
    sqlite3_initialize();
    real = sqlite3_vfs_find("unix-excl");
    failing = *real;
    failing.zName = "failing-sync";
    failing.pNext = NULL;
    failing.xOpen = open_file;
    cr_assert(sqlite3_vfs_register(&failing, 0) == SQLITE_OK);
}

/* Transactions until the first failure; how many were acknowledged. */
static int work(sqlite3 *database)
{
    int acknowledged = 0;
    while (acknowledged < 12 &&
           sql_run(database, "INSERT INTO t VALUES(randomblob(9000))") ==
               SQLITE_OK) {
        acknowledged++;
    }
    return acknowledged;
}

static bool fail_once(const char *mode, unsigned nth)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    char sql[100];
    fixture->environment.base_vfs = "failing-sync";
    vfs_fixture_reopen(fixture, CB_VFS_AES256_GCM);
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", mode);
    snprintf(sql, sizeof sql,
             "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=7;"
             "CREATE TABLE t(x)");
    sql_must(database, sql);
    expect_ok(cb_vfs_track(database, "main", test_error()));
    failures = 0;
    syncs_left = nth;
    int acknowledged = work(database);
    bool failed = failures > 0;
    syncs_left = 0;
    cr_expect(cb_vfs_sync_failed(fixture->vfs) == failed);
    if (failed) {
        /* The disk would take it now; but what is below it is not known. */
        cr_expect((sql_run(database, "INSERT INTO t VALUES(1)") & 0xff) ==
                  SQLITE_IOERR);
        cr_expect((sql_run(database, "CREATE TABLE u(x)") & 0xff) ==
                  SQLITE_IOERR);
    }
    sqlite3_close(database);
    vfs_fixture_reopen(fixture, CB_VFS_AES256_GCM);
    cr_expect(!cb_vfs_sync_failed(fixture->vfs));
    database = vfs_fixture_open(fixture, "a.db", NULL);
    sqlite3_int64 count = sql_int(database, "SELECT count(*) FROM t");
    cr_expect(count == acknowledged || count == acknowledged + 1,
              "%s: sync %u: %lld rows, %d acknowledged", mode, nth,
              (long long)count, acknowledged);
    sql_expect_integrity(database);
    expect_ok(cb_vfs_demand_tracking(database, "main", test_error()));
    sqlite3_close(database);
    struct cb_vfs_scrub_result result = { .damaged = 1 };
    expect_ok(cb_vfs_scrub(fixture->vfs, vfs_fixture_path(fixture, "a.db"),
                           NULL, NULL, &result, test_error()));
    cr_expect(result.damaged == 0);
    vfs_fixture_destroy(fixture);
    return failed;
}

Test(vfs_sync, that_fails_is_final_for_the_instance)
{
    begin_failing();
    const char *const modes[] = { "WAL", "DELETE", "TRUNCATE" };
    for (size_t m = 0; m < 3; m++) {
        unsigned nth = 1;
        while (fail_once(modes[m], nth)) {
            nth++;
        }
        cr_expect(nth > 20, "%u syncs with %s", nth, modes[m]);
    }
}

Test(vfs_sync, that_fails_is_told_to_the_user)
{
    char path[96];
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    cb_database *database = NULL;
    begin_failing();
    fixture->environment.base_vfs = "failing-sync";
    snprintf(path, sizeof path, "%s", vfs_fixture_path(fixture, "a.db"));
    expect_ok(cb_database_open(&fixture->environment, path, fixture->key, true,
                               &database, test_error()));
    expect_ok(cb_database_begin(database, test_error()));
    cr_assert(sqlite3_exec(database->connection,
                           "INSERT INTO meta VALUES('x', x'00')", NULL, NULL,
                           NULL) == SQLITE_OK);
    syncs_left = 1;
    expect_status(CB_IO, cb_database_commit(database, test_error()));
    expect_contains(test_error()->what, "did not confirm");
    expect_contains(test_error()->meaning,
                    "everything recorded before is safe");
    expect_contains(test_error()->next, "run it again");
    cb_database_abort(database);
    cb_database_close(database);
    vfs_fixture_destroy(fixture);
}

/* As the power cut left it: what was not synced of the log is gone. */
static void cut(struct vfs_fixture *fixture, size_t log_size)
{
    static const char *const suffixes[] = { "", "-pages", "-wal" };
    for (size_t i = 0; i < 3; i++) {
        char from[128];
        char to[128];
        size_t size = 0;
        snprintf(from, sizeof from, "%s%s", vfs_fixture_path(fixture, "a.db"),
                 suffixes[i]);
        snprintf(to, sizeof to, "%s%s", vfs_fixture_path(fixture, "b.db"),
                 suffixes[i]);
        uint8_t *bytes = vfs_file_read(from, &size);
        vfs_file_write(to, bytes, i == 2 ? log_size : size);
        free(bytes);
    }
}

/* False where the transaction had fewer writes than that. */
static bool fail_commit(unsigned nth)
{
    char log[128];
    size_t log_size = 0;
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    fixture->environment.base_vfs = "failing-sync";
    vfs_fixture_reopen(fixture, CB_VFS_AES256_GCM);
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", "WAL");
    sql_must(database, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
                       "CREATE TABLE t(x)");
    expect_ok(cb_vfs_track(database, "main", test_error()));
    sql_must(database, "INSERT INTO t VALUES(1)");
    snprintf(log, sizeof log, "%s-wal", vfs_fixture_path(fixture, "a.db"));
    free(vfs_file_read(log, &log_size));
    failures = 0;
    writes_left = nth;
    int result = sql_run(database, "INSERT INTO t VALUES(randomblob(9000))");
    bool failed = failures > 0;
    writes_left = 0;
    cr_expect((result == SQLITE_FULL) == failed);
    sql_must(database, "PRAGMA wal_checkpoint");
    if (failed) {
        cut(fixture, log_size);
    }
    sqlite3_close(database);
    if (failed) {
        vfs_fixture_reopen(fixture, CB_VFS_AES256_GCM);
        database = vfs_fixture_open(fixture, "b.db", NULL);
        expect_int(sql_int(database, "SELECT count(*) FROM t"), 1);
        sql_expect_integrity(database);
        sqlite3_close(database);
    }
    vfs_fixture_destroy(fixture);
    return failed;
}

Test(vfs_sync, does_not_take_a_commit_that_was_not_written_for_durable)
{
    begin_failing();
    unsigned nth = 1;
    while (fail_commit(nth)) {
        nth++;
    }
    cr_expect(nth > 3, "%u writes", nth);
}
