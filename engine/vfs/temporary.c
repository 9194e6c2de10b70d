/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temporary files: blocks under a key that never leaves memory.
 *
 * Temporary tables, sorters and statement journals are read by the handle that
 * wrote them and by nobody after it, so key, nonce counter, tags and the size
 * live in memory, and an old block put back does not verify.  One block is
 * held in clear and sealed when another is needed.  Nothing needs to be
 * durable: a sync does nothing.
 *
 * The nonce is the counter of the file's seals; the key is random, so no two
 * files share one.  A connection must not be used in a child process, which
 * SQLite forbids anyway.
 */
#include "vfs/internal.h"
#include <sodium.h>
#include <string.h>

#define BLOCK_BYTES 4096
#define BLOCKS_MAX  (UINT64_C(1) << 32)

static_assert(CB_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES,
              "one size of key");

int cb_vfs_temporary_init(struct cb_vfs_file *file)
{
    struct cb_vfs_temporary *temporary = &file->state.temporary;
    const cb_environment *environment = file->vfs->environment;
    if (!cb_vfs_file_reserve(file, (size_t)2 * BLOCK_BYTES)) {
        return SQLITE_NOMEM;
    }
    temporary->mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST);
    environment->random(environment->context, temporary->key,
                        sizeof(temporary->key));
    return SQLITE_OK;
}

static sqlite3_int64 block_offset(uint64_t index)
{
    return (sqlite3_int64)index * BLOCK_BYTES;
}

static void put_nonce(uint64_t counter, uint8_t *nonce)
{
    memset(nonce, 0, crypto_aead_chacha20poly1305_ietf_NPUBBYTES);
    cb_put_u64(nonce + 4, counter);
}

/* Seals the cached block if it was changed. */
static int flush_block(struct cb_vfs_file *file)
{
    struct cb_vfs_temporary *temporary = &file->state.temporary;
    if (!temporary->dirty) {
        return SQLITE_OK;
    }
    uint64_t index = temporary->cached - 1;
    struct cb_vfs_block *block = &temporary->blocks[index];
    uint8_t *sealed = file->buffer + BLOCK_BYTES;
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    uint8_t position[8];
    cb_put_u64(position, index);
    block->counter = ++temporary->counter;
    put_nonce(block->counter, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(
        sealed, block->tag, NULL, file->buffer, BLOCK_BYTES, position,
        sizeof(position), NULL, nonce, temporary->key);
    int result = file->real->pMethods->xWrite(file->real, sealed, BLOCK_BYTES,
                                              block_offset(index));
    if (result == SQLITE_OK) {
        temporary->dirty = false;
    }
    return result;
}

static int grow_blocks(struct cb_vfs_temporary *temporary, uint64_t count)
{
    if (count > BLOCKS_MAX) {
        return SQLITE_FULL;
    }
    if (count > temporary->block_capacity) {
        uint64_t capacity = count < 16 ? 16 : count * 2;
        void *blocks = sqlite3_realloc64(
            temporary->blocks, capacity * sizeof(struct cb_vfs_block));
        if (blocks == NULL) {
            return SQLITE_IOERR_NOMEM;
        }
        temporary->blocks = blocks;
        temporary->block_capacity = capacity;
    }
    while (temporary->block_count < count) {
        temporary->blocks[temporary->block_count++] =
            (struct cb_vfs_block){ .counter = 0 };
    }
    return SQLITE_OK;
}

/* Brings a block into the cache, in clear. */
static int load_block(struct cb_vfs_file *file, uint64_t index)
{
    struct cb_vfs_temporary *temporary = &file->state.temporary;
    if (temporary->cached == index + 1) {
        return SQLITE_OK;
    }
    int result = flush_block(file);
    if (result == SQLITE_OK && index >= temporary->block_count) {
        result = grow_blocks(temporary, index + 1);
    }
    if (result != SQLITE_OK) {
        return result;
    }
    struct cb_vfs_block *block = &temporary->blocks[index];
    temporary->cached = 0;
    if (block->counter == 0) {
        memset(file->buffer, 0, BLOCK_BYTES);
        temporary->cached = index + 1;
        return SQLITE_OK;
    }
    result = file->real->pMethods->xRead(file->real, file->buffer, BLOCK_BYTES,
                                         block_offset(index));
    if (result != SQLITE_OK) {
        return result == SQLITE_IOERR_SHORT_READ ? SQLITE_IOERR_DATA : result;
    }
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    uint8_t position[8];
    cb_put_u64(position, index);
    put_nonce(block->counter, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(
            file->buffer, NULL, file->buffer, BLOCK_BYTES, block->tag, position,
            sizeof(position), nonce, temporary->key) != 0) {
        cb_vfs_note_damage(file->vfs, CB_VFS_TEMPORARY, CB_VFS_FAULT_UNREADABLE,
                           file->path, index + 1);
        return SQLITE_IOERR_DATA;
    }
    temporary->cached = index + 1;
    return SQLITE_OK;
}

static int read_locked(struct cb_vfs_file *file, uint8_t *bytes, uint64_t size,
                       uint64_t offset)
{
    struct cb_vfs_temporary *temporary = &file->state.temporary;
    uint64_t end = offset + size;
    uint64_t readable = end < temporary->size ? end : temporary->size;
    memset(bytes, 0, (size_t)size);
    for (uint64_t at = offset; at < readable;) {
        uint64_t within = at % BLOCK_BYTES;
        uint64_t piece = BLOCK_BYTES - within;
        if (piece > readable - at) {
            piece = readable - at;
        }
        int result = load_block(file, at / BLOCK_BYTES);
        if (result != SQLITE_OK) {
            return result;
        }
        memcpy(bytes + (at - offset), file->buffer + within, (size_t)piece);
        at += piece;
    }
    return end > temporary->size ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int write_locked(struct cb_vfs_file *file, const uint8_t *bytes,
                        uint64_t size, uint64_t offset)
{
    struct cb_vfs_temporary *temporary = &file->state.temporary;
    uint64_t end = offset + size;
    for (uint64_t at = offset; at < end;) {
        uint64_t within = at % BLOCK_BYTES;
        uint64_t piece = BLOCK_BYTES - within;
        if (piece > end - at) {
            piece = end - at;
        }
        int result = load_block(file, at / BLOCK_BYTES);
        if (result != SQLITE_OK) {
            return result;
        }
        memcpy(file->buffer + within, bytes + (at - offset), (size_t)piece);
        temporary->dirty = true;
        at += piece;
    }
    if (end > temporary->size) {
        temporary->size = end;
    }
    return SQLITE_OK;
}

static int temporary_read(sqlite3_file *handle, void *bytes, int amount,
                          sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    sqlite3_mutex_enter(file->state.temporary.mutex);
    int result = read_locked(file, bytes, (uint64_t)amount, (uint64_t)offset);
    sqlite3_mutex_leave(file->state.temporary.mutex);
    return result;
}

static int temporary_write(sqlite3_file *handle, const void *bytes, int amount,
                           sqlite3_int64 offset)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    sqlite3_mutex_enter(file->state.temporary.mutex);
    int result = write_locked(file, bytes, (uint64_t)amount, (uint64_t)offset);
    sqlite3_mutex_leave(file->state.temporary.mutex);
    return result;
}

/* What is cut off must read as zeros if the file grows again. */
static int truncate_locked(struct cb_vfs_file *file, uint64_t size)
{
    struct cb_vfs_temporary *temporary = &file->state.temporary;
    uint64_t blocks = (size + BLOCK_BYTES - 1) / BLOCK_BYTES;
    uint64_t within = size % BLOCK_BYTES;
    if (size >= temporary->size) {
        temporary->size = size;
        return SQLITE_OK;
    }
    if (within != 0) {
        int result = load_block(file, blocks - 1);
        if (result != SQLITE_OK) {
            return result;
        }
        memset(file->buffer + within, 0, BLOCK_BYTES - (size_t)within);
        temporary->dirty = true;
    }
    if (temporary->cached > blocks) {
        temporary->cached = 0;
        temporary->dirty = false;
    }
    if (temporary->block_count > blocks) {
        temporary->block_count = blocks;
    }
    temporary->size = size;
    return file->real->pMethods->xTruncate(file->real, block_offset(blocks));
}

static int temporary_truncate(sqlite3_file *handle, sqlite3_int64 size)
{
    struct cb_vfs_file *file = cb_vfs_file_of(handle);
    sqlite3_mutex_enter(file->state.temporary.mutex);
    int result = truncate_locked(file, (uint64_t)size);
    sqlite3_mutex_leave(file->state.temporary.mutex);
    return result;
}

static int temporary_sync(sqlite3_file *handle, int flags)
{
    (void)handle;
    (void)flags;
    return SQLITE_OK;
}

static int temporary_size(sqlite3_file *handle, sqlite3_int64 *ret_size)
{
    *ret_size = (sqlite3_int64)cb_vfs_file_of(handle)->state.temporary.size;
    return SQLITE_OK;
}

static int temporary_close(sqlite3_file *handle)
{
    struct cb_vfs_temporary *temporary =
        &cb_vfs_file_of(handle)->state.temporary;
    sqlite3_mutex_free(temporary->mutex);
    sqlite3_free(temporary->blocks);
    return cb_vfs_file_close(handle);
}

const sqlite3_io_methods cb_vfs_temporary_methods = {
    .iVersion = 1,
    .xClose = temporary_close,
    .xRead = temporary_read,
    .xWrite = temporary_write,
    .xTruncate = temporary_truncate,
    .xSync = temporary_sync,
    .xFileSize = temporary_size,
    .xLock = cb_vfs_file_lock,
    .xUnlock = cb_vfs_file_unlock,
    .xCheckReservedLock = cb_vfs_file_check_reserved_lock,
    .xFileControl = cb_vfs_file_control,
    .xSectorSize = cb_vfs_file_sector_size,
    .xDeviceCharacteristics = cb_vfs_file_characteristics,
};
