/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/secret.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct cb_secret {
    size_t size;
    uint8_t *bytes; /* from sodium_malloc: guarded, locked, zeroed on free */
};

cb_status cb_secret_create(size_t size, cb_secret **ret_secret,
                           cb_error *reterr_error)
{
    /* A passphrase is asked for before there is a store that would have
     * started the library; without it, guarded memory ends the process. */
    if (sodium_init() < 0) {
        return cb_error_set(reterr_error, CB_FAILED,
                            "the cryptographic library does not start");
    }
    cb_secret *secret = calloc(1, sizeof *secret);
    uint8_t *bytes = sodium_malloc(size);
    if (secret == NULL || bytes == NULL) {
        free(secret);
        sodium_free(bytes);
        return cb_error_set(reterr_error, CB_NO_MEMORY,
                            "out of memory for a key");
    }
    sodium_memzero(bytes, size);
    *secret = (cb_secret){ .size = size, .bytes = bytes };
    *ret_secret = secret;
    return CB_OK;
}

cb_status cb_secret_create_random(const cb_environment *environment,
                                  size_t size, cb_secret **ret_secret,
                                  cb_error *reterr_error)
{
    cb_status status = cb_secret_create(size, ret_secret, reterr_error);
    if (status == CB_OK) {
        environment->random(environment->context, (*ret_secret)->bytes, size);
    }
    return status;
}

cb_status cb_secret_clone(const cb_secret *secret, cb_secret **ret_secret,
                          cb_error *reterr_error)
{
    cb_status status = cb_secret_create(secret->size, ret_secret, reterr_error);
    if (status == CB_OK) {
        memcpy((*ret_secret)->bytes, secret->bytes, secret->size);
    }
    return status;
}

void cb_secret_destroy(cb_secret *secret)
{
    if (secret != NULL) {
        sodium_free(secret->bytes);
        free(secret);
    }
}

uint8_t *cb_secret_bytes(cb_secret *secret)
{
    return secret->bytes;
}

const uint8_t *cb_secret_view(const cb_secret *secret)
{
    return secret->bytes;
}

size_t cb_secret_size(const cb_secret *secret)
{
    return secret->size;
}

void cb_secret_shorten(cb_secret *secret, size_t size)
{
    CB_ASSERT(size <= secret->size);
    sodium_memzero(secret->bytes + size, secret->size - size);
    secret->size = size;
}
