/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transcripts: Markdown that is run.
 *
 * A fenced block whose first line begins with "$ " is a transcript: commands
 * after "$ " (continued on lines that begin with "> "), each followed by what
 * it prints.  "[..]" stands for anything inside a line, a line "..." for any
 * lines.  The rest of the file is prose, other blocks included.
 *
 * Behind the fence:
 *
 *     (exit 11)   how the last command of the block ends; the others end in 0
 *     (stderr)    the text is the error stream, and the output is empty
 *     (both)      the text is both streams, as a terminal would show them
 *     (clock T)   from this block on the present is T
 *
 * A command that ends with 77 could not show what it should on this machine,
 * and has said why on the error stream: it is left out, and counted as that.
 *
 * Without one of the two in the middle the text is the output, and the error
 * stream is not looked at.
 */
#ifndef CASEBOUND_TESTS_CLI_TRANSCRIPT_H
#define CASEBOUND_TESTS_CLI_TRANSCRIPT_H

#include <casebound/buffer.h>

typedef enum transcript_stream {
    TRANSCRIPT_OUT,
    TRANSCRIPT_ERR,
    TRANSCRIPT_BOTH
} transcript_stream;

typedef struct transcript_fence {
    char language[32];
    int exit_code;
    transcript_stream stream;
    char clock[64]; /* empty: unchanged */
} transcript_fence;

/* A text cut into lines; the lines borrow from the text. */
typedef struct transcript_lines {
    cb_span *lines;
    size_t count;
} transcript_lines;

transcript_lines transcript_split(cb_span text);
void transcript_lines_clear(transcript_lines *lines);

bool transcript_starts_with(cb_span line, const char *start);

/* What stands behind the three backquotes; false where it is not understood. */
bool transcript_read_fence(cb_span line, transcript_fence *ret_fence);

/* The fence as it should be written. */
void transcript_write_fence(cb_buffer *out, const transcript_fence *fence);

/* Whether a line is what "[..]" in the pattern allows. */
bool transcript_line_matches(cb_span pattern, cb_span line);

/* Whether lines are what the wanted ones, with their "...", allow. */
bool transcript_lines_match(const cb_span *wanted, size_t wanted_count,
                            const cb_span *got, size_t got_count);

/* Lines, or a text cut into them, as a report shows them. */
void transcript_print_lines(const char *lead, const cb_span *lines,
                            size_t count);
void transcript_print_text(const char *lead, const cb_buffer *text);

#endif
