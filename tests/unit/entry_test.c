/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vectors of tests/vectors cannot show: limits of the writer, what a
 * failure leaves behind, and every byte of an entry mattering.
 */
#include "support/expect.h"

#include <casebound/chain.h>
#include <sodium.h>
#include <stdlib.h>

#define TEXT "{\"a\":\"a meeting was planned\"}"

typedef struct entry_desk {
    cb_secret *compartment_key;
    cb_secret *signing_key;
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    cb_entry_header header;
    cb_buffer bytes;
    cb_buffer text;
} entry_desk;

static entry_desk desk_open(void)
{
    entry_desk desk = { .header = { .kind = CB_ENTRY_CASE,
                                    .seq = 1,
                                    .time = 5,
                                    .roster = 1,
                                    .key_id = { { 7 } },
                                    .nonce = { 9 } } };
    cr_assert(sodium_init() >= 0);
    expect_ok(
        cb_secret_create(CB_KEY_BYTES, &desk.compartment_key, test_error()));
    expect_ok(cb_secret_create(64, &desk.signing_key, test_error()));
    memset(cb_secret_bytes(desk.compartment_key), 3, CB_KEY_BYTES);
    crypto_sign_keypair(desk.public_key, cb_secret_bytes(desk.signing_key));
    cb_buffer_init(&desk.bytes, 2 * CB_ENTRY_BYTES_MAX);
    cb_buffer_init(&desk.text, 2 * CB_ENTRY_BYTES_MAX);
    return desk;
}

static void desk_close(entry_desk *desk)
{
    cb_secret_destroy(desk->compartment_key);
    cb_secret_destroy(desk->signing_key);
    cb_buffer_clear(&desk->bytes);
    cb_buffer_clear(&desk->text);
}

static cb_status seal_text(entry_desk *desk, cb_span text)
{
    return cb_entry_seal(&desk->header, text, desk->compartment_key,
                         desk->signing_key, &desk->bytes, test_error());
}

static cb_entry seal_and_decode(entry_desk *desk)
{
    cb_entry entry;
    expect_ok(seal_text(desk, cb_span_of_text(TEXT)));
    expect_ok(
        cb_entry_decode(cb_span_of_buffer(&desk->bytes), &entry, test_error()));
    return entry;
}

static cb_span letters(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    cr_assert(bytes != NULL);
    memset(bytes, 'a', size + 1);
    return (cb_span){ bytes, size };
}

Test(entry, gives_back_what_was_sealed)
{
    entry_desk desk = desk_open();
    cb_entry entry = seal_and_decode(&desk);

    expect_ok(cb_entry_verify(&entry, desk.public_key, test_error()));
    expect_ok(
        cb_entry_open(&entry, desk.compartment_key, &desk.text, test_error()));

    expect_text(cb_buffer_text(&desk.text), TEXT);
    cr_expect(entry.header.kind == CB_ENTRY_CASE);
    cr_expect(entry.header.seq == 1 && entry.header.time == 5);
    cr_expect(entry.header.roster == 1);
    cr_expect(entry.header.body_length == entry.body.size);
    desk_close(&desk);
}

Test(entry, gives_back_what_was_written_in_clear_without_any_key)
{
    entry_desk desk = desk_open();
    cb_entry entry;
    desk.header.kind = CB_ENTRY_HEARTBEAT;

    expect_ok(cb_entry_write_clear(&desk.header, cb_span_of_text(TEXT),
                                   desk.signing_key, &desk.bytes,
                                   test_error()));
    expect_ok(
        cb_entry_decode(cb_span_of_buffer(&desk.bytes), &entry, test_error()));
    expect_ok(cb_entry_verify(&entry, desk.public_key, test_error()));

    expect_bytes(entry.body.bytes, entry.body.size, TEXT, strlen(TEXT));
    cr_expect(entry.header.flags == CB_ENTRY_FLAG_CLEAR);
    cr_expect(cb_is_zero(&entry.header.key_id, sizeof entry.header.key_id));
    cr_expect(cb_is_zero(entry.header.nonce, sizeof entry.header.nonce));
    expect_status(CB_INPUT, cb_entry_open(&entry, desk.compartment_key,
                                          &desk.text, test_error()));
    desk_close(&desk);
}

Test(entry, appends_behind_what_the_buffer_holds)
{
    entry_desk desk = desk_open();
    cb_buffer_append_text(&desk.bytes, "before");
    cb_buffer_append_text(&desk.text, "before ");

    expect_ok(seal_text(&desk, cb_span_of_text(TEXT)));
    cb_entry entry;
    const cb_span whole = { desk.bytes.bytes + 6, desk.bytes.size - 6 };
    expect_ok(cb_entry_decode(whole, &entry, test_error()));
    expect_ok(
        cb_entry_open(&entry, desk.compartment_key, &desk.text, test_error()));

    expect_text(cb_buffer_text(&desk.text), "before " TEXT);
    desk_close(&desk);
}

Test(entry, holds_the_largest_text_and_refuses_one_byte_more)
{
    entry_desk desk = desk_open();
    cb_span text = letters(CB_PLAINTEXT_BYTES_MAX);
    cb_entry entry;

    expect_ok(seal_text(&desk, text));
    expect_ok(
        cb_entry_decode(cb_span_of_buffer(&desk.bytes), &entry, test_error()));
    expect_ok(
        cb_entry_open(&entry, desk.compartment_key, &desk.text, test_error()));
    cr_expect(cb_span_equal(cb_span_of_buffer(&desk.text), text));

    cb_buffer_reset(&desk.bytes);
    text.size++;
    expect_status(CB_LIMIT, seal_text(&desk, text));
    cr_expect(desk.bytes.size == 0, "nothing may be left of it");
    text.size = CB_CLEAR_BODY_BYTES_MAX + 1;
    expect_status(CB_LIMIT,
                  cb_entry_write_clear(&desk.header, text, desk.signing_key,
                                       &desk.bytes, test_error()));
    cr_expect(desk.bytes.size == 0, "nothing may be left of it");
    free((void *)(uintptr_t)text.bytes);
    desk_close(&desk);
}

Test(entry, refuses_a_text_that_would_be_taken_for_padding)
{
    entry_desk desk = desk_open();
    const cb_span nothing = { (const uint8_t *)"", 0 };
    const cb_span zero = { (const uint8_t *)"{}", 3 };

    expect_status(CB_INPUT, seal_text(&desk, nothing));
    expect_status(CB_INPUT, seal_text(&desk, zero));
    cr_expect(desk.bytes.size == 0);
    desk_close(&desk);
}

Test(entry, refuses_to_write_what_it_would_not_read)
{
    entry_desk desk = desk_open();
    const cb_entry_header good = desk.header;

    desk.header.seq = 0;
    expect_status(CB_INPUT, seal_text(&desk, cb_span_of_text(TEXT)));
    desk.header.seq = 2;
    expect_status(CB_INPUT, seal_text(&desk, cb_span_of_text(TEXT)));
    desk.header = good;
    desk.header.prev.bytes[31] = 1;
    expect_status(CB_INPUT, seal_text(&desk, cb_span_of_text(TEXT)));
    desk.header = good;
    memset(&desk.header.key_id, 0, sizeof desk.header.key_id);
    expect_status(CB_INPUT, seal_text(&desk, cb_span_of_text(TEXT)));
    desk.header = good;
    desk.header.seen_root.bytes[0] = 1;
    expect_status(CB_INPUT, seal_text(&desk, cb_span_of_text(TEXT)));
    desk.header = good;
    desk.header.flags = 8;
    expect_status(CB_NEWER, seal_text(&desk, cb_span_of_text(TEXT)));
    cr_expect(desk.bytes.size == 0);
    desk_close(&desk);
}

Test(entry, leaves_nothing_in_a_buffer_that_is_too_small)
{
    entry_desk desk = desk_open();
    cb_buffer small;
    cb_buffer_init(&small, 300);

    expect_status(CB_LIMIT,
                  cb_entry_seal(&desk.header, cb_span_of_text(TEXT),
                                desk.compartment_key, desk.signing_key, &small,
                                test_error()));

    cr_expect(small.size == 0);
    cb_buffer_clear(&small);
    desk_close(&desk);
}

Test(entry, notices_every_flipped_bit)
{
    entry_desk desk = desk_open();
    cb_entry entry = seal_and_decode(&desk);
    const size_t bits = desk.bytes.size * 8;

    for (size_t bit = 0; bit < bits; bit++) {
        desk.bytes.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        const bool holds =
            cb_entry_decode(cb_span_of_buffer(&desk.bytes), &entry, NULL) ==
                CB_OK &&
            cb_entry_verify(&entry, desk.public_key, NULL) == CB_OK;
        cr_expect(!holds, "bit %zu was not noticed", bit);
        desk.bytes.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    desk_close(&desk);
}

Test(entry, refuses_every_beginning_of_an_entry)
{
    entry_desk desk = desk_open();
    cb_entry entry = seal_and_decode(&desk);

    for (size_t size = 0; size < desk.bytes.size; size++) {
        const cb_span part = { desk.bytes.bytes, size };
        cb_status status = cb_entry_decode(part, &entry, NULL);
        cr_expect(status == CB_DAMAGED, "%zu bytes are %s", size,
                  cb_status_name(status));
    }
    desk_close(&desk);
}

Test(entry, opens_with_its_own_key_and_with_no_neighbours)
{
    entry_desk desk = desk_open();
    cb_entry first = seal_and_decode(&desk);
    cb_buffer other;
    cb_entry second;
    cb_secret *key = NULL;
    cb_buffer_init(&other, CB_ENTRY_BYTES_MAX);
    desk.header.nonce[5] = 1;
    expect_ok(cb_entry_seal(&desk.header, cb_span_of_text(TEXT),
                            desk.compartment_key, desk.signing_key, &other,
                            test_error()));
    expect_ok(
        cb_entry_decode(cb_span_of_buffer(&other), &second, test_error()));

    expect_ok(cb_entry_derive_key(&first.header, desk.compartment_key, &key,
                                  test_error()));
    expect_ok(
        cb_entry_open_with_entry_key(&first, key, &desk.text, test_error()));
    expect_text(cb_buffer_text(&desk.text), TEXT);
    expect_status(CB_WRONG_KEY, cb_entry_open_with_entry_key(
                                    &second, key, &desk.text, test_error()));
    expect_text(cb_buffer_text(&desk.text), TEXT);

    cb_secret_destroy(key);
    cb_buffer_clear(&other);
    desk_close(&desk);
}

Test(entry, has_no_key_where_its_body_is_in_clear)
{
    entry_desk desk = desk_open();
    cb_secret *key = NULL;
    desk.header.flags = CB_ENTRY_FLAG_CLEAR;

    expect_status(CB_INPUT,
                  cb_entry_derive_key(&desk.header, desk.compartment_key, &key,
                                      test_error()));

    cr_expect(key == NULL);
    desk_close(&desk);
}

Test(entry, has_at_most_the_bytes_that_a_segment_can_hold)
{
    entry_desk desk = desk_open();
    cb_entry entry = seal_and_decode(&desk);
    uint8_t *bytes = calloc(1, CB_ENTRY_BYTES_MAX + 1);
    cr_assert(bytes != NULL);
    memcpy(bytes, desk.bytes.bytes, CB_ENTRY_HEADER_BYTES);

    cb_put_u32(bytes + 180, CB_BODY_BYTES_MAX);
    expect_ok(cb_entry_decode((cb_span){ bytes, CB_ENTRY_BYTES_MAX }, &entry,
                              test_error()));
    cr_expect(entry.body.size == CB_BODY_BYTES_MAX);
    cb_put_u32(bytes + 180, CB_BODY_BYTES_MAX + 1);
    expect_status(CB_DAMAGED,
                  cb_entry_decode((cb_span){ bytes, CB_ENTRY_BYTES_MAX + 1 },
                                  &entry, test_error()));
    cb_stub stub;
    expect_status(CB_DAMAGED,
                  cb_stub_decode((cb_span){ bytes, CB_ENTRY_STUB_BYTES }, &stub,
                                 test_error()));

    free(bytes);
    desk_close(&desk);
}

/* Another writer could seal more than a text may have and still fill a body. */
Test(entry, refuses_a_text_over_the_limit_that_another_writer_sealed)
{
    const size_t size = 63488; /* a size of Padme's that fits a body */
    entry_desk desk = desk_open();
    cb_entry entry;
    cb_secret *key = NULL;
    cb_span text = letters(size);
    desk.header.body_length = (uint32_t)size + 16;
    cr_assert(cb_padme_size(size) == size);

    /* A small entry lends its header; length, seal and nothing else change. */
    expect_ok(seal_text(&desk, cb_span_of_text(TEXT)));
    uint8_t *bytes = calloc(1, CB_ENTRY_BYTES_MAX);
    cr_assert(bytes != NULL);
    memcpy(bytes, desk.bytes.bytes, CB_ENTRY_HEADER_BYTES);
    cb_put_u32(bytes + 180, desk.header.body_length);
    expect_ok(cb_entry_derive_key(&desk.header, desk.compartment_key, &key,
                                  test_error()));
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        bytes + CB_ENTRY_HEADER_BYTES, NULL, text.bytes, size, bytes,
        CB_ENTRY_HEADER_BYTES, NULL, desk.header.nonce, cb_secret_view(key));
    const cb_span whole = { bytes, CB_ENTRY_HEADER_BYTES + size + 16 +
                                       CB_SIGNATURE_BYTES };
    expect_ok(cb_entry_decode(whole, &entry, test_error()));
    expect_status(CB_DAMAGED, cb_entry_open(&entry, desk.compartment_key,
                                            &desk.text, test_error()));
    cr_expect(desk.text.size == 0, "nothing of it may be left");

    free(bytes);
    free((void *)(uintptr_t)text.bytes);
    cb_secret_destroy(key);
    desk_close(&desk);
}

Test(entry, says_the_same_as_its_stub)
{
    entry_desk desk = desk_open();
    cb_entry entry = seal_and_decode(&desk);
    cb_buffer bytes;
    cb_stub stub;
    cb_buffer_init(&bytes, CB_ENTRY_STUB_BYTES);

    cb_entry_append_stub(&entry, &bytes);
    expect_ok(cb_stub_decode(cb_span_of_buffer(&bytes), &stub, test_error()));
    expect_ok(cb_stub_verify(&stub, desk.public_key, test_error()));

    cr_expect(bytes.size == CB_ENTRY_STUB_BYTES);
    expect_bytes(&stub.hash, sizeof stub.hash, &entry.hash, sizeof entry.hash);
    expect_bytes(&stub.body_hash, sizeof stub.body_hash, &entry.body_hash,
                 sizeof entry.body_hash);
    expect_bytes(stub.signature, CB_SIGNATURE_BYTES, entry.signature,
                 CB_SIGNATURE_BYTES);
    cr_expect(stub.header.seq == entry.header.seq &&
              stub.header.body_length == entry.header.body_length);
    cb_buffer_clear(&bytes);
    desk_close(&desk);
}

Test(entry, time_goes_forward_whatever_the_clock_does)
{
    static const struct {
        uint64_t last;
        int64_t now_ms;
        uint64_t next;
    } rows[] = {
        { 0, 0, 1 },
        { 0, 1, 0x10000 },
        { 0x10000, 1, 0x10001 },
        { 0x1ffff, 1, 0x20000 },
        { 0x10005, 2, 0x20000 },
        { 0x90005, 2, 0x90006 },
        { 0, -5, 1 },
        { 7, INT64_MIN, 8 },
        { 0, INT64_MAX, UINT64_C(0x7fffffffffff0000) },
        { INT64_MAX - 1, 5, INT64_MAX },
        { INT64_MAX, 5, INT64_MAX },
        { UINT64_MAX, 5, INT64_MAX },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(cb_entry_time_next(rows[i].last, rows[i].now_ms) ==
                      rows[i].next,
                  "row %zu", i);
    }
    cr_expect(cb_entry_time_ms(0x20005) == 2);
    cr_expect(cb_entry_time_ms(UINT64_MAX) == INT64_C(0xffffffffffff));
}

Test(entry, padding_has_the_sizes_of_the_paper)
{
    static const struct {
        size_t size;
        size_t padded;
    } rows[] = {
        { 0, 0 },
        { 1, 1 },
        { 2, 2 },
        { 8, 8 },
        { 9, 10 },
        { 15, 16 },
        { 17, 18 },
        { 31, 32 },
        { 32, 32 },
        { 33, 36 },
        { 100, 104 },
        { 129, 144 },
        { 1000, 1024 },
        { 1025, 1088 },
        { 61440, 61440 },
        { 61441, 63488 },
        { 1000000, 1015808 },
        { SIZE_MAX, SIZE_MAX },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(cb_padme_size(rows[i].size) == rows[i].padded,
                  "%zu gives %zu, not %zu", rows[i].size,
                  cb_padme_size(rows[i].size), rows[i].padded);
    }
    for (size_t size = 1; size < 70000; size++) {
        const size_t padded = cb_padme_size(size);
        cr_expect(padded >= size && cb_padme_size(padded) == padded &&
                      padded >= cb_padme_size(size - 1) &&
                      (padded - size) * 100 <= size * 12,
                  "size %zu", size);
    }
}

Test(entry, signatures_of_one_domain_do_not_hold_in_another)
{
    entry_desk desk = desk_open();
    uint8_t signature[CB_SIGNATURE_BYTES];
    const cb_span text = cb_span_of_text("what was agreed");

    cb_sign("request", text, desk.signing_key, signature);

    cr_expect(cb_sign_verify("request", text, signature, desk.public_key));
    cr_expect(!cb_sign_verify("admission", text, signature, desk.public_key));
    cr_expect(!cb_sign_verify("request", cb_span_of_text("what was agree"),
                              signature, desk.public_key));
    signature[0] ^= 1;
    cr_expect(!cb_sign_verify("request", text, signature, desk.public_key));
    desk_close(&desk);
}

Test(entry, hashes_of_one_domain_are_not_those_of_another)
{
    cb_hash a;
    cb_hash b;
    cb_hash_domain("a", cb_span_of_text("bc"), &a);
    cb_hash_domain("ab", cb_span_of_text("c"), &b);
    cr_expect(memcmp(&a, &b, sizeof a) != 0);
}

Test(entry, takes_any_key_that_libsodium_makes)
{
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    uint8_t secret_key[64];
    cr_assert(sodium_init() >= 0);
    for (int i = 0; i < 100; i++) {
        crypto_sign_keypair(public_key, secret_key);
        cr_expect(cb_public_key_is_acceptable(public_key));
    }
}

Test(chain, skips_what_comes_twice_and_stays_as_it_was_after_a_refusal)
{
    cb_entry_header header = { .kind = CB_ENTRY_OPENING, .seq = 1 };
    const cb_hash first = { { 1 } };
    const cb_hash second = { { 2 } };
    cb_chain chain = { .seq = 0 };

    expect_ok(cb_chain_advance(&chain, &header, &first, test_error()));
    expect_status(CB_EXISTS,
                  cb_chain_advance(&chain, &header, &first, test_error()));
    expect_status(CB_DAMAGED,
                  cb_chain_advance(&chain, &header, &second, test_error()));
    expect_contains(test_error()->what, "uses a number that is taken");
    header.seq = 3;
    header.kind = CB_ENTRY_CASE;
    header.prev = first;
    expect_status(CB_DAMAGED,
                  cb_chain_advance(&chain, &header, &second, test_error()));
    expect_contains(test_error()->what, "leaves a gap");
    cr_expect(chain.seq == 1 && memcmp(&chain.head, &first, 32) == 0);
    header.seq = 2;
    expect_ok(cb_chain_advance(&chain, &header, &second, test_error()));
    cr_expect(chain.seq == 2 && memcmp(&chain.head, &second, 32) == 0);
}
