/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments out of a log that anybody may have written, and the line beside
 * them.  The input is the segment; where it is text, it is tried as the line.
 */
#include <casebound/buffer.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "log/segment.h"

static const cb_stream_id stream = { { 9, 8, 7 } };

bool fuzz_seed(unsigned number, cb_buffer *seed)
{
    static const size_t sizes[] = { CB_SEGMENT_ENTRY_BYTES_MIN, 300, 5000 };
    const size_t count = sizeof sizes / sizeof sizes[0];
    uint8_t entry[5000];
    cb_segment_builder builder;
    if (number > count) {
        return false;
    }
    cb_segment_builder_init(&builder);
    for (unsigned i = 0; i <= number && i < count; i++) {
        memset(entry, (int)i, sizes[i]);
        CB_ASSERT(cb_segment_append(&builder, (cb_span){ entry, sizes[i] },
                                    NULL) == CB_OK);
    }
    if (number < count) {
        cb_buffer_append_span(seed, cb_span_of_buffer(&builder.bytes));
    } else {
        cb_segment_manifest manifest;
        CB_ASSERT(cb_segment_manifest_make(&stream, 1,
                                           cb_span_of_buffer(&builder.bytes),
                                           &manifest, NULL) == CB_OK);
        cb_segment_manifest_format(&manifest, seed);
    }
    cb_segment_builder_clear(&builder);
    return true;
}

/* The same entries give the same bytes: invariant 2 of log/segment.h. */
static void check_rebuilding(cb_span segment, size_t count)
{
    cb_segment_builder builder;
    cb_segment_reader reader;
    cb_span entry;
    cb_segment_builder_init(&builder);
    cb_segment_reader_init(&reader, segment);
    while (cb_segment_reader_next(&reader, &entry, NULL) == CB_OK) {
        CB_ASSERT(cb_segment_append(&builder, entry, NULL) == CB_OK);
    }
    CB_ASSERT(builder.count == count);
    CB_ASSERT(cb_span_equal(cb_span_of_buffer(&builder.bytes), segment));
    cb_segment_builder_clear(&builder);

    cb_segment_manifest manifest;
    CB_ASSERT(cb_segment_manifest_make(&stream, 1, segment, &manifest, NULL) ==
              CB_OK);
    CB_ASSERT(cb_segment_manifest_match(&manifest, segment, NULL) == CB_OK);
}

/* A line that is accepted is the only way to write what it says. */
static void check_line(cb_span input)
{
    cb_segment_manifest manifest;
    if (cb_segment_manifest_parse(input, &manifest, NULL) != CB_OK) {
        return;
    }
    cb_buffer line;
    cb_buffer_init(&line, CB_SEGMENT_MANIFEST_BYTES_MAX);
    cb_segment_manifest_format(&manifest, &line);
    CB_ASSERT(cb_span_equal(cb_span_of_buffer(&line), input));
    cb_buffer_clear(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const cb_span input = { data, size };
    size_t count = 0;
    cb_error error = { 0 };
    const cb_status status = cb_segment_check(input, &count, &error);
    CB_ASSERT(status == error.status);
    CB_ASSERT(status == CB_OK || error.what[0] != '\0');
    if (status == CB_OK) {
        check_rebuilding(input, count);
    }
    check_line(input);
    return 0;
}
