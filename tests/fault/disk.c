/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/disk.h"

#include "fault/disk_internal.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void disk_stop(const char *what, const char *subject)
{
    (void)fprintf(stderr, "fault: %s '%s'\n", what, subject);
    exit(2);
}

void *disk_memory(void *block, size_t size)
{
    void *fresh = realloc(block, size == 0 ? 1 : size);
    if (fresh == NULL) {
        disk_stop("no memory for", "the model");
    }
    return fresh;
}

char *disk_text(const void *bytes, size_t size)
{
    char *text = disk_memory(NULL, size + 1);
    memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

unsigned char *disk_read(const char *path, size_t *ret_size)
{
    struct stat state;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &state) != 0) {
        disk_stop("cannot read", path);
    }
    unsigned char *bytes = disk_memory(NULL, (size_t)state.st_size + 1);
    *ret_size = fread(bytes, 1, (size_t)state.st_size, file);
    (void)fclose(file);
    return bytes;
}

/* -------------------------------------------------------------------- log */

void disk_log_read(const char *path, disk_log *log)
{
    size_t size = 0;
    size_t place = 0;
    size_t room = 0;
    *log = (disk_log){ .bytes = disk_read(path, &size) };
    while (place + sizeof(oplog_head) <= size) {
        disk_record record;
        memcpy(&record.head, log->bytes + place, sizeof record.head);
        if (record.head.size < sizeof record.head ||
            record.head.size > size - place) {
            disk_stop("this is no log:", path);
        }
        const unsigned char *texts = log->bytes + place + sizeof record.head;
        record.path = disk_text(texts, record.head.path_bytes);
        record.other =
            disk_text(texts + record.head.path_bytes, record.head.other_bytes);
        record.data =
            log->bytes + place + record.head.size - record.head.data_bytes;
        if (log->count == room) {
            room = room * 2 + 64;
            log->records =
                disk_memory(log->records, room * sizeof *log->records);
        }
        log->records[log->count++] = record;
        place += record.head.size;
    }
}

void disk_log_clear(disk_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->records[i].path);
        free(log->records[i].other);
    }
    free(log->records);
    free(log->bytes);
    *log = (disk_log){ .bytes = NULL };
}

/* ------------------------------------------------------ what is certain now */

size_t disk_new_inode(disk_model *disk, uint64_t number, disk_kind kind,
                      unsigned mode)
{
    if (disk->inode_count == disk->inode_room) {
        disk->inode_room = disk->inode_room * 2 + 64;
        disk->inodes =
            disk_memory(disk->inodes, disk->inode_room * sizeof *disk->inodes);
    }
    disk->inodes[disk->inode_count] =
        (disk_inode){ .number = number, .kind = kind, .content.mode = mode };
    return disk->inode_count++;
}

/* The newest with that number: numbers are used again. */
size_t disk_find_inode(const disk_model *disk, uint64_t number)
{
    for (size_t i = disk->inode_count; i > 0; i--) {
        if (disk->inodes[i - 1].number == number) {
            return i - 1;
        }
    }
    return SIZE_MAX;
}

size_t disk_find_name(const disk_names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->all[i].path, path) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

void disk_remove_name(disk_names *names, const char *path)
{
    const size_t found = disk_find_name(names, path);
    if (found != SIZE_MAX) {
        names->all[found] = names->all[--names->count];
    }
}

void disk_put_name(disk_names *names, const char *path, size_t inode)
{
    disk_remove_name(names, path);
    if (names->count == names->room) {
        names->room = names->room * 2 + 64;
        names->all = disk_memory(names->all, names->room * sizeof *names->all);
    }
    names->all[names->count++] = (disk_name){ .path = path, .inode = inode };
}

/* nftw has no context. */
static disk_model *the_disk;

static int load_one(const char *path, const struct stat *state, int type,
                    struct FTW *place)
{
    disk_model *disk = the_disk;
    (void)type;
    if (place->level == 0) {
        return 0;
    }
    disk_kind kind = S_ISDIR(state->st_mode)   ? DISK_FOLDER
                     : S_ISLNK(state->st_mode) ? DISK_SYMLINK
                                               : DISK_FILE;
    size_t inode =
        kind == DISK_FILE ? disk_find_inode(disk, state->st_ino) : SIZE_MAX;
    if (inode == SIZE_MAX) {
        inode =
            disk_new_inode(disk, state->st_ino, kind, state->st_mode & 07777);
        disk_content *content = &disk->inodes[inode].content;
        if (kind == DISK_FILE) {
            content->bytes = disk_read(path, &content->size);
        } else if (kind == DISK_SYMLINK) {
            content->bytes = disk_memory(NULL, (size_t)state->st_size + 1);
            const ssize_t size =
                readlink(path, (char *)content->bytes, (size_t)state->st_size);
            content->size = size < 0 ? 0 : (size_t)size;
        }
    }
    disk_put_name(&disk->names, disk_keep(disk, path), inode);
    return 0;
}

/* A text that lives as long as the disk. */
const char *disk_keep(disk_model *disk, const char *text)
{
    if (disk->text_count == disk->text_room) {
        disk->text_room = disk->text_room * 2 + 64;
        disk->texts =
            disk_memory(disk->texts, disk->text_room * sizeof *disk->texts);
    }
    disk->texts[disk->text_count] = disk_text(text, strlen(text));
    return disk->texts[disk->text_count++];
}

disk_model *disk_load(const char *root)
{
    disk_model *disk = disk_memory(NULL, sizeof *disk);
    memset(disk, 0, sizeof *disk);
    disk->root = disk_keep(disk, root);
    the_disk = disk;
    if (nftw(root, load_one, 32, FTW_PHYS) != 0) {
        disk_stop("cannot look through", root);
    }
    return disk;
}

disk_model *disk_copy(const disk_model *disk)
{
    disk_model *copy = disk_memory(NULL, sizeof *copy);
    memset(copy, 0, sizeof *copy);
    copy->root = disk->root;
    for (size_t i = 0; i < disk->inode_count; i++) {
        const disk_inode *inode = &disk->inodes[i];
        (void)disk_new_inode(copy, inode->number, inode->kind,
                             inode->content.mode);
        disk_content *content = &copy->inodes[i].content;
        content->size = inode->content.size;
        content->bytes = disk_memory(NULL, content->size);
        if (content->size > 0) {
            memcpy(content->bytes, inode->content.bytes, content->size);
        }
    }
    for (size_t i = 0; i < disk->names.count; i++) {
        disk_put_name(&copy->names, disk->names.all[i].path,
                      disk->names.all[i].inode);
    }
    return copy;
}

void disk_destroy(disk_model *disk)
{
    for (size_t i = 0; i < disk->inode_count; i++) {
        free(disk->inodes[i].content.bytes);
    }
    for (size_t i = 0; i < disk->text_count; i++) {
        free(disk->texts[i]);
    }
    free(disk->inodes);
    free(disk->names.all);
    free(disk->texts);
    free(disk->promises);
    free(disk);
}

uint64_t disk_random(uint64_t *state)
{
    uint64_t word = (*state += UINT64_C(0x9e3779b97f4a7c15));
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}
