/* SPDX-License-Identifier: Apache-2.0 */
/* What a new entry must name, and where persons and records stand. */
#include "base/json.h"
#include "support/case_builder.h"
#include "support/case_twice.h"
#include "support/expect.h"

static json_t *heads_of(const cb_case_state *state)
{
    json_t *groups = NULL;
    expect_ok(cb_case_state_heads(state, &groups, test_error()));
    return groups;
}

static size_t count_heads(const json_t *groups)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(groups); i++) {
        count += json_array_size(
            json_object_get(json_array_get(groups, i), "heads"));
    }
    return count;
}

static bool names(const json_t *groups, const char *class, const cb_fact *fact)
{
    char text[CB_HASH_TEXT_BYTES];
    cb_hex_format(fact->entry.bytes, CB_HASH_BYTES, text);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        const json_t *heads = json_object_get(group, "heads");
        for (size_t k = 0; k < json_array_size(heads); k++) {
            if (strcmp(json_string_value(json_array_get(heads, k)), text) ==
                0) {
                return strcmp(cb_json_text(group, "class"), class) == 0;
            }
        }
    }
    return false;
}

#define NOTE "{'op':'set','record':'@prep-ann','fields':{'notes':'a'}}"
#define EVENT(name)                   \
    "{'op':'create','record':'@" name \
    "','type':'event','fields':{'method':'shuttle'}}"

Test(heads, are_the_newest_that_count_by_compartment)
{
    case_book *book = case_book_prepared();
    size_t event = case_write(book, "X", "S", "2017-03-14", EVENT("e1"));
    size_t note = case_write(book, "X", "V:ann", "2017-03-14", NOTE);
    size_t other = case_write(book, "Y", "S", "2017-03-14", EVENT("e2"));
    cb_case_state *state = case_fold(book);
    json_t *groups = heads_of(state);
    const cb_fact *facts = case_facts(book);
    /* The note builds on the event, but not everybody may read the note. */
    cr_expect(names(groups, "V", &facts[note]));
    cr_expect(names(groups, "S", &facts[event]));
    cr_expect(names(groups, "S", &facts[other]));
    static const char *const classes[] = { "A", "O", "R", "S", "V" };
    cr_assert_eq(json_array_size(groups), 5);
    for (size_t i = 0; i < 5; i++) {
        expect_text(cb_json_text(json_array_get(groups, i), "class"),
                    classes[i]);
        cr_expect((json_object_get(json_array_get(groups, i), "person") !=
                   NULL) == (i == 1 || i == 4));
    }
    json_decref(groups);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(heads, are_never_entries_that_wait_nor_covered_by_such)
{
    case_book *book = case_book_prepared();
    size_t event = case_write(book, "X", "S", "2017-03-14", EVENT("e1"));
    size_t waits = case_write(book, "X", "S", "2017-03-14", EVENT("e2"));
    json_t *deps = json_object_get(case_body(book, waits), "deps");
    json_array_append_new(deps, json_pack("{s:s,s:[s]}", "class", "S", "heads",
                                          "00000000000000000000000000000000"
                                          "00000000000000000000000000000000"));
    cb_case_state *state = case_fold(book);
    cr_expect(cb_case_state_standing(state, waits) == CB_FACT_WAITS);
    json_t *groups = heads_of(state);
    cr_expect(names(groups, "S", &case_facts(book)[event]));
    cr_expect(!names(groups, "S", &case_facts(book)[waits]));
    json_decref(groups);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(heads, of_others_stay_when_one_device_forks_itself_hundreds_of_times)
{
    case_book *book = case_book_prepared();
    cb_fact copies[400];
    json_t *bodies[400];
    size_t honest = case_write(book, "Y", "S", "2017-03-14", EVENT("e1"));
    size_t fork = case_write(book, "X", "S", "2017-03-14", EVENT("e2"));
    size_t count = case_count(book);
    memcpy(copies, case_facts(book), count * sizeof *copies);
    for (size_t i = 0; i < 300; i++) {
        bodies[i] = json_deep_copy(case_body(book, fork));
        copies[count + i] = copies[fork];
        copies[count + i].body = bodies[i];
        memset(copies[count + i].entry.bytes, (int)i, 8);
        copies[count + i].entry.bytes[0] = (uint8_t)(i >> 8);
    }
    cb_case_state *state = NULL;
    expect_ok(case_fold_twice(case_model(book), copies, count + 300, &state,
                              test_error()));
    json_t *groups = heads_of(state);
    cr_expect_eq(count_heads(groups), CB_DEPENDENCIES_MAX);
    cr_expect(names(groups, "S", &copies[honest]));
    cr_expect_eq(json_array_size(groups), 5);
    json_decref(groups);
    cb_case_state_destroy(state);
    for (size_t i = 0; i < 300; i++) {
        json_decref(bodies[i]);
    }
    case_book_destroy(book);
}

Test(heads, of_an_empty_case_are_none)
{
    case_book *book = case_book_create();
    cb_case_state *state = case_fold(book);
    json_t *groups = heads_of(state);
    cr_expect_eq(json_array_size(groups), 0);
    json_decref(groups);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}

Test(standing, tells_sides_and_records)
{
    case_book *book = case_book_prepared();
    cb_case_state *state = case_fold(book);
    cb_record_id ann = case_id("ann");
    cb_record_id ben = case_id("ben");
    cb_record_id consent = case_id("consent-ann");
    cb_record_id referral = case_id("referral");
    cb_record_id nobody = case_id("nobody");
    cb_record_standing found;
    bool ambiguous = true;
    cr_expect_eq(cb_case_state_side(state, &ann, &ambiguous), 'V');
    cr_expect(!ambiguous);
    cr_expect_eq(cb_case_state_side(state, &ben, &ambiguous), 'O');
    cr_expect_eq(cb_case_state_side(state, &nobody, &ambiguous), 0);
    cr_expect_eq(cb_case_state_side(state, &consent, &ambiguous), 0);
    cr_assert(cb_case_state_record(state, &consent, &found));
    expect_text(found.type, "consent");
    cr_expect(found.created && !found.struck);
    cr_expect(found.compartment_class == 'V');
    cr_expect(memcmp(found.about, &ann, sizeof ann) == 0);
    cr_expect(memcmp(found.person, &ann, sizeof ann) == 0);
    cr_assert(cb_case_state_record(state, &referral, &found));
    cr_expect(found.about == NULL && found.person == NULL);
    cr_expect(!cb_case_state_record(state, &nobody, &found));
    cb_case_state_destroy(state);

    case_write(book, "X", "O:ann", "2017-03-14",
               "{'op':'create','record':'@ann','type':'person','fields':"
               "{'role':'offender'}}");
    state = case_fold(book);
    cr_expect_eq(cb_case_state_side(state, &ann, &ambiguous), 0);
    cr_expect(ambiguous);
    cb_case_state_destroy(state);
    case_book_destroy(book);
}
