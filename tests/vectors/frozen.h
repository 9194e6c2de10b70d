/* SPDX-License-Identifier: Apache-2.0 */
/* What a frozen store has to show for ever, as text. */
#ifndef CASEBOUND_TESTS_VECTORS_FROZEN_H
#define CASEBOUND_TESTS_VECTORS_FROZEN_H

#include <casebound/store.h>

#define FROZEN_TEXT_BYTES_MAX 16384

/*
 * Counts of entries by their state and of what waits, the head of the own
 * stream, and of each case its reference, fingerprint and state in words.
 */
void frozen_describe(cb_store *store, cb_buffer *text);

#endif
