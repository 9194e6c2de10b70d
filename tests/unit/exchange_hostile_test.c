/* SPDX-License-Identifier: Apache-2.0 */
/* What a store does with entries that it must not believe. */
#include <casebound/json.h>
#include <sodium.h>
#include <stdlib.h>

#include "support/exchange_fixture.h"

/* ------------------------------------------------------------ going wrong */

/* An entry in clear that follows the newest of a store's stream. */
static void forge_clear(const cb_store *author, uint8_t kind, const char *body,
                        cb_buffer *bytes)
{
    const cb_store_identity identity = identity_of(author);
    const cb_entry_header header = {
        .kind = kind,
        .realm = identity.realm,
        .stream = identity.stream,
        .seq = identity.head_seq + 1,
        .prev = author->head_hash,
        .time = author->last_time + 1,
    };
    cb_buffer_init(bytes, CB_ENTRY_BYTES_MAX);
    expect_ok(cb_entry_write_clear(&header, cb_span_of_text(body),
                                   author->stream_key, bytes, test_error()));
}

/* The same, sealed under a key that the author holds. */
static void forge_sealed(cb_store *author, uint8_t kind,
                         const cb_key_id *key_id, const char *body,
                         cb_buffer *bytes)
{
    const cb_store_identity identity = identity_of(author);
    cb_compartment compartment;
    cb_entry_header header = {
        .kind = kind,
        .realm = identity.realm,
        .stream = identity.stream,
        .seq = identity.head_seq + 1,
        .prev = author->head_hash,
        .key_id = *key_id,
        .time = author->last_time + 1,
    };
    randombytes_buf(header.nonce, sizeof header.nonce);
    cb_buffer_init(bytes, CB_ENTRY_BYTES_MAX);
    expect_ok(cb_compartment_load(author, key_id, &compartment, test_error()));
    expect_ok(cb_entry_seal(&header, cb_span_of_text(body), author->key_in_use,
                            author->stream_key, bytes, test_error()));
}

static cb_key_id first_key(cb_store *store, const cb_case_id *case_id)
{
    cb_key_id key_id = { { 0 } };
    cb_query query = cb_query_begin(store->database, "key_of_compartment");
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_query_bind_text(&query, ":class", "A");
    const uint8_t nobody[CB_IDENTIFIER_BYTES] = { 0 };
    cb_query_bind_blob(&query, ":person", nobody, sizeof nobody);
    cr_assert(cb_query_step(&query, NULL) == CB_OK);
    cr_assert(cb_query_copy(&query, 0, key_id.bytes, sizeof key_id.bytes));
    cb_query_end(&query);
    return key_id;
}

Test(exchange_hostile, keeps_kinds_that_it_does_not_know_unread,
     .init = exchange_begin, .fini = exchange_end)
{
    static const struct {
        uint8_t kind;
        const char *body;
        cb_ingest_outcome outcome;
    } rows[] = {
        { 77, "this is no JSON {", CB_INGEST_APPLIED },
        { CB_ENTRY_HEARTBEAT, "nor is this", CB_INGEST_APPLIED },
        { CB_ENTRY_CASE, "{}", CB_INGEST_QUARANTINED },
        { CB_ENTRY_ROSTER, "not a roster", CB_INGEST_QUARANTINED },
    };

    store_kit_sync(hub, anna);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_buffer bytes;
        cb_ingest_outcome outcome = CB_INGEST_FORK;
        forge_clear(anna, rows[i].kind, rows[i].body, &bytes);
        cr_assert(cb_store_begin(hub, NULL) == CB_OK);
        const cb_ingest how = { .whole_stream = true, .log_index = -1 };
        expect_status(CB_OK, cb_exchange_ingest(hub, cb_span_of_buffer(&bytes),
                                                &how, &outcome, test_error()));
        cr_expect(outcome == rows[i].outcome, "row %zu", i);
        cb_store_abort(hub);
        cb_buffer_clear(&bytes);
    }
    cb_buffer bytes;
    cb_case_id case_id = store_kit_case(anna);
    store_kit_sync(hub, anna);
    const cb_key_id key_id = first_key(anna, &case_id);
    cb_ingest_outcome outcome = CB_INGEST_FORK;
    forge_sealed(anna, 78, &key_id, "sealed, and no JSON", &bytes);
    expect_status(CB_OK,
                  take_one(hub, cb_span_of_buffer(&bytes), true, -1, &outcome));
    cr_expect(outcome == CB_INGEST_APPLIED);
    cb_buffer_clear(&bytes);
}

/* What a device may sign but must not be believed. */
Test(exchange_hostile, quarantines_what_an_author_may_not_say,
     .init = exchange_begin, .fini = exchange_end)
{
    cb_case_id case_id = store_kit_case(anna);
    store_kit_sync(hub, anna);
    const cb_key_id key_id = first_key(anna, &case_id);
    const cb_store_identity ours = identity_of(anna);
    char hex_case[CB_IDENTIFIER_TEXT_BYTES];
    char hex_anna[CB_IDENTIFIER_TEXT_BYTES];
    char body[1024];
    cb_hex_format(case_id.bytes, sizeof case_id.bytes, hex_case);
    cb_hex_format(ours.person.bytes, sizeof ours.person.bytes, hex_anna);
    static const char nobody[] = "00000000000000000000000000000000";

    const struct {
        const char *author;
        const char *case_id;
        const char *class;
        const cb_key_id *key_id;
        const char *reason;
    } rows[] = {
        { nobody, hex_case, "A", &key_id, "another author" },
        { hex_anna, nobody, "A", &key_id, "another compartment" },
        { hex_anna, hex_case, "V", &key_id, "another compartment" },
        /* Under the realm's key, where everybody reads. */
        { hex_anna, nobody, "N", &anna->realm_key_id, "compartment" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_buffer bytes;
        cb_ingest_outcome outcome = CB_INGEST_FORK;
        snprintf(body, sizeof body,
                 "{\"action\":\"%s\",\"author\":\"%s\",\"case\":\"%s\","
                 "\"compartment\":{\"class\":\"%s\"},\"deps\":[],"
                 "\"happened\":{\"ms\":1,\"precision\":\"minute\"},"
                 "\"ops\":[],\"schema\":1}",
                 nobody, rows[i].author, rows[i].case_id, rows[i].class);
        forge_sealed(anna, CB_ENTRY_CASE, rows[i].key_id, body, &bytes);
        cr_assert(cb_store_begin(hub, NULL) == CB_OK);
        const cb_ingest how = { .whole_stream = true, .log_index = -1 };
        expect_status(CB_OK, cb_exchange_ingest(hub, cb_span_of_buffer(&bytes),
                                                &how, &outcome, test_error()));
        cr_expect(outcome == CB_INGEST_QUARANTINED, "row %zu", i);
        cr_expect(count_of(hub, "SELECT count(*) FROM entry WHERE state = "
                                "'quarantined' AND reason <> ''") == 1);
        cb_store_abort(hub);
        cb_buffer_clear(&bytes);
    }
}

/* Roster lines come from the hub's stream, and all of a version or nothing. */
Test(exchange_hostile, takes_a_roster_whole_and_from_the_hub_alone,
     .init = exchange_begin, .fini = exchange_end)
{
    char body[512];
    char person[CB_IDENTIFIER_TEXT_BYTES];
    char previous[CB_HASH_TEXT_BYTES];
    cb_buffer bytes;
    cb_ingest_outcome outcome = CB_INGEST_FORK;
    store_kit_sync(hub, anna);
    const cb_store_identity ours = identity_of(anna);
    cb_hex_format(ours.person.bytes, sizeof ours.person.bytes, person);
    cb_hex_format(anna->roster_hash.bytes, CB_HASH_BYTES, previous);
    snprintf(body, sizeof body,
             "{\"ops\":[{\"op\":\"person\",\"person\":\"%s\",\"roles\":"
             "[\"supervisor\"]},{\"op\":\"device\"}],\"previous\":\"%s\","
             "\"schema\":1,\"version\":%u}",
             person, previous, ours.roster + 1);

    forge_clear(anna, CB_ENTRY_ROSTER, body, &bytes);
    expect_status(CB_OK,
                  take_one(hub, cb_span_of_buffer(&bytes), true, -1, &outcome));
    cr_expect(outcome == CB_INGEST_QUARANTINED);
    cb_buffer_clear(&bytes);

    forge_clear(hub, CB_ENTRY_ROSTER, body, &bytes);
    expect_status(
        CB_OK, take_one(anna, cb_span_of_buffer(&bytes), false, 900, &outcome));
    cr_expect(outcome == CB_INGEST_QUARANTINED);
    cr_expect(!cb_roster_has_role(anna, &ours.person, "supervisor"));
    cr_expect(identity_of(anna).roster == ours.roster);
    cb_buffer_clear(&bytes);
    cr_expect(!cb_roster_has_role(hub, &ours.person, "supervisor"));
}

Test(exchange_hostile, leaves_nothing_of_what_it_refuses,
     .init = exchange_begin, .fini = exchange_end)
{
    store_kit other;
    store_kit_begin(&other);
    cb_store *foreign = store_kit_hub(&other, "foreign");
    store_kit_bundle theirs;
    store_kit_bundle ours;
    store_kit_case(anna);
    store_kit_bundle_begin(&theirs);
    store_kit_bundle_begin(&ours);
    store_kit_collect(foreign, 1, &theirs);
    store_kit_collect(anna, 1, &ours);
    cb_ingest_outcome outcome;

    /* Another realm; a stream that nobody opened; a signature that is not. */
    expect_status(CB_REFUSED, take_one(hub, store_kit_entry(&theirs, 0, NULL),
                                       true, -1, &outcome));
    expect_status(CB_REFUSED, take_one(hub, store_kit_entry(&ours, 1, NULL),
                                       true, -1, &outcome));
    cb_span opening = store_kit_entry(&ours, 0, NULL);
    uint8_t *changed = malloc(opening.size);
    memcpy(changed, opening.bytes, opening.size);
    changed[opening.size - 1] ^= 1;
    expect_status(CB_DAMAGED, take_one(hub, (cb_span){ changed, opening.size },
                                       true, -1, &outcome));
    free(changed);
    cr_expect(count_of(hub, "SELECT count(*) FROM stream") == 1);

    /* A gap. */
    expect_status(CB_OK, take_one(hub, opening, true, -1, &outcome));
    cr_assert(ours.count == 2);
    store_kit_case(anna);
    store_kit_collect(anna, 3, &ours);
    expect_status(CB_DAMAGED, take_one(hub, store_kit_entry(&ours, 2, NULL),
                                       true, -1, &outcome));
    cr_expect(stream_of(hub, anna).head_seq == 1);

    store_kit_bundle_end(&theirs);
    store_kit_bundle_end(&ours);
    cb_store_close(foreign);
    store_kit_end(&other);
}

/* One position in the hub's log holds one entry; a hub that says otherwise is
 * found out, and the second entry is not half taken in. */
Test(exchange_hostile, refuses_a_second_entry_at_a_place_in_the_log,
     .init = exchange_begin, .fini = exchange_end)
{
    cb_case_id case_id = store_kit_case(anna);
    const cb_person_id other = identity_of(bert).person;
    store_kit_sync(hub, anna);
    expect_ok(cb_roster_permit(hub, &other, &case_id, "VOSRCA", test_error()));
    store_kit_sync(hub, bert);
    store_kit_person(anna, &case_id, "victim", "Ash");
    store_kit_add(anna, &case_id, "contact", NULL,
                  "{'channel':'letter','direction':'outgoing',"
                  "'outcome':'spoke'}");
    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(anna, identity_of(anna).head_seq - 1, &bundle);
    cb_ingest_outcome outcome;
    expect_status(CB_OK, take_one(bert, store_kit_entry(&bundle, 0, NULL),
                                  false, 500, &outcome));
    const int64_t entries = count_of(bert, "SELECT count(*) FROM entry");
    expect_status(CB_DAMAGED, take_one(bert, store_kit_entry(&bundle, 1, NULL),
                                       false, 500, &outcome));
    cr_expect(count_of(bert, "SELECT count(*) FROM entry") == entries);
    store_kit_bundle_end(&bundle);
}

Test(exchange_hostile, keeps_both_halves_of_a_fork, .init = exchange_begin,
     .fini = exchange_end)
{
    cb_buffer bytes;
    cb_ingest_outcome outcome;
    store_kit_sync(hub, anna);
    forge_clear(anna, 77, "the other half", &bytes);
    store_kit_case(anna);
    store_kit_sync(hub, anna);
    const cb_stream_facts before = stream_of(hub, anna);
    expect_status(CB_OK,
                  take_one(hub, cb_span_of_buffer(&bytes), true, -1, &outcome));
    cr_expect(outcome == CB_INGEST_FORK);
    const cb_stream_facts after = stream_of(hub, anna);
    cr_expect(after.frozen && after.head_seq == before.head_seq);
    cb_buffer_clear(&bytes);

    /* What follows on either branch is kept and not believed. */
    cb_case_id case_id = store_kit_case(anna);
    store_kit_send(hub, anna);
    cr_expect(count_of(hub, "SELECT count(*) FROM entry WHERE state = "
                            "'quarantined'") == 2);
    (void)case_id;
}

/* Its opening says what it follows: Anna's stream, up to the newest entry. */
static void expect_follows_anna(cb_store *copy)
{
    cb_entry entry;
    json_t *body = NULL;
    cb_hash follows;
    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(copy, 1, &bundle);
    expect_ok(cb_entry_decode(store_kit_entry(&bundle, 0, NULL), &entry,
                              test_error()));
    expect_ok(cb_json_parse_canonical(entry.body, &body, test_error()));
    const json_t *what = cb_json_object(body, "follows");
    cr_expect(cb_json_bytes(what, "hash", follows.bytes, sizeof follows));
    expect_bytes(&follows, sizeof follows, &anna->head_hash, sizeof follows);
    cr_expect(json_integer_value(json_object_get(what, "seq")) ==
              (json_int_t)identity_of(anna).head_seq);
    json_decref(body);
    store_kit_bundle_end(&bundle);
}

Test(exchange_hostile, marks_a_copy_of_itself_and_writes_nothing,
     .init = exchange_begin, .fini = exchange_end)
{
    char from[STORE_KIT_PATH_BYTES];
    char to[STORE_KIT_PATH_BYTES];
    char command[2 * STORE_KIT_PATH_BYTES + 32];
    cb_case_id case_id = store_kit_case(anna);
    store_kit_sync(hub, anna);
    cb_store_close(anna);
    snprintf(command, sizeof command, "cp -r %s %s",
             store_kit_path(&kit, "Anna", from),
             store_kit_path(&kit, "copy", to));
    cr_assert(system(command) == 0);
    anna = store_kit_open(&kit, "Anna");
    store_kit_person(anna, &case_id, "victim", "Ash");
    store_kit_sync(hub, anna);

    /* The copy learns from its own stream that it is one. */
    cb_store *copy = store_kit_open(&kit, "copy");
    const cb_store_identity old = identity_of(copy);
    cr_expect(!old.restored);
    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(anna, old.head_seq + 1, &bundle);
    cr_assert(bundle.count > 0);
    for (size_t i = 0; i < bundle.count; i++) {
        cb_ingest_outcome outcome;
        expect_status(CB_OK, take_one(copy, store_kit_entry(&bundle, i, NULL),
                                      true, -1, &outcome));
        /* The key of the new compartment has yet to come from the hub. */
        cr_expect(outcome == CB_INGEST_WAITING);
    }
    store_kit_bundle_end(&bundle);
    cb_store_close(copy);
    copy = store_kit_open(&kit, "copy");
    cr_expect(identity_of(copy).restored);
    cr_expect(identity_of(copy).head_seq == identity_of(anna).head_seq);

    cb_recorded recorded;
    const cb_change change = { .case_id = case_id };
    json_t *fields = store_kit_json("{'role':'offender'}");
    expect_status(CB_PERMISSION, cb_store_add(copy, &change, "person", NULL,
                                              fields, &recorded, test_error()));
    expect_contains(test_error()->what, "older copy");

    expect_ok(cb_exchange_begin_incarnation(copy, test_error()));
    const cb_store_identity fresh = identity_of(copy);
    cr_expect(!fresh.restored && fresh.head_seq == 1);
    cr_expect(memcmp(&fresh.stream, &old.stream, sizeof old.stream) != 0);
    cr_expect(memcmp(&fresh.device, &old.device, sizeof old.device) == 0);
    expect_ok(cb_store_add(copy, &change, "person", NULL, fields, &recorded,
                           test_error()));
    cb_recorded_clear(&recorded);
    json_decref(fields);

    expect_follows_anna(copy);
    store_kit_sync(hub, copy);
    cr_expect(stream_of(hub, copy).head_seq == identity_of(copy).head_seq);
    expect_same_case(hub, copy, &case_id);
    cb_store_close(copy);
}

Test(exchange_hostile, finds_an_older_database_by_its_witness,
     .init = exchange_begin, .fini = exchange_end)
{
    char path[STORE_KIT_PATH_BYTES];
    char command[6 * STORE_KIT_PATH_BYTES];
    cb_case_id case_id = store_kit_case(anna);
    cb_store_close(anna);
    store_kit_path(&kit, "Anna", path);
    snprintf(command, sizeof command,
             "cp %s/casebook.db %s/kept; cp %s/casebook.db-pages %s/kept-pages",
             path, path, path, path);
    cr_assert(system(command) == 0);
    anna = store_kit_open(&kit, "Anna");
    store_kit_person(anna, &case_id, "victim", "Ash");
    expect_ok(cb_exchange_write_witness(anna, test_error()));
    cb_store_close(anna);
    snprintf(command, sizeof command,
             "cp %s/kept %s/casebook.db; rm -f %s/casebook.db-wal;"
             "cp %s/kept-pages %s/casebook.db-pages",
             path, path, path, path, path);
    cr_assert(system(command) == 0);

    anna = store_kit_open(&kit, "Anna");
    cr_expect(identity_of(anna).restored);
    cb_recorded recorded;
    const cb_change change = { .case_id = case_id };
    json_t *fields = store_kit_json("{'role':'offender'}");
    expect_status(CB_PERMISSION, cb_store_add(anna, &change, "person", NULL,
                                              fields, &recorded, test_error()));
    json_decref(fields);
    /* Nor does it lower its witness, which would hide what it is. */
    expect_ok(cb_exchange_write_witness(anna, test_error()));
    cb_store_close(anna);
    anna = store_kit_open(&kit, "Anna");
    cr_expect(identity_of(anna).restored);
}

/* ------------------------------------------------------------------- time */

Test(exchange_hostile, follows_anothers_clock_within_a_day,
     .init = exchange_begin, .fini = exchange_end)
{
    static const struct {
        int64_t ahead_ms;
        bool follows;
    } rows[] = {
        { 3600000, true },
        { INT64_C(50) * 365 * 86400000, false },
    };

    store_kit_sync(hub, anna);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_buffer bytes;
        cb_ingest_outcome outcome;
        const uint64_t theirs =
            cb_entry_time_next(0, kit.now_ms + rows[i].ahead_ms);
        anna->last_time = theirs - 1;
        forge_clear(anna, 77, "tick", &bytes);
        expect_status(CB_OK, take_one(hub, cb_span_of_buffer(&bytes), true, -1,
                                      &outcome));
        cb_buffer_clear(&bytes);
        cr_expect((hub->last_time >= theirs) == rows[i].follows, "row %zu", i);
        cb_store_close(hub);
        hub = store_kit_open(&kit, "hub");
        cr_expect((hub->last_time >= theirs) == rows[i].follows, "row %zu", i);
        /* The next one must follow the one that was taken in. */
        anna->identity.head_seq++;
        anna->head_hash = stream_of(hub, anna).head_hash;
    }
}
