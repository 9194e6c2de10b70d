/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fold's result into the tables that lists are made of: one row a case, its
 * records, its open conflicts, its tasks and alerts.
 */
#include "base/json.h"
#include "store/internal.h"

#include <string.h>

#define ISSUE_BYTES_MAX 262144

static json_t *describe_issue(const cb_issue *issue)
{
    static const char *const forms[] = {
        [CB_ISSUE_CONFLICT] = "conflict",
        [CB_ISSUE_ALERT] = "alert",
        [CB_ISSUE_TASK] = "task",
        [CB_ISSUE_FINDING] = "finding",
    };
    json_t *choices = json_array();
    for (size_t i = 0; i < issue->choice_count; i++) {
        (void)json_array_append_new(choices,
                                    json_deep_copy(issue->choices[i].value));
    }
    return json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:i, s:o}", "id",
        cb_json_hex(issue->id, sizeof issue->id), "form", forms[issue->form],
        "kind", issue->kind, "row", issue->row, "sentence", issue->sentence,
        "waits_for", issue->waits_for, "act", issue->act, "record",
        cb_json_hex(issue->record.bytes, sizeof issue->record.bytes), "field",
        issue->field, "due_working_days", (int)issue->due_working_days,
        "choices", choices);
}

static cb_status clear_rows(cb_store *store, const char *statement,
                            const cb_case_id *case_id, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, statement);
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    return cb_query_run(&query, error);
}

/*
 * A row that is too long for a list is shown without its choices: whoever acts
 * on it sees the case itself.
 */
static cb_status write_issue(const cb_issue *issue, cb_buffer *text,
                             cb_error *error)
{
    json_t *document = describe_issue(issue);
    cb_status status = document == NULL
                           ? cb_error_set(error, CB_NO_MEMORY, "out of memory")
                           : cb_json_append(document, text, error);
    if (status == CB_LIMIT) {
        cb_buffer_clear(text);
        cb_buffer_init(text, CB_JSON_DOCUMENT_BYTES_MAX);
        (void)json_array_clear(json_object_get(document, "choices"));
        status = cb_json_append(document, text, error);
    }
    json_decref(document);
    return status;
}

static cb_status add_row(cb_store *store, const char *statement,
                         const cb_case_id *case_id, const cb_issue *issue,
                         cb_error *error)
{
    cb_buffer text;
    cb_buffer_init(&text, ISSUE_BYTES_MAX);
    cb_status status = write_issue(issue, &text, error);
    if (status == CB_OK) {
        cb_query query = cb_query_begin(store->database, statement);
        cb_query_bind_blob(&query, ":id", issue->id, sizeof issue->id);
        cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                           sizeof case_id->bytes);
        cb_query_bind_text(&query, ":document", cb_buffer_text(&text));
        status = cb_query_run(&query, error);
    }
    cb_buffer_clear(&text);
    return status;
}

static cb_status add_record(cb_store *store, const cb_case_state *state,
                            const cb_case_id *case_id, size_t index,
                            cb_error *error)
{
    static const cb_record_id nobody = { { 0 } };
    cb_record_standing standing;
    cb_record_id id = cb_case_state_record_id(state, index);
    if (!cb_case_state_record(state, &id, &standing)) {
        return CB_OK;
    }
    const cb_record_id *about =
        standing.about == NULL ? &nobody : standing.about;
    cb_buffer label;
    cb_buffer_init(&label, CB_SHOWN_NAME_BYTES - 1);
    cb_case_state_append_name(state, index, &label);
    if (cb_buffer_check(&label, NULL) != CB_OK) {
        cb_buffer_reset(&label);
    }
    cb_query query = cb_query_begin(store->database, "record_add");
    cb_query_bind_blob(&query, ":id", id.bytes, sizeof id.bytes);
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_query_bind_text(&query, ":type", standing.type);
    cb_query_bind_blob(&query, ":about", about->bytes, sizeof about->bytes);
    cb_query_bind_text(&query, ":label", cb_buffer_text(&label));
    cb_status status = cb_query_run(&query, error);
    cb_buffer_clear(&label);
    return status;
}

/*
 * All records, or only the one that an action was about: it changes no other's
 * type, party or name.  Of several creations of one id the first answers.
 */
static cb_status settle_records(cb_store *store, const cb_case_state *state,
                                const cb_case_id *case_id,
                                const cb_record_id *only, cb_error *error)
{
    cb_record_id last = { { 0 } };
    cb_status status = only == NULL
                           ? clear_rows(store, "record_clear", case_id, error)
                           : CB_OK;
    for (size_t i = 0; i < cb_case_state_record_count(state) && status == CB_OK;
         i++) {
        cb_record_id id = cb_case_state_record_id(state, i);
        bool sibling = i > 0 && memcmp(&id, &last, sizeof id) == 0;
        bool meant = only == NULL || memcmp(&id, only, sizeof id) == 0;
        if (meant && !sibling) {
            status = add_record(store, state, case_id, i, error);
        }
        last = id;
    }
    return status;
}

static cb_status settle_issues(cb_store *store, const cb_case_state *state,
                               const cb_case_id *case_id, size_t *ret_conflicts,
                               size_t *ret_tasks, cb_error *error)
{
    size_t conflicts = 0;
    size_t tasks = 0;
    cb_status status = clear_rows(store, "conflict_clear", case_id, error);
    if (status == CB_OK) {
        status = clear_rows(store, "task_clear", case_id, error);
    }
    for (size_t i = 0; i < cb_case_state_issue_count(state) && status == CB_OK;
         i++) {
        const cb_issue *issue = cb_case_state_issue(state, i);
        if (!issue->open || issue->form == CB_ISSUE_FINDING) {
            continue;
        }
        if (issue->form == CB_ISSUE_CONFLICT) {
            conflicts++;
            status = add_row(store, "conflict_add", case_id, issue, error);
        } else {
            tasks++;
            status = add_row(store, "task_add", case_id, issue, error);
        }
    }
    *ret_conflicts = conflicts;
    *ret_tasks = tasks;
    return status;
}

static cb_status write_case(cb_store *store, const cb_case_state *state,
                            const cb_case_id *case_id, size_t conflicts,
                            size_t tasks, cb_error *error)
{
    int64_t since_ms = 0;
    char summary[64] = "{}";
    cb_hash fingerprint = cb_case_state_fingerprint(state);
    if (cb_case_state_since_ms(state, &since_ms)) {
        (void)snprintf(summary, sizeof summary, "{\"since_ms\":%lld}",
                       (long long)since_ms);
    }
    cb_query query = cb_query_begin(store->database, "case_settle");
    cb_query_bind_blob(&query, ":id", case_id->bytes, sizeof case_id->bytes);
    cb_query_bind_text(&query, ":reference", cb_case_state_reference(state));
    cb_query_bind_text(&query, ":stage", cb_case_state_stage(state));
    cb_query_bind_text(&query, ":state", cb_case_state_word(state));
    cb_query_bind_blob(&query, ":fingerprint", fingerprint.bytes,
                       sizeof fingerprint.bytes);
    cb_query_bind_integer(&query, ":entries",
                          (int64_t)cb_case_state_fact_count(state));
    cb_query_bind_integer(&query, ":conflicts", (int64_t)conflicts);
    cb_query_bind_integer(&query, ":tasks", (int64_t)tasks);
    cb_query_bind_text(&query, ":summary", summary);
    return cb_query_run(&query, error);
}

static cb_status settle_state(cb_store *store, const cb_case_state *state,
                              const cb_record_id *only, size_t *ret_conflicts,
                              cb_error *error)
{
    cb_case_id case_id = cb_case_state_case(state);
    size_t conflicts = 0;
    size_t tasks = 0;
    cb_status status = settle_records(store, state, &case_id, only, error);
    if (status == CB_OK) {
        status =
            settle_issues(store, state, &case_id, &conflicts, &tasks, error);
    }
    if (status == CB_OK) {
        status = write_case(store, state, &case_id, conflicts, tasks, error);
    }
    if (status == CB_OK) {
        *ret_conflicts = conflicts;
    }
    return status;
}

/* Lists keep what they said before, and say that it is old. */
static cb_status leave_unsettled(cb_store *store, const cb_case_id *case_id,
                                 cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "case_unsettled");
    cb_query_bind_text(&query, ":prefix", "NOT UP TO DATE - ");
    cb_query_bind_blob(&query, ":id", case_id->bytes, sizeof case_id->bytes);
    return cb_query_run(&query, error);
}

/*
 * No limit of what lists hold may keep anybody from recording, or keep the
 * other cases from being merged.
 */
cb_status cb_settle_case(cb_store *store, const cb_case_id *case_id,
                         const cb_record_id *only, size_t *ret_conflicts,
                         cb_error *error)
{
    cb_savepoint savepoint;
    const cb_case_state *state = NULL;
    cb_error words = { .status = CB_OK };
    *ret_conflicts = 0;
    cb_status status = cb_savepoint_begin(store, &savepoint, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_facts_state(store, case_id, &state, &words);
    if (status == CB_OK) {
        status = cb_case_state_write((cb_case_state *)(uintptr_t)state, &words);
    }
    if (status == CB_OK) {
        status = settle_state(store, state, only, ret_conflicts, &words);
    }
    cb_status ended =
        cb_savepoint_end(store, &savepoint, status == CB_OK, error);
    if (ended != CB_OK) {
        return ended;
    }
    if (status == CB_LIMIT) {
        return leave_unsettled(store, case_id, error);
    }
    if (status != CB_OK && error != NULL) {
        *error = words;
    }
    return status;
}

cb_status cb_exchange_settle(cb_store *store, size_t *ret_cases,
                             size_t *ret_conflicts, cb_error *reterr_error)
{
    size_t cases = 0;
    size_t fresh = 0;
    cb_status status = CB_OK;
    for (;;) {
        cb_case_id case_id;
        size_t before = 0;
        size_t after = 0;
        cb_query query = cb_query_begin(store->database, "case_changed");
        status = cb_query_step(&query, reterr_error);
        bool found = status == CB_OK && cb_query_copy(&query, 0, case_id.bytes,
                                                      sizeof case_id.bytes);
        cb_query_end(&query);
        if (!found) {
            break;
        }
        query = cb_query_begin(store->database, "case_find");
        cb_query_bind_blob(&query, ":id", case_id.bytes, sizeof case_id.bytes);
        status = cb_query_step(&query, reterr_error);
        before = status == CB_OK ? (size_t)cb_query_integer(&query, 1) : 0;
        cb_query_end(&query);
        cb_facts_forget(store, &case_id);
        status = cb_settle_case(store, &case_id, NULL, &after, reterr_error);
        if (status != CB_OK) {
            break;
        }
        cases++;
        fresh += after > before ? after - before : 0;
    }
    if (status == CB_END) {
        *ret_cases = cases;
        *ret_conflicts = fresh;
        return CB_OK;
    }
    return status;
}
