/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making signed commits.
 *
 * The same plan gives the same bytes, and therefore the same object names, on
 * every machine and on every day: author, committer and the form of the date
 * are constant, and an Ed25519 signature has nothing random in it.  So a
 * commit that was lost in a crash is simply made again.
 *
 * The date says where the commit stands in its ref and nothing about when
 * anybody worked: CB_GIT_DATE_START_S plus `position`, in UTC.  Stock git wants
 * dates that do not run backwards along a history; these never do.
 *
 * The signature is the one stock git makes with gpg.format=ssh, namespace
 * "git".  Nothing here moves a ref.
 */
#ifndef CASEBOUND_GIT_COMMIT_H
#define CASEBOUND_GIT_COMMIT_H

#include "git/object.h"

#include <casebound/secret.h>

#define CB_GIT_PERSON_NAME  "casebound"
#define CB_GIT_PERSON_EMAIL "casebound@invalid"
#define CB_GIT_PERSON       CB_GIT_PERSON_NAME " <" CB_GIT_PERSON_EMAIL ">"

/* 2001-09-09 01:46:40 UTC: ten digits, as all later ones. */
#define CB_GIT_DATE_START_S 1000000000

typedef struct cb_git_file {
    const char *path; /* as cb_git_path_valid */
    cb_span content;
    bool remove; /* take the path away; content is ignored */
} cb_git_file;

typedef struct cb_git_commit_plan {
    /* NULL for the first commit of a ref. */
    const cb_git_oid *parent;
    /*
     * True: the tree is the parent's with the files put in or taken away.
     * False: the tree holds these files and nothing else.
     */
    bool keep_tree;
    const cb_git_file *files;
    size_t file_count;
    /* Printable ASCII and line feeds, ending in one line feed. */
    const char *message;
    /* Commits before this one in its ref; decides the date. */
    uint64_t position;
    /* The 64 bytes of an Ed25519 secret key. */
    const cb_secret *secret_key;
} cb_git_commit_plan;

/*
 * Writes blobs, trees and the signed commit, flushed to the disk.  CB_INPUT
 * where the plan does not have the accepted form (the same path twice, a path
 * to remove that is not there), CB_NOT_FOUND where the parent is absent,
 * CB_NO_SPACE, CB_IO.
 */
CB_NODISCARD cb_status cb_git_commit_create(cb_git_repository *repository,
                                            const cb_git_commit_plan *plan,
                                            cb_git_oid *ret_oid,
                                            cb_error *reterr_error);

#endif
