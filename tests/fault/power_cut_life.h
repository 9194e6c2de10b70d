/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a database until its disk loses its power, and what is
 * remembered of it outside that disk; see power_cut.c.
 */
#ifndef CASEBOUND_TESTS_POWER_CUT_LIFE_H
#define CASEBOUND_TESTS_POWER_CUT_LIFE_H

#include "fault/power_cut_vfs.h"
#include "vfs/vfs.h"

#define TRANSACTIONS_MAX 40
#define HASH_BYTES       16
#define SQL_BYTES        400
#define DATABASES        2

struct configuration {
    const char *name;
    const char *mode;
    bool extra;      /* synchronous EXTRA: deleting a journal is synced too */
    bool spill;      /* a small cache that spills */
    bool savepoints; /* roll back to some of them */
    bool two;        /* an attached database takes part */
    bool lies;       /* the drive does not sync */
    bool may_fail;   /* losses are expected, and must be found */
};

struct hash {
    uint8_t bytes[HASH_BYTES];
};

/* One life. */
struct life {
    const struct configuration *configuration;
    cb_vfs *vfs; /* NULL: stock SQLite */
    uint64_t seed;
    struct dice dice;
    int page_size;
    sqlite3 *database;
    sqlite3 *model;
    int acknowledged; /* 0: the tables were made; -1: not even that */
    struct hash hashes[TRANSACTIONS_MAX + 1][DATABASES];
    int scrubbed; /* database that the scrub reads */
    uint64_t free_torn;
    char failure[300];
};

extern const char *const life_files[DATABASES];
extern const char *const life_schemas[DATABASES];

int life_databases(const struct life *life);

/* The first failure stays. */
void life_fail(struct life *life, const char *what, const char *detail);

/* Opened and attached as the configuration says; false where it was not. */
bool life_open(struct life *life);
void life_close(struct life *life);

/*
 * Runs SQL; false where it was refused, which is a failure unless there is no
 * power.
 */
bool life_run(struct life *life, const char *sql);

/*
 * Everything in one database, through its table and through its index, as a
 * hash; false where it cannot be read.
 */
bool life_hash(sqlite3 *database, const char *schema, struct hash *ret_hash);

/* From the first table to the last transaction, or to the cut. */
void life_live(struct life *life);

#endif
