/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a check remembers of each stream and of each device: the only memory
 * that grows, and it has a limit.
 */
#ifndef CASEBOUND_AUDIT_STREAMS_H
#define CASEBOUND_AUDIT_STREAMS_H

#include <casebound/entry.h>

enum {
    CB_AUDIT_STREAMS_MAX = 65536,
    CB_AUDIT_DEVICES_MAX = 65536
};

typedef enum cb_audit_content {
    CB_CONTENT_ABSENT,
    CB_CONTENT_PARTIAL,
    CB_CONTENT_PRESENT
} cb_audit_content;

typedef struct cb_audit_stream {
    cb_stream_id id;
    cb_device_id device;
    cb_person_id person;
    uint8_t key[CB_PUBLIC_KEY_BYTES];
    bool opened; /* the key is that of an enrolled device */
    bool hub;
    /* The newest entry in the log. */
    uint64_t seq;
    cb_hash head;
    uint8_t head_signature[CB_SIGNATURE_BYTES];
    uint64_t head_index;
    bool head_known;   /* false where its bytes are lost or not believed */
    bool head_checked; /* its signature, or that of one that names it */
    bool forked;       /* said once; what follows is not judged */
    bool suspect;      /* some signature in it does not hold: look again */
    uint64_t unchecked_run;
    uint32_t losses; /* of the log, when this entry was taken */
    uint64_t entries;
    uint64_t clear_entries; /* their bodies are in the log */
    uint64_t time;
    uint64_t seen_size;
    cb_hash seen_root;
    uint32_t roster;
    /* The cut of a revocation. */
    bool cut;
    uint64_t cut_seq;
    /* The largest number that a receipt, a heartbeat or a follower names. */
    uint64_t heard_seq;
    uint64_t heard_index; /* leaf of it, as in a place; 0: a receipt */
    /* What its branch has. */
    cb_audit_content content;
    uint64_t content_entries;
    uint64_t unmerged;
} cb_audit_stream;

typedef struct cb_audit_device {
    cb_device_id id;
    cb_person_id person;
    uint8_t signing_key[CB_PUBLIC_KEY_BYTES];
    uint8_t sealing_key[CB_PUBLIC_KEY_BYTES];
    bool hub;
} cb_audit_device;

/* Rows of one size under an identifier that comes first in them. */
typedef struct cb_audit_table {
    uint8_t *rows;
    size_t row_size;
    size_t count;
    size_t capacity;
    size_t count_max;
    uint32_t *slots; /* index + 1; 0: free */
    size_t slot_count;
    uint8_t hash_key[16];
} cb_audit_table;

void cb_audit_table_init(cb_audit_table *table, size_t row_size,
                         size_t count_max);
void cb_audit_table_clear(cb_audit_table *table);

/* Valid until the next row is added; NULL where there is none. */
void *cb_audit_table_find(const cb_audit_table *table, const void *id);
/* Finds or adds a zeroed one; NULL with CB_LIMIT or CB_NO_MEMORY. */
CB_NODISCARD cb_status cb_audit_table_put(cb_audit_table *table, const void *id,
                                          void **ret_row,
                                          cb_error *reterr_error);
/* By number, in order of arrival; and sorted by identifier. */
void *cb_audit_table_at(const cb_audit_table *table, size_t index);
void cb_audit_table_sort(cb_audit_table *table);

#endif
