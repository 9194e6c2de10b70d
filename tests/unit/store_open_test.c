/* SPDX-License-Identifier: Apache-2.0 */
/* Making a store, opening it, and all that can be wrong with its files. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

static store_kit kit;

static void begin(void)
{
    store_kit_begin(&kit);
}

static void end(void)
{
    store_kit_end(&kit);
}

static cb_secret *secret_of(const char *text)
{
    cb_secret *secret = NULL;
    expect_ok(cb_secret_create(strlen(text), &secret, test_error()));
    memcpy(cb_secret_bytes(secret), text, strlen(text));
    return secret;
}

static cb_status open_with(const char *name, const cb_secret *passphrase)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_store *store = NULL;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, name, path));
    cb_status status =
        cb_store_open(&options, passphrase, &store, test_error());
    cb_store_close(store);
    return status;
}

static cb_status create_at(const char *name, const cb_secret *passphrase)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_store *store = NULL;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, name, path));
    cb_status status =
        cb_store_create(&options, passphrase, &store, test_error());
    cb_store_close(store);
    return status;
}

/* ------------------------------------------------------ making and opening */

Test(store_open, is_made_once_and_opens_again, .init = begin, .fini = end)
{
    cb_store *store = store_kit_create(&kit, "a");
    cb_store_identity made;
    cb_store_identity opened;
    cb_store_identify(store, &made);
    cb_store_close(store);

    store = store_kit_open(&kit, "a");
    cb_store_identify(store, &opened);
    cb_store_close(store);

    expect_bytes(&opened.device, sizeof opened.device, &made.device,
                 sizeof made.device);
    cr_expect(!opened.joined && !opened.hub && !opened.restored);
    expect_status(CB_EXISTS, create_at("a", kit.passphrase));
    expect_contains(test_error()->meaning, "not touched");
}

Test(store_open, demands_its_passphrase, .init = begin, .fini = end)
{
    cb_secret *wrong = secret_of("lantern copper seven meadoW");
    cb_secret *brief = secret_of("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    cb_store_close(store_kit_create(&kit, "a"));

    expect_status(CB_WRONG_KEY, open_with("a", wrong));
    expect_contains(test_error()->what, "not the passphrase");
    expect_status(CB_OK, open_with("a", kit.passphrase));
    /* Eight bytes of four characters are too short. */
    expect_status(CB_INPUT, create_at("b", brief));
    expect_status(CB_NO_STORE, open_with("b", kit.passphrase));

    cb_secret_destroy(wrong);
    cb_secret_destroy(brief);
}

Test(store_open, takes_another_passphrase_without_touching_the_database,
     .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    struct stat before;
    struct stat after;
    cb_secret *fresh = secret_of("harbour ninety velvet acorn");
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "a", path));
    cb_store_close(store_kit_create(&kit, "a"));
    cb_store *store = store_kit_open(&kit, "a");
    snprintf(file, sizeof file, "%s/casebook.db", path);
    cr_assert(stat(file, &before) == 0);

    expect_ok(cb_store_change_passphrase(store, &options, fresh, test_error()));
    cr_assert(stat(file, &after) == 0);
    cb_store_close(store);

    cr_expect(before.st_size == after.st_size &&
              before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    expect_status(CB_WRONG_KEY, open_with("a", kit.passphrase));
    expect_status(CB_OK, open_with("a", fresh));
    cb_secret_destroy(fresh);
}

/* Writes a file of the store anew, from a text. */
static void overwrite(const char *store, const char *name, const char *text)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 32];
    snprintf(file, sizeof file, "%s/%s", store_kit_path(&kit, store, path),
             name);
    FILE *stream = fopen(file, "w");
    cr_assert(stream != NULL && fputs(text, stream) >= 0);
    cr_assert(fclose(stream) == 0);
}

static void drop(const char *store, const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 32];
    snprintf(file, sizeof file, "%s/%s", store_kit_path(&kit, store, path),
             name);
    cr_assert(remove(file) == 0);
}

Test(store_open, says_what_is_wrong_with_its_unlock_file, .init = begin,
     .fini = end)
{
    static const struct {
        const char *text;
        cb_status status;
    } rows[] = {
        { "", CB_DAMAGED },
        { "not JSON at all", CB_DAMAGED },
        { "[]", CB_DAMAGED },
        { "{\"version\":1}", CB_DAMAGED },
        { "{\"version\":2}", CB_DAMAGED },
        { "{\"version\":3}", CB_NEWER },
        /* What would take all memory is not tried. */
        { "{\"version\":1,\"kdf\":\"argon2id13\",\"operations\":1,"
          "\"memory_bytes\":1099511627776}",
          CB_DAMAGED },
    };

    cb_store_close(store_kit_create(&kit, "a"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        overwrite("a", "unlock.json", rows[i].text);
        expect_status(rows[i].status, open_with("a", kit.passphrase));
    }
}

/*
 * Argon2id's cost and the salt are what the sealed key is bound to: a weaker
 * cost written into the file does not open it.
 */
Test(store_open, notices_a_changed_cost, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    cb_store_close(store_kit_create(&kit, "a"));
    snprintf(file, sizeof file, "%s/unlock.json",
             store_kit_path(&kit, "a", path));
    json_t *document = json_load_file(file, 0, NULL);
    cr_assert(document != NULL);
    json_object_set_new(json_array_get(json_object_get(document, "slots"), 0),
                        "operations", json_integer(2));
    cr_assert(json_dump_file(document, file, 0) == 0);
    json_decref(document);

    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
}

Test(store_open, makes_no_empty_database_where_its_own_is_gone, .init = begin,
     .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    cb_store_close(store_kit_create(&kit, "a"));
    drop("a", "casebook.db");
    snprintf(file, sizeof file, "%s/casebook.db",
             store_kit_path(&kit, "a", path));

    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
    expect_contains(test_error()->what, "casebook.db");
    cr_expect(access(file, F_OK) != 0);

    overwrite("a", "casebook.db", "");
    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
    struct stat facts;
    cr_expect(stat(file, &facts) == 0 && facts.st_size == 0);
}

Test(store_open, is_never_made_over_a_database, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    struct stat before;
    struct stat after;
    cb_store_close(store_kit_create(&kit, "a"));
    drop("a", "unlock.json");
    snprintf(file, sizeof file, "%s/casebook.db",
             store_kit_path(&kit, "a", path));
    cr_assert(stat(file, &before) == 0);

    expect_status(CB_EXISTS, create_at("a", kit.passphrase));

    cr_expect(stat(file, &after) == 0 && before.st_ino == after.st_ino &&
              before.st_size == after.st_size);
}

Test(store_open, does_not_open_with_anothers_unlock_file, .init = begin,
     .fini = end)
{
    char a[STORE_KIT_PATH_BYTES];
    char b[STORE_KIT_PATH_BYTES];
    char from[STORE_KIT_PATH_BYTES + 16];
    char to[STORE_KIT_PATH_BYTES + 16];
    cb_store_close(store_kit_create(&kit, "a"));
    cb_store_close(store_kit_create(&kit, "b"));
    snprintf(from, sizeof from, "%s/unlock.json", store_kit_path(&kit, "b", b));
    snprintf(to, sizeof to, "%s/unlock.json", store_kit_path(&kit, "a", a));
    cr_assert(rename(from, to) == 0);

    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
}

Test(store_open, of_a_newer_version_is_left_alone, .init = begin, .fini = end)
{
    cb_store *store = store_kit_create(&kit, "a");
    cr_assert(sqlite3_exec(store->database->connection,
                           "PRAGMA user_version = 9999", NULL, NULL,
                           NULL) == SQLITE_OK);
    cb_store_close(store);

    expect_status(CB_NEWER, open_with("a", kit.passphrase));
    expect_contains(test_error()->what, "9999");
    expect_contains(test_error()->meaning, "nothing was changed");
}

/* The child is there before the store is open, for it would inherit the lock.
 */
Test(store_open, is_used_by_one_process_at_a_time, .init = begin, .fini = end)
{
    int gate[2];
    char byte = 0;
    cb_store_close(store_kit_create(&kit, "a"));
    cr_assert(pipe(gate) == 0);
    pid_t parent = getpid();
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        char holder[32];
        snprintf(holder, sizeof holder, "by process %d (", (int)parent);
        _exit(read(gate[0], &byte, 1) == 1 &&
                      open_with("a", kit.passphrase) == CB_IN_USE &&
                      strstr(test_error()->what, holder) != NULL
                  ? 0
                  : 1);
    }
    cb_store *store = store_kit_open(&kit, "a");
    cr_assert(write(gate[1], "x", 1) == 1);
    int status = 1;
    cr_assert(waitpid(child, &status, 0) == child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "a second process was let in, or not told by whom it is used");
    cb_store_close(store);
    expect_status(CB_OK, open_with("a", kit.passphrase));
}

/*
 * As when `init` is run twice at a time: what the other has begun is not what a
 * crash has left.
 */
Test(store_open, is_not_made_where_another_process_is_making_it, .init = begin,
     .fini = end)
{
    int gate[2];
    char byte = 0;
    char path[STORE_KIT_PATH_BYTES];
    char unlock[STORE_KIT_PATH_BYTES + 32];
    char begun[STORE_KIT_PATH_BYTES + 32];
    char database[STORE_KIT_PATH_BYTES + 32];
    struct stat facts;
    cb_store_close(store_kit_create(&kit, "a"));
    cr_assert(pipe(gate) == 0);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        _exit(read(gate[0], &byte, 1) == 1 &&
                      create_at("a", kit.passphrase) == CB_IN_USE &&
                      strstr(test_error()->what, "process") != NULL
                  ? 0
                  : 1);
    }
    cb_store *store = store_kit_open(&kit, "a");
    store_kit_path(&kit, "a", path);
    snprintf(unlock, sizeof unlock, "%s/unlock.json", path);
    snprintf(begun, sizeof begun, "%s/" CB_UNLOCK_BEGUN, path);
    snprintf(database, sizeof database, "%s/casebook.db", path);
    cr_assert(rename(unlock, begun) == 0);
    cr_assert(write(gate[1], "x", 1) == 1);
    int status = 1;
    cr_assert(waitpid(child, &status, 0) == child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "a second process took away what the first was making");
    cr_expect(stat(database, &facts) == 0 && facts.st_size > 0);
    cr_assert(rename(begun, unlock) == 0);
    cb_store_close(store);
    expect_ok(open_with("a", kit.passphrase));
}

Test(store_open, names_a_damaged_page_and_its_file, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    for (int i = 0; i < 20; i++) {
        store_kit_person(store, &case_id, "victim", "Ash");
    }
    cb_store_close(store);
    snprintf(file, sizeof file, "%s/casebook.db",
             store_kit_path(&kit, "a", path));
    struct stat facts;
    cr_assert(stat(file, &facts) == 0);
    int descriptor = open(file, O_RDWR);
    for (off_t at = 4096 + 700; at < facts.st_size; at += 4096) {
        uint8_t byte = 0;
        cr_assert(pread(descriptor, &byte, 1, at) == 1);
        byte ^= 4;
        cr_assert(pwrite(descriptor, &byte, 1, at) == 1);
    }
    close(descriptor);

    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
    expect_contains(test_error()->what, "page");
    expect_contains(test_error()->what, "casebook.db");
}
