/* SPDX-License-Identifier: Apache-2.0 */
/* The refs of a repository as plain files: see raw.h. */
#ifndef CASEBOUND_AUDIT_RAW_REFS_H
#define CASEBOUND_AUDIT_RAW_REFS_H

#include "audit/raw.h"

CB_NODISCARD cb_status cb_raw_refs_check(const char *git_path,
                                         cb_report *report,
                                         char ret_prefix[CB_GIT_REF_TEXT_BYTES],
                                         cb_error *reterr_error);

#endif
