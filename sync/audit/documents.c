/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an auditor asks of an open store.
 */
#include <casebound/audit.h>
#include <casebound/exchange.h>
#include <casebound/json.h>
#include <casebound/view.h>
#include <casebound/when.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECKPOINTS_MAX = 65536
};

static cb_status no_memory(cb_error *error)
{
    return cb_error_set(error, CB_NO_MEMORY, "out of memory");
}

cb_status cb_audit_remembered(cb_store *store, cb_audit_checkpoint *checkpoints,
                              size_t count_max, size_t *ret_count,
                              cb_error *reterr_error)
{
    cb_buffer note;
    uint64_t size = INT64_MAX;
    size_t count = 0;
    cb_status status = CB_OK;
    cb_buffer_init(&note, CB_JSON_DOCUMENT_BYTES_MAX);
    while (count < count_max) {
        cb_audit_checkpoint *held = &checkpoints[count];
        cb_buffer_reset(&note);
        status = cb_exchange_checkpoint(store, size, &held->size, &held->root,
                                        &note, reterr_error);
        if (status != CB_OK) {
            break;
        }
        held->holder = "this store";
        count++;
        if (held->size == 0) {
            break;
        }
        size = held->size - 1;
    }
    cb_buffer_clear(&note);
    if (status == CB_OK || status == CB_NOT_FOUND) {
        *ret_count = count;
        status = CB_OK;
    }
    return status;
}

/* ------------------------------------------------------------------ replay */

static json_t *describe_state(const cb_case_state *state,
                              const cb_case_id *case_id)
{
    char shown[CB_FINGERPRINT_SHORT_BYTES];
    const cb_hash fingerprint = cb_case_state_fingerprint(state);
    size_t counting = 0;
    for (size_t i = 0; i < cb_case_state_fact_count(state); i++) {
        counting += cb_case_state_standing(state, i) == CB_FACT_COUNTS;
    }
    cb_fingerprint_short(&fingerprint, shown);
    json_t *row = json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:o, s:I}", "case",
        cb_json_hex(case_id, sizeof *case_id), "reference",
        cb_case_state_reference(state), "state", cb_case_state_word(state),
        "stage", cb_case_state_stage(state), "fingerprint", shown,
        "fingerprint_whole", cb_json_hex(&fingerprint, sizeof fingerprint),
        "entries", (json_int_t)counting);
    int64_t since_ms = 0;
    if (row != NULL && cb_case_state_since_ms(state, &since_ms)) {
        (void)json_object_set_new(row, "since_ms", json_integer(since_ms));
    }
    return row;
}

/* A case of which nothing was known then has no row. */
static cb_status replay_case(cb_store *store, const cb_case_id *case_id,
                             cb_as_of as_of, int64_t at_ms, json_t *rows,
                             cb_error *error)
{
    cb_error why = { 0 };
    cb_case_state *state = NULL;
    cb_status status =
        cb_store_case_state_at(store, case_id, as_of, at_ms, &state, &why);
    if (status == CB_NOT_FOUND) {
        return CB_OK;
    }
    if (status != CB_OK) {
        return cb_error_set(error, status, "%s", why.what);
    }
    if (json_array_append_new(rows, describe_state(state, case_id)) != 0) {
        status = no_memory(error);
    }
    cb_case_state_destroy(state);
    return status;
}

static cb_status replay_all(cb_store *store, cb_as_of as_of, int64_t at_ms,
                            json_t *rows, cb_error *error)
{
    json_t *list = NULL;
    cb_status status = cb_store_case_list(store, &list, error);
    const json_t *cases = json_object_get(list, "cases");
    for (size_t i = 0; i < json_array_size(cases) && status == CB_OK; i++) {
        cb_case_id case_id;
        if (cb_json_bytes(json_array_get(cases, i), "case", case_id.bytes,
                          sizeof case_id.bytes)) {
            status = replay_case(store, &case_id, as_of, at_ms, rows, error);
        }
    }
    json_decref(list);
    return status;
}

static int compare_rows(const void *a, const void *b)
{
    const json_t *left = *(const json_t *const *)a;
    const json_t *right = *(const json_t *const *)b;
    const int order = strcmp(cb_json_text(left, "reference"),
                             cb_json_text(right, "reference"));
    return order != 0 ? order
                      : strcmp(cb_json_text(left, "case"),
                               cb_json_text(right, "case"));
}

/* Steals `rows`. */
static json_t *sort_rows(json_t *rows,
                         int (*compare)(const void *, const void *))
{
    const size_t count = json_array_size(rows);
    json_t *sorted = json_array();
    json_t **list = calloc(count + 1, sizeof(void *));
    if (sorted == NULL || list == NULL) {
        json_decref(sorted);
        json_decref(rows);
        free(list);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = json_array_get(rows, i);
    }
    qsort(list, count, sizeof(void *), compare);
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append(sorted, list[i]);
    }
    free(list);
    json_decref(rows);
    return sorted;
}

cb_status cb_audit_replay_document(cb_store *store, cb_as_of as_of,
                                   int64_t at_ms, const cb_case_id *case_id,
                                   json_t **ret_document,
                                   cb_error *reterr_error)
{
    char at[CB_WHEN_TEXT_BYTES];
    json_t *rows = json_array();
    if (rows == NULL) {
        return no_memory(reterr_error);
    }
    cb_status status =
        case_id == NULL
            ? replay_all(store, as_of, at_ms, rows, reterr_error)
            : replay_case(store, case_id, as_of, at_ms, rows, reterr_error);
    if (status != CB_OK) {
        json_decref(rows);
        return status;
    }
    cb_when_format_instant(at_ms, at);
    json_t *document = json_pack(
        "{s:s, s:s, s:I, s:s, s:o}", "schema", "casebound.audit_replay.v1",
        "as", as_of == CB_AS_RECEIVED ? "received" : "claimed", "at_ms",
        (json_int_t)at_ms, "at", at, "cases", sort_rows(rows, compare_rows));
    if (document == NULL) {
        return no_memory(reterr_error);
    }
    *ret_document = document;
    return CB_OK;
}

/* ---------------------------------------------------------------- timeline */

typedef struct timeline {
    cb_audit_checkpoint *checkpoints; /* newest first */
    size_t checkpoint_count;
    json_t *what; /* rows of the case's own timeline, by entry */
    json_t *rows;
} timeline;

/* The smallest checkpoint held here whose tree has this leaf, or NULL. */
static const cb_audit_checkpoint *first_with(const timeline *line,
                                             int64_t log_index)
{
    const cb_audit_checkpoint *found = NULL;
    for (size_t i = 0; i < line->checkpoint_count && log_index >= 0 &&
                       line->checkpoints[i].size > (uint64_t)log_index;
         i++) {
        found = &line->checkpoints[i];
    }
    return found;
}

static json_t *bracket_of(const timeline *line, const cb_entry_header *header,
                          int64_t log_index)
{
    const cb_audit_checkpoint *first = first_with(line, log_index);
    json_t *bracket =
        json_pack("{s:I}", "after_size", (json_int_t)header->seen_size);
    if (header->seen_size > 0) {
        (void)json_object_set_new(
            bracket, "after_root",
            cb_json_hex(&header->seen_root, sizeof header->seen_root));
    }
    if (log_index >= 0) {
        (void)json_object_set_new(bracket, "log_index",
                                  json_integer((json_int_t)log_index));
    }
    if (first != NULL) {
        (void)json_object_set_new(bracket, "before_size",
                                  json_integer((json_int_t)first->size));
    }
    return bracket;
}

static cb_status add_entry(void *context, cb_span bytes,
                           const cb_case_entry_times *times, cb_error *error)
{
    static const char *const clocks[] = { "unset", "user", "sync", "unknown" };
    timeline *line = context;
    cb_entry entry;
    char hash[CB_HASH_TEXT_BYTES];
    char written[CB_WHEN_TEXT_BYTES];
    char received[CB_WHEN_TEXT_BYTES];
    cb_status status = cb_entry_decode(bytes, &entry, error);
    if (status != CB_OK) {
        return status;
    }
    const int64_t written_ms = cb_entry_time_ms(entry.header.time);
    cb_hex_format(entry.hash.bytes, sizeof entry.hash.bytes, hash);
    cb_when_format_instant(written_ms, written);
    cb_when_format_instant(times->received_ms, received);
    json_t *what = json_object_get(line->what, hash);
    json_t *row = json_pack(
        "{s:s, s:o, s:I, s:s, s:I, s:s, s:s, s:I, s:o, s:O}", "entry", hash,
        "stream", cb_json_hex(&entry.header.stream, sizeof entry.header.stream),
        "seq", (json_int_t)entry.header.seq, "written", written, "written_ms",
        (json_int_t)written_ms, "clock", clocks[entry.header.flags & 3u],
        "received", received, "received_ms", (json_int_t)times->received_ms,
        "bracket", bracket_of(line, &entry.header, times->log_index), "did",
        what == NULL ? json_null() : what);
    return json_array_append_new(line->rows, row) == 0 ? CB_OK
                                                       : no_memory(error);
}

static int compare_entries(const void *a, const void *b)
{
    const json_t *left = *(const json_t *const *)a;
    const json_t *right = *(const json_t *const *)b;
    int64_t left_ms = 0;
    int64_t right_ms = 0;
    (void)cb_json_integer(left, "written_ms", &left_ms);
    (void)cb_json_integer(right, "written_ms", &right_ms);
    if (left_ms != right_ms) {
        return left_ms < right_ms ? -1 : 1;
    }
    return strcmp(cb_json_text(left, "entry"), cb_json_text(right, "entry"));
}

/* What each entry did, as the case's own timeline says it. */
static cb_status read_what(cb_store *store, const cb_case_state *state,
                           json_t **ret_what, cb_error *error)
{
    static const char *const members[] = {
        "who",        "what",     "op",        "record", "type",  "about",
        "about_name", "happened", "precision", "why",    "marks",
    };
    json_t *view = NULL;
    json_t *what = json_object();
    cb_status status =
        cb_view_case_timeline(state, cb_store_naming(store), &view, error);
    const json_t *rows = json_object_get(view, "rows");
    for (size_t i = 0; i < json_array_size(rows) && status == CB_OK; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *entry = cb_json_text(row, "entry");
        if (entry == NULL) {
            continue;
        }
        json_t *list = json_object_get(what, entry);
        if (list == NULL) {
            list = json_array();
            (void)json_object_set_new(what, entry, list);
        }
        json_t *one = json_object();
        for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
            json_t *value = json_object_get(row, members[k]);
            if (value != NULL) {
                (void)json_object_set(one, members[k], value);
            }
        }
        if (json_array_append_new(list, one) != 0) {
            status = no_memory(error);
        }
    }
    json_decref(view);
    *ret_what = what;
    return status;
}

cb_status cb_audit_timeline_document(cb_store *store, const cb_case_id *case_id,
                                     json_t **ret_document,
                                     cb_error *reterr_error)
{
    cb_case_state *state = NULL;
    json_t *document = NULL;
    timeline line = { .rows = json_array() };
    cb_status status = CB_OK;
    line.checkpoints = calloc(CHECKPOINTS_MAX, sizeof *line.checkpoints);
    if (line.rows == NULL || line.checkpoints == NULL) {
        status = no_memory(reterr_error);
        goto out;
    }
    if ((status = cb_store_case_state(store, case_id, &state, reterr_error)) !=
            CB_OK ||
        (status = read_what(store, state, &line.what, reterr_error)) != CB_OK ||
        (status = cb_audit_remembered(store, line.checkpoints, CHECKPOINTS_MAX,
                                      &line.checkpoint_count, reterr_error)) !=
            CB_OK ||
        (status = cb_exchange_case_entries(store, case_id, add_entry, &line,
                                           reterr_error)) != CB_OK) {
        goto out;
    }
    line.rows = sort_rows(line.rows, compare_entries);
    document = json_pack("{s:s, s:o, s:s, s:O}", "schema",
                         "casebound.audit_timeline.v1", "case",
                         cb_json_hex(case_id, sizeof *case_id), "reference",
                         cb_case_state_reference(state), "rows", line.rows);
    if (document == NULL) {
        status = no_memory(reterr_error);
        goto out;
    }
    *ret_document = document;
out:
    json_decref(line.rows);
    json_decref(line.what);
    free(line.checkpoints);
    cb_case_state_destroy(state);
    return status;
}

/* -------------------------------------------------------------------- knew */

cb_status cb_audit_knew_document(cb_store *store, const cb_case_id *case_id,
                                 const cb_person_id *person, int64_t at_ms,
                                 json_t **ret_document, cb_error *reterr_error)
{
    cb_case_state *state = NULL;
    json_t *document = NULL;
    cb_status status =
        cb_store_case_state(store, case_id, &state, reterr_error);
    if (status == CB_OK) {
        status = cb_case_state_knew_document(state, person, at_ms,
                                             cb_store_naming(store), &document,
                                             reterr_error);
    }
    if (status == CB_OK) {
        (void)json_object_set_new(document, "schema",
                                  json_string("casebound.audit_knew.v1"));
        (void)json_object_set_new(document, "at_ms", json_integer(at_ms));
        *ret_document = document;
    }
    cb_case_state_destroy(state);
    return status;
}
