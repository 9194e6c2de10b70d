/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/inspect.h"

#include "fault/disk_internal.h"
#include "fault/story.h"
#include "store/internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSPECT_S_MAX 60

static int64_t the_time_ms(void *context)
{
    return *(const int64_t *)context;
}

static cb_secret *secret_of(const char *text)
{
    cb_secret *secret = NULL;
    if (cb_secret_create(strlen(text), &secret, NULL) != CB_OK) {
        disk_stop("no memory for", "a passphrase");
    }
    memcpy(cb_secret_bytes(secret), text, strlen(text));
    return secret;
}

static void complain(inspection *result, const char *what, const char *detail)
{
    if (result->problem[0] == '\0') {
        (void)snprintf(result->problem, sizeof result->problem, "%s: %s", what,
                       detail);
    }
}

/* ---------------------------------------------------------------- the rows */

static void hash_row(crypto_generichash_state *state, sqlite3_stmt *statement)
{
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const int type = sqlite3_column_type(statement, i);
        const unsigned char *bytes = sqlite3_column_blob(statement, i);
        const int size = sqlite3_column_bytes(statement, i);
        crypto_generichash_update(state, (const unsigned char *)&type,
                                  sizeof type);
        crypto_generichash_update(state, (const unsigned char *)&size,
                                  sizeof size);
        if (size > 0) {
            crypto_generichash_update(state, bytes, (size_t)size);
        }
    }
}

static void hash_table(sqlite3 *connection, const char *name,
                       crypto_generichash_state *state, inspection *result)
{
    char sql[200];
    sqlite3_stmt *statement = NULL;
    /* Of how many steps a change is made is nobody's affair. */
    (void)snprintf(sql, sizeof sql, "SELECT * FROM \"%s\"%s", name,
                   strcmp(name, "meta") == 0 ? " WHERE name <> 'commits'" : "");
    int code = sqlite3_prepare_v2(connection, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            hash_row(state, statement);
        }
    }
    if (code != SQLITE_DONE) {
        complain(result, "cannot be read", sqlite3_errmsg(connection));
    }
    (void)sqlite3_finalize(statement);
}

static void hash_all(sqlite3 *connection, inspection *result)
{
    sqlite3_stmt *tables = NULL;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof result->state);
    int code = sqlite3_prepare_v2(connection,
                                  "SELECT name FROM sqlite_schema WHERE "
                                  "type='table' ORDER BY name",
                                  -1, &tables, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(tables);
        if (code == SQLITE_ROW) {
            const char *name = (const char *)sqlite3_column_text(tables, 0);
            crypto_generichash_update(&state, (const unsigned char *)name,
                                      strlen(name));
            hash_table(connection, name, &state, result);
        }
    }
    (void)sqlite3_finalize(tables);
    crypto_generichash_final(&state, result->state, sizeof result->state);
}

/* ------------------------------------------------------------------ proofs */

/* Every stream's entries are signed, without a gap, and each names the one
 * before it. */
static void check_chains(sqlite3 *connection, inspection *result)
{
    static const char sql[] =
        "SELECT e.bytes, e.stream, e.seq, s.public_key, s.head_seq, s.own "
        "FROM entry e JOIN stream s ON s.number = e.stream "
        "ORDER BY e.stream, e.seq";
    sqlite3_stmt *statement = NULL;
    cb_hash before = { { 0 } };
    int64_t stream = 0;
    int64_t seq = 0;
    int code = sqlite3_prepare_v2(connection, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || sqlite3_step(statement) == SQLITE_ROW) {
        if (code == SQLITE_OK) {
            code = SQLITE_ROW;
            continue;
        }
        cb_entry entry;
        cb_error error = { 0 };
        const cb_span bytes = {
            sqlite3_column_blob(statement, 0),
            (size_t)sqlite3_column_bytes(statement, 0),
        };
        if (sqlite3_column_int64(statement, 1) != stream) {
            stream = sqlite3_column_int64(statement, 1);
            seq = 0;
            memset(&before, 0, sizeof before);
        }
        if (cb_entry_decode(bytes, &entry, &error) != CB_OK ||
            cb_entry_verify(&entry, sqlite3_column_blob(statement, 3),
                            &error) != CB_OK) {
            complain(result, "an entry does not verify", error.what);
            break;
        }
        const bool follows =
            (int64_t)entry.header.seq == seq + 1 &&
            memcmp(&entry.header.prev, &before, sizeof before) == 0;
        /* Others' streams come in parts: only what one may read. */
        if (sqlite3_column_int(statement, 5) == 1 && !follows) {
            complain(result, "the chain is broken", "of an own stream");
        }
        seq = (int64_t)entry.header.seq;
        before = entry.hash;
        result->entries++;
    }
    (void)sqlite3_finalize(statement);
}

static void check_integrity(sqlite3 *connection, inspection *result)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(connection, "PRAGMA integrity_check", -1, &statement,
                           NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW ||
        strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) {
        complain(result, "SQLite finds it unsound", sqlite3_errmsg(connection));
    }
    (void)sqlite3_finalize(statement);
}

static void check_pages(cb_store *store, inspection *result)
{
    struct cb_vfs_scrub_result scrubbed = { .pages = 0 };
    cb_error error = { 0 };
    if (sqlite3_exec(store->database->connection,
                     "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL,
                     NULL) != SQLITE_OK) {
        complain(result, "the log cannot be emptied",
                 sqlite3_errmsg(store->database->connection));
        return;
    }
    if (cb_vfs_scrub(store->database->vfs, store->database->path, NULL, NULL,
                     &scrubbed, &error) != CB_OK) {
        complain(result, "the pages cannot be checked", error.what);
    } else if (scrubbed.damaged > 0) {
        complain(result, "a page does not verify", "scrub");
    }
}

static void look(const char *folder, const char *home, int64_t now_ms,
                 inspection *result)
{
    char witness[1024];
    const char *const phrases[] = { STORY_PASSPHRASE, STORY_NEXT_PASSPHRASE };
    cb_environment environment = *cb_environment_system();
    cb_store *store = NULL;
    cb_error error = { 0 };
    (void)snprintf(witness, sizeof witness, "%s/.local/state/casebound", home);
    environment.context = &now_ms;
    environment.now_ms = the_time_ms;
    const cb_store_options options = {
        .folder = folder,
        .environment = &environment,
        .kdf_operations = crypto_pwhash_argon2id_OPSLIMIT_MIN,
        .kdf_memory_bytes = crypto_pwhash_argon2id_MEMLIMIT_MIN,
        .witness_folder = witness,
    };

    result->status = CB_WRONG_KEY;
    for (int i = 0; i < 2 && result->status == CB_WRONG_KEY; i++) {
        cb_secret *secret = secret_of(phrases[i]);
        cb_error_clear(&error);
        result->status = cb_store_open(&options, secret, &store, &error);
        result->next_passphrase = i == 1;
        cb_secret_destroy(secret);
    }
    if (result->status == CB_NO_STORE) {
        return;
    }
    if (result->status != CB_OK) {
        complain(result, "the store does not open", error.what);
        return;
    }
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    result->joined = identity.joined;
    result->restored = identity.restored;
    hash_all(store->database->connection, result);
    check_chains(store->database->connection, result);
    check_integrity(store->database->connection, result);
    check_pages(store, result);
    cb_store_close(store);
}

void inspect_store(const char *folder, const char *home, int64_t now_ms,
                   inspection *result)
{
    int status = 0;
    inspection *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        disk_stop("no memory for", "an inspection");
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(INSPECT_S_MAX);
        look(folder, home, now_ms, shared);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        disk_stop("cannot look into", folder);
    }
    *result = *shared;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        complain(result, "whoever opened it died", folder);
    }
    (void)munmap(shared, sizeof *shared);
}
