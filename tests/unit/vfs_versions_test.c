/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page that verifies may still be an older version of itself: what the table
 * of page versions finds, what becomes of it when it is damaged, and that no
 * cut makes it call a sound page stale.
 */
#include "support/crash_point.h"
#include "support/expect.h"
#include "support/vfs_fixture.h"

#include <casebound/identifier.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE_BYTES   4096
#define BLOCK_BYTES  4096
#define TOP_BYTES    16384
#define BLOCKS_START (2 * TOP_BYTES)
#define FOLDING_ROWS 6170

/* Database and table as they stand between two openings. */
struct state {
    uint8_t *main;
    size_t main_size;
    uint8_t *table;
    size_t table_size;
};

static struct state take_state(struct vfs_fixture *fixture, const char *name)
{
    struct state state = { NULL, 0, NULL, 0 };
    char table[64];
    snprintf(table, sizeof table, "%s-pages", name);
    state.main =
        vfs_file_read(vfs_fixture_path(fixture, name), &state.main_size);
    state.table =
        vfs_file_read(vfs_fixture_path(fixture, table), &state.table_size);
    return state;
}

static void put_state(struct vfs_fixture *fixture, const char *name,
                      const struct state *state)
{
    char table[64];
    snprintf(table, sizeof table, "%s-pages", name);
    vfs_file_write(vfs_fixture_path(fixture, name), state->main,
                   state->main_size);
    vfs_file_write(vfs_fixture_path(fixture, table), state->table,
                   state->table_size);
}

static void free_state(struct state *state)
{
    free(state->main);
    free(state->table);
}

struct found {
    uint64_t count;
    struct cb_vfs_damage first;
};

static void note_found(void *context, const struct cb_vfs_damage *damage)
{
    struct found *found = context;
    if (found->count++ == 0) {
        found->first = *damage;
    }
}

static struct found scrub(struct vfs_fixture *fixture, const char *name)
{
    struct found found = { .count = 0 };
    struct cb_vfs_scrub_result result = { .pages = 0 };
    expect_ok(cb_vfs_scrub(fixture->vfs, vfs_fixture_path(fixture, name),
                           note_found, &found, &result, test_error()));
    cr_expect(result.tracked && result.damaged == found.count);
    return found;
}

static void expect_sound(struct vfs_fixture *fixture, const char *name)
{
    struct found found = scrub(fixture, name);
    cr_expect(found.count == 0,
              "%llu damages, the first of kind %d, fault %d, number %llu",
              (unsigned long long)found.count, (int)found.first.kind,
              (int)found.first.fault, (unsigned long long)found.first.number);
}

static void begin_tracking(sqlite3 *database)
{
    uint8_t identity[CB_VFS_IDENTITY_BYTES];
    bool tracked = true;
    expect_ok(
        cb_vfs_identify(database, "main", identity, &tracked, test_error()));
    cr_expect(!tracked);
    expect_ok(cb_vfs_track(database, "main", test_error()));
    expect_ok(
        cb_vfs_identify(database, "main", identity, &tracked, test_error()));
    cr_expect(tracked);
}

/* `rows` of some 600 bytes. */
static sqlite3 *make_tracked(struct vfs_fixture *fixture, const char *name,
                             const char *mode, int rows)
{
    char sql[300];
    sqlite3 *database = vfs_fixture_open(fixture, name, mode);
    sql_must(database, "PRAGMA synchronous=FULL; PRAGMA cache_spill=OFF;"
                       "CREATE TABLE note(id INTEGER PRIMARY KEY, body, n)");
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c "
             "WHERE i<%d) INSERT INTO note(body, n) SELECT randomblob(600), i "
             "FROM c",
             rows);
    sql_must(database, sql);
    begin_tracking(database);
    return database;
}

/* Reads every row of a database; the first code that is not SQLITE_OK. */
static int read_all(struct vfs_fixture *fixture, const char *name)
{
    sqlite3 *database = NULL;
    cb_vfs_forget_damage(fixture->vfs);
    int result =
        sqlite3_open_v2(vfs_fixture_path(fixture, name), &database,
                        SQLITE_OPEN_READWRITE, cb_vfs_name(fixture->vfs));
    sqlite3_extended_result_codes(database, 1);
    if (result == SQLITE_OK) {
        result = sql_run(database, "SELECT sum(length(body)) FROM note");
    }
    sqlite3_close(database);
    return result;
}

static void expect_damage(struct vfs_fixture *fixture, enum cb_vfs_kind kind,
                          enum cb_vfs_fault fault, uint64_t number)
{
    struct cb_vfs_damage damage = { .number = 0 };
    cr_expect(cb_vfs_damage(fixture->vfs, &damage));
    cr_expect(damage.kind == kind && damage.fault == fault &&
                  damage.number == number,
              "kind %d fault %d number %llu", (int)damage.kind,
              (int)damage.fault, (unsigned long long)damage.number);
}

Test(vfs_versions, finds_every_older_page_put_back)
{
    for (int cipher = 1; cipher <= 2; cipher++) {
        struct vfs_fixture *fixture =
            vfs_fixture_create((enum cb_vfs_cipher)cipher);
        sqlite3_close(make_tracked(fixture, "a.db", "WAL", 100));
        struct state old = take_state(fixture, "a.db");
        sqlite3 *database = vfs_fixture_open(fixture, "a.db", NULL);
        sql_must(database, "UPDATE note SET body = randomblob(600)");
        sqlite3_close(database);
        struct state new = take_state(fixture, "a.db");
        cr_assert(old.main_size == new.main_size &&new.main_size > 15 * 4096);
        expect_sound(fixture, "a.db");

        for (size_t at = 0; at < new.main_size; at += PAGE_BYTES) {
            uint64_t number = at / PAGE_BYTES + 1;
            uint8_t kept[PAGE_BYTES];
            memcpy(kept, new.main + at, PAGE_BYTES);
            bool changed = memcmp(kept, old.main + at, PAGE_BYTES) != 0;
            memcpy(new.main + at, old.main + at, PAGE_BYTES);
            put_state(fixture, "a.db", &new);
            memcpy(new.main + at, kept, PAGE_BYTES);
            struct found found = scrub(fixture, "a.db");
            cr_expect(found.count == (changed ? 1 : 0));
            int result = read_all(fixture, "a.db");
            cr_expect(result == (changed ? SQLITE_IOERR_DATA : SQLITE_OK),
                      "page %llu gave %d", (unsigned long long)number, result);
            if (changed) {
                expect_int((long long)found.first.number, (long long)number);
                expect_damage(fixture, CB_VFS_MAIN, CB_VFS_FAULT_STALE, number);
            }
        }
        struct cb_vfs_damage damage;
        cr_assert(cb_vfs_damage(fixture->vfs, &damage));
        expect_status(CB_DAMAGED, cb_vfs_explain(&damage, test_error()));
        expect_contains(test_error()->what, "a.db' is an older version");
        free_state(&old);
        free_state(&new);
        vfs_fixture_destroy(fixture);
    }
}

/* As the header says: which of the two finds an older file. */
Test(vfs_versions, leaves_a_whole_older_state_to_the_witness)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    sqlite3_close(make_tracked(fixture, "a.db", "WAL", 100));
    struct state old = take_state(fixture, "a.db");
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", NULL);
    sql_must(database, "UPDATE note SET body = randomblob(600)");
    sqlite3_close(database);
    struct state new = take_state(fixture, "a.db");

    struct state mixed = { old.main, old.main_size, new.table, new.table_size };
    put_state(fixture, "a.db", &mixed);
    cr_expect(scrub(fixture, "a.db").count > 15);
    expect_int(read_all(fixture, "a.db"), SQLITE_IOERR_DATA);
    put_state(fixture, "a.db", &old);
    expect_sound(fixture, "a.db");
    expect_int(read_all(fixture, "a.db"), SQLITE_OK);

    /* Without the newest top, what is newer than the one before is stale. */
    size_t newest =
        cb_get_u64(new.table + 8) > cb_get_u64(new.table + TOP_BYTES + 8)
            ? 0
            : TOP_BYTES;
    new.table[newest + 100] ^= 1;
    put_state(fixture, "a.db", &new);
    cr_expect(scrub(fixture, "a.db").count > 15);
    free_state(&old);
    free_state(&new);
    vfs_fixture_destroy(fixture);
}

static cb_status demand(struct vfs_fixture *fixture, const char *name)
{
    sqlite3 *database = vfs_fixture_open(fixture, name, NULL);
    cb_status status = cb_vfs_demand_tracking(database, "main", test_error());
    sqlite3_close(database);
    return status;
}

Test(vfs_versions, names_a_table_that_is_missing_or_not_its_own)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    sqlite3_close(make_tracked(fixture, "a.db", "WAL", 10));
    sqlite3_close(make_tracked(fixture, "b.db", "WAL", 10));
    struct state sound = take_state(fixture, "a.db");
    struct state other = take_state(fixture, "b.db");
    expect_ok(demand(fixture, "a.db"));

    unlink(vfs_fixture_path(fixture, "a.db-pages"));
    expect_status(CB_DAMAGED, demand(fixture, "a.db"));
    expect_damage(fixture, CB_VFS_TABLE, CB_VFS_FAULT_MISSING, 0);
    expect_contains(test_error()->what, "a.db-pages' is missing");

    struct state foreign = { sound.main, sound.main_size, other.table,
                             other.table_size };
    put_state(fixture, "a.db", &foreign);
    expect_status(CB_DAMAGED, demand(fixture, "a.db"));
    expect_damage(fixture, CB_VFS_TABLE, CB_VFS_FAULT_UNREADABLE, 0);
    expect_contains(test_error()->what, "a.db-pages' does not verify");

    const size_t sizes[] = { 0, 7, TOP_BYTES - 1, TOP_BYTES };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct state cut = { sound.main, sound.main_size, sound.table,
                             sizes[i] };
        put_state(fixture, "a.db", &cut);
        expect_status(CB_DAMAGED, demand(fixture, "a.db"));
    }

    /* Whoever knows better may make it anew. */
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", NULL);
    expect_ok(cb_vfs_track(database, "main", test_error()));
    sqlite3_close(database);
    expect_ok(demand(fixture, "a.db"));
    expect_sound(fixture, "a.db");

    sound.table[4] = 9;
    sound.table[TOP_BYTES + 4] = 9;
    memcpy(sound.table, "CBPV", 4);
    put_state(fixture, "a.db", &sound);
    expect_status(CB_NEWER, demand(fixture, "a.db"));
    free_state(&sound);
    free_state(&other);
    vfs_fixture_destroy(fixture);
}

/* A few thousand pages, so that leaves matter, some written many times. */
static sqlite3 *make_large(struct vfs_fixture *fixture, const char *name)
{
    sqlite3 *database = make_tracked(fixture, name, "WAL", 9000);
    sql_must(database, "PRAGMA wal_autocheckpoint=300");
    for (int i = 0; i < 40; i++) {
        char sql[200];
        snprintf(sql, sizeof sql,
                 "UPDATE note SET body = randomblob(600) "
                 "WHERE id %% 40 = %d AND id > %d",
                 i, i * 100);
        sql_must(database, sql);
    }
    cr_assert(sql_int(database, "PRAGMA page_count") > 1200);
    return database;
}

Test(vfs_versions, follows_a_large_file_through_many_checkpoints)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    sqlite3 *database = make_large(fixture, "a.db");
    /* Beside the open connection, which shares what is known. */
    sql_must(database, "PRAGMA wal_checkpoint(TRUNCATE)");
    expect_sound(fixture, "a.db");
    sql_must(database, "DELETE FROM note WHERE id > 2000");
    sql_must(database, "VACUUM");
    sql_must(database, "INSERT INTO note SELECT id + 100000, randomblob(900), "
                       "0 FROM note");
    sqlite3_close(database);
    expect_sound(fixture, "a.db");
    vfs_fixture_reopen(fixture, CB_VFS_AES256_GCM);
    expect_int(read_all(fixture, "a.db"), SQLITE_OK);
    database = vfs_fixture_open(fixture, "a.db", NULL);
    sql_expect_integrity(database);
    sqlite3_close(database);
    vfs_fixture_destroy(fixture);
}

/* Where a block of the file that is in use begins; 0 where there is none. */
static bool block_in_use(const struct state *state, size_t at)
{
    return at + BLOCK_BYTES <= state->table_size &&
           !cb_is_zero(state->table + at, BLOCK_BYTES);
}

Test(vfs_versions, finds_every_damaged_or_older_block)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    sqlite3_close(make_large(fixture, "a.db"));
    struct state old = take_state(fixture, "a.db");
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", NULL);
    sql_must(database, "UPDATE note SET body = randomblob(600)");
    sqlite3_close(database);
    struct state new = take_state(fixture, "a.db");
    cr_assert(old.table_size == new.table_size);
    int flipped = 0;
    int stale = 0;
    for (size_t at = BLOCKS_START; block_in_use(&new, at); at += BLOCK_BYTES) {
        uint8_t kept[BLOCK_BYTES];
        memcpy(kept, new.table + at, BLOCK_BYTES);
        new.table[at + at / 97 % BLOCK_BYTES] ^= 4;
        put_state(fixture, "a.db", &new);
        struct found found = scrub(fixture, "a.db");
        if (found.count != 0) {
            flipped++;
            expect_int(found.first.kind, CB_VFS_TABLE);
            expect_int((long long)found.first.number,
                       (long long)((at - BLOCKS_START) / BLOCK_BYTES / 2 + 1));
            expect_int(read_all(fixture, "a.db"), SQLITE_IOERR_DATA);
        }
        memcpy(new.table + at, old.table + at, BLOCK_BYTES);
        put_state(fixture, "a.db", &new);
        stale += scrub(fixture, "a.db").count != 0;
        if (at + (size_t)2 * BLOCK_BYTES <= new.table_size) {
            memcpy(new.table + at, new.table + at + BLOCK_BYTES, BLOCK_BYTES);
            put_state(fixture, "a.db", &new);
            (void)scrub(fixture, "a.db");
        }
        memcpy(new.table + at, kept, BLOCK_BYTES);
    }
    /* A group and its leaves, each in one of its two places. */
    cr_expect(flipped >= 4, "%d", flipped);
    cr_expect(stale >= 4, "%d", stale);
    put_state(fixture, "a.db", &new);
    expect_sound(fixture, "a.db");
    free_state(&old);
    free_state(&new);
    vfs_fixture_destroy(fixture);
}

struct cut {
    struct vfs_fixture *fixture;
    const char *mode;
    int pipe;
};

/* Some transactions, each acknowledged, with a checkpoint after most. */
static void work(void *context)
{
    const struct cut *cut = context;
    sqlite3 *database = vfs_fixture_open(cut->fixture, "x.db", cut->mode);
    sql_must(database, "PRAGMA synchronous=FULL; PRAGMA cache_spill=OFF;"
                       "PRAGMA wal_autocheckpoint=5");
    for (int i = 0; i < 4; i++) {
        char sql[200];
        snprintf(sql, sizeof sql,
                 "UPDATE note SET body = randomblob(600), n = n + 1 "
                 "WHERE id BETWEEN %d AND %d OR id = 1",
                 i * 30, i * 30 + 29);
        if (sql_run(database, sql) == SQLITE_OK) {
            uint8_t done = (uint8_t)i;
            cr_assert(write(cut->pipe, &done, 1) == 1);
        }
    }
    sqlite3_close(database);
}

/* Cut before each change of a file; nothing sound may be called stale. */
static void cut_everywhere(const char *mode, enum crash_point_kind kind,
                           int rows)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    sqlite3 *made = make_tracked(fixture, "a.db", mode, rows);
    /* With many rows, as much as a top can hold: the next must be folded. */
    sql_must(made, "UPDATE note SET body = randomblob(600) WHERE id > 180");
    sqlite3_close(made);
    struct state before = take_state(fixture, "a.db");
    bool ended = false;
    unsigned point = 1;
    for (; !ended; point++) {
        int ends[2];
        uint8_t done = 0;
        sqlite3_int64 acknowledged = 0;
        unlink(vfs_fixture_path(fixture, "x.db-wal"));
        unlink(vfs_fixture_path(fixture, "x.db-journal"));
        put_state(fixture, "x.db", &before);
        cr_assert(pipe(ends) == 0);
        struct cut cut = { fixture, mode, ends[1] };
        ended = crash_point_run(kind, point, work, &cut);
        close(ends[1]);
        while (read(ends[0], &done, 1) == 1) {
            acknowledged++;
        }
        close(ends[0]);
        cb_vfs_forget_damage(fixture->vfs);
        sqlite3 *database = vfs_fixture_open(fixture, "x.db", NULL);
        sqlite3_int64 counted =
            sql_int(database, "SELECT n FROM note WHERE id = 1");
        cr_expect(counted >= 1 + acknowledged, "point %u lost commits", point);
        sql_expect_integrity(database);
        expect_ok(cb_vfs_demand_tracking(database, "main", test_error()));
        sql_must(database, "UPDATE note SET n = n + 1 WHERE id < 20");
        sqlite3_close(database);
        expect_sound(fixture, "x.db");
    }
    cr_expect(point > 40, "only %u points", point);
    free_state(&before);
    vfs_fixture_destroy(fixture);
}

Test(vfs_versions, calls_nothing_stale_after_a_kill)
{
    cut_everywhere("WAL", CRASH_POINT_KILL, 120);
    cut_everywhere("DELETE", CRASH_POINT_KILL, 120);
}

Test(vfs_versions, calls_nothing_stale_after_a_full_disk)
{
    cut_everywhere("WAL", CRASH_POINT_FULL, 120);
    cut_everywhere("DELETE", CRASH_POINT_FULL, 120);
}

Test(vfs_versions, loses_no_leaf_when_cut_while_folding)
{
    cut_everywhere("WAL", CRASH_POINT_KILL, FOLDING_ROWS);
}

/* Whatever the size, what a short command reads of the table is little. */
static size_t table_bytes_read;
static int table_descriptor = -1;

static int spy_open(const char *path, int flags, int mode)
{
    int descriptor = open(path, flags, mode);
    if (strstr(path, "-pages") != NULL) {
        table_descriptor = descriptor;
    }
    return descriptor;
}

static ssize_t spy_pread(int descriptor, void *bytes, size_t size, off_t offset)
{
    if (descriptor == table_descriptor) {
        table_bytes_read += size;
    }
    return pread(descriptor, bytes, size, offset);
}

Test(vfs_versions, reads_little_of_the_table_at_opening)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    sqlite3_close(make_large(fixture, "a.db"));
    sqlite3_vfs *base = sqlite3_vfs_find("unix-excl");
    base->xSetSystemCall(base, "open", (sqlite3_syscall_ptr)spy_open);
    base->xSetSystemCall(base, "pread", (sqlite3_syscall_ptr)spy_pread);
    base->xSetSystemCall(base, "pread64", (sqlite3_syscall_ptr)spy_pread);
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", NULL);
    sql_must(database, "SELECT * FROM note WHERE id = 77");
    sqlite3_close(database);
    cr_expect(table_bytes_read > 0 &&
                  table_bytes_read <= 2 * 16 + TOP_BYTES + 5 * BLOCK_BYTES,
              "%zu bytes", table_bytes_read);
    vfs_fixture_destroy(fixture);
}
