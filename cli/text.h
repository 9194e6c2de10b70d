/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that people wrote, on its way out.
 *
 * A name or a note may hold anything: escape sequences that repaint a
 * terminal, direction marks that turn a sentence round, bytes that are not
 * text at all.  It is kept as it was written and cleaned each time it is
 * shown; what is taken out leaves a visible trace, <U+001B> for a character
 * and U+FFFD for bytes that are not UTF-8.
 */
#ifndef CASEBOUND_CLI_TEXT_H
#define CASEBOUND_CLI_TEXT_H

#include <casebound/buffer.h>

/*
 * Appends a text as one line: line breaks and tabs become spaces.  Taken out
 * are the control characters (C0, DEL, C1), direction marks and overrides
 * (U+061C, 200E, 200F, 202A-202E, 2066-2069), the separators U+2028 and 2029,
 * byte order marks, interlinear marks (U+FFF9-FFFB) and tag characters.
 */
void cb_cli_clean(cb_buffer *out, cb_span text);

/*
 * As cb_cli_clean, but keeps line breaks (\n, \r\n), each followed by `indent`
 * spaces, so that a text's own lines cannot pass for ours.
 */
void cb_cli_clean_lines(cb_buffer *out, cb_span text, size_t indent);

/*
 * Appends a text as one field of a CSV file, in quotation marks.  A field that
 * a spreadsheet would take for a formula gets an apostrophe in front; line
 * breaks are kept, other controls leave as in cb_cli_clean.
 */
void cb_cli_clean_csv(cb_buffer *out, cb_span text);

/*
 * Columns that a cleaned text takes.  By a table of our own instead of
 * wcwidth, whose answer depends on the locale (and is -1 in the plain one), so
 * that the same text is laid out alike everywhere.  A character that the table
 * is wrong about costs alignment, nothing else.
 */
size_t cb_cli_text_width(cb_span text);

/* Bytes of the longest start of a text that fits into `columns`. */
size_t cb_cli_text_fit(cb_span text, size_t columns);

/*
 * Appends a cleaned text broken at spaces so that no line passes `columns`,
 * lines after the first indented; the first starts at column `start`.  A word
 * that is too long stands alone.  Ends without a line break.
 */
void cb_cli_wrap(cb_buffer *out, cb_span text, size_t start, size_t indent,
                 size_t columns);

/* Characters in a text, each invalid byte counted as one. */
size_t cb_cli_character_count(cb_span text);

#endif
