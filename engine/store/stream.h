/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the table of streams, and what makes one: an opening. */
#ifndef CASEBOUND_STORE_STREAM_H
#define CASEBOUND_STORE_STREAM_H

#include "store/internal.h"

typedef struct cb_stream_row {
    int64_t number;
    cb_stream_facts facts;
    bool hub;             /* written by the hub's own device */
    uint64_t frozen_from; /* meaningful where facts.frozen */
    bool has_cut;
    uint64_t cut_seq;
} cb_stream_row;

/* CB_NOT_FOUND without text. */
cb_status cb_stream_find(cb_store *store, const cb_stream_id *stream,
                         cb_stream_row *ret_row, cb_error *error);

/*
 * Makes the row of a stream from its first entry: an opening in clear that this
 * service certifies and that the stream's own key has signed.  CB_DAMAGED,
 * CB_REFUSED; then there is no row.
 */
cb_status cb_stream_open(cb_store *store, const cb_entry *entry,
                         cb_stream_row *ret_row, cb_error *error);

/* What an opening says of its stream. */
typedef struct cb_stream_opening {
    cb_device_id device;
    cb_person_id person;
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    bool hub;
} cb_stream_opening;

/*
 * Whether an entry is the opening of its stream, certified by this service and
 * signed with the stream's own key.  CB_DAMAGED, CB_REFUSED.
 */
cb_status cb_stream_read_opening(const cb_store_identity *identity,
                                 const cb_entry *entry,
                                 cb_stream_opening *ret_opening,
                                 cb_error *error);

/* Moves the end of the unbroken run that is held here. */
cb_status cb_stream_move_head(cb_store *store, int64_t number, uint64_t seq,
                              const cb_hash *hash, cb_error *error);
/* What comes new from this number on is in doubt. */
cb_status cb_stream_freeze(cb_store *store, int64_t number, uint64_t from,
                           cb_error *error);

#endif
