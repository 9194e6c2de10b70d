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

/* Names of a folder below "refs", each loose ref as it is met. */
static cb_status walk_loose(ref_walk *walk, const char *git_path,
                            cb_error *error)
{
    DIR *folders[DEPTH_MAX] = { 0 };
    size_t lengths[DEPTH_MAX] = { 0 };
    char path[CB_RAW_PATH_BYTES];
    size_t depth = 0;
    cb_status status = CB_OK;
    const size_t base = strlen(git_path) + 1;
    int length = snprintf(path, sizeof path, "%s/refs", git_path);
    if (length < 0 || (size_t)length >= sizeof path) {
        return cb_error_set(error, CB_INPUT, "the path is too long");
    }
    folders[0] = opendir(path);
    lengths[0] = (size_t)length;
    if (folders[0] == NULL) {
        return errno == ENOENT
                   ? CB_OK
                   : cb_git_fail_errno(error, errno, "read '%s'", path);
    }
    while (!walk->over) {
        struct stat found;
        path[lengths[depth]] = '\0';
        const struct dirent *entry = readdir(folders[depth]);
        if (entry == NULL) {
            (void)closedir(folders[depth]);
            folders[depth] = NULL;
            if (depth == 0) {
                break;
            }
            depth--;
            continue;
        }
        const size_t name_length = strlen(entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (lengths[depth] + name_length + 2 >= sizeof path ||
            lengths[depth] + name_length + 1 - base >= NAME_BYTES) {
            walk->over = true;
            break;
        }
        (void)snprintf(path + lengths[depth], sizeof path - lengths[depth],
                       "/%s", entry->d_name);
        if (lstat(path, &found) != 0) {
            continue;
        }
        if (S_ISDIR(found.st_mode)) {
            if (depth + 1 == DEPTH_MAX) {
                check_ref(walk, path + base);
                continue;
            }
            folders[depth + 1] = opendir(path);
            if (folders[depth + 1] != NULL) {
                depth++;
                lengths[depth] = lengths[depth - 1] + name_length + 1;
            }
        } else if (name_length < 5 ||
                   strcmp(entry->d_name + name_length - 5, ".lock") != 0) {
            check_ref(walk, S_ISREG(found.st_mode) ? path + base : "refs/link");
        }
    }
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        if (folders[i] != NULL) {
            (void)closedir(folders[i]);
        }
    }
    return status;
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
