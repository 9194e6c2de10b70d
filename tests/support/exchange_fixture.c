/* SPDX-License-Identifier: Apache-2.0 */
#include "support/exchange_fixture.h"

store_kit kit;
cb_store *hub;
cb_store *anna;
cb_store *bert;

void exchange_begin(void)
{
    store_kit_begin(&kit);
    hub = store_kit_hub(&kit, "hub");
    anna = store_kit_device(&kit, hub, "Anna", "facilitator");
    bert = store_kit_device(&kit, hub, "Bert", "facilitator");
}

void exchange_end(void)
{
    cb_store_close(anna);
    cb_store_close(bert);
    cb_store_close(hub);
    store_kit_end(&kit);
}

cb_store_identity identity_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity;
}

cb_stream_facts stream_of(cb_store *where, const cb_store *whose)
{
    cb_stream_facts facts;
    const cb_store_identity identity = identity_of(whose);
    expect_ok(
        cb_exchange_stream(where, &identity.stream, &facts, test_error()));
    return facts;
}

int64_t count_of(cb_store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    cr_assert(sqlite3_prepare_v2(store->database->connection, sql, -1,
                                 &statement, NULL) == SQLITE_OK,
              "%s", sql);
    cr_assert(sqlite3_step(statement) == SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

void expect_same_case(cb_store *a, cb_store *b, const cb_case_id *case_id)
{
    const cb_hash left = store_kit_fingerprint(a, case_id);
    const cb_hash right = store_kit_fingerprint(b, case_id);
    expect_bytes(&left, sizeof left, &right, sizeof right);
}

/* One entry, in a transaction that is kept where it was taken in. */
cb_status take_one(cb_store *store, cb_span entry, bool whole_stream,
                   int64_t log_index, cb_ingest_outcome *ret_outcome)
{
    cb_error error = { 0 };
    const cb_ingest how = { .whole_stream = whole_stream,
                            .log_index = log_index };
    cb_store_abort(store);
    cr_assert(cb_store_begin(store, NULL) == CB_OK);
    cb_status status =
        cb_exchange_ingest(store, entry, &how, ret_outcome, &error);
    cr_assert(cb_store_commit(store, NULL) == CB_OK);
    return status;
}
