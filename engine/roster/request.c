/* SPDX-License-Identifier: Apache-2.0 */
#include "roster/enrolment.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_TITLE "casebound enrolment request"

static const char *const request_names[] = { "device", "signing-key",
                                             "sealing-key" };

static void hash_request(cb_request *request)
{
    uint8_t bytes[CB_IDENTIFIER_BYTES + 2 * CB_PUBLIC_KEY_BYTES];
    memcpy(bytes, request->device.bytes, CB_IDENTIFIER_BYTES);
    memcpy(bytes + CB_IDENTIFIER_BYTES, request->signing, CB_PUBLIC_KEY_BYTES);
    memcpy(bytes + CB_IDENTIFIER_BYTES + CB_PUBLIC_KEY_BYTES, request->sealing,
           CB_PUBLIC_KEY_BYTES);
    cb_hash_domain("enrolment", (cb_span){ bytes, sizeof bytes },
                   &request->hash);
}

void cb_request_own(const cb_store *store, cb_request *request)
{
    request->device = store->identity.device;
    memcpy(request->signing, store->device_public, CB_PUBLIC_KEY_BYTES);
    memcpy(request->sealing, store->sealing_public, CB_PUBLIC_KEY_BYTES);
    hash_request(request);
}

/* Half the hash in groups of four, to be read aloud. */
void cb_request_fingerprint(const cb_request *request, char *text)
{
    char digits[CB_HASH_TEXT_BYTES];
    cb_hex_format(request->hash.bytes, sizeof request->hash.bytes, digits);
    size_t used = 0;
    for (size_t i = 0; i < 32; i++) {
        if (i > 0 && i % 4 == 0) {
            text[used++] = '-';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
}

cb_status cb_enrolment_request(cb_store *store, cb_buffer *text,
                               char ret_fingerprint[CB_FINGERPRINT_TEXT_BYTES],
                               cb_error *reterr_error)
{
    cb_request request;
    if (store->identity.joined) {
        cb_status status =
            cb_error_set(reterr_error, CB_EXISTS,
                         "this store belongs to the service '%s' already",
                         store->identity.realm_name);
        cb_error_meaning(reterr_error, "nothing was changed");
        cb_error_next(reterr_error, "make another store with casebound -C DIR "
                                    "init");
        return status;
    }
    cb_request_own(store, &request);
    cb_buffer_append_text(text, REQUEST_TITLE " 1\n");
    cb_lines_put_hex(text, "device", request.device.bytes,
                     sizeof request.device.bytes);
    cb_lines_put_base64(text, "signing-key", request.signing,
                        sizeof request.signing);
    cb_lines_put_base64(text, "sealing-key", request.sealing,
                        sizeof request.sealing);
    cb_lines_sign(text, "enrolment request", store->device_key);
    cb_request_fingerprint(&request, ret_fingerprint);
    return cb_buffer_check(text, reterr_error);
}

cb_status cb_request_parse(cb_span text, cb_request *request, cb_error *error)
{
    cb_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status = cb_lines_parse(
        text, REQUEST_TITLE, request_names,
        sizeof request_names / sizeof request_names[0], lines, error);
    if (status == CB_OK &&
        (!cb_lines_hex(lines, "device", request->device.bytes,
                       sizeof request->device.bytes) ||
         !cb_lines_base64(lines, "signing-key", request->signing,
                          sizeof request->signing) ||
         !cb_lines_base64(lines, "sealing-key", request->sealing,
                          sizeof request->sealing) ||
         !cb_public_key_is_acceptable(request->signing) ||
         !cb_lines_verify(lines, text, "enrolment request",
                          request->signing))) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the enrolment request does not verify");
        cb_error_meaning(error, "nobody was enrolled");
        cb_error_next(error, "make it again on the device: casebound enrol "
                             "request");
    }
    if (status == CB_OK) {
        hash_request(request);
    }
    free(lines);
    return status;
}

cb_status cb_enrolment_fingerprint(
    cb_span request, char ret_fingerprint[CB_FINGERPRINT_TEXT_BYTES],
    cb_error *reterr_error)
{
    cb_request parsed;
    cb_status status = cb_request_parse(request, &parsed, reterr_error);
    if (status == CB_OK) {
        cb_request_fingerprint(&parsed, ret_fingerprint);
    }
    return status;
}
