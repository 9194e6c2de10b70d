/* SPDX-License-Identifier: Apache-2.0 */
/* sync: in the words of somebody who wants to know whether it is safe. */
#include "commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <casebound/sync.h>
#include <casebound/when.h>

#include "access.h"
#include "carry.h"
#include "output.h"

#define SHORT_ID        8
#define LINE_KBIT_MAX   100000000
#define BITS_PER_KBIT   UINT64_C(1000)
#define LINE_BITS_USUAL UINT64_C(1000000)

typedef struct syncing {
    cb_cli_session *session;
    cb_sync_options options;
    cb_sync_report report;
    bool reached;
    bool began_anew; /* as another incarnation, for this was an older copy */
    size_t conflicts;
} syncing;

static json_t *describe_withheld(const cb_sync_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->withheld_count; i++) {
        const cb_sync_withheld *row = &report->withheld[i];
        char stream[CB_IDENTIFIER_TEXT_BYTES];
        cb_hex_format(row->stream.bytes, sizeof row->stream.bytes, stream);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:I, s:s}", "stream", stream, "seq",
                            (json_int_t)row->seq, "reason", row->reason));
    }
    return list;
}

static json_t *describe_plan(const cb_sync_plan *plan)
{
    return json_pack("{s:I, s:I, s:I, s:b, s:b, s:I}", "send_entries",
                     (json_int_t)plan->send_entries, "send_segments",
                     (json_int_t)plan->send_segments, "send_bytes",
                     (json_int_t)plan->send_bytes, "send_keys",
                     (int)plan->send_keys, "receive", (int)plan->receive,
                     "seconds", (json_int_t)plan->seconds);
}

/* An instant, or null where there is none. */
static json_t *describe_time(int64_t instant_ms)
{
    char text[CB_WHEN_TEXT_BYTES];
    cb_when_format_instant(instant_ms, text);
    return instant_ms == 0 ? json_null() : json_string(text);
}

static cb_status answer(const syncing *work)
{
    const cb_sync_report *report = &work->report;
    json_t *document = json_pack(
        "{s:s, s:b, s:b, s:o, s:I, s:I, s:b}", "schema", "casebound.sync.v1",
        "reached", (int)work->reached, "dry_run", (int)work->options.dry_run,
        "plan", describe_plan(&report->plan), "sent_entries",
        (json_int_t)report->sent_entries, "sent_segments",
        (json_int_t)report->sent_segments, "sent_keys", (int)report->sent_keys);
    json_t *rest = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:b, "
        "s:I, s:o, s:b}",
        "received_entries", (json_int_t)report->received_entries,
        "received_keys", (json_int_t)report->received_keys, "waiting_entries",
        (json_int_t)report->waiting_entries, "quarantined_entries",
        (json_int_t)report->quarantined_entries, "receipts",
        (json_int_t)report->receipts, "cases_changed",
        (json_int_t)report->cases_changed, "conflicts_new",
        (json_int_t)report->conflicts_new, "conflicts",
        (json_int_t)work->conflicts, "head_seq", (json_int_t)report->head_seq,
        "safe_seq", (json_int_t)report->safe_seq, "hub_size",
        (json_int_t)report->hub_size, "hub_time",
        describe_time(report->hub_time_ms), "hub_behind",
        (int)report->hub_behind, "withheld_total",
        (json_int_t)report->withheld_total, "withheld",
        describe_withheld(report), "began_anew", (int)work->began_anew);
    if (document == NULL || rest == NULL ||
        json_object_update(document, rest) != 0) {
        json_decref(document);
        document = NULL;
    }
    json_decref(rest);
    return cb_cli_answer(work->session, document, &work->session->error);
}

/* ------------------------------------------------------------------ words */

static void print_plan(const syncing *work)
{
    const cb_cli_session *session = work->session;
    const cb_sync_plan *plan = &work->report.plan;
    uint64_t bits = work->options.line_bits_per_second;
    char first[CB_CLI_COUNT_BYTES];
    char second[CB_CLI_COUNT_BYTES];
    bits = bits == 0 ? LINE_BITS_USUAL : bits;
    cb_cli_print(
        session, "would send  %s in %s%s\n",
        cb_cli_count(first, plan->send_entries, "entry", "entries"),
        cb_cli_count(second, plan->send_segments, "segment", "segments"),
        plan->send_keys ? ", and keys" : "");
    cb_cli_print(session, "size        %s\n",
                 cb_cli_count(first, plan->send_bytes, "byte", "bytes"));
    cb_cli_print(session, "time        %s at %" PRIu64 " kbit/s\n",
                 plan->seconds < 120
                     ? cb_cli_count(first, plan->seconds, "second", "seconds")
                     : cb_cli_count(first, (plan->seconds + 59) / 60, "minute",
                                    "minutes"),
                 bits / BITS_PER_KBIT);
    cb_cli_print(session, "would get   %s\n",
                 plan->receive ? "what is new at the hub" : "nothing");
}

static void print_withheld(const syncing *work)
{
    const cb_cli_session *session = work->session;
    const cb_sync_report *report = &work->report;
    char text[CB_CLI_COUNT_BYTES];
    if (report->withheld_total == 0) {
        return;
    }
    cb_cli_print_role(
        session, CB_CLI_ATTENTION, "withheld   %s, kept apart by the hub:\n",
        cb_cli_count(text, report->withheld_total, "entry", "entries"));
    for (size_t i = 0; i < report->withheld_count; i++) {
        const cb_sync_withheld *row = &report->withheld[i];
        char stream[CB_IDENTIFIER_TEXT_BYTES];
        cb_hex_format(row->stream.bytes, sizeof row->stream.bytes, stream);
        cb_cli_print(session, "           %.*s/%" PRIu64 ": %s\n", SHORT_ID,
                     stream, row->seq, row->reason);
    }
    if (report->withheld_total > report->withheld_count) {
        cb_cli_print(session, "           and %" PRIu64 " more\n",
                     report->withheld_total - report->withheld_count);
    }
}

static void print_safe(const syncing *work)
{
    const cb_cli_session *session = work->session;
    const cb_sync_report *report = &work->report;
    char text[CB_CLI_COUNT_BYTES];
    if (report->safe_seq >= report->head_seq) {
        cb_cli_print_role(
            session, CB_CLI_GOOD, "safe       all of yours, %s\n",
            cb_cli_count(text, report->head_seq, "entry", "entries"));
        return;
    }
    cb_cli_print(session,
                 "safe       up to %" PRIu64 " of %" PRIu64
                 "; the hub confirms the rest when it next merges\n",
                 report->safe_seq, report->head_seq);
}

/* The case is there only when the hub has merged the request for it. */
static void say_keys_came(const syncing *work)
{
    const cb_sync_report *report = &work->report;
    if (report->received_keys > 0 && report->received_entries == 0) {
        cb_cli_say(work->session,
                   "keys are here; the entries come after the hub's next "
                   "merge: sync again then");
    }
}

/* With -q: nothing but what somebody has to look at. */
static void warn_report(const syncing *work)
{
    const cb_sync_report *report = &work->report;
    char text[CB_CLI_COUNT_BYTES];
    if (report->quarantined_entries > 0) {
        cb_cli_warn(work->session, "%s kept apart here, not believed",
                    cb_cli_count(text, report->quarantined_entries, "entry",
                                 "entries"));
    }
    if (report->withheld_total > 0) {
        cb_cli_warn(
            work->session, "%s kept apart by the hub",
            cb_cli_count(text, report->withheld_total, "entry", "entries"));
    }
}

static void print_report(const syncing *work)
{
    const cb_cli_session *session = work->session;
    const cb_sync_report *report = &work->report;
    char first[CB_CLI_COUNT_BYTES];
    char second[CB_CLI_COUNT_BYTES];
    cb_cli_print(session, "sent       %s%s\n",
                 cb_cli_count(first, report->sent_entries, "entry", "entries"),
                 report->sent_keys ? ", and keys" : "");
    cb_cli_print(
        session, "received   %s, %s\n",
        cb_cli_count(first, report->received_entries, "entry", "entries"),
        cb_cli_count(second, report->received_keys, "key", "keys"));
    print_safe(work);
    if (report->waiting_entries > 0) {
        cb_cli_print(
            session, "waiting    %s for a key or for an earlier one\n",
            cb_cli_count(first, report->waiting_entries, "entry", "entries"));
    }
    if (report->quarantined_entries > 0) {
        cb_cli_print_role(session, CB_CLI_ATTENTION,
                          "apart      %s kept here, not believed\n",
                          cb_cli_count(first, report->quarantined_entries,
                                       "entry", "entries"));
    }
    print_withheld(work);
    if (work->conflicts > 0) {
        cb_cli_print_role(session, CB_CLI_ATTENTION,
                          "conflicts  %s for you (%zu new): casebound "
                          "conflicts\n",
                          cb_cli_count(first, work->conflicts, "waits", "wait"),
                          report->conflicts_new);
    }
    if (work->began_anew) {
        cb_cli_say(session, "this is an older copy of a store that went on: "
                            "what that one had sent was fetched back,");
        cb_cli_say(session, "and this copy goes on in its place; do not use "
                            "both");
    }
    say_keys_came(work);
    if (report->hub_behind) {
        cb_cli_say(session, "the hub knew less than it once confirmed; all "
                            "that it lacks was sent again");
    }
}

/* --------------------------------------------------------------- the run */

static cb_status take_options(syncing *work)
{
    cb_cli_session *session = work->session;
    const cb_cli_arguments *arguments = &session->arguments;
    const char *line = cb_cli_option_value(arguments, "line");
    work->options.dry_run = cb_cli_option_given(arguments, "dry-run");
    if (line == NULL) {
        return CB_OK;
    }
    size_t size = strlen(line);
    unsigned long long kbit = strtoull(line, NULL, 10);
    if (size == 0 || size > 9 || strspn(line, "0123456789") != size ||
        kbit == 0 || kbit > LINE_KBIT_MAX) {
        return cb_error_set(&session->error, CB_USAGE,
                            "option '--line' takes kilobits in a second, such "
                            "as 1000");
    }
    work->options.line_bits_per_second = kbit * BITS_PER_KBIT;
    return CB_OK;
}

static cb_status refuse_hub(cb_cli_session *session)
{
    cb_status status = cb_error_set(&session->error, CB_PERMISSION,
                                    "this store is the hub's own");
    cb_error_meaning(&session->error, "nothing was sent or changed");
    cb_error_next(&session->error, "casebound hub merge");
    return status;
}

/* How far it came, before the error says why it came no further. */
static void tell_partly(const syncing *work)
{
    const cb_sync_report *report = &work->report;
    if (report->sent_entries + report->received_entries > 0) {
        cb_cli_say(work->session,
                   "before it stopped: %" PRIu64 " sent, %" PRIu64
                   " received; that stays done",
                   report->sent_entries, report->received_entries);
    }
}

static cb_status end_unreachable(syncing *work)
{
    cb_cli_say(work->session, "the log cannot be reached now; nothing is lost");
    cb_error_clear(&work->session->error);
    return answer(work);
}

static cb_status end_run(syncing *work)
{
    cb_cli_session *session = work->session;
    cb_status status = cb_cli_open_conflicts(cb_cli_store(session),
                                             &work->conflicts, &session->error);
    if (status != CB_OK) {
        return status;
    }
    if (work->options.dry_run) {
        print_plan(work);
        cb_cli_say(session, "nothing was moved");
    } else if (session->quiet && !session->json) {
        warn_report(work);
    } else {
        print_report(work);
    }
    status = answer(work);
    return status == CB_OK && work->conflicts > 0 && !work->options.dry_run
               ? CB_CONFLICTS
               : status;
}

static cb_status run_sync(cb_cli_session *session)
{
    cb_store_identity identity;
    cb_store_identity after;
    cb_cli_carry carry;
    syncing *work = calloc(1, sizeof *work);
    if (work == NULL) {
        return cb_error_set(&session->error, CB_NO_MEMORY, "out of memory");
    }
    work->session = session;
    cb_store_identify(cb_cli_store(session), &identity);
    cb_status status = identity.joined && identity.hub ? refuse_hub(session)
                                                       : take_options(work);
    if (status == CB_OK) {
        cb_cli_carry_begin(&carry, session);
        work->options.progress = &carry.progress;
        status = cb_sync_run(cb_cli_store(session), &work->options,
                             &work->report, &session->error);
        cb_cli_carry_end(&carry);
        cb_store_identify(cb_cli_store(session), &after);
        work->began_anew =
            memcmp(&after.stream, &identity.stream, sizeof after.stream) != 0;
        work->reached = status != CB_UNREACHABLE;
        if (status == CB_OK) {
            status = end_run(work);
        } else if (status == CB_UNREACHABLE &&
                   cb_cli_option_given(&session->arguments, "if-reachable")) {
            status = end_unreachable(work);
        } else {
            tell_partly(work);
        }
    }
    free(work);
    return status;
}

const cb_cli_command cb_cli_command_sync = {
    .name = "sync",
    .group = CB_CLI_GROUP_SYNC,
    .purpose = "send what is new here, and get what is new for you",
    .mode = CB_CLI_WRITE,
    .options =
        (const cb_cli_option[]){
            { "dry-run", '\0', NULL, "say what would move, move nothing" },
            { "if-reachable", '\0', NULL,
              "be content where the log cannot be reached" },
            { "line", '\0', "KBIT",
              "with --dry-run: kilobits in a second (else 1000)" },
            { NULL, '\0', NULL, NULL } },
    .description =
        "Exchanges entries and keys with the log of the service. What was "
        "sent counts as safe only when the hub has confirmed it with a signed "
        "receipt, and the report says up to where that is. It may be stopped "
        "at any time and run again: nothing is lost and nothing is sent "
        "twice. Everything else works without it, for as long as you like.",
    .examples =
        (const cb_cli_example[]){
            { "casebound sync", "exchange everything" },
            { "casebound sync --dry-run", "see what would move" },
            { "casebound sync --if-reachable -q", "from a timer" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_CONFLICTS, "done, and conflicts await you" },
            { CB_DAMAGED, "the hub contradicts itself; it is not believed" },
            { CB_UNREACHABLE, "no connection; nothing is lost" },
            { CB_REFUSED, "the hub refused something, or this is an old copy" },
            { CB_PERMISSION, "not joined yet, the hub's own store, or no "
                             "access to the log" },
            { CB_OK, NULL } },
    .see_also = "status, conflicts, hub merge",
    .run = run_sync,
};
