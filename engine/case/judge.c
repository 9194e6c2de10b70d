/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules asked again about the records that are there.
 *
 * Three answers are kept for each: what was written down when the record was
 * made (`written`), what the rules say about what its author knew (`known`),
 * and what they say on the merged whole (`now`).  Rows in which all are
 * "allowed" are left out of the text.
 */
#include "base/json.h"
#include "case/basis.h"
#include "case/names.h"
#include "case/rule.h"

#include <stdlib.h>
#include <string.h>

/* A row in which not all three answers are "allowed". */
typedef struct judged_rule {
    cb_judgement judgement;
    bool reported;  /* an alert says so, unless a merge row has said it */
    bool knowingly; /* it was not allowed on what the author knew, either */
} judged_rule;

/*
 * What the rules say of one record.  It stays true until an entry changes the
 * record, or one of a type that was looked at: an entry that knew the record
 * is on neither of the two bases on which one that happened is judged, but some
 * of what the rules look up they take as it stands now.
 */
typedef struct cb_judged {
    uint64_t looked_at; /* see cb_type_bit */
    size_t steps;       /* that it took */
    judged_rule *rules;
    size_t count;
} cb_judged;

static bool is_gated_type(const char *type_name)
{
    for (size_t i = 0; i < cb_rule_count(); i++) {
        const char *words = cb_rule_get(i)->speaks_of;
        size_t length = strlen(type_name);
        const char *found = strstr(words, type_name);
        if (found != NULL && (found == words || found[-1] == ' ') &&
            (found[length] == '\0' || found[length] == ' ')) {
            return true;
        }
    }
    return false;
}

/* The record's values on a basis; NULL without memory. */
static json_t *collect_fields(const cb_case_state *state, const cb_basis *basis,
                              const cb_case_record *record)
{
    json_t *fields = json_object();
    for (size_t f = 0; f < record->field_count && fields != NULL; f++) {
        bool contested = false;
        const cb_merged *merged = &record->fields[f];
        const json_t *value =
            basis->kind == CB_BASIS_KNOWN
                ? cb_basis_value(state, basis, record, merged->name, &contested)
                : merged->value;
        if (value != NULL && json_object_set(fields, merged->name,
                                             (json_t *)(uintptr_t)value) != 0) {
            json_decref(fields);
            fields = NULL;
        }
    }
    return fields;
}

static cb_verdict_list *ask(const cb_case_state *state,
                            const cb_case_record *record, cb_basis basis)
{
    cb_verdict_list *list = calloc(1, sizeof *list);
    json_t *fields = collect_fields(state, &basis, record);
    if (list != NULL && fields != NULL) {
        cb_question question = {
            .model = state->model,
            .state = state,
            .basis = basis,
            .type = record->type_name,
            .about = record->about_known ? &record->about : NULL,
            .fields = fields,
            .happened_ms = state->entries[record->created].happened_ms,
            .verdicts = list,
        };
        cb_rules_ask(&question);
    }
    json_decref(fields);
    if (list == NULL || fields == NULL || list->arena.failed) {
        cb_verdict_list_destroy(list);
        return NULL;
    }
    return list;
}

static const cb_verdict *worst_of(const cb_verdict_list *list, const char *rule)
{
    const cb_verdict *worst = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].rule, rule) == 0 &&
            (worst == NULL || list->items[i].outcome > worst->outcome)) {
            worst = &list->items[i];
        }
    }
    return worst;
}

/* What the entry says that the rule said; "" where it says nothing. */
static const char *find_written(const cb_case_entry *entry, const char *rule)
{
    const json_t *verdicts = cb_json_array(entry->body, "verdicts");
    for (size_t i = 0; i < json_array_size(verdicts); i++) {
        const json_t *one = json_array_get(verdicts, i);
        const char *name = cb_json_text(one, "rule");
        const char *outcome = cb_json_text(one, "outcome");
        if (name != NULL && outcome != NULL && strcmp(name, rule) == 0) {
            for (int o = CB_OUTCOME_ALLOWED; o <= CB_OUTCOME_BLOCKED; o++) {
                if (strcmp(cb_outcome_name((cb_outcome)o), outcome) == 0) {
                    return cb_outcome_name((cb_outcome)o);
                }
            }
        }
    }
    return "";
}

/*
 * The entry by which somebody entitled overrode a rule for a record, that of
 * the lowest hash, or CB_NOTHING.
 */
static size_t find_override(const cb_case_state *state,
                            const cb_case_record *record,
                            const cb_rule_row *row)
{
    size_t found = CB_NOTHING;
    for (size_t i = 0; i < record->op_count && row->override_role != NULL;
         i++) {
        const cb_op *op = &record->ops[i];
        const char *name =
            op->kind == CB_OP_OVERRIDE ? cb_json_text(op->json, "rule") : NULL;
        if (name != NULL && strcmp(name, row->rule) == 0 &&
            cb_entry_has_role(&state->entries[op->entry], row->override_role) &&
            (found == CB_NOTHING ||
             memcmp(&state->entries[op->entry].hash,
                    &state->entries[found].hash, sizeof(cb_hash)) < 0)) {
            found = op->entry;
        }
    }
    return found;
}

/* False where all that there is to say is "allowed". */
static bool answer(cb_case_state *state, size_t record, const cb_rule_row *row,
                   const cb_verdict *known, const cb_verdict *now,
                   judged_rule *ret_answer)
{
    cb_case_record *target = &state->records[record];
    const char *written =
        find_written(&state->entries[target->created], row->rule);
    cb_judgement judgement = {
        .rule = row->rule,
        .known = known != NULL ? known->outcome : CB_OUTCOME_ALLOWED,
        .now = now != NULL ? now->outcome : CB_OUTCOME_ALLOWED,
        .written = written,
        .override_entry = find_override(state, target, row),
    };
    bool blocked = judgement.now == CB_OUTCOME_BLOCKED;
    bool knowingly = judgement.known == CB_OUTCOME_BLOCKED;
    bool overridden = judgement.override_entry != CB_NOTHING;
    if (overridden) {
        judgement.known = knowingly ? CB_OUTCOME_OVERRIDDEN : judgement.known;
        judgement.now = blocked ? CB_OUTCOME_OVERRIDDEN : judgement.now;
    }
    if (judgement.known == CB_OUTCOME_ALLOWED &&
        judgement.now == CB_OUTCOME_ALLOWED &&
        (written[0] == '\0' ||
         strcmp(written, cb_outcome_name(CB_OUTCOME_ALLOWED)) == 0)) {
        return false;
    }
    const cb_verdict *reason =
        now != NULL && now->outcome != CB_OUTCOME_ALLOWED ? now : known;
    judgement.sentence = cb_arena_format(
        &state->arena, "%s", reason != NULL ? reason->sentence : "");
    *ret_answer =
        (judged_rule){ .judgement = judgement,
                       .reported = blocked && !overridden &&
                                   strcmp(target->type_name, "plan") != 0,
                       .knowingly = knowingly };
    return true;
}

/*
 * Something that happened, and that the rules would not allow any more.  Where
 * a merge row has said so already (M2 of R5, by a mark), it is not said twice.
 */
static void report(cb_case_state *state, size_t record, const judged_rule *one)
{
    const cb_case_record *target = &state->records[record];
    const char *rule = one->judgement.rule;
    if (!one->reported || (target->mark != NULL && strcmp(rule, "R5") == 0)) {
        return;
    }
    cb_issue alert = { .form = CB_ISSUE_ALERT,
                       .kind = one->knowingly ? "rule.not_followed"
                                              : "rule.not_allowed_now",
                       .field = rule,
                       .record = target->id,
                       .waits_for = "supervisor",
                       .act = "casebound show {record}" };
    alert.sentence = cb_arena_format(
        &state->arena,
        one->knowingly
            ? "This was recorded although rule %s did not allow it: %s."
            : "This was allowed on what its author knew. With what others "
              "recorded, rule %s does not allow it: %s.",
        rule, one->judgement.sentence);
    (void)cb_case_add_issue(state, &alert, &target->created, 1);
}

static void keep(cb_case_state *state, size_t record)
{
    const cb_judged *judged = state->records[record].judged;
    for (size_t i = 0; i < judged->count; i++) {
        state->judgements = cb_arena_grow(
            &state->arena, state->judgements, state->judgement_count,
            &state->judgement_capacity, sizeof *state->judgements);
        if (state->judgements == NULL) {
            state->judgement_count = 0;
            state->judgement_capacity = 0;
            return;
        }
        cb_judgement *place = &state->judgements[state->judgement_count];
        *place = judged->rules[i].judgement;
        place->record = record;
        state->judgement_count++;
        report(state, record, &judged->rules[i]);
    }
}

/* False without memory. */
static bool judge_record(cb_case_state *state, size_t record, size_t *steps)
{
    cb_case_record *target = &state->records[record];
    const size_t left = *steps;
    bool planned = strcmp(target->type_name, "plan") == 0;
    cb_basis then = { .kind = CB_BASIS_KNOWN,
                      .entry = target->created,
                      .steps = steps };
    cb_basis whole = { .kind = planned ? CB_BASIS_NOW : CB_BASIS_MERGED,
                       .entry = target->created,
                       .steps = steps };
    cb_judged *judged = cb_arena_allocate(&state->arena, 1, sizeof *judged);
    judged_rule *rules =
        cb_arena_allocate(&state->arena, cb_rule_count(), sizeof *rules);
    if (judged == NULL || rules == NULL) {
        return false;
    }
    judged->rules = rules;
    state->looked_at = &judged->looked_at;
    cb_verdict_list *known = ask(state, target, then);
    cb_verdict_list *now = ask(state, target, whole);
    state->looked_at = NULL;
    bool complete = known != NULL && now != NULL;
    for (size_t i = 0; i < cb_rule_count() && complete; i++) {
        const cb_rule_row *row = cb_rule_get(i);
        bool told =
            answer(state, record, row, worst_of(known, row->rule),
                   worst_of(now, row->rule), &judged->rules[judged->count]);
        judged->count += told ? 1 : 0;
    }
    judged->steps = left - *steps;
    target->judged = judged;
    cb_verdict_list_destroy(known);
    cb_verdict_list_destroy(now);
    return complete;
}

void cb_case_unjudge(cb_case_state *state, uint64_t types)
{
    for (size_t r = 0; r < state->record_count; r++) {
        cb_case_record *record = &state->records[r];
        if (record->judged != NULL &&
            (record->judged->looked_at & types) != 0) {
            record->judged = NULL;
        }
    }
}

typedef struct gated {
    size_t record;
    const cb_case_entry *created;
} gated;

/* The newest by causality first; of equals the lower hash, then id. */
static int compare_gated(const void *a, const void *b)
{
    const gated *left = a;
    const gated *right = b;
    if (left->created->depth != right->created->depth) {
        return left->created->depth > right->created->depth ? -1 : 1;
    }
    int order =
        memcmp(&left->created->hash, &right->created->hash, sizeof(cb_hash));
    if (order == 0) {
        order = left->record < right->record ? -1 : 1;
    }
    return order;
}

#define ALERT_HEADS_MAX 16

static void report_rest(cb_case_state *state, const gated *rest, size_t count)
{
    size_t entries[ALERT_HEADS_MAX];
    size_t named = 0;
    for (; named < count && named < ALERT_HEADS_MAX; named++) {
        entries[named] = state->records[rest[named].record].created;
    }
    cb_issue alert = { .form = CB_ISSUE_ALERT,
                       .kind = "rules.not_all_judged",
                       .waits_for = "supervisor",
                       .act = "casebound case timeline {case}" };
    alert.sentence = cb_arena_format(
        &state->arena,
        "This case holds more than the rules can look at: %zu records were not "
        "judged, from the oldest on. No event or plan may be recorded before a "
        "supervisor has found out what filled it.",
        count);
    (void)cb_case_add_issue(state, &alert, entries, named);
}

/* Those that are still to be judged, and how many there are in all. */
static size_t collect_gated(const cb_case_state *state, gated *ret_all,
                            size_t *ret_total, size_t *ret_steps)
{
    const cb_type *type = NULL;
    bool speaks = false;
    size_t count = 0;
    for (size_t i = 0; i < state->record_count; i++) {
        size_t r = state->by_type[i];
        const cb_case_record *record = &state->records[r];
        if (record->type != type) {
            type = record->type;
            speaks = type != NULL && is_gated_type(type->name);
        }
        if (!speaks || record->created == CB_NOTHING || record->struck) {
            continue;
        }
        ++*ret_total;
        if (record->judged != NULL) {
            *ret_steps += record->judged->steps;
            continue;
        }
        ret_all[count] =
            (gated){ .record = r, .created = &state->entries[record->created] };
        count++;
    }
    return count;
}

cb_status cb_case_judge(cb_case_state *state, cb_error *reterr_error)
{
    size_t judged = 0;
    size_t total = 0;
    size_t spent = 0;
    state->judgement_count = 0;
    gated *all =
        cb_arena_allocate(&state->arena, state->record_count + 1, sizeof *all);
    if (all == NULL) {
        return cb_arena_check(&state->arena, reterr_error);
    }
    size_t count = collect_gated(state, all, &total, &spent);
    size_t most = CB_JUDGED_RECORDS_MAX;
    size_t steps = spent < CB_JUDGE_STEPS_MAX ? CB_JUDGE_STEPS_MAX - spent : 0;
    most -= total - count < most ? total - count : most;
    if (count > 1) {
        qsort(all, count, sizeof *all, compare_gated);
    }
    for (; judged < count && judged < most && steps > 0; judged++) {
        if (!judge_record(state, all[judged].record, &steps)) {
            return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        }
    }
    state->judged_all = judged == count && (total == 0 || steps > 0) &&
                        total <= CB_JUDGED_RECORDS_MAX;
    for (size_t r = 0; r < state->record_count; r++) {
        const cb_case_record *record = &state->records[r];
        if (record->judged != NULL && !record->struck) {
            keep(state, r);
        }
    }
    if (!state->judged_all) {
        report_rest(state, &all[judged], count - judged);
    }
    return cb_arena_check(&state->arena, reterr_error);
}
