/* SPDX-License-Identifier: Apache-2.0 */
#include "store/internal.h"

#include <sodium.h>
#include <string.h>

cb_status cb_compartment_load(cb_store *store, const cb_key_id *key_id,
                              cb_compartment *ret_compartment, cb_error *error)
{
    cb_compartment found = { .class = "" };
    cb_query query = cb_query_begin(store->database, "key_find");
    cb_query_bind_blob(&query, ":key_id", key_id->bytes, sizeof key_id->bytes);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_END) {
        status = CB_NOT_FOUND;
    } else if (status == CB_OK) {
        found.class[0] = cb_query_text(&query, 1)[0];
        if (!cb_query_copy(&query, 0, found.case_id.bytes,
                           sizeof found.case_id.bytes) ||
            !cb_query_copy(&query, 2, found.person.bytes,
                           sizeof found.person.bytes) ||
            !cb_query_copy(&query, 3, cb_secret_bytes(store->key_in_use),
                           CB_KEY_BYTES)) {
            status = cb_error_set(error, CB_DAMAGED,
                                  "a key of this store is damaged");
        }
    }
    cb_query_end(&query);
    if (status == CB_OK) {
        *ret_compartment = found;
    }
    return status;
}

cb_status cb_compartment_keep(cb_store *store, const cb_key_id *key_id,
                              const cb_compartment *compartment,
                              const uint8_t *key, const cb_person_id *bringer,
                              cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "key_insert");
    cb_query_bind_blob(&query, ":key_id", key_id->bytes, sizeof key_id->bytes);
    cb_query_bind_blob(&query, ":case_id", compartment->case_id.bytes,
                       sizeof compartment->case_id.bytes);
    cb_query_bind_text(&query, ":class", compartment->class);
    cb_query_bind_blob(&query, ":person", compartment->person.bytes,
                       sizeof compartment->person.bytes);
    cb_query_bind_blob(&query, ":key", key, CB_KEY_BYTES);
    cb_query_bind_integer(&query, ":made_here", bringer == NULL);
    if (bringer == NULL) {
        bringer = &store->identity.person;
    }
    cb_query_bind_blob(&query, ":bringer", bringer->bytes,
                       sizeof bringer->bytes);
    return cb_query_run(&query, error);
}

cb_status cb_compartment_key(cb_store *store, const cb_compartment *compartment,
                             cb_key_id *ret_key_id, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "key_of_compartment");
    cb_query_bind_blob(&query, ":case_id", compartment->case_id.bytes,
                       sizeof compartment->case_id.bytes);
    cb_query_bind_text(&query, ":class", compartment->class);
    cb_query_bind_blob(&query, ":person", compartment->person.bytes,
                       sizeof compartment->person.bytes);
    cb_status status = cb_query_step(&query, error);
    bool found = status == CB_OK && cb_query_copy(&query, 0, ret_key_id->bytes,
                                                  sizeof ret_key_id->bytes);
    cb_query_end(&query);
    if (found || status != CB_END) {
        return status;
    }
    uint8_t key[CB_KEY_BYTES];
    const cb_environment *environment = store->environment;
    environment->random(environment->context, ret_key_id->bytes,
                        sizeof ret_key_id->bytes);
    environment->random(environment->context, key, sizeof key);
    status =
        cb_compartment_keep(store, ret_key_id, compartment, key, NULL, error);
    sodium_memzero(key, sizeof key);
    return status;
}
