/* SPDX-License-Identifier: Apache-2.0 */
#include "support/git_kit.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "git/folder.h"
#include "support/expect.h"

static void make_key(unsigned char first, cb_secret **key, uint8_t *public_key)
{
    unsigned char seed[crypto_sign_SEEDBYTES] = { first };
    expect_ok(cb_secret_create(crypto_sign_SECRETKEYBYTES, key, test_error()));
    crypto_sign_seed_keypair(public_key, cb_secret_bytes(*key), seed);
}

void git_kit_begin(git_kit *kit)
{
    const char *base = getenv("TMPDIR");
    cr_assert(sodium_init() >= 0);
    snprintf(kit->root, sizeof kit->root, "%s/casebound-git-XXXXXX",
             base ? base : "/tmp");
    cr_assert(mkdtemp(kit->root) != NULL);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    setenv("HOME", kit->root, 1);
    unsetenv("GIT_DIR");
    expect_ok(cb_git_begin(test_error()));
    make_key(1, &kit->key, kit->public_key);
    make_key(2, &kit->other_key, kit->other_public_key);
}

void git_kit_end(git_kit *kit)
{
    cb_secret_destroy(kit->key);
    cb_secret_destroy(kit->other_key);
    cb_git_end();
    cb_folder_remove(kit->root);
}

int git_kit_run(const git_kit *kit, char *output, size_t output_size,
                const char *format, ...)
{
    char command[4096];
    char line[8192];
    char rest[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "cd %s && { %s; } 2>&1", kit->root, command);
    FILE *pipe = popen(line, "r");
    cr_assert(pipe != NULL);
    size_t size = fread(output, 1, output_size - 1, pipe);
    output[size] = 0;
    while (fread(rest, 1, sizeof rest, pipe) > 0) {
    }
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

const char *git_kit_path(const git_kit *kit, const char *name)
{
    static char places[8][2 * GIT_KIT_PATH_BYTES];
    static unsigned turn;
    char *place = places[turn++ % 8];
    snprintf(place, sizeof places[0], "%s/%s", kit->root, name);
    return place;
}

cb_git_oid git_kit_commit(const git_kit *kit, cb_git_repository *repository,
                          const cb_git_oid *parent, uint64_t position,
                          const char *segment)
{
    const cb_git_file files[] = {
        { .path = "manifest", .content = cb_span_of_text("one segment\n") },
        { .path = "segment", .content = cb_span_of_text(segment) },
    };
    const cb_git_commit_plan plan = {
        .parent = parent,
        .files = files,
        .file_count = 2,
        .message = "segment\n",
        .position = position,
        .secret_key = kit->key,
    };
    cb_git_oid oid;
    expect_ok(cb_git_commit_create(repository, &plan, &oid, test_error()));
    return oid;
}

void git_kit_stream(const git_kit *kit, cb_git_repository *repository,
                    const char *ref, cb_git_oid oids[3])
{
    static const char *const segments[] = { "first", "second", "third" };
    for (uint64_t i = 0; i < 3; i++) {
        const cb_git_oid *parent = i ? &oids[i - 1] : NULL;
        oids[i] = git_kit_commit(kit, repository, parent, i, segments[i]);
        expect_ok(
            cb_git_ref_swap(repository, ref, &oids[i], parent, test_error()));
    }
}

const char *git_kit_hex(const cb_git_oid *oid)
{
    static char places[4][CB_GIT_OID_TEXT_BYTES];
    static unsigned turn;
    char *place = places[turn++ % 4];
    cb_git_oid_format(oid, place);
    return place;
}

void git_kit_write(const git_kit *kit, const char *name, const char *text)
{
    FILE *file = fopen(git_kit_path(kit, name), "w");
    cr_assert(file != NULL);
    fputs(text, file);
    fclose(file);
}
