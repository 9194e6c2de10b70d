/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sync, as its parts see it.
 *
 * Invariants:
 *  1. Nothing of a round is taken in before all of its receipts are verified.
 *  2. What is taken in, how far the outbox was read, and what a receipt proves
 *     are written in one transaction.
 *  3. What the hub does wrong stops receiving, never sending.
 */
#ifndef CASEBOUND_SESSION_SESSION_H
#define CASEBOUND_SESSION_SESSION_H

#include "session/mailbox.h"
#include "session/receipt.h"
#include "session/stream.h"

typedef struct cb_session {
    cb_store *store;
    const cb_sync_options *options;
    cb_sync_report *report;
    cb_store_identity identity; /* as it was when the session began */
    cb_device_id hub_device;
    cb_note_key log_key;
    cb_transport *transport;
    cb_git_repository *outgoing;
    cb_git_repository *incoming;
    cb_git_ref_list log_refs;
    cb_git_ref_list mail_refs;
    /* Somebody else went on with our stream: words for the user, and no more
     * sending. */
    bool ahead_elsewhere;
} cb_session;

/* How far the outbox was taken in. */
typedef struct cb_outbox_mark {
    cb_git_oid commit;
    uint64_t number; /* of its receipt */
} cb_outbox_mark;

/* Zero where nothing was taken in yet. */
CB_NODISCARD cb_status cb_outbox_mark_get(cb_store *store,
                                          cb_outbox_mark *ret_mark,
                                          cb_error *reterr_error);

/* The last mail to the hub: which keys, and how far our stream was then. */
typedef struct cb_up_mark {
    uint64_t version;
    uint64_t seq;
    cb_stream_id stream;
    cb_hash digest;
} cb_up_mark;

CB_NODISCARD cb_status cb_up_mark_get(cb_store *store, cb_up_mark *ret_mark,
                                      cb_error *reterr_error);
CB_NODISCARD cb_status cb_up_mark_put(cb_store *store, const cb_up_mark *mark,
                                      cb_error *reterr_error);

/* ---- verify.c: receipts against what this store remembers */

/* One commit of the outbox, its receipt verified. */
typedef struct cb_outbox_step {
    cb_receipt receipt;
    cb_buffer receipt_text;
    cb_buffer segment; /* empty where there is none */
    cb_tree_head head;
    bool has_own; /* the receipt names our present stream */
    cb_receipt_accepted own;
} cb_outbox_step;

/* Where the chain of receipts stands. */
typedef struct cb_receipt_chain {
    uint64_t number;
    cb_tree_head head;
    bool anchored;   /* head means something */
    bool met_newest; /* has passed the newest checkpoint remembered */
} cb_receipt_chain;

/*
 * Reads and verifies one commit of the outbox, and moves the chain on.
 * CB_DAMAGED with the finding's code at the beginning of its words.
 */
CB_NODISCARD cb_status cb_outbox_step_read(cb_session *session,
                                           const cb_git_repository *repository,
                                           const cb_git_oid *oid,
                                           cb_receipt_chain *chain,
                                           cb_outbox_step *ret_step,
                                           cb_error *reterr_error);
void cb_outbox_step_clear(cb_outbox_step *step);

/* The chain as a whole: it must not end before what is remembered. */
CB_NODISCARD cb_status cb_receipt_chain_finish(cb_session *session,
                                               const cb_receipt_chain *chain,
                                               const cb_outbox_step *newest,
                                               cb_error *reterr_error);

/* Hash and bytes of one entry of our present stream. */
CB_NODISCARD cb_status cb_own_entry(cb_store *store, const cb_stream_id *stream,
                                    uint64_t seq, cb_buffer *bytes,
                                    cb_entry *ret_entry,
                                    cb_error *reterr_error);

/* ---- receive.c */
CB_NODISCARD cb_status cb_session_receive(cb_session *session,
                                          cb_error *reterr_error);

/* ---- mailbox.c */
/* Takes in the hub's mail, if it is new. */
CB_NODISCARD cb_status cb_session_receive_mail(cb_session *session,
                                               cb_error *reterr_error);
/* Sends the keys that the hub has not confirmed, if the mail would be new. */
CB_NODISCARD cb_status cb_session_send_mail(cb_session *session,
                                            cb_error *reterr_error);
/* Whether there is such mail to send; digest of its keys. */
CB_NODISCARD cb_status cb_session_mail_due(cb_session *session, bool *ret_due,
                                           cb_hash *ret_digest,
                                           cb_error *reterr_error);

/* ---- send.c */
CB_NODISCARD cb_status cb_session_send(cb_session *session,
                                       cb_error *reterr_error);
CB_NODISCARD cb_status cb_session_plan(cb_session *session,
                                       cb_error *reterr_error);

/* ---- withheld.c */
/* Remembers what the newest receipt says that the hub keeps apart. */
CB_NODISCARD cb_status cb_withheld_put(cb_session *session,
                                       const cb_receipt *receipt,
                                       cb_error *reterr_error);
/* Tells it in the report; an own entry among it, and what follows it, is not
 * called safe. */
CB_NODISCARD cb_status cb_withheld_report(const cb_session *session,
                                          cb_error *reterr_error);

#endif
