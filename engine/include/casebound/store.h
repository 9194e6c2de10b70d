/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encrypted case store of one machine: a folder.
 *
 *     casebook.db   SQLite through our encrypting VFS; everything secret
 *     unlock.json   how to get from a passphrase to the master key
 *     witness       how far this store had come, so that an older copy of it
 *                   is recognised; another stands elsewhere
 *     outgoing.git  what is sent; derived, can be built again (made by sync)
 *
 * One process writes a store at a time; it holds the database's lock from open
 * to close.  Others may read beside it (read_only).  Every change is one
 * transaction: the signed entry, its place in
 * the chain, and what it does to the state.  A function that has returned CB_OK
 * for a change has made it durable.  After any failure the store is as it was.
 *
 * A handle is used by one thread at a time.
 */
#ifndef CASEBOUND_STORE_H
#define CASEBOUND_STORE_H

#include <casebound/entry.h>
#include <casebound/fold.h>
#include <casebound/model.h>
#include <casebound/rules.h>

typedef struct cb_store cb_store;

typedef struct cb_store_options {
    const char *folder;
    const cb_environment *environment; /* NULL: the system's */
    /* Argon2id for a new or changed passphrase; zero: 3 passes over 256 MiB, or
     * on a machine with less memory more over less. */
    uint64_t kdf_operations;
    uint64_t kdf_memory_bytes;
    /*
     * Where another process uses the store it is waited for, at most
     * CB_STORE_WAIT_MS_MAX.  Told once, when that begins to last: `holder` is
     * such as "process 4711 (casebound sync)".  May be NULL.  Only called
     * while a function that got these options runs.
     */
    void (*waiting)(void *waiting_context, const char *holder);
    void *waiting_context;
    /*
     * Where the second witness stands: a folder that no backup of the store's
     * folder brings back; made when it is missing.  NULL: there is only one.
     */
    const char *witness_folder;
    /*
     * The caller will only read: where another process has the store, it is
     * opened beside it, on the last commit, instead of being waited for.  What
     * would record something is CB_IN_USE then.
     */
    bool read_only;
} cb_store_options;

/*
 * Makes the folder and an empty store in it, with the keys of this device.
 * The folder may exist if it is empty.  CB_EXISTS where there is a store,
 * CB_IN_USE where another process is making one, CB_INPUT for a passphrase that
 * is too short, CB_PERMISSION, CB_NO_SPACE.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_store_create(const cb_store_options *options, const cb_secret *passphrase,
                cb_store **ret_store, cb_error *reterr_error);

/*
 * Opens with a passphrase, or, for NULL, with the key that the kernel's
 * keyring keeps.  CB_NO_STORE, CB_LOCKED (no key is kept), CB_WRONG_KEY,
 * CB_IN_USE (by whom stands in the words), CB_DAMAGED, CB_NEWER, CB_PERMISSION.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_store_open(const cb_store_options *options,
                                               const cb_secret *passphrase,
                                               cb_store **ret_store,
                                               cb_error *reterr_error);
CB_PUBLIC void cb_store_close(cb_store *store);

/* CB_OK where there is a store, CB_NO_STORE, CB_DAMAGED, CB_NEWER. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_probe(const cb_store_options *options,
                                                cb_error *reterr_error);

/*
 * Keeps the session key of an open store in the kernel's keyring, and drops
 * it.  CB_NOT_FOUND where there is no keyring, or nothing was kept.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_store_keep_unlocked(const cb_store *store,
                                                        unsigned seconds,
                                                        cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_store_lock(const cb_store_options *options,
                                               cb_error *reterr_error);

/*
 * Seals the master key under another passphrase (or the same, at another cost);
 * the database stays, and so does the recovery key.  Where the options name no
 * cost the present one is kept, unless it is less than the default.  CB_INPUT,
 * CB_LIMIT, CB_NO_MEMORY, CB_NO_SPACE.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_store_change_passphrase(cb_store *store, const cb_store_options *options,
                           const cb_secret *passphrase, cb_error *reterr_error);

/*
 * The recovery key (see casebound/recovery.h): another way in, for when the
 * passphrase is forgotten.  Set with the present passphrase, in place of any
 * before it; NULL removes it.  CB_WRONG_KEY, CB_NO_SPACE.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_store_set_recovery(cb_store *store, const cb_store_options *options,
                      const cb_secret *passphrase,
                      const cb_secret *recovery_key, cb_error *reterr_error);

/* As cb_store_open; CB_WRONG_KEY also where the store has no recovery key. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_open_recovery(
    const cb_store_options *options, const cb_secret *recovery_key,
    cb_store **ret_store, cb_error *reterr_error);

/* Whether it would open the store; opens nothing. */
CB_NODISCARD CB_PUBLIC cb_status
cb_store_check_recovery(const cb_store_options *options,
                        const cb_secret *recovery_key, cb_error *reterr_error);

/* How the master key is replaced. */
typedef struct cb_rotation {
    const cb_secret *passphrase;   /* the present one; it stays */
    const cb_secret *recovery_key; /* a new one, or NULL: there is none then */
    /* Either may be NULL: bytes written of about `total`, and whether to stop.
     */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    bool (*is_stopped)(void *context);
    void *context;
} cb_rotation;

/*
 * Makes another master key and writes the whole database anew under it, which
 * takes its size of free space once more.  The store is either as before or has
 * the new key, at whatever moment it is cut; the next opening completes it.
 * The recovery key of before is worth nothing afterwards: only one that is
 * given here is.  It does not reach copies made before, which the old key and
 * whoever has it still open, and does not change the keys of cases.
 *
 * The store is open afterwards where this returns CB_OK; where not, it can only
 * be closed.  CB_WRONG_KEY, CB_NO_SPACE, CB_NO_MEMORY, CB_INTERRUPTED,
 * CB_DAMAGED, CB_IO.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_store_rotate(cb_store *store, const cb_store_options *options,
                const cb_rotation *rotation, cb_error *reterr_error);

/* How an open store is locked. */
typedef struct cb_store_keys {
    int version;             /* of unlock.json */
    uint64_t kdf_operations; /* what trying a passphrase costs */
    uint64_t kdf_memory_bytes;
    bool recovery; /* there is a recovery key */
    bool rotating; /* the master key was being replaced */
    bool altered;  /* unlock.json is not as it was written */
} cb_store_keys;

CB_PUBLIC void cb_store_describe_keys(const cb_store *store,
                                      cb_store_keys *ret_keys);

CB_PUBLIC const cb_environment *cb_store_environment(const cb_store *store);
CB_PUBLIC const cb_model *cb_store_model(const cb_store *store);
CB_PUBLIC const char *cb_store_folder(const cb_store *store);

/* Names from the roster and from person records; borrowed from the store. */
CB_PUBLIC const cb_naming *cb_store_naming(cb_store *store);

/* ------------------------------------------------------------- who we are */

typedef struct cb_store_identity {
    bool joined;   /* belongs to a service */
    bool hub;      /* is its hub */
    bool restored; /* a copy of a store that went on elsewhere */
    cb_realm_id realm;
    cb_device_id device;
    cb_person_id person;
    cb_stream_id stream; /* the present incarnation */
    uint8_t root_key[CB_PUBLIC_KEY_BYTES];
    uint8_t hub_key[CB_PUBLIC_KEY_BYTES];
    char realm_name[CB_NAME_BYTES_MAX + 1];
    char person_name[CB_NAME_BYTES_MAX + 1];
    char log_address[1024];
    uint64_t head_seq;     /* last own entry */
    uint64_t accepted_seq; /* last own entry that a receipt names */
    uint32_t roster;       /* version known */
    uint64_t seen_size;    /* newest checkpoint verified */
    cb_hash seen_root;
} cb_store_identity;

CB_PUBLIC void cb_store_identify(const cb_store *store,
                                 cb_store_identity *ret_identity);

/* One copy of the witness. */
typedef enum cb_witness_state {
    CB_WITNESS_NONE,       /* there was none, or no folder was named */
    CB_WITNESS_CURRENT,    /* it was read or written */
    CB_WITNESS_DAMAGED,    /* neither half of it verifies */
    CB_WITNESS_UNREADABLE, /* the system refused it */
    CB_WITNESS_UNWRITABLE  /* it stays behind; nothing else is lost by that */
} cb_witness_state;

typedef struct cb_store_witness {
    cb_witness_state inside;  /* in the store's folder */
    cb_witness_state outside; /* in cb_store_options.witness_folder */
    bool inside_lost;         /* there should be one */
    bool unwritten;           /* one could not be written since opening */
    bool behind;       /* identity.restored, because a witness saw more */
    bool log_lost;     /* what is missing stood in a log that is gone */
    uint64_t missing;  /* transactions; 0: as many, but not the same ones */
    int64_t newest_ms; /* when the newest of them was made */
} cb_store_witness;

/* What is known of an open store's past from outside of its database. */
CB_PUBLIC void cb_store_look_at_witness(const cb_store *store,
                                        cb_store_witness *ret_witness);

/* casebound.status.v1: identity, counts, what waits.  New reference. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_status_document(
    cb_store *store, json_t **ret_document, cb_error *reterr_error);

/* ---------------------------------------------------------------- records */

/* What one change did. */
typedef struct cb_recorded {
    cb_case_id case_id;
    cb_record_id record;
    cb_action_id action;
    uint64_t first_seq; /* entries first_seq .. last_seq of our stream */
    uint64_t last_seq;
    cb_verdict_list *verdicts; /* NULL or owned: see cb_recorded_clear */
    size_t conflicts;          /* open in the case, after it */
} cb_recorded;

CB_PUBLIC void cb_recorded_clear(cb_recorded *recorded);

/* Common to every change. */
typedef struct cb_change {
    cb_case_id case_id;
    int64_t happened_ms;
    const char *precision; /* NULL: "minute" of now */
    const char *why;       /* or NULL */
    /* Rules to override, where the author may; needs `why`. */
    const char *const *overrides;
    size_t override_count;
} cb_change;

/*
 * Opens a case with its referral record.  `reference` is made here unless the
 * fields carry one.  Writes nothing where the model refuses a field.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_store_open_case(cb_store *store,
                                                    const cb_change *change,
                                                    const json_t *fields,
                                                    cb_recorded *ret_recorded,
                                                    cb_error *reterr_error);

/*
 * Adds a record.  Fields of another class go into entries of their own, tied by
 * the action.  `about` may be NULL.  CB_INPUT, CB_LIMIT, CB_RULE (which rule,
 * which fact, what would lift it; nothing was recorded), CB_PERMISSION,
 * CB_NO_SPACE.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_store_add(cb_store *store, const cb_change *change, const char *type,
             const cb_record_id *about, const json_t *fields,
             cb_recorded *ret_recorded, cb_error *reterr_error);

/* Corrects fields of a record; the old values stay, struck through. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_amend(
    cb_store *store, const cb_change *change, const cb_record_id *record,
    const json_t *fields, cb_recorded *ret_recorded, cb_error *reterr_error);

CB_NODISCARD CB_PUBLIC cb_status cb_store_strike(cb_store *store,
                                                 const cb_change *change,
                                                 const cb_record_id *record,
                                                 cb_recorded *ret_recorded,
                                                 cb_error *reterr_error);

/* Decides a conflict for one of its choices. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_resolve(
    cb_store *store, const cb_change *change, const cb_issue *issue,
    size_t choice, cb_recorded *ret_recorded, cb_error *reterr_error);

/* Takes several changes into one transaction: all or nothing. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_begin(cb_store *store,
                                                cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_store_commit(cb_store *store,
                                                 cb_error *reterr_error);
CB_PUBLIC void cb_store_abort(cb_store *store);

/* ---------------------------------------------------------------- reading */

/*
 * By reference, or by at least four digits of the start of the id.
 * CB_NOT_FOUND, CB_AMBIGUOUS, CB_INPUT (a reference with a wrong check digit).
 */
CB_NODISCARD CB_PUBLIC cb_status cb_store_find_case(cb_store *store,
                                                    const char *text,
                                                    cb_case_id *ret_case,
                                                    cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_store_find_record(cb_store *store,
                                                      const char *text,
                                                      cb_record_id *ret_record,
                                                      cb_case_id *ret_case,
                                                      cb_error *reterr_error);
/* A colleague, by name or start of the person's or the device's id. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_find_person(cb_store *store,
                                                      const char *text,
                                                      cb_person_id *ret_person,
                                                      cb_error *reterr_error);
/* The case in which a conflict or task stands, by the start of its id. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_find_issue(cb_store *store,
                                                     const char *text,
                                                     cb_case_id *ret_case,
                                                     cb_error *reterr_error);

/* casebound.case_list.v1, by reference.  New reference. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_case_list(cb_store *store,
                                                    json_t **ret_document,
                                                    cb_error *reterr_error);

/* casebound.conflicts.v1 and casebound.tasks.v1 of all cases, or of one. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_issue_list(cb_store *store,
                                                     const char *form,
                                                     const cb_case_id *case_id,
                                                     json_t **ret_document,
                                                     cb_error *reterr_error);

/* Folds the case anew from what is held here; the caller destroys it. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_case_state(cb_store *store,
                                                     const cb_case_id *case_id,
                                                     cb_case_state **ret_state,
                                                     cb_error *reterr_error);

/* Which of a case's entries to fold, to see it as it stood. */
typedef enum cb_as_of {
    CB_AS_RECEIVED, /* what this store held at a moment */
    CB_AS_CLAIMED   /* what people say they had written by then */
} cb_as_of;

CB_NODISCARD CB_PUBLIC cb_status cb_store_case_state_at(
    cb_store *store, const cb_case_id *case_id, cb_as_of as_of, int64_t at_ms,
    cb_case_state **ret_state, cb_error *reterr_error);

/* casebound.people.v1: people, devices, roles, streams.  New reference. */
CB_NODISCARD CB_PUBLIC cb_status cb_store_people(cb_store *store,
                                                 json_t **ret_document,
                                                 cb_error *reterr_error);

#endif
