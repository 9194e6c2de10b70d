/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The versions of pages written since the tree's leaves were: a hash table out
 * of which nothing is ever taken but everything.
 */
#include "vfs/versions.h"
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

static size_t place_of(const struct cb_vfs_recents *recents, uint64_t page)
{
    size_t mask = recents->capacity - 1;
    size_t place = (size_t)((page * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
    while (recents->places[place].page != 0 &&
           recents->places[place].page != page) {
        place = (place + 1) & mask;
    }
    return place;
}

void cb_vfs_recents_clear(struct cb_vfs_recents *recents)
{
    sqlite3_free(recents->places);
    *recents = (struct cb_vfs_recents){ .places = NULL };
}

uint64_t cb_vfs_recents_find(const struct cb_vfs_recents *recents,
                             uint64_t page)
{
    return recents->count == 0
               ? 0
               : recents->places[place_of(recents, page)].version;
}

bool cb_vfs_recents_reserve(struct cb_vfs_recents *recents, size_t more)
{
    struct cb_vfs_recents larger = { .capacity = CAPACITY_MIN };
    while (larger.capacity < 2 * (recents->count + more)) {
        larger.capacity *= 2;
    }
    if (larger.capacity <= recents->capacity) {
        return true;
    }
    size_t size = larger.capacity * sizeof(*larger.places);
    larger.places = sqlite3_malloc64(size);
    if (larger.places == NULL) {
        return false;
    }
    memset(larger.places, 0, size);
    for (size_t i = 0; i < recents->capacity; i++) {
        if (recents->places[i].page != 0) {
            cb_vfs_recents_put(&larger, recents->places[i].page,
                               recents->places[i].version);
        }
    }
    cb_vfs_recents_clear(recents);
    *recents = larger;
    return true;
}

void cb_vfs_recents_put(struct cb_vfs_recents *recents, uint64_t page,
                        uint64_t version)
{
    CB_ASSERT(recents->count < recents->capacity);
    struct cb_vfs_recent *place = &recents->places[place_of(recents, page)];
    recents->count += place->page == 0;
    *place = (struct cb_vfs_recent){ .page = page, .version = version };
}

static int compare_pages(const void *left, const void *right)
{
    const struct cb_vfs_recent *a = left;
    const struct cb_vfs_recent *b = right;
    return (a->page > b->page) - (a->page < b->page);
}

struct cb_vfs_recent *cb_vfs_recents_sorted(
    const struct cb_vfs_recents *recents)
{
    struct cb_vfs_recent *sorted =
        sqlite3_malloc64((recents->count + 1) * sizeof(*sorted));
    size_t count = 0;
    if (sorted == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < recents->capacity; i++) {
        if (recents->places[i].page != 0) {
            sorted[count++] = recents->places[i];
        }
    }
    qsort(sorted, count, sizeof(*sorted), compare_pages);
    return sorted;
}
