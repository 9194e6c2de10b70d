/* SPDX-License-Identifier: Apache-2.0 */
/* What the two sides of an enrolment share. */
#ifndef CASEBOUND_ROSTER_ENROLMENT_H
#define CASEBOUND_ROSTER_ENROLMENT_H

#include "roster/lines.h"
#include "store/internal.h"

#include <casebound/enrolment.h>
#include <sodium.h>

#define CB_ADMISSION_TITLE  "casebound admission"
#define CB_SEALED_KEY_BYTES (CB_KEY_BYTES + crypto_box_SEALBYTES)
#define CB_ADMISSION_LINES  18

/* Names of an admission's lines, in their order. */
extern const char *const cb_admission_names[CB_ADMISSION_LINES];

/* ---- request.c */
/* The keys of a device as a request states them. */
typedef struct cb_request {
    cb_device_id device;
    uint8_t signing[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing[CB_PUBLIC_KEY_BYTES];
    cb_hash hash; /* what an admission answers */
} cb_request;

void cb_request_own(const cb_store *store, cb_request *request);
/* Half the hash in groups of four, to be read aloud. */
void cb_request_fingerprint(const cb_request *request, char *text);
/* CB_INPUT, CB_DAMAGED, CB_NEWER, CB_LIMIT. */
cb_status cb_request_parse(cb_span text, cb_request *request, cb_error *error);

/* ---- service.c */
void cb_realm_of(const uint8_t *root_key, cb_realm_id *realm);
/* One clean line of UTF-8 of 1 to `size_max` bytes, else CB_INPUT. */
cb_status cb_enrolment_check_line(const char *what, const char *line,
                                  size_t size_max, cb_error *error);
bool cb_role_is_known(const char *role);
/* What the store remembers of the service it belongs to. */
cb_status cb_service_put(cb_store *store, const cb_realm_id *realm,
                         const uint8_t *root_key, const uint8_t *hub_key,
                         const cb_person_id *person, cb_error *error);
cb_status cb_service_put_words(cb_store *store, const char *realm_name,
                               const char *person_name, const char *log_address,
                               bool hub, cb_error *error);
/* The names' key: a compartment of no case, class N. */
cb_status cb_service_keep_names_key(cb_store *store, const cb_key_id *key_id,
                                    const uint8_t *key, cb_error *error);
/* Lines of the roster.  New references. */
json_t *cb_roster_person_operation(const cb_person_id *person,
                                   const char *const *roles, size_t role_count);
json_t *cb_roster_device_operation(const cb_device_id *device,
                                   const cb_person_id *person,
                                   const uint8_t *signing,
                                   const uint8_t *sealing,
                                   const uint8_t *certificate, bool hub);

#endif
