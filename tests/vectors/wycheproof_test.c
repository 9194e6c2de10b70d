/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors that nobody here wrote (C2SP/wycheproof), against the libsodium that
 * is linked.  libsodium's verdict is the format's: where a vector leaves the
 * choice ("acceptable"), what libsodium chooses is written down here, and it
 * must not change unnoticed.
 */
#include "support/expect.h"

#include <casebound/buffer.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX 4096

/* A member's bytes; the longest in these files has 1,024. */
typedef struct octets {
    uint8_t at[MESSAGE_BYTES_MAX];
    size_t size;
} octets;

static octets bytes_of(const json_t *object, const char *name)
{
    octets result = { .size = 0 };
    const char *text = json_string_value(json_object_get(object, name));
    cr_assert(text != NULL, "there is no '%s'", name);
    result.size = strlen(text) / 2;
    cr_assert(result.size <= sizeof result.at);
    cr_assert(cb_hex_parse(text, result.at, result.size), "'%s'", text);
    return result;
}

static bool has_flag(const json_t *vector, const char *wanted)
{
    size_t i = 0;
    const json_t *flag = NULL;
    json_array_foreach (json_object_get(vector, "flags"), i, flag) {
        if (strcmp(json_string_value(flag), wanted) == 0) {
            return true;
        }
    }
    return false;
}

typedef bool (*judge)(const json_t *group, const json_t *vector);

/* How many vectors of the file the judge agreed with; all of them must. */
static size_t run(const char *name, judge agrees)
{
    char path[4096];
    json_error_t problem;
    size_t count = 0;
    const char *folder = getenv("CASEBOUND_VECTORS");
    snprintf(path, sizeof path, "%s/wycheproof/%s",
             folder != NULL ? folder : CASEBOUND_VECTORS, name);
    json_t *file = json_load_file(path, 0, &problem);
    if (file == NULL) {
        cr_skip_test("the public vectors 'wycheproof/%s' are not here; set "
                     "CASEBOUND_VECTORS to their folder to run them",
                     name);
    }
    cr_assert(sodium_init() >= 0);
    size_t i = 0;
    size_t j = 0;
    const json_t *group = NULL;
    const json_t *vector = NULL;
    json_array_foreach (json_object_get(file, "testGroups"), i, group) {
        json_array_foreach (json_object_get(group, "tests"), j, vector) {
            cr_expect(agrees(group, vector), "vector %d, '%s', is not %s here",
                      (int)json_integer_value(json_object_get(vector, "tcId")),
                      json_string_value(json_object_get(vector, "comment")),
                      json_string_value(json_object_get(vector, "result")));
            count++;
        }
    }
    json_decref(file);
    return count;
}

static bool is_result(const json_t *vector, const char *result)
{
    return strcmp(json_string_value(json_object_get(vector, "result")),
                  result) == 0;
}

/* A field of ours holds 64 bytes, so that another size is never a signature. */
static bool judge_signature(const json_t *group, const json_t *vector)
{
    const octets key = bytes_of(json_object_get(group, "publicKey"), "pk");
    const octets message = bytes_of(vector, "msg");
    const octets signature = bytes_of(vector, "sig");
    const bool good = signature.size == crypto_sign_BYTES &&
                      key.size == crypto_sign_PUBLICKEYBYTES &&
                      crypto_sign_verify_detached(signature.at, message.at,
                                                  message.size, key.at) == 0;
    return good == is_result(vector, "valid");
}

Test(wycheproof, libsodium_verifies_ed25519_as_the_vectors_demand)
{
    cr_expect(run("ed25519_test.json", judge_signature) == 151);
}

static bool judge_seal(const json_t *group, const json_t *vector)
{
    (void)group;
    const octets key = bytes_of(vector, "key");
    const octets nonce = bytes_of(vector, "iv");
    const octets header = bytes_of(vector, "aad");
    const octets text = bytes_of(vector, "msg");
    const octets tag = bytes_of(vector, "tag");
    octets sealed = bytes_of(vector, "ct");
    uint8_t opened[MESSAGE_BYTES_MAX];
    uint8_t again[MESSAGE_BYTES_MAX];
    const bool valid = is_result(vector, "valid");

    if (key.size != crypto_aead_xchacha20poly1305_ietf_KEYBYTES ||
        nonce.size != crypto_aead_xchacha20poly1305_ietf_NPUBBYTES ||
        tag.size != crypto_aead_xchacha20poly1305_ietf_ABYTES) {
        return !valid;
    }
    cr_assert(sealed.size + tag.size <= sizeof sealed.at);
    memcpy(sealed.at + sealed.size, tag.at, tag.size);
    sealed.size += tag.size;
    const bool opens = crypto_aead_xchacha20poly1305_ietf_decrypt(
                           opened, NULL, NULL, sealed.at, sealed.size,
                           header.at, header.size, nonce.at, key.at) == 0;
    if (!valid) {
        return !opens;
    }
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        again, NULL, text.at, text.size, header.at, header.size, NULL, nonce.at,
        key.at);
    return opens && memcmp(opened, text.at, text.size) == 0 &&
           memcmp(again, sealed.at, sealed.size) == 0;
}

Test(wycheproof, libsodium_seals_and_opens_as_the_vectors_demand)
{
    cr_expect(run("xchacha20_poly1305_test.json", judge_seal) == 315);
}

/*
 * "Acceptable" are keys on the twist, keys not in canonical form and keys of
 * small order.  libsodium computes with the first two, as RFC 7748 demands, and
 * refuses every key that would make the shared secret zero.
 */
static bool judge_exchange(const json_t *group, const json_t *vector)
{
    (void)group;
    const octets theirs = bytes_of(vector, "public");
    const octets ours = bytes_of(vector, "private");
    const octets wanted = bytes_of(vector, "shared");
    uint8_t shared[crypto_scalarmult_BYTES] = { 0 };
    const bool done = theirs.size == crypto_scalarmult_BYTES &&
                      ours.size == crypto_scalarmult_SCALARBYTES &&
                      crypto_scalarmult(shared, ours.at, theirs.at) == 0;
    if (has_flag(vector, "ZeroSharedSecret")) {
        return !done && is_result(vector, "acceptable");
    }
    return done && wanted.size == sizeof shared &&
           memcmp(shared, wanted.at, sizeof shared) == 0;
}

Test(wycheproof, libsodium_agrees_on_secrets_and_refuses_zero_ones)
{
    cr_expect(run("x25519_test.json", judge_exchange) == 518);
}
