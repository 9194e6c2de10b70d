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
#include "case/register.h"

#include "base/json.h"
#include "case/names.h"

#include <casebound/entry.h>

#include <stdlib.h>
#include <string.h>

/*
 * A search beyond this many steps leaves records standing that others may have
 * replaced: they contest each other, and the most protective is in force.
 */
#define REGISTER_STEPS_MAX 20000000

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
    if (record->role_missing && record->type->register_value != NULL &&
        cb_register_value(record) == NULL) {
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

/*
 * Texts that a key's part may have; more than one for a set.  Each counts once.
 * All codes of the list count, however many others stand beside them; of what a
 * newer version may know, that many.
 */
#define OTHER_TEXTS_MAX 16
#define KEY_TEXT_BYTES  64
#define KEYS_MAX        4096

typedef struct texts {
    const cb_code_list *codes;
    bool *seen;                              /* of the codes */
    const char *others[OTHER_TEXTS_MAX + 1]; /* sorted, each once */
    size_t other_count;
} texts;

static void add_text(texts *all, const char *text)
{
    const cb_code *code =
        all->codes != NULL ? cb_code_list_find(all->codes, text) : NULL;
    if (code != NULL) {
        all->seen[code - all->codes->codes] = true;
        return;
    }
    size_t at = all->other_count;
    while (at > 0 && strcmp(all->others[at - 1], text) > 0) {
        at--;
    }
    if (at == OTHER_TEXTS_MAX ||
        (at > 0 && strcmp(all->others[at - 1], text) == 0)) {
        return;
    }
    memmove(&all->others[at + 1], &all->others[at],
            (all->other_count - at) * sizeof *all->others);
    all->others[at] = text;
    all->other_count += all->other_count < OTHER_TEXTS_MAX ? 1 : 0;
}

static void add_value(texts *all, const json_t *value)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t k = 0; k < count; k++) {
        const char *text = json_string_value(
            json_is_array(value) ? json_array_get(value, k) : value);
        if (text != NULL) {
            add_text(all, text);
        }
    }
}

/* A text as it stands in a key: long ones by their hash. */
static const char *key_text(cb_case_state *state, const char *text)
{
    char digits[CB_HASH_TEXT_BYTES];
    cb_hash hash;
    size_t length = strlen(text);
    if (length <= KEY_TEXT_BYTES) {
        return text;
    }
    cb_hash_domain("register key", (cb_span){ (const uint8_t *)text, length },
                   &hash);
    cb_hex_format(hash.bytes, sizeof hash.bytes, digits);
    return cb_arena_format(&state->arena, "newer:%.32s", digits);
}

static const char **list_texts(cb_case_state *state, const texts *all,
                               size_t *ret_count)
{
    size_t codes = all->codes != NULL ? all->codes->count : 0;
    const char **list = cb_arena_allocate(
        &state->arena, codes + all->other_count + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < codes && list != NULL; i++) {
        if (all->seen[i]) {
            list[count] = all->codes->codes[i].code;
            count++;
        }
    }
    for (size_t i = 0; i < all->other_count && list != NULL; i++) {
        list[count] = key_text(state, all->others[i]);
        count++;
    }
    *ret_count = count;
    return list;
}

static const char **part_values(cb_case_state *state,
                                const cb_case_record *record, const char *part,
                                size_t *ret_count)
{
    texts all = { 0 };
    if (strcmp(part, "about") == 0) {
        all.others[0] = record->about_known
                            ? cb_arena_hex(&state->arena, record->about.bytes,
                                           sizeof record->about.bytes)
                            : "-";
        all.other_count = 1;
        return list_texts(state, &all, ret_count);
    }
    const cb_merged *merged = cb_record_field(record, part);
    const cb_field *field = merged != NULL ? merged->field : NULL;
    if (field != NULL && field->codes != NULL) {
        all.codes = field->codes;
        all.seen = cb_arena_allocate(&state->arena, field->codes->count + 1,
                                     sizeof *all.seen);
        if (all.seen == NULL) {
            *ret_count = 0;
            return NULL;
        }
    }
    /* What was ever refused or withdrawn stays so. */
    bool ever = cb_is_consent(record->type) &&
                is_protective(record->type->register_value,
                              cb_record_most_protective(record));
    if (merged != NULL && !ever) {
        add_value(&all, merged->value);
    }
    for (size_t i = 0; merged != NULL && ever && i < merged->write_count; i++) {
        add_value(&all, merged->writes[i].value);
    }
    return list_texts(state, &all, ret_count);
}

/* Every combination of the parts' values is one register. */
static void add_members(cb_case_state *state, members *all, size_t record)
{
    static const char *const empty[] = { "" };
    const cb_type *type = state->records[record].type;
    const char *const *keys = empty;
    size_t key_count = 1;
    for (size_t p = 0; p < type->register_key_count; p++) {
        size_t text_count = 0;
        size_t longer_count = 0;
        const char **parts = part_values(state, &state->records[record],
                                         type->register_key[p], &text_count);
        const char **longer = cb_arena_allocate(
            &state->arena, key_count * text_count + 1, sizeof *longer);
        for (size_t k = 0; k < key_count && longer != NULL; k++) {
            for (size_t t = 0; t < text_count && longer_count < KEYS_MAX; t++) {
                longer[longer_count] =
                    cb_arena_format(&state->arena, "%s%s%s", keys[k],
                                    keys[k][0] != '\0' ? " " : "", parts[t]);
                longer_count++;
            }
        }
        keys = longer;
        key_count = longer_count;
    }
    for (size_t k = 0; k < key_count; k++) {
        add_member(state, all, record, keys[k]);
    }
}

/* --------------------------------------------------------------- replaced */

cb_words cb_words_of(const cb_case_record *record)
{
    return (cb_words){ .record = record };
}

/* The creation, then the heads of the fields by which it writes. */
bool cb_words_next(cb_words *words, size_t *ret_entry)
{
    const cb_case_record *record = words->record;
    const cb_type *type = record->type;
    if (!words->begun) {
        words->begun = true;
        *ret_entry = record->created;
        return true;
    }
    for (; words->field < record->field_count; words->field++) {
        const cb_merged *merged = &record->fields[words->field];
        bool speaks = type->register_value == NULL ||
                      merged->field == type->register_value;
        for (size_t k = 0; k < type->register_key_count && !speaks; k++) {
            speaks = strcmp(type->register_key[k], merged->name) == 0;
        }
        if (speaks && words->head < merged->head_count) {
            *ret_entry = merged->heads[words->head]->entry;
            words->head++;
            return true;
        }
        words->head = 0;
    }
    return false;
}

static int compare_descending(const void *a, const void *b)
{
    size_t left = *(const size_t *)a;
    size_t right = *(const size_t *)b;
    return left > right ? -1 : left < right;
}

/* The creations that no other of them was written in knowledge of. */
typedef struct latest {
    size_t *entries;
    size_t count;
    uint64_t *known; /* by any of them: a set of entries */
} latest;

static void find_latest(const cb_case_state *state, latest *found)
{
    size_t count = 0;
    memset(found->known, 0, (state->counted / 64 + 1) * sizeof *found->known);
    if (found->count > 1) {
        qsort(found->entries, found->count, sizeof *found->entries,
              compare_descending);
    }
    for (size_t i = 0; i < found->count; i++) {
        size_t entry = found->entries[i];
        if ((i > 0 && found->entries[i - 1] == entry) ||
            (found->known[entry / 64] >> (entry % 64) & 1) != 0) {
            continue;
        }
        const uint64_t *row = state->knowledge + state->knowledge_offset[entry];
        for (size_t w = 0; w <= entry / 64; w++) {
            found->known[w] |= row[w];
        }
        /* Only entries before i are overwritten, and i - 1 at the earliest
           where all were kept, so the comparison above still sees it. */
        found->entries[count] = entry;
        count++;
    }
    found->count = count;
}

/*
 * Whether one of the latest creations knew all that a record says.  What none
 * of them knew is seen at once; only where different ones knew different parts
 * is there something to search, and that is bounded.
 */
static bool is_replaced(cb_case_state *state, const latest *found,
                        const cb_case_record *record)
{
    size_t said = 0;
    bool single = true;
    cb_words words = cb_words_of(record);
    for (size_t entry = 0; cb_words_next(&words, &entry);) {
        if ((found->known[entry / 64] >> (entry % 64) & 1) == 0) {
            return false;
        }
        single = single && (said == 0 || entry == record->created);
        said++;
    }
    for (size_t i = 0; i < found->count && !single; i++) {
        bool all = true;
        words = cb_words_of(record);
        for (size_t entry = 0; all && cb_words_next(&words, &entry);) {
            if (state->register_steps == 0) {
                return false;
            }
            state->register_steps--;
            all = cb_case_knows(state, found->entries[i], entry);
        }
        if (all) {
            return true;
        }
    }
    return single;
}

/* Nothing written on one side of a case replaces what stands on the other. */
static void find_heads(cb_case_state *state, cb_register *target, uint8_t side,
                       latest *found)
{
    found->count = 0;
    for (size_t i = 0; i < target->record_count; i++) {
        const cb_case_record *record = &state->records[target->records[i]];
        if (record->side == side) {
            found->entries[found->count] = record->created;
            found->count++;
        }
    }
    if (found->count == 0) {
        return;
    }
    find_latest(state, found);
    for (size_t i = 0; i < target->record_count; i++) {
        const cb_case_record *record = &state->records[target->records[i]];
        if (record->side == side && !is_replaced(state, found, record)) {
            target->heads[target->head_count] = target->records[i];
            target->head_count++;
        }
    }
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
                           const member *items, size_t count, latest *found)
{
    *target = (cb_register){ .type = items->type,
                             .key = items->key,
                             .in_force = CB_NOTHING,
                             .against = CB_NOTHING };
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
    for (size_t i = 0; i < target->record_count && cb_is_consent(target->type);
         i++) {
        const cb_case_record *record = &state->records[target->records[i]];
        if (is_protective(target->type->register_value,
                          cb_register_value(record)) &&
            (target->against == CB_NOTHING ||
             compare_creation(state, target->records[i], target->against) <
                 0)) {
            target->against = target->records[i];
        }
    }
    if (target->record_count == 1) {
        target->heads[0] = target->records[0];
        target->head_count = 1;
    } else {
        find_heads(state, target, 0, found);
        find_heads(state, target, (uint8_t)CB_CLASS_V, found);
        find_heads(state, target, (uint8_t)CB_CLASS_O, found);
    }
    cb_register_decide(state, target);
    if (target->head_count > 0) {
        choose(state, target);
    }
}

cb_status cb_case_merge_registers(cb_case_state *state, cb_error *reterr_error)
{
    members all = { 0 };
    state->register_count = 0;
    for (size_t r = 0; r < state->record_count; r++) {
        if (takes_part(&state->records[r])) {
            add_members(state, &all, r);
        }
    }
    state->registers = cb_arena_allocate(&state->arena, all.count + 1,
                                         sizeof *state->registers);
    latest found = {
        .entries = cb_arena_allocate(&state->arena, all.count + 1,
                                     sizeof *found.entries),
        .known = cb_arena_allocate(&state->arena, state->counted / 64 + 1,
                                   sizeof *found.known),
    };
    state->register_steps = REGISTER_STEPS_MAX;
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
                       &all.items[first], end - first, &found);
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
    if (state->looked_at != NULL) {
        cb_case_look_at(state, cb_type_bit(type));
    }
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
