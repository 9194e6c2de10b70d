/* SPDX-License-Identifier: Apache-2.0 */
/* What trying a passphrase costs, and what this machine can afford. */
#include "store/unlock.h"

#include <casebound/limits.h>
#include <inttypes.h>
#include <sodium.h>

#define MEBIBYTE         UINT64_C(1048576)
/* Left for everything else that the command does. */
#define SPARE_BYTES      (32 * MEBIBYTE)
#define FIT_MEMORY_BYTES ((uint64_t)crypto_pwhash_MEMLIMIT_INTERACTIVE)

cb_unlock_cost cb_unlock_cost_default(void)
{
    return (cb_unlock_cost){
        .operations = crypto_pwhash_OPSLIMIT_MODERATE,
        .memory_bytes = crypto_pwhash_MEMLIMIT_MODERATE,
    };
}

bool cb_unlock_cost_valid(cb_unlock_cost cost)
{
    return cost.operations >= crypto_pwhash_argon2id_OPSLIMIT_MIN &&
           cost.operations <= CB_PASSPHRASE_PASSES_MAX &&
           cost.memory_bytes >= crypto_pwhash_argon2id_MEMLIMIT_MIN &&
           cost.memory_bytes <= CB_PASSPHRASE_MEMORY_MIB_MAX * MEBIBYTE;
}

static cb_memory find_memory(const cb_environment *environment)
{
    cb_memory memory = { UINT64_MAX, UINT64_MAX };
    if (environment->find_memory != NULL) {
        environment->find_memory(environment->context, &memory);
    }
    return memory;
}

cb_unlock_cost cb_unlock_cost_fit(const cb_environment *environment,
                                  cb_unlock_cost wanted)
{
    cb_memory memory = find_memory(environment);
    while (wanted.memory_bytes / 2 >= FIT_MEMORY_BYTES &&
           wanted.operations * 2 <= CB_PASSPHRASE_PASSES_MAX &&
           memory.free_bytes < wanted.memory_bytes + SPARE_BYTES) {
        wanted.memory_bytes /= 2;
        wanted.operations *= 2;
    }
    return wanted;
}

cb_status cb_unlock_cost_refuse(cb_unlock_cost cost, cb_memory memory,
                                cb_error *reterr_error)
{
    uint64_t needed = (cost.memory_bytes + MEBIBYTE - 1) / MEBIBYTE;
    cb_status status = CB_NO_MEMORY;
    if (memory.reachable_bytes >= cost.memory_bytes) {
        status = cb_error_set(reterr_error, status,
                              "checking the passphrase needs %" PRIu64
                              " MiB of memory, which this machine does not "
                              "give",
                              needed);
    } else {
        status = cb_error_set(reterr_error, status,
                              "checking the passphrase needs %" PRIu64
                              " MiB of memory, and %" PRIu64 " MiB are free",
                              needed, memory.reachable_bytes / MEBIBYTE);
    }
    cb_error_meaning(reterr_error, "nothing was opened or changed; the store "
                                   "is as it was");
    cb_error_next(reterr_error,
                  "close other programs; or on a machine with more memory: "
                  "casebound passphrase --same --cost 64x12; or use the "
                  "recovery key, which needs no memory: casebound unlock "
                  "--recovery");
    return status;
}

/*
 * Asked before the memory is taken: where a control group has too little of it
 * the kernel does not refuse, it ends the process.
 */
cb_status cb_unlock_cost_check(const cb_environment *environment,
                               cb_unlock_cost cost, cb_error *reterr_error)
{
    cb_memory memory = find_memory(environment);
    return memory.reachable_bytes >= cost.memory_bytes
               ? CB_OK
               : cb_unlock_cost_refuse(cost, memory, reterr_error);
}
