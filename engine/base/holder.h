/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a lock on a file: the real machine's answer. */
#ifndef CASEBOUND_BASE_HOLDER_H
#define CASEBOUND_BASE_HOLDER_H

#include <casebound/environment.h>

/* find_holder of cb_environment_system(). */
cb_status cb_system_find_holder(void *context, const char *path, int64_t start,
                                int64_t size, cb_holder *ret_holder);

#endif
