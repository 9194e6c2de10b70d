/* SPDX-License-Identifier: Apache-2.0 */
/* hub merge, hub check-push, hub signers: the hub and its log. */
#include "commands.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <casebound/hub.h>

#include "access.h"
#include "carry.h"
#include "output.h"

#define SHORT_ID          8
#define SIGNERS_BYTES_MAX ((size_t)8 << 20)

/* ------------------------------------------------------------------ merge */

static bool needs_somebody(const cb_hub_stream_report *stream)
{
    return stream->status != CB_OK || stream->quarantined > 0 ||
           stream->forked > 0;
}

static bool report_needs_somebody(const cb_hub_report *report)
{
    for (size_t i = 0; i < report->stream_count; i++) {
        if (needs_somebody(&report->streams[i])) {
            return true;
        }
    }
    return report->refused_streams > 0 || report->quarantined > 0;
}

static json_t *hex_string(const uint8_t *bytes)
{
    char text[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(bytes, CB_IDENTIFIER_BYTES, text);
    return json_string(text);
}

static json_t *describe_stream(const cb_hub_stream_report *stream)
{
    return json_pack(
        "{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "stream",
        hex_string(stream->stream.bytes), "device",
        stream->known ? hex_string(stream->device.bytes) : json_null(),
        "person",
        stream->known ? hex_string(stream->person.bytes) : json_null(),
        "accepted", (json_int_t)stream->accepted, "waiting",
        (json_int_t)stream->waiting, "quarantined",
        (json_int_t)stream->quarantined, "forked", (json_int_t)stream->forked,
        "head_seq", (json_int_t)stream->head_seq, "status",
        cb_status_name(stream->status), "reason", stream->reason);
}

static cb_status answer_merge(cb_cli_session *session,
                              const cb_hub_report *report)
{
    json_t *streams = json_array();
    for (size_t i = 0; i < report->stream_count; i++) {
        (void)json_array_append_new(streams,
                                    describe_stream(&report->streams[i]));
    }
    return cb_cli_answer(
        session,
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, "
                  "s:I, s:I, s:I, s:o}",
                  "schema", "casebound.hub_merge.v1", "accepted",
                  (json_int_t)report->accepted, "quarantined",
                  (json_int_t)report->quarantined, "refused_streams",
                  (json_int_t)report->refused_streams, "stream_total",
                  (json_int_t)report->stream_total, "keys_received",
                  (json_int_t)report->keys_received, "cases_changed",
                  (json_int_t)report->cases_changed, "conflicts_new",
                  (json_int_t)report->conflicts_new, "log_size_before",
                  (json_int_t)report->log_size_before, "log_size",
                  (json_int_t)report->log_size, "log_sent_again",
                  (int)report->log_sent_again, "outboxes",
                  (json_int_t)report->outboxes, "mailboxes",
                  (json_int_t)report->mailboxes, "entries_delivered",
                  (json_int_t)report->entries_delivered, "streams", streams),
        &session->error);
}

static void print_stream(cb_cli_session *session,
                         const cb_hub_stream_report *stream)
{
    char id[CB_IDENTIFIER_TEXT_BYTES];
    char text[CB_CLI_COUNT_BYTES];
    const cb_naming *naming = cb_store_naming(cb_cli_store(session));
    const char *name =
        !stream->known || naming == NULL || naming->person == NULL
            ? NULL
            : naming->person(naming->context, &stream->person);
    cb_hex_format(stream->stream.bytes, sizeof stream->stream.bytes, id);
    cb_cli_print(session,
                 "stream     %.*s  %s: %s taken in, up to %" PRIu64 "\n",
                 SHORT_ID, id, name == NULL ? "unknown" : name,
                 cb_cli_count(text, stream->accepted, "entry", "entries"),
                 stream->head_seq);
    if (stream->waiting > 0) {
        cb_cli_print(session,
                     "           %" PRIu64 " of them came before their key\n",
                     stream->waiting);
    }
    if (stream->quarantined > 0) {
        cb_cli_print_role(
            session, CB_CLI_ATTENTION, "           %s kept apart\n",
            cb_cli_count(text, stream->quarantined, "entry", "entries"));
    }
    if (stream->forked > 0) {
        cb_cli_print_role(
            session, CB_CLI_BAD, "           %s of a fork, kept as evidence\n",
            cb_cli_count(text, stream->forked, "entry", "entries"));
    }
    if (stream->reason[0] != '\0') {
        cb_cli_print_role(session, CB_CLI_BAD, "           %s\n",
                          stream->reason);
    }
}

static void print_merge(cb_cli_session *session, const cb_hub_report *report)
{
    char first[CB_CLI_COUNT_BYTES];
    char second[CB_CLI_COUNT_BYTES];
    size_t giving = 0;
    for (size_t i = 0; i < report->stream_count; i++) {
        giving += report->streams[i].accepted > 0 ? 1 : 0;
    }
    cb_cli_print(
        session, "taken in   %s from %zu of %s\n",
        cb_cli_count(first, report->accepted, "entry", "entries"), giving,
        cb_cli_count(second, report->stream_total, "stream", "streams"));
    if (report->keys_received > 0) {
        cb_cli_print(session, "keys       %" PRIu64 "\n",
                     report->keys_received);
    }
    cb_cli_print(session, "log        %s, %" PRIu64 " before\n",
                 cb_cli_count(first, report->log_size, "entry", "entries"),
                 report->log_size_before);
    if (report->log_sent_again) {
        cb_cli_print_role(session, CB_CLI_ATTENTION,
                          "log        the log host lacked the newest of it; it "
                          "was sent again\n");
    }
    cb_cli_print(
        session, "to devices %s in %s\n",
        cb_cli_count(first, report->entries_delivered, "entry", "entries"),
        cb_cli_count(second, report->outboxes, "outbox", "outboxes"));
    if (report->conflicts_new > 0) {
        cb_cli_print_role(session, CB_CLI_ATTENTION,
                          "conflicts  %zu new: casebound conflicts\n",
                          report->conflicts_new);
    }
    for (size_t i = 0; i < report->stream_count; i++) {
        print_stream(session, &report->streams[i]);
    }
}

/* With -q: nothing but what somebody has to look at. */
static void warn_merge(cb_cli_session *session, const cb_hub_report *report)
{
    for (size_t i = 0; i < report->stream_count; i++) {
        const cb_hub_stream_report *stream = &report->streams[i];
        char id[CB_IDENTIFIER_TEXT_BYTES];
        cb_hex_format(stream->stream.bytes, sizeof stream->stream.bytes, id);
        if (needs_somebody(stream)) {
            cb_cli_warn(session,
                        "stream %.*s: %" PRIu64 " kept apart, %" PRIu64
                        " of a fork%s%s",
                        SHORT_ID, id, stream->quarantined, stream->forked,
                        stream->reason[0] == '\0' ? "" : "; ", stream->reason);
        }
    }
}

static cb_status run_hub_merge(cb_cli_session *session)
{
    cb_hub_report report = { 0 };
    cb_cli_carry carry;
    cb_cli_carry_begin(&carry, session);
    const cb_hub_options options = { .progress = &carry.progress };
    cb_status status =
        cb_hub_merge(cb_cli_store(session), &options, &report, &session->error);
    cb_cli_carry_end(&carry);
    if (status == CB_OK) {
        if (session->quiet && !session->json) {
            warn_merge(session, &report);
        } else {
            print_merge(session, &report);
        }
        cb_cli_say(session, "merged; next: everybody's casebound sync");
        status = answer_merge(session, &report);
    }
    if (status == CB_OK && report_needs_somebody(&report)) {
        status = CB_FINDINGS;
    } else if (status == CB_OK && report.conflicts_new > 0) {
        status = CB_CONFLICTS;
    }
    cb_hub_report_clear(&report);
    return status;
}

const cb_cli_command cb_cli_command_hub_merge = {
    .name = "hub merge",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "take in what devices sent, and answer",
    .mode = CB_CLI_HUB,
    .description =
        "Checks every entry that devices have sent, takes in those that hold, "
        "merges the cases, publishes the log with its checkpoint, and puts "
        "into each device's outbox what its person may read, with a receipt. "
        "What does not hold is listed with the reason; it delays nobody "
        "else's. May be stopped at any time and run again.",
    .examples =
        (const cb_cli_example[]){
            { "casebound hub merge", "by hand" },
            { "casebound hub merge -q || mail -s hub me", "from cron" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_FINDINGS, "merged, but something was refused or kept apart" },
            { CB_CONFLICTS, "merged, and new conflicts await a person" },
            { CB_DAMAGED, "the published log is not what this hub holds" },
            { CB_UNREACHABLE, "there is no log at the address" },
            { CB_PERMISSION, "this store is not a hub's" },
            { CB_OK, NULL } },
    .see_also = "sync, hub people, conflicts, audit verify",
    .run = run_hub_merge,
};

/* ------------------------------------------------------------- check-push */

static cb_status run_hub_check_push(cb_cli_session *session)
{
    return cb_hub_check_push(session->world->environment, STDIN_FILENO,
                             &session->error);
}

const cb_cli_command cb_cli_command_hub_check_push = {
    .name = "hub check-push",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "decide on a push, from the log's hook",
    .mode = CB_CLI_NO_STORE,
    .description =
        "What the receiving hook of the log runs; nobody else needs it. It "
        "reads the refs of the push from the input, as git gives them, and "
        "refuses the push as a whole where one of them is malformed, not a "
        "continuation, or not signed by a device of the service. It needs no "
        "store and no passphrase.",
    .examples = (const cb_cli_example[]){ { "casebound hub check-push",
                                            "in log.git/hooks/pre-receive" },
                                          { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_USAGE, "it was not run by git" },
                               { CB_REFUSED, "the push is refused" },
                               { CB_DAMAGED, "what is pushed does not verify" },
                               { CB_OK, NULL } },
    .see_also = "hub init, hub merge",
    .run = run_hub_check_push,
};

/* ---------------------------------------------------------------- signers */

static cb_status run_hub_signers(cb_cli_session *session)
{
    cb_buffer text;
    cb_buffer_init(&text, SIGNERS_BYTES_MAX);
    cb_status status =
        cb_hub_allowed_signers(cb_cli_store(session), &text, &session->error);
    if (status == CB_OK) {
        status = cb_cli_write_result(session, "the signers",
                                     cb_span_of_buffer(&text));
    }
    if (status == CB_OK) {
        status = cb_cli_answer(session,
                               json_pack("{s:s, s:s}", "schema",
                                         "casebound.hub_signers.v1", "signers",
                                         cb_buffer_text(&text)),
                               &session->error);
    }
    cb_buffer_clear(&text);
    return status;
}

const cb_cli_command cb_cli_command_hub_signers = {
    .name = "hub signers",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "list the keys that sign the log, for stock git",
    .mode = CB_CLI_READ,
    .options =
        (const cb_cli_option[]){ { "output", 'o', "FILE", "write them there" },
                                 { NULL, '\0', NULL, NULL } },
    .description =
        "An allowed-signers file: the hub's key and one for each stream that "
        "this store knows. With it anybody can look at the signatures of the "
        "log without this program.",
    .examples =
        (const cb_cli_example[]){
            { "casebound hub signers -o signers", "write the file" },
            { "git config gpg.ssh.allowedSignersFile \"$PWD/signers\"",
              "in a clone of the log, for git log --show-signature" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_LOCKED, "the store is locked" },
                                    { CB_PERMISSION,
                                      "this store belongs to no service" },
                                    { CB_OK, NULL } },
    .see_also = "hub people, audit verify",
    .run = run_hub_signers,
};
