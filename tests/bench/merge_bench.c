/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P3, whole: one `hub merge` over a real log host in a folder.  Devices have
 * pushed their streams through stock git and the receiving hook; measured is
 * what the hub does then: fetching, chains, every signature, decryption, merge,
 * positions, tiles read back, checkpoint, outboxes with receipts, all durable.
 *
 * Against libsodium's bare crypto_sign_verify_detached, as many times as there
 * are entries, on as many processors.  A child makes the devices, so that the
 * memory told is the hub's.
 *
 *     merge_bench [--json] [--devices 30] [--each 100] [--case 20]
 */
#include "bench/bench_kit.h"
#include "support/sync_kit.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 16

static void write_cases(cb_store *device, long entries, long case_entries)
{
    cb_case_id case_id;
    for (long i = 0; i < entries; i++) {
        if (i % case_entries == 0) {
            case_id = store_kit_case(device);
        } else {
            store_kit_add(device, &case_id, "preparation", NULL,
                          "{'notes':'spoke about what happened and what would "
                          "help; agreed to think it over and to talk again "
                          "after the weekend; asked whether a friend may come "
                          "along, and how long it would take altogether'}");
        }
    }
}

/* Everything up to the merge; tells the parent where it lies. */
static void make_all(long devices, long each, long case_entries, int output)
{
    sync_kit kit;
    char name[32];
    sync_kit_begin(&kit, CASEBOUND_CHECK_PUSH);
    for (long i = 0; i < devices; i++) {
        snprintf(name, sizeof name, "device-%ld", i);
        cb_store *device = sync_kit_device(&kit, name);
        write_cases(device, each, case_entries);
        (void)sync_kit_sync(&kit, device);
        cb_store_close(device);
    }
    cb_store_close(kit.hub);
    if (write(output, kit.stores.root, sizeof kit.stores.root) !=
            (ssize_t)sizeof kit.stores.root ||
        write(output, kit.log, sizeof kit.log) != (ssize_t)sizeof kit.log) {
        abort();
    }
}

struct share {
    const uint8_t *key;
    const uint8_t *signature;
    const uint8_t *message;
    uint64_t times;
};

static void *verify_share(void *context)
{
    const struct share *share = context;
    for (uint64_t i = 0; i < share->times; i++) {
        if (crypto_sign_verify_detached(share->signature, share->message,
                                        CB_HASH_BYTES, share->key) != 0) {
            abort();
        }
    }
    return NULL;
}

static double verify_bare(uint64_t entries)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
    uint8_t message[CB_HASH_BYTES] = { 7 };
    uint8_t signature[crypto_sign_BYTES];
    pthread_t threads[THREADS_MAX];
    unsigned count = bench_processors();
    count = count > THREADS_MAX ? THREADS_MAX : count;
    (void)crypto_sign_keypair(public_key, secret_key);
    (void)crypto_sign_detached(signature, NULL, message, sizeof message,
                               secret_key);
    struct share share = { public_key, signature, message, entries / count };
    const double start = bench_seconds();
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, verify_share, &share) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    return bench_seconds() - start;
}

static bool read_places(int input, char *root, size_t root_size, char *log,
                        size_t log_size)
{
    return read(input, root, root_size) == (ssize_t)root_size &&
           read(input, log, log_size) == (ssize_t)log_size;
}

int main(int count, char **arguments)
{
    const long devices = bench_number(count, arguments, "--devices", 30);
    const long each = bench_number(count, arguments, "--each", 100);
    const long case_entries = bench_number(count, arguments, "--case", 20);
    sync_kit kit = { 0 };
    char root[sizeof kit.stores.root];
    char machine[512];
    int ends[2];
    int status = 1;
    if (pipe(ends) != 0) {
        return 1;
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        make_all(devices, each, case_entries, ends[1]);
        _exit(0);
    }
    if (child < 0 ||
        !read_places(ends[0], root, sizeof root, kit.log, sizeof kit.log) ||
        waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "the devices could not be made\n");
        return 1;
    }
    store_kit_begin(&kit.stores);
    char unused[sizeof root];
    memcpy(unused, kit.stores.root, sizeof unused);
    memcpy(kit.stores.root, root, sizeof root);
    kit.hub = store_kit_open(&kit.stores, "hub");
    const double start = bench_seconds();
    cb_hub_report report = sync_kit_merge(&kit);
    const double ours = bench_seconds() - start;
    const double bare = verify_bare(report.accepted);
    const double entries = (double)report.accepted;
    bench_machine(machine, sizeof machine);
    printf(bench_flag(count, arguments, "--json")
               ? "{\"bench\":\"P3 whole\",\"machine\":\"%s\",\"entries\":%.0f,"
                 "\"devices\":%ld,\"bare_per_s\":%.0f,\"ours_per_s\":%.0f,"
                 "\"resident_mib\":%ld,\"ratio\":%.2f,\"reach\":0.60}\n"
               : "P3 hub merges, whole, %s, %.0f entries of %ld devices\n"
                 "   bare signatures %.0f/s, ours %.0f/s, resident %ld MiB\n"
                 "   ratio %.2f, to reach 0.60\n",
           machine, entries, devices, entries / bare, entries / ours,
           bench_resident_kib() / 1024, bare / ours);
    cb_hub_report_clear(&report);
    sync_kit_end(&kit);
    (void)rmdir(unused);
    return 0;
}
