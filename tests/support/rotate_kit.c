/* SPDX-License-Identifier: Apache-2.0 */
#include "support/rotate_kit.h"

#include <casebound/recovery.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/vfs_fixture.h"

rotate_kit the;

void rotate_kit_begin(void)
{
    store_kit_begin(&the.kit);
    cb_store *store = store_kit_hub(&the.kit, "a");
    the.options =
        store_kit_options(&the.kit, store_kit_path(&the.kit, "a", the.folder));
    the.case_id = store_kit_case(store);
    store_kit_person(store, &the.case_id, "victim", CANARY);
    the.fingerprint = store_kit_fingerprint(store, &the.case_id);
    expect_ok(cb_secret_clone(store->master_key, &the.old_key, test_error()));
    expect_ok(
        cb_recovery_make(&the.kit.environment, &the.recovery, test_error()));
    expect_ok(cb_recovery_make(&the.kit.environment, &the.newer, test_error()));
    expect_ok(cb_store_set_recovery(store, &the.options, the.kit.passphrase,
                                    the.recovery, test_error()));
    cb_store_close(store);
}

void rotate_kit_end(void)
{
    cb_secret_destroy(the.old_key);
    cb_secret_destroy(the.recovery);
    cb_secret_destroy(the.newer);
    store_kit_end(&the.kit);
}

cb_status rotate(cb_store *store, const cb_secret *recovery_key)
{
    const cb_rotation rotation = { .passphrase = the.kit.passphrase,
                                   .recovery_key = recovery_key };
    cb_error_clear(test_error());
    return cb_store_rotate(store, &the.options, &rotation, test_error());
}

char *path_of(const char *name)
{
    static char path[STORE_KIT_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", the.folder, name);
    return path;
}

void expect_content(cb_store *store)
{
    cb_hash now = store_kit_fingerprint(store, &the.case_id);
    expect_bytes(&now, sizeof now, &the.fingerprint, sizeof the.fingerprint);
}

bool has_old_key(const cb_store *store)
{
    return memcmp(cb_secret_view(store->master_key),
                  cb_secret_view(the.old_key), CB_KEY_BYTES) == 0;
}

/* Names that nothing but a rotation leaves; how many there are. */
int leftovers(void)
{
    static const char *const names[] = {
        "casebook.db-next",       "casebook.db-next-wal",
        "casebook.db-next-pages", "casebook.db-next-journal",
        "casebook.db-wal",        "unlock.json.new",
    };
    int count = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        count += access(path_of(names[i]), F_OK) == 0;
    }
    return count;
}

bool unlock_names_previous(void)
{
    return vfs_file_contains(path_of("unlock.json"), "previous");
}

/* Whether a database file opens with a key. */
bool opens(const char *path, const cb_secret *key)
{
    struct cb_vfs_scrub_result result = { 0 };
    cb_vfs *vfs = NULL;
    expect_ok(cb_vfs_create(&the.kit.environment, key,
                            cb_database_best_cipher(), &vfs, test_error()));
    cb_status status = cb_vfs_scrub(vfs, path, NULL, NULL, &result, NULL);
    cb_vfs_destroy(vfs);
    return status == CB_OK && result.damaged == 0;
}
