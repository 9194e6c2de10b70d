/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P9: one case of 200 entries shown by the command itself, after unlock, in a
 * store of 1,000 and in one of 10,000 cases, against the start of a process
 * that reads one row of as many from plain SQLite by its index.
 *
 * The stores are made by the library in transactions of some hundred cases; the
 * key lies in the kernel's keyring, as after `casebound unlock`.  Both columns
 * are whole processes, started alike, their files in the kernel's cache; they
 * take turns, and the middle of each is told.  The limit is what the system
 * needs to start a process: the plain column is hardly more.
 *
 *     show_bench [--json] [--cases 1000] [--times 10] [--entries 200]
 *                [--turns 30]
 *
 * --times: how many times larger the second store is.
 */
#include "bench/bench_kit.h"
#include "support/store_kit.h"

#include <casebound/view.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS_MAX       1000
#define REFERENCE_BYTES 64
#define GROUP           250

struct scene {
    char store[STORE_KIT_PATH_BYTES];
    char plain[STORE_KIT_PATH_BYTES];
    char reference[REFERENCE_BYTES];
    double fill_seconds;
};

static void fail(const char *what)
{
    fprintf(stderr, "show_bench: %s\n", what);
    exit(1);
}

/* ------------------------------------------------------------- the stores */

static void fill_case(cb_store *store, const cb_case_id *case_id, long entries)
{
    const cb_record_id person =
        store_kit_person(store, case_id, "victim", "Somebody");
    for (long i = 3; i < entries; i++) {
        char fields[256];
        snprintf(fields, sizeof fields,
                 "{'channel':'telephone','direction':'outgoing','outcome':"
                 "'no_answer','minutes':%ld,'summary':'tried at the usual "
                 "hour, no answer; will write a letter and try again'}",
                 i % 60);
        store_kit_add(store, case_id, "contact", &person, fields);
    }
}

static void find_reference(cb_store *store, const cb_case_id *case_id,
                           struct scene *scene)
{
    cb_error error = { 0 };
    cb_case_state *state = NULL;
    store_kit_must(cb_store_case_state(store, case_id, &state, &error), &error,
                   "folding");
    snprintf(scene->reference, sizeof scene->reference, "%s",
             cb_case_state_reference(state));
    cb_case_state_destroy(state);
}

static void make_store(store_kit *kit, struct scene *scene, const char *name,
                       long cases, long entries)
{
    cb_error error = { 0 };
    cb_case_id case_id;
    const double start = bench_seconds();
    cb_store *store = store_kit_hub(kit, name);
    store_kit_path(kit, name, scene->store);
    for (long i = 0; i < cases; i++) {
        if (i % GROUP == 0) {
            store_kit_must(cb_store_begin(store, &error), &error, "beginning");
        }
        case_id = store_kit_case(store);
        if (i == cases / 2) {
            fill_case(store, &case_id, entries);
            find_reference(store, &case_id, scene);
        }
        if (i % GROUP == GROUP - 1 || i + 1 == cases) {
            store_kit_must(cb_store_commit(store, &error), &error,
                           "committing");
        }
    }
    cb_store_close(store);
    scene->fill_seconds = bench_seconds() - start;
}

static void make_plain(store_kit *kit, struct scene *scene, const char *name,
                       long cases)
{
    char sql[512];
    sqlite3 *database = NULL;
    store_kit_path(kit, name, scene->plain);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=WAL;"
             "CREATE TABLE case_file (id BLOB PRIMARY KEY, reference TEXT,"
             " document BLOB) STRICT;"
             "CREATE UNIQUE INDEX by_reference ON case_file (reference);"
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
             " WHERE i < %ld) INSERT INTO case_file SELECT randomblob(16),"
             " printf('RL-2026-%%05d', i), randomblob(700) FROM n;",
             cases);
    if (sqlite3_open(scene->plain, &database) != SQLITE_OK ||
        sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail(sqlite3_errmsg(database));
    }
    sqlite3_close(database);
}

/* What the plain side does as a process of its own. */
static int read_plain(const char *path)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *query = NULL;
    const char *sql = "SELECT document FROM case_file WHERE reference = ?";
    bool found =
        sqlite3_open(path, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, sql, -1, &query, NULL) == SQLITE_OK &&
        sqlite3_bind_text(query, 1, "RL-2026-00007", -1, SQLITE_STATIC) ==
            SQLITE_OK &&
        sqlite3_step(query) == SQLITE_ROW;
    printf("%d\n", found ? sqlite3_column_bytes(query, 0) : 0);
    sqlite3_finalize(query);
    sqlite3_close(database);
    return found ? 0 : 1;
}

/* ------------------------------------------------------------ the processes */

struct cost {
    double ms;
    double processor_ms;
};

struct figures {
    struct cost show;
    struct cost plain;
};

static double ms_of(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

/* Runs a program to its end with its output thrown away. */
static struct cost run(const char *const *arguments, int input)
{
    const double start = bench_seconds();
    struct rusage used = { 0 };
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const int nowhere = open("/dev/null", O_WRONLY);
        if (nowhere < 0 || dup2(nowhere, 1) < 0 ||
            (input >= 0 && dup2(input, 3) < 0)) {
            _exit(126);
        }
        execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child ||
        !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail(arguments[0]);
    }
    return (struct cost){ .ms = (bench_seconds() - start) * 1e3,
                          .processor_ms =
                              ms_of(used.ru_utime) + ms_of(used.ru_stime) };
}

static void unlock(const struct scene *scene)
{
    static char passphrase[] = STORE_KIT_PASSPHRASE "\n";
    int ends[2];
    const char *const arguments[] = { CASEBOUND_COMMAND,
                                      "--store",
                                      scene->store,
                                      "--quiet",
                                      "--passphrase-fd",
                                      "3",
                                      "unlock",
                                      "--for",
                                      "1h",
                                      NULL };
    if (pipe(ends) != 0 || write(ends[1], passphrase, strlen(passphrase)) !=
                               (ssize_t)strlen(passphrase)) {
        fail("no pipe");
    }
    close(ends[1]);
    (void)run(arguments, ends[0]);
    close(ends[0]);
}

static void lock(const struct scene *scene)
{
    const char *const arguments[] = {
        CASEBOUND_COMMAND, "--store", scene->store, "--quiet", "lock", NULL
    };
    (void)run(arguments, -1);
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* The middle of both, each by itself. */
static struct cost middle(const struct cost *costs, long turns)
{
    double times[TURNS_MAX];
    struct cost found;
    for (long i = 0; i < turns; i++) {
        times[i] = costs[i].ms;
    }
    qsort(times, (size_t)turns, sizeof *times, compare);
    found.ms = times[turns / 2];
    for (long i = 0; i < turns; i++) {
        times[i] = costs[i].processor_ms;
    }
    qsort(times, (size_t)turns, sizeof *times, compare);
    found.processor_ms = times[turns / 2];
    return found;
}

static struct figures measure(const char *self, const struct scene *scene,
                              long turns)
{
    struct cost shows[TURNS_MAX];
    struct cost plains[TURNS_MAX];
    const char *const show[] = { CASEBOUND_COMMAND, "--store", scene->store,
                                 "--no-input",      "case",    "show",
                                 scene->reference,  NULL };
    const char *const read[] = { self, "--read-plain", scene->plain, NULL };
    unlock(scene);
    (void)run(show, -1);
    (void)run(read, -1);
    for (long i = 0; i < turns; i++) {
        shows[i] = run(show, -1);
        plains[i] = run(read, -1);
    }
    lock(scene);
    return (struct figures){ .show = middle(shows, turns),
                             .plain = middle(plains, turns) };
}

static void report(bool json, long entries, const long *cases,
                   const struct scene *scenes, const struct figures *figures)
{
    char machine[512];
    bench_machine(machine, sizeof machine);
    for (size_t i = 0; i < 2; i++) {
        printf(json ? "{\"bench\":\"P9\",\"machine\":\"%s\",\"sqlite\":"
                      "\"%s\",\"cases\":%ld,\"entries\":%ld,"
                      "\"show_ms\":%.2f,\"show_cpu_ms\":%.2f,"
                      "\"plain_ms\":%.2f,\"plain_cpu_ms\":%.2f,"
                      "\"fill_seconds\":%.1f,\"reach_ms\":50}\n"
                    : "P9 show, %s, SQLite %s, %ld cases, one of %ld entries\n"
                      "   case show %.2f ms (processor %.2f ms), process and "
                      "one plain read %.2f ms (%.2f ms); the store was made in "
                      "%.1f s\n"
                      "   to reach 50 ms\n",
               machine, sqlite3_libversion(), cases[i], entries,
               figures[i].show.ms, figures[i].show.processor_ms,
               figures[i].plain.ms, figures[i].plain.processor_ms,
               scenes[i].fill_seconds);
    }
    printf(json ? "{\"bench\":\"P9 growth\",\"machine\":\"%s\",\"sqlite\":"
                  "\"%s\",\"growth\":%.3f,\"growth_cpu\":%.3f,"
                  "\"reach\":1.0}\n"
                : "P9 growth, %s, SQLite %s\n"
                  "   the larger store takes %.3f times as long, %.3f times "
                  "the processor, to reach 1\n",
           machine, sqlite3_libversion(),
           figures[1].show.ms / figures[0].show.ms,
           figures[1].show.processor_ms / figures[0].show.processor_ms);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--read-plain") == 0) {
        return read_plain(arguments[2]);
    }
    store_kit kit;
    struct scene scenes[2] = { 0 };
    struct figures figures[2];
    const long entries = bench_number(count, arguments, "--entries", 200);
    long turns = bench_number(count, arguments, "--turns", 30);
    long cases[2] = { bench_number(count, arguments, "--cases", 1000), 0 };
    cases[1] = cases[0] * bench_number(count, arguments, "--times", 10);
    turns = turns < 1 ? 1 : turns > TURNS_MAX ? TURNS_MAX : turns;
    store_kit_begin(&kit);
    /* The command's own notes beside a store go where the store does. */
    if (setenv("XDG_STATE_HOME", kit.root, 1) != 0) {
        fail("no environment");
    }
    for (size_t i = 0; i < 2; i++) {
        make_store(&kit, &scenes[i], i == 0 ? "small" : "large", cases[i],
                   entries);
        make_plain(&kit, &scenes[i], i == 0 ? "small.db" : "large.db",
                   cases[i]);
        figures[i] = measure("/proc/self/exe", &scenes[i], turns);
    }
    report(bench_flag(count, arguments, "--json"), entries, cases, scenes,
           figures);
    store_kit_end(&kit);
    return 0;
}
