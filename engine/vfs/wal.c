/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write-ahead log: frames sealed together with their checksum.
 *
 * SQLite writes a frame in two pieces, header and page.  The header is held
 * until its page arrives and both go out in one write.  Two things differ:
 *   - a page written twice in one transaction is written alone the second
 *     time, over the first; the frame is opened, changed and sealed again.
 *     From then on SQLite writes frames with empty salts and checksums;
 *   - at commit it therefore reads each of these frames and writes its header
 *     alone.  That header must not wait: nothing may follow it.
 *
 * A frame that does not verify while SQLite walks the log at recovery must read
 * as zeros, which ends the log: it is what a power cut leaves of the last
 * transaction.  But stock SQLite ends the log in the same way at a flipped bit,
 * and drops every commit behind it.  Here the generation in the nonce tells.
 * It rises when a sync follows a commit frame, so a frame of a later generation
 * proves that the commit before it was durable.  With k the first frame that is
 * not valid, and all frames carrying the salts of the log's header:
 *
 *   G1. frames j1 < j2 behind k, of one epoch, with generations rising from j1
 *       to j2: j1 was part of the log when j2 was appended, so k, before j1,
 *       was part of it and durable;
 *   G2. the last valid frame k - 1 and a frame behind k, of one epoch, with
 *       more than one commit between them (more than none where k - 1 does not
 *       end a transaction): the transaction that began at k was durable;
 *   G3. k the first frame of all, and a frame behind it of a generation that
 *       was counted from the log's header (NUMBERED) and has risen since;
 *   G4. the table of page versions says that this log had more frames when its
 *       content was last written into the database.  Older frames would hide
 *       newer pages then, so this also finds a log that was cut short.
 *
 * What a rollback left behind the end is older than what was appended over its
 * beginning.  A damaged last transaction looks like a torn one, as does a log
 * cut short behind what G4 knows of.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <string.h>

#define SUFFIX             "-wal"
#define LOG_HEADER_BYTES   32
#define FRAME_HEADER_BYTES 24
#define CHECKSUM_BYTES     8
#define CHECKSUM_OFFSET    16
#define LOG_MAGIC          0x377f0682U

/* In a generation: counted from 0 when the log's header was written. */
#define NUMBERED 0x8000U

static size_t frame_size(const struct cb_vfs_file *file)
{
    return FRAME_HEADER_BYTES + cb_vfs_head_page_size(&file->head);
}

static sqlite3_int64 frame_offset(const struct cb_vfs_file *file,
                                  uint64_t index)
{
    return (sqlite3_int64)(LOG_HEADER_BYTES + index * frame_size(file));
}

static struct cb_vfs_place place_of_frame(const struct cb_vfs_file *file,
                                          uint64_t index, const uint8_t *frame)
{
    return (struct cb_vfs_place){ .domain = CB_VFS_DOMAIN_WAL,
                                  .head = &file->head,
                                  .position =
                                      (uint64_t)frame_offset(file, index),
                                  .extra = frame,
                                  .extra_size = CHECKSUM_OFFSET };
}

static bool is_commit(const uint8_t *frame)
{
    return cb_get_u32(frame + 4) != 0;
}

static int fail_frame(struct cb_vfs_file *file, enum cb_vfs_fault fault,
                      uint64_t number)
{
    cb_vfs_note_damage(file->vfs, CB_VFS_WAL, fault, file->path, number);
    return SQLITE_IOERR_DATA;
}

/* Nothing is said about a log that a damaged head or wrong key hides. */
static int fail_key(struct cb_vfs_file *file)
{
    cb_vfs_note_damage(file->vfs, CB_VFS_MAIN, CB_VFS_FAULT_UNREADABLE,
                       file->path, 1);
    return SQLITE_NOTADB;
}

/* Head and buffer, before anything is done with frames. */
static int settle(struct cb_vfs_file *file)
{
    if (!file->head_known && !cb_vfs_head_find(file, SUFFIX)) {
        return fail_key(file);
    }
    return cb_vfs_file_reserve(file, frame_size(file)) ? SQLITE_OK
                                                       : SQLITE_IOERR_NOMEM;
}

/* Reads a frame into the buffer and opens it there.  SQLITE_OK with
 * *ret_verified false, and a buffer of no use, where it does not verify. */
static int load_frame(struct cb_vfs_file *file, uint64_t index,
                      bool *ret_verified, struct cb_vfs_trailer *ret_trailer)
{
    uint8_t *frame = file->buffer;
    size_t size = frame_size(file);
    uint8_t *trailer = frame + size - CB_VFS_RESERVED_BYTES;
    *ret_verified = false;
    int result = file->real->pMethods->xRead(file->real, frame, (int)size,
                                             frame_offset(file, index));
    if (result != SQLITE_OK) {
        return result;
    }
    memcpy(ret_trailer->bytes, trailer, CB_VFS_RESERVED_BYTES);
    memcpy(trailer, frame + CHECKSUM_OFFSET, CHECKSUM_BYTES);
    struct cb_vfs_place place = place_of_frame(file, index, frame);
    *ret_verified = cb_vfs_unseal(file->vfs, &place, frame + FRAME_HEADER_BYTES,
                                  size - FRAME_HEADER_BYTES -
                                      CB_VFS_RESERVED_BYTES + CHECKSUM_BYTES,
                                  ret_trailer);
    memcpy(frame + CHECKSUM_OFFSET, trailer, CHECKSUM_BYTES);
    memset(trailer, 0, CB_VFS_RESERVED_BYTES);
    file->state.wal.authentic |= *ret_verified;
    return SQLITE_OK;
}

/* Seals the frame in the buffer and writes it. */
static int store_frame(struct cb_vfs_file *file, uint64_t index)
{
    uint8_t *frame = file->buffer;
    size_t size = frame_size(file);
    uint8_t *tail = frame + size - CB_VFS_RESERVED_BYTES;
    struct cb_vfs_trailer trailer;
    if (!cb_vfs_page_acceptable(&file->head, cb_get_u32(frame),
                                frame + FRAME_HEADER_BYTES)) {
        sodium_memzero(frame, size);
        return SQLITE_IOERR_WRITE;
    }
    memcpy(tail, frame + CHECKSUM_OFFSET, CHECKSUM_BYTES);
    struct cb_vfs_place place = place_of_frame(file, index, frame);
    cb_vfs_seal(file->vfs, &file->nonces, &place, frame + FRAME_HEADER_BYTES,
                size - FRAME_HEADER_BYTES - CB_VFS_RESERVED_BYTES +
                    CHECKSUM_BYTES,
                frame + FRAME_HEADER_BYTES, &trailer);
    memcpy(frame + CHECKSUM_OFFSET, tail, CHECKSUM_BYTES);
    memcpy(tail, trailer.bytes, CB_VFS_RESERVED_BYTES);
    int result = file->real->pMethods->xWrite(file->real, frame, (int)size,
                                              frame_offset(file, index));
    /* A commit that could not be written is none, though a sync may follow. */
    file->state.wal.commit_unsynced = result == SQLITE_OK && is_commit(frame);
    if (file->state.wal.commit_unsynced) {
        file->state.wal.committed = index + 1;
    }
    return result;
}

/* Opens a frame that this connection has written, to seal it anew. */
static int reload_frame(struct cb_vfs_file *file, uint64_t index)
{
    bool verified = false;
    struct cb_vfs_trailer trailer;
    int result = load_frame(file, index, &verified, &trailer);
    if (result == SQLITE_OK && !verified) {
        return fail_frame(file, CB_VFS_FAULT_UNREADABLE, index + 1);
    }
    return result;
}

static int replace_header(struct cb_vfs_file *file, uint64_t index,
                          const uint8_t *header)
{
    int result = reload_frame(file, index);
    if (result == SQLITE_OK) {
        memcpy(file->buffer, header, FRAME_HEADER_BYTES);
        result = store_frame(file, index);
    }
    return result;
}

/*
 * A held header whose page did not follow belongs to a frame that is there.
 * SQLite 3.40 never comes here: its lone headers follow a read of the frame.
 */
static int flush_pending(struct cb_vfs_file *file)
{
    struct cb_vfs_wal *wal = &file->state.wal;
    if (!wal->pending) {
        return SQLITE_OK;
    }
    wal->pending = false;
    int result = cb_vfs_may_write(file->vfs);
    if (result != SQLITE_OK) {
        return result;
    }
    return replace_header(file, wal->pending_index, wal->pending_header);
}

static int count_frames(struct cb_vfs_file *file, uint64_t *ret_count)
{
    sqlite3_int64 size = 0;
    int result = file->real->pMethods->xFileSize(file->real, &size);
    *ret_count = size > LOG_HEADER_BYTES
                     ? (uint64_t)(size - LOG_HEADER_BYTES) / frame_size(file)
                     : 0;
    return result;
}

/* What rules G1 and G2 compare. */
struct generation {
    bool known;
    uint8_t epoch[CB_VFS_EPOCH_BYTES];
    uint16_t number;
    bool commit;
};

static struct generation generation_of(const struct cb_vfs_trailer *trailer,
                                       const uint8_t *frame)
{
    struct generation generation = { .known = true,
                                     .commit = is_commit(frame) };
    memcpy(generation.epoch, trailer->bytes, CB_VFS_EPOCH_BYTES);
    generation.number = cb_get_u16(trailer->bytes + CB_VFS_EPOCH_BYTES);
    return generation;
}

/* How many commits `later` is ahead; 0 where they cannot be compared. */
static int generations_between(const struct generation *earlier,
                               const struct generation *later)
{
    if (!earlier->known ||
        memcmp(earlier->epoch, later->epoch, CB_VFS_EPOCH_BYTES) != 0) {
        return 0;
    }
    int difference = (later->number - earlier->number) & 0xffff;
    return difference < 0x8000 ? difference : difference - 0x10000;
}

/* Rules G1 and G2 for the first frame that is not valid. */
static int prove_loss(struct cb_vfs_file *file, uint64_t first_invalid,
                      bool *ret_lost)
{
    struct generation before = { .known = false };
    struct generation lowest = { .known = false };
    struct cb_vfs_trailer trailer;
    uint64_t count = 0;
    bool verified = false;
    int result = count_frames(file, &count);
    *ret_lost = false;
    if (result == SQLITE_OK && first_invalid > 0) {
        result = load_frame(file, first_invalid - 1, &verified, &trailer);
        if (verified) {
            before = generation_of(&trailer, file->buffer);
        }
    }
    for (uint64_t i = first_invalid + 1;
         i < count && result == SQLITE_OK && !*ret_lost; i++) {
        uint8_t header[FRAME_HEADER_BYTES];
        result = file->real->pMethods->xRead(file->real, header, sizeof(header),
                                             frame_offset(file, i));
        if (result != SQLITE_OK ||
            memcmp(header + 8, file->state.wal.salts, 8) != 0) {
            continue;
        }
        result = load_frame(file, i, &verified, &trailer);
        if (!verified) {
            continue;
        }
        struct generation found = generation_of(&trailer, file->buffer);
        *ret_lost =
            (first_invalid == 0 && found.number > NUMBERED) ||
            generations_between(&lowest, &found) > 0 ||
            generations_between(&before, &found) > (before.commit ? 1 : 0);
        if (!lowest.known || generations_between(&lowest, &found) < 0 ||
            memcmp(lowest.epoch, found.epoch, CB_VFS_EPOCH_BYTES) != 0) {
            lowest = found;
        }
    }
    return result;
}

/* The walk of recovery ends at this frame: rightly, or is something lost? */
static int end_walk(struct cb_vfs_file *file, uint64_t index)
{
    bool lost = cb_vfs_log_was_longer(file, SUFFIX, index);
    int result = SQLITE_OK;
    file->state.wal.recovering = false;
    if (!lost) {
        result = prove_loss(file, index, &lost);
    }
    if (result == SQLITE_OK && lost) {
        result = fail_frame(file, CB_VFS_FAULT_LOST_FRAMES, index + 1);
    }
    return result;
}

/* Follows SQLite's own walk, so as to know where it will stop. */
static int walk_frame(struct cb_vfs_file *file, uint64_t index,
                      const uint8_t *frame)
{
    struct cb_vfs_wal *wal = &file->state.wal;
    if (!wal->recovering || index != wal->walk_index) {
        return SQLITE_OK;
    }
    cb_vfs_log_checksum(wal->big_endian, frame, 8, wal->walk_checksum);
    cb_vfs_log_checksum(wal->big_endian, frame + FRAME_HEADER_BYTES,
                        frame_size(file) - FRAME_HEADER_BYTES,
                        wal->walk_checksum);
    if (memcmp(frame + 8, wal->salts, 8) == 0 && cb_get_u32(frame) != 0 &&
        cb_get_u32(frame + 16) == wal->walk_checksum[0] &&
        cb_get_u32(frame + 20) == wal->walk_checksum[1]) {
        wal->walk_index++;
        if (is_commit(frame)) {
            cb_vfs_log_note(file, SUFFIX, wal->walk_index);
        }
        return SQLITE_OK;
    }
    return end_walk(file, index);
}

/* Whether any frame verifies, whatever the header says. */
static int find_authentic(struct cb_vfs_file *file, bool *ret_found)
{
    struct cb_vfs_trailer trailer;
    uint64_t count = 0;
    int result = count_frames(file, &count);
    *ret_found = false;
    for (uint64_t i = 0; i < count && result == SQLITE_OK && !*ret_found; i++) {
        result = load_frame(file, i, ret_found, &trailer);
    }
    return result;
}

/*
 * SQLite begins recovery with the log's header, and takes a log with a bad one
 * for empty.  It is durable before any frame: those that verify are a loss.
 */
static int begin_walk(struct cb_vfs_file *file, const uint8_t *header)
{
    struct cb_vfs_wal *wal = &file->state.wal;
    uint32_t magic = cb_get_u32(header);
    uint64_t count = 0;
    file->head_known = false;
    int result = settle(file);
    if (result != SQLITE_OK) {
        return result;
    }
    *wal = (struct cb_vfs_wal){ .recovering = true,
                                .big_endian = (magic & 1) != 0 };
    memcpy(wal->salts, header + 16, 8);
    cb_vfs_log_checksum(wal->big_endian, header, 24, wal->walk_checksum);
    if ((magic & ~1U) == LOG_MAGIC &&
        cb_get_u32(header + 8) == cb_vfs_head_page_size(&file->head) &&
        wal->walk_checksum[0] == cb_get_u32(header + 24) &&
        wal->walk_checksum[1] == cb_get_u32(header + 28)) {
        result = count_frames(file, &count);
        return result == SQLITE_OK && cb_vfs_log_was_longer(file, SUFFIX, count)
                   ? fail_frame(file, CB_VFS_FAULT_LOST_FRAMES, count + 1)
                   : result;
    }
    wal->recovering = false;
    bool found = false;
    result = count_frames(file, &count);
    if (result == SQLITE_OK && count > 0) {
        result = find_authentic(file, &found);
    }
    if (result == SQLITE_OK && found) {
        return fail_frame(file, CB_VFS_FAULT_LOST_FRAMES, 0);
    }
    if (result == SQLITE_OK && count > 0 && !cb_vfs_key_fits(file, SUFFIX)) {
        return fail_key(file);
    }
    return result;
}

static int read_header(struct cb_vfs_file *file, void *bytes, int amount,
                       sqlite3_int64 offset)
{
    int result = file->real->pMethods->xRead(file->real, bytes, amount, offset);
    if (result == SQLITE_OK && offset == 0 && amount == LOG_HEADER_BYTES) {
        result = begin_walk(file, bytes);
    }
    return result;
}

/*
 * A whole frame, which SQLite reads at recovery and to write headers anew.
 * With a wrong key no frame verifies, and a log that looks empty is deleted
 * when the connection closes: so the key is checked before that is said.
 */
static int read_frame(struct cb_vfs_file *file, uint64_t index, uint8_t *bytes,
                      size_t amount)
{
    struct cb_vfs_wal *wal = &file->state.wal;
    struct cb_vfs_trailer trailer;
    bool verified = false;
    int result = load_frame(file, index, &verified, &trailer);
    memset(bytes, 0, amount);
    if (result != SQLITE_OK) {
        return result;
    }
    if (verified) {
        memcpy(bytes, file->buffer, amount);
        wal->reread = true;
        wal->reread_index = index;
        return walk_frame(file, index, bytes);
    }
    if (!wal->authentic && !cb_vfs_key_fits(file, SUFFIX)) {
        return fail_key(file);
    }
    if (wal->recovering && index == wal->walk_index) {
        return end_walk(file, index);
    }
    return SQLITE_OK;
}

/* The part of a frame that SQLite reads of its own log. */
static int read_part(struct cb_vfs_file *file, uint64_t index, void *bytes,
                     int amount, size_t within)
{
    int result = reload_frame(file, index);
    memset(bytes, 0, (size_t)amount);
    if (result == SQLITE_OK) {
        memcpy(bytes, file->buffer + within, (size_t)amount);
    }
    return result;
}

static int wal_read(sqlite3_file *handle, void *bytes, int amount,
                    sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int result = flush_pending(file);
    file->state.wal.reread = false;
    if (result != SQLITE_OK) {
        return result;
    }
    if (offset + amount <= LOG_HEADER_BYTES) {
        return read_header(file, bytes, amount, offset);
    }
    result = settle(file);
    if (result != SQLITE_OK) {
        return result;
    }
    size_t size = frame_size(file);
    uint64_t index = (uint64_t)(offset - LOG_HEADER_BYTES) / size;
    size_t within = (size_t)((uint64_t)(offset - LOG_HEADER_BYTES) % size);
    if (within == 0 && (size_t)amount == size) {
        return read_frame(file, index, bytes, size);
    }
    /* Less than a page: who opened the file before its page size was set. */
    bool page = within == FRAME_HEADER_BYTES &&
                (size_t)amount <= size - FRAME_HEADER_BYTES;
    bool checksum = within == CHECKSUM_OFFSET && amount == CHECKSUM_BYTES;
    bool header = within == 0 && amount == FRAME_HEADER_BYTES;
    if (!page && !checksum && !header) {
        return SQLITE_IOERR_READ;
    }
    return read_part(file, index, bytes, amount, within);
}

static int write_log_header(struct cb_vfs_file *file, const uint8_t *bytes,
                            int amount, sqlite3_int64 offset)
{
    file->head_known = false;
    int result = settle(file);
    if (result != SQLITE_OK) {
        return result;
    }
    if (offset != 0 || amount != LOG_HEADER_BYTES ||
        cb_get_u32(bytes + 8) != cb_vfs_head_page_size(&file->head)) {
        return SQLITE_IOERR_WRITE;
    }
    memcpy(file->state.wal.salts, bytes + 16, 8);
    file->nonces.generation = NUMBERED;
    result = file->real->pMethods->xWrite(file->real, bytes, amount, offset);
    return cb_vfs_log_begun(file, SUFFIX, result);
}

static int write_frame_header(struct cb_vfs_file *file, uint64_t index,
                              const uint8_t *bytes, bool reread)
{
    struct cb_vfs_wal *wal = &file->state.wal;
    if (reread && wal->reread_index == index) {
        return replace_header(file, index, bytes);
    }
    wal->pending = true;
    wal->pending_index = index;
    memcpy(wal->pending_header, bytes, FRAME_HEADER_BYTES);
    return SQLITE_OK;
}

static int write_frame_page(struct cb_vfs_file *file, uint64_t index,
                            const uint8_t *bytes)
{
    struct cb_vfs_wal *wal = &file->state.wal;
    int result = SQLITE_OK;
    if (wal->pending) {
        wal->pending = false;
        memcpy(file->buffer, wal->pending_header, FRAME_HEADER_BYTES);
    } else {
        result = reload_frame(file, index);
    }
    if (result == SQLITE_OK) {
        memcpy(file->buffer + FRAME_HEADER_BYTES, bytes,
               cb_vfs_head_page_size(&file->head));
        result = store_frame(file, index);
    }
    return result;
}

static int wal_write(sqlite3_file *handle, const void *bytes, int amount,
                     sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    struct cb_vfs_wal *wal = &file->state.wal;
    bool reread = wal->reread;
    wal->reread = false;
    wal->recovering = false;
    int result = cb_vfs_may_write(file->vfs);
    if (result != SQLITE_OK) {
        return result;
    }
    if (offset < LOG_HEADER_BYTES) {
        result = flush_pending(file);
        return result == SQLITE_OK
                   ? write_log_header(file, bytes, amount, offset)
                   : result;
    }
    result = settle(file);
    if (result != SQLITE_OK) {
        return result;
    }
    size_t size = frame_size(file);
    uint64_t index = (uint64_t)(offset - LOG_HEADER_BYTES) / size;
    size_t within = (size_t)((uint64_t)(offset - LOG_HEADER_BYTES) % size);
    bool page = within == FRAME_HEADER_BYTES &&
                (size_t)amount == size - FRAME_HEADER_BYTES;
    bool header = within == 0 && amount == FRAME_HEADER_BYTES;
    if (!page || wal->pending_index != index) {
        result = flush_pending(file);
    }
    if (result != SQLITE_OK || (!page && !header)) {
        return result != SQLITE_OK ? result : SQLITE_IOERR_WRITE;
    }
    return page ? write_frame_page(file, index, bytes)
                : write_frame_header(file, index, bytes, reread);
}

static int wal_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int result = flush_pending(file);
    result = result == SQLITE_OK ? cb_vfs_file_truncate(handle, size) : result;
    return size == 0 ? cb_vfs_log_begun(file, SUFFIX, result) : result;
}

/* A sync that fails proves nothing about the commit before it. */
static int wal_sync(sqlite3_file *handle, int flags)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    struct cb_vfs_wal *wal = &file->state.wal;
    int result = flush_pending(file);
    if (result == SQLITE_OK) {
        result = cb_vfs_file_sync(handle, flags);
    }
    if (result == SQLITE_OK && wal->commit_unsynced) {
        file->nonces.generation++;
        cb_vfs_log_note(file, SUFFIX, wal->committed);
    }
    wal->commit_unsynced = false;
    return result;
}

static int wal_close(sqlite3_file *handle)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int flushed = flush_pending(file);
    int closed = cb_vfs_file_close(handle);
    return flushed != SQLITE_OK ? flushed : closed;
}

const sqlite3_io_methods cb_vfs_wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = cb_vfs_file_size,
    .xLock = cb_vfs_file_lock,
    .xUnlock = cb_vfs_file_unlock,
    .xCheckReservedLock = cb_vfs_file_check_reserved_lock,
    .xFileControl = cb_vfs_file_control,
    .xSectorSize = cb_vfs_file_sector_size,
    .xDeviceCharacteristics = cb_vfs_file_characteristics,
};
