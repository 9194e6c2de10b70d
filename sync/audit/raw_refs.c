/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/raw_refs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "git/internal.h"

enum {
    DEPTH_MAX = 8,
    NAME_BYTES = 512
};

typedef struct ref_walk {
    cb_report *report;
    size_t count;
    bool over;                          /* more refs than are looked at */
    bool log_in_heads;                  /* refs/heads/log */
    bool log_in_remote;                 /* refs/remotes/<remote>/log */
    char remote[CB_GIT_REF_TEXT_BYTES]; /* the first one's name */
} ref_walk;

static bool is_identifier(const char *text)
{
    uint8_t bytes[CB_IDENTIFIER_BYTES];
    return cb_hex_parse(text, bytes, sizeof bytes);
}

static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* What is left of a branch's name behind "refs/heads/" or a remote's part. */
static bool is_branch_known(const char *branch)
{
    const char *device = after(branch, "device/");
    const char *outbox = after(branch, "outbox/");
    return strcmp(branch, "log") == 0 ||
           (device != NULL && is_identifier(device)) ||
           (outbox != NULL && is_identifier(outbox));
}

static bool is_remote_known(ref_walk *walk, const char *rest)
{
    const char *slash = strchr(rest, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - rest);
    if (length == 0 || length >= sizeof walk->remote) {
        return false;
    }
    if (walk->remote[0] == '\0') {
        memcpy(walk->remote, rest, length);
        walk->remote[length] = '\0';
    }
    if (strlen(walk->remote) != length ||
        strncmp(walk->remote, rest, length) != 0) {
        return false;
    }
    if (strcmp(slash + 1, "log") == 0) {
        walk->log_in_remote = true;
    }
    return strcmp(slash + 1, "HEAD") == 0 || is_branch_known(slash + 1);
}

static void check_ref(ref_walk *walk, const char *name)
{
    const char *heads = after(name, "refs/heads/");
    const char *remotes = after(name, "refs/remotes/");
    if (++walk->count > CB_RAW_REFS_MAX) {
        walk->over = true;
        return;
    }
    if (heads != NULL && strcmp(heads, "log") == 0) {
        walk->log_in_heads = true;
    }
    if ((heads == NULL || !is_branch_known(heads)) &&
        (remotes == NULL || !is_remote_known(walk, remotes))) {
        (void)cb_report_find(
            walk->report, "GITX", &(cb_audit_place){ .ref = name }, NULL,
            after(name, "refs/replace/") != NULL
                ? "Git is told to show another object in place of this one"
                : "the repository has a ref that no log has");
    }
}

/* The folders from "refs" down to where the walk stands. */
typedef struct loose_walk {
    ref_walk *walk;
    DIR *folders[DEPTH_MAX];
    size_t lengths[DEPTH_MAX]; /* of the path of each */
    size_t depth;              /* folders that are open */
    size_t base;               /* where the ref's name begins in the path */
    char path[CB_RAW_PATH_BYTES];
} loose_walk;

static void enter_folder(loose_walk *loose)
{
    if (loose->depth == DEPTH_MAX) {
        check_ref(loose->walk, loose->path + loose->base);
        return;
    }
    DIR *folder = opendir(loose->path);
    if (folder != NULL) {
        loose->folders[loose->depth] = folder;
        loose->lengths[loose->depth] = strlen(loose->path);
        loose->depth++;
    }
}

static bool ends_in_lock(const char *name)
{
    const size_t length = strlen(name);
    return length >= 5 && strcmp(name + length - 5, ".lock") == 0;
}

/* One name in the deepest open folder. */
static void visit(loose_walk *loose, const char *name)
{
    struct stat found;
    const size_t length = loose->lengths[loose->depth - 1];
    const size_t whole = length + strlen(name) + 1;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return;
    }
    if (whole >= sizeof loose->path || whole - loose->base >= NAME_BYTES) {
        loose->walk->over = true;
        return;
    }
    (void)snprintf(loose->path + length, sizeof loose->path - length, "/%s",
                   name);
    if (lstat(loose->path, &found) != 0) {
        return; /* gone meanwhile */
    }
    if (S_ISDIR(found.st_mode)) {
        enter_folder(loose);
    } else if (!S_ISREG(found.st_mode)) {
        check_ref(loose->walk, "refs/link");
    } else if (!ends_in_lock(name)) {
        check_ref(loose->walk, loose->path + loose->base);
    }
}

static void leave_folder(loose_walk *loose)
{
    loose->depth--;
    (void)closedir(loose->folders[loose->depth]);
}

static cb_status walk_loose(ref_walk *walk, const char *git_path,
                            cb_error *error)
{
    loose_walk loose = { .walk = walk, .base = strlen(git_path) + 1 };
    struct stat found;
    int length = snprintf(loose.path, sizeof loose.path, "%s/refs", git_path);
    if (length < 0 || (size_t)length >= sizeof loose.path) {
        return cb_error_set(error, CB_INPUT, "the path is too long");
    }
    if (lstat(loose.path, &found) != 0) {
        return errno == ENOENT
                   ? CB_OK
                   : cb_git_fail_errno(error, errno, "read '%s'", loose.path);
    }
    enter_folder(&loose);
    while (loose.depth > 0 && !walk->over) {
        loose.path[loose.lengths[loose.depth - 1]] = '\0';
        /* A folder of this walk is read by this thread alone. */
        const struct dirent *entry = readdir(/* NOLINT(concurrency-mt-unsafe) */
                                             loose.folders[loose.depth - 1]);
        if (entry == NULL) {
            leave_folder(&loose);
        } else {
            visit(&loose, entry->d_name);
        }
    }
    while (loose.depth > 0) {
        leave_folder(&loose);
    }
    return CB_OK;
}

static cb_status walk_packed(ref_walk *walk, const char *git_path,
                             cb_error *error)
{
    char path[CB_RAW_PATH_BYTES];
    char line[NAME_BYTES];
    (void)snprintf(path, sizeof path, "%s/packed-refs", git_path);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT
                   ? CB_OK
                   : cb_git_fail_errno(error, errno, "read '%s'", path);
    }
    while (!walk->over && fgets(line, sizeof line, file) != NULL) {
        size_t length = strcspn(line, "\n");
        if (line[length] == '\0' && feof(file) == 0) {
            walk->over = true; /* no ref of ours has so long a name */
            break;
        }
        line[length] = '\0';
        if (line[0] != '#' && line[0] != '^') {
            const char *space = strchr(line, ' ');
            check_ref(walk, space == NULL ? line : space + 1);
        }
    }
    (void)fclose(file);
    return CB_OK;
}

cb_status cb_raw_refs_check(const char *git_path, cb_report *report,
                            char ret_prefix[CB_GIT_REF_TEXT_BYTES],
                            cb_error *reterr_error)
{
    ref_walk walk = { .report = report };
    cb_status status = walk_loose(&walk, git_path, reterr_error);
    if (status == CB_OK) {
        status = walk_packed(&walk, git_path, reterr_error);
    }
    if (walk.over) {
        (void)cb_report_find(report, "GITX", &(cb_audit_place){ .ref = "refs" },
                             NULL,
                             "the repository has more, or longer, refs "
                             "than a log can have");
    }
    if (walk.log_in_remote) {
        (void)snprintf(ret_prefix, CB_GIT_REF_TEXT_BYTES,
                       "refs/remotes/%.100s/", walk.remote);
    } else {
        (void)snprintf(ret_prefix, CB_GIT_REF_TEXT_BYTES, "refs/heads/");
    }
    return status;
}
