/* SPDX-License-Identifier: Apache-2.0 */
/* One stream, while a check walks over its entries. */
#ifndef CASEBOUND_STORE_CHECK_WALK_H
#define CASEBOUND_STORE_CHECK_WALK_H

#include "store/check.h"

typedef struct cb_walk {
    cb_check *check;
    cb_stream_row row;
    char name[9]; /* start of the stream's id */
    uint64_t total;
    cb_stream_opening opening;
    bool proved;  /* the opening holds */
    bool restore; /* the row does not say what it says */
    cb_check_place place;
    int64_t number; /* of the row at hand */
    bool fork;      /* another entry came first to this place */
    uint64_t last_seq;
    bool last_sound;
    cb_hash last_hash;
    bool broken;      /* behind a gap, or a link that does not hold */
    uint64_t end_seq; /* of the run that does */
    cb_hash end_hash;
    bool wrong_head;
    bool behind; /* the head is, of what stands here */
} cb_walk;

/* check_judge.c: whether the row says of its entry what follows from it. */
cb_status cb_walk_judge(cb_walk *walk, const cb_entry *entry,
                        const cb_query *query);

#endif
