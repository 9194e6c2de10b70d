/* SPDX-License-Identifier: Apache-2.0 */
#include "csv.h"

#include <string.h>

/* A row holds no more than an entry could take. */
#define ROW_BYTES_MAX (CB_FIELDS_MAX * 1024 + CB_TEXT_BYTES_MAX)

void cb_cli_csv_init(cb_cli_csv *csv, cb_span text)
{
    static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };
    memset(csv, 0, sizeof *csv);
    csv->text = text;
    if (text.size >= sizeof mark &&
        memcmp(text.bytes, mark, sizeof mark) == 0) {
        csv->position = sizeof mark;
    }
    cb_buffer_init(&csv->cells, ROW_BYTES_MAX);
}

void cb_cli_csv_clear(cb_cli_csv *csv)
{
    cb_buffer_clear(&csv->cells);
}

static int peek(const cb_cli_csv *csv)
{
    return csv->position < csv->text.size ? csv->text.bytes[csv->position] : -1;
}

static void pass_line_end(cb_cli_csv *csv)
{
    if (peek(csv) == '\r') {
        csv->position++;
    }
    if (peek(csv) == '\n') {
        csv->position++;
    }
    csv->line++;
}

static cb_status refuse(const cb_cli_csv *csv, const char *what,
                        cb_error *error)
{
    cb_status status =
        cb_error_set(error, CB_INPUT, "line %zu: %s", csv->line + 1, what);
    cb_error_next(error, "write the file as comma-separated values, with text "
                         "in quotation marks");
    return status;
}

static cb_status read_quoted(cb_cli_csv *csv, cb_error *error)
{
    size_t breaks = 0;
    csv->position++;
    for (;;) {
        int c = peek(csv);
        if (c < 0) {
            return refuse(csv, "a quotation mark is never closed", error);
        }
        csv->position++;
        if (c == '"') {
            if (peek(csv) != '"') {
                break;
            }
            csv->position++;
        }
        breaks += c == '\n';
        uint8_t byte = (uint8_t)c;
        cb_buffer_append(&csv->cells, &byte, 1);
    }
    csv->line += breaks;
    int after = peek(csv);
    return after < 0 || after == ',' || after == '\r' || after == '\n'
               ? CB_OK
               : refuse(csv, "text follows a closing quotation mark", error);
}

static cb_status read_plain(cb_cli_csv *csv, cb_error *error)
{
    for (int c = peek(csv); c >= 0 && c != ',' && c != '\r' && c != '\n';
         c = peek(csv)) {
        if (c == '"' || c == 0) {
            return refuse(csv,
                          "a quotation mark or a zero byte stands inside "
                          "a field",
                          error);
        }
        uint8_t byte = (uint8_t)c;
        cb_buffer_append(&csv->cells, &byte, 1);
        csv->position++;
    }
    return CB_OK;
}

static cb_status read_row(cb_cli_csv *csv, size_t *offsets, cb_error *error)
{
    for (;;) {
        if (csv->field_count == CB_CLI_CSV_FIELDS_MAX) {
            return refuse(csv, "there are too many fields", error);
        }
        offsets[csv->field_count++] = csv->cells.size;
        cb_status status =
            peek(csv) == '"' ? read_quoted(csv, error) : read_plain(csv, error);
        if (status != CB_OK) {
            return status;
        }
        cb_buffer_append(&csv->cells, "", 1);
        if (peek(csv) != ',') {
            break;
        }
        csv->position++;
    }
    if (csv->cells.failure != CB_OK) {
        return refuse(csv, "the row is too long", error);
    }
    return CB_OK;
}

cb_status cb_cli_csv_next(cb_cli_csv *csv, cb_error *reterr_error)
{
    size_t offsets[CB_CLI_CSV_FIELDS_MAX];
    csv->field_count = 0;
    cb_buffer_reset(&csv->cells);
    while (peek(csv) == '\r' || peek(csv) == '\n') {
        pass_line_end(csv);
    }
    if (peek(csv) < 0) {
        return CB_END;
    }
    cb_status status = read_row(csv, offsets, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    for (size_t i = 0; i < csv->field_count; i++) {
        csv->fields[i] = cb_buffer_text(&csv->cells) + offsets[i];
    }
    pass_line_end(csv);
    return CB_OK;
}
