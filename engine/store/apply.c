/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a case entry must be to be believed, and what it does by itself: it
 * marks its case to be folded again.  Everything else that is known of a case
 * follows from the fold: one entry alone may claim anything.
 */
#include "base/json.h"
#include "store/internal.h"

#include <string.h>

/* All hashes of all groups count, whatever their form. */
static size_t count_dependencies(const json_t *dependencies)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(dependencies); i++) {
        const json_t *group = json_array_get(dependencies, i);
        count += json_array_size(cb_json_array(group, "heads"));
    }
    return count;
}

cb_status cb_apply_check(const cb_compartment *compartment,
                         const cb_person_id *author, const json_t *body,
                         cb_error *error)
{
    cb_case_id case_id;
    cb_person_id named;
    cb_record_id person = { { 0 } };
    int64_t schema = 0;
    const json_t *where = cb_json_object(body, "compartment");
    const char *class = cb_json_text(where, "class");
    const json_t *dependencies = cb_json_array(body, "deps");
    const json_t *operations = cb_json_array(body, "ops");
    if (!cb_json_bytes(body, "case", case_id.bytes, sizeof case_id.bytes) ||
        !cb_json_bytes(body, "author", named.bytes, sizeof named.bytes) ||
        !cb_json_integer(body, "schema", &schema) || class == NULL ||
        dependencies == NULL || operations == NULL ||
        json_array_size(operations) > CB_OPERATIONS_MAX ||
        json_array_size(dependencies) > CB_DEPENDENCIES_MAX) {
        return cb_error_set(error, CB_INPUT,
                            "the body does not have the members of a case "
                            "entry");
    }
    /* The fold would pass it over: rather say so than let it stand applied. */
    if (count_dependencies(dependencies) > CB_DEPENDENCIES_MAX) {
        return cb_error_set(error, CB_LIMIT,
                            "it builds on more than %d entries",
                            CB_DEPENDENCIES_MAX);
    }
    if (json_object_get(where, "person") != NULL &&
        !cb_json_bytes(where, "person", person.bytes, sizeof person.bytes)) {
        return cb_error_set(error, CB_INPUT,
                            "the body names a person in a form unknown");
    }
    if (cb_class_parse(class) == CB_CLASS_NONE ||
        memcmp(&case_id, &compartment->case_id, sizeof case_id) != 0 ||
        strcmp(class, compartment->class) != 0 ||
        memcmp(&person, &compartment->person, sizeof person) != 0) {
        return cb_error_set(error, CB_INPUT, CB_REASON_OTHER_COMPARTMENT);
    }
    if (memcmp(&named, author, sizeof named) != 0) {
        return cb_error_set(error, CB_INPUT,
                            "the body names another author than its stream");
    }
    return CB_OK;
}

cb_status cb_apply_case(cb_store *store, const cb_case_id *case_id,
                        cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "case_touch");
    cb_query_bind_blob(&query, ":id", case_id->bytes, sizeof case_id->bytes);
    return cb_query_run(&query, error);
}
