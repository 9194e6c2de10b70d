/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a store, and what can be built again.
 *
 * A check opens a store step by step, as far as it can be opened, and reports
 * everything that it finds instead of stopping at the first: also of a store
 * that cb_store_open refuses.  In this order, each step resting on those
 * before:
 *
 *     files      what has to be there, who else may read it, what was left over
 *     key        unlock.json, and whether it belongs to this database
 *     pages      every page of the database, and the log of its last commits
 *     structure  SQLite's own check, references between rows, the schema
 *     identity   the device's and the stream's keys, the service's certificates
 *     entries    every stream from its opening: number, hash, signature, chain;
 *                what each row says of its entry; whether its key opens it
 *     roster     people, devices and permissions against the roster's entries
 *     state      what lists show of each case against a fresh fold
 *     witness    whether this is the newest state that was ever written here
 *
 * It looks first and acts then: before the pages have been found sound nothing
 * is written, not even the log's checkpoint.  Without `repair` nothing is
 * written after that either, but for what every opening of a store does.
 *
 * A repair builds again what follows from entries and keys: lists of records,
 * conflicts and tasks, the cases' rows, the roster's tables, what is known of
 * an entry that waits.  It never touches an entry's bytes or a key, happens in
 * one transaction, and looks again before it commits.  Where entries or keys
 * are damaged it does nothing: what is built from them would be wrong too.
 *
 * A finding is a value: a stable code, how grave it is, what it concerns, and
 * three sentences.  Of each code CB_CHECK_FINDINGS_MAX are listed, the others
 * are counted.
 */
#ifndef CASEBOUND_CHECK_H
#define CASEBOUND_CHECK_H

#include <casebound/store.h>

typedef enum cb_severity {
    CB_SEVERITY_INFORMATION, /* worth knowing; nothing to do now */
    CB_SEVERITY_WARNING,     /* nothing is lost; something should be done */
    CB_SEVERITY_DAMAGE       /* the store is not what was written */
} cb_severity;

/* "information", "warning", "damage". */
CB_PUBLIC const char *cb_severity_word(cb_severity severity);

#define CB_CHECK_CODE_BYTES    32
#define CB_CHECK_FILE_BYTES    64
#define CB_CHECK_SUBJECT_BYTES 80

/* What a finding concerns; what does not apply is zero or empty. */
typedef struct cb_check_place {
    char file[CB_CHECK_FILE_BYTES]; /* inside the store's folder */
    uint64_t page;                  /* or frame of the log, from 1 */
    bool has_stream;
    cb_stream_id stream;
    uint64_t seq; /* entry of the stream, 0: the stream as a whole */
    bool has_case;
    cb_case_id case_id;
    char subject[CB_CHECK_SUBJECT_BYTES]; /* id of a row, name of a table */
} cb_check_place;

typedef struct cb_finding {
    char code[CB_CHECK_CODE_BYTES]; /* stable, such as "page.unreadable" */
    cb_severity severity;
    bool derived;  /* a repair can build it again */
    bool repaired; /* and has done so */
    cb_check_place place;
    char what[CB_ERROR_TEXT_BYTES];
    char meaning[CB_ERROR_TEXT_BYTES]; /* for the data */
    char next[CB_ERROR_TEXT_BYTES];    /* what to do */
} cb_finding;

typedef struct cb_check_report cb_check_report;

/* Called now and then from inside; `total` is 0 where it is not known. */
typedef struct cb_check_progress {
    void *context;
    void (*step)(void *context, const char *phase, uint64_t done,
                 uint64_t total);
    /* True: stop with CB_INTERRUPTED, nothing written.  May be NULL. */
    bool (*interrupted)(void *context);
} cb_check_progress;

typedef struct cb_check_options {
    const cb_store_options *store;
    const cb_secret *passphrase;       /* NULL: the key that the kernel keeps */
    const cb_check_progress *progress; /* or NULL */
    bool repair;
    /*
     * Told before a repair begins, with what was found and what will be done
     * (cb_check_repairs); anything but CB_OK stops it with nothing changed.
     * May be NULL.
     */
    cb_status (*before_repair)(void *context, const cb_check_report *report,
                               cb_error *reterr_error);
    void *context; /* for before_repair */
} cb_check_options;

/*
 * Checks the store in options->store->folder, and repairs it where that is
 * asked for and possible.  CB_OK where the check came to its end, whatever it
 * found: see cb_check_outcome.  CB_NO_STORE, CB_LOCKED, CB_WRONG_KEY,
 * CB_IN_USE, CB_NEWER, CB_PERMISSION, CB_NO_MEMORY, CB_NO_SPACE,
 * CB_INTERRUPTED.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_store_check(const cb_check_options *options,
                                                cb_check_report **ret_report,
                                                cb_error *reterr_error);
CB_PUBLIC void cb_check_report_destroy(cb_check_report *report);

/*
 * CB_OK where no damage remains; CB_DAMAGED with words that count it, and say
 * what to do, where there is any.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_check_outcome(const cb_check_report *report,
                                                  cb_error *reterr_error);

/* Findings in the order in which they were found; borrowed. */
CB_PUBLIC size_t cb_check_finding_count(const cb_check_report *report);
CB_PUBLIC const cb_finding *cb_check_finding(const cb_check_report *report,
                                             size_t index);
/* Of one severity, listed or not; without those that were repaired. */
CB_PUBLIC uint64_t cb_check_count(const cb_check_report *report,
                                  cb_severity severity);
/* Of all codes, what is counted and not listed. */
CB_PUBLIC uint64_t cb_check_not_listed(const cb_check_report *report);
/* Of one code, listed or not. */
CB_PUBLIC uint64_t cb_check_count_of(const cb_check_report *report,
                                     const char *code);

/*
 * What a repair would do, or has done, one sentence each: "fold 3 cases anew".
 * None where nothing derived is damaged, or where something else is.
 */
CB_PUBLIC size_t cb_check_repair_count(const cb_check_report *report);
CB_PUBLIC const char *cb_check_repair(const cb_check_report *report,
                                      size_t index);
/* Why a repair cannot be done though something derived is damaged; or NULL. */
CB_PUBLIC const char *cb_check_repair_refused(const cb_check_report *report);

/*
 * Adds what another part of the program found beside the store, such as the
 * sync module of its repositories: one of the codes above, a file or NULL, and
 * what is wrong in a sentence.  CB_NO_MEMORY.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_check_note(cb_check_report *report,
                                               const char *code,
                                               const char *file,
                                               const char *what,
                                               cb_error *reterr_error);
/* Takes all of that code for repaired. */
CB_PUBLIC void cb_check_note_repaired(cb_check_report *report,
                                      const char *code);

/* casebound.doctor.v1.  New reference.  CB_NO_MEMORY. */
CB_NODISCARD CB_PUBLIC cb_status
cb_check_document(const cb_check_report *report, json_t **ret_document,
                  cb_error *reterr_error);

#endif
