/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and opening.  An entry is built in place, in the caller's buffer:
 * the plaintext is copied to where the body will be and encrypted there, so
 * no second copy of case text is ever made.
 */
#include "entry/layout.h"

#include <string.h>

/*
 * Padme, for the largest text: sizes of 2^15 to 2^16 - 1 lose their last
 * 15 - 4 = 11 bits.
 */
#define PADME_STEP_OF_LARGEST 2048
static_assert(CB_PLAINTEXT_BYTES_MAX >= 1 << 15, "step of the largest text");
static_assert(CB_PLAINTEXT_BYTES_MAX < 1 << 16, "step of the largest text");
static_assert((CB_PLAINTEXT_BYTES_MAX + PADME_STEP_OF_LARGEST - 1) /
                          PADME_STEP_OF_LARGEST * PADME_STEP_OF_LARGEST +
                      (int)ENTRY_TAG_BYTES <=
                  CB_BODY_BYTES_MAX,
              "the largest text, padded and sealed, fits a body");

static unsigned floor_of_logarithm(size_t value)
{
    unsigned result = 0;
    while (value > 1) {
        value >>= 1;
        result++;
    }
    return result;
}

size_t cb_padme_size(size_t size)
{
    if (size < 2) {
        return size;
    }
    const unsigned exponent = floor_of_logarithm(size);
    const unsigned kept_bits = floor_of_logarithm(exponent) + 1;
    const unsigned cleared = exponent > kept_bits ? exponent - kept_bits : 0;
    const size_t mask = ((size_t)1 << cleared) - 1;
    size_t sum = 0;
    return cb_add_size(size, mask, &sum) ? sum & ~mask : size;
}

static void derive_key(const cb_entry_header *header,
                       const cb_secret *compartment_key, uint8_t *ret_entry_key)
{
    static const uint8_t domain[] = "casebound/1 entry key";
    uint8_t
        text[sizeof domain + CB_IDENTIFIER_BYTES + 8 + CB_ENTRY_NONCE_BYTES];
    uint8_t *at = text;

    CB_ASSERT(cb_secret_size(compartment_key) == CB_KEY_BYTES);
    memcpy(at, domain, sizeof domain);
    at += sizeof domain;
    memcpy(at, header->stream.bytes, CB_IDENTIFIER_BYTES);
    at += CB_IDENTIFIER_BYTES;
    cb_put_u64(at, header->seq);
    at += 8;
    memcpy(at, header->nonce, CB_ENTRY_NONCE_BYTES);
    (void)crypto_generichash(ret_entry_key, CB_KEY_BYTES, text, sizeof text,
                             cb_secret_view(compartment_key), CB_KEY_BYTES);
}

static void commit_to_key(const uint8_t *entry_key, cb_hash *ret_commitment)
{
    static const uint8_t domain[] = "casebound/1 commitment";
    uint8_t text[sizeof domain + CB_KEY_BYTES];
    memcpy(text, domain, sizeof domain);
    memcpy(text + sizeof domain, entry_key, CB_KEY_BYTES);
    (void)crypto_generichash(ret_commitment->bytes, CB_HASH_BYTES, text,
                             sizeof text, NULL, 0);
    sodium_memzero(text, sizeof text);
}

cb_status cb_entry_derive_key(const cb_entry_header *header,
                              const cb_secret *compartment_key,
                              cb_secret **ret_entry_key, cb_error *reterr_error)
{
    if ((header->flags & CB_ENTRY_FLAG_CLEAR) != 0) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the entry's body is in clear; it has no key");
    }
    cb_status status =
        cb_secret_create(CB_KEY_BYTES, ret_entry_key, reterr_error);
    if (status == CB_OK) {
        derive_key(header, compartment_key, cb_secret_bytes(*ret_entry_key));
    }
    return status;
}

static cb_status check_plaintext(cb_span plaintext, size_t size_max,
                                 cb_error *error)
{
    if (plaintext.size > size_max) {
        cb_status status = cb_error_set(
            error, CB_LIMIT,
            "the entry's text has %zu bytes; at most %zu fit an entry",
            plaintext.size, size_max);
        cb_error_meaning(error, "nothing was recorded");
        cb_error_next(error, "split it into several records");
        return status;
    }
    return CB_OK;
}

/* The last byte must not be one of the padding's. */
static cb_status check_ending(cb_span plaintext, cb_error *error)
{
    if (plaintext.size == 0 || plaintext.bytes[plaintext.size - 1] == 0) {
        return cb_error_set(error, CB_INPUT,
                            "the entry's text is empty or ends in a zero byte");
    }
    return CB_OK;
}

/* Signs the header and body that lie at `place`. */
static void finish(uint8_t *place, uint32_t body_length,
                   const cb_secret *signing_key)
{
    const cb_span body = { place + CB_ENTRY_HEADER_BYTES, body_length };
    cb_hash body_hash;
    cb_hash hash;
    cb_entry_hash_body(body, &body_hash);
    cb_entry_hash_whole(place, &body_hash, &hash);
    cb_entry_sign_hash(&hash, signing_key,
                       place + CB_ENTRY_HEADER_BYTES + body_length);
}

cb_status cb_entry_seal(const cb_entry_header *header, cb_span plaintext,
                        const cb_secret *compartment_key,
                        const cb_secret *signing_key, cb_buffer *bytes,
                        cb_error *reterr_error)
{
    const size_t padded = cb_padme_size(plaintext.size);
    cb_entry_header final = *header;
    cb_status status =
        check_plaintext(plaintext, CB_PLAINTEXT_BYTES_MAX, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    status = check_ending(plaintext, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    final.flags = (uint16_t)(final.flags & ~CB_ENTRY_FLAG_CLEAR);
    final.body_length = (uint32_t)(padded + ENTRY_TAG_BYTES);
    status = cb_entry_header_check(&final, CB_INPUT, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    uint8_t *place = cb_buffer_extend(
        bytes, CB_ENTRY_HEADER_BYTES + final.body_length + CB_SIGNATURE_BYTES);
    if (place == NULL) {
        return cb_buffer_check(bytes, reterr_error);
    }
    uint8_t *body = place + CB_ENTRY_HEADER_BYTES;
    uint8_t entry_key[CB_KEY_BYTES];
    derive_key(&final, compartment_key, entry_key);
    commit_to_key(entry_key, &final.commitment);
    cb_entry_header_encode(&final, place);
    memcpy(body, plaintext.bytes, plaintext.size);
    memset(body + plaintext.size, 0, padded - plaintext.size);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        body, NULL, body, padded, place, CB_ENTRY_HEADER_BYTES, NULL,
        final.nonce, entry_key);
    sodium_memzero(entry_key, sizeof entry_key);
    finish(place, final.body_length, signing_key);
    return CB_OK;
}

cb_status cb_entry_write_clear(const cb_entry_header *header, cb_span plaintext,
                               const cb_secret *signing_key, cb_buffer *bytes,
                               cb_error *reterr_error)
{
    cb_entry_header final = *header;
    cb_status status =
        check_plaintext(plaintext, CB_CLEAR_BODY_BYTES_MAX, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    final.flags = (uint16_t)(final.flags | CB_ENTRY_FLAG_CLEAR);
    memset(&final.key_id, 0, sizeof final.key_id);
    memset(&final.commitment, 0, sizeof final.commitment);
    memset(final.nonce, 0, sizeof final.nonce);
    final.body_length = (uint32_t)plaintext.size;
    status = cb_entry_header_check(&final, CB_INPUT, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    uint8_t *place = cb_buffer_extend(
        bytes, CB_ENTRY_HEADER_BYTES + final.body_length + CB_SIGNATURE_BYTES);
    if (place == NULL) {
        return cb_buffer_check(bytes, reterr_error);
    }
    cb_entry_header_encode(&final, place);
    if (plaintext.size > 0) {
        memcpy(place + CB_ENTRY_HEADER_BYTES, plaintext.bytes, plaintext.size);
    }
    finish(place, final.body_length, signing_key);
    return CB_OK;
}

static cb_status seal_damaged(cb_error *error, const char *problem)
{
    cb_status status =
        cb_error_set(error, CB_DAMAGED, "the entry's body %s", problem);
    cb_error_meaning(error, "its content cannot be trusted; author, order and "
                            "time of the entry still can");
    cb_error_next(error, "casebound audit verify");
    return status;
}

/* Takes the padding off `padded` bytes that end the buffer. */
static cb_status unpad(cb_buffer *plaintext, size_t padded, cb_error *error)
{
    uint8_t *start = plaintext->bytes + (plaintext->size - padded);
    size_t size = padded;
    while (size > 0 && start[size - 1] == 0) {
        size--;
    }
    if (size == 0 || size > CB_PLAINTEXT_BYTES_MAX ||
        cb_padme_size(size) != padded) {
        return seal_damaged(error, "is not padded as the format demands");
    }
    plaintext->size -= padded - size;
    return CB_OK;
}

static cb_status open_body(const cb_entry *entry, const uint8_t *entry_key,
                           cb_buffer *plaintext, cb_error *error)
{
    cb_hash commitment;
    commit_to_key(entry_key, &commitment);
    if (sodium_memcmp(commitment.bytes, entry->header.commitment.bytes,
                      CB_HASH_BYTES) != 0) {
        cb_status status = cb_error_set(
            error, CB_WRONG_KEY, "the entry was sealed with another key");
        cb_error_meaning(error, "it is kept, and opens with its own key");
        return status;
    }
    const size_t before = plaintext->size;
    const size_t padded = entry->body.size - ENTRY_TAG_BYTES;
    uint8_t *place = cb_buffer_extend(plaintext, padded);
    if (place == NULL) {
        return cb_buffer_check(plaintext, error);
    }
    cb_status status = CB_OK;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            place, NULL, NULL, entry->body.bytes, entry->body.size,
            entry->bytes.bytes, CB_ENTRY_HEADER_BYTES, entry->header.nonce,
            entry_key) != 0) {
        status = seal_damaged(error, "does not open");
    } else {
        status = unpad(plaintext, padded, error);
    }
    if (status != CB_OK) {
        sodium_memzero(place, padded);
        plaintext->size = before;
    }
    plaintext->bytes[plaintext->size] = 0;
    return status;
}

static cb_status check_is_sealed(const cb_entry *entry, cb_error *error)
{
    if ((entry->header.flags & CB_ENTRY_FLAG_CLEAR) != 0) {
        return cb_error_set(error, CB_INPUT,
                            "the entry's body is in clear; it is not sealed");
    }
    return CB_OK;
}

cb_status cb_entry_open(const cb_entry *entry, const cb_secret *compartment_key,
                        cb_buffer *plaintext, cb_error *reterr_error)
{
    cb_status status = check_is_sealed(entry, reterr_error);
    if (status == CB_OK) {
        uint8_t entry_key[CB_KEY_BYTES];
        derive_key(&entry->header, compartment_key, entry_key);
        status = open_body(entry, entry_key, plaintext, reterr_error);
        sodium_memzero(entry_key, sizeof entry_key);
    }
    return status;
}

cb_status cb_entry_open_with_entry_key(const cb_entry *entry,
                                       const cb_secret *entry_key,
                                       cb_buffer *plaintext,
                                       cb_error *reterr_error)
{
    CB_ASSERT(cb_secret_size(entry_key) == CB_KEY_BYTES);
    cb_status status = check_is_sealed(entry, reterr_error);
    if (status == CB_OK) {
        status = open_body(entry, cb_secret_view(entry_key), plaintext,
                           reterr_error);
    }
    return status;
}
