/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check_kit.h"

#include <stdlib.h>
#include <string.h>

cb_case_id check_case;

#define COMMAND_BYTES (3 * STORE_KIT_PATH_BYTES)

static cb_record_id fill(cb_store *store)
{
    check_case = store_kit_case(store);
    cb_record_id ash = store_kit_person(store, &check_case, "victim", "Ash");
    store_kit_person(store, &check_case, "offender", "Elm");
    store_kit_add(store, &check_case, "consent", &ash,
                  "{'scope':['direct_meeting'],'state':'withdrawn',"
                  "'form_version':'3'}");
    return ash;
}

static void rename_person(cb_store *store, const cb_record_id *person,
                          const char *fields)
{
    const cb_change change = { .case_id = check_case, .why = "asked again" };
    cb_recorded recorded;
    json_t *value = store_kit_json(fields);
    expect_ok(
        cb_store_amend(store, &change, person, value, &recorded, test_error()));
    cb_recorded_clear(&recorded);
    json_decref(value);
}

/* Two people who say different things make a conflict. */
static void disagree(const cb_record_id *person)
{
    const cb_person_id other = identity_of(bert).person;
    expect_ok(
        cb_roster_permit(hub, &other, &check_case, "VOSRCA", test_error()));
    store_kit_sync(hub, bert);
    rename_person(anna, person, "{'name':'Ashley'}");
    rename_person(bert, person, "{'name':'Asha'}");
    store_kit_sync(hub, bert);
    store_kit_sync(hub, anna);
    store_kit_sync(hub, bert);
}

void check_begin(void)
{
    store_kit_begin(&kit);
    hub = store_kit_hub(&kit, "hub");
    anna = store_kit_device(&kit, hub, "anna", "facilitator");
    bert = store_kit_device(&kit, hub, "bert", "facilitator");
    fill(bert);
    cb_record_id ash = fill(anna);
    store_kit_sync(hub, bert);
    store_kit_sync(hub, anna);
    disagree(&ash);
    store_kit_person(anna, &check_case, "victim_supporter", "Oak");
    cb_store_close(bert);
    cb_store_close(anna);
    cb_store_close(hub);
}

void check_end(void)
{
    store_kit_end(&kit);
}

void check_copy(const char *from, const char *to)
{
    char command[COMMAND_BYTES];
    snprintf(command, sizeof command, "cd '%s' && rm -rf '%s' && cp -r %s %s",
             kit.root, to, from, to);
    if (system(command) != 0) {
        abort();
    }
}

void check_plant(const char *name, const char *sql)
{
    char *problem = NULL;
    cb_store *store = store_kit_open(&kit, name);
    sqlite3 *connection = store->database->connection;
    if (sqlite3_exec(connection, "PRAGMA foreign_keys=OFF", NULL, NULL, NULL) !=
            SQLITE_OK ||
        sqlite3_exec(connection, sql, NULL, NULL, &problem) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, problem);
        abort();
    }
    cr_assert(strncmp(sql, "UPDATE", 6) != 0 || sqlite3_changes(connection) > 0,
              "nothing was planted: %s", sql);
    cb_store_close(store);
}

static cb_check_report *run(const char *name, bool repair)
{
    char path[STORE_KIT_PATH_BYTES];
    cb_check_report *report = NULL;
    const cb_store_options store =
        store_kit_options(&kit, store_kit_path(&kit, name, path));
    const cb_check_options options = { .store = &store,
                                       .passphrase = kit.passphrase,
                                       .repair = repair };
    expect_ok(cb_store_check(&options, &report, test_error()));
    return report;
}

cb_check_report *check_look(const char *name)
{
    return run(name, false);
}

cb_check_report *check_repair(const char *name)
{
    return run(name, true);
}

const cb_finding *check_find(const cb_check_report *report, const char *code)
{
    for (size_t i = 0; i < cb_check_finding_count(report); i++) {
        const cb_finding *finding = cb_check_finding(report, i);
        if (strcmp(finding->code, code) == 0) {
            return finding;
        }
    }
    return NULL;
}

const char *check_codes(const cb_check_report *report)
{
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < cb_check_finding_count(report) &&
                       used < sizeof text - CB_ERROR_TEXT_BYTES - 64;
         i++) {
        const cb_finding *finding = cb_check_finding(report, i);
        used += (size_t)snprintf(text + used, sizeof text - used, "[%s: %s%s] ",
                                 finding->code, finding->what,
                                 finding->repaired ? " (repaired)" : "");
    }
    return text;
}

void expect_well(const char *name, const char *when)
{
    cb_check_report *report = check_look(name);
    cr_expect(cb_check_outcome(report, NULL) == CB_OK &&
                  cb_check_finding_count(report) == 0,
              "%s: %s", when, check_codes(report));
    cb_check_report_destroy(report);
}

uint8_t *check_read(const char *name, const char *file, size_t *ret_size)
{
    char path[2 * STORE_KIT_PATH_BYTES];
    char folder[STORE_KIT_PATH_BYTES];
    cb_buffer content;
    cb_buffer_init(&content, (size_t)1 << 26);
    snprintf(path, sizeof path, "%s/%s", store_kit_path(&kit, name, folder),
             file);
    expect_ok(kit.environment.read_file(kit.environment.context, path, &content,
                                        test_error()));
    uint8_t *bytes = malloc(content.size + 1);
    if (content.size > 0) {
        memcpy(bytes, content.bytes, content.size);
    }
    *ret_size = content.size;
    cb_buffer_clear(&content);
    return bytes;
}

void check_write(const char *name, const char *file, const uint8_t *bytes,
                 size_t size)
{
    char path[2 * STORE_KIT_PATH_BYTES];
    char folder[STORE_KIT_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", store_kit_path(&kit, name, folder),
             file);
    expect_ok(kit.environment.replace_file(
        kit.environment.context, path, (cb_span){ bytes, size }, test_error()));
}
