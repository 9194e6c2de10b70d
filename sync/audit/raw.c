/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/raw.h"

#include "audit/raw_refs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "git/hosting.h"
#include "git/internal.h"

enum {
    CONFIG_LINES_MAX = 10000,
    LINE_BYTES = 1024,
    FOLDER_ENTRIES_MAX = 1000000
};

static bool join(const char *folder, const char *name,
                 char path[CB_RAW_PATH_BYTES])
{
    int length = snprintf(path, CB_RAW_PATH_BYTES, "%s/%s", folder, name);
    return length > 0 && length < CB_RAW_PATH_BYTES;
}

static bool is_git_folder(const char *folder)
{
    static const char *const names[] = { "objects", "HEAD" };
    struct stat found;
    char path[CB_RAW_PATH_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!join(folder, names[i], path) || lstat(path, &found) != 0) {
            return false;
        }
    }
    return true;
}

cb_status cb_raw_locate(const char *path, char git_path[CB_RAW_PATH_BYTES],
                        cb_error *reterr_error)
{
    static const char *const names[] = { CB_GIT_LOG, ".git", "." };
    struct stat found;
    if (strlen(path) + sizeof CB_GIT_LOG + 1 >= CB_RAW_PATH_BYTES) {
        return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (join(path, names[i], git_path) && is_git_folder(git_path)) {
            return CB_OK;
        }
    }
    bool present = stat(path, &found) == 0;
    cb_status status = cb_error_set(reterr_error, CB_NOT_FOUND,
                                    present ? "'%.200s' is no log of a service"
                                            : "'%.200s' is not there",
                                    path);
    cb_error_next(reterr_error, "name the log's folder, its log.git, or a "
                                "clone of that");
    return status;
}

/* ---------------------------------------------------------------- settings */

/* What git init, git clone and this product write, and what cannot matter. */
static const char *const settings[] = {
    "core.bare",
    "core.bigfilethreshold",
    "core.filemode",
    "core.fsync",
    "core.fsyncmethod",
    "core.ignorecase",
    "core.logallrefupdates",
    "core.precomposeunicode",
    "core.repositoryformatversion",
    "core.sharedrepository",
    "core.symlinks",
    "gc.auto",
    "http.receivepack",
    "http.uploadpack",
    "pack.deltacachesize",
    "receive.advertisepushoptions",
    "receive.autogc",
    "receive.denycurrentbranch",
    "receive.denydeletes",
    "receive.denynonfastforwards",
    "receive.fsckobjects",
    "receive.maxinputsize",
    "receive.shallowupdate",
    "receive.unpacklimit",
    "remote..fetch",
    "remote..mirror",
    "remote..tagopt",
    "remote..url",
    "branch..merge",
    "branch..remote",
    "transfer.fsckobjects",
    "transfer.hiderefs",
    "transfer.unpacklimit",
    "uploadpack.allowanysha1inwant",
    "uploadpack.allowfilter",
    "uploadpack.allowtipsha1inwant",
    "uploadpack.hiderefs",
};

static bool is_setting_known(const char *name)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (strcmp(settings[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static char to_lower(char letter)
{
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
    const char *found = letter == '\0' ? NULL : strchr(upper, letter);
    if (found == NULL) {
        return letter;
    }
    return lower[found - upper];
}

static bool is_word(char letter)
{
    const char lower = to_lower(letter);
    return (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9') ||
           letter == '-';
}

/* "[remote "x"]" becomes "remote..", "[core]" "core."; NULL where neither. */
static const char *read_section(const char *line, char *section, size_t size)
{
    size_t used = 0;
    const char *at = line + 1;
    for (; is_word(*at); at++) {
        if (used + 3 >= size) {
            return NULL;
        }
        section[used++] = to_lower(*at);
    }
    section[used++] = '.';
    if (*at == ' ') {
        const char *end = strchr(at, ']');
        if (end == NULL || at[1] != '"' || end[-1] != '"') {
            return NULL;
        }
        section[used++] = '.';
        at = end;
    }
    section[used] = '\0';
    return *at == ']' ? at + 1 : NULL;
}

static void find_setting(cb_report *report, const char *shown)
{
    char text[80];
    (void)snprintf(text, sizeof text, "%.79s", shown);
    for (char *letter = text; *letter != '\0'; letter++) {
        if (*letter <= 0x20 || *letter >= 0x7f || *letter == '\'') {
            *letter = '?';
        }
    }
    (void)cb_report_find(report, "GITX", &(cb_audit_place){ .path = "config" },
                         NULL,
                         "the repository has the setting '%s', which no "
                         "log has",
                         text);
}

/* One line of the file; false ends the reading. */
static bool check_setting(cb_report *report, char *line, char *section,
                          size_t section_size)
{
    char name[LINE_BYTES + 64];
    const char *at = line + strspn(line, " \t");
    if (*at == '[') {
        at = read_section(at, section, section_size);
        if (at == NULL) {
            find_setting(report, line);
            return false;
        }
        at += strspn(at, " \t");
    }
    if (*at == '\0' || *at == '#' || *at == ';') {
        return true;
    }
    size_t length = strcspn(at, " \t=");
    (void)snprintf(name, sizeof name, "%s%.*s", section, (int)length, at);
    for (char *letter = name; *letter != '\0'; letter++) {
        *letter = to_lower(*letter);
    }
    size_t end = strlen(line);
    if (!is_setting_known(name) || line[end - 1] == '\\') {
        find_setting(report, name);
    }
    return true;
}

static cb_status check_config(const char *git_path, cb_report *report,
                              cb_error *error)
{
    char path[CB_RAW_PATH_BYTES];
    char line[LINE_BYTES];
    char section[LINE_BYTES] = "";
    size_t lines = 0;
    FILE *file = join(git_path, "config", path) ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return errno == ENOENT
                   ? CB_OK
                   : cb_git_fail_errno(error, errno, "read '%s'", path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        size_t length = strcspn(line, "\r\n");
        bool whole = line[length] != '\0' || feof(file) != 0;
        line[length] = '\0';
        if (!whole || ++lines > CONFIG_LINES_MAX) {
            find_setting(report, line);
            break;
        }
        if (!check_setting(report, line, section, sizeof section)) {
            break;
        }
    }
    (void)fclose(file);
    return CB_OK;
}

/* ------------------------------------------------------------------- files */

static void find_file(cb_report *report, const char *name, const char *words)
{
    (void)cb_report_find(report, "GITX", &(cb_audit_place){ .path = name },
                         NULL, "'%s' %s", name, words);
}

static void check_files(const char *git_path, cb_report *report)
{
    static const struct {
        const char *name;
        const char *words;
        bool empty_is_harmless;
    } rows[] = {
        { "info/grafts", "gives commits other parents", true },
        { "shallow", "cuts the history off", true },
        { "objects/info/alternates", "takes objects from another place", true },
        { "objects/info/http-alternates", "takes objects from another place",
          true },
        { "commondir", "takes refs and settings from another place", false },
        { "gitdir", "belongs to another repository", false },
        { "config.worktree", "holds settings, which no log has", false },
    };

    static const char *const links[] = {
        "objects", "objects/pack", "refs", "packed-refs", "config", "HEAD"
    };
    struct stat found;
    char path[CB_RAW_PATH_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (join(git_path, rows[i].name, path) && lstat(path, &found) == 0 &&
            !(rows[i].empty_is_harmless && S_ISREG(found.st_mode) &&
              found.st_size == 0)) {
            find_file(report, rows[i].name, rows[i].words);
        }
    }
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        if (join(git_path, links[i], path) && lstat(path, &found) == 0 &&
            S_ISLNK(found.st_mode)) {
            find_file(report, links[i], "is a link to another place");
        }
    }
}

static cb_status check_packs(const char *git_path, cb_report *report)
{
    char path[CB_RAW_PATH_BYTES];
    size_t seen = 0;
    DIR *folder = join(git_path, "objects/pack", path) ? opendir(path) : NULL;
    const struct dirent *entry = NULL;
    while (folder != NULL &&
           (entry = readdir(/* NOLINT(concurrency-mt-unsafe) */
                            folder)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (++seen > FOLDER_ENTRIES_MAX) {
            cb_report_gap(report, CB_GAP_LIMIT, 1);
            break;
        }
        if (dot != NULL && strcmp(dot, ".promisor") == 0) {
            find_file(report, "objects/pack", "is a part of a partial clone");
            break;
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return CB_OK;
}

cb_status cb_raw_check(const char *git_path, cb_report *report,
                       char ret_prefix[CB_GIT_REF_TEXT_BYTES],
                       cb_error *reterr_error)
{
    check_files(git_path, report);
    cb_status status = check_config(git_path, report, reterr_error);
    if (status == CB_OK) {
        status = check_packs(git_path, report);
    }
    if (status == CB_OK) {
        status = cb_raw_refs_check(git_path, report, ret_prefix, reterr_error);
    }
    return status;
}
