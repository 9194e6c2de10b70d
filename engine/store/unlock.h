/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From passphrase to master key: the file unlock.json.
 *
 * The master key is 32 random bytes that never change when the passphrase does.
 * A slot of the file holds it sealed (XChaCha20-Poly1305) under a key that
 * Argon2id makes of the passphrase.  Parameters and salt stand in the file, so
 * that they can be raised; everything in it but the sealed key is the seal's
 * associated data, so none of it can be weakened unnoticed.
 *
 * A nonce is 24 random bytes and is used once: every time a slot is written it
 * gets a fresh salt and with it a key that has sealed nothing before.
 */
#ifndef CASEBOUND_STORE_UNLOCK_H
#define CASEBOUND_STORE_UNLOCK_H

#include <casebound/identifier.h>
#include <casebound/secret.h>

typedef struct cb_unlock_cost {
    uint64_t operations;   /* Argon2id passes */
    uint64_t memory_bytes; /* Argon2id memory */
} cb_unlock_cost;

/* libsodium's MODERATE: 3 passes over 256 MiB, about 0.6 s. */
cb_unlock_cost cb_unlock_cost_default(void);

/* Writes unlock.json anew for this passphrase.  CB_NO_MEMORY, CB_IO ... */
CB_NODISCARD cb_status cb_unlock_write(
    const cb_environment *environment, const char *path,
    const uint8_t *store_id, cb_unlock_cost cost, const cb_secret *passphrase,
    const cb_secret *master_key, cb_error *reterr_error);

/* The store's id from unlock.json.  CB_NO_STORE, CB_DAMAGED, CB_NEWER. */
CB_NODISCARD cb_status cb_unlock_read_id(const cb_environment *environment,
                                         const char *path, uint8_t *ret_id,
                                         cb_error *reterr_error);

/* CB_WRONG_KEY, after the same work as for the right passphrase. */
CB_NODISCARD cb_status cb_unlock_open(const cb_environment *environment,
                                      const char *path,
                                      const cb_secret *passphrase,
                                      cb_secret **ret_master_key,
                                      cb_error *reterr_error);

/*
 * The session key in the kernel's keyring, named after the store, readable by
 * this user only, gone after `seconds`.  CB_NOT_FOUND without text where there
 * is none or the kernel has no keyring.
 */
CB_NODISCARD cb_status cb_keyring_keep(const uint8_t *store_id,
                                       const cb_secret *master_key,
                                       unsigned seconds,
                                       cb_error *reterr_error);
CB_NODISCARD cb_status cb_keyring_take(const uint8_t *store_id,
                                       cb_secret **ret_master_key,
                                       cb_error *reterr_error);
/* CB_NOT_FOUND where there was none. */
CB_NODISCARD cb_status cb_keyring_drop(const uint8_t *store_id,
                                       cb_error *reterr_error);

#endif
