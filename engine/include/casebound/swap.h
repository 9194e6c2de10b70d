/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what a program has in memory may end up readable on a disk.
 *
 * Keys lie in memory that is locked where the machine allows it, but what is
 * on the screen, in an editor or in SQLite's cache is ordinary memory, and the
 * kernel may move it to swap.  That does no harm where swap is encrypted
 * (dm-crypt anywhere below it) or is compressed memory without a disk behind it
 * (zram).
 */
#ifndef CASEBOUND_SWAP_H
#define CASEBOUND_SWAP_H

#include <casebound/compiler.h>

#define CB_SWAP_NAME_BYTES 256

/* From the best to the worst. */
typedef enum cb_swap_kind {
    CB_SWAP_NONE,    /* there is none */
    CB_SWAP_SAFE,    /* all of it is encrypted, or memory */
    CB_SWAP_UNKNOWN, /* what lies below some of it cannot be told */
    CB_SWAP_PLAIN    /* some of it lies on a disk as it is */
} cb_swap_kind;

typedef struct cb_swap {
    cb_swap_kind kind;
    char name[CB_SWAP_NAME_BYTES]; /* of the first area of that kind, or "" */
} cb_swap;

/*
 * Looks at the machine.  `root` is the folder in which "proc", "sys" and "dev"
 * lie: "" but for tests.  Cannot fail: what cannot be read is not known.
 */
CB_PUBLIC void cb_swap_look(const char *root, cb_swap *ret_swap);

#endif
