/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every stream from its opening on.
 *
 * The rows of a stream are listed from an index and fetched one by one, so
 * that one on a damaged page is named and the others are still looked at.
 */
#include "store/check_walk.h"

#include <string.h>

#define ROWS_AT_ONCE 256

struct place {
    uint64_t seq;
    int64_t number;
};

static void name_stream(const cb_stream_id *stream, char text[9])
{
    char full[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(stream->bytes, sizeof stream->bytes, full);
    memcpy(text, full, 8);
    text[8] = '\0';
}

/* ---------------------------------------------------------------- one entry */

static cb_status check_opening(cb_walk *walk, const cb_entry *entry)
{
    cb_check *check = walk->check;
    cb_stream_row *row = &walk->row;
    cb_error words = { .status = CB_OK };
    if (!check->has_service) {
        return CB_OK;
    }
    cb_status status = cb_stream_read_opening(&check->store->identity, entry,
                                              &walk->opening, &words);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(&check->error, status, "out of memory");
    }
    if (status != CB_OK) {
        return cb_check_found(check, CB_CHECK_STREAM_OPENING, &walk->place,
                              "the opening of stream %s does not hold: %s",
                              walk->name, words.what);
    }
    walk->proved = true;
    if (memcmp(&walk->opening.device, &row->facts.device,
               sizeof row->facts.device) == 0 &&
        memcmp(&walk->opening.person, &row->facts.person,
               sizeof row->facts.person) == 0 &&
        memcmp(walk->opening.public_key, row->facts.public_key,
               sizeof row->facts.public_key) == 0 &&
        walk->opening.hub == row->hub) {
        return CB_OK;
    }
    /* What follows is judged by what the opening says. */
    row->facts.device = walk->opening.device;
    row->facts.person = walk->opening.person;
    row->hub = walk->opening.hub;
    memcpy(row->facts.public_key, walk->opening.public_key,
           sizeof row->facts.public_key);
    walk->restore = true;
    return cb_check_found(check, CB_CHECK_STREAM_ROW, &walk->place,
                          "what the store notes of stream %s is not what its "
                          "opening says",
                          walk->name);
}

/* Name of a column that is not what the bytes say, or NULL. */
static const char *wrong_column(const cb_walk *walk, const cb_entry *entry,
                                const cb_query *query)
{
    const cb_entry_header *header = &entry->header;
    bool clear = (header->flags & CB_ENTRY_FLAG_CLEAR) != 0;
    cb_key_id key_id = { { 0 } };
    bool has_key_id =
        cb_query_copy(query, 3, key_id.bytes, sizeof key_id.bytes);
    if (memcmp(&header->stream, &walk->row.facts.stream,
               sizeof header->stream) != 0) {
        return "stream";
    }
    if ((uint64_t)cb_query_integer(query, 1) != header->seq) {
        return "number";
    }
    if (cb_query_integer(query, 2) != header->kind) {
        return "kind";
    }
    if (has_key_id == clear ||
        (!clear && memcmp(&key_id, &header->key_id, sizeof key_id) != 0)) {
        return "key";
    }
    return walk->check->has_service &&
                   memcmp(&header->realm, &walk->check->store->identity.realm,
                          sizeof header->realm) != 0
               ? "service"
               : NULL;
}

/* Bytes, signature, columns. */
static cb_status check_bytes(cb_walk *walk, const cb_entry *entry,
                             const cb_query *query, bool *ret_sound)
{
    cb_hash stored;
    cb_check *check = walk->check;
    const char *column = wrong_column(walk, entry, query);
    unsigned long long seq = walk->place.seq;
    bool same_hash = cb_query_copy(query, 0, stored.bytes, sizeof stored) &&
                     memcmp(&stored, &entry->hash, sizeof stored) == 0;
    bool is_signed =
        cb_entry_verify(entry, walk->row.facts.public_key, NULL) == CB_OK;
    *ret_sound = false;
    if (!is_signed && !same_hash) {
        return cb_check_found(check, CB_CHECK_ENTRY_CHANGED, &walk->place,
                              "the bytes of entry %llu of stream %s were "
                              "changed",
                              seq, walk->name);
    }
    if (!is_signed) {
        return cb_check_found(check, CB_CHECK_ENTRY_SIGNATURE, &walk->place,
                              "entry %llu of stream %s is not signed with the "
                              "stream's key",
                              seq, walk->name);
    }
    column = same_hash ? column : "hash";
    if (column != NULL) {
        return cb_check_found(check, CB_CHECK_ENTRY_ROW, &walk->place,
                              "the row of entry %llu of stream %s was changed "
                              "(its %s)",
                              seq, walk->name, column);
    }
    *ret_sound = true;
    return CB_OK;
}

static cb_status check_order(cb_walk *walk, const cb_entry *entry)
{
    cb_check *check = walk->check;
    uint64_t seq = entry->header.seq;
    bool follows = walk->last_sound && walk->last_seq + 1 == seq;
    bool is_frozen = walk->row.facts.frozen && seq >= walk->row.frozen_from;
    if (seq == 1 && !cb_is_zero(entry->header.prev.bytes, CB_HASH_BYTES)) {
        follows = false;
    } else if ((!follows && seq != 1) || is_frozen ||
               memcmp(&entry->header.prev, &walk->last_hash,
                      sizeof walk->last_hash) == 0) {
        return CB_OK;
    }
    walk->broken = true;
    return cb_check_found(check, CB_CHECK_ENTRY_CHAIN, &walk->place,
                          "entry %llu of stream %s does not follow the one "
                          "before it",
                          (unsigned long long)seq, walk->name);
}

/*
 * A gap is one only where the whole stream is to be here; of others' streams a
 * device holds what its person may read, but always the opening.
 */
static cb_status check_gap(cb_walk *walk, uint64_t next)
{
    cb_check *check = walk->check;
    uint64_t head_seq = walk->row.facts.head_seq;
    uint64_t first = walk->last_seq + 1;
    uint64_t end = next > head_seq + 1 ? head_seq + 1 : next;
    end = first == 1 && end < 2 && next > 1 ? 2 : end;
    if (end <= first) {
        return CB_OK;
    }
    walk->broken = true;
    walk->place.seq = first;
    return end == first + 1
               ? cb_check_found(check, CB_CHECK_ENTRY_MISSING, &walk->place,
                                "entry %llu of stream %s is missing",
                                (unsigned long long)first, walk->name)
               : cb_check_found(check, CB_CHECK_ENTRY_MISSING, &walk->place,
                                "entries %llu to %llu of stream %s are missing",
                                (unsigned long long)first,
                                (unsigned long long)(end - 1), walk->name);
}

static cb_status check_head(cb_walk *walk, const cb_entry *entry)
{
    const cb_stream_facts *facts = &walk->row.facts;
    if (!walk->broken && entry->header.seq == walk->end_seq + 1) {
        walk->end_seq = entry->header.seq;
        walk->end_hash = entry->hash;
    }
    if (entry->header.seq != facts->head_seq ||
        memcmp(&entry->hash, &facts->head_hash, sizeof entry->hash) == 0) {
        return CB_OK;
    }
    walk->wrong_head = true;
    return cb_check_found(walk->check, CB_CHECK_STREAM_HEAD, &walk->place,
                          "the head of stream %s is not its entry %llu",
                          walk->name, (unsigned long long)facts->head_seq);
}

/*
 * Entries behind the head: rightly there in a forked stream, and where the hub
 * told what another copy of this store had written.
 */
static bool head_is_behind(const cb_walk *walk, const cb_query *query)
{
    const cb_store_identity *identity = &walk->check->store->identity;
    const cb_stream_facts *facts = &walk->row.facts;
    if (facts->frozen || walk->broken || walk->end_seq <= facts->head_seq) {
        return false;
    }
    bool is_current =
        memcmp(&facts->stream, &identity->stream, sizeof facts->stream) == 0;
    return identity->hub ||
           (facts->own && (cb_query_is_null(query, 6) ||
                           (is_current && !identity->restored)));
}

static cb_status check_row(cb_walk *walk, const cb_query *query)
{
    cb_entry entry;
    cb_error words = { .status = CB_OK };
    cb_check *check = walk->check;
    bool sound = false;
    cb_status status = cb_entry_decode(cb_query_blob(query, 8), &entry, &words);
    if (status != CB_OK) {
        walk->last_sound = false;
        return cb_check_found(check, CB_CHECK_ENTRY_UNREADABLE, &walk->place,
                              "entry %llu of stream %s is no entry: %s",
                              (unsigned long long)walk->place.seq, walk->name,
                              words.what);
    }
    if (walk->place.seq == 1 && !walk->fork) {
        status = check_opening(walk, &entry);
    }
    if (status == CB_OK) {
        status = check_bytes(walk, &entry, query, &sound);
    }
    if (status == CB_OK && sound && !walk->fork) {
        status = check_order(walk, &entry);
    }
    if (status == CB_OK && sound && !walk->fork) {
        status = check_head(walk, &entry);
    }
    if (status == CB_OK && sound && head_is_behind(walk, query)) {
        walk->behind = true;
    }
    if (!walk->fork) {
        walk->last_sound = sound;
        walk->last_hash = entry.hash;
    }
    return status == CB_OK && sound ? cb_walk_judge(walk, &entry, query)
                                    : status;
}

static cb_status look_at_entry(cb_walk *walk, const struct place *place)
{
    cb_check *check = walk->check;
    cb_error words = { .status = CB_OK };
    cb_status status = CB_OK;
    walk->fork = walk->last_seq == place->seq;
    if (!walk->fork) {
        status = check_gap(walk, place->seq);
    }
    if (status != CB_OK) {
        return status;
    }
    walk->place = cb_check_at_entry(&walk->row.facts.stream, place->seq);
    walk->number = place->number;
    cb_vfs_forget_damage(check->store->database->vfs);
    cb_query query = cb_query_begin(check->store->database, "check_entry");
    cb_query_bind_integer(&query, ":number", place->number);
    status = cb_query_step(&query, &words);
    if (status == CB_OK) {
        status = check_row(walk, &query);
    } else if (status == CB_NO_MEMORY || status == CB_INTERRUPTED) {
        status = cb_check_bear(check, status, &words, NULL, "an entry");
    } else {
        walk->last_sound = false;
        status =
            cb_check_found(check, CB_CHECK_ENTRY_UNREADABLE, &walk->place,
                           "entry %llu of stream %s cannot be read: %s",
                           (unsigned long long)place->seq, walk->name,
                           status == CB_END ? "its row is gone" : words.what);
    }
    cb_query_end(&query);
    walk->last_seq = place->seq;
    check->report->checked.entries++;
    return status;
}

/* ------------------------------------------------------------- one stream */

static cb_status list_entries(cb_walk *walk, const struct place *after,
                              struct place places[ROWS_AT_ONCE], size_t *count,
                              cb_error *words)
{
    cb_query query =
        cb_query_begin(walk->check->store->database, "check_entry_list");
    cb_query_bind_integer(&query, ":stream", walk->row.number);
    cb_query_bind_integer(&query, ":seq", (int64_t)after->seq);
    cb_query_bind_integer(&query, ":number", after->number);
    cb_status status = cb_query_step(&query, words);
    *count = 0;
    while (status == CB_OK && *count < ROWS_AT_ONCE) {
        places[(*count)++] = (struct place){
            .seq = (uint64_t)cb_query_integer(&query, 0),
            .number = cb_query_integer(&query, 1),
        };
        status = cb_query_step(&query, words);
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static cb_status walk_entries(cb_walk *walk)
{
    struct place places[ROWS_AT_ONCE];
    struct place last = { 0 };
    size_t count = ROWS_AT_ONCE;
    cb_check *check = walk->check;
    cb_error words = { .status = CB_OK };
    cb_status status = CB_OK;
    while (status == CB_OK && count > 0) {
        status = list_entries(walk, &last, places, &count, &words);
        if (status != CB_OK) {
            return cb_check_bear(check, status, &words, &walk->place,
                                 "the list of a stream's entries");
        }
        for (size_t i = 0; i < count && status == CB_OK; i++) {
            status = look_at_entry(walk, &places[i]);
            last = places[i];
        }
        if (status == CB_OK) {
            status = cb_check_step(check, "checking entries",
                                   check->report->checked.entries, walk->total);
        }
    }
    return status;
}

/* Runs of own entries follow each other without gap and end in the stream. */
static cb_status check_segments(cb_walk *walk)
{
    uint64_t next = 1;
    cb_error words = { .status = CB_OK };
    cb_check *check = walk->check;
    cb_query query = cb_query_begin(check->store->database, "check_segments");
    cb_query_bind_integer(&query, ":stream", walk->row.number);
    cb_status status = cb_query_step(&query, &words);
    while (status == CB_OK && (uint64_t)cb_query_integer(&query, 0) == next) {
        next += (uint64_t)cb_query_integer(&query, 1);
        status = cb_query_step(&query, &words);
    }
    cb_query_end(&query);
    walk->place.seq = next;
    if (status == CB_OK || next > walk->row.facts.head_seq + 1) {
        return cb_check_found(check, CB_CHECK_STREAM_SEGMENT, &walk->place,
                              "the runs in which stream %s is sent do not "
                              "cover it",
                              walk->name);
    }
    return status == CB_END ? CB_OK
                            : cb_check_bear(check, status, &words, &walk->place,
                                            "the runs of a stream");
}

static cb_status keep_head(cb_walk *walk)
{
    const cb_check_head head = { .number = walk->row.number,
                                 .seq = walk->end_seq,
                                 .hash = walk->end_hash,
                                 .moves = walk->wrong_head,
                                 .opening = walk->opening };
    return walk->proved ? cb_check_keep(walk->check, &walk->check->heads, &head)
                        : CB_OK;
}

static cb_status check_stream(cb_walk *walk)
{
    cb_check *check = walk->check;
    const cb_stream_facts *facts = &walk->row.facts;
    walk->place = cb_check_at_entry(&facts->stream, 0);
    name_stream(&facts->stream, walk->name);
    check->report->checked.streams++;
    cb_status status = walk_entries(walk);
    if (status == CB_OK) {
        status = check_gap(walk, UINT64_MAX);
    }
    walk->place = cb_check_at_entry(&facts->stream, facts->head_seq);
    if (status == CB_OK && walk->behind && !walk->wrong_head) {
        walk->wrong_head = true;
        status = cb_check_found(check, CB_CHECK_STREAM_HEAD, &walk->place,
                                "stream %s is said to end at entry %llu, but "
                                "goes on to %llu",
                                walk->name, (unsigned long long)facts->head_seq,
                                (unsigned long long)walk->end_seq);
    }
    if (status == CB_OK && facts->own && !walk->wrong_head) {
        status = check_segments(walk);
    }
    return status == CB_OK && (walk->wrong_head || walk->restore)
               ? keep_head(walk)
               : status;
}

/* ------------------------------------------------------------- all streams */

static cb_status one_number(cb_check *check, const char *statement, int column,
                            int64_t *ret_value)
{
    cb_error words = { .status = CB_OK };
    cb_query query = cb_query_begin(check->store->database, statement);
    cb_status status = cb_query_step(&query, &words);
    *ret_value = status == CB_OK ? cb_query_integer(&query, column) : 0;
    cb_query_end(&query);
    return cb_check_bear(check, status, &words, NULL, "a count of entries");
}

/* A hub's log has every position once; others hold a part of it. */
static cb_status check_log(cb_check *check)
{
    int64_t count = 0;
    int64_t newest = 0;
    int64_t unread = 0;
    cb_status status = one_number(check, "check_entry_log", 0, &count);
    if (status == CB_OK) {
        status = one_number(check, "check_entry_log", 1, &newest);
    }
    if (status == CB_OK && check->store->identity.hub && newest + 1 != count) {
        const cb_check_place place = cb_check_at_subject("log");
        status = cb_check_found(check, CB_CHECK_ENTRY_MISSING, &place,
                                "of %lld positions of the log, %lld have no "
                                "entry",
                                (long long)newest + 1,
                                (long long)(newest + 1 - count));
    }
    if (status == CB_OK) {
        status = one_number(check, "check_unread", 0, &unread);
    }
    return status == CB_OK && unread > 0
               ? cb_check_found(check, CB_CHECK_ENTRY_NEWER, NULL,
                                "%lld entr%s of others cannot be read by this "
                                "version",
                                (long long)unread, unread == 1 ? "y" : "ies")
               : status;
}

struct streams {
    cb_check *check;
    int64_t total;
    cb_status status;
};

static cb_status take_stream(void *context, const cb_stream_facts *facts,
                             cb_error *error)
{
    struct streams *streams = context;
    cb_walk walk = { .check = streams->check,
                     .total = (uint64_t)streams->total };
    cb_status status =
        cb_stream_find(streams->check->store, &facts->stream, &walk.row, error);
    if (status == CB_OK) {
        streams->status = check_stream(&walk);
        status = streams->status;
    }
    return status;
}

cb_status cb_check_entries(cb_check *check)
{
    struct streams streams = { .check = check };
    cb_error words = { .status = CB_OK };
    if (!check->readable || !check->has_current) {
        return CB_OK;
    }
    cb_status status = one_number(check, "check_entry_end", 0, &streams.total);
    if (status == CB_OK) {
        status =
            cb_exchange_streams(check->store, take_stream, &streams, &words);
        status = streams.status != CB_OK
                     ? streams.status
                     : cb_check_bear(check, status, &words, NULL,
                                     "the list of streams");
    }
    return status == CB_OK ? check_log(check) : status;
}
