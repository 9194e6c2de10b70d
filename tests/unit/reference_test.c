/* SPDX-License-Identifier: Apache-2.0 */
#include "support/expect.h"

#include <casebound/model.h>

Test(reference, carries_the_luhn_digit_of_its_serial)
{
    char text[CB_REFERENCE_TEXT_BYTES];
    const cb_reference reference = { "RL", 2017, 412 };

    expect_ok(cb_reference_format(&reference, text, test_error()));

    expect_text(text, "RL-2017-00412-7");
    cr_expect_eq(cb_reference_check_digit(1), '8');
    cr_expect_eq(cb_reference_check_digit(99999), '5');
}

Test(reference, reads_what_it_wrote_for_every_serial)
{
    for (int serial = 1; serial <= CB_REFERENCE_SERIAL_MAX; serial += 7) {
        const cb_reference reference = { "RL", 2017, serial };
        char text[CB_REFERENCE_TEXT_BYTES];
        cb_reference again;
        if (cb_reference_format(&reference, text, NULL) != CB_OK ||
            cb_reference_parse(text, &again, NULL) != CB_OK ||
            again.serial != serial || again.year != 2017)
            cr_assert_fail("serial %d does not come back", serial);
    }
}

/* Luhn promises one wrong digit, and two neighbours swapped unless 0 and 9. */
Test(reference, notices_each_single_wrong_digit_and_a_swap)
{
    static const char right[] = "RL-2017-00412-7";
    cb_reference read;

    for (size_t at = 8; at < sizeof right - 1; at++) {
        for (char digit = '0'; right[at] != '-' && digit <= '9'; digit++) {
            char text[sizeof right];
            memcpy(text, right, sizeof right);
            text[at] = digit;
            cb_status status = cb_reference_parse(text, &read, NULL);
            cr_expect((status == CB_OK) == (digit == right[at]), "%s", text);
        }
    }
    expect_status(CB_INPUT,
                  cb_reference_parse("RL-2017-00142-7", &read, test_error()));
    expect_contains(test_error()->what, "a digit that is wrong");
}

Test(reference, accepts_small_letters_and_spaces_around)
{
    cb_reference read;

    expect_ok(cb_reference_parse("  rl-2017-00412-7 ", &read, test_error()));

    expect_text(read.service, "RL");
    cr_expect_eq(read.year, 2017);
    cr_expect_eq(read.serial, 412);
}

Test(reference, refuses_anything_else)
{
    static const char *const rows[] = {
        "",
        "RL",
        "RL-2017-412-7",
        "R-2017-00412-7",
        "RLRLR-2017-00412-7",
        "RL-2017-00412",
        "RL-2017-00412-",
        "RL-2017-00412-77",
        "RL 2017 00412 7",
        "RL-2017-0041x-7",
        "RL-1017-00412-7",
        "RL-2017-00000-0",
        "RL-2017-00412-7\n",
        "\xff\xfe",
        "4f1c9a",
    };
    cb_reference read = { .serial = -1 };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_status(CB_INPUT,
                      cb_reference_parse(rows[i], &read, test_error()));

    cr_expect_eq(read.serial, -1);
    cr_expect(cb_reference_is_like("RL-2017-00412-3"));
    cr_expect_not(cb_reference_is_like("4f1c9a"));
}

Test(reference, refuses_parts_out_of_range)
{
    static const cb_reference rows[] = {
        { "RL", 2017, 0 },    { "RL", 2017, 100000 }, { "RL", 1899, 1 },
        { "RL", 3000, 1 },    { "R", 2017, 1 },       { "rl", 2017, 1 },
        { "R\xc3", 2017, 1 }, { "", 2017, 1 },
    };
    char text[CB_REFERENCE_TEXT_BYTES];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_status(CB_INPUT,
                      cb_reference_format(&rows[i], text, test_error()));
}
