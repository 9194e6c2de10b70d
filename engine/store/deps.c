/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a new entry says its author knew (body.deps).  It follows from the
 * folded case, never from what somebody's body names: a hash that does not
 * exist, once believed, would make everybody's next entries wait for ever.
 */
#include "base/json.h"
#include "store/change.h"

#include <string.h>

cb_status cb_deps_of_case(cb_store *store, const cb_case_id *case_id,
                          json_t **ret_groups, cb_error *error)
{
    const cb_fact *facts = NULL;
    const cb_case_state *state = NULL;
    size_t count = 0;
    cb_status status = cb_facts_load(store, case_id, &facts, &count, error);
    if (status == CB_OK && count == 0) {
        *ret_groups = json_array();
        return CB_OK;
    }
    if (status == CB_OK) {
        status = cb_facts_state(store, case_id, &state, error);
    }
    return status == CB_OK ? cb_case_state_heads(state, ret_groups, error)
                           : status;
}

/* Groups are sorted by class, then person, none before any. */
static int compare(const json_t *group, const char *class, const char *person)
{
    const char *has = cb_json_text(group, "person");
    int order = strcmp(cb_json_text(group, "class"), class);
    return order != 0 ? order : strcmp(has == NULL ? "" : has, person);
}

static void keep_within(json_t *groups)
{
    size_t count = 0;
    json_t *largest = NULL;
    for (size_t i = 0; i < json_array_size(groups); i++) {
        json_t *heads = json_object_get(json_array_get(groups, i), "heads");
        count += json_array_size(heads);
        if (json_array_size(heads) > json_array_size(largest)) {
            largest = heads;
        }
    }
    if (count > CB_DEPENDENCIES_MAX) {
        (void)json_array_remove(largest, json_array_size(largest) - 1);
    }
}

void cb_deps_advance(json_t *groups, const cb_compartment *compartment,
                     const cb_hash *hash)
{
    size_t place = 0;
    char person[CB_IDENTIFIER_TEXT_BYTES] = "";
    const uint8_t *bytes = compartment->person.bytes;
    if (!cb_is_zero(bytes, sizeof compartment->person.bytes)) {
        cb_hex_format(bytes, sizeof compartment->person.bytes, person);
    }
    while (place < json_array_size(groups) &&
           compare(json_array_get(groups, place), compartment->class, person) <
               0) {
        place++;
    }
    json_t *heads = json_pack("[o]", cb_json_hex(hash->bytes, CB_HASH_BYTES));
    json_t *group = json_array_get(groups, place);
    if (group != NULL && compare(group, compartment->class, person) == 0) {
        (void)json_object_set_new(group, "heads", heads);
        return;
    }
    group =
        json_pack("{s:s, s:o}", "class", compartment->class, "heads", heads);
    if (person[0] != '\0') {
        (void)json_object_set_new(group, "person", json_string(person));
    }
    (void)json_array_insert_new(groups, place, group);
    keep_within(groups);
}
