/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four things bound the memory that a process can get: what the machine has
 * left, the control group it runs in (and those above that), and its own limits
 * on address space and data.  The least of them counts.  A control group does
 * not refuse memory, it kills who takes it, which is why this has to be asked
 * beforehand.
 */
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TEXT_BYTES 16384
#define PATH_BYTES 4096
#define UNKNOWN    UINT64_MAX

/* The two versions of control groups: where, and what their files are called.
 */
static const struct flavour {
    const char *mark; /* in /proc/self/cgroup, before the group's path */
    const char *root;
    const char *limit;
    const char *usage;
    const char *cache; /* line of memory.stat: can be had back at once */
    const char *swap_limit;
    const char *swap_usage;
} flavours[] = {
    { "0::", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file ",
      "memory.swap.max", "memory.swap.current" },
    { ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
      "memory.usage_in_bytes", "total_inactive_file ", NULL, NULL },
};

static bool read_text(const char *path, char text[TEXT_BYTES])
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t got = 0;
    if (file < 0) {
        return false;
    }
    do {
        got = read(file, text + size, TEXT_BYTES - 1 - size);
        size += got > 0 ? (size_t)got : 0;
    } while (size < TEXT_BYTES - 1 && (got > 0 || (got < 0 && errno == EINTR)));
    (void)close(file);
    text[size] = '\0';
    return size > 0;
}

/* The number behind a label at the start of a line; "max" is no number. */
static uint64_t number_after(const char *text, const char *label)
{
    const char *place = text;
    size_t size = strlen(label);
    while (strncmp(place, label, size) != 0) {
        place = strchr(place, '\n');
        if (place == NULL) {
            return UNKNOWN;
        }
        place++;
    }
    char *end = NULL;
    place += size;
    uint64_t number = strtoumax(place, &end, 10);
    return end == place ? UNKNOWN : number;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is left of a limit, which may not be known. */
static uint64_t room(uint64_t limit, uint64_t usage)
{
    if (limit == UNKNOWN || usage == UNKNOWN) {
        return UNKNOWN;
    }
    return usage < limit ? limit - usage : 0;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a == UNKNOWN || b == UNKNOWN || a > UNKNOWN - b ? UNKNOWN : a + b;
}

static uint64_t read_number(const char *folder, const char *name,
                            const char *label, char text[TEXT_BYTES])
{
    char path[PATH_BYTES];
    int size = snprintf(path, sizeof path, "%s/%s", folder, name);
    return size > 0 && (size_t)size < sizeof path && read_text(path, text)
               ? number_after(text, label)
               : UNKNOWN;
}

static void bound_by_group(const struct flavour *flavour, const char *folder,
                           uint64_t swap, cb_memory *memory,
                           char text[TEXT_BYTES])
{
    uint64_t limit = read_number(folder, flavour->limit, "", text);
    uint64_t usage = read_number(folder, flavour->usage, "", text);
    uint64_t cache = read_number(folder, "memory.stat", flavour->cache, text);
    if (cache != UNKNOWN && usage != UNKNOWN) {
        usage = room(usage, cache);
    }
    uint64_t left = room(limit, usage);
    if (flavour->swap_limit != NULL) {
        uint64_t swap_limit =
            read_number(folder, flavour->swap_limit, "", text);
        uint64_t swap_usage =
            read_number(folder, flavour->swap_usage, "", text);
        swap = less(swap, room(swap_limit, swap_usage));
    }
    memory->free_bytes = less(memory->free_bytes, left);
    memory->reachable_bytes = less(memory->reachable_bytes, sum(left, swap));
}

/* The group of this process, and every one above it. */
static void bound_by_groups(const struct flavour *flavour, uint64_t swap,
                            cb_memory *memory, char text[TEXT_BYTES])
{
    char folder[PATH_BYTES];
    size_t root = strlen(flavour->root);
    if (!read_text("/proc/self/cgroup", text)) {
        return;
    }
    const char *path = strstr(text, flavour->mark);
    if (path == NULL) {
        return;
    }
    path += strlen(flavour->mark);
    int size = snprintf(folder, sizeof folder, "%s%.*s", flavour->root,
                        (int)strcspn(path, "\n"), path);
    if (size < 0 || (size_t)size >= sizeof folder) {
        return;
    }
    for (;;) {
        bound_by_group(flavour, folder, swap, memory, text);
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= root || slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

static void bound_by_limits(cb_memory *memory, char text[TEXT_BYTES])
{
    uint64_t pages[6] = { 0 };
    struct rlimit limit;
    uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    if (!read_text("/proc/self/statm", text)) {
        return;
    }
    const char *place = text;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        char *end = NULL;
        pages[i] = strtoumax(place, &end, 10);
        place = end;
    }

    const struct {
        int resource;
        uint64_t used;
    } rows[] = {
        { RLIMIT_AS, pages[0] * page_size },
        { RLIMIT_DATA, pages[5] * page_size },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (getrlimit((__rlimit_resource_t)rows[i].resource, &limit) == 0 &&
            limit.rlim_cur != RLIM_INFINITY) {
            uint64_t left = room(limit.rlim_cur, rows[i].used);
            memory->free_bytes = less(memory->free_bytes, left);
            memory->reachable_bytes = less(memory->reachable_bytes, left);
        }
    }
}

void cb_system_find_memory(void *context, cb_memory *ret_memory)
{
    (void)context;
    static const uint64_t kibibyte = 1024;
    char text[TEXT_BYTES];
    cb_memory memory = { UNKNOWN, UNKNOWN };
    uint64_t swap = 0;
    if (read_text("/proc/meminfo", text)) {
        uint64_t available = number_after(text, "MemAvailable:");
        uint64_t swap_free = number_after(text, "SwapFree:");
        swap = swap_free == UNKNOWN ? 0 : swap_free * kibibyte;
        if (available != UNKNOWN) {
            memory.free_bytes = available * kibibyte;
            memory.reachable_bytes = sum(memory.free_bytes, swap);
        }
    }
    for (size_t i = 0; i < sizeof flavours / sizeof flavours[0]; i++) {
        bound_by_groups(&flavours[i], swap, &memory, text);
    }
    bound_by_limits(&memory, text);
    *ret_memory = memory;
}
