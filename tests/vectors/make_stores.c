/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the frozen stores of a version: run once, when it is released, with the
 * code of that version, and never again.
 *
 *     make_stores FOLDER
 *
 * Makes FOLDER/hub, FOLDER/field (both closed as they should be) and
 * FOLDER/killed (whose process was killed, so that its log is still there), and
 * beside each what it shows.  With CASEBOUND_TEST_NO_AES in the environment it
 * is a machine without that cipher (support/wrap/no_aes.c).
 */
#include "store/internal.h"
#include "support/store_kit.h"
#include "vectors/frozen.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static store_kit kit;

static void amend(cb_store *store, const cb_case_id *case_id,
                  const cb_record_id *record, const char *fields)
{
    cb_error error = { 0 };
    cb_recorded recorded;
    const cb_change change = { .case_id = *case_id, .why = "asked again" };
    json_t *value = store_kit_json(fields);
    store_kit_must(
        cb_store_amend(store, &change, record, value, &recorded, &error),
        &error, "amending");
    cb_recorded_clear(&recorded);
    json_decref(value);
}

static void permit(cb_store *hub, const cb_store *device,
                   const cb_case_id *case_id)
{
    cb_error error = { 0 };
    cb_store_identity identity;
    cb_store_identify(device, &identity);
    store_kit_must(
        cb_roster_permit(hub, &identity.person, case_id, "VOSRCA", &error),
        &error, "permitting");
}

/* Two people change one name apart from each other; a consent is given and
 * withdrawn. */
static void work(cb_store *hub, cb_store *anna, cb_store *bert)
{
    for (int i = 0; i < 3; i++) {
        cb_case_id case_id = store_kit_case(anna);
        cb_record_id ash =
            store_kit_person(anna, &case_id, "victim", "Ash Grove");
        store_kit_person(anna, &case_id, "offender", "Reed Marsh");
        cb_record_id consent =
            store_kit_add(anna, &case_id, "consent", &ash,
                          "{'scope':['direct_meeting'],'state':'given',"
                          "'form_version':'2','given_on':'2026-01-06'}");
        store_kit_add(anna, &case_id, "contact", &ash,
                      "{'channel':'letter','direction':'outgoing',"
                      "'outcome':'spoke','summary':'Will think about it.'}");
        store_kit_sync(hub, anna);
        permit(hub, bert, &case_id);
        store_kit_sync(hub, bert);
        amend(anna, &case_id, &ash, "{'name':'Ashley Grove'}");
        amend(bert, &case_id, &ash, "{'name':'Asha Grove'}");
        amend(bert, &case_id, &consent, "{'state':'withdrawn'}");
        store_kit_sync(hub, bert);
        store_kit_sync(hub, anna);
        store_kit_sync(hub, bert);
    }
}

/* Records without end; killed when the log holds some of it. */
static void work_and_die(const cb_case_id *case_id)
{
    cb_store *bert = store_kit_open(&kit, "killed");
    for (int i = 0; i < 3; i++) {
        store_kit_person(bert, case_id, "victim_supporter", "Fern Hill");
    }
    (void)raise(SIGKILL);
}

static void describe(const char *folder, const char *name)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_buffer text;
    cb_buffer_init(&text, FROZEN_TEXT_BYTES_MAX);
    cb_store *store = store_kit_open(&kit, name);
    frozen_describe(store, &text);
    cb_store_close(store);
    (void)snprintf(path, sizeof path, "%s/%s.txt", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(cb_buffer_text(&text), file) < 0 ||
        fclose(file) != 0) {
        perror(path);
        abort();
    }
    cb_buffer_clear(&text);
}

static void run(const char *command)
{
    if (system(command) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        abort();
    }
}

static void keep(const char *folder)
{
    static const char *const names[] = { "hub", "field", "killed" };
    char command[4 * STORE_KIT_PATH_BYTES];
    (void)snprintf(command, sizeof command, "mkdir -p '%s' && cp -r %s/* '%s'",
                   folder, kit.root, folder);
    run(command);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        describe(folder, names[i]);
    }
}

int main(int argc, char **argv)
{
    cb_error error = { 0 };
    if (argc != 2) {
        (void)fprintf(stderr, "usage: make_stores FOLDER\n");
        return 2;
    }
    store_kit_begin(&kit);
    cb_store *hub = store_kit_hub(&kit, "hub");
    cb_store *anna = store_kit_device(&kit, hub, "field", "facilitator");
    cb_store *bert = store_kit_device(&kit, hub, "killed", "facilitator");
    work(hub, anna, bert);
    cb_case_id case_id = store_kit_case(bert);
    store_kit_sync(hub, bert);
    store_kit_must(cb_exchange_write_witness(anna, &error), &error, "witness");
    store_kit_must(cb_exchange_write_witness(bert, &error), &error, "witness");
    store_kit_must(cb_exchange_write_witness(hub, &error), &error, "witness");
    cb_store_close(bert);
    cb_store_close(anna);
    cb_store_close(hub);
    pid_t child = fork();
    if (child == 0) {
        work_and_die(&case_id);
    }
    (void)waitpid(child, NULL, 0);
    keep(argv[1]);
    store_kit_end(&kit);
    return 0;
}
