/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining a service across a counter, with no network: two small text files.
 *
 * The device makes a request (its public keys, signed by itself).  The hub
 * answers with an admission (who the person is, the certificate for the
 * device's keys, the realm's and the hub's keys, the log's address, the newest
 * checkpoint, and the realm's name key sealed to the device), signed by the
 * hub.  The device checks that the admission answers its own request and pins
 * what it says.
 *
 * Both files are lines of "name: value" between a first line that names kind
 * and version and a last line with the signature over all lines before it.
 * schema/FORMAT.md, section "Enrolment", has them byte by byte.
 */
#ifndef CASEBOUND_ENROLMENT_H
#define CASEBOUND_ENROLMENT_H

#include <casebound/store.h>

/* Read aloud to compare: "4f1c-77a0-..." of the hash of the request's keys. */
#define CB_FINGERPRINT_TEXT_BYTES 40

/* The request of this store's device.  CB_EXISTS where it has joined. */
CB_NODISCARD CB_PUBLIC cb_status cb_enrolment_request(
    cb_store *store, cb_buffer *text,
    char ret_fingerprint[CB_FINGERPRINT_TEXT_BYTES], cb_error *reterr_error);

/* That of a request that came as a file.  CB_INPUT, CB_DAMAGED, CB_NEWER. */
CB_NODISCARD CB_PUBLIC cb_status cb_enrolment_fingerprint(
    cb_span request, char ret_fingerprint[CB_FINGERPRINT_TEXT_BYTES],
    cb_error *reterr_error);

/* What the hub decides about a request. */
typedef struct cb_admission {
    const char *name;         /* the person's */
    const char *const *roles; /* such as "facilitator"; at least one */
    size_t role_count;
    const cb_person_id *person; /* another device of the same person, or NULL */
} cb_admission;

/*
 * At the hub: puts person and device into the roster and appends the admission
 * to `text`.  The same request twice gives the same person and device.
 * CB_INPUT, CB_DAMAGED (signature), CB_NEWER, CB_PERMISSION (not a hub).
 */
CB_NODISCARD CB_PUBLIC cb_status cb_enrolment_admit(
    cb_store *store, cb_span request, const cb_admission *admission,
    cb_buffer *text, char ret_fingerprint[CB_FINGERPRINT_TEXT_BYTES],
    cb_error *reterr_error);

/* What an admission offers to this device, its signatures checked. */
typedef struct cb_offer {
    cb_realm_id realm; /* to compare by voice: joining trusts its root key */
    cb_person_id person;
    char realm_name[CB_NAME_BYTES_MAX + 1];
    char person_name[CB_NAME_BYTES_MAX + 1];
    char roles[256]; /* "facilitator,supervisor" */
    char log_address[1024];
} cb_offer;

/* Changes nothing; fails where cb_enrolment_join would. */
CB_NODISCARD CB_PUBLIC cb_status cb_enrolment_offered(cb_store *store,
                                                      cb_span admission,
                                                      cb_offer *ret_offer,
                                                      cb_error *reterr_error);

/*
 * On the device: pins what the admission says and begins the first incarnation.
 * CB_REFUSED where it answers another request, CB_EXISTS where the store has
 * joined already, CB_DAMAGED, CB_NEWER, CB_INPUT.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_enrolment_join(cb_store *store,
                                                   cb_span admission,
                                                   cb_error *reterr_error);

/*
 * Founding takes two steps, so that a crash at no moment leaves a service
 * without its root key.  First the key is made; the store keeps nothing of it
 * but the realm that it makes.  The caller then writes it away
 * (cb_root_key_write), and only then makes this store the hub of the service:
 * the root key signs the hub's.  CB_EXISTS where the store has joined one.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_enrolment_make_root(cb_store *store, cb_realm_id *ret_realm,
                       cb_secret **ret_root_key, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_enrolment_found(
    cb_store *store, const char *realm_name, const char *person_name,
    const char *log_address, const cb_secret *root_key, cb_error *reterr_error);

/* The realm of the root key made last; CB_NOT_FOUND without text. */
CB_NODISCARD CB_PUBLIC cb_status cb_enrolment_founding(cb_store *store,
                                                       cb_realm_id *ret_realm,
                                                       cb_error *reterr_error);

/* --------------------------------------------------------------- root key */

/*
 * Writes the realm's root key to a file, sealed under a passphrase as a store's
 * master key is (`options` give the cost), and opens such a file again.  The
 * file is replaced.  CB_NO_SPACE, CB_PERMISSION; opening: CB_NOT_FOUND,
 * CB_WRONG_KEY, CB_DAMAGED, CB_NEWER.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_root_key_write(const cb_store_options *options, const char *path,
                  const cb_realm_id *realm, const cb_secret *passphrase,
                  const cb_secret *root_key, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_root_key_open(const cb_store_options *options, const char *path,
                 const cb_secret *passphrase, cb_realm_id *ret_realm,
                 cb_secret **ret_root_key, cb_error *reterr_error);

/* ------------------------------------------------------------ permissions */

/*
 * At the hub: lets a person read classes of a case (such as "VOSRCA"), from
 * the beginning on.  Signed into the roster.  CB_PERMISSION, CB_INPUT.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_roster_permit(cb_store *store,
                                                  const cb_person_id *person,
                                                  const cb_case_id *case_id,
                                                  const char *classes,
                                                  cb_error *reterr_error);

#endif
