/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of its own with an encrypting VFS over it, and a spy on every byte
 * that SQLite's own VFS hands to the kernel.
 */
#ifndef CASEBOUND_TESTS_VFS_FIXTURE_H
#define CASEBOUND_TESTS_VFS_FIXTURE_H

#include "support/expect.h"
#include "vfs/vfs.h"

#define CANARY "canary-Wren-Ashdown-canary"

struct vfs_fixture {
    char folder[64];
    char path[4][128];
    size_t path_next;
    cb_environment environment;
    cb_secret *key;
    cb_vfs *vfs;
};

struct vfs_fixture *vfs_fixture_create(enum cb_vfs_cipher cipher);

/* Closes the VFS and removes the folder. */
void vfs_fixture_destroy(struct vfs_fixture *fixture);

/* The same key in a new instance, as a program started again has. */
void vfs_fixture_reopen(struct vfs_fixture *fixture, enum cb_vfs_cipher cipher);

/* A path in the folder; valid for the next three calls. */
const char *vfs_fixture_path(struct vfs_fixture *fixture, const char *name);

/* Opened and prepared; a mode of NULL leaves it as it is. */
sqlite3 *vfs_fixture_open(struct vfs_fixture *fixture, const char *name,
                          const char *mode);

/* Runs all statements and rows; the extended result code. */
int sql_run(sqlite3 *database, const char *sql);
void sql_must(sqlite3 *database, const char *sql);
sqlite3_int64 sql_int(sqlite3 *database, const char *sql);
void sql_expect_integrity(sqlite3 *database);

#define expect_int(got, wanted)                                              \
    do {                                                                     \
        const long long expect_got_ = (got);                                 \
        const long long expect_want_ = (wanted);                             \
        cr_expect(expect_got_ == expect_want_, "%s is %lld, not %lld", #got, \
                  expect_got_, expect_want_);                                \
    } while (0)

/* Files as bytes; the caller frees. */
uint8_t *vfs_file_read(const char *path, size_t *ret_size);
void vfs_file_write(const char *path, const uint8_t *bytes, size_t size);
bool vfs_file_contains(const char *path, const char *text);

/* Counts canaries in what the unix VFS writes, for the rest of the process. */
void vfs_spy_install(void);
void vfs_spy_reset(void);
int vfs_spy_hits(void);
int vfs_spy_writes(void);

#endif
