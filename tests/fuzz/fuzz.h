/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzzer is made of: LLVMFuzzerTestOneInput, as libFuzzer calls it, and
 * seeds, so that replay.c can do some of the work where there is no libFuzzer.
 */
#ifndef CASEBOUND_TESTS_FUZZ_H
#define CASEBOUND_TESTS_FUZZ_H

#include <casebound/buffer.h>

#define FUZZ_INPUT_BYTES_MAX 70000

/* Appends the seed of that number; false where there are no more. */
bool fuzz_seed(unsigned number, cb_buffer *seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
