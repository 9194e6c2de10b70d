/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A temporary folder, a signing key and stock git, for tests of the Git layer.
 */
#ifndef CASEBOUND_TESTS_GIT_KIT_H
#define CASEBOUND_TESTS_GIT_KIT_H

#include "git/commit.h"

#define GIT_KIT_PATH_BYTES 256

typedef struct git_kit {
    char root[GIT_KIT_PATH_BYTES];
    cb_secret *key;
    uint8_t public_key[32];
    cb_secret *other_key;
    uint8_t other_public_key[32];
} git_kit;

/* A new folder, two fixed keys, libgit2 set up, git's own settings absent. */
void git_kit_begin(git_kit *kit);
void git_kit_end(git_kit *kit);

/*
 * Runs a shell command with the kit's folder as working folder; its exit
 * status.  What it printed, stderr included, is in `output`.
 */
int git_kit_run(const git_kit *kit, char *output, size_t output_size,
                const char *format, ...) CB_PRINTF(4, 5);

/* The kit's folder and a name, in one of eight places that take turns. */
const char *git_kit_path(const git_kit *kit, const char *name);

/* A commit as a stream has: `segment` and `manifest`.  Ends the test if not. */
cb_git_oid git_kit_commit(const git_kit *kit, cb_git_repository *repository,
                          const cb_git_oid *parent, uint64_t position,
                          const char *segment);

/* Three such commits, with a new ref that names the last. */
void git_kit_stream(const git_kit *kit, cb_git_repository *repository,
                    const char *ref, cb_git_oid oids[3]);

/* The name of an object in one of four places that take turns. */
const char *git_kit_hex(const cb_git_oid *oid);

/* A file with this text, below the kit's folder. */
void git_kit_write(const git_kit *kit, const char *name, const char *text);

#endif
