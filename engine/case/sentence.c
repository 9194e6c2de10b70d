/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences with places for ids and moments -> words. */
#include <casebound/rules.h>

#include <casebound/when.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_ID_DIGITS 8

static bool append_named(const char *kind, const char *id,
                         const cb_naming *naming, cb_buffer *text)
{
    cb_person_id person;
    cb_record_id party;
    const char *name = NULL;
    if (strcmp(kind, "person") == 0 &&
        cb_hex_parse(id, person.bytes, sizeof person.bytes)) {
        if (naming != NULL && naming->person != NULL) {
            name = naming->person(naming->context, &person);
        }
    } else if (strcmp(kind, "party") == 0 &&
               cb_hex_parse(id, party.bytes, sizeof party.bytes)) {
        if (naming != NULL && naming->party != NULL) {
            name = naming->party(naming->context, &party);
        }
    } else if (strcmp(kind, "entry") != 0) {
        return false;
    }
    if (name != NULL) {
        cb_buffer_append_text(text, name);
    } else {
        cb_buffer_append_format(text, "%.*s", SHORT_ID_DIGITS, id);
    }
    return true;
}

static bool append_moment(const char *kind, const char *number, cb_buffer *text)
{
    char moment[CB_WHEN_TEXT_BYTES];
    char *end = NULL;
    errno = 0;
    long long ms = strtoll(number, &end, 10);
    if (errno != 0 || end == number || *end != '\0' ||
        (strcmp(kind, "ms") != 0 && strcmp(kind, "day") != 0)) {
        return false;
    }
    cb_when when = { .start_ms = ms,
                     .precision = strcmp(kind, "ms") == 0 ? CB_WHEN_MINUTE
                                                          : CB_WHEN_DAY };
    cb_when_format_local(&when, moment);
    /* The offset helps a machine; a person knows what time it is in London. */
    char *offset = strpbrk(moment, "+");
    if (offset != NULL && offset > moment && offset[-1] == ' ') {
        offset[-1] = '\0';
    }
    cb_buffer_append_text(text, moment);
    return true;
}

void cb_sentence_append(const char *sentence, const cb_naming *naming,
                        cb_buffer *text)
{
    const char *at = sentence;
    while (*at != '\0') {
        char kind[8] = "";
        char value[CB_HASH_TEXT_BYTES] = "";
        const char *colon = *at == '{' ? strchr(at, ':') : NULL;
        const char *close = colon != NULL ? strchr(colon, '}') : NULL;
        if (close != NULL && (size_t)(colon - at) <= sizeof kind &&
            (size_t)(close - colon) <= sizeof value) {
            memcpy(kind, at + 1, (size_t)(colon - at) - 1);
            memcpy(value, colon + 1, (size_t)(close - colon) - 1);
        }
        if (kind[0] != '\0' && (append_named(kind, value, naming, text) ||
                                append_moment(kind, value, text))) {
            at = close + 1;
        } else {
            cb_buffer_append(text, at, 1);
            at++;
        }
    }
}
