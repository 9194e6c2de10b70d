/* SPDX-License-Identifier: Apache-2.0 */
#include "option.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BYTES_MAX   40
#define TABLE_COUNT      2
#define SHOWN_NAME_BYTES 40

cb_status cb_cli_arguments_init(cb_cli_arguments *arguments, int argc,
                                cb_error *reterr_error)
{
    size_t count = argc > 0 ? (size_t)argc : 1;
    /* A cluster such as -qvq gives several options in one argument, but a
     * flag given twice says nothing new, so each letter is kept once. */
    size_t given_max = count * 2 + WORD_BYTES_MAX;
    *arguments = (cb_cli_arguments){ 0 };
    arguments->given = calloc(given_max, sizeof *arguments->given);
    arguments->operands = calloc(count, sizeof *arguments->operands);
    if (arguments->given == NULL || arguments->operands == NULL) {
        cb_cli_arguments_clear(arguments);
        return cb_error_set(reterr_error, CB_NO_MEMORY,
                            "no memory for the command line");
    }
    return CB_OK;
}

void cb_cli_arguments_clear(cb_cli_arguments *arguments)
{
    free(arguments->given);
    free(arguments->operands);
    *arguments = (cb_cli_arguments){ 0 };
}

static const cb_cli_option *find_long(const cb_cli_parse *parse,
                                      const char *name, size_t size)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const cb_cli_option *option = parse->tables[i];
        for (; option != NULL && option->name != NULL; option++) {
            if (strlen(option->name) == size &&
                memcmp(option->name, name, size) == 0) {
                return option;
            }
        }
    }
    return NULL;
}

static const cb_cli_option *find_letter(const cb_cli_parse *parse, char letter)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const cb_cli_option *option = parse->tables[i];
        for (; option != NULL && option->name != NULL; option++) {
            if (option->letter != '\0' && option->letter == letter) {
                return option;
            }
        }
    }
    return NULL;
}

static const cb_cli_option *find_nearest(const cb_cli_parse *parse,
                                         const char *name)
{
    const cb_cli_option *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const cb_cli_option *option = parse->tables[i];
        for (; option != NULL && option->name != NULL; option++) {
            size_t distance = cb_cli_edit_distance(name, option->name);
            if (distance < least &&
                cb_cli_is_near(name, option->name, distance)) {
                least = distance;
                nearest = option;
            }
        }
    }
    return nearest;
}

static cb_status refuse_long(const cb_cli_parse *parse, const char *name,
                             size_t size, cb_error *error)
{
    char shown[SHOWN_NAME_BYTES + 1] = { 0 };
    const cb_cli_option *nearest = NULL;
    memcpy(shown, name, size < SHOWN_NAME_BYTES ? size : SHOWN_NAME_BYTES);
    nearest = find_nearest(parse, shown);
    if (nearest != NULL) {
        return cb_error_set(error, CB_USAGE,
                            "unknown option '--%s'; did you mean '--%s'?",
                            shown, nearest->name);
    }
    return cb_error_set(error, CB_USAGE, "unknown option '--%s'", shown);
}

static void keep(cb_cli_arguments *arguments, const cb_cli_option *option,
                 const char *value)
{
    arguments->given[arguments->given_count++] =
        (cb_cli_given){ .option = option, .value = value };
}

/* The argument after an option that wants a value. */
static cb_status take_value(cb_cli_parse *parse, const cb_cli_option *option,
                            bool is_letter, const char **ret_value,
                            cb_error *error)
{
    if (parse->position >= parse->argc && is_letter) {
        return cb_error_set(error, CB_USAGE, "option '-%c' needs a value: %s",
                            option->letter, option->value);
    }
    if (parse->position >= parse->argc) {
        return cb_error_set(error, CB_USAGE, "option '--%s' needs a value: %s",
                            option->name, option->value);
    }
    *ret_value = parse->argv[parse->position++];
    return CB_OK;
}

static cb_status read_long(cb_cli_parse *parse, const char *text,
                           cb_cli_arguments *arguments, cb_error *error)
{
    const char *equals = strchr(text, '=');
    size_t size = equals == NULL ? strlen(text) : (size_t)(equals - text);
    const cb_cli_option *option = find_long(parse, text, size);
    const char *value = equals == NULL ? NULL : equals + 1;
    cb_status status = CB_OK;
    if (option == NULL) {
        return refuse_long(parse, text, size, error);
    }
    if (option->value == NULL && value != NULL) {
        return cb_error_set(error, CB_USAGE, "option '--%s' takes no value",
                            option->name);
    }
    if (option->value != NULL && value == NULL) {
        status = take_value(parse, option, false, &value, error);
        if (status != CB_OK) {
            return status;
        }
    }
    keep(arguments, option, value);
    return CB_OK;
}

static cb_status read_letters(cb_cli_parse *parse, const char *text,
                              cb_cli_arguments *arguments, cb_error *error)
{
    for (; *text != '\0'; text++) {
        const cb_cli_option *option = find_letter(parse, *text);
        const char *value = NULL;
        cb_status status = CB_OK;
        if (option == NULL) {
            return cb_error_set(error, CB_USAGE, "unknown option '-%c'", *text);
        }
        if (option->value == NULL) {
            if (!cb_cli_option_given(arguments, option->name)) {
                keep(arguments, option, NULL);
            }
            continue;
        }
        value = text + 1;
        if (*value == '\0') {
            status = take_value(parse, option, true, &value, error);
        }
        if (status == CB_OK) {
            keep(arguments, option, value);
        }
        return status;
    }
    return CB_OK;
}

cb_status cb_cli_parse_options(cb_cli_parse *parse, cb_cli_arguments *arguments,
                               cb_error *reterr_error)
{
    bool options_ended = false;
    while (parse->position < parse->argc) {
        const char *text = parse->argv[parse->position];
        cb_status status = CB_OK;
        if (options_ended || text[0] != '-' || text[1] == '\0') {
            if (parse->stops_at_operand) {
                return CB_OK;
            }
            arguments->operands[arguments->operand_count++] = text;
            parse->position++;
            continue;
        }
        parse->position++;
        if (strcmp(text, "--") == 0) {
            options_ended = true;
        } else if (text[1] == '-') {
            status = read_long(parse, text + 2, arguments, reterr_error);
        } else {
            status = read_letters(parse, text + 1, arguments, reterr_error);
        }
        if (status != CB_OK) {
            return status;
        }
    }
    return CB_OK;
}

size_t cb_cli_option_count(const cb_cli_arguments *arguments, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < arguments->given_count; i++) {
        if (strcmp(arguments->given[i].option->name, name) == 0) {
            count++;
        }
    }
    return count;
}

bool cb_cli_option_given(const cb_cli_arguments *arguments, const char *name)
{
    return cb_cli_option_count(arguments, name) > 0;
}

const char *cb_cli_option_nth(const cb_cli_arguments *arguments,
                              const char *name, size_t index)
{
    for (size_t i = 0; i < arguments->given_count; i++) {
        if (strcmp(arguments->given[i].option->name, name) == 0 &&
            index-- == 0) {
            return arguments->given[i].value;
        }
    }
    return NULL;
}

const char *cb_cli_option_value(const cb_cli_arguments *arguments,
                                const char *name)
{
    size_t count = cb_cli_option_count(arguments, name);
    return count == 0 ? NULL : cb_cli_option_nth(arguments, name, count - 1);
}

const char *cb_cli_operand(const cb_cli_arguments *arguments, size_t index)
{
    return index < arguments->operand_count ? arguments->operands[index] : NULL;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t cb_cli_edit_distance(const char *a, const char *b)
{
    /* Rows i-2, i-1 and i of the table of distances between prefixes. */
    size_t rows[3][WORD_BYTES_MAX + 1];
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > WORD_BYTES_MAX || b_size > WORD_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t changed = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = least_of(changed, least_of(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1]) {
                row[j] = least_of(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

bool cb_cli_is_near(const char *typed, const char *known, size_t distance)
{
    size_t size = strlen(typed);
    size_t common = 0;
    while (common < size && known[common] == typed[common]) {
        common++;
    }
    /* An abbreviation, which is not accepted but understood. */
    if (size >= 2 && common == size) {
        return true;
    }
    return distance <= (size < 4 ? 1 : size < 8 ? 2 : 3) && distance < size;
}
