/* SPDX-License-Identifier: Apache-2.0 */
#include "store/internal.h"

cb_status cb_exchange_case_entries(cb_store *store, const cb_case_id *case_id,
                                   cb_case_entry_callback callback,
                                   void *context, cb_error *reterr_error)
{
    cb_query query = cb_query_begin(store->database, "entry_times_of_case");
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_status status = cb_query_step(&query, reterr_error);
    while (status == CB_OK) {
        const cb_case_entry_times times = {
            .received_ms = cb_query_integer(&query, 1),
            .log_index = cb_query_integer(&query, 2),
        };
        status =
            callback(context, cb_query_blob(&query, 0), &times, reterr_error);
        if (status == CB_OK) {
            status = cb_query_step(&query, reterr_error);
        }
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}
