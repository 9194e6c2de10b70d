/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that are killed in the middle of a database's life, on real files.
 *
 *     kill [--kills N] [--from SEED] [--only NAME]
 *
 * The process that writes says through a pipe what it is about to commit and
 * what was acknowledged; it is killed a random time after its first word, and
 * another process opens what is there, as after a program that crashed.
 */
#include "fault/life.h"

#include <dirent.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct configuration configurations[] = {
    { "wal", "WAL", .savepoints = true },
    { "delete-spill", "DELETE", .extra = true, .spill = true,
      .savepoints = true },
    { "persist-two", "PERSIST", .extra = true, .savepoints = true,
      .two = true },
};

#define CONFIGURATIONS (sizeof configurations / sizeof configurations[0])

static void begin(struct life *life, const cb_secret *key)
{
    life->base_vfs = "unix-excl";
    if (cb_vfs_create(cb_environment_system(), key,
                      life->seed % 2 == 0 ? CB_VFS_XCHACHA20_POLY1305
                                          : CB_VFS_AES256_GCM,
                      &life->vfs, NULL) != CB_OK) {
        life_fail(life, "vfs", "cannot be made");
    }
}

/* In a process of its own. */
static void write_until_killed(struct life *life, const cb_secret *key)
{
    begin(life, key);
    life_model(life);
    if (life->failure[0] == '\0') {
        life_live(life);
    }
    /* Whoever has finished waits for the end with everything still open. */
    while (life->failure[0] == '\0') {
        pause();
    }
    printf("    seed %llu, writing: %s\n", (unsigned long long)life->seed,
           life->failure);
    fflush(stdout);
    _exit(1);
}

static void take_witness(struct life *life, const struct witness *witness)
{
    memcpy(life->hashes[witness->number], witness->hashes,
           sizeof witness->hashes);
    if (witness->acknowledged) {
        life->acknowledged = witness->number;
    }
}

static void live_and_be_killed(struct life *life, const cb_secret *key)
{
    int channel[2];
    struct witness witness;
    int state = 0;
    pid_t child = pipe(channel) == 0 ? fork() : -1;
    if (child < 0) {
        life_fail(life, "process", "cannot be made");
        return;
    }
    if (child == 0) {
        close(channel[0]);
        life->report_to = channel[1];
        write_until_killed(life, key);
    }
    close(channel[1]);
    life->acknowledged = -1;
    if (read(channel[0], &witness, sizeof witness) == (ssize_t)sizeof witness) {
        take_witness(life, &witness);
    }
    const struct timespec wait = { .tv_nsec =
                                       (long)roll(&life->dice, 1000000) *
                                       (long)(1 + roll(&life->dice, 300)) };
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    while (read(channel[0], &witness, sizeof witness) ==
           (ssize_t)sizeof witness) {
        take_witness(life, &witness);
    }
    close(channel[0]);
    waitpid(child, &state, 0);
    if (!WIFSIGNALED(state)) {
        life_fail(life, "process", "ended before it was killed");
    }
}

static void empty_folder(void)
{
    DIR *folder = opendir(".");
    const struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)unlink(entry->d_name);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

static bool survives(struct life *life, const cb_secret *key)
{
    life->dice = dice_of_seed(life->seed);
    life->page_size = 512 << roll(&life->dice, 8);
    live_and_be_killed(life, key);
    if (life->failure[0] == '\0') {
        begin(life, key);
        life_check(life);
        cb_vfs_destroy(life->vfs);
    }
    empty_folder();
    return life->failure[0] == '\0';
}

static bool run_configuration(const struct configuration *configuration,
                              uint64_t from, uint64_t kills,
                              const cb_secret *key)
{
    static struct life life;
    unsigned lost = 0;
    uint64_t acknowledged = 0;
    for (uint64_t i = 0; i < kills; i++) {
        memset(&life, 0, sizeof life);
        life.configuration = configuration;
        life.seed = from + i;
        if (!survives(&life, key)) {
            lost++;
            printf("    seed %llu, pages of %d: %s\n",
                   (unsigned long long)life.seed, life.page_size, life.failure);
        }
        acknowledged += life.acknowledged > 0 ? (uint64_t)life.acknowledged : 0;
    }
    printf("%-14s %5llu kills, %llu transactions acknowledged, lost %u\n",
           configuration->name, (unsigned long long)kills,
           (unsigned long long)acknowledged, lost);
    fflush(stdout);
    return lost == 0;
}

int main(int count, char **arguments)
{
    uint64_t kills = 10;
    uint64_t from = 0;
    const char *only = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--kills") == 0 && i + 1 < count) {
            kills = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--from") == 0 && i + 1 < count) {
            from = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--only") == 0 && i + 1 < count) {
            only = arguments[++i];
        } else {
            fprintf(stderr,
                    "usage: kill [--kills N] [--from SEED] [--only NAME]\n");
            return 2;
        }
    }
    char folder[] = "/tmp/casebound-kill-XXXXXX";
    cb_secret *key = NULL;
    unsigned passed = 0;
    unsigned failed = 0;
    if (sodium_init() < 0 || mkdtemp(folder) == NULL || chdir(folder) != 0 ||
        cb_secret_create_random(cb_environment_system(), CB_KEY_BYTES, &key,
                                NULL) != CB_OK) {
        return 1;
    }
    for (size_t i = 0; i < CONFIGURATIONS; i++) {
        if (only == NULL || strcmp(only, configurations[i].name) == 0) {
            bool good = run_configuration(&configurations[i], from, kills, key);
            passed += good;
            failed += !good;
        }
    }
    cb_secret_destroy(key);
    (void)rmdir(folder);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
