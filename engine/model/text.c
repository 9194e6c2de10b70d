/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include <string.h>

/* Length of the UTF-8 sequence at `bytes`, 0 where it is not one. */
static size_t decode(const uint8_t *bytes, size_t size, uint32_t *ret_point)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t lead = bytes[0];
    size_t length = lead < 0x80             ? 1
                    : (lead & 0xe0) == 0xc0 ? 2
                    : (lead & 0xf0) == 0xe0 ? 3
                    : (lead & 0xf8) == 0xf0 ? 4
                                            : 0;
    if (length == 0 || length > size) {
        return 0;
    }
    uint32_t point = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (bytes[i] & 0x3fu);
    }
    if (length > 1 && point < smallest[length]) {
        return 0;
    }
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        return 0;
    }
    *ret_point = point;
    return length;
}

cb_text_fault cb_text_check(const char *text, size_t size, bool line_feeds)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0;
    while (at < size) {
        uint32_t point = 0;
        size_t length = decode(bytes + at, size - at, &point);
        if (length == 0) {
            return CB_TEXT_NOT_UTF8;
        }
        bool breaks = point == '\n' || point == '\t';
        bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        bool separator = point == 0x2028 || point == 0x2029;
        if ((control && !(breaks && line_feeds)) ||
            (separator && !line_feeds)) {
            return CB_TEXT_CONTROL;
        }
        at += length;
    }
    return CB_TEXT_GOOD;
}

bool cb_model_is_name(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > CB_MODEL_NAME_BYTES_MAX) {
        return false;
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_") == size;
}

/* Locale-free, for names and codes are ASCII. */
static char fold(char letter)
{
    if (letter >= 'A' && letter <= 'Z') {
        return (char)(letter - 'A' + 'a');
    }
    return letter == ' ' || letter == '-' ? '_' : letter;
}

bool cb_words_equal(const char *a, const char *b)
{
    while (*a != '\0' && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Longer names differ beyond interest after this many letters. */
#define LETTERS_MAX 64

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

unsigned cb_words_distance(const char *a, const char *b)
{
    unsigned row[LETTERS_MAX + 1];
    size_t a_size = strnlen(a, LETTERS_MAX);
    size_t b_size = strnlen(b, LETTERS_MAX);
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned above = row[j];
            unsigned change = fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1;
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + change);
            diagonal = above;
        }
    }
    return row[b_size];
}

static bool begins(const char *whole, const char *start)
{
    while (*start != '\0' && fold(*whole) == fold(*start)) {
        whole++;
        start++;
    }
    return *start == '\0';
}

const cb_code *cb_code_list_nearest(const cb_code_list *list, const char *text)
{
    const cb_code *nearest = NULL;
    unsigned limit = (unsigned)(strnlen(text, LETTERS_MAX) / 3);
    unsigned best = (limit > 2 ? limit : 2) + 1;
    for (size_t i = 0; i < list->count; i++) {
        const cb_code *code = &list->codes[i];
        unsigned distance = cb_words_distance(code->code, text);
        unsigned title = cb_words_distance(code->title, text);
        if (title < distance) {
            distance = title;
        }
        if (distance > 1 && strlen(text) >= 3 &&
            (begins(code->code, text) || begins(code->title, text))) {
            distance = 1;
        }
        if (distance < best) {
            best = distance;
            nearest = code;
        }
    }
    return nearest;
}
