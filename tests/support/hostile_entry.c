/* SPDX-License-Identifier: Apache-2.0 */
#include "support/hostile_entry.h"

#include <stdio.h>

#include "base/json.h"

cb_hash hostile_body(cb_store *store, const cb_compartment *compartment,
                     json_t *body)
{
    cb_error error = { 0 };
    cb_key key;
    cb_appended appended;
    store_kit_must(cb_store_begin(store, &error), &error, "beginning");
    store_kit_must(cb_compartment_key(store, compartment, &key, &error), &error,
                   "finding a key");
    store_kit_must(cb_append(store, CB_ENTRY_CASE, &key, &compartment->case_id,
                             body, &appended, &error),
                   &error, "appending");
    store_kit_must(cb_store_commit(store, &error), &error, "committing");
    cb_facts_forget_all(store);
    json_decref(body);
    return appended.hash;
}

json_t *hostile_plan(cb_store *store, const cb_case_id *case_id,
                     const char *class, json_t *ops, json_t *deps)
{
    cb_action_id action;
    store->environment->random(store->environment->context, action.bytes,
                               sizeof action.bytes);
    return json_pack(
        "{s:o, s:o, s:o, s:{s:s}, s:o, s:{s:I, s:s}, s:o, s:i}", "action",
        cb_json_hex(action.bytes, sizeof action.bytes), "author",
        cb_json_hex(store->identity.person.bytes, CB_IDENTIFIER_BYTES), "case",
        cb_json_hex(case_id->bytes, sizeof case_id->bytes), "compartment",
        "class", class, "deps", deps, "happened", "ms",
        (json_int_t)1767225600000, "precision", "minute", "ops", ops, "schema",
        1);
}

cb_hash hostile_entry(cb_store *store, const cb_case_id *case_id,
                      const char *class, json_t *ops, json_t *deps)
{
    const cb_compartment compartment = { .case_id = *case_id,
                                         .class = { class[0], '\0' } };
    return hostile_body(store, &compartment,
                        hostile_plan(store, case_id, class, ops, deps));
}

json_t *hostile_nothing(int number)
{
    char text[160];
    snprintf(text, sizeof text,
             "[{'op':'override','rule':'R%d',"
             "'record':'000000000000000000000000000000%02x'}]",
             number, (unsigned)number & 255);
    return store_kit_json(text);
}

void hostile_permit(cb_store *hub, cb_store *device, const cb_case_id *case_id,
                    const char *classes)
{
    cb_error error = { 0 };
    store_kit_must(cb_roster_permit(hub, &device->identity.person, case_id,
                                    classes, &error),
                   &error, "permitting");
}
