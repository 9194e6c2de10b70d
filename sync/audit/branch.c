/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/run.h"

#include <casebound/chain.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log/segment.h"

/* The entries of one branch, commit after commit. */
typedef struct branch {
    cb_audit_run *run;
    cb_audit_stream *stream;
    const char *ref;
    cb_git_oid_list history;
    size_t next; /* commit to be opened */
    cb_git_oid commit;
    cb_buffer segment;
    cb_segment_reader reader;
    bool is_open;
    /* The first commit that is not as its stream writes it. */
    bool spoilt;
    cb_git_oid spoilt_commit;
    char spoilt_words[CB_ERROR_TEXT_BYTES];
} branch;

static cb_audit_place place_of(const branch *at, uint64_t seq)
{
    return (cb_audit_place){ .ref = at->ref,
                             .commit = &at->commit,
                             .stream = &at->stream->id,
                             .seq = seq };
}

static void spoil(branch *at, const char *words)
{
    if (!at->spoilt) {
        at->spoilt = true;
        at->spoilt_commit = at->commit;
        (void)snprintf(at->spoilt_words, sizeof at->spoilt_words, "%s", words);
    }
}

static void check_manifest(branch *at, cb_span line)
{
    cb_segment_manifest manifest;
    cb_error why = { 0 };
    cb_status status = cb_segment_manifest_parse(line, &manifest, &why);
    if (status == CB_OK && memcmp(&manifest.stream, &at->stream->id,
                                  sizeof manifest.stream) != 0) {
        spoil(at, "the manifest names another stream than its branch");
        return;
    }
    if (status == CB_OK) {
        status = cb_segment_manifest_match(
            &manifest, cb_span_of_buffer(&at->segment), &why);
    }
    if (status != CB_OK) {
        spoil(at, why.what);
    }
}

static cb_status open_files(branch *at, const cb_git_commit *commit,
                            cb_error *why)
{
    static const char *const names[] = { "manifest", "segment" };
    cb_git_oid oids[2];
    cb_buffer line;
    const cb_git_repository *repository = at->run->repository;
    cb_buffer_init(&line, CB_SEGMENT_MANIFEST_BYTES_MAX);
    cb_status status =
        cb_git_tree_expect(repository, &commit->tree, names, 2, oids, why);
    if (status == CB_OK) {
        status = cb_git_blob_read(repository, &oids[1], CB_SEGMENT_BYTES_MAX,
                                  &at->segment, why);
    }
    if (status == CB_OK) {
        status = cb_git_blob_read(repository, &oids[0],
                                  CB_SEGMENT_MANIFEST_BYTES_MAX, &line, why);
    }
    if (status == CB_OK) {
        check_manifest(at, cb_span_of_buffer(&line));
    }
    cb_buffer_clear(&line);
    return status;
}

/* CB_NOT_FOUND, CB_DAMAGED, CB_LIMIT: the commit cannot be read. */
static cb_status open_commit(branch *at, cb_error *why)
{
    cb_git_commit commit = { 0 };
    const bool last = at->next + 1 == at->history.count;
    at->commit = at->history.items[at->next];
    at->next++;
    cb_buffer_reset(&at->segment);
    cb_status status =
        cb_git_commit_read(at->run->repository, &at->commit, &commit, why);
    if (status != CB_OK) {
        return status;
    }
    if (at->stream->opened && (at->run->full || last)) {
        at->run->signatures_checked++;
        if (cb_git_commit_verify(&commit, at->stream->key, NULL) != CB_OK) {
            spoil(at, "a commit of a stream is not signed with its key");
        }
    }
    status = open_files(at, &commit, why);
    cb_git_commit_clear(&commit);
    if (status == CB_OK) {
        cb_segment_reader_init(&at->reader, cb_span_of_buffer(&at->segment));
        at->is_open = true;
    }
    return status;
}

static void rewind_branch(branch *at)
{
    at->next = 0;
    at->is_open = false;
}

/* The next entry's bytes; CB_END, or why the branch cannot be read on. */
static cb_status next_entry(branch *at, cb_span *ret_bytes, cb_error *why)
{
    for (;;) {
        cb_status status = CB_END;
        if (at->is_open) {
            status = cb_segment_reader_next(&at->reader, ret_bytes, why);
        }
        if (status != CB_END) {
            return status;
        }
        if (at->next == at->history.count) {
            return CB_END;
        }
        status = open_commit(at, why);
        if (status != CB_OK) {
            return status;
        }
    }
}

static void find_unreadable(branch *at, cb_status status, const char *words)
{
    const cb_audit_place place = place_of(at, 0);
    (void)cb_report_find(&at->run->report,
                         status == CB_NOT_FOUND ? "NOPROOF" : "SIG", &place,
                         NULL, "%s", words);
}

/* ------------------------------------------------------------ a quick look */

typedef struct scan {
    uint64_t seq; /* last that is in the chain */
    uint64_t unmerged;
    bool trouble; /* something is not as in the log */
    bool unreadable;
} scan;

static bool fits(branch *at, const cb_chain *chain, const cb_entry *entry)
{
    const cb_audit_stream *stream = at->stream;
    if (chain->seq == stream->seq && stream->head_known &&
        memcmp(&entry->hash, &stream->head, sizeof entry->hash) != 0) {
        return false;
    }
    if (at->run->full && stream->opened) {
        at->run->signatures_checked++;
        return cb_entry_verify(entry, stream->key, NULL) == CB_OK;
    }
    return true;
}

/* Walks the chain: where its head is the log's, so is all before it. */
static cb_status scan_branch(branch *at, scan *found, cb_error *error)
{
    cb_chain chain = { .realm = at->run->realm, .stream = at->stream->id };
    cb_error why = { 0 };
    cb_span bytes;
    cb_status status = CB_OK;
    *found = (scan){ 0 };
    while ((status = next_entry(at, &bytes, &why)) == CB_OK) {
        cb_entry entry;
        if (cb_entry_decode(bytes, &entry, NULL) != CB_OK ||
            cb_chain_advance(&chain, &entry.header, &entry.hash, NULL) !=
                CB_OK ||
            !fits(at, &chain, &entry)) {
            found->trouble = true;
            return CB_OK;
        }
        found->unmerged += chain.seq > at->stream->seq;
        found->seq = chain.seq;
    }
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "out of memory");
    }
    if (status != CB_END) {
        found->unreadable = true;
        find_unreadable(at, status, why.what);
    }
    return CB_OK;
}

/* -------------------------------------------------------- entry by entry */

/* The branch beside the log's leaves of its stream, both in their order. */
typedef struct comparison {
    branch *at;
    cb_entry entry; /* the branch's next */
    uint64_t seq;   /* number at which it stands */
    bool has_entry; /* it could be read */
    bool waiting;   /* it was not compared yet */
    bool ended;
    bool gap_found;
    uint64_t last;
    uint64_t findings;
} comparison;

static void advance(comparison *compare)
{
    branch *at = compare->at;
    cb_span bytes;
    cb_error why = { 0 };
    if (next_entry(at, &bytes, &why) != CB_OK) {
        compare->ended = true;
        return;
    }
    compare->waiting = true;
    compare->has_entry =
        cb_entry_decode(bytes, &compare->entry, NULL) == CB_OK &&
        memcmp(&compare->entry.header.stream, &at->stream->id,
               sizeof at->stream->id) == 0;
    compare->seq =
        compare->has_entry ? compare->entry.header.seq : compare->last + 1;
    compare->last = compare->seq;
}

/* Whether only the body is another: header and signature are the stub's. */
static bool is_other_body(const cb_entry *entry, const cb_stub *stub,
                          const uint8_t *stub_bytes)
{
    return memcmp(entry->bytes.bytes, stub_bytes, CB_ENTRY_HEADER_BYTES) == 0 &&
           memcmp(entry->signature, stub->signature, CB_SIGNATURE_BYTES) == 0;
}

static void compare_entry(comparison *compare, uint64_t index,
                          const cb_stub *stub, const uint8_t *stub_bytes)
{
    branch *at = compare->at;
    const cb_entry *entry = &compare->entry;
    const bool same = compare->has_entry &&
                      memcmp(&entry->hash, &stub->hash, sizeof stub->hash) == 0;
    const bool is_signed =
        compare->has_entry &&
        (!at->stream->opened ||
         cb_entry_verify(entry, at->stream->key, NULL) == CB_OK);
    cb_audit_place place = place_of(at, stub->header.seq);
    place.log_index = cb_audit_leaf(index);
    if (same && is_signed) {
        return;
    }
    const char *code = is_signed ? "FORK" : "SIG";
    const char *words = is_signed ? "the branch has another signed entry of "
                                    "this number than the log"
                                  : "the bytes of an entry in the branch are "
                                    "not those that were signed";
    if (!same && compare->has_entry && is_other_body(entry, stub, stub_bytes)) {
        code = "PAY";
        words = "the body in the branch is not the one that the stub was "
                "signed for";
    }
    compare->findings++;
    (void)cb_report_find(
        &at->run->report, code, &place,
        cb_report_evidence("in_log", &stub->hash, "in_branch",
                           compare->has_entry ? &entry->hash : NULL),
        "%s", words);
}

static void find_missing(comparison *compare, uint64_t seq)
{
    const cb_audit_place place = place_of(compare->at, seq);
    if (!compare->gap_found) {
        compare->gap_found = true;
        compare->findings++;
        (void)cb_report_find(&compare->at->run->report, "GAP", &place, NULL,
                             "the branch lacks entry %" PRIu64
                             " of its stream, which the log has",
                             seq);
    }
}

static cb_status compare_leaf(void *context, uint64_t index, cb_span leaf,
                              cb_error *error)
{
    comparison *compare = context;
    cb_stub stub;
    cb_span body;
    (void)error;
    if (cb_leaf_decode(leaf, &stub, &body, NULL) != CB_OK ||
        memcmp(&stub.header.stream, &compare->at->stream->id,
               sizeof stub.header.stream) != 0 ||
        cb_audit_was_changed(compare->at->run, index)) {
        return CB_OK;
    }
    while (!compare->ended &&
           (!compare->waiting || compare->seq < stub.header.seq)) {
        advance(compare);
    }
    if (compare->ended) {
        return CB_OK;
    }
    if (compare->seq > stub.header.seq) {
        find_missing(compare, stub.header.seq);
    } else {
        compare_entry(compare, index, &stub, leaf.bytes);
        compare->waiting = false;
    }
    return CB_OK;
}

static cb_status compare_branch(branch *at, scan *found, cb_error *error)
{
    comparison *compare = &(comparison){ .at = at };
    rewind_branch(at);
    cb_status status =
        cb_audit_walk_again(at->run, compare_leaf, compare, error);
    while (status == CB_OK && !compare->ended) {
        advance(compare);
    }
    found->seq = compare->last;
    found->unmerged =
        found->seq > at->stream->seq ? found->seq - at->stream->seq : 0;
    if (status == CB_OK && compare->findings == 0 && found->unmerged > 0) {
        /* What the log has is all there; what comes after it does not hold. */
        const cb_audit_place place = place_of(at, at->stream->seq + 1);
        (void)cb_report_find(&at->run->report, "SIG", &place, NULL,
                             "entries that the log does not have yet are not a "
                             "chain of their stream");
        at->spoilt = false;
    } else if (compare->findings > 0) {
        at->spoilt = false; /* the entries say it better */
    }
    return status;
}

/* ---------------------------------------------------------------- branches */

static void settle_branch(branch *at, const scan *found)
{
    cb_audit_run *run = at->run;
    cb_audit_stream *stream = at->stream;
    if (at->spoilt) {
        at->commit = at->spoilt_commit;
        const cb_audit_place place = place_of(at, 0);
        (void)cb_report_find(&run->report, "SIG", &place, NULL, "%s",
                             at->spoilt_words);
    }
    stream->content_entries =
        found->seq < stream->seq ? found->seq : stream->seq;
    stream->unmerged = found->unmerged;
    stream->content = stream->content_entries == stream->seq
                          ? CB_CONTENT_PRESENT
                          : CB_CONTENT_PARTIAL;
    cb_report_gap(&run->report, CB_GAP_UNMERGED, found->unmerged);
    run->bodies += stream->content_entries;
    if (found->seq < stream->seq && !found->unreadable) {
        const cb_audit_place place = place_of(at, found->seq + 1);
        (void)cb_report_find(
            &run->report, "TAIL", &place,
            cb_report_evidence("head", &stream->head, NULL, NULL),
            "the branch ends at entry %" PRIu64
            ", and the log has the stream up to %" PRIu64,
            found->seq, stream->seq);
    }
}

static cb_status check_branch(cb_audit_run *run, const cb_git_ref *ref,
                              cb_audit_stream *stream, cb_error *error)
{
    scan found = { 0 };
    cb_error why = { 0 };
    branch at = {
        .run = run, .stream = stream, .ref = ref->name, .commit = ref->oid
    };
    cb_buffer_init(&at.segment, CB_SEGMENT_BYTES_MAX);
    cb_status status =
        cb_git_history_read(run->repository, &ref->oid, NULL,
                            CB_AUDIT_HISTORY_MAX, &at.history, &why);
    if (status == CB_OK) {
        status = scan_branch(&at, &found, error);
        if (status == CB_OK && found.trouble) {
            status = compare_branch(&at, &found, error);
        }
        if (status == CB_OK) {
            settle_branch(&at, &found);
        }
    } else if (status != CB_NO_MEMORY) {
        find_unreadable(&at, status, why.what);
        stream->content = CB_CONTENT_PARTIAL;
        status = CB_OK;
    } else {
        status = cb_error_set(error, status, "out of memory");
    }
    cb_git_oid_list_clear(&at.history);
    cb_buffer_clear(&at.segment);
    return status;
}

/*
 * A copy may leave out all branches of devices (a clone of the log alone): then
 * content is only absent.  Where some are here, one that is missing was taken
 * away.
 */
static void count_absent(cb_audit_run *run, const cb_audit_stream *stream,
                         bool some_here)
{
    const bool absent = stream->content == CB_CONTENT_ABSENT;
    const uint64_t there =
        absent ? stream->clear_entries : stream->content_entries;
    if (stream->entries > there) {
        run->bodies_absent += stream->entries - there;
    }
    if (absent && some_here && stream->entries > 0) {
        const cb_audit_place place = { .stream = &stream->id, .seq = 1 };
        (void)cb_report_find(
            &run->report, "TAIL", &place,
            cb_report_evidence("head", &stream->head, NULL, NULL),
            "the stream has no branch here, though others "
            "have, and the log has it up to %" PRIu64,
            stream->seq);
    }
}

/* A stream of which the log has nothing yet: only counted. */
static void count_newcomer(cb_audit_run *run, const cb_git_ref *ref)
{
    cb_git_commit commit = { 0 };
    cb_segment_manifest manifest = { .first_seq = 1, .count = 1 };
    cb_buffer line;
    cb_buffer_init(&line, CB_SEGMENT_MANIFEST_BYTES_MAX);
    if (cb_git_commit_read(run->repository, &ref->oid, &commit, NULL) ==
        CB_OK) {
        if (cb_git_file_read(run->repository, &commit.tree, "manifest",
                             CB_SEGMENT_MANIFEST_BYTES_MAX, &line,
                             NULL) != CB_OK ||
            cb_segment_manifest_parse(cb_span_of_buffer(&line), &manifest,
                                      NULL) != CB_OK) {
            manifest.count = 1;
        }
        cb_git_commit_clear(&commit);
    }
    cb_report_gap(&run->report, CB_GAP_UNMERGED,
                  manifest.first_seq - 1 + manifest.count);
    cb_buffer_clear(&line);
}

cb_status cb_audit_branches(cb_audit_run *run, cb_error *error)
{
    char prefix[CB_GIT_REF_TEXT_BYTES + 8];
    cb_git_ref_list list = { 0 };
    (void)snprintf(prefix, sizeof prefix, "%sdevice/", run->prefix);
    cb_status status = cb_git_ref_list_read(run->repository, prefix,
                                            CB_AUDIT_STREAMS_MAX, &list, error);
    if (status == CB_LIMIT) {
        cb_error_clear(error);
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
        return CB_OK;
    }
    for (size_t i = 0; i < list.count && status == CB_OK; i++) {
        const cb_git_ref *ref = &list.items[i];
        cb_stream_id id;
        if (!cb_hex_parse(ref->name + strlen(prefix), id.bytes,
                          sizeof id.bytes)) {
            continue; /* refused before */
        }
        cb_audit_stream *stream = cb_audit_table_find(&run->streams, &id);
        if (stream == NULL || stream->entries == 0) {
            count_newcomer(run, ref);
        } else {
            status = check_branch(run, ref, stream, error);
        }
        if (status == CB_OK) {
            status = cb_audit_progress(run, run->head.size, error);
        }
    }
    const bool some_here = list.count > 0;
    cb_git_ref_list_clear(&list);
    for (size_t i = 0; i < run->streams.count; i++) {
        count_absent(run, cb_audit_table_at(&run->streams, i), some_here);
    }
    cb_report_gap(&run->report, CB_GAP_CONTENT, run->bodies_absent);
    return status;
}
