/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases out of short JSON, written by devices that know only what they wrote
 * or were given.  Nothing is signed: the fold sees facts.
 *
 * In `operations`, ' stands for " and @name for the id of that name, so that
 *
 *     case_write(book, "X", "V:ann", "2017-03-14T14:00",
 *                "{'op':'create','record':'@c1','type':'consent',"
 *                "'about':'@ann','fields':{'scope':['direct_meeting'],"
 *                "'state':'withdrawn'}}");
 *
 * is an entry by device X in the compartment of ann on the victim side.  Its
 * dependencies are what X knows.
 */
#ifndef CASEBOUND_TESTS_CASE_BUILDER_H
#define CASEBOUND_TESTS_CASE_BUILDER_H

#include <casebound/fold.h>
#include <casebound/model.h>
#include <casebound/rules.h>

typedef struct case_book case_book;

case_book *case_book_create(void);
void case_book_destroy(case_book *book);

/* Makes every later entry of a device claim a time that is wrong by this. */
void case_skew(case_book *book, const char *device, int64_t wrong_by_ms);

/*
 * Gives the person at a device, who is a facilitator, another role.  A literal.
 */
void case_role(case_book *book, const char *device, const char *role);

/* Index of the new fact.  `operations`: one object, or an array of them. */
size_t case_write(case_book *book, const char *device, const char *place,
                  const char *happened, const char *operations);

/* Both devices know all that either knew. */
void case_exchange(case_book *book, const char *a, const char *b);

/* The body of a fact, for tests that damage it; borrowed. */
json_t *case_body(case_book *book, size_t fact);
cb_fact *case_facts(case_book *book);
size_t case_count(const case_book *book);
const cb_model *case_model(const case_book *book);

/* Folds all facts, or fails the test.  The caller destroys it. */
cb_case_state *case_fold(case_book *book);
/* Folds what a device knows. */
cb_case_state *case_fold_of(case_book *book, const char *device);

/* Short JSON as above into JSON; new reference. */
json_t *case_json(const char *text);
cb_record_id case_id(const char *name);
int64_t case_ms(const char *when);

/* The open issue of that kind, or NULL. */
const cb_issue *case_issue(const cb_case_state *state, const char *kind);
size_t case_issues(const cb_case_state *state, const char *kind);

/* Asks the rules; fields as in case_write.  The caller destroys it. */
cb_verdict_list *case_ask(case_book *book, const cb_case_state *state,
                          const char *type, const char *about,
                          const char *happened, const char *role,
                          const char *fields);
/* The most severe outcome of one rule; its sentence goes to ret_sentence. */
cb_outcome case_outcome(const cb_verdict_list *verdicts, const char *rule,
                        const char **ret_sentence);

/*
 * A story most tests start from, known to devices H, X and Y: referral by the
 * victim, ann (victim), ben (offender), both consenting to a meeting and
 * letters on 10 March 2017, limits explained, facts acknowledged, second risk
 * assessment low.
 */
case_book *case_book_prepared(void);

#endif
