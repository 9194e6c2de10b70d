/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an operation ended, and what to tell the person about it.
 *
 * A function that can fail returns a cb_status and takes, last, a
 * `cb_error *reterr_error`, which the caller owns and may leave NULL.  The
 * status decides what a program does; the error holds the three sentences that
 * a person reads: what happened, what it means for the data, what to do next.
 *
 * The first error wins: setting an error that is already set changes nothing,
 * so that the place nearest to the cause has the word.  A layer above may fill
 * in a part that is still empty (the meaning, the next step).
 *
 * Statuses, exit codes and JSON names come from schema/status.def.
 */
#ifndef CASEBOUND_ERROR_H
#define CASEBOUND_ERROR_H

#include <casebound/compiler.h>
#include <stdbool.h>

typedef enum cb_status {
#define CB_STATUS(name, exit_code, json_name, meaning, next) CB_##name,
#include <casebound/status.def>
#undef CB_STATUS
    CB_STATUS_COUNT
} cb_status;

#define CB_ERROR_TEXT_BYTES 320

/* Fixed size, no allocation; a zeroed one is "no error". */
typedef struct cb_error {
    cb_status status;
    char what[CB_ERROR_TEXT_BYTES];
    char meaning[CB_ERROR_TEXT_BYTES];
    char next[CB_ERROR_TEXT_BYTES];
} cb_error;

/* The process exit code documented for a status. */
CB_PUBLIC int cb_status_exit_code(cb_status status);

/* The stable name of a status in JSON, such as "wrong_key". */
CB_PUBLIC const char *cb_status_name(cb_status status);

/* One sentence saying what the status means, without a full stop. */
CB_PUBLIC const char *cb_status_meaning(cb_status status);

/* The next step that fits most cases of this status; may be empty. */
CB_PUBLIC const char *cb_status_next(cb_status status);

/*
 * Sets status and `what` unless an error is set already, and returns the status
 * that `error` then holds (or `status` where error is NULL), so that a failing
 * function can end in `return cb_error_set(...)`.
 */
CB_PUBLIC cb_status cb_error_set(cb_error *error, cb_status status,
                                 const char *format, ...) CB_PRINTF(3, 4);

/* Fills in what it means for the data, or what to do next, if still empty. */
CB_PUBLIC void cb_error_meaning(cb_error *error, const char *format, ...)
    CB_PRINTF(2, 3);
CB_PUBLIC void cb_error_next(cb_error *error, const char *format, ...)
    CB_PRINTF(2, 3);

/* Makes it "no error" again. */
CB_PUBLIC void cb_error_clear(cb_error *error);

/*
 * For our own mistakes only, never for input, disks or peers.  Stays on in
 * release builds: a case book that is wrong about itself must stop.
 */
#define CB_ASSERT(condition) \
    ((condition) ? (void)0   \
                 : cb_assertion_failed(__FILE__, __LINE__, #condition))

CB_PUBLIC _Noreturn void cb_assertion_failed(const char *file, int line,
                                             const char *condition);

#endif
