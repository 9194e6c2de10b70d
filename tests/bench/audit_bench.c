/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P7: a check of a hub's log without keys, in the fast mode, beside BLAKE2b-256
 * and SHA-256 over as many bytes as its leaves have.
 *
 *     audit_bench [--entries N] [--devices N] [--commit-every N] [--full]
 *                 [--json]
 *
 * The limit of the work is the two hashes: each leaf is hashed into the tree
 * (SHA-256, and once more as much for the nodes above), each stub into its
 * entry hash (BLAKE2b).  What is left between that and the figure is Git: the
 * bytes are read through zlib.
 *
 * The log is made by another process, so that the memory shown is the check's.
 */
#include "bench/bench_kit.h"
#include "support/expect.h"
#include "support/log_builder.h"

#include <casebound/audit.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "git/folder.h"

enum {
    LEAF_BYTES = 304,
    CHUNK_BYTES = 1 << 20,
    DEVICES_MAX = 60
};

typedef struct plan {
    uint64_t entries;
    long devices;
    uint64_t commit_every;
    bool full;
    bool json;
} plan;

/* Where the child put the log, and of which realm it is. */
typedef struct made {
    char root[LOG_PATH_BYTES];
    cb_realm_id realm;
} made;

static void make_log(const plan *wanted, int answer)
{
    static log_builder log;
    log_writer *writers[DEVICES_MAX];
    log_begin(&log);
    log.forget = true;
    log.writers[0].quiet = true;
    for (long i = 0; i < wanted->devices; i++) {
        writers[i] = log_enrol(&log);
        writers[i]->quiet = true;
    }
    /* Stubs alone: no branch is written. */
    for (size_t i = 0; i < log.writer_count; i++) {
        log.writers[i].entry_count = 0;
    }
    for (uint64_t i = log.leaf_base + log.leaf_count; i < wanted->entries;
         i++) {
        log_writer *writer = writers[i % (uint64_t)wanted->devices];
        if (i % wanted->commit_every == 0) {
            log_publish(&log);
            log_sync(&log, writer);
        }
        log_write(&log, writer);
    }
    log_publish(&log);
    made done = { .realm = log.realm };
    snprintf(done.root, sizeof done.root, "%s", log.root);
    const bool told = write(answer, &done, sizeof done) == sizeof done;
    _exit(told ? 0 : 1);
}

static bool fork_log(const plan *wanted, made *ret_made)
{
    int ends[2];
    int status = 0;
    if (pipe(ends) != 0) {
        return false;
    }
    const pid_t child = fork();
    if (child == 0) {
        make_log(wanted, ends[1]);
    }
    (void)close(ends[1]);
    const bool told = child > 0 && read(ends[0], ret_made, sizeof *ret_made) ==
                                       sizeof *ret_made;
    (void)close(ends[0]);
    return waitpid(child, &status, 0) == child && status == 0 && told;
}

/* Both hashes over `size` bytes, in seconds of the processor: other work on the
 * machine must not tell. */
static double hash_bytes(uint64_t size)
{
    crypto_generichash_state blake;
    crypto_hash_sha256_state sha;
    uint8_t digest[32];
    uint8_t *chunk = malloc(CHUNK_BYTES);
    if (chunk == NULL) {
        exit(1);
    }
    randombytes_buf(chunk, CHUNK_BYTES);
    const double start = bench_processor_seconds();
    crypto_generichash_init(&blake, NULL, 0, sizeof digest);
    crypto_hash_sha256_init(&sha);
    for (uint64_t left = size; left > 0;) {
        const size_t step = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        crypto_generichash_update(&blake, chunk, step);
        crypto_hash_sha256_update(&sha, chunk, step);
        left -= step;
    }
    crypto_generichash_final(&blake, digest, sizeof digest);
    crypto_hash_sha256_final(&sha, digest);
    const double taken = bench_processor_seconds() - start;
    free(chunk);
    return taken;
}

static void print_figures(const plan *wanted, double taken, double limit,
                          long base_kib, long peak_kib)
{
    char machine[256];
    bench_machine(machine, sizeof machine);
    const double ratio = taken / limit;
    if (wanted->json) {
        printf("{\"bench\":\"P7\",\"entries\":%llu,\"devices\":%ld,"
               "\"mode\":\"%s\",\"verify_ms\":%.0f,\"hashes_ms\":%.0f,"
               "\"ratio\":%.2f,\"reach\":3,\"memory_kib\":%ld,"
               "\"memory_before_kib\":%ld,\"machine\":\"%s\"}\n",
               (unsigned long long)wanted->entries, wanted->devices,
               wanted->full ? "full" : "fast", taken * 1000, limit * 1000,
               ratio, peak_kib, base_kib, machine);
        return;
    }
    printf("P7 audit verify without keys, %s mode\n"
           "   machine            %s\n"
           "   entries            %llu of %ld devices\n"
           "   verify             %.0f ms of the processor, %.2f us an entry\n"
           "   both hashes alone  %.0f ms\n"
           "   ratio              %.2f (reach: 3)\n"
           "   memory             %ld KiB, %ld before\n",
           wanted->full ? "full" : "fast", machine,
           (unsigned long long)wanted->entries, wanted->devices, taken * 1000,
           taken * 1e6 / (double)wanted->entries, limit * 1000, ratio, peak_kib,
           base_kib);
}

int main(int count, char **arguments)
{
    made log;
    json_t *document = NULL;
    cb_error error = { 0 };
    plan wanted = {
        .entries =
            (uint64_t)bench_number(count, arguments, "--entries", 100000),
        .devices = bench_number(count, arguments, "--devices", 50),
        .commit_every =
            (uint64_t)bench_number(count, arguments, "--commit-every", 4096),
        .full = bench_flag(count, arguments, "--full"),
        .json = bench_flag(count, arguments, "--json"),
    };

    if (wanted.devices < 1 || wanted.devices > DEVICES_MAX ||
        wanted.commit_every < 1 || wanted.commit_every > 256000 ||
        sodium_init() < 0 || !fork_log(&wanted, &log)) {
        fprintf(stderr, "the log could not be made\n");
        return 1;
    }
    const uint64_t bytes = wanted.entries * (uint64_t)LEAF_BYTES;
    const double limit = hash_bytes(bytes);
    const long base_kib = bench_resident_kib();
    const cb_audit_options options = { .path = log.root,
                                       .mode = wanted.full ? CB_AUDIT_FULL
                                                           : CB_AUDIT_FAST,
                                       .realm = &log.realm };
    const double start = bench_processor_seconds();
    const cb_status status = cb_audit_verify(&options, &document, &error);
    const double taken = bench_processor_seconds() - start;
    cb_folder_remove(log.root);
    if (status != CB_OK) {
        fprintf(stderr, "the log is not clean: %s %s\n", cb_status_name(status),
                error.what);
        json_dumpf(json_array_get(json_object_get(document, "findings"), 0),
                   stderr, JSON_SORT_KEYS);
        json_decref(document);
        return 1;
    }
    json_decref(document);
    print_figures(&wanted, taken, limit, base_kib, bench_resident_kib());
    return 0;
}
