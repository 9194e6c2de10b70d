/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub's log and its devices' branches, made entry by entry out of the codec,
 * the tiles and the Git layer, for tests that tamper with one.
 *
 * Everything is a function of the calls: keys come out of a counter.  What a
 * hub or a device would never do is done by changing a writer or a leaf before
 * it is published.  A call that fails ends the test.
 */
#ifndef CASEBOUND_TESTS_LOG_BUILDER_H
#define CASEBOUND_TESTS_LOG_BUILDER_H

#include "git/commit.h"
#include "proof/checkpoint.h"
#include "proof/tile.h"

#include <casebound/entry.h>

#include <jansson.h>

#define LOG_PATH_BYTES 256

typedef struct log_writer {
    cb_device_id device;
    cb_person_id person;
    cb_stream_id stream;
    cb_secret *device_key;
    cb_secret *stream_key;
    uint8_t device_public[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_public[CB_PUBLIC_KEY_BYTES];
    uint8_t stream_public[CB_PUBLIC_KEY_BYTES];
    bool hub;
    /* The newest entry; a test that sets them back makes a fork. */
    uint64_t seq;
    cb_hash head;
    int64_t now_ms; /* of its clock; advances with each entry */
    uint64_t seen_size;
    cb_hash seen_root;
    uint32_t roster;
    cb_buffer *entries; /* since the last commit of its branch */
    size_t entry_count;
    size_t entry_capacity;
    uint64_t segment_seq; /* of the first of them */
    uint64_t commits;
    cb_git_oid tip;
    bool quiet; /* its branch is not written */
} log_writer;

typedef struct log_builder {
    char root[LOG_PATH_BYTES];
    char path[LOG_PATH_BYTES + 16]; /* log.git */
    cb_git_repository *repository;
    cb_realm_id realm;
    cb_secret *root_key;
    uint8_t root_public[CB_PUBLIC_KEY_BYTES];
    uint64_t counter;
    log_writer writers[64];
    size_t writer_count; /* [0] is the hub */
    uint32_t roster;
    cb_hash roster_hash;
    cb_secret *compartment;
    cb_buffer *leaves; /* from leaf_base on */
    size_t leaf_count;
    size_t leaf_capacity;
    uint64_t leaf_base;
    bool forget; /* what is published need not be kept */
    cb_hash *levels[CB_TREE_LEVELS];
    size_t level_counts[CB_TREE_LEVELS];
    size_t level_capacities[CB_TREE_LEVELS];
    uint64_t hashed;    /* leaves in `levels` */
    uint64_t published; /* leaves in the newest commit */
    uint64_t commits;
    cb_git_oid tip;
    cb_tree_head head;
} log_builder;

/* A folder with an empty log and a hub that has opened its stream. */
void log_begin(log_builder *log);
void log_end(log_builder *log);

/* Enrols a device and opens its stream. */
log_writer *log_enrol(log_builder *log);

/* Appends a version of the roster with these operations (stolen). */
void log_roster(log_builder *log, json_t *operations);
/* The operation that lists a device; signed by the hub (or the root). */
json_t *log_device_operation(const log_builder *log, const log_writer *writer);

/*
 * Writes an entry of the writer: sealed, or in clear with this body (stolen).
 * Goes into the log and into the branch.
 */
void log_write(log_builder *log, log_writer *writer);
void log_write_clear(log_builder *log, log_writer *writer, uint8_t kind,
                     json_t *body);
/* Into the branch alone. */
void log_write_unlogged(log_builder *log, log_writer *writer);

/* The writer learns the newest published checkpoint and roster. */
void log_sync(log_builder *log, log_writer *writer);

/* Everything so far into Git, with a signed checkpoint. */
void log_publish(log_builder *log);
/* Only the branch of one writer, as it stands. */
void log_publish_branch(log_builder *log, log_writer *writer);

/* Puts the writers' branches back to the commit before the newest. */
void log_drop_commit(log_builder *log, log_writer *writer);

/* The bytes of a leaf that is kept; for changing. */
cb_buffer *log_leaf(log_builder *log, uint64_t index);
/* After leaves were changed: all hashes anew, and all tiles in the next
 * commit. */
void log_rehash(log_builder *log);
/* Takes a leaf out. */
void log_remove_leaf(log_builder *log, uint64_t index);

/* Replaces (or removes, for NULL) one file of the log in a commit of the hub,
 * and leaves the rest as it is. */
void log_replace_file(log_builder *log, const char *path,
                      const cb_buffer *content);
/* Reads one file of the newest commit. */
void log_read_file(log_builder *log, const char *path, cb_buffer *content);

/* A commit of the hub in a branch, with one file. */
void log_commit_file(log_builder *log, const char *ref, const char *name,
                     cb_span content, cb_git_oid *ret_oid);

/* Moves a ref; `old` NULL: it is new.  And the ref of a writer's stream. */
void log_move_ref(log_builder *log, const char *ref, const cb_git_oid *oid,
                  const cb_git_oid *old);
void log_ref_of(const log_writer *writer, char ref[CB_GIT_REF_TEXT_BYTES]);

/* Runs a shell command in the folder; its exit status. */
int log_run(const log_builder *log, const char *format, ...) CB_PRINTF(2, 3);

#endif
