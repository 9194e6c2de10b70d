/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways into a store: passphrase, recovery key, the kernel's keyring; and
 * changing them.
 *
 * Whoever writes unlock.json holds the database's lock, and whoever opens the
 * database looks at unlock.json again once it has the lock: what was read
 * before may have been replaced, with the master key, while it waited.
 */
#include "store/internal.h"

#include <casebound/limits.h>
#include <stdlib.h>
#include <string.h>

static const cb_environment *environment_of(const cb_store_options *options)
{
    return options->environment == NULL ? cb_environment_system()
                                        : options->environment;
}

/* -------------------------------------------------------------------- cost */

/*
 * `present`: what the store has, or NULL.  One that is as hard to try as the
 * default is kept, so that a store made for a small machine stays usable there.
 */
static cb_status choose_cost(const cb_store_options *options,
                             const cb_unlock_cost *present,
                             cb_unlock_cost *ret_cost, cb_error *error)
{
    cb_unlock_cost cost = cb_unlock_cost_default();
    if (options->kdf_operations != 0 || options->kdf_memory_bytes != 0) {
        if (options->kdf_operations != 0) {
            cost.operations = options->kdf_operations;
        }
        if (options->kdf_memory_bytes != 0) {
            cost.memory_bytes = options->kdf_memory_bytes;
        }
        if (!cb_unlock_cost_valid(cost)) {
            return cb_error_set(error, CB_LIMIT,
                                "a passphrase may cost at most %d MiB and %d "
                                "passes",
                                CB_PASSPHRASE_MEMORY_MIB_MAX,
                                CB_PASSPHRASE_PASSES_MAX);
        }
        *ret_cost = cost;
        return CB_OK;
    }
    if (present != NULL && present->operations * present->memory_bytes >=
                               cost.operations * cost.memory_bytes) {
        cost = *present;
    }
    *ret_cost = cb_unlock_cost_fit(environment_of(options), cost);
    return CB_OK;
}

cb_status cb_keys_check_passphrase(const cb_secret *passphrase, cb_error *error)
{
    size_t characters = 0;
    const uint8_t *bytes = cb_secret_view(passphrase);
    for (size_t i = 0; i < cb_secret_size(passphrase); i++) {
        characters += (bytes[i] & 0xc0) != 0x80;
    }
    if (characters >= CB_PASSPHRASE_CHARACTERS_MIN) {
        return CB_OK;
    }
    cb_status status = cb_error_set(error, CB_INPUT,
                                    "the passphrase is shorter than %d "
                                    "characters",
                                    CB_PASSPHRASE_CHARACTERS_MIN);
    cb_error_meaning(error, "nothing was made or changed");
    cb_error_next(error, "choose several words that do not belong together");
    return status;
}

/* ----------------------------------------------------------------- opening */

static cb_status load(const cb_environment *environment, const char *folder,
                      cb_unlock *ret_unlock, cb_error *error)
{
    char *path = cb_store_path(folder, "unlock.json");
    cb_status status =
        path == NULL ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                     : cb_unlock_load(environment, path, ret_unlock, error);
    free(path);
    return status;
}

cb_status cb_keys_save(cb_store *store, cb_unlock *unlock,
                       const cb_secret *master_key, cb_error *error)
{
    char *path = cb_store_path(store->folder, "unlock.json");
    cb_status status = path == NULL
                           ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                           : cb_unlock_save(store->environment, path, unlock,
                                            master_key, error);
    if (status == CB_OK) {
        store->unlock = *unlock;
    }
    free(path);
    return status;
}

cb_status cb_keys_begin(cb_store *store, const cb_store_options *options,
                        const char *path, const cb_secret *passphrase,
                        cb_error *error)
{
    cb_unlock unlock = { 0 };
    cb_unlock_cost cost;
    memcpy(unlock.store_id, store->store_id, sizeof unlock.store_id);
    cb_status status = choose_cost(options, NULL, &cost, error);
    if (status == CB_OK) {
        status =
            cb_unlock_seal(store->environment, &unlock, CB_UNLOCK_PASSPHRASE,
                           cost, passphrase, store->master_key, error);
    }
    if (status == CB_OK) {
        status = cb_unlock_save(store->environment, path, &unlock,
                                store->master_key, error);
    }
    if (status == CB_OK) {
        store->unlock = unlock;
    }
    return status;
}

static cb_status take_kept(cb_store *store, cb_error *error)
{
    cb_status status =
        cb_keyring_take(store->store_id, &store->master_key, error);
    if (status == CB_OK && cb_unlock_judge(&store->unlock, store->master_key) ==
                               CB_UNLOCK_OTHER_KEY) {
        /* Of a copy of this store that has got another master key since. */
        cb_secret_destroy(store->master_key);
        store->master_key = NULL;
        status = CB_NOT_FOUND;
    }
    if (status == CB_NOT_FOUND) {
        status = cb_error_set(error, CB_LOCKED, "the store '%s' is locked",
                              store->folder);
        cb_error_next(error, "casebound unlock");
    }
    return status;
}

static cb_status refuse_recovery(cb_error *error)
{
    cb_status status =
        cb_error_set(error, CB_WRONG_KEY, "this store has no recovery key");
    cb_error_meaning(error, "nothing was opened or changed; one that was made "
                            "before was removed or replaced");
    cb_error_next(error, "use the passphrase");
    return status;
}

cb_status cb_keys_take(cb_store *store, const cb_credential *credential,
                       cb_error *error)
{
    cb_status status =
        load(store->environment, store->folder, &store->unlock, error);
    if (status != CB_OK) {
        return status;
    }
    memcpy(store->store_id, store->unlock.store_id, sizeof store->store_id);
    switch (credential->kind) {
    case CB_CREDENTIAL_KEPT: status = take_kept(store, error); break;
    case CB_CREDENTIAL_PASSPHRASE:
        status = cb_unlock_unseal(store->environment, &store->unlock,
                                  CB_UNLOCK_PASSPHRASE, credential->secret,
                                  &store->master_key, error);
        break;
    case CB_CREDENTIAL_RECOVERY:
        status = cb_unlock_unseal(store->environment, &store->unlock,
                                  CB_UNLOCK_RECOVERY, credential->secret,
                                  &store->master_key, error);
        status = status == CB_NOT_FOUND ? refuse_recovery(error) : status;
        break;
    }
    if (status == CB_OK) {
        store->unlock_altered =
            cb_unlock_judge(&store->unlock, store->master_key) !=
            CB_UNLOCK_FITS;
    }
    return status;
}

cb_status cb_keys_look_again(const cb_store *store, bool *ret_current,
                             cb_error *error)
{
    cb_unlock now;
    const cb_unlock *then = &store->unlock;
    cb_status status = load(store->environment, store->folder, &now, error);
    if (status == CB_OK) {
        *ret_current = now.version == then->version &&
                       now.previous.used == then->previous.used &&
                       memcmp(now.key_id, then->key_id, sizeof now.key_id) == 0;
    }
    return status;
}

cb_status cb_store_probe(const cb_store_options *options,
                         cb_error *reterr_error)
{
    cb_unlock unlock;
    return load(environment_of(options), options->folder, &unlock,
                reterr_error);
}

cb_status cb_store_keep_unlocked(const cb_store *store, unsigned seconds,
                                 cb_error *reterr_error)
{
    return cb_keyring_keep(store->environment, store->store_id,
                           store->master_key, seconds, reterr_error);
}

cb_status cb_store_lock(const cb_store_options *options, cb_error *reterr_error)
{
    cb_unlock unlock;
    cb_status status =
        load(environment_of(options), options->folder, &unlock, reterr_error);
    return status == CB_OK ? cb_keyring_drop(unlock.store_id, reterr_error)
                           : status;
}

/* ---------------------------------------------------------------- changing */

cb_status cb_keys_cost(const cb_store *store, const cb_store_options *options,
                       cb_unlock_cost *ret_cost, cb_error *error)
{
    return choose_cost(options, &store->unlock.slots[CB_UNLOCK_PASSPHRASE].cost,
                       ret_cost, error);
}

/*
 * unlock.json as it is to be written again.  What of it was not written by us
 * is not kept: of an altered file nobody can say whose recovery key that is.
 */
static cb_status begin_change(const cb_store *store, cb_unlock *ret_unlock,
                              cb_error *error)
{
    cb_unlock unlock;
    cb_status status = load(store->environment, store->folder, &unlock, error);
    if (status != CB_OK) {
        return status;
    }
    CB_ASSERT(
        memcmp(unlock.store_id, store->store_id, sizeof unlock.store_id) == 0);
    if (cb_unlock_judge(&unlock, store->master_key) != CB_UNLOCK_FITS) {
        unlock.slots[CB_UNLOCK_RECOVERY].used = false;
        unlock.previous.used = false;
    }
    *ret_unlock = unlock;
    return CB_OK;
}

cb_status cb_store_change_passphrase(cb_store *store,
                                     const cb_store_options *options,
                                     const cb_secret *passphrase,
                                     cb_error *reterr_error)
{
    cb_unlock unlock;
    cb_unlock_cost cost;
    cb_status status = cb_keys_check_passphrase(passphrase, reterr_error);
    if (status == CB_OK) {
        status = begin_change(store, &unlock, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_keys_cost(store, options, &cost, reterr_error);
    }
    if (status == CB_OK) {
        status =
            cb_unlock_seal(store->environment, &unlock, CB_UNLOCK_PASSPHRASE,
                           cost, passphrase, store->master_key, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_keys_save(store, &unlock, store->master_key, reterr_error);
    }
    if (status == CB_OK) {
        store->unlock_altered = false;
    }
    return status;
}

/* Whose passphrase is known may decide about the other ways in. */
static cb_status demand_passphrase(const cb_store *store,
                                   const cb_unlock *unlock,
                                   const cb_secret *passphrase, cb_error *error)
{
    cb_secret *master_key = NULL;
    cb_status status =
        cb_unlock_unseal(store->environment, unlock, CB_UNLOCK_PASSPHRASE,
                         passphrase, &master_key, error);
    if (status == CB_OK &&
        memcmp(cb_secret_view(master_key), cb_secret_view(store->master_key),
               CB_KEY_BYTES) != 0) {
        status = cb_error_set(error, CB_DAMAGED,
                              "'unlock.json' belongs to another key than the "
                              "store");
        cb_error_meaning(error, "nothing was changed");
    }
    cb_secret_destroy(master_key);
    return status;
}

cb_status cb_keys_demand(const cb_store *store, const cb_secret *passphrase,
                         cb_error *error)
{
    cb_unlock unlock;
    cb_status status = load(store->environment, store->folder, &unlock, error);
    return status == CB_OK
               ? demand_passphrase(store, &unlock, passphrase, error)
               : status;
}

cb_status cb_store_set_recovery(cb_store *store,
                                const cb_store_options *options,
                                const cb_secret *passphrase,
                                const cb_secret *recovery_key,
                                cb_error *reterr_error)
{
    cb_unlock unlock;
    cb_unlock_cost cost;
    cb_status status = begin_change(store, &unlock, reterr_error);
    if (status == CB_OK) {
        status = demand_passphrase(store, &unlock, passphrase, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_keys_cost(store, options, &cost, reterr_error);
    }
    if (status == CB_OK && unlock.version == 1) {
        /* The first version has no place for it. */
        status =
            cb_unlock_seal(store->environment, &unlock, CB_UNLOCK_PASSPHRASE,
                           cost, passphrase, store->master_key, reterr_error);
    }
    if (status == CB_OK && recovery_key == NULL) {
        unlock.slots[CB_UNLOCK_RECOVERY].used = false;
    } else if (status == CB_OK) {
        status =
            cb_unlock_seal(store->environment, &unlock, CB_UNLOCK_RECOVERY,
                           cost, recovery_key, store->master_key, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_keys_save(store, &unlock, store->master_key, reterr_error);
    }
    if (status == CB_OK) {
        store->unlock_altered = false;
    }
    return status;
}

static void describe(const cb_unlock *unlock, cb_store_keys *ret_keys)
{
    const cb_unlock_slot *slot = &unlock->slots[CB_UNLOCK_PASSPHRASE];
    *ret_keys = (cb_store_keys){
        .version = unlock->version,
        .kdf_operations = slot->cost.operations,
        .kdf_memory_bytes = slot->cost.memory_bytes,
        .recovery = unlock->slots[CB_UNLOCK_RECOVERY].used,
        .rotating = unlock->previous.used,
        .altered = unlock->rotten,
    };
}

void cb_store_describe_keys(const cb_store *store, cb_store_keys *ret_keys)
{
    describe(&store->unlock, ret_keys);
    ret_keys->altered = store->unlock_altered;
}

cb_status cb_store_check_recovery(const cb_store_options *options,
                                  const cb_secret *recovery_key,
                                  cb_error *reterr_error)
{
    cb_unlock unlock;
    cb_secret *master_key = NULL;
    cb_status status =
        load(environment_of(options), options->folder, &unlock, reterr_error);
    if (status == CB_OK) {
        status = cb_unlock_unseal(environment_of(options), &unlock,
                                  CB_UNLOCK_RECOVERY, recovery_key, &master_key,
                                  reterr_error);
        status =
            status == CB_NOT_FOUND ? refuse_recovery(reterr_error) : status;
    }
    cb_secret_destroy(master_key);
    return status;
}
