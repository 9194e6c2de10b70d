/* SPDX-License-Identifier: Apache-2.0 */
/* Hubs, log hosts and devices that are set back, and copies that go on. */
#include "support/sync_scene.h"

TestSuite(sync_past, .init = begin, .fini = end, .timeout = 120);

Test(sync_past, a_hub_set_back_gets_everything_again)
{
    cb_case_id case_id = settled_case();
    cb_store_close(kit.hub);
    run("cp -a hub hub.old && cp -a log log.old");
    kit.hub = store_kit_open(&kit.stores, "hub");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)sync_kit_sync(&kit, anna);
    merge();
    (void)sync_kit_sync(&kit, anna);
    cr_assert(identity_of(anna).accepted_seq == identity_of(anna).head_seq);

    cb_store_close(kit.hub);
    run("rm -rf hub log && mv hub.old hub && mv log.old log");
    kit.hub = store_kit_open(&kit.stores, "hub");
    cb_sync_report report = expect_sync(anna, CB_DAMAGED, "ROLLBK");
    cr_expect(report.hub_behind && report.sent_entries > 0 && report.sent_keys);
    merge();
    cb_stream_facts facts;
    const cb_store_identity identity = identity_of(anna);
    expect_ok(
        cb_exchange_stream(kit.hub, &identity.stream, &facts, test_error()));
    cr_expect(facts.head_seq == identity.head_seq);
    const cb_hash at_anna = store_kit_fingerprint(anna, &case_id);
    const cb_hash at_hub = store_kit_fingerprint(kit.hub, &case_id);
    expect_bytes(&at_anna, sizeof at_anna, &at_hub, sizeof at_hub);
}

Test(sync_past, an_older_copy_of_the_hub_publishes_nothing)
{
    cb_hub_report report;
    cb_case_id case_id = settled_case();
    cb_store_close(kit.hub);
    run("cp -a hub hub.old");
    kit.hub = store_kit_open(&kit.stores, "hub");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)sync_kit_sync(&kit, anna);
    merge();
    cb_store_close(kit.hub);
    run("rm -rf hub && mv hub.old hub && git -C log/log.git for-each-ref > a");
    kit.hub = store_kit_open(&kit.stores, "hub");
    expect_status(CB_DAMAGED, sync_kit_try_merge(&kit, &report, test_error()));
    cr_expect(strstr(test_error()->what, "ROLLBK") != NULL, "%s",
              test_error()->what);
    cb_hub_report_clear(&report);
    run("git -C log/log.git for-each-ref > b && cmp a b");
}

Test(sync_past, an_older_copy_of_a_device_goes_on_under_another_stream)
{
    cb_case_id case_id = settled_case();
    cb_store_close(anna);
    run("cp -a anna anna.old");
    anna = store_kit_open(&kit.stores, "anna");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)sync_kit_sync(&kit, anna);
    merge();
    const cb_store_identity newer = identity_of(anna);
    const cb_hash wanted = store_kit_fingerprint(anna, &case_id);
    cb_store_close(anna);
    run("rm -rf anna && mv anna.old anna");
    anna = store_kit_open(&kit.stores, "anna");

    cb_sync_report report = sync_kit_sync(&kit, anna);
    cr_expect(report.began_anew);
    const cb_store_identity now = identity_of(anna);
    cr_expect(memcmp(&now.stream, &newer.stream, sizeof now.stream) != 0);
    (void)store_kit_person(anna, &case_id, "offender", "Drew Example");
    (void)sync_kit_sync(&kit, anna);
    merge();
    report = sync_kit_sync(&kit, anna);
    cr_expect(!report.began_anew && report.safe_seq == report.head_seq);
    const cb_hash at_anna = store_kit_fingerprint(anna, &case_id);
    const cb_hash at_hub = store_kit_fingerprint(kit.hub, &case_id);
    expect_bytes(&at_anna, sizeof at_anna, &at_hub, sizeof at_hub);
    cr_expect(memcmp(&at_anna, &wanted, sizeof wanted) != 0);
}

Test(sync_past, two_that_write_one_stream_are_found)
{
    cb_case_id case_id = settled_case();
    cb_store_close(anna);
    run("cp -a anna twin");
    anna = store_kit_open(&kit.stores, "anna");
    cb_store *twin = store_kit_open(&kit.stores, "twin");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)store_kit_person(twin, &case_id, "victim", "Somebody Else");
    (void)sync_kit_sync(&kit, anna);
    cb_sync_report report = expect_sync(twin, CB_DAMAGED, "FORK");
    cr_expect(report.sent_entries == 0);
    int code = sync_kit_run(&kit, output, sizeof output,
                            "git -C twin/incoming.git rev-parse "
                            "refs/heads/evidence/%s",
                            stream_hex(anna));
    cr_expect(code == 0, "%s", output);
    merge();
    cb_store_close(twin);
}

Test(sync_past, a_fork_past_the_hook_is_kept_and_told)
{
    cb_case_id case_id = settled_case();
    cb_store_close(anna);
    run("cp -a anna twin");
    anna = store_kit_open(&kit.stores, "anna");
    cb_store *twin = store_kit_open(&kit.stores, "twin");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)store_kit_person(twin, &case_id, "victim", "Somebody Else");
    (void)sync_kit_sync(&kit, anna);
    merge();
    run("cp -a log log.anna && rm -rf log && cp -a log.anna log && "
        "rm log/log.git/hooks/pre-receive && "
        "git -C log/log.git config receive.denyNonFastForwards false");
    int code = sync_kit_run(&kit, output, sizeof output,
                            "R=refs/heads/device/%s; git -C log/log.git "
                            "update-ref $R $R^",
                            stream_hex(anna));
    cr_assert(code == 0, "%s", output);
    cb_sync_report told = expect_sync(twin, CB_DAMAGED, "FORK");
    cr_expect(told.sent_entries > 0);
    cb_hub_report report = sync_kit_merge(&kit);
    cr_expect(report.refused_streams == 1 && report.stream_count == 1);
    cr_expect(report.streams[0].forked > 0);
    cr_expect(strstr(report.streams[0].reason, "FORK") != NULL, "%s",
              report.streams[0].reason);
    cb_hub_report_clear(&report);

    cb_stream_facts facts;
    const cb_store_identity identity = identity_of(anna);
    expect_ok(
        cb_exchange_stream(kit.hub, &identity.stream, &facts, test_error()));
    cr_expect(facts.frozen && facts.head_seq == identity.head_seq);
    (void)sync_kit_try_sync(&kit, anna, &told, test_error());
    cr_expect(told.withheld_total > 0);
    cr_expect(told.withheld[0].reason[0] != '\0');
    cb_store_close(twin);
}

Test(sync_past, a_log_host_set_back_is_brought_forward_again)
{
    cb_case_id case_id = settled_case();
    run("cp -a log log.old");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)sync_kit_sync(&kit, anna);
    merge();
    (void)sync_kit_sync(&kit, anna);
    run("rm -rf log && mv log.old log");

    cb_sync_report report = expect_sync(anna, CB_DAMAGED, "ROLLBK");
    cr_expect(report.hub_behind && report.sent_entries > 0);
    /* The log grows before the device hears of it. */
    (void)store_kit_case(bert);
    (void)sync_kit_sync(&kit, bert);
    merge();
    report = sync_kit_sync(&kit, anna);
    cr_expect(!report.hub_behind);
    cr_expect(report.safe_seq == report.head_seq);
    run("git -C log/log.git fsck --strict");
}

Test(sync_past, an_outbox_that_the_log_host_lost_is_written_again)
{
    (void)settled_case();
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    merge();
    (void)sync_kit_sync(&kit, anna);
    int code = sync_kit_run(&kit, output, sizeof output,
                            "git -C log/log.git update-ref -d "
                            "refs/heads/outbox/%s",
                            device_hex(anna));
    cr_assert(code == 0, "%s", output);
    cb_sync_report report = expect_sync(anna, CB_DAMAGED, "ROLLBK");
    cr_expect(report.hub_behind);
    (void)store_kit_case(bert);
    (void)sync_kit_sync(&kit, bert);
    merge();
    report = sync_kit_sync(&kit, anna);
    cr_expect(report.receipts == 2 && report.safe_seq == report.head_seq);
}
