/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/environment.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/holder.h"
#include "base/memory.h"

#define PATH_BYTES_MAX 4096

static int64_t system_now_ms(void *context)
{
    (void)context;
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void system_random(void *context, void *bytes, size_t size)
{
    (void)context;
    randombytes_buf(bytes, size);
}

/* Turns errno into a status and says which path it was. */
static cb_status path_error(cb_error *error, const char *action,
                            const char *path, int number)
{
    static const struct {
        int number;
        cb_status status;
        const char *words;
    } rows[] = {
        { ENOENT, CB_NOT_FOUND, "there is no such file or folder" },
        { EEXIST, CB_EXISTS, "it is there already" },
        { EACCES, CB_PERMISSION, "permission denied" },
        { EPERM, CB_PERMISSION, "not permitted" },
        { EROFS, CB_PERMISSION, "the file system is read-only" },
        { ELOOP, CB_PERMISSION, "it is a link" },
        { ENOSPC, CB_NO_SPACE, "the disk is full" },
        { EDQUOT, CB_NO_SPACE, "the disk quota is used up" },
        { ENOMEM, CB_NO_MEMORY, "out of memory" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == number) {
            return cb_error_set(error, rows[i].status, "cannot %s '%s': %s",
                                action, path, rows[i].words);
        }
    }
    return cb_error_set(error, CB_IO, "cannot %s '%s': error %d", action, path,
                        number);
}

static cb_status read_all(int file, const char *path, cb_buffer *content,
                          cb_error *error)
{
    struct stat facts;
    if (fstat(file, &facts) != 0) {
        return path_error(error, "read", path, errno);
    }
    if (!S_ISREG(facts.st_mode)) {
        return cb_error_set(error, CB_IO,
                            "cannot read '%s': it is not a regular file", path);
    }
    uint8_t chunk[8192];
    for (;;) {
        ssize_t got = read(file, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return path_error(error, "read", path, errno);
        }
        if (got == 0) {
            return cb_buffer_check(content, error);
        }
        cb_buffer_append(content, chunk, (size_t)got);
        if (content->failure != CB_OK) {
            return cb_error_set(error, content->failure,
                                "cannot read '%s': it is larger than the "
                                "limit of %zu bytes",
                                path, content->size_max);
        }
    }
}

static cb_status system_read_file(void *context, const char *path,
                                  cb_buffer *content, cb_error *reterr_error)
{
    (void)context;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? CB_NOT_FOUND
                   : path_error(reterr_error, "read", path, errno);
    }
    cb_status status = read_all(file, path, content, reterr_error);
    (void)close(file);
    return status;
}

static cb_status write_all(int file, cb_span content)
{
    size_t done = 0;
    while (done < content.size) {
        ssize_t put = write(file, content.bytes + done, content.size - done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return CB_IO;
        }
        done += (size_t)put;
    }
    return fsync(file) == 0 ? CB_OK : CB_IO;
}

static cb_status parent_of(const char *path, char *parent, size_t size,
                           cb_error *error)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    if (length == 0) {
        memcpy(parent, ".", 2);
        return CB_OK;
    }
    if (length + 1 > size) {
        return cb_error_set(error, CB_LIMIT, "the path '%.80s...' is too long",
                            path);
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    return CB_OK;
}

static cb_status flush_parent(const char *path, cb_error *error)
{
    char parent[PATH_BYTES_MAX];
    cb_status status = parent_of(path, parent, sizeof parent, error);
    if (status != CB_OK) {
        return status;
    }
    int folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return path_error(error, "flush folder", parent, errno);
    }
    int number = fsync(folder) == 0 ? 0 : errno;
    (void)close(folder);
    return number == 0 ? CB_OK
                       : path_error(error, "flush folder", parent, number);
}

static cb_status system_replace_file(void *context, const char *path,
                                     cb_span content, cb_error *reterr_error)
{
    (void)context;
    const char *name = NULL;
    int file = -1;
    int number = 0;
    cb_buffer temporary;
    cb_buffer_init(&temporary, PATH_BYTES_MAX);
    cb_buffer_append_format(&temporary, "%s.new", path);
    cb_status status = cb_buffer_check(&temporary, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    name = cb_buffer_text(&temporary);
    (void)unlink(name);
    file =
        open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        status = path_error(reterr_error, "write", path, errno);
        goto out;
    }
    number = write_all(file, content) == CB_OK ? 0 : errno;
    if (close(file) != 0 && number == 0) {
        number = errno;
    }
    if (number == 0 && rename(name, path) != 0) {
        number = errno;
    }
    if (number != 0) {
        (void)unlink(name);
        status = path_error(reterr_error, "write", path, number);
        goto out;
    }
    status = flush_parent(path, reterr_error);
out:
    cb_buffer_clear(&temporary);
    return status;
}

static int mark_all(int file, uint64_t offset, cb_span content, bool flush)
{
    size_t done = 0;
    while (done < content.size) {
        ssize_t put = pwrite(file, content.bytes + done, content.size - done,
                             (off_t)(offset + done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put == 0 ? EIO : errno;
        }
        done += (size_t)put;
    }
    return !flush || fdatasync(file) == 0 ? 0 : errno;
}

static cb_status system_mark_file(void *context, const char *path,
                                  uint64_t offset, cb_span content, bool flush,
                                  cb_error *reterr_error)
{
    (void)context;
    struct stat facts;
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? CB_NOT_FOUND
                   : path_error(reterr_error, "write", path, errno);
    }
    cb_status status = CB_OK;
    if (fstat(file, &facts) != 0) {
        status = path_error(reterr_error, "write", path, errno);
    } else if (!S_ISREG(facts.st_mode)) {
        status =
            cb_error_set(reterr_error, CB_IO,
                         "cannot write '%s': it is not a regular file", path);
    } else if (facts.st_size < 0 ||
               (uint64_t)facts.st_size < offset + content.size) {
        status = CB_NOT_FOUND;
    } else {
        int number = mark_all(file, offset, content, flush);
        status = number == 0 ? CB_OK
                             : path_error(reterr_error, "write", path, number);
    }
    (void)close(file);
    return status;
}

static cb_status system_make_folder(void *context, const char *path,
                                    cb_error *reterr_error)
{
    (void)context;
    if (mkdir(path, 0700) != 0) {
        return path_error(reterr_error, "make folder", path, errno);
    }
    return flush_parent(path, reterr_error);
}

static cb_status system_remove_file(void *context, const char *path,
                                    cb_error *reterr_error)
{
    (void)context;
    if (unlink(path) != 0 && errno != ENOENT) {
        return path_error(reterr_error, "remove", path, errno);
    }
    return CB_OK;
}

static cb_status system_look_at(void *context, const char *path,
                                cb_file_facts *ret_facts,
                                cb_error *reterr_error)
{
    (void)context;
    struct stat facts;
    struct statvfs disk;
    if (lstat(path, &facts) != 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? CB_NOT_FOUND
                   : path_error(reterr_error, "look at", path, errno);
    }
    *ret_facts = (cb_file_facts){
        .kind = S_ISREG(facts.st_mode)   ? CB_FILE_REGULAR
                : S_ISDIR(facts.st_mode) ? CB_FILE_FOLDER
                : S_ISLNK(facts.st_mode) ? CB_FILE_LINK
                                         : CB_FILE_OTHER,
        .permissions = (unsigned)facts.st_mode & 0777U,
        .size = (uint64_t)facts.st_size,
    };
    /* Through a link this would tell of another disk. */
    if (ret_facts->kind != CB_FILE_LINK && statvfs(path, &disk) == 0) {
        ret_facts->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    }
    return CB_OK;
}

static cb_status system_list_folder(void *context, const char *path,
                                    cb_name_callback callback,
                                    void *callback_context,
                                    cb_error *reterr_error)
{
    (void)context;
    cb_status status = CB_OK;
    struct dirent *row = NULL;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return path_error(reterr_error, "list", path, errno);
    }
    do {
        errno = 0;
        row = readdir(folder);
        if (row == NULL && errno != 0) {
            status = path_error(reterr_error, "list", path, errno);
        } else if (row != NULL && strcmp(row->d_name, ".") != 0 &&
                   strcmp(row->d_name, "..") != 0) {
            status = callback(callback_context, row->d_name, reterr_error);
        }
    } while (row != NULL && status == CB_OK);
    (void)closedir(folder);
    return status;
}

static cb_status system_move_file(void *context, const char *from,
                                  const char *to, cb_error *reterr_error)
{
    (void)context;
    if (rename(from, to) != 0) {
        return path_error(reterr_error, "rename", from, errno);
    }
    cb_status status = flush_parent(to, reterr_error);
    return status == CB_OK ? flush_parent(from, reterr_error) : status;
}

static const cb_environment system_environment = {
    .now_ms = system_now_ms,
    .random = system_random,
    .read_file = system_read_file,
    .replace_file = system_replace_file,
    .mark_file = system_mark_file,
    .make_folder = system_make_folder,
    .remove_file = system_remove_file,
    .move_file = system_move_file,
    .find_memory = cb_system_find_memory,
    .find_holder = cb_system_find_holder,
    .look_at = system_look_at,
    .list_folder = system_list_folder,
};

const cb_environment *cb_environment_system(void)
{
    return &system_environment;
}
