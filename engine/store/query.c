/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements by name: found, prepared once, bound by name, stepped.
 */
#include "store/database.h"

#include <string.h>

int cb_statement_compare(const cb_statement *statement, const char *name,
                         size_t size)
{
    size_t both = statement->name_size < size ? statement->name_size : size;
    int order = memcmp(statement->name, name, both);
    if (order == 0 && statement->name_size != size) {
        order = statement->name_size < size ? -1 : 1;
    }
    return order;
}

static cb_statement *find_statement(cb_database *database, const char *name)
{
    size_t size = strlen(name);
    size_t low = 0;
    size_t high = database->statement_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        cb_statement *statement = &database->statements[middle];
        int order = cb_statement_compare(statement, name, size);
        if (order == 0) {
            return statement;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

cb_query cb_query_begin(cb_database *database, const char *name)
{
    cb_query query = { .database = database, .name = name };
    cb_statement *statement = find_statement(database, name);
    if (statement == NULL) {
        cb_assertion_failed("queries.sql", 0, name);
    }
    if (statement->prepared == NULL) {
        query.failure = sqlite3_prepare_v3(
            database->connection, statement->sql, (int)statement->sql_size,
            SQLITE_PREPARE_PERSISTENT, &statement->prepared, NULL);
    }
    /* Two uses of one statement at a time would mix their rows. */
    CB_ASSERT(statement->prepared == NULL ||
              sqlite3_stmt_busy(statement->prepared) == 0);
    query.statement = statement->prepared;
    return query;
}

static int parameter(cb_query *query, const char *name)
{
    if (query->failure != SQLITE_OK) {
        return 0;
    }
    int index = sqlite3_bind_parameter_index(query->statement, name);
    if (index == 0) {
        cb_assertion_failed(query->name, 0, name);
    }
    return index;
}

void cb_query_bind_blob(cb_query *query, const char *name, const void *bytes,
                        size_t size)
{
    int index = parameter(query, name);
    if (index > 0) {
        query->failure = sqlite3_bind_blob64(
            query->statement, index, size == 0 ? (const void *)"" : bytes, size,
            SQLITE_TRANSIENT);
    }
}

void cb_query_bind_text(cb_query *query, const char *name, const char *text)
{
    int index = parameter(query, name);
    if (index > 0) {
        query->failure = sqlite3_bind_text(query->statement, index, text, -1,
                                           SQLITE_TRANSIENT);
    }
}

void cb_query_bind_integer(cb_query *query, const char *name, int64_t value)
{
    int index = parameter(query, name);
    if (index > 0) {
        query->failure = sqlite3_bind_int64(query->statement, index, value);
    }
}

void cb_query_bind_null(cb_query *query, const char *name)
{
    int index = parameter(query, name);
    if (index > 0) {
        query->failure = sqlite3_bind_null(query->statement, index);
    }
}

cb_status cb_query_step(cb_query *query, cb_error *reterr_error)
{
    if (query->failure == SQLITE_OK) {
        query->failure = sqlite3_step(query->statement);
    }
    if (query->failure == SQLITE_ROW) {
        query->failure = SQLITE_OK;
        return CB_OK;
    }
    if (query->failure == SQLITE_DONE) {
        query->failure = SQLITE_OK;
        return CB_END;
    }
    return cb_database_failed(query->database, query->failure, reterr_error);
}

cb_status cb_query_run(cb_query *query, cb_error *reterr_error)
{
    cb_status status = CB_OK;
    while (status == CB_OK) {
        status = cb_query_step(query, reterr_error);
    }
    cb_query_end(query);
    return status == CB_END ? CB_OK : status;
}

void cb_query_end(cb_query *query)
{
    if (query->statement != NULL) {
        (void)sqlite3_reset(query->statement);
        (void)sqlite3_clear_bindings(query->statement);
        query->statement = NULL;
    }
}

cb_span cb_query_blob(const cb_query *query, int column)
{
    const void *bytes = sqlite3_column_blob(query->statement, column);
    return (cb_span){ bytes,
                      (size_t)sqlite3_column_bytes(query->statement, column) };
}

const char *cb_query_text(const cb_query *query, int column)
{
    const unsigned char *text = sqlite3_column_text(query->statement, column);
    return text == NULL ? "" : (const char *)text;
}

int64_t cb_query_integer(const cb_query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

bool cb_query_is_null(const cb_query *query, int column)
{
    return sqlite3_column_type(query->statement, column) == SQLITE_NULL;
}

bool cb_query_copy(const cb_query *query, int column, void *bytes, size_t size)
{
    cb_span blob = cb_query_blob(query, column);
    if (blob.bytes == NULL || blob.size != size) {
        return false;
    }
    memcpy(bytes, blob.bytes, size);
    return true;
}
