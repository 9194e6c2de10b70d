/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this is the newest state that was ever written here. */
#include "store/check.h"

static cb_status check_past(cb_check *check, const cb_store_witness *witness)
{
    const cb_check_place place = cb_check_at_file("witness");
    const cb_check_place log = cb_check_at_file("casebook.db-wal");
    unsigned long long missing = witness->missing;
    if (witness->behind && witness->log_lost) {
        return cb_check_found(check, CB_CHECK_LOG_LOST, &log,
                              "the log is gone in which the last %llu "
                              "change%s stood",
                              missing, missing == 1 ? "" : "s");
    }
    if (witness->behind && missing > 0) {
        return cb_check_found(check, CB_CHECK_STORE_OLDER, &place,
                              "the store had come %llu change%s further than "
                              "it stands now",
                              missing, missing == 1 ? "" : "s");
    }
    return check->store->identity.restored
               ? cb_check_found(check, CB_CHECK_STORE_OLDER, &place,
                                "another copy of this store went on")
               : CB_OK;
}

static cb_status check_one(cb_check *check, cb_witness_state state, bool lost,
                           const char *where)
{
    const cb_check_place place = cb_check_at_file("witness");
    if (state == CB_WITNESS_DAMAGED) {
        return cb_check_found(check, CB_CHECK_WITNESS_DAMAGED, &place,
                              "the witness %s does not verify", where);
    }
    if (state == CB_WITNESS_UNREADABLE) {
        return cb_check_found(check, CB_CHECK_FILE_UNREADABLE, &place,
                              "the witness %s cannot be read", where);
    }
    return lost ? cb_check_found(check, CB_CHECK_WITNESS_MISSING, &place,
                                 "the witness %s is missing", where)
                : CB_OK;
}

cb_status cb_check_witness(cb_check *check)
{
    cb_store_witness witness;
    cb_error words = { .status = CB_OK };
    if (!check->has_loaded) {
        return CB_OK;
    }
    cb_status status = cb_witness_check(check->store, &words);
    if (status != CB_OK) {
        return cb_check_bear(check, status, &words, NULL, "the witness");
    }
    cb_store_look_at_witness(check->store, &witness);
    status = check_past(check, &witness);
    if (status == CB_OK) {
        status = check_one(check, witness.inside, witness.inside_lost,
                           "in the store's folder");
    }
    return status == CB_OK ? check_one(check, witness.outside, false,
                                       "outside of the store's folder")
                           : status;
}
