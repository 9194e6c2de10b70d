/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People, devices and permissions against the entries of the roster: these are
 * replayed over the tables in a transaction, and what changes by that was not
 * as the hub had signed it.
 *
 * Before the first sync a device knows itself and the hub from its admission,
 * of which no entry is kept; a device's row proves itself by its certificate.
 */
#include "store/check.h"

#include "base/json.h"

#include <string.h>

struct tables {
    cb_check_list people;
    cb_check_list permissions;
    cb_check_list devices;
};

static void short_of(const uint8_t *id, char text[9])
{
    char full[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(id, CB_IDENTIFIER_BYTES, full);
    memcpy(text, full, 8);
    text[8] = '\0';
}

static cb_status report_row(cb_check *check, void *context, const uint8_t *key,
                            enum cb_check_change change)
{
    const enum cb_check_code *code = context;
    cb_check_place place = { .page = 0 };
    char who[9];
    char where[9];
    short_of(key, who);
    cb_hex_format(key, CB_IDENTIFIER_BYTES, place.subject);
    if (*code != CB_CHECK_ROSTER_PERMISSION) {
        return cb_check_found(check, *code, &place, "%s %s %s",
                              *code == CB_CHECK_ROSTER_PERSON
                                  ? "what the roster says of person"
                                  : "the row of device",
                              who, cb_check_change_words(change));
    }
    short_of(key + CB_IDENTIFIER_BYTES, where);
    place.has_case = true;
    memcpy(place.case_id.bytes, key + CB_IDENTIFIER_BYTES,
           sizeof place.case_id.bytes);
    return cb_check_found(check, *code, &place,
                          "the permission of person %s for case %s %s", who,
                          where, cb_check_change_words(change));
}

static cb_status take_table(cb_check *check, const char *statement, bool pair,
                            cb_check_list *rows, cb_error *words)
{
    cb_query query = cb_query_begin(check->store->database, statement);
    return cb_check_rows_take(check, &query, pair, rows, words);
}

static cb_status compare_table(cb_check *check, const char *statement,
                               bool pair, const cb_check_list *rows,
                               enum cb_check_code code, cb_error *words)
{
    cb_query query = cb_query_begin(check->store->database, statement);
    return cb_check_rows_compare(check, &query, pair, rows, report_row, &code,
                                 words);
}

/* ------------------------------------------------------------------- replay */

static cb_status run(cb_check *check, const char *statement, cb_error *words)
{
    cb_query query = cb_query_begin(check->store->database, statement);
    return cb_query_run(&query, words);
}

/* Nothing is known of anybody, but for what the admission said of ourselves. */
static cb_status forget_roster(cb_check *check, cb_error *words)
{
    cb_store *store = check->store;
    cb_query query = cb_query_begin(store->database, "check_person_forget");
    cb_query_bind_blob(&query, ":own", store->identity.person.bytes,
                       sizeof store->identity.person.bytes);
    cb_status status = cb_query_run(&query, words);
    if (status == CB_OK) {
        status = run(check, "check_roster_forget", words);
    }
    if (status == CB_OK && !store->identity.hub) {
        query = cb_query_begin(store->database, "person_name");
        cb_query_bind_blob(&query, ":id", store->identity.person.bytes,
                           sizeof store->identity.person.bytes);
        cb_query_bind_text(&query, ":name", store->identity.person_name);
        status = cb_query_run(&query, words);
    }
    store->identity.roster = 0;
    memset(&store->roster_hash, 0, sizeof store->roster_hash);
    return status;
}

static cb_status parse_sealed(cb_check *check, const cb_entry *entry,
                              int64_t key, json_t **ret_body, cb_error *words)
{
    cb_compartment compartment;
    cb_buffer plaintext;
    cb_buffer_init(&plaintext, CB_PLAINTEXT_BYTES_MAX);
    cb_status status =
        cb_compartment_load_number(check->store, key, &compartment, words);
    if (status == CB_OK) {
        status =
            cb_entry_open(entry, check->store->key_in_use, &plaintext, words);
    }
    if (status == CB_OK) {
        status = cb_json_parse_canonical(cb_span_of_buffer(&plaintext),
                                         ret_body, words);
    }
    cb_buffer_clear(&plaintext);
    return status;
}

/* One that cannot be opened or read was named when the entries were checked. */
static cb_status replay_entry(cb_check *check, cb_span bytes, int64_t key,
                              cb_error *words)
{
    cb_entry entry;
    json_t *body = NULL;
    cb_error ignored = { .status = CB_OK };
    cb_status status = cb_entry_decode(bytes, &entry, &ignored);
    if (status != CB_OK) {
        return CB_OK;
    }
    bool clear = (entry.header.flags & CB_ENTRY_FLAG_CLEAR) != 0;
    status = clear ? cb_json_parse_canonical(entry.body, &body, &ignored)
                   : parse_sealed(check, &entry, key, &body, &ignored);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(words, status, "out of memory");
    }
    if (status != CB_OK) {
        return CB_OK;
    }
    status = cb_roster_apply(check->store, body, clear, &entry.hash,
                             entry.header.time, words);
    json_decref(body);
    return status;
}

static cb_status replay_all(cb_check *check, cb_error *words)
{
    int64_t number = 0;
    cb_buffer bytes;
    cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
    cb_status status = CB_OK;
    while (status == CB_OK) {
        cb_query query =
            cb_query_begin(check->store->database, "check_roster_entries");
        cb_query_bind_integer(&query, ":after", number);
        status = cb_query_step(&query, words);
        int64_t key = 0;
        if (status == CB_OK) {
            number = cb_query_integer(&query, 0);
            key = cb_query_integer(&query, 2);
            cb_buffer_reset(&bytes);
            cb_buffer_append_span(&bytes, cb_query_blob(&query, 1));
            status = cb_buffer_check(&bytes, words);
        }
        cb_query_end(&query);
        if (status == CB_OK) {
            status = replay_entry(check, cb_span_of_buffer(&bytes), key, words);
        }
        if (status == CB_OK &&
            (check->error.status != CB_OK ||
             cb_check_step(check, "checking the roster", 0, 0) != CB_OK)) {
            status = CB_INTERRUPTED;
        }
    }
    cb_buffer_clear(&bytes);
    return status == CB_END ? CB_OK : status;
}

cb_status cb_check_replay_roster(cb_check *check, cb_error *words)
{
    check->store->rebuilding = true;
    cb_status status = forget_roster(check, words);
    if (status == CB_OK) {
        status = replay_all(check, words);
    }
    check->store->rebuilding = false;
    if (status == CB_OK) {
        status = run(check, "check_person_void", words);
    }
    return status;
}

/* ------------------------------------------------------------------ compare */

/* Rows that no entry of the roster speaks of prove themselves. */
static cb_status check_certificates(cb_check *check, cb_error *words)
{
    const cb_store_identity *identity = &check->store->identity;
    cb_query query = cb_query_begin(check->store->database, "check_device");
    cb_status status = cb_query_step(&query, words);
    while (status == CB_OK) {
        cb_device_id device = { { 0 } };
        cb_person_id person = { { 0 } };
        uint8_t signing[CB_PUBLIC_KEY_BYTES] = { 0 };
        uint8_t sealing[CB_PUBLIC_KEY_BYTES] = { 0 };
        uint8_t certificate[CB_SIGNATURE_BYTES] = { 0 };
        bool hub = cb_query_integer(&query, 5) == 1;
        (void)cb_query_copy(&query, 0, device.bytes, sizeof device.bytes);
        (void)cb_query_copy(&query, 1, person.bytes, sizeof person.bytes);
        (void)cb_query_copy(&query, 2, signing, sizeof signing);
        (void)cb_query_copy(&query, 3, sealing, sizeof sealing);
        (void)cb_query_copy(&query, 4, certificate, sizeof certificate);
        if (!cb_certificate_holds(
                &identity->realm, &device, &person, signing, sealing, hub,
                certificate, hub ? identity->root_key : identity->hub_key)) {
            enum cb_check_code code = CB_CHECK_ROSTER_DEVICE;
            status =
                report_row(check, &code, device.bytes, CB_CHECK_ROW_CHANGED);
        }
        if (status == CB_OK) {
            status = cb_query_step(&query, words);
        }
    }
    cb_query_end(&query);
    return status == CB_END ? CB_OK : status;
}

static cb_status compare(cb_check *check, const struct tables *tables,
                         bool devices, cb_error *words)
{
    cb_status status =
        compare_table(check, "check_person", false, &tables->people,
                      CB_CHECK_ROSTER_PERSON, words);
    if (status == CB_OK) {
        status =
            compare_table(check, "check_permission", true, &tables->permissions,
                          CB_CHECK_ROSTER_PERMISSION, words);
    }
    return status == CB_OK && devices
               ? compare_table(check, "check_device", false, &tables->devices,
                               CB_CHECK_ROSTER_DEVICE, words)
               : status;
}

static cb_status check_version(cb_check *check, const cb_store_identity *before,
                               const cb_hash *hash)
{
    const cb_store *store = check->store;
    const cb_check_place place = cb_check_at_subject("roster.version");
    return store->identity.roster == before->roster &&
                   memcmp(&store->roster_hash, hash, sizeof *hash) == 0
               ? CB_OK
               : cb_check_found(check, CB_CHECK_ROSTER_VERSION, &place,
                                "the store notes version %u of the roster, its "
                                "entries lead to version %u",
                                before->roster, store->identity.roster);
}

static cb_status take_tables(cb_check *check, struct tables *tables,
                             cb_error *words)
{
    cb_status status =
        take_table(check, "check_person", false, &tables->people, words);
    if (status == CB_OK) {
        status = take_table(check, "check_permission", true,
                            &tables->permissions, words);
    }
    if (status == CB_OK) {
        status =
            take_table(check, "check_device", false, &tables->devices, words);
    }
    return status;
}

/* Inside a transaction, of which nothing stays. */
static cb_status try_replay(cb_check *check, const struct tables *tables,
                            cb_error *words)
{
    const cb_store_identity before = check->store->identity;
    const cb_hash hash = check->store->roster_hash;
    const cb_check_place place = cb_check_at_subject("roster");
    uint64_t wrong = cb_check_seen(check, CB_CHECK_ROSTER_DEVICE);
    cb_status status = check_certificates(check, words);
    wrong = cb_check_seen(check, CB_CHECK_ROSTER_DEVICE) - wrong;
    if (status == CB_OK) {
        status = cb_check_replay_roster(check, words);
    }
    if (status == CB_DAMAGED || status == CB_INPUT) {
        return cb_check_found(check, CB_CHECK_ENTRY_MISSING, &place,
                              "the roster's entries do not lead to its present "
                              "version: %s",
                              words->what);
    }
    if (status == CB_OK) {
        status = check_version(check, &before, &hash);
    }
    return status == CB_OK ? compare(check, tables, wrong == 0, words) : status;
}

cb_status cb_check_roster(cb_check *check)
{
    struct tables tables = { .people.size = 0 };
    cb_savepoint savepoint;
    cb_error words = { .status = CB_OK };
    cb_store *store = check->store;
    bool may = false;
    cb_status status =
        check->has_loaded ? cb_check_may_try(check, &may) : CB_OK;
    if (status == CB_OK && may) {
        status = cb_check_step(check, "checking the roster", 0, 0);
    }
    if (status != CB_OK || !may) {
        return status;
    }
    bool own = !cb_database_in_transaction(store->database);
    status = own ? cb_database_begin(store->database, &words) : CB_OK;
    if (status == CB_OK) {
        status = cb_savepoint_begin(store, &savepoint, &words);
    }
    if (status == CB_OK) {
        status = take_tables(check, &tables, &words);
        if (status == CB_OK) {
            status = try_replay(check, &tables, &words);
        }
        (void)cb_savepoint_end(store, &savepoint, false, NULL);
    }
    if (own) {
        cb_database_abort(store->database);
    }
    cb_check_list_clear(&tables.people);
    cb_check_list_clear(&tables.permissions);
    cb_check_list_clear(&tables.devices);
    return check->error.status != CB_OK
               ? check->error.status
               : cb_check_bear(check, status, &words, NULL, "the roster");
}
