/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from an enrolled device with altered software: here, Bert's. */
#include "support/exchange_fixture.h"
#include "support/hostile_entry.h"

static const char CONSENT[] =
    "{'scope':['direct_meeting'],'state':'withdrawn','form_version':'3'}";

static int64_t waiting(cb_store *store)
{
    return count_of(store,
                    "SELECT count(*) FROM entry WHERE state = 'waiting'");
}

static int64_t quarantined(cb_store *store)
{
    return count_of(store,
                    "SELECT count(*) FROM entry WHERE state = 'quarantined'");
}

/* What anybody sees who reads the headers of the log. */
static void bring_junk(cb_store *store, const store_kit_bundle *bundle,
                       const cb_compartment *compartment, const uint8_t *key)
{
    expect_ok(cb_store_begin(store, test_error()));
    for (size_t i = 0; i < bundle->count; i++) {
        cb_entry entry;
        expect_ok(cb_entry_decode(store_kit_entry(bundle, i, NULL), &entry,
                                  test_error()));
        if ((entry.header.flags & CB_ENTRY_FLAG_CLEAR) == 0) {
            expect_ok(cb_compartment_keep(store, &entry.header.key_id,
                                          compartment, key, NULL,
                                          test_error()));
        }
    }
    expect_ok(cb_store_commit(store, test_error()));
}

Test(hostile_keys, junk_under_anothers_key_id_keeps_nothing_out,
     .init = exchange_begin, .fini = exchange_end)
{
    static const uint8_t junk[CB_KEY_BYTES] = { 1 };
    cb_case_id case_id = store_kit_case(anna);
    cb_record_id ash = store_kit_person(anna, &case_id, "victim", "Ash");
    store_kit_add(anna, &case_id, "consent", &ash, CONSENT);
    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(anna, 1, &bundle);
    const cb_compartment own = { .case_id = { { 0x77 } }, .class = "S" };
    bring_junk(bert, &bundle, &own, junk);
    store_kit_bundle_end(&bundle);

    store_kit_send(hub, bert);
    store_kit_sync(hub, anna);
    cr_expect(waiting(hub) == 0 && quarantined(hub) == 0);
    expect_same_case(hub, anna, &case_id);
    /* Nor does it let Bert in: what lies under the ids is not his. */
    store_kit_deliver(hub, bert);
    cr_expect(count_of(bert, "SELECT count(*) FROM entry WHERE case_id IS NOT "
                             "NULL") == 0);
}

/* The right key, bound to a case of Bert's, before Anna's own comes. */
Test(hostile_keys, a_key_bound_to_another_case_gives_way,
     .init = exchange_begin, .fini = exchange_end)
{
    cb_case_id case_id = store_kit_case(anna);
    const cb_compartment theirs = { .case_id = case_id, .class = "A" };
    const cb_compartment own = { .case_id = { { 0x77 } }, .class = "S" };
    cb_key key;
    cb_compartment found;
    expect_ok(cb_store_begin(anna, test_error()));
    expect_ok(cb_compartment_key(anna, &theirs, &key, test_error()));
    expect_ok(
        cb_compartment_load_number(anna, key.number, &found, test_error()));
    expect_ok(cb_store_commit(anna, test_error()));
    expect_ok(cb_store_begin(hub, test_error()));
    expect_ok(cb_compartment_keep(hub, &key.id, &own,
                                  cb_secret_view(anna->key_in_use),
                                  &bert->identity.person, test_error()));
    expect_ok(cb_store_commit(hub, test_error()));

    /* Entries alone: the key of Bert's opens them, and does not fit. */
    store_kit_bundle bundle;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(anna, 1, &bundle);
    for (size_t i = 0; i < bundle.count; i++) {
        cb_ingest_outcome outcome = CB_INGEST_FORK;
        expect_status(CB_OK, take_one(hub, store_kit_entry(&bundle, i, NULL),
                                      true, -1, &outcome));
    }
    store_kit_bundle_end(&bundle);
    cr_expect(quarantined(hub) == 1);
    store_kit_sync(hub, anna);
    cr_expect(quarantined(hub) == 0 && waiting(hub) == 0);
    expect_same_case(hub, anna, &case_id);
}

Test(hostile_keys, class_w_is_opened_by_who_supervises, .init = exchange_begin,
     .fini = exchange_end)
{
    cb_store *sue = store_kit_device(&kit, hub, "sue", "supervisor");
    cb_case_id case_id = store_kit_case(anna);
    store_kit_sync(hub, anna);
    hostile_permit(hub, sue, &case_id, "VOSRCA");
    store_kit_deliver(hub, sue);
    hostile_entry(sue, &case_id, "W", hostile_nothing(1), json_array());
    store_kit_sync(hub, sue);
    cr_expect(waiting(hub) == 0 && quarantined(hub) == 0);
    expect_same_case(hub, sue, &case_id);
    /* From anybody else the key is kept, and opens nothing. */
    hostile_entry(anna, &case_id, "W", hostile_nothing(2), json_array());
    store_kit_sync(hub, anna);
    cr_expect(waiting(hub) == 1);
    cr_expect(count_of(hub, "SELECT count(*) FROM compartment_key WHERE "
                            "admitted = 0") == 1);
    cb_store_close(sue);
}

/* The hub confirms what it received, so it may not have thrown it away. */
Test(hostile_keys, a_key_that_came_too_early_is_let_in_later,
     .init = exchange_begin, .fini = exchange_end)
{
    cb_case_id case_id = store_kit_case(anna);
    store_kit_sync(hub, anna);
    hostile_permit(hub, bert, &case_id, "S");
    store_kit_deliver(hub, bert);
    hostile_entry(bert, &case_id, "R", hostile_nothing(1), json_array());
    store_kit_sync(hub, bert);
    cr_expect(waiting(hub) == 1);
    expect_ok(cb_exchange_keys_confirmed(bert, identity_of(bert).head_seq,
                                         test_error()));
    hostile_permit(hub, bert, &case_id, "R");
    cr_expect(waiting(hub) == 0 && quarantined(hub) == 0);
    /* Anna may read the class, and has passed the entry's place in the log. */
    store_kit_merge(hub);
    store_kit_deliver(hub, anna);
    expect_same_case(hub, anna, &case_id);
}

Test(hostile_keys, nobody_replaces_the_key_of_names, .init = exchange_begin,
     .fini = exchange_end)
{
    static const uint8_t junk[CB_KEY_BYTES] = { 1 };
    const cb_compartment own = { .case_id = { { 0x77 } }, .class = "S" };
    expect_ok(cb_store_begin(bert, test_error()));
    expect_ok(cb_compartment_keep(bert, &bert->realm_key_id, &own, junk, NULL,
                                  test_error()));
    expect_ok(cb_store_commit(bert, test_error()));
    store_kit_sync(hub, bert);
    cr_expect(count_of(hub, "SELECT count(*) FROM compartment_key") == 1);
}

Test(hostile_keys, the_newest_key_is_written_with, .init = exchange_begin,
     .fini = exchange_end)
{
    const cb_compartment target = { .case_id = { { 9 } }, .class = "S" };
    const cb_person_id somebody = { { 3 } };
    cb_key key;
    expect_ok(cb_store_begin(anna, test_error()));
    for (uint8_t i = 0; i < 6; i++) {
        /* Ids that fall and rise again. */
        const cb_key_id key_id = { { (uint8_t)(i < 3 ? 200 - i : 10 + i) } };
        const uint8_t bytes[CB_KEY_BYTES] = { i };
        const bool own = i == 1 || i == 4;
        expect_ok(cb_compartment_keep(anna, &key_id, &target, bytes,
                                      own ? NULL : &somebody, test_error()));
        expect_ok(cb_compartment_key(anna, &target, &key, test_error()));
        const uint8_t wanted[] = { 200, 199, 199, 199, 14, 14 };
        cr_expect(key.id.bytes[0] == wanted[i], "after %u keys: %u", i + 1u,
                  key.id.bytes[0]);
    }
    expect_ok(cb_store_commit(anna, test_error()));
}

Test(hostile_keys, a_keyring_of_several_mebibytes_is_read,
     .init = exchange_begin, .fini = exchange_end, .timeout = 120)
{
    cb_case_id case_id = store_kit_case(anna);
    const cb_compartment target = { .case_id = case_id, .class = "S" };
    expect_ok(cb_store_begin(anna, test_error()));
    for (unsigned i = 0; i < 15000; i++) {
        cb_key_id key_id = { { (uint8_t)i, (uint8_t)(i >> 8) } };
        uint8_t key[CB_KEY_BYTES] = { 5 };
        expect_ok(cb_compartment_keep(anna, &key_id, &target, key, NULL,
                                      test_error()));
    }
    expect_ok(cb_store_commit(anna, test_error()));
    const cb_device_id from = identity_of(anna).device;
    const cb_device_id to = identity_of(hub).device;
    uint64_t version = 0;
    size_t keys = 0;
    cb_buffer mail;
    cb_buffer_init(&mail, CB_MAIL_BYTES_MAX);
    expect_ok(cb_exchange_write_mail(anna, &to, 9, &mail, test_error()));
    cr_expect(mail.size > CB_JSON_DOCUMENT_BYTES_MAX);
    expect_ok(cb_store_begin(hub, test_error()));
    expect_ok(cb_exchange_read_mail(hub, &from, cb_span_of_buffer(&mail), 1,
                                    &version, &keys, test_error()));
    expect_ok(cb_store_commit(hub, test_error()));
    cr_expect(version == 9 && keys == 15001, "%zu keys", keys);
    cb_buffer_clear(&mail);
    /* Nothing stands under them, so nobody's keyring is filled up with them. */
    hostile_permit(hub, bert, &case_id, "S");
    cb_buffer_init(&mail, CB_MAIL_BYTES_MAX);
    const cb_device_id other = identity_of(bert).device;
    expect_status(CB_END,
                  cb_exchange_write_mail(hub, &other, 1, &mail, test_error()));
    cb_buffer_clear(&mail);
}
