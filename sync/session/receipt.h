/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receipt: the hub's signed statement to one device, one with each commit
 * of the device's outbox.  Canonical JSON:
 *
 *   {"receipt":
 *     {"accepted":[{"hash","index","proof":[base64],"seq","stream"}],
 *      "checkpoint":"<the signed note>",
 *      "consistency":[base64], "device", "from":<size>,
 *      "mail":<version confirmed>, "number":<1, 2, 3 ...>,
 *      "positions":[<log index of each entry of the segment>],
 *      "quarantined":[{"reason","seq","stream"}], "quarantined_total",
 *      "realm", "schema":1, "segment":"<hash>" or null,
 *      "time_ms", "upto":<the outbox holds what lies before it>},
 *    "signature"}
 *
 * signature = sign("receipt", the hub's device key, canonical JSON of
 * "receipt").  `consistency` leads from the log of `from` entries, the
 * checkpoint of the receipt before (for the first one: the checkpoint that the
 * device named in its opening), to `checkpoint`; empty where `from` is 0.
 * `segment` is the hash of the segment beside it, as in a manifest.
 */
#ifndef CASEBOUND_SESSION_RECEIPT_H
#define CASEBOUND_SESSION_RECEIPT_H

#include "proof/checkpoint.h"

#include <casebound/entry.h>

#define CB_RECEIPT_BYTES_MAX    1048576
#define CB_RECEIPT_STREAMS_MAX  64
#define CB_RECEIPT_WITHHELD_MAX 256

/* The newest entry of a stream that stands in the hub's log. */
typedef struct cb_receipt_accepted {
    cb_stream_id stream;
    uint64_t seq;
    cb_hash hash;
    uint64_t index;
    cb_tree_proof proof;
} cb_receipt_accepted;

typedef struct cb_receipt_withheld {
    cb_stream_id stream;
    uint64_t seq;
    char reason[CB_ERROR_TEXT_BYTES];
} cb_receipt_withheld;

typedef struct cb_receipt {
    cb_realm_id realm;
    cb_device_id device;
    uint64_t number;
    cb_buffer note;
    uint64_t from;
    cb_tree_proof consistency;
    cb_receipt_accepted *accepted;
    size_t accepted_count;
    cb_receipt_withheld *withheld;
    size_t withheld_count;
    uint64_t withheld_total;
    uint64_t mail;
    uint64_t upto;
    bool has_segment;
    cb_hash segment;
    uint64_t *positions;
    size_t position_count;
    int64_t time_ms;
} cb_receipt;

/* An empty one, with nothing to free. */
void cb_receipt_init(cb_receipt *receipt);
void cb_receipt_clear(cb_receipt *receipt);

/* Appends the signed text.  CB_LIMIT, CB_NO_MEMORY. */
CB_NODISCARD cb_status cb_receipt_write(const cb_receipt *receipt,
                                        const cb_secret *hub_key,
                                        cb_buffer *text,
                                        cb_error *reterr_error);

/*
 * Reads one that may be anything: form and signature, no proof.  On CB_OK the
 * caller clears it.  CB_DAMAGED, CB_NEWER, CB_LIMIT, CB_NO_MEMORY.
 */
CB_NODISCARD cb_status cb_receipt_read(cb_span text, const uint8_t *hub_public,
                                       cb_receipt *ret_receipt,
                                       cb_error *reterr_error);

/* "casebound/<realm>": origin of the log and name of the hub's key. */
CB_NODISCARD cb_status cb_log_key_init(const cb_realm_id *realm,
                                       const uint8_t *hub_public,
                                       cb_note_key *ret_key,
                                       cb_error *reterr_error);

#endif
