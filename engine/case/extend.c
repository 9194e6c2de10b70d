/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry more.
 *
 * An entry that was written in knowledge of all that counts comes last in the
 * causal order, whatever its hash, and takes nothing from what the others knew.
 * So everything up to the fields of records stays as it is, but for the records
 * that it touches: these are made and written again, by the same steps, from
 * their operations and its own.  Registers are merged again where it touches a
 * record that writes one.  What it all means together is looked at as a whole
 * each time, only that the rules keep what they found where nothing that they
 * looked at was touched.
 *
 * Where any of that is not certain, nothing is claimed: the case is folded.
 */
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

/* More than a person changes at a time. */
#define OPERATIONS_MAX 64

/* What is left behind in the arena may be this many times what is in use. */
#define WASTE_TIMES 3
#define WASTE_BYTES 262144

/* A list of the arena, moved to where there is room for more; or NULL. */
static void *move_list(cb_case_state *state, const void *list, size_t count,
                       size_t capacity, size_t size)
{
    void *moved = cb_arena_allocate(&state->arena, capacity, size);
    if (moved != NULL && count > 0) {
        memcpy(moved, list, count * size);
    }
    return moved;
}

static bool move_lists(cb_case_state *state)
{
    const size_t count = state->entry_count;
    const size_t facts = state->fact_count;
    const size_t most = facts + facts / 2 + 16;
    cb_case_entry *entries =
        move_list(state, state->entries, count, most, sizeof *entries);
    size_t *by_hash =
        move_list(state, state->by_hash, count, most, sizeof *by_hash);
    size_t *offset = move_list(state, state->knowledge_offset, count + 1,
                               most + 1, sizeof *offset);
    cb_fact_standing *standing =
        move_list(state, state->standing, facts, most, sizeof *standing);
    size_t *entry_of_fact = move_list(state, state->entry_of_fact, facts, most,
                                      sizeof *entry_of_fact);
    if (state->arena.failed) {
        return false;
    }
    state->entries = entries;
    state->by_hash = by_hash;
    state->knowledge_offset = offset;
    state->standing = standing;
    state->entry_of_fact = entry_of_fact;
    state->entry_capacity = most;
    return true;
}

/* Room for one more entry in every list of entries or facts. */
static bool make_room(cb_case_state *state)
{
    const size_t count = state->entry_count;
    const size_t used = state->knowledge_offset[count];
    const size_t words = used + count / 64 + 1;
    if (state->entry_capacity <= state->fact_count && !move_lists(state)) {
        return false;
    }
    if (state->knowledge_capacity < words) {
        const size_t most = words + words / 2;
        uint64_t *knowledge =
            move_list(state, state->knowledge, used, most, sizeof *knowledge);
        if (knowledge == NULL) {
            return false;
        }
        state->knowledge = knowledge;
        state->knowledge_capacity = most;
    }
    return true;
}

/* False where it is here already, or another of its stream has its number. */
static bool is_new(const cb_case_state *state, const cb_case_entry *entry)
{
    for (size_t i = 0; i < state->counted; i++) {
        const cb_case_entry *other = &state->entries[i];
        if (other->seq == entry->seq &&
            memcmp(&other->stream, &entry->stream, sizeof entry->stream) == 0) {
            return false;
        }
    }
    return cb_case_find_entry(state, &entry->hash) == CB_NOTHING;
}

static void put_last(cb_case_state *state, const cb_case_entry *entry)
{
    const size_t last = state->counted;
    size_t at = last;
    for (; at > 0; at--) {
        const size_t before = state->by_hash[at - 1];
        if (memcmp(&state->entries[before].hash, &entry->hash,
                   sizeof entry->hash) < 0) {
            break;
        }
        state->by_hash[at] = before;
    }
    state->by_hash[at] = last;
    state->entries[last] = *entry;
    state->standing[entry->fact] = CB_FACT_COUNTS;
    state->entry_of_fact[entry->fact] = last;
    state->knowledge_offset[last + 1] =
        state->knowledge_offset[last] + last / 64 + 1;
    state->fact_count++;
    state->entry_count++;
    state->counted++;
}

/*
 * Takes the fact as the last entry, or leaves the state as it was.  An entry
 * that waits or is in quarantine may be waiting for this one.
 */
static bool take_entry(cb_case_state *state, const cb_fact *fact)
{
    cb_case_entry entry = { 0 };
    if (state->entry_count != state->counted || !state->judged_all ||
        state->counted == 0 || state->counted >= CB_CASE_ENTRIES_MAX ||
        state->arena.size > WASTE_TIMES * state->folded_bytes + WASTE_BYTES ||
        !cb_case_read_last(state, fact, &entry)) {
        return false;
    }
    if (json_array_size(entry.ops) <= OPERATIONS_MAX && is_new(state, &entry) &&
        make_room(state) && cb_case_order_last(state, &entry)) {
        put_last(state, &entry);
        if (cb_case_knows_all(state, state->counted - 1)) {
            return true;
        }
    } else {
        json_decref(entry.body);
    }
    return false;
}

/* ------------------------------------------------------------- the records */

/* What is known of what an entry touches. */
typedef struct touched {
    cb_status status; /* CB_NO_MEMORY */
    uint64_t types;
    bool registers;
    size_t records[OPERATIONS_MAX]; /* to be written */
    size_t count;
} touched;

static void touch(const cb_case_state *state, size_t record, touched *ret_all)
{
    const cb_case_record *target = &state->records[record];
    ret_all->types |= cb_type_bit(target->type_name);
    ret_all->registers =
        ret_all->registers || target->type == NULL || target->type->is_register;
}

/* The issues that an earlier making and writing of the record noted. */
static void forget_noted(cb_case_state *state, const cb_record_id *id)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->issue_count; i++) {
        if (memcmp(&state->issues[i].record, id, sizeof *id) != 0) {
            state->issues[kept] = state->issues[i];
            kept++;
        }
    }
    state->issue_count = kept;
}

/* Operations on an id that made no record have left a finding at least. */
static bool is_noted(const cb_case_state *state, const cb_record_id *id)
{
    bool noted = false;
    for (size_t i = 0; i < state->issue_count && !noted; i++) {
        noted = memcmp(&state->issues[i].record, id, sizeof *id) == 0;
    }
    return noted;
}

/* Nobody may have written about a person before she was put on a side. */
static bool is_heard_of(const cb_case_state *state, const cb_record_id *id)
{
    for (size_t i = 0; i + 1 < state->counted; i++) {
        if (memcmp(&state->entries[i].place.person, id, sizeof *id) == 0) {
            return true;
        }
    }
    return false;
}

/* Every index of a record from `at` on is one higher. */
static void move_on(cb_case_state *state, size_t at, touched *all)
{
    for (size_t i = 0; i < state->register_count; i++) {
        cb_register *target = &state->registers[i];
        for (size_t k = 0; k < target->record_count; k++) {
            target->records[k] += target->records[k] >= at ? 1 : 0;
        }
        for (size_t k = 0; k < target->head_count; k++) {
            target->heads[k] += target->heads[k] >= at ? 1 : 0;
        }
        if (target->in_force != CB_NOTHING) {
            target->in_force += target->in_force >= at ? 1 : 0;
        }
        if (target->against != CB_NOTHING) {
            target->against += target->against >= at ? 1 : 0;
        }
    }
    for (size_t i = 0; i < all->count; i++) {
        all->records[i] += all->records[i] >= at ? 1 : 0;
    }
}

/* The record that was just made last goes to its place among the others. */
static bool put_in(cb_case_state *state, touched *all)
{
    const size_t last = state->record_count - 1;
    const cb_case_record made = state->records[last];
    size_t at = last;
    while (at > 0 &&
           memcmp(&state->records[at - 1].id, &made.id, sizeof made.id) > 0) {
        at--;
    }
    memmove(&state->records[at + 1], &state->records[at],
            (last - at) * sizeof made);
    state->records[at] = made;
    move_on(state, at, all);
    all->records[all->count] = at;
    all->count++;
    touch(state, at, all);
    return cb_case_index_record(state, at);
}

/*
 * Makes the record of an id that is not here.  False where it makes several, or
 * makes a person of somebody of whom was written already.
 */
static bool make_new(cb_case_state *state, cb_op *ops, size_t count,
                     touched *all, cb_error *error)
{
    const size_t before = state->record_count;
    if (is_noted(state, &ops->record)) {
        return false;
    }
    all->status = cb_case_make_records(state, ops, count, error);
    if (all->status != CB_OK || state->record_count > before + 1) {
        return false;
    }
    if (state->record_count == before) {
        return true; /* nothing but a finding */
    }
    const cb_type *type = state->records[before].type;
    if (type != NULL && type->about == CB_ABOUT_SELF &&
        is_heard_of(state, &ops->record)) {
        return false;
    }
    return put_in(state, all);
}

/* Makes a record again with these operations after all others. */
static bool make_again(cb_case_state *state, size_t at, const cb_op *ops,
                       size_t count, touched *all, cb_error *error)
{
    const cb_case_record old = state->records[at];
    const size_t before = state->record_count;
    const size_t total = old.op_count + count;
    bool created = false;
    for (size_t i = 0; i < count; i++) {
        created = created || ops[i].kind == CB_OP_CREATE;
    }
    cb_op *joined = cb_arena_allocate(&state->arena, total, sizeof *joined);
    if (created || old.sibling_count > 1 || joined == NULL) {
        return false;
    }
    memcpy(joined, old.ops, old.op_count * sizeof *joined);
    memcpy(joined + old.op_count, ops, count * sizeof *joined);
    touch(state, at, all);
    forget_noted(state, &old.id);
    all->status = cb_case_make_records(state, joined, total, error);
    if (all->status != CB_OK || state->record_count != before + 1) {
        return false;
    }
    state->records[at] = state->records[before];
    state->record_count = before;
    all->records[all->count] = at;
    all->count++;
    touch(state, at, all);
    return strcmp(old.type_name, state->records[at].type_name) == 0;
}

static bool make_records(cb_case_state *state, touched *all, cb_error *error)
{
    static const cb_record_id zero = { { 0 } };
    cb_op_list ops = { 0 };
    bool certain = true;
    all->status = cb_case_read_ops(state, state->counted - 1, &ops, error);
    for (size_t first = 0, end = 0;
         first < ops.count && certain && all->status == CB_OK; first = end) {
        cb_op *of = &ops.items[first];
        end = first + 1;
        while (end < ops.count && memcmp(&ops.items[end].record, &of->record,
                                         sizeof of->record) == 0) {
            end++;
        }
        /* By a zero id an issue concerns the whole case. */
        size_t at = cb_case_find_record(state, &of->record);
        certain = memcmp(&of->record, &zero, sizeof zero) != 0 &&
                  (at == CB_NOTHING
                       ? make_new(state, of, end - first, all, error)
                       : make_again(state, at, of, end - first, all, error));
    }
    if (all->status == CB_OK) {
        all->status = cb_arena_check(&state->arena, error);
    }
    return certain && all->status == CB_OK;
}

cb_status cb_fold_extend(cb_case_state *state, const cb_fact *fact,
                         bool *ret_extended, cb_error *reterr_error)
{
    touched all = { 0 };
    cb_status status = CB_OK;
    *ret_extended = false;
    if (!take_entry(state, fact)) {
        return cb_arena_check(&state->arena, reterr_error);
    }
    state->issues = state->noted;
    state->issue_count = state->noted_count;
    state->issue_capacity = state->noted_count;
    if (!make_records(state, &all, reterr_error)) {
        return all.status;
    }
    for (size_t i = 0; i < all.count && status == CB_OK; i++) {
        status = cb_case_write_record(state, all.records[i], reterr_error);
    }
    state->noted = state->issues;
    state->noted_count = state->issue_count;
    if (status == CB_OK && all.registers) {
        status = cb_case_merge_registers(state, reterr_error);
    }
    if (status == CB_OK) {
        cb_case_unjudge(state, all.types);
        status = cb_case_derive(state, reterr_error);
    }
    if (status == CB_OK) {
        *ret_extended = state->judged_all;
    }
    return status;
}
