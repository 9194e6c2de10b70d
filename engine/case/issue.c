/* SPDX-License-Identifier: Apache-2.0 */
/* Issues: their ids, their order, whether they were decided. */
#include "base/json.h"
#include "case/state.h"

#include <casebound/entry.h>

#include <stdlib.h>
#include <string.h>

#define ISSUE_TEXT_BYTES_MAX    1048576
#define ISSUE_PREFIX_DIGITS_MIN 4

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(cb_hash));
}

/* The heads as hashes, sorted, each once. */
static const cb_hash *sort_heads(cb_case_state *state, const size_t *entries,
                                 size_t count, size_t *ret_count)
{
    cb_hash *heads = cb_arena_allocate(&state->arena, count + 1, sizeof *heads);
    size_t kept = 0;
    if (heads == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        heads[i] = state->entries[entries[i]].hash;
    }
    if (count > 1) {
        qsort(heads, count, sizeof *heads, compare_hashes);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 ||
            memcmp(&heads[kept - 1], &heads[i], sizeof *heads) != 0) {
            heads[kept] = heads[i];
            kept++;
        }
    }
    *ret_count = kept;
    return heads;
}

static bool name_issue(cb_issue *issue)
{
    cb_buffer text;
    cb_hash hash = { 0 };
    cb_buffer_init(&text, ISSUE_TEXT_BYTES_MAX);
    cb_buffer_append(&text, issue->kind, strlen(issue->kind) + 1);
    cb_buffer_append(&text, &issue->record, sizeof issue->record);
    cb_buffer_append(&text, &issue->about, sizeof issue->about);
    cb_buffer_append(&text, issue->field, strlen(issue->field) + 1);
    cb_buffer_append(&text, issue->heads,
                     issue->head_count * sizeof *issue->heads);
    bool complete = cb_buffer_check(&text, NULL) == CB_OK;
    if (complete) {
        cb_hash_domain("issue", cb_span_of_buffer(&text), &hash);
        memcpy(issue->id, hash.bytes, sizeof issue->id);
    }
    cb_buffer_clear(&text);
    return complete;
}

cb_issue *cb_case_add_issue(cb_case_state *state, const cb_issue *draft,
                            const size_t *entries, size_t entry_count)
{
    cb_issue issue = *draft;
    issue.row = issue.row != NULL ? issue.row : "";
    issue.field = issue.field != NULL ? issue.field : "";
    issue.waits_for = issue.waits_for != NULL ? issue.waits_for : "";
    issue.act = issue.act != NULL ? issue.act : "";
    issue.open = issue.form != CB_ISSUE_FINDING;
    issue.heads = sort_heads(state, entries, entry_count, &issue.head_count);
    state->issues =
        cb_arena_grow(&state->arena, state->issues, state->issue_count,
                      &state->issue_capacity, sizeof *state->issues);
    if (issue.heads == NULL || state->issues == NULL || !name_issue(&issue)) {
        state->arena.failed = true;
        state->issue_count = 0;
        state->issue_capacity = 0;
        return NULL;
    }
    cb_issue *place = &state->issues[state->issue_count];
    *place = issue;
    state->issue_count++;
    return place;
}

void cb_case_add_finding(cb_case_state *state, const char *kind, size_t entry,
                         const cb_record_id *record, const char *field,
                         const char *sentence)
{
    cb_issue draft = { .form = CB_ISSUE_FINDING,
                       .kind = kind,
                       .sentence = sentence,
                       .field = field };
    if (record != NULL) {
        draft.record = *record;
    }
    (void)cb_case_add_issue(state, &draft, &entry, 1);
}

/*
 * What people decided about an issue that is not about one field's values: the
 * decisions that no later one knew of.  Equal ones are one; NULL where there is
 * none, or where they differ.
 */
const cb_decision *cb_case_decision(const cb_case_state *state,
                                    const cb_issue *issue)
{
    const cb_decision *found = NULL;
    for (size_t i = 0; i < state->decision_count; i++) {
        const cb_decision *decision = &state->decisions[i];
        if (memcmp(decision->issue, issue->id, sizeof issue->id) != 0 ||
            decision->known_count != decision->named_count) {
            continue;
        }
        if (found == NULL ||
            cb_case_knows(state, decision->entry, found->entry)) {
            found = decision;
        }
    }
    for (size_t i = 0; i < state->decision_count && found != NULL; i++) {
        const cb_decision *other = &state->decisions[i];
        if (memcmp(other->issue, issue->id, sizeof issue->id) == 0 &&
            other->known_count == other->named_count &&
            !cb_case_knows(state, found->entry, other->entry) &&
            !json_equal(other->value, found->value)) {
            return NULL;
        }
    }
    return found;
}

static int compare_issues(const void *a, const void *b)
{
    const cb_issue *left = a;
    const cb_issue *right = b;
    if (left->form != right->form) {
        return left->form < right->form ? -1 : 1;
    }
    return memcmp(left->id, right->id, sizeof left->id);
}

cb_status cb_case_close_issues(cb_case_state *state, cb_error *reterr_error)
{
    size_t kept = 0;
    if (state->issue_count > 1) {
        qsort(state->issues, state->issue_count, sizeof *state->issues,
              compare_issues);
    }
    for (size_t i = 0; i < state->issue_count; i++) {
        if (kept == 0 ||
            compare_issues(&state->issues[kept - 1], &state->issues[i]) != 0) {
            state->issues[kept] = state->issues[i];
            kept++;
        }
    }
    state->issue_count = kept;
    return cb_arena_check(&state->arena, reterr_error);
}

/* --------------------------------------------------------------- accessors */

size_t cb_case_state_issue_count(const cb_case_state *state)
{
    return state->issue_count;
}

const cb_issue *cb_case_state_issue(const cb_case_state *state, size_t issue)
{
    return issue < state->issue_count ? &state->issues[issue] : NULL;
}

cb_status cb_case_state_find_issue(const cb_case_state *state,
                                   const char *prefix,
                                   const cb_issue **ret_issue,
                                   cb_error *reterr_error)
{
    size_t length = strlen(prefix);
    const cb_issue *found = NULL;
    if (length < ISSUE_PREFIX_DIGITS_MIN || length >= CB_ISSUE_ID_TEXT_BYTES ||
        strspn(prefix, "0123456789abcdef") != length) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "'%.40s' is not the start of a conflict's or "
                            "task's id: 4 to 32 of the digits 0-9 and a-f",
                            prefix);
    }
    for (size_t i = 0; i < state->issue_count; i++) {
        char text[CB_ISSUE_ID_TEXT_BYTES];
        cb_hex_format(state->issues[i].id, CB_ISSUE_ID_BYTES, text);
        if (strncmp(text, prefix, length) != 0) {
            continue;
        }
        if (found != NULL) {
            return cb_error_set(reterr_error, CB_AMBIGUOUS,
                                "'%s' fits more than one conflict or task",
                                prefix);
        }
        found = &state->issues[i];
    }
    if (found == NULL) {
        return cb_error_set(reterr_error, CB_NOT_FOUND,
                            "there is no conflict or task '%s'", prefix);
    }
    *ret_issue = found;
    return CB_OK;
}

cb_status cb_case_state_resolution(const cb_case_state *state,
                                   const cb_issue *issue, size_t choice,
                                   json_t **ret_op, cb_error *reterr_error)
{
    (void)state;
    if (choice >= issue->choice_count) {
        cb_error_set(reterr_error, CB_INPUT, "there is no choice %zu among %zu",
                     choice + 1, issue->choice_count);
        cb_error_next(reterr_error, "%s", issue->act);
        return CB_INPUT;
    }
    json_t *heads = json_array();
    for (size_t i = 0; i < issue->head_count; i++) {
        (void)json_array_append_new(
            heads, cb_json_hex(&issue->heads[i], sizeof(cb_hash)));
    }
    const cb_issue_choice *chosen = &issue->choices[choice];
    json_t *op =
        json_pack("{s:s,s:o,s:o,s:s,s:o,s:O}", "op", "resolve", "conflict",
                  cb_json_hex(issue->id, sizeof issue->id), "record",
                  cb_json_hex(&chosen->record, sizeof chosen->record), "field",
                  issue->field, "heads", heads, "value", chosen->value);
    if (op == NULL || json_array_size(heads) != issue->head_count) {
        json_decref(op);
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    *ret_op = op;
    return CB_OK;
}
