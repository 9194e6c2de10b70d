/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something happened, as exactly as somebody knows it.
 *
 * A facilitator may know the minute, the day, or only the year.  A cb_when
 * keeps the first instant of that stretch and how long a stretch it is, so
 * that "2017-03" never turns into midnight on the first of March.
 *
 * Local time is that of Europe/London, by a rule of our own instead of the
 * machine's time zone files, so that the same entry reads the same on every
 * machine and in every year: summer time (UTC+1) from the last Sunday of March
 * to the last Sunday of October, 01:00 UTC.  The older rules are followed back
 * to 1972 (third Sunday of March until 1980; the Sunday after the fourth
 * Saturday of October until 1995).  Earlier local times are read as UTC, which
 * can be an hour off; dates without a time of day do not depend on it.
 */
#ifndef CASEBOUND_WHEN_H
#define CASEBOUND_WHEN_H

#include <casebound/error.h>
#include <stdint.h>

#define CB_WHEN_YEAR_MIN   1900
#define CB_WHEN_YEAR_MAX   2200
#define CB_WHEN_TEXT_BYTES 40

typedef enum cb_when_precision {
    CB_WHEN_YEAR,
    CB_WHEN_MONTH,
    CB_WHEN_DAY,
    CB_WHEN_MINUTE,
    CB_WHEN_SECOND
} cb_when_precision;

typedef struct cb_when {
    int64_t start_ms; /* since 1970 UTC */
    cb_when_precision precision;
} cb_when;

/* A local date and time of day. */
typedef struct cb_civil {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
    int hour;
    int minute;
    int second;
    int weekday;        /* 0 is Sunday */
    int offset_minutes; /* ahead of UTC: 0 or 60 */
} cb_civil;

/*
 * Reads what a person or a file says, where `now_ms` is the present:
 *
 *     14:00                    today          now
 *     yesterday 14:00          yesterday      tomorrow
 *     2017-03-14 14:00         2017-03-14     2017-03     2017
 *     2017-03-14T14:00:05Z     2017-03-14 14:00+01:00
 *
 * A fraction of a second, as cb_when_format_instant writes it, is passed over:
 * the second that it lies in is meant.
 *
 * A local time that the change to summer time skips, or that the change back
 * gives twice, is refused, and the error names the forms that say which is
 * meant; it is never guessed.  CB_INPUT.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_when_parse(const char *text, int64_t now_ms,
                                               cb_when *ret_when,
                                               cb_error *reterr_error);

/* The first instant after the stretch. */
CB_PUBLIC int64_t cb_when_end_ms(const cb_when *when);

/* London's clock and calendar at an instant; any value is allowed. */
CB_PUBLIC cb_civil cb_when_local(int64_t instant_ms);

/*
 * Days since 1970-01-01 in the calendar; any month from 1 to 12.  For counting
 * days, working days and weeks, which have no time zone.
 */
CB_PUBLIC int64_t cb_when_days(int64_t year, int month, int day);

/*
 * The form that records keep: only what is known, and cb_when_parse reads it
 * back to the same value.  Dates are local; times of day are UTC:
 * 2017, 2017-03, 2017-03-14, 2017-03-14T14:00Z, 2017-03-14T14:00:05Z.
 */
CB_PUBLIC void cb_when_format(const cb_when *when,
                              char ret_text[CB_WHEN_TEXT_BYTES]);

/*
 * For people: 2017, 2017-03, 2017-03-14, "2017-03-14 14:00 +00:00",
 * "2017-06-14 14:00:05 +01:00".
 */
CB_PUBLIC void cb_when_format_local(const cb_when *when,
                                    char ret_text[CB_WHEN_TEXT_BYTES]);

/*
 * An instant as RFC 3339 in UTC: 2017-03-14T14:00:05Z, with milliseconds
 * (14:00:05.250Z) only where they are not zero.
 */
CB_PUBLIC void cb_when_format_instant(int64_t instant_ms,
                                      char ret_text[CB_WHEN_TEXT_BYTES]);

#endif
