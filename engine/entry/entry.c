/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/layout.h"

#include <string.h>

/* Every integer of 8 bytes stays below 2^63: databases and JSON have no more.
 */
#define NUMBER_MAX  ((uint64_t)INT64_MAX)
#define TIME_MS_MAX (NUMBER_MAX >> 16)

static const uint8_t magic[4] = { 'C', 'B', 'E', '1' };

int64_t cb_entry_time_ms(uint64_t time)
{
    return (int64_t)(time >> 16);
}

/*
 * A full counter carries into the milliseconds, which keeps the order.  The
 * last time of all has nothing later: the year 6429 is a received clock gone
 * wrong, which CB_CLOCK_FORWARD_MS_MAX keeps from us.
 */
uint64_t cb_entry_time_next(uint64_t last, int64_t now_ms)
{
    uint64_t now = now_ms < 0 ? 0 : (uint64_t)now_ms;
    if (now > TIME_MS_MAX) {
        now = TIME_MS_MAX;
    }
    now <<= 16;
    if (now > last) {
        return now;
    }
    return last >= NUMBER_MAX ? NUMBER_MAX : last + 1;
}

void cb_entry_header_encode(const cb_entry_header *header, uint8_t *ret_bytes)
{
    uint8_t *at = ret_bytes;
    memcpy(at + AT_MAGIC, magic, sizeof magic);
    at[AT_SUITE] = ENTRY_SUITE;
    at[AT_KIND] = header->kind;
    cb_put_u16(at + AT_FLAGS, header->flags);
    memcpy(at + AT_REALM, header->realm.bytes, CB_IDENTIFIER_BYTES);
    memcpy(at + AT_STREAM, header->stream.bytes, CB_IDENTIFIER_BYTES);
    cb_put_u64(at + AT_SEQ, header->seq);
    memcpy(at + AT_PREV, header->prev.bytes, CB_HASH_BYTES);
    memcpy(at + AT_KEY_ID, header->key_id.bytes, CB_IDENTIFIER_BYTES);
    memcpy(at + AT_COMMITMENT, header->commitment.bytes, CB_HASH_BYTES);
    cb_put_u64(at + AT_TIME, header->time);
    cb_put_u64(at + AT_SEEN_SIZE, header->seen_size);
    memcpy(at + AT_SEEN_ROOT, header->seen_root.bytes, CB_HASH_BYTES);
    cb_put_u32(at + AT_ROSTER, header->roster);
    cb_put_u32(at + AT_LENGTH, header->body_length);
    memcpy(at + AT_NONCE, header->nonce, CB_ENTRY_NONCE_BYTES);
}

static void header_decode(const uint8_t *at, cb_entry_header *ret_header)
{
    cb_entry_header *header = ret_header;
    header->kind = at[AT_KIND];
    header->flags = cb_get_u16(at + AT_FLAGS);
    memcpy(header->realm.bytes, at + AT_REALM, CB_IDENTIFIER_BYTES);
    memcpy(header->stream.bytes, at + AT_STREAM, CB_IDENTIFIER_BYTES);
    header->seq = cb_get_u64(at + AT_SEQ);
    memcpy(header->prev.bytes, at + AT_PREV, CB_HASH_BYTES);
    memcpy(header->key_id.bytes, at + AT_KEY_ID, CB_IDENTIFIER_BYTES);
    memcpy(header->commitment.bytes, at + AT_COMMITMENT, CB_HASH_BYTES);
    header->time = cb_get_u64(at + AT_TIME);
    header->seen_size = cb_get_u64(at + AT_SEEN_SIZE);
    memcpy(header->seen_root.bytes, at + AT_SEEN_ROOT, CB_HASH_BYTES);
    header->roster = cb_get_u32(at + AT_ROSTER);
    header->body_length = cb_get_u32(at + AT_LENGTH);
    memcpy(header->nonce, at + AT_NONCE, CB_ENTRY_NONCE_BYTES);
}

static cb_status newer(cb_error *error, const char *field, unsigned value)
{
    cb_status status =
        cb_error_set(error, CB_NEWER,
                     "the entry's '%s' is %u, which this version does not know",
                     field, value);
    cb_error_meaning(error, "a newer version wrote it; it is kept, not read");
    cb_error_next(error, "update casebound");
    return status;
}

static cb_status refuse(cb_error *error, cb_status status, const char *field,
                        const char *problem)
{
    cb_status result =
        cb_error_set(error, status, "the entry's '%s' %s", field, problem);
    cb_error_meaning(error, "the bytes are not an entry that this format "
                            "allows; nothing of them is used");
    return result;
}

static bool is_clear(const cb_entry_header *header)
{
    return (header->flags & CB_ENTRY_FLAG_CLEAR) != 0;
}

static cb_status check_clear(const cb_entry_header *header, cb_status status,
                             cb_error *error)
{
    if (!cb_is_zero(&header->key_id, sizeof header->key_id)) {
        return refuse(error, status, "key_id",
                      "is not zero though its body is in clear");
    }
    if (!cb_is_zero(&header->commitment, sizeof header->commitment)) {
        return refuse(error, status, "commitment",
                      "is not zero though its body is in clear");
    }
    if (!cb_is_zero(header->nonce, sizeof header->nonce)) {
        return refuse(error, status, "nonce",
                      "is not zero though its body is in clear");
    }
    if (header->body_length > CB_CLEAR_BODY_BYTES_MAX) {
        return refuse(error, status, "length",
                      "is more than a body in clear may have");
    }
    return CB_OK;
}

static cb_status check_sealed(const cb_entry_header *header, cb_status status,
                              cb_error *error)
{
    if (cb_is_zero(&header->key_id, sizeof header->key_id)) {
        return refuse(error, status, "key_id",
                      "is zero though its body is sealed");
    }
    if (header->body_length < ENTRY_TAG_BYTES + 1) {
        return refuse(error, status, "length",
                      "is less than the smallest sealed body has");
    }
    if (header->body_length > CB_BODY_BYTES_MAX) {
        return refuse(error, status, "length", "is more than a body may have");
    }
    return CB_OK;
}

cb_status cb_entry_header_check(const cb_entry_header *header, cb_status status,
                                cb_error *reterr_error)
{
    if ((header->flags & ~ENTRY_FLAGS_KNOWN) != 0 ||
        (header->flags & ENTRY_FLAGS_CLOCK_MASK) > CB_CLOCK_SET_BY_SYNC) {
        return newer(reterr_error, "flags", header->flags);
    }
    if (header->seq == 0 || header->seq > NUMBER_MAX) {
        return refuse(reterr_error, status, "seq", "is not from 1 to 2^63 - 1");
    }
    if (header->time > NUMBER_MAX || header->seen_size > NUMBER_MAX) {
        return refuse(reterr_error, status,
                      header->time > NUMBER_MAX ? "time" : "seen_size",
                      "is more than 2^63 - 1");
    }
    if (cb_is_zero(&header->prev, sizeof header->prev) != (header->seq == 1)) {
        return refuse(reterr_error, status, "prev",
                      header->seq == 1
                          ? "is not zero though it is the first of its stream"
                          : "is zero though it is not the first of its stream");
    }
    if (header->seen_size == 0 &&
        !cb_is_zero(&header->seen_root, sizeof header->seen_root)) {
        return refuse(reterr_error, status, "seen_root",
                      "is not zero though no checkpoint was seen");
    }
    return is_clear(header) ? check_clear(header, status, reterr_error)
                            : check_sealed(header, status, reterr_error);
}

/*
 * Magic and suite come before every other check, the size included: another
 * suite may have another header.
 */
static cb_status check_beginning(cb_span bytes, size_t size_min,
                                 size_t size_max, cb_error *error)
{
    if (bytes.size <= AT_SUITE ||
        memcmp(bytes.bytes, magic, sizeof magic) != 0) {
        return refuse(error, CB_DAMAGED, "magic", "is not 'CBE1'");
    }
    if (bytes.bytes[AT_SUITE] != ENTRY_SUITE) {
        return newer(error, "suite", bytes.bytes[AT_SUITE]);
    }
    if (bytes.size < size_min || bytes.size > size_max) {
        return refuse(error, CB_DAMAGED, "size",
                      "is outside what the format allows");
    }
    return CB_OK;
}

cb_status cb_entry_decode(cb_span bytes, cb_entry *ret_entry,
                          cb_error *reterr_error)
{
    const size_t fixed = CB_ENTRY_HEADER_BYTES + CB_SIGNATURE_BYTES;
    cb_status status =
        check_beginning(bytes, fixed, CB_ENTRY_BYTES_MAX, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_entry_header header;
    header_decode(bytes.bytes, &header);
    status = cb_entry_header_check(&header, CB_DAMAGED, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (header.body_length != bytes.size - fixed) {
        return refuse(reterr_error, CB_DAMAGED, "length",
                      "is not the length of its body");
    }
    cb_entry *entry = ret_entry;
    entry->header = header;
    entry->bytes = bytes;
    entry->body =
        (cb_span){ bytes.bytes + CB_ENTRY_HEADER_BYTES, header.body_length };
    entry->signature = entry->body.bytes + entry->body.size;
    cb_entry_hash_body(entry->body, &entry->body_hash);
    cb_entry_hash_whole(bytes.bytes, &entry->body_hash, &entry->hash);
    return CB_OK;
}

void cb_entry_append_stub(const cb_entry *entry, cb_buffer *bytes)
{
    uint8_t *place = cb_buffer_extend(bytes, CB_ENTRY_STUB_BYTES);
    if (place != NULL) {
        memcpy(place, entry->bytes.bytes, CB_ENTRY_HEADER_BYTES);
        place += CB_ENTRY_HEADER_BYTES;
        memcpy(place, entry->body_hash.bytes, CB_HASH_BYTES);
        memcpy(place + CB_HASH_BYTES, entry->signature, CB_SIGNATURE_BYTES);
    }
}

cb_status cb_stub_decode(cb_span bytes, cb_stub *ret_stub,
                         cb_error *reterr_error)
{
    cb_status status = check_beginning(bytes, CB_ENTRY_STUB_BYTES,
                                       CB_ENTRY_STUB_BYTES, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    cb_entry_header header;
    header_decode(bytes.bytes, &header);
    status = cb_entry_header_check(&header, CB_DAMAGED, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    const uint8_t *rest = bytes.bytes + CB_ENTRY_HEADER_BYTES;
    ret_stub->header = header;
    memcpy(ret_stub->body_hash.bytes, rest, CB_HASH_BYTES);
    memcpy(ret_stub->signature, rest + CB_HASH_BYTES, CB_SIGNATURE_BYTES);
    cb_entry_hash_whole(bytes.bytes, &ret_stub->body_hash, &ret_stub->hash);
    return CB_OK;
}
