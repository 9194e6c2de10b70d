/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a check, and of a repair after it. */
#include "store/check.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_INSTRUCTIONS 100000
#define LOOK_ATTEMPTS         3

static bool wants_to_stop(const cb_check *check)
{
    const cb_check_progress *progress = check->options->progress;
    return progress != NULL && progress->interrupted != NULL &&
           progress->interrupted(progress->context);
}

static cb_status interrupted(cb_check *check)
{
    cb_status status = cb_error_set(&check->error, CB_INTERRUPTED,
                                    "the check was interrupted");
    cb_error_meaning(&check->error, "nothing was changed");
    return status;
}

cb_status cb_check_step(cb_check *check, const char *phase, uint64_t done,
                        uint64_t total)
{
    const cb_check_progress *progress = check->options->progress;
    if (progress != NULL && progress->step != NULL) {
        progress->step(progress->context, phase, done, total);
    }
    return wants_to_stop(check) ? interrupted(check) : CB_OK;
}

cb_status cb_check_bear(cb_check *check, cb_status status,
                        const cb_error *words, const cb_check_place *place,
                        const char *subject)
{
    switch ((int)status) {
    case CB_OK: return CB_OK;
    case CB_NO_MEMORY:
    case CB_NO_SPACE:
    case CB_IN_USE:
        check->error = *words;
        return cb_error_set(&check->error, status, "%s", words->what);
    case CB_INTERRUPTED: return interrupted(check);
    default:
        return cb_check_found(check, CB_CHECK_STRUCTURE_UNREADABLE, place,
                              "%s could not be read: %s", subject,
                              words->what[0] == '\0' ? cb_status_meaning(status)
                                                     : words->what);
    }
}

cb_status cb_check_keep(cb_check *check, cb_check_list *list, const void *item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        uint8_t *grown = realloc(list->bytes, capacity * list->size);
        if (grown == NULL) {
            return cb_error_set(&check->error, CB_NO_MEMORY, "out of memory");
        }
        list->bytes = grown;
        list->capacity = capacity;
    }
    memcpy(list->bytes + list->count * list->size, item, list->size);
    list->count++;
    return CB_OK;
}

void cb_check_list_clear(cb_check_list *list)
{
    free(list->bytes);
    *list = (cb_check_list){ .size = list->size };
}

const void *cb_check_kept(const cb_check_list *list, size_t index)
{
    CB_ASSERT(index < list->count);
    return list->bytes + index * list->size;
}

cb_check_place cb_check_at_file(const char *name)
{
    cb_check_place place = { .page = 0 };
    (void)snprintf(place.file, sizeof place.file, "%s", name);
    return place;
}

cb_check_place cb_check_at_subject(const char *subject)
{
    cb_check_place place = { .page = 0 };
    (void)snprintf(place.subject, sizeof place.subject, "%s", subject);
    return place;
}

cb_check_place cb_check_at_entry(const cb_stream_id *stream, uint64_t seq)
{
    return (
        cb_check_place){ .has_stream = true, .stream = *stream, .seq = seq };
}

cb_check_place cb_check_at_case(const cb_case_id *case_id)
{
    return (cb_check_place){ .has_case = true, .case_id = *case_id };
}

/* ------------------------------------------------------------------ looking */

static int stop_statement(void *context)
{
    return wants_to_stop(context);
}

static cb_status look(cb_check *check)
{
    static cb_status (*const steps[])(cb_check *) = {
        cb_check_files,     cb_check_unlock,   cb_check_pages,
        cb_check_structure, cb_check_identity, cb_check_entries,
        cb_check_roster,    cb_check_state,    cb_check_witness,
    };

    cb_status status = CB_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == CB_OK;
         i++) {
        if (check->store->database != NULL) {
            sqlite3_progress_handler(check->store->database->connection,
                                     PROGRESS_INSTRUCTIONS, stop_statement,
                                     check);
        }
        status = steps[i](check);
    }
    return status;
}

static cb_status begin(cb_check *check, const cb_check_options *options,
                       cb_error *error)
{
    *check = (cb_check){
        .options = options,
        .cases.size = sizeof(cb_case_id),
        .entries.size = sizeof(cb_check_entry),
        .heads.size = sizeof(cb_check_head),
    };
    cb_status status =
        cb_store_allocate(options->store, &check->store, &check->error);
    if (status == CB_OK) {
        check->environment = check->store->environment;
        status = cb_check_report_create(options->store->folder, &check->report,
                                        &check->error);
    }
    if (status != CB_OK && error != NULL) {
        *error = check->error;
    }
    return status;
}

static void end(cb_check *check)
{
    if (check->store != NULL && check->store->database != NULL) {
        cb_database *database = check->store->database;
        sqlite3_progress_handler(database->connection, 0, NULL, NULL);
        cb_database_abort(database);
        if (check->pages_sound) {
            cb_database_settle_on_close(database);
        }
    }
    cb_store_close(check->store);
    cb_check_report_destroy(check->report);
    free(check->cases.bytes);
    free(check->entries.bytes);
    free(check->heads.bytes);
    *check = (cb_check){ .store = NULL };
}

/* Begins and looks, from the start where the store has become another. */
static cb_status begin_and_look(cb_check *check,
                                const cb_check_options *options,
                                cb_error *error)
{
    cb_status status = CB_OK;
    for (int i = 1;; i++) {
        status = begin(check, options, error);
        if (status == CB_OK) {
            status = look(check);
        }
        if (!check->again || i == LOOK_ATTEMPTS) {
            return status;
        }
        end(check);
    }
}

/* ---------------------------------------------------------------- repairing */

/* What a repair leaves: the same check from the start, with a new handle. */
static cb_status look_again(cb_check *check)
{
    cb_check later;
    cb_check_options options = *check->options;
    options.repair = false;
    cb_database_settle_on_close(check->store->database);
    cb_store_close(check->store);
    check->store = NULL;
    cb_status status = begin_and_look(&later, &options, &check->error);
    if (status == CB_OK) {
        status =
            cb_check_report_settle(check->report, later.report, &check->error);
    } else {
        check->error = later.error;
    }
    end(&later);
    return status;
}

static cb_status announce(cb_check *check)
{
    const cb_check_options *options = check->options;
    return options->before_repair == NULL
               ? CB_OK
               : options->before_repair(options->context, check->report,
                                        &check->error);
}

static cb_status repair(cb_check *check)
{
    cb_status status = announce(check);
    if (status == CB_OK) {
        status = cb_store_begin(check->store, &check->error);
    }
    if (status == CB_OK) {
        status = cb_check_run_repair(check);
    }
    if (status == CB_OK) {
        status = cb_store_commit(check->store, &check->error);
    }
    if (status != CB_OK) {
        cb_database_abort(check->store->database);
        cb_error_meaning(&check->error, "nothing was changed");
        return status;
    }
    return look_again(check);
}

/*
 * The table of page versions comes first: behind a damaged one nothing can be
 * read.  It is made of pages that were found sound, and everything is looked at
 * again afterwards.
 */
static cb_status repair_table(cb_check *check, cb_error *error)
{
    const cb_check_options *options = check->options;
    cb_status status = cb_check_report_plan(check->report, &check->error,
                                            "make the table of page versions "
                                            "anew");
    if (status == CB_OK) {
        status = announce(check);
    }
    if (status == CB_OK) {
        status = cb_database_track_pages(check->store->database,
                                         /* anew= */ true, &check->error);
    }
    if (status != CB_OK) {
        return status;
    }
    check->pages_sound = true;
    end(check);
    status = begin_and_look(check, options, error);
    if (status == CB_OK) {
        status = cb_check_note(
            check->report, "pages.table", "casebook.db-pages",
            "the table of page versions did not hold", &check->error);
        cb_check_note_repaired(check->report, "pages.table");
    }
    return status;
}

cb_status cb_store_check(const cb_check_options *options,
                         cb_check_report **ret_report, cb_error *reterr_error)
{
    cb_check check;
    cb_status status = begin_and_look(&check, options, reterr_error);
    if (status == CB_OK && options->repair &&
        cb_check_seen(&check, CB_CHECK_PAGES_TABLE) > 0 &&
        !cb_check_report_refuses(check.report)) {
        status = repair_table(&check, reterr_error);
    }
    if (status == CB_OK) {
        status = cb_check_plan_repair(&check);
    }
    if (status == CB_OK && options->repair &&
        cb_check_repair_count(check.report) > 0) {
        status = repair(&check);
    }
    if (status == CB_OK) {
        *ret_report = check.report;
        check.report = NULL;
    } else if (reterr_error != NULL && check.error.status != CB_OK) {
        *reterr_error = check.error;
    }
    end(&check);
    return status;
}
