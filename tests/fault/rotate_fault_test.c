/* SPDX-License-Identifier: Apache-2.0 */
/* Another master key, cut at any moment, and beside other processes. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/crash_point.h"
#include "support/expect.h"
#include "support/rotate_kit.h"
#include "support/vfs_fixture.h"
#include <casebound/check.h>

TestSuite(rotate, .init = rotate_kit_begin, .fini = rotate_kit_end,
          .timeout = 300);

/* --------------------------------------------------------------- every cut */

/*
 * Every effect on files is counted, SQLite's and the environment's alike; at
 * the chosen one the process ends, or from it on the disk is full.
 */
enum fault {
    FAULT_KILL,      /* before the effect */
    FAULT_KILL_DONE, /* after it */
    FAULT_FAIL       /* it and all later ones fail */
};

static enum fault fault;
static int fault_left;

static bool fault_here(void)
{
    fault_left--;
    if (fault_left == 0 && fault != FAULT_FAIL) {
        return true;
    }
    return fault_left <= 0 && fault == FAULT_FAIL;
}

static cb_status faulty_replace(void *context, const char *path,
                                cb_span content, cb_error *error)
{
    const cb_environment *system = cb_environment_system();
    bool here = fault_here();
    if (here && fault == FAULT_FAIL) {
        return cb_error_set(error, CB_NO_SPACE, "the disk is full");
    }
    if (here && fault == FAULT_KILL) {
        _exit(42);
    }
    cb_status status = system->replace_file(context, path, content, error);
    if (here) {
        _exit(42);
    }
    return status;
}

static cb_status faulty_move(void *context, const char *from, const char *to,
                             cb_error *error)
{
    const cb_environment *system = cb_environment_system();
    bool here = fault_here();
    if (here && fault == FAULT_FAIL) {
        return cb_error_set(error, CB_IO, "the drive does not answer");
    }
    if (here && fault == FAULT_KILL) {
        _exit(42);
    }
    cb_status status = system->move_file(context, from, to, error);
    if (here) {
        _exit(42);
    }
    return status;
}

static cb_status faulty_remove(void *context, const char *path, cb_error *error)
{
    const cb_environment *system = cb_environment_system();
    bool here = fault_here();
    if (here && fault == FAULT_FAIL) {
        return cb_error_set(error, CB_IO, "the drive does not answer");
    }
    if (here && fault == FAULT_KILL) {
        _exit(42);
    }
    cb_status status = system->remove_file(context, path, error);
    if (here) {
        _exit(42);
    }
    return status;
}

/* In a process of its own; 42: cut, 0: to the end, 1: it failed in words. */
static int rotate_with_fault(enum fault kind, int point)
{
    int status = 0;
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        cb_store *store = NULL;
        the.kit.environment.replace_file = faulty_replace;
        the.kit.environment.move_file = faulty_move;
        the.kit.environment.remove_file = faulty_remove;
        fault_left = 1 << 30;
        if (cb_store_open(&the.options, the.kit.passphrase, &store, NULL) !=
            CB_OK) {
            _exit(99);
        }
        fault = kind;
        fault_left = point;
        cb_status result = rotate(store, the.newer);
        fault_left = 1 << 30;
        cb_store_close(store);
        _exit(result == CB_OK ? 0 : 1);
    }
    cr_assert(waitpid(child, &status, 0) == child && WIFEXITED(status),
              "point %d", point);
    return WEXITSTATUS(status);
}

static void copy_folder(const char *from, const char *to)
{
    char command[4 * STORE_KIT_PATH_BYTES];
    snprintf(command, sizeof command, "rm -rf '%s/%s' && cp -a '%s/%s' '%s/%s'",
             the.kit.root, to, the.kit.root, from, the.kit.root, to);
    cr_assert(system(command) == 0);
}

/* A look finds nothing damaged at any moment, and is in nobody's way. */
static void expect_sound(const char *what, int point)
{
    cb_check_report *report = NULL;
    const cb_check_options options = { .store = &the.options,
                                       .passphrase = the.kit.passphrase,
                                       .repair = true };
    cb_error_clear(test_error());
    cb_status status = cb_store_check(&options, &report, test_error());
    cr_assert(status == CB_OK, "%s %d: %s", what, point, test_describe(status));
    for (size_t i = 0; i < cb_check_finding_count(report); i++) {
        const cb_finding *finding = cb_check_finding(report, i);
        cr_expect(finding->severity == CB_SEVERITY_INFORMATION, "%s %d: %s: %s",
                  what, point, finding->code, finding->what);
    }
    cb_check_report_destroy(report);
}

/* Opens, everything is there, one recovery key of the two holds, no rubbish. */
static bool expect_whole(const char *what, int point)
{
    cb_store *store = NULL;
    expect_sound(what, point);
    cb_error_clear(test_error());
    cb_status status =
        cb_store_open(&the.options, the.kit.passphrase, &store, test_error());
    cr_assert(status == CB_OK, "%s %d: %s", what, point, test_describe(status));
    expect_content(store);
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    cr_expect(!identity.restored, "%s %d", what, point);
    bool is_old = has_old_key(store);
    store_kit_person(store, &the.case_id, "offender", "Elm");
    cb_store_close(store);
    cr_expect(leftovers() == 0 && !unlock_names_previous(), "%s %d", what,
              point);
    cr_expect(cb_store_check_recovery(&the.options,
                                      is_old ? the.recovery : the.newer,
                                      NULL) == CB_OK,
              "%s %d", what, point);
    store = store_kit_open(&the.kit, "a");
    cr_expect(has_old_key(store) == is_old);
    cb_store_close(store);
    return is_old;
}

Test(rotate, is_whole_after_a_cut_at_any_effect_of_ours)
{
    static const struct {
        enum fault fault;
        const char *name;
    } rows[] = { { FAULT_KILL, "kill before" },
                 { FAULT_KILL_DONE, "kill after" },
                 { FAULT_FAIL, "failure" } };

    copy_folder("a", "kept");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int point = 0;
        int result = 42;
        int old = 0;
        while (result != 0) {
            point++;
            copy_folder("kept", "a");
            result = rotate_with_fault(rows[i].fault, point);
            cr_assert(result == 0 || result == 1 || result == 42);
            old += expect_whole(rows[i].name, point);
        }
        /* Both sides of the point of no return were seen. */
        cr_expect(old > 1 && old < point - 1, "%s: %d of %d", rows[i].name, old,
                  point);
        fprintf(stderr, "rotate: %s at %d effects, %d kept the old key\n",
                rows[i].name, point - 1, old);
    }
}

static void rotate_in_child(void *context)
{
    (void)context;
    cb_store *store = NULL;
    if (cb_store_open(&the.options, the.kit.passphrase, &store, NULL) ==
        CB_OK) {
        (void)rotate(store, the.newer);
    }
    cb_store_close(store);
}

/* SQLite's own writes and flushes, of opening and closing as well. */
Test(rotate, is_whole_after_a_cut_at_any_write_of_sqlite)
{
    static const struct {
        enum crash_point_kind kind;
        const char *name;
    } rows[] = { { CRASH_POINT_KILL, "kill" },
                 { CRASH_POINT_FULL, "full disk" } };

    copy_folder("a", "kept");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool is_over = false;
        int old = 0;
        unsigned point = 0;
        while (!is_over) {
            point++;
            copy_folder("kept", "a");
            is_over =
                crash_point_run(rows[i].kind, point, rotate_in_child, NULL);
            old += expect_whole(rows[i].name, (int)point);
        }
        cr_expect(old > 1 && old < (int)point, "%s: %d of %u", rows[i].name,
                  old, point);
        fprintf(stderr, "rotate: %s at %u writes, %d kept the old key\n",
                rows[i].name, point - 1, old);
    }
}

/* --------------------------------------------- cut after the point of no
 * return */

/* As after a kill right after unlock.json was replaced. */
static void cut_after_decision(void)
{
    int point = 0;
    copy_folder("a", "kept");
    do {
        point++;
        copy_folder("kept", "a");
        cr_assert(rotate_with_fault(FAULT_KILL_DONE, point) == 42);
    } while (!unlock_names_previous());
    cr_assert(access(path_of("casebook.db-next"), F_OK) == 0);
}

Test(rotate, writes_the_copy_again_where_it_is_gone)
{
    cut_after_decision();
    cr_assert(unlink(path_of("casebook.db-next")) == 0);
    cr_expect(!expect_whole("gone", 0));
}

Test(rotate, writes_the_copy_again_where_it_is_damaged)
{
    size_t size = 0;
    cut_after_decision();
    uint8_t *bytes = vfs_file_read(path_of("casebook.db-next"), &size);
    bytes[size / 2] ^= 1;
    vfs_file_write(path_of("casebook.db-next"), bytes, size);
    free(bytes);
    cr_expect(!expect_whole("damaged", 0));
}

/* Both gone, or the old one spoilt as well: nothing is made worse. */
Test(rotate, touches_nothing_where_neither_database_opens)
{
    cb_store *store = NULL;
    size_t size = 0;
    cut_after_decision();
    cr_assert(unlink(path_of("casebook.db-next")) == 0);
    uint8_t *bytes = vfs_file_read(path_of("casebook.db"), &size);
    memset(bytes + 16, 0, size - 16);
    vfs_file_write(path_of("casebook.db"), bytes, size);
    free(bytes);
    expect_status(CB_DAMAGED, cb_store_open(&the.options, the.kit.passphrase,
                                            &store, test_error()));
    expect_contains(test_error()->meaning, "nothing was changed");
    cr_expect(unlock_names_previous());
    cr_expect(access(path_of("casebook.db"), F_OK) == 0);
}

Test(rotate, opens_with_the_new_recovery_key_after_a_cut)
{
    cb_store *store = NULL;
    cut_after_decision();
    expect_ok(
        cb_store_open_recovery(&the.options, the.newer, &store, test_error()));
    expect_content(store);
    cb_store_close(store);
    cr_expect(!unlock_names_previous() && leftovers() == 0);
}

Test(rotate, takes_away_what_came_to_nothing)
{
    copy_folder("a", "kept");
    vfs_file_write(path_of("casebook.db-next"), (const uint8_t *)"rubbish", 7);
    vfs_file_write(path_of("casebook.db-next-wal"), (const uint8_t *)"x", 1);
    cr_expect(expect_whole("rubbish", 0));
}

/* -------------------------------------------------------- others at the time
 */

static uint64_t head_now(cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity.head_seq;
}

/* Opens, records, closes, without an end; tells each number that is durable. */
static _Noreturn void record_for_ever(int channel)
{
    for (;;) {
        cb_store *store = NULL;
        cb_error error = { 0 };
        cb_status status =
            cb_store_open(&the.options, the.kit.passphrase, &store, &error);
        if (status == CB_IN_USE) {
            continue;
        }
        if (status != CB_OK) {
            fprintf(stderr, "opening: %s\n", error.what);
            _exit(1);
        }
        store_kit_person(store, &the.case_id, "offender", "Ash");
        uint64_t head = head_now(store);
        if (write(channel, &head, sizeof head) != (ssize_t)sizeof head) {
            _exit(2);
        }
        cb_store_close(store);
    }
}

/* Waiting processes get the lock of a file whose name is gone. */
Test(rotate, loses_nothing_of_a_process_that_waited)
{
    int channel[2];
    uint64_t acknowledged = 0;
    int status = 0;
    int rotations = 0;
    cr_assert(pipe(channel) == 0);
    pid_t children[2];
    for (size_t i = 0; i < 2; i++) {
        children[i] = fork();
        cr_assert(children[i] >= 0);
        if (children[i] == 0) {
            close(channel[0]);
            record_for_ever(channel[1]);
        }
    }
    close(channel[1]);
    for (int tries = 0; rotations < 12 && tries < 500; tries++) {
        cb_store *store = NULL;
        status =
            (int)cb_store_open(&the.options, the.kit.passphrase, &store, NULL);
        cr_assert(status == CB_OK || status == CB_IN_USE);
        if (status == CB_OK) {
            cb_status result = rotate(store, NULL);
            /* Opening it again may have to give way to the others. */
            cr_assert(result == CB_OK || result == CB_IN_USE, "%s",
                      test_describe(result));
            rotations++;
            cb_store_close(store);
        }
    }
    /* On a busy machine they may not have had a turn yet. */
    struct pollfd first = { .fd = channel[0], .events = POLLIN };
    cr_expect(poll(&first, 1, 20000) == 1);
    for (size_t i = 0; i < 2; i++) {
        cr_expect(waitpid(children[i], NULL, WNOHANG) == 0, "a child gave up");
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    uint64_t head = 0;
    uint64_t count = 0;
    while (read(channel[0], &head, sizeof head) == (ssize_t)sizeof head) {
        acknowledged = head > acknowledged ? head : acknowledged;
        count++;
    }
    cb_store *store = store_kit_open(&the.kit, "a");
    cr_expect(count > 0 && head_now(store) >= acknowledged &&
                  head_now(store) <= acknowledged + 2,
              "%llu acknowledged, %llu here", (unsigned long long)acknowledged,
              (unsigned long long)head_now(store));
    fprintf(stderr, "rotate: %d rotations beside %llu changes\n", rotations,
            (unsigned long long)count);
    cr_expect(rotations == 12);
    cb_store_close(store);
    cr_expect(leftovers() == 0);
}

#define KILLS 20

/* Real processes, killed at any moment. */
Test(rotate, survives_being_killed_at_any_moment)
{
    unsigned seed = 20261122;
    for (int i = 0; i < KILLS; i++) {
        int channel[2];
        char byte = 0;
        cr_assert(pipe(channel) == 0);
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            cb_store *store = store_kit_open(&the.kit, "a");
            while (write(channel[1], "x", 1) == 1) {
                if (rotate(store, the.newer) != CB_OK) {
                    _exit(1);
                }
            }
            _exit(1);
        }
        cr_assert(read(channel[0], &byte, 1) == 1);
        struct timespec pause = { .tv_nsec = (rand_r(&seed) % 60000) * 1000L };
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(channel[0]);
        close(channel[1]);
        cb_store *store = store_kit_open(&the.kit, "a");
        expect_content(store);
        cb_store_close(store);
        cr_expect(!unlock_names_previous() &&
                  access(path_of("casebook.db-next"), F_OK) != 0 &&
                  access(path_of("casebook.db-wal"), F_OK) != 0);
    }
}
