/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <signal.h>

#include "support/expect.h"

Test(error, first_error_wins)
{
    cb_error error = { 0 };

    const cb_status first =
        cb_error_set(&error, CB_LIMIT, "'%s' is %d", "a", 1);
    const cb_status second = cb_error_set(&error, CB_IO, "something else");

    cr_expect(first == CB_LIMIT && second == CB_LIMIT);
    expect_text(error.what, "'a' is 1");
}

Test(error, layer_above_fills_in_what_is_still_empty)
{
    cb_error error = { 0 };

    cb_error_set(&error, CB_IO, "x");
    cb_error_meaning(&error, "nothing was %s", "lost");
    cb_error_meaning(&error, "all is lost");
    cb_error_next(&error, "try %d", 1);
    cb_error_next(&error, "try 2");

    expect_text(error.meaning, "nothing was lost");
    expect_text(error.next, "try 1");
    cb_error_clear(&error);
    cr_expect(error.status == CB_OK && error.what[0] == '\0');
}

Test(error, may_be_left_out)
{
    cr_expect(cb_error_set(NULL, CB_IO, "x") == CB_IO);
    cb_error_meaning(NULL, "x");
    cb_error_next(NULL, "x");
    cb_error_clear(NULL);
}

Test(error, cuts_a_text_that_is_too_long)
{
    char text[2 * CB_ERROR_TEXT_BYTES];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cb_error error = { 0 };

    cb_error_set(&error, CB_IO, "%s", text);

    cr_expect(strlen(error.what) == sizeof error.what - 1);
}

/* Scripts depend on these: a number that changes here breaks them. */
Test(error, exit_codes_and_names_are_the_documented_ones)
{
    static const struct {
        cb_status status;
        int exit_code;
        const char *name;
    } rows[] = {
        { CB_OK, 0, "ok" },
        { CB_FAILED, 1, "failed" },
        { CB_FINDINGS, 1, "findings" },
        { CB_USAGE, 2, "usage" },
        { CB_CONFLICTS, 3, "conflicts" },
        { CB_NO_STORE, 10, "no_store" },
        { CB_LOCKED, 11, "locked" },
        { CB_DAMAGED, 12, "damaged" },
        { CB_WRONG_KEY, 13, "wrong_key" },
        { CB_UNREACHABLE, 14, "unreachable" },
        { CB_REFUSED, 15, "refused" },
        { CB_PERMISSION, 16, "permission" },
        { CB_NO_SPACE, 17, "no_space" },
        { CB_IN_USE, 18, "in_use" },
        { CB_RULE, 19, "rule" },
        { CB_NEWER, 20, "newer" },
        { CB_INTERRUPTED, 130, "interrupted" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(cb_status_exit_code(rows[i].status) == rows[i].exit_code,
                  "%s", rows[i].name);
        expect_text(cb_status_name(rows[i].status), rows[i].name);
    }
}

Test(error, every_status_has_words_in_the_house_form)
{
    for (int i = 0; i < CB_STATUS_COUNT; i++) {
        const cb_status status = (cb_status)i;
        const char *meaning = cb_status_meaning(status);
        const size_t length = strlen(meaning);

        cr_expect(length > 0, "%s", cb_status_name(status));
        cr_expect(islower((unsigned char)meaning[0]), "%s", meaning);
        cr_expect(meaning[length - 1] != '.', "%s", meaning);
        cr_expect(cb_status_next(status) != NULL);
        for (int j = 0; j < i; j++) {
            cr_expect(strcmp(cb_status_name(status),
                             cb_status_name((cb_status)j)) != 0,
                      "%s is there twice", cb_status_name(status));
        }
    }
}

Test(error, broken_assumption_ends_the_program, .signal = SIGABRT)
{
    CB_ASSERT(1 + 1 == 2);
    CB_ASSERT(1 + 1 == 3);
}
