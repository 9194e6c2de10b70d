/* SPDX-License-Identifier: Apache-2.0 */
/* What `sync` and `hub merge` share. */
#ifndef CASEBOUND_CLI_CARRY_H
#define CASEBOUND_CLI_CARRY_H

#include <casebound/sync.h>

#include "progress.h"

/* Progress of a step that takes long, on the terminal; and the interrupt. */
typedef struct cb_cli_carry {
    const cb_cli_session *session;
    cb_cli_progress line;
    const char *phase; /* borrowed from the caller of step; NULL: none yet */
    cb_sync_progress progress;
} cb_cli_carry;

/* Borrows `carry` for as long as carry->progress is used. */
void cb_cli_carry_begin(cb_cli_carry *carry, const cb_cli_session *session);
void cb_cli_carry_end(cb_cli_carry *carry);

/* "1 entry", "3 entries": into `text`, which is returned. */
#define CB_CLI_COUNT_BYTES 64
const char *cb_cli_count(char text[CB_CLI_COUNT_BYTES], uint64_t count,
                         const char *one, const char *many);

/* Open conflicts in all cases of the store. */
CB_NODISCARD cb_status cb_cli_open_conflicts(cb_store *store, size_t *ret_count,
                                             cb_error *reterr_error);

#endif
