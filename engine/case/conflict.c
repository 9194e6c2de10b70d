/* SPDX-License-Identifier: Apache-2.0 */
/* Values and records that do not agree, by merge class. */
#include "base/json.h"
#include "case/names.h"
#include "case/register.h"

#include <casebound/entry.h>

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

/* A person chooses between few; beyond, a new value is written. */
#define CHOICES_MAX       32
#define SHOWN_BYTES_MAX   256
#define SHOWN_START_BYTES 80

/* The first bytes of a text, whole characters only. */
static json_t *start_of(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t length = text != NULL ? json_string_length(value) : 0;
    size_t start = length < SHOWN_START_BYTES ? length : SHOWN_START_BYTES;
    while (start > 0 && start < length &&
           ((unsigned char)text[start] & 0xC0) == 0x80) {
        start--;
    }
    return json_stringn(text != NULL ? text : "", start);
}

/*
 * A value as an issue shows it: itself where it is short, else its hash and how
 * it starts.  Of what this version does not know only the hash is repeated.
 */
static const json_t *shown_value(cb_case_state *state, const cb_field *field,
                                 const json_t *value)
{
    bool known = field == NULL || json_is_null(value) ||
                 cb_field_check(field, value, NULL) == CB_OK;
    bool small = json_is_string(value)
                     ? json_string_length(value) <= SHOWN_BYTES_MAX
                     : !json_is_array(value) && !json_is_object(value);
    if (known && small) {
        return value;
    }
    char digits[CB_HASH_TEXT_BYTES];
    cb_buffer text;
    cb_hash hash;
    cb_buffer_init(&text, CB_ENTRY_BYTES_MAX * 2);
    bool complete = cb_json_append(value, &text, NULL) == CB_OK;
    if (complete && known && text.size <= SHOWN_BYTES_MAX) {
        cb_buffer_clear(&text);
        return value;
    }
    json_t *shown = NULL;
    if (complete) {
        cb_hash_domain("value", cb_span_of_buffer(&text), &hash);
        cb_hex_format(hash.bytes, sizeof hash.bytes, digits);
        shown = known ? json_pack("{s:s,s:o}", "hash", digits, "start",
                                  start_of(value))
                      : json_pack("{s:s,s:b}", "hash", digits, "newer", 1);
    }
    cb_buffer_clear(&text);
    if (json_array_append_new(state->owned, shown) != 0) {
        state->arena.failed = true;
        return NULL;
    }
    return shown;
}

/* One choice for each different value, with the entries that say so. */
static void add_choices(cb_case_state *state, cb_issue *draft,
                        const cb_merged *merged)
{
    size_t count =
        merged->value_count < CHOICES_MAX ? merged->value_count : CHOICES_MAX;
    cb_issue_choice *choices =
        cb_arena_allocate(&state->arena, count, sizeof *choices);
    for (size_t v = 0; v < count && choices != NULL; v++) {
        cb_hash *heads =
            cb_arena_allocate(&state->arena, merged->head_count, sizeof *heads);
        choices[v].value = merged->values[v];
        choices[v].shown = shown_value(state, merged->field, merged->values[v]);
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
    draft->choice_count = choices != NULL ? count : 0;
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
    choice->shown =
        shown_value(state, record->type->register_value, choice->value);
}

static void report_register(cb_case_state *state, const cb_register *target)
{
    const register_row *row = find_row(target->type->name);
    size_t entries[REGISTER_ENTRIES_MAX];
    size_t count = 0;
    size_t shown =
        target->head_count < CHOICES_MAX ? target->head_count : CHOICES_MAX;
    cb_issue_choice *choices =
        cb_arena_allocate(&state->arena, shown, sizeof *choices);
    if (choices == NULL) {
        return;
    }
    for (size_t i = 0; i < shown; i++) {
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
        .choice_count = shown,
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
