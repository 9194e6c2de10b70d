/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "store/change.h"

#include <string.h>

#define SCHEMA_VERSION 1

cb_status cb_action_begin(cb_store *store, const cb_change *change,
                          cb_action *action, cb_error *error)
{
    memset(action, 0, sizeof *action);
    cb_status status = cb_store_require_joined(store, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_identity_require_current(store, error);
    if (status != CB_OK) {
        return status;
    }
    if (change->why != NULL && strlen(change->why) > CB_TEXT_BYTES_MAX) {
        status =
            cb_error_set(error, CB_LIMIT, "the reason is longer than %d bytes",
                         CB_TEXT_BYTES_MAX);
        cb_error_meaning(error, "nothing was recorded");
        return status;
    }
    action->change = change;
    store->naming_case = change->case_id;
    store->environment->random(store->environment->context, action->id.bytes,
                               sizeof action->id.bytes);
    return CB_OK;
}

void cb_action_clear(cb_action *action)
{
    for (size_t i = 0; i < action->part_count; i++) {
        json_decref(action->parts[i].operations);
    }
    json_decref(action->deps);
    cb_verdict_list_destroy(action->verdicts);
    memset(action, 0, sizeof *action);
}

cb_status cb_action_compartment(const cb_action *action, const cb_field *field,
                                cb_compartment *ret_compartment,
                                cb_error *error)
{
    cb_class class = cb_type_class(action->type, field, action->side);
    if (class == CB_CLASS_NONE) {
        cb_status status = cb_error_set(
            error, CB_INPUT, "a record of type '%s' is about a person",
            action->type->name);
        cb_error_meaning(error, "nothing was recorded");
        cb_error_next(error, "name the person with --about");
        return status;
    }
    *ret_compartment = (cb_compartment){
        .case_id = action->change->case_id,
        .class = { (char)class, '\0' },
    };
    if (class == CB_CLASS_V || class == CB_CLASS_O) {
        ret_compartment->person = action->type->about == CB_ABOUT_SELF
                                      ? action->record
                                      : action->about;
    }
    return CB_OK;
}

static cb_part *part_for(cb_action *action, const cb_compartment *compartment)
{
    for (size_t i = 0; i < action->part_count; i++) {
        const cb_compartment *there = &action->parts[i].compartment;
        if (there->class[0] == compartment->class[0] &&
            memcmp(&there->person, &compartment->person,
                   sizeof there->person) == 0) {
            return &action->parts[i];
        }
    }
    if (action->part_count == CB_PARTS_MAX) {
        return NULL;
    }
    cb_part *part = &action->parts[action->part_count++];
    *part =
        (cb_part){ .compartment = *compartment, .operations = json_array() };
    return part;
}

static json_t *operation_of(cb_action *action, cb_part *part, const char *name)
{
    json_t *operation = json_array_get(part->operations, 0);
    if (operation != NULL) {
        return operation;
    }
    operation = json_pack(
        "{s:s, s:o, s:{}}", "op", name, "record",
        cb_json_hex(action->record.bytes, sizeof action->record.bytes),
        "fields");
    if (strcmp(name, "set") != 0) {
        (void)json_object_set_new(operation, "type",
                                  json_string(action->type->name));
        if (action->has_about) {
            (void)json_object_set_new(
                operation, "about",
                cb_json_hex(action->about.bytes, sizeof action->about.bytes));
        }
    }
    (void)json_array_append_new(part->operations, operation);
    return operation;
}

cb_status cb_action_sort(cb_action *action, const char *first,
                         const char *other, const json_t *fields,
                         cb_error *error)
{
    cb_compartment main;
    cb_status status = cb_action_compartment(action, NULL, &main, error);
    if (status != CB_OK) {
        return status;
    }
    cb_part *part = part_for(action, &main);
    if (first != NULL) {
        (void)operation_of(action, part, first);
    }
    for (size_t i = 0; i < action->type->field_count; i++) {
        const cb_field *field = &action->type->fields[i];
        json_t *value = json_object_get(fields, field->name);
        if (value == NULL) {
            continue;
        }
        cb_compartment compartment;
        status = cb_action_compartment(action, field, &compartment, error);
        if (status != CB_OK) {
            return status;
        }
        part = part_for(action, &compartment);
        if (part == NULL) {
            return cb_error_set(error, CB_LIMIT,
                                "the record falls into too many compartments");
        }
        json_t *operation = operation_of(
            action, part,
            part == &action->parts[0] && first != NULL ? first : other);
        (void)json_object_set(json_object_get(operation, "fields"), field->name,
                              value);
    }
    return CB_OK;
}

static cb_status make_body(cb_store *store, const cb_action *action,
                           const cb_part *part, bool with_verdicts,
                           json_t **ret_body, cb_error *error)
{
    const cb_change *change = action->change;
    json_t *verdicts = NULL;
    if (with_verdicts && action->verdicts != NULL) {
        cb_status status =
            cb_verdict_list_body(action->verdicts, &verdicts, error);
        if (status != CB_OK) {
            return status;
        }
    }
    const cb_store_identity *identity = &store->identity;
    json_t *compartment = json_pack("{s:s}", "class", part->compartment.class);
    if (!cb_is_zero(part->compartment.person.bytes,
                    sizeof part->compartment.person.bytes)) {
        (void)json_object_set_new(
            compartment, "person",
            cb_json_hex(part->compartment.person.bytes,
                        sizeof part->compartment.person.bytes));
    }
    int64_t happened_ms = change->happened_ms;
    if (change->precision == NULL) {
        happened_ms = store->environment->now_ms(store->environment->context);
    }
    json_t *body = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:{s:I, s:s}, s:O, s:i}", "action",
        cb_json_hex(action->id.bytes, sizeof action->id.bytes), "author",
        cb_json_hex(identity->person.bytes, sizeof identity->person.bytes),
        "case",
        cb_json_hex(change->case_id.bytes, sizeof change->case_id.bytes),
        "compartment", compartment, "deps", json_deep_copy(action->deps),
        "happened", "ms", (json_int_t)happened_ms, "precision",
        change->precision == NULL ? "minute" : change->precision, "ops",
        part->operations, "schema", SCHEMA_VERSION);
    if (body == NULL) {
        json_decref(verdicts);
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    if (verdicts != NULL && json_array_size(verdicts) > 0) {
        (void)json_object_set(body, "verdicts", verdicts);
    }
    json_decref(verdicts);
    if (change->why != NULL) {
        (void)json_object_set_new(body, "why", json_string(change->why));
    }
    *ret_body = body;
    return CB_OK;
}

static bool may_write(cb_store *store, const cb_compartment *compartment)
{
    return compartment->class[0] != (char)CB_CLASS_W ||
           cb_roster_has_role(store, &store->identity.person, "supervisor") ||
           cb_roster_has_role(store, &store->identity.person, "coordinator");
}

static cb_status write_part(cb_store *store, const cb_action *action,
                            const cb_part *part, bool first,
                            cb_recorded *recorded, cb_error *error)
{
    cb_key key;
    cb_appended appended;
    json_t *body = NULL;
    if (!may_write(store, &part->compartment)) {
        cb_status refused =
            cb_error_set(error, CB_PERMISSION,
                         "records of class W are written by supervisors and "
                         "coordinators");
        cb_error_meaning(error, "nothing was recorded");
        cb_error_next(error, "ask your supervisor to record it");
        return refused;
    }
    cb_status status =
        cb_compartment_key(store, &part->compartment, &key, error);
    if (status == CB_OK) {
        status = make_body(store, action, part, first, &body, error);
    }
    if (status == CB_OK) {
        status = cb_append(store, CB_ENTRY_CASE, &key, &action->change->case_id,
                           body, &appended, error);
    }
    if (status == CB_OK) {
        cb_deps_advance(action->deps, &part->compartment, &appended.hash);
        /* Once it was settled from here its row is there, and goes along. */
        const cb_case_cache *slot =
            cb_facts_find(store, &part->compartment.case_id);
        status = slot != NULL && slot->settled
                     ? CB_OK
                     : cb_apply_case(store, &part->compartment.case_id, error);
    }
    if (status == CB_OK) {
        const cb_fact fact = {
            .entry = appended.hash,
            .stream = store->identity.stream,
            .seq = appended.seq,
            .time = store->last_time,
            .roster = store->identity.roster,
            .received_ms =
                store->environment->now_ms(store->environment->context),
            .admitted = true,
            .body = body,
        };
        status = cb_facts_add(store, &action->change->case_id, &fact, error);
        recorded->last_seq = appended.seq;
        if (first) {
            recorded->first_seq = appended.seq;
        }
    }
    json_decref(body);
    return status;
}

cb_status cb_action_write(cb_store *store, cb_action *action,
                          cb_recorded *ret_recorded, cb_error *error)
{
    cb_recorded recorded = {
        .case_id = action->change->case_id,
        .record = action->record,
        .action = action->id,
    };
    bool own = !cb_database_in_transaction(store->database);
    cb_savepoint savepoint;
    cb_status status = own ? cb_store_begin(store, error)
                           : cb_savepoint_begin(store, &savepoint, error);
    if (status != CB_OK) {
        return status;
    }
    json_decref(action->deps);
    action->deps = NULL;
    status =
        cb_deps_of_case(store, &action->change->case_id, &action->deps, error);
    for (size_t i = 0; i < action->part_count && status == CB_OK; i++) {
        status = write_part(store, action, &action->parts[i], i == 0, &recorded,
                            error);
    }
    if (status == CB_OK) {
        status = cb_settle_case(store, &action->change->case_id,
                                &action->record, &recorded.conflicts, error);
    }
    if (!own) {
        cb_status ended =
            cb_savepoint_end(store, &savepoint, status == CB_OK, error);
        status = status == CB_OK ? ended : status;
    } else if (status == CB_OK) {
        status = cb_store_commit(store, error);
    }
    if (status != CB_OK) {
        if (own) {
            cb_store_abort(store);
        }
        return status;
    }
    recorded.verdicts = action->verdicts;
    action->verdicts = NULL;
    *ret_recorded = recorded;
    return CB_OK;
}

void cb_recorded_clear(cb_recorded *recorded)
{
    if (recorded != NULL) {
        cb_verdict_list_destroy(recorded->verdicts);
        memset(recorded, 0, sizeof *recorded);
    }
}
