/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory, as a SQLite VFS, that loses its power.
 *
 * What has not been synced is kept as a list of changes for each file, and of
 * names for the folder.  At a cut some of it survives: of each file nothing,
 * everything, the oldest changes with the next one torn, any subset of the
 * changes, or any subset of the 512-byte sectors of any change; of the names
 * the oldest changes.  A sync of any file makes all names durable that were
 * changed before it, as file systems with a journal do and as SQLite relies on.
 *
 * One connection at a time: locks are always granted.
 */
#ifndef CASEBOUND_TESTS_POWER_CUT_VFS_H
#define CASEBOUND_TESTS_POWER_CUT_VFS_H

#include "support/dice.h"

#include <sqlite3.h>
#include <stdbool.h>

#define POWER_CUT_VFS "power-cut"

/* Registers the VFS over an empty disk.  Aborts where it cannot. */
void power_cut_begin(void);
void power_cut_end(void);

/* The power fails at this many changes, syncs and names from now; 0: never. */
void power_cut_arm(uint64_t operations);
bool power_cut_happened(void);

/* What was changed, synced or named since the disk was made. */
uint64_t power_cut_operations(void);

/*
 * The power fails now if it has not, and comes back: the disk holds what
 * survived.  Every connection must be closed.
 */
void power_cut_restore(struct dice *dice);

/* A drive that says of each sync that it was done, and does nothing. */
void power_cut_lie(bool lies);

#endif
