/* SPDX-License-Identifier: Apache-2.0 */
/* hub enrol, hub people, hub grant: who belongs to the service. */
#include "commands.h"

#include <string.h>

#include "access.h"
#include "fingerprint.h"
#include "output.h"

#define ROLES_MAX       8
#define SHORT_ID        8
#define CLASSES_DEFAULT "VOSRCA"

/* ------------------------------------------------------------------ enrol */

typedef struct enrolling {
    cb_cli_session *session;
    cb_admission admission;
    const char *roles[ROLES_MAX];
    cb_person_id person;
    json_t *people; /* where name and roles of a known person are borrowed */
    cb_buffer request;
    cb_buffer text;
    char fingerprint[CB_FINGERPRINT_TEXT_BYTES];
} enrolling;

static cb_status take_roles(enrolling *work)
{
    cb_cli_session *session = work->session;
    size_t count = cb_cli_option_count(&session->arguments, "role");
    if (count > ROLES_MAX) {
        return cb_error_set(&session->error, CB_USAGE,
                            "a person has at most %d roles", ROLES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        work->roles[i] = cb_cli_option_nth(&session->arguments, "role", i);
    }
    work->admission.roles = work->roles;
    work->admission.role_count = count;
    return CB_OK;
}

/* Another device of somebody who is known: name and roles stand already. */
static cb_status take_known_person(enrolling *work, const char *text)
{
    cb_cli_session *session = work->session;
    cb_store *store = cb_cli_store(session);
    cb_status status =
        cb_store_find_person(store, text, &work->person, &session->error);
    if (status == CB_OK) {
        status = cb_store_people(store, &work->people, &session->error);
    }
    if (status != CB_OK) {
        return status;
    }
    char wanted[CB_IDENTIFIER_TEXT_BYTES];
    size_t index = 0;
    json_t *row = NULL;
    cb_hex_format(work->person.bytes, sizeof work->person.bytes, wanted);
    json_array_foreach (json_object_get(work->people, "people"), index, row) {
        const char *id = json_string_value(json_object_get(row, "person"));
        if (id == NULL || strcmp(id, wanted) != 0) {
            continue;
        }
        const json_t *roles = json_object_get(row, "roles");
        size_t count = json_array_size(roles);
        work->admission.name = json_string_value(json_object_get(row, "name"));
        for (size_t i = 0; i < count && i < ROLES_MAX; i++) {
            work->roles[i] = json_string_value(json_array_get(roles, i));
        }
        work->admission.roles = work->roles;
        work->admission.role_count = count < ROLES_MAX ? count : ROLES_MAX;
    }
    work->admission.person = &work->person;
    return CB_OK;
}

static cb_status take_options(enrolling *work)
{
    cb_cli_session *session = work->session;
    const cb_cli_arguments *arguments = &session->arguments;
    const char *name = cb_cli_option_value(arguments, "name");
    const char *person = cb_cli_option_value(arguments, "person");
    bool has_role = cb_cli_option_given(arguments, "role");
    if (person != NULL && (name != NULL || has_role)) {
        return cb_error_set(&session->error, CB_USAGE,
                            "'--person' has a name and roles already; give "
                            "neither '--name' nor '--role' with it");
    }
    if (person != NULL) {
        return take_known_person(work, person);
    }
    if (name == NULL || !has_role) {
        return cb_error_set(&session->error, CB_USAGE,
                            "'hub enrol' needs --name NAME and --role ROLE, "
                            "or --person PERSON");
    }
    work->admission.name = name;
    cb_status status =
        cb_cli_check_name("name of the person", name, &session->error);
    return status == CB_OK ? take_roles(work) : status;
}

/* Before anything is written: is this the device that it should be? */
static cb_status check_request(enrolling *work)
{
    cb_cli_session *session = work->session;
    const char *wanted =
        cb_cli_option_value(&session->arguments, "fingerprint");
    cb_status status = cb_cli_read_file(session, "enrolment request",
                                        cb_cli_operand(&session->arguments, 0),
                                        &work->request);
    if (status == CB_OK) {
        status = cb_enrolment_fingerprint(cb_span_of_buffer(&work->request),
                                          work->fingerprint, &session->error);
    }
    if (status == CB_OK && wanted != NULL &&
        !cb_cli_same_fingerprint(wanted, work->fingerprint)) {
        status = cb_error_set(&session->error, CB_REFUSED,
                              "the request has another fingerprint than "
                              "'--fingerprint' says");
        cb_error_meaning(&session->error, "nobody was enrolled");
        cb_error_next(&session->error,
                      "ask for the request again, over another way");
    }
    return status;
}

static cb_status tell_enrolled(enrolling *work)
{
    cb_cli_session *session = work->session;
    cb_store_identity identity;
    char realm[CB_FINGERPRINT_TEXT_BYTES];
    json_t *roles = json_array();
    cb_store_identify(cb_cli_store(session), &identity);
    cb_cli_realm_fingerprint(&identity.realm, realm);
    for (size_t i = 0; i < work->admission.role_count; i++) {
        (void)json_array_append_new(roles, json_string(work->roles[i]));
    }
    cb_cli_say(session, "enrolled '%s'", work->admission.name);
    cb_cli_say(session, "the device's fingerprint is  %s", work->fingerprint);
    cb_cli_say(session, "the service's fingerprint is %s", realm);
    cb_cli_say(session, "hand the admission over only if the device shows the "
                        "first; read the second");
    cb_cli_say(session, "aloud when it joins");
    return cb_cli_answer(
        session,
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "schema",
                  "casebound.hub_enrol.v1", "fingerprint", work->fingerprint,
                  "realm_fingerprint", realm, "name", work->admission.name,
                  "roles", roles, "admission", cb_buffer_text(&work->text)),
        &session->error);
}

static cb_status run_hub_enrol(cb_cli_session *session)
{
    enrolling work = { .session = session };
    cb_buffer_init(&work.request, CB_ENROLMENT_FILE_BYTES_MAX);
    cb_buffer_init(&work.text, CB_ENROLMENT_FILE_BYTES_MAX);
    cb_status status = take_options(&work);
    if (status == CB_OK) {
        status = check_request(&work);
    }
    if (status == CB_OK) {
        status = cb_enrolment_admit(
            cb_cli_store(session), cb_span_of_buffer(&work.request),
            &work.admission, &work.text, work.fingerprint, &session->error);
    }
    if (status == CB_OK) {
        status = cb_cli_write_result(session, "the admission",
                                     cb_span_of_buffer(&work.text));
    }
    if (status == CB_OK) {
        status = tell_enrolled(&work);
    }
    json_decref(work.people);
    cb_buffer_clear(&work.request);
    cb_buffer_clear(&work.text);
    return status;
}

const cb_cli_command cb_cli_command_hub_enrol = {
    .name = "hub enrol",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "let a device join the service",
    .mode = CB_CLI_HUB,
    .options =
        (const cb_cli_option[]){
            { "name", '\0', "NAME", "the person's name" },
            { "role", '\0', "ROLE", "what the person is; may be repeated" },
            { "person", '\0', "PERSON",
              "somebody who is enrolled already: one more device" },
            { "fingerprint", '\0', "TEXT",
              "refuse a request with any other fingerprint" },
            { "output", 'o', "FILE", "write the admission there" },
            { NULL, '\0', NULL, NULL } },
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .description =
        "Reads the request that casebound enrol request made on the device, "
        "puts the person and the device into the roster, and answers with an "
        "admission that works on that device only. Compare the fingerprint "
        "before you hand it over. The same request again gives an admission "
        "for the same person and device. "
        "Roles: facilitator, supervisor, coordinator, auditor, partner, "
        "designated_lead.",
    .examples =
        (const cb_cli_example[]){
            { "casebound hub enrol laptop.request --name 'Ann Baker' --role "
              "facilitator -o laptop.admission",
              "a new person" },
            { "casebound hub enrol tablet.request --person 'Ann Baker' -o "
              "tablet.admission",
              "another device of hers" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){
            { CB_INPUT, "it is another kind of file, or no such role" },
            { CB_DAMAGED, "the request was changed on its way" },
            { CB_REFUSED, "it has another fingerprint" },
            { CB_PERMISSION, "this store is not a hub's" },
            { CB_NEWER, "it was made by a newer version" },
            { CB_OK, NULL } },
    .see_also = "enrol request, join, hub people, hub grant",
    .run = run_hub_enrol,
};

/* ----------------------------------------------------------------- people */

static void append_list(cb_buffer *text, const json_t *list)
{
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        cb_buffer_append_format(text, "%s%s", i == 0 ? "" : ", ",
                                word == NULL ? "" : word);
    }
}

static void add_short(cb_cli_rows *rows, const json_t *row, const char *name)
{
    char text[SHORT_ID + 1];
    const char *id = json_string_value(json_object_get(row, name));
    (void)snprintf(text, sizeof text, "%s", id == NULL ? "" : id);
    cb_cli_rows_add(rows, text);
}

static void add_person(cb_cli_rows *rows, const json_t *person,
                       const json_t *device)
{
    char entries[24] = "";
    cb_buffer roles;
    cb_buffer_init(&roles, 1024);
    append_list(&roles, json_object_get(person, "roles"));
    add_short(rows, person, "person");
    cb_cli_rows_add(rows, json_string_value(json_object_get(person, "name")));
    cb_cli_rows_add(rows, cb_buffer_text(&roles));
    cb_buffer_clear(&roles);
    if (device == NULL) {
        cb_cli_rows_add(rows, "");
        cb_cli_rows_add(rows, "");
        cb_cli_rows_add(rows, "no device");
        return;
    }
    (void)snprintf(entries, sizeof entries, "%" JSON_INTEGER_FORMAT,
                   json_integer_value(json_object_get(device, "entries")));
    add_short(rows, device, "device");
    cb_cli_rows_add(rows, entries);
    cb_cli_rows_add(rows, json_is_true(json_object_get(device, "revoked"))
                              ? "revoked"
                          : json_is_true(json_object_get(device, "hub")) ? "hub"
                          : json_is_null(json_object_get(device, "stream"))
                              ? "not heard of yet"
                              : "");
}

static cb_status print_people(cb_cli_session *session, const json_t *document)
{
    static const cb_cli_column columns[] = {
        { .title = "person" },
        { .title = "name", .may_be_cut = true },
        { .title = "roles", .may_be_cut = true },
        { .title = "device" },
        { .title = "entries", .is_number = true },
        { .title = "" },
    };
    size_t index = 0;
    json_t *person = NULL;
    cb_cli_rows rows;
    cb_cli_rows_init(&rows, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach (json_object_get(document, "people"), index, person) {
        const json_t *devices = json_object_get(person, "devices");
        size_t count = json_array_size(devices);
        for (size_t i = 0; i < count; i++) {
            add_person(&rows, person, json_array_get(devices, i));
        }
        if (count == 0) {
            add_person(&rows, person, NULL);
        }
    }
    cb_status status = cb_cli_rows_print(session, &rows, &session->error);
    cb_cli_rows_clear(&rows);
    return status;
}

static cb_status run_hub_people(cb_cli_session *session)
{
    cb_store_identity identity;
    char fingerprint[CB_FINGERPRINT_TEXT_BYTES];
    json_t *document = NULL;
    cb_status status =
        cb_store_people(cb_cli_store(session), &document, &session->error);
    if (status == CB_OK && !session->json) {
        status = print_people(session, document);
    }
    if (status != CB_OK) {
        json_decref(document);
        return status;
    }
    cb_store_identify(cb_cli_store(session), &identity);
    if (identity.joined) {
        cb_cli_realm_fingerprint(&identity.realm, fingerprint);
        (void)json_object_set_new(document, "realm_fingerprint",
                                  json_string(fingerprint));
        cb_cli_say(session, "fingerprint of '%s': %s", identity.realm_name,
                   fingerprint);
    }
    return cb_cli_answer(session, document, &session->error);
}

const cb_cli_command cb_cli_command_hub_people = {
    .name = "hub people",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "list people, their roles and their devices",
    .mode = CB_CLI_READ,
    .description =
        "One line for each device: the start of the person's id, name, roles, "
        "the start of the device's id, and how many of its entries are here. "
        "Every store that has joined can show the roster it knows; only the "
        "hub can change it. The service's fingerprint goes to the error "
        "stream: read it to whoever joins.",
    .examples =
        (const cb_cli_example[]){
            { "casebound hub people", "the roster" },
            { "casebound hub people --json", "with ids in full" },
            { NULL, NULL } },
    .exits = (const cb_cli_exit[]){ { CB_LOCKED, "the store is locked" },
                                    { CB_OK, NULL } },
    .see_also = "hub enrol, hub grant",
    .run = run_hub_people,
};

/* ------------------------------------------------------------------ grant */

static cb_status check_classes(cb_cli_session *session, const char *classes)
{
    size_t size = strlen(classes);
    bool is_known = size > 0 && size == strspn(classes, "VOSRCWA");
    for (size_t i = 0; i < size && is_known; i++) {
        is_known = strchr(classes + i + 1, classes[i]) == NULL;
    }
    if (is_known) {
        return CB_OK;
    }
    cb_status status =
        cb_error_set(&session->error, CB_INPUT,
                     "'--class' takes letters of VOSRCWA, each once");
    cb_error_meaning(&session->error, "nothing was granted");
    cb_error_next(&session->error, "casebound hub grant --help");
    return status;
}

static cb_status run_hub_grant(cb_cli_session *session)
{
    cb_case_id case_id = { 0 };
    cb_person_id person = { 0 };
    cb_store *store = cb_cli_store(session);
    const char *classes = cb_cli_option_value(&session->arguments, "class");
    classes = classes == NULL ? CLASSES_DEFAULT : classes;
    cb_status status = check_classes(session, classes);
    if (status == CB_OK) {
        status =
            cb_store_find_case(store, cb_cli_operand(&session->arguments, 0),
                               &case_id, &session->error);
    }
    if (status == CB_OK) {
        status =
            cb_store_find_person(store, cb_cli_operand(&session->arguments, 1),
                                 &person, &session->error);
    }
    if (status == CB_OK) {
        status = cb_roster_permit(store, &person, &case_id, classes,
                                  &session->error);
    }
    if (status != CB_OK) {
        return status;
    }
    char person_text[CB_IDENTIFIER_TEXT_BYTES];
    char case_text[CB_IDENTIFIER_TEXT_BYTES];
    const cb_naming *naming = cb_store_naming(store);
    const char *name = naming == NULL || naming->person == NULL
                           ? NULL
                           : naming->person(naming->context, &person);
    cb_hex_format(person.bytes, sizeof person.bytes, person_text);
    cb_hex_format(case_id.bytes, sizeof case_id.bytes, case_text);
    cb_cli_say(session, "'%s' may read %s of the case, from its beginning on",
               name == NULL ? person_text : name, classes);
    cb_cli_say(session, "it takes effect with: casebound hub merge");
    return cb_cli_answer(session,
                         json_pack("{s:s, s:s, s:s, s:s}", "schema",
                                   "casebound.hub_grant.v1", "case", case_text,
                                   "person", person_text, "classes", classes),
                         &session->error);
}

const cb_cli_command cb_cli_command_hub_grant = {
    .name = "hub grant",
    .group = CB_CLI_GROUP_HUB,
    .purpose = "let a person read a case",
    .mode = CB_CLI_HUB,
    .options =
        (const cb_cli_option[]){
            { "class", '\0', "CLASSES",
              "which classes, as letters (else " CLASSES_DEFAULT ")" },
            { NULL, '\0', NULL, NULL } },
    .operands = "CASE PERSON|DEVICE",
    .operands_min = 2,
    .operands_max = 2,
    .description =
        "Signs into the roster that a person may read a case, from the "
        "beginning on. The next merge hands the keys and the entries to each "
        "of the person's devices. Who opened a case may read it without "
        "this. "
        "Classes: V the victim's side, O the offender's, S shared outcomes, R "
        "risk, C confidential notes, A administration, W practitioners and "
        "supervision, which has to be named.",
    .examples =
        (const cb_cli_example[]){
            { "casebound hub grant RL-2017-00412-7 'Ann Baker'",
              "all but working notes" },
            { "casebound hub grant RL-2017-00412-7 'Ben Cole' --class S",
              "what a partner agency usually sees" },
            { NULL, NULL } },
    .exits =
        (const cb_cli_exit[]){ { CB_NOT_FOUND, "no such case or person" },
                               { CB_AMBIGUOUS, "more than one fits" },
                               { CB_PERMISSION, "this store is not a hub's" },
                               { CB_OK, NULL } },
    .see_also = "hub people, hub merge, case list",
    .run = run_hub_grant,
};
