/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical text of the state, and its fingerprint.
 *
 * Written directly, keys in their sorted order, because building a JSON tree
 * first would cost more than the fold itself.  tests/model/fold_test.c proves
 * that the text is canonical.
 */
#include "base/json.h"
#include "case/state.h"

#include <casebound/entry.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_any(cb_buffer *text, const json_t *value)
{
    if (cb_json_append(value, text, NULL) != CB_OK && text->failure == CB_OK) {
        text->failure = CB_NO_MEMORY;
    }
}

/* Texts that need no escapes are written as they are; nearly all are such. */
static bool put_plain(cb_buffer *text, const char *value, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') {
            return false;
        }
    }
    uint8_t *to = cb_buffer_extend(text, length + 2);
    if (to != NULL) {
        to[0] = '"';
        memcpy(to + 1, value, length);
        to[length + 1] = '"';
    }
    return true;
}

static void put_json(cb_buffer *text, const json_t *value)
{
    if (value == NULL) {
        cb_buffer_append_text(text, "null");
    } else if (!json_is_string(value) ||
               !put_plain(text, json_string_value(value),
                          json_string_length(value))) {
        put_any(text, value);
    }
}

static void put_text(cb_buffer *text, const char *value)
{
    if (!put_plain(text, value, strlen(value))) {
        json_t *string = json_string(value);
        put_json(text, string);
        json_decref(string);
    }
}

static void put_hex(cb_buffer *text, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    uint8_t *to = cb_buffer_extend(text, 2 * size + 2);
    if (to == NULL) {
        return;
    }
    to[0] = '"';
    for (size_t i = 0; i < size; i++) {
        to[2 * i + 1] = (uint8_t)digits[from[i] >> 4];
        to[2 * i + 2] = (uint8_t)digits[from[i] & 15];
    }
    to[2 * size + 1] = '"';
}

static void put_comma(cb_buffer *text, size_t index)
{
    if (index > 0) {
        cb_buffer_append_text(text, ",");
    }
}

static bool is_zero_id(const cb_record_id *id)
{
    return cb_is_zero(id->bytes, sizeof id->bytes);
}

static int compare_hash_places(const void *a, const void *b)
{
    return memcmp(*(const cb_hash *const *)a, *(const cb_hash *const *)b,
                  sizeof(cb_hash));
}

/* Heads of a field or register, by entry hash, so sorted as hashes. */
static void put_heads(const cb_case_state *state, cb_buffer *text,
                      const cb_merged *merged)
{
    const cb_hash *few[8];
    const cb_hash **hashes = few;
    if (merged->head_count > sizeof few / sizeof *few) {
        hashes = calloc(merged->head_count, sizeof *hashes);
        if (hashes == NULL) {
            text->failure = CB_NO_MEMORY;
            return;
        }
    }
    for (size_t i = 0; i < merged->head_count; i++) {
        hashes[i] = &state->entries[merged->heads[i]->entry].hash;
    }
    if (merged->head_count > 1) {
        qsort(hashes, merged->head_count, sizeof *hashes, compare_hash_places);
    }
    cb_buffer_append_text(text, "[");
    for (size_t i = 0; i < merged->head_count; i++) {
        put_comma(text, i);
        put_hex(text, hashes[i], sizeof *hashes[i]);
    }
    cb_buffer_append_text(text, "]");
    if (hashes != few) {
        free(hashes);
    }
}

static void put_field(const cb_case_state *state, cb_buffer *text,
                      const cb_merged *merged)
{
    put_text(text, merged->name);
    cb_buffer_append_text(text, ":{");
    if (merged->contested) {
        cb_buffer_append_text(text, "\"contested\":true,");
    }
    cb_buffer_append_text(text, "\"heads\":");
    put_heads(state, text, merged);
    cb_buffer_append_text(text, ",\"value\":");
    put_json(text, merged->value);
    if (merged->value_count > 1) {
        cb_buffer_append_text(text, ",\"values\":[");
        for (size_t i = 0; i < merged->value_count; i++) {
            put_comma(text, i);
            put_json(text, merged->values[i]);
        }
        cb_buffer_append_text(text, "]");
    }
    cb_buffer_append_text(text, "}");
}

static void put_record(const cb_case_state *state, cb_buffer *text,
                       const cb_case_record *record)
{
    cb_buffer_append_text(text, "{");
    if (record->about_known) {
        cb_buffer_append_text(text, "\"about\":");
        put_hex(text, record->about.bytes, sizeof record->about.bytes);
        cb_buffer_append_text(text, ",");
    }
    if (record->created != CB_NOTHING) {
        cb_buffer_append_text(text, "\"created\":");
        put_hex(text, &state->entries[record->created].hash, sizeof(cb_hash));
        cb_buffer_append_text(text, ",");
    }
    cb_buffer_append_text(text, "\"fields\":{");
    for (size_t i = 0; i < record->field_count; i++) {
        put_comma(text, i);
        put_field(state, text, &record->fields[i]);
    }
    cb_buffer_append_text(text, "},\"id\":");
    put_hex(text, record->id.bytes, sizeof record->id.bytes);
    if (record->mark != NULL) {
        cb_buffer_append_text(text, ",\"mark\":");
        put_text(text, record->mark);
    }
    if (record->struck) {
        cb_buffer_append_text(text, ",\"struck_by\":");
        put_hex(text, &state->entries[record->struck_by].hash, sizeof(cb_hash));
    }
    cb_buffer_append_text(text, ",\"type\":");
    put_text(text, record->type_name);
    cb_buffer_append_text(text, "}");
}

static void put_register(const cb_case_state *state, cb_buffer *text,
                         const cb_register *target)
{
    cb_buffer_append_text(text,
                          target->contested ? "{\"contested\":true," : "{");
    cb_buffer_append_text(text, "\"heads\":[");
    for (size_t i = 0; i < target->head_count; i++) {
        put_comma(text, i);
        put_hex(text, &state->records[target->heads[i]].id,
                sizeof(cb_record_id));
    }
    cb_buffer_append_text(text, "],\"in_force\":");
    if (target->in_force == CB_NOTHING) {
        cb_buffer_append_text(text, "null");
    } else {
        put_hex(text, &state->records[target->in_force].id,
                sizeof(cb_record_id));
    }
    cb_buffer_append_text(text, ",\"key\":");
    put_text(text, target->key);
    cb_buffer_append_text(text, ",\"type\":");
    put_text(text, target->type->name);
    cb_buffer_append_text(text, "}");
}

static void put_hashes(cb_buffer *text, const cb_hash *hashes, size_t count)
{
    cb_buffer_append_text(text, "[");
    for (size_t i = 0; i < count; i++) {
        put_comma(text, i);
        put_hex(text, &hashes[i], sizeof hashes[i]);
    }
    cb_buffer_append_text(text, "]");
}

static const char *const form_names[] = { [CB_ISSUE_CONFLICT] = "conflict",
                                          [CB_ISSUE_ALERT] = "alert",
                                          [CB_ISSUE_TASK] = "task",
                                          [CB_ISSUE_FINDING] = "finding" };

static void put_choices(cb_buffer *text, const cb_issue *issue)
{
    cb_buffer_append_text(text, "\"choices\":[");
    for (size_t i = 0; i < issue->choice_count; i++) {
        const cb_issue_choice *choice = &issue->choices[i];
        put_comma(text, i);
        cb_buffer_append_text(text, "{\"heads\":");
        put_hashes(text, choice->heads, choice->head_count);
        cb_buffer_append_text(text, ",\"record\":");
        put_hex(text, &choice->record, sizeof choice->record);
        cb_buffer_append_text(text, ",\"value\":");
        put_json(text, choice->shown);
        cb_buffer_append_text(text, "}");
    }
    cb_buffer_append_text(text, "],");
}

static void put_issue(cb_buffer *text, const cb_issue *issue)
{
    cb_buffer_append_text(text, "{");
    if (!is_zero_id(&issue->about)) {
        cb_buffer_append_text(text, "\"about\":");
        put_hex(text, &issue->about, sizeof issue->about);
        cb_buffer_append_text(text, ",");
    }
    cb_buffer_append_text(text, "\"act\":");
    put_text(text, issue->act);
    cb_buffer_append_text(text, ",");
    if (issue->choice_count > 0) {
        put_choices(text, issue);
    }
    cb_buffer_append_format(text, "\"due_working_days\":%" PRIu32 ",",
                            issue->due_working_days);
    cb_buffer_append_text(text, "\"field\":");
    put_text(text, issue->field);
    cb_buffer_append_text(text, ",\"form\":");
    put_text(text, form_names[issue->form]);
    cb_buffer_append_text(text, ",\"heads\":");
    put_hashes(text, issue->heads, issue->head_count);
    cb_buffer_append_text(text, ",\"id\":");
    put_hex(text, issue->id, sizeof issue->id);
    cb_buffer_append_text(text, ",\"kind\":");
    put_text(text, issue->kind);
    cb_buffer_append_text(text,
                          issue->open ? ",\"open\":true" : ",\"open\":false");
    if (!is_zero_id(&issue->record)) {
        cb_buffer_append_text(text, ",\"record\":");
        put_hex(text, &issue->record, sizeof issue->record);
    }
    cb_buffer_append_text(text, ",\"row\":");
    put_text(text, issue->row);
    cb_buffer_append_text(text, ",\"sentence\":");
    put_text(text, issue->sentence);
    cb_buffer_append_text(text, ",\"waits_for\":");
    put_text(text, issue->waits_for);
    cb_buffer_append_text(text, "}");
}

/* Entries that no other of the case builds on. */
static void put_case_heads(cb_case_state *state, cb_buffer *text)
{
    bool *known =
        cb_arena_allocate(&state->arena, state->counted + 1, sizeof *known);
    size_t written = 0;
    if (known == NULL) {
        return;
    }
    for (size_t i = 0; i < state->counted; i++) {
        for (size_t d = 0; d < state->entries[i].dep_count; d++) {
            known[state->entries[i].deps[d]] = true;
        }
    }
    cb_buffer_append_text(text, "\"heads\":[");
    for (size_t i = 0; i < state->counted; i++) {
        size_t entry = state->by_hash[i];
        if (!known[entry]) {
            put_comma(text, written);
            put_hex(text, &state->entries[entry].hash, sizeof(cb_hash));
            written++;
        }
    }
    cb_buffer_append_text(text, "]");
}

/* What does not count is sorted by hash already. */
static void put_rest(const cb_case_state *state, cb_buffer *text,
                     const char *name, bool admitted)
{
    size_t written = 0;
    cb_buffer_append_text(text, name);
    for (size_t i = state->counted; i < state->entry_count; i++) {
        if (state->entries[i].admitted == admitted) {
            put_comma(text, written);
            put_hex(text, &state->entries[i].hash, sizeof(cb_hash));
            written++;
        }
    }
    cb_buffer_append_text(text, "]");
}

static void put_summary(const cb_case_state *state, cb_buffer *text)
{
    cb_buffer_append_text(text, ",\"reference\":");
    put_text(text, state->reference);
    cb_buffer_append_text(text, ",\"registers\":[");
    for (size_t i = 0; i < state->register_count; i++) {
        put_comma(text, i);
        put_register(state, text, &state->registers[i]);
    }
    cb_buffer_append_text(text, "],\"schema\":\"casebound.case_state.v1\"");
    if (state->since_known) {
        cb_buffer_append_format(text, ",\"since_ms\":%" PRId64,
                                state->since_ms);
    }
    cb_buffer_append_text(text, ",\"stage\":");
    put_text(text, state->stage);
    cb_buffer_append_text(text, ",\"state\":");
    put_text(text, state->word);
}

static void put_judgements(const cb_case_state *state, cb_buffer *text)
{
    cb_buffer_append_text(text, ",\"verdicts\":[");
    for (size_t i = 0; i < state->judgement_count; i++) {
        const cb_judgement *one = &state->judgements[i];
        put_comma(text, i);
        cb_buffer_append_text(text, "{\"known\":");
        put_text(text, cb_outcome_name(one->known));
        cb_buffer_append_text(text, ",\"now\":");
        put_text(text, cb_outcome_name(one->now));
        if (one->override_entry != CB_NOTHING) {
            cb_buffer_append_text(text, ",\"overridden_by\":");
            put_hex(text, &state->entries[one->override_entry].hash,
                    sizeof(cb_hash));
        }
        cb_buffer_append_text(text, ",\"record\":");
        put_hex(text, &state->records[one->record].id, sizeof(cb_record_id));
        cb_buffer_append_text(text, ",\"rule\":");
        put_text(text, one->rule);
        cb_buffer_append_text(text, ",\"sentence\":");
        put_text(text, one->sentence);
        cb_buffer_append_text(text, ",\"written\":");
        put_text(text, one->written);
        cb_buffer_append_text(text, "}");
    }
    cb_buffer_append_text(text, "]");
}

cb_status cb_case_state_write(cb_case_state *state, cb_error *reterr_error)
{
    cb_buffer *text = &state->text;
    if (state->text_written) {
        return CB_OK;
    }
    cb_buffer_reset(text);
    cb_buffer_append_text(text, "{\"case\":");
    put_hex(text, state->id.bytes, sizeof state->id.bytes);
    cb_buffer_append_format(text, ",\"entries\":%zu,", state->counted);
    put_case_heads(state, text);
    cb_buffer_append_text(text, ",\"issues\":[");
    for (size_t i = 0; i < state->issue_count; i++) {
        put_comma(text, i);
        put_issue(text, &state->issues[i]);
    }
    put_rest(state, text, "],\"quarantined\":[", false);
    cb_buffer_append_text(text, ",\"records\":[");
    for (size_t i = 0; i < state->record_count; i++) {
        put_comma(text, i);
        put_record(state, text, &state->records[i]);
    }
    cb_buffer_append_text(text, "]");
    put_summary(state, text);
    put_judgements(state, text);
    put_rest(state, text, ",\"waiting\":[", true);
    cb_buffer_append_text(text, "}");
    cb_status status = cb_arena_check(&state->arena, reterr_error);
    if (status == CB_OK) {
        status = cb_buffer_check(text, reterr_error);
    }
    if (status == CB_OK) {
        cb_hash_domain("case state", cb_span_of_buffer(text),
                       &state->fingerprint);
        state->text_written = true;
    }
    return status;
}

/* --------------------------------------------------------------- accessors */

cb_span cb_case_state_text(const cb_case_state *state)
{
    CB_ASSERT(state->text_written);
    return cb_span_of_buffer(&state->text);
}

cb_status cb_case_state_document(const cb_case_state *state,
                                 json_t **ret_document, cb_error *reterr_error)
{
    CB_ASSERT(state->text_written);
    json_t *document =
        json_loadb((const char *)state->text.bytes, state->text.size, 0, NULL);
    if (document == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    *ret_document = document;
    return CB_OK;
}

cb_hash cb_case_state_fingerprint(const cb_case_state *state)
{
    CB_ASSERT(state->text_written);
    return state->fingerprint;
}

void cb_fingerprint_short(const cb_hash *fingerprint,
                          char text[CB_FINGERPRINT_SHORT_BYTES])
{
    char digits[9];
    cb_hex_format(fingerprint->bytes, 4, digits);
    (void)snprintf(text, CB_FINGERPRINT_SHORT_BYTES, "%.4s-%.4s", digits,
                   digits + 4);
}
