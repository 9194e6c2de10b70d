/* SPDX-License-Identifier: Apache-2.0 */
/* Building again what follows from entries and keys. */
#include "store/check.h"

#include <string.h>

static uint64_t seen_roster(const cb_check *check)
{
    return cb_check_seen(check, CB_CHECK_ROSTER_PERSON) +
           cb_check_seen(check, CB_CHECK_ROSTER_PERMISSION) +
           cb_check_seen(check, CB_CHECK_ROSTER_DEVICE) +
           cb_check_seen(check, CB_CHECK_ROSTER_VERSION);
}

static cb_status plan(cb_check *check, uint64_t count, const char *verb,
                      const char *one, const char *many)
{
    return count == 0 ? CB_OK
                      : cb_check_report_plan(
                            check->report, &check->error, "%s %llu %s", verb,
                            (unsigned long long)count, count == 1 ? one : many);
}

cb_status cb_check_plan_repair(cb_check *check)
{
    if (cb_check_report_refuses(check->report)) {
        return CB_OK;
    }
    if (cb_check_seen(check, CB_CHECK_PAGES_TABLE) > 0 &&
        !check->options->repair) {
        return cb_check_report_plan(check->report, &check->error,
                                    "make the table of page versions anew, "
                                    "then look at everything again");
    }
    if (!check->has_loaded) {
        return CB_OK;
    }
    cb_status status =
        plan(check, check->heads.count, "note",
             "stream as its opening and its last entry have it",
             "streams as their openings and last entries have them");
    if (status == CB_OK) {
        status = plan(check, check->entries.count, "judge",
                      "entry anew by its bytes and its key",
                      "entries anew by their bytes and keys");
    }
    if (status == CB_OK && seen_roster(check) > 0) {
        status = cb_check_report_plan(check->report, &check->error,
                                      "replay the roster's entries into its "
                                      "tables");
    }
    if (status == CB_OK) {
        status = plan(check, check->cases.count, "fold",
                      "case anew and write its lists",
                      "cases anew and write their lists");
    }
    if (status == CB_OK &&
        (cb_check_seen(check, CB_CHECK_WITNESS_MISSING) > 0 ||
         cb_check_seen(check, CB_CHECK_WITNESS_DAMAGED) > 0)) {
        status = cb_check_report_plan(check->report, &check->error,
                                      "write the witness anew");
    }
    return status;
}

/* ------------------------------------------------------------------ heads */

static cb_status repair_head(cb_check *check, const cb_check_head *head,
                             cb_error *words)
{
    cb_store *store = check->store;
    cb_query query = cb_query_begin(store->database, "check_stream_restore");
    cb_query_bind_blob(&query, ":device", head->opening.device.bytes,
                       sizeof head->opening.device.bytes);
    cb_query_bind_blob(&query, ":person", head->opening.person.bytes,
                       sizeof head->opening.person.bytes);
    cb_query_bind_blob(&query, ":public_key", head->opening.public_key,
                       sizeof head->opening.public_key);
    cb_query_bind_integer(&query, ":hub", head->opening.hub);
    cb_query_bind_integer(&query, ":number", head->number);
    cb_status status = cb_query_run(&query, words);
    return status == CB_OK && head->moves
               ? cb_stream_move_head(store, head->number, head->seq,
                                     &head->hash, words)
               : status;
}

/* ---------------------------------------------------------------- entries */

static cb_status set_apart(cb_store *store, int64_t number, cb_error *words)
{
    cb_query query = cb_query_begin(store->database, "entry_state");
    cb_query_bind_text(&query, ":state", "quarantined");
    cb_query_bind_text(&query, ":reason",
                       "another entry has this stream and number");
    cb_query_bind_integer(&query, ":number", number);
    return cb_query_run(&query, words);
}

/* The case that the row named loses the entry, too. */
static cb_status touch_case(cb_store *store, const cb_case_id *case_id,
                            cb_error *words)
{
    cb_facts_forget(store, case_id);
    return cb_apply_case(store, case_id, words);
}

static cb_status repair_entry(cb_check *check, const cb_check_entry *entry,
                              cb_error *words)
{
    cb_store *store = check->store;
    cb_case_id case_id;
    cb_buffer bytes;
    cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
    cb_query query = cb_query_begin(store->database, "check_entry");
    cb_query_bind_integer(&query, ":number", entry->number);
    cb_status status = cb_query_step(&query, words);
    bool has_case = status == CB_OK && cb_query_copy(&query, 5, case_id.bytes,
                                                     sizeof case_id.bytes);
    if (status == CB_OK) {
        cb_buffer_append_span(&bytes, cb_query_blob(&query, 8));
        status = cb_buffer_check(&bytes, words);
    }
    cb_query_end(&query);
    if (status == CB_OK) {
        status = entry->fork
                     ? set_apart(store, entry->number, words)
                     : cb_ingest_again(store, entry->number,
                                       cb_span_of_buffer(&bytes), words);
    }
    if (status == CB_OK && has_case) {
        status = touch_case(store, &case_id, words);
    }
    cb_buffer_clear(&bytes);
    return status;
}

/* -------------------------------------------------------------------- all */

/* Cases that the steps before have touched. */
static cb_status rebuild_changed(cb_check *check, cb_error *words)
{
    cb_settle_place place = { .begun = false };
    cb_status status = cb_settle_next(check->store, &place, words);
    while (status == CB_OK) {
        status = cb_check_rebuild_case(check, &place.case_id, words);
        if (status == CB_OK) {
            status = cb_settle_next(check->store, &place, words);
        }
    }
    return status == CB_END ? CB_OK : status;
}

static cb_status repair_lists(cb_check *check, cb_error *words)
{
    cb_status status = CB_OK;
    for (size_t i = 0; i < check->heads.count && status == CB_OK; i++) {
        status = repair_head(check, cb_check_kept(&check->heads, i), words);
    }
    if (status == CB_OK && seen_roster(check) > 0) {
        status = cb_check_replay_roster(check, words);
    }
    for (size_t i = 0; i < check->entries.count && status == CB_OK; i++) {
        status = repair_entry(check, cb_check_kept(&check->entries, i), words);
    }
    /* Roles decide what entries do. */
    cb_facts_forget_all(check->store);
    if (status == CB_OK) {
        status = rebuild_changed(check, words);
    }
    for (size_t i = 0; i < check->cases.count && status == CB_OK; i++) {
        const cb_case_id *case_id = cb_check_kept(&check->cases, i);
        status = cb_check_step(check, "folding cases", i, check->cases.count);
        if (status == CB_OK) {
            status = cb_check_rebuild_case(check, case_id, words);
        }
        cb_facts_forget(check->store, case_id);
    }
    return status;
}

/* The same questions again, of what is about to be committed. */
static cb_status check_again(cb_check *check)
{
    cb_check_report *found = check->report;
    cb_check_report *later = NULL;
    size_t case_count = check->cases.count;
    cb_status status = cb_check_report_create("", &later, &check->error);
    if (status != CB_OK) {
        return status;
    }
    check->report = later;
    status = cb_check_entries(check);
    if (status == CB_OK) {
        status = cb_check_roster(check);
    }
    for (size_t i = 0; i < case_count && status == CB_OK; i++) {
        const cb_case_id case_id =
            *(const cb_case_id *)cb_check_kept(&check->cases, i);
        status = cb_check_case(check, &case_id);
    }
    check->report = found;
    if (status == CB_OK && cb_check_count(later, CB_SEVERITY_DAMAGE) > 0) {
        status = cb_error_set(&check->error, CB_DAMAGED,
                              "what was built again does not hold either: %s",
                              cb_check_finding(later, 0)->what);
        cb_error_next(&check->error, "restore a backup");
    }
    cb_check_report_destroy(later);
    return status;
}

cb_status cb_check_run_repair(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    cb_status status = repair_lists(check, &words);
    /* A head that was wrong may be all that the witness missed. */
    if (status == CB_OK && check->heads.count > 0) {
        status = cb_identity_load(check->store, &words);
    }
    if (status == CB_OK && check->heads.count > 0) {
        status = cb_witness_check(check->store, &words);
    }
    if (status != CB_OK && check->error.status == CB_OK) {
        check->error = words;
    }
    return status == CB_OK ? check_again(check) : status;
}
