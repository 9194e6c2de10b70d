/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fold's result into the tables that lists are made of: one row a case, its
 * records, its open conflicts, its tasks and alerts.
 */
#include "base/json.h"
#include "store/internal.h"

#include <sodium.h>
#include <stdio.h>
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
    if (label.failure == CB_NO_MEMORY) {
        cb_buffer_clear(&label);
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    if (label.failure != CB_OK) {
        cb_buffer_reset(&label); /* too long to be shown */
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

static bool is_listed(const cb_issue *issue)
{
    return issue->open && issue->form != CB_ISSUE_FINDING;
}

static cb_status settle_issues(cb_store *store, const cb_case_state *state,
                               const cb_case_id *case_id, cb_error *error)
{
    cb_status status = clear_rows(store, "conflict_clear", case_id, error);
    if (status == CB_OK) {
        status = clear_rows(store, "task_clear", case_id, error);
    }
    for (size_t i = 0; i < cb_case_state_issue_count(state) && status == CB_OK;
         i++) {
        const cb_issue *issue = cb_case_state_issue(state, i);
        if (is_listed(issue)) {
            status = add_row(store,
                             issue->form == CB_ISSUE_CONFLICT ? "conflict_add"
                                                              : "task_add",
                             case_id, issue, error);
        }
    }
    return status;
}

/* ------------------------------------------------------- what has changed */

typedef struct settlement {
    char summary[64];
    size_t conflicts;
    size_t tasks;
    cb_hash issues; /* of all that the rows of conflicts and tasks say */
    cb_hash row;    /* of what the case's row says besides how many entries */
} settlement;

static void hash_text(crypto_generichash_state *sum, const char *text)
{
    (void)crypto_generichash_update(sum, (const unsigned char *)text,
                                    strlen(text) + 1);
}

/*
 * An issue's id stands for its kind, record, field and the entries behind it,
 * hence for the values to choose from.
 */
static void hash_issue(crypto_generichash_state *sum, const cb_issue *issue)
{
    (void)crypto_generichash_update(sum, issue->id, sizeof issue->id);
    hash_text(sum, issue->sentence);
    hash_text(sum, issue->waits_for);
    hash_text(sum, issue->act);
    hash_text(sum, issue->row);
    (void)crypto_generichash_update(
        sum, (const unsigned char *)&issue->due_working_days,
        sizeof issue->due_working_days);
}

static void take_stock(const cb_case_state *state, settlement *ret_new)
{
    int64_t since_ms = 0;
    crypto_generichash_state sum;
    *ret_new = (settlement){ .summary = "{}" };
    if (cb_case_state_since_ms(state, &since_ms)) {
        (void)snprintf(ret_new->summary, sizeof ret_new->summary,
                       "{\"since_ms\":%lld}", (long long)since_ms);
    }
    (void)crypto_generichash_init(&sum, NULL, 0, sizeof ret_new->issues);
    for (size_t i = 0; i < cb_case_state_issue_count(state); i++) {
        const cb_issue *issue = cb_case_state_issue(state, i);
        if (is_listed(issue)) {
            const bool conflict = issue->form == CB_ISSUE_CONFLICT;
            ret_new->conflicts += conflict ? 1 : 0;
            ret_new->tasks += conflict ? 0 : 1;
            hash_issue(&sum, issue);
        }
    }
    (void)crypto_generichash_final(&sum, ret_new->issues.bytes,
                                   sizeof ret_new->issues);
    (void)crypto_generichash_init(&sum, NULL, 0, sizeof ret_new->row);
    hash_text(&sum, cb_case_state_reference(state));
    hash_text(&sum, cb_case_state_stage(state));
    hash_text(&sum, cb_case_state_word(state));
    hash_text(&sum, ret_new->summary);
    (void)crypto_generichash_update(
        &sum, (const unsigned char *)&ret_new->issues, sizeof ret_new->issues);
    (void)crypto_generichash_final(&sum, ret_new->row.bytes,
                                   sizeof ret_new->row);
}

static bool same(const cb_hash *left, const cb_hash *right)
{
    return memcmp(left, right, sizeof *left) == 0;
}

static cb_status write_case(cb_store *store, const cb_case_cache *slot,
                            const settlement *fresh, const cb_hash *fingerprint,
                            cb_error *error)
{
    const cb_case_state *state = slot->state;
    cb_query query = cb_query_begin(store->database, "case_settle");
    cb_query_bind_blob(&query, ":id", slot->case_id.bytes,
                       sizeof slot->case_id.bytes);
    cb_query_bind_text(&query, ":reference", cb_case_state_reference(state));
    cb_query_bind_text(&query, ":stage", cb_case_state_stage(state));
    cb_query_bind_text(&query, ":state", cb_case_state_word(state));
    cb_query_bind_blob(&query, ":fingerprint", fingerprint->bytes,
                       sizeof fingerprint->bytes);
    cb_query_bind_integer(&query, ":entries",
                          (int64_t)cb_case_state_fact_count(state));
    cb_query_bind_integer(&query, ":conflicts", (int64_t)fresh->conflicts);
    cb_query_bind_integer(&query, ":tasks", (int64_t)fresh->tasks);
    cb_query_bind_text(&query, ":summary", fresh->summary);
    return cb_query_run(&query, error);
}

static cb_status advance_case(cb_store *store, const cb_case_cache *slot,
                              const cb_hash *fingerprint, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "case_advance");
    cb_query_bind_blob(&query, ":id", slot->case_id.bytes,
                       sizeof slot->case_id.bytes);
    cb_query_bind_blob(&query, ":fingerprint", fingerprint->bytes,
                       sizeof fingerprint->bytes);
    cb_query_bind_integer(&query, ":entries",
                          (int64_t)cb_case_state_fact_count(slot->state));
    return cb_query_run(&query, error);
}

/*
 * The fingerprint is taken of the text of the whole case, which costs more than
 * all the rest.  So where a case is written to again and again, it and the
 * number of entries are left for the end: the row says so by zeroes, once, and
 * whoever asks before takes them then.
 */
static cb_status settle_state(cb_store *store, cb_case_cache *slot,
                              const settlement *fresh, const cb_record_id *only,
                              cb_error *error)
{
    cb_hash fingerprint = { { 0 } };
    const cb_case_id case_id = slot->case_id;
    const bool later = slot->settled && only != NULL;
    cb_status status =
        settle_records(store, slot->state, &case_id, only, error);
    if (status == CB_OK && !(later && same(&slot->issues, &fresh->issues))) {
        status = settle_issues(store, slot->state, &case_id, error);
    }
    if (status == CB_OK && !later) {
        status = cb_facts_fingerprint(store, &case_id, &fingerprint, error);
    }
    if (status == CB_OK && !(later && same(&slot->row, &fresh->row))) {
        status = write_case(store, slot, fresh, &fingerprint, error);
    } else if (status == CB_OK && !slot->fingerprint_due) {
        status = advance_case(store, slot, &fingerprint, error);
    }
    if (status == CB_OK) {
        slot->settled = true;
        slot->fingerprint_due = later;
        slot->issues = fresh->issues;
        slot->row = fresh->row;
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
    settlement fresh = { .conflicts = 0 };
    cb_case_cache *slot = NULL;
    const cb_case_state *state = NULL;
    cb_error words = { .status = CB_OK };
    *ret_conflicts = 0;
    cb_status status = cb_facts_state(store, case_id, &state, &words);
    if (status == CB_OK) {
        slot = cb_facts_find(store, case_id);
        take_stock(state, &fresh);
        status = cb_savepoint_begin(store, &savepoint, error);
        if (status != CB_OK) {
            return status;
        }
        if (only == NULL) {
            slot->settled = false;
        }
        status = settle_state(store, slot, &fresh, only, &words);
        cb_status ended =
            cb_savepoint_end(store, &savepoint, status == CB_OK, error);
        if (ended != CB_OK) {
            return ended;
        }
    }
    if (status == CB_LIMIT) {
        return leave_unsettled(store, case_id, error);
    }
    if (status == CB_OK) {
        *ret_conflicts = fresh.conflicts;
    } else if (error != NULL) {
        *error = words;
    }
    return status;
}

static cb_status write_fingerprint(cb_store *store, cb_case_cache *slot)
{
    cb_hash fingerprint;
    const cb_case_id case_id = slot->case_id;
    cb_status status =
        cb_facts_fingerprint(store, &case_id, &fingerprint, NULL);
    if (status == CB_OK) {
        status = advance_case(store, slot, &fingerprint, NULL);
    }
    slot->fingerprint_due = status != CB_OK;
    return status;
}

void cb_settle_rest(cb_store *store)
{
    size_t due = 0;
    for (size_t i = 0; i < CB_CASE_CACHE_SLOTS; i++) {
        due += store->cache[i].used && store->cache[i].fingerprint_due ? 1 : 0;
    }
    /* What another transaction has not committed is not to be kept. */
    if (due == 0 || cb_database_in_transaction(store->database) ||
        cb_database_begin(store->database, NULL) != CB_OK) {
        return;
    }
    cb_status status = CB_OK;
    for (size_t i = 0; i < CB_CASE_CACHE_SLOTS && status == CB_OK; i++) {
        cb_case_cache *slot = &store->cache[i];
        if (slot->used && slot->fingerprint_due) {
            status = write_fingerprint(store, slot);
        }
    }
    /* Nothing that anybody recorded: the witness does not count it. */
    if (status != CB_OK || cb_database_commit(store->database, NULL) != CB_OK) {
        cb_database_abort(store->database);
    }
}

/*
 * Settling a case takes it off the list, so the one that was settled last comes
 * again only where the database does not keep what is written to it.
 */
cb_status cb_settle_next(cb_store *store, cb_settle_place *place,
                         cb_error *error)
{
    cb_case_id case_id = { { 0 } };
    cb_query query = cb_query_begin(store->database, "case_changed");
    cb_status status = cb_query_step(&query, error);
    bool readable = status == CB_OK && cb_query_copy(&query, 0, case_id.bytes,
                                                     sizeof case_id.bytes);
    cb_query_end(&query);
    if (status != CB_OK) {
        return status;
    }
    if (!readable || (place->begun &&
                      memcmp(&case_id, &place->case_id, sizeof case_id) == 0)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a case of the store '%s' stays to be settled",
                              store->folder);
        cb_error_meaning(error, "no entry is concerned; its lists are not up "
                                "to date");
        cb_error_next(error, "casebound doctor");
        return status;
    }
    *place = (cb_settle_place){ .begun = true, .case_id = case_id };
    return CB_OK;
}

static size_t count_conflicts(cb_store *store, const cb_case_id *case_id)
{
    cb_query query = cb_query_begin(store->database, "case_find");
    cb_query_bind_blob(&query, ":id", case_id->bytes, sizeof case_id->bytes);
    size_t count = cb_query_step(&query, NULL) == CB_OK
                       ? (size_t)cb_query_integer(&query, 1)
                       : 0;
    cb_query_end(&query);
    return count;
}

cb_status cb_exchange_settle(cb_store *store, size_t *ret_cases,
                             size_t *ret_conflicts, cb_error *reterr_error)
{
    cb_settle_place place = { .begun = false };
    size_t cases = 0;
    size_t fresh = 0;
    cb_status status = cb_settle_next(store, &place, reterr_error);
    while (status == CB_OK) {
        size_t before = count_conflicts(store, &place.case_id);
        size_t after = 0;
        cb_facts_forget(store, &place.case_id);
        status =
            cb_settle_case(store, &place.case_id, NULL, &after, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        cases++;
        fresh += after > before ? after - before : 0;
        status = cb_settle_next(store, &place, reterr_error);
    }
    if (status == CB_END) {
        *ret_cases = cases;
        *ret_conflicts = fresh;
        return CB_OK;
    }
    return status;
}
