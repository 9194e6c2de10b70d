/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things lie: the names of refs, and the two repositories in the folder
 * of a store.
 *
 * Both are derived.  `outgoing.git` holds what this store publishes,
 * `incoming.git` what it has received and checked; whichever is missing or
 * cannot be opened is made anew, and filled again from the store or from the
 * log host.
 */
#ifndef CASEBOUND_SESSION_PLACE_H
#define CASEBOUND_SESSION_PLACE_H

#include "git/fetch.h"

#include <casebound/exchange.h>
#include <casebound/sync.h>

#define CB_PLACE_OUTGOING "outgoing.git"
#define CB_PLACE_INCOMING "incoming.git"
#define CB_PLACE_POST     "post.git"

#define CB_REF_LOG           "refs/heads/log"
#define CB_REF_DEVICE_PREFIX "refs/heads/device/"
#define CB_REF_OUTBOX_PREFIX "refs/heads/outbox/"
#define CB_REF_UP_PREFIX     "refs/heads/up/"
#define CB_REF_DOWN_PREFIX   "refs/heads/down/"

/* Refs of one log host: two for each device, and room for the past. */
#define CB_REFS_MAX 65536

typedef struct cb_ref_name {
    char text[CB_GIT_REF_TEXT_BYTES];
} cb_ref_name;

/* The prefix and 16 bytes in hexadecimal. */
cb_ref_name cb_ref_make(const char *prefix, const uint8_t *identifier);

/* The identifier of exactly such a name, or false. */
CB_NODISCARD bool cb_ref_parse(const char *name, const char *prefix,
                               uint8_t *ret_identifier);

/* What a list says of one name, or NULL. */
const cb_git_oid *cb_ref_find(const cb_git_ref_list *list, const char *name);

/*
 * Opens one of the two repositories of a store, made where it is not, for this
 * process alone.
 */
CB_NODISCARD cb_status cb_place_open(cb_store *store, const char *name,
                                     cb_git_repository **ret_repository,
                                     cb_error *reterr_error);

/* The same, but always empty; for what must not stay: see cb_place_remove. */
CB_NODISCARD cb_status cb_place_open_empty(cb_store *store, const char *name,
                                           cb_git_repository **ret_repository,
                                           cb_error *reterr_error);

/* Closes it and removes its folder; NULL is allowed. */
void cb_place_remove(cb_git_repository *repository);

/* The ref's commit, or false where there is none that can be used. */
bool cb_place_held(const cb_git_repository *repository, const char *ref,
                   cb_git_oid *ret_oid);

/* Makes a ref name a commit, whatever it named before. */
CB_NODISCARD cb_status cb_place_point(cb_git_repository *repository,
                                      const char *ref, const cb_git_oid *oid,
                                      cb_error *reterr_error);

/*
 * Receives a ref into the repository, from the commit that is held of it; where
 * what is held is no longer all there, from the beginning.  As
 * cb_git_fetch_begin.
 */
CB_NODISCARD cb_status cb_place_fetch(cb_git_repository *repository,
                                      const cb_transport *transport,
                                      const char *remote, const char *ref,
                                      const cb_git_oid *have,
                                      cb_git_fetch **ret_fetch,
                                      cb_error *reterr_error);

/* Marks of the sync module with a fixed size; CB_NOT_FOUND without text where
 * there is none, CB_DAMAGED. */
CB_NODISCARD cb_status cb_mark_get(cb_store *store, const char *name,
                                   void *bytes, size_t size,
                                   cb_error *reterr_error);
CB_NODISCARD cb_status cb_mark_put(cb_store *store, const char *name,
                                   const void *bytes, size_t size,
                                   cb_error *reterr_error);

/* Copies words for a person: printable ASCII, cut at the end. */
void cb_words_copy(char *text, size_t size, const char *words);

/* True where the caller wants to stop; sets CB_INTERRUPTED. */
bool cb_progress_stop(const cb_sync_progress *progress, cb_error *reterr_error);
void cb_progress_step(const cb_sync_progress *progress, const char *phase,
                      uint64_t done, uint64_t total);

#endif
