/* SPDX-License-Identifier: Apache-2.0 */
/* What the receiving hooks of log.git and mail.git have in common. */
#ifndef CASEBOUND_HUB_CHECK_H
#define CASEBOUND_HUB_CHECK_H

#include "git/object.h"
#include "hub/realm_file.h"
#include "session/place.h"

/* The key that a commit says it is signed with; to be verified with it. */
CB_NODISCARD bool cb_commit_signer(const cb_git_commit *commit,
                                   uint8_t *ret_key);

/*
 * One ref of mail.git, to name `oid` from now on: a mail commit of that
 * direction and device.  CB_REFUSED, CB_DAMAGED, CB_LIMIT.
 */
CB_NODISCARD cb_status cb_mail_commit_check(const cb_git_repository *repository,
                                            const cb_realm_file *realm,
                                            const cb_git_oid *oid, bool is_down,
                                            const cb_device_id *device,
                                            cb_error *reterr_error);

#endif
