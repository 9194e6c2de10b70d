/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

static store_kit kit;
static cb_store *hub;
static cb_store *device;
static cb_buffer request;
static cb_buffer answer;
static char fingerprint[CB_FINGERPRINT_TEXT_BYTES];

static const char *const facilitator[] = { "facilitator" };
static const cb_admission anna = { .name = "Anna",
                                   .roles = facilitator,
                                   .role_count = 1 };

static void begin(void)
{
    store_kit_begin(&kit);
    hub = store_kit_hub(&kit, "hub");
    device = store_kit_create(&kit, "device");
    cb_buffer_init(&request, CB_ENROLMENT_FILE_BYTES_MAX);
    cb_buffer_init(&answer, CB_ENROLMENT_FILE_BYTES_MAX);
}

static void end(void)
{
    cb_buffer_clear(&request);
    cb_buffer_clear(&answer);
    cb_store_close(device);
    cb_store_close(hub);
    store_kit_end(&kit);
}

static cb_store_identity identity_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity;
}

static void ask(cb_store *store)
{
    cb_buffer_reset(&request);
    expect_ok(cb_enrolment_request(store, &request, fingerprint, test_error()));
}

static cb_status admit(const cb_admission *admission)
{
    cb_buffer_reset(&answer);
    return cb_enrolment_admit(hub, cb_span_of_buffer(&request), admission,
                              &answer, fingerprint, test_error());
}

Test(enrolment, joins_a_device_with_two_files, .init = begin, .fini = end)
{
    char read_aloud[CB_FINGERPRINT_TEXT_BYTES];
    ask(device);
    memcpy(read_aloud, fingerprint, sizeof read_aloud);
    expect_ok(admit(&anna));
    expect_text(fingerprint, read_aloud);
    cr_expect(strlen(fingerprint) == 39 && fingerprint[4] == '-');
    expect_ok(
        cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error()));

    const cb_store_identity ours = identity_of(device);
    const cb_store_identity theirs = identity_of(hub);
    cr_expect(ours.joined && !ours.hub && ours.head_seq == 1);
    expect_text(ours.realm_name, "Test Service");
    expect_text(ours.person_name, "Anna");
    expect_bytes(&ours.realm, sizeof ours.realm, &theirs.realm,
                 sizeof theirs.realm);
    cr_expect(cb_roster_has_role(hub, &ours.person, "facilitator"));
    cr_expect(!cb_roster_has_role(hub, &ours.person, "supervisor"));

    cb_store_close(device);
    device = store_kit_open(&kit, "device");
    expect_text(identity_of(device).person_name, "Anna");
    expect_status(CB_EXISTS, cb_enrolment_request(device, &request, fingerprint,
                                                  test_error()));
    expect_status(
        CB_EXISTS,
        cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error()));
}

Test(enrolment, answers_the_same_request_alike, .init = begin, .fini = end)
{
    ask(device);
    expect_ok(admit(&anna));
    const uint32_t version = identity_of(hub).roster;
    expect_ok(admit(&anna));
    cr_expect(identity_of(hub).roster == version);
    expect_ok(
        cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error()));
}

/* Every bit of both files is covered by a signature or makes it unreadable. */
Test(enrolment, notices_any_changed_byte, .init = begin, .fini = end)
{
    ask(device);
    for (size_t i = 0; i < request.size; i++) {
        request.bytes[i] ^= 1;
        cb_error_clear(test_error());
        cb_status status = admit(&anna);
        cr_expect(status == CB_DAMAGED || status == CB_INPUT ||
                      status == CB_NEWER,
                  "byte %zu of the request: %s", i, cb_status_name(status));
        request.bytes[i] ^= 1;
    }
    expect_ok(admit(&anna));
    for (size_t i = 0; i < answer.size; i++) {
        answer.bytes[i] ^= 1;
        cb_error_clear(test_error());
        cb_status status =
            cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error());
        cr_expect(status == CB_DAMAGED || status == CB_INPUT ||
                      status == CB_NEWER || status == CB_REFUSED,
                  "byte %zu of the admission: %s", i, cb_status_name(status));
        cr_expect(!identity_of(device).joined);
        answer.bytes[i] ^= 1;
    }
    expect_ok(
        cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error()));
}

Test(enrolment, refuses_an_admission_for_another_device, .init = begin,
     .fini = end)
{
    cb_store *other = store_kit_create(&kit, "other");
    ask(other);
    expect_ok(admit(&anna));
    expect_status(
        CB_REFUSED,
        cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error()));
    expect_contains(test_error()->meaning, "has not joined");
    cr_expect(!identity_of(device).joined);
    cb_store_close(other);
}

/*
 * The id in a request is the applicant's choice.  With the hub's id, admitted,
 * its stream would have passed for the hub's and could have written the roster.
 */
Test(enrolment, lets_no_device_take_anothers_id, .init = begin, .fini = end)
{
    device->identity.device = identity_of(hub).device;
    ask(device);
    expect_status(CB_REFUSED, admit(&anna));
    expect_contains(test_error()->what, "another device");
}

Test(enrolment, is_the_hubs_to_grant, .init = begin, .fini = end)
{
    static const char *const wizard[] = { "wizard" };
    const cb_person_id stranger = { { 9 } };

    const struct {
        cb_admission admission;
        cb_status status;
    } rows[] = {
        { { .name = "", .roles = facilitator, .role_count = 1 }, CB_INPUT },
        { { .name = "An\nna", .roles = facilitator, .role_count = 1 },
          CB_INPUT },
        { { .name = "An\xff", .roles = facilitator, .role_count = 1 },
          CB_INPUT },
        { { .name = "Anna", .roles = wizard, .role_count = 1 }, CB_INPUT },
        { { .name = "Anna", .roles = NULL, .role_count = 0 }, CB_INPUT },
        { { .name = "Anna",
            .roles = facilitator,
            .role_count = 1,
            .person = &stranger },
          CB_NOT_FOUND },
    };

    ask(device);
    const uint64_t head = identity_of(hub).head_seq;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_status(rows[i].status, admit(&rows[i].admission));
        cr_expect(identity_of(hub).head_seq == head);
    }
    expect_ok(admit(&anna));
    expect_ok(
        cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error()));
    cb_buffer_reset(&answer);
    expect_status(CB_PERMISSION,
                  cb_enrolment_admit(device, cb_span_of_buffer(&request), &anna,
                                     &answer, fingerprint, test_error()));
}

Test(enrolment, gives_a_person_a_second_device, .init = begin, .fini = end)
{
    cb_store *second = store_kit_create(&kit, "second");
    ask(device);
    expect_ok(admit(&anna));
    expect_ok(
        cb_enrolment_join(device, cb_span_of_buffer(&answer), test_error()));
    const cb_person_id person = identity_of(device).person;
    const cb_admission again = {
        .name = "Anna", .roles = facilitator, .role_count = 1, .person = &person
    };
    ask(second);
    expect_ok(admit(&again));
    expect_ok(
        cb_enrolment_join(second, cb_span_of_buffer(&answer), test_error()));
    const cb_store_identity theirs = identity_of(second);
    expect_bytes(&theirs.person, sizeof person, &person, sizeof person);
    cb_store_close(second);
}

Test(enrolment, founds_a_service_once_and_with_clean_words, .init = begin,
     .fini = end)
{
    static const struct {
        const char *realm;
        const char *person;
        const char *log;
    } rows[] = {
        { "", "Hub", "/log" },
        { "Service", "Hu\tb", "/log" },
        { "Service", "Hub", "/log\nchecked: yes" },
    };

    cb_secret *root = NULL;
    cb_secret *another = NULL;
    cb_realm_id realm;
    cb_realm_id founding;
    expect_status(CB_NOT_FOUND,
                  cb_enrolment_founding(device, &founding, test_error()));
    expect_ok(cb_enrolment_make_root(device, &realm, &root, test_error()));
    expect_ok(cb_enrolment_founding(device, &founding, test_error()));
    expect_bytes(&founding, sizeof founding, &realm, sizeof realm);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_status(CB_INPUT,
                      cb_enrolment_found(device, rows[i].realm, rows[i].person,
                                         rows[i].log, root, test_error()));
        cr_expect(!identity_of(device).joined);
    }
    expect_status(CB_EXISTS, cb_enrolment_make_root(hub, &founding, &another,
                                                    test_error()));
    cr_expect(another == NULL);
    expect_status(CB_EXISTS, cb_enrolment_found(hub, "Service", "Hub", "/log",
                                                root, test_error()));
    expect_ok(cb_enrolment_found(device, "Service", "Hub", "/log", root,
                                 test_error()));
    cr_expect(identity_of(device).hub);
    const cb_store_identity identity = identity_of(device);
    expect_bytes(&identity.realm, sizeof realm, &realm, sizeof realm);
    cb_secret_destroy(root);
}
