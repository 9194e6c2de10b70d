/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk below power_cut_vfs.h: files and names, as they are now and as they
 * are without power, and what was changed in between.
 */
#ifndef CASEBOUND_TESTS_POWER_CUT_DISK_H
#define CASEBOUND_TESTS_POWER_CUT_DISK_H

#include "fault/power_cut_vfs.h"

#include <stddef.h>

#define SECTOR_BYTES 512
#define PATH_BYTES   256
#define REGIONS_MAX  64

/* A write of some bytes; without bytes, the file's new size. */
struct change {
    uint8_t *bytes;
    size_t size;
    size_t offset;
};

struct content {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};

struct node {
    struct node *next;
    struct content now;
    struct content durable;
    struct change *changes;
    size_t change_count;
    size_t change_capacity;
    int handles;
    void *regions[REGIONS_MAX]; /* of the log's index */
};

/* NULL as a node: the name was removed. */
struct name {
    char path[PATH_BYTES];
    struct node *node;
};

struct names {
    struct name *names;
    size_t count;
};

struct disk {
    struct node *nodes;
    struct names now;
    struct names durable;
    struct names changes; /* since the last sync, oldest first */
    uint64_t operations;
    uint64_t cut_at;
    bool dead;
    bool lies;
};

/* The one disk. */
extern struct disk disk;

/* realloc that aborts where there is no memory. */
void *grow(void *memory, size_t size);

struct node *disk_create_node(void);
struct name *disk_find_name(const struct names *names, const char *path);

/* NULL as a node removes the name. */
void disk_change_name(const char *path, struct node *node);

/* A write, or without bytes a change of size; not durable. */
void disk_change(struct node *node, const void *bytes, size_t size,
                 size_t offset);

void disk_sync_names(size_t count);
void disk_sync_node(struct node *node);

/* False where there is no power, or from this very operation on. */
bool disk_operate(void);

void disk_clear(void);

#endif
