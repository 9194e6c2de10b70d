/* SPDX-License-Identifier: Apache-2.0 */
/* A device takes the hub's answer. */
#include "base/json.h"
#include "roster/enrolment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an admission says, once every signature in it holds. */
struct answer {
    cb_realm_id realm;
    uint8_t root_key[CB_PUBLIC_KEY_BYTES];
    cb_device_id hub_device;
    cb_person_id hub_person;
    uint8_t hub_signing[CB_PUBLIC_KEY_BYTES];
    uint8_t hub_sealing[CB_PUBLIC_KEY_BYTES];
    uint8_t hub_certificate[CB_SIGNATURE_BYTES];
    cb_person_id person;
    uint8_t certificate[CB_SIGNATURE_BYTES];
    uint64_t checkpoint_size;
    cb_hash checkpoint_root;
    cb_key_id names_key_id;
    uint8_t sealed_key[CB_SEALED_KEY_BYTES];
};

static bool read_answer(const cb_lines *lines, struct answer *answer)
{
    const struct {
        const char *name;
        void *bytes;
        size_t size;
        bool base64;
    } rows[] = {
        { "realm", answer->realm.bytes, sizeof answer->realm, false },
        { "root-key", answer->root_key, sizeof answer->root_key, true },
        { "hub-device", answer->hub_device.bytes, sizeof answer->hub_device,
          false },
        { "hub-person", answer->hub_person.bytes, sizeof answer->hub_person,
          false },
        { "hub-signing-key", answer->hub_signing, sizeof answer->hub_signing,
          true },
        { "hub-sealing-key", answer->hub_sealing, sizeof answer->hub_sealing,
          true },
        { "hub-certificate", answer->hub_certificate,
          sizeof answer->hub_certificate, true },
        { "person", answer->person.bytes, sizeof answer->person, false },
        { "certificate", answer->certificate, sizeof answer->certificate,
          true },
        { "checkpoint-root", answer->checkpoint_root.bytes,
          sizeof answer->checkpoint_root, true },
        { "names-key-id", answer->names_key_id.bytes,
          sizeof answer->names_key_id, false },
        { "names-key", answer->sealed_key, sizeof answer->sealed_key, true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!(rows[i].base64 ? cb_lines_base64 : cb_lines_hex)(
                lines, rows[i].name, rows[i].bytes, rows[i].size)) {
            return false;
        }
    }
    const char *size = cb_lines_value(lines, "checkpoint-size");
    char *end = NULL;
    answer->checkpoint_size = strtoull(size, &end, 10);
    return size[0] >= '0' && size[0] <= '9' && *end == '\0' &&
           answer->checkpoint_size <= INT64_MAX;
}

static bool answer_holds(const cb_store *store, const struct answer *answer,
                         const cb_lines *lines, cb_span text)
{
    cb_realm_id realm;
    cb_realm_of(answer->root_key, &realm);
    return memcmp(&realm, &answer->realm, sizeof realm) == 0 &&
           cb_public_key_is_acceptable(answer->root_key) &&
           cb_certificate_holds(&realm, &answer->hub_device,
                                &answer->hub_person, answer->hub_signing,
                                answer->hub_sealing, true,
                                answer->hub_certificate, answer->root_key) &&
           cb_certificate_holds(&realm, &store->identity.device,
                                &answer->person, store->device_public,
                                store->sealing_public, false,
                                answer->certificate, answer->hub_signing) &&
           cb_lines_verify(lines, text, "admission", answer->hub_signing);
}

/* Signed or not, what will be shown and stored must be text of its size. */
static cb_status check_words(const cb_store *store, const cb_lines *lines,
                             cb_error *error)
{
    cb_status status = cb_enrolment_check_line(
        "name of the service", cb_lines_value(lines, "realm-name"),
        sizeof store->identity.realm_name - 1, error);
    if (status == CB_OK) {
        status = cb_enrolment_check_line(
            "name of the person", cb_lines_value(lines, "name"),
            sizeof store->identity.person_name - 1, error);
    }
    if (status == CB_OK) {
        status = cb_enrolment_check_line(
            "address of the log", cb_lines_value(lines, "log"),
            sizeof store->identity.log_address - 1, error);
    }
    return status;
}

static cb_status check_answer(cb_store *store, cb_span text,
                              const cb_lines *lines, struct answer *answer,
                              cb_error *error)
{
    cb_request own;
    cb_hash answers;
    cb_request_own(store, &own);
    if (!cb_lines_hex(lines, "answers", answers.bytes, sizeof answers.bytes)) {
        return cb_error_set(error, CB_DAMAGED,
                            "the admission is damaged at 'answers'");
    }
    if (memcmp(&answers, &own.hash, sizeof answers) != 0) {
        cb_status status =
            cb_error_set(error, CB_REFUSED,
                         "the admission answers another device's request");
        cb_error_meaning(error, "this store has not joined; nothing was "
                                "changed");
        cb_error_next(error, "ask the hub for the admission of this device");
        return status;
    }
    if (!read_answer(lines, answer) ||
        !answer_holds(store, answer, lines, text)) {
        cb_status status =
            cb_error_set(error, CB_DAMAGED, "the admission does not verify");
        cb_error_meaning(error, "this store has not joined; nothing was "
                                "changed");
        cb_error_next(error, "ask the hub to send it again");
        return status;
    }
    return check_words(store, lines, error);
}

static cb_status put_device_row(cb_store *store, const cb_device_id *device,
                                const cb_person_id *person,
                                const uint8_t *signing, const uint8_t *sealing,
                                const uint8_t *certificate, bool hub,
                                cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "device_put");
    cb_query_bind_blob(&query, ":id", device->bytes, sizeof device->bytes);
    cb_query_bind_blob(&query, ":person", person->bytes, sizeof person->bytes);
    cb_query_bind_blob(&query, ":signing_key", signing, CB_PUBLIC_KEY_BYTES);
    cb_query_bind_blob(&query, ":sealing_key", sealing, CB_PUBLIC_KEY_BYTES);
    cb_query_bind_blob(&query, ":certificate", certificate, CB_SIGNATURE_BYTES);
    cb_query_bind_integer(&query, ":hub", hub);
    return cb_query_run(&query, error);
}

/* "facilitator,supervisor" as an array; NULL where one of them is unknown. */
static json_t *parse_roles(const char *text)
{
    json_t *roles = json_array();
    while (roles != NULL) {
        char role[64];
        size_t size = strcspn(text, ",");
        (void)snprintf(role, sizeof role, "%.*s", (int)size, text);
        if (size >= sizeof role || !cb_role_is_known(role) ||
            json_array_append_new(roles, json_string(role)) != 0) {
            json_decref(roles);
            return NULL;
        }
        if (text[size] == '\0') {
            break;
        }
        text += size + 1;
    }
    return roles;
}

static cb_status put_own_roles(cb_store *store, const cb_person_id *person,
                               const char *roles, const char *name,
                               cb_error *error)
{
    cb_buffer list;
    json_t *value = parse_roles(roles);
    cb_buffer_init(&list, 4096);
    cb_status status = value == NULL
                           ? cb_error_set(error, CB_DAMAGED,
                                          "the admission is damaged at 'roles'")
                           : cb_json_append(value, &list, error);
    if (status == CB_OK) {
        cb_query query = cb_query_begin(store->database, "person_put");
        cb_query_bind_blob(&query, ":id", person->bytes, sizeof person->bytes);
        cb_query_bind_text(&query, ":roles", cb_buffer_text(&list));
        status = cb_query_run(&query, error);
    }
    if (status == CB_OK) {
        cb_query query = cb_query_begin(store->database, "person_name");
        cb_query_bind_blob(&query, ":id", person->bytes, sizeof person->bytes);
        cb_query_bind_text(&query, ":name", name);
        status = cb_query_run(&query, error);
    }
    json_decref(value);
    cb_buffer_clear(&list);
    return status;
}

static cb_status open_names_key(cb_store *store, const struct answer *answer,
                                cb_error *error)
{
    uint8_t *key = cb_secret_bytes(store->key_in_use);
    if (crypto_box_seal_open(key, answer->sealed_key, CB_SEALED_KEY_BYTES,
                             store->sealing_public,
                             cb_secret_view(store->sealing_key)) != 0) {
        return cb_error_set(error, CB_DAMAGED,
                            "the admission's key does not open on this "
                            "device");
    }
    return cb_service_keep_names_key(store, &answer->names_key_id, key, error);
}

static cb_status pin(cb_store *store, const struct answer *answer,
                     const cb_lines *lines, cb_error *error)
{
    cb_status status =
        cb_service_put(store, &answer->realm, answer->root_key,
                       answer->hub_signing, &answer->person, error);
    if (status == CB_OK) {
        status =
            cb_service_put_words(store, cb_lines_value(lines, "realm-name"),
                                 cb_lines_value(lines, "name"),
                                 cb_lines_value(lines, "log"), false, error);
    }
    if (status == CB_OK) {
        status = cb_meta_put(store, "device.certificate", answer->certificate,
                             sizeof answer->certificate, error);
    }
    if (status == CB_OK) {
        status = open_names_key(store, answer, error);
    }
    if (status == CB_OK) {
        status = put_device_row(store, &answer->hub_device, &answer->hub_person,
                                answer->hub_signing, answer->hub_sealing,
                                answer->hub_certificate, true, error);
    }
    if (status == CB_OK) {
        status = put_device_row(store, &store->identity.device, &answer->person,
                                store->device_public, store->sealing_public,
                                answer->certificate, false, error);
    }
    if (status == CB_OK) {
        status = put_own_roles(store, &answer->person,
                               cb_lines_value(lines, "roles"),
                               cb_lines_value(lines, "name"), error);
    }
    if (status == CB_OK && answer->checkpoint_size > 0) {
        status = cb_exchange_remember_checkpoint(store, answer->checkpoint_size,
                                                 &answer->checkpoint_root, "",
                                                 error);
    }
    return status == CB_OK ? cb_identity_begin_stream(store, error) : status;
}

static cb_status refuse_joined(const cb_store *store, cb_error *error)
{
    cb_status status = cb_error_set(
        error, CB_EXISTS, "this store belongs to the service '%s' already",
        store->identity.realm_name);
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "make another store with casebound -C DIR init");
    return status;
}

cb_status cb_enrolment_offered(cb_store *store, cb_span admission,
                               cb_offer *ret_offer, cb_error *reterr_error)
{
    struct answer answer;
    if (store->identity.joined) {
        return refuse_joined(store, reterr_error);
    }
    cb_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status =
        cb_lines_parse(admission, CB_ADMISSION_TITLE, cb_admission_names,
                       CB_ADMISSION_LINES, lines, reterr_error);
    if (status == CB_OK) {
        status = check_answer(store, admission, lines, &answer, reterr_error);
    }
    if (status == CB_OK) {
        *ret_offer =
            (cb_offer){ .realm = answer.realm, .person = answer.person };
        (void)snprintf(ret_offer->realm_name, sizeof ret_offer->realm_name,
                       "%s", cb_lines_value(lines, "realm-name"));
        (void)snprintf(ret_offer->person_name, sizeof ret_offer->person_name,
                       "%s", cb_lines_value(lines, "name"));
        (void)snprintf(ret_offer->roles, sizeof ret_offer->roles, "%s",
                       cb_lines_value(lines, "roles"));
        (void)snprintf(ret_offer->log_address, sizeof ret_offer->log_address,
                       "%s", cb_lines_value(lines, "log"));
    }
    free(lines);
    return status;
}

cb_status cb_enrolment_join(cb_store *store, cb_span admission,
                            cb_error *reterr_error)
{
    struct answer answer;
    if (store->identity.joined) {
        return refuse_joined(store, reterr_error);
    }
    cb_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status =
        cb_lines_parse(admission, CB_ADMISSION_TITLE, cb_admission_names,
                       CB_ADMISSION_LINES, lines, reterr_error);
    if (status == CB_OK) {
        status = check_answer(store, admission, lines, &answer, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_store_begin(store, reterr_error);
        if (status == CB_OK) {
            status = pin(store, &answer, lines, reterr_error);
        }
        if (status == CB_OK) {
            status = cb_store_commit(store, reterr_error);
        }
        if (status != CB_OK) {
            cb_store_abort(store);
        }
    }
    free(lines);
    return status;
}
