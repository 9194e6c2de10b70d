/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A planted tamper gives exactly its code and its place.  Each test builds a
 * whole log, plants one thing, and reads the report.
 */
#include "support/expect.h"
#include "support/log_builder.h"

#include <casebound/audit.h>
#include <casebound/json.h>

#include <sodium.h>
#include <stdlib.h>

#include "session/receipt.h"

/* What stands in a finding; numbers of -1 are not looked at. */
typedef struct planted {
    const char *code;
    const char *path;
    const log_writer *writer;
    int seq;
    int log_index;
} planted;

static json_t *verify_with(const log_builder *log, cb_audit_options options)
{
    json_t *document = NULL;
    options.path = options.path == NULL ? log->root : options.path;
    options.realm = &log->realm;
    cb_error_clear(test_error());
    cb_status status = cb_audit_verify(&options, &document, test_error());
    cr_assert(document != NULL, "%s", test_describe(status));
    const char *result = json_string_value(json_object_get(document, "result"));
    expect_text(result, status == CB_OK         ? "clean"
                        : status == CB_FINDINGS ? "findings"
                                                : "unchecked");
    return document;
}

static json_t *verify(const log_builder *log, cb_audit_mode mode)
{
    return verify_with(log, (cb_audit_options){ .mode = mode });
}

static const char *dump(const json_t *document)
{
    static char *text;
    free(text);
    text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
    return text;
}

static void expect_clean(json_t *document)
{
    expect_text(json_string_value(json_object_get(document, "result")),
                "clean");
    cr_expect(json_array_size(json_object_get(document, "findings")) == 0, "%s",
              dump(document));
    json_decref(document);
}

static long number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? (long)json_integer_value(value) : -1;
}

static void expect_place(const json_t *finding, const planted *wanted)
{
    const json_t *place = json_object_get(finding, "place");
    char stream[CB_IDENTIFIER_TEXT_BYTES];
    expect_text(json_string_value(json_object_get(finding, "code")),
                wanted->code);
    if (wanted->path != NULL) {
        expect_text(json_string_value(json_object_get(place, "path")),
                    wanted->path);
    }
    if (wanted->writer != NULL) {
        cb_hex_format(wanted->writer->stream.bytes, CB_IDENTIFIER_BYTES,
                      stream);
        expect_text(json_string_value(json_object_get(place, "stream")),
                    stream);
    }
    if (wanted->seq >= 0) {
        cr_expect(number(place, "seq") == wanted->seq, "%s", dump(finding));
    }
    if (wanted->log_index >= 0) {
        cr_expect(number(place, "log_index") == wanted->log_index, "%s",
                  dump(finding));
    }
}

/* Exactly one finding, and it is this. */
static void expect_only(json_t *document, planted wanted)
{
    const json_t *findings = json_object_get(document, "findings");
    cr_expect(json_array_size(findings) == 1, "%s: %s", wanted.code,
              dump(document));
    if (json_array_size(findings) > 0) {
        expect_place(json_array_get(findings, 0), &wanted);
        cr_expect(cb_audit_explain(wanted.code) != NULL);
    }
    json_decref(document);
}

/* The same in both modes. */
static void expect_both(const log_builder *log, planted wanted)
{
    expect_only(verify(log, CB_AUDIT_FULL), wanted);
    expect_only(verify(log, CB_AUDIT_FAST), wanted);
}

static void write_many(log_builder *log, log_writer *writer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        log_write(log, writer);
    }
}

/* Two devices that write in turns, published twice; 12 + 300 leaves. */
static void begin(log_builder *log, log_writer **ann, log_writer **bob)
{
    log_begin(log);
    *ann = log_enrol(log);
    *bob = log_enrol(log);
    write_many(log, *ann, 4);
    log_publish(log);
    log_sync(log, *ann);
    write_many(log, *ann, 1);
    write_many(log, *bob, 1);
}

/* Leaves so far: hub 1, roster 1, roster+opening twice, four of ann, then
 * ann 6 at index 10 and bob 2 at index 11. */
#define ANN_6 10
#define BOB_2 11

Test(audit, an_honest_log_is_clean_in_both_modes)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    write_many(&log, ann, 600);
    log_publish(&log);
    log_sync(&log, bob);
    write_many(&log, bob, 40);
    log_publish(&log);
    expect_clean(verify(&log, CB_AUDIT_FULL));
    expect_clean(verify(&log, CB_AUDIT_FAST));
    log_end(&log);
}

Test(audit, sizes_around_a_tile_are_clean)
{
    static const size_t more[] = { 0, 240, 1, 1, 1, 255, 1 };
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        write_many(&log, ann, more[i]);
        log_publish(&log);
        expect_clean(verify(&log, CB_AUDIT_FAST));
    }
    log_end(&log);
}

/* ------------------------------------------------------ what the log says */

Test(audit, a_hub_that_changes_a_stub_is_found_at_its_leaf)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    write_many(&log, ann, 3);
    log_leaf(&log, ANN_6)->bytes[CB_ENTRY_HEADER_BYTES + 5] ^= 1;
    log_publish(&log);
    /* The branch still has what the stub was made from. */
    const planted wanted = { "SIG", NULL, ann, 6, ANN_6 };
    expect_both(&log, wanted);
    log_end(&log);
}

Test(audit, a_changed_signature_alone_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    /* The last of its stream, which the fast mode looks at too. */
    log_leaf(&log, BOB_2)->bytes[CB_ENTRY_STUB_BYTES - 40] ^= 1;
    log_publish(&log);
    expect_both(&log, (planted){ "SIG", NULL, bob, 2, BOB_2 });
    log_end(&log);
}

Test(audit, bytes_that_changed_in_store_are_found_at_their_leaf)
{
    static const char path[] = "tile/entries/000.p/12";
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_buffer content;
    begin(&log, &ann, &bob);
    log_publish(&log);
    cb_buffer_init(&content, 1 << 20);
    log_read_file(&log, path, &content);
    /* In the last leaf: its body hash. */
    content.bytes[content.size - CB_SIGNATURE_BYTES - 3] ^= 4;
    log_replace_file(&log, path, &content);
    expect_both(&log, (planted){ "SIG", NULL, bob, 2, BOB_2 });
    cb_buffer_clear(&content);
    log_end(&log);
}

Test(audit, a_changed_tile_of_each_level_is_found_at_its_path)
{
    static const char *const paths[] = { "tile/0/000", "tile/0/001.p/56",
                                         "tile/1/000.p/1" };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        cb_buffer content;
        begin(&log, &ann, &bob);
        write_many(&log, ann, 300);
        log_publish(&log);
        cb_buffer_init(&content, CB_TILE_BYTES);
        log_read_file(&log, paths[i], &content);
        content.bytes[content.size - 1] ^= 1;
        log_replace_file(&log, paths[i], &content);
        expect_both(&log, (planted){ "SIG", paths[i], NULL, -1, -1 });
        cb_buffer_clear(&content);
        log_end(&log);
    }
}

Test(audit, a_missing_part_is_no_proof)
{
    static const char *const paths[] = { "tile/0/000", "tile/entries/000",
                                         "tile/1/000.p/1", "checkpoint" };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        begin(&log, &ann, &bob);
        write_many(&log, ann, 300);
        log_publish(&log);
        log_replace_file(&log, paths[i], NULL);
        expect_both(&log, (planted){ "NOPROOF", paths[i], NULL, -1, -1 });
        log_end(&log);
    }
}

Test(audit, a_missing_number_is_a_gap)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    write_many(&log, ann, 2);
    log_remove_leaf(&log, ANN_6);
    log_publish(&log);
    /* ann 7 stood at 12 and moved up by one. */
    expect_both(&log, (planted){ "GAP", NULL, ann, 6, 11 });
    log_end(&log);
}

Test(audit, two_entries_of_one_number_are_a_fork_with_both_halves)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    ann->quiet = true;
    const uint64_t seq = ann->seq;
    const cb_hash head = ann->head;
    log_write(&log, ann);
    const cb_hash first = ann->head;
    ann->seq = seq;
    ann->head = head;
    ann->now_ms += 60000;
    log_write(&log, ann);
    log_publish(&log);
    for (int mode = CB_AUDIT_FULL; mode <= CB_AUDIT_FAST; mode++) {
        json_t *document = verify(&log, (cb_audit_mode)mode);
        const json_t *finding =
            json_array_get(json_object_get(document, "findings"), 0);
        const json_t *evidence = json_object_get(finding, "evidence");
        char text[CB_HASH_TEXT_BYTES];
        cb_hex_format(first.bytes, sizeof first.bytes, text);
        expect_text(json_string_value(json_object_get(evidence, "other")),
                    text);
        cb_hex_format(ann->head.bytes, sizeof ann->head.bytes, text);
        expect_text(json_string_value(json_object_get(evidence, "entry")),
                    text);
        /* The branch was not written after that: its end is missing too. */
        cr_expect(json_array_size(json_object_get(document, "findings")) == 2);
        expect_place(finding, &(planted){ "FORK", NULL, ann, 7, 13 });
        json_decref(document);
    }
    log_end(&log);
}

Test(audit, an_entry_that_continues_another_one_is_a_fork)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_publish(&log);
    bob->quiet = true;
    bob->head.bytes[3] ^= 1;
    log_write(&log, bob);
    log_publish(&log);
    json_t *document = verify(&log, CB_AUDIT_FAST);
    expect_place(json_array_get(json_object_get(document, "findings"), 0),
                 &(planted){ "FORK", NULL, bob, 3, 12 });
    json_decref(document);
    log_end(&log);
}

/* ------------------------------------------------------------- checkpoints */

Test(audit, a_log_that_went_back_is_a_rollback)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    ann->quiet = true;
    log_publish(&log);
    const cb_audit_checkpoint held = { log.head.size, log.head.root,
                                       "the minutes of 3 March" };
    log_remove_leaf(&log, BOB_2);
    bob->quiet = true;
    log_rehash(&log);
    log_publish(&log);
    /* In its own history; bob's branch is a note, not a finding. */
    expect_both(&log, (planted){ "ROLLBK", "checkpoint", NULL, -1, -1 });
    /* And where the history is gone, by what somebody holds. */
    cb_audit_checkpoint longer = held;
    longer.size += 100;
    json_t *document =
        verify_with(&log, (cb_audit_options){ .checkpoints = &longer,
                                              .checkpoint_count = 1 });
    const json_t *findings = json_object_get(document, "findings");
    cr_expect(json_array_size(findings) == 2);
    expect_text(
        json_string_value(json_object_get(
            json_object_get(json_array_get(findings, 1), "place"), "holder")),
        "the minutes of 3 March");
    json_decref(document);
    log_end(&log);
}

Test(audit, a_held_checkpoint_of_the_tree_is_accepted_and_another_is_not)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    cb_audit_checkpoint held[2] = {
        { log.head.size, log.head.root, "one" },
        { log.head.size + 1, log.head.root, "two" },
    };
    log_publish(&log);
    cb_audit_options options = { .checkpoints = held, .checkpoint_count = 1 };
    expect_clean(verify_with(&log, options));
    /* No checkpoint of that size was published: not grown out of it. */
    options.checkpoint_count = 2;
    expect_only(verify_with(&log, options),
                (planted){ "REORD", NULL, NULL, -1, -1 });
    /* One was: two trees. */
    held[0].root.bytes[0] ^= 1;
    options.checkpoint_count = 1;
    expect_only(verify_with(&log, options),
                (planted){ "SPLIT", NULL, NULL, -1, -1 });
    held[0] = (cb_audit_checkpoint){ log.head.size + 1, log.head.root, "one" };
    expect_only(verify_with(&log, options),
                (planted){ "ROLLBK", NULL, NULL, -1, -1 });
    log_end(&log);
}

Test(audit, leaves_that_changed_places_do_not_grow_out_of_the_history)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_publish(&log);
    const cb_buffer other = *log_leaf(&log, ANN_6);
    *log_leaf(&log, ANN_6) = *log_leaf(&log, BOB_2);
    *log_leaf(&log, BOB_2) = other;
    log_rehash(&log);
    write_many(&log, bob, 1);
    log_publish(&log);
    expect_both(&log, (planted){ "REORD", "checkpoint", NULL, -1, -1 });
    log_end(&log);
}

Test(audit, two_signed_trees_of_one_size_are_a_split)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_publish(&log);
    const cb_buffer other = *log_leaf(&log, ANN_6);
    *log_leaf(&log, ANN_6) = *log_leaf(&log, BOB_2);
    *log_leaf(&log, BOB_2) = other;
    log_rehash(&log);
    log_publish(&log);
    expect_both(&log, (planted){ "SPLIT", "checkpoint", NULL, -1, -1 });
    log_end(&log);
}

Test(audit, a_checkpoint_that_another_key_signed_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_publish(&log);
    cb_buffer note;
    cb_buffer_init(&note, CB_CHECKPOINT_BYTES_MAX);
    log_read_file(&log, "checkpoint", &note);
    cr_assert(note.size > 30);
    note.bytes[note.size - 20] = note.bytes[note.size - 20] == 'A' ? 'B' : 'A';
    log_replace_file(&log, "checkpoint", &note);
    expect_both(&log, (planted){ "SIG", "checkpoint", NULL, -1, -1 });
    cb_buffer_clear(&note);
    log_end(&log);
}

/* -------------------------------------------------- what an entry says */

Test(audit, brackets_that_no_log_can_have_are_found)
{
    for (int i = 0; i < 3; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        begin(&log, &ann, &bob);
        log_publish(&log);
        log_sync(&log, ann);
        write_many(&log, ann, 1);
        switch (i) {
        case 0: ann->seen_size = 9; break;
        case 1: ann->seen_root.bytes[0] ^= 1; break;
        default:
            log_sync(&log, bob);
            bob->seen_size = 5;
            break;
        }
        log_writer *writer = i < 2 ? ann : bob;
        log_write(&log, writer);
        log_publish(&log);
        expect_both(&log,
                    (planted){ "BRKT", NULL, writer, (int)writer->seq, 13 });
        log_end(&log);
    }
}

Test(audit, a_checkpoint_of_a_longer_log_is_a_rollback)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    ann->seen_size = 500;
    log_write(&log, ann);
    log_publish(&log);
    expect_both(&log, (planted){ "ROLLBK", NULL, ann, 7, 12 });
    log_end(&log);
}

Test(audit, a_time_before_what_the_entry_knew_is_back_dated)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log.writers[0].now_ms += 30 * 86400000LL;
    log_roster(&log, json_array());
    log_publish(&log);
    log_writer *carl = log_enrol(&log);
    log_publish(&log);
    /* Her first entry of today says that it is from last month. */
    const int64_t now_ms = bob->now_ms;
    log_sync(&log, bob);
    bob->now_ms = now_ms;
    log_write(&log, bob);
    (void)carl;
    log_publish(&log);
    expect_both(&log, (planted){ "BACKD", NULL, bob, 3, 15 });
    log_end(&log);
}

Test(audit, a_time_that_had_not_come_is_in_the_future)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    bob->now_ms += 400 * 86400000LL;
    log_write(&log, bob);
    log_publish(&log);
    /* Nothing yet says that it had not come. */
    expect_clean(verify(&log, CB_AUDIT_FULL));
    const cb_audit_options options = { .now_ms = log.writers[0].now_ms };
    expect_only(verify_with(&log, options),
                (planted){ "FUTURE", NULL, bob, 3, 12 });
    log_roster(&log, json_array());
    log_publish(&log);
    expect_both(&log, (planted){ "FUTURE", NULL, bob, 3, 12 });
    log_end(&log);
}

Test(audit, a_clock_that_went_back_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    ann->now_ms -= 5000;
    log_write(&log, ann);
    log_publish(&log);
    expect_both(&log, (planted){ "CLKBK", NULL, ann, 7, 12 });
    log_end(&log);
}

/* ------------------------------------------------------------------ roster */

Test(audit, a_roster_that_skips_or_repeats_a_version_is_found)
{
    for (int i = 0; i < 3; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        begin(&log, &ann, &bob);
        if (i == 0) {
            log.roster++;
        } else if (i == 1) {
            log.roster--;
        } else {
            log.roster_hash.bytes[0] ^= 1;
        }
        const uint32_t known = log.writers[0].roster;
        log_roster(&log, json_array());
        log.writers[0].roster = known;
        log_publish(&log);
        expect_both(&log, (planted){ "ROSTER", NULL, &log.writers[0], 5, 12 });
        log_end(&log);
    }
}

Test(audit, a_stream_of_a_device_that_nobody_enrolled_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    /* A certificate of another person's root. */
    log_writer *hub = &log.writers[0];
    cb_secret *own = hub->device_key;
    hub->device_key = bob->device_key;
    log_writer *eve = log_enrol(&log);
    hub->device_key = own;
    log_publish(&log);
    json_t *document = verify(&log, CB_AUDIT_FULL);
    const json_t *findings = json_object_get(document, "findings");
    /* The roster's line, and the opening that rests on it. */
    cr_expect(json_array_size(findings) == 2, "%s", dump(document));
    expect_place(json_array_get(findings, 0),
                 &(planted){ "ROSTER", NULL, hub, 5, 12 });
    expect_place(json_array_get(findings, 1),
                 &(planted){ "ROSTER", NULL, eve, 1, 13 });
    json_decref(document);
    log_end(&log);
}

Test(audit, another_service_is_not_the_pinned_one)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_publish(&log);
    json_t *document = NULL;
    cb_audit_options options = { .path = log.root };
    expect_ok(cb_audit_verify(&options, &document, test_error()));
    cr_expect(json_is_false(json_object_get(document, "pinned")));
    json_decref(document);
    document = verify(&log, CB_AUDIT_FULL);
    cr_expect(json_is_true(json_object_get(document, "pinned")));
    json_decref(document);
    log.realm.bytes[0] ^= 1;
    expect_only(verify(&log, CB_AUDIT_FULL),
                (planted){ "ROSTER", NULL, NULL, -1, 0 });
    log_end(&log);
}

Test(audit, an_entry_beyond_a_cut_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_roster(&log,
               json_pack("[{s:s, s:o, s:i, s:o}]", "op", "revocation", "hash",
                         cb_json_hex(&bob->head, sizeof bob->head), "seq",
                         (int)bob->seq, "stream",
                         cb_json_hex(&bob->stream, sizeof bob->stream)));
    log_publish(&log);
    expect_clean(verify(&log, CB_AUDIT_FULL));
    log_write(&log, bob);
    log_publish(&log);
    expect_both(&log, (planted){ "REVOK", NULL, bob, 3, 13 });
    log_end(&log);
}

/* ---------------------------------------------------------------- branches */

Test(audit, a_changed_body_in_a_branch_is_found_at_its_entry)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    write_many(&log, ann, 2);
    /* ann's second of those that are not published: number 7. */
    ann->entries[1].bytes[CB_ENTRY_HEADER_BYTES + 3] ^= 1;
    log_publish(&log);
    expect_both(&log, (planted){ "PAY", NULL, ann, 7, 12 });
    log_end(&log);
}

Test(audit, a_changed_signature_in_a_branch_is_found_in_the_full_mode)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    ann->entries[0].bytes[ann->entries[0].size - 40] ^= 1;
    log_publish(&log);
    expect_only(verify(&log, CB_AUDIT_FULL),
                (planted){ "SIG", NULL, ann, 6, ANN_6 });
    log_end(&log);
}

Test(audit, another_signed_entry_in_a_branch_is_a_fork)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
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
    expect_both(&log, (planted){ "FORK", NULL, bob, 3, 12 });
    log_end(&log);
}

Test(audit, a_branch_that_lost_its_end_is_a_tail)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_publish(&log);
    log_drop_commit(&log, ann);
    expect_both(&log, (planted){ "TAIL", NULL, ann, 6, -1 });
    log_end(&log);
}

Test(audit, what_the_log_does_not_have_yet_is_no_finding)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_write_unlogged(&log, ann);
    log_publish(&log);
    json_t *document = verify(&log, CB_AUDIT_FULL);
    const json_t *streams = json_object_get(document, "streams");
    long waiting = 0;
    for (size_t i = 0; i < json_array_size(streams); i++) {
        waiting += number(json_array_get(streams, i), "not_yet_merged");
    }
    cr_expect(waiting == 1);
    expect_clean(document);
    log_end(&log);
}

Test(audit, a_heartbeat_that_saw_more_is_a_tail)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    log_write_clear(&log, bob, CB_ENTRY_HEARTBEAT,
                    json_pack("{s:[{s:o, s:i, s:o}], s:i}", "heads", "hash",
                              cb_json_hex(&ann->head, sizeof ann->head), "seq",
                              (int)ann->seq + 3, "stream",
                              cb_json_hex(&ann->stream, sizeof ann->stream),
                              "schema", 1));
    log_publish(&log);
    expect_both(&log, (planted){ "TAIL", NULL, ann, 7, 12 });
    log_end(&log);
}

/* ------------------------------------------------------------------ outbox */

static void put_receipt(log_builder *log, const log_writer *reader,
                        const cb_tree_head *head, uint64_t seq)
{
    cb_receipt receipt;
    cb_receipt_accepted accepted = { .stream = reader->stream,
                                     .seq = seq,
                                     .hash = reader->head };
    cb_buffer text;
    cb_git_oid oid;
    char ref[CB_GIT_REF_TEXT_BYTES] = "refs/heads/outbox/";
    cb_checkpoint checkpoint = { .head = *head };
    cb_note_key key;
    cb_receipt_init(&receipt);
    receipt.realm = log->realm;
    receipt.device = reader->device;
    receipt.number = 1;
    receipt.accepted = &accepted;
    receipt.accepted_count = 1;
    receipt.time_ms = log->writers[0].now_ms;
    expect_ok(cb_log_key_init(&log->realm, log->writers[0].device_public, &key,
                              test_error()));
    strcpy(checkpoint.origin, key.name);
    cb_buffer_init(&receipt.note, CB_CHECKPOINT_BYTES_MAX);
    expect_ok(cb_checkpoint_sign(&checkpoint, &key, log->writers[0].device_key,
                                 &receipt.note, test_error()));
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    expect_ok(cb_receipt_write(&receipt, log->writers[0].device_key, &text,
                               test_error()));
    receipt.accepted = NULL;
    receipt.accepted_count = 0;
    cb_hex_format(reader->device.bytes, CB_IDENTIFIER_BYTES, ref + strlen(ref));
    log_commit_file(log, ref, "receipt", cb_span_of_buffer(&text), &oid);
    cb_receipt_clear(&receipt);
    cb_buffer_clear(&text);
}

Test(audit, a_receipt_is_held_against_the_log)
{
    for (int i = 0; i < 4; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        begin(&log, &ann, &bob);
        log_publish(&log);
        cb_tree_head head = log.head;
        uint64_t seq = bob->seq;
        if (i == 1) {
            head.size += 10;
        } else if (i == 2) {
            head.root.bytes[0] ^= 1;
        } else if (i == 3) {
            seq += 2;
        }
        put_receipt(&log, bob, &head, seq);
        static const char *const codes[] = { NULL, "ROLLBK", "SPLIT", "TAIL" };
        if (codes[i] == NULL) {
            expect_clean(verify(&log, CB_AUDIT_FULL));
        } else {
            expect_both(&log, (planted){ codes[i], NULL, NULL, -1, -1 });
        }
        log_end(&log);
    }
}

Test(audit, an_outbox_without_a_readable_receipt_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_git_oid oid;
    begin(&log, &ann, &bob);
    log_publish(&log);
    log_commit_file(&log, "refs/heads/outbox/00112233445566778899aabbccddeeff",
                    "receipt", cb_span_of_text("{}"), &oid);
    expect_both(&log, (planted){ "SIG", "receipt", NULL, -1, -1 });
    log_commit_file(&log, "refs/heads/outbox/00112233445566778899aabbccddeefe",
                    "other", cb_span_of_text("{}"), &oid);
    json_t *document = verify(&log, CB_AUDIT_FULL);
    expect_place(json_array_get(json_object_get(document, "findings"), 0),
                 &(planted){ "NOPROOF", "receipt", NULL, -1, -1 });
    json_decref(document);
    log_end(&log);
}

/* --------------------------------------------------------------------- git */

Test(audit, what_makes_git_lie_is_refused)
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
        begin(&log, &ann, &bob);
        log_publish(&log);
        cr_assert(log_run(&log,
                          "mkdir -p log.git/info log.git/objects/info "
                          "log.git/objects/pack; %s",
                          rows[i].command) == 0,
                  "%s", rows[i].command);
        expect_only(verify(&log, CB_AUDIT_FULL),
                    (planted){ "GITX", rows[i].path, NULL, -1, -1 });
        log_end(&log);
    }
}

Test(audit, a_foreign_file_in_the_log_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_buffer content;
    begin(&log, &ann, &bob);
    log_publish(&log);
    cb_buffer_init(&content, 16);
    cb_buffer_append_text(&content, "x");
    log_replace_file(&log, "notes", &content);
    json_t *document = verify(&log, CB_AUDIT_FAST);
    expect_place(json_array_get(json_object_get(document, "findings"), 0),
                 &(planted){ "GITX", "notes", NULL, -1, -1 });
    json_decref(document);
    cb_buffer_clear(&content);
    log_end(&log);
}

Test(audit, any_clone_of_a_log_can_be_checked)
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
        begin(&log, &ann, &bob);
        log_publish(&log);
        cr_assert(log_run(&log, "%s", rows[i].command) == 0);
        snprintf(path, sizeof path, "%s/%s", log.root, rows[i].path);
        json_t *document =
            verify_with(&log, (cb_audit_options){ .path = path });
        const json_t *counts = json_object_get(document, "counts");
        cr_expect(number(counts, "entries") == 12);
        cr_expect((number(counts, "bodies_absent") == 0) == rows[i].has_bodies,
                  "%s", dump(document));
        expect_clean(document);
        log_end(&log);
    }
}

/* ----------------------------------------------------------------- hostile */

Test(audit, a_size_that_was_made_up_ends_soon)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_buffer note;
    begin(&log, &ann, &bob);
    log_publish(&log);
    log.head.size = UINT64_C(1) << 61;
    cb_checkpoint checkpoint = { .head = log.head };
    cb_note_key key;
    expect_ok(cb_log_key_init(&log.realm, log.writers[0].device_public, &key,
                              test_error()));
    strcpy(checkpoint.origin, key.name);
    cb_buffer_init(&note, CB_CHECKPOINT_BYTES_MAX);
    expect_ok(cb_checkpoint_sign(&checkpoint, &key, log.writers[0].device_key,
                                 &note, test_error()));
    log_replace_file(&log, "checkpoint", &note);
    json_t *document = verify(&log, CB_AUDIT_AUTO);
    expect_place(json_array_get(json_object_get(document, "findings"), 0),
                 &(planted){ "NOPROOF", "tile/entries/000", NULL, -1, -1 });
    json_decref(document);
    cb_buffer_clear(&note);
    log_end(&log);
}

Test(audit, findings_beyond_the_limit_are_counted)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    for (size_t i = 0; i < CB_AUDIT_FINDINGS_MAX + 50; i++) {
        ann->now_ms -= 2000;
        log_write(&log, ann);
    }
    log_publish(&log);
    json_t *document = verify(&log, CB_AUDIT_FAST);
    cr_expect(json_array_size(json_object_get(document, "findings")) ==
              CB_AUDIT_FINDINGS_MAX);
    cr_expect(number(json_object_get(document, "counts"), "findings") ==
              CB_AUDIT_FINDINGS_MAX + 50);
    json_decref(document);
    log_end(&log);
}

Test(audit, what_is_no_log_is_said_to_be_none)
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

Test(audit, a_check_can_be_interrupted)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    json_t *document = NULL;
    begin(&log, &ann, &bob);
    log_publish(&log);
    const cb_audit_options options = { .path = log.root, .progress = stop };
    expect_status(CB_INTERRUPTED,
                  cb_audit_verify(&options, &document, test_error()));
    cr_expect(document == NULL);
    log_end(&log);
}

Test(audit, the_report_is_the_same_each_time)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    begin(&log, &ann, &bob);
    ann->now_ms -= 5000;
    log_write(&log, ann);
    log_publish(&log);
    json_t *one = verify(&log, CB_AUDIT_FULL);
    json_t *two = verify(&log, CB_AUDIT_FULL);
    char *first = json_dumps(one, JSON_SORT_KEYS);
    char *second = json_dumps(two, JSON_SORT_KEYS);
    expect_text(first, second);
    free(first);
    free(second);
    json_decref(one);
    json_decref(two);
    log_end(&log);
}

Test(audit, each_code_is_explained)
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
