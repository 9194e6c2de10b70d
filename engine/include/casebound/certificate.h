/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service's word for a device: schema/FORMAT.md, section 3.2.  The hub
 * signs the keys of each device, the realm's root key those of the hub's own.
 *
 * Pure; whoever checks a stream needs it: the store, the hub, an auditor.
 */
#ifndef CASEBOUND_CERTIFICATE_H
#define CASEBOUND_CERTIFICATE_H

#include <casebound/entry.h>

/*
 * Whether `signature` (64 bytes) is the word of `public_key` that these keys
 * are this device's and the device this person's.  `public_key` is the root key
 * where `hub` is true, the hub's device key otherwise.  A signing key of small
 * or mixed order is never certified.
 */
CB_NODISCARD CB_PUBLIC bool cb_certificate_holds(
    const cb_realm_id *realm, const cb_device_id *device,
    const cb_person_id *person, const uint8_t *signing_public,
    const uint8_t *sealing_public, bool hub, const uint8_t *signature,
    const uint8_t *public_key);

/*
 * The device's word that a stream is its own: `signature` by `device_public`
 * over realm, stream and the stream's key.
 */
CB_NODISCARD CB_PUBLIC bool cb_certificate_stream_holds(
    const cb_realm_id *realm, const cb_stream_id *stream,
    const uint8_t *stream_public, const uint8_t *signature,
    const uint8_t *device_public);

#endif
