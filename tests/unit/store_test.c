/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <casebound/chain.h>

#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

static store_kit kit;

static void begin(void)
{
    store_kit_begin(&kit);
}

static void end(void)
{
    store_kit_end(&kit);
}

static cb_secret *secret_of(const char *text)
{
    cb_secret *secret = NULL;
    expect_ok(cb_secret_create(strlen(text), &secret, test_error()));
    memcpy(cb_secret_bytes(secret), text, strlen(text));
    return secret;
}

static uint64_t head_of(const cb_store *store)
{
    cb_store_identity identity;
    cb_store_identify(store, &identity);
    return identity.head_seq;
}

static cb_status open_with(const char *name, const cb_secret *passphrase)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_store *store = NULL;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, name, path));
    cb_status status =
        cb_store_open(&options, passphrase, &store, test_error());
    cb_store_close(store);
    return status;
}

static cb_status create_at(const char *name, const cb_secret *passphrase)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_store *store = NULL;
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, name, path));
    cb_status status =
        cb_store_create(&options, passphrase, &store, test_error());
    cb_store_close(store);
    return status;
}

/* ------------------------------------------------------ making and opening */

Test(store, is_made_once_and_opens_again, .init = begin, .fini = end)
{
    cb_store *store = store_kit_create(&kit, "a");
    cb_store_identity made;
    cb_store_identity opened;
    cb_store_identify(store, &made);
    cb_store_close(store);

    store = store_kit_open(&kit, "a");
    cb_store_identify(store, &opened);
    cb_store_close(store);

    expect_bytes(&opened.device, sizeof opened.device, &made.device,
                 sizeof made.device);
    cr_expect(!opened.joined && !opened.hub && !opened.restored);
    expect_status(CB_EXISTS, create_at("a", kit.passphrase));
    expect_contains(test_error()->meaning, "not touched");
}

Test(store, demands_its_passphrase, .init = begin, .fini = end)
{
    cb_secret *wrong = secret_of("lantern copper seven meadoW");
    cb_secret *brief = secret_of("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    cb_store_close(store_kit_create(&kit, "a"));

    expect_status(CB_WRONG_KEY, open_with("a", wrong));
    expect_contains(test_error()->what, "not the passphrase");
    expect_status(CB_OK, open_with("a", kit.passphrase));
    /* Eight bytes of four characters are too short. */
    expect_status(CB_INPUT, create_at("b", brief));
    expect_status(CB_NO_STORE, open_with("b", kit.passphrase));

    cb_secret_destroy(wrong);
    cb_secret_destroy(brief);
}

Test(store, takes_another_passphrase_without_touching_the_database,
     .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    struct stat before;
    struct stat after;
    cb_secret *fresh = secret_of("harbour ninety velvet acorn");
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "a", path));
    cb_store_close(store_kit_create(&kit, "a"));
    cb_store *store = store_kit_open(&kit, "a");
    snprintf(file, sizeof file, "%s/casebook.db", path);
    cr_assert(stat(file, &before) == 0);

    expect_ok(cb_store_change_passphrase(store, &options, fresh, test_error()));
    cr_assert(stat(file, &after) == 0);
    cb_store_close(store);

    cr_expect(before.st_size == after.st_size &&
              before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    expect_status(CB_WRONG_KEY, open_with("a", kit.passphrase));
    expect_status(CB_OK, open_with("a", fresh));
    cb_secret_destroy(fresh);
}

/* Writes a file of the store anew, from a text. */
static void overwrite(const char *store, const char *name, const char *text)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 32];
    snprintf(file, sizeof file, "%s/%s", store_kit_path(&kit, store, path),
             name);
    FILE *stream = fopen(file, "w");
    cr_assert(stream != NULL && fputs(text, stream) >= 0);
    cr_assert(fclose(stream) == 0);
}

static void drop(const char *store, const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 32];
    snprintf(file, sizeof file, "%s/%s", store_kit_path(&kit, store, path),
             name);
    cr_assert(remove(file) == 0);
}

Test(store, says_what_is_wrong_with_its_unlock_file, .init = begin, .fini = end)
{
    static const struct {
        const char *text;
        cb_status status;
    } rows[] = {
        { "", CB_DAMAGED },
        { "not JSON at all", CB_DAMAGED },
        { "[]", CB_DAMAGED },
        { "{\"version\":1}", CB_DAMAGED },
        { "{\"version\":2}", CB_NEWER },
        /* What would take all memory is not tried. */
        { "{\"version\":1,\"kdf\":\"argon2id13\",\"operations\":1,"
          "\"memory_bytes\":1099511627776}",
          CB_DAMAGED },
    };

    cb_store_close(store_kit_create(&kit, "a"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        overwrite("a", "unlock.json", rows[i].text);
        expect_status(rows[i].status, open_with("a", kit.passphrase));
    }
}

/*
 * Argon2id's cost and the salt are what the sealed key is bound to: a weaker
 * cost written into the file does not open it.
 */
Test(store, notices_a_changed_cost, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    cb_store_close(store_kit_create(&kit, "a"));
    snprintf(file, sizeof file, "%s/unlock.json",
             store_kit_path(&kit, "a", path));
    json_t *document = json_load_file(file, 0, NULL);
    cr_assert(document != NULL);
    json_object_set_new(document, "operations", json_integer(2));
    cr_assert(json_dump_file(document, file, 0) == 0);
    json_decref(document);

    expect_status(CB_WRONG_KEY, open_with("a", kit.passphrase));
}

Test(store, makes_no_empty_database_where_its_own_is_gone, .init = begin,
     .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    cb_store_close(store_kit_create(&kit, "a"));
    drop("a", "casebook.db");
    snprintf(file, sizeof file, "%s/casebook.db",
             store_kit_path(&kit, "a", path));

    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
    expect_contains(test_error()->what, "casebook.db");
    cr_expect(access(file, F_OK) != 0);

    overwrite("a", "casebook.db", "");
    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
    struct stat facts;
    cr_expect(stat(file, &facts) == 0 && facts.st_size == 0);
}

Test(store, is_never_made_over_a_database, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    struct stat before;
    struct stat after;
    cb_store_close(store_kit_create(&kit, "a"));
    drop("a", "unlock.json");
    snprintf(file, sizeof file, "%s/casebook.db",
             store_kit_path(&kit, "a", path));
    cr_assert(stat(file, &before) == 0);

    expect_status(CB_EXISTS, create_at("a", kit.passphrase));

    cr_expect(stat(file, &after) == 0 && before.st_ino == after.st_ino &&
              before.st_size == after.st_size);
}

Test(store, does_not_open_with_anothers_unlock_file, .init = begin, .fini = end)
{
    char a[STORE_KIT_PATH_BYTES];
    char b[STORE_KIT_PATH_BYTES];
    char from[STORE_KIT_PATH_BYTES + 16];
    char to[STORE_KIT_PATH_BYTES + 16];
    cb_store_close(store_kit_create(&kit, "a"));
    cb_store_close(store_kit_create(&kit, "b"));
    snprintf(from, sizeof from, "%s/unlock.json", store_kit_path(&kit, "b", b));
    snprintf(to, sizeof to, "%s/unlock.json", store_kit_path(&kit, "a", a));
    cr_assert(rename(from, to) == 0);

    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
}

Test(store, of_a_newer_version_is_left_alone, .init = begin, .fini = end)
{
    cb_store *store = store_kit_create(&kit, "a");
    cr_assert(sqlite3_exec(store->database->connection,
                           "PRAGMA user_version = 9999", NULL, NULL,
                           NULL) == SQLITE_OK);
    cb_store_close(store);

    expect_status(CB_NEWER, open_with("a", kit.passphrase));
    expect_contains(test_error()->what, "9999");
    expect_contains(test_error()->meaning, "nothing was changed");
}

/* The child is there before the store is open, for it would inherit the lock.
 */
Test(store, is_used_by_one_process_at_a_time, .init = begin, .fini = end)
{
    int gate[2];
    char byte = 0;
    cb_store_close(store_kit_create(&kit, "a"));
    cr_assert(pipe(gate) == 0);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        _exit(read(gate[0], &byte, 1) == 1 &&
                      open_with("a", kit.passphrase) == CB_IN_USE
                  ? 0
                  : 1);
    }
    cb_store *store = store_kit_open(&kit, "a");
    cr_assert(write(gate[1], "x", 1) == 1);
    int status = 1;
    cr_assert(waitpid(child, &status, 0) == child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "a second process was let in");
    cb_store_close(store);
    expect_status(CB_OK, open_with("a", kit.passphrase));
}

Test(store, names_a_damaged_page_and_its_file, .init = begin, .fini = end)
{
    char path[STORE_KIT_PATH_BYTES];
    char file[STORE_KIT_PATH_BYTES + 16];
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    for (int i = 0; i < 20; i++) {
        store_kit_person(store, &case_id, "victim", "Ash");
    }
    cb_store_close(store);
    snprintf(file, sizeof file, "%s/casebook.db",
             store_kit_path(&kit, "a", path));
    struct stat facts;
    cr_assert(stat(file, &facts) == 0);
    int descriptor = open(file, O_RDWR);
    for (off_t at = 4096 + 700; at < facts.st_size; at += 4096) {
        uint8_t byte = 0;
        cr_assert(pread(descriptor, &byte, 1, at) == 1);
        byte ^= 4;
        cr_assert(pwrite(descriptor, &byte, 1, at) == 1);
    }
    close(descriptor);

    expect_status(CB_DAMAGED, open_with("a", kit.passphrase));
    expect_contains(test_error()->what, "page");
    expect_contains(test_error()->what, "casebook.db");
}

/* ---------------------------------------------------------------- records */

Test(store, keeps_what_was_recorded, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash Grove");
    store_kit_add(store, &case_id, "contact", &ash,
                  "{'channel':'telephone','direction':'outgoing',"
                  "'outcome':'spoke','summary':'willing to talk'}");
    cb_hash before = store_kit_fingerprint(store, &case_id);
    uint64_t head = head_of(store);
    cb_store_close(store);

    store = store_kit_open(&kit, "a");
    cb_hash after = store_kit_fingerprint(store, &case_id);
    expect_bytes(&after, sizeof after, &before, sizeof before);
    cr_expect(head_of(store) == head);
    expect_text(
        cb_store_naming(store)->party(cb_store_naming(store)->context, &ash),
        "Ash Grove");
    cb_store_close(store);
}

Test(store, chains_and_signs_what_it_writes, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_store_identity identity;
    cb_stream_facts facts;
    cb_chain chain = { .seq = 0 };
    store_kit_bundle bundle;
    cb_case_id case_id = store_kit_case(store);
    store_kit_person(store, &case_id, "offender", "Reed");
    cb_store_identify(store, &identity);
    expect_ok(
        cb_exchange_stream(store, &identity.stream, &facts, test_error()));
    chain.realm = identity.realm;
    chain.stream = identity.stream;
    store_kit_bundle_begin(&bundle);
    store_kit_collect(store, 1, &bundle);

    cr_assert(bundle.count == identity.head_seq && bundle.count >= 5);
    for (size_t i = 0; i < bundle.count; i++) {
        cb_entry entry;
        expect_ok(cb_entry_decode(store_kit_entry(&bundle, i, NULL), &entry,
                                  test_error()));
        expect_ok(cb_entry_verify(&entry, facts.public_key, test_error()));
        expect_ok(
            cb_chain_advance(&chain, &entry.header, &entry.hash, test_error()));
    }
    expect_bytes(&chain.head, sizeof chain.head, &facts.head_hash,
                 sizeof facts.head_hash);
    store_kit_bundle_end(&bundle);
    cb_store_close(store);
}

Test(store, refuses_what_does_not_fit_and_records_nothing, .init = begin,
     .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash");
    cb_record_id stranger = { { 7 } };
    char *huge = malloc(10 << 20);
    memset(huge, 'x', (10 << 20) - 1);
    huge[(10 << 20) - 1] = '\0';
    json_t *note =
        store_kit_json("{'channel':'telephone','direction':'outgoing',"
                       "'outcome':'spoke'}");
    json_object_set_new(note, "summary", json_string(huge));
    free(huge);

    const struct {
        const char *type;
        const cb_record_id *about;
        json_t *fields;
        cb_status status;
    } rows[] = {
        { "contact", &ash, note, CB_LIMIT },
        { "contact", &stranger,
          store_kit_json("{'channel':'letter','direction':'outgoing',"
                         "'outcome':'spoke'}"),
          CB_NOT_FOUND },
        { "contact", &ash, store_kit_json("{'channel':'pigeon'}"), CB_INPUT },
        { "consent", NULL,
          store_kit_json("{'scope':['direct_meeting'],'state':'given'}"),
          CB_INPUT },
        { "referral", &ash,
          store_kit_json("{'received':'2026-01-05','source':'self_victim',"
                         "'stage':'post_sentence_custody',"
                         "'initiated_by':'victim'}"),
          CB_INPUT },
        { "no_such_type", NULL, json_object(), CB_INPUT },
    };

    const uint64_t head = head_of(store);
    const cb_hash before = store_kit_fingerprint(store, &case_id);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cb_recorded recorded;
        const cb_change change = { .case_id = case_id };
        expect_status(rows[i].status,
                      cb_store_add(store, &change, rows[i].type, rows[i].about,
                                   rows[i].fields, &recorded, test_error()));
        expect_text(test_error()->meaning, "nothing was recorded");
        json_decref(rows[i].fields);
    }
    const cb_hash after = store_kit_fingerprint(store, &case_id);
    cr_expect(head_of(store) == head);
    expect_bytes(&after, sizeof after, &before, sizeof before);
    cb_store_close(store);
}

Test(store, corrects_strikes_and_finds, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash");
    cb_change change = { .case_id = case_id, .why = "misheard" };
    cb_recorded recorded;
    cb_record_id found;
    cb_case_id found_case;
    char prefix[CB_IDENTIFIER_TEXT_BYTES];
    json_t *fields = store_kit_json("{'name':'Ashley'}");

    expect_ok(
        cb_store_amend(store, &change, &ash, fields, &recorded, test_error()));
    cb_recorded_clear(&recorded);
    expect_text(cb_store_naming(store)->party(store, &ash), "Ashley");
    cb_hex_format(ash.bytes, sizeof ash.bytes, prefix);
    prefix[6] = '\0';
    expect_ok(
        cb_store_find_record(store, prefix, &found, &found_case, test_error()));
    expect_bytes(&found, sizeof found, &ash, sizeof ash);
    expect_ok(cb_store_strike(store, &change, &ash, &recorded, test_error()));
    cb_recorded_clear(&recorded);

    json_decref(fields);
    fields = json_object();
    expect_status(CB_INPUT, cb_store_amend(store, &change, &ash, fields,
                                           &recorded, test_error()));
    expect_status(CB_NOT_FOUND,
                  cb_store_find_record(store, "ffffffffff", &found, &found_case,
                                       test_error()));
    expect_status(CB_NOT_FOUND,
                  cb_store_find_case(store, "zz", &found_case, test_error()));
    json_decref(fields);
    cb_store_close(store);
}

Test(store, gives_references_that_it_can_find, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_case_id other = store_kit_case(store);
    cb_case_id found;
    cb_case_state *state = NULL;
    expect_ok(cb_store_case_state(store, &other, &state, test_error()));

    expect_text(cb_case_state_reference(state), "RL-2026-00002-6");
    expect_ok(
        cb_store_find_case(store, "rl-2026-00002-6", &found, test_error()));
    expect_bytes(&found, sizeof found, &other, sizeof other);
    expect_status(CB_INPUT, cb_store_find_case(store, "RL-2026-00002-5", &found,
                                               test_error()));
    cr_expect(memcmp(&case_id, &other, sizeof other) != 0);
    cb_case_state_destroy(state);

    /* A reference from outside must be one. */
    cb_recorded recorded;
    const cb_change change = { 0 };
    json_t *fields = store_kit_json(
        "{'received':'2026-01-05','source':'self_victim','stage':"
        "'post_sentence_custody','initiated_by':'victim','reference':'x'}");
    expect_status(CB_INPUT, cb_store_open_case(store, &change, fields,
                                               &recorded, test_error()));
    json_decref(fields);
    cb_store_close(store);
}

Test(store, takes_several_changes_or_none, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    const uint64_t head = head_of(store);
    const cb_hash before = store_kit_fingerprint(store, &case_id);

    expect_ok(cb_store_begin(store, test_error()));
    store_kit_person(store, &case_id, "victim", "Ash");
    store_kit_person(store, &case_id, "offender", "Reed");
    cr_expect(head_of(store) == head + 2);
    cb_store_abort(store);

    cb_hash after = store_kit_fingerprint(store, &case_id);
    cr_expect(head_of(store) == head);
    expect_bytes(&after, sizeof after, &before, sizeof before);

    expect_ok(cb_store_begin(store, test_error()));
    store_kit_person(store, &case_id, "victim", "Ash");
    expect_ok(cb_store_commit(store, test_error()));
    after = store_kit_fingerprint(store, &case_id);
    cr_expect(head_of(store) == head + 1);
    cr_expect(memcmp(&after, &before, sizeof after) != 0);
    cb_store_close(store);
}

/*
 * A change of two compartments that fails at the second, inside a transaction
 * that goes on: the first half must not stay.
 */
Test(store, leaves_no_half_of_a_change_in_a_transaction, .init = begin,
     .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_id case_id = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &case_id, "victim", "Ash");
    const uint64_t head = head_of(store);
    const cb_hash before = store_kit_fingerprint(store, &case_id);
    const cb_change change = { .case_id = case_id };
    cb_recorded recorded;
    char trigger[256];
    char fields[256];
    char id[CB_IDENTIFIER_TEXT_BYTES];
    cb_hex_format(ash.bytes, sizeof ash.bytes, id);
    snprintf(fields, sizeof fields,
             "{'method':'face_to_face','held':'cancelled',"
             "'participants':['%s'],'notes':'kept apart'}",
             id);
    snprintf(trigger, sizeof trigger,
             "CREATE TEMP TRIGGER stop BEFORE INSERT ON main.entry WHEN "
             "new.seq = %d BEGIN SELECT RAISE(ABORT, 'stop'); END",
             (int)head + 2);
    cr_assert(sqlite3_exec(store->database->connection, trigger, NULL, NULL,
                           NULL) == SQLITE_OK);
    json_t *value = store_kit_json(fields);

    expect_ok(cb_store_begin(store, test_error()));
    cb_status status = cb_store_add(store, &change, "event", NULL, value,
                                    &recorded, test_error());
    cr_expect(status == CB_DAMAGED, "%s", test_describe(status));
    cr_expect(head_of(store) == head);
    expect_ok(cb_store_commit(store, test_error()));

    const cb_hash after = store_kit_fingerprint(store, &case_id);
    expect_bytes(&after, sizeof after, &before, sizeof before);
    cr_assert(sqlite3_exec(store->database->connection, "DROP TRIGGER stop",
                           NULL, NULL, NULL) == SQLITE_OK);
    expect_ok(cb_store_add(store, &change, "event", NULL, value, &recorded,
                           test_error()));
    cr_expect(recorded.first_seq == head + 1 && recorded.last_seq == head + 2);
    cb_recorded_clear(&recorded);
    json_decref(value);
    cb_store_close(store);
}

Test(store, that_belongs_to_nobody_records_nothing, .init = begin, .fini = end)
{
    cb_store *store = store_kit_create(&kit, "a");
    cb_recorded recorded;
    const cb_change change = { 0 };
    json_t *fields = json_object();
    expect_status(CB_PERMISSION, cb_store_open_case(store, &change, fields,
                                                    &recorded, test_error()));
    expect_contains(test_error()->next, "enrol");
    json_decref(fields);
    cb_store_close(store);
}

Test(store, lists_cases_people_and_what_waits, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    json_t *document = NULL;
    cb_case_id case_id = store_kit_case(store);
    store_kit_person(store, &case_id, "victim", "Ash");

    expect_ok(cb_store_case_list(store, &document, test_error()));
    expect_text(json_string_value(json_object_get(document, "schema")),
                "casebound.case_list.v1");
    cr_expect(json_array_size(json_object_get(document, "cases")) == 1);
    json_decref(document);
    expect_ok(cb_store_people(store, &document, test_error()));
    cr_expect(json_array_size(json_object_get(document, "people")) == 1);
    json_decref(document);
    expect_ok(cb_store_status_document(store, &document, test_error()));
    cr_expect(json_integer_value(json_object_get(document, "cases")) == 1);
    cr_expect(json_integer_value(json_object_get(document, "unsent")) ==
              (json_int_t)head_of(store));
    json_decref(document);
    expect_ok(
        cb_store_issue_list(store, "conflict", NULL, &document, test_error()));
    json_decref(document);
    expect_ok(
        cb_store_issue_list(store, "task", &case_id, &document, test_error()));
    json_decref(document);
    cb_store_close(store);
}

/* Replaying as received must not be moved by what people claim. */
Test(store, shows_a_case_as_it_stood, .init = begin, .fini = end)
{
    cb_store *store = store_kit_hub(&kit, "a");
    cb_case_state *state = NULL;
    cb_case_id case_id = store_kit_case(store);
    const cb_hash early = store_kit_fingerprint(store, &case_id);
    const int64_t then_ms = kit.now_ms;
    kit.now_ms += 86400000;
    store_kit_person(store, &case_id, "victim", "Ash");
    const cb_as_of rows[] = { CB_AS_RECEIVED, CB_AS_CLAIMED };
    for (size_t i = 0; i < 2; i++) {
        expect_ok(cb_store_case_state_at(store, &case_id, rows[i], then_ms,
                                         &state, test_error()));
        cb_hash shown = cb_case_state_fingerprint(state);
        expect_bytes(&shown, sizeof shown, &early, sizeof early);
        cb_case_state_destroy(state);
    }
    cb_store_close(store);
}
