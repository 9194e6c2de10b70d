/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What whoever has the disk can change, and that each change is found and
 * named: never an empty or shortened answer, and nothing deleted on the way.
 *
 * Files are copied while a connection is in the middle of something, changed,
 * and opened under another name; nothing in them is bound to their path.
 */
#include "support/expect.h"
#include "support/vfs_fixture.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES   4096
#define FRAME_BYTES  (24 + PAGE_BYTES)
#define RECORD_BYTES (PAGE_BYTES + 8)

/* A file as it was, to be changed and written again. */
struct copy {
    uint8_t *bytes;
    size_t size;
};

static struct copy copy_of(struct vfs_fixture *fixture, const char *name)
{
    struct copy copy = { NULL, 0 };
    copy.bytes = vfs_file_read(vfs_fixture_path(fixture, name), &copy.size);
    return copy;
}

static void write_copy(struct vfs_fixture *fixture, const char *name,
                       const struct copy *copy)
{
    vfs_file_write(vfs_fixture_path(fixture, name), copy->bytes, copy->size);
}

static void remove_all(struct vfs_fixture *fixture, const char *name)
{
    char path[200];
    const char *const suffixes[] = { "", "-wal", "-journal" };
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", name, suffixes[i]);
        unlink(vfs_fixture_path(fixture, path));
    }
}

/* Reads everything there is; the first code that is not SQLITE_OK. */
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
    if (result == SQLITE_OK) {
        result = sql_run(database, "SELECT n FROM note ORDER BY n");
    }
    sqlite3_close(database);
    return result;
}

static void expect_damage(struct vfs_fixture *fixture, const char *what,
                          size_t i, enum cb_vfs_kind kind,
                          enum cb_vfs_fault fault, uint64_t number)
{
    struct cb_vfs_damage damage = { .number = 0 };
    bool damaged = cb_vfs_damage(fixture->vfs, &damage);
    cr_expect(damaged && damage.kind == kind && damage.fault == fault &&
                  damage.number == number,
              "%s %zu: kind %d fault %d number %llu", what, i, (int)damage.kind,
              (int)damage.fault, (unsigned long long)damage.number);
    expect_contains(damage.path, "x.db");
}

static void fill(sqlite3 *database, int rows)
{
    char sql[300];
    sql_must(database,
             "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT, n)");
    sql_must(database, "CREATE INDEX note_n ON note(n)");
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c "
             "WHERE i<%d) INSERT INTO note(body, n) SELECT hex(randomblob(300))"
             ", i FROM c",
             rows);
    sql_must(database, sql);
}

/* A closed database of some pages, a few of them free. */
static struct copy make_database(struct vfs_fixture *fixture, const char *name)
{
    sqlite3 *database = vfs_fixture_open(fixture, name, "DELETE");
    fill(database, 200);
    sql_must(database,
             "CREATE TABLE gone AS SELECT * FROM note; DROP TABLE gone");
    sqlite3_close(database);
    return copy_of(fixture, name);
}

enum change {
    FLIP,
    ZERO,
    SWAP,
    FOREIGN,
    CHANGES
};

/* Another place for each row, and the same in each run. */
static size_t scatter(size_t row)
{
    return (size_t)(((uint64_t)row + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
}

static void change_page(struct copy *copy, const struct copy *other,
                        enum change change, size_t page, size_t bit)
{
    uint8_t *at = copy->bytes + page * PAGE_BYTES;
    uint8_t kept[PAGE_BYTES];
    size_t partner = page == 1 ? 2 : 1;
    switch (change) {
    case FLIP: at[bit / 8] ^= (uint8_t)(1U << (bit % 8)); break;
    case ZERO: memset(at, 0, PAGE_BYTES); break;
    case SWAP:
        memcpy(kept, at, PAGE_BYTES);
        memcpy(at, copy->bytes + partner * PAGE_BYTES, PAGE_BYTES);
        memcpy(copy->bytes + partner * PAGE_BYTES, kept, PAGE_BYTES);
        break;
    case FOREIGN:
        memcpy(at, other->bytes + page * PAGE_BYTES, PAGE_BYTES);
        break;
    case CHANGES: break;
    }
}

struct found {
    uint64_t count;
    uint64_t first;
};

static void note_found(void *context, const struct cb_vfs_damage *damage)
{
    struct found *found = context;
    if (found->count++ == 0) {
        found->first = damage->number;
    }
}

Test(vfs_damage, finds_every_changed_page)
{
    for (int cipher = 1; cipher <= 2; cipher++) {
        struct vfs_fixture *fixture =
            vfs_fixture_create((enum cb_vfs_cipher)cipher);
        struct copy sound = make_database(fixture, "a.db");
        struct copy other = make_database(fixture, "b.db");
        size_t pages = sound.size / PAGE_BYTES;
        cr_assert(pages > 40);
        for (size_t i = 0; i < 4 * pages; i++) {
            struct copy changed = { malloc(sound.size), sound.size };
            memcpy(changed.bytes, sound.bytes, sound.size);
            enum change change = (enum change)(i % CHANGES);
            size_t page = 1 + i / 4 % (pages - 1);
            change_page(&changed, &other, change, page,
                        scatter(i) % (8 * PAGE_BYTES));
            write_copy(fixture, "x.db", &changed);
            struct found found = { 0, 0 };
            struct cb_vfs_scrub_result result = { .pages = 0 };
            expect_ok(cb_vfs_scrub(fixture->vfs,
                                   vfs_fixture_path(fixture, "x.db"),
                                   note_found, &found, &result, test_error()));
            uint64_t first = change == SWAP && page > 1 ? 2 : page + 1;
            cr_expect(found.count == (change == SWAP ? 2 : 1) &&
                          result.damaged == found.count &&
                          result.pages == pages && found.first == first,
                      "change %d of page %zu: %llu found, first %llu",
                      (int)change, page + 1, (unsigned long long)found.count,
                      (unsigned long long)found.first);
            free(changed.bytes);
        }
        free(sound.bytes);
        free(other.bytes);
        vfs_fixture_destroy(fixture);
    }
}

Test(vfs_damage, names_the_page_that_sqlite_meets)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    struct copy sound = make_database(fixture, "a.db");
    write_copy(fixture, "x.db", &sound);
    expect_int(read_all(fixture, "x.db"), SQLITE_OK);
    /* Page 3 is the root of note (page 2 maps pointers), page 4 of its index:
       both are read by any question. */
    for (size_t i = 0; i < CHANGES; i++) {
        struct copy changed = { malloc(sound.size), sound.size };
        memcpy(changed.bytes, sound.bytes, sound.size);
        struct copy zeros = { calloc(1, sound.size), sound.size };
        change_page(&changed, &zeros, (enum change)i, 3, 77);
        write_copy(fixture, "x.db", &changed);
        int result = read_all(fixture, "x.db");
        cr_expect(result == SQLITE_IOERR_DATA, "change %zu gave %d", i, result);
        struct cb_vfs_damage damage = { .number = 0 };
        cr_expect(cb_vfs_damage(fixture->vfs, &damage));
        cr_expect(damage.number == 4 || (i == SWAP && damage.number == 2));
        expect_status(CB_DAMAGED, cb_vfs_explain(&damage, test_error()));
        expect_contains(test_error()->what, "x.db");
        free(changed.bytes);
        free(zeros.bytes);
    }
    free(sound.bytes);
    vfs_fixture_destroy(fixture);
}

Test(vfs_damage, finds_a_file_that_was_cut_short)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_AES256_GCM);
    struct copy sound = make_database(fixture, "a.db");
    for (size_t cut = 1; cut < sound.size - PAGE_BYTES; cut += 5003) {
        struct copy shorter = { sound.bytes, sound.size - cut };
        write_copy(fixture, "x.db", &shorter);
        int result = read_all(fixture, "x.db");
        /* The last page is unused: a cut inside it costs no answer. */
        cr_expect(result == SQLITE_IOERR_DATA ||
                      (result & 0xff) == SQLITE_CORRUPT ||
                      (result == SQLITE_OK && cut < PAGE_BYTES),
                  "cut by %zu gave %d", cut, result);
        expect_damage(fixture, "cut", cut, CB_VFS_MAIN, CB_VFS_FAULT_TRUNCATED,
                      shorter.size / PAGE_BYTES + 1);
    }
    free(sound.bytes);
    vfs_fixture_destroy(fixture);
}

Test(vfs_damage, knows_what_it_cannot_open)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    struct copy sound = make_database(fixture, "a.db");

    const struct {
        size_t offset;
        uint8_t value;
        cb_status status;
    } rows[] = {
        { 0, 'S', CB_WRONG_KEY }, { 4, 2, CB_NEWER },
        { 4, 0, CB_WRONG_KEY },   { 5, 9, CB_REFUSED },
        { 5, 2, CB_WRONG_KEY },   { 6, 13, CB_WRONG_KEY },
        { 6, 60, CB_WRONG_KEY },  { 7, 33, CB_WRONG_KEY },
        { 9, 0, CB_WRONG_KEY },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t kept = sound.bytes[rows[i].offset];
        sound.bytes[rows[i].offset] = rows[i].value;
        write_copy(fixture, "x.db", &sound);
        sound.bytes[rows[i].offset] = kept;
        int result = read_all(fixture, "x.db");
        cr_expect(result == SQLITE_NOTADB, "row %zu gave %d", i, result);
        struct cb_vfs_damage damage = { .number = 0 };
        cr_expect(cb_vfs_damage(fixture->vfs, &damage));
        cb_status status = cb_vfs_explain(&damage, test_error());
        bool lacking = rows[i].value == 2 && rows[i].offset == 5 &&
                       !cb_vfs_cipher_available(CB_VFS_AES256_GCM);
        cr_expect(status == rows[i].status || (lacking && status == CB_REFUSED),
                  "row %zu is %s", i, cb_status_name(status));
        cb_error_clear(test_error());
    }
    free(sound.bytes);
    vfs_fixture_destroy(fixture);
}

/* A database whose log holds `commits` transactions of several frames each. */
static void make_log(struct vfs_fixture *fixture, int commits,
                     struct copy *main, struct copy *log)
{
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", "WAL");
    sql_must(database, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0");
    fill(database, 50);
    sql_must(database, "PRAGMA wal_checkpoint(TRUNCATE)");
    for (int i = 0; i < commits; i++) {
        sql_must(database,
                 "INSERT INTO note(body, n) "
                 "SELECT hex(randomblob(2500)), max(n) + 1 FROM note");
    }
    *main = copy_of(fixture, "a.db");
    *log = copy_of(fixture, "a.db-wal");
    sqlite3_close(database);
}

static sqlite3_int64 count_notes(struct vfs_fixture *fixture, const char *name)
{
    sqlite3 *database = vfs_fixture_open(fixture, name, NULL);
    sqlite3_int64 count = sql_int(database, "SELECT max(n) FROM note");
    sqlite3_close(database);
    return count;
}

/* Offset of the first frame of the last transaction. */
static size_t last_transaction(const struct copy *log)
{
    size_t offset = log->size - FRAME_BYTES;
    while (cb_get_u32(log->bytes + offset - FRAME_BYTES + 4) == 0) {
        offset -= FRAME_BYTES;
    }
    return offset;
}

Test(vfs_damage, tells_a_damaged_log_from_a_torn_one)
{
    for (int cipher = 1; cipher <= 2; cipher++) {
        struct vfs_fixture *fixture =
            vfs_fixture_create((enum cb_vfs_cipher)cipher);
        struct copy main = { NULL, 0 };
        struct copy log = { NULL, 0 };
        make_log(fixture, 12, &main, &log);
        size_t last = last_transaction(&log);
        for (size_t offset = 32; offset < log.size; offset += FRAME_BYTES) {
            /* Any byte but those of an older log's salts, see below. */
            size_t within = scatter(offset) % PAGE_BYTES + 16;
            remove_all(fixture, "x.db");
            log.bytes[offset + within] ^= 0x10;
            write_copy(fixture, "x.db", &main);
            write_copy(fixture, "x.db-wal", &log);
            log.bytes[offset + within] ^= 0x10;
            size_t number = (offset - 32) / FRAME_BYTES + 1;
            if (offset < last) {
                int result = read_all(fixture, "x.db");
                cr_expect(result == SQLITE_IOERR_DATA, "frame %zu gave %d",
                          number, result);
                expect_damage(fixture, "frame", number, CB_VFS_WAL,
                              CB_VFS_FAULT_LOST_FRAMES, number);
                struct stat status;
                cr_expect(
                    stat(vfs_fixture_path(fixture, "x.db-wal"), &status) == 0 &&
                        (size_t)status.st_size == log.size,
                    "the log must stay");
            } else {
                expect_int(count_notes(fixture, "x.db"), 50 + 11);
            }
        }
        remove_all(fixture, "x.db");
        write_copy(fixture, "x.db", &main);
        write_copy(fixture, "x.db-wal", &log);
        expect_int(count_notes(fixture, "x.db"), 50 + 12);
        free(main.bytes);
        free(log.bytes);
        vfs_fixture_destroy(fixture);
    }
}

Test(vfs_damage, takes_a_log_with_a_torn_end)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    struct copy main = { NULL, 0 };
    struct copy log = { NULL, 0 };
    make_log(fixture, 4, &main, &log);
    size_t last = last_transaction(&log);
    /* Cut anywhere in the last transaction, or with its sectors unwritten. */
    for (size_t cut = last + 1; cut < log.size; cut += 701) {
        remove_all(fixture, "x.db");
        struct copy torn = { log.bytes, cut };
        write_copy(fixture, "x.db", &main);
        write_copy(fixture, "x.db-wal", &torn);
        expect_int(count_notes(fixture, "x.db"), 50 + 3);
    }
    uint8_t sector[512];
    for (size_t at = last / 512 * 512 + 512; at + 512 < log.size; at += 512) {
        remove_all(fixture, "x.db");
        memcpy(sector, log.bytes + at, 512);
        memset(log.bytes + at, 0, 512);
        write_copy(fixture, "x.db", &main);
        write_copy(fixture, "x.db-wal", &log);
        memcpy(log.bytes + at, sector, 512);
        expect_int(count_notes(fixture, "x.db"), 50 + 3);
    }
    free(main.bytes);
    free(log.bytes);
    vfs_fixture_destroy(fixture);
}

Test(vfs_damage, finds_a_damaged_header_of_the_log)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    struct copy main = { NULL, 0 };
    struct copy log = { NULL, 0 };
    make_log(fixture, 2, &main, &log);
    for (size_t i = 0; i < 32; i++) {
        remove_all(fixture, "x.db");
        log.bytes[i] ^= 4;
        write_copy(fixture, "x.db", &main);
        write_copy(fixture, "x.db-wal", &log);
        log.bytes[i] ^= 4;
        int result = read_all(fixture, "x.db");
        cr_expect(result == SQLITE_IOERR_DATA, "byte %zu gave %d", i, result);
        expect_damage(fixture, "byte", i, CB_VFS_WAL, CB_VFS_FAULT_LOST_FRAMES,
                      0);
    }
    free(main.bytes);
    free(log.bytes);
    vfs_fixture_destroy(fixture);
}

/*
 * An older frame of the same log, put back, verifies and even continues the
 * chain, where it was once written; the one behind it then does not.
 */
Test(vfs_damage, finds_an_older_frame_put_back_in_the_log)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", "WAL");
    sql_must(database, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
                       "PRAGMA cache_size=5; PRAGMA cache_spill=1");
    fill(database, 50);
    sql_must(database, "PRAGMA wal_checkpoint(TRUNCATE)");
    sql_must(database, "INSERT INTO note(body, n) VALUES('before', 51)");
    size_t end = 0;
    free(vfs_file_read(vfs_fixture_path(fixture, "a.db-wal"), &end));
    sql_must(database, "BEGIN; UPDATE note SET body = hex(randomblob(300))");
    struct copy old = copy_of(fixture, "a.db-wal");
    cr_assert(old.size >= end + FRAME_BYTES, "nothing was spilled");
    sql_must(database, "ROLLBACK");
    for (int i = 0; i < 5; i++) {
        sql_must(database, "UPDATE note SET body = hex(randomblob(300))");
    }
    struct copy main = copy_of(fixture, "a.db");
    struct copy log = copy_of(fixture, "a.db-wal");
    sqlite3_close(database);
    write_copy(fixture, "x.db", &main);
    write_copy(fixture, "x.db-wal", &log);
    expect_int(count_notes(fixture, "x.db"), 51);
    remove_all(fixture, "x.db");
    memcpy(log.bytes + end, old.bytes + end, FRAME_BYTES);
    write_copy(fixture, "x.db", &main);
    write_copy(fixture, "x.db-wal", &log);
    expect_int(read_all(fixture, "x.db"), SQLITE_IOERR_DATA);
    expect_damage(fixture, "frame", 0, CB_VFS_WAL, CB_VFS_FAULT_LOST_FRAMES,
                  (end - 32) / FRAME_BYTES + 2);
    free(old.bytes);
    free(main.bytes);
    free(log.bytes);
    vfs_fixture_destroy(fixture);
}

/* A database in the middle of a transaction, with the journal to undo it. */
static void make_hot_journal(struct vfs_fixture *fixture, struct copy *main,
                             struct copy *journal)
{
    sqlite3 *database = vfs_fixture_open(fixture, "a.db", "DELETE");
    sql_must(database, "PRAGMA synchronous=FULL; PRAGMA cache_size=12;"
                       "PRAGMA cache_spill=12");
    fill(database, 200);
    sql_must(database, "BEGIN; UPDATE note SET body = body || 'lost'");
    *main = copy_of(fixture, "a.db");
    *journal = copy_of(fixture, "a.db-journal");
    sql_must(database, "ROLLBACK");
    sqlite3_close(database);
}

Test(vfs_damage, undoes_a_transaction_or_says_that_it_cannot)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    struct copy main = { NULL, 0 };
    struct copy journal = { NULL, 0 };
    make_hot_journal(fixture, &main, &journal);
    uint32_t records = cb_get_u32(journal.bytes + 8);
    cr_assert(records > 2 && records < 1000, "%u records", records);
    write_copy(fixture, "x.db", &main);
    write_copy(fixture, "x.db-journal", &journal);
    expect_int(count_notes(fixture, "x.db"), 200);
    sqlite3 *database = vfs_fixture_open(fixture, "x.db", NULL);
    expect_int(sql_int(database, "SELECT sum(body LIKE '%lost') FROM note"), 0);
    sqlite3_close(database);
    for (size_t i = 0; i < records; i++) {
        size_t at = 512 + i * RECORD_BYTES + i * 97 % RECORD_BYTES;
        remove_all(fixture, "x.db");
        journal.bytes[at] ^= 1;
        write_copy(fixture, "x.db", &main);
        write_copy(fixture, "x.db-journal", &journal);
        journal.bytes[at] ^= 1;
        int result = read_all(fixture, "x.db");
        cr_expect(result != SQLITE_OK, "record %zu gave %d", i + 1, result);
        expect_damage(fixture, "record", i, CB_VFS_JOURNAL,
                      CB_VFS_FAULT_UNREADABLE, i + 1);
        cr_expect(access(vfs_fixture_path(fixture, "x.db-journal"), F_OK) == 0);
    }
    free(main.bytes);
    free(journal.bytes);
    vfs_fixture_destroy(fixture);
}

/* SQLite deletes a log or journal that looks empty: nothing may look so. */
Test(vfs_damage, loses_nothing_to_a_wrong_key)
{
    struct vfs_fixture *fixture = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    struct vfs_fixture *wrong = vfs_fixture_create(CB_VFS_XCHACHA20_POLY1305);
    struct copy main = { NULL, 0 };
    struct copy log = { NULL, 0 };
    make_log(fixture, 3, &main, &log);
    write_copy(fixture, "x.db", &main);
    write_copy(fixture, "x.db-wal", &log);
    write_copy(wrong, "x.db", &main);
    write_copy(wrong, "x.db-wal", &log);
    expect_int(read_all(wrong, "x.db"), SQLITE_NOTADB);
    expect_damage(wrong, "log", 0, CB_VFS_MAIN, CB_VFS_FAULT_UNREADABLE, 1);
    struct copy after = copy_of(wrong, "x.db-wal");
    expect_bytes(after.bytes, after.size, log.bytes, log.size);
    free(after.bytes);
    expect_int(count_notes(fixture, "x.db"), 53);

    free(main.bytes);
    free(log.bytes);
    remove_all(fixture, "a.db");
    remove_all(fixture, "x.db");
    remove_all(wrong, "x.db");
    make_hot_journal(fixture, &main, &log);
    write_copy(wrong, "x.db", &main);
    write_copy(wrong, "x.db-journal", &log);
    expect_int(read_all(wrong, "x.db"), SQLITE_NOTADB);
    expect_damage(wrong, "journal", 0, CB_VFS_MAIN, CB_VFS_FAULT_UNREADABLE, 1);
    after = copy_of(wrong, "x.db-journal");
    expect_bytes(after.bytes, after.size, log.bytes, log.size);
    free(after.bytes);
    free(main.bytes);
    free(log.bytes);
    vfs_fixture_destroy(wrong);
    vfs_fixture_destroy(fixture);
}
