/* SPDX-License-Identifier: Apache-2.0 */
/* Values and records that do not agree, by merge class. */
#include "case/names.h"
#include "case/register.h"

#include <string.h>

#define RESOLVE_ACT "casebound resolve {issue} --keep CHOICE --why TEXT"

/* Who is asked where two people decided the same thing differently. */
typedef struct register_row {
    const char *type;
    const char *row;
    const char *waits_for;
    const char *sentence;
} register_row;

static const register_row register_rows[] = {
    { "allocation", "M11", "coordinator",
      "The case was given to different people by writers who did not know of "
      "each other. Until one allocation is kept, nobody may contact a party." },
    { "closure", "M9", "supervisor",
      "The case was closed or reopened differently by people who did not know "
      "of each other. It counts as open until one of them is kept." },
    { "plan", "", "lead",
      "There are different plans by people who did not know of each other. "
      "None is in force until one is kept." },
    { "risk_assessment", "M7", "lead",
      "Different levels of risk were recorded by people who did not know of "
      "each other. The higher one is in force until somebody who has seen both "
      "assesses again or keeps one." },
    { "side_release", "", "supervisor",
      "Different answers to whether the other side may learn of it were "
      "recorded by people who did not know of each other. It may not, until "
      "somebody who has seen both decides again or keeps one." },
    { "sign_off", "", "supervisor",
      "There are different decisions on the same version. It does not count as "
      "signed off until one is kept." },
    { "acknowledgement", "", "lead",
      "Different acknowledgements of the facts were recorded by people who did "
      "not know of each other. The lesser one is in force until it is asked "
      "again or one is kept." },
};

static const register_row any_register = {
    "", "", "lead",
    "Different records of the same thing were made by people who did not know "
    "of each other. Somebody has to say which one stands."
};

static const register_row *find_row(const char *type)
{
    for (size_t i = 0; i < sizeof register_rows / sizeof *register_rows; i++) {
        if (strcmp(register_rows[i].type, type) == 0) {
            return &register_rows[i];
        }
    }
    return &any_register;
}

const char *cb_register_waits_for(const char *type)
{
    return find_row(type)->waits_for;
}

static const char *merge_sentence(cb_case_state *state, const cb_merged *merged)
{
    const char *title = merged->field->title;
    if (merged->field->merge == CB_MERGE_PROTECTIVE) {
        return cb_arena_format(
            &state->arena,
            "'%s' was recorded differently by people who did not know of each "
            "other. The most protective value is in force until somebody who "
            "has seen both keeps one.",
            title);
    }
    if (merged->field->merge == CB_MERGE_MULTI) {
        return cb_arena_format(
            &state->arena,
            "'%s' was recorded differently by people who did not know of each "
            "other. Both values are kept; ask, then keep the right one.",
            title);
    }
    return cb_arena_format(
        &state->arena,
        "'%s' was decided differently by people who did not know of each "
        "other. Nothing counts until one is kept.",
        title);
}

/* One choice for each different value, with the entries that say so. */
static void add_choices(cb_case_state *state, cb_issue *draft,
                        const cb_merged *merged)
{
    cb_issue_choice *choices =
        cb_arena_allocate(&state->arena, merged->value_count, sizeof *choices);
    for (size_t v = 0; v < merged->value_count && choices != NULL; v++) {
        cb_hash *heads =
            cb_arena_allocate(&state->arena, merged->head_count, sizeof *heads);
        choices[v].value = merged->values[v];
        choices[v].record = draft->record;
        choices[v].heads = heads;
        for (size_t h = 0; h < merged->head_count && heads != NULL; h++) {
            if (json_equal(merged->heads[h]->value, merged->values[v])) {
                heads[choices[v].head_count] =
                    state->entries[merged->heads[h]->entry].hash;
                choices[v].head_count++;
            }
        }
    }
    draft->choices = choices;
    draft->choice_count = choices != NULL ? merged->value_count : 0;
}

static void report_field(cb_case_state *state, const cb_case_record *record,
                         const cb_merged *merged)
{
    static const char *const kinds[] = {
        [CB_MERGE_UNION] = "field.union",
        [CB_MERGE_PROTECTIVE] = "field.protective",
        [CB_MERGE_MULTI] = "field.multi",
        [CB_MERGE_EXCLUSIVE] = "field.exclusive",
        [CB_MERGE_ONCE] = "field.once",
        [CB_MERGE_FORWARD] = "field.forward",
    };
    size_t *entries =
        cb_arena_allocate(&state->arena, merged->head_count, sizeof *entries);
    if (entries == NULL) {
        return;
    }
    for (size_t i = 0; i < merged->head_count; i++) {
        entries[i] = merged->heads[i]->entry;
    }
    cb_issue draft = { .form = CB_ISSUE_CONFLICT,
                       .kind = kinds[merged->field->merge],
                       .waits_for = "lead",
                       .act = RESOLVE_ACT,
                       .record = record->id,
                       .field = merged->name };
    if (record->about_known) {
        draft.about = record->about;
    }
    if (merged->field->merge == CB_MERGE_ONCE) {
        draft.form = CB_ISSUE_ALERT;
        draft.act = "casebound show {record}";
        draft.sentence = cb_arena_format(
            &state->arena,
            "'%s' was given more than once. The first one counts, the others "
            "are kept as duplicates.",
            merged->field->title);
    } else {
        draft.sentence = merge_sentence(state, merged);
        add_choices(state, &draft, merged);
    }
    (void)cb_case_add_issue(state, &draft, entries, merged->head_count);
}

/* ---------------------------------------------------------------- registers */

/* The entries that hold what a record says in its register, each once. */
static size_t register_entries(const cb_case_record *record, size_t *entries,
                               size_t most)
{
    size_t count = 0;
    cb_words words = cb_words_of(record);
    for (size_t entry = 0; count < most && cb_words_next(&words, &entry);) {
        bool there = false;
        for (size_t i = 0; i < count && !there; i++) {
            there = entries[i] == entry;
        }
        if (!there) {
            entries[count] = entry;
            count++;
        }
    }
    return count;
}

#define REGISTER_ENTRIES_MAX CB_DEPENDENCIES_MAX

static void add_record_choice(cb_case_state *state, cb_issue_choice *choice,
                              const cb_case_record *record,
                              const size_t *entries, size_t count)
{
    cb_hash *heads = cb_arena_allocate(&state->arena, count + 1, sizeof *heads);
    if (heads == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        heads[i] = state->entries[entries[i]].hash;
    }
    choice->record = record->id;
    choice->heads = heads;
    choice->head_count = count;
    choice->value = cb_register_value(record);
    if (choice->value == NULL) {
        char id[CB_IDENTIFIER_TEXT_BYTES];
        cb_hex_format(record->id.bytes, sizeof record->id.bytes, id);
        json_t *text = json_string(id);
        choice->value = text;
        if (json_array_append_new(state->owned, text) != 0) {
            state->arena.failed = true;
        }
    }
}

static void report_register(cb_case_state *state, const cb_register *target)
{
    const register_row *row = find_row(target->type->name);
    size_t entries[REGISTER_ENTRIES_MAX];
    size_t count = 0;
    cb_issue_choice *choices =
        cb_arena_allocate(&state->arena, target->head_count, sizeof *choices);
    if (choices == NULL) {
        return;
    }
    for (size_t i = 0; i < target->head_count; i++) {
        const cb_case_record *record = &state->records[target->heads[i]];
        size_t added = register_entries(record, &entries[count],
                                        REGISTER_ENTRIES_MAX - count);
        add_record_choice(state, &choices[i], record, &entries[count], added);
        count += added;
    }
    const cb_field *field = target->type->register_value;
    cb_issue draft = {
        .form = CB_ISSUE_CONFLICT,
        .kind = target->type->register_merge == CB_MERGE_PROTECTIVE
                    ? "register.protective"
                    : "register.exclusive",
        .row = row->row,
        .waits_for = row->waits_for,
        .act = RESOLVE_ACT,
        .sentence = row->sentence,
        .field = field != NULL ? field->name : "",
        .record = choices[0].record,
        .choices = choices,
        .choice_count = target->head_count,
    };
    if (state->records[target->heads[0]].about_known) {
        draft.about = state->records[target->heads[0]].about;
    }
    (void)cb_case_add_issue(state, &draft, entries, count);
}

cb_status cb_case_find_conflicts(cb_case_state *state, cb_error *reterr_error)
{
    for (size_t r = 0; r < state->record_count; r++) {
        const cb_case_record *record = &state->records[r];
        for (size_t f = 0; f < record->field_count && !record->struck; f++) {
            const cb_merged *merged = &record->fields[f];
            bool twice = merged->field != NULL && merged->value_count > 1 &&
                         merged->field->merge == CB_MERGE_ONCE;
            if (merged->contested || twice) {
                report_field(state, record, merged);
            }
        }
    }
    for (size_t i = 0; i < state->register_count; i++) {
        const cb_register *target = &state->registers[i];
        if (target->contested && !cb_is_consent(target->type)) {
            report_register(state, target);
        }
    }
    return cb_arena_check(&state->arena, reterr_error);
}
