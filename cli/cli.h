/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command as a function.
 *
 * cb_cli_main is everything that `casebound` does.  What it learns from the
 * machine arrives in a cb_cli_world, so that a test can run the same command
 * with a clock, randomness and a terminal of its own; the shipped program
 * passes cb_cli_world_system's and has no other way in.
 */
#ifndef CASEBOUND_CLI_H
#define CASEBOUND_CLI_H

#include <casebound/environment.h>
#include <casebound/swap.h>
#include <stdbool.h>
#include <stdio.h>

#define CB_CLI_MEMORY_FOLDERS 2

typedef struct cb_cli_world {
    const cb_environment *environment;

    FILE *out; /* results */
    FILE *err; /* everything else */
    bool out_is_terminal;
    bool err_is_terminal;
    int columns;          /* width of the terminal */
    bool colour_unwanted; /* NO_COLOR, or a terminal that has none */

    /* Where the store may be; each may be NULL. */
    const char *store_folder; /* CASEBOUND_STORE */
    const char *data_folder;  /* XDG_DATA_HOME */
    const char *state_folder; /* XDG_STATE_HOME */
    const char *home_folder;  /* HOME */

    /* Where files in memory may be made, the best first; each may be NULL. */
    const char *memory_folders[CB_CLI_MEMORY_FOLDERS];

    /* The person's editor (VISUAL, else EDITOR) with its options, and PATH;
     * each may be NULL. */
    const char *editor;
    const char *search_path;

    /* What a new passphrase costs to try; zero: as the store decides. */
    uint64_t kdf_operations;
    uint64_t kdf_memory_bytes;

    /* Milliseconds that only ever grow; for progress, never for records. */
    int64_t (*monotonic_ms)(void);

    /* What would carry memory to a disk, and whether keys can be kept from
     * it.  NULL: nobody looks. */
    void (*look_at_swap)(cb_swap *ret_swap);
    bool (*can_lock_memory)(void);

    /* True once the person or the machine asked the command to stop. */
    bool (*is_interrupted)(void);
} cb_cli_world;

/* Runs one command and returns the exit code of the process. */
int cb_cli_main(int argc, char **argv, const cb_cli_world *world);

/* The real streams, terminal, environment variables and clock. */
void cb_cli_world_system(cb_cli_world *ret_world);

/*
 * From here on the first SIGINT or SIGTERM only raises a flag
 * (is_interrupted), and a closed pipe is an error of the write instead of the
 * end of the process.
 */
void cb_cli_catch_signals(void);

/*
 * No core dumps, no other process of this user that looks into our memory, and
 * files that only this user can read.
 */
void cb_cli_harden(void);

#endif
