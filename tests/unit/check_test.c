/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody who has a store's key can change in its tables: each change is
 * found and named, and what follows from entries and keys is built again.
 */
#include "support/check_kit.h"

#define OWN   "stream = (SELECT number FROM stream WHERE own = 1)"
#define THREE "WHERE seq = 3 AND " OWN

struct row {
    const char *sql;
    const char *code;
    uint64_t seq;  /* the entry that is named, or 0 */
    bool repaired; /* else the repair is refused */
};

static const struct row rows[] = {
    { "UPDATE entry SET bytes = CAST(substr(bytes, 1, 300) || x'00' || "
      "substr(bytes, 302) AS BLOB) " THREE,
      "entry.changed", 3, false },
    { "UPDATE entry SET bytes = CAST(substr(bytes, 1, length(bytes) - 40) || "
      "x'5a5a' || substr(bytes, length(bytes) - 37) AS BLOB) " THREE,
      "entry.signature", 3, false },
    { "UPDATE entry SET bytes = x'00' " THREE, "entry.unreadable", 3, false },
    { "UPDATE entry SET bytes = (SELECT other.bytes FROM entry AS other WHERE "
      "other.seq = 2 AND other.stream = entry.stream) " THREE,
      "entry.row", 3, false },
    { "UPDATE entry SET hash = randomblob(32) " THREE, "entry.row", 3, false },
    { "UPDATE entry SET kind = 4 " THREE, "entry.row", 3, false },
    { "UPDATE entry SET seq = 99 " THREE, "entry.row", 99, false },
    { "UPDATE entry SET key_id = randomblob(16) " THREE, "entry.row", 3,
      false },
    { "DELETE FROM entry " THREE, "entry.missing", 3, false },
    { "DELETE FROM entry WHERE seq > 3 AND " OWN, "entry.missing", 4, false },
    { "DELETE FROM entry WHERE seq = 1 AND " OWN, "entry.missing", 1, false },
    { "INSERT INTO entry (hash, stream, seq, kind, received_ms, state, bytes) "
      "SELECT randomblob(32), stream, seq + 100, kind, 0, 'applied', bytes "
      "FROM entry " THREE,
      "entry.row", 103, false },
    { "UPDATE entry SET bytes = CAST(substr(bytes, 1, 300) || x'00' || "
      "substr(bytes, 302) AS BLOB) WHERE seq = 1 AND " OWN,
      "stream.opening", 1, false },
    { "UPDATE stream SET head_seq = 3, head_hash = (SELECT hash FROM entry "
      "WHERE seq = 3 AND stream = stream.number) WHERE own = 1",
      "stream.head", 3, true },
    { "UPDATE stream SET head_hash = randomblob(32) WHERE own = 1",
      "stream.head", 0, true },
    { "UPDATE stream SET head_seq = head_seq + 1 WHERE own = 1",
      "entry.missing", 0, false },
    { "UPDATE stream SET person = randomblob(16) WHERE own = 0", "stream.row",
      0, true },
    { "UPDATE stream SET public_key = randomblob(32) WHERE own = 0",
      "stream.row", 0, true },
    { "UPDATE segment SET count = count + 40", "stream.segment", 0, false },
    { "UPDATE entry SET state = 'waiting', key = NULL, case_id = NULL " THREE,
      "entry.state", 3, true },
    { "UPDATE entry SET state = 'quarantined', reason = 'none', key = NULL, "
      "case_id = NULL " THREE,
      "entry.state", 3, true },
    { "UPDATE entry SET state = 'waiting' " THREE, "entry.state", 3, true },
    { "UPDATE entry SET case_id = randomblob(16) " THREE, "entry.state", 3,
      true },
    { "UPDATE entry SET key = NULL " THREE, "entry.state", 3, true },
    { "DELETE FROM compartment_key WHERE number = (SELECT key FROM entry "
      "THREE)",
      "key.missing", 3, false },
    { "UPDATE compartment_key SET key = randomblob(32) WHERE number = (SELECT "
      "key FROM entry " THREE ")",
      "key.wrong", 0, false },
    { "UPDATE person SET roles = '[\"supervisor\"]' WHERE name = 'anna'",
      "roster.person", 0, true },
    { "UPDATE person SET name = 'Mallory' WHERE name = 'anna'", "roster.person",
      0, true },
    { "DELETE FROM person WHERE name = 'bert'", "roster.person", 0, true },
    { "INSERT INTO person (id, roles, name) VALUES (randomblob(16), "
      "'[\"supervisor\"]', 'Mallory')",
      "roster.person", 0, true },
    { "UPDATE device SET signing_key = randomblob(32) WHERE hub = 1",
      "roster.device", 0, true },
    { "UPDATE device SET person = randomblob(16) WHERE hub = 0",
      "roster.device", 0, true },
    { "INSERT INTO permission (person, case_id, classes) VALUES "
      "(randomblob(16), randomblob(16), 'VOS')",
      "roster.permission", 0, true },
    { "UPDATE permission SET classes = 'V'", "roster.permission", 0, true },
    { "UPDATE meta SET value = x'0000000000000001' WHERE name = "
      "'roster.version'",
      "roster.version", 0, true },
    { "UPDATE case_file SET state = 'OPEN, NOTHING TO DO'", "state.case", 0,
      true },
    { "UPDATE case_file SET fingerprint = randomblob(32)", "state.case", 0,
      true },
    { "DELETE FROM case_file", "state.case", 0, true },
    { "INSERT INTO case_file (id, fingerprint) VALUES (randomblob(16), "
      "zeroblob(32))",
      "state.case", 0, true },
    { "UPDATE record SET label = 'Mallory' WHERE type = 'person'",
      "state.record", 0, true },
    { "DELETE FROM record WHERE type = 'consent'", "state.record", 0, true },
    { "INSERT INTO record (case_id, id, type, about) VALUES (randomblob(16), "
      "randomblob(16), 'consent', zeroblob(16))",
      "state.record", 0, true },
    { "INSERT INTO conflict (case_id, id, document) SELECT id, randomblob(16), "
      "'{}' FROM case_file",
      "state.conflict", 0, true },
    { "DELETE FROM conflict", "state.conflict", 0, true },
    { "UPDATE conflict SET document = '{}'", "state.conflict", 0, true },
    { "INSERT INTO task (case_id, id, document) SELECT id, randomblob(16), "
      "'{}' FROM case_file",
      "state.task", 0, true },
    { "DELETE FROM meta WHERE name = 'realm.hub'", "identity.missing", 0,
      false },
    { "DROP INDEX entry_by_case", "structure.schema", 0, false },
    { "CREATE TABLE more (a)", "structure.schema", 0, false },
    { "CREATE TRIGGER late AFTER INSERT ON entry BEGIN DELETE FROM task; END",
      "structure.schema", 0, false },
    { "UPDATE meta SET value = (SELECT value FROM meta WHERE name = "
      "'device.signing') WHERE name = 'stream.key'",
      "key.stream", 0, false },
    { "UPDATE meta SET value = (SELECT value FROM meta WHERE name = "
      "'stream.key') WHERE name = 'device.signing'",
      "key.device", 0, false },
    { "UPDATE meta SET value = zeroblob(64) WHERE name = 'device.certificate'",
      "key.certificate", 0, false },
    { "DELETE FROM compartment_key WHERE key_id = (SELECT value FROM meta "
      "WHERE name = 'realm.key')",
      "key.realm", 0, false },
};

/* Statements share a macro that a literal cannot hold. */
static void plant(const struct row *row)
{
    char sql[1024];
    const char *mark = strstr(row->sql, "THREE");
    if (mark == NULL) {
        check_plant("x", row->sql);
        return;
    }
    snprintf(sql, sizeof sql, "%.*s%s%s", (int)(mark - row->sql), row->sql,
             THREE, mark + 5);
    check_plant("x", sql);
}

static void expect_named(const struct row *row, const cb_check_report *report)
{
    const cb_finding *finding = check_find(report, row->code);
    bool named = false;
    for (size_t i = 0; i < cb_check_finding_count(report); i++) {
        const cb_finding *one = cb_check_finding(report, i);
        named = named || (strcmp(one->code, row->code) == 0 &&
                          (row->seq == 0 || one->place.seq == row->seq));
    }
    cr_expect(finding != NULL && named && finding->meaning[0] != '\0' &&
                  finding->next[0] != '\0',
              "%s\n    %s not among %s", row->sql, row->code,
              check_codes(report));
    cr_expect(cb_check_outcome(report, NULL) == CB_DAMAGED, "%s", row->sql);
    cr_expect((cb_check_repair_count(report) > 0) == row->repaired,
              "%s\n    repairs %zu: %s", row->sql,
              cb_check_repair_count(report), check_codes(report));
}

static cb_hash fingerprint_of(const char *name)
{
    cb_store *store = store_kit_open(&kit, name);
    cb_hash fingerprint = store_kit_fingerprint(store, &check_case);
    cb_store_close(store);
    return fingerprint;
}

Test(check, a_sound_store_has_no_findings, .init = check_begin,
     .fini = check_end)
{
    expect_well("anna", "anna");
    expect_well("bert", "bert");
    expect_well("hub", "hub");
    expect_well("anna", "anna, again");
}

Test(check, every_change_in_the_tables_is_named, .init = check_begin,
     .fini = check_end, .timeout = 300)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_copy("anna", "x");
        plant(&rows[i]);
        cb_check_report *report = check_look("x");
        expect_named(&rows[i], report);
        cb_check_report_destroy(report);
        /* Looking changed nothing: the second look finds the same. */
        report = check_look("x");
        expect_named(&rows[i], report);
        cb_check_report_destroy(report);
    }
}

Test(check, a_repair_builds_again_what_follows, .init = check_begin,
     .fini = check_end, .timeout = 300)
{
    cb_hash before = fingerprint_of("anna");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_copy("anna", "x");
        plant(&rows[i]);
        cb_check_report *report = check_repair("x");
        cr_expect((cb_check_outcome(report, NULL) == CB_OK) == rows[i].repaired,
                  "%s\n    %s", rows[i].sql, check_codes(report));
        cr_expect((check_find(report, rows[i].code) != NULL &&
                   check_find(report, rows[i].code)->repaired) ==
                      rows[i].repaired,
                  "%s\n    %s", rows[i].sql, check_codes(report));
        cb_check_report_destroy(report);
        if (rows[i].repaired) {
            expect_well("x", rows[i].sql);
            cb_hash after = fingerprint_of("x");
            expect_bytes(&after, sizeof after, &before, sizeof before);
        }
    }
}

/* A hub has tables and a log that devices do not have. */
Test(check, a_hub_is_checked_and_repaired_too, .init = check_begin,
     .fini = check_end, .timeout = 120)
{
    static const struct row hub_rows[] = {
        { "UPDATE permission SET classes = 'V'", "roster.permission", 0, true },
        { "UPDATE device SET sealing_key = randomblob(32) WHERE hub = 0",
          "roster.device", 0, true },
        { "UPDATE stream SET head_seq = 2, head_hash = (SELECT hash FROM entry "
          "WHERE seq = 2 AND stream = stream.number) WHERE own = 0",
          "stream.head", 2, true },
        { "UPDATE entry SET log_index = 5000 WHERE log_index = 3",
          "entry.missing", 0, false },
        { "UPDATE case_file SET conflicts = 7", "state.case", 0, true },
    };
    for (size_t i = 0; i < sizeof hub_rows / sizeof hub_rows[0]; i++) {
        check_copy("hub", "x");
        plant(&hub_rows[i]);
        cb_check_report *report = check_look("x");
        expect_named(&hub_rows[i], report);
        cb_check_report_destroy(report);
        report = check_repair("x");
        cb_check_report_destroy(report);
        if (hub_rows[i].repaired) {
            expect_well("x", hub_rows[i].sql);
        }
    }
}

/* What the hub remembers of its exchange is in the same row as the keys. */
Test(check, a_repair_of_the_roster_keeps_what_is_not_in_it, .init = check_begin,
     .fini = check_end)
{
    check_copy("hub", "x");
    check_plant("x", "UPDATE device SET sealing_key = randomblob(32), "
                     "outbox_log_index = 3, receipt_seq = 2 WHERE hub = 0");
    cb_check_report *report = check_repair("x");
    cb_check_report_destroy(report);
    cb_store *store = store_kit_open(&kit, "x");
    sqlite3_stmt *statement = NULL;
    cr_assert(sqlite3_prepare_v2(store->database->connection,
                                 "SELECT count(*), (SELECT count(*) FROM "
                                 "outbox_backlog) FROM device WHERE hub = 0 "
                                 "AND outbox_log_index = 3 AND receipt_seq = 2",
                                 -1, &statement, NULL) == SQLITE_OK);
    cr_assert(sqlite3_step(statement) == SQLITE_ROW);
    cr_expect(sqlite3_column_int(statement, 0) == 2);
    cr_expect(sqlite3_column_int(statement, 1) == 0);
    sqlite3_finalize(statement);
    cb_store_close(store);
}

Test(check, lists_some_of_each_code_and_counts_the_rest, .init = check_begin,
     .fini = check_end)
{
    json_t *document = NULL;
    check_copy("anna", "x");
    check_plant("x",
                "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM "
                "c WHERE i < 50) INSERT INTO case_file (id, fingerprint) "
                "SELECT randomblob(16), zeroblob(32) FROM c");
    cb_check_report *report = check_look("x");
    cr_expect(cb_check_count_of(report, "state.case") == 50);
    cr_expect(cb_check_finding_count(report) == CB_CHECK_FINDINGS_MAX);
    cr_expect(cb_check_not_listed(report) == 50 - CB_CHECK_FINDINGS_MAX);
    cr_expect(cb_check_count(report, CB_SEVERITY_DAMAGE) == 50);
    expect_text(cb_check_repair(report, 0),
                "fold 50 cases anew and write their lists");
    expect_ok(cb_check_document(report, &document, test_error()));
    cr_expect(json_integer_value(json_object_get(
                  json_object_get(document, "counts"), "state.case")) == 50);
    expect_text(json_string_value(json_object_get(document, "result")),
                "damaged");
    json_decref(document);
    cb_check_report_destroy(report);
}

/* ------------------------------------------------------------ interruption */

static bool stop_at_once(void *context)
{
    unsigned *left = context;
    return *left == 0 || --*left == 0;
}

static cb_status refuse(void *context, const cb_check_report *report,
                        cb_error *error)
{
    (void)context;
    cr_expect(cb_check_repair_count(report) == 1);
    return cb_error_set(error, CB_INTERRUPTED, "no");
}

static cb_status check_with(const cb_check_progress *progress, bool repair)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_check_report *report = NULL;
    const cb_store_options store =
        store_kit_options(&kit, store_kit_path(&kit, "x", path));
    const cb_check_options options = { .store = &store,
                                       .passphrase = kit.passphrase,
                                       .progress = progress,
                                       .before_repair = repair ? refuse : NULL,
                                       .repair = repair };
    cb_status status = cb_store_check(&options, &report, test_error());
    cb_check_report_destroy(report);
    return status;
}

Test(check, can_be_stopped_anywhere_and_changes_nothing, .init = check_begin,
     .fini = check_end, .timeout = 120)
{
    check_copy("anna", "x");
    check_plant("x", "DELETE FROM conflict");
    for (unsigned i = 1; i < 40; i++) {
        unsigned left = i;
        const cb_check_progress progress = { .context = &left,
                                             .interrupted = stop_at_once };
        cb_status status = check_with(&progress, false);
        cr_expect(status == CB_INTERRUPTED || (status == CB_OK && left > 0),
                  "%u: %s", i, test_describe(status));
        cb_error_clear(test_error());
    }
    expect_status(CB_INTERRUPTED, check_with(NULL, true));
    cb_check_report *report = check_look("x");
    cr_expect(check_find(report, "state.conflict") != NULL);
    cb_check_report_destroy(report);
}

Test(check, needs_the_passphrase_and_the_store_to_itself, .init = check_begin,
     .fini = check_end)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_check_report *report = NULL;
    cb_secret *wrong = NULL;
    expect_ok(cb_secret_create(12, &wrong, test_error()));
    memcpy(cb_secret_bytes(wrong), "wrong phrase", 12);
    cb_store_options store =
        store_kit_options(&kit, store_kit_path(&kit, "anna", path));
    cb_check_options options = { .store = &store, .passphrase = wrong };
    expect_status(CB_WRONG_KEY,
                  cb_store_check(&options, &report, test_error()));
    options.passphrase = kit.passphrase;
    store.folder = store_kit_path(&kit, "nowhere", path);
    expect_status(CB_NO_STORE, cb_store_check(&options, &report, test_error()));
    cr_expect(report == NULL);
    cb_secret_destroy(wrong);
}
