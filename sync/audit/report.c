/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/report.h"

#include <casebound/audit.h>
#include <casebound/json.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct gap_row {
    const char *what;
    bool weighs; /* the check was to look there and could not */
    const char *sentence;
} gap_row;

static const gap_row gap_rows[CB_GAP_COUNT] = {
    [CB_GAP_SIGNATURES] = { "signatures", false,
                            "signatures that the fast mode did not check one "
                            "by one" },
    [CB_GAP_SEALED] = { "sealed_bodies", false,
                        "entries whose content is sealed: this check has no "
                        "keys" },
    [CB_GAP_CONTENT] = { "absent_bodies", false,
                         "entries whose body is not in this copy; their stubs "
                         "were checked" },
    [CB_GAP_UNMERGED] = { "not_yet_merged", false,
                          "entries in the devices' branches that the log does "
                          "not have yet" },
    [CB_GAP_CLOCK] = { "claimed_times", false,
                       "claimed times that lie ahead of all that the log "
                       "knows" },
    [CB_GAP_TRUST] = { "trust", true,
                       "signatures of which no certified key is known" },
    [CB_GAP_LOST] = { "lost_entries", true,
                      "entries of which this copy lost the stub" },
    [CB_GAP_NEWER] = { "newer_version", true,
                       "things that a newer version wrote" },
    [CB_GAP_RECEIPTS] = { "receipts", true,
                          "receipts in a form that this version cannot read" },
    [CB_GAP_LIMIT] = { "limits", true,
                       "things beyond the documented limits of this check" },
    [CB_GAP_REFUSED] = { "refused", true,
                         "copies that were not read because Git may show "
                         "something else than what is stored" },
};

void cb_report_init(cb_report *report)
{
    *report = (cb_report){ .findings = json_array() };
    report->out_of_memory = report->findings == NULL;
}

void cb_report_clear(cb_report *report)
{
    json_decref(report->findings);
    *report = (cb_report){ 0 };
}

json_t *cb_report_evidence(const char *name, const cb_hash *hash,
                           const char *other_name, const cb_hash *other)
{
    json_t *evidence = json_object();
    if (hash != NULL) {
        (void)json_object_set_new(evidence, name,
                                  cb_json_hex(hash->bytes, sizeof hash->bytes));
    }
    if (other != NULL) {
        (void)json_object_set_new(
            evidence, other_name,
            cb_json_hex(other->bytes, sizeof other->bytes));
    }
    return evidence;
}

static bool put_text(json_t *place, const char *name, const char *text)
{
    /* Names of files and refs may be anything; what is shown is ASCII. */
    char shown[256];
    if (text == NULL) {
        return true;
    }
    (void)snprintf(shown, sizeof shown, "%.255s", text);
    for (char *letter = shown; *letter != '\0'; letter++) {
        if (*letter < 0x20 || *letter >= 0x7f) {
            *letter = '?';
        }
    }
    return json_object_set_new(place, name, json_string(shown)) == 0;
}

static bool put_number(json_t *place, const char *name, uint64_t value)
{
    return json_object_set_new(place, name, json_integer((json_int_t)value)) ==
           0;
}

static json_t *place_document(const cb_audit_place *place)
{
    json_t *value = json_object();
    bool good = value != NULL && put_text(value, "ref", place->ref) &&
                put_text(value, "path", place->path) &&
                put_text(value, "holder", place->holder);
    if (good && place->commit != NULL) {
        char text[CB_GIT_OID_TEXT_BYTES];
        cb_git_oid_format(place->commit, text);
        good = put_text(value, "commit", text);
    }
    if (good && place->stream != NULL) {
        good = json_object_set_new(
                   value, "stream",
                   cb_json_hex(place->stream, sizeof *place->stream)) == 0;
    }
    if (good && place->seq != 0) {
        good = put_number(value, "seq", place->seq);
    }
    if (good && place->log_index != 0) {
        good = put_number(value, "log_index", place->log_index - 1);
    }
    if (!good) {
        json_decref(value);
        value = NULL;
    }
    return value;
}

json_t *cb_report_find(cb_report *report, const char *code,
                       const cb_audit_place *place, json_t *evidence,
                       const char *format, ...)
{
    char sentence[CB_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    report->finding_count++;
    if (json_array_size(report->findings) >= CB_AUDIT_FINDINGS_MAX) {
        json_decref(evidence);
        return NULL;
    }
    json_t *finding =
        json_pack("{s:s, s:s, s:o, s:o}", "code", code, "sentence", sentence,
                  "place", place_document(place), "evidence",
                  evidence == NULL ? json_object() : evidence);
    if (json_array_append_new(report->findings, finding) != 0) {
        report->out_of_memory = true;
        return NULL;
    }
    return finding;
}

void cb_report_gap(cb_report *report, cb_audit_gap gap, uint64_t count)
{
    report->gaps[gap] += count;
}

cb_status cb_report_result(const cb_report *report)
{
    if (report->finding_count > 0) {
        return CB_FINDINGS;
    }
    for (size_t i = 0; i < CB_GAP_COUNT; i++) {
        if (report->gaps[i] > 0 && gap_rows[i].weighs) {
            return CB_UNCHECKED;
        }
    }
    return CB_OK;
}

json_t *cb_report_unchecked(const cb_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < CB_GAP_COUNT; i++) {
        if (report->gaps[i] > 0) {
            (void)json_array_append_new(
                list, json_pack("{s:s, s:I, s:s}", "what", gap_rows[i].what,
                                "count", (json_int_t)report->gaps[i],
                                "sentence", gap_rows[i].sentence));
        }
    }
    return list;
}
