/* SPDX-License-Identifier: Apache-2.0 */
#include "git/repository.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "git/folder.h"
#include "git/internal.h"

enum {
    PATH_TEXT_BYTES = 4096
};

/* Nothing of the machine's or the user's configuration is looked for. */
static int clear_search_paths(void)
{
    static const int levels[] = {
        GIT_CONFIG_LEVEL_PROGRAMDATA,
        GIT_CONFIG_LEVEL_SYSTEM,
        GIT_CONFIG_LEVEL_XDG,
        GIT_CONFIG_LEVEL_GLOBAL,
    };
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        int code = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

cb_status cb_git_begin(cb_error *reterr_error)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    (void)sigemptyset(&ignore.sa_mask);
    (void)sigaction(SIGPIPE, &ignore, NULL);

    int code = cb_git_set_memory();
    if (code == 0) {
        code = git_libgit2_init();
    }
    if (code < 0) {
        return cb_git_fail(reterr_error, code, CB_FAILED, "start libgit2");
    }
    if ((code = clear_search_paths()) < 0 ||
        (code = git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1)) < 0 ||
        (code = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0)) < 0 ||
        (code = git_libgit2_opts(GIT_OPT_ENABLE_HTTP_EXPECT_CONTINUE, 1)) < 0) {
        cb_status status =
            cb_git_fail(reterr_error, code, CB_FAILED, "set up libgit2");
        (void)git_libgit2_shutdown();
        return status;
    }
    return CB_OK;
}

void cb_git_end(void)
{
    (void)git_libgit2_shutdown();
}

static cb_status status_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT: return CB_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS: return CB_PERMISSION;
    case ENOMEM: return CB_NO_MEMORY;
    case EEXIST: return CB_EXISTS;
    default: return CB_IO;
    }
}

/*
 * libgit2 keeps no errno, but ends the text of a system error with the
 * system's own words for it.
 */
static cb_status status_of_text(const char *text, cb_status otherwise)
{
    static const int numbers[] = { ENOSPC, EDQUOT, EACCES, EPERM, EROFS };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char words[128];
        if (strerror_r(numbers[i], words, sizeof words) == 0 &&
            strstr(text, words)) {
            return status_of_errno(numbers[i]);
        }
    }
    return otherwise;
}

static cb_status status_of_code(int code, const git_error *last,
                                cb_status otherwise)
{
    if (last && last->klass == GIT_ERROR_NOMEMORY) {
        return CB_NO_MEMORY;
    }
    switch (code) {
    case GIT_EEXISTS: return CB_EXISTS;
    case GIT_EMODIFIED:
    case GIT_ENONFASTFORWARD: return CB_REFUSED;
    case GIT_ELOCKED: return CB_IN_USE;
    default: break;
    }
    return last && last->message ? status_of_text(last->message, otherwise)
                                 : otherwise;
}

cb_status cb_git_fail(cb_error *error, int code, cb_status otherwise,
                      const char *format, ...)
{
    int number = errno;
    const git_error *last = git_error_last();
    char doing[CB_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(doing, sizeof doing, format, arguments);
    va_end(arguments);
    /* On a full disk libgit2 may fail without a word; errno is what is left. */
    if (number == ENOSPC || number == EDQUOT) {
        return cb_git_fail_errno(error, number, "%s", doing);
    }
    return cb_error_set(error, status_of_code(code, last, otherwise),
                        "cannot %s: %s", doing,
                        last && last->message ? last->message : "no reason");
}

cb_status cb_git_fail_errno(cb_error *error, int number, const char *format,
                            ...)
{
    char doing[CB_ERROR_TEXT_BYTES];
    char words[128] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(doing, sizeof doing, format, arguments);
    va_end(arguments);
    (void)strerror_r(number, words, sizeof words);
    return cb_error_set(error, status_of_errno(number), "cannot %s: %s", doing,
                        words);
}

bool cb_git_oid_equal(const cb_git_oid *a, const cb_git_oid *b)
{
    return memcmp(a->bytes, b->bytes, CB_GIT_OID_BYTES) == 0;
}

void cb_git_oid_format(const cb_git_oid *oid, char text[CB_GIT_OID_TEXT_BYTES])
{
    cb_hex_format(oid->bytes, CB_GIT_OID_BYTES, text);
}

bool cb_git_oid_parse(const char *text, cb_git_oid *ret_oid)
{
    return strlen(text) == CB_GIT_OID_TEXT_BYTES - 1 &&
           cb_hex_parse(text, ret_oid->bytes, CB_GIT_OID_BYTES);
}

cb_status cb_git_repository_wrap(git_repository *handle,
                                 cb_git_repository **ret_repository,
                                 cb_error *reterr_error)
{
    cb_git_repository *repository = calloc(1, sizeof *repository);
    if (!repository) {
        git_repository_free(handle);
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    repository->handle = handle;
    repository->lock_fd = -1;
    repository->path = strdup(git_repository_path(handle));
    int code = git_repository_odb(&repository->odb, handle);
    if (code < 0 || !repository->path) {
        cb_status status =
            cb_git_fail(reterr_error, code, CB_IO, "open the objects of '%s'",
                        git_repository_path(handle));
        cb_git_repository_close(repository);
        return status;
    }
    /* libgit2's is absolute, without links, and ends in a slash. */
    size_t length = strlen(repository->path);
    if (length > 1 && repository->path[length - 1] == '/') {
        repository->path[length - 1] = 0;
    }
    *ret_repository = repository;
    return CB_OK;
}

/* A libgit2 bug reads this key as the size from which it does no delta
   search: segments are ciphertext, in which there is nothing to find. */
static int configure(git_repository *handle)
{
    git_config *config = NULL;
    int code = git_repository_config(&config, handle);
    if (code == 0) {
        code = git_config_set_int32(config, "pack.deltaCacheSize", 49);
    }
    if (code == 0) {
        code = git_config_set_int32(config, "gc.auto", 0);
    }
    git_config_free(config);
    return code;
}

cb_status cb_git_repository_create(const char *path, const char *head_ref,
                                   cb_git_repository **ret_repository,
                                   cb_error *reterr_error)
{
    git_repository *handle = NULL;
    git_repository_init_options options;
    (void)git_repository_init_options_init(&options,
                                           GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_NO_REINIT |
                    GIT_REPOSITORY_INIT_MKDIR;
    options.initial_head = head_ref;

    if (!cb_git_ref_name_valid(head_ref)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the ref's name does not have the accepted form");
    }
    /* libgit2 would put a repository into a folder that is there already. */
    errno = 0;
    if (mkdir(path, 0777) != 0) {
        return cb_git_fail_errno(reterr_error, errno,
                                 "make the repository '%s'", path);
    }
    int code = git_repository_init_ext(&handle, path, &options);
    if (code == 0) {
        code = configure(handle);
    }
    if (code < 0) {
        git_repository_free(handle);
        return cb_git_fail(reterr_error, code, CB_IO,
                           "make the repository '%s'", path);
    }
    return cb_git_repository_wrap(handle, ret_repository, reterr_error);
}

cb_status cb_git_repository_open(const char *path,
                                 cb_git_repository **ret_repository,
                                 cb_error *reterr_error)
{
    git_repository *handle = NULL;
    int code = git_repository_open_bare(&handle, path);
    if (code < 0) {
        return cb_git_fail(reterr_error, code, CB_NOT_FOUND,
                           "open the repository '%s'", path);
    }
    return cb_git_repository_wrap(handle, ret_repository, reterr_error);
}

void cb_git_repository_close(cb_git_repository *repository)
{
    if (!repository) {
        return;
    }
    git_odb_free(repository->odb);
    git_repository_free(repository->handle);
    if (repository->lock_fd >= 0) {
        (void)close(repository->lock_fd);
    }
    free(repository->path);
    free(repository);
}

const char *cb_git_repository_path(const cb_git_repository *repository)
{
    return repository->path;
}

cb_status cb_git_lock_take(const char *repository_path, bool exclusive,
                           bool create, int wait_ms, int *ret_fd,
                           cb_error *reterr_error)
{
    enum {
        STEP_MS = 20
    };

    char path[PATH_TEXT_BYTES];
    int length =
        snprintf(path, sizeof path, "%s/%s", repository_path, CB_GIT_LOCK_FILE);
    if (length < 0 || (size_t)length >= sizeof path) {
        return cb_error_set(reterr_error, CB_INPUT, "the path is too long");
    }
    int flags = O_CLOEXEC | O_NOFOLLOW;
    int fd = create ? open(path, flags | O_RDWR | O_CREAT, 0666)
                    : open(path, flags | O_RDONLY);
    if (fd < 0 && errno == ENOENT && !create) {
        *ret_fd = -1;
        return CB_OK;
    }
    if (fd < 0) {
        return cb_git_fail_errno(reterr_error, errno, "open '%s'", path);
    }
    for (int waited_ms = 0;; waited_ms += STEP_MS) {
        if (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
            *ret_fd = fd;
            return CB_OK;
        }
        int number = errno;
        if (number != EWOULDBLOCK && number != EINTR) {
            (void)close(fd);
            return cb_git_fail_errno(reterr_error, number, "lock '%s'", path);
        }
        if (waited_ms >= wait_ms) {
            (void)close(fd);
            return cb_error_set(reterr_error, CB_IN_USE,
                                "another process is writing to '%s'",
                                repository_path);
        }
        struct timespec pause = { .tv_nsec = STEP_MS * 1000000L };
        (void)nanosleep(&pause, NULL);
    }
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_left_over(const void *context, const cb_folder_entry *entry)
{
    (void)context;
    if (entry->is_folder) {
        return has_prefix(entry->name, CB_GIT_SCRATCH_PREFIX) ||
               has_prefix(entry->name, "tmp_objdir-");
    }
    return (has_suffix(entry->name, ".lock") &&
            strcmp(entry->name, CB_GIT_LOCK_FILE) != 0) ||
           has_prefix(entry->name, "pack_git2_") ||
           has_prefix(entry->name, "tmp_");
}

cb_status cb_git_repository_lock(cb_git_repository *repository, int wait_ms,
                                 cb_error *reterr_error)
{
    if (repository->lock_fd >= 0) {
        return CB_OK;
    }
    cb_status status = cb_git_lock_take(repository->path, true, true, wait_ms,
                                        &repository->lock_fd, reterr_error);
    if (status == CB_OK) {
        cb_folder_sweep(repository->path, 8, is_left_over, NULL);
    }
    return status;
}

static bool is_old_lock(const void *context, const cb_folder_entry *entry)
{
    const int *age_s = context;
    return !entry->is_folder && has_suffix(entry->name, ".lock") &&
           strcmp(entry->name, CB_GIT_LOCK_FILE) != 0 && entry->age_s >= *age_s;
}

void cb_git_sweep_locks(const char *repository_path, int age_s)
{
    cb_folder_sweep(repository_path, 8, is_old_lock, &age_s);
}

static bool is_ref_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
           c == '/';
}

bool cb_git_ref_name_valid(const char *name)
{
    size_t length = strlen(name);
    int valid = 0;
    if (!has_prefix(name, "refs/") || length >= CB_GIT_REF_TEXT_BYTES) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_ref_character(name[i])) {
            return false;
        }
    }
    return git_reference_name_is_valid(&valid, name) == 0 && valid == 1;
}

static cb_status check_ref_name(const char *name, cb_error *reterr_error)
{
    if (!cb_git_ref_name_valid(name)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the ref's name does not have the accepted form");
    }
    return CB_OK;
}

cb_status cb_git_ref_get(const cb_git_repository *repository, const char *name,
                         cb_git_oid *ret_oid, cb_error *reterr_error)
{
    git_reference *reference = NULL;
    cb_status status = check_ref_name(name, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    int code = git_reference_lookup(&reference, repository->handle, name);
    if (code == GIT_ENOTFOUND) {
        return CB_NOT_FOUND;
    }
    if (code < 0) {
        return cb_git_fail(reterr_error, code, CB_DAMAGED, "read '%s'", name);
    }
    const git_oid *target = git_reference_target(reference);
    if (!target) {
        status = cb_error_set(reterr_error, CB_DAMAGED,
                              "'%s' points to another ref", name);
    } else {
        *ret_oid = cb_git_oid_from(target);
    }
    git_reference_free(reference);
    return status;
}

static cb_status remove_ref(cb_git_repository *repository, const char *name,
                            const cb_git_oid *old, cb_error *reterr_error)
{
    git_reference *reference = NULL;
    cb_status status = CB_OK;
    int code = git_reference_lookup(&reference, repository->handle, name);
    if (code == 0) {
        const git_oid *target = git_reference_target(reference);
        git_oid wanted = cb_git_oid_to(old);
        /* Deleting compares again, with what this lookup saw. */
        code = !target || !git_oid_equal(target, &wanted)
                   ? GIT_EMODIFIED
                   : git_reference_delete(reference);
    }
    if (code == GIT_ENOTFOUND || code == GIT_EMODIFIED) {
        status = cb_error_set(reterr_error, CB_REFUSED,
                              "'%s' was changed by somebody else", name);
    } else if (code < 0) {
        status = cb_git_fail(reterr_error, code, CB_IO, "remove '%s'", name);
    }
    git_reference_free(reference);
    return status;
}

cb_status cb_git_ref_swap(cb_git_repository *repository, const char *name,
                          const cb_git_oid *new_oid, const cb_git_oid *old,
                          cb_error *reterr_error)
{
    git_reference *reference = NULL;
    cb_status status = check_ref_name(name, reterr_error);
    if (status != CB_OK) {
        return status;
    }
    CB_ASSERT(new_oid || old);
    if (!new_oid) {
        return remove_ref(repository, name, old, reterr_error);
    }
    errno = 0;
    git_oid target = cb_git_oid_to(new_oid);
    git_oid expected = old ? cb_git_oid_to(old) : (git_oid){ 0 };
    int code = git_reference_create_matching(&reference, repository->handle,
                                             name, &target, old ? 1 : 0,
                                             old ? &expected : NULL, NULL);
    git_reference_free(reference);
    if (code == GIT_EMODIFIED || code == GIT_EEXISTS ||
        (old && code == GIT_ENOTFOUND)) {
        status = cb_error_set(reterr_error, CB_REFUSED,
                              "'%s' was changed by somebody else", name);
        cb_error_meaning(reterr_error, "it was left as it is");
    } else if (code < 0) {
        status = cb_git_fail(reterr_error, code, CB_IO, "move '%s'", name);
    }
    return status;
}

static int compare_refs(const void *a, const void *b)
{
    const cb_git_ref *left = a;
    const cb_git_ref *right = b;
    return strcmp(left->name, right->name);
}

/* Appends to a list that has room for count_max. */
static cb_status append_ref(cb_git_ref_list *list, size_t count_max,
                            git_reference *reference, cb_error *reterr_error)
{
    const char *name = git_reference_name(reference);
    const git_oid *target = git_reference_target(reference);
    if (!target || !cb_git_ref_name_valid(name)) {
        return cb_error_set(reterr_error, CB_DAMAGED,
                            "there is a ref of a form that is never written");
    }
    if (list->count >= count_max) {
        return cb_error_set(reterr_error, CB_LIMIT,
                            "there are more than %zu refs", count_max);
    }
    cb_git_ref *item = &list->items[list->count];
    (void)snprintf(item->name, sizeof item->name, "%s", name);
    item->oid = cb_git_oid_from(target);
    list->count++;
    return CB_OK;
}

cb_status cb_git_ref_list_read(const cb_git_repository *repository,
                               const char *prefix, size_t count_max,
                               cb_git_ref_list *ret_list,
                               cb_error *reterr_error)
{
    git_reference_iterator *iterator = NULL;
    git_reference *reference = NULL;
    cb_git_ref_list list = { .items =
                                 calloc(count_max + 1, sizeof *list.items) };
    cb_status status = CB_OK;
    int code = 0;

    if (!list.items) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    code = git_reference_iterator_new(&iterator, repository->handle);
    while (code == 0 && status == CB_OK &&
           (code = git_reference_next(&reference, iterator)) == 0) {
        if (has_prefix(git_reference_name(reference), prefix)) {
            status = append_ref(&list, count_max, reference, reterr_error);
        }
        git_reference_free(reference);
    }
    git_reference_iterator_free(iterator);
    if (status == CB_OK && code != GIT_ITEROVER) {
        status = cb_git_fail(reterr_error, code, CB_DAMAGED, "list the refs");
    }
    if (status != CB_OK) {
        cb_git_ref_list_clear(&list);
        return status;
    }
    qsort(list.items, list.count, sizeof *list.items, compare_refs);
    *ret_list = list;
    return CB_OK;
}

void cb_git_ref_list_clear(cb_git_ref_list *list)
{
    free(list->items);
    *list = (cb_git_ref_list){ 0 };
}
