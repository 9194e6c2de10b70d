/* SPDX-License-Identifier: Apache-2.0 */
#include "model/internal.h"

#include "base/json.h"

#include <casebound/embedded.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cb_model_block {
    cb_model_block *next;
    max_align_t content[];
};

#define TITLE_BYTES_MAX 200

void *cb_model_allocate(cb_model *model, size_t count, size_t size)
{
    size_t bytes = 0;
    if (!cb_multiply_size(count, size, &bytes) ||
        !cb_add_size(bytes, sizeof(cb_model_block), &bytes)) {
        return NULL;
    }
    cb_model_block *block = calloc(1, bytes);
    if (block == NULL) {
        return NULL;
    }
    block->next = model->blocks;
    model->blocks = block;
    return block->content;
}

cb_status cb_model_complain(const cb_model_place *place, cb_error *error,
                            const char *format, ...)
{
    char words[CB_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    const char *thing = place->thing == NULL ? "" : place->thing;
    const char *dot = place->part == NULL ? "" : ".";
    const char *part = place->part == NULL ? "" : place->part;
    cb_status status =
        cb_error_set(error, CB_INPUT, "model file '%.80s': '%.64s%s%.64s' %s",
                     place->file, thing, dot, part, words);
    cb_error_meaning(error, "the case model was not loaded; no record changed");
    cb_error_next(error, "correct the file");
    return status;
}

cb_status cb_model_known_members(const json_t *object, const char *const *names,
                                 const cb_model_place *place, cb_error *error)
{
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const char *key = json_object_iter_key(at);
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], key) != 0) {
            i++;
        }
        if (names[i] == NULL) {
            return cb_model_complain(
                place, error, "has a member '%.64s' that means nothing", key);
        }
    }
    return CB_OK;
}

cb_status cb_model_text(const json_t *object, const char *name,
                        size_t bytes_max, bool required, const char **ret_text,
                        const cb_model_place *place, cb_error *error)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL && !required) {
        return CB_OK;
    }
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);
    if (text == NULL || size == 0 || size > bytes_max ||
        cb_text_check(text, size, false) != CB_TEXT_GOOD) {
        return cb_model_complain(place, error,
                                 "needs '%s', one line of at most %zu bytes",
                                 name, bytes_max);
    }
    *ret_text = text;
    return CB_OK;
}

static cb_status load_code(const json_t *object, cb_code *code,
                           cb_model_place *place, cb_error *error)
{
    cb_status status = CB_OK;
    if (!json_is_object(object)) {
        return cb_model_complain(place, error, "has a code that is no object");
    }
    code->json = object;
    if ((status = cb_model_text(object, "code", CB_MODEL_NAME_BYTES_MAX, true,
                                &code->code, place, error)) != CB_OK) {
        return status;
    }
    place->part = code->code;
    if (!cb_model_is_name(code->code)) {
        return cb_model_complain(place, error,
                                 "is not of letters, digits and '_'");
    }
    const char *side = NULL;
    if ((status = cb_model_text(object, "title", TITLE_BYTES_MAX, true,
                                &code->title, place, error)) != CB_OK ||
        (status = cb_model_text(object, "group", CB_MODEL_NAME_BYTES_MAX, false,
                                &code->group, place, error)) != CB_OK ||
        (status = cb_model_text(object, "gss", 9, false, &code->gss, place,
                                error)) != CB_OK ||
        (status = cb_model_text(object, "side", 1, false, &side, place,
                                error)) != CB_OK) {
        return status;
    }
    code->side = cb_class_parse(side);
    if (side != NULL && code->side != CB_CLASS_V && code->side != CB_CLASS_O) {
        return cb_model_complain(place, error, "has a side that is not V or O");
    }
    code->complex = json_is_true(json_object_get(object, "complex"));
    return CB_OK;
}

static cb_status load_list(cb_model *model, const json_t *object,
                           const char *file, cb_code_list *list,
                           cb_error *error)
{
    static const char *const members[] = { "name", "title", "codes", "groups",
                                           NULL };
    cb_model_place place = { .file = file, .thing = "lists" };
    cb_status status = CB_OK;
    if ((status = cb_model_text(object, "name", CB_MODEL_NAME_BYTES_MAX, true,
                                &list->name, &place, error)) != CB_OK) {
        return status;
    }
    place.thing = list->name;
    const json_t *array = cb_json_array(object, "codes");
    size_t count = json_array_size(array);
    if (!cb_model_is_name(list->name) || count == 0 ||
        count > CB_MODEL_CODES_MAX) {
        return cb_model_complain(&place, error,
                                 "needs a plain name and 1 to %d codes",
                                 CB_MODEL_CODES_MAX);
    }
    if (cb_model_code_list(model, list->name) != NULL) {
        return cb_model_complain(&place, error, "is a code list known already");
    }
    if ((status = cb_model_known_members(object, members, &place, error)) !=
            CB_OK ||
        (status = cb_model_text(object, "title", TITLE_BYTES_MAX, true,
                                &list->title, &place, error)) != CB_OK) {
        return status;
    }
    cb_code *codes = cb_model_allocate(model, count, sizeof *codes);
    if (codes == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    list->codes = codes;
    for (size_t i = 0; status == CB_OK && i < count; i++) {
        place.part = NULL;
        status = load_code(json_array_get(array, i), &codes[i], &place, error);
        if (status == CB_OK && cb_code_list_find(list, codes[i].code) != NULL) {
            status = cb_model_complain(&place, error, "is there twice");
        }
        list->count = i + 1;
    }
    return status;
}

static cb_status load_lists(cb_model *model, const cb_model_source *source,
                            cb_error *error)
{
    const json_t *array = cb_json_array(source->document, "lists");
    size_t count = json_array_size(array);
    if (count == 0) {
        return CB_OK;
    }
    if (count > CB_MODEL_CODES_MAX - model->list_count) {
        return cb_error_set(error, CB_LIMIT,
                            "model file '%.80s' has more than %d code lists",
                            source->name, CB_MODEL_CODES_MAX);
    }
    cb_code_list *lists = cb_model_allocate(model, count, sizeof *lists);
    const cb_code_list **all =
        cb_model_allocate(model, model->list_count + count, sizeof *all);
    if (lists == NULL || all == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < model->list_count; i++) {
        all[i] = model->lists[i];
    }
    model->lists = all;
    for (size_t i = 0; i < count; i++) {
        cb_status status = load_list(model, json_array_get(array, i),
                                     source->name, &lists[i], error);
        if (status != CB_OK) {
            return status;
        }
        all[model->list_count++] = &lists[i];
    }
    return CB_OK;
}

/* That each group a list's codes name is a code of the list of groups. */
static cb_status check_groups(const cb_model *model,
                              const cb_model_source *source, cb_error *error)
{
    const json_t *array = cb_json_array(source->document, "lists");
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *object = json_array_get(array, i);
        const cb_code_list *list =
            cb_model_code_list(model, cb_json_text(object, "name"));
        const char *name = cb_json_text(object, "groups");
        const cb_code_list *groups =
            name == NULL ? NULL : cb_model_code_list(model, name);
        cb_model_place place = { .file = source->name, .thing = list->name };
        if (json_object_get(object, "groups") != NULL && groups == NULL) {
            return cb_model_complain(&place, error,
                                     "has groups of an unknown list");
        }
        for (size_t j = 0; j < list->count; j++) {
            const cb_code *code = &list->codes[j];
            place.part = code->code;
            if (code->group != NULL &&
                cb_code_list_find(groups, code->group) == NULL) {
                return cb_model_complain(&place, error,
                                         "is of an unknown group '%.64s'",
                                         code->group);
            }
        }
    }
    return CB_OK;
}

static const char *const unit_names[] = {
    [CB_SETTING_COUNT] = "count", [CB_SETTING_HOURS] = "hours",
    [CB_SETTING_DAYS] = "days",   [CB_SETTING_WEEKS] = "weeks",
    [CB_SETTING_YEARS] = "years",
};
#define UNIT_COUNT (sizeof unit_names / sizeof unit_names[0])

/* Enough for a century in hours; keeps every product within range. */
#define SETTING_MAX 1000000

static cb_status load_setting(cb_model *model, const json_t *object,
                              const char *file, cb_error *error)
{
    static const char *const members[] = { "name", "title", "unit", "value",
                                           NULL };
    cb_model_place place = { .file = file, .thing = "settings" };
    cb_setting read = { 0 };
    const char *unit = NULL;
    cb_status status = CB_OK;
    if ((status = cb_model_text(object, "name", CB_MODEL_NAME_BYTES_MAX, true,
                                &read.name, &place, error)) != CB_OK ||
        (status = cb_model_text(object, "title", TITLE_BYTES_MAX, true,
                                &read.title, &place, error)) != CB_OK ||
        (status = cb_model_text(object, "unit", 8, true, &unit, &place,
                                error)) != CB_OK ||
        (status = cb_model_known_members(object, members, &place, error)) !=
            CB_OK) {
        return status;
    }
    place.part = read.name;
    unsigned i = 0;
    while (i < UNIT_COUNT && strcmp(unit_names[i], unit) != 0) {
        i++;
    }
    if (!cb_model_is_name(read.name) || i == UNIT_COUNT ||
        !cb_json_integer(object, "value", &read.value) || read.value < 0 ||
        read.value > SETTING_MAX) {
        return cb_model_complain(&place, error,
                                 "needs a plain name, a value from 0 to %d "
                                 "and count, hours, days, weeks or years",
                                 SETTING_MAX);
    }
    read.unit = (cb_setting_unit)i;
    for (size_t j = 0; j < model->setting_count; j++) {
        cb_setting *known = &model->settings[j];
        if (strcmp(known->name, read.name) == 0) {
            if (known->unit != read.unit) {
                return cb_model_complain(&place, error, "is counted in %s",
                                         unit_names[known->unit]);
            }
            *known = read;
            return CB_OK;
        }
    }
    model->settings[model->setting_count++] = read;
    return CB_OK;
}

static cb_status load_settings(cb_model *model, const cb_model_source *source,
                               cb_error *error)
{
    const json_t *array = cb_json_array(source->document, "settings");
    size_t count = json_array_size(array);
    if (count > CB_MODEL_CODES_MAX) {
        return cb_error_set(error, CB_LIMIT,
                            "model file '%.80s' has more than %d settings",
                            source->name, CB_MODEL_CODES_MAX);
    }
    cb_setting *all =
        cb_model_allocate(model, model->setting_count + count + 1, sizeof *all);
    if (all == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < model->setting_count; i++) {
        all[i] = model->settings[i];
    }
    model->settings = all;
    cb_status status = CB_OK;
    for (size_t i = 0; status == CB_OK && i < count; i++) {
        status =
            load_setting(model, json_array_get(array, i), source->name, error);
    }
    return status;
}

static cb_status load_types(cb_model *model, cb_error *error)
{
    model->types =
        cb_model_allocate(model, model->source_count, sizeof *model->types);
    if (model->types == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < model->source_count; i++) {
        if (json_object_get(model->sources[i].document, "type") == NULL) {
            continue;
        }
        const cb_type *type = NULL;
        cb_status status =
            cb_model_load_type(model, &model->sources[i], &type, error);
        if (status != CB_OK) {
            return status;
        }
        cb_model_place place = { .file = model->sources[i].name,
                                 .thing = type->name };
        size_t at = model->type_count;
        while (at > 0 && strcmp(model->types[at - 1]->name, type->name) > 0) {
            model->types[at] = model->types[at - 1];
            at--;
        }
        model->types[at] = type;
        model->type_count++;
        if (at > 0 && strcmp(model->types[at - 1]->name, type->name) == 0) {
            return cb_model_complain(&place, error,
                                     "is a record type known already");
        }
    }
    return CB_OK;
}

/* What can be said only when every type is known. */
static cb_status check_targets(const cb_model *model, cb_error *error)
{
    for (size_t i = 0; i < model->type_count; i++) {
        const cb_type *type = model->types[i];
        for (size_t j = 0; j < type->field_count; j++) {
            const cb_field *field = &type->fields[j];
            cb_model_place place = { .file = type->name,
                                     .thing = type->name,
                                     .part = field->name };
            if (field->target != NULL &&
                cb_model_type(model, field->target) == NULL) {
                return cb_model_complain(
                    &place, error, "refers to an unknown record type '%.64s'",
                    field->target);
            }
        }
    }
    return CB_OK;
}

static cb_status parse_source(const char *name, cb_span text,
                              cb_model_source *source, cb_error *error)
{
    static const char *const members[] = { "lists", "settings", NULL };
    source->name = name;
    cb_error problem = { 0 };
    cb_model_place place = { .file = name, .thing = "file" };
    cb_status status = cb_json_parse(text, &source->document, &problem);
    if (status == CB_NO_MEMORY) {
        return cb_error_set(error, status, "%s", problem.what);
    }
    if (status != CB_OK) {
        return cb_model_complain(&place, error, "is not JSON: %s",
                                 problem.what);
    }
    if (!json_is_object(source->document)) {
        return cb_model_complain(&place, error, "is not one JSON object");
    }
    if (json_object_get(source->document, "type") != NULL) {
        return CB_OK;
    }
    return cb_model_known_members(source->document, members, &place, error);
}

static cb_status load_sources(cb_model *model, const cb_model_file *files,
                              size_t file_count, cb_error *error)
{
    model->sources = cb_model_allocate(
        model, cb_embedded_file_count + file_count + 1, sizeof *model->sources);
    if (model->sources == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < cb_embedded_file_count; i++) {
        const cb_embedded_file *file = &cb_embedded_files[i];
        if (strncmp(file->name, "case/", 5) != 0) {
            continue;
        }
        cb_status status = parse_source(
            file->name, (cb_span){ .bytes = file->bytes, .size = file->size },
            &model->sources[model->source_count], error);
        if (status != CB_OK) {
            return status;
        }
        model->source_count++;
    }
    for (size_t i = 0; i < file_count; i++) {
        cb_status status =
            parse_source(files[i].name, files[i].text,
                         &model->sources[model->source_count], error);
        if (status != CB_OK) {
            return status;
        }
        model->source_count++;
    }
    return CB_OK;
}

cb_status cb_model_create(const cb_model_file *files, size_t file_count,
                          cb_model **ret_model, cb_error *reterr_error)
{
    if (file_count > CB_MODEL_FILES_MAX) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "there are more than %d model files",
                            CB_MODEL_FILES_MAX);
    }
    cb_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status = load_sources(model, files, file_count, reterr_error);
    for (size_t i = 0; status == CB_OK && i < model->source_count; i++) {
        status = load_lists(model, &model->sources[i], reterr_error);
        if (status == CB_OK) {
            status = load_settings(model, &model->sources[i], reterr_error);
        }
    }
    for (size_t i = 0; status == CB_OK && i < model->source_count; i++) {
        status = check_groups(model, &model->sources[i], reterr_error);
    }
    if (status == CB_OK) {
        status = load_types(model, reterr_error);
    }
    if (status == CB_OK) {
        status = check_targets(model, reterr_error);
    }
    if (status == CB_OK) {
        *ret_model = model;
        model = NULL;
    }
    cb_model_destroy(model);
    return status;
}

cb_status cb_model_create_builtin(cb_model **ret_model, cb_error *reterr_error)
{
    return cb_model_create(NULL, 0, ret_model, reterr_error);
}

void cb_model_destroy(cb_model *model)
{
    if (model == NULL) {
        return;
    }
    /* One beyond the count may hold a document that was refused. */
    for (size_t i = 0; model->sources != NULL && i <= model->source_count;
         i++) {
        json_decref(model->sources[i].document);
    }
    cb_model_block *block = model->blocks;
    while (block != NULL) {
        cb_model_block *next = block->next;
        free(block);
        block = next;
    }
    free(model);
}
