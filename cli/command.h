/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command is: one row of a table.
 *
 * The row is the only place that knows a command's words.  Finding it, reading
 * its options, its usage line, --help, the overview and the completions are
 * all made from the row, and a test compares the manual pages with it.
 *
 * A name of two words ("case show") belongs to the noun in front, and the bare
 * noun lists its commands.
 */
#ifndef CASEBOUND_CLI_COMMAND_H
#define CASEBOUND_CLI_COMMAND_H

#include "cli.h"
#include "option.h"

#include <jansson.h>

typedef struct cb_cli_session cb_cli_session;

/* What has to be open before the command runs. */
typedef enum cb_cli_mode {
    CB_CLI_NO_STORE, /* nothing; the command may open something itself */
    CB_CLI_READ,     /* the store, unlocked, for reading */
    CB_CLI_WRITE,    /* the store, unlocked, for writing */
    CB_CLI_HUB       /* as WRITE, and the store has the hub role */
} cb_cli_mode;

/* What a person wants to do, in the order in which the overview shows it. */
typedef enum cb_cli_group {
    CB_CLI_GROUP_START,
    CB_CLI_GROUP_CARE,
    CB_CLI_GROUP_CASES,
    CB_CLI_GROUP_RECORDS,
    CB_CLI_GROUP_ATTENTION,
    CB_CLI_GROUP_SYNC,
    CB_CLI_GROUP_HUB,
    CB_CLI_GROUP_AUDIT,
    CB_CLI_GROUP_FIGURES,
    CB_CLI_GROUP_HELP,
    CB_CLI_GROUP_COUNT
} cb_cli_group;

typedef struct cb_cli_example {
    const char *command; /* with "casebound" */
    const char *effect;
} cb_cli_example;

typedef struct cb_cli_exit {
    cb_status status;
    const char *when;
} cb_cli_exit;

#define CB_CLI_ANY_NUMBER (-1)

typedef struct cb_cli_command {
    const char *name;
    cb_cli_group group;
    const char *purpose; /* "show a case", no full stop */
    cb_cli_mode mode;
    const cb_cli_option *options; /* up to a NULL name; may be NULL */
    const char *const *required;  /* options that it needs; NULL at the end */
    const char *operands;         /* "CASE [FIELD=VALUE...]"; may be NULL */
    int operands_min;
    int operands_max;               /* or CB_CLI_ANY_NUMBER */
    const char *description;        /* paragraphs; may be NULL */
    const cb_cli_example *examples; /* up to a NULL command */
    const cb_cli_exit *exits;       /* up to a NULL `when`; may be NULL */
    const char *see_also;           /* "case list, search"; may be NULL */
    cb_status (*run)(cb_cli_session *session);
} cb_cli_command;

/* Every command of one program, and how it gets at a store. */
typedef struct cb_cli_program {
    const cb_cli_command *const *commands;
    size_t count;

    /*
     * Opens, unlocks and locks what `mode` needs, once, before `run`, and
     * puts it into session->store; says why not in session->error.  Never
     * called for CB_CLI_NO_STORE, but such a command may call it itself.
     */
    cb_status (*open_store)(cb_cli_session *session, cb_cli_mode mode);

    /* Called exactly where session->store is not NULL. */
    void (*close_store)(cb_cli_session *session);
} cb_cli_program;

/* What one run of a command has at hand. */
struct cb_cli_session {
    const cb_cli_world *world;
    const cb_cli_program *program;
    const cb_cli_command *command; /* NULL until it is found */
    cb_cli_arguments arguments;

    /* Global options. */
    const char *folder_option; /* -C, or NULL; see cb_cli_folder */
    bool json;
    bool no_input;
    bool quiet;
    bool verbose;
    int passphrase_descriptor; /* or -1 */
    bool out_colour;
    bool err_colour;

    /* What the program's open_store opened; its type is its business. */
    void *store;

    /* Texts in memory that are not recorded yet; see editor.h. */
    struct cb_cli_edit *edits;

    /* What went wrong; `run` returns the status that stands here. */
    cb_error error;

    /* The answer under --json, printed only where the command succeeds. */
    json_t *document;
    json_t *warnings;
};

/* The table of the shipped command. */
extern const cb_cli_program cb_cli_casebound;

/* As cb_cli_main, for any table. */
int cb_cli_run_program(const cb_cli_program *program, int argc, char **argv,
                       const cb_cli_world *world);

/* The command of exactly that name, or NULL. */
const cb_cli_command *cb_cli_find(const cb_cli_program *program,
                                  const char *name);

/* True where the command cannot do without the option. */
bool cb_cli_is_required(const cb_cli_command *command,
                        const cb_cli_option *option);

/* True where some command is called "noun something". */
bool cb_cli_is_noun(const cb_cli_program *program, const char *noun);

/* The options that every command takes; ends with a NULL name. */
extern const cb_cli_option cb_cli_global_options[];

/*
 * The store's folder: -C, else CASEBOUND_STORE, else `casebound` in the data
 * folder of the XDG convention.  CB_USAGE where none of them is set.
 */
CB_NODISCARD cb_status cb_cli_folder(const cb_cli_session *session,
                                     cb_buffer *path, cb_error *reterr_error);

#endif
