/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the fields of an entry lie; schema/FORMAT.md, section 2.
 */
#ifndef CASEBOUND_ENTRY_LAYOUT_H
#define CASEBOUND_ENTRY_LAYOUT_H

#include <assert.h>
#include <casebound/entry.h>
#include <sodium.h>

#define ENTRY_SUITE            1
#define ENTRY_FLAGS_CLOCK_MASK 0x0003u
#define ENTRY_FLAGS_KNOWN      (ENTRY_FLAGS_CLOCK_MASK | CB_ENTRY_FLAG_CLEAR)
#define ENTRY_TAG_BYTES        crypto_aead_xchacha20poly1305_ietf_ABYTES

enum entry_offset {
    AT_MAGIC = 0,
    AT_SUITE = 4,
    AT_KIND = 5,
    AT_FLAGS = 6,
    AT_REALM = 8,
    AT_STREAM = 24,
    AT_SEQ = 40,
    AT_PREV = 48,
    AT_KEY_ID = 80,
    AT_COMMITMENT = 96,
    AT_TIME = 128,
    AT_SEEN_SIZE = 136,
    AT_SEEN_ROOT = 144,
    AT_ROSTER = 176,
    AT_LENGTH = 180,
    AT_NONCE = 184,
    AT_END = 208
};

static_assert((int)AT_END == (int)CB_ENTRY_HEADER_BYTES, "header");
static_assert((int)AT_END + CB_HASH_BYTES + CB_SIGNATURE_BYTES ==
                  (int)CB_ENTRY_STUB_BYTES,
              "stub");
static_assert((int)CB_BODY_BYTES_MAX ==
                  (int)CB_ENTRY_BYTES_MAX - (int)AT_END - CB_SIGNATURE_BYTES,
              "body");
static_assert((int)CB_CLEAR_BODY_BYTES_MAX <= (int)CB_BODY_BYTES_MAX, "clear");
static_assert(CB_SIGNATURE_BYTES == crypto_sign_BYTES, "signature");
static_assert(CB_PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "public key");
static_assert(CB_HASH_BYTES == crypto_generichash_BYTES, "hash");
static_assert(CB_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
              "key");
static_assert(CB_ENTRY_NONCE_BYTES ==
                  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
              "nonce");

/* The 208 bytes; `body_length` and the commitment must be final. */
void cb_entry_header_encode(const cb_entry_header *header, uint8_t *ret_bytes);

/*
 * CB_OK where the fields agree with one another, else `status`, or CB_NEWER
 * for a flag that this version does not know.
 */
CB_NODISCARD cb_status cb_entry_header_check(const cb_entry_header *header,
                                             cb_status status,
                                             cb_error *reterr_error);

void cb_entry_hash_body(cb_span body, cb_hash *ret_hash);
void cb_entry_hash_whole(const uint8_t *header, const cb_hash *body_hash,
                         cb_hash *ret_hash);
void cb_entry_sign_hash(const cb_hash *hash, const cb_secret *signing_key,
                        uint8_t *ret_signature);

#endif
