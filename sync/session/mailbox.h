/* SPDX-License-Identifier: Apache-2.0 */
/* One mail commit: what a device and the hub have in common about it. */
#ifndef CASEBOUND_SESSION_MAILBOX_H
#define CASEBOUND_SESSION_MAILBOX_H

#include "session/place.h"

#define CB_KEYS_FILE "keys"

/* Reads the one file of a mail commit that this key signed. */
CB_NODISCARD cb_status cb_mail_read(const cb_git_repository *repository,
                                    const cb_git_oid *oid,
                                    const uint8_t *public_key,
                                    cb_buffer *message, cb_error *reterr_error);

/* Makes a mail commit, and pushes it to `ref` in place of what is there.  Under
 * `mark` the store remembers it: see cb_mail_lies_there. */
CB_NODISCARD cb_status cb_mail_post(cb_store *store,
                                    cb_git_repository *repository,
                                    const cb_transport *transport,
                                    const char *ref, const char *mark,
                                    cb_span message, cb_error *reterr_error);

/*
 * Whether `remote`, NULL for none, is what was posted last: whoever may write
 * to the log host may put something else in its place, and keys that nobody
 * gets would keep entries waiting for ever.
 */
CB_NODISCARD cb_status cb_mail_lies_there(cb_store *store, const char *mark,
                                          const cb_git_oid *remote,
                                          bool *ret_lies_there,
                                          cb_error *reterr_error);

/* A version above `last`, also after a backup was restored. */
uint64_t cb_mail_next_version(const cb_store *store, uint64_t last);

#endif
