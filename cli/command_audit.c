/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit verify, audit explain: what an auditor asks without any key.
 *
 * verify never asks for a passphrase: who checks a log need not own a store,
 * and a check that is run from a timer must not stop at a question.  A store
 * that was named and is unlocked adds what it pins and remembers; one that is
 * locked adds nothing, and a warning says so.
 */
#include "commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <casebound/audit.h>

#include "access.h"
#include "fingerprint.h"
#include "output.h"
#include "progress.h"
#include "prompt.h"
#include "text.h"

#define CHECKPOINTS_MAX      256
#define CHECKPOINT_BYTES_MAX 65536
#define INDENT               12
#define COLUMNS_MAX          80

typedef struct verifying {
    cb_cli_session *session;
    cb_audit_options options;
    cb_realm_id realm;
    char address[1024];
    cb_audit_checkpoint checkpoints[CHECKPOINTS_MAX];
    size_t checkpoint_count;
    cb_cli_progress progress;
} verifying;

/* --------------------------------------------------------- what is given */

/* Takes the next line out of `text`, without its end. */
static cb_span next_line(cb_span *text)
{
    const uint8_t *end = memchr(text->bytes, '\n', text->size);
    cb_span line = { text->bytes,
                     end == NULL ? text->size : (size_t)(end - text->bytes) };
    size_t used = line.size + (end == NULL ? 0 : 1);
    text->bytes += used;
    text->size -= used;
    if (line.size > 0 && line.bytes[line.size - 1] == '\r') {
        line.size--;
    }
    return line;
}

/*
 * Origin, size and root, as a signed note has them and as they are printed in
 * a hearing's minutes; what follows is not looked at.  Whether the note was
 * signed is the holder's affair: here it is held against the log.
 */
static bool read_checkpoint(cb_span text, cb_audit_checkpoint *checkpoint)
{
    char digits[24];
    cb_span origin = next_line(&text);
    cb_span size = next_line(&text);
    cb_span root = next_line(&text);
    if (origin.size == 0 || size.size == 0 || size.size > 18) {
        return false;
    }
    memcpy(digits, size.bytes, size.size);
    digits[size.size] = '\0';
    checkpoint->size = strtoull(digits, NULL, 10);
    return strspn(digits, "0123456789") == size.size &&
           (size.size == 1 || digits[0] != '0') &&
           cb_base64_parse(root, checkpoint->root.bytes,
                           sizeof checkpoint->root.bytes);
}

static cb_status add_checkpoint(verifying *work, const char *path)
{
    cb_error *error = &work->session->error;
    cb_buffer content;
    cb_buffer_init(&content, CHECKPOINT_BYTES_MAX);
    cb_status status =
        cb_cli_read_file(work->session, "checkpoint", path, &content);
    if (status == CB_OK && work->checkpoint_count == CHECKPOINTS_MAX) {
        status =
            cb_error_set(error, CB_LIMIT, "more than %d checkpoints were given",
                         CHECKPOINTS_MAX);
    }
    cb_audit_checkpoint checkpoint = { .holder = path };
    if (status == CB_OK && content.size == 0) {
        status = CB_INPUT;
    }
    if (status == CB_OK &&
        !read_checkpoint(cb_span_of_buffer(&content), &checkpoint)) {
        status = CB_INPUT;
    }
    if (status == CB_OK) {
        work->checkpoints[work->checkpoint_count++] = checkpoint;
    } else if (status == CB_INPUT) {
        status = cb_error_set(error, CB_INPUT, "'%s' is no checkpoint", path);
        cb_error_meaning(error, "nothing was checked");
        cb_error_next(error, "give a file with the lines origin, size and "
                             "root, as the log's file 'checkpoint' has them");
    }
    cb_buffer_clear(&content);
    return status;
}

static cb_status add_remembered(verifying *work, cb_store *store)
{
    size_t count = 0;
    cb_status status =
        cb_audit_remembered(store, work->checkpoints + work->checkpoint_count,
                            CHECKPOINTS_MAX - work->checkpoint_count, &count,
                            &work->session->error);
    if (status == CB_OK) {
        work->checkpoint_count += count;
    }
    return status;
}

/* ------------------------------------------------------------- the store */

/* With what is at hand: the keyring's key, or a passphrase that was given. */
static cb_status open_quietly(cb_cli_session *session, cb_store **ret_store,
                              cb_error *error)
{
    cb_buffer folder;
    cb_store_options options;
    cb_secret *passphrase = NULL;
    cb_status status = cb_cli_store_options(session, &folder, &options);
    if (status == CB_OK && session->passphrase_descriptor >= 0) {
        status =
            cb_cli_ask_passphrase(session, "Passphrase", &passphrase, error);
    }
    if (status == CB_OK) {
        status = cb_store_open(&options, passphrase, ret_store, error);
    }
    cb_secret_destroy(passphrase);
    cb_buffer_clear(&folder);
    return status;
}

static cb_status take_from_store(verifying *work, cb_store *store)
{
    cb_cli_session *session = work->session;
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    if (!identity.joined && work->options.path != NULL) {
        return CB_OK;
    }
    if (!identity.joined) {
        return cb_error_set(&session->error, CB_PERMISSION,
                            "this store belongs to no service yet");
    }
    if (work->options.realm == NULL) {
        work->realm = identity.realm;
        work->options.realm = &work->realm;
    }
    if (work->options.path == NULL) {
        (void)snprintf(work->address, sizeof work->address, "%s",
                       identity.log_address);
        work->options.path = work->address;
    }
    return add_remembered(work, store);
}

static cb_status ask_store(verifying *work)
{
    cb_cli_session *session = work->session;
    bool is_named =
        session->folder_option != NULL || session->world->store_folder != NULL;
    bool needs_it = work->options.path == NULL;
    if (!is_named && !needs_it) {
        return CB_OK;
    }
    cb_error error = { 0 };
    cb_store *store = NULL;
    cb_status status = open_quietly(session, &store, &error);
    if (status == CB_OK) {
        status = take_from_store(work, store);
        cb_store_close(store);
        return status;
    }
    if (status == CB_LOCKED && !needs_it) {
        cb_cli_warn(session, "the store is locked, so what it remembers of the "
                             "log was not compared");
        return CB_OK;
    }
    session->error = error;
    return status;
}

static cb_status take_options(verifying *work)
{
    cb_cli_session *session = work->session;
    const cb_cli_arguments *arguments = &session->arguments;
    const char *realm = cb_cli_option_value(arguments, "realm");
    bool fast = cb_cli_option_given(arguments, "fast");
    bool full = cb_cli_option_given(arguments, "full");
    cb_status status = CB_OK;
    if (fast && full) {
        return cb_error_set(&session->error, CB_USAGE,
                            "'--fast' and '--full' exclude each other");
    }
    work->options.path = cb_cli_operand(arguments, 0);
    work->options.mode = fast   ? CB_AUDIT_FAST
                         : full ? CB_AUDIT_FULL
                                : CB_AUDIT_AUTO;
    work->options.now_ms = session->world->environment->now_ms(
        session->world->environment->context);
    if (realm != NULL) {
        status = cb_cli_parse_realm(realm, &work->realm, &session->error);
        work->options.realm = &work->realm;
    }
    size_t count = cb_cli_option_count(arguments, "checkpoint");
    for (size_t i = 0; i < count && status == CB_OK; i++) {
        status =
            add_checkpoint(work, cb_cli_option_nth(arguments, "checkpoint", i));
    }
    return status == CB_OK ? ask_store(work) : status;
}

/* ------------------------------------------------------------------ words */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static json_int_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_wrapped(const cb_cli_session *session, const char *text)
{
    cb_buffer clean;
    cb_buffer out;
    cb_buffer_init(&clean, (size_t)1 << 16);
    cb_buffer_init(&out, (size_t)1 << 17);
    cb_cli_clean(&clean, cb_span_of_text(text));
    cb_cli_wrap(&out, cb_span_of_buffer(&clean), INDENT, INDENT, COLUMNS_MAX);
    cb_buffer_append_text(&out, "\n");
    cb_cli_print_buffer(session, &out);
    cb_buffer_clear(&clean);
    cb_buffer_clear(&out);
}

/* What stands in an object, as "name value", each on a line of its own. */
static void print_members(const cb_cli_session *session, json_t *object)
{
    const char *name = NULL;
    json_t *value = NULL;
    void *at = json_object_iter(object);
    for (; at != NULL; at = json_object_iter_next(object, at)) {
        name = json_object_iter_key(at);
        value = json_object_iter_value(at);
        if (json_is_string(value)) {
            cb_cli_print(session, "%*s%s %s\n", INDENT, "", name,
                         json_string_value(value));
        } else if (json_is_integer(value)) {
            cb_cli_print(session, "%*s%s %" JSON_INTEGER_FORMAT "\n", INDENT,
                         "", name, json_integer_value(value));
        }
    }
}

static void print_findings(const cb_cli_session *session,
                           const json_t *document)
{
    const json_t *findings = json_object_get(document, "findings");
    const json_t *unchecked = json_object_get(document, "unchecked");
    for (size_t i = 0; i < json_array_size(unchecked); i++) {
        const json_t *row = json_array_get(unchecked, i);
        cb_cli_print_role(session, CB_CLI_ATTENTION, "%-*s", INDENT,
                          "not checked");
        print_wrapped(session, text_of(row, "sentence"));
    }
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *row = json_array_get(findings, i);
        cb_cli_print(session, "\n");
        cb_cli_print_role(session, CB_CLI_BAD, "%-*s", INDENT,
                          text_of(row, "code"));
        print_wrapped(session, text_of(row, "sentence"));
        print_members(session, json_object_get(row, "place"));
        print_members(session, json_object_get(row, "evidence"));
    }
}

static void print_report(const cb_cli_session *session, const json_t *document)
{
    const json_t *log = json_object_get(document, "log");
    const json_t *counts = json_object_get(document, "counts");
    const char *result = text_of(document, "result");
    json_int_t unseen = number_of(counts, "signatures_not_checked");
    cb_realm_id realm;
    char fingerprint[CB_FINGERPRINT_TEXT_BYTES] = "unknown";
    const char *who_says = "";
    if (cb_hex_parse(text_of(document, "realm"), realm.bytes,
                     sizeof realm.bytes)) {
        cb_cli_realm_fingerprint(&realm, fingerprint);
        who_says = json_is_true(json_object_get(document, "pinned"))
                       ? ", as known"
                       : ", as the log says itself";
    }
    cb_cli_print_role(session,
                      strcmp(result, "clean") == 0 ? CB_CLI_GOOD : CB_CLI_BAD,
                      "%-*s%s\n", INDENT, "result", result);
    cb_cli_print(session, "%-*s%s%s\n", INDENT, "service", fingerprint,
                 who_says);
    cb_cli_print(session,
                 "%-*s%" JSON_INTEGER_FORMAT " entries, %" JSON_INTEGER_FORMAT
                 " streams, %" JSON_INTEGER_FORMAT " commits\n",
                 INDENT, "log", number_of(log, "size"),
                 number_of(counts, "streams"), number_of(log, "commits"));
    cb_cli_print(session, "%-*s%s\n", INDENT, "root", text_of(log, "root"));
    cb_cli_print(session, "%-*s%" JSON_INTEGER_FORMAT " checked", INDENT,
                 "signatures", number_of(counts, "signatures_checked"));
    if (unseen > 0) {
        cb_cli_print(session,
                     ", %" JSON_INTEGER_FORMAT " covered by a later one",
                     unseen);
    }
    cb_cli_print(session, "\n");
    cb_cli_print(session,
                 "%-*s%" JSON_INTEGER_FORMAT " here, %" JSON_INTEGER_FORMAT
                 " not here\n",
                 INDENT, "content", number_of(counts, "bodies"),
                 number_of(counts, "bodies_absent"));
    cb_cli_print(session, "%-*sversion %" JSON_INTEGER_FORMAT "\n", INDENT,
                 "roster", number_of(counts, "roster_version"));
    print_findings(session, document);
}

/* --------------------------------------------------------------- the run */

static bool show_progress(void *context, uint64_t done, uint64_t total)
{
    verifying *work = context;
    work->progress.total = total;
    cb_cli_progress_update(&work->progress, done, 0);
    return !work->session->world->is_interrupted();
}

/*
 * "Could not check" is one exit code, whatever the reason, so that it is never
 * taken for a finding.
 */
static cb_status say_unchecked(cb_cli_session *session, cb_status status,
                               const cb_error *why)
{
    if (status == CB_INTERRUPTED || status == CB_USAGE || status == CB_INPUT) {
        session->error = *why;
        return status;
    }
    status = cb_error_set(&session->error, CB_UNCHECKED, "%s",
                          why->what[0] == '\0' ? cb_status_meaning(status)
                                               : why->what);
    cb_error_meaning(&session->error, "%s",
                     why->meaning[0] == '\0'
                         ? "nothing was checked, so nothing is known"
                         : why->meaning);
    cb_error_next(&session->error, "%s",
                  why->next[0] == '\0' ? "casebound audit verify LOG"
                                       : why->next);
    return status;
}

static cb_status run_audit_verify(cb_cli_session *session)
{
    json_t *document = NULL;
    cb_error why = { 0 };
    verifying *work = calloc(1, sizeof *work);
    if (work == NULL) {
        return cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
    }
    work->session = session;
    cb_status status = take_options(work);
    if (status != CB_OK) {
        free(work);
        return status;
    }
    work->options.checkpoints = work->checkpoints;
    work->options.checkpoint_count = work->checkpoint_count;
    work->options.progress = show_progress;
    work->options.progress_context = work;
    cb_cli_progress_begin(&work->progress, session, "checking", "entries", 0);
    status = cb_audit_verify(&work->options, &document, &why);
    cb_cli_progress_end(&work->progress);
    free(work);
    if (document == NULL) {
        return say_unchecked(session, status, &why);
    }
    if (!session->json) {
        print_report(session, document);
    }
    if (status == CB_FINDINGS) {
        cb_cli_say(session, "next: casebound audit explain CODE");
    }
    cb_status answered = cb_cli_answer(session, document, &session->error);
    return answered == CB_OK ? status : answered;
}

const cb_cli_command cb_cli_command_audit_verify = {
    .name = "audit verify",
    .group = CB_CLI_GROUP_AUDIT,
    .purpose = "check a log, with no key and no network",
    .mode = CB_CLI_NO_STORE,
    .options =
        (const cb_cli_option[]){
            { "realm", '\0', "HEX",
              "the fingerprint of the service that it must be" },
            { "checkpoint", '\0', "FILE",
              "a checkpoint that somebody holds; may be repeated" },
            { "fast", '\0', NULL, "one signature for each run of a chain" },
            { "full", '\0', NULL, "every signature, however many" },
            { NULL, '\0', NULL, NULL } },
    .operands = "[LOG]",
    .operands_max = 1,
    .description =
        "Reads a log as it lies in its Git repository, or in any clone of it, "
        "computes everything again from the stored bytes, and says what does "
        "not hold, with its code and place. It needs no store and asks for "
        "nothing. Without a fingerprint it can only say that the log agrees "
        "with itself. Where a store is named with -C or CASEBOUND_STORE and is "
        "unlocked, the service that it joined and the checkpoints that it "
        "remembers are used; without LOG its log is checked.",
    .examples =
        (const cb_cli_example[]){
            { "casebound audit verify", "the log of this store" },
            { "casebound audit verify /media/stick/log.git --realm "
              "4f1c-77a0-...",
              "a copy, on any machine" },
            { "casebound audit verify log.git --checkpoint minutes.txt",
              "against what was printed at a hearing" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_OK, "nothing was found" },
            { CB_FINDINGS, "something was found" },
            { CB_UNCHECKED, "it could not be checked, or not all of it" },
            { CB_OK, NULL } },
    .see_also = "audit explain, hub signers",
    .run = run_audit_verify,
};

/* ---------------------------------------------------------------- explain */

static void print_code(const cb_cli_session *session, const cb_audit_code *code)
{
    const struct {
        const char *label;
        const char *text;
    } rows[] = {
        { code->code, code->meaning },
        { "proves", code->proves },
        { "but not", code->proves_not },
        { "next", code->next },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_cli_print_role(session, i == 0 ? CB_CLI_BAD : CB_CLI_FAINT, "%-*s",
                          INDENT, rows[i].label);
        print_wrapped(session, rows[i].text);
    }
}

static json_t *describe_code(const cb_audit_code *code)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "code", code->code, "meaning",
                     code->meaning, "proves", code->proves, "proves_not",
                     code->proves_not, "next", code->next);
}

static cb_status explain_all(cb_cli_session *session)
{
    json_t *list = json_array();
    const cb_audit_code *code = cb_audit_code_at(0);
    for (size_t i = 0; code != NULL; code = cb_audit_code_at(++i)) {
        cb_cli_print(session, "%-*s", INDENT, code->code);
        print_wrapped(session, code->meaning);
        (void)json_array_append_new(list, describe_code(code));
    }
    return cb_cli_answer(session,
                         json_pack("{s:s, s:o}", "schema",
                                   "casebound.audit_explain.v1", "codes", list),
                         &session->error);
}

static cb_status run_audit_explain(cb_cli_session *session)
{
    const char *name = cb_cli_operand(&session->arguments, 0);
    if (name == NULL) {
        return explain_all(session);
    }
    const cb_audit_code *code = cb_audit_explain(name);
    if (code == NULL) {
        cb_status status = cb_error_set(&session->error, CB_INPUT,
                                        "there is no code '%.32s'", name);
        cb_error_meaning(&session->error, "nothing was looked up");
        cb_error_next(&session->error, "casebound audit explain");
        return status;
    }
    print_code(session, code);
    return cb_cli_answer(session,
                         json_pack("{s:s, s:[o]}", "schema",
                                   "casebound.audit_explain.v1", "codes",
                                   describe_code(code)),
                         &session->error);
}

const cb_cli_command cb_cli_command_audit_explain = {
    .name = "audit explain",
    .group = CB_CLI_GROUP_AUDIT,
    .purpose = "say what a finding means, and what it does not prove",
    .mode = CB_CLI_NO_STORE,
    .operands = "[CODE]",
    .operands_max = 1,
    .examples =
        (const cb_cli_example[]){
            { "casebound audit explain FORK", "one code" },
            { "casebound audit explain", "all of them" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_INPUT, "there is no such code" },
                                    { CB_OK, NULL } },
    .see_also = "audit verify",
    .run = run_audit_explain,
};
