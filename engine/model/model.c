/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

static const char *const merge_names[] = {
    [CB_MERGE_UNION] = "union", [CB_MERGE_PROTECTIVE] = "protective",
    [CB_MERGE_MULTI] = "multi", [CB_MERGE_EXCLUSIVE] = "exclusive",
    [CB_MERGE_ONCE] = "once",   [CB_MERGE_FORWARD] = "forward",
};

static const struct {
    const char *name;
    bool is_set;
} kinds[] = {
    [CB_FIELD_LINE] = { "line", false },
    [CB_FIELD_TEXT] = { "text", false },
    [CB_FIELD_LINES] = { "lines", true },
    [CB_FIELD_CODE] = { "code", false },
    [CB_FIELD_CODES] = { "codes", true },
    [CB_FIELD_YESNO] = { "yesno", false },
    [CB_FIELD_INTEGER] = { "integer", false },
    [CB_FIELD_PENCE] = { "pence", false },
    [CB_FIELD_DATE] = { "date", false },
    [CB_FIELD_WHEN] = { "when", false },
    [CB_FIELD_PERSON] = { "person", false },
    [CB_FIELD_PERSONS] = { "persons", true },
    [CB_FIELD_RECORD] = { "record", false },
    [CB_FIELD_RECORDS] = { "records", true },
    [CB_FIELD_STAFF] = { "staff", false },
    [CB_FIELD_STAFFS] = { "staffs", true },
    [CB_FIELD_HASH] = { "hash", false },
};

static const struct {
    cb_class class;
    const char *name;
    const char *title;
} classes[] = {
    { CB_CLASS_V, "V", "victim side" },
    { CB_CLASS_O, "O", "offender side" },
    { CB_CLASS_S, "S", "shared outcome" },
    { CB_CLASS_R, "R", "risk and intelligence" },
    { CB_CLASS_C, "C", "confidential process notes" },
    { CB_CLASS_W, "W", "practitioner and supervision" },
    { CB_CLASS_A, "A", "administrative and statistical" },
    { CB_CLASS_SIDE, "side", "the side of the person it is about" },
};

#define CLASS_COUNT (sizeof classes / sizeof classes[0])

const char *cb_class_name(cb_class class)
{
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        if (classes[i].class == class) {
            return classes[i].name;
        }
    }
    return "";
}

const char *cb_class_title(cb_class class)
{
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        if (classes[i].class == class) {
            return classes[i].title;
        }
    }
    return "";
}

cb_class cb_class_parse(const char *letter)
{
    for (size_t i = 0; letter != NULL && i < CLASS_COUNT; i++) {
        if (classes[i].class != CB_CLASS_SIDE &&
            strcmp(classes[i].name, letter) == 0) {
            return classes[i].class;
        }
    }
    return CB_CLASS_NONE;
}

const char *cb_merge_name(cb_merge merge)
{
    return merge_names[merge];
}

bool cb_merge_parse(const char *name, cb_merge *ret_merge)
{
    for (unsigned i = 0; i < sizeof merge_names / sizeof merge_names[0]; i++) {
        if (strcmp(merge_names[i], name) == 0) {
            *ret_merge = (cb_merge)i;
            return true;
        }
    }
    return false;
}

const char *cb_kind_name(cb_field_kind kind)
{
    return kinds[kind].name;
}

bool cb_kind_is_set(cb_field_kind kind)
{
    return kinds[kind].is_set;
}

const cb_type *cb_model_type(const cb_model *model, const char *name)
{
    size_t low = 0;
    size_t high = model->type_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, model->types[middle]->name);
        if (order == 0) {
            return model->types[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const cb_code_list *cb_model_code_list(const cb_model *model, const char *name)
{
    for (size_t i = 0; i < model->list_count; i++) {
        if (strcmp(model->lists[i]->name, name) == 0) {
            return model->lists[i];
        }
    }
    return NULL;
}

const cb_setting *cb_model_setting(const cb_model *model, const char *name)
{
    for (size_t i = 0; i < model->setting_count; i++) {
        if (strcmp(model->settings[i].name, name) == 0) {
            return &model->settings[i];
        }
    }
    return NULL;
}

size_t cb_model_type_count(const cb_model *model)
{
    return model->type_count;
}

const cb_type *cb_model_type_at(const cb_model *model, size_t index)
{
    return index < model->type_count ? model->types[index] : NULL;
}

size_t cb_model_code_list_count(const cb_model *model)
{
    return model->list_count;
}

const cb_code_list *cb_model_code_list_at(const cb_model *model, size_t index)
{
    return index < model->list_count ? model->lists[index] : NULL;
}

size_t cb_model_setting_count(const cb_model *model)
{
    return model->setting_count;
}

const cb_setting *cb_model_setting_at(const cb_model *model, size_t index)
{
    return index < model->setting_count ? &model->settings[index] : NULL;
}

int64_t cb_model_setting_days(const cb_model *model, const char *name)
{
    const cb_setting *setting = cb_model_setting(model, name);
    CB_ASSERT(setting != NULL);
    switch (setting->unit) {
    case CB_SETTING_DAYS: return setting->value;
    case CB_SETTING_WEEKS: return setting->value * 7;
    case CB_SETTING_YEARS: return setting->value * 365;
    case CB_SETTING_COUNT:
    case CB_SETTING_HOURS: break;
    }
    cb_assertion_failed(__FILE__, __LINE__, name);
}

int64_t cb_model_setting_hours(const cb_model *model, const char *name)
{
    const cb_setting *setting = cb_model_setting(model, name);
    CB_ASSERT(setting != NULL);
    if (setting->unit == CB_SETTING_HOURS) {
        return setting->value;
    }
    return cb_model_setting_days(model, name) * 24;
}

const cb_field *cb_type_field(const cb_type *type, const char *name)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (strcmp(type->fields[i].name, name) == 0) {
            return &type->fields[i];
        }
    }
    return NULL;
}

const cb_code *cb_code_list_find(const cb_code_list *list, const char *code)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        if (strcmp(list->codes[i].code, code) == 0) {
            return &list->codes[i];
        }
    }
    return NULL;
}

const char *cb_code_title(const cb_code_list *list, const char *code)
{
    const cb_code *found = cb_code_list_find(list, code);
    return found == NULL ? code : found->title;
}

cb_class cb_type_side(const cb_type *type, const json_t *fields)
{
    if (type->side_field == NULL) {
        return CB_CLASS_NONE;
    }
    const char *code = cb_json_text(fields, type->side_field->name);
    if (code == NULL) {
        return CB_CLASS_NONE;
    }
    const cb_code *found = cb_code_list_find(type->side_field->codes, code);
    return found == NULL ? CB_CLASS_NONE : found->side;
}

cb_class cb_type_class(const cb_type *type, const cb_field *field,
                       cb_class side)
{
    cb_class class = field == NULL ? type->class : field->class;
    if (class != CB_CLASS_SIDE) {
        return class;
    }
    if (side == CB_CLASS_V || side == CB_CLASS_O) {
        return side;
    }
    return type->class_without_about;
}

/* What to say when a name is unknown: the nearest, if it is near. */
static void suggest(cb_error *error, const char *nearest, unsigned distance,
                    const char *name, const char *command)
{
    cb_error_meaning(error, "nothing was recorded");
    if (nearest != NULL && distance <= 2 + strnlen(name, 64) / 4) {
        cb_error_next(error,
                      "did you mean '%s'? All of them: casebound types%s",
                      nearest, command);
    } else {
        cb_error_next(error, "all of them: casebound types%s", command);
    }
}

cb_status cb_model_find_type(const cb_model *model, const char *name,
                             const cb_type **ret_type, cb_error *reterr_error)
{
    const char *nearest = NULL;
    unsigned best = 0;
    for (size_t i = 0; i < model->type_count; i++) {
        const cb_type *type = model->types[i];
        if (cb_words_equal(type->name, name)) {
            *ret_type = type;
            return CB_OK;
        }
        unsigned distance = cb_words_distance(type->name, name);
        if (nearest == NULL || distance < best) {
            nearest = type->name;
            best = distance;
        }
    }
    cb_status status = cb_error_set(reterr_error, CB_INPUT,
                                    "there is no record type '%.64s'", name);
    suggest(reterr_error, nearest, best, name, "");
    return status;
}

cb_status cb_type_find_field(const cb_type *type, const char *name,
                             const cb_field **ret_field, cb_error *reterr_error)
{
    const char *nearest = NULL;
    unsigned best = 0;
    for (size_t i = 0; i < type->field_count; i++) {
        const cb_field *field = &type->fields[i];
        if (cb_words_equal(field->name, name)) {
            *ret_field = field;
            return CB_OK;
        }
        unsigned distance = cb_words_distance(field->name, name);
        if (nearest == NULL || distance < best) {
            nearest = field->name;
            best = distance;
        }
    }
    char command[CB_MODEL_NAME_BYTES_MAX + 2];
    (void)snprintf(command, sizeof command, " %s", type->name);
    cb_status status = cb_error_set(
        reterr_error, CB_INPUT, "'%s' has no field '%.64s'", type->title, name);
    suggest(reterr_error, nearest, best, name, command);
    return status;
}
