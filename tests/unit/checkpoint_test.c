/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <stdio.h>

#include "proof/checkpoint.h"
#include "support/expect.h"

#define ORIGIN  "hub.example/south"
#define ROOT    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
#define MARK    "\xe2\x80\x94 "
/* A witness's line: well formed, of a key that nobody here knows. */
#define WITNESS MARK "witness.example AAECAwQFBgc=\n"

typedef struct signer {
    cb_note_key key;
    cb_secret *secret;
} signer;

static signer signer_create(const char *name, uint8_t seed_byte)
{
    signer made = { .secret = NULL };
    uint8_t seed[crypto_sign_SEEDBYTES];
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    cr_assert(sodium_init() >= 0);
    memset(seed, seed_byte, sizeof seed);
    expect_ok(cb_secret_create(crypto_sign_SECRETKEYBYTES, &made.secret,
                               test_error()));
    crypto_sign_seed_keypair(public_key, cb_secret_bytes(made.secret), seed);
    expect_ok(cb_note_key_init(&made.key, name, public_key, test_error()));
    return made;
}

static cb_checkpoint checkpoint_of(uint64_t size)
{
    cb_checkpoint checkpoint = { .origin = ORIGIN, .head = { .size = size } };
    cr_assert(cb_base64_parse(cb_span_of_text(ROOT), checkpoint.head.root.bytes,
                              CB_HASH_BYTES));
    return checkpoint;
}

static void sign_note(const signer *by, uint64_t size, cb_buffer *note)
{
    const cb_checkpoint checkpoint = checkpoint_of(size);
    cb_buffer_init(note, 2 * CB_CHECKPOINT_BYTES_MAX);
    expect_ok(cb_checkpoint_sign(&checkpoint, &by->key, by->secret, note,
                                 test_error()));
}

/* Signs whatever text is given, as a hub that breaks the rules would. */
static void sign_text(const signer *by, const char *text, cb_buffer *note)
{
    uint8_t signature[4 + crypto_sign_BYTES];
    memcpy(signature, by->key.key_id, 4);
    crypto_sign_detached(signature + 4, NULL, (const uint8_t *)text,
                         strlen(text), cb_secret_view(by->secret));
    cb_buffer_init(note, 2 * CB_CHECKPOINT_BYTES_MAX);
    cb_buffer_append_format(note, "%s\n" MARK "%s ", text, by->key.name);
    cb_buffer_append_base64(
        note, (cb_span){ .bytes = signature, .size = sizeof signature });
    cb_buffer_append_text(note, "\n");
}

Test(checkpoint, is_the_text_of_the_specification)
{
    const signer hub = signer_create(ORIGIN, 1);
    cb_buffer note;
    sign_note(&hub, 20852163, &note);

    const char *wanted = ORIGIN "\n20852163\n" ROOT "\n\n" MARK ORIGIN " ";
    cr_expect(strncmp(cb_buffer_text(&note), wanted, strlen(wanted)) == 0, "%s",
              cb_buffer_text(&note));
    /* 68 bytes of key id and signature are 92 characters. */
    cr_expect(note.size == strlen(wanted) + 92 + 1);

    cb_checkpoint got;
    expect_ok(cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key, &got,
                                   test_error()));
    const cb_checkpoint signed_one = checkpoint_of(20852163);
    expect_text(got.origin, signed_one.origin);
    cr_expect(got.head.size == signed_one.head.size);
    expect_bytes(got.head.root.bytes, 32, signed_one.head.root.bytes, 32);
    cb_buffer_clear(&note);
    cb_secret_destroy(hub.secret);
}

Test(checkpoint, is_the_same_bytes_each_time)
{
    const signer hub = signer_create(ORIGIN, 1);
    cb_buffer first;
    cb_buffer second;
    sign_note(&hub, 0, &first);
    sign_note(&hub, 0, &second);
    expect_bytes(first.bytes, first.size, second.bytes, second.size);
    cb_buffer_clear(&first);
    cb_buffer_clear(&second);
    cb_secret_destroy(hub.secret);
}

Test(checkpoint, carries_the_lines_of_witnesses_along)
{
    const signer hub = signer_create(ORIGIN, 1);
    cb_buffer note;
    cb_note parsed;
    cb_checkpoint got;
    sign_note(&hub, 7, &note);
    cb_buffer_append_text(&note, WITNESS);

    expect_ok(cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key, &got,
                                   test_error()));
    expect_ok(
        cb_checkpoint_parse(cb_span_of_buffer(&note), &parsed, test_error()));
    cr_assert(parsed.signature_count == 2);
    expect_bytes(parsed.signatures[1].line.bytes,
                 parsed.signatures[1].line.size, WITNESS, strlen(WITNESS));
    expect_bytes(parsed.signatures[1].key_id, 4, "\0\1\2\3", 4);
    expect_bytes(parsed.signatures[0].key_id, 4, hub.key.key_id, 4);
    cb_buffer_clear(&note);
    cb_secret_destroy(hub.secret);
}

Test(checkpoint, believes_the_pinned_key_alone)
{
    const signer hub = signer_create(ORIGIN, 1);
    const signer other = signer_create(ORIGIN, 2);
    const signer elsewhere = signer_create("hub.example/north", 1);
    cb_buffer note;
    cb_checkpoint got;
    sign_note(&hub, 7, &note);
    expect_status(CB_WRONG_KEY,
                  cb_checkpoint_verify(cb_span_of_buffer(&note), &other.key,
                                       &got, test_error()));
    expect_status(CB_DAMAGED,
                  cb_checkpoint_verify(cb_span_of_buffer(&note), &elsewhere.key,
                                       &got, test_error()));

    /* The key id may collide; the signature may not. */
    cb_note_key collision = other.key;
    memcpy(collision.key_id, hub.key.key_id, 4);
    expect_status(CB_DAMAGED,
                  cb_checkpoint_verify(cb_span_of_buffer(&note), &collision,
                                       &got, test_error()));
    cb_buffer_clear(&note);
    cb_secret_destroy(hub.secret);
    cb_secret_destroy(other.secret);
    cb_secret_destroy(elsewhere.secret);
}

Test(checkpoint, does_not_survive_the_change_of_any_byte)
{
    const signer hub = signer_create(ORIGIN, 1);
    cb_buffer note;
    cb_checkpoint got;
    sign_note(&hub, 1234, &note);
    for (size_t i = 0; i < note.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            note.bytes[i] ^= (uint8_t)(1U << bit);
            cr_expect(cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key,
                                           &got, NULL) != CB_OK,
                      "byte %zu bit %u", i, bit);
            note.bytes[i] ^= (uint8_t)(1U << bit);
        }
        const cb_span shorter = { .bytes = note.bytes, .size = i };
        cr_expect(cb_checkpoint_verify(shorter, &hub.key, &got, NULL) != CB_OK,
                  "cut at %zu", i);
    }
    expect_ok(cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key, &got,
                                   test_error()));
    cb_buffer_clear(&note);
    cb_secret_destroy(hub.secret);
}

Test(checkpoint, refuses_another_form_even_where_it_is_well_signed)
{
    static const char *const texts[] = {
        ORIGIN "\n7\n" ROOT "\nextension\n",
        ORIGIN "\n07\n" ROOT "\n",
        ORIGIN "\n+7\n" ROOT "\n",
        ORIGIN "\n7 \n" ROOT "\n",
        ORIGIN "\n7\r\n" ROOT "\n",
        ORIGIN "\n\n" ROOT "\n",
        ORIGIN "\n-1\n" ROOT "\n",
        ORIGIN "\n4611686018427387905\n" ROOT "\n",
        ORIGIN "\n18446744073709551617\n" ROOT "\n",
        ORIGIN "\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
        ORIGIN "\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",
        ORIGIN "\n7\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n",
        ORIGIN "\n7\nAAAA\n",
        ORIGIN "\n7\n",
        ORIGIN " \n7\n" ROOT "\n",
        "\n7\n" ROOT "\n",
        "\n" ORIGIN "\n7\n" ROOT "\n",
    };
    const signer hub = signer_create(ORIGIN, 1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cb_buffer note;
        cb_checkpoint got;
        sign_text(&hub, texts[i], &note);
        expect_status(CB_DAMAGED,
                      cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key,
                                           &got, test_error()));
        cb_buffer_clear(&note);
    }
    cb_secret_destroy(hub.secret);
}

Test(checkpoint, refuses_lines_that_are_not_signatures)
{
    static const char *const lines[] = {
        "trailing\n",
        "\n",
        MARK "witness.example AAECAwQFBgc=",
        MARK "witness.example AAECAwQFBgc=\n" MARK
             "witness.example AAECAwQFBgd=\n",
        MARK "witness.example AAECAwQFBgc=\n" MARK
             "witness.example AAECAwQFBgc=\n",
        MARK "witness.example AAECAwQFBgc= \n",
        MARK "witness.example  AAECAwQFBgc=\n",
        MARK "witness.example AAECAw==\n",
        MARK "witness.example \n",
        MARK "witness.example\n",
        MARK " AAECAwQFBgc=\n",
        MARK "wit+ness AAECAwQFBgc=\n",
        MARK "w\x1b[2Jness AAECAwQFBgc=\n",
        "- witness.example AAECAwQFBgc=\n",
        "\xe2\x80\x94witness.example AAECAwQFBgc=\n",
    };
    const signer hub = signer_create(ORIGIN, 1);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cb_buffer note;
        cb_checkpoint got;
        sign_note(&hub, 7, &note);
        cb_buffer_append_text(&note, lines[i]);
        expect_status(CB_DAMAGED,
                      cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key,
                                           &got, test_error()));
        cb_buffer_clear(&note);
    }
    cb_secret_destroy(hub.secret);
}

Test(checkpoint, has_bounds)
{
    const signer hub = signer_create(ORIGIN, 1);
    cb_buffer note;
    cb_checkpoint got;
    sign_note(&hub, 7, &note);
    for (unsigned i = 1; i < CB_NOTE_SIGNATURES_MAX; i++) {
        cb_buffer_append_format(&note, MARK "witness%u AAECAwQFBgc=\n", i);
    }
    expect_ok(cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key, &got,
                                   test_error()));
    cb_buffer_append_text(&note, WITNESS);
    expect_status(CB_DAMAGED,
                  cb_checkpoint_verify(cb_span_of_buffer(&note), &hub.key, &got,
                                       test_error()));
    while (note.size <= CB_CHECKPOINT_BYTES_MAX) {
        cb_buffer_append_text(&note, WITNESS);
    }
    expect_status(CB_LIMIT, cb_checkpoint_verify(cb_span_of_buffer(&note),
                                                 &hub.key, &got, test_error()));
    cb_buffer_clear(&note);

    cb_checkpoint checkpoint = checkpoint_of(CB_TREE_SIZE_MAX + 1);
    cb_buffer_init(&note, 1024);
    expect_status(CB_LIMIT,
                  cb_checkpoint_sign(&checkpoint, &hub.key, hub.secret, &note,
                                     test_error()));
    checkpoint = checkpoint_of(7);
    (void)snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s",
                   "hub.example/north");
    expect_status(CB_INPUT,
                  cb_checkpoint_sign(&checkpoint, &hub.key, hub.secret, &note,
                                     test_error()));
    const signer other = signer_create(ORIGIN, 2);
    checkpoint = checkpoint_of(7);
    expect_status(CB_WRONG_KEY,
                  cb_checkpoint_sign(&checkpoint, &hub.key, other.secret, &note,
                                     test_error()));
    cr_expect(note.size == 0);
    cb_buffer_clear(&note);
    cb_secret_destroy(hub.secret);
    cb_secret_destroy(other.secret);
}

/* The example key of Go's golang.org/x/mod/sumdb/note, made by nobody here. */
#define GO_KEY \
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

Test(checkpoint, key_text_is_that_of_other_implementations)
{
    cb_note_key key;
    cb_buffer text;
    cr_assert(sodium_init() >= 0);
    expect_ok(cb_note_key_parse(cb_span_of_text(GO_KEY), &key, test_error()));
    expect_text(key.name, "PeterNeumann");
    expect_bytes(key.key_id, 4, "\xc7\x4f\x20\xa3", 4);

    cb_buffer_init(&text, CB_NOTE_KEY_TEXT_BYTES_MAX);
    cb_note_key_format(&key, &text);
    expect_text(cb_buffer_text(&text), GO_KEY);
    cb_buffer_clear(&text);

    /* And its signature over the text of that package's example. */
    static const char note[] =
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n";
    uint8_t signature[68];
    cr_assert(cb_base64_parse(
        cb_span_of_text(
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FF"
            "YC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="),
        signature, sizeof signature));
    expect_bytes(signature, 4, key.key_id, 4);
    cr_expect(crypto_sign_verify_detached(signature + 4, (const uint8_t *)note,
                                          sizeof note - 1,
                                          key.public_key) == 0);
}

Test(checkpoint, refuses_every_other_key_text)
{
    static const char *const rows[] = {
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        GO_KEY "\n",
        GO_KEY "+",
        GO_KEY "AAAA",
        /* A point of small order. */
        "PeterNeumann+c74f20a3+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    cr_assert(sodium_init() >= 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cb_note_key key;
        cr_expect(cb_note_key_parse(cb_span_of_text(rows[i]), &key, NULL) ==
                      CB_INPUT,
                  "%s", rows[i]);
    }
}
