/* SPDX-License-Identifier: Apache-2.0 */
/* Entries from an enrolled device with altered software: here, Bert's. */
#include "base/json.h"
#include "support/exchange_fixture.h"
#include "support/hostile_entry.h"

static const char CONSENT[] =
    "{'scope':['direct_meeting'],'state':'withdrawn','form_version':'3'}";

static cb_case_id case_id;
static cb_record_id ash;

/* Anna's case, of which Bert may read some classes. */
static void share(const char *classes)
{
    exchange_begin();
    case_id = store_kit_case(anna);
    ash = store_kit_person(anna, &case_id, "victim", "Ash");
    store_kit_sync(hub, anna);
    hostile_permit(hub, bert, &case_id, classes);
    store_kit_deliver(hub, bert);
    store_kit_sync(hub, bert);
}

static void share_s(void)
{
    share("S");
}

static void share_o(void)
{
    share("O");
}

static void to_anna(void)
{
    store_kit_sync(hub, bert);
    store_kit_sync(hub, anna);
}

static size_t waiting_facts(cb_store *store)
{
    cb_case_state *state = NULL;
    size_t count = 0;
    expect_ok(cb_store_case_state(store, &case_id, &state, test_error()));
    for (size_t i = 0; i < cb_case_state_fact_count(state); i++) {
        count += cb_case_state_standing(state, i) == CB_FACT_WAITS;
    }
    cb_case_state_destroy(state);
    return count;
}

/* Whether Anna's withdrawal is in the register of consents, and counts. */
static void expect_withdrawal_stands(size_t others_waiting)
{
    cb_case_state *state = NULL;
    store_kit_add(anna, &case_id, "consent", &ash, CONSENT);
    cr_expect(waiting_facts(anna) == others_waiting, "%zu wait",
              waiting_facts(anna));
    expect_ok(cb_store_case_state(anna, &case_id, &state, test_error()));
    const size_t last = cb_case_state_fact_count(state) - 1;
    cr_expect(cb_case_state_standing(state, last) == CB_FACT_COUNTS);
    cr_expect(strstr((const char *)cb_case_state_text(state).bytes,
                     "\"withdrawn\"") != NULL);
    cb_case_state_destroy(state);
    store_kit_sync(hub, anna);
    expect_same_case(hub, anna, &case_id);
}

Test(hostile_store, a_hash_that_is_nowhere_makes_no_others_wait,
     .init = share_s, .fini = exchange_end)
{
    hostile_entry(bert, &case_id, "S", hostile_nothing(1),
                  store_kit_json("[{'class':'S','heads':['00112233445566778899a"
                                 "abbccddeeff00112233445566778899aabbccddeeff'"
                                 "]}]"));
    to_anna();
    expect_withdrawal_stands(1);
}

Test(hostile_store, many_heads_at_once_keep_nothing_out, .init = share_s,
     .fini = exchange_end, .timeout = 120)
{
    for (int i = 0; i < CB_DEPENDENCIES_MAX + 1; i++) {
        hostile_entry(bert, &case_id, "S", hostile_nothing(i), json_array());
    }
    to_anna();
    expect_withdrawal_stands(0);
}

Test(hostile_store, a_body_covers_nothing_of_another_case, .init = share_s,
     .fini = exchange_end)
{
    char deps[CB_HASH_TEXT_BYTES + 64];
    char hash[CB_HASH_TEXT_BYTES];
    store_kit_add(anna, &case_id, "consent", &ash, CONSENT);
    cb_hex_format(anna->head_hash.bytes, CB_HASH_BYTES, hash);
    cb_case_id own = store_kit_case(bert);
    snprintf(deps, sizeof deps, "[{'class':'V','heads':['%s']}]", hash);
    hostile_entry(bert, &own, "A", hostile_nothing(1), store_kit_json(deps));
    to_anna();
    json_t *groups = NULL;
    cb_case_state *state = NULL;
    expect_ok(cb_store_case_state(hub, &case_id, &state, test_error()));
    expect_ok(cb_case_state_heads(state, &groups, test_error()));
    char *text = json_dumps(groups, JSON_COMPACT);
    cr_expect(strstr(text, hash) != NULL, "%s not in %s", hash, text);
    free(text);
    json_decref(groups);
    cb_case_state_destroy(state);
}

Test(hostile_store, nobody_builds_on_more_than_the_limit, .init = share_s,
     .fini = exchange_end)
{
    json_t *deps = json_array();
    for (int group = 0; group < 3; group++) {
        json_t *heads = json_array();
        for (int i = 0; i < 100; i++) {
            const uint8_t hash[CB_HASH_BYTES] = { (uint8_t)group, (uint8_t)i };
            json_array_append_new(heads, cb_json_hex(hash, sizeof hash));
        }
        json_array_append_new(
            deps, json_pack("{s:s, s:o}", "class", "S", "heads", heads));
    }
    hostile_entry(bert, &case_id, "S", hostile_nothing(1), deps);
    store_kit_sync(hub, bert);
    cr_expect(count_of(hub,
                       "SELECT count(*) FROM entry WHERE state = "
                       "'quarantined' AND reason LIKE '%more than 256%'") == 1);
}

/* A key of the other side alone says nothing about where somebody belongs. */
Test(hostile_store, a_mailed_key_moves_nobody_to_the_other_side,
     .init = share_o, .fini = exchange_end)
{
    const cb_compartment other = { .case_id = case_id,
                                   .class = "O",
                                   .person = ash };
    cb_key key;
    expect_ok(cb_store_begin(bert, test_error()));
    expect_ok(cb_compartment_key(bert, &other, &key, test_error()));
    expect_ok(cb_store_commit(bert, test_error()));
    to_anna();
    expect_withdrawal_stands(0);
    cr_expect(count_of(anna, "SELECT count(*) FROM entry JOIN compartment_key "
                             "ON compartment_key.number = entry.key WHERE "
                             "compartment_key.class = 'O'") == 0);
}

Test(hostile_store, nothing_is_written_about_whom_entries_put_on_both_sides,
     .init = share_o, .fini = exchange_end)
{
    const cb_compartment other = { .case_id = case_id,
                                   .class = "O",
                                   .person = ash };
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(ash.bytes, sizeof ash.bytes, id);
    json_t *body =
        hostile_plan(bert, &case_id, "O",
                     json_pack("[{s:s, s:s, s:s, s:{s:s, s:s}}]", "op",
                               "create", "record", id, "type", "person",
                               "fields", "role", "offender", "name", "Ben"),
                     json_array());
    json_object_set_new(json_object_get(body, "compartment"), "person",
                        json_string(id));
    hostile_body(bert, &other, body);
    to_anna();
    const uint64_t before = identity_of(anna).head_seq;
    const cb_change change = { .case_id = case_id };
    json_t *fields = store_kit_json(CONSENT);
    cb_recorded recorded;
    expect_status(CB_AMBIGUOUS, cb_store_add(anna, &change, "consent", &ash,
                                             fields, &recorded, test_error()));
    cr_expect(strstr(test_error()->what, "both sides") != NULL);
    cr_expect(identity_of(anna).head_seq == before);
    json_decref(fields);
}

Test(hostile_store, a_label_is_what_the_folded_case_says, .init = share_s,
     .fini = exchange_end)
{
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(ash.bytes, sizeof ash.bytes, id);
    hostile_entry(bert, &case_id, "S",
                  json_pack("[{s:s, s:s, s:{s:s}}]", "op", "set", "record", id,
                            "fields", "name", "Ben the offender"),
                  json_array());
    /* In a case of his own he may write what he likes under her id. */
    cb_case_id own = store_kit_case(bert);
    hostile_entry(bert, &own, "S",
                  json_pack("[{s:s, s:s, s:s, s:{s:s}}]", "op", "create",
                            "record", id, "type", "plan", "fields", "name",
                            "Ben"),
                  json_array());
    to_anna();
    cb_case_state *state = NULL;
    expect_ok(cb_store_case_state(hub, &case_id, &state, test_error()));
    expect_text(cb_store_naming(hub)->party(hub, &ash), "Ash");
    cb_case_state_destroy(state);
    expect_text(cb_store_naming(anna)->party(anna, &ash), "Ash");
    const cb_change change = { .case_id = case_id, .why = "misspelt" };
    json_t *fields = store_kit_json("{'name':'Ashley'}");
    cb_recorded recorded;
    expect_ok(
        cb_store_amend(anna, &change, &ash, fields, &recorded, test_error()));
    cb_recorded_clear(&recorded);
    json_decref(fields);
    expect_text(cb_store_naming(anna)->party(anna, &ash), "Ashley");
}

/* Values of 4 MiB in all, in one conflict, keep nobody from recording. */
Test(hostile_store, a_conflict_of_many_large_values_stops_no_one,
     .init = share_s, .fini = exchange_end, .timeout = 120)
{
    char *large = malloc(58001);
    for (int i = 0; i < 80; i++) {
        memset(large, 'a' + i % 26, 58000);
        large[58000] = '\0';
        large[57990] = (char)('0' + i / 10);
        large[57991] = (char)('0' + i % 10);
        hostile_entry(bert, &case_id, "S",
                      json_pack("[{s:s, s:s, s:s, s:{s:s}}]", "op",
                                i == 0 ? "create" : "set", "record",
                                "000000000000000000000000000000aa", "type",
                                "plan", "fields", "venue", large),
                      json_array());
    }
    free(large);
    to_anna();
    expect_withdrawal_stands(0);
}

Test(hostile_store, the_key_of_names_seals_no_case, .init = share_s,
     .fini = exchange_end)
{
    const cb_case_id none = { { 0 } };
    const cb_compartment names = { .class = "N" };
    hostile_body(bert, &names,
                 hostile_plan(bert, &none, "N", json_array(), json_array()));
    to_anna();
    cr_expect(count_of(hub, "SELECT count(*) FROM entry WHERE state = "
                            "'quarantined'") == 1);
    cr_expect(count_of(anna, "SELECT count(*) FROM case_file") == 1);
}

/* Entries that this version cannot read do not keep out those after them. */
Test(hostile_store, what_cannot_be_read_is_kept_and_passed_over,
     .init = share_s, .fini = exchange_end)
{
    to_anna();
    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    hostile_entry(bert, &case_id, "S", hostile_nothing(1), json_array());
    store_kit_collect(bert, identity_of(bert).head_seq, &bundle);
    cb_span entry = store_kit_entry(&bundle, 0, NULL);
    uint8_t bytes[CB_ENTRY_BYTES_MAX];

    static const struct {
        size_t at;
        uint8_t flip;
        const char *reason;
    } rows[] = {
        { 4, 0x40, "newer version" },
        { 24, 0x01, "stream that nobody has opened" },
        { 250, 0x01, "signature" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_ingest_outcome outcome = CB_INGEST_APPLIED;
        memcpy(bytes, entry.bytes, entry.size);
        bytes[rows[i].at] ^= rows[i].flip;
        const cb_ingest how = { .keep_unread = true,
                                .log_index = 900 + (int64_t)i };
        expect_ok(cb_store_begin(anna, test_error()));
        expect_ok(cb_exchange_ingest(anna, (cb_span){ bytes, entry.size }, &how,
                                     &outcome, test_error()));
        expect_ok(cb_store_commit(anna, test_error()));
        cr_expect(outcome == CB_INGEST_REFUSED, "row %zu", i);
        cr_expect(count_of(anna, "SELECT count(*) FROM unread_entry") ==
                  (int64_t)i + 1);
        char sql[128];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM unread_entry WHERE reason LIKE '%%%s%%'",
                 rows[i].reason);
        cr_expect(count_of(anna, sql) == 1, "row %zu", i);
        /* The same again is no news. */
        expect_ok(cb_store_begin(anna, test_error()));
        expect_ok(cb_exchange_ingest(anna, (cb_span){ bytes, entry.size }, &how,
                                     &outcome, test_error()));
        expect_ok(cb_store_commit(anna, test_error()));
        cr_expect(outcome == CB_INGEST_KNOWN, "row %zu", i);
    }
    store_kit_bundle_end(&bundle);
}
