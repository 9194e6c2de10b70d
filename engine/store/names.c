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

static const char *name_party(void *context, const cb_record_id *party)
{
    return look_up(context, "record_find", party->bytes, 2);
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
