/* SPDX-License-Identifier: Apache-2.0 */
#include "recovery_key.h"

#include "output.h"
#include "prompt.h"

#include <casebound/recovery.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAPER_BYTES_MAX   6144
#define COST_MEMORY_BYTES UINT64_C(268435456)

static bool to_output(const char *path)
{
    return path == NULL || strcmp(path, "-") == 0;
}

cb_status cb_cli_recovery_place(cb_cli_session *session)
{
    const char *path = cb_cli_option_value(&session->arguments, "output");
    const cb_environment *environment = session->world->environment;
    cb_error *error = &session->error;
    cb_file_facts facts;
    if ((path == NULL && !session->world->out_is_terminal) ||
        (to_output(path) && session->json)) {
        (void)cb_error_set(error, CB_USAGE,
                           session->json
                               ? "the recovery key does not stand in the JSON"
                               : "the recovery key is only shown on a "
                                 "terminal");
        cb_error_next(error, "name a new file with -o FILE%s",
                      session->json ? "" : ", or -o - for the output");
        return CB_USAGE;
    }
    if (!to_output(path) && environment->look_at(environment->context, path,
                                                 &facts, NULL) == CB_OK) {
        (void)cb_error_set(error, CB_EXISTS, "'%s' is there already", path);
        cb_error_meaning(error, "nothing was changed");
        cb_error_next(error, "name a new file with -o");
        return CB_EXISTS;
    }
    return CB_OK;
}

/* What is to be on the paper; the text never leaves guarded memory. */
static cb_status compose(const char *folder, const cb_secret *key,
                         cb_secret **ret_paper, cb_error *error)
{
    cb_secret *text = NULL;
    cb_secret *paper = NULL;
    cb_status status = cb_recovery_print(key, &text, error);
    if (status == CB_OK) {
        status = cb_secret_create(PAPER_BYTES_MAX, &paper, error);
    }
    if (status == CB_OK) {
        const char *groups = (const char *)cb_secret_view(text);
        int half = CB_RECOVERY_TEXT_BYTES / 2;
        int size = snprintf(
            (char *)cb_secret_bytes(paper), PAPER_BYTES_MAX,
            "Recovery key of the case store '%.4000s'\n\n"
            "    %.*s\n    %.*s\n\n"
            "It opens the store without the passphrase. Keep it on paper, in "
            "a place\nthat can be locked, and not with the laptop. Capitals "
            "and hyphens do not\nmatter. Check the paper: casebound recovery "
            "check\n",
            folder, half, groups, half, groups + half + 1);
        cb_secret_shorten(paper, (size_t)size);
        *ret_paper = paper;
        paper = NULL;
    }
    cb_secret_destroy(text);
    cb_secret_destroy(paper);
    return status;
}

/* Past the stream, whose memory would keep it. */
static cb_status write_out(cb_cli_session *session, const cb_secret *paper)
{
    size_t done = 0;
    (void)fflush(session->world->out);
    while (done < cb_secret_size(paper)) {
        ssize_t put =
            write(fileno(session->world->out), cb_secret_view(paper) + done,
                  cb_secret_size(paper) - done);
        if (put < 0 && errno != EINTR) {
            return cb_error_set(
                &session->error, errno == ENOSPC ? CB_NO_SPACE : CB_IO,
                "cannot write the recovery key: error %d", errno);
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return CB_OK;
}

cb_status cb_cli_recovery_show(cb_cli_session *session, const char *folder,
                               cb_secret **ret_key)
{
    const char *path = cb_cli_option_value(&session->arguments, "output");
    const cb_environment *environment = session->world->environment;
    cb_secret *key = NULL;
    cb_secret *paper = NULL;
    cb_status status = cb_recovery_make(environment, &key, &session->error);
    if (status == CB_OK) {
        status = compose(folder, key, &paper, &session->error);
    }
    if (status == CB_OK && to_output(path)) {
        status = write_out(session, paper);
    } else if (status == CB_OK) {
        const cb_span text = { cb_secret_view(paper), cb_secret_size(paper) };
        status = environment->replace_file(environment->context, path, text,
                                           &session->error);
        if (status == CB_OK) {
            cb_cli_say(session,
                       "wrote the recovery key to '%s'; print it, and remove "
                       "the file",
                       path);
        }
    }
    cb_secret_destroy(paper);
    if (status != CB_OK) {
        cb_secret_destroy(key);
        cb_error_meaning(&session->error, "it was not put into use");
        return status;
    }
    *ret_key = key;
    return CB_OK;
}

cb_status cb_cli_recovery_ask(cb_cli_session *session, cb_secret **ret_key)
{
    cb_secret *text = NULL;
    cb_status status =
        cb_cli_ask_passphrase(session, "Recovery key", &text, &session->error);
    if (status == CB_OK) {
        status = cb_recovery_read(text, ret_key, &session->error);
    }
    cb_secret_destroy(text);
    return status;
}

void cb_cli_tell_cost(cb_cli_session *session, const cb_store *store)
{
    cb_store_keys keys;
    cb_store_describe_keys(store, &keys);
    if (session->world->kdf_memory_bytes != 0 ||
        keys.kdf_memory_bytes >= COST_MEMORY_BYTES) {
        return;
    }
    cb_cli_say(session,
               "the passphrase is guarded with no more than %llu MiB and %llu "
               "passes; where there is enough memory: casebound passphrase "
               "--same --cost moderate",
               (unsigned long long)(keys.kdf_memory_bytes / 1048576),
               (unsigned long long)keys.kdf_operations);
}
