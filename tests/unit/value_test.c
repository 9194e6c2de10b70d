/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700

#include "support/expect.h"

#include "value.h"

#include <stdlib.h>
#include <unistd.h>

static bool is_interrupted(void)
{
    return false;
}

static cb_cli_world world_of_test(void)
{
    return (cb_cli_world){ .environment = cb_environment_system(),
                           .is_interrupted = is_interrupted };
}

Test(value, cuts_a_field_at_its_first_equals_sign)
{
    static const struct {
        const char *operand;
        const char *name; /* NULL: refused */
        const char *value;
    } rows[] = {
        { "note=hello", "note", "hello" },
        { "note=", "note", "" },
        { "note=a=b", "note", "a=b" },
        { "safe_route2=-", "safe_route2", "-" },
        { "note", NULL, NULL },
        { "=x", NULL, NULL },
        { "", NULL, NULL },
        { "Note=x", NULL, NULL },
        { "a b=x", NULL, NULL },
        { "secret words", NULL, NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_span name = { 0 };
        const char *value = NULL;
        cb_error error = { 0 };
        cb_status status =
            cb_cli_split_field(rows[i].operand, &name, &value, &error);
        cr_expect((status == CB_OK) == (rows[i].name != NULL), "'%s'",
                  rows[i].operand);
        cr_expect(strstr(error.what, "secret") == NULL);
        if (status == CB_OK) {
            expect_bytes(name.bytes, name.size, rows[i].name,
                         strlen(rows[i].name));
            expect_text(value, rows[i].value);
        } else {
            cr_expect(status == CB_USAGE);
        }
    }
}

static void write_file(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL && fwrite(text, 1, size, file) == size);
    fclose(file);
}

static void expect_read(const char *value, const char *wanted)
{
    cb_cli_world world = world_of_test();
    cb_cli_session session = { .world = &world };
    cb_buffer text;
    cb_buffer_init(&text, 20);
    expect_ok(cb_cli_read_text(&session, "note", value, &text, test_error()));
    expect_text(cb_buffer_text(&text), wanted);
    cr_expect(text.size == strlen(wanted), "'%s'", value);
    cb_buffer_clear(&text);
}

static void expect_refused(const char *value, cb_status wanted,
                           const char *what)
{
    cb_cli_world world = world_of_test();
    cb_cli_session session = { .world = &world };
    cb_buffer text;
    cb_buffer_init(&text, 20);
    expect_status(
        wanted, cb_cli_read_text(&session, "note", value, &text, test_error()));
    expect_contains(test_error()->what, what);
    cb_buffer_clear(&text);
}

Test(value, reads_a_text_from_where_it_stands)
{
    char folder[] = "/tmp/value-XXXXXX";
    cr_assert(mkdtemp(folder) != NULL && chdir(folder) == 0);
    write_file("lines", "one\n\ntwo\n", 9);
    write_file("windows", "one\r\n", 5);
    write_file("bare", "one", 3);
    write_file("empty", "", 0);
    write_file("break", "\n", 1);
    write_file("fits", "12345678901234567890", 20);
    write_file("long", "123456789012345678901", 21);
    expect_read("plain", "plain");
    expect_read("", "");
    expect_read("@@home", "@home");
    expect_read("--", "--");
    expect_read("@lines", "one\n\ntwo");
    expect_read("@windows", "one");
    expect_read("@bare", "one");
    expect_read("@empty", "");
    expect_read("@break", "");
    expect_read("@fits", "12345678901234567890");
    expect_refused("@long", CB_LIMIT, "'note' is longer than 20 bytes");
    expect_refused("123456789012345678901", CB_LIMIT,
                   "'note' is longer than 20 bytes");
    expect_refused("@absent", CB_NOT_FOUND, "there is no file 'absent'");
    expect_refused("@", CB_NOT_FOUND, "there is no file ''");
    cr_expect(freopen("lines", "rb", stdin) != NULL);
    expect_read("-", "one\n\ntwo");
    cr_expect(freopen("long", "rb", stdin) != NULL);
    expect_refused("-", CB_LIMIT, "'note' is longer than 20 bytes");
    static const char *const names[] = { "lines", "windows", "bare", "empty",
                                         "break", "fits",    "long" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_expect(unlink(names[i]) == 0);
    }
    cr_expect(chdir("/") == 0 && rmdir(folder) == 0);
}

Test(value, reads_lengths_of_time)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } rows[] = {
        { "15m", 900000 },
        { "90s", 90000 },
        { "8h", 28800000 },
        { "2d", 172800000 },
        { "365d", 31536000000 },
        { "31536000s", 31536000000 },
        { "366d", 0 },
        { "31536001s", 0 },
        { "0m", 0 },
        { "", 0 },
        { "m", 0 },
        { "15", 0 },
        { "15 m", 0 },
        { "15min", 0 },
        { "-15m", 0 },
        { "1.5h", 0 },
        { "99999999999999999999m", 0 },
        { "9999999999d", 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = 0;
        cb_status status = cb_cli_parse_duration(rows[i].text, &ms, NULL);
        cr_expect((status == CB_OK) == (rows[i].ms != 0) && ms == rows[i].ms,
                  "'%s' gives %lld", rows[i].text, (long long)ms);
    }
}
