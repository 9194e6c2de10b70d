/* SPDX-License-Identifier: Apache-2.0 */
/* backup, restore. */
#include "commands.h"

#include "access.h"
#include "layout.h"
#include "output.h"
#include "prompt.h"
#include "recovery_key.h"

#include <casebound/backup.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES_MAX 4096

static const char *plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

static cb_status answer(cb_cli_session *session, const char *schema,
                        const char *member, const char *place,
                        const cb_backup_facts *facts)
{
    return cb_cli_answer(
        session,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "schema", schema, member,
                  place, "entries", (json_int_t)facts->entries, "cases",
                  (json_int_t)facts->cases, "bytes", (json_int_t)facts->bytes,
                  "made_ms", (json_int_t)facts->made_ms),
        &session->error);
}

/* ------------------------------------------------------------------ backup */

/* What takes the store away would take such a backup along. */
static cb_status refuse_own_folder(cb_cli_session *session, const char *path)
{
    char parent[PATH_BYTES_MAX];
    struct stat target;
    struct stat own;
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL) {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    if (stat(slash == NULL ? "." : parent, &target) != 0 ||
        stat(cb_store_folder(cb_cli_store(session)), &own) != 0 ||
        target.st_dev != own.st_dev || target.st_ino != own.st_ino) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(&session->error, CB_INPUT,
                     "'%s' would lie in the store's own folder", path);
    cb_error_meaning(&session->error, "it would be lost together with the "
                                      "store; no backup was made");
    cb_error_next(&session->error, "name a file on another disk or stick");
    return status;
}

static bool is_stopped(void *context)
{
    const cb_cli_session *session = context;
    return session->world->is_interrupted();
}

static cb_status run_backup(cb_cli_session *session)
{
    const char *path = session->arguments.operands[0];
    cb_backup_facts facts;
    const cb_backup_watch watch = { is_stopped, session };
    cb_status status = refuse_own_folder(session, path);
    if (status == CB_OK) {
        status =
            cb_backup_write(cb_cli_store(session), path,
                            cb_cli_option_given(&session->arguments, "replace"),
                            &watch, &facts, &session->error);
    }
    if (status != CB_OK) {
        return status;
    }
    cb_cli_say(session, "backup written and verified: '%s'", path);
    cb_cli_say(session,
               "%" PRIu64 " %s in %" PRIu64 " %s, %" PRIu64 " kB; it opens "
               "with the passphrase or the recovery key of today",
               facts.entries, plural(facts.entries, "entry", "entries"),
               facts.cases, plural(facts.cases, "case", "cases"),
               (facts.bytes + 999) / 1000);
    cb_cli_say(session, "to restore it: casebound -C NEWFOLDER restore FILE");
    return answer(session, "casebound.backup.v1", "file", path, &facts);
}

const cb_cli_command cb_cli_command_backup = {
    .name = "backup",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "write the whole store to one encrypted file",
    .mode = CB_CLI_READ,
    .options = (const cb_cli_option[]){ { "replace", '\0', NULL,
                                          "write over a backup that is there" },
                                        { NULL, '\0', NULL, NULL } },
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "Writes a copy of everything in the store to one file, for instance "
        "on a stick, and reads it again from there: only what has been "
        "verified is called a backup. The file is encrypted; it opens with "
        "the passphrase, or the recovery key, that the store has now, also "
        "when the store has got others since.\n\n"
        "A copy of the store is made in its own folder meanwhile, so both "
        "disks need room for it. What is there is replaced only with "
        "--replace, and not before the new backup is complete.\n\n"
        "Do not copy the folder instead: such a copy goes on writing under the "
        "same numbers, and then two histories contradict each other.",
    .examples =
        (const cb_cli_example[]){
            { "casebound backup /media/stick/monday.backup", "onto a stick" },
            { "casebound backup --replace weekly.backup",
              "in the place of the last one" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_EXISTS, "there is a file already" },
                               { CB_INPUT, "that is the store's own folder" },
                               { CB_NO_SPACE, "a disk is full" },
                               { CB_DAMAGED, "the store does not verify, or "
                                             "the disk kept something else" },
                               { CB_OK, NULL } },
    .see_also = "restore, sync",
    .run = run_backup,
};

/* ----------------------------------------------------------------- in place */

static cb_status confirm(cb_cli_session *session)
{
    bool yes = cb_cli_option_given(&session->arguments, "yes");
    if (yes) {
        return CB_OK;
    }
    cb_status status = cb_cli_ask_yes(
        session,
        "What was recorded after this copy and has not been synced will not "
        "come back. Where the newer store is to be had, go on with that one "
        "instead. Go on with this copy? [y/N]",
        "--yes", &yes, &session->error);
    if (status == CB_OK && !yes) {
        status = cb_error_set(&session->error, CB_INTERRUPTED, "not confirmed");
        cb_error_meaning(&session->error,
                         "nothing was changed; the store stays read only");
        cb_error_next(&session->error, "casebound sync, or run it again");
    }
    return status;
}

static cb_status run_in_place(cb_cli_session *session)
{
    cb_store_identity identity;
    cb_status status = cb_cli_open_store(session, CB_CLI_WRITE);
    if (status != CB_OK) {
        return status;
    }
    cb_store_identify(cb_cli_store(session), &identity);
    if (!identity.restored) {
        cb_cli_say(session, "this is no older copy of a store; there is "
                            "nothing to confirm");
    } else {
        status = confirm(session);
        if (status == CB_OK) {
            status =
                cb_restore_in_place(cb_cli_store(session), &session->error);
        }
        if (status == CB_OK) {
            cb_cli_say(session, "this copy is the store from now on; do not "
                                "use the other one any more");
            cb_cli_say(session, identity.hub ? "next: casebound hub merge"
                                             : "next: casebound sync");
        }
    }
    return status == CB_OK
               ? cb_cli_answer(session,
                               json_pack("{s:s, s:b}", "schema",
                                         "casebound.restore_in_place.v1",
                                         "confirmed", (int)identity.restored),
                               &session->error)
               : status;
}

/* ------------------------------------------------------------- from a backup
 */

typedef struct restoring {
    cb_cli_session *session;
    const char *path;
    bool recovery;
    cb_buffer folder;
    cb_store_options options;
    cb_secret *secret;     /* that opens the backup */
    cb_secret *passphrase; /* of the new store, where it is another */
    cb_store *store;
    cb_backup_facts facts;
} restoring;

/* Nobody is asked for the passphrase of a file that is not there. */
static cb_status find_backup(const restoring *work)
{
    cb_cli_session *session = work->session;
    const cb_environment *environment = session->world->environment;
    cb_file_facts facts;
    cb_status status = environment->look_at(environment->context, work->path,
                                            &facts, &session->error);
    if (status == CB_NOT_FOUND) {
        status = cb_error_set(&session->error, CB_NOT_FOUND,
                              "there is no backup at '%s'", work->path);
        cb_error_meaning(&session->error, "nothing was restored");
        cb_error_next(&session->error, "check the file's name");
    }
    return status;
}

static cb_status ask(restoring *work)
{
    cb_cli_session *session = work->session;
    cb_status status =
        work->recovery
            ? cb_cli_recovery_ask(session, &work->secret)
            : cb_cli_ask_passphrase(session, "Passphrase of the backup",
                                    &work->secret, &session->error);
    if (status == CB_OK && work->recovery) {
        status = cb_cli_ask_new_passphrase(session, "New passphrase",
                                           &work->passphrase, &session->error);
    }
    return status;
}

static void tell(const restoring *work)
{
    cb_cli_session *session = work->session;
    cb_store_identity identity;
    char date[CB_CLI_DATE_TEXT_BYTES];
    cb_store_identify(work->store, &identity);
    cb_cli_short_date(session, work->facts.made_ms, "minute", date);
    cb_cli_say(session, "restored %" PRIu64 " %s in %" PRIu64 " %s to '%s'",
               work->facts.entries,
               plural(work->facts.entries, "entry", "entries"),
               work->facts.cases, plural(work->facts.cases, "case", "cases"),
               work->options.folder);
    cb_cli_say(session,
               "it is as it was on %s; of what was recorded later, a sync "
               "brings back what had been synced",
               date);
    cb_cli_say(session,
               "%s; a recovery key does not come along: casebound recovery "
               "new",
               work->recovery ? "it opens with the new passphrase"
                              : "it opens with the passphrase of the backup");
    if (identity.joined) {
        cb_cli_say(session, identity.hub ? "next: casebound hub merge"
                                         : "next: casebound sync; do not use "
                                           "the store before any more");
    }
}

static cb_status run_from_backup(cb_cli_session *session)
{
    restoring work = {
        .session = session,
        .path = session->arguments.operands[0],
        .recovery = cb_cli_option_given(&session->arguments, "recovery"),
    };
    cb_status status =
        cb_cli_store_options(session, &work.folder, &work.options);
    if (status == CB_OK) {
        status = find_backup(&work);
    }
    if (status == CB_OK) {
        status = ask(&work);
    }
    if (status == CB_OK) {
        status = cb_restore_backup(
            &work.options, work.path, work.secret, work.recovery,
            work.recovery ? work.passphrase : work.secret, &work.store,
            &work.facts, &session->error);
    }
    if (status == CB_OK) {
        tell(&work);
        status = answer(session, "casebound.restore.v1", "store",
                        work.options.folder, &work.facts);
    }
    cb_store_close(work.store);
    cb_secret_destroy(work.secret);
    cb_secret_destroy(work.passphrase);
    cb_buffer_clear(&work.folder);
    return status;
}

static cb_status run_restore(cb_cli_session *session)
{
    bool in_place = cb_cli_option_given(&session->arguments, "in-place");
    if (in_place == (session->arguments.operand_count == 0)) {
        return in_place ? run_in_place(session) : run_from_backup(session);
    }
    cb_status status =
        cb_error_set(&session->error, CB_USAGE,
                     in_place ? "restore takes a FILE or --in-place, not both"
                              : "restore needs a FILE, or --in-place");
    cb_error_next(&session->error, "casebound restore --help");
    return status;
}

const cb_cli_command cb_cli_command_restore = {
    .name = "restore",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "make a store of a backup, or confirm an older copy",
    .mode = CB_CLI_NO_STORE,
    .options =
        (const cb_cli_option[]){
            { "in-place", '\0', NULL,
              "go on with this store, an older copy of one that went on" },
            { "recovery", '\0', NULL, "open the backup with its recovery key" },
            { "yes", '\0', NULL, "do not ask (--in-place)" },
            { NULL, '\0', NULL, NULL } },
    .operands = "[FILE]",
    .operands_max = 1,
    .description =
        "Makes a store of a backup, in a folder that is new or empty. The "
        "backup opens with the passphrase, or the recovery key, that its store "
        "had on its day; all of it is verified before anything is made. The "
        "new store goes on as the same device of the same person, under a new "
        "stream of entries, so that nothing it writes can contradict what the "
        "lost store wrote later. Sync it before anything else where that is "
        "possible.\n\n"
        "With --in-place, confirms that a store that was put back as a folder "
        "is the one to go on with. Casebound recognises such an older copy and "
        "lets it be read only, until it has synced, which settles it by "
        "itself, or until this command.\n\n"
        "With --passphrase-fd the first line is what opens the backup; with "
        "--recovery the second is the new passphrase.",
    .examples =
        (const cb_cli_example[]){
            { "casebound restore /media/stick/monday.backup",
              "in the usual place, on a new machine" },
            { "casebound -C /tmp/look restore monday.backup",
              "somewhere else, to look into it" },
            { "casebound restore --in-place",
              "the newer copy is lost for good" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_EXISTS, "the folder is not empty" },
                                    { CB_INPUT, "that file is not a backup" },
                                    { CB_DAMAGED, "the backup is damaged" },
                                    { CB_WRONG_KEY,
                                      "that does not open the backup" },
                                    { CB_NO_SPACE, "the disk is full" },
                                    { CB_OK, NULL } },
    .see_also = "backup, recovery new, sync",
    .run = run_restore,
};
