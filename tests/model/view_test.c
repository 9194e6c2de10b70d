/* SPDX-License-Identifier: Apache-2.0 */
/* What the command prints, as documents. */
#include "base/json.h"
#include "support/case_builder.h"
#include "support/expect.h"

#include <casebound/view.h>
#include <stdlib.h>

static const char *name_person(void *context, const cb_person_id *person)
{
    (void)context;
    cb_record_id x = case_id("X");
    return memcmp(person, &x, sizeof x) == 0 ? "J.Lind" : NULL;
}

static const cb_naming naming = { .person = name_person };

/* Story A2, with an offender preparation from paper, entered three days late,
   and a risk corrected. */
static case_book *book_of_story(void)
{
    case_book *book = case_book_prepared();
    case_write(book, "X", "R", "2017-03-12",
               "{'op':'set','record':'@risk','fields':{'overall':'M'}}");
    json_object_set_new(case_body(book, case_count(book) - 1), "why",
                        json_string("new information"));
    size_t late =
        case_write(book, "Y", "O:ben", "2017-03-11T10:40",
                   "{'op':'create','record':'@visit','type':'preparation',"
                   "'about':'@ben','fields':{'limits_explained':true,"
                   "'paper_serial':'P-0412','readiness':'ready'}}");
    case_facts(book)[late].time += (uint64_t)(3 * 86400000) << 16;
    case_write(book, "X", "V:ann", "2017-03-14T14:00",
               "{'op':'create','record':'@withdrawal','type':'consent',"
               "'about':'@ann','fields':{'scope':['direct_meeting'],"
               "'state':'withdrawn'}}");
    case_write(book, "Y", "S", "2017-03-14T14:10",
               "{'op':'create','record':'@plan','type':'plan','fields':"
               "{'method':'face_to_face','date':{'ms':1490698800000,"
               "'precision':'minute'},'participants':['@ann','@ben'],"
               "'state':'scheduled'}}");
    return book;
}

/* The row of a record, by its name in the story. */
static const json_t *find_row(const json_t *rows, const char *name,
                              const char *op)
{
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_record_id record = case_id(name);
    cb_hex_format(record.bytes, sizeof record.bytes, id);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(cb_json_text(row, "record"), id) == 0 &&
            strcmp(cb_json_text(row, "op"), op) == 0) {
            return row;
        }
    }
    cr_assert(false, "no row of %s", name);
    return NULL;
}

static bool is_marked(const json_t *row, const char *mark)
{
    const json_t *marks = cb_json_array(row, "marks");
    for (size_t i = 0; i < json_array_size(marks); i++) {
        if (strcmp(json_string_value(json_array_get(marks, i)), mark) == 0) {
            return true;
        }
    }
    return false;
}

Test(view, timeline_marks_what_was_not_known_late_and_suspended)
{
    case_book *book = book_of_story();
    cb_case_state *state = case_fold(book);
    json_t *document = NULL;
    expect_ok(cb_view_case_timeline(state, &naming, &document, test_error()));
    const json_t *rows = cb_json_array(document, "rows");
    const json_t *withdrawal = find_row(rows, "withdrawal", "create");
    const json_t *plan = find_row(rows, "plan", "create");
    const json_t *visit = find_row(rows, "visit", "create");
    const json_t *risk = find_row(rows, "risk", "set");

    cr_expect(json_array_size(rows) == case_count(book));
    cr_expect(is_marked(withdrawal, "!"));
    cr_expect(!is_marked(withdrawal, "did not know of !"));
    cr_expect(is_marked(plan, "did not know of !"));
    cr_expect(is_marked(plan, "~suspended~"));
    cr_expect(!is_marked(plan, "replaced"));
    cr_expect(is_marked(visit, "+3d"));
    cr_expect(is_marked(visit, "paper P-0412"));
    expect_text(cb_json_text(withdrawal, "who"), "J.Lind");
    expect_text(cb_json_text(withdrawal, "happened"), "2017-03-14T14:00:00Z");
    expect_text(cb_json_text(withdrawal, "about_name"), "Ann Example");
    expect_contains(cb_json_text(withdrawal, "what"), "WITHDRAWN");
    expect_text(cb_json_text(risk, "why"), "new information");
    const json_t *change = json_array_get(cb_json_array(risk, "changes"), 0);
    expect_text(cb_json_text(change, "title"), "Overall level");
    cr_expect(
        strcmp(cb_json_text(change, "was"), cb_json_text(change, "now")) != 0);
    json_decref(document);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(view, timeline_marks_a_plan_that_a_later_one_replaced)
{
    static const char later[] =
        "{'op':'create','record':'@later','type':'plan','fields':"
        "{'method':'face_to_face','date':{'ms':1490788800000,"
        "'precision':'minute'},'participants':['@ann','@ben'],"
        "'state':'scheduled'}}";
    case_book *book = book_of_story();
    case_write(book, "Y", "S", "2017-03-14T14:20", later);
    cb_case_state *state = case_fold(book);
    json_t *document = NULL;
    expect_ok(cb_view_case_timeline(state, &naming, &document, test_error()));
    const json_t *rows = cb_json_array(document, "rows");
    const json_t *first = find_row(rows, "plan", "create");
    const json_t *second = find_row(rows, "later", "create");
    cr_expect(is_marked(first, "replaced") && is_marked(first, "~suspended~"));
    cr_expect(is_marked(second, "~suspended~"));
    cr_expect(!is_marked(second, "replaced"));
    json_decref(document);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(view, case_show_says_state_blocks_waiting_and_proof)
{
    case_book *book = book_of_story();
    cb_case_state *state = case_fold(book);
    json_t *document = NULL;
    int64_t entries = 0;
    expect_ok(cb_view_case_show(state, &naming, &document, test_error()));
    char *text = json_dumps(document, JSON_COMPACT);
    expect_text(cb_json_text(document, "schema"), "casebound.case_show.v1");
    expect_text(cb_json_text(document, "reference"), "RL-2017-00412-7");
    expect_text(cb_json_text(document, "stage"), "post_sentence_community");
    expect_text(cb_json_text(document, "state"),
                "SUSPENDED - CONSENT WITHDRAWN (direct meeting)");
    expect_text(cb_json_text(document, "since"), "2017-03-14T14:00:00Z");
    const json_t *blocked = cb_json_array(document, "blocked");
    expect_text(cb_json_text(json_array_get(blocked, 0), "rule"), "R5");
    expect_contains(text, "Ann Example withdrew consent to direct meeting, "
                          "recorded by J.Lind, 2017-03-14 14:00");
    expect_contains(text, "Cancel the booking");
    expect_contains(text, "casebound amend ");
    cr_expect(strstr(text, "{party:") == NULL);
    cr_expect(strstr(text, "{person:") == NULL);
    const json_t *proof = cb_json_object(document, "proof");
    cr_expect(cb_json_integer(proof, "entries", &entries) &&
              (size_t)entries == case_count(book));
    cr_expect(strlen(cb_json_text(proof, "fingerprint_short")) == 9);
    free(text);
    json_decref(document);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(view, record_show_keeps_struck_values_with_who_and_why)
{
    case_book *book = book_of_story();
    cb_case_state *state = case_fold(book);
    cb_record_id risk = case_id("risk");
    cb_record_id nobody = case_id("nobody");
    json_t *document = NULL;
    expect_ok(
        cb_view_record_show(state, &risk, &naming, &document, test_error()));
    const json_t *fields = cb_json_array(document, "fields");
    bool found = false;
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        const json_t *history = cb_json_array(field, "history");
        if (strcmp(cb_json_text(field, "field"), "overall") != 0) {
            continue;
        }
        found = true;
        cr_assert(json_array_size(history) == 2);
        const json_t *old = json_array_get(history, 0);
        const json_t *new = json_array_get(history, 1);
        expect_text(cb_json_text(old, "value"), "L");
        cr_expect(json_is_true(json_object_get(old, "struck")));
        expect_text(cb_json_text(new, "value"), "M");
        cr_expect(json_is_false(json_object_get(new, "struck")));
        expect_text(cb_json_text(new, "why"), "new information");
        expect_text(cb_json_text(new, "who"), "J.Lind");
    }
    cr_expect(found);
    json_decref(document);
    expect_status(CB_NOT_FOUND, cb_view_record_show(state, &nobody, &naming,
                                                    &document, test_error()));
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(view, knew_tells_apart_what_a_colleague_could_know)
{
    case_book *book = book_of_story();
    cb_case_state *state = case_fold(book);
    cb_record_id id = case_id("Y");
    cb_person_id person;
    json_t *document = NULL;
    memcpy(person.bytes, id.bytes, sizeof person.bytes);
    expect_ok(cb_case_state_knew_document(state, &person,
                                          case_ms("2017-03-14T14:10"), NULL,
                                          &document, test_error()));
    const json_t *known = cb_json_array(document, "known");
    const json_t *unknown = cb_json_array(document, "not_known");
    (void)find_row(known, "plan", "create");
    (void)find_row(known, "consent-ann", "create");
    (void)find_row(unknown, "withdrawal", "create");
    (void)find_row(unknown, "risk", "set");
    json_decref(document);

    /* What nobody had written yet is not held against anybody. */
    int64_t later = 0;
    expect_ok(cb_case_state_knew_document(state, &person,
                                          case_ms("2017-03-14T13:00"), NULL,
                                          &document, test_error()));
    unknown = cb_json_array(document, "not_known");
    (void)find_row(unknown, "risk", "set");
    cr_expect(json_array_size(unknown) == 1);
    cr_expect(cb_json_integer(document, "written_later", &later) && later == 2);
    json_decref(document);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

/* What a store calls a party, which knows one name of each. */
static const char *name_party(void *context, const cb_record_id *party)
{
    (void)party;
    return context;
}

Test(view, a_contested_name_is_shown_with_all_that_is_said)
{
    char one[] = "Ann Exampel";
    const cb_naming of_store = { .context = one, .party = name_party };
    case_book *book = book_of_story();
    case_write(book, "X", "V:ann", "2017-03-14",
               "{'op':'set','record':'@ann','fields':{'name':'Ann Exampel'}}");
    case_write(book, "Y", "V:ann", "2017-03-14",
               "{'op':'set','record':'@ann','fields':{'name':'Ann Hill'}}");
    cb_case_state *state = case_fold(book);
    json_t *document = NULL;
    expect_ok(cb_view_case_show(state, &of_store, &document, test_error()));
    const json_t *rows = cb_json_array(document, "timeline");
    const json_t *withdrawal = find_row(rows, "withdrawal", "create");
    const char *name = cb_json_text(withdrawal, "about_name");
    const json_t *block = json_array_get(cb_json_array(document, "blocked"), 0);
    cr_expect(strcmp(name, "Ann Exampel / Ann Hill") == 0 ||
                  strcmp(name, "Ann Hill / Ann Exampel") == 0,
              "%s", name);
    expect_contains(cb_json_text(block, "sentence"), name);
    json_decref(document);

    case_exchange(book, "X", "Y");
    case_write(book, "Y", "V:ann", "2017-03-15",
               "{'op':'set','record':'@ann','fields':{'name':'Ann Hill'}}");
    cb_case_state_destroy(state);
    state = case_fold(book);
    expect_ok(cb_view_case_show(state, NULL, &document, test_error()));
    rows = cb_json_array(document, "timeline");
    withdrawal = find_row(rows, "withdrawal", "create");
    expect_text(cb_json_text(withdrawal, "about_name"), "Ann Hill");
    json_decref(document);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(view, conflicts_and_tasks_are_listed_apart)
{
    case_book *book = book_of_story();
    case_write(book, "X", "A", "2017-03-14",
               "{'op':'set','record':'@referral','fields':"
               "{'source':'btp'}}");
    case_write(book, "Y", "A", "2017-03-14",
               "{'op':'set','record':'@referral','fields':"
               "{'source':'cps'}}");
    cb_case_state *state = case_fold(book);
    json_t *document = NULL;
    expect_ok(cb_view_conflicts(state, NULL, false, &document, test_error()));
    const json_t *conflicts = cb_json_array(document, "conflicts");
    cr_assert(json_array_size(conflicts) == 1);
    const json_t *one = json_array_get(conflicts, 0);
    cr_expect(json_array_size(cb_json_array(one, "choices")) == 2);
    expect_contains(cb_json_text(one, "act"), "casebound resolve ");
    const cb_issue *found = NULL;
    expect_ok(cb_case_state_find_issue(state, cb_json_text(one, "id"), &found,
                                       test_error()));
    expect_text(found->kind, "field.multi");
    expect_status(CB_INPUT, cb_case_state_find_issue(state, "xyz!", &found,
                                                     test_error()));
    expect_status(CB_NOT_FOUND, cb_case_state_find_issue(
                                    state, "00000000000000000000000000000000",
                                    &found, test_error()));
    json_decref(document);
    expect_ok(cb_view_tasks(state, NULL, false, &document, test_error()));
    cr_expect(json_array_size(cb_json_array(document, "tasks")) == 2);
    json_decref(document);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(view, sentences_fill_only_the_places_they_know)
{
    static const struct {
        const char *sentence;
        const char *wanted;
    } rows[] = {
        { "plain", "plain" },
        { "{ms:1489500000000}", "2017-03-14 14:00" },
        { "{day:1489449600000}", "2017-03-14" },
        { "{party:x} {nothing} {:} {", "{party:x} {nothing} {:} {" },
        { "{person:00112233445566778899aabbccddeeff}", "00112233" },
        { "{ms:99999999999999999999999}", "{ms:99999999999999999999999}" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cb_buffer text;
        cb_buffer_init(&text, 1000);
        cb_sentence_append(rows[i].sentence, NULL, &text);
        expect_text(cb_buffer_text(&text), rows[i].wanted);
        cb_buffer_clear(&text);
    }
}
