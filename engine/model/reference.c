/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/model.h>

#include <stdio.h>
#include <string.h>

#define SERIAL_DIGITS 5

/* Longest text that is read: spaces around are dropped before. */
#define SERVICE_LETTERS_MIN 2
#define SERVICE_LETTERS_MAX 4

char cb_reference_check_digit(int serial)
{
    CB_ASSERT(serial >= 0 && serial <= CB_REFERENCE_SERIAL_MAX);
    int sum = 0;
    int rest = serial;
    for (int i = 0; i < SERIAL_DIGITS; i++) {
        int digit = rest % 10;
        rest /= 10;
        if (i % 2 == 0) {
            digit *= 2;
            digit -= digit > 9 ? 9 : 0;
        }
        sum += digit;
    }
    return (char)('0' + (10 - sum % 10) % 10);
}

static char upper(char letter)
{
    return letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
}

static bool is_letter(char letter)
{
    return upper(letter) >= 'A' && upper(letter) <= 'Z';
}

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

static bool is_in_range(const cb_reference *reference)
{
    size_t letters = strnlen(reference->service, sizeof reference->service);
    if (letters < SERVICE_LETTERS_MIN || letters > SERVICE_LETTERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < letters; i++) {
        if (reference->service[i] < 'A' || reference->service[i] > 'Z') {
            return false;
        }
    }
    return reference->year >= 1900 && reference->year <= 2999 &&
           reference->serial >= 1 &&
           reference->serial <= CB_REFERENCE_SERIAL_MAX;
}

cb_status cb_reference_format(const cb_reference *reference,
                              char ret_text[CB_REFERENCE_TEXT_BYTES],
                              cb_error *reterr_error)
{
    if (!is_in_range(reference)) {
        cb_status status = cb_error_set(
            reterr_error, CB_INPUT,
            "a case reference cannot have the year %d and the serial %d",
            reference->year, reference->serial);
        cb_error_next(reterr_error, "a serial is from 1 to %d, for each year",
                      CB_REFERENCE_SERIAL_MAX);
        return status;
    }
    (void)snprintf(ret_text, CB_REFERENCE_TEXT_BYTES, "%s-%04d-%05d-%c",
                   reference->service, reference->year, reference->serial,
                   cb_reference_check_digit(reference->serial));
    return CB_OK;
}

/* Reads the form; the check digit is handed back, not judged. */
static bool read_form(const char *text, cb_reference *read, char *check_digit)
{
    static const char form[] = "-dddd-ddddd-d";
    text += strspn(text, " \t");
    size_t letters = 0;
    while (letters < SERVICE_LETTERS_MAX && is_letter(text[letters])) {
        read->service[letters] = upper(text[letters]);
        letters++;
    }
    read->service[letters] = '\0';
    const char *rest = text + letters;
    if (letters < SERVICE_LETTERS_MIN) {
        return false;
    }
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == 'd' ? !is_digit(rest[i]) : rest[i] != form[i]) {
            return false;
        }
    }
    const char *end = rest + sizeof form - 1;
    if (end[strspn(end, " \t")] != '\0') {
        return false;
    }
    for (size_t i = 1; i <= 4; i++) {
        read->year = read->year * 10 + (rest[i] - '0');
    }
    for (size_t i = 6; i <= 10; i++) {
        read->serial = read->serial * 10 + (rest[i] - '0');
    }
    *check_digit = rest[12];
    return true;
}

bool cb_reference_is_like(const char *text)
{
    cb_reference read = { .year = 0 };
    char check_digit = '\0';
    return read_form(text, &read, &check_digit);
}

cb_status cb_reference_parse(const char *text, cb_reference *ret_reference,
                             cb_error *reterr_error)
{
    cb_reference read = { .year = 0 };
    char check_digit = '\0';
    if (!read_form(text, &read, &check_digit) || !is_in_range(&read)) {
        cb_status status = cb_error_set(
            reterr_error, CB_INPUT, "'%.40s' is not a case reference", text);
        cb_error_next(reterr_error, "give it as on the letter, such as "
                                    "RL-2017-00412-7");
        return status;
    }
    if (check_digit != cb_reference_check_digit(read.serial)) {
        cb_status status = cb_error_set(
            reterr_error, CB_INPUT,
            "the case reference '%.40s' has a digit that is wrong", text);
        cb_error_next(reterr_error, "compare it with the letter; the last "
                                    "digit checks the five before it");
        return status;
    }
    *ret_reference = read;
    return CB_OK;
}
