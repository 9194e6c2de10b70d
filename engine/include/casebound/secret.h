/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret: a fixed number of bytes in guarded memory that is locked where the
 * kernel allows it, left out of core dumps, and zeroed when destroyed.  There
 * is no way to print one.  (Locking is best effort: libsodium goes on when
 * RLIMIT_MEMLOCK is exhausted.)
 */
#ifndef CASEBOUND_SECRET_H
#define CASEBOUND_SECRET_H

#include <casebound/environment.h>

#define CB_KEY_BYTES 32

typedef struct cb_secret cb_secret;

/* Zeroed bytes to be filled by the caller.  CB_NO_MEMORY. */
CB_NODISCARD CB_PUBLIC cb_status cb_secret_create(size_t size,
                                                  cb_secret **ret_secret,
                                                  cb_error *reterr_error);

/* Random bytes from the environment.  CB_NO_MEMORY. */
CB_NODISCARD CB_PUBLIC cb_status
cb_secret_create_random(const cb_environment *environment, size_t size,
                        cb_secret **ret_secret, cb_error *reterr_error);

CB_NODISCARD CB_PUBLIC cb_status cb_secret_clone(const cb_secret *secret,
                                                 cb_secret **ret_secret,
                                                 cb_error *reterr_error);

/* Zeroes and frees; NULL is allowed. */
CB_PUBLIC void cb_secret_destroy(cb_secret *secret);

/* Borrowed, valid until the secret is destroyed. */
CB_PUBLIC uint8_t *cb_secret_bytes(cb_secret *secret);
CB_PUBLIC const uint8_t *cb_secret_view(const cb_secret *secret);
CB_PUBLIC size_t cb_secret_size(const cb_secret *secret);

/* Shortens, for a passphrase typed into a larger one; zeroes the rest. */
CB_PUBLIC void cb_secret_shorten(cb_secret *secret, size_t size);

#endif
