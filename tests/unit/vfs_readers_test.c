/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading beside another process that writes: the last commit before, whole,
 * for as long as the reader stays; and no file changed by it.
 */
#include "store/database.h"
#include "support/expect.h"
#include "support/vfs_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const cb_patience silent = { 0 };

static cb_database *open_writer(struct vfs_fixture *fixture, bool create)
{
    cb_database *database = NULL;
    expect_ok(cb_database_open(&fixture->environment,
                               vfs_fixture_path(fixture, "a.db"), fixture->key,
                               create, &database, test_error()));
    sql_must(
        database->connection,
        "PRAGMA wal_autocheckpoint=15;"
        "CREATE TABLE IF NOT EXISTS pair(id INTEGER PRIMARY KEY, n, body)");
    return database;
}

static cb_status open_reader(struct vfs_fixture *fixture,
                             cb_database **ret_database)
{
    return cb_database_open_reading(
        &fixture->environment, vfs_fixture_path(fixture, "a.db"), fixture->key,
        &silent, ret_database, test_error());
}

static void fill_pairs(cb_database *database)
{
    sql_must(database->connection,
             "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c "
             "WHERE i<9) INSERT INTO pair SELECT i, 0, randomblob(3000) "
             "FROM c");
}

/* One commit: every row says the same number, and all pages are new. */
static void write_pairs(cb_database *database)
{
    sql_must(database->connection,
             "BEGIN IMMEDIATE;"
             "UPDATE pair SET n = n + 1, body = randomblob(3000) "
             "WHERE id % 3 = 0;"
             "UPDATE pair SET n = n + 1, body = randomblob(2900) "
             "WHERE id % 3 != 0; COMMIT");
}

/* The number that all rows agree on. */
static sqlite3_int64 read_pairs(const cb_database *database)
{
    expect_int(
        sql_int(database->connection, "SELECT count(DISTINCT n) FROM pair"), 1);
    cr_expect(sql_int(database->connection,
                      "SELECT sum(length(body)) FROM pair") >= 9 * 2900);
    return sql_int(database->connection, "SELECT max(n) FROM pair");
}

static long long size_of(struct vfs_fixture *fixture, const char *name)
{
    struct stat found;
    return stat(vfs_fixture_path(fixture, name), &found) == 0
               ? (long long)found.st_size
               : -1;
}

Test(vfs_readers, see_one_commit_while_the_writer_goes_on)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    cb_database *writer = open_writer(fixture, true);
    cb_database *reader = NULL;
    cb_database *late = NULL;
    fill_pairs(writer);
    for (int i = 0; i < 7; i++) {
        write_pairs(writer);
    }
    expect_ok(open_reader(fixture, &reader));
    expect_int(read_pairs(reader), 7);
    struct stat before;
    struct stat after;
    cr_assert(stat(vfs_fixture_path(fixture, "a.db"), &before) == 0);
    for (int i = 0; i < 50; i++) {
        write_pairs(writer);
        expect_int(read_pairs(reader), 7);
    }
    cr_assert(stat(vfs_fixture_path(fixture, "a.db"), &after) == 0);
    cr_expect(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
              "no checkpoint beside a reader");
    expect_ok(open_reader(fixture, &late));
    expect_int(read_pairs(late), 57);
    sql_expect_integrity(late->connection);
    cr_expect((sql_run(late->connection, "DELETE FROM pair") & 0xff) ==
              SQLITE_READONLY);

    /* Nor does a writer that closes take the log away. */
    cb_database_close(writer);
    cr_expect(size_of(fixture, "a.db-wal") > 0);
    expect_int(read_pairs(reader), 7);
    expect_int(read_pairs(late), 57);
    cb_database_close(reader);
    cb_database_close(late);
    cr_expect(size_of(fixture, "a.db-wal") > 0, "a reader changes nothing");
    writer = open_writer(fixture, false);
    expect_int(read_pairs(writer), 57);
    cb_database_close(writer);
    expect_int(size_of(fixture, "a.db-wal"), -1);
    expect_ok(open_reader(fixture, &reader));
    expect_int(read_pairs(reader), 57);
    expect_int(size_of(fixture, "a.db-wal"), -1);
    cb_database_close(reader);
    vfs_fixture_destroy(fixture);
}

/* A log that has been checkpointed is not begun anew under a reader. */
Test(vfs_readers, keep_a_log_that_was_copied_already)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    cb_database *writer = open_writer(fixture, true);
    cb_database *reader = NULL;
    fill_pairs(writer);
    write_pairs(writer);
    sql_must(writer->connection, "PRAGMA wal_checkpoint(PASSIVE)");
    long long size = size_of(fixture, "a.db-wal");
    cr_assert(size > 0);
    expect_ok(open_reader(fixture, &reader));
    expect_int(read_pairs(reader), 1);
    write_pairs(writer);
    cr_expect(size_of(fixture, "a.db-wal") > size, "behind, not over it");
    sql_must(reader->connection, "PRAGMA shrink_memory");
    expect_int(read_pairs(reader), 1);
    cb_database_close(reader);
    write_pairs(writer);
    write_pairs(writer);
    cb_database *late = NULL;
    expect_ok(open_reader(fixture, &late));
    expect_int(read_pairs(late), 4);
    cb_database_close(late);
    cb_database_close(writer);
    vfs_fixture_destroy(fixture);
}

static void pause_ms(long milliseconds)
{
    struct timespec pause = { .tv_nsec = milliseconds * 1000000 };
    nanosleep(&pause, NULL);
}

/* Writes until it is killed, and tells each commit. */
static pid_t start_writer(struct vfs_fixture *fixture, int tell)
{
    pid_t parent = getpid();
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        cb_database *writer = open_writer(fixture, false);
        for (;;) {
            write_pairs(writer);
            sqlite3_int64 number =
                sql_int(writer->connection, "SELECT n FROM pair");
            if (write(tell, &number, sizeof number) != sizeof number ||
                getppid() != parent) {
                _exit(1);
            }
            pause_ms(2);
        }
    }
    return child;
}

/* Reads until it is killed. */
static pid_t start_reader(struct vfs_fixture *fixture)
{
    pid_t parent = getpid();
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        for (;;) {
            cb_database *reader = NULL;
            if (open_reader(fixture, &reader) == CB_OK) {
                (void)read_pairs(reader);
            }
            cb_database_close(reader);
            if (getppid() != parent) {
                _exit(1);
            }
            pause_ms(12);
        }
    }
    return child;
}

static void kill_child(pid_t child)
{
    kill(child, SIGKILL);
    cr_assert(waitpid(child, NULL, 0) == child);
}

/* What has been told so far. */
static void take_told(int from, sqlite3_int64 *told)
{
    sqlite3_int64 number = 0;
    while (read(from, &number, sizeof number) == sizeof number) {
        *told = number;
    }
}

Test(vfs_readers, and_writers_are_killed_and_nothing_is_lost, .timeout = 60)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    int ends[2];
    sqlite3_int64 told = 0;
    cb_database *writer = open_writer(fixture, true);
    fill_pairs(writer);
    cb_database_close(writer);
    cr_assert(pipe(ends) == 0);
    cr_assert(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    for (int round = 0; round < 6; round++) {
        pid_t other = start_writer(fixture, ends[1]);
        pid_t beside = start_reader(fixture);
        for (int i = 0; i < 6; i++) {
            cb_database *reader = NULL;
            pause_ms(5 + round);
            take_told(ends[0], &told);
            sqlite3_int64 least = told;
            cb_status status = open_reader(fixture, &reader);
            cr_assert(status == CB_OK, "%s", test_error()->what);
            sqlite3_int64 first = read_pairs(reader);
            cr_expect(first >= least, "%lld, told was %lld", (long long)first,
                      (long long)least);
            pause_ms(7);
            sql_must(reader->connection, "PRAGMA shrink_memory");
            expect_int(read_pairs(reader), first);
            sql_expect_integrity(reader->connection);
            cb_database_close(reader);
        }
        kill_child(beside);
        kill_child(other);
        take_told(ends[0], &told);
    }
    writer = open_writer(fixture, false);
    sqlite3_int64 last = read_pairs(writer);
    cr_expect(last == told || last == told + 1, "%lld, told was %lld",
              (long long)last, (long long)told);
    cr_expect(told > 20, "only %lld commits", (long long)told);
    sql_expect_integrity(writer->connection);
    cb_database_close(writer);
    struct cb_vfs_scrub_result result = { .damaged = 1 };
    expect_ok(cb_vfs_scrub(fixture->vfs, vfs_fixture_path(fixture, "a.db"),
                           NULL, NULL, &result, test_error()));
    cr_expect(result.damaged == 0 && result.tracked);
    expect_int(size_of(fixture, "a.db-wal"), -1);
    vfs_fixture_destroy(fixture);
}

/* What a reader would have to change, it leaves to a writer. */
Test(vfs_readers, refuse_what_must_first_be_written)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    cb_database *writer = open_writer(fixture, true);
    cb_database *reader = NULL;
    sql_must(writer->connection, "PRAGMA user_version=-1");
    expect_status(CB_REFUSED, open_reader(fixture, &reader));
    expect_contains(test_error()->what, "another version");
    sql_must(writer->connection, "PRAGMA user_version=999999");
    expect_status(CB_NEWER, open_reader(fixture, &reader));
    cb_database_close(writer);
    vfs_fixture_destroy(fixture);
}
