/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The case model itself: that ours is whole, and that a service can widen it.
 */
#include "support/expect.h"

#include <casebound/embedded.h>
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

TestSuite(model, .init = create, .fini = destroy);

Test(model, holds_a_type_for_each_file_and_each_record_of_the_domain)
{
    static const char *const names[] = {
        "referral",
        "case_stage",
        "person",
        "contact_route",
        "offence_link",
        "eligibility",
        "allocation",
        "contact",
        "preparation",
        "consent",
        "acknowledgement",
        "risk_assessment",
        "sign_off",
        "needs",
        "supporter",
        "plan",
        "prison_visit",
        "event",
        "indirect_exchange",
        "agreement",
        "agreement_item",
        "action_progress",
        "follow_up",
        "survey",
        "complaint",
        "safeguarding_concern",
        "disclosure",
        "consultation",
        "closure",
        "retention",
        "practitioner",
        "service",
        "release",
    };
    size_t files = 0;

    for (size_t i = 0; i < cb_embedded_file_count; i++)
        files += strncmp(cb_embedded_files[i].name, "case/", 5) == 0;

    /* Two of the files are not types: the code lists and the settings. */
    cr_expect_eq(cb_model_type_count(model) + 2, files);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect(cb_model_type(model, names[i]) != NULL, "no type '%s'",
                  names[i]);
    cr_expect_null(cb_model_type_at(model, cb_model_type_count(model)));
    cr_expect_null(cb_model_type(model, "perpetrator"));
}

Test(model, has_the_code_lists_of_the_domain)
{
    static const struct {
        const char *name;
        size_t count;
        const char *holds;
    } rows[] = {
        { "stage", 10, "pre_sentence_deferred" },
        { "source", 24, "other_rj_service" },
        { "consent_scope", 14, "direct_meeting" },
        { "method", 12, "face_to_face_prison" },
        { "closure_reason", 23, "paused_by_victim" },
        { "borough", 36, "kingston_upon_thames" },
        { "read_reason", 10, "break_glass" },
        { "case_flag", 14, "domestic_abuse" },
        { "ethnicity", 19, "not_stated" },
        { "agreement_item", 16, "restitution" },
        { "risk_level", 4, "VH" },
        { "london_prison", 8, "pentonville" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cb_code_list *list = cb_model_code_list(model, rows[i].name);
        cr_assert_not_null(list, "no list '%s'", rows[i].name);
        cr_expect(list->count == rows[i].count, "%s has %zu codes, not %zu",
                  rows[i].name, list->count, rows[i].count);
        cr_expect(cb_code_list_find(list, rows[i].holds) != NULL, "%s lacks %s",
                  rows[i].name, rows[i].holds);
    }
    expect_text(cb_code_title(cb_model_code_list(model, "borough"), "bexley"),
                "Bexley");
    expect_text(cb_code_title(cb_model_code_list(model, "borough"), "paris"),
                "paris");
}

Test(model, gives_each_of_the_33_boroughs_its_own_code_of_national_statistics)
{
    const cb_code_list *list = cb_model_code_list(model, "borough");
    unsigned seen[34] = { 0 };
    unsigned without = 0;

    for (size_t i = 0; i < list->count; i++) {
        int number = 0;
        if (list->codes[i].gss == NULL)
            without++;
        else if (sscanf(list->codes[i].gss, "E090000%2d", &number) == 1 &&
                 number >= 1 && number <= 33)
            seen[number]++;
    }

    cr_expect_eq(without, 3u);
    for (int i = 1; i <= 33; i++)
        cr_expect(seen[i] == 1, "E090000%02d stands %u times", i, seen[i]);
    expect_text(cb_code_list_find(list, "westminster")->gss, "E09000033");
    expect_text(cb_code_list_find(list, "city_of_london")->gss, "E09000001");
}

Test(model, uses_every_code_list)
{
    for (size_t i = 0; i < cb_model_code_list_count(model); i++) {
        const cb_code_list *list = cb_model_code_list_at(model, i);
        bool used = strcmp(list->name, "source_group") == 0;
        for (size_t j = 0; !used && j < cb_model_type_count(model); j++) {
            const cb_type *type = cb_model_type_at(model, j);
            for (size_t k = 0; !used && k < type->field_count; k++)
                used = type->fields[k].codes == list;
        }
        cr_expect(used, "the list '%s' is used by no field", list->name);
    }
    cr_expect_null(cb_model_code_list_at(model, 10000));
}

Test(model, takes_every_free_text_and_name_for_personal)
{
    for (size_t i = 0; i < cb_model_type_count(model); i++) {
        const cb_type *type = cb_model_type_at(model, i);
        for (size_t j = 0; j < type->field_count; j++) {
            const cb_field *field = &type->fields[j];
            bool free = field->kind == CB_FIELD_TEXT &&
                        strcmp(field->name, "tables") != 0;
            cr_expect(field->personal || !free, "%s.%s", type->name,
                      field->name);
        }
    }
}

Test(model, keeps_addresses_with_the_side_of_the_person)
{
    for (size_t i = 0; i < cb_model_type_count(model); i++) {
        const cb_type *type = cb_model_type_at(model, i);
        for (size_t j = 0; j < type->field_count; j++) {
            const cb_field *field = &type->fields[j];
            if (strstr(field->name, "address") != NULL)
                cr_expect(field->class == CB_CLASS_SIDE &&
                              type->about == CB_ABOUT_REQUIRED,
                          "%s.%s", type->name, field->name);
        }
    }
}

Test(model, puts_records_where_the_domain_has_them)
{
    static const struct {
        const char *type;
        const char *field;
        cb_class side;
        cb_class want;
    } rows[] = {
        { "referral", NULL, CB_CLASS_NONE, CB_CLASS_A },
        { "consent", NULL, CB_CLASS_V, CB_CLASS_V },
        { "consent", "state", CB_CLASS_O, CB_CLASS_O },
        { "consent", NULL, CB_CLASS_NONE, CB_CLASS_NONE },
        { "contact", NULL, CB_CLASS_NONE, CB_CLASS_C },
        { "contact", "summary", CB_CLASS_V, CB_CLASS_V },
        { "preparation", NULL, CB_CLASS_NONE, CB_CLASS_C },
        { "contact_route", "address", CB_CLASS_V, CB_CLASS_V },
        { "event", NULL, CB_CLASS_NONE, CB_CLASS_S },
        { "event", "summary", CB_CLASS_V, CB_CLASS_S },
        { "event", "notes", CB_CLASS_NONE, CB_CLASS_C },
        { "indirect_exchange", "text", CB_CLASS_NONE, CB_CLASS_C },
        { "risk_assessment", NULL, CB_CLASS_V, CB_CLASS_R },
        { "safeguarding_concern", NULL, CB_CLASS_NONE, CB_CLASS_R },
        { "allocation", NULL, CB_CLASS_NONE, CB_CLASS_W },
        { "survey", "do_better", CB_CLASS_V, CB_CLASS_C },
        { "plan", NULL, CB_CLASS_NONE, CB_CLASS_S },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cb_type *type = cb_model_type(model, rows[i].type);
        const cb_field *field =
            rows[i].field ? cb_type_field(type, rows[i].field) : NULL;
        cb_class got = cb_type_class(type, field, rows[i].side);
        cr_expect(got == rows[i].want, "%s.%s is in '%s'", rows[i].type,
                  rows[i].field ? rows[i].field : "", cb_class_name(got));
    }
}

Test(model, tells_the_side_by_the_role)
{
    static const struct {
        const char *role;
        cb_class want;
    } rows[] = {
        { "victim", CB_CLASS_V },          { "victim_supporter", CB_CLASS_V },
        { "offender", CB_CLASS_O },        { "offender_guardian", CB_CLASS_O },
        { "somebody_new", CB_CLASS_NONE },
    };

    const cb_type *person = cb_model_type(model, "person");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *fields = json_pack("{s:s}", "role", rows[i].role);
        cr_expect(cb_type_side(person, fields) == rows[i].want, "%s",
                  rows[i].role);
        json_decref(fields);
    }
    json_t *none = json_object();
    cr_expect(cb_type_side(person, none) == CB_CLASS_NONE);
    cr_expect(cb_type_side(cb_model_type(model, "plan"), none) ==
              CB_CLASS_NONE);
    json_decref(none);
}

Test(model, knows_which_records_write_a_register)
{
    static const struct {
        const char *type;
        size_t key_count;
        const char *value;
        cb_merge merge;
    } rows[] = {
        { "consent", 2, "state", CB_MERGE_PROTECTIVE },
        { "acknowledgement", 1, "level", CB_MERGE_PROTECTIVE },
        { "risk_assessment", 0, "overall", CB_MERGE_PROTECTIVE },
        { "sign_off", 2, "decision", CB_MERGE_EXCLUSIVE },
        { "case_stage", 0, "stage", CB_MERGE_FORWARD },
        { "allocation", 0, NULL, CB_MERGE_EXCLUSIVE },
        { "plan", 0, NULL, CB_MERGE_EXCLUSIVE },
        { "closure", 0, NULL, CB_MERGE_EXCLUSIVE },
        { "survey", 2, NULL, CB_MERGE_ONCE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cb_type *type = cb_model_type(model, rows[i].type);
        cr_expect(type->is_register, "%s", rows[i].type);
        cr_expect(type->register_key_count == rows[i].key_count, "%s",
                  rows[i].type);
        cr_expect(type->register_merge == rows[i].merge, "%s", rows[i].type);
        cr_expect((type->register_value == NULL) == (rows[i].value == NULL),
                  "%s", rows[i].type);
        if (rows[i].value != NULL && type->register_value != NULL)
            expect_text(type->register_value->name, rows[i].value);
    }
    cr_expect_not(cb_model_type(model, "contact")->is_register);
}

Test(model, has_the_numbers_of_practice_as_settings)
{
    cr_expect_eq(cb_model_setting_days(model, "consent_reconfirm"), 14);
    cr_expect_eq(cb_model_setting_days(model, "risk_validity"), 28);
    cr_expect_eq(cb_model_setting_days(model, "risk_validity_complex"), 14);
    cr_expect_eq(cb_model_setting_hours(model, "late_entry"), 48);
    cr_expect_eq(cb_model_setting_days(model, "supervision_due"), 84);
    cr_expect_eq(cb_model_setting_hours(model, "supervision_overdue"),
                 16 * 7 * 24);
    cr_expect_eq(cb_model_setting_days(model, "retention_closed"), 7 * 365);
    cr_expect_null(cb_model_setting(model, "no_such_setting"));
    cr_expect_null(cb_model_setting_at(model, cb_model_setting_count(model)));
}

Test(model, lets_a_service_add_types_lists_and_settings_without_c)
{
    static const char own[] =
        "{\"type\":\"circle\",\"title\":\"Circle\",\"help\":\"A circle.\","
        "\"class\":\"S\",\"about\":\"none\",\"merge\":\"union\","
        "\"summary\":\"Circle {shape:upper}[, {size} people]\",\"fields\":["
        "{\"name\":\"shape\",\"title\":\"Shape\",\"kind\":\"code\","
        "\"list\":\"shape\",\"required\":true,\"merge\":\"protective\","
        "\"order\":[\"open\",\"closed\"]},"
        "{\"name\":\"size\",\"title\":\"Size\",\"kind\":\"integer\","
        "\"minimum\":2,\"maximum\":40}]}";
    static const char lists[] =
        "{\"lists\":[{\"name\":\"shape\",\"title\":\"Shape\",\"codes\":["
        "{\"code\":\"open\",\"title\":\"Open\",\"chairs\":9},"
        "{\"code\":\"closed\",\"title\":\"Closed\"}]}],"
        "\"settings\":[{\"name\":\"consent_reconfirm\",\"title\":\"Ours\","
        "\"unit\":\"days\",\"value\":7}]}";
    const cb_model_file files[] = {
        { .name = "circle.json", .text = cb_span_of_text(own) },
        { .name = "lists.json", .text = cb_span_of_text(lists) },
    };
    cb_model *wider = NULL;
    json_t *shape = NULL;
    json_t *size = NULL;
    cb_buffer text;

    expect_ok(cb_model_create(files, 2, &wider, test_error()));
    const cb_type *type = cb_model_type(wider, "circle");
    cr_assert_not_null(type);
    expect_ok(cb_field_parse(cb_type_field(type, "shape"), "Open", NULL, &shape,
                             test_error()));
    expect_ok(cb_field_parse(cb_type_field(type, "size"), "12", NULL, &size,
                             test_error()));
    json_t *fields = json_pack("{s:o, s:o}", "shape", shape, "size", size);
    expect_ok(cb_type_check(type, fields, true, test_error()));
    cb_buffer_init(&text, 1000);
    cb_type_summary(type, fields, NULL, &text);

    expect_text(cb_buffer_text(&text), "Circle OPEN, 12 people");
    cr_expect_eq(cb_model_setting_days(wider, "consent_reconfirm"), 7);
    cr_expect_eq(cb_model_setting_days(model, "consent_reconfirm"), 14);
    const cb_code *open =
        cb_code_list_find(cb_model_code_list(wider, "shape"), "open");
    cr_expect_eq(json_integer_value(json_object_get(open->json, "chairs")), 9);
    json_decref(fields);
    cb_buffer_clear(&text);
    cb_model_destroy(wider);
}

Test(model, names_the_nearest_type_and_field)
{
    const cb_type *type = NULL;
    const cb_field *field = NULL;

    expect_status(CB_INPUT,
                  cb_model_find_type(model, "concent", &type, test_error()));
    expect_contains(test_error()->next, "did you mean 'consent'?");
    expect_ok(
        cb_model_find_type(model, "Risk-Assessment", &type, test_error()));
    expect_text(type->name, "risk_assessment");
    expect_status(CB_INPUT,
                  cb_type_find_field(type, "overal", &field, test_error()));
    expect_contains(test_error()->next, "did you mean 'overall'?");
    expect_status(CB_INPUT, cb_type_find_field(type, "zzzzzzzzzzzzzz", &field,
                                               test_error()));
    expect_contains(test_error()->next, "casebound types risk_assessment");
}

Test(model, describes_its_types_for_programs)
{
    json_t *types = cb_model_types_document(model);
    json_t *consent = cb_model_type_document(cb_model_type(model, "consent"));

    cr_expect_eq(json_array_size(json_object_get(types, "types")),
                 cb_model_type_count(model));
    expect_text(json_string_value(json_object_get(consent, "class")), "side");
    const json_t *scope = json_array_get(json_object_get(consent, "fields"), 0);
    expect_text(json_string_value(json_object_get(scope, "kind")), "codes");
    cr_expect_eq(json_array_size(json_object_get(scope, "codes")), 14u);
    json_decref(types);
    json_decref(consent);
}
