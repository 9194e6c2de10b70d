/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: written, verified, restored, and everything that may be wrong with
 * one. */
#include <casebound/backup.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/backup.h"
#include "support/exchange_fixture.h"
#include "support/vfs_fixture.h"

TestSuite(backup, .init = exchange_begin, .fini = exchange_end, .timeout = 120);

static char backup_path[STORE_KIT_PATH_BYTES];

static const char *backup_file(void)
{
    return store_kit_path(&kit, "monday.backup", backup_path);
}

static cb_backup_facts write_backup(cb_store *store)
{
    cb_backup_facts facts = { 0 };
    expect_ok(cb_backup_write(store, backup_file(), true, NULL, &facts,
                              test_error()));
    return facts;
}

static cb_status check(void)
{
    cb_backup_facts facts;
    return cb_backup_check(&kit.environment, backup_file(), kit.passphrase,
                           false, &facts, test_error());
}

static cb_status restore(const char *name, cb_store **ret_store)
{
    char folder[STORE_KIT_PATH_BYTES];
    cb_backup_facts facts;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, name, folder));
    return cb_restore_backup(&options, backup_file(), kit.passphrase, false,
                             kit.passphrase, ret_store, &facts, test_error());
}

static bool exists(const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    return access(store_kit_path(&kit, name, path), F_OK) == 0;
}

static void run(const char *command)
{
    char line[2 * STORE_KIT_PATH_BYTES];
    snprintf(line, sizeof line, "cd '%s' && %s", kit.root, command);
    cr_assert(system(line) == 0, "%s", line);
}

/* Two people's case, synced, and something that is not. */
static cb_case_id busy_day(void)
{
    cb_case_id case_id = store_kit_case(anna);
    store_kit_person(anna, &case_id, "victim", "Ash Grove");
    store_kit_sync(hub, anna);
    return case_id;
}

/* -------------------------------------------------------------- going well */

Test(backup, brings_everything_back_into_a_new_folder)
{
    cb_store *back = NULL;
    cb_case_id case_id = busy_day();
    const cb_store_identity was = identity_of(anna);
    const cb_hash fingerprint = store_kit_fingerprint(anna, &case_id);
    cb_backup_facts facts = write_backup(anna);
    cr_expect(facts.cases == 1 && !facts.hub && facts.bytes > 4096);
    cr_expect((int64_t)facts.entries ==
              count_of(anna, "SELECT count(*) FROM entry"));
    expect_ok(check());

    expect_ok(restore("back", &back));
    const cb_store_identity now = identity_of(back);
    const cb_hash again = store_kit_fingerprint(back, &case_id);
    expect_bytes(&again, sizeof again, &fingerprint, sizeof fingerprint);
    /* The same device and person, another store and another stream. */
    expect_bytes(&now.device, sizeof now.device, &was.device,
                 sizeof was.device);
    cr_expect(memcmp(&now.stream, &was.stream, sizeof was.stream) != 0);
    cr_expect(memcmp(back->store_id, anna->store_id, CB_IDENTIFIER_BYTES) != 0);
    cr_expect(!now.restored && now.head_seq == 1);
    cr_expect(!exists("back/restoring.db") && !exists("Anna/backup.db") &&
              !exists("monday.backup.part"));

    store_kit_person(back, &case_id, "offender", "Reed");
    cb_store_close(back);
    back = store_kit_open(&kit, "back");
    cr_expect(!identity_of(back).restored);
    store_kit_sync(hub, back);
    store_kit_sync(hub, back);
    expect_same_case(hub, back, &case_id);
    cr_expect(identity_of(back).accepted_seq == identity_of(back).head_seq);
    cb_store_close(back);
}

Test(backup, of_a_hub_serves_its_devices_again)
{
    cb_store *back = NULL;
    cb_case_id case_id = busy_day();
    cb_backup_facts facts = write_backup(hub);
    cr_expect(facts.hub);
    expect_ok(restore("back", &back));
    cr_expect(identity_of(back).hub);
    store_kit_person(anna, &case_id, "offender", "Reed");
    store_kit_sync(back, anna);
    expect_same_case(back, anna, &case_id);
    cb_store_close(back);
}

Test(backup, of_a_store_that_has_not_joined_is_one_too)
{
    cb_store *back = NULL;
    cb_store *fresh = store_kit_create(&kit, "fresh");
    cb_backup_facts facts = write_backup(fresh);
    cr_expect(facts.entries == 0 && facts.cases == 0);
    expect_ok(restore("back", &back));
    cr_expect(!identity_of(back).joined);
    expect_bytes(back->device_public, sizeof back->device_public,
                 fresh->device_public, sizeof fresh->device_public);
    cb_store_close(back);
    cb_store_close(fresh);
}

Test(backup, is_replaced_only_where_that_was_asked_for)
{
    cb_backup_facts facts = { 0 };
    write_backup(anna);
    run("cp monday.backup kept");
    expect_status(CB_EXISTS, cb_backup_write(anna, backup_file(), false, NULL,
                                             &facts, test_error()));
    expect_contains(test_error()->next, "--replace");
    run("cmp monday.backup kept");
    busy_day();
    write_backup(anna);
    run("! cmp -s monday.backup kept");
    expect_ok(check());
    run("rm monday.backup && mkdir monday.backup");
    expect_status(CB_EXISTS, cb_backup_write(anna, backup_file(), true, NULL,
                                             &facts, test_error()));
    run("rmdir monday.backup");
    expect_status(CB_NOT_FOUND, cb_backup_write(anna, "/nowhere/at/all", false,
                                                NULL, &facts, test_error()));
    expect_contains(test_error()->meaning, "no backup was made");
}

/* Whether this process holds a lock on the database; only another can tell. */
static bool holds_lock(void)
{
    char path[STORE_KIT_PATH_BYTES];
    int ended = 0;
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int file = open(store_kit_path(&kit, "Anna/casebook.db", path), O_RDWR);
        _exit(file >= 0 && fcntl(file, F_GETLK, &lock) == 0 &&
                      lock.l_type != F_UNLCK
                  ? 0
                  : 1);
    }
    cr_assert(waitpid(child, &ended, 0) == child);
    return WIFEXITED(ended) && WEXITSTATUS(ended) == 0;
}

/* A slip of the finger must not cost the store, or a letter. */
Test(backup, replaces_nothing_but_a_backup)
{
    char path[STORE_KIT_PATH_BYTES];
    static const char *const names[] = { "Anna/casebook.db", "Anna/unlock.json",
                                         "letter", "short", "empty" };
    cb_backup_facts facts = { 0 };
    cr_assert(holds_lock());
    run("seq 1000 > letter && printf CB > short && : > empty && cp -r . ../kept-$$ && mv "
        "../kept-$$ kept");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char command[STORE_KIT_PATH_BYTES];
        expect_status(CB_EXISTS, cb_backup_write(
                                     anna, store_kit_path(&kit, names[i], path),
                                     true, NULL, &facts, test_error()));
        expect_contains(test_error()->what, "not a backup");
        snprintf(command, sizeof command, "cmp %s kept/%s", names[i], names[i]);
        run(command);
    }
    /* To look at the database has not let go of its lock. */
    cr_expect(holds_lock());
    write_backup(anna);
    run("truncate -s 300 monday.backup");
    write_backup(anna);
    expect_ok(check());
}

/* The store was opened with the key that the kernel keeps. */
Test(backup, is_not_made_where_nobody_could_open_it)
{
    cb_backup_facts facts = { 0 };
    run("cp Anna/unlock.json sound && "
        "sed -i 's/\"sealed\":\"../\"sealed\":\"zz/;y/z/0/' "
        "Anna/unlock.json && ! cmp -s sound Anna/unlock.json");
    expect_status(CB_DAMAGED, cb_backup_write(anna, backup_file(), false, NULL,
                                              &facts, test_error()));
    expect_contains(test_error()->what, "unlock.json");
    expect_contains(test_error()->next, "casebound passphrase");
    run("cp Bert/unlock.json Anna/unlock.json");
    expect_status(CB_DAMAGED, cb_backup_write(anna, backup_file(), false, NULL,
                                              &facts, test_error()));
    cr_expect(!exists("monday.backup") && !exists("Anna/backup.db"));
    run("cp sound Anna/unlock.json");
    write_backup(anna);
    expect_ok(check());
}

/* What is read-only may be backed up all the same. */
Test(backup, of_an_older_copy_can_be_made)
{
    cb_store *back = NULL;
    cb_case_id case_id = busy_day();
    expect_ok(cb_store_begin(anna, test_error()));
    expect_ok(cb_identity_mark_restored(anna, test_error()));
    expect_ok(cb_store_commit(anna, test_error()));
    write_backup(anna);
    expect_ok(restore("back", &back));
    cr_expect(!identity_of(back).restored);
    store_kit_person(back, &case_id, "offender", "Reed");
    cb_store_close(back);
}

/* ------------------------------------------------------------------ secrets */

/* Every page of a database, decrypted. */
static bool pages_hold(const char *path, const cb_secret *key,
                       const uint8_t *bytes, size_t size)
{
    cb_vfs *vfs = NULL;
    sqlite3 *connection = NULL;
    sqlite3_file *file = NULL;
    sqlite3_int64 file_size = 0;
    bool found = false;
    uint8_t page[4096];
    expect_ok(cb_vfs_create(&kit.environment, key, CB_VFS_XCHACHA20_POLY1305,
                            &vfs, test_error()));
    cr_assert(sqlite3_open_v2(path, &connection, SQLITE_OPEN_READWRITE,
                              cb_vfs_name(vfs)) == SQLITE_OK);
    expect_ok(cb_vfs_prepare(connection, "main", test_error()));
    cr_assert(sqlite3_exec(connection, "SELECT count(*) FROM sqlite_schema",
                           NULL, NULL, NULL) == SQLITE_OK);
    cr_assert(sqlite3_file_control(connection, "main",
                                   SQLITE_FCNTL_FILE_POINTER,
                                   &file) == SQLITE_OK);
    cr_assert(file->pMethods->xFileSize(file, &file_size) == SQLITE_OK &&
              file_size > 0);
    for (sqlite3_int64 at = 0; at < file_size; at += (int)sizeof page) {
        cr_assert(file->pMethods->xRead(file, page, sizeof page, at) ==
                  SQLITE_OK);
        for (size_t i = 0; i + size <= sizeof page; i++) {
            found = found || memcmp(page + i, bytes, size) == 0;
        }
    }
    sqlite3_close(connection);
    cb_vfs_destroy(vfs);
    return found;
}

static void extract(const char *path)
{
    cb_backup_file target = { 0 };
    cb_backup_head head;
    expect_ok(
        cb_backup_file_make(&kit.environment, path, &target, test_error()));
    expect_ok(cb_backup_read(&kit.environment, backup_file(), anna->master_key,
                             &target, &head, test_error()));
    cb_backup_file_close(&target);
}

Test(backup, holds_the_key_of_its_stream_only_to_send_what_it_signed)
{
    for (int sent = 0; sent < 2; sent++) {
        char path[STORE_KIT_PATH_BYTES];
        cb_backup_head head;
        cb_unlock unlock;
        cb_secret *key = NULL;
        cb_case_id case_id = busy_day();
        cr_assert(identity_of(anna).accepted_seq == identity_of(anna).head_seq);
        cb_segment_facts segment = { .first_seq = 0 };
        uint64_t next = 1;
        while (cb_exchange_segment(anna, next, &segment, NULL) == CB_OK) {
            expect_ok(cb_exchange_segment_pushed(anna, &segment, test_error()));
            next = segment.first_seq + segment.count;
        }
        if (sent == 0) {
            store_kit_person(anna, &case_id, "offender", "Reed");
        }
        write_backup(anna);
        extract(store_kit_path(&kit, "inside.db", path));
        expect_ok(cb_backup_look(&kit.environment, backup_file(), &head,
                                 &unlock, test_error()));
        expect_ok(cb_backup_derive(&head, anna->master_key,
                                   CB_BACKUP_KEY_DATABASE, &key, test_error()));
        cr_expect(pages_hold(path, key, cb_secret_view(anna->stream_key),
                             crypto_sign_SEEDBYTES) == (sent == 0));
        /* The search finds what is there. */
        cr_expect(pages_hold(path, key, cb_secret_view(anna->device_key),
                             crypto_sign_SEEDBYTES));
        cb_secret_destroy(key);
        run("rm inside.db*");
        if (sent == 0) {
            store_kit_sync(hub, anna);
        }
    }
}

Test(backup, opens_with_the_passphrase_of_its_day)
{
    char folder[STORE_KIT_PATH_BYTES];
    cb_backup_facts facts;
    cb_secret *fresh = NULL;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "Anna", folder));
    write_backup(anna);
    expect_ok(cb_secret_create(16, &fresh, test_error()));
    memset(cb_secret_bytes(fresh), 'n', 16);
    expect_ok(cb_store_change_passphrase(anna, &options, fresh, test_error()));
    expect_status(CB_WRONG_KEY,
                  cb_backup_check(&kit.environment, backup_file(), fresh, false,
                                  &facts, test_error()));
    expect_contains(test_error()->next, "the day it was made");
    expect_ok(check());
    expect_status(CB_WRONG_KEY,
                  cb_backup_check(&kit.environment, backup_file(), fresh, true,
                                  &facts, test_error()));
    cb_secret_destroy(fresh);
}

/* --------------------------------------------------------------- bad files */

static uint8_t *bytes;
static size_t size;

static void load(void)
{
    write_backup(anna);
    bytes = vfs_file_read(backup_file(), &size);
}

static void save(const uint8_t *content, size_t content_size)
{
    vfs_file_write(backup_file(), content, content_size);
}

Test(backup, is_refused_with_any_bit_of_it_changed)
{
    load();
    const cb_backup_head head = {
        .unlock_size = cb_get_u32(bytes + 12),
    };
    const size_t start = CB_BACKUP_HEAD_BYTES + head.unlock_size;
    for (size_t at = 0; at < size;
         at += at < start + 64 || at + 40 > size ? 1 : 4099) {
        const uint8_t was = bytes[at];
        bytes[at] = (uint8_t)(was ^ (1u << (at % 8)));
        save(bytes, size);
        cb_status status = check();
        cr_expect(status == CB_DAMAGED || status == CB_WRONG_KEY ||
                      status == CB_INPUT || status == CB_NEWER ||
                      status == CB_NO_MEMORY,
                  "byte %zu: %s", at, test_describe(status));
        bytes[at] = was;
    }
    save(bytes, size);
    expect_ok(check());
    free(bytes);
}

Test(backup, is_refused_cut_off_or_drawn_out)
{
    load();
    for (size_t left = 0; left < size; left += left < 800 ? 13 : 9973) {
        save(bytes, left);
        cb_status status = check();
        cr_expect(status == CB_DAMAGED || status == CB_INPUT, "%zu bytes: %s",
                  left, test_describe(status));
    }
    uint8_t *longer = calloc(1, size + 1);
    cr_assert(longer != NULL);
    memcpy(longer, bytes, size);
    save(longer, size + 1);
    expect_status(CB_DAMAGED, check());
    free(longer);
    free(bytes);
}

/* Head and database of different backups of one store. */
Test(backup, is_refused_with_parts_of_another)
{
    load();
    uint8_t *first = bytes;
    size_t first_size = size;
    load();
    cr_assert(first_size == size);
    memcpy(bytes, first, CB_BACKUP_HEAD_BYTES);
    save(bytes, size);
    expect_status(CB_DAMAGED, check());
    free(first);
    free(bytes);
}

Test(backup, with_huge_sizes_costs_nothing)
{
    static const struct {
        size_t offset;
        size_t count;
    } rows[] = {
        { 12, 4 }, { 72, 8 }, { 12, 68 }, { 48, 32 }, { 8, 2 }, { 80, 48 },
    };

    load();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t kept[128];
        memcpy(kept, bytes + rows[i].offset, rows[i].count);
        memset(bytes + rows[i].offset, 0xff, rows[i].count);
        save(bytes, size);
        cb_status status = check();
        cr_expect(status == CB_DAMAGED || status == CB_NEWER, "%zu: %s", i,
                  test_describe(status));
        memcpy(bytes + rows[i].offset, kept, rows[i].count);
    }
    free(bytes);
}

Test(backup, must_be_one)
{
    cb_store *back = NULL;
    expect_status(CB_NOT_FOUND, check());
    save((const uint8_t *)"hello", 5);
    expect_status(CB_INPUT, check());
    expect_contains(test_error()->what, "not a backup");
    run("rm monday.backup && mkfifo monday.backup");
    expect_status(CB_INPUT, check());
    run("rm monday.backup && cp Anna/casebook.db monday.backup");
    expect_status(CB_INPUT, restore("back", &back));
    cr_expect(!exists("back"));
}

/* --------------------------------------------------------------- restoring */

Test(backup, goes_into_a_new_or_empty_folder_only)
{
    cb_store *back = NULL;
    write_backup(anna);
    run("mkdir empty full && echo > full/notes");
    expect_status(CB_EXISTS, restore("full", &back));
    expect_contains(test_error()->what, "not empty");
    run("test \"$(ls full)\" = notes");
    expect_status(CB_EXISTS, restore("Anna", &back));
    run("mkdir shut && cp Bert/casebook.db shut/");
    expect_status(CB_EXISTS, restore("shut", &back));
    run("cmp Bert/casebook.db shut/casebook.db");
    expect_status(CB_OK, restore("empty", &back));
    cb_store_close(back);
    expect_status(CB_OK, restore("deep/er/still", &back));
    cb_store_close(back);
}

static int changes_left;

/* As a machine that stops: what was done before stays. */
static cb_status stop_replacing(void *context, const char *path,
                                cb_span content, cb_error *error)
{
    const cb_environment *system = cb_environment_system();
    (void)context;
    if (changes_left-- <= 0) {
        return cb_error_set(error, CB_NO_SPACE, "the disk is full");
    }
    return system->replace_file(system->context, path, content, error);
}

static cb_status stop_removing(void *context, const char *path, cb_error *error)
{
    const cb_environment *system = cb_environment_system();
    (void)context;
    return changes_left <= 0
               ? cb_error_set(error, CB_IO, "the machine has stopped")
               : system->remove_file(system->context, path, error);
}

Test(backup, can_be_restored_where_restoring_was_cut_off)
{
    cb_store *back = NULL;
    cb_case_id case_id = busy_day();
    const cb_hash wanted = store_kit_fingerprint(anna, &case_id);
    write_backup(anna);
    for (int n = 1;; n++) {
        kit.environment.replace_file = stop_replacing;
        kit.environment.remove_file = stop_removing;
        changes_left = n;
        cb_status status = restore("back", &back);
        kit.environment.replace_file = cb_environment_system()->replace_file;
        kit.environment.remove_file = cb_environment_system()->remove_file;
        if (status == CB_OK) {
            cr_expect(n >= 3);
            break;
        }
        cr_expect(!exists("back/unlock.json"), "%d", n);
    }
    cb_store_close(back);
    run("rm -r back");
    expect_ok(restore("back", &back));
    const cb_hash got = store_kit_fingerprint(back, &case_id);
    expect_bytes(&got, sizeof got, &wanted, sizeof wanted);
    cb_store_close(back);
}

Test(backup, takes_away_what_it_could_not_finish)
{
    cb_backup_facts facts;
    busy_day();
    for (int n = 0; n < 2; n++) {
        kit.environment.replace_file = stop_replacing;
        changes_left = n;
        expect_status(CB_NO_SPACE, cb_backup_write(anna, backup_file(), false,
                                                   NULL, &facts, test_error()));
        cr_expect(!exists("monday.backup") && !exists("monday.backup.part") &&
                  !exists("Anna/backup.db"));
    }
    kit.environment.replace_file = cb_environment_system()->replace_file;
    write_backup(anna);
    store_kit_case(anna);
}

static bool stop_at(void *context)
{
    int *looks = context;
    return --*looks < 0;
}

Test(backup, can_be_interrupted_and_leaves_nothing_behind)
{
    char part[STORE_KIT_PATH_BYTES + 8];
    cb_backup_facts facts = { 0 };
    snprintf(part, sizeof part, "%s.part", backup_file());
    for (int at = 0; at < 2; at++) {
        int looks = at;
        const cb_backup_watch watch = { stop_at, &looks };
        cb_error_clear(test_error());
        expect_status(CB_INTERRUPTED,
                      cb_backup_write(anna, backup_file(), false, &watch,
                                      &facts, test_error()));
        cr_expect(access(backup_file(), F_OK) != 0 && access(part, F_OK) != 0);
    }
    cb_error_clear(test_error());
    (void)write_backup(anna);
}
