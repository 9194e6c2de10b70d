/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded in a store, and found in it again. */
#include <casebound/chain.h>
#include <stdlib.h>

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

static uint64_t head_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity.head_seq;
}

/* ---------------------------------------------------------------- records */

Test(store, keeps_what_was_recorded, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash Grove");
    store_kit_add(store, &case_id, "contact", &ash,
                  "{'channel':'telephone','direction':'outgoing',"
                  "'outcome':'spoke','summary':'willing to talk'}");
    cb_hash before = store_kit_fingerprint(store, &case_id);
    uint64_t head = head_of(store);
    cb_store_close(store);

    store = store_kit_open(&kit, "a");
    cb_hash after = store_kit_fingerprint(store, &case_id);
    expect_bytes(&after, sizeof after, &before, sizeof before);
    cr_expect(head_of(store) == head);
    expect_text(
        cb_store_naming(store)->party(cb_store_naming(store)->context, &ash),
        "Ash Grove");
    cb_store_close(store);
}

Test(store, chains_and_signs_what_it_writes, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_store_identity identity;
    cb_stream_facts facts;
    cb_chain chain = { .seq = 0 };
    store_kit_bundle bundle;
    cb_case_id case_id = store_kit_case(store);
    store_kit_person(store, &case_id, "offender", "Reed");
    cb_store_identify(store, &identity);
    expect_ok(
        cb_exchange_stream(store, &identity.stream, &facts, test_error()));
    chain.realm = identity.realm;
    chain.stream = identity.stream;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(store, 1, &bundle);

    cr_assert(bundle.count == identity.head_seq && bundle.count >= 5);
    for (size_t i = 0; i < bundle.count; i++) {
        cb_entry entry;
        expect_ok(cb_entry_decode(store_kit_entry(&bundle, i, NULL), &entry,
                                  test_error()));
        expect_ok(cb_entry_verify(&entry, facts.public_key, test_error()));
        expect_ok(
            cb_chain_advance(&chain, &entry.header, &entry.hash, test_error()));
    }
    expect_bytes(&chain.head, sizeof chain.head, &facts.head_hash,
                 sizeof facts.head_hash);
    store_kit_bundle_end(&bundle);
    cb_store_close(store);
}

Test(store, refuses_what_does_not_fit_and_records_nothing, .init = begin,
     .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash");
    cb_record_id stranger = { { 7 } };
    char *huge = malloc(10 << 20);
    memset(huge, 'x', (10 << 20) - 1);
    huge[(10 << 20) - 1] = '\0';
    json_t *note =
        store_kit_json("{'channel':'telephone','direction':'outgoing',"
                       "'outcome':'spoke'}");
    json_object_set_new(note, "summary", json_string(huge));
    free(huge);

    const struct {
        const char *type;
        const cb_record_id *about;
        json_t *fields;
        cb_status status;
    } rows[] = {
        { "contact", &ash, note, CB_LIMIT },
        { "contact", &stranger,
          store_kit_json("{'channel':'letter','direction':'outgoing',"
                         "'outcome':'spoke'}"),
          CB_NOT_FOUND },
        { "contact", &ash, store_kit_json("{'channel':'pigeon'}"), CB_INPUT },
        { "consent", NULL,
          store_kit_json("{'scope':['direct_meeting'],'state':'given'}"),
          CB_INPUT },
        { "referral", &ash,
          store_kit_json("{'received':'2026-01-05','source':'self_victim',"
                         "'stage':'post_sentence_custody',"
                         "'initiated_by':'victim'}"),
          CB_INPUT },
        { "no_such_type", NULL, json_object(), CB_INPUT },
    };

    const uint64_t head = head_of(store);
    const cb_hash before = store_kit_fingerprint(store, &case_id);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_recorded recorded;
        const cb_change change = { .case_id = case_id };
        expect_status(rows[i].status,
                      cb_store_add(store, &change, rows[i].type, rows[i].about,
                                   rows[i].fields, &recorded, test_error()));
        expect_text(test_error()->meaning, "nothing was recorded");
        json_decref(rows[i].fields);
    }
    const cb_hash after = store_kit_fingerprint(store, &case_id);
    cr_expect(head_of(store) == head);
    expect_bytes(&after, sizeof after, &before, sizeof before);
    cb_store_close(store);
}

Test(store, corrects_strikes_and_finds, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash");
    cb_change change = { .case_id = case_id, .why = "misheard" };
    cb_recorded recorded;
    cb_record_id found;
    cb_case_id found_case;
    char prefix[CB_IDENTIFIER_TEXT_BYTES];
    json_t *fields = store_kit_json("{'name':'Ashley'}");

    expect_ok(
        cb_store_amend(store, &change, &ash, fields, &recorded, test_error()));
    cb_recorded_clear(&recorded);
    expect_text(cb_store_naming(store)->party(store, &ash), "Ashley");
    cb_hex_format(ash.bytes, sizeof ash.bytes, prefix);
    prefix[6] = '\0';
    expect_ok(
        cb_store_find_record(store, prefix, &found, &found_case, test_error()));
    expect_bytes(&found, sizeof found, &ash, sizeof ash);
    expect_ok(cb_store_strike(store, &change, &ash, &recorded, test_error()));
    cb_recorded_clear(&recorded);

    json_decref(fields);
    fields = json_object();
    expect_status(CB_INPUT, cb_store_amend(store, &change, &ash, fields,
                                           &recorded, test_error()));
    expect_status(CB_NOT_FOUND,
                  cb_store_find_record(store, "ffffffffff", &found, &found_case,
                                       test_error()));
    expect_status(CB_NOT_FOUND,
                  cb_store_find_case(store, "zz", &found_case, test_error()));
    json_decref(fields);
    cb_store_close(store);
}

Test(store, gives_references_that_it_can_find, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_case_id other = store_kit_case(store);
    cb_case_id found;
    cb_case_state *state = NULL;
    expect_ok(cb_store_case_state(store, &other, &state, test_error()));

    expect_text(cb_case_state_reference(state), "RL-2026-00002-6");
    expect_ok(
        cb_store_find_case(store, "rl-2026-00002-6", &found, test_error()));
    expect_bytes(&found, sizeof found, &other, sizeof other);
    expect_status(CB_INPUT, cb_store_find_case(store, "RL-2026-00002-5", &found,
                                               test_error()));
    cr_expect(memcmp(&case_id, &other, sizeof other) != 0);
    cb_case_state_destroy(state);

    /* A reference from outside must be one. */
    cb_recorded recorded;
    const cb_change change = { 0 };
    json_t *fields = store_kit_json(
        "{'received':'2026-01-05','source':'self_victim','stage':"
        "'post_sentence_custody','initiated_by':'victim','reference':'x'}");
    expect_status(CB_INPUT, cb_store_open_case(store, &change, fields,
                                               &recorded, test_error()));
    json_decref(fields);
    cb_store_close(store);
}

Test(store, takes_several_changes_or_none, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    const uint64_t head = head_of(store);
    const cb_hash before = store_kit_fingerprint(store, &case_id);

    expect_ok(cb_store_begin(store, test_error()));
    store_kit_person(store, &case_id, "victim", "Ash");
    store_kit_person(store, &case_id, "offender", "Reed");
    cr_expect(head_of(store) == head + 2);
    cb_store_abort(store);

    cb_hash after = store_kit_fingerprint(store, &case_id);
    cr_expect(head_of(store) == head);
    expect_bytes(&after, sizeof after, &before, sizeof before);

    expect_ok(cb_store_begin(store, test_error()));
    store_kit_person(store, &case_id, "victim", "Ash");
    expect_ok(cb_store_commit(store, test_error()));
    after = store_kit_fingerprint(store, &case_id);
    cr_expect(head_of(store) == head + 1);
    cr_expect(memcmp(&after, &before, sizeof after) != 0);
    cb_store_close(store);
}

/*
 * A change of two compartments that fails at the second, inside a transaction
 * that goes on: the first half must not stay.
 */
Test(store, leaves_no_half_of_a_change_in_a_transaction, .init = begin,
     .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash");
    const uint64_t head = head_of(store);
    const cb_hash before = store_kit_fingerprint(store, &case_id);
    const cb_change change = { .case_id = case_id };
    cb_recorded recorded;
    char trigger[256];
    char fields[256];
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(ash.bytes, sizeof ash.bytes, id);
    snprintf(fields, sizeof fields,
             "{'method':'face_to_face','held':'cancelled',"
             "'participants':['%s'],'notes':'kept apart'}",
             id);
    snprintf(trigger, sizeof trigger,
             "CREATE TEMP TRIGGER stop BEFORE INSERT ON main.entry WHEN "
             "new.seq = %d BEGIN SELECT RAISE(ABORT, 'stop'); END",
             (int)head + 2);
    cr_assert(sqlite3_exec(store->database->connection, trigger, NULL, NULL,
                           NULL) == SQLITE_OK);
    json_t *value = store_kit_json(fields);

    expect_ok(cb_store_begin(store, test_error()));
    cb_status status = cb_store_add(store, &change, "event", NULL, value,
                                    &recorded, test_error());
    cr_expect(status == CB_DAMAGED, "%s", test_describe(status));
    cr_expect(head_of(store) == head);
    expect_ok(cb_store_commit(store, test_error()));

    const cb_hash after = store_kit_fingerprint(store, &case_id);
    expect_bytes(&after, sizeof after, &before, sizeof before);
    cr_assert(sqlite3_exec(store->database->connection, "DROP TRIGGER stop",
                           NULL, NULL, NULL) == SQLITE_OK);
    expect_ok(cb_store_add(store, &change, "event", NULL, value, &recorded,
                           test_error()));
    cr_expect(recorded.first_seq == head + 1 && recorded.last_seq == head + 2);
    cb_recorded_clear(&recorded);
    json_decref(value);
    cb_store_close(store);
}

Test(store, that_belongs_to_nobody_records_nothing, .init = begin, .fini = end)
{
    cb_store *store = store_kit_create(&kit, "a");
    cb_recorded recorded;
    const cb_change change = { 0 };
    json_t *fields = json_object();
    expect_status(CB_PERMISSION, cb_store_open_case(store, &change, fields,
                                                    &recorded, test_error()));
    expect_contains(test_error()->next, "enrol");
    json_decref(fields);
    cb_store_close(store);
}

Test(store, lists_cases_people_and_what_waits, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    json_t *document = NULL;
    cb_case_id case_id = store_kit_case(store);
    store_kit_person(store, &case_id, "victim", "Ash");

    expect_ok(cb_store_case_list(store, &document, test_error()));
    expect_text(json_string_value(json_object_get(document, "schema")),
                "casebound.case_list.v1");
    cr_expect(json_array_size(json_object_get(document, "cases")) == 1);
    json_decref(document);
    expect_ok(cb_store_people(store, &document, test_error()));
    cr_expect(json_array_size(json_object_get(document, "people")) == 1);
    json_decref(document);
    expect_ok(cb_store_status_document(store, &document, test_error()));
    cr_expect(json_integer_value(json_object_get(document, "cases")) == 1);
    cr_expect(json_integer_value(json_object_get(document, "unsent")) ==
              (json_int_t)head_of(store));
    json_decref(document);
    expect_ok(
        cb_store_issue_list(store, "conflict", NULL, &document, test_error()));
    json_decref(document);
    expect_ok(
        cb_store_issue_list(store, "task", &case_id, &document, test_error()));
    json_decref(document);
    cb_store_close(store);
}

/* Replaying as received must not be moved by what people claim. */
Test(store, shows_a_case_as_it_stood, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_state *state = NULL;
    cb_case_id case_id = store_kit_case(store);
    const cb_hash early = store_kit_fingerprint(store, &case_id);
    const int64_t then_ms = kit.now_ms;
    kit.now_ms += 86400000;
    store_kit_person(store, &case_id, "victim", "Ash");
    const cb_as_of rows[] = { CB_AS_RECEIVED, CB_AS_CLAIMED };
    for (size_t i = 0; i < 2; i++) {
        expect_ok(cb_store_case_state_at(store, &case_id, rows[i], then_ms,
                                         &state, test_error()));
        cb_hash shown = cb_case_state_fingerprint(state);
        expect_bytes(&shown, sizeof shown, &early, sizeof early);
        cb_case_state_destroy(state);
    }
    cb_store_close(store);
}
