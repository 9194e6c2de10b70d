/* SPDX-License-Identifier: Apache-2.0 */
/* The file's content: JSON to structure and back, and what binds it. */
#include "store/unlock.h"

#include "base/json.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define VERSION           2
#define KDF_PASSPHRASE    "argon2id13"
#define KDF_RECOVERY      "blake2b"
#define KDF_CONTEXT       "cbunlck2"
#define ASSOCIATED_FIRST  "casebound/1 unlock"
#define ASSOCIATED_SLOT   "casebound/2 unlock slot"
#define CHECK_DOMAIN      "casebound/2 unlock check"
#define SUM_DOMAIN        "casebound/2 unlock sum"
#define CHECKED_BYTES_MAX 16384

/* Numbers of the keys that are derived from the master key. */
#define SUBKEY_ID    1
#define SUBKEY_CHECK 2

static_assert(CB_UNLOCK_SALT_BYTES == crypto_pwhash_SALTBYTES, "Argon2id");
static_assert(CB_IDENTIFIER_BYTES >= crypto_kdf_BYTES_MIN, "key id");
static_assert(sizeof KDF_CONTEXT - 1 == crypto_kdf_CONTEXTBYTES, "context");

static const char *const kinds[CB_UNLOCK_KINDS] = { "passphrase", "recovery" };

/* ---------------------------------------------------------------- to JSON */

/* Version 1: all of it but the sealed key. */
static json_t *describe_first(const cb_unlock *unlock)
{
    const cb_unlock_slot *slot = &unlock->slots[CB_UNLOCK_PASSPHRASE];
    return json_pack("{s:i, s:s, s:I, s:I, s:o, s:o, s:o}", "version", 1, "kdf",
                     KDF_PASSPHRASE, "operations",
                     (json_int_t)slot->cost.operations, "memory_bytes",
                     (json_int_t)slot->cost.memory_bytes, "salt",
                     cb_json_hex(slot->salt, sizeof slot->salt), "nonce",
                     cb_json_hex(slot->nonce, sizeof slot->nonce), "store",
                     cb_json_hex(unlock->store_id, sizeof unlock->store_id));
}

/* A slot, all of it but the sealed key. */
static json_t *describe_slot(const cb_unlock *unlock, cb_unlock_kind kind)
{
    const cb_unlock_slot *slot = &unlock->slots[kind];
    json_t *document =
        json_pack("{s:s, s:s, s:o, s:o}", "kind", kinds[kind], "kdf",
                  kind == CB_UNLOCK_PASSPHRASE ? KDF_PASSPHRASE : KDF_RECOVERY,
                  "salt", cb_json_hex(slot->salt, sizeof slot->salt), "nonce",
                  cb_json_hex(slot->nonce, sizeof slot->nonce));
    if (kind == CB_UNLOCK_PASSPHRASE) {
        (void)json_object_set_new(
            document, "operations",
            json_integer((json_int_t)slot->cost.operations));
        (void)json_object_set_new(
            document, "memory_bytes",
            json_integer((json_int_t)slot->cost.memory_bytes));
    }
    return document;
}

cb_status cb_unlock_associate(const cb_unlock *unlock, cb_unlock_kind kind,
                              cb_buffer *associated, cb_error *reterr_error)
{
    bool first = unlock->version == 1;
    json_t *document =
        first
            ? describe_first(unlock)
            : json_pack("{s:i, s:o, s:o}", "version", VERSION, "store",
                        cb_json_hex(unlock->store_id, sizeof unlock->store_id),
                        "slot", describe_slot(unlock, kind));
    cb_buffer_append_text(associated,
                          first ? ASSOCIATED_FIRST : ASSOCIATED_SLOT);
    cb_buffer_append(associated, "", 1);
    cb_status status = cb_json_append(document, associated, reterr_error);
    json_decref(document);
    return status;
}

/* Everything but "check" and "sum". */
static json_t *describe(const cb_unlock *unlock)
{
    json_t *slots = json_array();
    json_t *document = json_pack(
        "{s:i, s:o, s:o, s:o}", "version", VERSION, "store",
        cb_json_hex(unlock->store_id, sizeof unlock->store_id), "key",
        cb_json_hex(unlock->key_id, sizeof unlock->key_id), "slots", slots);
    for (int kind = 0; kind < CB_UNLOCK_KINDS; kind++) {
        const cb_unlock_slot *slot = &unlock->slots[kind];
        if (slot->used) {
            json_t *row = describe_slot(unlock, (cb_unlock_kind)kind);
            (void)json_object_set_new(
                row, "sealed", cb_json_hex(slot->sealed, sizeof slot->sealed));
            (void)json_array_append_new(slots, row);
        }
    }
    if (unlock->previous.used) {
        const cb_unlock_slot *slot = &unlock->previous;
        (void)json_object_set_new(
            document, "previous",
            json_pack("{s:o, s:o}", "nonce",
                      cb_json_hex(slot->nonce, sizeof slot->nonce), "sealed",
                      cb_json_hex(slot->sealed, sizeof slot->sealed)));
    }
    return document;
}

/* ---------------------------------------------------------------- hashes */

static cb_status hash(const json_t *document, const char *domain,
                      const uint8_t *key, uint8_t *digest, size_t digest_size,
                      cb_error *error)
{
    cb_buffer text;
    cb_buffer_init(&text, CHECKED_BYTES_MAX);
    cb_buffer_append_text(&text, domain);
    cb_buffer_append(&text, "", 1);
    cb_status status = cb_json_append(document, &text, error);
    if (status == CB_OK) {
        (void)crypto_generichash(digest, digest_size, text.bytes, text.size,
                                 key, key == NULL ? 0 : CB_KEY_BYTES);
    }
    cb_buffer_clear(&text);
    return status;
}

static void derive_id(const cb_secret *master_key, uint8_t *id)
{
    (void)crypto_kdf_derive_from_key(id, CB_IDENTIFIER_BYTES, SUBKEY_ID,
                                     KDF_CONTEXT, cb_secret_view(master_key));
}

static cb_status compute_check(const json_t *document,
                               const cb_secret *master_key, uint8_t *check,
                               cb_error *error)
{
    uint8_t key[CB_KEY_BYTES];
    (void)crypto_kdf_derive_from_key(key, sizeof key, SUBKEY_CHECK, KDF_CONTEXT,
                                     cb_secret_view(master_key));
    cb_status status =
        hash(document, CHECK_DOMAIN, key, check, CB_UNLOCK_CHECK_BYTES, error);
    sodium_memzero(key, sizeof key);
    return status;
}

cb_unlock_fit cb_unlock_judge(const cb_unlock *unlock,
                              const cb_secret *master_key)
{
    uint8_t id[CB_IDENTIFIER_BYTES];
    uint8_t check[CB_UNLOCK_CHECK_BYTES] = { 0 };
    if (unlock->version == 1) {
        return CB_UNLOCK_FITS;
    }
    derive_id(master_key, id);
    if (memcmp(id, unlock->key_id, sizeof id) != 0) {
        return CB_UNLOCK_OTHER_KEY;
    }
    json_t *document = describe(unlock);
    cb_status status = compute_check(document, master_key, check, NULL);
    json_decref(document);
    return status == CB_OK && !unlock->rotten &&
                   sodium_memcmp(check, unlock->check, sizeof check) == 0
               ? CB_UNLOCK_FITS
               : CB_UNLOCK_ALTERED;
}

cb_status cb_unlock_format(cb_unlock *unlock, const cb_secret *master_key,
                           cb_buffer *text, cb_error *reterr_error)
{
    uint8_t sum[CB_UNLOCK_SUM_BYTES];
    CB_ASSERT(unlock->version != 1);
    unlock->version = VERSION;
    unlock->rotten = false;
    derive_id(master_key, unlock->key_id);
    json_t *document = describe(unlock);
    cb_status status =
        compute_check(document, master_key, unlock->check, reterr_error);
    if (status == CB_OK) {
        (void)json_object_set_new(
            document, "check",
            cb_json_hex(unlock->check, sizeof unlock->check));
        status =
            hash(document, SUM_DOMAIN, NULL, sum, sizeof sum, reterr_error);
    }
    if (status == CB_OK) {
        (void)json_object_set_new(document, "sum",
                                  cb_json_hex(sum, sizeof sum));
        status = cb_json_append(document, text, reterr_error);
        cb_buffer_append_text(text, "\n");
    }
    json_decref(document);
    return status == CB_OK ? cb_buffer_check(text, reterr_error) : status;
}

/* -------------------------------------------------------------- from JSON */

static bool read_cost(const json_t *document, cb_unlock_cost *cost)
{
    int64_t operations = 0;
    int64_t memory_bytes = 0;
    if (!cb_json_integer(document, "operations", &operations) ||
        !cb_json_integer(document, "memory_bytes", &memory_bytes) ||
        operations < 0 || memory_bytes < 0) {
        return false;
    }
    *cost = (cb_unlock_cost){ .operations = (uint64_t)operations,
                              .memory_bytes = (uint64_t)memory_bytes };
    return cb_unlock_cost_valid(*cost);
}

static bool read_slot(const json_t *document, cb_unlock_kind kind,
                      cb_unlock_slot *slot)
{
    const char *kdf = cb_json_text(document, "kdf");
    bool passphrase = kind == CB_UNLOCK_PASSPHRASE;
    slot->used = true;
    return kdf != NULL &&
           strcmp(kdf, passphrase ? KDF_PASSPHRASE : KDF_RECOVERY) == 0 &&
           (!passphrase || read_cost(document, &slot->cost)) &&
           cb_json_bytes(document, "salt", slot->salt, sizeof slot->salt) &&
           cb_json_bytes(document, "nonce", slot->nonce, sizeof slot->nonce) &&
           cb_json_bytes(document, "sealed", slot->sealed, sizeof slot->sealed);
}

/* Each kind at most once, the passphrase's certainly, nothing unknown. */
static bool read_slots(const json_t *slots, cb_unlock *unlock)
{
    if (slots == NULL || json_array_size(slots) > CB_UNLOCK_KINDS) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(slots); i++) {
        const json_t *row = json_array_get(slots, i);
        const char *name = cb_json_text(row, "kind");
        int kind = 0;
        while (kind < CB_UNLOCK_KINDS &&
               (name == NULL || strcmp(name, kinds[kind]) != 0)) {
            kind++;
        }
        if (kind == CB_UNLOCK_KINDS || unlock->slots[kind].used ||
            !read_slot(row, (cb_unlock_kind)kind, &unlock->slots[kind])) {
            return false;
        }
    }
    return unlock->slots[CB_UNLOCK_PASSPHRASE].used;
}

static bool read_second(const json_t *document, cb_unlock *unlock)
{
    const json_t *previous = json_object_get(document, "previous");
    if (previous != NULL) {
        cb_unlock_slot *slot = &unlock->previous;
        slot->used = true;
        if (!cb_json_bytes(previous, "nonce", slot->nonce,
                           sizeof slot->nonce) ||
            !cb_json_bytes(previous, "sealed", slot->sealed,
                           sizeof slot->sealed)) {
            return false;
        }
    }
    return cb_json_bytes(document, "key", unlock->key_id,
                         sizeof unlock->key_id) &&
           cb_json_bytes(document, "check", unlock->check,
                         sizeof unlock->check) &&
           read_slots(cb_json_array(document, "slots"), unlock);
}

/* Of what was understood, so that nothing unknown can stand in the file. */
static bool sum_fits(const json_t *document, const cb_unlock *unlock)
{
    uint8_t found[CB_UNLOCK_SUM_BYTES];
    uint8_t expected[CB_UNLOCK_SUM_BYTES];
    if (!cb_json_bytes(document, "sum", found, sizeof found)) {
        return false;
    }
    json_t *known = describe(unlock);
    (void)json_object_set_new(known, "check",
                              cb_json_hex(unlock->check, sizeof unlock->check));
    cb_status status =
        hash(known, SUM_DOMAIN, NULL, expected, sizeof expected, NULL);
    json_decref(known);
    return status == CB_OK && memcmp(found, expected, sizeof found) == 0;
}

cb_status cb_unlock_parse(cb_span text, cb_unlock *ret_unlock,
                          cb_error *reterr_error)
{
    json_t *document = NULL;
    int64_t version = 0;
    cb_unlock unlock = { 0 };
    cb_status status = cb_json_parse(text, &document, NULL);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(reterr_error, status, "out of memory");
    }
    if (status != CB_OK || !cb_json_integer(document, "version", &version)) {
        status = CB_DAMAGED;
    } else if (version > VERSION) {
        status = CB_NEWER;
    } else if (!cb_json_bytes(document, "store", unlock.store_id,
                              sizeof unlock.store_id)) {
        status = CB_DAMAGED;
    } else if (version == 1) {
        status = read_slot(document, CB_UNLOCK_PASSPHRASE,
                           &unlock.slots[CB_UNLOCK_PASSPHRASE])
                     ? CB_OK
                     : CB_DAMAGED;
    } else {
        status = version == VERSION && read_second(document, &unlock)
                     ? CB_OK
                     : CB_DAMAGED;
    }
    if (status == CB_OK) {
        unlock.version = (int)version;
        unlock.rotten = version != 1 && !sum_fits(document, &unlock);
        *ret_unlock = unlock;
    }
    json_decref(document);
    return status;
}
