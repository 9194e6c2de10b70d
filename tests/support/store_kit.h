/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores in a folder of their own, with a clock that the test sets and a cheap
 * passphrase, and a hub that exchanges entries and keys with its devices in
 * memory, where the product has Git.
 *
 * What is only preparation ends the program with the product's own words where
 * it fails, so the kit serves Criterion tests and plain programs alike.
 */
#ifndef CASEBOUND_TESTS_STORE_KIT_H
#define CASEBOUND_TESTS_STORE_KIT_H

#include <casebound/enrolment.h>
#include <casebound/exchange.h>

#define STORE_KIT_PATH_BYTES 256
#define STORE_KIT_PASSPHRASE "lantern copper seven meadow"

typedef struct store_kit {
    char root[96];
    cb_environment environment;
    int64_t now_ms; /* grows by one with each look at the clock */
    cb_secret *passphrase;
} store_kit;

void store_kit_begin(store_kit *kit);
void store_kit_end(store_kit *kit);

/* Ends the program unless all is well. */
void store_kit_must(cb_status status, const cb_error *error, const char *what);

/* The folder of that name, and a file in it. */
const char *store_kit_path(const store_kit *kit, const char *name,
                           char path[STORE_KIT_PATH_BYTES]);
cb_store_options store_kit_options(const store_kit *kit, const char *folder);

cb_store *store_kit_create(store_kit *kit, const char *name);
cb_store *store_kit_open(store_kit *kit, const char *name);

/* Makes a store the hub of a new service, whose root key nobody keeps. */
void store_kit_found(cb_store *store, const char *service, const char *person,
                     const char *log);
/* A store that is the hub of "Test Service". */
cb_store *store_kit_hub(store_kit *kit, const char *name);
/* A store that the hub has admitted for a new person with this role. */
cb_store *store_kit_device(store_kit *kit, cb_store *hub, const char *name,
                           const char *role);

/* JSON with ' for ". New reference. */
json_t *store_kit_json(const char *text);

cb_case_id store_kit_case(cb_store *store);
cb_record_id store_kit_add(cb_store *store, const cb_case_id *case_id,
                           const char *type, const cb_record_id *about,
                           const char *fields);
cb_record_id store_kit_person(cb_store *store, const cb_case_id *case_id,
                              const char *role, const char *name);
cb_hash store_kit_fingerprint(cb_store *store, const cb_case_id *case_id);

/*
 * One step of a session each: what the device has written goes to the hub; the
 * hub merges and extends its log; the device gets what it may read and its
 * keys.  They return how many entries were new.
 */
size_t store_kit_send(cb_store *hub, cb_store *device);
void store_kit_merge(cb_store *hub);
size_t store_kit_deliver(cb_store *hub, cb_store *device);
/* All three, and the receipt. */
void store_kit_sync(cb_store *hub, cb_store *device);

/* Entries and mail as they would lie in a log, for tests that meddle. */
typedef struct store_kit_bundle {
    cb_buffer bytes; /* each entry after its size and log index */
    size_t count;
} store_kit_bundle;

void store_kit_bundle_begin(store_kit_bundle *bundle);
void store_kit_bundle_end(store_kit_bundle *bundle);
/* What the device wrote from this number on. */
void store_kit_collect(cb_store *device, uint64_t first_seq,
                       store_kit_bundle *bundle);
/* What the hub's outbox for the device holds; marks it as sent. */
void store_kit_outbox(cb_store *hub, cb_store *device,
                      store_kit_bundle *bundle);
/* The entry at that place; `log_index` may be NULL. */
cb_span store_kit_entry(const store_kit_bundle *bundle, size_t place,
                        int64_t *log_index);

#endif
