/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASEBOUND_HUB_OUTBOX_H
#define CASEBOUND_HUB_OUTBOX_H

#include "hub/merge.h"

/* One device's outbox while it is written. */
typedef struct cb_outbox {
    cb_hub_round *merge;
    cb_device_facts facts;
    uint64_t number; /* receipts so far */
    cb_hash told;    /* of what the last receipt said about the device */
    uint64_t upto;
    uint64_t first_size; /* checkpoint that its opening names */
    /* What the next receipt shows: the newest checkpoint, or an earlier one. */
    cb_tree_head head;
    cb_buffer note;
    /* The device may have seen this one in a receipt that the log host lost;
     * zero: it has not. */
    uint64_t lost_size;
    cb_segment_builder builder;
    uint64_t positions[CB_SEGMENT_ENTRIES_MAX];
    uint64_t delivered;
    cb_receipt_accepted accepted[CB_RECEIPT_STREAMS_MAX];
    size_t accepted_count;
    cb_receipt_withheld withheld[CB_RECEIPT_WITHHELD_MAX];
    size_t withheld_count;
    uint64_t withheld_total;
} cb_outbox;

/*
 * What the hub's log says about the device's own streams.  `ret_ready` is false
 * where none of its openings stands there yet.
 */
CB_NODISCARD cb_status cb_outbox_gather(cb_outbox *outbox,
                                        const cb_stream_list *streams,
                                        bool *ret_ready,
                                        cb_error *reterr_error);

/*
 * Where the first receipt begins, and a hash of all that a receipt would say
 * apart from entries: as long as it is the same, there is no news.
 */
CB_NODISCARD cb_status cb_outbox_facts(cb_outbox *outbox, cb_hash *ret_news,
                                       cb_error *reterr_error);

#endif
