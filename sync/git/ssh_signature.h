/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of Git commits in OpenSSH's SSHSIG form, made and checked with
 * libsodium alone, so that a stream's key never leaves the process and stock
 * `git verify-commit` accepts what it signed.
 *
 *     key    = string("ssh-ed25519") string(32 bytes)
 *     signed = "SSHSIG" string("git") string("") string("sha512")
 *              string(SHA-512 of the message)
 *     blob   = "SSHSIG" u32(1) string(key) string("git") string("")
 *              string("sha512") string(string("ssh-ed25519") string(64 bytes))
 *
 * where a string has its length before it as 32 bits.  The armor is base64 of
 * the blob in lines of 70 between two marks.
 *
 * Invariants:
 * 1. One key and one message give one armor, so a commit that is built again
 *    has the same Git id.
 * 2. All of the blob but the last 64 bytes follows from the key: a signature
 *    is accepted only where it is what we would have written, to the byte.
 * 3. Whose key signed is the caller's affair: stock Git accepts any key of the
 *    allowed-signers file for any ref, so the caller binds ref to key.
 */
#ifndef CASEBOUND_GIT_SSH_SIGNATURE_H
#define CASEBOUND_GIT_SSH_SIGNATURE_H

#include <casebound/entry.h>

#define CB_SSH_PRINCIPAL_BYTES_MAX    128
#define CB_SSH_FINGERPRINT_TEXT_BYTES 51

/*
 * Appends the armor of a signature over `message` with a 64-byte Ed25519 secret
 * key.  There is no newline at its end: Git would store it as one more header
 * line.  CB_LIMIT, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_ssh_sign(cb_span message, const cb_secret *secret_key,
                                   cb_buffer *armor, cb_error *reterr_error);

/*
 * CB_OK only where the armor is a signature over `message` by this key; else
 * CB_DAMAGED.  One newline at the end is accepted, as ssh-keygen writes it.
 */
CB_NODISCARD cb_status cb_ssh_verify(
    cb_span armor, cb_span message,
    const uint8_t public_key[CB_PUBLIC_KEY_BYTES], cb_error *reterr_error);

/*
 * Appends a line of an allowed-signers file that lets the key sign for Git and
 * nothing else.  CB_INPUT for a principal with anything but letters, digits and
 * "-._@/", which would be a pattern or another field there.
 */
CB_NODISCARD cb_status cb_ssh_allowed_signer(
    const char *principal, const uint8_t public_key[CB_PUBLIC_KEY_BYTES],
    cb_buffer *line, cb_error *reterr_error);

/* "SHA256:..." as ssh-keygen -l and git log --show-signature print it. */
void cb_ssh_fingerprint(const uint8_t public_key[CB_PUBLIC_KEY_BYTES],
                        char ret_text[CB_SSH_FINGERPRINT_TEXT_BYTES]);

#endif
