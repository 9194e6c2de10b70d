/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sync of a store with the log of its service.
 *
 * The store is the truth; what lies in Git is made from it and can be made
 * again.  A sync may be killed at any moment and is then simply run again:
 * nothing is lost, nothing is sent twice, and nothing counts as safe before a
 * receipt, signed by the hub and proved against its log, says so.
 *
 * In order: is this store the one that synced last?  What the hub has for us is
 * received into a quarantine and checked as a whole, and then taken in: roster,
 * keys, entries.  Then our own entries are sent, segment by segment, and the
 * keys that the hub lacks.  A hub that contradicts what it signed before is no
 * longer believed, but what was recorded here is still sent.
 *
 * Beside the store's own files, `outgoing.git` and `incoming.git` are kept in
 * its folder; either may be deleted at any time.
 */
#ifndef CASEBOUND_SYNC_H
#define CASEBOUND_SYNC_H

#include <casebound/check.h>
#include <casebound/store.h>

/* Called now and then, from inside; `total` is 0 where it is not known. */
typedef struct cb_sync_progress {
    void *context;
    void (*step)(void *context, const char *phase, uint64_t done,
                 uint64_t total);
    /* True: stop at the next safe place with CB_INTERRUPTED.  May be NULL. */
    bool (*interrupted)(void *context);
} cb_sync_progress;

typedef struct cb_sync_options {
    const char *log_address; /* NULL: the one pinned when joining */
    bool dry_run;            /* find out and plan; move and change nothing */
    /* For the plan's minutes; 0: 1,000,000 bits in a second. */
    uint64_t line_bits_per_second;
    const cb_sync_progress *progress; /* or NULL */
} cb_sync_options;

/* An entry of ours that the hub keeps but does not believe. */
typedef struct cb_sync_withheld {
    cb_stream_id stream;
    uint64_t seq;
    char reason[CB_ERROR_TEXT_BYTES]; /* printable */
} cb_sync_withheld;

#define CB_SYNC_WITHHELD_MAX 64

/* What a sync would move, or was to move. */
typedef struct cb_sync_plan {
    uint64_t send_entries;
    uint64_t send_segments;
    uint64_t send_bytes;
    bool send_keys;
    bool receive; /* the hub has something new; how much is not known before */
    uint64_t seconds; /* sending at the given speed, rounded up */
} cb_sync_plan;

typedef struct cb_sync_report {
    cb_sync_plan plan;

    uint64_t sent_entries; /* confirmed by the log host in this run */
    uint64_t sent_segments;
    bool sent_keys;

    uint64_t received_entries; /* new here */
    uint64_t received_keys;
    uint64_t waiting_entries;     /* of those: a key or a predecessor lacks */
    uint64_t quarantined_entries; /* of those: kept, not believed */
    uint64_t receipts;            /* verified in this run */

    size_t cases_changed;
    size_t conflicts_new; /* open now and not before this run */

    uint64_t head_seq; /* our newest entry */
    /* Safe at the hub up to this one, by receipt, and none of them is kept
     * apart there. */
    uint64_t safe_seq;
    uint64_t hub_size; /* entries in the hub's log, by its newest checkpoint */
    int64_t hub_time_ms; /* when the hub wrote its newest receipt; 0: none */

    /* The hub knows less than it once confirmed (restored from a backup):
     * everything it lacks was sent again. */
    bool hub_behind;
    /* This store was an older copy of itself: what the other copy had sent was
     * taken back in, and it writes under a new stream from now on. */
    bool began_anew;
    /* The hub contradicts itself; the error says how. */
    bool hub_not_believed;

    /* Of the newest receipt, of this run or before; `withheld_total` may be
     * more than are listed. */
    uint64_t withheld_total;
    size_t withheld_count;
    cb_sync_withheld withheld[CB_SYNC_WITHHELD_MAX];
} cb_sync_report;

/*
 * Runs one sync.  The report tells how far it came, also after a failure.
 *
 * CB_UNREACHABLE: no log at the address, or the line broke; nothing is lost.
 * CB_REFUSED: the log host took something not (its words are the meaning), or
 * this store is an older copy of one that went on elsewhere, and what that one
 * wrote is not at the log host.  CB_DAMAGED: the
 * hub contradicts what it signed (the words begin with REORD, ROLLBK, SPLIT,
 * FORK or NOPROOF), or what it sent does not verify; our own entries were sent
 * all the same where that was possible.  CB_PERMISSION: the store belongs to no
 * service, is the hub's own, or the log may not be written to.  CB_NO_SPACE,
 * CB_IN_USE, CB_INTERRUPTED, CB_IO, CB_INPUT (the address).
 */
CB_NODISCARD CB_PUBLIC cb_status cb_sync_run(cb_store *store,
                                             const cb_sync_options *options,
                                             cb_sync_report *ret_report,
                                             cb_error *reterr_error);

/*
 * Looks at `outgoing.git` and `incoming.git` of a store that was found sound,
 * without a network, and adds to the report what cannot be read any more
 * ("outgoing.damaged", "incoming.damaged").  CB_NO_MEMORY, CB_IN_USE.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_sync_check(cb_store *store,
                                               cb_check_report *report,
                                               cb_error *reterr_error);

/*
 * Makes those two again where the report says that they are damaged:
 * `outgoing.git` from the store's entries, commit by commit the same, the other
 * empty, for the next sync to fill.  One that may hold evidence of a fork is
 * left as it is.  CB_NO_MEMORY, CB_IN_USE, CB_NO_SPACE, CB_IO.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_sync_repair(cb_store *store,
                                                cb_check_report *report,
                                                cb_error *reterr_error);

#endif
