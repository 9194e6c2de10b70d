/* SPDX-License-Identifier: Apache-2.0 */
#include "proof/checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "proof/decimal.h"

#define TYPE_ED25519        0x01
/* Largest signature that C2SP lists, in base64 with its key id: ML-DSA-44. */
#define SIGNATURE_BYTES_MAX 4096

static_assert(CB_PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES,
              "a note's key is an Ed25519 key");

static const char signature_mark[] = "\xe2\x80\x94 ";

/* C2SP allows more, but nothing that looks like something else. */
static bool name_is_fit(cb_span name)
{
    if (name.size == 0 || name.size > CB_NOTE_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (name.bytes[i] <= ' ' || name.bytes[i] > '~' ||
            name.bytes[i] == '+') {
            return false;
        }
    }
    return true;
}

static void copy_name(cb_span name, char copy[CB_NOTE_NAME_BYTES_MAX + 1])
{
    memcpy(copy, name.bytes, name.size);
    copy[name.size] = '\0';
}

static void compute_key_id(const char *name, const uint8_t *public_key,
                           uint8_t key_id[CB_NOTE_KEY_ID_BYTES])
{
    static const uint8_t between[2] = { '\n', TYPE_ED25519 };
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
    crypto_hash_sha256_update(&state, between, sizeof between);
    crypto_hash_sha256_update(&state, public_key, CB_PUBLIC_KEY_BYTES);
    crypto_hash_sha256_final(&state, hash);
    memcpy(key_id, hash, CB_NOTE_KEY_ID_BYTES);
}

cb_status cb_note_key_init(cb_note_key *ret_key, const char *name,
                           const uint8_t public_key[CB_PUBLIC_KEY_BYTES],
                           cb_error *reterr_error)
{
    if (!name_is_fit(cb_span_of_text(name))) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the name of a log's key must be 1 to %d printable "
                            "characters without space or plus",
                            CB_NOTE_NAME_BYTES_MAX);
    }
    if (!cb_public_key_is_acceptable(public_key)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the key of '%s' is not an Ed25519 public key",
                            name);
    }
    cb_note_key key;
    memset(&key, 0, sizeof key);
    copy_name(cb_span_of_text(name), key.name);
    memcpy(key.public_key, public_key, sizeof key.public_key);
    compute_key_id(key.name, key.public_key, key.key_id);
    *ret_key = key;
    return CB_OK;
}

void cb_note_key_format(const cb_note_key *key, cb_buffer *text)
{
    uint8_t typed[1 + CB_PUBLIC_KEY_BYTES] = { TYPE_ED25519 };
    memcpy(typed + 1, key->public_key, sizeof key->public_key);
    cb_buffer_append_format(text, "%s+", key->name);
    cb_buffer_append_hex(
        text, (cb_span){ .bytes = key->key_id, .size = sizeof key->key_id });
    cb_buffer_append_text(text, "+");
    cb_buffer_append_base64(text,
                            (cb_span){ .bytes = typed, .size = sizeof typed });
}

static cb_status refuse_key_text(cb_error *reterr_error)
{
    cb_status status = cb_error_set(reterr_error, CB_INPUT,
                                    "this is not the text of a log's key");
    cb_error_meaning(reterr_error,
                     "it must read NAME+KEYID+BASE64, and the key "
                     "id must follow from the rest");
    cb_error_next(reterr_error, "copy the whole line again");
    return status;
}

cb_status cb_note_key_parse(cb_span text, cb_note_key *ret_key,
                            cb_error *reterr_error)
{
    cb_span rest = text;
    cb_span name;
    cb_span key_id;
    uint8_t typed[1 + CB_PUBLIC_KEY_BYTES];
    if (text.size > CB_NOTE_KEY_TEXT_BYTES_MAX ||
        !cb_text_split(&rest, '+', &name) || !name_is_fit(name) ||
        !cb_text_split(&rest, '+', &key_id) ||
        key_id.size != 2 * (size_t)CB_NOTE_KEY_ID_BYTES ||
        !cb_base64_parse(rest, typed, sizeof typed) ||
        typed[0] != TYPE_ED25519) {
        return refuse_key_text(reterr_error);
    }
    char copy[CB_NOTE_NAME_BYTES_MAX + 1];
    copy_name(name, copy);
    cb_note_key key;
    cb_status status = cb_note_key_init(&key, copy, typed + 1, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    char hex[2 * CB_NOTE_KEY_ID_BYTES + 1];
    cb_hex_format(key.key_id, sizeof key.key_id, hex);
    if (!cb_span_equal(key_id, cb_span_of_text(hex))) {
        return refuse_key_text(reterr_error);
    }
    *ret_key = key;
    return CB_OK;
}

cb_status cb_checkpoint_sign(const cb_checkpoint *checkpoint,
                             const cb_note_key *key,
                             const cb_secret *secret_key, cb_buffer *note,
                             cb_error *reterr_error)
{
    CB_ASSERT(note->size == 0);
    CB_ASSERT(cb_secret_size(secret_key) == crypto_sign_SECRETKEYBYTES);
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    crypto_sign_ed25519_sk_to_pk(public_key, cb_secret_view(secret_key));
    if (memcmp(public_key, key->public_key, sizeof public_key) != 0) {
        return cb_error_set(reterr_error, CB_WRONG_KEY,
                            "this is not the secret key of '%s'", key->name);
    }
    if (strcmp(checkpoint->origin, key->name) != 0) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the key of '%s' does not sign for the log '%s'",
                            key->name, checkpoint->origin);
    }
    if (checkpoint->head.size > CB_TREE_SIZE_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "a log of '%" PRIu64
                            "' entries is larger than any that can be",
                            checkpoint->head.size);
    }
    cb_buffer_append_format(note, "%s\n%" PRIu64 "\n", checkpoint->origin,
                            checkpoint->head.size);
    cb_buffer_append_base64(note,
                            (cb_span){ .bytes = checkpoint->head.root.bytes,
                                       .size = CB_HASH_BYTES });
    cb_buffer_append_text(note, "\n");
    cb_status status = cb_buffer_check(note, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    uint8_t signature[CB_NOTE_KEY_ID_BYTES + crypto_sign_BYTES];
    memcpy(signature, key->key_id, CB_NOTE_KEY_ID_BYTES);
    crypto_sign_detached(signature + CB_NOTE_KEY_ID_BYTES, NULL, note->bytes,
                         note->size, cb_secret_view(secret_key));
    cb_buffer_append_format(note, "\n%s%s ", signature_mark, key->name);
    cb_buffer_append_base64(
        note, (cb_span){ .bytes = signature, .size = sizeof signature });
    cb_buffer_append_text(note, "\n");
    return cb_buffer_check(note, reterr_error);
}

static cb_status refuse_note(const char *what, cb_error *reterr_error)
{
    cb_status status =
        cb_error_set(reterr_error, CB_DAMAGED, "the hub's checkpoint %s", what);
    cb_error_meaning(reterr_error, "nothing that this checkpoint covers is "
                                   "proved by it; your own entries are "
                                   "untouched");
    cb_error_next(reterr_error, "fetch it again, then: casebound audit verify");
    return status;
}

static bool parse_text(cb_span *rest, cb_checkpoint *ret_checkpoint)
{
    cb_span origin;
    cb_span size;
    cb_span root;
    cb_span blank;
    if (!cb_text_split(rest, '\n', &origin) || !name_is_fit(origin) ||
        !cb_text_split(rest, '\n', &size) ||
        !cb_decimal_parse(size, CB_TREE_SIZE_MAX, &ret_checkpoint->head.size) ||
        !cb_text_split(rest, '\n', &root) ||
        !cb_base64_parse(root, ret_checkpoint->head.root.bytes,
                         CB_HASH_BYTES) ||
        !cb_text_split(rest, '\n', &blank) || blank.size != 0) {
        return false;
    }
    copy_name(origin, ret_checkpoint->origin);
    return true;
}

/* The one number of bytes that padded base64 of this length stands for. */
static size_t base64_decoded_size(cb_span text)
{
    if (text.size == 0 || text.size % 4 != 0) {
        return 0;
    }
    size_t size = text.size / 4 * 3;
    for (size_t i = 1; i <= 2 && text.bytes[text.size - i] == '='; i++) {
        size--;
    }
    return size;
}

static bool parse_signature(cb_span *rest, cb_note_signature *ret_signature)
{
    const size_t mark_size = sizeof signature_mark - 1;
    cb_span line;
    const uint8_t *start = rest->bytes;
    if (!cb_text_split(rest, '\n', &line) || line.size < mark_size ||
        memcmp(line.bytes, signature_mark, mark_size) != 0) {
        return false;
    }
    cb_note_signature signature;
    signature.line = (cb_span){ .bytes = start, .size = line.size + 1 };
    line.bytes += mark_size;
    line.size -= mark_size;
    uint8_t decoded[SIGNATURE_BYTES_MAX];
    if (!cb_text_split(&line, ' ', &signature.name) ||
        !name_is_fit(signature.name)) {
        return false;
    }
    const size_t size = base64_decoded_size(line);
    if (size <= CB_NOTE_KEY_ID_BYTES || size > sizeof decoded ||
        !cb_base64_parse(line, decoded, size)) {
        return false;
    }
    memcpy(signature.key_id, decoded, CB_NOTE_KEY_ID_BYTES);
    signature.base64 = line;
    *ret_signature = signature;
    return true;
}

static bool same_key(const cb_note_signature *a, const cb_note_signature *b)
{
    return cb_span_equal(a->name, b->name) &&
           memcmp(a->key_id, b->key_id, CB_NOTE_KEY_ID_BYTES) == 0;
}

cb_status cb_checkpoint_parse(cb_span note, cb_note *ret_note,
                              cb_error *reterr_error)
{
    if (note.size > CB_CHECKPOINT_BYTES_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "the hub's checkpoint has more than %d bytes",
                            CB_CHECKPOINT_BYTES_MAX);
    }
    cb_note parsed;
    memset(&parsed, 0, sizeof parsed);
    cb_span rest = note;
    if (!parse_text(&rest, &parsed.checkpoint)) {
        return refuse_note("does not have the three lines it must have",
                           reterr_error);
    }
    parsed.text =
        (cb_span){ .bytes = note.bytes, .size = note.size - rest.size - 1 };
    while (rest.size > 0) {
        if (parsed.signature_count == CB_NOTE_SIGNATURES_MAX) {
            return refuse_note("has too many signature lines", reterr_error);
        }
        cb_note_signature *signature =
            &parsed.signatures[parsed.signature_count];
        if (!parse_signature(&rest, signature)) {
            return refuse_note("has a line that is not a signature",
                               reterr_error);
        }
        for (size_t i = 0; i < parsed.signature_count; i++) {
            if (same_key(&parsed.signatures[i], signature)) {
                return refuse_note("has two signatures by one key",
                                   reterr_error);
            }
        }
        parsed.signature_count++;
    }
    if (parsed.signature_count == 0) {
        return refuse_note("is not signed", reterr_error);
    }
    *ret_note = parsed;
    return CB_OK;
}

cb_status cb_checkpoint_verify(cb_span note, const cb_note_key *key,
                               cb_checkpoint *ret_checkpoint,
                               cb_error *reterr_error)
{
    cb_note parsed = { .signature_count = 0 };
    cb_status status = cb_checkpoint_parse(note, &parsed, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (strcmp(parsed.checkpoint.origin, key->name) != 0) {
        return refuse_note("is that of another log", reterr_error);
    }
    const cb_note_signature *found = NULL;
    for (size_t i = 0; i < parsed.signature_count; i++) {
        const cb_note_signature *signature = &parsed.signatures[i];
        if (cb_span_equal(signature->name, cb_span_of_text(key->name)) &&
            memcmp(signature->key_id, key->key_id, sizeof key->key_id) == 0) {
            found = signature;
        }
    }
    if (found == NULL) {
        status = cb_error_set(reterr_error, CB_WRONG_KEY,
                              "the hub's checkpoint is not signed by the key "
                              "that is pinned for '%s'",
                              key->name);
        cb_error_meaning(reterr_error, "it may come from another hub; nothing "
                                       "was taken from it");
        cb_error_next(reterr_error, "ask the hub office, by telephone, whether "
                                    "its key was changed");
        return status;
    }
    uint8_t signature[CB_NOTE_KEY_ID_BYTES + crypto_sign_BYTES];
    if (!cb_base64_parse(found->base64, signature, sizeof signature) ||
        crypto_sign_verify_detached(signature + CB_NOTE_KEY_ID_BYTES,
                                    parsed.text.bytes, parsed.text.size,
                                    key->public_key) != 0) {
        return refuse_note("has a wrong signature", reterr_error);
    }
    *ret_checkpoint = parsed.checkpoint;
    return CB_OK;
}
