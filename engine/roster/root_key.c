/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root key of a realm, sealed for a drawer: the construction of
 * unlock.json, with the key's seed in the place of a master key and the realm
 * in the place of the store.  The key is checked against the realm when it is
 * opened, so that one file cannot stand in for the other.
 */
#include <casebound/enrolment.h>

#include "store/internal.h"
#include "store/unlock.h"

#include <sodium.h>
#include <string.h>

static const cb_environment *environment_of(const cb_store_options *options)
{
    return options->environment == NULL ? cb_environment_system()
                                        : options->environment;
}

cb_status cb_root_key_write(const cb_store_options *options, const char *path,
                            const cb_realm_id *realm,
                            const cb_secret *passphrase,
                            const cb_secret *root_key, cb_error *reterr_error)
{
    CB_ASSERT(cb_secret_size(root_key) == CB_SIGNING_KEY_BYTES);
    cb_secret *seed = NULL;
    cb_unlock_cost cost = cb_unlock_cost_default();
    if (options->kdf_operations != 0) {
        cost.operations = options->kdf_operations;
    }
    if (options->kdf_memory_bytes != 0) {
        cost.memory_bytes = options->kdf_memory_bytes;
    }
    cb_status status =
        cb_secret_create(crypto_sign_SEEDBYTES, &seed, reterr_error);
    if (status == CB_OK) {
        (void)crypto_sign_ed25519_sk_to_seed(cb_secret_bytes(seed),
                                             cb_secret_view(root_key));
        status = cb_unlock_write(environment_of(options), path, realm->bytes,
                                 cost, passphrase, seed, reterr_error);
    }
    cb_secret_destroy(seed);
    return status;
}

static cb_status check_realm(const cb_realm_id *realm, const uint8_t *key,
                             const char *path, cb_error *error)
{
    cb_hash hash;
    cb_hash_domain("realm", (cb_span){ key, CB_PUBLIC_KEY_BYTES }, &hash);
    if (memcmp(hash.bytes, realm->bytes, sizeof realm->bytes) == 0) {
        return CB_OK;
    }
    return cb_error_set(error, CB_DAMAGED,
                        "the key in '%s' is not the root key that it names",
                        path);
}

cb_status cb_root_key_open(const cb_store_options *options, const char *path,
                           const cb_secret *passphrase, cb_realm_id *ret_realm,
                           cb_secret **ret_root_key, cb_error *reterr_error)
{
    cb_realm_id realm;
    cb_secret *seed = NULL;
    cb_secret *key = NULL;
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    cb_error ours = { 0 };
    cb_status status =
        cb_unlock_read_id(environment_of(options), path, realm.bytes, &ours);
    if (status == CB_NO_STORE) {
        return cb_error_set(reterr_error, CB_NOT_FOUND,
                            "there is no root key at '%s'", path);
    }
    if (status == CB_OK) {
        status = cb_unlock_open(environment_of(options), path, passphrase,
                                &seed, &ours);
    }
    if (status == CB_WRONG_KEY) {
        return cb_error_set(reterr_error, CB_WRONG_KEY,
                            "that is not the passphrase of this root key");
    }
    if (status != CB_OK) {
        return cb_error_set(reterr_error, status, "%s", ours.what);
    }
    status = cb_secret_create(CB_SIGNING_KEY_BYTES, &key, reterr_error);
    if (status == CB_OK) {
        (void)crypto_sign_seed_keypair(public_key, cb_secret_bytes(key),
                                       cb_secret_view(seed));
        status = check_realm(&realm, public_key, path, reterr_error);
    }
    if (status == CB_OK) {
        *ret_realm = realm;
        *ret_root_key = key;
        key = NULL;
    }
    cb_secret_destroy(seed);
    cb_secret_destroy(key);
    return status;
}
