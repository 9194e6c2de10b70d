/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving into quarantine, and what the log host does for both sides.
 */
#include "git/fetch.h"
#include "git/hosting.h"
#include "git/object.h"
#include "git/push.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/git_kit.h"

#define REF       "refs/heads/device/00112233445566778899aabbccddeeff"
#define OTHER_REF "refs/heads/device/ffeeddccbbaa99887766554433221100"
#define UP_REF    "refs/heads/up/00112233445566778899aabbccddeeff"

static git_kit kit;
static cb_git_repository *sender;
static cb_git_repository *receiver;
static cb_transport *transport;
static char output[16384];

static void begin(void)
{
    git_kit_begin(&kit);
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "sender.git"), REF,
                                       &sender, test_error()));
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "receiver.git"), REF,
                                       &receiver, test_error()));
    expect_ok(cb_git_host_create(git_kit_path(&kit, "host"),
                                 "#!/bin/sh\nexit 0\n", test_error()));
    expect_ok(cb_transport_open(git_kit_path(&kit, "host"), &transport,
                                test_error()));
}

static void end(void)
{
    cb_transport_close(transport);
    cb_git_repository_close(sender);
    cb_git_repository_close(receiver);
    git_kit_end(&kit);
}

TestSuite(git_fetch, .init = begin, .fini = end, .timeout = 120);

#define run(...) git_kit_run(&kit, output, sizeof output, __VA_ARGS__)

static cb_status push(const char *repository, const char *ref, bool replace)
{
    const cb_git_push_request request = {
        .transport = transport,
        .repository = repository,
        .local_ref = ref,
        .remote_ref = ref,
        .replace = replace,
    };
    return cb_git_push(sender, &request, NULL, test_error());
}

/* Adds commits to a ref of the sender and pushes it; the new tip. */
static cb_git_oid send(const char *ref, const cb_git_oid *parent, size_t first,
                       size_t count)
{
    cb_git_oid tip = parent ? *parent : (cb_git_oid){ { 0 } };
    bool has_parent = parent != NULL;
    for (size_t i = first; i < first + count; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s segment %zu", ref, i);
        cb_git_oid next =
            git_kit_commit(&kit, sender, has_parent ? &tip : NULL, i, text);
        expect_ok(cb_git_ref_swap(sender, ref, &next, has_parent ? &tip : NULL,
                                  test_error()));
        tip = next;
        has_parent = true;
    }
    expect_ok(push(CB_GIT_LOG, ref, false));
    return tip;
}

static cb_status fetch_begin(const char *ref, const cb_git_oid *have,
                             cb_git_fetch **ret_fetch)
{
    const cb_git_fetch_request request = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .remote_ref = ref,
        .have = have,
    };
    return cb_git_fetch_begin(receiver, &request, ret_fetch, test_error());
}

/* Fetches and accepts; how many objects were moved. */
static size_t receive(const char *ref, const cb_git_oid *have,
                      const cb_git_oid *wanted)
{
    cb_git_fetch *fetch = NULL;
    expect_ok(fetch_begin(ref, have, &fetch));
    size_t count = cb_git_fetch_object_count(fetch);
    cb_git_oid tip = cb_git_fetch_tip(fetch);
    expect_text(git_kit_hex(&tip), git_kit_hex(wanted));
    expect_ok(cb_git_fetch_accept(fetch, ref, test_error()));
    cb_git_fetch_end(fetch);
    return count;
}

static void expect_receiver_is_whole(void)
{
    cr_expect(run("git -C receiver.git fsck --strict --full") == 0, "%s",
              output);
    cr_expect(run("ls -d receiver.git/fetch-*") != 0, "%s", output);
}

Test(git_fetch, one_ref_of_many_moves_only_its_own_objects)
{
    char ref[128];
    cb_git_oid tips[12];
    for (size_t i = 0; i < 12; i++) {
        snprintf(ref, sizeof ref, "refs/heads/device/%032zu", i);
        tips[i] = send(ref, NULL, 0, 3);
    }

    for (size_t i = 0; i < 12; i++) {
        snprintf(ref, sizeof ref, "refs/heads/device/%032zu", i);
        size_t moved = receive(ref, NULL, &tips[i]);
        /* Three commits, trees and segments, and the manifest they share. */
        cr_expect(moved == 10, "ref %zu moved %zu objects", i, moved);
    }
    for (size_t i = 0; i < 12; i += 11) {
        snprintf(ref, sizeof ref, "refs/heads/device/%032zu", i);
        cb_git_oid next = send(ref, &tips[i], 3, 1);
        size_t moved = receive(ref, &tips[i], &next);
        cr_expect(moved == 3, "ref %zu moved %zu objects", i, moved);
        cr_expect(receive(ref, &next, &next) == 0);
    }
    expect_receiver_is_whole();
}

Test(git_fetch, nothing_is_seen_before_it_is_accepted)
{
    cb_git_fetch *fetch = NULL;
    cb_git_oid found;
    cb_git_oid_list list = { 0 };
    cb_git_oid tip = send(REF, NULL, 0, 4);

    expect_ok(fetch_begin(REF, NULL, &fetch));
    cr_expect(cb_git_fetch_is_new(fetch));
    cr_expect(!cb_git_object_exists(receiver, &tip));
    expect_ok(cb_git_history_read(cb_git_fetch_repository(fetch), &tip, NULL, 4,
                                  &list, test_error()));
    cr_expect(list.count == 4);
    cb_git_oid_list_clear(&list);
    cb_git_fetch_end(fetch);

    cr_expect(!cb_git_object_exists(receiver, &tip));
    expect_status(CB_NOT_FOUND,
                  cb_git_ref_get(receiver, REF, &found, test_error()));
    cr_expect(run("ls -d receiver.git/fetch-*") != 0, "%s", output);
}

Test(git_fetch, many_objects_are_kept_as_one_pack)
{
    cb_git_oid tip = send(REF, NULL, 0, 60);

    cr_expect(receive(REF, NULL, &tip) == 181);

    cr_expect(run("ls receiver.git/objects/pack/*.pack | wc -l") == 0);
    expect_text(output, "1\n");
    expect_receiver_is_whole();
    cb_git_oid next = send(REF, &tip, 60, 1);
    cr_expect(receive(REF, &tip, &next) == 3);
    cr_expect(run("git -C receiver.git rev-list --count " REF) == 0);
    expect_text(output, "61\n");
    expect_receiver_is_whole();
}

Test(git_fetch, a_history_rewritten_at_the_host_is_noticed)
{
    cb_git_fetch *fetch = NULL;
    cb_git_oid_list list = { 0 };
    cb_git_oid old = send(REF, NULL, 0, 2);
    cr_expect(receive(REF, NULL, &old) == 7);
    cb_git_oid other = send(OTHER_REF, NULL, 0, 2);
    cr_assert(run("git -C host/log.git update-ref " REF " %s",
                  git_kit_hex(&other)) == 0,
              "%s", output);

    expect_ok(fetch_begin(REF, &old, &fetch));
    expect_status(CB_REFUSED,
                  cb_git_history_read(cb_git_fetch_repository(fetch), &other,
                                      &old, 10, &list, test_error()));
    cb_git_fetch_end(fetch);
}

Test(git_fetch, a_ref_that_moved_meanwhile_is_left_alone)
{
    cb_git_fetch *first = NULL;
    cb_git_fetch *second = NULL;
    cb_git_oid found;
    cb_git_oid tip = send(REF, NULL, 0, 2);
    expect_ok(fetch_begin(REF, NULL, &first));
    cb_git_oid next = send(REF, &tip, 2, 1);
    expect_ok(fetch_begin(REF, NULL, &second));

    expect_ok(cb_git_fetch_accept(second, REF, test_error()));
    expect_status(CB_REFUSED, cb_git_fetch_accept(first, REF, test_error()));

    expect_ok(cb_git_ref_get(receiver, REF, &found, test_error()));
    expect_text(git_kit_hex(&found), git_kit_hex(&next));
    cb_git_fetch_end(first);
    cb_git_fetch_end(second);
    expect_receiver_is_whole();
}

Test(git_fetch, an_absent_ref_and_too_much_are_told_apart)
{
    cb_git_fetch *fetch = NULL;
    const cb_git_oid unknown = { { 1 } };
    (void)send(REF, NULL, 0, 5);
    const cb_git_fetch_request narrow = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .remote_ref = REF,
        .objects_max = 15,
    };
    const cb_git_fetch_request small = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .remote_ref = REF,
        .bytes_max = 500,
    };

    expect_status(CB_NOT_FOUND, fetch_begin(OTHER_REF, NULL, &fetch));
    expect_text(test_error()->what, "");
    expect_status(CB_INPUT, fetch_begin("HEAD", NULL, &fetch));
    expect_status(CB_NOT_FOUND, fetch_begin(REF, &unknown, &fetch));
    expect_status(CB_LIMIT,
                  cb_git_fetch_begin(receiver, &narrow, &fetch, test_error()));
    expect_status(CB_LIMIT,
                  cb_git_fetch_begin(receiver, &small, &fetch, test_error()));
    expect_receiver_is_whole();
}

Test(git_fetch, what_a_killed_fetch_left_is_removed_by_the_next_writer)
{
    cb_git_fetch *fetch = NULL;
    int status = 0;
    cb_git_oid tip = send(REF, NULL, 0, 2);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        _exit(fetch_begin(REF, NULL, &fetch) == CB_OK ? 0 : 1);
    }
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
    cr_assert(run("ls -d receiver.git/fetch-*") == 0);

    expect_ok(cb_git_repository_lock(receiver, 0, test_error()));

    cr_expect(run("ls -d receiver.git/fetch-*") != 0, "%s", output);
    cr_expect(receive(REF, NULL, &tip) == 7);
    expect_receiver_is_whole();
}

static cb_status use_own_carrier(void *context, const char *repository,
                                 cb_git_service service, cb_buffer *url,
                                 struct git_remote_callbacks *callbacks,
                                 cb_error *reterr_error)
{
    (void)context;
    (void)service;
    (void)callbacks;
    (void)reterr_error;
    cb_buffer_append_format(url, "file://%s/%s", git_kit_path(&kit, "host"),
                            repository);
    return CB_OK;
}

Test(git_fetch, a_carrier_may_leave_the_conversation_to_libgit2)
{
    const cb_transport own_carrier = {
        .name = "libgit2's own",
        .configure = use_own_carrier,
    };
    const cb_git_fetch_request request = {
        .transport = &own_carrier,
        .repository = CB_GIT_LOG,
        .remote_ref = REF,
    };
    cb_git_fetch *fetch = NULL;
    cb_git_oid tip = send(REF, NULL, 0, 2);

    expect_ok(cb_git_fetch_begin(receiver, &request, &fetch, test_error()));
    expect_ok(cb_git_fetch_accept(fetch, REF, test_error()));
    cb_git_fetch_end(fetch);

    cr_expect(cb_git_object_exists(receiver, &tip));
    expect_receiver_is_whole();
}

Test(git_fetch, the_log_only_grows_and_mail_is_replaced)
{
    cb_git_oid old = send(REF, NULL, 0, 2);
    cr_assert(run("git -C sender.git push -q ../host/log.git :" REF) != 0);
    cr_assert(run("git -C sender.git push -q ../host/log.git +%s~1:" REF,
                  git_kit_hex(&old)) != 0);
    cr_expect(run("git -C host/log.git rev-parse " REF) == 0);

    cb_git_oid first = git_kit_commit(&kit, sender, NULL, 0, "old keys");
    cb_git_oid second = git_kit_commit(&kit, sender, NULL, 1, "new keys");
    expect_ok(cb_git_ref_swap(sender, UP_REF, &first, NULL, test_error()));
    expect_ok(push(CB_GIT_MAIL, UP_REF, true));
    expect_ok(cb_git_ref_swap(sender, UP_REF, &second, &first, test_error()));
    expect_status(CB_REFUSED, push(CB_GIT_MAIL, UP_REF, false));
    expect_ok(push(CB_GIT_MAIL, UP_REF, true));

    cr_expect(run("git -C host/mail.git cat-file -e %s", git_kit_hex(&first)) ==
                  0,
              "%s", output);
    expect_ok(
        cb_git_host_prune_mail(git_kit_path(&kit, "host"), 1000, test_error()));
    cr_expect(run("git -C host/mail.git cat-file -e %s", git_kit_hex(&first)) !=
              0);
    cr_expect(
        run("git -C host/mail.git cat-file -e %s", git_kit_hex(&second)) == 0);
    cr_expect(run("git -C host/mail.git fsck --strict --full") == 0, "%s",
              output);
}

Test(git_fetch, mail_is_not_pruned_while_somebody_pushes)
{
    int fd = open(git_kit_path(&kit, "host/mail.git/casebound.lock"), O_RDONLY);
    cr_assert(fd >= 0 && flock(fd, LOCK_SH) == 0);

    expect_status(CB_IN_USE, cb_git_host_prune_mail(git_kit_path(&kit, "host"),
                                                    50, test_error()));
    close(fd);
    expect_ok(
        cb_git_host_prune_mail(git_kit_path(&kit, "host"), 50, test_error()));
}

Test(git_fetch, a_push_holds_the_lock_that_pruning_waits_for)
{
    cb_git_oid oid = git_kit_commit(&kit, sender, NULL, 0, "keys");
    expect_ok(cb_git_ref_swap(sender, UP_REF, &oid, NULL, test_error()));
    cr_assert(run("printf '#!/bin/sh\\nflock -n -x casebound.lock true && "
                  "exit 0\\necho busy >&2\\nexit 1\\n' > "
                  "host/mail.git/hooks/pre-receive && "
                  "chmod +x host/mail.git/hooks/pre-receive") == 0,
              "%s", output);

    expect_status(CB_REFUSED, push(CB_GIT_MAIL, UP_REF, true));
    expect_contains(test_error()->meaning, "busy");
}

Test(git_fetch, a_push_while_mail_is_pruned_may_come_again)
{
    cb_git_oid oid = git_kit_commit(&kit, sender, NULL, 0, "keys");
    expect_ok(cb_git_ref_swap(sender, UP_REF, &oid, NULL, test_error()));
    int fd = open(git_kit_path(&kit, "host/mail.git/casebound.lock"), O_RDONLY);
    cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);

    expect_status(CB_UNREACHABLE, push(CB_GIT_MAIL, UP_REF, true));
    expect_contains(test_error()->what, "tidied up");
    close(fd);
    expect_ok(push(CB_GIT_MAIL, UP_REF, true));
}

Test(git_fetch, a_host_is_made_once)
{
    expect_status(CB_EXISTS, cb_git_host_create(git_kit_path(&kit, "host"),
                                                "#!/bin/sh\n", test_error()));
    expect_status(CB_INPUT, cb_git_host_create(git_kit_path(&kit, "next"),
                                               "exit 0\n", test_error()));
    cr_expect(run("git -C host/log.git config --get receive.denyDeletes") == 0);
    expect_text(output, "true\n");
    cr_expect(run("test -x host/log.git/hooks/pre-receive") == 0);
}

Test(git_fetch, a_hook_sees_what_is_pushed_before_it_is_there)
{
    cb_git_repository *hook = NULL;
    cb_git_update_list *updates = calloc(1, sizeof *updates);
    cr_assert(updates != NULL);
    cb_git_oid tip = git_kit_commit(&kit, sender, NULL, 0, "x");
    expect_ok(cb_git_ref_swap(sender, REF, &tip, NULL, test_error()));
    char text[1024];
    snprintf(text, sizeof text,
             "#!/bin/sh\ncat > %s/updates\ncp -r $GIT_QUARANTINE_PATH %s/q\n"
             "exit 1\n",
             kit.root, kit.root);
    expect_ok(cb_git_host_install_hook(git_kit_path(&kit, "host"), text,
                                       test_error()));
    expect_status(CB_REFUSED, push(CB_GIT_LOG, REF, false));

    expect_status(CB_USAGE, cb_git_hook_open(&hook, test_error()));
    setenv("GIT_DIR", git_kit_path(&kit, "host/log.git"), 1);
    setenv("GIT_QUARANTINE_PATH", git_kit_path(&kit, "q"), 1);
    expect_ok(cb_git_hook_open(&hook, test_error()));
    cr_expect(cb_git_object_exists(hook, &tip));
    cb_git_repository_close(hook);
    expect_ok(cb_git_repository_open(git_kit_path(&kit, "host/log.git"), &hook,
                                     test_error()));
    cr_expect(!cb_git_object_exists(hook, &tip));
    cb_git_repository_close(hook);
    unsetenv("GIT_DIR");

    int fd = open(git_kit_path(&kit, "updates"), O_RDONLY);
    expect_ok(cb_git_hook_read(fd, updates, test_error()));
    close(fd);
    cr_expect(updates->count == 1 && updates->items[0].is_creation &&
              !updates->items[0].is_removal);
    expect_text(updates->items[0].name, REF);
    expect_text(git_kit_hex(&updates->items[0].new_oid), git_kit_hex(&tip));
    free(updates);
}

Test(git_fetch, a_hook_takes_no_other_lines)
{
#define ZERO "0000000000000000000000000000000000000000"

    static const struct {
        const char *text;
        cb_status status;
    } rows[] = {
        { "", CB_OK },
        { ZERO " " ZERO " " REF "\n", CB_OK },
        { ZERO " " ZERO " " REF, CB_INPUT },
        { ZERO " " ZERO " HEAD\n", CB_INPUT },
        { ZERO " " ZERO " refs/heads/a b\n", CB_INPUT },
        { ZERO " " ZERO "\n", CB_INPUT },
        { "zz00000000000000000000000000000000000000 " ZERO " " REF "\n",
          CB_INPUT },
        { "\n", CB_INPUT },
    };

    cb_git_update_list *updates = calloc(1, sizeof *updates);
    cr_assert(updates != NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        git_kit_write(&kit, "lines", rows[i].text);
        int fd = open(git_kit_path(&kit, "lines"), O_RDONLY);
        cb_error_clear(test_error());
        cb_status status = cb_git_hook_read(fd, updates, test_error());
        cr_expect(status == rows[i].status, "row %zu gave %s", i,
                  test_describe(status));
        close(fd);
    }
    cr_assert(run("for i in $(seq 65); do echo " ZERO " " ZERO
                  " refs/heads/$i; done > lines") == 0);
    int fd = open(git_kit_path(&kit, "lines"), O_RDONLY);
    expect_status(CB_LIMIT, cb_git_hook_read(fd, updates, test_error()));
    close(fd);
    cr_assert(run("yes | head -c 1000000 | tr -d '\\n' > lines") == 0);
    fd = open(git_kit_path(&kit, "lines"), O_RDONLY);
    expect_status(CB_LIMIT, cb_git_hook_read(fd, updates, test_error()));
    close(fd);
    free(updates);
}

/* One device: a repository, a ref and some pushes of its own. */
static int work_as_device(int number)
{
    enum {
        PUSHES = 5
    };

    cb_git_repository *repository = NULL;
    char name[64];
    char ref[128];
    cb_git_oid tip;
    snprintf(name, sizeof name, "device%d.git", number);
    snprintf(ref, sizeof ref, "refs/heads/device/%032d", number);
    if (cb_git_repository_create(git_kit_path(&kit, name), ref, &repository,
                                 NULL) != CB_OK) {
        return 1;
    }
    const cb_git_push_request request = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .local_ref = ref,
        .remote_ref = ref,
    };
    for (uint64_t i = 0; i < PUSHES; i++) {
        cb_git_oid next =
            git_kit_commit(&kit, repository, i ? &tip : NULL, i, name);
        if (cb_git_ref_swap(repository, ref, &next, i ? &tip : NULL, NULL) !=
                CB_OK ||
            cb_git_push(repository, &request, NULL, NULL) != CB_OK) {
            return 2;
        }
        tip = next;
    }
    cb_git_repository_close(repository);
    return 0;
}

Test(git_fetch, devices_that_push_at_once_do_not_disturb_each_other)
{
    enum {
        DEVICES = 6
    };

    cb_git_ref_list list = { 0 };
    for (int i = 0; i < DEVICES; i++) {
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            _exit(work_as_device(i));
        }
    }
    for (int i = 0; i < DEVICES; i++) {
        int status = 0;
        cr_assert(wait(&status) > 0);
        cr_expect(status == 0, "a device ended with %d", status);
    }

    expect_ok(cb_transport_list(transport, CB_GIT_LOG, "refs/heads/device/",
                                100, &list, test_error()));
    cr_expect(list.count == DEVICES);
    cb_git_ref_list_clear(&list);
    cr_expect(run("git -C host/log.git rev-list --count --all") == 0);
    expect_text(output, "30\n");
    cr_expect(run("git -C host/log.git fsck --strict --full") == 0, "%s",
              output);
}
