/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing and opening the master key. */
#include "store/unlock.h"

#include <assert.h>
#include <casebound/limits.h>
#include <sodium.h>
#include <string.h>

#define ASSOCIATED_BYTES_MAX 4096
#define RECOVERY_DOMAIN      "casebound/2 unlock recovery"
#define PREVIOUS_DOMAIN      "casebound/2 unlock previous"
#define KDF_CONTEXT          "cbunlck2"
/* Numbers 1 and 2 are in unlock_text.c. */
#define SUBKEY_PREVIOUS      3

static_assert(CB_UNLOCK_NONCE_BYTES ==
                  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
              "nonce");
static_assert(CB_UNLOCK_SEALED_BYTES ==
                  CB_KEY_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
              "key and tag");
static_assert(CB_RECOVERY_KEY_BYTES >= crypto_generichash_KEYBYTES_MIN,
              "the recovery key is a key of BLAKE2b");

static cb_status derive_slow(const cb_environment *environment,
                             const cb_unlock_slot *slot,
                             const cb_secret *passphrase, uint8_t *key,
                             cb_error *error)
{
    cb_status status = cb_unlock_cost_check(environment, slot->cost, error);
    if (status != CB_OK) {
        return status;
    }
    if (crypto_pwhash(key, CB_KEY_BYTES,
                      (const char *)cb_secret_view(passphrase),
                      cb_secret_size(passphrase), slot->salt,
                      slot->cost.operations, (size_t)slot->cost.memory_bytes,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        const cb_memory unknown = { UINT64_MAX, UINT64_MAX };
        return cb_unlock_cost_refuse(slot->cost, unknown, error);
    }
    return CB_OK;
}

static void derive_fast(const cb_unlock_slot *slot,
                        const cb_secret *recovery_key, uint8_t *key)
{
    uint8_t input[sizeof RECOVERY_DOMAIN + CB_UNLOCK_SALT_BYTES];
    memcpy(input, RECOVERY_DOMAIN, sizeof RECOVERY_DOMAIN);
    memcpy(input + sizeof RECOVERY_DOMAIN, slot->salt, sizeof slot->salt);
    (void)crypto_generichash(key, CB_KEY_BYTES, input, sizeof input,
                             cb_secret_view(recovery_key),
                             CB_RECOVERY_KEY_BYTES);
}

static cb_status derive(const cb_environment *environment,
                        const cb_unlock *unlock, cb_unlock_kind kind,
                        const cb_secret *secret, cb_secret **ret_key,
                        cb_error *error)
{
    const cb_unlock_slot *slot = &unlock->slots[kind];
    cb_secret *key = NULL;
    cb_status status = cb_secret_create(CB_KEY_BYTES, &key, error);
    if (status == CB_OK && kind == CB_UNLOCK_PASSPHRASE) {
        status =
            derive_slow(environment, slot, secret, cb_secret_bytes(key), error);
    } else if (status == CB_OK) {
        CB_ASSERT(cb_secret_size(secret) == CB_RECOVERY_KEY_BYTES);
        derive_fast(slot, secret, cb_secret_bytes(key));
    }
    if (status != CB_OK) {
        cb_secret_destroy(key);
        return status;
    }
    *ret_key = key;
    return CB_OK;
}

static void seal(cb_unlock_slot *slot, cb_span associated, const uint8_t *key,
                 const cb_secret *master_key)
{
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        slot->sealed, NULL, cb_secret_view(master_key), CB_KEY_BYTES,
        associated.bytes, associated.size, NULL, slot->nonce, key);
}

/* CB_WRONG_KEY without text. */
static cb_status unseal(const cb_unlock_slot *slot, cb_span associated,
                        const uint8_t *key, cb_secret **ret_master_key,
                        cb_error *error)
{
    cb_secret *master_key = NULL;
    cb_status status = cb_secret_create(CB_KEY_BYTES, &master_key, error);
    if (status != CB_OK) {
        return status;
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            cb_secret_bytes(master_key), NULL, NULL, slot->sealed,
            sizeof slot->sealed, associated.bytes, associated.size, slot->nonce,
            key) != 0) {
        cb_secret_destroy(master_key);
        return CB_WRONG_KEY;
    }
    *ret_master_key = master_key;
    return CB_OK;
}

cb_status cb_unlock_seal(const cb_environment *environment, cb_unlock *unlock,
                         cb_unlock_kind kind, cb_unlock_cost cost,
                         const cb_secret *secret, const cb_secret *master_key,
                         cb_error *reterr_error)
{
    CB_ASSERT(cb_secret_size(master_key) == CB_KEY_BYTES);
    cb_unlock fresh = *unlock;
    cb_unlock_slot *slot = &fresh.slots[kind];
    cb_secret *key = NULL;
    cb_buffer associated;
    cb_buffer_init(&associated, ASSOCIATED_BYTES_MAX);
    *slot = (cb_unlock_slot){ .used = true };
    if (kind == CB_UNLOCK_PASSPHRASE) {
        slot->cost = cost;
        fresh.version = 2;
    }
    environment->random(environment->context, slot->salt, sizeof slot->salt);
    environment->random(environment->context, slot->nonce, sizeof slot->nonce);
    cb_status status =
        derive(environment, &fresh, kind, secret, &key, reterr_error);
    if (status == CB_OK) {
        status = cb_unlock_associate(&fresh, kind, &associated, reterr_error);
    }
    if (status == CB_OK) {
        seal(slot, cb_span_of_buffer(&associated), cb_secret_view(key),
             master_key);
        *unlock = fresh;
    }
    cb_secret_destroy(key);
    cb_buffer_clear(&associated);
    return status;
}

/* The slot did not open: what that means depends on the file. */
static cb_status explain(const cb_unlock *unlock, cb_unlock_kind kind,
                         cb_error *error)
{
    const char *what =
        kind == CB_UNLOCK_PASSPHRASE ? "passphrase" : "recovery key";
    cb_status status = CB_WRONG_KEY;
    if (unlock->rotten) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the sealed key is damaged, and does not open "
                              "with this %s",
                              what);
        cb_error_meaning(error, "nothing was opened or changed; the cases are "
                                "not in that file");
        cb_error_next(error, "put back a copy of unlock.json from a backup");
        return status;
    }
    status = cb_error_set(error, CB_WRONG_KEY,
                          "that is not the %s of this store", what);
    cb_error_meaning(error, "nothing was opened or changed");
    return status;
}

cb_status cb_unlock_unseal(const cb_environment *environment,
                           const cb_unlock *unlock, cb_unlock_kind kind,
                           const cb_secret *secret, cb_secret **ret_master_key,
                           cb_error *reterr_error)
{
    cb_secret *key = NULL;
    cb_buffer associated;
    if (!unlock->slots[kind].used) {
        return CB_NOT_FOUND;
    }
    cb_buffer_init(&associated, ASSOCIATED_BYTES_MAX);
    cb_status status =
        derive(environment, unlock, kind, secret, &key, reterr_error);
    if (status == CB_OK) {
        status = cb_unlock_associate(unlock, kind, &associated, reterr_error);
    }
    if (status == CB_OK) {
        status = unseal(&unlock->slots[kind], cb_span_of_buffer(&associated),
                        cb_secret_view(key), ret_master_key, reterr_error);
        if (status == CB_WRONG_KEY) {
            status = explain(unlock, kind, reterr_error);
        }
    }
    cb_secret_destroy(key);
    cb_buffer_clear(&associated);
    return status;
}

/* ------------------------------------------------------- the key before it */

static cb_status derive_previous(const cb_secret *master_key,
                                 cb_secret **ret_key, cb_error *error)
{
    cb_status status = cb_secret_create(CB_KEY_BYTES, ret_key, error);
    if (status == CB_OK) {
        (void)crypto_kdf_derive_from_key(
            cb_secret_bytes(*ret_key), CB_KEY_BYTES, SUBKEY_PREVIOUS,
            KDF_CONTEXT, cb_secret_view(master_key));
    }
    return status;
}

static size_t associate_previous(const cb_unlock *unlock, uint8_t *bytes)
{
    memcpy(bytes, PREVIOUS_DOMAIN, sizeof PREVIOUS_DOMAIN);
    memcpy(bytes + sizeof PREVIOUS_DOMAIN, unlock->store_id,
           sizeof unlock->store_id);
    return sizeof PREVIOUS_DOMAIN + sizeof unlock->store_id;
}

cb_status cb_unlock_keep_previous(const cb_environment *environment,
                                  cb_unlock *unlock,
                                  const cb_secret *master_key,
                                  const cb_secret *previous_key,
                                  cb_error *reterr_error)
{
    uint8_t bytes[sizeof PREVIOUS_DOMAIN + CB_IDENTIFIER_BYTES];
    cb_secret *key = NULL;
    cb_span associated = { bytes, associate_previous(unlock, bytes) };
    cb_status status = derive_previous(master_key, &key, reterr_error);
    if (status == CB_OK) {
        unlock->previous = (cb_unlock_slot){ .used = true };
        environment->random(environment->context, unlock->previous.nonce,
                            sizeof unlock->previous.nonce);
        seal(&unlock->previous, associated, cb_secret_view(key), previous_key);
    }
    cb_secret_destroy(key);
    return status;
}

cb_status cb_unlock_take_previous(const cb_unlock *unlock,
                                  const cb_secret *master_key,
                                  cb_secret **ret_previous_key,
                                  cb_error *reterr_error)
{
    CB_ASSERT(unlock->previous.used);
    uint8_t bytes[sizeof PREVIOUS_DOMAIN + CB_IDENTIFIER_BYTES];
    cb_secret *key = NULL;
    cb_span associated = { bytes, associate_previous(unlock, bytes) };
    cb_status status = derive_previous(master_key, &key, reterr_error);
    if (status == CB_OK) {
        status = unseal(&unlock->previous, associated, cb_secret_view(key),
                        ret_previous_key, reterr_error);
    }
    if (status == CB_WRONG_KEY) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "the previous key in 'unlock.json' does not "
                              "open");
        cb_error_meaning(reterr_error, "nothing was changed");
    }
    cb_secret_destroy(key);
    return status;
}
