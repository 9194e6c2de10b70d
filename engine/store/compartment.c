/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of compartments.  A key id names no key for certain: whoever sees one in
 * an entry's header may bring other bytes under it.  So all that was brought is
 * kept side by side, and an entry is opened by whichever candidate its
 * commitment and its body agree with.
 */
#include "store/internal.h"

#include <sodium.h>
#include <string.h>

cb_status cb_compartment_read(cb_store *store, const cb_query *query,
                              cb_compartment *ret_compartment,
                              int64_t *ret_number, cb_error *error)
{
    cb_compartment found = { .class = "" };
    found.class[0] = cb_query_text(query, 1)[0];
    if (!cb_query_copy(query, 0, found.case_id.bytes,
                       sizeof found.case_id.bytes) ||
        !cb_query_copy(query, 2, found.person.bytes,
                       sizeof found.person.bytes) ||
        !cb_query_copy(query, 3, cb_secret_bytes(store->key_in_use),
                       CB_KEY_BYTES)) {
        cb_status status =
            cb_error_set(error, CB_DAMAGED, "a key of this store is damaged");
        cb_error_next(error, "casebound doctor");
        return status;
    }
    *ret_compartment = found;
    *ret_number = cb_query_integer(query, 4);
    return CB_OK;
}

static cb_status load(cb_store *store, cb_query *query,
                      cb_compartment *ret_compartment, int64_t *ret_number,
                      cb_error *error)
{
    cb_status status = cb_query_step(query, error);
    if (status == CB_OK) {
        status = cb_compartment_read(store, query, ret_compartment, ret_number,
                                     error);
    }
    cb_query_end(query);
    return status == CB_END ? CB_NOT_FOUND : status;
}

cb_status cb_compartment_load(cb_store *store, const cb_key_id *key_id,
                              cb_compartment *ret_compartment, cb_error *error)
{
    int64_t number = 0;
    cb_query query = cb_query_begin(store->database, "key_find");
    cb_query_bind_blob(&query, ":key_id", key_id->bytes, sizeof key_id->bytes);
    return load(store, &query, ret_compartment, &number, error);
}

cb_status cb_compartment_load_number(cb_store *store, int64_t number,
                                     cb_compartment *ret_compartment,
                                     cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "key_by_number");
    cb_query_bind_integer(&query, ":number", number);
    return load(store, &query, ret_compartment, &number, error);
}

cb_status cb_compartment_realm_key(cb_store *store, cb_key *ret_key,
                                   cb_error *error)
{
    cb_compartment compartment;
    cb_query query = cb_query_begin(store->database, "key_find");
    cb_query_bind_blob(&query, ":key_id", store->realm_key_id.bytes,
                       sizeof store->realm_key_id.bytes);
    ret_key->id = store->realm_key_id;
    return load(store, &query, &compartment, &ret_key->number, error);
}

static void bind_compartment(cb_query *query, const cb_compartment *compartment)
{
    cb_query_bind_blob(query, ":case_id", compartment->case_id.bytes,
                       sizeof compartment->case_id.bytes);
    cb_query_bind_text(query, ":class", compartment->class);
    cb_query_bind_blob(query, ":person", compartment->person.bytes,
                       sizeof compartment->person.bytes);
}

cb_status cb_compartment_take(cb_store *store, const cb_key_id *key_id,
                              const cb_compartment *compartment,
                              const uint8_t *key, const cb_person_id *bringer,
                              bool admitted, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "key_insert");
    cb_query_bind_blob(&query, ":key_id", key_id->bytes, sizeof key_id->bytes);
    bind_compartment(&query, compartment);
    cb_query_bind_blob(&query, ":key", key, CB_KEY_BYTES);
    cb_query_bind_integer(&query, ":made_here", bringer == NULL);
    if (bringer == NULL) {
        bringer = &store->identity.person;
    }
    cb_query_bind_blob(&query, ":bringer", bringer->bytes,
                       sizeof bringer->bytes);
    cb_query_bind_integer(&query, ":admitted", admitted);
    return cb_query_run(&query, error);
}

cb_status cb_compartment_keep(cb_store *store, const cb_key_id *key_id,
                              const cb_compartment *compartment,
                              const uint8_t *key, const cb_person_id *bringer,
                              cb_error *error)
{
    return cb_compartment_take(store, key_id, compartment, key, bringer, true,
                               error);
}

/*
 * At the hub one person brings one key under an id, for a key never changes
 * under its id, and a keyring is not a place to pile up guesses.  A device has
 * all from the hub, so there only the very same counts as held.
 */
cb_status cb_compartment_held(cb_store *store, const cb_key_id *key_id,
                              const cb_compartment *compartment,
                              const uint8_t *key, const cb_person_id *bringer,
                              bool *ret_held, cb_error *error)
{
    cb_query query = cb_query_begin(
        store->database, store->identity.hub ? "key_of_bringer" : "key_held");
    cb_query_bind_blob(&query, ":key_id", key_id->bytes, sizeof key_id->bytes);
    if (store->identity.hub) {
        cb_query_bind_blob(&query, ":bringer", bringer->bytes,
                           sizeof bringer->bytes);
    } else {
        bind_compartment(&query, compartment);
        cb_query_bind_blob(&query, ":key", key, CB_KEY_BYTES);
    }
    cb_status status = cb_query_step(&query, error);
    cb_query_end(&query);
    *ret_held = status == CB_OK;
    return status == CB_END ? CB_OK : status;
}

static cb_status find_key(cb_store *store, const cb_compartment *compartment,
                          cb_key *ret_key, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "key_of_compartment");
    bind_compartment(&query, compartment);
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        (void)cb_query_copy(&query, 0, ret_key->id.bytes,
                            sizeof ret_key->id.bytes);
        ret_key->number = cb_query_integer(&query, 1);
    }
    cb_query_end(&query);
    return status;
}

cb_status cb_compartment_key(cb_store *store, const cb_compartment *compartment,
                             cb_key *ret_key, cb_error *error)
{
    cb_status status = find_key(store, compartment, ret_key, error);
    if (status != CB_END) {
        return status;
    }
    cb_key_id key_id;
    uint8_t key[CB_KEY_BYTES];
    const cb_environment *environment = store->environment;
    environment->random(environment->context, key_id.bytes,
                        sizeof key_id.bytes);
    environment->random(environment->context, key, sizeof key);
    status = cb_compartment_keep(store, &key_id, compartment, key, NULL, error);
    sodium_memzero(key, sizeof key);
    return status == CB_OK ? find_key(store, compartment, ret_key, error)
                           : status;
}
