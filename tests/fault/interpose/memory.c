/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is refused, and the moment from which on it may be. */
#include "fault/interpose/interpose.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own, by names that nothing stands in front of. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

bool interpose_denies_memory(void)
{
    oplog_control *control = interpose_control();
    if (!interpose_is_armed() || control->first_process != (int32_t)getpid()) {
        return false;
    }
    const uint64_t number = atomic_fetch_add(&control->allocations, 1) + 1;
    const uint64_t at = control->allocation_at;
    if (at == 0 || number < at ||
        (number > at && control->allocation_mode == OPLOG_ONCE)) {
        return false;
    }
    atomic_fetch_add(&control->fired, 1);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return interpose_denies_memory() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return interpose_denies_memory() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return interpose_denies_memory() ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return interpose_denies_memory() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    void *block = aligned_alloc(alignment, size);
    if (block == NULL) {
        return ENOMEM;
    }
    *ret_block = block;
    return 0;
}

/* ------------------------------------------------------------------- main */

typedef int program_main(int argc, char **argv, char **environment);
typedef int start_function(program_main *main, int argc, char **argv,
                           void (*init)(void), void (*fini)(void),
                           void (*loader_fini)(void), void *stack_end);

static program_main *the_main;

static int begin_main(int argc, char **argv, char **environment)
{
    interpose_begin();
    const int code = the_main(argc, argv, environment);
    (void)fflush(stdout);
    interpose_end(code);
    return code;
}

int __libc_start_main(program_main *main, int argc, char **argv,
                      void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    union {
        void *found;
        start_function *function;
    } real = { .found = interpose_real("__libc_start_main") };

    the_main = main;
    return real.function(begin_main, argc, argv, init, fini, loader_fini,
                         stack_end);
}
