/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer's seeds, and mutations of them that are the same in every run.
 *
 *     entry_replay run 300         each seed, and 300 mutations of it
 *     entry_replay write FOLDER    the seeds as files, for libFuzzer
 */
#include "fuzz/fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Marsaglia's xorshift: a test needs the same numbers, not good ones. */
typedef struct fuzz_dice {
    uint64_t state;
} fuzz_dice;

static size_t roll(fuzz_dice *dice, size_t sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return sides == 0 ? 0 : (size_t)(dice->state >> 11) % sides;
}

static const uint8_t edges[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '\n', ' ', '=' };

/* One small change: a bit, a byte, a run, a cut, a copy of another place. */
static void mutate(fuzz_dice *dice, uint8_t *bytes, size_t *size)
{
    const size_t at = roll(dice, *size);
    const size_t run = roll(dice, *size - at) % 64;
    switch (*size == 0 ? 4 : roll(dice, 6)) {
    case 0: bytes[at] ^= (uint8_t)(1u << roll(dice, 8)); break;
    case 1: bytes[at] = edges[roll(dice, sizeof edges)]; break;
    case 2: memset(bytes + at, edges[roll(dice, sizeof edges)], run); break;
    case 3: *size = at; break;
    case 4:
        if (*size < FUZZ_INPUT_BYTES_MAX) {
            bytes[(*size)++] = (uint8_t)roll(dice, 256);
        }
        break;
    default: memmove(bytes + at, bytes + roll(dice, *size - run), run); break;
    }
}

static volatile sig_atomic_t seed_now;
static volatile sig_atomic_t mutation_now;

static void say_where(int number)
{
    char text[80];
    const int length =
        snprintf(text, sizeof text, "signal %d at seed %d, mutation %d\n",
                 number, (int)seed_now, (int)mutation_now);
    (void)!write(STDOUT_FILENO, text, (size_t)length);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void run_seed(unsigned number, const cb_buffer *seed, int mutations)
{
    static uint8_t bytes[FUZZ_INPUT_BYTES_MAX];
    seed_now = (int)number;
    for (mutation_now = 0; mutation_now <= mutations; mutation_now++) {
        fuzz_dice dice = { 0x9e3779b97f4a7c15u * (number + 1) +
                           (uint64_t)mutation_now };
        size_t size = seed->size;
        memcpy(bytes, seed->bytes, size);
        for (size_t i = mutation_now ? 1 + roll(&dice, 4) : 0; i > 0; i--) {
            mutate(&dice, bytes, &size);
        }
        /* A copy of the exact size lets the sanitizer see a step too far. */
        uint8_t *copy = malloc(size ? size : 1);
        if (!copy) {
            abort();
        }
        memcpy(copy, bytes, size);
        (void)LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
}

static bool write_seed(unsigned number, const cb_buffer *seed,
                       const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/seed-%u", folder, number);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        return false;
    }
    const bool whole = fwrite(seed->bytes, 1, seed->size, file) == seed->size;
    return fclose(file) == 0 && whole;
}

int main(int argc, char **argv)
{
    const bool writes = argc == 3 && strcmp(argv[1], "write") == 0;
    if (!writes && (argc != 3 || strcmp(argv[1], "run") != 0)) {
        fprintf(stderr, "usage: %s run MUTATIONS | write FOLDER\n", argv[0]);
        return 2;
    }
    (void)signal(SIGABRT, say_where);
    (void)signal(SIGALRM, say_where);
    const int mutations = writes ? 0 : (int)strtol(argv[2], NULL, 10);
    unsigned number = 0;
    cb_buffer seed;
    cb_buffer_init(&seed, FUZZ_INPUT_BYTES_MAX);
    while (fuzz_seed(number, &seed)) {
        if (cb_buffer_check(&seed, NULL) != CB_OK || seed.size == 0) {
            abort();
        }
        /* Far more than a seed needs: what hangs must not pass. */
        (void)alarm(60);
        if (!writes) {
            run_seed(number, &seed, mutations);
        } else if (!write_seed(number, &seed, argv[2])) {
            return 1;
        }
        cb_buffer_reset(&seed);
        number++;
    }
    cb_buffer_clear(&seed);
    printf("%u passed, 0 failed\n", number);
    return number > 0 ? 0 : 1;
}
