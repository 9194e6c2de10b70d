/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk, as what a run did to it would find it after a power cut.
 *
 * The model follows a log (oplog.h).  It knows what is on the disk for certain
 * and, in order, what was only promised:
 *
 *  1. What was written to a file, its size and its permissions are certain
 *     after a sync of that file.
 *  2. A name (made, moved, taken away) is certain after a sync of its folder.
 *  3. A sync of anything makes earlier removals certain, and the folders above
 *     what was synced: no file system brings a file back after it has put on
 *     disk what was done later, or keeps a file in a folder that is not there.
 *     (Without this, stock SQLite "fails", too.)
 *  4. Anything else that was promised may be there or not, and of a write any
 *     sectors of 512 bytes.
 *  5. What a failed sync should have written is lost for good.
 */
#ifndef CASEBOUND_TESTS_DISK_H
#define CASEBOUND_TESTS_DISK_H

#include "fault/oplog.h"

#define DISK_SECTOR_BYTES 512

typedef struct disk disk_model;
typedef struct disk_image disk_image;

/* One record of a log, with its texts. */
typedef struct disk_record {
    oplog_head head;
    char *path;
    char *other;
    unsigned char *data; /* borrowed from the log */
} disk_record;

typedef struct disk_log {
    unsigned char *bytes;
    disk_record *records;
    size_t count;
} disk_log;

/* Ends the program where the file is no log. */
void disk_log_read(const char *path, disk_log *log);
void disk_log_clear(disk_log *log);

/* What is below the folder now, as certain. */
disk_model *disk_load(const char *root);
/* A disk of its own, but the other one has to outlive it. */
disk_model *disk_copy(const disk_model *disk);
void disk_destroy(disk_model *disk);
/* One record happens. */
void disk_apply(disk_model *disk, const disk_record *record);
/* What is only promised. */
size_t disk_promises(const disk_model *disk);
/* The newest promise that is a write; SIZE_MAX: there is none. */
size_t disk_last_write(const disk_model *disk);

bool disk_promise_is_name(const disk_model *disk, size_t number);
/* Whether it is about something with that in its path. */
bool disk_promise_is_below(const disk_model *disk, size_t number,
                           const char *part);

/* Which promises were kept: 0 no, 1 yes, else a seed for which sectors. */
typedef uint64_t disk_choice;

disk_image *disk_image_make(disk_model *disk, const disk_choice *choices);
void disk_image_destroy(disk_image *image);
/* Of all that has one of the two in its path; NULL: of everything. */
void disk_image_hash(const disk_image *image, const char *one,
                     const char *other, unsigned char hash[32]);
/* Makes the folder `root`, which must not be there, hold the image. */
void disk_image_write(const disk_image *image, const char *root);
/* The file at a path; NULL where there is none. */
const unsigned char *disk_image_file(const disk_image *image, const char *path,
                                     size_t *ret_size);
/* The name with that number, in order; NULL behind the last. */
const char *disk_image_name(const disk_image *image, size_t number);

/* A generator of our own: Steele, Lea and Flood's splitmix64. */
uint64_t disk_random(uint64_t *state);

#endif
