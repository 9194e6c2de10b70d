/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/identifier.h>
#include <casebound/secret.h>
#include <sodium.h>

#include "support/expect.h"

Test(buffer, holds_what_was_appended_and_ends_in_zero)
{
    cb_buffer buffer;
    cb_buffer_init(&buffer, 1000);

    cb_buffer_append_text(&buffer, "a");
    cb_buffer_append(&buffer, "bc", 2);
    cb_buffer_append_span(&buffer, cb_span_of_text("d"));
    cb_buffer_append_format(&buffer, "-%d-%s", 7, "e");
    cb_buffer_append_hex(&buffer, (cb_span){ (const uint8_t *)"\x0f\xa0", 2 });
    cb_buffer_append_base64(&buffer, cb_span_of_text("abcd"));

    expect_ok(cb_buffer_check(&buffer, test_error()));
    expect_text(cb_buffer_text(&buffer), "abcd-7-e0fa0YWJjZA==");
    cr_expect(buffer.size == strlen(cb_buffer_text(&buffer)));
    cb_buffer_clear(&buffer);
    expect_text(cb_buffer_text(&buffer), "");
    cb_buffer_clear(&buffer);
}

Test(buffer, takes_its_limit_and_not_one_byte_more)
{
    for (size_t limit = 0; limit < 200; limit++) {
        cb_buffer buffer;
        cb_buffer_init(&buffer, limit);

        for (size_t i = 0; i < limit; i++) {
            cb_buffer_append(&buffer, "x", 1);
        }
        cr_expect(buffer.size == limit, "%zu of %zu", buffer.size, limit);
        expect_ok(cb_buffer_check(&buffer, test_error()));
        cb_buffer_append(&buffer, "x", 1);

        expect_status(CB_LIMIT, cb_buffer_check(&buffer, test_error()));
        cb_buffer_clear(&buffer);
    }
}

Test(buffer, keeps_a_failure_until_it_is_reset)
{
    cb_buffer buffer;
    cb_buffer_init(&buffer, 4);

    cb_buffer_append_text(&buffer, "ab");
    cb_buffer_append_text(&buffer, "too long");
    cb_buffer_append_text(&buffer, "c");
    cr_expect(cb_buffer_extend(&buffer, 1) == NULL);
    expect_status(CB_LIMIT, cb_buffer_check(&buffer, test_error()));
    expect_contains(test_error()->what, "4 bytes");

    cb_buffer_reset(&buffer);
    cb_buffer_append_text(&buffer, "abcd");
    expect_ok(cb_buffer_check(&buffer, test_error()));
    expect_text(cb_buffer_text(&buffer), "abcd");
    cb_buffer_clear(&buffer);
}

Test(buffer, refuses_a_size_that_overflows)
{
    cb_buffer buffer;
    cb_buffer_init(&buffer, SIZE_MAX);
    cb_buffer_append_text(&buffer, "ab");

    cr_expect(cb_buffer_extend(&buffer, SIZE_MAX) == NULL);
    cr_expect(cb_buffer_check(&buffer, NULL) != CB_OK);
    expect_text(cb_buffer_text(&buffer), "ab");
    cb_buffer_clear(&buffer);

    size_t result = 5;
    cr_expect(!cb_add_size(SIZE_MAX, 1, &result));
    cr_expect(!cb_multiply_size(SIZE_MAX / 2, 3, &result));
    cr_expect(cb_add_size(SIZE_MAX - 1, 1, &result) && result == SIZE_MAX);
    cr_expect(cb_multiply_size(3, 4, &result) && result == 12);
}

Test(buffer, writes_integers_with_the_highest_byte_first)
{
    uint8_t bytes[8];
    cb_put_u16(bytes, 0x0102);
    expect_bytes(bytes, 2, "\x01\x02", 2);
    cr_expect(cb_get_u16(bytes) == 0x0102);
    cb_put_u32(bytes, 0xfffefdfcu);
    expect_bytes(bytes, 4, "\xff\xfe\xfd\xfc", 4);
    cr_expect(cb_get_u32(bytes) == 0xfffefdfcu);
    cb_put_u64(bytes, 0xfedcba9876543210u);
    expect_bytes(bytes, 8, "\xfe\xdc\xba\x98\x76\x54\x32\x10", 8);
    cr_expect(cb_get_u64(bytes) == 0xfedcba9876543210u);
}

Test(buffer, reads_hexadecimal_in_its_one_spelling)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        { "00ff1a", true },   { "00FF1a", false },   { "00ff1", false },
        { "00ff1a0", false }, { "00ff1a00", false }, { "00 f1a", false },
        { "0x00ff", false },  { "", false },         { "gg0000", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[3];
        const bool good = cb_hex_parse(rows[i].text, bytes, sizeof bytes);
        cr_expect(good == rows[i].good, "'%s'", rows[i].text);
    }
    uint8_t none[1];
    cr_expect(cb_hex_parse("", none, 0));
}

Test(buffer, reads_base64_in_its_one_spelling)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        { "YWJjZA==", true },   { "YWJjZA=", false },    { "YWJjZA", false },
        { "YWJjZB==", false },  { "YWJjZA==\n", false }, { "YWJj ZA==", false },
        { "YWJjZGU=", false },  { "YWJj", false },       { "", false },
        { "YWJjZA===", false }, { "-_JjZA==", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[4];
        const bool good =
            cb_base64_parse(cb_span_of_text(rows[i].text), bytes, sizeof bytes);
        cr_expect(good == rows[i].good, "'%s'", rows[i].text);
    }
}

Test(buffer, compares_spans_by_content)
{
    cr_expect(cb_span_equal(cb_span_of_text("ab"), cb_span_of_text("ab")));
    cr_expect(!cb_span_equal(cb_span_of_text("ab"), cb_span_of_text("ac")));
    cr_expect(!cb_span_equal(cb_span_of_text("ab"), cb_span_of_text("a")));
    cr_expect(cb_span_equal((cb_span){ NULL, 0 }, cb_span_of_text("")));
    cr_expect(cb_is_zero("\0\0", 2));
    cr_expect(!cb_is_zero("\0\1", 2));
}

static void seven(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 7, size);
}

Test(secret, is_cloned_shortened_and_zero_at_birth)
{
    const cb_environment environment = { .random = seven };
    cb_secret *secret = NULL;
    cb_secret *copy = NULL;
    cr_assert(sodium_init() >= 0);

    expect_ok(cb_secret_create(40, &secret, test_error()));
    cr_expect(cb_is_zero(cb_secret_view(secret), 40));
    cb_secret_destroy(secret);
    expect_ok(cb_secret_create_random(&environment, 5, &secret, test_error()));
    expect_bytes(cb_secret_view(secret), cb_secret_size(secret), "\7\7\7\7\7",
                 5);

    expect_ok(cb_secret_clone(secret, &copy, test_error()));
    cb_secret_bytes(secret)[0] = 1;
    cb_secret_shorten(secret, 2);
    expect_bytes(cb_secret_view(secret), cb_secret_size(secret), "\1\7", 2);
    expect_bytes(cb_secret_view(copy), cb_secret_size(copy), "\7\7\7\7\7", 5);
    cb_secret_destroy(secret);
    cb_secret_destroy(copy);
    cb_secret_destroy(NULL);
}
