/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/chain.h>

#include <inttypes.h>
#include <string.h>

static cb_status broken(cb_error *error, uint64_t seq, const char *problem)
{
    cb_status status = cb_error_set(
        error, CB_DAMAGED, "entry %" PRIu64 " of the stream %s", seq, problem);
    cb_error_meaning(error, "the stream is trusted up to the entry before it");
    cb_error_next(error, "casebound audit verify");
    return status;
}

cb_status cb_chain_advance(cb_chain *chain, const cb_entry_header *header,
                           const cb_hash *hash, cb_error *reterr_error)
{
    const uint64_t seq = header->seq;
    if (memcmp(&header->realm, &chain->realm, sizeof chain->realm) != 0) {
        return broken(reterr_error, seq, "belongs to another realm");
    }
    if (memcmp(&header->stream, &chain->stream, sizeof chain->stream) != 0) {
        return broken(reterr_error, seq, "belongs to another stream");
    }
    if (chain->seq > 0 && seq == chain->seq &&
        memcmp(hash, &chain->head, sizeof chain->head) == 0) {
        return CB_EXISTS;
    }
    if (seq - 1 != chain->seq) {
        return broken(reterr_error, seq,
                      seq <= chain->seq ? "uses a number that is taken"
                                        : "leaves a gap before it");
    }
    if (memcmp(&header->prev, &chain->head, sizeof chain->head) != 0) {
        return broken(reterr_error, seq,
                      "does not name the entry before it in 'prev'");
    }
    if ((header->kind == CB_ENTRY_OPENING) != (seq == 1)) {
        return broken(reterr_error, seq,
                      seq == 1 ? "is not the opening of the stream"
                               : "opens the stream a second time");
    }
    chain->seq = seq;
    chain->head = *hash;
    return CB_OK;
}
