/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key, the pages of the database, and its log.
 *
 * A page that was being copied out of the log when the power failed is torn in
 * the database without harm: the log has it.  So what does not verify is
 * damage only where the log does not name the page, and the log is emptied
 * into the database only where nothing else is wrong.
 */
#include "store/check.h"

#include <stdlib.h>
#include <string.h>

#define DATABASE "casebook.db"
#define LOG      "casebook.db-wal"
#define TABLE    "casebook.db-pages"

/* ---------------------------------------------------------------- unlocking */

static bool is_there(const cb_check *check, const char *name)
{
    cb_file_facts facts;
    char *path = cb_store_path(check->options->store->folder, name);
    bool there = path != NULL &&
                 check->environment->look_at(check->environment->context, path,
                                             &facts, NULL) == CB_OK;
    free(path);
    return there;
}

static cb_status report_unlock(cb_check *check, cb_status status,
                               const cb_error *words)
{
    const cb_check_place place = cb_check_at_file("unlock.json");
    switch ((int)status) {
    case CB_DAMAGED:
        return cb_check_found(check, CB_CHECK_UNLOCK_DAMAGED, &place,
                              "'unlock.json' is damaged");
    case CB_PERMISSION:
    case CB_IO:
        return cb_check_found(check, CB_CHECK_FILE_UNREADABLE, &place, "%s",
                              words->what);
    default: check->error = *words; return status;
    }
}

/* What the key that came out of it says of the file itself. */
static cb_status check_slots(cb_check *check)
{
    const cb_store *store = check->store;
    const cb_check_place place = cb_check_at_file("unlock.json");
    cb_status status = CB_OK;
    if (store->unlock.rotten) {
        status = cb_check_found(check, CB_CHECK_UNLOCK_ROTTEN, &place,
                                "'unlock.json' is not as it was written, "
                                "though it still opens");
    } else if (store->unlock_altered) {
        status = cb_check_found(check, CB_CHECK_UNLOCK_ALTERED, &place,
                                "'unlock.json' was put together by somebody "
                                "else");
    }
    if (status == CB_OK && store->unlock.previous.used) {
        status = cb_check_found(check, CB_CHECK_UNLOCK_ROTATING, &place,
                                "another master key is being put in place");
    }
    return status;
}

cb_status cb_check_unlock(cb_check *check)
{
    cb_error words = { .status = CB_OK };
    const cb_check_options *options = check->options;
    const cb_credential credential = {
        .kind = options->passphrase == NULL ? CB_CREDENTIAL_KEPT
                                            : CB_CREDENTIAL_PASSPHRASE,
        .secret = options->passphrase,
    };
    if (cb_check_step(check, "opening", 0, 0) != CB_OK) {
        return CB_INTERRUPTED;
    }
    if (!is_there(check, "unlock.json")) {
        return CB_OK;
    }
    cb_status status = cb_keys_take(check->store, &credential, &words);
    if (status != CB_OK) {
        return report_unlock(check, status, &words);
    }
    check->has_key = true;
    status = check_slots(check);
    /* Before anything is opened, see witness.c. */
    return status == CB_OK
               ? cb_witness_open(check->store, options->store->witness_folder,
                                 &check->error)
               : status;
}

static cb_status in_use(cb_check *check, const char *path)
{
    char words[CB_HOLDER_WORDS_BYTES];
    cb_holder_words(check->environment, path, words);
    cb_status status =
        cb_error_set(&check->error, CB_IN_USE, "the store '%s' is in use by %s",
                     check->options->store->folder, words);
    cb_error_meaning(&check->error, "nothing was changed");
    cb_error_next(&check->error, "try again when that is done");
    return status;
}

/*
 * The files were looked at and unlock.json was read without the lock.  Where
 * another process has replaced the master key or the database since, or has
 * tidied up after itself, nothing of that is so any more.
 */
static cb_status demand_same(cb_check *check, const char *path)
{
    const cb_store *store = check->store;
    bool current = true;
    bool known = cb_keys_look_again(store, &current, NULL) == CB_OK;
    bool moved =
        store->database != NULL && cb_database_has_moved(store->database);
    bool tidied =
        check->held && cb_check_seen(check, CB_CHECK_FILE_LEFTOVER) > 0;
    check->again = moved || tidied || (known && !current);
    return check->again ? in_use(check, path) : CB_OK;
}

/* -------------------------------------------------------------------- pages */

struct scan {
    struct cb_vfs_damage found[CB_CHECK_PAGES_MAX];
    size_t count;
    uint64_t total;
    uint64_t unreadable; /* pages of the database */
    uint64_t stale;      /* of those that are not among `found` */
    struct cb_vfs_scrub_result result;
    cb_status status;
    cb_error words;
};

static void note_page(void *context, const struct cb_vfs_damage *damage)
{
    struct scan *scan = context;
    if (scan->count < CB_CHECK_PAGES_MAX) {
        scan->found[scan->count++] = *damage;
    } else {
        scan->stale += damage->fault == CB_VFS_FAULT_STALE;
    }
    scan->total++;
    scan->unreadable +=
        damage->kind == CB_VFS_MAIN && damage->fault == CB_VFS_FAULT_UNREADABLE;
}

static void scan_pages(cb_vfs *vfs, const char *path, struct scan *scan)
{
    scan->count = 0;
    scan->total = 0;
    scan->unreadable = 0;
    scan->stale = 0;
    cb_error_clear(&scan->words);
    scan->status =
        cb_vfs_scrub(vfs, path, note_page, scan, &scan->result, &scan->words);
    cb_vfs_forget_damage(vfs);
}

/* Pages of the log are taken off the list of those that are damaged. */
static void forgive_page(void *context, uint64_t page)
{
    struct scan *scan = context;
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->found[i].number == page &&
            scan->found[i].kind == CB_VFS_MAIN &&
            scan->found[i].fault != CB_VFS_FAULT_TRUNCATED) {
            scan->found[i] = scan->found[--scan->count];
            scan->total--;
            return;
        }
    }
}

/* It says nothing about content, so it can be made anew. */
static cb_status report_table(cb_check *check,
                              const struct cb_vfs_damage *damage)
{
    cb_check_place place = cb_check_at_file(TABLE);
    place.page = damage->number;
    return damage->fault == CB_VFS_FAULT_MISSING
               ? cb_check_found(check, CB_CHECK_PAGES_TABLE, &place,
                                "'" TABLE "' is missing")
               : cb_check_found(check, CB_CHECK_PAGES_TABLE, &place,
                                "a block of '" TABLE "' does not verify");
}

static cb_status report_page(cb_check *check,
                             const struct cb_vfs_damage *damage)
{
    cb_check_place place = cb_check_at_file(DATABASE);
    unsigned long long number = damage->number;
    place.page = damage->number;
    if (damage->kind == CB_VFS_TABLE) {
        return report_table(check, damage);
    }
    switch ((int)damage->fault) {
    case CB_VFS_FAULT_STALE:
        return cb_check_found(check, CB_CHECK_PAGE_STALE, &place,
                              "page %llu of '" DATABASE "' is an older one of "
                              "the same page",
                              number);
    case CB_VFS_FAULT_TRUNCATED:
        return cb_check_found(check, CB_CHECK_DATABASE_TRUNCATED, &place,
                              "'" DATABASE "' ends before page %llu", number);
    default:
        return cb_check_found(check, CB_CHECK_PAGE_UNREADABLE, &place,
                              "page %llu of '" DATABASE "' does not verify",
                              number);
    }
}

/*
 * One page after another, or all of them for the same reason.  A table with a
 * damaged top cannot call a page stale: it may be what is old itself.
 */
static cb_status report_pages(cb_check *check, const struct scan *scan)
{
    const struct cb_vfs_damage whole_table = { .kind = CB_VFS_TABLE,
                                               .fault =
                                                   CB_VFS_FAULT_UNREADABLE };
    const cb_check_place place = cb_check_at_file(DATABASE);
    cb_status status = CB_OK;
    if (scan->unreadable > 0 && scan->unreadable == scan->result.pages) {
        check->report->unfinished = true;
        return cb_check_found(check, CB_CHECK_DATABASE_FOREIGN, &place,
                              "no page of '" DATABASE "' opens with the key of "
                              "'unlock.json'");
    }
    const bool doubtful = scan->result.table_doubtful;
    bool table = doubtful && scan->stale > 0;
    uint64_t unlisted = scan->total - (doubtful ? scan->stale : 0);
    for (size_t i = 0; i < scan->count && status == CB_OK; i++) {
        if (doubtful && scan->found[i].fault == CB_VFS_FAULT_STALE) {
            table = true;
        } else {
            status = report_page(check, &scan->found[i]);
        }
    }
    if (table && status == CB_OK) {
        status = report_table(check, &whole_table);
    }
    for (uint64_t i = scan->count; i < unlisted && status == CB_OK; i++) {
        status = cb_check_found(check, CB_CHECK_PAGE_UNREADABLE, &place,
                                "a page of '" DATABASE "' does not verify");
    }
    return status;
}

/* What is no page's fault: the head, the cipher, the file as a whole. */
static cb_status report_head(cb_check *check, const struct scan *scan)
{
    cb_check_place place = cb_check_at_file(DATABASE);
    switch ((int)scan->status) {
    case CB_REFUSED:
        check->report->unfinished = true;
        return cb_check_found(check, CB_CHECK_CIPHER_MISSING, &place,
                              "'" DATABASE "' uses a cipher that this machine "
                              "lacks");
    case CB_NEWER:
        check->report->unfinished = true;
        return cb_check_found(check, CB_CHECK_STRUCTURE_NEWER, &place,
                              "'" DATABASE "' was written by a newer version");
    case CB_WRONG_KEY:
        place.page = 1;
        return cb_check_found(check, CB_CHECK_PAGE_UNREADABLE, &place,
                              "page 1 of '" DATABASE "' does not begin as it "
                              "must");
    default:
        return cb_check_bear(check, scan->status, &scan->words, &place,
                             "'" DATABASE "'");
    }
}

/* ---------------------------------------------------------------------- log */

/* SQLite walks the log when the first question is asked. */
static cb_status open_log(cb_check *check, bool *ret_sound)
{
    cb_database *database = check->store->database;
    struct cb_vfs_damage damage;
    cb_check_place place = cb_check_at_file(LOG);
    cb_error words = { .status = CB_OK };
    int version = 0;
    uint64_t frames = 0;
    cb_status status = cb_database_version(database, &version, &words);
    /* Without a log to read, SQLite need not make one. */
    if (status == CB_PERMISSION &&
        cb_vfs_log_pages(database->vfs, database->path, NULL, NULL, &frames,
                         NULL) == CB_OK &&
        frames == 0 && cb_database_look_frozen(database, NULL) == CB_OK) {
        cb_error_clear(&words);
        status = cb_database_version(database, &version, &words);
    }
    *ret_sound = status == CB_OK;
    check->readable = status == CB_OK && version > 0;
    if (status == CB_IN_USE || status == CB_NO_MEMORY ||
        status == CB_PERMISSION) {
        check->error = words;
        return status;
    }
    if (status == CB_OK || !cb_vfs_damage(database->vfs, &damage) ||
        damage.kind != CB_VFS_WAL) {
        cb_vfs_forget_damage(database->vfs);
        return CB_OK;
    }
    cb_vfs_forget_damage(database->vfs);
    place.page = damage.number;
    return cb_check_found(check, CB_CHECK_LOG_DAMAGED, &place,
                          damage.number == 0
                              ? "the head of '" LOG "' is damaged and hides "
                                "frames"
                              : "frame %llu of '" LOG "' is damaged and hides "
                                "later ones",
                          (unsigned long long)damage.number);
}

/* Empties the log into the database; false where that may not be done. */
static bool empty_log(cb_check *check)
{
    sqlite3 *connection = check->store->database->connection;
    return sqlite3_db_readonly(connection, "main") == 0 &&
           sqlite3_wal_checkpoint_v2(connection, "main",
                                     SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                     NULL) == SQLITE_OK;
}

static cb_status check_all(cb_check *check, const char *path, struct scan *scan)
{
    uint64_t frames = 0;
    bool log_sound = true;
    cb_status status = open_log(check, &log_sound);
    if (status == CB_OK) {
        status = demand_same(check, path);
    }
    if (status != CB_OK) {
        return status;
    }
    scan_pages(check->store->database->vfs, path, scan);
    check->report->checked.pages = scan->result.pages;
    if (scan->status != CB_OK) {
        check->readable = false;
        return report_head(check, scan);
    }
    status = cb_vfs_log_pages(check->store->database->vfs, path, forgive_page,
                              scan, &frames, &check->error);
    check->report->checked.frames = frames;
    log_sound = log_sound && cb_check_seen(check, CB_CHECK_LOG_DAMAGED) == 0;
    if (status == CB_OK && frames > 0 && log_sound && scan->total == 0 &&
        empty_log(check)) {
        scan_pages(check->store->database->vfs, path, scan);
        status = scan->status == CB_OK ? CB_OK : report_head(check, scan);
    }
    if (status == CB_OK) {
        status = report_pages(check, scan);
    }
    check->pages_sound = status == CB_OK && log_sound && scan->total == 0;
    /* Behind a damaged table nothing can be read before it is made anew. */
    if (cb_check_seen(check, CB_CHECK_PAGES_TABLE) > 0) {
        check->readable = false;
        check->report->unfinished = true;
    }
    return status;
}

static cb_status scan_under(cb_check *check, const cb_secret *key,
                            const char *path, struct scan *scan)
{
    cb_vfs *vfs = NULL;
    cb_status status =
        cb_vfs_create(check->environment, key, cb_database_best_cipher(), &vfs,
                      &check->error);
    if (status == CB_OK) {
        scan_pages(vfs, path, scan);
    }
    cb_vfs_destroy(vfs);
    return status;
}

/* Whoever is replacing it has the database until that is done. */
static cb_status wait_for_rotation(cb_check *check, const char *path)
{
    const cb_store_options *options = check->options->store;
    char *name = strdup(path);
    cb_database as_named = {
        .environment = check->environment,
        .path = name,
        .patience = { options->waiting, options->waiting_context },
    };
    if (name == NULL) {
        return cb_error_set(&check->error, CB_NO_MEMORY, "out of memory");
    }
    bool held = cb_database_is_held(check->environment, path);
    for (int i = 0; held && cb_database_wait(&as_named, i) != 0; i++) {
        held = cb_database_is_held(check->environment, path);
    }
    free(name);
    return held ? in_use(check, path) : demand_same(check, path);
}

/*
 * While the master key is being replaced the database is the old one or the
 * new one, and what stands beside it may be the other's: only the pages can be
 * looked at.  The next opening goes on with it.
 */
static cb_status check_rotating(cb_check *check, const char *path,
                                struct scan *scan)
{
    cb_secret *previous = NULL;
    cb_store *store = check->store;
    check->report->unfinished = true;
    cb_status status = wait_for_rotation(check, path);
    if (status == CB_OK) {
        status = scan_under(check, store->master_key, path, scan);
    }
    if (status == CB_OK && scan->status == CB_OK &&
        scan->unreadable == scan->result.pages &&
        cb_unlock_take_previous(&store->unlock, store->master_key, &previous,
                                NULL) == CB_OK) {
        status = scan_under(check, previous, path, scan);
    }
    cb_secret_destroy(previous);
    check->report->checked.pages = scan->result.pages;
    if (status != CB_OK) {
        return status;
    }
    return scan->status == CB_OK ? report_pages(check, scan)
                                 : report_head(check, scan);
}

static cb_status open_to_look(cb_check *check, const char *path,
                              struct scan *scan)
{
    const cb_store_options *options = check->options->store;
    const cb_patience patience = { options->waiting, options->waiting_context };
    scan->status =
        cb_database_look(check->environment, path, check->store->master_key,
                         &patience, &check->store->database, &scan->words);
    return scan->status == CB_OK ? CB_OK : report_head(check, scan);
}

static cb_status report_cipher(cb_check *check, const struct scan *scan)
{
    const cb_check_place place = cb_check_at_file(DATABASE);
    return check->pages_sound &&
                   scan->result.cipher != cb_database_best_cipher()
               ? cb_check_found(check, CB_CHECK_CIPHER_FASTER, &place,
                                "this machine has a faster cipher than the "
                                "store's")
               : CB_OK;
}

cb_status cb_check_pages(cb_check *check)
{
    cb_file_facts facts = { .size = 0 };
    const cb_check_place place = cb_check_at_file(DATABASE);
    const cb_environment *environment = check->environment;
    struct scan *scan = NULL;
    char *path = cb_store_path(check->options->store->folder, DATABASE);
    cb_status status = cb_check_step(check, "checking pages", 0, 0);
    if (path == NULL) {
        status = cb_error_set(&check->error, CB_NO_MEMORY, "out of memory");
    }
    if (status != CB_OK || environment->look_at(environment->context, path,
                                                &facts, NULL) != CB_OK) {
        goto out;
    }
    if (facts.size == 0) {
        status = cb_check_found(check, CB_CHECK_DATABASE_EMPTY, &place,
                                "'" DATABASE "' is empty");
        goto out;
    }
    if (!check->has_key || facts.kind != CB_FILE_REGULAR) {
        goto out;
    }
    scan = calloc(1, sizeof *scan);
    if (scan == NULL) {
        status = cb_error_set(&check->error, CB_NO_MEMORY, "out of memory");
    } else if (check->store->unlock.previous.used) {
        status = check_rotating(check, path, scan);
    } else {
        status = open_to_look(check, path, scan);
    }
    if (status == CB_OK && check->store->database != NULL) {
        status = check_all(check, path, scan);
    }
    if (status == CB_OK && check->store->database != NULL) {
        status = report_cipher(check, scan);
    }
    /* A file that no key opened may have had no lock. */
    if (status == CB_OK) {
        status = demand_same(check, path);
    }
out:
    free(scan);
    free(path);
    return status;
}
