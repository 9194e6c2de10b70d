/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file of comma-separated values, RFC 4180: a first line of names,
 * fields in quotation marks where they hold commas, line breaks or (doubled)
 * quotation marks.  Lines that start with "#" before the names are passed over.
 *
 * libcsv is in Debian; it has had no release since 2013 and bounds neither a
 * field nor a row, so these hundred lines stand here.
 */
#ifndef CASEBOUND_CLI_CSV_H
#define CASEBOUND_CLI_CSV_H

#include <casebound/buffer.h>
#include <casebound/limits.h>

#define CB_CLI_CSV_FIELDS_MAX CB_FIELDS_MAX

typedef struct cb_cli_csv {
    cb_span text;
    size_t position;
    size_t line;     /* of the row last read, counted from 1 */
    cb_buffer cells; /* texts of the row, each followed by a zero */
    const char *fields[CB_CLI_CSV_FIELDS_MAX];
    size_t field_count;
} cb_cli_csv;

/* The text is borrowed.  A byte order mark at its start is passed over. */
void cb_cli_csv_init(cb_cli_csv *csv, cb_span text);
void cb_cli_csv_clear(cb_cli_csv *csv);

/*
 * The next row into `fields`, borrowed until the next call.  Empty lines are
 * passed over.  CB_END after the last; CB_INPUT names the line.
 */
CB_NODISCARD cb_status cb_cli_csv_next(cb_cli_csv *csv, cb_error *reterr_error);

#endif
