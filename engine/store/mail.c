/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyring messages: compartment keys sealed to one device and signed by
 * another.  schema/FORMAT.md has the bytes.  A message carries everything that
 * its recipient is to hold, so a newer one replaces an older one whole.
 */
#include "base/json.h"
#include "store/internal.h"

#include <sodium.h>
#include <string.h>

/*
 * The keys' text in a parsed or built message.  Jansson's strings are plain
 * heap memory: they are overwritten before they are given back.
 */
static void forget_keys(json_t *keys)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        json_t *text = json_object_get(json_array_get(keys, i), "key");
        if (json_is_string(text)) {
            union {
                const char *shown;
                char *owned;
            } bytes = { .shown = json_string_value(text) };

            sodium_memzero(bytes.owned, json_string_length(text));
        }
    }
    json_decref(keys);
}

static void append_key(json_t *keys, const cb_query *query)
{
    static const char *const names[] = { "key_id", "case", NULL, "person",
                                         "key" };
    json_t *row = json_pack("{s:s}", "class", cb_query_text(query, 2));
    for (int i = 0; i < 5; i++) {
        if (names[i] != NULL) {
            cb_span blob = cb_query_blob(query, i);
            (void)json_object_set_new(row, names[i],
                                      cb_json_hex(blob.bytes, blob.size));
        }
    }
    (void)json_array_append_new(keys, row);
}

static cb_status collect_keys(cb_store *store, const cb_device_facts *to,
                              json_t **ret_keys, cb_error *error)
{
    json_t *keys = json_array();
    cb_query query = cb_query_begin(
        store->database, to->hub ? "key_unacknowledged" : "key_for_person");
    if (!to->hub) {
        cb_query_bind_blob(&query, ":person", to->person.bytes,
                           sizeof to->person.bytes);
    }
    cb_status status = cb_query_step(&query, error);
    while (status == CB_OK) {
        append_key(keys, &query);
        status = cb_query_step(&query, error);
    }
    cb_query_end(&query);
    if (status != CB_END || json_array_size(keys) == 0) {
        forget_keys(keys);
        return status;
    }
    *ret_keys = keys;
    return CB_OK;
}

/* The keys' text is secret: both buffers are zeroed when cleared. */
static cb_status seal_keys(const json_t *keys, const uint8_t *sealing_key,
                           cb_buffer *sealed, cb_error *error)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_MAIL_BYTES_MAX);
    cb_status status = cb_json_append(keys, &text, error);
    if (status == CB_OK) {
        uint8_t *place =
            cb_buffer_extend(sealed, text.size + crypto_box_SEALBYTES);
        if (place != NULL &&
            crypto_box_seal(place, text.bytes, text.size, sealing_key) != 0) {
            status = cb_error_set(error, CB_FAILED,
                                  "the recipient's key cannot be used");
        }
        if (status == CB_OK) {
            status = cb_buffer_check(sealed, error);
        }
    }
    cb_buffer_clear(&text);
    return status;
}

static cb_status sign_message(cb_store *store, json_t *message,
                              cb_buffer *output, cb_error *error)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    cb_buffer text;
    cb_buffer_init(&text, CB_MAIL_BYTES_MAX);
    cb_status status = cb_json_append(message, &text, error);
    if (status == CB_OK) {
        cb_sign("mail", cb_span_of_buffer(&text), store->device_key, signature);
        json_t *envelope =
            json_pack("{s:O, s:o}", "message", message, "signature",
                      cb_json_hex(signature, sizeof signature));
        status = cb_json_append(envelope, output, error);
        json_decref(envelope);
    }
    cb_buffer_clear(&text);
    return status;
}

cb_status cb_exchange_write_mail(cb_store *store, const cb_device_id *recipient,
                                 uint64_t version, cb_buffer *message,
                                 cb_error *reterr_error)
{
    cb_device_facts to;
    json_t *keys = NULL;
    json_t *value = NULL;
    cb_buffer sealed;
    cb_buffer encoded;
    cb_buffer_init(&sealed, CB_MAIL_BYTES_MAX);
    cb_buffer_init(&encoded, CB_MAIL_BYTES_MAX);
    cb_status status = cb_device_find(store, recipient, &to, reterr_error);
    if (status == CB_NOT_FOUND ||
        (status == CB_OK && to.hub == store->identity.hub)) {
        status = cb_error_set(reterr_error, CB_REFUSED,
                              "keys go between a device and the hub only");
    }
    if (status == CB_OK) {
        status = collect_keys(store, &to, &keys, reterr_error);
    }
    if (status == CB_OK) {
        status = seal_keys(keys, to.sealing_key, &sealed, reterr_error);
    }
    if (status == CB_OK) {
        cb_buffer_append_base64(&encoded, cb_span_of_buffer(&sealed));
        status = cb_buffer_check(&encoded, reterr_error);
    }
    if (status == CB_OK) {
        const cb_store_identity *identity = &store->identity;
        value = json_pack(
            "{s:o, s:o, s:i, s:s, s:o, s:I}", "from",
            cb_json_hex(identity->device.bytes, sizeof identity->device.bytes),
            "realm",
            cb_json_hex(identity->realm.bytes, sizeof identity->realm.bytes),
            "schema", 1, "sealed", cb_buffer_text(&encoded), "to",
            cb_json_hex(recipient->bytes, sizeof recipient->bytes), "version",
            (json_int_t)version);
        status = value == NULL
                     ? cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory")
                     : sign_message(store, value, message, reterr_error);
    }
    forget_keys(keys);
    json_decref(value);
    cb_buffer_clear(&sealed);
    cb_buffer_clear(&encoded);
    return status;
}

/* A key that is not let in (yet) is kept: the sender believes it arrived. */
static cb_status keep_key(cb_store *store, const cb_key_id *key_id,
                          const cb_compartment *compartment, const uint8_t *key,
                          const cb_person_id *sender, bool *ret_new,
                          cb_error *error)
{
    bool may = false;
    cb_status status = cb_admit_judge(store, compartment, sender, &may, error);
    if (status == CB_OK) {
        status = cb_compartment_take(store, key_id, compartment, key, sender,
                                     may, error);
    }
    if (status == CB_OK && may) {
        *ret_new = true;
        status = cb_admit_open(
            store, sqlite3_last_insert_rowid(store->database->connection),
            key_id, compartment, error);
    }
    return status;
}

static cb_status take_key(cb_store *store, const json_t *row,
                          const cb_person_id *sender, bool *ret_new,
                          cb_error *error)
{
    bool held = false;
    cb_key_id key_id;
    cb_compartment compartment = { .class = "" };
    uint8_t key[CB_KEY_BYTES];
    const char *class = cb_json_text(row, "class");
    *ret_new = false;
    if (class == NULL || cb_class_parse(class) == CB_CLASS_NONE ||
        !cb_json_bytes(row, "key_id", key_id.bytes, sizeof key_id.bytes) ||
        !cb_json_bytes(row, "case", compartment.case_id.bytes,
                       sizeof compartment.case_id.bytes) ||
        !cb_json_bytes(row, "person", compartment.person.bytes,
                       sizeof compartment.person.bytes) ||
        !cb_json_bytes(row, "key", key, sizeof key)) {
        return cb_error_set(error, CB_DAMAGED,
                            "a keyring message holds a key that is not "
                            "complete");
    }
    compartment.class[0] = class[0];
    /* The key of names came with the admission and from nobody else. */
    cb_status status = CB_OK;
    if (memcmp(&key_id, &store->realm_key_id, sizeof key_id) != 0) {
        status = cb_compartment_held(store, &key_id, &compartment, key, sender,
                                     &held, error);
        if (status == CB_OK && !held) {
            status = keep_key(store, &key_id, &compartment, key, sender,
                              ret_new, error);
        }
    }
    sodium_memzero(key, sizeof key);
    return status;
}

/* Base64 of any length into `bytes`. */
static bool decode_sealed(const char *encoded, cb_buffer *bytes)
{
    size_t length = encoded == NULL ? 0 : strlen(encoded);
    if (length < 4 || length % 4 != 0) {
        return false;
    }
    size_t size = length / 4 * 3;
    size -= encoded[length - 1] == '=';
    size -= encoded[length - 2] == '=';
    uint8_t *place = cb_buffer_extend(bytes, size);
    return place != NULL &&
           cb_base64_parse(cb_span_of_text(encoded), place, size);
}

static cb_status open_keys(cb_store *store, const json_t *message,
                           cb_buffer *opened, cb_error *error)
{
    cb_buffer sealed;
    cb_buffer_init(&sealed, CB_MAIL_BYTES_MAX);
    cb_status status = CB_OK;
    if (!decode_sealed(cb_json_text(message, "sealed"), &sealed) ||
        sealed.size <= crypto_box_SEALBYTES) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a keyring message is not complete");
    } else {
        uint8_t *text =
            cb_buffer_extend(opened, sealed.size - crypto_box_SEALBYTES);
        if (text == NULL ||
            crypto_box_seal_open(text, sealed.bytes, sealed.size,
                                 store->sealing_public,
                                 cb_secret_view(store->sealing_key)) != 0) {
            status = cb_error_set(error, CB_DAMAGED,
                                  "a keyring message does not open with the "
                                  "key of this device");
        }
    }
    cb_buffer_clear(&sealed);
    return status;
}

static cb_status take_keys(cb_store *store, const json_t *message,
                           const cb_person_id *sender, size_t *ret_keys,
                           cb_error *error)
{
    json_t *keys = NULL;
    size_t taken = 0;
    cb_buffer opened;
    cb_buffer_init(&opened, CB_MAIL_BYTES_MAX);
    cb_status status = open_keys(store, message, &opened, error);
    if (status == CB_OK) {
        status = cb_json_parse_canonical_within(
            cb_span_of_buffer(&opened), CB_MAIL_BYTES_MAX, &keys, error);
    }
    for (size_t i = 0; i < json_array_size(keys) && status == CB_OK; i++) {
        bool fresh = false;
        status =
            take_key(store, json_array_get(keys, i), sender, &fresh, error);
        taken += fresh;
    }
    if (status == CB_OK) {
        *ret_keys = taken;
    }
    forget_keys(keys);
    cb_buffer_clear(&opened);
    return status;
}

static cb_status check_envelope(cb_store *store, const cb_device_facts *from,
                                const json_t *envelope, cb_error *error)
{
    uint8_t signature[CB_SIGNATURE_BYTES];
    cb_device_id named_from;
    cb_device_id named_to;
    cb_realm_id realm;
    cb_buffer text;
    const json_t *message = cb_json_object(envelope, "message");
    cb_buffer_init(&text, CB_MAIL_BYTES_MAX);
    cb_status status = CB_OK;
    if (message == NULL ||
        !cb_json_bytes(envelope, "signature", signature, sizeof signature) ||
        !cb_json_bytes(message, "from", named_from.bytes,
                       sizeof named_from.bytes) ||
        !cb_json_bytes(message, "to", named_to.bytes, sizeof named_to.bytes) ||
        !cb_json_bytes(message, "realm", realm.bytes, sizeof realm.bytes)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a keyring message is not complete");
    }
    if (status == CB_OK &&
        (memcmp(&named_from, &from->device, sizeof named_from) != 0 ||
         memcmp(&named_to, &store->identity.device, sizeof named_to) != 0 ||
         memcmp(&realm, &store->identity.realm, sizeof realm) != 0)) {
        status = cb_error_set(error, CB_REFUSED,
                              "a keyring message is not from and for whom it "
                              "should be");
    }
    if (status == CB_OK) {
        status = cb_json_append(message, &text, error);
    }
    if (status == CB_OK && !cb_sign_verify("mail", cb_span_of_buffer(&text),
                                           signature, from->signing_key)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the signature of a keyring message does not "
                              "verify");
    }
    cb_buffer_clear(&text);
    return status;
}

cb_status cb_exchange_read_mail(cb_store *store, const cb_device_id *sender,
                                cb_span message, uint64_t last_version,
                                uint64_t *ret_version, size_t *ret_keys,
                                cb_error *reterr_error)
{
    json_t *envelope = NULL;
    cb_device_facts from;
    int64_t version = 0;
    cb_status status = cb_device_find(store, sender, &from, reterr_error);
    if (status == CB_NOT_FOUND ||
        (status == CB_OK && from.hub == store->identity.hub)) {
        return cb_error_set(reterr_error, CB_REFUSED,
                            "a keyring message is neither from the hub nor "
                            "from a device that the hub knows");
    }
    if (status == CB_OK) {
        status = cb_json_parse_canonical_within(message, CB_MAIL_BYTES_MAX,
                                                &envelope, reterr_error);
        status = status == CB_INPUT ? CB_DAMAGED : status;
    }
    if (status == CB_OK) {
        status = check_envelope(store, &from, envelope, reterr_error);
    }
    if (status == CB_OK &&
        (!cb_json_integer(cb_json_object(envelope, "message"), "version",
                          &version) ||
         version < 0)) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "a keyring message has no version");
    }
    if (status == CB_OK && (uint64_t)version <= last_version) {
        status = CB_END;
    }
    if (status == CB_OK) {
        status = take_keys(store, cb_json_object(envelope, "message"),
                           &from.person, ret_keys, reterr_error);
    }
    if (status == CB_OK) {
        *ret_version = (uint64_t)version;
    }
    json_decref(envelope);
    return status;
}

/* Whole rows: the same id may stand for another key, or another binding. */
cb_status cb_exchange_mail_digest(cb_store *store,
                                  const cb_device_id *recipient,
                                  cb_hash *ret_digest, cb_error *reterr_error)
{
    cb_device_facts to;
    cb_buffer ids;
    cb_buffer_init(&ids, CB_MAIL_BYTES_MAX);
    cb_status status = cb_device_find(store, recipient, &to, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_query query = cb_query_begin(
        store->database, to.hub ? "key_unacknowledged" : "key_for_person");
    if (!to.hub) {
        cb_query_bind_blob(&query, ":person", to.person.bytes,
                           sizeof to.person.bytes);
    }
    status = cb_query_step(&query, reterr_error);
    while (status == CB_OK) {
        for (int i = 0; i < 5; i++) {
            cb_buffer_append_span(&ids, cb_query_blob(&query, i));
        }
        status = cb_query_step(&query, reterr_error);
    }
    cb_query_end(&query);
    if (status == CB_END) {
        status = cb_buffer_check(&ids, reterr_error);
    }
    if (status == CB_OK && ids.size == 0) {
        status = CB_END;
    }
    if (status == CB_OK) {
        cb_hash_domain("mail keys", cb_span_of_buffer(&ids), ret_digest);
    }
    cb_buffer_clear(&ids);
    return status;
}

cb_status cb_exchange_keys_confirmed(cb_store *store, uint64_t seq,
                                     cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "key_acknowledge");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":seq",
                          seq > INT64_MAX ? INT64_MAX : (int64_t)seq);
    return cb_query_run(&query, reterr_error);
}

cb_status cb_exchange_keys_doubted(cb_store *store, cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "key_doubt");
    return cb_query_run(&query, reterr_error);
}
