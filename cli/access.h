/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How commands get at the store: the folder, the passphrase, the keyring.
 */
#ifndef CASEBOUND_CLI_ACCESS_H
#define CASEBOUND_CLI_ACCESS_H

#include "command.h"

#include <casebound/store.h>

/* The program's open_store and close_store. */
cb_status cb_cli_open_store(cb_cli_session *session, cb_cli_mode mode);
void cb_cli_close_store(cb_cli_session *session);

/* The open store; asserts that there is one. */
cb_store *cb_cli_store(const cb_cli_session *session);

/*
 * Fills in options for the store's folder.  `folder` holds the text and must
 * outlive them.
 */
CB_NODISCARD cb_status cb_cli_store_options(cb_cli_session *session,
                                            cb_buffer *folder,
                                            cb_store_options *ret_options);

/*
 * Whether there is a store.  CB_NO_STORE, which says so where the database is
 * there and only its unlock.json is missing; CB_DAMAGED, CB_NEWER.
 */
CB_NODISCARD cb_status cb_cli_probe_store(cb_cli_session *session,
                                          const cb_store_options *options);

/*
 * Warns where what is in memory may end up readable on a disk: for the commands
 * with which a person begins.
 */
void cb_cli_warn_of_swap(cb_cli_session *session);

/* Reads a whole file of at most size_max bytes; the subject is for messages. */
CB_NODISCARD cb_status cb_cli_read_file(cb_cli_session *session,
                                        const char *subject, const char *path,
                                        cb_buffer *content);

/*
 * Writes a result to the file of option `o`, or to the output where it was not
 * given; says so.
 */
CB_NODISCARD cb_status cb_cli_write_result(cb_cli_session *session,
                                           const char *what, cb_span content);

#endif
