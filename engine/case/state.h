/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a case from the inside, and the steps that build it:
 *
 *   read       facts -> entries, sorted by hash, each once
 *   causality  which entries count, in causal order, and who knew what
 *   record     operations -> records, and writes to their fields
 *   field      writes to one field -> its heads and the value in force
 *   registers  records of one key -> the records in force
 *   practice   what it means: conflicts, alerts, tasks, the state in words
 *   judge      what the rules say about each record
 *   document   the canonical text, its fingerprint
 *
 * An entry that was written in knowledge of all that counts comes last, and
 * takes the same steps for the records that it touches alone: see extend.c.
 *
 * From `causality` on, entries[0 .. counted) are in an order in which causes
 * come before effects, and "entry" is an index into it.  That order breaks ties
 * by hash; nothing but the layout of lists may depend on the tie-break.
 *
 * Who knew what is kept exactly, one bit for each pair, not as a vector of
 * sequence numbers: a stream that forked has two entries of one number, and a
 * vector could not tell which of them was known.  20,000 entries take 25 MB.
 */
#ifndef CASEBOUND_CASE_STATE_H
#define CASEBOUND_CASE_STATE_H

#include "case/arena.h"

#include <casebound/fold.h>
#include <casebound/model.h>
#include <casebound/rules.h>

#define CB_NOTHING SIZE_MAX

/* More than any case of CB_CASE_ENTRIES_MAX full entries can give. */
#define CB_STATE_TEXT_BYTES_MAX 4000000000u

/* Where an entry lives: class letter, and the party for V and O. */
typedef struct cb_place {
    uint8_t class;
    cb_record_id person;
} cb_place;

typedef struct cb_case_entry {
    cb_hash hash;
    cb_stream_id stream;
    uint64_t seq;
    uint64_t time;
    size_t fact; /* index in the caller's array */
    json_t *body;
    bool admitted;
    bool well_formed; /* else nothing of it is applied */
    bool newer;       /* holds something of a newer version */
    bool happened_known;
    int64_t happened_ms;
    cb_person_id author;
    cb_place place;
    const json_t *ops;
    size_t *deps; /* indices of entries, as of the step */
    size_t dep_count;
    size_t depth; /* length of the longest chain of causes */
    bool dep_missing;
    bool deps_cut;  /* named more than CB_DEPENDENCIES_MAX */
    unsigned roles; /* of the author: see cb_entry_has_role */
} cb_case_entry;

typedef enum cb_op_kind {
    CB_OP_CREATE,
    CB_OP_PART,
    CB_OP_SET,
    CB_OP_STRIKE,
    CB_OP_RESOLVE,
    CB_OP_OVERRIDE
} cb_op_kind;

typedef struct cb_op {
    cb_op_kind kind;
    size_t entry;
    const json_t *json;
    cb_record_id record;
    /* Of a creation. */
    bool stands; /* was written where it may be */
    const cb_type *type;
    bool about_known;
    cb_record_id about;
} cb_op;

typedef struct cb_op_list {
    cb_op *items;
    size_t count;
} cb_op_list;

/* One entry's word on one field. */
typedef struct cb_write {
    const char *name;
    const cb_field *field; /* NULL where the model does not know it */
    size_t entry;
    size_t order; /* among the operations on the record */
    cb_op_kind kind;
    const json_t *value;
    const json_t *resolves; /* of CB_OP_RESOLVE: hashes */
    bool named;             /* by a resolution whose author knew it */
    bool head;
} cb_write;

/* A field of a record, merged. */
typedef struct cb_merged {
    const char *name;
    const cb_field *field;
    const cb_write *writes; /* in causal order */
    size_t write_count;
    const cb_write **heads;
    size_t head_count;
    const json_t **values; /* the different ones among the heads */
    size_t value_count;
    const json_t *value; /* in force; NULL where nothing is */
    bool contested;      /* somebody has to decide */
} cb_merged;

/*
 * Creations of one id that agree in type, party and side make one record; the
 * fields of each count.  Those that do not agree make several: siblings, next
 * to each other, of which the first answers where only the id is asked.  So
 * nobody makes a record fall away by creating it again.
 */
typedef struct cb_case_record {
    cb_record_id id;
    size_t sibling; /* 0 for the first of one id */
    size_t sibling_count;
    const char *type_name;
    const cb_type *type; /* NULL where the model does not know it */
    bool about_known;
    cb_record_id about;
    size_t created;    /* entry, CB_NOTHING where only parts are here */
    uint8_t side;      /* V or O for a type of a side, else zero */
    size_t *creations; /* entries, `created` among them; at most a few */
    size_t creation_count;
    const cb_op *ops; /* on its id, in causal order; of siblings the same */
    size_t op_count;
    bool struck;
    bool replaced;     /* a plan in whose place there is a later one */
    size_t struck_by;  /* entry */
    bool role_missing; /* something was said that takes a role to say */
    const cb_merged *fields;
    size_t field_count;
    size_t first_decision; /* into decisions */
    size_t decision_count;
    const char *mark;         /* for a timeline, or NULL */
    struct cb_judged *judged; /* see judge.c; NULL: not yet, or again */
} cb_case_record;

/* The records that write one register, and those in force. */
typedef struct cb_register {
    const cb_type *type;
    const char *key; /* the key's parts, separated by spaces */
    size_t *records; /* all of them, in the order of records */
    size_t record_count;
    size_t *heads; /* those that no later one replaced */
    size_t head_count;
    size_t in_force; /* a record, CB_NOTHING where contested */
    size_t against;  /* of consent: a record that ever said no, or CB_NOTHING */
    bool contested;
} cb_register;

/* A resolve operation, for conflicts that are not about one field. */
typedef struct cb_decision {
    uint8_t issue[CB_ISSUE_ID_BYTES];
    size_t entry;
    size_t *known; /* the entries that it names and whose author knew, sorted */
    size_t known_count;
    size_t named_count; /* heads that it names in all */
    bool complete;      /* its author knew all that it names */
    const json_t *value;
} cb_decision;

/* What the rules say about a record: see judge.c. */
typedef struct cb_judgement {
    size_t record;
    const char *rule;
    const char *written; /* in the entry, or "" */
    cb_outcome known;
    cb_outcome now;
    size_t override_entry; /* or CB_NOTHING */
    const char *sentence;
} cb_judgement;

/* A case has few records that rules speak of; this bounds a hostile one. */
#define CB_JUDGED_RECORDS_MAX 512
#define CB_JUDGE_STEPS_MAX    4000000

/* How grave a state is, from least to most; the gravest names the case. */
typedef enum cb_word_weight {
    CB_WORD_NONE,
    CB_WORD_OPEN,
    CB_WORD_CLOSED,
    CB_WORD_CONTESTED,
    CB_WORD_SUSPENDED,
    CB_WORD_HELD_CONTESTED
} cb_word_weight;

struct cb_case_state {
    const cb_model *model;
    cb_arena arena;
    cb_case_id id;
    bool id_known;

    cb_case_entry *entries;
    size_t entry_count;
    size_t counted;
    size_t *by_hash;          /* those that count, sorted by hash */
    uint64_t *knowledge;      /* rows of bits, see knows() */
    size_t *knowledge_offset; /* of an entry's row, and where the next begins */
    cb_fact_standing *standing;
    size_t *entry_of_fact;
    size_t fact_count;
    size_t entry_capacity; /* of what there is for each entry or fact */
    size_t knowledge_capacity;
    bool passed_over; /* a cause that the reader may not see */

    cb_case_record *records; /* by id */
    size_t record_count;
    size_t record_capacity;
    size_t *by_type; /* records, by name of type, then as they lie */
    size_t by_type_capacity;
    cb_write *writes; /* of the record that is being written */
    size_t write_count;
    size_t write_capacity;

    cb_register *registers;
    size_t register_count;
    size_t register_steps; /* that are left for searching */

    cb_decision *decisions; /* each record's in causal order */
    size_t decision_count;
    size_t decision_capacity;
    const cb_decision **decisions_by_issue; /* see issue.c; NULL: not yet */
    size_t indexed_count;
    json_t *owned; /* values that no body holds */

    cb_judgement *judgements;
    size_t judgement_count;
    size_t judgement_capacity;
    bool judged_all;

    cb_issue *issues;
    size_t issue_count;
    size_t issue_capacity;
    cb_issue *noted; /* those of the steps up to the fields of records */
    size_t noted_count;

    /*
     * Where what is looked up is being noted, else NULL: types of records, as
     * cb_type_bit has them.
     */
    uint64_t *looked_at;

    const char *reference;
    const char *stage;
    const char *word;
    bool partial;
    const char *partial_word; /* then shown in its place, not in the text */
    cb_word_weight word_weight;
    size_t since; /* entry */
    bool since_known;
    int64_t since_ms;

    size_t folded_bytes; /* of the arena, when all of it was folded */
    bool text_written;   /* text and fingerprint are those of this state */
    cb_buffer text;
    cb_hash fingerprint;
};

/* read.c */
/*
 * Exactly `size` bytes of lower-case hexadecimal.  None of it is secret, and
 * the constant-time reader of cb_hex_parse took a fifth of a fold.
 */
bool cb_case_hex(const char *text, uint8_t *ret_bytes, size_t size);
bool cb_case_hex_of(const json_t *object, const char *name, uint8_t *ret_bytes,
                    size_t size);
/* Whether people can mean this moment; sums with others do not overflow. */
bool cb_case_is_moment(int64_t ms);
CB_NODISCARD cb_status cb_case_read(cb_case_state *state, const cb_fact *facts,
                                    size_t count, cb_error *reterr_error);
/*
 * One fact more: an entry with a body of its own.  False, and nothing made,
 * where it is not admitted or not certainly of this case.
 */
bool cb_case_read_last(const cb_case_state *state, const cb_fact *fact,
                       cb_case_entry *ret_entry);

/*
 * Whether the author of an entry had a role, as the roster held here tells.
 * What no role has to be had for ("", "lead") everybody has.
 */
bool cb_entry_has_role(const cb_case_entry *entry, const char *role);

/* causality.c */
CB_NODISCARD cb_status cb_case_order(cb_case_state *state,
                                     cb_error *reterr_error);

/*
 * For an entry that is to come after all that count.  False where it is not
 * certain that no other waits for it, or that it waits for no other.
 */
bool cb_case_order_last(cb_case_state *state, cb_case_entry *entry);
/* Spreads the knowledge of the last entry; whether it knows all before it. */
bool cb_case_knows_all(cb_case_state *state, size_t last);

/* Whether entry `later` was written knowing `earlier`; not true of itself. */
bool cb_case_knows(const cb_case_state *state, size_t later, size_t earlier);

/* Index of an entry that counts, or CB_NOTHING. */
size_t cb_case_find_entry(const cb_case_state *state, const cb_hash *hash);

/* create.c */
/* Adds the records that these operations, sorted by record, make or change. */
CB_NODISCARD cb_status cb_case_make_records(cb_case_state *state, cb_op *ops,
                                            size_t count,
                                            cb_error *reterr_error);

/* record.c */
CB_NODISCARD cb_status cb_case_collect(cb_case_state *state,
                                       cb_error *reterr_error);
/* The operations of the entries from `first` on, by record. */
CB_NODISCARD cb_status cb_case_read_ops(cb_case_state *state, size_t first,
                                        cb_op_list *ret_list,
                                        cb_error *reterr_error);
/* One record was put in at `record`, the index of those after it moved on. */
bool cb_case_index_record(cb_case_state *state, size_t record);

/*
 * One of 64 bits for a type of records.  Several may share one: whoever looked
 * at one of these is taken to have looked at all of them.
 */
#define CB_EVERY_TYPE UINT64_MAX
uint64_t cb_type_bit(const char *type);
/* What is found out from here on depends on records of these types. */
void cb_case_look_at(const cb_case_state *state, uint64_t types);
/* The records of a type, in the order of records. */
const size_t *cb_case_of_type(const cb_case_state *state, const char *type,
                              size_t *ret_count);
size_t cb_case_find_record(const cb_case_state *state, const cb_record_id *id);
/* The first of that id and type, or CB_NOTHING. */
size_t cb_case_find_typed(const cb_case_state *state, const cb_record_id *id,
                          const char *type);
/* Whether a creation is one of those that make this record. */
bool cb_record_is_made_by(const cb_case_record *record,
                          const cb_case_state *state, const cb_op *op);

#define CB_SIDE_V 1u
#define CB_SIDE_O 2u

/* The sides on which creations put a person: CB_SIDE_V, CB_SIDE_O, both, 0. */
unsigned cb_case_sides(const cb_case_state *state, const cb_record_id *person);

/* write.c */
CB_NODISCARD cb_status cb_case_write(cb_case_state *state,
                                     cb_error *reterr_error);
CB_NODISCARD cb_status cb_case_write_record(cb_case_state *state, size_t record,
                                            cb_error *reterr_error);
/* Whether an operation on an id is about this one of its records. */
bool cb_record_takes(const cb_case_state *state, const cb_case_record *record,
                     const cb_op *op);
/* Whether entries of `place` may hold `field` of a record (NULL: itself). */
bool cb_place_fits(const cb_place *place, const cb_type *type,
                   const cb_field *field, const cb_record_id *record,
                   const cb_record_id *about);
/* The entry that heads[i] of an operation names, or CB_NOTHING. */
size_t cb_head_entry(const cb_case_state *state, const json_t *heads, size_t i);

/* field.c */
/* Takes state->writes for the fields of a record. */
CB_NODISCARD cb_status cb_case_merge_fields(cb_case_state *state, size_t record,
                                            cb_error *reterr_error);
const cb_merged *cb_record_field(const cb_case_record *record,
                                 const char *name);
/* The value in force, or NULL. */
const json_t *cb_record_value(const cb_case_record *record, const char *name);
const char *cb_record_code(const cb_case_record *record, const char *name);
bool cb_record_contested(const cb_case_record *record, const char *name);
/* Whether a set field holds, or a code field is, `text`. */
bool cb_value_has(const json_t *value, const char *text);

/* register.c */
CB_NODISCARD cb_status cb_case_merge_registers(cb_case_state *state,
                                               cb_error *reterr_error);
bool cb_is_consent(const cb_type *type);
const json_t *cb_record_most_protective(const cb_case_record *record);
const json_t *cb_register_value(const cb_case_record *record);
const cb_register *cb_case_register(const cb_case_state *state,
                                    const char *type, const char *key);

/* issue.c */
/*
 * Adds an issue: id from kind, record, field and heads; heads are sorted and
 * kept.  Texts must be literals or of the arena.  NULL after a failure.  The
 * pointer is good until the next one is added.
 */
cb_issue *cb_case_add_issue(cb_case_state *state, const cb_issue *draft,
                            const size_t *entries, size_t entry_count);
void cb_case_add_finding(cb_case_state *state, const char *kind, size_t entry,
                         const cb_record_id *record, const char *field,
                         const char *sentence);
/* What was decided about it, or NULL: see issue.c. */
const cb_decision *cb_case_decision(cb_case_state *state,
                                    const cb_issue *about);
CB_NODISCARD cb_status cb_case_close_issues(cb_case_state *state,
                                            cb_error *reterr_error);

/* conflict.c, practice.c and the rows that they call */
CB_NODISCARD cb_status cb_case_find_conflicts(cb_case_state *state,
                                              cb_error *reterr_error);
/* Who decides between records of a register of that type. */
const char *cb_register_waits_for(const char *type);
CB_NODISCARD cb_status cb_case_practise(cb_case_state *state,
                                        cb_error *reterr_error);
/* M25, as far as a case shows it. */
CB_NODISCARD cb_status cb_case_find_forks(cb_case_state *state,
                                          cb_error *reterr_error);

/* judge.c */
/* Whatever was judged by looking at records of these types is so no more. */
void cb_case_unjudge(cb_case_state *state, uint64_t types);
CB_NODISCARD cb_status cb_case_judge(cb_case_state *state,
                                     cb_error *reterr_error);

/* fold.c */
/* The steps that always look at the whole case: what records mean together. */
CB_NODISCARD cb_status cb_case_derive(cb_case_state *state,
                                      cb_error *reterr_error);

#endif
