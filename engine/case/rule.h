/* SPDX-License-Identifier: Apache-2.0 */
/* The rules from the inside: what is asked, and how they answer. */
#ifndef CASEBOUND_CASE_RULE_H
#define CASEBOUND_CASE_RULE_H

#include "case/basis.h"
#include "case/state.h"

#include <casebound/rules.h>

struct cb_verdict_list {
    cb_arena arena;
    cb_verdict *items;
    size_t count;
    size_t capacity;
};

/* What is judged: a proposal, or a record that is there. */
typedef struct cb_question {
    const cb_model *model;
    const cb_case_state *state;
    cb_basis basis;
    const char *type;
    const cb_record_id *about; /* or NULL */
    const json_t *fields;      /* all values, of the record as it would be */
    int64_t happened_ms;
    const char *const *roles;
    size_t role_count;
    bool proposed; /* else a record that is there */
    cb_verdict_list *verdicts;
} cb_question;

typedef struct cb_rule {
    cb_rule_row row;
    void (*ask)(const cb_question *question, const cb_rule_row *row);
} cb_rule;

/* Adds an answer.  Texts are literals or of question->verdicts->arena. */
void cb_rule_say(const cb_question *question, const cb_rule_row *row,
                 cb_outcome outcome, size_t entry, const cb_record_id *party,
                 const char *sentence, const char *lift);

/* Asks every rule that speaks of the question's type. */
void cb_rules_ask(const cb_question *question);

/* ---------------------------------------------------- what rules look up */

/* Text of an id, of the verdicts' arena. */
const char *cb_rule_hex(const cb_question *question, const cb_record_id *id);
const char *cb_rule_said(const cb_question *question, size_t entry);
const char *cb_rule_words(const cb_question *question, const char *code);

/* More persons than a gathering can have: R5 blocks, and no rule looks on. */
#define CB_RULE_PERSONS_MAX 64

/* The i-th member of a set of persons in the fields; false at the end. */
bool cb_rule_person(const cb_question *question, const char *field, size_t i,
                    cb_record_id *ret_person);

/* V, O, CB_SIDE_BOTH, or zero where the party is not known here. */
#define CB_SIDE_BOTH ((uint8_t)'B')
uint8_t cb_rule_side(const cb_question *question, const cb_record_id *person);
const char *cb_rule_role(const cb_question *question,
                         const cb_record_id *person);

/* What a consent record says on the basis: "given", ..., "unknown". */
const char *cb_rule_consent(const cb_question *question, size_t record);

/* Days since 1970 of a date field's value, and of a moment, in London. */
bool cb_rule_date(const json_t *value, int64_t *ret_days);
int64_t cb_rule_day(int64_t ms);

/* Whether the case is complex: flags, triggers, offence, order, risk. */
bool cb_rule_is_complex(const cb_question *question);

void cb_rule_ask_r3(const cb_question *question, const cb_rule_row *row);
void cb_rule_ask_r4(const cb_question *question, const cb_rule_row *row);
void cb_rule_ask_r5(const cb_question *question, const cb_rule_row *row);
void cb_rule_ask_r6(const cb_question *question, const cb_rule_row *row);
void cb_rule_ask_r8(const cb_question *question, const cb_rule_row *row);
void cb_rule_ask_r9(const cb_question *question, const cb_rule_row *row);

#endif
