/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules look up. */
#include "base/json.h"
#include "case/consent.h"
#include "case/rule.h"

#include <casebound/when.h>

#include <string.h>

const char *cb_rule_hex(const cb_question *question, const cb_record_id *id)
{
    return cb_arena_hex(&question->verdicts->arena, id->bytes,
                        sizeof id->bytes);
}

const char *cb_rule_said(const cb_question *question, size_t entry)
{
    return cb_case_said(&question->verdicts->arena, question->state, entry);
}

const char *cb_rule_words(const cb_question *question, const char *code)
{
    return cb_case_words(&question->verdicts->arena, code);
}

bool cb_rule_person(const cb_question *question, const char *field, size_t i,
                    cb_record_id *ret_person)
{
    const json_t *set = cb_json_array(question->fields, field);
    const char *text = i < CB_RULE_PERSONS_MAX
                           ? json_string_value(json_array_get(set, i))
                           : NULL;
    return text != NULL &&
           cb_case_hex(text, ret_person->bytes, sizeof ret_person->bytes);
}

uint8_t cb_rule_side(const cb_question *question, const cb_record_id *person)
{
    const cb_case_state *state = question->state;
    unsigned sides = cb_case_sides(state, person);
    cb_basis_spend(&question->basis, 1);
    if (sides == (CB_SIDE_V | CB_SIDE_O)) {
        return CB_SIDE_BOTH;
    }
    return (uint8_t)(sides == CB_SIDE_V ? 'V' : sides == CB_SIDE_O ? 'O' : 0);
}

const char *cb_rule_role(const cb_question *question,
                         const cb_record_id *person)
{
    size_t index = cb_case_find_typed(question->state, person, "person");
    return index == CB_NOTHING
               ? ""
               : cb_record_code(&question->state->records[index], "role");
}

const char *cb_rule_consent(const cb_question *question, size_t record)
{
    const cb_case_record *consent = &question->state->records[record];
    const cb_merged *merged = cb_record_field(consent, "state");
    const json_t *worst = NULL;
    for (size_t i = 0; merged != NULL && i < merged->write_count; i++) {
        const json_t *value = merged->writes[i].value;
        if (cb_basis_has(question->state, &question->basis,
                         merged->writes[i].entry) &&
            (worst == NULL ||
             cb_field_compare(merged->field, worst, value) < 0)) {
            worst = value;
        }
    }
    const char *code = json_string_value(worst);
    return code != NULL ? code : "unknown";
}

bool cb_rule_date(const json_t *value, int64_t *ret_days)
{
    cb_when when;
    const char *text = json_string_value(value);
    if (text == NULL || cb_when_parse(text, 0, &when, NULL) != CB_OK) {
        return false;
    }
    *ret_days = cb_rule_day(when.start_ms);
    return true;
}

int64_t cb_rule_day(int64_t ms)
{
    cb_civil local = cb_when_local(ms);
    return cb_when_days(local.year, local.month, local.day);
}

static bool has_complex_code(const cb_question *question, const char *list,
                             const json_t *value)
{
    const cb_code_list *codes = cb_model_code_list(question->model, list);
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(
            json_is_array(value) ? json_array_get(value, i) : value);
        const cb_code *code = text != NULL && codes != NULL
                                  ? cb_code_list_find(codes, text)
                                  : NULL;
        if (text != NULL && (code == NULL || code->complex)) {
            return true; /* a flag that is not known counts */
        }
    }
    return false;
}

/* All that anybody claims, so that a contested flag counts too. */
static bool field_is_complex(const cb_question *question,
                             const cb_case_record *record, const char *field,
                             const char *list)
{
    const cb_merged *merged = cb_record_field(record, field);
    for (size_t i = 0; merged != NULL && i < merged->value_count; i++) {
        if (has_complex_code(question, list, merged->values[i])) {
            return true;
        }
    }
    return false;
}

bool cb_rule_is_complex(const cb_question *question)
{
    const cb_case_state *state = question->state;
    cb_case_look_at(state, CB_EVERY_TYPE);
    cb_basis_spend(&question->basis, state->record_count / 4);
    for (size_t r = 0; r < state->record_count; r++) {
        const cb_case_record *record = &state->records[r];
        if (!cb_basis_counts(state, &question->basis, record)) {
            continue;
        }
        const char *type = record->type_name;
        const char *overall = cb_record_code(record, "overall");
        if ((strcmp(type, "referral") == 0 &&
             (field_is_complex(question, record, "flags", "case_flag") ||
              field_is_complex(question, record, "complex_triggers",
                               "complex_trigger") ||
              field_is_complex(question, record, "offence", "offence"))) ||
            (strcmp(type, "offence_link") == 0 &&
             (field_is_complex(question, record, "offence", "offence") ||
              json_is_true(cb_record_value(record, "order_live")))) ||
            (strcmp(type, "person") == 0 &&
             json_is_true(cb_record_value(record, "child"))) ||
            (strcmp(type, "risk_assessment") == 0 &&
             (strcmp(overall, "H") == 0 || strcmp(overall, "VH") == 0))) {
            return true;
        }
    }
    return false;
}
