/* SPDX-License-Identifier: Apache-2.0 */
#include "session/stream.h"

#include "git/commit.h"
#include "git/push.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENT_MESSAGE "segment\n"

static const char *const step_files[] = { "manifest", "segment" };

void cb_stream_step_clear(cb_stream_step *step)
{
    cb_git_commit_clear(&step->commit);
    cb_buffer_clear(&step->segment);
}

static cb_status read_files(const cb_git_repository *repository,
                            const cb_stream_id *stream, cb_stream_step *step,
                            cb_error *error)
{
    cb_git_oid files[2];
    cb_buffer line;
    cb_buffer_init(&line, CB_SEGMENT_MANIFEST_BYTES_MAX);
    cb_status status = cb_git_tree_expect(repository, &step->commit.tree,
                                          step_files, 2, files, error);
    if (status == CB_OK) {
        status = cb_git_blob_read(repository, &files[0],
                                  CB_SEGMENT_MANIFEST_BYTES_MAX, &line, error);
    }
    if (status == CB_OK) {
        status = cb_segment_manifest_parse(cb_span_of_buffer(&line),
                                           &step->manifest, error);
    }
    if (status == CB_OK && memcmp(&step->manifest.stream, stream,
                                  sizeof step->manifest.stream) != 0) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a segment says that it is of another stream");
    }
    if (status == CB_OK) {
        status = cb_git_blob_read(repository, &files[1], CB_SEGMENT_BYTES_MAX,
                                  &step->segment, error);
    }
    if (status == CB_OK) {
        status = cb_segment_manifest_match(
            &step->manifest, cb_span_of_buffer(&step->segment), error);
    }
    cb_buffer_clear(&line);
    return status;
}

cb_status cb_stream_step_read(const cb_git_repository *repository,
                              const cb_git_oid *oid, const cb_stream_id *stream,
                              cb_stream_step *ret_step, cb_error *reterr_error)
{
    cb_stream_step step;
    memset(&step, 0, sizeof step);
    cb_buffer_init(&step.segment, CB_SEGMENT_BYTES_MAX);
    cb_status status =
        cb_git_commit_read(repository, oid, &step.commit, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    status = read_files(repository, stream, &step, reterr_error);
    if (status != CB_OK) {
        cb_stream_step_clear(&step);
        return status;
    }
    *ret_step = step;
    return CB_OK;
}

/* -------------------------------------------------------------- our own */

void cb_own_stream_clear(cb_own_stream *stream)
{
    free(stream->steps);
    memset(stream, 0, sizeof *stream);
}

static cb_status add_step(cb_own_stream *stream, const cb_segment_facts *facts,
                          cb_error *error)
{
    if (stream->count == stream->capacity) {
        size_t capacity = stream->capacity == 0 ? 16 : 2 * stream->capacity;
        cb_own_step *grown =
            realloc(stream->steps, capacity * sizeof *stream->steps);
        if (grown == NULL) {
            return cb_error_set(error, CB_NO_MEMORY, "out of memory");
        }
        stream->steps = grown;
        stream->capacity = capacity;
    }
    cb_own_step *step = &stream->steps[stream->count++];
    memset(step, 0, sizeof *step);
    step->facts = *facts;
    memcpy(step->oid.bytes, facts->commit, sizeof step->oid.bytes);
    return CB_OK;
}

static cb_status append_entry(void *context, cb_span entry, uint64_t log_index,
                              cb_error *error)
{
    (void)log_index;
    return cb_segment_append(context, entry, error);
}

static cb_status gather(cb_store *store, const cb_segment_facts *facts,
                        cb_segment_builder *builder, cb_error *error)
{
    cb_status status =
        cb_exchange_segment_entries(store, facts, append_entry, builder, error);
    if (status == CB_OK && builder->count != facts->count) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the store lacks entries of its own stream");
        cb_error_next(error, "casebound doctor");
    }
    return status;
}

static cb_status make_commit(cb_store *store, cb_git_repository *repository,
                             const cb_own_stream *stream, size_t index,
                             cb_git_oid *ret_oid, cb_error *error)
{
    const cb_segment_facts *facts = &stream->steps[index].facts;
    cb_segment_builder builder;
    cb_segment_manifest manifest;
    cb_buffer line;
    cb_segment_builder_init(&builder);
    cb_buffer_init(&line, CB_SEGMENT_MANIFEST_BYTES_MAX);
    cb_status status = gather(store, facts, &builder, error);
    if (status == CB_OK) {
        status = cb_segment_manifest_make(&facts->stream, facts->first_seq,
                                          cb_span_of_buffer(&builder.bytes),
                                          &manifest, error);
    }
    if (status == CB_OK) {
        cb_segment_manifest_format(&manifest, &line);
        status = cb_buffer_check(&line, error);
    }
    if (status == CB_OK) {
        const cb_git_file files[] = {
            { .path = "manifest", .content = cb_span_of_buffer(&line) },
            { .path = "segment", .content = cb_span_of_buffer(&builder.bytes) },
        };
        cb_git_commit_plan plan = {
            .parent = index == 0 ? NULL : &stream->steps[index - 1].oid,
            .files = files,
            .file_count = 2,
            .message = SEGMENT_MESSAGE,
            .position = index,
            .secret_key = cb_exchange_stream_key(store),
        };
        status = cb_git_commit_create(repository, &plan, ret_oid, error);
    }
    cb_segment_builder_clear(&builder);
    cb_buffer_clear(&line);
    return status;
}

cb_status cb_own_stream_read(cb_store *store, cb_own_stream *ret_stream,
                             cb_error *reterr_error)
{
    cb_own_stream stream = { 0 };
    uint64_t next = 1;
    cb_status status = CB_OK;
    while (status == CB_OK) {
        cb_segment_facts facts;
        status = cb_exchange_segment(store, next, &facts, reterr_error);
        if (status == CB_OK) {
            next = facts.first_seq + facts.count;
            status = add_step(&stream, &facts, reterr_error);
        }
    }
    if (status != CB_END) {
        cb_own_stream_clear(&stream);
        return status;
    }
    *ret_stream = stream;
    return CB_OK;
}

static cb_status make_step(cb_store *store, cb_git_repository *repository,
                           cb_own_stream *stream, size_t index, cb_error *error)
{
    cb_own_step *step = &stream->steps[index];
    bool made = !cb_is_zero(step->oid.bytes, sizeof step->oid.bytes);
    cb_git_oid oid;
    if (made && cb_git_object_exists(repository, &step->oid)) {
        return CB_OK;
    }
    cb_status status =
        make_commit(store, repository, stream, index, &oid, error);
    if (status != CB_OK) {
        return status;
    }
    if (made && !cb_git_oid_equal(&oid, &step->oid)) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a segment of this store is not what was sent "
                              "before");
        cb_error_meaning(error, "nothing was sent; the log keeps what it has");
        cb_error_next(error, "casebound doctor");
        return status;
    }
    step->oid = oid;
    return made ? CB_OK
                : cb_exchange_segment_made(store, &step->facts, oid.bytes,
                                           error);
}

cb_status cb_own_stream_make(cb_store *store, cb_git_repository *repository,
                             cb_own_stream *ret_stream, cb_error *reterr_error)
{
    cb_own_stream stream = { 0 };
    cb_status status = cb_own_stream_read(store, &stream, reterr_error);
    for (size_t i = 0; status == CB_OK && i < stream.count; i++) {
        status = make_step(store, repository, &stream, i, reterr_error);
    }
    if (status != CB_OK) {
        cb_own_stream_clear(&stream);
        return status;
    }
    *ret_stream = stream;
    return CB_OK;
}

cb_status cb_own_stream_match(const cb_own_stream *stream,
                              const cb_git_oid *remote, size_t *ret_count)
{
    if (remote == NULL) {
        *ret_count = 0;
        return CB_OK;
    }
    for (size_t i = stream->count; i > 0; i--) {
        if (cb_git_oid_equal(&stream->steps[i - 1].oid, remote)) {
            *ret_count = i;
            return CB_OK;
        }
    }
    return CB_NOT_FOUND;
}

static cb_status push_step(cb_store *store, cb_git_repository *repository,
                           const cb_transport *transport,
                           const cb_own_step *step, cb_error *error)
{
    cb_ref_name ref =
        cb_ref_make(CB_REF_DEVICE_PREFIX, step->facts.stream.bytes);
    cb_git_push_request request = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .local_ref = ref.text,
        .remote_ref = ref.text,
    };
    cb_status status = cb_place_point(repository, ref.text, &step->oid, error);
    if (status == CB_OK) {
        status = cb_git_push(repository, &request, NULL, error);
    }
    return status == CB_OK
               ? cb_exchange_segment_pushed(store, &step->facts, error)
               : status;
}

cb_status cb_own_stream_push(cb_store *store, cb_git_repository *repository,
                             const cb_transport *transport,
                             const cb_own_stream *stream, size_t first,
                             const cb_sync_progress *progress,
                             cb_own_sent *sent, cb_error *reterr_error)
{
    cb_status status = CB_OK;
    for (size_t i = first; status == CB_OK && i < stream->count; i++) {
        const cb_own_step *step = &stream->steps[i];
        cb_progress_step(progress, "sending", i - first, stream->count - first);
        if (cb_progress_stop(progress, reterr_error)) {
            return CB_INTERRUPTED;
        }
        status = push_step(store, repository, transport, step, reterr_error);
        if (status == CB_OK) {
            sent->entries += step->facts.count;
            sent->segments++;
        }
    }
    return status;
}
