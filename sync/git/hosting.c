/* SPDX-License-Identifier: Apache-2.0 */
#include "git/hosting.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <casebound/identifier.h>

#include "git/connection.h"
#include "git/folder.h"

enum {
    PATH_TEXT_BYTES = 4096
};

typedef struct config_row {
    const char *key;
    const char *value;
} config_row;

/* For stock git, which does the writing there. */
static const config_row common_rows[] = {
    { "receive.fsckObjects", "true" },
    { "receive.denyDeletes", "true" },
    { "receive.autogc", "false" },
    { "receive.maxInputSize", "64m" },
    /* What is larger when unpacked is passed on piece by piece: a small push
       cannot fill the memory. */
    { "core.bigFileThreshold", "1m" },
    { "receive.advertisePushOptions", "false" },
    { "receive.shallowUpdate", "false" },
    { "core.fsync", "committed,loose-object,reference" },
    { "core.fsyncMethod", "fsync" },
    { "core.logAllRefUpdates", "false" },
    { "uploadpack.allowAnySHA1InWant", "false" },
    { "uploadpack.allowFilter", "false" },
};

static const config_row log_rows[] = {
    { "receive.denyNonFastForwards", "true" },
};

static const config_row mail_rows[] = {
    { "receive.denyNonFastForwards", "false" },
};

static int set_rows(git_config *config, const config_row *rows, size_t count)
{
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = git_config_set_string(config, rows[i].key, rows[i].value);
    }
    return code;
}

static cb_status join_path(const char *folder, const char *name,
                           char path[PATH_TEXT_BYTES], cb_error *reterr_error)
{
    int length = snprintf(path, PATH_TEXT_BYTES, "%s/%s", folder, name);
    if (length < 0 || length >= PATH_TEXT_BYTES) {
        return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
    }
    return CB_OK;
}

static cb_status create_repository(const char *folder, const char *name,
                                   const char *head_ref, const config_row *rows,
                                   size_t count, cb_error *reterr_error)
{
    char path[PATH_TEXT_BYTES];
    cb_git_repository *repository = NULL;
    git_config *config = NULL;
    cb_status status = join_path(folder, name, path, reterr_error);
    if (status == CB_OK) {
        status =
            cb_git_repository_create(path, head_ref, &repository, reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    int code = git_repository_config(&config, repository->handle);
    if (code == 0) {
        code = set_rows(config, common_rows,
                        sizeof common_rows / sizeof common_rows[0]);
    }
    if (code == 0) {
        code = set_rows(config, rows, count);
    }
    git_config_free(config);
    if (code < 0) {
        status = cb_git_fail(reterr_error, code, CB_IO, "set up '%s'", path);
    } else {
        /* Makes the lock file that pushes will look for. */
        status = cb_git_repository_lock(repository, 0, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_folder_flush(repository->path, reterr_error);
    }
    cb_git_repository_close(repository);
    return status;
}

static cb_status check_hook(const char *hook_text, cb_error *reterr_error)
{
    if (strncmp(hook_text, "#!", 2) != 0 ||
        strlen(hook_text) > CB_GIT_HOOK_BYTES_MAX) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the hook is not a program with its '#!' line");
    }
    return CB_OK;
}

/* A name that is free, as far as one can know. */
static cb_status check_free(const char *folder, const char *name,
                            cb_error *reterr_error)
{
    struct stat found;
    char path[PATH_TEXT_BYTES];
    cb_status status = join_path(folder, name, path, reterr_error);
    if (status == CB_OK && lstat(path, &found) == 0) {
        status = cb_error_set(reterr_error, CB_EXISTS, "'%s' is there already",
                              path);
    }
    return status;
}

static void remove_repository(const char *folder, const char *name)
{
    char path[PATH_TEXT_BYTES];
    if (join_path(folder, name, path, NULL) == CB_OK) {
        cb_folder_remove(path);
    }
}

static cb_status create_both(const char *folder, const char *hook_text,
                             cb_error *reterr_error)
{
    cb_status status =
        create_repository(folder, CB_GIT_LOG, "refs/heads/log", log_rows,
                          sizeof log_rows / sizeof log_rows[0], reterr_error);
    if (status == CB_OK) {
        status = cb_git_host_install_hook(folder, hook_text, reterr_error);
    }
    return status == CB_OK ? cb_folder_flush(folder, reterr_error) : status;
}

cb_status cb_git_host_create(const char *folder, const char *hook_text,
                             cb_error *reterr_error)
{
    cb_status status = check_hook(hook_text, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return cb_git_fail_errno(reterr_error, errno, "make the folder '%s'",
                                 folder);
    }
    if ((status = check_free(folder, CB_GIT_LOG, reterr_error)) != CB_OK ||
        (status = check_free(folder, CB_GIT_MAIL, reterr_error)) != CB_OK) {
        return status;
    }
    status = create_both(folder, hook_text, reterr_error);
    if (status != CB_OK && status != CB_EXISTS) {
        /* Half a log host would stand in the way of the next attempt. */
        remove_repository(folder, CB_GIT_LOG);
        remove_repository(folder, CB_GIT_MAIL);
    }
    return status;
}

static cb_status write_program(const char *path, const char *text,
                               cb_error *reterr_error)
{
    size_t size = strlen(text);
    int number = 0;
    int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0755);
    if (fd < 0) {
        return cb_git_fail_errno(reterr_error, errno, "make '%s'", path);
    }
    while (size > 0 && number == 0) {
        ssize_t written = write(fd, text, size);
        if (written >= 0) {
            text += written;
            size -= (size_t)written;
        } else if (errno != EINTR) {
            number = errno;
        }
    }
    if (number == 0 && (fchmod(fd, 0755) != 0 || fsync(fd) != 0)) {
        number = errno;
    }
    if (close(fd) != 0 && number == 0) {
        number = errno;
    }
    return number ? cb_git_fail_errno(reterr_error, number, "write '%s'", path)
                  : CB_OK;
}

static cb_status install_hook(const char *folder, const char *repository,
                              const char *hook_text, cb_error *reterr_error)
{
    char hooks_name[sizeof CB_GIT_MAIL + sizeof "/hooks"];
    char hooks[PATH_TEXT_BYTES];
    char path[PATH_TEXT_BYTES];
    char temporary[PATH_TEXT_BYTES];
    (void)snprintf(hooks_name, sizeof hooks_name, "%s/hooks", repository);
    cb_status status = join_path(folder, hooks_name, hooks, reterr_error);
    if (status == CB_OK) {
        status = join_path(hooks, "pre-receive", path, reterr_error);
    }
    if (status == CB_OK) {
        status = join_path(hooks, "tmp_pre-receive", temporary, reterr_error);
    }
    if (status != CB_OK) {
        return status;
    }
    if (mkdir(hooks, 0777) != 0 && errno != EEXIST) {
        return cb_git_fail_errno(reterr_error, errno, "make '%s'", hooks);
    }
    status = write_program(temporary, hook_text, reterr_error);
    if (status == CB_OK && rename(temporary, path) != 0) {
        status = cb_git_fail_errno(reterr_error, errno, "install '%s'", path);
    }
    return status == CB_OK ? cb_folder_flush(hooks, reterr_error) : status;
}

cb_status cb_git_host_install_hook(const char *folder, const char *hook_text,
                                   cb_error *reterr_error)
{
    cb_status status = check_hook(hook_text, reterr_error);
    if (status == CB_OK) {
        status = install_hook(folder, CB_GIT_LOG, hook_text, reterr_error);
    }
    if (status == CB_OK && check_free(folder, CB_GIT_MAIL, NULL) == CB_OK) {
        status = create_repository(
            folder, CB_GIT_MAIL, "refs/heads/none", mail_rows,
            sizeof mail_rows / sizeof mail_rows[0], reterr_error);
    }
    return status == CB_OK
               ? install_hook(folder, CB_GIT_MAIL, hook_text, reterr_error)
               : status;
}

cb_status cb_git_host_prune_mail(const char *folder, int wait_ms,
                                 cb_error *reterr_error)
{
    char path[PATH_TEXT_BYTES];
    cb_git_repository *repository = NULL;
    cb_process *process = NULL;
    const char *arguments[] = {
        "-C", NULL, "gc", "--prune=now", "--quiet", NULL
    };
    cb_status status = join_path(folder, CB_GIT_MAIL, path, reterr_error);
    if (status == CB_OK) {
        status = cb_git_repository_open(path, &repository, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_git_repository_lock(repository, wait_ms, reterr_error);
    }
    if (status != CB_OK) {
        goto out;
    }
    arguments[1] = repository->path;
    /* The child keeps the lock: should we be killed, it is still alone. */
    status = cb_process_start(arguments, repository->lock_fd, &process,
                              reterr_error);
    if (status == CB_OK && cb_process_wait(process) != 0) {
        const char *words = cb_process_words(process);
        status = cb_error_set(
            reterr_error, cb_git_words_status(words, CB_FAILED),
            "git could not prune '%s': %s", repository->path, words);
    }
out:
    cb_process_destroy(process);
    cb_git_repository_close(repository);
    return status;
}

cb_status cb_git_hook_open(cb_git_repository **ret_repository,
                           cb_error *reterr_error)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): nobody here sets variables. */
    const char *path = getenv("GIT_DIR");
    const char *quarantine = getenv("GIT_QUARANTINE_PATH");
    /* NOLINTEND(concurrency-mt-unsafe) */
    cb_git_repository *repository = NULL;
    if (!path || !quarantine) {
        return cb_error_set(reterr_error, CB_USAGE,
                            "this is run by git when a push arrives");
    }
    cb_status status = cb_git_repository_open(path, &repository, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    int code = git_odb_add_disk_alternate(repository->odb, quarantine);
    if (code < 0) {
        cb_git_repository_close(repository);
        return cb_git_fail(reterr_error, code, CB_IO, "read what was pushed");
    }
    *ret_repository = repository;
    return CB_OK;
}

/* "<old> <new> <ref>", without the line feed. */
static bool parse_update(char *line, cb_git_update *ret_update)
{
    enum {
        HEX = CB_GIT_OID_TEXT_BYTES - 1
    };

    cb_git_update update = { 0 };
    if (strlen(line) < (size_t)2 * HEX + 3 || line[HEX] != ' ' ||
        line[2 * HEX + 1] != ' ') {
        return false;
    }
    line[HEX] = line[2 * HEX + 1] = 0;
    const char *name = line + (ptrdiff_t)2 * HEX + 2;
    if (!cb_git_oid_parse(line, &update.old_oid) ||
        !cb_git_oid_parse(line + HEX + 1, &update.new_oid) ||
        !cb_git_ref_name_valid(name)) {
        return false;
    }
    (void)snprintf(update.name, sizeof update.name, "%s", name);
    update.is_creation =
        cb_is_zero(update.old_oid.bytes, sizeof update.old_oid.bytes);
    update.is_removal =
        cb_is_zero(update.new_oid.bytes, sizeof update.new_oid.bytes);
    *ret_update = update;
    return true;
}

static cb_status read_all(int fd, cb_buffer *text, cb_error *reterr_error)
{
    uint8_t bytes[4096];
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0) {
            return cb_buffer_check(text, reterr_error);
        }
        if (got < 0 && errno != EINTR) {
            return cb_git_fail_errno(reterr_error, errno, "read the push");
        }
        if (got > 0) {
            cb_buffer_append(text, bytes, (size_t)got);
        }
        if (text->failure != CB_OK) {
            return cb_error_set(reterr_error, text->failure,
                                "the push names too many refs");
        }
    }
}

cb_status cb_git_hook_read(int fd, cb_git_update_list *ret_list,
                           cb_error *reterr_error)
{
    cb_buffer text;
    cb_git_update_list *list = calloc(1, sizeof *list);
    if (!list) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    cb_buffer_init(&text,
                   (size_t)CB_GIT_UPDATES_MAX * (CB_GIT_REF_TEXT_BYTES + 84));
    cb_status status = read_all(fd, &text, reterr_error);
    char *line = (char *)text.bytes;
    size_t left = text.size;
    while (status == CB_OK && left > 0) {
        char *end = memchr(line, '\n', left);
        if (!end) {
            status = cb_error_set(reterr_error, CB_INPUT,
                                  "the push's list of refs is cut off");
            break;
        }
        *end = 0;
        if (list->count >= CB_GIT_UPDATES_MAX) {
            status = cb_error_set(reterr_error, CB_LIMIT,
                                  "the push names too many refs");
        } else if (!parse_update(line, &list->items[list->count])) {
            status = cb_error_set(reterr_error, CB_INPUT,
                                  "the push names a ref of a form that is "
                                  "never written");
        } else {
            list->count++;
        }
        left -= (size_t)(end - line) + 1;
        line = end + 1;
    }
    if (status == CB_OK) {
        *ret_list = *list;
    }
    cb_buffer_clear(&text);
    free(list);
    return status;
}
