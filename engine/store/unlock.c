/* SPDX-License-Identifier: Apache-2.0 */
#include "store/unlock.h"

#include "base/json.h"

#include <sodium.h>
#include <string.h>

#define UNLOCK_VERSION        1
#define NONCE_BYTES           crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEALED_BYTES          (CB_KEY_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES)
#define UNLOCK_FILE_BYTES_MAX 16384
/* What a file may ask of this machine before it is believed. */
#define MEMORY_BYTES_MAX      (UINT64_C(2) * 1024 * 1024 * 1024)
#define OPERATIONS_MAX        64

struct slot {
    uint8_t store_id[CB_IDENTIFIER_BYTES];
    cb_unlock_cost cost;
    uint8_t salt[crypto_pwhash_SALTBYTES];
    uint8_t nonce[NONCE_BYTES];
    uint8_t sealed[SEALED_BYTES];
};

cb_unlock_cost cb_unlock_cost_default(void)
{
    return (cb_unlock_cost){
        .operations = crypto_pwhash_OPSLIMIT_MODERATE,
        .memory_bytes = crypto_pwhash_MEMLIMIT_MODERATE,
    };
}

/* All of the slot but the sealed key, in canonical form. */
static json_t *describe(const struct slot *slot)
{
    return json_pack("{s:i, s:s, s:I, s:I, s:o, s:o, s:o}", "version",
                     UNLOCK_VERSION, "kdf", "argon2id13", "operations",
                     (json_int_t)slot->cost.operations, "memory_bytes",
                     (json_int_t)slot->cost.memory_bytes, "salt",
                     cb_json_hex(slot->salt, sizeof slot->salt), "nonce",
                     cb_json_hex(slot->nonce, sizeof slot->nonce), "store",
                     cb_json_hex(slot->store_id, sizeof slot->store_id));
}

static cb_status derive(const struct slot *slot, const cb_secret *passphrase,
                        cb_secret **ret_key, cb_error *error)
{
    cb_secret *key = NULL;
    cb_status status = cb_secret_create(CB_KEY_BYTES, &key, error);
    if (status != CB_OK) {
        return status;
    }
    if (crypto_pwhash(cb_secret_bytes(key), CB_KEY_BYTES,
                      (const char *)cb_secret_view(passphrase),
                      cb_secret_size(passphrase), slot->salt,
                      slot->cost.operations, (size_t)slot->cost.memory_bytes,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        cb_secret_destroy(key);
        status = cb_error_set(
            error, CB_NO_MEMORY,
            "there is not enough memory to check the "
            "passphrase (%llu MiB are needed)",
            (unsigned long long)(slot->cost.memory_bytes / 1048576));
        cb_error_next(error, "close other programs and try again");
        return status;
    }
    *ret_key = key;
    return CB_OK;
}

static cb_status associated(const struct slot *slot, cb_buffer *data,
                            cb_error *error)
{
    json_t *description = describe(slot);
    cb_buffer_append_text(data, "casebound/1 unlock");
    cb_buffer_append(data, "", 1);
    cb_status status = cb_json_append(description, data, error);
    json_decref(description);
    return status;
}

static cb_status seal(struct slot *slot, const cb_secret *passphrase,
                      const cb_secret *master_key, cb_error *error)
{
    cb_secret *key = NULL;
    cb_buffer data;
    cb_buffer_init(&data, UNLOCK_FILE_BYTES_MAX);
    cb_status status = derive(slot, passphrase, &key, error);
    if (status == CB_OK) {
        status = associated(slot, &data, error);
    }
    if (status == CB_OK) {
        (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
            slot->sealed, NULL, cb_secret_view(master_key), CB_KEY_BYTES,
            data.bytes, data.size, NULL, slot->nonce, cb_secret_view(key));
    }
    cb_secret_destroy(key);
    cb_buffer_clear(&data);
    return status;
}

cb_status cb_unlock_write(const cb_environment *environment, const char *path,
                          const uint8_t *store_id, cb_unlock_cost cost,
                          const cb_secret *passphrase,
                          const cb_secret *master_key, cb_error *reterr_error)
{
    struct slot slot = { .cost = cost };
    memcpy(slot.store_id, store_id, sizeof slot.store_id);
    environment->random(environment->context, slot.salt, sizeof slot.salt);
    environment->random(environment->context, slot.nonce, sizeof slot.nonce);
    json_t *document = NULL;
    cb_buffer text;
    cb_buffer_init(&text, UNLOCK_FILE_BYTES_MAX);
    cb_status status = seal(&slot, passphrase, master_key, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    document = describe(&slot);
    (void)json_object_set_new(document, "sealed",
                              cb_json_hex(slot.sealed, sizeof slot.sealed));
    status = cb_json_append(document, &text, reterr_error);
    cb_buffer_append_text(&text, "\n");
    if (status == CB_OK) {
        status = cb_buffer_check(&text, reterr_error);
    }
    if (status == CB_OK) {
        status = environment->replace_file(
            environment->context, path, cb_span_of_buffer(&text), reterr_error);
    }
out:
    json_decref(document);
    cb_buffer_clear(&text);
    return status;
}

static bool read_slot(const json_t *document, struct slot *slot)
{
    int64_t operations = 0;
    int64_t memory_bytes = 0;
    const char *kdf = cb_json_text(document, "kdf");
    if (kdf == NULL || strcmp(kdf, "argon2id13") != 0 ||
        !cb_json_integer(document, "operations", &operations) ||
        !cb_json_integer(document, "memory_bytes", &memory_bytes) ||
        operations < 1 || operations > OPERATIONS_MAX ||
        memory_bytes < (int64_t)crypto_pwhash_MEMLIMIT_MIN ||
        memory_bytes > (int64_t)MEMORY_BYTES_MAX) {
        return false;
    }
    slot->cost = (cb_unlock_cost){ .operations = (uint64_t)operations,
                                   .memory_bytes = (uint64_t)memory_bytes };
    return cb_json_bytes(document, "salt", slot->salt, sizeof slot->salt) &&
           cb_json_bytes(document, "nonce", slot->nonce, sizeof slot->nonce) &&
           cb_json_bytes(document, "store", slot->store_id,
                         sizeof slot->store_id) &&
           cb_json_bytes(document, "sealed", slot->sealed, sizeof slot->sealed);
}

static cb_status load(const cb_environment *environment, const char *path,
                      struct slot *slot, cb_error *error)
{
    json_t *document = NULL;
    int64_t version = 0;
    cb_buffer text;
    cb_buffer_init(&text, UNLOCK_FILE_BYTES_MAX);
    cb_status status =
        environment->read_file(environment->context, path, &text, error);
    if (status == CB_NOT_FOUND) {
        const char *name = strrchr(path, '/');
        status =
            cb_error_set(error, CB_NO_STORE, "there is no case store at '%.*s'",
                         name == NULL ? 0 : (int)(name - path), path);
        goto out;
    }
    if (status != CB_OK) {
        goto out;
    }
    if (cb_json_parse(cb_span_of_buffer(&text), &document, NULL) == CB_OK &&
        cb_json_integer(document, "version", &version) &&
        version > UNLOCK_VERSION) {
        status = cb_error_set(error, CB_NEWER,
                              "'%s' was made by a newer version", path);
        cb_error_meaning(error, "nothing was changed");
        goto out;
    }
    if (document == NULL || version != UNLOCK_VERSION ||
        !read_slot(document, slot)) {
        status = cb_error_set(error, CB_DAMAGED, "'%s' is damaged", path);
        cb_error_meaning(error, "the store cannot be unlocked with it; the "
                                "cases in it are not changed");
        cb_error_next(error, "put back a copy of this file from a backup");
    }
out:
    json_decref(document);
    cb_buffer_clear(&text);
    return status;
}

cb_status cb_unlock_read_id(const cb_environment *environment, const char *path,
                            uint8_t *ret_id, cb_error *reterr_error)
{
    struct slot slot;
    cb_status status = load(environment, path, &slot, reterr_error);
    if (status == CB_OK) {
        memcpy(ret_id, slot.store_id, sizeof slot.store_id);
    }
    return status;
}

cb_status cb_unlock_open(const cb_environment *environment, const char *path,
                         const cb_secret *passphrase,
                         cb_secret **ret_master_key, cb_error *reterr_error)
{
    struct slot slot;
    cb_secret *key = NULL;
    cb_secret *master_key = NULL;
    cb_buffer data;
    cb_buffer_init(&data, UNLOCK_FILE_BYTES_MAX);
    cb_status status = load(environment, path, &slot, reterr_error);
    if (status == CB_OK) {
        status = derive(&slot, passphrase, &key, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_secret_create(CB_KEY_BYTES, &master_key, reterr_error);
    }
    if (status == CB_OK) {
        status = associated(&slot, &data, reterr_error);
    }
    if (status != CB_OK) {
        goto out;
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            cb_secret_bytes(master_key), NULL, NULL, slot.sealed,
            sizeof slot.sealed, data.bytes, data.size, slot.nonce,
            cb_secret_view(key)) != 0) {
        status = cb_error_set(reterr_error, CB_WRONG_KEY,
                              "that is not the passphrase of this store");
        cb_error_meaning(reterr_error, "nothing was opened or changed");
        goto out;
    }
    *ret_master_key = master_key;
    master_key = NULL;
out:
    cb_secret_destroy(key);
    cb_secret_destroy(master_key);
    cb_buffer_clear(&data);
    return status;
}
