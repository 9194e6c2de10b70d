/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups, and stores that were put back.
 *
 * A backup is one file, encrypted, that opens with what opened the store when
 * it was made: the passphrase or the recovery key of that day.
 *
 *     head 128      "CBBACKUP" | version 1 (2) | flags (2; 1: of a hub) |
 *                   size of the next part (4) | salt 32 | made, milliseconds
 *                   since 1970 (8) | entries (8) | cases (8) | size of the
 *                   database (8) | zero
 *     unlock.json   as it was
 *     database      a copy without free pages, under a key of this backup, in
 *                   the cipher that every machine has
 *     hash 32       keyed BLAKE2b of everything before
 *
 *     keys          BLAKE2b, keyed with the master key, of the words
 *                   "casebound/1 backup database" or "casebound/1 backup hash",
 *                   a zero byte and the salt
 *
 * Two copies of one store that both go on writing would sign two different
 * entries under one number, which nobody can tell from forgery.  So a copy is
 * read only, or refused, until it has begun a new incarnation: a stream of
 * entries of its own, whose opening entry says which stream it follows and how
 * far that is held there.  For the same reason the key that signs the present
 * stream is not in a backup, but where entries of it had no receipt yet: then
 * it is kept to send them with, and for nothing else, until they were sent.
 */
#ifndef CASEBOUND_BACKUP_H
#define CASEBOUND_BACKUP_H

#include <casebound/store.h>

/* What a backup says of itself. */
typedef struct cb_backup_facts {
    uint64_t bytes; /* the whole file */
    uint64_t entries;
    uint64_t cases;
    int64_t made_ms;
    bool hub;
} cb_backup_facts;

/* Whether to stop; asked now and then until the backup is whole. */
typedef struct cb_backup_watch {
    bool (*is_stopped)(void *context);
    void *context;
} cb_backup_watch;

/*
 * Writes a backup beside `path`, flushes it, gives it its name, reads it again
 * from there and verifies all of it; only then it returns CB_OK.  What is there
 * is replaced only where `replace` says so and it is a backup, and
 * not before the new one is whole.  The store is not changed; a copy is made in
 * its folder meanwhile. CB_EXISTS, CB_NO_SPACE, CB_PERMISSION, CB_NOT_FOUND (no
 * such folder), CB_DAMAGED (the store, unlock.json is not as it was written, or
 * the disk gave back something else), CB_INTERRUPTED (`watch`, which may be
 * NULL; nothing is left then), CB_IO.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_backup_write(cb_store *store,
                                                 const char *path, bool replace,
                                                 const cb_backup_watch *watch,
                                                 cb_backup_facts *ret_facts,
                                                 cb_error *reterr_error);

/*
 * Reads all of a backup and verifies it, with the passphrase or (`recovery`)
 * the recovery key of its day.  Bounded memory, whatever the file holds.
 * CB_INPUT (not a backup), CB_WRONG_KEY, CB_DAMAGED, CB_NEWER, CB_NOT_FOUND
 * without text, CB_NO_MEMORY, CB_IO.
 */
CB_NODISCARD CB_PUBLIC cb_status
cb_backup_check(const cb_environment *environment, const char *path,
                const cb_secret *secret, bool recovery,
                cb_backup_facts *ret_facts, cb_error *reterr_error);

/*
 * Makes a store of a backup in options->folder, which must be new or empty,
 * and opens it: with an id and a master key of its own, `passphrase` to open
 * it, and a new incarnation begun.  unlock.json is written last: after a crash
 * there is a store or there is none, and restoring can be begun again.
 * CB_EXISTS (the folder holds something), CB_INPUT (also a passphrase that is
 * too short) and all of cb_backup_check and cb_store_create.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_restore_backup(
    const cb_store_options *options, const char *path, const cb_secret *secret,
    bool recovery, const cb_secret *passphrase, cb_store **ret_store,
    cb_backup_facts *ret_facts, cb_error *reterr_error);

/*
 * A person has confirmed that this older copy is the one to go on with
 * (identity.restored): it begins a new incarnation, and its witnesses follow
 * it.  What was recorded after it and not synced is given up.  Does nothing
 * where the store is no older copy.  CB_NO_SPACE, CB_IO.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_restore_in_place(cb_store *store,
                                                     cb_error *reterr_error);

#endif
