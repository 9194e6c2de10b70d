/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roster: people, devices, permissions, as the hub's stream says.
 *
 * A version of the roster is one entry in clear with a list of operations; it
 * names its number and the hash of the version before, so that an older one is
 * recognised.  Names of people are sealed under the realm's key in entries of
 * their own.
 */
#include "base/json.h"
#include "store/internal.h"

#include <casebound/enrolment.h>
#include <string.h>

static cb_status put_person(cb_store *store, const json_t *operation,
                            cb_error *error)
{
    cb_person_id person;
    cb_buffer roles;
    const json_t *list = cb_json_array(operation, "roles");
    if (list == NULL || !cb_json_bytes(operation, "person", person.bytes,
                                       sizeof person.bytes)) {
        return cb_error_set(error, CB_INPUT, "a roster line lacks its person");
    }
    cb_buffer_init(&roles, 4096);
    cb_status status = cb_json_append(list, &roles, error);
    if (status == CB_OK) {
        cb_query query = cb_query_begin(store->database, "person_put");
        cb_query_bind_blob(&query, ":id", person.bytes, sizeof person.bytes);
        cb_query_bind_text(&query, ":roles", cb_buffer_text(&roles));
        status = cb_query_run(&query, error);
    }
    cb_buffer_clear(&roles);
    if (store->rebuilding) {
        return status;
    }
    /* What somebody may do decides what their entries do to a case. */
    if (status == CB_OK) {
        cb_query query =
            cb_query_begin(store->database, "case_touch_of_author");
        cb_query_bind_blob(&query, ":person", person.bytes,
                           sizeof person.bytes);
        status = cb_query_run(&query, error);
        cb_facts_forget_all(store);
    }
    return status == CB_OK ? cb_admit_again(store, &person, NULL, error)
                           : status;
}

static cb_status put_device(cb_store *store, const json_t *operation,
                            cb_error *error)
{
    cb_device_id device;
    cb_person_id person;
    uint8_t signing[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing[CB_PUBLIC_KEY_BYTES];
    uint8_t certificate[CB_SIGNATURE_BYTES];
    bool hub = json_is_true(json_object_get(operation, "hub"));
    if (!cb_json_bytes(operation, "device", device.bytes,
                       sizeof device.bytes) ||
        !cb_json_bytes(operation, "person", person.bytes,
                       sizeof person.bytes) ||
        !cb_json_bytes(operation, "signing_key", signing, sizeof signing) ||
        !cb_json_bytes(operation, "sealing_key", sealing, sizeof sealing) ||
        !cb_json_bytes(operation, "certificate", certificate,
                       sizeof certificate)) {
        return cb_error_set(error, CB_INPUT,
                            "a roster line of a device is not complete");
    }
    const cb_store_identity *identity = &store->identity;
    if (!cb_certificate_holds(&identity->realm, &device, &person, signing,
                              sealing, hub, certificate,
                              hub ? identity->root_key : identity->hub_key)) {
        return cb_error_set(error, CB_DAMAGED,
                            "the certificate of a device does not hold");
    }
    cb_status status = CB_OK;
    for (size_t i = 0; i < (store->rebuilding ? 2 : 1) && status == CB_OK;
         i++) {
        /* In a row that is there, what the hub remembers of the device stays.
         */
        cb_query query = cb_query_begin(
            store->database, i == 0 ? "device_put" : "check_device_restore");
        cb_query_bind_blob(&query, ":id", device.bytes, sizeof device.bytes);
        cb_query_bind_blob(&query, ":person", person.bytes,
                           sizeof person.bytes);
        cb_query_bind_blob(&query, ":signing_key", signing, sizeof signing);
        cb_query_bind_blob(&query, ":sealing_key", sealing, sizeof sealing);
        cb_query_bind_blob(&query, ":certificate", certificate,
                           sizeof certificate);
        cb_query_bind_integer(&query, ":hub", hub);
        status = cb_query_run(&query, error);
    }
    cb_device_facts held = { .hub = false };
    if (status == CB_OK) {
        status = cb_device_find(store, &device, &held, error);
    }
    /* A row that was there already stays as it was. */
    if (status == CB_NOT_FOUND ||
        (status == CB_OK &&
         (memcmp(held.signing_key, signing, sizeof signing) != 0 ||
          memcmp(held.sealing_key, sealing, sizeof sealing) != 0 ||
          memcmp(&held.person, &person, sizeof person) != 0))) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a roster line gives a device, or its key, to "
                              "somebody else");
    }
    return status;
}

static cb_status add_backlog(cb_store *store, const cb_person_id *person,
                             const cb_case_id *case_id, const char *classes,
                             cb_error *error)
{
    cb_query query = cb_query_begin(store->database, "outbox_backlog_add");
    cb_query_bind_blob(&query, ":person", person->bytes, sizeof person->bytes);
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    cb_query_bind_text(&query, ":classes", classes);
    return cb_query_run(&query, error);
}

static cb_status put_permission(cb_store *store, const json_t *operation,
                                cb_error *error)
{
    cb_person_id person;
    cb_case_id case_id;
    const char *classes = cb_json_text(operation, "classes");
    if (classes == NULL || strspn(classes, "VOSRCWA") != strlen(classes) ||
        !cb_json_bytes(operation, "person", person.bytes,
                       sizeof person.bytes) ||
        !cb_json_bytes(operation, "case", case_id.bytes,
                       sizeof case_id.bytes)) {
        return cb_error_set(error, CB_INPUT,
                            "a roster line of a permission is not complete");
    }
    cb_query query = cb_query_begin(store->database, "permission_put");
    cb_query_bind_blob(&query, ":person", person.bytes, sizeof person.bytes);
    cb_query_bind_blob(&query, ":case_id", case_id.bytes, sizeof case_id.bytes);
    cb_query_bind_text(&query, ":classes", classes);
    cb_status status = cb_query_run(&query, error);
    if (store->rebuilding) {
        return status;
    }
    /* What lies behind the outbox already is put into it the next time. */
    if (status == CB_OK && store->identity.hub) {
        status = add_backlog(store, &person, &case_id, classes, error);
    }
    return status == CB_OK ? cb_admit_again(store, &person, &case_id, error)
                           : status;
}

/* Unknown operations are of a newer version: kept in the entry, passed over. */
static cb_status apply_operation(cb_store *store, const json_t *operation,
                                 cb_error *error)
{
    static const struct {
        const char *name;
        cb_status (*apply)(cb_store *, const json_t *, cb_error *);
    } rows[] = {
        { "person", put_person },
        { "device", put_device },
        { "permission", put_permission },
    };

    const char *name = cb_json_text(operation, "op");
    for (size_t i = 0; name != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].apply(store, operation, error);
        }
    }
    return CB_OK;
}

static cb_status apply_version(cb_store *store, const json_t *body,
                               const cb_hash *hash, cb_error *error)
{
    int64_t version = 0;
    cb_hash previous;
    const json_t *operations = cb_json_array(body, "ops");
    if (operations == NULL || !cb_json_integer(body, "version", &version) ||
        !cb_json_bytes(body, "previous", previous.bytes,
                       sizeof previous.bytes)) {
        return cb_error_set(error, CB_INPUT,
                            "the roster entry is not complete");
    }
    if (version != (int64_t)store->identity.roster + 1 ||
        memcmp(&previous, &store->roster_hash, sizeof previous) != 0) {
        return cb_error_set(error, CB_DAMAGED,
                            "roster version %lld does not follow version %u",
                            (long long)version, store->identity.roster);
    }
    cb_status status = CB_OK;
    for (size_t i = 0; i < json_array_size(operations) && status == CB_OK;
         i++) {
        status = apply_operation(store, json_array_get(operations, i), error);
    }
    if (status == CB_OK) {
        status = cb_meta_put_number(store, "roster.version", (uint64_t)version,
                                    error);
    }
    if (status == CB_OK) {
        status = cb_meta_put(store, "roster.hash", hash->bytes,
                             sizeof hash->bytes, error);
    }
    if (status == CB_OK) {
        store->identity.roster = (uint32_t)version;
        store->roster_hash = *hash;
    }
    return status;
}

static cb_status apply_names(cb_store *store, const json_t *body,
                             cb_error *error)
{
    const json_t *names = cb_json_array(body, "names");
    cb_status status = CB_OK;
    for (size_t i = 0; i < json_array_size(names) && status == CB_OK; i++) {
        const json_t *row = json_array_get(names, i);
        const char *name = cb_json_text(row, "name");
        cb_person_id person;
        if (name == NULL || strlen(name) > CB_NAME_BYTES_MAX ||
            !cb_json_bytes(row, "person", person.bytes, sizeof person.bytes)) {
            continue;
        }
        cb_query query = cb_query_begin(store->database, "person_name");
        cb_query_bind_blob(&query, ":id", person.bytes, sizeof person.bytes);
        cb_query_bind_text(&query, ":name", name);
        status = cb_query_run(&query, error);
    }
    return status;
}

cb_status cb_roster_apply(cb_store *store, const json_t *body, bool clear,
                          const cb_hash *hash, uint64_t time, cb_error *error)
{
    (void)time;
    return clear ? apply_version(store, body, hash, error)
                 : apply_names(store, body, error);
}

cb_status cb_roster_append(cb_store *store, json_t *operations, cb_error *error)
{
    cb_appended appended;
    json_t *body = json_pack(
        "{s:o, s:o, s:i, s:I}", "ops", operations, "previous",
        cb_json_hex(store->roster_hash.bytes, sizeof store->roster_hash.bytes),
        "schema", 1, "version", (json_int_t)store->identity.roster + 1);
    if (body == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status =
        cb_append(store, CB_ENTRY_ROSTER, NULL, NULL, body, &appended, error);
    if (status == CB_OK) {
        status = apply_version(store, body, &appended.hash, error);
    }
    json_decref(body);
    return status;
}

cb_status cb_roster_append_name(cb_store *store, const cb_person_id *person,
                                const char *name, cb_error *error)
{
    cb_key key;
    cb_appended appended;
    json_t *body = json_pack(
        "{s:[{s:s, s:o}], s:i}", "names", "name", name, "person",
        cb_json_hex(person->bytes, sizeof person->bytes), "schema", 1);
    if (body == NULL) {
        return cb_error_set(error, CB_INPUT, "the name is not text in UTF-8");
    }
    cb_status status = cb_compartment_realm_key(store, &key, error);
    if (status == CB_OK) {
        status = cb_append(store, CB_ENTRY_ROSTER, &key, NULL, body, &appended,
                           error);
    }
    if (status == CB_OK) {
        status = apply_names(store, body, error);
    }
    json_decref(body);
    return status;
}

json_t *cb_roster_roles(cb_store *store, const cb_person_id *person)
{
    json_t *roles = NULL;
    cb_query query = cb_query_begin(store->database, "person_find");
    cb_query_bind_blob(&query, ":id", person->bytes, sizeof person->bytes);
    if (cb_query_step(&query, NULL) == CB_OK) {
        cb_span text = cb_span_of_text(cb_query_text(&query, 0));
        if (cb_json_parse(text, &roles, NULL) != CB_OK) {
            roles = NULL;
        }
    }
    cb_query_end(&query);
    return roles == NULL ? json_array() : roles;
}

bool cb_roster_has_role(cb_store *store, const cb_person_id *person,
                        const char *role)
{
    json_t *roles = cb_roster_roles(store, person);
    bool found = false;
    for (size_t i = 0; i < json_array_size(roles); i++) {
        const char *text = json_string_value(json_array_get(roles, i));
        found = found || (text != NULL && strcmp(text, role) == 0);
    }
    json_decref(roles);
    return found;
}

/* Classes in the order of the letters' list, each once. */
static void merge_classes(char *merged, size_t size, const char *a,
                          const char *b)
{
    size_t used = 0;
    for (const char *letter = "VOSRCWA"; *letter != '\0'; letter++) {
        if ((strchr(a, *letter) != NULL || strchr(b, *letter) != NULL) &&
            used + 1 < size) {
            merged[used++] = *letter;
        }
    }
    merged[used] = '\0';
}

static json_t *permission_operation(const cb_person_id *person,
                                    const cb_case_id *case_id,
                                    const char *classes)
{
    return json_pack("{s:s, s:o, s:s, s:o}", "op", "permission", "case",
                     cb_json_hex(case_id->bytes, sizeof case_id->bytes),
                     "classes", classes, "person",
                     cb_json_hex(person->bytes, sizeof person->bytes));
}

cb_status cb_roster_permit(cb_store *store, const cb_person_id *person,
                           const cb_case_id *case_id, const char *classes,
                           cb_error *reterr_error)
{
    char before[16] = "";
    char merged[16];
    cb_status status = cb_store_require_hub(store, reterr_error);
    if (status == CB_OK &&
        (classes[0] == '\0' || strspn(classes, "VOSRCWA") != strlen(classes))) {
        status = cb_error_set(reterr_error, CB_INPUT,
                              "'%.32s' is not a list of classes", classes);
        cb_error_next(reterr_error, "name some of the letters V O S R C W A");
    }
    if (status != CB_OK) {
        return status;
    }
    cb_query query = cb_query_begin(store->database, "permission_find");
    cb_query_bind_blob(&query, ":person", person->bytes, sizeof person->bytes);
    cb_query_bind_blob(&query, ":case_id", case_id->bytes,
                       sizeof case_id->bytes);
    status = cb_query_step(&query, reterr_error);
    if (status == CB_OK) {
        (void)snprintf(before, sizeof before, "%s", cb_query_text(&query, 0));
    }
    cb_query_end(&query);
    if (status != CB_OK && status != CB_END) {
        return status;
    }
    merge_classes(merged, sizeof merged, before, classes);
    if (strcmp(merged, before) == 0) {
        return CB_OK;
    }
    bool own = !cb_database_in_transaction(store->database);
    status = own ? cb_store_begin(store, reterr_error) : CB_OK;
    if (status == CB_OK) {
        status = cb_roster_append(
            store,
            json_pack("[o]", permission_operation(person, case_id, merged)),
            reterr_error);
    }
    if (status == CB_OK && own) {
        status = cb_store_commit(store, reterr_error);
    }
    if (status != CB_OK && own) {
        cb_store_abort(store);
    }
    return status;
}

/* A version's body is in clear and bounded, so they go in by the hundred. */
static cb_status permit_some(cb_store *store, bool *ret_more, cb_error *error)
{
    json_t *operations = json_array();
    cb_query query = cb_query_begin(store->database, "permission_missing");
    cb_query_bind_blob(&query, ":person", store->identity.person.bytes,
                       sizeof store->identity.person.bytes);
    cb_status status = cb_query_step(&query, error);
    while (status == CB_OK) {
        cb_case_id case_id;
        cb_person_id person;
        if (cb_query_copy(&query, 0, case_id.bytes, sizeof case_id.bytes) &&
            cb_query_copy(&query, 1, person.bytes, sizeof person.bytes)) {
            (void)json_array_append_new(
                operations, permission_operation(&person, &case_id, "VOSRCA"));
        }
        status = cb_query_step(&query, error);
    }
    cb_query_end(&query);
    *ret_more = json_array_size(operations) > 0;
    if (status == CB_END && *ret_more) {
        return cb_roster_append(store, operations, error);
    }
    json_decref(operations);
    return status == CB_END ? CB_OK : status;
}

cb_status cb_exchange_permit_authors(cb_store *store, cb_error *reterr_error)
{
    bool more = true;
    cb_status status = CB_OK;
    while (status == CB_OK && more) {
        status = permit_some(store, &more, reterr_error);
    }
    return status;
}
