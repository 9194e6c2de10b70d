/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that write one register (consent of a person to a scope, the case's
 * risk, its allocation) -> those in force.
 *
 * A record replaces another where its creation knew all that the other says:
 * its creation and what its register fields hold now.  A decision that names
 * all of that replaces it too.  Corrections alone never replace another record.
 *
 * Consent is stricter: a withdrawal or refusal that was ever recorded is
 * replaced only by a later consent that knew of it, not by a correction, a
 * strike or a decision.
 */
#include "case/names.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

/* One record's word on one register. */
typedef struct member {
    const cb_type *type;
    const char *key;
    size_t record;
} member;

typedef struct members {
    member *items;
    size_t count;
    size_t capacity;
} members;

static int compare_members(const void *a, const void *b)
{
    const member *left = a;
    const member *right = b;
    int order = strcmp(left->type->name, right->type->name);
    if (order == 0) {
        order = strcmp(left->key, right->key);
    }
    if (order == 0 && left->record != right->record) {
        order = left->record < right->record ? -1 : 1;
    }
    return order;
}

bool cb_is_consent(const cb_type *type)
{
    return type != NULL && type->gate != NULL &&
           strcmp(type->gate, CB_GATE_CONSENT) == 0;
}

/* The most protective value that the register field of a record ever had. */
const json_t *cb_record_most_protective(const cb_case_record *record)
{
    const cb_merged *merged =
        cb_record_field(record, record->type->register_value->name);
    const json_t *worst = NULL;
    for (size_t i = 0; merged != NULL && i < merged->write_count; i++) {
        const json_t *value = merged->writes[i].value;
        if (worst == NULL ||
            cb_field_compare(merged->field, worst, value) < 0) {
            worst = value;
        }
    }
    return worst;
}

/* Not the least protective value of its order, nor nothing. */
static bool is_protective(const cb_field *field, const json_t *value)
{
    return field != NULL && field->order_count > 0 && value != NULL &&
           !cb_value_has(value, field->order[0]);
}

/*
 * The value that a record writes into its register: NULL where the register
 * has no value field, or the record says nothing certain.
 */
const json_t *cb_register_value(const cb_case_record *record)
{
    const cb_field *field = record->type->register_value;
    if (field == NULL) {
        return NULL;
    }
    if (cb_is_consent(record->type)) {
        return cb_record_most_protective(record);
    }
    return cb_record_value(record, field->name);
}

/* A struck record keeps its word where that word protects somebody. */
static bool takes_part(const cb_case_record *record)
{
    if (record->type == NULL || record->created == CB_NOTHING ||
        !record->type->is_register) {
        return false;
    }
    return !record->struck || is_protective(record->type->register_value,
                                            cb_register_value(record));
}

/* ------------------------------------------------------------------- keys */

static void add_member(cb_case_state *state, members *all, size_t record,
                       const char *key)
{
    all->items = cb_arena_grow(&state->arena, all->items, all->count,
                               &all->capacity, sizeof *all->items);
    if (all->items == NULL) {
        all->count = 0;
        all->capacity = 0;
        return;
    }
    all->items[all->count] = (member){ .type = state->records[record].type,
                                       .key = key,
                                       .record = record };
    all->count++;
}

/* Texts that a key's part may have; more than one for a set. */
static size_t part_values(cb_case_state *state, const cb_case_record *record,
                          const char *part, const char **texts, size_t most)
{
    if (strcmp(part, "about") == 0) {
        char id[CB_IDENTIFIER_TEXT_BYTES];
        cb_hex_format(record->about.bytes, sizeof record->about.bytes, id);
        texts[0] = cb_arena_format(&state->arena, "%s",
                                   record->about_known ? id : "-");
        return 1;
    }
    const cb_merged *merged = cb_record_field(record, part);
    size_t count = 0;
    /* What was ever refused or withdrawn stays so. */
    bool all = cb_is_consent(record->type) &&
               is_protective(record->type->register_value,
                             cb_record_most_protective(record));
    size_t sources = merged == NULL ? 0 : all ? merged->write_count : 1;
    for (size_t i = 0; i < sources; i++) {
        const json_t *value = all ? merged->writes[i].value : merged->value;
        size_t members_count =
            json_is_array(value) ? json_array_size(value) : 1;
        for (size_t k = 0; k < members_count && count < most; k++) {
            const json_t *one =
                json_is_array(value) ? json_array_get(value, k) : value;
            if (json_string_value(one) != NULL) {
                texts[count] = json_string_value(one);
                count++;
            }
        }
    }
    return count;
}

#define PART_VALUES_MAX 64

/* Every combination of the parts' values is one register. */
static void add_members(cb_case_state *state, members *all, size_t record)
{
    const cb_type *type = state->records[record].type;
    const char *keys[PART_VALUES_MAX] = { "" };
    size_t key_count = 1;
    for (size_t p = 0; p < type->register_key_count; p++) {
        const char *texts[PART_VALUES_MAX];
        const char *longer[PART_VALUES_MAX];
        size_t text_count =
            part_values(state, &state->records[record], type->register_key[p],
                        texts, PART_VALUES_MAX);
        size_t longer_count = 0;
        for (size_t k = 0; k < key_count; k++) {
            for (size_t t = 0; t < text_count; t++) {
                if (longer_count < PART_VALUES_MAX) {
                    longer[longer_count] = cb_arena_format(
                        &state->arena, "%s%s%s", keys[k],
                        keys[k][0] != '\0' ? " " : "", texts[t]);
                    longer_count++;
                }
            }
        }
        memcpy(keys, longer, longer_count * sizeof *keys);
        key_count = longer_count;
    }
    for (size_t k = 0; k < key_count; k++) {
        add_member(state, all, record, keys[k]);
    }
}

/* --------------------------------------------------------------- replaced */

typedef bool (*covers)(const cb_case_state *state, const void *by,
                       size_t entry);

static bool covered_by_creation(const cb_case_state *state, const void *by,
                                size_t entry)
{
    return cb_case_knows(state, *(const size_t *)by, entry);
}

static bool covered_by_decision(const cb_case_state *state, const void *by,
                                size_t entry)
{
    (void)state;
    const cb_decision *decision = by;
    size_t low = 0;
    size_t high = decision->known_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (decision->known[middle] < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < decision->known_count && decision->known[low] == entry;
}

/* Whether everything that `record` says in its register is covered. */
static bool is_covered(const cb_case_state *state, const cb_case_record *record,
                       covers covered, const void *by)
{
    if (!covered(state, by, record->created)) {
        return false;
    }
    const cb_type *type = record->type;
    for (size_t f = 0; f < record->field_count; f++) {
        const cb_merged *merged = &record->fields[f];
        bool speaks = type->register_value == NULL ||
                      merged->field == type->register_value;
        for (size_t k = 0; k < type->register_key_count; k++) {
            speaks = speaks || strcmp(type->register_key[k], merged->name) == 0;
        }
        for (size_t h = 0; h < merged->head_count && speaks; h++) {
            if (!covered(state, by, merged->heads[h]->entry)) {
                return false;
            }
        }
    }
    return true;
}

static bool replaces(const cb_case_state *state, size_t later, size_t earlier)
{
    const cb_case_record *by = &state->records[later];
    const cb_case_record *record = &state->records[earlier];
    if (is_covered(state, record, covered_by_creation, &by->created)) {
        return true;
    }
    if (cb_is_consent(record->type)) {
        return false;
    }
    for (size_t i = 0; i < by->decision_count; i++) {
        if (is_covered(state, record, covered_by_decision,
                       &state->decisions[by->first_decision + i])) {
            return true;
        }
    }
    return false;
}

/* --------------------------------------------------------------- in force */

static bool same_values(const cb_case_record *a, const cb_case_record *b)
{
    if (a->type->register_value != NULL) {
        const json_t *left = cb_register_value(a);
        const json_t *right = cb_register_value(b);
        return left != NULL && right != NULL && json_equal(left, right);
    }
    if (a->field_count != b->field_count) {
        return false;
    }
    for (size_t i = 0; i < a->field_count; i++) {
        const cb_merged *left = &a->fields[i];
        const cb_merged *right = &b->fields[i];
        if (strcmp(left->name, right->name) != 0 || left->value == NULL ||
            right->value == NULL || !json_equal(left->value, right->value)) {
            return false;
        }
    }
    return true;
}

static int compare_creation(const cb_case_state *state, size_t a, size_t b)
{
    return memcmp(&state->entries[state->records[a].created].hash,
                  &state->entries[state->records[b].created].hash,
                  sizeof(cb_hash));
}

/* Which of two heads is in force: the more protective, then the lower hash. */
static bool outranks(const cb_case_state *state, size_t a, size_t b)
{
    const cb_field *field = state->records[a].type->register_value;
    int order = 0;
    if (field != NULL && field->order_count > 0) {
        order = cb_field_compare(field, cb_register_value(&state->records[a]),
                                 cb_register_value(&state->records[b]));
    }
    return order > 0 || (order == 0 && compare_creation(state, a, b) < 0);
}

static void choose(const cb_case_state *state, cb_register *target)
{
    cb_merge merge = target->type->register_merge;
    bool differ = false;
    target->in_force = target->heads[0];
    for (size_t i = 1; i < target->head_count; i++) {
        differ = differ || !same_values(&state->records[target->heads[0]],
                                        &state->records[target->heads[i]]);
        if (outranks(state, target->heads[i], target->in_force)) {
            target->in_force = target->heads[i];
        }
    }
    target->contested = differ && merge != CB_MERGE_FORWARD &&
                        merge != CB_MERGE_UNION && merge != CB_MERGE_ONCE;
    if (target->contested && merge != CB_MERGE_PROTECTIVE) {
        target->in_force = CB_NOTHING;
    }
}

static void merge_register(cb_case_state *state, cb_register *target,
                           const member *items, size_t count)
{
    *target = (cb_register){ .type = items->type,
                             .key = items->key,
                             .in_force = CB_NOTHING };
    target->records =
        cb_arena_allocate(&state->arena, count, sizeof *target->records);
    target->heads =
        cb_arena_allocate(&state->arena, count, sizeof *target->heads);
    if (target->records == NULL || target->heads == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || items[i].record != items[i - 1].record) {
            target->records[target->record_count] = items[i].record;
            target->record_count++;
        }
    }
    for (size_t i = 0; i < target->record_count; i++) {
        bool replaced = false;
        for (size_t k = 0; k < target->record_count && !replaced; k++) {
            replaced = k != i &&
                       replaces(state, target->records[k], target->records[i]);
        }
        if (!replaced) {
            target->heads[target->head_count] = target->records[i];
            target->head_count++;
        }
    }
    if (target->head_count > 0) {
        choose(state, target);
    }
}

cb_status cb_case_merge_registers(cb_case_state *state, cb_error *reterr_error)
{
    members all = { 0 };
    for (size_t r = 0; r < state->record_count; r++) {
        if (takes_part(&state->records[r])) {
            add_members(state, &all, r);
        }
    }
    state->registers = cb_arena_allocate(&state->arena, all.count + 1,
                                         sizeof *state->registers);
    cb_status status = cb_arena_check(&state->arena, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (all.count > 1) {
        qsort(all.items, all.count, sizeof *all.items, compare_members);
    }
    for (size_t first = 0; first < all.count;) {
        size_t end = first + 1;
        while (end < all.count &&
               all.items[end].type == all.items[first].type &&
               strcmp(all.items[end].key, all.items[first].key) == 0) {
            end++;
        }
        merge_register(state, &state->registers[state->register_count],
                       &all.items[first], end - first);
        state->register_count++;
        first = end;
    }
    return cb_arena_check(&state->arena, reterr_error);
}

const cb_register *cb_case_register(const cb_case_state *state,
                                    const char *type, const char *key)
{
    size_t low = 0;
    size_t high = state->register_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const cb_register *found = &state->registers[middle];
        int order = strcmp(type, found->type->name);
        if (order == 0) {
            order = strcmp(key, found->key);
        }
        if (order == 0) {
            return found;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
