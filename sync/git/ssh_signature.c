/* SPDX-License-Identifier: Apache-2.0 */
#include "git/ssh_signature.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define KEY_BLOB_BYTES   51
#define SIGNED_BYTES     (6 + 4 + 3 + 4 + 4 + 6 + 4 + crypto_hash_sha512_BYTES)
#define BLOB_BYTES       (6 + 4 + 4 + KEY_BLOB_BYTES + 4 + 3 + 4 + 4 + 6 + 4 + 83)
#define ARMOR_LINE_CHARS 70
#define ARMOR_BYTES_MAX  512

static_assert(CB_PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES,
              "the key is an Ed25519 key");

static const char armor_begin[] = "-----BEGIN SSH SIGNATURE-----\n";
static const char armor_end[] = "-----END SSH SIGNATURE-----";

/* Writes into a buffer whose size is the sum of what will be written. */
static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static uint8_t *put_string(uint8_t *at, const void *bytes, size_t size)
{
    cb_put_u32(at, (uint32_t)size);
    return put_bytes(at + 4, bytes, size);
}

static void build_key_blob(const uint8_t *public_key,
                           uint8_t blob[KEY_BLOB_BYTES])
{
    uint8_t *at = put_string(blob, "ssh-ed25519", 11);
    at = put_string(at, public_key, CB_PUBLIC_KEY_BYTES);
    CB_ASSERT(at == blob + KEY_BLOB_BYTES);
}

/* What both the signed bytes and the blob say about the signature. */
static uint8_t *put_terms(uint8_t *at)
{
    at = put_string(at, "git", 3);
    at = put_string(at, "", 0);
    return put_string(at, "sha512", 6);
}

static void build_signed(cb_span message, uint8_t bytes[SIGNED_BYTES])
{
    uint8_t hash[crypto_hash_sha512_BYTES];
    crypto_hash_sha512(hash, message.bytes, message.size);
    uint8_t *at = put_terms(put_bytes(bytes, "SSHSIG", 6));
    at = put_string(at, hash, sizeof hash);
    CB_ASSERT(at == bytes + SIGNED_BYTES);
}

static void build_blob(const uint8_t *public_key, const uint8_t *signature,
                       uint8_t blob[BLOB_BYTES])
{
    static const uint8_t version[4] = { 0, 0, 0, 1 };
    uint8_t key[KEY_BLOB_BYTES];
    build_key_blob(public_key, key);
    uint8_t *at = put_bytes(put_bytes(blob, "SSHSIG", 6), version, 4);
    at = put_terms(put_string(at, key, sizeof key));
    cb_put_u32(at, 83);
    at = put_string(at + 4, "ssh-ed25519", 11);
    at = put_string(at, signature, crypto_sign_BYTES);
    CB_ASSERT(at == blob + BLOB_BYTES);
}

static void append_armor(cb_buffer *armor, const uint8_t blob[BLOB_BYTES])
{
    char text[sodium_base64_ENCODED_LEN(BLOB_BYTES,
                                        sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(text, sizeof text, blob, BLOB_BYTES,
                      sodium_base64_VARIANT_ORIGINAL);
    cb_buffer_append_text(armor, armor_begin);
    size_t left = sizeof text - 1;
    for (const char *at = text; left > 0;) {
        const size_t size = left < ARMOR_LINE_CHARS ? left : ARMOR_LINE_CHARS;
        cb_buffer_append(armor, at, size);
        cb_buffer_append_text(armor, "\n");
        at += size;
        left -= size;
    }
    cb_buffer_append_text(armor, armor_end);
}

cb_status cb_ssh_sign(cb_span message, const cb_secret *secret_key,
                      cb_buffer *armor, cb_error *reterr_error)
{
    CB_ASSERT(cb_secret_size(secret_key) == crypto_sign_SECRETKEYBYTES);
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t signed_bytes[SIGNED_BYTES];
    uint8_t signature[crypto_sign_BYTES];
    uint8_t blob[BLOB_BYTES];
    crypto_sign_ed25519_sk_to_pk(public_key, cb_secret_view(secret_key));
    build_signed(message, signed_bytes);
    crypto_sign_detached(signature, NULL, signed_bytes, sizeof signed_bytes,
                         cb_secret_view(secret_key));
    build_blob(public_key, signature, blob);
    append_armor(armor, blob);
    return cb_buffer_check(armor, reterr_error);
}

static cb_status refuse_signature(const char *what, cb_error *reterr_error)
{
    cb_status status = cb_error_set(reterr_error, CB_DAMAGED,
                                    "the signature of a commit %s", what);
    cb_error_meaning(reterr_error, "nothing in this commit is accepted; what "
                                   "was accepted before it stays");
    return status;
}

/* The characters of an armor's base64, the newlines taken out. */
static bool join_armor(cb_span armor, cb_buffer *text)
{
    const size_t begin_size = sizeof armor_begin - 1;
    const size_t end_size = sizeof armor_end - 1;
    if (armor.size <= begin_size + end_size ||
        memcmp(armor.bytes, armor_begin, begin_size) != 0) {
        return false;
    }
    const size_t body_end = armor.size - end_size;
    for (size_t i = begin_size; i < body_end; i++) {
        if (armor.bytes[i] != '\n') {
            cb_buffer_append(text, &armor.bytes[i], 1);
        }
    }
    return cb_buffer_check(text, NULL) == CB_OK;
}

/*
 * Invariant 2: takes the signature out, writes the whole again, and nothing
 * else can have been read.
 */
static cb_status extract_signature(cb_span armor, const uint8_t *public_key,
                                   uint8_t ret_signature[crypto_sign_BYTES],
                                   cb_error *reterr_error)
{
    uint8_t blob[BLOB_BYTES];
    cb_status status = CB_OK;
    cb_buffer text;
    cb_buffer written;
    cb_buffer_init(&text, ARMOR_BYTES_MAX);
    cb_buffer_init(&written, ARMOR_BYTES_MAX);
    if (!join_armor(armor, &text) ||
        !cb_base64_parse(cb_span_of_buffer(&text), blob, sizeof blob)) {
        status = refuse_signature("is not in the form that is used here",
                                  reterr_error);
        goto out;
    }
    memcpy(ret_signature, blob + sizeof blob - crypto_sign_BYTES,
           crypto_sign_BYTES);
    build_blob(public_key, ret_signature, blob);
    append_armor(&written, blob);
    status = cb_buffer_check(&written, reterr_error);
    if (status == CB_OK && !cb_span_equal(armor, cb_span_of_buffer(&written))) {
        status = refuse_signature("is by another key or has another form",
                                  reterr_error);
    }
out:
    cb_buffer_clear(&text);
    cb_buffer_clear(&written);
    return status;
}

cb_status cb_ssh_verify(cb_span armor, cb_span message,
                        const uint8_t public_key[CB_PUBLIC_KEY_BYTES],
                        cb_error *reterr_error)
{
    if (armor.size > 0 && armor.bytes[armor.size - 1] == '\n') {
        armor.size--;
    }
    if (armor.size > ARMOR_BYTES_MAX) {
        return refuse_signature("is too long for its kind", reterr_error);
    }
    uint8_t signature[crypto_sign_BYTES];
    cb_status status =
        extract_signature(armor, public_key, signature, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    uint8_t signed_bytes[SIGNED_BYTES];
    build_signed(message, signed_bytes);
    if (crypto_sign_verify_detached(signature, signed_bytes,
                                    sizeof signed_bytes, public_key) != 0) {
        return refuse_signature("does not belong to it", reterr_error);
    }
    return CB_OK;
}

cb_status cb_ssh_allowed_signer(const char *principal,
                                const uint8_t public_key[CB_PUBLIC_KEY_BYTES],
                                cb_buffer *line, cb_error *reterr_error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._@/";
    const size_t size = strlen(principal);
    if (size == 0 || size > CB_SSH_PRINCIPAL_BYTES_MAX ||
        strspn(principal, allowed) != size) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the name of a signer must be 1 to %d letters, "
                            "digits or '-._@/'",
                            CB_SSH_PRINCIPAL_BYTES_MAX);
    }
    uint8_t key[KEY_BLOB_BYTES];
    build_key_blob(public_key, key);
    cb_buffer_append_format(line, "%s namespaces=\"git\" ssh-ed25519 ",
                            principal);
    cb_buffer_append_base64(line,
                            (cb_span){ .bytes = key, .size = sizeof key });
    cb_buffer_append_text(line, "\n");
    return cb_buffer_check(line, reterr_error);
}

void cb_ssh_fingerprint(const uint8_t public_key[CB_PUBLIC_KEY_BYTES],
                        char ret_text[CB_SSH_FINGERPRINT_TEXT_BYTES])
{
    static const char prefix[] = "SHA256:";
    uint8_t key[KEY_BLOB_BYTES];
    uint8_t hash[crypto_hash_sha256_BYTES];
    build_key_blob(public_key, key);
    crypto_hash_sha256(hash, key, sizeof key);
    memcpy(ret_text, prefix, sizeof prefix);
    sodium_bin2base64(ret_text + sizeof prefix - 1,
                      CB_SSH_FINGERPRINT_TEXT_BYTES - (sizeof prefix - 1), hash,
                      sizeof hash, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}
