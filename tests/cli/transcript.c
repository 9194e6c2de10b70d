/* SPDX-License-Identifier: Apache-2.0 */
#include "transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FENCE "```"
#define ANY   "[..]"

transcript_lines transcript_split(cb_span text)
{
    transcript_lines lines = { 0 };
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++) {
        count += text.bytes[i] == '\n' ? 1 : 0;
    }
    lines.lines = calloc(count, sizeof *lines.lines);
    if (lines.lines == NULL) {
        abort();
    }
    size_t offset = 0;
    while (offset < text.size) {
        const uint8_t *end =
            memchr(text.bytes + offset, '\n', text.size - offset);
        size_t next = end == NULL ? text.size : (size_t)(end - text.bytes);
        lines.lines[lines.count++] =
            (cb_span){ text.bytes + offset, next - offset };
        offset = next + 1;
    }
    return lines;
}

void transcript_lines_clear(transcript_lines *lines)
{
    free(lines->lines);
    *lines = (transcript_lines){ 0 };
}

bool transcript_starts_with(cb_span line, const char *start)
{
    size_t size = strlen(start);
    return line.size >= size && memcmp(line.bytes, start, size) == 0;
}

/* One "(word value)" of a fence. */
static bool read_mark(const char *mark, transcript_fence *fence)
{
    char after = '\0';
    if (strcmp(mark, "stderr") == 0) {
        fence->stream = TRANSCRIPT_ERR;
        return true;
    }
    if (strcmp(mark, "both") == 0) {
        fence->stream = TRANSCRIPT_BOTH;
        return true;
    }
    if (strncmp(mark, "clock ", 6) == 0 && mark[6] != '\0' &&
        strlen(mark + 6) < sizeof fence->clock) {
        (void)snprintf(fence->clock, sizeof fence->clock, "%s", mark + 6);
        return true;
    }
    return sscanf(mark, "exit %d%c", &fence->exit_code, &after) == 1 &&
           fence->exit_code > 0 && fence->exit_code < 256;
}

bool transcript_read_fence(cb_span line, transcript_fence *ret_fence)
{
    char info[256] = { 0 };
    size_t size = line.size - strlen(FENCE);
    transcript_fence fence = { 0 };
    if (size >= sizeof info) {
        return false;
    }
    memcpy(info, line.bytes + strlen(FENCE), size);
    char *at = info;
    size_t word = strcspn(at, " (");
    if (word >= sizeof fence.language) {
        return false;
    }
    memcpy(fence.language, at, word);
    at += word;
    for (;;) {
        at += strspn(at, " ");
        if (*at == '\0') {
            *ret_fence = fence;
            return true;
        }
        char *end = strchr(at, ')');
        if (*at != '(' || end == NULL) {
            return false;
        }
        *end = '\0';
        if (!read_mark(at + 1, &fence)) {
            return false;
        }
        at = end + 1;
    }
}

void transcript_write_fence(cb_buffer *out, const transcript_fence *fence)
{
    cb_buffer_append_format(out, "%s%s", FENCE, fence->language);
    if (fence->exit_code != 0) {
        cb_buffer_append_format(out, " (exit %d)", fence->exit_code);
    }
    if (fence->stream == TRANSCRIPT_ERR) {
        cb_buffer_append_text(out, " (stderr)");
    } else if (fence->stream == TRANSCRIPT_BOTH) {
        cb_buffer_append_text(out, " (both)");
    }
    if (fence->clock[0] != '\0') {
        cb_buffer_append_format(out, " (clock %s)", fence->clock);
    }
    cb_buffer_append_text(out, "\n");
}

/*
 * Both matchers below are the usual one for wildcards: on a mismatch go back
 * to the last wildcard and let it take one more.  The earlier wildcards need
 * no second try, so the time is at most the product of the lengths.
 */
bool transcript_line_matches(cb_span pattern, cb_span line)
{
    size_t at = 0;
    size_t from = 0;
    size_t wildcard_after = SIZE_MAX;
    size_t taken_to = 0;
    while (from < line.size || at < pattern.size) {
        cb_span left = { pattern.bytes + at, pattern.size - at };
        if (transcript_starts_with(left, ANY)) {
            at += strlen(ANY);
            wildcard_after = at;
            taken_to = from;
        } else if (at < pattern.size && from < line.size &&
                   pattern.bytes[at] == line.bytes[from]) {
            at++;
            from++;
        } else if (wildcard_after != SIZE_MAX && taken_to < line.size) {
            at = wildcard_after;
            from = ++taken_to;
        } else {
            return false;
        }
    }
    return true;
}

bool transcript_lines_match(const cb_span *wanted, size_t wanted_count,
                            const cb_span *got, size_t got_count)
{
    size_t at = 0;
    size_t from = 0;
    size_t wildcard_after = SIZE_MAX;
    size_t taken_to = 0;
    while (from < got_count || at < wanted_count) {
        if (at < wanted_count &&
            cb_span_equal(wanted[at], cb_span_of_text("..."))) {
            wildcard_after = ++at;
            taken_to = from;
        } else if (at < wanted_count && from < got_count &&
                   transcript_line_matches(wanted[at], got[from])) {
            at++;
            from++;
        } else if (wildcard_after != SIZE_MAX && taken_to < got_count) {
            at = wildcard_after;
            from = ++taken_to;
        } else {
            return false;
        }
    }
    return true;
}

void transcript_print_lines(const char *lead, const cb_span *lines,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)printf("    %s%.*s\n", lead, (int)lines[i].size,
                     (const char *)lines[i].bytes);
    }
}

void transcript_print_text(const char *lead, const cb_buffer *text)
{
    transcript_lines lines = transcript_split(cb_span_of_buffer(text));
    transcript_print_lines(lead, lines.lines, lines.count);
    transcript_lines_clear(&lines);
}
