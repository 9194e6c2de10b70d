/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of JSON values.
 *
 * Two things are wrong with malloc and free here.  A JSON text may hold keys
 * (a keyring message, the seed of a device), and free leaves them lying where
 * the next owner of the block, a core or a swap file finds them.  And building
 * a value takes dozens of calls that each can fail; Jansson then leaves out a
 * member and says so in a result that hardly anybody can act on.  So a block is
 * zeroed before it is freed, and a failure is counted: who is about to make
 * something last asks whether anything went missing on the way (see
 * cb_store_commit), instead of every line that sets a member.
 *
 * The count is the one mutable variable of the library beside the pointers
 * that Jansson keeps: json_set_alloc_funcs gives its functions no context.  It
 * belongs to the thread, as a handle of the store does, so that one thread's
 * failure is not another's.  It only grows; nobody can clear a failure that
 * somebody else has yet to see.
 */
#include "base/json.h"

#include <malloc.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

static _Thread_local uint64_t json_failures;

static void *take(size_t size)
{
    void *block = malloc(size);
    if (block == NULL) {
        json_failures++;
    }
    return block;
}

static void give_back(void *block)
{
    if (block != NULL) {
        /* All of it: Jansson's buffers grow into what malloc rounds up. */
        sodium_memzero(block, malloc_usable_size(block));
        free(block);
    }
}

static void set_functions(void)
{
    json_set_alloc_funcs(take, give_back);
}

void cb_json_prepare(void)
{
    static pthread_once_t json_functions_set = PTHREAD_ONCE_INIT;
    (void)pthread_once(&json_functions_set, set_functions);
}

void cb_json_note_failure(void)
{
    json_failures++;
}

uint64_t cb_json_failures(void)
{
    return json_failures;
}
