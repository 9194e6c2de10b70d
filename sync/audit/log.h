/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the hub's log in one commit, found quickly: the folders of the
 * last paths are kept, because tiles are asked for in order.
 */
#ifndef CASEBOUND_AUDIT_LOG_H
#define CASEBOUND_AUDIT_LOG_H

#include "git/object.h"
#include "proof/tile.h"

/* A full bundle of the largest leaves. */
#define CB_AUDIT_BUNDLE_BYTES_MAX \
    ((size_t)CB_TILE_WIDTH *      \
     (2 + CB_ENTRY_STUB_BYTES + CB_CLEAR_BODY_BYTES_MAX))

typedef struct cb_audit_folder {
    char name[CB_GIT_NAME_BYTES_MAX + 1];
    cb_git_entry_list list;
} cb_audit_folder;

/* The folders of one path. */
typedef struct cb_audit_trail {
    size_t depth; /* folders that are open */
    cb_audit_folder folders[CB_GIT_PATH_DEPTH_MAX];
} cb_audit_trail;

typedef struct cb_audit_log {
    const cb_git_repository *repository;
    cb_git_oid tree;
    /* Leaves, hashes of level 0, and the rest: they are read in turns. */
    cb_audit_trail trails[3];
} cb_audit_log;

void cb_audit_log_init(cb_audit_log *log, const cb_git_repository *repository,
                       const cb_git_oid *tree);
void cb_audit_log_clear(cb_audit_log *log);

/*
 * Appends a file.  CB_NOT_FOUND without text where the tree has none;
 * otherwise as cb_git_blob_read.
 */
CB_NODISCARD cb_status cb_audit_log_read(cb_audit_log *log, const char *path,
                                         size_t size_max, cb_buffer *content,
                                         cb_error *reterr_error);

/* The tile that the tree of `size` leaves has at this level and index. */
cb_tile cb_audit_tile(bool is_entries, uint8_t level, uint64_t index,
                      uint64_t size);

/* Reads it; `ret_path` is filled in also where it is absent. */
CB_NODISCARD cb_status cb_audit_log_tile(cb_audit_log *log, const cb_tile *tile,
                                         char ret_path[CB_TILE_PATH_BYTES],
                                         cb_buffer *content,
                                         cb_error *reterr_error);

/* Number of hashes of a tile in the tree of `size` leaves. */
size_t cb_audit_tile_width(uint8_t level, uint64_t index, uint64_t size);

#endif
