/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors/kit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 208
#define ENTRY_ROOM   70000
#define OTHER        0x80 /* first byte of the patterns of another key */

typedef struct kit_draft {
    uint8_t root_key[32]; /* public keys, but for those named secret */
    uint8_t device_key[32];
    uint8_t device_secret[64];
    uint8_t realm[16];
    uint8_t public_key[32];
    uint8_t secret_key[64];
    uint8_t compartment_key[32];
    uint8_t entry_key[32];
    uint8_t hash[32];
    uint8_t bytes[ENTRY_ROOM];
    size_t body_size;
    size_t size;
    char text[ENTRY_ROOM];
    size_t text_size;
} kit_draft;

/* first, first + 1, first + 2 ... */
static void pattern(uint8_t first, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(first + i);
    }
}

static void make_keys(uint8_t first, uint8_t *public_key, uint8_t *secret_key)
{
    uint8_t seed[32];
    pattern(first, seed, sizeof seed);
    (void)crypto_sign_seed_keypair(public_key, secret_key, seed);
}

static void hash_parts(const char *domain, const uint8_t *a, size_t a_size,
                       const uint8_t *b, size_t b_size, const uint8_t *key,
                       uint8_t *ret_hash)
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, key, key == NULL ? 0 : 32, 32);
    (void)crypto_generichash_update(&state, (const uint8_t *)domain,
                                    strlen(domain) + 1);
    (void)crypto_generichash_update(&state, a, a_size);
    (void)crypto_generichash_update(&state, b, b_size);
    (void)crypto_generichash_final(&state, ret_hash, 32);
}

static void hash_entry(const uint8_t *bytes, size_t body_size,
                       uint8_t *ret_hash)
{
    uint8_t body_hash[32];
    hash_parts("casebound/1 body", bytes + HEADER_BYTES, body_size, NULL, 0,
               NULL, body_hash);
    hash_parts("casebound/1 entry", bytes, HEADER_BYTES, body_hash, 32, NULL,
               ret_hash);
}

/* Sizes of at least 2^e lose their last e - (bits of e) bits. */
static size_t padme(size_t size)
{
    unsigned exponent = 0;
    unsigned bits = 0;
    while (size >> exponent > 1) {
        exponent++;
    }
    while (exponent >> bits > 0) {
        bits++;
    }
    const size_t step = (size_t)1 << (exponent > bits ? exponent - bits : 0);
    return (size + step - 1) / step * step;
}

static void lay_patch(kit_draft *draft, const kit_row *row, kit_stage stage)
{
    const kit_patch *patch = &row->patch;
    if (patch->hex == NULL || patch->stage != stage) {
        return;
    }
    uint8_t value[64];
    const size_t size = strlen(patch->hex) / 2;
    if (size > sizeof value || !cb_hex_parse(patch->hex, value, size)) {
        abort();
    }
    const size_t end =
        stage == KIT_SIGNED ? draft->size : HEADER_BYTES + draft->body_size;
    memcpy(draft->bytes +
               (patch->at < 0 ? end - (size_t)-patch->at : (size_t)patch->at),
           value, size);
}

static void begin_header(kit_draft *draft, uint8_t kind, bool clear,
                         uint64_t seq, const uint8_t *prev)
{
    uint8_t *at = draft->bytes;
    memcpy(at, "CBE1", 4);
    at[4] = 1;
    at[5] = kind;
    cb_put_u16(at + 6, (uint16_t)(1 | (clear ? 4 : 0)));
    memcpy(at + 8, draft->realm, 16);
    pattern(0x20, at + 24, 16);
    cb_put_u64(at + 40, seq);
    memset(at + 48, 0, 32);
    if (prev != NULL) {
        memcpy(at + 48, prev, 32);
    }
    memset(at + 80, 0, 16 + 32);
    memset(at + 184, 0, 24);
    if (!clear) {
        pattern(0x40, at + 80, 16);
        pattern((uint8_t)(0x50 + seq), at + 184, 24);
    }
    cb_put_u64(at + 128, (UINT64_C(1767225600000) << 16) + seq);
    cb_put_u64(at + 136, 3);
    pattern(0x60, at + 144, 32);
    cb_put_u32(at + 176, 2);
}

/* The padded text, at the place of the body. */
static size_t lay_text(kit_draft *draft, kit_tweak tweak)
{
    uint8_t *body = draft->bytes + HEADER_BYTES;
    size_t size = padme(draft->text_size);
    if (tweak == KIT_NO_PADDING) {
        size = draft->text_size;
    } else if (tweak == KIT_PADDING_ONE_STEP_MORE) {
        size = padme(size + 1);
    }
    memset(body, 0, size);
    if (tweak != KIT_PADDING_ONLY) {
        memcpy(body, draft->text, draft->text_size);
    }
    if (tweak == KIT_PADDING_ENDS_IN_ONE) {
        body[size - 1] = 1;
    }
    return size;
}

static void seal(kit_draft *draft, const kit_row *row)
{
    uint8_t *header = draft->bytes;
    uint8_t *body = header + HEADER_BYTES;
    uint8_t place[48];
    uint8_t nonce[24];
    memcpy(place, header + 24, 24);
    memcpy(place + 24, header + 184, 24);
    memcpy(nonce, header + 184, 24);
    hash_parts("casebound/1 entry key", place, 48, NULL, 0,
               draft->compartment_key, draft->entry_key);
    hash_parts("casebound/1 commitment", draft->entry_key, 32, NULL, 0, NULL,
               header + 96);
    const uint8_t *key = draft->entry_key;
    if (row->tweak == KIT_SEALED_UNDER_COMPARTMENT_KEY) {
        key = draft->compartment_key;
    } else if (row->tweak == KIT_SEALED_WITH_OTHER_NONCE) {
        nonce[0] ^= 1;
    }
    const size_t size = lay_text(draft, row->tweak);
    cb_put_u32(header + 180, (uint32_t)(size + 16));
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        body, NULL, body, size, header, HEADER_BYTES, NULL, nonce, key);
    draft->body_size = size + 16;
}

/* S + L, which is the same number to a verifier that does not look. */
static void add_order(uint8_t *scalar)
{
    static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12,
                                       0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
                                       0xde, 0x14, 0,    0,    0,    0,    0,
                                       0,    0,    0,    0,    0,    0,    0,
                                       0,    0,    0,    0x10 };
    unsigned carry = 0;
    for (size_t i = 0; i < sizeof order; i++) {
        carry += (unsigned)scalar[i] + order[i];
        scalar[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/*
 * R is the neutral element and S = H(R | A | M) * a: the equation holds, and
 * the same S would serve whoever may choose R.
 */
static void sign_with_neutral(const uint8_t *text, size_t size,
                              const kit_draft *draft, uint8_t *signature)
{
    crypto_hash_sha512_state state;
    uint8_t digest[64];
    uint8_t challenge[32];
    uint8_t scalar[32];
    memset(signature, 0, 64);
    signature[0] = 1;
    (void)crypto_hash_sha512_init(&state);
    (void)crypto_hash_sha512_update(&state, signature, 32);
    (void)crypto_hash_sha512_update(&state, draft->public_key, 32);
    (void)crypto_hash_sha512_update(&state, text, size);
    (void)crypto_hash_sha512_final(&state, digest);
    crypto_core_ed25519_scalar_reduce(challenge, digest);
    (void)crypto_sign_ed25519_sk_to_curve25519(scalar, draft->secret_key);
    crypto_core_ed25519_scalar_mul(signature + 32, challenge, scalar);
}

static void sign(kit_draft *draft, const kit_row *row)
{
    static const char right[] = "casebound/1 signature";
    static const char wrong[] = "casebound/1 heartbeat";
    uint8_t text[sizeof right + 32];
    uint8_t *signature = draft->bytes + HEADER_BYTES + draft->body_size;
    uint8_t other_public[32];
    uint8_t other_secret[64];

    hash_entry(draft->bytes, draft->body_size, draft->hash);
    memcpy(text, row->tweak == KIT_SIGNED_FOR_OTHER_DOMAIN ? wrong : right,
           sizeof right);
    memcpy(text + sizeof right, draft->hash, 32);
    make_keys(OTHER, other_public, other_secret);
    const size_t skipped =
        row->tweak == KIT_SIGNED_WITHOUT_DOMAIN ? sizeof right : 0;
    (void)crypto_sign_detached(
        signature, NULL, text + skipped, sizeof text - skipped,
        row->tweak == KIT_SIGNED_BY_OTHER_KEY ? other_secret
                                              : draft->secret_key);
    if (row->tweak == KIT_SIGNATURE_WITH_NEUTRAL_R) {
        sign_with_neutral(text, sizeof text, draft, signature);
    }
    if (row->tweak == KIT_SIGNATURE_PLUS_ORDER) {
        add_order(signature + 32);
    }
    draft->size = HEADER_BYTES + draft->body_size + 64;
}

static void take_text(kit_draft *draft, const kit_row *row)
{
    const char *text =
        row->text != NULL ? row->text : "{\"ops\":[],\"schema\":1}";
    if (row->text_size > 0) {
        memset(draft->text, 'a', row->text_size);
        memcpy(draft->text, "{\"a\":\"", 6);
        memcpy(draft->text + row->text_size - 2, "\"}", 2);
        draft->text_size = row->text_size;
    } else {
        draft->text_size = strlen(text);
        memcpy(draft->text, text, draft->text_size);
    }
    /* C cannot write a zero byte inside a text; the rows write this one. */
    for (size_t i = 0; i < draft->text_size; i++) {
        if (draft->text[i] == '\x01') {
            draft->text[i] = '\0';
        }
    }
}

static void write_entry(kit_draft *draft, const kit_row *row, uint8_t kind,
                        bool clear, uint64_t seq, const uint8_t *prev)
{
    begin_header(draft, kind, clear, seq, prev);
    lay_patch(draft, row, KIT_HEADER);
    if (clear) {
        memcpy(draft->bytes + HEADER_BYTES, draft->text, draft->text_size);
        draft->body_size = draft->text_size;
        cb_put_u32(draft->bytes + 180, (uint32_t)draft->body_size);
    } else {
        seal(draft, row);
    }
    lay_patch(draft, row, KIT_SEALED);
    sign(draft, row);
    if (row->tweak == KIT_BODY_OF_OTHER_ENTRY) {
        draft->bytes[HEADER_BYTES] ^= 0x20;
    }
    lay_patch(draft, row, KIT_SIGNED);
}

static void append_entry(const kit_draft *draft, cb_buffer *bytes)
{
    uint8_t length[2];
    cb_put_u16(length, (uint16_t)draft->size);
    cb_buffer_append(bytes, length, sizeof length);
    cb_buffer_append(bytes, draft->bytes, draft->size);
}

/* Hexadecimal of a signature over a text of ours that is not an entry. */
static void sign_text(const char *domain, const void *text, size_t size,
                      const uint8_t *secret_key, char *ret_hex)
{
    uint8_t message[128];
    uint8_t signature[64];
    const size_t domain_size = strlen(domain) + 1;
    memcpy(message, domain, domain_size);
    hash_parts(domain, text, size, NULL, 0, NULL, message + domain_size);
    (void)crypto_sign_detached(signature, NULL, message, domain_size + 32,
                               secret_key);
    cb_hex_format(signature, sizeof signature, ret_hex);
}

/* A device that the hub has certified, in the words of section 3.2. */
static void opening_text(kit_draft *draft)
{
    static const uint8_t device[16] = { 0x30 };
    static const uint8_t person[16] = { 0x38 };
    static const uint8_t sealing_key[32] = { 9 };
    uint8_t hub_key[32];
    uint8_t hub_secret[64];
    uint8_t message[64];
    char certificate[129];
    char stream_signature[129];
    char hex[7][65];
    make_keys(0xe0, hub_key, hub_secret);
    cb_hex_format(device, 16, hex[0]);
    cb_hex_format(draft->device_key, 32, hex[1]);
    cb_hex_format(person, 16, hex[2]);
    cb_hex_format(draft->root_key, 32, hex[3]);
    cb_hex_format(sealing_key, 32, hex[4]);
    cb_hex_format(draft->public_key, 32, hex[5]);
    cb_hex_format(draft->realm, 16, hex[6]);
    (void)snprintf(draft->text, sizeof draft->text,
                   "{\"device\":\"%s\",\"hub\":false,\"person\":\"%s\","
                   "\"realm\":\"%s\",\"sealing_key\":\"%s\","
                   "\"signing_key\":\"%s\"}",
                   hex[0], hex[2], hex[6], hex[4], hex[1]);
    sign_text("casebound/1 certificate", draft->text, strlen(draft->text),
              hub_secret, certificate);
    memcpy(message, draft->realm, 16);
    pattern(0x20, message + 16, 16);
    memcpy(message + 32, draft->public_key, 32);
    sign_text("casebound/1 stream", message, sizeof message,
              draft->device_secret, stream_signature);
    (void)snprintf(draft->text, sizeof draft->text,
                   "{\"certificate\":\"%s\",\"device\":\"%s\","
                   "\"device_key\":\"%s\",\"hub\":false,\"person\":\"%s\","
                   "\"root_key\":\"%s\",\"schema\":1,\"sealing_key\":\"%s\","
                   "\"stream_key\":\"%s\",\"stream_signature\":\"%s\"}",
                   certificate, hex[0], hex[1], hex[2], hex[3], hex[4], hex[5],
                   stream_signature);
    draft->text_size = strlen(draft->text);
}

/* Opening, case, heartbeat, case; one of them may deviate. */
static void write_stream(kit_draft *draft, const kit_row *row, cb_buffer *bytes)
{
    static const kit_row as_it_should_be = { .name = "" };
    cb_buffer held;
    cb_buffer_init(&held, KIT_FILE_BYTES_MAX);
    uint8_t prev[32] = { 0 };
    for (unsigned seq = 1; seq <= 4; seq++) {
        const bool deviates = row->at_entry == seq;
        const kit_row *way = deviates ? row : &as_it_should_be;
        const bool clear = seq == 1 || seq == 3;
        take_text(draft, way);
        if (seq == 1) {
            opening_text(draft);
        }
        write_entry(draft, way,
                    seq == 1 ? 6
                    : clear  ? 4
                             : 1,
                    clear, seq, seq == 1 ? NULL : prev);
        memcpy(prev, draft->hash, sizeof prev);
        if (deviates && row->tweak == KIT_STREAM_SWAPS) {
            append_entry(draft, &held);
        } else if (!deviates || row->tweak != KIT_STREAM_OMITS) {
            append_entry(draft, bytes);
        }
        if (held.size > 0 && !deviates) {
            cb_buffer_append_span(bytes, cb_span_of_buffer(&held));
            cb_buffer_clear(&held);
        }
        if (deviates && row->tweak == KIT_STREAM_FORKS) {
            draft->bytes[135] ^= 1;
            sign(draft, way);
            append_entry(draft, bytes);
        }
    }
    cb_buffer_clear(&held);
}

static void write_form(kit_draft *draft, const kit_row *row, cb_buffer *bytes)
{
    uint8_t prev[32];
    pattern(0x70, prev, sizeof prev);
    take_text(draft, row);
    if (row->form == KIT_STREAM) {
        write_stream(draft, row, bytes);
    } else {
        write_entry(draft, row, row->clear ? 4 : 1, row->clear,
                    row->first ? 1 : 7, row->first ? NULL : prev);
    }
    if (row->form == KIT_ENTRY) {
        cb_buffer_append(bytes, draft->bytes, draft->size);
    } else if (row->form != KIT_STREAM) {
        const uint8_t *body = draft->bytes + HEADER_BYTES;
        uint8_t body_hash[32];
        hash_parts("casebound/1 body", body, draft->body_size, NULL, 0, NULL,
                   body_hash);
        if (row->tweak == KIT_BODY_OF_OTHER_ENTRY) {
            /* The stub stays that of the body which was signed. */
            draft->bytes[HEADER_BYTES] ^= 0x20;
            hash_parts("casebound/1 body", body, draft->body_size, NULL, 0,
                       NULL, body_hash);
            draft->bytes[HEADER_BYTES] ^= 0x20;
        }
        cb_buffer_append(bytes, draft->bytes, HEADER_BYTES);
        cb_buffer_append(bytes, body_hash, 32);
        cb_buffer_append(bytes, body + draft->body_size, 64);
        cb_buffer_append(bytes, body,
                         row->form == KIT_LEAF ? draft->body_size : 0);
    }
    for (int i = 0; i < row->resize; i++) {
        cb_buffer_append(bytes, "", 1);
    }
    if (row->resize < 0) {
        bytes->size -= (size_t)-row->resize;
    }
}

static void append_field(cb_buffer *file, const char *name,
                         const uint8_t *bytes)
{
    cb_buffer_append_format(file, "%s: ", name);
    cb_buffer_append_hex(file, (cb_span){ bytes, 32 });
    cb_buffer_append_text(file, "\n");
}

/* 32 bytes a line; a long run of one byte is "61 x 1000". */
static void append_bytes(cb_buffer *file, cb_span bytes)
{
    size_t column = 0;
    size_t i = 0;
    while (i < bytes.size) {
        size_t run = 1;
        while (i + run < bytes.size && bytes.bytes[i + run] == bytes.bytes[i]) {
            run++;
        }
        if (run > 64) {
            cb_buffer_append_format(file, "%s%02x x %zu\n",
                                    column > 0 ? "\n" : "", bytes.bytes[i],
                                    run);
            column = 0;
            i += run;
            continue;
        }
        cb_buffer_append_format(file, "%02x", bytes.bytes[i]);
        i++;
        column = (column + 1) % 32;
        if (column == 0) {
            cb_buffer_append_text(file, "\n");
        }
    }
    if (column > 0) {
        cb_buffer_append_text(file, "\n");
    }
}

static void choose_public_key(const kit_row *row, const kit_draft *draft,
                              uint8_t *ret_key)
{
    static const uint8_t order_eight[32] = {
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
        0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a
    };
    memcpy(ret_key, draft->public_key, 32);
    if (row->tweak == KIT_PUBLIC_KEY_GIVEN &&
        !cb_hex_parse(row->hex, ret_key, 32)) {
        abort();
    }
    if (row->tweak == KIT_PUBLIC_KEY_WITH_TORSION &&
        crypto_core_ed25519_add(ret_key, draft->public_key, order_eight) != 0) {
        abort();
    }
}

static void append_keys(const kit_row *row, kit_draft *draft, cb_buffer *file)
{
    uint8_t key[32];
    uint8_t seed[32];
    pattern(0x01, seed, sizeof seed);
    choose_public_key(row, draft, key);
    append_field(file, "public key", key);
    append_field(file, "signing seed", seed);
    if (row->clear) {
        return;
    }
    if (row->tweak == KIT_READ_WITH_ENTRY_KEY ||
        row->tweak == KIT_READ_WITH_OTHER_ENTRY_KEY) {
        draft->entry_key[0] ^= row->tweak == KIT_READ_WITH_OTHER_ENTRY_KEY;
        append_field(file, "entry key", draft->entry_key);
        return;
    }
    draft->compartment_key[0] ^= row->tweak == KIT_READ_WITH_OTHER_KEY;
    append_field(file, "compartment key", draft->compartment_key);
}

void kit_render(const kit_row *row, cb_buffer *file)
{
    static const char *const forms[] = { "entry", "stub", "leaf", "stream" };
    kit_draft *work = calloc(1, sizeof *work);
    cb_buffer bytes;
    if (work == NULL) {
        abort();
    }
    cb_buffer_init(&bytes, KIT_FILE_BYTES_MAX);
    uint8_t root_secret[64];
    uint8_t hash[32];
    make_keys(0x01, work->public_key, work->secret_key);
    make_keys(0x90, work->device_key, work->device_secret);
    make_keys(0xa0, work->root_key, root_secret);
    hash_parts("casebound/1 realm", work->root_key, 32, NULL, 0, NULL, hash);
    memcpy(work->realm, hash, sizeof work->realm);
    pattern(0xc0, work->compartment_key, sizeof work->compartment_key);
    write_form(work, row, &bytes);
    cb_buffer_append_format(file, "comment: %s\nexpect: %s\nform: %s\n",
                            row->comment, row->expect, forms[row->form]);
    append_keys(row, work, file);
    if (strcmp(row->expect, "ok") == 0 && row->form == KIT_ENTRY) {
        hash_parts("casebound/1 test text", (const uint8_t *)work->text,
                   work->text_size, NULL, 0, NULL, hash);
        append_field(file, "text hash", hash);
        if (work->text_size < 1000) {
            cb_buffer_append_format(file, "text: %s\n", work->text);
        }
    }
    cb_buffer_append_text(file, "\n");
    append_bytes(file, cb_span_of_buffer(&bytes));
    cb_buffer_clear(&bytes);
    free(work);
}

const kit_row *kit_row_at(size_t index)
{
    if (index < kit_entry_row_count) {
        return &kit_entry_rows[index];
    }
    index -= kit_entry_row_count;
    return index < kit_stream_row_count ? &kit_stream_rows[index] : NULL;
}
