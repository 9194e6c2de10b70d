/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <casebound/limits.h>

#include "output.h"

typedef struct limit_row {
    const char *name;
    int value;
    const char *unit;
    const char *why;
} limit_row;

static const limit_row limits[] = {
#define CB_LIMIT(name, value, unit, why) { #name, (value), (unit), (why) },
#include <casebound/limits.def>
#undef CB_LIMIT
};

#define LIMIT_COUNT (sizeof limits / sizeof limits[0])

/* PASSPHRASE_BYTES_MAX as passphrase_bytes_max. */
static void append_lower(cb_buffer *text, const char *name)
{
    for (; *name != '\0'; name++) {
        char letter = *name;
        if (letter >= 'A' && letter <= 'Z') {
            letter = (char)(letter - 'A' + 'a');
        }
        cb_buffer_append(text, &letter, 1);
    }
}

static cb_status answer_version(cb_cli_session *session, bool has_limits)
{
    json_t *document = json_pack("{s:s, s:s}", "schema", "casebound.version.v1",
                                 "version", CASEBOUND_VERSION);
    json_t *rows = has_limits ? json_array() : NULL;
    for (size_t i = 0; rows != NULL && i < LIMIT_COUNT; i++) {
        cb_buffer name;
        cb_buffer_init(&name, 256);
        append_lower(&name, limits[i].name);
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:i, s:s, s:s}", "name",
                            cb_buffer_text(&name), "value", limits[i].value,
                            "unit", limits[i].unit, "why", limits[i].why));
        cb_buffer_clear(&name);
    }
    if (document != NULL && rows != NULL) {
        (void)json_object_set(document, "limits", rows);
    }
    json_decref(rows);
    return cb_cli_answer(session, document, &session->error);
}

cb_status cb_cli_run_version(cb_cli_session *session)
{
    static const cb_cli_column columns[] = {
        { .title = "limit" },
        { .title = "value", .is_number = true },
        { .title = "unit" },
        { .title = "why", .may_be_cut = true },
    };
    bool has_limits = cb_cli_option_given(&session->arguments, "limits");
    if (session->json) {
        return answer_version(session, has_limits);
    }
    cb_cli_print(session, "casebound %s\n", CASEBOUND_VERSION);
    if (!has_limits) {
        return CB_OK;
    }
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        char value[16];
        cb_buffer name;
        cb_buffer_init(&name, 256);
        append_lower(&name, limits[i].name);
        (void)snprintf(value, sizeof value, "%d", limits[i].value);
        cb_cli_rows_add(&rows, cb_buffer_text(&name));
        cb_cli_rows_add(&rows, value);
        cb_cli_rows_add(&rows, limits[i].unit);
        cb_cli_rows_add(&rows, limits[i].why);
        cb_buffer_clear(&name);
    }
    cb_status status = cb_cli_rows_print(session, &rows, &session->error);
    cb_cli_rows_clear(&rows);
    return status;
}
