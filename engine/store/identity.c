/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this store is: the device's keys, made with the store; the service and
 * the person, learnt when joining; the incarnation, begun then and again after
 * every restore.
 */
#include "base/json.h"
#include "store/internal.h"

#include <casebound/backup.h>

#include <sodium.h>
#include <string.h>

static cb_status load_secret(cb_store *store, const char *name, size_t size,
                             cb_secret **secret, cb_error *error)
{
    cb_secret *loaded = NULL;
    cb_status status = cb_secret_create(size, &loaded, error);
    if (status == CB_OK) {
        status = cb_meta_get_bytes(store, name, cb_secret_bytes(loaded), size,
                                   error);
    }
    if (status != CB_OK) {
        cb_secret_destroy(loaded);
        return status;
    }
    cb_secret_destroy(*secret);
    *secret = loaded;
    return CB_OK;
}

static cb_status load_device(cb_store *store, cb_error *error)
{
    cb_store_identity *identity = &store->identity;
    cb_status status =
        cb_meta_get_bytes(store, "device.id", identity->device.bytes,
                          sizeof identity->device.bytes, error);
    if (status == CB_OK) {
        status = load_secret(store, "device.signing", CB_SIGNING_KEY_BYTES,
                             &store->device_key, error);
    }
    if (status == CB_OK) {
        status = load_secret(store, "device.sealing", CB_KEY_BYTES,
                             &store->sealing_key, error);
    }
    if (status == CB_OK) {
        (void)crypto_sign_ed25519_sk_to_pk(store->device_public,
                                           cb_secret_view(store->device_key));
        (void)crypto_scalarmult_base(store->sealing_public,
                                     cb_secret_view(store->sealing_key));
    }
    if (status == CB_NOT_FOUND) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store '%s' has lost the keys of its device",
                              store->folder);
        cb_error_next(error, "casebound doctor");
    }
    return status;
}

static cb_status load_service(cb_store *store, cb_error *error)
{
    cb_store_identity *identity = &store->identity;
    uint64_t hub = 0;

    const struct {
        const char *name;
        void *bytes;
        size_t size;
    } rows[] = {
        { "realm.id", identity->realm.bytes, sizeof identity->realm.bytes },
        { "realm.root", identity->root_key, sizeof identity->root_key },
        { "realm.hub", identity->hub_key, sizeof identity->hub_key },
        { "realm.key", store->realm_key_id.bytes,
          sizeof store->realm_key_id.bytes },
        { "person.id", identity->person.bytes, sizeof identity->person.bytes },
        { "stream.id", identity->stream.bytes, sizeof identity->stream.bytes },
    };

    cb_status status = CB_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == CB_OK;
         i++) {
        status = cb_meta_get_bytes(store, rows[i].name, rows[i].bytes,
                                   rows[i].size, error);
    }
    if (status == CB_OK) {
        status = load_secret(store, "stream.key", CB_SIGNING_KEY_BYTES,
                             &store->stream_key, error);
    }
    if (status == CB_OK) {
        (void)crypto_sign_ed25519_sk_to_pk(store->stream_public,
                                           cb_secret_view(store->stream_key));
        status = cb_meta_get_text(store, "realm.name", identity->realm_name,
                                  sizeof identity->realm_name, error);
    }
    if (status == CB_OK) {
        status = cb_meta_get_text(store, "person.name", identity->person_name,
                                  sizeof identity->person_name, error);
    }
    if (status == CB_OK) {
        status = cb_meta_get_text(store, "log.address", identity->log_address,
                                  sizeof identity->log_address, error);
    }
    if (status == CB_OK) {
        status = cb_meta_get_number(store, "hub", &hub, error);
    }
    identity->hub = hub == 1;
    return status;
}

static cb_status load_roster(cb_store *store, cb_error *error)
{
    uint64_t version = 0;
    cb_status status =
        cb_meta_get_number(store, "roster.version", &version, error);
    if (status == CB_OK) {
        store->identity.roster = (uint32_t)version;
        status =
            cb_meta_get_bytes(store, "roster.hash", store->roster_hash.bytes,
                              sizeof store->roster_hash.bytes, error);
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

static cb_status load_seen(cb_store *store, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "checkpoint_find");
    cb_query_bind_integer(&query, ":size", INT64_MAX);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        store->identity.seen_size = (uint64_t)cb_query_integer(&query, 0);
        (void)cb_query_copy(&query, 1, store->identity.seen_root.bytes,
                            sizeof store->identity.seen_root.bytes);
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

/* The hybrid logical clock goes on from our newest entry. */
static cb_status load_time(cb_store *store, cb_error *error)
{
    if (store->identity.head_seq == 0) {
        return CB_OK;
    }
    cb_query query = cb_query_begin(store->database, "entry_of_stream");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":first", (int64_t)store->identity.head_seq);
    cb_query_bind_integer(&query, ":end",
                          (int64_t)store->identity.head_seq + 1);
    cb_entry entry;
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        status = cb_entry_decode(cb_query_blob(&query, 0), &entry, error);
    } else if (status == CB_END) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the newest entry of this store is missing");
        cb_error_next(error, "casebound doctor");
    }
    if (status == CB_OK && entry.header.time > store->last_time) {
        store->last_time = entry.header.time;
    }
    cb_query_end(&query);
    return status;
}

/* Others' clocks that pulled ours, and whether we may go on writing. */
static cb_status load_marks(cb_store *store, cb_error *error)
{
    uint64_t time = 0;
    uint64_t restored = 0;
    cb_status status = cb_meta_get_number(store, "clock", &time, error);
    if (status == CB_OK || status == CB_NOT_FOUND) {
        status = cb_meta_get_number(store, "restored", &restored, error);
    }
    if (time > store->last_time) {
        store->last_time = time;
    }
    store->identity.restored = restored == 1;
    return status == CB_NOT_FOUND ? CB_OK : status;
}

static cb_status load_stream(cb_store *store, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_find");
    cb_query_bind_blob(&query, ":id", store->identity.stream.bytes,
                       sizeof store->identity.stream.bytes);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        store->stream_number = cb_query_integer(&query, 0);
        store->identity.head_seq = (uint64_t)cb_query_integer(&query, 6);
        (void)cb_query_copy(&query, 7, store->head_hash.bytes,
                            sizeof store->head_hash.bytes);
        store->identity.accepted_seq = (uint64_t)cb_query_integer(&query, 8);
    } else if (status == CB_END) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store '%s' has lost its own stream",
                              store->folder);
        cb_error_next(error, "casebound doctor");
    }
    cb_query_end(&query);
    return status == CB_OK ? load_time(store, error) : status;
}

static cb_status load_commits(cb_store *store, cb_error *error)
{
    store->commits = 0;
    cb_status status =
        cb_meta_get_number(store, "commits", &store->commits, error);
    return status == CB_NOT_FOUND ? CB_OK : status;
}

cb_status cb_identity_load(cb_store *store, cb_error *error)
{
    uint8_t probe[CB_IDENTIFIER_BYTES];
    memset(&store->identity, 0, sizeof store->identity);
    memset(&store->roster_hash, 0, sizeof store->roster_hash);
    cb_status status = load_device(store, error);
    if (status == CB_OK) {
        status = load_commits(store, error);
    }
    if (status != CB_OK) {
        return status;
    }
    status = cb_meta_get_bytes(store, "realm.id", probe, sizeof probe, error);
    if (status == CB_NOT_FOUND) {
        return CB_OK;
    }
    if (status == CB_OK) {
        status = load_service(store, error);
    }
    if (status == CB_OK) {
        status = load_roster(store, error);
    }
    if (status == CB_OK) {
        status = load_seen(store, error);
    }
    if (status == CB_OK) {
        status = load_stream(store, error);
    }
    if (status == CB_OK) {
        status = load_marks(store, error);
    }
    if (status == CB_NOT_FOUND) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store '%s' does not say which service it "
                              "belongs to",
                              store->folder);
        cb_error_next(error, "casebound doctor");
    }
    store->identity.joined = status == CB_OK;
    return status;
}

static cb_status make_signing_key(cb_store *store, const char *name,
                                  cb_error *error)
{
    cb_secret *seed = NULL;
    cb_secret *key = NULL;
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    cb_status status = cb_secret_create_random(
        store->environment, crypto_sign_SEEDBYTES, &seed, error);
    if (status == CB_OK) {
        status = cb_secret_create(CB_SIGNING_KEY_BYTES, &key, error);
    }
    if (status == CB_OK) {
        (void)crypto_sign_seed_keypair(public_key, cb_secret_bytes(key),
                                       cb_secret_view(seed));
        status = cb_meta_put(store, name, cb_secret_view(key),
                             CB_SIGNING_KEY_BYTES, error);
    }
    cb_secret_destroy(seed);
    cb_secret_destroy(key);
    return status;
}

cb_status cb_identity_make(cb_store *store, cb_error *error)
{
    cb_device_id device;
    cb_secret *sealing = NULL;
    store->environment->random(store->environment->context, device.bytes,
                               sizeof device.bytes);
    cb_status status = cb_meta_put(store, "device.id", device.bytes,
                                   sizeof device.bytes, error);
    if (status == CB_OK) {
        status = make_signing_key(store, "device.signing", error);
    }
    if (status == CB_OK) {
        status = cb_secret_create_random(store->environment, CB_KEY_BYTES,
                                         &sealing, error);
    }
    if (status == CB_OK) {
        status = cb_meta_put(store, "device.sealing", cb_secret_view(sealing),
                             CB_KEY_BYTES, error);
    }
    cb_secret_destroy(sealing);
    return status;
}

static cb_status insert_stream(cb_store *store, const cb_stream_id *stream,
                               cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_insert");
    cb_query_bind_blob(&query, ":id", stream->bytes, sizeof stream->bytes);
    cb_query_bind_blob(&query, ":device", store->identity.device.bytes,
                       sizeof store->identity.device.bytes);
    cb_query_bind_blob(&query, ":person", store->identity.person.bytes,
                       sizeof store->identity.person.bytes);
    cb_query_bind_blob(&query, ":public_key", store->stream_public,
                       sizeof store->stream_public);
    cb_query_bind_integer(&query, ":own", 1);
    cb_query_bind_integer(&query, ":hub", store->identity.hub);
    return cb_query_run(&query, error);
}

/* What the device's key says about the stream's: realm, id, key. */
static void sign_stream(const cb_store *store, uint8_t *signature)
{
    uint8_t message[2 * CB_IDENTIFIER_BYTES + CB_PUBLIC_KEY_BYTES];
    memcpy(message, store->identity.realm.bytes, CB_IDENTIFIER_BYTES);
    memcpy(message + CB_IDENTIFIER_BYTES, store->identity.stream.bytes,
           CB_IDENTIFIER_BYTES);
    memcpy(message + (size_t)2 * CB_IDENTIFIER_BYTES, store->stream_public,
           CB_PUBLIC_KEY_BYTES);
    cb_sign("stream", (cb_span){ message, sizeof message }, store->device_key,
            signature);
}

/* `follows` may be NULL; its reference is shared. */
static cb_status append_opening(cb_store *store, json_t *follows,
                                cb_error *error)
{
    const cb_store_identity *identity = &store->identity;
    uint8_t certificate[CB_SIGNATURE_BYTES];
    uint8_t signature[CB_SIGNATURE_BYTES];
    cb_status status = cb_meta_get_bytes(
        store, "device.certificate", certificate, sizeof certificate, error);
    if (status != CB_OK) {
        return status;
    }
    sign_stream(store, signature);
    json_t *body = json_pack(
        "{s:o, s:o, s:o, s:b, s:o, s:o, s:i, s:o, s:o, s:o}", "certificate",
        cb_json_hex(certificate, sizeof certificate), "device",
        cb_json_hex(identity->device.bytes, sizeof identity->device.bytes),
        "device_key",
        cb_json_hex(store->device_public, sizeof store->device_public), "hub",
        (int)identity->hub, "person",
        cb_json_hex(identity->person.bytes, sizeof identity->person.bytes),
        "root_key", cb_json_hex(identity->root_key, sizeof identity->root_key),
        "schema", 1, "sealing_key",
        cb_json_hex(store->sealing_public, sizeof store->sealing_public),
        "stream_key",
        cb_json_hex(store->stream_public, sizeof store->stream_public),
        "stream_signature", cb_json_hex(signature, sizeof signature));
    if (body == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    if (follows != NULL && json_object_set(body, "follows", follows) != 0) {
        json_decref(body);
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_appended appended;
    status =
        cb_append(store, CB_ENTRY_OPENING, NULL, NULL, body, &appended, error);
    json_decref(body);
    return status;
}

static cb_status begin_stream(cb_store *store, json_t *follows, cb_error *error)
{
    cb_stream_id stream;
    store->environment->random(store->environment->context, stream.bytes,
                               sizeof stream.bytes);
    cb_status status = cb_meta_put(store, "stream.id", stream.bytes,
                                   sizeof stream.bytes, error);
    if (status == CB_OK) {
        status = make_signing_key(store, "stream.key", error);
    }
    if (status == CB_OK) {
        status = load_service(store, error);
    }
    if (status == CB_OK) {
        status = insert_stream(store, &stream, error);
    }
    if (status == CB_OK) {
        store->identity.joined = true;
        store->identity.head_seq = 0;
        memset(&store->head_hash, 0, sizeof store->head_hash);
        status = load_stream(store, error);
    }
    return status == CB_OK ? append_opening(store, follows, error) : status;
}

cb_status cb_identity_begin_stream(cb_store *store, cb_error *error)
{
    return begin_stream(store, NULL, error);
}

cb_status cb_identity_mark_restored(cb_store *store, cb_error *error)
{
    /* What is learnt of an earlier stream says nothing about the present. */
    if (store->in_earlier) {
        return CB_OK;
    }
    store->identity.restored = true;
    return cb_meta_put_number(store, "restored", 1, error);
}

cb_status cb_identity_require_current(const cb_store *store, cb_error *error)
{
    if (!store->identity.restored) {
        return CB_OK;
    }
    cb_status status = cb_error_set(error, CB_PERMISSION,
                                    "this is an older copy of a store that "
                                    "went on elsewhere");
    cb_error_meaning(error, "it can be read; nothing is recorded in it until "
                            "it has synced or somebody confirms it");
    cb_error_next(error, "casebound sync, or: casebound restore --in-place");
    return status;
}

static cb_status begin_incarnation(cb_store *store, bool keep_key,
                                   cb_error *error)
{
    const cb_store_identity *identity = &store->identity;
    json_t *follows = json_pack(
        "{s:o, s:I, s:o}", "hash",
        cb_json_hex(store->head_hash.bytes, sizeof store->head_hash.bytes),
        "seq", (json_int_t)identity->head_seq, "stream",
        cb_json_hex(identity->stream.bytes, sizeof identity->stream.bytes));
    if (follows == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    store->identity.restored = false;
    cb_status status = cb_meta_put_number(store, "restored", 0, error);
    if (status == CB_OK && keep_key) {
        status = cb_earlier_keep(store, error);
    }
    if (status == CB_OK) {
        status = begin_stream(store, follows, error);
    }
    json_decref(follows);
    return status;
}

cb_status cb_identity_enter_stream(cb_store *store, cb_error *error)
{
    store->identity.head_seq = 0;
    memset(&store->head_hash, 0, sizeof store->head_hash);
    (void)crypto_sign_ed25519_sk_to_pk(store->stream_public,
                                       cb_secret_view(store->stream_key));
    return load_stream(store, error);
}

cb_status cb_identity_resume(cb_store *store, cb_error *error)
{
    uint8_t realm[CB_IDENTIFIER_BYTES];
    cb_status status =
        cb_meta_get_bytes(store, "realm.id", realm, sizeof realm, error);
    if (status == CB_NOT_FOUND) {
        return cb_identity_load(store, error);
    }
    /* So that there is one until the new stream has its own; signs nothing. */
    if (status == CB_OK) {
        status = make_signing_key(store, "stream.key", error);
    }
    if (status == CB_OK) {
        status = cb_identity_load(store, error);
    }
    return status == CB_OK ? begin_incarnation(store, false, error) : status;
}

cb_status cb_exchange_begin_incarnation(cb_store *store, cb_error *reterr_error)
{
    const bool restored = store->identity.restored;
    cb_status status = cb_store_require_joined(store, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    bool own = !cb_database_in_transaction(store->database);
    status = own ? cb_store_begin(store, reterr_error) : CB_OK;
    if (status == CB_OK) {
        status = begin_incarnation(store, true, reterr_error);
    }
    if (status == CB_OK && own) {
        status = cb_store_commit(store, reterr_error);
    }
    if (status != CB_OK) {
        if (own) {
            cb_store_abort(store);
        }
        store->identity.restored = restored;
    }
    return status;
}

/* A store that belongs to no service yet has no stream to begin anew. */
static cb_status forget_restored(cb_store *store, cb_error *error)
{
    cb_status status = cb_store_begin(store, error);
    if (status == CB_OK) {
        store->identity.restored = false;
        status = cb_meta_put_number(store, "restored", 0, error);
    }
    if (status == CB_OK) {
        status = cb_store_commit(store, error);
    }
    if (status != CB_OK) {
        cb_store_abort(store);
        store->identity.restored = true;
    }
    return status;
}

cb_status cb_restore_in_place(cb_store *store, cb_error *reterr_error)
{
    if (!store->identity.restored) {
        return CB_OK;
    }
    return store->identity.joined
               ? cb_exchange_begin_incarnation(store, reterr_error)
               : forget_restored(store, reterr_error);
}
