/* SPDX-License-Identifier: Apache-2.0 */
/* The recovery key as text: printed, typed, mistyped. */
#include <ctype.h>
#include <stdlib.h>

#include <casebound/recovery.h>

#include "support/expect.h"

#define ALPHABET "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

static cb_secret *secret_of(const char *text)
{
    cb_secret *secret = NULL;
    expect_ok(cb_secret_create(strlen(text), &secret, test_error()));
    memcpy(cb_secret_bytes(secret), text, strlen(text));
    return secret;
}

static cb_secret *key_of_bytes(uint8_t first, uint8_t step)
{
    cb_secret *key = NULL;
    expect_ok(cb_secret_create(CB_RECOVERY_KEY_BYTES, &key, test_error()));
    for (size_t i = 0; i < CB_RECOVERY_KEY_BYTES; i++) {
        cb_secret_bytes(key)[i] = (uint8_t)(first + i * step);
    }
    return key;
}

static void print(const cb_secret *key, char text[CB_RECOVERY_TEXT_BYTES + 1])
{
    cb_secret *printed = NULL;
    expect_ok(cb_recovery_print(key, &printed, test_error()));
    cr_assert(cb_secret_size(printed) == CB_RECOVERY_TEXT_BYTES);
    memcpy(text, cb_secret_view(printed), CB_RECOVERY_TEXT_BYTES);
    text[CB_RECOVERY_TEXT_BYTES] = '\0';
    cb_secret_destroy(printed);
}

static cb_status read_text(const char *text, const cb_secret *expected)
{
    cb_secret *typed = secret_of(text);
    cb_secret *key = NULL;
    cb_error_clear(test_error());
    cb_status status = cb_recovery_read(typed, &key, test_error());
    cr_expect((status == CB_OK) == (key != NULL));
    if (key != NULL && expected != NULL) {
        expect_bytes(cb_secret_view(key), cb_secret_size(key),
                     cb_secret_view(expected), cb_secret_size(expected));
    }
    cb_secret_destroy(key);
    cb_secret_destroy(typed);
    return status;
}

/* Paper lasts longer than programs: this form never changes. */
Test(recovery, has_one_form_for_ever)
{
    static const struct {
        uint8_t first;
        uint8_t step;
        const char *text;
    } rows[] = {
        { 0x00, 0, "00001-00002-00003-00004-00005-00006-00007-00008" },
        { 0xff, 0, "ZZZZC-ZZZZF-ZZZZE-ZZZZ9-ZZZZ8-ZZZZB-ZZZZA-ZZZZ5" },
        { 0x01, 0x11, "0492P-6D25N-ASKQ2-H2CTR-NEYC2-VQQF1-008J5-4CT4H" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[CB_RECOVERY_TEXT_BYTES + 1];
        cb_secret *key = key_of_bytes(rows[i].first, rows[i].step);
        print(key, text);
        expect_text(text, rows[i].text);
        cr_expect(read_text(text, key) == CB_OK);
        cb_secret_destroy(key);
    }
}

Test(recovery, is_taken_as_people_type_it)
{
    char text[CB_RECOVERY_TEXT_BYTES + 1];
    char typed[2 * CB_RECOVERY_TEXT_BYTES + 1];
    cb_secret *key = key_of_bytes(0x01, 0x11);
    print(key, text);
    size_t size = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        char byte = text[i];
        if (byte != '-') {
            typed[size++] = byte == '0'   ? 'o'
                            : byte == '1' ? (i % 2 == 0 ? 'l' : 'I')
                                          : (char)tolower(byte);
        }
    }
    typed[size] = '\0';
    cr_expect(strpbrk(typed, "o") != NULL && strpbrk(typed, "lI") != NULL);
    cr_expect(read_text(typed, key) == CB_OK);

    size = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        typed[size++] = text[i];
        typed[size++] = i % 3 == 0 ? ' ' : '-';
    }
    typed[size] = '\0';
    cr_expect(read_text(typed, key) == CB_OK);
    cb_secret_destroy(key);
}

/* Every wrong character in every place, and every exchange within a group. */
Test(recovery, names_the_group_with_a_slip)
{
    char text[CB_RECOVERY_TEXT_BYTES + 1];
    char words[64];
    cb_secret *key = key_of_bytes(0x3d, 0x47);
    print(key, text);
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];
        snprintf(words, sizeof words,
                 "group %zu of the recovery key is "
                 "mistyped",
                 i / 6 + 1);
        for (const char *other = ALPHABET "U*\x01";
             was != '-' && *other != '\0'; other++) {
            if (*other != was) {
                text[i] = *other;
                cr_expect(read_text(text, NULL) == CB_INPUT, "%s", text);
                expect_text(test_error()->what, words);
            }
        }
        text[i] = was;
        for (size_t j = i + 1; was != '-' && j % 6 < 5 && j / 6 == i / 6; j++) {
            if (text[j] != was) {
                text[i] = text[j];
                text[j] = was;
                cr_expect(read_text(text, NULL) == CB_INPUT, "%s", text);
                expect_text(test_error()->what, words);
                text[j] = text[i];
                text[i] = was;
            }
        }
    }
    cb_secret_destroy(key);
}

Test(recovery, names_groups_that_changed_places)
{
    char text[CB_RECOVERY_TEXT_BYTES + 1];
    char held[CB_RECOVERY_GROUP_CHARACTERS];
    cb_secret *key = key_of_bytes(0x3d, 0x47);
    print(key, text);
    memcpy(held, text + 12, sizeof held);
    memcpy(text + 12, text + 36, sizeof held);
    memcpy(text + 36, held, sizeof held);
    cr_expect(read_text(text, NULL) == CB_INPUT);
    expect_text(test_error()->what,
                "groups 3, 7 of the recovery key are mistyped");
    cb_secret_destroy(key);
}

Test(recovery, says_what_is_missing_or_too_much)
{
    static const struct {
        const char *text;
        const char *what;
    } rows[] = {
        { "", "has 0 characters and not 40" },
        { "   ---  ", "has 0 characters and not 40" },
        { "00001-00002-00003-0004-00005-00006-00007-00008",
          "group 4 of the recovery key has 4 characters and not 5" },
        { "00001-00002-000033-00004-00005-00006-00007-00008",
          "group 3 of the recovery key has 6 characters and not 5" },
        { "00001-00002-00003-00004-00005-00006-00007", "has 35 characters" },
        { "00001-00002-00003-00004-00005-00006-00007-00008-00009",
          "has 45 characters" },
        { "lantern copper seven meadow", "has 24 characters" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(read_text(rows[i].text, NULL) == CB_INPUT, "%s",
                  rows[i].text);
        expect_contains(test_error()->what, rows[i].what);
    }
}

Test(recovery, takes_any_bytes_without_harm)
{
    unsigned seed = 20261122;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        size_t size = (size_t)(rand_r(&seed) % 60);
        for (size_t j = 0; j < size; j++) {
            text[j] = (char)(1 + rand_r(&seed) % 255);
        }
        text[size] = '\0';
        if (size > 0) {
            cr_expect(read_text(text, NULL) == CB_INPUT);
        }
    }
}
