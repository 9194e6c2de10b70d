/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the hub's log the one we know, grown?  Is what it says about our own
 * entries true?  Each receipt is checked against the checkpoint before it, and
 * each checkpoint against all that this store remembers.
 */
#include "session/session.h"

#include "proof/tile.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void cb_outbox_step_clear(cb_outbox_step *step)
{
    cb_receipt_clear(&step->receipt);
    cb_buffer_clear(&step->receipt_text);
    cb_buffer_clear(&step->segment);
}

static cb_status distrust(cb_error *error, const char *meaning)
{
    cb_error_meaning(error,
                     "%s; the hub is not believed, and nothing of it "
                     "was taken in; what was recorded here is safe",
                     meaning);
    cb_error_next(error, "keep this store as it is and ask the hub's office; "
                         "an auditor can compare the two checkpoints");
    return CB_DAMAGED;
}

/* ------------------------------------------------------------------ files */

static cb_status read_tree(const cb_git_repository *repository,
                           const cb_git_oid *tree, cb_outbox_step *step,
                           cb_error *error)
{
    cb_git_entry_list list = { 0 };
    bool has_receipt = false;
    cb_status status = cb_git_tree_read(repository, tree, 2, &list, error);
    for (size_t i = 0; status == CB_OK && i < list.count; i++) {
        const cb_git_entry *item = &list.items[i];
        if (!item->is_folder && strcmp(item->name, "receipt") == 0) {
            has_receipt = true;
            status =
                cb_git_blob_read(repository, &item->oid, CB_RECEIPT_BYTES_MAX,
                                 &step->receipt_text, error);
        } else if (!item->is_folder && strcmp(item->name, "segment") == 0) {
            status =
                cb_git_blob_read(repository, &item->oid, CB_SEGMENT_BYTES_MAX,
                                 &step->segment, error);
        } else {
            status = cb_error_set(error, CB_DAMAGED,
                                  "the outbox holds a file '%s'", item->name);
        }
    }
    if (status == CB_OK && !has_receipt) {
        status = cb_error_set(error, CB_DAMAGED, "the outbox lacks a receipt");
    }
    cb_git_entry_list_clear(&list);
    return status;
}

static cb_status read_files(const cb_session *session,
                            const cb_git_repository *repository,
                            const cb_git_oid *oid, cb_outbox_step *step,
                            cb_error *error)
{
    cb_git_commit commit;
    cb_status status = cb_git_commit_read(repository, oid, &commit, error);
    if (status != CB_OK) {
        return status;
    }
    status = cb_git_commit_verify(&commit, session->identity.hub_key, error);
    if (status == CB_OK) {
        status = read_tree(repository, &commit.tree, step, error);
    }
    cb_git_commit_clear(&commit);
    return status;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static bool positions_hold(const cb_receipt *receipt, uint64_t size)
{
    if (receipt->position_count == 0) {
        return true;
    }
    uint64_t *sorted = malloc(receipt->position_count * sizeof *sorted);
    if (sorted == NULL) {
        return false;
    }
    memcpy(sorted, receipt->positions,
           receipt->position_count * sizeof *sorted);
    qsort(sorted, receipt->position_count, sizeof *sorted, compare_numbers);
    bool holds = sorted[receipt->position_count - 1] < size;
    for (size_t i = 1; i < receipt->position_count; i++) {
        holds = holds && sorted[i] != sorted[i - 1];
    }
    free(sorted);
    return holds;
}

static cb_status check_segment(const cb_outbox_step *step, cb_error *error)
{
    const cb_receipt *receipt = &step->receipt;
    cb_hash hash;
    size_t count = 0;
    if (receipt->has_segment != (step->segment.size > 0)) {
        return cb_error_set(error, CB_DAMAGED,
                            "a receipt and its segment do not belong together");
    }
    if (!receipt->has_segment) {
        return CB_OK;
    }
    (void)crypto_generichash(hash.bytes, sizeof hash.bytes, step->segment.bytes,
                             step->segment.size, NULL, 0);
    cb_status status =
        cb_segment_check(cb_span_of_buffer(&step->segment), &count, error);
    if (status == CB_OK &&
        (memcmp(&hash, &receipt->segment, sizeof hash) != 0 ||
         count != receipt->position_count ||
         !positions_hold(receipt, step->head.size))) {
        status = cb_error_set(error, CB_DAMAGED,
                              "a receipt and its segment do not belong "
                              "together");
    }
    return status;
}

/* ------------------------------------------------------------------ chain */

/* The root remembered for exactly this size, if there is one. */
static cb_status remembered(const cb_session *session, uint64_t size,
                            bool *ret_found, cb_hash *ret_root, cb_error *error)
{
    uint64_t found = 0;
    cb_hash root;
    cb_status status = cb_exchange_checkpoint(session->store, size, &found,
                                              &root, NULL, error);
    *ret_found = status == CB_OK && found == size;
    if (*ret_found) {
        *ret_root = root;
    }
    return status == CB_NOT_FOUND ? CB_OK : status;
}

/* The first receipt that is read says where it begins. */
static cb_status anchor(const cb_session *session, const cb_receipt *receipt,
                        cb_receipt_chain *chain, cb_error *error)
{
    bool found = false;
    chain->head.size = receipt->from;
    if (receipt->from == 0) {
        chain->anchored = true;
        return CB_OK;
    }
    cb_status status =
        remembered(session, receipt->from, &found, &chain->head.root, error);
    if (status == CB_OK && !found) {
        (void)cb_error_set(error, CB_DAMAGED,
                           "SPLIT: the receipt begins at a log of %llu "
                           "entries, which this store has never seen",
                           (unsigned long long)receipt->from);
        status = distrust(error, "the hub may be showing two different logs");
    }
    chain->anchored = status == CB_OK;
    return status;
}

static cb_status compare_remembered(const cb_session *session,
                                    const cb_tree_head *head, cb_error *error)
{
    bool found = false;
    cb_hash root;
    cb_status status = remembered(session, head->size, &found, &root, error);
    if (status == CB_OK && found && memcmp(&root, &head->root, sizeof root)) {
        (void)cb_error_set(error, CB_DAMAGED,
                           "SPLIT: the hub has signed two different logs of "
                           "%llu entries",
                           (unsigned long long)head->size);
        status = distrust(error, "the hub shows different logs to different "
                                 "people, or at different times");
    }
    return status;
}

static cb_status check_growth(const cb_session *session,
                              const cb_outbox_step *step,
                              cb_receipt_chain *chain, cb_error *error)
{
    const cb_receipt *receipt = &step->receipt;
    cb_error words = { 0 };
    if (!chain->anchored) {
        cb_status status = anchor(session, receipt, chain, error);
        if (status != CB_OK) {
            return status;
        }
    }
    if (receipt->from != chain->head.size || step->head.size < receipt->from) {
        (void)cb_error_set(error, CB_DAMAGED,
                           "ROLLBK: a receipt goes from a log of %llu entries "
                           "to one of %llu after one of %llu",
                           (unsigned long long)receipt->from,
                           (unsigned long long)step->head.size,
                           (unsigned long long)chain->head.size);
        return distrust(error, "the hub's log has become shorter");
    }
    cb_status status =
        receipt->from == 0
            ? (receipt->consistency.count == 0 ? CB_OK : CB_DAMAGED)
            : cb_tree_verify_consistency(&chain->head, &step->head,
                                         &receipt->consistency, &words);
    if (status != CB_OK) {
        (void)cb_error_set(error, CB_DAMAGED,
                           "REORD: the log of %llu entries is not the "
                           "beginning of that of %llu: %.120s",
                           (unsigned long long)receipt->from,
                           (unsigned long long)step->head.size, words.what);
        return distrust(error, "something in the hub's log was removed, "
                               "altered or put into another order");
    }
    status = compare_remembered(session, &step->head, error);
    if (status == CB_OK) {
        uint64_t newest = session->identity.seen_size;
        chain->met_newest = chain->met_newest || receipt->from == newest ||
                            step->head.size == newest;
        chain->head = step->head;
    }
    return status;
}

/* --------------------------------------------------------- our own entries */

struct one_entry {
    cb_buffer *bytes;
    bool found;
};

static cb_status take_entry(void *context, cb_span entry, uint64_t log_index,
                            cb_error *error)
{
    struct one_entry *one = context;
    (void)log_index;
    one->found = true;
    cb_buffer_append_span(one->bytes, entry);
    return cb_buffer_check(one->bytes, error);
}

cb_status cb_own_entry(cb_store *store, const cb_stream_id *stream,
                       uint64_t seq, cb_buffer *bytes, cb_entry *ret_entry,
                       cb_error *reterr_error)
{
    const cb_segment_facts facts = { .stream = *stream,
                                     .first_seq = seq,
                                     .count = 1 };
    struct one_entry one = { bytes, false };
    cb_buffer_reset(bytes);
    cb_status status = cb_exchange_segment_entries(store, &facts, take_entry,
                                                   &one, reterr_error);
    if (status == CB_OK && !one.found) {
        return CB_NOT_FOUND;
    }
    return status == CB_OK ? cb_entry_decode(cb_span_of_buffer(bytes),
                                             ret_entry, reterr_error)
                           : status;
}

static cb_status check_inclusion(const cb_entry *entry,
                                 const cb_receipt_accepted *row,
                                 const cb_tree_head *head, cb_error *error)
{
    cb_buffer leaf;
    cb_hash hash;
    cb_error words = { 0 };
    cb_buffer_init(&leaf, 2 * (size_t)CB_ENTRY_BYTES_MAX);
    cb_leaf_append(entry, &leaf);
    cb_status status = cb_buffer_check(&leaf, error);
    if (status == CB_OK) {
        cb_tree_leaf_hash(cb_span_of_buffer(&leaf), &hash);
        if (cb_tree_verify_inclusion(&hash, row->index, head, &row->proof,
                                     &words) != CB_OK) {
            (void)cb_error_set(error, CB_DAMAGED,
                               "NOPROOF: the hub does not prove that it holds "
                               "entry %llu of this store: %.120s",
                               (unsigned long long)row->seq, words.what);
            status = distrust(error, "it has not been shown to be safe there");
        }
    }
    cb_buffer_clear(&leaf);
    return status;
}

static cb_status check_own(cb_session *session, cb_outbox_step *step,
                           const cb_receipt_accepted *row, cb_error *error)
{
    cb_entry entry;
    cb_buffer bytes;
    if (row->seq > session->identity.head_seq) {
        session->ahead_elsewhere = true;
        return CB_OK;
    }
    cb_buffer_init(&bytes, CB_ENTRY_BYTES_MAX);
    cb_status status = cb_own_entry(session->store, &session->identity.stream,
                                    row->seq, &bytes, &entry, error);
    if (status == CB_OK && memcmp(&entry.hash, &row->hash, sizeof row->hash)) {
        (void)cb_error_set(error, CB_DAMAGED,
                           "FORK: the hub holds another entry %llu of this "
                           "store's stream",
                           (unsigned long long)row->seq);
        status = distrust(error, "a copy of this store has written elsewhere");
    }
    if (status == CB_OK) {
        status = check_inclusion(&entry, row, &step->head, error);
    }
    if (status == CB_OK) {
        step->has_own = true;
        step->own = *row;
    }
    cb_buffer_clear(&bytes);
    return status;
}

static cb_status check_accepted(cb_session *session, cb_outbox_step *step,
                                cb_error *error)
{
    cb_status status = CB_OK;
    for (size_t i = 0; status == CB_OK && i < step->receipt.accepted_count;
         i++) {
        const cb_receipt_accepted *row = &step->receipt.accepted[i];
        if (memcmp(&row->stream, &session->identity.stream,
                   sizeof row->stream) == 0) {
            status = check_own(session, step, row, error);
        }
    }
    return status;
}

/* ------------------------------------------------------------------- whole */

static cb_status check_receipt(const cb_session *session, cb_outbox_step *step,
                               const cb_receipt_chain *chain, cb_error *error)
{
    cb_checkpoint checkpoint;
    const cb_receipt *receipt = &step->receipt;
    const cb_store_identity *identity = &session->identity;
    if (memcmp(&receipt->realm, &identity->realm, sizeof receipt->realm) ||
        memcmp(&receipt->device, &identity->device, sizeof receipt->device)) {
        return cb_error_set(error, CB_DAMAGED,
                            "the receipt is for another device");
    }
    if (receipt->number != chain->number + 1) {
        return cb_error_set(error, CB_DAMAGED,
                            "receipt %llu follows receipt %llu",
                            (unsigned long long)receipt->number,
                            (unsigned long long)chain->number);
    }
    cb_status status =
        cb_checkpoint_verify(cb_span_of_buffer(&receipt->note),
                             &session->log_key, &checkpoint, error);
    if (status == CB_OK) {
        step->head = checkpoint.head;
    }
    if (status == CB_OK && receipt->upto > step->head.size) {
        status = cb_error_set(error, CB_DAMAGED,
                              "the receipt promises more than the log holds");
    }
    return status == CB_WRONG_KEY ? CB_DAMAGED : status;
}

cb_status cb_outbox_step_read(cb_session *session,
                              const cb_git_repository *repository,
                              const cb_git_oid *oid, cb_receipt_chain *chain,
                              cb_outbox_step *ret_step, cb_error *reterr_error)
{
    cb_outbox_step step;
    memset(&step, 0, sizeof step);
    cb_receipt_init(&step.receipt);
    cb_buffer_init(&step.receipt_text, CB_RECEIPT_BYTES_MAX);
    cb_buffer_init(&step.segment, CB_SEGMENT_BYTES_MAX);
    cb_status status =
        read_files(session, repository, oid, &step, reterr_error);
    if (status == CB_OK) {
        status = cb_receipt_read(cb_span_of_buffer(&step.receipt_text),
                                 session->identity.hub_key, &step.receipt,
                                 reterr_error);
    }
    if (status == CB_OK) {
        status = check_receipt(session, &step, chain, reterr_error);
    }
    if (status == CB_OK) {
        status = check_growth(session, &step, chain, reterr_error);
    }
    if (status == CB_OK) {
        status = check_segment(&step, reterr_error);
    }
    if (status == CB_OK) {
        status = check_accepted(session, &step, reterr_error);
    }
    if (status != CB_OK) {
        cb_error_meaning(reterr_error, "nothing of it was taken in; what was "
                                       "recorded here is safe");
        cb_outbox_step_clear(&step);
        return status;
    }
    chain->number = step.receipt.number;
    *ret_step = step;
    return CB_OK;
}

cb_status cb_receipt_chain_finish(cb_session *session,
                                  const cb_receipt_chain *chain,
                                  const cb_outbox_step *newest,
                                  cb_error *reterr_error)
{
    const cb_store_identity *identity = &session->identity;
    uint64_t named = newest->has_own ? newest->own.seq : 0;
    if (session->ahead_elsewhere) {
        named = identity->accepted_seq;
    }
    if (chain->head.size < identity->seen_size ||
        named < identity->accepted_seq) {
        session->report->hub_behind = true;
        (void)cb_error_set(
            reterr_error, CB_DAMAGED,
            "ROLLBK: the hub shows a log of %llu entries with %llu of this "
            "store's, and has shown one of %llu with %llu before",
            (unsigned long long)chain->head.size, (unsigned long long)named,
            (unsigned long long)identity->seen_size,
            (unsigned long long)identity->accepted_seq);
        return distrust(reterr_error, "the hub was set back to an older state");
    }
    if (!chain->met_newest && identity->seen_size > 0) {
        (void)cb_error_set(reterr_error, CB_DAMAGED,
                           "SPLIT: the hub's receipts do not connect with the "
                           "log of %llu entries that it has signed before",
                           (unsigned long long)identity->seen_size);
        return distrust(reterr_error, "the hub may be showing two different "
                                      "logs");
    }
    return CB_OK;
}
