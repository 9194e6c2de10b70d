/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite as the store uses it: one connection through our encrypting VFS,
 * statements that live in schema/sql/queries.sql under a name, parameters bound
 * by name, failures that stick.
 *
 * A query that has failed does nothing more until it is ended, so a caller
 * binds everything and checks once, at the step:
 *
 *     cb_query query = cb_query_begin(database, "record_find");
 *     cb_query_bind_blob(&query, ":id", id.bytes, sizeof id.bytes);
 *     status = cb_query_step(&query, error);      CB_OK a row, CB_END none
 *     ... columns ...
 *     cb_query_end(&query);
 *
 * A begun query is reset when ended; every path must end it.
 */
#ifndef CASEBOUND_STORE_DATABASE_H
#define CASEBOUND_STORE_DATABASE_H

#include <casebound/secret.h>
#include <sqlite3.h>

#include "store/patience.h"
#include "vfs/vfs.h"

#define CB_DATABASE_STATEMENTS_MAX 192

typedef struct cb_statement {
    const char *name; /* borrowed from the embedded text */
    size_t name_size;
    const char *sql;
    size_t sql_size;
    sqlite3_stmt *prepared; /* NULL until first used */
} cb_statement;

typedef struct cb_database {
    cb_patience patience;
    sqlite3 *connection;
    cb_vfs *vfs;
    const cb_environment *environment;                   /* borrowed */
    cb_statement statements[CB_DATABASE_STATEMENTS_MAX]; /* by name */
    size_t statement_count;
    char *path;
    bool reading; /* beside another process; nothing can be written */
} cb_database;

typedef struct cb_query {
    cb_database *database;
    sqlite3_stmt *statement;
    const char *name;
    int failure; /* SQLite's code; SQLITE_OK while all is well */
} cb_query;

/*
 * Opens the database at `path`, or with `create` makes it, with the master key,
 * sets the policy of the connection and brings the schema to the newest
 * version. CB_WRONG_KEY, CB_DAMAGED, CB_NEWER, CB_IN_USE, CB_PERMISSION,
 * CB_NO_SPACE.
 */
CB_NODISCARD cb_status cb_database_open(const cb_environment *environment,
                                        const char *path,
                                        const cb_secret *master_key,
                                        bool create, cb_database **ret_database,
                                        cb_error *reterr_error);

/* The same, and tells when it has to wait; `patience` is not kept. */
CB_NODISCARD cb_status cb_database_open_patiently(
    const cb_environment *environment, const char *path,
    const cb_secret *master_key, bool create, const cb_patience *patience,
    cb_database **ret_database, cb_error *reterr_error);

/*
 * Opens the database for reading beside another process that may be writing: it
 * shows the last commit before, and nothing later.  No file is changed.  Also
 * CB_REFUSED where that would be needed, because the schema is an older one:
 * then opening for writing does it.  CB_IN_USE where the writer does not let go
 * for longer than one waits.
 */
CB_NODISCARD cb_status cb_database_open_reading(
    const cb_environment *environment, const char *path,
    const cb_secret *master_key, const cb_patience *patience,
    cb_database **ret_database, cb_error *reterr_error);
void cb_database_close(cb_database *database);

/* Whether its path names another file by now, or none. */
bool cb_database_has_moved(const cb_database *database);

/* Finds the statements of queries.sql. */
CB_NODISCARD cb_status cb_database_index(cb_database *database,
                                         cb_error *reterr_error);
/* The number of the newest migration that the database has seen. */
CB_NODISCARD cb_status cb_database_version(cb_database *database,
                                           int *ret_version,
                                           cb_error *reterr_error);
/* The number of the newest that this version knows. */
int cb_database_newest_version(void);

/*
 * check_look.c: opens a database that exists, to look at it: nothing is
 * migrated, and no checkpoint is made, not even when it is closed.  Whether
 * anything in it can be read is not asked.  Where it may not be written, it is
 * opened for reading alone.  CB_PERMISSION, CB_IO, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_database_look(const cb_environment *environment,
                                        const char *path,
                                        const cb_secret *master_key,
                                        const cb_patience *patience,
                                        cb_database **ret_database,
                                        cb_error *reterr_error);
/*
 * The same on a disk that cannot be written, where there is no log: SQLite
 * would make one.  Only while no statement of it was used.
 */
CB_NODISCARD cb_status cb_database_look_frozen(cb_database *database,
                                               cb_error *reterr_error);
/* Its log may go when it is closed, as with any other. */
void cb_database_settle_on_close(cb_database *database);
/* SQL without rows or parameters, ours only. */
CB_NODISCARD cb_status cb_database_execute(cb_database *database,
                                           const char *sql,
                                           cb_error *reterr_error);

/* Brings an open connection's schema to the newest version. */
CB_NODISCARD cb_status cb_database_migrate(cb_database *database,
                                           cb_error *reterr_error);

/*
 * pages.c: a file that is known to be tracked must have its table; any other is
 * tracked from now on, with `anew` also one that has a table.  Part of opening.
 * CB_DAMAGED, and what cb_vfs_track returns.
 */
CB_NODISCARD cb_status cb_database_demand_pages(cb_database *database,
                                                cb_error *reterr_error);
CB_NODISCARD cb_status cb_database_track_pages(cb_database *database, bool anew,
                                               cb_error *reterr_error);

/*
 * For repair, where opening fails because the table of page versions is lost or
 * damaged: makes it of the pages as they are.  That forgives an older page that
 * was put back; cb_vfs_track says what must be done before.  Statuses as of
 * cb_database_open.
 */
CB_NODISCARD cb_status
cb_database_rebuild_pages(const cb_environment *environment, const char *path,
                          const cb_secret *master_key, cb_error *reterr_error);

/* The cipher that this machine is fastest with. */
enum cb_vfs_cipher cb_database_best_cipher(void);

/*
 * copy.c: writes a whole copy of the database to `path`, under `key` (which may
 * be the same) and `cipher`: without free pages, with mode 0600, durable when
 * it returns, and proved: every page verifies, SQLite finds it sound, every
 * table has as many rows.  Nothing may be at `path`; what a failure leaves is
 * taken away.  Outside a transaction only.  CB_EXISTS, CB_NO_SPACE, CB_INPUT (a
 * cipher that this machine lacks), CB_PERMISSION, CB_DAMAGED (the original, or
 * the copy does not hold what was written), CB_INTERRUPTED, CB_IO.
 */
CB_NODISCARD cb_status cb_database_copy(cb_database *database, const char *path,
                                        const cb_secret *key,
                                        enum cb_vfs_cipher cipher,
                                        cb_error *reterr_error);

/* Before closing: moves what the log holds into the database.  True where the
 * log is empty then. */
bool cb_database_empty_log(cb_database *database);

/* One write transaction; abort is legal after a failed commit. */
CB_NODISCARD cb_status cb_database_begin(cb_database *database,
                                         cb_error *reterr_error);
CB_NODISCARD cb_status cb_database_commit(cb_database *database,
                                          cb_error *reterr_error);
void cb_database_abort(cb_database *database);
bool cb_database_in_transaction(const cb_database *database);

/* Turns the connection's last failure into a status and words. */
cb_status cb_database_failed(cb_database *database, int code,
                             cb_error *reterr_error);

/* How the name of a statement compares with another. */
int cb_statement_compare(const cb_statement *statement, const char *name,
                         size_t size);

cb_query cb_query_begin(cb_database *database, const char *name);
void cb_query_bind_blob(cb_query *query, const char *name, const void *bytes,
                        size_t size);
void cb_query_bind_text(cb_query *query, const char *name, const char *text);
void cb_query_bind_integer(cb_query *query, const char *name, int64_t value);
void cb_query_bind_null(cb_query *query, const char *name);

/* CB_OK a row is there, CB_END no more; otherwise the failure. */
CB_NODISCARD cb_status cb_query_step(cb_query *query, cb_error *reterr_error);

/* Steps to the end and ends: for statements that return no row. */
CB_NODISCARD cb_status cb_query_run(cb_query *query, cb_error *reterr_error);
void cb_query_end(cb_query *query);

/* Columns of the present row, by position; borrowed until the next step. */
cb_span cb_query_blob(const cb_query *query, int column);
const char *cb_query_text(const cb_query *query, int column);
int64_t cb_query_integer(const cb_query *query, int column);
bool cb_query_is_null(const cb_query *query, int column);

/* Copies exactly `size` bytes of a blob column; false where it is not so. */
bool cb_query_copy(const cb_query *query, int column, void *bytes, size_t size);

#endif
