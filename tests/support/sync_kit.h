/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub with a real log host in a folder, and devices that sync with it through
 * stock git.
 */
#ifndef CASEBOUND_TESTS_SYNC_KIT_H
#define CASEBOUND_TESTS_SYNC_KIT_H

#include <casebound/hub.h>
#include <casebound/sync.h>

#include "support/store_kit.h"

typedef struct sync_kit {
    store_kit stores;
    cb_store *hub;
    char log[STORE_KIT_PATH_BYTES]; /* the log host's folder */
} sync_kit;

/* `program` is what the receiving hook runs. */
void sync_kit_begin(sync_kit *kit, const char *program);
void sync_kit_end(sync_kit *kit);

/* A facilitator's store, joined. */
cb_store *sync_kit_device(sync_kit *kit, const char *name);

/* Closes the store, if open, and opens it again. */
void sync_kit_reopen(sync_kit *kit, cb_store **store, const char *name);

cb_status sync_kit_try_sync(sync_kit *kit, cb_store *store,
                            cb_sync_report *report, cb_error *error);
cb_status sync_kit_try_merge(sync_kit *kit, cb_hub_report *report,
                             cb_error *error);

/* The same, and all must be well. */
cb_sync_report sync_kit_sync(sync_kit *kit, cb_store *store);
/* The caller clears the report. */
cb_hub_report sync_kit_merge(sync_kit *kit);

/* Runs a shell command in the kit's folder; exit status and output. */
int sync_kit_run(const sync_kit *kit, char *output, size_t output_size,
                 const char *format, ...) CB_PRINTF(4, 5);

#endif
