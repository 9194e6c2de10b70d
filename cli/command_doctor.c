/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: what is wrong with a store, and what can be built again. */
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include <casebound/check.h>
#include <casebound/sync.h>

#include "access.h"
#include "output.h"
#include "progress.h"
#include "prompt.h"
#include "text.h"

#define INDENT      4
#define COLUMNS_MAX 80

typedef struct examining {
    cb_cli_session *session;
    cb_check_options options;
    cb_check_progress progress;
    cb_cli_progress line;
    const char *phase; /* borrowed from the caller of step; NULL: none yet */
    int64_t begin_ms;
} examining;

static void step(void *context, const char *phase, uint64_t done,
                 uint64_t total)
{
    examining *work = context;
    if (work->phase == NULL || strcmp(work->phase, phase) != 0) {
        if (work->phase != NULL) {
            cb_cli_progress_end(&work->line);
        }
        work->phase = phase;
        cb_cli_progress_begin(&work->line, work->session, phase, "done", total);
    }
    cb_cli_progress_update(&work->line, done, 0);
}

static bool is_interrupted(void *context)
{
    const examining *work = context;
    return work->session->world->is_interrupted();
}

static void end_progress(examining *work)
{
    if (work->phase != NULL) {
        cb_cli_progress_end(&work->line);
        work->phase = NULL;
    }
}

/* Said before anything is done. */
static cb_status announce(void *context, const cb_check_report *report,
                          cb_error *error)
{
    examining *work = context;
    (void)error;
    end_progress(work);
    for (size_t i = 0; i < cb_check_repair_count(report); i++) {
        cb_cli_say(work->session, "repair: %s", cb_check_repair(report, i));
    }
    return CB_OK;
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

static void print_wrapped(const cb_cli_session *session, const char *lead,
                          const char *text)
{
    cb_buffer clean;
    cb_buffer out;
    cb_buffer_init(&clean, (size_t)1 << 16);
    cb_buffer_init(&out, (size_t)1 << 17);
    cb_cli_clean(&clean, cb_span_of_text(lead));
    cb_cli_clean(&clean, cb_span_of_text(text));
    cb_cli_wrap(&out, cb_span_of_buffer(&clean), INDENT, INDENT, COLUMNS_MAX);
    cb_buffer_append_text(&out, "\n");
    cb_cli_print(session, "%*s", INDENT, "");
    cb_cli_print_buffer(session, &out);
    cb_buffer_clear(&clean);
    cb_buffer_clear(&out);
}

static void print_finding(const cb_cli_session *session, const json_t *finding)
{
    const char *severity = text_of(finding, "severity");
    bool is_damage = strcmp(severity, "damage") == 0;
    bool is_repaired = json_is_true(json_object_get(finding, "repaired"));
    cb_cli_role role = is_repaired ? CB_CLI_GOOD
                       : is_damage ? CB_CLI_BAD
                                   : CB_CLI_ATTENTION;
    cb_cli_print_role(session, role, "%s", is_repaired ? "repaired" : severity);
    cb_cli_print(session, "  %s\n", text_of(finding, "code"));
    print_wrapped(session, "", text_of(finding, "what"));
    if (!is_repaired) {
        print_wrapped(session, "", text_of(finding, "meaning"));
        print_wrapped(session, "next: ", text_of(finding, "next"));
    }
    cb_cli_print(session, "\n");
}

/* "and 312 more of page.unreadable" */
static void print_not_listed(const cb_cli_session *session, json_t *document)
{
    const json_t *findings = json_object_get(document, "findings");
    json_t *counts = json_object_get(document, "counts");
    void *at = json_object_iter(counts);
    for (; at != NULL; at = json_object_iter_next(counts, at)) {
        const char *code = json_object_iter_key(at);
        json_int_t more = json_integer_value(json_object_iter_value(at));
        for (size_t i = 0; i < json_array_size(findings); i++) {
            more -=
                strcmp(text_of(json_array_get(findings, i), "code"), code) == 0;
        }
        if (more > 0) {
            cb_cli_print(session, "and %" JSON_INTEGER_FORMAT " more of %s\n\n",
                         more, code);
        }
    }
}

static void print_checked(const cb_cli_session *session, const json_t *document)
{
    static const struct {
        const char *member;
        const char *one;
        const char *many;
    } rows[] = {
        { "pages", "page", "pages" },      { "streams", "stream", "streams" },
        { "entries", "entry", "entries" }, { "keys", "key", "keys" },
        { "cases", "case", "cases" },
    };

    const json_t *checked = json_object_get(document, "checked");
    cb_cli_print(session, "checked");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_int_t count = number_of(checked, rows[i].member);
        cb_cli_print(session, "%s %" JSON_INTEGER_FORMAT " %s",
                     i == 0 ? "" : ",", count,
                     count == 1 ? rows[i].one : rows[i].many);
    }
    cb_cli_print(session, "\n");
}

static void print_end(const examining *work, const json_t *document)
{
    const cb_cli_session *session = work->session;
    const json_t *repairs = json_object_get(document, "repairs");
    const char *result = text_of(document, "result");
    const char *refused = text_of(document, "refused");
    if (strcmp(result, "well") == 0 || strcmp(result, "repaired") == 0) {
        cb_cli_print_role(session, CB_CLI_GOOD, "all is well%s\n",
                          strcmp(result, "well") == 0 ? "" : " now");
    } else if (strcmp(result, "warnings") == 0) {
        cb_cli_print_role(session, CB_CLI_ATTENTION,
                          "nothing is damaged; see the warnings\n");
    } else if (strcmp(result, "unchecked") == 0) {
        cb_cli_print_role(session, CB_CLI_ATTENTION,
                          "not everything could be checked\n");
    } else {
        cb_cli_print_role(session, CB_CLI_BAD, "the store is damaged\n");
    }
    if (refused[0] != '\0') {
        print_wrapped(session, "nothing can be repaired here: ", refused);
    } else if (!work->options.repair) {
        for (size_t i = 0; i < json_array_size(repairs); i++) {
            print_wrapped(session, "with --repair: ",
                          json_string_value(json_array_get(repairs, i)));
        }
    }
}

static void print_report(examining *work, json_t *document)
{
    const cb_cli_session *session = work->session;
    const json_t *findings = json_object_get(document, "findings");
    int64_t ms = session->world->monotonic_ms() - work->begin_ms;
    for (size_t i = 0; i < json_array_size(findings); i++) {
        print_finding(session, json_array_get(findings, i));
    }
    print_not_listed(session, document);
    print_checked(session, document);
    print_end(work, document);
    cb_cli_explain(session, "in %" PRId64 ".%" PRId64 " s", ms / 1000,
                   ms % 1000 / 100);
}

/* ---------------------------------------------------------------- checking */

static cb_status check_swap(examining *work, cb_check_report *report)
{
    const cb_cli_world *world = work->session->world;
    cb_swap swap = { .kind = CB_SWAP_NONE };
    char what[CB_ERROR_TEXT_BYTES];
    if (world->look_at_swap != NULL) {
        world->look_at_swap(&swap);
    }
    if (swap.kind != CB_SWAP_PLAIN) {
        return CB_OK;
    }
    (void)snprintf(what, sizeof what, "swap on '%s' is not encrypted",
                   swap.name);
    return cb_check_note(report, "swap.unencrypted", NULL, what,
                         &work->session->error);
}

/* With the keyring's key where there is one, else with a passphrase. */
static cb_status check_store(examining *work, cb_secret **ret_passphrase,
                             cb_check_report **ret_report)
{
    cb_cli_session *session = work->session;
    cb_status status = CB_LOCKED;
    if (session->passphrase_descriptor < 0) {
        status = cb_store_check(&work->options, ret_report, &session->error);
        if (status != CB_LOCKED || session->no_input) {
            return status;
        }
        cb_error_clear(&session->error);
    }
    end_progress(work);
    status = cb_cli_ask_passphrase(session, "Passphrase", ret_passphrase,
                                   &session->error);
    if (status == CB_OK) {
        work->options.passphrase = *ret_passphrase;
        status = cb_store_check(&work->options, ret_report, &session->error);
    }
    return status;
}

/* What sync keeps beside the store; of a damaged one nothing is asked. */
static cb_status check_places(examining *work, cb_check_report *report)
{
    cb_cli_session *session = work->session;
    cb_store *store = NULL;
    cb_store_identity identity;
    if (cb_check_outcome(report, NULL) != CB_OK) {
        return CB_OK;
    }
    cb_status status = cb_store_open(
        work->options.store, work->options.passphrase, &store, &session->error);
    if (status != CB_OK) {
        return status;
    }
    cb_store_identify(store, &identity);
    if (identity.joined) {
        status = cb_sync_check(store, report, &session->error);
    }
    if (status == CB_OK && work->options.repair &&
        cb_check_count(report, CB_SEVERITY_DAMAGE) > 0) {
        cb_cli_say(session, "repair: make again what sync keeps beside the "
                            "store");
        status = cb_sync_repair(store, report, &session->error);
    }
    cb_store_close(store);
    return status;
}

static cb_status answer(examining *work, cb_check_report *report)
{
    cb_cli_session *session = work->session;
    json_t *document = NULL;
    cb_status status = cb_check_document(report, &document, &session->error);
    if (status != CB_OK) {
        return status;
    }
    print_report(work, document);
    status = cb_cli_answer(session, document, &session->error);
    return status == CB_OK ? cb_check_outcome(report, NULL) : status;
}

static cb_status run_doctor(cb_cli_session *session)
{
    cb_buffer folder;
    cb_store_options options;
    cb_secret *passphrase = NULL;
    cb_check_report *report = NULL;
    examining work = { .session = session,
                       .begin_ms = session->world->monotonic_ms() };
    cb_status status = cb_cli_store_options(session, &folder, &options);
    work.progress = (cb_check_progress){ .context = &work,
                                         .step = step,
                                         .interrupted = is_interrupted };
    work.options = (cb_check_options){
        .store = &options,
        .progress = &work.progress,
        .repair = cb_cli_option_given(&session->arguments, "repair"),
        .before_repair = announce,
        .context = &work,
    };
    if (status == CB_OK) {
        status = check_store(&work, &passphrase, &report);
    }
    if (status == CB_OK) {
        status = check_swap(&work, report);
    }
    if (status == CB_OK) {
        status = check_places(&work, report);
    }
    end_progress(&work);
    if (status == CB_OK) {
        status = answer(&work, report);
    }
    cb_check_report_destroy(report);
    cb_secret_destroy(passphrase);
    cb_buffer_clear(&folder);
    return status;
}

const cb_cli_command cb_cli_command_doctor = {
    .name = "doctor",
    .group = CB_CLI_GROUP_CARE,
    .purpose = "check the whole store, and repair what can be",
    .mode = CB_CLI_NO_STORE,
    .options =
        (const cb_cli_option[]){
            { "repair", '\0', NULL,
              "build again what follows from entries and keys" },
            { NULL, '\0', NULL, NULL } },
    .description =
        "Reads every page, every entry's signature and every case, and says "
        "what is not as it was written: also of a store that no other "
        "command opens. Without --repair nothing is changed. A repair builds "
        "again what follows from entries and keys, and never touches those.",
    .examples =
        (const cb_cli_example[]){
            { "casebound doctor", "say what is wrong, and what to do" },
            { "casebound doctor --repair", "and build lists and heads again" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_OK, "nothing is damaged" },
            { CB_DAMAGED, "something is damaged" },
            { CB_UNCHECKED, "not everything could be checked" },
            { CB_WRONG_KEY, "that is not the passphrase" },
            { CB_OK, NULL } },
    .see_also = "status, sync, audit verify",
    .run = run_doctor,
};
