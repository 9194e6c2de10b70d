/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people decided between records of one register.
 *
 * A decision counts where its author had the whole conflict before her: it
 * names all that the records say that then stood against each other, as far as
 * she knew of them, the kept one included.  Who names less decided less than
 * there was to decide, which is nothing.
 *
 * A later decision that keeps what an earlier one gave up, made in knowledge of
 * it, ends the earlier one.  Where decisions contradict each other and none
 * ends the other, the records stand as if nobody had decided.
 */
#include "case/register.h"

#include <stdlib.h>
#include <string.h>

/* Beyond this much work decisions do not count, and people are asked again. */
#define DECISION_STEPS_MAX 2000000

typedef struct ruling {
    const cb_decision *decision;
    size_t kept; /* record */
    bool counts;
} ruling;

typedef struct rulings {
    ruling *items;
    size_t count;
    size_t steps;
} rulings;

static bool names(const cb_decision *decision, size_t entry)
{
    size_t low = 0;
    size_t high = decision->known_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (decision->known[middle] < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < decision->known_count && decision->known[low] == entry;
}

/* Whether a decision names all that a record says. */
static bool names_all(const cb_case_state *state, const cb_decision *decision,
                      size_t record)
{
    cb_words said = cb_words_of(&state->records[record]);
    for (size_t entry = 0; cb_words_next(&said, &entry);) {
        if (!names(decision, entry)) {
            return false;
        }
    }
    return true;
}

/* Whether it names all that its author knew the record to say. */
static bool names_known(const cb_case_state *state, const cb_decision *decision,
                        size_t record)
{
    cb_words said = cb_words_of(&state->records[record]);
    for (size_t entry = 0; cb_words_next(&said, &entry);) {
        if (cb_case_knows(state, decision->entry, entry) &&
            !names(decision, entry)) {
            return false;
        }
    }
    return true;
}

static bool gave_up(const cb_case_state *state, const ruling *one,
                    size_t record)
{
    return one->counts && one->kept != record &&
           names_all(state, one->decision, record);
}

/* Whether a record had been given up by a decision that this one knew. */
static bool was_given_up(const cb_case_state *state, rulings *all, size_t at,
                         size_t record)
{
    for (size_t i = 0; i < at; i++) {
        all->steps++;
        if (cb_case_knows(state, all->items[at].decision->entry,
                          all->items[i].decision->entry) &&
            gave_up(state, &all->items[i], record)) {
            return true;
        }
    }
    return false;
}

static bool is_whole(const cb_case_state *state, rulings *all, size_t at,
                     const cb_register *target)
{
    const ruling *one = &all->items[at];
    size_t kept = state->records[one->kept].created;
    if (!one->decision->complete || !names(one->decision, kept)) {
        return false;
    }
    for (size_t i = 0; i < target->head_count; i++) {
        size_t record = target->heads[i];
        all->steps++;
        if (all->steps > DECISION_STEPS_MAX) {
            return false;
        }
        if (cb_case_knows(state, one->decision->entry,
                          state->records[record].created) &&
            !names_known(state, one->decision, record) &&
            !was_given_up(state, all, at, record)) {
            return false;
        }
    }
    return true;
}

static int compare_rulings(const void *a, const void *b)
{
    const ruling *left = a;
    const ruling *right = b;
    if (left->decision->entry != right->decision->entry) {
        return left->decision->entry < right->decision->entry ? -1 : 1;
    }
    return left->kept < right->kept ? -1 : left->kept > right->kept;
}

/* Those that count, in causal order; false without memory. */
static bool collect(cb_case_state *state, const cb_register *target,
                    rulings *all)
{
    size_t count = 0;
    for (size_t i = 0; i < target->head_count; i++) {
        count += state->records[target->heads[i]].decision_count;
    }
    all->items = cb_arena_allocate(&state->arena, count + 1, sizeof(ruling));
    if (all->items == NULL) {
        return false;
    }
    for (size_t i = 0; i < target->head_count; i++) {
        const cb_case_record *record = &state->records[target->heads[i]];
        for (size_t d = 0; d < record->decision_count; d++) {
            all->items[all->count] = (ruling){
                .decision = &state->decisions[record->first_decision + d],
                .kept = target->heads[i],
            };
            all->count++;
        }
    }
    if (all->count > 1) {
        qsort(all->items, all->count, sizeof *all->items, compare_rulings);
    }
    for (size_t i = 0; i < all->count; i++) {
        all->items[i].counts = is_whole(state, all, i, target);
    }
    return true;
}

/* Ends what later ones, in knowledge of it, decided otherwise. */
static void end_earlier(const cb_case_state *state, rulings *all)
{
    for (size_t i = all->count; i > 0; i--) {
        ruling *later = &all->items[i - 1];
        for (size_t k = 0; k + 1 < i && later->counts; k++) {
            ruling *earlier = &all->items[k];
            all->steps++;
            if (all->steps > DECISION_STEPS_MAX) {
                return;
            }
            if (cb_case_knows(state, later->decision->entry,
                              earlier->decision->entry) &&
                gave_up(state, earlier, later->kept)) {
                earlier->counts = false;
            }
        }
    }
}

void cb_register_decide(cb_case_state *state, cb_register *target)
{
    rulings all = { 0 };
    size_t kept = 0;
    if (target->head_count < 2 || cb_is_consent(target->type) ||
        !collect(state, target, &all) || all.count == 0) {
        return;
    }
    end_earlier(state, &all);
    size_t *heads =
        cb_arena_allocate(&state->arena, target->head_count, sizeof *heads);
    for (size_t i = 0; i < target->head_count && heads != NULL; i++) {
        bool given_up = false;
        for (size_t d = 0; d < all.count && !given_up; d++) {
            all.steps++;
            given_up = gave_up(state, &all.items[d], target->heads[i]);
        }
        if (!given_up) {
            heads[kept] = target->heads[i];
            kept++;
        }
        if (all.steps > DECISION_STEPS_MAX) {
            return;
        }
    }
    if (kept > 0) {
        target->heads = heads;
        target->head_count = kept;
    }
}
