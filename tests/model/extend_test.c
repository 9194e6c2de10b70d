/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state that grows fact by fact is, after every one of them, byte for byte
 * the state that cb_fold makes of them all: for random histories of every type
 * of record, with conflicts, forks, corrections, strikes, decisions, overrides,
 * things written where they may not be, entries that come late, twice, in
 * quarantine or never.
 */
#include "base/json.h"
#include "support/case_builder.h"
#include "support/case_twice.h"
#include "support/expect.h"

#include <stdlib.h>

#define STEPS       70
#define RECORDS_MAX 256

typedef struct made {
    const cb_type *type;
    const char *place;
    const char *about;
    char name[16];
} made;

typedef struct history {
    case_book *book;
    uint64_t seed;
    made records[RECORDS_MAX];
    size_t record_count;
    cb_fact held[STEPS * 4]; /* as they came in */
    size_t held_count;
    size_t withheld[STEPS * 4]; /* facts that come later */
    size_t withheld_count;
    char unseen; /* class of which this reader gets nothing, or zero */
    cb_case_state *growing;
    size_t extended;
    bool *types; /* of which a record was created by an extension */
} history;

static uint64_t draw(history *one, uint64_t below)
{
    one->seed = one->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (one->seed >> 33) % below;
}

/* ------------------------------------------------------------ random records
 */

static json_t *text_of(const char *start, uint64_t number)
{
    char text[80];
    snprintf(text, sizeof text, "%s%llu", start, (unsigned long long)number);
    return json_string(text);
}

static json_t *id_of(const char *name)
{
    char text[CB_IDENTIFIER_TEXT_BYTES];
    const cb_record_id id = case_id(name);
    cb_hex_format(id.bytes, sizeof id.bytes, text);
    return json_string(text);
}

static json_t *some_record(history *one)
{
    return id_of(one->record_count > 0
                     ? one->records[draw(one, one->record_count)].name
                     : "referral");
}

static json_t *some_code(history *one, const cb_field *field)
{
    return json_string(
        field->codes->codes[draw(one, field->codes->count)].code);
}

static json_t *single(history *one, const cb_field *field)
{
    static const char *const people[] = { "ann", "ben", "dan" };
    switch (field->kind) {
    case CB_FIELD_CODE:
    case CB_FIELD_CODES: return some_code(one, field);
    case CB_FIELD_YESNO: return json_boolean(draw(one, 2));
    case CB_FIELD_INTEGER:
    case CB_FIELD_PENCE:
        return json_integer(field->minimum + (int64_t)draw(one, 3));
    case CB_FIELD_DATE: return text_of("2017-03-1", draw(one, 10));
    case CB_FIELD_WHEN:
        return json_pack("{s:I,s:s}", "ms",
                         (json_int_t)1489000000000 +
                             (json_int_t)draw(one, 20) * 86400000,
                         "precision", draw(one, 2) ? "minute" : "day");
    case CB_FIELD_PERSON:
    case CB_FIELD_PERSONS: return id_of(people[draw(one, 3)]);
    case CB_FIELD_STAFF:
    case CB_FIELD_STAFFS: return id_of(draw(one, 2) ? "X" : "Y");
    case CB_FIELD_RECORD:
    case CB_FIELD_RECORDS: return some_record(one);
    case CB_FIELD_HASH:
        return json_string("00000000000000000000000000000000"
                           "00000000000000000000000000000001");
    case CB_FIELD_LINE:
    case CB_FIELD_TEXT:
    case CB_FIELD_LINES:
    case CB_FIELD_KIND_COUNT: break;
    }
    return text_of("words ", draw(one, 4));
}

static json_t *value_of(history *one, const cb_field *field)
{
    if (draw(one, 25) == 0) {
        return draw(one, 2) ? json_null() : json_string("of a newer version");
    }
    if (!cb_kind_is_set(field->kind)) {
        return single(one, field);
    }
    json_t *set = json_array();
    for (uint64_t i = draw(one, 3); i < 3; i++) {
        json_array_append_new(set, single(one, field));
    }
    return set;
}

static json_t *fields_of(history *one, const cb_type *type, char class)
{
    json_t *fields = json_object();
    const uint64_t much = 1 + draw(one, 4);
    for (size_t i = 0; i < type->field_count; i++) {
        const cb_field *field = &type->fields[i];
        bool here = field->class == CB_CLASS_SIDE ? class == 'V' || class == 'O'
                                                  : class == (char)field->class;
        if ((here || draw(one, 40) == 0) &&
            (field->required || draw(one, 4) < much)) {
            json_object_set_new(fields, field->name, value_of(one, field));
        }
    }
    if (draw(one, 40) == 0) {
        json_object_set_new(fields, "of_a_newer_version", json_integer(1));
    }
    return fields;
}

/* Where a record of a type may be written, or, seldom, somewhere else. */
static made draft_of(history *one, const cb_type *type)
{
    static const char *const places[] = { "V:ann", "O:ben", "S", "R",
                                          "C",     "W",     "A", "V:dan" };
    static const char *const people[] = { "ann", "ben", "dan" };
    made draft = { .type = type };
    uint64_t who = draw(one, 12) < 11 ? draw(one, 2) : 2;
    bool named = type->about == CB_ABOUT_REQUIRED ||
                 (type->about == CB_ABOUT_OPTIONAL && draw(one, 2) == 0);
    cb_class class =
        named || type->about == CB_ABOUT_SELF || type->class != CB_CLASS_SIDE
            ? type->class
            : type->class_without_about;
    draft.about = named ? people[who] : NULL;
    draft.place = places[draw(one, 8)];
    for (size_t i = 0; i < 8 && draw(one, 30) != 0; i++) {
        if (class == CB_CLASS_SIDE
                ? (named || type->about == CB_ABOUT_SELF) && i == who
                : places[i][0] == (char)class && places[i][1] == '\0') {
            draft.place = places[i];
        }
    }
    return draft;
}

static json_t *operation(const char *op, const char *record)
{
    return json_pack("{s:s,s:o}", "op", op, "record", id_of(record));
}

static json_t *create(history *one, made *draft, const char *op)
{
    json_t *made_op = operation(op, draft->name);
    json_object_set_new(made_op, "type", json_string(draft->type->name));
    if (draft->about != NULL) {
        json_object_set_new(made_op, "about", id_of(draft->about));
    }
    json_object_set_new(made_op, "fields",
                        fields_of(one, draft->type, draft->place[0]));
    return made_op;
}

static json_t *new_record(history *one, const char **ret_place)
{
    const cb_model *model = case_model(one->book);
    made draft = draft_of(
        one, cb_model_type_at(model, draw(one, cb_model_type_count(model))));
    /* Types that much depends on, more often. */
    static const char *const often[] = { "consent", "contact", "plan",
                                         "event",   "closure", "preparation" };
    if (draw(one, 2) == 0) {
        draft = draft_of(one, cb_model_type(model, often[draw(one, 6)]));
    }
    snprintf(draft.name, sizeof draft.name, "r%zu", one->record_count);
    if (draft.type->about == CB_ABOUT_SELF && draw(one, 3) == 0) {
        snprintf(draft.name, sizeof draft.name, "dan");
        draft.place = "V:dan";
    }
    one->records[one->record_count] = draft;
    one->record_count++;
    *ret_place = draft.place;
    return create(one, &draft, "create");
}

static json_t *change_record(history *one, const char **ret_place)
{
    static const char *const rules[] = { "R3", "R5", "R9", "R99" };
    made *target = &one->records[draw(one, one->record_count)];
    *ret_place = target->place;
    json_t *op = NULL;
    switch (draw(one, 12)) {
    case 0: return operation("strike", target->name);
    case 1: return create(one, target, "create");
    case 2: return create(one, target, "part");
    case 3:
        op = operation("override", target->name);
        json_object_set_new(op, "rule", json_string(rules[draw(one, 4)]));
        return op;
    case 4: return operation("from_a_newer_version", target->name);
    case 5: return operation("set", "nobody-ever-made-this");
    default: break;
    }
    op = operation("set", target->name);
    json_object_set_new(op, "fields",
                        fields_of(one, target->type, target->place[0]));
    return op;
}

/* Decides one of the open conflicts, as this reader sees them. */
static json_t *decide(history *one, const char **ret_place)
{
    size_t count = cb_case_state_issue_count(one->growing);
    for (size_t i = 0; i < count; i++) {
        const cb_issue *issue =
            cb_case_state_issue(one->growing, (i + draw(one, count)) % count);
        json_t *op = NULL;
        cb_record_standing standing;
        if (!issue->open || issue->choice_count == 0 ||
            !cb_case_state_record(one->growing, &issue->record, &standing)) {
            continue;
        }
        expect_ok(cb_case_state_resolution(one->growing, issue,
                                           draw(one, issue->choice_count), &op,
                                           test_error()));
        for (size_t r = 0; r < one->record_count; r++) {
            cb_record_id id = case_id(one->records[r].name);
            if (memcmp(&id, &issue->record, sizeof id) == 0) {
                *ret_place = one->records[r].place;
                return op;
            }
        }
        json_decref(op);
    }
    return NULL;
}

/* ---------------------------------------------------------------- the test */

static void compare(history *one, size_t step)
{
    char label[64];
    cb_case_state *folded = NULL;
    expect_ok(cb_fold(case_model(one->book), one->held, one->held_count,
                      &folded, test_error()));
    snprintf(label, sizeof label, "step %zu", step);
    case_expect_same(one->growing, folded, label);
    const char *sentences[2] = { "", "" };
    cb_verdict_list *verdicts[2];
    for (size_t i = 0; i < 2; i++) {
        verdicts[i] = case_ask(one->book, i == 0 ? one->growing : folded,
                               "event", NULL, "2017-04-01T12:00", "facilitator",
                               "{'method':'face_to_face','held':'held',"
                               "'participants':['@ann','@ben']}");
        (void)case_outcome(verdicts[i], "R5", &sentences[i]);
    }
    cr_expect_str_eq(sentences[0], sentences[1], "%s", label);
    cb_verdict_list_destroy(verdicts[0]);
    cb_verdict_list_destroy(verdicts[1]);
    cb_case_state_destroy(folded);
}

static void take(history *one, const cb_fact *fact)
{
    bool extended = false;
    one->held[one->held_count] = *fact;
    one->held_count++;
    if (one->growing != NULL) {
        expect_ok(cb_fold_extend(one->growing, fact, &extended, test_error()));
    }
    if (!extended) {
        cb_case_state_destroy(one->growing);
        one->growing = NULL;
        expect_ok(cb_fold(case_model(one->book), one->held, one->held_count,
                          &one->growing, test_error()));
    }
    one->extended += extended ? 1 : 0;
    const json_t *op = json_array_get(json_object_get(fact->body, "ops"), 0);
    const char *type = cb_json_text(op, "type");
    for (size_t i = 0; extended && type != NULL &&
                       i < cb_model_type_count(case_model(one->book));
         i++) {
        one->types[i] =
            one->types[i] ||
            strcmp(cb_model_type_at(case_model(one->book), i)->name, type) == 0;
    }
}

/* A fact reaches this reader: at once, later, twice, in quarantine, never. */
static void arrive(history *one, size_t fact)
{
    cb_fact *facts = case_facts(one->book);
    const char *class =
        cb_json_text(json_object_get(facts[fact].body, "compartment"), "class");
    if (class[0] == one->unseen) {
        return;
    }
    if (draw(one, 16) == 0) {
        one->withheld[one->withheld_count] = fact;
        one->withheld_count++;
        return;
    }
    facts[fact].admitted = facts[fact].admitted && draw(one, 60) != 0;
    take(one, &facts[fact]);
    if (draw(one, 60) == 0) {
        take(one, &facts[fact]);
    }
    if (one->withheld_count > 0 && draw(one, 3) == 0) {
        one->withheld_count--;
        take(one, &facts[one->withheld[one->withheld_count]]);
    }
}

static void step(history *one)
{
    static const char *const devices[] = { "H", "X", "Y", "Z" };
    const char *device = devices[draw(one, 4)];
    const char *place = NULL;
    const bool knows_all = draw(one, 4) != 0;
    for (size_t i = 0; i < 4 && knows_all; i++) {
        case_exchange(one->book, device, devices[i]);
    }
    json_t *op =
        draw(one, 6) == 0 && one->growing != NULL ? decide(one, &place) : NULL;
    if (op == NULL) {
        op = one->record_count == 0 || draw(one, 2) == 0
                 ? new_record(one, &place)
                 : change_record(one, &place);
    }
    json_t *ops = json_pack("[o]", op);
    const char *ignored = NULL;
    if (draw(one, 8) == 0) {
        json_array_append_new(ops, change_record(one, &ignored));
    }
    char *text = json_dumps(ops, 0);
    size_t fact =
        case_write(one->book, device, place, "2017-03-14T14:00", text);
    if (draw(one, 60) == 0) { /* as if the device had been copied */
        case_facts(one->book)[fact].seq--;
    }
    free(text);
    json_decref(ops);
    arrive(one, fact);
}

static size_t run_history(uint64_t seed, bool *types)
{
    history *one = calloc(1, sizeof *one);
    cr_assert(one != NULL);
    one->seed = seed;
    one->types = types;
    one->book = case_book_prepared();
    one->unseen = draw(one, 3) == 0 ? 'R' : '\0';
    case_exchange(one->book, "H", "Z");
    case_role(one->book, "X", "supervisor");
    case_role(one->book, "Y", "coordinator");
    case_role(one->book, "Z", "designated_lead");
    for (size_t i = 0; i < case_count(one->book); i++) {
        arrive(one, i);
    }
    for (size_t i = 0; i < STEPS; i++) {
        step(one);
        compare(one, i);
        cr_assert(one->held_count < STEPS * 3, "too many facts");
    }
    const size_t extended = one->extended;
    cb_case_state_destroy(one->growing);
    case_book_destroy(one->book);
    free(one);
    return extended;
}

#define HISTORIES 10

Test(extend, comes_to_the_same_as_a_fold_after_every_fact, .timeout = 600)
{
    const char *given = getenv("CB_TEST_SEED");
    const char *rounds = getenv("CB_TEST_ROUNDS");
    const uint64_t first = given != NULL ? strtoull(given, NULL, 10) : 1;
    const uint64_t histories =
        rounds != NULL ? strtoull(rounds, NULL, 10) : HISTORIES;
    bool types[256] = { false };
    size_t extended = 0;
    size_t created = 0;
    for (uint64_t i = 0; i < histories; i++) {
        fprintf(stderr, "CB_TEST_SEED=%llu\n", (unsigned long long)(first + i));
        extended += run_history(first + i, types);
    }
    for (size_t i = 0; i < 256; i++) {
        created += types[i] ? 1 : 0;
    }
    /* Else this would prove little. */
    cr_expect(extended > histories * STEPS / 4, "%zu facts were extended with",
              extended);
    cr_expect(created > 20 || histories < HISTORIES, "%zu types", created);
    fprintf(stderr, "%zu of %zu, %zu types\n", extended,
            (size_t)histories * STEPS, created);
}
