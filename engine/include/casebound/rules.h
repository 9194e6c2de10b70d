/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of practice (gates), asked before a record is written.
 *
 * A rule is a row of a table: id, the record types that it speaks of, how
 * severe it is, who may override it, and one pure function over the state of
 * the case and what is proposed.  The fold asks the same functions again about
 * the records that are there.
 *
 * What a rule needs and finds contested, or cannot see, counts as not given:
 * it blocks.  Its numbers (days, form versions) are settings of the model.
 */
#ifndef CASEBOUND_RULES_H
#define CASEBOUND_RULES_H

#include <casebound/fold.h>
#include <casebound/model.h>

typedef enum cb_outcome {
    CB_OUTCOME_ALLOWED,
    CB_OUTCOME_WARNED,     /* may be written; the sentence is to be shown */
    CB_OUTCOME_OVERRIDDEN, /* was blocked, and somebody entitled let it pass */
    CB_OUTCOME_BLOCKED
} cb_outcome;

/* "allowed", "warned", "overridden", "blocked": as in a body's verdicts. */
CB_PUBLIC const char *cb_outcome_name(cb_outcome outcome);

/* What somebody is about to write.  Everything is borrowed. */
typedef struct cb_proposal {
    const char *type; /* record type, such as "event" */
    const cb_record_id
        *record;               /* an existing record that is changed, or NULL */
    const cb_record_id *about; /* the party concerned, or NULL */
    char compartment_class;    /* V O S R C W A */
    const json_t *fields;      /* what will be written, an object */
    int64_t happened_ms;
    cb_person_id author;
    const char *const *roles; /* the author's, such as "facilitator" */
    size_t role_count;
} cb_proposal;

/* What one rule says. */
typedef struct cb_verdict {
    const char *rule; /* such as "R5" */
    cb_outcome outcome;
    const char
        *sentence;    /* which rule, which fact, recorded by whom and when;
                         persons as {person:hex16}, moments as {ms:number} */
    const char *lift; /* what would lift it, or "" */
    const char *override_role; /* who may override it, or NULL: nobody */
    bool override_allowed;     /* the author is one of those */
    cb_hash fact;              /* the entry that decides it, or zero */
    cb_record_id party;        /* whom it concerns, or zero */
} cb_verdict;

typedef struct cb_verdict_list cb_verdict_list;

/*
 * Asks every rule that speaks of proposal->type.  A rule that has nothing
 * against it gives one row CB_OUTCOME_ALLOWED; one that has several reasons
 * gives a row for each.  The caller owns the list.  CB_NO_MEMORY.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_rules_evaluate(const cb_model *model, const cb_case_state *state,
                  const cb_proposal *proposal, cb_verdict_list **ret_verdicts,
                  cb_error *reterr_error);
CB_PUBLIC void cb_verdict_list_destroy(cb_verdict_list *verdicts);

CB_PUBLIC size_t cb_verdict_list_count(const cb_verdict_list *verdicts);
CB_PUBLIC const cb_verdict *cb_verdict_list_get(const cb_verdict_list *verdicts,
                                                size_t verdict);

/* The most severe of them; CB_OUTCOME_ALLOWED for none. */
CB_PUBLIC cb_outcome cb_verdict_list_outcome(const cb_verdict_list *verdicts);

/*
 * New reference: the array for a body's "verdicts", one {"outcome","rule"} a
 * rule, sorted by rule, the most severe outcome of each.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_verdict_list_body(const cb_verdict_list *verdicts, json_t **ret_array,
                     cb_error *reterr_error);

/*
 * Names for ids, which the state of a case never holds.  Each function, and the
 * structure itself, may be NULL; then ids are shown by their first digits.
 */
typedef struct cb_naming {
    void *context;
    /* Name of a member of staff, or NULL. */
    const char *(*person)(void *context, const cb_person_id *person);
    /* Name of a party (a person record), or NULL. */
    const char *(*party)(void *context, const cb_record_id *party);
    /* Short name of a device's stream, such as "X", or NULL. */
    const char *(*stream)(void *context, const cb_stream_id *stream);
} cb_naming;

/*
 * Turns the blocked rows of `rule` into CB_OUTCOME_OVERRIDDEN.  CB_PERMISSION
 * where the rule has no override or the author is not entitled to it,
 * CB_NOT_FOUND where the rule did not block.  `naming` is for the error.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_verdict_list_override(cb_verdict_list *verdicts, const char *rule,
                         const cb_naming *naming, cb_error *reterr_error);

/* CB_OK where nothing blocks, else CB_RULE with the first block in words. */
CB_NODISCARD CB_PUBLIC cb_status
cb_verdict_list_check(const cb_verdict_list *verdicts, const cb_naming *naming,
                      cb_error *reterr_error);

/*
 * Appends `sentence` with its places filled in: {person:hex}, {party:hex},
 * {ms:number}, {entry:hex}.  Unknown places stay as they are.
 */
CB_PUBLIC void cb_sentence_append(const char *sentence, const cb_naming *naming,
                                  cb_buffer *text);

/* One row of the table, for `casebound rules`. */
typedef struct cb_rule_row {
    const char *rule;
    const char *speaks_of;     /* record types, separated by spaces */
    const char *severity;      /* "block", "override", "warn" */
    const char *override_role; /* or NULL */
    const char *meaning;       /* one sentence */
} cb_rule_row;

CB_PUBLIC size_t cb_rule_count(void);
CB_PUBLIC const cb_rule_row *cb_rule_get(size_t rule);

#endif
