/* SPDX-License-Identifier: Apache-2.0 */
/* A store with a case, a passphrase and a recovery key, whose master key is to
 * be replaced. */
#ifndef CASEBOUND_TESTS_ROTATE_KIT_H
#define CASEBOUND_TESTS_ROTATE_KIT_H

#include "store/internal.h"
#include "support/store_kit.h"

typedef struct rotate_kit {
    store_kit kit;
    char folder[STORE_KIT_PATH_BYTES]; /* the store "a" */
    cb_store_options options;
    cb_case_id case_id;
    cb_hash fingerprint; /* of the case, before */
    cb_secret *old_key;
    cb_secret *recovery; /* before */
    cb_secret *newer;    /* after */
} rotate_kit;

/* The one of this test, which is a process of its own. */
extern rotate_kit the;

void rotate_kit_begin(void);
void rotate_kit_end(void);

/* With the right passphrase; the error is test_error(). */
cb_status rotate(cb_store *store, const cb_secret *recovery_key);

/* A file of the store; valid until the next call. */
char *path_of(const char *name);

/* The case as it was. */
void expect_content(cb_store *store);
bool has_old_key(const cb_store *store);

/* Names that nothing but a rotation leaves; how many there are. */
int leftovers(void);
bool unlock_names_previous(void);

/* Whether every page of a database file opens with a key. */
bool opens(const char *path, const cb_secret *key);

#endif
