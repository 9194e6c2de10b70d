/* SPDX-License-Identifier: Apache-2.0 */
/* What writing and reading backups share; casebound/backup.h has the form. */
#ifndef CASEBOUND_STORE_BACKUP_H
#define CASEBOUND_STORE_BACKUP_H

#include "store/backup_file.h"
#include "store/internal.h"

#include <casebound/backup.h>
#include <sodium.h>

#define CB_BACKUP_MAGIC       "CBBACKUP"
#define CB_BACKUP_MAGIC_BYTES 8
#define CB_BACKUP_HEAD_BYTES  128
#define CB_BACKUP_SALT_BYTES  32
#define CB_BACKUP_HASH_BYTES  32

typedef struct cb_backup_head {
    uint32_t unlock_size;
    uint64_t database_size;
    uint8_t salt[CB_BACKUP_SALT_BYTES];
    cb_backup_facts facts; /* `bytes` follows from the sizes */
} cb_backup_head;

void cb_backup_format_head(const cb_backup_head *head,
                           uint8_t bytes[CB_BACKUP_HEAD_BYTES]);
/* CB_INPUT, CB_NEWER, CB_DAMAGED; `path` and its size are for words. */
CB_NODISCARD cb_status cb_backup_parse_head(
    const uint8_t bytes[CB_BACKUP_HEAD_BYTES], const char *path, uint64_t size,
    cb_backup_head *ret_head, cb_error *reterr_error);

typedef enum cb_backup_key {
    CB_BACKUP_KEY_DATABASE,
    CB_BACKUP_KEY_HASH
} cb_backup_key;

CB_NODISCARD cb_status cb_backup_derive(const cb_backup_head *head,
                                        const cb_secret *master_key,
                                        cb_backup_key which,
                                        cb_secret **ret_key,
                                        cb_error *reterr_error);

/*
 * Checks everything after the head against the hash and, where `target` is not
 * NULL, writes the database to it.  `master_key`: of the backup.
 */
CB_NODISCARD cb_status cb_backup_read(const cb_environment *environment,
                                      const char *path,
                                      const cb_secret *master_key,
                                      cb_backup_file *target,
                                      cb_backup_head *ret_head,
                                      cb_error *reterr_error);

/* The head and what unlocks the backup. */
CB_NODISCARD cb_status cb_backup_look(const cb_environment *environment,
                                      const char *path,
                                      cb_backup_head *ret_head,
                                      cb_unlock *ret_unlock,
                                      cb_error *reterr_error);

/* The backup's master key.  CB_WRONG_KEY, CB_DAMAGED, CB_NO_MEMORY. */
CB_NODISCARD cb_status cb_backup_unseal(const cb_environment *environment,
                                        const char *path,
                                        const cb_unlock *unlock,
                                        const cb_secret *secret, bool recovery,
                                        cb_secret **ret_master_key,
                                        cb_error *reterr_error);

/* The database at `path` and all that may stand beside it. */
void cb_backup_remove_database(const cb_environment *environment,
                               const char *path);

#endif
