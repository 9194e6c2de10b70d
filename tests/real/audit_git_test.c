/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in Git: branches, outboxes, and what makes Git lie. */
#include <stdlib.h>

#include "session/receipt.h"
#include "support/audit_kit.h"

/* ---------------------------------------------------------------- branches */

Test(audit_git, a_changed_body_in_a_branch_is_found_at_its_entry)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    audit_write_many(&log, ann, 2);
    /* ann's second of those that are not published: number 7. */
    ann->entries[1].bytes[CB_ENTRY_HEADER_BYTES + 3] ^= 1;
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "PAY", NULL, ann, 7, 12 });
    log_end(&log);
}

Test(audit_git, a_changed_signature_in_a_branch_is_found_in_the_full_mode)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    ann->entries[0].bytes[ann->entries[0].size - 40] ^= 1;
    log_publish(&log);
    audit_expect_only(audit_verify(&log, CB_AUDIT_FULL),
                      (audit_planted){ "SIG", NULL, ann, 6, ANN_6 });
    log_end(&log);
}

Test(audit_git, another_signed_entry_in_a_branch_is_a_fork)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    const uint64_t seq = bob->seq;
    const cb_hash head = bob->head;
    bob->quiet = true;
    log_write(&log, bob);
    bob->quiet = false;
    bob->seq = seq;
    bob->head = head;
    log_write_unlogged(&log, bob);
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "FORK", NULL, bob, 3, 12 });
    log_end(&log);
}

Test(audit_git, a_branch_that_lost_its_end_is_a_tail)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    log_drop_commit(&log, ann);
    audit_expect_both(&log, (audit_planted){ "TAIL", NULL, ann, 6, -1 });
    log_end(&log);
}

Test(audit_git, what_the_log_does_not_have_yet_is_no_finding)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_write_unlogged(&log, ann);
    log_publish(&log);
    json_t *document = audit_verify(&log, CB_AUDIT_FULL);
    const json_t *streams = json_object_get(document, "streams");
    long waiting = 0;
    for (size_t i = 0; i < json_array_size(streams); i++) {
        waiting += audit_number(json_array_get(streams, i), "not_yet_merged");
    }
    cr_expect(waiting == 1);
    audit_expect_clean(document);
    log_end(&log);
}

Test(audit_git, a_heartbeat_that_saw_more_is_a_tail)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_write_clear(&log, bob, CB_ENTRY_HEARTBEAT,
                    json_pack("{s:[{s:o, s:i, s:o}], s:i}", "heads", "hash",
                              cb_json_hex(&ann->head, sizeof ann->head), "seq",
                              (int)ann->seq + 3, "stream",
                              cb_json_hex(&ann->stream, sizeof ann->stream),
                              "schema", 1));
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "TAIL", NULL, ann, 7, 12 });
    log_end(&log);
}

/* ------------------------------------------------------------------ outbox */

/* What is not as it should be; all zero for an honest one. */
typedef struct planted_receipt {
    uint64_t number;             /* 0: the one that comes next */
    const log_writer *in_outbox; /* of another device */
    const log_writer *signed_by; /* the commit, not by the hub */
    bool other_realm;
    const cb_git_oid *after;
} planted_receipt;

static void commit_receipt(log_builder *log, const char *ref, cb_span text,
                           const planted_receipt *how, cb_git_oid *ret_oid)
{
    const log_writer *signer =
        how->signed_by == NULL ? &log->writers[0] : how->signed_by;
    const cb_git_file file = { .path = "receipt", .content = text };
    const cb_git_commit_plan plan = { .parent = how->after,
                                      .files = &file,
                                      .file_count = 1,
                                      .message = "outbox\n",
                                      .position = how->after == NULL ? 0 : 1,
                                      .secret_key = signer->device_key };
    expect_ok(
        cb_git_commit_create(log->repository, &plan, ret_oid, test_error()));
    log_move_ref(log, ref, ret_oid, how->after);
}

static cb_git_oid plant_receipt(log_builder *log, const log_writer *reader,
                                const cb_tree_head *head, uint64_t seq,
                                uint64_t index, planted_receipt how)
{
    cb_receipt receipt;
    cb_receipt_accepted accepted = { .stream = reader->stream,
                                     .seq = seq,
                                     .hash = reader->head,
                                     .index = index };
    cb_buffer text;
    cb_git_oid oid;
    char ref[CB_GIT_REF_TEXT_BYTES] = "refs/heads/outbox/";
    cb_checkpoint checkpoint = { .head = *head };
    cb_note_key key;
    cb_receipt_init(&receipt);
    receipt.realm = log->realm;
    receipt.device = reader->device;
    receipt.number = how.number != 0 ? how.number : 1 + (how.after != NULL);
    receipt.realm.bytes[0] ^= how.other_realm;
    receipt.accepted = &accepted;
    receipt.accepted_count = 1;
    receipt.time_ms = log->writers[0].now_ms;
    expect_ok(cb_log_key_init(&log->realm, log->writers[0].device_public, &key,
                              test_error()));
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", key.name);
    cb_buffer_init(&receipt.note, CB_CHECKPOINT_BYTES_MAX);
    expect_ok(cb_checkpoint_sign(&checkpoint, &key, log->writers[0].device_key,
                                 &receipt.note, test_error()));
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    expect_ok(cb_receipt_write(&receipt, log->writers[0].device_key, &text,
                               test_error()));
    receipt.accepted = NULL;
    receipt.accepted_count = 0;
    const log_writer *owner = how.in_outbox == NULL ? reader : how.in_outbox;
    cb_hex_format(owner->device.bytes, CB_IDENTIFIER_BYTES, ref + strlen(ref));
    commit_receipt(log, ref, cb_span_of_buffer(&text), &how, &oid);
    cb_receipt_clear(&receipt);
    cb_buffer_clear(&text);
    return oid;
}

static void put_receipt(log_builder *log, const log_writer *reader,
                        const cb_tree_head *head, uint64_t seq, uint64_t index)
{
    (void)plant_receipt(log, reader, head, seq, index, (planted_receipt){ 0 });
}

Test(audit_git, a_receipt_is_held_against_the_log)
{
    for (int i = 0; i < 5; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        audit_begin(&log, &ann, &bob);
        log_publish(&log);
        cb_tree_head head = log.head;
        uint64_t seq = bob->seq;
        uint64_t index = BOB_2;
        if (i == 1) {
            head.size += 10;
        } else if (i == 2) {
            head.root.bytes[0] ^= 1;
        } else if (i == 3) {
            seq += 2;
        } else if (i == 4) {
            index--;
        }
        put_receipt(&log, bob, &head, seq, index);
        static const char *const codes[] = { NULL, "ROLLBK", "SPLIT", "TAIL",
                                             "NOPROOF" };
        if (codes[i] == NULL) {
            audit_expect_clean(audit_verify(&log, CB_AUDIT_FULL));
        } else {
            audit_expect_both(&log,
                              (audit_planted){ codes[i], NULL, NULL, -1, -1 });
        }
        log_end(&log);
    }
}

Test(audit_git, a_receipt_that_is_not_in_its_place_is_found)
{
    enum {
        HONEST,
        DEVICE,
        REALM,
        COMMIT,
        SKIPPED,
        REPEATED,
        ROWS
    };

    static const char *const codes[ROWS] = { NULL,  "NOPROOF", "NOPROOF",
                                             "SIG", "NOPROOF", "ROLLBK" };
    for (int i = 0; i < ROWS; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        audit_begin(&log, &ann, &bob);
        log_publish(&log);
        const cb_git_oid first = plant_receipt(
            &log, bob, &log.head, bob->seq, BOB_2,
            (planted_receipt){ .in_outbox = i == DEVICE ? ann : NULL,
                               .other_realm = i == REALM });
        if (i != DEVICE && i != REALM) {
            (void)plant_receipt(
                &log, bob, &log.head, bob->seq, BOB_2,
                (planted_receipt){ .number = i == SKIPPED    ? 3
                                             : i == REPEATED ? 1
                                                             : 0,
                                   .signed_by = i == COMMIT ? bob : NULL,
                                   .after = &first });
        }
        if (codes[i] == NULL) {
            audit_expect_clean(audit_verify(&log, CB_AUDIT_FAST));
            audit_expect_clean(audit_verify(&log, CB_AUDIT_FULL));
        } else {
            audit_expect_both(
                &log, (audit_planted){ codes[i], i == COMMIT ? NULL : "receipt",
                                       NULL, -1, -1 });
        }
        log_end(&log);
    }
}

Test(audit_git, an_outbox_without_a_readable_receipt_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_git_oid oid;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    log_commit_file(&log, "refs/heads/outbox/00112233445566778899aabbccddeeff",
                    "receipt", cb_span_of_text("{}"), &oid);
    audit_expect_both(&log, (audit_planted){ "SIG", "receipt", NULL, -1, -1 });
    log_commit_file(&log, "refs/heads/outbox/00112233445566778899aabbccddeefe",
                    "other", cb_span_of_text("{}"), &oid);
    json_t *document = audit_verify(&log, CB_AUDIT_FULL);
    audit_expect_place(json_array_get(json_object_get(document, "findings"), 0),
                       &(audit_planted){ "NOPROOF", "receipt", NULL, -1, -1 });
    json_decref(document);
    log_end(&log);
}

/* --------------------------------------------------------------------- git */

Test(audit_git, what_makes_git_lie_is_refused)
{
    static const struct {
        const char *command;
        const char *path;
    } rows[] = {
        { "git -C log.git replace refs/heads/log refs/heads/log~1", NULL },
        { "git -C log.git replace refs/heads/log refs/heads/log~1 && "
          "git -C log.git pack-refs --all",
          NULL },
        { "git -C log.git rev-parse refs/heads/log > log.git/info/grafts",
          "info/grafts" },
        { "git -C log.git rev-parse refs/heads/log > log.git/shallow",
          "shallow" },
        { "echo /elsewhere > log.git/objects/info/alternates",
          "objects/info/alternates" },
        { "echo ../other > log.git/commondir", "commondir" },
        { "git -C log.git config core.hooksPath /tmp", "config" },
        { "git -C log.git config include.path /tmp/x", "config" },
        { "git -C log.git config core.worktree /tmp", "config" },
        { "git -C log.git config remote.o.promisor true", "config" },
        { "git -C log.git config alias.x y", "config" },
        { "touch log.git/objects/pack/pack-1.promisor", "objects/pack" },
        { "git -C log.git tag v1 refs/heads/log", NULL },
        { "git -C log.git branch other refs/heads/log", NULL },
        { "git -C log.git update-ref refs/heads/device/xyz refs/heads/log",
          NULL },
        { "cp -r log.git/objects kept && rm -r log.git/objects && "
          "ln -s \"$PWD/kept\" log.git/objects",
          "objects" },
        { "ln -s /etc log.git/refs/heads/link", NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        audit_begin(&log, &ann, &bob);
        log_publish(&log);
        cr_assert(log_run(&log,
                          "mkdir -p log.git/info log.git/objects/info "
                          "log.git/objects/pack; %s",
                          rows[i].command) == 0,
                  "%s", rows[i].command);
        audit_expect_only(
            audit_verify(&log, CB_AUDIT_FULL),
            (audit_planted){ "GITX", rows[i].path, NULL, -1, -1 });
        log_end(&log);
    }
}

Test(audit_git, a_branch_that_was_taken_away_is_found_and_its_absence_is_not)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    char ref[CB_GIT_REF_TEXT_BYTES];
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    log_ref_of(bob, ref);
    cr_assert(log_run(&log, "git -C log.git update-ref -d %s", ref) == 0);
    audit_expect_both(&log, (audit_planted){ "TAIL", NULL, bob, 1, -1 });

    /* A clone of the log alone proves less, but nothing is wrong with it. */
    cr_assert(log_run(&log, "git -C log.git for-each-ref --format='delete "
                            "%%(refname)' refs/heads/device | git -C log.git "
                            "update-ref --stdin") == 0);
    audit_expect_clean(audit_verify(&log, CB_AUDIT_FULL));
    log_end(&log);
}

Test(audit_git, a_foreign_file_in_the_log_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_buffer content;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    cb_buffer_init(&content, 16);
    cb_buffer_append_text(&content, "x");
    log_replace_file(&log, "notes", &content);
    json_t *document = audit_verify(&log, CB_AUDIT_FAST);
    audit_expect_place(json_array_get(json_object_get(document, "findings"), 0),
                       &(audit_planted){ "GITX", "notes", NULL, -1, -1 });
    json_decref(document);
    cb_buffer_clear(&content);
    log_end(&log);
}

Test(audit_git, any_clone_of_a_log_can_be_checked)
{
    static const struct {
        const char *command;
        const char *path;
        bool has_bodies;
    } rows[] = {
        { "true", "log.git", true },
        { "git clone -q --no-checkout log.git copy", "copy", true },
        { "git clone -q log.git copy", "copy", true },
        { "git clone -q --mirror log.git copy", "copy", true },
        { "git clone -q --bare --single-branch -b log log.git copy", "copy",
          false },
        { "git -C log.git gc -q", "log.git", true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        char path[LOG_PATH_BYTES * 2];
        audit_begin(&log, &ann, &bob);
        log_publish(&log);
        cr_assert(log_run(&log, "%s", rows[i].command) == 0);
        snprintf(path, sizeof path, "%s/%s", log.root, rows[i].path);
        json_t *document =
            audit_verify_with(&log, (cb_audit_options){ .path = path });
        const json_t *counts = json_object_get(document, "counts");
        cr_expect(audit_number(counts, "entries") == 12);
        cr_expect((audit_number(counts, "bodies_absent") == 0) ==
                      rows[i].has_bodies,
                  "%s", audit_dump(document));
        audit_expect_clean(document);
        log_end(&log);
    }
}

/* ----------------------------------------------------------------- hostile */

Test(audit_git, a_size_that_was_made_up_ends_soon)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_buffer note;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    log.head.size = UINT64_C(1) << 61;
    cb_checkpoint checkpoint = { .head = log.head };
    cb_note_key key;
    expect_ok(cb_log_key_init(&log.realm, log.writers[0].device_public, &key,
                              test_error()));
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", key.name);
    cb_buffer_init(&note, CB_CHECKPOINT_BYTES_MAX);
    expect_ok(cb_checkpoint_sign(&checkpoint, &key, log.writers[0].device_key,
                                 &note, test_error()));
    log_replace_file(&log, "checkpoint", &note);
    json_t *document = audit_verify(&log, CB_AUDIT_AUTO);
    audit_expect_place(
        json_array_get(json_object_get(document, "findings"), 0),
        &(audit_planted){ "NOPROOF", "tile/entries/000", NULL, -1, -1 });
    json_decref(document);
    cb_buffer_clear(&note);
    log_end(&log);
}

Test(audit_git, findings_beyond_the_limit_are_counted)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    for (size_t i = 0; i < CB_AUDIT_FINDINGS_MAX + 50; i++) {
        ann->now_ms -= 2000;
        log_write(&log, ann);
    }
    log_publish(&log);
    json_t *document = audit_verify(&log, CB_AUDIT_FAST);
    cr_expect(json_array_size(json_object_get(document, "findings")) ==
              CB_AUDIT_FINDINGS_MAX);
    cr_expect(audit_number(json_object_get(document, "counts"), "findings") ==
              CB_AUDIT_FINDINGS_MAX + 50);
    json_decref(document);
    log_end(&log);
}

Test(audit_git, what_is_no_log_is_said_to_be_none)
{
    log_builder log;
    json_t *document = NULL;
    char path[LOG_PATH_BYTES * 2];
    log_begin(&log);
    snprintf(path, sizeof path, "%s/nothing", log.root);
    cb_audit_options options = { .path = path };
    expect_status(CB_NOT_FOUND,
                  cb_audit_verify(&options, &document, test_error()));
    /* A repository in which the hub has written nothing. */
    options.path = log.root;
    expect_status(CB_NOT_FOUND,
                  cb_audit_verify(&options, &document, test_error()));
    cr_expect(document == NULL);
    log_end(&log);
}

static bool stop(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total;
    return false;
}

Test(audit_git, a_check_can_be_interrupted)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    json_t *document = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    const cb_audit_options options = { .path = log.root, .progress = stop };
    expect_status(CB_INTERRUPTED,
                  cb_audit_verify(&options, &document, test_error()));
    cr_expect(document == NULL);
    log_end(&log);
}

Test(audit_git, the_report_is_the_same_each_time)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    ann->now_ms -= 5000;
    log_write(&log, ann);
    log_publish(&log);
    json_t *one = audit_verify(&log, CB_AUDIT_FULL);
    json_t *two = audit_verify(&log, CB_AUDIT_FULL);
    char *first = json_dumps(one, JSON_SORT_KEYS);
    char *second = json_dumps(two, JSON_SORT_KEYS);
    expect_text(first, second);
    free(first);
    free(second);
    json_decref(one);
    json_decref(two);
    log_end(&log);
}

Test(audit_git, each_code_is_explained)
{
    for (size_t i = 0; cb_audit_code_at(i) != NULL; i++) {
        const cb_audit_code *code = cb_audit_code_at(i);
        cr_expect(cb_audit_explain(code->code) == code);
        cr_expect(code->meaning[0] != '\0' && code->proves[0] != '\0' &&
                  code->proves_not[0] != '\0' && code->next[0] != '\0');
    }
    cr_expect(cb_audit_explain("gitx") == cb_audit_explain("GITX"));
    cr_expect(cb_audit_explain("NONE") == NULL);
}
