/* SPDX-License-Identifier: Apache-2.0 */
/* The file between a passphrase or a recovery key and the master key. */
#include <ctype.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <casebound/limits.h>

#include "store/unlock.h"
#include "support/expect.h"

#define MEBIBYTE UINT64_C(1048576)

static cb_environment environment;
static cb_memory machine = { UINT64_MAX, UINT64_MAX };
static int asked; /* for memory: once before each use of Argon2id */
static cb_secret *passphrase;
static cb_secret *wrong;
static cb_secret *recovery;
static cb_secret *master;

static const cb_unlock_cost cheap = { 1, 8192 };

static void find_memory(void *context, cb_memory *ret_memory)
{
    (void)context;
    asked++;
    *ret_memory = machine;
}

static cb_secret *secret_of(const char *text)
{
    cb_secret *secret = NULL;
    expect_ok(cb_secret_create(strlen(text), &secret, test_error()));
    memcpy(cb_secret_bytes(secret), text, strlen(text));
    return secret;
}

static cb_secret *random_secret(size_t size)
{
    cb_secret *secret = NULL;
    expect_ok(
        cb_secret_create_random(&environment, size, &secret, test_error()));
    return secret;
}

static void begin(void)
{
    environment = *cb_environment_system();
    environment.find_memory = find_memory;
    cr_assert(sodium_init() >= 0);
    passphrase = secret_of("lantern copper seven meadow");
    wrong = secret_of("lantern copper seven meadoW");
    recovery = random_secret(CB_RECOVERY_KEY_BYTES);
    master = random_secret(CB_KEY_BYTES);
}

static void end(void)
{
    cb_secret_destroy(passphrase);
    cb_secret_destroy(wrong);
    cb_secret_destroy(recovery);
    cb_secret_destroy(master);
}

TestSuite(unlock, .init = begin, .fini = end);

static cb_unlock make(void)
{
    cb_unlock unlock = { .store_id = "the store's id" };
    expect_ok(cb_unlock_seal(&environment, &unlock, CB_UNLOCK_PASSPHRASE, cheap,
                             passphrase, master, test_error()));
    return unlock;
}

static cb_unlock make_both(void)
{
    cb_unlock unlock = make();
    expect_ok(cb_unlock_seal(&environment, &unlock, CB_UNLOCK_RECOVERY, cheap,
                             recovery, master, test_error()));
    return unlock;
}

/* As it stands in the file; the caller frees. */
static char *format(cb_unlock unlock)
{
    cb_buffer text;
    cb_buffer_init(&text, CB_UNLOCK_FILE_BYTES_MAX);
    expect_ok(cb_unlock_format(&unlock, master, &text, test_error()));
    char *copy = strdup(cb_buffer_text(&text));
    cb_buffer_clear(&text);
    return copy;
}

static cb_unlock parse(const char *text)
{
    cb_unlock unlock = { 0 };
    expect_ok(cb_unlock_parse(cb_span_of_text(text), &unlock, test_error()));
    return unlock;
}

static cb_unlock reread(cb_unlock unlock)
{
    char *text = format(unlock);
    cb_unlock read = parse(text);
    free(text);
    return read;
}

/* The status, and CB_ASSERT's that what opens is the master key. */
static cb_status try(const cb_unlock *unlock, cb_unlock_kind kind,
                     const cb_secret *secret)
{
    cb_secret *opened = NULL;
    cb_error_clear(test_error());
    cb_status status = cb_unlock_unseal(&environment, unlock, kind, secret,
                                        &opened, test_error());
    cr_expect((status == CB_OK) == (opened != NULL));
    if (opened != NULL) {
        cr_expect(memcmp(cb_secret_view(opened), cb_secret_view(master),
                         CB_KEY_BYTES) == 0);
        cb_secret_destroy(opened);
    }
    return status;
}

/* ------------------------------------------------------------------- slots */

Test(unlock, opens_with_the_passphrase_and_with_the_recovery_key)
{
    cb_unlock unlock = reread(make_both());
    cb_secret *other = random_secret(CB_RECOVERY_KEY_BYTES);
    cr_expect(try(&unlock, CB_UNLOCK_PASSPHRASE, passphrase) == CB_OK);
    cr_expect(try(&unlock, CB_UNLOCK_PASSPHRASE, wrong) == CB_WRONG_KEY);
    cr_expect(try(&unlock, CB_UNLOCK_RECOVERY, recovery) == CB_OK);
    cr_expect(try(&unlock, CB_UNLOCK_RECOVERY, other) == CB_WRONG_KEY);
    expect_contains(test_error()->what, "recovery key");
    cr_expect(cb_unlock_judge(&unlock, master) == CB_UNLOCK_FITS);
    cb_secret_destroy(other);

    unlock = reread(make());
    cr_expect(try(&unlock, CB_UNLOCK_RECOVERY, recovery) == CB_NOT_FOUND);
}

/* Nor a nonce nor a salt is used twice, and no two files are alike. */
Test(unlock, seals_anew_each_time)
{
    cb_unlock a = make_both();
    cb_unlock b = a;
    expect_ok(cb_unlock_seal(&environment, &b, CB_UNLOCK_PASSPHRASE, cheap,
                             passphrase, master, test_error()));
    for (int kind = 0; kind < CB_UNLOCK_KINDS; kind++) {
        cr_expect((memcmp(a.slots[kind].nonce, b.slots[kind].nonce,
                          sizeof a.slots[kind].nonce) == 0) ==
                  (kind == CB_UNLOCK_RECOVERY));
        cr_expect((memcmp(a.slots[kind].salt, b.slots[kind].salt,
                          sizeof a.slots[kind].salt) == 0) ==
                  (kind == CB_UNLOCK_RECOVERY));
    }
    /* Its neighbour is as good as before. */
    b = reread(b);
    cr_expect(try(&b, CB_UNLOCK_RECOVERY, recovery) == CB_OK);
}

/*
 * The work is done before anything is compared: Argon2id once for a passphrase,
 * right or wrong, with or without other slots, and never for a recovery key.
 */
Test(unlock, costs_the_same_for_a_wrong_passphrase)
{
    static const struct {
        bool both;
        bool right;
        cb_unlock_kind kind;
        int derivations;
    } rows[] = {
        { false, true, CB_UNLOCK_PASSPHRASE, 1 },
        { false, false, CB_UNLOCK_PASSPHRASE, 1 },
        { true, true, CB_UNLOCK_PASSPHRASE, 1 },
        { true, false, CB_UNLOCK_PASSPHRASE, 1 },
        { true, true, CB_UNLOCK_RECOVERY, 0 },
        { true, false, CB_UNLOCK_RECOVERY, 0 },
    };

    cb_secret *other = random_secret(CB_RECOVERY_KEY_BYTES);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_unlock unlock = reread(rows[i].both ? make_both() : make());
        const cb_secret *given = rows[i].kind == CB_UNLOCK_RECOVERY
                                     ? (rows[i].right ? recovery : other)
                                     : (rows[i].right ? passphrase : wrong);
        asked = 0;
        cr_expect(try(&unlock, rows[i].kind, given) ==
                  (rows[i].right ? CB_OK : CB_WRONG_KEY));
        cr_expect(asked == rows[i].derivations, "row %zu: %d", i, asked);
    }
    cb_secret_destroy(other);
}

static double seconds_of(const cb_unlock *unlock, const cb_secret *given)
{
    struct timespec from;
    struct timespec to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    (void)try(unlock, CB_UNLOCK_PASSPHRASE, given);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) +
           (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* The least of several, in processor time: what else runs does not count. */
Test(unlock, takes_as_long_for_a_wrong_passphrase)
{
    static const cb_unlock_cost dear = { 3, 16 * MEBIBYTE };
    double least[2] = { 1e9, 1e9 };
    cb_unlock unlock = { 0 };
    expect_ok(cb_unlock_seal(&environment, &unlock, CB_UNLOCK_PASSPHRASE, dear,
                             passphrase, master, test_error()));
    for (int i = 0; i < 14; i++) {
        double took = seconds_of(&unlock, i % 2 == 0 ? passphrase : wrong);
        least[i % 2] = took < least[i % 2] ? took : least[i % 2];
    }
    double ratio = least[1] / least[0];
    cr_expect(ratio > 0.8 && ratio < 1.25, "%.2f (%.1f and %.1f ms)", ratio,
              least[0] * 1000, least[1] * 1000);
}

/* --------------------------------------------------------------- tampering */

/*
 * Whatever byte is changed, the master key is opened by its own secret or not
 * at all, and that the file was changed is never unnoticed.
 */
Test(unlock, notices_every_changed_byte)
{
    cb_unlock unlock = make_both();
    cb_secret *previous = random_secret(CB_KEY_BYTES);
    expect_ok(cb_unlock_keep_previous(&environment, &unlock, master, previous,
                                      test_error()));
    char *text = format(unlock);
    size_t opened = 0;
    size_t refused = 0;
    size_t size = strlen(text);
    for (size_t i = 0; i + 1 < size; i++) {
        for (unsigned bit = 0; bit < 7; bit += 3) {
            cb_unlock changed;
            text[i] = (char)(text[i] ^ (1 << bit));
            cb_status status =
                cb_unlock_parse(cb_span_of_text(text), &changed, test_error());
            if (status == CB_OK) {
                cr_expect(cb_unlock_judge(&changed, master) != CB_UNLOCK_FITS,
                          "byte %zu", i);
                status = try(&changed, CB_UNLOCK_PASSPHRASE, passphrase);
                cr_expect(status == CB_OK || status == CB_DAMAGED,
                          "byte %zu: %s", i, cb_status_name(status));
                opened += status == CB_OK;
            } else {
                cr_expect(status == CB_DAMAGED || status == CB_NEWER,
                          "byte %zu", i);
                refused++;
            }
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
    /* A rotten byte elsewhere does not lock out whoever has the passphrase. */
    cr_expect(opened > 500 && refused > 500, "%zu, %zu", opened, refused);
    free(text);
    cb_secret_destroy(previous);
}

static cb_unlock tamper(const char *text, const char *path, json_t *value)
{
    json_t *document = json_loads(text, 0, NULL);
    json_t *place = document;
    cr_assert(document != NULL);
    if (strcmp(path, "store") != 0) {
        place = json_array_get(json_object_get(document, "slots"), 0);
    }
    cr_assert(json_object_set_new(place, path, value) == 0);
    char *changed = json_dumps(document, JSON_COMPACT);
    cb_unlock unlock = parse(changed);
    free(changed);
    json_decref(document);
    return unlock;
}

/* Somebody who knows what the sum is of can make it fit. */
static cb_unlock with_a_right_sum(cb_unlock unlock)
{
    unlock.rotten = false;
    return unlock;
}

Test(unlock, binds_cost_and_store_to_the_sealed_key)
{
    char *text = format(make());

    const struct {
        const char *member;
        json_t *value;
    } rows[] = {
        { "operations", json_integer(2) },
        { "memory_bytes", json_integer(16384) },
        { "store", json_string("00112233445566778899aabbccddeeff") },
        { "salt", json_string("00112233445566778899aabbccddeeff") },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_unlock unlock =
            with_a_right_sum(tamper(text, rows[i].member, rows[i].value));
        cr_expect(try(&unlock, CB_UNLOCK_PASSPHRASE, passphrase) ==
                      CB_WRONG_KEY,
                  "%s", rows[i].member);
    }
    free(text);
}

Test(unlock, notices_a_slot_put_in_or_taken_out)
{
    cb_unlock both = reread(make_both());
    cb_unlock later = both;
    /* Taken out: the owner would believe in a recovery key that is gone. */
    later.slots[CB_UNLOCK_RECOVERY].used = false;
    cr_expect(cb_unlock_judge(&later, master) == CB_UNLOCK_ALTERED);

    /* Put back from an older file, after the key was replaced. */
    cb_secret *fresh = random_secret(CB_RECOVERY_KEY_BYTES);
    later = both;
    expect_ok(cb_unlock_seal(&environment, &later, CB_UNLOCK_RECOVERY, cheap,
                             fresh, master, test_error()));
    later = reread(later);
    later.slots[CB_UNLOCK_RECOVERY] = both.slots[CB_UNLOCK_RECOVERY];
    cr_expect(cb_unlock_judge(&later, master) == CB_UNLOCK_ALTERED);

    /* As a slot of the other kind, or of another store, it does not open. */
    later = both;
    later.slots[CB_UNLOCK_PASSPHRASE].salt[0] ^= 1;
    cr_expect(try(&later, CB_UNLOCK_PASSPHRASE, passphrase) == CB_WRONG_KEY);
    cb_unlock other = { .store_id = "another id" };
    expect_ok(cb_unlock_seal(&environment, &other, CB_UNLOCK_PASSPHRASE, cheap,
                             passphrase, master, test_error()));
    other.slots[CB_UNLOCK_RECOVERY] = both.slots[CB_UNLOCK_RECOVERY];
    other = reread(other);
    cr_expect(try(&other, CB_UNLOCK_RECOVERY, recovery) == CB_WRONG_KEY);
    cb_secret_destroy(fresh);
}

Test(unlock, knows_the_file_of_another_master_key)
{
    cb_unlock unlock = reread(make());
    cb_secret *other = random_secret(CB_KEY_BYTES);
    cr_expect(cb_unlock_judge(&unlock, other) == CB_UNLOCK_OTHER_KEY);
    cb_secret_destroy(other);
}

Test(unlock, takes_only_what_it_knows)
{
    static const struct {
        const char *from; /* exchanged for `to` in a good file */
        const char *to;
        cb_status status;
    } rows[] = {
        { "\"version\":2", "\"version\":3", CB_NEWER },
        { "\"version\":2", "\"version\":0", CB_DAMAGED },
        { "\"version\":2", "\"version\":1", CB_DAMAGED },
        { "\"version\":2", "\"version\":-2", CB_DAMAGED },
        { "\"version\":2", "\"version\":\"2\"", CB_DAMAGED },
        { "argon2id13", "argon2id14", CB_DAMAGED },
        { "\"kind\":\"recovery\"", "\"kind\":\"passphrase\"", CB_DAMAGED },
        { "\"kind\":\"recovery\"", "\"kind\":\"fingerprint\"", CB_DAMAGED },
        { "\"kind\":\"passphrase\"", "\"kind\":\"recovery\"", CB_DAMAGED },
        /* What would take all memory, or all time, is not tried. */
        { "\"memory_bytes\":8192", "\"memory_bytes\":2147483649", CB_DAMAGED },
        { "\"memory_bytes\":8192", "\"memory_bytes\":8191", CB_DAMAGED },
        { "\"memory_bytes\":8192", "\"memory_bytes\":-1", CB_DAMAGED },
        { "\"operations\":1", "\"operations\":65", CB_DAMAGED },
        { "\"operations\":1", "\"operations\":0", CB_DAMAGED },
        { "\"slots\":[", "\"slots\":[{},{},", CB_DAMAGED },
        { "\"slots\":[{", "\"slots\":[[],{", CB_DAMAGED },
        { "\"slots\":[", "\"slot\":[", CB_DAMAGED },
    };

    char *text = format(make_both());
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_unlock unlock;
        char changed[4096];
        const char *place = strstr(text, rows[i].from);
        cr_assert(place != NULL, "%s", rows[i].from);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(place - text), text,
                 rows[i].to, place + strlen(rows[i].from));
        expect_status(rows[i].status, cb_unlock_parse(cb_span_of_text(changed),
                                                      &unlock, test_error()));
    }
    free(text);
}

Test(unlock, notices_members_it_does_not_know)
{
    char changed[4096];
    char *text = format(make());
    snprintf(changed, sizeof changed, "{\"backdoor\":1,%s", text + 1);
    cb_unlock unlock = parse(changed);
    /* They mean nothing, and are gone when the file is written again. */
    cr_expect(cb_unlock_judge(&unlock, master) == CB_UNLOCK_FITS);
    char *again = format(unlock);
    expect_text(again, text);
    free(text);
    free(again);
}

/* ---------------------------------------------------------------- version 1 */

/* Of the released version; its passphrase is that of the tests' stores. */
static const char first[] =
    "{\"kdf\":\"argon2id13\",\"memory_bytes\":8192,\"nonce\":"
    "\"6a1b961345efe9fd14ecbc31dcf958f6e46a94ce5f21b2c2\",\"operations\":1,"
    "\"salt\":\"01a080dc49280b98f5f53e0ec0975075\",\"sealed\":"
    "\"6a14cf011d71bd3b22284bdbb98068db6fef9ac6c611451efce429a0a57194798be92c52"
    "d2cb47241d7b1f89db8592e7\",\"store\":\"46a38968cd04e9bda21909a85244122f\","
    "\"version\":1}";

Test(unlock, reads_the_first_version_and_writes_the_second)
{
    cb_unlock unlock = parse(first);
    cr_expect(unlock.version == 1 && !unlock.rotten);
    cr_expect(cb_unlock_judge(&unlock, master) == CB_UNLOCK_FITS);
    cb_secret *opened = NULL;
    expect_ok(cb_unlock_unseal(&environment, &unlock, CB_UNLOCK_PASSPHRASE,
                               passphrase, &opened, test_error()));
    cr_expect(try(&unlock, CB_UNLOCK_PASSPHRASE, wrong) == CB_WRONG_KEY);

    expect_ok(cb_unlock_seal(&environment, &unlock, CB_UNLOCK_PASSPHRASE, cheap,
                             wrong, opened, test_error()));
    cb_buffer text;
    cb_buffer_init(&text, CB_UNLOCK_FILE_BYTES_MAX);
    expect_ok(cb_unlock_format(&unlock, opened, &text, test_error()));
    cb_unlock second = parse(cb_buffer_text(&text));
    cr_expect(second.version == 2);
    cr_expect(cb_unlock_judge(&second, opened) == CB_UNLOCK_FITS);
    cb_secret *again = NULL;
    expect_ok(cb_unlock_unseal(&environment, &second, CB_UNLOCK_PASSPHRASE,
                               wrong, &again, test_error()));
    cr_expect(memcmp(cb_secret_view(again), cb_secret_view(opened),
                     CB_KEY_BYTES) == 0);
    cb_secret_destroy(again);
    cb_secret_destroy(opened);
    cb_buffer_clear(&text);
}

/* ------------------------------------------------------- the key before it */

Test(unlock, keeps_the_previous_key_under_the_new_one)
{
    cb_unlock unlock = make();
    cb_secret *previous = random_secret(CB_KEY_BYTES);
    cb_secret *opened = NULL;
    expect_ok(cb_unlock_keep_previous(&environment, &unlock, master, previous,
                                      test_error()));
    unlock = reread(unlock);
    expect_ok(cb_unlock_take_previous(&unlock, master, &opened, test_error()));
    cr_expect(memcmp(cb_secret_view(opened), cb_secret_view(previous),
                     CB_KEY_BYTES) == 0);
    cb_secret_destroy(opened);

    opened = NULL;
    expect_status(CB_DAMAGED, cb_unlock_take_previous(&unlock, previous,
                                                      &opened, test_error()));
    unlock.store_id[0] ^= 1;
    expect_status(CB_DAMAGED, cb_unlock_take_previous(&unlock, master, &opened,
                                                      test_error()));
    cr_expect(opened == NULL);
    cb_secret_destroy(previous);
}

/* -------------------------------------------------------------------- cost */

Test(unlock, asks_of_a_small_machine_what_it_has)
{
    static const struct {
        uint64_t free_mebibytes;
        uint64_t operations; /* of 3 passes over 256 MiB */
        uint64_t memory_mebibytes;
    } rows[] = {
        { 100000, 3, 256 }, { 288, 3, 256 }, { 287, 6, 128 }, { 160, 6, 128 },
        { 159, 12, 64 },    { 64, 12, 64 },  { 0, 12, 64 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        machine.free_bytes = rows[i].free_mebibytes * MEBIBYTE;
        cb_unlock_cost cost =
            cb_unlock_cost_fit(&environment, cb_unlock_cost_default());
        cr_expect(cost.operations == rows[i].operations &&
                      cost.memory_bytes == rows[i].memory_mebibytes * MEBIBYTE,
                  "%d MiB free: %d passes, %d MiB", (int)rows[i].free_mebibytes,
                  (int)cost.operations, (int)(cost.memory_bytes / MEBIBYTE));
    }
    /* What is small already stays, and where nothing is known nothing changes.
     */
    cb_unlock_cost cost = cb_unlock_cost_fit(&environment, cheap);
    cr_expect(cost.operations == 1 && cost.memory_bytes == 8192);
    environment.find_memory = NULL;
    cost = cb_unlock_cost_fit(&environment, cb_unlock_cost_default());
    cr_expect(cost.operations == 3 && cost.memory_bytes == 256 * MEBIBYTE);
}

Test(unlock, says_that_memory_is_missing_before_taking_it)
{
    static const cb_unlock_cost dear = { 1, 512 * MEBIBYTE };
    cb_unlock unlock = make_both();
    unlock.slots[CB_UNLOCK_PASSPHRASE].cost = dear;
    machine = (cb_memory){ 100 * MEBIBYTE, 200 * MEBIBYTE };
    cr_expect(try(&unlock, CB_UNLOCK_PASSPHRASE, passphrase) == CB_NO_MEMORY);
    expect_contains(test_error()->what, "512 MiB");
    expect_contains(test_error()->what, "200 MiB");
    expect_contains(test_error()->next, "--recovery");
    /* The recovery key needs none. */
    cr_expect(try(&unlock, CB_UNLOCK_RECOVERY, recovery) == CB_OK);
}

/* A sanitizer takes more address space than is given here. */
#if !defined(__SANITIZE_ADDRESS__)
/* A process that may not have as much as the passphrase asks for. */
static int unlock_within(__rlimit_resource_t resource, bool ask_first)
{
    static const cb_unlock_cost dear = { 1, 256 * MEBIBYTE };
    cb_unlock unlock = make_both();
    unlock.slots[CB_UNLOCK_PASSPHRASE].cost = dear;
    environment.find_memory =
        ask_first ? cb_environment_system()->find_memory : NULL;
    const struct rlimit narrow = { 200 * MEBIBYTE, 200 * MEBIBYTE };
    if (setrlimit(resource, &narrow) != 0) {
        return 1;
    }
    if (try(&unlock, CB_UNLOCK_PASSPHRASE, passphrase) != CB_NO_MEMORY ||
        strstr(test_error()->what, "256 MiB") == NULL) {
        return 2;
    }
    cb_unlock_cost fit =
        cb_unlock_cost_fit(&environment, cb_unlock_cost_default());
    if (ask_first && fit.memory_bytes >= 256 * MEBIBYTE) {
        return 3;
    }
    if (ask_first &&
        cb_unlock_seal(&environment, &unlock, CB_UNLOCK_PASSPHRASE, fit,
                       passphrase, master, test_error()) != CB_OK) {
        return 4;
    }
    return try(&unlock, CB_UNLOCK_RECOVERY, recovery) == CB_OK ? 0 : 5;
}

Test(unlock, works_within_the_limits_of_its_process, .timeout = 60)
{
    static const __rlimit_resource_t resources[] = { RLIMIT_AS, RLIMIT_DATA };
    for (int i = 0; i < 4; i++) {
        int status = 0;
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            _exit(unlock_within(resources[i % 2], i < 2));
        }
        cr_assert(waitpid(child, &status, 0) == child);
        cr_expect(status == 0, "row %d: %d", i, WEXITSTATUS(status));
    }
}
#endif
