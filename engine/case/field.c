/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writes to one field -> its heads, and the value in force.
 *
 * A plain write replaces every write that its author knew.  A resolution
 * replaces exactly those that it names, and only those that its author knew.
 */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

static int compare_writes(const void *a, const void *b)
{
    const cb_write *left = a;
    const cb_write *right = b;
    int order = strcmp(left->name, right->name);
    if (order == 0 && left->entry != right->entry) {
        order = left->entry < right->entry ? -1 : 1;
    }
    if (order == 0 && left->order != right->order) {
        order = left->order < right->order ? -1 : 1;
    }
    return order;
}

/* Marks what the resolutions among the writes name. */
static void mark_named(const cb_case_state *state, cb_write *writes,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < json_array_size(writes[i].resolves); k++) {
            size_t entry = cb_head_entry(state, writes[i].resolves, k);
            if (entry == CB_NOTHING ||
                !cb_case_knows(state, writes[i].entry, entry)) {
                continue;
            }
            size_t low = 0;
            size_t high = count;
            while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (writes[middle].entry < entry) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            while (low < count && writes[low].entry == entry) {
                writes[low].named = true;
                low++;
            }
        }
    }
}

/*
 * From last to first, keeping in `latest` the plain writes that no later plain
 * one replaced.  That such a write is itself named by a resolution takes
 * nothing from what it replaced, so it stays there.
 */
static size_t find_heads(const cb_case_state *state, cb_write *writes,
                         size_t count, size_t *latest)
{
    size_t latest_count = 0;
    size_t heads = 0;
    if (count == 1 && writes->kind != CB_OP_RESOLVE) {
        writes->head = true;
        return 1;
    }
    mark_named(state, writes, count);
    for (size_t k = count; k > 0; k--) {
        cb_write *write = &writes[k - 1];
        if (k < count && writes[k].entry == write->entry) {
            continue; /* the last word of one entry is its word */
        }
        bool known = false;
        for (size_t i = 0; i < latest_count && !known; i++) {
            known = cb_case_knows(state, writes[latest[i]].entry, write->entry);
        }
        write->head = !known && !write->named;
        heads += write->head ? 1 : 0;
        if (!known && write->kind != CB_OP_RESOLVE) {
            latest[latest_count] = k - 1;
            latest_count++;
        }
    }
    return heads;
}

/* ------------------------------------------------------------- the values */

typedef struct labelled {
    char *text;
    const json_t *value;
} labelled;

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const labelled *)a)->text, ((const labelled *)b)->text);
}

/* The different values among the heads, in the order of their texts. */
static void find_values(cb_case_state *state, cb_merged *merged)
{
    size_t count = merged->head_count;
    merged->values =
        cb_arena_allocate(&state->arena, count, sizeof *merged->values);
    if (merged->values == NULL) {
        return;
    }
    if (count == 1) {
        merged->values[0] = merged->heads[0]->value;
        merged->value_count = 1;
        return;
    }
    labelled *labels = calloc(count, sizeof *labels);
    bool complete = labels != NULL;
    for (size_t i = 0; i < count && complete; i++) {
        labels[i].value = merged->heads[i]->value;
        labels[i].text = json_dumps(
            labels[i].value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
        complete = labels[i].text != NULL;
    }
    if (complete) {
        qsort(labels, count, sizeof *labels, compare_labels);
        for (size_t i = 0; i < count; i++) {
            if (i == 0 || strcmp(labels[i].text, labels[i - 1].text) != 0) {
                merged->values[merged->value_count] = labels[i].value;
                merged->value_count++;
            }
        }
    }
    for (size_t i = 0; i < count && labels != NULL; i++) {
        free(labels[i].text);
    }
    free(labels);
    state->arena.failed = state->arena.failed || !complete;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The members of all values, each once; of values that are no sets, those. */
static const json_t *unite(cb_case_state *state, const cb_merged *merged)
{
    size_t total = 0;
    bool texts = cb_kind_is_set(merged->field->kind);
    for (size_t i = 0; i < merged->value_count; i++) {
        total += json_array_size(merged->values[i]);
        for (size_t k = 0; k < json_array_size(merged->values[i]); k++) {
            texts =
                texts && json_is_string(json_array_get(merged->values[i], k));
        }
    }
    json_t *united = json_array();
    bool complete =
        united != NULL && json_array_append_new(state->owned, united) == 0;
    if (!texts) {
        for (size_t i = 0; i < merged->value_count && complete; i++) {
            json_t *value = (json_t *)(uintptr_t)merged->values[i];
            complete = json_array_append(united, value) == 0;
        }
    } else if (complete) {
        const char **members = calloc(total + 1, sizeof *members);
        size_t count = 0;
        complete = members != NULL;
        for (size_t i = 0; i < merged->value_count && complete; i++) {
            for (size_t k = 0; k < json_array_size(merged->values[i]); k++) {
                members[count] =
                    json_string_value(json_array_get(merged->values[i], k));
                count++;
            }
        }
        if (complete && count > 0) {
            qsort(members, count, sizeof *members, compare_texts);
        }
        for (size_t i = 0; i < count && complete; i++) {
            if (i == 0 || strcmp(members[i], members[i - 1]) != 0) {
                complete =
                    json_array_append_new(united, json_string(members[i])) == 0;
            }
        }
        free(members);
    }
    state->arena.failed = state->arena.failed || !complete;
    return complete ? united : NULL;
}

static const json_t *highest(const cb_merged *merged)
{
    const json_t *value = merged->values[0];
    for (size_t i = 1; i < merged->value_count; i++) {
        if (cb_field_compare(merged->field, value, merged->values[i]) < 0) {
            value = merged->values[i];
        }
    }
    return value;
}

static const json_t *first_by_hash(const cb_case_state *state,
                                   const cb_merged *merged)
{
    const cb_write *first = merged->heads[0];
    for (size_t i = 1; i < merged->head_count; i++) {
        if (memcmp(&state->entries[merged->heads[i]->entry].hash,
                   &state->entries[first->entry].hash, sizeof(cb_hash)) < 0) {
            first = merged->heads[i];
        }
    }
    return first->value;
}

static void decide(cb_case_state *state, cb_merged *merged)
{
    if (merged->value_count == 1) {
        merged->value = merged->values[0];
    } else if (merged->field == NULL) {
        merged->value = NULL;
    } else {
        switch (merged->field->merge) {
        case CB_MERGE_UNION: merged->value = unite(state, merged); break;
        case CB_MERGE_PROTECTIVE:
            merged->value = highest(merged);
            merged->contested = true;
            break;
        case CB_MERGE_MULTI:
        case CB_MERGE_EXCLUSIVE: merged->contested = true; break;
        case CB_MERGE_ONCE: merged->value = first_by_hash(state, merged); break;
        case CB_MERGE_FORWARD: merged->value = highest(merged); break;
        }
    }
    if (json_is_null(merged->value)) {
        merged->value = NULL;
    }
}

static void merge_field(cb_case_state *state, cb_write *writes, size_t count,
                        size_t *latest, cb_merged *merged)
{
    size_t heads = find_heads(state, writes, count, latest);
    *merged = (cb_merged){ .name = writes->name,
                           .field = writes->field,
                           .writes = writes,
                           .write_count = count };
    merged->heads =
        cb_arena_allocate(&state->arena, heads, sizeof(const cb_write *));
    if (merged->heads == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (writes[i].head) {
            merged->heads[merged->head_count] = &writes[i];
            merged->head_count++;
        }
    }
    find_values(state, merged);
    if (merged->value_count > 0) {
        decide(state, merged);
    }
}

cb_status cb_case_merge_fields(cb_case_state *state, size_t record,
                               cb_error *reterr_error)
{
    cb_case_record *target = &state->records[record];
    size_t count = state->write_count;
    cb_write *writes =
        cb_arena_allocate(&state->arena, count + 1, sizeof *writes);
    cb_merged *fields =
        cb_arena_allocate(&state->arena, count + 1, sizeof *fields);
    size_t *latest =
        cb_arena_allocate(&state->arena, count + 1, sizeof *latest);
    cb_status status = cb_arena_check(&state->arena, reterr_error);
    if (status != CB_OK || count == 0) {
        return status;
    }
    memcpy(writes, state->writes, count * sizeof *writes);
    if (count > 1) {
        qsort(writes, count, sizeof *writes, compare_writes);
    }
    target->fields = fields;
    target->field_count = 0;
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;
        while (end < count &&
               strcmp(writes[end].name, writes[first].name) == 0) {
            end++;
        }
        merge_field(state, &writes[first], end - first, latest,
                    &fields[target->field_count]);
        target->field_count++;
        first = end;
    }
    return cb_arena_check(&state->arena, reterr_error);
}

/* ------------------------------------------------------------- questions */

const cb_merged *cb_record_field(const cb_case_record *record, const char *name)
{
    size_t low = 0;
    size_t high = record->field_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, record->fields[middle].name);
        if (order == 0) {
            return &record->fields[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const json_t *cb_record_value(const cb_case_record *record, const char *name)
{
    const cb_merged *merged = cb_record_field(record, name);
    return merged != NULL ? merged->value : NULL;
}

const char *cb_record_code(const cb_case_record *record, const char *name)
{
    const char *code = json_string_value(cb_record_value(record, name));
    return code != NULL ? code : "";
}

bool cb_record_contested(const cb_case_record *record, const char *name)
{
    const cb_merged *merged = cb_record_field(record, name);
    return merged != NULL && merged->contested;
}

bool cb_value_has(const json_t *value, const char *text)
{
    const char *single = json_string_value(value);
    if (single != NULL) {
        return strcmp(single, text) == 0;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *member = json_string_value(json_array_get(value, i));
        if (member != NULL && strcmp(member, text) == 0) {
            return true;
        }
    }
    return false;
}
