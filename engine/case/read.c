/* SPDX-License-Identifier: Apache-2.0 */
/* Facts into entries: each once, sorted by hash, its body taken apart. */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

/* The roles that decide whether something takes effect. */
static const char *const role_names[] = { "supervisor", "coordinator",
                                          "designated_lead" };

#define ROLES (sizeof role_names / sizeof *role_names)

static unsigned read_roles(const cb_fact *fact)
{
    unsigned roles = 0;
    for (size_t i = 0; fact->roles != NULL && i < fact->role_count; i++) {
        for (size_t k = 0; k < ROLES; k++) {
            if (strcmp(fact->roles[i], role_names[k]) == 0) {
                roles |= 1u << k;
            }
        }
    }
    return roles;
}

bool cb_entry_has_role(const cb_case_entry *entry, const char *role)
{
    for (size_t k = 0; k < ROLES; k++) {
        if (strcmp(role, role_names[k]) == 0) {
            return (entry->roles >> k & 1) != 0;
        }
    }
    /* Who leads a case is said in its allocation, and is no role. */
    return role[0] == '\0' || strncmp(role, "lead", 4) == 0;
}

static int compare_entries(const void *a, const void *b)
{
    const cb_case_entry *left = a;
    const cb_case_entry *right = b;
    int order = memcmp(left->hash.bytes, right->hash.bytes, CB_HASH_BYTES);
    if (order == 0) {
        /* Of one entry handed in twice, once admitted is admitted. */
        order = (int)right->admitted - (int)left->admitted;
    }
    if (order == 0 && left->roles != right->roles) {
        order = left->roles < right->roles ? -1 : 1;
    }
    if (order == 0) {
        order = left->fact < right->fact ? -1 : 1;
    }
    return order;
}

/* The years 1900 to 2200: what lies outside happened at no known time. */
#define MOMENT_MS_MIN INT64_C(-2208988800000)
#define MOMENT_MS_MAX INT64_C(7258118400000)

bool cb_case_is_moment(int64_t ms)
{
    return ms >= MOMENT_MS_MIN && ms < MOMENT_MS_MAX;
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool cb_case_hex(const char *text, uint8_t *ret_bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = digit_value(text[2 * i]);
        int low = high < 0 ? -1 : digit_value(text[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high * 16 + low);
    }
    return text[2 * size] == '\0';
}

bool cb_case_hex_of(const json_t *object, const char *name, uint8_t *ret_bytes,
                    size_t size)
{
    const char *text = cb_json_text(object, name);
    return text != NULL && cb_case_hex(text, ret_bytes, size);
}

static bool read_place(const json_t *value, cb_place *ret_place)
{
    cb_place place = { 0 };
    const char *letter = cb_json_text(value, "class");
    cb_class class = letter != NULL ? cb_class_parse(letter) : CB_CLASS_NONE;
    if (class == CB_CLASS_NONE || class == CB_CLASS_SIDE) {
        return false;
    }
    place.class = (uint8_t) class;
    bool sided = class == CB_CLASS_V || class == CB_CLASS_O;
    bool named = json_object_get(value, "person") != NULL;
    if (sided != named ||
        (named && !cb_case_hex_of(value, "person", place.person.bytes,
                                  sizeof place.person.bytes))) {
        return false;
    }
    *ret_place = place;
    return true;
}

static bool read_body(const json_t *body, cb_case_entry *entry)
{
    int64_t schema = 0;
    if (!cb_case_hex_of(body, "author", entry->author.bytes,
                        sizeof entry->author.bytes) ||
        !read_place(json_object_get(body, "compartment"), &entry->place) ||
        !cb_json_integer(body, "schema", &schema) || schema < 1) {
        return false;
    }
    entry->newer = schema > 1;
    entry->happened_known = cb_json_integer(cb_json_object(body, "happened"),
                                            "ms", &entry->happened_ms) &&
                            cb_case_is_moment(entry->happened_ms);
    if (!entry->happened_known) {
        entry->happened_ms = 0;
    }
    entry->ops = cb_json_array(body, "ops");
    return entry->ops != NULL && cb_json_array(body, "deps") != NULL &&
           json_array_size(entry->ops) <= CB_OPERATIONS_MAX;
}

/* Entries that name no case at all are kept, but cannot decide which it is. */
static cb_status read_case(cb_case_state *state, const json_t *body,
                           cb_error *error)
{
    cb_case_id id;
    if (!cb_case_hex_of(body, "case", id.bytes, sizeof id.bytes)) {
        return CB_OK;
    }
    if (!state->id_known) {
        state->id = id;
        state->id_known = true;
    }
    if (memcmp(id.bytes, state->id.bytes, sizeof id.bytes) != 0) {
        return cb_error_set(error, CB_INPUT,
                            "the entries belong to more than one case");
    }
    return CB_OK;
}

static cb_case_entry entry_of(const cb_fact *fact, size_t index)
{
    return (cb_case_entry){
        .hash = fact->entry,
        .stream = fact->stream,
        .seq = fact->seq,
        .time = fact->time,
        .fact = index,
        .body = json_incref((json_t *)(uintptr_t)fact->body),
        .admitted = fact->admitted,
        .roles = read_roles(fact),
    };
}

bool cb_case_read_last(const cb_case_state *state, const cb_fact *fact,
                       cb_case_entry *ret_entry)
{
    cb_case_id id;
    if (!fact->admitted || !state->id_known ||
        !cb_case_hex_of(fact->body, "case", id.bytes, sizeof id.bytes) ||
        memcmp(&id, &state->id, sizeof id) != 0) {
        return false;
    }
    *ret_entry = entry_of(fact, state->fact_count);
    ret_entry->well_formed = read_body(ret_entry->body, ret_entry);
    return true;
}

static void drop_repeated(cb_case_state *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->entry_count; i++) {
        cb_case_entry *entry = &state->entries[i];
        if (kept > 0 && memcmp(&state->entries[kept - 1].hash, &entry->hash,
                               sizeof entry->hash) == 0) {
            state->standing[entry->fact] = CB_FACT_REPEATED;
            json_decref(entry->body);
            entry->body = NULL;
            continue;
        }
        if (kept != i) {
            state->entries[kept] = *entry;
            entry->body = NULL;
        }
        kept++;
    }
    state->entry_count = kept;
}

cb_status cb_case_read(cb_case_state *state, const cb_fact *facts, size_t count,
                       cb_error *reterr_error)
{
    state->entries =
        cb_arena_allocate(&state->arena, count, sizeof *state->entries);
    state->standing =
        cb_arena_allocate(&state->arena, count, sizeof *state->standing);
    state->entry_of_fact =
        cb_arena_allocate(&state->arena, count, sizeof *state->entry_of_fact);
    cb_status status = cb_arena_check(&state->arena, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    state->fact_count = count;
    for (size_t i = 0; i < count; i++) {
        status = read_case(state, facts[i].body, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        state->entries[i] = entry_of(&facts[i], i);
        state->entry_count++;
    }
    if (count > 1) {
        qsort(state->entries, count, sizeof *state->entries, compare_entries);
    }
    drop_repeated(state);
    if (state->entry_count > CB_CASE_ENTRIES_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "the case has more than %d entries",
                            CB_CASE_ENTRIES_MAX);
    }
    for (size_t i = 0; i < state->entry_count; i++) {
        cb_case_entry *entry = &state->entries[i];
        entry->well_formed = read_body(entry->body, entry);
    }
    return CB_OK;
}
