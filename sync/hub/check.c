/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving hook.  It has no store and no secret: only the realm's public
 * keys.  It refuses what is malformed, what does not continue what is there,
 * and what the ref's own writer has not signed; the merge decides the rest.
 * That of mail.git is the same program: see check_mail.c.
 */
#include "hub/check.h"

#include "git/hosting.h"
#include "hub/merge.h"
#include "session/receipt.h"

#include <casebound/certificate.h>
#include <casebound/chain.h>
#include <casebound/json.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PUSH_COMMITS_MAX 4096
/* The rest of the refs that a repository can have is left to the hub. */
#define STREAMS_MAX      (CB_REFS_MAX / 4 * 3)

/* Reading a push never needs that much: what does is not one of ours. */
#define HOOK_DATA_BYTES_MAX ((rlim_t)1 << 30)
#define HOOK_CPU_S_MAX      ((rlim_t)600)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    #define IS_SANITIZED 1
#elif defined(__has_feature)
    #if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
        __has_feature(memory_sanitizer)
        #define IS_SANITIZED 1
    #endif
#endif
#ifndef IS_SANITIZED
    #define IS_SANITIZED 0
#endif

/* The first 66 bytes of an SSH signature hold the key whole, in 88 digits. */
#define KEY_OFFSET  33
#define HEAD_DIGITS 88
#define HEAD_BYTES  66

struct push {
    cb_git_repository *repository;
    cb_realm_file realm;
    bool is_mail; /* of mail.git, not of log.git */
    const cb_git_update *update;
    size_t created;          /* streams, by this push */
    cb_git_oid_list commits; /* of this ref, oldest first */
    uint8_t key[CB_PUBLIC_KEY_BYTES];
    bool has_key;
    cb_chain chain;
    cb_entry *entries;
};

/* ------------------------------------------------------------ a stream's ref
 */

bool cb_commit_signer(const cb_git_commit *commit, uint8_t *ret_key)
{
    char digits[HEAD_DIGITS];
    uint8_t head[HEAD_BYTES];
    size_t used = 0;
    const char *text = (const char *)commit->signature.bytes;
    const char *end = text + commit->signature.size;
    text = memchr(text, '\n', commit->signature.size);
    while (text != NULL && text < end && used < sizeof digits) {
        if (*text != '\n' && *text != ' ') {
            digits[used++] = *text;
        }
        text++;
    }
    if (used != sizeof digits ||
        !cb_base64_parse((cb_span){ (const uint8_t *)digits, used }, head,
                         sizeof head)) {
        return false;
    }
    memcpy(ret_key, head + KEY_OFFSET, CB_PUBLIC_KEY_BYTES);
    return true;
}

static cb_status decode_step(const struct push *push,
                             const cb_stream_step *step, cb_error *error)
{
    cb_segment_reader reader;
    cb_status status = CB_OK;
    size_t count = 0;
    cb_segment_reader_init(&reader, cb_span_of_buffer(&step->segment));
    while (status == CB_OK) {
        cb_span bytes;
        status = cb_segment_reader_next(&reader, &bytes, error);
        if (status == CB_OK) {
            status = cb_entry_decode(bytes, &push->entries[count++], error);
        }
    }
    return status == CB_END ? CB_OK : status;
}

/* The chain goes on from what the ref named before. */
static cb_status load_before(struct push *push, const cb_stream_id *stream,
                             cb_error *error)
{
    cb_stream_step step;
    cb_status status = cb_stream_step_read(
        push->repository, &push->update->old_oid, stream, &step, error);
    if (status != CB_OK) {
        return status;
    }
    push->has_key = cb_commit_signer(&step.commit, push->key);
    status = push->has_key
                 ? cb_git_commit_verify(&step.commit, push->key, error)
                 : cb_error_set(error, CB_DAMAGED,
                                "the stream's last commit has no signature");
    if (status == CB_OK) {
        status = decode_step(push, &step, error);
    }
    if (status == CB_OK) {
        const cb_entry *last = &push->entries[step.manifest.count - 1];
        push->chain.seq = last->header.seq;
        push->chain.head = last->hash;
    }
    cb_stream_step_clear(&step);
    return status;
}

static bool opening_holds(const struct push *push, const cb_entry *entry,
                          const json_t *body, uint8_t *ret_key)
{
    cb_device_id device;
    cb_person_id person;
    uint8_t device_key[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_key[CB_PUBLIC_KEY_BYTES];
    uint8_t certificate[CB_SIGNATURE_BYTES];
    uint8_t signature[CB_SIGNATURE_BYTES];
    bool hub = json_is_true(json_object_get(body, "hub"));
    return cb_json_bytes(body, "device", device.bytes, sizeof device.bytes) &&
           cb_json_bytes(body, "person", person.bytes, sizeof person.bytes) &&
           cb_json_bytes(body, "device_key", device_key, sizeof device_key) &&
           cb_json_bytes(body, "sealing_key", sealing_key,
                         sizeof sealing_key) &&
           cb_json_bytes(body, "stream_key", ret_key, CB_PUBLIC_KEY_BYTES) &&
           cb_json_bytes(body, "certificate", certificate,
                         sizeof certificate) &&
           cb_json_bytes(body, "stream_signature", signature,
                         sizeof signature) &&
           cb_public_key_is_acceptable(ret_key) &&
           cb_certificate_holds(&push->realm.realm, &device, &person,
                                device_key, sealing_key, hub, certificate,
                                hub ? push->realm.root_key
                                    : push->realm.hub_key) &&
           cb_certificate_stream_holds(&push->realm.realm,
                                       &entry->header.stream, ret_key,
                                       signature, device_key);
}

/* A stream begins: the opening is certified by this service, or refused. */
static cb_status check_opening(struct push *push, const cb_entry *entry,
                               cb_error *error)
{
    json_t *body = NULL;
    if (entry->header.kind != CB_ENTRY_OPENING ||
        (entry->header.flags & CB_ENTRY_FLAG_CLEAR) == 0) {
        return cb_error_set(error, CB_REFUSED,
                            "the stream does not begin with its opening");
    }
    cb_status status = cb_json_parse_canonical(entry->body, &body, error);
    if (status == CB_OK && !opening_holds(push, entry, body, push->key)) {
        status = cb_error_set(error, CB_REFUSED,
                              "the stream's opening is not certified by this "
                              "service: the device is not enrolled here");
    }
    push->has_key = status == CB_OK;
    json_decref(body);
    return status;
}

static cb_status check_entries(struct push *push, const cb_stream_step *step,
                               cb_error *error)
{
    cb_status status = decode_step(push, step, error);
    if (status == CB_OK &&
        memcmp(&push->entries[0].header.realm, &push->realm.realm,
               sizeof push->realm.realm) != 0) {
        status = cb_error_set(error, CB_REFUSED,
                              "the entries belong to another service");
    }
    if (status == CB_OK && !push->has_key) {
        status = check_opening(push, &push->entries[0], error);
    }
    for (size_t i = 0; status == CB_OK && i < step->manifest.count; i++) {
        status = cb_chain_advance(&push->chain, &push->entries[i].header,
                                  &push->entries[i].hash, error);
        if (status == CB_EXISTS) {
            status = cb_error_set(error, CB_DAMAGED,
                                  "an entry of the stream comes twice");
        }
    }
    if (status == CB_OK &&
        push->entries[0].header.seq != step->manifest.first_seq) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a segment's entries are not those that its "
                              "manifest names");
    }
    if (status == CB_OK) {
        status = cb_git_commit_verify(&step->commit, push->key, error);
    }
    return status == CB_OK ? cb_pool_verify(push->entries, step->manifest.count,
                                            push->key, error)
                           : status;
}

static cb_status check_stream(struct push *push, const cb_stream_id *stream,
                              cb_error *error)
{
    cb_status status = CB_OK;
    push->has_key = false;
    memset(&push->chain, 0, sizeof push->chain);
    push->chain.realm = push->realm.realm;
    push->chain.stream = *stream;
    if (!push->update->is_creation) {
        status = load_before(push, stream, error);
    }
    for (size_t i = 0; status == CB_OK && i < push->commits.count; i++) {
        cb_stream_step step;
        status = cb_stream_step_read(push->repository, &push->commits.items[i],
                                     stream, &step, error);
        if (status == CB_OK) {
            status = check_entries(push, &step, error);
            cb_stream_step_clear(&step);
        }
    }
    return status;
}

/* ---------------------------------------------------------------- hub's refs
 */

static cb_status read_file(const struct push *push, const cb_git_commit *commit,
                           const char *name, cb_buffer *text, cb_error *error)
{
    cb_status status = cb_git_file_read(push->repository, &commit->tree, name,
                                        CB_RECEIPT_BYTES_MAX, text, error);
    return status == CB_NOT_FOUND
               ? cb_error_set(error, CB_REFUSED,
                              "'%s' only takes commits with a '%s'",
                              push->update->name, name)
               : status;
}

static cb_status check_log_commit(const struct push *push,
                                  const cb_git_commit *commit, cb_error *error)
{
    cb_note_key key;
    cb_checkpoint checkpoint;
    cb_buffer note;
    cb_buffer_init(&note, CB_RECEIPT_BYTES_MAX);
    cb_status status = read_file(push, commit, "checkpoint", &note, error);
    if (status == CB_OK) {
        status = cb_log_key_init(&push->realm.realm, push->realm.hub_key, &key,
                                 error);
    }
    if (status == CB_OK) {
        status = cb_checkpoint_verify(cb_span_of_buffer(&note), &key,
                                      &checkpoint, error);
    }
    cb_buffer_clear(&note);
    return status;
}

static cb_status check_outbox_commit(const struct push *push,
                                     const cb_git_commit *commit,
                                     const cb_device_id *device,
                                     cb_error *error)
{
    cb_receipt receipt;
    cb_buffer text;
    cb_receipt_init(&receipt);
    cb_buffer_init(&text, CB_RECEIPT_BYTES_MAX);
    cb_status status = read_file(push, commit, "receipt", &text, error);
    if (status == CB_OK) {
        status = cb_receipt_read(cb_span_of_buffer(&text), push->realm.hub_key,
                                 &receipt, error);
    }
    if (status == CB_OK &&
        (memcmp(&receipt.realm, &push->realm.realm, sizeof receipt.realm) !=
             0 ||
         memcmp(&receipt.device, device, sizeof receipt.device) != 0)) {
        status = cb_error_set(error, CB_REFUSED,
                              "'%s' takes no receipt for another device",
                              push->update->name);
    }
    cb_receipt_clear(&receipt);
    cb_buffer_clear(&text);
    return status;
}

/*
 * Everybody can read what the hub has signed.  Its signature alone says nothing
 * about the branch that a commit was made for: put into a branch that is not
 * there yet, it would keep the hub from ever writing there.  `device` NULL: the
 * log.
 */
static cb_status check_hubs(struct push *push, const cb_device_id *device,
                            cb_error *error)
{
    cb_status status = CB_OK;
    for (size_t i = 0; status == CB_OK && i < push->commits.count; i++) {
        cb_git_commit commit;
        status = cb_git_commit_read(push->repository, &push->commits.items[i],
                                    &commit, error);
        if (status != CB_OK) {
            break;
        }
        if (cb_git_commit_verify(&commit, push->realm.hub_key, NULL) != CB_OK) {
            status = cb_error_set(error, CB_REFUSED, "only the hub writes '%s'",
                                  push->update->name);
        } else {
            status = device == NULL
                         ? check_log_commit(push, &commit, error)
                         : check_outbox_commit(push, &commit, device, error);
        }
        cb_git_commit_clear(&commit);
    }
    return status;
}

/* More refs than are listed would stop every sync and every merge. */
static cb_status check_room(struct push *push, cb_error *error)
{
    cb_git_ref_list list = { 0 };
    if (!push->update->is_creation) {
        return CB_OK;
    }
    push->created++;
    cb_status status = cb_git_ref_list_read(push->repository, "refs/heads/",
                                            CB_REFS_MAX, &list, error);
    if (status == CB_OK && list.count + push->created > STREAMS_MAX) {
        status =
            cb_error_set(error, CB_LIMIT, "the log holds as many %s as it can",
                         push->is_mail ? "mailboxes" : "streams");
    }
    cb_git_ref_list_clear(&list);
    return status;
}

/* -------------------------------------------------------------------- updates
 */

static cb_status check_mail_update(struct push *push, cb_error *error)
{
    const cb_git_update *update = push->update;
    cb_device_id device;
    bool is_down = cb_ref_parse(update->name, CB_REF_DOWN_PREFIX, device.bytes);
    if (!is_down &&
        !cb_ref_parse(update->name, CB_REF_UP_PREFIX, device.bytes)) {
        return cb_error_set(error, CB_REFUSED, "'%s' is not a mailbox",
                            update->name);
    }
    cb_status status = is_down ? CB_OK : check_room(push, error);
    return status == CB_OK
               ? cb_mail_commit_check(push->repository, &push->realm,
                                      &update->new_oid, is_down, &device, error)
               : status;
}

static cb_status check_update(struct push *push, cb_error *error)
{
    const cb_git_update *update = push->update;
    cb_stream_id stream;
    cb_device_id device;
    cb_error words = { 0 };
    bool is_stream =
        cb_ref_parse(update->name, CB_REF_DEVICE_PREFIX, stream.bytes);
    bool is_log = strcmp(update->name, CB_REF_LOG) == 0;
    bool is_outbox =
        cb_ref_parse(update->name, CB_REF_OUTBOX_PREFIX, device.bytes);
    if (!is_stream && !is_log && !is_outbox) {
        return cb_error_set(error, CB_REFUSED, "'%s' is not a ref of this log",
                            update->name);
    }
    cb_status status = is_stream ? check_room(push, error) : CB_OK;
    if (status != CB_OK) {
        return status;
    }
    status = cb_git_history_read(push->repository, &update->new_oid,
                                 update->is_creation ? NULL : &update->old_oid,
                                 PUSH_COMMITS_MAX, &push->commits, &words);
    if (status == CB_REFUSED) {
        return cb_error_set(error, CB_REFUSED,
                            "'%s' can only grow: the push does not continue "
                            "what is there",
                            update->name);
    }
    if (status != CB_OK) {
        return cb_error_set(error, status, "%s", words.what);
    }
    status = is_stream ? check_stream(push, &stream, error)
                       : check_hubs(push, is_log ? NULL : &device, error);
    cb_git_oid_list_clear(&push->commits);
    return status;
}

static cb_status read_beside(const cb_environment *environment,
                             const struct push *push, const char *name,
                             cb_buffer *text, cb_error *error)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s",
                          cb_git_repository_path(push->repository), name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return cb_error_set(error, CB_INPUT, "the path is too long");
    }
    return environment->read_file(environment->context, path, text, error);
}

/* Whose repository this is, and which of the two: a path may be a link. */
static cb_status read_realm(const cb_environment *environment,
                            struct push *push, cb_error *error)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_REALM_FILE_BYTES_MAX);
    cb_status status =
        read_beside(environment, push, CB_REALM_FILE, &text, error);
    if (status == CB_NOT_FOUND) {
        push->is_mail = true;
        cb_buffer_reset(&text);
        status =
            read_beside(environment, push, CB_MAIL_REALM_FILE, &text, error);
    }
    if (status == CB_NOT_FOUND ||
        (status == CB_OK &&
         !cb_realm_file_read(cb_span_of_buffer(&text), &push->realm))) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the log host does not say whose log it keeps");
    }
    cb_buffer_clear(&text);
    return status;
}

/* Before the objects of the push are opened: one that only removes has none,
 * and git then names no place for them. */
static cb_status refuse_removals(const cb_git_update_list *updates,
                                 cb_error *error)
{
    uint8_t device[CB_IDENTIFIER_BYTES];
    for (size_t i = 0; i < updates->count; i++) {
        const char *name = updates->items[i].name;
        if (updates->items[i].is_removal) {
            return cb_error_set(
                error, CB_REFUSED,
                cb_ref_parse(name, CB_REF_UP_PREFIX, device) ||
                        cb_ref_parse(name, CB_REF_DOWN_PREFIX, device)
                    ? "'%s' is replaced, and never removed"
                    : "'%s' can only grow: nothing is removed from this log",
                name);
        }
    }
    return CB_OK;
}

static cb_status check_all(const cb_environment *environment, int descriptor,
                           struct push *push, cb_error *error)
{
    cb_git_update_list *updates = calloc(1, sizeof *updates);
    push->entries = calloc(CB_SEGMENT_ENTRIES_MAX, sizeof *push->entries);
    cb_status status = updates == NULL || push->entries == NULL
                           ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                           : cb_git_hook_read(descriptor, updates, error);
    if (status == CB_OK) {
        status = refuse_removals(updates, error);
    }
    if (status == CB_OK) {
        status = cb_git_hook_open(&push->repository, error);
    }
    if (status == CB_OK) {
        status = read_realm(environment, push, error);
    }
    for (size_t i = 0; status == CB_OK && i < updates->count; i++) {
        push->update = &updates->items[i];
        status = push->is_mail ? check_mail_update(push, error)
                               : check_update(push, error);
    }
    cb_git_repository_close(push->repository);
    free(push->entries);
    free(updates);
    return status;
}

/* Neither memory nor time of the log host without end: a push is anybody's. */
static void set_limits(void)
{
    const struct rlimit seconds = { HOOK_CPU_S_MAX, HOOK_CPU_S_MAX };
    (void)setrlimit(RLIMIT_CPU, &seconds);
    /* A sanitizer's own tables are larger than any limit that makes sense. */
    const rlim_t bytes_max = IS_SANITIZED ? RLIM_INFINITY : HOOK_DATA_BYTES_MAX;
    const struct rlimit bytes = { bytes_max, bytes_max };
    (void)setrlimit(RLIMIT_DATA, &bytes);
}

cb_status cb_hub_check_push(const cb_environment *environment, int descriptor,
                            cb_error *reterr_error)
{
    struct push push = { 0 };
    set_limits();
    cb_status status = cb_git_begin(reterr_error);
    if (status != CB_OK) {
        return status;
    }
    status =
        check_all(environment == NULL ? cb_environment_system() : environment,
                  descriptor, &push, reterr_error);
    if (status != CB_OK) {
        cb_error_meaning(reterr_error, "the log took nothing of this push");
        cb_error_next(reterr_error, "nothing is lost on the device; tell the "
                                    "hub's office what stands here");
    }
    cb_git_end();
    return status;
}
