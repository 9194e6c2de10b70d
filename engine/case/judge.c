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

static bool is_gated(const cb_case_record *record)
{
    if (record->type == NULL || record->created == CB_NOTHING ||
        record->struck) {
        return false;
    }
    for (size_t i = 0; i < cb_rule_count(); i++) {
        const char *words = cb_rule_get(i)->speaks_of;
        size_t length = strlen(record->type_name);
        const char *found = strstr(words, record->type_name);
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
        const cb_op *op = &state->ops[record->first_op + i];
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

static void keep(cb_case_state *state, size_t record, const cb_rule_row *row,
                 const cb_verdict *known, const cb_verdict *now)
{
    cb_case_record *target = &state->records[record];
    cb_judgement judgement = {
        .record = record,
        .rule = row->rule,
        .known = known != NULL ? known->outcome : CB_OUTCOME_ALLOWED,
        .now = now != NULL ? now->outcome : CB_OUTCOME_ALLOWED,
        .written = find_written(&state->entries[target->created], row->rule),
        .override_entry = find_override(state, target, row),
    };
    if (judgement.override_entry != CB_NOTHING) {
        judgement.known = judgement.known == CB_OUTCOME_BLOCKED
                              ? CB_OUTCOME_OVERRIDDEN
                              : judgement.known;
        judgement.now = judgement.now == CB_OUTCOME_BLOCKED
                            ? CB_OUTCOME_OVERRIDDEN
                            : judgement.now;
    }
    bool quiet =
        judgement.known == CB_OUTCOME_ALLOWED &&
        judgement.now == CB_OUTCOME_ALLOWED &&
        (judgement.written[0] == '\0' ||
         strcmp(judgement.written, cb_outcome_name(CB_OUTCOME_ALLOWED)) == 0);
    if (quiet) {
        return;
    }
    const cb_verdict *reason =
        now != NULL && now->outcome != CB_OUTCOME_ALLOWED ? now : known;
    judgement.sentence = cb_arena_format(
        &state->arena, "%s", reason != NULL ? reason->sentence : "");
    state->judgements =
        cb_arena_grow(&state->arena, state->judgements, state->judgement_count,
                      &state->judgement_capacity, sizeof *state->judgements);
    if (state->judgements == NULL) {
        state->judgement_count = 0;
        state->judgement_capacity = 0;
        return;
    }
    state->judgements[state->judgement_count] = judgement;
    state->judgement_count++;
}

/*
 * Something that happened, and that the rules would not allow any more.  Where
 * a merge row has said so already (M2 of R5, by a mark), it is not said twice.
 */
static void report(cb_case_state *state, size_t record, const char *rule,
                   const cb_verdict *now, bool knowingly)
{
    const cb_case_record *target = &state->records[record];
    cb_issue alert = { .form = CB_ISSUE_ALERT,
                       .kind = knowingly ? "rule.not_followed"
                                         : "rule.not_allowed_now",
                       .field = cb_arena_format(&state->arena, "%s", rule),
                       .record = target->id,
                       .waits_for = "supervisor",
                       .act = "casebound show {record}" };
    alert.sentence = cb_arena_format(
        &state->arena,
        knowingly ? "This was recorded although rule %s did not allow it: %s."
                  : "This was allowed on what its author knew. With what "
                    "others recorded, rule %s does not allow it: %s.",
        rule, now->sentence);
    (void)cb_case_add_issue(state, &alert, &target->created, 1);
}

static bool judge_record(cb_case_state *state, size_t record, size_t *steps)
{
    const cb_case_record *target = &state->records[record];
    bool planned = strcmp(target->type_name, "plan") == 0;
    cb_basis then = { .kind = CB_BASIS_KNOWN,
                      .entry = target->created,
                      .steps = steps };
    cb_basis whole = { .kind = planned ? CB_BASIS_NOW : CB_BASIS_MERGED,
                       .entry = target->created,
                       .steps = steps };
    cb_verdict_list *known = ask(state, target, then);
    cb_verdict_list *now = ask(state, target, whole);
    bool complete = known != NULL && now != NULL;
    for (size_t i = 0; i < cb_rule_count() && complete; i++) {
        const cb_rule_row *row = cb_rule_get(i);
        const cb_verdict *old_worst = worst_of(known, row->rule);
        const cb_verdict *new_worst = worst_of(now, row->rule);
        keep(state, record, row, old_worst, new_worst);
        bool overridden = find_override(state, target, row) != CB_NOTHING;
        if (new_worst != NULL && new_worst->outcome == CB_OUTCOME_BLOCKED &&
            !planned && !overridden &&
            !(target->mark != NULL && strcmp(row->rule, "R5") == 0)) {
            report(state, record, row->rule, new_worst,
                   old_worst != NULL &&
                       old_worst->outcome == CB_OUTCOME_BLOCKED);
        }
    }
    cb_verdict_list_destroy(known);
    cb_verdict_list_destroy(now);
    return complete;
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

static int compare_judgements(const void *a, const void *b)
{
    const cb_judgement *left = a;
    const cb_judgement *right = b;
    if (left->record != right->record) {
        return left->record < right->record ? -1 : 1;
    }
    return strcmp(left->rule, right->rule);
}

cb_status cb_case_judge(cb_case_state *state, cb_error *reterr_error)
{
    size_t steps = CB_JUDGE_STEPS_MAX;
    size_t count = 0;
    size_t judged = 0;
    gated *all =
        cb_arena_allocate(&state->arena, state->record_count + 1, sizeof *all);
    for (size_t r = 0; r < state->record_count && all != NULL; r++) {
        if (is_gated(&state->records[r])) {
            all[count] = (gated){
                .record = r,
                .created = &state->entries[state->records[r].created],
            };
            count++;
        }
    }
    if (count > 1) {
        qsort(all, count, sizeof *all, compare_gated);
    }
    for (; judged < count && judged < CB_JUDGED_RECORDS_MAX && steps > 0;
         judged++) {
        if (!judge_record(state, all[judged].record, &steps)) {
            return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        }
    }
    state->judged_all = judged == count && (count == 0 || steps > 0);
    if (!state->judged_all) {
        report_rest(state, &all[judged], count - judged);
    }
    if (state->judgement_count > 1) {
        qsort(state->judgements, state->judgement_count,
              sizeof *state->judgements, compare_judgements);
    }
    return cb_arena_check(&state->arena, reterr_error);
}
