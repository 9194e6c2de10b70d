/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log host's side.
 *
 * A log host is a folder with two bare repositories:
 *
 *     log.git    grows only: no ref is removed or moved back, and the hook
 *                decides what is taken
 *     mail.git   each ref is one commit that is replaced; pruned, because what
 *                was erased must not survive in it; the hook decides here too
 *
 * Each has a lock file.  Whoever pushes through us holds its flock shared;
 * whoever removes objects holds it alone, for Git would otherwise prune what a
 * push has just brought.  A wrapper for ssh does the same:
 * `flock -s log.git/casebound.lock git-receive-pack log.git`.
 */
#ifndef CASEBOUND_GIT_HOSTING_H
#define CASEBOUND_GIT_HOSTING_H

#include "git/transport.h"

#include <casebound/limits.h>

/*
 * Makes the folder (the one above must exist; an empty one is used as it is)
 * and both repositories, and installs `hook_text`, a program with its "#!"
 * line, as the receiving hook of each.  CB_EXISTS where one of the
 * repositories is there already, CB_PERMISSION, CB_NO_SPACE.
 */
CB_NODISCARD cb_status cb_git_host_create(const char *folder,
                                          const char *hook_text,
                                          cb_error *reterr_error);

/*
 * Replaces the receiving hook of both, durably and as a whole; mail.git is made
 * where a kill has left a host without it.
 */
CB_NODISCARD cb_status cb_git_host_install_hook(const char *folder,
                                                const char *hook_text,
                                                cb_error *reterr_error);

/*
 * Removes from mail.git everything that no ref names any more, after the
 * pushes that are under way, waiting at most wait_ms for them.  CB_IN_USE
 * where they take longer.
 */
CB_NODISCARD cb_status cb_git_host_prune_mail(const char *folder, int wait_ms,
                                              cb_error *reterr_error);

/* One line of what a push asks for; old_oid or new_oid zero: none. */
typedef struct cb_git_update {
    char name[CB_GIT_REF_TEXT_BYTES];
    cb_git_oid old_oid;
    cb_git_oid new_oid;
    bool is_creation;
    bool is_removal;
} cb_git_update;

typedef struct cb_git_update_list {
    cb_git_update items[CB_GIT_UPDATES_MAX];
    size_t count;
} cb_git_update_list;

/*
 * Inside a receiving hook: the repository together with the objects of the
 * push, which are not yet part of it.  CB_USAGE where this is not a hook.
 */
CB_NODISCARD cb_status cb_git_hook_open(cb_git_repository **ret_repository,
                                        cb_error *reterr_error);

/*
 * Reads the lines "<old> <new> <ref>" that git gives a receiving hook, to the
 * end.  CB_LIMIT where there are too many, CB_INPUT for any other form.
 */
CB_NODISCARD cb_status cb_git_hook_read(int fd, cb_git_update_list *ret_list,
                                        cb_error *reterr_error);

#endif
