/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rollback journal: each record sealed as one.
 *
 * SQLite writes a record in three pieces (page number, page, checksum), always
 * in this order; they are collected and go out in one write.  Everything else
 * that it writes here is header (magic, counts, sizes, zeros) or the trailer
 * that names a super-journal, and passes only in exactly that form.
 *
 * A record that does not verify at rollback is an error where the journal's
 * header counts it: it was durable before the database was touched, and a
 * rollback that stops in its middle would leave half a transaction.  Where
 * the header does not count it, it is the torn end, and SQLite is told so by
 * a checksum that cannot be read.
 *
 * Page numbers and counts in the headers are clear and not authenticated:
 * whoever changes them can make a rollback fail or restore too little, as they
 * could by deleting the journal; they cannot put content of their own into the
 * database.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <string.h>

#define SUFFIX              "-journal"
#define MAGIC_BYTES         8
#define NUMBER_BYTES        4
#define HEADER_FIELDS_BYTES 28
#define SECTOR_BYTES        512
#define RECORDS_UNKNOWN     0xffffffffU

static const uint8_t magic[MAGIC_BYTES] = { 0xd9, 0xd5, 0x05, 0xf9,
                                            0x20, 0xa1, 0x63, 0xd7 };

static size_t record_size(const struct cb_vfs_file *file)
{
    return NUMBER_BYTES + cb_vfs_head_page_size(&file->head) + NUMBER_BYTES;
}

static struct cb_vfs_place place_of_record(const struct cb_vfs_file *file,
                                           uint64_t offset,
                                           const uint8_t *record)
{
    return (struct cb_vfs_place){ .domain = CB_VFS_DOMAIN_JOURNAL,
                                  .head = &file->head,
                                  .position = offset,
                                  .extra = record,
                                  .extra_size = NUMBER_BYTES };
}

static int settle(struct cb_vfs_file *file)
{
    if (!file->head_known && !cb_vfs_head_find(file, SUFFIX)) {
        return SQLITE_IOERR_WRITE;
    }
    return cb_vfs_file_reserve(file, record_size(file)) ? SQLITE_OK
                                                        : SQLITE_IOERR_NOMEM;
}

/* Seals the collected record and writes it. */
static int store_record(struct cb_vfs_file *file)
{
    struct cb_vfs_journal *journal = &file->state.journal;
    uint8_t *record = file->buffer;
    size_t size = record_size(file);
    uint8_t *checksum = record + size - NUMBER_BYTES;
    uint8_t *tail = checksum - CB_VFS_RESERVED_BYTES;
    struct cb_vfs_trailer trailer;
    if (!cb_vfs_page_acceptable(&file->head, cb_get_u32(record),
                                record + NUMBER_BYTES)) {
        sodium_memzero(record, size);
        return SQLITE_IOERR_WRITE;
    }
    memcpy(tail, checksum, NUMBER_BYTES);
    struct cb_vfs_place place =
        place_of_record(file, journal->record_offset, record);
    cb_vfs_seal(file->vfs, &file->nonces, &place, record + NUMBER_BYTES,
                (size_t)(tail - record), record + NUMBER_BYTES, &trailer);
    memcpy(checksum, tail, NUMBER_BYTES);
    memcpy(tail, trailer.bytes, sizeof(trailer.bytes));
    journal->authentic = true;
    return file->real->pMethods->xWrite(file->real, record, (int)size,
                                        (sqlite3_int64)journal->record_offset);
}

/* Reads a record into the buffer and opens it there. */
static int load_record(struct cb_vfs_file *file, uint64_t offset,
                       bool *ret_verified)
{
    uint8_t *record = file->buffer;
    size_t size = record_size(file);
    uint8_t *checksum = record + size - NUMBER_BYTES;
    uint8_t *tail = checksum - CB_VFS_RESERVED_BYTES;
    struct cb_vfs_trailer trailer;
    *ret_verified = false;
    int result = file->real->pMethods->xRead(file->real, record, (int)size,
                                             (sqlite3_int64)offset);
    if (result == SQLITE_IOERR_SHORT_READ) {
        return SQLITE_OK;
    }
    if (result != SQLITE_OK) {
        return result;
    }
    memcpy(trailer.bytes, tail, sizeof(trailer.bytes));
    memcpy(tail, checksum, NUMBER_BYTES);
    struct cb_vfs_place place = place_of_record(file, offset, record);
    *ret_verified = cb_vfs_unseal(file->vfs, &place, record + NUMBER_BYTES,
                                  (size_t)(tail - record), &trailer);
    memcpy(checksum, tail, NUMBER_BYTES);
    memset(tail, 0, CB_VFS_RESERVED_BYTES);
    return SQLITE_OK;
}

/* The number of a record that the header SQLite read last counts, or 0. */
static uint64_t counted_number(const struct cb_vfs_file *file, uint64_t offset)
{
    const struct cb_vfs_journal *journal = &file->state.journal;
    uint64_t first = journal->header_offset + SECTOR_BYTES;
    if (!journal->header_seen || offset < first ||
        journal->header_records == RECORDS_UNKNOWN) {
        return 0;
    }
    uint64_t index = (offset - first) / record_size(file);
    return index < journal->header_records ? index + 1 : 0;
}

static int read_record(struct cb_vfs_file *file, uint64_t offset, uint8_t *page)
{
    struct cb_vfs_journal *journal = &file->state.journal;
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    bool verified = false;
    int result = load_record(file, offset, &verified);
    memset(page, 0, page_size);
    if (result != SQLITE_OK) {
        return result;
    }
    journal->opened = true;
    journal->opened_valid = verified;
    journal->opened_checksum_offset = offset + NUMBER_BYTES + page_size;
    if (verified) {
        journal->authentic = true;
        memcpy(page, file->buffer + NUMBER_BYTES, page_size);
        memcpy(journal->opened_checksum,
               file->buffer + NUMBER_BYTES + page_size, NUMBER_BYTES);
        return SQLITE_OK;
    }
    /* A wrong key must not make a journal look empty: it would be deleted. */
    if (!journal->authentic && !cb_vfs_key_fits(file, SUFFIX)) {
        cb_vfs_note_damage(file->vfs, CB_VFS_MAIN, CB_VFS_FAULT_UNREADABLE,
                           file->path, 1);
        return SQLITE_NOTADB;
    }
    if (counted_number(file, offset) != 0) {
        cb_vfs_note_damage(file->vfs, CB_VFS_JOURNAL, CB_VFS_FAULT_UNREADABLE,
                           file->path, counted_number(file, offset));
        return SQLITE_IOERR_DATA;
    }
    return SQLITE_OK;
}

/* Notes what the header says about the records behind it. */
static void follow_header(struct cb_vfs_file *file, const uint8_t *bytes,
                          int amount, uint64_t offset)
{
    struct cb_vfs_journal *journal = &file->state.journal;
    if (amount == MAGIC_BYTES && memcmp(bytes, magic, MAGIC_BYTES) == 0) {
        journal->header_seen = true;
        journal->header_offset = offset;
        journal->header_records = RECORDS_UNKNOWN;
    } else if (amount == NUMBER_BYTES && journal->header_seen &&
               offset == journal->header_offset + MAGIC_BYTES) {
        journal->header_records = cb_get_u32(bytes);
    }
}

static int journal_read(sqlite3_file *handle, void *bytes, int amount,
                        sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    struct cb_vfs_journal *journal = &file->state.journal;
    if (journal->opened && amount == NUMBER_BYTES &&
        (uint64_t)offset == journal->opened_checksum_offset) {
        memcpy(bytes, journal->opened_checksum, NUMBER_BYTES);
        return journal->opened_valid ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
    }
    journal->opened = false;
    if (!file->head_known) {
        (void)cb_vfs_head_find(file, SUFFIX);
    }
    if (file->head_known && offset >= NUMBER_BYTES &&
        (uint32_t)amount == cb_vfs_head_page_size(&file->head)) {
        int result = settle(file);
        return result == SQLITE_OK
                   ? read_record(file, (uint64_t)offset - NUMBER_BYTES, bytes)
                   : result;
    }
    if (amount > SECTOR_BYTES) {
        /* A journal of another page size, or a database without its head. */
        return SQLITE_IOERR_READ;
    }
    int result = file->real->pMethods->xRead(file->real, bytes, amount, offset);
    if (result == SQLITE_OK) {
        follow_header(file, bytes, amount, (uint64_t)offset);
    }
    return result;
}

/*
 * The number of the page that holds SQLite's locks and is never journalled
 * marks the trailer.  Before a database has its first page, any page size.
 */
static bool begins_trailer(const struct cb_vfs_file *file, uint32_t number)
{
    uint32_t lock_offset = file->vfs->lock_offset;
    if (file->head_known) {
        return number == lock_offset / cb_vfs_head_page_size(&file->head) + 1;
    }
    bool found = false;
    for (uint32_t size = CB_VFS_PAGE_BYTES_MIN;
         size <= CB_VFS_PAGE_BYTES_MAX && !found; size *= 2) {
        found = number == lock_offset / size + 1;
    }
    return found;
}

static int write_trailer(struct cb_vfs_file *file, const void *bytes,
                         int amount, sqlite3_int64 offset)
{
    if (amount > SECTOR_BYTES ||
        (file->head_known &&
         (uint32_t)amount >= cb_vfs_head_page_size(&file->head))) {
        /* A name as long as a page could not be told from one when read. */
        return SQLITE_IOERR_WRITE;
    }
    if (amount == MAGIC_BYTES && memcmp(bytes, magic, MAGIC_BYTES) == 0) {
        file->state.journal.super_journal = false;
    }
    return file->real->pMethods->xWrite(file->real, bytes, amount, offset);
}

/* Nothing but magic or zeros, counts and sizes, and zeros to the end. */
static bool is_header(const uint8_t *bytes, int amount)
{
    size_t size = (size_t)amount;
    size_t start = size < MAGIC_BYTES ? size : MAGIC_BYTES;
    bool begins_well =
        cb_is_zero(bytes, start) ||
        (start == MAGIC_BYTES && memcmp(bytes, magic, MAGIC_BYTES) == 0);
    return begins_well && (size <= HEADER_FIELDS_BYTES ||
                           cb_is_zero(bytes + HEADER_FIELDS_BYTES,
                                      size - HEADER_FIELDS_BYTES));
}

static int write_number(struct cb_vfs_file *file, const uint8_t *bytes,
                        sqlite3_int64 offset)
{
    struct cb_vfs_journal *journal = &file->state.journal;
    if (!file->head_known) {
        (void)cb_vfs_head_find(file, SUFFIX);
    }
    if (begins_trailer(file, cb_get_u32(bytes))) {
        journal->super_journal = true;
        return file->real->pMethods->xWrite(file->real, bytes, NUMBER_BYTES,
                                            offset);
    }
    int result = settle(file);
    if (result == SQLITE_OK) {
        memcpy(file->buffer, bytes, NUMBER_BYTES);
        journal->record_offset = (uint64_t)offset;
        journal->collected = 1;
    }
    return result;
}

static int write_header(struct cb_vfs_file *file, const void *bytes, int amount,
                        sqlite3_int64 offset)
{
    if (!is_header(bytes, amount)) {
        return SQLITE_IOERR_WRITE;
    }
    if (offset == 0) {
        /* A journal begins; its database may have been emptied since. */
        file->head_known = false;
    }
    return file->real->pMethods->xWrite(file->real, bytes, amount, offset);
}

static int journal_write(sqlite3_file *handle, const void *bytes, int amount,
                         sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    struct cb_vfs_journal *journal = &file->state.journal;
    int collected = journal->collected;
    int result = cb_vfs_may_write(file->vfs);
    journal->opened = false;
    journal->collected = 0;
    if (result != SQLITE_OK) {
        return result;
    }
    if (collected == 0) {
        if (journal->super_journal) {
            return write_trailer(file, bytes, amount, offset);
        }
        return amount == NUMBER_BYTES
                   ? write_number(file, bytes, offset)
                   : write_header(file, bytes, amount, offset);
    }

    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    uint64_t page_offset = journal->record_offset + NUMBER_BYTES;
    if (collected == 1 && (uint64_t)offset == page_offset &&
        (uint32_t)amount == page_size) {
        memcpy(file->buffer + NUMBER_BYTES, bytes, page_size);
        journal->collected = 2;
        return SQLITE_OK;
    }
    if (collected == 2 && (uint64_t)offset == page_offset + page_size &&
        amount == NUMBER_BYTES) {
        memcpy(file->buffer + NUMBER_BYTES + page_size, bytes, NUMBER_BYTES);
        return store_record(file);
    }
    return SQLITE_IOERR_WRITE;
}

static int journal_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    file->state.journal = (struct cb_vfs_journal){ .collected = 0 };
    return cb_vfs_file_truncate(handle, size);
}

const sqlite3_io_methods cb_vfs_journal_methods = {
    .iVersion = 1,
    .xClose = cb_vfs_file_close,
    .xRead = journal_read,
    .xWrite = journal_write,
    .xTruncate = journal_truncate,
    .xSync = cb_vfs_file_sync,
    .xFileSize = cb_vfs_file_size,
    .xLock = cb_vfs_file_lock,
    .xUnlock = cb_vfs_file_unlock,
    .xCheckReservedLock = cb_vfs_file_check_reserved_lock,
    .xFileControl = cb_vfs_file_control,
    .xSectorSize = cb_vfs_file_sector_size,
    .xDeviceCharacteristics = cb_vfs_file_characteristics,
};
