/* SPDX-License-Identifier: Apache-2.0 */
/* Log hosts, hubs and devices that are not what they should be. */
#include <sys/stat.h>
#include <unistd.h>

#include "git/commit.h"
#include "git/push.h"
#include "log/segment.h"
#include "session/place.h"
#include "session/receipt.h"
#include "support/sync_scene.h"

TestSuite(sync_hostile, .init = begin, .fini = end, .timeout = 120);

Test(sync_hostile, an_absent_log_loses_nothing)
{
    (void)store_kit_case(anna);
    run("mv log away");
    cb_sync_report report = expect_sync(anna, CB_UNREACHABLE, "log");
    cr_expect(report.head_seq == identity_of(anna).head_seq);
    cr_expect(strstr(test_error()->meaning, "nothing is lost") != NULL, "%s",
              test_error()->meaning);
    run("mv away log");
    report = sync_kit_sync(&kit, anna);
    cr_expect(report.sent_entries == report.head_seq);
}

Test(sync_hostile, derived_repositories_may_be_deleted)
{
    cb_case_id case_id = settled_case();
    run("rm -rf anna/outgoing.git anna/incoming.git hub/outgoing.git "
        "hub/incoming.git");
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    cb_sync_report report = sync_kit_sync(&kit, anna);
    cr_expect(report.sent_entries > 0 && report.sent_segments == 1);
    merge();
    run("rm -rf anna/incoming.git && mkdir -p bert/outgoing.git/refs");
    report = sync_kit_sync(&kit, anna);
    cr_expect(report.safe_seq == report.head_seq);
    (void)sync_kit_sync(&kit, bert);
    merge();
    (void)sync_kit_sync(&kit, bert);
    cr_expect(identity_of(bert).accepted_seq == identity_of(bert).head_seq);
}

Test(sync_hostile, a_store_that_belongs_nowhere_or_to_the_hub_does_not_sync)
{
    cb_store *stranger = store_kit_create(&kit.stores, "stranger");
    (void)expect_sync(stranger, CB_PERMISSION, "does not belong");
    (void)expect_sync(kit.hub, CB_PERMISSION, "hub");
    cb_store_close(stranger);
    cb_store *hub = kit.hub;
    cb_hub_report report;
    kit.hub = anna;
    expect_status(CB_PERMISSION,
                  sync_kit_try_merge(&kit, &report, test_error()));
    cb_hub_report_clear(&report);
    expect_status(CB_PERMISSION,
                  cb_hub_create(anna, CASEBOUND_CHECK_PUSH, test_error()));
    kit.hub = hub;
    expect_status(CB_EXISTS,
                  cb_hub_create(hub, CASEBOUND_CHECK_PUSH, test_error()));
    expect_status(CB_INPUT, cb_hub_create(hub, "check-push", test_error()));
}

Test(sync_hostile, a_dry_run_plans_and_moves_nothing)
{
    cb_sync_report report;
    const cb_sync_options options = { .log_address = kit.log,
                                      .dry_run = true,
                                      .line_bits_per_second = 8000 };
    (void)store_kit_case(anna);
    expect_ok(cb_sync_run(anna, &options, &report, test_error()));
    cr_expect(report.plan.send_entries == identity_of(anna).head_seq);
    cr_expect(report.plan.send_segments == 1 && report.plan.send_keys);
    cr_expect(report.plan.seconds == (report.plan.send_bytes + 999) / 1000);
    cr_expect(!report.plan.receive && report.sent_entries == 0);
    run("git -C log/log.git for-each-ref && ! test -e anna/outgoing.git");
    cr_expect(output[0] == '\0', "%s", output);
    (void)sync_kit_sync(&kit, anna);
    merge();
    expect_ok(cb_sync_run(anna, &options, &report, test_error()));
    cr_expect(report.plan.send_entries == 0 && report.plan.receive);
}

/* ------------------------------------------------------------------ the hook
 */

Test(sync_hostile, the_hook_refuses_what_is_not_the_pushers)
{
    static const struct {
        const char *name;
        const char *command; /* with the stream's ref as $R */
        const char *words;
    } rows[] = {
        { "another ref",
          "git -C anna/outgoing.git push -q ../../log/log.git "
          "$R:refs/heads/mine",
          "not a ref of this log" },
        { "the hub's log",
          "git -C anna/outgoing.git push -q ../../log/log.git "
          "$R:refs/heads/log",
          "" },
        { "a ref that is removed",
          "git -C anna/outgoing.git push -q ../../log/log.git :$R", "" },
        { "another stream's ref",
          "git -C anna/outgoing.git push -q ../../log/log.git "
          "$R:refs/heads/device/0123456789abcdef0123456789abcdef",
          "another stream" },
        { "a commit that nobody signed",
          "git clone -q --bare log/log.git x.git && cd x.git && "
          "git push -q ../log/log.git $(git -c user.name=x -c user.email=x@y "
          "commit-tree -p $R -m x $R^{tree}):$R",
          "" },
    };

    (void)settled_case();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int code = sync_kit_run(&kit, output, sizeof output,
                                "R=refs/heads/device/%s; %s", stream_hex(anna),
                                rows[i].command);
        cr_expect(code != 0, "%s was taken", rows[i].name);
        cr_expect(strstr(output, rows[i].words) != NULL, "%s: %s", rows[i].name,
                  output);
    }
    run("git -C log/log.git fsck --strict");
    merge();
}

Test(sync_hostile, an_unknown_device_is_refused_by_hook_and_hub)
{
    sync_kit other;
    sync_kit_begin(&other, CASEBOUND_CHECK_PUSH);
    cb_store *stranger = sync_kit_device(&other, "stranger");
    (void)store_kit_case(stranger);
    cb_sync_report report;
    const cb_sync_options options = { .log_address = kit.log };
    cb_status status = cb_sync_run(stranger, &options, &report, test_error());
    cr_expect(status == CB_REFUSED, "%s", test_describe(status));
    cr_expect(strstr(test_error()->meaning, "another service") != NULL, "%s",
              test_describe(status));

    /* The same past a log host whose hooks are gone. */
    run("rm log/log.git/hooks/pre-receive log/mail.git/hooks/pre-receive");
    expect_ok(cb_sync_run(stranger, &options, &report, test_error()));
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    cb_hub_report merged = sync_kit_merge(&kit);
    cr_expect(merged.refused_streams == 1 && merged.accepted > 0);
    cr_expect(merged.stream_count == 2);
    for (size_t i = 0; i < merged.stream_count; i++) {
        const cb_hub_stream_report *row = &merged.streams[i];
        cr_expect(row->known == (row->status == CB_OK));
        cr_expect(row->known || strstr(row->reason, "another service"), "%s",
                  row->reason);
    }
    cb_hub_report_clear(&merged);
    cb_store_close(stranger);
    sync_kit_end(&other);
}

/* -------------------------------------------------------- damaged by somebody
 */

/* A stream's next commit with these files, pushed past the hook. */
static void push_commit(cb_store *store, cb_span segment, cb_span manifest,
                        bool own_key)
{
    cb_git_repository *repository = NULL;
    cb_git_oid parent;
    cb_git_oid oid;
    char path[STORE_KIT_PATH_BYTES];
    cb_transport *transport = NULL;
    const cb_store_identity identity = identity_of(store);
    cb_ref_name ref = cb_ref_make(CB_REF_DEVICE_PREFIX, identity.stream.bytes);
    run("rm -f log/log.git/hooks/pre-receive");
    expect_ok(cb_git_begin(test_error()));
    expect_ok(cb_git_repository_open(
        store_kit_path(&kit.stores, "anna/outgoing.git", path), &repository,
        test_error()));
    expect_ok(cb_git_ref_get(repository, ref.text, &parent, test_error()));
    const cb_git_file files[] = {
        { .path = "manifest", .content = manifest },
        { .path = "segment", .content = segment },
    };
    const cb_git_commit_plan plan = {
        .parent = &parent,
        .files = files,
        .file_count = 2,
        .message = "segment\n",
        .position = 1,
        .secret_key = own_key ? cb_exchange_stream_key(store)
                              : cb_exchange_device_key(store),
    };
    expect_ok(cb_git_commit_create(repository, &plan, &oid, test_error()));
    expect_ok(
        cb_git_ref_swap(repository, ref.text, &oid, &parent, test_error()));
    expect_ok(cb_transport_open(kit.log, &transport, test_error()));
    const cb_git_push_request request = { .transport = transport,
                                          .repository = CB_GIT_LOG,
                                          .local_ref = ref.text,
                                          .remote_ref = ref.text };
    expect_ok(cb_git_push(repository, &request, NULL, test_error()));
    cb_transport_close(transport);
    cb_git_repository_close(repository);
    cb_git_end();
}

static cb_status add_entry(void *context, cb_span entry, uint64_t log_index,
                           cb_error *error)
{
    (void)log_index;
    return cb_segment_append(context, entry, error);
}

/* Anna's next entries as a segment. */
static void next_segment(uint64_t first_seq, cb_segment_builder *builder)
{
    const cb_store_identity identity = identity_of(anna);
    const cb_segment_facts facts = { .stream = identity.stream,
                                     .first_seq = first_seq,
                                     .count =
                                         identity.head_seq + 1 - first_seq };
    cb_segment_builder_init(builder);
    expect_ok(cb_exchange_segment_entries(anna, &facts, add_entry, builder,
                                          test_error()));
}

Test(sync_hostile, damaged_segments_are_reported_and_delay_nobody)
{
    static const struct {
        const char *name;
        size_t flip; /* byte to change from the end; 0: none */
        uint64_t first_seq_off;
        bool other_key;
        const char *words;
    } rows[] = {
        { "a signature", 3, 0, false, "SIG" },
        { "a body", 80, 0, false, "" },
        { "a manifest that lies", 0, 1, false, "" },
        { "a commit by another key", 0, 0, true, "" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_segment_builder builder;
        cb_segment_manifest manifest;
        cb_buffer line;
        if (i > 0) {
            end();
            begin();
        }
        cb_case_id case_id = settled_case();
        const cb_store_identity whose = identity_of(anna);
        uint64_t first = whose.head_seq + 1;
        (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
        next_segment(first, &builder);
        if (rows[i].flip > 0) {
            builder.bytes.bytes[builder.bytes.size - rows[i].flip] ^= 1;
        }
        expect_ok(cb_segment_manifest_make(
            &whose.stream, first + rows[i].first_seq_off,
            cb_span_of_buffer(&builder.bytes), &manifest, test_error()));
        cb_buffer_init(&line, 1024);
        cb_segment_manifest_format(&manifest, &line);
        push_commit(anna, cb_span_of_buffer(&builder.bytes),
                    cb_span_of_buffer(&line), !rows[i].other_key);
        cb_buffer_clear(&line);
        cb_segment_builder_clear(&builder);

        (void)store_kit_case(bert);
        (void)sync_kit_sync(&kit, bert);
        cb_hub_report report = sync_kit_merge(&kit);
        cr_expect(report.refused_streams == 1, "%s", rows[i].name);
        cr_expect(report.accepted == identity_of(bert).head_seq);
        for (size_t k = 0; k < report.stream_count; k++) {
            const cb_hub_stream_report *row = &report.streams[k];
            cr_expect(row->status == CB_OK || row->head_seq == first - 1);
            cr_expect(row->status == CB_OK ||
                          strstr(row->reason, rows[i].words) != NULL,
                      "%s: %s", rows[i].name, row->reason);
        }
        cb_hub_report_clear(&report);
    }
}

/* ------------------------------------------------------------- a hub that lies
 */

/* Rewrites the newest receipt of Anna's outbox, signed with the hub's key. */
static void forge_receipt(void (*change)(cb_receipt *receipt))
{
    cb_git_repository *repository = NULL;
    cb_git_oid tip;
    cb_git_oid forged;
    cb_git_commit commit;
    cb_receipt receipt;
    cb_buffer text;
    cb_buffer segment;
    char path[STORE_KIT_PATH_BYTES];
    const cb_store_identity hub = identity_of(kit.hub);
    const cb_store_identity device = identity_of(anna);
    cb_ref_name ref = cb_ref_make(CB_REF_OUTBOX_PREFIX, device.device.bytes);
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    cb_buffer_init(&segment, CB_SEGMENT_BYTES_MAX);
    expect_ok(cb_git_begin(test_error()));
    expect_ok(
        cb_git_repository_open(store_kit_path(&kit.stores, "log/log.git", path),
                               &repository, test_error()));
    expect_ok(cb_git_ref_get(repository, ref.text, &tip, test_error()));
    expect_ok(cb_git_commit_read(repository, &tip, &commit, test_error()));
    expect_ok(cb_git_file_read(repository, &commit.tree, "receipt",
                               CB_RECEIPT_BYTES_MAX, &text, test_error()));
    expect_ok(cb_receipt_read(cb_span_of_buffer(&text), hub.hub_key, &receipt,
                              test_error()));
    if (receipt.has_segment) {
        expect_ok(cb_git_file_read(repository, &commit.tree, "segment",
                                   CB_SEGMENT_BYTES_MAX, &segment,
                                   test_error()));
    }
    change(&receipt);
    cb_buffer_reset(&text);
    expect_ok(cb_receipt_write(&receipt, cb_exchange_device_key(kit.hub), &text,
                               test_error()));
    const cb_git_file files[] = {
        { .path = "receipt", .content = cb_span_of_buffer(&text) },
        { .path = "segment", .content = cb_span_of_buffer(&segment) },
    };
    const cb_git_commit_plan plan = {
        .parent = commit.has_parent ? &commit.parent : NULL,
        .files = files,
        .file_count = segment.size > 0 ? 2 : 1,
        .message = "outbox\n",
        .position = receipt.number - 1,
        .secret_key = cb_exchange_device_key(kit.hub),
    };
    expect_ok(cb_git_commit_create(repository, &plan, &forged, test_error()));
    expect_ok(
        cb_git_ref_swap(repository, ref.text, &forged, &tip, test_error()));
    cb_git_commit_clear(&commit);
    cb_receipt_clear(&receipt);
    cb_buffer_clear(&text);
    cb_buffer_clear(&segment);
    cb_git_repository_close(repository);
    cb_git_end();
}

static void spoil_consistency(cb_receipt *receipt)
{
    cr_assert(receipt->consistency.count > 0);
    receipt->consistency.hashes[0].bytes[0] ^= 1;
}

static void spoil_inclusion(cb_receipt *receipt)
{
    cr_assert(receipt->accepted[0].proof.count > 0);
    receipt->accepted[0].proof.hashes[0].bytes[5] ^= 1;
}

static void name_another_entry(cb_receipt *receipt)
{
    receipt->accepted[0].hash.bytes[7] ^= 1;
}

static void name_no_entry(cb_receipt *receipt)
{
    receipt->accepted_count = 0;
}

static void begin_elsewhere(cb_receipt *receipt)
{
    receipt->from--;
}

static void spoil_note(cb_receipt *receipt)
{
    uint8_t *digit = memchr(receipt->note.bytes, '\n', receipt->note.size);
    digit[1] = digit[1] == '9' ? '8' : '9';
}

static void skip_a_number(cb_receipt *receipt)
{
    receipt->number++;
}

static void for_somebody_else(cb_receipt *receipt)
{
    receipt->device.bytes[0] ^= 1;
}

Test(sync_hostile, a_receipt_that_does_not_prove_itself_is_refused)
{
    static const struct {
        void (*change)(cb_receipt *receipt);
        const char *words;
    } rows[] = {
        { spoil_consistency, "REORD" }, { spoil_inclusion, "NOPROOF" },
        { name_another_entry, "FORK" }, { name_no_entry, "ROLLBK" },
        { begin_elsewhere, "" },        { spoil_note, "" },
        { skip_a_number, "receipt" },   { for_somebody_else, "another device" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (i > 0) {
            end();
            begin();
        }
        cb_case_id case_id = settled_case();
        const cb_store_identity before = identity_of(anna);
        (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
        (void)sync_kit_sync(&kit, anna);
        merge();
        forge_receipt(rows[i].change);
        (void)store_kit_person(anna, &case_id, "offender", "Drew Example");
        cb_sync_report report = expect_sync(anna, CB_DAMAGED, rows[i].words);
        cr_expect(report.hub_not_believed);
        cr_expect(report.receipts == 0, "row %zu", i);
        /* What was recorded is sent all the same, and nothing is believed. */
        cr_expect(report.sent_entries > 0, "row %zu", i);
        cr_expect(identity_of(anna).accepted_seq == before.accepted_seq);
        cr_expect(identity_of(anna).seen_size == before.seen_size);
    }
}

static void keep_two_apart(cb_receipt *receipt)
{
    free(receipt->withheld);
    receipt->withheld = calloc(2, sizeof *receipt->withheld);
    cr_assert(receipt->withheld != NULL);
    receipt->withheld_count = receipt->withheld_total = 2;
    for (size_t i = 0; i < 2; i++) {
        receipt->withheld[i].stream = identity_of(anna).stream;
        receipt->withheld[i].seq = identity_of(anna).head_seq - i;
        (void)snprintf(receipt->withheld[i].reason,
                       sizeof receipt->withheld[i].reason, "beyond the cut");
    }
}

Test(sync_hostile, what_the_hub_keeps_apart_is_not_called_safe)
{
    cb_case_id case_id = settled_case();
    (void)store_kit_person(anna, &case_id, "victim", "Casey Example");
    (void)sync_kit_sync(&kit, anna);
    merge();
    forge_receipt(keep_two_apart);
    /* The second run reads no receipt. */
    for (int i = 0; i < 2; i++) {
        cb_sync_report report = sync_kit_sync(&kit, anna);
        cr_expect(report.receipts == (i == 0));
        cr_expect(report.safe_seq == report.head_seq - 2);
        cr_expect(identity_of(anna).accepted_seq == report.head_seq);
        cr_assert(report.withheld_total == 2 && report.withheld_count == 2);
        cr_expect(report.withheld[1].seq == report.head_seq - 1);
        cr_expect(strcmp(report.withheld[1].reason, "beyond the cut") == 0);
    }
}

Test(sync_hostile, an_outbox_that_the_hub_did_not_sign_is_refused)
{
    (void)settled_case();
    (void)store_kit_case(anna);
    (void)sync_kit_sync(&kit, anna);
    merge();
    int code = sync_kit_run(
        &kit, output, sizeof output,
        "cd log/log.git && R=refs/heads/outbox/%s && git update-ref $R $(git "
        "-c user.name=casebound -c user.email=casebound@invalid commit-tree "
        "-p $R^ -m outbox $R^{tree})",
        device_hex(anna));
    cr_assert(code == 0, "%s", output);
    cb_sync_report report = expect_sync(anna, CB_DAMAGED, "");
    cr_expect(report.receipts == 0 && report.hub_not_believed);
}

Test(sync_hostile, a_log_that_may_not_be_written_to_loses_nothing)
{
    (void)settled_case();
    (void)store_kit_case(anna);
    /* Root may write everywhere; whoever runs this, nobody may not. */
    if (geteuid() == 0) {
        run("chown -R 65534:65534 .");
        cr_assert(setgid(65534) == 0 && setuid(65534) == 0);
        if (access(CASEBOUND_CHECK_PUSH, X_OK) != 0) {
            cr_skip_test("nobody but root reaches the folder of this build");
        }
    }
    run("chmod -R a-w log/log.git");
    (void)expect_sync(anna, CB_PERMISSION, "may not be written");
    run("chmod -R u+w log/log.git");
    (void)sync_kit_sync(&kit, anna);
}
