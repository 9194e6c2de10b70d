/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/enrolment.h>

#include "base/json.h"
#include "roster/lines.h"
#include "store/internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_TITLE    "casebound enrolment request"
#define ADMISSION_TITLE  "casebound admission"
#define SEALED_KEY_BYTES (CB_KEY_BYTES + crypto_box_SEALBYTES)

static const char *const request_names[] = { "device", "signing-key",
                                             "sealing-key" };

static const char *const admission_names[] = {
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

static const char *const role_names[] = {
    "facilitator", "supervisor", "coordinator",
    "auditor",     "partner",    "safeguarding_lead",
};

/* The keys of a device as a request states them. */
struct request {
    cb_device_id device;
    uint8_t signing[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing[CB_PUBLIC_KEY_BYTES];
    cb_hash hash; /* what an admission answers */
};

static void hash_request(struct request *request)
{
    uint8_t bytes[CB_IDENTIFIER_BYTES + 2 * CB_PUBLIC_KEY_BYTES];
    memcpy(bytes, request->device.bytes, CB_IDENTIFIER_BYTES);
    memcpy(bytes + CB_IDENTIFIER_BYTES, request->signing, CB_PUBLIC_KEY_BYTES);
    memcpy(bytes + CB_IDENTIFIER_BYTES + CB_PUBLIC_KEY_BYTES, request->sealing,
           CB_PUBLIC_KEY_BYTES);
    cb_hash_domain("enrolment", (cb_span){ bytes, sizeof bytes },
                   &request->hash);
}

static void own_request(const cb_store *store, struct request *request)
{
    request->device = store->identity.device;
    memcpy(request->signing, store->device_public, CB_PUBLIC_KEY_BYTES);
    memcpy(request->sealing, store->sealing_public, CB_PUBLIC_KEY_BYTES);
    hash_request(request);
}

/* Half the hash in groups of four, to be read aloud. */
static void write_fingerprint(const cb_hash *hash, char *text)
{
    char digits[CB_HASH_TEXT_BYTES];
    cb_hex_format(hash->bytes, sizeof hash->bytes, digits);
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
    struct request request;
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
    own_request(store, &request);
    cb_buffer_append_text(text, REQUEST_TITLE " 1\n");
    cb_lines_put_hex(text, "device", request.device.bytes,
                     sizeof request.device.bytes);
    cb_lines_put_base64(text, "signing-key", request.signing,
                        sizeof request.signing);
    cb_lines_put_base64(text, "sealing-key", request.sealing,
                        sizeof request.sealing);
    cb_lines_sign(text, "enrolment request", store->device_key);
    write_fingerprint(&request.hash, ret_fingerprint);
    return cb_buffer_check(text, reterr_error);
}

static cb_status parse_request(cb_span text, struct request *request,
                               cb_error *error)
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
    struct request parsed;
    cb_status status = parse_request(request, &parsed, reterr_error);
    if (status == CB_OK) {
        write_fingerprint(&parsed.hash, ret_fingerprint);
    }
    return status;
}

/* -------------------------------------------------------------- the realm */

static cb_status put_service(cb_store *store, const cb_realm_id *realm,
                             const uint8_t *root_key, const uint8_t *hub_key,
                             const cb_person_id *person, cb_error *error)
{
    const struct {
        const char *name;
        const void *bytes;
        size_t size;
    } rows[] = {
        { "realm.id", realm->bytes, sizeof realm->bytes },
        { "realm.root", root_key, CB_PUBLIC_KEY_BYTES },
        { "realm.hub", hub_key, CB_PUBLIC_KEY_BYTES },
        { "person.id", person->bytes, sizeof person->bytes },
    };

    cb_status status = CB_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == CB_OK;
         i++) {
        status = cb_meta_put(store, rows[i].name, rows[i].bytes, rows[i].size,
                             error);
    }
    return status;
}

static cb_status put_words(cb_store *store, const char *realm_name,
                           const char *person_name, const char *log_address,
                           bool hub, cb_error *error)
{
    cb_status status = cb_meta_put_text(store, "realm.name", realm_name, error);
    if (status == CB_OK) {
        status = cb_meta_put_text(store, "person.name", person_name, error);
    }
    if (status == CB_OK) {
        status = cb_meta_put_text(store, "log.address", log_address, error);
    }
    if (status == CB_OK) {
        status = cb_meta_put_number(store, "hub", hub, error);
    }
    return status;
}

static void realm_of(const uint8_t *root_key, cb_realm_id *realm)
{
    cb_hash hash;
    cb_hash_domain("realm", (cb_span){ root_key, CB_PUBLIC_KEY_BYTES }, &hash);
    memcpy(realm->bytes, hash.bytes, sizeof realm->bytes);
}

/* The names' key: a compartment of no case, class N. */
static cb_status keep_names_key(cb_store *store, const cb_key_id *key_id,
                                const uint8_t *key, cb_error *error)
{
    const cb_compartment names = { .class = "N" };
    const cb_person_id none = { { 0 } };
    cb_status status =
        cb_compartment_keep(store, key_id, &names, key, &none, error);
    if (status == CB_OK) {
        status = cb_meta_put(store, "realm.key", key_id->bytes,
                             sizeof key_id->bytes, error);
    }
    return status;
}

static cb_status check_name(const char *what, const char *name, cb_error *error)
{
    size_t size = strlen(name);
    bool clean = size > 0 && size <= CB_NAME_BYTES_MAX;
    for (size_t i = 0; i < size && clean; i++) {
        clean = (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
    }
    json_t *text = json_string(name);
    clean = clean && text != NULL;
    json_decref(text);
    if (clean) {
        return CB_OK;
    }
    cb_status status = cb_error_set(
        error, CB_INPUT, "the %s is not one line of 1 to %d bytes of text",
        what, CB_NAME_BYTES_MAX);
    cb_error_meaning(error, "nothing was changed");
    return status;
}

static json_t *person_operation(const cb_person_id *person,
                                const char *const *roles, size_t role_count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < role_count; i++) {
        (void)json_array_append_new(list, json_string(roles[i]));
    }
    return json_pack("{s:s, s:o, s:o}", "op", "person", "person",
                     cb_json_hex(person->bytes, sizeof person->bytes), "roles",
                     list);
}

static json_t *device_operation(const cb_device_id *device,
                                const cb_person_id *person,
                                const uint8_t *signing, const uint8_t *sealing,
                                const uint8_t *certificate, bool hub)
{
    return json_pack(
        "{s:s, s:o, s:o, s:b, s:o, s:o, s:o}", "op", "device", "certificate",
        cb_json_hex(certificate, CB_SIGNATURE_BYTES), "device",
        cb_json_hex(device->bytes, sizeof device->bytes), "hub", (int)hub,
        "person", cb_json_hex(person->bytes, sizeof person->bytes),
        "sealing_key", cb_json_hex(sealing, CB_PUBLIC_KEY_BYTES), "signing_key",
        cb_json_hex(signing, CB_PUBLIC_KEY_BYTES));
}

static cb_status make_root(const cb_environment *environment,
                           cb_secret **ret_root, uint8_t *root_public,
                           cb_error *error)
{
    cb_secret *seed = NULL;
    cb_secret *root = NULL;
    cb_status status = cb_secret_create_random(
        environment, crypto_sign_SEEDBYTES, &seed, error);
    if (status == CB_OK) {
        status = cb_secret_create(CB_SIGNING_KEY_BYTES, &root, error);
    }
    if (status == CB_OK) {
        (void)crypto_sign_seed_keypair(root_public, cb_secret_bytes(root),
                                       cb_secret_view(seed));
        *ret_root = root;
    }
    cb_secret_destroy(seed);
    return status;
}

static cb_status found(cb_store *store, const char *realm_name,
                       const char *person_name, const char *log_address,
                       const cb_secret *root, const uint8_t *root_public,
                       cb_error *error)
{
    static const char *const roles[] = { "coordinator" };
    const cb_environment *environment = store->environment;
    cb_realm_id realm;
    cb_person_id person;
    cb_key_id key_id;
    uint8_t key[CB_KEY_BYTES];
    uint8_t certificate[CB_SIGNATURE_BYTES];
    realm_of(root_public, &realm);
    environment->random(environment->context, person.bytes,
                        sizeof person.bytes);
    environment->random(environment->context, key_id.bytes,
                        sizeof key_id.bytes);
    environment->random(environment->context, key, sizeof key);
    cb_status status = cb_certificate_sign(
        &realm, &store->identity.device, &person, store->device_public,
        store->sealing_public, true, root, certificate, error);
    if (status == CB_OK) {
        status = put_service(store, &realm, root_public, store->device_public,
                             &person, error);
    }
    if (status == CB_OK) {
        status =
            put_words(store, realm_name, person_name, log_address, true, error);
    }
    if (status == CB_OK) {
        status = cb_meta_put(store, "device.certificate", certificate,
                             sizeof certificate, error);
    }
    if (status == CB_OK) {
        status = keep_names_key(store, &key_id, key, error);
    }
    sodium_memzero(key, sizeof key);
    if (status == CB_OK) {
        status = cb_identity_begin_stream(store, error);
    }
    if (status == CB_OK) {
        status = cb_roster_append(
            store,
            json_pack("[o, o]", person_operation(&person, roles, 1),
                      device_operation(&store->identity.device, &person,
                                       store->device_public,
                                       store->sealing_public, certificate,
                                       true)),
            error);
    }
    if (status == CB_OK) {
        status = cb_roster_append_name(store, &person, person_name, error);
    }
    return status;
}

cb_status cb_enrolment_found(cb_store *store, const char *realm_name,
                             const char *person_name, const char *log_address,
                             cb_secret **ret_root_key, cb_error *reterr_error)
{
    cb_secret *root = NULL;
    uint8_t root_public[CB_PUBLIC_KEY_BYTES];
    if (store->identity.joined) {
        return cb_error_set(reterr_error, CB_EXISTS,
                            "this store belongs to the service '%s' already",
                            store->identity.realm_name);
    }
    cb_status status =
        check_name("name of the service", realm_name, reterr_error);
    if (status == CB_OK) {
        status = check_name("name of the person", person_name, reterr_error);
    }
    if (status == CB_OK) {
        status =
            make_root(store->environment, &root, root_public, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_store_begin(store, reterr_error);
    }
    if (status == CB_OK) {
        status = found(store, realm_name, person_name, log_address, root,
                       root_public, reterr_error);
        if (status == CB_OK) {
            status = cb_store_commit(store, reterr_error);
        }
        if (status != CB_OK) {
            cb_store_abort(store);
        }
    }
    if (status == CB_OK) {
        *ret_root_key = root;
        root = NULL;
    }
    cb_secret_destroy(root);
    return status;
}

/* ------------------------------------------------------------- admitting */

static cb_status check_roles(const cb_admission *admission, cb_error *error)
{
    for (size_t i = 0; i < admission->role_count; i++) {
        bool known = false;
        for (size_t j = 0; j < sizeof role_names / sizeof role_names[0]; j++) {
            known = known || strcmp(admission->roles[i], role_names[j]) == 0;
        }
        if (!known) {
            cb_status status = cb_error_set(
                error, CB_INPUT, "'%.32s' is not a role", admission->roles[i]);
            cb_error_meaning(error, "nobody was enrolled");
            cb_error_next(error, "use facilitator, supervisor, coordinator, "
                                 "auditor, partner or safeguarding_lead");
            return status;
        }
    }
    return admission->role_count > 0
               ? CB_OK
               : cb_error_set(error, CB_INPUT, "no role was given");
}

/* The device of this request, where it was admitted before. */
static cb_status find_admitted(cb_store *store, const struct request *request,
                               bool *ret_found, cb_person_id *ret_person,
                               cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "device_by_key");
    cb_query_bind_blob(&query, ":signing_key", request->signing,
                       sizeof request->signing);
    cb_status status = cb_query_step(&query, error);
    *ret_found = status == CB_OK;
    if (status == CB_OK) {
        (void)cb_query_copy(&query, 1, ret_person->bytes,
                            sizeof ret_person->bytes);
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static cb_status enter_roster(cb_store *store, const struct request *request,
                              const cb_admission *admission,
                              const cb_person_id *person,
                              const uint8_t *certificate, cb_error *error)
{
    json_t *operations = json_array();
    if (admission->person == NULL) {
        (void)json_array_append_new(
            operations,
            person_operation(person, admission->roles, admission->role_count));
    }
    (void)json_array_append_new(
        operations, device_operation(&request->device, person, request->signing,
                                     request->sealing, certificate, false));
    cb_status status = cb_roster_append(store, operations, error);
    if (status == CB_OK && admission->person == NULL) {
        status = cb_roster_append_name(store, person, admission->name, error);
    }
    return status;
}

static cb_status put_names_key(cb_store *store, const struct request *request,
                               cb_buffer *text, cb_error *error)
{
    cb_compartment compartment;
    uint8_t sealed[SEALED_KEY_BYTES];
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

static cb_status write_admission(cb_store *store, const struct request *request,
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
    cb_buffer_append_text(text, ADMISSION_TITLE " 1\n");
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

static cb_status admit(cb_store *store, const struct request *request,
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
    struct request parsed;
    cb_status status = cb_store_require_hub(store, reterr_error);
    if (status == CB_OK) {
        status =
            check_name("name of the person", admission->name, reterr_error);
    }
    if (status == CB_OK) {
        status = check_roles(admission, reterr_error);
    }
    if (status == CB_OK) {
        status = parse_request(request, &parsed, reterr_error);
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
    write_fingerprint(&parsed.hash, ret_fingerprint);
    return CB_OK;
}

/* --------------------------------------------------------------- joining */

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
    uint8_t sealed_key[SEALED_KEY_BYTES];
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
    realm_of(answer->root_key, &realm);
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

static cb_status check_answer(cb_store *store, cb_span text,
                              const cb_lines *lines, struct answer *answer,
                              cb_error *error)
{
    struct request own;
    cb_hash answers;
    own_request(store, &own);
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
    return CB_OK;
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

static cb_status put_own_roles(cb_store *store, const cb_person_id *person,
                               const char *roles, const char *name,
                               cb_error *error)
{
    cb_buffer list;
    cb_buffer_init(&list, 4096);
    cb_buffer_append_text(&list, "[\"");
    for (const char *c = roles; *c != '\0'; c++) {
        cb_buffer_append(&list, *c == ',' ? "\",\"" : c, *c == ',' ? 3 : 1);
    }
    cb_buffer_append_text(&list, "\"]");
    cb_query query = cb_query_begin(store->database, "person_put");
    cb_query_bind_blob(&query, ":id", person->bytes, sizeof person->bytes);
    cb_query_bind_text(&query, ":roles", cb_buffer_text(&list));
    cb_status status = cb_query_run(&query, error);
    cb_buffer_clear(&list);
    if (status == CB_OK) {
        query = cb_query_begin(store->database, "person_name");
        cb_query_bind_blob(&query, ":id", person->bytes, sizeof person->bytes);
        cb_query_bind_text(&query, ":name", name);
        status = cb_query_run(&query, error);
    }
    return status;
}

static cb_status open_names_key(cb_store *store, const struct answer *answer,
                                cb_error *error)
{
    uint8_t *key = cb_secret_bytes(store->key_in_use);
    if (crypto_box_seal_open(key, answer->sealed_key, SEALED_KEY_BYTES,
                             store->sealing_public,
                             cb_secret_view(store->sealing_key)) != 0) {
        return cb_error_set(error, CB_DAMAGED,
                            "the admission's key does not open on this "
                            "device");
    }
    return keep_names_key(store, &answer->names_key_id, key, error);
}

static cb_status pin(cb_store *store, const struct answer *answer,
                     const cb_lines *lines, cb_error *error)
{
    cb_status status = put_service(store, &answer->realm, answer->root_key,
                                   answer->hub_signing, &answer->person, error);
    if (status == CB_OK) {
        status = put_words(store, cb_lines_value(lines, "realm-name"),
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
        cb_lines_parse(admission, ADMISSION_TITLE, admission_names,
                       sizeof admission_names / sizeof admission_names[0],
                       lines, reterr_error);
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
        cb_lines_parse(admission, ADMISSION_TITLE, admission_names,
                       sizeof admission_names / sizeof admission_names[0],
                       lines, reterr_error);
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
