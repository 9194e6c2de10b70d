/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of things.  All are random bytes, never derived from a person or a
 * number, except the realm's, which is the start of the hash of its root key.
 * Each kind is a type of its own, so that the compiler refuses a swap.
 */
#ifndef CASEBOUND_IDENTIFIER_H
#define CASEBOUND_IDENTIFIER_H

#include <casebound/buffer.h>

#define CB_IDENTIFIER_BYTES      16
#define CB_IDENTIFIER_TEXT_BYTES 33
#define CB_HASH_BYTES            32
#define CB_HASH_TEXT_BYTES       65

#define CB_IDENTIFIER_TYPE(type)            \
    typedef struct type {                   \
        uint8_t bytes[CB_IDENTIFIER_BYTES]; \
    } type

CB_IDENTIFIER_TYPE(cb_realm_id);  /* one service */
CB_IDENTIFIER_TYPE(cb_person_id); /* somebody with a role */
CB_IDENTIFIER_TYPE(cb_device_id); /* one enrolled machine */
CB_IDENTIFIER_TYPE(cb_stream_id); /* one incarnation of a device's store */
CB_IDENTIFIER_TYPE(cb_key_id);    /* one epoch of a compartment's key */
CB_IDENTIFIER_TYPE(cb_case_id);
CB_IDENTIFIER_TYPE(cb_record_id); /* a record; a person record's id is the
                                     party's id */
CB_IDENTIFIER_TYPE(cb_action_id); /* ties the entries of one user action */

typedef struct cb_hash {
    uint8_t bytes[CB_HASH_BYTES];
} cb_hash;

/* True where all bytes are zero, which stands for "none". */
CB_PUBLIC bool cb_is_zero(const void *bytes, size_t size);

#endif
