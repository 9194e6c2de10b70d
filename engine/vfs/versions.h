/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version of each page is the newest: the file that vfs.h calls the
 * table.  One object per main file and instance, shared by its connections.
 *
 * A tree of three levels: one top, up to CB_VFS_GROUPS group blocks, and leaf
 * blocks of CB_VFS_BLOCK_ENTRIES page versions each.  The version of a page or
 * block is taken from its authentication tag, so a parent names exactly one
 * content of its child.  Every block has two places in the file and the top
 * too; what is new always goes to the place that is not in use:
 *
 *   T1. the tree that the newest durable top names is whole: nothing is written
 *       over a block that it names;
 *   T2. a top is written when all blocks that it names are durable;
 *   T3. a top is written when the pages that it names are durable, and it is
 *       durable before SQLite may let go of log or journal.
 *
 * So after a cut at any moment the newest top that verifies names, for each
 * page, the version in the file, or an earlier one of a page that the log still
 * holds, or one that the journal will put back.  Nobody reads such a page
 * before SQLite has written it again.
 *
 * Versions that were noted and not yet folded into leaves stand in the top
 * itself, so that a small transaction costs one write and one flush.
 */
#ifndef CASEBOUND_VFS_VERSIONS_H
#define CASEBOUND_VFS_VERSIONS_H

#include "vfs/internal.h"

#define CB_VFS_BLOCK_BYTES     4096
#define CB_VFS_BLOCK_ENTRIES   508
#define CB_VFS_GROUPS          512
#define CB_VFS_RECENT_MAX      1018
#define CB_VFS_TOP_BYTES       16384
#define CB_VFS_TOP_HEAD_BYTES  16
#define CB_VFS_TOP_FIXED_BYTES (8 + 8 * CB_VFS_GROUPS)
#define CB_VFS_RECENT_BYTES    12
#define CB_VFS_SALT_BYTES      8
#define CB_VFS_CACHED_BLOCKS   256

#define CB_VFS_BLOCK_BODY (CB_VFS_BLOCK_BYTES - CB_VFS_RESERVED_BYTES)
#define CB_VFS_TOP_BODY \
    (CB_VFS_TOP_BYTES - CB_VFS_TOP_HEAD_BYTES - CB_VFS_RESERVED_BYTES)

static_assert(CB_VFS_BLOCK_BODY == 8 * CB_VFS_BLOCK_ENTRIES,
              "entries fill a block");
static_assert(CB_VFS_TOP_FIXED_BYTES + CB_VFS_RECENT_BYTES * CB_VFS_RECENT_MAX +
                      CB_VFS_SALT_BYTES <=
                  CB_VFS_TOP_BODY,
              "a top holds what it may");

enum cb_vfs_table_state {
    CB_VFS_TABLE_ABSENT,
    CB_VFS_TABLE_BROKEN, /* a file without a top that verifies */
    CB_VFS_TABLE_NEWER,
    CB_VFS_TABLE_LIVE,
};

/* A page and its version; page 0 is an empty place. */
struct cb_vfs_recent {
    uint64_t page;
    uint64_t version;
};

/* Open addressing; `capacity` is a power of two or 0. */
struct cb_vfs_recents {
    struct cb_vfs_recent *places;
    size_t capacity;
    size_t count;
};

struct cb_vfs_cached_block {
    uint64_t number;
    uint64_t version; /* 0: empty */
    uint8_t body[CB_VFS_BLOCK_BODY];
};

struct cb_vfs_versions {
    struct cb_vfs_versions *next;
    size_t references;
    cb_vfs *vfs;
    char *path; /* of the main file */
    sqlite3_filename table_path;
    sqlite3_file *real; /* NULL while there is no table */
    struct cb_vfs_nonces nonces;
    struct cb_vfs_head head;
    bool head_known;
    enum cb_vfs_table_state state;
    bool unsaved;       /* something was noted since the top was written */
    bool expired;       /* another process may have written a newer top */
    uint64_t bad_block; /* the one that did not verify, from 1; 0: a top */
    uint64_t generation;
    uint64_t groups[CB_VFS_GROUPS];
    uint8_t log_salts[CB_VFS_SALT_BYTES]; /* see log_mark.c */
    uint32_t log_frames;
    struct cb_vfs_recents recent;
    uint8_t *buffer; /* CB_VFS_TOP_BYTES */
    struct cb_vfs_cached_block *cache[CB_VFS_CACHED_BLOCKS];
};

/* What a rewritten part of the tree needs until its top stands. */
struct cb_vfs_rewrite {
    uint64_t groups[CB_VFS_GROUPS];
    bool open; /* `body` is the group in work */
    uint64_t group;
    uint8_t body[CB_VFS_BLOCK_BODY];
};

/* version_blocks.c: the file.  SQLite's codes. */
int cb_vfs_table_open(struct cb_vfs_versions *versions, bool create);
int cb_vfs_table_read_top(struct cb_vfs_versions *versions);

/* Whether the file has another top than the one that was read. */
int cb_vfs_table_peek(struct cb_vfs_versions *versions, bool *ret_newer);

/*
 * Whether the place of the other top holds something that does not verify: then
 * that one may have been the newest, and this one calls newer pages stale.  A
 * cut leaves it so too, but then the log holds all those pages.
 */
bool cb_vfs_table_is_doubtful(struct cb_vfs_versions *versions);

/*
 * The leaf's entry of a page; 0 where none was ever written.  A block that does
 * not verify is SQLITE_IOERR_DATA and stands in bad_block.
 */
int cb_vfs_table_find(struct cb_vfs_versions *versions, uint64_t page,
                      uint64_t *ret_version);

/* The content of a leaf; zeros where there is none. */
int cb_vfs_table_read_leaf(struct cb_vfs_versions *versions, uint64_t leaf,
                           uint8_t *body);

/* Leaves in rising order, then the end, which writes the top. */
int cb_vfs_table_write_leaf(struct cb_vfs_versions *versions,
                            struct cb_vfs_rewrite *rewrite, uint64_t leaf,
                            const uint8_t *body, bool anew);
int cb_vfs_table_finish(struct cb_vfs_versions *versions,
                        struct cb_vfs_rewrite *rewrite, int flags);

/* A top with the recent versions in it: there must not be too many. */
int cb_vfs_table_write_top(struct cb_vfs_versions *versions,
                           const uint64_t *groups,
                           const struct cb_vfs_recents *recent, int flags);
void cb_vfs_table_forget_blocks(struct cb_vfs_versions *versions);

/* recents.c */
void cb_vfs_recents_clear(struct cb_vfs_recents *recents);
uint64_t cb_vfs_recents_find(const struct cb_vfs_recents *recents,
                             uint64_t page);
CB_NODISCARD bool cb_vfs_recents_reserve(struct cb_vfs_recents *recents,
                                         size_t more);

/* There is room, see reserve. */
void cb_vfs_recents_put(struct cb_vfs_recents *recents, uint64_t page,
                        uint64_t version);

/* A copy in rising order of pages; NULL where there is no memory. */
CB_NODISCARD struct cb_vfs_recent *cb_vfs_recents_sorted(
    const struct cb_vfs_recents *recents);

#endif
