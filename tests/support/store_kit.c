/* SPDX-License-Identifier: Apache-2.0 */
#include "support/store_kit.h"

#include <casebound/json.h>
#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EPOCH_MS INT64_C(1767225600000)

void store_kit_must(cb_status status, const cb_error *error, const char *what)
{
    if (status == CB_OK) {
        return;
    }
    fprintf(stderr, "%s failed: %s: %s; %s\n", what, cb_status_name(status),
            error->what, error->meaning);
    abort();
}

static int64_t now_ms(void *context)
{
    store_kit *kit = context;
    return kit->now_ms++;
}

void store_kit_begin(store_kit *kit)
{
    cb_error error = { 0 };
    const char *base = getenv("TMPDIR");
    memset(kit, 0, sizeof *kit);
    snprintf(kit->root, sizeof kit->root, "%s/casebound-store-XXXXXX",
             base == NULL ? "/tmp" : base);
    if (mkdtemp(kit->root) == NULL || sodium_init() < 0) {
        perror(kit->root);
        abort();
    }
    kit->now_ms = EPOCH_MS;
    kit->environment = *cb_environment_system();
    kit->environment.context = kit;
    kit->environment.now_ms = now_ms;
    size_t size = strlen(STORE_KIT_PASSPHRASE);
    store_kit_must(cb_secret_create(size, &kit->passphrase, &error), &error,
                   "the passphrase");
    memcpy(cb_secret_bytes(kit->passphrase), STORE_KIT_PASSPHRASE, size);
}

/* Files, and folders of files: a store holds nothing deeper. */
static void remove_folder(const char *folder, unsigned depth)
{
    DIR *listing = opendir(folder);
    struct dirent *row = NULL;
    while (listing != NULL && (row = readdir(listing)) != NULL) {
        char path[2 * STORE_KIT_PATH_BYTES];
        snprintf(path, sizeof path, "%s/%s", folder, row->d_name);
        if (row->d_name[0] != '.' && remove(path) != 0 && depth > 0) {
            remove_folder(path, depth - 1);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    rmdir(folder);
}

void store_kit_end(store_kit *kit)
{
    cb_secret_destroy(kit->passphrase);
    remove_folder(kit->root, 2);
}

const char *store_kit_path(const store_kit *kit, const char *name,
                           char path[STORE_KIT_PATH_BYTES])
{
    snprintf(path, STORE_KIT_PATH_BYTES, "%s/%s", kit->root, name);
    return path;
}

cb_store_options store_kit_options(const store_kit *kit, const char *folder)
{
    return (cb_store_options){
        .folder = folder,
        .environment = &kit->environment,
        .kdf_operations = crypto_pwhash_OPSLIMIT_MIN,
        .kdf_memory_bytes = crypto_pwhash_MEMLIMIT_MIN,
    };
}

cb_store *store_kit_create(store_kit *kit, const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_error error = { 0 };
    cb_store *store = NULL;
    const cb_store_options options =
        store_kit_options(kit, store_kit_path(kit, name, path));
    store_kit_must(cb_store_create(&options, kit->passphrase, &store, &error),
                   &error, "making a store");
    return store;
}

cb_store *store_kit_open(store_kit *kit, const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_error error = { 0 };
    cb_store *store = NULL;
    const cb_store_options options =
        store_kit_options(kit, store_kit_path(kit, name, path));
    store_kit_must(cb_store_open(&options, kit->passphrase, &store, &error),
                   &error, "opening a store");
    return store;
}

void store_kit_found(cb_store *store, const char *service, const char *person,
                     const char *log)
{
    cb_error error = { 0 };
    cb_realm_id realm;
    cb_secret *root_key = NULL;
    store_kit_must(cb_enrolment_make_root(store, &realm, &root_key, &error),
                   &error, "making a root key");
    store_kit_must(
        cb_enrolment_found(store, service, person, log, root_key, &error),
        &error, "founding a service");
    cb_secret_destroy(root_key);
}

cb_store *store_kit_hub(store_kit *kit, const char *name)
{
    cb_store *hub = store_kit_create(kit, name);
    store_kit_found(hub, "Test Service", "Hub Office", "/nowhere/log.git");
    return hub;
}

cb_store *store_kit_device(store_kit *kit, cb_store *hub, const char *name,
                           const char *role)
{
    cb_error error = { 0 };
    char fingerprint[CB_FINGERPRINT_TEXT_BYTES];
    cb_buffer request;
    cb_buffer answer;
    cb_store *device = store_kit_create(kit, name);
    const cb_admission admission = { .name = name,
                                     .roles = &role,
                                     .role_count = 1 };
    cb_buffer_init(&request, CB_ENROLMENT_FILE_BYTES_MAX);
    cb_buffer_init(&answer, CB_ENROLMENT_FILE_BYTES_MAX);
    store_kit_must(cb_enrolment_request(device, &request, fingerprint, &error),
                   &error, "asking to enrol");
    store_kit_must(cb_enrolment_admit(hub, cb_span_of_buffer(&request),
                                      &admission, &answer, fingerprint, &error),
                   &error, "admitting");
    store_kit_must(
        cb_enrolment_join(device, cb_span_of_buffer(&answer), &error), &error,
        "joining");
    cb_buffer_clear(&request);
    cb_buffer_clear(&answer);
    return device;
}

json_t *store_kit_json(const char *text)
{
    json_error_t problem;
    char *copy = strdup(text);
    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    json_t *value = copy == NULL ? NULL : json_loads(copy, 0, &problem);
    if (value == NULL) {
        fprintf(stderr, "not JSON: %s\n", text);
        abort();
    }
    free(copy);
    return value;
}

cb_case_id store_kit_case(cb_store *store)
{
    cb_error error = { 0 };
    cb_recorded recorded;
    const cb_change change = { 0 };
    json_t *fields = store_kit_json(
        "{'received':'2026-01-05','source':'self_victim','stage':'"
        "post_sentence_custody','initiated_by':'victim'}");
    store_kit_must(
        cb_store_open_case(store, &change, fields, &recorded, &error), &error,
        "opening a case");
    cb_case_id case_id = recorded.case_id;
    cb_recorded_clear(&recorded);
    json_decref(fields);
    return case_id;
}

cb_record_id store_kit_add(cb_store *store, const cb_case_id *case_id,
                           const char *type, const cb_record_id *about,
                           const char *fields)
{
    cb_error error = { 0 };
    cb_recorded recorded;
    const cb_change change = { .case_id = *case_id };
    json_t *value = store_kit_json(fields);
    store_kit_must(
        cb_store_add(store, &change, type, about, value, &recorded, &error),
        &error, type);
    cb_record_id record = recorded.record;
    cb_recorded_clear(&recorded);
    json_decref(value);
    return record;
}

cb_record_id store_kit_person(cb_store *store, const cb_case_id *case_id,
                              const char *role, const char *name)
{
    char fields[512];
    snprintf(fields, sizeof fields, "{'role':'%s','name':'%s'}", role, name);
    return store_kit_add(store, case_id, "person", NULL, fields);
}

cb_hash store_kit_fingerprint(cb_store *store, const cb_case_id *case_id)
{
    cb_error error = { 0 };
    cb_case_state *state = NULL;
    store_kit_must(cb_store_case_state(store, case_id, &state, &error), &error,
                   "folding a case");
    cb_hash fingerprint = cb_case_state_fingerprint(state);
    cb_case_state_destroy(state);
    return fingerprint;
}

/* --------------------------------------------------------------- exchange */

#define BUNDLE_BYTES_MAX ((size_t)1 << 30)

void store_kit_bundle_begin(store_kit_bundle *bundle)
{
    bundle->count = 0;
    cb_buffer_init(&bundle->bytes, BUNDLE_BYTES_MAX);
}

void store_kit_bundle_end(store_kit_bundle *bundle)
{
    cb_buffer_clear(&bundle->bytes);
}

static cb_status collect(void *context, cb_span entry, uint64_t log_index,
                         cb_error *error)
{
    store_kit_bundle *bundle = context;
    uint8_t head[16];
    cb_put_u64(head, entry.size);
    cb_put_u64(head + 8, log_index);
    cb_buffer_append(&bundle->bytes, head, sizeof head);
    cb_buffer_append_span(&bundle->bytes, entry);
    bundle->count++;
    return cb_buffer_check(&bundle->bytes, error);
}

void store_kit_collect(cb_store *device, uint64_t first_seq,
                       store_kit_bundle *bundle)
{
    cb_error error = { 0 };
    cb_store_identity identity;
    cb_store_identify(device, &identity);
    const cb_segment_facts run = {
        .stream = identity.stream,
        .first_seq = first_seq,
        .count = identity.head_seq + 1 - first_seq,
    };
    store_kit_must(
        cb_exchange_segment_entries(device, &run, collect, bundle, &error),
        &error, "reading own entries");
}

cb_span store_kit_entry(const store_kit_bundle *bundle, size_t place,
                        int64_t *log_index)
{
    const uint8_t *at = bundle->bytes.bytes;
    for (size_t i = 0; i < place; i++) {
        at += 16 + cb_get_u64(at);
    }
    if (log_index != NULL) {
        *log_index = (int64_t)cb_get_u64(at + 8);
    }
    return (cb_span){ at + 16, (size_t)cb_get_u64(at) };
}

static size_t take_all(cb_store *store, const store_kit_bundle *bundle,
                       bool whole_stream)
{
    cb_error error = { 0 };
    size_t fresh = 0;
    const uint8_t *at = bundle->bytes.bytes;
    for (size_t i = 0; i < bundle->count; i++) {
        cb_ingest_outcome outcome;
        const cb_ingest how = {
            .whole_stream = whole_stream,
            .log_index = whole_stream ? -1 : (int64_t)cb_get_u64(at + 8),
        };
        const cb_span entry = { at + 16, (size_t)cb_get_u64(at) };
        store_kit_must(cb_exchange_ingest(store, entry, &how, &outcome, &error),
                       &error, "taking in an entry");
        fresh += outcome != CB_INGEST_KNOWN;
        at = entry.bytes + entry.size;
    }
    return fresh;
}

/* The facts of a device at the hub, found by walking. */
struct search {
    cb_device_id device;
    cb_device_facts facts;
    bool found;
};

static cb_status match(void *context, const cb_device_facts *facts,
                       cb_error *error)
{
    struct search *search = context;
    (void)error;
    if (memcmp(&facts->device, &search->device, sizeof facts->device) == 0) {
        search->facts = *facts;
        search->found = true;
    }
    return CB_OK;
}

static cb_device_facts facts_of(cb_store *store, const cb_device_id *device)
{
    cb_error error = { 0 };
    struct search search = { .device = *device };
    store_kit_must(cb_exchange_devices(store, match, &search, &error), &error,
                   "listing devices");
    if (!search.found) {
        fprintf(stderr, "the device is not in the roster\n");
        abort();
    }
    return search.facts;
}

/* Keys from one store to the other; CB_END where there are none. */
static void carry_mail(cb_store *from, cb_store *to, uint64_t version)
{
    cb_error error = { 0 };
    cb_store_identity sender;
    cb_store_identity recipient;
    cb_buffer message;
    uint64_t taken = 0;
    size_t keys = 0;
    cb_store_identify(from, &sender);
    cb_store_identify(to, &recipient);
    cb_buffer_init(&message, CB_MAIL_BYTES_MAX);
    cb_status status = cb_exchange_write_mail(from, &recipient.device, version,
                                              &message, &error);
    if (status != CB_END) {
        store_kit_must(status, &error, "writing mail");
        store_kit_must(cb_exchange_read_mail(
                           to, &sender.device, cb_span_of_buffer(&message),
                           version - 1, &taken, &keys, &error),
                       &error, "reading mail");
    }
    cb_buffer_clear(&message);
}

size_t store_kit_send(cb_store *hub, cb_store *device)
{
    cb_error error = { 0 };
    store_kit_bundle bundle;
    cb_store_identity own;
    cb_stream_facts known = { .head_seq = 0 };
    cb_store_identify(device, &own);
    cb_status status = cb_exchange_stream(hub, &own.stream, &known, &error);
    if (status != CB_NOT_FOUND) {
        store_kit_must(status, &error, "finding a stream");
    }
    store_kit_must(cb_exchange_cut(device, &error), &error, "cutting");
    store_kit_bundle_begin(&bundle);
    store_kit_collect(device, known.head_seq + 1, &bundle);
    store_kit_must(cb_store_begin(hub, &error), &error, "beginning");
    cb_device_facts facts = facts_of(hub, &own.device);
    carry_mail(device, hub, facts.mail_version_in + 1);
    facts.mail_version_in++;
    store_kit_must(cb_exchange_device_remember(hub, &facts, &error), &error,
                   "remembering a device");
    size_t fresh = take_all(hub, &bundle, true);
    store_kit_must(cb_store_commit(hub, &error), &error, "committing");
    store_kit_bundle_end(&bundle);
    return fresh;
}

void store_kit_merge(cb_store *hub)
{
    cb_error error = { 0 };
    size_t cases = 0;
    size_t conflicts = 0;
    uint64_t size = 0;
    store_kit_must(cb_store_begin(hub, &error), &error, "beginning");
    store_kit_must(cb_exchange_permit_authors(hub, &error), &error,
                   "permitting");
    store_kit_must(cb_exchange_settle(hub, &cases, &conflicts, &error), &error,
                   "settling");
    store_kit_must(cb_exchange_log_extend(hub, &size, &error), &error,
                   "extending the log");
    store_kit_must(cb_store_commit(hub, &error), &error, "committing");
}

void store_kit_outbox(cb_store *hub, cb_store *device, store_kit_bundle *bundle)
{
    cb_error error = { 0 };
    cb_store_identity own;
    uint64_t size = 0;
    cb_store_identify(device, &own);
    cb_device_facts facts = facts_of(hub, &own.device);
    store_kit_must(cb_store_begin(hub, &error), &error, "beginning");
    store_kit_must(cb_exchange_log_extend(hub, &size, &error), &error,
                   "the log's size");
    store_kit_must(cb_exchange_outbox_entries(hub, &own.device,
                                              facts.outbox_log_index, size,
                                              collect, bundle, &error),
                   &error, "filling the outbox");
    facts.outbox_log_index = size;
    store_kit_must(cb_exchange_device_remember(hub, &facts, &error), &error,
                   "remembering a device");
    store_kit_must(cb_exchange_outbox_done(hub, &own.device, &error), &error,
                   "emptying the backlog");
    store_kit_must(cb_store_commit(hub, &error), &error, "committing");
}

size_t store_kit_deliver(cb_store *hub, cb_store *device)
{
    cb_error error = { 0 };
    store_kit_bundle bundle;
    cb_store_identity own;
    size_t cases = 0;
    size_t conflicts = 0;
    cb_store_identify(device, &own);
    store_kit_bundle_begin(&bundle);
    store_kit_outbox(hub, device, &bundle);
    cb_device_facts facts = facts_of(hub, &own.device);
    store_kit_must(cb_store_begin(device, &error), &error, "beginning");
    size_t fresh = take_all(device, &bundle, false);
    carry_mail(hub, device, facts.mail_version_out + 1);
    facts.mail_version_out++;
    store_kit_must(cb_exchange_settle(device, &cases, &conflicts, &error),
                   &error, "settling");
    store_kit_must(cb_store_commit(device, &error), &error, "committing");
    store_kit_must(cb_exchange_device_remember(hub, &facts, &error), &error,
                   "remembering a device");
    store_kit_bundle_end(&bundle);
    return fresh;
}

void store_kit_sync(cb_store *hub, cb_store *device)
{
    cb_error error = { 0 };
    cb_store_identity own;
    cb_stream_facts facts;
    store_kit_send(hub, device);
    store_kit_merge(hub);
    store_kit_deliver(hub, device);
    cb_store_identify(device, &own);
    store_kit_must(cb_exchange_stream(hub, &own.stream, &facts, &error), &error,
                   "finding a stream");
    store_kit_must(cb_exchange_accepted(device, &own.stream, facts.head_seq,
                                        &facts.head_hash, &error),
                   &error, "keeping a receipt");
}
