/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASEBOUND_BASE_JSON_H
#define CASEBOUND_BASE_JSON_H

#include <casebound/json.h>

/* Counts an allocation that failed for something else that is built piece by
 * piece, such as a buffer; see cb_json_failures. */
void cb_json_note_failure(void);

#endif
