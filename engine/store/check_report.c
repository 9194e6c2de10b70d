/* SPDX-License-Identifier: Apache-2.0 */
/* The findings of a check: counted all, listed some of each code. */
#include "store/check.h"

#include "base/json.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *code;
    cb_severity severity;
    bool derived;
    const char *meaning;
    const char *next;
} rows[CB_CHECK_CODE_COUNT] = {

#define CB_CHECK(name, code, severity, derived, meaning, next) \
    { code, CB_SEVERITY_##severity, derived, meaning, next },
#include "store/check_codes.def"
#undef CB_CHECK
};

const char *cb_severity_word(cb_severity severity)
{
    switch (severity) {
    case CB_SEVERITY_DAMAGE: return "damage";
    case CB_SEVERITY_WARNING: return "warning";
    case CB_SEVERITY_INFORMATION:
    default: return "information";
    }
}

/* The row of a code, or CB_CHECK_CODE_COUNT. */
static size_t find_code(const char *code)
{
    size_t i = 0;
    while (i < CB_CHECK_CODE_COUNT && strcmp(rows[i].code, code) != 0) {
        i++;
    }
    return i;
}

cb_status cb_check_report_create(const char *folder,
                                 cb_check_report **ret_report, cb_error *error)
{
    cb_check_report *report = calloc(1, sizeof *report);
    char *copy = strdup(folder);
    if (report == NULL || copy == NULL) {
        free(report);
        free(copy);
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    report->folder = copy;
    *ret_report = report;
    return CB_OK;
}

void cb_check_report_destroy(cb_check_report *report)
{
    if (report == NULL) {
        return;
    }
    for (size_t i = 0; i < report->repair_count; i++) {
        free(report->repairs[i]);
    }
    free(report->findings);
    free(report->folder);
    free(report);
}

static cb_status push(cb_check_report *report, const cb_finding *finding,
                      cb_error *error)
{
    if (report->count == report->capacity) {
        size_t capacity = report->capacity == 0 ? 16 : 2 * report->capacity;
        cb_finding *grown =
            realloc(report->findings, capacity * sizeof *report->findings);
        if (grown == NULL) {
            return cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        report->findings = grown;
        report->capacity = capacity;
    }
    report->findings[report->count++] = *finding;
    return CB_OK;
}

/* Texts from a disk may be anything; a document holds text. */
static void make_text(char *text)
{
    json_t *value = json_string(text);
    for (char *c = text; value == NULL && *c != '\0'; c++) {
        *c = *c >= 0x20 && *c < 0x7f ? *c : '?';
    }
    json_decref(value);
}

static cb_status add(cb_check_report *report, size_t code, cb_finding *finding,
                     cb_error *error)
{
    finding->severity = rows[code].severity;
    finding->derived = rows[code].derived;
    (void)snprintf(finding->code, sizeof finding->code, "%s", rows[code].code);
    (void)snprintf(finding->meaning, sizeof finding->meaning, "%s",
                   rows[code].meaning);
    (void)snprintf(finding->next, sizeof finding->next, "%s", rows[code].next);
    make_text(finding->what);
    make_text(finding->place.file);
    make_text(finding->place.subject);
    report->counts[code]++;
    return report->counts[code] > CB_CHECK_FINDINGS_MAX
               ? CB_OK
               : push(report, finding, error);
}

cb_status cb_check_note(cb_check_report *report, const char *code,
                        const char *file, const char *what,
                        cb_error *reterr_error)
{
    cb_finding finding = { .repaired = false };
    size_t row = find_code(code);
    CB_ASSERT(row < CB_CHECK_CODE_COUNT);
    if (file != NULL) {
        finding.place = cb_check_at_file(file);
    }
    (void)snprintf(finding.what, sizeof finding.what, "%s", what);
    cb_status status = add(report, row, &finding, reterr_error);
    bool is_place =
        row == CB_CHECK_OUTGOING_DAMAGED || row == CB_CHECK_INCOMING_DAMAGED;
    if (status == CB_OK && is_place &&
        report->counts[CB_CHECK_OUTGOING_DAMAGED] +
                report->counts[CB_CHECK_INCOMING_DAMAGED] ==
            1) {
        status = cb_check_report_plan(report, reterr_error,
                                      "make again what sync keeps beside the "
                                      "store");
    }
    return status;
}

static void mark_repaired(cb_check_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        cb_finding *finding = &report->findings[i];
        finding->repaired = report->repaired[find_code(finding->code)];
    }
}

void cb_check_note_repaired(cb_check_report *report, const char *code)
{
    size_t row = find_code(code);
    CB_ASSERT(row < CB_CHECK_CODE_COUNT && rows[row].derived);
    report->repaired[row] = true;
    mark_repaired(report);
}

cb_status cb_check_found(cb_check *check, enum cb_check_code code,
                         const cb_check_place *place, const char *format, ...)
{
    cb_finding finding = { .repaired = false };
    va_list arguments;
    if (place != NULL) {
        finding.place = *place;
    }
    va_start(arguments, format);
    (void)vsnprintf(finding.what, sizeof finding.what, format, arguments);
    va_end(arguments);
    return add(check->report, code, &finding, &check->error);
}

uint64_t cb_check_seen(const cb_check *check, enum cb_check_code code)
{
    return check->report->counts[code];
}

bool cb_check_report_refuses(const cb_check_report *report)
{
    for (size_t i = 0; i < CB_CHECK_CODE_COUNT; i++) {
        if (report->counts[i] > 0 && rows[i].severity == CB_SEVERITY_DAMAGE &&
            !rows[i].derived) {
            return true;
        }
    }
    return false;
}

bool cb_check_report_derived(const cb_check_report *report)
{
    for (size_t i = 0; i < CB_CHECK_CODE_COUNT; i++) {
        if (report->counts[i] > 0 && rows[i].derived && !report->repaired[i]) {
            return true;
        }
    }
    return false;
}

cb_status cb_check_report_settle(cb_check_report *report,
                                 const cb_check_report *later, cb_error *error)
{
    bool fresh[CB_CHECK_CODE_COUNT];
    cb_status status = CB_OK;
    for (size_t i = 0; i < CB_CHECK_CODE_COUNT; i++) {
        fresh[i] = report->counts[i] == 0;
        report->repaired[i] = report->repaired[i] ||
                              (report->counts[i] > 0 && later->counts[i] == 0);
        report->counts[i] += fresh[i] ? later->counts[i] : 0;
    }
    for (size_t i = 0; i < later->count && status == CB_OK; i++) {
        if (fresh[find_code(later->findings[i].code)]) {
            status = push(report, &later->findings[i], error);
        }
    }
    report->checked = later->checked;
    report->unfinished = later->unfinished;
    mark_repaired(report);
    return status;
}

size_t cb_check_finding_count(const cb_check_report *report)
{
    return report->count;
}

const cb_finding *cb_check_finding(const cb_check_report *report, size_t index)
{
    CB_ASSERT(index < report->count);
    return &report->findings[index];
}

uint64_t cb_check_count(const cb_check_report *report, cb_severity severity)
{
    uint64_t count = 0;
    for (size_t i = 0; i < CB_CHECK_CODE_COUNT; i++) {
        if (rows[i].severity == severity && !report->repaired[i]) {
            count += report->counts[i];
        }
    }
    return count;
}

uint64_t cb_check_not_listed(const cb_check_report *report)
{
    uint64_t count = 0;
    for (size_t i = 0; i < CB_CHECK_CODE_COUNT; i++) {
        count += report->counts[i];
    }
    return count - report->count;
}

uint64_t cb_check_count_of(const cb_check_report *report, const char *code)
{
    size_t row = find_code(code);
    return row == CB_CHECK_CODE_COUNT ? 0 : report->counts[row];
}

cb_status cb_check_outcome(const cb_check_report *report,
                           cb_error *reterr_error)
{
    uint64_t damage = cb_check_count(report, CB_SEVERITY_DAMAGE);
    if (damage > 0) {
        cb_status status =
            cb_error_set(reterr_error, CB_DAMAGED,
                         "%llu place%s of the store '%s' %s "
                         "damaged",
                         (unsigned long long)damage, damage == 1 ? "" : "s",
                         report->folder, damage == 1 ? "is" : "are");
        cb_error_meaning(reterr_error, "what was synced is safe at the hub");
        cb_error_next(reterr_error, "casebound doctor");
        return status;
    }
    if (report->unfinished) {
        return cb_error_set(reterr_error, CB_UNCHECKED,
                            "the store '%s' could not be checked to the end",
                            report->folder);
    }
    return CB_OK;
}

/* ---------------------------------------------------------------- repairs */

cb_status cb_check_report_plan(cb_check_report *report, cb_error *error,
                               const char *format, ...)
{
    char text[CB_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CB_ASSERT(report->repair_count < CB_CHECK_REPAIRS_MAX);
    char *copy = strdup(text);
    if (copy == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    report->repairs[report->repair_count++] = copy;
    return CB_OK;
}

size_t cb_check_repair_count(const cb_check_report *report)
{
    return report->repair_count;
}

const char *cb_check_repair(const cb_check_report *report, size_t index)
{
    CB_ASSERT(index < report->repair_count);
    return report->repairs[index];
}

const char *cb_check_repair_refused(const cb_check_report *report)
{
    return cb_check_report_refuses(report) && cb_check_report_derived(report)
               ? "entries, keys or pages are damaged, and what would be built "
                 "from them would be wrong too"
               : NULL;
}

/* --------------------------------------------------------------- document */

static json_t *describe_place(const cb_check_place *place)
{
    json_t *value = json_object();
    if (place->file[0] != '\0') {
        (void)json_object_set_new(value, "file", json_string(place->file));
    }
    if (place->page != 0) {
        (void)json_object_set_new(value, "page",
                                  json_integer((json_int_t)place->page));
    }
    if (place->has_stream) {
        (void)json_object_set_new(
            value, "stream",
            cb_json_hex(place->stream.bytes, sizeof place->stream.bytes));
    }
    if (place->seq != 0) {
        (void)json_object_set_new(value, "seq",
                                  json_integer((json_int_t)place->seq));
    }
    if (place->has_case) {
        (void)json_object_set_new(
            value, "case",
            cb_json_hex(place->case_id.bytes, sizeof place->case_id.bytes));
    }
    if (place->subject[0] != '\0') {
        (void)json_object_set_new(value, "subject",
                                  json_string(place->subject));
    }
    return value;
}

static json_t *describe_finding(const cb_finding *finding)
{
    return json_pack(
        "{s:s, s:s, s:b, s:b, s:o, s:s, s:s, s:s}", "code", finding->code,
        "severity", cb_severity_word(finding->severity), "derived",
        (int)finding->derived, "repaired", (int)finding->repaired, "place",
        describe_place(&finding->place), "what", finding->what, "meaning",
        finding->meaning, "next", finding->next);
}

static const char *result_word(const cb_check_report *report)
{
    if (cb_check_count(report, CB_SEVERITY_DAMAGE) > 0) {
        return "damaged";
    }
    if (report->unfinished) {
        return "unchecked";
    }
    for (size_t i = 0; i < CB_CHECK_CODE_COUNT; i++) {
        if (report->repaired[i]) {
            return "repaired";
        }
    }
    return cb_check_count(report, CB_SEVERITY_WARNING) > 0 ? "warnings"
                                                           : "well";
}

static json_t *describe_lists(const cb_check_report *report, json_t *counts)
{
    json_t *findings = json_array();
    json_t *repairs = json_array();
    for (size_t i = 0; i < report->count; i++) {
        (void)json_array_append_new(findings,
                                    describe_finding(&report->findings[i]));
    }
    for (size_t i = 0; i < report->repair_count; i++) {
        (void)json_array_append_new(repairs, json_string(report->repairs[i]));
    }
    for (size_t i = 0; i < CB_CHECK_CODE_COUNT; i++) {
        if (report->counts[i] > 0) {
            (void)json_object_set_new(
                counts, rows[i].code,
                json_integer((json_int_t)report->counts[i]));
        }
    }
    return json_pack("{s:o, s:o}", "findings", findings, "repairs", repairs);
}

cb_status cb_check_document(const cb_check_report *report,
                            json_t **ret_document, cb_error *reterr_error)
{
    const uint64_t failures = cb_json_failures();
    json_t *counts = json_object();
    json_t *lists = describe_lists(report, counts);
    const char *refused = cb_check_repair_refused(report);
    json_t *document = json_pack(
        "{s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:s*}",
        "schema", "casebound.doctor.v1", "store", report->folder, "result",
        result_word(report), "checked", "pages",
        (json_int_t)report->checked.pages, "frames",
        (json_int_t)report->checked.frames, "streams",
        (json_int_t)report->checked.streams, "entries",
        (json_int_t)report->checked.entries, "keys",
        (json_int_t)report->checked.keys, "cases",
        (json_int_t)report->checked.cases, "counts", counts, "refused",
        refused);
    if (document == NULL || lists == NULL ||
        json_object_update(document, lists) != 0 ||
        cb_json_failures() != failures) {
        json_decref(document);
        json_decref(lists);
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    json_decref(lists);
    *ret_document = document;
    return CB_OK;
}
