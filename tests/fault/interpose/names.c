/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that change names, maps that are written through, and what is said
 * by way of the C library's own buffers. */
#include "fault/interpose/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REAL(result, name, ...)                          \
    static result (*real)(__VA_ARGS__);                  \
    if (real == NULL) {                                  \
        *(void **)(void *)&real = interpose_real(#name); \
    }

static uint64_t inode_of(const char *path)
{
    struct stat state;
    const int saved = errno;
    const bool found = lstat(path, &state) == 0;
    errno = saved;
    return found ? state.st_ino : 0;
}

/* -1 with errno where the call at hand is to fail. */
static int ask(interpose_need need)
{
    const int fate = interpose_fate(need);
    if (fate == 0) {
        return 0;
    }
    errno = fate;
    return -1;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    char path[INTERPOSE_PATH_BYTES];
    char other[INTERPOSE_PATH_BYTES];
    REAL(int, renameat, int, const char *, int, const char *)
    if (!interpose_path(from_folder, from, path) ||
        !interpose_path(to_folder, to, other)) {
        return real(from_folder, from, to_folder, to);
    }
    if (ask(INTERPOSE_GROWS) != 0) {
        return -1;
    }
    const int code = real(from_folder, from, to_folder, to);
    if (code == 0) {
        interpose_record(OPLOG_RENAME, inode_of(other), 0, path, other, NULL,
                         0);
    }
    return code;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int link(const char *from, const char *to)
{
    char path[INTERPOSE_PATH_BYTES];
    REAL(int, link, const char *, const char *)
    if (!interpose_path(AT_FDCWD, to, path)) {
        return real(from, to);
    }
    if (ask(INTERPOSE_GROWS) != 0) {
        return -1;
    }
    const int code = real(from, to);
    if (code == 0) {
        interpose_record(OPLOG_LINK, inode_of(path), 0, path, "", NULL, 0);
    }
    return code;
}

int unlinkat(int folder, const char *name, int flags)
{
    char path[INTERPOSE_PATH_BYTES];
    REAL(int, unlinkat, int, const char *, int)
    if (!interpose_path(folder, name, path)) {
        return real(folder, name, flags);
    }
    if (ask(INTERPOSE_SHRINKS) != 0) {
        return -1;
    }
    const int code = real(folder, name, flags);
    if (code == 0) {
        interpose_record((flags & AT_REMOVEDIR) != 0 ? OPLOG_RMDIR
                                                     : OPLOG_UNLINK,
                         0, 0, path, "", NULL, 0);
    }
    return code;
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int mkdirat(int folder, const char *name, mode_t mode)
{
    char path[INTERPOSE_PATH_BYTES];
    REAL(int, mkdirat, int, const char *, mode_t)
    if (!interpose_path(folder, name, path)) {
        return real(folder, name, mode);
    }
    if (ask(INTERPOSE_GROWS) != 0) {
        return -1;
    }
    const int code = real(folder, name, mode);
    if (code == 0) {
        interpose_record(OPLOG_MKDIR, 0, mode & 07777, path, "", NULL, 0);
    }
    return code;
}

int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}

char *mkdtemp(char *template)
{
    char path[INTERPOSE_PATH_BYTES];
    REAL(char *, mkdtemp, char *)
    char *made = real(template);
    if (made != NULL && interpose_path(AT_FDCWD, made, path)) {
        interpose_record(OPLOG_MKDIR, 0, 0700, path, "", NULL, 0);
    }
    return made;
}

int symlink(const char *target, const char *name)
{
    char path[INTERPOSE_PATH_BYTES];
    REAL(int, symlink, const char *, const char *)
    if (!interpose_path(AT_FDCWD, name, path)) {
        return real(target, name);
    }
    if (ask(INTERPOSE_GROWS) != 0) {
        return -1;
    }
    const int code = real(target, name);
    if (code == 0) {
        interpose_record(OPLOG_SYMLINK, 0, 0, path, target, NULL, 0);
    }
    return code;
}

/* --------------------------------------------------- maps, written through */

#define MAPS_MAX 64

/* libgit2 writes packs this way, from one thread. */
static struct {
    unsigned char *start;
    size_t size;
    uint64_t inode;
    uint64_t offset;
    char path[INTERPOSE_PATH_BYTES];
} maps[MAPS_MAX];

static void *map(void *place, size_t size, int protection, int flags, int file,
                 off_t offset)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    REAL(void *, mmap, void *, size_t, int, int, int, off_t)
    if ((flags & MAP_ANONYMOUS) != 0) {
        /* libsodium's guarded memory and what Argon2 works in. */
        return interpose_denies_memory()
                   ? MAP_FAILED
                   : real(place, size, protection, flags, file, offset);
    }
    void *start = real(place, size, protection, flags, file, offset);
    if (start == MAP_FAILED || (flags & MAP_SHARED) == 0 ||
        (protection & PROT_WRITE) == 0 || !interpose_file(file, path, &state)) {
        return start;
    }
    for (size_t i = 0; i < MAPS_MAX; i++) {
        if (maps[i].start == NULL) {
            maps[i].start = start;
            maps[i].size = size;
            maps[i].inode = state.st_ino;
            maps[i].offset = (uint64_t)offset;
            memcpy(maps[i].path, path, sizeof path);
            return start;
        }
    }
    return start;
}

void *mmap(void *place, size_t size, int protection, int flags, int file,
           off_t offset)
{
    return map(place, size, protection, flags, file, offset);
}

void *mmap64(void *place, size_t size, int protection, int flags, int file,
             off64_t offset)
{
    return map(place, size, protection, flags, file, offset);
}

int munmap(void *place, size_t size)
{
    REAL(int, munmap, void *, size_t)
    for (size_t i = 0; i < MAPS_MAX && interpose_is_armed(); i++) {
        if (maps[i].start != NULL && maps[i].start == place) {
            interpose_record(OPLOG_WRITE, maps[i].inode, maps[i].offset,
                             maps[i].path, "", place, maps[i].size);
            maps[i].start = NULL;
        }
    }
    return real(place, size);
}

/* ------------------------------------------------------ the C library's own */

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream)
{
    REAL(size_t, fwrite, const void *, size_t, size_t, FILE *)
    /* Before it is out: nobody may say more than is so. */
    if (interpose_is_armed() && (stream == stdout || stream == stderr)) {
        interpose_record(OPLOG_SAID, 0, 0, "", "", bytes, size * count);
    }
    return real(bytes, size, count, stream);
}

static FILE *open_stream(const char *name, const char *mode,
                         FILE *(*real)(const char *, const char *))
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    if (mode[0] == 'r' || !interpose_path(AT_FDCWD, name, path)) {
        return real(name, mode);
    }
    const bool was_there = inode_of(path) != 0;
    FILE *stream = ask(INTERPOSE_GROWS) == 0 ? real(name, mode) : NULL;
    if (stream != NULL && fstat(fileno(stream), &state) == 0 &&
        (!was_there || mode[0] == 'w')) {
        interpose_record(was_there ? OPLOG_TRUNCATE : OPLOG_CREATE,
                         state.st_ino,
                         was_there ? 0 : (uint64_t)(state.st_mode & 07777),
                         path, "", NULL, 0);
    }
    return stream;
}

FILE *fopen(const char *name, const char *mode)
{
    REAL(FILE *, fopen, const char *, const char *)
    return open_stream(name, mode, real);
}

FILE *fopen64(const char *name, const char *mode)
{
    REAL(FILE *, fopen, const char *, const char *)
    return open_stream(name, mode, real);
}

/*
 * What goes out of a buffer goes past our write, so the whole file is noted,
 * and before anybody flushes it to the disk: what is noted later counts as not
 * flushed.
 */
int fflush(FILE *stream)
{
    char path[INTERPOSE_PATH_BYTES];
    struct stat state;
    static unsigned char content[1 << 20];
    REAL(int, fflush, FILE *)
    const bool pending = stream != NULL && __fpending(stream) > 0;
    const int code = real(stream);
    if (code == 0 && pending && interpose_file(fileno(stream), path, &state) &&
        S_ISREG(state.st_mode)) {
        int again = open(path, O_RDONLY | O_CLOEXEC);
        const ssize_t size = read(again, content, sizeof content);
        (void)close(again);
        if (size > 0) {
            interpose_record(OPLOG_WRITE, state.st_ino, 0, path, "", content,
                             (size_t)size);
        }
    }
    return code;
}

int fclose(FILE *stream)
{
    REAL(int, fclose, FILE *)
    (void)fflush(stream);
    return real(stream);
}
