/* SPDX-License-Identifier: Apache-2.0 */
#include "log/segment.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "proof/decimal.h"

#define LENGTH_BYTES 2

static_assert(CB_ENTRY_BYTES_MAX == UINT16_MAX,
              "the length of any entry fits into two bytes");
static_assert(CB_SEGMENT_BYTES_MAX >= CB_ENTRY_BYTES_MAX + LENGTH_BYTES,
              "any entry fits into an empty segment");
static_assert(CB_SEGMENT_ENTRY_BYTES_MIN == CB_ENTRY_STUB_BYTES - CB_HASH_BYTES,
              "a stub is the least entry and a hash");

static const char manifest_name[] = "casebound-segment";

void cb_segment_builder_init(cb_segment_builder *builder)
{
    cb_buffer_init(&builder->bytes, CB_SEGMENT_BYTES_MAX);
    builder->count = 0;
}

void cb_segment_builder_clear(cb_segment_builder *builder)
{
    cb_buffer_clear(&builder->bytes);
    builder->count = 0;
}

bool cb_segment_has_room(const cb_segment_builder *builder, size_t entry_size)
{
    const size_t left = CB_SEGMENT_BYTES_MAX - builder->bytes.size;
    return builder->count < CB_SEGMENT_ENTRIES_MAX && left >= LENGTH_BYTES &&
           entry_size <= left - LENGTH_BYTES;
}

cb_status cb_segment_append(cb_segment_builder *builder, cb_span entry,
                            cb_error *reterr_error)
{
    if (entry.size < CB_SEGMENT_ENTRY_BYTES_MIN ||
        entry.size > CB_ENTRY_BYTES_MAX) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "%zu bytes cannot be an entry", entry.size);
    }
    if (!cb_segment_has_room(builder, entry.size)) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "the segment has no room for an entry of %zu bytes",
                            entry.size);
    }
    uint8_t length[LENGTH_BYTES];
    cb_put_u16(length, (uint16_t)entry.size);
    cb_buffer_append(&builder->bytes, length, sizeof length);
    cb_buffer_append_span(&builder->bytes, entry);
    cb_status status = cb_buffer_check(&builder->bytes, reterr_error);
    if (status == CB_OK) {
        builder->count++;
    }
    return status;
}

void cb_segment_reader_init(cb_segment_reader *reader, cb_span segment)
{
    reader->rest = segment;
    reader->count = 0;
    reader->size = segment.size;
}

static cb_status refuse_segment(cb_status status, cb_error *reterr_error,
                                const char *what)
{
    status =
        cb_error_set(reterr_error, status, "a segment of the log %s", what);
    cb_error_meaning(reterr_error,
                     "nothing of this segment is accepted; the "
                     "device that wrote it still has its entries");
    cb_error_next(reterr_error, "fetch it again, then: casebound audit verify");
    return status;
}

cb_status cb_segment_reader_next(cb_segment_reader *reader, cb_span *ret_entry,
                                 cb_error *reterr_error)
{
    if (reader->size > CB_SEGMENT_BYTES_MAX) {
        return refuse_segment(CB_LIMIT, reterr_error, "is too large");
    }
    if (reader->rest.size == 0) {
        return reader->count > 0
                   ? CB_END
                   : refuse_segment(CB_DAMAGED, reterr_error, "is empty");
    }
    if (reader->count == CB_SEGMENT_ENTRIES_MAX) {
        return refuse_segment(CB_LIMIT, reterr_error, "has too many entries");
    }
    if (reader->rest.size < LENGTH_BYTES ||
        cb_get_u16(reader->rest.bytes) > reader->rest.size - LENGTH_BYTES) {
        return refuse_segment(CB_DAMAGED, reterr_error, "ends inside an entry");
    }
    const size_t size = cb_get_u16(reader->rest.bytes);
    if (size < CB_SEGMENT_ENTRY_BYTES_MIN) {
        return refuse_segment(CB_DAMAGED, reterr_error,
                              "has an entry that is too short to be one");
    }
    *ret_entry =
        (cb_span){ .bytes = reader->rest.bytes + LENGTH_BYTES, .size = size };
    reader->rest.bytes += LENGTH_BYTES + size;
    reader->rest.size -= LENGTH_BYTES + size;
    reader->count++;
    return CB_OK;
}

cb_status cb_segment_check(cb_span segment, size_t *ret_count,
                           cb_error *reterr_error)
{
    cb_segment_reader reader;
    cb_segment_reader_init(&reader, segment);
    cb_span entry;
    cb_status status = CB_OK;
    while (status == CB_OK) {
        status = cb_segment_reader_next(&reader, &entry, reterr_error);
    }
    if (status != CB_END) {
        return status;
    }
    *ret_count = reader.count;
    return CB_OK;
}

static void hash_segment(cb_span segment, cb_hash *ret_hash)
{
    crypto_generichash(ret_hash->bytes, sizeof ret_hash->bytes, segment.bytes,
                       segment.size, NULL, 0);
}

cb_status cb_segment_manifest_make(const cb_stream_id *stream,
                                   uint64_t first_seq, cb_span segment,
                                   cb_segment_manifest *ret_manifest,
                                   cb_error *reterr_error)
{
    CB_ASSERT(first_seq > 0);
    size_t count = 0;
    cb_status status = cb_segment_check(segment, &count, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    ret_manifest->stream = *stream;
    ret_manifest->first_seq = first_seq;
    ret_manifest->count = count;
    hash_segment(segment, &ret_manifest->hash);
    return CB_OK;
}

void cb_segment_manifest_format(const cb_segment_manifest *manifest,
                                cb_buffer *line)
{
    char stream[CB_IDENTIFIER_TEXT_BYTES];
    char hash[CB_HASH_TEXT_BYTES];
    cb_hex_format(manifest->stream.bytes, CB_IDENTIFIER_BYTES, stream);
    cb_hex_format(manifest->hash.bytes, CB_HASH_BYTES, hash);
    cb_buffer_append_format(line, "%s 1 %s %" PRIu64 " %zu %s\n", manifest_name,
                            stream, manifest->first_seq, manifest->count, hash);
}

/* The next field as bytes out of hexadecimal of just their length. */
static bool parse_hex_field(cb_span field, uint8_t *ret_bytes, size_t size)
{
    char text[CB_HASH_TEXT_BYTES];
    CB_ASSERT(2 * size < sizeof text);
    if (field.size != 2 * size ||
        memchr(field.bytes, '\0', field.size) != NULL) {
        return false;
    }
    memcpy(text, field.bytes, field.size);
    text[field.size] = '\0';
    return cb_hex_parse(text, ret_bytes, size);
}

static bool parse_manifest_fields(cb_span rest, cb_segment_manifest *ret)
{
    cb_span stream;
    cb_span first_seq;
    cb_span count;
    uint64_t number = 0;
    if (!cb_text_split(&rest, ' ', &stream) ||
        !parse_hex_field(stream, ret->stream.bytes, CB_IDENTIFIER_BYTES) ||
        !cb_text_split(&rest, ' ', &first_seq) ||
        !cb_decimal_parse(first_seq, UINT64_MAX - CB_SEGMENT_ENTRIES_MAX,
                          &ret->first_seq) ||
        ret->first_seq == 0 || !cb_text_split(&rest, ' ', &count) ||
        !cb_decimal_parse(count, CB_SEGMENT_ENTRIES_MAX, &number) ||
        number == 0) {
        return false;
    }
    ret->count = (size_t)number;
    return parse_hex_field(rest, ret->hash.bytes, CB_HASH_BYTES);
}

cb_status cb_segment_manifest_parse(cb_span line,
                                    cb_segment_manifest *ret_manifest,
                                    cb_error *reterr_error)
{
    cb_segment_manifest manifest;
    memset(&manifest, 0, sizeof manifest);
    cb_span rest;
    cb_span name;
    cb_span version;
    uint64_t number = 0;
    if (line.size > CB_SEGMENT_MANIFEST_BYTES_MAX ||
        !cb_text_split(&line, '\n', &rest) || line.size != 0 ||
        !cb_text_split(&rest, ' ', &name) ||
        !cb_span_equal(name, cb_span_of_text(manifest_name)) ||
        !cb_text_split(&rest, ' ', &version) ||
        !cb_decimal_parse(version, UINT32_MAX, &number) || number == 0) {
        return refuse_segment(CB_DAMAGED, reterr_error,
                              "has a manifest that is not one");
    }
    if (number > 1) {
        return cb_error_set(reterr_error, CB_NEWER,
                            "a segment of the log has a manifest of version "
                            "%" PRIu64,
                            number);
    }
    if (!parse_manifest_fields(rest, &manifest)) {
        return refuse_segment(CB_DAMAGED, reterr_error,
                              "has a manifest with a wrong field");
    }
    *ret_manifest = manifest;
    return CB_OK;
}

cb_status cb_segment_manifest_match(const cb_segment_manifest *manifest,
                                    cb_span segment, cb_error *reterr_error)
{
    size_t count = 0;
    cb_hash hash;
    cb_status status = cb_segment_check(segment, &count, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    hash_segment(segment, &hash);
    if (count != manifest->count ||
        memcmp(hash.bytes, manifest->hash.bytes, sizeof hash.bytes) != 0) {
        return refuse_segment(CB_DAMAGED, reterr_error,
                              "is not the one that its manifest names");
    }
    return CB_OK;
}
