/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/clock.h"

#include <inttypes.h>
#include <stdlib.h>

static void add_anchor(cb_audit_run *run, int64_t ms)
{
    if (run->anchors == NULL) {
        run->anchors = calloc(CB_AUDIT_ANCHORS_MAX, sizeof *run->anchors);
        if (run->anchors == NULL) {
            run->report.out_of_memory = true;
            return;
        }
    }
    /* Full: every second one goes; what is left still holds. */
    if (run->anchor_count == CB_AUDIT_ANCHORS_MAX) {
        for (size_t i = 0; i < CB_AUDIT_ANCHORS_MAX / 2; i++) {
            run->anchors[i] = run->anchors[2 * i];
        }
        run->anchor_count = CB_AUDIT_ANCHORS_MAX / 2;
    }
    run->anchors[run->anchor_count] =
        (cb_audit_anchor){ .index = run->index, .ms = ms };
    run->anchor_count++;
}

/* The last word of the hub before leaf `end`, or NULL. */
static const cb_audit_anchor *find_anchor(const cb_audit_run *run, uint64_t end)
{
    size_t low = 0;
    size_t high = run->anchor_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (run->anchors[middle].index < end) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &run->anchors[low - 1];
}

static void find_ahead(cb_audit_run *run, const cb_audit_ahead *ahead,
                       const char *words)
{
    (void)cb_report_find(
        &run->report, "FUTURE",
        &(cb_audit_place){ .ref = run->log_ref,
                           .stream = &ahead->stream,
                           .seq = ahead->seq,
                           .log_index = cb_audit_leaf(ahead->index) },
        NULL, "%s", words);
}

/* Whoever claimed more than this, before the hub had come to it, was ahead. */
static void settle_ahead(cb_audit_run *run, int64_t ms, const char *words)
{
    for (size_t i = 0; i < run->ahead_count; i++) {
        if (run->ahead[i].ms - CB_CLOCK_FORWARD_MS_MAX > ms) {
            find_ahead(run, &run->ahead[i], words);
        }
    }
    run->ahead_count = 0;
}

void cb_audit_clock_judge(cb_audit_run *run, const cb_audit_stream *stream,
                          const cb_stub *stub)
{
    const int64_t ms = cb_entry_time_ms(stub->header.time);
    if (stream->hub) {
        settle_ahead(run, ms,
                     "an entry claims a time far ahead of the hub's "
                     "clock when it had arrived");
        add_anchor(run, ms);
        return;
    }
    const cb_audit_anchor *last = find_anchor(run, UINT64_MAX);
    if (last != NULL && ms - CB_CLOCK_FORWARD_MS_MAX > last->ms) {
        if (run->ahead_count < CB_AUDIT_AHEAD_MAX) {
            run->ahead[run->ahead_count] =
                (cb_audit_ahead){ .stream = stub->header.stream,
                                  .seq = stub->header.seq,
                                  .index = run->index,
                                  .ms = ms };
            run->ahead_count++;
        } else {
            cb_report_gap(&run->report, CB_GAP_CLOCK, 1);
        }
    }
    const cb_audit_anchor *seen = find_anchor(run, stub->header.seen_size);
    if (seen != NULL && ms + CB_AUDIT_CLOCK_TOLERANCE_MS < seen->ms) {
        (void)cb_report_find(
            &run->report, "BACKD",
            &(cb_audit_place){ .ref = run->log_ref,
                               .stream = &stub->header.stream,
                               .seq = stub->header.seq,
                               .log_index = cb_audit_leaf(run->index) },
            cb_report_evidence("entry", &stub->hash, "seen_root",
                               &stub->header.seen_root),
            "an entry claims a time %" PRId64
            " seconds before the checkpoint that it embeds",
            (seen->ms - ms) / 1000);
    }
}

void cb_audit_clock_finish(cb_audit_run *run)
{
    if (run->options->now_ms != 0) {
        settle_ahead(run, run->options->now_ms,
                     "an entry claims a time far ahead of the auditor's clock");
    }
    cb_report_gap(&run->report, CB_GAP_CLOCK, run->ahead_count);
    run->ahead_count = 0;
}
