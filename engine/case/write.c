/* SPDX-License-Identifier: Apache-2.0 */
/* Operations into writes to fields, and strikes. */
#include "base/json.h"
#include "case/state.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 64

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

/*
 * A person's records lie on a side on which the person was put, and what is
 * written about such a record lies where the record does.
 */
static bool side_fits(const cb_case_state *state, const cb_case_record *record,
                      const cb_field *field, const cb_place *place)
{
    if (place->class != (uint8_t)CB_CLASS_V &&
        place->class != (uint8_t)CB_CLASS_O) {
        return true;
    }
    unsigned sides = cb_case_sides(state, &place->person);
    unsigned side = place->class == (uint8_t)CB_CLASS_V ? CB_SIDE_V : CB_SIDE_O;
    cb_class class = field != NULL ? field->class : record->type->class;
    return (sides == 0 || (sides & side) != 0) &&
           (class != CB_CLASS_SIDE || record->side == 0 ||
            record->side == place->class);
}

static bool write_fits(const cb_case_state *state, const cb_case_record *record,
                       const cb_field *field, const cb_place *place)
{
    return cb_place_fits(place, record->type, field, &record->id,
                         record->about_known ? &record->about : NULL) &&
           side_fits(state, record, field, place);
}

/* What takes effect only if somebody in a role says it. */
static const struct {
    const char *type;
    const char *field;
    const char *value;
    const char *role;
} role_values[] = {
    { "side_release", "state", "released", "supervisor" },
    { "sign_off", "decision", "approved", "supervisor" },
    { "sign_off", "decision", "approved_with_conditions", "supervisor" },
};

static bool author_may(const cb_case_state *state, const cb_type *type,
                       const cb_field *field, const json_t *value, size_t entry)
{
    for (size_t i = 0; i < sizeof role_values / sizeof *role_values; i++) {
        if (strcmp(role_values[i].type, type->name) == 0 &&
            strcmp(role_values[i].field, field->name) == 0 &&
            cb_value_has(value, role_values[i].value)) {
            return cb_entry_has_role(&state->entries[entry],
                                     role_values[i].role);
        }
    }
    return true;
}

static void report_role(cb_case_state *state, const cb_op *op, const char *name)
{
    cb_case_add_finding(state, "role.missing", op->entry, &op->record, name,
                        "This may only be said by somebody in a role that its "
                        "author did not have. It was kept but has no effect.");
}

/* Names that a newer version chose may be long; ours are not. */
static const char *short_name(const char *name)
{
    return strlen(name) <= NAME_BYTES_MAX ? name : "";
}

/* Whether a field may be written so; says why not. */
static bool check_write(cb_case_state *state, size_t record, const cb_op *op,
                        const cb_field *field, const json_t *value)
{
    cb_case_record *target = &state->records[record];
    if (!write_fits(state, target, field, &state->entries[op->entry].place)) {
        cb_case_add_finding(state, "field.wrong_place", op->entry, &target->id,
                            field->name,
                            "A field was written where it may not be. It was "
                            "kept but does not count.");
        return false;
    }
    if (!author_may(state, target->type, field, value, op->entry)) {
        target->role_missing = true;
        report_role(state, op, field->name);
        return false;
    }
    if (!json_is_null(value) && cb_field_check(field, value, NULL) != CB_OK) {
        cb_case_add_finding(state, "newer.value", op->entry, &target->id,
                            field->name,
                            "A field holds a value that this version does not "
                            "know. It counts as the most protective.");
    }
    return true;
}

static void add_write(cb_case_state *state, size_t record, const cb_op *op,
                      const char *name, const json_t *value)
{
    const cb_case_record *target = &state->records[record];
    const cb_field *field =
        target->type != NULL ? cb_type_field(target->type, name) : NULL;
    if (target->type != NULL && field == NULL) {
        cb_case_add_finding(state, "newer.field", op->entry, &target->id,
                            short_name(name),
                            "A record has a field that only a newer version "
                            "knows. It is kept whole.");
    }
    if (field != NULL && !check_write(state, record, op, field, value)) {
        return;
    }
    state->writes =
        cb_arena_grow(&state->arena, state->writes, state->write_count,
                      &state->write_capacity, sizeof *state->writes);
    if (state->writes == NULL) {
        state->write_count = 0;
        state->write_capacity = 0;
        return;
    }
    state->writes[state->write_count] = (cb_write){
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
    size_t kept = 0;
    for (size_t i = 0; i < decision->known_count; i++) {
        if (kept == 0 || decision->known[kept - 1] != decision->known[i]) {
            decision->known[kept] = decision->known[i];
            kept++;
        }
    }
    decision->complete = decision->known_count == decision->named_count;
    decision->known_count = kept;
}

static bool is_decision(const cb_op *op, cb_decision *ret_decision)
{
    const json_t *heads = cb_json_array(op->json, "heads");
    return cb_case_hex_of(op->json, "conflict", ret_decision->issue,
                          sizeof ret_decision->issue) &&
           heads != NULL && ret_decision->value != NULL &&
           cb_json_text(op->json, "field") != NULL &&
           json_array_size(heads) <= CB_DEPENDENCIES_MAX;
}

static void keep_decision(cb_case_state *state, cb_case_record *target,
                          const cb_decision *decision)
{
    state->decisions =
        cb_arena_grow(&state->arena, state->decisions, state->decision_count,
                      &state->decision_capacity, sizeof *state->decisions);
    if (state->decisions == NULL) {
        state->decision_count = 0;
        state->decision_capacity = 0;
        return;
    }
    if (target->decision_count == 0) {
        target->first_decision = state->decision_count;
    }
    target->decision_count++;
    state->decisions[state->decision_count] = *decision;
    state->decision_count++;
}

/* The role that decides which record of a register stands, or "". */
static const char *role_of(const cb_case_record *target, const char *name)
{
    const cb_type *type = target->type;
    if (type == NULL || !type->is_register) {
        return "";
    }
    const cb_field *field = type->register_value;
    return strcmp(name, field != NULL ? field->name : "") == 0
               ? cb_register_waits_for(type->name)
               : "";
}

static void add_resolve(cb_case_state *state, size_t record, const cb_op *op)
{
    cb_case_record *target = &state->records[record];
    cb_decision decision = { .entry = op->entry,
                             .value = json_object_get(op->json, "value") };
    if (!is_decision(op, &decision)) {
        cb_case_add_finding(state, "entry.malformed", op->entry, &op->record,
                            "",
                            "A decision does not say what it decides. It was "
                            "kept but changes nothing.");
        return;
    }
    const char *name = cb_json_text(op->json, "field");
    if (!cb_entry_has_role(&state->entries[op->entry], role_of(target, name))) {
        report_role(state, op, short_name(name));
        return;
    }
    read_heads(state, cb_json_array(op->json, "heads"), &decision);
    if (decision.known_count == 0) {
        cb_case_add_finding(state, "decision.empty", op->entry, &op->record,
                            short_name(name),
                            "A decision names nothing that its author knew. It "
                            "was kept but decides nothing.");
        return;
    }
    keep_decision(state, target, &decision);
    if (target->type != NULL && cb_type_field(target->type, name) != NULL) {
        add_write(state, record, op, name, decision.value);
    }
}

static void add_strike(cb_case_state *state, size_t record, const cb_op *op)
{
    cb_case_record *target = &state->records[record];
    const cb_place *place = &state->entries[op->entry].place;
    if (target->type != NULL && !write_fits(state, target, NULL, place)) {
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

/* Whether an operation's place and words are such that it can mean a record. */
static bool can_mean(const cb_case_state *state, const cb_case_record *record,
                     const cb_op *op)
{
    const cb_place *place = &state->entries[op->entry].place;
    const cb_type *type = record->type;
    const char *name = cb_json_text(op->json, "type");
    if (type == NULL || (name != NULL && strcmp(name, type->name) != 0)) {
        return type == NULL;
    }
    bool fits = write_fits(state, record, NULL, place);
    for (size_t i = 0; i < type->field_count && !fits; i++) {
        fits = write_fits(state, record, &type->fields[i], place);
    }
    return fits;
}

bool cb_record_takes(const cb_case_state *state, const cb_case_record *record,
                     const cb_op *op)
{
    if (op->kind == CB_OP_CREATE && op->stands) {
        return cb_record_is_made_by(record, state, op);
    }
    if (op->kind == CB_OP_CREATE || record->sibling_count <= 1) {
        return record->sibling == 0;
    }
    if (record->sibling > 0 || can_mean(state, record, op)) {
        return can_mean(state, record, op);
    }
    for (size_t i = 1; i < record->sibling_count; i++) {
        if (can_mean(state, record + i, op)) {
            return false;
        }
    }
    return true;
}

static void write_fields(cb_case_state *state, size_t record, const cb_op *op)
{
    const char *name;
    json_t *value;
    json_t *fields = json_object_get(op->json, "fields");
    const cb_type *type = state->records[record].type;
    size_t unknown = 0;
    json_object_foreach (fields, name, value) {
        bool known = type != NULL && cb_type_field(type, name) != NULL;
        unknown += known ? 0 : 1;
        if (unknown <= CB_FIELDS_MAX || known) {
            add_write(state, record, op, name, value);
        }
    }
    if (unknown > CB_FIELDS_MAX) {
        cb_case_add_finding(state, "record.too_many_fields", op->entry,
                            &op->record, "",
                            "A record has more fields than one may have. Those "
                            "that this version knows count.");
    }
}

static void check_override(cb_case_state *state, const cb_op *op)
{
    const char *name = cb_json_text(op->json, "rule");
    for (size_t i = 0; i < cb_rule_count() && name != NULL; i++) {
        const cb_rule_row *row = cb_rule_get(i);
        if (strcmp(row->rule, name) == 0 && row->override_role != NULL &&
            cb_entry_has_role(&state->entries[op->entry], row->override_role)) {
            return;
        }
    }
    report_role(state, op, "");
}

static void apply(cb_case_state *state, size_t record, const cb_op *op)
{
    switch (op->kind) {
    case CB_OP_CREATE:
        if (op->stands) {
            write_fields(state, record, op);
        }
        break;
    case CB_OP_PART:
    case CB_OP_SET: write_fields(state, record, op); break;
    case CB_OP_STRIKE: add_strike(state, record, op); break;
    case CB_OP_RESOLVE: add_resolve(state, record, op); break;
    case CB_OP_OVERRIDE: check_override(state, op); break;
    }
}

cb_status cb_case_write_record(cb_case_state *state, size_t record,
                               cb_error *reterr_error)
{
    cb_case_record *target = &state->records[record];
    state->write_count = 0;
    for (size_t i = 0; i < target->op_count; i++) {
        const cb_op *op = &target->ops[i];
        if (cb_record_takes(state, target, op)) {
            apply(state, record, op);
        }
    }
    cb_status status = cb_arena_check(&state->arena, reterr_error);
    return status == CB_OK ? cb_case_merge_fields(state, record, reterr_error)
                           : status;
}

cb_status cb_case_write(cb_case_state *state, cb_error *reterr_error)
{
    cb_status status = CB_OK;
    for (size_t r = 0; r < state->record_count && status == CB_OK; r++) {
        status = cb_case_write_record(state, r, reterr_error);
    }
    return status;
}
