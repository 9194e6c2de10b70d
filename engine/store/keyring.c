/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user session keyring: a "user" key per store that only its owner may
 * read, with a timeout after which the kernel forgets it.
 */
#include "store/keyring.h"

#include <errno.h>
#include <keyutils.h>
#include <sodium.h>
#include <stdio.h>

#define DESCRIPTION_BYTES 64
#define OWNER_ONLY                                                \
    (KEY_POS_ALL | KEY_USR_VIEW | KEY_USR_READ | KEY_USR_SEARCH | \
     KEY_USR_WRITE | KEY_USR_SETATTR)

static void describe(const uint8_t *store_id, char *description)
{
    char text[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(store_id, CB_IDENTIFIER_BYTES, text);
    (void)snprintf(description, DESCRIPTION_BYTES, "casebound:%s", text);
}

static long find(const uint8_t *store_id)
{
    char description[DESCRIPTION_BYTES];
    describe(store_id, description);
    return keyctl_search(KEY_SPEC_USER_KEYRING, "user", description, 0);
}

cb_status cb_keyring_keep(const uint8_t *store_id, const cb_secret *master_key,
                          unsigned seconds, cb_error *reterr_error)
{
    char description[DESCRIPTION_BYTES];
    describe(store_id, description);
    /* In a session of its own (a service, some remote ones) a process does not
     * possess what is in the user's keyring, and could not limit the key. */
    (void)keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_PROCESS_KEYRING);
    key_serial_t key =
        add_key("user", description, cb_secret_view(master_key),
                cb_secret_size(master_key), KEY_SPEC_USER_KEYRING);
    if (key >= 0 && keyctl_setperm(key, OWNER_ONLY) == 0 &&
        keyctl_set_timeout(key, seconds) == 0) {
        return CB_OK;
    }
    int number = errno;
    if (key >= 0) {
        (void)keyctl_unlink(key, KEY_SPEC_USER_KEYRING);
    }
    cb_status status = cb_error_set(reterr_error, CB_NOT_FOUND,
                                    "this kernel keeps no keys for us (error "
                                    "%d)",
                                    number);
    cb_error_meaning(reterr_error, "the store stays locked between commands; "
                                   "each one will ask for the passphrase");
    return status;
}

cb_status cb_keyring_take(const uint8_t *store_id, cb_secret **ret_master_key,
                          cb_error *reterr_error)
{
    long key = find(store_id);
    if (key < 0) {
        return CB_NOT_FOUND;
    }
    cb_secret *master_key = NULL;
    cb_status status =
        cb_secret_create(CB_KEY_BYTES, &master_key, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    long size = keyctl_read((key_serial_t)key,
                            (char *)cb_secret_bytes(master_key), CB_KEY_BYTES);
    if (size != CB_KEY_BYTES) {
        cb_secret_destroy(master_key);
        return CB_NOT_FOUND;
    }
    *ret_master_key = master_key;
    return CB_OK;
}

cb_status cb_keyring_drop(const uint8_t *store_id, cb_error *reterr_error)
{
    long key = find(store_id);
    if (key < 0) {
        return CB_NOT_FOUND;
    }
    /* Revoking makes the content unreadable at once for whoever holds a link.
     */
    if (keyctl_revoke((key_serial_t)key) != 0) {
        return cb_error_set(reterr_error, CB_FAILED,
                            "the kernel would not drop the key (error %d)",
                            errno);
    }
    (void)keyctl_unlink((key_serial_t)key, KEY_SPEC_USER_KEYRING);
    return CB_OK;
}
