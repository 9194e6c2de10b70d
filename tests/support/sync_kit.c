/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sync_kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

void sync_kit_begin(sync_kit *kit, const char *program)
{
    cb_error error = { 0 };
    memset(kit, 0, sizeof *kit);
    store_kit_begin(&kit->stores);
    store_kit_path(&kit->stores, "log", kit->log);
    kit->hub = store_kit_create(&kit->stores, "hub");
    store_kit_found(kit->hub, "Test Service", "Hub Office", kit->log);
    store_kit_must(cb_hub_create(kit->hub, program, &error), &error,
                   "making the log");
}

void sync_kit_end(sync_kit *kit)
{
    char output[64];
    cb_store_close(kit->hub);
    if (sync_kit_run(kit, output, sizeof output,
                     "chmod -R u+w . && rm -rf *") != 0) {
        fprintf(stderr, "left behind: %s\n", kit->stores.root);
    }
    store_kit_end(&kit->stores);
}

cb_store *sync_kit_device(sync_kit *kit, const char *name)
{
    return store_kit_device(&kit->stores, kit->hub, name, "facilitator");
}

void sync_kit_reopen(sync_kit *kit, cb_store **store, const char *name)
{
    cb_store_close(*store);
    *store = store_kit_open(&kit->stores, name);
}

cb_status sync_kit_try_sync(sync_kit *kit, cb_store *store,
                            cb_sync_report *report, cb_error *error)
{
    const cb_sync_options options = { .log_address = kit->log };
    cb_error_clear(error);
    return cb_sync_run(store, &options, report, error);
}

cb_status sync_kit_try_merge(sync_kit *kit, cb_hub_report *report,
                             cb_error *error)
{
    const cb_hub_options options = { .log_address = kit->log };
    cb_error_clear(error);
    return cb_hub_merge(kit->hub, &options, report, error);
}

cb_sync_report sync_kit_sync(sync_kit *kit, cb_store *store)
{
    cb_error error = { 0 };
    cb_sync_report report;
    store_kit_must(sync_kit_try_sync(kit, store, &report, &error), &error,
                   "a sync");
    return report;
}

cb_hub_report sync_kit_merge(sync_kit *kit)
{
    cb_error error = { 0 };
    cb_hub_report report;
    store_kit_must(sync_kit_try_merge(kit, &report, &error), &error, "a merge");
    return report;
}

int sync_kit_run(const sync_kit *kit, char *output, size_t output_size,
                 const char *format, ...)
{
    char command[2048];
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "cd '%s' && { %s ; } 2>&1", kit->stores.root,
             command);
    FILE *pipe = popen(line, "r");
    if (pipe == NULL) {
        return -1;
    }
    size_t used = fread(output, 1, output_size - 1, pipe);
    output[used] = '\0';
    while (fread(line, 1, sizeof line, pipe) > 0) {
    }
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
