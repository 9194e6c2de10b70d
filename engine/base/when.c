/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/when.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE (60 * MS_PER_SECOND)
#define MS_PER_HOUR   (60 * MS_PER_MINUTE)
#define MS_PER_DAY    (24 * MS_PER_HOUR)
#define DAYS_PER_ERA  INT64_C(146097) /* 400 years */

/* What is still to be read of a text. */
typedef struct when_reader {
    const char *at;
} when_reader;

/* What a text says before anything is known about time zones. */
typedef struct when_reading {
    int64_t year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    bool has_offset;
    int offset_minutes;
    cb_when_precision precision;
} when_reading;

static int64_t floor_divide(int64_t value, int64_t by)
{
    int64_t quotient = value / by;
    return value % by < 0 ? quotient - 1 : quotient;
}

/* What floor_divide leaves over; from 0 to by - 1. */
static int64_t floor_remainder(int64_t value, int64_t by)
{
    int64_t left = value % by;
    return left < 0 ? left + by : left;
}

/*
 * Counts years from March, so that the leap day is the last of its year; the
 * months from March on then begin at (153 * month + 2) / 5 days.
 */
int64_t cb_when_days(int64_t year, int month, int day)
{
    int64_t shifted = month > 2 ? year : year - 1;
    int64_t era = floor_divide(shifted, 400);
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - 719468;
}

static void set_date(int64_t days, cb_civil *civil)
{
    int64_t from_march = days + 719468;
    int64_t era = floor_divide(from_march, DAYS_PER_ERA);
    int64_t day_of_era = from_march - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
                           day_of_era / 146096) /
                          365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    civil->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    civil->month = (int)(month < 10 ? month + 3 : month - 9);
    civil->year = year_of_era + era * 400 + (civil->month <= 2 ? 1 : 0);
    /* 1970-01-01 was a Thursday. */
    civil->weekday = (int)floor_remainder(days + 4, 7);
}

static cb_civil civil_of(int64_t ms, int offset_minutes)
{
    cb_civil civil = { .offset_minutes = offset_minutes };
    int64_t days = floor_divide(ms, MS_PER_DAY);
    int64_t left_ms = floor_remainder(ms, MS_PER_DAY);
    /* Added after the division: no instant is too late to be shifted. */
    left_ms += offset_minutes * MS_PER_MINUTE;
    if (left_ms >= MS_PER_DAY) {
        left_ms -= MS_PER_DAY;
        days++;
    }
    set_date(days, &civil);
    civil.hour = (int)(left_ms / MS_PER_HOUR);
    civil.minute = (int)(left_ms / MS_PER_MINUTE % 60);
    civil.second = (int)(left_ms / MS_PER_SECOND % 60);
    return civil;
}

/* The first Sunday on or after a day, as days since 1970. */
static int64_t sunday_from(int64_t year, int month, int day)
{
    int64_t days = cb_when_days(year, month, day);
    int64_t weekday = floor_remainder(days + 4, 7);
    return weekday == 0 ? days : days + 7 - weekday;
}

/* First instant of summer time in a year, and of winter time after it. */
static void summer_of(int64_t year, int64_t *ret_start_ms, int64_t *ret_end_ms)
{
    int64_t hour = year <= 1980 ? 2 : 1;
    int start_day = year <= 1980 ? 16 : 25;
    int end_day = 25;
    if (year <= 1989) {
        end_day = 23;
    } else if (year <= 1995) {
        end_day = 22;
    }
    *ret_start_ms =
        sunday_from(year, 3, start_day) * MS_PER_DAY + hour * MS_PER_HOUR;
    *ret_end_ms =
        sunday_from(year, 10, end_day) * MS_PER_DAY + hour * MS_PER_HOUR;
}

static int offset_at(int64_t instant_ms)
{
    int64_t start_ms = 0;
    int64_t end_ms = 0;
    int64_t year = civil_of(instant_ms, 0).year;
    /* The bounds also keep the arithmetic far from its limits. */
    if (year < 1972 || year > 9999) {
        return 0;
    }
    summer_of(year, &start_ms, &end_ms);
    return instant_ms >= start_ms && instant_ms < end_ms ? 60 : 0;
}

cb_civil cb_when_local(int64_t instant_ms)
{
    return civil_of(instant_ms, offset_at(instant_ms));
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Exactly `width` digits, and no further digit after them. */
static bool read_number(when_reader *reader, int width, int *ret_number)
{
    int number = 0;
    for (int i = 0; i < width; i++) {
        if (!is_digit(reader->at[i])) {
            return false;
        }
        number = number * 10 + (reader->at[i] - '0');
    }
    if (is_digit(reader->at[width])) {
        return false;
    }
    reader->at += width;
    *ret_number = number;
    return true;
}

static bool read_character(when_reader *reader, char character)
{
    if (*reader->at != character) {
        return false;
    }
    reader->at++;
    return true;
}

static bool read_word(when_reader *reader, const char *word)
{
    size_t size = strlen(word);
    char next = '\0';
    if (strncmp(reader->at, word, size) != 0) {
        return false;
    }
    next = reader->at[size];
    if (next != '\0' && next != ' ') {
        return false;
    }
    reader->at += size;
    return true;
}

/* The part of a second behind it, which no record keeps: .250 */
static bool pass_fraction(when_reader *reader)
{
    if (!read_character(reader, '.')) {
        return true;
    }
    int digits = 0;
    while (digits < 9 && is_digit(reader->at[0])) {
        reader->at++;
        digits++;
    }
    return digits > 0;
}

/* 14:00, 9:30, 14:00:05 or 14:00:05.250. */
static bool read_time(when_reader *reader, when_reading *reading)
{
    int width = is_digit(reader->at[0]) && reader->at[1] == ':' ? 1 : 2;
    reading->precision = CB_WHEN_MINUTE;
    if (!read_number(reader, width, &reading->hour) ||
        !read_character(reader, ':') ||
        !read_number(reader, 2, &reading->minute)) {
        return false;
    }
    if (read_character(reader, ':')) {
        reading->precision = CB_WHEN_SECOND;
        return read_number(reader, 2, &reading->second) &&
               pass_fraction(reader);
    }
    return true;
}

/* Nothing, Z, +01:00 or -05:30; a space may stand before it. */
static bool read_offset(when_reader *reader, when_reading *reading)
{
    int hours = 0;
    int minutes = 0;
    int sign = 0;
    if (*reader->at == '\0') {
        return true;
    }
    (void)read_character(reader, ' ');
    reading->has_offset = true;
    if (read_character(reader, 'Z')) {
        return true;
    }
    if (read_character(reader, '+')) {
        sign = 1;
    } else if (read_character(reader, '-')) {
        sign = -1;
    }
    if (sign == 0 || !read_number(reader, 2, &hours) ||
        !read_character(reader, ':') || !read_number(reader, 2, &minutes) ||
        hours > 14 || minutes > 59) {
        return false;
    }
    reading->offset_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool read_date(when_reader *reader, when_reading *reading)
{
    int year = 0;
    if (!read_number(reader, 4, &year)) {
        return false;
    }
    reading->year = year;
    reading->precision = CB_WHEN_YEAR;
    if (!read_character(reader, '-')) {
        return true;
    }
    reading->precision = CB_WHEN_MONTH;
    if (!read_number(reader, 2, &reading->month)) {
        return false;
    }
    if (!read_character(reader, '-')) {
        return true;
    }
    reading->precision = CB_WHEN_DAY;
    return read_number(reader, 2, &reading->day);
}

/* today, yesterday and tomorrow, counted on London's calendar. */
static bool read_day_word(when_reader *reader, int64_t now_ms,
                          when_reading *reading)
{
    static const struct {
        const char *word;
        int days;
    } words[] = { { "today", 0 }, { "yesterday", -1 }, { "tomorrow", 1 } };

    cb_civil civil = cb_when_local(now_ms);
    int64_t days = cb_when_days(civil.year, civil.month, civil.day);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (read_word(reader, words[i].word)) {
            set_date(days + words[i].days, &civil);
            reading->year = civil.year;
            reading->month = civil.month;
            reading->day = civil.day;
            reading->precision = CB_WHEN_DAY;
            return true;
        }
    }
    return false;
}

static bool has_time_only(const char *text)
{
    return is_digit(text[0]) &&
           (text[1] == ':' || (is_digit(text[1]) && text[2] == ':'));
}

static bool read_all(const char *text, int64_t now_ms, when_reading *reading)
{
    when_reader reader = { text };
    if (has_time_only(text)) {
        cb_civil now = cb_when_local(now_ms);
        reading->year = now.year;
        reading->month = now.month;
        reading->day = now.day;
        return read_time(&reader, reading) && *reader.at == '\0';
    }
    if (!read_day_word(&reader, now_ms, reading) &&
        !read_date(&reader, reading)) {
        return false;
    }
    if (*reader.at == '\0') {
        return true;
    }
    return reading->precision == CB_WHEN_DAY &&
           (read_character(&reader, ' ') || read_character(&reader, 'T')) &&
           read_time(&reader, reading) && read_offset(&reader, reading) &&
           *reader.at == '\0';
}

static cb_status refuse_form(const char *text, cb_error *error)
{
    cb_error_set(error, CB_INPUT, "'%.60s' is not a time that can be read",
                 text);
    cb_error_meaning(error, "nothing was recorded");
    cb_error_next(error, "give it as 14:00, 'yesterday 14:00', "
                         "'2017-03-14 14:00', 2017-03-14, 2017-03 or 2017");
    return CB_INPUT;
}

static bool is_year_allowed(int64_t year)
{
    return year >= CB_WHEN_YEAR_MIN && year <= CB_WHEN_YEAR_MAX;
}

static cb_status refuse_year(const char *text, cb_error *error)
{
    cb_error_set(error, CB_INPUT, "'%.60s' is outside the years %d to %d", text,
                 CB_WHEN_YEAR_MIN, CB_WHEN_YEAR_MAX);
    cb_error_meaning(error, "nothing was recorded");
    cb_error_next(error, "check the year, and this machine's clock");
    return CB_INPUT;
}

static cb_status check_ranges(const char *text, const when_reading *reading,
                              cb_error *error)
{
    if (!is_year_allowed(reading->year)) {
        return refuse_year(text, error);
    }
    if (reading->precision >= CB_WHEN_MONTH &&
        (reading->month < 1 || reading->month > 12)) {
        return refuse_form(text, error);
    }
    if (reading->precision >= CB_WHEN_DAY &&
        (reading->day < 1 ||
         reading->day > month_days(reading->year, reading->month))) {
        cb_error_set(error, CB_INPUT, "'%.60s': that month has %d days", text,
                     month_days(reading->year, reading->month));
        cb_error_meaning(error, "nothing was recorded");
        cb_error_next(error, "check the day");
        return CB_INPUT;
    }
    if (reading->hour > 23 || reading->minute > 59 || reading->second > 59) {
        return refuse_form(text, error);
    }
    return CB_OK;
}

/* The local clock shows the reading never, once or twice. */
static cb_status resolve_local(const when_reading *reading, int64_t clock_ms,
                               int64_t *ret_instant_ms, cb_error *error)
{
    bool winter = offset_at(clock_ms) == 0;
    bool summer = offset_at(clock_ms - MS_PER_HOUR) == 60;
    char day[CB_WHEN_TEXT_BYTES];
    if (winter != summer) {
        *ret_instant_ms = winter ? clock_ms : clock_ms - MS_PER_HOUR;
        return CB_OK;
    }
    (void)snprintf(day, sizeof day, "%04" PRId64 "-%02d-%02d", reading->year,
                   reading->month, reading->day);
    if (winter) {
        cb_error_set(error, CB_INPUT,
                     "%02d:%02d came twice on %s, when summer time ended",
                     reading->hour, reading->minute, day);
        cb_error_next(error,
                      "give '%s %02d:%02d+01:00' for the first or "
                      "'%s %02d:%02d+00:00' for the second",
                      day, reading->hour, reading->minute, day, reading->hour,
                      reading->minute);
    } else {
        cb_error_set(error, CB_INPUT,
                     "there was no %02d:%02d on %s: "
                     "the clocks went forward an hour",
                     reading->hour, reading->minute, day);
        cb_error_next(error,
                      "give '%s %02d:%02d' if the clock had been changed "
                      "already, or '%s %02d:%02dZ' for the same minute",
                      day, reading->hour + 1, reading->minute, day,
                      reading->hour, reading->minute);
    }
    cb_error_meaning(error, "nothing was recorded");
    return CB_INPUT;
}

cb_status cb_when_parse(const char *text, int64_t now_ms, cb_when *ret_when,
                        cb_error *reterr_error)
{
    when_reading reading = { .month = 1, .day = 1 };
    int64_t clock_ms = 0;
    int64_t instant_ms = 0;
    cb_status status = CB_OK;
    if (strcmp(text, "now") == 0) {
        if (!is_year_allowed(cb_when_local(now_ms).year)) {
            return refuse_year(text, reterr_error);
        }
        ret_when->start_ms = now_ms - floor_remainder(now_ms, MS_PER_SECOND);
        ret_when->precision = CB_WHEN_SECOND;
        return CB_OK;
    }
    if (!read_all(text, now_ms, &reading)) {
        return refuse_form(text, reterr_error);
    }
    status = check_ranges(text, &reading, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    clock_ms =
        cb_when_days(reading.year, reading.month, reading.day) * MS_PER_DAY +
        reading.hour * MS_PER_HOUR + reading.minute * MS_PER_MINUTE +
        reading.second * MS_PER_SECOND;
    if (reading.has_offset) {
        instant_ms = clock_ms - reading.offset_minutes * MS_PER_MINUTE;
    } else {
        status = resolve_local(&reading, clock_ms, &instant_ms, reterr_error);
        if (status != CB_OK) {
            return status;
        }
    }
    ret_when->start_ms = instant_ms;
    ret_when->precision = reading.precision;
    return CB_OK;
}

/* Midnight that begins a local date; the clocks never change at midnight. */
static int64_t date_start_ms(int64_t year, int month, int day)
{
    int64_t clock_ms = cb_when_days(year, month, day) * MS_PER_DAY;
    return clock_ms - offset_at(clock_ms - MS_PER_HOUR) * MS_PER_MINUTE;
}

int64_t cb_when_end_ms(const cb_when *when)
{
    cb_civil civil = cb_when_local(when->start_ms);
    cb_civil next = civil;
    switch (when->precision) {
    case CB_WHEN_YEAR: return date_start_ms(civil.year + 1, 1, 1);
    case CB_WHEN_MONTH:
        return civil.month == 12
                   ? date_start_ms(civil.year + 1, 1, 1)
                   : date_start_ms(civil.year, civil.month + 1, 1);
    case CB_WHEN_DAY:
        set_date(cb_when_days(civil.year, civil.month, civil.day) + 1, &next);
        return date_start_ms(next.year, next.month, next.day);
    case CB_WHEN_MINUTE: return when->start_ms + MS_PER_MINUTE;
    case CB_WHEN_SECOND: return when->start_ms + MS_PER_SECOND;
    default: break;
    }
    return when->start_ms;
}

/* Year, month and day as far as the precision goes. */
static void format_date(const cb_civil *civil, cb_when_precision precision,
                        char ret_text[CB_WHEN_TEXT_BYTES])
{
    if (precision == CB_WHEN_YEAR) {
        (void)snprintf(ret_text, CB_WHEN_TEXT_BYTES, "%04" PRId64, civil->year);
    } else if (precision == CB_WHEN_MONTH) {
        (void)snprintf(ret_text, CB_WHEN_TEXT_BYTES, "%04" PRId64 "-%02d",
                       civil->year, civil->month);
    } else {
        (void)snprintf(ret_text, CB_WHEN_TEXT_BYTES, "%04" PRId64 "-%02d-%02d",
                       civil->year, civil->month, civil->day);
    }
}

static void append_time(const cb_civil *civil, cb_when_precision precision,
                        char separator, char text[CB_WHEN_TEXT_BYTES])
{
    size_t size = strlen(text);
    if (precision == CB_WHEN_SECOND) {
        (void)snprintf(text + size, CB_WHEN_TEXT_BYTES - size,
                       "%c%02d:%02d:%02d", separator, civil->hour,
                       civil->minute, civil->second);
    } else {
        (void)snprintf(text + size, CB_WHEN_TEXT_BYTES - size, "%c%02d:%02d",
                       separator, civil->hour, civil->minute);
    }
}

static void append_text(char text[CB_WHEN_TEXT_BYTES], const char *more)
{
    size_t size = strlen(text);
    (void)snprintf(text + size, CB_WHEN_TEXT_BYTES - size, "%s", more);
}

void cb_when_format(const cb_when *when, char ret_text[CB_WHEN_TEXT_BYTES])
{
    cb_civil civil = when->precision <= CB_WHEN_DAY
                         ? cb_when_local(when->start_ms)
                         : civil_of(when->start_ms, 0);
    format_date(&civil, when->precision, ret_text);
    if (when->precision > CB_WHEN_DAY) {
        append_time(&civil, when->precision, 'T', ret_text);
        append_text(ret_text, "Z");
    }
}

void cb_when_format_local(const cb_when *when,
                          char ret_text[CB_WHEN_TEXT_BYTES])
{
    cb_civil civil = cb_when_local(when->start_ms);
    format_date(&civil, when->precision, ret_text);
    if (when->precision > CB_WHEN_DAY) {
        append_time(&civil, when->precision, ' ', ret_text);
        append_text(ret_text,
                    civil.offset_minutes == 0 ? " +00:00" : " +01:00");
    }
}

void cb_when_format_instant(int64_t instant_ms,
                            char ret_text[CB_WHEN_TEXT_BYTES])
{
    cb_civil civil = civil_of(instant_ms, 0);
    int64_t ms = floor_remainder(instant_ms, MS_PER_SECOND);
    format_date(&civil, CB_WHEN_SECOND, ret_text);
    append_time(&civil, CB_WHEN_SECOND, 'T', ret_text);
    if (ms != 0) {
        char fraction[8];
        (void)snprintf(fraction, sizeof fraction, ".%03d", (int)ms);
        append_text(ret_text, fraction);
    }
    append_text(ret_text, "Z");
}
