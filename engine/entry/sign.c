/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes and signatures, each under a domain string of its own, so that what
 * was made for one purpose never passes for another.
 */
#include "entry/layout.h"

#include <string.h>

#define DOMAIN_PREFIX    "casebound/1 "
#define DOMAIN_BYTES_MAX 64

static void hash_begin(const char *domain, crypto_generichash_state *state)
{
    (void)crypto_generichash_init(state, NULL, 0, CB_HASH_BYTES);
    (void)crypto_generichash_update(state, (const uint8_t *)DOMAIN_PREFIX,
                                    sizeof DOMAIN_PREFIX - 1);
    (void)crypto_generichash_update(state, (const uint8_t *)domain,
                                    strlen(domain) + 1);
}

void cb_hash_domain(const char *domain, cb_span message, cb_hash *ret_hash)
{
    crypto_generichash_state state;
    hash_begin(domain, &state);
    (void)crypto_generichash_update(&state, message.bytes, message.size);
    (void)crypto_generichash_final(&state, ret_hash->bytes, CB_HASH_BYTES);
}

void cb_entry_hash_body(cb_span body, cb_hash *ret_hash)
{
    cb_hash_domain("body", body, ret_hash);
}

void cb_entry_hash_whole(const uint8_t *header, const cb_hash *body_hash,
                         cb_hash *ret_hash)
{
    crypto_generichash_state state;
    hash_begin("entry", &state);
    (void)crypto_generichash_update(&state, header, CB_ENTRY_HEADER_BYTES);
    (void)crypto_generichash_update(&state, body_hash->bytes, CB_HASH_BYTES);
    (void)crypto_generichash_final(&state, ret_hash->bytes, CB_HASH_BYTES);
}

/* What Ed25519 is given: a domain and a hash, so that its size is bounded. */
typedef struct signed_text {
    uint8_t bytes[DOMAIN_BYTES_MAX + CB_HASH_BYTES];
    size_t size;
} signed_text;

static signed_text text_to_sign(const char *domain, const cb_hash *hash)
{
    const size_t prefix_size = sizeof DOMAIN_PREFIX - 1;
    const size_t domain_size = strlen(domain) + 1;
    CB_ASSERT(prefix_size + domain_size <= DOMAIN_BYTES_MAX);
    signed_text text;
    memcpy(text.bytes, DOMAIN_PREFIX, prefix_size);
    memcpy(text.bytes + prefix_size, domain, domain_size);
    memcpy(text.bytes + prefix_size + domain_size, hash->bytes, CB_HASH_BYTES);
    text.size = prefix_size + domain_size + CB_HASH_BYTES;
    return text;
}

static void sign_hash(const char *domain, const cb_hash *hash,
                      const cb_secret *signing_key, uint8_t *ret_signature)
{
    CB_ASSERT(cb_secret_size(signing_key) == crypto_sign_SECRETKEYBYTES);
    const signed_text text = text_to_sign(domain, hash);
    (void)crypto_sign_detached(ret_signature, NULL, text.bytes, text.size,
                               cb_secret_view(signing_key));
}

static bool verify_hash(const char *domain, const cb_hash *hash,
                        const uint8_t *signature, const uint8_t *public_key)
{
    const signed_text text = text_to_sign(domain, hash);
    return crypto_sign_verify_detached(signature, text.bytes, text.size,
                                       public_key) == 0;
}

void cb_entry_sign_hash(const cb_hash *hash, const cb_secret *signing_key,
                        uint8_t *ret_signature)
{
    sign_hash("signature", hash, signing_key, ret_signature);
}

static cb_status verify_entry_hash(const cb_hash *hash,
                                   const uint8_t *signature,
                                   const uint8_t *public_key, cb_error *error)
{
    if (verify_hash("signature", hash, signature, public_key)) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(error, CB_DAMAGED,
                     "the entry's 'signature' is not by the stream's key");
    cb_error_meaning(error, "it was altered, or another device wrote it; "
                            "nothing of it is used");
    cb_error_next(error, "casebound audit verify");
    return status;
}

cb_status cb_entry_verify(const cb_entry *entry, const uint8_t *public_key,
                          cb_error *reterr_error)
{
    return verify_entry_hash(&entry->hash, entry->signature, public_key,
                             reterr_error);
}

cb_status cb_stub_verify(const cb_stub *stub, const uint8_t *public_key,
                         cb_error *reterr_error)
{
    return verify_entry_hash(&stub->hash, stub->signature, public_key,
                             reterr_error);
}

void cb_sign(const char *domain, cb_span message, const cb_secret *signing_key,
             uint8_t *ret_signature)
{
    cb_hash hash;
    cb_hash_domain(domain, message, &hash);
    sign_hash(domain, &hash, signing_key, ret_signature);
}

bool cb_sign_verify(const char *domain, cb_span message,
                    const uint8_t *signature, const uint8_t *public_key)
{
    cb_hash hash;
    cb_hash_domain(domain, message, &hash);
    return verify_hash(domain, &hash, signature, public_key);
}

bool cb_public_key_is_acceptable(const uint8_t *public_key)
{
    return crypto_core_ed25519_is_valid_point(public_key) == 1;
}
