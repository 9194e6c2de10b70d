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

/* Makes a mail commit, and pushes it to `ref` in place of what is there. */
CB_NODISCARD cb_status cb_mail_post(cb_store *store,
                                    cb_git_repository *repository,
                                    const cb_transport *transport,
                                    const char *ref, cb_span message,
                                    cb_error *reterr_error);

/* A version above `last`, also after a backup was restored. */
uint64_t cb_mail_next_version(const cb_store *store, uint64_t last);

#endif
