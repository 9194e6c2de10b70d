/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stranger can put into a repository, with stock git or worse, and what
 * we make of it.
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

TestSuite(git_hostile, .init = begin, .fini = end);

/* Runs git in the repository; the exit status. */
#define run_git(...) \
    git_kit_run(&kit, output, sizeof output, "git -C own.git " __VA_ARGS__)

/* Stores a file's bytes as an object of any kind, with git's own hands. */
static cb_git_oid store_object(const char *kind, const void *bytes, size_t size)
{
    cb_git_oid oid = { { 0 } };
    FILE *file = fopen(git_kit_path(&kit, "object"), "w");
    cr_assert(file != NULL);
    cr_assert(fwrite(bytes, 1, size, file) == size);
    fclose(file);
    cr_assert(run_git("hash-object -w --literally -t %s ../object", kind) == 0,
              "%s", output);
    output[strcspn(output, "\n")] = 0;
    cr_assert(cb_git_oid_parse(output, &oid));
    return oid;
}

/* Signs a commit's text and stores it with the signature in its place. */
static cb_git_oid store_signed(const char *payload, const cb_secret *key)
{
    cb_buffer armor;
    cb_buffer whole;
    cb_buffer_init(&armor, 4096);
    cb_buffer_init(&whole, 65536);
    expect_ok(cb_ssh_sign(cb_span_of_text(payload), key, &armor, test_error()));
    const char *body = strstr(payload, "\n\n");
    cr_assert(body != NULL);
    cb_buffer_append(&whole, payload, (size_t)(body - payload) + 1);
    cb_buffer_append_text(&whole, "gpgsig ");
    for (const char *c = cb_buffer_text(&armor); *c; c++) {
        cb_buffer_append(&whole, c, 1);
        if (*c == '\n') {
            cb_buffer_append_text(&whole, " ");
        }
    }
    cb_buffer_append_text(&whole, body);
    cb_git_oid oid = store_object("commit", whole.bytes, whole.size);
    cb_buffer_clear(&armor);
    cb_buffer_clear(&whole);
    return oid;
}

/* Puts the values in place of $1, $2 and $3. */
static void fill_in(char *text, size_t size, const char *form,
                    const char *const values[3])
{
    size_t used = 0;
    for (; *form && used + 64 < size; form++) {
        if (*form == '$') {
            form++;
            used += (size_t)snprintf(text + used, size - used, "%s",
                                     values[*form - '1']);
        } else {
            text[used++] = *form;
        }
    }
    text[used] = 0;
}

Test(git_hostile, commits_of_another_form_are_damaged)
{
    static const char *const rows[] = {
        /* two parents */
        "tree $1\nparent $2\nparent $3\nauthor " CB_GIT_PERSON
        " 1000000003 +0000\ncommitter " CB_GIT_PERSON
        " 1000000003 +0000\n\nsegment\n",
        /* a person */
        "tree $1\nparent $2\nauthor ann <ann@example> 1000000003 +0000\n"
        "committer " CB_GIT_PERSON " 1000000003 +0000\n\nsegment\n",
        /* a time zone */
        "tree $1\nparent $2\nauthor " CB_GIT_PERSON
        " 1000000003 +0100\ncommitter " CB_GIT_PERSON
        " 1000000003 +0100\n\nsegment\n",
        /* two dates */
        "tree $1\nparent $2\nauthor " CB_GIT_PERSON
        " 1000000003 +0000\ncommitter " CB_GIT_PERSON
        " 1000000004 +0000\n\nsegment\n",
        /* one more header */
        "tree $1\nparent $2\nauthor " CB_GIT_PERSON
        " 1000000003 +0000\ncommitter " CB_GIT_PERSON
        " 1000000003 +0000\nencoding latin-1\n\nsegment\n",
        /* an escape in the message */
        "tree $1\nparent $2\nauthor " CB_GIT_PERSON
        " 1000000003 +0000\ncommitter " CB_GIT_PERSON
        " 1000000003 +0000\n\n\033[2J\n",
        /* no message */
        "tree $1\nauthor " CB_GIT_PERSON
        " 1000000003 +0000\ncommitter " CB_GIT_PERSON " 1000000003 +0000\n\n",
        /* a date that is no number */
        "tree $1\nauthor " CB_GIT_PERSON " -1 +0000\ncommitter " CB_GIT_PERSON
        " -1 +0000\n\nsegment\n",
    };
    cb_git_oid oids[3];
    cb_git_commit commit = { 0 };
    cb_git_oid_list list = { 0 };
    git_kit_stream(&kit, repository, REF, oids);
    expect_ok(cb_git_commit_read(repository, &oids[2], &commit, test_error()));
    cb_git_oid tree = commit.tree;
    cb_git_commit_clear(&commit);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char payload[1024];
        const char *const values[] = { git_kit_hex(&tree),
                                       git_kit_hex(&oids[2]),
                                       git_kit_hex(&oids[0]) };
        fill_in(payload, sizeof payload, rows[i], values);
        cb_git_oid hostile = store_signed(payload, kit.key);
        cb_error_clear(test_error());
        cb_status status =
            cb_git_commit_read(repository, &hostile, &commit, test_error());
        cr_expect(status == CB_DAMAGED, "row %zu gave %s", i,
                  test_describe(status));
        cb_error_clear(test_error());
        status = cb_git_history_read(repository, &hostile, NULL, 10, &list,
                                     test_error());
        cr_expect(status == CB_DAMAGED, "row %zu gave %s", i,
                  test_describe(status));
    }
}

Test(git_hostile, a_commit_without_one_good_signature_is_damaged)
{
    static const char form[] = "tree %s\nauthor " CB_GIT_PERSON
                               " 1000000000 +0000\ncommitter " CB_GIT_PERSON
                               " 1000000000 +0000\n%s\nsegment\n";
    char text[1024];
    cb_git_oid oids[3];
    cb_git_commit commit = { 0 };
    git_kit_stream(&kit, repository, REF, oids);
    expect_ok(cb_git_commit_read(repository, &oids[0], &commit, test_error()));
    cb_git_oid tree = commit.tree;
    cb_git_commit_clear(&commit);

    snprintf(text, sizeof text, form, git_kit_hex(&tree), "");
    cb_git_oid unsigned_commit = store_object("commit", text, strlen(text));
    expect_status(CB_DAMAGED, cb_git_commit_read(repository, &unsigned_commit,
                                                 &commit, test_error()));

    cb_git_oid foreign = store_signed(text, kit.other_key);
    expect_ok(cb_git_commit_read(repository, &foreign, &commit, test_error()));
    expect_status(CB_DAMAGED,
                  cb_git_commit_verify(&commit, kit.public_key, test_error()));
    expect_contains(test_error()->what, git_kit_hex(&foreign));
    cb_git_commit_clear(&commit);

    snprintf(text, sizeof text, form, git_kit_hex(&tree), "gpgsig nonsense\n");
    cb_git_oid nonsense = store_object("commit", text, strlen(text));
    expect_ok(cb_git_commit_read(repository, &nonsense, &commit, test_error()));
    expect_status(CB_DAMAGED,
                  cb_git_commit_verify(&commit, kit.public_key, test_error()));
    cb_git_commit_clear(&commit);

    cb_git_oid twice = store_signed(text, kit.key);
    expect_status(CB_DAMAGED, cb_git_commit_read(repository, &twice, &commit,
                                                 test_error()));
}

Test(git_hostile,
     an_object_of_another_kind_or_size_is_refused_before_it_is_read)
{
    enum {
        HUGE_BYTES = 40 * 1000 * 1000
    };

    cb_git_oid oids[3];
    cb_git_commit commit = { 0 };
    cb_git_entry_list entries = { 0 };
    cb_buffer content;
    cb_buffer_init(&content, 1000);
    git_kit_stream(&kit, repository, REF, oids);
    char *zeros = calloc(1, HUGE_BYTES);
    cr_assert(zeros != NULL);
    cb_git_oid blob = store_object("blob", zeros, HUGE_BYTES);
    cb_git_oid big_commit = store_object("commit", zeros, 10000);
    cb_git_oid big_tree = store_object("tree", zeros, 2 * 1000 * 1000);
    cb_git_oid bad_tree = store_object("tree", zeros, 100);
    const cb_git_oid absent = { { 1 } };
    free(zeros);

    expect_status(CB_LIMIT, cb_git_blob_read(repository, &blob, 1000, &content,
                                             test_error()));
    expect_status(CB_LIMIT, cb_git_commit_read(repository, &big_commit, &commit,
                                               test_error()));
    expect_status(CB_LIMIT, cb_git_tree_read(repository, &big_tree, 10,
                                             &entries, test_error()));
    expect_status(CB_DAMAGED, cb_git_tree_read(repository, &bad_tree, 10,
                                               &entries, test_error()));
    expect_status(CB_DAMAGED,
                  cb_git_commit_read(repository, &blob, &commit, test_error()));
    expect_status(CB_DAMAGED, cb_git_blob_read(repository, &oids[0], 1000,
                                               &content, test_error()));
    expect_status(CB_NOT_FOUND, cb_git_commit_read(repository, &absent, &commit,
                                                   test_error()));
    expect_status(CB_NOT_FOUND, cb_git_blob_read(repository, &absent, 1000,
                                                 &content, test_error()));
    cr_expect(content.size == 0);
    cb_buffer_clear(&content);
}

Test(git_hostile, a_tree_with_anything_but_plain_files_is_damaged)
{
    static const char *const rows[] = {
        "120000 blob $1\\tlink",       "160000 commit $2\\tmodule",
        "100755 blob $1\\tprogram",    "100644 blob $1\\t.git-config",
        "100644 blob $1\\twith space",
    };
    cb_git_oid oids[3];
    cb_git_entry_list entries = { 0 };
    git_kit_stream(&kit, repository, REF, oids);
    cb_git_oid blob = store_object("blob", "x", 1);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[256];
        cb_git_oid tree;
        const char *const values[] = { git_kit_hex(&blob),
                                       git_kit_hex(&oids[0]), "" };
        fill_in(line, sizeof line, rows[i], values);
        cr_assert(git_kit_run(&kit, output, sizeof output,
                              "printf '%s\\n' | git -C own.git mktree",
                              line) == 0,
                  "%s", output);
        output[strcspn(output, "\n")] = 0;
        cr_assert(cb_git_oid_parse(output, &tree));
        cb_error_clear(test_error());
        cb_status status =
            cb_git_tree_read(repository, &tree, 10, &entries, test_error());
        cr_expect(status == CB_DAMAGED, "row %zu gave %s", i,
                  test_describe(status));
    }
}

Test(git_hostile, an_object_whose_bytes_changed_is_damaged)
{
    cb_git_oid oids[3];
    cb_git_commit commit = { 0 };
    git_kit_stream(&kit, repository, REF, oids);
    const char *hex = git_kit_hex(&oids[2]);
    cr_assert(git_kit_run(&kit, output, sizeof output,
                          "f=own.git/objects/%.2s/%s; chmod u+w $f; "
                          "cp own.git/objects/%.2s/%s $f",
                          hex, hex + 2, git_kit_hex(&oids[1]),
                          git_kit_hex(&oids[1]) + 2) == 0,
              "%s", output);
    cb_git_repository_close(repository);
    expect_ok(cb_git_repository_open(git_kit_path(&kit, "own.git"), &repository,
                                     test_error()));

    expect_status(CB_DAMAGED, cb_git_commit_read(repository, &oids[2], &commit,
                                                 test_error()));
}
