/* SPDX-License-Identifier: Apache-2.0 */
#include "store/patience.h"

#include <casebound/limits.h>
#include <inttypes.h>
#include <stdio.h>

#include "store/database.h"

/* What SQLite locks of a database, in the order of its bytes: pending,
 * reserved, and the range of the readers. */
#define LOCK_START INT64_C(0x40000000)
#define LOCK_BYTES INT64_C(512)

#define TURN_MS       25
/* Shorter than this is not worth a word. */
#define TELL_AFTER_MS 200

bool cb_database_is_held(const cb_environment *environment, const char *path)
{
    cb_holder holder = { 0 };
    return environment->find_holder != NULL &&
           environment->find_holder(environment->context, path, LOCK_START,
                                    LOCK_BYTES, &holder) == CB_OK &&
           holder.process > 0;
}

void cb_holder_words(const cb_environment *environment, const char *path,
                     char words[CB_HOLDER_WORDS_BYTES])
{
    cb_holder holder = { 0 };
    bool is_known =
        environment->find_holder != NULL &&
        environment->find_holder(environment->context, path, LOCK_START,
                                 LOCK_BYTES, &holder) == CB_OK &&
        holder.process > 0;
    bool is_named = is_known && holder.program[0] != '\0';
    if (is_known) {
        (void)snprintf(words, CB_HOLDER_WORDS_BYTES,
                       "process %" PRId64 "%s%s%s", holder.process,
                       is_named ? " (" : "", holder.program,
                       is_named ? ")" : "");
    } else {
        (void)snprintf(words, CB_HOLDER_WORDS_BYTES, "another process");
    }
}

int cb_database_wait(void *context, int turns)
{
    const cb_database *database = context;
    if (turns * TURN_MS >= CB_STORE_WAIT_MS_MAX) {
        return 0;
    }
    if (turns * TURN_MS == TELL_AFTER_MS &&
        database->patience.waiting != NULL) {
        char words[CB_HOLDER_WORDS_BYTES];
        cb_holder_words(database->environment, database->path, words);
        database->patience.waiting(database->patience.context, words);
    }
    (void)sqlite3_sleep(TURN_MS);
    return 1;
}
