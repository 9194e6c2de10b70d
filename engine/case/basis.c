/* SPDX-License-Identifier: Apache-2.0 */
#include "case/basis.h"

#include <string.h>

/* Beyond that nobody honest wrote them, and they count as contested. */
#define SEARCHED_RECORDS_MAX 256

bool cb_basis_has(const cb_case_state *state, const cb_basis *basis,
                  size_t entry)
{
    if (entry == CB_NOTHING) {
        return false;
    }
    switch (basis->kind) {
    case CB_BASIS_NOW: return true;
    case CB_BASIS_MERGED: return !cb_case_knows(state, entry, basis->entry);
    case CB_BASIS_KNOWN:
        return entry == basis->entry ||
               cb_case_knows(state, basis->entry, entry);
    }
    return false;
}

void cb_basis_spend(const cb_basis *basis, size_t steps)
{
    if (basis->steps != NULL) {
        *basis->steps -= steps < *basis->steps ? steps : *basis->steps;
    }
}

bool cb_basis_has_record(const cb_case_state *state, const cb_basis *basis,
                         const cb_case_record *record)
{
    for (size_t i = 0; i < record->creation_count; i++) {
        if (cb_basis_has(state, basis, record->creations[i])) {
            return true;
        }
    }
    return false;
}

bool cb_basis_counts(const cb_case_state *state, const cb_basis *basis,
                     const cb_case_record *record)
{
    return record->type != NULL && cb_basis_has_record(state, basis, record) &&
           !(record->struck && cb_basis_has(state, basis, record->struck_by));
}

/* Whether a write is the last word of those on the basis. */
static bool is_last(const cb_case_state *state, const cb_basis *basis,
                    const cb_merged *merged, size_t at)
{
    for (size_t i = at + 1; i < merged->write_count; i++) {
        const cb_write *later = &merged->writes[i];
        if (cb_basis_has(state, basis, later->entry) &&
            (later->entry == merged->writes[at].entry ||
             cb_case_knows(state, later->entry, merged->writes[at].entry))) {
            return false;
        }
    }
    return true;
}

const json_t *cb_basis_value(const cb_case_state *state, const cb_basis *basis,
                             const cb_case_record *record, const char *name,
                             bool *contested)
{
    const cb_merged *merged = cb_record_field(record, name);
    const json_t *value = NULL;
    size_t different = 0;
    if (merged == NULL) {
        return NULL;
    }
    if (basis->kind == CB_BASIS_NOW) {
        *contested = *contested || merged->contested;
        return merged->value;
    }
    for (size_t i = 0; i < merged->write_count; i++) {
        const json_t *written = merged->writes[i].value;
        if (!cb_basis_has(state, basis, merged->writes[i].entry) ||
            !is_last(state, basis, merged, i) ||
            (value != NULL && json_equal(value, written))) {
            continue;
        }
        bool ordered = merged->field != NULL && merged->field->order_count > 0;
        different++;
        if (value == NULL ||
            (ordered && cb_field_compare(merged->field, value, written) < 0)) {
            value = written;
        }
    }
    bool decided =
        merged->field != NULL && (merged->field->merge == CB_MERGE_PROTECTIVE ||
                                  merged->field->merge == CB_MERGE_FORWARD ||
                                  merged->field->merge == CB_MERGE_ONCE ||
                                  merged->field->merge == CB_MERGE_UNION);
    if (different > 1) {
        *contested = *contested || merged->field == NULL ||
                     (merged->field->merge != CB_MERGE_UNION &&
                      merged->field->merge != CB_MERGE_ONCE &&
                      merged->field->merge != CB_MERGE_FORWARD);
        return decided ? value : NULL;
    }
    return json_is_null(value) ? NULL : value;
}

/* The value by which a record writes its register, on the basis. */
static const json_t *register_value(const cb_case_state *state,
                                    const cb_basis *basis,
                                    const cb_case_record *record)
{
    const cb_field *field = record->type->register_value;
    bool contested = false;
    if (field == NULL) {
        return NULL;
    }
    if (!cb_is_consent(record->type)) {
        return cb_basis_value(state, basis, record, field->name, &contested);
    }
    const cb_merged *merged = cb_record_field(record, field->name);
    const json_t *worst = NULL;
    for (size_t i = 0; merged != NULL && i < merged->write_count; i++) {
        const json_t *value = merged->writes[i].value;
        if (cb_basis_has(state, basis, merged->writes[i].entry) &&
            (worst == NULL || cb_field_compare(field, worst, value) < 0)) {
            worst = value;
        }
    }
    return worst;
}

/* Whether the creation of `later` knew all that `earlier` says on the basis. */
static bool replaces(const cb_case_state *state, const cb_basis *basis,
                     const cb_case_record *later, const cb_case_record *earlier)
{
    if (later->side != earlier->side ||
        !cb_basis_has(state, basis, later->created) ||
        !cb_case_knows(state, later->created, earlier->created)) {
        return false;
    }
    const cb_field *field = earlier->type->register_value;
    const cb_merged *merged =
        field != NULL ? cb_record_field(earlier, field->name) : NULL;
    for (size_t i = 0; merged != NULL && i < merged->write_count; i++) {
        size_t entry = merged->writes[i].entry;
        if (cb_basis_has(state, basis, entry) &&
            !cb_case_knows(state, later->created, entry)) {
            return false;
        }
    }
    return true;
}

static void add_record(const cb_case_state *state, const cb_basis *basis,
                       const cb_register *held, size_t record,
                       cb_standing *standing)
{
    const cb_field *field = held->type->register_value;
    const json_t *value = register_value(state, basis, &state->records[record]);
    if (standing->worst == CB_NOTHING) {
        standing->worst = record;
    } else {
        const json_t *worst =
            register_value(state, basis, &state->records[standing->worst]);
        bool same = value != NULL && worst != NULL && json_equal(value, worst);
        standing->contested = standing->contested || !same;
        if (field != NULL && field->order_count > 0 &&
            cb_field_compare(field, worst, value) < 0) {
            standing->worst = record;
        }
    }
    if (standing->record_count < CB_STANDING_RECORDS_MAX) {
        standing->records[standing->record_count] = record;
        standing->record_count++;
    }
}

cb_standing cb_basis_standing(const cb_case_state *state, const cb_basis *basis,
                              const cb_register *held)
{
    cb_standing standing = { .worst = CB_NOTHING };
    if (held == NULL) {
        return standing;
    }
    if (basis->kind == CB_BASIS_NOW) {
        for (size_t i = 0; i < held->head_count; i++) {
            add_record(state, basis, held, held->heads[i], &standing);
        }
        standing.contested = held->contested;
        return standing;
    }
    cb_basis_spend(basis, held->record_count * held->record_count);
    if (held->record_count > SEARCHED_RECORDS_MAX ||
        (basis->steps != NULL && *basis->steps == 0)) {
        standing.worst =
            held->in_force != CB_NOTHING ? held->in_force : held->records[0];
        standing.records[0] = standing.worst;
        standing.record_count = 1;
        standing.contested = true;
        return standing;
    }
    for (size_t i = 0; i < held->record_count; i++) {
        const cb_case_record *record = &state->records[held->records[i]];
        bool counts = cb_basis_has_record(state, basis, record);
        for (size_t k = 0; k < held->record_count && counts; k++) {
            counts =
                k == i || !replaces(state, basis,
                                    &state->records[held->records[k]], record);
        }
        if (counts) {
            add_record(state, basis, held, held->records[i], &standing);
        }
    }
    return standing;
}
