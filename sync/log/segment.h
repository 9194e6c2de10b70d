/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment: a run of whole entries of one stream, each with its length in two
 * bytes before it, and the one line that stands beside it in the commit's tree:
 *
 *     casebound-segment 1 <stream> <first seq> <count> <hash of the segment>
 *
 * The hash is BLAKE2b-256 without a domain, so that `b2sum -l 256 segment`
 * prints it; the commit's signature covers the line, and each entry has its
 * own.
 *
 * Invariants:
 * 1. A segment has at least one entry, and at most CB_SEGMENT_ENTRIES_MAX of
 *    them in CB_SEGMENT_BYTES_MAX bytes, lengths counted in.
 * 2. The same entries give the same bytes.
 * 3. Reading looks at lengths alone; what is inside an entry is for the codec.
 */
#ifndef CASEBOUND_LOG_SEGMENT_H
#define CASEBOUND_LOG_SEGMENT_H

#include <casebound/entry.h>

#define CB_SEGMENT_MANIFEST_BYTES_MAX 192

/* Header and signature: the least that an entry can be. */
#define CB_SEGMENT_ENTRY_BYTES_MIN (CB_ENTRY_HEADER_BYTES + CB_SIGNATURE_BYTES)

typedef struct cb_segment_builder {
    cb_buffer bytes; /* the segment so far */
    size_t count;
} cb_segment_builder;

void cb_segment_builder_init(cb_segment_builder *builder);
void cb_segment_builder_clear(cb_segment_builder *builder);

/* Whether an entry of this size still fits. */
bool cb_segment_has_room(const cb_segment_builder *builder, size_t entry_size);

/*
 * Adds a whole entry.  CB_LIMIT where there is no room, and the builder is as
 * before: close this segment and begin the next.  CB_INPUT for what cannot be
 * an entry by its size, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_segment_append(cb_segment_builder *builder,
                                         cb_span entry, cb_error *reterr_error);

/* Walks the entries of a segment that may be anything. */
typedef struct cb_segment_reader {
    cb_span rest;
    size_t count; /* entries given out so far */
    size_t size;
} cb_segment_reader;

void cb_segment_reader_init(cb_segment_reader *reader, cb_span segment);

/*
 * The next entry, borrowed.  CB_END after the last; CB_LIMIT, CB_DAMAGED.
 * Entries given out before a failure may not be used: check first.
 */
CB_NODISCARD cb_status cb_segment_reader_next(cb_segment_reader *reader,
                                              cb_span *ret_entry,
                                              cb_error *reterr_error);

/* Walks the whole segment.  CB_LIMIT, CB_DAMAGED. */
CB_NODISCARD cb_status cb_segment_check(cb_span segment, size_t *ret_count,
                                        cb_error *reterr_error);

typedef struct cb_segment_manifest {
    cb_stream_id stream;
    uint64_t first_seq;
    size_t count;
    cb_hash hash;
} cb_segment_manifest;

/* The line that belongs to a segment.  CB_LIMIT, CB_DAMAGED. */
CB_NODISCARD cb_status cb_segment_manifest_make(
    const cb_stream_id *stream, uint64_t first_seq, cb_span segment,
    cb_segment_manifest *ret_manifest, cb_error *reterr_error);

/* Appends the line with its newline. */
void cb_segment_manifest_format(const cb_segment_manifest *manifest,
                                cb_buffer *line);

/* Form only.  CB_NEWER for a later version of the line, else CB_DAMAGED. */
CB_NODISCARD cb_status cb_segment_manifest_parse(
    cb_span line, cb_segment_manifest *ret_manifest, cb_error *reterr_error);

/* Whether the segment has the count and the hash.  CB_LIMIT, CB_DAMAGED. */
CB_NODISCARD cb_status
cb_segment_manifest_match(const cb_segment_manifest *manifest, cb_span segment,
                          cb_error *reterr_error);

#endif
