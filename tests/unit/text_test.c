/* SPDX-License-Identifier: Apache-2.0 */
#include "support/expect.h"

#include "text.h"

static cb_span bytes_of(const char *text, size_t size)
{
    return (cb_span){ (const uint8_t *)text, size };
}

typedef struct row {
    const char *text;
    size_t size;
    const char *clean;
} row;

#define ROW(text, clean)                  \
    {                                     \
        (text), sizeof(text) - 1, (clean) \
    }

Test(text, shows_what_could_steer_a_terminal)
{
    static const row rows[] = {
        ROW("", ""),
        ROW("plain", "plain"),
        ROW("Zo\xC3\xAB \xE2\x82\xAC \xF0\x9F\x98\x80",
            "Zo\xC3\xAB \xE2\x82\xAC \xF0\x9F\x98\x80"),
        ROW("a\x1b[2Jb", "a<U+001B>[2Jb"),
        ROW("a\0b", "a<U+0000>b"),
        ROW("a\x7f", "a<U+007F>"),
        ROW("\xC2\x9B"
            "31m",
            "<U+009B>31m"),
        ROW("a\xE2\x80\xAE"
            "b",
            "a<U+202E>b"),
        ROW("\xE2\x80\xAA", "<U+202A>"),
        ROW("\xE2\x81\xA6", "<U+2066>"),
        ROW("\xE2\x81\xA9", "<U+2069>"),
        ROW("\xE2\x80\x8E\xE2\x80\x8F", "<U+200E><U+200F>"),
        ROW("\xD8\x9C", "<U+061C>"),
        ROW("\xE2\x80\xA8", "<U+2028>"),
        ROW("\xEF\xBB\xBF", "<U+FEFF>"),
        ROW("\xF3\xA0\x81\x81", "<U+E0041>"),
        /* A joiner is part of names in several scripts. */
        ROW("\xE2\x80\x8D", "\xE2\x80\x8D"),
        ROW("one\ntwo\r\nthree\tfour\rfive", "one two three four<U+000D>five"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_buffer out;
        cb_buffer_init(&out, 4096);
        cb_cli_clean(&out, bytes_of(rows[i].text, rows[i].size));
        expect_text(cb_buffer_text(&out), rows[i].clean);
        cb_buffer_clear(&out);
    }
}

Test(text, replaces_bytes_that_are_not_utf8)
{
#define BAD "\xEF\xBF\xBD"
    static const row rows[] = {
        ROW("\x80", BAD),
        ROW("a\xFF"
            "b",
            "a" BAD "b"),
        ROW("\xC0\xAF", BAD BAD),         /* overlong '/' */
        ROW("\xC1\x9B", BAD BAD),         /* overlong '[' */
        ROW("\xE0\x80\x9B", BAD BAD BAD), /* overlong escape */
        ROW("\xF0\x80\x80\x9B", BAD BAD BAD BAD),
        ROW("\xED\xA0\x80", BAD BAD BAD),         /* surrogate */
        ROW("\xF4\x90\x80\x80", BAD BAD BAD BAD), /* past U+10FFFF */
        ROW("\xF5\x80\x80\x80", BAD BAD BAD BAD),
        ROW("\xE2\x82", BAD BAD), /* cut off */
        ROW("\xE2\x1b[m", BAD "<U+001B>[m"),
        ROW("\xE2\x82\xAC", "\xE2\x82\xAC"),
        ROW("\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_buffer out;
        cb_buffer_init(&out, 4096);
        cb_cli_clean(&out, bytes_of(rows[i].text, rows[i].size));
        expect_text(cb_buffer_text(&out), rows[i].clean);
        cb_buffer_clear(&out);
    }
}

Test(text, never_lets_a_control_byte_out)
{
    /* Every sequence of two bytes, between letters. */
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const char text[] = { 'a', (char)first, (char)second, 'b' };
            cb_buffer out;
            cb_buffer_init(&out, 4096);
            cb_cli_clean(&out, bytes_of(text, sizeof text));
            for (size_t i = 0; i < out.size; i++) {
                bool is_control =
                    out.bytes[i] < 0x20 || out.bytes[i] == 0x7F ||
                    (i > 0 && out.bytes[i - 1] == 0xC2 && out.bytes[i] < 0xA0);
                cr_expect(!is_control, "bytes %02x %02x", first, second);
            }
            cr_expect(out.size >= 2 && out.bytes[0] == 'a' &&
                          out.bytes[out.size - 1] == 'b',
                      "bytes %02x %02x", first, second);
            cb_buffer_clear(&out);
        }
    }
}

Test(text, indents_what_follows_a_line_break)
{
    cb_buffer out;
    cb_buffer_init(&out, 4096);
    cb_cli_clean_lines(&out, cb_span_of_text("one\ntwo\r\n\033three\n"), 2);
    expect_text(cb_buffer_text(&out), "one\n  two\n  <U+001B>three\n  ");
    cb_buffer_clear(&out);
}

Test(text, makes_no_formula_of_a_csv_field)
{
    static const row rows[] = {
        ROW("plain", "\"plain\""),
        ROW("", "\"\""),
        ROW("a \"b\" c", "\"a \"\"b\"\" c\""),
        ROW("=1+1", "\"'=1+1\""),
        ROW("+44 20", "\"'+44 20\""),
        ROW("-5", "\"'-5\""),
        ROW("@SUM(A1)", "\"'@SUM(A1)\""),
        ROW("  =1", "\"'  =1\""),
        ROW("\t=1", "\"' =1\""),
        ROW("\r=1", "\"'<U+000D>=1\""),
        ROW("\n=1", "\"'\n=1\""),
        ROW("\xEF\xBC\x9D"
            "1",
            "\"'\xEF\xBC\x9D"
            "1\""),
        ROW("1=1", "\"1=1\""),
        ROW("a,b\nc", "\"a,b\nc\""),
        ROW("\033", "\"<U+001B>\""),
        ROW("   ", "\"   \""),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_buffer out;
        cb_buffer_init(&out, 4096);
        cb_cli_clean_csv(&out, bytes_of(rows[i].text, rows[i].size));
        expect_text(cb_buffer_text(&out), rows[i].clean);
        cb_buffer_clear(&out);
    }
}

Test(text, counts_the_columns_that_a_terminal_uses)
{
    static const struct {
        const char *text;
        size_t width;
        size_t characters;
    } rows[] = {
        { "", 0, 0 },
        { "abc", 3, 3 },
        { "Zo\xC3\xAB", 3, 3 },
        { "Zoe\xCC\x88", 3, 4 },              /* combining */
        { "\xE6\xBC\xA2\xE5\xAD\x97", 4, 2 }, /* Han */
        { "\xED\x95\x9C", 2, 1 },             /* Hangul */
        { "\xF0\x9F\x98\x80", 2, 1 },         /* emoji */
        { "\xD9\x85\xD9\x8F\xD8\xAD", 2, 3 }, /* Arabic vowel sign */
        { "\xE0\xA6\x95\xE0\xA7\x8D\xE0\xA6\xB7", 2, 3 }, /* Bengali */
        { "\xFF", 1, 1 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_span span = cb_span_of_text(rows[i].text);
        cr_expect(cb_cli_text_width(span) == rows[i].width, "row %zu: %zu", i,
                  cb_cli_text_width(span));
        cr_expect(cb_cli_character_count(span) == rows[i].characters,
                  "row %zu: %zu", i, cb_cli_character_count(span));
    }
}

Test(text, cuts_between_characters)
{
    static const struct {
        const char *text;
        size_t columns;
        size_t bytes;
    } rows[] = {
        { "abc", 2, 2 },
        { "abc", 5, 3 },
        { "\xE6\xBC\xA2\xE5\xAD\x97", 3, 3 },
        { "\xE6\xBC\xA2\xE5\xAD\x97", 1, 0 },
        { "e\xCC\x88x", 1, 3 },
        { "", 4, 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t bytes =
            cb_cli_text_fit(cb_span_of_text(rows[i].text), rows[i].columns);
        cr_expect(bytes == rows[i].bytes, "row %zu: %zu", i, bytes);
    }
}

Test(text, wraps_at_spaces)
{
    cb_buffer out;
    cb_buffer_init(&out, 4096);
    cb_cli_wrap(&out, cb_span_of_text("one two  three unbreakable-word x"), 2,
                4, 12);
    expect_text(cb_buffer_text(&out),
                "one two\n    three\n    unbreakable-word\n    x");
    cb_buffer_reset(&out);
    cb_cli_wrap(&out, cb_span_of_text(""), 0, 0, 10);
    expect_text(cb_buffer_text(&out), "");
    cb_buffer_clear(&out);
}
