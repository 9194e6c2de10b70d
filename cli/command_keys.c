/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passphrase, recovery new, recovery check, recovery remove.
 *
 * They are nouns with a verb, as `case new` is: the recovery key is a thing
 * that one makes, checks and removes, not a property of `init`.
 */
#include "commands.h"

#include "access.h"
#include "output.h"
#include "prompt.h"
#include "recovery_key.h"

#include <casebound/limits.h>

#include <stdlib.h>
#include <string.h>

#define MEBIBYTE          UINT64_C(1048576)
#define MEMORY_MIB_MIN    64
#define INTERACTIVE_COUNT 2
#define MODERATE_COUNT    3
#define SENSITIVE_COUNT   4

/* What most of these have open. */
typedef struct opened {
    cb_buffer folder;
    cb_store_options options;
    cb_secret *passphrase;
    cb_store *store;
} opened;

static cb_status find_store(cb_cli_session *session, opened *work)
{
    *work = (opened){ .store = NULL };
    cb_status status =
        cb_cli_store_options(session, &work->folder, &work->options);
    return status == CB_OK ? cb_cli_probe_store(session, &work->options)
                           : status;
}

static cb_status open_store(cb_cli_session *session, opened *work)
{
    cb_status status = cb_cli_ask_passphrase(
        session, "Passphrase", &work->passphrase, &session->error);
    return status == CB_OK ? cb_store_open(&work->options, work->passphrase,
                                           &work->store, &session->error)
                           : status;
}

static void close_store(opened *work)
{
    cb_store_close(work->store);
    cb_secret_destroy(work->passphrase);
    cb_buffer_clear(&work->folder);
}

/* ----------------------------------------------------------------- recovery */

static cb_status answer(cb_cli_session *session, bool recovery)
{
    return cb_cli_answer(session,
                         json_pack("{s:s, s:b}", "schema",
                                   "casebound.recovery.v1", "recovery_key",
                                   (int)recovery),
                         &session->error);
}

static cb_status run_new(cb_cli_session *session)
{
    opened work;
    cb_store_keys before = { .recovery = false };
    cb_secret *key = NULL;
    cb_status status = find_store(session, &work);
    if (status == CB_OK) {
        status = cb_cli_recovery_place(session);
    }
    if (status == CB_OK) {
        status = open_store(session, &work);
    }
    if (status == CB_OK) {
        cb_store_describe_keys(work.store, &before);
        status = cb_cli_recovery_show(session, work.options.folder, &key);
    }
    if (status == CB_OK) {
        status = cb_store_set_recovery(work.store, &work.options,
                                       work.passphrase, key, &session->error);
        if (status != CB_OK) {
            cb_error_meaning(&session->error, "the key that was shown is not "
                                              "in use; throw it away");
        }
    }
    if (status == CB_OK) {
        cb_cli_say(session, before.recovery
                                ? "it is in use; the recovery key of before "
                                  "opens nothing any more but older copies"
                                : "it is in use");
        status = answer(session, true);
    }
    cb_secret_destroy(key);
    close_store(&work);
    return status;
}

static const cb_cli_option output_option[] = {
    { "output", 'o', "FILE", "write it there, or to the output (-)" },
    { NULL, '\0', NULL, NULL }
};

const cb_cli_command cb_cli_command_recovery_new = {
    .name = "recovery new",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "make a recovery key, to be kept on paper",
    .mode = CB_CLI_NO_STORE,
    .options = output_option,
    .description =
        "Makes a second way into the store, for when the passphrase is "
        "forgotten: a random key of eight groups of five characters, each of "
        "which finds a slip of the pen. It is shown once, on the terminal, and "
        "replaces any before it. Whoever has it opens the store, so keep it on "
        "paper, in a place that can be locked, and not with the laptop.",
    .examples =
        (const cb_cli_example[]){
            { "casebound recovery new", "shows it on the terminal" },
            { "casebound recovery new -o - | lp", "prints it at once" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_EXISTS, "the file is there already" },
                               { CB_WRONG_KEY, "that is not the passphrase" },
                               { CB_OK, NULL } },
    .see_also = "recovery check, recovery remove, passphrase",
    .run = run_new,
};

static cb_status run_check(cb_cli_session *session)
{
    opened work;
    cb_secret *key = NULL;
    cb_status status = find_store(session, &work);
    if (status == CB_OK) {
        status = cb_cli_recovery_ask(session, &key);
    }
    if (status == CB_OK) {
        status = cb_store_check_recovery(&work.options, key, &session->error);
    }
    if (status == CB_OK) {
        cb_cli_say(session, "that is the recovery key of this store");
        status = answer(session, true);
    }
    cb_secret_destroy(key);
    close_store(&work);
    return status;
}

const cb_cli_command cb_cli_command_recovery_check = {
    .name = "recovery check",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "see whether the paper holds the recovery key",
    .mode = CB_CLI_NO_STORE,
    .description = "Asks for the recovery key and says whether it would open "
                   "the store. Opens and changes nothing. With "
                   "--passphrase-fd the line is the recovery key.",
    .examples = (const cb_cli_example[]){ { "casebound recovery check",
                                            "type what stands on the paper" },
                                          { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_INPUT, "it is mistyped; says where" },
                                    { CB_WRONG_KEY, "it is not this store's" },
                                    { CB_OK, NULL } },
    .see_also = "recovery new, unlock",
    .run = run_check,
};

static cb_status run_remove(cb_cli_session *session)
{
    opened work;
    cb_store_keys before;
    cb_status status = find_store(session, &work);
    if (status == CB_OK) {
        status = open_store(session, &work);
    }
    if (status == CB_OK) {
        cb_store_describe_keys(work.store, &before);
        status = cb_store_set_recovery(work.store, &work.options,
                                       work.passphrase, NULL, &session->error);
    }
    if (status == CB_OK) {
        cb_cli_say(session, before.recovery
                                ? "removed; the passphrase is the only way in "
                                  "now, but for older copies of this store"
                                : "there was none");
        status = answer(session, false);
    }
    close_store(&work);
    return status;
}

const cb_cli_command cb_cli_command_recovery_remove = {
    .name = "recovery remove",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "make the recovery key open nothing any more",
    .mode = CB_CLI_NO_STORE,
    .description =
        "For when the paper is lost. Copies of the store's folder that were "
        "made before are still opened by it; where that matters, see casebound "
        "key rotate.",
    .examples = (const cb_cli_example[]){ { "casebound recovery remove",
                                            "asks for the passphrase" },
                                          { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_WRONG_KEY, "that is not the passphrase" },
                               { CB_OK, NULL } },
    .see_also = "recovery new, key rotate",
    .run = run_remove,
};

/* --------------------------------------------------------------- passphrase */

static cb_status refuse_cost(const char *text, cb_error *error)
{
    (void)cb_error_set(error, CB_INPUT,
                       "'%s' is not a cost that a passphrase can have", text);
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error,
                  "give interactive, moderate or sensitive, or MiB and passes "
                  "such as 512x4: %d to %d MiB, 1 to %d passes",
                  MEMORY_MIB_MIN, CB_PASSPHRASE_MEMORY_MIB_MAX,
                  CB_PASSPHRASE_PASSES_MAX);
    return CB_INPUT;
}

/* A word of libsodium's, or "512x4". */
static cb_status read_cost(const char *text, cb_store_options *options,
                           cb_error *error)
{
    static const struct {
        const char *name;
        uint64_t mebibytes;
        uint64_t passes;
    } rows[] = {
        { "interactive", 64, INTERACTIVE_COUNT },
        { "moderate", 256, MODERATE_COUNT },
        { "sensitive", 1024, SENSITIVE_COUNT },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(text, rows[i].name) == 0) {
            options->kdf_memory_bytes = rows[i].mebibytes * MEBIBYTE;
            options->kdf_operations = rows[i].passes;
            return CB_OK;
        }
    }
    char *end = NULL;
    unsigned long mebibytes =
        text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    if (mebibytes < MEMORY_MIB_MIN ||
        mebibytes > CB_PASSPHRASE_MEMORY_MIB_MAX || end[0] != 'x' ||
        end[1] < '0' || end[1] > '9') {
        return refuse_cost(text, error);
    }
    unsigned long passes = strtoul(end + 1, &end, 10);
    if (passes < 1 || passes > CB_PASSPHRASE_PASSES_MAX || *end != '\0') {
        return refuse_cost(text, error);
    }
    options->kdf_memory_bytes = mebibytes * MEBIBYTE;
    options->kdf_operations = passes;
    return CB_OK;
}

static cb_status open_to_change(cb_cli_session *session, opened *work)
{
    cb_secret *key = NULL;
    if (!cb_cli_option_given(&session->arguments, "recovery")) {
        return open_store(session, work);
    }
    cb_status status = cb_cli_recovery_ask(session, &key);
    if (status == CB_OK) {
        status = cb_store_open_recovery(&work->options, key, &work->store,
                                        &session->error);
    }
    cb_secret_destroy(key);
    return status;
}

static cb_status check_options(cb_cli_session *session, opened *work)
{
    const char *cost = cb_cli_option_value(&session->arguments, "cost");
    bool same = cb_cli_option_given(&session->arguments, "same");
    if (same && cb_cli_option_given(&session->arguments, "recovery")) {
        (void)cb_error_set(&session->error, CB_USAGE,
                           "--same and --recovery exclude each other");
        cb_error_next(&session->error, "leave out --same");
        return CB_USAGE;
    }
    return cost == NULL ? CB_OK
                        : read_cost(cost, &work->options, &session->error);
}

static cb_status finish_passphrase(cb_cli_session *session, const opened *work,
                                   const cb_store_keys *before, bool same)
{
    cb_store_keys keys;
    cb_store_describe_keys(work->store, &keys);
    if (before->recovery && !keys.recovery) {
        cb_cli_warn(session, "unlock.json was not as it had been written, and "
                             "its recovery key was not kept; make a new one: "
                             "casebound recovery new");
    }
    bool is_alike = before->kdf_operations == keys.kdf_operations &&
                    before->kdf_memory_bytes == keys.kdf_memory_bytes;
    cb_cli_say(session, same ? is_alike
                                   ? "the passphrase is the same, and so is "
                                     "its cost; 'unlock.json' was written anew"
                                   : "the passphrase is the same, at its new "
                                     "cost"
                             : "the new passphrase holds from now on; the old "
                               "one still opens older copies of this store");
    cb_cli_tell_cost(session, work->store);
    return cb_cli_answer(
        session,
        json_pack("{s:s, s:I, s:I}", "schema", "casebound.passphrase.v1",
                  "passes", (json_int_t)keys.kdf_operations, "memory_bytes",
                  (json_int_t)keys.kdf_memory_bytes),
        &session->error);
}

static cb_status run_passphrase(cb_cli_session *session)
{
    opened work;
    cb_store_keys before;
    cb_secret *fresh = NULL;
    bool same = cb_cli_option_given(&session->arguments, "same");
    cb_status status = find_store(session, &work);
    if (status == CB_OK) {
        status = check_options(session, &work);
    }
    if (status == CB_OK) {
        status = open_to_change(session, &work);
    }
    if (status == CB_OK) {
        cb_store_describe_keys(work.store, &before);
    }
    if (status == CB_OK && !same) {
        status = cb_cli_ask_new_passphrase(session, "New passphrase", &fresh,
                                           &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_change_passphrase(work.store, &work.options,
                                            same ? work.passphrase : fresh,
                                            &session->error);
    }
    if (status == CB_OK) {
        status = finish_passphrase(session, &work, &before, same);
    }
    cb_secret_destroy(fresh);
    close_store(&work);
    return status;
}

const cb_cli_command cb_cli_command_passphrase = {
    .name = "passphrase",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "change the passphrase, or what trying one costs",
    .mode = CB_CLI_NO_STORE,
    .options =
        (const cb_cli_option[]){
            { "recovery", '\0', NULL,
              "open with the recovery key, where the passphrase is "
              "forgotten" },
            { "cost", '\0', "COST",
              "interactive, moderate, sensitive, or MiB and passes: 512x4" },
            { "same", '\0', NULL, "keep the passphrase, change its cost" },
            { NULL, '\0', NULL, NULL } },
    .description =
        "Seals the store's key under another passphrase; the cases are not "
        "written again, so it is quick. The recovery key stays as it is. With "
        "--passphrase-fd the first line is the present passphrase (or the "
        "recovery key), the second the new one.\n\n"
        "Whoever has the disk can try passphrases, and the cost is what each "
        "try takes: passes over memory. It is raised with a faster machine; "
        "a machine with less memory cannot open the store then. Left out, it "
        "stays as it is, and is never below the usual one, moderate, of 3 "
        "passes over 256 MiB, or as much work in less memory.",
    .examples =
        (const cb_cli_example[]){
            { "casebound passphrase", "asks for the old and the new one" },
            { "casebound passphrase --recovery",
              "asks for the recovery key, and the new one" },
            { "casebound passphrase --same --cost sensitive",
              "each try takes some seconds, and 1 GiB" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_WRONG_KEY, "that is not the present passphrase" },
            { CB_NO_MEMORY, "this machine cannot pay the cost" },
            { CB_OK, NULL } },
    .see_also = "unlock, recovery new, key rotate",
    .run = run_passphrase,
};
