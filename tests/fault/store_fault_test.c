/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has been acknowledged survives: a process that is killed while it
 * writes, files that cannot be written or read, a disk that is full.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

#define KILLS 25

static store_kit kit;

static void begin(void)
{
    store_kit_begin(&kit);
}

static void end(void)
{
    store_kit_end(&kit);
}

static uint64_t head_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity.head_seq;
}

/* Writes for ever; says the number of the newest entry after each change. */
static void write_until_killed(const cb_case_id *case_id, int acknowledge)
{
    cb_store *store = store_kit_open(&kit, "a");
    for (;;) {
        store_kit_person(store, case_id, "victim", "Ash");
        uint64_t head = head_of(store);
        if (write(acknowledge, &head, sizeof head) != (ssize_t)sizeof head) {
            _exit(1);
        }
    }
}

static uint64_t run_and_kill(const cb_case_id *case_id, unsigned after_us)
{
    int channel[2];
    uint64_t acknowledged = 0;
    cr_assert(pipe(channel) == 0);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        close(channel[0]);
        write_until_killed(case_id, channel[1]);
    }
    close(channel[1]);
    /* Counted from the first acknowledgement, so that opening is over. */
    cr_assert(read(channel[0], &acknowledged, sizeof acknowledged) ==
              (ssize_t)sizeof acknowledged);
    const struct timespec pause = { .tv_nsec = (long)after_us * 1000 };
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    while (read(channel[0], &acknowledged, sizeof acknowledged) ==
           (ssize_t)sizeof acknowledged) {
    }
    close(channel[0]);
    waitpid(child, NULL, 0);
    return acknowledged;
}

/* The chain of all own entries, and the case that they make. */
static void expect_sound(cb_store *store, const cb_case_id *case_id)
{
    store_kit_bundle bundle;
    cb_hash previous = { { 0 } };
    store_kit_bundle_begin(&bundle);
    store_kit_collect(store, 1, &bundle);
    cr_expect(bundle.count == head_of(store));
    for (size_t i = 0; i < bundle.count; i++) {
        cb_entry entry;
        expect_ok(cb_entry_decode(store_kit_entry(&bundle, i, NULL), &entry,
                                  test_error()));
        cr_expect(entry.header.seq == i + 1);
        expect_bytes(&entry.header.prev, sizeof previous, &previous,
                     sizeof previous);
        previous = entry.hash;
    }
    store_kit_bundle_end(&bundle);
    store_kit_fingerprint(store, case_id);
}

Test(store_fault, loses_nothing_acknowledged_when_killed, .init = begin,
     .fini = end, .timeout = 120)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_store_close(store);
    for (unsigned i = 0; i < KILLS; i++) {
        const uint64_t acknowledged = run_and_kill(&case_id, i * 397);
        store = store_kit_open(&kit, "a");
        cr_expect(head_of(store) >= acknowledged &&
                      head_of(store) <= acknowledged + 1,
                  "kill %u: %llu acknowledged, %llu here", i,
                  (unsigned long long)acknowledged,
                  (unsigned long long)head_of(store));
        expect_sound(store, &case_id);
        cb_store_close(store);
    }
}

/* ----------------------------------------------------- failing side effects */

static int calls_left;

static cb_status failing_replace(void *context, const char *path,
                                 cb_span content, cb_error *error)
{
    const cb_environment *system = cb_environment_system();
    (void)context;
    if (calls_left-- <= 0) {
        return cb_error_set(error, CB_NO_SPACE, "the disk is full");
    }
    return system->replace_file(system->context, path, content, error);
}

static cb_status failing_read(void *context, const char *path,
                              cb_buffer *content, cb_error *error)
{
    const cb_environment *system = cb_environment_system();
    (void)context;
    if (calls_left-- <= 0) {
        return cb_error_set(error, CB_IO, "the drive does not answer");
    }
    return system->read_file(system->context, path, content, error);
}

Test(store_fault, leaves_no_store_that_it_could_not_finish, .init = begin,
     .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    cb_store *store = NULL;
    cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "a", path));
    kit.environment.replace_file = failing_replace;
    calls_left = 0;
    expect_status(CB_NO_SPACE, cb_store_create(&options, kit.passphrase, &store,
                                               test_error()));
    snprintf(file, sizeof file, "%s/casebook.db", path);
    cr_expect(store == NULL && access(file, F_OK) != 0);
    expect_status(CB_NO_STORE, cb_store_open(&options, kit.passphrase, &store,
                                             test_error()));
    calls_left = 100;
    expect_ok(cb_store_create(&options, kit.passphrase, &store, test_error()));
    cb_store_close(store);
}

Test(store_fault, keeps_the_old_passphrase_where_the_new_cannot_be_written,
     .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_secret *fresh = NULL;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "a", path));
    cb_store *store = store_kit_create(&kit, "a");
    expect_ok(cb_secret_create(16, &fresh, test_error()));
    memset(cb_secret_bytes(fresh), 'n', 16);
    kit.environment.replace_file = failing_replace;
    calls_left = 0;
    expect_status(CB_NO_SPACE, cb_store_change_passphrase(store, &options,
                                                          fresh, test_error()));
    cb_store_close(store);
    cb_secret_destroy(fresh);
    cb_store_close(store_kit_open(&kit, "a"));
}

Test(store_fault, says_which_read_failed, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_store *store = store_kit_hub(&kit, "a");
    expect_ok(cb_exchange_write_witness(store, test_error()));
    cb_store_close(store);
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "a", path));
    kit.environment.read_file = failing_read;
    int failures = 0;
    for (int n = 0; n < 10; n++) {
        store = NULL;
        calls_left = n;
        cb_error_clear(test_error());
        cb_status status =
            cb_store_open(&options, kit.passphrase, &store, test_error());
        cr_expect(status == CB_OK || status == CB_IO, "read %d: %s", n,
                  test_describe(status));
        failures += status == CB_IO;
        cb_store_close(store);
    }
    /* unlock.json's; the witness shuts nobody out. */
    cr_expect(failures >= 1 && failures < 10);
}

/* A file may not grow: what SQLite gets is what a full disk gives. */
Test(store_fault, records_nothing_on_a_full_disk_and_goes_on_afterwards,
     .init = begin, .fini = end)
{
    struct rlimit before;
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert(getrlimit(RLIMIT_FSIZE, &before) == 0);
    struct rlimit small = before;
    small.rlim_cur = (rlim_t)200 * 1024;
    cr_assert(setrlimit(RLIMIT_FSIZE, &small) == 0);

    cb_status status = CB_OK;
    uint64_t head = 0;
    const cb_change change = { .case_id = case_id };
    json_t *fields = store_kit_json("{'role':'victim','name':'Ash'}");
    for (int i = 0; i < 200 && status == CB_OK; i++) {
        cb_recorded recorded = { .verdicts = NULL };
        head = head_of(store);
        cb_error_clear(test_error());
        status = cb_store_add(store, &change, "person", NULL, fields, &recorded,
                              test_error());
        cb_recorded_clear(&recorded);
    }
    cr_expect(status == CB_NO_SPACE || status == CB_IO, "%s",
              test_describe(status));
    expect_contains(test_error()->meaning, "recorded");
    cr_expect(head_of(store) == head);

    cr_assert(setrlimit(RLIMIT_FSIZE, &before) == 0);
    cb_recorded recorded;
    expect_ok(cb_store_add(store, &change, "person", NULL, fields, &recorded,
                           test_error()));
    cb_recorded_clear(&recorded);
    json_decref(fields);
    expect_sound(store, &case_id);
    cb_store_close(store);
    store = store_kit_open(&kit, "a");
    cr_expect(head_of(store) == head + 1);
    expect_sound(store, &case_id);
    cb_store_close(store);
}
