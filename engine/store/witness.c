/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The witness: outside the database, how far this store has come, so that an
 * older copy of it is recognised when it is opened.
 *
 * `meta` counts the transactions that recorded or took in something.  After
 * each of them, when it is durable, the count is written to two files: one in
 * the store's folder, which notices that the database alone was put back, or
 * that its log is gone, and one in another folder of the person's, which
 * notices that the whole folder was.
 *
 *   file   slot 256 | slot 256, written by turns
 *   slot   "CBWITNES" | version 2 | flags 2 | zero 4 | store id 16 | turn 8 |
 *          transactions 8 | stream 16 | seq 8 | head 32 | checkpoint 8 |
 *          time 8 | keyed hash 32 | zero
 *   flags  1: the database's log was open
 *   hash   BLAKE2b-256 of everything before it, keyed with the hash
 *          of "casebound/2 witness" 0x00 and the store id, itself keyed with
 *          the device's signing key, which no change of passphrase or master
 *          key changes
 *
 * Invariants:
 *  1. A witness is written only after its transaction is durable, and read
 *     before the database is opened, so it is never ahead of an undamaged
 *     store: it raises no false alarm, whenever the power goes and whoever
 *     writes at the same time.  It is not flushed before the store is closed,
 *     so a power cut may leave it behind, where it says less and nothing
 *     untrue.
 *  2. The newer slot is never the one being written, so a torn write leaves the
 *     other.
 *  3. What is known to be an older copy neither counts nor writes, so it does
 *     not catch up with its witness and hide what it is.
 *  4. Nothing that happens to a witness fails a change or keeps a store from
 *     being opened, but for one that a newer version wrote.
 *
 * Version 1 was JSON and is read; it knew of our stream only.
 */
#include "base/json.h"
#include "store/internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC              "CBWITNES"
#define MAGIC_BYTES        8
#define VERSION            2
#define FLAG_LOG_OPEN      1
#define SLOT_BYTES         256
#define HASHED_BYTES       128
#define HASH_BYTES         32
#define WITNESS_FILE_BYTES ((size_t)2 * SLOT_BYTES)
#define WITNESS_BYTES_MAX  4096
#define FOLDER_BYTES_MAX   4096
#define HASH_DOMAIN        "casebound/2 witness"

enum {
    INSIDE,
    OUTSIDE,
    PLACES
};

struct mark {
    uint64_t turn;
    uint64_t commits;
    cb_stream_id stream;
    uint64_t seq;
    cb_hash head;
    uint64_t checkpoint;
    uint64_t written_ms;
    bool log_open;
};

struct place {
    char *path;      /* NULL: there is none */
    cb_buffer found; /* as it was before the database was opened */
    bool usable;     /* holds slots that can be overwritten */
    cb_witness_state state;
};

struct cb_witness {
    struct place places[PLACES];
    bool log_present; /* before the database was opened */
    bool current;     /* looked at since we alone write */
    bool dirty;       /* not flushed, or says that the log is open */
    uint64_t turn;
    uint64_t commits; /* the largest that was seen or written */
    cb_store_witness facts;
};

/* ----------------------------------------------------------------- places */

static cb_status create(cb_witness **ret_witness, cb_error *error)
{
    cb_witness *witness = calloc(1, sizeof *witness);
    if (witness == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < PLACES; i++) {
        cb_buffer_init(&witness->places[i].found, WITNESS_BYTES_MAX);
    }
    *ret_witness = witness;
    return CB_OK;
}

void cb_witness_destroy(cb_witness *witness)
{
    if (witness == NULL) {
        return;
    }
    for (size_t i = 0; i < PLACES; i++) {
        free(witness->places[i].path);
        cb_buffer_clear(&witness->places[i].found);
    }
    free(witness);
}

static cb_status name_places(cb_store *store, const char *outside,
                             cb_error *error)
{
    char name[2 * CB_IDENTIFIER_BYTES + sizeof ".witness"];
    struct place *places = store->witness->places;
    places[INSIDE].path = cb_store_path(store->folder, "witness");
    if (outside != NULL) {
        cb_hex_format(store->store_id, sizeof store->store_id, name);
        memcpy(name + (size_t)2 * CB_IDENTIFIER_BYTES, ".witness",
               sizeof ".witness");
        places[OUTSIDE].path = cb_store_path(outside, name);
    }
    return places[INSIDE].path == NULL ||
                   (outside != NULL && places[OUTSIDE].path == NULL)
               ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
               : CB_OK;
}

static bool is_slot(cb_span slot)
{
    return slot.size == SLOT_BYTES &&
           memcmp(slot.bytes, MAGIC, MAGIC_BYTES) == 0;
}

static cb_span slot_of(const cb_buffer *found, size_t number)
{
    return found->size < WITNESS_FILE_BYTES
               ? (cb_span){ NULL, 0 }
               : (cb_span){ found->bytes + number * SLOT_BYTES, SLOT_BYTES };
}

/* In both slots, so that one flipped bit shuts nobody out. */
static bool is_newer(const cb_buffer *found)
{
    json_t *document = NULL;
    int64_t version = 0;
    if (found->size > 0 && found->bytes[0] == '{') {
        bool newer =
            cb_json_parse(cb_span_of_buffer(found), &document, NULL) == CB_OK &&
            cb_json_integer(document, "version", &version) && version > VERSION;
        json_decref(document);
        return newer;
    }
    size_t newer = 0;
    size_t slots = 0;
    for (size_t i = 0; i < 2; i++) {
        cb_span slot = slot_of(found, i);
        if (is_slot(slot)) {
            slots++;
            newer += cb_get_u16(slot.bytes + MAGIC_BYTES) > VERSION;
        }
    }
    return newer > 0 && newer == slots;
}

static cb_status read_place(const cb_store *store, struct place *place,
                            cb_error *error)
{
    const cb_environment *environment = store->environment;
    if (place->path == NULL) {
        return CB_OK;
    }
    cb_status status = environment->read_file(environment->context, place->path,
                                              &place->found, NULL);
    if (status == CB_NOT_FOUND) {
        return CB_OK;
    }
    if (status != CB_OK) {
        place->state =
            status == CB_LIMIT ? CB_WITNESS_DAMAGED : CB_WITNESS_UNREADABLE;
        cb_buffer_reset(&place->found);
        return CB_OK;
    }
    place->state = CB_WITNESS_DAMAGED;
    if (!is_newer(&place->found)) {
        return CB_OK;
    }
    status = cb_error_set(error, CB_NEWER, "'%s' was made by a newer version",
                          place->path);
    cb_error_meaning(error, "nothing was changed");
    return status;
}

static bool log_present(const cb_store *store)
{
    cb_file_facts facts = { .kind = CB_FILE_OTHER };
    char *path = cb_store_path(store->folder, "casebook.db-wal");
    cb_status status =
        path == NULL ? CB_NO_MEMORY
                     : store->environment->look_at(store->environment->context,
                                                   path, &facts, NULL);
    free(path);
    return status != CB_NOT_FOUND && (status != CB_OK || facts.size > 0);
}

cb_status cb_witness_open(cb_store *store, const char *outside, cb_error *error)
{
    cb_status status = create(&store->witness, error);
    if (status == CB_OK) {
        status = name_places(store, outside, error);
    }
    for (size_t i = 0; i < PLACES && status == CB_OK; i++) {
        status = read_place(store, &store->witness->places[i], error);
    }
    if (status == CB_OK) {
        store->witness->log_present = log_present(store);
    }
    return status;
}

/* ------------------------------------------------------------------ slots */

static void hash_slot(const cb_store *store, const uint8_t *slot, uint8_t *hash)
{
    uint8_t key[HASH_BYTES];
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, cb_secret_view(store->device_key),
                                  crypto_sign_SEEDBYTES, sizeof key);
    (void)crypto_generichash_update(&state, (const uint8_t *)HASH_DOMAIN,
                                    sizeof HASH_DOMAIN);
    (void)crypto_generichash_update(&state, store->store_id,
                                    sizeof store->store_id);
    (void)crypto_generichash_final(&state, key, sizeof key);
    (void)crypto_generichash(hash, HASH_BYTES, slot, HASHED_BYTES, key,
                             sizeof key);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&state, sizeof state);
}

static void write_slot(const cb_store *store, const struct mark *mark,
                       uint8_t slot[SLOT_BYTES])
{
    memset(slot, 0, SLOT_BYTES);
    memcpy(slot, MAGIC, MAGIC_BYTES);
    cb_put_u16(slot + 8, VERSION);
    cb_put_u16(slot + 10, mark->log_open ? FLAG_LOG_OPEN : 0);
    memcpy(slot + 16, store->store_id, CB_IDENTIFIER_BYTES);
    cb_put_u64(slot + 32, mark->turn);
    cb_put_u64(slot + 40, mark->commits);
    memcpy(slot + 48, mark->stream.bytes, CB_IDENTIFIER_BYTES);
    cb_put_u64(slot + 64, mark->seq);
    memcpy(slot + 72, mark->head.bytes, sizeof mark->head.bytes);
    cb_put_u64(slot + 104, mark->checkpoint);
    cb_put_u64(slot + 112, mark->written_ms);
    hash_slot(store, slot, slot + HASHED_BYTES);
}

static bool read_slot(const cb_store *store, cb_span slot, struct mark *mark)
{
    uint8_t hash[HASH_BYTES];
    if (!is_slot(slot) || cb_get_u16(slot.bytes + MAGIC_BYTES) != VERSION ||
        memcmp(slot.bytes + 16, store->store_id, CB_IDENTIFIER_BYTES) != 0) {
        return false;
    }
    hash_slot(store, slot.bytes, hash);
    if (sodium_memcmp(hash, slot.bytes + HASHED_BYTES, sizeof hash) != 0) {
        return false;
    }
    *mark = (struct mark){
        .turn = cb_get_u64(slot.bytes + 32),
        .commits = cb_get_u64(slot.bytes + 40),
        .seq = cb_get_u64(slot.bytes + 64),
        .checkpoint = cb_get_u64(slot.bytes + 104),
        .written_ms = cb_get_u64(slot.bytes + 112),
        .log_open = (cb_get_u16(slot.bytes + 10) & FLAG_LOG_OPEN) != 0,
    };
    memcpy(mark->stream.bytes, slot.bytes + 48, CB_IDENTIFIER_BYTES);
    memcpy(mark->head.bytes, slot.bytes + 72, sizeof mark->head.bytes);
    return true;
}

static bool read_newest(const cb_store *store, const cb_buffer *found,
                        struct mark *newest)
{
    bool any = false;
    for (size_t i = 0; i < 2; i++) {
        struct mark mark;
        if (read_slot(store, slot_of(found, i), &mark) &&
            (!any || mark.turn > newest->turn)) {
            *newest = mark;
            any = true;
        }
    }
    return any;
}

/* ---------------------------------------------------------------- checking */

/* Whether our stream holds another entry where the witness saw its head. */
static cb_status diverged(cb_store *store, const struct mark *mark,
                          bool *ret_diverged, cb_error *error)
{
    bool same = false;
    bool other = false;
    cb_status status = CB_OK;
    *ret_diverged = false;
    if (mark->seq == 0 || !store->identity.joined ||
        memcmp(&mark->stream, &store->identity.stream, sizeof mark->stream) !=
            0) {
        return CB_OK;
    }
    if (mark->seq > store->identity.head_seq) {
        *ret_diverged = true;
        return CB_OK;
    }
    cb_query query = cb_query_begin(store->database, "entry_hash_at");
    cb_query_bind_integer(&query, ":stream", store->stream_number);
    cb_query_bind_integer(&query, ":seq", (int64_t)mark->seq);
    while ((status = cb_query_step(&query, error)) == CB_OK) {
        cb_span hash = cb_query_blob(&query, 0);
        bool equal =
            hash.size == sizeof mark->head.bytes &&
            memcmp(hash.bytes, mark->head.bytes, sizeof mark->head.bytes) == 0;
        same = same || equal;
        other = other || !equal;
    }
    cb_query_end(&query);
    *ret_diverged = other && !same;
    return status == CB_END ? CB_OK : status;
}

static void note_turn(cb_witness *witness, const struct mark *mark)
{
    if (mark->turn > witness->turn) {
        witness->turn = mark->turn;
    }
    if (mark->commits > witness->commits) {
        witness->commits = mark->commits;
    }
}

static cb_status compare(cb_store *store, const struct mark *mark, bool inside,
                         cb_error *error)
{
    cb_witness *witness = store->witness;
    cb_store_witness *facts = &witness->facts;
    bool twin = false;
    cb_status status = diverged(store, mark, &twin, error);
    note_turn(witness, mark);
    if (status != CB_OK || (!twin && mark->commits <= store->commits)) {
        return status;
    }
    uint64_t missing =
        mark->commits > store->commits ? mark->commits - store->commits : 0;
    facts->behind = true;
    /* The one outside may speak of another copy's log. */
    facts->log_lost =
        facts->log_lost || (inside && mark->log_open && !witness->log_present);
    if (missing >= facts->missing) {
        facts->missing = missing;
        facts->newest_ms = (int64_t)mark->written_ms;
    }
    return CB_OK;
}

/* Version 1: JSON, of our stream only. */
static void compare_first(cb_store *store, struct place *place)
{
    json_t *document = NULL;
    cb_stream_id stream;
    int64_t seq = 0;
    if (cb_json_parse(cb_span_of_buffer(&place->found), &document, NULL) ==
            CB_OK &&
        cb_json_bytes(document, "stream", stream.bytes, sizeof stream.bytes) &&
        cb_json_integer(document, "seq", &seq)) {
        place->state = CB_WITNESS_CURRENT;
        if (store->identity.joined &&
            memcmp(&stream, &store->identity.stream, sizeof stream) == 0 &&
            seq > (int64_t)store->identity.head_seq) {
            store->witness->facts.behind = true;
        }
    }
    json_decref(document);
}

cb_status cb_witness_check(cb_store *store, cb_error *error)
{
    cb_witness *witness = store->witness;
    cb_status status = CB_OK;
    witness->facts = (cb_store_witness){ .behind = false };
    for (size_t i = 0; i < PLACES && status == CB_OK; i++) {
        struct place *place = &witness->places[i];
        if (place->found.size > 0 && place->found.bytes[0] == '{') {
            compare_first(store, place);
            continue;
        }
        struct mark mark;
        if (read_newest(store, &place->found, &mark)) {
            place->state = CB_WITNESS_CURRENT;
            place->usable = true;
            status = compare(store, &mark, i == INSIDE, error);
        }
    }
    if (status == CB_OK && witness->facts.behind) {
        store->identity.restored = true;
    }
    return status;
}

/* ----------------------------------------------------------------- writing */

/* A folder of a new home may be missing; so may those above it. */
static void make_folder_of(const cb_store *store, const char *path)
{
    const char *name = strrchr(path, '/');
    cb_buffer folder;
    cb_buffer_init(&folder, FOLDER_BYTES_MAX);
    cb_buffer_append(&folder, path, (size_t)(name - path));
    if (cb_buffer_check(&folder, NULL) == CB_OK && folder.size > 0) {
        (void)cb_store_make_path(store->environment, cb_buffer_text(&folder),
                                 NULL);
    }
    cb_buffer_clear(&folder);
}

/* As a whole, where there is none or none that can be overwritten. */
static cb_status write_whole(const cb_store *store, const struct place *place,
                             const struct mark *mark, cb_error *error)
{
    const cb_environment *environment = store->environment;
    uint8_t bytes[WITNESS_FILE_BYTES] = { 0 };
    const cb_span whole = { bytes, sizeof bytes };
    write_slot(store, mark, bytes + (mark->turn & 1) * SLOT_BYTES);
    cb_status status = environment->replace_file(environment->context,
                                                 place->path, whole, NULL);
    if (status != CB_OK) {
        make_folder_of(store, place->path);
        status = environment->replace_file(environment->context, place->path,
                                           whole, error);
    }
    return status;
}

static void write_place(cb_store *store, struct place *place,
                        const struct mark *mark, bool flush)
{
    const cb_environment *environment = store->environment;
    uint8_t slot[SLOT_BYTES];
    cb_error ignored = { 0 };
    /* What failed once is tried again only when the store is closed. */
    if (place->path == NULL ||
        (place->state == CB_WITNESS_UNWRITABLE && !flush)) {
        return;
    }
    cb_status status = CB_NOT_FOUND;
    if (place->usable) {
        write_slot(store, mark, slot);
        status = environment->mark_file(
            environment->context, place->path, (mark->turn & 1) * SLOT_BYTES,
            (cb_span){ slot, sizeof slot }, flush, &ignored);
    }
    if (status == CB_NOT_FOUND) {
        status = write_whole(store, place, mark, &ignored);
    }
    place->usable = status == CB_OK;
    place->state = status == CB_OK ? CB_WITNESS_CURRENT : CB_WITNESS_UNWRITABLE;
    if (status != CB_OK) {
        store->witness->facts.unwritten = true;
    }
}

/*
 * What another process wrote after we had looked and before it left us the
 * database.  It judges nobody: we have only just come, see invariant 1.
 */
static void look_again(cb_store *store)
{
    cb_witness *witness = store->witness;
    witness->current = true;
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &witness->places[i];
        struct mark mark;
        cb_buffer_reset(&place->found);
        if (place->path != NULL &&
            store->environment->read_file(store->environment->context,
                                          place->path, &place->found,
                                          NULL) == CB_OK &&
            read_newest(store, &place->found, &mark)) {
            note_turn(witness, &mark);
            place->usable = true;
        }
    }
}

static void write_places(cb_store *store, bool log_open, bool flush)
{
    const cb_store_identity *identity = &store->identity;
    cb_witness *witness = store->witness;
    if (identity->restored || cb_database_in_transaction(store->database)) {
        return;
    }
    if (!witness->current) {
        look_again(store);
    }
    int64_t now_ms = store->environment->now_ms(store->environment->context);
    const struct mark mark = {
        .turn = ++witness->turn,
        .commits = store->commits,
        .stream = identity->stream,
        .seq = identity->head_seq,
        .head = store->head_hash,
        .checkpoint = identity->seen_size,
        .written_ms = (uint64_t)now_ms,
        .log_open = log_open,
    };
    for (size_t i = 0; i < PLACES; i++) {
        write_place(store, &witness->places[i], &mark, flush);
    }
    witness->dirty = log_open || !flush;
    witness->commits = store->commits;
}

uint64_t cb_witness_next(const cb_store *store)
{
    uint64_t most = store->commits;
    if (store->witness != NULL && store->witness->commits > most) {
        most = store->witness->commits;
    }
    return most + 1;
}

void cb_witness_note(cb_store *store)
{
    if (store->witness != NULL) {
        write_places(store, /* log_open= */ true, /* flush= */ false);
    }
}

void cb_witness_close(cb_store *store)
{
    if (store->witness == NULL || !store->witness->dirty ||
        store->database->reading) {
        return;
    }
    /* Still under the database's lock: who opens it next finds this. */
    bool emptied = cb_database_empty_log(store->database);
    write_places(store, !emptied, /* flush= */ true);
}

cb_status cb_exchange_write_witness(cb_store *store, cb_error *reterr_error)
{
    (void)reterr_error;
    write_places(store, /* log_open= */ true, /* flush= */ true);
    return CB_OK;
}

void cb_store_look_at_witness(const cb_store *store,
                              cb_store_witness *ret_witness)
{
    *ret_witness = store->witness->facts;
    ret_witness->behind =
        store->witness->facts.behind && store->identity.restored;
    ret_witness->inside = store->witness->places[INSIDE].state;
    ret_witness->outside = store->witness->places[OUTSIDE].state;
    /* A store that has counted has written one. */
    ret_witness->inside_lost =
        ret_witness->inside == CB_WITNESS_NONE && store->commits > 0;
}
