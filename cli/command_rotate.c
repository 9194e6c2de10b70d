/* SPDX-License-Identifier: Apache-2.0 */
/* key rotate. */
#include "commands.h"

#include "access.h"
#include "output.h"
#include "progress.h"
#include "prompt.h"
#include "recovery_key.h"

typedef struct rotating {
    cb_cli_session *session;
    cb_buffer folder;
    cb_store_options options;
    cb_store *store;
    cb_secret *passphrase;
    cb_secret *recovery_key;
    bool wants_recovery;
    cb_cli_progress progress;
} rotating;

static void show_progress(void *context, uint64_t done, uint64_t total)
{
    rotating *work = context;
    work->progress.total = total;
    cb_cli_progress_update(&work->progress, done, 0);
}

static bool is_stopped(void *context)
{
    const rotating *work = context;
    return work->session->world->is_interrupted();
}

/* What the person has to know before, not after. */
static cb_status confirm(rotating *work)
{
    cb_cli_session *session = work->session;
    cb_store_keys keys;
    bool yes = cb_cli_option_given(&session->arguments, "yes");
    cb_store_describe_keys(work->store, &keys);
    work->wants_recovery =
        keys.recovery &&
        !cb_cli_option_given(&session->arguments, "drop-recovery");
    cb_status status =
        work->wants_recovery ? cb_cli_recovery_place(session) : CB_OK;
    if (status == CB_OK && !yes) {
        status = cb_cli_ask_yes(
            session,
            work->wants_recovery
                ? "The whole store is written anew. The recovery key on paper "
                  "will open nothing any more; a new one is shown now and "
                  "holds once this is done. Go on? [y/N]"
            : keys.recovery
                ? "The whole store is written anew, and the recovery key on "
                  "paper will open nothing any more. Go on? [y/N]"
                : "The whole store is written anew. Go on? [y/N]",
            "--yes", &yes, &session->error);
    }
    if (status == CB_OK && !yes) {
        status = cb_error_set(&session->error, CB_INTERRUPTED, "not rotated");
        cb_error_meaning(&session->error, "nothing was changed");
        cb_error_next(&session->error, "nothing; run it again if it is meant");
    }
    return status;
}

static cb_status rotate(rotating *work)
{
    cb_cli_session *session = work->session;
    const cb_rotation rotation = { .passphrase = work->passphrase,
                                   .recovery_key = work->recovery_key,
                                   .progress = show_progress,
                                   .is_stopped = is_stopped,
                                   .context = work };
    cb_cli_progress_begin(&work->progress, session, "writing the store anew",
                          "bytes", 0);
    cb_status status = cb_store_rotate(work->store, &work->options, &rotation,
                                       &session->error);
    cb_cli_progress_end(&work->progress);
    return status;
}

static cb_status finish(rotating *work)
{
    cb_cli_session *session = work->session;
    cb_cli_say(session, "the store has a new master key; copies of the store "
                        "from before are still opened by the old one");
    if (work->wants_recovery) {
        cb_cli_say(session, "the new recovery key is in use; destroy the old "
                            "paper");
    }
    return cb_cli_answer(session,
                         json_pack("{s:s, s:b}", "schema",
                                   "casebound.key_rotate.v1", "recovery_key",
                                   (int)work->wants_recovery),
                         &session->error);
}

static cb_status run_rotate(cb_cli_session *session)
{
    rotating work = { .session = session };
    cb_status status =
        cb_cli_store_options(session, &work.folder, &work.options);
    if (status == CB_OK) {
        status = cb_cli_probe_store(session, &work.options);
    }
    if (status == CB_OK) {
        status = cb_cli_ask_passphrase(session, "Passphrase", &work.passphrase,
                                       &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_open(&work.options, work.passphrase, &work.store,
                               &session->error);
    }
    if (status == CB_OK) {
        status = confirm(&work);
    }
    if (status == CB_OK && work.wants_recovery) {
        status = cb_cli_recovery_show(session, work.options.folder,
                                      &work.recovery_key);
    }
    if (status == CB_OK) {
        status = rotate(&work);
        if (status != CB_OK && work.wants_recovery) {
            cb_cli_warn(session, "two recovery keys are about now; which of "
                                 "them holds, says casebound recovery check");
        }
    }
    if (status == CB_OK) {
        status = finish(&work);
    }
    cb_store_close(work.store);
    cb_secret_destroy(work.recovery_key);
    cb_secret_destroy(work.passphrase);
    cb_buffer_clear(&work.folder);
    return status;
}

const cb_cli_command cb_cli_command_key_rotate = {
    .name = "key rotate",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "give the store another master key, and write it anew",
    .mode = CB_CLI_NO_STORE,
    .options =
        (const cb_cli_option[]){
            { "output", 'o', "FILE",
              "write the new recovery key there, or to the output (-)" },
            { "drop-recovery", '\0', NULL, "make no new recovery key" },
            { "yes", '\0', NULL, "do not ask" },
            { NULL, '\0', NULL, NULL } },
    .description =
        "For when somebody may have had the master key: the machine was used "
        "by another while the store was unlocked, or a copy of the folder is "
        "about whose passphrase is known. A new passphrase does not help then, "
        "for the key below it stays. The whole database is written anew under "
        "another key, which takes its size of free space, and takes the place "
        "of the old one; it may be cut at any moment, and the next command "
        "completes it or goes back.\n\n"
        "The passphrase stays. The recovery key does not: it cannot be carried "
        "over without being kept somewhere, so a new one is shown where there "
        "was one. Copies of the store from before stay readable to whoever "
        "had the old key, and the keys of single cases do not change: those "
        "are the hub's to change.",
    .examples =
        (const cb_cli_example[]){
            { "casebound key rotate", "asks for the passphrase, and whether" },
            { "casebound key rotate --yes --drop-recovery",
              "without a question" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_WRONG_KEY, "that is not the passphrase" },
            { CB_NO_SPACE, "there is no room for a second copy" },
            { CB_IN_USE, "another process uses it" },
            { CB_OK, NULL } },
    .see_also = "passphrase, recovery new",
    .run = run_rotate,
};
