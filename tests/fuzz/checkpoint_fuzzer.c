/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints as a hub, a witness or somebody in between may have written them.
 */
#include <sodium.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "proof/checkpoint.h"

static void make_keys(cb_note_key *key, cb_secret **ret_secret)
{
    static const uint8_t seed[crypto_sign_SEEDBYTES] = { 4, 5, 6 };
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    CB_ASSERT(sodium_init() >= 0);
    CB_ASSERT(cb_secret_create(crypto_sign_SECRETKEYBYTES, ret_secret, NULL) ==
              CB_OK);
    (void)crypto_sign_seed_keypair(public_key, cb_secret_bytes(*ret_secret),
                                   seed);
    CB_ASSERT(cb_note_key_init(key, "casebound/fuzz", public_key, NULL) ==
              CB_OK);
}

bool fuzz_seed(unsigned number, cb_buffer *seed)
{
    static const uint64_t sizes[] = { 0, 1, 1000000, UINT64_C(1) << 40 };
    cb_note_key key;
    cb_secret *secret = NULL;
    if (number > sizeof sizes / sizeof sizes[0]) {
        return false;
    }
    make_keys(&key, &secret);
    if (number == sizeof sizes / sizeof sizes[0]) {
        cb_note_key_format(&key, seed);
    } else {
        cb_checkpoint checkpoint = { .origin = "casebound/fuzz" };
        checkpoint.head.size = sizes[number];
        if (sizes[number] == 0) {
            (void)crypto_hash_sha256(checkpoint.head.root.bytes, NULL, 0);
        } else {
            memset(&checkpoint.head.root, 3, sizeof checkpoint.head.root);
        }
        CB_ASSERT(cb_checkpoint_sign(&checkpoint, &key, secret, seed, NULL) ==
                  CB_OK);
    }
    cb_secret_destroy(secret);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const cb_span input = { data, size };
    cb_note_key key;
    cb_note_key other;
    cb_secret *secret = NULL;
    cb_note note;
    cb_checkpoint checkpoint;
    cb_error error = { 0 };
    make_keys(&key, &secret);
    const bool has_form = cb_checkpoint_parse(input, &note, NULL) == CB_OK;
    const cb_status status =
        cb_checkpoint_verify(input, &key, &checkpoint, &error);
    CB_ASSERT(status == error.status);
    if (status == CB_OK) {
        CB_ASSERT(has_form);
        CB_ASSERT(strcmp(checkpoint.origin, key.name) == 0);
        CB_ASSERT(memcmp(&checkpoint.head, &note.checkpoint.head,
                         sizeof checkpoint.head) == 0);
    }
    if (has_form) {
        CB_ASSERT(note.signature_count > 0);
        CB_ASSERT(note.text.size < size);
    }
    if (cb_note_key_parse(input, &other, NULL) == CB_OK) {
        cb_buffer text;
        cb_buffer_init(&text, CB_NOTE_KEY_TEXT_BYTES_MAX);
        cb_note_key_format(&other, &text);
        CB_ASSERT(cb_span_equal(cb_span_of_buffer(&text), input));
        cb_buffer_clear(&text);
    }
    cb_secret_destroy(secret);
    return 0;
}
