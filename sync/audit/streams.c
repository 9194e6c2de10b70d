/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/streams.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static_assert(crypto_shorthash_KEYBYTES == 16, "key of the table's hash");

void cb_audit_table_init(cb_audit_table *table, size_t row_size,
                         size_t count_max)
{
    *table = (cb_audit_table){ .row_size = row_size, .count_max = count_max };
    /* Where a row lies is nowhere seen, so this may differ from run to run;
       and whoever chooses identifiers must not be able to guess it. */
    randombytes_buf(table->hash_key, sizeof table->hash_key);
}

void cb_audit_table_clear(cb_audit_table *table)
{
    free(table->rows);
    free(table->slots);
    *table = (cb_audit_table){ 0 };
}

void *cb_audit_table_at(const cb_audit_table *table, size_t index)
{
    return table->rows + index * table->row_size;
}

/* The slot of the identifier, or the free one where it would be. */
static size_t find_slot(const cb_audit_table *table, const void *id)
{
    uint64_t hash = 0;
    (void)crypto_shorthash((uint8_t *)&hash, id, CB_IDENTIFIER_BYTES,
                           table->hash_key);
    size_t slot = (size_t)hash & (table->slot_count - 1);
    while (table->slots[slot] != 0 &&
           memcmp(cb_audit_table_at(table, table->slots[slot] - 1), id,
                  CB_IDENTIFIER_BYTES) != 0) {
        slot = (slot + 1) & (table->slot_count - 1);
    }
    return slot;
}

void *cb_audit_table_find(const cb_audit_table *table, const void *id)
{
    if (table->slot_count == 0) {
        return NULL;
    }
    uint32_t found = table->slots[find_slot(table, id)];
    return found == 0 ? NULL : cb_audit_table_at(table, found - 1);
}

static void fill_slots(cb_audit_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t slot = find_slot(table, cb_audit_table_at(table, i));
        table->slots[slot] = (uint32_t)i + 1;
    }
}

static bool grow(cb_audit_table *table)
{
    size_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
    uint8_t *rows = realloc(table->rows, capacity * table->row_size);
    if (rows == NULL) {
        return false;
    }
    table->rows = rows;
    table->capacity = capacity;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = capacity * 2;
    fill_slots(table);
    return true;
}

cb_status cb_audit_table_put(cb_audit_table *table, const void *id,
                             void **ret_row, cb_error *reterr_error)
{
    void *row = cb_audit_table_find(table, id);
    if (row == NULL) {
        if (table->count >= table->count_max) {
            return cb_error_set(reterr_error, CB_LIMIT,
                                "the log has more than %zu streams or devices",
                                table->count_max);
        }
        if (table->count == table->slot_count / 2 && !grow(table)) {
            return cb_error_set(reterr_error, CB_NO_MEMORY, "out of memory");
        }
        row = cb_audit_table_at(table, table->count);
        memset(row, 0, table->row_size);
        memcpy(row, id, CB_IDENTIFIER_BYTES);
        table->slots[find_slot(table, id)] = (uint32_t)table->count + 1;
        table->count++;
    }
    *ret_row = row;
    return CB_OK;
}

static int compare_rows(const void *a, const void *b)
{
    return memcmp(a, b, CB_IDENTIFIER_BYTES);
}

void cb_audit_table_sort(cb_audit_table *table)
{
    if (table->count > 1) {
        qsort(table->rows, table->count, table->row_size, compare_rows);
        memset(table->slots, 0, table->slot_count * sizeof *table->slots);
        fill_slots(table);
    }
}
