/* SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint.h"

#include <string.h>

#include "text.h"

#define DIGITS_PER_GROUP 4
#define DIGIT_COUNT      ((size_t)2 * CB_IDENTIFIER_BYTES)

void cb_cli_realm_fingerprint(const cb_realm_id *realm,
                              char ret_text[CB_FINGERPRINT_TEXT_BYTES])
{
    char digits[CB_IDENTIFIER_TEXT_BYTES];
    size_t used = 0;
    cb_hex_format(realm->bytes, sizeof realm->bytes, digits);
    for (size_t i = 0; i < DIGIT_COUNT; i++) {
        if (i > 0 && i % DIGITS_PER_GROUP == 0) {
            ret_text[used++] = '-';
        }
        ret_text[used++] = digits[i];
    }
    ret_text[used] = '\0';
}

/* The digits alone, in small letters; false where there are not exactly 32. */
static bool take_digits(const char *text, char digits[DIGIT_COUNT + 1])
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == ' ') {
            continue;
        }
        if (count == DIGIT_COUNT) {
            return false;
        }
        digits[count] = *text;
        if (*text >= 'A' && *text <= 'F') {
            digits[count] = "abcdef"[*text - 'A'];
        }
        count++;
    }
    digits[count] = '\0';
    return count == DIGIT_COUNT;
}

cb_status cb_cli_parse_realm(const char *text, cb_realm_id *ret_realm,
                             cb_error *reterr_error)
{
    char digits[DIGIT_COUNT + 1];
    if (take_digits(text, digits) &&
        cb_hex_parse(digits, ret_realm->bytes, sizeof ret_realm->bytes)) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(reterr_error, CB_INPUT,
                     "the fingerprint of a service has 32 digits, 0 to 9 and "
                     "a to f");
    cb_error_meaning(reterr_error, "nothing was changed");
    cb_error_next(reterr_error,
                  "take it from the hub: casebound hub people shows it");
    return status;
}

bool cb_cli_same_fingerprint(const char *a, const char *b)
{
    char digits_a[DIGIT_COUNT + 1];
    char digits_b[DIGIT_COUNT + 1];
    return take_digits(a, digits_a) && take_digits(b, digits_b) &&
           strcmp(digits_a, digits_b) == 0;
}

cb_status cb_cli_check_name(const char *what, const char *name,
                            cb_error *reterr_error)
{
    cb_buffer clean;
    size_t size = strlen(name);
    if (size > CB_NAME_BYTES_MAX) {
        cb_status status = cb_error_set(reterr_error, CB_LIMIT,
                                        "the %s is longer than %d bytes", what,
                                        CB_NAME_BYTES_MAX);
        cb_error_meaning(reterr_error, "nothing was changed");
        return status;
    }
    cb_buffer_init(&clean, (size_t)CB_NAME_BYTES_MAX * 16);
    cb_cli_clean(&clean, cb_span_of_text(name));
    cb_status status = cb_buffer_check(&clean, reterr_error);
    if (status == CB_OK &&
        (size == 0 || strcmp(cb_buffer_text(&clean), name) != 0)) {
        status = cb_error_set(reterr_error, CB_INPUT,
                              "the %s is empty, or holds more than letters "
                              "and signs",
                              what);
        cb_error_meaning(reterr_error, "nothing was changed");
        cb_error_next(reterr_error, "type it anew, on one line");
    }
    cb_buffer_clear(&clean);
    return status;
}
