/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as its own files see it.
 *
 * Invariants:
 *  1. Between begin and commit nothing but the database changes; what memory
 *     holds of it (the head of our stream, the identity) is read again after an
 *     abort, so a failed change leaves no trace.
 *     Where that reading fails nothing begins before it has succeeded.
 *  2. An entry row and everything derived from it are written in one
 *     transaction.
 *  3. A sealed body is believed only if it speaks of the case and compartment
 *     that its key belongs to, and names as author the person whose stream it
 *     stands in.
 */
#ifndef CASEBOUND_STORE_INTERNAL_H
#define CASEBOUND_STORE_INTERNAL_H

#include "store/database.h"
#include "store/keyring.h"
#include "store/unlock.h"

#include <casebound/certificate.h>
#include <casebound/exchange.h>

#define CB_SIGNING_KEY_BYTES 64
#define CB_CASE_CACHE_SLOTS  64

/* One compartment: a class, and for V and O the person it is about. */
typedef struct cb_compartment {
    cb_case_id case_id;
    char class[2];
    cb_record_id person; /* zero outside V and O */
} cb_compartment;

#define CB_ROLES_MAX 16

/* Somebody who wrote in a case, and what the roster lets them do. */
typedef struct cb_author {
    cb_person_id person;
    json_t *list;
    const char *roles[CB_ROLES_MAX];
    size_t role_count;
    struct cb_author *next;
} cb_author;

/* The decoded entries of one case, kept while the store is open. */
typedef struct cb_case_cache {
    cb_case_id case_id;
    bool used;
    cb_fact *facts;
    size_t count;
    size_t capacity;
    cb_author *authors;
    bool partial;         /* there are more than CB_CASE_ENTRIES_MAX */
    cb_case_state *state; /* folded of these facts, or NULL */
    /* Once the case was settled from here: what its tables hold. */
    bool settled;
    bool fingerprint_due; /* the row says that it has yet to be taken */
    cb_hash row;          /* of what its row says besides how many entries */
    cb_hash issues;       /* of its conflicts and tasks */
} cb_case_cache;

typedef struct cb_witness cb_witness;

struct cb_store {
    const cb_environment *environment;
    cb_model *model;
    cb_database *database;
    char *folder;
    uint8_t store_id[CB_IDENTIFIER_BYTES];
    cb_unlock unlock;    /* as it was when the master key was taken from it */
    bool unlock_altered; /* and not as we wrote it */
    cb_secret *master_key;
    cb_secret *device_key;  /* Ed25519, 64 bytes */
    cb_secret *sealing_key; /* X25519, 32 bytes */
    cb_secret *stream_key;  /* Ed25519, 64 bytes; NULL before joining */
    cb_secret *key_in_use;  /* 32 bytes, the compartment key at work */
    uint8_t device_public[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_public[CB_PUBLIC_KEY_BYTES];
    uint8_t stream_public[CB_PUBLIC_KEY_BYTES];
    cb_store_identity identity;
    cb_key_id realm_key_id;
    char service[5]; /* letters of case references */
    int64_t stream_number;
    cb_hash head_hash;
    uint64_t commits; /* transactions that recorded or took in something */
    cb_witness *witness;
    bool in_earlier;     /* identity.stream is not the present one: earlier.c */
    uint64_t last_time;  /* hybrid logical clock */
    bool clock_followed; /* last_time is another's, to be kept at commit */
    bool rebuilding;     /* the roster is replayed: what follows from its
                            lines elsewhere has happened already */
    cb_hash roster_hash;
    cb_naming naming;
    cb_case_id naming_case;         /* whose parties are being named */
    char name[CB_SHOWN_NAME_BYTES]; /* answer of the last naming call */
    cb_case_cache cache[CB_CASE_CACHE_SLOTS];
    size_t cache_next;
    uint64_t json_failures; /* those that the transaction may ignore */
    bool stale;             /* an abort could not read the identity again */
};

/* ---- meta.c: small values under a name */
cb_status cb_meta_get(cb_store *store, const char *name, cb_buffer *value,
                      cb_error *error);
/* Exactly `size` bytes; CB_NOT_FOUND without text, CB_DAMAGED. */
cb_status cb_meta_get_bytes(cb_store *store, const char *name, void *bytes,
                            size_t size, cb_error *error);
cb_status cb_meta_put(cb_store *store, const char *name, const void *bytes,
                      size_t size, cb_error *error);
cb_status cb_meta_get_number(cb_store *store, const char *name,
                             uint64_t *ret_value, cb_error *error);
cb_status cb_meta_put_number(cb_store *store, const char *name, uint64_t value,
                             cb_error *error);
cb_status cb_meta_get_text(cb_store *store, const char *name, char *text,
                           size_t size, cb_error *error);
cb_status cb_meta_put_text(cb_store *store, const char *name, const char *text,
                           cb_error *error);

/* ---- identity.c */
/* Reads identity, keys and chain head from the database. */
cb_status cb_identity_load(cb_store *store, cb_error *error);
/* Makes the keys of this device; inside a transaction. */
cb_status cb_identity_make(cb_store *store, cb_error *error);
/* Begins an incarnation: its key and its opening entry. */
cb_status cb_identity_begin_stream(cb_store *store, cb_error *error);
/* Begins to write anew after a backup was restored, from which the key of its
 * stream had been taken out; inside a transaction. */
cb_status cb_identity_resume(cb_store *store, cb_error *error);
/* Heads and numbers of the stream that identity.stream names. */
cb_status cb_identity_enter_stream(cb_store *store, cb_error *error);
/* For good: this is a copy of a store that went on elsewhere. */
cb_status cb_identity_mark_restored(cb_store *store, cb_error *error);
/* CB_PERMISSION where nothing may be written in this incarnation. */
cb_status cb_identity_require_current(const cb_store *store, cb_error *error);

/* ---- savepoint.c: a part of a transaction that may fail by itself */
typedef struct cb_savepoint {
    cb_store_identity identity;
    cb_hash head_hash;
    cb_hash roster_hash;
    uint64_t last_time;
} cb_savepoint;

cb_status cb_savepoint_begin(cb_store *store, cb_savepoint *savepoint,
                             cb_error *error);
/* Keeps what was done since, or takes it back, in memory too. */
cb_status cb_savepoint_end(cb_store *store, const cb_savepoint *savepoint,
                           bool keep, cb_error *error);

/* ---- witness.c; its head has the invariants */
/* Reads what is there, before the database is opened.  CB_NEWER. */
cb_status cb_witness_open(cb_store *store, const char *outside,
                          cb_error *error);
/* A store that is behind its witness is an older copy of itself. */
cb_status cb_witness_check(cb_store *store, cb_error *error);
/* The count of the next transaction: beyond every witness. */
uint64_t cb_witness_next(const cb_store *store);
/* After a transaction has become durable; cannot fail. */
void cb_witness_note(cb_store *store);
/* Before the database is closed. */
void cb_witness_close(cb_store *store);
void cb_witness_destroy(cb_witness *witness);

/* ---- earlier.c */
/* The rows of `meta` "stream.earlier" as they will be once the present stream
 * has ended. */
cb_status cb_earlier_gather(cb_store *store, cb_secret **ret_rows,
                            size_t *ret_size, cb_error *error);
/* Writes them; inside a transaction. */
cb_status cb_earlier_keep(cb_store *store, cb_error *error);

/* ---- append.c: our own entries */
/* 1 January 2020: a clock before that was never set. */
#define CB_CLOCK_PLAUSIBLE_MS INT64_C(1577836800000)

/* One candidate under a key id: see compartment.c. */
typedef struct cb_key {
    cb_key_id id;
    int64_t number; /* row of `compartment_key` */
} cb_key;

typedef struct cb_appended {
    uint64_t seq;
    cb_hash hash;
    int64_t number; /* row of `entry` */
} cb_appended;

/*
 * Seals (or writes in clear where `key` is NULL) and stores one entry of our
 * stream.  Applies nothing.
 */
cb_status cb_append(cb_store *store, cb_entry_kind kind, const cb_key *key,
                    const cb_case_id *case_id, const json_t *body,
                    cb_appended *ret_appended, cb_error *error);

/* ---- compartment.c */
/* Loads a key into store->key_in_use; CB_NOT_FOUND without text.  By its id:
 * the likeliest candidate. */
cb_status cb_compartment_load(cb_store *store, const cb_key_id *key_id,
                              cb_compartment *ret_compartment, cb_error *error);
cb_status cb_compartment_load_number(cb_store *store, int64_t number,
                                     cb_compartment *ret_compartment,
                                     cb_error *error);
/* The same from a row of case, class, person, key, number. */
cb_status cb_compartment_read(cb_store *store, const cb_query *query,
                              cb_compartment *ret_compartment,
                              int64_t *ret_number, cb_error *error);
/* The key to write with: our own newest, else the newest received; made where
 * there is none. */
cb_status cb_compartment_key(cb_store *store, const cb_compartment *compartment,
                             cb_key *ret_key, cb_error *error);
/* The key of names; loaded as well. */
cb_status cb_compartment_realm_key(cb_store *store, cb_key *ret_key,
                                   cb_error *error);
/* Whether nothing new would be kept. */
cb_status cb_compartment_held(cb_store *store, const cb_key_id *key_id,
                              const cb_compartment *compartment,
                              const uint8_t *key, const cb_person_id *bringer,
                              bool *ret_held, cb_error *error);
cb_status cb_compartment_take(cb_store *store, const cb_key_id *key_id,
                              const cb_compartment *compartment,
                              const uint8_t *key, const cb_person_id *bringer,
                              bool admitted, cb_error *error);
/* An admitted one.  `bringer`: from whom it came; NULL: made here. */
cb_status cb_compartment_keep(cb_store *store, const cb_key_id *key_id,
                              const cb_compartment *compartment,
                              const uint8_t *key, const cb_person_id *bringer,
                              cb_error *error);

/* ---- admit.c */
/* Whether this person may bring keys of the compartment. */
cb_status cb_admit_judge(cb_store *store, const cb_compartment *compartment,
                         const cb_person_id *person, bool *ret_may,
                         cb_error *error);
/* What follows from a key that has just been let in. */
cb_status cb_admit_open(cb_store *store, int64_t number,
                        const cb_key_id *key_id,
                        const cb_compartment *compartment, cb_error *error);
/* Judges again what this person brought, of one case or (NULL) of all. */
cb_status cb_admit_again(cb_store *store, const cb_person_id *person,
                         const cb_case_id *case_id, cb_error *error);

/* ---- apply.c: the effect of an entry on what is derived */
/* The case has to be folded again. */
cb_status cb_apply_case(cb_store *store, const cb_case_id *case_id,
                        cb_error *error);
/* CB_INPUT with words where the body does not fit its compartment or author. */
cb_status cb_apply_check(const cb_compartment *compartment,
                         const cb_person_id *author, const json_t *body,
                         cb_error *error);

/* The one reason that another key of the same id may take away. */
#define CB_REASON_OTHER_COMPARTMENT                                \
    "the body speaks of another compartment than its key belongs " \
    "to"

/* ---- ingest.c; entries in quarantine or in wait are kept like others */
/* Judges again what waits under this key id, or was taken to be of another
 * compartment: a candidate has just come. */
cb_status cb_ingest_waiting(cb_store *store, const cb_key_id *key_id,
                            cb_error *error);

/* Judges anew an entry that is here, and writes into its row what follows. */
cb_status cb_ingest_again(cb_store *store, int64_t number, cb_span bytes,
                          cb_error *error);

/* ---- roster.c */
/* Applies a roster entry (clear or sealed names) of the hub's stream. */
cb_status cb_roster_apply(cb_store *store, const json_t *body, bool clear,
                          const cb_hash *hash, uint64_t time, cb_error *error);
/* Appends a version of the roster with these operations (stolen). */
cb_status cb_roster_append(cb_store *store, json_t *operations,
                           cb_error *error);
cb_status cb_roster_append_name(cb_store *store, const cb_person_id *person,
                                const char *name, cb_error *error);
/* True where the person has the role. */
bool cb_roster_has_role(cb_store *store, const cb_person_id *person,
                        const char *role);
/* The roles of a person as an array of text; new reference. */
json_t *cb_roster_roles(cb_store *store, const cb_person_id *person);

/* ---- exchange_hub.c; CB_NOT_FOUND without text. */
cb_status cb_device_find(cb_store *store, const cb_device_id *device,
                         cb_device_facts *ret_facts, cb_error *error);

/* ---- certificate.c: pure; what checks one is public */
/* Signs device keys for a person: by the hub, or by the root for the hub. */
cb_status cb_certificate_sign(const cb_realm_id *realm,
                              const cb_device_id *device,
                              const cb_person_id *person,
                              const uint8_t *signing_public,
                              const uint8_t *sealing_public, bool hub,
                              const cb_secret *signing_key,
                              uint8_t *ret_signature, cb_error *error);

/* ---- facts.c: the decoded entries of a case */
/* Borrowed until the cache slot is reused or the store changes the case. */
cb_status cb_facts_load(cb_store *store, const cb_case_id *case_id,
                        const cb_fact **ret_facts, size_t *ret_count,
                        cb_error *error);
/*
 * Of a case with too many entries a part is loaded: in turns one of each
 * stream, so that nobody crowds others out.  The state in words says so.
 */
bool cb_facts_are_partial(cb_store *store, const cb_case_id *case_id);
/*
 * Their fold, kept as long as they are; borrowed likewise.  Its text is not
 * written: see cb_facts_fingerprint.
 */
cb_status cb_facts_state(cb_store *store, const cb_case_id *case_id,
                         const cb_case_state **ret_state, cb_error *error);
cb_status cb_facts_fingerprint(cb_store *store, const cb_case_id *case_id,
                               cb_hash *ret_fingerprint, cb_error *error);
/* The case's place in the cache, or NULL; good until another one is loaded. */
cb_case_cache *cb_facts_find(cb_store *store, const cb_case_id *case_id);
/* The roles of somebody who writes in a loaded case; borrowed likewise. */
cb_status cb_facts_roles(cb_store *store, const cb_case_id *case_id,
                         const cb_person_id *person,
                         const char *const **ret_roles, size_t *ret_count,
                         cb_error *error);
/* Adds one that was just appended; the body's reference is shared. */
cb_status cb_facts_add(cb_store *store, const cb_case_id *case_id,
                       const cb_fact *fact, cb_error *error);
void cb_facts_forget(cb_store *store, const cb_case_id *case_id);
void cb_facts_forget_all(cb_store *store);

/* ---- settle.c: the fold's result into its tables */
/* Takes the fingerprints that were left for later, as far as possible. */
void cb_settle_rest(cb_store *store);

/* The case that is to be settled, and whether there was one before it. */
typedef struct cb_settle_place {
    bool begun;
    cb_case_id case_id;
} cb_settle_place;

/* CB_END where all are; CB_DAMAGED where the last one still is not. */
cb_status cb_settle_next(cb_store *store, cb_settle_place *place,
                         cb_error *error);
/* `only`: the record that a change was about; NULL: all of them. */
cb_status cb_settle_case(cb_store *store, const cb_case_id *case_id,
                         const cb_record_id *only, size_t *ret_conflicts,
                         cb_error *error);

/* ---- keys.c */
typedef struct cb_credential {
    enum {
        CB_CREDENTIAL_KEPT, /* by the kernel's keyring; no secret */
        CB_CREDENTIAL_PASSPHRASE,
        CB_CREDENTIAL_RECOVERY
    } kind;

    const cb_secret *secret;
} cb_credential;

cb_status cb_keys_check_passphrase(const cb_secret *passphrase,
                                   cb_error *error);
/* What is to be unlock.json of a new store; it goes to `path`. */
cb_status cb_keys_begin(cb_store *store, const cb_store_options *options,
                        const char *path, const cb_secret *passphrase,
                        cb_error *error);
/* Store id and master key. */
cb_status cb_keys_take(cb_store *store, const cb_credential *credential,
                       cb_error *error);
/* Whether unlock.json still holds that master key. */
cb_status cb_keys_look_again(const cb_store *store, bool *ret_current,
                             cb_error *error);
/* Whether it is the present passphrase; whoever knows it may change the others.
 */
cb_status cb_keys_demand(const cb_store *store, const cb_secret *passphrase,
                         cb_error *error);
/* What the passphrase is to cost from now on. */
cb_status cb_keys_cost(const cb_store *store, const cb_store_options *options,
                       cb_unlock_cost *ret_cost, cb_error *error);
cb_status cb_keys_save(cb_store *store, cb_unlock *unlock,
                       const cb_secret *master_key, cb_error *error);

/* ---- rotate.c */
/* Between taking the keys and opening the database: completes a rotation that
 * was cut.  *ret_again as in open_once. */
cb_status cb_rotation_settle(cb_store *store, bool *ret_again, cb_error *error);
/* Under the database's lock: removes what one that came to nothing has left. */
void cb_rotation_discard(const cb_store *store);

/* ---- create.c */
/* Makes the identity of a store that is new, or new again after a restore. */
typedef cb_status (*cb_store_founder)(cb_store *store, cb_error *error);
/* Its first transaction: the store's id and who it is. */
cb_status cb_store_found(cb_store *store, cb_store_founder found,
                         cb_error *error);

/* ---- store.c */
const cb_environment *cb_store_environment_of(const cb_store_options *options);
/* A handle with everything but what the folder holds. */
cb_status cb_store_allocate(const cb_store_options *options,
                            cb_store **ret_store, cb_error *error);
cb_status cb_keys_open(const cb_store_options *options,
                       const cb_credential *credential, cb_store **ret_store,
                       cb_error *error);
cb_status cb_store_open_database(const cb_store_options *options,
                                 cb_store *store, bool create, cb_error *error);
/* CB_NO_MEMORY where a JSON value built since the last transaction may lack a
 * member: it must not be made to last. */
cb_status cb_store_check_memory(const cb_store *store, cb_error *error);
/* A store on a database that is there, without unlock.json and identity; takes
 * the master key over where it succeeds. */
cb_status cb_store_attach(const cb_store_options *options,
                          const uint8_t *store_id, cb_secret *master_key,
                          cb_store **ret_store, cb_error *error);
/* "folder/name", to be freed; NULL: no memory. */
char *cb_store_path(const char *folder, const char *name);
/* The folder, and those above it that are missing, as in a new home.  As the
 * environment's make_folder: CB_EXISTS where it was there. */
cb_status cb_store_make_path(const cb_environment *environment,
                             const char *folder, cb_error *error);

/* ---- names.c */
void cb_names_begin(cb_store *store);

/* Fails where the store has not joined a service. */
cb_status cb_store_require_joined(const cb_store *store, cb_error *error);
cb_status cb_store_require_hub(const cb_store *store, cb_error *error);

#endif
