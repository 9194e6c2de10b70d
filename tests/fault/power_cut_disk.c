/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/power_cut_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct disk disk;

void *grow(void *memory, size_t size)
{
    void *grown = realloc(memory, size);
    if (grown == NULL) {
        fprintf(stderr, "power_cut: out of memory\n");
        abort();
    }
    return grown;
}

static void content_resize(struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size * 2;
        content->bytes = grow(content->bytes, content->capacity);
    }
    if (size > content->size) {
        memset(content->bytes + content->size, 0, size - content->size);
    }
    content->size = size;
}

static void content_write(struct content *content, const uint8_t *bytes,
                          size_t size, size_t offset)
{
    if (offset + size > content->size) {
        content_resize(content, offset + size);
    }
    memcpy(content->bytes + offset, bytes, size);
}

static void content_copy(struct content *content, const struct content *from)
{
    content_resize(content, 0);
    if (from->size > 0) {
        content_write(content, from->bytes, from->size, 0);
    }
}

static void apply(struct content *content, const struct change *change)
{
    if (change->bytes == NULL) {
        content_resize(content, change->size);
    } else {
        content_write(content, change->bytes, change->size, change->offset);
    }
}

static void forget_changes(struct node *node)
{
    for (size_t i = 0; i < node->change_count; i++) {
        free(node->changes[i].bytes);
    }
    node->change_count = 0;
}

void disk_change(struct node *node, const void *bytes, size_t size,
                 size_t offset)
{
    struct change change = { .size = size, .offset = offset };
    if (bytes != NULL) {
        change.bytes = grow(NULL, size > 0 ? size : 1);
        memcpy(change.bytes, bytes, size);
    }
    if (node->change_count == node->change_capacity) {
        node->change_capacity = node->change_capacity * 2 + 16;
        node->changes =
            grow(node->changes, node->change_capacity * sizeof(change));
    }
    node->changes[node->change_count++] = change;
    apply(&node->now, &change);
}

struct name *disk_find_name(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i].path, path) == 0) {
            return &names->names[i];
        }
    }
    return NULL;
}

static void append_name(struct names *names, const char *path,
                        struct node *node)
{
    names->names =
        grow(names->names, (names->count + 1) * sizeof(*names->names));
    struct name *name = &names->names[names->count++];
    snprintf(name->path, sizeof name->path, "%s", path);
    name->node = node;
}

static void set_name(struct names *names, const char *path, struct node *node)
{
    struct name *name = disk_find_name(names, path);
    if (name != NULL) {
        *name = names->names[--names->count];
    }
    if (node != NULL) {
        append_name(names, path, node);
    }
}

void disk_change_name(const char *path, struct node *node)
{
    append_name(&disk.changes, path, node);
    set_name(&disk.now, path, node);
}

void disk_sync_names(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        set_name(&disk.durable, disk.changes.names[i].path,
                 disk.changes.names[i].node);
    }
    disk.changes.count = 0;
}

struct node *disk_create_node(void)
{
    struct node *node = grow(NULL, sizeof(*node));
    memset(node, 0, sizeof(*node));
    node->next = disk.nodes;
    disk.nodes = node;
    return node;
}

static void destroy_node(struct node *node)
{
    forget_changes(node);
    for (size_t i = 0; i < REGIONS_MAX; i++) {
        free(node->regions[i]);
    }
    free(node->changes);
    free(node->now.bytes);
    free(node->durable.bytes);
    free(node);
}

bool disk_operate(void)
{
    disk.operations++;
    if (disk.operations == disk.cut_at) {
        disk.dead = true;
    }
    return !disk.dead;
}

void disk_sync_node(struct node *node)
{
    forget_changes(node);
    content_copy(&node->durable, &node->now);
}

void disk_clear(void)
{
    while (disk.nodes != NULL) {
        struct node *node = disk.nodes;
        disk.nodes = node->next;
        destroy_node(node);
    }
    free(disk.now.names);
    free(disk.durable.names);
    free(disk.changes.names);
    memset(&disk, 0, sizeof disk);
}

/* The oldest changes, and a part of the next one. */
static void survive_prefix(struct node *node, struct dice *dice)
{
    size_t whole = (size_t)roll(dice, node->change_count + 1);
    for (size_t i = 0; i < whole; i++) {
        apply(&node->durable, &node->changes[i]);
    }
    if (whole < node->change_count && node->changes[whole].bytes != NULL) {
        struct change torn = node->changes[whole];
        torn.size =
            (size_t)roll(dice, torn.size / SECTOR_BYTES + 1) * SECTOR_BYTES;
        apply(&node->durable, &torn);
    }
}

/* Sectors, in any combination. */
static void survive_subset(struct node *node, struct dice *dice)
{
    uint64_t sides = 2 + roll(dice, 5);
    bool mostly = roll(dice, 2) == 0;
    for (size_t i = 0; i < node->change_count; i++) {
        const struct change *change = &node->changes[i];
        if (change->bytes == NULL) {
            if ((roll(dice, sides) == 0) != mostly) {
                apply(&node->durable, change);
            }
            continue;
        }
        for (size_t done = 0; done < change->size;) {
            size_t at = change->offset + done;
            size_t piece = SECTOR_BYTES - at % SECTOR_BYTES;
            if (piece > change->size - done) {
                piece = change->size - done;
            }
            if ((roll(dice, sides) == 0) != mostly) {
                content_write(&node->durable, change->bytes + done, piece, at);
            }
            done += piece;
        }
    }
}

/* Changes as a whole, in any combination: what a late one is without those
   before it. */
static void survive_reordered(struct node *node, struct dice *dice)
{
    for (size_t i = 0; i < node->change_count; i++) {
        if (roll(dice, 2) == 0) {
            apply(&node->durable, &node->changes[i]);
        }
    }
}

static void survive(struct node *node, struct dice *dice)
{
    switch (roll(dice, 6)) {
    case 0: break;
    case 1: content_copy(&node->durable, &node->now); break;
    case 2: survive_prefix(node, dice); break;
    case 3: survive_reordered(node, dice); break;
    default: survive_subset(node, dice); break;
    }
    forget_changes(node);
    content_copy(&node->now, &node->durable);
}

static bool is_named(const struct node *node)
{
    bool named = false;
    for (size_t i = 0; i < disk.durable.count && !named; i++) {
        named = disk.durable.names[i].node == node;
    }
    return named;
}

void power_cut_restore(struct dice *dice)
{
    size_t names = (size_t)roll(dice, disk.changes.count + 1);
    disk_sync_names(names);
    struct node **link = &disk.nodes;
    while (*link != NULL) {
        struct node *node = *link;
        if (node->handles != 0) {
            fprintf(stderr, "power_cut: a file is still open\n");
            abort();
        }
        if (is_named(node)) {
            survive(node, dice);
            link = &node->next;
        } else {
            *link = node->next;
            destroy_node(node);
        }
    }
    disk.now.count = 0;
    for (size_t i = 0; i < disk.durable.count; i++) {
        append_name(&disk.now, disk.durable.names[i].path,
                    disk.durable.names[i].node);
    }
    disk.dead = false;
    disk.cut_at = 0;
}

void power_cut_arm(uint64_t operations)
{
    disk.cut_at = operations == 0 ? 0 : disk.operations + operations;
}

bool power_cut_happened(void)
{
    return disk.dead;
}

uint64_t power_cut_operations(void)
{
    return disk.operations;
}

void power_cut_lie(bool lies)
{
    disk.lies = lies;
}
