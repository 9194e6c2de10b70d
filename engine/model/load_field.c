/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include "base/json.h"

#include <string.h>

#define TITLE_BYTES_MAX 200

/* A set that does not say how large it may be. */
#define SET_ITEMS_USUAL 100

static cb_status load_kind(const json_t *object, cb_field *field,
                           const cb_model_place *place, cb_error *error)
{
    const char *name = cb_json_text(object, "kind");
    for (unsigned i = 0; name != NULL && i < CB_FIELD_KIND_COUNT; i++) {
        if (strcmp(cb_kind_name((cb_field_kind)i), name) == 0) {
            field->kind = (cb_field_kind)i;
            return CB_OK;
        }
    }
    return cb_model_complain(place, error, "needs a known 'kind'");
}

static bool is_textual(cb_field_kind kind)
{
    return kind == CB_FIELD_LINE || kind == CB_FIELD_TEXT ||
           kind == CB_FIELD_LINES;
}

static bool is_coded(cb_field_kind kind)
{
    return kind == CB_FIELD_CODE || kind == CB_FIELD_CODES;
}

static bool is_number(cb_field_kind kind)
{
    return kind == CB_FIELD_INTEGER || kind == CB_FIELD_PENCE;
}

/* A bound of the field: as given, within 1 and `most`, or `usual`. */
static cb_status load_bound(const json_t *object, const char *name,
                            bool applies, size_t usual, size_t most,
                            size_t *ret_bound, const cb_model_place *place,
                            cb_error *error)
{
    int64_t value = (int64_t)usual;
    if (json_object_get(object, name) != NULL &&
        (!applies || !cb_json_integer(object, name, &value) || value < 1 ||
         (uint64_t)value > most)) {
        return cb_model_complain(place, error,
                                 "has a '%s' that is not 1 to %zu, or does not "
                                 "apply",
                                 name, most);
    }
    *ret_bound = applies ? (size_t)value : 0;
    return CB_OK;
}

static cb_status load_bounds(const json_t *object, cb_field *field,
                             const cb_model_place *place, cb_error *error)
{
    bool is_text = field->kind == CB_FIELD_TEXT;
    size_t bytes_max = is_text ? CB_TEXT_BYTES_MAX : CB_LINE_BYTES_MAX;
    cb_status status =
        load_bound(object, "bytes_max", is_textual(field->kind), bytes_max,
                   bytes_max, &field->bytes_max, place, error);
    if (status == CB_OK) {
        status = load_bound(object, "items_max", cb_kind_is_set(field->kind),
                            SET_ITEMS_USUAL, CB_SET_ITEMS_MAX,
                            &field->items_max, place, error);
    }
    if (status != CB_OK || !is_number(field->kind)) {
        return status;
    }
    if (!cb_json_integer(object, "minimum", &field->minimum) ||
        !cb_json_integer(object, "maximum", &field->maximum) ||
        field->minimum > field->maximum) {
        return cb_model_complain(place, error,
                                 "needs a 'minimum' and a 'maximum'");
    }
    return CB_OK;
}

static cb_status load_codes(const cb_model *model, const json_t *object,
                            cb_field *field, const cb_model_place *place,
                            cb_error *error)
{
    const json_t *value = json_object_get(object, "list");
    const char *name = json_string_value(value);
    if (value == NULL && !is_coded(field->kind)) {
        return CB_OK;
    }
    if (name == NULL || (!is_coded(field->kind) && !is_textual(field->kind))) {
        return cb_model_complain(place, error,
                                 "needs a 'list' exactly where it is of codes, "
                                 "or a line with suggestions");
    }
    field->codes = cb_model_code_list(model, name);
    if (field->codes == NULL) {
        return cb_model_complain(place, error,
                                 "names an unknown code list '%.64s'", name);
    }
    return CB_OK;
}

/* Whether the order is one of the two words' two orders. */
static bool is_pair(const cb_field *field, const char *a, const char *b)
{
    return field->order_count == 2 && ((strcmp(field->order[0], a) == 0 &&
                                        strcmp(field->order[1], b) == 0) ||
                                       (strcmp(field->order[0], b) == 0 &&
                                        strcmp(field->order[1], a) == 0));
}

static bool order_holds(const cb_field *field, const char *word)
{
    for (size_t i = 0; i < field->order_count; i++) {
        if (strcmp(field->order[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/* An order that left a code out would rank it by accident. */
static bool order_is_whole(const cb_field *field)
{
    if (field->kind == CB_FIELD_YESNO) {
        return is_pair(field, "no", "yes");
    }
    if (field->kind == CB_FIELD_DATE || field->kind == CB_FIELD_WHEN) {
        return is_pair(field, "earliest", "latest");
    }
    if (is_number(field->kind)) {
        return is_pair(field, "lowest", "highest");
    }
    if (field->kind != CB_FIELD_CODE ||
        field->order_count != field->codes->count) {
        return false;
    }
    for (size_t i = 0; i < field->codes->count; i++) {
        if (!order_holds(field, field->codes->codes[i].code)) {
            return false;
        }
    }
    return true;
}

static cb_status load_order(cb_model *model, const json_t *object,
                            cb_field *field, const cb_model_place *place,
                            cb_error *error)
{
    const json_t *array = json_object_get(object, "order");
    bool needed =
        field->merge == CB_MERGE_PROTECTIVE || field->merge == CB_MERGE_FORWARD;
    if (array == NULL && !needed) {
        return CB_OK;
    }
    size_t count = json_array_size(array);
    if (!needed || count == 0 || count > CB_MODEL_CODES_MAX) {
        return cb_model_complain(place, error,
                                 "needs an 'order' exactly where it merges as "
                                 "protective or forward");
    }
    const char **order = cb_model_allocate(model, count, sizeof *order);
    if (order == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = json_string_value(json_array_get(array, i));
        if (order[i] == NULL) {
            return cb_model_complain(place, error,
                                     "has an 'order' that is not of words");
        }
    }
    field->order = order;
    field->order_count = count;
    if (!order_is_whole(field)) {
        return cb_model_complain(place, error,
                                 "has an 'order' that does not hold each of "
                                 "its values once");
    }
    return CB_OK;
}

static cb_status load_flag(const json_t *object, const char *name, bool *flag,
                           const cb_model_place *place, cb_error *error)
{
    const json_t *value = json_object_get(object, name);
    if (value != NULL && !json_is_boolean(value)) {
        return cb_model_complain(
            place, error, "has a '%s' that is neither true nor false", name);
    }
    *flag = json_is_true(value);
    return CB_OK;
}

/* Where the value lives, how it merges, to what it refers. */
static cb_status load_place(const json_t *object, const cb_type *type,
                            cb_field *field, const cb_model_place *place,
                            cb_error *error)
{
    const json_t *class = json_object_get(object, "class");
    field->class = type->class;
    if (class != NULL) {
        field->class = cb_class_parse(json_string_value(class));
        if (field->class == CB_CLASS_NONE || field->class == CB_CLASS_V ||
            field->class == CB_CLASS_O) {
            return cb_model_complain(place, error,
                                     "has a class that is not S, R, C, W or A");
        }
    }
    const json_t *merge = json_object_get(object, "merge");
    field->merge = type->merge;
    if (merge != NULL &&
        (!json_is_string(merge) ||
         !cb_merge_parse(json_string_value(merge), &field->merge))) {
        return cb_model_complain(place, error, "has an unknown merge class");
    }
    cb_status status = cb_model_text(object, "target", CB_MODEL_NAME_BYTES_MAX,
                                     false, &field->target, place, error);
    if (status != CB_OK || field->target == NULL) {
        return status;
    }
    if (field->kind != CB_FIELD_PERSON && field->kind != CB_FIELD_PERSONS &&
        field->kind != CB_FIELD_RECORD && field->kind != CB_FIELD_RECORDS) {
        return cb_model_complain(place, error,
                                 "has a 'target' but refers to nothing");
    }
    return CB_OK;
}

cb_status cb_model_load_field(cb_model *model, const cb_type *type,
                              const json_t *object, const char *file,
                              cb_field *field, cb_error *error)
{
    static const char *const members[] = {
        "name",      "title",     "help",   "kind",  "list",    "required",
        "personal",  "class",     "merge",  "order", "minimum", "maximum",
        "bytes_max", "items_max", "target", NULL
    };
    cb_model_place place = { .file = file, .thing = type->name };
    cb_status status = CB_OK;
    field->help = "";
    if ((status = cb_model_text(object, "name", CB_MODEL_NAME_BYTES_MAX, true,
                                &field->name, &place, error)) != CB_OK) {
        return status;
    }
    place.part = field->name;
    /* "about" is a part of register keys, and would be taken for a field. */
    if (!cb_model_is_name(field->name) || strcmp(field->name, "about") == 0) {
        return cb_model_complain(&place, error,
                                 "is not of letters, digits and '_', or taken");
    }
    if ((status = cb_model_known_members(object, members, &place, error)) !=
            CB_OK ||
        (status = cb_model_text(object, "title", TITLE_BYTES_MAX, true,
                                &field->title, &place, error)) != CB_OK ||
        (status = cb_model_text(object, "help", TITLE_BYTES_MAX, false,
                                &field->help, &place, error)) != CB_OK ||
        (status = load_kind(object, field, &place, error)) != CB_OK ||
        (status = load_bounds(object, field, &place, error)) != CB_OK ||
        (status = load_codes(model, object, field, &place, error)) != CB_OK ||
        (status = load_place(object, type, field, &place, error)) != CB_OK ||
        (status = load_order(model, object, field, &place, error)) != CB_OK ||
        (status = load_flag(object, "required", &field->required, &place,
                            error)) != CB_OK ||
        (status = load_flag(object, "personal", &field->personal, &place,
                            error)) != CB_OK) {
        return status;
    }
    if (field->required && field->class != type->class) {
        return cb_model_complain(&place, error,
                                 "cannot be required: who writes the record "
                                 "may not be able to write this class");
    }
    return CB_OK;
}
