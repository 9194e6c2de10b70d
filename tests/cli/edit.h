/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody who has a store's key can do to its tables.
 *
 *     CASEBOUND_TEST_SQL   statements to run in the store CASEBOUND_STORE,
 *                          with the passphrase on descriptor 9, instead of
 *                          any command
 */
#ifndef CASEBOUND_TESTS_CLI_EDIT_H
#define CASEBOUND_TESTS_CLI_EDIT_H

/* The exit code. */
int test_edit_store(const char *folder, const char *sql);

#endif
