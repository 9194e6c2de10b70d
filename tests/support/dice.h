/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that look random and are the same in each run. */
#ifndef CASEBOUND_TESTS_DICE_H
#define CASEBOUND_TESTS_DICE_H

#include <stdint.h>

/* Marsaglia's xorshift: a test needs the same numbers, not good ones. */
struct dice {
    uint64_t state;
};

struct dice dice_of_seed(uint64_t seed);

/* Below `sides`; 0 where there are none. */
uint64_t roll(struct dice *dice, uint64_t sides);

#endif
