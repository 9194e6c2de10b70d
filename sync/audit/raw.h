/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository as plain files, before Git has a say.
 *
 * Git can be told to show one thing in place of another; what tells it lies in
 * a few files, and none of them belongs into a log.  Only what is known to be
 * harmless is accepted.
 */
#ifndef CASEBOUND_AUDIT_RAW_H
#define CASEBOUND_AUDIT_RAW_H

#include "audit/report.h"

#define CB_RAW_PATH_BYTES 4096

enum {
    CB_RAW_REFS_MAX = 200000
};

/*
 * The Git folder that `path` means: `path`/log.git, `path`/.git, or `path`.
 * CB_NOT_FOUND, CB_INPUT.
 */
CB_NODISCARD cb_status cb_raw_locate(const char *path,
                                     char git_path[CB_RAW_PATH_BYTES],
                                     cb_error *reterr_error);

/*
 * Reports each such file as GITX.  `ret_prefix` is where the branches of the
 * log are: "refs/heads/", or that of the one remote of a clone.
 */
CB_NODISCARD cb_status cb_raw_check(const char *git_path, cb_report *report,
                                    char ret_prefix[CB_GIT_REF_TEXT_BYTES],
                                    cb_error *reterr_error);

#endif
