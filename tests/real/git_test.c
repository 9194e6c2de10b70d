/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we write, read by stock git; what stock git can write, read by us.
 */
#include "git/commit.h"
#include "git/object.h"
#include "git/repository.h"
#include "git/ssh_signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/git_kit.h"

#define REF "refs/heads/device/00112233445566778899aabbccddeeff"

static git_kit kit;
static cb_git_repository *repository;
static char output[16384];

static void begin(void)
{
    git_kit_begin(&kit);
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "own.git"), REF,
                                       &repository, test_error()));
}

static void end(void)
{
    cb_git_repository_close(repository);
    git_kit_end(&kit);
}

TestSuite(git, .init = begin, .fini = end);

/* Runs git in the repository; the exit status. */
#define run_git(...) \
    git_kit_run(&kit, output, sizeof output, "git -C own.git " __VA_ARGS__)

static void write_allowed_signers(const char *name, const uint8_t *public_key)
{
    cb_buffer line;
    cb_buffer_init(&line, 1024);
    expect_ok(
        cb_ssh_allowed_signer("device@log", public_key, &line, test_error()));
    git_kit_write(&kit, name, cb_buffer_text(&line));
    cb_buffer_clear(&line);
}

Test(git, commits_satisfy_stock_git)
{
    cb_git_oid oids[3];
    git_kit_stream(&kit, repository, REF, oids);
    write_allowed_signers("right", kit.public_key);
    write_allowed_signers("wrong", kit.other_public_key);

    cr_expect(run_git("fsck --strict --full") == 0, "%s", output);
    expect_text(output, "");
    cr_expect(run_git("log --format=%%s%%n%%an%%n%%ae%%n%%ci -1 " REF) == 0);
    expect_text(output, "segment\ncasebound\ncasebound@invalid\n"
                        "2001-09-09 01:46:42 +0000\n");
    for (size_t i = 0; i < 3; i++) {
        cr_expect(run_git("-c gpg.ssh.allowedSignersFile=../right "
                          "verify-commit %s",
                          git_kit_hex(&oids[i])) == 0,
                  "%s", output);
        cr_expect(run_git("-c gpg.ssh.allowedSignersFile=../wrong "
                          "verify-commit %s",
                          git_kit_hex(&oids[i])) != 0,
                  "%s", output);
    }
}

Test(git, the_same_plan_gives_the_same_commit)
{
    cb_git_repository *second = NULL;
    expect_ok(cb_git_repository_create(git_kit_path(&kit, "second.git"), REF,
                                       &second, test_error()));

    cb_git_oid a = git_kit_commit(&kit, repository, NULL, 7, "bytes");
    cb_git_oid b = git_kit_commit(&kit, second, NULL, 7, "bytes");
    cb_git_oid again = git_kit_commit(&kit, repository, NULL, 7, "bytes");
    cb_git_oid later = git_kit_commit(&kit, repository, NULL, 8, "bytes");

    expect_text(git_kit_hex(&a), git_kit_hex(&b));
    expect_text(git_kit_hex(&again), git_kit_hex(&a));
    cr_expect(!cb_git_oid_equal(&a, &later));
    /* What a log of today holds must be what every later version writes. */
    expect_text(git_kit_hex(&a), "71fe31e1dd47d714328e2e4bd34821daa5384544");
    cb_git_repository_close(second);
}

static cb_status change_tree(const cb_git_oid *parent, uint64_t position,
                             const cb_git_file *files, size_t count,
                             cb_git_oid *ret_oid)
{
    const cb_git_commit_plan plan = {
        .parent = parent,
        .keep_tree = parent != NULL,
        .files = files,
        .file_count = count,
        .message = "log\n",
        .position = position,
        .secret_key = kit.key,
    };
    return cb_git_commit_create(repository, &plan, ret_oid, test_error());
}

Test(git, a_tree_keeps_what_is_not_changed_and_loses_empty_folders)
{
    const cb_git_file first[] = {
        { .path = "checkpoint", .content = cb_span_of_text("one") },
        { .path = "tile/0/000.p/1", .content = cb_span_of_text("a") },
        { .path = "tile/0/000.p/2", .content = cb_span_of_text("ab") },
        { .path = "tile/entries/000.p/2", .content = cb_span_of_text("e") },
        { .path = "deep/deeper/deepest", .content = cb_span_of_text("d") },
    };
    const cb_git_file second[] = {
        { .path = "checkpoint", .content = cb_span_of_text("two") },
        { .path = "tile/0/000", .content = cb_span_of_text("abc") },
        { .path = "tile/0/000.p/1", .remove = true },
        { .path = "tile/0/000.p/2", .remove = true },
        { .path = "deep/deeper/deepest", .remove = true },
    };
    cb_git_oid a;
    cb_git_oid b;
    cb_buffer content;
    cb_git_commit commit = { 0 };
    cb_buffer_init(&content, 100);

    expect_ok(change_tree(NULL, 0, first, 5, &a));
    expect_ok(change_tree(&a, 1, second, 5, &b));

    cr_expect(run_git("ls-tree -r -t --name-only %s", git_kit_hex(&b)) == 0);
    expect_text(output, "checkpoint\ntile\ntile/0\ntile/0/000\ntile/entries\n"
                        "tile/entries/000.p\ntile/entries/000.p/2\n");
    expect_ok(cb_git_commit_read(repository, &b, &commit, test_error()));
    expect_ok(cb_git_file_read(repository, &commit.tree, "tile/0/000", 3,
                               &content, test_error()));
    expect_text(cb_buffer_text(&content), "abc");
    expect_status(CB_NOT_FOUND,
                  cb_git_file_read(repository, &commit.tree, "tile/0/000.p/1",
                                   3, &content, test_error()));
    expect_status(CB_NOT_FOUND,
                  cb_git_file_read(repository, &commit.tree, "tile/0", 3,
                                   &content, test_error()));
    expect_status(CB_NOT_FOUND,
                  cb_git_file_read(repository, &commit.tree, "checkpoint/a", 3,
                                   &content, test_error()));
    expect_status(CB_LIMIT,
                  cb_git_file_read(repository, &commit.tree, "tile/0/000", 2,
                                   &content, test_error()));
    cb_git_commit_clear(&commit);
    cb_buffer_clear(&content);
}

Test(git, a_commit_takes_plain_paths_only)
{
    static const char *const bad[] = {
        "",      "/a",     "a/",   "a//b",     "../a", ".git/config",
        "a/.b",  "a b",    "a\\b", "\xc3\xa4", "a\nb", "1/2/3/4/5/6/7/8/9",
        "a/./b", "a/../b", "a:b",
    };
    const cb_git_file twice[] = {
        { .path = "a", .content = cb_span_of_text("1") },
        { .path = "a", .content = cb_span_of_text("2") },
    };
    const cb_git_file clash[] = {
        { .path = "a", .content = cb_span_of_text("1") },
        { .path = "a/b", .content = cb_span_of_text("2") },
    };
    cb_git_oid oid;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const cb_git_file file = { .path = bad[i] };
        cb_status status = change_tree(NULL, 0, &file, 1, &oid);
        cr_expect(status == CB_INPUT, "'%s' gave %s", bad[i],
                  cb_status_name(status));
        cb_error_clear(test_error());
    }
    expect_status(CB_INPUT, change_tree(NULL, 0, twice, 2, &oid));
    expect_status(CB_INPUT, change_tree(NULL, 0, clash, 2, &oid));
    expect_status(CB_LIMIT, change_tree(NULL, 0, twice, 0, &oid));
}

Test(git, refs_move_by_compare_and_swap)
{
    cb_git_oid oids[3];
    cb_git_oid found;
    cb_git_ref_list list = { 0 };
    git_kit_stream(&kit, repository, REF, oids);

    expect_status(CB_REFUSED, cb_git_ref_swap(repository, REF, &oids[0],
                                              &oids[1], test_error()));
    expect_status(CB_REFUSED, cb_git_ref_swap(repository, REF, &oids[0], NULL,
                                              test_error()));
    expect_status(CB_REFUSED,
                  cb_git_ref_swap(repository, "refs/heads/none", &oids[0],
                                  &oids[1], test_error()));
    expect_ok(cb_git_ref_get(repository, REF, &found, test_error()));
    expect_text(git_kit_hex(&found), git_kit_hex(&oids[2]));

    expect_ok(cb_git_ref_swap(repository, "refs/heads/log", &oids[0], NULL,
                              test_error()));
    expect_ok(cb_git_ref_list_read(repository, "refs/heads/", 2, &list,
                                   test_error()));
    cr_expect(list.count == 2);
    expect_text(list.items[0].name, REF);
    cb_git_ref_list_clear(&list);
    expect_status(CB_LIMIT, cb_git_ref_list_read(repository, "refs/heads/", 1,
                                                 &list, test_error()));
    expect_status(CB_REFUSED, cb_git_ref_swap(repository, "refs/heads/log",
                                              NULL, &oids[1], test_error()));
    expect_ok(cb_git_ref_swap(repository, "refs/heads/log", NULL, &oids[0],
                              test_error()));
    expect_status(CB_NOT_FOUND, cb_git_ref_get(repository, "refs/heads/log",
                                               &found, test_error()));
}

Test(git, a_ref_that_points_to_another_is_damaged)
{
    cb_git_oid oids[3];
    cb_git_oid found;
    cb_git_ref_list list = { 0 };
    git_kit_stream(&kit, repository, REF, oids);

    cr_assert(run_git("symbolic-ref refs/heads/log " REF) == 0, "%s", output);

    expect_status(CB_DAMAGED, cb_git_ref_get(repository, "refs/heads/log",
                                             &found, test_error()));
    expect_status(CB_DAMAGED, cb_git_ref_list_read(repository, "refs/", 10,
                                                   &list, test_error()));
    expect_status(CB_INPUT,
                  cb_git_ref_get(repository, "HEAD", &found, test_error()));
    expect_status(CB_INPUT, cb_git_ref_get(repository, "refs/heads/../a",
                                           &found, test_error()));
}

Test(git, a_history_is_read_from_the_oldest_new_commit)
{
    cb_git_oid oids[3];
    cb_git_oid_list list = { 0 };
    git_kit_stream(&kit, repository, REF, oids);
    cb_git_oid stranger = git_kit_commit(&kit, repository, NULL, 0, "other");

    expect_ok(cb_git_history_read(repository, &oids[2], NULL, 3, &list,
                                  test_error()));
    cr_expect(list.count == 3);
    for (size_t i = 0; i < 3; i++) {
        expect_text(git_kit_hex(&list.items[i]), git_kit_hex(&oids[i]));
    }
    cb_git_oid_list_clear(&list);
    expect_ok(cb_git_history_read(repository, &oids[2], &oids[1], 1, &list,
                                  test_error()));
    cr_expect(list.count == 1);
    expect_text(git_kit_hex(&list.items[0]), git_kit_hex(&oids[2]));
    cb_git_oid_list_clear(&list);
    expect_ok(cb_git_history_read(repository, &oids[2], &oids[2], 0, &list,
                                  test_error()));
    cr_expect(list.count == 0);
    cb_git_oid_list_clear(&list);

    expect_status(CB_LIMIT, cb_git_history_read(repository, &oids[2], NULL, 2,
                                                &list, test_error()));
    expect_status(CB_REFUSED,
                  cb_git_history_read(repository, &oids[2], &stranger, 10,
                                      &list, test_error()));
}

Test(git, a_commit_is_bound_to_the_key_that_signed_it)
{
    static const char *const names[] = { "manifest", "segment" };
    static const char *const others[] = { "manifest", "segments" };
    cb_git_oid oids[3];
    cb_git_oid blobs[2];
    cb_git_commit commit = { 0 };
    cb_buffer content;
    cb_buffer_init(&content, 100);
    git_kit_stream(&kit, repository, REF, oids);

    expect_ok(cb_git_commit_read(repository, &oids[1], &commit, test_error()));
    expect_ok(cb_git_commit_verify(&commit, kit.public_key, test_error()));
    expect_status(CB_DAMAGED, cb_git_commit_verify(
                                  &commit, kit.other_public_key, test_error()));
    cr_expect(commit.has_parent && cb_git_oid_equal(&commit.parent, &oids[0]));
    cr_expect(commit.date_s == CB_GIT_DATE_START_S + 1);
    cr_expect(cb_span_equal(commit.message, cb_span_of_text("segment\n")));
    expect_ok(cb_git_tree_expect(repository, &commit.tree, names, 2, blobs,
                                 test_error()));
    expect_ok(
        cb_git_blob_read(repository, &blobs[1], 6, &content, test_error()));
    expect_text(cb_buffer_text(&content), "second");
    expect_status(CB_DAMAGED,
                  cb_git_tree_expect(repository, &commit.tree, others, 2, blobs,
                                     test_error()));
    expect_status(CB_DAMAGED,
                  cb_git_tree_expect(repository, &commit.tree, names, 1, blobs,
                                     test_error()));
    commit.payload.bytes[commit.payload.size - 2] ^= 1;
    expect_status(CB_DAMAGED,
                  cb_git_commit_verify(&commit, kit.public_key, test_error()));
    cb_git_commit_clear(&commit);
    cb_buffer_clear(&content);
}

Test(git, one_writer_at_a_time_tidies_up_after_a_killed_one)
{
    static const char *const left_over[] = {
        "own.git/refs/heads/device/00112233445566778899aabbccddeeff.lock",
        "own.git/packed-refs.lock",
        "own.git/objects/pack/pack_git2_1234",
        "own.git/objects/pack/tmp_idx_1234",
        "own.git/fetch-abcdef/objects/pack/x",
    };
    cb_git_oid oids[3];
    cb_git_oid next;
    git_kit_stream(&kit, repository, REF, oids);
    cr_assert(git_kit_run(&kit, output, sizeof output,
                          "mkdir -p own.git/fetch-abcdef/objects/pack && "
                          "ln -s /etc own.git/fetch-abcdef/etc") == 0,
              "%s", output);
    for (size_t i = 0; i < sizeof left_over / sizeof left_over[0]; i++) {
        git_kit_write(&kit, left_over[i], "");
    }
    next = git_kit_commit(&kit, repository, &oids[2], 3, "fourth");
    expect_status(CB_IN_USE, cb_git_ref_swap(repository, REF, &next, &oids[2],
                                             test_error()));

    expect_ok(cb_git_repository_lock(repository, 0, test_error()));

    for (size_t i = 0; i < sizeof left_over / sizeof left_over[0]; i++) {
        cr_expect(access(git_kit_path(&kit, left_over[i]), F_OK) != 0, "'%s'",
                  left_over[i]);
    }
    cr_expect(access("/etc/passwd", F_OK) == 0);
    cr_expect(access(git_kit_path(&kit, "own.git/fetch-abcdef"), F_OK) != 0);
    expect_ok(cb_git_ref_swap(repository, REF, &next, &oids[2], test_error()));
    cr_expect(run_git("fsck --strict --full") == 0, "%s", output);

    cb_git_repository *second = NULL;
    expect_ok(cb_git_repository_open(git_kit_path(&kit, "own.git"), &second,
                                     test_error()));
    expect_status(CB_IN_USE, cb_git_repository_lock(second, 50, test_error()));
    cb_git_repository_close(repository);
    repository = NULL;
    expect_ok(cb_git_repository_lock(second, 0, test_error()));
    cb_git_repository_close(second);
}

Test(git, a_repository_is_made_once_and_opened_where_it_is)
{
    cb_git_repository *other = NULL;

    expect_status(CB_EXISTS,
                  cb_git_repository_create(git_kit_path(&kit, "own.git"), REF,
                                           &other, test_error()));
    expect_status(CB_NOT_FOUND,
                  cb_git_repository_open(git_kit_path(&kit, "none.git"), &other,
                                         test_error()));
    expect_status(CB_INPUT,
                  cb_git_repository_create(git_kit_path(&kit, "new.git"),
                                           "heads/a", &other, test_error()));
    expect_text(cb_git_repository_path(repository),
                git_kit_path(&kit, "own.git"));
}

Test(git, settings_of_the_user_have_no_say)
{
    cb_git_oid before = git_kit_commit(&kit, repository, NULL, 0, "x");
    git_kit_write(&kit, ".gitconfig",
                  "[user]\n\tname = ann\n[commit]\n\tgpgsign = true\n"
                  "[url \"/nowhere\"]\n\tinsteadOf = /\n");
    unsetenv("GIT_CONFIG_GLOBAL");

    cb_git_oid after = git_kit_commit(&kit, repository, NULL, 0, "x");

    expect_text(git_kit_hex(&after), git_kit_hex(&before));
}
