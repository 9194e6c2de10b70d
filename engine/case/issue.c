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

static int compare_decisions(const void *a, const void *b)
{
    const cb_decision *left = *(const cb_decision *const *)a;
    const cb_decision *right = *(const cb_decision *const *)b;
    int order = memcmp(left->issue, right->issue, sizeof left->issue);
    if (order == 0 && left->entry != right->entry) {
        order = left->entry < right->entry ? -1 : 1;
    }
    return order != 0 ? order : left < right ? -1 : left > right;
}

/*
 * Once: a case has many issues, and a hostile one many decisions.  Those of the
 * records count: what else state->decisions holds was taken again since.
 */
static bool index_decisions(cb_case_state *state)
{
    if (state->decisions_by_issue != NULL) {
        return true;
    }
    size_t count = 0;
    state->decisions_by_issue = cb_arena_allocate(
        &state->arena, state->decision_count + 1, sizeof(const cb_decision *));
    if (state->decisions_by_issue == NULL) {
        return false;
    }
    for (size_t r = 0; r < state->record_count; r++) {
        const cb_case_record *record = &state->records[r];
        for (size_t d = 0; d < record->decision_count; d++) {
            state->decisions_by_issue[count] =
                &state->decisions[record->first_decision + d];
            count++;
        }
    }
    state->indexed_count = count;
    if (count > 1) {
        qsort(state->decisions_by_issue, count, sizeof(const cb_decision *),
              compare_decisions);
    }
    return true;
}

static size_t first_about(const cb_case_state *state, const cb_issue *issue)
{
    size_t low = 0;
    size_t high = state->indexed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(state->decisions_by_issue[middle]->issue, issue->id,
                   sizeof issue->id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether it names the issue's heads, all of them and nothing else. */
static bool names_heads(const cb_case_state *state, const cb_issue *issue,
                        const cb_decision *decision)
{
    if (!decision->complete || decision->known_count != issue->head_count) {
        return false;
    }
    for (size_t i = 0; i < issue->head_count; i++) {
        size_t entry = cb_case_find_entry(state, &issue->heads[i]);
        bool named = false;
        for (size_t k = 0; k < decision->known_count && !named; k++) {
            named = decision->known[k] == entry;
        }
        if (!named) {
            return false;
        }
    }
    return true;
}

static bool may_decide(cb_case_state *state, const cb_issue *issue,
                       const cb_decision *decision)
{
    if (!names_heads(state, issue, decision)) {
        cb_case_add_finding(state, "decision.incomplete", decision->entry,
                            &issue->record, issue->field,
                            "A decision does not name all that it would have "
                            "to decide between. It was kept but decides "
                            "nothing.");
        return false;
    }
    if (!cb_entry_has_role(&state->entries[decision->entry],
                           issue->waits_for)) {
        cb_case_add_finding(state, "role.missing", decision->entry,
                            &issue->record, issue->field,
                            "This may only be said by somebody in a role that "
                            "its author did not have. It was kept but has no "
                            "effect.");
        return false;
    }
    return true;
}

#define LATEST_DECISIONS_MAX 64

/*
 * What people decided about an issue that is not about one field's values: the
 * decisions that no later one knew of.  Equal ones are one, that with the
 * lowest hash; NULL where there is none, or where they differ.  More of them
 * than people could ever make count as different.
 */
const cb_decision *cb_case_decision(cb_case_state *state, const cb_issue *about)
{
    const cb_decision *latest[LATEST_DECISIONS_MAX];
    const cb_issue issue = *about; /* findings may move the array */
    size_t count = 0;
    if (!index_decisions(state)) {
        return NULL;
    }
    size_t first = first_about(state, &issue);
    size_t end = first;
    while (end < state->indexed_count &&
           memcmp(state->decisions_by_issue[end]->issue, issue.id,
                  sizeof issue.id) == 0) {
        end++;
    }
    for (size_t i = end; i > first; i--) {
        const cb_decision *decision = state->decisions_by_issue[i - 1];
        bool ended = !may_decide(state, &issue, decision);
        for (size_t k = 0; k < count && !ended; k++) {
            ended = cb_case_knows(state, latest[k]->entry, decision->entry);
        }
        if (ended) {
            continue;
        }
        if (count == LATEST_DECISIONS_MAX ||
            (count > 0 && !json_equal(latest[0]->value, decision->value))) {
            return NULL;
        }
        latest[count] = decision;
        count++;
    }
    for (size_t k = 1; k < count; k++) {
        if (memcmp(&state->entries[latest[k]->entry].hash,
                   &state->entries[latest[0]->entry].hash,
                   sizeof(cb_hash)) < 0) {
            latest[0] = latest[k];
        }
    }
    return count > 0 ? latest[0] : NULL;
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
