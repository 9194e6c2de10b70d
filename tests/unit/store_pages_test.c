/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store knows that the versions of its pages are tracked, so that whoever
 * puts back an old page cannot take the table away with it.
 */
#include "store/database.h"
#include "support/expect.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[64];
static char path[96];
static char table[128];
static cb_secret *key;

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/cb-pages-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/casebook.db", folder);
    snprintf(table, sizeof table, "%s-pages", path);
    expect_ok(cb_secret_create_random(cb_environment_system(), CB_KEY_BYTES,
                                      &key, test_error()));
}

static void end(void)
{
    cb_secret_destroy(key);
    unlink(path);
    unlink(table);
    rmdir(folder);
}

static cb_status open_at(const char *name, bool create)
{
    cb_database *database = NULL;
    cb_status status = cb_database_open(cb_environment_system(), name, key,
                                        create, &database, test_error());
    if (status == CB_OK) {
        uint8_t identity[CB_VFS_IDENTITY_BYTES];
        bool tracked = false;
        expect_ok(cb_vfs_identify(database->connection, "main", identity,
                                  &tracked, test_error()));
        cr_expect(tracked);
    }
    cb_database_close(database);
    return status;
}

Test(store_pages, are_tracked_from_the_first_moment, .init = begin, .fini = end)
{
    expect_status(CB_OK, open_at(path, true));
    expect_status(CB_OK, open_at(path, false));

    unlink(table);
    expect_status(CB_DAMAGED, open_at(path, false));
    expect_contains(test_error()->what, "casebook.db-pages' is missing");
    expect_contains(test_error()->meaning, "nothing is lost");
    expect_contains(test_error()->next, "doctor --repair");
    cr_expect(access(table, F_OK) != 0, "none was made in its place");

    expect_ok(cb_database_rebuild_pages(cb_environment_system(), path, key,
                                        test_error()));
    expect_status(CB_OK, open_at(path, false));
}

/* The mark comes with the copy, but names the original. */
Test(store_pages, of_a_copy_are_tracked_when_it_is_opened, .init = begin,
     .fini = end)
{
    char copy[128];
    char copy_table[160];
    cb_database *database = NULL;
    expect_ok(cb_database_open(cb_environment_system(), path, key, true,
                               &database, test_error()));
    snprintf(copy, sizeof copy, "%s.copy", path);
    snprintf(copy_table, sizeof copy_table, "%s-pages", copy);
    expect_ok(cb_database_copy(database, copy, key, cb_database_best_cipher(),
                               test_error()));
    cb_database_close(database);

    /* As rotation does it: the table beside it is the old file's. */
    cr_assert(rename(copy, path) == 0);
    expect_status(CB_OK, open_at(path, false));
    expect_status(CB_OK, open_at(path, false));
    unlink(table);
    expect_status(CB_DAMAGED, open_at(path, false));
    unlink(copy_table);
}

/* With the mark of its own file gone, a store is as one of long ago. */
Test(store_pages, of_a_store_that_was_never_tracked_are_from_now_on,
     .init = begin, .fini = end)
{
    cb_database *database = NULL;
    expect_ok(cb_database_open(cb_environment_system(), path, key, true,
                               &database, test_error()));
    cr_assert(sqlite3_exec(database->connection,
                           "DELETE FROM meta WHERE name = 'pages.tracked'",
                           NULL, NULL, NULL) == SQLITE_OK);
    cb_database_close(database);
    unlink(table);
    expect_status(CB_OK, open_at(path, false));
    cr_expect(access(table, F_OK) == 0);
    unlink(table);
    expect_status(CB_DAMAGED, open_at(path, false));
}
