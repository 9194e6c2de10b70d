/* SPDX-License-Identifier: Apache-2.0 */
/* Making the log host, and telling stock git whose signatures count. */
#include "hub/realm_file.h"

#include "git/hosting.h"
#include "git/ssh_signature.h"
#include "session/place.h"

#include <casebound/hub.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_TEXT_BYTES 4096

static cb_status require_hub(const cb_store_identity *identity, cb_error *error)
{
    if (identity->joined && identity->hub) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(error, CB_PERMISSION, "this store is not a hub's");
    cb_error_meaning(error, "no log was made");
    cb_error_next(error, "casebound hub init");
    return status;
}

/* A program of the shell that runs ours, whatever its path is called. */
static cb_status write_hook(const char *program, cb_buffer *hook,
                            cb_error *error)
{
    if (program[0] != '/' || strpbrk(program, "\r\n") != NULL) {
        return cb_error_set(error, CB_INPUT,
                            "the program for the receiving hook is not named "
                            "by an absolute path");
    }
    cb_buffer_append_text(hook, "#!/bin/sh\nexec '");
    for (const char *c = program; *c != '\0'; c++) {
        if (*c == '\'') {
            cb_buffer_append_text(hook, "'\\''");
        } else {
            cb_buffer_append(hook, c, 1);
        }
    }
    cb_buffer_append_text(hook, "' hub check-push\n");
    return cb_buffer_check(hook, error);
}

static cb_status write_realm_file(const cb_store *store, const char *folder,
                                  const char *repository, const char *name,
                                  cb_error *error)
{
    char path[PATH_TEXT_BYTES];
    cb_store_identity identity;
    cb_buffer text;
    const cb_environment *environment = cb_store_environment(store);
    int length =
        snprintf(path, sizeof path, "%s/%s/%s", folder, repository, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return cb_error_set(error, CB_INPUT, "the path is too long");
    }
    cb_store_identify(store, &identity);
    const cb_realm_file realm = cb_realm_file_of(&identity);
    cb_buffer_init(&text, CB_REALM_FILE_BYTES_MAX);
    cb_realm_file_write(&realm, &text);
    cb_status status = cb_buffer_check(&text, error);
    if (status == CB_OK) {
        status = environment->replace_file(environment->context, path,
                                           cb_span_of_buffer(&text), error);
    }
    /* Public keys, and the hook of everybody who pushes reads them. */
    if (status == CB_OK && chmod(path, 0644) != 0) {
        status = cb_error_set(error, CB_PERMISSION,
                              "'%s' cannot be made readable", path);
    }
    cb_buffer_clear(&text);
    return status;
}

/* That of the log comes last: where it is, the log host is finished. */
static cb_status write_realm(const cb_store *store, const char *folder,
                             cb_error *error)
{
    cb_status status =
        write_realm_file(store, folder, CB_GIT_MAIL, CB_MAIL_REALM_FILE, error);
    return status == CB_OK ? write_realm_file(store, folder, CB_GIT_LOG,
                                              CB_REALM_FILE, error)
                           : status;
}

/* Cut off before the realm was written: that is finished, not refused. */
static bool is_unfinished(const cb_store *store, const char *folder)
{
    char path[PATH_TEXT_BYTES];
    cb_buffer text;
    const cb_environment *environment = cb_store_environment(store);
    int length = snprintf(path, sizeof path, "%s/%s/%s", folder, CB_GIT_LOG,
                          CB_REALM_FILE);
    if (length < 0 || (size_t)length >= sizeof path) {
        return false;
    }
    cb_buffer_init(&text, CB_REALM_FILE_BYTES_MAX);
    cb_status status =
        environment->read_file(environment->context, path, &text, NULL);
    cb_buffer_clear(&text);
    return status == CB_NOT_FOUND;
}

static cb_status create(cb_store *store, const char *folder, const char *hook,
                        cb_error *error)
{
    cb_error words = { 0 };
    cb_status status = cb_git_host_create(folder, hook, &words);
    if (status == CB_EXISTS && is_unfinished(store, folder)) {
        status = cb_git_host_install_hook(folder, hook, error);
    } else if (status != CB_OK && error != NULL) {
        *error = words;
        cb_error_meaning(error, "no log was made; what is there was not "
                                "touched");
        cb_error_next(error, "choose another folder for the log");
    }
    return status == CB_OK ? write_realm(store, folder, error) : status;
}

cb_status cb_hub_create(cb_store *store, const char *program,
                        cb_error *reterr_error)
{
    cb_store_identity identity;
    cb_buffer folder;
    cb_buffer hook;
    cb_store_identify(store, &identity);
    cb_buffer_init(&folder, PATH_TEXT_BYTES);
    cb_buffer_init(&hook, CB_GIT_HOOK_BYTES_MAX);
    cb_status status = require_hub(&identity, reterr_error);
    if (status == CB_OK) {
        status =
            cb_transport_folder(identity.log_address, &folder, reterr_error);
    }
    if (status == CB_OK) {
        status = write_hook(program, &hook, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_git_begin(reterr_error);
        if (status == CB_OK) {
            status = create(store, cb_buffer_text(&folder),
                            cb_buffer_text(&hook), reterr_error);
            cb_git_end();
        }
    }
    cb_buffer_clear(&folder);
    cb_buffer_clear(&hook);
    return status;
}

static cb_status add_signer(void *context, const cb_stream_facts *facts,
                            cb_error *error)
{
    char principal[CB_SSH_PRINCIPAL_BYTES_MAX];
    char hex[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(facts->stream.bytes, sizeof facts->stream.bytes, hex);
    (void)snprintf(principal, sizeof principal, "device/%s", hex);
    return cb_ssh_allowed_signer(principal, facts->public_key, context, error);
}

cb_status cb_hub_allowed_signers(cb_store *store, cb_buffer *text,
                                 cb_error *reterr_error)
{
    char principal[CB_SSH_PRINCIPAL_BYTES_MAX];
    char hex[CB_IDENTIFIER_TEXT_BYTES];
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    if (!identity.joined) {
        cb_status status =
            cb_error_set(reterr_error, CB_PERMISSION,
                         "this store does not belong to a service yet");
        cb_error_next(reterr_error, "casebound enrol request");
        return status;
    }
    cb_hex_format(identity.realm.bytes, sizeof identity.realm.bytes, hex);
    (void)snprintf(principal, sizeof principal, "hub/%s", hex);
    cb_status status =
        cb_ssh_allowed_signer(principal, identity.hub_key, text, reterr_error);
    return status == CB_OK
               ? cb_exchange_streams(store, add_signer, text, reterr_error)
               : status;
}
