/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the pages of the database are tracked, see vfs.h.
 *
 * The mark is the identity of the file that has a table.  So a store of the
 * first released version, which has no mark, and a copy, which has the mark of
 * another file, are tracked from their first opening on; and a tracked file
 * whose table is gone is not quietly tracked anew: that would forgive whoever
 * put back a page and took the table away.
 */
#include "store/database.h"

#include <string.h>

#define MARK "pages.tracked"

/* Whether the mark names this file. */
static cb_status read_mark(cb_database *database, const uint8_t *identity,
                           bool *ret_marked, cb_error *error)
{
    cb_query query = cb_query_begin(database, "meta_get");
    cb_query_bind_text(&query, ":name", MARK);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        cb_span mark = cb_query_blob(&query, 0);
        *ret_marked = mark.size == CB_VFS_IDENTITY_BYTES &&
                      memcmp(mark.bytes, identity, mark.size) == 0;
    } else if (status == CB_END) {
        *ret_marked = false;
        status = CB_OK;
    }
    cb_query_end(&query);
    return status;
}

static cb_status write_mark(cb_database *database, const uint8_t *identity,
                            cb_error *error)
{
    cb_status status = cb_database_begin(database, error);
    if (status == CB_OK) {
        cb_query query = cb_query_begin(database, "meta_put");
        cb_query_bind_text(&query, ":name", MARK);
        cb_query_bind_blob(&query, ":value", identity, CB_VFS_IDENTITY_BYTES);
        status = cb_query_run(&query, error);
    }
    if (status == CB_OK) {
        status = cb_database_commit(database, error);
    }
    if (status != CB_OK) {
        cb_database_abort(database);
    }
    return status;
}

cb_status cb_database_demand_pages(cb_database *database,
                                   cb_error *reterr_error)
{
    uint8_t identity[CB_VFS_IDENTITY_BYTES];
    bool tracked = false;
    bool marked = false;
    cb_status status = cb_vfs_identify(database->connection, "main", identity,
                                       &tracked, reterr_error);
    if (status == CB_OK && !tracked) {
        status = read_mark(database, identity, &marked, reterr_error);
    }
    if (status == CB_OK && marked) {
        status =
            cb_vfs_demand_tracking(database->connection, "main", reterr_error);
    }
    return status;
}

cb_status cb_database_track_pages(cb_database *database, bool anew,
                                  cb_error *reterr_error)
{
    uint8_t identity[CB_VFS_IDENTITY_BYTES];
    bool tracked = false;
    bool marked = false;
    cb_status status = cb_vfs_identify(database->connection, "main", identity,
                                       &tracked, reterr_error);
    if (status == CB_OK && (anew || !tracked)) {
        status = cb_vfs_track(database->connection, "main", reterr_error);
    }
    if (status == CB_OK) {
        status = read_mark(database, identity, &marked, reterr_error);
    }
    if (status == CB_OK && !marked) {
        status = write_mark(database, identity, reterr_error);
    }
    return status;
}
