/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a page that is built up in a buffer: wrapped texts and short dates.
 */
#ifndef CASEBOUND_CLI_LAYOUT_H
#define CASEBOUND_CLI_LAYOUT_H

#include "command.h"

#define CB_CLI_DATE_TEXT_BYTES 32

/* Columns of a page: the terminal's, within reason; 80 in a pipe. */
size_t cb_cli_page_columns(const cb_cli_session *session);

/* A member's text, "" where there is none. */
const char *cb_cli_member(const json_t *object, const char *name);

/*
 * Appends `lead` and the text of somebody, cleaned, broken at the page's edge;
 * further lines are indented.  Ends with a line break.
 */
void cb_cli_page_text(cb_buffer *page, size_t columns, const char *lead,
                      const char *text, size_t indent);

/* Appends a text cleaned for one line. */
void cb_cli_page_clean(cb_buffer *page, const char *text);

/* Appends blanks until the last line is `column` wide, but at least one. */
void cb_cli_page_pad(cb_buffer *page, size_t column);

/*
 * London's time in few columns, by precision: "14 Mar 14:10", "14 Mar",
 * "Mar 2017", "2017"; another year than the present one is shown:
 * "14 Mar 16 14:10", "14 Mar 2016".
 */
void cb_cli_short_date(const cb_cli_session *session, int64_t instant_ms,
                       const char *precision,
                       char ret_text[CB_CLI_DATE_TEXT_BYTES]);

/*
 * What a row of a timeline says, with whom it is about: "Amara Hill: Consent
 * GIVEN", "Harmed person added: Amara Hill".
 */
void cb_cli_row_words(const json_t *row, cb_buffer *text);

/* A role as people call it: "co" is "co-facilitator". */
const char *cb_cli_role_words(const char *role, char *ret_text, size_t size);

/* "Kemi Okoro" as "K.Okoro"; a name of one word as it is. */
void cb_cli_short_name(const char *name, cb_buffer *text);

#endif
