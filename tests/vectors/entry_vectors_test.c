/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every vector of tests/vectors/entry against the product, by named outcome,
 * so that a failure early on cannot pass for the one that was meant.
 */
#include "base/json.h"
#include "support/expect.h"
#include "vectors/kit.h"
#include "vectors/vector_file.h"

#include <casebound/chain.h>
#include <dirent.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The name of an outcome that the step gave; what a reader would say. */
static const char *outcome(cb_status status, const char *damaged)
{
    switch ((int)status) {
    case CB_OK: return "ok";
    case CB_NEWER: return "newer";
    case CB_WRONG_KEY: return "wrong-key";
    case CB_DAMAGED: return damaged;
    default: return cb_status_name(status);
    }
}

static bool is_ok(const char *result)
{
    return strcmp(result, "ok") == 0;
}

static const char *judge_json(const cb_entry_header *header, cb_span text)
{
    if (header->kind == 0 || header->kind > CB_ENTRY_OPENING) {
        return "ok";
    }
    json_t *value = NULL;
    const char *result = "damaged-json";
    if (cb_json_parse_canonical(text, &value, test_error()) == CB_OK &&
        json_is_object(value)) {
        result = "ok";
    }
    json_decref(value);
    return result;
}

static void expect_hash(const vector_file *file, cb_span text)
{
    if (file->text_hash[0] != '\0') {
        cb_hash hash;
        char hex[CB_HASH_TEXT_BYTES];
        cb_hash_domain("test text", text, &hash);
        cb_hex_format(hash.bytes, CB_HASH_BYTES, hex);
        expect_text(hex, file->text_hash);
    }
}

/* What was read, written again by the product, is the same bytes. */
static void expect_same_when_written(const vector_file *file,
                                     const cb_entry *entry, cb_span text)
{
    cb_buffer again;
    cb_buffer_init(&again, CB_ENTRY_BYTES_MAX);
    if (file->compartment_key != NULL) {
        expect_ok(cb_entry_seal(&entry->header, text, file->compartment_key,
                                file->signing_key, &again, test_error()));
    } else if (file->entry_key == NULL) {
        expect_ok(cb_entry_write_clear(&entry->header, text, file->signing_key,
                                       &again, test_error()));
    } else {
        return;
    }
    expect_bytes(again.bytes, again.size, entry->bytes.bytes,
                 entry->bytes.size);
    cb_buffer_clear(&again);
}

static const char *judge_body(const vector_file *file, const cb_entry *entry)
{
    cb_buffer opened;
    cb_buffer_init(&opened, CB_BODY_BYTES_MAX);
    cb_span text = entry->body;
    cb_status status = CB_OK;
    if ((entry->header.flags & CB_ENTRY_FLAG_CLEAR) == 0) {
        status = file->entry_key != NULL
                     ? cb_entry_open_with_entry_key(entry, file->entry_key,
                                                    &opened, test_error())
                     : cb_entry_open(entry, file->compartment_key, &opened,
                                     test_error());
        text = cb_span_of_buffer(&opened);
    }
    const bool padding = strstr(test_error()->what, "padded") != NULL;
    const char *result =
        outcome(status, padding ? "damaged-padding" : "damaged-seal");
    if (is_ok(result)) {
        result = judge_json(&entry->header, text);
    }
    if (is_ok(result)) {
        expect_hash(file, text);
        expect_same_when_written(file, entry, text);
    }
    cb_buffer_clear(&opened);
    return result;
}

static const char *judge_entry(const vector_file *file)
{
    cb_entry entry;
    const char *result = outcome(
        cb_entry_decode(cb_span_of_buffer(&file->bytes), &entry, test_error()),
        "damaged-shape");
    if (is_ok(result)) {
        result =
            outcome(cb_entry_verify(&entry, file->public_key, test_error()),
                    "damaged-signature");
    }
    return is_ok(result) ? judge_body(file, &entry) : result;
}

/* A stub, and for a leaf the body that belongs to it. */
static const char *judge_stub(const vector_file *file, bool is_leaf)
{
    cb_stub stub;
    cb_span bytes = cb_span_of_buffer(&file->bytes);
    cb_span body = { bytes.bytes + CB_ENTRY_STUB_BYTES, 0 };
    if (is_leaf) {
        cr_assert(bytes.size > CB_ENTRY_STUB_BYTES);
        body.size = bytes.size - CB_ENTRY_STUB_BYTES;
        bytes.size = CB_ENTRY_STUB_BYTES;
    }
    const char *result =
        outcome(cb_stub_decode(bytes, &stub, test_error()), "damaged-shape");
    if (is_ok(result)) {
        result = outcome(cb_stub_verify(&stub, file->public_key, test_error()),
                         "damaged-signature");
    }
    if (is_ok(result) && is_leaf) {
        cb_hash hash;
        cb_hash_domain("body", body, &hash);
        if (body.size != stub.header.body_length ||
            memcmp(&hash, &stub.body_hash, sizeof hash) != 0) {
            return "damaged-hash";
        }
    }
    return result;
}

/* That the device which opened the stream signed its key (section 3.2). */
static const char *judge_opening(const vector_file *file, const cb_entry *entry)
{
    uint8_t message[2 * CB_IDENTIFIER_BYTES + CB_PUBLIC_KEY_BYTES];
    uint8_t device_key[CB_PUBLIC_KEY_BYTES];
    uint8_t signature[CB_SIGNATURE_BYTES];
    json_t *body = NULL;
    uint8_t *key = message + (size_t)2 * CB_IDENTIFIER_BYTES;
    memcpy(message, &entry->header.realm, CB_IDENTIFIER_BYTES);
    memcpy(message + CB_IDENTIFIER_BYTES, &entry->header.stream,
           CB_IDENTIFIER_BYTES);
    const bool holds =
        cb_json_parse_canonical(entry->body, &body, test_error()) == CB_OK &&
        cb_json_bytes(body, "stream_key", key, CB_PUBLIC_KEY_BYTES) &&
        cb_json_bytes(body, "device_key", device_key, sizeof device_key) &&
        cb_json_bytes(body, "stream_signature", signature, sizeof signature) &&
        memcmp(key, file->public_key, CB_PUBLIC_KEY_BYTES) == 0 &&
        cb_public_key_is_acceptable(device_key) &&
        cb_sign_verify("stream", (cb_span){ message, sizeof message },
                       signature, device_key);
    json_decref(body);
    return holds ? "ok" : "damaged-opening";
}

static const char *judge_stream(const vector_file *file)
{
    cb_span rest = cb_span_of_buffer(&file->bytes);
    cb_chain chain = { .seq = 0 };
    const char *result = "ok";
    while (rest.size > 0 && is_ok(result)) {
        const size_t length = rest.size < 2 ? 0 : cb_get_u16(rest.bytes);
        if (length == 0 || length > rest.size - 2) {
            return "damaged-shape";
        }
        const cb_span bytes = { rest.bytes + 2, length };
        cb_entry entry;
        result = outcome(cb_entry_decode(bytes, &entry, test_error()),
                         "damaged-shape");
        if (is_ok(result) && chain.seq == 0) {
            chain.realm = entry.header.realm;
            chain.stream = entry.header.stream;
        }
        if (is_ok(result)) {
            result = outcome(cb_chain_advance(&chain, &entry.header,
                                              &entry.hash, test_error()),
                             "damaged-chain");
        }
        if (is_ok(result)) {
            result =
                outcome(cb_entry_verify(&entry, file->public_key, test_error()),
                        "damaged-signature");
        }
        if (is_ok(result) && entry.header.kind == CB_ENTRY_OPENING) {
            result = judge_opening(file, &entry);
        }
        rest.bytes += 2 + length;
        rest.size -= 2 + length;
    }
    return result;
}

static const char *judge(const vector_file *file)
{
    if (!cb_public_key_is_acceptable(file->public_key)) {
        return "refused-key";
    }
    if (strcmp(file->form, "stream") == 0) {
        return judge_stream(file);
    }
    if (strcmp(file->form, "entry") == 0) {
        return judge_entry(file);
    }
    return judge_stub(file, strcmp(file->form, "leaf") == 0);
}

static void each_file(void (*call)(const char *name, void *context),
                      void *context)
{
    DIR *folder = opendir(VECTOR_FOLDER);
    cr_assert(folder != NULL, "there is no folder '%s'", VECTOR_FOLDER);
    for (struct dirent *row = readdir(folder); row != NULL;
         row = readdir(folder)) {
        if (row->d_name[0] != '.') {
            call(row->d_name, context);
        }
    }
    closedir(folder);
}

static void expect_outcome(const char *name, void *context)
{
    vector_file file;
    vector_file_open(name, &file);
    cb_error_clear(test_error());
    const char *result = judge(&file);
    cr_expect(strcmp(result, file.expect) == 0, "'%s' is %s, not %s (%s)", name,
              result, file.expect, test_error()->what);
    vector_file_close(&file);
    *(size_t *)context += 1;
}

Test(entry_vectors, every_file_has_the_outcome_that_it_names)
{
    size_t seen = 0;
    each_file(expect_outcome, &seen);
    cr_expect(seen >= 40, "only %zu files", seen);
}

static void expect_in_catalogue(const char *name, void *context)
{
    (void)context;
    bool found = false;
    for (size_t i = 0; kit_row_at(i) != NULL; i++) {
        found = found || strcmp(kit_row_at(i)->name, name) == 0;
    }
    cr_expect(found, "'%s' is not in the catalogue", name);
}

Test(entry_vectors, the_catalogue_writes_the_files_to_the_byte)
{
    each_file(expect_in_catalogue, NULL);
    for (size_t i = 0; kit_row_at(i) != NULL; i++) {
        const kit_row *row = kit_row_at(i);
        cb_buffer wanted;
        cb_buffer there;
        cb_buffer_init(&wanted, KIT_FILE_BYTES_MAX);
        kit_render(row, &wanted);
        vector_file_read(row->name, &there);
        cr_expect(cb_span_equal(cb_span_of_buffer(&there),
                                cb_span_of_buffer(&wanted)),
                  "'%s' is not what the catalogue writes", row->name);
        cb_buffer_clear(&wanted);
        cb_buffer_clear(&there);
    }
}

/* The exit status of the decoder that knows schema/FORMAT.md alone. */
static int verify_independently(const vector_file *file)
{
    char path[4096];
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/casebound-stream-XXXXXX",
             base != NULL ? base : "/tmp");
    const int descriptor = mkstemp(path);
    cr_assert(descriptor >= 0);
    cr_assert(write(descriptor, file->bytes.bytes, file->bytes.size) ==
              (ssize_t)file->bytes.size);
    close(descriptor);
    const pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        cr_assert(freopen("/dev/null", "w", stdout) != NULL);
        execlp("python3", "python3",
               CASEBOUND_SOURCE "/tests/vectors/verify_stream.py", path,
               (char *)NULL);
        _exit(127);
    }
    int status = 0;
    cr_assert(waitpid(child, &status, 0) == child);
    unlink(path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void expect_second_opinion(const char *name, void *context)
{
    vector_file file;
    vector_file_open(name, &file);
    if (strcmp(file.form, "stream") == 0) {
        const int wanted = strcmp(file.expect, "ok") == 0 ? 0 : 1;
        const int got = verify_independently(&file);
        cr_assert(got != 127, "this test needs python3");
        cr_expect(got == wanted, "'%s' exits with %d, not %d", name, got,
                  wanted);
        *(size_t *)context += 1;
    }
    vector_file_close(&file);
}

Test(entry_vectors, a_second_decoder_agrees_about_every_stream)
{
    size_t seen = 0;
    each_file(expect_second_opinion, &seen);
    cr_expect(seen >= 10, "only %zu streams", seen);
}
