/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub's checkpoint: a C2SP signed note with three lines of text,
 *
 *     <origin>
 *     <number of leaves>
 *     <base64 of the root>
 *
 *     — <key name> <base64 of key id and signature>
 *
 * The hub signs first; a witness adds a line.  A note is kept and handed on as
 * the bytes it came in: lines of keys that nobody here knows stay in it.
 *
 * Rules beyond C2SP, each so that one tree has one text:
 * 1. No extension lines: ours never has any, and they are not auditable.
 * 2. Base64 and numbers in their one spelling; no carriage return.
 * 3. No two lines of the same key; names in printable ASCII, also of keys that
 *    are not known here, because these lines are shown to people.
 * 4. The hub's key name is the origin, so that a key that serves two logs
 *    cannot lend the text of one to the other.
 */
#ifndef CASEBOUND_PROOF_CHECKPOINT_H
#define CASEBOUND_PROOF_CHECKPOINT_H

#include <casebound/entry.h>

#include "proof/merkle.h"

#define CB_NOTE_NAME_BYTES_MAX     128
#define CB_NOTE_KEY_ID_BYTES       4
#define CB_NOTE_SIGNATURES_MAX     32
#define CB_CHECKPOINT_BYTES_MAX    65536
#define CB_NOTE_KEY_TEXT_BYTES_MAX (CB_NOTE_NAME_BYTES_MAX + 64)

/* A public key that may sign notes.  Plain value. */
typedef struct cb_note_key {
    char name[CB_NOTE_NAME_BYTES_MAX + 1];
    uint8_t key_id[CB_NOTE_KEY_ID_BYTES];
    uint8_t public_key[CB_PUBLIC_KEY_BYTES];
} cb_note_key;

typedef struct cb_checkpoint {
    char origin[CB_NOTE_NAME_BYTES_MAX + 1];
    cb_tree_head head;
} cb_checkpoint;

/* One signature line; the spans are borrowed from the note. */
typedef struct cb_note_signature {
    cb_span line; /* with its newline */
    cb_span name;
    uint8_t key_id[CB_NOTE_KEY_ID_BYTES];
    cb_span base64; /* of key id and signature */
} cb_note_signature;

/* A note taken apart, nothing in it verified.  Borrowed from the note. */
typedef struct cb_note {
    cb_checkpoint checkpoint;
    cb_span text; /* what is signed: three lines with their newlines */
    size_t signature_count;
    cb_note_signature signatures[CB_NOTE_SIGNATURES_MAX];
} cb_note;

/*
 * A key under its name: printable ASCII without space and plus.  CB_INPUT,
 * also for a key that is not a point of the curve's main subgroup.
 */
CB_NODISCARD cb_status cb_note_key_init(
    cb_note_key *ret_key, const char *name,
    const uint8_t public_key[CB_PUBLIC_KEY_BYTES], cb_error *reterr_error);

/* Appends <name>+<key id in hex>+<base64 of type and key>. */
void cb_note_key_format(const cb_note_key *key, cb_buffer *text);

/* The key of such a text, its key id recomputed.  CB_INPUT. */
CB_NODISCARD cb_status cb_note_key_parse(cb_span text, cb_note_key *ret_key,
                                         cb_error *reterr_error);

/*
 * Appends the note to an empty buffer, signed with the 64-byte secret key that
 * belongs to `key`.  CB_INPUT where the origin is not the key's name, CB_LIMIT,
 * CB_WRONG_KEY where the secret key does not belong to `key`, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_checkpoint_sign(const cb_checkpoint *checkpoint,
                                          const cb_note_key *key,
                                          const cb_secret *secret_key,
                                          cb_buffer *note,
                                          cb_error *reterr_error);

/* Form only.  CB_LIMIT, CB_DAMAGED. */
CB_NODISCARD cb_status cb_checkpoint_parse(cb_span note, cb_note *ret_note,
                                           cb_error *reterr_error);

/*
 * Form, origin and the pinned key's signature.  CB_LIMIT, CB_DAMAGED; and
 * CB_WRONG_KEY where the note carries no signature by that key.
 */
CB_NODISCARD cb_status cb_checkpoint_verify(cb_span note,
                                            const cb_note_key *key,
                                            cb_checkpoint *ret_checkpoint,
                                            cb_error *reterr_error);

#endif
