/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root key in its file, and what an admission says before it is believed.
 */
#include "support/expect.h"
#include "support/store_kit.h"

#include <sodium.h>
#include <sys/stat.h>

static cb_secret *secret_of(const char *text)
{
    cb_secret *secret = NULL;
    expect_ok(cb_secret_create(strlen(text), &secret, test_error()));
    memcpy(cb_secret_bytes(secret), text, strlen(text));
    return secret;
}

/* A hub whose root key lies in a file of this path. */
static cb_realm_id found(store_kit *kit, const char *path, cb_secret **ret_root)
{
    cb_store_identity identity;
    cb_realm_id realm;
    cb_store *store = store_kit_create(kit, "hub");
    cb_store_options options = store_kit_options(kit, path);
    expect_ok(cb_enrolment_make_root(store, &realm, ret_root, test_error()));
    expect_ok(cb_root_key_write(&options, path, &realm, kit->passphrase,
                                *ret_root, test_error()));
    expect_ok(cb_enrolment_found(store, "Test Service", "Cleo", "/log",
                                 *ret_root, test_error()));
    cb_store_identify(store, &identity);
    expect_bytes(&identity.realm, sizeof realm, &realm, sizeof realm);
    cb_store_close(store);
    return identity.realm;
}

Test(root_key, comes_back_from_its_file_with_the_passphrase)
{
    store_kit kit;
    char path[STORE_KIT_PATH_BYTES];
    struct stat state;
    cb_secret *root = NULL;
    cb_secret *again = NULL;
    cb_realm_id realm;
    store_kit_begin(&kit);
    store_kit_path(&kit, "root-key.json", path);
    cb_store_options options = store_kit_options(&kit, path);
    cb_realm_id founded = found(&kit, path, &root);
    expect_ok(cb_root_key_open(&options, path, kit.passphrase, &realm, &again,
                               test_error()));
    cr_expect(memcmp(&realm, &founded, sizeof realm) == 0);
    cr_expect(cb_secret_size(again) == crypto_sign_SECRETKEYBYTES);
    cr_expect(sodium_memcmp(cb_secret_view(root), cb_secret_view(again),
                            crypto_sign_SECRETKEYBYTES) == 0);
    cr_expect(stat(path, &state) == 0 && (state.st_mode & 0777) == 0600);
    cb_secret_destroy(root);
    cb_secret_destroy(again);
    store_kit_end(&kit);
}

static void change(const store_kit *kit, const char *path, const char *from,
                   const char *to)
{
    cb_buffer text;
    cb_buffer_init(&text, 65536);
    expect_ok(kit->environment.read_file(kit->environment.context, path, &text,
                                         test_error()));
    char *at = strstr((char *)text.bytes, from);
    cr_assert(at != NULL && strlen(from) == strlen(to));
    memcpy(at, to, strlen(to));
    expect_ok(kit->environment.replace_file(kit->environment.context, path,
                                            cb_span_of_buffer(&text),
                                            test_error()));
    cb_buffer_clear(&text);
}

Test(root_key, stays_shut_for_anything_else)
{
    store_kit kit;
    char path[STORE_KIT_PATH_BYTES];
    char hex[CB_IDENTIFIER_TEXT_BYTES];
    cb_secret *root = NULL;
    cb_secret *again = NULL;
    cb_realm_id realm;
    store_kit_begin(&kit);
    store_kit_path(&kit, "root-key.json", path);
    cb_store_options options = store_kit_options(&kit, path);
    expect_status(CB_NOT_FOUND, cb_root_key_open(&options, path, kit.passphrase,
                                                 &realm, &again, test_error()));
    cb_realm_id founded = found(&kit, path, &root);
    cb_secret *other = secret_of("not the passphrase");
    expect_status(CB_WRONG_KEY, cb_root_key_open(&options, path, other, &realm,
                                                 &again, test_error()));

    /* The realm is sealed with the key: it cannot be said to be another's. */
    cb_hex_format(founded.bytes, sizeof founded.bytes, hex);
    char changed[sizeof hex];
    memcpy(changed, hex, sizeof hex);
    changed[0] = hex[0] == '0' ? '1' : '0';
    change(&kit, path, hex, changed);
    expect_status(CB_DAMAGED, cb_root_key_open(&options, path, kit.passphrase,
                                               &realm, &again, test_error()));
    change(&kit, path, changed, hex);
    change(&kit, path, "\"version\":2", "\"version\":3");
    expect_status(CB_NEWER, cb_root_key_open(&options, path, kit.passphrase,
                                             &realm, &again, test_error()));
    change(&kit, path, "\"version\":3", "\"version\":x");
    expect_status(CB_DAMAGED, cb_root_key_open(&options, path, kit.passphrase,
                                               &realm, &again, test_error()));

    /* Sealed by the right passphrase, but not the root key of that realm. */
    founded.bytes[0] ^= 1;
    expect_ok(cb_root_key_write(&options, path, &founded, kit.passphrase, root,
                                test_error()));
    expect_status(CB_DAMAGED, cb_root_key_open(&options, path, kit.passphrase,
                                               &realm, &again, test_error()));
    cr_expect(again == NULL);
    cb_secret_destroy(other);
    cb_secret_destroy(root);
    store_kit_end(&kit);
}

Test(admission, says_what_it_offers_and_pins_nothing)
{
    static const char *const roles[] = { "facilitator", "supervisor" };
    store_kit kit;
    char asked[CB_FINGERPRINT_TEXT_BYTES];
    char seen[CB_FINGERPRINT_TEXT_BYTES];
    cb_store_identity identity;
    cb_offer offer;
    cb_buffer request;
    cb_buffer text;
    cb_buffer_init(&request, CB_ENROLMENT_FILE_BYTES_MAX);
    cb_buffer_init(&text, CB_ENROLMENT_FILE_BYTES_MAX);
    store_kit_begin(&kit);
    cb_store *hub = store_kit_hub(&kit, "hub");
    cb_store *device = store_kit_create(&kit, "device");
    cb_store *stranger = store_kit_create(&kit, "stranger");
    expect_ok(cb_enrolment_request(device, &request, asked, test_error()));
    expect_ok(cb_enrolment_fingerprint(cb_span_of_buffer(&request), seen,
                                       test_error()));
    expect_text(seen, asked);
    const cb_admission admission = { .name = "Ann Baker",
                                     .roles = roles,
                                     .role_count = 2 };
    expect_ok(cb_enrolment_admit(hub, cb_span_of_buffer(&request), &admission,
                                 &text, seen, test_error()));
    expect_text(seen, asked);

    expect_status(CB_REFUSED,
                  cb_enrolment_offered(stranger, cb_span_of_buffer(&text),
                                       &offer, test_error()));
    expect_status(CB_INPUT,
                  cb_enrolment_offered(device, cb_span_of_buffer(&request),
                                       &offer, test_error()));
    expect_status(CB_EXISTS, cb_enrolment_offered(hub, cb_span_of_buffer(&text),
                                                  &offer, test_error()));
    expect_ok(cb_enrolment_offered(device, cb_span_of_buffer(&text), &offer,
                                   test_error()));
    expect_text(offer.person_name, "Ann Baker");
    expect_text(offer.roles, "facilitator,supervisor");
    cb_store_identify(hub, &identity);
    cr_expect(memcmp(&offer.realm, &identity.realm, sizeof offer.realm) == 0);
    expect_text(offer.realm_name, identity.realm_name);
    expect_text(offer.log_address, identity.log_address);
    cb_store_identify(device, &identity);
    cr_expect(!identity.joined);

    text.bytes[text.size / 2] ^= 1;
    cb_offer untouched = offer;
    cb_status status =
        cb_enrolment_offered(device, cb_span_of_buffer(&text), &offer, NULL);
    cr_expect(status == CB_DAMAGED, "%s", cb_status_name(status));
    cr_expect(memcmp(&offer, &untouched, sizeof offer) == 0);
    cb_store_close(stranger);
    cb_store_close(device);
    cb_store_close(hub);
    cb_buffer_clear(&request);
    cb_buffer_clear(&text);
    store_kit_end(&kit);
}
