/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases whose files somebody changes.
 *
 *     damage [--seeds N] [--from SEED] [--only NAME]
 *
 * After some life a database and what belongs to it is changed at one random
 * place, and then opened as if nothing had been.  Where SQLite answers, the
 * answer must be all that was recorded: what was changed is then a page that
 * holds nothing, and the scrub must name it.  Everything else must be an error,
 * with the damage named.  Two changes cannot be told from a power cut, as vfs.h
 * says: the log's last transaction damaged, and the log cut short; they may
 * bring back what an earlier transaction left, as a whole.
 */
#include "fault/life.h"
#include "fault/power_cut_disk.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum where {
    DATABASE,
    LOG
};

enum alteration {
    FLIP,
    ZERO,
    SWAP,
    FOREIGN,
    OLDER,
    CUT
};

struct row {
    const char *name;
    enum where where;
    enum alteration change;
};

static const struct row rows[] = {
    { "page-bit", DATABASE, FLIP },
    { "page-zeroed", DATABASE, ZERO },
    { "pages-swapped", DATABASE, SWAP },
    { "page-foreign", DATABASE, FOREIGN },
    { "page-older", DATABASE, OLDER },
    { "database-cut", DATABASE, CUT },
    { "log-bit", LOG, FLIP },
    { "frame-zeroed", LOG, ZERO },
    { "frames-swapped", LOG, SWAP },
    { "log-cut", LOG, CUT },
};

#define ROWS (sizeof rows / sizeof rows[0])

static const struct configuration configuration = {
    "damage", "WAL", .savepoints = true, .tracked = true, .two = true
};

/* How often each thing came of it. */
struct counts {
    unsigned met;      /* SQLite met it, and it was named */
    unsigned scrubbed; /* only the scrub met it, and named it */
    unsigned idle;     /* nothing that counts was changed */
    unsigned as_cut;   /* an earlier state, as after a power cut */
    unsigned failed;
};

struct copy {
    uint8_t *bytes;
    size_t size;
};

static struct content *content_of(const char *path)
{
    struct name *name = disk_find_name(&disk.now, path);
    return name != NULL ? &name->node->now : NULL;
}

static struct copy copy_of(const char *path)
{
    const struct content *content = content_of(path);
    struct copy copy = { NULL, 0 };
    if (content != NULL) {
        copy.bytes = grow(NULL, content->size + 1);
        copy.size = content->size;
        if (content->size > 0) {
            memcpy(copy.bytes, content->bytes, content->size);
        }
    }
    return copy;
}

static void put_back(const char *path, const struct copy *copy)
{
    struct name *name = disk_find_name(&disk.now, path);
    struct node *node = name != NULL ? name->node : disk_create_node();
    if (name == NULL) {
        disk_change_name(path, node);
    }
    disk_change(node, NULL, 0, 0);
    if (copy->size > 0) {
        disk_change(node, copy->bytes, copy->size, 0);
    }
}

/* Pages of the database, frames of the log; the first piece stays as it is. */
struct pieces {
    struct content *content;
    size_t start;
    size_t size;
    size_t count;
};

static struct pieces pieces_of(const struct life *life, enum where where)
{
    size_t page_size = (size_t)life->page_size;
    struct pieces pieces = { .content = content_of(where == LOG ? "store.db-wal"
                                                                : "store.db") };
    pieces.start = where == LOG ? 32 : page_size;
    pieces.size = where == LOG ? page_size + 24 : page_size;
    if (pieces.content != NULL && pieces.content->size > pieces.start) {
        pieces.count = (pieces.content->size - pieces.start) / pieces.size;
    }
    return pieces;
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* False where this life has nothing to change in this way. */
static bool change_piece(struct life *life, const struct row *row,
                         const struct copy *older, size_t *ret_piece)
{
    struct pieces pieces = pieces_of(life, row->where);
    struct dice *dice = &life->dice;
    if (pieces.count < 2) {
        return false;
    }
    size_t piece = (size_t)roll(dice, pieces.count);
    size_t offset = pieces.start + piece * pieces.size;
    uint8_t *at = pieces.content->bytes + offset;
    size_t other = (piece + 1) % pieces.count;
    const struct content *foreign = content_of("other.db");
    *ret_piece = piece;
    switch (row->change) {
    case FLIP:
        at[roll(dice, pieces.size)] ^= (uint8_t)(1U << roll(dice, 8));
        break;
    case ZERO: memset(at, 0, pieces.size); break;
    case SWAP:
        swap(at, pieces.content->bytes + pieces.start + other * pieces.size,
             pieces.size);
        break;
    case FOREIGN:
        if (foreign == NULL || foreign->size < offset + pieces.size) {
            return false;
        }
        memcpy(at, foreign->bytes + offset, pieces.size);
        break;
    case OLDER:
        if (older->size < offset + pieces.size ||
            memcmp(older->bytes + offset, at, pieces.size) == 0) {
            return false;
        }
        memcpy(at, older->bytes + offset, pieces.size);
        break;
    case CUT:
        pieces.content->size = offset + (size_t)roll(dice, pieces.size);
        break;
    }
    return true;
}

/* Which state the database is in; -1: an error, -2: none that ever was. */
static int read_state(struct life *life)
{
    struct hash hash;
    int state = -1;
    cb_vfs_forget_damage(life->vfs);
    if (sqlite3_open_v2(life_files[0], &life->database, SQLITE_OPEN_READWRITE,
                        cb_vfs_name(life->vfs)) == SQLITE_OK &&
        life_hash(life->database, "main", &hash)) {
        for (state = life->acknowledged; state >= 0; state--) {
            if (memcmp(&hash, &life->hashes[state][0], sizeof hash) == 0) {
                break;
            }
        }
        state = state < 0 ? -2 : state;
    }
    return state;
}

static void note_number(void *context, const struct cb_vfs_damage *damage)
{
    uint64_t *number = context;
    *number = *number == 0 ? damage->number : *number;
}

/* Whether the scrub names the page, counted from 1; for a cut, any place. */
static bool scrub_names(struct life *life, const struct row *row, size_t piece)
{
    struct cb_vfs_scrub_result result = { .pages = 0 };
    uint64_t number = 0;
    cb_status status = cb_vfs_scrub(life->vfs, life_files[0], note_number,
                                    &number, &result, NULL);
    return status == CB_OK && result.damaged > 0 &&
           (row->change == CUT || row->change == SWAP || number == piece + 2);
}

static void judge_log(struct life *life, const struct row *row, int state,
                      size_t piece, struct counts *counts)
{
    struct cb_vfs_damage damage;
    if (state == -1 && cb_vfs_damage(life->vfs, &damage)) {
        counts->met++;
    } else if (state == life->acknowledged) {
        counts->idle++;
    } else if (state >= 0 &&
               (row->change == CUT || state == life->acknowledged - 1)) {
        counts->as_cut++;
    } else {
        counts->failed++;
        printf("    seed %llu, %s of frame %zu: state %d of %d: %s\n",
               (unsigned long long)life->seed, row->name, piece + 1, state,
               life->acknowledged, sqlite3_errmsg(life->database));
    }
}

static void judge_database(struct life *life, const struct row *row, int state,
                           size_t piece, struct counts *counts)
{
    struct cb_vfs_damage damage;
    bool named = cb_vfs_damage(life->vfs, &damage);
    bool found = scrub_names(life, row, piece);
    if (state == -1 && named && found) {
        counts->met++;
    } else if (state == life->acknowledged && found) {
        counts->scrubbed++;
    } else {
        counts->failed++;
        printf("    seed %llu, %s of page %zu: state %d of %d, %s%s\n",
               (unsigned long long)life->seed, row->name, piece + 2, state,
               life->acknowledged, found ? "scrub found it" : "scrub did not",
               named ? "" : ", not named");
    }
}

/* A life as it stands in the files, its log in use or emptied. */
static bool live_and_stop(struct life *life, const struct row *row,
                          struct copy *older)
{
    static const char *const parts[] = { "store.db", "store.db-wal",
                                         "store.db-pages" };
    struct copy copies[3];
    life_live(life);
    if (row->where == DATABASE) {
        (void)life_run(life, "PRAGMA wal_checkpoint(TRUNCATE)");
        *older = copy_of("store.db");
        (void)life_run(life, "UPDATE main.item SET tag = tag + 1; "
                             "DELETE FROM main.item WHERE id % 5 = 0");
        (void)life_hash(life->database, "main",
                        &life->hashes[life->acknowledged][0]);
        life_close(life);
        return life->failure[0] == '\0';
    }
    for (size_t i = 0; i < 3; i++) {
        copies[i] = copy_of(parts[i]);
    }
    life_close(life);
    for (size_t i = 0; i < 3; i++) {
        put_back(parts[i], &copies[i]);
        free(copies[i].bytes);
    }
    return life->failure[0] == '\0';
}

static void run_life(struct life *life, const struct row *row,
                     const cb_environment *environment, const cb_secret *key,
                     struct counts *counts)
{
    struct copy older = { NULL, 0 };
    size_t piece = 0;
    life->configuration = &configuration;
    life->dice = dice_of_seed(life->seed);
    life->page_size = 512 << roll(&life->dice, 8);
    power_cut_begin();
    enum cb_vfs_cipher cipher = roll(&life->dice, 2) == 0
                                    ? CB_VFS_XCHACHA20_POLY1305
                                    : CB_VFS_AES256_GCM;
    if (!cb_vfs_cipher_available(cipher)) {
        cipher = CB_VFS_XCHACHA20_POLY1305;
    }
    if (cb_vfs_create(environment, key, cipher, &life->vfs, NULL) != CB_OK) {
        abort();
    }
    life_model(life);
    if (!live_and_stop(life, row, &older)) {
        counts->failed++;
        printf("    seed %llu: %s\n", (unsigned long long)life->seed,
               life->failure);
    } else if (change_piece(life, row, &older, &piece)) {
        int state = read_state(life);
        if (row->where == LOG) {
            judge_log(life, row, state, piece, counts);
        } else {
            judge_database(life, row, state, piece, counts);
        }
    }
    life_close(life);
    free(older.bytes);
    (void)sqlite3_close(life->model);
    cb_vfs_destroy(life->vfs);
    power_cut_end();
}

static unsigned run_row(const struct row *row, uint64_t from, uint64_t seeds,
                        const cb_environment *environment, const cb_secret *key)
{
    static struct life life;
    struct counts counts = { .met = 0 };
    for (uint64_t i = 0; i < seeds; i++) {
        memset(&life, 0, sizeof life);
        life.seed = from + i;
        run_life(&life, row, environment, key, &counts);
    }
    printf("%-15s %5u changes: %u met by SQLite, %u by the scrub only, %u "
           "without effect, %u as a power cut; %u not found\n",
           row->name,
           counts.met + counts.scrubbed + counts.idle + counts.as_cut +
               counts.failed,
           counts.met, counts.scrubbed, counts.idle, counts.as_cut,
           counts.failed);
    fflush(stdout);
    return counts.failed;
}

int main(int count, char **arguments)
{
    uint64_t seeds = 20;
    uint64_t from = 0;
    const char *only = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--seeds") == 0 && i + 1 < count) {
            seeds = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--from") == 0 && i + 1 < count) {
            from = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--only") == 0 && i + 1 < count) {
            only = arguments[++i];
        } else {
            fprintf(stderr,
                    "usage: damage [--seeds N] [--from SEED] [--only NAME]\n");
            return 2;
        }
    }
    cb_environment environment = *cb_environment_system();
    environment.base_vfs = POWER_CUT_VFS;
    cb_secret *key = NULL;
    unsigned passed = 0;
    unsigned failed = 0;
    if (sodium_init() < 0 || sqlite3_initialize() != SQLITE_OK ||
        cb_secret_create_random(&environment, CB_KEY_BYTES, &key, NULL) !=
            CB_OK) {
        return 1;
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (only == NULL || strcmp(only, rows[i].name) == 0) {
            bool good = run_row(&rows[i], from, seeds, &environment, key) == 0;
            passed += good;
            failed += !good;
        }
    }
    cb_secret_destroy(key);
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
