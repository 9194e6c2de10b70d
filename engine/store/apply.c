/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a case entry does to the tables that are derived from entries: the heads
 * of its compartments, the index of records, the mark that its case has to be
 * folded again.
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
        return cb_error_set(error, CB_INPUT,
                            CB_REASON_OTHER_COMPARTMENT);
    }
    if (memcmp(&named, author, sizeof named) != 0) {
        return cb_error_set(error, CB_INPUT,
                            "the body names another author than its stream");
    }
    return CB_OK;
}

static cb_status cover(cb_store *store, const cb_case_id *case_id,
                       const char *class, const cb_record_id *person,
                       const cb_hash *hash, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "covered_add");
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    cb_status status = cb_query_run(&query, error);
    if (status != CB_OK) {
        return status;
    }
    query = cb_query_begin(store->database, "head_remove");
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_query_bind_text(&query, ":class", class);
    cb_query_bind_blob(&query, ":person", person->bytes, sizeof person->bytes);
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    return cb_query_run(&query, error);
}

/* Malformed parts are passed over: the fold lists them as findings. */
static cb_status cover_dependencies(cb_store *store, const cb_case_id *case_id,
                                    const json_t *body, cb_error *error)
{
    cb_status status = CB_OK;
    size_t i = 0;
    const json_t *group = NULL;
    const json_t *groups = cb_json_array(body, "deps");
    for (i = 0; i < json_array_size(groups) && status == CB_OK; i++) {
        group = json_array_get(groups, i);
        cb_record_id person = { { 0 } };
        const char *class = cb_json_text(group, "class");
        const json_t *heads = cb_json_array(group, "heads");
        (void)cb_json_bytes(group, "person", person.bytes, sizeof person.bytes);
        for (size_t j = 0; class != NULL && j < json_array_size(heads) &&
                           j < CB_DEPENDENCIES_MAX && status == CB_OK;
             j++) {
            cb_hash hash;
            const char *text = json_string_value(json_array_get(heads, j));
            if (text != NULL &&
                cb_hex_parse(text, hash.bytes, sizeof hash.bytes)) {
                status = cover(store, case_id, class, &person, &hash, error);
            }
        }
    }
    return status;
}

static cb_status add_head(cb_store *store, const cb_hash *hash,
                          const cb_compartment *compartment, cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "head_add");
    cb_query_bind_blob(&query, ":case_id", compartment->case_id.bytes,
                       sizeof compartment->case_id.bytes);
    cb_query_bind_text(&query, ":class", compartment->class);
    cb_query_bind_blob(&query, ":person", compartment->person.bytes,
                       sizeof compartment->person.bytes);
    cb_query_bind_blob(&query, ":hash", hash->bytes, sizeof hash->bytes);
    cb_status status = cb_query_run(&query, error);
    if (status != CB_OK) {
        return status;
    }
    query = cb_query_begin(store->database, "case_touch");
    cb_query_bind_blob(&query, ":id", compartment->case_id.bytes,
                       sizeof compartment->case_id.bytes);
    return cb_query_run(&query, error);
}

static cb_status add_record(cb_store *store, const cb_case_id *case_id,
                            const cb_record_id *record, const char *type,
                            const json_t *operation, cb_error *error)
{
    cb_record_id about = { { 0 } };
    (void)cb_json_bytes(operation, "about", about.bytes, sizeof about.bytes);
    cb_query query = cb_query_begin(store->database, "record_add");
    cb_query_bind_blob(&query, ":id", record->bytes, sizeof record->bytes);
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_query_bind_text(&query, ":type", type);
    cb_query_bind_blob(&query, ":about", about.bytes, sizeof about.bytes);
    return cb_query_run(&query, error);
}

static cb_status index_operation(cb_store *store, const cb_case_id *case_id,
                                 const json_t *operation, cb_error *error)
{
    cb_record_id record;
    const char *name = cb_json_text(operation, "op");
    const char *type = cb_json_text(operation, "type");
    if (name == NULL || !cb_json_bytes(operation, "record", record.bytes,
                                       sizeof record.bytes)) {
        return CB_OK;
    }
    cb_status status = CB_OK;
    if (type != NULL &&
        (strcmp(name, "create") == 0 || strcmp(name, "part") == 0)) {
        status = add_record(store, case_id, &record, type, operation, error);
    }
    const char *label =
        cb_json_text(cb_json_object(operation, "fields"), "name");
    if (status == CB_OK && label != NULL) {
        cb_query query = cb_query_begin(store->database, "record_label");
        cb_query_bind_text(&query, ":label", label);
        cb_query_bind_blob(&query, ":id", record.bytes, sizeof record.bytes);
        cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                           sizeof case_id->bytes);
        status = cb_query_run(&query, error);
    }
    return status;
}

cb_status cb_apply_case(cb_store *store, const cb_hash *hash,
                        const cb_compartment *compartment, const json_t *body,
                        cb_error *error)
{
    const json_t *operations = cb_json_array(body, "ops");
    cb_status status =
        cover_dependencies(store, &compartment->case_id, body, error);
    if (status == CB_OK) {
        status = add_head(store, hash, compartment, error);
    }
    for (size_t i = 0; i < json_array_size(operations) && status == CB_OK;
         i++) {
        status = index_operation(store, &compartment->case_id,
                                 json_array_get(operations, i), error);
    }
    return status;
}
