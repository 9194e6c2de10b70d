/* SPDX-License-Identifier: Apache-2.0 */
/* A service's id in the form that people read to each other. */
#ifndef CASEBOUND_CLI_FINGERPRINT_H
#define CASEBOUND_CLI_FINGERPRINT_H

#include <casebound/enrolment.h>

/* "4f1c-77a0-...": the 16 bytes in groups of four digits. */
void cb_cli_realm_fingerprint(const cb_realm_id *realm,
                              char ret_text[CB_FINGERPRINT_TEXT_BYTES]);

/* Reads it back, with or without dashes, in letters of either case. */
CB_NODISCARD cb_status cb_cli_parse_realm(const char *text,
                                          cb_realm_id *ret_realm,
                                          cb_error *reterr_error);

/* Whether two fingerprints as typed are the same, dashes and case aside. */
bool cb_cli_same_fingerprint(const char *a, const char *b);

/*
 * CB_INPUT for a name that would be changed when it is shown, because it holds
 * something that steers a terminal or turns a line round: it is signed, and
 * has to read the same everywhere.  `what` such as "name of the service".
 */
CB_NODISCARD cb_status cb_cli_check_name(const char *what, const char *name,
                                         cb_error *reterr_error);

#endif
