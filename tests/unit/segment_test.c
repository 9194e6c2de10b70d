/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "log/segment.h"
#include "support/expect.h"

static const uint8_t filler[CB_ENTRY_BYTES_MAX + 1];

static cb_span entry_of(size_t size)
{
    return (cb_span){ .bytes = filler, .size = size };
}

Test(segment, gives_back_the_entries_it_was_built_from)
{
    static const size_t sizes[] = { 272, 1000, 65535, 273 };
    const size_t count = sizeof sizes / sizeof *sizes;
    cb_segment_builder builder;
    cb_segment_reader reader;
    cb_span entry;
    size_t checked = 0;
    cb_segment_builder_init(&builder);
    for (size_t i = 0; i < count; i++) {
        expect_ok(
            cb_segment_append(&builder, entry_of(sizes[i]), test_error()));
    }
    cr_expect(builder.count == count);
    expect_bytes(builder.bytes.bytes, 2, "\1\20", 2);

    cb_segment_reader_init(&reader, cb_span_of_buffer(&builder.bytes));
    for (size_t i = 0; i < count; i++) {
        expect_ok(cb_segment_reader_next(&reader, &entry, test_error()));
        cr_expect(entry.size == sizes[i]);
    }
    expect_status(CB_END,
                  cb_segment_reader_next(&reader, &entry, test_error()));
    expect_ok(cb_segment_check(cb_span_of_buffer(&builder.bytes), &checked,
                               test_error()));
    cr_expect(checked == count);
    cb_segment_builder_clear(&builder);
    cr_expect(builder.count == 0 && builder.bytes.size == 0);
}

Test(segment, takes_entries_of_possible_sizes_only)
{
    static const size_t sizes[] = { 0, 1, 271, 65536 };
    cb_segment_builder builder;
    cb_segment_builder_init(&builder);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        expect_status(CB_INPUT, cb_segment_append(&builder, entry_of(sizes[i]),
                                                  test_error()));
    }
    cr_expect(builder.count == 0 && builder.bytes.size == 0);
    cb_segment_builder_clear(&builder);
}

Test(segment, is_full_at_its_limits_and_stays_whole)
{
    cb_segment_builder builder;
    size_t count = 0;
    cb_segment_builder_init(&builder);
    for (size_t i = 0; i < 956; i++) {
        expect_ok(cb_segment_append(&builder, entry_of(272), test_error()));
    }
    /* 956 entries of 274 bytes are 261,944: 200 are left. */
    expect_status(CB_LIMIT,
                  cb_segment_append(&builder, entry_of(272), test_error()));
    expect_ok(cb_segment_check(cb_span_of_buffer(&builder.bytes), &count,
                               test_error()));
    cr_expect(count == 956);
    cb_segment_builder_clear(&builder);

    cb_segment_builder_init(&builder);
    for (size_t i = 0; i < 3; i++) {
        expect_ok(cb_segment_append(&builder, entry_of(65535), test_error()));
    }
    const size_t left = CB_SEGMENT_BYTES_MAX - builder.bytes.size;
    cr_expect(!cb_segment_has_room(&builder, left - 1));
    cr_expect(cb_segment_has_room(&builder, left - 2));
    expect_ok(cb_segment_append(&builder, entry_of(left - 2), test_error()));
    cr_expect(builder.bytes.size == CB_SEGMENT_BYTES_MAX);
    cr_expect(!cb_segment_has_room(&builder, 272));
    expect_ok(cb_segment_check(cb_span_of_buffer(&builder.bytes), &count,
                               test_error()));
    cr_expect(count == 4);
    cb_segment_builder_clear(&builder);
}

Test(segment, counts_its_entries_although_bytes_are_left)
{
    /* 1,000 entries never fit by bytes; a builder is set so by hand. */
    cb_segment_builder builder;
    cb_segment_builder_init(&builder);
    builder.count = CB_SEGMENT_ENTRIES_MAX;
    cr_expect(!cb_segment_has_room(&builder, 272));
    expect_status(CB_LIMIT,
                  cb_segment_append(&builder, entry_of(272), test_error()));
    builder.count = CB_SEGMENT_ENTRIES_MAX - 1;
    cr_expect(cb_segment_has_room(&builder, 272));
    cb_segment_builder_clear(&builder);
}

Test(segment, of_hostile_bytes_is_refused)
{
    static const struct {
        const char *what;
        size_t size;
        uint16_t first_length;
        cb_status wanted;
    } rows[] = {
        { "nothing", 0, 0, CB_DAMAGED },
        { "half a length", 1, 0, CB_DAMAGED },
        { "a length alone", 2, 272, CB_DAMAGED },
        { "an empty entry", 2, 0, CB_DAMAGED },
        { "too short an entry", 273, 271, CB_DAMAGED },
        { "an entry cut short", 273, 272, CB_DAMAGED },
        { "just one entry", 274, 272, CB_OK },
        { "one byte behind it", 275, 272, CB_DAMAGED },
        { "zeros behind it", 276, 272, CB_DAMAGED },
        { "a length beyond the end", 300, 65535, CB_DAMAGED },
        { "too many bytes", CB_SEGMENT_BYTES_MAX + 1, 272, CB_LIMIT },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t *bytes = calloc(1, rows[i].size + 1);
        uint8_t *exact = NULL;
        size_t count = 0;
        cr_assert(bytes != NULL);
        if (rows[i].size >= 2) {
            cb_put_u16(bytes, rows[i].first_length);
        }
        /* Of just this size, so that a read beyond it is seen. */
        exact = realloc(bytes, rows[i].size > 0 ? rows[i].size : 1);
        cr_assert(exact != NULL);
        const cb_status got = cb_segment_check(
            (cb_span){ .bytes = exact, .size = rows[i].size }, &count, NULL);
        cr_expect(got == rows[i].wanted, "%s: %s", rows[i].what,
                  cb_status_name(got));
        free(exact);
    }
}

static const char manifest_text[] =
    "casebound-segment 1 07070707070707070707070707070707 41 2 ";

static void build(cb_segment_builder *builder, cb_segment_manifest *manifest)
{
    cb_stream_id stream;
    memset(stream.bytes, 7, sizeof stream.bytes);
    cb_segment_builder_init(builder);
    expect_ok(cb_segment_append(builder, entry_of(272), test_error()));
    expect_ok(cb_segment_append(builder, entry_of(300), test_error()));
    expect_ok(cb_segment_manifest_make(&stream, 41,
                                       cb_span_of_buffer(&builder->bytes),
                                       manifest, test_error()));
}

Test(segment, manifest_is_one_line_that_reads_back)
{
    cb_segment_builder builder;
    cb_segment_manifest made;
    cb_segment_manifest read;
    cb_buffer line;
    build(&builder, &made);
    cb_buffer_init(&line, CB_SEGMENT_MANIFEST_BYTES_MAX);
    cb_segment_manifest_format(&made, &line);
    cr_expect(strncmp(cb_buffer_text(&line), manifest_text,
                      strlen(manifest_text)) == 0,
              "%s", cb_buffer_text(&line));
    cr_expect(line.size == strlen(manifest_text) + 64 + 1);

    expect_ok(cb_segment_manifest_parse(cb_span_of_buffer(&line), &read,
                                        test_error()));
    expect_bytes(read.stream.bytes, 16, made.stream.bytes, 16);
    expect_bytes(read.hash.bytes, 32, made.hash.bytes, 32);
    cr_expect(read.first_seq == 41 && read.count == 2);
    expect_ok(cb_segment_manifest_match(
        &read, cb_span_of_buffer(&builder.bytes), test_error()));

    builder.bytes.bytes[100] ^= 1;
    expect_status(CB_DAMAGED,
                  cb_segment_manifest_match(
                      &read, cb_span_of_buffer(&builder.bytes), test_error()));
    builder.bytes.bytes[100] ^= 1;
    read.count = 3;
    expect_status(CB_DAMAGED,
                  cb_segment_manifest_match(
                      &read, cb_span_of_buffer(&builder.bytes), test_error()));
    cb_buffer_clear(&line);
    cb_segment_builder_clear(&builder);
}

Test(segment, manifest_carries_the_hash_that_b2sum_prints)
{
    /* printf '\1\20' and 272 zeros, through b2sum -l 256. */
    cb_segment_builder builder;
    cb_segment_manifest manifest;
    const cb_stream_id stream = { { 0 } };
    char hash[CB_HASH_TEXT_BYTES];
    cb_segment_builder_init(&builder);
    expect_ok(cb_segment_append(&builder, entry_of(272), test_error()));
    expect_ok(cb_segment_manifest_make(&stream, 1,
                                       cb_span_of_buffer(&builder.bytes),
                                       &manifest, test_error()));
    cb_hex_format(manifest.hash.bytes, CB_HASH_BYTES, hash);
    expect_text(
        hash,
        "6b3ad4f8f27f13dd89d1d21b4d497e0b622a6eb3eb86feb4a240e01d161556e4");
    cb_segment_builder_clear(&builder);
}

#define S "07070707070707070707070707070707"
#define H "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(segment, manifest_has_one_spelling)
{
    static const struct {
        const char *line;
        cb_status wanted;
    } rows[] = {
        { "casebound-segment 1 " S " 1 1000 " H "\n", CB_OK },
        { "casebound-segment 1 " S " 18446744073709550615 1 " H "\n", CB_OK },
        { "", CB_DAMAGED },
        { "\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1 " H, CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1 " H "\n\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1 " H "\nx", CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1 " H "\r\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1 " H " \n", CB_DAMAGED },
        { "casebound-segment 1  " S " 1 1 " H "\n", CB_DAMAGED },
        { " casebound-segment 1 " S " 1 1 " H "\n", CB_DAMAGED },
        { "casebound-Segment 1 " S " 1 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 2 " S " 1 1 " H "\n", CB_NEWER },
        { "casebound-segment 2 whatever\n", CB_NEWER },
        { "casebound-segment 0 " S " 1 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 01 " S " 1 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 0 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 01 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 " S " -1 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 18446744073709550616 1 " H "\n",
          CB_DAMAGED },
        { "casebound-segment 1 " S " 1 0 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1001 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 " S "07 1 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 0A" S " 1 1 " H "\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1 " H "0\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 1 1\n", CB_DAMAGED },
        { "casebound-segment 1 " S " 1\n", CB_DAMAGED },
        { "casebound-segment 1\n", CB_DAMAGED },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cb_segment_manifest manifest;
        cr_expect(cb_segment_manifest_parse(cb_span_of_text(rows[i].line),
                                            &manifest, NULL) == rows[i].wanted,
                  "row %zu: %s", i, rows[i].line);
    }
    char upper[] = "casebound-segment 1 " S " 1 1 " H "\n";
    cb_segment_manifest manifest;
    *strchr(upper + sizeof S + 30, 'a') = 'A';
    expect_status(CB_DAMAGED,
                  cb_segment_manifest_parse(cb_span_of_text(upper), &manifest,
                                            test_error()));
}
