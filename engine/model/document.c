/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

/* What is absent is left out, so that readers need not tell null from none. */
static int put_text(json_t *object, const char *name, const char *text)
{
    return text == NULL ? 0
                        : json_object_set_new(object, name, json_string(text));
}

static int put_flag(json_t *object, const char *name, bool flag)
{
    return json_object_set_new(object, name, json_boolean(flag));
}

static int put_number(json_t *object, const char *name, int64_t number)
{
    return json_object_set_new(object, name, json_integer(number));
}

static json_t *words_document(const char *const *words, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, json_string(words[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *codes_document(const cb_code_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        json_t *code = json_pack("{s:s, s:s}", "code", list->codes[i].code,
                                 "title", list->codes[i].title);
        if (json_array_append_new(array, code) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *field_document(const cb_field *field)
{
    json_t *object = json_object();
    int failed = put_text(object, "name", field->name) |
                 put_text(object, "title", field->title) |
                 put_text(object, "help", field->help) |
                 put_text(object, "kind", cb_kind_name(field->kind)) |
                 put_text(object, "class", cb_class_name(field->class)) |
                 put_text(object, "merge", cb_merge_name(field->merge)) |
                 put_flag(object, "required", field->required) |
                 put_flag(object, "personal", field->personal) |
                 put_text(object, "target", field->target);
    if (field->codes != NULL) {
        failed |=
            put_text(object, "list", field->codes->name) |
            json_object_set_new(object, "codes", codes_document(field->codes));
    }
    if (field->order_count > 0) {
        failed |= json_object_set_new(
            object, "order", words_document(field->order, field->order_count));
    }
    if (field->bytes_max > 0) {
        failed |= put_number(object, "bytes_max", (int64_t)field->bytes_max);
    }
    if (field->items_max > 0) {
        failed |= put_number(object, "items_max", (int64_t)field->items_max);
    }
    if (field->kind == CB_FIELD_INTEGER || field->kind == CB_FIELD_PENCE) {
        failed |= put_number(object, "minimum", field->minimum) |
                  put_number(object, "maximum", field->maximum);
    }
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *fields_document(const cb_type *type)
{
    json_t *array = json_array();
    for (size_t i = 0; i < type->field_count; i++) {
        if (json_array_append_new(array, field_document(&type->fields[i])) !=
            0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* The facts of a type that a list of types shows. */
static json_t *brief_document(const cb_type *type)
{
    static const char *const abouts[] = {
        [CB_ABOUT_NONE] = "none",
        [CB_ABOUT_OPTIONAL] = "optional",
        [CB_ABOUT_REQUIRED] = "required",
        [CB_ABOUT_SELF] = "self",
    };
    json_t *object = json_object();
    int failed = put_text(object, "type", type->name) |
                 put_text(object, "title", type->title) |
                 put_text(object, "help", type->help) |
                 put_text(object, "class", cb_class_name(type->class)) |
                 put_text(object, "about", abouts[type->about]) |
                 put_text(object, "gate", type->gate);
    if (type->class_without_about != CB_CLASS_NONE &&
        type->about == CB_ABOUT_OPTIONAL) {
        failed |= put_text(object, "class_without_about",
                           cb_class_name(type->class_without_about));
    }
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *register_document(const cb_type *type)
{
    json_t *object = json_object();
    int failed =
        json_object_set_new(
            object, "key",
            words_document(type->register_key, type->register_key_count)) |
        put_text(object, "value",
                 type->register_value == NULL ? NULL
                                              : type->register_value->name) |
        put_text(object, "merge", cb_merge_name(type->register_merge));
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *cb_model_type_document(const cb_type *type)
{
    json_t *object = brief_document(type);
    int failed = json_object_set_new(object, "fields", fields_document(type)) |
                 put_text(object, "merge", cb_merge_name(type->merge));
    if (type->is_register) {
        failed |=
            json_object_set_new(object, "register", register_document(type));
    }
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *cb_model_types_document(const cb_model *model)
{
    json_t *array = json_array();
    for (size_t i = 0; i < model->type_count; i++) {
        if (json_array_append_new(array, brief_document(model->types[i])) !=
            0) {
            json_decref(array);
            return NULL;
        }
    }
    return json_pack("{s:o}", "types", array);
}
