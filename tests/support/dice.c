/* SPDX-License-Identifier: Apache-2.0 */
#include "support/dice.h"

struct dice dice_of_seed(uint64_t seed)
{
    struct dice dice = { (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) };
    for (int i = 0; i < 8; i++) {
        (void)roll(&dice, 2);
    }
    return dice;
}

uint64_t roll(struct dice *dice, uint64_t sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return sides == 0 ? 0 : (dice->state >> 11) % sides;
}
