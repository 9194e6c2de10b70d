/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for libgit2, which does not survive without.
 *
 * libgit2 1.5 looks at most of its allocations, but follows null pointers in
 * some that fail (its configuration, its list of references), and where it
 * cannot allocate the place for its error it calls itself without end.  So a
 * small allocation that fails is served from a reserve: libgit2 finishes what
 * it is at, and the next allocation of our own that fails is what ends the
 * command, in order.  What is large, or comes when the reserve is used up, gets
 * nothing, as it would have before.
 *
 * The reserve is static, for nothing can be had when it is needed, and shared,
 * as libgit2's functions have no context; it is the one mutable variable of
 * this library.  It is filled from its start again when nothing of it is in
 * use any more.
 */
#include "git/internal.h"

#include <git2/sys/alloc.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_BYTES   ((size_t)1 << 20)
#define RESERVED_MAX    ((size_t)64 << 10)
#define ALIGNMENT_BYTES 16

static struct {
    _Alignas(ALIGNMENT_BYTES) unsigned char bytes[RESERVE_BYTES];
    _Atomic size_t used;
    _Atomic size_t blocks;
} git_reserve;

/* Before each block, so that it can grow. */
typedef union reserve_head {
    size_t size;
    unsigned char space[ALIGNMENT_BYTES];
} reserve_head;

static bool is_reserved(const void *block)
{
    const uintptr_t place = (uintptr_t)block;
    const uintptr_t start = (uintptr_t)git_reserve.bytes;
    return place >= start && place < start + RESERVE_BYTES;
}

static void *take_reserved(size_t size)
{
    const size_t rounded = (size + sizeof(reserve_head) + ALIGNMENT_BYTES - 1) /
                           ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    if (size > RESERVED_MAX) {
        return NULL;
    }
    const size_t place = atomic_fetch_add(&git_reserve.used, rounded);
    if (place > RESERVE_BYTES - rounded) {
        return NULL;
    }
    (void)atomic_fetch_add(&git_reserve.blocks, 1);
    reserve_head *head = (void *)(git_reserve.bytes + place);
    head->size = size;
    return head + 1;
}

static void *take(size_t size)
{
    void *block = malloc(size == 0 ? 1 : size);
    return block == NULL ? take_reserved(size) : block;
}

static void give_back(void *block)
{
    if (!is_reserved(block)) {
        free(block);
    } else if (atomic_fetch_sub(&git_reserve.blocks, 1) == 1) {
        atomic_store(&git_reserve.used, 0);
    }
}

static void *resize(void *block, size_t size)
{
    if (block != NULL && !is_reserved(block)) {
        void *same = realloc(block, size == 0 ? 1 : size);
        if (same != NULL) {
            return same;
        }
    }
    void *fresh = take(size);
    if (fresh != NULL && block != NULL) {
        const size_t before = is_reserved(block)
                                  ? ((reserve_head *)block - 1)->size
                                  : malloc_usable_size(block);
        memcpy(fresh, block, before < size ? before : size);
        give_back(block);
    }
    return fresh;
}

static bool is_too_much(size_t count, size_t size, size_t *ret_total)
{
    return __builtin_mul_overflow(count, size, ret_total);
}

/* ---- as libgit2 calls them, with its own place in its sources */

static void *git_take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return take(size);
}

static void *git_take_zeroed(size_t count, size_t size, const char *file,
                             int line)
{
    size_t total = 0;
    (void)file;
    (void)line;
    void *block = is_too_much(count, size, &total) ? NULL : take(total);
    return block == NULL ? NULL : memset(block, 0, total);
}

static char *git_take_part(const char *text, size_t size, const char *file,
                           int line)
{
    (void)file;
    (void)line;
    char *copy = size == SIZE_MAX ? NULL : take(size + 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

static char *git_take_text(const char *text, const char *file, int line)
{
    return git_take_part(text, strlen(text), file, line);
}

static char *git_take_start(const char *text, size_t size_max, const char *file,
                            int line)
{
    return git_take_part(text, strnlen(text, size_max), file, line);
}

static void *git_resize(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return resize(block, size);
}

static void *git_resize_array(void *block, size_t count, size_t size,
                              const char *file, int line)
{
    size_t total = 0;
    (void)file;
    (void)line;
    return is_too_much(count, size, &total) ? NULL : resize(block, total);
}

static void *git_take_array(size_t count, size_t size, const char *file,
                            int line)
{
    return git_resize_array(NULL, count, size, file, line);
}

int cb_git_set_memory(void)
{
    git_allocator functions = {
        .gmalloc = git_take,
        .gcalloc = git_take_zeroed,
        .gstrdup = git_take_text,
        .gstrndup = git_take_start,
        .gsubstrdup = git_take_part,
        .grealloc = git_resize,
        .greallocarray = git_resize_array,
        .gmallocarray = git_take_array,
        .gfree = give_back,
    };

    return git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, &functions);
}
