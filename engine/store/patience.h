/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for another process that has the database, and saying who it is.
 *
 * The locks themselves are the answer, SQLite's own on the database file: they
 * end with the process, so nobody stale is ever named.
 */
#ifndef CASEBOUND_STORE_PATIENCE_H
#define CASEBOUND_STORE_PATIENCE_H

#include <casebound/environment.h>

#define CB_HOLDER_WORDS_BYTES 128

/* Whom to tell that it is being waited; see cb_store_options. */
typedef struct cb_patience {
    void (*waiting)(void *context, const char *holder); /* or NULL */
    void *context;
} cb_patience;

/*
 * "process 4711 (casebound sync)", "process 4711", or "another process" where
 * no more is known.
 */
void cb_holder_words(const cb_environment *environment, const char *path,
                     char words[CB_HOLDER_WORDS_BYTES]);

/* Whether another process has the database at this moment. */
bool cb_database_is_held(const cb_environment *environment, const char *path);

/* SQLite's busy handler; the context is the cb_database. */
int cb_database_wait(void *context, int turns);

#endif
