/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub: making the log host, deciding what is accepted, publishing the
 * hub's log with its checkpoint, and what each device is to get.
 *
 * The log host sees ciphertext, random names and signatures.  Its receiving
 * hook refuses what is malformed or not the pusher's own; the merge, which has
 * the store, decides what is accepted.  Every step of a merge can be repeated
 * after a crash: what is in Git follows from what the store holds.
 */
#ifndef CASEBOUND_HUB_H
#define CASEBOUND_HUB_H

#include <casebound/store.h>
#include <casebound/sync.h>

/*
 * Makes the log host at the log address of this hub (a folder of this machine,
 * or file://): the repositories log.git and mail.git, the receiving hook of
 * each, and the files `casebound-realm` and `casebound-mail` with the public
 * keys that the hook checks against.
 * `program` is the absolute path of the casebound command; the hook runs
 * `<program> hub check-push`.
 *
 * Call it after cb_enrolment_found.  CB_EXISTS where there is a log already,
 * CB_PERMISSION (also for a store that is not a hub's), CB_INPUT, CB_NO_SPACE.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_hub_create(cb_store *store,
                                               const char *program,
                                               cb_error *reterr_error);

/*
 * What the receiving hook runs, in the folder and with the environment that
 * git gives it: reads the refs of the push from `descriptor` and decides.
 * CB_OK takes all of them; otherwise none is taken, and the three sentences of
 * the error belong on stderr, which git carries to the pusher's screen.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_hub_check_push(
    const cb_environment *environment, int descriptor, cb_error *reterr_error);

/* What became of one ref of the log host, or of one stream. */
typedef struct cb_hub_stream_report {
    cb_stream_id stream;
    bool known; /* the stream is open here; device and person are set */
    cb_device_id device;
    cb_person_id person;
    uint64_t accepted;    /* entries taken in by this merge */
    uint64_t waiting;     /* of those: the key of their compartment lacks */
    uint64_t quarantined; /* kept, not believed */
    uint64_t forked;      /* second halves of a fork: kept as evidence */
    uint64_t head_seq;
    /* CB_OK, or why the rest of the stream was not taken in; it stays in Git
     * as it is, and the next merge looks again. */
    cb_status status;
    char reason[CB_ERROR_TEXT_BYTES]; /* printable; empty: all is well */
} cb_hub_stream_report;

typedef struct cb_hub_report {
    cb_hub_stream_report *streams; /* those with something to say */
    size_t stream_count;
    uint64_t stream_total; /* refs of devices at the log host */

    uint64_t accepted;
    uint64_t quarantined;
    uint64_t refused_streams;

    uint64_t keys_received;
    size_t cases_changed;
    size_t conflicts_new;

    uint64_t log_size_before;
    uint64_t log_size; /* as published */
    /* The log host lacked the newest of the log: a merge was interrupted, or
     * somebody set the branch back.  It was sent again. */
    bool log_sent_again;
    uint64_t outboxes; /* written by this merge */
    uint64_t mailboxes;
    uint64_t entries_delivered; /* put into outboxes */
} cb_hub_report;

CB_PUBLIC void cb_hub_report_clear(cb_hub_report *report);

typedef struct cb_hub_options {
    const char *log_address; /* NULL: the hub's own */
    const cb_sync_progress *progress;
} cb_hub_options;

/*
 * Takes in what devices have sent, publishes the log and its checkpoint, writes
 * outboxes with receipts, and keys into mailboxes.  A stream that is damaged,
 * forked, unknown or of another service is reported and delays no other: the
 * status is then still CB_OK.
 *
 * CB_UNREACHABLE; CB_DAMAGED where the published log is not the beginning of
 * what this store holds (the store is an older copy, or the log was changed):
 * nothing was published; CB_PERMISSION, CB_REFUSED, CB_NO_SPACE,
 * CB_INTERRUPTED.
 *
 * The report is filled in also after a failure and cleared by the caller.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_hub_merge(cb_store *store,
                                              const cb_hub_options *options,
                                              cb_hub_report *ret_report,
                                              cb_error *reterr_error);

/*
 * Appends an allowed-signers file for stock git: one line for the hub's key and
 * one for each stream that is known here.  Works in any store that has joined.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_hub_allowed_signers(cb_store *store,
                                                        cb_buffer *text,
                                                        cb_error *reterr_error);

#endif
