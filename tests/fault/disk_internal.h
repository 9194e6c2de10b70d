/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASEBOUND_TESTS_DISK_INTERNAL_H
#define CASEBOUND_TESTS_DISK_INTERNAL_H

#include "fault/disk.h"

typedef enum disk_kind {
    DISK_FILE,
    DISK_FOLDER,
    DISK_SYMLINK
} disk_kind;

typedef struct disk_content {
    unsigned char *bytes;
    size_t size;
    unsigned mode;
} disk_content;

typedef struct disk_inode {
    uint64_t number;
    disk_kind kind;
    disk_content content;
} disk_inode;

typedef struct disk_name {
    const char *path; /* kept by the disk */
    size_t inode;
} disk_name;

typedef struct disk_names {
    disk_name *all;
    size_t count;
    size_t room;
} disk_names;

/* Either of a file's content, or of names: one taken away, one put there. */
typedef struct disk_promise {
    const disk_record *record;
    size_t inode;
    bool is_name;
    bool is_lost;        /* a sync of it failed */
    bool is_folder_move; /* and takes along what is in it */
    const char *taken;   /* or NULL */
    const char *put;     /* or NULL */
} disk_promise;

struct disk {
    const char *root;
    disk_inode *inodes;
    size_t inode_count;
    size_t inode_room;
    disk_names names;
    char **texts;
    size_t text_count;
    size_t text_room;
    disk_promise *promises;
    size_t promise_count;
    size_t promise_room;
};

_Noreturn void disk_stop(const char *what, const char *subject);
void *disk_memory(void *block, size_t size);
char *disk_text(const void *bytes, size_t size);
unsigned char *disk_read(const char *path, size_t *ret_size);
const char *disk_keep(disk_model *disk, const char *text);
size_t disk_new_inode(disk_model *disk, uint64_t number, disk_kind kind,
                      unsigned mode);
size_t disk_find_inode(const disk_model *disk, uint64_t number);
size_t disk_find_name(const disk_names *names, const char *path);
void disk_remove_name(disk_names *names, const char *path);
void disk_put_name(disk_names *names, const char *path, size_t inode);
void disk_move_names(disk_model *disk, disk_names *names, const char *from,
                     const char *to);
/* A write, a new size or new permissions, of which any sectors may be missing.
 */
void disk_change(disk_content *content, const disk_record *record,
                 disk_choice choice);

#endif
