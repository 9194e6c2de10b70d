/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lists show of a case against a fresh fold of its entries.  The case is
 * settled once more in a transaction that is undone: the same code that keeps
 * the tables says what they should hold.
 */
#include "store/check.h"

#include <string.h>

enum {
    CASE_FILE,
    RECORDS,
    CONFLICTS,
    TASKS,
    TABLES
};

static const struct {
    const char *statement;
    enum cb_check_code code;
    const char *what;
} tables[TABLES] = {
    [CASE_FILE] = { "check_case_file", CB_CHECK_STATE_CASE, "row" },
    [RECORDS] = { "check_record", CB_CHECK_STATE_RECORD, "record" },
    [CONFLICTS] = { "check_conflict", CB_CHECK_STATE_CONFLICT, "conflict" },
    [TASKS] = { "check_task", CB_CHECK_STATE_TASK, "task" },
};

struct compared {
    const cb_case_id *case_id;
    size_t table;
    char name[9];
    bool differs;
    bool silent; /* a sync has not folded it yet, and says so */
    bool open;   /* its fingerprint was not taken yet: a process was killed */
};

static cb_query ask(cb_check *check, const char *statement,
                    const cb_case_id *case_id)
{
    cb_query query = cb_query_begin(check->store->database, statement);
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    return query;
}

static cb_status report_row(cb_check *check, void *context, const uint8_t *key,
                            enum cb_check_change change)
{
    struct compared *compared = context;
    cb_check_place place = cb_check_at_case(compared->case_id);
    char id[CB_IDENTIFIER_TEXT_BYTES];
    compared->differs = true;
    if (compared->silent) {
        return CB_OK;
    }
    if (compared->table == CASE_FILE) {
        return cb_check_found(check, CB_CHECK_STATE_CASE, &place,
                              "the list's row of case %s %s", compared->name,
                              cb_check_change_words(change));
    }
    cb_hex_format(key, CB_IDENTIFIER_BYTES, place.subject);
    cb_hex_format(key, CB_IDENTIFIER_BYTES, id);
    return cb_check_found(check, tables[compared->table].code, &place,
                          "%s %.8s of case %s %s", tables[compared->table].what,
                          id, compared->name, cb_check_change_words(change));
}

/* What may rightly be behind: all of it, or the fingerprint. */
static cb_status read_marks(cb_check *check, struct compared *compared,
                            cb_error *words)
{
    cb_query query = ask(check, "check_case_changed", compared->case_id);
    cb_status status = cb_query_step(&query, words);
    compared->silent = status == CB_OK && cb_query_integer(&query, 0) == 1;
    compared->open = status == CB_OK && cb_query_integer(&query, 1) == 1;
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static const char *statement_of(const struct compared *compared, size_t table)
{
    return table == CASE_FILE && compared->open ? "check_case_file_open"
                                                : tables[table].statement;
}

static cb_status count_entries(cb_check *check, const cb_case_id *case_id,
                               bool *ret_some, cb_error *words)
{
    cb_query query = ask(check, "entry_count_of_case", case_id);
    cb_status status = cb_query_step(&query, words);
    *ret_some = status == CB_OK && cb_query_integer(&query, 0) > 0;
    cb_query_end(&query);
    return status;
}

/* As it would be had the case never been settled. */
cb_status cb_check_rebuild_case(cb_check *check, const cb_case_id *case_id,
                                cb_error *words)
{
    size_t conflicts = 0;
    bool has_entries = false;
    cb_store *store = check->store;
    cb_query query = ask(check, "check_case_forget", case_id);
    cb_status status = cb_query_run(&query, words);
    cb_facts_forget(store, case_id);
    if (status == CB_OK) {
        status = count_entries(check, case_id, &has_entries, words);
    }
    if (status == CB_OK && has_entries) {
        status = cb_apply_case(store, case_id, words);
        return status == CB_OK
                   ? cb_settle_case(store, case_id, NULL, &conflicts, words)
                   : status;
    }
    for (size_t i = 0; status == CB_OK && i < 3; i++) {
        static const char *const clear[] = { "record_clear", "conflict_clear",
                                             "task_clear" };
        query = ask(check, clear[i], case_id);
        status = cb_query_run(&query, words);
    }
    return status;
}

static cb_status compare(cb_check *check, struct compared *compared,
                         cb_check_list rows[TABLES], cb_error *words)
{
    cb_status status = CB_OK;
    for (size_t i = 0; i < TABLES && status == CB_OK; i++) {
        cb_query query =
            ask(check, statement_of(compared, i), compared->case_id);
        compared->table = i;
        status = cb_check_rows_compare(check, &query, false, &rows[i],
                                       report_row, compared, words);
    }
    return status;
}

static cb_status try_case(cb_check *check, struct compared *compared,
                          cb_error *words)
{
    cb_check_list rows[TABLES] = { { .size = 0 } };
    bool has_entries = false;
    cb_status status = read_marks(check, compared, words);
    if (status == CB_OK) {
        status = count_entries(check, compared->case_id, &has_entries, words);
        compared->silent = compared->silent && has_entries;
    }
    for (size_t i = 0; i < TABLES && status == CB_OK; i++) {
        cb_query query =
            ask(check, statement_of(compared, i), compared->case_id);
        status = cb_check_rows_take(check, &query, false, &rows[i], words);
    }
    if (status == CB_OK) {
        status = cb_check_rebuild_case(check, compared->case_id, words);
    }
    if (status == CB_OK) {
        status = compare(check, compared, rows, words);
    }
    for (size_t i = 0; i < TABLES; i++) {
        cb_check_list_clear(&rows[i]);
    }
    return status;
}

/* Nothing of it stays; the cache's room is that of one case. */
cb_status cb_check_case(cb_check *check, const cb_case_id *case_id)
{
    cb_store *store = check->store;
    struct compared compared = { .case_id = case_id };
    const cb_check_place place = cb_check_at_case(case_id);
    char full[CB_IDENTIFIER_TEXT_BYTES];
    cb_savepoint savepoint;
    cb_error words = { .status = CB_OK };
    cb_hex_format(case_id->bytes, sizeof case_id->bytes, full);
    memcpy(compared.name, full, sizeof compared.name - 1);
    bool own = !cb_database_in_transaction(store->database);
    cb_status status = own ? cb_database_begin(store->database, &words) : CB_OK;
    if (status == CB_OK) {
        status = cb_savepoint_begin(store, &savepoint, &words);
    }
    if (status == CB_OK) {
        status = try_case(check, &compared, &words);
        (void)cb_savepoint_end(store, &savepoint, false, NULL);
    }
    if (own) {
        cb_database_abort(store->database);
    }
    cb_facts_forget(store, case_id);
    if (check->error.status != CB_OK) {
        return check->error.status;
    }
    if (status == CB_DAMAGED || status == CB_WRONG_KEY || status == CB_INPUT) {
        return cb_check_found(check, CB_CHECK_STATE_UNFOLDED, &place,
                              "case %s cannot be folded: %s", compared.name,
                              words.what);
    }
    if (status != CB_OK) {
        return cb_check_bear(check, status, &words, &place, "a case");
    }
    return compared.differs ? cb_check_keep(check, &check->cases, case_id)
                            : CB_OK;
}

static cb_status next_case(cb_check *check, cb_case_id *case_id,
                           cb_error *words)
{
    cb_query query = cb_query_begin(check->store->database, "check_cases");
    cb_query_bind_blob(&query, ":after", case_id->bytes, sizeof case_id->bytes);
    cb_status status = cb_query_step(&query, words);
    if (status == CB_OK) {
        (void)cb_query_copy(&query, 0, case_id->bytes, sizeof case_id->bytes);
    }
    cb_query_end(&query);
    return status;
}

static cb_status count_cases(cb_check *check, uint64_t *ret_total,
                             cb_error *words)
{
    cb_query query = cb_query_begin(check->store->database, "case_counts");
    cb_status status = cb_query_step(&query, words);
    *ret_total = status == CB_OK ? (uint64_t)cb_query_integer(&query, 0) : 0;
    cb_query_end(&query);
    return status;
}

/* Said once, whichever step asks first. */
cb_status cb_check_may_try(cb_check *check, bool *ret_may)
{
    *ret_may =
        sqlite3_db_readonly(check->store->database->connection, "main") == 0;
    if (*ret_may || cb_check_seen(check, CB_CHECK_STATE_UNCHECKED) > 0) {
        return CB_OK;
    }
    check->report->unfinished = true;
    return cb_check_found(check, CB_CHECK_STATE_UNCHECKED, NULL,
                          "the disk of the store cannot be written to");
}

cb_status cb_check_state(cb_check *check)
{
    cb_case_id case_id = { { 0 } };
    cb_error words = { .status = CB_OK };
    uint64_t total = 0;
    bool may = false;
    cb_status status =
        check->has_loaded ? cb_check_may_try(check, &may) : CB_OK;
    if (status != CB_OK || !may) {
        return status;
    }
    status = count_cases(check, &total, &words);
    if (status == CB_OK) {
        status = next_case(check, &case_id, &words);
    }
    while (status == CB_OK) {
        status = cb_check_step(check, "folding cases",
                               check->report->checked.cases, total);
        if (status == CB_OK) {
            check->report->checked.cases++;
            status = cb_check_case(check, &case_id);
        }
        if (status != CB_OK) {
            return status;
        }
        status = next_case(check, &case_id, &words);
    }
    return status == CB_END ? CB_OK
                            : cb_check_bear(check, status, &words, NULL,
                                            "the list of cases");
}
