/* SPDX-License-Identifier: Apache-2.0 */
#include "git/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "git/connection.h"
#include "git/transport_path.h"

enum {
    ADDRESS_BYTES_MAX = 2048
};

static cb_status refuse_address(const char *why, cb_error *reterr_error)
{
    cb_status status =
        cb_error_set(reterr_error, CB_INPUT, "the address of the log %s", why);
    cb_error_meaning(reterr_error, "accepted are a folder, such as /srv/log, "
                                   "and file:///srv/log");
    cb_error_next(reterr_error, "write ./ before a folder whose name has a "
                                "colon or begins with '-'");
    return status;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %20 and the like, as in a URL; never a zero or a control byte. */
static bool decode_path(const char *text, cb_buffer *path)
{
    while (*text) {
        int byte = (unsigned char)*text;
        if (byte == '%') {
            int high = hex_value(text[1]);
            int low = high < 0 ? -1 : hex_value(text[2]);
            if (low < 0) {
                return false;
            }
            byte = high * 16 + low;
            text += 2;
        }
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
        uint8_t value = (uint8_t)byte;
        cb_buffer_append(path, &value, 1);
        text++;
    }
    return true;
}

static bool has_control_byte(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return true;
        }
    }
    return false;
}

/* The folder that an address names, absolute. */
static cb_status parse_address(const char *address, cb_buffer *folder,
                               cb_error *reterr_error)
{
    static const char scheme[] = "file://";
    size_t colon = strcspn(address, ":");
    if (!*address || has_control_byte(address) ||
        strlen(address) > ADDRESS_BYTES_MAX) {
        return refuse_address("is empty, too long or not printable",
                              reterr_error);
    }
    if (strncmp(address, scheme, sizeof scheme - 1) == 0) {
        const char *path = address + sizeof scheme - 1;
        if (*path != '/' || !decode_path(path, folder)) {
            return refuse_address("does not name a folder of this machine",
                                  reterr_error);
        }
    } else if (strstr(address, "://")) {
        return refuse_address("is of a kind that this version does not know",
                              reterr_error);
    } else if (address[0] == '-') {
        return refuse_address("begins with '-'", reterr_error);
    } else if (address[colon] && !memchr(address, '/', colon)) {
        return refuse_address("looks like a machine's name", reterr_error);
    } else {
        if (address[0] != '/') {
            char here[4096];
            if (!getcwd(here, sizeof here)) {
                return refuse_address("is below a folder that is gone",
                                      reterr_error);
            }
            cb_buffer_append_format(folder, "%s/", here);
        }
        cb_buffer_append_text(folder, address);
    }
    return cb_buffer_check(folder, reterr_error);
}

cb_status cb_transport_folder(const char *address, cb_buffer *folder,
                              cb_error *reterr_error)
{
    return parse_address(address, folder, reterr_error);
}

cb_status cb_transport_open(const char *address, cb_transport **ret_transport,
                            cb_error *reterr_error)
{
    cb_buffer folder;
    cb_buffer_init(&folder, 8192);
    cb_status status = parse_address(address, &folder, reterr_error);
    if (status == CB_OK) {
        status = cb_transport_path_create(cb_buffer_text(&folder),
                                          ret_transport, reterr_error);
    }
    cb_buffer_clear(&folder);
    return status;
}

void cb_transport_close(cb_transport *transport)
{
    if (transport && transport->destroy) {
        transport->destroy(transport);
    }
}

static int compare_refs(const void *a, const void *b)
{
    const cb_git_ref *left = a;
    const cb_git_ref *right = b;
    return strcmp(left->name, right->name);
}

static cb_status choose_refs(const git_remote_head **heads, size_t head_count,
                             const char *prefix, size_t count_max,
                             cb_git_ref_list *list, cb_error *reterr_error)
{
    for (size_t i = 0; i < head_count; i++) {
        const char *name = heads[i]->name;
        if (strncmp(name, prefix, strlen(prefix)) != 0 ||
            !cb_git_ref_name_valid(name)) {
            continue;
        }
        if (list->count >= count_max) {
            return cb_error_set(reterr_error, CB_LIMIT,
                                "the log holds more than %zu refs", count_max);
        }
        cb_git_ref *item = &list->items[list->count++];
        (void)snprintf(item->name, sizeof item->name, "%s", name);
        item->oid = cb_git_oid_from(&heads[i]->oid);
    }
    qsort(list->items, list->count, sizeof *list->items, compare_refs);
    return CB_OK;
}

cb_status cb_transport_list(const cb_transport *transport,
                            const char *repository, const char *prefix,
                            size_t count_max, cb_git_ref_list *ret_list,
                            cb_error *reterr_error)
{
    cb_git_connection connection = {
        .transport = transport,
        .repository = repository,
        .service = CB_GIT_SERVICE_FETCH,
    };
    const git_remote_head **heads = NULL;
    size_t count = 0;
    cb_git_ref_list list = { 0 };
    int code = 0;

    cb_status status = cb_git_connection_open(&connection, NULL, reterr_error);
    if (status != CB_OK) {
        goto out;
    }
    code = git_remote_ls(&heads, &count, connection.remote);
    if (code < 0) {
        status = cb_git_connection_fail(&connection, code, reterr_error);
        goto out;
    }
    list.items =
        calloc((count < count_max ? count : count_max) + 1, sizeof *list.items);
    if (!list.items) {
        status = cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        goto out;
    }
    status = choose_refs(heads, count, prefix, count_max, &list, reterr_error);
    if (status == CB_OK) {
        *ret_list = list;
        list = (cb_git_ref_list){ 0 };
    }
out:
    cb_git_ref_list_clear(&list);
    cb_git_connection_close(&connection);
    return status;
}
