/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a store, found out by a process of its own, so that whatever
 * happens there is an answer, too.
 */
#ifndef CASEBOUND_TESTS_INSPECT_H
#define CASEBOUND_TESTS_INSPECT_H

#include <casebound/store.h>

#include <stdbool.h>

typedef struct inspection {
    cb_status status;     /* of opening it */
    bool next_passphrase; /* the second one opens it */
    bool joined;
    bool restored; /* it takes itself for an older copy */
    uint64_t entries;
    unsigned char state[32]; /* hash of every row of every table */
    char problem[400];       /* empty: it opened, or says why not, and all
                                that it holds verifies */
} inspection;

/* `folder` of the store, `home` as the command's. */
void inspect_store(const char *folder, const char *home, int64_t now_ms,
                   inspection *result);

#endif
