/* SPDX-License-Identifier: Apache-2.0 */
#include "git/reading.h"

#include <git2.h>

#define MAPPED_BYTES ((size_t)64 * 1024 * 1024)

void cb_git_reading_begin(cb_git_reading *reading)
{
    (void)git_libgit2_opts(GIT_OPT_GET_MWINDOW_MAPPED_LIMIT,
                           &reading->mapped_bytes);
    (void)git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, MAPPED_BYTES);
    (void)git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
    (void)git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
}

void cb_git_reading_end(const cb_git_reading *reading)
{
    (void)git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT,
                           reading->mapped_bytes);
    (void)git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 1);
    (void)git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
}
