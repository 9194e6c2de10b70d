/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores as released versions made them open for ever: see stores/README.md.
 * Nobody opens the kept ones themselves; each test has a copy.
 */
#include <casebound/recovery.h>

#include "store/internal.h"
#include "support/crash_point.h"
#include "support/expect.h"
#include "support/store_kit.h"

#include "vectors/frozen.h"
#include <casebound/check.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static store_kit kit;

static void begin(void)
{
    store_kit_begin(&kit);
}

static void end(void)
{
    store_kit_end(&kit);
}

static const struct {
    const char *folder;
    enum cb_vfs_cipher cipher;
} frozen[] = {
    { "1/aes256-gcm", CB_VFS_AES256_GCM },
    { "1/xchacha20-poly1305", CB_VFS_XCHACHA20_POLY1305 },
};

#define FROZEN_COUNT (sizeof frozen / sizeof frozen[0])

static const char *const names[] = { "hub", "field", "killed" };

/* Whether this machine can open it at all; says so where not. */
static bool can_open(size_t row)
{
    bool available = cb_vfs_cipher_available(frozen[row].cipher);
    if (!available) {
        fprintf(stderr, "skipped: this machine has no AES for stores/%s\n",
                frozen[row].folder);
    }
    return available;
}

static void copy_store(size_t row, const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    char command[4 * STORE_KIT_PATH_BYTES];
    store_kit_path(&kit, name, path);
    snprintf(command, sizeof command,
             "rm -rf '%s' && cp -r '%s/tests/vectors/stores/%s/%s' '%s'", path,
             CASEBOUND_SOURCE, frozen[row].folder, name, path);
    cr_assert(system(command) == 0, "%s", command);
}

static void read_text(size_t row, const char *name, cb_buffer *text)
{
    char path[2 * STORE_KIT_PATH_BYTES];
    snprintf(path, sizeof path, "%s/tests/vectors/stores/%s/%s.txt",
             CASEBOUND_SOURCE, frozen[row].folder, name);
    expect_ok(kit.environment.read_file(NULL, path, text, test_error()));
}

static void expect_all_there(cb_store *store, size_t row, const char *name)
{
    cb_buffer wanted;
    cb_buffer shown;
    cb_buffer_init(&wanted, FROZEN_TEXT_BYTES_MAX);
    cb_buffer_init(&shown, FROZEN_TEXT_BYTES_MAX);
    read_text(row, name, &wanted);
    frozen_describe(store, &shown);
    expect_text(cb_buffer_text(&shown), cb_buffer_text(&wanted));
    cb_buffer_clear(&wanted);
    cb_buffer_clear(&shown);
}

static uint64_t head_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    cr_expect(!identity.restored);
    return identity.head_seq;
}

Test(frozen_stores, show_what_they_showed_and_take_more, .init = begin,
     .fini = end, .timeout = 120)
{
    for (size_t i = 0; i < FROZEN_COUNT * 3; i++) {
        const char *name = names[i % 3];
        if (!can_open(i / 3)) {
            continue;
        }
        copy_store(i / 3, name);
        cb_store *store = store_kit_open(&kit, name);
        expect_all_there(store, i / 3, name);
        cb_store_close(store);

        /* A second time, for what the first opening changed. */
        store = store_kit_open(&kit, name);
        expect_all_there(store, i / 3, name);
        const uint64_t head = head_of(store);
        cb_case_id case_id = store_kit_case(store);
        store_kit_person(store, &case_id, "victim", "Ash");
        const cb_hash fingerprint = store_kit_fingerprint(store, &case_id);
        cr_expect(head_of(store) > head);
        cb_store_close(store);

        store = store_kit_open(&kit, name);
        const cb_hash again = store_kit_fingerprint(store, &case_id);
        expect_bytes(&again, sizeof again, &fingerprint, sizeof fingerprint);
        cb_store_close(store);
    }
}

static void expect_sound(const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_check_report *report = NULL;
    const cb_store_options store =
        store_kit_options(&kit, store_kit_path(&kit, name, path));
    const cb_check_options options = { .store = &store,
                                       .passphrase = kit.passphrase };
    expect_ok(cb_store_check(&options, &report, test_error()));
    for (size_t i = 0; i < cb_check_finding_count(report); i++) {
        const cb_finding *finding = cb_check_finding(report, i);
        cr_expect(finding->severity != CB_SEVERITY_DAMAGE, "%s: %s: %s", name,
                  finding->code, finding->what);
    }
    expect_status(CB_OK, cb_check_outcome(report, test_error()));
    cb_check_report_destroy(report);
}

/* Before and after it was brought to the present form, by the check itself. */
Test(frozen_stores, are_sound_to_a_check, .init = begin, .fini = end,
     .timeout = 60)
{
    for (size_t i = 0; i < FROZEN_COUNT * 3; i++) {
        if (can_open(i / 3)) {
            copy_store(i / 3, names[i % 3]);
            expect_sound(names[i % 3]);
            expect_sound(names[i % 3]);
            cb_store_close(store_kit_open(&kit, names[i % 3]));
            expect_sound(names[i % 3]);
        }
    }
}

Test(frozen_stores, go_on_exchanging, .init = begin, .fini = end, .timeout = 60)
{
    for (size_t i = 0; i < FROZEN_COUNT; i++) {
        if (!can_open(i)) {
            continue;
        }
        copy_store(i, "hub");
        copy_store(i, "field");
        copy_store(i, "killed");
        cb_store *hub = store_kit_open(&kit, "hub");
        cb_store *field = store_kit_open(&kit, "field");
        cb_store *killed = store_kit_open(&kit, "killed");
        cb_case_id case_id = store_kit_case(field);
        store_kit_person(field, &case_id, "victim", "Ash");
        store_kit_sync(hub, field);
        store_kit_sync(hub, killed);
        const cb_hash here = store_kit_fingerprint(field, &case_id);
        const cb_hash there = store_kit_fingerprint(hub, &case_id);
        expect_bytes(&here, sizeof here, &there, sizeof there);
        cr_expect(head_of(killed) > 0);
        cb_store_close(killed);
        cb_store_close(field);
        cb_store_close(hub);
    }
}

/* What unlock.json could not say in its first version. */
Test(frozen_stores, take_a_recovery_key_and_another_master_key, .init = begin,
     .fini = end, .timeout = 60)
{
    for (size_t i = 0; i < FROZEN_COUNT; i++) {
        char path[STORE_KIT_PATH_BYTES];
        cb_store_keys keys;
        cb_secret *recovery = NULL;
        struct cb_vfs_scrub_result scrubbed = { 0 };
        const cb_store_options options =
            store_kit_options(&kit, store_kit_path(&kit, "field", path));
        if (!can_open(i)) {
            continue;
        }
        copy_store(i, "field");
        expect_ok(cb_recovery_make(&kit.environment, &recovery, test_error()));
        cb_store *store = store_kit_open(&kit, "field");
        cb_store_describe_keys(store, &keys);
        cr_expect(keys.version == 1 && !keys.recovery && !keys.altered);
        expect_ok(cb_store_set_recovery(store, &options, kit.passphrase,
                                        recovery, test_error()));
        cb_store_describe_keys(store, &keys);
        cr_expect(keys.version == 2 && keys.recovery);
        cb_store_close(store);
        expect_ok(
            cb_store_open_recovery(&options, recovery, &store, test_error()));
        cb_store_close(store);

        copy_store(i, "field");
        store = store_kit_open(&kit, "field");
        const cb_rotation rotation = { .passphrase = kit.passphrase,
                                       .recovery_key = recovery };
        expect_ok(cb_store_rotate(store, &options, &rotation, test_error()));
        expect_all_there(store, i, "field");
        cr_expect(head_of(store) > 0);
        /* The cipher is not changed by the way. */
        expect_ok(cb_vfs_scrub(store->database->vfs, store->database->path,
                               NULL, NULL, &scrubbed, test_error()));
        cr_expect(scrubbed.cipher == frozen[i].cipher);
        cb_store_close(store);
        expect_ok(
            cb_store_open_recovery(&options, recovery, &store, test_error()));
        expect_all_there(store, i, "field");
        cb_store_close(store);
        cb_secret_destroy(recovery);
    }
}

/* The variable is looked at by support/wrap/no_aes.c. */
Test(frozen_stores, name_the_cipher_that_a_machine_lacks, .init = begin,
     .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_store *store = NULL;
    cr_assert(setenv("CASEBOUND_TEST_NO_AES", "1", 1) == 0);
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "field", path));
    copy_store(0, "field");
    expect_status(CB_REFUSED, cb_store_open(&options, kit.passphrase, &store,
                                            test_error()));
    expect_contains(test_error()->what, "cipher");
    cb_check_report *report = NULL;
    const cb_check_options check = { .store = &options,
                                     .passphrase = kit.passphrase };
    expect_ok(cb_store_check(&check, &report, test_error()));
    cr_expect(cb_check_count_of(report, "cipher.missing") == 1);
    expect_status(CB_UNCHECKED, cb_check_outcome(report, test_error()));
    cb_check_report_destroy(report);

    copy_store(1, "field");
    expect_ok(cb_store_open(&options, kit.passphrase, &store, test_error()));
    expect_all_there(store, 1, "field");
    cb_store_close(store);
}

/* ---------------------------------------------------------- interruptions */

static void open_and_close(void *context)
{
    const char *name = context;
    char path[STORE_KIT_PATH_BYTES];
    cb_store *store = NULL;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, name, path));
    /* Where the disk is full it may fail, with words; it may not lie. */
    if (cb_store_open(&options, kit.passphrase, &store, NULL) == CB_OK) {
        cb_store_close(store);
    }
}

/* Opening brings the schema to the newest version, and may end anywhere. */
Test(frozen_stores, open_after_an_opening_that_was_cut_short, .init = begin,
     .fini = end, .timeout = 240)
{
    static const enum crash_point_kind kinds[] = { CRASH_POINT_KILL,
                                                   CRASH_POINT_FULL };

    static char name[] = "killed";
    size_t row = FROZEN_COUNT - 1;
    for (size_t k = 0; k < 2; k++) {
        bool done = false;
        unsigned point = 0;
        while (!done) {
            point++;
            copy_store(row, name);
            done = crash_point_run(kinds[k], point, open_and_close, name);
            cb_store *store = store_kit_open(&kit, name);
            expect_all_there(store, row, name);
            cb_store_close(store);
        }
        cr_expect(point > 3, "only %u points", point);
    }
}

static void make_database(void *context)
{
    cb_secret *key = context;
    char path[STORE_KIT_PATH_BYTES];
    cb_database *database = NULL;
    if (cb_database_open(&kit.environment, store_kit_path(&kit, "new.db", path),
                         key, true, &database, NULL) == CB_OK) {
        cb_database_close(database);
    }
}

/* All migrations from nothing, cut short at every write of theirs. */
Test(frozen_stores, are_made_whole_after_any_cut, .init = begin, .fini = end,
     .timeout = 240)
{
    static const enum crash_point_kind kinds[] = { CRASH_POINT_KILL,
                                                   CRASH_POINT_FULL };

    char path[STORE_KIT_PATH_BYTES];
    char command[2 * STORE_KIT_PATH_BYTES];
    cb_secret *key = NULL;
    expect_ok(cb_secret_create_random(&kit.environment, CB_KEY_BYTES, &key,
                                      test_error()));
    store_kit_path(&kit, "new.db", path);
    snprintf(command, sizeof command, "rm -f '%s' '%s-wal' '%s-pages'", path,
             path, path);
    for (size_t k = 0; k < 2; k++) {
        bool done = false;
        unsigned point = 0;
        while (!done) {
            point++;
            cr_assert(system(command) == 0);
            done = crash_point_run(kinds[k], point, make_database, key);
            cb_database *database = NULL;
            expect_ok(cb_database_open(&kit.environment, path, key, true,
                                       &database, test_error()));
            cb_query query = cb_query_begin(database, "meta_get");
            cb_query_bind_text(&query, ":name", "nothing");
            cr_expect(cb_query_step(&query, test_error()) == CB_END);
            cb_query_end(&query);
            cb_database_close(database);
        }
        cr_expect(point > 3, "only %u points", point);
    }
    cb_secret_destroy(key);
}

/* ----------------------------------------------------------- newer versions */

static void poke(const char *file, long offset, const char *bytes, size_t size)
{
    char path[STORE_KIT_PATH_BYTES];
    char name[2 * STORE_KIT_PATH_BYTES];
    snprintf(name, sizeof name, "%s/%s", store_kit_path(&kit, "field", path),
             file);
    int stream = open(name, O_WRONLY | O_CREAT, 0600);
    cr_assert(stream >= 0 &&
              pwrite(stream, bytes, size, offset) == (ssize_t)size);
    close(stream);
}

static void raise_schema(void)
{
    cb_store *store = store_kit_open(&kit, "field");
    cr_assert(sqlite3_exec(store->database->connection,
                           "PRAGMA user_version = 9999", NULL, NULL,
                           NULL) == SQLITE_OK);
    cb_store_close(store);
}

static void raise_unlock(void)
{
    static const char text[] = "{\"version\": 99}";
    poke("unlock.json", 0, text, sizeof text - 1);
    char path[STORE_KIT_PATH_BYTES];
    char name[2 * STORE_KIT_PATH_BYTES];
    snprintf(name, sizeof name, "%s/unlock.json",
             store_kit_path(&kit, "field", path));
    cr_assert(truncate(name, sizeof text - 1) == 0);
}

static void raise_head(void)
{
    poke("casebook.db", 4, "\x63", 1);
}

static void checksum_of(char text[128])
{
    char path[STORE_KIT_PATH_BYTES];
    char command[2 * STORE_KIT_PATH_BYTES];
    snprintf(command, sizeof command,
             "cd '%s' && cat casebook.db unlock.json witness* | cksum",
             store_kit_path(&kit, "field", path));
    FILE *pipe = popen(command, "r");
    cr_assert(pipe != NULL && fgets(text, 128, pipe) != NULL);
    pclose(pipe);
}

Test(frozen_stores, of_newer_versions_are_left_as_they_are, .init = begin,
     .fini = end)
{
    static const struct {
        const char *what;
        void (*raise)(void);
    } rows[] = {
        { "schema", raise_schema },
        { "unlock file", raise_unlock },
        { "head of the database", raise_head },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[STORE_KIT_PATH_BYTES];
        char before[128];
        char after[128];
        cb_store *store = NULL;
        copy_store(FROZEN_COUNT - 1, "field");
        rows[i].raise();
        checksum_of(before);
        const cb_store_options options =
            store_kit_options(&kit, store_kit_path(&kit, "field", path));
        expect_status(CB_NEWER, cb_store_open(&options, kit.passphrase, &store,
                                              test_error()));
        checksum_of(after);
        expect_text(after, before);
        expect_contains(test_error()->what, "newer");
    }
}
