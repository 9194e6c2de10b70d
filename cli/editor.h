/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long text, written in the person's own editor, on a file that lies in memory.
 *
 * 1. The text is never in a file on a disk: its folder is a file system in
 *    memory (scratch.h), and the editor's home, its temporary files, its
 *    backups and its history lie in the same folder.
 * 2. A text that was written is not lost: until it is recorded its file stays,
 *    whatever happens to the editor, to this command or to the record; the
 *    person is told where, and the same command offers it again.
 * 3. Once it is recorded, and also where there is nothing to keep, the folder
 *    is overwritten and removed.
 */
#ifndef CASEBOUND_CLI_EDITOR_H
#define CASEBOUND_CLI_EDITOR_H

#include "command.h"

/* What a text is for. */
typedef struct cb_cli_edit_wish {
    const char *label; /* the same again where the same text is meant */
    const char
        *subject;      /* the field's name, for messages and the file's name */
    const char *start; /* what the editor begins with; "" for nothing */

    /* Whether the text can be recorded: CB_INPUT and CB_LIMIT are shown and
     * the editor offered again. */
    cb_status (*check)(void *context, const char *text, cb_error *error);
    void *context;
} cb_cli_edit_wish;

/*
 * Runs the editor until the text can be recorded or the person gives up, and
 * has called `check` with it.  CB_USAGE where nobody can be asked, CB_INPUT
 * where the text is empty or as it was, what `check` said last, CB_FAILED for
 * an editor that failed, CB_PERMISSION without a place in memory,
 * CB_INTERRUPTED.
 */
CB_NODISCARD cb_status cb_cli_edit_text(cb_cli_session *session,
                                        const cb_cli_edit_wish *wish);

/*
 * At the end of the command: with `recorded` nothing is left of the texts;
 * else those worth it are kept, and it is told where.
 */
void cb_cli_edits_end(cb_cli_session *session, bool recorded);

/* ---- editor_run.c */

/* The program that would be run, and how; CB_USAGE where there is none. */
#define CB_CLI_EDITOR_WORDS_MAX 32

typedef struct cb_cli_editor {
    char path[4096];
    char words[4096]; /* what was asked for, cut at its blanks */
    const char *arguments[CB_CLI_EDITOR_WORDS_MAX];
    size_t argument_count;
} cb_cli_editor;

CB_NODISCARD cb_status cb_cli_editor_find(const cb_cli_world *world,
                                          cb_cli_editor *ret_editor,
                                          cb_error *reterr_error);

typedef struct cb_cli_editor_place {
    const char *folder_path; /* in memory */
    int folder;              /* its descriptor */
    const char *file_name;
    int terminal;
} cb_cli_editor_place;

/*
 * Runs it on the file, on the terminal, to its end.  CB_FAILED where it did not
 * end with 0, CB_INTERRUPTED where we were asked to stop.
 */
CB_NODISCARD cb_status cb_cli_editor_run(const cb_cli_world *world,
                                         const cb_cli_editor *editor,
                                         const cb_cli_editor_place *place,
                                         cb_error *reterr_error);

#endif
