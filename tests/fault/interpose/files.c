/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that change files: recorded, and made to fail. */
#include "fault/interpose/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What follows calls under the name `real`. */
#define REAL(result, name, ...)                          \
    static result (*real)(__VA_ARGS__);                  \
    if (real == NULL) {                                  \
        *(void **)(void *)&real = interpose_real(#name); \
    }

/* ------------------------------------------------------- making and opening */

static bool is_there(const char *path)
{
    const int saved = errno;
    struct stat state;
    const bool there = lstat(path, &state) == 0;
    errno = saved;
    return there;
}

/* What an open that has succeeded did. */
static void note_open(int file, const char *path, bool was_there, int flags)
{
    struct stat state;
    const int saved = errno;
    if (file >= 0 && fstat(file, &state) == 0 && S_ISREG(state.st_mode)) {
        if (!was_there) {
            interpose_record(OPLOG_CREATE, state.st_ino, state.st_mode & 07777,
                             path, "", NULL, 0);
        } else if ((flags & O_TRUNC) != 0) {
            interpose_record(OPLOG_TRUNCATE, state.st_ino, 0, path, "", NULL,
                             0);
        }
    }
    errno = saved;
}

static int open_below(int folder, const char *name, int flags, mode_t mode)
{
    char path[INTERPOSE_PATH_BYTES];
    REAL(int, openat, int, const char *, int, ...)
    const bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    if (!changes || !interpose_path(folder, name, path)) {
        return real(folder, name, flags, mode);
    }
    const bool was_there = is_there(path);
    const int fate = was_there && (flags & O_TRUNC) == 0
                         ? 0
                         : interpose_fate(INTERPOSE_GROWS);
    if (fate != 0) {
        errno = fate;
        return -1;
    }
    const int file = real(folder, name, flags, mode);
    note_open(file, path, was_there, flags);
    return file;
}

#define TAKE_MODE(flags, mode)            \
    mode_t mode = 0;                      \
    if (((flags)&O_CREAT) != 0) {         \
        va_list arguments;                \
        va_start(arguments, flags);       \
        mode = va_arg(arguments, mode_t); \
        va_end(arguments);                \
    }

int open(const char *name, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_below(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_below(AT_FDCWD, name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_below(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_below(folder, name, flags, mode);
}

int creat(const char *name, mode_t mode)
{
    return open_below(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* ---------------------------------------------------------------- writing */

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
    if (!interpose_file(file, path, &state)) {
        return real(file, bytes, size, offset);
    }
    const int fate = interpose_write_fate(&size);
    if (fate != 0) {
        errno = fate;
        return -1;
    }
    const ssize_t put = real(file, bytes, size, offset);
    if (put > 0) {
        interpose_record(OPLOG_WRITE, state.st_ino, (uint64_t)offset, path, "",
                         bytes, (size_t)put);
    }
    return put;
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset)
{
    return pwrite(file, bytes, size, offset);
}

static uint64_t place_before(int file, ssize_t put)
{
    const int saved = errno;
    const off_t place = lseek(file, 0, SEEK_CUR);
    errno = saved;
    return (uint64_t)(place - put);
}

ssize_t write(int file, const void *bytes, size_t size)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    REAL(ssize_t, write, int, const void *, size_t)
    if (!interpose_file(file, path, &state)) {
        return real(file, bytes, size);
    }
    const int fate = interpose_write_fate(&size);
    if (fate != 0) {
        errno = fate;
        return -1;
    }
    const ssize_t put = real(file, bytes, size);
    if (put > 0) {
        interpose_record(OPLOG_WRITE, state.st_ino, place_before(file, put),
                         path, "", bytes, (size_t)put);
    }
    return put;
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    REAL(ssize_t, writev, int, const struct iovec *, int)
    if (count <= 0 || !interpose_file(file, path, &state)) {
        return real(file, parts, count);
    }
    /* As many as one write would take: whoever calls this must go on. */
    return write(file, parts[0].iov_base, parts[0].iov_len);
}

static int resize(int file, off_t size, int (*real)(int, off_t))
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    if (!interpose_file(file, path, &state)) {
        return real(file, size);
    }
    const int fate = interpose_fate(size > state.st_size ? INTERPOSE_GROWS
                                                         : INTERPOSE_SHRINKS);
    if (fate != 0) {
        errno = fate;
        return -1;
    }
    const int code = real(file, size);
    if (code == 0) {
        interpose_record(OPLOG_TRUNCATE, state.st_ino, (uint64_t)size, path, "",
                         NULL, 0);
    }
    return code;
}

int ftruncate(int file, off_t size)
{
    REAL(int, ftruncate, int, off_t)
    return resize(file, size, real);
}

int ftruncate64(int file, off64_t size)
{
    REAL(int, ftruncate, int, off_t)
    return resize(file, size, real);
}

/* Debian's SQLite falls back on writing; nothing else asks for it. */
int posix_fallocate(int file, off_t offset, off_t size)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    REAL(int, posix_fallocate, int, off_t, off_t)
    return interpose_file(file, path, &state) ? EOPNOTSUPP
                                              : real(file, offset, size);
}

int posix_fallocate64(int file, off64_t offset, off64_t size)
{
    return posix_fallocate(file, offset, size);
}

static int flush(int file, int (*real)(int))
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    if (!interpose_file(file, path, &state)) {
        return real(file);
    }
    const int fate = interpose_fate(INTERPOSE_FLUSHES);
    if (fate != 0) {
        interpose_record(OPLOG_SYNC_FAILED, state.st_ino, 0, path, "", NULL, 0);
        errno = fate;
        return -1;
    }
    const int code = real(file);
    if (code == 0) {
        interpose_record(S_ISDIR(state.st_mode) ? OPLOG_SYNC_FOLDER
                                                : OPLOG_SYNC,
                         state.st_ino, 0, path, "", NULL, 0);
    }
    return code;
}

int fsync(int file)
{
    REAL(int, fsync, int)
    return flush(file, real);
}

int fdatasync(int file)
{
    REAL(int, fdatasync, int)
    return flush(file, real);
}

int fchmod(int file, mode_t mode)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    REAL(int, fchmod, int, mode_t)
    const int code = real(file, mode);
    if (code == 0 && interpose_file(file, path, &state)) {
        interpose_record(OPLOG_MODE, state.st_ino, mode & 07777, path, "", NULL,
                         0);
    }
    return code;
}

int chmod(const char *name, mode_t mode)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    REAL(int, chmod, const char *, mode_t)
    const int code = real(name, mode);
    if (code == 0 && interpose_path(AT_FDCWD, name, path) &&
        lstat(path, &state) == 0) {
        interpose_record(OPLOG_MODE, state.st_ino, mode & 07777, path, "", NULL,
                         0);
    }
    return code;
}
