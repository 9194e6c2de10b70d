/* SPDX-License-Identifier: Apache-2.0 */
/* What a log says: leaves, tiles, checkpoints. */
#include <stdlib.h>

#include "support/audit_kit.h"

Test(audit, an_honest_log_is_clean_in_both_modes)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    audit_write_many(&log, ann, 600);
    log_publish(&log);
    log_sync(&log, bob);
    audit_write_many(&log, bob, 40);
    log_publish(&log);
    audit_expect_clean(audit_verify(&log, CB_AUDIT_FULL));
    audit_expect_clean(audit_verify(&log, CB_AUDIT_FAST));
    log_end(&log);
}

Test(audit, sizes_around_a_tile_are_clean)
{
    static const size_t more[] = { 0, 240, 1, 1, 1, 255, 1 };
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        audit_write_many(&log, ann, more[i]);
        log_publish(&log);
        audit_expect_clean(audit_verify(&log, CB_AUDIT_FAST));
    }
    log_end(&log);
}

/* ------------------------------------------------------ what the log says */

Test(audit, a_hub_that_changes_a_stub_is_found_at_its_leaf)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    audit_write_many(&log, ann, 3);
    log_leaf(&log, ANN_6)->bytes[CB_ENTRY_HEADER_BYTES + 5] ^= 1;
    log_publish(&log);
    /* The branch still has what the stub was made from. */
    const audit_planted wanted = { "SIG", NULL, ann, 6, ANN_6 };
    audit_expect_both(&log, wanted);
    log_end(&log);
}

Test(audit, a_changed_signature_alone_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    /* The last of its stream, which the fast mode looks at too. */
    log_leaf(&log, BOB_2)->bytes[CB_ENTRY_STUB_BYTES - 40] ^= 1;
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "SIG", NULL, bob, 2, BOB_2 });
    log_end(&log);
}

Test(audit, bytes_that_changed_in_store_are_found_at_their_leaf)
{
    static const char path[] = "tile/entries/000.p/12";
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    cb_buffer content;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    cb_buffer_init(&content, 1 << 20);
    log_read_file(&log, path, &content);
    /* In the last leaf: its body hash. */
    content.bytes[content.size - CB_SIGNATURE_BYTES - 3] ^= 4;
    log_replace_file(&log, path, &content);
    audit_expect_both(&log, (audit_planted){ "SIG", NULL, bob, 2, BOB_2 });
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
        audit_begin(&log, &ann, &bob);
        audit_write_many(&log, ann, 300);
        log_publish(&log);
        cb_buffer_init(&content, CB_TILE_BYTES);
        log_read_file(&log, paths[i], &content);
        content.bytes[content.size - 1] ^= 1;
        log_replace_file(&log, paths[i], &content);
        audit_expect_both(&log,
                          (audit_planted){ "SIG", paths[i], NULL, -1, -1 });
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
        audit_begin(&log, &ann, &bob);
        audit_write_many(&log, ann, 300);
        log_publish(&log);
        log_replace_file(&log, paths[i], NULL);
        audit_expect_both(&log,
                          (audit_planted){ "NOPROOF", paths[i], NULL, -1, -1 });
        log_end(&log);
    }
}

Test(audit, a_missing_number_is_a_gap)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    audit_write_many(&log, ann, 2);
    log_remove_leaf(&log, ANN_6);
    log_publish(&log);
    /* ann 7 stood at 12 and moved up by one. */
    audit_expect_both(&log, (audit_planted){ "GAP", NULL, ann, 6, 11 });
    log_end(&log);
}

Test(audit, two_entries_of_one_number_are_a_fork_with_both_halves)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
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
        json_t *document = audit_verify(&log, (cb_audit_mode)mode);
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
        audit_expect_place(finding,
                           &(audit_planted){ "FORK", NULL, ann, 7, 13 });
        json_decref(document);
    }
    log_end(&log);
}

Test(audit, an_entry_that_continues_another_one_is_a_fork)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    bob->quiet = true;
    bob->head.bytes[3] ^= 1;
    log_write(&log, bob);
    log_publish(&log);
    json_t *document = audit_verify(&log, CB_AUDIT_FAST);
    audit_expect_place(json_array_get(json_object_get(document, "findings"), 0),
                       &(audit_planted){ "FORK", NULL, bob, 3, 12 });
    json_decref(document);
    log_end(&log);
}

/* ------------------------------------------------------------- checkpoints */

Test(audit, a_log_that_went_back_is_a_rollback)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    ann->quiet = true;
    log_publish(&log);
    const cb_audit_checkpoint held = { log.head.size, log.head.root,
                                       "the minutes of 3 March" };
    log_remove_leaf(&log, BOB_2);
    bob->quiet = true;
    log_rehash(&log);
    log_publish(&log);
    /* In its own history; bob's branch is a note, not a finding. */
    audit_expect_both(&log,
                      (audit_planted){ "ROLLBK", "checkpoint", NULL, -1, -1 });
    /* And where the history is gone, by what somebody holds. */
    cb_audit_checkpoint longer = held;
    longer.size += 100;
    json_t *document =
        audit_verify_with(&log, (cb_audit_options){ .checkpoints = &longer,
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
    audit_begin(&log, &ann, &bob);
    cb_audit_checkpoint held[2] = {
        { log.head.size, log.head.root, "one" },
        { log.head.size + 1, log.head.root, "two" },
    };
    log_publish(&log);
    cb_audit_options options = { .checkpoints = held, .checkpoint_count = 1 };
    audit_expect_clean(audit_verify_with(&log, options));
    /* No checkpoint of that size was published: not grown out of it. */
    options.checkpoint_count = 2;
    audit_expect_only(audit_verify_with(&log, options),
                      (audit_planted){ "REORD", NULL, NULL, -1, -1 });
    /* One was: two trees. */
    held[0].root.bytes[0] ^= 1;
    options.checkpoint_count = 1;
    audit_expect_only(audit_verify_with(&log, options),
                      (audit_planted){ "SPLIT", NULL, NULL, -1, -1 });
    held[0] = (cb_audit_checkpoint){ log.head.size + 1, log.head.root, "one" };
    audit_expect_only(audit_verify_with(&log, options),
                      (audit_planted){ "ROLLBK", NULL, NULL, -1, -1 });
    log_end(&log);
}

Test(audit, leaves_that_changed_places_do_not_grow_out_of_the_history)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    const cb_buffer other = *log_leaf(&log, ANN_6);
    *log_leaf(&log, ANN_6) = *log_leaf(&log, BOB_2);
    *log_leaf(&log, BOB_2) = other;
    log_rehash(&log);
    audit_write_many(&log, bob, 1);
    log_publish(&log);
    audit_expect_both(&log,
                      (audit_planted){ "REORD", "checkpoint", NULL, -1, -1 });
    log_end(&log);
}

Test(audit, two_signed_trees_of_one_size_are_a_split)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    const cb_buffer other = *log_leaf(&log, ANN_6);
    *log_leaf(&log, ANN_6) = *log_leaf(&log, BOB_2);
    *log_leaf(&log, BOB_2) = other;
    log_rehash(&log);
    log_publish(&log);
    audit_expect_both(&log,
                      (audit_planted){ "SPLIT", "checkpoint", NULL, -1, -1 });
    log_end(&log);
}

Test(audit, a_checkpoint_that_another_key_signed_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    cb_buffer note;
    cb_buffer_init(&note, CB_CHECKPOINT_BYTES_MAX);
    log_read_file(&log, "checkpoint", &note);
    cr_assert(note.size > 30);
    note.bytes[note.size - 20] = note.bytes[note.size - 20] == 'A' ? 'B' : 'A';
    log_replace_file(&log, "checkpoint", &note);
    audit_expect_both(&log,
                      (audit_planted){ "SIG", "checkpoint", NULL, -1, -1 });
    cb_buffer_clear(&note);
    log_end(&log);
}
