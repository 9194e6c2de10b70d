/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command with a clock and randomness that tests decide.
 *
 *     CASEBOUND_TEST_CLOCK   the present: milliseconds, or a time as people
 *                            give it ("2017-03-14 14:00"); in a receiving hook,
 *                            to which git is given no variables, 1970
 *     CASEBOUND_TEST_SEED    where all randomness comes from
 *     CASEBOUND_TEST_STATE   a folder that counts equal command lines
 *     CASEBOUND_TEST_SQL     see edit.h
 *     CASEBOUND_TEST_SWAP    where memory is swapped to, in plain
 *     CASEBOUND_TEST_MEMORY  set where none of it can be locked
 *
 * Two runs of one command line under one seed differ, for the count of the
 * runs before goes into the seed: otherwise two stores made by the same
 * `casebound init` would have the same keys.  A transcript still gives the same
 * bytes each time, and a command put in between changes no other.
 *
 * Only this test program knows these variables.
 */
#include "cli.h"
#include "edit.h"

#include <casebound/when.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct generator {
    unsigned char key[crypto_stream_chacha20_KEYBYTES];
    uint64_t calls;
} generator;

/* libsodium's generator has no context of its own. */
static generator the_generator;

static void generate(void *bytes, size_t size)
{
    unsigned char nonce[crypto_stream_chacha20_NONCEBYTES];
    cb_put_u64(nonce, the_generator.calls++);
    (void)crypto_stream_chacha20(bytes, size, nonce, the_generator.key);
}

static const char *generator_name(void)
{
    return "deterministic";
}

static uint32_t generate_word(void)
{
    uint32_t word = 0;
    generate(&word, sizeof word);
    return word;
}

/* libsodium wants a structure that it may keep and that is not const. */
static randombytes_implementation implementation = {
    .implementation_name = generator_name,
    .random = generate_word,
    .buf = generate,
};

static _Noreturn void stop(const char *what, const char *value)
{
    (void)fprintf(stderr, "casebound-test: %s '%s'\n", what, value);
    exit(99);
}

/* How often this command line ran before, in this folder of counts. */
static uint64_t count_runs(const char *folder, const char *name)
{
    char path[4096];
    struct stat file_stat = { 0 };
    int size = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (size < 0 || (size_t)size >= sizeof path) {
        stop("cannot use the folder", folder);
    }
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || write(file, ".", 1) != 1 || fstat(file, &file_stat) != 0) {
        stop("cannot count in", path);
    }
    (void)close(file);
    return (uint64_t)file_stat.st_size;
}

static void seed(int argc, char **argv)
{
    const char *text = getenv("CASEBOUND_TEST_SEED");
    const char *folder = getenv("CASEBOUND_TEST_STATE");
    crypto_generichash_state state;
    unsigned char line[16];
    char name[2 * sizeof line + 1];
    unsigned char count[8];
    crypto_generichash_init(&state, NULL, 0, sizeof line);
    for (int i = 1; i < argc; i++) {
        crypto_generichash_update(&state, (const unsigned char *)argv[i],
                                  strlen(argv[i]) + 1);
    }
    crypto_generichash_final(&state, line, sizeof line);
    cb_hex_format(line, sizeof line, name);
    cb_put_u64(count, folder == NULL ? 0 : count_runs(folder, name));
    crypto_generichash_init(&state, NULL, 0, sizeof the_generator.key);
    crypto_generichash_update(&state, line, sizeof line);
    crypto_generichash_update(&state, count, sizeof count);
    if (text != NULL) {
        crypto_generichash_update(&state, (const unsigned char *)text,
                                  strlen(text));
    }
    crypto_generichash_final(&state, the_generator.key,
                             sizeof the_generator.key);
    if (randombytes_set_implementation(&implementation) != 0) {
        stop("cannot set", generator_name());
    }
}

static int64_t test_now_ms(void *context)
{
    return *(const int64_t *)context;
}

static int64_t read_clock(void)
{
    const char *text = getenv("CASEBOUND_TEST_CLOCK");
    cb_when when = { 0 };
    if (text == NULL && getenv("GIT_DIR") != NULL) {
        return 0;
    }
    if (text == NULL) {
        stop("set CASEBOUND_TEST_CLOCK", "");
    }
    /* Five digits or more are no year. */
    size_t size = strlen(text);
    if (size > 4 && strspn(text, "0123456789") == size) {
        return strtoll(text, NULL, 10);
    }
    if (cb_when_parse(text, 0, &when, NULL) != CB_OK) {
        stop("cannot read CASEBOUND_TEST_CLOCK", text);
    }
    return when.start_ms;
}

static void look_at_swap(cb_swap *ret_swap)
{
    const char *name = getenv("CASEBOUND_TEST_SWAP");
    *ret_swap =
        (cb_swap){ .kind = name == NULL ? CB_SWAP_NONE : CB_SWAP_PLAIN };
    (void)snprintf(ret_swap->name, sizeof ret_swap->name, "%s",
                   name == NULL ? "" : name);
}

static bool can_lock_memory(void)
{
    return getenv("CASEBOUND_TEST_MEMORY") == NULL;
}

int main(int argc, char **argv)
{
    cb_cli_world world;
    const char *sql = getenv("CASEBOUND_TEST_SQL");
    if (sql != NULL) {
        return test_edit_store(getenv("CASEBOUND_STORE"), sql);
    }
    cb_cli_world_system(&world);
    seed(argc, argv);
    int64_t now_ms = read_clock();
    cb_environment environment = *world.environment;
    /* The clock is the only function of the environment that gets it: the
     * system's own ignore their context. */
    environment.context = &now_ms;
    environment.now_ms = test_now_ms;
    world.environment = &environment;
    world.look_at_swap = look_at_swap;
    world.can_lock_memory = can_lock_memory;
    /* The least that libsodium takes: there is nothing here to guard. */
    world.kdf_operations = crypto_pwhash_argon2id_OPSLIMIT_MIN;
    world.kdf_memory_bytes = crypto_pwhash_argon2id_MEMLIMIT_MIN;
    cb_cli_catch_signals();
    return cb_cli_main(argc, argv, &world);
}
