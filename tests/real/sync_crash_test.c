/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Syncs and merges that are killed at any moment: what was recorded stays, the
 * stores open, and a few rounds later everybody has the same.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/sync_kit.h"

enum {
    ANNA,
    BERT,
    HUB,
    STORES
};

static const char *const names[STORES] = { "anna", "bert", "hub" };
static const int rounds = 36;

static sync_kit kit;

static cb_store_identity identity_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity;
}

/* Park and Miller's, so that a failure can be looked for again. */
static long next_random(void)
{
    static int64_t state = 20170314;
    state = state * 48271 % 2147483647;
    return (long)state;
}

/* What the killed process does.  Never returns. */
static _Noreturn void work(int which)
{
    cb_error error = { 0 };
    cb_store *store = store_kit_open(&kit.stores, names[which]);
    if (which == HUB) {
        cb_hub_report report;
        kit.hub = store;
        (void)sync_kit_try_merge(&kit, &report, &error);
    } else {
        cb_sync_report report;
        (void)sync_kit_try_sync(&kit, store, &report, &error);
    }
    _exit(0);
}

/* True where it was killed before it was done. */
static bool kill_after(int which, long delay_us)
{
    int status = 0;
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        work(which);
    }
    struct timespec pause = { .tv_sec = delay_us / 1000000,
                              .tv_nsec = delay_us % 1000000 * 1000 };
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    cr_assert(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status);
}

static cb_store *open_store(int which)
{
    return store_kit_open(&kit.stores, names[which]);
}

/* Records something, and remembers how far that is acknowledged. */
static uint64_t record(int which, cb_case_id *case_id, bool first)
{
    cb_store *store = open_store(which);
    if (first) {
        *case_id = store_kit_case(store);
    } else {
        (void)store_kit_person(store, case_id, "victim", "Casey Example");
    }
    uint64_t head = identity_of(store).head_seq;
    cb_store_close(store);
    return head;
}

/* A killed push leaves git behind it, which may work for a moment longer. */
static void sync_patiently(cb_store *store)
{
    cb_error error = { 0 };
    cb_sync_report report;
    cb_status status = CB_UNREACHABLE;
    for (int i = 0; i < 10 && status == CB_UNREACHABLE; i++) {
        status = sync_kit_try_sync(&kit, store, &report, &error);
    }
    cr_assert(status == CB_OK, "%s: %s; %s", cb_status_name(status), error.what,
              error.meaning);
}

static void merge_patiently(void)
{
    cb_error error = { 0 };
    cb_hub_report report;
    cb_status status = CB_UNREACHABLE;
    for (int i = 0; i < 10 && status == CB_UNREACHABLE; i++) {
        status = sync_kit_try_merge(&kit, &report, &error);
        cr_expect(report.refused_streams == 0, "%s",
                  report.stream_count > 0 ? report.streams[0].reason : "");
        cb_hub_report_clear(&report);
    }
    cr_assert(status == CB_OK, "%s: %s; %s", cb_status_name(status), error.what,
              error.meaning);
}

/* Everybody has everything, each entry has one place in the log. */
static void expect_converged(const cb_case_id *cases, const uint64_t *heads)
{
    cb_store *stores[2] = { open_store(ANNA), open_store(BERT) };
    cb_hub_report report;
    uint64_t total = 0;
    kit.hub = open_store(HUB);
    for (int round = 0; round < 2; round++) {
        sync_patiently(stores[ANNA]);
        sync_patiently(stores[BERT]);
        merge_patiently();
    }
    for (int i = 0; i < 2; i++) {
        const cb_store_identity other = identity_of(stores[1 - i]);
        expect_ok(cb_roster_permit(kit.hub, &other.person, &cases[i], "VOSRCA",
                                   test_error()));
    }
    merge_patiently();
    sync_patiently(stores[ANNA]);
    sync_patiently(stores[BERT]);
    for (int i = 0; i < 2; i++) {
        const cb_store_identity identity = identity_of(stores[i]);
        cb_stream_facts facts;
        cr_expect(identity.head_seq == heads[i], "%s lost entries", names[i]);
        cr_expect(identity.accepted_seq == heads[i]);
        expect_ok(cb_exchange_stream(kit.hub, &identity.stream, &facts,
                                     test_error()));
        cr_expect(facts.head_seq == heads[i] && !facts.frozen);
        total += facts.head_seq;
    }
    for (int i = 0; i < 2; i++) {
        const cb_hash at_anna = store_kit_fingerprint(stores[ANNA], &cases[i]);
        const cb_hash at_bert = store_kit_fingerprint(stores[BERT], &cases[i]);
        const cb_hash at_hub = store_kit_fingerprint(kit.hub, &cases[i]);
        expect_bytes(&at_anna, sizeof at_anna, &at_bert, sizeof at_bert);
        expect_bytes(&at_anna, sizeof at_anna, &at_hub, sizeof at_hub);
    }
    expect_ok(sync_kit_try_merge(&kit, &report, test_error()));
    total += identity_of(kit.hub).head_seq;
    cr_expect(report.log_size == total, "the log has %llu leaves for %llu",
              (unsigned long long)report.log_size, (unsigned long long)total);
    cb_hub_report_clear(&report);
    cb_store_close(stores[ANNA]);
    cb_store_close(stores[BERT]);
}

Test(sync_crash, a_kill_at_any_moment_loses_and_doubles_nothing, .timeout = 240)
{
    cb_case_id cases[2];
    uint64_t heads[2];
    char output[4096];
    int killed = 0;
    sync_kit_begin(&kit, CASEBOUND_CHECK_PUSH);
    cb_store_close(sync_kit_device(&kit, names[ANNA]));
    cb_store_close(sync_kit_device(&kit, names[BERT]));
    cb_store_close(kit.hub);
    kit.hub = NULL;
    heads[ANNA] = record(ANNA, &cases[ANNA], true);
    heads[BERT] = record(BERT, &cases[BERT], true);

    for (int round = 0; round < rounds; round++) {
        int which = round % STORES;
        long span_us = which == HUB ? 600000 : 250000;
        if (which != HUB) {
            heads[which] = record(which, &cases[which], false);
        }
        killed += kill_after(which, next_random() % span_us);
    }
    cr_expect(killed > rounds / 4, "only %d of %d were killed in time", killed,
              rounds);
    cr_log_info("%d of %d were killed before they were done", killed, rounds);
    expect_converged(cases, heads);
    cr_expect(sync_kit_run(&kit, output, sizeof output,
                           "cd log/log.git && git fsck --strict") == 0,
              "%s", output);
    sync_kit_end(&kit);
}
