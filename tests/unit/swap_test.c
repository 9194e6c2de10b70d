/* SPDX-License-Identifier: Apache-2.0 */
/* Machines as files: what the kernel says of swap and of what lies below it. */
#include <casebound/swap.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/expect.h"

#define PATH_BYTES 256

static char root[64];

/* The folders above a path. */
static void make_folders(char *path)
{
    for (char *at = strchr(path + strlen(root) + 1, '/'); at != NULL;
         at = strchr(at + 1, '/')) {
        *at = '\0';
        cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST, "%s", path);
        *at = '/';
    }
}

static void put(const char *name, const char *text)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    make_folders(path);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void put_link(const char *name, const char *target)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    make_folders(path);
    cr_assert(symlink(target, path) == 0);
}

static void begin(void)
{
    (void)snprintf(root, sizeof root, "/tmp/casebound-swap-XXXXXX");
    cr_assert(mkdtemp(root) != NULL);
    put("proc/self/mountinfo",
        "22 1 8:2 / / rw - ext4 /dev/sda2 rw\n"
        "23 22 0:40 / /home rw - btrfs /dev/mapper/home rw\n"
        "24 22 0:41 / /homes rw - btrfs /dev/sda2 rw\n"
        "25 22 0:5 / /a\\040b rw - ext4 /dev/mapper/home rw\n"
        "26 22 0:42 / /pool rw - zfs tank/swap rw\n");
    put("sys/class/block/sda2/size", "1000\n");
    put("dev/sda2", "");
    put("dev/dm-0", "");
    put("dev/dm-1", "");
    put("dev/dm-2", "");
    put("dev/zram0", "");
    put("dev/zram1", "");
    put("dev/loop0", "");
    put_link("dev/mapper/swap", "../dm-0");
    put_link("dev/mapper/home", "../dm-0");
    put_link("dev/mapper/volume", "../dm-1");
    put_link("dev/mapper/mixed", "../dm-2");
    put("sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123-swap\n");
    put("sys/class/block/dm-0/slaves/sda2", "");
    put("sys/class/block/dm-1/dm/uuid", "LVM-0123\n");
    put("sys/class/block/dm-1/slaves/dm-0", "");
    put("sys/class/block/dm-2/dm/uuid", "LVM-4567\n");
    put("sys/class/block/dm-2/slaves/dm-0", "");
    put("sys/class/block/dm-2/slaves/sda2", "");
    put("sys/class/block/zram0/backing_dev", "none\n");
    put("sys/class/block/zram1/backing_dev", "/dev/sda2\n");
    put("sys/class/block/loop0/loop/backing_file", "/home/swap\n");
}

static void end(void)
{
    char command[PATH_BYTES];
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    cr_assert(system(command) == 0);
}

TestSuite(swap, .init = begin, .fini = end);

Test(swap, is_told_by_what_lies_below_it)
{
    static const struct {
        const char *areas;
        cb_swap_kind kind;
        const char *name;
    } rows[] = {
        { "", CB_SWAP_NONE, "" },
        { "/dev/sda2 partition 1000 0 -2\n", CB_SWAP_PLAIN, "/dev/sda2" },
        { "/dev/dm-0 partition 1000 0 -2\n", CB_SWAP_SAFE, "/dev/dm-0" },
        { "/dev/mapper/swap partition 1 0 -2\n", CB_SWAP_SAFE,
          "/dev/mapper/swap" },
        { "/dev/mapper/volume partition 1 0 -2\n", CB_SWAP_SAFE,
          "/dev/mapper/volume" },
        { "/dev/mapper/mixed partition 1 0 -2\n", CB_SWAP_PLAIN,
          "/dev/mapper/mixed" },
        { "/dev/zram0 partition 1 0 100\n", CB_SWAP_SAFE, "/dev/zram0" },
        { "/dev/zram1 partition 1 0 100\n", CB_SWAP_PLAIN, "/dev/zram1" },
        { "/dev/loop0 partition 1 0 -2\n", CB_SWAP_SAFE, "/dev/loop0" },
        { "/swapfile file 1 0 -2\n", CB_SWAP_PLAIN, "/swapfile" },
        { "/home/swapfile file 1 0 -2\n", CB_SWAP_SAFE, "/home/swapfile" },
        { "/homes/swapfile file 1 0 -2\n", CB_SWAP_PLAIN, "/homes/swapfile" },
        { "/a\\040b/swap file 1 0 -2\n", CB_SWAP_SAFE, "/a b/swap" },
        { "/pool/swap file 1 0 -2\n", CB_SWAP_UNKNOWN, "/pool/swap" },
        { "/dev/sdz9 partition 1 0 -2\n", CB_SWAP_UNKNOWN, "/dev/sdz9" },
        { "/dev/zram0 partition 1 0 100\n/dev/sda2 partition 1 0 -2\n",
          CB_SWAP_PLAIN, "/dev/sda2" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        cb_swap swap;
        (void)snprintf(text, sizeof text,
                       "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n%s",
                       rows[i].areas);
        put("proc/swaps", text);
        cb_swap_look(root, &swap);
        cr_expect(swap.kind == rows[i].kind, "row %zu: %d", i, (int)swap.kind);
        cr_expect(strcmp(swap.name, rows[i].name) == 0, "row %zu: '%s'", i,
                  swap.name);
    }
}

Test(swap, that_cannot_be_looked_at_is_not_known)
{
    cb_swap swap;
    /* A kernel that was built without it. */
    cb_swap_look(root, &swap);
    cr_expect(swap.kind == CB_SWAP_NONE);
    cb_swap_look("/nonexistent", &swap);
    cr_expect(swap.kind == CB_SWAP_UNKNOWN);
    put("proc/swaps", "garbage\n/\n/dev/x\n////\n\n");
    cb_swap_look(root, &swap);
    cr_expect(swap.kind == CB_SWAP_NONE);
}
