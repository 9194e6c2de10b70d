/* SPDX-License-Identifier: Apache-2.0 */
/* What a new entry must name, and where records and persons stand. */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

typedef struct head {
    const cb_case_entry *entry;
    size_t rank; /* among the heads of its stream */
} head;

static int compare_newest(const head *left, const head *right)
{
    if (left->entry->depth != right->entry->depth) {
        return left->entry->depth > right->entry->depth ? -1 : 1;
    }
    return memcmp(&left->entry->hash, &right->entry->hash, sizeof(cb_hash));
}

static int compare_streams(const void *a, const void *b)
{
    const head *left = a;
    const head *right = b;
    int order = memcmp(&left->entry->stream, &right->entry->stream,
                       sizeof left->entry->stream);
    return order != 0 ? order : compare_newest(left, right);
}

/* Every stream's newest before any stream's second. */
static int compare_ranks(const void *a, const void *b)
{
    const head *left = a;
    const head *right = b;
    if (left->rank != right->rank) {
        return left->rank < right->rank ? -1 : 1;
    }
    return compare_newest(left, right);
}

static int compare_entry_places(const cb_case_entry *left,
                                const cb_case_entry *right)
{
    int order = left->place.class - right->place.class;
    return order != 0 ? order
                      : memcmp(&left->place.person, &right->place.person,
                               sizeof left->place.person);
}

static int compare_groups(const void *a, const void *b)
{
    const head *left = a;
    const head *right = b;
    int order = compare_entry_places(left->entry, right->entry);
    return order != 0 ? order
                      : memcmp(&left->entry->hash, &right->entry->hash,
                               sizeof(cb_hash));
}

/* Sorts the heads in use to their compartments, the others away. */
static size_t choose_heads(head *heads, size_t count)
{
    if (count > CB_DEPENDENCIES_MAX) {
        qsort(heads, count, sizeof *heads, compare_streams);
        for (size_t i = 1; i < count; i++) {
            bool same =
                memcmp(&heads[i].entry->stream, &heads[i - 1].entry->stream,
                       sizeof heads[i].entry->stream) == 0;
            heads[i].rank = same ? heads[i - 1].rank + 1 : 0;
        }
        qsort(heads, count, sizeof *heads, compare_ranks);
        count = CB_DEPENDENCIES_MAX;
    }
    if (count > 1) {
        qsort(heads, count, sizeof *heads, compare_groups);
    }
    return count;
}

/* Drops what another entry of the same compartment was written knowing. */
static size_t drop_known(const cb_case_state *state, head *heads, size_t count,
                         uint64_t *known)
{
    size_t kept = 0;
    for (size_t first = 0; first < count;) {
        size_t end = first;
        memset(known, 0, (state->counted / 64 + 1) * sizeof *known);
        while (end < count && compare_entry_places(heads[first].entry,
                                                   heads[end].entry) == 0) {
            size_t entry = (size_t)(heads[end].entry - state->entries);
            const uint64_t *row =
                state->knowledge + state->knowledge_offset[entry];
            for (size_t w = 0; w <= entry / 64; w++) {
                known[w] |= row[w];
            }
            end++;
        }
        for (; first < end; first++) {
            size_t entry = (size_t)(heads[first].entry - state->entries);
            if ((known[entry / 64] >> (entry % 64) & 1) == 0) {
                heads[kept] = heads[first];
                kept++;
            }
        }
    }
    return kept;
}

static head *collect_heads(const cb_case_state *state, size_t *ret_count)
{
    size_t count = 0;
    uint64_t *known = calloc(state->counted / 64 + 1, sizeof *known);
    head *heads = calloc(state->counted + 1, sizeof *heads);
    bool complete = known != NULL && heads != NULL;
    for (size_t i = 0; i < state->counted && complete; i++) {
        const cb_case_entry *entry = &state->entries[i];
        /* What has not even the form of an entry has no compartment. */
        if (entry->place.class != 0) {
            heads[count] = (head){ .entry = entry };
            count++;
        }
    }
    if (complete && count > 0) {
        qsort(heads, count, sizeof *heads, compare_groups);
        *ret_count = drop_known(state, heads, count, known);
    }
    free(known);
    if (!complete) {
        free(heads);
        return NULL;
    }
    return heads;
}

static json_t *new_group(const cb_place *place)
{
    const char class[2] = { (char)place->class, '\0' };
    json_t *group = json_pack("{s:s,s:[]}", "class", class, "heads");
    bool sided = place->class == (uint8_t)CB_CLASS_V ||
                 place->class == (uint8_t)CB_CLASS_O;
    if (group != NULL && sided &&
        json_object_set_new(
            group, "person",
            cb_json_hex(&place->person, sizeof place->person)) != 0) {
        json_decref(group);
        group = NULL;
    }
    return group;
}

cb_status cb_case_state_heads(const cb_case_state *state, json_t **ret_groups,
                              cb_error *reterr_error)
{
    size_t count = 0;
    head *heads = collect_heads(state, &count);
    json_t *groups = json_array();
    json_t *group = NULL;
    bool complete = heads != NULL && groups != NULL;
    if (complete) {
        count = choose_heads(heads, count);
    }
    for (size_t i = 0; i < count && complete; i++) {
        const cb_case_entry *entry = heads[i].entry;
        if (i == 0 || compare_entry_places(heads[i - 1].entry, entry) != 0) {
            group = new_group(&entry->place);
            complete =
                group != NULL && json_array_append_new(groups, group) == 0;
        }
        complete =
            complete && json_array_append_new(
                            json_object_get(group, "heads"),
                            cb_json_hex(&entry->hash, sizeof entry->hash)) == 0;
    }
    free(heads);
    if (!complete) {
        json_decref(groups);
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    *ret_groups = groups;
    return CB_OK;
}

/* ------------------------------------------------------- where things stand */

char cb_case_state_side(const cb_case_state *state, const cb_record_id *party,
                        bool *ret_ambiguous)
{
    unsigned sides = cb_case_sides(state, party);
    *ret_ambiguous = sides == (CB_SIDE_V | CB_SIDE_O);
    return (char)(sides == CB_SIDE_V ? 'V' : sides == CB_SIDE_O ? 'O' : 0);
}

bool cb_case_state_record(const cb_case_state *state, const cb_record_id *id,
                          cb_record_standing *ret_record)
{
    size_t index = cb_case_find_record(state, id);
    if (index == CB_NOTHING) {
        return false;
    }
    const cb_case_record *record = &state->records[index];
    *ret_record = (cb_record_standing){
        .type = record->type_name,
        .about = record->about_known ? &record->about : NULL,
        .created = record->created != CB_NOTHING,
        .struck = record->struck,
    };
    if (record->created != CB_NOTHING) {
        const cb_case_entry *created = &state->entries[record->created];
        ret_record->compartment_class = (char)created->place.class;
        ret_record->person = created->place.class == (uint8_t)CB_CLASS_V ||
                                     created->place.class == (uint8_t)CB_CLASS_O
                                 ? &created->place.person
                                 : NULL;
    }
    return true;
}

const json_t *cb_case_state_record_value(const cb_case_state *state,
                                         size_t record, const char *field)
{
    CB_ASSERT(record < state->record_count);
    const cb_case_record *at = &state->records[record];
    for (size_t i = 0; i < at->field_count; i++) {
        if (strcmp(at->fields[i].name, field) == 0) {
            return at->fields[i].value;
        }
    }
    return NULL;
}

void cb_case_state_mark_partial(cb_case_state *state)
{
    const char *word = cb_arena_format(
        &state->arena, "NOT ALL ENTRIES ARE SHOWN - %s", state->word);
    state->partial = true;
    state->partial_word = word[0] != '\0' ? word : "NOT ALL ENTRIES ARE SHOWN";
}
