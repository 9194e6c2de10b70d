/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a backup.  Whatever the file is, memory is bounded by a chunk and an
 * unlock.json of the largest size, and nothing of it is believed before its
 * hash has been found right but what is needed to get that far: the sizes,
 * which have to add up to the file's, and the slots, which are sealed.
 */
#include "store/backup.h"

#include <casebound/limits.h>
#include <stdlib.h>
#include <string.h>

#define VERSION      1
#define FLAG_HUB     1
#define UNUSED_BYTES 80 /* from here on the head is zero */

static const char *const key_words[] = { "casebound/1 backup database",
                                         "casebound/1 backup hash" };

void cb_backup_format_head(const cb_backup_head *head,
                           uint8_t bytes[CB_BACKUP_HEAD_BYTES])
{
    memset(bytes, 0, CB_BACKUP_HEAD_BYTES);
    memcpy(bytes, CB_BACKUP_MAGIC, CB_BACKUP_MAGIC_BYTES);
    cb_put_u16(bytes + 8, VERSION);
    cb_put_u16(bytes + 10, head->facts.hub ? FLAG_HUB : 0);
    cb_put_u32(bytes + 12, head->unlock_size);
    memcpy(bytes + 16, head->salt, sizeof head->salt);
    cb_put_u64(bytes + 48, (uint64_t)head->facts.made_ms);
    cb_put_u64(bytes + 56, head->facts.entries);
    cb_put_u64(bytes + 64, head->facts.cases);
    cb_put_u64(bytes + 72, head->database_size);
}

static cb_status not_whole(const char *path, cb_error *error)
{
    cb_status status =
        cb_error_set(error, CB_DAMAGED, "the backup '%s' is damaged", path);
    cb_error_meaning(error, "nothing was taken from it");
    cb_error_next(error, "use another backup, or another copy of this one");
    return status;
}

cb_status cb_backup_parse_head(const uint8_t bytes[CB_BACKUP_HEAD_BYTES],
                               const char *path, uint64_t size,
                               cb_backup_head *ret_head, cb_error *reterr_error)
{
    cb_status status = CB_OK;
    if (memcmp(bytes, CB_BACKUP_MAGIC, CB_BACKUP_MAGIC_BYTES) != 0) {
        status = cb_error_set(reterr_error, CB_INPUT,
                              "'%s' is not a backup of a case store", path);
        cb_error_meaning(reterr_error, "nothing was taken from it");
        cb_error_next(reterr_error, "name the file that 'casebound backup' "
                                    "wrote");
        return status;
    }
    if (cb_get_u16(bytes + 8) > VERSION) {
        status =
            cb_error_set(reterr_error, CB_NEWER,
                         "the backup '%s' was made by a newer version", path);
        cb_error_meaning(reterr_error, "nothing was taken from it");
        return status;
    }
    cb_backup_head head = {
        .unlock_size = cb_get_u32(bytes + 12),
        .database_size = cb_get_u64(bytes + 72),
        .facts = { .bytes = size,
                   .entries = cb_get_u64(bytes + 56),
                   .cases = cb_get_u64(bytes + 64),
                   .made_ms = (int64_t)cb_get_u64(bytes + 48),
                   .hub = (cb_get_u16(bytes + 10) & FLAG_HUB) != 0 },
    };
    memcpy(head.salt, bytes + 16, sizeof head.salt);
    const uint64_t rest = CB_BACKUP_HEAD_BYTES + (uint64_t)head.unlock_size +
                          CB_BACKUP_HASH_BYTES;
    if (cb_get_u16(bytes + 8) != VERSION ||
        !cb_is_zero(bytes + UNUSED_BYTES,
                    CB_BACKUP_HEAD_BYTES - UNUSED_BYTES) ||
        head.unlock_size > CB_UNLOCK_FILE_BYTES_MAX || size < rest ||
        head.database_size != size - rest) {
        return not_whole(path, reterr_error);
    }
    *ret_head = head;
    return CB_OK;
}

cb_status cb_backup_derive(const cb_backup_head *head,
                           const cb_secret *master_key, cb_backup_key which,
                           cb_secret **ret_key, cb_error *reterr_error)
{
    cb_secret *key = NULL;
    crypto_generichash_state state;
    cb_status status = cb_secret_create(CB_KEY_BYTES, &key, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    (void)crypto_generichash_init(&state, cb_secret_view(master_key),
                                  CB_KEY_BYTES, CB_KEY_BYTES);
    (void)crypto_generichash_update(&state, (const uint8_t *)key_words[which],
                                    strlen(key_words[which]) + 1);
    (void)crypto_generichash_update(&state, head->salt, sizeof head->salt);
    (void)crypto_generichash_final(&state, cb_secret_bytes(key), CB_KEY_BYTES);
    sodium_memzero(&state, sizeof state);
    *ret_key = key;
    return CB_OK;
}

/* ----------------------------------------------------------------- reading */

static cb_status read_head(cb_backup_file *file, const char *path,
                           uint8_t bytes[CB_BACKUP_HEAD_BYTES],
                           cb_backup_head *ret_head, cb_error *error)
{
    memset(bytes, 0, CB_BACKUP_HEAD_BYTES);
    if (file->size < CB_BACKUP_HEAD_BYTES) {
        return cb_backup_parse_head(bytes, path, file->size, ret_head, error);
    }
    cb_status status =
        cb_backup_file_read(file, bytes, CB_BACKUP_HEAD_BYTES, error);
    return status == CB_OK
               ? cb_backup_parse_head(bytes, path, file->size, ret_head, error)
               : status;
}

/* As many bytes as `size` into the hash and, where there is one, the target. */
static cb_status pass(cb_backup_file *file, uint64_t size, uint8_t *chunk,
                      crypto_generichash_state *state, cb_backup_file *target,
                      cb_error *error)
{
    cb_status status = CB_OK;
    while (size > 0 && status == CB_OK) {
        size_t part =
            size < CB_BACKUP_CHUNK_BYTES ? (size_t)size : CB_BACKUP_CHUNK_BYTES;
        status = cb_backup_file_read(file, chunk, part, error);
        if (status == CB_OK) {
            (void)crypto_generichash_update(state, chunk, part);
            size -= part;
        }
        if (status == CB_OK && target != NULL) {
            status = cb_backup_file_write(target, chunk, part, error);
        }
    }
    return status;
}

static cb_status read_rest(cb_backup_file *file, const char *path,
                           const cb_backup_head *head, const uint8_t *bytes,
                           const cb_secret *key, cb_backup_file *target,
                           cb_error *error)
{
    uint8_t found[CB_BACKUP_HASH_BYTES];
    uint8_t expected[CB_BACKUP_HASH_BYTES];
    crypto_generichash_state state;
    uint8_t *chunk = malloc(CB_BACKUP_CHUNK_BYTES);
    if (chunk == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    (void)crypto_generichash_init(&state, cb_secret_view(key), CB_KEY_BYTES,
                                  sizeof expected);
    (void)crypto_generichash_update(&state, bytes, CB_BACKUP_HEAD_BYTES);
    cb_status status =
        pass(file, head->unlock_size, chunk, &state, NULL, error);
    if (status == CB_OK) {
        status = pass(file, head->database_size, chunk, &state, target, error);
    }
    if (status == CB_OK) {
        status = cb_backup_file_read(file, found, sizeof found, error);
    }
    (void)crypto_generichash_final(&state, expected, sizeof expected);
    sodium_memzero(&state, sizeof state);
    free(chunk);
    if (status == CB_OK &&
        sodium_memcmp(found, expected, sizeof expected) != 0) {
        status = not_whole(path, error);
    }
    return status;
}

cb_status cb_backup_read(const cb_environment *environment, const char *path,
                         const cb_secret *master_key, cb_backup_file *target,
                         cb_backup_head *ret_head, cb_error *reterr_error)
{
    cb_backup_file file = { 0 };
    cb_backup_head head;
    cb_secret *key = NULL;
    uint8_t bytes[CB_BACKUP_HEAD_BYTES];
    cb_status status =
        cb_backup_file_open(environment, path, &file, reterr_error);
    if (status == CB_OK) {
        status = read_head(&file, path, bytes, &head, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_backup_derive(&head, master_key, CB_BACKUP_KEY_HASH, &key,
                                  reterr_error);
    }
    if (status == CB_OK) {
        status =
            read_rest(&file, path, &head, bytes, key, target, reterr_error);
    }
    if (status == CB_OK) {
        *ret_head = head;
    }
    cb_secret_destroy(key);
    cb_backup_file_close(&file);
    return status;
}

/* --------------------------------------------------------------- unlocking */

static cb_status read_unlock(cb_backup_file *file, const char *path,
                             const cb_backup_head *head, cb_unlock *ret_unlock,
                             cb_error *error)
{
    cb_error ignored = { 0 };
    uint8_t *text = malloc((size_t)head->unlock_size + 1);
    if (text == NULL) {
        return cb_error_set(error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status =
        cb_backup_file_read(file, text, head->unlock_size, error);
    if (status == CB_OK) {
        status = cb_unlock_parse((cb_span){ text, head->unlock_size },
                                 ret_unlock, &ignored);
        if (status == CB_NEWER) {
            status = cb_error_set(error, CB_NEWER,
                                  "the backup '%s' was made by a newer "
                                  "version",
                                  path);
        } else if (status == CB_NO_MEMORY) {
            status = cb_error_set(error, CB_NO_MEMORY, "out of memory");
        } else if (status != CB_OK) {
            status = not_whole(path, error);
        }
    }
    free(text);
    return status;
}

cb_status cb_backup_look(const cb_environment *environment, const char *path,
                         cb_backup_head *ret_head, cb_unlock *ret_unlock,
                         cb_error *reterr_error)
{
    cb_backup_file file = { 0 };
    cb_backup_head head;
    uint8_t bytes[CB_BACKUP_HEAD_BYTES];
    cb_status status =
        cb_backup_file_open(environment, path, &file, reterr_error);
    if (status == CB_OK) {
        status = read_head(&file, path, bytes, &head, reterr_error);
    }
    if (status == CB_OK) {
        status = read_unlock(&file, path, &head, ret_unlock, reterr_error);
    }
    if (status == CB_OK) {
        *ret_head = head;
    }
    cb_backup_file_close(&file);
    return status;
}

cb_status cb_backup_check(const cb_environment *environment, const char *path,
                          const cb_secret *secret, bool recovery,
                          cb_backup_facts *ret_facts, cb_error *reterr_error)
{
    cb_backup_head head;
    cb_unlock unlock;
    cb_secret *master_key = NULL;
    cb_status status =
        cb_backup_look(environment, path, &head, &unlock, reterr_error);
    if (status == CB_OK) {
        status = cb_backup_unseal(environment, path, &unlock, secret, recovery,
                                  &master_key, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_backup_read(environment, path, master_key, NULL, &head,
                                reterr_error);
    }
    if (status == CB_OK) {
        *ret_facts = head.facts;
    }
    cb_secret_destroy(master_key);
    return status;
}

cb_status cb_backup_unseal(const cb_environment *environment, const char *path,
                           const cb_unlock *unlock, const cb_secret *secret,
                           bool recovery, cb_secret **ret_master_key,
                           cb_error *reterr_error)
{
    cb_error words = { 0 };
    cb_status status =
        cb_unlock_unseal(environment, unlock,
                         recovery ? CB_UNLOCK_RECOVERY : CB_UNLOCK_PASSPHRASE,
                         secret, ret_master_key, &words);
    if (status == CB_WRONG_KEY) {
        status = cb_error_set(reterr_error, CB_WRONG_KEY,
                              "that is not the %s of the backup '%s'",
                              recovery ? "recovery key" : "passphrase", path);
        cb_error_meaning(reterr_error, "nothing was taken from it");
        cb_error_next(reterr_error, "a backup opens with what opened the "
                                    "store on the day it was made");
    } else if (status == CB_NOT_FOUND) {
        status = cb_error_set(reterr_error, CB_WRONG_KEY,
                              "the backup '%s' has no recovery key", path);
        cb_error_meaning(reterr_error, "nothing was taken from it");
        cb_error_next(reterr_error, "open it with the passphrase");
    } else if (status == CB_DAMAGED) {
        status = not_whole(path, reterr_error);
    } else if (status != CB_OK && reterr_error != NULL) {
        *reterr_error = words;
    }
    return status;
}

void cb_backup_remove_database(const cb_environment *environment,
                               const char *path)
{
    static const char *const suffixes[] = { "",     "-wal",   "-journal",
                                            "-shm", "-pages", "-readers" };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        cb_buffer name;
        cb_buffer_init(&name, 8192);
        cb_buffer_append_format(&name, "%s%s", path, suffixes[i]);
        if (cb_buffer_check(&name, NULL) == CB_OK) {
            (void)environment->remove_file(environment->context,
                                           cb_buffer_text(&name), NULL);
        }
        cb_buffer_clear(&name);
    }
}
