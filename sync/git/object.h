/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading Git objects that a stranger may have made.
 *
 * Only what commit.h writes is read back; everything else is CB_DAMAGED with
 * words that name the object.  The size of an object is taken from its header
 * before its content is inflated, and libgit2 re-hashes what it reads.
 *
 * A commit that is accepted here has exactly this form, so that nothing can
 * be hidden in one:
 *
 *     tree <40 hex>
 *     parent <40 hex>                                   at most one
 *     author casebound <casebound@invalid> <date> +0000
 *     committer casebound <casebound@invalid> <date> +0000
 *     gpgsig <an SSH signature over the rest>
 *     <empty line>
 *     <message: at most 1,024 bytes of printable ASCII and line feeds>
 */
#ifndef CASEBOUND_GIT_OBJECT_H
#define CASEBOUND_GIT_OBJECT_H

#include "git/repository.h"

#include <casebound/limits.h>

typedef struct cb_git_commit {
    cb_git_oid oid;
    cb_git_oid tree;
    cb_git_oid parent; /* zero where has_parent is false */
    bool has_parent;
    uint64_t date_s;
    cb_buffer payload;   /* the bytes that were signed */
    cb_buffer signature; /* the armoured SSH signature, as stored */
    cb_span message;     /* inside payload */
} cb_git_commit;

typedef struct cb_git_entry {
    char name[CB_GIT_NAME_BYTES_MAX + 1];
    bool is_folder;
    cb_git_oid oid;
} cb_git_entry;

/* In Git's order. */
typedef struct cb_git_entry_list {
    cb_git_entry *items;
    size_t count;
} cb_git_entry_list;

typedef struct cb_git_oid_list {
    cb_git_oid *items;
    size_t count;
} cb_git_oid_list;

/* Whether an object is there, in the repository or in one it borrows from. */
bool cb_git_object_exists(const cb_git_repository *repository,
                          const cb_git_oid *oid);

/*
 * A path of names of letters, digits, '.', '-' and '_', none of which begins
 * with a dot: the only paths that are written or read.
 */
bool cb_git_path_valid(const char *path);

/*
 * One commit of the form above.  The signature is taken apart but not checked.
 * Released with cb_git_commit_clear.  CB_NOT_FOUND with text where the object
 * is absent, CB_DAMAGED where it is of another kind or form, CB_LIMIT where it
 * is too large.
 */
CB_NODISCARD cb_status cb_git_commit_read(const cb_git_repository *repository,
                                          const cb_git_oid *oid,
                                          cb_git_commit *ret_commit,
                                          cb_error *reterr_error);
void cb_git_commit_clear(cb_git_commit *commit);

/* CB_OK where this key signed the commit, CB_DAMAGED where it did not. */
CB_NODISCARD cb_status cb_git_commit_verify(const cb_git_commit *commit,
                                            const uint8_t public_key[32],
                                            cb_error *reterr_error);

/*
 * The entries of a tree: plain files and folders only (a link, a submodule or
 * an executable is CB_DAMAGED), at most count_max (CB_LIMIT).  Released with
 * cb_git_entry_list_clear.
 */
CB_NODISCARD cb_status cb_git_tree_read(const cb_git_repository *repository,
                                        const cb_git_oid *tree,
                                        size_t count_max,
                                        cb_git_entry_list *ret_list,
                                        cb_error *reterr_error);
void cb_git_entry_list_clear(cb_git_entry_list *list);

/*
 * A tree that holds exactly these files, given in byte order, and nothing
 * else; ret_oids takes one each.  CB_DAMAGED otherwise.
 */
CB_NODISCARD cb_status cb_git_tree_expect(const cb_git_repository *repository,
                                          const cb_git_oid *tree,
                                          const char *const *names,
                                          size_t count, cb_git_oid *ret_oids,
                                          cb_error *reterr_error);

/*
 * Appends a blob's bytes.  CB_LIMIT, before anything is inflated, where it is
 * larger than size_max; CB_NOT_FOUND with text, CB_DAMAGED.
 */
CB_NODISCARD cb_status cb_git_blob_read(const cb_git_repository *repository,
                                        const cb_git_oid *oid, size_t size_max,
                                        cb_buffer *content,
                                        cb_error *reterr_error);

/*
 * Appends the bytes of the file at `path` below a tree.  CB_NOT_FOUND without
 * text where the tree has no such path; otherwise as for a blob.
 */
CB_NODISCARD cb_status cb_git_file_read(const cb_git_repository *repository,
                                        const cb_git_oid *tree,
                                        const char *path, size_t size_max,
                                        cb_buffer *content,
                                        cb_error *reterr_error);

/*
 * The commits after `known` (NULL: from the very first) up to and including
 * `tip`, oldest first.  CB_REFUSED where the history of `tip` does not contain
 * `known`: it was rewritten.  CB_LIMIT where there are more than count_max
 * commits, CB_DAMAGED or CB_NOT_FOUND where one of them is not as it should
 * be.  Released with cb_git_oid_list_clear.
 */
CB_NODISCARD cb_status cb_git_history_read(const cb_git_repository *repository,
                                           const cb_git_oid *tip,
                                           const cb_git_oid *known,
                                           size_t count_max,
                                           cb_git_oid_list *ret_list,
                                           cb_error *reterr_error);
void cb_git_oid_list_clear(cb_git_oid_list *list);

#endif
