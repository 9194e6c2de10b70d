/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAME_START      "casebound-text-"
#define LABEL_NAME      "about"
#define LABEL_BYTES_MAX 512
#define NAME_MAX_BYTES  256

/* As in linux/magic.h, which not every libc brings. */
#define MAGIC_TMPFS 0x01021994
#define MAGIC_RAMFS 0x858458f6

/* S_ISVTX, which POSIX has only as an option: who may write into the folder
 * may not rename what is ours. */
#define MODE_STICKY 01000

/* What an editor makes of folders in its home; deeper ones stay, and are told.
 */
#define DEPTH_MAX 12

static bool is_memory(int descriptor)
{
    struct statfs facts;
    return fstatfs(descriptor, &facts) == 0 &&
           ((unsigned long)facts.f_type == MAGIC_TMPFS ||
            (unsigned long)facts.f_type == MAGIC_RAMFS);
}

/* A descriptor of the folder where it is memory and safe to make things in: its
 * owner is this user or root, and nobody else may move what is ours. */
static int open_base(const char *path)
{
    struct stat facts;
    if (path == NULL || path[0] != '/') {
        return -1;
    }
    int base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base < 0) {
        return -1;
    }
    if (fstat(base, &facts) != 0 || !is_memory(base) ||
        (facts.st_uid != geteuid() && facts.st_uid != 0) ||
        ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
         (facts.st_mode & MODE_STICKY) == 0)) {
        (void)close(base);
        return -1;
    }
    return base;
}

/* The folder of that name where it is ours alone. */
static int open_folder(int base, const char *name)
{
    struct stat facts;
    /* Without O_CLOEXEC: the editor keeps the lock, too. */
    int folder = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (folder < 0) {
        return -1;
    }
    if (fstat(folder, &facts) != 0 || facts.st_uid != geteuid() ||
        (facts.st_mode & 0777) != 0700 || !is_memory(folder)) {
        (void)close(folder);
        return -1;
    }
    return folder;
}

/* False where somebody works in it, or has taken it away. */
static bool lock_folder(int folder)
{
    struct stat facts;
    return flock(folder, LOCK_EX | LOCK_NB) == 0 &&
           fstat(folder, &facts) == 0 && facts.st_nlink > 0;
}

static cb_status refuse_folder(cb_error *error)
{
    cb_error_set(error, CB_PERMISSION,
                 "there is no place in memory for an editor's file: neither "
                 "XDG_RUNTIME_DIR nor /dev/shm is one");
    cb_error_meaning(error, "nothing was recorded, and nothing was written to "
                            "a disk");
    cb_error_next(error, "give the text as FIELD=- and type it in, ended with "
                         "Ctrl-D");
    return CB_PERMISSION;
}

static bool make_below(const char *base_path, cb_cli_scratch *scratch)
{
    int base = open_base(base_path);
    if (base < 0) {
        return false;
    }
    int size = snprintf(scratch->path, sizeof scratch->path,
                        "%s/" NAME_START "XXXXXX", base_path);
    scratch->folder = -1;
    if (size > 0 && (size_t)size < sizeof scratch->path &&
        mkdtemp(scratch->path) != NULL) {
        scratch->folder = open_folder(base, strrchr(scratch->path, '/') + 1);
        if (scratch->folder < 0 || !lock_folder(scratch->folder)) {
            cb_cli_scratch_close(scratch);
            (void)rmdir(scratch->path);
        }
    }
    (void)close(base);
    return scratch->folder >= 0;
}

cb_status cb_cli_scratch_make(const cb_cli_world *world, const char *label,
                              cb_cli_scratch *ret_scratch,
                              cb_error *reterr_error)
{
    cb_cli_scratch scratch = { .folder = -1 };
    bool made = false;
    for (size_t i = 0; i < CB_CLI_MEMORY_FOLDERS && !made; i++) {
        made = make_below(world->memory_folders[i], &scratch);
    }
    if (!made) {
        return refuse_folder(reterr_error);
    }
    cb_status status = cb_cli_scratch_write(
        &scratch, LABEL_NAME, cb_span_of_text(label), reterr_error);
    if (status != CB_OK) {
        (void)cb_cli_scratch_wipe(&scratch);
        return status;
    }
    *ret_scratch = scratch;
    return CB_OK;
}

static bool has_label(const cb_cli_scratch *scratch, const char *label)
{
    cb_buffer text;
    cb_buffer_init(&text, LABEL_BYTES_MAX);
    bool is_same =
        cb_cli_scratch_read(scratch, LABEL_NAME, &text, NULL) == CB_OK &&
        strcmp(cb_buffer_text(&text), label) == 0;
    cb_buffer_clear(&text);
    return is_same;
}

static bool find_below(const char *base_path, const char *label,
                       cb_cli_scratch *scratch)
{
    int base = open_base(base_path);
    DIR *listing = base < 0 ? NULL : fdopendir(base);
    struct dirent *row = NULL;
    bool found = false;
    if (listing == NULL && base >= 0) {
        (void)close(base);
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the listing is ours alone. */
    while (!found && listing != NULL && (row = readdir(listing)) != NULL) {
        if (strncmp(row->d_name, NAME_START, sizeof NAME_START - 1) != 0) {
            continue;
        }
        int size = snprintf(scratch->path, sizeof scratch->path, "%s/%s",
                            base_path, row->d_name);
        scratch->folder = size > 0 && (size_t)size < sizeof scratch->path
                              ? open_folder(dirfd(listing), row->d_name)
                              : -1;
        /* Locked last: one that is being made has no label yet. */
        found = scratch->folder >= 0 && has_label(scratch, label) &&
                lock_folder(scratch->folder);
        if (!found) {
            cb_cli_scratch_close(scratch);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    return found;
}

bool cb_cli_scratch_find(const cb_cli_world *world, const char *label,
                         cb_cli_scratch *ret_scratch)
{
    cb_cli_scratch scratch = { .folder = -1 };
    for (size_t i = 0; i < CB_CLI_MEMORY_FOLDERS; i++) {
        if (find_below(world->memory_folders[i], label, &scratch)) {
            *ret_scratch = scratch;
            return true;
        }
    }
    return false;
}

static cb_status file_error(cb_error *error, const cb_cli_scratch *scratch,
                            const char *name, int number)
{
    if (number == ENOSPC || number == EDQUOT) {
        return cb_error_set(error, CB_NO_SPACE,
                            "there is no room in memory for '%s/%s'",
                            scratch->path, name);
    }
    return cb_error_set(error, CB_IO, "cannot use '%s/%s': error %d",
                        scratch->path, name, number);
}

cb_status cb_cli_scratch_write(const cb_cli_scratch *scratch, const char *name,
                               cb_span content, cb_error *reterr_error)
{
    size_t done = 0;
    (void)unlinkat(scratch->folder, name, 0);
    int file =
        openat(scratch->folder, name,
               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int number = file < 0 ? errno : 0;
    while (number == 0 && done < content.size) {
        ssize_t put = write(file, content.bytes + done, content.size - done);
        if (put < 0 && errno != EINTR) {
            number = errno;
        }
        done += put > 0 ? (size_t)put : 0;
    }
    if (file >= 0 && close(file) != 0 && number == 0) {
        number = errno;
    }
    return number == 0 ? CB_OK
                       : file_error(reterr_error, scratch, name, number);
}

static cb_status read_file(int file, cb_buffer *content)
{
    uint8_t block[4096];
    for (;;) {
        ssize_t got = read(file, block, sizeof block);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return CB_IO;
        }
        if (got == 0) {
            return CB_OK;
        }
        cb_buffer_append(content, block, (size_t)got);
        if (content->failure != CB_OK) {
            return content->failure;
        }
    }
}

cb_status cb_cli_scratch_read(const cb_cli_scratch *scratch, const char *name,
                              cb_buffer *content, cb_error *reterr_error)
{
    struct stat facts;
    int file = openat(scratch->folder, name,
                      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0 && errno == ENOENT) {
        return CB_NOT_FOUND;
    }
    if (file < 0 && errno != ELOOP) {
        return file_error(reterr_error, scratch, name, errno);
    }
    cb_status status = CB_OK;
    if (file < 0 || fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) ||
        !is_memory(file)) {
        status = cb_error_set(reterr_error, CB_INPUT,
                              "'%s/%s' is no plain file in memory any more",
                              scratch->path, name);
        cb_error_meaning(reterr_error, "nothing was recorded");
    } else {
        status = read_file(file, content);
        if (status == CB_IO) {
            status = file_error(reterr_error, scratch, name, errno);
        }
    }
    if (file >= 0) {
        (void)close(file);
    }
    return status;
}

void cb_cli_scratch_close(cb_cli_scratch *scratch)
{
    if (scratch->folder >= 0) {
        (void)close(scratch->folder);
        scratch->folder = -1;
    }
}

static void overwrite(int folder, const char *name)
{
    static const uint8_t zeros[4096];
    struct stat facts;
    int file =
        openat(folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        return;
    }
    if (fstat(file, &facts) == 0 && S_ISREG(facts.st_mode)) {
        off_t left = facts.st_size;
        while (left > 0) {
            size_t size =
                left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros;
            ssize_t put = write(file, zeros, size);
            left = put > 0 ? left - put : 0;
        }
    }
    (void)close(file);
}

/*
 * Takes away what is in the folder that `listings` ends with, folder by folder;
 * the depth is bounded, and no step follows a link.
 */
static bool empty_folder(int folder)
{
    DIR *listings[DEPTH_MAX] = { NULL };
    char names[DEPTH_MAX][NAME_MAX_BYTES];
    size_t depth = 1;
    bool is_empty = true;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    listings[0] = copy < 0 ? NULL : fdopendir(copy);
    if (listings[0] == NULL) {
        return false;
    }
    while (depth > 0) {
        DIR *listing = listings[depth - 1];
        int at = dirfd(listing);
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): the listing is ours alone. */
        const struct dirent *row = readdir(listing);
        if (row == NULL) {
            (void)closedir(listing);
            depth--;
            if (depth > 0 && unlinkat(dirfd(listings[depth - 1]), names[depth],
                                      AT_REMOVEDIR) != 0) {
                is_empty = false;
            }
            continue;
        }
        if (strcmp(row->d_name, ".") == 0 || strcmp(row->d_name, "..") == 0) {
            continue;
        }
        int below = openat(at, row->d_name,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0) {
            overwrite(at, row->d_name);
            is_empty = unlinkat(at, row->d_name, 0) == 0 && is_empty;
        } else if (depth == DEPTH_MAX ||
                   (listings[depth] = fdopendir(below)) == NULL) {
            (void)close(below);
            is_empty = false;
        } else {
            (void)snprintf(names[depth], sizeof names[depth], "%s",
                           row->d_name);
            depth++;
        }
    }
    return is_empty;
}

bool cb_cli_scratch_wipe(cb_cli_scratch *scratch)
{
    if (scratch->folder < 0) {
        return true;
    }
    bool is_empty = empty_folder(scratch->folder);
    cb_cli_scratch_close(scratch);
    return is_empty && rmdir(scratch->path) == 0;
}
