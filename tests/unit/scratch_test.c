/* SPDX-License-Identifier: Apache-2.0 */
/* A folder in memory, on the machine that runs the tests. */
#include "scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/expect.h"

static cb_cli_world world = { .columns = 80 };

/* False where there is no memory to make folders in; says so. */
static bool begin(void)
{
    world.memory_folders[1] = "/dev/shm";
    bool is_there = access("/dev/shm", W_OK) == 0;
    if (!is_there) {
        cr_log_warn("there is no /dev/shm to write to\n");
    }
    return is_there;
}

static cb_status read_back(const cb_cli_scratch *scratch, const char *name,
                           size_t size_max, const char *wanted)
{
    cb_buffer text;
    cb_buffer_init(&text, size_max);
    cb_status status = cb_cli_scratch_read(scratch, name, &text, test_error());
    if (wanted != NULL) {
        expect_text(cb_buffer_text(&text), wanted);
    }
    cb_buffer_clear(&text);
    return status;
}

Test(scratch, is_refused_where_nothing_is_memory)
{
    static const char *const places[][2] = {
        { NULL, NULL },     { "/sys", "/proc" },      { "/", "/usr" },
        { "relative", "" }, { "/nonexistent", "/." }, { "/etc/hostname", NULL },
    };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        cb_cli_scratch scratch;
        const cb_cli_world poor = { .memory_folders = { places[i][0],
                                                        places[i][1] } };
        expect_status(CB_PERMISSION,
                      cb_cli_scratch_make(&poor, "x", &scratch, test_error()));
        expect_contains(test_error()->next, "FIELD=-");
        expect_contains(test_error()->meaning, "nothing was written");
        cr_expect(!cb_cli_scratch_find(&poor, "x", &scratch));
    }
}

Test(scratch, is_this_users_alone_and_goes_with_all_that_is_in_it)
{
    cb_cli_scratch scratch;
    struct stat facts;
    if (!begin()) {
        return;
    }
    expect_ok(cb_cli_scratch_make(&world, "label", &scratch, test_error()));
    cr_assert(stat(scratch.path, &facts) == 0);
    cr_expect((facts.st_mode & 07777) == 0700 && facts.st_uid == geteuid());

    expect_ok(cb_cli_scratch_write(&scratch, "text", cb_span_of_text("one"),
                                   test_error()));
    expect_ok(cb_cli_scratch_write(&scratch, "text", cb_span_of_text("two"),
                                   test_error()));
    expect_ok(read_back(&scratch, "text", 9, "two"));
    expect_status(CB_LIMIT, read_back(&scratch, "text", 2, NULL));
    expect_status(CB_NOT_FOUND, read_back(&scratch, "absent", 9, NULL));

    /* What editors leave: folders in folders, links, pipes. */
    cr_assert(mkdirat(scratch.folder, "a", 0700) == 0);
    cr_assert(mkdirat(scratch.folder, "a/b", 0700) == 0);
    cr_assert(mkdirat(scratch.folder, "a/b/c", 0700) == 0);
    cr_assert(symlinkat("/etc/hostname", scratch.folder, "a/b/link") == 0);
    cr_assert(mkfifoat(scratch.folder, "a/pipe", 0600) == 0);
    cr_assert(symlinkat("/etc/hostname", scratch.folder, "link") == 0);
    expect_status(CB_INPUT, read_back(&scratch, "link", 4096, NULL));
    expect_status(CB_INPUT, read_back(&scratch, "a", 4096, NULL));

    char path[CB_CLI_SCRATCH_PATH_BYTES];
    memcpy(path, scratch.path, sizeof path);
    cr_expect(cb_cli_scratch_wipe(&scratch));
    cr_expect(access(path, F_OK) != 0, "%s is still there", path);
    cr_expect(access("/etc/hostname", F_OK) == 0);
    cr_expect(cb_cli_scratch_wipe(&scratch), "twice is no harm");
}

/* A second name of the file shows what became of its bytes. */
Test(scratch, is_overwritten_before_it_is_removed)
{
    cb_cli_scratch scratch;
    if (!begin()) {
        return;
    }
    expect_ok(cb_cli_scratch_make(&world, "label", &scratch, test_error()));
    expect_ok(cb_cli_scratch_write(
        &scratch, "text", cb_span_of_text("Quillfeather"), test_error()));
    int file = openat(scratch.folder, "text", O_RDONLY);
    cr_assert(file >= 0 && cb_cli_scratch_wipe(&scratch));
    char bytes[12] = "";
    cr_assert(read(file, bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    cr_expect(memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\0\0", sizeof bytes) == 0);
    close(file);
}

Test(scratch, that_was_left_is_found_by_its_label_and_by_nobody_else)
{
    cb_cli_scratch left;
    cb_cli_scratch found = { .folder = -1 };
    if (!begin()) {
        return;
    }
    char label[64];
    (void)snprintf(label, sizeof label, "test of process %d", (int)getpid());
    expect_ok(cb_cli_scratch_make(&world, label, &left, test_error()));
    expect_ok(cb_cli_scratch_write(&left, "text", cb_span_of_text("kept"),
                                   test_error()));
    cr_expect(!cb_cli_scratch_find(&world, label, &found), "it is at work");

    cb_cli_scratch_close(&left);
    cr_expect(!cb_cli_scratch_find(&world, "another label", &found));
    /* One that others can read is nobody's own. */
    cr_assert(chmod(left.path, 0755) == 0);
    cr_expect(!cb_cli_scratch_find(&world, label, &found));
    cr_assert(chmod(left.path, 0700) == 0);
    cr_assert(cb_cli_scratch_find(&world, label, &found));
    expect_text(found.path, left.path);
    expect_ok(read_back(&found, "text", 9, "kept"));
    cr_expect(cb_cli_scratch_wipe(&found));
    cr_expect(!cb_cli_scratch_find(&world, label, &found));
}
