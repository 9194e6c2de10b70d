/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wrong model file is refused when it is loaded, with words that name the
 * place, whatever is wrong with it.
 */
#include "support/expect.h"

#include <casebound/embedded.h>
#include <casebound/model.h>

/* Adds one file of a service's own to ours. */
static cb_status with_file(const char *text, cb_model **ret_model)
{
    const cb_model_file file = { .name = "own.json",
                                 .text = cb_span_of_text(text) };
    return cb_model_create(&file, 1, ret_model, test_error());
}

/* A sound type with one part replaced by what is wrong. */
#define TYPE_START                                                     \
    "{\"type\":\"own\",\"title\":\"Own\",\"help\":\"Own.\",\"about\":" \
    "\"none\",\"merge\":\"multi\",\"class\":\"S\","
#define FIELD(rest)  "{\"name\":\"a\",\"title\":\"A\"," rest "}"
#define TYPE(fields) TYPE_START "\"summary\":\"Own\",\"fields\":[" fields "]}"
#define CODE_FIELD   "\"kind\":\"code\",\"list\":\"consent_state\","
#define LIST(codes) \
    "{\"lists\":[{\"name\":\"l\",\"title\":\"L\",\"codes\":[" codes "]}]}"
#define SETTING(name, unit, value)                                           \
    "{\"settings\":[{\"name\":\"" name "\",\"title\":\"T\",\"unit\":\"" unit \
    "\",\"value\":" value "}]}"

static const struct {
    const char *text;
    const char *says;
} wrong_files[] = {
    { "{", "is not JSON" },
    { "[]", "is not one JSON object" },
    { "{\"typo\":1}", "has a member 'typo' that means nothing" },
    { "{\"type\":\"\"}", "needs 'type'" },
    { "{\"type\":\"a b\"}", "is not of letters" },
    { "{\"type\":\"own\"}", "needs 'title'" },
    { TYPE_START "\"extra\":1}", "'extra'" },
    { TYPE(""), "needs 1 to 64 fields" },
    { TYPE("{\"name\":\"about\",\"title\":\"A\",\"kind\":\"line\"}"),
      "'own.about'" },
    { TYPE("7"), "needs 'name'" },
    { TYPE(FIELD("\"kind\":\"blob\"")), "'own.a' needs a known 'kind'" },
    { TYPE(FIELD("\"kind\":7")), "needs a known 'kind'" },
    { TYPE(FIELD("\"kind\":\"code\"")), "needs a 'list'" },
    { TYPE(FIELD("\"kind\":\"code\",\"list\":\"nowhere\"")),
      "unknown code list 'nowhere'" },
    { TYPE(FIELD("\"kind\":\"date\",\"list\":\"stage\"")), "needs a 'list'" },
    { TYPE(FIELD("\"kind\":\"line\",\"merge\":\"latest\"")),
      "unknown merge class" },
    { TYPE(FIELD(CODE_FIELD "\"merge\":\"protective\"")),
      "needs an 'order' exactly" },
    { TYPE(FIELD(CODE_FIELD "\"merge\":\"protective\",\"order\":"
                            "[\"given\",\"withdrawn\"]")),
      "does not hold each" },
    { TYPE(FIELD(CODE_FIELD "\"merge\":\"protective\",\"order\":"
                            "[\"given\",\"given\",\"withdrawn\"]")),
      "does not hold each" },
    { TYPE(FIELD(CODE_FIELD "\"merge\":\"protective\",\"order\":[1,2,3]")),
      "not of words" },
    { TYPE(FIELD("\"kind\":\"yesno\",\"merge\":\"protective\",\"order\":"
                 "[\"yes\",\"yes\"]")),
      "does not hold each" },
    { TYPE(FIELD("\"kind\":\"text\",\"merge\":\"protective\",\"order\":"
                 "[\"a\"]")),
      "does not hold each" },
    { TYPE(FIELD("\"kind\":\"date\",\"order\":[\"latest\",\"earliest\"]")),
      "needs an 'order' exactly" },
    { TYPE(FIELD("\"kind\":\"integer\"")), "needs a 'minimum'" },
    { TYPE(FIELD("\"kind\":\"integer\",\"minimum\":2,\"maximum\":1")),
      "needs a 'minimum'" },
    { TYPE(FIELD("\"kind\":\"line\",\"bytes_max\":4096")), "'bytes_max'" },
    { TYPE(FIELD("\"kind\":\"date\",\"bytes_max\":4")), "'bytes_max'" },
    { TYPE(FIELD("\"kind\":\"lines\",\"items_max\":0")), "'items_max'" },
    { TYPE(FIELD("\"kind\":\"line\",\"class\":\"V\"")), "not S, R, C, W" },
    { TYPE(FIELD("\"kind\":\"line\",\"class\":\"C\",\"required\":true")),
      "cannot be required" },
    { TYPE(FIELD("\"kind\":\"line\",\"personal\":1")), "neither true" },
    { TYPE(FIELD("\"kind\":\"line\",\"target\":\"plan\"")),
      "refers to nothing" },
    { TYPE(FIELD("\"kind\":\"record\",\"target\":\"nothing\"")),
      "unknown record type 'nothing'" },
    { TYPE(FIELD("\"kind\":\"line\"") "," FIELD("\"kind\":\"text\"")),
      "has the field 'a' twice" },
    { TYPE_START
      "\"summary\":\"{b}\",\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "unknown field or modifier" },
    { TYPE_START
      "\"summary\":\"{a:loud}\",\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "unknown field or modifier" },
    { TYPE_START
      "\"summary\":\"{a\",\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "unknown field or modifier" },
    { TYPE_START
      "\"summary\":\"[a[b]]\",\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "brackets" },
    { TYPE_START
      "\"summary\":\"[a\",\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "brackets" },
    { TYPE_START "\"summary\":\"{a}\",\"fields\":[" FIELD(
          "\"kind\":\"line\",\"class\":\"C\"") "]}",
      "of another class" },
    { TYPE_START "\"summary\":\"x\",\"register\":{\"key\":[\"a\"]},"
                 "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "register whose key" },
    { TYPE_START "\"summary\":\"x\",\"register\":{\"key\":[\"about\"]},"
                 "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "register whose key" },
    { TYPE_START "\"summary\":\"x\",\"register\":{\"key\":[],\"value\":"
                 "\"a\"},\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "not a required field" },
    { TYPE_START "\"summary\":\"x\",\"register\":{},\"fields\":[" FIELD(
          "\"kind\":\"line\"") "]}",
      "without a 'key'" },
    { TYPE_START "\"summary\":\"x\",\"class_without_about\":\"C\","
                 "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "class_without_about" },
    { "{\"type\":\"own\",\"title\":\"Own\",\"help\":\"Own.\",\"about\":"
      "\"none\",\"merge\":\"multi\",\"class\":\"side\",\"summary\":\"x\","
      "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "about nobody" },
    { "{\"type\":\"own\",\"title\":\"Own\",\"help\":\"Own.\",\"about\":"
      "\"optional\",\"merge\":\"multi\",\"class\":\"side\",\"summary\":\"x\","
      "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "class_without_about" },
    { "{\"type\":\"own\",\"title\":\"Own\",\"help\":\"Own.\",\"about\":"
      "\"self\",\"merge\":\"multi\",\"class\":\"side\",\"summary\":\"x\","
      "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "side_field" },
    { "{\"type\":\"own\",\"title\":\"Own\",\"help\":\"Own.\",\"about\":"
      "\"none\",\"merge\":\"protective\",\"class\":\"S\",\"summary\":\"x\","
      "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "needs a merge class" },
    { "{\"type\":\"consent\",\"title\":\"Own\",\"help\":\"Own.\",\"about\":"
      "\"none\",\"merge\":\"multi\",\"class\":\"S\",\"summary\":\"x\","
      "\"fields\":[" FIELD("\"kind\":\"line\"") "]}",
      "'consent' is a record type known already" },
    { LIST(""), "1 to 1000 codes" },
    { LIST("3"), "no object" },
    { LIST("{\"code\":\"a b\",\"title\":\"A\"}"), "'l.a b'" },
    { LIST("{\"code\":\"a\"}"), "needs 'title'" },
    { LIST("{\"code\":\"a\",\"title\":\"A\"},{\"code\":\"a\",\"title\":"
           "\"A\"}"),
      "'l.a' is there twice" },
    { LIST("{\"code\":\"a\",\"title\":\"A\",\"side\":\"S\"}"), "not V or O" },
    { LIST("{\"code\":\"a\",\"title\":\"A\",\"group\":\"g\"}"),
      "unknown group 'g'" },
    { "{\"lists\":[{\"name\":\"stage\",\"title\":\"S\",\"codes\":[{\"code\":"
      "\"a\",\"title\":\"A\"}]}]}",
      "'stage' is a code list known already" },
    { SETTING("x y", "days", "1"), "needs a plain name" },
    { SETTING("own", "moons", "1"), "needs a plain name" },
    { SETTING("own", "days", "-1"), "needs a plain name" },
    { SETTING("own", "days", "99999999999"), "needs a plain name" },
    { SETTING("late_entry", "days", "2"), "is counted in hours" },
};

Test(model_file, refuses_a_wrong_file_and_names_the_place)
{
    for (size_t i = 0; i < sizeof wrong_files / sizeof wrong_files[0]; i++) {
        cb_model *wrong = NULL;
        cb_error_clear(test_error());
        cb_status status = with_file(wrong_files[i].text, &wrong);
        cr_expect(status == CB_INPUT && wrong == NULL, "row %zu: %s", i,
                  wrong_files[i].text);
        cr_expect(strstr(test_error()->what, wrong_files[i].says) != NULL,
                  "row %zu says \"%s\", not \"%s\"", i, test_error()->what,
                  wrong_files[i].says);
        cb_model_destroy(wrong);
    }
}

/* Sets what stands at one step of a walk through the model's own files. */
static void replace_member(json_t *document, size_t step, json_t *with)
{
    json_t *fields = json_object_get(document, "fields");
    size_t top = json_object_size(document);
    json_t *object = document;
    if (step >= top) {
        step -= top;
        for (size_t i = 0; i < json_array_size(fields); i++) {
            object = json_array_get(fields, i);
            if (step < json_object_size(object))
                break;
            step -= json_object_size(object);
        }
    }
    void *at = json_object_iter(object);
    while (step-- > 0)
        at = json_object_iter_next(object, at);
    json_object_iter_set_new(object, at, with);
}

static size_t count_members(const json_t *document)
{
    const json_t *fields = json_object_get(document, "fields");
    size_t count = json_object_size(document);
    for (size_t i = 0; i < json_array_size(fields); i++)
        count += json_object_size(json_array_get(fields, i));
    return count;
}

/*
 * Every member of a type, its own and its fields', in turn becomes each of a
 * few things that it should not be.  Nothing but a refusal may come of it, or a
 * model that is still sound.
 */
Test(model_file, survives_any_member_being_something_else)
{
    static const char *const things[] = { "[null]",   "[-1]", "[\"\"]",
                                          "[[[[]]]]", "[{}]", "[\"A\\nb\"]" };
    const cb_embedded_file *file = cb_embedded_find("case/consent.json");
    const json_t *source =
        json_loadb((const char *)file->bytes, file->size, 0, NULL);
    size_t refused = 0;
    size_t tried = 0;

    cr_assert_not_null(source);
    for (size_t step = 0; step < count_members(source); step++) {
        for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
            json_t *document = json_deep_copy(source);
            json_t *thing = json_loads(things[i], 0, NULL);
            json_object_set_new(document, "type", json_string("own"));
            replace_member(document, step,
                           json_incref(json_array_get(thing, 0)));
            char *text = json_dumps(document, 0);
            cb_model *made = NULL;
            cb_error_clear(test_error());
            cb_status status = with_file(text, &made);
            cr_expect(status == CB_OK || (status == CB_INPUT && made == NULL &&
                                          test_error()->what[0] != '\0'),
                      "%s", test_describe(status));
            refused += status == CB_INPUT;
            tried++;
            cb_model_destroy(made);
            free(text);
            json_decref(thing);
            json_decref(document);
        }
    }
    /* Free words, such as a help text, may be "A" or "b" but little else. */
    cr_expect_gt(refused * 10, tried * 9, "%zu of %zu", refused, tried);
    json_decref((json_t *)(uintptr_t)source);
}
