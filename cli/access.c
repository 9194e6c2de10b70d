/* SPDX-License-Identifier: Apache-2.0 */
#include "access.h"

#include "layout.h"
#include "output.h"
#include "prompt.h"

#include <inttypes.h>

#define PATH_BYTES_MAX 4096
#define DATABASE_NAME  "casebook.db"
#define BEGUN_NAME     "unlock.json.begun"

/* Who looks on is told why nothing happens; a script just waits. */
static void tell_waiting(void *context, const char *holder)
{
    const cb_cli_session *session = context;
    if (session->world->err_is_terminal) {
        cb_cli_say(session, "waiting for %s, which uses the store", holder);
    }
}

/*
 * Where the second witness is kept: what a machine knows, as opposed to what
 * belongs to a person, so that a backup of the cases does not bring it back.
 */
static bool append_witness_folder(const cb_cli_world *world, cb_buffer *path)
{
    if (world->state_folder != NULL) {
        cb_buffer_append_format(path, "%s/casebound", world->state_folder);
    } else if (world->home_folder != NULL) {
        cb_buffer_append_format(path, "%s/.local/state/casebound",
                                world->home_folder);
    } else {
        return false;
    }
    return true;
}

cb_status cb_cli_store_options(cb_cli_session *session, cb_buffer *folder,
                               cb_store_options *ret_options)
{
    size_t witness_at = 0;
    bool witness = false;
    cb_buffer_init(folder, (size_t)2 * PATH_BYTES_MAX);
    cb_status status = cb_cli_folder(session, folder, &session->error);
    if (status == CB_OK) {
        cb_buffer_append(folder, "", 1);
        witness_at = folder->size;
        witness = append_witness_folder(session->world, folder);
        status = cb_buffer_check(folder, &session->error);
    }
    if (status == CB_OK) {
        *ret_options = (cb_store_options){
            .folder = cb_buffer_text(folder),
            .witness_folder =
                witness ? cb_buffer_text(folder) + witness_at : NULL,
            .environment = session->world->environment,
            .kdf_operations = session->world->kdf_operations,
            .kdf_memory_bytes = session->world->kdf_memory_bytes,
            .waiting = tell_waiting,
            .waiting_context = session,
        };
    }
    return status;
}

/* Whether there is a file with something in it. */
static bool is_there(cb_cli_session *session, const cb_store_options *options,
                     const char *name, bool even_if_empty)
{
    const cb_environment *environment = session->world->environment;
    cb_buffer path;
    cb_buffer start;
    cb_buffer_init(&path, PATH_BYTES_MAX + sizeof BEGUN_NAME);
    cb_buffer_init(&start, 1);
    cb_buffer_append_format(&path, "%s/%s", options->folder, name);
    cb_status found = environment->read_file(
        environment->context, cb_buffer_text(&path), &start, NULL);
    const bool there = found == CB_LIMIT ||
                       (found == CB_OK && (even_if_empty || start.size > 0));
    cb_buffer_clear(&path);
    cb_buffer_clear(&start);
    return there;
}

/*
 * Without its unlock.json a database is shut, not absent: `init` would be the
 * wrong advice; unless `init` is what was cut off.
 */
static cb_status explain_no_store(cb_cli_session *session,
                                  const cb_store_options *options,
                                  cb_error *error)
{
    if (is_there(session, options, DATABASE_NAME, false) &&
        !is_there(session, options, BEGUN_NAME, true)) {
        cb_error_clear(error);
        cb_error_set(error, CB_NO_STORE,
                     "'unlock.json' is missing beside '%s/" DATABASE_NAME "'",
                     options->folder);
        cb_error_meaning(error, "the cases are there, but the passphrase "
                                "opens them only with that file");
        cb_error_next(error, "put back a copy of unlock.json, or restore a "
                             "backup: casebound -C NEWFOLDER restore FILE");
    }
    return CB_NO_STORE;
}

cb_status cb_cli_probe_store(cb_cli_session *session,
                             const cb_store_options *options)
{
    cb_status status = cb_store_probe(options, &session->error);
    return status == CB_NO_STORE
               ? explain_no_store(session, options, &session->error)
               : status;
}

/* With the keyring's key where there is one, else with a passphrase. */
static cb_status open_any(cb_cli_session *session,
                          const cb_store_options *options, cb_store **ret_store)
{
    cb_error locked = { 0 };
    cb_status status = CB_LOCKED;
    if (session->passphrase_descriptor < 0) {
        status = cb_store_open(options, NULL, ret_store, &locked);
    }
    if (status != CB_LOCKED) {
        if (status != CB_OK) {
            session->error = locked;
        }
        return status == CB_NO_STORE
                   ? explain_no_store(session, options, &session->error)
                   : status;
    }
    if (session->no_input && session->passphrase_descriptor < 0) {
        session->error = locked;
        return status;
    }
    status = cb_cli_probe_store(session, options);
    cb_secret *passphrase = NULL;
    if (status == CB_OK) {
        status = cb_cli_ask_passphrase(session, "Passphrase", &passphrase,
                                       &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_open(options, passphrase, ret_store, &session->error);
    }
    cb_secret_destroy(passphrase);
    return status;
}

/* Said by every command, for nothing can be recorded until it is settled. */
static void warn_of_copy(cb_cli_session *session)
{
    cb_store_witness seen;
    char date[CB_CLI_DATE_TEXT_BYTES];
    const char *settle = "it is read only until it has synced, or somebody "
                         "confirms it: casebound restore --in-place";
    cb_store_look_at_witness(cb_cli_store(session), &seen);
    if (!seen.behind || seen.missing == 0) {
        cb_cli_warn(session,
                    "this is an older copy of a store that went on "
                    "elsewhere; %s",
                    settle);
        return;
    }
    cb_cli_short_date(session, seen.newest_ms, "minute", date);
    if (seen.log_lost) {
        cb_cli_warn(session,
                    "the file 'casebook.db-wal' of this store is missing, and "
                    "with it %" PRIu64 " %s up to %s; put it back if you can; "
                    "%s",
                    seen.missing, seen.missing == 1 ? "change" : "changes",
                    date, settle);
        return;
    }
    cb_cli_warn(session,
                "this is an older copy of a store that went on: %" PRIu64
                " %s up to %s %s not in it; %s",
                seen.missing, seen.missing == 1 ? "change" : "changes", date,
                seen.missing == 1 ? "is" : "are", settle);
}

static cb_status check_mode(cb_cli_session *session, cb_cli_mode mode)
{
    cb_store_identity identity;
    cb_store_identify(cb_cli_store(session), &identity);
    if (identity.restored) {
        warn_of_copy(session);
    }
    if (mode == CB_CLI_HUB && !(identity.joined && identity.hub)) {
        cb_status status = cb_error_set(&session->error, CB_PERMISSION,
                                        "this store is not a hub's");
        cb_error_meaning(&session->error, "nothing was changed");
        cb_error_next(&session->error,
                      "run it at the hub, or name the hub's store with -C");
        return status;
    }
    return CB_OK;
}

cb_status cb_cli_open_store(cb_cli_session *session, cb_cli_mode mode)
{
    cb_buffer folder;
    cb_store_options options;
    cb_store *store = NULL;
    cb_status status = cb_cli_store_options(session, &folder, &options);
    if (status == CB_OK) {
        options.read_only = mode == CB_CLI_READ;
        status = open_any(session, &options, &store);
    }
    if (status == CB_OK) {
        session->store = store;
        status = check_mode(session, mode);
    }
    cb_buffer_clear(&folder);
    return status;
}

void cb_cli_close_store(cb_cli_session *session)
{
    cb_store_witness seen;
    cb_store_look_at_witness(session->store, &seen);
    if (seen.unwritten) {
        cb_cli_warn(session,
                    "the note of how far this store has come could not be "
                    "written (%s); everything recorded is safe, but an older "
                    "copy of the store would not be recognised",
                    seen.inside == CB_WITNESS_UNWRITABLE
                        ? "'witness' in its folder"
                        : "in the state folder");
    }
    cb_store_close(session->store);
}

cb_store *cb_cli_store(const cb_cli_session *session)
{
    CB_ASSERT(session->store != NULL);
    return session->store;
}

void cb_cli_warn_of_swap(cb_cli_session *session)
{
    const cb_cli_world *world = session->world;
    cb_swap swap = { .kind = CB_SWAP_NONE };
    if (world->look_at_swap != NULL) {
        world->look_at_swap(&swap);
    }
    if (swap.kind == CB_SWAP_NONE || swap.kind == CB_SWAP_SAFE) {
        return;
    }
    if (swap.name[0] == '\0') {
        cb_cli_warn(session, "whether this machine swaps to a disk cannot be "
                             "told (casebound help care)");
    } else {
        cb_cli_warn(session,
                    "swap on '%s' %s encrypted: what is on the screen may be "
                    "written there (casebound help care)",
                    swap.name,
                    swap.kind == CB_SWAP_PLAIN ? "is not" : "may not be");
    }
    if (world->can_lock_memory != NULL && !world->can_lock_memory()) {
        cb_cli_warn(session, "no memory can be locked (ulimit -l): keys may "
                             "be written there too");
    }
}

cb_status cb_cli_read_file(cb_cli_session *session, const char *subject,
                           const char *path, cb_buffer *content)
{
    const cb_environment *environment = session->world->environment;
    cb_status status = environment->read_file(environment->context, path,
                                              content, &session->error);
    if (status == CB_NOT_FOUND) {
        status = cb_error_set(&session->error, CB_INPUT,
                              "there is no %s at '%s'", subject, path);
        cb_error_meaning(&session->error, "nothing was changed");
        cb_error_next(&session->error, "check the file's name");
    }
    return status;
}

cb_status cb_cli_write_result(cb_cli_session *session, const char *what,
                              cb_span content)
{
    const char *path = cb_cli_option_value(&session->arguments, "output");
    const cb_environment *environment = session->world->environment;
    if (path == NULL) {
        cb_cli_print(session, "%.*s", (int)content.size,
                     (const char *)content.bytes);
        return CB_OK;
    }
    cb_status status = environment->replace_file(environment->context, path,
                                                 content, &session->error);
    if (status == CB_OK) {
        cb_cli_say(session, "wrote %s to '%s'", what, path);
    }
    return status;
}
