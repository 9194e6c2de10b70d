/* SPDX-License-Identifier: Apache-2.0 */
#include "store/internal.h"

cb_status cb_savepoint_begin(cb_store *store, cb_savepoint *savepoint,
                             cb_error *error)
{
    *savepoint = (cb_savepoint){
        .identity = store->identity,
        .head_hash = store->head_hash,
        .roster_hash = store->roster_hash,
        .last_time = store->last_time,
    };
    cb_query query = cb_query_begin(store->database, "savepoint_begin");
    return cb_query_run(&query, error);
}

cb_status cb_savepoint_end(cb_store *store, const cb_savepoint *savepoint,
                           bool keep, cb_error *error)
{
    cb_status status = CB_OK;
    if (!keep) {
        cb_query query = cb_query_begin(store->database, "savepoint_rollback");
        status = cb_query_run(&query, error);
        store->identity = savepoint->identity;
        store->head_hash = savepoint->head_hash;
        store->roster_hash = savepoint->roster_hash;
        store->last_time = savepoint->last_time;
        cb_facts_forget_all(store);
    }
    if (status == CB_OK) {
        cb_query query = cb_query_begin(store->database, "savepoint_release");
        status = cb_query_run(&query, error);
    }
    return status;
}
