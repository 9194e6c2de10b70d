/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub init: the store, the service, its root key, the log.
 *
 * Four things come to be, one after the other, and the command may stop
 * between any two.  What can be known to go wrong is looked at before the
 * first; run again, it goes on where it stopped.  The root key is in its file,
 * durably, before the service is founded: there is no moment at which a crash
 * leaves a service whose root key nobody has.  A key that was written for a
 * founding that did not come about is used by the next attempt.
 */
#include "commands.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <casebound/hub.h>

#include "access.h"
#include "fingerprint.h"
#include "output.h"
#include "prompt.h"

#define PATH_BYTES_MAX 4096
#define ROOT_KEY_NAME  "root-key.json"
#define PERSON_DEFAULT "Hub coordinator"

typedef struct founding {
    cb_cli_session *session;
    const char *name;
    const char *person;
    cb_buffer address;
    cb_buffer folder;
    cb_buffer key_path;
    cb_store_options options;
    cb_secret *passphrase;
    cb_store *store;
    bool made_store;
    bool has_key; /* the file named is the root key's */
} founding;

/* Refuses before anything was made. */
static cb_status refuse(founding *work, cb_status status, const char *next,
                        const char *format, ...) CB_PRINTF(4, 5);

static cb_status refuse(founding *work, cb_status status, const char *next,
                        const char *format, ...)
{
    char what[CB_ERROR_TEXT_BYTES];
    cb_error *error = &work->session->error;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    status = cb_error_set(error, status, "%s", what);
    cb_error_meaning(error, "nothing was changed");
    cb_error_next(error, "%s", next);
    return status;
}

/* ------------------------------------------------------------ the address */

/*
 * The address goes into every admission, so it has to mean the same from
 * everywhere: a relative path is completed.
 */
static cb_status complete_address(founding *work, const char *address)
{
    char here[PATH_BYTES_MAX];
    bool has_scheme = strstr(address, "://") != NULL;
    if (address[0] == '\0' ||
        (has_scheme && strncmp(address, "file:///", 8) != 0)) {
        return refuse(work, CB_INPUT, "casebound hub init --log /srv/log ...",
                      "the log of a new hub is a folder of this machine");
    }
    if (!has_scheme && address[0] != '/') {
        if (getcwd(here, sizeof here) == NULL) {
            return refuse(work, CB_IO, "give --log as a full path",
                          "cannot tell which folder this is");
        }
        cb_buffer_append_format(&work->address, "%s/", here);
    }
    cb_buffer_append_text(&work->address, address);
    while (work->address.size > 1 &&
           work->address.bytes[work->address.size - 1] == '/') {
        work->address.bytes[--work->address.size] = '\0';
    }
    return cb_buffer_check(&work->address, &work->session->error);
}

/* What would fail later is told now: nothing has been made yet. */
static cb_status check_place(founding *work)
{
    char parent[PATH_BYTES_MAX];
    struct stat state = { 0 };
    const char *path = cb_buffer_text(&work->address);
    path += strncmp(path, "file://", 7) == 0 ? 7 : 0;
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL) {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    if (stat(parent, &state) != 0 || !S_ISDIR(state.st_mode)) {
        return refuse(work, CB_INPUT, "make the folder first, or check --log",
                      "there is no folder '%s' to put the log into", parent);
    }
    if (access(parent, W_OK | X_OK) != 0) {
        return refuse(work, CB_PERMISSION,
                      "choose a folder that this user may write to",
                      "the log cannot be made in '%s'", parent);
    }
    return CB_OK;
}

/* Only a hub that was founded with it may go on with a log that is there. */
static cb_status check_no_log(founding *work)
{
    char path[PATH_BYTES_MAX];
    struct stat state = { 0 };
    const char *folder = cb_buffer_text(&work->address);
    folder += strncmp(folder, "file://", 7) == 0 ? 7 : 0;
    (void)snprintf(path, sizeof path, "%s/log.git", folder);
    if (stat(path, &state) == 0) {
        return refuse(work, CB_EXISTS, "choose another folder with --log",
                      "there is a log at '%s' already", folder);
    }
    return CB_OK;
}

/* -------------------------------------------------------------- the store */

static cb_status open_store(founding *work)
{
    cb_cli_session *session = work->session;
    cb_status status =
        cb_cli_store_options(session, &work->folder, &work->options);
    if (status != CB_OK) {
        return status;
    }
    cb_error absent = { 0 };
    status = cb_store_probe(&work->options, &absent);
    if (status == CB_NO_STORE) {
        status = check_no_log(work);
        if (status != CB_OK) {
            return status;
        }
        status = cb_cli_ask_new_passphrase(session, "New passphrase",
                                           &work->passphrase, &session->error);
        if (status == CB_OK) {
            status = cb_store_create(&work->options, work->passphrase,
                                     &work->store, &session->error);
        }
        work->made_store = status == CB_OK;
        return status;
    }
    if (status != CB_OK) {
        session->error = absent;
        return status;
    }
    /* Asked for even where the keyring has the key: it seals the root key. */
    status = cb_cli_ask_passphrase(session, "Passphrase", &work->passphrase,
                                   &session->error);
    if (status == CB_OK) {
        status = cb_store_open(&work->options, work->passphrase, &work->store,
                               &session->error);
    }
    return status;
}

/* ----------------------------------------------------------- the root key */

static cb_status name_key_file(founding *work)
{
    const char *given =
        cb_cli_option_value(&work->session->arguments, "root-key");
    if (given != NULL) {
        cb_buffer_append_text(&work->key_path, given);
    } else {
        cb_buffer_append_format(&work->key_path, "%s/" ROOT_KEY_NAME,
                                work->options.folder);
    }
    return cb_buffer_check(&work->key_path, &work->session->error);
}

/* Whether the file holds the root key of this realm. */
static bool holds_key(founding *work, const cb_realm_id *wanted,
                      cb_secret **ret_root_key)
{
    cb_realm_id realm;
    cb_secret *root_key = NULL;
    bool is_it =
        cb_root_key_open(&work->options, cb_buffer_text(&work->key_path),
                         work->passphrase, &realm, &root_key, NULL) == CB_OK &&
        memcmp(&realm, wanted, sizeof realm) == 0;
    if (is_it && ret_root_key != NULL) {
        *ret_root_key = root_key;
        root_key = NULL;
    }
    cb_secret_destroy(root_key);
    return is_it;
}

/* The one that an interrupted founding wrote; else NULL, and the file is made
 * and proved writable. */
static cb_status reserve_key_file(founding *work, cb_secret **ret_root_key)
{
    cb_cli_session *session = work->session;
    const cb_environment *environment = session->world->environment;
    const char *path = cb_buffer_text(&work->key_path);
    cb_realm_id realm;
    cb_buffer content;
    cb_buffer_init(&content, 1);
    cb_status status =
        environment->read_file(environment->context, path, &content, NULL);
    size_t size = content.size;
    cb_buffer_clear(&content);
    if (status == CB_NOT_FOUND || (status == CB_OK && size == 0)) {
        return environment->replace_file(environment->context, path,
                                         cb_span_of_text(""), &session->error);
    }
    status = cb_enrolment_founding(work->store, &realm, &session->error);
    if (status == CB_OK && holds_key(work, &realm, ret_root_key)) {
        return CB_OK;
    }
    if (status == CB_OK || status == CB_NOT_FOUND) {
        return refuse(work, CB_EXISTS,
                      "name another file with --root-key, or move that one "
                      "away",
                      "there is a file at '%s' already", path);
    }
    return status;
}

static cb_status write_new_key(founding *work, cb_secret **ret_root_key)
{
    cb_cli_session *session = work->session;
    const cb_environment *environment = session->world->environment;
    const char *path = cb_buffer_text(&work->key_path);
    cb_realm_id realm;
    cb_status status = cb_enrolment_make_root(work->store, &realm, ret_root_key,
                                              &session->error);
    if (status == CB_OK) {
        status =
            cb_root_key_write(&work->options, path, &realm, work->passphrase,
                              *ret_root_key, &session->error);
    }
    if (status != CB_OK) {
        (void)environment->remove_file(environment->context, path, NULL);
        cb_error_meaning(&session->error, "no service was founded");
    }
    return status;
}

/*
 * From here on the file stays, whatever happens: a commit that was reported as
 * failed may all the same turn out to have reached the disk.
 */
static cb_status found(founding *work)
{
    cb_cli_session *session = work->session;
    cb_secret *root_key = NULL;
    cb_status status = check_no_log(work);
    if (status == CB_OK) {
        status = reserve_key_file(work, &root_key);
    }
    if (status == CB_OK && root_key == NULL) {
        status = write_new_key(work, &root_key);
    }
    if (status == CB_OK) {
        status = cb_enrolment_found(work->store, work->name, work->person,
                                    cb_buffer_text(&work->address), root_key,
                                    &session->error);
        if (status != CB_OK) {
            cb_error_next(&session->error, "run the same command again");
        }
    }
    work->has_key = status == CB_OK;
    cb_secret_destroy(root_key);
    return status;
}

static cb_status refuse_hub(founding *work, const cb_store_identity *identity)
{
    return refuse(work, CB_EXISTS, "casebound status",
                  "this store is a hub already, of '%s'", identity->realm_name);
}

/* A hub that was founded before: the rest is made, if it is the same one. */
static cb_status check_founded(founding *work,
                               const cb_store_identity *identity)
{
    if (identity->hub && strcmp(identity->realm_name, work->name) == 0 &&
        strcmp(identity->log_address, cb_buffer_text(&work->address)) == 0) {
        work->has_key = holds_key(work, &identity->realm, NULL);
        return CB_OK;
    }
    if (identity->hub) {
        return refuse_hub(work, identity);
    }
    return refuse(
        work, CB_EXISTS, "choose another folder for the hub's store with -C",
        "this store belongs to the service '%s' already", identity->realm_name);
}

/* ---------------------------------------------------------------- the log */

/* Absolute path of the running program, for the hook of the log. */
static cb_status find_program(founding *work, char *path, size_t path_size)
{
    ssize_t size = readlink("/proc/self/exe", path, path_size - 1);
    if (size <= 0 || (size_t)size >= path_size - 1) {
        return refuse(work, CB_IO, "run it where /proc is there",
                      "cannot tell where the program itself lies");
    }
    path[size] = '\0';
    return CB_OK;
}

static cb_status make_log(founding *work)
{
    char program[PATH_BYTES_MAX];
    cb_error *error = &work->session->error;
    cb_status status = find_program(work, program, sizeof program);
    if (status == CB_OK) {
        status = cb_hub_create(work->store, program, error);
    }
    if (status == CB_EXISTS) {
        cb_error_meaning(error, "the log that is there was not touched");
    } else if (status != CB_OK) {
        cb_error_meaning(error, "the service was founded; its log is still to "
                                "be made");
        cb_error_next(error, "run the same command again");
    }
    return status;
}

static cb_status tell(founding *work)
{
    cb_cli_session *session = work->session;
    cb_store_identity identity;
    char fingerprint[CB_FINGERPRINT_TEXT_BYTES];
    char realm[CB_IDENTIFIER_TEXT_BYTES];
    const char *key_path = cb_buffer_text(&work->key_path);
    cb_store_identify(work->store, &identity);
    cb_cli_realm_fingerprint(&identity.realm, fingerprint);
    cb_hex_format(identity.realm.bytes, sizeof identity.realm.bytes, realm);
    cb_cli_print(session, "service      %s\n", identity.realm_name);
    cb_cli_print(session, "fingerprint  %s\n", fingerprint);
    cb_cli_print(session, "hub          %s\n", identity.person_name);
    cb_cli_print(session, "log          %s\n", identity.log_address);
    if (work->has_key) {
        cb_cli_print(session, "root key     %s\n", key_path);
        cb_cli_say(session, "move the root key to a stick, lock it away, and "
                            "keep the passphrase with it;");
        cb_cli_say(session, "it is needed only if the hub's key has to be "
                            "replaced");
    }
    cb_cli_say(session, "next: casebound hub enrol FILE --name NAME --role "
                        "ROLE");
    return cb_cli_answer(
        session,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "schema",
                  "casebound.hub_init.v1", "store", work->options.folder,
                  "service", identity.realm_name, "realm", realm, "fingerprint",
                  fingerprint, "log", identity.log_address, "made_store",
                  (int)work->made_store, "root_key",
                  work->has_key ? json_string(key_path) : json_null()),
        &session->error);
}

static cb_status prepare(founding *work)
{
    cb_cli_session *session = work->session;
    const cb_cli_arguments *arguments = &session->arguments;
    const char *address = cb_cli_option_value(arguments, "log");
    const char *person = cb_cli_option_value(arguments, "person");
    work->name = cb_cli_option_value(arguments, "name");
    work->person = person == NULL ? PERSON_DEFAULT : person;
    cb_status status =
        cb_cli_check_name("name of the service", work->name, &session->error);
    if (status == CB_OK) {
        status = cb_cli_check_name("name of the person", work->person,
                                   &session->error);
    }
    if (status == CB_OK) {
        status = complete_address(work, address);
    }
    return status == CB_OK ? check_place(work) : status;
}

static cb_status run_hub_init(cb_cli_session *session)
{
    founding work = { .session = session };
    cb_store_identity identity = { 0 };
    cb_buffer_init(&work.address, 1023);
    cb_buffer_init(&work.folder, PATH_BYTES_MAX);
    cb_buffer_init(&work.key_path, PATH_BYTES_MAX);
    cb_status status = prepare(&work);
    if (status == CB_OK) {
        status = open_store(&work);
    }
    if (status == CB_OK) {
        status = name_key_file(&work);
    }
    if (status == CB_OK) {
        cb_store_identify(work.store, &identity);
        status =
            identity.joined ? check_founded(&work, &identity) : found(&work);
    }
    if (status == CB_OK) {
        status = make_log(&work);
        if (status == CB_EXISTS && identity.hub) {
            cb_error_clear(&session->error);
            status = refuse_hub(&work, &identity);
        }
    }
    if (status == CB_OK) {
        status = tell(&work);
    }
    if (status == CB_OK && work.made_store) {
        cb_cli_warn_of_swap(session);
    }
    cb_store_close(work.store);
    cb_secret_destroy(work.passphrase);
    cb_buffer_clear(&work.address);
    cb_buffer_clear(&work.folder);
    cb_buffer_clear(&work.key_path);
    return status;
}

const cb_cli_command cb_cli_command_hub_init = {
    .name = "hub init",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "found a service, with its hub and its log",
    .mode = CB_CLI_NO_STORE,
    .options =
        (const cb_cli_option[]){
            { "log", '\0', "ADDRESS",
              "folder for the log that everybody reaches" },
            { "name", '\0', "REALM", "what the service is called" },
            { "person", '\0', "NAME",
              "who runs the hub (else Hub coordinator)" },
            { "root-key", '\0', "FILE",
              "where the root key goes (else into the store)" },
            { NULL, '\0', NULL, NULL } },
    .required = (const char *const[]){ "log", "name", NULL },
    .description =
        "Makes the hub's encrypted store, unless the folder holds one that "
        "belongs to no service yet, and in it the keys of a new service; then "
        "the log through which its devices exchange what they write: a folder "
        "with two Git repositories that hold nothing readable. "
        "The root key is sealed under the same passphrase and written to a "
        "file. Keep that file away from the hub. "
        "Where it stopped half-way, the same command goes on.",
    .examples =
        (const cb_cli_example[]){
            { "casebound hub init --log /srv/casebound --name 'RJ London'",
              "in the usual folder" },
            { "casebound -C /srv/hub hub init --log /srv/log --name 'RJ "
              "London' --root-key /media/stick/root-key.json",
              "the root key straight onto a stick" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_EXISTS, "there is a service, a log or a root key already" },
            { CB_PERMISSION, "the folder cannot be written to" },
            { CB_WRONG_KEY, "that is not the passphrase of the store" },
            { CB_NO_SPACE, "the disk is full" },
            { CB_OK, NULL } },
    .see_also = "hub enrol, hub merge, hub people",
    .run = run_hub_init,
};
