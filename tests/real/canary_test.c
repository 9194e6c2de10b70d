/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A working day on a hub and two devices with canaries in names, references and
 * every kind of text; then every byte of every file of their folders is
 * searched, while the stores are open and when they are shut.
 */
#include <dirent.h>
#include <stdlib.h>

#include "support/expect.h"
#include "support/store_kit.h"

/* In plain, as hexadecimal, as base64 of each alignment, as wide characters. */
static const char *const canaries[] = {
    "Quillfeather",
    "5175696c6c66656174686572",
    "UXVpbGxmZWF0aGVy",
    "F1aWxsZmVhdGhlc",
    "RdWlsbGZlYXRoZX",
    "Q\0u\0i\0l\0l\0",
    STORE_KIT_PASSPHRASE,
    "RL-2026-",
    "Hub Office",
    "Test Service",
    "Anna Quill",
    "telephone",
    "post_sentence_custody",
    "casebook.entry",
    "SQLite format 3",
    "CREATE TABLE",
};

static size_t files_searched;

static bool holds(const uint8_t *bytes, size_t size, const char *text,
                  size_t text_size)
{
    for (size_t i = 0; i + text_size <= size; i++) {
        if (bytes[i] == (uint8_t)text[0] &&
            memcmp(bytes + i, text, text_size) == 0) {
            return true;
        }
    }
    return false;
}

static void search_file(const char *path)
{
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "%s", path);
    cr_assert(fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    uint8_t *bytes = malloc(size + 1);
    rewind(file);
    cr_assert(bytes != NULL && fread(bytes, 1, size, file) == size);
    fclose(file);
    for (size_t i = 0; i < sizeof canaries / sizeof canaries[0]; i++) {
        const char *text = canaries[i];
        size_t text_size = text[1] == '\0' ? 10 : strlen(text);
        cr_expect(!holds(bytes, size, text, text_size), "'%s' lies in %s", text,
                  path);
    }
    files_searched++;
    free(bytes);
}

static void search_folder(const char *folder)
{
    DIR *listing = opendir(folder);
    struct dirent *row = NULL;
    cr_assert(listing != NULL);
    while ((row = readdir(listing)) != NULL) {
        char path[2 * STORE_KIT_PATH_BYTES];
        snprintf(path, sizeof path, "%s/%s", folder, row->d_name);
        if (row->d_name[0] != '.') {
            search_file(path);
        }
    }
    closedir(listing);
}

static void search_all(const store_kit *kit)
{
    static const char *const names[] = { "hub", "anna", "bert" };
    char path[STORE_KIT_PATH_BYTES];
    for (size_t i = 0; i < 3; i++) {
        search_folder(store_kit_path(kit, names[i], path));
    }
}

static void write_texts(cb_store *store, const cb_case_id *case_id)
{
    cb_record_id harmed =
        store_kit_add(store, case_id, "person", NULL,
                      "{'role':'victim','name':'Quillfeather','aliases':"
                      "['Quillfeather the younger'],'crn':'Quillfeather1',"
                      "'do_not_contact_why':'Quillfeather asked'}");
    store_kit_person(store, case_id, "offender", "Reed Quillfeather");
    store_kit_add(store, case_id, "contact", &harmed,
                  "{'channel':'telephone','direction':'outgoing',"
                  "'outcome':'spoke','summary':'Quillfeather is willing',"
                  "'next_step':'Quillfeather calls'}");
    store_kit_add(store, case_id, "needs", &harmed,
                  "{'needs':['interpreter'],'interpreter_dialect':"
                  "'Quillfeather','details':'Quillfeather'}");
    cb_error error = { 0 };
    cb_recorded recorded;
    const cb_change change = { .case_id = *case_id, .why = "Quillfeather" };
    json_t *fields = store_kit_json("{'name':'Quillfeather-Ashdown'}");
    store_kit_must(
        cb_store_amend(store, &change, &harmed, fields, &recorded, &error),
        &error, "amending");
    cb_recorded_clear(&recorded);
    json_decref(fields);
}

Test(canary, is_nowhere_on_the_disk_after_a_day_of_work, .timeout = 60)
{
    store_kit kit;
    store_kit_begin(&kit);
    cb_store *hub = store_kit_hub(&kit, "hub");
    cb_store *anna = store_kit_device(&kit, hub, "anna", "facilitator");
    cb_store *bert = store_kit_device(&kit, hub, "bert", "facilitator");
    cb_store_identity bert_is;
    cb_store_identify(bert, &bert_is);
    for (int i = 0; i < 5; i++) {
        cb_error error = { 0 };
        cb_case_id case_id = store_kit_case(anna);
        write_texts(anna, &case_id);
        store_kit_sync(hub, anna);
        store_kit_must(
            cb_roster_permit(hub, &bert_is.person, &case_id, "VOSRCA", &error),
            &error, "permitting");
        store_kit_sync(hub, bert);
        write_texts(bert, &case_id);
        store_kit_sync(hub, bert);
        store_kit_must(cb_exchange_write_witness(anna, &error), &error,
                       "the witness");
    }
    search_all(&kit);
    cr_expect(files_searched >= 9, "%zu files", files_searched);
    cb_store_close(anna);
    cb_store_close(bert);
    cb_store_close(hub);
    search_all(&kit);

    /* The search itself finds what is there. */
    cr_expect(holds((const uint8_t *)"a Quillfeather", 14, canaries[0], 12));
    store_kit_end(&kit);
}
