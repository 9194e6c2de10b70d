/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose keys a hub lets in.  What it does not let in it keeps, and judges again
 * when the roster changes: whoever brought it believes it delivered.
 */
#include "store/internal.h"

#include <string.h>

static cb_status is_permitted(cb_store *store,
                              const cb_compartment *compartment,
                              const cb_person_id *person, bool *ret_permitted,
                              cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "permission_find");
    cb_query_bind_blob(&query, ":person", person->bytes, sizeof person->bytes);
    cb_query_bind_blob(&query, ":case_id", compartment->case_id.bytes,
                       sizeof compartment->case_id.bytes);
    cb_status status = cb_query_step(&query, error);
    *ret_permitted = status == CB_OK && strchr(cb_query_text(&query, 0),
                                               compartment->class[0]) != NULL;
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static cb_status is_first(cb_store *store, const cb_case_id *case_id,
                          const cb_person_id *person, bool *ret_first,
                          cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "key_of_others");
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_query_bind_blob(&query, ":bringer", person->bytes, sizeof person->bytes);
    cb_status status = cb_query_step(&query, error);
    *ret_first = status == CB_END;
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

/*
 * Class W is opened by those who supervise, in any case: nobody else may write
 * it, and nobody else's permission holds it.
 */
cb_status cb_admit_judge(cb_store *store, const cb_compartment *compartment,
                         const cb_person_id *person, bool *ret_may,
                         cb_error *error)
{
    *ret_may = !store->identity.hub ||
               (compartment->class[0] == (char)CB_CLASS_W &&
                (cb_roster_has_role(store, person, "supervisor") ||
                 cb_roster_has_role(store, person, "coordinator")));
    if (*ret_may) {
        return CB_OK;
    }
    cb_status status = is_permitted(store, compartment, person, ret_may, error);
    return status == CB_OK && !*ret_may
               ? is_first(store, &compartment->case_id, person, ret_may, error)
               : status;
}

/* Outboxes have passed what the key opens: they are to get it after all. */
static cb_status add_backlog(cb_store *store, int64_t number,
                             const cb_compartment *compartment, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "outbox_backlog_add_key");
    cb_query_bind_integer(&query, ":key", number);
    cb_query_bind_blob(&query, ":case_id", compartment->case_id.bytes,
                       sizeof compartment->case_id.bytes);
    cb_query_bind_text(&query, ":class", compartment->class);
    return cb_query_run(&query, error);
}

cb_status cb_admit_open(cb_store *store, int64_t number,
                        const cb_key_id *key_id,
                        const cb_compartment *compartment, cb_error *error)
{
    cb_status status = cb_ingest_waiting(store, key_id, error);
    return status == CB_OK && store->identity.hub
               ? add_backlog(store, number, compartment, error)
               : status;
}

struct unadmitted {
    int64_t number;
    cb_key_id key_id;
    cb_compartment compartment;
};

static cb_status next_unadmitted(cb_store *store, const cb_person_id *person,
                                 const cb_case_id *case_id,
                                 struct unadmitted *key, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "key_unadmitted");
    cb_query_bind_blob(&query, ":bringer", person->bytes, sizeof person->bytes);
    cb_query_bind_integer(&query, ":after", key->number);
    if (case_id != NULL) {
        cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                           sizeof case_id->bytes);
    }
    cb_status status = cb_query_step(&query, error);
    if (status == CB_OK) {
        cb_compartment *compartment = &key->compartment;
        key->number = cb_query_integer(&query, 0);
        (void)cb_query_copy(&query, 1, key->key_id.bytes,
                            sizeof key->key_id.bytes);
        (void)cb_query_copy(&query, 2, compartment->case_id.bytes,
                            sizeof compartment->case_id.bytes);
        compartment->class[0] = cb_query_text(&query, 3)[0];
        (void)cb_query_copy(&query, 4, compartment->person.bytes,
                            sizeof compartment->person.bytes);
    }
    cb_query_end(&query);
    return status;
}

cb_status cb_admit_again(cb_store *store, const cb_person_id *person,
                         const cb_case_id *case_id, cb_error *error)
{
    struct unadmitted key = { .compartment = { .class = "" } };
    if (!store->identity.hub) {
        return CB_OK;
    }
    cb_status status = next_unadmitted(store, person, case_id, &key, error);
    while (status == CB_OK) {
        bool may = false;
        status = cb_admit_judge(store, &key.compartment, person, &may, error);
        if (status == CB_OK && may) {
            cb_query query = cb_query_begin(store->database, "key_admit");
            cb_query_bind_integer(&query, ":number", key.number);
            status = cb_query_run(&query, error);
            if (status == CB_OK) {
                status = cb_admit_open(store, key.number, &key.key_id,
                                       &key.compartment, error);
            }
        }
        if (status == CB_OK) {
            status = next_unadmitted(store, person, case_id, &key, error);
        }
    }
    return status == CB_END ? CB_OK : status;
}
