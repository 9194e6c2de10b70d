/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a check share.
 *
 * A step returns CB_OK whatever it finds, and something else only where the
 * check as a whole has to end: no memory, interrupted, in use.  What cannot be
 * read because it is damaged is a finding of its own.
 */
#ifndef CASEBOUND_STORE_CHECK_H
#define CASEBOUND_STORE_CHECK_H

#include "store/internal.h"
#include "store/stream.h"

#include <casebound/check.h>

enum cb_check_code {
#define CB_CHECK(name, code, severity, derived, meaning, next) CB_CHECK_##name,
#include "store/check_codes.def"
#undef CB_CHECK
    CB_CHECK_CODE_COUNT
};

#define CB_CHECK_REPAIRS_MAX 16

/* What was looked at. */
typedef struct cb_check_counts {
    uint64_t pages;
    uint64_t frames;
    uint64_t streams;
    uint64_t entries;
    uint64_t keys;
    uint64_t cases;
} cb_check_counts;

struct cb_check_report {
    char *folder;
    cb_finding *findings;
    size_t count;
    size_t capacity;
    uint64_t counts[CB_CHECK_CODE_COUNT];
    bool repaired[CB_CHECK_CODE_COUNT];
    bool unfinished; /* for another reason than damage */
    char *repairs[CB_CHECK_REPAIRS_MAX];
    size_t repair_count;

    cb_check_counts checked;
};

/* Equal items in the order of their coming. */
typedef struct cb_check_list {
    uint8_t *bytes;
    size_t size; /* of one */
    size_t count;
    size_t capacity;
} cb_check_list;

/* An entry that is to be judged anew. */
typedef struct cb_check_entry {
    int64_t number;
    bool fork; /* another has its place */
} cb_check_entry;

/* The end of a stream's unbroken run, and what its opening says. */
typedef struct cb_check_head {
    int64_t number;
    uint64_t seq;
    cb_hash hash;
    bool moves; /* else only the opening is to be noted again */
    cb_stream_opening opening;
} cb_check_head;

typedef struct cb_check {
    const cb_check_options *options;
    const cb_environment *environment;
    cb_check_report *report;
    cb_error error;  /* of what ends the check */
    cb_store *store; /* opened as far as it could be */
    bool has_key;
    bool held;         /* another process had the database at the beginning */
    bool again;        /* the store is another by now: look from the start */
    bool pages_sound;  /* so the store may be opened as usual */
    bool readable;     /* the tables can be asked */
    bool has_identity; /* of the device */
    bool has_service;  /* realm, root and hub keys are known */
    bool has_loaded;   /* the identity as a whole, as an opening has it */
    bool has_current;  /* it is the newest schema, so queries.sql holds */

    /* For a repair: rows of `entry` whose state does not follow, heads that
     * are wrong, cases whose state differs. */
    cb_check_list entries;
    cb_check_list heads;
    cb_check_list cases;
} cb_check;

/* ---- check_report.c */
cb_status cb_check_report_create(const char *folder,
                                 cb_check_report **ret_report, cb_error *error);
/* Adds a finding with the words of its code. */
cb_status cb_check_found(cb_check *check, enum cb_check_code code,
                         const cb_check_place *place, const char *format, ...)
    CB_PRINTF(4, 5);
uint64_t cb_check_seen(const cb_check *check, enum cb_check_code code);
/* Damage that nothing can be built again beside. */
bool cb_check_report_refuses(const cb_check_report *report);
/* Something derived to build again. */
bool cb_check_report_derived(const cb_check_report *report);
/* Takes for repaired what a later look no longer finds, and adds its news. */
cb_status cb_check_report_settle(cb_check_report *report,
                                 const cb_check_report *later, cb_error *error);
cb_status cb_check_report_plan(cb_check_report *report, cb_error *error,
                               const char *format, ...) CB_PRINTF(3, 4);

/* ---- check.c */
/* CB_INTERRUPTED where the caller wants to stop. */
cb_status cb_check_step(cb_check *check, const char *phase, uint64_t done,
                        uint64_t total);
/*
 * What to do about a status that reading gave: CB_OK, with a finding made of
 * the words, where it is damage; the status where the check has to end.
 */
cb_status cb_check_bear(cb_check *check, cb_status status,
                        const cb_error *words, const cb_check_place *place,
                        const char *subject);
/* CB_NO_MEMORY. */
cb_status cb_check_keep(cb_check *check, cb_check_list *list, const void *item);
void cb_check_list_clear(cb_check_list *list);
const void *cb_check_kept(const cb_check_list *list, size_t index);
cb_check_place cb_check_at_file(const char *name);
cb_check_place cb_check_at_subject(const char *subject);
cb_check_place cb_check_at_entry(const cb_stream_id *stream, uint64_t seq);
cb_check_place cb_check_at_case(const cb_case_id *case_id);

/* ---- check_rows.c: a table before and after it was built anew */
#define CB_CHECK_KEY_BYTES 32

enum cb_check_change {
    CB_CHECK_ROW_MISSING, /* it was not there before */
    CB_CHECK_ROW_EXTRA,   /* it is not there afterwards */
    CB_CHECK_ROW_CHANGED
};

typedef cb_status (*cb_check_row_callback)(cb_check *check, void *context,
                                           const uint8_t *key,
                                           enum cb_check_change change);

/*
 * Remembers the rows of a query whose first column, or first two where `pair`,
 * are identifiers and the order.  Ends the query.
 */
cb_status cb_check_rows_take(cb_check *check, cb_query *query, bool pair,
                             cb_check_list *rows, cb_error *words);
/* Calls for each row that differs from those.  Ends the query. */
cb_status cb_check_rows_compare(cb_check *check, cb_query *query, bool pair,
                                const cb_check_list *rows,
                                cb_check_row_callback callback, void *context,
                                cb_error *words);
const char *cb_check_change_words(enum cb_check_change change);

/* ---- check_roster.c, check_state.c: also for a repair */
/* Replays the roster's entries into its tables; in a transaction. */
cb_status cb_check_replay_roster(cb_check *check, cb_error *words);
/* A disk that cannot be written lets nothing be tried; notes it. */
cb_status cb_check_may_try(cb_check *check, bool *ret_may);
/* Compares one case with a fresh fold; nothing of that stays. */
cb_status cb_check_case(cb_check *check, const cb_case_id *case_id);
/* Writes what follows from a case's entries, and nothing else; likewise. */
cb_status cb_check_rebuild_case(cb_check *check, const cb_case_id *case_id,
                                cb_error *words);

/* The steps, in order. */
cb_status cb_check_files(cb_check *check);
cb_status cb_check_unlock(cb_check *check);
cb_status cb_check_pages(cb_check *check);
cb_status cb_check_structure(cb_check *check);
cb_status cb_check_identity(cb_check *check);
cb_status cb_check_entries(cb_check *check);
cb_status cb_check_roster(cb_check *check);
cb_status cb_check_state(cb_check *check);
cb_status cb_check_witness(cb_check *check);

/* ---- check_repair.c: in a transaction that the caller commits */
cb_status cb_check_plan_repair(cb_check *check);
cb_status cb_check_run_repair(cb_check *check);

#endif
