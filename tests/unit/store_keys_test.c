/* SPDX-License-Identifier: Apache-2.0 */
/* The ways into a store, and changing them. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <casebound/recovery.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"
#include "support/vfs_fixture.h"

#define MEBIBYTE UINT64_C(1048576)

static store_kit kit;
static cb_store *store;
static cb_store_options options;
static char folder[STORE_KIT_PATH_BYTES];
static cb_secret *recovery;
static cb_secret *fresh;

static cb_secret *secret_of(const char *text)
{
    cb_secret *secret = NULL;
    expect_ok(cb_secret_create(strlen(text), &secret, test_error()));
    memcpy(cb_secret_bytes(secret), text, strlen(text));
    return secret;
}

static void begin(void)
{
    store_kit_begin(&kit);
    store = store_kit_create(&kit, "a");
    options = store_kit_options(&kit, store_kit_path(&kit, "a", folder));
    expect_ok(cb_recovery_make(&kit.environment, &recovery, test_error()));
    fresh = secret_of("harbour ninety velvet acorn");
}

static void end(void)
{
    cb_secret_destroy(recovery);
    cb_secret_destroy(fresh);
    cb_store_close(store);
    store_kit_end(&kit);
}

TestSuite(store_keys, .init = begin, .fini = end);

static void close_store(void)
{
    cb_store_close(store);
    store = NULL;
}

static cb_status open_with(const cb_secret *passphrase)
{
    close_store();
    return cb_store_open(&options, passphrase, &store, test_error());
}

static cb_status recover_with(const cb_secret *key)
{
    close_store();
    return cb_store_open_recovery(&options, key, &store, test_error());
}

static cb_store_keys keys(void)
{
    cb_store_keys described;
    cb_store_describe_keys(store, &described);
    return described;
}

/* The file as it stands; the caller frees. */
static char *unlock_text(void)
{
    char path[STORE_KIT_PATH_BYTES + 16];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/unlock.json", folder);
    uint8_t *bytes = vfs_file_read(path, &size);
    char *text = calloc(1, size + 1);
    memcpy(text, bytes, size);
    free(bytes);
    return text;
}

static void put_unlock(const char *text)
{
    char path[STORE_KIT_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/unlock.json", folder);
    vfs_file_write(path, (const uint8_t *)text, strlen(text));
}

Test(store_keys, recovery_key_opens_until_it_is_removed)
{
    cr_expect(!keys().recovery);
    expect_status(CB_WRONG_KEY, recover_with(recovery));
    expect_contains(test_error()->what, "no recovery key");

    expect_ok(open_with(kit.passphrase));
    expect_ok(cb_store_set_recovery(store, &options, kit.passphrase, recovery,
                                    test_error()));
    cr_expect(keys().recovery);
    expect_ok(recover_with(recovery));
    expect_ok(cb_store_check_recovery(&options, recovery, test_error()));
    expect_ok(open_with(kit.passphrase));

    expect_ok(cb_store_set_recovery(store, &options, kit.passphrase, NULL,
                                    test_error()));
    cr_expect(!keys().recovery);
    expect_status(CB_WRONG_KEY, recover_with(recovery));
    expect_status(CB_WRONG_KEY,
                  cb_store_check_recovery(&options, recovery, test_error()));
}

Test(store_keys, newer_recovery_key_replaces_the_older)
{
    cb_secret *newer = NULL;
    expect_ok(cb_recovery_make(&kit.environment, &newer, test_error()));
    expect_ok(cb_store_set_recovery(store, &options, kit.passphrase, recovery,
                                    test_error()));
    expect_ok(cb_store_set_recovery(store, &options, kit.passphrase, newer,
                                    test_error()));
    expect_status(CB_WRONG_KEY, recover_with(recovery));
    expect_ok(recover_with(newer));
    cb_secret_destroy(newer);
}

Test(store_keys, recovery_key_is_set_by_whoever_knows_the_passphrase)
{
    char *before = unlock_text();
    expect_status(CB_WRONG_KEY, cb_store_set_recovery(store, &options, fresh,
                                                      recovery, test_error()));
    char *after = unlock_text();
    expect_text(after, before);
    free(before);
    free(after);
}

Test(store_keys, forgotten_passphrase_is_replaced_with_the_recovery_key)
{
    expect_ok(cb_store_set_recovery(store, &options, kit.passphrase, recovery,
                                    test_error()));
    expect_ok(recover_with(recovery));
    expect_ok(cb_store_change_passphrase(store, &options, fresh, test_error()));
    expect_status(CB_WRONG_KEY, open_with(kit.passphrase));
    expect_ok(open_with(fresh));
    /* It stays valid, and so does what the keyring would keep. */
    cr_expect(keys().recovery && !keys().altered);
    expect_ok(recover_with(recovery));
}

Test(store_keys, cost_is_kept_unless_it_is_less_than_the_default)
{
    static const struct {
        uint64_t operations; /* before */
        uint64_t mebibytes;
        uint64_t operations_after;
        uint64_t mebibytes_after;
    } rows[] = {
        { 1, 1, 3, 256 },   /* cheap: raised */
        { 12, 64, 12, 64 }, /* as hard as the default, for a small machine */
        { 4, 300, 4, 300 }, /* dearer */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        options.kdf_operations = rows[i].operations;
        options.kdf_memory_bytes = rows[i].mebibytes * MEBIBYTE;
        expect_ok(
            cb_store_change_passphrase(store, &options, fresh, test_error()));
        cr_expect(keys().kdf_operations == rows[i].operations &&
                  keys().kdf_memory_bytes == rows[i].mebibytes * MEBIBYTE);
        options.kdf_operations = 0;
        options.kdf_memory_bytes = 0;
        expect_ok(
            cb_store_change_passphrase(store, &options, fresh, test_error()));
        cr_expect(keys().kdf_operations == rows[i].operations_after &&
                      keys().kdf_memory_bytes ==
                          rows[i].mebibytes_after * MEBIBYTE,
                  "row %zu: %d passes, %d MiB", i, (int)keys().kdf_operations,
                  (int)(keys().kdf_memory_bytes / MEBIBYTE));
    }
    options.kdf_operations = 65;
    expect_status(CB_LIMIT, cb_store_change_passphrase(store, &options, fresh,
                                                       test_error()));
    expect_ok(open_with(fresh));
}

Test(store_keys, altered_file_opens_but_its_other_slots_are_not_kept)
{
    expect_ok(cb_store_set_recovery(store, &options, kit.passphrase, recovery,
                                    test_error()));
    char *text = unlock_text();
    char *place = strstr(text, "\"check\":\"");
    cr_assert(place != NULL);
    place[9] = place[9] == '0' ? '1' : '0';
    put_unlock(text);
    free(text);

    expect_ok(open_with(kit.passphrase));
    cr_expect(keys().altered && keys().recovery);
    expect_ok(cb_store_change_passphrase(store, &options, fresh, test_error()));
    cr_expect(!keys().altered && !keys().recovery);
    expect_ok(open_with(fresh));
    cr_expect(!keys().altered);
}

/* A copy of unlock.json from before is put back: it is the same master key. */
Test(store_keys, older_unlock_file_opens_with_its_own_passphrase)
{
    char *older = unlock_text();
    expect_ok(cb_store_change_passphrase(store, &options, fresh, test_error()));
    put_unlock(older);
    free(older);
    expect_status(CB_WRONG_KEY, open_with(fresh));
    expect_ok(open_with(kit.passphrase));
    cr_expect(!keys().altered);
}

Test(store_keys, unlock_file_of_another_store_does_not_open_this_one)
{
    cb_store *other = store_kit_create(&kit, "b");
    char path[STORE_KIT_PATH_BYTES];
    char command[4 * STORE_KIT_PATH_BYTES];
    cb_store_close(other);
    snprintf(command, sizeof command, "cp '%s/unlock.json' '%s/unlock.json'",
             store_kit_path(&kit, "b", path), folder);
    close_store();
    cr_assert(system(command) == 0);
    expect_status(CB_DAMAGED, open_with(kit.passphrase));
}
