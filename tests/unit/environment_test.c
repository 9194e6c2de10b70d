/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* unshare */
#include <casebound/environment.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"

#define PATH_BYTES 128

static char folder[PATH_BYTES];

static void make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/casebound-test-XXXXXX");
    cr_assert(mkdtemp(folder));
}

/* By name: whatever else lies there was left behind, and rmdir will tell. */
static void remove_folder(void)
{
    static const char *const names[] = { "file", "link", "pipe", "sub" };
    char path[2 * PATH_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)remove(path);
    }
    cr_assert(rmdir(folder) == 0, "something was left in %s", folder);
}

static const char *path_of(const char *name)
{
    static char path[2 * PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static cb_status read_file(const char *path, size_t size_max,
                           cb_buffer *content)
{
    const cb_environment *system = cb_environment_system();
    cb_buffer_init(content, size_max);
    return system->read_file(system->context, path, content, test_error());
}

static cb_status replace_file(const char *path, const char *text)
{
    const cb_environment *system = cb_environment_system();
    return system->replace_file(system->context, path, cb_span_of_text(text),
                                test_error());
}

TestSuite(environment, .init = make_folder);

Test(environment, file_holds_what_replaced_it)
{
    cb_buffer content;
    struct stat facts;

    expect_ok(replace_file(path_of("file"), "a longer text"));
    expect_ok(replace_file(path_of("file"), "short"));

    expect_ok(read_file(path_of("file"), 5, &content));
    expect_text(cb_buffer_text(&content), "short");
    cb_buffer_clear(&content);
    cr_assert(stat(path_of("file"), &facts) == 0);
    cr_expect((facts.st_mode & 0777) == 0600);
    remove_folder();
}

Test(environment, replacing_takes_away_a_link_and_not_its_target)
{
    cb_buffer content;
    char target[2 * PATH_BYTES];
    (void)snprintf(target, sizeof target, "%s", path_of("file"));
    expect_ok(replace_file(target, "target"));
    cr_assert(symlink(target, path_of("link")) == 0);

    expect_status(CB_PERMISSION, read_file(path_of("link"), 100, &content));
    expect_contains(test_error()->what, "link");
    cb_buffer_clear(&content);
    expect_ok(replace_file(path_of("link"), "new"));

    expect_ok(read_file(target, 100, &content));
    expect_text(cb_buffer_text(&content), "target");
    cb_buffer_clear(&content);
    expect_ok(read_file(path_of("link"), 100, &content));
    expect_text(cb_buffer_text(&content), "new");
    cb_buffer_clear(&content);
    remove_folder();
}

static cb_status mark_file(const char *path, uint64_t offset, const char *text,
                           bool flush)
{
    const cb_environment *system = cb_environment_system();
    return system->mark_file(system->context, path, offset,
                             cb_span_of_text(text), flush, test_error());
}

Test(environment, marks_a_part_of_a_file_and_never_lets_it_grow)
{
    cb_buffer content;
    expect_ok(replace_file(path_of("file"), "123456789"));
    expect_ok(mark_file(path_of("file"), 2, "abc", false));
    expect_ok(mark_file(path_of("file"), 8, "z", true));
    expect_status(CB_NOT_FOUND, mark_file(path_of("file"), 8, "yz", true));
    expect_status(CB_NOT_FOUND, mark_file(path_of("absent"), 0, "x", true));
    expect_text(test_error()->what, "");
    cr_expect(access(path_of("absent"), F_OK) != 0);
    expect_ok(read_file(path_of("file"), 100, &content));
    expect_text(cb_buffer_text(&content), "12abc678z");
    cb_buffer_clear(&content);

    cr_assert(symlink("file", path_of("link")) == 0);
    expect_status(CB_PERMISSION, mark_file(path_of("link"), 0, "x", true));
    cr_assert(mkfifo(path_of("pipe"), 0600) == 0);
    cr_expect(mark_file(path_of("pipe"), 0, "x", false) != CB_OK);
    remove_folder();
}

Test(environment, says_what_cannot_be_read)
{
    cb_buffer content;
    expect_ok(replace_file(path_of("file"), "123456"));
    cr_assert(mkfifo(path_of("pipe"), 0600) == 0);

    expect_status(CB_NOT_FOUND, read_file(path_of("absent"), 9, &content));
    expect_text(test_error()->what, "");
    expect_status(CB_NOT_FOUND, read_file(path_of("file/x"), 9, &content));
    expect_status(CB_LIMIT, read_file(path_of("file"), 5, &content));
    expect_contains(test_error()->what, "5 bytes");
    cb_buffer_clear(&content);
    expect_status(CB_IO, read_file(folder, 9, &content));
    expect_status(CB_IO, read_file(path_of("pipe"), 9, &content));
    expect_contains(test_error()->what, "not a regular file");
    cb_buffer_clear(&content);
    remove_folder();
}

Test(environment, says_what_cannot_be_written)
{
    expect_status(CB_NOT_FOUND, replace_file(path_of("absent/file"), "x"));
    expect_contains(test_error()->what, "absent/file");
    expect_ok(replace_file(path_of("file"), "x"));
    cr_expect(replace_file(path_of("file/below"), "x") != CB_OK);
    remove_folder();
}

Test(environment, folder_is_made_once_and_for_its_owner_alone)
{
    const cb_environment *system = cb_environment_system();
    struct stat facts;

    expect_ok(
        system->make_folder(system->context, path_of("sub"), test_error()));
    cr_assert(stat(path_of("sub"), &facts) == 0);
    cr_expect((facts.st_mode & 0777) == 0700);
    expect_status(CB_EXISTS, system->make_folder(system->context,
                                                 path_of("sub"), test_error()));
    expect_status(
        CB_NOT_FOUND,
        system->make_folder(system->context, path_of("no/sub"), test_error()));
    remove_folder();
}

Test(environment, removing_what_is_not_there_is_done_already)
{
    const cb_environment *system = cb_environment_system();
    expect_ok(replace_file(path_of("file"), "x"));

    expect_ok(
        system->remove_file(system->context, path_of("file"), test_error()));
    expect_ok(
        system->remove_file(system->context, path_of("file"), test_error()));
    cr_expect(access(path_of("file"), F_OK) != 0);
    remove_folder();
}

#define LOCK_AT 100

static int lock_file(int file, short kind)
{
    struct flock lock = {
        .l_type = kind, .l_whence = SEEK_SET, .l_start = LOCK_AT, .l_len = 4
    };
    return fcntl(file, F_SETLK, &lock);
}

/* A process that holds such a lock until it is killed. */
static pid_t hold_lock(short kind)
{
    int ready[2];
    char byte = 0;
    cr_assert(pipe(ready) == 0);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        int file = open(path_of("file"), O_RDWR);
        if (lock_file(file, kind) == 0 && write(ready[1], "x", 1) == 1) {
            alarm(20);
            pause();
        }
        _exit(1);
    }
    close(ready[1]);
    cr_assert(read(ready[0], &byte, 1) == 1, "nothing was locked");
    close(ready[0]);
    return child;
}

static void end_process(pid_t child)
{
    kill(child, SIGKILL);
    cr_assert(waitpid(child, NULL, 0) == child);
}

static cb_status find_holder(int64_t start, cb_holder *holder)
{
    const cb_environment *system = cb_environment_system();
    memset(holder, 0, sizeof *holder);
    return system->find_holder(system->context, path_of("file"), start, 10,
                               holder);
}

Test(environment, names_the_process_that_holds_a_lock)
{
    cb_holder holder;
    expect_status(CB_NOT_FOUND, find_holder(LOCK_AT, &holder));
    expect_ok(replace_file(path_of("file"), "x"));
    expect_status(CB_NOT_FOUND, find_holder(LOCK_AT, &holder));

    pid_t reader = hold_lock(F_RDLCK);
    expect_ok(find_holder(LOCK_AT, &holder));
    cr_expect(holder.process == reader);
    expect_status(CB_NOT_FOUND, find_holder(LOCK_AT + 4, &holder));
    end_process(reader);

    pid_t writer = hold_lock(F_WRLCK);
    expect_ok(find_holder(LOCK_AT - 3, &holder));
    cr_expect(holder.process == writer);
    /* As Criterion names the process of a test. */
    expect_text(holder.program, "boxfort-worker");
    end_process(writer);
    expect_status(CB_NOT_FOUND, find_holder(LOCK_AT, &holder));
    remove_folder();
}

/* What SQLite's own locks hang on: closing a descriptor would drop them. */
Test(environment, asking_who_holds_a_file_keeps_our_own_locks)
{
    cb_holder holder;
    int answer[2];
    char byte = 0;
    expect_ok(replace_file(path_of("file"), "x"));
    int file = open(path_of("file"), O_RDWR);
    cr_assert(lock_file(file, F_WRLCK) == 0 && pipe(answer) == 0);

    expect_status(CB_NOT_FOUND, find_holder(LOCK_AT, &holder));

    pid_t self = getpid();
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        bool is_held =
            find_holder(LOCK_AT, &holder) == CB_OK && holder.process == self;
        _exit(write(answer[1], is_held ? "y" : "n", 1) == 1 ? 0 : 1);
    }
    cr_assert(read(answer[0], &byte, 1) == 1);
    cr_expect(byte == 'y', "the lock was lost");
    cr_assert(waitpid(child, NULL, 0) == child);
    close(file);
    remove_folder();
}

Test(environment, knows_of_a_holder_that_has_no_number_here)
{
    cb_holder holder;
    int status = 0;
    expect_ok(replace_file(path_of("file"), "x"));
    pid_t outside = hold_lock(F_WRLCK);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        /* Where no namespace may be made the number is simply known. */
        if (unshare(CLONE_NEWPID) != 0) {
            _exit(find_holder(LOCK_AT, &holder) == CB_OK &&
                          holder.process == outside
                      ? 0
                      : 1);
        }
        pid_t inside = fork();
        if (inside == 0) {
            _exit(find_holder(LOCK_AT, &holder) == CB_OK &&
                          holder.process == 0 && holder.program[0] == '\0'
                      ? 0
                      : 1);
        }
        _exit(waitpid(inside, &status, 0) == inside && status == 0 ? 0 : 1);
    }
    cr_assert(waitpid(child, &status, 0) == child);
    cr_expect(status == 0);
    end_process(outside);
    remove_folder();
}

Test(environment, moves_a_file_over_another)
{
    const cb_environment *system = cb_environment_system();
    cb_buffer content;
    char from[2 * PATH_BYTES];
    (void)snprintf(from, sizeof from, "%s", path_of("link"));
    expect_ok(replace_file(from, "newer"));
    expect_ok(replace_file(path_of("file"), "older"));

    expect_ok(system->move_file(system->context, from, path_of("file"),
                                test_error()));
    expect_ok(read_file(path_of("file"), 100, &content));
    expect_text(cb_buffer_text(&content), "newer");
    cb_buffer_clear(&content);
    cr_expect(access(from, F_OK) != 0);
    expect_status(CB_NOT_FOUND,
                  system->move_file(system->context, from, path_of("file"),
                                    test_error()));
    expect_contains(test_error()->what, "link");
    remove_folder();
}

/* A limit of the process is what it says, less what is in use already. */
Test(environment, knows_how_much_memory_is_left)
{
    static const struct {
        __rlimit_resource_t resource;
        const char *name;
    } rows[] = { { RLIMIT_AS, "RLIMIT_AS" }, { RLIMIT_DATA, "RLIMIT_DATA" } };

    const cb_environment *system = cb_environment_system();
    const rlim_t bytes = (rlim_t)1 << 36;
    cb_memory before;
    system->find_memory(system->context, &before);
    cr_expect(before.free_bytes > 1000000 &&
              before.free_bytes <= before.reachable_bytes);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = 0;
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            cb_memory memory;
            const struct rlimit wide = { bytes, bytes };
            const struct rlimit narrow = { 50000000, bytes };
            bool is_right = setrlimit(rows[i].resource, &wide) == 0;
            system->find_memory(system->context, &memory);
            is_right = is_right && memory.reachable_bytes < bytes;
            is_right = is_right && setrlimit(rows[i].resource, &narrow) == 0;
            system->find_memory(system->context, &memory);
            is_right = is_right && memory.free_bytes < 50000000 &&
                       memory.reachable_bytes == memory.free_bytes;
            _exit(is_right ? 0 : 1);
        }
        cr_assert(waitpid(child, &status, 0) == child);
        cr_expect(status == 0, "%s", rows[i].name);
    }
    remove_folder();
}

Test(environment, clock_runs_and_randomness_differs)
{
    const cb_environment *system = cb_environment_system();
    uint8_t a[32] = { 0 };
    uint8_t b[32] = { 0 };

    system->random(system->context, a, sizeof a);
    system->random(system->context, b, sizeof b);

    cr_expect(memcmp(a, b, sizeof a) != 0);
    cr_expect(system->now_ms(system->context) > INT64_C(1600000000000));
    remove_folder();
}

Test(environment, tells_what_a_path_is_without_following_a_link)
{
    const cb_environment *system = cb_environment_system();
    cb_file_facts facts;
    expect_ok(replace_file(path_of("file"), "12345"));
    expect_ok(system->look_at(system->context, path_of("file"), &facts,
                              test_error()));
    cr_expect(facts.kind == CB_FILE_REGULAR && facts.permissions == 0600 &&
              facts.size == 5 && facts.free_bytes > 0);
    cr_assert(symlink("/", path_of("link")) == 0);
    expect_ok(system->look_at(system->context, path_of("link"), &facts,
                              test_error()));
    cr_expect(facts.kind == CB_FILE_LINK);
    expect_ok(
        system->make_folder(system->context, path_of("sub"), test_error()));
    expect_ok(
        system->look_at(system->context, path_of("sub"), &facts, test_error()));
    cr_expect(facts.kind == CB_FILE_FOLDER && facts.permissions == 0700);
    expect_status(CB_NOT_FOUND,
                  system->look_at(system->context, path_of("none"), &facts,
                                  test_error()));
    expect_status(CB_NOT_FOUND,
                  system->look_at(system->context, path_of("file/none"), &facts,
                                  test_error()));
    remove_folder();
}

static cb_status count_name(void *context, const char *name, cb_error *error)
{
    size_t *count = context;
    (void)error;
    *count += strcmp(name, "file") == 0 || strcmp(name, "sub") == 0 ? 1 : 100;
    return *count > 2 ? CB_LIMIT : CB_OK;
}

Test(environment, lists_what_lies_in_a_folder)
{
    const cb_environment *system = cb_environment_system();
    size_t count = 0;
    expect_ok(replace_file(path_of("file"), ""));
    expect_ok(
        system->make_folder(system->context, path_of("sub"), test_error()));
    expect_ok(system->list_folder(system->context, folder, count_name, &count,
                                  test_error()));
    cr_expect(count == 2);
    expect_status(CB_LIMIT,
                  system->list_folder(system->context, folder, count_name,
                                      &count, test_error()));
    expect_status(CB_NOT_FOUND,
                  system->list_folder(system->context, path_of("none"),
                                      count_name, &count, test_error()));
    remove_folder();
}
