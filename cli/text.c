/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* Not a character: what decode gives for bytes that are not UTF-8. */
#define NOT_UTF8 UINT32_MAX

typedef struct character_range {
    uint32_t first;
    uint32_t last;
} character_range;

/* What must not reach a terminal from a text.  Sorted. */
static const character_range hidden[] = {
    { 0x0000, 0x001F }, { 0x007F, 0x009F }, { 0x061C, 0x061C },
    { 0x200E, 0x200F }, { 0x2028, 0x202E }, { 0x2066, 0x206F },
    { 0xFEFF, 0xFEFF }, { 0xFFF9, 0xFFFB }, { 0xE0000, 0xE007F },
};

/* Marks that take no column of their own (Unicode 15: Mn and Me of the scripts
   up to Tibetan, joiners, variation selectors). */
static const character_range zero_width[] = {
    { 0x0300, 0x036F }, { 0x0483, 0x0489 },   { 0x0591, 0x05BD },
    { 0x05BF, 0x05BF }, { 0x05C1, 0x05C2 },   { 0x05C4, 0x05C5 },
    { 0x05C7, 0x05C7 }, { 0x0610, 0x061A },   { 0x064B, 0x065F },
    { 0x0670, 0x0670 }, { 0x06D6, 0x06DC },   { 0x06DF, 0x06E4 },
    { 0x06E7, 0x06E8 }, { 0x06EA, 0x06ED },   { 0x0711, 0x0711 },
    { 0x0730, 0x074A }, { 0x07A6, 0x07B0 },   { 0x07EB, 0x07F3 },
    { 0x07FD, 0x07FD }, { 0x0816, 0x0819 },   { 0x081B, 0x0823 },
    { 0x0825, 0x0827 }, { 0x0829, 0x082D },   { 0x0859, 0x085B },
    { 0x0898, 0x089F }, { 0x08CA, 0x08E1 },   { 0x08E3, 0x0902 },
    { 0x093A, 0x093A }, { 0x093C, 0x093C },   { 0x0941, 0x0948 },
    { 0x094D, 0x094D }, { 0x0951, 0x0957 },   { 0x0962, 0x0963 },
    { 0x0981, 0x0981 }, { 0x09BC, 0x09BC },   { 0x09C1, 0x09C4 },
    { 0x09CD, 0x09CD }, { 0x09E2, 0x09E3 },   { 0x09FE, 0x09FE },
    { 0x0A01, 0x0A02 }, { 0x0A3C, 0x0A3C },   { 0x0A41, 0x0A42 },
    { 0x0A47, 0x0A48 }, { 0x0A4B, 0x0A4D },   { 0x0A51, 0x0A51 },
    { 0x0A70, 0x0A71 }, { 0x0A75, 0x0A75 },   { 0x0A81, 0x0A82 },
    { 0x0ABC, 0x0ABC }, { 0x0AC1, 0x0AC5 },   { 0x0AC7, 0x0AC8 },
    { 0x0ACD, 0x0ACD }, { 0x0AE2, 0x0AE3 },   { 0x0AFA, 0x0AFF },
    { 0x0B01, 0x0B01 }, { 0x0B3C, 0x0B3C },   { 0x0B3F, 0x0B3F },
    { 0x0B41, 0x0B44 }, { 0x0B4D, 0x0B4D },   { 0x0B55, 0x0B56 },
    { 0x0B62, 0x0B63 }, { 0x0B82, 0x0B82 },   { 0x0BC0, 0x0BC0 },
    { 0x0BCD, 0x0BCD }, { 0x0C00, 0x0C00 },   { 0x0C04, 0x0C04 },
    { 0x0C3C, 0x0C3C }, { 0x0C3E, 0x0C40 },   { 0x0C46, 0x0C48 },
    { 0x0C4A, 0x0C4D }, { 0x0C55, 0x0C56 },   { 0x0C62, 0x0C63 },
    { 0x0C81, 0x0C81 }, { 0x0CBC, 0x0CBC },   { 0x0CBF, 0x0CBF },
    { 0x0CC6, 0x0CC6 }, { 0x0CCC, 0x0CCD },   { 0x0CE2, 0x0CE3 },
    { 0x0D00, 0x0D01 }, { 0x0D3B, 0x0D3C },   { 0x0D41, 0x0D44 },
    { 0x0D4D, 0x0D4D }, { 0x0D62, 0x0D63 },   { 0x0D81, 0x0D81 },
    { 0x0DCA, 0x0DCA }, { 0x0DD2, 0x0DD4 },   { 0x0DD6, 0x0DD6 },
    { 0x0E31, 0x0E31 }, { 0x0E34, 0x0E3A },   { 0x0E47, 0x0E4E },
    { 0x0EB1, 0x0EB1 }, { 0x0EB4, 0x0EBC },   { 0x0EC8, 0x0ECD },
    { 0x0F18, 0x0F19 }, { 0x0F35, 0x0F35 },   { 0x0F37, 0x0F37 },
    { 0x0F39, 0x0F39 }, { 0x0F71, 0x0F7E },   { 0x0F80, 0x0F84 },
    { 0x0F86, 0x0F87 }, { 0x0F8D, 0x0F97 },   { 0x0F99, 0x0FBC },
    { 0x0FC6, 0x0FC6 }, { 0x1AB0, 0x1ACE },   { 0x1DC0, 0x1DFF },
    { 0x200B, 0x200D }, { 0x2060, 0x2064 },   { 0x20D0, 0x20F0 },
    { 0x302A, 0x302D }, { 0x3099, 0x309A },   { 0xFE00, 0xFE0F },
    { 0xFE20, 0xFE2F }, { 0xE0100, 0xE01EF },
};

/* East Asian Width W and F, joined over gaps. */
static const character_range double_width[] = {
    { 0x1100, 0x115F },   { 0x231A, 0x231B },   { 0x2329, 0x232A },
    { 0x23E9, 0x23EC },   { 0x23F0, 0x23F0 },   { 0x23F3, 0x23F3 },
    { 0x25FD, 0x25FE },   { 0x2614, 0x2615 },   { 0x2648, 0x2653 },
    { 0x267F, 0x267F },   { 0x2693, 0x2693 },   { 0x26A1, 0x26A1 },
    { 0x26AA, 0x26AB },   { 0x26BD, 0x26BE },   { 0x26C4, 0x26C5 },
    { 0x26CE, 0x26CE },   { 0x26D4, 0x26D4 },   { 0x26EA, 0x26EA },
    { 0x26F2, 0x26F3 },   { 0x26F5, 0x26F5 },   { 0x26FA, 0x26FA },
    { 0x26FD, 0x26FD },   { 0x2705, 0x2705 },   { 0x270A, 0x270B },
    { 0x2728, 0x2728 },   { 0x274C, 0x274C },   { 0x274E, 0x274E },
    { 0x2753, 0x2755 },   { 0x2757, 0x2757 },   { 0x2795, 0x2797 },
    { 0x27B0, 0x27B0 },   { 0x27BF, 0x27BF },   { 0x2B1B, 0x2B1C },
    { 0x2B50, 0x2B50 },   { 0x2B55, 0x2B55 },   { 0x2E80, 0x303E },
    { 0x3041, 0x4DBF },   { 0x4E00, 0xA4CF },   { 0xA960, 0xA97F },
    { 0xAC00, 0xD7A3 },   { 0xF900, 0xFAFF },   { 0xFE30, 0xFE6F },
    { 0xFF01, 0xFF60 },   { 0xFFE0, 0xFFE6 },   { 0x16FE0, 0x18AFF },
    { 0x1B000, 0x1B2FF }, { 0x1F004, 0x1F004 }, { 0x1F0CF, 0x1F0CF },
    { 0x1F18E, 0x1F18E }, { 0x1F191, 0x1F19A }, { 0x1F200, 0x1F320 },
    { 0x1F32D, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F7E0, 0x1F7EB },
    { 0x1F900, 0x1F9FF }, { 0x1FA70, 0x1FAFF }, { 0x20000, 0x3FFFD },
};

static bool is_in(const character_range *ranges, size_t count,
                  uint32_t character)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (character > ranges[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && character >= ranges[low].first;
}

#define IS_IN(ranges, character) \
    is_in((ranges), sizeof(ranges) / sizeof((ranges)[0]), (character))

/*
 * The character at the start of a text that is not empty, and its bytes.  One
 * byte at a time where they are not UTF-8 (overlong forms, surrogates and
 * values past U+10FFFF included).
 */
static uint32_t decode(cb_span text, size_t *ret_size)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t first = text.bytes[0];
    uint32_t character = 0;
    size_t size = 0;
    *ret_size = 1;
    if (first < 0x80) {
        return first;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        size = 2;
        character = first & 0x1FU;
    } else if (first >= 0xE0 && first <= 0xEF) {
        size = 3;
        character = first & 0x0FU;
    } else if (first >= 0xF0 && first <= 0xF4) {
        size = 4;
        character = first & 0x07U;
    } else {
        return NOT_UTF8;
    }
    if (text.size < size) {
        return NOT_UTF8;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text.bytes[i] & 0xC0U) != 0x80) {
            return NOT_UTF8;
        }
        character = character << 6 | (text.bytes[i] & 0x3FU);
    }
    if (character < least[size] || character > 0x10FFFF ||
        (character >= 0xD800 && character <= 0xDFFF)) {
        return NOT_UTF8;
    }
    *ret_size = size;
    return character;
}

static cb_span rest_of(cb_span text, size_t offset)
{
    return (cb_span){ text.bytes + offset, text.size - offset };
}

/* Appends the character at the start of a text, clean; returns its bytes. */
static size_t clean_one(cb_buffer *out, cb_span text)
{
    size_t size = 0;
    uint32_t character = decode(text, &size);
    if (character == NOT_UTF8) {
        cb_buffer_append_text(out, REPLACEMENT);
    } else if (character == '\n' || character == '\t') {
        cb_buffer_append_text(out, " ");
    } else if (IS_IN(hidden, character)) {
        cb_buffer_append_format(out, "<U+%04X>", (unsigned)character);
    } else {
        cb_buffer_append(out, text.bytes, size);
    }
    return size;
}

/* Bytes of the line break at the start of a text, or 0. */
static size_t line_break(cb_span text)
{
    if (text.size > 0 && text.bytes[0] == '\n') {
        return 1;
    }
    if (text.size > 1 && text.bytes[0] == '\r' && text.bytes[1] == '\n') {
        return 2;
    }
    return 0;
}

void cb_cli_clean(cb_buffer *out, cb_span text)
{
    size_t offset = 0;
    while (offset < text.size) {
        size_t size = line_break(rest_of(text, offset));
        if (size > 0) {
            cb_buffer_append_text(out, " ");
            offset += size;
        } else {
            offset += clean_one(out, rest_of(text, offset));
        }
    }
}

void cb_cli_clean_lines(cb_buffer *out, cb_span text, size_t indent)
{
    size_t offset = 0;
    while (offset < text.size) {
        size_t size = line_break(rest_of(text, offset));
        if (size == 0) {
            offset += clean_one(out, rest_of(text, offset));
            continue;
        }
        cb_buffer_append_text(out, "\n");
        for (size_t i = 0; i < indent; i++) {
            cb_buffer_append_text(out, " ");
        }
        offset += size;
    }
}

/* Whether a spreadsheet would calculate instead of showing. */
static bool leads_into_formula(cb_span text)
{
    size_t offset = 0;
    size_t size = 0;
    if (text.size > 0 && (text.bytes[0] == '\t' || text.bytes[0] == '\r' ||
                          text.bytes[0] == '\n')) {
        return true;
    }
    while (offset < text.size && text.bytes[offset] == ' ') {
        offset++;
    }
    if (offset == text.size) {
        return false;
    }
    switch (decode(rest_of(text, offset), &size)) {
    case '=':
    case '+':
    case '-':
    case '@':
    case 0x2212: /* minus sign, and the full-width forms of the four */
    case 0xFF1D:
    case 0xFF0B:
    case 0xFF0D:
    case 0xFF20: return true;
    default: return false;
    }
}

void cb_cli_clean_csv(cb_buffer *out, cb_span text)
{
    size_t offset = 0;
    cb_buffer_append_text(out, leads_into_formula(text) ? "\"'" : "\"");
    while (offset < text.size) {
        size_t size = line_break(rest_of(text, offset));
        if (size > 0) {
            cb_buffer_append_text(out, "\n");
        } else if (text.bytes[offset] == '"') {
            cb_buffer_append_text(out, "\"\"");
            size = 1;
        } else {
            size = clean_one(out, rest_of(text, offset));
        }
        offset += size;
    }
    cb_buffer_append_text(out, "\"");
}

static size_t character_width(uint32_t character)
{
    if (character == NOT_UTF8) {
        return 1;
    }
    if (IS_IN(zero_width, character)) {
        return 0;
    }
    return IS_IN(double_width, character) ? 2 : 1;
}

size_t cb_cli_text_fit(cb_span text, size_t columns)
{
    size_t offset = 0;
    size_t width = 0;
    while (offset < text.size) {
        size_t size = 0;
        width += character_width(decode(rest_of(text, offset), &size));
        if (width > columns) {
            break;
        }
        offset += size;
    }
    return offset;
}

size_t cb_cli_text_width(cb_span text)
{
    size_t width = 0;
    size_t size = 0;
    for (size_t offset = 0; offset < text.size; offset += size) {
        width += character_width(decode(rest_of(text, offset), &size));
    }
    return width;
}

size_t cb_cli_character_count(cb_span text)
{
    size_t count = 0;
    size_t size = 0;
    for (size_t offset = 0; offset < text.size; offset += size) {
        (void)decode(rest_of(text, offset), &size);
        count++;
    }
    return count;
}

void cb_cli_wrap(cb_buffer *out, cb_span text, size_t start, size_t indent,
                 size_t columns)
{
    size_t column = start;
    size_t offset = 0;
    bool is_first = true;
    while (offset < text.size) {
        const uint8_t *space =
            memchr(text.bytes + offset, ' ', text.size - offset);
        size_t end = space == NULL ? text.size : (size_t)(space - text.bytes);
        cb_span word = { text.bytes + offset, end - offset };
        size_t width = cb_cli_text_width(word);
        offset = end + 1;
        if (word.size == 0) {
            continue;
        }
        if (!is_first && column + 1 + width > columns) {
            cb_buffer_append_text(out, "\n");
            for (size_t i = 0; i < indent; i++) {
                cb_buffer_append_text(out, " ");
            }
            column = indent;
        } else if (!is_first) {
            cb_buffer_append_text(out, " ");
            column++;
        }
        cb_buffer_append_span(out, word);
        column += width;
        is_first = false;
    }
}
