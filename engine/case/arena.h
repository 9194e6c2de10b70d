/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that lives exactly as long as the state of a case.  Nothing in it is
 * freed by itself.  A failure sticks: later requests give NULL too, so that one
 * check at the end of a step tells.
 */
#ifndef CASEBOUND_CASE_ARENA_H
#define CASEBOUND_CASE_ARENA_H

#include <casebound/buffer.h>

typedef struct cb_arena_block cb_arena_block;

typedef struct cb_arena {
    cb_arena_block *blocks;
    size_t size; /* of all blocks */
    bool failed;
} cb_arena;

/* Zeroed memory for `count` things, or NULL. */
void *cb_arena_allocate(cb_arena *arena, size_t count, size_t size);

/* A text in the arena, or "" after a failure. */
const char *cb_arena_format(cb_arena *arena, const char *format, ...)
    CB_PRINTF(2, 3);

/* Lower-case hexadecimal digits in the arena, or "" after a failure. */
const char *cb_arena_hex(cb_arena *arena, const void *bytes, size_t size);

void cb_arena_clear(cb_arena *arena);

CB_NODISCARD cb_status cb_arena_check(const cb_arena *arena,
                                      cb_error *reterr_error);

/*
 * Makes room for one more thing in a growing array of the arena: returns the
 * array, moved where it had to grow, or NULL.  `count` is how many there are,
 * *capacity how many fit.  The old array stays behind in the arena.
 */
void *cb_arena_grow(cb_arena *arena, void *items, size_t count,
                    size_t *capacity, size_t size);

#endif
