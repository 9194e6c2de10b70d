/* SPDX-License-Identifier: Apache-2.0 */
#include "editor.h"

#include <casebound/limits.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access.h"
#include "output.h"
#include "prompt.h"
#include "scratch.h"

#define FILE_NAME_BYTES     64
#define QUESTION_BYTES_MAX  2048
#define WITHOUT_EDITOR_NEXT "give the text as FIELD=- or FIELD=@FILE"

/* One text in memory; the session's list of them. */
typedef struct cb_cli_edit {
    struct cb_cli_edit *next;
    cb_cli_scratch scratch;
    cb_cli_editor editor;
    int terminal;
    char subject[FILE_NAME_BYTES];
    char file_name[FILE_NAME_BYTES + 8];
    bool is_worth_keeping; /* somebody wrote something that is not recorded */
} cb_cli_edit;

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

/* An editor ends a text with a line break that nobody typed. */
static void drop_last_break(cb_buffer *text)
{
    if (text->size > 0 && text->bytes[text->size - 1] == '\n') {
        text->size--;
        text->bytes[text->size] = '\0';
    }
}

static cb_status refuse_editor(cb_error *error, const char *why)
{
    cb_error_set(error, CB_USAGE, "cannot open an editor: %s", why);
    cb_error_meaning(error, "nothing was recorded");
    cb_error_next(error, WITHOUT_EDITOR_NEXT);
    return CB_USAGE;
}

/* ------------------------------------------------------- what was left here */

/*
 * A text of this label that was not recorded, where there is one and the
 * person wants it.
 */
static cb_status take_left(cb_cli_session *session,
                           const cb_cli_edit_wish *wish, cb_cli_edit *edit,
                           bool *ret_taken)
{
    cb_buffer text;
    cb_cli_scratch left = { .folder = -1 };
    bool is_wanted = false;
    if (!cb_cli_scratch_find(session->world, wish->label, &left)) {
        return CB_OK;
    }
    cb_buffer_init(&text, CB_TEXT_BYTES_MAX);
    cb_status status = cb_cli_scratch_read(&left, edit->file_name, &text, NULL);
    if ((status == CB_OK && is_blank(cb_buffer_text(&text))) ||
        status == CB_NOT_FOUND) {
        (void)cb_cli_scratch_wipe(&left);
        cb_buffer_clear(&text);
        return CB_OK;
    }
    cb_buffer_clear(&text);
    status = cb_cli_ask_yes(session,
                            "A text for this was written before and not "
                            "recorded. Go on with it? [y/n]",
                            "the text as FIELD=-", &is_wanted, &session->error);
    if (status == CB_OK && is_wanted) {
        edit->scratch = left;
        edit->is_worth_keeping = true;
        *ret_taken = true;
        return CB_OK;
    }
    if (status == CB_OK) {
        cb_cli_say(session, "it stays in '%s'", left.path);
    }
    cb_cli_scratch_close(&left);
    return status;
}

/* --------------------------------------------------------------- one round */

/* Reads what was saved; learns whether that is worth keeping. */
static cb_status read_saved(const cb_cli_edit_wish *wish, cb_cli_edit *edit,
                            cb_buffer *text, cb_error *error)
{
    cb_status status =
        cb_cli_scratch_read(&edit->scratch, edit->file_name, text, error);
    if (status == CB_NOT_FOUND) {
        edit->is_worth_keeping = false;
        return CB_OK;
    }
    if (status == CB_LIMIT) {
        edit->is_worth_keeping = true;
        cb_error_set(error, CB_LIMIT, "'%s' is longer than %d bytes",
                     wish->subject, CB_TEXT_BYTES_MAX);
        cb_error_next(error, "split it: one field holds %d KiB",
                      CB_TEXT_BYTES_MAX / 1024);
        return CB_LIMIT;
    }
    if (status != CB_OK) {
        return status;
    }
    drop_last_break(text);
    const char *saved = cb_buffer_text(text);
    edit->is_worth_keeping =
        text->size > 0 && !is_blank(saved) && strcmp(saved, wish->start) != 0;
    return CB_OK;
}

static cb_status check_saved(const cb_cli_edit_wish *wish,
                             const cb_buffer *text, cb_error *error)
{
    const char *saved = cb_buffer_text(text);
    if (strlen(saved) != text->size) {
        cb_error_set(error, CB_INPUT, "'%s' holds a zero byte", wish->subject);
        return CB_INPUT;
    }
    return wish->check(wish->context, saved, error);
}

static cb_status refuse_nothing(const cb_cli_edit_wish *wish, bool is_empty,
                                cb_error *error)
{
    cb_error_set(error, CB_INPUT,
                 is_empty ? "the text of '%s' is empty"
                          : "the text of '%s' was not changed",
                 wish->subject);
    cb_error_meaning(error, "nothing was recorded");
    cb_error_next(error, "run it again, and save the text before leaving the "
                         "editor");
    return CB_INPUT;
}

static cb_status ask_again(cb_cli_session *session, const cb_error *why,
                           bool *ret_again)
{
    cb_buffer question;
    cb_buffer_init(&question, QUESTION_BYTES_MAX);
    cb_buffer_append_format(&question, "%s\n%s%s%sEdit it again? [y/n]",
                            why->what, why->next[0] == '\0' ? "" : "    ",
                            why->next, why->next[0] == '\0' ? "" : "\n");
    cb_status status =
        cb_cli_ask_yes(session, cb_buffer_text(&question),
                       "the text as FIELD=-", ret_again, &session->error);
    cb_buffer_clear(&question);
    return status;
}

/* Editor, text, check.  `ret_mendable`: the person can put it right. */
static cb_status one_round(const cb_cli_world *world,
                           const cb_cli_edit_wish *wish, cb_cli_edit *edit,
                           bool *ret_mendable, cb_error *error)
{
    const cb_cli_editor_place place = { .folder_path = edit->scratch.path,
                                        .folder = edit->scratch.folder,
                                        .file_name = edit->file_name,
                                        .terminal = edit->terminal };
    cb_buffer text;
    cb_buffer_init(&text, CB_TEXT_BYTES_MAX + 1);
    *ret_mendable = false;
    cb_status status = cb_cli_editor_run(world, &edit->editor, &place, error);
    /* Looked at whatever the editor's end: what was saved may be worth it. */
    cb_error unread = { 0 };
    cb_status read = read_saved(wish, edit, &text, &unread);
    if (status == CB_OK && read != CB_OK) {
        *error = unread;
        status = read;
        *ret_mendable = read == CB_LIMIT;
    } else if (status == CB_OK && !edit->is_worth_keeping) {
        status = refuse_nothing(wish, is_blank(cb_buffer_text(&text)), error);
    } else if (status == CB_OK) {
        status = check_saved(wish, &text, error);
        *ret_mendable = status == CB_INPUT || status == CB_LIMIT;
    }
    cb_buffer_clear(&text);
    return status;
}

/* Round after round, as long as the person wants that. */
static cb_status write_text(cb_cli_session *session,
                            const cb_cli_edit_wish *wish, cb_cli_edit *edit)
{
    for (;;) {
        bool is_mendable = false;
        bool again = false;
        cb_error why = { 0 };
        cb_status status =
            one_round(session->world, wish, edit, &is_mendable, &why);
        if (is_mendable) {
            cb_status asked = ask_again(session, &why, &again);
            if (asked != CB_OK) {
                return asked;
            }
        }
        if (!again) {
            if (status != CB_OK) {
                cb_error_meaning(&why, "nothing was recorded");
                session->error = why;
            }
            return status;
        }
    }
}

/* ------------------------------------------------------------------ a text */

static cb_status make_edit(cb_cli_session *session,
                           const cb_cli_edit_wish *wish, cb_cli_edit *edit)
{
    bool is_taken = false;
    (void)snprintf(edit->subject, sizeof edit->subject, "%s", wish->subject);
    (void)snprintf(edit->file_name, sizeof edit->file_name, "%s.txt",
                   edit->subject);
    cb_status status = take_left(session, wish, edit, &is_taken);
    if (status != CB_OK || is_taken) {
        return status;
    }
    status = cb_cli_scratch_make(session->world, wish->label, &edit->scratch,
                                 &session->error);
    if (status != CB_OK) {
        return status;
    }
    return cb_cli_scratch_write(&edit->scratch, edit->file_name,
                                cb_span_of_text(wish->start), &session->error);
}

cb_status cb_cli_edit_text(cb_cli_session *session,
                           const cb_cli_edit_wish *wish)
{
    if (session->no_input) {
        return refuse_editor(&session->error, "--no-input was given");
    }
    int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) {
        return refuse_editor(&session->error, "there is no terminal");
    }
    cb_status status = CB_OK;
    cb_cli_edit *edit = calloc(1, sizeof *edit);
    if (edit == NULL) {
        status = cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
    } else {
        edit->scratch.folder = -1;
        edit->terminal = terminal;
        edit->next = session->edits;
        session->edits = edit;
        status =
            cb_cli_editor_find(session->world, &edit->editor, &session->error);
    }
    if (status == CB_OK) {
        status = make_edit(session, wish, edit);
    }
    if (status == CB_OK) {
        cb_cli_warn_of_swap(session);
        status = write_text(session, wish, edit);
    }
    (void)close(terminal);
    return status;
}

static void keep(cb_cli_session *session, cb_cli_edit *edit)
{
    cb_cli_scratch_close(&edit->scratch);
    if (!session->json) {
        cb_cli_warn(session,
                    "the text of '%s' was not recorded; it is kept in memory, "
                    "in '%s/%s', until this machine is shut down; the same "
                    "command offers it again",
                    edit->subject, edit->scratch.path, edit->file_name);
        return;
    }
    /* The error's object is all that may be said then. */
    size_t size = strlen(session->error.meaning);
    (void)snprintf(session->error.meaning + size,
                   sizeof session->error.meaning - size,
                   "%sthe text is kept in memory, in '%s/%s'",
                   size == 0 ? "" : "; ", edit->scratch.path, edit->file_name);
}

void cb_cli_edits_end(cb_cli_session *session, bool recorded)
{
    while (session->edits != NULL) {
        cb_cli_edit *edit = session->edits;
        session->edits = edit->next;
        if (edit->scratch.folder >= 0 && edit->is_worth_keeping && !recorded) {
            keep(session, edit);
        } else if (!cb_cli_scratch_wipe(&edit->scratch)) {
            cb_cli_warn(session, "'%s' could not be removed",
                        edit->scratch.path);
        }
        free(edit);
    }
}
