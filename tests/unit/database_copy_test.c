/* SPDX-License-Identifier: Apache-2.0 */
/* A whole copy of a database under another key or cipher. */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"
#include "support/vfs_fixture.h"

static store_kit kit;
static cb_store *store;
static cb_secret *fresh;

static void begin(void)
{
    store_kit_begin(&kit);
    store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    store_kit_person(store, &case_id, "victim", CANARY);
    expect_ok(cb_secret_create_random(&kit.environment, CB_KEY_BYTES, &fresh,
                                      test_error()));
}

static void end(void)
{
    cb_secret_destroy(fresh);
    cb_store_close(store);
    store_kit_end(&kit);
}

static int64_t number_of(cb_database *database, const char *sql)
{
    return sql_int(database->connection, sql);
}

static enum cb_vfs_cipher cipher_of(cb_database *database, const char *path)
{
    struct cb_vfs_scrub_result result = { 0 };
    expect_ok(
        cb_vfs_scrub(database->vfs, path, NULL, NULL, &result, test_error()));
    cr_expect(result.damaged == 0 && result.pages > 1);
    return result.cipher;
}

/* How many names the folder holds that begin with this one. */
static int files_like(const char *path)
{
    char command[2 * STORE_KIT_PATH_BYTES];
    snprintf(command, sizeof command, "ls '%s'* 2>/dev/null | wc -l", path);
    FILE *answer = popen(command, "r");
    int count = -1;
    cr_assert(answer != NULL && fscanf(answer, "%d", &count) == 1);
    pclose(answer);
    return count;
}

Test(database_copy, opens_with_its_own_key_only, .init = begin, .fini = end)
{
    static const enum cb_vfs_cipher ciphers[] = { CB_VFS_XCHACHA20_POLY1305,
                                                  CB_VFS_AES256_GCM };

    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
        char path[STORE_KIT_PATH_BYTES];
        char name[16];
        struct stat facts;
        cb_database *copy = NULL;
        if (!cb_vfs_cipher_available(ciphers[i])) {
            continue;
        }
        snprintf(name, sizeof name, "copy-%zu", i);
        store_kit_path(&kit, name, path);
        expect_ok(cb_database_copy(store->database, path, fresh, ciphers[i],
                                   test_error()));
        cr_assert(stat(path, &facts) == 0);
        cr_expect((facts.st_mode & 0777) == 0600);
        cr_expect(!vfs_file_contains(path, CANARY));

        expect_status(CB_DAMAGED, cb_database_open(&kit.environment, path,
                                                   store->master_key, false,
                                                   &copy, test_error()));
        expect_ok(cb_database_open(&kit.environment, path, fresh, false, &copy,
                                   test_error()));
        cr_expect(cipher_of(copy, path) == ciphers[i]);
        cr_expect(number_of(copy, "SELECT count(*) FROM entry") ==
                  number_of(store->database, "SELECT count(*) FROM entry"));
        cr_expect(number_of(copy, "PRAGMA user_version") ==
                  number_of(store->database, "PRAGMA user_version"));
        cb_database_close(copy);
    }
    /* The original goes on. */
    cb_case_id case_id = store_kit_case(store);
    store_kit_person(store, &case_id, "victim", "Ash");
}

/* Characters that mean something in a URI, in SQL, or to a terminal. */
Test(database_copy, may_have_any_name, .init = begin, .fini = end)
{
    static const char *const names[] = {
        "a b",      "what?vfs=unix", "50%25",       "a#b",
        "it's \"x", "a&mode=memory", "caf\xc3\xa9", "file:x",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[STORE_KIT_PATH_BYTES];
        cb_database *copy = NULL;
        store_kit_path(&kit, names[i], path);
        expect_ok(cb_database_copy(store->database, path, fresh,
                                   CB_VFS_XCHACHA20_POLY1305, test_error()));
        expect_ok(cb_database_open(&kit.environment, path, fresh, false, &copy,
                                   test_error()));
        cb_database_close(copy);
    }
}

/* Relative ones too, where "file:" is the start of a name. */
Test(database_copy, is_not_misled_by_a_name_like_a_uri, .init = begin,
     .fini = end)
{
    static const char *const names[] = { "file:x", "file://y", "z" };
    cr_assert(chdir(kit.root) == 0 && mkdir("file:", 0700) == 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cb_database *copy = NULL;
        expect_ok(cb_database_copy(store->database, names[i], fresh,
                                   CB_VFS_XCHACHA20_POLY1305, test_error()));
        cr_expect(access(names[i], F_OK) == 0, "%s", names[i]);
        expect_ok(cb_database_open(&kit.environment, names[i], fresh, false,
                                   &copy, test_error()));
        cb_database_close(copy);
    }
}

Test(database_copy, leaves_out_what_was_deleted, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    sqlite3 *connection = store->database->connection;
    store_kit_path(&kit, "copy", path);
    sql_must(connection,
             "CREATE TABLE gone (x BLOB) STRICT;"
             "WITH n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n "
             "WHERE i < 300) INSERT INTO gone SELECT randomblob(4000) FROM n;"
             "DELETE FROM gone");
    cr_assert(sql_int(connection, "PRAGMA freelist_count") >= 299);
    expect_ok(cb_database_copy(store->database, path, fresh,
                               CB_VFS_XCHACHA20_POLY1305, test_error()));
    cb_database *copy = NULL;
    expect_ok(cb_database_open(&kit.environment, path, fresh, false, &copy,
                               test_error()));
    cr_expect(sql_int(copy->connection, "PRAGMA freelist_count") == 0);
    cb_database_close(copy);
}

Test(database_copy, overwrites_nothing, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char link_path[STORE_KIT_PATH_BYTES];
    size_t size = 0;
    store_kit_path(&kit, "copy", path);
    store_kit_path(&kit, "link", link_path);
    vfs_file_write(path, (const uint8_t *)"mine", 4);
    cr_assert(symlink("elsewhere", link_path) == 0);

    expect_status(CB_EXISTS,
                  cb_database_copy(store->database, path, fresh,
                                   CB_VFS_XCHACHA20_POLY1305, test_error()));
    expect_contains(test_error()->meaning, "not touched");
    expect_status(CB_PERMISSION,
                  cb_database_copy(store->database, link_path, fresh,
                                   CB_VFS_XCHACHA20_POLY1305, test_error()));
    expect_status(CB_IO,
                  cb_database_copy(store->database, kit.root, fresh,
                                   CB_VFS_XCHACHA20_POLY1305, test_error()));
    uint8_t *bytes = vfs_file_read(path, &size);
    expect_bytes(bytes, size, "mine", 4);
    free(bytes);
}

Test(database_copy, leaves_nothing_where_the_disk_is_full, .init = begin,
     .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    const struct rlimit small = { 20480, 20480 };
    store_kit_path(&kit, "copy", path);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert(setrlimit(RLIMIT_FSIZE, &small) == 0);

    cb_error_clear(test_error());
    cb_status status = cb_database_copy(
        store->database, path, fresh, CB_VFS_XCHACHA20_POLY1305, test_error());
    cr_expect(status == CB_NO_SPACE || status == CB_IO, "%s",
              test_describe(status));
    expect_contains(test_error()->what, path);
    expect_contains(test_error()->meaning, "not changed");
    cr_expect(files_like(path) == 0);
    cr_expect(number_of(store->database, "SELECT count(*) FROM entry") > 0);
}

Test(database_copy, says_that_the_original_is_damaged, .init = begin,
     .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    size_t size = 0;
    cb_store_close(store);
    snprintf(file, sizeof file, "%s/casebook.db",
             store_kit_path(&kit, "a", path));
    uint8_t *bytes = vfs_file_read(file, &size);
    bytes[size - 100] ^= 1; /* of the last page, which opening does not read */
    vfs_file_write(file, bytes, size);
    free(bytes);
    cb_secret *key = NULL;
    cb_database *database = NULL;
    char unlock[STORE_KIT_PATH_BYTES + 16];
    snprintf(unlock, sizeof unlock, "%s/unlock.json", path);
    store = NULL;
    expect_ok(cb_unlock_open(&kit.environment, unlock, kit.passphrase, &key,
                             test_error()));
    expect_ok(cb_database_open(&kit.environment, file, key, false, &database,
                               test_error()));
    store_kit_path(&kit, "copy", path);
    expect_status(CB_DAMAGED,
                  cb_database_copy(database, path, fresh,
                                   CB_VFS_XCHACHA20_POLY1305, test_error()));
    expect_contains(test_error()->what, "casebook.db");
    cr_expect(files_like(path) == 0);
    cb_database_close(database);
    cb_secret_destroy(key);
}
