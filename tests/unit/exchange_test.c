/* SPDX-License-Identifier: Apache-2.0 */
/* A hub and its devices exchange entries and keys, in memory. */
#include "support/exchange_fixture.h"

/* ------------------------------------------------------------- going well */

Test(exchange, brings_a_case_to_the_hub_and_to_whom_it_permits,
     .init = exchange_begin, .fini = exchange_end)
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

Test(exchange, gives_both_the_same_case_whoever_comes_first,
     .init = exchange_begin, .fini = exchange_end)
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

Test(exchange, changes_nothing_when_it_is_repeated, .init = exchange_begin,
     .fini = exchange_end)
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
Test(exchange, opens_what_waited_when_its_key_comes, .init = exchange_begin,
     .fini = exchange_end)
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

/* ---------------------------------------------------------------- sending */

Test(exchange, cuts_segments_whose_boundaries_stay, .init = exchange_begin,
     .fini = exchange_end)
{
    cb_case_id case_id = store_kit_case(anna);
    cb_segment_facts first;
    cb_segment_facts again;
    cb_segment_facts second;
    uint64_t unreceipted = 0;
    uint64_t unpushed = 0;
    const uint8_t commit[20] = { 1, 2, 3 };
    expect_ok(cb_exchange_cut(anna, test_error()));
    expect_ok(cb_exchange_segment(anna, 1, &first, test_error()));
    store_kit_person(anna, &case_id, "victim", "Ash");
    expect_ok(cb_exchange_cut(anna, test_error()));
    expect_ok(cb_exchange_segment(anna, 1, &again, test_error()));
    expect_ok(
        cb_exchange_segment(anna, first.count + 1, &second, test_error()));
    cr_expect(first.first_seq == 1 && first.count == again.count);
    cr_expect(second.first_seq == first.count + 1 && second.count == 1);
    expect_status(CB_END, cb_exchange_segment(anna, second.first_seq + 1,
                                              &second, test_error()));
    expect_ok(cb_exchange_segment_made(anna, &first, commit, test_error()));
    expect_ok(cb_exchange_segment_pushed(anna, &first, test_error()));
    expect_ok(cb_exchange_segment(anna, 1, &again, test_error()));
    cr_expect(again.pushed && memcmp(again.commit, commit, 20) == 0);
    expect_ok(cb_exchange_unsent(anna, &unreceipted, &unpushed, test_error()));
    cr_expect(unpushed == 1 && unreceipted == first.count + 1);
}

Test(exchange, remembers_marks_checkpoints_and_hashes, .init = exchange_begin,
     .fini = exchange_end)
{
    cb_hash root = { { 5 } };
    cb_hash found;
    uint64_t size = 0;
    cb_buffer value;
    cb_buffer_init(&value, 64);
    const cb_span mark = cb_span_of_text("there");
    expect_status(CB_NOT_FOUND,
                  cb_exchange_mark_get(hub, "here", &value, test_error()));
    expect_ok(cb_exchange_mark_put(hub, "here", mark, test_error()));
    expect_ok(cb_exchange_mark_get(hub, "here", &value, test_error()));
    expect_text(cb_buffer_text(&value), "there");
    cb_buffer_clear(&value);

    expect_status(CB_NOT_FOUND, cb_exchange_checkpoint(hub, 9, &size, &found,
                                                       NULL, test_error()));
    expect_ok(
        cb_exchange_remember_checkpoint(hub, 7, &root, "note", test_error()));
    expect_ok(
        cb_exchange_checkpoint(hub, 9, &size, &found, NULL, test_error()));
    cr_expect(size == 7 && found.bytes[0] == 5);
    expect_status(CB_NOT_FOUND, cb_exchange_checkpoint(hub, 6, &size, &found,
                                                       NULL, test_error()));
    cr_expect(identity_of(hub).seen_size == 7);

    expect_status(CB_NOT_FOUND,
                  cb_exchange_log_hash_get(hub, 1, 2, &found, test_error()));
    expect_ok(cb_exchange_log_hash_put(hub, 1, 2, &root, test_error()));
    expect_ok(cb_exchange_log_hash_get(hub, 1, 2, &found, test_error()));
    expect_bytes(&found, sizeof found, &root, sizeof root);
}

/* ---------------------------------------------------------- what is secret */

Test(exchange, gives_a_device_only_what_its_person_may_read,
     .init = exchange_begin, .fini = exchange_end)
{
    cb_case_id open_case = store_kit_case(anna);
    cb_case_id shut_case = store_kit_case(anna);
    store_kit_person(anna, &open_case, "victim", "Ash");
    store_kit_person(anna, &open_case, "offender", "Reed");
    store_kit_person(anna, &shut_case, "victim", "Elm");
    const cb_person_id other = identity_of(bert).person;
    const cb_device_id device = identity_of(bert).device;
    store_kit_sync(hub, anna);
    store_kit_sync(hub, bert);
    expect_ok(cb_roster_permit(hub, &other, &open_case, "S", test_error()));
    expect_ok(cb_roster_permit(hub, &other, &open_case, "A", test_error()));
    /* Given and taken back before it was sent: what waits must not leave. */
    expect_ok(cb_roster_permit(hub, &other, &shut_case, "V", test_error()));
    cb_query query = cb_query_begin(hub->database, "permission_put");
    cb_query_bind_blob(&query, ":person", other.bytes, sizeof other.bytes);
    cb_query_bind_blob(&query, ":case_id", shut_case.bytes,
                       sizeof shut_case.bytes);
    cb_query_bind_text(&query, ":classes", "");
    expect_ok(cb_query_run(&query, test_error()));

    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_outbox(hub, bert, &bundle);
    size_t sealed = 0;
    for (size_t i = 0; i < bundle.count; i++) {
        cb_entry entry;
        cb_compartment compartment;
        expect_ok(cb_entry_decode(store_kit_entry(&bundle, i, NULL), &entry,
                                  test_error()));
        if ((entry.header.flags & CB_ENTRY_FLAG_CLEAR) != 0) {
            continue;
        }
        expect_ok(cb_compartment_load(hub, &entry.header.key_id, &compartment,
                                      test_error()));
        sealed += compartment.class[0] != 'N';
        cr_expect(strchr("NAS", compartment.class[0]) != NULL,
                  "an entry of class %s", compartment.class);
        cr_expect(compartment.class[0] == 'N' ||
                  memcmp(&compartment.case_id, &open_case, sizeof open_case) ==
                      0);
    }
    cr_expect(sealed == 1, "%zu sealed entries", sealed);
    store_kit_bundle_end(&bundle);

    /* Nor do the keys. */
    cb_buffer mail;
    uint64_t version = 0;
    size_t keys = 0;
    const cb_device_id hub_device = identity_of(hub).device;
    cb_buffer_init(&mail, CB_MAIL_BYTES_MAX);
    expect_ok(cb_exchange_write_mail(hub, &device, 100, &mail, test_error()));
    expect_ok(cb_exchange_read_mail(bert, &hub_device, cb_span_of_buffer(&mail),
                                    0, &version, &keys, test_error()));
    cr_expect(keys == 1 && version == 100);
    cr_expect(count_of(bert, "SELECT count(*) FROM compartment_key WHERE class "
                             "NOT IN ('N', 'A', 'S')") == 0);
    cb_buffer_clear(&mail);
}

/*
 * A key that a device makes up for somebody else's case would be one under
 * which others write and which that device can read.
 */
Test(exchange, lets_nobody_slip_a_key_into_anothers_case,
     .init = exchange_begin, .fini = exchange_end)
{
    cb_case_id case_id = store_kit_case(anna);
    store_kit_sync(hub, anna);
    static const char admitted[] =
        "SELECT count(*) FROM compartment_key WHERE admitted = 1";
    const int64_t keys = count_of(hub, admitted);
    const cb_compartment target = { .case_id = case_id, .class = "S" };
    cb_key key;
    expect_ok(cb_store_begin(bert, test_error()));
    expect_ok(cb_compartment_key(bert, &target, &key, test_error()));
    expect_ok(cb_store_commit(bert, test_error()));
    store_kit_sync(hub, bert);
    cr_expect(count_of(hub, admitted) == keys);

    const cb_person_id other = identity_of(bert).person;
    expect_ok(cb_roster_permit(hub, &other, &case_id, "S", test_error()));
    cr_expect(count_of(hub, admitted) == keys + 1);
}

Test(exchange, reads_mail_only_from_whom_and_for_whom_it_is,
     .init = exchange_begin, .fini = exchange_end)
{
    store_kit_case(anna);
    const cb_device_id hub_device = identity_of(hub).device;
    const cb_device_id anna_device = identity_of(anna).device;
    const cb_device_id bert_device = identity_of(bert).device;
    cb_buffer mail;
    uint64_t version = 0;
    size_t keys = 0;
    cb_buffer_init(&mail, CB_MAIL_BYTES_MAX);
    expect_ok(
        cb_exchange_write_mail(anna, &hub_device, 3, &mail, test_error()));
    const cb_span message = cb_span_of_buffer(&mail);

    expect_status(CB_END, cb_exchange_read_mail(hub, &anna_device, message, 3,
                                                &version, &keys, test_error()));
    expect_status(CB_REFUSED,
                  cb_exchange_read_mail(hub, &bert_device, message, 0, &version,
                                        &keys, test_error()));
    expect_status(CB_REFUSED,
                  cb_exchange_read_mail(bert, &anna_device, message, 0,
                                        &version, &keys, test_error()));
    expect_status(CB_REFUSED, cb_exchange_write_mail(anna, &bert_device, 1,
                                                     &mail, test_error()));
    for (size_t i = 0; i < message.size; i += 7) {
        mail.bytes[i] ^= 1;
        cb_error_clear(test_error());
        cb_status status = cb_exchange_read_mail(hub, &anna_device, message, 0,
                                                 &version, &keys, test_error());
        cr_expect(status == CB_DAMAGED || status == CB_REFUSED,
                  "byte %zu of the mail: %s", i, cb_status_name(status));
        mail.bytes[i] ^= 1;
    }
    cr_expect(count_of(hub, "SELECT count(*) FROM compartment_key") == 1);
    expect_ok(cb_exchange_read_mail(hub, &anna_device, message, 2, &version,
                                    &keys, test_error()));
    cr_expect(version == 3 && keys == 1);
    cb_buffer_clear(&mail);
}

/* ------------------------------------------------------- nothing to settle */

static void execute(cb_store *store, const char *sql)
{
    char *problem = NULL;
    cr_assert(sqlite3_exec(store->database->connection, sql, NULL, NULL,
                           &problem) == SQLITE_OK,
              "%s: %s", sql, problem);
}

/* All entries of a case may be set apart, or wait for their key. */
Test(exchange, settles_a_changed_case_that_has_no_entries,
     .init = exchange_begin, .fini = exchange_end, .timeout = 60)
{
    size_t cases = 0;
    size_t conflicts = 0;
    (void)store_kit_case(anna);
    store_kit_sync(hub, anna);
    cb_store *const stores[] = { anna, hub };
    for (size_t i = 0; i < 2; i++) {
        execute(stores[i],
                "INSERT INTO case_file (id, fingerprint, changed) "
                "VALUES (zeroblob(16), zeroblob(32), 1), "
                "(x'ffffffffffffffffffffffffffffffff', zeroblob(32), 1); "
                "UPDATE case_file SET changed = 1");
        expect_ok(
            cb_exchange_settle(stores[i], &cases, &conflicts, test_error()));
        cr_expect(cases == 3 && conflicts == 0);
        cr_expect(count_of(stores[i], "SELECT count(*) FROM case_file "
                                      "WHERE changed = 1") == 0);
    }
}

/* A damaged database may keep a case as it is, however often it is settled. */
Test(exchange, does_not_settle_for_ever_what_stays_changed,
     .init = exchange_begin, .fini = exchange_end, .timeout = 60)
{
    size_t cases = 0;
    size_t conflicts = 0;
    (void)store_kit_case(anna);
    execute(anna, "INSERT INTO case_file (id, fingerprint, changed) "
                  "VALUES (zeroblob(16), zeroblob(32), 1); "
                  "CREATE TRIGGER stuck BEFORE UPDATE ON case_file "
                  "BEGIN SELECT RAISE(IGNORE); END");
    expect_status(CB_DAMAGED,
                  cb_exchange_settle(anna, &cases, &conflicts, test_error()));
    expect_contains(test_error()->what, "stays to be settled");
    expect_contains(test_error()->next, "doctor");
}
