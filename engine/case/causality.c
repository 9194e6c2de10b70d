/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which entries count, in an order of cause before effect, and who knew what.
 *
 * An entry counts when it was admitted and everything that it builds on, as far
 * as the reader may see it, counts.  The order is Kahn's, always taking the
 * lowest hash of those that are ready.
 */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

static int compare_places(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(cb_place));
}

typedef struct places {
    cb_place *items;
    size_t count;
} places;

typedef size_t (*finder)(const cb_case_state *state, const cb_hash *hash);

static bool is_held(const places *held, const cb_place *place)
{
    return held->count > 0 && bsearch(place, held->items, held->count,
                                      sizeof *place, compare_places) != NULL;
}

static size_t find_sorted(const cb_case_state *state, const cb_hash *hash)
{
    size_t low = 0;
    size_t high = state->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(hash->bytes, state->entries[middle].hash.bytes,
                           CB_HASH_BYTES);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return CB_NOTHING;
}

/*
 * False where the list of dependencies is not of the form agreed.  `named`
 * counts all that are named, seen or not, so that every reader takes the same
 * CB_DEPENDENCIES_MAX of too many.  The rest counts as not known: the entry
 * replaces less, and what it says still counts.
 */
static bool read_group(cb_case_state *state, const places *held, finder find,
                       const json_t *group, cb_case_entry *entry, size_t *named)
{
    const json_t *heads = cb_json_array(group, "heads");
    const char *letter = cb_json_text(group, "class");
    cb_place place = { 0 };
    place.class =
        (uint8_t)(letter != NULL ? cb_class_parse(letter) : CB_CLASS_NONE);
    if (place.class == CB_CLASS_NONE || heads == NULL ||
        (json_object_get(group, "person") != NULL &&
         !cb_case_hex_of(group, "person", place.person.bytes,
                         sizeof place.person.bytes))) {
        return false;
    }
    bool visible = is_held(held, &place);
    for (size_t i = 0; i < json_array_size(heads); i++) {
        cb_hash hash;
        const char *text = json_string_value(json_array_get(heads, i));
        if (*named == CB_DEPENDENCIES_MAX) {
            entry->deps_cut = true;
            return true;
        }
        if (text == NULL || !cb_case_hex(text, hash.bytes, sizeof hash)) {
            return false;
        }
        (*named)++;
        size_t found = find(state, &hash);
        if (found == CB_NOTHING) {
            entry->dep_missing = entry->dep_missing || visible;
            state->passed_over = state->passed_over || !visible;
            continue;
        }
        entry->deps[entry->dep_count] = found;
        entry->dep_count++;
    }
    return true;
}

static void read_deps(cb_case_state *state, const places *held, finder find,
                      cb_case_entry *entry)
{
    const json_t *groups = cb_json_array(entry->body, "deps");
    size_t named = 0;
    for (size_t i = 0; i < json_array_size(groups); i++) {
        named +=
            json_array_size(cb_json_array(json_array_get(groups, i), "heads"));
    }
    if (named > CB_DEPENDENCIES_MAX) {
        named = CB_DEPENDENCIES_MAX;
    }
    entry->deps =
        cb_arena_allocate(&state->arena, named + 1, sizeof *entry->deps);
    if (entry->deps == NULL) {
        return;
    }
    named = 0;
    for (size_t i = 0; i < json_array_size(groups) && !entry->deps_cut; i++) {
        if (!read_group(state, held, find, json_array_get(groups, i), entry,
                        &named)) {
            entry->well_formed = false;
            break;
        }
    }
}

static cb_status find_places(cb_case_state *state, places *held,
                             cb_error *error)
{
    held->items = cb_arena_allocate(&state->arena, state->entry_count,
                                    sizeof *held->items);
    if (held->items == NULL) {
        return cb_arena_check(&state->arena, error);
    }
    held->count = 0;
    for (size_t i = 0; i < state->entry_count; i++) {
        if (state->entries[i].well_formed) {
            held->items[held->count] = state->entries[i].place;
            held->count++;
        }
    }
    if (held->count > 1) {
        qsort(held->items, held->count, sizeof *held->items, compare_places);
    }
    return CB_OK;
}

/* ------------------------------------------------------------- the order */

/* A heap of indices, lowest first: entries are sorted by hash at this step. */
typedef struct heap {
    size_t *items;
    size_t count;
} heap;

static void heap_push(heap *ready, size_t item)
{
    size_t at = ready->count;
    ready->count++;
    while (at > 0 && ready->items[(at - 1) / 2] > item) {
        ready->items[at] = ready->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    ready->items[at] = item;
}

static size_t heap_pop(heap *ready)
{
    size_t top = ready->items[0];
    ready->count--;
    size_t item = ready->items[ready->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= ready->count) {
            break;
        }
        if (child + 1 < ready->count &&
            ready->items[child + 1] < ready->items[child]) {
            child++;
        }
        if (ready->items[child] >= item) {
            break;
        }
        ready->items[at] = ready->items[child];
        at = child;
    }
    ready->items[at] = item;
    return top;
}

/* Who builds on whom, as lists one after another: effects of entry i are at
   items[starts[i] .. starts[i + 1]). */
typedef struct effects {
    size_t *starts;
    size_t *items;
    size_t *open; /* causes of each entry that are not ordered yet */
} effects;

static cb_status find_effects(cb_case_state *state, effects *graph,
                              cb_error *error)
{
    size_t count = state->entry_count;
    size_t edges = 0;
    for (size_t i = 0; i < count; i++) {
        edges += state->entries[i].dep_count;
    }
    graph->starts =
        cb_arena_allocate(&state->arena, count + 2, sizeof *graph->starts);
    graph->items =
        cb_arena_allocate(&state->arena, edges + 1, sizeof *graph->items);
    graph->open =
        cb_arena_allocate(&state->arena, count + 1, sizeof *graph->open);
    cb_status status = cb_arena_check(&state->arena, error);
    if (status != CB_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        graph->open[i] = state->entries[i].dep_count;
        for (size_t d = 0; d < state->entries[i].dep_count; d++) {
            graph->starts[state->entries[i].deps[d] + 2]++;
        }
    }
    for (size_t i = 1; i < count + 2; i++) {
        graph->starts[i] += graph->starts[i - 1];
    }
    /* Filling moves each start on to where it belongs. */
    for (size_t i = 0; i < count; i++) {
        for (size_t d = 0; d < state->entries[i].dep_count; d++) {
            size_t cause = state->entries[i].deps[d];
            graph->items[graph->starts[cause + 1]] = i;
            graph->starts[cause + 1]++;
        }
    }
    return CB_OK;
}

static bool is_free(const cb_case_entry *entry)
{
    return entry->admitted && !entry->dep_missing;
}

/* Positions in causal order; CB_NOTHING for what does not count. */
static size_t walk(const cb_case_state *state, const effects *graph,
                   heap *ready, size_t *position)
{
    size_t ordered = 0;
    for (size_t i = 0; i < state->entry_count; i++) {
        position[i] = CB_NOTHING;
        if (graph->open[i] == 0 && is_free(&state->entries[i])) {
            heap_push(ready, i);
        }
    }
    while (ready->count > 0) {
        size_t entry = heap_pop(ready);
        position[entry] = ordered;
        ordered++;
        for (size_t e = graph->starts[entry]; e < graph->starts[entry + 1];
             e++) {
            size_t effect = graph->items[e];
            graph->open[effect]--;
            if (graph->open[effect] == 0 && is_free(&state->entries[effect])) {
                heap_push(ready, effect);
            }
        }
    }
    return ordered;
}

/* Counted entries in causal order first, then the rest by hash. */
static cb_status rearrange(cb_case_state *state, const size_t *position,
                           cb_error *error)
{
    cb_case_entry *moved =
        cb_arena_allocate(&state->arena, state->entry_count, sizeof *moved);
    state->by_hash = cb_arena_allocate(&state->arena, state->counted + 1,
                                       sizeof *state->by_hash);
    if (moved == NULL || state->by_hash == NULL) {
        return cb_arena_check(&state->arena, error);
    }
    size_t rest = state->counted;
    size_t named = 0;
    for (size_t i = 0; i < state->entry_count; i++) {
        cb_case_entry *entry = &state->entries[i];
        bool counts = position[i] != CB_NOTHING;
        moved[counts ? position[i] : rest] = *entry;
        state->entry_of_fact[entry->fact] = counts ? position[i] : rest;
        if (counts) {
            state->by_hash[named] = position[i];
            named++;
            state->standing[entry->fact] = CB_FACT_COUNTS;
            for (size_t d = 0; d < entry->dep_count; d++) {
                entry->deps[d] = position[entry->deps[d]];
            }
        } else {
            state->standing[entry->fact] =
                entry->admitted ? CB_FACT_WAITS : CB_FACT_QUARANTINED;
            rest++;
        }
        entry->body = NULL;
    }
    state->entries = moved;
    return CB_OK;
}

/* ------------------------------------------------------------- knowledge */

bool cb_case_knows(const cb_case_state *state, size_t later, size_t earlier)
{
    if (earlier >= later) {
        return false;
    }
    const uint64_t *row = state->knowledge + state->knowledge_offset[later];
    return (row[earlier / 64] >> (earlier % 64) & 1) != 0;
}

static int compare_descending(const void *a, const void *b)
{
    size_t left = *(const size_t *)a;
    size_t right = *(const size_t *)b;
    return left > right ? -1 : left < right;
}

/* What an entry knows, of what its causes know, into its row of zeroes. */
static void spread(cb_case_state *state, size_t at)
{
    cb_case_entry *entry = &state->entries[at];
    uint64_t *row = state->knowledge + state->knowledge_offset[at];
    if (entry->dep_count > 1) {
        qsort(entry->deps, entry->dep_count, sizeof *entry->deps,
              compare_descending);
    }
    for (size_t d = 0; d < entry->dep_count; d++) {
        size_t cause = entry->deps[d];
        size_t depth = state->entries[cause].depth + 1;
        entry->depth = depth > entry->depth ? depth : entry->depth;
        if (cb_case_knows(state, at, cause)) {
            continue; /* by way of a later one */
        }
        const uint64_t *known =
            state->knowledge + state->knowledge_offset[cause];
        for (size_t w = 0; w <= cause / 64; w++) {
            row[w] |= known[w];
        }
        row[cause / 64] |= UINT64_C(1) << (cause % 64);
    }
}

static cb_status spread_knowledge(cb_case_state *state, cb_error *error)
{
    size_t words = 0;
    state->knowledge_offset = cb_arena_allocate(
        &state->arena, state->counted + 1, sizeof *state->knowledge_offset);
    if (state->knowledge_offset == NULL) {
        return cb_arena_check(&state->arena, error);
    }
    for (size_t i = 0; i <= state->counted; i++) {
        state->knowledge_offset[i] = words;
        words += i / 64 + 1;
    }
    state->knowledge =
        cb_arena_allocate(&state->arena, words, sizeof *state->knowledge);
    if (state->knowledge == NULL) {
        return cb_arena_check(&state->arena, error);
    }
    state->knowledge_capacity = words;
    for (size_t i = 0; i < state->counted; i++) {
        spread(state, i);
    }
    return CB_OK;
}

size_t cb_case_find_entry(const cb_case_state *state, const cb_hash *hash)
{
    size_t low = 0;
    size_t high = state->counted;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t entry = state->by_hash[middle];
        int order = memcmp(hash->bytes, state->entries[entry].hash.bytes,
                           CB_HASH_BYTES);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return CB_NOTHING;
}

cb_status cb_case_order(cb_case_state *state, cb_error *reterr_error)
{
    places held = { 0 };
    effects graph = { 0 };
    heap ready = { 0 };
    size_t *position = NULL;
    cb_status status = find_places(state, &held, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    for (size_t i = 0; i < state->entry_count; i++) {
        read_deps(state, &held, find_sorted, &state->entries[i]);
    }
    status = cb_arena_check(&state->arena, reterr_error);
    if (status == CB_OK) {
        status = find_effects(state, &graph, reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    position = cb_arena_allocate(&state->arena, state->entry_count + 1,
                                 sizeof *position);
    ready.items = cb_arena_allocate(&state->arena, state->entry_count + 1,
                                    sizeof *ready.items);
    status = cb_arena_check(&state->arena, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    state->counted = walk(state, &graph, &ready, position);
    status = rearrange(state, position, reterr_error);
    if (status == CB_OK) {
        status = spread_knowledge(state, reterr_error);
    }
    return status;
}

bool cb_case_order_last(cb_case_state *state, cb_case_entry *entry)
{
    const places nothing = { 0 };
    const bool placed = entry->well_formed;
    const bool passed_over = state->passed_over;
    state->passed_over = false;
    read_deps(state, &nothing, cb_case_find_entry, entry);
    bool found = !state->passed_over;
    state->passed_over = passed_over;
    if (!found || state->arena.failed) {
        return false;
    }
    /* Whatever was passed over for want of its place would have to wait now. */
    bool held = !passed_over || !placed;
    for (size_t i = 0; i < state->counted && !held; i++) {
        held = state->entries[i].well_formed &&
               compare_places(&state->entries[i].place, &entry->place) == 0;
    }
    return held;
}

bool cb_case_knows_all(cb_case_state *state, size_t last)
{
    const uint64_t *row = state->knowledge + state->knowledge_offset[last];
    spread(state, last);
    for (size_t i = 0; i < last / 64; i++) {
        if (row[i] != UINT64_MAX) {
            return false;
        }
    }
    return row[last / 64] == (UINT64_C(1) << (last % 64)) - 1;
}
