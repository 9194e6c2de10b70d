/* SPDX-License-Identifier: Apache-2.0 */
/* What the list of cases says while a case is being written to. */
#include "base/json.h"
#include "store/internal.h"
#include "support/expect.h"
#include "support/store_kit.h"

#include <casebound/check.h>

#include <stdlib.h>

#define CONTACT \
    "{'channel':'telephone','direction':'outgoing','outcome':'no_answer'}"

static store_kit kit;
static cb_store *store;
static cb_case_id case_id;

static void begin(void)
{
    store_kit_begin(&kit);
    store = store_kit_hub(&kit, "hub");
    case_id = store_kit_case(store);
    const cb_record_id ann =
        store_kit_person(store, &case_id, "victim", "Ann Hill");
    for (int i = 0; i < 3; i++) {
        (void)store_kit_add(store, &case_id, "contact", &ann, CONTACT);
    }
}

static void end(void)
{
    cb_store_close(store);
    store_kit_end(&kit);
}

/* Whether the row itself says it, or leaves it for later. */
static bool is_in_row(cb_store *of)
{
    uint8_t bytes[CB_HASH_BYTES] = { 0 };
    cb_query query = cb_query_begin(of->database, "case_list");
    expect_ok(cb_query_step(&query, test_error()));
    cr_assert(cb_query_copy(&query, 7, bytes, sizeof bytes));
    cb_query_end(&query);
    return !cb_is_zero(bytes, sizeof bytes);
}

static void expect_listed(cb_store *of, const char *label)
{
    char wanted[CB_FINGERPRINT_SHORT_BYTES];
    int64_t entries = 0;
    json_t *list = NULL;
    cb_case_state *state = NULL;
    const cb_hash hash = store_kit_fingerprint(of, &case_id);
    cb_fingerprint_short(&hash, wanted);
    expect_ok(cb_store_case_state(of, &case_id, &state, test_error()));
    expect_ok(cb_store_case_list(of, &list, test_error()));
    const json_t *row = json_array_get(cb_json_array(list, "cases"), 0);
    cr_expect_str_eq(cb_json_text(row, "fingerprint"), wanted, "%s", label);
    cr_expect(cb_json_integer(row, "entries", &entries) &&
                  (size_t)entries == cb_case_state_fact_count(state),
              "%s: %lld entries", label, (long long)entries);
    cb_case_state_destroy(state);
    json_decref(list);
}

Test(fingerprint, is_listed_as_the_case_is_and_written_at_the_end,
     .init = begin, .fini = end)
{
    cr_expect(!is_in_row(store));
    expect_listed(store, "while it is written to");
    cb_store_close(store);
    store = store_kit_open(&kit, "hub");
    cr_expect(is_in_row(store));
    expect_listed(store, "after the end");
}

Test(fingerprint, is_taken_later_where_there_was_no_end, .init = begin,
     .fini = end)
{
    char command[3 * STORE_KIT_PATH_BYTES];
    char path[STORE_KIT_PATH_BYTES];
    cb_check_report *report = NULL;
    snprintf(command, sizeof command, "cp -r '%s/hub' '%s/cut'", kit.root,
             kit.root);
    cr_assert(system(command) == 0);
    const cb_store_options options =
        store_kit_options(&kit, store_kit_path(&kit, "cut", path));
    const cb_check_options look = { .store = &options,
                                    .passphrase = kit.passphrase };
    expect_ok(cb_store_check(&look, &report, test_error()));
    expect_ok(cb_check_outcome(report, test_error()));
    cb_check_report_destroy(report);
    cb_store *cut = store_kit_open(&kit, "cut");
    cr_expect(!is_in_row(cut));
    expect_listed(cut, "after a cut");
    cb_store_close(cut);
}

Test(fingerprint, is_not_written_of_what_was_taken_back, .init = begin,
     .fini = end)
{
    const cb_hash before = store_kit_fingerprint(store, &case_id);
    expect_ok(cb_store_begin(store, test_error()));
    (void)store_kit_add(store, &case_id, "allocation", NULL,
                        "{'lead':'"
                        "00000000000000000000000000000001'}");
    cb_store_abort(store);
    const cb_hash after = store_kit_fingerprint(store, &case_id);
    cr_expect(memcmp(&before, &after, sizeof before) == 0);
    expect_listed(store, "after taking back");
    cb_store_close(store);
    store = store_kit_open(&kit, "hub");
    expect_listed(store, "after taking back and the end");
}
