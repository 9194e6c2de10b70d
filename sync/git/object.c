/* SPDX-License-Identifier: Apache-2.0 */
#include "git/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "git/commit.h"
#include "git/internal.h"
#include "git/ssh_signature.h"

static cb_status fail_object(cb_error *error, cb_status status,
                             const cb_git_oid *oid, const char *words)
{
    char text[CB_GIT_OID_TEXT_BYTES];
    cb_git_oid_format(oid, text);
    return cb_error_set(error, status, "object '%s' %s", text, words);
}

bool cb_git_object_exists(const cb_git_repository *repository,
                          const cb_git_oid *oid)
{
    git_oid id = cb_git_oid_to(oid);
    return git_odb_exists(repository->odb, &id) == 1;
}

static cb_status fail_read(cb_error *error, int code, const cb_git_oid *oid)
{
    const git_error *last = git_error_last();
    if (code == GIT_ENOTFOUND) {
        return fail_object(error, CB_NOT_FOUND, oid, "is missing");
    }
    if (last && last->klass == GIT_ERROR_NOMEMORY) {
        return fail_object(error, CB_NO_MEMORY, oid, "does not fit in memory");
    }
    return fail_object(error, CB_DAMAGED, oid, "cannot be read");
}

/* Reads one object after its header has shown its type and its size. */
static cb_status read_object(const cb_git_repository *repository,
                             const cb_git_oid *oid, git_object_t type,
                             size_t size_max, git_odb_object **ret_object,
                             cb_error *reterr_error)
{
    git_oid id = cb_git_oid_to(oid);
    size_t size = 0;
    git_object_t found = GIT_OBJECT_INVALID;

    int code = git_odb_read_header(&size, &found, repository->odb, &id);
    if (code < 0) {
        return fail_read(reterr_error, code, oid);
    }
    if (found != type) {
        return fail_object(reterr_error, CB_DAMAGED, oid,
                           "is not of the expected kind");
    }
    if (size > size_max) {
        return fail_object(reterr_error, CB_LIMIT, oid,
                           "is larger than allowed");
    }
    code = git_odb_read(ret_object, repository->odb, &id);
    if (code < 0) {
        return fail_read(reterr_error, code, oid);
    }
    /* What was read need not be what the header said. */
    if (git_odb_object_size(*ret_object) != size ||
        git_odb_object_type(*ret_object) != type) {
        git_odb_object_free(*ret_object);
        *ret_object = NULL;
        return fail_object(reterr_error, CB_DAMAGED, oid,
                           "is not what its header says");
    }
    return CB_OK;
}

/* Takes a fixed text off the front. */
static bool take_text(cb_span *rest, const char *text)
{
    size_t length = strlen(text);
    if (rest->size < length || memcmp(rest->bytes, text, length) != 0) {
        return false;
    }
    rest->bytes += length;
    rest->size -= length;
    return true;
}

static bool take_oid(cb_span *rest, cb_git_oid *ret_oid)
{
    char text[CB_GIT_OID_TEXT_BYTES] = { 0 };
    if (rest->size < sizeof text) {
        return false;
    }
    memcpy(text, rest->bytes, sizeof text - 1);
    rest->bytes += sizeof text - 1;
    rest->size -= sizeof text - 1;
    return cb_git_oid_parse(text, ret_oid) && take_text(rest, "\n");
}

/* A decimal number without leading zeros, below a trillion. */
static bool take_number(cb_span *rest, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < rest->size && digits < 12 && rest->bytes[digits] >= '0' &&
           rest->bytes[digits] <= '9') {
        number = number * 10 + (uint64_t)(rest->bytes[digits] - '0');
        digits++;
    }
    if (digits == 0 || (digits > 1 && rest->bytes[0] == '0')) {
        return false;
    }
    rest->bytes += digits;
    rest->size -= digits;
    *ret_number = number;
    return true;
}

static bool take_person(cb_span *rest, const char *role, uint64_t *ret_date_s)
{
    return take_text(rest, role) && take_text(rest, " " CB_GIT_PERSON " ") &&
           take_number(rest, ret_date_s) && take_text(rest, " +0000\n");
}

static bool is_message(cb_span text)
{
    if (text.size == 0 || text.size > CB_GIT_MESSAGE_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        bool printable = text.bytes[i] >= 0x20 && text.bytes[i] < 0x7f;
        if (!printable && text.bytes[i] != '\n') {
            return false;
        }
    }
    return true;
}

/* The signed bytes, as written down in the header of object.h. */
static bool parse_payload(cb_git_commit *commit)
{
    cb_span rest = cb_span_of_buffer(&commit->payload);
    uint64_t committed_s = 0;
    if (!take_text(&rest, "tree ") || !take_oid(&rest, &commit->tree)) {
        return false;
    }
    if (take_text(&rest, "parent ")) {
        if (!take_oid(&rest, &commit->parent)) {
            return false;
        }
        commit->has_parent = true;
    }
    if (!take_person(&rest, "author", &commit->date_s) ||
        !take_person(&rest, "committer", &committed_s) ||
        committed_s != commit->date_s || !take_text(&rest, "\n") ||
        !is_message(rest)) {
        return false;
    }
    commit->message = rest;
    return true;
}

/*
 * Splits the stored bytes into payload and signature: the lines of the header
 * "gpgsig", of which there is exactly one.  The others are judged afterwards.
 */
static bool split_signature(cb_span stored, cb_git_commit *commit)
{
    static const char field[] = "gpgsig ";
    bool in_signature = false;
    bool seen = false;
    while (stored.size > 0 && stored.bytes[0] != '\n') {
        const uint8_t *end = memchr(stored.bytes, '\n', stored.size);
        if (!end) {
            return false;
        }
        cb_span line = { stored.bytes, (size_t)(end - stored.bytes) };
        stored.bytes += line.size + 1;
        stored.size -= line.size + 1;
        if (in_signature && line.size > 0 && line.bytes[0] == ' ') {
            cb_buffer_append_text(&commit->signature, "\n");
            cb_buffer_append(&commit->signature, line.bytes + 1, line.size - 1);
            continue;
        }
        in_signature = take_text(&line, field);
        if (in_signature && seen) {
            return false;
        }
        if (in_signature) {
            seen = true;
            cb_buffer_append_span(&commit->signature, line);
        } else {
            cb_buffer_append_span(&commit->payload, line);
            cb_buffer_append_text(&commit->payload, "\n");
        }
    }
    cb_buffer_append_span(&commit->payload, stored);
    return seen;
}

cb_status cb_git_commit_read(const cb_git_repository *repository,
                             const cb_git_oid *oid, cb_git_commit *ret_commit,
                             cb_error *reterr_error)
{
    git_odb_object *object = NULL;
    cb_git_commit commit = { .oid = *oid };
    cb_span stored = { 0 };
    cb_status status = CB_OK;

    cb_buffer_init(&commit.payload, CB_GIT_COMMIT_BYTES_MAX);
    cb_buffer_init(&commit.signature, CB_GIT_COMMIT_BYTES_MAX);
    status = read_object(repository, oid, GIT_OBJECT_COMMIT,
                         CB_GIT_COMMIT_BYTES_MAX, &object, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    stored.bytes = git_odb_object_data(object);
    stored.size = git_odb_object_size(object);
    if (!split_signature(stored, &commit)) {
        status = fail_object(reterr_error, CB_DAMAGED, oid,
                             "is not a commit with one signature");
        goto out;
    }
    if ((status = cb_buffer_check(&commit.payload, reterr_error)) != CB_OK ||
        (status = cb_buffer_check(&commit.signature, reterr_error)) != CB_OK) {
        goto out;
    }
    if (!parse_payload(&commit)) {
        status = fail_object(reterr_error, CB_DAMAGED, oid,
                             "is a commit of a form that is never written");
        goto out;
    }
    *ret_commit = commit;
    commit = (cb_git_commit){ 0 };
out:
    git_odb_object_free(object);
    cb_git_commit_clear(&commit);
    return status;
}

void cb_git_commit_clear(cb_git_commit *commit)
{
    cb_buffer_clear(&commit->payload);
    cb_buffer_clear(&commit->signature);
    *commit = (cb_git_commit){ 0 };
}

cb_status cb_git_commit_verify(const cb_git_commit *commit,
                               const uint8_t public_key[32],
                               cb_error *reterr_error)
{
    cb_error reason = { 0 };
    cb_status status =
        cb_ssh_verify(cb_span_of_buffer(&commit->signature),
                      cb_span_of_buffer(&commit->payload), public_key, &reason);
    if (status == CB_OK || status == CB_NO_MEMORY) {
        return status;
    }
    status = fail_object(reterr_error, CB_DAMAGED, &commit->oid,
                         "was not signed by the expected key");
    cb_error_meaning(reterr_error, "%s", reason.what);
    return status;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool is_name(const char *name, size_t length)
{
    if (length == 0 || length > CB_GIT_NAME_BYTES_MAX || name[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_name_character(name[i])) {
            return false;
        }
    }
    return true;
}

bool cb_git_path_valid(const char *path)
{
    if (strlen(path) > CB_GIT_PATH_BYTES_MAX) {
        return false;
    }
    for (size_t depth = 0; depth < CB_GIT_PATH_DEPTH_MAX; depth++) {
        size_t length = strcspn(path, "/");
        if (!is_name(path, length)) {
            return false;
        }
        if (!path[length]) {
            return true;
        }
        path += length + 1;
    }
    return false;
}

/* One line of a tree: "<mode> <name>\0<20 bytes>". */
static bool take_entry(cb_span *rest, cb_git_entry *ret_entry)
{
    cb_git_entry entry = { 0 };
    if (take_text(rest, "100644 ")) {
        entry.is_folder = false;
    } else if (take_text(rest, "40000 ")) {
        entry.is_folder = true;
    } else {
        return false;
    }
    const uint8_t *end = memchr(rest->bytes, 0, rest->size);
    if (!end) {
        return false;
    }
    size_t length = (size_t)(end - rest->bytes);
    if (length > CB_GIT_NAME_BYTES_MAX ||
        rest->size < length + 1 + CB_GIT_OID_BYTES) {
        return false;
    }
    memcpy(entry.name, rest->bytes, length);
    memcpy(entry.oid.bytes, end + 1, CB_GIT_OID_BYTES);
    rest->bytes += length + 1 + CB_GIT_OID_BYTES;
    rest->size -= length + 1 + CB_GIT_OID_BYTES;
    *ret_entry = entry;
    return is_name(entry.name, length);
}

/* Git orders a folder as though its name ended in '/'. */
static bool is_before(const cb_git_entry *a, const cb_git_entry *b)
{
    char left[CB_GIT_NAME_BYTES_MAX + 2];
    char right[CB_GIT_NAME_BYTES_MAX + 2];
    (void)snprintf(left, sizeof left, "%s%s", a->name, a->is_folder ? "/" : "");
    (void)snprintf(right, sizeof right, "%s%s", b->name,
                   b->is_folder ? "/" : "");
    return strcmp(left, right) < 0 && strcmp(a->name, b->name) != 0;
}

/*
 * Re-reads and validates one tree object.  The smallest entry has 29 bytes,
 * so the list is bounded by the tree's size as well as by count_max.
 */
static cb_status parse_tree(cb_span rest, const cb_git_oid *tree,
                            size_t count_max, cb_git_entry_list *list,
                            cb_error *reterr_error)
{
    size_t room = rest.size / 28 + 1;
    room = room < count_max ? room : count_max;
    list->items = calloc(room + 1, sizeof *list->items);
    if (!list->items) {
        return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
    }
    while (rest.size > 0) {
        if (list->count >= room) {
            return fail_object(reterr_error, CB_LIMIT, tree,
                               "is a folder with too many entries");
        }
        cb_git_entry *entry = &list->items[list->count];
        if (!take_entry(&rest, entry) ||
            (list->count > 0 && !is_before(entry - 1, entry))) {
            return fail_object(reterr_error, CB_DAMAGED, tree,
                               "is a folder with an entry that is never "
                               "written");
        }
        list->count++;
    }
    return CB_OK;
}

cb_status cb_git_tree_read(const cb_git_repository *repository,
                           const cb_git_oid *tree, size_t count_max,
                           cb_git_entry_list *ret_list, cb_error *reterr_error)
{
    git_odb_object *object = NULL;
    cb_git_entry_list list = { 0 };
    cb_status status =
        read_object(repository, tree, GIT_OBJECT_TREE, CB_GIT_TREE_BYTES_MAX,
                    &object, reterr_error);
    if (status == CB_OK) {
        cb_span content = { git_odb_object_data(object),
                            git_odb_object_size(object) };
        status = parse_tree(content, tree, count_max, &list, reterr_error);
    }
    git_odb_object_free(object);
    if (status != CB_OK) {
        cb_git_entry_list_clear(&list);
        return status;
    }
    *ret_list = list;
    return CB_OK;
}

void cb_git_entry_list_clear(cb_git_entry_list *list)
{
    free(list->items);
    *list = (cb_git_entry_list){ 0 };
}

cb_status cb_git_tree_expect(const cb_git_repository *repository,
                             const cb_git_oid *tree, const char *const *names,
                             size_t count, cb_git_oid *ret_oids,
                             cb_error *reterr_error)
{
    cb_git_entry_list list = { 0 };
    cb_error reason = { 0 };
    cb_status status =
        cb_git_tree_read(repository, tree, count, &list, &reason);
    bool same = status == CB_OK && list.count == count;
    for (size_t i = 0; same && i < count; i++) {
        same = !list.items[i].is_folder &&
               strcmp(list.items[i].name, names[i]) == 0;
    }
    if (status == CB_LIMIT || (status == CB_OK && !same)) {
        status = fail_object(reterr_error, CB_DAMAGED, tree,
                             "is a folder with other files than expected");
    } else if (status != CB_OK) {
        (void)cb_error_set(reterr_error, status, "%s", reason.what);
    }
    for (size_t i = 0; same && i < count; i++) {
        ret_oids[i] = list.items[i].oid;
    }
    cb_git_entry_list_clear(&list);
    return status;
}

cb_status cb_git_blob_read(const cb_git_repository *repository,
                           const cb_git_oid *oid, size_t size_max,
                           cb_buffer *content, cb_error *reterr_error)
{
    git_odb_object *object = NULL;
    cb_status status = read_object(repository, oid, GIT_OBJECT_BLOB, size_max,
                                   &object, reterr_error);
    if (status == CB_OK) {
        cb_buffer_append(content, git_odb_object_data(object),
                         git_odb_object_size(object));
        status = cb_buffer_check(content, reterr_error);
    }
    git_odb_object_free(object);
    return status;
}

static const cb_git_entry *find_entry(const cb_git_entry_list *list,
                                      const char *name, size_t length)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strlen(list->items[i].name) == length &&
            memcmp(list->items[i].name, name, length) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

cb_status cb_git_file_read(const cb_git_repository *repository,
                           const cb_git_oid *tree, const char *path,
                           size_t size_max, cb_buffer *content,
                           cb_error *reterr_error)
{
    if (!cb_git_path_valid(path)) {
        return cb_error_set(reterr_error, CB_INPUT,
                            "the path does not have the accepted form");
    }
    cb_git_oid at = *tree;
    for (;;) {
        size_t length = strcspn(path, "/");
        cb_git_entry_list list = { 0 };
        cb_status status = cb_git_tree_read(
            repository, &at, CB_GIT_TREE_BYTES_MAX / 28, &list, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        const cb_git_entry *entry = find_entry(&list, path, length);
        bool more = path[length] == '/';
        bool found = entry && entry->is_folder == more;
        if (found) {
            at = entry->oid;
        }
        cb_git_entry_list_clear(&list);
        if (!found) {
            return CB_NOT_FOUND;
        }
        if (!more) {
            return cb_git_blob_read(repository, &at, size_max, content,
                                    reterr_error);
        }
        path += length + 1;
    }
}

/* Makes room for one more; doubles, up to the caller's bound. */
static bool grow_oids(cb_git_oid_list *list, size_t *room)
{
    if (list->count < *room) {
        return true;
    }
    size_t wanted = *room ? *room * 2 : 64;
    cb_git_oid *items = realloc(list->items, wanted * sizeof *items);
    if (!items) {
        return false;
    }
    list->items = items;
    *room = wanted;
    return true;
}

static void reverse_oids(cb_git_oid_list *list)
{
    for (size_t i = 0; i < list->count / 2; i++) {
        cb_git_oid other = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = other;
    }
}

static cb_status walk_back(const cb_git_repository *repository,
                           const cb_git_oid *tip, const cb_git_oid *known,
                           size_t count_max, cb_git_oid_list *list,
                           cb_error *reterr_error)
{
    size_t room = 0;
    cb_git_oid at = *tip;
    while (!known || !cb_git_oid_equal(&at, known)) {
        cb_git_commit commit = { 0 };
        if (list->count >= count_max) {
            return cb_error_set(reterr_error, CB_LIMIT,
                                "there are more than %zu new commits",
                                count_max);
        }
        cb_status status =
            cb_git_commit_read(repository, &at, &commit, reterr_error);
        if (status != CB_OK) {
            return status;
        }
        cb_git_oid parent = commit.parent;
        bool has_parent = commit.has_parent;
        cb_git_commit_clear(&commit);
        if (!grow_oids(list, &room)) {
            return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        }
        list->items[list->count++] = at;
        if (!has_parent) {
            return known ? fail_object(reterr_error, CB_REFUSED, tip,
                                       "does not continue the history that "
                                       "was held before")
                         : CB_OK;
        }
        at = parent;
    }
    return CB_OK;
}

cb_status cb_git_history_read(const cb_git_repository *repository,
                              const cb_git_oid *tip, const cb_git_oid *known,
                              size_t count_max, cb_git_oid_list *ret_list,
                              cb_error *reterr_error)
{
    cb_git_oid_list list = { 0 };
    cb_status status =
        walk_back(repository, tip, known, count_max, &list, reterr_error);
    if (status != CB_OK) {
        cb_git_oid_list_clear(&list);
        return status;
    }
    reverse_oids(&list);
    *ret_list = list;
    return CB_OK;
}

void cb_git_oid_list_clear(cb_git_oid_list *list)
{
    free(list->items);
    *list = (cb_git_oid_list){ 0 };
}
