/* SPDX-License-Identifier: Apache-2.0 */
/* An auditor looks at a service that works: its log, and its hub's store. */
#include <casebound/audit.h>
#include <casebound/json.h>

#include <stdlib.h>

#include "support/expect.h"
#include "support/sync_kit.h"

static sync_kit kit;
static cb_store *anna;
static cb_store *bert;
static cb_case_id the_case;
static int64_t middle_ms;

static cb_store_identity identity_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity;
}

static void merge(void)
{
    cb_hub_report report = sync_kit_merge(&kit);
    cb_hub_report_clear(&report);
}

/* Anna opens a case; Bert may read it and writes into it. */
static void begin(void)
{
    sync_kit_begin(&kit, CASEBOUND_CHECK_PUSH);
    anna = sync_kit_device(&kit, "anna");
    bert = sync_kit_device(&kit, "bert");
    the_case = store_kit_case(anna);
    (void)store_kit_person(anna, &the_case, "victim", "Casey Example");
    (void)sync_kit_sync(&kit, anna);
    (void)sync_kit_sync(&kit, bert);
    merge();
    const cb_store_identity identity = identity_of(bert);
    expect_ok(cb_roster_permit(kit.hub, &identity.person, &the_case, "VOSRCA",
                               test_error()));
    merge();
    (void)sync_kit_sync(&kit, anna);
    (void)sync_kit_sync(&kit, bert);
    kit.stores.now_ms += 3600000;
    middle_ms = kit.stores.now_ms;
    kit.stores.now_ms += 3600000;
    (void)store_kit_person(bert, &the_case, "offender", "Robin Example");
    (void)sync_kit_sync(&kit, bert);
    merge();
    (void)sync_kit_sync(&kit, anna);
    (void)sync_kit_sync(&kit, bert);
}

static void end(void)
{
    cb_store_close(anna);
    cb_store_close(bert);
    sync_kit_end(&kit);
}

TestSuite(audit_store, .init = begin, .fini = end, .timeout = 120);

static const char *dump(const json_t *document)
{
    return json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
}

static void expect_clean_log(const char *path, cb_audit_mode mode)
{
    json_t *document = NULL;
    cb_audit_checkpoint held[16];
    size_t count = 0;
    const cb_store_identity identity = identity_of(anna);
    expect_ok(cb_audit_remembered(anna, held, 16, &count, test_error()));
    cr_expect(count >= 1);
    cr_expect(held[0].size == identity.seen_size);
    const cb_audit_options options = { .path = path,
                                       .mode = mode,
                                       .realm = &identity.realm,
                                       .checkpoints = held,
                                       .checkpoint_count = count,
                                       .now_ms = kit.stores.now_ms };
    const cb_status status = cb_audit_verify(&options, &document, test_error());
    cr_expect(status == CB_OK, "%s %s", cb_status_name(status),
              document == NULL ? test_describe(status) : dump(document));
    /* Every entry, every commit's checkpoint, every receipt's, and ours. */
    const json_t *counts = cb_json_object(document, "counts");
    const json_t *log = cb_json_object(document, "log");
    int64_t entries = 0;
    int64_t size = 0;
    int64_t commits = 0;
    int64_t checkpoints = 0;
    int64_t absent = -1;
    cr_expect(cb_json_integer(counts, "entries", &entries) &&
              cb_json_integer(log, "size", &size) && entries == size &&
              (uint64_t)size >= identity.seen_size);
    cr_expect(cb_json_integer(log, "commits", &commits) &&
              cb_json_integer(counts, "checkpoints", &checkpoints) &&
              checkpoints >= commits + 2 + (int64_t)count);
    cr_expect(cb_json_integer(counts, "bodies_absent", &absent) && absent == 0,
              "%s", dump(document));
    cr_expect(json_is_true(json_object_get(document, "pinned")));
    json_decref(document);
}

Test(audit_store, finds_the_log_of_a_working_service_clean)
{
    expect_clean_log(kit.log, CB_AUDIT_FULL);
    expect_clean_log(kit.log, CB_AUDIT_FAST);
}

static json_t *replay(cb_store *store, cb_as_of as_of, int64_t at_ms)
{
    json_t *document = NULL;
    expect_ok(cb_audit_replay_document(store, as_of, at_ms, NULL, &document,
                                       test_error()));
    return document;
}

static int64_t entries_in(const json_t *document, size_t *ret_cases)
{
    int64_t entries = 0;
    const json_t *cases = cb_json_array(document, "cases");
    *ret_cases = json_array_size(cases);
    if (*ret_cases > 0) {
        cr_expect(
            cb_json_integer(json_array_get(cases, 0), "entries", &entries));
    }
    return entries;
}

Test(audit_store, replays_what_the_hub_had_and_what_people_say)
{
    size_t cases = 0;
    json_t *now = replay(kit.hub, CB_AS_RECEIVED, kit.stores.now_ms);
    json_t *then = replay(kit.hub, CB_AS_RECEIVED, middle_ms);
    json_t *claimed = replay(kit.hub, CB_AS_CLAIMED, middle_ms);
    json_t *before = replay(kit.hub, CB_AS_RECEIVED, 0);
    const int64_t all = entries_in(now, &cases);
    cr_expect(cases == 1);
    const int64_t some = entries_in(then, &cases);
    cr_expect(some > 0 && some < all, "%s %s", dump(now), dump(then));
    cr_expect(entries_in(claimed, &cases) == some);
    (void)entries_in(before, &cases);
    cr_expect(cases == 0);
    /* The state now is that of the store. */
    const cb_hash fingerprint = store_kit_fingerprint(kit.hub, &the_case);
    char text[CB_FINGERPRINT_SHORT_BYTES];
    cb_fingerprint_short(&fingerprint, text);
    expect_text(cb_json_text(json_array_get(cb_json_array(now, "cases"), 0),
                             "fingerprint"),
                text);
    json_decref(now);
    json_decref(then);
    json_decref(claimed);
    json_decref(before);
}

Test(audit_store, shows_each_entry_with_its_times_and_its_bracket)
{
    json_t *document = NULL;
    expect_ok(cb_audit_timeline_document(kit.hub, &the_case, &document,
                                         test_error()));
    const json_t *rows = cb_json_array(document, "rows");
    int64_t last_ms = 0;
    int64_t bracketed = 0;
    cr_assert(json_array_size(rows) >= 3, "%s", dump(document));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const json_t *bracket = cb_json_object(row, "bracket");
        int64_t written_ms = 0;
        int64_t received_ms = 0;
        int64_t after = -1;
        int64_t index = -1;
        int64_t before = -1;
        cr_assert(cb_json_integer(row, "written_ms", &written_ms));
        cr_assert(cb_json_integer(row, "received_ms", &received_ms));
        cr_assert(cb_json_integer(bracket, "after_size", &after));
        cr_assert(cb_json_integer(bracket, "log_index", &index), "%s",
                  dump(row));
        cr_assert(cb_json_integer(bracket, "before_size", &before), "%s",
                  dump(row));
        cr_expect(written_ms >= last_ms && received_ms > written_ms);
        cr_expect(after <= index && index < before);
        cr_expect(json_array_size(cb_json_array(row, "did")) > 0, "%s",
                  dump(row));
        bracketed += after > 0;
        last_ms = written_ms;
    }
    /* Bert had seen the log before he wrote. */
    cr_expect(bracketed > 0, "%s", dump(document));
    json_decref(document);
}

Test(audit_store, says_who_knew_what_and_when)
{
    json_t *document = NULL;
    const cb_store_identity identity = identity_of(anna);
    expect_ok(cb_audit_knew_document(kit.hub, &the_case, &identity.person,
                                     kit.stores.now_ms, &document,
                                     test_error()));
    expect_text(cb_json_text(document, "schema"), "casebound.audit_knew.v1");
    cr_expect(json_array_size(cb_json_array(document, "known")) > 0);
    /* She wrote nothing after Bert did. */
    cr_expect(json_array_size(cb_json_array(document, "not_known")) > 0, "%s",
              dump(document));
    json_decref(document);
}
