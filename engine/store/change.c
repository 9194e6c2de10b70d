/* SPDX-License-Identifier: Apache-2.0 */
#include "store/change.h"

#include "base/json.h"

#include <string.h>
#include <time.h>

static cb_status nothing_recorded(cb_status status, cb_error *error)
{
    if (status != CB_OK) {
        cb_error_meaning(error, "nothing was recorded");
    }
    return status;
}

/*
 * V or O, as the folded case has it.  Where entries put somebody on both sides,
 * what is recorded could reach the other one: better nothing is.
 */
static cb_status find_side(cb_store *store, cb_action *action, cb_error *error)
{
    bool ambiguous = false;
    const cb_case_state *state = NULL;
    cb_status status =
        cb_facts_state(store, &action->change->case_id, &state, error);
    if (status != CB_OK) {
        return status;
    }
    char side = cb_case_state_side(state, &action->about, &ambiguous);
    if (ambiguous) {
        status = cb_error_set(error, CB_AMBIGUOUS,
                              "entries of this case place that person on both "
                              "sides");
        cb_error_next(error, "ask your supervisor which of them is wrong, and "
                             "have it struck; see: casebound tasks");
        return status;
    }
    if (side == '\0') {
        return cb_error_set(error, CB_NOT_FOUND,
                            "that person is not one of this case, or you may "
                            "not read about them");
    }
    action->side = (cb_class)side;
    return CB_OK;
}

static cb_status take_about(cb_store *store, cb_action *action,
                            const cb_record_id *about, cb_error *error)
{
    if (about == NULL) {
        return CB_OK;
    }
    if (action->type->about == CB_ABOUT_NONE ||
        action->type->about == CB_ABOUT_SELF) {
        return cb_error_set(error, CB_INPUT,
                            "a record of type '%s' is not about one person",
                            action->type->name);
    }
    action->about = *about;
    action->has_about = true;
    return find_side(store, action, error);
}

static cb_status override_rules(cb_store *store, cb_action *action,
                                cb_error *error)
{
    const cb_change *change = action->change;
    cb_status status = CB_OK;
    if (change->override_count > 0 && change->why == NULL) {
        status = cb_error_set(error, CB_INPUT, "an override needs a reason");
        cb_error_next(error, "say it with --why");
        return status;
    }
    for (size_t i = 0; i < change->override_count && status == CB_OK; i++) {
        status = cb_verdict_list_override(
            action->verdicts, change->overrides[i], &store->naming, error);
        if (status == CB_NOT_FOUND) {
            return cb_error_set(error, CB_INPUT,
                                "rule '%s' does not stand in the way, so it "
                                "cannot be overridden",
                                change->overrides[i]);
        }
        if (status == CB_OK) {
            (void)json_array_append_new(
                action->parts[0].operations,
                json_pack("{s:s, s:s, s:o}", "op", "override", "rule",
                          change->overrides[i], "record",
                          cb_json_hex(action->record.bytes,
                                      sizeof action->record.bytes)));
        }
    }
    return status;
}

/* Asks the rules on what this store knows now. */
static cb_status ask_rules(cb_store *store, cb_action *action,
                           const json_t *fields, bool exists, cb_error *error)
{
    const cb_case_state *state = NULL;
    const char *const *roles = NULL;
    size_t role_count = 0;
    cb_status status =
        cb_facts_roles(store, &action->change->case_id, &store->identity.person,
                       &roles, &role_count, error);
    if (status != CB_OK) {
        return status;
    }
    const cb_proposal proposal = {
        .type = action->type->name,
        .record = exists ? &action->record : NULL,
        .about = action->has_about ? &action->about : NULL,
        .compartment_class = action->parts[0].compartment.class[0],
        .fields = fields,
        .happened_ms =
            action->change->precision == NULL
                ? store->environment->now_ms(store->environment->context)
                : action->change->happened_ms,
        .author = store->identity.person,
        .roles = roles,
        .role_count = role_count,
    };
    status = cb_facts_state(store, &action->change->case_id, &state, error);
    if (status == CB_OK) {
        status = cb_rules_evaluate(store->model, state, &proposal,
                                   &action->verdicts, error);
    }
    if (status == CB_OK) {
        status = override_rules(store, action, error);
    }
    if (status == CB_OK) {
        status = cb_verdict_list_check(action->verdicts, &store->naming, error);
    }
    return status;
}

static cb_status demand_case(cb_store *store, const cb_case_id *case_id,
                             cb_error *error)
{
    const cb_case_cache *slot = cb_facts_find(store, case_id);
    if (slot != NULL && slot->settled) {
        return CB_OK;
    }
    cb_query query = cb_query_begin(store->database, "case_find");
    cb_query_bind_blob(&query, ":id", case_id->bytes, sizeof case_id->bytes);
    cb_status status = cb_query_step(&query, error);
    cb_query_end(&query);
    return status == CB_END
               ? cb_error_set(error, CB_NOT_FOUND, "there is no such case here")
               : status;
}

cb_status cb_store_add(cb_store *store, const cb_change *change,
                       const char *type, const cb_record_id *about,
                       const json_t *fields, cb_recorded *ret_recorded,
                       cb_error *reterr_error)
{
    cb_action action;
    cb_status status = cb_action_begin(store, change, &action, reterr_error);
    if (status == CB_OK) {
        status = demand_case(store, &change->case_id, reterr_error);
    }
    if (status == CB_OK) {
        status =
            cb_model_find_type(store->model, type, &action.type, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_type_check(action.type, fields, true, reterr_error);
    }
    if (status != CB_OK) {
        goto out;
    }
    store->environment->random(store->environment->context, action.record.bytes,
                               sizeof action.record.bytes);
    if (action.type->about == CB_ABOUT_SELF) {
        action.side = cb_type_side(action.type, fields);
    }
    status = take_about(store, &action, about, reterr_error);
    if (status == CB_OK) {
        status =
            cb_action_sort(&action, "create", "part", fields, reterr_error);
    }
    if (status == CB_OK) {
        status = ask_rules(store, &action, fields, false, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_action_write(store, &action, ret_recorded, reterr_error);
    }
out:
    cb_action_clear(&action);
    return nothing_recorded(status, reterr_error);
}

/* Type and person of a record of this case. */
static cb_status take_record(cb_store *store, cb_action *action,
                             const cb_record_id *record, cb_error *error)
{
    const cb_case_state *state = NULL;
    cb_record_standing standing;
    cb_status status = demand_case(store, &action->change->case_id, error);
    if (status == CB_OK) {
        status = cb_facts_state(store, &action->change->case_id, &state, error);
    }
    if (status != CB_OK) {
        return status;
    }
    if (!cb_case_state_record(state, record, &standing)) {
        return cb_error_set(error, CB_NOT_FOUND,
                            "there is no such record in this case");
    }
    action->record = *record;
    action->type = cb_model_type(store->model, standing.type);
    if (action->type == NULL) {
        return cb_error_set(error, CB_NEWER,
                            "the record is of type '%.64s', which this version "
                            "does not know",
                            standing.type);
    }
    action->has_about = standing.about != NULL;
    if (action->has_about) {
        action->about = *standing.about;
    }
    if (action->type->about == CB_ABOUT_SELF) {
        action->about = *record;
    }
    return action->has_about || action->type->about == CB_ABOUT_SELF
               ? find_side(store, action, error)
               : CB_OK;
}

cb_status cb_store_amend(cb_store *store, const cb_change *change,
                         const cb_record_id *record, const json_t *fields,
                         cb_recorded *ret_recorded, cb_error *reterr_error)
{
    cb_action action;
    cb_status status = cb_action_begin(store, change, &action, reterr_error);
    if (status == CB_OK && json_object_size(fields) == 0) {
        status = cb_error_set(reterr_error, CB_INPUT,
                              "no field was given to correct");
    }
    if (status == CB_OK) {
        status = take_record(store, &action, record, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_type_check(action.type, fields, false, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_action_sort(&action, NULL, "set", fields, reterr_error);
    }
    /* The record's own compartment stays out where none of it is corrected. */
    if (status == CB_OK && json_array_size(action.parts[0].operations) == 0) {
        json_decref(action.parts[0].operations);
        action.part_count--;
        memmove(&action.parts[0], &action.parts[1],
                action.part_count * sizeof action.parts[0]);
    }
    if (status == CB_OK) {
        status = ask_rules(store, &action, fields, true, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_action_write(store, &action, ret_recorded, reterr_error);
    }
    cb_action_clear(&action);
    return nothing_recorded(status, reterr_error);
}

static cb_status write_single(cb_store *store, cb_action *action,
                              const cb_field *field, json_t *operation,
                              cb_recorded *ret_recorded, cb_error *error)
{
    cb_part *part = &action->parts[0];
    cb_status status =
        cb_action_compartment(action, field, &part->compartment, error);
    if (status != CB_OK) {
        json_decref(operation);
        return status;
    }
    part->operations = json_array();
    (void)json_array_append_new(part->operations, operation);
    action->part_count = 1;
    return cb_action_write(store, action, ret_recorded, error);
}

cb_status cb_store_strike(cb_store *store, const cb_change *change,
                          const cb_record_id *record, cb_recorded *ret_recorded,
                          cb_error *reterr_error)
{
    cb_action action;
    cb_status status = cb_action_begin(store, change, &action, reterr_error);
    if (status == CB_OK) {
        status = take_record(store, &action, record, reterr_error);
    }
    if (status == CB_OK) {
        json_t *operation =
            json_pack("{s:s, s:o}", "op", "strike", "record",
                      cb_json_hex(record->bytes, sizeof record->bytes));
        status = write_single(store, &action, NULL, operation, ret_recorded,
                              reterr_error);
    }
    cb_action_clear(&action);
    return nothing_recorded(status, reterr_error);
}

cb_status cb_store_resolve(cb_store *store, const cb_change *change,
                           const cb_issue *issue, size_t choice,
                           cb_recorded *ret_recorded, cb_error *reterr_error)
{
    cb_action action;
    cb_case_state *state = NULL;
    json_t *operation = NULL;
    const cb_issue *now = NULL;
    char prefix[CB_ISSUE_ID_TEXT_BYTES];
    cb_status status = cb_action_begin(store, change, &action, reterr_error);
    if (status == CB_OK) {
        status =
            cb_store_case_state(store, &change->case_id, &state, reterr_error);
    }
    if (status == CB_OK) {
        cb_hex_format(issue->id, sizeof issue->id, prefix);
        status = cb_case_state_find_issue(state, prefix, &now, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_case_state_resolution(state, now, choice, &operation,
                                          reterr_error);
    }
    if (status == CB_OK) {
        status = take_record(store, &action, &now->record, reterr_error);
    }
    if (status == CB_OK) {
        const cb_field *field = now->field[0] == '\0'
                                    ? NULL
                                    : cb_type_field(action.type, now->field);
        status = write_single(store, &action, field, json_incref(operation),
                              ret_recorded, reterr_error);
    }
    json_decref(operation);
    cb_case_state_destroy(state);
    cb_action_clear(&action);
    return nothing_recorded(status, reterr_error);
}

/* Year of the day in London; close to midnight on 1 January it may be UTC's. */
static int year_of(int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    return gmtime_r(&seconds, &parts) == NULL ? 1970 : parts.tm_year + 1900;
}

/*
 * The hub counts from 1.  A device draws from the upper half at random, so that
 * two of them, cut off from each other, seldom meet; if they do, both cases
 * keep their ids and the merge shows the reference as given twice.
 */
static cb_status next_serial(cb_store *store, int year, int *ret_serial,
                             cb_error *error)
{
    if (!store->identity.hub) {
        uint32_t drawn = 0;
        store->environment->random(store->environment->context, &drawn,
                                   sizeof drawn);
        *ret_serial = 50000 + (int)(drawn % 50000);
        return CB_OK;
    }
    char low[32];
    char high[32];
    (void)snprintf(low, sizeof low, "%s-%04d-", store->service, year);
    (void)snprintf(high, sizeof high, "%s-%04d-5", store->service, year);
    cb_query query = cb_query_begin(store->database, "case_last_reference");
    cb_query_bind_text(&query, ":low", low);
    cb_query_bind_text(&query, ":high", high);
    cb_status status = cb_query_step(&query, error);
    *ret_serial = 1;
    if (status == CB_OK && !cb_query_is_null(&query, 0)) {
        cb_reference last;
        if (cb_reference_parse(cb_query_text(&query, 0), &last, NULL) ==
            CB_OK) {
            *ret_serial = last.serial + 1;
        }
    }
    cb_query_end(&query);
    return status;
}

/* A reference that a case here has already would make both hard to name. */
static cb_status refuse_taken(cb_store *store, const char *reference,
                              cb_error *error)
{
    cb_case_id taken;
    cb_error ignored = { 0 };
    cb_status status = cb_store_find_case(store, reference, &taken, &ignored);
    if (status == CB_NOT_FOUND) {
        return CB_OK;
    }
    if (status != CB_OK && status != CB_AMBIGUOUS) {
        return status;
    }
    status = cb_error_set(error, CB_EXISTS, "there is a case '%s' already",
                          reference);
    cb_error_next(error, "casebound case show %s", reference);
    return status;
}

static cb_status give_reference(cb_store *store, const cb_change *change,
                                json_t *fields, cb_error *error)
{
    cb_reference reference = { .year = year_of(change->happened_ms) };
    const char *given = cb_json_text(fields, "reference");
    if (given != NULL) {
        cb_status checked = cb_reference_parse(given, &reference, error);
        return checked == CB_OK ? refuse_taken(store, given, error) : checked;
    }
    char text[CB_REFERENCE_TEXT_BYTES];
    if (change->precision == NULL) {
        reference.year =
            year_of(store->environment->now_ms(store->environment->context));
    }
    memcpy(reference.service, store->service, sizeof reference.service);
    cb_status status =
        next_serial(store, reference.year, &reference.serial, error);
    if (status == CB_OK) {
        status = cb_reference_format(&reference, text, error);
    }
    if (status == CB_OK) {
        (void)json_object_set_new(fields, "reference", json_string(text));
    }
    return status;
}

cb_status cb_store_open_case(cb_store *store, const cb_change *change,
                             const json_t *fields, cb_recorded *ret_recorded,
                             cb_error *reterr_error)
{
    cb_action action;
    cb_change opening = *change;
    store->environment->random(store->environment->context,
                               opening.case_id.bytes,
                               sizeof opening.case_id.bytes);
    json_t *complete = json_copy((json_t *)(uintptr_t)fields);
    cb_status status = cb_action_begin(store, &opening, &action, reterr_error);
    if (status == CB_OK) {
        status = cb_model_find_type(store->model, "referral", &action.type,
                                    reterr_error);
    }
    if (status == CB_OK) {
        status = give_reference(store, &opening, complete, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_type_check(action.type, complete, true, reterr_error);
    }
    if (status == CB_OK) {
        store->environment->random(store->environment->context,
                                   action.record.bytes,
                                   sizeof action.record.bytes);
        status =
            cb_action_sort(&action, "create", "part", complete, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_action_write(store, &action, ret_recorded, reterr_error);
    }
    cb_action_clear(&action);
    json_decref(complete);
    return nothing_recorded(status, reterr_error);
}
