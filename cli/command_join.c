/* SPDX-License-Identifier: Apache-2.0 */
/* enrol request, join: the device's side of the counter. */
#include "commands.h"

#include "access.h"
#include "fingerprint.h"
#include "output.h"
#include "prompt.h"

#include <string.h>

static cb_status run_enrol_request(cb_cli_session *session)
{
    char fingerprint[CB_FINGERPRINT_TEXT_BYTES];
    cb_buffer text;
    cb_buffer_init(&text, CB_ENROLMENT_FILE_BYTES_MAX);
    cb_status status = cb_enrolment_request(cb_cli_store(session), &text,
                                            fingerprint, &session->error);
    if (status == CB_OK) {
        status = cb_cli_write_result(session, "the request",
                                     cb_span_of_buffer(&text));
    }
    if (status == CB_OK) {
        cb_cli_say(session, "fingerprint %s", fingerprint);
        cb_cli_say(session,
                   "take the request to the hub, and read the fingerprint "
                   "aloud there");
        status = cb_cli_answer(session,
                               json_pack("{s:s, s:s, s:s}", "schema",
                                         "casebound.enrol_request.v1",
                                         "fingerprint", fingerprint, "request",
                                         cb_buffer_text(&text)),
                               &session->error);
    }
    cb_buffer_clear(&text);
    return status;
}

const cb_cli_command cb_cli_command_enrol_request = {
    .name = "enrol request",
    .group = CB_CLI_GROUP_START,
    .purpose = "ask a hub to let this device join",
    .mode = CB_CLI_READ,
    .options = (const cb_cli_option[]){ { "output", 'o', "FILE",
                                          "write the request there" },
                                        { NULL, '\0', NULL, NULL } },
    .description =
        "Makes a small text file with the public keys of this device, signed "
        "by it. There is nothing secret in it: take it to the hub on a stick, "
        "by mail, however you like. Then read its fingerprint to whoever sits "
        "there, so that nobody can put another device in its place.",
    .examples =
        (const cb_cli_example[]){ { "casebound enrol request -o laptop.request",
                                    "write it to a file" },
                                  { "casebound enrol request", "show it" },
                                  { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_EXISTS, "this store has joined already" },
                               { CB_LOCKED, "the store is locked" },
                               { CB_OK, NULL } },
    .see_also = "hub enrol, join",
    .run = run_enrol_request,
};

static cb_status compare_realm(cb_cli_session *session, const cb_offer *offer,
                               const char *wanted)
{
    cb_realm_id realm;
    cb_status status = cb_cli_parse_realm(wanted, &realm, &session->error);
    if (status == CB_OK && memcmp(&realm, &offer->realm, sizeof realm) != 0) {
        status = cb_error_set(&session->error, CB_REFUSED,
                              "the admission is to another service than "
                              "'--realm' names");
        cb_error_meaning(&session->error,
                         "this store has not joined; nothing was changed");
        cb_error_next(&session->error,
                      "ask the hub to read its fingerprint again");
    }
    return status;
}

static cb_status ask_to_join(cb_cli_session *session, const cb_offer *offer,
                             const char *fingerprint)
{
    bool yes = false;
    cb_buffer question;
    cb_buffer_init(&question, 2048);
    cb_buffer_append_format(&question,
                            "The admission is to '%s', as %s (%s).\n"
                            "Fingerprint of the service: %s\n"
                            "Does the hub read out the same? [y/N]",
                            offer->realm_name, offer->person_name, offer->roles,
                            fingerprint);
    cb_status status = cb_cli_ask_yes(
        session, cb_buffer_text(&question),
        "--realm HEX, or --yes where it was compared", &yes, &session->error);
    cb_buffer_clear(&question);
    if (status == CB_OK && !yes) {
        status = cb_error_set(&session->error, CB_INTERRUPTED, "not joined");
        cb_error_meaning(&session->error, "nothing was changed");
        cb_error_next(&session->error,
                      "ask the hub for its fingerprint, then run it again");
    }
    return status;
}

/* The file says itself whom to trust, so somebody has to confirm it. */
static cb_status confirm(cb_cli_session *session, const cb_offer *offer,
                         const char *fingerprint)
{
    const char *wanted = cb_cli_option_value(&session->arguments, "realm");
    if (wanted != NULL) {
        return compare_realm(session, offer, wanted);
    }
    if (cb_cli_option_given(&session->arguments, "yes")) {
        return CB_OK;
    }
    return ask_to_join(session, offer, fingerprint);
}

static json_t *list_roles(const char *roles)
{
    json_t *list = json_array();
    while (*roles != '\0') {
        size_t size = strcspn(roles, ",");
        (void)json_array_append_new(list, json_stringn(roles, size));
        roles += size + (roles[size] == ',' ? 1 : 0);
    }
    return list;
}

static cb_status tell_joined(cb_cli_session *session, const cb_offer *offer,
                             const char *fingerprint)
{
    char person[CB_IDENTIFIER_TEXT_BYTES];
    char realm[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(offer->person.bytes, sizeof offer->person.bytes, person);
    cb_hex_format(offer->realm.bytes, sizeof offer->realm.bytes, realm);
    cb_cli_print(session, "service      %s\n", offer->realm_name);
    cb_cli_print(session, "fingerprint  %s\n", fingerprint);
    cb_cli_print(session, "person       %s (%s)\n", offer->person_name,
                 offer->roles);
    cb_cli_print(session, "log          %s\n", offer->log_address);
    cb_cli_say(session, "this store belongs to '%s' from now on",
               offer->realm_name);
    cb_cli_say(session, "next: casebound sync; then, after the hub's next "
                        "merge, casebound sync again");
    return cb_cli_answer(
        session,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "schema",
                  "casebound.join.v1", "service", offer->realm_name, "realm",
                  realm, "fingerprint", fingerprint, "person", person, "name",
                  offer->person_name, "roles", list_roles(offer->roles), "log",
                  offer->log_address),
        &session->error);
}

static cb_status run_join(cb_cli_session *session)
{
    cb_offer offer;
    char fingerprint[CB_FINGERPRINT_TEXT_BYTES] = "";
    cb_store *store = cb_cli_store(session);
    cb_buffer text;
    cb_buffer_init(&text, CB_ENROLMENT_FILE_BYTES_MAX);
    cb_status status = cb_cli_read_file(
        session, "admission", cb_cli_operand(&session->arguments, 0), &text);
    if (status == CB_OK) {
        status = cb_enrolment_offered(store, cb_span_of_buffer(&text), &offer,
                                      &session->error);
    }
    if (status == CB_OK) {
        cb_cli_realm_fingerprint(&offer.realm, fingerprint);
        status = confirm(session, &offer, fingerprint);
    }
    if (status == CB_OK) {
        status =
            cb_enrolment_join(store, cb_span_of_buffer(&text), &session->error);
    }
    if (status == CB_OK) {
        status = tell_joined(session, &offer, fingerprint);
    }
    cb_buffer_clear(&text);
    return status;
}

const cb_cli_command cb_cli_command_join = {
    .name = "join",
    .group = CB_CLI_GROUP_START,
    .purpose = "join a service with the hub's admission",
    .mode = CB_CLI_WRITE,
    .options =
        (const cb_cli_option[]){
            { "realm", '\0', "HEX",
              "the service's fingerprint, as the hub reads it out" },
            { "yes", '\0', NULL, "it was compared; do not ask" },
            { NULL, '\0', NULL, NULL } },
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "Reads the file that the hub made of this device's request, and from "
        "then on believes what that service signs. The file says itself which "
        "service that is, so the fingerprint has to be compared with what the "
        "hub reads out, on the telephone for example: the command asks for "
        "it, or takes it with --realm.",
    .examples =
        (const cb_cli_example[]){ { "casebound join laptop.admission",
                                    "shows the fingerprint and asks" },
                                  { "casebound join laptop.admission --realm "
                                    "4f1c-77a0-31d2-9be0-5a66-c0de-8f21-04b7",
                                    "joins that service or none" },
                                  { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_EXISTS, "this store has joined already" },
            { CB_USAGE, "there is nobody to ask, and no --realm or --yes" },
            { CB_DAMAGED, "the admission was changed on its way" },
            { CB_REFUSED, "it is for another device, or another service" },
            { CB_NEWER, "it was made by a newer version" },
            { CB_OK, NULL } },
    .see_also = "enrol request, hub enrol, sync",
    .run = run_join,
};
