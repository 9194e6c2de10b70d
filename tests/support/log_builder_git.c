/* SPDX-License-Identifier: Apache-2.0 */
#include "support/log_builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "support/expect.h"

void log_drop_commit(log_builder *log, log_writer *writer)
{
    char ref[CB_GIT_REF_TEXT_BYTES];
    cb_git_commit commit;
    expect_ok(cb_git_commit_read(log->repository, &writer->tip, &commit,
                                 test_error()));
    cr_assert(commit.has_parent);
    log_ref_of(writer, ref);
    log_move_ref(log, ref, &commit.parent, &writer->tip);
    writer->tip = commit.parent;
    writer->commits--;
    cb_git_commit_clear(&commit);
}

void log_read_file(log_builder *log, const char *path, cb_buffer *content)
{
    cb_git_commit commit;
    expect_ok(
        cb_git_commit_read(log->repository, &log->tip, &commit, test_error()));
    expect_ok(cb_git_file_read(log->repository, &commit.tree, path,
                               content->size_max, content, test_error()));
    cb_git_commit_clear(&commit);
}

void log_commit_file(log_builder *log, const char *ref, const char *name,
                     cb_span content, cb_git_oid *ret_oid)
{
    const cb_git_file file = { .path = name, .content = content };
    const cb_git_commit_plan plan = { .files = &file,
                                      .file_count = 1,
                                      .message = "receipt\n",
                                      .secret_key =
                                          log->writers[0].device_key };
    expect_ok(
        cb_git_commit_create(log->repository, &plan, ret_oid, test_error()));
    log_move_ref(log, ref, ret_oid, NULL);
}

int log_run(const log_builder *log, const char *format, ...)
{
    char command[2048];
    char whole[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole,
             "cd '%s' && export GIT_CONFIG_GLOBAL=/dev/null "
             "GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent && { %s; } >>out.txt "
             "2>&1",
             log->root, command);
    const int status = system(whole);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
