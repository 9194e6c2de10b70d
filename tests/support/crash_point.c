/* SPDX-License-Identifier: Apache-2.0 */
#include "support/crash_point.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED 77

/* SQLite's hooks have no context; these belong to the child alone. */
static enum crash_point_kind the_kind;
static unsigned changes_left;
static bool reached;

/* Whether this change may happen. */
static bool may_change(void)
{
    if (changes_left > 1) {
        changes_left--;
        return true;
    }
    reached = true;
    if (the_kind == CRASH_POINT_KILL) {
        _exit(KILLED);
    }
    errno = ENOSPC;
    return false;
}

static ssize_t write_at(int file, const void *bytes, size_t size, off_t offset)
{
    return may_change() ? pwrite(file, bytes, size, offset) : -1;
}

static int truncate_file(int file, off_t size)
{
    return may_change() ? ftruncate(file, size) : -1;
}

static int remove_name(const char *path)
{
    if (the_kind == CRASH_POINT_KILL) {
        (void)may_change();
    }
    return unlink(path);
}

bool crash_point_run(enum crash_point_kind kind, unsigned point,
                     void (*action)(void *context), void *context)
{
    int status = 0;
    pid_t child = fork();
    if (child < 0) {
        abort();
    }
    if (child == 0) {
        sqlite3_vfs *base = NULL;
        the_kind = kind;
        changes_left = point;
        (void)sqlite3_initialize();
        base = sqlite3_vfs_find("unix-excl");
        base->xSetSystemCall(base, "pwrite", (sqlite3_syscall_ptr)write_at);
        base->xSetSystemCall(base, "pwrite64", (sqlite3_syscall_ptr)write_at);
        base->xSetSystemCall(base, "ftruncate",
                             (sqlite3_syscall_ptr)truncate_file);
        base->xSetSystemCall(base, "unlink", (sqlite3_syscall_ptr)remove_name);
        action(context);
        _exit(reached ? KILLED : 0);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
        (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != KILLED)) {
        abort();
    }
    return WEXITSTATUS(status) == 0;
}
