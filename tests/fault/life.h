/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a database until something ends it: its disk loses its power
 * (power_cut.c) or its process is killed (kill.c).  The same statements are run
 * in a database in memory, whose content after each transaction is remembered
 * as a hash.
 */
#ifndef CASEBOUND_TESTS_FAULT_LIFE_H
#define CASEBOUND_TESTS_FAULT_LIFE_H

#include "support/dice.h"
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
    bool tracked;    /* versions of pages are kept */
    bool large;      /* more pages than the table's top holds */
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
    const char *base_vfs;
    /* Whether something failed because the disk is gone; may be NULL. */
    bool (*excused)(void);
    uint64_t seed;
    struct dice dice;
    int page_size;
    sqlite3 *database;
    sqlite3 *model;
    int acknowledged; /* 0: the tables were made; -1: not even that */
    struct hash hashes[TRANSACTIONS_MAX + 1][DATABASES];
    bool tracking; /* the table of versions must be there */
    int report_to; /* where witnesses go; 0: nowhere */
    int scrubbed;  /* database that the scrub reads */
    uint64_t free_torn;
    char failure[300];
};

/* What a life tells of itself, before and after each transaction ends. */
struct witness {
    int number;
    bool acknowledged;
    struct hash hashes[DATABASES];
};

extern const char *const life_files[DATABASES];
extern const char *const life_schemas[DATABASES];

int life_databases(const struct life *life);

/* The first failure stays. */
void life_fail(struct life *life, const char *what, const char *detail);

/* Opened and attached as the configuration says; false where it was not. */
bool life_open(struct life *life);
void life_close(struct life *life);

/* Runs SQL; false where it was refused, which is a failure unless excused. */
bool life_run(struct life *life, const char *sql);

/*
 * Everything in one database, through its table and through its index, as a
 * hash; false where it cannot be read.
 */
bool life_hash(sqlite3 *database, const char *schema, struct hash *ret_hash);

/* Opens the database in memory. */
void life_model(struct life *life);

/* From the first table to the last transaction, or to the cut. */
void life_live(struct life *life);

/*
 * Opens what is left: exactly what the last acknowledged transaction left, or
 * the one after it, must be there, in all databases, and be sound.
 */
void life_check(struct life *life);

#endif
