/* SPDX-License-Identifier: Apache-2.0 */
/* Operations into records. */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

typedef struct op_name {
    const char *name;
    cb_op_kind kind;
} op_name;

static const op_name op_names[] = {
    { "create", CB_OP_CREATE }, { "override", CB_OP_OVERRIDE },
    { "part", CB_OP_PART },     { "resolve", CB_OP_RESOLVE },
    { "set", CB_OP_SET },       { "strike", CB_OP_STRIKE },
};

static void read_op(cb_case_state *state, size_t entry, const json_t *json,
                    cb_op_list *list)
{
    const char *name = cb_json_text(json, "op");
    cb_op op = { .entry = entry, .json = json };
    for (size_t i = 0; name != NULL && i < sizeof op_names / sizeof *op_names;
         i++) {
        if (strcmp(op_names[i].name, name) != 0) {
            continue;
        }
        op.kind = op_names[i].kind;
        if (!cb_case_hex_of(json, "record", op.record.bytes,
                            sizeof op.record.bytes)) {
            cb_case_add_finding(state, "entry.malformed", entry, NULL, "",
                                "A change names no record. It was kept but "
                                "changes nothing.");
            return;
        }
        list->items[list->count] = op;
        list->count++;
        return;
    }
    state->entries[entry].newer = true;
    cb_case_add_finding(state, "newer.operation", entry, NULL, "",
                        "This change was made by a newer version. It is kept "
                        "whole, but this version cannot apply it.");
}

static void read_entry(cb_case_state *state, size_t at, cb_op_list *list)
{
    const cb_case_entry *entry = &state->entries[at];
    if (!entry->well_formed) {
        cb_case_add_finding(state, "entry.malformed", at, NULL, "",
                            "An entry does not have the agreed form. It was "
                            "kept but changes nothing.");
        return;
    }
    if (entry->deps_cut) {
        cb_case_add_finding(state, "entry.too_many_causes", at, NULL, "",
                            "An entry names more entries that its author knew "
                            "than one may. It counts; the rest of them counts "
                            "as not known to the author.");
    }
    for (size_t k = 0; k < json_array_size(entry->ops); k++) {
        read_op(state, at, json_array_get(entry->ops, k), list);
    }
    if (entry->newer) {
        cb_case_add_finding(state, "newer.entry", at, NULL, "",
                            "An entry was made by a newer version. What this "
                            "version knows of it was applied.");
    }
}

/* By record; within one, as they lie in memory, which is causal order. */
static int compare_ops(const void *a, const void *b)
{
    const cb_op *left = a;
    const cb_op *right = b;
    int order =
        memcmp(left->record.bytes, right->record.bytes, CB_IDENTIFIER_BYTES);
    if (order == 0 && left->entry != right->entry) {
        order = left->entry < right->entry ? -1 : 1;
    }
    return order;
}

/*
 * Merge sort keeps the order of the operations inside an entry, which glibc's
 * qsort promises only while it has memory.
 */
static cb_status sort_ops(cb_case_state *state, cb_op_list *list,
                          cb_error *error)
{
    size_t count = list->count;
    cb_op *spare = cb_arena_allocate(&state->arena, count + 1, sizeof *spare);
    if (spare == NULL) {
        return cb_arena_check(&state->arena, error);
    }
    cb_op *from = list->items;
    cb_op *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = middle + width < count ? middle + width : count;
            size_t left = start;
            size_t right = middle;
            for (size_t k = start; k < end; k++) {
                bool take_left = left < middle &&
                                 (right >= end ||
                                  compare_ops(&from[left], &from[right]) <= 0);
                to[k] = from[take_left ? left++ : right++];
            }
        }
        cb_op *swap = from;
        from = to;
        to = swap;
    }
    list->items = from;
    return CB_OK;
}

cb_status cb_case_read_ops(cb_case_state *state, size_t first,
                           cb_op_list *ret_list, cb_error *reterr_error)
{
    size_t total = 0;
    for (size_t i = first; i < state->counted; i++) {
        total += json_array_size(state->entries[i].ops);
    }
    ret_list->count = 0;
    ret_list->items =
        cb_arena_allocate(&state->arena, total + 1, sizeof *ret_list->items);
    if (ret_list->items == NULL) {
        return cb_arena_check(&state->arena, reterr_error);
    }
    for (size_t i = first; i < state->counted; i++) {
        read_entry(state, i, ret_list);
    }
    return sort_ops(state, ret_list, reterr_error);
}

/* -------------------------------------------------------------- looking up */

uint64_t cb_type_bit(const char *type)
{
    unsigned sum = 0;
    for (const char *at = type; *at != '\0'; at++) {
        sum = sum * 31 + (unsigned char)*at;
    }
    return UINT64_C(1) << (sum % 64);
}

void cb_case_look_at(const cb_case_state *state, uint64_t types)
{
    if (state->looked_at != NULL) {
        *state->looked_at |= types;
    }
}

size_t cb_case_find_record(const cb_case_state *state, const cb_record_id *id)
{
    size_t low = 0;
    size_t high = state->record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(id->bytes, state->records[middle].id.bytes,
                           CB_IDENTIFIER_BYTES);
        if (order == 0) {
            size_t first = middle - state->records[middle].sibling;
            for (size_t i = 0; state->looked_at != NULL &&
                               i < state->records[first].sibling_count;
                 i++) {
                cb_case_look_at(
                    state, cb_type_bit(state->records[first + i].type_name));
            }
            return first;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    /* A record of whatever type may come to be there. */
    cb_case_look_at(state, CB_EVERY_TYPE);
    return CB_NOTHING;
}

size_t cb_case_find_typed(const cb_case_state *state, const cb_record_id *id,
                          const char *type)
{
    size_t first = cb_case_find_record(state, id);
    size_t count =
        first != CB_NOTHING ? state->records[first].sibling_count : 0;
    for (size_t i = first; i < first + count; i++) {
        if (strcmp(state->records[i].type_name, type) == 0) {
            return i;
        }
    }
    return CB_NOTHING;
}

unsigned cb_case_sides(const cb_case_state *state, const cb_record_id *person)
{
    size_t first = cb_case_find_record(state, person);
    size_t count =
        first != CB_NOTHING ? state->records[first].sibling_count : 0;
    unsigned sides = 0;
    for (size_t i = first; i < first + count; i++) {
        const cb_case_record *record = &state->records[i];
        if (record->type != NULL && record->type->about == CB_ABOUT_SELF) {
            sides |= record->side == (uint8_t)CB_CLASS_V ? CB_SIDE_V : 0;
            sides |= record->side == (uint8_t)CB_CLASS_O ? CB_SIDE_O : 0;
        }
    }
    return sides;
}

typedef struct typed {
    const char *type;
    size_t record;
} typed;

static int compare_typed(const void *a, const void *b)
{
    const typed *left = a;
    const typed *right = b;
    int order = strcmp(left->type, right->type);
    if (order == 0 && left->record != right->record) {
        order = left->record < right->record ? -1 : 1;
    }
    return order;
}

static cb_status index_types(cb_case_state *state, cb_error *error)
{
    size_t count = state->record_count;
    typed *all = cb_arena_allocate(&state->arena, count + 1, sizeof *all);
    state->by_type =
        cb_arena_allocate(&state->arena, count + 1, sizeof *state->by_type);
    state->by_type_capacity = count + 1;
    cb_status status = cb_arena_check(&state->arena, error);
    if (status != CB_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        all[i] = (typed){ state->records[i].type_name, i };
    }
    if (count > 1) {
        qsort(all, count, sizeof *all, compare_typed);
    }
    for (size_t i = 0; i < count; i++) {
        state->by_type[i] = all[i].record;
    }
    return CB_OK;
}

/* Where records of a type begin, or, with `after`, end. */
static size_t find_bound(const cb_case_state *state, const char *type,
                         bool after)
{
    size_t low = 0;
    size_t high = state->record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order =
            strcmp(state->records[state->by_type[middle]].type_name, type);
        if (order < 0 || (after && order == 0)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const size_t *cb_case_of_type(const cb_case_state *state, const char *type,
                              size_t *ret_count)
{
    size_t first = find_bound(state, type, false);
    if (state->looked_at != NULL) {
        cb_case_look_at(state, cb_type_bit(type));
    }
    *ret_count = find_bound(state, type, true) - first;
    return state->by_type + first;
}

bool cb_case_index_record(cb_case_state *state, size_t record)
{
    const char *type = state->records[record].type_name;
    size_t count = state->record_count - 1;
    state->by_type =
        cb_arena_grow(&state->arena, state->by_type, count,
                      &state->by_type_capacity, sizeof *state->by_type);
    if (state->by_type == NULL) {
        return false;
    }
    size_t at = count;
    for (; at > 0; at--) {
        size_t before = state->by_type[at - 1];
        before += before >= record ? 1 : 0;
        int order = strcmp(state->records[before].type_name, type);
        if (order < 0 || (order == 0 && before < record)) {
            break;
        }
        state->by_type[at] = before;
    }
    state->by_type[at] = record;
    for (size_t i = 0; i < at; i++) {
        state->by_type[i] += state->by_type[i] >= record ? 1 : 0;
    }
    return true;
}

cb_status cb_case_collect(cb_case_state *state, cb_error *reterr_error)
{
    cb_op_list ops = { 0 };
    cb_status status = cb_case_read_ops(state, 0, &ops, reterr_error);
    if (status == CB_OK) {
        status =
            cb_case_make_records(state, ops.items, ops.count, reterr_error);
    }
    if (status == CB_OK) {
        status = index_types(state, reterr_error);
    }
    return status;
}
