/* SPDX-License-Identifier: Apache-2.0 */
/* init, unlock, lock, passphrase, status. */
#include "commands.h"

#include "access.h"
#include "output.h"
#include "prompt.h"
#include "value.h"

#include <inttypes.h>

#define UNLOCK_MS_DEFAULT INT64_C(900000)

static cb_status run_init(cb_cli_session *session)
{
    cb_buffer folder;
    cb_store_options options;
    cb_secret *passphrase = NULL;
    cb_store *store = NULL;
    cb_status status = cb_cli_store_options(session, &folder, &options);
    if (status == CB_OK && cb_store_probe(&options, NULL) == CB_OK) {
        status = cb_error_set(&session->error, CB_EXISTS,
                              "there is a case store at '%s' already",
                              options.folder);
        cb_error_meaning(&session->error, "it was not touched");
        cb_error_next(&session->error, "choose another folder with -C");
    }
    if (status == CB_OK) {
        status = cb_cli_ask_new_passphrase(session, "New passphrase",
                                           &passphrase, &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_create(&options, passphrase, &store, &session->error);
    }
    if (status == CB_OK) {
        cb_cli_say(session, "made an encrypted case store in '%s'",
                   options.folder);
        cb_cli_say(session, "nobody can open it without the passphrase, not "
                            "even us");
        cb_cli_say(session, "next: casebound enrol request (or, to found a "
                            "service, casebound hub init)");
        cb_cli_warn_of_swap(session);
        status =
            cb_cli_answer(session,
                          json_pack("{s:s, s:s}", "schema", "casebound.init.v1",
                                    "store", options.folder),
                          &session->error);
    }
    cb_store_close(store);
    cb_secret_destroy(passphrase);
    cb_buffer_clear(&folder);
    return status;
}

const cb_cli_command cb_cli_command_init = {
    .name = "init",
    .group = CB_CLI_GROUP_START,
    .purpose = "make an encrypted case store",
    .mode = CB_CLI_NO_STORE,
    .description =
        "Makes the folder and an empty store in it, with the keys of this "
        "device. The passphrase is asked for twice; it is the only way in.",
    .examples =
        (const cb_cli_example[]){
            { "casebound init", "in the usual place" },
            { "casebound -C /media/stick/casebook init", "somewhere else" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_EXISTS, "there is a store already" },
                                    { CB_NO_SPACE, "the disk is full" },
                                    { CB_OK, NULL } },
    .see_also = "enrol request, unlock, status",
    .run = run_init,
};

static cb_status run_unlock(cb_cli_session *session)
{
    cb_buffer folder;
    cb_store_options options;
    cb_secret *passphrase = NULL;
    int64_t ms = UNLOCK_MS_DEFAULT;
    const char *text = cb_cli_option_value(&session->arguments, "for");
    cb_status status = CB_OK;
    if (text != NULL) {
        status = cb_cli_parse_duration(text, &ms, &session->error);
    }
    if (status != CB_OK) {
        return status;
    }
    cb_store *store = NULL;
    status = cb_cli_store_options(session, &folder, &options);
    if (status == CB_OK) {
        status = cb_cli_probe_store(session, &options);
    }
    if (status == CB_OK) {
        status = cb_cli_ask_passphrase(session, "Passphrase", &passphrase,
                                       &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_open(&options, passphrase, &store, &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_keep_unlocked(store, (unsigned)(ms / 1000),
                                        &session->error);
    }
    if (status == CB_OK) {
        cb_cli_say(session, "unlocked for %" PRId64 " minutes",
                   (ms + 59999) / 60000);
        cb_cli_warn_of_swap(session);
        status = cb_cli_answer(session,
                               json_pack("{s:s, s:I}", "schema",
                                         "casebound.unlock.v1", "seconds",
                                         (json_int_t)(ms / 1000)),
                               &session->error);
    }
    cb_store_close(store);
    cb_secret_destroy(passphrase);
    cb_buffer_clear(&folder);
    return status;
}

const cb_cli_command cb_cli_command_unlock = {
    .name = "unlock",
    .group = CB_CLI_GROUP_START,
    .purpose = "keep the store unlocked for a while",
    .mode = CB_CLI_NO_STORE,
    .options =
        (const cb_cli_option[]){
            { "for", '\0', "TIME",
              "how long, such as 15m (the default) or 8h" },
            { NULL, '\0', NULL, NULL } },
    .description =
        "Keeps the store's key in the kernel's keyring of this user, so that "
        "the following commands do not ask. The kernel forgets it after the "
        "time given, at logout, and with casebound lock. Where the kernel has "
        "no keyring each command asks for the passphrase.",
    .examples =
        (const cb_cli_example[]){
            { "casebound unlock", "for a quarter of an hour" },
            { "casebound unlock --for 2h", "for a visit" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_WRONG_KEY, "that is not the passphrase" },
                               { CB_NO_STORE, "there is no store here" },
                               { CB_OK, NULL } },
    .see_also = "lock, passphrase",
    .run = run_unlock,
};

static cb_status run_lock(cb_cli_session *session)
{
    cb_buffer folder;
    cb_store_options options;
    cb_status status = cb_cli_store_options(session, &folder, &options);
    if (status == CB_OK) {
        status = cb_store_lock(&options, &session->error);
    }
    bool was_locked = status == CB_NOT_FOUND;
    if (status == CB_OK || was_locked) {
        cb_cli_say(session, was_locked ? "it was locked already" : "locked");
        status =
            cb_cli_answer(session,
                          json_pack("{s:s, s:b}", "schema", "casebound.lock.v1",
                                    "was_locked", (int)was_locked),
                          &session->error);
    }
    cb_buffer_clear(&folder);
    return status;
}

const cb_cli_command cb_cli_command_lock = {
    .name = "lock",
    .group = CB_CLI_GROUP_START,
    .purpose = "lock the store at once",
    .mode = CB_CLI_NO_STORE,
    .examples =
        (const cb_cli_example[]){
            { "casebound lock", "drop the key from the kernel's keyring" },
            { NULL, NULL } },
    .see_also = "unlock",
    .run = run_lock,
};

static cb_status run_passphrase(cb_cli_session *session)
{
    cb_buffer folder;
    cb_store_options options;
    cb_secret *old = NULL;
    cb_secret *fresh = NULL;
    cb_store *store = NULL;
    cb_status status = cb_cli_store_options(session, &folder, &options);
    if (status == CB_OK) {
        status = cb_cli_probe_store(session, &options);
    }
    if (status == CB_OK) {
        status = cb_cli_ask_passphrase(session, "Present passphrase", &old,
                                       &session->error);
    }
    if (status == CB_OK) {
        status = cb_store_open(&options, old, &store, &session->error);
    }
    if (status == CB_OK) {
        status = cb_cli_ask_new_passphrase(session, "New passphrase", &fresh,
                                           &session->error);
    }
    if (status == CB_OK) {
        status =
            cb_store_change_passphrase(store, &options, fresh, &session->error);
    }
    if (status == CB_OK) {
        cb_cli_say(session, "the new passphrase holds from now on; the old "
                            "one still opens older copies of this store");
        status = cb_cli_answer(
            session, json_pack("{s:s}", "schema", "casebound.passphrase.v1"),
            &session->error);
    }
    cb_store_close(store);
    cb_secret_destroy(old);
    cb_secret_destroy(fresh);
    cb_buffer_clear(&folder);
    return status;
}

const cb_cli_command cb_cli_command_passphrase = {
    .name = "passphrase",
    .group = CB_CLI_GROUP_START,
    .purpose = "change the passphrase",
    .mode = CB_CLI_NO_STORE,
    .description =
        "Seals the store's key under another passphrase; the cases are not "
        "written again, so it is quick. With --passphrase-fd the first line "
        "is the present passphrase, the second the new one.",
    .examples =
        (const cb_cli_example[]){
            { "casebound passphrase", "asks for the old and the new one" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_WRONG_KEY,
                                      "that is not the present passphrase" },
                                    { CB_OK, NULL } },
    .see_also = "unlock",
    .run = run_passphrase,
};

static void print_safe(cb_cli_session *session, const json_t *document,
                       bool is_hub)
{
    json_int_t safe =
        json_integer_value(json_object_get(document, "safe_at_hub_up_to"));
    if (!is_hub && safe > 0) {
        cb_cli_print(session,
                     "safe at the hub: up to entry %" JSON_INTEGER_FORMAT "\n",
                     safe);
    } else if (!is_hub) {
        cb_cli_print(session, "safe at the hub: nothing yet\n");
    }
}

static void print_status(cb_cli_session *session, const json_t *document)
{
    static const struct {
        const char *member;
        const char *one;
        const char *many;
        bool not_at_hub; /* it sends nothing and needs nobody's receipt */
    } rows[] = {
        { "cases", "case", "cases", false },
        { "conflicts", "conflict that waits for you",
          "conflicts that wait for you", false },
        { "tasks", "task or alert", "tasks and alerts", false },
        { "entries_written", "entry written here", "entries written here",
          false },
        { "unsent", "entry not sent yet", "entries not sent yet", true },
        { "waiting", "entry that waits for a key or for others",
          "entries that wait for a key or for others", false },
        { "quarantined", "entry kept apart", "entries kept apart", false },
    };

    const json_t *identity = json_object_get(document, "identity");
    cb_cli_print(session, "store    %s\n",
                 json_string_value(json_object_get(document, "store")));
    if (identity == NULL) {
        cb_cli_print(session, "service  none yet; next: casebound enrol "
                              "request\n");
        return;
    }
    cb_cli_print(session, "service  %s%s\n",
                 json_string_value(json_object_get(identity, "service")),
                 json_is_true(json_object_get(identity, "hub"))
                     ? " (this is its hub)"
                     : "");
    cb_cli_print(session, "person   %s\n",
                 json_string_value(json_object_get(identity, "name")));
    cb_cli_print(session, "log      %s\n\n",
                 json_string_value(json_object_get(identity, "log")));
    bool is_hub = json_is_true(json_object_get(identity, "hub"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_int_t count =
            json_integer_value(json_object_get(document, rows[i].member));
        if (!is_hub || !rows[i].not_at_hub) {
            cb_cli_print(session, "%8" JSON_INTEGER_FORMAT "  %s\n", count,
                         count == 1 ? rows[i].one : rows[i].many);
        }
    }
    print_safe(session, document, is_hub);
}

static cb_status run_status(cb_cli_session *session)
{
    json_t *document = NULL;
    cb_status status = cb_store_status_document(cb_cli_store(session),
                                                &document, &session->error);
    if (status == CB_OK && !session->json) {
        print_status(session, document);
    }
    return status == CB_OK ? cb_cli_answer(session, document, &session->error)
                           : status;
}

const cb_cli_command cb_cli_command_status = {
    .name = "status",
    .group = CB_CLI_GROUP_START,
    .purpose = "say what is in the store and what waits",
    .mode = CB_CLI_READ,
    .examples =
        (const cb_cli_example[]){ { "casebound status", "" }, { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_LOCKED, "the store is locked" },
                                    { CB_NO_STORE, "there is no store here" },
                                    { CB_OK, NULL } },
    .see_also = "case list, sync, conflicts, tasks",
    .run = run_status,
};
