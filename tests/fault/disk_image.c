/* SPDX-License-Identifier: Apache-2.0 */
/* One of the states that a power cut may leave. */
#include "fault/disk_internal.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OFF_S 3600

struct disk_image {
    disk_model *disk;
    disk_names names;
    disk_content *changed; /* by inode; bytes NULL and size 0: as certain */
    bool *is_changed;
};

static void change_inode(disk_image *image, const disk_promise *held,
                         disk_choice choice)
{
    disk_content *content = &image->changed[held->inode];
    if (!image->is_changed[held->inode]) {
        const disk_content *certain = &image->disk->inodes[held->inode].content;
        *content = *certain;
        content->bytes = disk_memory(NULL, certain->size);
        if (certain->size > 0) {
            memcpy(content->bytes, certain->bytes, certain->size);
        }
        image->is_changed[held->inode] = true;
    }
    disk_change(content, held->record, choice);
}

static int compare_names(const void *a, const void *b)
{
    const disk_name *left = a;
    const disk_name *right = b;
    return strcmp(left->path, right->path);
}

/* A name whose folder was lost cannot be reached. */
static void drop_unreachable(disk_image *image)
{
    disk_names kept = { .all = NULL };
    const size_t root_size = strlen(image->disk->root);
    for (size_t i = 0; i < image->names.count; i++) {
        char *folder = disk_text(image->names.all[i].path,
                                 strlen(image->names.all[i].path));
        *strrchr(folder, '/') = '\0';
        const size_t above =
            strlen(folder) <= root_size ? 0 : disk_find_name(&kept, folder);
        if (above != SIZE_MAX) {
            disk_put_name(&kept, image->names.all[i].path,
                          image->names.all[i].inode);
        }
        free(folder);
    }
    free(image->names.all);
    image->names = kept;
}

disk_image *disk_image_make(disk_model *disk, const disk_choice *choices)
{
    disk_image *image = disk_memory(NULL, sizeof *image);
    *image = (disk_image){ .disk = disk };
    image->changed =
        disk_memory(NULL, disk->inode_count * sizeof *image->changed);
    image->is_changed = disk_memory(NULL, disk->inode_count);
    memset(image->is_changed, 0, disk->inode_count);
    for (size_t i = 0; i < disk->names.count; i++) {
        disk_put_name(&image->names, disk->names.all[i].path,
                      disk->names.all[i].inode);
    }
    for (size_t i = 0; i < disk->promise_count; i++) {
        const disk_promise *held = &disk->promises[i];
        if (choices[i] == 0 || held->is_lost) {
            continue;
        }
        if (!held->is_name) {
            change_inode(image, held, choices[i]);
            continue;
        }
        if (held->is_folder_move) {
            disk_move_names(disk, &image->names, held->record->path,
                            held->record->other);
        }
        if (held->taken != NULL) {
            disk_remove_name(&image->names, held->taken);
        }
        if (held->put != NULL) {
            disk_put_name(&image->names, held->put, held->inode);
        }
    }
    qsort(image->names.all, image->names.count, sizeof *image->names.all,
          compare_names);
    drop_unreachable(image);
    return image;
}

void disk_image_destroy(disk_image *image)
{
    for (size_t i = 0; i < image->disk->inode_count; i++) {
        if (image->is_changed[i]) {
            free(image->changed[i].bytes);
        }
    }
    free(image->changed);
    free(image->is_changed);
    free(image->names.all);
    free(image);
}

static const disk_content *content_of(const disk_image *image, size_t inode)
{
    return image->is_changed[inode] ? &image->changed[inode]
                                    : &image->disk->inodes[inode].content;
}

void disk_image_hash(const disk_image *image, const char *one,
                     const char *other, unsigned char hash[32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, 32);
    for (size_t i = 0; i < image->names.count; i++) {
        const disk_name *name = &image->names.all[i];
        const disk_content *content = content_of(image, name->inode);
        if (one != NULL && strstr(name->path, one) == NULL &&
            strstr(name->path, other) == NULL) {
            continue;
        }
        crypto_generichash_update(&state, (const unsigned char *)name->path,
                                  strlen(name->path) + 1);
        crypto_generichash_update(&state, (const unsigned char *)&content->size,
                                  sizeof content->size);
        if (content->size > 0) {
            crypto_generichash_update(&state, content->bytes, content->size);
        }
    }
    crypto_generichash_final(&state, hash, 32);
}

static void write_file(const char *path, const disk_content *content)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t done = 0;
    while (file >= 0 && done < content->size) {
        const ssize_t put =
            write(file, content->bytes + done, content->size - done);
        if (put <= 0) {
            disk_stop("cannot write", path);
        }
        done += (size_t)put;
    }
    /* The machine was off for a while: what is old may be cleared away. */
    const struct timespec before[] = { { .tv_sec = time(NULL) - OFF_S },
                                       { .tv_sec = time(NULL) - OFF_S } };
    if (file < 0 || fchmod(file, content->mode) != 0 ||
        futimens(file, before) != 0 || close(file) != 0) {
        disk_stop("cannot make", path);
    }
}

void disk_image_write(const disk_image *image, const char *root)
{
    char path[1024];
    if (mkdir(root, 0700) != 0) {
        disk_stop("cannot make", root);
    }
    for (size_t i = 0; i < image->names.count; i++) {
        const disk_name *name = &image->names.all[i];
        const disk_content *content = content_of(image, name->inode);
        const disk_kind kind = image->disk->inodes[name->inode].kind;
        (void)snprintf(path, sizeof path, "%s%s", root,
                       name->path + strlen(image->disk->root));
        int code = 0;
        if (kind == DISK_FOLDER) {
            code = mkdir(path, 0700);
        } else if (kind == DISK_SYMLINK) {
            char *target = disk_text(content->bytes, content->size);
            code = symlink(target, path);
            free(target);
        } else {
            write_file(path, content);
        }
        if (code != 0) {
            disk_stop("cannot make", path);
        }
    }
}

const unsigned char *disk_image_file(const disk_image *image, const char *path,
                                     size_t *ret_size)
{
    const size_t found = disk_find_name(&image->names, path);
    if (found == SIZE_MAX ||
        image->disk->inodes[image->names.all[found].inode].kind != DISK_FILE) {
        return NULL;
    }
    const disk_content *content =
        content_of(image, image->names.all[found].inode);
    *ret_size = content->size;
    return content->bytes == NULL ? (const unsigned char *)"" : content->bytes;
}

const char *disk_image_name(const disk_image *image, size_t number)
{
    return number < image->names.count ? image->names.all[number].path : NULL;
}
