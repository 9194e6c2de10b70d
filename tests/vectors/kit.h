/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kit behind our own vectors: a second writer of the format, from
 * schema/FORMAT.md and libsodium alone, that can do everything wrong that a
 * writer can do wrong.  It shares no code with the product's codec.
 *
 * A vector is a row: an entry (or a stub, a leaf, a stream) as it should be,
 * and the one way in which it deviates.
 */
#ifndef CASEBOUND_TESTS_VECTORS_KIT_H
#define CASEBOUND_TESTS_VECTORS_KIT_H

#include <casebound/buffer.h>

#define KIT_FILE_BYTES_MAX (256 * 1024)

typedef enum kit_form {
    KIT_ENTRY,
    KIT_STUB,
    KIT_LEAF, /* a stub and the body in clear that belongs to it */
    KIT_STREAM
} kit_form;

/* When a row's patch is laid over the bytes. */
typedef enum kit_stage {
    KIT_HEADER, /* before sealing: all is consistent, only unusual */
    KIT_SEALED, /* after sealing, before signing */
    KIT_SIGNED  /* after signing */
} kit_stage;

/* Hexadecimal laid over the entry at an offset; negative: from its end. */
typedef struct kit_patch {
    kit_stage stage;
    int at;
    const char *hex;
} kit_patch;

typedef enum kit_tweak {
    KIT_AS_IT_SHOULD_BE,
    KIT_NO_PADDING,
    KIT_PADDING_ONE_STEP_MORE,
    KIT_PADDING_ENDS_IN_ONE,
    KIT_PADDING_ONLY,
    KIT_SEALED_UNDER_COMPARTMENT_KEY,
    KIT_SEALED_WITH_OTHER_NONCE,
    KIT_SIGNED_BY_OTHER_KEY,
    KIT_SIGNED_FOR_OTHER_DOMAIN,
    KIT_SIGNED_WITHOUT_DOMAIN,
    KIT_SIGNATURE_PLUS_ORDER,
    KIT_SIGNATURE_WITH_NEUTRAL_R,
    KIT_BODY_OF_OTHER_ENTRY,
    KIT_READ_WITH_OTHER_KEY,
    KIT_READ_WITH_ENTRY_KEY,
    KIT_READ_WITH_OTHER_ENTRY_KEY,
    KIT_PUBLIC_KEY_GIVEN,
    KIT_PUBLIC_KEY_WITH_TORSION,
    KIT_STREAM_OMITS,
    KIT_STREAM_SWAPS,
    KIT_STREAM_FORKS
} kit_tweak;

typedef struct kit_row {
    const char *name;
    const char *expect;
    const char *comment;
    kit_form form;
    bool clear;
    bool first;       /* seq 1, else 7 */
    const char *text; /* NULL: a small object */
    size_t text_size; /* where the text is a filler of this size */
    kit_patch patch;
    kit_tweak tweak;
    int resize;        /* bytes cut off (negative) or added at the end */
    unsigned at_entry; /* in a stream: which entry deviates, from 1 */
    const char *hex;   /* a public key */
} kit_row;

extern const kit_row kit_entry_rows[];
extern const size_t kit_entry_row_count;
extern const kit_row kit_stream_rows[];
extern const size_t kit_stream_row_count;

/* All rows, counted from 0; NULL after the last. */
const kit_row *kit_row_at(size_t index);

/* Appends the whole vector file. */
void kit_render(const kit_row *row, cb_buffer *file);

#endif
