/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory there is: the real machine's answer. */
#ifndef CASEBOUND_BASE_MEMORY_H
#define CASEBOUND_BASE_MEMORY_H

#include <casebound/environment.h>

/* find_memory of cb_environment_system(). */
void cb_system_find_memory(void *context, cb_memory *ret_memory);

#endif
