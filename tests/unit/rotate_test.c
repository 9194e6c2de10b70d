/* SPDX-License-Identifier: Apache-2.0 */
/* Another master key. */
#include <string.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/rotate_kit.h"
#include "support/vfs_fixture.h"

#include <casebound/check.h>

TestSuite(rotate, .init = rotate_kit_begin, .fini = rotate_kit_end,
          .timeout = 120);

Test(rotate, puts_everything_under_another_key)
{
    cb_store *store = store_kit_open(&the.kit, "a");
    expect_ok(rotate(store, the.newer));
    cr_expect(!has_old_key(store));
    expect_content(store);
    /* The handle goes on, and what it writes now is there later. */
    store_kit_person(store, &the.case_id, "offender", "Ash");
    the.fingerprint = store_kit_fingerprint(store, &the.case_id);
    cb_store_close(store);

    cr_expect(leftovers() == 0 && !unlock_names_previous());
    cr_expect(!opens(path_of("casebook.db"), the.old_key));
    store = store_kit_open(&the.kit, "a");
    expect_content(store);
    cr_expect(!has_old_key(store));
    cb_store_keys keys;
    cb_store_describe_keys(store, &keys);
    cr_expect(keys.recovery && !keys.rotating && !keys.altered);
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    cr_expect(!identity.restored);
    cb_store_close(store);

    /* The recovery key of before is worth nothing. */
    expect_status(CB_WRONG_KEY, cb_store_check_recovery(
                                    &the.options, the.recovery, test_error()));
    expect_ok(cb_store_check_recovery(&the.options, the.newer, test_error()));
}

Test(rotate, drops_the_recovery_key_where_no_new_one_is_given)
{
    cb_store *store = store_kit_open(&the.kit, "a");
    expect_ok(rotate(store, NULL));
    cb_store_keys keys;
    cb_store_describe_keys(store, &keys);
    cr_expect(!keys.recovery);
    cb_store_close(store);
    expect_status(CB_WRONG_KEY, cb_store_check_recovery(
                                    &the.options, the.recovery, test_error()));
}

Test(rotate, can_be_done_again_and_again)
{
    for (int i = 0; i < 3; i++) {
        cb_store *store = store_kit_open(&the.kit, "a");
        expect_ok(rotate(store, the.newer));
        expect_ok(rotate(store, the.newer));
        expect_content(store);
        cb_store_close(store);
    }
}

Test(rotate, demands_the_passphrase)
{
    cb_store *store = store_kit_open(&the.kit, "a");
    cb_secret *wrong = NULL;
    expect_ok(cb_secret_clone(the.kit.passphrase, &wrong, test_error()));
    cb_secret_bytes(wrong)[0] ^= 1;
    const cb_rotation rotation = { .passphrase = wrong };
    expect_status(CB_WRONG_KEY, cb_store_rotate(store, &the.options, &rotation,
                                                test_error()));
    expect_content(store);
    cb_store_close(store);
    cr_expect(leftovers() == 0);
    store = store_kit_open(&the.kit, "a");
    cr_expect(has_old_key(store));
    cb_store_close(store);
    cb_secret_destroy(wrong);
}

static bool stop_at_once(void *context)
{
    (void)context;
    return true;
}

static void count_progress(void *context, uint64_t done, uint64_t total)
{
    int *calls = context;
    cr_expect(done <= total + total / 2 && total > 0);
    (*calls)++;
}

static void fill(cb_store *store, int rows)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "WITH n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < "
             "%d) INSERT INTO meta SELECT 'fill' || i, randomblob(900) FROM n",
             rows);
    sql_must(store->database->connection, sql);
}

Test(rotate, can_be_interrupted_and_shows_how_far_it_is)
{
    int calls = 0;
    cb_store *store = store_kit_open(&the.kit, "a");
    fill(store, 30000);
    cb_rotation rotation = { .passphrase = the.kit.passphrase,
                             .is_stopped = stop_at_once };
    expect_status(CB_INTERRUPTED, cb_store_rotate(store, &the.options,
                                                  &rotation, test_error()));
    cr_expect(leftovers() <= 1 &&
              access(path_of("casebook.db-next"), F_OK) != 0);
    expect_content(store);
    rotation.is_stopped = NULL;
    rotation.progress = count_progress;
    rotation.context = &calls;
    expect_ok(cb_store_rotate(store, &the.options, &rotation, test_error()));
    cr_expect(calls > 0);
    expect_content(store);
    cb_store_close(store);
}

/* ------------------------------------------------ stopped after the new key */

static const cb_environment *inner;

static cb_status refuse_move(void *context, const char *from, const char *to,
                             cb_error *error)
{
    size_t size = strlen(from);
    if (size > 5 && strcmp(from + size - 5, "-next") == 0) {
        return cb_error_set(error, CB_IO, "cannot rename '%s'", from);
    }
    return inner->move_file(context, from, to, error);
}

/* A fingerprint is due, and the handle has no database any more. */
Test(rotate, can_be_closed_where_it_could_not_be_finished)
{
    cb_environment stubborn = the.kit.environment;
    cb_store *store = NULL;
    inner = &the.kit.environment;
    stubborn.move_file = refuse_move;
    the.options.environment = &stubborn;
    expect_ok(
        cb_store_open(&the.options, the.kit.passphrase, &store, test_error()));
    store_kit_person(store, &the.case_id, "victim_supporter", "Fern");
    store_kit_person(store, &the.case_id, "victim_supporter", "Rowan");
    expect_status(CB_IO, rotate(store, the.newer));
    cr_expect(store->database == NULL);
    cb_store_close(store);

    the.options.environment = &the.kit.environment;
    store = store_kit_open(&the.kit, "a");
    cr_expect(!has_old_key(store));
    store_kit_person(store, &the.case_id, "offender", "Ash");
    cb_store_close(store);
    cr_expect(leftovers() == 0 && !unlock_names_previous());
}

/* Another process in the moment between the key and the pages of a check. */
static void rotate_meanwhile(void *context, const char *phase, uint64_t done,
                             uint64_t total)
{
    int *times = context;
    (void)done;
    (void)total;
    if (strcmp(phase, "checking pages") == 0 && *times > 0) {
        cb_store *store = store_kit_open(&the.kit, "a");
        expect_ok(rotate(store, the.newer));
        cb_store_close(store);
        (*times)--;
    }
}

static cb_status check_meanwhile(int times, cb_check_report **ret_report)
{
    const cb_check_progress progress = { .context = &times,
                                         .step = rotate_meanwhile };
    const cb_check_options options = { .store = &the.options,
                                       .passphrase = the.kit.passphrase,
                                       .progress = &progress };
    cb_error_clear(test_error());
    cb_status status = cb_store_check(&options, ret_report, test_error());
    cr_expect(times == 0, "%d rotations left", times);
    return status;
}

Test(rotate, is_no_damage_to_a_check_that_was_under_way)
{
    cb_check_report *report = NULL;
    expect_ok(check_meanwhile(1, &report));
    expect_ok(cb_check_outcome(report, test_error()));
    for (size_t i = 0; i < cb_check_finding_count(report); i++) {
        const cb_finding *finding = cb_check_finding(report, i);
        cr_expect(finding->severity == CB_SEVERITY_INFORMATION, "%s",
                  finding->code);
    }
    cb_check_report_destroy(report);
}

Test(rotate, lets_a_check_say_that_the_store_is_in_use)
{
    cb_check_report *report = NULL;
    expect_status(CB_IN_USE, check_meanwhile(3, &report));
    cr_expect(report == NULL);
}
