/* SPDX-License-Identifier: Apache-2.0 */
#include "edit.h"

#include "store/internal.h"

#include <string.h>
#include <unistd.h>

#define PASSPHRASE_DESCRIPTOR 9

static cb_secret *read_passphrase(void)
{
    cb_secret *passphrase = NULL;
    char line[256];
    ssize_t size = read(PASSPHRASE_DESCRIPTOR, line, sizeof line - 1);
    size_t length = size <= 0 ? 0 : strcspn(line, "\n");
    if (length == 0 || cb_secret_create(length, &passphrase, NULL) != CB_OK) {
        return NULL;
    }
    memcpy(cb_secret_bytes(passphrase), line, length);
    return passphrase;
}

int test_edit_store(const char *folder, const char *sql)
{
    cb_error error = { .status = CB_OK };
    char *problem = NULL;
    cb_store *store = NULL;
    cb_secret *passphrase = read_passphrase();
    const cb_store_options options = { .folder = folder };
    if (passphrase == NULL ||
        cb_store_open(&options, passphrase, &store, &error) != CB_OK) {
        (void)fprintf(stderr, "cannot edit '%s': %s\n", folder, error.what);
        cb_secret_destroy(passphrase);
        return 99;
    }
    sqlite3 *connection = store->database->connection;
    (void)sqlite3_exec(connection, "PRAGMA foreign_keys=OFF", NULL, NULL, NULL);
    if (sqlite3_exec(connection, sql, NULL, NULL, &problem) != SQLITE_OK ||
        sqlite3_changes(connection) == 0) {
        (void)fprintf(stderr, "nothing edited: %s\n",
                      problem == NULL ? sql : problem);
        sqlite3_free(problem);
        cb_store_close(store);
        cb_secret_destroy(passphrase);
        return 99;
    }
    cb_store_close(store);
    cb_secret_destroy(passphrase);
    return 0;
}
