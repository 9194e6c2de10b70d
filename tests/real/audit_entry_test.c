/* SPDX-License-Identifier: Apache-2.0 */
/* What entries say: brackets, times, the roster. */
#include <stdlib.h>

#include "support/audit_kit.h"

/* -------------------------------------------------- what an entry says */

Test(audit_entry, brackets_that_no_log_can_have_are_found)
{
    for (int i = 0; i < 3; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        audit_begin(&log, &ann, &bob);
        log_publish(&log);
        log_sync(&log, ann);
        audit_write_many(&log, ann, 1);
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
        audit_expect_both(&log, (audit_planted){ "BRKT", NULL, writer,
                                                 (int)writer->seq, 13 });
        log_end(&log);
    }
}

Test(audit_entry, a_checkpoint_of_a_longer_log_is_a_rollback)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    ann->seen_size = 500;
    log_write(&log, ann);
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "ROLLBK", NULL, ann, 7, 12 });
    log_end(&log);
}

Test(audit_entry, a_time_before_what_the_entry_knew_is_back_dated)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
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
    audit_expect_both(&log, (audit_planted){ "BACKD", NULL, bob, 3, 15 });
    log_end(&log);
}

Test(audit_entry, a_time_that_had_not_come_is_in_the_future)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    bob->now_ms += 400 * 86400000LL;
    log_write(&log, bob);
    log_publish(&log);
    /* Nothing yet says that it had not come. */
    audit_expect_clean(audit_verify(&log, CB_AUDIT_FULL));
    const cb_audit_options options = { .now_ms = log.writers[0].now_ms };
    audit_expect_only(audit_verify_with(&log, options),
                      (audit_planted){ "FUTURE", NULL, bob, 3, 12 });
    log_roster(&log, json_array());
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "FUTURE", NULL, bob, 3, 12 });
    log_end(&log);
}

Test(audit_entry, a_clock_that_went_back_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    ann->now_ms -= 5000;
    log_write(&log, ann);
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "CLKBK", NULL, ann, 7, 12 });
    log_end(&log);
}

/* ------------------------------------------------------------------ roster */

Test(audit_entry, a_roster_that_skips_or_repeats_a_version_is_found)
{
    for (int i = 0; i < 3; i++) {
        log_builder log;
        log_writer *ann = NULL;
        log_writer *bob = NULL;
        audit_begin(&log, &ann, &bob);
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
        audit_expect_both(
            &log, (audit_planted){ "ROSTER", NULL, &log.writers[0], 5, 12 });
        log_end(&log);
    }
}

Test(audit_entry, a_stream_of_a_device_that_nobody_enrolled_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    /* A certificate of another person's root. */
    log_writer *hub = &log.writers[0];
    cb_secret *own = hub->device_key;
    hub->device_key = bob->device_key;
    log_writer *eve = log_enrol(&log);
    hub->device_key = own;
    log_publish(&log);
    json_t *document = audit_verify(&log, CB_AUDIT_FULL);
    const json_t *findings = json_object_get(document, "findings");
    /* The roster's line, and the opening that rests on it. */
    cr_expect(json_array_size(findings) == 2, "%s", audit_dump(document));
    audit_expect_place(json_array_get(findings, 0),
                       &(audit_planted){ "ROSTER", NULL, hub, 5, 12 });
    audit_expect_place(json_array_get(findings, 1),
                       &(audit_planted){ "ROSTER", NULL, eve, 1, 13 });
    json_decref(document);
    log_end(&log);
}

Test(audit_entry, another_service_is_not_the_pinned_one)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_publish(&log);
    json_t *document = NULL;
    cb_audit_options options = { .path = log.root };
    expect_ok(cb_audit_verify(&options, &document, test_error()));
    cr_expect(json_is_false(json_object_get(document, "pinned")));
    json_decref(document);
    document = audit_verify(&log, CB_AUDIT_FULL);
    cr_expect(json_is_true(json_object_get(document, "pinned")));
    json_decref(document);
    log.realm.bytes[0] ^= 1;
    audit_expect_only(audit_verify(&log, CB_AUDIT_FULL),
                      (audit_planted){ "ROSTER", NULL, NULL, -1, 0 });
    log_end(&log);
}

Test(audit_entry, an_entry_beyond_a_cut_is_found)
{
    log_builder log;
    log_writer *ann = NULL;
    log_writer *bob = NULL;
    audit_begin(&log, &ann, &bob);
    log_roster(&log,
               json_pack("[{s:s, s:o, s:i, s:o}]", "op", "revocation", "hash",
                         cb_json_hex(&bob->head, sizeof bob->head), "seq",
                         (int)bob->seq, "stream",
                         cb_json_hex(&bob->stream, sizeof bob->stream)));
    log_publish(&log);
    audit_expect_clean(audit_verify(&log, CB_AUDIT_FULL));
    log_write(&log, bob);
    log_publish(&log);
    audit_expect_both(&log, (audit_planted){ "REVOK", NULL, bob, 3, 13 });
    log_end(&log);
}
