/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking an Ed25519 signature costs most of what accepting an entry costs,
 * and needs nothing but the entry and the key: it is done on all cores, and
 * nothing else is.
 */
#include "hub/merge.h"

#include <pthread.h>
#include <unistd.h>

enum {
    THREADS_MAX = 8,
    ENTRIES_FOR_EACH_MIN = 16 /* fewer are not worth a thread */
};

typedef struct pool_share {
    const cb_entry *entries;
    const uint8_t *public_key;
    size_t first;
    size_t end;
    size_t bad; /* the first that does not verify, or `end` */
} pool_share;

static void *verify_share(void *context)
{
    pool_share *share = context;
    share->bad = share->end;
    for (size_t i = share->first; i < share->end; i++) {
        if (cb_entry_verify(&share->entries[i], share->public_key, NULL) !=
            CB_OK) {
            share->bad = i;
            break;
        }
    }
    return NULL;
}

static size_t thread_count(size_t count)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = cores < 1 ? 1 : (size_t)cores;
    threads = threads > THREADS_MAX ? THREADS_MAX : threads;
    size_t useful = count / ENTRIES_FOR_EACH_MIN;
    threads = threads > useful ? useful : threads;
    return threads == 0 ? 1 : threads;
}

cb_status cb_pool_verify(const cb_entry *entries, size_t count,
                         const uint8_t *public_key, cb_error *reterr_error)
{
    pool_share shares[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    bool running[THREADS_MAX] = { false };
    size_t used = thread_count(count);
    for (size_t i = 0; i < used; i++) {
        shares[i] = (pool_share){
            .entries = entries,
            .public_key = public_key,
            .first = count * i / used,
            .end = count * (i + 1) / used,
        };
    }
    for (size_t i = 1; i < used; i++) {
        running[i] =
            pthread_create(&threads[i], NULL, verify_share, &shares[i]) == 0;
    }
    (void)verify_share(&shares[0]);
    for (size_t i = 1; i < used; i++) {
        if (running[i]) {
            (void)pthread_join(threads[i], NULL);
        } else {
            (void)verify_share(&shares[i]);
        }
    }
    for (size_t i = 0; i < used; i++) {
        if (shares[i].bad < shares[i].end) {
            return cb_error_set(
                reterr_error, CB_DAMAGED,
                "SIG: the signature of entry %llu does not verify",
                (unsigned long long)entries[shares[i].bad].header.seq);
        }
    }
    return CB_OK;
}
