/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's merge, as its parts see it.
 *
 * Invariants:
 *  1. The published log is at every moment the beginning of what the store
 *     holds; where it is not, nothing at all is published.
 *  2. An entry has its place in the log before anybody is told of it, and a
 *     checkpoint is signed only over tiles that were read back and computed
 *     again.
 *  3. What the store remembers about an outbox is never ahead of the log host;
 *     where it is behind, the receipt that lies there says how far it is.
 */
#ifndef CASEBOUND_HUB_MERGE_H
#define CASEBOUND_HUB_MERGE_H

#include "session/place.h"
#include "session/receipt.h"
#include "session/stream.h"

#include <casebound/hub.h>

typedef struct cb_hub_round {
    cb_store *store;
    const cb_hub_options *options;
    cb_hub_report *report;
    cb_store_identity identity;
    cb_note_key log_key;
    const char *address;
    cb_transport *transport;
    cb_git_repository *outgoing;
    cb_git_repository *incoming;
    cb_git_repository *post; /* NULL until there is mail */
    cb_git_ref_list log_refs;
    cb_git_ref_list mail_refs;
    size_t report_capacity;

    /* The log as published so far, and the checkpoint that says so. */
    bool has_log;
    cb_git_oid log_commit;
    uint64_t log_position; /* commits before it in its ref */
    cb_tree_head head;
    cb_buffer note;
} cb_hub_round;

/* A row of the report for this stream or, with a zero stream, this device. */
CB_NODISCARD cb_status cb_merge_row(cb_hub_round *merge,
                                    const cb_hub_stream_report *row,
                                    cb_error *reterr_error);

/* True for what a stream or a device did wrong, and not this machine. */
bool cb_merge_is_theirs(cb_status status);
/* True where the log host is there, and only this ref cannot be fetched: some
 * of its objects are lost, which must not stop the others. */
bool cb_merge_is_beyond(const cb_hub_round *merge, cb_status status);

/* ---- accept.c */
CB_NODISCARD cb_status cb_merge_accept(cb_hub_round *merge,
                                       cb_error *reterr_error);

/* ---- pool.c: signatures of entries of one stream, on several cores */
CB_NODISCARD cb_status cb_pool_verify(const cb_entry *entries, size_t count,
                                      const uint8_t *public_key,
                                      cb_error *reterr_error);

/* ---- tree.c: the log */
/* The complete subtrees that the store keeps. */
cb_tree_source cb_merge_source(cb_hub_round *merge);
/* Finds the published log and holds it against the store's. */
CB_NODISCARD cb_status cb_merge_find_log(cb_hub_round *merge,
                                         cb_error *reterr_error);
/* Gives new entries their places; inside a transaction. */
CB_NODISCARD cb_status cb_merge_extend(cb_hub_round *merge, uint64_t *ret_size,
                                       cb_error *reterr_error);

/* ---- publish.c */
CB_NODISCARD cb_status cb_merge_publish(cb_hub_round *merge, uint64_t size,
                                        cb_error *reterr_error);

/* ---- outbox.c */
CB_NODISCARD cb_status cb_merge_outboxes(cb_hub_round *merge,
                                         cb_error *reterr_error);

/* ---- mail.c */
CB_NODISCARD cb_status cb_merge_mail_in(cb_hub_round *merge,
                                        cb_error *reterr_error);
CB_NODISCARD cb_status cb_merge_mail_out(cb_hub_round *merge,
                                         cb_error *reterr_error);

/* ---- devices.c: all devices or streams at once, freed by the caller */
typedef struct cb_device_list {
    cb_device_facts *items;
    size_t count;
    size_t capacity;
} cb_device_list;

typedef struct cb_stream_list {
    cb_stream_facts *items;
    size_t count;
    size_t capacity;
} cb_stream_list;

CB_NODISCARD cb_status cb_device_list_read(cb_store *store,
                                           cb_device_list *ret_list,
                                           cb_error *reterr_error);
CB_NODISCARD cb_status cb_stream_list_read(cb_store *store,
                                           cb_stream_list *ret_list,
                                           cb_error *reterr_error);

/* A mark's name for one device: "outbox.<device>". */
typedef struct cb_mark_name {
    char text[80];
} cb_mark_name;

cb_mark_name cb_mark_for(const char *prefix, const cb_device_id *device);

#endif
