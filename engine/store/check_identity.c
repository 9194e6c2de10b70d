/* SPDX-License-Identifier: Apache-2.0 */
/* Who this store is: its own keys, the service's, and that they belong. */
#include "store/check.h"

#include "roster/enrolment.h"

#include <sodium.h>
#include <string.h>

#define TEXT_BYTES_MAX  1024
#define CLOCK_BEHIND_MS INT64_C(3600000)

/* Adds a finding where the value is missing; `ret_there` may be NULL. */
static cb_status find_value(cb_check *check, const char *name, void *bytes,
                            size_t size, bool *there)
{
    cb_error words = { .status = CB_OK };
    const cb_check_place place = cb_check_at_subject(name);
    cb_status status =
        cb_meta_get_bytes(check->store, name, bytes, size, &words);
    *there = *there && status == CB_OK;
    if (status == CB_NOT_FOUND || words.status == CB_DAMAGED) {
        return cb_check_found(check, CB_CHECK_IDENTITY_MISSING, &place,
                              "the store's value '%s' %s", name,
                              status == CB_NOT_FOUND
                                  ? "is missing"
                                  : "cannot be what was stored");
    }
    return cb_check_bear(check, status, &words, &place, name);
}

static cb_status find_text(cb_check *check, const char *name)
{
    cb_error words = { .status = CB_OK };
    const cb_check_place place = cb_check_at_subject(name);
    cb_buffer text;
    cb_buffer_init(&text, TEXT_BYTES_MAX);
    cb_status status = cb_meta_get(check->store, name, &text, &words);
    cb_buffer_clear(&text);
    return status == CB_NOT_FOUND
               ? cb_check_found(check, CB_CHECK_IDENTITY_MISSING, &place,
                                "the store's value '%s' is missing", name)
               : cb_check_bear(check, status, &words, &place, name);
}

/* Whether a pair of 64 bytes is what its seed makes. */
static bool pair_holds(const cb_secret *pair)
{
    cb_secret *made = NULL;
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    bool holds = cb_secret_create(CB_SIGNING_KEY_BYTES, &made, NULL) == CB_OK &&
                 crypto_sign_seed_keypair(public_key, cb_secret_bytes(made),
                                          cb_secret_view(pair)) == 0 &&
                 sodium_memcmp(cb_secret_view(made), cb_secret_view(pair),
                               CB_SIGNING_KEY_BYTES) == 0;
    cb_secret_destroy(made);
    return holds;
}

static cb_status check_pair(cb_check *check, const char *name,
                            enum cb_check_code code, uint8_t *public_key,
                            bool *there)
{
    cb_secret *pair = NULL;
    const cb_check_place place = cb_check_at_subject(name);
    cb_status status =
        cb_secret_create(CB_SIGNING_KEY_BYTES, &pair, &check->error);
    if (status == CB_OK) {
        status = find_value(check, name, cb_secret_bytes(pair),
                            CB_SIGNING_KEY_BYTES, there);
    }
    if (status == CB_OK && *there) {
        (void)crypto_sign_ed25519_sk_to_pk(public_key, cb_secret_view(pair));
        check->report->checked.keys++;
        if (!pair_holds(pair)) {
            *there = false;
            status = cb_check_found(check, code, &place,
                                    "the halves of the key '%s' do not belong "
                                    "together",
                                    name);
        }
    }
    cb_secret_destroy(pair);
    return status;
}

static cb_status check_device(cb_check *check)
{
    cb_store *store = check->store;
    bool there = true;
    cb_secret *sealing = NULL;
    cb_status status =
        find_value(check, "device.id", store->identity.device.bytes,
                   sizeof store->identity.device.bytes, &there);
    if (status == CB_OK) {
        status = check_pair(check, "device.signing", CB_CHECK_KEY_DEVICE,
                            store->device_public, &there);
    }
    if (status == CB_OK) {
        status = cb_secret_create(CB_KEY_BYTES, &sealing, &check->error);
    }
    if (status == CB_OK) {
        status = find_value(check, "device.sealing", cb_secret_bytes(sealing),
                            CB_KEY_BYTES, &there);
    }
    if (status == CB_OK && there) {
        (void)crypto_scalarmult_base(store->sealing_public,
                                     cb_secret_view(sealing));
        check->report->checked.keys++;
    }
    check->has_identity = there;
    cb_secret_destroy(sealing);
    return status;
}

static cb_status check_realm(cb_check *check)
{
    cb_store_identity *identity = &check->store->identity;
    cb_realm_id realm;
    bool there = true;
    uint8_t hub[8];

    const struct {
        const char *name;
        void *bytes;
        size_t size;
    } rows[] = {
        { "realm.id", identity->realm.bytes, sizeof identity->realm.bytes },
        { "realm.root", identity->root_key, sizeof identity->root_key },
        { "realm.hub", identity->hub_key, sizeof identity->hub_key },
        { "person.id", identity->person.bytes, sizeof identity->person.bytes },
        { "stream.id", identity->stream.bytes, sizeof identity->stream.bytes },
        { "realm.key", check->store->realm_key_id.bytes,
          sizeof check->store->realm_key_id.bytes },
        { "hub", hub, sizeof hub },
    };

    cb_status status = CB_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == CB_OK;
         i++) {
        status = find_value(check, rows[i].name, rows[i].bytes, rows[i].size,
                            &there);
    }
    check->has_service = status == CB_OK && there;
    identity->hub = check->has_service && cb_get_u64(hub) == 1;
    if (!check->has_service) {
        return status;
    }
    cb_realm_of(identity->root_key, &realm);
    if (memcmp(&realm, &identity->realm, sizeof realm) != 0) {
        const cb_check_place place = cb_check_at_subject("realm.root");
        status = cb_check_found(check, CB_CHECK_IDENTITY_MISSING, &place,
                                "the root key is not that of the service");
        check->has_service = false;
    }
    return status;
}

/*
 * The certificate speaks of the device's id, person and both keys; whether it
 * is the certificate or a key that was changed, the roster's row tells.
 */
static cb_status check_certificate(cb_check *check)
{
    cb_store *store = check->store;
    const cb_store_identity *identity = &store->identity;
    const cb_check_place place = cb_check_at_subject("device.certificate");
    uint8_t certificate[CB_SIGNATURE_BYTES];
    cb_device_facts row;
    bool there = true;
    cb_status status = find_value(check, "device.certificate", certificate,
                                  sizeof certificate, &there);
    if (status != CB_OK || !there || !check->has_identity ||
        cb_certificate_holds(&identity->realm, &identity->device,
                             &identity->person, store->device_public,
                             store->sealing_public, identity->hub, certificate,
                             identity->hub ? identity->root_key
                                           : identity->hub_key)) {
        return status;
    }
    bool other_keys =
        cb_device_find(store, &identity->device, &row, NULL) == CB_OK &&
        (memcmp(row.signing_key, store->device_public,
                sizeof row.signing_key) != 0 ||
         memcmp(row.sealing_key, store->sealing_public,
                sizeof row.sealing_key) != 0);
    return other_keys
               ? cb_check_found(check, CB_CHECK_KEY_DEVICE, &place,
                                "the keys of this device are not those that "
                                "the service certified")
               : cb_check_found(check, CB_CHECK_KEY_CERTIFICATE, &place,
                                "the service's certificate of this device "
                                "does not hold");
}

static cb_status check_stream_key(cb_check *check)
{
    cb_store *store = check->store;
    const cb_check_place place = cb_check_at_entry(&store->identity.stream, 0);
    cb_error words = { .status = CB_OK };
    cb_stream_row row;
    bool there = true;
    cb_status status = check_pair(check, "stream.key", CB_CHECK_KEY_STREAM,
                                  store->stream_public, &there);
    if (status != CB_OK || !there) {
        return status;
    }
    status = cb_stream_find(store, &store->identity.stream, &row, &words);
    if (status == CB_NOT_FOUND || (status == CB_OK && !row.facts.own)) {
        return cb_check_found(check, CB_CHECK_IDENTITY_MISSING, &place,
                              "the store has lost its own stream");
    }
    if (status == CB_OK && memcmp(row.facts.public_key, store->stream_public,
                                  sizeof store->stream_public) != 0) {
        return cb_check_found(check, CB_CHECK_KEY_STREAM, &place,
                              "the key of this store's stream is another "
                              "than the stream was opened with");
    }
    return cb_check_bear(check, status, &words, &place, "the own stream");
}

static cb_status check_realm_key(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    const cb_check_place place = cb_check_at_subject("realm.key");
    cb_query query = cb_query_begin(check->store->database, "check_key_realm");
    cb_query_bind_blob(&query, ":key_id", check->store->realm_key_id.bytes,
                       sizeof check->store->realm_key_id.bytes);
    cb_status status = cb_query_step(&query, &words);
    cb_query_end(&query);
    if (status == CB_END) {
        return cb_check_found(check, CB_CHECK_KEY_REALM, &place,
                              "the service's key of names is missing");
    }
    if (status == CB_OK) {
        query = cb_query_begin(check->store->database, "check_key_count");
        status = cb_query_step(&query, &words);
        check->report->checked.keys +=
            status == CB_OK ? (uint64_t)cb_query_integer(&query, 0) : 0;
        cb_query_end(&query);
    }
    return cb_check_bear(check, status, &words, &place,
                         "the keys of compartments");
}

/* The database and unlock.json name one store. */
static cb_status check_store_id(cb_check *check)
{
    uint8_t id[CB_IDENTIFIER_BYTES];
    bool there = true;
    const cb_check_place place = cb_check_at_file("unlock.json");
    cb_status status = find_value(check, "store.id", id, sizeof id, &there);
    return status == CB_OK && there &&
                   memcmp(id, check->store->store_id, sizeof id) != 0
               ? cb_check_found(check, CB_CHECK_UNLOCK_FOREIGN, &place,
                                "'unlock.json' names another store than the "
                                "database")
               : status;
}

static cb_status check_clock(cb_check *check)
{
    const cb_store *store = check->store;
    int64_t now_ms = check->environment->now_ms(check->environment->context);
    int64_t newest_ms = cb_entry_time_ms(store->last_time);
    if (now_ms < CB_CLOCK_PLAUSIBLE_MS) {
        return cb_check_found(check, CB_CHECK_CLOCK_UNSET, NULL,
                              "the clock of this machine was never set");
    }
    return newest_ms > now_ms + CLOCK_BEHIND_MS
               ? cb_check_found(check, CB_CHECK_CLOCK_BEHIND, NULL,
                                "the clock of this machine is %lld hours "
                                "behind the newest entry",
                                (long long)((newest_ms - now_ms) / 3600000))
               : CB_OK;
}

/* Everything was there, so it can be loaded as an opening does. */
static cb_status load(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    const cb_store_identity read = check->store->identity;
    cb_status status = cb_identity_load(check->store, &words);
    if (status == CB_OK) {
        check->has_loaded = true;
        return check_clock(check);
    }
    /* What was read one by one above stays good. */
    check->store->identity = read;
    return cb_check_bear(check, status, &words, NULL,
                         "what the store knows of itself");
}

/* A store that has joined no service has none of these. */
static bool has_joined(cb_check *check)
{
    static const char *const names[] = { "realm.id", "realm.root",
                                         "stream.id" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t byte = 0;
        if (cb_meta_get_bytes(check->store, names[i], &byte, 1, NULL) !=
            CB_NOT_FOUND) {
            return true;
        }
    }
    return false;
}

cb_status cb_check_identity(cb_check *check)
{
    if (!check->readable || !check->has_current) {
        return CB_OK;
    }
    cb_status status = cb_check_step(check, "checking keys", 0, 0);
    if (status == CB_OK) {
        status = check_store_id(check);
    }
    if (status == CB_OK) {
        status = check_device(check);
    }
    if (status != CB_OK || !has_joined(check)) {
        return status;
    }
    status = check_realm(check);
    for (size_t i = 0; i < 3 && status == CB_OK; i++) {
        static const char *const texts[] = { "realm.name", "person.name",
                                             "log.address" };
        status = find_text(check, texts[i]);
    }
    if (status == CB_OK && check->has_service) {
        status = check_certificate(check);
    }
    if (status == CB_OK && check->has_service) {
        status = check_stream_key(check);
    }
    if (status == CB_OK && check->has_service) {
        status = check_realm_key(check);
    }
    return status == CB_OK && check->has_service && check->has_identity
               ? load(check)
               : status;
}
