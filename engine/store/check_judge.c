/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an entry counts, waits or is kept apart as it has to, which key opens
 * it, and of which case it is.
 */
#include "store/check_walk.h"

#include "base/json.h"

#include <string.h>

enum state {
    APPLIED,
    WAITING,
    QUARANTINED
};

static enum state state_of(const cb_query *query)
{
    const char *word = cb_query_text(query, 7);
    return strcmp(word, "applied") == 0   ? APPLIED
           : strcmp(word, "waiting") == 0 ? WAITING
                                          : QUARANTINED;
}

static cb_status report_state(cb_walk *walk, const char *words)
{
    const cb_check_entry entry = { .number = walk->number, .fork = walk->fork };
    cb_status status =
        cb_check_found(walk->check, CB_CHECK_ENTRY_STATE, &walk->place,
                       "entry %llu of stream %s %s",
                       (unsigned long long)walk->place.seq, walk->name, words);
    return status == CB_OK
               ? cb_check_keep(walk->check, &walk->check->entries, &entry)
               : status;
}

/* Opens and reads with the key at work; CB_OK: it may count. */
static cb_status try_body(cb_walk *walk, const cb_entry *entry,
                          const cb_compartment *compartment, cb_error *words)
{
    json_t *body = NULL;
    cb_buffer plaintext;
    cb_buffer_init(&plaintext, CB_PLAINTEXT_BYTES_MAX);
    cb_status status =
        cb_entry_open(entry, walk->check->store->key_in_use, &plaintext, words);
    if (status == CB_OK && entry->header.kind == CB_ENTRY_CASE) {
        status = cb_json_parse_canonical(cb_span_of_buffer(&plaintext), &body,
                                         words);
        if (status == CB_OK) {
            status = cb_apply_check(compartment, &walk->row.facts.person, body,
                                    words);
        }
    }
    json_decref(body);
    cb_buffer_clear(&plaintext);
    return status;
}

static cb_status report_body(cb_walk *walk, cb_status status,
                             const cb_error *words)
{
    unsigned long long seq = walk->place.seq;
    if (status == CB_NO_MEMORY) {
        return cb_error_set(&walk->check->error, status, "out of memory");
    }
    return status == CB_WRONG_KEY
               ? cb_check_found(walk->check, CB_CHECK_KEY_WRONG, &walk->place,
                                "the key of entry %llu of stream %s is not the "
                                "one it was sealed under",
                                seq, walk->name)
               : cb_check_found(walk->check, CB_CHECK_ENTRY_BODY, &walk->place,
                                "entry %llu of stream %s: %s", seq, walk->name,
                                words->what);
}

static cb_status is_admitted(cb_walk *walk, int64_t key, bool *ret_admitted)
{
    cb_error words = { .status = CB_OK };
    cb_query query =
        cb_query_begin(walk->check->store->database, "check_key_admitted");
    cb_query_bind_integer(&query, ":number", key);
    cb_status status = cb_query_step(&query, &words);
    *ret_admitted = status == CB_OK && cb_query_integer(&query, 0) == 1;
    cb_query_end(&query);
    return status == CB_END ? CB_OK
                            : cb_check_bear(walk->check, status, &words,
                                            &walk->place, "a key");
}

/* A sealed entry that counts, with the key that its row names. */
static cb_status judge_opened(cb_walk *walk, const cb_entry *entry,
                              const cb_query *query)
{
    cb_check *check = walk->check;
    cb_compartment compartment = { .class = "" };
    cb_error words = { .status = CB_OK };
    cb_case_id case_id = { { 0 } };
    bool admitted = false;
    bool has_case =
        cb_query_copy(query, 5, case_id.bytes, sizeof case_id.bytes);
    int64_t key = cb_query_integer(query, 4);
    cb_status status =
        cb_compartment_load_number(check->store, key, &compartment, &words);
    if (status == CB_NOT_FOUND) {
        return cb_check_found(check, CB_CHECK_KEY_MISSING, &walk->place,
                              "the key of entry %llu of stream %s is missing",
                              (unsigned long long)walk->place.seq, walk->name);
    }
    if (status != CB_OK) {
        return cb_check_bear(check, status, &words, &walk->place, "a key");
    }
    status = try_body(walk, entry, &compartment, &words);
    if (status != CB_OK) {
        return report_body(walk, status, &words);
    }
    bool is_case = entry->header.kind == CB_ENTRY_CASE;
    if (has_case != is_case ||
        (is_case &&
         memcmp(&case_id, &compartment.case_id, sizeof case_id) != 0)) {
        return report_state(walk, "is counted for another case than its own");
    }
    status = is_admitted(walk, key, &admitted);
    return status == CB_OK && !admitted
               ? report_state(walk, "is opened by a key that was not let in")
               : status;
}

/* Whether some key that is here and let in makes it count. */
static cb_status could_count(cb_walk *walk, const cb_entry *entry,
                             bool *ret_could)
{
    cb_check *check = walk->check;
    cb_error words = { .status = CB_OK };
    *ret_could = false;
    cb_query query = cb_query_begin(check->store->database, "key_candidates");
    cb_query_bind_blob(&query, ":key_id", entry->header.key_id.bytes,
                       sizeof entry->header.key_id.bytes);
    cb_query_bind_blob(&query, ":author", walk->row.facts.person.bytes,
                       sizeof walk->row.facts.person.bytes);
    cb_status status = cb_query_step(&query, &words);
    while (status == CB_OK && !*ret_could) {
        cb_compartment compartment;
        cb_error ignored = { .status = CB_OK };
        int64_t key = 0;
        *ret_could = cb_query_integer(&query, 5) == 1 &&
                     cb_compartment_read(check->store, &query, &compartment,
                                         &key, &ignored) == CB_OK &&
                     try_body(walk, entry, &compartment, &ignored) == CB_OK;
        if (!*ret_could) {
            status = cb_query_step(&query, &words);
        }
    }
    cb_query_end(&query);
    return status == CB_END
               ? CB_OK
               : cb_check_bear(check, status, &words, &walk->place, "the keys");
}

/* Why it may be kept apart though its body is sound. */
static bool may_be_apart(const cb_walk *walk, const cb_entry *entry)
{
    const cb_stream_row *row = &walk->row;
    uint64_t seq = entry->header.seq;
    /* Roster entries are judged by those before them: see the roster's step. */
    return walk->fork || entry->header.kind == CB_ENTRY_ROSTER ||
           (row->has_cut && seq > row->cut_seq) ||
           (row->facts.frozen && seq >= row->frozen_from);
}

static cb_status judge_hidden(cb_walk *walk, const cb_entry *entry,
                              const cb_query *query, enum state state)
{
    bool could = false;
    bool clear = (entry->header.flags & CB_ENTRY_FLAG_CLEAR) != 0;
    if (!cb_query_is_null(query, 4) || !cb_query_is_null(query, 5)) {
        return report_state(walk, "names a key or a case though it does not "
                                  "count");
    }
    if (state == WAITING && clear) {
        return report_state(walk, "waits for a key though it needs none");
    }
    if (may_be_apart(walk, entry)) {
        return state == WAITING && walk->fork
                   ? report_state(walk, "waits though another has its place")
                   : CB_OK;
    }
    if (clear) {
        return entry->header.kind == CB_ENTRY_CASE
                   ? CB_OK
                   : report_state(walk, "is kept apart without a reason");
    }
    cb_status status = could_count(walk, entry, &could);
    if (status != CB_OK || !could) {
        return status;
    }
    return report_state(walk, state == WAITING
                                  ? "waits for a key that is here"
                                  : "is kept apart without a reason");
}

cb_status cb_walk_judge(cb_walk *walk, const cb_entry *entry,
                        const cb_query *query)
{
    enum state state = state_of(query);
    bool clear = (entry->header.flags & CB_ENTRY_FLAG_CLEAR) != 0;
    if (state != APPLIED) {
        return judge_hidden(walk, entry, query, state);
    }
    if (walk->fork) {
        return report_state(walk, "counts though another has its place");
    }
    if (clear) {
        return entry->header.kind == CB_ENTRY_CASE ||
                       !cb_query_is_null(query, 4) ||
                       !cb_query_is_null(query, 5)
                   ? report_state(walk, "is in clear but counts for a case")
                   : CB_OK;
    }
    return cb_query_is_null(query, 4)
               ? report_state(walk, "counts though no key has opened it")
               : judge_opened(walk, entry, query);
}
