/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words in which the tests are written.
 *
 * A call under test takes its error as test_error(), so that a failure can say
 * what the product said:
 *
 *     expect_ok(cb_thing_create(&thing, test_error()));
 *     expect_status(CB_LIMIT, cb_thing_add(thing, huge, test_error()));
 *
 * expect_ok ends the test, for what follows needs what it made; the others
 * report and go on, so that a table shows every row that is wrong.
 */
#ifndef CASEBOUND_TESTS_EXPECT_H
#define CASEBOUND_TESTS_EXPECT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <casebound/error.h>

/* Each Test is a process of its own, so this is the error of one test. */
static inline cb_error *test_error(void)
{
    static cb_error error;
    return &error;
}

/* The status's name and all that the last error says, for a message. */
static inline const char *test_describe(cb_status status)
{
    static char text[8 * CB_ERROR_TEXT_BYTES];
    const cb_error *error = test_error();
    snprintf(text, sizeof text, "%s: %s; %s; next: %s", cb_status_name(status),
             error->what, error->meaning, error->next);
    return text;
}

static inline const char *test_hex(const void *bytes, size_t length, char *text,
                                   size_t text_size)
{
    const unsigned char *byte = bytes;
    size_t shown = 0;
    text[0] = '\0';
    while (shown < length && 2 * shown + 6 < text_size) {
        snprintf(text + 2 * shown, 3, "%02x", byte[shown]);
        shown++;
    }
    if (shown < length)
        memcpy(text + 2 * shown, "...", 4);
    return text;
}

#define expect_ok(call)                                           \
    do {                                                          \
        cb_error_clear(test_error());                             \
        const cb_status expect_got_ = (call);                     \
        cr_assert(expect_got_ == CB_OK, "%s\n    gave %s", #call, \
                  test_describe(expect_got_));                    \
    } while (0)

#define expect_status(wanted, call)                                       \
    do {                                                                  \
        cb_error_clear(test_error());                                     \
        const cb_status expect_want_ = (wanted);                          \
        const cb_status expect_got_ = (call);                             \
        cr_expect(expect_got_ == expect_want_, "%s\n    gave %s, not %s", \
                  #call, test_describe(expect_got_),                      \
                  cb_status_name(expect_want_));                          \
    } while (0)

#define expect_text(got, wanted)                                 \
    do {                                                         \
        const char *expect_got_ = (got);                         \
        const char *expect_want_ = (wanted);                     \
        cr_expect(expect_got_ != NULL && expect_want_ != NULL && \
                      strcmp(expect_got_, expect_want_) == 0,    \
                  "%s\n    is   \"%s\"\n    not  \"%s\"", #got,  \
                  expect_got_ ? expect_got_ : "(null)",          \
                  expect_want_ ? expect_want_ : "(null)");       \
    } while (0)

/* That a text holds another, such as an error's sentence the file's name. */
#define expect_contains(got, part)                                    \
    do {                                                              \
        const char *expect_got_ = (got);                              \
        const char *expect_part_ = (part);                            \
        cr_expect(expect_got_ != NULL && expect_part_ != NULL &&      \
                      strstr(expect_got_, expect_part_) != NULL,      \
                  "%s\n    is      \"%s\"\n    without \"%s\"", #got, \
                  expect_got_ ? expect_got_ : "(null)",               \
                  expect_part_ ? expect_part_ : "(null)");            \
    } while (0)

#define expect_bytes(got, got_length, wanted, wanted_length)                  \
    do {                                                                      \
        const void *expect_got_ = (got);                                      \
        const void *expect_want_ = (wanted);                                  \
        const size_t expect_got_length_ = (got_length);                       \
        const size_t expect_want_length_ = (wanted_length);                   \
        char expect_a_[200];                                                  \
        char expect_b_[200];                                                  \
        cr_expect(                                                            \
            expect_got_length_ == expect_want_length_ &&                      \
                (expect_got_length_ == 0 ||                                   \
                 memcmp(expect_got_, expect_want_, expect_got_length_) == 0), \
            "%s\n    is   %zu bytes %s\n    not  %zu bytes %s", #got,         \
            expect_got_length_,                                               \
            test_hex(expect_got_, expect_got_length_, expect_a_,              \
                     sizeof expect_a_),                                       \
            expect_want_length_,                                              \
            test_hex(expect_want_, expect_want_length_, expect_b_,            \
                     sizeof expect_b_));                                      \
    } while (0)

#endif
