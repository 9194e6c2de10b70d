/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sync module needs of a store: entries out, entries in, keys out,
 * keys in, and what the hub keeps about its log.  Nothing here knows of Git or
 * of a network.
 *
 * Changes are made between cb_store_begin and cb_store_commit, so that a whole
 * step of a session is one transaction.
 */
#ifndef CASEBOUND_EXCHANGE_H
#define CASEBOUND_EXCHANGE_H

#include <casebound/store.h>

/* -------------------------------------------------------------- our keys */

/* 64 bytes in libsodium's form, borrowed: of our stream; of our device, which
 * at the hub signs checkpoints, receipts and the hub's branches. */
CB_PUBLIC const cb_secret *cb_exchange_stream_key(const cb_store *store);
CB_PUBLIC const cb_secret *cb_exchange_device_key(const cb_store *store);
CB_PUBLIC void cb_exchange_device_public_key(const cb_store *store,
                                             uint8_t *ret_key);

/* Public key, device and person of a stream; CB_NOT_FOUND without text. */
typedef struct cb_stream_facts {
    cb_stream_id stream;
    cb_device_id device;
    cb_person_id person;
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    bool own;
    bool frozen;
    bool revoked;
    uint64_t head_seq; /* end of the unbroken run held here */
    cb_hash head_hash;
    uint64_t accepted_seq;
    uint8_t fetched_commit[20]; /* sync's mark: last commit taken in; or zero */
} cb_stream_facts;

CB_NODISCARD CB_PUBLIC cb_status cb_exchange_stream(cb_store *store,
                                                    const cb_stream_id *stream,
                                                    cb_stream_facts *ret_facts,
                                                    cb_error *reterr_error);
/* Calls once a stream, by id; stops at the first status that is not CB_OK. */
typedef cb_status (*cb_stream_callback)(void *context,
                                        const cb_stream_facts *facts,
                                        cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_streams(cb_store *store, cb_stream_callback callback, void *context,
                    cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_set_fetched(cb_store *store, const cb_stream_id *stream,
                        const uint8_t *commit, cb_error *reterr_error);

/*
 * Begins a new stream of this device, whose opening says which one it follows
 * and how far that is known here.  What a store that finds itself to be a copy
 * (identity.restored) must do before it writes again, after it has taken in
 * what is known of its old stream.  Makes its own transaction where there is
 * none.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_begin_incarnation(cb_store *store, cb_error *reterr_error);

/*
 * A store that began anew may have entries of the stream before that were not
 * sent, and the hub may have some that this store lacks.  Between enter and
 * leave everything here that speaks of "our own" stream speaks of the first of
 * such streams, and nothing may be recorded.  Without `ret_can_sign` there is
 * no key, for everything had been sent.  CB_END where there is none.  After
 * `done` it is forgotten, and the key with it.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_earlier_enter(
    cb_store *store, bool *ret_can_sign, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_earlier_leave(cb_store *store, bool done, cb_error *reterr_error);

/* ---------------------------------------------------------------- sending */

/* A run of our own entries whose boundaries never move again. */
typedef struct cb_segment_facts {
    cb_stream_id stream;
    uint64_t first_seq;
    uint64_t count;
    uint8_t commit[20]; /* zero while none was made */
    bool pushed;
} cb_segment_facts;

/*
 * Cuts all own entries that are in no segment yet, by the limits of the format.
 * Makes its own transaction.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_cut(cb_store *store,
                                                 cb_error *reterr_error);

/* The oldest segment of our present stream from `first_seq` on; CB_END. */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_segment(cb_store *store, uint64_t first_seq,
                    cb_segment_facts *ret_facts, cb_error *reterr_error);

typedef cb_status (*cb_entry_callback)(void *context, cb_span entry,
                                       uint64_t log_index,
                                       cb_error *reterr_error);
/* Its entries in order, verbatim (log_index is not meant here). */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_segment_entries(
    cb_store *store, const cb_segment_facts *segment,
    cb_entry_callback callback, void *context, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_segment_made(cb_store *store, const cb_segment_facts *segment,
                         const uint8_t *commit, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_segment_pushed(
    cb_store *store, const cb_segment_facts *segment, cb_error *reterr_error);

/* Own entries that no receipt names yet, and those not yet pushed. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_unsent(cb_store *store,
                                                    uint64_t *ret_unreceipted,
                                                    uint64_t *ret_unpushed,
                                                    cb_error *reterr_error);

/* -------------------------------------------------------------- receiving */

typedef enum cb_ingest_outcome {
    CB_INGEST_APPLIED,
    CB_INGEST_WAITING,     /* kept; a key or an earlier entry is missing */
    CB_INGEST_KNOWN,       /* was here already; nothing changed */
    CB_INGEST_QUARANTINED, /* kept, not believed; the reason says why */
    CB_INGEST_FORK,        /* another entry has this stream and number: both
                              are kept, the stream is frozen */
    CB_INGEST_REFUSED      /* kept unread, only where `keep_unread` asks for
                              it; the error says why */
} cb_ingest_outcome;

typedef struct cb_ingest {
    bool whole_stream; /* demand the chain: seq follows, prev matches */
    bool verified;     /* the signature was checked with this stream's key */
    /* Of what would fail with CB_DAMAGED, CB_REFUSED or CB_NEWER the bytes are
     * kept, for a version that can read them, and the caller goes on. */
    bool keep_unread;
    int64_t log_index; /* position in the hub's log, or -1 */
} cb_ingest;

/*
 * Takes in one entry that somebody else wrote.  An entry of an unknown stream
 * must be that stream's opening, certified by this realm.
 *
 * CB_OK with an outcome; CB_DAMAGED (shape, signature, a certificate that does
 * not hold, or a gap in a whole stream), CB_REFUSED (another realm, a stream
 * nobody has opened) and CB_NEWER leave nothing behind of this entry, and the
 * caller may go on with the next stream.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_ingest(cb_store *store, cb_span bytes, const cb_ingest *how,
                   cb_ingest_outcome *ret_outcome, cb_error *reterr_error);

/*
 * Folds every case that ingesting has changed; within the same transaction.
 * `ret_cases` counts them, `ret_conflicts` those conflicts open afterwards that
 * were not before.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_settle(cb_store *store,
                                                    size_t *ret_cases,
                                                    size_t *ret_conflicts,
                                                    cb_error *reterr_error);

/* ------------------------------------------------------------------- keys */

/*
 * Appends a keyring message: compartment keys sealed to one device, signed with
 * our device's key.  From a device to the hub: all keys made here that the hub
 * has not confirmed.  From the hub: all that the device's person may read.
 * `version` must grow with each message between the two.
 * CB_END where there is nothing to send.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_write_mail(
    cb_store *store, const cb_device_id *recipient, uint64_t version,
    cb_buffer *message, cb_error *reterr_error);

/*
 * Takes in a message for us from that device: keys are kept and entries that
 * waited for them are opened.  A version that is not newer than `last_version`
 * changes nothing and gives CB_END.  CB_DAMAGED, CB_REFUSED (not for us, not
 * from there), CB_NEWER.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_read_mail(
    cb_store *store, const cb_device_id *sender, cb_span message,
    uint64_t last_version, uint64_t *ret_version, size_t *ret_keys,
    cb_error *reterr_error);

/*
 * Names the set of keys that such a message would hold: as long as the digest
 * is the same, another message would say nothing new.  CB_END where there is
 * nothing to send.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_mail_digest(cb_store *store, const cb_device_id *recipient,
                        cb_hash *ret_digest, cb_error *reterr_error);

/*
 * The hub has these keys: those made here before entry `seq` of our present
 * stream, that is, all that were in mail written when it was the newest.  Keys
 * made since then stay unconfirmed.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_keys_confirmed(
    cb_store *store, uint64_t seq, cb_error *reterr_error);

/* The hub was set back: whether it still has any key made here is unknown. */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_keys_doubted(cb_store *store, cb_error *reterr_error);

/* --------------------------------------------------- checkpoints, receipts */

/* A checkpoint that was verified; remembered for ever. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_remember_checkpoint(
    cb_store *store, uint64_t size, const cb_hash *root, const char *note,
    cb_error *reterr_error);
/* The largest one with size <= `size_max`; CB_NOT_FOUND without text. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_checkpoint(
    cb_store *store, uint64_t size_max, uint64_t *ret_size, cb_hash *ret_root,
    cb_buffer *note, cb_error *reterr_error);
/* Our own stream is safe at the hub up to (seq, hash). */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_accepted(cb_store *store, const cb_stream_id *stream, uint64_t seq,
                     const cb_hash *hash, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_remember_receipt(cb_store *store, uint64_t size,
                             const char *document, cb_error *reterr_error);

/* Marks that belong to the sync module: small values under a name. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_mark_get(cb_store *store,
                                                      const char *name,
                                                      cb_buffer *value,
                                                      cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_mark_put(cb_store *store,
                                                      const char *name,
                                                      cb_span value,
                                                      cb_error *reterr_error);

/*
 * Flushes the witness: how far this store has come.  It is written after every
 * change anyway, and one that cannot be written fails nothing: CB_OK, and see
 * cb_store_look_at_witness.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_write_witness(cb_store *store, cb_error *reterr_error);

/* ---------------------------------------------------------------- the hub */

/* Gives every entry without one its position in the log, in order of receipt;
 * `ret_size` is the log's size afterwards.  Quarantined entries stay out. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_log_extend(cb_store *store,
                                                        uint64_t *ret_size,
                                                        cb_error *reterr_error);

/* The entries at positions first .. end - 1. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_log_entries(
    cb_store *store, uint64_t first, uint64_t end, cb_entry_callback callback,
    void *context, cb_error *reterr_error);

/* Position of an entry; CB_NOT_FOUND without text. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_log_position(
    cb_store *store, const cb_stream_id *stream, uint64_t seq,
    uint64_t *ret_index, cb_hash *ret_hash, cb_error *reterr_error);

/* Hash of a complete subtree of the log; CB_NOT_FOUND without text. */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_log_hash_get(cb_store *store, unsigned level, uint64_t position,
                         cb_hash *ret_hash, cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_log_hash_put(cb_store *store, unsigned level, uint64_t position,
                         const cb_hash *hash, cb_error *reterr_error);

/* What the hub remembers of its exchange with one device. */
typedef struct cb_device_facts {
    cb_device_id device;
    cb_person_id person;
    uint8_t signing_key[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_key[CB_PUBLIC_KEY_BYTES];
    bool hub;
    bool revoked;
    uint8_t outbox_commit[20];
    uint64_t outbox_log_index; /* the outbox holds what lies before it */
    uint64_t receipt_size;     /* checkpoint of its last receipt */
    uint64_t receipt_seq;      /* own entries that its last receipt names */
    uint64_t mail_version_in;
    uint64_t mail_version_out;
} cb_device_facts;

typedef cb_status (*cb_device_callback)(void *context,
                                        const cb_device_facts *facts,
                                        cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_devices(cb_store *store, cb_device_callback callback, void *context,
                    cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_device_remember(
    cb_store *store, const cb_device_facts *facts, cb_error *reterr_error);

/*
 * Entries for a device's outbox: all that its person may read and others wrote,
 * at positions first .. end - 1, in order of the log; before them those that
 * lie earlier and became readable only since the last time.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_outbox_entries(
    cb_store *store, const cb_device_id *device, uint64_t first, uint64_t end,
    cb_entry_callback callback, void *context, cb_error *reterr_error);
/* Forgets the earlier ones, once the outbox holds them. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_outbox_done(
    cb_store *store, const cb_device_id *device, cb_error *reterr_error);

/* Reason and number of each quarantined entry of a stream. */
typedef cb_status (*cb_quarantine_callback)(void *context, uint64_t seq,
                                            const cb_hash *hash,
                                            const char *reason,
                                            cb_error *reterr_error);
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_quarantined(
    cb_store *store, const cb_stream_id *stream,
    cb_quarantine_callback callback, void *context, cb_error *reterr_error);

/* At the hub: whoever opened a case may read it (all but W).  Signed into the
 * roster where it is new. */
CB_NODISCARD CB_PUBLIC cb_status
cb_exchange_permit_authors(cb_store *store, cb_error *reterr_error);

/* ------------------------------------------------------------- an auditor */

/* When this store took an entry in, and where the log has it (or -1). */
typedef struct cb_case_entry_times {
    int64_t received_ms;
    int64_t log_index;
} cb_case_entry_times;

typedef cb_status (*cb_case_entry_callback)(void *context, cb_span entry,
                                            const cb_case_entry_times *times,
                                            cb_error *reterr_error);
/* The entries of a case that count, verbatim, in the order of their arrival. */
CB_NODISCARD CB_PUBLIC cb_status cb_exchange_case_entries(
    cb_store *store, const cb_case_id *case_id, cb_case_entry_callback callback,
    void *context, cb_error *reterr_error);

#endif
