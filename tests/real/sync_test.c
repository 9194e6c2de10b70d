/* SPDX-License-Identifier: Apache-2.0 */
/* A hub and its devices over a log host in a folder, through stock git. */
#include <stdlib.h>

#include "support/expect.h"
#include "support/sync_kit.h"

static sync_kit kit;
static cb_store *anna;
static cb_store *bert;
static char output[65536];

static void begin(void)
{
    sync_kit_begin(&kit, CASEBOUND_CHECK_PUSH);
    anna = sync_kit_device(&kit, "anna");
    bert = sync_kit_device(&kit, "bert");
}

static void end(void)
{
    cb_store_close(anna);
    cb_store_close(bert);
    sync_kit_end(&kit);
}

TestSuite(sync, .init = begin, .fini = end, .timeout = 120);

static cb_store_identity identity_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity;
}

static void merge(void)
{
    cb_hub_report report = sync_kit_merge(&kit);
    cr_expect(report.refused_streams == 0, "%s",
              report.stream_count > 0 ? report.streams[0].reason : "");
    cb_hub_report_clear(&report);
}

static void permit(cb_store *store, const cb_case_id *case_id)
{
    const cb_store_identity identity = identity_of(store);
    expect_ok(cb_roster_permit(kit.hub, &identity.person, case_id, "VOSRCA",
                               test_error()));
}

static void expect_same_case(cb_store *a, cb_store *b,
                             const cb_case_id *case_id)
{
    const cb_hash left = store_kit_fingerprint(a, case_id);
    const cb_hash right = store_kit_fingerprint(b, case_id);
    expect_bytes(&left, sizeof left, &right, sizeof right);
}

static void expect_clean(cb_store *store)
{
    const cb_store_identity identity = identity_of(store);
    cr_expect(identity.accepted_seq == identity.head_seq,
              "%llu of %llu entries have a receipt",
              (unsigned long long)identity.accepted_seq,
              (unsigned long long)identity.head_seq);
}

Test(sync, carries_a_case_from_one_device_through_the_hub_to_another)
{
    const cb_case_id case_id = store_kit_case(anna);
    cb_record_id person =
        store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)person;
    cb_sync_report report = sync_kit_sync(&kit, anna);
    cr_expect(report.sent_entries == identity_of(anna).head_seq);
    cr_expect(report.sent_keys);
    cr_expect(report.safe_seq == 0);
    (void)sync_kit_sync(&kit, bert);
    merge();
    permit(bert, &case_id);
    merge();

    report = sync_kit_sync(&kit, anna);
    cr_expect(report.receipts > 0);
    cr_expect(report.safe_seq == report.head_seq);
    report = sync_kit_sync(&kit, bert);
    cr_expect(report.received_entries > 0);
    cr_expect(report.received_keys > 0);
    cr_expect(report.waiting_entries == 0);
    cr_expect(report.cases_changed == 1);
    expect_clean(anna);
    expect_clean(bert);
    expect_same_case(anna, bert, &case_id);
    expect_same_case(anna, kit.hub, &case_id);

    report = sync_kit_sync(&kit, bert);
    cr_expect(report.received_entries == 0 && report.sent_entries == 0 &&
              report.receipts == 0);
}

Test(sync, leaves_a_log_that_stock_git_finds_clean)
{
    cb_buffer signers;
    char path[STORE_KIT_PATH_BYTES];
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    merge();
    (void)sync_kit_sync(&kit, anna);
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    merge();

    cb_buffer_init(&signers, 65536);
    expect_ok(cb_hub_allowed_signers(kit.hub, &signers, test_error()));
    FILE *file = fopen(store_kit_path(&kit.stores, "signers", path), "w");
    cr_assert(file != NULL);
    fwrite(signers.bytes, 1, signers.size, file);
    fclose(file);
    cb_buffer_clear(&signers);

    cr_expect(sync_kit_run(&kit, output, sizeof output,
                           "git clone -q --mirror log/log.git clone && cd "
                           "clone && git fsck --strict --full") == 0,
              "%s", output);
    cr_expect(strstr(output, "error") == NULL &&
                  strstr(output, "warning") == NULL,
              "%s", output);
    cr_expect(
        sync_kit_run(&kit, output, sizeof output,
                     "cd clone && git -c gpg.ssh.allowedSignersFile=../signers "
                     "log --all --format='%%G?'") == 0,
        "%s", output);
    cr_expect(strlen(output) >= 10);
    cr_expect(strspn(output, "G\n") == strlen(output), "%s", output);
    cr_expect(sync_kit_run(&kit, output, sizeof output,
                           "cd clone && git ls-tree -r -t log && git "
                           "ls-tree -r log | grep -c checkpoint") == 0,
              "%s", output);
}

/* Both write in one case without knowing of each other; then they sync. */
static cb_hash write_apart_and_sync(bool anna_first, cb_case_id *case_id)
{
    cb_store *first = anna_first ? anna : bert;
    cb_store *second = anna_first ? bert : anna;
    *case_id = store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    (void)sync_kit_sync(&kit, bert);
    merge();
    permit(bert, case_id);
    merge();
    (void)sync_kit_sync(&kit, bert);
    (void)store_kit_person(anna, case_id, "victim", "Casey Example");
    (void)store_kit_person(bert, case_id, "offender", "Drew Example");

    (void)sync_kit_sync(&kit, first);
    merge();
    (void)sync_kit_sync(&kit, second);
    merge();
    (void)sync_kit_sync(&kit, first);
    (void)sync_kit_sync(&kit, second);
    expect_same_case(anna, bert, case_id);
    expect_same_case(anna, kit.hub, case_id);
    expect_clean(anna);
    expect_clean(bert);
    return store_kit_fingerprint(kit.hub, case_id);
}

Test(sync, gives_one_state_in_whatever_order_people_sync)
{
    cb_case_id case_id;
    for (int anna_first = 0; anna_first < 2; anna_first++) {
        if (anna_first == 1) {
            end();
            begin();
        }
        (void)write_apart_and_sync(anna_first == 1, &case_id);
    }
}

/* A dozen entries of 30 kB: more than one segment holds. */
static void add_long_notes(cb_store *store, const cb_case_id *case_id)
{
    cb_buffer fields;
    cb_buffer_init(&fields, CB_TEXT_BYTES_MAX);
    cb_buffer_append_text(&fields, "{'notes':'");
    memset(cb_buffer_extend(&fields, 30000), 'n', 30000);
    cb_buffer_append_text(&fields, "'}");
    for (int i = 0; i < 12; i++) {
        (void)store_kit_add(store, case_id, "preparation", NULL,
                            cb_buffer_text(&fields));
    }
    cb_buffer_clear(&fields);
}

Test(sync, keeps_the_tiles_of_one_checkpoint_beside_it)
{
    uint64_t size = 0;
    cb_case_id case_id = store_kit_case(anna);
    (void)sync_kit_sync(&kit, bert);
    for (int round = 0; round < 4; round++) {
        cb_error error = { 0 };
        store_kit_must(cb_store_begin(anna, &error), &error, "begin");
        for (int i = 0; i < 170; i++) {
            (void)store_kit_case(anna);
        }
        store_kit_must(cb_store_commit(anna, &error), &error, "commit");
        (void)sync_kit_sync(&kit, anna);
        cb_hub_report report = sync_kit_merge(&kit);
        size = report.log_size;
        cb_hub_report_clear(&report);
        (void)sync_kit_sync(&kit, anna);
        expect_clean(anna);
    }
    cr_assert(size > 512);
    cr_expect(sync_kit_run(&kit, output, sizeof output,
                           "cd log/log.git && git ls-tree -r --name-only log "
                           "&& git fsck --strict") == 0);
    cr_expect(strstr(output, "tile/entries/000\n") != NULL);
    cr_expect(strstr(output, "tile/0/001\n") != NULL);
    cr_expect(strstr(output, "tile/1/000.p/") != NULL);
    cr_expect(strstr(output, "tile/0/000.p/") == NULL, "%s", output);
    cr_expect(sync_kit_run(&kit, output, sizeof output,
                           "cd log/log.git && git ls-tree -r log | wc -l && "
                           "git ls-tree -r -t log") == 0);
    cr_expect(strstr(output, "4b825dc642cb6eb9a060e54bf8d69288fbee4904") ==
                  NULL,
              "an empty folder is left: %s", output);

    /* More than one segment in an outbox at once. */
    add_long_notes(anna, &case_id);
    (void)sync_kit_sync(&kit, anna);
    permit(bert, &case_id);
    merge();
    cb_sync_report report = sync_kit_sync(&kit, bert);
    cr_expect(report.receipts > 1, "%llu receipts",
              (unsigned long long)report.receipts);
    expect_same_case(anna, bert, &case_id);
}
