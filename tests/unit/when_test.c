/* SPDX-License-Identifier: Apache-2.0 */
#include "support/expect.h"

#include <casebound/when.h>

#include <limits.h>

/* 2017-06-14T12:30:15.250Z, a Wednesday; 13:30 in London. */
#define SUMMER_MS INT64_C(1497443415250)

Test(when, reads_what_people_say)
{
    static const struct {
        const char *text;
        const char *kept;
        const char *shown;
    } rows[] = {
        { "14:00", "2017-06-14T13:00Z", "2017-06-14 14:00 +01:00" },
        { "9:05", "2017-06-14T08:05Z", "2017-06-14 09:05 +01:00" },
        { "14:00:59", "2017-06-14T13:00:59Z", "2017-06-14 14:00:59 +01:00" },
        { "now", "2017-06-14T12:30:15Z", "2017-06-14 13:30:15 +01:00" },
        { "today", "2017-06-14", "2017-06-14" },
        { "yesterday", "2017-06-13", "2017-06-13" },
        { "tomorrow 08:00", "2017-06-15T07:00Z", "2017-06-15 08:00 +01:00" },
        { "yesterday 14:00", "2017-06-13T13:00Z", "2017-06-13 14:00 +01:00" },
        { "2017-03-14 14:00", "2017-03-14T14:00Z", "2017-03-14 14:00 +00:00" },
        { "2017-03-14T14:00:05Z", "2017-03-14T14:00:05Z",
          "2017-03-14 14:00:05 +00:00" },
        { "2017-03-14T14:00:05.250Z", "2017-03-14T14:00:05Z",
          "2017-03-14 14:00:05 +00:00" },
        { "2017-07-14T14:00Z", "2017-07-14T14:00Z", "2017-07-14 15:00 +01:00" },
        { "2017-03-14 14:00+01:00", "2017-03-14T13:00Z",
          "2017-03-14 13:00 +00:00" },
        { "2017-03-14 14:00 -05:30", "2017-03-14T19:30Z",
          "2017-03-14 19:30 +00:00" },
        { "2017-03-14", "2017-03-14", "2017-03-14" },
        { "2017-07", "2017-07", "2017-07" },
        { "2017", "2017", "2017" },
        { "1900", "1900", "1900" },
        { "2200-12-31 23:59", "2200-12-31T23:59Z", "2200-12-31 23:59 +00:00" },
        { "2016-02-29", "2016-02-29", "2016-02-29" },
        { "2000-02-29", "2000-02-29", "2000-02-29" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_when when = { 0 };
        cb_when again = { 0 };
        char text[CB_WHEN_TEXT_BYTES];
        expect_ok(cb_when_parse(rows[i].text, SUMMER_MS, &when, test_error()));
        cb_when_format(&when, text);
        expect_text(text, rows[i].kept);
        /* What records keep reads back as the same, whatever the day is. */
        expect_ok(cb_when_parse(text, 0, &again, test_error()));
        cr_expect(again.start_ms == when.start_ms &&
                      again.precision == when.precision,
                  "%s", text);
        cb_when_format_local(&when, text);
        expect_text(text, rows[i].shown);
    }
}

Test(when, refuses_what_it_cannot_read)
{
    static const char *const rows[] = {
        "",
        " ",
        "14",
        "14:0",
        "24:00",
        "14:60",
        "14:00:60",
        "14:00Z",
        "2pm",
        "nonsense",
        "yesterdays",
        "yesterday  14:00",
        "2017-3-14",
        "2017-13",
        "2017-00",
        "2017-02-29",
        "2017-02-30",
        "2017-04-31",
        "1900-02-29",
        "2017-03-00",
        "2017-03-32",
        "2017-03-14 ",
        "17",
        "20170314",
        "1899",
        "1899-12-31 23:59",
        "2201",
        "9999",
        "0000",
        "-2017",
        "2017 14:00",
        "2017-03 14:00",
        "14/03/2017",
        "2017-03-14 14:00 ",
        "2017-03-14 14:00+1:00",
        "2017-03-14 14:00+15:00",
        "2017-03-14 14:00+01:60",
        "2017-03-14 14:00 GMT",
        "2017-03-14T14:00:05.Z",
        "99999999999999999999",
        "2017-03-14\n14:00",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_when when = { 7, CB_WHEN_DAY };
        cb_error error = { 0 };
        cb_status status = cb_when_parse(rows[i], SUMMER_MS, &when, &error);
        cr_expect(status == CB_INPUT, "'%s' gives %d", rows[i], (int)status);
        cr_expect(error.what[0] != '\0' && error.next[0] != '\0', "'%s'",
                  rows[i]);
        cr_expect(when.start_ms == 7, "'%s' is written", rows[i]);
    }
}

Test(when, does_not_believe_an_absurd_clock)
{
    static const char *const words[] = { "now", "today", "14:00",
                                         "yesterday 14:00" };
    static const int64_t clocks[] = { INT64_MIN, -INT64_C(2208988800001),
                                      INT64_C(7289827200000), INT64_MAX };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        cb_when when = { 0 };
        for (size_t j = 0; j < sizeof clocks / sizeof clocks[0]; j++) {
            expect_status(CB_INPUT,
                          cb_when_parse(words[i], clocks[j], &when, NULL));
        }
        expect_ok(cb_when_parse(words[i], 86400000, &when, test_error()));
    }
    /* A date in full does not need the clock. */
    cb_when when = { 0 };
    expect_ok(cb_when_parse("2017-03-14", INT64_MAX, &when, test_error()));
}

Test(when, does_not_guess_a_time_that_the_clocks_skip)
{
    cb_when when = { 0 };
    cb_error error = { 0 };
    cr_expect(cb_when_parse("2017-03-26 01:30", 0, &when, &error) == CB_INPUT);
    expect_contains(error.what, "no 01:30 on 2017-03-26");
    expect_contains(error.next, "'2017-03-26 02:30'");
    expect_contains(error.next, "'2017-03-26 01:30Z'");
    expect_status(CB_INPUT, cb_when_parse("2017-03-26 01:00", 0, &when, NULL));
    expect_status(CB_INPUT,
                  cb_when_parse("2017-03-26 01:59:59", 0, &when, NULL));
    expect_ok(cb_when_parse("2017-03-26 00:59", 0, &when, test_error()));
    expect_ok(cb_when_parse("2017-03-26 02:00", 0, &when, test_error()));
    /* Both ways out that the message names are ways out. */
    cb_when other = { 0 };
    expect_ok(cb_when_parse("2017-03-26 02:30", 0, &when, test_error()));
    expect_ok(cb_when_parse("2017-03-26 01:30Z", 0, &other, test_error()));
    cr_expect(when.start_ms == other.start_ms);
}

Test(when, does_not_guess_which_of_two_equal_times_is_meant)
{
    cb_when first = { 0 };
    cb_when second = { 0 };
    cb_error error = { 0 };
    cr_expect(cb_when_parse("2017-10-29 01:30", 0, &first, &error) == CB_INPUT);
    expect_contains(error.what, "01:30 came twice on 2017-10-29");
    expect_contains(error.next, "'2017-10-29 01:30+01:00'");
    expect_contains(error.next, "'2017-10-29 01:30+00:00'");
    expect_ok(cb_when_parse("2017-10-29 01:30+01:00", 0, &first, test_error()));
    expect_ok(
        cb_when_parse("2017-10-29 01:30+00:00", 0, &second, test_error()));
    cr_expect(second.start_ms - first.start_ms == 3600000);
    expect_ok(cb_when_parse("2017-10-29 00:59", 0, &first, test_error()));
    expect_ok(cb_when_parse("2017-10-29 02:00", 0, &second, test_error()));
    /* 00:59 and 02:00, with the hour that came twice between them. */
    cr_expect(second.start_ms - first.start_ms == 2 * 3600000 + 60000);
}

/* Taken from the time zone database, release 2024a, Europe/London. */
Test(when, follows_the_clocks_of_london)
{
    static const struct {
        const char *last_before;
        int before;
        int after;
    } rows[] = {
        { "1972-03-19T01:59:59Z", 0, 60 }, { "1972-10-29T01:59:59Z", 60, 0 },
        { "1980-03-16T01:59:59Z", 0, 60 }, { "1980-10-26T01:59:59Z", 60, 0 },
        { "1981-03-29T00:59:59Z", 0, 60 }, { "1981-10-25T00:59:59Z", 60, 0 },
        { "1989-10-29T00:59:59Z", 60, 0 }, { "1992-10-25T00:59:59Z", 60, 0 },
        { "1995-03-26T00:59:59Z", 0, 60 }, { "1995-10-22T00:59:59Z", 60, 0 },
        { "1996-03-31T00:59:59Z", 0, 60 }, { "1996-10-27T00:59:59Z", 60, 0 },
        { "2017-03-26T00:59:59Z", 0, 60 }, { "2017-10-29T00:59:59Z", 60, 0 },
        { "2024-03-31T00:59:59Z", 0, 60 }, { "2024-10-27T00:59:59Z", 60, 0 },
        { "2037-03-29T00:59:59Z", 0, 60 }, { "2037-10-25T00:59:59Z", 60, 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_when when = { 0 };
        expect_ok(cb_when_parse(rows[i].last_before, 0, &when, test_error()));
        cb_civil before = cb_when_local(when.start_ms);
        cb_civil after = cb_when_local(when.start_ms + 1000);
        cr_expect(before.offset_minutes == rows[i].before &&
                      after.offset_minutes == rows[i].after,
                  "%s: %d to %d", rows[i].last_before, before.offset_minutes,
                  after.offset_minutes);
        cr_expect(before.weekday == 0, "%s", rows[i].last_before);
    }
}

Test(when, ends_where_the_next_stretch_begins)
{
    static const struct {
        const char *text;
        const char *next;
    } rows[] = {
        { "2017", "2018" },
        { "2017-12", "2018-01" },
        { "2017-03", "2017-04" },
        { "2017-10", "2017-11" },
        { "2017-02-28", "2017-03-01" },
        { "2016-02-28", "2016-02-29" },
        { "2017-03-26", "2017-03-27" },
        { "2017-10-29", "2017-10-30" },
        { "2017-12-31", "2018-01-01" },
        { "2017-03-14 14:59", "2017-03-14 15:00" },
        { "2017-03-14 14:59:59", "2017-03-14 15:00:00" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_when when = { 0 };
        cb_when next = { 0 };
        expect_ok(cb_when_parse(rows[i].text, 0, &when, test_error()));
        expect_ok(cb_when_parse(rows[i].next, 0, &next, test_error()));
        cr_expect(cb_when_end_ms(&when) == next.start_ms, "%s", rows[i].text);
        cr_expect(when.precision == next.precision, "%s", rows[i].text);
    }
}

Test(when, has_short_and_long_days)
{
    cb_when spring = { 0 };
    cb_when autumn = { 0 };
    expect_ok(cb_when_parse("2017-03-26", 0, &spring, test_error()));
    expect_ok(cb_when_parse("2017-10-29", 0, &autumn, test_error()));
    cr_expect(cb_when_end_ms(&spring) - spring.start_ms == 23 * 3600000);
    cr_expect(cb_when_end_ms(&autumn) - autumn.start_ms == 25 * 3600000);
}

Test(when, counts_days_there_and_back)
{
    int64_t days = cb_when_days(1600, 1, 1);
    for (int year = 1600; year < 2450; year++) {
        for (int month = 1; month <= 12; month++) {
            cr_assert(cb_when_days(year, month, 1) <= days);
            int64_t next = month == 12 ? cb_when_days(year + 1, 1, 1)
                                       : cb_when_days(year, month + 1, 1);
            for (int day = 1; days < next; day++, days++) {
                /* Noon, so that no offset reaches another day. */
                cb_civil civil = cb_when_local(days * 86400000 + 43200000);
                cr_assert(civil.year == year && civil.month == month &&
                              civil.day == day,
                          "%d-%02d-%02d", year, month, day);
            }
        }
    }
    cr_expect(cb_when_days(1970, 1, 1) == 0);
}

Test(when, shows_instants_as_rfc_3339)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        { 0, "1970-01-01T00:00:00Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { SUMMER_MS, "2017-06-14T12:30:15.250Z" },
        { INT64_C(253402300799000), "9999-12-31T23:59:59Z" },
    };

    char text[CB_WHEN_TEXT_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_when_format_instant(rows[i].ms, text);
        expect_text(text, rows[i].text);
    }
    /* A clock can say anything; the text stays within its bounds. */
    static const int64_t extremes[] = { INT64_MIN, INT64_MIN + 1, INT64_MAX };
    for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
        cb_when when = { extremes[i], CB_WHEN_SECOND };
        cb_when_format_instant(extremes[i], text);
        cr_expect(strlen(text) < sizeof text);
        cb_when_format_local(&when, text);
        cr_expect(strlen(text) < sizeof text);
        (void)cb_when_local(extremes[i]);
    }
}
