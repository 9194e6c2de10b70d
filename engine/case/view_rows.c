/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a timeline: one for each record that an entry touches. */
#include "base/json.h"
#include "case/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  INT64_C(86400000)

static const char *op_name(const cb_op *op)
{
    switch (op->kind) {
    case CB_OP_CREATE: return "create";
    case CB_OP_PART: return "part";
    case CB_OP_SET: return "set";
    case CB_OP_STRIKE: return "strike";
    case CB_OP_RESOLVE: return "resolve";
    case CB_OP_OVERRIDE: return "override";
    }
    return "";
}

static void append_summary(cb_view *view, const cb_case_record *record,
                           const json_t *fields, cb_buffer *text)
{
    if (record->type != NULL) {
        cb_type_summary(record->type, fields, &view->words, text);
    } else {
        cb_buffer_append_format(text, "%s (made by a newer version)",
                                record->type_name);
    }
}

/* The values in force, as an object: what a struck or decided record says. */
static json_t *collect(const cb_case_record *record)
{
    json_t *fields = json_object();
    for (size_t i = 0; i < record->field_count && fields != NULL; i++) {
        if (record->fields[i].value != NULL) {
            (void)json_object_set(fields, record->fields[i].name,
                                  (json_t *)(uintptr_t)record->fields[i].value);
        }
    }
    return fields;
}

/* What a field was before an entry wrote it, as its author knew. */
static const json_t *value_before(const cb_case_state *state,
                                  const cb_merged *merged, size_t entry)
{
    const json_t *value = NULL;
    for (size_t i = 0; i < merged->write_count; i++) {
        if (cb_case_knows(state, entry, merged->writes[i].entry)) {
            value = merged->writes[i].value;
        }
    }
    return value;
}

static void set_changes(cb_view *view, json_t *row,
                        const cb_case_record *record, const cb_op *op)
{
    const char *name;
    json_t *value;
    json_t *changes = json_array();
    json_t *fields = json_object_get(op->json, "fields");
    json_object_foreach (fields, name, value) {
        const cb_merged *merged = cb_record_field(record, name);
        json_t *change = json_object();
        const cb_field *field = merged != NULL ? merged->field : NULL;
        cb_view_text(view, change, "field", name);
        cb_view_text(view, change, "title",
                     field != NULL ? field->title : name);
        cb_view_value(view, change, "was", field,
                      merged != NULL
                          ? value_before(view->state, merged, op->entry)
                          : NULL);
        cb_view_value(view, change, "now", field, value);
        cb_view_add(view, changes, change);
    }
    cb_view_set(view, row, "changes", changes);
}

static void set_what(cb_view *view, json_t *row, const cb_case_record *record,
                     const cb_op *op)
{
    cb_buffer text;
    const json_t *fields = cb_json_object(op->json, "fields");
    json_t *now = NULL;
    cb_buffer_init(&text, CB_JSON_DOCUMENT_BYTES_MAX);
    switch (op->kind) {
    case CB_OP_CREATE:
    case CB_OP_PART: append_summary(view, record, fields, &text); break;
    case CB_OP_SET:
        cb_buffer_append_format(&text, "%s corrected",
                                record->type != NULL ? record->type->title
                                                     : record->type_name);
        set_changes(view, row, record, op);
        break;
    case CB_OP_STRIKE:
        now = collect(record);
        cb_buffer_append_text(&text, "Struck out: ");
        append_summary(view, record, now, &text);
        break;
    case CB_OP_RESOLVE:
        cb_buffer_append_format(&text, "Decided: %s",
                                record->type != NULL ? record->type->title
                                                     : record->type_name);
        break;
    case CB_OP_OVERRIDE:
        cb_buffer_append_format(&text, "Rule %s overridden",
                                cb_json_text(op->json, "rule") != NULL
                                    ? cb_json_text(op->json, "rule")
                                    : "?");
        break;
    }
    view->failed = cb_buffer_check(&text, NULL) != CB_OK || view->failed;
    cb_view_text(view, row, "what", cb_buffer_text(&text));
    cb_buffer_clear(&text);
    json_decref(now);
}

static void set_times(cb_view *view, json_t *row, size_t index)
{
    const cb_case_entry *entry = &view->state->entries[index];
    const char *precision =
        cb_json_text(cb_json_object(entry->body, "happened"), "precision");
    int64_t recorded = cb_view_recorded_ms(view->state, index);
    int64_t happened = entry->happened_known ? entry->happened_ms : recorded;
    cb_view_moment(view, row, "happened", happened);
    cb_view_set(view, row, "happened_ms", json_integer(happened));
    cb_view_text(view, row, "precision",
                 precision != NULL ? precision : "minute");
    cb_view_moment(view, row, "recorded", recorded);
    cb_view_set(view, row, "recorded_ms", json_integer(recorded));
}

/* Whether neither of two different entries was written knowing the other. */
static bool are_concurrent(const cb_case_state *state, size_t a, size_t b)
{
    return a != b && a != CB_NOTHING && b != CB_NOTHING &&
           !cb_case_knows(state, a, b) && !cb_case_knows(state, b, a);
}

/* More than one record; each of them is another than any one of them. */
#define SEVERAL (CB_NOTHING - 1)

/*
 * Who wrote without knowing of what, of all issues in one walk: a row would
 * otherwise go through them all, and a hostile case has as many of both.
 */
static void find_unaware(cb_view *view)
{
    const cb_case_state *state = view->state;
    view->warned = calloc(state->counted + 1, sizeof *view->warned);
    view->unaware = calloc(state->record_count + 1, sizeof *view->unaware);
    if (view->warned == NULL || view->unaware == NULL) {
        view->failed = true;
        return;
    }
    for (size_t i = 0; i < state->counted; i++) {
        view->warned[i] = CB_NOTHING;
    }
    for (size_t i = 0; i < state->issue_count; i++) {
        const cb_issue *issue = &state->issues[i];
        size_t owner = cb_case_find_record(state, &issue->record);
        if (issue->row[0] != 'M' || owner == CB_NOTHING ||
            issue->form == CB_ISSUE_FINDING) {
            continue;
        }
        size_t created = state->records[owner].created;
        for (size_t h = 0; h < issue->head_count; h++) {
            size_t head = cb_case_find_entry(state, &issue->heads[h]);
            if (!are_concurrent(state, created, head)) {
                continue;
            }
            size_t *warned = &view->warned[head];
            *warned =
                *warned == CB_NOTHING || *warned == owner ? owner : SEVERAL;
            view->unaware[owner] = true;
        }
    }
}

static void forget_unaware(cb_view *view)
{
    free(view->warned);
    free(view->unaware);
    view->warned = NULL;
    view->unaware = NULL;
}

/* "!" what others did not know of, and who did not know. */
static void add_issue_marks(cb_view *view, json_t *marks, size_t entry,
                            const cb_case_record *record)
{
    size_t index = (size_t)(record - view->state->records);
    if (view->warned == NULL || view->unaware == NULL) {
        return;
    }
    if (view->warned[entry] != CB_NOTHING && view->warned[entry] != index) {
        cb_view_add(view, marks, json_string("!"));
    }
    if (view->unaware[index] && record->created == entry) {
        cb_view_add(view, marks, json_string("did not know of !"));
    }
}

static void set_marks(cb_view *view, json_t *row, size_t index,
                      const cb_case_record *record, const cb_op *op)
{
    const cb_case_state *state = view->state;
    const cb_case_entry *entry = &state->entries[index];
    json_t *marks = json_array();
    int64_t late_ms =
        cb_model_setting_hours(state->model, "late_entry") * HOUR_MS;
    int64_t recorded = cb_view_recorded_ms(state, index);
    if (record->mark != NULL && op->kind == CB_OP_CREATE) {
        cb_view_add(view, marks, json_string(record->mark));
    }
    if (record->replaced && op->kind == CB_OP_CREATE) {
        cb_view_add(view, marks, json_string("replaced"));
    }
    add_issue_marks(view, marks, index, record);
    if (entry->happened_known && (entry->happened_ms < recorded - late_ms) &&
        late_ms > 0) {
        int64_t days = (recorded - entry->happened_ms) / DAY_MS;
        cb_view_add(view, marks, json_sprintf("+%" PRId64 "d", days));
    }
    if (record->struck) {
        cb_view_add(view, marks, json_string("struck"));
    }
    const char *serial = cb_record_code(record, "paper_serial");
    if (serial[0] != '\0' && op->kind == CB_OP_CREATE) {
        cb_view_add(view, marks, json_sprintf("paper %s", serial));
    }
    if (entry->newer) {
        cb_view_add(view, marks, json_string("made by a newer version"));
    }
    cb_view_set(view, row, "marks", marks);
}

static json_t *make_row(cb_view *view, const cb_case_record *record,
                        const cb_op *op)
{
    const cb_case_entry *entry = &view->state->entries[op->entry];
    const char *why = cb_json_text(entry->body, "why");
    json_t *row = json_object();
    cb_view_hex(view, row, "entry", entry->hash.bytes, sizeof entry->hash);
    cb_view_set(view, row, "position", json_integer((json_int_t)op->entry));
    cb_view_text(view, row, "standing", "counts");
    set_times(view, row, op->entry);
    cb_view_author(view, row, op->entry);
    cb_view_hex(view, row, "record", record->id.bytes, sizeof record->id.bytes);
    cb_view_text(view, row, "type", record->type_name);
    cb_view_text(view, row, "op", op_name(op));
    if (record->about_known) {
        cb_view_hex(view, row, "about", record->about.bytes,
                    sizeof record->about.bytes);
        cb_view_party(view, row, "about_name", &record->about);
    }
    set_what(view, row, record, op);
    set_marks(view, row, op->entry, record, op);
    if (why != NULL) {
        cb_view_text(view, row, "why", why);
    }
    return row;
}

static json_t *make_rest(cb_view *view, size_t index)
{
    const cb_case_entry *entry = &view->state->entries[index];
    json_t *row = json_object();
    cb_view_hex(view, row, "entry", entry->hash.bytes, sizeof entry->hash);
    cb_view_text(view, row, "standing",
                 entry->admitted ? "waiting" : "quarantined");
    set_times(view, row, index);
    cb_view_author(view, row, index);
    cb_view_text(view, row, "what",
                 entry->admitted ? "An entry waits for others that are not "
                                   "here yet"
                                 : "An entry is in quarantine until it is "
                                   "admitted");
    cb_view_set(view, row, "marks", json_array());
    return row;
}

typedef struct sortable {
    int64_t happened_ms;
    size_t record;
    size_t first; /* of its siblings */
    const cb_op *op;
} sortable;

static int compare_rows(const void *a, const void *b)
{
    const sortable *left = a;
    const sortable *right = b;
    if (left->happened_ms != right->happened_ms) {
        return left->happened_ms < right->happened_ms ? -1 : 1;
    }
    if (left->op->entry != right->op->entry) {
        return left->op->entry < right->op->entry ? -1 : 1;
    }
    /* Of one id all are in one array; siblings share it. */
    if (left->first != right->first) {
        return left->first < right->first ? -1 : 1;
    }
    if (left->op != right->op) {
        return left->op < right->op ? -1 : 1;
    }
    return left->record < right->record ? -1 : left->record > right->record;
}

json_t *cb_view_rows(cb_view *view)
{
    const cb_case_state *state = view->state;
    json_t *rows = json_array();
    size_t count = 0;
    for (size_t r = 0; r < state->record_count; r++) {
        count += state->records[r].op_count;
    }
    sortable *all = calloc(count + 1, sizeof *all);
    count = 0;
    view->failed = view->failed || all == NULL;
    for (size_t r = 0; r < state->record_count && all != NULL; r++) {
        const cb_case_record *record = &state->records[r];
        for (size_t i = 0; i < record->op_count; i++) {
            const cb_op *op = &record->ops[i];
            const cb_case_entry *entry = &state->entries[op->entry];
            if (!cb_record_takes(state, record, op)) {
                continue;
            }
            all[count] = (sortable){ .happened_ms = entry->happened_known
                                                        ? entry->happened_ms
                                                        : cb_view_recorded_ms(
                                                              state, op->entry),
                                     .record = r,
                                     .first = r - record->sibling,
                                     .op = op };
            count++;
        }
    }
    if (count > 1) {
        qsort(all, count, sizeof *all, compare_rows);
    }
    find_unaware(view);
    for (size_t i = 0; i < count; i++) {
        cb_view_add(view, rows,
                    make_row(view, &state->records[all[i].record], all[i].op));
    }
    for (size_t i = state->counted; i < state->entry_count; i++) {
        cb_view_add(view, rows, make_rest(view, i));
    }
    forget_unaware(view);
    free(all);
    return rows;
}
