/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line on the terminal while something takes long: after the first second,
 * at most ten times a second, gone at the end.  Nothing where the error stream
 * is no terminal, and nothing with -q or --json.
 */
#ifndef CASEBOUND_CLI_PROGRESS_H
#define CASEBOUND_CLI_PROGRESS_H

#include "command.h"

typedef struct cb_cli_progress {
    const cb_cli_session *session;
    const char *phase; /* "sending", borrowed */
    const char *unit;  /* "entries", borrowed */
    uint64_t total;    /* 0 where it is not known */
    int64_t begin_ms;
    int64_t drawn_ms;
    bool is_shown;
    bool is_drawn;
} cb_cli_progress;

void cb_cli_progress_begin(cb_cli_progress *progress,
                           const cb_cli_session *session, const char *phase,
                           const char *unit, uint64_t total);

/* How many are done, and the bytes that went by (0: not told). */
void cb_cli_progress_update(cb_cli_progress *progress, uint64_t done,
                            uint64_t bytes);

/* Takes the line away.  May be called twice. */
void cb_cli_progress_end(cb_cli_progress *progress);

#endif
