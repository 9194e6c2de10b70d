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

static void read_op(cb_case_state *state, size_t entry, const json_t *json)
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
        state->ops[state->op_count] = op;
        state->op_count++;
        return;
    }
    state->entries[entry].newer = true;
    cb_case_add_finding(state, "newer.operation", entry, NULL, "",
                        "This change was made by a newer version. It is kept "
                        "whole, but this version cannot apply it.");
}

static cb_status read_ops(cb_case_state *state, cb_error *error)
{
    size_t total = 0;
    for (size_t i = 0; i < state->counted; i++) {
        total += json_array_size(state->entries[i].ops);
    }
    state->ops =
        cb_arena_allocate(&state->arena, total + 1, sizeof *state->ops);
    if (state->ops == NULL) {
        return cb_arena_check(&state->arena, error);
    }
    for (size_t i = 0; i < state->counted; i++) {
        const cb_case_entry *entry = &state->entries[i];
        if (!entry->well_formed) {
            cb_case_add_finding(state, "entry.malformed", i, NULL, "",
                                "An entry does not have the agreed form. It "
                                "was kept but changes nothing.");
            continue;
        }
        for (size_t k = 0; k < json_array_size(entry->ops); k++) {
            read_op(state, i, json_array_get(entry->ops, k));
        }
        if (entry->newer) {
            cb_case_add_finding(state, "newer.entry", i, NULL, "",
                                "An entry was made by a newer version. What "
                                "this version knows of it was applied.");
        }
    }
    return CB_OK;
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
static cb_status sort_ops(cb_case_state *state, cb_error *error)
{
    cb_op *spare =
        cb_arena_allocate(&state->arena, state->op_count + 1, sizeof *spare);
    if (spare == NULL) {
        return cb_arena_check(&state->arena, error);
    }
    cb_op *from = state->ops;
    cb_op *to = spare;
    size_t count = state->op_count;
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
    state->ops = from;
    return CB_OK;
}

static bool read_about(const cb_op *op, cb_record_id *ret_about)
{
    return cb_case_hex_of(op->json, "about", ret_about->bytes,
                          sizeof ret_about->bytes);
}

/* Whether a create may stand where it was written. */
static bool create_fits(const cb_case_state *state, const cb_op *op)
{
    const char *name = cb_json_text(op->json, "type");
    const cb_type *type =
        name != NULL ? cb_model_type(state->model, name) : NULL;
    cb_record_id about = { 0 };
    bool known = read_about(op, &about);
    return type == NULL ||
           cb_place_fits(&state->entries[op->entry].place, type, NULL,
                         &op->record, known ? &about : NULL);
}

/* Marks every creation that may stand, and says of the others why not. */
static size_t mark_creates(cb_case_state *state, const cb_op *ops, size_t count,
                           bool *fits)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        fits[i] = false;
        if (ops[i].kind != CB_OP_CREATE) {
            continue;
        }
        fits[i] = create_fits(state, &ops[i]);
        found += fits[i] ? 1 : 0;
        if (!fits[i]) {
            cb_case_add_finding(state, "record.wrong_place", ops[i].entry,
                                &ops[i].record, "",
                                "A record was written where records of its "
                                "kind may not be. It was kept but does not "
                                "count.");
        }
    }
    return found;
}

/*
 * Of several creations of one record the one that knew of no other; of several
 * such the lowest hash.  Order in memory is not enough: its tie-break depends
 * on entries that have nothing to do with them.  `creators` is a set of
 * entries, empty between calls.
 */
static const cb_op *choose_create(cb_case_state *state, const cb_op *ops,
                                  size_t count, const bool *fits,
                                  uint64_t *creators)
{
    const cb_op *chosen = NULL;
    for (size_t i = 0; i < count; i++) {
        if (fits[i]) {
            creators[ops[i].entry / 64] |= UINT64_C(1) << (ops[i].entry % 64);
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t entry = ops[i].entry;
        bool first = fits[i] && (i == 0 || ops[i - 1].entry != entry);
        const uint64_t *known =
            state->knowledge + state->knowledge_offset[entry];
        for (size_t w = 0; w <= entry / 64 && first; w++) {
            first = (known[w] & creators[w]) == 0;
        }
        if (first &&
            (chosen == NULL || memcmp(&state->entries[entry].hash,
                                      &state->entries[chosen->entry].hash,
                                      sizeof(cb_hash)) < 0)) {
            chosen = &ops[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        creators[ops[i].entry / 64] = 0;
    }
    return chosen;
}

static void report_other_creates(cb_case_state *state, const cb_op *chosen,
                                 const cb_op *ops, size_t count,
                                 const bool *fits)
{
    for (size_t i = 0; i < count; i++) {
        if (fits[i] && &ops[i] != chosen) {
            cb_case_add_finding(state, "record.created_twice", ops[i].entry,
                                &ops[i].record, "",
                                "A record was created although it was there "
                                "already. The first one counts.");
        }
    }
}

static void add_record(cb_case_state *state, size_t first, size_t count,
                       bool *fits, uint64_t *creators)
{
    const cb_op *ops = &state->ops[first];
    const cb_op *chosen = NULL;
    if (mark_creates(state, ops, count, fits) > 0) {
        chosen = choose_create(state, ops, count, fits, creators);
    }
    cb_case_record record = { .id = ops->record,
                              .created = CB_NOTHING,
                              .struck_by = CB_NOTHING,
                              .first_op = first,
                              .op_count = count };
    const cb_op *origin = chosen;
    for (size_t i = 0; i < count && origin == NULL; i++) {
        if (ops[i].kind == CB_OP_PART) {
            origin = &ops[i];
        }
    }
    if (origin == NULL || cb_json_text(origin->json, "type") == NULL) {
        for (size_t i = 0; i < count; i++) {
            cb_case_add_finding(state, "record.unknown", ops[i].entry,
                                &ops[i].record, "",
                                "A change speaks of a record that is not "
                                "here. It was kept but changes nothing.");
        }
        return;
    }
    record.type_name = cb_json_text(origin->json, "type");
    record.type = cb_model_type(state->model, record.type_name);
    record.about_known = read_about(origin, &record.about);
    if (record.type != NULL && record.type->about == CB_ABOUT_SELF) {
        record.about = record.id;
        record.about_known = true;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t class = state->entries[ops[i].entry].place.class;
        if (fits[i] && class == (uint8_t)CB_CLASS_V) {
            record.sides |= CB_SIDE_V;

        } else if (fits[i] && class == (uint8_t)CB_CLASS_O) {
            record.sides |= CB_SIDE_O;
        }
    }
    if (chosen != NULL) {
        record.created = chosen->entry;
        report_other_creates(state, chosen, ops, count, fits);
    }
    if (record.type == NULL) {
        cb_case_add_finding(state, "newer.type", origin->entry, &record.id, "",
                            "A record is of a kind that only a newer version "
                            "knows. It is kept whole.");
    }
    state->records[state->record_count] = record;
    state->record_count++;
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

unsigned cb_case_sides(const cb_case_state *state, const cb_record_id *person)
{
    size_t index = cb_case_find_record(state, person);
    const cb_case_record *record =
        index != CB_NOTHING ? &state->records[index] : NULL;
    if (record == NULL || record->type == NULL ||
        record->type->about != CB_ABOUT_SELF) {
        return 0;
    }
    return record->sides;
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
    *ret_count = find_bound(state, type, true) - first;
    return state->by_type + first;
}

cb_status cb_case_collect(cb_case_state *state, cb_error *reterr_error)
{
    cb_status status = read_ops(state, reterr_error);
    if (status == CB_OK) {
        status = sort_ops(state, reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    state->records = cb_arena_allocate(&state->arena, state->op_count + 1,
                                       sizeof *state->records);
    bool *fits =
        cb_arena_allocate(&state->arena, state->op_count + 1, sizeof *fits);
    uint64_t *creators = cb_arena_allocate(
        &state->arena, state->counted / 64 + 1, sizeof *creators);
    status = cb_arena_check(&state->arena, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    size_t first = 0;
    while (first < state->op_count) {
        size_t end = first + 1;
        while (end < state->op_count &&
               memcmp(&state->ops[end].record, &state->ops[first].record,
                      sizeof(cb_record_id)) == 0) {
            end++;
        }
        add_record(state, first, end - first, fits, creators);
        first = end;
    }
    status = cb_arena_check(&state->arena, reterr_error);
    if (status == CB_OK) {
        status = index_types(state, reterr_error);
    }
    return status;
}
