/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading options by table.
 *
 * Long options in full (no abbreviations, so that adding an option never
 * changes what an old script means), a few letters, `--name=value` and
 * `--name value`, letters together (`-qv`), `--` as the end of options, `-` as
 * an operand.  Options and operands may be mixed.  A repeated option is kept
 * each time.  What a message repeats of the command line is the option's name
 * only: what follows might be a secret.
 */
#ifndef CASEBOUND_CLI_OPTION_H
#define CASEBOUND_CLI_OPTION_H

#include <casebound/error.h>
#include <stddef.h>

typedef struct cb_cli_option {
    const char *name;  /* without dashes */
    char letter;       /* or 0 */
    const char *value; /* what the help calls its value; NULL: a flag */
    const char *help;  /* "show what would move, move nothing" */
} cb_cli_option;

typedef struct cb_cli_given {
    const cb_cli_option *option;
    const char *value; /* borrowed from argv; NULL for a flag */
} cb_cli_given;

/* Borrows from argv; zeroed is empty. */
typedef struct cb_cli_arguments {
    cb_cli_given *given;
    size_t given_count;
    const char **operands;
    size_t operand_count;
} cb_cli_arguments;

typedef struct cb_cli_parse {
    const cb_cli_option *tables[2]; /* each ends with a NULL name, or is NULL */
    int argc;
    char **argv;
    int position;          /* first argument to read; left after the last */
    bool stops_at_operand; /* leave the first operand and all after it */
} cb_cli_parse;

/* Room for all of an argument vector.  CB_NO_MEMORY. */
CB_NODISCARD cb_status cb_cli_arguments_init(cb_cli_arguments *arguments,
                                             int argc, cb_error *reterr_error);
void cb_cli_arguments_clear(cb_cli_arguments *arguments);

/*
 * Adds what it reads to `arguments`, which have room for argc.  CB_USAGE, with
 * the nearest option in the message where one is near.
 */
CB_NODISCARD cb_status cb_cli_parse_options(cb_cli_parse *parse,
                                            cb_cli_arguments *arguments,
                                            cb_error *reterr_error);

/* How often an option was given. */
size_t cb_cli_option_count(const cb_cli_arguments *arguments, const char *name);
bool cb_cli_option_given(const cb_cli_arguments *arguments, const char *name);

/* The last value given, or NULL. */
const char *cb_cli_option_value(const cb_cli_arguments *arguments,
                                const char *name);

/* The value given the `index`-th time, or NULL where there are not so many. */
const char *cb_cli_option_nth(const cb_cli_arguments *arguments,
                              const char *name, size_t index);

/* An operand, or NULL where there are not so many. */
const char *cb_cli_operand(const cb_cli_arguments *arguments, size_t index);

/*
 * How many letters have to be added, dropped, changed or swapped with their
 * neighbour to make one word of the other; words longer than 40 bytes are as
 * far from everything as can be (SIZE_MAX).
 */
size_t cb_cli_edit_distance(const char *a, const char *b);

/* True where the distance is small enough for "did you mean". */
bool cb_cli_is_near(const char *typed, const char *known, size_t distance);

#endif
