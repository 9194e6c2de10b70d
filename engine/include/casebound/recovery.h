/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recovery key, as it is printed and typed.
 *
 * 160 random bits in eight groups of five characters, such as
 *
 *     7ZK4W-0QXTB-...
 *
 * Four characters of a group are 20 bits of the key in Crockford's base32 (no
 * I, L, O, U); the fifth is a check over them and the group's place, so that a
 * slip of the pen or of the finger is found and the group named.  One wrong
 * character of a group, and two neighbours exchanged, are always found; any
 * other mistake 31 times in 32.  What slips through does not open the store.
 *
 * When typed, case does not matter, O is 0, I and L are 1, and hyphens and
 * spaces may be left out.
 */
#ifndef CASEBOUND_RECOVERY_H
#define CASEBOUND_RECOVERY_H

#include <casebound/limits.h>
#include <casebound/secret.h>

#define CB_RECOVERY_GROUPS           8
#define CB_RECOVERY_GROUP_CHARACTERS 5
/* Groups with hyphens between; no terminating zero. */
#define CB_RECOVERY_TEXT_BYTES \
    (CB_RECOVERY_GROUPS * (CB_RECOVERY_GROUP_CHARACTERS + 1) - 1)

/* A new one: CB_RECOVERY_KEY_BYTES random bytes.  CB_NO_MEMORY. */
CB_NODISCARD CB_PUBLIC cb_status
cb_recovery_make(const cb_environment *environment, cb_secret **ret_key,
                 cb_error *reterr_error);

/* The text of a key, CB_RECOVERY_TEXT_BYTES long.  CB_NO_MEMORY. */
CB_NODISCARD CB_PUBLIC cb_status cb_recovery_print(const cb_secret *key,
                                                   cb_secret **ret_text,
                                                   cb_error *reterr_error);

/* The key of a text.  CB_INPUT says which groups are mistyped; CB_NO_MEMORY. */
CB_NODISCARD CB_PUBLIC cb_status cb_recovery_read(const cb_secret *text,
                                                  cb_secret **ret_key,
                                                  cb_error *reterr_error);

#endif
