/* SPDX-License-Identifier: Apache-2.0 */
/* Records and values of the case model, put into words for people. */
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

TestSuite(model_words, .init = create, .fini = destroy);

#define ID "00112233445566778899aabbccddeeff"

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
    const char *fields;
    const char *line;
} summaries[] = {
    { "consent", "{\"scope\":[\"direct_meeting\"],\"state\":\"withdrawn\"}",
      "Consent WITHDRAWN: direct_meeting" },
    { "consent", "{\"scope\":[\"indirect\",\"video\"],\"state\":\"given\"}",
      "Consent GIVEN: indirect, video" },
    { "consent", "{\"state\":\"newly_made\"}", "Consent NEWLY_MADE: -" },
    { "referral",
      "{\"source\":\"prison_omu\",\"received\":\"2017-02-02\","
      "\"made\":\"2017-02-01\"}",
      "Referral received (Prison OMU), made 1 Feb 2017" },
    { "contact",
      "{\"channel\":\"telephone\",\"outcome\":\"spoke\",\"minutes\":14}",
      "Contact by telephone: spoke, 14 min" },
    { "contact", "{\"channel\":\"letter\",\"outcome\":\"no_answer\"}",
      "Contact by letter: no answer" },
    { "contact", "{\"channel\":\"in_person\",\"outcome\":\"spoke\"}",
      "Contact in person: spoke" },
    { "plan",
      "{\"method\":\"face_to_face_prison\",\"date\":{\"ms\":1490706000000,"
      "\"precision\":\"minute\"},\"venue\":\"Chapel\"}",
      "Face to face in prison set for 28 Mar 2017 14:00 at Chapel" },
    { "event",
      "{\"method\":\"face_to_face\",\"held\":\"held\",\"apology\":false}",
      "Face to face HELD" },
    { "agreement_item", "{\"kind\":\"restitution\",\"amount\":1250}",
      "Agreed: restitution, \xc2\xa3"
      "12.50" },
    { "risk_assessment",
      "{\"stage\":\"second\",\"overall\":\"H\",\"valid_until\":\"2017-04\"}",
      "Risk second: HIGH, valid until Apr 2017" },
    { "allocation", "{\"lead\":\"" ID "\"}", "Allocated to 00112233" },
    { "service", "{\"provider\":\"Line one\\nline two\"}",
      "Service: Line one..." },
    { "plan", "{}", "- set for -" },
};

Test(model_words, puts_a_record_into_one_line)
{
    cb_buffer text;

    cb_buffer_init(&text, 10000);
    for (size_t i = 0; i < sizeof summaries / sizeof summaries[0]; i++) {
        json_t *fields = json_loads(summaries[i].fields, 0, NULL);
        cb_buffer_reset(&text);
        cb_type_summary(cb_model_type(model, summaries[i].type), fields, NULL,
                        &text);
        expect_text(cb_buffer_text(&text), summaries[i].line);
        json_decref(fields);
    }
    cb_buffer_clear(&text);
}

/* Whatever the model says, no type's line can break on nothing at all. */
Test(model_words, has_a_line_for_every_type_even_of_an_empty_record)
{
    json_t *nothing = json_object();
    cb_buffer text;

    cb_buffer_init(&text, 10000);
    for (size_t i = 0; i < cb_model_type_count(model); i++) {
        const cb_type *type = cb_model_type_at(model, i);
        cb_buffer_reset(&text);
        cb_type_summary(type, nothing, NULL, &text);
        expect_ok(cb_buffer_check(&text, test_error()));
        cr_expect(text.size > 0 &&
                      strpbrk(cb_buffer_text(&text), "[]{}\n") == NULL,
                  "%s: %s", type->name, cb_buffer_text(&text));
    }
    cb_buffer_clear(&text);
    json_decref(nothing);
}

Test(model_words, cuts_a_long_line_between_characters)
{
    cb_buffer text;
    json_t *fields = json_object();
    char name[3 * 100 + 1] = "";

    cb_buffer_init(&text, 10000);
    for (size_t i = 0; i < 100; i++)
        memcpy(name + 3 * i, "\xe2\x82\xac", 3);
    json_object_set_new(fields, "provider", json_string(name));
    cb_type_summary(cb_model_type(model, "service"), fields, NULL, &text);

    cr_expect_eq(text.size, strlen("Service: ") + 120 + strlen("..."));
    json_t *whole = json_string(cb_buffer_text(&text));
    cr_expect_not_null(whole, "the line is not UTF-8 any more");
    json_decref(whole);
    json_decref(fields);
    cb_buffer_clear(&text);
}

static bool call_by_name(void *context, const cb_field *field, const char *id,
                         cb_buffer *text)
{
    (void)field;
    (void)id;
    cb_buffer_append_text(text, context);
    return true;
}

Test(model_words, uses_the_callers_names_for_people)
{
    char name[] = "K. Okoro";
    const cb_model_words words = { .context = name, .reference = call_by_name };
    json_t *fields = json_pack("{s:s}", "lead", ID);
    cb_buffer text;

    cb_buffer_init(&text, 1000);
    cb_type_summary(cb_model_type(model, "allocation"), fields, &words, &text);

    expect_text(cb_buffer_text(&text), "Allocated to K. Okoro");
    json_decref(fields);
    cb_buffer_clear(&text);
}

Test(model_words, shows_a_newer_versions_value_as_it_stands)
{
    cb_buffer text;
    json_t *value = json_pack("{s:s, s:i}", "unit", "moons", "count", 3);

    cb_buffer_init(&text, 1000);
    cb_field_format(field_of("contact", "minutes"), value, NULL, &text);

    expect_text(cb_buffer_text(&text), "{\"count\":3,\"unit\":\"moons\"}");
    json_decref(value);
    cb_buffer_clear(&text);
}
