/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session key in the kernel's keyring, named after the store, readable by
 * this user only, gone after a time.  CB_NOT_FOUND without text where there is
 * none or the kernel has no keyring.
 */
#ifndef CASEBOUND_STORE_KEYRING_H
#define CASEBOUND_STORE_KEYRING_H

#include <casebound/identifier.h>
#include <casebound/secret.h>

CB_NODISCARD cb_status cb_keyring_keep(const cb_environment *environment,
                                       const uint8_t *store_id,
                                       const cb_secret *master_key,
                                       unsigned seconds,
                                       cb_error *reterr_error);
CB_NODISCARD cb_status cb_keyring_take(const uint8_t *store_id,
                                       cb_secret **ret_master_key,
                                       cb_error *reterr_error);
/* Another master key in the place of the one that is kept, for as long as that
 * would have been; nothing is kept afterwards where that fails. */
bool cb_keyring_replace(const cb_environment *environment,
                        const uint8_t *store_id, const cb_secret *master_key);
/* CB_NOT_FOUND where there was none. */
CB_NODISCARD cb_status cb_keyring_drop(const uint8_t *store_id,
                                       cb_error *reterr_error);

#endif
