/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few words of the compiler that the other headers use.
 */
#ifndef CASEBOUND_COMPILER_H
#define CASEBOUND_COMPILER_H

#define CB_PUBLIC    __attribute__((visibility("default")))
#define CB_NODISCARD __attribute__((warn_unused_result))
#define CB_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

#endif
