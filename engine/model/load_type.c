/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include "base/json.h"

#include <string.h>

#define TITLE_BYTES_MAX 200

static cb_status load_merge(const json_t *object, cb_type *type,
                            const cb_model_place *place, cb_error *error)
{
    const char *name = cb_json_text(object, "merge");
    /* A field must say its own order, so no type can be these as a whole. */
    if (name == NULL || !cb_merge_parse(name, &type->merge) ||
        type->merge == CB_MERGE_PROTECTIVE || type->merge == CB_MERGE_FORWARD) {
        return cb_model_complain(place, error,
                                 "needs a merge class: union, multi, exclusive "
                                 "or once");
    }
    return CB_OK;
}

static cb_status load_about(const json_t *object, cb_type *type,
                            const cb_model_place *place, cb_error *error)
{
    static const char *const words[] = {
        [CB_ABOUT_NONE] = "none",
        [CB_ABOUT_OPTIONAL] = "optional",
        [CB_ABOUT_REQUIRED] = "required",
        [CB_ABOUT_SELF] = "self",
    };
    const char *name = cb_json_text(object, "about");
    for (unsigned i = 0; name != NULL && i < sizeof words / sizeof words[0];
         i++) {
        if (strcmp(words[i], name) == 0) {
            type->about = (cb_about)i;
            return CB_OK;
        }
    }
    return cb_model_complain(place, error,
                             "needs 'about': none, optional, required or self");
}

static cb_status load_class(const json_t *object, cb_type *type,
                            const cb_model_place *place, cb_error *error)
{
    const char *name = cb_json_text(object, "class");
    bool side = name != NULL && strcmp(name, "side") == 0;
    type->class = side ? CB_CLASS_SIDE : cb_class_parse(name);
    if (type->class == CB_CLASS_NONE) {
        return cb_model_complain(place, error,
                                 "needs a class: side, V, O, S, R, C, W or A");
    }
    bool of_person =
        side || type->class == CB_CLASS_V || type->class == CB_CLASS_O;
    if (of_person && type->about == CB_ABOUT_NONE) {
        return cb_model_complain(place, error,
                                 "is of a person's class but about nobody");
    }
    const json_t *without = json_object_get(object, "class_without_about");
    type->class_without_about = of_person ? CB_CLASS_NONE : type->class;
    if (without != NULL) {
        type->class_without_about = cb_class_parse(json_string_value(without));
    }
    bool needed = of_person && type->about == CB_ABOUT_OPTIONAL;
    bool excess = without != NULL && type->about != CB_ABOUT_OPTIONAL;
    bool wrong = type->class_without_about == CB_CLASS_V ||
                 type->class_without_about == CB_CLASS_O ||
                 (type->class_without_about == CB_CLASS_NONE &&
                  (needed || without != NULL)) ||
                 (!of_person && type->class_without_about != type->class);
    if (excess || wrong) {
        return cb_model_complain(place, error,
                                 "needs 'class_without_about' exactly where "
                                 "the person is optional: S, R, C, W or A");
    }
    return CB_OK;
}

static cb_status load_fields(cb_model *model, const json_t *object,
                             const char *file, cb_type *type,
                             const cb_model_place *place, cb_error *error)
{
    const json_t *array = cb_json_array(object, "fields");
    size_t count = json_array_size(array);
    if (count == 0 || count > CB_FIELDS_MAX) {
        return cb_model_complain(place, error, "needs 1 to %d fields",
                                 CB_FIELDS_MAX);
    }
    cb_field *fields = cb_model_allocate(model, count, sizeof *fields);
    if (fields == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    type->fields = fields;
    for (size_t i = 0; i < count; i++) {
        cb_status status = cb_model_load_field(
            model, type, json_array_get(array, i), file, &fields[i], error);
        if (status != CB_OK) {
            return status;
        }
        if (cb_type_field(type, fields[i].name) != NULL) {
            return cb_model_complain(
                place, error, "has the field '%.64s' twice", fields[i].name);
        }
        type->field_count = i + 1;
    }
    return CB_OK;
}

/* A key must not change by a correction, nor be readable by fewer people. */
static bool is_key_field(const cb_type *type, const char *name)
{
    if (strcmp(name, "about") == 0) {
        return type->about == CB_ABOUT_REQUIRED || type->about == CB_ABOUT_SELF;
    }
    const cb_field *field = cb_type_field(type, name);
    return field != NULL && field->required && field->class == type->class &&
           field->kind != CB_FIELD_TEXT;
}

static cb_status load_register(cb_model *model, const json_t *object,
                               cb_type *type, const cb_model_place *place,
                               cb_error *error)
{
    static const char *const members[] = { "key", "value", "merge", NULL };
    const json_t *value = json_object_get(object, "register");
    if (value == NULL) {
        return CB_OK;
    }
    const json_t *key = cb_json_array(value, "key");
    size_t count = json_array_size(key);
    if (key == NULL || count > CB_FIELDS_MAX) {
        return cb_model_complain(place, error,
                                 "has a register without a 'key'");
    }
    cb_status status = cb_model_known_members(value, members, place, error);
    if (status != CB_OK) {
        return status;
    }
    const char **names = cb_model_allocate(model, count + 1, sizeof *names);
    if (names == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = json_string_value(json_array_get(key, i));
        if (names[i] == NULL || !is_key_field(type, names[i])) {
            return cb_model_complain(place, error,
                                     "has a register whose key is not 'about' "
                                     "or required fields");
        }
    }
    type->is_register = true;
    type->register_key = names;
    type->register_key_count = count;
    type->register_merge = type->merge;
    if (json_object_get(value, "value") != NULL) {
        const char *name = cb_json_text(value, "value");
        type->register_value = name == NULL ? NULL : cb_type_field(type, name);
        if (type->register_value == NULL || !type->register_value->required) {
            return cb_model_complain(place, error,
                                     "has a register whose value is not a "
                                     "required field");
        }
        type->register_merge = type->register_value->merge;
    }
    const char *merge = cb_json_text(value, "merge");
    if (json_object_get(value, "merge") != NULL &&
        (merge == NULL || type->register_value != NULL ||
         !cb_merge_parse(merge, &type->register_merge) ||
         type->register_merge == CB_MERGE_PROTECTIVE ||
         type->register_merge == CB_MERGE_FORWARD)) {
        return cb_model_complain(place, error,
                                 "has a register with a merge class that does "
                                 "not fit");
    }
    return CB_OK;
}

static cb_status load_side_field(const json_t *object, cb_type *type,
                                 const cb_model_place *place, cb_error *error)
{
    const char *name = cb_json_text(object, "side_field");
    bool given = json_object_get(object, "side_field") != NULL;
    if (!given && type->about != CB_ABOUT_SELF) {
        return CB_OK;
    }
    const cb_field *field = name == NULL ? NULL : cb_type_field(type, name);
    bool fits = field != NULL && field->kind == CB_FIELD_CODE &&
                field->required && type->about == CB_ABOUT_SELF;
    for (size_t i = 0; fits && i < field->codes->count; i++) {
        fits = field->codes->codes[i].side != CB_CLASS_NONE;
    }
    if (!fits) {
        return cb_model_complain(place, error,
                                 "needs a 'side_field' exactly where the "
                                 "record is the person: a required code whose "
                                 "codes all have a side");
    }
    type->side_field = field;
    return CB_OK;
}

cb_status cb_model_load_type(cb_model *model, const cb_model_source *source,
                             const cb_type **ret_type, cb_error *error)
{
    static const char *const members[] = {
        "type",    "title",  "help", "class",    "class_without_about",
        "about",   "merge",  "gate", "register", "side_field",
        "summary", "fields", NULL
    };
    const json_t *object = source->document;
    cb_model_place place = { .file = source->name, .thing = "type" };
    cb_status status = CB_OK;
    cb_type *type = cb_model_allocate(model, 1, sizeof *type);
    if (type == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    if ((status = cb_model_text(object, "type", CB_MODEL_NAME_BYTES_MAX, true,
                                &type->name, &place, error)) != CB_OK) {
        return status;
    }
    place.thing = type->name;
    if (!cb_model_is_name(type->name)) {
        return cb_model_complain(&place, error,
                                 "is not of letters, digits and '_'");
    }
    if ((status = cb_model_known_members(object, members, &place, error)) !=
            CB_OK ||
        (status = cb_model_text(object, "title", TITLE_BYTES_MAX, true,
                                &type->title, &place, error)) != CB_OK ||
        (status = cb_model_text(object, "help", TITLE_BYTES_MAX, true,
                                &type->help, &place, error)) != CB_OK ||
        (status = cb_model_text(object, "gate", CB_MODEL_NAME_BYTES_MAX, false,
                                &type->gate, &place, error)) != CB_OK ||
        (status = cb_model_text(object, "summary", TITLE_BYTES_MAX, true,
                                &type->summary, &place, error)) != CB_OK ||
        (status = load_merge(object, type, &place, error)) != CB_OK ||
        (status = load_about(object, type, &place, error)) != CB_OK ||
        (status = load_class(object, type, &place, error)) != CB_OK ||
        (status = load_fields(model, object, source->name, type, &place,
                              error)) != CB_OK ||
        (status = load_register(model, object, type, &place, error)) != CB_OK ||
        (status = load_side_field(object, type, &place, error)) != CB_OK ||
        (status = cb_summary_check(type, &place, error)) != CB_OK) {
        return status;
    }
    *ret_type = type;
    return CB_OK;
}
