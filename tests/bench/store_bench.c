/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P2: what the encryption of the store costs.
 *
 * The same work on plain SQLite, through our VFS with each cipher that this
 * machine has, and, where it is installed, in SQLCipher: for each kind of work
 * one after the other in each round, so that what disturbs the machine disturbs
 * all.  Printed is the median over the rounds of the ratio to plain SQLite in
 * the same round, for the clock on the wall and for the processor, and beside
 * it what we want to reach.  SQLCipher is a SQLite of its own and is reached
 * through dlopen, so that the two do not meet; its columns are ratios to our
 * plain SQLite too.  Nothing fails on a time.
 *
 *     store_bench [--json] [--rounds N] [--mode WAL|DELETE] [--only WORK]
 */
#include "bench/bench_kit.h"
#include "vfs/vfs.h"

#include <dlfcn.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROWS         200000
#define TRANSACTIONS 2000
#define POINT_READS  100000
#define ROUNDS_MAX   15
#define SCAN_REPEATS 3

/* The part of SQLite's interface that both libraries have. */
struct library {
    void *handle;
    int (*open)(const char *, sqlite3 **, int, const char *);
    int (*close)(sqlite3 *);
    int (*execute)(sqlite3 *, const char *,
                   int (*)(void *, int, char **, char **), void *, char **);
    int (*prepare)(sqlite3 *, const char *, int, sqlite3_stmt **,
                   const char **);
    int (*bind)(sqlite3_stmt *, int, sqlite3_int64);
    int (*step)(sqlite3_stmt *);
    int (*reset)(sqlite3_stmt *);
    int (*finalize)(sqlite3_stmt *);
    const char *(*message)(sqlite3 *);
    const char *(*version)(void);
};

enum subject {
    PLAIN,
    XCHACHA,
    AES,
    SQLCIPHER,
    SUBJECTS
};

enum work {
    BULK,
    SPILLING,
    SMALL,
    SCAN,
    POINT,
    CACHED,
    WORKS
};

static const char *const subject_names[] = { "plain SQLite",
                                             "casebound XChaCha20-Poly1305",
                                             "casebound AES-256-GCM",
                                             "SQLCipher" };
static const char *const work_names[] = { "bulk_insert",  "bulk_spilling",
                                          "transactions", "cold_scan",
                                          "point_reads",  "cached_reads" };

/*
 * What was measured with throw-away code and is to be reached, for WAL and for
 * DELETE; 0 where nothing was set.  With the store's own settings (no spill, a
 * large cache) it was measured in time of the processor, the rest on the wall.
 */
struct target {
    double wal;
    double rollback;
    bool cpu;
};

static const struct target targets[SUBJECTS][WORKS] = {
    [XCHACHA] = { [BULK] = { 1.14, 1.14, true },
                  [SPILLING] = { 1.71, 1.77 },
                  [SMALL] = { 1.09, 1.10 },
                  [SCAN] = { 1.12, 1.15 },
                  [POINT] = { 3.0, 3.4 },
                  [CACHED] = { 1.05, 1.05 } },
    [AES] = { [BULK] = { 1.14, 1.14, true },
              [SPILLING] = { 1.53, 1.67 },
              [SMALL] = { 1.0, 1.35 },
              [SCAN] = { 1.0, 1.44 },
              [POINT] = { 2.6, 2.9 },
              [CACHED] = { 1.02, 1.02 } },
};

struct time_pair {
    double wall;
    double cpu;
};

struct bench {
    struct library sqlite;
    struct library sqlcipher;
    cb_vfs *vfs[SUBJECTS];
    const char *mode;
    const char *only; /* one kind of work, or NULL */
    int rounds;
    char folder[64];
    struct time_pair times[WORKS][SUBJECTS][ROUNDS_MAX];
    bool present[SUBJECTS];
};

static void *find_symbol(void *handle, const char *name)
{
    void *symbol = dlsym(handle, name);
    if (symbol == NULL) {
        fprintf(stderr, "store_bench: no symbol '%s'\n", name);
        exit(1);
    }
    return symbol;
}

/* ISO C has no cast from an object to a function pointer; POSIX does. */
#define LOAD(field, name)                                         \
    do {                                                          \
        void *symbol_ = find_symbol(handle, name);                \
        memcpy(&library->field, &symbol_, sizeof library->field); \
    } while (0)

static bool load_library(struct library *library, const char *name)
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (handle == NULL) {
        return false;
    }
    library->handle = handle;
    LOAD(open, "sqlite3_open_v2");
    LOAD(close, "sqlite3_close");
    LOAD(execute, "sqlite3_exec");
    LOAD(prepare, "sqlite3_prepare_v2");
    LOAD(bind, "sqlite3_bind_int64");
    LOAD(step, "sqlite3_step");
    LOAD(reset, "sqlite3_reset");
    LOAD(finalize, "sqlite3_finalize");
    LOAD(message, "sqlite3_errmsg");
    LOAD(version, "sqlite3_libversion");
    return true;
}

static struct time_pair now(void)
{
    struct timespec wall;
    struct timespec cpu;
    clock_gettime(CLOCK_MONOTONIC, &wall);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (struct time_pair){
        (double)wall.tv_sec + (double)wall.tv_nsec / 1e9,
        (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9,
    };
}

static void execute(const struct library *library, sqlite3 *database,
                    const char *sql)
{
    if (library->execute(database, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "store_bench: %s: %s\n", sql,
                library->message(database));
        exit(1);
    }
}

static const struct library *library_of(const struct bench *bench,
                                        enum subject subject)
{
    return subject == SQLCIPHER ? &bench->sqlcipher : &bench->sqlite;
}

static sqlite3 *open_database(const struct bench *bench, enum subject subject,
                              enum work work)
{
    const struct library *library = library_of(bench, subject);
    const char *vfs = bench->vfs[subject] != NULL
                          ? cb_vfs_name(bench->vfs[subject])
                          : "unix-excl";
    static const int cache_kib[] = { 65536, 2000, 2000, 256, 256, 65536 };
    char text[200];
    sqlite3 *database = NULL;
    snprintf(text, sizeof text, "%s/%d.db", bench->folder, (int)subject);
    if (library->open(text, &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                      vfs) != SQLITE_OK) {
        fprintf(stderr, "store_bench: %s\n", library->message(database));
        exit(1);
    }
    if (subject == SQLCIPHER) {
        execute(library, database,
                "PRAGMA key=\"x'000102030405060708090a0b0c0d0e0f10111213141516"
                "1718191a1b1c1d1e1f'\"; PRAGMA cipher_page_size=4096");
    } else if (subject != PLAIN &&
               cb_vfs_prepare(database, "main", NULL) != CB_OK) {
        exit(1);
    }
    snprintf(text, sizeof text,
             "PRAGMA page_size=4096; PRAGMA journal_mode=%s; "
             "PRAGMA synchronous=FULL; PRAGMA temp_store=2; "
             "PRAGMA cache_spill=%s; PRAGMA cache_size=-%d",
             bench->mode, work == SPILLING ? "ON" : "OFF", cache_kib[work]);
    execute(library, database, text);
    return database;
}

/* A deterministic walk over the rows, the same for each subject. */
static sqlite3_int64 next_row(uint64_t *state)
{
    *state =
        *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (sqlite3_int64)((*state >> 33) % ROWS) + 1;
}

static void work_bulk(const struct library *library, sqlite3 *database)
{
    execute(library, database,
            "DROP TABLE IF EXISTS entry;"
            "CREATE TABLE entry(id INTEGER PRIMARY KEY, k INTEGER, body TEXT);"
            "CREATE INDEX entry_k ON entry(k); BEGIN");
    char sql[300];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c "
             "WHERE i<%d) INSERT INTO entry SELECT i, (i*7919)%%1000003, "
             "printf('%%0150d', i) FROM c",
             ROWS);
    execute(library, database, sql);
    execute(library, database, "COMMIT");
}

static void step_each(const struct library *library, sqlite3 *database,
                      const char *sql, int count)
{
    sqlite3_stmt *statement = NULL;
    uint64_t state = 42;
    if (library->prepare(database, sql, -1, &statement, NULL) != SQLITE_OK) {
        fprintf(stderr, "store_bench: %s\n", library->message(database));
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        library->bind(statement, 1, next_row(&state));
        int result = library->step(statement);
        if (result != SQLITE_ROW && result != SQLITE_DONE) {
            fprintf(stderr, "store_bench: %s\n", library->message(database));
            exit(1);
        }
        library->reset(statement);
    }
    library->finalize(statement);
}

static void do_work(const struct library *library, sqlite3 *database,
                    enum work work)
{
    switch (work) {
    case BULK:
    case SPILLING: work_bulk(library, database); break;
    case SMALL:
        step_each(library, database,
                  "UPDATE entry SET body = body || 'x' WHERE id = ?1",
                  TRANSACTIONS);
        break;
    case SCAN:
        for (int i = 0; i < SCAN_REPEATS; i++) {
            execute(library, database, "SELECT sum(length(body)) FROM entry");
        }
        break;
    case POINT:
    case CACHED:
        execute(library, database, "BEGIN");
        step_each(library, database,
                  "SELECT length(body) FROM entry WHERE id = ?1", POINT_READS);
        execute(library, database, "COMMIT");
        break;
    case WORKS: break;
    }
}

/* "Cold" is cold for SQLite: a new connection, the kernel's cache as it is. */
static void run_work(struct bench *bench, enum work work, enum subject subject,
                     int round)
{
    const struct library *library = library_of(bench, subject);
    sqlite3 *database = open_database(bench, subject, work);
    if (work == CACHED) {
        do_work(library, database, SCAN);
    } else if (work == SPILLING) {
        execute(library, database, "DROP TABLE entry");
    }
    struct time_pair start = now();
    do_work(library, database, work);
    struct time_pair end = now();
    bench->times[work][subject][round] = (struct time_pair){
        end.wall - start.wall,
        end.cpu - start.cpu,
    };
    library->close(database);
}

static bool is_wanted(const struct bench *bench, int work)
{
    return bench->only == NULL || strcmp(bench->only, work_names[work]) == 0;
}

/*
 * What is measured needs the rows of the bulk insert.  Each round begins with
 * another subject.
 */
static void run_round(struct bench *bench, int round)
{
    for (int work = 0; work < WORKS; work++) {
        for (int i = 0; i < SUBJECTS; i++) {
            int subject = (round + 1 + i) % SUBJECTS;
            if (bench->present[subject] &&
                (work == BULK || is_wanted(bench, work))) {
                run_work(bench, (enum work)work, (enum subject)subject,
                         round < 0 ? 0 : round);
            }
        }
    }
}

static void remove_files(const struct bench *bench)
{
    static const char *const suffixes[] = { "", "-wal", "-journal", "-shm" };
    char path[160];
    for (int subject = 0; subject < SUBJECTS; subject++) {
        for (size_t i = 0; i < 4; i++) {
            snprintf(path, sizeof path, "%s/%d.db%s", bench->folder, subject,
                     suffixes[i]);
            (void)unlink(path);
        }
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static struct time_pair median_ratio(const struct bench *bench, int work,
                                     int subject)
{
    double wall[ROUNDS_MAX];
    double cpu[ROUNDS_MAX];
    for (int i = 0; i < bench->rounds; i++) {
        const struct time_pair *plain = &bench->times[work][PLAIN][i];
        const struct time_pair *ours = &bench->times[work][subject][i];
        wall[i] = ours->wall / plain->wall;
        cpu[i] = ours->cpu / plain->cpu;
    }
    qsort(wall, (size_t)bench->rounds, sizeof wall[0], compare_doubles);
    qsort(cpu, (size_t)bench->rounds, sizeof cpu[0], compare_doubles);
    return (struct time_pair){ wall[bench->rounds / 2],
                               cpu[bench->rounds / 2] };
}

/* 0 where none was set; *ret_reached is the figure to compare with. */
static double target_of(const struct bench *bench, int work, int subject,
                        struct time_pair ratio, double *ret_reached)
{
    const struct target *target = &targets[subject][work];
    *ret_reached = target->cpu ? ratio.cpu : ratio.wall;
    return strcmp(bench->mode, "WAL") == 0 ? target->wal : target->rollback;
}

static void print_head(const struct bench *bench, const char *machine)
{
    printf("P2: encrypted store, ratio to plain SQLite in the same round, wall "
           "(processor)\n%s; SQLite %s, libsodium %s, SQLCipher's SQLite %s\n"
           "synchronous FULL; %d rows in one transaction, %d durable "
           "transactions, %d scans, %d point reads; median of %d rounds\n",
           machine, sqlite3_libversion(), sodium_version_string(),
           bench->present[SQLCIPHER] ? bench->sqlcipher.version() : "absent",
           ROWS, TRANSACTIONS, SCAN_REPEATS, POINT_READS, bench->rounds);
}

/* One line of figures and one of what they should be: "=" met, "!" not. */
static void print_subject(const struct bench *bench, int subject)
{
    if (!bench->present[subject]) {
        printf("%-28snot on this machine\n", subject_names[subject]);
        return;
    }
    printf("%-28s", subject_names[subject]);
    for (int work = 0; work < WORKS; work++) {
        struct time_pair ratio = median_ratio(bench, work, subject);
        if (is_wanted(bench, work)) {
            printf("%6.2f (%.2f) ", ratio.wall, ratio.cpu);
        }
    }
    printf("\n");
    if (targets[subject][BULK].wal == 0) {
        return;
    }
    printf("%-28s", "");
    for (int work = 0; work < WORKS; work++) {
        double reached = 0;
        double target = target_of(bench, work, subject,
                                  median_ratio(bench, work, subject), &reached);
        if (is_wanted(bench, work) && target > 0) {
            printf("  %c %4.2f%s  ", reached <= target ? '=' : '!', target,
                   targets[subject][work].cpu ? " cpu" : "    ");
        }
    }
    printf("\n");
}

static void print_table(const struct bench *bench)
{
    printf("\n%-8s%-20s", bench->mode, "");
    for (int work = 0; work < WORKS; work++) {
        if (is_wanted(bench, work)) {
            printf("%-14s", work_names[work]);
        }
    }
    printf("\n");
    for (int subject = 0; subject < SUBJECTS; subject++) {
        print_subject(bench, subject);
    }
}

static void print_json_row(const struct bench *bench, int work, int subject,
                           const char *separator)
{
    struct time_pair ratio = median_ratio(bench, work, subject);
    double reached = 0;
    double target = target_of(bench, work, subject, ratio, &reached);
    printf("%s{\"subject\":\"%s\",\"work\":\"%s\",\"wall\":%.4f,"
           "\"cpu\":%.4f,\"wall_s\":%.6f,\"target\":%.2f,"
           "\"target_of\":\"%s\",\"met\":%s}",
           separator, subject_names[subject], work_names[work], ratio.wall,
           ratio.cpu, bench->times[work][subject][0].wall, target,
           targets[subject][work].cpu ? "cpu" : "wall",
           target == 0         ? "null"
           : reached <= target ? "true"
                               : "false");
}

static void print_json(const struct bench *bench, const char *machine)
{
    const char *separator = "";
    printf("{\"bench\":\"P2\",\"machine\":\"%s\",\"sqlite\":\"%s\","
           "\"sodium\":\"%s\",\"sqlcipher\":\"%s\",\"journal\":\"%s\","
           "\"rounds\":%d,\"rows\":%d,\"transactions\":%d,"
           "\"point_reads\":%d,\"ratios\":[",
           machine, sqlite3_libversion(), sodium_version_string(),
           bench->present[SQLCIPHER] ? bench->sqlcipher.version() : "",
           bench->mode, bench->rounds, ROWS, TRANSACTIONS, POINT_READS);
    for (int subject = 0; subject < SUBJECTS; subject++) {
        for (int work = 0; work < WORKS && bench->present[subject]; work++) {
            if (is_wanted(bench, work)) {
                print_json_row(bench, work, subject, separator);
                separator = ",";
            }
        }
    }
    printf("]}\n");
}

static void prepare(struct bench *bench, const cb_secret *key)
{
    const cb_environment *environment = cb_environment_system();
    bench->present[PLAIN] = load_library(&bench->sqlite, "libsqlite3.so.0");
    bench->present[SQLCIPHER] =
        load_library(&bench->sqlcipher, "libsqlcipher.so.0");
    bench->present[XCHACHA] =
        cb_vfs_create(environment, key, CB_VFS_XCHACHA20_POLY1305,
                      &bench->vfs[XCHACHA], NULL) == CB_OK;
    bench->present[AES] = cb_vfs_cipher_available(CB_VFS_AES256_GCM) &&
                          cb_vfs_create(environment, key, CB_VFS_AES256_GCM,
                                        &bench->vfs[AES], NULL) == CB_OK;
    snprintf(bench->folder, sizeof bench->folder, "store-bench-XXXXXX");
    if (!bench->present[PLAIN] || !bench->present[XCHACHA] ||
        mkdtemp(bench->folder) == NULL) {
        fprintf(stderr, "store_bench: cannot begin\n");
        exit(1);
    }
}

static void run_mode(struct bench *bench, const char *mode)
{
    bench->mode = mode;
    /* A round that does not count warms up. */
    for (int round = -1; round < bench->rounds; round++) {
        run_round(bench, round);
        remove_files(bench);
    }
}

int main(int count, char **arguments)
{
    static struct bench bench = { .rounds = 5 };
    static const char *const modes[] = { "WAL", "DELETE" };
    const char *mode = NULL;
    char machine[300];
    bool json = bench_flag(count, arguments, "--json");
    bench.rounds = (int)bench_number(count, arguments, "--rounds", 5);
    for (int i = 1; i + 1 < count; i++) {
        if (strcmp(arguments[i], "--mode") == 0) {
            mode = arguments[++i];
        } else if (strcmp(arguments[i], "--only") == 0) {
            bench.only = arguments[++i];
        }
    }
    cb_secret *key = NULL;
    if (bench.rounds < 1 || bench.rounds > ROUNDS_MAX || sodium_init() < 0 ||
        cb_secret_create_random(cb_environment_system(), CB_KEY_BYTES, &key,
                                NULL) != CB_OK) {
        return 2;
    }
    prepare(&bench, key);
    bench_machine(machine, sizeof machine);
    if (!json) {
        print_head(&bench, machine);
    }
    for (int i = 0; i < 2; i++) {
        if (mode != NULL && strcmp(mode, modes[i]) != 0) {
            continue;
        }
        run_mode(&bench, modes[i]);
        if (json) {
            print_json(&bench, machine);
        } else {
            print_table(&bench);
        }
        fflush(stdout);
    }
    (void)rmdir(bench.folder);
    for (int subject = 0; subject < SUBJECTS; subject++) {
        cb_vfs_destroy(bench.vfs[subject]);
    }
    cb_secret_destroy(key);
    return 0;
}
