/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we sign goes to the stock ssh-keygen, and what it signs comes to us.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "git/ssh_signature.h"
#include "support/expect.h"

#define PRINCIPAL "0102030405060708@streams"
#define MESSAGE   "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nsegment\n"

typedef struct signer {
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    cb_secret *secret;
} signer;

static signer signer_create(uint8_t seed_byte)
{
    signer made = { .secret = NULL };
    uint8_t seed[crypto_sign_SEEDBYTES];
    cr_assert(sodium_init() >= 0);
    memset(seed, seed_byte, sizeof seed);
    expect_ok(cb_secret_create(crypto_sign_SECRETKEYBYTES, &made.secret,
                               test_error()));
    crypto_sign_seed_keypair(made.public_key, cb_secret_bytes(made.secret),
                             seed);
    return made;
}

static void sign(const signer *by, const char *message, cb_buffer *armor)
{
    cb_buffer_init(armor, 1024);
    expect_ok(
        cb_ssh_sign(cb_span_of_text(message), by->secret, armor, test_error()));
}

Test(ssh_signature, has_the_shape_that_git_stores)
{
    const signer device = signer_create(1);
    cb_buffer armor;
    cb_buffer again;
    sign(&device, MESSAGE, &armor);
    sign(&device, MESSAGE, &again);
    expect_bytes(armor.bytes, armor.size, again.bytes, again.size);
    cr_expect(armor.size == 293, "%zu", armor.size);
    expect_contains(cb_buffer_text(&armor), "-----BEGIN SSH SIGNATURE-----\n"
                                            "U1NIU0lHAAAAAQ");
    cr_expect(armor.bytes[armor.size - 1] == '-', "no newline at the end");
    cb_buffer_clear(&armor);
    cb_buffer_clear(&again);
    cb_secret_destroy(device.secret);
}

Test(ssh_signature, holds_for_its_key_and_message_alone)
{
    const signer device = signer_create(1);
    const signer other = signer_create(2);
    cb_buffer armor;
    sign(&device, MESSAGE, &armor);
    const cb_span message = cb_span_of_text(MESSAGE);
    const cb_span span = cb_span_of_buffer(&armor);
    expect_ok(cb_ssh_verify(span, message, device.public_key, test_error()));
    expect_status(CB_DAMAGED,
                  cb_ssh_verify(span, message, other.public_key, test_error()));
    expect_status(CB_DAMAGED, cb_ssh_verify(span, cb_span_of_text(MESSAGE " "),
                                            device.public_key, test_error()));
    expect_status(CB_DAMAGED, cb_ssh_verify(span, cb_span_of_text(""),
                                            device.public_key, test_error()));

    cb_buffer_append_text(&armor, "\n");
    expect_ok(cb_ssh_verify(cb_span_of_buffer(&armor), message,
                            device.public_key, test_error()));
    cb_buffer_append_text(&armor, "\n");
    expect_status(CB_DAMAGED, cb_ssh_verify(cb_span_of_buffer(&armor), message,
                                            device.public_key, test_error()));
    cb_buffer_clear(&armor);
    cb_secret_destroy(device.secret);
    cb_secret_destroy(other.secret);
}

Test(ssh_signature, does_not_survive_the_change_of_any_byte)
{
    const signer device = signer_create(1);
    const cb_span message = cb_span_of_text(MESSAGE);
    cb_buffer armor;
    sign(&device, MESSAGE, &armor);
    for (size_t i = 0; i < armor.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            armor.bytes[i] ^= (uint8_t)(1U << bit);
            cr_expect(cb_ssh_verify(cb_span_of_buffer(&armor), message,
                                    device.public_key, NULL) == CB_DAMAGED,
                      "byte %zu bit %u", i, bit);
            armor.bytes[i] ^= (uint8_t)(1U << bit);
        }
        const cb_span shorter = { .bytes = armor.bytes, .size = i };
        cr_expect(cb_ssh_verify(shorter, message, device.public_key, NULL) ==
                      CB_DAMAGED,
                  "cut at %zu", i);
    }
    cb_buffer_clear(&armor);
    cb_secret_destroy(device.secret);
}

Test(ssh_signature, in_another_layout_is_refused)
{
    const signer device = signer_create(1);
    cb_buffer armor;
    cb_buffer other;
    sign(&device, MESSAGE, &armor);
    cb_buffer_init(&other, 4096);

    /* The same base64, a line end moved by one character. */
    char *text = (char *)armor.bytes;
    char *end_of_line = strchr(strchr(text, '\n') + 1, '\n');
    end_of_line[0] = end_of_line[1];
    end_of_line[1] = '\n';
    expect_status(CB_DAMAGED, cb_ssh_verify(cb_span_of_buffer(&armor),
                                            cb_span_of_text(MESSAGE),
                                            device.public_key, test_error()));
    for (size_t i = 0; i < 4096; i++) {
        cb_buffer_append_text(&other, "A");
    }
    expect_status(CB_DAMAGED, cb_ssh_verify(cb_span_of_buffer(&other),
                                            cb_span_of_text(MESSAGE),
                                            device.public_key, test_error()));
    cb_buffer_clear(&armor);
    cb_buffer_clear(&other);
    cb_secret_destroy(device.secret);
}

Test(ssh_signature, names_signers_that_cannot_be_patterns)
{
    static const char *const rows[] = { "",    "a b",      "*",
                                        "a,b", "a\nb",     "!a",
                                        "a\"", "\xc3\xa4", "cert-authority?" };
    const signer device = signer_create(1);
    cb_buffer line;
    cb_buffer_init(&line, 1024);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_status(CB_INPUT,
                      cb_ssh_allowed_signer(rows[i], device.public_key, &line,
                                            test_error()));
    }
    cr_expect(line.size == 0);
    expect_ok(cb_ssh_allowed_signer(PRINCIPAL, device.public_key, &line,
                                    test_error()));
    expect_contains(cb_buffer_text(&line),
                    PRINCIPAL " namespaces=\"git\" ssh-ed25519 "
                              "AAAAC3NzaC1lZDI1NTE5AAAAI");
    cb_buffer_clear(&line);
    cb_secret_destroy(device.secret);
}

/* A folder of its own for one test, removed with what is in it. */
static void folder_make(char folder[64])
{
    (void)snprintf(folder, 64, "/tmp/casebound-ssh-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

static void folder_remove(const char *folder)
{
    char line[128];
    snprintf(line, sizeof line, "rm -r -- '%s'", folder);
    cr_expect(system(line) == 0);
}

static void write_file(const char *folder, const char *name, cb_span content)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL);
    cr_assert(fwrite(content.bytes, 1, content.size, file) == content.size);
    fclose(file);
}

static void read_file(const char *folder, const char *name, cb_buffer *content)
{
    char path[128];
    char bytes[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "no '%s'", name);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    cb_buffer_append(content, bytes, size);
}

/* Runs in the folder; true where the exit status was 0. */
static bool run(const char *folder, const char *command)
{
    char line[512];
    snprintf(line, sizeof line, "cd '%s' && { %s; } >output 2>&1", folder,
             command);
    return system(line) == 0;
}

static void need_ssh_keygen(void)
{
    if (system("command -v ssh-keygen >/dev/null 2>&1") != 0) {
        cr_skip_test("ssh-keygen (package openssh-client) is not here to be "
                     "asked");
    }
}

Test(ssh_signature, is_accepted_by_stock_ssh_keygen)
{
    need_ssh_keygen();
    static const char verify[] = "ssh-keygen -Y verify -f allowed -I " PRINCIPAL
                                 " -n git -s signature <message";
    const signer device = signer_create(1);
    const signer other = signer_create(2);
    char folder[64];
    char fingerprint[CB_SSH_FINGERPRINT_TEXT_BYTES];
    cb_buffer armor;
    cb_buffer line;
    cb_buffer output;
    cb_buffer_init(&line, 1024);
    cb_buffer_init(&output, 8192);
    folder_make(folder);
    sign(&device, MESSAGE, &armor);
    expect_ok(cb_ssh_allowed_signer(PRINCIPAL, device.public_key, &line,
                                    test_error()));
    write_file(folder, "signature", cb_span_of_buffer(&armor));
    write_file(folder, "allowed", cb_span_of_buffer(&line));
    write_file(folder, "message", cb_span_of_text(MESSAGE));

    cr_expect(run(folder, verify));
    read_file(folder, "output", &output);
    cb_ssh_fingerprint(device.public_key, fingerprint);
    expect_contains(cb_buffer_text(&output), "Good \"git\" signature");
    expect_contains(cb_buffer_text(&output), fingerprint);

    write_file(folder, "message", cb_span_of_text(MESSAGE "x"));
    cr_expect(!run(folder, verify), "another message");
    write_file(folder, "message", cb_span_of_text(MESSAGE));
    cb_buffer_reset(&line);
    expect_ok(cb_ssh_allowed_signer(PRINCIPAL, other.public_key, &line,
                                    test_error()));
    write_file(folder, "allowed", cb_span_of_buffer(&line));
    cr_expect(!run(folder, verify), "another key");

    folder_remove(folder);
    cb_buffer_clear(&armor);
    cb_buffer_clear(&line);
    cb_buffer_clear(&output);
    cb_secret_destroy(device.secret);
    cb_secret_destroy(other.secret);
}

/* The key out of "ssh-ed25519 <base64> <comment>". */
static void parse_public_key(const char *line, uint8_t *public_key)
{
    uint8_t blob[51];
    const char *text = strchr(line, ' ');
    cr_assert(text != NULL);
    const cb_span base64 = { .bytes = (const uint8_t *)text + 1, .size = 68 };
    cr_assert(cb_base64_parse(base64, blob, sizeof blob));
    memcpy(public_key, blob + sizeof blob - CB_PUBLIC_KEY_BYTES,
           CB_PUBLIC_KEY_BYTES);
}

Test(ssh_signature, of_stock_ssh_keygen_is_accepted_here)
{
    need_ssh_keygen();
    static const char make[] =
        "ssh-keygen -q -t ed25519 -N '' -C test -f key && "
        "ssh-keygen -q -Y sign -f key -n git message && "
        "cp message.sig good && rm message.sig && "
        "ssh-keygen -q -Y sign -f key -n file message && "
        "cp message.sig elsewhere";
    char folder[64];
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
    char fingerprint[CB_SSH_FINGERPRINT_TEXT_BYTES];
    cb_buffer content;
    cb_buffer_init(&content, 8192);
    cr_assert(sodium_init() >= 0);
    folder_make(folder);
    write_file(folder, "message", cb_span_of_text(MESSAGE));
    cr_assert(run(folder, make));
    read_file(folder, "key.pub", &content);
    parse_public_key(cb_buffer_text(&content), public_key);

    cb_buffer_reset(&content);
    read_file(folder, "good", &content);
    expect_ok(cb_ssh_verify(cb_span_of_buffer(&content),
                            cb_span_of_text(MESSAGE), public_key,
                            test_error()));

    /* A signature made for files must not pass for one of a commit. */
    cb_buffer_reset(&content);
    read_file(folder, "elsewhere", &content);
    expect_status(CB_DAMAGED, cb_ssh_verify(cb_span_of_buffer(&content),
                                            cb_span_of_text(MESSAGE),
                                            public_key, test_error()));

    cr_assert(run(folder, "ssh-keygen -l -f key.pub"));
    cb_buffer_reset(&content);
    read_file(folder, "output", &content);
    cb_ssh_fingerprint(public_key, fingerprint);
    expect_contains(cb_buffer_text(&content), fingerprint);
    folder_remove(folder);
    cb_buffer_clear(&content);
}
