/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a store: there, this user's alone, and nothing left over. */
#include "store/check.h"

#include <stdlib.h>
#include <string.h>

#define NOT_OWNER        0077U
#define FREE_BYTES_FEW   (UINT64_C(64) * 1024 * 1024)
#define NAME_BYTES_SHOWN 48

/* The files whose names are known; what others call theirs is not ours. */
static const struct {
    const char *name;
    bool required;
    cb_file_kind kind;
} known[] = {
    { "casebook.db", true, CB_FILE_REGULAR },
    { "unlock.json", true, CB_FILE_REGULAR },
    { "casebook.db-wal", false, CB_FILE_REGULAR },
    { "casebook.db-journal", false, CB_FILE_REGULAR },
    { "casebook.db-pages", false, CB_FILE_REGULAR },
    { "casebook.db-readers", false, CB_FILE_REGULAR },
    { "witness", false, CB_FILE_REGULAR },
    { "outgoing.git", false, CB_FILE_FOLDER },
    { "incoming.git", false, CB_FILE_FOLDER },
};

/* Ends of names that something leaves which was cut off. */
static const char *const leftovers[] = {
    ".new", "-next", ".partial", ".tmp", "~", "restoring.db",
};

static cb_status check_kind(cb_check *check, const char *name,
                            cb_file_kind kind, const cb_file_facts *facts)
{
    const cb_check_place place = cb_check_at_file(name);
    if (facts->kind != kind) {
        return cb_check_found(check, CB_CHECK_FILE_KIND, &place,
                              "'%s' is not a %s", name,
                              kind == CB_FILE_FOLDER ? "folder" : "file");
    }
    /* The store's own folder keeps others out of the folders inside. */
    if (kind == CB_FILE_REGULAR && (facts->permissions & NOT_OWNER) != 0) {
        return cb_check_found(check, CB_CHECK_FILE_MODE, &place,
                              "'%s' may be read or written by others (mode "
                              "%03o)",
                              name, facts->permissions);
    }
    return CB_OK;
}

static cb_status check_file(cb_check *check, size_t row)
{
    const cb_environment *environment = check->environment;
    const char *name = known[row].name;
    const cb_check_place place = cb_check_at_file(name);
    cb_file_facts facts;
    cb_error words = { .status = CB_OK };
    char *path = cb_store_path(check->options->store->folder, name);
    if (path == NULL) {
        return cb_error_set(&check->error, CB_NO_MEMORY, "out of memory");
    }
    cb_status status =
        environment->look_at(environment->context, path, &facts, &words);
    free(path);
    if (status == CB_NOT_FOUND) {
        return known[row].required
                   ? cb_check_found(check, CB_CHECK_FILE_MISSING, &place,
                                    "'%s' is missing", name)
                   : CB_OK;
    }
    if (status != CB_OK) {
        return cb_check_found(check, CB_CHECK_FILE_UNREADABLE, &place, "%s",
                              words.what);
    }
    return check_kind(check, name, known[row].kind, &facts);
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    size_t end_size = strlen(end);
    return size > end_size && strcmp(name + size - end_size, end) == 0;
}

static cb_status look_at_name(void *context, const char *name, cb_error *error)
{
    cb_check *check = context;
    (void)error;
    for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++) {
        if (ends_with(name, leftovers[i])) {
            const cb_check_place place = cb_check_at_file(name);
            return cb_check_found(check, CB_CHECK_FILE_LEFTOVER, &place,
                                  "'%.*s' was left over", NAME_BYTES_SHOWN,
                                  name);
        }
    }
    return CB_OK;
}

static cb_status check_folder(cb_check *check)
{
    const cb_environment *environment = check->environment;
    const char *folder = check->options->store->folder;
    const cb_check_place place = cb_check_at_file(".");
    cb_file_facts facts;
    cb_status status = environment->look_at(environment->context, folder,
                                            &facts, &check->error);
    if (status == CB_NOT_FOUND) {
        return cb_error_set(&check->error, CB_NO_STORE,
                            "there is no case store at '%s'", folder);
    }
    /* A link to the folder is the person's own affair. */
    if (status != CB_OK || facts.kind == CB_FILE_LINK) {
        return status;
    }
    if ((facts.permissions & NOT_OWNER) != 0) {
        status = cb_check_found(check, CB_CHECK_FILE_MODE, &place,
                                "the store's folder is open to others (mode "
                                "%03o)",
                                facts.permissions);
    }
    if (status == CB_OK && facts.free_bytes < FREE_BYTES_FEW) {
        status = cb_check_found(check, CB_CHECK_DISK_LOW, &place,
                                "the disk has %llu MiB left",
                                (unsigned long long)(facts.free_bytes >> 20));
    }
    return status;
}

/* Where there is neither file there is no store, and nothing to find. */
static bool holds_nothing(const cb_check *check)
{
    bool found = false;
    const cb_environment *environment = check->environment;
    for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++) {
        cb_file_facts facts;
        char *path =
            cb_store_path(check->options->store->folder, known[i].name);
        found =
            known[i].required &&
            (path == NULL || environment->look_at(environment->context, path,
                                                  &facts, NULL) == CB_OK);
        free(path);
    }
    return !found;
}

/* What lies about while another process works is not left over yet. */
static cb_status note_holder(cb_check *check)
{
    char *path = cb_store_path(check->options->store->folder, "casebook.db");
    if (path == NULL) {
        return cb_error_set(&check->error, CB_NO_MEMORY, "out of memory");
    }
    check->held = cb_database_is_held(check->environment, path);
    free(path);
    return CB_OK;
}

cb_status cb_check_files(cb_check *check)
{
    const cb_environment *environment = check->environment;
    cb_status status = check_folder(check);
    if (status == CB_OK) {
        status = note_holder(check);
    }
    if (status == CB_OK && holds_nothing(check)) {
        status = cb_error_set(&check->error, CB_NO_STORE,
                              "there is no case store at '%s'",
                              check->options->store->folder);
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0] && status == CB_OK;
         i++) {
        status = check_file(check, i);
    }
    if (status == CB_OK) {
        status = environment->list_folder(environment->context,
                                          check->options->store->folder,
                                          look_at_name, check, &check->error);
    }
    return status;
}
