/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving hook of mail.git.
 *
 * What comes down is the hub's, and for the device whose mailbox it is put
 * into: signed twice with the hub's key, which the hook has.
 *
 * What goes up is signed with the device's key, which the hook does not have:
 * the roster that names it is in the hub's store, and sealed.  So it is held
 * against the key that its own signature names.  That shows that it is whole
 * and says whose it is, and proves nothing about who wrote it: whoever may push
 * can put mail into another device's box.  The hub takes none of it, for it
 * knows the key; and the device, which sees that what it posted is not there,
 * posts it again.  To let only the key of the first mail replace it would be
 * worse: whoever came first would then keep the device out for ever.
 */
#include "hub/check.h"

#include "git/commit.h"
#include "session/mailbox.h"

#include <casebound/json.h>

#include <string.h>

static cb_status check_message(cb_span text, const cb_realm_file *realm,
                               const char *whose, const cb_device_id *device,
                               const uint8_t *key, cb_error *error)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    cb_device_id named;
    cb_realm_id named_realm;
    json_t *envelope = NULL;
    cb_buffer message;
    cb_status status = cb_json_parse_canonical_within(text, CB_MAIL_BYTES_MAX,
                                                      &envelope, error);
    if (status != CB_OK) {
        return status == CB_INPUT ? CB_DAMAGED : status;
    }
    const json_t *body = cb_json_object(envelope, "message");
    cb_buffer_init(&message, CB_MAIL_BYTES_MAX);
    if (body == NULL ||
        !cb_json_bytes(envelope, "signature", signature, sizeof signature) ||
        !cb_json_bytes(body, whose, named.bytes, sizeof named.bytes) ||
        !cb_json_bytes(body, "realm", named_realm.bytes,
                       sizeof named_realm.bytes)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a keyring message is not complete");
    } else if (memcmp(&named_realm, &realm->realm, sizeof named_realm) != 0) {
        status = cb_error_set(error, CB_REFUSED,
                              "a keyring message belongs to another service");
    } else if (memcmp(&named, device, sizeof named) != 0) {
        status = cb_error_set(error, CB_REFUSED,
                              "a keyring message belongs into another mailbox");
    } else {
        status = cb_json_append(body, &message, error);
    }
    if (status == CB_OK &&
        !cb_sign_verify("mail", cb_span_of_buffer(&message), signature, key)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the signature of a keyring message does not "
                              "verify");
    }
    cb_buffer_clear(&message);
    json_decref(envelope);
    return status;
}

/* Alone, and signed: with the hub's key, or with the one that it names. */
static cb_status check_commit(const cb_git_commit *commit, bool is_down,
                              const cb_realm_file *realm, uint8_t *ret_key,
                              cb_error *error)
{
    if (commit->has_parent) {
        return cb_error_set(error, CB_REFUSED,
                            "mail is one commit without a history");
    }
    if (is_down) {
        memcpy(ret_key, realm->hub_key, CB_PUBLIC_KEY_BYTES);
        return cb_git_commit_verify(commit, ret_key, NULL) == CB_OK
                   ? CB_OK
                   : cb_error_set(error, CB_REFUSED,
                                  "only the hub sends mail down");
    }
    return cb_commit_signer(commit, ret_key)
               ? cb_git_commit_verify(commit, ret_key, error)
               : cb_error_set(error, CB_DAMAGED, "the mail has no signature");
}

cb_status cb_mail_commit_check(const cb_git_repository *repository,
                               const cb_realm_file *realm,
                               const cb_git_oid *oid, bool is_down,
                               const cb_device_id *device,
                               cb_error *reterr_error)
{
    uint8_t key[CB_PUBLIC_KEY_BYTES];
    cb_git_commit commit;
    cb_buffer message;
    cb_status status =
        cb_git_commit_read(repository, oid, &commit, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_buffer_init(&message, CB_MAIL_BYTES_MAX);
    status = check_commit(&commit, is_down, realm, key, reterr_error);
    if (status == CB_OK) {
        status = cb_mail_read(repository, oid, key, &message, reterr_error);
    }
    if (status == CB_OK) {
        status =
            check_message(cb_span_of_buffer(&message), realm,
                          is_down ? "to" : "from", device, key, reterr_error);
    }
    cb_buffer_clear(&message);
    cb_git_commit_clear(&commit);
    return status;
}
