/* SPDX-License-Identifier: Apache-2.0 */
/* Names for ids; an answer holds until the next question. */
#include "store/internal.h"

#include <stdio.h>
#include <string.h>

static const char *look_up(cb_store *store, const char *statement,
                           const uint8_t *id, int column)
{
    cb_query query = cb_query_begin(store->database, statement);
    cb_query_bind_blob(&query, ":id", id, CB_IDENTIFIER_BYTES);
    const char *answer = NULL;
    if (cb_query_step(&query, NULL) == CB_OK) {
        const char *text = cb_query_text(&query, column);
        if (text[0] != '\0') {
            (void)snprintf(store->name, sizeof store->name, "%s", text);
            answer = store->name;
        }
    }
    cb_query_end(&query);
    return answer;
}

static const char *name_person(void *context, const cb_person_id *person)
{
    return look_up(context, "person_find", person->bytes, 1);
}

/*
 * Anybody may give a record of a case of theirs the id of a party of another:
 * the case at hand comes first, and else an id that is not unique has no name.
 */
static const char *name_party(void *context, const cb_record_id *party)
{
    cb_store *store = context;
    const char *answer = NULL;
    const cb_case_id *here = &store->naming_case;
    cb_query query = cb_query_begin(store->database, "record_find");
    cb_query_bind_blob(&query, ":id", party->bytes, sizeof party->bytes);
    cb_query_bind_blob(&query, ":case_id", here->bytes, sizeof here->bytes);
    if (cb_query_step(&query, NULL) == CB_OK) {
        cb_span found = cb_query_blob(&query, 0);
        bool here_too =
            cb_span_equal(found, (cb_span){ here->bytes, sizeof here->bytes });
        (void)snprintf(store->name, sizeof store->name, "%s",
                       cb_query_text(&query, 2));
        if (store->name[0] != '\0' &&
            (here_too || cb_query_step(&query, NULL) == CB_END)) {
            answer = store->name;
        }
    }
    cb_query_end(&query);
    return answer;
}

void cb_names_begin(cb_store *store)
{
    store->naming = (cb_naming){
        .context = store,
        .person = name_person,
        .party = name_party,
    };
}

const cb_naming *cb_store_naming(cb_store *store)
{
    return &store->naming;
}
