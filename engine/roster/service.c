/* SPDX-License-Identifier: Apache-2.0 */
/* A service: what a store remembers of its own, and how a hub founds one. */
#include "base/json.h"
#include "roster/enrolment.h"

#include <string.h>

/* Name of a value: the realm whose root key was made here last. */
#define FOUNDING "realm.founding"

static const char *const role_names[] = {
    "facilitator", "supervisor", "coordinator",
    "auditor",     "partner",    "designated_lead",
};

cb_status cb_service_put(cb_store *store, const cb_realm_id *realm,
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

cb_status cb_service_put_words(cb_store *store, const char *realm_name,
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

void cb_realm_of(const uint8_t *root_key, cb_realm_id *realm)
{
    cb_hash hash;
    cb_hash_domain("realm", (cb_span){ root_key, CB_PUBLIC_KEY_BYTES }, &hash);
    memcpy(realm->bytes, hash.bytes, sizeof realm->bytes);
}

/* The names' key: a compartment of no case, class N. */
cb_status cb_service_keep_names_key(cb_store *store, const cb_key_id *key_id,
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

cb_status cb_enrolment_check_line(const char *what, const char *line,
                                  size_t size_max, cb_error *error)
{
    size_t size = strlen(line);
    bool clean = size > 0 && size <= size_max;
    for (size_t i = 0; i < size && clean; i++) {
        clean = (unsigned char)line[i] >= 0x20 && line[i] != 0x7f;
    }
    json_t *text = json_string(line);
    clean = clean && text != NULL;
    json_decref(text);
    if (clean) {
        return CB_OK;
    }
    cb_status status = cb_error_set(
        error, CB_INPUT, "the %s is not one line of 1 to %zu bytes of text",
        what, size_max);
    cb_error_meaning(error, "nothing was changed");
    return status;
}

bool cb_role_is_known(const char *role)
{
    for (size_t i = 0; i < sizeof role_names / sizeof role_names[0]; i++) {
        if (strcmp(role, role_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

json_t *cb_roster_person_operation(const cb_person_id *person,
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

json_t *cb_roster_device_operation(const cb_device_id *device,
                                   const cb_person_id *person,
                                   const uint8_t *signing,
                                   const uint8_t *sealing,
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
                           cb_secret **ret_root, cb_error *error)
{
    cb_secret *seed = NULL;
    cb_secret *root = NULL;
    uint8_t root_public[CB_PUBLIC_KEY_BYTES];
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

static cb_status refuse_joined(const cb_store *store, cb_error *error)
{
    return cb_error_set(error, CB_EXISTS,
                        "this store belongs to the service '%s' already",
                        store->identity.realm_name);
}

static void realm_of_secret(const cb_secret *root_key, uint8_t *root_public,
                            cb_realm_id *realm)
{
    CB_ASSERT(cb_secret_size(root_key) == CB_SIGNING_KEY_BYTES);
    (void)crypto_sign_ed25519_sk_to_pk(root_public, cb_secret_view(root_key));
    cb_realm_of(root_public, realm);
}

/*
 * Between the two the caller writes the key away.  The store remembers only
 * which realm it was made for: enough to know the key again in its file after a
 * crash, and no use to whoever gets at the hub.
 */
cb_status cb_enrolment_make_root(cb_store *store, cb_realm_id *ret_realm,
                                 cb_secret **ret_root_key,
                                 cb_error *reterr_error)
{
    cb_secret *root = NULL;
    cb_realm_id realm;
    uint8_t root_public[CB_PUBLIC_KEY_BYTES];
    if (store->identity.joined) {
        return refuse_joined(store, reterr_error);
    }
    cb_status status = make_root(store->environment, &root, reterr_error);
    if (status == CB_OK) {
        realm_of_secret(root, root_public, &realm);
        status = cb_store_begin(store, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_meta_put(store, FOUNDING, realm.bytes, sizeof realm.bytes,
                             reterr_error);
        if (status == CB_OK) {
            status = cb_store_commit(store, reterr_error);
        }
        if (status != CB_OK) {
            cb_store_abort(store);
        }
    }
    if (status == CB_OK) {
        *ret_realm = realm;
        *ret_root_key = root;
        root = NULL;
    }
    cb_secret_destroy(root);
    return status;
}

cb_status cb_enrolment_founding(cb_store *store, cb_realm_id *ret_realm,
                                cb_error *reterr_error)
{
    return cb_meta_get_bytes(store, FOUNDING, ret_realm->bytes,
                             sizeof ret_realm->bytes, reterr_error);
}

static cb_status found(cb_store *store, const char *realm_name,
                       const char *person_name, const char *log_address,
                       const cb_secret *root, cb_error *error)
{
    static const char *const roles[] = { "coordinator" };
    const cb_environment *environment = store->environment;
    cb_realm_id realm;
    cb_person_id person;
    cb_key_id key_id;
    uint8_t key[CB_KEY_BYTES];
    uint8_t certificate[CB_SIGNATURE_BYTES];
    uint8_t root_public[CB_PUBLIC_KEY_BYTES];
    realm_of_secret(root, root_public, &realm);
    environment->random(environment->context, person.bytes,
                        sizeof person.bytes);
    environment->random(environment->context, key_id.bytes,
                        sizeof key_id.bytes);
    environment->random(environment->context, key, sizeof key);
    cb_status status = cb_certificate_sign(
        &realm, &store->identity.device, &person, store->device_public,
        store->sealing_public, true, root, certificate, error);
    if (status == CB_OK) {
        status = cb_service_put(store, &realm, root_public,
                                store->device_public, &person, error);
    }
    if (status == CB_OK) {
        status = cb_service_put_words(store, realm_name, person_name,
                                      log_address, true, error);
    }
    if (status == CB_OK) {
        status = cb_meta_put(store, "device.certificate", certificate,
                             sizeof certificate, error);
    }
    if (status == CB_OK) {
        status = cb_service_keep_names_key(store, &key_id, key, error);
    }
    sodium_memzero(key, sizeof key);
    if (status == CB_OK) {
        status = cb_identity_begin_stream(store, error);
    }
    if (status == CB_OK) {
        status = cb_roster_append(
            store,
            json_pack("[o, o]", cb_roster_person_operation(&person, roles, 1),
                      cb_roster_device_operation(&store->identity.device,
                                                 &person, store->device_public,
                                                 store->sealing_public,
                                                 certificate, true)),
            error);
    }
    if (status == CB_OK) {
        status = cb_roster_append_name(store, &person, person_name, error);
    }
    return status;
}

cb_status cb_enrolment_found(cb_store *store, const char *realm_name,
                             const char *person_name, const char *log_address,
                             const cb_secret *root_key, cb_error *reterr_error)
{
    if (store->identity.joined) {
        return refuse_joined(store, reterr_error);
    }
    cb_status status = cb_enrolment_check_line(
        "name of the service", realm_name, CB_NAME_BYTES_MAX, reterr_error);
    if (status == CB_OK) {
        status = cb_enrolment_check_line("name of the person", person_name,
                                         CB_NAME_BYTES_MAX, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_enrolment_check_line("address of the log", log_address,
                                         sizeof store->identity.log_address - 1,
                                         reterr_error);
    }
    if (status == CB_OK) {
        status = cb_store_begin(store, reterr_error);
    }
    if (status == CB_OK) {
        status = found(store, realm_name, person_name, log_address, root_key,
                       reterr_error);
        if (status == CB_OK) {
            status = cb_store_commit(store, reterr_error);
        }
        if (status != CB_OK) {
            cb_store_abort(store);
        }
    }
    return status;
}
