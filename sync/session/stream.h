/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream as it lies in Git: commits with a segment and its manifest, and
 * nothing else, read strictly; and our own, made out of the store.
 */
#ifndef CASEBOUND_SESSION_STREAM_H
#define CASEBOUND_SESSION_STREAM_H

#include "git/object.h"
#include "log/segment.h"
#include "session/place.h"

/* One commit of a stream, its bytes matched with its manifest. */
typedef struct cb_stream_step {
    cb_git_commit commit;
    cb_segment_manifest manifest;
    cb_buffer segment;
} cb_stream_step;

/*
 * Reads a commit of `stream`.  Shape alone: neither the commit's signature nor
 * any entry is checked.  On CB_OK the caller clears it.
 */
CB_NODISCARD cb_status cb_stream_step_read(const cb_git_repository *repository,
                                           const cb_git_oid *oid,
                                           const cb_stream_id *stream,
                                           cb_stream_step *ret_step,
                                           cb_error *reterr_error);
void cb_stream_step_clear(cb_stream_step *step);

/* Our own stream's segments, oldest first, each with its commit. */
typedef struct cb_own_step {
    cb_segment_facts facts;
    cb_git_oid oid;
} cb_own_step;

typedef struct cb_own_stream {
    cb_own_step *steps;
    size_t count;
    size_t capacity;
} cb_own_stream;

/*
 * Makes every commit of our stream that the repository lacks.  The same store
 * gives the same commits, so this is also how a lost repository comes back.
 */
CB_NODISCARD cb_status cb_own_stream_make(cb_store *store,
                                          cb_git_repository *repository,
                                          cb_own_stream *ret_stream,
                                          cb_error *reterr_error);
/* Only what is known of them, for a plan: nothing is made. */
CB_NODISCARD cb_status cb_own_stream_read(cb_store *store,
                                          cb_own_stream *ret_stream,
                                          cb_error *reterr_error);
void cb_own_stream_clear(cb_own_stream *stream);

/*
 * How many of our steps the log host has, going by the commit its ref names
 * (NULL: none).  CB_NOT_FOUND without text where that commit is not ours.
 */
CB_NODISCARD cb_status cb_own_stream_match(const cb_own_stream *stream,
                                           const cb_git_oid *remote,
                                           size_t *ret_count);

typedef struct cb_own_sent {
    uint64_t entries;
    uint64_t segments;
} cb_own_sent;

/*
 * Pushes steps from `first` on, one push each, and marks what was confirmed.
 * As cb_git_push.
 */
CB_NODISCARD cb_status
cb_own_stream_push(cb_store *store, cb_git_repository *repository,
                   const cb_transport *transport, const cb_own_stream *stream,
                   size_t first, const cb_sync_progress *progress,
                   cb_own_sent *sent, cb_error *reterr_error);

#endif
