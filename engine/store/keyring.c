/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user keyring: a "user" key per store that only its owner may read, with a
 * timeout after which the kernel forgets it.
 *
 * It is made in a keyring of this process, which nobody else sees and which
 * goes with it, gets its permissions and its timeout there, and only then a
 * place in the user's: at no time is there a key that others could read or that
 * would stay.
 *
 *   payload | master key 32 | deadline, milliseconds since 1970 8 | seconds 4 |
 *
 * The kernel tells nobody how long a key has left; the deadline is there so
 * that another master key can take the place of this one for no longer.
 */
#include "store/keyring.h"

#include <errno.h>
#include <keyutils.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DESCRIPTION_BYTES 64
#define PAYLOAD_BYTES     (CB_KEY_BYTES + 8 + 4)
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

/*
 * In a new keyring each time: in one that holds a key of that name already, the
 * kernel would change that key in place and forget its timeout.
 */
static long make_key(const char *description, const cb_secret *payload,
                     unsigned seconds)
{
    key_serial_t box =
        add_key("keyring", "casebound", NULL, 0, KEY_SPEC_PROCESS_KEYRING);
    key_serial_t key =
        box < 0 ? -1
                : add_key("user", description, cb_secret_view(payload),
                          cb_secret_size(payload), box);
    bool kept = key >= 0 && keyctl_setperm(key, OWNER_ONLY) == 0 &&
                keyctl_set_timeout(key, seconds) == 0 &&
                keyctl_link(key, KEY_SPEC_USER_KEYRING) == 0;
    int number = errno;
    if (!kept && key >= 0) {
        (void)keyctl_revoke(key);
    }
    if (box >= 0) {
        (void)keyctl_unlink(box, KEY_SPEC_PROCESS_KEYRING);
    }
    errno = number;
    return kept ? key : -1;
}

cb_status cb_keyring_keep(const cb_environment *environment,
                          const uint8_t *store_id, const cb_secret *master_key,
                          unsigned seconds, cb_error *reterr_error)
{
    char description[DESCRIPTION_BYTES];
    cb_secret *payload = NULL;
    cb_status status = cb_secret_create(PAYLOAD_BYTES, &payload, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    uint8_t *bytes = cb_secret_bytes(payload);
    int64_t now_ms = environment->now_ms(environment->context);
    memcpy(bytes, cb_secret_view(master_key), CB_KEY_BYTES);
    cb_put_u64(bytes + CB_KEY_BYTES,
               (uint64_t)now_ms + (uint64_t)seconds * 1000);
    cb_put_u32(bytes + CB_KEY_BYTES + 8, seconds);
    describe(store_id, description);
    /* In a session of its own (a service, some remote ones) a process does not
     * possess what is in the user's keyring, and could not limit the key. */
    (void)keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_PROCESS_KEYRING);
    long before = find(store_id);
    long key = make_key(description, payload, seconds);
    int number = errno;
    cb_secret_destroy(payload);
    if (key >= 0) {
        /* Its place is taken; whoever holds another link loses it too. */
        if (before >= 0 && before != key) {
            (void)keyctl_revoke((key_serial_t)before);
        }
        return CB_OK;
    }
    status =
        cb_error_set(reterr_error, CB_NOT_FOUND,
                     "this kernel keeps no keys for us (error %d)", number);
    cb_error_meaning(reterr_error, "the store stays locked between commands; "
                                   "each one will ask for the passphrase");
    return status;
}

/* The payload; CB_NOT_FOUND without text. */
static cb_status read_payload(const uint8_t *store_id, cb_secret **ret_payload,
                              cb_error *error)
{
    long key = find(store_id);
    if (key < 0) {
        return CB_NOT_FOUND;
    }
    cb_secret *payload = NULL;
    cb_status status = cb_secret_create(PAYLOAD_BYTES, &payload, error);
    if (status != CB_OK) {
        return status;
    }
    long size = keyctl_read((key_serial_t)key, (char *)cb_secret_bytes(payload),
                            PAYLOAD_BYTES);
    if (size != PAYLOAD_BYTES) {
        cb_secret_destroy(payload);
        return CB_NOT_FOUND;
    }
    *ret_payload = payload;
    return CB_OK;
}

cb_status cb_keyring_take(const uint8_t *store_id, cb_secret **ret_master_key,
                          cb_error *reterr_error)
{
    cb_secret *payload = NULL;
    cb_status status = read_payload(store_id, &payload, reterr_error);
    if (status == CB_OK) {
        cb_secret_shorten(payload, CB_KEY_BYTES);
        *ret_master_key = payload;
    }
    return status;
}

bool cb_keyring_replace(const cb_environment *environment,
                        const uint8_t *store_id, const cb_secret *master_key)
{
    cb_secret *payload = NULL;
    bool kept = false;
    if (read_payload(store_id, &payload, NULL) == CB_OK) {
        const uint8_t *bytes = cb_secret_view(payload);
        uint64_t deadline_ms = cb_get_u64(bytes + CB_KEY_BYTES);
        uint32_t seconds = cb_get_u32(bytes + CB_KEY_BYTES + 8);
        uint64_t now_ms = (uint64_t)environment->now_ms(environment->context);
        uint64_t left =
            deadline_ms > now_ms ? (deadline_ms - now_ms) / 1000 : 0;
        /* A clock that was set back does not make it last longer. */
        left = left < seconds ? left : seconds;
        kept = left > 0 && cb_keyring_keep(environment, store_id, master_key,
                                           (unsigned)left, NULL) == CB_OK;
    }
    cb_secret_destroy(payload);
    if (!kept) {
        /* What cannot be replaced must at least not stay. */
        cb_status dropped = cb_keyring_drop(store_id, NULL);
        (void)dropped;
    }
    return kept;
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
