/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/swap.h>

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Devices lie on devices: a volume on an encrypted disk, a mirror on two. */
#define DEVICES_MAX  32
#define DEVICE_BYTES 64

/* The devices below one swap area, those before `next` looked at. */
typedef struct stack {
    const char *root;
    char devices[DEVICES_MAX][DEVICE_BYTES];
    size_t count;
    size_t next;
    bool is_incomplete;
} stack;

static void push(stack *below, const char *device)
{
    for (size_t i = 0; i < below->count; i++) {
        if (strcmp(below->devices[i], device) == 0) {
            return;
        }
    }
    if (below->count == DEVICES_MAX || strlen(device) >= DEVICE_BYTES) {
        below->is_incomplete = true;
        return;
    }
    (void)snprintf(below->devices[below->count++], DEVICE_BYTES, "%s", device);
}

/* /dev/mapper/swap, /dev/disk/by-uuid/...: links to the device's own name. */
static void push_path(stack *below, const char *path)
{
    char full[PATH_MAX];
    char target[PATH_MAX];
    if (strncmp(path, "/dev/", 5) != 0) {
        below->is_incomplete = true;
        return;
    }
    (void)snprintf(full, sizeof full, "%s%s", below->root, path);
    ssize_t size = readlink(full, target, sizeof target - 1);
    if (size > 0) {
        target[size] = '\0';
    }
    const char *name = size > 0 ? target : path;
    const char *slash = strrchr(name, '/');
    push(below, slash == NULL ? name : slash + 1);
}

/* The first line of a file of a device, without its end; false without one. */
static bool read_line_of(const stack *below, const char *device,
                         const char *name, char *line, size_t size)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/sys/class/block/%s/%s", below->root,
                   device, name);
    FILE *file = fopen(path, "re");
    bool is_there = file != NULL && fgets(line, (int)size, file) != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (is_there) {
        line[strcspn(line, "\n")] = '\0';
    }
    return is_there;
}

/* Turns \040 into what it stands for, in place. */
static void decode(char *text)
{
    char *out = text;
    for (const char *in = text; *in != '\0'; out++) {
        if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' &&
            in[2] <= '7' && in[3] >= '0' && in[3] <= '7') {
            *out =
                (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

/* What the file system of a file lies on. */
static void push_file(stack *below, const char *path)
{
    char name[PATH_MAX];
    char source[PATH_MAX] = "";
    size_t longest = 0;
    char *line = NULL;
    size_t room = 0;
    (void)snprintf(name, sizeof name, "%s/proc/self/mountinfo", below->root);
    FILE *file = fopen(name, "re");
    while (file != NULL && getline(&line, &room, file) > 0) {
        char place[PATH_MAX] = "";
        char device[PATH_MAX] = "";
        const char *rest = strstr(line, " - ");
        if (strlen(line) >= PATH_MAX || rest == NULL ||
            sscanf(line, "%*s %*s %*s %*s %s", place) != 1 ||
            sscanf(rest, " - %*s %s", device) != 1) {
            continue;
        }
        decode(place);
        size_t size = strcmp(place, "/") == 0 ? 0 : strlen(place);
        /* The last of several at one place hides the others. */
        if (size >= longest && strncmp(path, place, size) == 0 &&
            path[size] == '/') {
            longest = size;
            (void)snprintf(source, sizeof source, "%s", device);
        }
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    push_path(below, source);
}

/* Adds what this device lies on; false where it lies on nothing. */
static bool push_slaves(stack *below, const char *device)
{
    char path[PATH_MAX];
    bool found = false;
    struct dirent *row = NULL;
    (void)snprintf(path, sizeof path, "%s/sys/class/block/%s/slaves",
                   below->root, device);
    DIR *listing = opendir(path);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the listing is ours alone. */
    while (listing != NULL && (row = readdir(listing)) != NULL) {
        if (row->d_name[0] != '.') {
            push(below, row->d_name);
            found = true;
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    return found;
}

static cb_swap_kind judge_device(stack *below, const char *device)
{
    char line[PATH_MAX];
    if (read_line_of(below, device, "dm/uuid", line, sizeof line) &&
        strncmp(line, "CRYPT-", 6) == 0) {
        return CB_SWAP_SAFE;
    }
    if (strncmp(device, "zram", 4) == 0) {
        /* Memory, unless it writes what is cold to a disk behind it. */
        if (read_line_of(below, device, "backing_dev", line, sizeof line) &&
            strcmp(line, "none") != 0) {
            push_path(below, line);
        }
        return CB_SWAP_SAFE;
    }
    if (read_line_of(below, device, "loop/backing_file", line, sizeof line)) {
        push_file(below, line);
        return CB_SWAP_SAFE;
    }
    if (push_slaves(below, device)) {
        return CB_SWAP_SAFE;
    }
    return read_line_of(below, device, "size", line, sizeof line)
               ? CB_SWAP_PLAIN
               : CB_SWAP_UNKNOWN;
}

static cb_swap_kind judge(const char *root, const char *name, bool is_file)
{
    stack below = { .root = root };
    cb_swap_kind worst = CB_SWAP_SAFE;
    if (is_file) {
        push_file(&below, name);
    } else {
        push_path(&below, name);
    }
    while (below.next < below.count) {
        cb_swap_kind kind = judge_device(&below, below.devices[below.next++]);
        worst = kind > worst ? kind : worst;
    }
    return below.is_incomplete && worst == CB_SWAP_SAFE ? CB_SWAP_UNKNOWN
                                                        : worst;
}

void cb_swap_look(const char *root, cb_swap *ret_swap)
{
    cb_swap worst = { .kind = CB_SWAP_NONE };
    char path[PATH_MAX];
    char *line = NULL;
    size_t room = 0;
    (void)snprintf(path, sizeof path, "%s/proc/swaps", root);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        /* A kernel without swap has no such file; one without /proc has none
         * of it. */
        (void)snprintf(path, sizeof path, "%s/proc/self", root);
        worst.kind = access(path, F_OK) == 0 ? CB_SWAP_NONE : CB_SWAP_UNKNOWN;
    }
    while (file != NULL && getline(&line, &room, file) > 0) {
        char name[PATH_MAX] = "";
        char type[16] = "";
        if (strlen(line) >= PATH_MAX || line[0] != '/' ||
            sscanf(line, "%s %15s", name, type) != 2) {
            continue;
        }
        decode(name);
        cb_swap_kind kind = judge(root, name, strcmp(type, "file") == 0);
        if (kind > worst.kind) {
            worst.kind = kind;
            (void)snprintf(worst.name, sizeof worst.name, "%.255s", name);
        }
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    *ret_swap = worst;
}
