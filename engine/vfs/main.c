/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main database: whole pages, each sealed on its own.
 *
 * Two reads come before SQLite holds a lock or has looked for a journal that
 * must be rolled back: the first 100 bytes at opening, and 16 bytes of page 1.
 * At opening page 1 may be torn, and journal or log will heal it; so where it
 * does not verify, the first read is answered with a made-up header that says
 * only what the clear head says, and the error is left to the reads that follow
 * recovery.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <string.h>

#define SQLITE_MAGIC       "SQLite format 3"
#define HEAD_MAGIC         "CBDB"
#define HEAD_MAGIC_BYTES   4
#define OPENING_READ_BYTES 100
#define PAGE_BYTES_DEFAULT 4096

static_assert(sizeof(SQLITE_MAGIC) == CB_VFS_HEAD_BYTES,
              "our head takes the place of SQLite's magic text");

uint32_t cb_vfs_head_page_size(const struct cb_vfs_head *head)
{
    return (uint32_t)1 << head->bytes[6];
}

enum cb_vfs_cipher cb_vfs_head_cipher(const struct cb_vfs_head *head)
{
    return head->bytes[5] == CB_VFS_AES256_GCM ? CB_VFS_AES256_GCM
                                               : CB_VFS_XCHACHA20_POLY1305;
}

static bool is_page_size(int64_t size)
{
    return size >= CB_VFS_PAGE_BYTES_MIN && size <= CB_VFS_PAGE_BYTES_MAX &&
           (size & (size - 1)) == 0;
}

/* The head of a new file. */
static struct cb_vfs_head make_head(cb_vfs *vfs, uint32_t page_size)
{
    struct cb_vfs_head head = { { 0 } };
    memcpy(head.bytes, HEAD_MAGIC, HEAD_MAGIC_BYTES);
    head.bytes[4] = CB_VFS_VERSION;
    head.bytes[5] = (uint8_t)vfs->preferred;
    while (cb_vfs_head_page_size(&head) < page_size) {
        head.bytes[6]++;
    }
    head.bytes[7] = CB_VFS_RESERVED_BYTES;
    vfs->environment->random(vfs->environment->context, head.bytes + 8, 8);
    return head;
}

/* SQLite's fields at 16..20 of page 1. */
static void put_page_size(uint8_t *page, uint32_t page_size)
{
    page[16] = (uint8_t)(page_size >> 8);
    page[17] = (uint8_t)(page_size >> 16);
    page[20] = CB_VFS_RESERVED_BYTES;
}

int cb_vfs_head_read(cb_vfs *vfs, sqlite3_file *real, const char *path,
                     struct cb_vfs_head *ret_head, bool *ret_known)
{
    struct cb_vfs_head head = { { 0 } };
    *ret_known = false;
    int result = real->pMethods->xRead(real, head.bytes, CB_VFS_HEAD_BYTES, 0);
    if (result == SQLITE_IOERR_SHORT_READ) {
        return SQLITE_OK;
    }
    if (result != SQLITE_OK) {
        return result;
    }
    if (memcmp(head.bytes, HEAD_MAGIC, HEAD_MAGIC_BYTES) != 0) {
        return SQLITE_OK;
    }
    if (head.bytes[4] > CB_VFS_VERSION) {
        cb_vfs_note_damage(vfs, CB_VFS_MAIN, CB_VFS_FAULT_NEWER, path, 1);
        return SQLITE_NOTADB;
    }
    if (head.bytes[4] != CB_VFS_VERSION || head.bytes[6] < 9 ||
        head.bytes[6] > 16 || head.bytes[7] != CB_VFS_RESERVED_BYTES) {
        return SQLITE_OK;
    }
    bool available = head.bytes[5] == CB_VFS_XCHACHA20_POLY1305 ||
                     (head.bytes[5] == CB_VFS_AES256_GCM &&
                      cb_vfs_cipher_available(CB_VFS_AES256_GCM));
    if (!available) {
        cb_vfs_note_damage(vfs, CB_VFS_MAIN, CB_VFS_FAULT_CIPHER, path, 1);
        return SQLITE_NOTADB;
    }
    *ret_head = head;
    *ret_known = true;
    return SQLITE_OK;
}

/* Takes the head on the disk if there is one; keeps the present one if not. */
static int refresh_head(struct cb_vfs_file *file)
{
    struct cb_vfs_head head;
    bool known = false;
    int result =
        cb_vfs_head_read(file->vfs, file->real, file->path, &head, &known);
    if (result == SQLITE_OK && known) {
        file->head = head;
        file->head_known = true;
    }
    return result;
}

static struct cb_vfs_place place_of_page(const struct cb_vfs_head *head,
                                         uint64_t page_number)
{
    return (struct cb_vfs_place){ .domain = CB_VFS_DOMAIN_MAIN,
                                  .head = head,
                                  .position = page_number };
}

bool cb_vfs_page_unseal(cb_vfs *vfs, const struct cb_vfs_head *head,
                        uint64_t page_number, uint8_t *page)
{
    size_t body_end = cb_vfs_head_page_size(head) - CB_VFS_RESERVED_BYTES;
    size_t body_start = page_number == 1 ? CB_VFS_HEAD_BYTES : 0;
    struct cb_vfs_place place = place_of_page(head, page_number);
    struct cb_vfs_trailer trailer;
    memcpy(trailer.bytes, page + body_end, sizeof(trailer.bytes));
    /* The head is authenticated as this file's; here also as this page's. */
    if (page_number == 1 && memcmp(page, head->bytes, CB_VFS_HEAD_BYTES) != 0) {
        return false;
    }
    if (!cb_vfs_unseal(vfs, &place, page + body_start, body_end - body_start,
                       &trailer)) {
        return false;
    }
    if (page_number == 1) {
        memcpy(page, SQLITE_MAGIC, CB_VFS_HEAD_BYTES);
    }
    memset(page + body_end, 0, CB_VFS_RESERVED_BYTES);
    return true;
}

bool cb_vfs_page_acceptable(const struct cb_vfs_head *head,
                            uint64_t page_number, const uint8_t *page)
{
    uint32_t page_size = cb_vfs_head_page_size(head);
    if (!cb_is_zero(page + page_size - CB_VFS_RESERVED_BYTES,
                    CB_VFS_RESERVED_BYTES)) {
        return false;
    }
    if (page_number != 1) {
        return true;
    }
    uint8_t expected[21] = { 0 };
    put_page_size(expected, page_size);
    return memcmp(page, SQLITE_MAGIC, CB_VFS_HEAD_BYTES) == 0 &&
           page[16] == expected[16] && page[17] == expected[17] &&
           page[20] == expected[20];
}

static int fail_page(struct cb_vfs_file *file, enum cb_vfs_fault fault,
                     uint64_t page_number)
{
    cb_vfs_note_damage(file->vfs, CB_VFS_MAIN, fault, file->path, page_number);
    return page_number == 1 ? SQLITE_NOTADB : SQLITE_IOERR_DATA;
}

/*
 * One attempt at a page.  SQLITE_IOERR_SHORT_READ with zeros past the end of
 * the file; *ret_verified says whether an SQLITE_OK can be believed.
 */
static int load_page(struct cb_vfs_file *file, uint64_t page_number,
                     uint8_t *page, bool *ret_verified,
                     struct cb_vfs_trailer *ret_trailer)
{
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    int64_t offset = (int64_t)(page_number - 1) * page_size;
    *ret_verified = false;
    int result =
        file->real->pMethods->xRead(file->real, page, (int)page_size, offset);
    if (result == SQLITE_OK) {
        memcpy(ret_trailer->bytes, page + page_size - CB_VFS_RESERVED_BYTES,
               sizeof(ret_trailer->bytes));
        *ret_verified =
            cb_vfs_page_unseal(file->vfs, &file->head, page_number, page);
    }
    return result;
}

/* Page 1 tells how many pages there should be; SQLite then says "corrupt". */
static void note_truncation(struct cb_vfs_file *file, const uint8_t *page)
{
    uint32_t count = cb_get_u32(page + 28);
    sqlite3_int64 size = 0;
    bool count_valid = memcmp(page + 24, page + 92, 4) == 0;
    if (count_valid &&
        file->real->pMethods->xFileSize(file->real, &size) == SQLITE_OK) {
        uint64_t pages = (uint64_t)size / cb_vfs_head_page_size(&file->head);
        if (pages < count) {
            cb_vfs_note_damage(file->vfs, CB_VFS_MAIN, CB_VFS_FAULT_TRUNCATED,
                               file->path, pages + 1);
        }
    }
}

/* A page that verifies may still be an older version of itself. */
static int check_version(struct cb_vfs_file *file, uint64_t page_number,
                         const struct cb_vfs_trailer *trailer)
{
    bool newest = false;
    int result = cb_vfs_versions_attach(file->vfs, file->path, &file->head,
                                        &file->versions);
    if (result == SQLITE_OK) {
        result = cb_vfs_versions_check(file->versions, page_number, trailer,
                                       &newest);
    }
    if (result == SQLITE_OK && !newest) {
        cb_vfs_versions_note_stale(file->versions, page_number);
        result = SQLITE_IOERR_DATA;
    }
    return result;
}

static int read_page(struct cb_vfs_file *file, uint64_t page_number,
                     uint8_t *page)
{
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    struct cb_vfs_trailer trailer;
    bool verified = false;
    int result = load_page(file, page_number, page, &verified, &trailer);
    if (result == SQLITE_OK && !verified) {
        /* Another connection may have emptied the file and begun anew. */
        struct cb_vfs_head before = file->head;
        result = refresh_head(file);
        if (result != SQLITE_OK) {
            return result;
        }
        if (cb_vfs_head_page_size(&file->head) != page_size) {
            return fail_page(file, CB_VFS_FAULT_UNREADABLE, page_number);
        }
        if (memcmp(&before, &file->head, sizeof(before)) != 0) {
            result = load_page(file, page_number, page, &verified, &trailer);
        }
        if (result == SQLITE_OK && !verified) {
            return fail_page(file, CB_VFS_FAULT_UNREADABLE, page_number);
        }
    }
    if (result == SQLITE_OK) {
        result = check_version(file, page_number, &trailer);
    }
    if (result == SQLITE_IOERR_SHORT_READ) {
        sqlite3_int64 size = 0;
        int size_result = file->real->pMethods->xFileSize(file->real, &size);
        memset(page, 0, page_size);
        if (size_result != SQLITE_OK) {
            return size_result;
        }
        if (size > (int64_t)(page_number - 1) * page_size) {
            return fail_page(file, CB_VFS_FAULT_TRUNCATED, page_number);
        }
    }
    if (result == SQLITE_OK && page_number == 1) {
        note_truncation(file, page);
    }
    return result;
}

/* What SQLite must know before it has locks and page 1. */
static void put_opening_header(const struct cb_vfs_file *file, uint8_t *bytes)
{
    memset(bytes, 0, OPENING_READ_BYTES);
    memcpy(bytes, SQLITE_MAGIC, CB_VFS_HEAD_BYTES);
    put_page_size(bytes, file->head_known ? cb_vfs_head_page_size(&file->head)
                                          : PAGE_BYTES_DEFAULT);
    bytes[21] = 64;
    bytes[22] = 32;
    bytes[23] = 32;
}

/* A file without a head of ours: empty, foreign, or its first page torn. */
static int read_headless(struct cb_vfs_file *file, void *bytes, int amount,
                         sqlite3_int64 offset)
{
    sqlite3_int64 size = 0;
    int result = file->real->pMethods->xFileSize(file->real, &size);
    if (result != SQLITE_OK) {
        return result;
    }
    memset(bytes, 0, (size_t)amount);
    if (size == 0) {
        return SQLITE_IOERR_SHORT_READ;
    }
    if (offset == 0 && amount == OPENING_READ_BYTES) {
        put_opening_header(file, bytes);
        return SQLITE_OK;
    }
    return fail_page(file, CB_VFS_FAULT_UNREADABLE, 1);
}

/* The first read of all; see the head of this file. */
static int read_opening(struct cb_vfs_file *file, void *bytes)
{
    struct cb_vfs_trailer trailer;
    bool verified = false;
    int result = load_page(file, 1, file->buffer, &verified, &trailer);
    if (result == SQLITE_OK && verified) {
        memcpy(bytes, file->buffer, OPENING_READ_BYTES);
    } else if (result == SQLITE_OK || result == SQLITE_IOERR_SHORT_READ) {
        put_opening_header(file, bytes);
        result = SQLITE_OK;
    }
    sodium_memzero(file->buffer, cb_vfs_head_page_size(&file->head));
    return result;
}

static int main_read(sqlite3_file *handle, void *bytes, int amount,
                     sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    if (!file->head_known) {
        int result = refresh_head(file);
        if (result != SQLITE_OK) {
            return result;
        }
    }
    if (!file->head_known) {
        return read_headless(file, bytes, amount, offset);
    }
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    uint64_t page_number = (uint64_t)offset / page_size + 1;
    size_t within = (size_t)((uint64_t)offset % page_size);
    if (within + (size_t)amount > page_size) {
        return SQLITE_IOERR_READ;
    }
    if ((uint32_t)amount == page_size) {
        int result = read_page(file, page_number, bytes);
        if (result != SQLITE_OK) {
            memset(bytes, 0, (size_t)amount);
        }
        return result;
    }
    if (!cb_vfs_file_reserve(file, page_size)) {
        return SQLITE_IOERR_NOMEM;
    }
    if (offset == 0 && amount == OPENING_READ_BYTES) {
        return read_opening(file, bytes);
    }
    int result = read_page(file, page_number, file->buffer);
    memset(bytes, 0, (size_t)amount);
    if (result == SQLITE_OK) {
        memcpy(bytes, file->buffer + within, (size_t)amount);
    }
    sodium_memzero(file->buffer, page_size);
    return result;
}

/* Seals a page that has been found acceptable and writes it. */
static int write_page(struct cb_vfs_file *file, uint64_t page_number,
                      const uint8_t *page)
{
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    size_t body_end = page_size - CB_VFS_RESERVED_BYTES;
    size_t body_start = page_number == 1 ? CB_VFS_HEAD_BYTES : 0;
    struct cb_vfs_place place = place_of_page(&file->head, page_number);
    struct cb_vfs_trailer trailer;
    int result = cb_vfs_versions_attach(file->vfs, file->path, &file->head,
                                        &file->versions);
    if (result == SQLITE_OK) {
        result = cb_vfs_versions_reserve(file->versions);
    }
    if (result != SQLITE_OK) {
        return result;
    }
    cb_vfs_seal(file->vfs, &file->nonces, &place, page + body_start,
                body_end - body_start, file->buffer + body_start, &trailer);
    if (page_number == 1) {
        memcpy(file->buffer, file->head.bytes, CB_VFS_HEAD_BYTES);
    }
    memcpy(file->buffer + body_end, trailer.bytes, sizeof(trailer.bytes));
    result =
        file->real->pMethods->xWrite(file->real, file->buffer, (int)page_size,
                                     (int64_t)(page_number - 1) * page_size);
    if (result == SQLITE_OK) {
        cb_vfs_versions_note(file->versions, page_number, &trailer);
    }
    return result;
}

/*
 * A hole would read as zeros and fail; worse, if zeros were let pass, whoever
 * has the disk could empty any page.  So holes are filled with sealed pages.
 */
static int fill_gap(struct cb_vfs_file *file, uint64_t page_number)
{
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    sqlite3_int64 size = 0;
    int result = file->real->pMethods->xFileSize(file->real, &size);
    uint64_t first = (uint64_t)size / page_size + 1;
    if (result != SQLITE_OK || first >= page_number) {
        return result;
    }
    uint8_t *zeros = sqlite3_malloc((int)page_size);
    if (zeros == NULL) {
        return SQLITE_IOERR_NOMEM;
    }
    memset(zeros, 0, page_size);
    for (uint64_t i = first; i < page_number && result == SQLITE_OK; i++) {
        result = write_page(file, i, zeros);
    }
    sqlite3_free(zeros);
    return result;
}

/* Finds or makes the head before a write; fails where the file is not ours. */
static int settle_head(struct cb_vfs_file *file, int amount)
{
    int result = refresh_head(file);
    if (result != SQLITE_OK || file->head_known) {
        return result;
    }
    sqlite3_int64 size = 0;
    result = file->real->pMethods->xFileSize(file->real, &size);
    if (result != SQLITE_OK) {
        return result;
    }
    if (size != 0) {
        return fail_page(file, CB_VFS_FAULT_UNREADABLE, 1);
    }
    if (!is_page_size(amount)) {
        return SQLITE_IOERR_WRITE;
    }
    file->head = make_head(file->vfs, (uint32_t)amount);
    file->head_known = true;
    return SQLITE_OK;
}

static int main_write(sqlite3_file *handle, const void *bytes, int amount,
                      sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int result = cb_vfs_may_write(file->vfs);
    if (result == SQLITE_OK && (!file->head_known || offset == 0)) {
        result = settle_head(file, amount);
    }
    if (result != SQLITE_OK) {
        return result;
    }
    uint32_t page_size = cb_vfs_head_page_size(&file->head);
    uint64_t page_number = (uint64_t)offset / page_size + 1;
    if ((uint32_t)amount != page_size || offset % page_size != 0 ||
        !cb_vfs_page_acceptable(&file->head, page_number, bytes)) {
        return SQLITE_IOERR_WRITE;
    }
    if (!cb_vfs_file_reserve(file, page_size)) {
        return SQLITE_IOERR_NOMEM;
    }
    result = fill_gap(file, page_number);
    return result == SQLITE_OK ? write_page(file, page_number, bytes) : result;
}

static int main_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    sqlite3_int64 present = 0;
    int result = file->real->pMethods->xFileSize(file->real, &present);
    if (result != SQLITE_OK) {
        return result;
    }
    if (size > present) {
        return SQLITE_IOERR_TRUNCATE;
    }
    result = cb_vfs_file_truncate(handle, size);
    if (result == SQLITE_OK && size == 0) {
        file->head_known = false;
        if (file->versions != NULL) {
            cb_vfs_versions_restart(file->versions);
        }
    }
    return result;
}

/*
 * When this has returned, SQLite lets go of the log or journal that could write
 * these pages again; so the table is durable by then, too.
 */
static int main_sync(sqlite3_file *handle, int flags)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int result = cb_vfs_file_sync(handle, flags);
    return result == SQLITE_OK && file->versions != NULL
               ? cb_vfs_versions_sync(file->versions, flags)
               : result;
}

/* Without "synchronous" nothing was synced, but the table must be right. */
static int main_close(sqlite3_file *handle)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    int saved = file->versions == NULL
                    ? SQLITE_OK
                    : cb_vfs_versions_sync(file->versions, SQLITE_SYNC_NORMAL);
    int closed = cb_vfs_file_close(handle);
    return saved != SQLITE_OK ? saved : closed;
}

/* A reader has the gate and needs no other lock. */
static int main_lock(sqlite3_file *handle, int level)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    if (file->vfs->reading) {
        return SQLITE_OK;
    }
    if (level == SQLITE_LOCK_SHARED && file->versions != NULL) {
        cb_vfs_versions_expire(file->versions);
    }
    int result = level == SQLITE_LOCK_EXCLUSIVE
                     ? cb_vfs_gate_enter(file, CB_VFS_GATE_EXCLUSIVE)
                     : SQLITE_OK;
    if (result == SQLITE_OK) {
        result = cb_vfs_file_lock(handle, level);
        if (result != SQLITE_OK && level == SQLITE_LOCK_EXCLUSIVE) {
            cb_vfs_gate_leave(file, CB_VFS_GATE_EXCLUSIVE);
        }
    }
    return result;
}

static int main_unlock(sqlite3_file *handle, int level)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    if (file->vfs->reading) {
        return SQLITE_OK;
    }
    int result = cb_vfs_file_unlock(handle, level);
    if (level <= SQLITE_LOCK_SHARED) {
        cb_vfs_gate_leave(file, CB_VFS_GATE_EXCLUSIVE);
    }
    return result;
}

static int main_check_reserved_lock(sqlite3_file *handle, int *ret_held)
{
    *ret_held = 0;
    return cb_vfs_file_of(handle)->vfs->reading
               ? SQLITE_OK
               : cb_vfs_file_check_reserved_lock(handle, ret_held);
}

static int main_shared_map(sqlite3_file *handle, int region, int size,
                           int extend, void volatile **ret_map)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    return file->real->pMethods->xShmMap(file->real, region, size, extend,
                                         ret_map);
}

static int main_shared_lock(sqlite3_file *handle, int offset, int count,
                            int flags)
{
    return cb_vfs_gate_lock_index(cb_vfs_file_of(handle), offset, count, flags);
}

static void main_shared_barrier(sqlite3_file *handle)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    file->real->pMethods->xShmBarrier(file->real);
}

static int main_shared_unmap(sqlite3_file *handle, int remove)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    return file->real->pMethods->xShmUnmap(file->real, remove);
}

/* Version 2: no memory mapping, which would bypass the cipher. */
const sqlite3_io_methods cb_vfs_main_methods = {
    .iVersion = 2,
    .xClose = main_close,
    .xRead = main_read,
    .xWrite = main_write,
    .xTruncate = main_truncate,
    .xSync = main_sync,
    .xFileSize = cb_vfs_file_size,
    .xLock = main_lock,
    .xUnlock = main_unlock,
    .xCheckReservedLock = main_check_reserved_lock,
    .xFileControl = cb_vfs_file_control,
    .xSectorSize = cb_vfs_file_sector_size,
    .xDeviceCharacteristics = cb_vfs_file_characteristics,
    .xShmMap = main_shared_map,
    .xShmLock = main_shared_lock,
    .xShmBarrier = main_shared_barrier,
    .xShmUnmap = main_shared_unmap,
};
