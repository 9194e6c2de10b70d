/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the case model: read from a person's words, held to one form
 * wherever they come from, and ranked.
 */
#include "support/expect.h"

#include <casebound/model.h>

static cb_model *model;

static void create(void)
{
    expect_ok(cb_model_create_builtin(&model, test_error()));
}

static void destroy(void)
{
    cb_model_destroy(model);
}

TestSuite(model_value, .init = create, .fini = destroy);

#define ID   "00112233445566778899aabbccddeeff"
#define HASH ID ID

static const cb_field *field_of(const char *type, const char *name)
{
    const cb_type *found = cb_model_type(model, type);
    cr_assert_not_null(found, "no type %s", type);
    const cb_field *field = cb_type_field(found, name);
    cr_assert_not_null(field, "no field %s.%s", type, name);
    return field;
}

static const struct {
    const char *type;
    const char *field;
    const char *words;
    const char *stored; /* compact JSON, or NULL where it is refused */
} parsed[] = {
    { "consent", "state", "withdrawn", "\"withdrawn\"" },
    { "consent", "state", " WITHDRAWN ", "\"withdrawn\"" },
    { "consent", "state", "withdrew", NULL },
    { "consent", "state", "", NULL },
    { "consent", "scope", "direct_meeting", "[\"direct_meeting\"]" },
    { "consent", "scope", "video, indirect ,video,direct-meeting,",
      "[\"direct_meeting\",\"indirect\",\"video\"]" },
    { "consent", "scope", "Meeting by video", "[\"video\"]" },
    { "consent", "scope", "video,everything", NULL },
    { "consent", "scope", ",", NULL },
    { "consent", "capacity_checked", "Yes", "true" },
    { "consent", "capacity_checked", "n", "false" },
    { "consent", "capacity_checked", "perhaps", NULL },
    { "consent", "paper_serial", "P-0412", "\"P-0412\"" },
    { "consent", "paper_serial", "two\nlines", NULL },
    { "consent", "paper_serial", "\xff", NULL },
    { "consent", "paper_serial", "\x1b[31m", NULL },
    { "consent", "paper_serial", "123456789012345678901234567890123", NULL },
    { "consent", "paper_serial", "", "null" },
    { "consent", "given_on", "2017-03-14", "\"2017-03-14\"" },
    { "consent", "given_on", "14/03/2017", "\"2017-03-14\"" },
    { "consent", "given_on", "1.3.2017", "\"2017-03-01\"" },
    { "consent", "given_on", "14 March 2017", "\"2017-03-14\"" },
    { "consent", "given_on", "Mar 2017", "\"2017-03\"" },
    { "consent", "given_on", "2017", "\"2017\"" },
    { "consent", "given_on", "29/02/2016", "\"2016-02-29\"" },
    { "consent", "given_on", "29/02/2017", NULL },
    { "consent", "given_on", "03/14/2017", NULL },
    { "consent", "given_on", "14/03/17", NULL },
    { "consent", "given_on", "0000-00-00", NULL },
    { "consent", "given_on", "9999", NULL },
    { "consent", "given_on", "yesterday", NULL },
    { "consent", "signature_image", HASH, "\"" HASH "\"" },
    { "consent", "signature_image", ID, NULL },
    { "consent", "own_words", "One.\r\nTwo.\rThree.",
      "\"One.\\nTwo.\\nThree.\"" },
    { "person", "name", "Mx \xc3\x86sc", "\"Mx \xc3\x86sc\"" },
    { "person", "aliases", "B, A,B", "[\"A\",\"B\"]" },
    { "person", "guardian", ID, "\"" ID "\"" },
    { "person", "guardian", "Ann", NULL },
    { "person", "establishment", "HMP Elsewhere", "\"HMP Elsewhere\"" },
    { "person", "establishment", "pentonville", "\"HMP Pentonville\"" },
    { "person", "establishment", "hmp wormwood scrubs",
      "\"HMP Wormwood Scrubs\"" },
    { "plan", "date", "2017-03-28 13:00Z",
      "{\"ms\":1490706000000,\"precision\":\"minute\"}" },
    { "plan", "date", "2017-03",
      "{\"ms\":1488326400000,\"precision\":\"month\"}" },
    { "plan", "date", "tomorrow", NULL },
    { "plan", "participants", ID, "[\"" ID "\"]" },
    { "contact", "minutes", "14", "14" },
    { "contact", "minutes", "-1", NULL },
    { "contact", "minutes", "1441", NULL },
    { "contact", "minutes", "99999999999999999999999999", NULL },
    { "contact", "minutes", "14.5", NULL },
    { "agreement_item", "amount", "12.50", "1250" },
    { "agreement_item", "amount",
      "\xc2\xa3"
      "1200",
      "120000" },
    { "agreement_item", "amount", "12.5", NULL },
    { "agreement_item", "amount", "1e9", NULL },
    { "agreement_item", "amount", "-3", NULL },
    { "risk_assessment", "overall", "very high", "\"VH\"" },
    { "risk_assessment", "overall", "vh", "\"VH\"" },
    { "referral", "offence_borough", "Kingston upon Thames",
      "\"kingston_upon_thames\"" },
    { "referral", "flags", "Hate, race", "[\"hate_race\"]" },
};

Test(model_value, reads_a_persons_words_into_one_form)
{
    for (size_t i = 0; i < sizeof parsed / sizeof parsed[0]; i++) {
        const cb_field *field = field_of(parsed[i].type, parsed[i].field);
        json_t *value = NULL;
        cb_error_clear(test_error());
        cb_status status =
            cb_field_parse(field, parsed[i].words, NULL, &value, test_error());
        char *stored = value == NULL
                           ? NULL
                           : json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS |
                                                   JSON_ENCODE_ANY);
        cr_expect((stored == NULL) == (parsed[i].stored == NULL) &&
                      (stored == NULL || strcmp(stored, parsed[i].stored) == 0),
                  "%s=%s gives %s (%s)", parsed[i].field, parsed[i].words,
                  stored == NULL ? "nothing" : stored, test_describe(status));
        if (status != CB_OK) {
            cr_expect(
                test_error()->what[0] != '\0' &&
                    strcmp(test_error()->meaning, "nothing was recorded") == 0,
                "row %zu: %s", i, test_describe(status));
        }
        free(stored);
        json_decref(value);
    }
}

Test(model_value, names_the_nearest_code_and_lists_the_others)
{
    json_t *value = NULL;

    expect_status(CB_INPUT,
                  cb_field_parse(field_of("consent", "state"), "withdrwn", NULL,
                                 &value, test_error()));

    expect_text(test_error()->what, "'withdrwn' is not a code for 'state'");
    expect_text(test_error()->next, "did you mean 'withdrawn'? The codes are: "
                                    "given, refused, withdrawn");
}

Test(model_value, does_not_repeat_what_was_given_for_a_personal_field)
{
    json_t *value = NULL;

    expect_status(CB_INPUT, cb_field_parse(field_of("person", "date_of_birth"),
                                           "the day Ann Example was born", NULL,
                                           &value, test_error()));

    cr_expect_null(strstr(test_error()->what, "Ann"));
    cr_expect_null(strstr(test_error()->next, "Ann"));
}

Test(model_value, refuses_a_note_of_ten_megabytes_quickly)
{
    const size_t size = 10u * 1000 * 1000;
    char *note = malloc(size + 1);
    json_t *value = NULL;
    static const char *const fields[] = { "summary", "by", "channel" };

    memset(note, 'a', size);
    note[size] = '\0';
    for (size_t i = 0; i < 3; i++) {
        cb_error_clear(test_error());
        cb_status status = cb_field_parse(field_of("contact", fields[i]), note,
                                          NULL, &value, test_error());
        cr_expect(status == CB_LIMIT || status == CB_INPUT, "%s",
                  test_describe(status));
    }
    expect_status(CB_LIMIT, cb_field_parse(field_of("contact", "summary"), note,
                                           NULL, &value, test_error()));
    memset(note, ',', size);
    expect_status(CB_INPUT, cb_field_parse(field_of("consent", "scope"), note,
                                           NULL, &value, test_error()));
    cr_expect_null(value);
    free(note);
}

Test(model_value, takes_text_to_its_limit_and_no_further)
{
    char *note = malloc(CB_TEXT_BYTES_MAX + 2);
    json_t *value = NULL;
    const cb_field *field = field_of("contact", "summary");

    memset(note, 'a', CB_TEXT_BYTES_MAX + 1);
    note[CB_TEXT_BYTES_MAX] = '\0';
    expect_ok(cb_field_parse(field, note, NULL, &value, test_error()));
    json_decref(value);
    note[CB_TEXT_BYTES_MAX] = 'a';
    note[CB_TEXT_BYTES_MAX + 1] = '\0';
    expect_status(CB_LIMIT,
                  cb_field_parse(field, note, NULL, &value, test_error()));
    free(note);
}

/* A caller that knows one person and one moment. */
static cb_status resolve_reference(void *context, const cb_field *field,
                                   const char *text,
                                   char ret_id[CB_HASH_TEXT_BYTES],
                                   cb_error *error)
{
    (void)field;
    if (strcmp(text, context) != 0)
        return cb_error_set(error, CB_NOT_FOUND, "nobody is called so");
    memcpy(ret_id, ID, sizeof ID);
    return CB_OK;
}

static cb_status resolve_moment(void *context, const char *text,
                                int64_t *ret_ms, const char **ret_precision,
                                cb_error *error)
{
    (void)context;
    if (strcmp(text, "yesterday") != 0)
        return cb_error_set(error, CB_INPUT, "no such day");
    /* 30 June 2017, 23:30 UTC: the first of July in London. */
    *ret_ms = 1498865400000;
    *ret_precision = "day";
    return CB_OK;
}

Test(model_value, asks_the_caller_about_people_and_moments)
{
    char known[] = "V1";
    const cb_model_resolver resolver = { .context = known,
                                         .reference = resolve_reference,
                                         .moment = resolve_moment };
    json_t *value = NULL;

    expect_ok(cb_field_parse(field_of("plan", "participants"), "V1,V1",
                             &resolver, &value, test_error()));
    cr_expect_eq(json_array_size(value), 1u);
    json_decref(value);
    expect_ok(cb_field_parse(field_of("consent", "given_on"), "yesterday",
                             &resolver, &value, test_error()));
    expect_text(json_string_value(value), "2017-07-01");
    json_decref(value);
    expect_ok(cb_field_parse(field_of("plan", "date"), "yesterday", &resolver,
                             &value, test_error()));
    cr_expect_eq(json_integer_value(json_object_get(value, "ms")),
                 1498865400000);
    json_decref(value);
    /* An id that the caller does not know is refused, well formed or not. */
    expect_status(CB_NOT_FOUND,
                  cb_field_parse(field_of("plan", "participants"), ID,
                                 &resolver, &value, test_error()));
    expect_text(test_error()->meaning, "nothing was recorded");
}

static const struct {
    const char *type;
    const char *field;
    const char *value; /* JSON in an array of one */
    cb_status want;
} checked[] = {
    { "consent", "state", "[\"given\"]", CB_OK },
    { "consent", "state", "[\"Given\"]", CB_INPUT },
    { "consent", "state", "[\"newer_code\"]", CB_INPUT },
    { "consent", "state", "[7]", CB_INPUT },
    { "consent", "state", "[null]", CB_INPUT },
    { "consent", "state", "[[\"given\"]]", CB_INPUT },
    { "consent", "scope", "[[\"indirect\",\"video\"]]", CB_OK },
    { "consent", "scope", "[[\"video\",\"indirect\"]]", CB_INPUT },
    { "consent", "scope", "[[\"video\",\"video\"]]", CB_INPUT },
    { "consent", "scope", "[[]]", CB_INPUT },
    { "consent", "scope", "[[7]]", CB_INPUT },
    { "consent", "scope", "[{}]", CB_INPUT },
    { "consent", "scope", "[\"video\"]", CB_INPUT },
    { "consent", "capacity_checked", "[true]", CB_OK },
    { "consent", "capacity_checked", "[1]", CB_INPUT },
    { "consent", "capacity_checked", "[\"true\"]", CB_INPUT },
    { "consent", "paper_serial", "[\"\"]", CB_INPUT },
    { "consent", "paper_serial", "[\"a\\nb\"]", CB_INPUT },
    { "consent", "paper_serial", "[\"a\\u0085b\"]", CB_INPUT },
    { "consent", "paper_serial", "[\"a\\u2028b\"]", CB_INPUT },
    { "consent", "own_words", "[\"a\\nb\"]", CB_OK },
    { "consent", "own_words", "[\"a\\u001bb\"]", CB_INPUT },
    { "consent", "own_words", "[\"a\\rb\"]", CB_INPUT },
    { "consent", "given_on", "[\"2017-02-29\"]", CB_INPUT },
    { "consent", "given_on", "[\"2017-2-9\"]", CB_INPUT },
    { "consent", "given_on", "[\"2017-03-14T10:00\"]", CB_INPUT },
    { "consent", "given_on", "[20170314]", CB_INPUT },
    { "consent", "signature_image", "[\"ABCD\"]", CB_INPUT },
    { "person", "guardian", "[\"00112233445566778899AABBCCDDEEFF\"]",
      CB_INPUT },
    { "plan", "date", "[{\"ms\":1490706000000,\"precision\":\"minute\"}]",
      CB_OK },
    { "plan", "date", "[{\"ms\":1490706000000,\"precision\":\"hour\"}]",
      CB_INPUT },
    { "plan", "date", "[{\"ms\":9223372036854775807,\"precision\":\"day\"}]",
      CB_INPUT },
    { "plan", "date", "[{\"ms\":-9223372036854775807,\"precision\":\"day\"}]",
      CB_INPUT },
    { "plan", "date",
      "[{\"ms\":1490706000000,\"precision\":\"day\",\"zone\":1}]", CB_INPUT },
    { "plan", "date", "[\"2017\"]", CB_INPUT },
    { "contact", "minutes", "[1440]", CB_OK },
    { "contact", "minutes", "[1441]", CB_INPUT },
    { "contact", "minutes", "[\"14\"]", CB_INPUT },
    { "agreement_item", "amount", "[100000000]", CB_OK },
    { "agreement_item", "amount", "[100000001]", CB_INPUT },
};

Test(model_value, holds_values_from_anywhere_to_their_form)
{
    for (size_t i = 0; i < sizeof checked / sizeof checked[0]; i++) {
        json_t *array = json_loads(checked[i].value, 0, NULL);
        cr_assert_not_null(array, "row %zu is not JSON", i);
        cb_error_clear(test_error());
        cb_status status =
            cb_field_check(field_of(checked[i].type, checked[i].field),
                           json_array_get(array, 0), test_error());
        cr_expect(status == checked[i].want, "%s %s gives %s", checked[i].field,
                  checked[i].value, test_describe(status));
        json_decref(array);
    }
    cr_expect(cb_field_check(field_of("consent", "state"), NULL, NULL) ==
              CB_INPUT);
}

Test(model_value, refuses_a_string_with_a_zero_or_bad_bytes_inside)
{
    const cb_field *field = field_of("contact", "summary");
    json_t *zero = json_stringn_nocheck("a\0b", 3);
    json_t *overlong = json_stringn_nocheck("a\xc0\x80"
                                            "b",
                                            4);
    json_t *surrogate = json_stringn_nocheck("\xed\xa0\x80", 3);
    json_t *cut = json_stringn_nocheck("\xe2\x82", 2);
    json_t *code = json_stringn_nocheck("given\0x", 7);

    expect_status(CB_INPUT, cb_field_check(field, zero, test_error()));
    expect_status(CB_INPUT, cb_field_check(field, overlong, test_error()));
    expect_status(CB_INPUT, cb_field_check(field, surrogate, test_error()));
    expect_status(CB_INPUT, cb_field_check(field, cut, test_error()));
    expect_status(CB_INPUT, cb_field_check(field_of("consent", "state"), code,
                                           test_error()));
    json_decref(zero);
    json_decref(overlong);
    json_decref(surrogate);
    json_decref(cut);
    json_decref(code);
}

Test(model_value, bounds_the_members_of_a_set_and_their_sum)
{
    const cb_field *field = field_of("plan", "participants");
    const cb_field *assets = field_of("prison_visit", "assets");
    json_t *ids = json_array();
    json_t *lines = json_array();
    char text[CB_LINE_BYTES_MAX + 1];

    for (size_t i = 0; i <= field->items_max; i++) {
        snprintf(text, sizeof text, "%032zx", i);
        json_array_append_new(ids, json_string(text));
    }
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < 40; i++) {
        snprintf(text, 9, "%08zu", i);
        text[8] = 'a';
        text[CB_LINE_BYTES_MAX] = '\0';
        json_array_append_new(lines, json_string(text));
    }

    expect_status(CB_LIMIT, cb_field_check(field, ids, test_error()));
    json_array_remove(ids, field->items_max);
    expect_ok(cb_field_check(field, ids, test_error()));
    expect_status(CB_LIMIT, cb_field_check(assets, lines, test_error()));
    json_decref(ids);
    json_decref(lines);
}

Test(model_value, holds_a_record_to_its_type)
{
    static const struct {
        const char *fields;
        bool complete;
        cb_status want;
    } rows[] = {
        { "{\"scope\":[\"video\"],\"state\":\"given\"}", true, CB_OK },
        { "{\"state\":\"given\"}", true, CB_INPUT },
        { "{\"state\":\"given\"}", false, CB_OK },
        { "{}", false, CB_OK },
        { "{}", true, CB_INPUT },
        { "{\"state\":null}", false, CB_INPUT },
        { "{\"expires\":null}", false, CB_OK },
        { "{\"scope\":[\"video\"],\"state\":\"given\",\"expires\":null}", true,
          CB_INPUT },
        { "{\"mood\":\"good\"}", false, CB_INPUT },
        { "{\"State\":\"given\"}", false, CB_INPUT },
        { "{\"state\":\"sold\"}", false, CB_INPUT },
        { "[]", false, CB_INPUT },
    };

    const cb_type *consent = cb_model_type(model, "consent");
    json_t *many = json_object();

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *fields = json_loads(rows[i].fields, 0, NULL);
        cb_error_clear(test_error());
        cb_status status =
            cb_type_check(consent, fields, rows[i].complete, test_error());
        cr_expect(status == rows[i].want, "%s gives %s", rows[i].fields,
                  test_describe(status));
        json_decref(fields);
    }
    for (int i = 0; i <= CB_FIELDS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        json_object_set_new(many, name, json_true());
    }
    expect_status(CB_LIMIT, cb_type_check(consent, many, false, test_error()));
    json_decref(many);
}

Test(model_value, ranks_from_least_to_most_protective)
{
    static const struct {
        const char *type;
        const char *field;
        const char *rising; /* JSON array; each outranks the one before */
    } rows[] = {
        { "consent", "state", "[null,\"given\",\"refused\",\"withdrawn\"]" },
        { "consent", "expires", "[\"2018-01-01\",\"2017-12-31\",\"2016\"]" },
        { "consent", "capacity_checked", "[true,false]" },
        { "person", "do_not_contact", "[false,true]" },
        { "contact_route", "safe", "[true,false]" },
        { "acknowledgement", "level", "[\"full\",\"partial\",\"none\"]" },
        { "risk_assessment", "overall", "[\"L\",\"M\",\"H\",\"VH\"]" },
        { "safeguarding_concern", "status", "[\"closed\",\"open\"]" },
        { "offence_link", "order_expiry", "[\"2017\",\"2018-01\"]" },
        { "practitioner", "caseload_max", "[12,11,2]" },
        { "case_stage", "stage",
          "[\"charged_pre_plea\",\"post_sentence_custody\",\"on_licence\"]" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cb_field *field = field_of(rows[i].type, rows[i].field);
        json_t *values = json_loads(rows[i].rising, 0, NULL);
        for (size_t a = 0; a < json_array_size(values); a++) {
            for (size_t b = 0; b < json_array_size(values); b++) {
                int order = cb_field_compare(field, json_array_get(values, a),
                                             json_array_get(values, b));
                cr_expect((order > 0) - (order < 0) == (a > b) - (a < b),
                          "%s: %zu against %zu gives %d", rows[i].field, a, b,
                          order);
            }
        }
        json_decref(values);
    }
}

/* Whoever cannot judge a newer version's word must not take it for a yes. */
Test(model_value, ranks_an_unknown_value_above_all_known_ones)
{
    const cb_field *field = field_of("consent", "state");
    json_t *known = json_string("withdrawn");
    json_t *newer = json_string("revoked_by_court");
    json_t *other = json_pack("{s:i}", "state", 3);

    cr_expect_gt(cb_field_compare(field, newer, known), 0);
    cr_expect_lt(cb_field_compare(field, known, newer), 0);
    cr_expect_gt(cb_field_compare(field, other, known), 0);
    cr_expect_neq(cb_field_compare(field, other, newer), 0);
    cr_expect_eq(cb_field_compare(field, newer, other) > 0,
                 cb_field_compare(field, other, newer) < 0);
    cr_expect_eq(cb_field_compare(field, newer, newer), 0);
    cr_expect_gt(cb_field_compare(field, newer, NULL), 0);
    cr_expect_eq(cb_field_compare(field, NULL, NULL), 0);
    json_decref(known);
    json_decref(newer);
    json_decref(other);
}

/* Jansson's memory, of which the nth piece is not to be had. */
static size_t allocations_left;

static void *allocate_some(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(size);
}

/* One of everything that makes a value; true where all of it was made. */
static bool make_everything(void)
{
    static const struct {
        const char *type;
        const char *field;
        const char *words;
    } rows[] = {
        { "consent", "scope", "video,indirect" },
        { "consent", "scope", "video" },
        { "consent", "own_words", "One.\r\nTwo." },
        { "consent", "given_on", "14/03/2017" },
        { "plan", "date", "2017-03-28 13:00Z" },
        { "plan", "participants", ID },
        { "contact", "minutes", "14" },
        { "person", "aliases", "B,A,B" },
    };

    bool whole = true;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *value = NULL;
        whole = cb_field_parse(field_of(rows[i].type, rows[i].field),
                               rows[i].words, NULL, &value, NULL) == CB_OK &&
                whole;
        json_decref(value);
    }
    json_t *types = cb_model_types_document(model);
    json_t *type = cb_model_type_document(cb_model_type(model, "consent"));
    whole = whole && types != NULL && type != NULL;
    json_decref(types);
    json_decref(type);
    return whole;
}

Test(model_value, gives_up_cleanly_wherever_memory_runs_out)
{
    size_t most = 0;
    bool whole = false;

    json_set_alloc_funcs(allocate_some, free);
    while (!whole && most < 100000) {
        allocations_left = most++;
        whole = make_everything();
    }
    json_set_alloc_funcs(malloc, free);

    cr_expect(whole);
    cr_expect_gt(most, 100u, "only %zu pieces of memory", most);
}
