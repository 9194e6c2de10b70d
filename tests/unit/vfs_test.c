/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encrypting VFS below a real SQLite: what is on the disk, what survives,
 * and in every journal mode and with every cipher the same.
 */
#include "support/expect.h"
#include "support/vfs_default.h"
#include "support/vfs_fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vfs/internal.h"

static const enum cb_vfs_cipher ciphers[] = { CB_VFS_XCHACHA20_POLY1305,
                                              CB_VFS_AES256_GCM };

static const char *const modes[] = { "WAL", "DELETE", "TRUNCATE", "PERSIST" };

/*
 * Every kind of file that SQLite knows, on purpose through a tiny cache: main,
 * log or journal, spilled pages, statement journal, sorter, temporary tables,
 * a transaction over two files with its super-journal, VACUUM.
 */
static void work_hard(sqlite3 *database, cb_vfs *vfs, const char *attached)
{
    sql_must(database, "PRAGMA temp_store=1; PRAGMA cache_size=20;"
                       "PRAGMA cache_spill=10;");
    sql_must(database,
             "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT, n)");
    sql_must(database,
             "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c "
             "WHERE i<3000) INSERT INTO note(body, n) SELECT '" CANARY
             "' || i || '" CANARY "', abs(random()) FROM c");
    sql_must(database, "CREATE INDEX note_body ON note(body, n)");
    sql_must(database, "CREATE TEMP TABLE scratch AS SELECT body, n FROM note");
    sql_must(database, "CREATE INDEX temp.scratch_n ON scratch(n, body)");
    sql_must(database,
             "SELECT count(*) FROM (SELECT DISTINCT body || n FROM note "
             "ORDER BY n DESC, body)");
    sql_must(database,
             "BEGIN; UPDATE note SET body = body || 'x'; SAVEPOINT a; "
             "UPDATE note SET n = n + 1, body = body || 'y'; "
             "ROLLBACK TO a; DELETE FROM note WHERE id % 7 = 0; COMMIT");
    sql_must(database, "CREATE UNIQUE INDEX note_once ON note(id, body)");
    expect_int(sql_run(database,
                       "UPDATE OR ABORT note SET id = CASE WHEN id > 2990"
                       " THEN 2 ELSE id END, body = body || 'z'"),
               SQLITE_CONSTRAINT_PRIMARYKEY);
    char *sql = sqlite3_mprintf("ATTACH %Q AS other", attached);
    sql_must(database, sql);
    sqlite3_free(sql);
    expect_ok(cb_vfs_prepare(database, "other", test_error()));
    sql_must(database, "BEGIN; CREATE TABLE other.copy AS SELECT * FROM note; "
                       "UPDATE note SET n = 0 WHERE id < 100; COMMIT");
    sql_must(database, "DELETE FROM note WHERE id > 1000");
    sql_must(database, "VACUUM");
    sql_expect_integrity(database);
    struct cb_vfs_damage damage;
    cr_expect(!cb_vfs_damage(vfs, &damage), "damage noted in sound files");
}

Test(vfs, writes_nothing_readable)
{
    vfs_spy_install();
    /* The spy sees the canary where nothing is encrypted. */
    struct vfs_fixture *fixture = vfs_fixture_create(ciphers[0]);
    sqlite3 *plain = NULL;
    expect_int(sqlite3_open_v2(vfs_fixture_path(fixture, "plain.db"), &plain,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                               "unix-excl"),
               SQLITE_OK);
    sql_must(plain, "CREATE TABLE t(x); INSERT INTO t VALUES('" CANARY "')");
    sqlite3_close(plain);
    cr_assert(vfs_spy_hits() > 0);
    vfs_fixture_destroy(fixture);

    for (size_t i = 0; i < 2; i++) {
        for (size_t m = 0; m < 4; m++) {
            if (!cb_vfs_cipher_available(ciphers[i])) {
                continue;
            }
            fixture = vfs_fixture_create(ciphers[i]);
            vfs_spy_reset();
            sqlite3 *database = vfs_fixture_open(fixture, "a.db", modes[m]);
            work_hard(database, fixture->vfs,
                      vfs_fixture_path(fixture, "b.db"));
            sqlite3_close(database);
            cr_expect(vfs_spy_hits() == 0, "%d canaries in mode %s",
                      vfs_spy_hits(), modes[m]);
            cr_expect(vfs_spy_writes() > 1000);
            vfs_fixture_destroy(fixture);
        }
    }
}

Test(vfs, works_with_every_page_size)
{
    for (int size = 512; size <= 65536; size *= 2) {
        for (size_t m = 0; m < 2; m++) {
            struct vfs_fixture *fixture = vfs_fixture_create(ciphers[m]);
            sqlite3 *database = vfs_fixture_open(fixture, "a.db", NULL);
            char sql[100];
            snprintf(sql, sizeof sql, "PRAGMA page_size=%d", size);
            sql_must(database, sql);
            snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", modes[m]);
            sql_must(database, sql);
            sql_must(database,
                     "CREATE TABLE t(x); WITH RECURSIVE c(i) AS (SELECT 1"
                     " UNION ALL SELECT i+1 FROM c WHERE i<300) INSERT "
                     "INTO t SELECT randomblob(400) FROM c; "
                     "UPDATE t SET x = randomblob(500); VACUUM");
            sqlite3_close(database);
            database = vfs_fixture_open(fixture, "a.db", NULL);
            expect_int(sql_int(database, "PRAGMA page_size"), size);
            expect_int(sql_int(database, "SELECT count(*) FROM t"), 300);
            sql_expect_integrity(database);
            sqlite3_close(database);
            vfs_fixture_destroy(fixture);
        }
    }
}

Test(vfs, is_a_target_and_a_source_of_backups)
{
    struct vfs_fixture *fixture = vfs_fixture_create(ciphers[0]);
    sqlite3 *source = vfs_fixture_open(fixture, "a.db", "WAL");
    sqlite3 *target = vfs_fixture_open(fixture, "b.db", NULL);
    sql_must(source, "CREATE TABLE t(x); INSERT INTO t VALUES('" CANARY "')");
    sqlite3_backup *backup =
        sqlite3_backup_init(target, "main", source, "main");
    expect_int(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    expect_int(sqlite3_backup_finish(backup), SQLITE_OK);
    sqlite3_close(target);
    char *sql = sqlite3_mprintf("VACUUM INTO 'file:%s?vfs=unix'",
                                vfs_fixture_path(fixture, "export.db"));
    sql_must(source, sql);
    sqlite3_free(sql);
    sqlite3_close(source);
    cr_expect(
        vfs_file_contains(vfs_fixture_path(fixture, "export.db"), CANARY));
    cr_expect(!vfs_file_contains(vfs_fixture_path(fixture, "b.db"), CANARY));
    target = vfs_fixture_open(fixture, "b.db", NULL);
    expect_int(sql_int(target, "SELECT count(*) FROM t"), 1);
    sqlite3_close(target);
    vfs_fixture_destroy(fixture);
}

/* Without room at the end of its pages a file must not come to be. */
Test(vfs, refuses_a_file_that_was_not_prepared)
{
    struct vfs_fixture *fixture = vfs_fixture_create(ciphers[0]);
    sqlite3 *database = NULL;
    expect_int(sqlite3_open_v2(vfs_fixture_path(fixture, "a.db"), &database,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                               cb_vfs_name(fixture->vfs)),
               SQLITE_OK);
    cr_expect(sql_run(database, "CREATE TABLE t(x)") != SQLITE_OK);
    sqlite3_close(database);
    struct stat status;
    cr_expect(stat(vfs_fixture_path(fixture, "a.db"), &status) != 0 ||
              status.st_size == 0);
    vfs_fixture_destroy(fixture);
}

Test(vfs, refuses_another_page_size_and_keeps_the_data)
{
    struct vfs_fixture *fixture = vfs_fixture_create(ciphers[0]);
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", "DELETE");
    sql_must(database, "CREATE TABLE t(x); INSERT INTO t VALUES(7)");
    sql_must(database, "PRAGMA page_size=8192");
    cr_expect(sql_run(database, "VACUUM") != SQLITE_OK);
    sqlite3_close(database);
    database = vfs_fixture_open(fixture, "a.db", NULL);
    expect_int(sql_int(database, "SELECT x FROM t"), 7);
    sql_expect_integrity(database);
    sqlite3_close(database);
    vfs_fixture_destroy(fixture);
}

Test(vfs, serves_several_keys_in_one_process)
{
    struct vfs_fixture *one = vfs_fixture_create(ciphers[0]);
    struct vfs_fixture *two = vfs_fixture_create(ciphers[0]);
    sqlite3 *first = vfs_fixture_open(one, "a.db", "WAL");
    sqlite3 *second = vfs_fixture_open(two, "a.db", "DELETE");
    sql_must(first, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    sql_must(second, "CREATE TABLE t(x); INSERT INTO t VALUES(2)");
    sqlite3 *again = vfs_fixture_open(one, "a.db", NULL);
    sql_must(again, "INSERT INTO t VALUES(3)");
    sql_must(first, "INSERT INTO t VALUES(4)");
    expect_int(sql_int(again, "SELECT sum(x) FROM t"), 8);
    expect_int(sql_int(second, "SELECT sum(x) FROM t"), 2);
    sqlite3_close(again);
    sqlite3_close(first);
    sqlite3_close(second);
    vfs_fixture_destroy(two);
    vfs_fixture_destroy(one);
}

Test(vfs, keeps_the_cipher_of_a_file_that_exists)
{
    if (!cb_vfs_cipher_available(CB_VFS_AES256_GCM)) {
        cr_skip_test("this machine has no AES instructions");
    }
    for (size_t i = 0; i < 2; i++) {
        struct vfs_fixture *fixture = vfs_fixture_create(ciphers[i]);
        sqlite3 *database = vfs_fixture_open(fixture, "a.db", "WAL");
        sql_must(database, "CREATE TABLE t(x); INSERT INTO t VALUES(5)");
        sqlite3_close(database);
        vfs_fixture_reopen(fixture, ciphers[1 - i]);
        database = vfs_fixture_open(fixture, "a.db", NULL);
        sql_must(database, "INSERT INTO t VALUES(6)");
        expect_int(sql_int(database, "SELECT sum(x) FROM t"), 11);
        sqlite3_close(database);
        struct cb_vfs_scrub_result result;
        expect_ok(cb_vfs_scrub(fixture->vfs, vfs_fixture_path(fixture, "a.db"),
                               NULL, NULL, &result, test_error()));
        expect_int(result.cipher, ciphers[i]);
        vfs_fixture_destroy(fixture);
    }
}

/* Commits numbers and says so on the pipe after each commit, until killed. */
static void commit_for_ever(struct vfs_fixture *fixture, const char *mode,
                            int pipe)
{
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", mode);
    sql_must(database,
             "PRAGMA synchronous=FULL; PRAGMA cache_size=10;"
             "CREATE TABLE IF NOT EXISTS t(x INTEGER PRIMARY KEY, y)");
    for (;;) {
        sql_must(database, "BEGIN; INSERT INTO t(y) VALUES(randomblob(9000)); "
                           "UPDATE t SET y = randomblob(9000) WHERE x % 5 = 1; "
                           "COMMIT");
        sqlite3_int64 last = sqlite3_last_insert_rowid(database);
        if (write(pipe, &last, sizeof last) != sizeof last) {
            _exit(1);
        }
    }
}

/* Found by SQLite's own tests (wal-22): the second guesses the page size. */
Test(vfs, serves_who_opened_the_file_while_it_was_empty)
{
    static const int sizes[] = { 512, 2048, 65536 };
    for (size_t i = 0; i < 3; i++) {
        char sql[100];
        struct vfs_fixture *fixture = vfs_fixture_create(ciphers[i % 2]);
        sqlite3 *first = vfs_fixture_open(fixture, "a.db", NULL);
        sqlite3 *second = vfs_fixture_open(fixture, "a.db", NULL);
        snprintf(sql, sizeof sql,
                 "PRAGMA page_size=%d; PRAGMA journal_mode=WAL", sizes[i]);
        sql_must(first, sql);
        sql_must(first, "CREATE TABLE t(x); INSERT INTO t VALUES(7)");
        expect_int(sql_int(second, "SELECT x FROM t"), 7);
        expect_int(sql_int(second, "PRAGMA page_size"), sizes[i]);
        sqlite3_close(second);
        sqlite3_close(first);
        vfs_fixture_destroy(fixture);
    }
}

Test(vfs, keeps_what_was_committed_when_killed)
{
    for (size_t m = 0; m < 2; m++) {
        struct vfs_fixture *fixture = vfs_fixture_create(ciphers[m]);
        sqlite3_int64 acknowledged = 0;
        for (int round = 0; round < 6; round++) {
            int ends[2];
            cr_assert(pipe(ends) == 0);
            pid_t child = fork();
            if (child == 0) {
                commit_for_ever(fixture, modes[m], ends[1]);
            }
            close(ends[1]);
            /* Counted from the first commit: a busy machine begins late. */
            sqlite3_int64 value = 0;
            cr_assert(read(ends[0], &value, sizeof value) == sizeof value);
            acknowledged = value;
            struct timespec pause = { .tv_nsec = 10000000 + round * 7000000 };
            nanosleep(&pause, NULL);
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
            while (read(ends[0], &value, sizeof value) == sizeof value) {
                acknowledged = value;
            }
            close(ends[0]);
            sqlite3 *database = vfs_fixture_open(fixture, "a.db", NULL);
            cr_expect(sql_int(database, "SELECT coalesce(max(x),0) FROM t") >=
                          acknowledged,
                      "lost commits up to %lld in %s", (long long)acknowledged,
                      modes[m]);
            sql_expect_integrity(database);
            sqlite3_close(database);
        }
        cr_expect(acknowledged > 0);
        vfs_fixture_destroy(fixture);
    }
}

static void seal_once(struct vfs_fixture *fixture, struct cb_vfs_file *file,
                      struct cb_vfs_trailer *trailer)
{
    struct cb_vfs_head head = { { 'C', 'B', 'D', 'B', 1, 1, 12, 32 } };
    struct cb_vfs_place place = { .domain = CB_VFS_DOMAIN_MAIN,
                                  .head = &head,
                                  .position = 1 };
    uint8_t bytes[64] = { 0 };
    file->vfs = fixture->vfs;
    cb_vfs_seal(file->vfs, &file->nonces, &place, bytes, sizeof bytes, bytes,
                trailer);
}

Test(vfs, never_uses_a_nonce_twice)
{
    struct vfs_fixture *fixture = vfs_fixture_create(ciphers[0]);
    static struct cb_vfs_file file;
    static struct cb_vfs_file other;
    struct cb_vfs_trailer first;
    struct cb_vfs_trailer second;
    seal_once(fixture, &file, &first);
    seal_once(fixture, &file, &second);
    cr_expect(memcmp(first.bytes, second.bytes, 10) == 0, "one epoch");
    cr_expect(memcmp(first.bytes, second.bytes, 16) != 0, "another counter");
    seal_once(fixture, &other, &second);
    cr_expect(memcmp(first.bytes, second.bytes, 10) != 0, "an epoch per file");

    /* A child goes on with the parent's memory. */
    int ends[2];
    cr_assert(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        seal_once(fixture, &file, &second);
        _exit(write(ends[1], second.bytes, 32) == 32 ? 0 : 1);
    }
    cr_assert(read(ends[0], second.bytes, 32) == 32);
    waitpid(child, NULL, 0);
    cr_expect(memcmp(first.bytes, second.bytes, 10) != 0, "an epoch per fork");

    /* The counter never starts again within an epoch. */
    file.nonces.counter = UINT32_MAX;
    seal_once(fixture, &file, &second);
    cr_expect(memcmp(first.bytes, second.bytes, 10) != 0, "an epoch per wrap");
    vfs_fixture_destroy(fixture);
}

/* As SQLite's own suite meets it: nobody asks for the VFS by name. */
Test(vfs, serves_a_program_that_knows_nothing_of_it)
{
    struct vfs_fixture *fixture = vfs_fixture_create(ciphers[0]);
    expect_int(casebound_vfs(NULL), SQLITE_OK);
    expect_int(casebound_vfs(NULL), SQLITE_OK);
    sqlite3 *database = NULL;
    expect_int(sqlite3_open(vfs_fixture_path(fixture, "a.db"), &database),
               SQLITE_OK);
    expect_ok(cb_vfs_prepare(database, "main", test_error()));
    sql_must(database, "CREATE TABLE t(x); INSERT INTO t VALUES('" CANARY "')");
    sqlite3_close(database);
    cr_expect(!vfs_file_contains(vfs_fixture_path(fixture, "a.db"), CANARY));
    sqlite3_open(vfs_fixture_path(fixture, "a.db"), &database);
    expect_int(sql_int(database, "SELECT count(*) FROM t"), 1);
    sqlite3_close(database);
    vfs_fixture_destroy(fixture);
}

/* A spilled page can come before those in front of it. */
Test(vfs, fills_holes_with_sealed_pages)
{
    struct vfs_fixture *fixture = vfs_fixture_create(ciphers[0]);
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", "DELETE");
    sql_must(database, "CREATE TABLE t(x)");
    sqlite3_int64 pages = sql_int(database, "PRAGMA page_count");
    sqlite3_file *file = NULL;
    expect_int(sqlite3_file_control(database, "main", SQLITE_FCNTL_FILE_POINTER,
                                    &file),
               SQLITE_OK);
    uint8_t page[4096] = { 0 };
    expect_int(file->pMethods->xWrite(file, page, 4096, (pages + 9) * 4096),
               SQLITE_OK);
    memset(page, 1, sizeof page);
    expect_int(file->pMethods->xRead(file, page, 4096, (pages + 4) * 4096),
               SQLITE_OK);
    cr_expect(cb_is_zero(page, sizeof page));

    /* What is not a whole page of ours never reaches the disk. */
    expect_int(file->pMethods->xWrite(file, page, 4095, 4096),
               SQLITE_IOERR_WRITE);
    expect_int(file->pMethods->xWrite(file, page, 4096, 4097),
               SQLITE_IOERR_WRITE);
    expect_int(file->pMethods->xWrite(file, page, 4096, 0), SQLITE_IOERR_WRITE);
    page[4095] = 1;
    expect_int(file->pMethods->xWrite(file, page, 4096, 4096),
               SQLITE_IOERR_WRITE);
    sqlite3_close(database);
    struct cb_vfs_scrub_result result = { .damaged = 1 };
    expect_ok(cb_vfs_scrub(fixture->vfs, vfs_fixture_path(fixture, "a.db"),
                           NULL, NULL, &result, test_error()));
    expect_int((long long)result.damaged, 0);
    expect_int((long long)result.pages, pages + 10);
    vfs_fixture_destroy(fixture);
}
