/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors/frozen.h"

#include "store/internal.h"
#include "support/store_kit.h"

#include <stdlib.h>

static void describe_count(cb_store *store, const char *what, const char *sql,
                           cb_buffer *text)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->database->connection, sql, -1,
                                  &statement, NULL);
    if (code != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
        fprintf(stderr, "cannot count: %s\n", sql);
        abort();
    }
    cb_buffer_append_format(text, "%s %lld\n", what,
                            (long long)sqlite3_column_int64(statement, 0));
    (void)sqlite3_finalize(statement);
}

static void describe_counts(cb_store *store, cb_buffer *text)
{
    static const struct {
        const char *what;
        const char *sql;
    } rows[] = {
        { "applied", "SELECT count(*) FROM entry WHERE state = 'applied'" },
        { "waiting", "SELECT count(*) FROM entry WHERE state = 'waiting'" },
        { "quarantined",
          "SELECT count(*) FROM entry WHERE state = 'quarantined'" },
        { "bytes", "SELECT sum(length(bytes)) FROM entry" },
        { "streams", "SELECT count(*) FROM stream" },
        { "keys", "SELECT count(*) FROM compartment_key" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        describe_count(store, rows[i].what, rows[i].sql, text);
    }
}

static void describe_case(cb_store *store, const char *id, cb_buffer *text)
{
    char hex[2 * sizeof(cb_hash) + 1];
    cb_error error = { 0 };
    cb_case_id case_id = { { 0 } };
    cb_case_state *state = NULL;
    size_t issues[4] = { 0 };
    store_kit_must(cb_store_find_case(store, id, &case_id, &error), &error,
                   "finding a case");
    store_kit_must(cb_store_case_state(store, &case_id, &state, &error), &error,
                   "folding a case");
    cb_hash fingerprint = cb_case_state_fingerprint(state);
    cb_hex_format(fingerprint.bytes, sizeof fingerprint.bytes, hex);
    for (size_t i = 0; i < cb_case_state_issue_count(state); i++) {
        issues[cb_case_state_issue(state, i)->form]++;
    }
    cb_buffer_append_format(text,
                            "case %s %s\n  %s\n  %s\n  %zu conflicts, "
                            "%zu alerts, %zu tasks, %zu findings\n",
                            id, cb_case_state_reference(state), hex,
                            cb_case_state_word(state),
                            issues[CB_ISSUE_CONFLICT], issues[CB_ISSUE_ALERT],
                            issues[CB_ISSUE_TASK], issues[CB_ISSUE_FINDING]);
    cb_case_state_destroy(state);
}

void frozen_describe(cb_store *store, cb_buffer *text)
{
    cb_error error = { 0 };
    cb_store_identity identity;
    json_t *list = NULL;
    size_t index = 0;
    json_t *row = NULL;
    cb_store_identify(store, &identity);
    cb_buffer_append_format(text, "%s\nhead %llu\n",
                            identity.hub ? "hub" : "device",
                            (unsigned long long)identity.head_seq);
    describe_counts(store, text);
    store_kit_must(cb_store_case_list(store, &list, &error), &error,
                   "listing cases");
    json_array_foreach (json_object_get(list, "cases"), index, row) {
        describe_case(store, json_string_value(json_object_get(row, "case")),
                      text);
    }
    json_decref(list);
}
