/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that were restored, and their hub: nothing that was written is lost.
 */
#include <casebound/backup.h>

#include "support/sync_scene.h"

TestSuite(backup_sync, .init = begin, .fini = end, .timeout = 120);

static void back_up(cb_store *store)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_backup_facts facts;
    expect_ok(cb_backup_write(store, store_kit_path(&kit.stores, "kept", path),
                              true, NULL, &facts, test_error()));
}

static cb_store *restore(const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    char folder[STORE_KIT_PATH_BYTES];
    cb_backup_facts facts;
    cb_store *store = NULL;
    const cb_store_options options = store_kit_options(
        &kit.stores, store_kit_path(&kit.stores, name, folder));
    expect_ok(
        cb_restore_backup(&options, store_kit_path(&kit.stores, "kept", path),
                          kit.stores.passphrase, false, kit.stores.passphrase,
                          &store, &facts, test_error()));
    return store;
}

static void expect_same(cb_store *store, const cb_case_id *case_id)
{
    const cb_hash here = store_kit_fingerprint(store, case_id);
    const cb_hash there = store_kit_fingerprint(kit.hub, case_id);
    expect_bytes(&here, sizeof here, &there, sizeof there);
}

static uint64_t head_at_hub(const cb_store_identity *identity)
{
    cb_stream_facts facts = { .head_seq = 0 };
    expect_ok(
        cb_exchange_stream(kit.hub, &identity->stream, &facts, test_error()));
    return facts.head_seq;
}

static void settle(cb_store *store)
{
    (void)sync_kit_sync(&kit, store);
    merge();
    (void)sync_kit_sync(&kit, store);
}

/* Written, backed up, never sent; then the machine is gone. */
Test(backup_sync, what_was_not_sent_before_the_backup_arrives_after_it)
{
    cb_case_id case_id = settled_case();
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    const cb_store_identity lost = identity_of(anna);
    back_up(anna);
    cb_store_close(anna);
    run("rm -rf anna");

    anna = restore("back");
    (void)store_kit_person(anna, &case_id, "offender", "Drew Example");
    settle(anna);
    cr_expect(head_at_hub(&lost) == lost.head_seq);
    expect_same(anna, &case_id);
    const cb_store_identity now = identity_of(anna);
    cr_expect(now.accepted_seq == now.head_seq && !now.restored);
    /* Sent, so forgotten. */
    bool can_sign = false;
    expect_status(CB_END,
                  cb_exchange_earlier_enter(anna, &can_sign, test_error()));
}

/* The lost machine had gone on, and had sent that. */
Test(backup_sync, what_was_sent_after_the_backup_comes_back)
{
    cb_case_id case_id = settled_case();
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    back_up(anna);
    (void)store_kit_person(anna, &case_id, "victim_supporter", "Fern Hill");
    settle(anna);
    const cb_store_identity lost = identity_of(anna);
    cb_store_close(anna);
    run("rm -rf anna");

    anna = restore("back");
    (void)store_kit_person(anna, &case_id, "offender", "Drew Example");
    settle(anna);
    settle(anna);
    cr_expect(head_at_hub(&lost) == lost.head_seq);
    expect_same(anna, &case_id);
    cr_expect(!identity_of(anna).restored);
}

/* With everything sent when the backup was made: there is no key to keep. */
Test(backup_sync, what_was_sent_after_a_settled_backup_comes_back_too)
{
    cb_case_id case_id = settled_case();
    back_up(anna);
    (void)store_kit_person(anna, &case_id, "victim_supporter", "Fern Hill");
    settle(anna);
    const cb_store_identity lost = identity_of(anna);
    cb_store_close(anna);
    run("rm -rf anna");

    anna = restore("back");
    (void)store_kit_person(anna, &case_id, "offender", "Drew Example");
    settle(anna);
    settle(anna);
    cr_expect(head_at_hub(&lost) == lost.head_seq);
    expect_same(anna, &case_id);
}

/* Confirmed far from the hub, with something unsent in it. */
Test(backup_sync, a_confirmed_older_copy_loses_nothing_that_it_holds)
{
    cb_case_id case_id = settled_case();
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    const cb_store_identity old = identity_of(anna);
    cb_store_close(anna);
    run("cp -a anna old");
    anna = store_kit_open(&kit.stores, "anna");
    (void)store_kit_person(anna, &case_id, "victim_supporter", "Fern Hill");
    cb_store_close(anna);
    run("cp anna/witness old/ && rm -rf anna && mv old anna");
    anna = store_kit_open(&kit.stores, "anna");
    cr_assert(identity_of(anna).restored);
    expect_ok(cb_restore_in_place(anna, test_error()));
    (void)store_kit_person(anna, &case_id, "offender", "Drew Example");
    settle(anna);
    cr_expect(head_at_hub(&old) == old.head_seq);
    expect_same(anna, &case_id);
}

Test(backup_sync, a_restored_hub_goes_on_with_its_log)
{
    cb_case_id case_id = settled_case();
    back_up(kit.hub);
    cb_store_close(kit.hub);
    run("rm -rf hub");
    kit.hub = restore("hub");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    settle(anna);
    expect_same(anna, &case_id);
    cr_expect(identity_of(anna).accepted_seq == identity_of(anna).head_seq);
}

/* One that is behind its log would publish another past. */
Test(backup_sync, a_restored_hub_that_is_behind_its_log_publishes_nothing)
{
    cb_hub_report report;
    cb_case_id case_id = settled_case();
    back_up(kit.hub);
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    settle(anna);
    cb_store_close(kit.hub);
    run("rm -rf hub && git -C log/log.git for-each-ref > a");
    kit.hub = restore("hub");
    cb_status status = sync_kit_try_merge(&kit, &report, test_error());
    cr_expect(status == CB_DAMAGED, "%s", test_describe(status));
    cb_hub_report_clear(&report);
    run("git -C log/log.git for-each-ref > b && cmp a b");
}
