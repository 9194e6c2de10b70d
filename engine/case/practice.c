/* SPDX-License-Identifier: Apache-2.0 */
/* What the merged case means, and what it is called. */
#include "base/json.h"
#include "case/consent.h"
#include "case/names.h"
#include "case/rows.h"

#include <casebound/entry.h>

#include <stdlib.h>
#include <string.h>

void cb_case_set_word(cb_case_state *state, const char *word, size_t since,
                      cb_word_weight weight)
{
    bool wins = weight > state->word_weight;
    if (weight == state->word_weight && since != CB_NOTHING &&
        state->since != CB_NOTHING) {
        wins = memcmp(&state->entries[since].hash,
                      &state->entries[state->since].hash, sizeof(cb_hash)) < 0;
    }
    if (wins || state->word == NULL) {
        state->word = word;
        state->since = since;
        state->word_weight = weight;
    }
}

/* Each is held against each preparation; one is enough to say it. */
#define DENIALS_MAX 64

/* M5: facts denied by one, ready by another who did not know. */
static void look_at_facts(cb_case_state *state, const cb_register *facts)
{
    size_t count = 0;
    const size_t *meetings = cb_case_of_type(state, "preparation", &count);
    for (size_t i = 0; i < facts->head_count && i < DENIALS_MAX; i++) {
        const cb_case_record *denial = &state->records[facts->heads[i]];
        if (strcmp(cb_record_code(denial, "level"), "none") != 0) {
            continue;
        }
        for (size_t m = 0; m < count; m++) {
            size_t r = meetings[m];
            const cb_case_record *ready = &state->records[r];
            if (ready->created == CB_NOTHING || ready->struck ||
                !ready->about_known ||
                memcmp(&ready->about, &denial->about, sizeof ready->about) !=
                    0 ||
                strcmp(cb_record_code(ready, "readiness"), "ready") != 0 ||
                cb_case_knows(state, ready->created, denial->created) ||
                cb_case_knows(state, denial->created, ready->created)) {
                continue;
            }
            size_t entries[] = { denial->created, ready->created };
            char person[CB_IDENTIFIER_TEXT_BYTES];
            cb_hex_format(denial->about.bytes, sizeof denial->about.bytes,
                          person);
            cb_issue alert = { .form = CB_ISSUE_ALERT,
                               .kind = "facts.denied",
                               .row = "M5",
                               .record = ready->id,
                               .about = denial->about,
                               .waits_for = "lead",
                               .act = "casebound show {record}" };
            alert.sentence = cb_arena_format(
                &state->arena,
                "{party:%s} denies the basic facts (%s), and a colleague who "
                "did not know called the preparation ready (%s). The facts "
                "count as denied; no event may be held (R6).",
                person, cb_case_said(&state->arena, state, denial->created),
                cb_case_said(&state->arena, state, ready->created));
            (void)cb_case_add_issue(state, &alert, entries, 2);
            state->records[r].mark = "facts denied";
        }
    }
}

void cb_row_facts(cb_case_state *state)
{
    for (size_t i = 0; i < state->register_count; i++) {
        if (strcmp(state->registers[i].type->name, "acknowledgement") == 0) {
            look_at_facts(state, &state->registers[i]);
        }
    }
}

typedef struct numbered {
    cb_stream_id stream;
    uint64_t seq;
    size_t entry;
} numbered;

static int compare_numbered(const void *a, const void *b)
{
    const numbered *left = a;
    const numbered *right = b;
    int order = memcmp(&left->stream, &right->stream, sizeof left->stream);
    if (order == 0 && left->seq != right->seq) {
        order = left->seq < right->seq ? -1 : 1;
    }
    if (order == 0 && left->entry != right->entry) {
        order = left->entry < right->entry ? -1 : 1;
    }
    return order;
}

cb_status cb_case_find_forks(cb_case_state *state, cb_error *reterr_error)
{
    numbered *all =
        cb_arena_allocate(&state->arena, state->counted + 1, sizeof *all);
    if (all == NULL) {
        return cb_arena_check(&state->arena, reterr_error);
    }
    for (size_t i = 0; i < state->counted; i++) {
        all[i] = (numbered){ .stream = state->entries[i].stream,
                             .seq = state->entries[i].seq,
                             .entry = i };
    }
    if (state->counted > 1) {
        qsort(all, state->counted, sizeof *all, compare_numbered);
    }
    for (size_t i = 1; i < state->counted; i++) {
        if (all[i].seq != all[i - 1].seq ||
            memcmp(&all[i].stream, &all[i - 1].stream, sizeof all[i].stream) !=
                0) {
            continue;
        }
        size_t entries[] = { all[i - 1].entry, all[i].entry };
        cb_issue alert = {
            .form = CB_ISSUE_ALERT,
            .kind = "device.forked",
            .row = "M25",
            .waits_for = "coordinator",
            .act = "casebound audit verify",
            .sentence = "One device signed two different entries under the "
                        "same number. Both are kept; it may be a copied or "
                        "restored store. Its key has to be replaced.",
        };
        (void)cb_case_add_issue(state, &alert, entries, 2);
    }
    return cb_arena_check(&state->arena, reterr_error);
}

/* ---------------------------------------------------------------- summary */

/* The referral that was recorded first, by hash where none came before. */
static const cb_case_record *find_referral(const cb_case_state *state)
{
    const cb_case_record *found = NULL;
    size_t count = 0;
    const size_t *referrals = cb_case_of_type(state, "referral", &count);
    for (size_t r = 0; r < count; r++) {
        const cb_case_record *record = &state->records[referrals[r]];
        if (record->created == CB_NOTHING || record->struck) {
            continue;
        }
        if (found == NULL ||
            cb_case_knows(state, found->created, record->created) ||
            (!cb_case_knows(state, record->created, found->created) &&
             memcmp(&state->entries[record->created].hash,
                    &state->entries[found->created].hash,
                    sizeof(cb_hash)) < 0)) {
            found = record;
        }
    }
    return found;
}

static void summarise(cb_case_state *state)
{
    const cb_case_record *referral = find_referral(state);
    const cb_register *stages = cb_case_register(state, "case_stage", "");
    state->reference = "";
    state->stage = "";
    if (referral != NULL) {
        state->reference = cb_record_code(referral, "reference");
        state->stage = cb_record_code(referral, "stage");
    }
    if (stages != NULL && stages->in_force != CB_NOTHING) {
        state->stage =
            cb_record_code(&state->records[stages->in_force], "stage");
    }
    const cb_register *closures = cb_case_register(state, "closure", "");
    if (closures == NULL || closures->head_count == 0) {
        return;
    }
    if (closures->contested) {
        cb_case_set_word(state, "CLOSURE CONTESTED",
                         state->records[closures->heads[0]].created,
                         CB_WORD_CONTESTED);
    } else {
        const cb_case_record *closure = &state->records[closures->heads[0]];
        if (strcmp(cb_record_code(closure, "state"), "closed") == 0) {
            cb_case_set_word(state, "CLOSED", closure->created, CB_WORD_CLOSED);
        }
    }
}

static void name_allocation(cb_case_state *state)
{
    const cb_register *allocations = cb_case_register(state, "allocation", "");
    if (allocations != NULL && allocations->contested) {
        cb_case_set_word(state, "ALLOCATION CONTESTED",
                         state->records[allocations->heads[0]].created,
                         CB_WORD_CONTESTED);
    }
}

cb_status cb_case_practise(cb_case_state *state, cb_error *reterr_error)
{
    for (size_t r = 0; r < state->record_count; r++) {
        state->records[r].mark = NULL;
        state->records[r].replaced = false;
    }
    state->word = NULL;
    state->word_weight = CB_WORD_NONE;
    state->since = CB_NOTHING;
    state->since_known = false;
    state->since_ms = 0;
    cb_case_set_word(state, "OPEN", CB_NOTHING, CB_WORD_OPEN);
    summarise(state);
    name_allocation(state);
    cb_row_plans(state);
    cb_row_events(state);
    cb_row_consents(state);
    cb_row_contacts(state);
    cb_row_facts(state);
    if (state->since != CB_NOTHING) {
        const cb_case_entry *since = &state->entries[state->since];
        state->since_known = true;
        state->since_ms = since->happened_known ? since->happened_ms
                                                : cb_entry_time_ms(since->time);
    }
    return cb_arena_check(&state->arena, reterr_error);
}
