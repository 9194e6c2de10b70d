/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors/vector_file.h"
#include "support/expect.h"
#include "vectors/kit.h"

#include <sodium.h>
#include <stdlib.h>

void vector_file_read(const char *name, cb_buffer *content)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", VECTOR_FOLDER, name);
    const cb_environment *system = cb_environment_system();
    cb_buffer_init(content, KIT_FILE_BYTES_MAX);
    expect_ok(system->read_file(system->context, path, content, test_error()));
}

static const char *value_of(const char *line, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(line, name, length) == 0 && line[length] == ':' &&
                   line[length + 1] == ' '
               ? line + length + 2
               : NULL;
}

static cb_secret *secret_of(const char *hex)
{
    cb_secret *secret = NULL;
    expect_ok(cb_secret_create(CB_KEY_BYTES, &secret, test_error()));
    cr_assert(cb_hex_parse(hex, cb_secret_bytes(secret), CB_KEY_BYTES));
    return secret;
}

static void take_field(vector_file *file, const char *line)
{
    const char *value = NULL;
    if ((value = value_of(line, "expect")) != NULL) {
        snprintf(file->expect, sizeof file->expect, "%s", value);
    } else if ((value = value_of(line, "form")) != NULL) {
        snprintf(file->form, sizeof file->form, "%s", value);
    } else if ((value = value_of(line, "text hash")) != NULL) {
        snprintf(file->text_hash, sizeof file->text_hash, "%s", value);
    } else if ((value = value_of(line, "public key")) != NULL) {
        cr_assert(cb_hex_parse(value, file->public_key, 32));
    } else if ((value = value_of(line, "compartment key")) != NULL) {
        file->compartment_key = secret_of(value);
    } else if ((value = value_of(line, "entry key")) != NULL) {
        file->entry_key = secret_of(value);
    } else if ((value = value_of(line, "signing seed")) != NULL) {
        uint8_t seed[32];
        uint8_t public_key[32];
        cr_assert(cb_hex_parse(value, seed, sizeof seed));
        expect_ok(cb_secret_create(64, &file->signing_key, test_error()));
        crypto_sign_seed_keypair(public_key, cb_secret_bytes(file->signing_key),
                                 seed);
    } else {
        cr_assert(value_of(line, "comment") || value_of(line, "text"), "'%s'",
                  line);
    }
}

static void take_bytes(vector_file *file, char *line)
{
    char *times = strstr(line, " x ");
    size_t count = 1;
    if (times != NULL) {
        *times = '\0';
        count = strtoul(times + 3, NULL, 10);
    }
    const size_t size = strlen(line) / 2;
    for (size_t i = 0; i < count; i++) {
        uint8_t *place = cb_buffer_extend(&file->bytes, size);
        cr_assert(place != NULL && cb_hex_parse(line, place, size), "'%s'",
                  line);
    }
}

void vector_file_open(const char *name, vector_file *ret_file)
{
    cb_buffer content;
    bool in_bytes = false;
    cr_assert(sodium_init() >= 0);
    *ret_file = (vector_file){ .signing_key = NULL };
    vector_file_read(name, &content);
    cb_buffer_init(&ret_file->bytes, KIT_FILE_BYTES_MAX);
    char *line = (char *)content.bytes;
    while (*line != '\0') {
        char *end = strchr(line, '\n');
        cr_assert(end != NULL, "'%s' does not end in a line end", name);
        *end = '\0';
        if (in_bytes) {
            take_bytes(ret_file, line);
        } else if (line[0] == '\0') {
            in_bytes = true;
        } else {
            take_field(ret_file, line);
        }
        line = end + 1;
    }
    cr_assert(in_bytes && ret_file->signing_key != NULL, "'%s'", name);
    cb_buffer_clear(&content);
}

void vector_file_close(vector_file *file)
{
    cb_secret_destroy(file->signing_key);
    cb_secret_destroy(file->compartment_key);
    cb_secret_destroy(file->entry_key);
    cb_buffer_clear(&file->bytes);
}
