/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct status_row {
    int exit_code;
    const char *name;
    const char *meaning;
    const char *next;
};

static const struct status_row status_rows[] = {
#define CB_STATUS(name, exit_code, json_name, meaning, next) \
    { (exit_code), (json_name), (meaning), (next) },
#include <casebound/status.def>
#undef CB_STATUS
};

static const struct status_row *row_of(cb_status status)
{
    CB_ASSERT((int)status >= 0 && (int)status < (int)CB_STATUS_COUNT);
    return &status_rows[status];
}

int cb_status_exit_code(cb_status status)
{
    return row_of(status)->exit_code;
}

const char *cb_status_name(cb_status status)
{
    return row_of(status)->name;
}

const char *cb_status_meaning(cb_status status)
{
    return row_of(status)->meaning;
}

const char *cb_status_next(cb_status status)
{
    return row_of(status)->next;
}

cb_status cb_error_set(cb_error *error, cb_status status, const char *format,
                       ...)
{
    if (error == NULL) {
        return status;
    }
    if (error->status != CB_OK) {
        return error->status;
    }
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->what, sizeof error->what, format, arguments);
    va_end(arguments);
    return status;
}

void cb_error_meaning(cb_error *error, const char *format, ...)
{
    if (error == NULL || error->meaning[0] != '\0') {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->meaning, sizeof error->meaning, format, arguments);
    va_end(arguments);
}

void cb_error_next(cb_error *error, const char *format, ...)
{
    if (error == NULL || error->next[0] != '\0') {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->next, sizeof error->next, format, arguments);
    va_end(arguments);
}

void cb_error_clear(cb_error *error)
{
    if (error != NULL) {
        memset(error, 0, sizeof *error);
    }
}

void cb_assertion_failed(const char *file, int line, const char *condition)
{
    (void)fprintf(stderr, "casebound: broken assumption at %s:%d: %s\n", file,
                  line, condition);
    abort();
}
