/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check character is a linear code over GF(32), x^5 + x^2 + 1: with a the
 * root 2 of it, check = a s1 + a^2 s2 + a^3 s3 + a^4 s4 + place.  The factors,
 * that of the check itself (1) included, are different and none is zero, which
 * is what finds every single wrong character and every exchange of two.
 */
#include <casebound/recovery.h>

#include <sodium.h>
#include <string.h>

#define DATA_CHARACTERS (CB_RECOVERY_GROUP_CHARACTERS - 1)
#define NO_VALUE        0xff

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* What was typed, cut into groups of values. */
struct typed {
    uint8_t values[CB_RECOVERY_GROUPS][CB_RECOVERY_GROUP_CHARACTERS];
    size_t sizes[CB_RECOVERY_GROUPS]; /* as written, where it was in groups */
    size_t groups;                    /* as written */
    size_t characters;
};

cb_status cb_recovery_make(const cb_environment *environment,
                           cb_secret **ret_key, cb_error *reterr_error)
{
    return cb_secret_create_random(environment, CB_RECOVERY_KEY_BYTES, ret_key,
                                   reterr_error);
}

static uint8_t twice(uint8_t value)
{
    return (uint8_t)(value & 0x10 ? (value << 1) ^ 0x25 : value << 1);
}

static uint8_t check_of(const uint8_t *values, size_t group)
{
    uint8_t check = (uint8_t)(group + 1);
    for (size_t i = 0; i < DATA_CHARACTERS; i++) {
        uint8_t product = values[i];
        for (size_t factor = 0; factor <= i; factor++) {
            product = twice(product);
        }
        check ^= product;
    }
    return check;
}

cb_status cb_recovery_print(const cb_secret *key, cb_secret **ret_text,
                            cb_error *reterr_error)
{
    CB_ASSERT(cb_secret_size(key) == CB_RECOVERY_KEY_BYTES);
    cb_secret *text = NULL;
    cb_status status =
        cb_secret_create(CB_RECOVERY_TEXT_BYTES, &text, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    uint8_t values[DATA_CHARACTERS];
    uint8_t *place = cb_secret_bytes(text);
    const uint8_t *bytes = cb_secret_view(key);
    size_t bit = 0;
    for (size_t group = 0; group < CB_RECOVERY_GROUPS; group++) {
        if (group > 0) {
            *place++ = '-';
        }
        for (size_t i = 0; i < DATA_CHARACTERS; i++) {
            uint8_t value = 0;
            for (size_t end = bit + 5; bit < end; bit++) {
                value = (uint8_t)(value << 1 |
                                  (bytes[bit / 8] >> (7 - bit % 8) & 1));
            }
            values[i] = value;
            *place++ = (uint8_t)alphabet[value];
        }
        *place++ = (uint8_t)alphabet[check_of(values, group)];
    }
    sodium_memzero(values, sizeof values);
    *ret_text = text;
    return CB_OK;
}

static uint8_t value_of(uint8_t character)
{
    if (character >= 'a' && character <= 'z') {
        character = (uint8_t)(character - 'a' + 'A');
    }
    if (character == 'O') {
        character = '0';
    } else if (character == 'I' || character == 'L') {
        character = '1';
    }
    const char *place = character == '\0' ? NULL : strchr(alphabet, character);
    return place == NULL ? NO_VALUE : (uint8_t)(place - alphabet);
}

static bool is_gap(uint8_t character)
{
    return character == '-' || character == ' ' || character == '\t' ||
           character == '\r' || character == '\n';
}

static void cut(const cb_secret *text, struct typed *typed)
{
    const uint8_t *bytes = cb_secret_view(text);
    bool in_group = false;
    for (size_t i = 0; i < cb_secret_size(text); i++) {
        if (is_gap(bytes[i])) {
            in_group = false;
            continue;
        }
        typed->groups += in_group ? 0 : 1;
        in_group = true;
        if (typed->groups <= CB_RECOVERY_GROUPS) {
            typed->sizes[typed->groups - 1]++;
        }
        size_t group = typed->characters / CB_RECOVERY_GROUP_CHARACTERS;
        size_t within = typed->characters % CB_RECOVERY_GROUP_CHARACTERS;
        if (group < CB_RECOVERY_GROUPS) {
            typed->values[group][within] = value_of(bytes[i]);
        }
        typed->characters++;
    }
}

static cb_status refuse(cb_error *error)
{
    cb_error_meaning(error, "nothing was opened or changed");
    cb_error_next(error, "compare it with the paper and type it again");
    return CB_INPUT;
}

/* Too long or too short; where it was typed in groups, which one is. */
static cb_status refuse_length(const struct typed *typed, cb_error *error)
{
    for (size_t i = 0; typed->groups == CB_RECOVERY_GROUPS && i < typed->groups;
         i++) {
        if (typed->sizes[i] != CB_RECOVERY_GROUP_CHARACTERS) {
            (void)cb_error_set(error, CB_INPUT,
                               "group %zu of the recovery key has %zu "
                               "characters and not %d",
                               i + 1, typed->sizes[i],
                               CB_RECOVERY_GROUP_CHARACTERS);
            return refuse(error);
        }
    }
    (void)cb_error_set(
        error, CB_INPUT, "the recovery key has %zu characters and not %d",
        typed->characters, CB_RECOVERY_GROUPS * CB_RECOVERY_GROUP_CHARACTERS);
    return refuse(error);
}

static bool is_mistyped(const struct typed *typed, size_t group)
{
    const uint8_t *values = typed->values[group];
    for (size_t i = 0; i < CB_RECOVERY_GROUP_CHARACTERS; i++) {
        if (values[i] == NO_VALUE) {
            return true;
        }
    }
    return values[DATA_CHARACTERS] != check_of(values, group);
}

static cb_status check_groups(const struct typed *typed, cb_error *error)
{
    char list[4 * CB_RECOVERY_GROUPS] = "";
    size_t size = 0;
    size_t count = 0;
    for (size_t i = 0; i < CB_RECOVERY_GROUPS; i++) {
        if (is_mistyped(typed, i)) {
            list[size++] = count == 0 ? ' ' : ',';
            if (count > 0) {
                list[size++] = ' ';
            }
            list[size++] = (char)('1' + i);
            count++;
        }
    }
    if (count == 0) {
        return CB_OK;
    }
    list[size] = '\0';
    (void)cb_error_set(error, CB_INPUT,
                       "group%s%s of the recovery key %s "
                       "mistyped",
                       count == 1 ? "" : "s", list, count == 1 ? "is" : "are");
    return refuse(error);
}

cb_status cb_recovery_read(const cb_secret *text, cb_secret **ret_key,
                           cb_error *reterr_error)
{
    cb_secret *key = NULL;
    struct typed typed = { .characters = 0 };
    cut(text, &typed);
    cb_status status =
        typed.characters == CB_RECOVERY_GROUPS * CB_RECOVERY_GROUP_CHARACTERS
            ? check_groups(&typed, reterr_error)
            : refuse_length(&typed, reterr_error);
    if (status == CB_OK) {
        status = cb_secret_create(CB_RECOVERY_KEY_BYTES, &key, reterr_error);
    }
    if (status == CB_OK) {
        uint8_t *bytes = cb_secret_bytes(key);
        for (size_t bit = 0; bit < (size_t)CB_RECOVERY_KEY_BYTES * 8; bit++) {
            size_t character = bit / 5;
            uint8_t value = typed.values[character / DATA_CHARACTERS]
                                        [character % DATA_CHARACTERS];
            bytes[bit / 8] =
                (uint8_t)(bytes[bit / 8] << 1 | (value >> (4 - bit % 5) & 1));
        }
        *ret_key = key;
    }
    sodium_memzero(&typed, sizeof typed);
    return status;
}
