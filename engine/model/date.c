/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include <casebound/when.h>

#include <stdio.h>
#include <string.h>

/* `count` digits as a number, or -1. */
static int digits(const char *text, int count)
{
    int number = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

bool cb_date_is_valid(const char *text)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30,
                                   31, 31, 30, 31, 30, 31 };
    size_t size = strnlen(text, CB_DATE_TEXT_BYTES);
    if (size != 4 && size != 7 && size != 10) {
        return false;
    }
    int year = digits(text, 4);
    if (year < CB_WHEN_YEAR_MIN || year > CB_WHEN_YEAR_MAX) {
        return false;
    }
    if (size == 4) {
        return true;
    }
    int month = digits(text + 5, 2);
    if (text[4] != '-' || month < 1 || month > 12) {
        return false;
    }
    if (size == 7) {
        return true;
    }
    int day = digits(text + 8, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int last = lengths[month - 1] + (month == 2 && leap ? 1 : 0);
    return text[7] == '-' && day >= 1 && day <= last;
}

/* The month's number from its name or its first three letters, or -1. */
static int month_of(const char *word)
{
    static const char *const names[] = { "january", "february", "march",
                                         "april",   "may",      "june",
                                         "july",    "august",   "september",
                                         "october", "november", "december" };
    for (int i = 0; i < 12; i++) {
        char start[4] = "";
        memcpy(start, names[i], 3);
        if (cb_words_equal(word, names[i]) || cb_words_equal(word, start)) {
            return i + 1;
        }
    }
    return -1;
}

/* One or two digits, or -1. */
static int small_number(const char *word)
{
    size_t size = strlen(word);
    return size == 1 || size == 2 ? digits(word, (int)size) : -1;
}

/* Longer than any part of a date that is one. */
#define PART_BYTES 12

bool cb_date_rewrite(const char *text, char ret_date[CB_DATE_TEXT_BYTES])
{
    char parts[3][PART_BYTES] = { "", "", "" };
    size_t count = 0;
    const char *at = text;
    while (*at != '\0') {
        size_t size = strcspn(at, " /.");
        if (count == 3 || size >= PART_BYTES) {
            return false;
        }
        memcpy(parts[count], at, size);
        parts[count++][size] = '\0';
        at += size;
        at += *at == '\0' ? 0 : 1;
    }
    if (count < 2 || strlen(parts[count - 1]) != 4) {
        return false;
    }
    int year = digits(parts[count - 1], 4);
    int month = month_of(parts[count - 2]);
    month = month > 0 ? month : small_number(parts[count - 2]);
    int day = count == 3 ? small_number(parts[0]) : 1;
    if (year < 0 || month < 0 || day < 0) {
        return false;
    }
    char date[CB_DATE_TEXT_BYTES];
    (void)snprintf(date, sizeof date, "%04d-%02d-%02d", year % 10000,
                   month % 100, day % 100);
    if (count == 2) {
        date[7] = '\0';
    }
    if (!cb_date_is_valid(date)) {
        return false;
    }
    memcpy(ret_date, date, sizeof date);
    return true;
}
