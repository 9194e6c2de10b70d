/* SPDX-License-Identifier: Apache-2.0 */
/* Documents about the store as a whole, and the state of one case. */
#include "base/json.h"
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

static cb_status no_memory(cb_error *error)
{
    return cb_error_set(error, CB_NO_MEMORY, "out of memory");
}

static cb_status fold(cb_store *store, const cb_case_id *case_id,
                      const cb_fact *facts, size_t count,
                      cb_case_state **ret_state, cb_error *error)
{
    store->naming_case = *case_id;
    cb_status status = cb_fold(store->model, facts, count, ret_state, error);
    if (status == CB_OK && cb_facts_are_partial(store, case_id)) {
        cb_case_state_mark_partial(*ret_state);
    }
    return status;
}

cb_status cb_store_case_state(cb_store *store, const cb_case_id *case_id,
                              cb_case_state **ret_state, cb_error *reterr_error)
{
    const cb_fact *facts = NULL;
    size_t count = 0;
    cb_status status =
        cb_facts_load(store, case_id, &facts, &count, reterr_error);
    if (status == CB_OK && count == 0) {
        status = cb_error_set(reterr_error, CB_NOT_FOUND,
                              "nothing of that case can be read here");
    }
    return status == CB_OK
               ? fold(store, case_id, facts, count, ret_state, reterr_error)
               : status;
}

cb_status cb_store_case_state_at(cb_store *store, const cb_case_id *case_id,
                                 cb_as_of as_of, int64_t at_ms,
                                 cb_case_state **ret_state,
                                 cb_error *reterr_error)
{
    const cb_fact *facts = NULL;
    size_t count = 0;
    size_t kept = 0;
    cb_status status =
        cb_facts_load(store, case_id, &facts, &count, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_fact *chosen = calloc(count + 1, sizeof *chosen);
    if (chosen == NULL) {
        return no_memory(reterr_error);
    }
    for (size_t i = 0; i < count; i++) {
        int64_t ms = as_of == CB_AS_RECEIVED ? facts[i].received_ms
                                             : cb_entry_time_ms(facts[i].time);
        if (ms <= at_ms) {
            chosen[kept++] = facts[i];
        }
    }
    status = kept == 0
                 ? cb_error_set(reterr_error, CB_NOT_FOUND,
                                "nothing of that case was known then")
                 : fold(store, case_id, chosen, kept, ret_state, reterr_error);
    free(chosen);
    return status;
}

/*
 * Fingerprint and number of entries as they stand in the row, or, where they
 * were left for later, of the case.
 */
static bool find_fingerprint(cb_store *store, const cb_query *query,
                             cb_hash *ret_hash, int64_t *ret_entries)
{
    cb_case_id case_id;
    const cb_case_state *state = NULL;
    *ret_entries = cb_query_integer(query, 6);
    if (!cb_query_copy(query, 7, ret_hash->bytes, sizeof ret_hash->bytes)) {
        return false;
    }
    if (!cb_is_zero(ret_hash->bytes, sizeof ret_hash->bytes)) {
        return true;
    }
    if (!cb_query_copy(query, 0, case_id.bytes, sizeof case_id.bytes) ||
        cb_facts_fingerprint(store, &case_id, ret_hash, NULL) != CB_OK ||
        cb_facts_state(store, &case_id, &state, NULL) != CB_OK) {
        return false;
    }
    *ret_entries = (int64_t)cb_case_state_fact_count(state);
    return true;
}

cb_status cb_store_case_list(cb_store *store, json_t **ret_document,
                             cb_error *reterr_error)
{
    json_t *cases = json_array();
    cb_query query = cb_query_begin(store->database, "case_list");
    cb_status status = cb_query_step(&query, reterr_error);
    while (status == CB_OK) {
        json_t *summary = NULL;
        char fingerprint[CB_FINGERPRINT_SHORT_BYTES] = "";
        cb_hash hash;
        cb_span id = cb_query_blob(&query, 0);
        int64_t entries = 0;
        if (find_fingerprint(store, &query, &hash, &entries)) {
            cb_fingerprint_short(&hash, fingerprint);
        }
        if (cb_json_parse(cb_span_of_text(cb_query_text(&query, 8)), &summary,
                          NULL) != CB_OK) {
            summary = NULL;
        }
        json_t *row = json_pack(
            "{s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "case",
            cb_json_hex(id.bytes, id.size), "reference",
            cb_query_text(&query, 1), "stage", cb_query_text(&query, 2),
            "state", cb_query_text(&query, 3), "conflicts",
            (json_int_t)cb_query_integer(&query, 4), "tasks",
            (json_int_t)cb_query_integer(&query, 5), "entries",
            (json_int_t)entries, "fingerprint", fingerprint);
        (void)json_object_update_missing(row, summary);
        (void)json_array_append_new(cases, row);
        json_decref(summary);
        status = cb_query_step(&query, reterr_error);
    }
    cb_query_end(&query);
    json_t *document = json_pack("{s:s, s:o}", "schema",
                                 "casebound.case_list.v1", "cases", cases);
    if (status != CB_END || document == NULL) {
        json_decref(document);
        return status == CB_END ? no_memory(reterr_error) : status;
    }
    *ret_document = document;
    return CB_OK;
}

/* A stored issue with its names filled in. */
static json_t *present_issue(cb_store *store, const cb_query *query)
{
    json_t *issue = NULL;
    cb_buffer sentence;
    if (cb_json_parse(cb_span_of_text(cb_query_text(query, 0)), &issue, NULL) !=
        CB_OK) {
        return NULL;
    }
    cb_span id = cb_query_blob(query, 2);
    (void)cb_query_copy(query, 2, store->naming_case.bytes,
                        sizeof store->naming_case.bytes);
    (void)json_object_set_new(issue, "case", cb_json_hex(id.bytes, id.size));
    (void)json_object_set_new(issue, "reference",
                              json_string(cb_query_text(query, 1)));
    cb_buffer_init(&sentence, CB_JSON_DOCUMENT_BYTES_MAX);
    const char *text = cb_json_text(issue, "sentence");
    cb_sentence_append(text == NULL ? "" : text, &store->naming, &sentence);
    (void)json_object_set_new(issue, "sentence",
                              json_string(cb_buffer_text(&sentence)));
    cb_buffer_clear(&sentence);
    return issue;
}

cb_status cb_store_issue_list(cb_store *store, const char *form,
                              const cb_case_id *case_id, json_t **ret_document,
                              cb_error *reterr_error)
{
    bool conflicts = strcmp(form, "conflict") == 0;
    json_t *issues = json_array();
    cb_query query = cb_query_begin(
        store->database,
        case_id == NULL ? (conflicts ? "conflict_list" : "task_list")
                        : (conflicts ? "conflict_of_case" : "task_of_case"));
    if (case_id != NULL) {
        cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                           sizeof case_id->bytes);
    }
    cb_status status = cb_query_step(&query, reterr_error);
    while (status == CB_OK) {
        json_t *issue = present_issue(store, &query);
        if (issue != NULL) {
            (void)json_array_append_new(issues, issue);
        }
        status = cb_query_step(&query, reterr_error);
    }
    cb_query_end(&query);
    json_t *document =
        json_pack("{s:s, s:o}", "schema",
                  conflicts ? "casebound.conflicts.v1" : "casebound.tasks.v1",
                  conflicts ? "conflicts" : "tasks", issues);
    if (status != CB_END || document == NULL) {
        json_decref(document);
        return status == CB_END ? no_memory(reterr_error) : status;
    }
    *ret_document = document;
    return CB_OK;
}

static json_t *list_devices(cb_store *store, cb_span person)
{
    json_t *devices = json_array();
    cb_query query = cb_query_begin(store->database, "person_device_list");
    cb_query_bind_blob(&query, ":person", person.bytes, person.size);
    while (cb_query_step(&query, NULL) == CB_OK) {
        cb_span device = cb_query_blob(&query, 0);
        cb_span stream = cb_query_blob(&query, 3);
        (void)json_array_append_new(
            devices,
            json_pack("{s:o, s:b, s:b, s:o, s:I}", "device",
                      cb_json_hex(device.bytes, device.size), "hub",
                      (int)(cb_query_integer(&query, 1) == 1), "revoked",
                      (int)(cb_query_integer(&query, 2) == 1), "stream",
                      stream.size == 0 ? json_null()
                                       : cb_json_hex(stream.bytes, stream.size),
                      "entries", (json_int_t)cb_query_integer(&query, 4)));
    }
    cb_query_end(&query);
    return devices;
}

cb_status cb_store_people(cb_store *store, json_t **ret_document,
                          cb_error *reterr_error)
{
    json_t *people = json_array();
    cb_query query = cb_query_begin(store->database, "person_list");
    cb_status status = cb_query_step(&query, reterr_error);
    while (status == CB_OK) {
        json_t *roles = NULL;
        cb_span person = cb_query_blob(&query, 0);
        if (cb_json_parse(cb_span_of_text(cb_query_text(&query, 1)), &roles,
                          NULL) != CB_OK) {
            roles = NULL;
        }
        (void)json_array_append_new(
            people, json_pack("{s:o, s:s, s:o, s:o}", "person",
                              cb_json_hex(person.bytes, person.size), "name",
                              cb_query_text(&query, 2), "roles",
                              roles == NULL ? json_array() : roles, "devices",
                              list_devices(store, person)));
        status = cb_query_step(&query, reterr_error);
    }
    cb_query_end(&query);
    json_t *document = json_pack("{s:s, s:i, s:o}", "schema",
                                 "casebound.people.v1", "roster_version",
                                 (int)store->identity.roster, "people", people);
    if (status != CB_END || document == NULL) {
        json_decref(document);
        return status == CB_END ? no_memory(reterr_error) : status;
    }
    *ret_document = document;
    return CB_OK;
}

static cb_status read_counts(cb_store *store, const char *statement,
                             int64_t *counts, int columns, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, statement);
    cb_status status = cb_query_step(&query, error);
    for (int i = 0; i < columns && status == CB_OK; i++) {
        counts[i] = cb_query_integer(&query, i);
    }
    cb_query_end(&query);
    return status;
}

static json_t *describe_identity(const cb_store_identity *identity)
{
    return json_pack(
        "{s:s, s:o, s:s, s:o, s:b, s:o, s:o, s:s, s:b}", "service",
        identity->realm_name, "realm",
        cb_json_hex(identity->realm.bytes, sizeof identity->realm.bytes),
        "name", identity->person_name, "person",
        cb_json_hex(identity->person.bytes, sizeof identity->person.bytes),
        "hub", (int)identity->hub, "device",
        cb_json_hex(identity->device.bytes, sizeof identity->device.bytes),
        "stream",
        cb_json_hex(identity->stream.bytes, sizeof identity->stream.bytes),
        "log", identity->log_address, "restored", (int)identity->restored);
}

cb_status cb_store_status_document(cb_store *store, json_t **ret_document,
                                   cb_error *reterr_error)
{
    const cb_store_identity *identity = &store->identity;
    int64_t cases[3] = { 0 };
    int64_t entries[2] = { 0 };
    uint64_t unreceipted = 0;
    uint64_t unpushed = 0;
    cb_status status =
        read_counts(store, "case_counts", cases, 3, reterr_error);
    if (status == CB_OK) {
        status = read_counts(store, "entry_counts", entries, 2, reterr_error);
    }
    if (status == CB_OK && identity->joined) {
        status =
            cb_exchange_unsent(store, &unreceipted, &unpushed, reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    json_t *document = json_pack(
        "{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, "
        "s:I}",
        "schema", "casebound.status.v1", "store", store->folder, "joined",
        (int)identity->joined, "cases", (json_int_t)cases[0], "conflicts",
        (json_int_t)cases[1], "tasks", (json_int_t)cases[2], "waiting",
        (json_int_t)entries[0], "quarantined", (json_int_t)entries[1],
        "entries_written", (json_int_t)identity->head_seq, "safe_at_hub_up_to",
        (json_int_t)identity->accepted_seq, "unsent", (json_int_t)unpushed,
        "without_receipt", (json_int_t)unreceipted, "roster_version",
        (int)identity->roster, "checkpoint_size",
        (json_int_t)identity->seen_size);
    if (document == NULL) {
        return no_memory(reterr_error);
    }
    if (identity->joined) {
        (void)json_object_set_new(document, "identity",
                                  describe_identity(identity));
    }
    *ret_document = document;
    return CB_OK;
}
