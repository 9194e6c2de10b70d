/* SPDX-License-Identifier: Apache-2.0 */
#include "case/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first block is small, because most lists of verdicts are. */
#define BLOCK_BYTES_FIRST 1024
#define BLOCK_BYTES_MAX   65536

struct cb_arena_block {
    cb_arena_block *next;
    size_t used;
    size_t size;
    max_align_t bytes[];
};

void *cb_arena_allocate(cb_arena *arena, size_t count, size_t size)
{
    size_t wanted = 0;
    if (arena->failed || !cb_multiply_size(count, size, &wanted) ||
        !cb_add_size(wanted, sizeof(max_align_t), &wanted)) {
        arena->failed = true;
        return NULL;
    }
    wanted -= wanted % sizeof(max_align_t);
    cb_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < wanted) {
        size_t room = block == NULL ? BLOCK_BYTES_FIRST : block->size * 2;
        room = room > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : room;
        room = wanted > room ? wanted : room;
        block = calloc(1, sizeof *block + room);
        if (block == NULL) {
            arena->failed = true;
            return NULL;
        }
        block->size = room;
        arena->size += room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *place = (uint8_t *)block->bytes + block->used;
    block->used += wanted;
    return place;
}

/* Most texts are short, and formatting twice to learn that cost a tenth. */
#define SHORT_TEXT_BYTES 512

const char *cb_arena_format(cb_arena *arena, const char *format, ...)
{
    char brief[SHORT_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(brief, sizeof brief, format, arguments);
    va_end(arguments);
    char *text = NULL;
    if (length >= 0) {
        text = cb_arena_allocate(arena, (size_t)length + 1, 1);
    }
    if (text != NULL && (size_t)length < sizeof brief) {
        memcpy(text, brief, (size_t)length + 1);
    } else if (text != NULL) {
        (void)vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    return text != NULL ? text : "";
}

const char *cb_arena_hex(cb_arena *arena, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    char *text = cb_arena_allocate(arena, 2 * size + 1, 1);
    for (size_t i = 0; i < size && text != NULL; i++) {
        text[2 * i] = digits[from[i] >> 4];
        text[2 * i + 1] = digits[from[i] & 15];
    }
    return text != NULL ? text : "";
}

void cb_arena_clear(cb_arena *arena)
{
    cb_arena_block *block = arena->blocks;
    while (block != NULL) {
        cb_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->size = 0;
    arena->failed = false;
}

cb_status cb_arena_check(const cb_arena *arena, cb_error *reterr_error)
{
    if (arena->failed) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    return CB_OK;
}

void *cb_arena_grow(cb_arena *arena, void *items, size_t count,
                    size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    size_t more = *capacity == 0 ? 8 : *capacity * 2;
    void *bigger = cb_arena_allocate(arena, more, size);
    if (bigger != NULL) {
        if (count > 0) {
            memcpy(bigger, items, count * size);
        }
        *capacity = more;
    }
    return bigger;
}
