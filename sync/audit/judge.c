/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/run.h"

#include "audit/clock.h"

#include <casebound/json.h>

#include <inttypes.h>
#include <string.h>

/* One leaf at hand; its signature is checked at most once. */
typedef struct leaf_case {
    cb_audit_run *run;
    cb_audit_stream *stream;
    const cb_stub *stub;
    cb_span body;
    bool checked;
    bool holds;
} leaf_case;

static cb_audit_place place_of(const leaf_case *leaf)
{
    return (cb_audit_place){ .ref = leaf->run->log_ref,
                             .stream = &leaf->stub->header.stream,
                             .seq = leaf->stub->header.seq,
                             .log_index = cb_audit_leaf(leaf->run->index) };
}

static json_t *find_leaf(const leaf_case *leaf, const char *code,
                         const char *words)
{
    const cb_audit_place place = place_of(leaf);
    return cb_report_find(
        &leaf->run->report, code, &place,
        cb_report_evidence("entry", &leaf->stub->hash, NULL, NULL), "%s",
        words);
}

bool cb_audit_judge_signature(cb_audit_run *run, const cb_audit_stream *stream,
                              const cb_stub *stub)
{
    run->signatures_checked++;
    run->entries_checked++;
    return cb_stub_verify(stub, stream->key, NULL) == CB_OK;
}

static bool signature_holds(leaf_case *leaf)
{
    if (!leaf->checked) {
        leaf->checked = true;
        leaf->holds =
            !leaf->stream->opened ||
            cb_audit_judge_signature(leaf->run, leaf->stream, leaf->stub);
    }
    return leaf->holds;
}

/* The newest entry's signature, where it was put off. */
static bool head_holds(cb_audit_run *run, cb_audit_stream *stream)
{
    if (stream->opened && stream->head_known && !stream->head_checked &&
        !stream->suspect) {
        const cb_stub stub = { .hash = stream->head };
        cb_stub copy = stub;
        memcpy(copy.signature, stream->head_signature, sizeof copy.signature);
        stream->head_checked = true;
        if (!cb_audit_judge_signature(run, stream, &copy)) {
            stream->suspect = true;
            run->look_again = true;
        }
    }
    return !stream->suspect;
}

/* What comes next in the stream cannot be judged by what was last. */
static void lose_head(const cb_audit_run *run, cb_audit_stream *stream)
{
    stream->head_known = false;
    stream->losses = run->losses - 1;
}

static void take_head(leaf_case *leaf)
{
    cb_audit_stream *stream = leaf->stream;
    stream->seq = leaf->stub->header.seq;
    stream->head = leaf->stub->hash;
    memcpy(stream->head_signature, leaf->stub->signature,
           sizeof stream->head_signature);
    stream->head_index = leaf->run->index;
    stream->head_known = true;
    stream->head_checked = leaf->checked;
    stream->losses = leaf->run->losses;
}

static void find_changed(leaf_case *leaf)
{
    cb_audit_run *run = leaf->run;
    cb_audit_stream *stream = leaf->stream;
    (void)find_leaf(leaf, "SIG",
                    "the signature of an entry is not that of its stream");
    cb_audit_remember_changed(run, run->index);
    if (leaf->stub->header.seq == stream->seq + 1) {
        take_head(leaf);
    }
    lose_head(run, stream);
}

static void find_fork(leaf_case *leaf, const char *words)
{
    cb_audit_run *run = leaf->run;
    const cb_audit_place place = place_of(leaf);
    if (leaf->stream->forked) {
        return;
    }
    leaf->stream->forked = true;
    json_t *finding = cb_report_find(
        &run->report, "FORK", &place,
        cb_report_evidence("entry", &leaf->stub->hash, NULL, NULL), "%s",
        words);
    if (finding != NULL && run->fork_count < CB_AUDIT_FORKS_MAX) {
        const uint64_t seq = leaf->stub->header.seq;
        run->forks[run->fork_count] = (cb_audit_fork){
            .stream = leaf->stream->id,
            .seq = seq <= leaf->stream->seq ? seq : seq - 1,
            .finding = finding,
        };
        run->fork_count++;
        run->look_again = true;
    }
}

static void find_gap(leaf_case *leaf)
{
    cb_audit_place place = place_of(leaf);
    const uint64_t seq = leaf->stub->header.seq;
    place.seq = leaf->stream->seq + 1;
    (void)cb_report_find(&leaf->run->report, "GAP", &place,
                         cb_report_evidence("next", &leaf->stub->hash, "prev",
                                            &leaf->stub->header.prev),
                         "the log has entry %" PRIu64
                         " of the stream, and %" PRIu64
                         " before it are missing",
                         seq, seq - place.seq);
}

/* The place of an entry in its stream's chain.  False: it does not count. */
static bool judge_chain(leaf_case *leaf)
{
    cb_audit_stream *stream = leaf->stream;
    const cb_entry_header *header = &leaf->stub->header;
    const bool follows_loss =
        stream->losses != leaf->run->losses && !stream->forked;
    if (header->seq <= stream->seq) {
        if (!signature_holds(leaf)) {
            find_changed(leaf);
        } else {
            find_fork(leaf, "the log has this number of the stream twice");
        }
        return false;
    }
    if (header->seq > stream->seq + 1) {
        if (!signature_holds(leaf)) {
            find_changed(leaf);
            return false;
        }
        (void)head_holds(leaf->run, stream);
        if (!follows_loss && !stream->forked) {
            find_gap(leaf);
        }
        return true;
    }
    if (stream->head_known &&
        memcmp(&header->prev, &stream->head, sizeof header->prev) != 0) {
        if (!signature_holds(leaf)) {
            find_changed(leaf);
            return false;
        }
        /* A head that is not its writer's is found by the second look. */
        if (head_holds(leaf->run, stream)) {
            find_fork(leaf, "an entry continues another one than the log has");
        }
    }
    return true;
}

/* What was heard of other streams may have moved the rows. */
static void find_row(leaf_case *leaf)
{
    leaf->stream =
        cb_audit_table_find(&leaf->run->streams, &leaf->stub->header.stream);
}

static void judge_begin(leaf_case *leaf)
{
    cb_audit_stream *stream = leaf->stream;
    const cb_entry_header *header = &leaf->stub->header;
    if (header->seq != 1) {
        if (leaf->run->losses == 0) {
            stream->seq = 0;
            find_gap(leaf);
        }
    } else if (header->kind != CB_ENTRY_OPENING) {
        (void)find_leaf(leaf, "ROSTER",
                        "a stream does not begin with its opening");
    } else {
        const bool opened =
            cb_audit_trust_opening(leaf->run, stream, leaf->stub, leaf->body);
        find_row(leaf);
        leaf->stream->opened = opened;
        if (opened && !signature_holds(leaf)) {
            find_changed(leaf);
        }
    }
}

static void judge_bracket(leaf_case *leaf)
{
    cb_audit_run *run = leaf->run;
    cb_audit_stream *stream = leaf->stream;
    const cb_entry_header *header = &leaf->stub->header;
    const bool same = header->seen_size == stream->seen_size &&
                      memcmp(&header->seen_root, &stream->seen_root,
                             sizeof header->seen_root) == 0;
    if (same || header->seen_size == 0) {
        if (!same) {
            (void)find_leaf(leaf, "BRKT",
                            "an entry embeds no checkpoint, and one before it "
                            "did");
        }
        return;
    }
    if (header->seen_size <= stream->seen_size) {
        (void)find_leaf(leaf, "BRKT",
                        header->seen_size < stream->seen_size
                            ? "an entry embeds an older checkpoint than one "
                              "before it"
                            : "two entries embed different checkpoints of one "
                              "size");
        return;
    }
    stream->seen_size = header->seen_size;
    stream->seen_root = header->seen_root;
    if (header->seen_size > run->index) {
        const bool beyond = header->seen_size > run->head.size;
        (void)find_leaf(leaf, beyond ? "ROLLBK" : "BRKT",
                        beyond ? "an entry embeds a checkpoint of a log that "
                                 "was longer than this one is"
                               : "an entry embeds a checkpoint that came "
                                 "after it");
        return;
    }
    const int seen =
        cb_audit_heads_seen(run, header->seen_size, &header->seen_root);
    if (seen == 0) {
        (void)find_leaf(leaf, "BRKT",
                        "an entry embeds a checkpoint that this log never "
                        "had");
    } else if (seen < 0) {
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
    }
}

static void judge_roster_version(leaf_case *leaf)
{
    cb_audit_stream *stream = leaf->stream;
    const uint32_t version = leaf->stub->header.roster;
    if (version < stream->roster) {
        (void)find_leaf(leaf, "ROSTER",
                        "an entry knows an older roster than one before it");
    } else if (version > leaf->run->roster && leaf->run->losses == 0 &&
               leaf->run->has_realm) {
        (void)find_leaf(leaf, "ROSTER",
                        "an entry knows a version of the roster that the log "
                        "did not have yet");
    }
    stream->roster = version;
}

static cb_status hear_heartbeat(leaf_case *leaf, cb_error *error)
{
    json_t *value = NULL;
    cb_status status = CB_OK;
    if (cb_json_parse_canonical(leaf->body, &value, NULL) != CB_OK) {
        (void)find_leaf(leaf, "SIG", "a heartbeat cannot be read");
        return CB_OK;
    }
    const json_t *heads = cb_json_array(value, "heads");
    for (size_t i = 0; i < json_array_size(heads) && status == CB_OK; i++) {
        cb_stream_id stream;
        int64_t seq = 0;
        const json_t *row = json_array_get(heads, i);
        if (cb_json_bytes(row, "stream", stream.bytes, sizeof stream.bytes) &&
            cb_json_integer(row, "seq", &seq) && seq > 0) {
            status = cb_audit_hear(leaf->run, &stream, (uint64_t)seq,
                                   cb_audit_leaf(leaf->run->index), error);
        }
    }
    json_decref(value);
    return status;
}

static cb_status judge_content(leaf_case *leaf, cb_error *error)
{
    cb_audit_run *run = leaf->run;
    const cb_entry_header *header = &leaf->stub->header;
    if ((header->flags & CB_ENTRY_FLAG_CLEAR) == 0) {
        cb_report_gap(&run->report, CB_GAP_SEALED, 1);
        return CB_OK;
    }
    leaf->stream->clear_entries++;
    if (header->kind == CB_ENTRY_OPENING && header->seq > 1) {
        (void)find_leaf(leaf, "ROSTER",
                        "an entry opens its stream a second time");
    }
    if (header->kind == CB_ENTRY_ROSTER) {
        if (!leaf->stream->hub && leaf->stream->opened) {
            (void)find_leaf(leaf, "ROSTER",
                            "somebody else than the hub wrote into the roster");
            return CB_OK;
        }
        return leaf->stream->hub
                   ? cb_audit_trust_roster(run, leaf->stub, leaf->body, error)
                   : CB_OK;
    }
    return header->kind == CB_ENTRY_HEARTBEAT ? hear_heartbeat(leaf, error)
                                              : CB_OK;
}

static bool is_checked_at_once(const leaf_case *leaf)
{
    const cb_entry_header *header = &leaf->stub->header;
    return leaf->run->full || header->kind == CB_ENTRY_OPENING ||
           (header->kind == CB_ENTRY_ROSTER &&
            (header->flags & CB_ENTRY_FLAG_CLEAR) != 0);
}

static cb_status judge_entry(leaf_case *leaf, cb_error *error)
{
    cb_audit_run *run = leaf->run;
    cb_audit_stream *stream = leaf->stream;
    const cb_entry_header *header = &leaf->stub->header;
    const bool first = stream->entries == 0;
    stream->entries++;
    if (first) {
        judge_begin(leaf);
    } else if (!judge_chain(leaf)) {
        return CB_OK;
    }
    stream = leaf->stream;
    if (!stream->opened) {
        cb_report_gap(&run->report, CB_GAP_TRUST, 1);
    } else if (is_checked_at_once(leaf) && !signature_holds(leaf)) {
        if (!first) {
            find_changed(leaf);
        }
        return CB_OK;
    }
    if (!first && header->time <= stream->time) {
        (void)find_leaf(leaf, "CLKBK",
                        "an entry claims an earlier time than the one before "
                        "it");
    }
    if (stream->cut && header->seq > stream->cut_seq) {
        (void)find_leaf(leaf, "REVOK",
                        "an entry was taken in beyond its stream's cut");
    }
    judge_bracket(leaf);
    judge_roster_version(leaf);
    cb_audit_clock_judge(run, stream, leaf->stub);
    stream->time = header->time;
    take_head(leaf);
    return judge_content(leaf, error);
}

cb_status cb_audit_judge(cb_audit_run *run, const cb_stub *stub, cb_span body,
                         cb_error *error)
{
    void *row = NULL;
    leaf_case leaf = { .run = run, .stub = stub, .body = body };
    if (run->has_realm &&
        memcmp(&stub->header.realm, &run->realm, sizeof run->realm) != 0) {
        (void)find_leaf(&leaf, "SIG", "an entry is that of another service");
        return CB_OK;
    }
    cb_status status =
        cb_audit_table_put(&run->streams, &stub->header.stream, &row, error);
    if (status == CB_LIMIT) {
        cb_error_clear(error);
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
        return CB_OK;
    }
    if (status != CB_OK) {
        return status;
    }
    leaf.stream = row;
    return judge_entry(&leaf, error);
}

bool cb_audit_judge_leaf(cb_audit_run *run, cb_span leaf)
{
    cb_stub stub;
    cb_span body;
    if (cb_leaf_decode(leaf, &stub, &body, NULL) != CB_OK) {
        return false;
    }
    const cb_audit_stream *stream =
        cb_audit_table_find(&run->streams, &stub.header.stream);
    if (stream != NULL && stream->opened) {
        return cb_audit_judge_signature(run, stream, &stub);
    }
    /* An opening brings its key along. */
    json_t *value = NULL;
    uint8_t key[CB_PUBLIC_KEY_BYTES];
    bool holds = body.size > 0 &&
                 cb_json_parse_canonical(body, &value, NULL) == CB_OK &&
                 cb_json_bytes(value, "stream_key", key, sizeof key) &&
                 cb_stub_verify(&stub, key, NULL) == CB_OK;
    json_decref(value);
    return holds;
}

cb_status cb_audit_judge_changed(cb_audit_run *run, cb_span leaf,
                                 cb_error *error)
{
    cb_audit_place place = { .ref = run->log_ref,
                             .log_index = cb_audit_leaf(run->index) };
    cb_stub stub;
    cb_span head = leaf;
    cb_audit_stream *stream = NULL;
    (void)error;
    if (head.size > CB_ENTRY_STUB_BYTES) {
        head.size = CB_ENTRY_STUB_BYTES;
    }
    if (cb_stub_decode(head, &stub, NULL) == CB_OK) {
        stream = cb_audit_table_find(&run->streams, &stub.header.stream);
    }
    if (stream != NULL && stub.header.seq == stream->seq + 1) {
        place.stream = &stub.header.stream;
        place.seq = stub.header.seq;
    }
    (void)cb_report_find(&run->report, "SIG", &place, NULL,
                         "a leaf of the log is not what was logged");
    if (place.stream != NULL) {
        stream->seq = stub.header.seq;
        stream->head_index = run->index;
        stream->entries++;
        lose_head(run, stream);
    } else {
        run->losses++;
    }
    return CB_OK;
}

cb_status cb_audit_hear(cb_audit_run *run, const cb_stream_id *stream,
                        uint64_t seq, uint64_t leaf, cb_error *error)
{
    void *row = NULL;
    cb_status status = cb_audit_table_put(&run->streams, stream, &row, error);
    if (status == CB_LIMIT) {
        cb_error_clear(error);
        cb_report_gap(&run->report, CB_GAP_LIMIT, 1);
        return CB_OK;
    }
    cb_audit_stream *heard = row;
    if (status == CB_OK && seq > heard->heard_seq) {
        heard->heard_seq = seq;
        heard->heard_index = leaf;
    }
    return status;
}

void cb_audit_judge_finish(cb_audit_run *run)
{
    cb_audit_table_sort(&run->streams);
    for (size_t i = 0; i < run->streams.count; i++) {
        cb_audit_stream *stream = cb_audit_table_at(&run->streams, i);
        (void)head_holds(run, stream);
        if (stream->heard_seq > stream->seq) {
            (void)cb_report_find(
                &run->report, "TAIL",
                &(cb_audit_place){ .ref = run->log_ref,
                                   .stream = &stream->id,
                                   .seq = stream->seq + 1,
                                   .log_index = stream->heard_index },
                NULL,
                "entry %" PRIu64 " of the stream was seen, and the log has it "
                "up to %" PRIu64,
                stream->heard_seq, stream->seq);
        }
    }
}
