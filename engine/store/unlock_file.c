/* SPDX-License-Identifier: Apache-2.0 */
#include "store/unlock.h"

#include <casebound/limits.h>
#include <string.h>

cb_status cb_unlock_load(const cb_environment *environment, const char *path,
                         cb_unlock *ret_unlock, cb_error *reterr_error)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_UNLOCK_FILE_BYTES_MAX);
    cb_status status =
        environment->read_file(environment->context, path, &text, reterr_error);
    if (status == CB_NOT_FOUND) {
        const char *name = strrchr(path, '/');
        status = cb_error_set(reterr_error, CB_NO_STORE,
                              "there is no case store at '%.*s'",
                              name == NULL ? 0 : (int)(name - path), path);
    } else if (status == CB_OK) {
        status =
            cb_unlock_parse(cb_span_of_buffer(&text), ret_unlock, reterr_error);
    }
    cb_buffer_clear(&text);
    if (status == CB_NEWER) {
        status = cb_error_set(reterr_error, CB_NEWER,
                              "'%s' was made by a newer version", path);
        cb_error_meaning(reterr_error, "nothing was changed");
    } else if (status == CB_DAMAGED) {
        status =
            cb_error_set(reterr_error, CB_DAMAGED, "'%s' is damaged", path);
        cb_error_meaning(reterr_error, "the store cannot be unlocked with it; "
                                       "the cases in it are not changed");
        cb_error_next(reterr_error, "put back a copy of this file, or restore "
                                    "a backup: casebound -C NEWFOLDER "
                                    "restore FILE");
    }
    return status;
}

cb_status cb_unlock_save(const cb_environment *environment, const char *path,
                         cb_unlock *unlock, const cb_secret *master_key,
                         cb_error *reterr_error)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_UNLOCK_FILE_BYTES_MAX);
    cb_status status =
        cb_unlock_format(unlock, master_key, &text, reterr_error);
    if (status == CB_OK) {
        status = environment->replace_file(
            environment->context, path, cb_span_of_buffer(&text), reterr_error);
    }
    cb_buffer_clear(&text);
    return status;
}

cb_status cb_unlock_write(const cb_environment *environment, const char *path,
                          const uint8_t *store_id, cb_unlock_cost cost,
                          const cb_secret *passphrase,
                          const cb_secret *master_key, cb_error *reterr_error)
{
    cb_unlock unlock = { 0 };
    memcpy(unlock.store_id, store_id, sizeof unlock.store_id);
    cb_status status =
        cb_unlock_seal(environment, &unlock, CB_UNLOCK_PASSPHRASE, cost,
                       passphrase, master_key, reterr_error);
    return status == CB_OK ? cb_unlock_save(environment, path, &unlock,
                                            master_key, reterr_error)
                           : status;
}

cb_status cb_unlock_read_id(const cb_environment *environment, const char *path,
                            uint8_t *ret_id, cb_error *reterr_error)
{
    cb_unlock unlock;
    cb_status status = cb_unlock_load(environment, path, &unlock, reterr_error);
    if (status == CB_OK) {
        memcpy(ret_id, unlock.store_id, sizeof unlock.store_id);
    }
    return status;
}

cb_status cb_unlock_open(const cb_environment *environment, const char *path,
                         const cb_secret *passphrase,
                         cb_secret **ret_master_key, cb_error *reterr_error)
{
    cb_unlock unlock;
    cb_status status = cb_unlock_load(environment, path, &unlock, reterr_error);
    return status == CB_OK
               ? cb_unlock_unseal(environment, &unlock, CB_UNLOCK_PASSPHRASE,
                                  passphrase, ret_master_key, reterr_error)
               : status;
}
