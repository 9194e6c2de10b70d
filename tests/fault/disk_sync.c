/* SPDX-License-Identifier: Apache-2.0 */
/* How promises come to be, and how they become certain. */
#include "fault/disk_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void disk_change(disk_content *content, const disk_record *record,
                 disk_choice choice)
{
    const size_t offset = record->head.offset;
    size_t end = offset;
    if (record->head.kind == OPLOG_MODE) {
        content->mode = (unsigned)offset;
        return;
    }
    if (record->head.kind == OPLOG_WRITE) {
        end = offset + record->head.data_bytes;
    }
    if (end > content->size) {
        content->bytes = disk_memory(content->bytes, end);
        memset(content->bytes + content->size, 0, end - content->size);
        content->size = end;
    } else if (record->head.kind == OPLOG_TRUNCATE) {
        content->size = end;
    }
    for (size_t i = offset; i < end;) {
        size_t next = (i / DISK_SECTOR_BYTES + 1) * DISK_SECTOR_BYTES;
        next = next > end ? end : next;
        uint64_t mix = choice ^ (i / DISK_SECTOR_BYTES);
        if (choice == 1 || (disk_random(&mix) & 1) != 0) {
            memcpy(content->bytes + i, record->data + (i - offset), next - i);
        }
        i = next;
    }
}

static disk_promise *promise(disk_model *disk, const disk_record *record,
                             size_t inode)
{
    if (disk->promise_count == disk->promise_room) {
        disk->promise_room = disk->promise_room * 2 + 64;
        disk->promises = disk_memory(
            disk->promises, disk->promise_room * sizeof *disk->promises);
    }
    disk_promise *fresh = &disk->promises[disk->promise_count++];
    *fresh = (disk_promise){ .record = record, .inode = inode };
    return fresh;
}

static disk_promise *promise_name(disk_model *disk, const disk_record *record,
                                  size_t inode, const char *taken,
                                  const char *put)
{
    disk_promise *fresh = promise(disk, record, inode);
    fresh->is_name = true;
    fresh->taken = taken;
    fresh->put = put;
    return fresh;
}

static void forget(disk_model *disk, size_t number)
{
    memmove(disk->promises + number, disk->promises + number + 1,
            (disk->promise_count - number - 1) * sizeof *disk->promises);
    disk->promise_count--;
}

static bool is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What was promised earlier about this name holds no more. */
static void overrule(disk_model *disk, size_t number, const char *path)
{
    for (size_t i = 0; i < number; i++) {
        disk_promise *earlier = &disk->promises[i];
        if (is_same(earlier->taken, path)) {
            earlier->taken = NULL;
        }
        if (is_same(earlier->put, path)) {
            earlier->put = NULL;
        }
    }
}

/* What is in a folder moves along with it; NULL where it is not in there. */
static const char *moved(disk_model *disk, const char *path, const char *from,
                         const char *to)
{
    char text[1024];
    const size_t size = strlen(from);
    if (path == NULL || strncmp(path, from, size) != 0 || path[size] != '/') {
        return NULL;
    }
    (void)snprintf(text, sizeof text, "%s%s", to, path + size);
    return disk_keep(disk, text);
}

void disk_move_names(disk_model *disk, disk_names *names, const char *from,
                     const char *to)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *fresh = moved(disk, names->all[i].path, from, to);
        if (fresh != NULL) {
            names->all[i].path = fresh;
        }
    }
}

/* What was promised before in a folder that has moved for certain. */
static void move_promises(disk_model *disk, size_t number,
                          const disk_promise *kept)
{
    for (size_t i = 0; i < number; i++) {
        disk_promise *earlier = &disk->promises[i];
        const char *taken = moved(disk, earlier->taken, kept->record->path,
                                  kept->record->other);
        const char *put =
            moved(disk, earlier->put, kept->record->path, kept->record->other);
        earlier->taken = taken == NULL ? earlier->taken : taken;
        earlier->put = put == NULL ? earlier->put : put;
    }
}

static void make_certain(disk_model *disk, size_t number)
{
    const disk_promise kept = disk->promises[number];
    if (!kept.is_name) {
        if (!kept.is_lost) {
            disk_change(&disk->inodes[kept.inode].content, kept.record, 1);
        }
        forget(disk, number);
        return;
    }
    if (kept.is_folder_move) {
        move_promises(disk, number, &kept);
    }
    if (kept.is_folder_move) {
        disk_move_names(disk, &disk->names, kept.record->path,
                        kept.record->other);
    }
    if (kept.taken != NULL) {
        overrule(disk, number, kept.taken);
        disk_remove_name(&disk->names, kept.taken);
    }
    if (kept.put != NULL) {
        overrule(disk, number, kept.put);
        disk_put_name(&disk->names, kept.put, kept.inode);
    }
    forget(disk, number);
}

static bool lies_in(const char *path, const char *folder)
{
    if (path == NULL) {
        return false;
    }
    const size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && path[size] == '/' &&
           strchr(path + size + 1, '/') == NULL;
}

static bool lies_above(const char *folder, const char *path)
{
    const size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 &&
           (path[size] == '/' || path[size] == '\0');
}

/* Rules 1 to 3 of disk.h. */
static void sync_all(disk_model *disk, const disk_record *record)
{
    const bool is_folder = record->head.kind == OPLOG_SYNC_FOLDER;
    const size_t inode =
        is_folder ? SIZE_MAX : disk_find_inode(disk, record->head.inode);
    for (size_t i = 0; i < disk->promise_count;) {
        const disk_promise *held = &disk->promises[i];
        const bool removes = held->is_name && held->put == NULL;
        const bool holds_it = held->put != NULL &&
                              held->record->head.kind == OPLOG_MKDIR &&
                              lies_above(held->put, record->path);
        const bool is_of_it =
            held->is_name ? is_folder && (lies_in(held->taken, record->path) ||
                                          lies_in(held->put, record->path))
                          : !is_folder && held->inode == inode;
        if (removes || holds_it || is_of_it) {
            make_certain(disk, i);
        } else {
            i++;
        }
    }
}

static size_t inode_of_name(const disk_model *disk, const char *path)
{
    for (size_t i = disk->promise_count; i > 0; i--) {
        const disk_promise *held = &disk->promises[i - 1];
        if (is_same(held->put, path)) {
            return held->inode;
        }
        if (is_same(held->taken, path)) {
            return SIZE_MAX;
        }
    }
    const size_t found = disk_find_name(&disk->names, path);
    return found == SIZE_MAX ? SIZE_MAX : disk->names.all[found].inode;
}

static void lose(disk_model *disk, uint64_t number)
{
    const size_t inode = disk_find_inode(disk, number);
    for (size_t i = 0; i < disk->promise_count; i++) {
        if (!disk->promises[i].is_name && disk->promises[i].inode == inode) {
            disk->promises[i].is_lost = true;
        }
    }
}

static void rename_path(disk_model *disk, const disk_record *record)
{
    const size_t inode = inode_of_name(disk, record->path);
    if (inode == SIZE_MAX) {
        disk_stop("nobody knows what was renamed:", record->path);
    }
    disk_promise *fresh =
        promise_name(disk, record, inode, record->path, record->other);
    fresh->is_folder_move = disk->inodes[inode].kind == DISK_FOLDER;
}

void disk_apply(disk_model *disk, const disk_record *record)
{
    size_t inode = 0;
    switch ((oplog_kind)record->head.kind) {
    case OPLOG_CREATE:
        inode = disk_new_inode(disk, record->head.inode, DISK_FILE,
                               (unsigned)record->head.offset);
        promise_name(disk, record, inode, NULL, record->path);
        break;
    case OPLOG_WRITE:
    case OPLOG_TRUNCATE:
    case OPLOG_MODE:
        inode = disk_find_inode(disk, record->head.inode);
        if (inode != SIZE_MAX) {
            promise(disk, record, inode);
        }
        break;
    case OPLOG_RENAME: rename_path(disk, record); break;
    case OPLOG_LINK:
        inode = disk_find_inode(disk, record->head.inode);
        promise_name(disk, record, inode, NULL, record->path);
        break;
    case OPLOG_UNLINK:
    case OPLOG_RMDIR:
        promise_name(disk, record, SIZE_MAX, record->path, NULL);
        break;
    case OPLOG_MKDIR:
        inode = disk_new_inode(disk, 0, DISK_FOLDER, 0700);
        promise_name(disk, record, inode, NULL, record->path);
        break;
    case OPLOG_SYMLINK:
        inode = disk_new_inode(disk, 0, DISK_SYMLINK, 0777);
        disk->inodes[inode].content.bytes =
            (unsigned char *)disk_text(record->other, strlen(record->other));
        disk->inodes[inode].content.size = strlen(record->other);
        promise_name(disk, record, inode, NULL, record->path);
        break;
    case OPLOG_SYNC:
    case OPLOG_SYNC_FOLDER: sync_all(disk, record); break;
    case OPLOG_SYNC_FAILED: lose(disk, record->head.inode); break;
    case OPLOG_SAID:
    case OPLOG_EXIT:
    default: break;
    }
}

size_t disk_promises(const disk_model *disk)
{
    return disk->promise_count;
}

size_t disk_last_write(const disk_model *disk)
{
    for (size_t i = disk->promise_count; i > 0; i--) {
        if (disk->promises[i - 1].record->head.kind == OPLOG_WRITE) {
            return i - 1;
        }
    }
    return SIZE_MAX;
}

bool disk_promise_is_name(const disk_model *disk, size_t number)
{
    return disk->promises[number].is_name;
}

bool disk_promise_is_below(const disk_model *disk, size_t number,
                           const char *part)
{
    return strstr(disk->promises[number].record->path, part) != NULL;
}
