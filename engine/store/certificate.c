/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "store/internal.h"

#include <string.h>

#define CERTIFICATE_BYTES_MAX 1024

static cb_status describe(const cb_realm_id *realm, const cb_device_id *device,
                          const cb_person_id *person,
                          const uint8_t *signing_public,
                          const uint8_t *sealing_public, bool hub,
                          cb_buffer *text, cb_error *error)
{
    json_t *value = json_pack(
        "{s:o, s:b, s:o, s:o, s:o, s:o}", "device",
        cb_json_hex(device->bytes, sizeof device->bytes), "hub", (int)hub,
        "person", cb_json_hex(person->bytes, sizeof person->bytes), "realm",
        cb_json_hex(realm->bytes, sizeof realm->bytes), "sealing_key",
        cb_json_hex(sealing_public, CB_PUBLIC_KEY_BYTES), "signing_key",
        cb_json_hex(signing_public, CB_PUBLIC_KEY_BYTES));
    if (value == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status = cb_json_append(value, text, error);
    json_decref(value);
    return status;
}

cb_status cb_certificate_sign(const cb_realm_id *realm,
                              const cb_device_id *device,
                              const cb_person_id *person,
                              const uint8_t *signing_public,
                              const uint8_t *sealing_public, bool hub,
                              const cb_secret *signing_key,
                              uint8_t *ret_signature, cb_error *error)
{
    cb_buffer text;
    cb_buffer_init(&text, CERTIFICATE_BYTES_MAX);
    cb_status status = describe(realm, device, person, signing_public,
                                sealing_public, hub, &text, error);
    if (status == CB_OK) {
        cb_sign("certificate", cb_span_of_buffer(&text), signing_key,
                ret_signature);
    }
    cb_buffer_clear(&text);
    return status;
}

bool cb_certificate_holds(const cb_realm_id *realm, const cb_device_id *device,
                          const cb_person_id *person,
                          const uint8_t *signing_public,
                          const uint8_t *sealing_public, bool hub,
                          const uint8_t *signature, const uint8_t *public_key)
{
    cb_buffer text;
    cb_buffer_init(&text, CERTIFICATE_BYTES_MAX);
    bool holds = cb_public_key_is_acceptable(signing_public) &&
                 describe(realm, device, person, signing_public, sealing_public,
                          hub, &text, NULL) == CB_OK &&
                 cb_sign_verify("certificate", cb_span_of_buffer(&text),
                                signature, public_key);
    cb_buffer_clear(&text);
    return holds;
}

bool cb_certificate_stream_holds(const cb_realm_id *realm,
                                 const cb_stream_id *stream,
                                 const uint8_t *stream_public,
                                 const uint8_t *signature,
                                 const uint8_t *device_public)
{
    uint8_t message[2 * CB_IDENTIFIER_BYTES + CB_PUBLIC_KEY_BYTES];
    memcpy(message, realm->bytes, CB_IDENTIFIER_BYTES);
    memcpy(message + CB_IDENTIFIER_BYTES, stream->bytes, CB_IDENTIFIER_BYTES);
    memcpy(message + (size_t)2 * CB_IDENTIFIER_BYTES, stream_public,
           CB_PUBLIC_KEY_BYTES);
    return cb_public_key_is_acceptable(stream_public) &&
           cb_sign_verify("stream", (cb_span){ message, sizeof message },
                          signature, device_public);
}
