/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From passphrase or recovery key to master key: the file unlock.json.
 *
 * The master key is 32 random bytes.  A slot of the file holds it sealed
 * (XChaCha20-Poly1305) under a key of the slot's own:
 *
 *   passphrase  always there; Argon2id of the passphrase, with the parameters
 *               and the salt that stand in the slot, so that they can be raised
 *   recovery    may be there; BLAKE2b of the salt, keyed with the recovery key.
 *               That is 160 random bits: nobody guesses it, so nothing is won
 *               by making each guess slow, and it must open the store on a
 *               machine that lacks the memory for Argon2id
 *
 * Version 2, canonical JSON and a line end:
 *
 *   {"check":..., "key":..., "previous":{"nonce":..., "sealed":...},
 *    "slots":[{"kdf":"argon2id13", "kind":"passphrase", "memory_bytes":...,
 *              "nonce":..., "operations":..., "salt":..., "sealed":...},
 *             {"kdf":"blake2b", "kind":"recovery", "nonce":..., "salt":...,
 *              "sealed":...}],
 *    "store":..., "sum":..., "version":2}
 *
 * What binds what.  All of a slot but its sealed bytes, with the store's id, is
 * the seal's associated data: a slot of another store, or with a weaker cost
 * written into it, does not open.  "check" is a keyed hash of the whole file
 * under a key derived from the master key, so that a slot put in, taken out or
 * put back from an older file is noticed.  It is noticed, not refused: the
 * database is open to whoever has the master key, with or without this file,
 * and a rotten byte in one slot must not lock out the owner of another.  (It
 * could not be in the slots' associated data: then adding a recovery key would
 * need the passphrase's key, and changing the passphrase the recovery key.)
 * "key" says which master key it is, without telling anything of it.  "sum" is
 * a plain hash by which rot is told from a wrong passphrase.
 *
 * "previous" is there while the master key is being replaced: the one before,
 * sealed under a key derived from the new one.  See rotate.c.
 *
 * Version 1 was one passphrase slot with its members at the top.  It is read
 * for ever, and becomes version 2 when the file is written for a reason of its
 * own.
 *
 * A nonce is 24 random bytes and is used once: every time a slot is written it
 * gets a fresh salt and with it a key that has sealed nothing before; for
 * "previous" the new master key is fresh.
 */
#ifndef CASEBOUND_STORE_UNLOCK_H
#define CASEBOUND_STORE_UNLOCK_H

#include <casebound/identifier.h>
#include <casebound/secret.h>

#define CB_UNLOCK_SALT_BYTES   16
#define CB_UNLOCK_NONCE_BYTES  24
#define CB_UNLOCK_SEALED_BYTES (CB_KEY_BYTES + 16)
#define CB_UNLOCK_CHECK_BYTES  32
#define CB_UNLOCK_SUM_BYTES    16

/* Stands in the folder while a store is made, and becomes its unlock.json. */
#define CB_UNLOCK_BEGUN "unlock.json.begun"

typedef struct cb_unlock_cost {
    uint64_t operations;   /* Argon2id passes */
    uint64_t memory_bytes; /* Argon2id memory */
} cb_unlock_cost;

typedef enum cb_unlock_kind {
    CB_UNLOCK_PASSPHRASE,
    CB_UNLOCK_RECOVERY,
} cb_unlock_kind;

#define CB_UNLOCK_KINDS 2

typedef struct cb_unlock_slot {
    bool used;
    cb_unlock_cost cost;                /* of a passphrase */
    uint8_t salt[CB_UNLOCK_SALT_BYTES]; /* not of the previous key */
    uint8_t nonce[CB_UNLOCK_NONCE_BYTES];
    uint8_t sealed[CB_UNLOCK_SEALED_BYTES];
} cb_unlock_slot;

/* The file's content; a zeroed one with a store id is a new one. */
typedef struct cb_unlock {
    int version;                           /* that was read; 0: none yet */
    bool rotten;                           /* the sum does not fit */
    uint8_t store_id[CB_IDENTIFIER_BYTES]; /* also a realm's, of a root key */
    uint8_t key_id[CB_IDENTIFIER_BYTES];   /* version 2 */
    uint8_t check[CB_UNLOCK_CHECK_BYTES];  /* version 2 */
    cb_unlock_slot slots[CB_UNLOCK_KINDS];
    cb_unlock_slot previous;
} cb_unlock;

/* How a file and a master key fit together. */
typedef enum cb_unlock_fit {
    CB_UNLOCK_FITS,
    CB_UNLOCK_ALTERED,   /* the key's own file, but not as we wrote it */
    CB_UNLOCK_OTHER_KEY, /* the file of another master key */
} cb_unlock_fit;

/* ------------------------------------------------ the content; unlock_text.c
 */

/* CB_DAMAGED and CB_NEWER without text, CB_NO_MEMORY. */
CB_NODISCARD cb_status cb_unlock_parse(cb_span text, cb_unlock *ret_unlock,
                                       cb_error *reterr_error);

/* Version 2, whatever was read, for this master key. */
CB_NODISCARD cb_status cb_unlock_format(cb_unlock *unlock,
                                        const cb_secret *master_key,
                                        cb_buffer *text,
                                        cb_error *reterr_error);

/* What a slot's sealed bytes are bound to. */
CB_NODISCARD cb_status cb_unlock_associate(const cb_unlock *unlock,
                                           cb_unlock_kind kind,
                                           cb_buffer *associated,
                                           cb_error *reterr_error);

cb_unlock_fit cb_unlock_judge(const cb_unlock *unlock,
                              const cb_secret *master_key);

/* ------------------------------------------------------- keys; unlock_seal.c
 */

/*
 * Fills a slot anew.  `cost` is a passphrase's.  A file of version 1 that is to
 * be kept needs its passphrase slot filled as well.  CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_unlock_seal(const cb_environment *environment,
                                      cb_unlock *unlock, cb_unlock_kind kind,
                                      cb_unlock_cost cost,
                                      const cb_secret *secret,
                                      const cb_secret *master_key,
                                      cb_error *reterr_error);

/*
 * CB_WRONG_KEY, after the same work as for the right one (Argon2id once for a
 * passphrase, whatever else the file holds); CB_DAMAGED where it does not open
 * and the file is rotten; CB_NOT_FOUND without text where there is no slot of
 * that kind; CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_unlock_unseal(const cb_environment *environment,
                                        const cb_unlock *unlock,
                                        cb_unlock_kind kind,
                                        const cb_secret *secret,
                                        cb_secret **ret_master_key,
                                        cb_error *reterr_error);

/* The master key before this one.  CB_DAMAGED where it does not open. */
CB_NODISCARD cb_status
cb_unlock_keep_previous(const cb_environment *environment, cb_unlock *unlock,
                        const cb_secret *master_key,
                        const cb_secret *previous_key, cb_error *reterr_error);
CB_NODISCARD cb_status cb_unlock_take_previous(const cb_unlock *unlock,
                                               const cb_secret *master_key,
                                               cb_secret **ret_previous_key,
                                               cb_error *reterr_error);

/* ------------------------------------------------------ cost; unlock_cost.c */

/* libsodium's MODERATE: 3 passes over 256 MiB, about 0.6 s. */
cb_unlock_cost cb_unlock_cost_default(void);

/*
 * What this machine can afford in its place: less memory and more passes, so
 * that trying a passphrase takes as long, but never less than 64 MiB, which is
 * libsodium's INTERACTIVE.
 */
cb_unlock_cost cb_unlock_cost_fit(const cb_environment *environment,
                                  cb_unlock_cost wanted);

/* Whether it may be asked for at all. */
bool cb_unlock_cost_valid(cb_unlock_cost cost);

/* CB_NO_MEMORY where this machine cannot have that much. */
CB_NODISCARD cb_status cb_unlock_cost_check(const cb_environment *environment,
                                            cb_unlock_cost cost,
                                            cb_error *reterr_error);

/* CB_NO_MEMORY in words, where that is the `memory` there is. */
cb_status cb_unlock_cost_refuse(cb_unlock_cost cost, cb_memory memory,
                                cb_error *reterr_error);

/* ------------------------------------------------------ file; unlock_file.c */

/* CB_NO_STORE, CB_DAMAGED, CB_NEWER, CB_PERMISSION, CB_IO. */
CB_NODISCARD cb_status cb_unlock_load(const cb_environment *environment,
                                      const char *path, cb_unlock *ret_unlock,
                                      cb_error *reterr_error);

/* Replaces the file durably, as version 2. */
CB_NODISCARD cb_status cb_unlock_save(const cb_environment *environment,
                                      const char *path, cb_unlock *unlock,
                                      const cb_secret *master_key,
                                      cb_error *reterr_error);

/* A new file with a passphrase slot only. */
CB_NODISCARD cb_status cb_unlock_write(
    const cb_environment *environment, const char *path,
    const uint8_t *store_id, cb_unlock_cost cost, const cb_secret *passphrase,
    const cb_secret *master_key, cb_error *reterr_error);

CB_NODISCARD cb_status cb_unlock_read_id(const cb_environment *environment,
                                         const char *path, uint8_t *ret_id,
                                         cb_error *reterr_error);

/* Load and unseal with a passphrase. */
CB_NODISCARD cb_status cb_unlock_open(const cb_environment *environment,
                                      const char *path,
                                      const cb_secret *passphrase,
                                      cb_secret **ret_master_key,
                                      cb_error *reterr_error);

#endif
