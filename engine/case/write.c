/* SPDX-License-Identifier: Apache-2.0 */
/* Operations into writes to fields, and strikes. */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

static bool same_record(const cb_record_id *a, const cb_record_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool cb_place_fits(const cb_place *place, const cb_type *type,
                   const cb_field *field, const cb_record_id *record,
                   const cb_record_id *about)
{
    cb_class class = field != NULL ? field->class : type->class;
    const cb_record_id *person = type->about == CB_ABOUT_SELF ? record : about;
    if (class == CB_CLASS_SIDE && person == NULL) {
        return type->class_without_about != CB_CLASS_NONE &&
               place->class == (uint8_t)type->class_without_about;
    }
    bool sided = place->class == (uint8_t)CB_CLASS_V ||
                 place->class == (uint8_t)CB_CLASS_O;
    if (sided && (person == NULL || !same_record(person, &place->person))) {
        return false;
    }
    return class == CB_CLASS_SIDE ? sided : place->class == (uint8_t) class;
}

size_t cb_head_entry(const cb_case_state *state, const json_t *heads, size_t i)
{
    cb_hash hash;
    const char *text = json_string_value(json_array_get(heads, i));
    if (text == NULL || !cb_case_hex(text, hash.bytes, sizeof hash)) {
        return CB_NOTHING;
    }
    return cb_case_find_entry(state, &hash);
}

/* A person's records lie on the side on which the person was put. */
static bool side_fits(const cb_case_state *state, const cb_place *place)
{
    if (place->class != (uint8_t)CB_CLASS_V &&
        place->class != (uint8_t)CB_CLASS_O) {
        return true;
    }
    size_t person = cb_case_find_record(state, &place->person);
    if (person == CB_NOTHING || state->records[person].created == CB_NOTHING) {
        return true;
    }
    size_t created = state->records[person].created;
    return state->entries[created].place.class == place->class;
}

static void add_write(cb_case_state *state, size_t record, const cb_op *op,
                      const char *name, const json_t *value)
{
    const cb_case_record *target = &state->records[record];
    const cb_place *place = &state->entries[op->entry].place;
    const cb_field *field =
        target->type != NULL ? cb_type_field(target->type, name) : NULL;
    if (target->type != NULL && field == NULL) {
        cb_case_add_finding(state, "newer.field", op->entry, &target->id, name,
                            "A record has a field that only a newer version "
                            "knows. It is kept whole.");
    }
    if (field != NULL &&
        (!cb_place_fits(place, target->type, field, &target->id,
                        target->about_known ? &target->about : NULL) ||
         !side_fits(state, place))) {
        cb_case_add_finding(state, "field.wrong_place", op->entry, &target->id,
                            name,
                            "A field was written where it may not be. It was "
                            "kept but does not count.");
        return;
    }
    if (field != NULL && !json_is_null(value) &&
        cb_field_check(field, value, NULL) != CB_OK) {
        cb_case_add_finding(state, "newer.value", op->entry, &target->id, name,
                            "A field holds a value that this version does not "
                            "know. It counts as the most protective.");
    }
    state->writes[state->write_count] = (cb_write){
        .record = record,
        .name = name,
        .field = field,
        .entry = op->entry,
        .order = state->write_count,
        .kind = op->kind,
        .value = value,
        .resolves =
            op->kind == CB_OP_RESOLVE ? cb_json_array(op->json, "heads") : NULL,
    };
    state->write_count++;
}

static int compare_indices(const void *a, const void *b)
{
    size_t left = *(const size_t *)a;
    size_t right = *(const size_t *)b;
    return left < right ? -1 : left > right;
}

static void read_heads(cb_case_state *state, const json_t *heads,
                       cb_decision *decision)
{
    decision->named_count = json_array_size(heads);
    decision->known = cb_arena_allocate(&state->arena, decision->named_count,
                                        sizeof *decision->known);
    for (size_t i = 0; i < decision->named_count && decision->known != NULL;
         i++) {
        size_t entry = cb_head_entry(state, heads, i);
        if (entry != CB_NOTHING &&
            cb_case_knows(state, decision->entry, entry)) {
            decision->known[decision->known_count] = entry;
            decision->known_count++;
        }
    }
    if (decision->known_count > 1) {
        qsort(decision->known, decision->known_count, sizeof *decision->known,
              compare_indices);
    }
}

static void add_resolve(cb_case_state *state, size_t record, const cb_op *op)
{
    cb_decision decision = { .entry = op->entry,
                             .value = json_object_get(op->json, "value") };
    const json_t *heads = cb_json_array(op->json, "heads");
    const char *name = cb_json_text(op->json, "field");
    if (!cb_case_hex_of(op->json, "conflict", decision.issue,
                        sizeof decision.issue) ||
        heads == NULL || decision.value == NULL || name == NULL ||
        json_array_size(heads) > CB_DEPENDENCIES_MAX) {
        cb_case_add_finding(state, "entry.malformed", op->entry, &op->record,
                            "",
                            "A decision does not say what it decides. It was "
                            "kept but changes nothing.");
        return;
    }
    cb_case_record *target = &state->records[record];
    read_heads(state, heads, &decision);
    if (target->decision_count == 0) {
        target->first_decision = state->decision_count;
    }
    target->decision_count++;
    state->decisions[state->decision_count] = decision;
    state->decision_count++;
    if (target->type != NULL && cb_type_field(target->type, name) != NULL) {
        add_write(state, record, op, name, decision.value);
    }
}

static void add_strike(cb_case_state *state, size_t record, const cb_op *op)
{
    cb_case_record *target = &state->records[record];
    const cb_place *place = &state->entries[op->entry].place;
    if (target->type != NULL &&
        !cb_place_fits(place, target->type, NULL, &target->id,
                       target->about_known ? &target->about : NULL)) {
        cb_case_add_finding(state, "record.wrong_place", op->entry, &target->id,
                            "",
                            "A record was struck out from where that may not "
                            "be done. It stands.");
        return;
    }
    if (!target->struck ||
        memcmp(&state->entries[op->entry].hash,
               &state->entries[target->struck_by].hash, sizeof(cb_hash)) < 0) {
        target->struck_by = op->entry;
    }
    target->struck = true;
}

/* A second creation of a record writes nothing. */
static bool is_void(const cb_case_record *record, const cb_op *op)
{
    return op->kind == CB_OP_CREATE && op->entry != record->created;
}

static void apply(cb_case_state *state, size_t record, const cb_op *op)
{
    const char *name;
    json_t *value;
    json_t *fields = json_object_get(op->json, "fields");
    if (is_void(&state->records[record], op)) {
        return;
    }
    switch (op->kind) {
    case CB_OP_CREATE:
    case CB_OP_PART:
    case CB_OP_SET:
        json_object_foreach (fields, name, value) {
            add_write(state, record, op, name, value);
        }
        break;
    case CB_OP_STRIKE: add_strike(state, record, op); break;
    case CB_OP_RESOLVE: add_resolve(state, record, op); break;
    case CB_OP_OVERRIDE: break;
    }
}

cb_status cb_case_write(cb_case_state *state, cb_error *reterr_error)
{
    size_t total = 0;
    for (size_t i = 0; i < state->op_count; i++) {
        total +=
            json_object_size(cb_json_object(state->ops[i].json, "fields")) + 1;
    }
    state->writes =
        cb_arena_allocate(&state->arena, total + 1, sizeof *state->writes);
    state->decisions = cb_arena_allocate(&state->arena, state->op_count + 1,
                                         sizeof *state->decisions);
    cb_status status = cb_arena_check(&state->arena, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    for (size_t r = 0; r < state->record_count; r++) {
        const cb_case_record *record = &state->records[r];
        for (size_t i = 0; i < record->op_count; i++) {
            apply(state, r, &state->ops[record->first_op + i]);
        }
    }
    return cb_arena_check(&state->arena, reterr_error);
}
