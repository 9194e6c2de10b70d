/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/decimal.h"

#include <string.h>

bool cb_decimal_parse(cb_span text, uint64_t value_max, uint64_t *ret_value)
{
    if (text.size == 0 || (text.size > 1 && text.bytes[0] == '0')) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
        const uint64_t digit = (uint64_t)text.bytes[i] - '0';
        if (digit > value_max || value > (value_max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool cb_text_split(cb_span *rest, char separator, cb_span *ret_part)
{
    const uint8_t *end =
        rest->size == 0 ? NULL : memchr(rest->bytes, separator, rest->size);
    if (end == NULL) {
        return false;
    }
    const size_t size = (size_t)(end - rest->bytes);
    *ret_part = (cb_span){ .bytes = rest->bytes, .size = size };
    rest->bytes = end + 1;
    rest->size -= size + 1;
    return true;
}
