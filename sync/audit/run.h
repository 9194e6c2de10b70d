/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One check of a log, as its parts see it.
 *
 *     audit.c   the steps in their order, and the document
 *     raw.c     is this a repository that shows what it stores
 *     trust.c   the hub's key; openings; the roster
 *     heads.c   every checkpoint that can be had
 *     walk.c    leaves, tiles, root
 *     judge.c   one leaf after another: chain, bracket, time, signature
 *     again.c   a second look at streams in which something does not hold
 *     branch.c  the devices' branches against the stubs
 *     outbox.c  receipts
 *
 * A function here returns a status only where the check cannot go on (memory,
 * disk, interruption); what it finds goes into the report.
 */
#ifndef CASEBOUND_AUDIT_RUN_H
#define CASEBOUND_AUDIT_RUN_H

#include <casebound/audit.h>

#include "audit/log.h"
#include "audit/report.h"
#include "audit/streams.h"
#include "proof/checkpoint.h"

enum {
    CB_AUDIT_HISTORY_MAX = 262144,
    CB_AUDIT_HUBS_MAX = 8,
    CB_AUDIT_ANCHORS_MAX = 65536,
    CB_AUDIT_AHEAD_MAX = 1024,
    CB_AUDIT_FORKS_MAX = 64,
    CB_AUDIT_CHANGED_MAX = 1024,
    CB_AUDIT_LOOKUPS_MAX = 10000,
    CB_AUDIT_ACCEPTED_MAX = 262144,
    CB_AUDIT_MISSING_RUN_MAX = 16
};

/* Somebody's word that the tree of this size had this root. */
typedef struct cb_audit_head {
    cb_tree_head head;
    cb_git_oid commit;  /* of the log's history; zero for others */
    const char *holder; /* of a receipt or of the caller; NULL: the history */
    size_t order;       /* in which they were found */
    bool judged;
    bool holds;
} cb_audit_head;

/* The hub's own clock, where one of its entries stands in the log. */
typedef struct cb_audit_anchor {
    uint64_t index;
    int64_t ms;
} cb_audit_anchor;

/* A claimed time ahead of all anchors so far. */
typedef struct cb_audit_ahead {
    cb_stream_id stream;
    uint64_t seq;
    uint64_t index;
    int64_t ms;
} cb_audit_ahead;

/* A fork whose first half has to be looked up. */
typedef struct cb_audit_fork {
    cb_stream_id stream;
    uint64_t seq;
    json_t *finding; /* borrowed from the report */
} cb_audit_fork;

/* An entry of which a receipt says where it stands. */
typedef struct cb_audit_accepted {
    uint64_t index;
    cb_stream_id stream;
    uint64_t seq;
    cb_hash hash;
    const char *holder;
} cb_audit_accepted;

typedef struct cb_audit_run {
    const cb_audit_options *options;
    cb_git_repository *repository;
    cb_report report;
    char prefix[CB_GIT_REF_TEXT_BYTES];
    char log_ref[CB_GIT_REF_TEXT_BYTES];
    bool full;

    /* The newest checkpoint and where it stands. */
    cb_git_oid commit;
    uint64_t commits;
    cb_tree_head head;
    cb_audit_log log;

    /* What everything else is believed by. */
    bool has_realm;
    bool pinned;
    cb_realm_id realm;
    uint8_t root_key[CB_PUBLIC_KEY_BYTES];
    uint8_t hub_keys[CB_AUDIT_HUBS_MAX][CB_PUBLIC_KEY_BYTES];
    size_t hub_count;

    json_t *holders;      /* texts that heads point to */
    cb_audit_head *heads; /* sorted by size, once all are there */
    size_t head_count;
    size_t head_capacity;
    size_t head_next; /* the next to be judged */

    cb_audit_accepted *accepted; /* sorted by index, once all are there */
    size_t accepted_count;
    size_t accepted_capacity;
    size_t accepted_next;

    cb_audit_table streams;
    cb_audit_table devices;
    uint32_t roster;
    cb_hash roster_hash;
    bool roster_broken; /* said once */

    /* The walk. */
    cb_tree_edge edge;
    uint64_t index;  /* of the leaf at hand */
    uint32_t losses; /* times that the log had a hole */
    bool root_known; /* no leaf hash is missing */
    uint64_t tile_findings;
    uint64_t changed[CB_AUDIT_CHANGED_MAX]; /* leaves that are not believed */
    size_t changed_count;
    size_t lookups; /* of roots that no checkpoint names */

    cb_audit_anchor *anchors;
    size_t anchor_count;
    cb_audit_ahead ahead[CB_AUDIT_AHEAD_MAX];
    size_t ahead_count;
    cb_audit_fork forks[CB_AUDIT_FORKS_MAX];
    size_t fork_count;
    bool look_again;

    uint64_t signatures_checked;
    uint64_t entries_checked; /* those of the log's entries among them */
    uint64_t tiles;
    uint64_t bodies;
    uint64_t bodies_absent;
    uint64_t progress_done;
} cb_audit_run;

/* ---- trust.c */
/* Learns realm and hub from the log's first leaf. */
CB_NODISCARD cb_status cb_audit_trust_begin(cb_audit_run *run, cb_error *error);
/* The opening of `stream`, which has no key yet; its signature is not checked
 * here.  False where it is not believed (and then it is reported). */
bool cb_audit_trust_opening(cb_audit_run *run, cb_audit_stream *stream,
                            const cb_stub *stub, cb_span body);
/* A roster entry in clear of the hub's stream. */
CB_NODISCARD cb_status cb_audit_trust_roster(cb_audit_run *run,
                                             const cb_stub *stub, cb_span body,
                                             cb_error *error);
/* Verifies the note by any key of the hub that is known. */
cb_status cb_audit_trust_note(const cb_audit_run *run, cb_span note,
                              cb_checkpoint *ret_checkpoint, cb_error *error);
cb_status cb_audit_trust_commit(const cb_audit_run *run,
                                const cb_git_commit *commit, cb_error *error);

/* ---- heads.c */
/* The history of the branch.  `ret_done` false where nothing can be checked. */
CB_NODISCARD cb_status cb_audit_heads_load(cb_audit_run *run, bool *ret_done,
                                           cb_error *error);
/* Signatures of checkpoints and commits of the log. */
CB_NODISCARD cb_status cb_audit_heads_verify(cb_audit_run *run,
                                             cb_error *error);
CB_NODISCARD cb_status cb_audit_heads_add(cb_audit_run *run,
                                          const cb_audit_head *head,
                                          cb_error *error);
void cb_audit_heads_sort(cb_audit_run *run);
/* Those of the present size of the edge. */
void cb_audit_heads_judge(cb_audit_run *run);
/* Those beyond the end of the log. */
void cb_audit_heads_finish(cb_audit_run *run);
/* Whether the tree, or a signed checkpoint, had this root.  1, 0, or -1 where
 * that cannot be known. */
int cb_audit_heads_seen(cb_audit_run *run, uint64_t size, const cb_hash *root);

/* ---- walk.c */
CB_NODISCARD cb_status cb_audit_walk(cb_audit_run *run, cb_error *error);
/* Calls with each leaf that can be read, without judging anything. */
typedef cb_status (*cb_audit_leaf_callback)(void *context, uint64_t index,
                                            cb_span leaf, cb_error *error);
CB_NODISCARD cb_status cb_audit_walk_again(cb_audit_run *run,
                                           cb_audit_leaf_callback callback,
                                           void *context, cb_error *error);
CB_NODISCARD cb_status cb_audit_progress(cb_audit_run *run, uint64_t done,
                                         cb_error *error);

/* ---- judge.c */
CB_NODISCARD cb_status cb_audit_judge(cb_audit_run *run, const cb_stub *stub,
                                      cb_span body, cb_error *error);
/* A leaf whose bytes are not those that were logged. */
CB_NODISCARD cb_status cb_audit_judge_changed(cb_audit_run *run, cb_span leaf,
                                              cb_error *error);
/* The last signature of each stream, and what was heard of it. */
void cb_audit_judge_finish(cb_audit_run *run);
/* True where the leaf is an entry that its stream's key has signed. */
bool cb_audit_judge_leaf(cb_audit_run *run, cb_span leaf);
/* True where the stub's signature is that of the stream's key. */
bool cb_audit_judge_signature(cb_audit_run *run, const cb_audit_stream *stream,
                              const cb_stub *stub);
/* Somebody says that the stream had an entry of this number. */
CB_NODISCARD cb_status cb_audit_hear(cb_audit_run *run,
                                     const cb_stream_id *stream, uint64_t seq,
                                     uint64_t leaf, cb_error *error);

/* ---- again.c */
CB_NODISCARD cb_status cb_audit_again(cb_audit_run *run, cb_error *error);
/* Leaves that were reported as not what was signed or logged. */
void cb_audit_remember_changed(cb_audit_run *run, uint64_t index);
bool cb_audit_was_changed(const cb_audit_run *run, uint64_t index);

/* ---- branch.c, outbox.c */
CB_NODISCARD cb_status cb_audit_branches(cb_audit_run *run, cb_error *error);
CB_NODISCARD cb_status cb_audit_outboxes(cb_audit_run *run, cb_error *error);
/* What receipts say of the leaf at hand; NULL where it cannot be read. */
void cb_audit_outbox_judge(cb_audit_run *run, const cb_stub *stub);

#endif
