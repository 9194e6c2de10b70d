/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/run.h"

#include <casebound/certificate.h>
#include <casebound/json.h>

#include <inttypes.h>
#include <string.h>

typedef struct opening {
    cb_device_id device;
    cb_person_id person;
    uint8_t root_key[CB_PUBLIC_KEY_BYTES];
    uint8_t device_key[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_key[CB_PUBLIC_KEY_BYTES];
    uint8_t stream_key[CB_PUBLIC_KEY_BYTES];
    uint8_t certificate[CB_SIGNATURE_BYTES];
    uint8_t stream_signature[CB_SIGNATURE_BYTES];
    bool hub;
} opening;

typedef struct bytes_row {
    const char *name;
    void *bytes;
    size_t size;
} bytes_row;

static bool read_bytes(const json_t *object, const bytes_row *rows,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!cb_json_bytes(object, rows[i].name, rows[i].bytes, rows[i].size)) {
            return false;
        }
    }
    return true;
}

static bool read_opening(const json_t *body, opening *found)
{
    const bytes_row rows[] = {
        { "device", &found->device, sizeof found->device },
        { "person", &found->person, sizeof found->person },
        { "root_key", found->root_key, sizeof found->root_key },
        { "device_key", found->device_key, sizeof found->device_key },
        { "sealing_key", found->sealing_key, sizeof found->sealing_key },
        { "stream_key", found->stream_key, sizeof found->stream_key },
        { "certificate", found->certificate, sizeof found->certificate },
        { "stream_signature", found->stream_signature,
          sizeof found->stream_signature },
    };

    found->hub = json_is_true(json_object_get(body, "hub"));
    return read_bytes(body, rows, sizeof rows / sizeof rows[0]);
}

static bool is_hub_key(const cb_audit_run *run, const uint8_t *key)
{
    for (size_t i = 0; i < run->hub_count; i++) {
        if (memcmp(run->hub_keys[i], key, CB_PUBLIC_KEY_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static void add_hub_key(cb_audit_run *run, const uint8_t *key)
{
    if (!is_hub_key(run, key) && run->hub_count < CB_AUDIT_HUBS_MAX) {
        memcpy(run->hub_keys[run->hub_count], key, CB_PUBLIC_KEY_BYTES);
        run->hub_count++;
    }
}

/* By the root key for a hub, by any key of the hub for another device. */
static bool certificate_holds(const cb_audit_run *run,
                              const cb_audit_device *device,
                              const uint8_t *signature)
{
    if (device->hub) {
        return cb_certificate_holds(&run->realm, &device->id, &device->person,
                                    device->signing_key, device->sealing_key,
                                    true, signature, run->root_key);
    }
    for (size_t i = 0; i < run->hub_count; i++) {
        if (cb_certificate_holds(&run->realm, &device->id, &device->person,
                                 device->signing_key, device->sealing_key,
                                 false, signature, run->hub_keys[i])) {
            return true;
        }
    }
    return false;
}

static cb_audit_device device_of(const opening *found)
{
    cb_audit_device device = { .id = found->device,
                               .person = found->person,
                               .hub = found->hub };
    memcpy(device.signing_key, found->device_key, CB_PUBLIC_KEY_BYTES);
    memcpy(device.sealing_key, found->sealing_key, CB_PUBLIC_KEY_BYTES);
    return device;
}

/* ----------------------------------------------------- the log's first leaf */

static void find_no_hub(cb_audit_run *run, const char *words)
{
    (void)cb_report_find(
        &run->report, "ROSTER",
        &(cb_audit_place){ .ref = run->log_ref, .log_index = cb_audit_leaf(0) },
        NULL, "%s", words);
}

static void take_realm(cb_audit_run *run, const opening *found,
                       const cb_stub *stub)
{
    cb_hash hash;
    cb_realm_id realm;
    const cb_realm_id *pin = run->options->realm;
    const cb_audit_device device = device_of(found);
    cb_hash_domain("realm", (cb_span){ found->root_key, CB_PUBLIC_KEY_BYTES },
                   &hash);
    memcpy(realm.bytes, hash.bytes, sizeof realm.bytes);
    if (memcmp(&realm, &stub->header.realm, sizeof realm) != 0) {
        find_no_hub(run, "the log's first entry names a root key that is not "
                         "its realm's");
        return;
    }
    if (pin != NULL && memcmp(pin, &realm, sizeof realm) != 0) {
        find_no_hub(run, "the log is that of another service than the one "
                         "expected");
        return;
    }
    run->realm = realm;
    memcpy(run->root_key, found->root_key, sizeof run->root_key);
    if (!found->hub || !certificate_holds(run, &device, found->certificate) ||
        !cb_certificate_stream_holds(&realm, &stub->header.stream,
                                     found->stream_key, found->stream_signature,
                                     found->device_key)) {
        find_no_hub(run, "the log's first entry is not the opening of a hub "
                         "that the realm's root key has certified");
        return;
    }
    run->has_realm = true;
    run->pinned = pin != NULL;
    add_hub_key(run, found->device_key);
}

static void read_first_leaf(cb_audit_run *run, cb_span bundle)
{
    cb_bundle_reader reader;
    cb_span leaf;
    cb_span body;
    cb_stub stub;
    opening found;
    json_t *value = NULL;
    const size_t width = cb_audit_tile_width(0, 0, run->head.size);
    cb_bundle_reader_init(&reader, bundle, width);
    if (cb_bundle_reader_next(&reader, &leaf, NULL) != CB_OK ||
        cb_leaf_decode(leaf, &stub, &body, NULL) != CB_OK) {
        return; /* the walk will say so */
    }
    if (stub.header.kind != CB_ENTRY_OPENING || stub.header.seq != 1 ||
        cb_json_parse_canonical(body, &value, NULL) != CB_OK ||
        !read_opening(value, &found)) {
        find_no_hub(run, "the log does not begin with the opening of a hub");
    } else {
        take_realm(run, &found, &stub);
    }
    json_decref(value);
}

cb_status cb_audit_trust_begin(cb_audit_run *run, cb_error *error)
{
    char path[CB_TILE_PATH_BYTES];
    cb_buffer bundle;
    if (run->head.size == 0) {
        return CB_OK;
    }
    const cb_tile tile = cb_audit_tile(true, 0, 0, run->head.size);
    cb_buffer_init(&bundle, CB_AUDIT_BUNDLE_BYTES_MAX);
    cb_status status = cb_audit_log_tile(&run->log, &tile, path, &bundle, NULL);
    if (status == CB_OK) {
        read_first_leaf(run, cb_span_of_buffer(&bundle));
    }
    if (status == CB_NO_MEMORY) {
        status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
    } else {
        status = CB_OK; /* whatever is wrong with it, the walk meets it */
    }
    cb_buffer_clear(&bundle);
    return status;
}

cb_status cb_audit_trust_note(const cb_audit_run *run, cb_span note,
                              cb_checkpoint *ret_checkpoint, cb_error *error)
{
    char name[sizeof "casebound/" + CB_IDENTIFIER_TEXT_BYTES] = "casebound/";
    cb_status status = CB_WRONG_KEY;
    cb_hex_format(run->realm.bytes, sizeof run->realm.bytes,
                  name + strlen(name));
    for (size_t i = 0; i < run->hub_count && status == CB_WRONG_KEY; i++) {
        cb_note_key key;
        cb_error_clear(error);
        status = cb_note_key_init(&key, name, run->hub_keys[i], error);
        if (status == CB_OK) {
            status = cb_checkpoint_verify(note, &key, ret_checkpoint, error);
        }
    }
    return status;
}

cb_status cb_audit_trust_commit(const cb_audit_run *run,
                                const cb_git_commit *commit, cb_error *error)
{
    cb_status status = CB_DAMAGED;
    for (size_t i = 0; i < run->hub_count && status == CB_DAMAGED; i++) {
        cb_error_clear(error);
        status = cb_git_commit_verify(commit, run->hub_keys[i], error);
    }
    return status;
}

/* ---------------------------------------------------------------- openings */

static bool distrust(cb_audit_run *run, const cb_stub *stub, const char *words)
{
    (void)cb_report_find(
        &run->report, "ROSTER",
        &(cb_audit_place){ .ref = run->log_ref,
                           .stream = &stub->header.stream,
                           .seq = stub->header.seq,
                           .log_index = cb_audit_leaf(run->index) },
        cb_report_evidence("entry", &stub->hash, NULL, NULL), "%s", words);
    return false;
}

/* The roster lists the device, with these keys, and for this person. */
static bool is_enrolled(const cb_audit_run *run, const opening *found)
{
    const cb_audit_device *device =
        cb_audit_table_find(&run->devices, &found->device);
    return found->hub || (device != NULL && !device->hub &&
                          memcmp(&device->person, &found->person,
                                 sizeof found->person) == 0 &&
                          memcmp(device->signing_key, found->device_key,
                                 sizeof found->device_key) == 0);
}

static cb_status hear_of_follower(cb_audit_run *run, const json_t *body)
{
    cb_stream_id stream;
    int64_t seq = 0;
    const json_t *follows = cb_json_object(body, "follows");
    if (follows == NULL ||
        !cb_json_bytes(follows, "stream", stream.bytes, sizeof stream.bytes) ||
        !cb_json_integer(follows, "seq", &seq) || seq <= 0) {
        return CB_OK;
    }
    return cb_audit_hear(run, &stream, (uint64_t)seq, cb_audit_leaf(run->index),
                         NULL);
}

bool cb_audit_trust_opening(cb_audit_run *run, cb_audit_stream *stream,
                            const cb_stub *stub, cb_span body)
{
    opening found;
    json_t *value = NULL;
    bool believed = false;
    if (!run->has_realm) {
        return false; /* there is nothing to believe it by; said already */
    }
    if (cb_json_parse_canonical(body, &value, NULL) != CB_OK ||
        !read_opening(value, &found)) {
        (void)distrust(run, stub, "the opening of a stream is not complete");
        json_decref(value);
        return false;
    }
    const cb_audit_device device = device_of(&found);
    if (memcmp(found.root_key, run->root_key, sizeof run->root_key) != 0 ||
        !certificate_holds(run, &device, found.certificate) ||
        !cb_certificate_stream_holds(&run->realm, &stub->header.stream,
                                     found.stream_key, found.stream_signature,
                                     found.device_key)) {
        (void)distrust(run, stub,
                       "the opening of a stream is not certified by this "
                       "service");
    } else if (!is_enrolled(run, &found)) {
        (void)distrust(run, stub,
                       "a stream was opened by a device that the roster does "
                       "not list at this point");
    } else {
        stream->device = found.device;
        stream->person = found.person;
        stream->hub = found.hub;
        memcpy(stream->key, found.stream_key, sizeof stream->key);
        believed = true;
    }
    if (believed && found.hub) {
        add_hub_key(run, found.device_key);
    }
    if (believed && hear_of_follower(run, value) == CB_NO_MEMORY) {
        run->report.out_of_memory = true;
    }
    json_decref(value);
    return believed;
}

/* ------------------------------------------------------------------ roster */

static cb_status take_device(cb_audit_run *run, const json_t *operation,
                             const cb_stub *stub, cb_error *error)
{
    cb_audit_device device = { 0 };
    uint8_t certificate[CB_SIGNATURE_BYTES];
    void *row = NULL;
    const bytes_row rows[] = {
        { "device", &device.id, sizeof device.id },
        { "person", &device.person, sizeof device.person },
        { "signing_key", device.signing_key, sizeof device.signing_key },
        { "sealing_key", device.sealing_key, sizeof device.sealing_key },
        { "certificate", certificate, sizeof certificate },
    };

    device.hub = json_is_true(json_object_get(operation, "hub"));
    if (!read_bytes(operation, rows, sizeof rows / sizeof rows[0]) ||
        !certificate_holds(run, &device, certificate)) {
        (void)distrust(run, stub,
                       "the roster lists a device whose certificate does not "
                       "hold");
        return CB_OK;
    }
    cb_status status =
        cb_audit_table_put(&run->devices, &device.id, &row, error);
    if (status == CB_LIMIT) {
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
        return CB_OK;
    }
    if (status == CB_OK) {
        memcpy(row, &device, sizeof device);
        if (device.hub) {
            add_hub_key(run, device.signing_key);
        }
    }
    return status;
}

/* A cut: what lies beyond it in the log already is judged here. */
static void take_revocation(cb_audit_run *run, const json_t *operation,
                            const cb_stub *stub)
{
    cb_stream_id id;
    cb_hash hash;
    int64_t seq = 0;
    if (!cb_json_bytes(operation, "stream", id.bytes, sizeof id.bytes) ||
        !cb_json_bytes(operation, "hash", hash.bytes, sizeof hash.bytes) ||
        !cb_json_integer(operation, "seq", &seq) || seq < 0) {
        (void)distrust(run, stub, "the roster holds a cut that cannot be read");
        return;
    }
    cb_audit_stream *stream = cb_audit_table_find(&run->streams, &id);
    if (stream == NULL) {
        (void)distrust(run, stub,
                       "the roster cuts a stream that the log does "
                       "not have");
        return;
    }
    stream->cut = true;
    stream->cut_seq = (uint64_t)seq;
    const cb_audit_place place = { .ref = run->log_ref,
                                   .stream = &stream->id,
                                   .seq = stream->seq,
                                   .log_index =
                                       cb_audit_leaf(stream->head_index) };
    if (stream->seq > stream->cut_seq) {
        (void)cb_report_find(
            &run->report, "REVOK", &place,
            cb_report_evidence("cut", &hash, "head", &stream->head),
            "the stream was cut after entry %" PRId64
            ", and the log has it up to %" PRIu64,
            seq, stream->seq);
    } else if (stream->seq == stream->cut_seq && stream->head_known &&
               memcmp(&hash, &stream->head, sizeof hash) != 0) {
        (void)cb_report_find(
            &run->report, "FORK", &place,
            cb_report_evidence("cut", &hash, "head", &stream->head),
            "the stream was cut after another entry %" PRId64
            " than the log has",
            seq);
    }
}

static cb_status take_operations(cb_audit_run *run, const json_t *operations,
                                 const cb_stub *stub, cb_error *error)
{
    cb_status status = CB_OK;
    for (size_t i = 0; i < json_array_size(operations) && status == CB_OK;
         i++) {
        const json_t *operation = json_array_get(operations, i);
        const char *name = cb_json_text(operation, "op");
        if (name != NULL && strcmp(name, "device") == 0) {
            status = take_device(run, operation, stub, error);
        } else if (name != NULL && strcmp(name, "revocation") == 0) {
            take_revocation(run, operation, stub);
        }
    }
    return status;
}

cb_status cb_audit_trust_roster(cb_audit_run *run, const cb_stub *stub,
                                cb_span body, cb_error *error)
{
    json_t *value = NULL;
    int64_t version = 0;
    cb_hash previous;
    cb_status status = CB_OK;
    if (cb_json_parse_canonical(body, &value, NULL) != CB_OK ||
        cb_json_array(value, "ops") == NULL ||
        !cb_json_integer(value, "version", &version) || version <= 0 ||
        version > UINT32_MAX ||
        !cb_json_bytes(value, "previous", previous.bytes,
                       sizeof previous.bytes)) {
        (void)distrust(run, stub, "a version of the roster cannot be read");
        json_decref(value);
        return CB_OK;
    }
    const bool follows =
        (uint64_t)version == (uint64_t)run->roster + 1 &&
        memcmp(&previous, &run->roster_hash, sizeof previous) == 0;
    /* After a hole in the log the chain of versions is taken up anew. */
    if (!follows && run->losses == 0) {
        (void)cb_report_find(
            &run->report, "ROSTER",
            &(cb_audit_place){ .ref = run->log_ref,
                               .stream = &stub->header.stream,
                               .seq = stub->header.seq,
                               .log_index = cb_audit_leaf(run->index) },
            cb_report_evidence("previous", &previous, "held",
                               &run->roster_hash),
            "roster version %" PRId64 " does not follow version %" PRIu32,
            version, run->roster);
    }
    if (follows || run->losses > 0 || (uint64_t)version > run->roster) {
        status = take_operations(run, cb_json_array(value, "ops"), stub, error);
        run->roster = (uint32_t)version;
        run->roster_hash = stub->hash;
    }
    json_decref(value);
    return status;
}
