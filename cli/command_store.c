/* SPDX-License-Identifier: Apache-2.0 */
/* init, unlock, lock, status. */
#include "commands.h"

#include "access.h"
#include "output.h"
#include "prompt.h"
#include "recovery_key.h"
#include "value.h"

#include <inttypes.h>

#define UNLOCK_MS_DEFAULT INT64_C(900000)

static cb_status give_recovery(cb_cli_session *session,
                               const cb_store_options *options, cb_store *store,
                               const cb_secret *passphrase)
{
    cb_secret *key = NULL;
    cb_status status = cb_cli_recovery_show(session, options->folder, &key);
    if (status == CB_OK) {
        status = cb_store_set_recovery(store, options, passphrase, key,
                                       &session->error);
    }
    cb_secret_destroy(key);
    if (status != CB_OK) {
        cb_error_meaning(&session->error,
                         "the store is there and opens with the passphrase, "
                         "but it has no recovery key");
        cb_error_next(&session->error, "casebound recovery new");
    }
    return status;
}

/* What is said of a store that is there says too much of one that is not. */
static cb_status create(cb_cli_session *session,
                        const cb_store_options *options,
                        const cb_secret *passphrase, cb_store **ret_store)
{
    cb_error words = { 0 };
    cb_status status = cb_store_create(options, passphrase, ret_store, &words);
    if (status == CB_NO_SPACE) {
        words.meaning[0] = '\0';
        words.next[0] = '\0';
        cb_error_meaning(&words, "no store was made");
        cb_error_next(&words, "free some space and run it again, or choose "
                              "another folder with -C");
    }
    if (status != CB_OK) {
        session->error = words;
    }
    return status;
}

static cb_status run_init(cb_cli_session *session)
{
    bool wants_recovery =
        cb_cli_option_given(&session->arguments, "recovery-key");
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
    if (status == CB_OK && wants_recovery) {
        status = cb_cli_recovery_place(session);
    } else if (status == CB_OK &&
               cb_cli_option_given(&session->arguments, "output")) {
        status = cb_error_set(&session->error, CB_USAGE,
                              "--output names a file for a recovery key, and "
                              "none is made without --recovery-key");
        cb_error_next(&session->error, "give --recovery-key as well, or leave "
                                       "out --output");
    }
    if (status == CB_OK) {
        status = cb_cli_ask_new_passphrase(session, "New passphrase",
                                           &passphrase, &session->error);
    }
    if (status == CB_OK) {
        status = create(session, &options, passphrase, &store);
    }
    if (status == CB_OK) {
        cb_cli_say(session, "made an encrypted case store in '%s'",
                   options.folder);
        status = wants_recovery
                     ? give_recovery(session, &options, store, passphrase)
                     : CB_OK;
    }
    if (status == CB_OK) {
        cb_cli_say(session,
                   "nobody can open it without the passphrase%s, not "
                   "even us",
                   wants_recovery ? " or the recovery key" : "");
        cb_cli_tell_cost(session, store);
        cb_cli_say(session, "next: casebound enrol request (or, to found a "
                            "service, casebound hub init)");
        cb_cli_warn_of_swap(session);
        status = cb_cli_answer(
            session,
            json_pack("{s:s, s:s, s:b}", "schema", "casebound.init.v1", "store",
                      options.folder, "recovery_key", (int)wants_recovery),
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
    .options =
        (const cb_cli_option[]){
            { "recovery-key", '\0', NULL,
              "make a recovery key as well, and show it" },
            { "output", 'o', "FILE",
              "write the recovery key there, or to the output (-); only "
              "with --recovery-key" },
            { NULL, '\0', NULL, NULL } },
    .description =
        "Makes the folder and an empty store in it, with the keys of this "
        "device. The passphrase is asked for twice; it is the only way in, "
        "unless there is a recovery key, which can also be made later.",
    .examples =
        (const cb_cli_example[]){
            { "casebound init", "in the usual place" },
            { "casebound init --recovery-key",
              "with a key for the drawer, should the passphrase be "
              "forgotten" },
            { "casebound -C /media/stick/casebook init", "somewhere else" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_EXISTS, "there is a store already" },
                                    { CB_NO_SPACE, "the disk is full" },
                                    { CB_OK, NULL } },
    .see_also = "enrol request, recovery new, unlock, status",
    .run = run_init,
};

static cb_status open_to_unlock(cb_cli_session *session,
                                const cb_store_options *options,
                                cb_store **ret_store)
{
    cb_secret *secret = NULL;
    bool recovery = cb_cli_option_given(&session->arguments, "recovery");
    cb_status status = recovery
                           ? cb_cli_recovery_ask(session, &secret)
                           : cb_cli_ask_passphrase(session, "Passphrase",
                                                   &secret, &session->error);
    if (status == CB_OK) {
        status = recovery ? cb_store_open_recovery(options, secret, ret_store,
                                                   &session->error)
                          : cb_store_open(options, secret, ret_store,
                                          &session->error);
    }
    cb_secret_destroy(secret);
    return status;
}

static cb_status run_unlock(cb_cli_session *session)
{
    cb_buffer folder;
    cb_store_options options;
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
        status = open_to_unlock(session, &options, &store);
    }
    if (status == CB_OK) {
        status = cb_store_keep_unlocked(store, (unsigned)(ms / 1000),
                                        &session->error);
    }
    if (status == CB_OK) {
        cb_cli_say(session, "unlocked for %" PRId64 " minute%s",
                   (ms + 59999) / 60000, ms <= 60000 ? "" : "s");
        cb_cli_warn_of_swap(session);
        status = cb_cli_answer(session,
                               json_pack("{s:s, s:I}", "schema",
                                         "casebound.unlock.v1", "seconds",
                                         (json_int_t)(ms / 1000)),
                               &session->error);
    }
    cb_store_close(store);
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
            { "recovery", '\0', NULL,
              "with the recovery key instead of the passphrase" },
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
            { "casebound unlock --recovery",
              "with the key from the drawer; needs no memory to speak of" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_WRONG_KEY, "that is not the passphrase" },
                               { CB_NO_STORE, "there is no store here" },
                               { CB_OK, NULL } },
    .see_also = "lock, passphrase, recovery new",
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

static void print_keys(cb_cli_session *session, const json_t *keys)
{
    json_int_t bytes =
        json_integer_value(json_object_get(keys, "memory_bytes"));
    json_int_t passes = json_integer_value(json_object_get(keys, "passes"));
    bool small = bytes < 1048576;
    cb_cli_print(session,
                 "keys     passphrase (%" JSON_INTEGER_FORMAT " %s over "
                 "%" JSON_INTEGER_FORMAT " %s), %s recovery key\n",
                 passes, passes == 1 ? "pass" : "passes",
                 small ? bytes / 1024 : bytes / 1048576, small ? "KiB" : "MiB",
                 json_is_true(json_object_get(keys, "recovery_key")) ? "and a"
                                                                     : "no");
}

/* How the store is locked; what is odd about that is said in words. */
static json_t *describe_keys(cb_cli_session *session)
{
    cb_store_keys keys;
    cb_store_describe_keys(cb_cli_store(session), &keys);
    if (keys.altered) {
        cb_cli_warn(session,
                    "'unlock.json' is not as it was written; what opens the "
                    "store is sound, but make it anew: casebound passphrase");
    }
    return json_pack("{s:I, s:I, s:b}", "passes",
                     (json_int_t)keys.kdf_operations, "memory_bytes",
                     (json_int_t)keys.kdf_memory_bytes, "recovery_key",
                     (int)keys.recovery);
}

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
        cb_cli_print(session, "safe at the hub: nothing yet of what was "
                              "written here since it joined or was "
                              "restored\n");
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
    print_keys(session, json_object_get(document, "keys"));
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
    if (status == CB_OK) {
        (void)json_object_set_new(document, "keys", describe_keys(session));
    }
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
