/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries and stubs that anybody may have sent.
 *
 * Most changes to an entry would die at its signature.  What decodes is opened
 * and chained all the same, for a device with a key may sign anything.
 */
#include <casebound/chain.h>
#include <casebound/entry.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

typedef struct fuzz_keys {
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    cb_secret *signing_key;
    cb_secret *compartment_key;
} fuzz_keys;

static void keys_create(fuzz_keys *keys)
{
    static const uint8_t seed[crypto_sign_SEEDBYTES] = { 1, 2, 3 };
    if (sodium_init() < 0 ||
        cb_secret_create(crypto_sign_SECRETKEYBYTES, &keys->signing_key,
                         NULL) != CB_OK ||
        cb_secret_create(CB_KEY_BYTES, &keys->compartment_key, NULL) != CB_OK) {
        abort();
    }
    (void)crypto_sign_seed_keypair(keys->public_key,
                                   cb_secret_bytes(keys->signing_key), seed);
    memset(cb_secret_bytes(keys->compartment_key), 7, CB_KEY_BYTES);
}

static void keys_destroy(fuzz_keys *keys)
{
    cb_secret_destroy(keys->signing_key);
    cb_secret_destroy(keys->compartment_key);
}

bool fuzz_seed(unsigned number, cb_buffer *seed)
{
    static const char *const texts[] = {
        "{}",
        "{\"n\":1,\"t\":\"a text of some length, so that padding shows\"}",
        "{\"a\":[[[[[[[[1]]]]]]]],\"b\":{\"c\":null,\"d\":\"\\u0001\"}}",
    };
    const size_t count = sizeof texts / sizeof texts[0];
    if (number >= 2 * count) {
        return false;
    }
    fuzz_keys keys;
    keys_create(&keys);
    cb_entry_header header = {
        .kind = number % 2 ? CB_ENTRY_CASE : CB_ENTRY_HEARTBEAT,
        .seq = number + 2,
        .time = (uint64_t)1700000000000 << 16,
        .roster = 1,
    };
    memset(header.realm.bytes, 1, sizeof header.realm.bytes);
    memset(header.stream.bytes, 2, sizeof header.stream.bytes);
    memset(header.prev.bytes, 3, sizeof header.prev.bytes);
    const cb_span text = cb_span_of_text(texts[number / 2]);
    cb_status status;
    if (number % 2) {
        memset(header.key_id.bytes, 4, sizeof header.key_id.bytes);
        memset(header.nonce, 5, sizeof header.nonce);
        status = cb_entry_seal(&header, text, keys.compartment_key,
                               keys.signing_key, seed, NULL);
    } else {
        status =
            cb_entry_write_clear(&header, text, keys.signing_key, seed, NULL);
    }
    keys_destroy(&keys);
    CB_ASSERT(status == CB_OK);
    return true;
}

/* What the entry's stub says is what the entry says. */
static void check_stub(const cb_entry *entry)
{
    cb_buffer bytes;
    cb_buffer_init(&bytes, CB_ENTRY_STUB_BYTES);
    cb_entry_append_stub(entry, &bytes);
    cb_stub stub;
    CB_ASSERT(cb_stub_decode(cb_span_of_buffer(&bytes), &stub, NULL) == CB_OK);
    CB_ASSERT(memcmp(&stub.hash, &entry->hash, sizeof stub.hash) == 0);
    CB_ASSERT(stub.header.seq == entry->header.seq);
    cb_buffer_clear(&bytes);
}

/* Opening gives a text that fits, or a status; never both, never neither. */
static void check_opening(const cb_entry *entry, const fuzz_keys *keys)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_BODY_BYTES_MAX);
    cb_error error = { 0 };
    const cb_status status =
        cb_entry_open(entry, keys->compartment_key, &text, &error);
    CB_ASSERT(status == error.status);
    if (status == CB_OK) {
        CB_ASSERT(text.size <= entry->body.size);
    } else {
        CB_ASSERT(text.size == 0);
        CB_ASSERT(error.what[0] != '\0');
    }
    cb_buffer_clear(&text);
}

/* Moves nothing where it refuses. */
static void check_chain(const cb_entry *entry)
{
    cb_chain chain = { .seq = entry->header.seq - 1,
                       .realm = entry->header.realm,
                       .stream = entry->header.stream,
                       .head = entry->header.prev };
    const cb_chain before = chain;
    if (cb_chain_advance(&chain, &entry->header, &entry->hash, NULL) == CB_OK) {
        CB_ASSERT(chain.seq == entry->header.seq);
    } else {
        CB_ASSERT(memcmp(&chain, &before, sizeof chain) == 0);
    }
}

/* Another signature than the one that holds does not hold. */
static void check_signature(const cb_entry *entry, const uint8_t *public_key)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    cb_entry changed = *entry;
    if (cb_entry_verify(entry, public_key, NULL) == CB_OK) {
        memcpy(signature, entry->signature, sizeof signature);
        signature[sizeof signature - 1] ^= 1;
        changed.signature = signature;
        CB_ASSERT(cb_entry_verify(&changed, public_key, NULL) == CB_DAMAGED);
    }
}

static void check_entry(const cb_entry *entry, const fuzz_keys *keys)
{
    check_stub(entry);
    check_chain(entry);
    check_opening(entry, keys);
    check_signature(entry, keys->public_key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const cb_span input = { data, size };
    cb_stub stub;
    fuzz_keys keys;
    keys_create(&keys);
    if (cb_stub_decode(input, &stub, NULL) == CB_OK) {
        (void)!cb_stub_verify(&stub, keys.public_key, NULL);
    }
    cb_entry entry;
    cb_error error = { 0 };
    const cb_status status = cb_entry_decode(input, &entry, &error);
    CB_ASSERT(status == error.status);
    CB_ASSERT(status == CB_OK || error.what[0] != '\0');
    if (status == CB_OK) {
        check_entry(&entry, &keys);
    }
    keys_destroy(&keys);
    return 0;
}
