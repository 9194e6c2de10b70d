/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The carrier for a log host that is a folder: of this machine, or mounted.
 *
 * Stock git is started for each conversation, so that hooks run, configuration
 * of the host counts and a ref moves by compare-and-swap; libgit2's own way of
 * reaching a path has none of this and loses what two people push at once.
 *
 * Git refuses a repository that belongs to another user of this machine, for
 * its hooks would run as us.  That refusal is kept: it is CB_PERMISSION.
 */
#ifndef CASEBOUND_GIT_TRANSPORT_PATH_H
#define CASEBOUND_GIT_TRANSPORT_PATH_H

#include "git/transport.h"

/* `folder` is absolute; it need not be there yet. */
CB_NODISCARD cb_status cb_transport_path_create(const char *folder,
                                                cb_transport **ret_transport,
                                                cb_error *reterr_error);

#endif
