/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P1: one durable, signed, encrypted entry appended to a store of 5,000
 * entries, against the same bytes inserted into plain SQLite (WAL, synchronous
 * FULL, one transaction each).
 *
 * Both work on the same disk and take turns of a hundred, so that what disturbs
 * one disturbs the other.  The plain side inserts what the store's entry table
 * keeps of the very entries that were appended: hash, stream, number, bytes.
 * The limit is what the disk needs to make one transaction durable; a third
 * column shows it as one write of 4 KiB with fdatasync.
 *
 * A second row is the group commit of imports: as many entries in transactions
 * of --group each, on either side.
 *
 *     append_bench [--json] [--entries 5000] [--appends 1000] [--cases 60]
 *                  [--group 500]
 */
#include "bench/bench_kit.h"
#include "store/internal.h"
#include "support/store_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TURN 100

struct bench {
    store_kit kit;
    cb_store *store;
    cb_case_id *cases;
    cb_record_id *people;
    long case_count;
    sqlite3 *plain;
    sqlite3_stmt *insert;
    int file;
};

static void must_sql(sqlite3 *database, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(database));
        exit(1);
    }
}

static void plain_sql(struct bench *bench, const char *sql)
{
    must_sql(bench->plain, sqlite3_exec(bench->plain, sql, NULL, NULL, NULL));
}

static void open_plain(struct bench *bench)
{
    char path[STORE_KIT_PATH_BYTES];
    store_kit_path(&bench->kit, "plain.db", path);
    must_sql(bench->plain, sqlite3_open(path, &bench->plain));
    must_sql(bench->plain,
             sqlite3_exec(bench->plain,
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "PRAGMA locking_mode=EXCLUSIVE;"
                          "CREATE TABLE entry (number INTEGER PRIMARY KEY,"
                          " hash BLOB NOT NULL UNIQUE, stream INTEGER,"
                          " seq INTEGER, bytes BLOB NOT NULL) STRICT;",
                          NULL, NULL, NULL));
    must_sql(bench->plain,
             sqlite3_prepare_v2(bench->plain,
                                "INSERT INTO entry (hash, stream, seq, bytes) "
                                "VALUES (?, 1, ?, ?)",
                                -1, &bench->insert, NULL));
    store_kit_path(&bench->kit, "flush", path);
    bench->file = open(path, O_RDWR | O_CREAT, 0600);
}

static cb_status copy_entry(void *context, cb_span bytes, uint64_t log_index,
                            cb_error *error)
{
    struct bench *bench = context;
    cb_entry entry;
    (void)log_index;
    cb_status status = cb_entry_decode(bytes, &entry, error);
    if (status == CB_OK) {
        sqlite3_bind_blob(bench->insert, 1, entry.hash.bytes, 32,
                          SQLITE_TRANSIENT);
        sqlite3_bind_int64(bench->insert, 2, (int64_t)entry.header.seq);
        sqlite3_bind_blob(bench->insert, 3, bytes.bytes, (int)bytes.size,
                          SQLITE_TRANSIENT);
        must_sql(bench->plain, sqlite3_step(bench->insert));
        sqlite3_reset(bench->insert);
    }
    return status;
}

/* Inserts our entries from `first` on into the plain database. */
static void copy_from(struct bench *bench, uint64_t first)
{
    cb_error error = { 0 };
    cb_store_identity identity;
    cb_store_identify(bench->store, &identity);
    const cb_segment_facts run = { .stream = identity.stream,
                                   .first_seq = first,
                                   .count = identity.head_seq + 1 - first };
    store_kit_must(cb_exchange_segment_entries(bench->store, &run, copy_entry,
                                               bench, &error),
                   &error, "copying");
}

/* About 700 bytes as an entry: a contact with a summary of some words. */
static void append(struct bench *bench, long number)
{
    char fields[512];
    const long place = number % bench->case_count;
    snprintf(
        fields, sizeof fields,
        "{'channel':'telephone','direction':'outgoing',"
        "'outcome':'no_answer','minutes':%ld,'summary':'tried at the usual "
        "hour, no answer; will write a letter and try again on %ld'}",
        number % 60, number);
    store_kit_add(bench->store, &bench->cases[place], "contact",
                  &bench->people[place], fields);
}

static void fill(struct bench *bench, long entries)
{
    cb_error error = { 0 };
    store_kit_must(cb_store_begin(bench->store, &error), &error, "beginning");
    for (long i = 0; i < bench->case_count; i++) {
        bench->cases[i] = store_kit_case(bench->store);
        bench->people[i] = store_kit_person(bench->store, &bench->cases[i],
                                            "victim", "Somebody");
    }
    for (long i = 2 * bench->case_count + 3; i < entries; i++) {
        append(bench, i);
    }
    store_kit_must(cb_store_commit(bench->store, &error), &error, "committing");
    plain_sql(bench, "BEGIN");
    copy_from(bench, 1);
    plain_sql(bench, "COMMIT");
}

static uint64_t head_of(const struct bench *bench)
{
    cb_store_identity identity;
    cb_store_identify(bench->store, &identity);
    return identity.head_seq;
}

struct times {
    double ours;
    double plain;
    double flush;
    double ours_processor;
    double plain_processor;
};

static void take_turn(struct bench *bench, long first, long count,
                      struct times *times)
{
    static const char page[4096];
    const uint64_t head = head_of(bench);
    double start = bench_seconds();
    double processor = bench_processor_seconds();
    for (long i = 0; i < count; i++) {
        append(bench, first + i);
    }
    times->ours += bench_seconds() - start;
    times->ours_processor += bench_processor_seconds() - processor;

    start = bench_seconds();
    processor = bench_processor_seconds();
    copy_from(bench, head + 1);
    times->plain += bench_seconds() - start;
    times->plain_processor += bench_processor_seconds() - processor;

    start = bench_seconds();
    for (long i = 0; i < count; i++) {
        if (pwrite(bench->file, page, sizeof page, (first + i) * 4096) !=
                (ssize_t)sizeof page ||
            fdatasync(bench->file) != 0) {
            perror("fdatasync");
            exit(1);
        }
    }
    times->flush += bench_seconds() - start;
}

/* As many in one transaction on either side. */
static void take_group(struct bench *bench, long first, long count,
                       struct times *times)
{
    cb_error error = { 0 };
    const uint64_t head = head_of(bench);
    double start = bench_seconds();
    double processor = bench_processor_seconds();
    store_kit_must(cb_store_begin(bench->store, &error), &error, "beginning");
    for (long i = 0; i < count; i++) {
        append(bench, first + i);
    }
    store_kit_must(cb_store_commit(bench->store, &error), &error, "committing");
    times->ours += bench_seconds() - start;
    times->ours_processor += bench_processor_seconds() - processor;

    start = bench_seconds();
    processor = bench_processor_seconds();
    plain_sql(bench, "BEGIN");
    copy_from(bench, head + 1);
    plain_sql(bench, "COMMIT");
    times->plain += bench_seconds() - start;
    times->plain_processor += bench_processor_seconds() - processor;
}

static void report_groups(bool json, long group, long appends,
                          const struct times *times)
{
    char machine[512];
    const double each = 1e6 / (double)appends;
    bench_machine(machine, sizeof machine);
    printf(json ? "{\"bench\":\"P1 group\",\"machine\":\"%s\",\"sqlite\":"
                  "\"%s\",\"group\":%ld,\"appends\":%ld,\"ours_us\":%.1f,"
                  "\"plain_us\":%.1f,\"ours_cpu_us\":%.1f,"
                  "\"plain_cpu_us\":%.1f,\"ours_per_second\":%.0f,"
                  "\"ratio\":%.2f}\n"
                : "P1 group commit, %s, SQLite %s, transactions of %ld, %ld "
                  "appended\n"
                  "   ours %.1f us, plain SQLite %.1f us (processor: %.1f and "
                  "%.1f us)\n"
                  "   %.0f entries a second, ratio %.2f\n",
           machine, sqlite3_libversion(), group, appends, times->ours * each,
           times->plain * each, times->ours_processor * each,
           times->plain_processor * each, (double)appends / times->ours,
           times->ours / times->plain);
}

static void report(bool json, long entries, long appends,
                   const struct times *times)
{
    char machine[512];
    const double each = 1e6 / (double)appends;
    bench_machine(machine, sizeof machine);
    printf(json ? "{\"bench\":\"P1\",\"machine\":\"%s\",\"sqlite\":\"%s\","
                  "\"entries\":%ld,\"appends\":%ld,\"ours_us\":%.1f,"
                  "\"plain_us\":%.1f,\"flush_us\":%.1f,\"ours_cpu_us\":%.1f,"
                  "\"plain_cpu_us\":%.1f,\"ratio\":%.2f,\"reach\":1.5}\n"
                : "P1 append, %s, SQLite %s, %ld entries held, %ld appended\n"
                  "   ours %.1f us, plain SQLite %.1f us, one flushed write "
                  "%.1f us (processor: %.1f and %.1f us)\n"
                  "   ratio %.2f, to reach 1.5\n",
           machine, sqlite3_libversion(), entries, appends, times->ours * each,
           times->plain * each, times->flush * each,
           times->ours_processor * each, times->plain_processor * each,
           times->ours / times->plain);
}

int main(int count, char **arguments)
{
    struct bench bench = { .file = -1 };
    struct times times = { 0 };
    const long entries = bench_number(count, arguments, "--entries", 5000);
    const long appends = bench_number(count, arguments, "--appends", 1000);
    const long group = bench_number(count, arguments, "--group", 500);
    bench.case_count = bench_number(count, arguments, "--cases", 60);
    store_kit_begin(&bench.kit);
    bench.store = store_kit_hub(&bench.kit, "store");
    bench.cases = calloc((size_t)bench.case_count, sizeof *bench.cases);
    bench.people = calloc((size_t)bench.case_count, sizeof *bench.people);
    open_plain(&bench);
    fill(&bench, entries);
    for (long i = 0; i < appends; i += TURN) {
        take_turn(&bench, i, appends - i < TURN ? appends - i : TURN, &times);
    }
    report(bench_flag(count, arguments, "--json"), entries, appends, &times);
    times = (struct times){ .ours = 0 };
    for (long i = 0; i < appends; i += group) {
        take_group(&bench, appends + i,
                   appends - i < group ? appends - i : group, &times);
    }
    report_groups(bench_flag(count, arguments, "--json"), group, appends,
                  &times);
    sqlite3_finalize(bench.insert);
    sqlite3_close(bench.plain);
    close(bench.file);
    cb_store_close(bench.store);
    free(bench.cases);
    free(bench.people);
    store_kit_end(&bench.kit);
    return 0;
}
