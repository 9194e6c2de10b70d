/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The merge: what a case is, given the set of its entries.
 *
 * cb_fold is a pure function of that set.  The same entries give the same
 * state, byte for byte, in whatever order and however often they are handed
 * in.  It holds to these:
 *
 *  1. Order is causality.  An entry comes after those that its author knew
 *     (`deps`) and after theirs.  No clock decides anything; where a choice
 *     must be made between entries that did not know of each other, the entry
 *     hash makes it.
 *  2. Nothing is forced.  An entry whose dependencies are missing waits, and so
 *     does all that builds on it.  A dependency in a compartment of which there
 *     is no entry at all is one that the reader may not see, and is passed
 * over.
 *  3. Nothing is lost.  What the model does not know (types, fields, operations
 *     of a newer version), and what an entry may not do (write into another
 *     compartment, change a record that is not there), changes no value and
 *     stays listed as a finding.
 *  4. Values that were written without knowledge of each other are merged by
 *     the field's merge class.  The most protective stays in force until
 *     somebody who has seen it says otherwise; where a person has to decide, a
 *     conflict says so.
 *  5. A rule is asked twice: when a record is written, and again here on the
 *     merged whole.  Both answers are kept.
 *  6. Nothing that happened is made undone, nor made to fall away: a record
 *     that is created again keeps all that its creations said, and an entry
 *     that names too much, or a case that holds too much, is counted as far as
 *     it goes, is reported, and blocks where a rule can no longer be sure.
 *  7. Decisions bind where their author saw all that there was to decide and
 *     had the role that it takes (see cb_fact).
 *
 * Issues (conflicts, alerts, tasks, findings) are derived, never stored: the
 * same rows with the same ids on every machine that holds the same entries.
 *
 * Everything that a cb_case_state hands out is borrowed until it is destroyed.
 */
#ifndef CASEBOUND_FOLD_H
#define CASEBOUND_FOLD_H

#include <casebound/buffer.h>
#include <casebound/identifier.h>
#include <casebound/limits.h>
#include <casebound/model.h>

#include <jansson.h>

typedef struct cb_case_state cb_case_state;

/* One entry as the fold sees it. */
typedef struct cb_fact {
    cb_hash entry;
    cb_stream_id stream;
    uint64_t seq;
    uint64_t time; /* claimed hybrid logical time; shown, decides nothing */
    uint32_t roster;
    int64_t received_ms; /* display only, never part of the state */
    bool admitted;       /* false: quarantined, held but not folded */
    const json_t *body;  /* borrowed, parsed canonical plaintext */
    /*
     * The roles that the author had when writing, such as "supervisor", as far
     * as the roster held here tells; borrowed for the call of cb_fold.  Without
     * the role that it takes, an override, a decision that waits for a
     * supervisor or coordinator, a release to the other side and an approval
     * have no effect and are a finding; NULL with a count of zero, where nobody
     * knows, is no role.  So two machines that hold the same entries agree once
     * they hold the same roster too.
     */
    const char *const *roles;
    size_t role_count;
} cb_fact;

#define CB_ISSUE_ID_BYTES      16
#define CB_ISSUE_ID_TEXT_BYTES 33

/* What an issue asks of people. */
typedef enum cb_issue_form {
    CB_ISSUE_CONFLICT, /* somebody has to decide between values */
    CB_ISSUE_ALERT,    /* somebody has to know */
    CB_ISSUE_TASK,     /* somebody has to do something */
    CB_ISSUE_FINDING   /* an entry was not applied as it stands */
} cb_issue_form;

/* One of several values in a conflict, with the entries that say so. */
typedef struct cb_issue_choice {
    const json_t *value;
    const json_t *shown; /* the value; of a long one {"hash","start"}, of one
                            that this version does not know {"hash","newer"} */
    cb_record_id record; /* that stands if it is chosen */
    const cb_hash *heads;
    size_t head_count;
} cb_issue_choice;

typedef struct cb_issue {
    uint8_t id[CB_ISSUE_ID_BYTES]; /* of kind, record, field and heads */
    cb_issue_form form;
    const char *kind; /* stable code, such as "consent.plan_suspended" */
    const char *row;  /* row of the merge table, such as "M1", or "" */
    const char
        *sentence; /* plain words; persons as {person:hex}, see rules.h */
    const char *waits_for; /* role that acts, such as "lead", or "" */
    const char *act; /* the one command to act on it; {case} {issue} {record}
                        stand for short ids */
    cb_record_id record;  /* zero where it concerns the whole case */
    cb_record_id about;   /* the party concerned, or zero */
    const char *field;    /* or "" */
    const cb_hash *heads; /* the entries behind it, sorted */
    size_t head_count;
    const cb_issue_choice *choices; /* of a conflict, else none */
    size_t choice_count;
    uint32_t due_working_days; /* 0: none stated */
    bool open; /* false: decided, and by whom is in the document */
} cb_issue;

/* Why an entry does not, or not yet, count. */
typedef enum cb_fact_standing {
    CB_FACT_COUNTS,
    CB_FACT_WAITS,       /* for entries that are not here yet */
    CB_FACT_QUARANTINED, /* not admitted */
    CB_FACT_REPEATED     /* the same entry was handed in more than once */
} cb_fact_standing;

/*
 * Folds `count` facts of one case.  The bodies are kept by reference: the state
 * holds its own references on them, so the facts may go at once.
 *
 * CB_INPUT where the facts speak of different cases; CB_LIMIT beyond
 * CB_CASE_ENTRIES_MAX; CB_NO_MEMORY.  Nothing inside a body makes it fail.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_fold(const cb_model *model,
                                         const cb_fact *facts, size_t count,
                                         cb_case_state **ret_state,
                                         cb_error *reterr_error);
CB_PUBLIC void cb_case_state_destroy(cb_case_state *state);

/*
 * The same without its text: text, document and fingerprint may be asked for
 * after cb_case_state_write only.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_fold_unwritten(const cb_model *model,
                                                   const cb_fact *facts,
                                                   size_t count,
                                                   cb_case_state **ret_state,
                                                   cb_error *reterr_error);

/*
 * The same state with one fact more, at the cost of what that fact touches: as
 * cb_fold would make it of all the facts before, in the order in which they
 * were handed in, and this one.  The usual entry is such: its author knew all
 * that counts here.  Where it is not certain that this comes to the same,
 * *ret_extended is false.
 *
 * The text is not written: see cb_fold_unwritten.  Where *ret_extended is
 * false, and after a failure, the state is good for nothing but to be
 * destroyed: fold all the facts instead.  CB_NO_MEMORY.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_fold_extend(cb_case_state *state,
                                                const cb_fact *fact,
                                                bool *ret_extended,
                                                cb_error *reterr_error);

/*
 * Writes the text of a state that has none yet, or was extended, and takes its
 * fingerprint; does nothing where that is done already.  CB_LIMIT,
 * CB_NO_MEMORY.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_case_state_write(cb_case_state *state,
                                                     cb_error *reterr_error);

/*
 * The state as one JSON document (casebound.case_state.v1) in canonical form:
 * records with their values and heads, registers, verdicts, issues, waiting
 * entries.  No names are resolved in it.  The text is borrowed; the document is
 * a new reference, parsed from it.  CB_NO_MEMORY.
 */
CB_PUBLIC cb_span cb_case_state_text(const cb_case_state *state);
CB_NODISCARD CB_PUBLIC cb_status cb_case_state_document(
    const cb_case_state *state, json_t **ret_document, cb_error *reterr_error);

/*
 * H("casebound/1 case state" 0x00 | canonical text).  Two people with the
 * same access compare the short form over the telephone: its first eight
 * lower-case hexadecimal digits in two groups, such as "9f3c-07aa".
 */
#define CB_FINGERPRINT_SHORT_BYTES 10
CB_PUBLIC cb_hash cb_case_state_fingerprint(const cb_case_state *state);
CB_PUBLIC void cb_fingerprint_short(const cb_hash *fingerprint,
                                    char text[CB_FINGERPRINT_SHORT_BYTES]);

CB_PUBLIC cb_case_id cb_case_state_case(const cb_case_state *state);

/* The case's reference, such as "RL-2017-00412-7", or "" while unknown. */
CB_PUBLIC const char *cb_case_state_reference(const cb_case_state *state);

/* Code of the stage, or "". */
CB_PUBLIC const char *cb_case_state_stage(const cb_case_state *state);

/*
 * The state in words, such as "OPEN" or "SUSPENDED - CONSENT WITHDRAWN
 * (direct meeting)", and since when: the moment at which the cause happened, as
 * its author claims it; false where there is none.
 */
CB_PUBLIC const char *cb_case_state_word(const cb_case_state *state);
CB_PUBLIC bool cb_case_state_since_ms(const cb_case_state *state,
                                      int64_t *ret_since_ms);

/* Facts by the index that they had in the call of cb_fold. */
CB_PUBLIC size_t cb_case_state_fact_count(const cb_case_state *state);
CB_PUBLIC cb_fact_standing cb_case_state_standing(const cb_case_state *state,
                                                  size_t fact);

/*
 * Whether the author of fact `a` knew of fact `b` when writing, that is, `b` is
 * among its causes.  False for facts that do not count, and for itself.
 */
CB_PUBLIC bool cb_case_state_knew(const cb_case_state *state, size_t a,
                                  size_t b);

/*
 * What a new entry must name as body.deps: new reference to an array of
 * {"class":...,"heads":[...],"person":...}, sorted as there.  For each
 * compartment these are the entries that count and that no other entry of that
 * compartment was written in knowledge of.  One that only an entry of another
 * compartment builds on is still named: who may not read that other one would
 * otherwise not see what was known.
 *
 * At most CB_DEPENDENCIES_MAX in all.  Where there are more, each stream's
 * newest (by length of the chain of its causes, then hash) comes before any
 * stream's second, so that one device that forks itself cannot push out what
 * others wrote.  What is left out is safe to leave out: the new entry counts as
 * written without knowledge of it, hence replaces nothing of it, and it stays a
 * head for the next one to name.
 *
 * CB_NO_MEMORY.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_case_state_heads(const cb_case_state *state,
                                                     json_t **ret_groups,
                                                     cb_error *reterr_error);

/*
 * The side on which a party's records are written: 'V', 'O', or zero where
 * nobody put the person on one, or where entries put her on both; then
 * *ret_ambiguous is true, an alert says so, and nothing should be written about
 * her before a person has said on which side it belongs.
 */
CB_PUBLIC char cb_case_state_side(const cb_case_state *state,
                                  const cb_record_id *party,
                                  bool *ret_ambiguous);

/* Sorted by form, then id; findings last. */
CB_PUBLIC size_t cb_case_state_issue_count(const cb_case_state *state);
CB_PUBLIC const cb_issue *cb_case_state_issue(const cb_case_state *state,
                                              size_t issue);

/*
 * The issue whose id starts with these hexadecimal digits (at least four).
 * CB_NOT_FOUND, CB_AMBIGUOUS, CB_INPUT.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_case_state_find_issue(const cb_case_state *state, const char *prefix,
                         const cb_issue **ret_issue, cb_error *reterr_error);

/*
 * New reference to the operation {"op":"resolve",...} that decides `issue` for
 * the choice at that index, to be put into an entry of the compartment of the
 * record's field.  CB_INPUT where it is no conflict or has no such choice.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_case_state_resolution(
    const cb_case_state *state, const cb_issue *issue, size_t choice,
    json_t **ret_op, cb_error *reterr_error);

/* The types and ids of the records, sorted by id. */
CB_PUBLIC size_t cb_case_state_record_count(const cb_case_state *state);
CB_PUBLIC cb_record_id cb_case_state_record_id(const cb_case_state *state,
                                               size_t record);
CB_PUBLIC const char *cb_case_state_record_type(const cb_case_state *state,
                                                size_t record);

/*
 * The caller holds entries of the case that it did not hand in: the state in
 * words begins with that from now on.  Text and fingerprint stay.
 */
CB_PUBLIC void cb_case_state_mark_partial(cb_case_state *state);

/* The value in force of one of its fields, NULL where there is none. */
CB_PUBLIC const json_t *cb_case_state_record_value(const cb_case_state *state,
                                                   size_t record,
                                                   const char *field);

/*
 * Appends the name of a record, nothing where it has none.  Where people differ
 * on it these are all that they say, since none of them is the right one yet:
 * "Amara Hyll / Amara Hill-Jones", CB_SHOWN_NAMES_MAX of them at most.
 */
#define CB_SHOWN_NAMES_MAX  4
#define CB_SHOWN_NAME_BYTES (CB_SHOWN_NAMES_MAX * (CB_NAME_BYTES_MAX + 3) + 8)
CB_PUBLIC void cb_case_state_append_name(const cb_case_state *state,
                                         size_t record, cb_buffer *text);

/* Where a record of this case stands.  Pointers are borrowed. */
typedef struct cb_record_standing {
    const char *type;
    const cb_record_id *about; /* the party concerned, or NULL */
    bool created;              /* else only fields of it may be read here */
    bool struck;
    char compartment_class;     /* V O S R C W A of its creation, or zero */
    const cb_record_id *person; /* of that compartment, or NULL */
} cb_record_standing;

/* False where no entry that counts speaks of such a record in this case. */
CB_PUBLIC bool cb_case_state_record(const cb_case_state *state,
                                    const cb_record_id *id,
                                    cb_record_standing *ret_record);

#endif
