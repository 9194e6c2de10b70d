/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody who has the disk can change in a store's files: each change is
 * found and named, also where the store no longer opens, and nothing is written
 * over it.
 */
#include "support/check_kit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES  4096
#define FRAME_BYTES (24 + PAGE_BYTES)
#define LOG_BYTES   32

static const char *path_in(const char *name, const char *file)
{
    static char path[2 * STORE_KIT_PATH_BYTES];
    char folder[STORE_KIT_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", store_kit_path(&kit, name, folder),
             file);
    return path;
}

/* ------------------------------------------------------------------ damages */

static void flip(size_t offset)
{
    size_t size = 0;
    uint8_t *bytes = check_read("x", "casebook.db", &size);
    cr_assert(offset < size);
    bytes[offset] ^= 1;
    check_write("x", "casebook.db", bytes, size);
    free(bytes);
}

static void flip_first(void)
{
    flip(100);
}

static void flip_magic(void)
{
    flip(0);
}

static void flip_identity(void)
{
    flip(9);
}

static void flip_seventh(void)
{
    flip(6 * PAGE_BYTES + 500);
}

static void swap_pages(void)
{
    size_t size = 0;
    uint8_t kept[PAGE_BYTES];
    uint8_t *bytes = check_read("x", "casebook.db", &size);
    memcpy(kept, bytes + 4 * PAGE_BYTES, PAGE_BYTES);
    memcpy(bytes + 4 * PAGE_BYTES, bytes + 8 * PAGE_BYTES, PAGE_BYTES);
    memcpy(bytes + 8 * PAGE_BYTES, kept, PAGE_BYTES);
    check_write("x", "casebook.db", bytes, size);
    free(bytes);
}

static void zero_page(void)
{
    size_t size = 0;
    uint8_t *bytes = check_read("x", "casebook.db", &size);
    memset(bytes + 5 * PAGE_BYTES, 0, PAGE_BYTES);
    check_write("x", "casebook.db", bytes, size);
    free(bytes);
}

static void cut_off(void)
{
    size_t size = 0;
    uint8_t *bytes = check_read("x", "casebook.db", &size);
    check_write("x", "casebook.db", bytes, size - (size_t)3 * PAGE_BYTES);
    free(bytes);
}

static void cut_inside(void)
{
    size_t size = 0;
    uint8_t *bytes = check_read("x", "casebook.db", &size);
    check_write("x", "casebook.db", bytes, size - 100);
    free(bytes);
}

static void empty_database(void)
{
    check_write("x", "casebook.db", NULL, 0);
}

static void lose_database(void)
{
    unlink(path_in("x", "casebook.db"));
}

static void link_database(void)
{
    lose_database();
    cr_assert(symlink("../anna/casebook.db", path_in("x", "casebook.db")) == 0);
}

static void take_database(void)
{
    size_t size = 0;
    uint8_t *bytes = check_read("bert", "casebook.db", &size);
    check_write("x", "casebook.db", bytes, size);
    free(bytes);
}

static void lose_unlock(void)
{
    unlink(path_in("x", "unlock.json"));
}

static void spoil_unlock(void)
{
    check_write("x", "unlock.json", (const uint8_t *)"{\"version\":1", 12);
}

static void take_unlock(void)
{
    size_t size = 0;
    uint8_t *bytes = check_read("bert", "unlock.json", &size);
    check_write("x", "unlock.json", bytes, size);
    free(bytes);
}

/* Page 3 as it was before the last change, which the log carried over. */
static void put_back_page(void)
{
    size_t size = 0;
    size_t old_size = 0;
    uint8_t *old = check_read("x", "casebook.db", &old_size);
    cb_store *store = store_kit_open(&kit, "x");
    store_kit_person(store, &check_case, "victim_supporter", "Rowan");
    cb_store_close(store);
    uint8_t *bytes = check_read("x", "casebook.db", &size);
    size_t page = 1;
    while (memcmp(old + page * PAGE_BYTES, bytes + page * PAGE_BYTES,
                  PAGE_BYTES) == 0) {
        page++;
    }
    memcpy(bytes + page * PAGE_BYTES, old + page * PAGE_BYTES, PAGE_BYTES);
    check_write("x", "casebook.db", bytes, size);
    free(old);
    free(bytes);
}

static void put_back_database(void)
{
    size_t old_size = 0;
    uint8_t *old = check_read("x", "casebook.db", &old_size);
    cb_store *store = store_kit_open(&kit, "x");
    store_kit_person(store, &check_case, "victim_supporter", "Rowan");
    cb_store_close(store);
    check_write("x", "casebook.db", old, old_size);
    free(old);
}

/* Rot in the sum that tells rot from a wrong passphrase. */
static void rot_unlock(void)
{
    size_t size = 0;
    uint8_t *bytes = check_read("x", "unlock.json", &size);
    bytes[size] = '\0';
    char *sum = strstr((char *)bytes, "\"sum\":\"");
    cr_assert(sum != NULL, "%s", (char *)bytes);
    sum[7] = sum[7] == '0' ? '1' : '0';
    check_write("x", "unlock.json", bytes, size);
    free(bytes);
}

static void set_clock_back(void)
{
    kit.now_ms -= INT64_C(10) * 3600 * 1000;
}

static void unset_clock(void)
{
    kit.now_ms = 0;
}

static void open_to_others(void)
{
    cr_assert(chmod(path_in("x", "casebook.db"), 0644) == 0);
}

static void leave_over(void)
{
    check_write("x", "unlock.json.new", (const uint8_t *)"{", 1);
}

static const struct row {
    const char *what;
    void (*damage)(void);
    const char *code;
    const char *file;
    uint64_t page;
    cb_status outcome;
} rows[] = {
    { "a flipped bit on page 1", flip_first, "page.unreadable", "casebook.db",
      1, CB_DAMAGED },
    { "a flipped bit in the magic", flip_magic, "page.unreadable",
      "casebook.db", 1, CB_DAMAGED },
    { "a flipped bit in the identity", flip_identity, "database.foreign",
      "casebook.db", 0, CB_DAMAGED },
    { "a flipped bit on page 7", flip_seventh, "page.unreadable", "casebook.db",
      7, CB_DAMAGED },
    { "two pages swapped", swap_pages, "page.unreadable", "casebook.db", 5,
      CB_DAMAGED },
    { "a page of zeros", zero_page, "page.unreadable", "casebook.db", 6,
      CB_DAMAGED },
    { "pages cut off", cut_off, "database.truncated", "casebook.db", 0,
      CB_DAMAGED },
    { "cut inside a page", cut_inside, "database.truncated", "casebook.db", 0,
      CB_DAMAGED },
    { "an older page put back", put_back_page, "page.stale", "casebook.db", 0,
      CB_DAMAGED },
    { "an older database put back", put_back_database, "page.stale",
      "casebook.db", 0, CB_DAMAGED },
    { "an empty database", empty_database, "database.empty", "casebook.db", 0,
      CB_DAMAGED },
    { "no database", lose_database, "file.missing", "casebook.db", 0,
      CB_DAMAGED },
    { "a link for a database", link_database, "file.kind", "casebook.db", 0,
      CB_DAMAGED },
    { "another store's database", take_database, "database.foreign",
      "casebook.db", 0, CB_DAMAGED },
    { "no unlock.json", lose_unlock, "file.missing", "unlock.json", 0,
      CB_DAMAGED },
    { "half of unlock.json", spoil_unlock, "unlock.damaged", "unlock.json", 0,
      CB_DAMAGED },
    { "another store's unlock.json", take_unlock, "database.foreign",
      "casebook.db", 0, CB_DAMAGED },
    { "open to others", open_to_others, "file.mode", "casebook.db", 0, CB_OK },
    { "rot in unlock.json", rot_unlock, "unlock.rotten", "unlock.json", 0,
      CB_OK },
    { "a clock behind", set_clock_back, "clock.behind", "", 0, CB_OK },
    { "a clock never set", unset_clock, "clock.unset", "", 0, CB_OK },
    { "something left over", leave_over, "file.leftover", "unlock.json.new", 0,
      CB_OK },
};

static void expect_found(const struct row *row, const cb_check_report *report)
{
    bool named = false;
    for (size_t i = 0; i < cb_check_finding_count(report); i++) {
        const cb_finding *finding = cb_check_finding(report, i);
        named = named || (strcmp(finding->code, row->code) == 0 &&
                          strcmp(finding->place.file, row->file) == 0 &&
                          (row->page == 0 || finding->place.page == row->page));
    }
    cr_expect(named, "%s\n    %s not among %s", row->what, row->code,
              check_codes(report));
    cr_expect(cb_check_outcome(report, NULL) == row->outcome, "%s: %s",
              row->what, check_codes(report));
}

/* The database as it lies there, or nothing. */
static uint8_t *read_database(size_t *ret_size)
{
    struct stat facts;
    *ret_size = 0;
    return lstat(path_in("x", "casebook.db"), &facts) == 0 &&
                   S_ISREG(facts.st_mode)
               ? check_read("x", "casebook.db", ret_size)
               : NULL;
}

Test(check_file, every_change_of_a_file_is_named_and_left, .init = check_begin,
     .fini = check_end, .timeout = 300)
{
    const int64_t now_ms = kit.now_ms;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = 0;
        size_t size_after = 0;
        kit.now_ms = now_ms;
        check_copy("anna", "x");
        rows[i].damage();
        uint8_t *before = read_database(&size);
        cb_check_report *report = check_look("x");
        expect_found(&rows[i], report);
        cb_check_report_destroy(report);
        report = check_repair("x");
        expect_found(&rows[i], report);
        cb_check_report_destroy(report);
        uint8_t *after = read_database(&size_after);
        cr_expect(size == size_after &&
                      (size == 0 || memcmp(before, after, size) == 0),
                  "%s: the database was written to", rows[i].what);
        free(before);
        free(after);
    }
}

/* Everything else of the store is looked at all the same. */
Test(check_file, a_damaged_page_hides_only_what_stands_on_it,
     .init = check_begin, .fini = check_end, .timeout = 300)
{
    size_t size = 0;
    uint8_t *bytes = check_read("anna", "casebook.db", &size);
    size_t checked = 0;
    size_t entries_named = 0;
    for (size_t page = 2; page <= size / PAGE_BYTES; page += 3) {
        json_t *document = NULL;
        check_copy("anna", "x");
        flip((page - 1) * PAGE_BYTES + 77);
        cb_check_report *report = check_look("x");
        const cb_finding *finding = check_find(report, "page.unreadable");
        cr_expect(finding != NULL && finding->place.page == page &&
                      cb_check_count_of(report, "page.unreadable") == 1,
                  "page %zu: %s", page, check_codes(report));
        expect_ok(cb_check_document(report, &document, test_error()));
        checked += json_integer_value(json_object_get(
                       json_object_get(document, "checked"), "entries")) > 0;
        entries_named += check_find(report, "entry.unreadable") != NULL;
        json_decref(document);
        cb_check_report_destroy(report);
    }
    cr_expect(checked > 5 && entries_named > 0, "%zu, %zu", checked,
              entries_named);
    free(bytes);
}

/* ----------------------------------------------------------------- the log */

/* A store whose process was killed: what it wrote last is in the log alone. */
static void leave_log(void)
{
    check_copy("anna", "open");
    cb_store *store = store_kit_open(&kit, "open");
    for (int i = 0; i < 4; i++) {
        store_kit_person(store, &check_case, "victim_supporter", "Rowan");
    }
    check_copy("open", "killed");
    cb_store_close(store);
}

static void change_log(size_t frame)
{
    size_t size = 0;
    uint8_t *bytes = check_read("x", "casebook.db-wal", &size);
    size_t offset =
        frame == 0 ? 18 : LOG_BYTES + (frame - 1) * FRAME_BYTES + 90;
    cr_assert(offset < size);
    bytes[offset] ^= 4;
    check_write("x", "casebook.db-wal", bytes, size);
    free(bytes);
}

Test(check_file, a_log_is_taken_in_where_it_is_sound, .init = check_begin,
     .fini = check_end)
{
    leave_log();
    check_copy("killed", "x");
    cb_check_report *report = check_look("x");
    cr_expect(cb_check_outcome(report, NULL) == CB_OK, "%s",
              check_codes(report));
    cb_check_report_destroy(report);
    expect_well("x", "afterwards");
}

Test(check_file, a_damaged_log_is_named_and_kept, .init = check_begin,
     .fini = check_end)
{
    size_t size = 0;
    size_t size_after = 0;
    leave_log();
    for (size_t frame = 0; frame < 4; frame++) {
        check_copy("killed", "x");
        change_log(frame);
        uint8_t *before = check_read("x", "casebook.db-wal", &size);
        cb_check_report *report = check_repair("x");
        const cb_finding *finding = check_find(report, "log.damaged");
        cr_expect(finding != NULL && finding->place.page == frame, "%zu: %s",
                  frame, check_codes(report));
        cr_expect(cb_check_outcome(report, NULL) == CB_DAMAGED);
        cb_check_report_destroy(report);
        uint8_t *after = check_read("x", "casebook.db-wal", &size_after);
        cr_expect(size == size_after && memcmp(before, after, size) == 0,
                  "frame %zu: the log was written to", frame);
        free(before);
        free(after);
    }
}

/* The witness remembers what stood in a log that somebody took away. */
Test(check_file, a_log_that_is_gone_is_missed, .init = check_begin,
     .fini = check_end)
{
    leave_log();
    check_copy("killed", "x");
    unlink(path_in("x", "casebook.db-wal"));
    cb_check_report *report = check_look("x");
    const cb_finding *finding = check_find(report, "log.lost");
    cr_expect(finding != NULL, "%s", check_codes(report));
    expect_contains(finding == NULL ? NULL : finding->what, "last 4 changes");
    cr_expect(cb_check_outcome(report, NULL) == CB_DAMAGED);
    cb_check_report_destroy(report);
}

/* Database, log and table of an older day: the witness alone tells. */
Test(check_file, an_older_copy_is_recognised, .init = check_begin,
     .fini = check_end)
{
    size_t size = 0;
    check_copy("anna", "x");
    cb_store *store = store_kit_open(&kit, "x");
    store_kit_person(store, &check_case, "victim_supporter", "Rowan");
    cb_store_close(store);
    uint8_t *witness = check_read("x", "witness", &size);
    check_copy("anna", "x");
    check_write("x", "witness", witness, size);
    free(witness);
    cb_check_report *report = check_look("x");
    cr_expect(check_find(report, "store.older") != NULL, "%s",
              check_codes(report));
    cr_expect(cb_check_count(report, CB_SEVERITY_WARNING) == 1);
    cb_check_report_destroy(report);
}

Test(check_file, witness_and_table_are_made_anew, .init = check_begin,
     .fini = check_end)
{
    static const struct {
        const char *file;
        size_t offset; /* of a byte that is changed; 0: the file is lost */
        const char *code;
    } files[] = {
        { "witness", 0, "witness.missing" },
        { "casebook.db-pages", 0, "pages.table" },
        { "casebook.db-pages", 40000, "pages.table" },
    };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        check_copy("anna", "x");
        if (files[i].offset == 0) {
            unlink(path_in("x", files[i].file));
        } else {
            size_t size = 0;
            uint8_t *bytes = check_read("x", files[i].file, &size);
            cr_assert(files[i].offset < size);
            for (size_t at = files[i].offset; at < size; at += 512) {
                bytes[at] ^= 1;
            }
            check_write("x", files[i].file, bytes, size);
            free(bytes);
        }
        cb_check_report *report = check_look("x");
        cr_expect(check_find(report, files[i].code) != NULL, "%zu: %s", i,
                  check_codes(report));
        cb_check_report_destroy(report);
        report = check_repair("x");
        cr_expect(check_find(report, files[i].code) != NULL &&
                      check_find(report, files[i].code)->repaired &&
                      cb_check_outcome(report, NULL) == CB_OK,
                  "%zu: %s", i, check_codes(report));
        cb_check_report_destroy(report);
        expect_well("x", files[i].file);
    }
}

/* One of the two tops is the newest; without it every page looks too new. */
Test(check_file, a_damaged_top_of_the_table_is_not_taken_for_older_pages,
     .init = check_begin, .fini = check_end)
{
    static const size_t offsets[] = { 2,     9,     600,   12000,
                                      16386, 16393, 16984, 28384 };
    size_t found = 0;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        size_t size = 0;
        check_copy("anna", "x");
        uint8_t *bytes = check_read("x", "casebook.db-pages", &size);
        cr_assert(offsets[i] < size);
        bytes[offsets[i]] ^= 1;
        check_write("x", "casebook.db-pages", bytes, size);
        free(bytes);
        cb_check_report *report = check_look("x");
        cr_expect(check_find(report, "page.stale") == NULL, "%zu: %s",
                  offsets[i], check_codes(report));
        found += check_find(report, "pages.table") != NULL;
        cb_check_report_destroy(report);
        report = check_repair("x");
        cr_expect(cb_check_outcome(report, NULL) == CB_OK, "%zu: %s",
                  offsets[i], check_codes(report));
        cb_check_report_destroy(report);
        expect_well("x", "casebook.db-pages");
    }
    cr_expect(found == 4, "%zu", found);
}

/*
 * The power failed while the log was copied into the database: such a page is
 * whole in the log, and no damage.
 */
Test(check_file, a_page_torn_at_a_checkpoint_is_taken_from_the_log,
     .init = check_begin, .fini = check_end)
{
    size_t size = 0;
    leave_log();
    check_copy("killed", "x");
    uint8_t *log = check_read("x", "casebook.db-wal", &size);
    uint32_t page = cb_get_u32(log + LOG_BYTES);
    free(log);
    flip((size_t)(page - 1) * PAGE_BYTES + 600);
    cb_check_report *report = check_look("x");
    cr_expect(cb_check_outcome(report, NULL) == CB_OK, "%s",
              check_codes(report));
    cb_check_report_destroy(report);
    expect_well("x", "afterwards");
}

/* ... but not where another page is damaged for good: then it stays as it is */
Test(check_file, nothing_is_copied_out_of_the_log_beside_damage,
     .init = check_begin, .fini = check_end)
{
    size_t size = 0;
    size_t size_after = 0;
    leave_log();
    check_copy("killed", "x");
    uint8_t *log = check_read("x", "casebook.db-wal", &size);
    uint32_t page = 2;
    for (size_t at = LOG_BYTES; at + FRAME_BYTES <= size;) {
        bool held = cb_get_u32(log + at) == page;
        page += held;
        at = held ? LOG_BYTES : at + FRAME_BYTES;
    }
    flip((size_t)(page - 1) * PAGE_BYTES + 500);
    cb_check_report *report = check_look("x");
    cr_expect(check_find(report, "page.unreadable") != NULL);
    cb_check_report_destroy(report);
    uint8_t *after = check_read("x", "casebook.db-wal", &size_after);
    cr_expect(size == size_after && memcmp(log, after, size) == 0);
    free(log);
    free(after);
}

Test(check_file, a_folder_without_a_store_is_none, .init = check_begin,
     .fini = check_end)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_check_report *report = NULL;
    check_copy("anna", "x");
    lose_database();
    lose_unlock();
    const cb_store_options store =
        store_kit_options(&kit, store_kit_path(&kit, "x", path));
    const cb_check_options options = { .store = &store,
                                       .passphrase = kit.passphrase };
    expect_status(CB_NO_STORE, cb_store_check(&options, &report, test_error()));
}
