/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry: one signed, append-only line of a stream.  schema/FORMAT.md,
 * section 2, fixes every byte; this is its codec, and it is pure: no clock, no
 * randomness, no files.
 *
 *     header (208) | body (0 to 65,263) | signature (64)
 *
 * The header is in clear and says who wrote (stream, seq), after what (prev),
 * under which key (key_id), and what the writer had seen of the hub's log.  The
 * body is a padded JSON object sealed under a key of its own, or, where an
 * auditor without keys must be able to read it, the JSON itself.
 *
 *     body_hash  = H("casebound/1 body" 0x00 | body)
 *     entry hash = H("casebound/1 entry" 0x00 | header | body_hash)
 *     signature  = Ed25519("casebound/1 signature" 0x00 | entry hash)
 *     entry key  = H keyed by the compartment key
 *                  ("casebound/1 entry key" 0x00 | stream | seq | nonce)
 *     commitment = H("casebound/1 commitment" 0x00 | entry key)
 *
 * H is BLAKE2b-256.  Header, body_hash and signature together are the stub:
 * they prove author, order and time without any content.
 */
#ifndef CASEBOUND_ENTRY_H
#define CASEBOUND_ENTRY_H

#include <casebound/identifier.h>
#include <casebound/limits.h>
#include <casebound/secret.h>

#define CB_ENTRY_NONCE_BYTES 24
#define CB_SIGNATURE_BYTES   64
#define CB_PUBLIC_KEY_BYTES  32

typedef enum cb_entry_kind {
    CB_ENTRY_CASE = 1,
    CB_ENTRY_ROSTER = 2,
    CB_ENTRY_ACCESS = 3,
    CB_ENTRY_HEARTBEAT = 4,
    CB_ENTRY_ERASURE = 5,
    CB_ENTRY_OPENING = 6
} cb_entry_kind;

/* How good the writer believed its clock to be: flags, bits 0 and 1. */
typedef enum cb_clock_quality {
    CB_CLOCK_UNSET = 0,
    CB_CLOCK_SET_BY_USER = 1,
    CB_CLOCK_SET_BY_SYNC = 2
} cb_clock_quality;

#define CB_ENTRY_FLAG_CLEAR 0x0004u

/* The header, decoded.  `kind` may hold a value that this version reserves. */
typedef struct cb_entry_header {
    uint8_t kind;
    uint16_t flags;
    cb_realm_id realm;
    cb_stream_id stream;
    uint64_t seq;       /* 1, 2, 3 ... without gap inside the stream */
    cb_hash prev;       /* entry hash of seq - 1; zero for seq 1 */
    cb_key_id key_id;   /* zero when the body is in clear */
    cb_hash commitment; /* zero when the body is in clear */
    uint64_t time;      /* hybrid logical clock: 48 bits of ms, 16 of counter */
    uint64_t seen_size; /* newest checkpoint verified when writing */
    cb_hash seen_root;
    uint32_t roster;      /* roster version known when writing */
    uint32_t body_length; /* bytes */
    uint8_t nonce[CB_ENTRY_NONCE_BYTES];
} cb_entry_header;

/* A whole entry, borrowed from the bytes that were decoded. */
typedef struct cb_entry {
    cb_entry_header header;
    cb_span bytes; /* all of it, verbatim */
    cb_span body;
    const uint8_t *signature;
    cb_hash body_hash;
    cb_hash hash;
} cb_entry;

/* What a stub says; the same facts as an entry's, without the body. */
typedef struct cb_stub {
    cb_entry_header header;
    cb_hash body_hash;
    cb_hash hash;
    uint8_t signature[CB_SIGNATURE_BYTES];
} cb_stub;

/* Milliseconds since 1970 of a header's claimed time. */
CB_PUBLIC int64_t cb_entry_time_ms(uint64_t time);

/*
 * The next hybrid logical time: later than `last`, and as near to `now_ms` as
 * that allows.  A clock before 1970 counts as 1970.  (Kulkarni et al., 2014.)
 */
CB_PUBLIC uint64_t cb_entry_time_next(uint64_t last, int64_t now_ms);

/*
 * Appends a sealed entry to `bytes`.  `header` carries everything but
 * commitment, body_length and the nonce's use, which are filled in; its nonce
 * must be 24 fresh random bytes.  `plaintext` is canonical JSON.
 * `compartment_key` is 32 bytes, `signing_key` libsodium's 64.
 * CB_LIMIT where the plaintext is too large, CB_NO_MEMORY.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_entry_seal(const cb_entry_header *header,
                                               cb_span plaintext,
                                               const cb_secret *compartment_key,
                                               const cb_secret *signing_key,
                                               cb_buffer *bytes,
                                               cb_error *reterr_error);

/* The same for a body in clear.  `flags` gets CB_ENTRY_FLAG_CLEAR. */
CB_NODISCARD CB_PUBLIC cb_status cb_entry_write_clear(
    const cb_entry_header *header, cb_span plaintext,
    const cb_secret *signing_key, cb_buffer *bytes, cb_error *reterr_error);

/*
 * Reads the shape of an entry and computes its hashes; proves nothing about
 * who wrote it.  `bytes` must be the entry and nothing else.
 * CB_DAMAGED says which field is not as the format demands; CB_NEWER for an
 * unknown suite or flag.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_entry_decode(cb_span bytes,
                                                 cb_entry *ret_entry,
                                                 cb_error *reterr_error);

/* CB_DAMAGED where the signature is not this key's over this entry. */
CB_NODISCARD CB_PUBLIC cb_status cb_entry_verify(const cb_entry *entry,
                                                 const uint8_t *public_key,
                                                 cb_error *reterr_error);

/*
 * Opens a sealed body into `plaintext`: the JSON text without its padding,
 * checked to be padded exactly as the format demands.  CB_WRONG_KEY where the
 * commitment is another key's, CB_DAMAGED where the seal does not open or the
 * padding is wrong.  The JSON itself is not parsed here.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_entry_open(const cb_entry *entry,
                                               const cb_secret *compartment_key,
                                               cb_buffer *plaintext,
                                               cb_error *reterr_error);

/*
 * The entry's own key alone, so that one entry can be opened before a court
 * without opening its neighbours.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_entry_derive_key(
    const cb_entry_header *header, const cb_secret *compartment_key,
    cb_secret **ret_entry_key, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_entry_open_with_entry_key(const cb_entry *entry, const cb_secret *entry_key,
                             cb_buffer *plaintext, cb_error *reterr_error);

/* Appends the 304 bytes of the stub. */
CB_PUBLIC void cb_entry_append_stub(const cb_entry *entry, cb_buffer *bytes);

/* Reads 304 bytes; CB_DAMAGED, CB_NEWER. */
CB_NODISCARD CB_PUBLIC cb_status cb_stub_decode(cb_span bytes,
                                                cb_stub *ret_stub,
                                                cb_error *reterr_error);

CB_NODISCARD CB_PUBLIC cb_status cb_stub_verify(const cb_stub *stub,
                                                const uint8_t *public_key,
                                                cb_error *reterr_error);

/* Size after Padme padding (Nikitin et al., PETS 2019), size itself for 0. */
CB_PUBLIC size_t cb_padme_size(size_t size);

/*
 * Sign and check other texts of ours with a named domain, as an entry is:
 * Ed25519("casebound/1 " domain 0x00 | H("casebound/1 " domain 0x00 |
 * message)), so that neither needs memory for a copy.  `signature` is 64 bytes.
 */
CB_PUBLIC void cb_sign(const char *domain, cb_span message,
                       const cb_secret *signing_key, uint8_t *ret_signature);
CB_NODISCARD CB_PUBLIC bool cb_sign_verify(const char *domain, cb_span message,
                                           const uint8_t *signature,
                                           const uint8_t *public_key);

/* H("casebound/1 " domain 0x00 | message). */
CB_PUBLIC void cb_hash_domain(const char *domain, cb_span message,
                              cb_hash *ret_hash);

/* True for a key that the roster may hold: a point of full order. */
CB_NODISCARD CB_PUBLIC bool cb_public_key_is_acceptable(
    const uint8_t *public_key);

#endif
