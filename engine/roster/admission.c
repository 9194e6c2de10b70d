/* SPDX-License-Identifier: Apache-2.0 */
/* The hub answers a request. */
#include "base/json.h"
#include "roster/enrolment.h"

#include <string.h>

const char *const cb_admission_names[CB_ADMISSION_LINES] = {
    "answers",
    "realm",
    "realm-name",
    "root-key",
    "hub-device",
    "hub-person",
    "hub-signing-key",
    "hub-sealing-key",
    "hub-certificate",
    "person",
    "name",
    "roles",
    "certificate",
    "log",
    "checkpoint-size",
    "checkpoint-root",
    "names-key-id",
    "names-key",
};

static cb_status check_roles(const cb_admission *admission, cb_error *error)
{
    for (size_t i = 0; i < admission->role_count; i++) {
        if (!cb_role_is_known(admission->roles[i])) {
            cb_status status = cb_error_set(
                error, CB_INPUT, "'%.32s' is not a role", admission->roles[i]);
            cb_error_meaning(error, "nobody was enrolled");
            cb_error_next(error, "use facilitator, supervisor, coordinator, "
                                 "auditor, partner or designated_lead");
            return status;
        }
    }
    return admission->role_count > 0
               ? CB_OK
               : cb_error_set(error, CB_INPUT, "no role was given");
}

/*
 * The person of this request's device, where it was admitted before.  An id is
 * the applicant's choice: one that another device has would pass for that
 * device.
 */
static cb_status find_admitted(cb_store *store, const cb_request *request,
                               bool *ret_found, cb_person_id *ret_person,
                               cb_error *error)
{
    cb_device_facts known;
    cb_status status = cb_device_find(store, &request->device, &known, error);
    *ret_found = status == CB_OK;
    if (status == CB_NOT_FOUND) {
        cb_query query = cb_query_begin(store->database, "device_by_key");
        cb_query_bind_blob(&query, ":signing_key", request->signing,
                           sizeof request->signing);
        status = cb_query_step(&query, error);
        cb_query_end(&query);
        if (status == CB_END) {
            return CB_OK;
        }
    }
    if (status == CB_OK && (!*ret_found ||
                            memcmp(known.signing_key, request->signing,
                                   sizeof known.signing_key) != 0 ||
                            memcmp(known.sealing_key, request->sealing,
                                   sizeof known.sealing_key) != 0)) {
        status = cb_error_set(error, CB_REFUSED,
                              "the request bears the id or the key of another "
                              "device");
        cb_error_meaning(error, "nobody was enrolled");
        cb_error_next(error, "have the device make a new store and ask again");
        return status;
    }
    if (status == CB_OK) {
        *ret_person = known.person;
    }
    return status;
}

/* The person that another device is given to must be one of ours. */
static cb_status demand_person(cb_store *store, const cb_person_id *person,
                               cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "person_find");
    cb_query_bind_blob(&query, ":id", person->bytes, sizeof person->bytes);
    cb_status status = cb_query_step(&query, error);
    cb_query_end(&query);
    if (status == CB_END) {
        status = cb_error_set(error, CB_NOT_FOUND,
                              "there is no such person in the roster");
        cb_error_meaning(error, "nobody was enrolled");
        cb_error_next(error, "casebound hub people");
    }
    return status;
}

static cb_status enter_roster(cb_store *store, const cb_request *request,
                              const cb_admission *admission,
                              const cb_person_id *person,
                              const uint8_t *certificate, cb_error *error)
{
    json_t *operations = json_array();
    if (admission->person == NULL) {
        (void)json_array_append_new(
            operations, cb_roster_person_operation(person, admission->roles,
                                                   admission->role_count));
    }
    (void)json_array_append_new(
        operations,
        cb_roster_device_operation(&request->device, person, request->signing,
                                   request->sealing, certificate, false));
    cb_status status = cb_roster_append(store, operations, error);
    if (status == CB_OK && admission->person == NULL) {
        status = cb_roster_append_name(store, person, admission->name, error);
    }
    return status;
}

static cb_status put_names_key(cb_store *store, const cb_request *request,
                               cb_buffer *text, cb_error *error)
{
    cb_compartment compartment;
    uint8_t sealed[CB_SEALED_KEY_BYTES];
    cb_status status =
        cb_compartment_load(store, &store->realm_key_id, &compartment, error);
    if (status == CB_NOT_FOUND) {
        return cb_error_set(error, CB_DAMAGED,
                            "the key of the roster's names is missing");
    }
    if (status == CB_OK &&
        crypto_box_seal(sealed, cb_secret_view(store->key_in_use), CB_KEY_BYTES,
                        request->sealing) != 0) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the sealing key of the request cannot be used");
    }
    if (status == CB_OK) {
        cb_lines_put_hex(text, "names-key-id", store->realm_key_id.bytes,
                         sizeof store->realm_key_id.bytes);
        cb_lines_put_base64(text, "names-key", sealed, sizeof sealed);
    }
    return status;
}

static cb_status write_admission(cb_store *store, const cb_request *request,
                                 const cb_admission *admission,
                                 const cb_person_id *person,
                                 const uint8_t *certificate, cb_buffer *text,
                                 cb_error *error)
{
    const cb_store_identity *identity = &store->identity;
    uint8_t hub_certificate[CB_SIGNATURE_BYTES];
    char number[24];
    cb_buffer roles;
    cb_buffer_init(&roles, 1024);
    for (size_t i = 0; i < admission->role_count; i++) {
        cb_buffer_append_format(&roles, "%s%s", i == 0 ? "" : ",",
                                admission->roles[i]);
    }
    cb_status status =
        cb_meta_get_bytes(store, "device.certificate", hub_certificate,
                          sizeof hub_certificate, error);
    if (status != CB_OK) {
        cb_buffer_clear(&roles);
        return status;
    }
    (void)snprintf(number, sizeof number, "%llu",
                   (unsigned long long)identity->seen_size);
    cb_buffer_append_text(text, CB_ADMISSION_TITLE " 1\n");
    cb_lines_put_hex(text, "answers", request->hash.bytes,
                     sizeof request->hash.bytes);
    cb_lines_put_hex(text, "realm", identity->realm.bytes,
                     sizeof identity->realm.bytes);
    cb_lines_put(text, "realm-name", identity->realm_name);
    cb_lines_put_base64(text, "root-key", identity->root_key,
                        sizeof identity->root_key);
    cb_lines_put_hex(text, "hub-device", identity->device.bytes,
                     sizeof identity->device.bytes);
    cb_lines_put_hex(text, "hub-person", identity->person.bytes,
                     sizeof identity->person.bytes);
    cb_lines_put_base64(text, "hub-signing-key", store->device_public,
                        sizeof store->device_public);
    cb_lines_put_base64(text, "hub-sealing-key", store->sealing_public,
                        sizeof store->sealing_public);
    cb_lines_put_base64(text, "hub-certificate", hub_certificate,
                        sizeof hub_certificate);
    cb_lines_put_hex(text, "person", person->bytes, sizeof person->bytes);
    cb_lines_put(text, "name", admission->name);
    cb_lines_put(text, "roles", cb_buffer_text(&roles));
    cb_lines_put_base64(text, "certificate", certificate, CB_SIGNATURE_BYTES);
    cb_lines_put(text, "log", identity->log_address);
    cb_lines_put(text, "checkpoint-size", number);
    cb_lines_put_base64(text, "checkpoint-root", identity->seen_root.bytes,
                        sizeof identity->seen_root.bytes);
    status = put_names_key(store, request, text, error);
    if (status == CB_OK) {
        cb_lines_sign(text, "admission", store->device_key);
        status = cb_buffer_check(text, error);
    }
    cb_buffer_clear(&roles);
    return status;
}

static cb_status admit(cb_store *store, const cb_request *request,
                       const cb_admission *admission, cb_buffer *text,
                       cb_error *error)
{
    bool known = false;
    cb_person_id person;
    uint8_t certificate[CB_SIGNATURE_BYTES];
    cb_status status = find_admitted(store, request, &known, &person, error);
    if (status != CB_OK) {
        return status;
    }
    if (!known && admission->person != NULL) {
        person = *admission->person;
        status = demand_person(store, &person, error);
        if (status != CB_OK) {
            return status;
        }
    } else if (!known) {
        store->environment->random(store->environment->context, person.bytes,
                                   sizeof person.bytes);
    }
    status = cb_certificate_sign(&store->identity.realm, &request->device,
                                 &person, request->signing, request->sealing,
                                 false, store->device_key, certificate, error);
    if (status == CB_OK && !known) {
        status = enter_roster(store, request, admission, &person, certificate,
                              error);
    }
    if (status == CB_OK) {
        status = write_admission(store, request, admission, &person,
                                 certificate, text, error);
    }
    return status;
}

cb_status cb_enrolment_admit(cb_store *store, cb_span request,
                             const cb_admission *admission, cb_buffer *text,
                             char ret_fingerprint[CB_FINGERPRINT_TEXT_BYTES],
                             cb_error *reterr_error)
{
    cb_request parsed;
    cb_status status = cb_store_require_hub(store, reterr_error);
    if (status == CB_OK) {
        status = cb_enrolment_check_line("name of the person", admission->name,
                                         CB_NAME_BYTES_MAX, reterr_error);
    }
    if (status == CB_OK) {
        status = check_roles(admission, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_request_parse(request, &parsed, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_store_begin(store, reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    status = admit(store, &parsed, admission, text, reterr_error);
    if (status == CB_OK) {
        status = cb_store_commit(store, reterr_error);
    }
    if (status != CB_OK) {
        cb_store_abort(store);
        return status;
    }
    cb_request_fingerprint(&parsed, ret_fingerprint);
    return CB_OK;
}
