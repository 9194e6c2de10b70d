/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of schema/limits.def as constants: CB_ENTRY_BYTES_MAX and so on.
 */
#ifndef CASEBOUND_LIMITS_H
#define CASEBOUND_LIMITS_H

enum cb_limit {
#define CB_LIMIT(name, value, unit, why) CB_##name = (value),
#include <casebound/limits.def>
#undef CB_LIMIT
};

#endif
