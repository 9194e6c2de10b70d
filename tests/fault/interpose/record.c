/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/interpose/interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* One process, one of each: libraries that are preloaded have no context. */
static oplog_control *control;
static int log_file = -1;
static char root[INTERPOSE_PATH_BYTES];
static size_t root_size;
static bool armed;

void *interpose_real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

bool interpose_is_armed(void)
{
    return armed;
}

oplog_control *interpose_control(void)
{
    return control;
}

/* Far from the numbers that programs count on. */
static int move_up(int file)
{
    const int high = (int)syscall(SYS_fcntl, file, F_DUPFD_CLOEXEC, 700);
    (void)syscall(SYS_close, file);
    return high;
}

void interpose_begin(void)
{
    const char *control_path = getenv(OPLOG_CONTROL_VARIABLE);
    const char *log_path = getenv(OPLOG_LOG_VARIABLE);
    const char *root_path = getenv(OPLOG_ROOT_VARIABLE);
    if (control_path == NULL || root_path == NULL) {
        return;
    }
    int file =
        (int)syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC, 0);
    void *map = (void *)syscall(SYS_mmap, NULL, sizeof *control,
                                PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || map == MAP_FAILED) {
        abort();
    }
    (void)syscall(SYS_close, file);
    control = map;
    root_size = strlen(root_path);
    if (root_size >= sizeof root) {
        abort();
    }
    memcpy(root, root_path, root_size + 1);
    if (log_path != NULL) {
        log_file = move_up((int)syscall(SYS_openat, AT_FDCWD, log_path,
                                        O_WRONLY | O_APPEND | O_CLOEXEC, 0));
    }
    int32_t nobody = 0;
    (void)atomic_compare_exchange_strong(&control->first_process, &nobody,
                                         (int32_t)getpid());
    armed = true;
}

void interpose_end(int exit_code)
{
    if (armed && control->first_process == (int32_t)getpid()) {
        interpose_record(OPLOG_EXIT, 0, (uint64_t)(unsigned)exit_code, "", "",
                         NULL, 0);
    }
    armed = false;
}

static bool is_below_root(const char *path)
{
    return strncmp(path, root, root_size) == 0 &&
           (path[root_size] == '/' || path[root_size] == '\0');
}

/* Where an open file or folder is; false where it has no name any more. */
static bool name_of(int file, char path[INTERPOSE_PATH_BYTES])
{
    char link[48];
    static const char gone[] = " (deleted)";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const long size =
        syscall(SYS_readlink, link, path, (size_t)INTERPOSE_PATH_BYTES - 1);
    if (size <= 0) {
        return false;
    }
    path[size] = '\0';
    return (size_t)size < sizeof gone ||
           strcmp(path + size - (sizeof gone - 1), gone) != 0;
}

bool interpose_path(int folder, const char *name,
                    char path[INTERPOSE_PATH_BYTES])
{
    char parent[INTERPOSE_PATH_BYTES];
    if (!armed || name == NULL || strlen(name) >= sizeof parent) {
        return false;
    }
    const int saved = errno;
    memcpy(parent, name, strlen(name) + 1);
    size_t size = strlen(parent);
    while (size > 1 && parent[size - 1] == '/') {
        parent[--size] = '\0';
    }
    char *slash = strrchr(parent, '/');
    const char *last = name;
    size_t last_size = size;
    if (slash != NULL) {
        last = name + (slash + 1 - parent);
        last_size = size - (size_t)(slash + 1 - parent);
        slash[slash == parent ? 1 : 0] = '\0';
    }
    bool found = false;
    int file = (int)syscall(SYS_openat, folder, slash == NULL ? "." : parent,
                            O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (file >= 0) {
        found = name_of(file, path);
        (void)syscall(SYS_close, file);
    }
    if (found) {
        size = strlen(path);
        found = size + last_size + 2 < INTERPOSE_PATH_BYTES;
    }
    if (found) {
        path[size] = '/';
        memcpy(path + size + 1, last, last_size);
        path[size + 1 + last_size] = '\0';
        found = is_below_root(path);
    }
    errno = saved;
    return found;
}

bool interpose_file(int file, char path[INTERPOSE_PATH_BYTES],
                    struct stat *state)
{
    if (!armed || file < 0) {
        return false;
    }
    const int saved = errno;
    const bool found = fstat(file, state) == 0 &&
                       (S_ISREG(state->st_mode) || S_ISDIR(state->st_mode)) &&
                       name_of(file, path) && is_below_root(path);
    errno = saved;
    return found;
}

void interpose_record(oplog_kind kind, uint64_t inode, uint64_t offset,
                      const char *path, const char *other, const void *data,
                      size_t size)
{
    if (log_file < 0) {
        return;
    }
    const int saved = errno;
    const oplog_head head = {
        .size = (uint32_t)(sizeof head + strlen(path) + strlen(other) + size),
        .kind = kind,
        .process = (int32_t)getpid(),
        .path_bytes = (uint32_t)strlen(path),
        .other_bytes = (uint32_t)strlen(other),
        .data_bytes = (uint32_t)size,
        .inode = inode,
        .offset = offset,
    };
    const struct iovec parts[] = {
        { .iov_base = (void *)(uintptr_t)&head, .iov_len = sizeof head },
        { .iov_base = (void *)(uintptr_t)path, .iov_len = head.path_bytes },
        { .iov_base = (void *)(uintptr_t)other, .iov_len = head.other_bytes },
        { .iov_base = (void *)(uintptr_t)data, .iov_len = size },
    };
    if (syscall(SYS_writev, log_file, parts, 4) != (long)head.size) {
        abort();
    }
    errno = saved;
}

/* Whether the call that is being counted is one that fails. */
static bool is_struck(void)
{
    const uint64_t number = atomic_fetch_add(&control->calls, 1) + 1;
    const bool struck =
        control->call_at != 0 &&
        (number == control->call_at ||
         (number > control->call_at && control->call_mode == OPLOG_FOREVER));
    return struck;
}

int interpose_fate(interpose_need need)
{
    if (!is_struck() || control->call_mode == OPLOG_SHORT ||
        (need == INTERPOSE_SHRINKS && control->call_errno == ENOSPC) ||
        control->call_errno == EINTR) {
        return 0;
    }
    atomic_fetch_add(&control->fired, 1);
    return control->call_errno;
}

int interpose_write_fate(size_t *size)
{
    if (!is_struck()) {
        return 0;
    }
    if (control->call_mode == OPLOG_SHORT) {
        if (*size > 1) {
            atomic_fetch_add(&control->fired, 1);
            *size /= 2;
        }
        return 0;
    }
    atomic_fetch_add(&control->fired, 1);
    return control->call_errno;
}
