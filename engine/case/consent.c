/* SPDX-License-Identifier: Apache-2.0 */
#include "case/consent.h"

#include "base/json.h"
#include "case/names.h"

#include <casebound/entry.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SCOPE_BYTES_MAX 256

/* Beyond that nobody honest wrote them, and whoever said no still does. */
#define SEARCHED_RECORDS_MAX 256

const json_t *cb_method_scopes(const cb_model *model, const char *method)
{
    const cb_code_list *list = cb_model_code_list(model, "method");
    const cb_code *code =
        list != NULL && method != NULL ? cb_code_list_find(list, method) : NULL;
    return code != NULL ? cb_json_array(code->json, "scopes") : NULL;
}

const cb_register *cb_consent_register(const cb_case_state *state,
                                       const cb_record_id *person,
                                       const char *scope)
{
    char key[CB_IDENTIFIER_TEXT_BYTES + SCOPE_BYTES_MAX];
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(person->bytes, sizeof person->bytes, id);
    int length = snprintf(key, sizeof key, "%s %s", id, scope);
    if (length < 0 || (size_t)length >= sizeof key) {
        return NULL;
    }
    return cb_case_register(state, "consent", key);
}

const char *cb_consent_state(const cb_case_record *record)
{
    const char *code = json_string_value(cb_record_most_protective(record));
    return code != NULL ? code : "unknown";
}

static bool is_given(const cb_case_record *record)
{
    return strcmp(cb_consent_state(record), "given") == 0;
}

size_t cb_consent_entry(const cb_case_state *state, size_t record)
{
    const cb_case_record *target = &state->records[record];
    const json_t *worst = cb_record_most_protective(target);
    const cb_merged *merged = cb_record_field(target, "state");
    for (size_t i = 0; merged != NULL && i < merged->write_count; i++) {
        if (worst != NULL && json_equal(merged->writes[i].value, worst)) {
            return merged->writes[i].entry;
        }
    }
    return target->created;
}

/*
 * Whether a later consent record, itself not recorded in knowledge of `entry`,
 * replaced this one.
 */
static bool was_replaced(const cb_case_state *state, const cb_register *held,
                         size_t record, size_t entry)
{
    size_t said = cb_consent_entry(state, record);
    for (size_t i = 0; i < held->record_count; i++) {
        size_t other = held->records[i];
        size_t created = state->records[other].created;
        if (other != record &&
            state->records[other].side == state->records[record].side &&
            !cb_case_knows(state, created, entry) &&
            cb_case_knows(state, created, said)) {
            return true;
        }
    }
    return false;
}

size_t cb_consent_against(const cb_case_state *state,
                          const cb_record_id *person, const char *scope,
                          size_t entry)
{
    const cb_register *held = cb_consent_register(state, person, scope);
    size_t found = CB_NOTHING;
    if (held != NULL && (held->against == CB_NOTHING ||
                         held->record_count > SEARCHED_RECORDS_MAX)) {
        return held->against;
    }
    for (size_t i = 0; held != NULL && i < held->record_count; i++) {
        size_t record = held->records[i];
        if (is_given(&state->records[record]) ||
            cb_case_knows(state, cb_consent_entry(state, record), entry) ||
            was_replaced(state, held, record, entry)) {
            continue;
        }
        /* Of several the lowest hash, so that every machine names the same. */
        if (found == CB_NOTHING ||
            memcmp(&state->entries[cb_consent_entry(state, record)].hash,
                   &state->entries[cb_consent_entry(state, found)].hash,
                   sizeof(cb_hash)) < 0) {
            found = record;
        }
    }
    return found;
}

const char *cb_case_said(cb_arena *arena, const cb_case_state *state,
                         size_t entry)
{
    const cb_case_entry *said = &state->entries[entry];
    char person[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(said->author.bytes, sizeof said->author.bytes, person);
    return cb_arena_format(arena, "recorded by {person:%s}, {ms:%" PRId64 "}",
                           person,
                           said->happened_known ? said->happened_ms
                                                : cb_entry_time_ms(said->time));
}

const char *cb_case_words(cb_arena *arena, const char *code)
{
    size_t length = strlen(code);
    char *words = cb_arena_allocate(arena, length + 1, 1);
    if (words == NULL) {
        return "";
    }
    for (size_t i = 0; i < length; i++) {
        words[i] = code[i] == '_' ? ' ' : code[i];
    }
    return words;
}
