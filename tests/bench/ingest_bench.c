/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P3, the engine's share: a hub takes in entries of 150 devices: keys, chains,
 * every signature, decryption, merge, positions in the log, durable.  Tiles and
 * checkpoint are the sync module's and not in here.
 *
 * Against libsodium's bare crypto_sign_verify_detached over the same entries on
 * as many processors.  A child makes hub, devices and what they send; this
 * process is the hub alone, so its memory is the hub's.
 *
 *     ingest_bench [--json] [--entries 20000] [--devices 150] [--case 20]
 */
#include "bench/bench_kit.h"
#include "store/internal.h"
#include "support/store_kit.h"

#include <casebound/json.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX   16
#define FILE_SIZE_MAX ((size_t)256 << 20)

struct plan {
    store_kit kit;
    long entries;
    long devices;
    long case_entries;
};

/* ------------------------------------------------------------ what is sent */

static void write_cases(cb_store *device, long entries, long case_entries)
{
    static const char words[] =
        "spoke about what happened and what would help; agreed to think it "
        "over and to talk again after the weekend; no wish to write a letter "
        "yet; asked whether a friend may come along";
    char fields[512];
    cb_case_id case_id;
    cb_record_id person;
    snprintf(fields, sizeof fields,
             "{'channel':'telephone','direction':'outgoing','outcome':'spoke',"
             "'summary':'%s'}",
             words);
    for (long i = 0; i < entries; i++) {
        if (i % case_entries == 0) {
            case_id = store_kit_case(device);
        } else if (i % case_entries == 1) {
            person = store_kit_person(device, &case_id, "victim", "Somebody");
        } else {
            store_kit_add(device, &case_id, "contact", &person, fields);
        }
    }
}

/* A device's mail and entries into one file. */
static void write_file(const struct plan *plan, long number, cb_store *hub,
                       cb_store *device)
{
    char name[32];
    char path[STORE_KIT_PATH_BYTES];
    cb_error error = { 0 };
    cb_store_identity hub_is;
    cb_store_identity device_is;
    store_kit_bundle bundle;
    cb_buffer mail;
    uint8_t head[8 + CB_IDENTIFIER_BYTES];
    cb_store_identify(hub, &hub_is);
    cb_store_identify(device, &device_is);
    cb_buffer_init(&mail, CB_MAIL_BYTES_MAX);
    store_kit_must(
        cb_exchange_write_mail(device, &hub_is.device, 1, &mail, &error),
        &error, "writing mail");
    store_kit_bundle_begin(&bundle);
    store_kit_collect(device, 1, &bundle);
    snprintf(name, sizeof name, "sent.%ld", number);
    FILE *file = fopen(store_kit_path(&plan->kit, name, path), "w");
    cb_put_u64(head, mail.size);
    memcpy(head + 8, device_is.device.bytes, CB_IDENTIFIER_BYTES);
    if (file == NULL || fwrite(head, 1, sizeof head, file) != sizeof head ||
        fwrite(mail.bytes, 1, mail.size, file) != mail.size ||
        fwrite(bundle.bytes.bytes, 1, bundle.bytes.size, file) !=
            bundle.bytes.size ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    cb_buffer_clear(&mail);
    store_kit_bundle_end(&bundle);
}

static void make_all(struct plan *plan)
{
    cb_error error = { 0 };
    cb_store *hub = store_kit_hub(&plan->kit, "hub");
    for (long i = 0; i < plan->devices; i++) {
        char name[32];
        snprintf(name, sizeof name, "device %ld", i);
        cb_store *device =
            store_kit_device(&plan->kit, hub, name, "facilitator");
        store_kit_must(cb_store_begin(device, &error), &error, "beginning");
        write_cases(device, plan->entries / plan->devices, plan->case_entries);
        store_kit_must(cb_store_commit(device, &error), &error, "committing");
        write_file(plan, i, hub, device);
        cb_store_close(device);
    }
    cb_store_close(hub);
}

/* -------------------------------------------------------------- the hub */

/* One device's delivery: its entries, decoded by the threads. */
struct delivery {
    cb_buffer bytes;
    cb_device_id device;
    cb_span mail;
    cb_span *entries;
    size_t count;
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
};

static void read_delivery(const struct plan *plan, long number,
                          struct delivery *delivery)
{
    char name[32];
    char path[STORE_KIT_PATH_BYTES];
    cb_error error = { 0 };
    const cb_environment *system = cb_environment_system();
    memset(delivery, 0, sizeof *delivery);
    snprintf(name, sizeof name, "sent.%ld", number);
    cb_buffer_init(&delivery->bytes, FILE_SIZE_MAX);
    store_kit_must(system->read_file(system->context,
                                     store_kit_path(&plan->kit, name, path),
                                     &delivery->bytes, &error),
                   &error, "reading");
    const uint8_t *at = delivery->bytes.bytes;
    const uint8_t *end = at + delivery->bytes.size;
    delivery->mail =
        (cb_span){ at + 8 + CB_IDENTIFIER_BYTES, (size_t)cb_get_u64(at) };
    memcpy(delivery->device.bytes, at + 8, CB_IDENTIFIER_BYTES);
    at = delivery->mail.bytes + delivery->mail.size;
    delivery->entries =
        calloc((size_t)(end - at) / 272 + 1, sizeof *delivery->entries);
    while (at < end) {
        cb_span entry = { at + 16, (size_t)cb_get_u64(at) };
        delivery->entries[delivery->count++] = entry;
        at = entry.bytes + entry.size;
    }
}

/* The stream's key as its opening, the first entry, states it. */
static void read_key(struct delivery *delivery)
{
    cb_entry entry;
    json_t *body = NULL;
    cb_error error = { 0 };
    store_kit_must(cb_entry_decode(delivery->entries[0], &entry, &error),
                   &error, "decoding");
    store_kit_must(cb_json_parse_canonical(entry.body, &body, &error), &error,
                   "an opening");
    if (!cb_json_bytes(body, "stream_key", delivery->public_key,
                       sizeof delivery->public_key)) {
        abort();
    }
    json_decref(body);
}

struct share {
    const struct delivery *delivery;
    size_t first;
    size_t step;
    bool bare;
};

/* Bare: the signature alone, its 32 bytes of message and domain at hand. */
static void *verify_share(void *context)
{
    const struct share *share = context;
    const struct delivery *delivery = share->delivery;
    uint8_t message[64] = "casebound/1 signature";
    for (size_t i = share->first; i < delivery->count; i += share->step) {
        cb_entry entry;
        cb_error error = { 0 };
        const cb_span bytes = delivery->entries[i];
        if (share->bare) {
            (void)!crypto_sign_verify_detached(
                bytes.bytes + bytes.size - CB_SIGNATURE_BYTES, message, 54,
                delivery->public_key);
        } else {
            store_kit_must(cb_entry_decode(bytes, &entry, &error), &error,
                           "decoding");
            store_kit_must(
                cb_entry_verify(&entry, delivery->public_key, &error), &error,
                "verifying");
        }
    }
    return NULL;
}

static double verify(const struct delivery *delivery, bool bare)
{
    pthread_t threads[THREADS_MAX];
    struct share shares[THREADS_MAX];
    unsigned count = bench_processors();
    count = count > THREADS_MAX ? THREADS_MAX : count;
    const double start = bench_seconds();
    for (unsigned i = 0; i < count; i++) {
        shares[i] = (struct share){ delivery, i, count, bare };
        if (pthread_create(&threads[i], NULL, verify_share, &shares[i]) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    return bench_seconds() - start;
}

struct times {
    double bare;
    double verify;
    double ingest;
    double settle;
    size_t entries;
    size_t bytes;
};

static void accept_one(cb_store *hub, const struct plan *plan, long number,
                       struct times *times)
{
    struct delivery delivery;
    cb_error error = { 0 };
    uint64_t version = 0;
    size_t keys = 0;
    read_delivery(plan, number, &delivery);
    read_key(&delivery);
    times->bare += verify(&delivery, true);
    times->verify += verify(&delivery, false);
    const double start = bench_seconds();
    store_kit_must(cb_exchange_read_mail(hub, &delivery.device, delivery.mail,
                                         0, &version, &keys, &error),
                   &error, "reading mail");
    for (size_t i = 0; i < delivery.count; i++) {
        cb_ingest_outcome outcome = CB_INGEST_FORK;
        const cb_ingest how = { .whole_stream = true,
                                .verified = true,
                                .log_index = -1 };
        store_kit_must(cb_exchange_ingest(hub, delivery.entries[i], &how,
                                          &outcome, &error),
                       &error, "taking in");
        if (outcome != CB_INGEST_APPLIED) {
            fprintf(stderr, "entry %zu was not applied\n", i);
            abort();
        }
        times->bytes += delivery.entries[i].size;
    }
    times->ingest += bench_seconds() - start;
    times->entries += delivery.count;
    free(delivery.entries);
    cb_buffer_clear(&delivery.bytes);
}

static void accept_all(struct plan *plan, struct times *times)
{
    cb_error error = { 0 };
    size_t cases = 0;
    size_t conflicts = 0;
    uint64_t size = 0;
    cb_store *hub = store_kit_open(&plan->kit, "hub");
    for (long i = 0; i < plan->devices; i++) {
        store_kit_must(cb_store_begin(hub, &error), &error, "beginning");
        accept_one(hub, plan, i, times);
        const double start = bench_seconds();
        store_kit_must(cb_exchange_permit_authors(hub, &error), &error,
                       "permitting");
        store_kit_must(cb_exchange_settle(hub, &cases, &conflicts, &error),
                       &error, "settling");
        store_kit_must(cb_exchange_log_extend(hub, &size, &error), &error,
                       "extending");
        store_kit_must(cb_store_commit(hub, &error), &error, "committing");
        times->settle += bench_seconds() - start;
    }
    cb_store_close(hub);
}

static void report(bool json, const struct plan *plan,
                   const struct times *times)
{
    char machine[512];
    const double ours = times->verify + times->ingest + times->settle;
    const double count = (double)times->entries;
    bench_machine(machine, sizeof machine);
    printf(json ? "{\"bench\":\"P3\",\"machine\":\"%s\",\"sodium\":\"%s\","
                  "\"entries\":%zu,\"devices\":%ld,\"entry_bytes\":%.0f,"
                  "\"bare_per_s\":%.0f,\"ours_per_s\":%.0f,"
                  "\"verify_s\":%.2f,\"ingest_s\":%.2f,\"merge_s\":%.2f,"
                  "\"resident_mib\":%ld,\"ratio\":%.2f,\"reach\":0.60}\n"
                : "P3 hub accepts, %s, libsodium %s, %zu entries of %ld "
                  "devices, %.0f bytes each\n"
                  "   bare signatures %.0f/s, ours %.0f/s (signatures %.2f s, "
                  "intake %.2f s, merge and log %.2f s), resident %ld MiB\n"
                  "   ratio %.2f, to reach 0.60\n",
           machine, sodium_version_string(), times->entries, plan->devices,
           (double)times->bytes / count, count / times->bare, count / ours,
           times->verify, times->ingest, times->settle,
           bench_resident_kib() / 1024, times->bare / ours);
}

int main(int count, char **arguments)
{
    struct plan plan = {
        .entries = bench_number(count, arguments, "--entries", 20000),
        .devices = bench_number(count, arguments, "--devices", 150),
        .case_entries = bench_number(count, arguments, "--case", 20),
    };
    struct times times = { 0 };
    store_kit_begin(&plan.kit);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        make_all(&plan);
        _exit(0);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "the devices could not be made\n");
        return 1;
    }
    accept_all(&plan, &times);
    report(bench_flag(count, arguments, "--json"), &plan, &times);
    store_kit_end(&plan.kit);
    return 0;
}
