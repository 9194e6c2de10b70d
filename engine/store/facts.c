/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoded entries of a case.  They are decrypted from the stored bytes when
 * a case is first needed, and kept for the next change to it.
 */
#include "base/json.h"
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

/* The cache owns the reference that the fact shows as const. */
static void disown(const cb_fact *fact)
{
    union {
        const json_t *shown;
        json_t *owned;
    } body = { .shown = fact->body };

    json_decref(body.owned);
}

static void empty_slot(cb_case_cache *slot)
{
    cb_case_state_destroy(slot->state);
    for (size_t i = 0; i < slot->count; i++) {
        disown(&slot->facts[i]);
    }
    while (slot->authors != NULL) {
        cb_author *next = slot->authors->next;
        json_decref(slot->authors->list);
        free(slot->authors);
        slot->authors = next;
    }
    free(slot->facts);
    memset(slot, 0, sizeof *slot);
}

cb_case_cache *cb_facts_find(cb_store *store, const cb_case_id *case_id)
{
    for (size_t i = 0; i < CB_CASE_CACHE_SLOTS; i++) {
        cb_case_cache *slot = &store->cache[i];
        if (slot->used &&
            memcmp(&slot->case_id, case_id, sizeof *case_id) == 0) {
            return slot;
        }
    }
    return NULL;
}

void cb_facts_forget(cb_store *store, const cb_case_id *case_id)
{
    cb_case_cache *slot = cb_facts_find(store, case_id);
    if (slot != NULL) {
        empty_slot(slot);
    }
}

void cb_facts_forget_all(cb_store *store)
{
    for (size_t i = 0; i < CB_CASE_CACHE_SLOTS; i++) {
        empty_slot(&store->cache[i]);
    }
}

static cb_status find_author(cb_store *store, cb_case_cache *slot,
                             const cb_person_id *person,
                             const cb_author **ret_author, cb_error *error)
{
    cb_author *author = slot->authors;
    while (author != NULL &&
           memcmp(&author->person, person, sizeof *person) != 0) {
        author = author->next;
    }
    if (author == NULL) {
        author = calloc(1, sizeof *author);
        if (author == NULL) {
            return cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        author->person = *person;
        author->list = cb_roster_roles(store, person);
        for (size_t i = 0; i < json_array_size(author->list) &&
                           author->role_count < CB_ROLES_MAX;
             i++) {
            const char *role =
                json_string_value(json_array_get(author->list, i));
            if (role != NULL) {
                author->roles[author->role_count++] = role;
            }
        }
        author->next = slot->authors;
        slot->authors = author;
    }
    *ret_author = author;
    return CB_OK;
}

static cb_status give_roles(cb_store *store, cb_case_cache *slot,
                            const cb_person_id *person, cb_fact *fact,
                            cb_error *error)
{
    const cb_author *author = NULL;
    cb_status status = find_author(store, slot, person, &author, error);
    if (status == CB_OK) {
        fact->roles = author->roles;
        fact->role_count = author->role_count;
    }
    return status;
}

static cb_status push(cb_case_cache *slot, const cb_fact *fact, cb_error *error)
{
    CB_ASSERT(slot->count < CB_CASE_ENTRIES_MAX);
    if (slot->count == slot->capacity) {
        size_t capacity = slot->capacity == 0 ? 32 : slot->capacity * 2;
        cb_fact *facts = realloc(slot->facts, capacity * sizeof *facts);
        if (facts == NULL) {
            return cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        slot->facts = facts;
        slot->capacity = capacity;
    }
    slot->facts[slot->count++] = *fact;
    return CB_OK;
}

/* Opens one stored entry.  CB_NOT_FOUND where its key is not here (any more).
 */
static cb_status open_fact(cb_store *store, cb_span bytes, int64_t key,
                           int64_t received_ms, cb_fact *ret_fact,
                           cb_error *error)
{
    cb_entry entry;
    cb_compartment compartment;
    json_t *body = NULL;
    cb_buffer plaintext;
    cb_buffer_init(&plaintext, CB_PLAINTEXT_BYTES_MAX);
    cb_status status = cb_entry_decode(bytes, &entry, error);
    if (status == CB_OK) {
        status = cb_compartment_load_number(store, key, &compartment, error);
    }
    if (status == CB_OK) {
        status = cb_entry_open(&entry, store->key_in_use, &plaintext, error);
    }
    if (status == CB_OK) {
        status = cb_json_parse(cb_span_of_buffer(&plaintext), &body, error);
    }
    if (status == CB_OK) {
        *ret_fact = (cb_fact){
            .entry = entry.hash,
            .stream = entry.header.stream,
            .seq = entry.header.seq,
            .time = entry.header.time,
            .roster = entry.header.roster,
            .received_ms = received_ms,
            .admitted = true,
            .body = body,
        };
    }
    cb_buffer_clear(&plaintext);
    return status;
}

static cb_status take_row(cb_store *store, cb_case_cache *slot,
                          const cb_query *query, cb_error *error)
{
    cb_fact fact;
    cb_person_id person = { { 0 } };
    cb_status status =
        open_fact(store, cb_query_blob(query, 1), cb_query_integer(query, 3),
                  cb_query_integer(query, 2), &fact, error);
    if (status != CB_OK) {
        return status == CB_NOT_FOUND ? CB_OK : status;
    }
    (void)cb_query_copy(query, 4, person.bytes, sizeof person.bytes);
    status = push(slot, &fact, error);
    if (status != CB_OK) {
        disown(&fact);
        return status;
    }
    return give_roles(store, slot, &person, &slot->facts[slot->count - 1],
                      error);
}

static cb_status is_too_large(cb_store *store, const cb_case_id *case_id,
                              bool *ret_too_large, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "entry_count_of_case");
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_status status = cb_query_step(&query, error);
    *ret_too_large =
        status == CB_OK && cb_query_integer(&query, 0) > CB_CASE_ENTRIES_MAX;
    cb_query_end(&query);
    return status;
}

static cb_status fill_slot(cb_store *store, const cb_case_id *case_id,
                           cb_case_cache *slot, cb_error *error)
{
    cb_status status = is_too_large(store, case_id, &slot->partial, error);
    if (status != CB_OK) {
        return status;
    }
    cb_query query =
        cb_query_begin(store->database,
                       slot->partial ? "entry_of_case_part" : "entry_of_case");
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    if (slot->partial) {
        cb_query_bind_integer(&query, ":limit", CB_CASE_ENTRIES_MAX);
    }
    status = cb_query_step(&query, error);
    while (status == CB_OK) {
        status = take_row(store, slot, &query, error);
        if (status == CB_OK) {
            status = cb_query_step(&query, error);
        }
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

cb_status cb_facts_load(cb_store *store, const cb_case_id *case_id,
                        const cb_fact **ret_facts, size_t *ret_count,
                        cb_error *error)
{
    cb_case_cache *slot = cb_facts_find(store, case_id);
    if (slot == NULL) {
        slot = &store->cache[store->cache_next];
        store->cache_next = (store->cache_next + 1) % CB_CASE_CACHE_SLOTS;
        empty_slot(slot);
        const uint64_t failures = cb_json_failures();
        cb_status status = fill_slot(store, case_id, slot, error);
        if (status == CB_OK && cb_json_failures() != failures) {
            status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        if (status != CB_OK) {
            empty_slot(slot);
            return status;
        }
        slot->case_id = *case_id;
        slot->used = true;
    }
    *ret_facts = slot->facts;
    *ret_count = slot->count;
    return CB_OK;
}

static cb_status fold_slot(cb_store *store, const cb_case_id *case_id,
                           cb_case_cache **ret_slot, cb_error *error)
{
    const cb_fact *facts = NULL;
    size_t count = 0;
    cb_status status = cb_facts_load(store, case_id, &facts, &count, error);
    if (status != CB_OK) {
        return status;
    }
    cb_case_cache *slot = cb_facts_find(store, case_id);
    CB_ASSERT(slot != NULL);
    if (slot->state == NULL) {
        const uint64_t failures = cb_json_failures();
        status =
            cb_fold_unwritten(store->model, facts, count, &slot->state, error);
        if (status == CB_OK && cb_json_failures() != failures) {
            cb_case_state_destroy(slot->state);
            slot->state = NULL;
            status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        if (status == CB_OK && slot->partial) {
            cb_case_state_mark_partial(slot->state);
        }
    }
    *ret_slot = slot;
    return status;
}

cb_status cb_facts_state(cb_store *store, const cb_case_id *case_id,
                         const cb_case_state **ret_state, cb_error *error)
{
    cb_case_cache *slot = NULL;
    cb_status status = fold_slot(store, case_id, &slot, error);
    if (status == CB_OK) {
        *ret_state = slot->state;
    }
    return status;
}

cb_status cb_facts_fingerprint(cb_store *store, const cb_case_id *case_id,
                               cb_hash *ret_fingerprint, cb_error *error)
{
    cb_case_cache *slot = NULL;
    cb_status status = fold_slot(store, case_id, &slot, error);
    if (status == CB_OK) {
        status = cb_case_state_write(slot->state, error);
    }
    if (status == CB_OK) {
        *ret_fingerprint = cb_case_state_fingerprint(slot->state);
    }
    return status;
}

cb_status cb_facts_roles(cb_store *store, const cb_case_id *case_id,
                         const cb_person_id *person,
                         const char *const **ret_roles, size_t *ret_count,
                         cb_error *error)
{
    const cb_author *author = NULL;
    const cb_fact *facts = NULL;
    size_t count = 0;
    cb_status status = cb_facts_load(store, case_id, &facts, &count, error);
    if (status == CB_OK) {
        status = find_author(store, cb_facts_find(store, case_id), person,
                             &author, error);
    }
    if (status == CB_OK) {
        *ret_roles = author->roles;
        *ret_count = author->role_count;
    }
    return status;
}

bool cb_facts_are_partial(cb_store *store, const cb_case_id *case_id)
{
    const cb_case_cache *slot = cb_facts_find(store, case_id);
    return slot != NULL && slot->partial;
}

/* The state follows where that is cheap; else it is folded when next needed. */
static cb_status extend_state(cb_case_cache *slot, const cb_fact *fact,
                              cb_error *error)
{
    bool extended = false;
    const uint64_t failures = cb_json_failures();
    cb_status status = slot->state == NULL ? CB_OK
                                           : cb_fold_extend(slot->state, fact,
                                                            &extended, error);
    if (!extended || cb_json_failures() != failures) {
        cb_case_state_destroy(slot->state);
        slot->state = NULL;
    }
    return status;
}

cb_status cb_facts_add(cb_store *store, const cb_case_id *case_id,
                       const cb_fact *fact, cb_error *error)
{
    cb_case_cache *slot = cb_facts_find(store, case_id);
    if (slot == NULL) {
        return CB_OK;
    }
    /* Which part is loaded changes with every entry. */
    if (slot->count == CB_CASE_ENTRIES_MAX) {
        empty_slot(slot);
        return CB_OK;
    }
    cb_fact kept = *fact;

    union {
        const json_t *shown;
        json_t *owned;
    } body = { .shown = fact->body };

    kept.body = json_incref(body.owned);
    cb_status status =
        give_roles(store, slot, &store->identity.person, &kept, error);
    if (status == CB_OK) {
        status = push(slot, &kept, error);
    }
    if (status != CB_OK) {
        json_decref(body.owned);
        return status;
    }
    return extend_state(slot, &kept, error);
}
