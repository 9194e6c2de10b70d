/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two repositories beside a store, looked at without a network.  Every
 * object that is read is hashed again by libgit2, so a commit that is there
 * under its name is the commit that was made.
 */
#include "git/folder.h"
#include "session/stream.h"

#include <casebound/check.h>
#include <string.h>
#include <sys/stat.h>

#define COMMITS_MAX 1000000
#define PATH_BYTES  4096

struct examined {
    cb_store *store;
    cb_store_identity identity;
    const char *name;
    const char *code;
    char path[PATH_BYTES];
    cb_check_report *report;
};

static cb_status note(struct examined *place, const char *what, cb_error *error)
{
    return cb_check_note(place->report, place->code, place->name, what, error);
}

/* The statuses of a repository that is spoilt; others end the check. */
static cb_status bear(struct examined *place, cb_status status,
                      const char *subject, cb_error *words, cb_error *error)
{
    char what[CB_ERROR_TEXT_BYTES];
    if (status == CB_OK) {
        return CB_OK;
    }
    if (status == CB_NO_MEMORY || status == CB_IN_USE) {
        *error = *words;
        return status;
    }
    (void)snprintf(what, sizeof what, "%s of '%s' cannot be read: %.160s",
                   subject, place->name,
                   words->what[0] == '\0' ? cb_status_meaning(status)
                                          : words->what);
    return note(place, what, error);
}

/* Every segment that was made is there, whole. */
static cb_status check_segments(struct examined *place,
                                const cb_git_repository *repository,
                                cb_error *error)
{
    cb_own_stream own = { 0 };
    cb_status status = cb_own_stream_read(place->store, &own, error);
    for (size_t i = 0; i < own.count && status == CB_OK; i++) {
        const cb_own_step *made = &own.steps[i];
        cb_stream_step step;
        cb_error words = { .status = CB_OK };
        if (cb_is_zero(made->oid.bytes, sizeof made->oid.bytes)) {
            continue;
        }
        cb_status read = cb_stream_step_read(
            repository, &made->oid, &place->identity.stream, &step, &words);
        if (read == CB_OK) {
            cb_stream_step_clear(&step);
        }
        status = bear(place, read, "a segment", &words, error);
    }
    cb_own_stream_clear(&own);
    return status;
}

static cb_status check_refs(struct examined *place,
                            const cb_git_repository *repository,
                            cb_error *error)
{
    cb_git_ref_list refs = { 0 };
    cb_error words = { .status = CB_OK };
    cb_status read =
        cb_git_ref_list_read(repository, "refs/", CB_REFS_MAX, &refs, &words);
    cb_status status = bear(place, read, "the list of refs", &words, error);
    for (size_t i = 0; i < refs.count && status == CB_OK; i++) {
        cb_git_oid_list history = { 0 };
        cb_error trouble = { .status = CB_OK };
        read = cb_git_history_read(repository, &refs.items[i].oid, NULL,
                                   COMMITS_MAX, &history, &trouble);
        cb_git_oid_list_clear(&history);
        status = bear(place, read, "the history of a ref", &trouble, error);
    }
    cb_git_ref_list_clear(&refs);
    return status;
}

static cb_status examine(struct examined *place, bool is_outgoing,
                         cb_error *error)
{
    cb_git_repository *repository = NULL;
    cb_error words = { .status = CB_OK };
    cb_status read = cb_git_repository_open(place->path, &repository, &words);
    cb_status status = bear(place, read, "the repository", &words, error);
    if (repository != NULL) {
        if (is_outgoing) {
            status = check_segments(place, repository, error);
        }
        if (status == CB_OK) {
            status = check_refs(place, repository, error);
        }
    }
    cb_git_repository_close(repository);
    return status;
}

/* What is missing is made by the next sync; our own segments at once. */
static cb_status rebuild(struct examined *place, bool is_outgoing,
                         cb_error *error)
{
    cb_git_repository *repository = NULL;
    cb_own_stream own = { 0 };
    cb_status status =
        cb_place_open_empty(place->store, place->name, &repository, error);
    if (status == CB_OK && is_outgoing) {
        status = cb_store_begin(place->store, error);
        if (status == CB_OK) {
            status = cb_own_stream_make(place->store, repository, &own, error);
        }
        if (status == CB_OK) {
            status = cb_store_commit(place->store, error);
        } else {
            cb_store_abort(place->store);
        }
    }
    cb_own_stream_clear(&own);
    cb_git_repository_close(repository);
    return status;
}

static bool find_place(struct examined *place, cb_store *store,
                       const char *name, const char *code,
                       cb_check_report *report)
{
    struct stat found;
    *place = (struct examined){
        .store = store, .name = name, .code = code, .report = report
    };
    cb_store_identify(store, &place->identity);
    int length = snprintf(place->path, sizeof place->path, "%s/%s",
                          cb_store_folder(store), name);
    return length > 0 && (size_t)length < sizeof place->path &&
           lstat(place->path, &found) == 0 && S_ISDIR(found.st_mode);
}

static const struct {
    const char *name;
    const char *code;
    bool is_outgoing;
} places[] = {
    { CB_PLACE_OUTGOING, "outgoing.damaged", true },
    { CB_PLACE_INCOMING, "incoming.damaged", false },
};

cb_status cb_sync_check(cb_store *store, cb_check_report *report,
                        cb_error *reterr_error)
{
    cb_status status = cb_git_begin(reterr_error);
    if (status != CB_OK) {
        return status;
    }
    for (size_t i = 0; i < 2 && status == CB_OK; i++) {
        struct examined place;
        if (find_place(&place, store, places[i].name, places[i].code, report)) {
            status = examine(&place, places[i].is_outgoing, reterr_error);
        }
    }
    cb_git_end();
    return status;
}

/* Evidence of a fork is nowhere else: where it may be there, nothing goes. */
static bool may_go(struct examined *place)
{
    static const char heads[] = "/refs/heads/evidence";
    char path[PATH_BYTES + sizeof heads];
    struct stat found;
    (void)snprintf(path, sizeof path, "%s%s", place->path, heads);
    return lstat(path, &found) != 0;
}

cb_status cb_sync_repair(cb_store *store, cb_check_report *report,
                         cb_error *reterr_error)
{
    cb_status status = cb_git_begin(reterr_error);
    if (status != CB_OK) {
        return status;
    }
    for (size_t i = 0; i < 2 && status == CB_OK; i++) {
        struct examined place;
        if (cb_check_count_of(report, places[i].code) == 0 ||
            !find_place(&place, store, places[i].name, places[i].code,
                        report) ||
            !may_go(&place)) {
            continue;
        }
        status = rebuild(&place, places[i].is_outgoing, reterr_error);
        if (status == CB_OK) {
            cb_check_note_repaired(report, places[i].code);
        }
    }
    cb_git_end();
    return status;
}
