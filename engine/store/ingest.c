/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries that somebody else wrote.
 *
 * What is checked before anything is stored: shape, realm, a stream that is
 * open and certified, signature, and, where a stream comes whole, its chain.
 * What is stored is then applied if its key is here and its body is what it
 * claims to be; if not it waits or is quarantined, but it is kept.
 *
 * The row of the entry is written before its effect on other tables, so that
 * what the database refuses leaves nothing behind.
 */
#include "base/json.h"
#include "store/stream.h"

#include <casebound/chain.h>
#include <string.h>

/* How far an entry's effect came, and why not further. */
struct effect {
    cb_ingest_outcome outcome;
    const char *reason; /* borrowed, or NULL */
    int64_t key;        /* the candidate that opened it, or 0 */
    bool has_case;      /* compartment and body are to be applied */
    cb_compartment compartment;
    json_t *body;
    cb_error words;
};

static cb_status quarantine(struct effect *effect, const char *reason)
{
    effect->outcome = CB_INGEST_QUARANTINED;
    effect->reason = reason;
    return CB_OK;
}

/* These statuses of a body are its writer's fault; the others are ours. */
static cb_status blame_writer(struct effect *effect, cb_status status)
{
    if (status != CB_INPUT && status != CB_DAMAGED && status != CB_WRONG_KEY &&
        status != CB_LIMIT) {
        return status;
    }
    return quarantine(effect, effect->words.what);
}

/* Kinds whose content this version reads; the rest is kept as it is. */
static bool is_read(uint8_t kind)
{
    return kind == CB_ENTRY_CASE || kind == CB_ENTRY_ROSTER;
}

/* All of a roster entry's lines or none. */
static cb_status judge_roster(cb_store *store, const cb_entry *entry,
                              const cb_stream_row *row, const json_t *body,
                              bool clear, struct effect *effect)
{
    cb_savepoint savepoint;
    if (!row->hub) {
        return quarantine(effect, "the roster is written by the hub alone");
    }
    cb_status status = cb_savepoint_begin(store, &savepoint, &effect->words);
    if (status != CB_OK) {
        return status;
    }
    status = cb_roster_apply(store, body, clear, &entry->hash,
                             entry->header.time, &effect->words);
    cb_status ended =
        cb_savepoint_end(store, &savepoint, status == CB_OK, &effect->words);
    return ended != CB_OK || status == CB_OK ? ended
                                             : blame_writer(effect, status);
}

static cb_status judge_clear(cb_store *store, const cb_entry *entry,
                             const cb_stream_row *row, struct effect *effect)
{
    json_t *body = NULL;
    if (entry->header.kind == CB_ENTRY_CASE) {
        return quarantine(effect, "a case entry must be sealed");
    }
    if (!is_read(entry->header.kind)) {
        return CB_OK;
    }
    cb_status status =
        cb_json_parse_canonical(entry->body, &body, &effect->words);
    status = status == CB_OK
                 ? judge_roster(store, entry, row, body, true, effect)
                 : blame_writer(effect, status);
    json_decref(body);
    return status;
}

/* Invariant 3, with this candidate's compartment. */
static cb_status judge_body(const cb_entry *entry, const cb_stream_row *row,
                            const cb_compartment *compartment, cb_span text,
                            struct effect *effect, cb_error *words)
{
    json_t *body = NULL;
    cb_status status = cb_json_parse_canonical(text, &body, words);
    if (status == CB_OK && entry->header.kind == CB_ENTRY_CASE) {
        status = cb_apply_check(compartment, &row->facts.person, body, words);
    }
    if (status != CB_OK) {
        json_decref(body);
        return status;
    }
    effect->body = body;
    effect->compartment = *compartment;
    effect->has_case = entry->header.kind == CB_ENTRY_CASE;
    return CB_OK;
}

/*
 * CB_OK: this is the key.  CB_WRONG_KEY: it is not.  Others: it opens the
 * entry, but what is in it does not hold.
 */
static cb_status try_key(cb_store *store, const cb_entry *entry,
                         const cb_stream_row *row, const cb_query *query,
                         struct effect *effect, cb_error *words)
{
    cb_compartment compartment;
    cb_buffer plaintext;
    cb_buffer_init(&plaintext, CB_PLAINTEXT_BYTES_MAX);
    cb_status status =
        cb_compartment_read(store, query, &compartment, &effect->key, words);
    if (status == CB_OK) {
        status = cb_entry_open(entry, store->key_in_use, &plaintext, words);
    }
    if (!is_read(entry->header.kind)) {
        status = status == CB_WRONG_KEY ? status : CB_OK;
    } else if (status == CB_OK) {
        status = judge_body(entry, row, &compartment,
                            cb_span_of_buffer(&plaintext), effect, words);
    }
    cb_buffer_clear(&plaintext);
    return status;
}

/* What all candidates together have to say. */
static cb_status conclude(struct effect *effect, cb_status told, bool refused)
{
    effect->key = 0;
    if (told != CB_WRONG_KEY) {
        return blame_writer(effect, told);
    }
    effect->outcome = CB_INGEST_WAITING;
    effect->reason = refused ? "whoever brought the key of its compartment "
                               "may not speak for it"
                             : "the key of its compartment is not here";
    return CB_OK;
}

/*
 * Anybody may bring bytes under a key id: a candidate that does not fit says
 * nothing about the entry.
 */
static cb_status open_sealed(cb_store *store, const cb_entry *entry,
                             const cb_stream_row *row, struct effect *effect)
{
    cb_status told = CB_WRONG_KEY;
    bool opened = false;
    bool refused = false;
    cb_query query = cb_query_begin(store->database, "key_candidates");
    cb_query_bind_blob(&query, ":key_id", entry->header.key_id.bytes,
                       sizeof entry->header.key_id.bytes);
    cb_query_bind_blob(&query, ":author", row->facts.person.bytes,
                       sizeof row->facts.person.bytes);
    cb_status status = cb_query_step(&query, &effect->words);
    while (status == CB_OK && !opened) {
        cb_error words = { .status = CB_OK };
        if (cb_query_integer(&query, 5) == 0) {
            refused = true;
        } else {
            cb_status tried =
                try_key(store, entry, row, &query, effect, &words);
            opened = tried == CB_OK;
            if (tried == CB_NO_MEMORY) {
                status = tried;
            } else if (!opened && told == CB_WRONG_KEY) {
                told = tried;
                effect->words = words;
            }
        }
        if (status == CB_OK && !opened) {
            status = cb_query_step(&query, &effect->words);
        }
    }
    cb_query_end(&query);
    if (opened || (status != CB_OK && status != CB_END)) {
        return status;
    }
    return conclude(effect, told, refused);
}

static cb_status judge_sealed(cb_store *store, const cb_entry *entry,
                              const cb_stream_row *row, struct effect *effect)
{
    cb_status status = open_sealed(store, entry, row, effect);
    if (status != CB_OK || effect->outcome != CB_INGEST_APPLIED ||
        entry->header.kind != CB_ENTRY_ROSTER) {
        return status;
    }
    return memcmp(&entry->header.key_id, &store->realm_key_id,
                  sizeof store->realm_key_id) == 0
               ? judge_roster(store, entry, row, effect->body, false, effect)
               : quarantine(effect, "names are sealed under the realm's key "
                                    "alone");
}

/*
 * Says what an entry is worth.  Of the tables it changes the roster's only.
 * `fresh`: nobody has accepted it before.  What the hub has put into its log,
 * and what was held here before a stream forked, is not judged by the fork:
 * else hub and devices would hold different entries for true.
 */
static cb_status judge(cb_store *store, const cb_entry *entry,
                       const cb_stream_row *row, bool fresh,
                       struct effect *effect)
{
    memset(effect, 0, sizeof *effect);
    effect->outcome = CB_INGEST_APPLIED;
    if (row->has_cut && entry->header.seq > row->cut_seq) {
        return quarantine(effect, "written after the device was revoked");
    }
    if (fresh && row->facts.frozen && entry->header.seq >= row->frozen_from) {
        return quarantine(effect, "its stream is frozen because it forked");
    }
    return (entry->header.flags & CB_ENTRY_FLAG_CLEAR) != 0
               ? judge_clear(store, entry, row, effect)
               : judge_sealed(store, entry, row, effect);
}

/* What is derived from an entry whose row stands. */
static cb_status apply(cb_store *store, const struct effect *effect,
                       cb_error *error)
{
    return effect->has_case
               ? cb_apply_case(store, &effect->compartment.case_id, error)
               : CB_OK;
}

static const char *state_word(cb_ingest_outcome outcome)
{
    switch (outcome) {
    case CB_INGEST_WAITING: return "waiting";
    case CB_INGEST_QUARANTINED:
    case CB_INGEST_FORK: return "quarantined";
    case CB_INGEST_APPLIED:
    case CB_INGEST_KNOWN:
    case CB_INGEST_REFUSED:
    default: return "applied";
    }
}

static cb_status insert(cb_store *store, const cb_entry *entry,
                        const cb_stream_row *row, const cb_ingest *how,
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
    if (effect->key != 0) {
        cb_query_bind_integer(&query, ":key", effect->key);
    }
    if (effect->has_case) {
        cb_query_bind_blob(&query, ":case_id",
                           effect->compartment.case_id.bytes,
                           sizeof effect->compartment.case_id.bytes);
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
                         const cb_stream_row *row, bool *ret_fork,
                         cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_at");
    cb_query_bind_integer(&query, ":stream", row->number);
    cb_query_bind_integer(&query, ":seq", (int64_t)entry->header.seq);
    cb_status status = cb_query_step(&query, error);
    *ret_fork = status == CB_OK;
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

/*
 * Somebody else went on with our present stream, so this is an older copy, or a
 * twin.  The mark stays until a new incarnation begins.
 */
static cb_status note_own(cb_store *store, const cb_entry *entry,
                          const cb_stream_row *row, bool moved, cb_error *error)
{
    cb_store_identity *identity = &store->identity;
    if (!row->facts.own || memcmp(&row->facts.stream, &identity->stream,
                                  sizeof identity->stream) != 0) {
        return CB_OK;
    }
    if (moved) {
        identity->head_seq = entry->header.seq;
        store->head_hash = entry->hash;
    }
    return cb_identity_mark_restored(store, error);
}

/* Others' clocks pull ours, so that what is written later says so. */
static void follow_clock(cb_store *store, uint64_t time)
{
    int64_t now_ms = store->environment->now_ms(store->environment->context);
    if (time > store->last_time &&
        cb_entry_time_ms(time) <= now_ms + CB_CLOCK_FORWARD_MS_MAX) {
        store->last_time = time;
        store->clock_followed = true;
    }
}

/*
 * The branches of a frozen stream are kept without a chain: which of them is
 * the stream is not for us to say.
 */
static cb_status check_chain(cb_store *store, const cb_entry *entry,
                             const cb_stream_row *row, cb_error *error)
{
    cb_chain chain = {
        .realm = store->identity.realm,
        .stream = row->facts.stream,
        .seq = row->facts.head_seq,
        .head = row->facts.head_hash,
    };
    return row->facts.frozen
               ? CB_OK
               : cb_chain_advance(&chain, &entry->header, &entry->hash, error);
}

static cb_status judge_place(cb_store *store, const cb_entry *entry,
                             const cb_stream_row *row, const cb_ingest *how,
                             struct effect *effect, cb_error *error)
{
    bool fork = false;
    memset(effect, 0, sizeof *effect);
    cb_status status = is_fork(store, entry, row, &fork, error);
    if (status == CB_OK && fork) {
        effect->outcome = CB_INGEST_FORK;
        effect->reason = "another entry has this stream and number";
        return cb_stream_freeze(store, row->number, row->facts.head_seq + 1,
                                error);
    }
    if (status == CB_OK && how->whole_stream) {
        status = check_chain(store, entry, row, error);
    }
    if (status == CB_OK) {
        status = judge(store, entry, row, how->log_index < 0, effect);
        if (status != CB_OK && error != NULL && error->status == CB_OK) {
            *error = effect->words;
        }
    }
    return status;
}

static cb_status take_in(cb_store *store, const cb_entry *entry,
                         const cb_stream_row *row, const cb_ingest *how,
                         cb_ingest_outcome *ret_outcome, cb_error *error)
{
    struct effect effect;
    cb_status status = judge_place(store, entry, row, how, &effect, error);
    bool moves = how->whole_stream && !row->facts.frozen &&
                 effect.outcome != CB_INGEST_FORK;
    if (status == CB_OK) {
        status = insert(store, entry, row, how, &effect, error);
    }
    if (status == CB_OK) {
        status = apply(store, &effect, error);
    }
    if (status == CB_OK && moves) {
        status = cb_stream_move_head(store, row->number, entry->header.seq,
                                     &entry->hash, error);
    }
    if (status == CB_OK) {
        status = note_own(store, entry, row, moves, error);
    }
    if (status == CB_OK) {
        follow_clock(store, entry->header.time);
        *ret_outcome = effect.outcome;
    }
    json_decref(effect.body);
    return status;
}

/* Shape, realm, stream and signature; nothing else is looked at before. */
static cb_status verify(cb_store *store, cb_span bytes, const cb_ingest *how,
                        cb_entry *entry, cb_stream_row *row, bool *ret_known,
                        cb_error *error)
{
    cb_status status = cb_entry_decode(bytes, entry, error);
    *ret_known = false;
    if (status == CB_OK && memcmp(&entry->header.realm, &store->identity.realm,
                                  sizeof entry->header.realm) != 0) {
        status = cb_error_set(error, CB_REFUSED,
                              "the entry belongs to another service");
    }
    if (status == CB_OK) {
        status = note_known(store, entry, how, ret_known, error);
    }
    if (status != CB_OK || *ret_known) {
        return status;
    }
    status = cb_stream_find(store, &entry->header.stream, row, error);
    if (status == CB_NOT_FOUND) {
        status = cb_stream_open(store, entry, row, error);
    } else if (status == CB_OK && !how->verified) {
        status = cb_entry_verify(entry, row->facts.public_key, error);
    }
    return status;
}

/* One entry that cannot be read must not keep out those that follow it. */
static cb_status keep_unread(cb_store *store, cb_span bytes,
                             const cb_ingest *how, cb_status status,
                             cb_error *words, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "unread_add");
    cb_query_bind_integer(&query, ":log_index", how->log_index);
    cb_query_bind_integer(
        &query, ":received_ms",
        store->environment->now_ms(store->environment->context));
    cb_query_bind_text(&query, ":reason",
                       status == CB_NEWER ? "made by a newer version"
                                          : words->what);
    cb_query_bind_blob(&query, ":bytes", bytes.bytes, bytes.size);
    return cb_query_run(&query, error);
}

static bool is_entrys_fault(cb_status status)
{
    return status == CB_NEWER || status == CB_DAMAGED || status == CB_REFUSED ||
           status == CB_INPUT || status == CB_LIMIT;
}

cb_status cb_exchange_ingest(cb_store *store, cb_span bytes,
                             const cb_ingest *how,
                             cb_ingest_outcome *ret_outcome,
                             cb_error *reterr_error)
{
    cb_entry entry;
    cb_stream_row row;
    cb_error words = { .status = CB_OK };
    bool known = false;
    cb_status status = verify(store, bytes, how, &entry, &row, &known, &words);
    if (status != CB_OK && reterr_error != NULL) {
        *reterr_error = words;
    }
    if (status == CB_OK && known) {
        *ret_outcome = CB_INGEST_KNOWN;
        return CB_OK;
    }
    if (status != CB_OK) {
        if (!how->keep_unread || !is_entrys_fault(status)) {
            return status;
        }
        status = keep_unread(store, bytes, how, status, &words, reterr_error);
        *ret_outcome = sqlite3_changes(store->database->connection) == 0
                           ? CB_INGEST_KNOWN
                           : CB_INGEST_REFUSED;
        return status;
    }
    return take_in(store, &entry, &row, how, ret_outcome, reterr_error);
}

/* The oldest entry after `after` that waits for the key; CB_END. */
static cb_status next_waiting(cb_store *store, const cb_key_id *key_id,
                              int64_t after, int64_t *ret_number,
                              cb_buffer *bytes, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_waiting_for_key");
    cb_query_bind_blob(&query, ":key_id", key_id->bytes, sizeof key_id->bytes);
    cb_query_bind_integer(&query, ":after", after);
    cb_query_bind_text(&query, ":reason", CB_REASON_OTHER_COMPARTMENT);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        *ret_number = cb_query_integer(&query, 0);
        cb_buffer_reset(bytes);
        cb_buffer_append_span(bytes, cb_query_blob(&query, 1));
        status = cb_buffer_check(bytes, error);
    }
    cb_query_end(&query);
    return status;
}

static cb_status change_state(cb_store *store, int64_t number,
                              const struct effect *effect, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_state");
    cb_query_bind_text(&query, ":state", state_word(effect->outcome));
    if (effect->reason != NULL) {
        cb_query_bind_text(&query, ":reason", effect->reason);
    }
    if (effect->key != 0) {
        cb_query_bind_integer(&query, ":key", effect->key);
    }
    if (effect->has_case) {
        cb_query_bind_blob(&query, ":case_id",
                           effect->compartment.case_id.bytes,
                           sizeof effect->compartment.case_id.bytes);
    }
    cb_query_bind_integer(&query, ":number", number);
    return cb_query_run(&query, error);
}

cb_status cb_ingest_again(cb_store *store, int64_t number, cb_span bytes,
                          cb_error *error)
{
    cb_entry entry;
    cb_stream_row row;
    struct effect effect = { .body = NULL };
    cb_status status = cb_entry_decode(bytes, &entry, error);
    if (status == CB_OK) {
        status = cb_stream_find(store, &entry.header.stream, &row, error);
    }
    if (status == CB_OK) {
        status = judge(store, &entry, &row, false, &effect);
        if (status != CB_OK && error != NULL && error->status == CB_OK) {
            *error = effect.words;
        }
    }
    if (status == CB_OK) {
        status = change_state(store, number, &effect, error);
    }
    if (status == CB_OK) {
        status = apply(store, &effect, error);
    }
    json_decref(effect.body);
    return status;
}

cb_status cb_ingest_waiting(cb_store *store, const cb_key_id *key_id,
                            cb_error *error)
{
    int64_t number = 0;
    cb_buffer bytes;
    cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
    cb_status status =
        next_waiting(store, key_id, number, &number, &bytes, error);
    while (status == CB_OK) {
        status =
            cb_ingest_again(store, number, cb_span_of_buffer(&bytes), error);
        if (status == CB_OK) {
            status =
                next_waiting(store, key_id, number, &number, &bytes, error);
        }
    }
    cb_buffer_clear(&bytes);
    return status == CB_END ? CB_OK : status;
}
