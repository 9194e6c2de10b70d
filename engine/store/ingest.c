/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries that somebody else wrote.
 *
 * What is checked before anything is stored: shape, realm, a stream that is
 * open and certified, signature, and, where a stream comes whole, its chain.
 * What is stored is then applied if its key is here and its body is what it
 * claims to be; if not it waits or is quarantined, but it is kept.
 */
#include "base/json.h"
#include "store/internal.h"

#include <string.h>

typedef struct stream_row {
    int64_t number;
    cb_stream_facts facts;
    bool has_cut;
    uint64_t cut_seq;
} stream_row;

static void read_stream(const cb_query *query, stream_row *row)
{
    cb_stream_facts *facts = &row->facts;
    memset(row, 0, sizeof *row);
    row->number = cb_query_integer(query, 0);
    (void)cb_query_copy(query, 1, facts->stream.bytes,
                        sizeof facts->stream.bytes);
    (void)cb_query_copy(query, 2, facts->device.bytes,
                        sizeof facts->device.bytes);
    (void)cb_query_copy(query, 3, facts->person.bytes,
                        sizeof facts->person.bytes);
    (void)cb_query_copy(query, 4, facts->public_key, sizeof facts->public_key);
    facts->own = cb_query_integer(query, 5) == 1;
    facts->head_seq = (uint64_t)cb_query_integer(query, 6);
    (void)cb_query_copy(query, 7, facts->head_hash.bytes,
                        sizeof facts->head_hash.bytes);
    facts->accepted_seq = (uint64_t)cb_query_integer(query, 8);
    facts->frozen = cb_query_integer(query, 9) == 1;
    row->has_cut = !cb_query_is_null(query, 10);
    row->cut_seq = (uint64_t)cb_query_integer(query, 10);
    facts->revoked = row->has_cut;
    (void)cb_query_copy(query, 11, facts->fetched_commit,
                        sizeof facts->fetched_commit);
}

static cb_status find_stream(cb_store *store, const cb_stream_id *stream,
                             stream_row *row, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_find");
    cb_query_bind_blob(&query, ":id", stream->bytes, sizeof stream->bytes);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        read_stream(&query, row);
    }
    cb_query_end(&query);
    return status == CB_END ? CB_NOT_FOUND : status;
}

cb_status cb_exchange_stream(cb_store *store, const cb_stream_id *stream,
                             cb_stream_facts *ret_facts, cb_error *reterr_error)
{
    stream_row row;
    cb_status status = find_stream(store, stream, &row, reterr_error);
    if (status == CB_OK) {
        *ret_facts = row.facts;
    }
    return status;
}

cb_status cb_exchange_streams(cb_store *store, cb_stream_callback callback,
                              void *context, cb_error *reterr_error)
{
    cb_stream_id after = { { 0 } };
    cb_status status = CB_OK;
    while (status == CB_OK) {
        stream_row row;
        cb_query query = cb_query_begin(store->database, "stream_list");
        cb_query_bind_blob(&query, ":after", after.bytes, sizeof after.bytes);
        status = cb_query_step(&query, reterr_error);
        if (status == CB_OK) {
            read_stream(&query, &row);
        }
        cb_query_end(&query);
        if (status == CB_OK) {
            after = row.facts.stream;
            status = callback(context, &row.facts, reterr_error);
        }
    }
    return status == CB_END ? CB_OK : status;
}

struct opening {
    cb_device_id device;
    cb_person_id person;
    uint8_t device_key[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_key[CB_PUBLIC_KEY_BYTES];
    uint8_t stream_key[CB_PUBLIC_KEY_BYTES];
    uint8_t certificate[CB_SIGNATURE_BYTES];
    uint8_t stream_signature[CB_SIGNATURE_BYTES];
    bool hub;
};

static bool parse_opening(const json_t *body, struct opening *opening)
{
    opening->hub = json_is_true(json_object_get(body, "hub"));
    return cb_json_bytes(body, "device", opening->device.bytes,
                         sizeof opening->device.bytes) &&
           cb_json_bytes(body, "person", opening->person.bytes,
                         sizeof opening->person.bytes) &&
           cb_json_bytes(body, "device_key", opening->device_key,
                         sizeof opening->device_key) &&
           cb_json_bytes(body, "sealing_key", opening->sealing_key,
                         sizeof opening->sealing_key) &&
           cb_json_bytes(body, "stream_key", opening->stream_key,
                         sizeof opening->stream_key) &&
           cb_json_bytes(body, "certificate", opening->certificate,
                         sizeof opening->certificate) &&
           cb_json_bytes(body, "stream_signature", opening->stream_signature,
                         sizeof opening->stream_signature);
}

static bool opening_holds(const cb_store_identity *identity,
                          const cb_stream_id *stream,
                          const struct opening *opening)
{
    return cb_certificate_holds(
               &identity->realm, &opening->device, &opening->person,
               opening->device_key, opening->sealing_key, opening->hub,
               opening->certificate,
               opening->hub ? identity->root_key : identity->hub_key) &&
           cb_certificate_stream_holds(
               &identity->realm, stream, opening->stream_key,
               opening->stream_signature, opening->device_key);
}

/* A stream begins: its opening is certified by this realm, or it is refused. */
static cb_status open_stream(cb_store *store, const cb_entry *entry,
                             stream_row *row, cb_error *error)
{
    json_t *body = NULL;
    struct opening opening;
    if (entry->header.kind != CB_ENTRY_OPENING || entry->header.seq != 1 ||
        (entry->header.flags & CB_ENTRY_FLAG_CLEAR) == 0) {
        return cb_error_set(error, CB_REFUSED,
                            "the entry is of a stream that nobody has opened");
    }
    cb_status status = cb_json_parse_canonical(entry->body, &body, error);
    if (status == CB_OK && !parse_opening(body, &opening)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the opening of a stream is not complete");
    }
    if (status == CB_OK &&
        !opening_holds(&store->identity, &entry->header.stream, &opening)) {
        status = cb_error_set(error, CB_REFUSED,
                              "the opening of a stream is not certified by "
                              "this service");
        cb_error_meaning(error, "nothing of it was taken in");
    }
    json_decref(body);
    if (status != CB_OK) {
        return status;
    }
    cb_query query = cb_query_begin(store->database, "stream_insert");
    cb_query_bind_blob(&query, ":id", entry->header.stream.bytes,
                       sizeof entry->header.stream.bytes);
    cb_query_bind_blob(&query, ":device", opening.device.bytes,
                       sizeof opening.device.bytes);
    cb_query_bind_blob(&query, ":person", opening.person.bytes,
                       sizeof opening.person.bytes);
    cb_query_bind_blob(&query, ":public_key", opening.stream_key,
                       sizeof opening.stream_key);
    cb_query_bind_integer(&query, ":own", 0);
    status = cb_query_run(&query, error);
    return status == CB_OK
               ? find_stream(store, &entry->header.stream, row, error)
               : status;
}

/* Whether a roster entry may come from this stream: only the hub's own. */
static bool stream_is_hub(cb_store *store, const stream_row *row)
{
    cb_query query = cb_query_begin(store->database, "device_find");
    cb_query_bind_blob(&query, ":id", row->facts.device.bytes,
                       sizeof row->facts.device.bytes);
    bool hub = cb_query_step(&query, NULL) == CB_OK &&
               cb_query_integer(&query, 4) == 1;
    cb_query_end(&query);
    return hub;
}

/* How far an entry's effect came, and why not further. */
struct effect {
    cb_ingest_outcome outcome;
    const char *reason; /* borrowed, or NULL */
    bool has_case;
    cb_case_id case_id;
    cb_error words;
};

static cb_status quarantine(struct effect *effect, const char *reason)
{
    effect->outcome = CB_INGEST_QUARANTINED;
    effect->reason = reason;
    return CB_OK;
}

/* CB_INPUT and CB_DAMAGED of a body are the writer's fault, not ours. */
static cb_status blame_writer(struct effect *effect, cb_status status)
{
    if (status != CB_INPUT && status != CB_DAMAGED && status != CB_WRONG_KEY &&
        status != CB_LIMIT) {
        return status;
    }
    return quarantine(effect, effect->words.what);
}

static cb_status apply_roster(cb_store *store, const cb_entry *entry,
                              const stream_row *row, const json_t *body,
                              bool clear, struct effect *effect)
{
    if (!stream_is_hub(store, row)) {
        return quarantine(effect, "the roster is written by the hub alone");
    }
    return blame_writer(effect,
                        cb_roster_apply(store, body, clear, &entry->hash,
                                        entry->header.time, &effect->words));
}

static cb_status apply_clear(cb_store *store, const cb_entry *entry,
                             const stream_row *row, struct effect *effect)
{
    json_t *body = NULL;
    cb_status status =
        cb_json_parse_canonical(entry->body, &body, &effect->words);
    if (status != CB_OK) {
        return blame_writer(effect, status);
    }
    if (entry->header.kind == CB_ENTRY_CASE) {
        status = quarantine(effect, "a case entry must be sealed");
    } else if (entry->header.kind == CB_ENTRY_ROSTER) {
        status = apply_roster(store, entry, row, body, true, effect);
    }
    json_decref(body);
    return status;
}

static cb_status apply_opened(cb_store *store, const cb_entry *entry,
                              const stream_row *row,
                              const cb_compartment *compartment,
                              const json_t *body, struct effect *effect)
{
    if (entry->header.kind == CB_ENTRY_ROSTER) {
        return apply_roster(store, entry, row, body, false, effect);
    }
    if (entry->header.kind != CB_ENTRY_CASE) {
        return CB_OK;
    }
    cb_status status =
        cb_apply_check(compartment, &row->facts.person, body, &effect->words);
    if (status != CB_OK) {
        return blame_writer(effect, status);
    }
    effect->has_case = true;
    effect->case_id = compartment->case_id;
    return cb_apply_case(store, &entry->hash, compartment, body,
                         &effect->words);
}

static cb_status apply_sealed(cb_store *store, const cb_entry *entry,
                              const stream_row *row, struct effect *effect)
{
    cb_compartment compartment;
    json_t *body = NULL;
    cb_buffer plaintext;
    cb_buffer_init(&plaintext, CB_PLAINTEXT_BYTES_MAX);
    cb_status status = cb_compartment_load(store, &entry->header.key_id,
                                           &compartment, &effect->words);
    if (status == CB_NOT_FOUND) {
        effect->outcome = CB_INGEST_WAITING;
        effect->reason = "the key of its compartment is not here";
        status = CB_OK;
        goto out;
    }
    if (status == CB_OK) {
        status =
            cb_entry_open(entry, store->key_in_use, &plaintext, &effect->words);
        if (status == CB_OK) {
            status = cb_json_parse_canonical(cb_span_of_buffer(&plaintext),
                                             &body, &effect->words);
        }
        status = status == CB_OK ? apply_opened(store, entry, row, &compartment,
                                                body, effect)
                                 : blame_writer(effect, status);
    }
out:
    json_decref(body);
    cb_buffer_clear(&plaintext);
    return status;
}

static cb_status apply_entry(cb_store *store, const cb_entry *entry,
                             const stream_row *row, struct effect *effect)
{
    memset(effect, 0, sizeof *effect);
    effect->outcome = CB_INGEST_APPLIED;
    if (row->has_cut && entry->header.seq > row->cut_seq) {
        return quarantine(effect, "written after the device was revoked");
    }
    if (row->facts.frozen) {
        return quarantine(effect, "its stream is frozen because it forked");
    }
    return (entry->header.flags & CB_ENTRY_FLAG_CLEAR) != 0
               ? apply_clear(store, entry, row, effect)
               : apply_sealed(store, entry, row, effect);
}

static const char *state_word(cb_ingest_outcome outcome)
{
    switch (outcome) {
    case CB_INGEST_WAITING: return "waiting";
    case CB_INGEST_QUARANTINED:
    case CB_INGEST_FORK: return "quarantined";
    case CB_INGEST_APPLIED:
    case CB_INGEST_KNOWN:
    default: return "applied";
    }
}

static cb_status insert(cb_store *store, const cb_entry *entry,
                        const stream_row *row, const cb_ingest *how,
                        const struct effect *effect, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_insert");
    cb_query_bind_blob(&query, ":hash", entry->hash.bytes,
                       sizeof entry->hash.bytes);
    cb_query_bind_integer(&query, ":stream", row->number);
    cb_query_bind_integer(&query, ":seq", (int64_t)entry->header.seq);
    cb_query_bind_integer(&query, ":kind", entry->header.kind);
    if ((entry->header.flags & CB_ENTRY_FLAG_CLEAR) == 0) {
        cb_query_bind_blob(&query, ":key_id", entry->header.key_id.bytes,
                           sizeof entry->header.key_id.bytes);
    }
    if (effect->has_case) {
        cb_query_bind_blob(&query, ":case_id", effect->case_id.bytes,
                           sizeof effect->case_id.bytes);
    }
    cb_query_bind_integer(
        &query, ":received_ms",
        store->environment->now_ms(store->environment->context));
    if (how->log_index >= 0) {
        cb_query_bind_integer(&query, ":log_index", how->log_index);
    }
    cb_query_bind_text(&query, ":state", state_word(effect->outcome));
    if (effect->reason != NULL) {
        cb_query_bind_text(&query, ":reason", effect->reason);
    }
    cb_query_bind_blob(&query, ":bytes", entry->bytes.bytes, entry->bytes.size);
    return cb_query_run(&query, error);
}

/* Was here already: only its place in the hub's log may be news. */
static cb_status note_known(cb_store *store, const cb_entry *entry,
                            const cb_ingest *how, bool *ret_known,
                            cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_by_hash");
    cb_query_bind_blob(&query, ":hash", entry->hash.bytes,
                       sizeof entry->hash.bytes);
    cb_status status = cb_query_step(&query, error);
    *ret_known = status == CB_OK;
    int64_t number = status == CB_OK ? cb_query_integer(&query, 0) : 0;
    bool unplaced = status == CB_OK && cb_query_is_null(&query, 2);
    cb_query_end(&query);
    if (status == CB_END) {
        return CB_OK;
    }
    if (status == CB_OK && unplaced && how->log_index >= 0) {
        query = cb_query_begin(store->database, "entry_logged");
        cb_query_bind_integer(&query, ":log_index", how->log_index);
        cb_query_bind_integer(&query, ":number", number);
        status = cb_query_run(&query, error);
    }
    return status;
}

/* Another entry at the same place of the stream: proof of a fork. */
static cb_status is_fork(cb_store *store, const cb_entry *entry,
                         const stream_row *row, bool *ret_fork, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_at");
    cb_query_bind_integer(&query, ":stream", row->number);
    cb_query_bind_integer(&query, ":seq", (int64_t)entry->header.seq);
    cb_status status = cb_query_step(&query, error);
    *ret_fork = status == CB_OK;
    cb_query_end(&query);
    if (status == CB_OK) {
        query = cb_query_begin(store->database, "stream_freeze");
        cb_query_bind_integer(&query, ":number", row->number);
        return cb_query_run(&query, error);
    }
    return status == CB_END ? CB_OK : status;
}

static cb_status check_chain(const cb_entry *entry, const stream_row *row,
                             cb_error *error)
{
    if (entry->header.seq != row->facts.head_seq + 1) {
        return cb_error_set(error, CB_DAMAGED,
                            "entry %llu of a stream follows entry %llu",
                            (unsigned long long)entry->header.seq,
                            (unsigned long long)row->facts.head_seq);
    }
    if (memcmp(&entry->header.prev, &row->facts.head_hash,
               sizeof entry->header.prev) != 0) {
        return cb_error_set(error, CB_DAMAGED,
                            "entry %llu of a stream does not name the one "
                            "before it",
                            (unsigned long long)entry->header.seq);
    }
    return CB_OK;
}

static cb_status move_stream_head(cb_store *store, const cb_entry *entry,
                                  const stream_row *row, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "stream_head");
    cb_query_bind_integer(&query, ":seq", (int64_t)entry->header.seq);
    cb_query_bind_blob(&query, ":hash", entry->hash.bytes,
                       sizeof entry->hash.bytes);
    cb_query_bind_integer(&query, ":number", row->number);
    return cb_query_run(&query, error);
}

static cb_status take_in(cb_store *store, const cb_entry *entry,
                         const stream_row *row, const cb_ingest *how,
                         cb_ingest_outcome *ret_outcome, cb_error *error)
{
    struct effect effect;
    bool fork = false;
    cb_status status = is_fork(store, entry, row, &fork, error);
    if (status != CB_OK) {
        return status;
    }
    if (fork) {
        memset(&effect, 0, sizeof effect);
        effect.outcome = CB_INGEST_FORK;
        effect.reason = "another entry has this stream and number";
    } else {
        status = how->whole_stream ? check_chain(entry, row, error) : CB_OK;
        if (status == CB_OK) {
            status = apply_entry(store, entry, row, &effect);
        }
        if (status != CB_OK) {
            if (error != NULL && error->status == CB_OK) {
                *error = effect.words;
            }
            return status;
        }
    }
    status = insert(store, entry, row, how, &effect, error);
    if (status == CB_OK && how->whole_stream && !fork) {
        status = move_stream_head(store, entry, row, error);
    }
    if (status == CB_OK) {
        *ret_outcome = effect.outcome;
    }
    return status;
}

cb_status cb_exchange_ingest(cb_store *store, cb_span bytes,
                             const cb_ingest *how,
                             cb_ingest_outcome *ret_outcome,
                             cb_error *reterr_error)
{
    cb_entry entry;
    stream_row row;
    bool known = false;
    cb_status status = cb_entry_decode(bytes, &entry, reterr_error);
    if (status == CB_OK && memcmp(&entry.header.realm, &store->identity.realm,
                                  sizeof entry.header.realm) != 0) {
        status = cb_error_set(reterr_error, CB_REFUSED,
                              "the entry belongs to another service");
    }
    if (status == CB_OK) {
        status = note_known(store, &entry, how, &known, reterr_error);
    }
    if (status == CB_OK && known) {
        *ret_outcome = CB_INGEST_KNOWN;
        return CB_OK;
    }
    if (status == CB_OK) {
        status = find_stream(store, &entry.header.stream, &row, reterr_error);
        if (status == CB_NOT_FOUND) {
            status = open_stream(store, &entry, &row, reterr_error);
        }
    }
    if (status == CB_OK && !how->verified) {
        status = cb_entry_verify(&entry, row.facts.public_key, reterr_error);
    }
    if (status == CB_OK) {
        status = take_in(store, &entry, &row, how, ret_outcome, reterr_error);
    }
    return status;
}

/* Applies what waited for a key that has just come. */
cb_status cb_ingest_waiting(cb_store *store, const cb_key_id *key_id,
                            cb_error *error)
{
    cb_status status = CB_OK;
    int64_t done = 0;
    while (status == CB_OK) {
        cb_entry entry;
        stream_row row;
        struct effect effect;
        cb_buffer bytes;
        int64_t number = 0;
        cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
        cb_query query =
            cb_query_begin(store->database, "entry_waiting_for_key");
        cb_query_bind_blob(&query, ":key_id", key_id->bytes,
                           sizeof key_id->bytes);
        cb_query_bind_integer(&query, ":after", done);
        status = cb_query_step(&query, error);
        if (status == CB_OK) {
            number = cb_query_integer(&query, 0);
            cb_buffer_append_span(&bytes, cb_query_blob(&query, 1));
            status = cb_buffer_check(&bytes, error);
        }
        cb_query_end(&query);
        if (status == CB_OK) {
            status = cb_entry_decode(cb_span_of_buffer(&bytes), &entry, error);
        }
        if (status == CB_OK) {
            status = find_stream(store, &entry.header.stream, &row, error);
        }
        if (status == CB_OK) {
            status = apply_entry(store, &entry, &row, &effect);
        }
        if (status == CB_OK) {
            query = cb_query_begin(store->database, "entry_state");
            cb_query_bind_text(&query, ":state", state_word(effect.outcome));
            if (effect.reason != NULL) {
                cb_query_bind_text(&query, ":reason", effect.reason);
            }
            if (effect.has_case) {
                cb_query_bind_blob(&query, ":case_id", effect.case_id.bytes,
                                   sizeof effect.case_id.bytes);
            }
            cb_query_bind_integer(&query, ":number", number);
            status = cb_query_run(&query, error);
            done = number;
        }
        cb_buffer_clear(&bytes);
    }
    return status == CB_END ? CB_OK : status;
}
