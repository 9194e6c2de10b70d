/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/realm_file.h"

#include <string.h>

#define TITLE "casebound-realm 1\n"

cb_realm_file cb_realm_file_of(const cb_store_identity *identity)
{
    cb_realm_file realm = { .realm = identity->realm };
    memcpy(realm.root_key, identity->root_key, sizeof realm.root_key);
    memcpy(realm.hub_key, identity->hub_key, sizeof realm.hub_key);
    return realm;
}

static void write_line(cb_buffer *text, const char *name, const uint8_t *bytes,
                       size_t size)
{
    cb_buffer_append_format(text, "%s ", name);
    cb_buffer_append_hex(text, (cb_span){ bytes, size });
    cb_buffer_append_text(text, "\n");
}

void cb_realm_file_write(const cb_realm_file *realm, cb_buffer *text)
{
    cb_buffer_append_text(text, TITLE);
    write_line(text, "realm", realm->realm.bytes, sizeof realm->realm.bytes);
    write_line(text, "root-key", realm->root_key, sizeof realm->root_key);
    write_line(text, "hub-key", realm->hub_key, sizeof realm->hub_key);
}

static bool take_text(cb_span *rest, const char *text)
{
    size_t size = strlen(text);
    if (rest->size < size || memcmp(rest->bytes, text, size) != 0) {
        return false;
    }
    rest->bytes += size;
    rest->size -= size;
    return true;
}

static bool read_line(cb_span *rest, const char *name, uint8_t *ret_bytes,
                      size_t size)
{
    char hex[2 * CB_PUBLIC_KEY_BYTES + 1];
    if (!take_text(rest, name) || !take_text(rest, " ") ||
        rest->size < 2 * size) {
        return false;
    }
    memcpy(hex, rest->bytes, 2 * size);
    hex[2 * size] = '\0';
    rest->bytes += 2 * size;
    rest->size -= 2 * size;
    return cb_hex_parse(hex, ret_bytes, size) && take_text(rest, "\n");
}

bool cb_realm_file_read(cb_span text, cb_realm_file *ret_realm)
{
    cb_realm_file realm;
    if (!take_text(&text, TITLE) ||
        !read_line(&text, "realm", realm.realm.bytes,
                   sizeof realm.realm.bytes) ||
        !read_line(&text, "root-key", realm.root_key, sizeof realm.root_key) ||
        !read_line(&text, "hub-key", realm.hub_key, sizeof realm.hub_key) ||
        text.size != 0) {
        return false;
    }
    *ret_realm = realm;
    return true;
}
