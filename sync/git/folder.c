/* SPDX-License-Identifier: Apache-2.0 */
#include "git/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "git/internal.h"

enum {
    FOLDER_DEPTH_MAX = 16,
    NAME_TEXT_BYTES = 256,
};

/* One open folder of the walk; chosen: everything in it goes, then it too. */
typedef struct walk_level {
    DIR *folder;
    bool chosen;
    char name[NAME_TEXT_BYTES];
} walk_level;

static DIR *open_folder(int parent, const char *name)
{
    int fd =
        openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        (void)close(fd);
    }
    return folder;
}

static bool describe(int parent, const char *name, cb_folder_entry *ret_entry)
{
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return false;
    }
    *ret_entry = (cb_folder_entry){
        .name = name,
        .is_folder = S_ISDIR(status.st_mode),
        .age_s = (int64_t)time(NULL) - (int64_t)status.st_mtime,
    };
    return true;
}

/* Goes one folder down, or returns false where that is not possible. */
static bool descend(walk_level *levels, int *depth, int depth_max,
                    const char *name, bool chosen)
{
    if (*depth >= depth_max) {
        return false;
    }
    walk_level *next = &levels[*depth];
    next->folder = open_folder(dirfd(levels[*depth - 1].folder), name);
    if (!next->folder) {
        return false;
    }
    next->chosen = chosen;
    (void)snprintf(next->name, sizeof next->name, "%s", name);
    (*depth)++;
    return true;
}

static void ascend(walk_level *levels, int *depth)
{
    (*depth)--;
    walk_level *done = &levels[*depth];
    (void)closedir(done->folder);
    if (done->chosen && *depth > 0) {
        (void)unlinkat(dirfd(levels[*depth - 1].folder), done->name,
                       AT_REMOVEDIR);
    }
}

static void sweep(const char *path, int depth_max, bool all,
                  cb_folder_choice choose, const void *context)
{
    walk_level levels[FOLDER_DEPTH_MAX] = { 0 };
    int depth = 1;
    levels[0].folder = open_folder(AT_FDCWD, path);
    levels[0].chosen = all;
    if (!levels[0].folder) {
        return;
    }
    while (depth > 0) {
        walk_level *level = &levels[depth - 1];
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): a folder of our own. */
        const struct dirent *item = readdir(level->folder);
        if (!item) {
            ascend(levels, &depth);
            continue;
        }
        cb_folder_entry entry;
        int parent = dirfd(level->folder);
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 ||
            !describe(parent, item->d_name, &entry)) {
            continue;
        }
        bool chosen = level->chosen || choose(context, &entry);
        if (entry.is_folder) {
            int limit = chosen ? FOLDER_DEPTH_MAX : depth_max;
            (void)descend(levels, &depth, limit, item->d_name, chosen);
        } else if (chosen) {
            (void)unlinkat(parent, item->d_name, 0);
        }
    }
}

void cb_folder_sweep(const char *path, int depth_max, cb_folder_choice choose,
                     const void *context)
{
    int limit = depth_max < FOLDER_DEPTH_MAX ? depth_max : FOLDER_DEPTH_MAX;
    sweep(path, limit, false, choose, context);
}

static bool choose_all(const void *context, const cb_folder_entry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

void cb_folder_remove(const char *path)
{
    sweep(path, FOLDER_DEPTH_MAX, true, choose_all, NULL);
    (void)rmdir(path);
}

cb_status cb_folder_flush(const char *path, cb_error *reterr_error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return cb_git_fail_errno(reterr_error, errno, "open '%s'", path);
    }
    int failed = fsync(fd) != 0 ? errno : 0;
    (void)close(fd);
    if (failed) {
        return cb_git_fail_errno(reterr_error, failed, "flush '%s'", path);
    }
    return CB_OK;
}
