/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claimed times against the one clock that a log has: that of the hub, which
 * its own entries tell.  It proves nothing against the hub; against a writer
 * it shows what cannot both be so.
 */
#ifndef CASEBOUND_AUDIT_CLOCK_H
#define CASEBOUND_AUDIT_CLOCK_H

#include "audit/run.h"

void cb_audit_clock_judge(cb_audit_run *run, const cb_audit_stream *stream,
                          const cb_stub *stub);
/* What is ahead of everything, at the end of the log. */
void cb_audit_clock_finish(cb_audit_run *run);

#endif
