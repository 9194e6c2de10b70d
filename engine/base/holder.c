/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX gives up all of a process's locks on a file as soon as it closes any
 * descriptor of it, so asking about a file that this process has open must not
 * open it once more: the descriptor that is there is borrowed for the question.
 */
#include "base/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS_MAX      65536
#define COMMAND_LINE_BYTES   512
#define DESCRIPTORS_AT_LEAST 1024

/* A descriptor of this process on that very file, or -1. */
static int borrow_descriptor(const struct stat *wanted)
{
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0) {
        limit = DESCRIPTORS_AT_LEAST;
    }
    for (int i = 0; i < limit && i < DESCRIPTORS_MAX; i++) {
        struct stat facts;
        if (fstat(i, &facts) == 0 && facts.st_dev == wanted->st_dev &&
            facts.st_ino == wanted->st_ino) {
            return i;
        }
    }
    return -1;
}

/* True where another process's lock is in the way of one of that kind. */
static bool ask(int descriptor, int kind, int64_t start, int64_t size,
                int64_t *ret_process)
{
    struct flock lock = { .l_type = (short)kind,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)start,
                          .l_len = (off_t)size };
    if (fcntl(descriptor, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
        return false;
    }
    /* 0 for a process of another namespace, negative for a lock of an open
     * file or of another machine. */
    *ret_process = lock.l_pid > 0 ? (int64_t)lock.l_pid : 0;
    return true;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static bool is_plain(const char *text, const char *characters)
{
    return text[0] != '\0' && text[0] != '-' &&
           text[strspn(text, characters)] == '\0';
}

/*
 * The process's own words about itself, which may be anything: only a plain
 * name is taken over, and of its arguments the first alone.
 */
static void name_program(int64_t process, char *program)
{
    char path[64];
    char line[COMMAND_LINE_BYTES + 1];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/cmdline", process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, line, sizeof line - 1);
    if (file >= 0) {
        (void)close(file);
    }
    if (size <= 0) {
        return;
    }
    line[size] = '\0';
    const char *slash = strrchr(line, '/');
    const char *name = slash == NULL ? line : slash + 1;
    const char *word = line + strlen(line) + 1;
    if (!is_plain(name, LETTERS "0123456789._-")) {
        return;
    }
    bool has_word = word < line + size && is_plain(word, LETTERS "-");
    (void)snprintf(program, CB_HOLDER_PROGRAM_BYTES, "%.40s%s%.20s", name,
                   has_word ? " " : "", has_word ? word : "");
}

cb_status cb_system_find_holder(void *context, const char *path, int64_t start,
                                int64_t size, cb_holder *ret_holder)
{
    (void)context;
    struct stat facts;
    cb_holder holder = { 0 };
    if (stat(path, &facts) != 0) {
        return CB_NOT_FOUND;
    }
    int borrowed = borrow_descriptor(&facts);
    int file = borrowed >= 0 ? borrowed
                             : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    /* A reader's lock is only in the way of a writer's. */
    bool found =
        file >= 0 && (ask(file, F_RDLCK, start, size, &holder.process) ||
                      ask(file, F_WRLCK, start, size, &holder.process));
    if (file >= 0 && borrowed < 0) {
        (void)close(file);
    }
    if (!found) {
        return CB_NOT_FOUND;
    }
    if (holder.process > 0) {
        name_program(holder.process, holder.program);
    }
    *ret_holder = holder;
    return CB_OK;
}
