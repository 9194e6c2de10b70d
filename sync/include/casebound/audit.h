/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an auditor asks, and the answers as documents.
 *
 * cb_audit_verify needs neither keys nor network nor trust in the hub or in any
 * clock: it reads the log of a service as it lies in a Git repository, computes
 * everything again from the stored bytes, and says what does not hold.  The
 * others look into an open store.
 *
 * How the log is checked, in this order:
 *
 *  1. Raw files first.  What makes Git show something else than what is stored
 *     (replace refs, grafts, alternates, a shallow or partial clone, settings
 * or refs that a log never has) is GITX, and then nothing else is looked at.
 *  2. The hub's first opening: its device key is certified by the realm's root
 *     key.  The realm is pinned by the caller; without a pin the report says
 * so, because the log then only proves that it agrees with itself.
 *  3. The checkpoint's signature; the signature of the commit that carries it.
 *  4. Every leaf from its bytes, every tile byte for byte, the root.
 *  5. Every other checkpoint that can be had (the history of the branch, the
 *     receipts in outboxes, those that the caller holds) against the tree.
 *  6. In the order of the log: the roster's versions; for each entry whether
 *     its stream was opened by an enrolled device, its place in the chain, its
 *     bracket, its claimed time, its signature.
 *  7. The entries in the devices' branches against the stubs.
 *  8. What is missing at the ends.
 *
 * Modes.  FULL checks every signature.  FAST checks those of openings, of the
 * roster, and of the last entry of each unbroken run of a stream: an entry
 * names the hash of the one before, so that one signature speaks for the run,
 * and the tree has shown the bytes.  What FAST does not see is an earlier entry
 * whose stored signature, and nothing else, is not its writer's; the report
 * counts what was not checked.  AUTO is FULL up to CB_AUDIT_FULL_ENTRIES_MAX
 * entries.
 *
 * Memory depends on the number of streams, devices and checkpoints, never on
 * that of entries, and each of these has a limit.  The report is a function of
 * the input: same bytes, same options, same report, on any machine.
 */
#ifndef CASEBOUND_AUDIT_H
#define CASEBOUND_AUDIT_H

#include <casebound/store.h>

#define CB_AUDIT_FULL_ENTRIES_MAX   50000
/* Findings in a report; those beyond are counted. */
#define CB_AUDIT_FINDINGS_MAX       1000
/* How far a claimed time may be off before it is a finding. */
#define CB_AUDIT_CLOCK_TOLERANCE_MS 3600000

typedef enum cb_audit_mode {
    CB_AUDIT_AUTO,
    CB_AUDIT_FULL,
    CB_AUDIT_FAST
} cb_audit_mode;

/* A checkpoint that somebody holds: remembered by a store, or printed. */
typedef struct cb_audit_checkpoint {
    uint64_t size;
    cb_hash root;
    const char *holder; /* for the report: who says so */
} cb_audit_checkpoint;

typedef struct cb_audit_options {
    /*
     * The log address (a folder with log.git), log.git itself, or any clone of
     * it, bare or not.  In a clone the branches may be those of one remote.
     */
    const char *path;
    cb_audit_mode mode;
    const cb_realm_id *realm; /* pinned, or NULL */
    const cb_audit_checkpoint *checkpoints;
    size_t checkpoint_count;
    /* The auditor's own clock for what is claimed to lie ahead, or 0. */
    int64_t now_ms;
    /* Called now and then; false stops with CB_INTERRUPTED.  May be NULL. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
} cb_audit_options;

/*
 * Checks a log.  With CB_OK (nothing found), CB_FINDINGS and CB_UNCHECKED
 * (nothing found, but something could not be looked at) there is a document,
 * casebound.audit.v1, a new reference:
 *
 *     schema       "casebound.audit.v1"
 *     result       "clean", "findings" or "unchecked"
 *     mode         "full" or "fast"
 *     realm        its id, and
 *     pinned       whether the caller knew it
 *     log          entries, commits, size, root (base64): the newest checkpoint
 *     counts       entries, signatures_checked, signatures_not_checked, bodies,
 *                  bodies_absent, checkpoints, tiles, roster_version, streams,
 *                  findings
 *     streams      of each: stream, device, person, entries, last_seq,
 *                  last_claimed_ms, last_log_index, content ("present",
 *                  "absent", "partial"), not_yet_merged
 *     unchecked    of each: what (a stable word), count, sentence
 *     findings     of each: code, sentence, place (those of ref, commit, path,
 *                  stream, seq, log_index that apply), evidence (name and hash)
 *
 * CB_NOT_FOUND where there is no log, CB_INPUT, CB_IO, CB_PERMISSION,
 * CB_NO_MEMORY, CB_INTERRUPTED; then there is none.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_audit_verify(const cb_audit_options *options, json_t **ret_document,
                cb_error *reterr_error);

/*
 * What a code of a finding means, what it proves, what it does not prove, and
 * what to do.  NULL for no such code; letters of either case.
 */
typedef struct cb_audit_code {
    const char *code;
    const char *meaning;
    const char *proves;
    const char *proves_not;
    const char *next;
} cb_audit_code;

CB_PUBLIC const cb_audit_code *cb_audit_explain(const char *code);
/* All of them in the order of the list; NULL after the last. */
CB_PUBLIC const cb_audit_code *cb_audit_code_at(size_t index);

/*
 * The checkpoints that a store remembers, newest first, at most count_max.
 * `checkpoints` is the caller's; their holder is "this store".
 */
CB_NODISCARD CB_PUBLIC cb_status cb_audit_remembered(
    cb_store *store, cb_audit_checkpoint *checkpoints, size_t count_max,
    size_t *ret_count, cb_error *reterr_error);

/*
 * casebound.audit_replay.v1: what the cases that this store may read were at
 * a moment, sorted by reference and id: reference, word of state, stage,
 * fingerprint, entries.  "As received" goes by when this store took an entry
 * in (at the hub: when the hub received it), "as claimed" by what their writers
 * say.  Of one case, or for NULL of all.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_audit_replay_document(
    cb_store *store, cb_as_of as_of, int64_t at_ms, const cb_case_id *case_id,
    json_t **ret_document, cb_error *reterr_error);

/*
 * casebound.audit_timeline.v1: the entries of a case in the order in which
 * they were claimed to be written, each with the times there are for it: when
 * it happened, when it was written (both claimed), after which checkpoint of
 * the log (its bracket), when this store received it; and what it did.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_audit_timeline_document(cb_store *store, const cb_case_id *case_id,
                           json_t **ret_document, cb_error *reterr_error);

/*
 * casebound.audit_knew.v1: what a person knew of a case at a moment, and what
 * was there but not known to them: by what the entries that they had written
 * until then build on.  What somebody only read leaves no trace in this.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_audit_knew_document(
    cb_store *store, const cb_case_id *case_id, const cb_person_id *person,
    int64_t at_ms, json_t **ret_document, cb_error *reterr_error);

#endif
