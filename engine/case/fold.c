/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/fold.h>

#include "case/state.h"

#include <stdlib.h>
#include <string.h>

typedef cb_status (*step)(cb_case_state *state, cb_error *error);

static cb_status run(cb_case_state *state, const step *steps, size_t count,
                     cb_error *error)
{
    cb_status status = CB_OK;
    for (size_t i = 0; i < count && status == CB_OK; i++) {
        status = steps[i](state, error);
    }
    return status;
}

/* What these say stays until another entry touches the same record. */
static cb_status keep_noted(cb_case_state *state, cb_error *error)
{
    (void)error;
    state->noted = state->issues;
    state->noted_count = state->issue_count;
    return CB_OK;
}

cb_status cb_case_derive(cb_case_state *state, cb_error *reterr_error)
{
    static const step steps[] = { cb_case_find_conflicts, cb_case_practise,
                                  cb_case_judge, cb_case_close_issues };
    state->issue_capacity = state->noted_count + 8;
    state->issues = cb_arena_allocate(&state->arena, state->issue_capacity,
                                      sizeof *state->issues);
    if (state->issues == NULL) {
        return cb_arena_check(&state->arena, reterr_error);
    }
    if (state->noted_count > 0) {
        memcpy(state->issues, state->noted,
               state->noted_count * sizeof *state->noted);
    }
    state->issue_count = state->noted_count;
    state->decisions_by_issue = NULL;
    state->text_written = false;
    return run(state, steps, sizeof steps / sizeof *steps, reterr_error);
}

static const step steps[] = {
    cb_case_order, cb_case_collect,         cb_case_find_forks, cb_case_write,
    keep_noted,    cb_case_merge_registers, cb_case_derive,
};

cb_status cb_fold_unwritten(const cb_model *model, const cb_fact *facts,
                            size_t count, cb_case_state **ret_state,
                            cb_error *reterr_error)
{
    cb_case_state *state = calloc(1, sizeof *state);
    cb_status status = CB_OK;
    if (state == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    state->model = model;
    state->judged_all = true;
    cb_buffer_init(&state->text, CB_STATE_TEXT_BYTES_MAX);
    state->owned = json_array();
    if (state->owned == NULL) {
        status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    status = cb_case_read(state, facts, count, reterr_error);
    if (status == CB_OK) {
        status = run(state, steps, sizeof steps / sizeof *steps, reterr_error);
    }
    if (status == CB_OK) {
        state->folded_bytes = state->arena.size;
        *ret_state = state;
        state = NULL;
    }
out:
    cb_case_state_destroy(state);
    return status;
}

cb_status cb_fold(const cb_model *model, const cb_fact *facts, size_t count,
                  cb_case_state **ret_state, cb_error *reterr_error)
{
    cb_case_state *state = NULL;
    cb_status status =
        cb_fold_unwritten(model, facts, count, &state, reterr_error);
    if (status == CB_OK) {
        status = cb_case_state_write(state, reterr_error);
    }
    if (status == CB_OK) {
        *ret_state = state;
        state = NULL;
    }
    cb_case_state_destroy(state);
    return status;
}

void cb_case_state_destroy(cb_case_state *state)
{
    if (state == NULL) {
        return;
    }
    for (size_t i = 0; i < state->entry_count; i++) {
        json_decref(state->entries[i].body);
    }
    json_decref(state->owned);
    cb_buffer_clear(&state->text);
    cb_arena_clear(&state->arena);
    free(state);
}

cb_case_id cb_case_state_case(const cb_case_state *state)
{
    return state->id;
}

const char *cb_case_state_reference(const cb_case_state *state)
{
    return state->reference;
}

const char *cb_case_state_stage(const cb_case_state *state)
{
    return state->stage;
}

const char *cb_case_state_word(const cb_case_state *state)
{
    return state->partial ? state->partial_word : state->word;
}

bool cb_case_state_since_ms(const cb_case_state *state, int64_t *ret_since_ms)
{
    if (state->since_known) {
        *ret_since_ms = state->since_ms;
    }
    return state->since_known;
}

size_t cb_case_state_fact_count(const cb_case_state *state)
{
    return state->fact_count;
}

cb_fact_standing cb_case_state_standing(const cb_case_state *state, size_t fact)
{
    CB_ASSERT(fact < state->fact_count);
    return state->standing[fact];
}

bool cb_case_state_knew(const cb_case_state *state, size_t a, size_t b)
{
    CB_ASSERT(a < state->fact_count);
    CB_ASSERT(b < state->fact_count);
    return state->standing[a] == CB_FACT_COUNTS &&
           state->standing[b] == CB_FACT_COUNTS &&
           cb_case_knows(state, state->entry_of_fact[a],
                         state->entry_of_fact[b]);
}

size_t cb_case_state_record_count(const cb_case_state *state)
{
    return state->record_count;
}

cb_record_id cb_case_state_record_id(const cb_case_state *state, size_t record)
{
    CB_ASSERT(record < state->record_count);
    return state->records[record].id;
}

const char *cb_case_state_record_type(const cb_case_state *state, size_t record)
{
    CB_ASSERT(record < state->record_count);
    return state->records[record].type_name;
}

void cb_case_state_append_name(const cb_case_state *state, size_t record,
                               cb_buffer *text)
{
    const cb_merged *names =
        record < state->record_count
            ? cb_record_field(&state->records[record], "name")
            : NULL;
    size_t count = names == NULL ? 0 : names->value_count;
    size_t shown = 0;
    for (size_t i = 0; i < count && shown < CB_SHOWN_NAMES_MAX; i++) {
        const char *name = json_string_value(names->values[i]);
        if (name != NULL) {
            cb_buffer_append_text(text, shown > 0 ? " / " : "");
            cb_buffer_append_text(text, name);
            shown++;
        }
    }
    if (count > CB_SHOWN_NAMES_MAX) {
        cb_buffer_append_text(text, " / ...");
    }
}
