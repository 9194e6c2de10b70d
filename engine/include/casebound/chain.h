/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of one stream: which entry may come next.  Pure, like the codec,
 * and of a size that does not depend on the stream's.
 *
 * It demands what can be seen from headers: one realm, one stream, numbers
 * without gap, each entry naming the hash of the one before, an opening at
 * number 1 and nowhere else.  Times and checkpoints that go backwards are an
 * auditor's finding, not a broken chain: the entry is kept.
 */
#ifndef CASEBOUND_CHAIN_H
#define CASEBOUND_CHAIN_H

#include <casebound/entry.h>

/* The newest entry of a stream; `seq` is 0 before the first. */
typedef struct cb_chain {
    cb_realm_id realm;
    cb_stream_id stream;
    uint64_t seq;
    cb_hash head;
} cb_chain;

/*
 * Moves the chain on to the entry with this header and entry hash, or leaves
 * it as it was.  CB_DAMAGED says which link does not hold.  An entry that is
 * the head already is CB_EXISTS, so that what comes twice can be skipped.
 */
CB_NODISCARD CB_PUBLIC cb_status cb_chain_advance(cb_chain *chain,
                                                  const cb_entry_header *header,
                                                  const cb_hash *hash,
                                                  cb_error *reterr_error);

#endif
