/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers in signed or hashed text have exactly one spelling: decimal digits,
 * no sign, no space, no leading zero.  A second spelling would be a second text
 * for the same thing.
 */
#ifndef CASEBOUND_PROOF_DECIMAL_H
#define CASEBOUND_PROOF_DECIMAL_H

#include <casebound/buffer.h>

/* The whole of `text` as a number of at most `value_max`, or false. */
CB_NODISCARD bool cb_decimal_parse(cb_span text, uint64_t value_max,
                                   uint64_t *ret_value);

/*
 * Splits at the first `separator`: what is before it, and what is after it
 * stays in `rest`.  False, and nothing changed, where there is none.
 */
CB_NODISCARD bool cb_text_split(cb_span *rest, char separator,
                                cb_span *ret_part);

#endif
