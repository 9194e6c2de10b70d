/* SPDX-License-Identifier: Apache-2.0 */
/* A hub and its devices exchange entries and keys, in memory. */
#include <sodium.h>
#include <stdlib.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

static store_kit kit;
static cb_store *hub;
static cb_store *anna;
static cb_store *bert;

static void begin(void)
{
    store_kit_begin(&kit);
    hub = store_kit_hub(&kit, "hub");
    anna = store_kit_device(&kit, hub, "Anna", "facilitator");
    bert = store_kit_device(&kit, hub, "Bert", "facilitator");
}

static void end(void)
{
    cb_store_close(anna);
    cb_store_close(bert);
    cb_store_close(hub);
    store_kit_end(&kit);
}

static cb_store_identity identity_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity;
}

static int64_t count_of(cb_store *store, const char *sql)
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

static void expect_same_case(cb_store *a, cb_store *b,
                             const cb_case_id *case_id)
{
    const cb_hash left = store_kit_fingerprint(a, case_id);
    const cb_hash right = store_kit_fingerprint(b, case_id);
    expect_bytes(&left, sizeof left, &right, sizeof right);
}

/* One entry, in a transaction that is kept where it was taken in. */
static cb_status take_one(cb_store *store, cb_span entry, bool whole_stream,
                          int64_t log_index, cb_ingest_outcome *ret_outcome)
{
    const cb_ingest how = { .whole_stream = whole_stream,
                            .log_index = log_index };
    cb_store_abort(store);
    cr_assert(cb_store_begin(store, NULL) == CB_OK);
    cb_status status =
        cb_exchange_ingest(store, entry, &how, ret_outcome, test_error());
    cr_assert(cb_store_commit(store, NULL) == CB_OK);
    return status;
}

/* ------------------------------------------------------------- going well */

Test(exchange, brings_a_case_to_the_hub_and_to_whom_it_permits, .init = begin,
     .fini = end)
{
    cb_case_id case_id = store_kit_case(anna);
    cb_record_id ash = store_kit_person(anna, &case_id, "victim", "Ash Grove");
    const cb_person_id other = identity_of(bert).person;
    store_kit_sync(hub, anna);
    expect_same_case(hub, anna, &case_id);
    expect_text(cb_store_naming(hub)->party(hub, &ash), "Ash Grove");
    cr_expect(identity_of(anna).accepted_seq == identity_of(anna).head_seq);

    store_kit_sync(hub, bert);
    cr_expect(count_of(bert, "SELECT count(*) FROM case_file") == 0);
    expect_ok(cb_roster_permit(hub, &other, &case_id, "VOSRCA", test_error()));
    store_kit_sync(hub, bert);
    expect_same_case(bert, anna, &case_id);

    store_kit_add(bert, &case_id, "contact", &ash,
                  "{'channel':'letter','direction':'outgoing',"
                  "'outcome':'spoke'}");
    store_kit_sync(hub, bert);
    store_kit_sync(hub, anna);
    expect_same_case(bert, anna, &case_id);
    expect_same_case(hub, anna, &case_id);
}

Test(exchange, gives_both_the_same_case_whoever_comes_first, .init = begin,
     .fini = end)
{
    cb_case_id case_id = store_kit_case(anna);
    cb_record_id ash = store_kit_person(anna, &case_id, "victim", "Ash");
    const cb_person_id other = identity_of(bert).person;
    store_kit_sync(hub, anna);
    expect_ok(cb_roster_permit(hub, &other, &case_id, "VOSRCA", test_error()));
    store_kit_sync(hub, bert);

    const cb_change change = { .case_id = case_id, .why = "asked again" };
    cb_recorded recorded;
    json_t *anna_says = store_kit_json("{'name':'Ashley'}");
    json_t *bert_says = store_kit_json("{'name':'Asha'}");
    expect_ok(cb_store_amend(anna, &change, &ash, anna_says, &recorded,
                             test_error()));
    cb_recorded_clear(&recorded);
    expect_ok(cb_store_amend(bert, &change, &ash, bert_says, &recorded,
                             test_error()));
    cb_recorded_clear(&recorded);
    json_decref(anna_says);
    json_decref(bert_says);
    store_kit_sync(hub, bert);
    store_kit_sync(hub, anna);
    store_kit_sync(hub, bert);

    expect_same_case(hub, anna, &case_id);
    expect_same_case(bert, anna, &case_id);
    cr_expect(count_of(anna, "SELECT count(*) FROM conflict") == 1);
    cr_expect(count_of(bert, "SELECT count(*) FROM conflict") == 1);
}

Test(exchange, changes_nothing_when_it_is_repeated, .init = begin, .fini = end)
{
    cb_case_id case_id = store_kit_case(anna);
    store_kit_person(anna, &case_id, "victim", "Ash");
    store_kit_sync(hub, anna);
    const int64_t entries = count_of(hub, "SELECT count(*) FROM entry");

    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(anna, 1, &bundle);
    for (size_t i = 0; i < bundle.count; i++) {
        cb_ingest_outcome outcome = CB_INGEST_FORK;
        expect_status(CB_OK, take_one(hub, store_kit_entry(&bundle, i, NULL),
                                      true, -1, &outcome));
        cr_expect(outcome == CB_INGEST_KNOWN);
    }
    store_kit_bundle_end(&bundle);
    cr_expect(store_kit_send(hub, anna) == 0);
    cr_expect(count_of(hub, "SELECT count(*) FROM entry") == entries);
}

/* Keys may come after the entries that they open. */
Test(exchange, opens_what_waited_when_its_key_comes, .init = begin, .fini = end)
{
    cb_case_id case_id = store_kit_case(anna);
    store_kit_person(anna, &case_id, "victim", "Ash");
    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(anna, 1, &bundle);
    for (size_t i = 0; i < bundle.count; i++) {
        cb_ingest_outcome outcome = CB_INGEST_FORK;
        expect_status(CB_OK, take_one(hub, store_kit_entry(&bundle, i, NULL),
                                      true, -1, &outcome));
        cr_expect(outcome == (i == 0 ? CB_INGEST_APPLIED : CB_INGEST_WAITING));
    }
    store_kit_bundle_end(&bundle);
    cr_expect(count_of(hub, "SELECT count(*) FROM entry WHERE state = "
                            "'waiting'") == 2);

    store_kit_sync(hub, anna);
    cr_expect(count_of(hub, "SELECT count(*) FROM entry WHERE state = "
                            "'waiting'") == 0);
    expect_same_case(hub, anna, &case_id);
}
