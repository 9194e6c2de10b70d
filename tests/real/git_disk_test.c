/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full disks, at the log host and here: small file systems in memory, which
 * only root may mount.
 */
#include "git/fetch.h"
#include "git/hosting.h"
#include "git/push.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/expect.h"
#include "support/git_kit.h"

#define REF "refs/heads/device/00112233445566778899aabbccddeeff"

enum {
    SEGMENT_BYTES = 1000 * 1000
};

static git_kit kit;
static char output[4096];

#define run(...) git_kit_run(&kit, output, sizeof output, __VA_ARGS__)

/* A commit larger than the small disk; its name. */
static cb_status make_commit(cb_git_repository *repository, cb_git_oid *ret_oid)
{
    uint32_t state = 1;
    uint8_t *bytes = calloc(1, SEGMENT_BYTES);
    cr_assert(bytes != NULL);
    for (size_t i = 0; i < SEGMENT_BYTES; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    const cb_git_file file = {
        .path = "segment",
        .content = { bytes, SEGMENT_BYTES },
    };
    const cb_git_commit_plan plan = {
        .files = &file,
        .file_count = 1,
        .message = "segment\n",
        .secret_key = kit.key,
    };
    cb_status status =
        cb_git_commit_create(repository, &plan, ret_oid, test_error());
    free(bytes);
    return status;
}

Test(git_disk, a_full_one_is_told_wherever_it_is)
{
    cb_git_repository *own = NULL;
    cb_git_repository *small = NULL;
    cb_transport *transport = NULL;
    cb_git_fetch *fetch = NULL;
    cb_git_oid oid;
    git_kit_begin(&kit);
    if (run("mkdir host small && mount -t tmpfs -o size=300k tmpfs host") !=
            0 ||
        run("mount -t tmpfs -o size=300k tmpfs small") != 0) {
        (void)run("umount host");
        git_kit_end(&kit);
        cr_skip_test("only root may mount a small disk");
    }
    expect_ok(cb_git_host_create(git_kit_path(&kit, "host"), "#!/bin/sh\n",
                                 test_error()));
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "own.git"), REF, &own,
                                       test_error()));
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "small/own.git"), REF,
                                       &small, test_error()));
    expect_ok(cb_transport_open(git_kit_path(&kit, "host"), &transport,
                                test_error()));
    const cb_git_push_request pushing = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .local_ref = REF,
        .remote_ref = REF,
    };
    const cb_git_fetch_request fetching = {
        .transport = transport,
        .repository = CB_GIT_LOG,
        .remote_ref = REF,
    };

    expect_ok(make_commit(own, &oid));
    expect_ok(cb_git_ref_swap(own, REF, &oid, NULL, test_error()));
    expect_status(CB_NO_SPACE, cb_git_push(own, &pushing, NULL, test_error()));
    expect_status(CB_NO_SPACE, make_commit(small, &oid));
    cr_assert(run("mount -o remount,size=10m host") == 0, "%s", output);
    expect_ok(cb_git_push(own, &pushing, NULL, test_error()));
    expect_status(CB_NO_SPACE,
                  cb_git_fetch_begin(small, &fetching, &fetch, test_error()));
    cr_expect(run("ls -d small/own.git/fetch-*") != 0, "%s", output);
    cr_assert(run("mount -o remount,size=10m small") == 0, "%s", output);
    expect_ok(cb_git_fetch_begin(small, &fetching, &fetch, test_error()));
    expect_ok(cb_git_fetch_accept(fetch, REF, test_error()));

    cb_git_fetch_end(fetch);
    cb_transport_close(transport);
    cb_git_repository_close(small);
    cb_git_repository_close(own);
    cr_assert(run("umount host small") == 0, "%s", output);
    git_kit_end(&kit);
}
