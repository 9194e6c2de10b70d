/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the encrypting VFS below a whole program that knows nothing of it, such
 * as SQLite's own test suite, by compiling SQLite with
 * -DSQLITE_EXTRA_INIT=casebound_vfs and
 * -DSQLITE_EXTRA_SHUTDOWN=casebound_vfs_end.  The key is fixed and public: for
 * tests only, and no part of the library.
 */
#ifndef CASEBOUND_TESTS_VFS_DEFAULT_H
#define CASEBOUND_TESTS_VFS_DEFAULT_H

/*
 * Makes an instance the default VFS; SQLITE_OK or SQLITE_ERROR.  It stands on
 * "unix", so that several processes can share a file, as the suite does.  The
 * environment variable CASEBOUND_TEST_CIPHER chooses "xchacha20" (when unset)
 * or "aes256".  Two more values are for comparison, with the same program:
 * "none" leaves SQLite as it is, and "reserved" only has it leave the bytes.
 * The argument is SQLite's and not used.
 */
int casebound_vfs(const char *unused);

/* Before SQLite ends: what it allocated for us must be freed by the same. */
void casebound_vfs_end(void);

#endif
